/*
 * How the sides of a ring tell each other of their positions: README.md, 7.2 and 7.3. Every barrier
 * of a ring stands here, and no other file has one of its own.
 *
 *     who stores a position                      who wants to sleep until it reaches P
 *
 *     stores it                                  stores P in its hold-off word
 *     full barrier          <--- pairs with ---> full barrier
 *     looks at the hold-off word,                looks at the position again,
 *     notifies if it was crossed                 sleeps if that is still before P
 *
 * Whatever the order of the two, one of them sees what the other stored.
 */
#ifndef XG_RING_SYNC_H
#define XG_RING_SYNC_H

#include "protocol/ring.h"

/* --- positions -------------------------------------------------------------------------------- */

/* Of the other side. Acquire; pairs with the release of xg_position_store: the bytes before the
 * position can be read, or written again. */
static inline uint64_t xg_position_load(const _Atomic uint64_t *position)
{
    return atomic_load_explicit(position, memory_order_acquire);
}

/* Stores one's own position, where the other side is told later, or by xg_position_publish. */
static inline void xg_position_store(_Atomic uint64_t *position, uint64_t now)
{
    atomic_store_explicit(position, now, memory_order_release);
}

/* Whether the other side sleeps and wants to know that the position went from `before` to `now`.
 * Behind the barrier of xg_position_publish. */
static inline bool xg_holdoff_crossed(const _Atomic uint64_t *event, uint64_t before, uint64_t now)
{
    return xg_event_crossed(before, now, atomic_load_explicit(event, memory_order_relaxed));
}

/* Stores one's own position. True: notify the other side. */
static inline bool xg_position_publish(_Atomic uint64_t *position, uint64_t before, uint64_t now,
                                       const _Atomic uint64_t *event)
{
    xg_position_store(position, now);
    atomic_thread_fence(memory_order_seq_cst); /* pairs with that of xg_holdoff_armed */
    return xg_holdoff_crossed(event, before, now);
}

/* --- before sleeping -------------------------------------------------------------------------- */

/* Asks for an event when the other side's position reaches this. In force only after
 * xg_holdoff_armed. */
static inline void xg_holdoff_set(_Atomic uint64_t *event, uint64_t position)
{
    atomic_store_explicit(event, position, memory_order_relaxed);
}

/* The hold-off words are set; the caller looks at the positions once more, and only then sleeps. */
static inline void xg_holdoff_armed(void)
{
    atomic_thread_fence(memory_order_seq_cst); /* pairs with that of xg_position_publish */
}

/* --- polling ---------------------------------------------------------------------------------- */

#define XG_SPIN_FIRST_NS 20000u
#define XG_SPIN_MIN_NS   2000u
#define XG_SPIN_MAX_NS   50000u /* about what a wake-up costs */
#define XG_SPIN_LOOK     64u    /* rounds between two looks at the clock */

struct xg_spin {
    uint64_t end; /* 0: not set yet */
    unsigned rounds;
};

/* Whether to look in this round also at what costs more than reading a position. */
static inline bool xg_spin_looks(const struct xg_spin *s)
{
    return s->rounds % XG_SPIN_LOOK == 0;
}

/* Ends a round that found nothing. False: polling has lasted `ns`. Short waits never look at the
 * clock. */
static inline bool xg_spin_on(struct xg_spin *s, uint64_t ns)
{
    xg_cpu_relax();
    s->rounds++;
    if (!xg_spin_looks(s))
        return true;
    uint64_t now = xg_now_ns();
    if (s->end)
        return now < s->end;
    s->end = now + ns;
    return true;
}

/* How long to poll the next time, if it was `ns` this time and the sleep after it took `slept`; 0:
 * no sleep was needed. */
static inline uint64_t xg_spin_adapted(uint64_t ns, uint64_t slept)
{
    if (slept == 0)
        ns += ns / 8;
    else if (slept > 2 * XG_SPIN_MAX_NS)
        ns /= 2; /* polling was useless */
    else
        ns *= 2; /* a little more polling would have been enough */
    return xg_max_u64(XG_SPIN_MIN_NS, xg_min_u64(ns, XG_SPIN_MAX_NS));
}

#endif
