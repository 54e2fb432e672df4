/* The heap behind malloc() and free() in kernels: one allocation, first fit, sizes kept outside it
 * so that a kernel's overrun cannot harm the allocator. */
#include <stdlib.h>
#include <string.h>

#include "softcuda/driver/sc.h"

enum { UNIT = 64 };

struct sc_heap {
    uint64_t start, units;
    uint32_t *lengths; /* per unit: of the block that starts there, 0: none does */
    uint64_t hint;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* A kernel checks its accesses against the snapshot it began with: the heap must be there before.
 */
bool sc_heap_prepare(struct sc_ctx *ctx)
{
    uint64_t size = xg_align_up(ctx->api.limit[CU_LIMIT_MALLOC_HEAP_SIZE], UNIT);
    struct sc_heap *h;
    bool ok = true;

    pthread_mutex_lock(&lock);
    if (!ctx->heap_state && size) {
        h = calloc(1, sizeof(*h));
        if (h) {
            h->units = size / UNIT;
            h->lengths = calloc(h->units, sizeof(*h->lengths));
            h->start = h->lengths ? sc_mem_alloc(ctx, size, 512, SC_MEM_MODULE, NULL, true) : 0;
        }
        if (h && h->start) {
            ctx->heap_state = h;
        } else {
            if (h)
                free(h->lengths);
            free(h);
            ok = false;
        }
    }
    pthread_mutex_unlock(&lock);
    return ok;
}

void sc_heap_destroy(struct sc_ctx *ctx)
{
    struct sc_heap *h = ctx->heap_state; /* its memory goes with the context's */

    if (h)
        free(h->lengths);
    free(h);
    ctx->heap_state = NULL;
}

static uint64_t find_free(struct sc_heap *h, uint64_t from, uint64_t to, uint64_t need)
{
    uint64_t run = 0;

    for (uint64_t i = from; i < to;) {
        if (h->lengths[i]) {
            i += h->lengths[i];
            run = 0;
        } else if (++run == need) {
            return i + 1 - need;
        } else {
            i++;
        }
    }
    return UINT64_MAX;
}

void *sc_heap_alloc(void *opaque, uint64_t size)
{
    struct sc_ctx *ctx = opaque;
    void *p = NULL;

    pthread_mutex_lock(&lock);
    struct sc_heap *h = ctx->heap_state;
    if (h && size && size <= h->units * UNIT) {
        uint64_t need = (size + UNIT - 1) / UNIT;
        uint64_t at = find_free(h, h->hint, h->units, need);
        if (at == UINT64_MAX)
            at = find_free(h, 0, h->units, need);
        if (at != UINT64_MAX) {
            h->lengths[at] = (uint32_t)need;
            h->hint = at + need;
            p = (void *)(h->start + at * UNIT);
        }
    }
    pthread_mutex_unlock(&lock);
    return p;
}

void sc_heap_free(void *opaque, void *p)
{
    struct sc_ctx *ctx = opaque;

    pthread_mutex_lock(&lock);
    struct sc_heap *h = ctx->heap_state;
    uint64_t offset = h ? (uintptr_t)p - h->start : 0;
    if (h && p && offset < h->units * UNIT && offset % UNIT == 0) {
        h->lengths[offset / UNIT] = 0;
        if (offset / UNIT < h->hint)
            h->hint = offset / UNIT; /* a block's start, so that a search may begin there */
    }
    pthread_mutex_unlock(&lock);
}
