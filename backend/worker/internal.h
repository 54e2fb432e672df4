/* What the worker's files share. */
#ifndef XG_WORKER_INTERNAL_H
#define XG_WORKER_INTERNAL_H

#include "backend/sched.h"
#include "backend/spawn.h"
#include "protocol/ring_sync.h"

#include <pthread.h>

enum { XG_BATCH = 128 << 10 }; /* bytes copied out at once; at least one whole frame (64 KiB) */

struct xg_worker_ring_private {
    struct xg_event event;
    pthread_t thread;
    bool started;

    /* command side: the ring's thread only */
    uint8_t *cmd;
    uint64_t cmd_bytes;
    uint64_t cons;         /* copied out up to here */
    _Atomic uint64_t done; /* executed up to here; other rings' threads read it */
    uint64_t done_shown, cons_shown;
    uint8_t *batch; /* the private copy of the commands */
    uint32_t frame_max;
    struct xg_hold hold; /* of the device, for this ring */
    _Atomic bool needed; /* work that has the device cannot end without this ring */
    /* or may be needed later; only the ring's thread reads it */
    bool needed_ever;
    /* the device is wanted back while this word has yield_mask */
    const _Atomic uint32_t *yield_word;
    uint32_t yield_mask;
    uint64_t spin_ns;
    unsigned idle_wakes; /* events in a row that brought no commands */

    /* reply side */
    pthread_mutex_t reply_lock;
    uint8_t *reply;
    uint64_t reply_bytes;
    uint64_t reply_prod;
    uint64_t reply_cons; /* as last read; read again only when the ring seems full */

    uint64_t counted_commands, counted_calls, counted_arena; /* since the last batch's end */
};

struct xg_worker {
    const struct xg_spawn_request *req;
    uint8_t *base; /* the channel */
    uint64_t size;
    struct xg_worker_ring *rings;
    struct xg_sched_client *sched;
    int watch; /* closed by the sandbox */

    pthread_mutex_t hold_lock; /* hold.c: what is lent */
    struct xg_hold *const *lent;
    unsigned lent_count;
    _Atomic int64_t memory_kept;  /* taken from the quota in advance, for small things (memory.c) */
    _Atomic int64_t memory_moved; /* taken and given back since the heap was last looked at */
    _Atomic uint64_t memory_look_next; /* the heap is not looked at before, xg_now_ns */

    pthread_mutex_t init_lock;
    const struct xg_replay *replay[XG_API_COUNT];
    void *state[XG_API_COUNT];
    _Atomic int init_done[XG_API_COUNT]; /* 0: not tried, 1: works, negative: errno */

    pthread_mutex_t order_lock; /* XG_OP_WAIT_RING */
    pthread_cond_t order_woken;
    _Atomic unsigned order_waiters;
};

/* Maps the channel's pages and binds its event channels; afterwards no descriptor that could map
 * more is open. */
int xg_worker_map(struct xg_worker *w, const struct xg_spawn_fds *fds, struct xg_event *events);
/* Sets the environment for drivers; called before any of them is loaded. */
void xg_worker_surroundings(const struct xg_worker *w);
/* Gives up all rights that the worker does not need any more. 0 or -errno with a log line. */
int xg_worker_sandbox(struct xg_worker *w);

/* From here on what is written to descriptors 1 and 2 is kept for the application; the log still
 * goes where it went. */
int xg_worker_text_capture(void);

int xg_worker_ring_init(struct xg_worker *w, uint32_t index, const struct xg_event *event);
void *xg_worker_ring_thread(void *arg);
/* 0 if the API can be used; initialises it at its first command. */
int xg_worker_api(struct xg_worker_ring *r, uint16_t api);
/* Ends the worker: shows `error` in every index page, wakes the frontend. */
void xg_worker_die(struct xg_worker *w, enum xg_ring_error error, int status)
    __attribute__((noreturn));
void xg_core_dispatch(struct xg_worker_ring *r, uint16_t op, struct xg_reader *rd);
void xg_worker_show_done(struct xg_worker_ring *r);
/* The caller was woken without a reason, `wakes` times in a row: sleeps for a while if that is too
 * often. */
void xg_worker_storm(unsigned *wakes);
void xg_worker_hold(struct xg_worker_ring *r);
void xg_worker_unhold(struct xg_worker_ring *r);

#endif
