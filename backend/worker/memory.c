/* The guest's memory as this worker takes it. */
#include "backend/worker/internal.h"

/*
 * The quota is one sum over all workers of the guest: taking from it looks at each of them. So that
 * a million small things do not look a million times, a worker takes slabs and keeps up to two for
 * what comes next.
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

bool xg_worker_memory_take(struct xg_worker *w, uint64_t bytes)
{
    int64_t n = (int64_t)bytes;

    if (bytes > INT64_MAX / 2)
        return false;
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

    have = atomic_fetch_add_explicit(&w->memory_kept, n, memory_order_relaxed) + n;
    if (have > 2 * SLAB && kept_take(w, have - SLAB))
        xg_sched_memory_charge(w->sched, SLAB - have);
}
