#include "protocol/codec.h"

#include <errno.h>
#include <stdlib.h>

const uint8_t xg_zeroes[4096] __attribute__((aligned(64)));

void xg_reader_fail(struct xg_reader *r, const char *why)
{
    if (!r->error)
        r->error = why;
    r->p = r->end; /* every later read fails too */
}

void *xg_arena_at(struct xg_reader *r, uint32_t where, uint64_t size)
{
    uint64_t offset = ((uint64_t)where - 1) * XG_BLOB_ALIGN;
    if (where == 0 || offset > r->arena_size || size > r->arena_size - offset) {
        xg_reader_fail(r, "not inside the arena");
        return NULL;
    }
    r->arena_used += size;
    return (uint8_t *)r->arena + offset;
}

static const void *blob_inline(struct xg_reader *r, uint32_t size)
{
    const uint8_t *p = r->p;
    uint64_t padded = ((uint64_t)size + 7) & ~7ull;
    if (padded > (uint64_t)(r->end - p)) {
        xg_reader_fail(r, "blob longer than its frame");
        return NULL;
    }
    r->p = p + padded;
    return p;
}

const void *xg_read_blob(struct xg_reader *r, uint64_t min, bool nullable, uint32_t *size)
{
    const struct xg_blob *b = xg_read(r, sizeof(*b));
    const void *data = NULL;
    uint32_t n = b->size;

    if (size)
        *size = 0;
    if (!xg_reader_ok(r))
        return NULL;
    if (n == XG_NULL_BLOB) {
        if (!nullable)
            xg_reader_fail(r, "blob missing");
        return NULL;
    }
    if (n < min) {
        xg_reader_fail(r, "blob too small");
        return NULL;
    }
    data = b->where ? xg_arena_at(r, b->where, n) : blob_inline(r, n);
    if (data && size)
        *size = n;
    return data;
}

const void *xg_read_blob_private(struct xg_reader *r, struct xg_scratch *s, uint64_t min,
                                 bool nullable, uint32_t *size)
{
    uint32_t n;
    const uint8_t *data = xg_read_blob(r, min, nullable, &n);

    if (size)
        *size = n;
    if (data && data >= r->arena && data < r->arena + r->arena_size) {
        void *copy = xg_scratch_alloc(s, n);
        if (!copy) {
            xg_reader_fail(r, "blob larger than the command's memory");
            if (size)
                *size = 0;
            return NULL;
        }
        return memcpy(copy, data, n);
    }
    return data;
}

const char *xg_read_string(struct xg_reader *r, struct xg_scratch *s)
{
    uint32_t n;
    const char *text = xg_read_blob_private(r, s, 1, true, &n);

    if (text && text[n - 1] != '\0')
        xg_reader_fail(r, "string without end");
    if (!xg_reader_ok(r))
        return "";
    return text;
}

int xg_scratch_init(struct xg_scratch *s, size_t size, size_t cap)
{
    memset(s, 0, sizeof(*s));
    s->base = aligned_alloc(64, xg_align_up(size, 64));
    s->size = size;
    s->cap = cap;
    return s->base ? 0 : -ENOMEM;
}

void xg_scratch_fini(struct xg_scratch *s)
{
    xg_scratch_reset_slow(s);
    free(s->base);
    s->base = NULL;
}

struct spill {
    void *next;
    uint64_t pad;
};

void *xg_scratch_alloc(struct xg_scratch *s, size_t size)
{
    size_t padded = (size + 15) & ~(size_t)15;
    if (padded < size)
        return NULL;
    if (padded <= s->size - s->used) {
        void *p = s->base + s->used;
        s->used += padded;
        return p;
    }
    if (padded > s->cap || s->spilled > s->cap - padded)
        return NULL;
    struct spill *b = malloc(sizeof(*b) + padded);
    if (!b)
        return NULL;
    b->next = s->spill;
    s->spill = b;
    s->spilled += padded;
    return b + 1;
}

void xg_scratch_reset_slow(struct xg_scratch *s)
{
    while (s->spill) {
        struct spill *b = s->spill;
        s->spill = b->next;
        free(b);
    }
    s->spilled = 0;
    s->used = 0;
}
