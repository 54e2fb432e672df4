/*
 * The scheduler's decisions, without threads, clocks or descriptors: time comes in as an argument.
 * sched.c drives it; tests drive it with a clock of their own.
 *
 * Virtual time of a guest: device time it was charged, divided by its weight. The holder keeps the
 * device until it is ahead of the best of those who wait by one quantum; a guest that was away
 * starts where the others are.
 *
 * A command cannot be interrupted, so a guest may keep the device long after it was asked. It pays
 * for that, however it ends: its virtual time is never put back, those who waited keep their claim
 * while they are away for a moment, and the device is not given to it in the short pauses of a
 * guest that is behind, which would have to wait so long again.
 */
#ifndef XG_SCHED_CORE_H
#define XG_SCHED_CORE_H

#include "backend/sched/page.h"

struct xg_core_guest {
    struct xg_core_guest *next;
    struct xg_sched_page *page;
    uint64_t slots; /* in use, a bit for each */
    uint32_t weight;
    uint32_t grant;        /* what the grant word must hold */
    uint64_t memory_limit; /* and this one */
    uint64_t vtime; /* nanoseconds << XG_CORE_SHIFT / weight */
    uint64_t device_ns, wait_ns, grants;
    uint64_t busy_seen;
    uint64_t left_at;                 /* when it last had no use for the device */
    uint64_t want_at;                 /* since when it waits */
    /* Of a holder that was asked, for each worker: its last progress, when that was seen (or when it
     * was asked), and the device time that it had used then. */
    uint32_t progress_at[XG_SCHED_SLOTS];
    uint64_t since_at[XG_SCHED_SLOTS], used_at[XG_SCHED_SLOTS];
    uint64_t claim;    /* virtual time: others kept the device so long while this one waited */
    uint64_t late_ns;  /* how long it keeps the device after it was asked; the worst, slowly forgotten */
    uint64_t stopped_at;
    unsigned stops; /* how often a worker of it was reported stuck, of late */
    uint64_t taken_at[XG_SCHED_SLOTS]; /* when a worker got the slot */
    uint64_t unused_checked_at;
    bool wants, active;
};

#define XG_CORE_SHIFT   10
#define XG_CORE_UNKNOWN UINT64_MAX

struct xg_core {
    struct xg_sched_config config;
    struct xg_core_guest *guests, *holder;
    uint64_t vclock;     /* never goes back: where a guest that was away starts */
    uint64_t charged_at; /* the holder is charged up to here */
    uint64_t held_at, asked_at;
    uint64_t watched, told; /* slots since asked_at: with a used_at; reported */
    bool contended, asked;
    /* Wakes those that wait on the page's grant word. */
    void (*wake)(struct xg_sched_page *page);
    /* Device time, ns, that the worker has used so far, by a measure that is not the worker's own;
     * XG_CORE_UNKNOWN: there is none but the clock. May be NULL: always unknown. */
    uint64_t (*used)(struct xg_core *c, struct xg_core_guest *g, uint32_t slot);
    /* Has used the device for too long, without progress, since the holder was asked; a bit for each
     * slot. */
    void (*stuck)(struct xg_core *c, struct xg_core_guest *g, uint64_t slots);
    /* Its page held `count` numbers that no worker of ours writes; they are put right. May be NULL. */
    void (*tampered)(struct xg_core *c, struct xg_core_guest *g, unsigned count);
};

void xg_core_add(struct xg_core *c, struct xg_core_guest *g, uint64_t now);
void xg_core_remove(struct xg_core *c, struct xg_core_guest *g, uint64_t now);
void xg_core_slot_take(struct xg_core_guest *g, uint32_t slot, uint64_t now);
void xg_core_slot_free(struct xg_core *c, struct xg_core_guest *g, uint32_t slot, uint64_t now);
/* check.c: puts right what is out of range in the guest's page; how many numbers that were. */
unsigned xg_core_page_check(struct xg_core_guest *g, uint64_t now);
/* Charges the holder up to `now`. */
void xg_core_charge(struct xg_core *c, uint64_t now);
/* Decides. Call when a worker kicked, when the time it returned has come, and after changes.
 * UINT64_MAX: nothing to wait for. */
uint64_t xg_core_run(struct xg_core *c, uint64_t now);

#endif
