/* What the frontend's files share. Nothing here is for interposers. */
#ifndef XG_FRONTEND_INTERNAL_H
#define XG_FRONTEND_INTERNAL_H

#include "frontend/channel.h"
#include "frontend/stats.h"
#include "protocol/event.h"
#include "protocol/ring_sync.h"

/* --- waiting ---------------------------------------------------------------------------------- */

enum { XG_CALL_SLOTS = 256 }; /* calls under way per ring */

enum xg_call_state { XG_CALL_FREE = 0, XG_CALL_PENDING, XG_CALL_DONE };

struct xg_call_slot {
    uint32_t ticket;
    _Atomic uint8_t state; /* its thread reads it without the lock */
    uint16_t op;           /* where statistics are wanted */
    int32_t status;
    uint32_t length;
    uint64_t end; /* of the call's frame */
    void *out;    /* where a waiting thread wants the payload */
    uint32_t out_size;
    void *stash; /* payload that came before its thread asked for it */
};

/* A thread that sleeps, or is about to. Each hold-off word is set to the smallest position that one
 * of them waits for. */
struct xg_waiter {
    struct xg_waiter *next;
    const struct xg_call_slot *slot; /* it waits for this call's reply; NULL: for none */
    /* it waits for cmd_done to reach this; UINT64_MAX: it does not */
    uint64_t done;
    uint64_t cons; /* the same for cmd_cons */
    /* it polls at least this long before it sleeps; 0: as long as polling has paid off lately */
    uint64_t poll_ns;
};

struct xg_retired {
    void *memory;
    /* UINT64_MAX: not known yet, since the frame that uses it is not published */
    uint64_t position;
    /* the ring's position when it was retired, which is the end of the frame that uses it */
    uint64_t since;
};

struct xg_ring_private {
    struct xg_event event;
    uint8_t *reply;
    uint64_t reply_mask;
    _Atomic uint64_t spin_ns; /* an estimate that all threads share */

    pthread_mutex_t lock; /* for all fields below; never held during sleep */
    unsigned held; /* how often its thread has taken it; more than once only in a signal handler */
    pthread_cond_t woken;
    /* the same value as in the page; written under the lock, read without it */
    _Atomic uint64_t reply_cons;
    struct xg_waiter *waiters;
    bool sleeper; /* one thread sleeps on the event for all waiters */
    pthread_t sleeper_thread;
    int nudge_fd; /* eventfd: wakes the sleeper */
    struct xg_call_slot slot[XG_CALL_SLOTS];
    uint32_t slot_next, generation;

    /* staging memory; under the ring's lock */
    uint8_t *chunk;
    uint64_t chunk_used;
    struct xg_retired *retired; /* FIFO in a circular array */
    uint32_t retired_head, retired_count, retired_size;
    bool unresolved; /* the last pieces in the FIFO have no position yet */
    uint32_t users;  /* contexts that use this ring */
};

/* --- arena ------------------------------------------------------------------------------------ */

struct xg_arena;
/* `origin`: where the arena starts in the pages' descriptor; it is added to an offset before that
 * is aligned. */
int xg_arena_create(uint64_t size, uint64_t origin, struct xg_arena **out);
void xg_arena_destroy(struct xg_arena *a);
/* Offsets in bytes; -ENOMEM. */
int xg_arena_take(struct xg_arena *a, uint64_t size, uint64_t align, uint64_t *offset);
/* False if nothing was allocated there. */
bool xg_arena_give(struct xg_arena *a, uint64_t offset);

/* --- channel ---------------------------------------------------------------------------------- */

enum { XG_LOST_MAX = 8 };

struct xg_channel {
    struct xg_geometry geometry;
    uint8_t *base; /* of the mapping; anonymous memory when there is no channel */
    uint64_t size;
    uint8_t *arena_base;
    uint64_t arena_size;
    struct xg_arena *arena;
    pthread_mutex_t arena_lock;
    int pages_fd, socket;
    uint64_t map_offset;
    uint32_t platform;
    uint64_t memory_limit;
    _Atomic int error;
    char text[512];
    struct xg_ring *rings;
    pthread_mutex_t rings_lock;
    struct {
        void (*fn)(void *arg);
        void *arg;
    } lost[XG_LOST_MAX];
    unsigned lost_count;
};

void xg_channel_lost(struct xg_channel *ch, int error, const char *why);
int xg_ring_setup(struct xg_channel *ch, uint32_t index, const struct xg_event *event);
/* Shows frames before `position` to the backend. */
void xg_ring_publish_to(struct xg_ring *r, uint64_t position);
/* Sleeps until the wish of `w` is met or the ring is dead. */
void xg_ring_sleep(struct xg_ring *r, bool (*met)(struct xg_ring *r, void *arg), void *arg,
                   struct xg_waiter w);
void xg_stage_resolve(struct xg_ring *r, uint64_t position);
bool xg_ring_check(struct xg_ring *r); /* true if it is dead */
/* Nothing waits on it any more. */
static inline void xg_ring_die(struct xg_ring *r)
{
    atomic_store_explicit(&r->dead, true, memory_order_relaxed);
}
void xg_ring_lost(struct xg_ring *r); /* ends the channel, for the reason that the ring gives */

#endif
