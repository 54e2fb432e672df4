/* Memory that this worker charges to its guest. */
#include "backend/worker/internal.h"

#include <malloc.h>

/*
 * The quota is one sum over all workers of the guest, so each charge reads the slots of all of
 * them. To make a million small charges cheap, a worker charges whole slabs and keeps up to two of
 * them for later.
 */
#define SLAB ((int64_t)64 << 10)

uint64_t xg_worker_memory_limit(const struct xg_worker *w)
{
    return xg_sched_memory_limit(w->sched);
}

int xg_worker_memory_charge(struct xg_worker *w, int64_t bytes)
{
    return xg_sched_memory_charge(w->sched, bytes);
}

uint64_t xg_worker_memory_used(const struct xg_worker *w)
{
    return xg_sched_memory_used(w->sched);
}

static bool kept_take(struct xg_worker *w, int64_t bytes)
{
    int64_t have = atomic_load_explicit(&w->memory_kept, memory_order_relaxed);

    while (have >= bytes)
        if (atomic_compare_exchange_weak_explicit(&w->memory_kept, &have, have - bytes,
                                                  memory_order_relaxed, memory_order_relaxed))
            return true;
    return false;
}

/*
 * The heap keeps freed memory between blocks in use (heap_keep), and a larger block does not fit
 * there. So a guest that makes larger and larger objects could make its worker many times as large
 * as its objects. A driver that frees and takes the same sizes again leaves little free memory.
 *
 * The C library finds out how much is free by a walk over all free blocks, which takes long where a
 * million small ones were freed. After a look there is no other for TRIM_REST times as long as it
 * took.
 */
#define TRIM_LOOK ((int64_t)64 << 20)
#define TRIM_FREE ((size_t)96 << 20)
#define TRIM_REST 64u
/* Of what a look seems to have taken so much counts at most: this worker may have been stopped
 * meanwhile. */
#define TRIM_TOOK_MAX_NS 50000000u

static void heap_look(struct xg_worker *w, int64_t bytes)
{
    if (atomic_fetch_add_explicit(&w->memory_moved, bytes, memory_order_relaxed) + bytes <
        TRIM_LOOK)
        return;
    atomic_store_explicit(&w->memory_moved, 0, memory_order_relaxed);
    uint64_t now = xg_now_ns();
    if (now < atomic_load_explicit(&w->memory_look_next, memory_order_relaxed))
        return;
    if (mallinfo2().fordblks >= TRIM_FREE)
        malloc_trim(0);
    uint64_t end = xg_now_ns(), took = xg_min_u64(end - now, TRIM_TOOK_MAX_NS);
    atomic_store_explicit(&w->memory_look_next, end + TRIM_REST * took, memory_order_relaxed);
}

bool xg_worker_memory_take(struct xg_worker *w, uint64_t bytes)
{
    int64_t n = (int64_t)bytes;

    if (bytes > INT64_MAX / 2)
        return false;
    heap_look(w, xg_min_u64(bytes, TRIM_LOOK));
    if (kept_take(w, n))
        return true;
    if (n < SLAB && !xg_sched_memory_charge(w->sched, SLAB)) {
        atomic_fetch_add_explicit(&w->memory_kept, SLAB - n, memory_order_relaxed);
        return true;
    }
    return !xg_sched_memory_charge(w->sched, n);
}

void xg_worker_memory_give(struct xg_worker *w, uint64_t bytes)
{
    int64_t n = (int64_t)bytes, have;

    heap_look(w, n);
    have = atomic_fetch_add_explicit(&w->memory_kept, n, memory_order_relaxed) + n;
    if (have > 2 * SLAB && kept_take(w, have - SLAB))
        xg_sched_memory_charge(w->sched, SLAB - have);
}
