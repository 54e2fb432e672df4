/*
 * What the scheduler and the workers of one guest share: a sealed memfd that all workers of the
 * guest map, and nobody else.
 *
 * The grant word is written by the scheduler, a slot by its worker. The scheduler keeps in private
 * memory whatever it must be able to trust: a worker that writes nonsense here can make its own
 * guest wait, or be charged, and nothing else.
 *
 * How a hold begins and ends: a worker adds itself to `users`, then reads the grant word; the
 * scheduler takes XG_GRANT_HELD out of the grant word, then reads `users`. Both have a full barrier
 * in between, so at least one sees the other: a worker that finds the device not held takes its
 * user back and waits; a scheduler that finds users waits until they are gone.
 */
#ifndef XG_SCHED_PAGE_H
#define XG_SCHED_PAGE_H

#include "backend/sched/scheduler.h"

#include <stdatomic.h>

/* Nobody asks for more device memory than this at once. A worker adds the size to its slot before
 * it checks the limit, and this keeps the sum far from overflow. */
#define XG_SCHED_MEMORY_MAX ((int64_t)1 << 48)

/* The grant word. Its upper bits count its changes, for the futex. */
#define XG_GRANT_HELD  1u /* workers may use the device */
#define XG_GRANT_YIELD 2u /* workers shall stop using it */
#define XG_GRANT_KICK  4u /* the last user to leave tells the scheduler */
#define XG_GRANT_CONTENDED                                                                         \
    8u /* another guest waits, or may be back soon: keep little in flight                          \
        */
#define XG_GRANT_SEQUENCE 16u

struct xg_sched_slot {
    _Atomic uint32_t users;      /* threads and work in flight that use the device */
    _Atomic uint32_t wanters;    /* threads that wait for it */
    _Atomic uint64_t busy_ns;    /* time with users, without the use that is going on */
    _Atomic uint64_t busy_since; /* since when there are users, xg_now_ns */
    _Atomic uint64_t idle_since; /* when the last user left */
    _Atomic uint32_t gap_ns;     /* how long the device is usually unused by this worker */
    _Atomic uint32_t progress;   /* changes when a submitted piece of work is done */
    _Atomic int64_t memory;      /* bytes of device memory */
    uint8_t pad1[80];
    _Atomic uint64_t counter[XG_COUNT_MAX];
};
_Static_assert(sizeof(struct xg_sched_slot) == 256, "no two workers share a cache line");

struct xg_sched_page {
    _Atomic uint32_t grant;
    uint32_t pad0;
    uint8_t pad1[56];
    _Atomic uint64_t memory_limit; /* bytes, 0: none */
    _Atomic uint32_t frame_limit;  /* frames that a window may have in a second; 0: no limit */
    uint8_t pad2[180];
    struct xg_sched_slot slot[XG_SCHED_SLOTS];
};

#endif
