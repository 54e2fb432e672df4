/* What the frontend's files share. Nothing here is for interposers. */
#ifndef XG_FRONTEND_INTERNAL_H
#define XG_FRONTEND_INTERNAL_H

#include "frontend/channel.h"
#include "protocol/event.h"
#include "protocol/ring_sync.h"

/* --- waiting ---------------------------------------------------------------------------------- */

enum { XG_SLOTS = 256 }; /* calls under way per ring */

enum xg_slot_state { XG_SLOT_FREE = 0, XG_SLOT_PENDING, XG_SLOT_DONE };

struct xg_slot {
    uint32_t ticket;
    _Atomic uint8_t state; /* its thread looks without the lock */
    int32_t status;
    uint32_t length;
    uint64_t end; /* of the call's frame */
    void *out;    /* where a waiting thread wants the payload */
    uint32_t out_size;
    void *stash; /* payload that came before its thread waited */
};

/* A thread that sleeps, or is about to. The hold-off words hold the least of what all of them want.
 */
struct xg_waiter {
    struct xg_waiter *next;
    const struct xg_slot *slot; /* wants its reply; NULL: none */
    uint64_t done;              /* wants cmd_done to reach this, UINT64_MAX: does not care */
    uint64_t cons;              /* the same for cmd_cons */
    uint64_t poll_ns; /* polls at least so long before it sleeps; 0: as has been worth it lately */
};

struct xg_retired {
    void *memory;
    uint64_t position; /* UINT64_MAX: not known yet, the frame that uses it is not published */
    uint64_t since; /* the ring's position when it was retired: the end of the frame that uses it */
};

struct xg_ring_private {
    struct xg_event event;
    uint8_t *reply;
    uint64_t reply_mask;
    _Atomic uint64_t spin_ns; /* a guess shared by all threads */

    pthread_mutex_t lock; /* all below; never held while sleeping */
    unsigned held; /* how often its thread has taken it: more than once only in a signal handler */
    pthread_cond_t woken;
    _Atomic uint64_t
        reply_cons; /* what the page's holds; written under the lock, looked at without */
    struct xg_waiter *waiters;
    bool sleeper; /* somebody sleeps on the event for everybody */
    pthread_t sleeper_thread;
    int nudge_fd; /* eventfd: wakes the sleeper */
    struct xg_slot slot[XG_SLOTS];
    uint32_t slot_next, generation;

    /* staging; under the ring's lock */
    uint8_t *chunk;
    uint64_t chunk_used;
    struct xg_retired *retired; /* FIFO in a circular array */
    uint32_t retired_head, retired_count, retired_size;
    bool unresolved; /* the FIFO's tail waits for its position */
    uint32_t users;  /* contexts that were given this ring */
};

/* --- arena ------------------------------------------------------------------------------------ */

struct xg_arena;
/* `origin`: what to add to an offset before it is aligned, that is where the arena starts in the
 * pages' descriptor. */
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
void xg_ring_lost(struct xg_ring *r); /* ends the channel, with the reason that the ring names */

#endif
