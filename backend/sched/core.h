/*
 * The scheduler's decisions, without threads, clocks or descriptors: the time is an argument.
 * sched.c calls it with the real time; tests use a clock of their own.
 *
 * Virtual time of a guest: the device time that it was charged, divided by its weight. The holder
 * keeps the device until it is one quantum ahead of the waiting guest with the least virtual time.
 * A guest that was away starts where the others are. policy.c limits how much a guest may have, by
 * policy or cap.
 *
 * Where the device is the CPU, a worker that does not give it back is stopped, and goes on at its
 * guest's next turn. On a GPU a command cannot be interrupted, so a guest may keep the device long
 * after it was asked to give it back. It pays for that, however it ends: its virtual time is never
 * put back; those who waited keep their claim if they are away only for a moment; and the device is
 * not given to it in the short pauses of a guest that is behind, which would have to wait that long
 * again.
 */
#ifndef XG_SCHED_CORE_H
#define XG_SCHED_CORE_H

#include "backend/sched/page.h"

struct xg_core_guest {
    struct xg_core_guest *next;
    struct xg_sched_page *page;
    uint64_t slots; /* in use, a bit for each */
    /* The slots (a bit for each) whose worker was stopped in the middle of its work, and goes on at
     * one of the guest's next turns; which went on last; since when each is stopped; and how long
     * it was stopped before that. */
    uint64_t suspended;
    uint32_t resumed_last;
    uint64_t suspended_at[XG_SCHED_SLOTS], suspended_ns[XG_SCHED_SLOTS];
    uint32_t weight;
    uint32_t cap; /* percent of the device, at most; 0: none */
    /* XG_POLICY_FIXED: the device has this many parts, and this guest one of them; 0: as many parts
     * as guests run */
    uint32_t instances;
    uint32_t grant;        /* what the page's grant word must hold */
    uint64_t memory_limit; /* what the page's words of these names must hold */
    uint32_t frame_limit;
    uint64_t vtime; /* nanoseconds << XG_CORE_SHIFT / weight */
    uint64_t device_ns, wait_ns, grants;
    uint64_t busy_seen;
    uint64_t left_at; /* when it last stopped wanting the device */
    uint64_t want_at; /* since when it waits */
    /* While it is the holder and was asked to give the device back, for each worker: its last
     * progress, when that was seen (or when the holder was asked), and the device time that it had
     * used then. */
    uint32_t progress_at[XG_SCHED_SLOTS];
    uint64_t since_at[XG_SCHED_SLOTS], used_at[XG_SCHED_SLOTS];
    uint64_t claim; /* virtual time: for so long others kept the device while this guest waited */
    /* how long it keeps the device after it was asked: the worst case, which fades slowly */
    uint64_t late_ns;
    uint64_t stopped_at;
    unsigned stops;                    /* how many times a worker of it was reported stuck lately */
    uint64_t taken_at[XG_SCHED_SLOTS]; /* when a worker got the slot */
    uint64_t unused_checked_at;
    uint64_t lag; /* virtual time: how far behind the others it was when it left */
    /* policy.c */
    uint32_t weight_now; /* the weight that counts under the policy */
    uint32_t share;      /* of XG_CORE_WHOLE, at most; 0: no limit */
    int64_t budget;      /* device time, ns */
    /* device time, ns, that it could not use because another guest kept the device */
    int64_t kept;
    uint64_t filled_at;
    bool spent; /* its budget is spent, and not enough has been added since */
    bool wants, active;
    bool waits; /* it wants the device and may have it, but does not have it */
};

#define XG_CORE_SHIFT   10
#define XG_CORE_UNKNOWN UINT64_MAX

#define XG_CORE_SHARE_BITS 20
#define XG_CORE_WHOLE      (1u << XG_CORE_SHARE_BITS)

struct xg_core {
    struct xg_sched_config config;
    struct xg_core_guest *guests, *holder;
    uint64_t vclock;     /* never goes back; a guest that was away starts here */
    uint64_t charged_at; /* the holder has been charged up to this time */
    uint64_t held_at, asked_at;
    /* slots, a bit for each, since asked_at: those with a used_at; those reported as stuck */
    uint64_t watched, told;
    bool contended, asked;
    bool asked_alone;            /* asked because its own budget is spent: nobody waits */
    unsigned processors;         /* that the device has, if it is the CPU; 0: any number */
    enum xg_sched_policy policy; /* the policy under which the virtual times were counted */
    /* Wakes those that wait on the page's grant word. */
    void (*wake)(struct xg_sched_page *page);
    /* Device time, ns, that the worker has used so far, measured by somebody else than the worker;
     * XG_CORE_UNKNOWN: only the clock is known. May be NULL: always unknown. */
    uint64_t (*used)(struct xg_core *c, struct xg_core_guest *g, uint32_t slot);
    /* Stops these workers (a bit for each slot) where they are; returns those that it could stop.
     * May be NULL: none can be stopped. */
    uint64_t (*suspend)(struct xg_core *c, struct xg_core_guest *g, uint64_t slots);
    /* Lets stopped workers go on. */
    void (*resume)(struct xg_core *c, struct xg_core_guest *g, uint64_t slots);
    /* These workers (a bit for each slot) have used the device for too long, without progress,
     * since the holder was asked. */
    void (*stuck)(struct xg_core *c, struct xg_core_guest *g, uint64_t slots);
    /* The guest's page held `count` numbers that no worker of ours writes; they have been reset.
     * May be NULL. */
    void (*tampered)(struct xg_core *c, struct xg_core_guest *g, unsigned count);
};

void xg_core_add(struct xg_core *c, struct xg_core_guest *g, uint64_t now);
void xg_core_remove(struct xg_core *c, struct xg_core_guest *g, uint64_t now);
void xg_core_slot_take(struct xg_core_guest *g, uint32_t slot, uint64_t now);
void xg_core_slot_free(struct xg_core *c, struct xg_core_guest *g, uint32_t slot, uint64_t now);
/* The part of the slot's own device time, ns, in which the worker was stopped. */
uint64_t xg_core_slot_suspended(const struct xg_core_guest *g, uint32_t slot, uint64_t now);
/* check.c: resets what is out of range in the guest's page; returns how many numbers that were. */
unsigned xg_core_page_check(struct xg_core_guest *g, uint64_t now);
/* policy.c: works out what each guest may have, after changes of guests, slots or configuration. */
void xg_core_shares(struct xg_core *c, uint64_t now);
uint64_t xg_core_quantum(const struct xg_core *c);
/* The guest has used this much device time, ns. */
void xg_core_spend(struct xg_core_guest *g, uint64_t used);
/* Whether the guest must not have the device now, since its budget is spent. */
bool xg_core_spent(struct xg_core *c, struct xg_core_guest *g, uint64_t now);
/* When the guest may have the device again. When a holder's budget will be spent; UINT64_MAX:
 * never. */
uint64_t xg_core_ready_at(const struct xg_core *c, const struct xg_core_guest *g, uint64_t now);
uint64_t xg_core_spent_at(const struct xg_core_guest *g, uint64_t now);
/* Charges the holder up to `now`. */
void xg_core_charge(struct xg_core *c, uint64_t now);
/* Decides who has the device. Call it when a worker kicked, at the time that the last call
 * returned, and after changes. UINT64_MAX: there is no time to wait for. */
uint64_t xg_core_run(struct xg_core *c, uint64_t now);

#endif
