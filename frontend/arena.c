/*
 * Who owns which part of the arena. First fit over address-ordered blocks; the bookkeeping lies in
 * private memory, so the backend cannot spoil it. Allocations are few and large (chunks, pinned
 * memory, frames), so lists are good enough.
 */
#include "frontend/internal.h"

#include <errno.h>
#include <stdlib.h>

#define BUCKETS 1024u

struct arena_block {
    uint64_t offset, size;
    struct arena_block *prev, *next; /* all blocks, in the order of their addresses */
    struct arena_block *free_prev, *free_next;
    struct arena_block *hash_next; /* taken blocks by offset */
    bool free;
};

struct xg_arena {
    struct arena_block *free; /* the free blocks, newest first */
    struct arena_block *bucket[BUCKETS];
    struct arena_block *first;
    uint64_t origin;
};

static unsigned bucket_of(uint64_t offset)
{
    return (unsigned)((offset / XG_BLOB_ALIGN * 0x9e3779b97f4a7c15ull) >> 54);
}

static void free_link(struct xg_arena *a, struct arena_block *b)
{
    b->free = true;
    b->free_prev = NULL;
    b->free_next = a->free;
    if (a->free)
        a->free->free_prev = b;
    a->free = b;
}

static void free_unlink(struct xg_arena *a, struct arena_block *b)
{
    if (b->free_prev)
        b->free_prev->free_next = b->free_next;
    else
        a->free = b->free_next;
    if (b->free_next)
        b->free_next->free_prev = b->free_prev;
    b->free = false;
}

int xg_arena_create(uint64_t size, uint64_t origin, struct xg_arena **out)
{
    struct xg_arena *a = calloc(1, sizeof(*a));
    struct arena_block *b = calloc(1, sizeof(*b));

    if (!a || !b) {
        free(a);
        free(b);
        return -ENOMEM;
    }
    b->size = size;
    a->origin = origin;
    a->first = b;
    free_link(a, b);
    *out = a;
    return 0;
}

void xg_arena_destroy(struct xg_arena *a)
{
    if (!a)
        return;
    for (struct arena_block *b = a->first, *next; b; b = next) {
        next = b->next;
        free(b);
    }
    free(a);
}

/* Cuts `size` bytes off the front of `b`; returns the rest, already linked in address order but not
 * free-linked. */
static struct arena_block *block_split(struct arena_block *b, uint64_t size)
{
    struct arena_block *rest = calloc(1, sizeof(*rest));
    if (!rest)
        return NULL;
    rest->offset = b->offset + size;
    rest->size = b->size - size;
    rest->prev = b;
    rest->next = b->next;
    if (b->next)
        b->next->prev = rest;
    b->next = rest;
    b->size = size;
    return rest;
}

int xg_arena_take(struct xg_arena *a, uint64_t size, uint64_t align, uint64_t *offset)
{
    if (size > UINT64_MAX / 2)
        return -ENOMEM; /* rounding it up must not overflow */
    size = xg_align_up(size ? size : 1, XG_BLOB_ALIGN);
    align = xg_max_u64(align, XG_BLOB_ALIGN);
    struct arena_block *b = a->free;
    uint64_t gap = 0;
    for (; b; b = b->free_next) {
        gap = xg_align_up(a->origin + b->offset, align) - (a->origin + b->offset);
        if (gap <= b->size && size <= b->size - gap)
            break;
    }
    if (!b)
        return -ENOMEM;
    if (gap) { /* the part before it stays free */
        struct arena_block *rest = block_split(b, gap);
        if (!rest)
            return -ENOMEM;
        b = rest;
    } else {
        free_unlink(a, b);
    }
    if (b->size > size) {
        struct arena_block *rest = block_split(b, size);
        if (rest)
            free_link(a, rest);
    }
    b->free = false;
    b->hash_next = a->bucket[bucket_of(b->offset)];
    a->bucket[bucket_of(b->offset)] = b;
    *offset = b->offset;
    return 0;
}

/* Merges the right neighbour of `b` into `b`. */
static void block_merge(struct xg_arena *a, struct arena_block *b)
{
    struct arena_block *n = b->next;
    free_unlink(a, n);
    b->size += n->size;
    b->next = n->next;
    if (n->next)
        n->next->prev = b;
    free(n);
}

bool xg_arena_give(struct xg_arena *a, uint64_t offset)
{
    struct arena_block **at = &a->bucket[bucket_of(offset)];
    while (*at && (*at)->offset != offset)
        at = &(*at)->hash_next;
    struct arena_block *b = *at;
    if (!b)
        return false;
    *at = b->hash_next;
    free_link(a, b);
    if (b->next && b->next->free)
        block_merge(a, b);
    if (b->prev && b->prev->free)
        block_merge(a, b->prev);
    return true;
}
