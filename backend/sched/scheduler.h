/*
 * The scheduler's side in the daemon: one per pGPU, with a thread of its own. Functions may be
 * called from any one thread. The workers' side is backend/sched.h.
 */
#ifndef XG_SCHEDULER_H
#define XG_SCHEDULER_H

#include "backend/sched.h"
#include "settings/limits.h"

#define XG_SCHED_SLOTS 64u /* workers of a guest at a time */

struct xg_sched;
struct xg_sched_guest;

/* That this process may use, and the workers with it: what a software device is made of. */
unsigned xg_sched_processors(void);

#define XG_QUANTUM_NS 2000000u
#define XG_AVERAGE_NS 100000000u

enum xg_sched_policy {
    XG_POLICY_BEST_EFFORT, /* by weight; others may use what a guest does not use */
    XG_POLICY_EQUAL,       /* each guest with workers has the same part, and no more */
    XG_POLICY_FIXED,       /* each has one of `instances` parts, whether others run or not */
};

struct xg_sched_config {
    enum xg_sched_policy policy;
    /* a guest may use its unused share for so long afterwards; 0: XG_AVERAGE_NS */
    uint64_t average_ns;
    uint64_t quantum_ns; /* by how much one guest may get ahead of another, 0: XG_QUANTUM_NS */
    /* How much device time, ns, a worker may use after its guest was asked for the device; 0: 10 s.
     * A worker that uses less, but does not give the device back, has ten times as long. */
    uint64_t stuck_ns;
    bool no_preempt; /* workers are never stopped in the middle of their work */
};

/* What a guest may have, beside its weight and memory. */
struct xg_sched_limits {
    uint32_t cap; /* percent of the device, at most; 0: none */
    /* XG_POLICY_FIXED: it has one of this many parts; 0: of as many parts as guests run */
    uint32_t instances;
    uint32_t frame_limit; /* frames of a window, a second; 0: none */
};

struct xg_sched_stats {
    uint64_t device_time_ns; /* charged so far */
    uint64_t wait_time_ns;   /* wanted the device and did not have it */
    uint64_t grants;         /* times that it got the device */
    uint64_t memory_bytes;   /* device memory, all workers together */
    double share;            /* the part of the device that it may have at most, now */
    bool holds, wants;
};

struct xg_sched_slot_stats {
    uint64_t counter[XG_COUNT_MAX];
    uint64_t device_time_ns; /* by the worker's own account */
    uint64_t memory_bytes;
};

int xg_sched_create(const struct xg_sched_config *config, struct xg_sched **out);
/* The new configuration holds from now on. */
void xg_sched_configure(struct xg_sched *s, const struct xg_sched_config *config);
/* All guests must have been removed. */
void xg_sched_destroy(struct xg_sched *s);
/* Readable when some guest is stuck, or its page was tampered with; then call xg_sched_stuck and
 * xg_sched_tampered. */
int xg_sched_stuck_fd(const struct xg_sched *s);
/* Calls `fn` for each worker that keeps the device too long; each is reported once per hold. */
void xg_sched_stuck(struct xg_sched *s, void (*fn)(void *guest_arg, uint32_t slot));

/* Calls `fn` for each guest whose page held numbers out of range, which have been reset; `count`:
 * how many. */
void xg_sched_tampered(struct xg_sched *s, void (*fn)(void *guest_arg, unsigned count));

/* `arg` is passed to the functions of xg_sched_stuck and xg_sched_tampered. memory_limit in bytes,
 * 0: none. */
int xg_sched_guest_add(struct xg_sched *s, uint32_t weight, uint64_t memory_limit, void *arg,
                       struct xg_sched_guest **out);
/* Its workers must be dead. */
void xg_sched_guest_remove(struct xg_sched_guest *g);
void xg_sched_guest_set(struct xg_sched_guest *g, uint32_t weight, uint64_t memory_limit);
void xg_sched_guest_limit(struct xg_sched_guest *g, const struct xg_sched_limits *limits);
void xg_sched_guest_stats(struct xg_sched_guest *g, struct xg_sched_stats *out);
/* The guest's shared page and the scheduler's eventfd; the caller must not close them. */
int xg_sched_guest_page_fd(const struct xg_sched_guest *g);
int xg_sched_guest_kick_fd(const struct xg_sched_guest *g);

/* A slot for a new worker: its number, or -EBUSY. Free it when the worker is dead and reaped: then
 * the device memory that it held is given back. */
int xg_sched_slot_take(struct xg_sched_guest *g);
void xg_sched_slot_free(struct xg_sched_guest *g, uint32_t slot);
/* The device is the CPU: the processor time of this process, as the kernel counts it, is the device
 * time that the worker uses. Without this, it is the time in which the worker has the device.
 * `pidfd`: the process; the scheduler closes it. By it a worker that does not give the device back
 * is stopped until its guest's next turn; -1: it is not stopped. */
void xg_sched_slot_process(struct xg_sched_guest *g, uint32_t slot, int pid, int pidfd);
void xg_sched_slot_stats(struct xg_sched_guest *g, uint32_t slot, struct xg_sched_slot_stats *out);

#endif
