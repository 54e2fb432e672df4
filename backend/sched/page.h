/*
 * What the scheduler and the workers of one guest share: a sealed memfd that all workers of the
 * guest map, and nobody else's.
 *
 * The grant word is the scheduler's; a slot is its worker's. The scheduler keeps in private memory
 * whatever it must be able to trust: a worker that writes nonsense here can make its own guest
 * wait, or be charged, and nothing else.
 *
 * How a hold begins and ends. A worker adds itself to `users`, then reads the grant word; the
 * scheduler takes XG_GRANT_HELD out of the grant word, then reads `users`. Both with a full barrier
 * in between, so at least one sees the other: the worker that finds the device not held steps back
 * and waits, the scheduler that finds users waits until they are gone.
 */
#ifndef XG_SCHED_PAGE_H
#define XG_SCHED_PAGE_H

#include "backend/sched/scheduler.h"

#include <stdatomic.h>

/* More device memory at a time nobody asks for: what a worker adds to its slot, and takes back when
 * there is none, stays far from what a number can hold. */
#define XG_SCHED_MEMORY_MAX ((int64_t)1 << 48)

/* The grant word. Its upper bits count its changes, for the futex. */
#define XG_GRANT_HELD  1u /* users may come in */
#define XG_GRANT_YIELD 2u /* users shall leave */
#define XG_GRANT_KICK  4u /* whoever is the last to leave tells the scheduler */
#define XG_GRANT_CONTENDED                                                                         \
    8u /* another guest waits, or may be back soon: little is to be in flight */
#define XG_GRANT_SEQUENCE 16u

struct xg_sched_slot {
    _Atomic uint32_t users;      /* threads and work in flight that use the device */
    _Atomic uint32_t wanters;    /* threads that wait for it */
    _Atomic uint64_t busy_ns;    /* time with users, ended */
    _Atomic uint64_t busy_since; /* when users came, xg_now_ns */
    _Atomic uint64_t idle_since; /* when the last left */
    _Atomic uint32_t gap_ns;     /* how long it is usually away between uses */
    _Atomic uint32_t progress;   /* changes when something that was submitted is over */
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
    _Atomic uint32_t frame_limit;  /* of a window, a second; 0: none */
    uint8_t pad2[180];
    struct xg_sched_slot slot[XG_SCHED_SLOTS];
};

#endif
