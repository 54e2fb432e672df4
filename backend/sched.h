/*
 * The scheduler. One per pGPU, in the daemon; a client in each worker. They meet in one shared page
 * per guest, which all workers of that guest map and no other guest's: what a worker can write
 * there can hurt only its own guest.
 *
 * At most one guest holds a pGPU at a time. A hold is kept while the guest has work and nobody else
 * wants the device; when another does, the scheduler asks for it back, the holder stops at its next
 * command, lets what is in flight finish, and gives it back. The next is the guest with the
 * smallest virtual time (device time / weight) among those that want it. Device time is charged
 * from the first work of a hold to the end of the last, by the scheduler's own clock where it can
 * (grant to give-back less reported idleness).
 */
#ifndef XG_BACKEND_SCHED_H
#define XG_BACKEND_SCHED_H

#include "protocol/base.h"

/* --- in the worker ---------------------------------------------------------------------------- */

struct xg_sched_client;

int xg_sched_client_create(int page_fd, int kick_fd, uint32_t slot, struct xg_sched_client **out);
void xg_sched_client_destroy(struct xg_sched_client *c);

/* Adds a user; blocks until this guest holds the device. Costs two atomic operations on the fast
 * path (held already, or held idle). Gives up within 10 ms after *end was set: false, and no user
 * is added; `end` may be NULL. */
bool xg_sched_acquire(struct xg_sched_client *c, const _Atomic bool *end);
/* Like xg_sched_acquire, for a thread on which other threads of this worker depend: they may have
 * the device, and could not give it back before this thread goes on. */
void xg_sched_acquire_beside(struct xg_sched_client *c);
/* Adds a user if this guest holds the device, or this worker has been asked for it and has not
 * given it back. */
bool xg_sched_join(struct xg_sched_client *c);
/* Drops a user. When the last one is gone, the guest still holds the device, but idle: the
 * scheduler may take it without asking, and idle time is not charged. */
void xg_sched_release(struct xg_sched_client *c);
/* Adds a user without blocking: the caller, or work in flight, is a user already. */
void xg_sched_keep(struct xg_sched_client *c);
/* The scheduler wants the device back while (*word & mask); a relaxed load will do. Users stop at
 * the next chance: release, then acquire. */
const _Atomic uint32_t *xg_sched_yield_word(const struct xg_sched_client *c, uint32_t *mask);
/* Other guests wait for the device, or had it a moment ago: keep little in flight. One relaxed
 * load. */
bool xg_sched_contended(const struct xg_sched_client *c);

/* A submitted piece of work is done: this worker may keep the device for long, but it is not
 * stuck. */
void xg_sched_progress(struct xg_sched_client *c);

/* Device memory of the guest, all workers together. -ENOMEM if `bytes` more would exceed the limit.
 */
int xg_sched_memory_charge(struct xg_sched_client *c, int64_t bytes);
uint64_t xg_sched_memory_used(const struct xg_sched_client *c);
uint64_t xg_sched_memory_limit(const struct xg_sched_client *c);

/* Frames that a window of the guest's may have in a second, 0: no limit. One relaxed load. */
uint32_t xg_sched_frame_limit(const struct xg_sched_client *c);

/* How long this worker has had the device, without the use that is going on; ns. */
uint64_t xg_sched_device_ns(const struct xg_sched_client *c);

/* Counters for `xengpu list`; any thread. */
enum xg_counter {
    XG_COUNT_COMMANDS,
    XG_COUNT_CALLS,
    XG_COUNT_CMD_BYTES,
    XG_COUNT_NOTIFY_SENT,
    XG_COUNT_NOTIFY_SUPPRESSED,
    XG_COUNT_FRAMES,
    XG_COUNT_LAUNCHES,
    XG_COUNT_ARENA_BYTES,
    XG_COUNT_NOTIFY_RECEIVED,
    XG_COUNT_REPLY_BYTES,
    XG_COUNT_MAX = 16
};
void xg_sched_count(struct xg_sched_client *c, enum xg_counter what, uint64_t n);

#endif
