/* Holds of the device: those of rings and those of work in flight, and how they are lent to other
 * guests. */
#include "backend/worker/internal.h"

/* The state alone says who has the hold. It changes at each call of a guest, so no lock is
 * taken. */
static int state_set(struct xg_hold *h, int state)
{
    return atomic_exchange(&h->state, state);
}

static bool state_change(struct xg_hold *h, int from, int to)
{
    return atomic_compare_exchange_strong(&h->state, &from, to);
}

/* The owner is about to wait for the device. If the hold is lent, it must not be taken back during
 * that wait: it would keep the device for an owner that cannot use it yet. True: the hold has been
 * taken back already. */
static bool hold_reclaim(struct xg_hold *h)
{
    return !state_change(h, XG_HOLD_LENT, XG_HOLD_NONE) && xg_hold_held(h);
}

/* Work that was submitted during the wait may have taken the hold too: then there is one user too
 * many, which is dropped. */
static bool take_unless(struct xg_worker *w, struct xg_hold *h, const _Atomic bool *end)
{
    int state = atomic_load_explicit(&h->state, memory_order_relaxed);

    if (XG_LIKELY(state == XG_HOLD_HELD) || (state == XG_HOLD_LENT && hold_reclaim(h)))
        return true;
    if (!xg_sched_acquire(w->sched, end))
        return false;
    if (state_set(h, XG_HOLD_HELD) == XG_HOLD_HELD)
        xg_sched_release(w->sched);
    return true;
}

void xg_hold_take(struct xg_worker *w, struct xg_hold *h)
{
    (void)take_unless(w, h, NULL);
}

bool xg_hold_join(struct xg_worker *w, struct xg_hold *h)
{
    if (xg_hold_held(h))
        return true;
    if (!xg_sched_join(w->sched))
        return false;
    if (state_set(h, XG_HOLD_HELD) == XG_HOLD_HELD)
        xg_sched_release(w->sched);
    return true;
}

/* Under the lock. */
static bool is_lent(const struct xg_worker *w, const struct xg_hold *h)
{
    for (unsigned i = 0; i < w->lent_count; i++)
        if (w->lent[i] == h)
            return true;
    return false;
}

/* The hold that the caller relies on may be lent at the moment: then this one is lent too. */
void xg_hold_keep(struct xg_worker *w, struct xg_hold *h)
{
    pthread_mutex_lock(&w->hold_lock);
    bool lent = is_lent(w, h);
    if (!lent)
        xg_sched_keep(w->sched);
    atomic_store_explicit(&h->state, lent ? XG_HOLD_LENT : XG_HOLD_HELD, memory_order_relaxed);
    pthread_mutex_unlock(&w->hold_lock);
}

void xg_hold_drop(struct xg_worker *w, struct xg_hold *h)
{
    if (atomic_load_explicit(&h->state, memory_order_relaxed) != XG_HOLD_NONE &&
        state_set(h, XG_HOLD_NONE) == XG_HOLD_HELD)
        xg_sched_release(w->sched);
}

static unsigned holds_lend(struct xg_worker *w, struct xg_hold *const *holds, unsigned count)
{
    unsigned lent = 0;

    pthread_mutex_lock(&w->hold_lock);
    w->lent = holds;
    w->lent_count = count;
    for (unsigned i = 0; i < count; i++)
        lent += state_change(holds[i], XG_HOLD_HELD, XG_HOLD_LENT);
    pthread_mutex_unlock(&w->hold_lock);
    return lent;
}

static void take_back(struct xg_worker *w, struct xg_hold *const *holds, unsigned count)
{
    pthread_mutex_lock(&w->hold_lock);
    w->lent_count = 0;
    for (unsigned i = 0; i < count; i++)
        if (atomic_load_explicit(&holds[i]->state, memory_order_relaxed) == XG_HOLD_LENT) {
            xg_sched_keep(w->sched);
            if (!state_change(holds[i], XG_HOLD_LENT, XG_HOLD_HELD))
                xg_sched_release(w->sched); /* its owner dropped it, or took it anew, in between */
        }
    pthread_mutex_unlock(&w->hold_lock);
}

/* Owners may drop or take their holds in the meantime; what they did stays. */
void xg_hold_lend(struct xg_worker *w, struct xg_hold *const *holds, unsigned count)
{
    for (unsigned n = holds_lend(w, holds, count); n; n--)
        xg_sched_release(w->sched);
    xg_sched_acquire_beside(w->sched);
    take_back(w, holds, count);
    xg_sched_release(w->sched);
}

/* --- the hold of a ring ----------------------------------------------------------------------- */

struct xg_hold *xg_worker_ring_hold(const struct xg_worker_ring *r)
{
    return &r->priv->hold;
}

/* Another thread may find, while this ring waits for its turn, that the device cannot be given back
 * before this ring goes on. Then the ring stops waiting and joins that hold. */
void xg_worker_hold(struct xg_worker_ring *r)
{
    struct xg_worker_ring_private *p = r->priv;
    const _Atomic bool *end = p->needed_ever ? &p->needed : NULL;

    do
        if (XG_UNLIKELY(atomic_load_explicit(&p->needed, memory_order_relaxed)) &&
            xg_hold_join(r->worker, &p->hold))
            return;
    while (!take_unless(r->worker, &p->hold, end));
}

void xg_worker_unhold(struct xg_worker_ring *r)
{
    xg_hold_drop(r->worker, &r->priv->hold);
}

void xg_ring_needed_soon(struct xg_worker_ring *r)
{
    r->priv->needed_ever = true;
}

void xg_ring_needed(struct xg_worker_ring *r, bool needed)
{
    atomic_store_explicit(&r->priv->needed, needed, memory_order_relaxed);
}

const _Atomic uint32_t *xg_device_yield_word(const struct xg_worker *w, uint32_t *mask)
{
    return xg_sched_yield_word(w->sched, mask);
}
