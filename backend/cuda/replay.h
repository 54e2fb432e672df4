/*
 * CUDA replay: one guest application's contexts, on one device, in one worker.
 *
 * All commands come on ring 0, on that ring's thread. Waits are answered by it while they are
 * short, by waiter threads (wait.c) when they are long. The reaper thread (fence.c) follows the
 * work in flight, in order of submission: what must not happen before earlier work is over
 * (unmapping memory, giving the device back) is queued there.
 */
#ifndef XG_BACKEND_CUDA_REPLAY_H
#define XG_BACKEND_CUDA_REPLAY_H

#include "backend/cuda/driver.h"
#include "backend/worker.h"
#include "protocol/cuda/wire.h"

#include <pthread.h>

#include "cuda/ops.h"

struct cu_stream;
struct cu_piece;

/* Work in flight and calls that wait hold references: they may outlast CTX_DESTROY while a host
 * function of the guest is under way. */
struct cu_ctx {
    uint32_t name;
    bool primary;      /* `h` is the driver's primary one, whatever the guest calls it */
    _Atomic bool gone; /* for the guest */
    _Atomic unsigned refs;
    CUcontext h;
    bool sleeps;              /* its waits are not to be polled for: CU_CTX_SCHED_BLOCKING_SYNC */
    CUresult deferred;        /* first failure of a one-way command, until a call reports it */
    struct cu_stream *legacy; /* stream 0 of this context */
    CUevent copied;           /* behind the last copy to the device in stream 0 */
    uint64_t copies;          /* how many it has been put behind */
    unsigned apart; /* streams that do not wait for stream 0; without any there is no event */
    bool unmarked;  /* ... though there was a copy */
    uint64_t heap, print, local; /* bytes charged; quota.c */
    bool heap_laid;              /* `heap` is all of it, not what is beyond the default */
    uint64_t deepest;            /* bytes of local memory that the driver has for each thread */
    CUevent *spare;              /* events for fences and waits; under w->lock */
    unsigned spare_count, spare_size;
    struct cu_ctx *next;
};

/* Host functions that something comes after: a bit for each that has not ended, of those that were
 * there at `seq`. */
struct cu_order {
    uint64_t bits, seq;
};

struct cu_stream {
    CUstream h;
    struct cu_ctx *ctx;
    uint32_t name;
    bool apart;            /* does not wait for stream 0 */
    uint64_t copies;       /* of its context's that it has been made to wait for */
    uint32_t open;         /* operations since its last fence; under w->lock */
    struct cu_order order; /* of what is submitted now; under w->lock */
    bool fenced;           /* the last thing in it is a fence of ours */
    struct cu_stream *dirty_next;
    struct cu_stream *next; /* all of them */
};

struct cu_event {
    CUevent h;
    struct cu_ctx *ctx;
    _Atomic unsigned refs; /* the table's, and one for each wait */
    bool sleeps;           /* CU_EVENT_BLOCKING_SYNC */
    struct cu_order order; /* of where it was recorded */
};

struct cu_module {
    CUmodule h;
    struct cu_ctx *ctx;
    CUfunction *func;
    unsigned func_count;
    uint32_t name;
    uint64_t bytes; /* counted */
};

struct cu_func {
    CUfunction h;
    struct cu_module *module;
    struct cu_ctx *ctx;
    uint32_t param_bytes;
    uint32_t local_bytes; /* of each thread */
};

struct cu_link {
    CUlinkState h;
    uint64_t bytes; /* counted */
    struct cu_ctx *ctx;
};

struct cu_object { /* a texture or a surface */
    uint64_t h;
    struct cu_ctx *ctx;
};

struct cu_array {
    CUarray h;
    struct cu_ctx *ctx;
    uint64_t bytes;
};

enum cu_range_kind { CU_RANGE_MAP, CU_RANGE_ALLOC, CU_RANGE_GLOBAL };

/* Device memory that commands may name. */
struct cu_range {
    uint64_t start, end;
    enum cu_range_kind kind;
    uint32_t module; /* of a global */
    struct cu_ctx *ctx;
};

struct cu_image {
    uint64_t hash, size;
    void *bytes;
    struct cu_image *next;
};

/* What the reaper does when all before it is over. */
enum cu_action { CU_FENCE, CU_SLOT, CU_RETIRE, CU_UNMAP, CU_FREE, CU_DESTROY };
struct cu_item {
    struct cu_item *next;
    enum cu_action action;
    CUevent event; /* waited for first, may be NULL */
    CUstream stream;
    bool drain;     /* the stream is waited for first */
    uint64_t after; /* host functions that have not ended: until then it needs no device */
    struct cu_ctx *ctx;
    uint32_t ops;
    uint32_t slot;
    uint64_t seq, va, size;
    uint64_t since;
};

/* A call that waits. */
enum { CU_WAIT_EVENTS = 16 };
struct cu_wait {
    struct cu_wait *next;
    struct xg_worker_ring *ring;
    uint32_t ticket;
    struct cu_ctx *ctx;
    CUevent *event; /* borrowed from the context's spares, unless `own` */
    unsigned count, done;
    CUevent inline_event[CU_WAIT_EVENTS];
    struct cu_event *foreign; /* event[0] is this one of the application's, not a spare */
    _Atomic uint64_t *word;   /* waits for the reaper to bring this to `until` instead */
    uint64_t until;
    bool queue; /* ... or to have nothing more to do */
    CUresult result;
    CUresult deferred;
};

struct cu_host;

struct cu_worker {
    struct cu_driver d;
    struct xg_worker *worker;
    struct xg_worker_ring *ring;
    CUdevice device;
    char pgpu[64];                /* its name in the configuration */
    uint32_t flags;               /* XG_CUDA_HAS_WINDOW ... */
    bool ready;                   /* INIT is done */
    bool integrated;              /* device memory is host memory: copies are the CPU's work */
    bool gated;                   /* its driver gives the device back inside a kernel (preempt.c) */
    bool errors_spread;           /* what makes one context unusable makes all of the process so */
    uint64_t window, window_size; /* reserved; the guest's only with XG_CUDA_HAS_WINDOW */
    uint64_t granularity, total_memory;
    _Atomic int64_t device_free;  /* of all guests, as far as is known */
    _Atomic uint64_t device_used; /* by this worker */
    uint64_t
        limit[XG_CUDA_LIMITS]; /* a context's at its start, by CUlimit; UINT64_MAX: not known */
    uint64_t threads;          /* that the device holds at once */
    uint8_t *arena;            /* where the driver sees the arena */
    bool arena_alias;          /* that is where the guest has it */
    uint64_t arena_device;
    CUcontext _Atomic arena_ctx; /* whose the registration is; NULL: there is none */
    bool arena_refused, arena_tried;
    struct cu_piece *pieces;   /* of it, that are registered; arena.c */
    CUcontext first;           /* the primary one, as long as the guest has made none */
    _Atomic bool primary_used; /* by `first`, or by a context that is not ended */
    struct xg_cuda_shared *shared;

    struct xg_table ctxs, streams, events, modules, funcs, arrays, links, textures, surfaces;
    struct cu_ctx *ctx; /* that commands act in */
    struct cu_ctx *all_ctx;
    struct cu_stream *all_streams;
    bool replied;
    _Atomic bool replaying; /* the ring's thread is in a command, has the device, and is perhaps in
                               the driver */

    struct cu_range *range; /* sorted */
    unsigned range_count, range_size;
    struct cu_image *images;
    uint64_t image_bytes;
    uint64_t
        pinned_bytes; /* counted, of the arena as it was named and is not registered by pieces */
    uint64_t staging_bytes; /* of pieces that are not counted */

    /* fence.c */
    pthread_mutex_t lock;
    pthread_cond_t reaper_wake, reaped;
    pthread_t reaper;
    bool reaper_running, closing;
    bool busy;           /* there is work in flight */
    bool holding;        /* `hold` is kept, or lent: some of that work needs the device */
    struct xg_hold hold; /* of the device, for work in flight; kept and dropped under the lock */
    struct cu_stream *dirty;
    _Atomic uint32_t open_ops;
    _Atomic uint32_t unmaps;    /* memory on its way back */
    _Atomic uint64_t in_flight; /* operations fenced and not yet over; changes under `lock` */
    struct cu_item *queue, **queue_tail;
    struct cu_item *spare_items;
    uint64_t op_ns; /* what an operation takes, moving average */
    uint64_t last_reaped;

    /* host_order.c; under `lock` */
    _Atomic uint64_t host_used; /* bits of host functions that have not ended */
    uint64_t host_seq, host_since[64];
    bool host_ever;
    unsigned host_running; /* those that the guest runs now, also of graphs */
    /* ended, and not yet taken off the two above; not under `lock` */
    _Atomic uint64_t host_late_bits;
    _Atomic unsigned host_late;
    unsigned host_marks; /* events recorded and waited for behind one, since there was none */

    /* wait.c */
    struct cu_wait *polled;       /* the ring's thread only */
    uint64_t poll_since, poll_ns; /* from when on, and how long `polled` is polled for */
    pthread_mutex_t wait_lock;
    pthread_cond_t wait_wake;
    struct cu_wait *waiting, **waiting_tail;
    unsigned waiters, waiters_idle;

    struct cu_host *host; /* host.c */
};

/* --- host_order.c: work that waits for the guest's host functions, and meanwhile needs no device *
 * --- */

/* One more, submitted to `s` next: its bit, or 0 if there are too many; then its stream counts as
 * any other. */
uint64_t xg_cu_order_begin(struct cu_worker *w, struct cu_stream *s);
void xg_cu_order_record(struct cu_worker *w, struct cu_stream *s, struct cu_event *e);
/* Lets the stream wait for the event. */
CUresult xg_cu_order_wait(struct cu_worker *w, struct cu_stream *s, const struct cu_event *e,
                          unsigned flags);
/* These under w->lock. */
uint64_t xg_cu_order_bits(const struct cu_worker *w, const struct cu_order *o);
void xg_cu_order_add(struct cu_worker *w, struct cu_stream *s, uint64_t bits);
/* What comes next in `s` comes after what stream 0 implies. */
void xg_cu_order_implied(struct cu_worker *w, struct cu_stream *s);
/* Tells the guest whether there is room for more behind host functions. */
void xg_cu_room_tell(struct cu_worker *w);
/* Not under w->lock: waits, without the device, while there is much more than there is room for.
 * The guest was told. */
void xg_cu_room_wait(struct cu_worker *w);
/* Some of the work in flight could run now. */
bool xg_cu_order_device_needed(const struct cu_worker *w);
void xg_cu_host_forget(struct cu_worker *w, uint64_t bits);

/* --- preempt.c -------------------------------------------------------------------------------- */

/* If the driver can be stopped in the middle of its work, it is from now on. */
void xg_cu_preempt_start(struct cu_worker *w);

/* --- replay.c --------------------------------------------------------------------------------- */

/* Replies to the call that is being replayed; `rep` starts with its CUresult. */
void xg_cu_reply(struct cu_worker *w, const void *rep, uint32_t size);
/* Second word of a reply: whether there is text for the guest. Any thread. */
uint32_t xg_cu_text_word(void);
/* A CUresult that came out of the driver: notes what makes a context unusable. Any thread. */
CUresult xg_cu_note(struct cu_worker *w, struct cu_ctx *ctx, CUresult r);
/* The context's first deferred error instead of success, once. */
CUresult xg_cu_take_deferred(struct cu_ctx *ctx, CUresult r);
void xg_cu_defer(struct cu_ctx *ctx, CUresult r);
/* The guest broke the protocol. */
CUresult xg_cu_hostile(struct cu_worker *w, const char *why);
/* Drops a reference; the last one destroys the event. Its context is current. */
CUresult xg_cu_event_put(struct cu_worker *w, struct cu_event *e);
struct cu_stream *xg_cu_stream(struct cu_worker *w, uint32_t name);
/* A copy to the device went to the stream, and nobody waits for it. */
void xg_cu_stream_copied(struct cu_worker *w, struct cu_stream *s);
/* Before an operation goes to the stream. */
void xg_cu_stream_order(struct cu_worker *w, struct cu_stream *s);
/* The same for one that an asynchronous operation is about to go to; waits while too much is in
 * flight. */
struct cu_stream *xg_cu_work_stream(struct cu_worker *w, uint32_t name);

/* Around what a driver does for long on the CPU alone, such as compiling: other guests may have the
 * device. Where the device is the CPU, this is work of the device. On the ring's thread. */
void xg_cu_aside(struct cu_worker *w);
void xg_cu_back(struct cu_worker *w);
/* The error's name, or its number; in a buffer of the thread. */
const char *xg_cu_error(CUresult r);

/* --- arena.c ---------------------------------------------------------------------------------- */

/* The guest has it at this address; 0: no matter. */
void xg_cu_arena_place(struct cu_worker *w, uint64_t address);
/* The guest names what is to be shown, if that is better. `same_address`: the device sees
 * registered memory where this process does. */
void xg_cu_arena_pieces(struct cu_worker *w, bool same_address);
void xg_cu_pieces_free(struct cu_worker *w);
/* Shows it to the device, through this context, if it is not shown yet. */
void xg_cu_arena_register(struct cu_worker *w, CUcontext in);
/* This context is about to end. */
void xg_cu_arena_leave(struct cu_worker *w, CUcontext in);

/* --- context.c -------------------------------------------------------------------------------- */

/* The context that will serve the guest's first one. */
CUresult xg_cu_ctx_first(struct cu_worker *w, CUcontext *h);
static inline void xg_cu_ctx_hold(struct cu_ctx *c)
{
    if (c)
        atomic_fetch_add_explicit(&c->refs, 1, memory_order_relaxed);
}
/* True: that was the last one, xg_cu_ctx_end comes next. */
static inline bool xg_cu_ctx_unref(struct cu_ctx *c)
{
    return c && atomic_fetch_sub(&c->refs, 1) == 1;
}
/* Takes the driver's context with it; not under w->lock. */
CUresult xg_cu_ctx_end(struct cu_worker *w, struct cu_ctx *c);

/* --- memory.c --------------------------------------------------------------------------------- */

/* Whether [va, va + size) lies in one range. */
bool xg_cu_range_ok(struct cu_worker *w, uint64_t va, uint64_t size);
/* The guest's account: memory on its way back is waited for before it is refused. False: over its
 * quota. */
bool xg_cu_take(struct cu_worker *w, uint64_t size);
void xg_cu_give(struct cu_worker *w, uint64_t size);
/* The same for what takes the device's memory. */
bool xg_cu_charge(struct cu_worker *w, uint64_t size);
void xg_cu_uncharge(struct cu_worker *w, uint64_t size);
int xg_cu_range_add(struct cu_worker *w, const struct cu_range *r);
void xg_cu_range_drop_module(struct cu_worker *w, uint32_t module);
void xg_cu_memory_word(struct cu_worker *w);
/* A place in the arena as the driver sees it; NULL if it is not all inside. */
void *xg_cu_arena(struct cu_worker *w, uint32_t where, uint64_t offset, uint64_t size);
/* On the reaper's thread. */
void xg_cu_unmap_now(struct cu_worker *w, struct cu_item *it);

/* --- quota.c ---------------------------------------------------------------------------------- */

void xg_cu_quota_begin(struct cu_worker *w, struct cu_ctx *c);
void xg_cu_quota_end(struct cu_worker *w, struct cu_ctx *c);
/* Before the first kernel of the context that has so many bytes of local memory for each thread. */
CUresult xg_cu_quota_local(struct cu_worker *w, struct cu_ctx *c, uint64_t each);
/* Before a kernel of the current context that may use its heap is loaded: the driver lays that out
 * once, then. */
CUresult xg_cu_quota_heap(struct cu_worker *w, struct cu_ctx *c);
/* Sets a limit of the context, which is current. */
CUresult xg_cu_quota_limit(struct cu_worker *w, struct cu_ctx *c, CUlimit limit, uint64_t value);

/* --- image_size.c ----------------------------------------------------------------------------- */

/* About what the device will need for an image: its variables, and what is made of its code.
 * UINT64_MAX: no memory to look into it. *mallocs: its kernels may use the context's heap. */
uint64_t xg_cu_image_bytes(struct cu_worker *w, const void *image, uint64_t size, bool *mallocs);

/* --- fence.c ---------------------------------------------------------------------------------- */

int xg_cu_fence_start(struct cu_worker *w);
void xg_cu_fence_stop(struct cu_worker *w);
/* An asynchronous operation went to the stream. */
void xg_cu_submitted(struct cu_worker *w, struct cu_stream *s);
/* Fences every stream that has unfenced work. */
void xg_cu_fence_all(struct cu_worker *w);
/* Whether work of the context, which is current on this thread, is still to be done, as far as its
 * unfenced work tells. False: it does not, something is fenced or may wait for host functions. */
bool xg_cu_open_busy(struct cu_worker *w, const struct cu_ctx *ctx, bool *busy);
/* The ring's thread: the unfenced work of `s`, or of the context if NULL, is over; it was waited
 * for from `since` on. */
void xg_cu_settle(struct cu_worker *w, const struct cu_ctx *ctx, const struct cu_stream *s,
                  uint64_t since);
/* Fences all and queues an action behind. */
int xg_cu_behind(struct cu_worker *w, const struct cu_item *what);
/* A slot is free once what `s` has been given so far is over. */
int xg_cu_slot_fence(struct cu_worker *w, struct cu_stream *s, uint32_t slot, uint64_t seq);
/* The ring's thread, after anything that may have made another context current. */
void xg_cu_ctx_restore(struct cu_worker *w);
/* The queue is empty: nothing is in flight that the reaper knows of. */
void xg_cu_drain(struct cu_worker *w);
/* Leaves the stream's end to the reaper, which may be waiting for it. -ENOENT: nothing is under
 * way, the caller ends it. */
int xg_cu_destroy_behind(struct cu_worker *w, struct cu_stream *s);
/* Under w->lock: marks the ends of what all streams have been given so far. */
void xg_cu_fence_marks(struct cu_worker *w);
/* A host function, the order's `bit` or 0, begins and has ended; any thread. All that was before it
 * in its stream is over. */
/* False: it was not counted, for the lock could not be had. `counted`: what that said. */
bool xg_cu_host_begins(struct cu_worker *w, const struct cu_ctx *ctx, CUstream stream,
                       uint64_t bit);
void xg_cu_host_ended(struct cu_worker *w, uint64_t bit, bool counted);
CUevent xg_cu_event_take(struct cu_worker *w, struct cu_ctx *ctx);
void xg_cu_event_give(struct cu_worker *w, struct cu_ctx *ctx, CUevent e);

/* --- wait.c ----------------------------------------------------------------------------------- */

/* Answers the current call when these are over. `s` NULL: all streams of the current context.
 * `alone`: nobody else uses the ring, so its thread may wait itself. */
CUresult xg_cu_wait_stream(struct cu_worker *w, struct cu_stream *s, bool alone);
CUresult xg_cu_wait_event(struct cu_worker *w, struct cu_event *e, bool alone);
CUresult xg_cu_wait_retired(struct cu_worker *w, uint64_t seq);
CUresult xg_cu_wait_slot(struct cu_worker *w, uint32_t slot, uint64_t seq);
/* On the ring's thread: answers what is over; for a while when there is nothing else to do, at once
 * when there is. */
void xg_cu_wait_poll(struct cu_worker *w);
void xg_cu_wait_busy(struct cu_worker *w);
/* False: one waits on. */
bool xg_cu_wait_stop(struct cu_worker *w);

/* --- host.c ----------------------------------------------------------------------------------- */

int xg_cu_host_start(struct cu_worker *w);
void xg_cu_host_stop(struct cu_worker *w);
/* The call that this ring replays is answered with the next host function, now or later. False:
 * another call waits for it. */
bool xg_cu_host_ask(struct cu_worker *w, struct xg_worker_ring *r);
/* Those that the driver will never run: their context is gone. */
void xg_cu_host_drop(struct cu_worker *w, struct cu_ctx *ctx);
/* Host functions that the guest has not finished: waits of ours must not wait for them without end.
 */
bool xg_cu_host_pending(struct cu_worker *w);
/* The same, and those that the driver has not come to. */
bool xg_cu_host_given(struct cu_worker *w);

#endif
