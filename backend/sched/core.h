/*
 * The scheduler's decisions, without threads, clocks or descriptors: time comes in as an argument.
 * sched.c drives it; tests drive it with a clock of their own.
 *
 * Virtual time of a guest: device time it was charged, divided by its weight. The holder keeps the
 * device until it is ahead of the best of those who wait by one quantum; a guest that was away
 * starts where the others are. What a guest may have at most, by policy or cap, is policy.c's.
 *
 * Where the device is the CPU, a worker that does not give it back is stopped, and goes on at its
 * guest's next turn. On a GPU a command cannot be interrupted, so a guest may keep the device long
 * after it was asked. It pays for that, however it ends: its virtual time is never put back, those
 * who waited keep their claim while they are away for a moment, and the device is not given to it
 * in the short pauses of a guest that is behind, which would have to wait so long again.
 */
#ifndef XG_SCHED_CORE_H
#define XG_SCHED_CORE_H

#include "backend/sched/page.h"

struct xg_core_guest {
    struct xg_core_guest *next;
    struct xg_sched_page *page;
    uint64_t slots; /* in use, a bit for each */
    /* Likewise: its worker was stopped in the middle of its work, and goes on at a turn of the
     * guest's. Since when, and how long it stood still before; who went on last. */
    uint64_t suspended;
    uint32_t resumed_last;
    uint64_t suspended_at[XG_SCHED_SLOTS], suspended_ns[XG_SCHED_SLOTS];
    uint32_t weight;
    uint32_t cap;          /* percent of the device, at most; 0: none */
    uint32_t instances;    /* XG_POLICY_FIXED: it has one of so many parts; 0: as many as run */
    uint32_t grant;        /* what the grant word must hold */
    uint64_t memory_limit; /* and these two */
    uint32_t frame_limit;
    uint64_t vtime; /* nanoseconds << XG_CORE_SHIFT / weight */
    uint64_t device_ns, wait_ns, grants;
    uint64_t busy_seen;
    uint64_t left_at; /* when it last had no use for the device */
    uint64_t want_at; /* since when it waits */
    /* Of a holder that was asked, for each worker: its last progress, when that was seen (or when
     * it was asked), and the device time that it had used then. */
    uint32_t progress_at[XG_SCHED_SLOTS];
    uint64_t since_at[XG_SCHED_SLOTS], used_at[XG_SCHED_SLOTS];
    uint64_t claim; /* virtual time: others kept the device so long while this one waited */
    uint64_t
        late_ns; /* how long it keeps the device after it was asked; the worst, slowly forgotten */
    uint64_t stopped_at;
    unsigned stops;                    /* how often a worker of it was reported stuck, of late */
    uint64_t taken_at[XG_SCHED_SLOTS]; /* when a worker got the slot */
    uint64_t unused_checked_at;
    uint64_t lag; /* virtual time: how far behind the others it was when it left */
    /* policy.c */
    uint32_t weight_now; /* what counts: by the policy */
    uint32_t share;      /* of XG_CORE_WHOLE, at most; 0: no limit */
    int64_t budget;      /* device time, ns */
    int64_t kept;        /* likewise: what it could not use since another kept the device */
    uint64_t filled_at;
    bool spent; /* its budget, and not enough has come since */
    bool wants, active;
    bool waits; /* wants it, may have it, and has it not */
};

#define XG_CORE_SHIFT   10
#define XG_CORE_UNKNOWN UINT64_MAX

#define XG_CORE_SHARE_BITS 20
#define XG_CORE_WHOLE      (1u << XG_CORE_SHARE_BITS)

struct xg_core {
    struct xg_sched_config config;
    struct xg_core_guest *guests, *holder;
    uint64_t vclock;     /* never goes back: where a guest that was away starts */
    uint64_t charged_at; /* the holder is charged up to here */
    uint64_t held_at, asked_at;
    uint64_t watched, told; /* slots since asked_at: with a used_at; reported */
    bool contended, asked;
    bool asked_alone;            /* for its own sake: nobody waited */
    unsigned processors;         /* that the device has, if it is the CPU; 0: any number */
    enum xg_sched_policy policy; /* whose virtual times these are */
    /* Wakes those that wait on the page's grant word. */
    void (*wake)(struct xg_sched_page *page);
    /* Device time, ns, that the worker has used so far, by a measure that is not the worker's own;
     * XG_CORE_UNKNOWN: there is none but the clock. May be NULL: always unknown. */
    uint64_t (*used)(struct xg_core *c, struct xg_core_guest *g, uint32_t slot);
    /* Stops those workers where they are, a bit for each slot; returns those that it could stop.
     * May be NULL: none. */
    uint64_t (*suspend)(struct xg_core *c, struct xg_core_guest *g, uint64_t slots);
    /* Lets them go on. */
    void (*resume)(struct xg_core *c, struct xg_core_guest *g, uint64_t slots);
    /* Has used the device for too long, without progress, since the holder was asked; a bit for
     * each slot. */
    void (*stuck)(struct xg_core *c, struct xg_core_guest *g, uint64_t slots);
    /* Its page held `count` numbers that no worker of ours writes; they are put right. May be NULL.
     */
    void (*tampered)(struct xg_core *c, struct xg_core_guest *g, unsigned count);
};

void xg_core_add(struct xg_core *c, struct xg_core_guest *g, uint64_t now);
void xg_core_remove(struct xg_core *c, struct xg_core_guest *g, uint64_t now);
void xg_core_slot_take(struct xg_core_guest *g, uint32_t slot, uint64_t now);
void xg_core_slot_free(struct xg_core *c, struct xg_core_guest *g, uint32_t slot, uint64_t now);
/* Of the time for which the slot says that it has had the device, ns: what it stood still. */
uint64_t xg_core_slot_suspended(const struct xg_core_guest *g, uint32_t slot, uint64_t now);
/* check.c: puts right what is out of range in the guest's page; how many numbers that were. */
unsigned xg_core_page_check(struct xg_core_guest *g, uint64_t now);
/* policy.c. Works out what each guest may have, after changes of guests, slots or configuration. */
void xg_core_shares(struct xg_core *c, uint64_t now);
uint64_t xg_core_quantum(const struct xg_core *c);
/* It has used so much, ns. */
void xg_core_spend(struct xg_core_guest *g, uint64_t used);
/* Whether it must not have the device now. */
bool xg_core_spent(struct xg_core *c, struct xg_core_guest *g, uint64_t now);
/* When it may again; when a holder's budget will be spent, UINT64_MAX: never. */
uint64_t xg_core_ready_at(const struct xg_core *c, const struct xg_core_guest *g, uint64_t now);
uint64_t xg_core_spent_at(const struct xg_core_guest *g, uint64_t now);
/* Charges the holder up to `now`. */
void xg_core_charge(struct xg_core *c, uint64_t now);
/* Decides. Call when a worker kicked, when the time it returned has come, and after changes.
 * UINT64_MAX: nothing to wait for. */
uint64_t xg_core_run(struct xg_core *c, uint64_t now);

#endif
