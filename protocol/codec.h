/*
 * Frame codec: how arguments lie in a frame, and how the worker reads them from its private copy.
 *
 * A command's payload is one fixed structure (natural alignment, padded to 8 bytes; scalars of 32
 * or 64 bits, smaller ones widened), then its blobs in the order of the description. A blob is
 *
 *     u32 size    bytes
 *     u32 where   0: the bytes follow, padded to 8; otherwise they lie in the arena at (where - 1)
 *                 * 64
 *
 * The reader has one sticky error. After it every read gives zeroes, so handlers need no checks:
 * they test xg_reader_ok() once, before they act.
 */
#ifndef XG_CODEC_H
#define XG_CODEC_H

#include "protocol/base.h"

#include <string.h>

#define XG_BLOB_ALIGN 64u         /* of blobs in the arena */
#define XG_NULL_BLOB  0xffffffffu /* size of a blob that stands for a NULL pointer */

struct xg_blob {
    uint32_t size;
    uint32_t where;
};

struct xg_reader {
    const uint8_t *p, *end;
    const uint8_t *arena; /* shared with the frontend: contents may change while they are read */
    uint64_t arena_size;
    uint64_t arena_used; /* bytes of it that this command named, for the counters */
    const char *error;   /* NULL, or what was wrong first */
};

extern const uint8_t xg_zeroes[4096]; /* what failed reads point to */

void xg_reader_fail(struct xg_reader *r, const char *why);

static inline bool xg_reader_ok(const struct xg_reader *r)
{
    return XG_LIKELY(r->error == NULL);
}

static inline void xg_reader_init(struct xg_reader *r, const void *data, size_t size,
                                  const void *arena, uint64_t arena_size)
{
    r->p = data ? data : xg_zeroes;
    r->end = r->p + size;
    r->arena = arena;
    r->arena_size = arena_size;
    r->arena_used = 0;
    r->error = NULL;
}

/* The next `size` bytes, rounded up to 8; `size` is a constant <= 4096. Never NULL. */
static inline const void *xg_read(struct xg_reader *r, size_t size)
{
    const uint8_t *p = r->p;
    size_t padded = (size + 7) & ~(size_t)7;
    if (XG_UNLIKELY(padded > (size_t)(r->end - p))) {
        xg_reader_fail(r, "frame too short");
        return xg_zeroes;
    }
    r->p = p + padded;
    return p;
}

/*
 * A blob of at least `min` bytes. Returns NULL for a NULL blob (only if `nullable`) and on failure;
 * *size (may be NULL) gets its size, 0 on failure. An inline blob is the worker's private copy. A
 * blob in the arena is still the guest's: it may change at any time, so whoever must look at its
 * contents copies it first (xg_read_blob_private).
 */
const void *xg_read_blob(struct xg_reader *r, uint64_t min, bool nullable, uint32_t *size);

/* The same, but the result is never in the arena: a blob there is first copied to `scratch`; fails
 * if it is larger than that. */
struct xg_scratch;
const void *xg_read_blob_private(struct xg_reader *r, struct xg_scratch *s, uint64_t min,
                                 bool nullable, uint32_t *size);

/* A string: a blob whose last byte is NUL, private. "" on failure; NULL for a NULL blob. */
const char *xg_read_string(struct xg_reader *r, struct xg_scratch *s);

/* A place in the arena that the handler writes to or reads from: `where` in XG_BLOB_ALIGN units
 * plus one, as in a blob. NULL and a sticky error if it is not all inside. */
void *xg_arena_at(struct xg_reader *r, uint32_t where, uint64_t size);

/* --- scratch memory of a command: all of it is freed after the command; its size is limited --- */

struct xg_scratch {
    uint8_t *base;
    size_t used, size, cap;
    void *spill; /* blocks for what did not fit; freed at reset */
    size_t spilled;
};
int xg_scratch_init(struct xg_scratch *s, size_t size, size_t cap);
void xg_scratch_fini(struct xg_scratch *s);
/* 16-byte aligned, not zeroed. NULL above the cap. */
void *xg_scratch_alloc(struct xg_scratch *s, size_t size);
void xg_scratch_reset_slow(struct xg_scratch *s);

static inline void xg_scratch_reset(struct xg_scratch *s)
{
    s->used = 0;
    if (XG_UNLIKELY(s->spill != NULL))
        xg_scratch_reset_slow(s);
}

/* --- handle tables: guest-minted names to objects of this process ----------------------------- */

/*
 * Names are 32-bit, minted by the guest; each table holds one kind of object. A name that is
 * unknown, or of another kind, gives NULL. Sparse names are fine: a radix of pages, bounded by
 * `max`.
 */
struct xg_table {
    void ***page; /* 1,024 entries each */
    uint32_t pages, max;
    uint32_t end; /* of the pages that there are */
};
int xg_table_init(struct xg_table *t, uint32_t max);
void xg_table_fini(struct xg_table *t);
/* -EEXIST if taken, -ERANGE above max, -ENOMEM. */
int xg_table_set(struct xg_table *t, uint32_t name, void *object);
/* Takes the object out; NULL if there was none. */
void *xg_table_remove(struct xg_table *t, uint32_t name);
/* Calls `fn` for each; it may remove the one it is called for. */
void xg_table_each(struct xg_table *t, void (*fn)(uint32_t name, void *object, void *arg),
                   void *arg);

static inline void *xg_table_get(const struct xg_table *t, uint32_t name)
{
    uint32_t page = name >> 10;
    return page < t->pages && t->page[page] ? t->page[page][name & 1023] : NULL;
}

#endif
