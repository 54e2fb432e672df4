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
    _Atomic bool gone; /* the guest has destroyed it */
    _Atomic unsigned refs;
    CUcontext h;
    bool sleeps;              /* CU_CTX_SCHED_BLOCKING_SYNC: no polling while a call waits */
    CUresult deferred;        /* first failure of a one-way command, until a call reports it */
    struct cu_stream *legacy; /* stream 0 of this context */
    CUevent copied;           /* recorded after the last copy to the device in stream 0 */
    uint64_t copies;          /* how often it was recorded */
    unsigned
        nonblocking; /* streams that do not wait for stream 0; without any, no event is recorded */
    bool copy_unmarked;          /* ... and there was a copy */
    uint64_t heap, print, local; /* bytes charged; quota.c */
    bool heap_used;              /* `heap` is the whole heap, not only what exceeds the default */
    uint64_t local_each;         /* bytes of local memory that the driver has for each thread */
    CUevent *spare;              /* events for fences and waits; under w->lock */
    unsigned spare_count, spare_size;
    struct cu_ctx *next;
};

/* The host functions that some work waits for: a bit for each that has not ended. `seq`: when, as a
 * bit may have another function since. */
struct cu_order {
    uint64_t bits, seq;
};

struct cu_stream {
    CUstream h;
    struct cu_ctx *ctx;
    uint32_t name;
    bool nonblocking;      /* does not wait for stream 0 */
    uint64_t copies;       /* the context's `copies` when it last waited for them */
    uint32_t open;         /* operations since its last fence; under w->lock */
    struct cu_order order; /* of the next operation; under w->lock */
    bool fenced;           /* our own fence is the last thing in it */
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

/* What the reaper does when all items before this one are over. */
enum cu_action { CU_FENCE, CU_SLOT, CU_RETIRE, CU_UNMAP, CU_FREE, CU_DESTROY };
struct cu_item {
    struct cu_item *next;
    enum cu_action action;
    CUevent event; /* waited for first, may be NULL */
    CUstream stream;
    bool drain; /* the stream is waited for first */
    uint64_t
        after; /* bits of host functions that it waits for; until they end it needs no device */
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
    struct cu_event *foreign; /* event[0] is this event of the application, not a spare */
    _Atomic uint64_t *word; /* instead of events: waits until the reaper has set this to `until` */
    uint64_t until;
    bool queue; /* ... or until the reaper's queue is empty */
    CUresult result;
    CUresult deferred;
};

struct cu_host;

struct cu_worker {
    struct cu_driver d;
    struct xg_worker *worker;
    struct xg_worker_ring *ring;
    CUdevice device;
    char pgpu[64];      /* its name in the configuration */
    uint32_t flags;     /* XG_CUDA_HAS_WINDOW ... */
    bool ready;         /* INIT is done */
    bool integrated;    /* device memory is host memory: copies are the CPU's work */
    bool preemptible;   /* its driver can give the device back inside a kernel (preempt.c) */
    bool errors_spread; /* an error that breaks one context breaks all of the process */
    uint64_t window, window_size; /* reserved here; by the guest too if XG_CUDA_HAS_WINDOW */
    uint64_t granularity, total_memory;
    _Atomic int64_t device_free;  /* of all guests, as far as is known */
    _Atomic uint64_t device_used; /* by this worker */
    uint64_t
        limit[XG_CUDA_LIMITS]; /* a context's at its start, by CUlimit; UINT64_MAX: not known */
    uint64_t threads;          /* that the device holds at once */
    uint8_t *arena;            /* where the driver sees the arena */
    bool arena_alias;          /* ... which is the address that it has in the guest */
    uint64_t arena_device;
    CUcontext _Atomic arena_ctx; /* the context of the registration; NULL: there is none */
    bool arena_refused, arena_tried;
    struct cu_piece *pieces;   /* registered pieces of the arena; arena.c */
    CUcontext first;           /* the primary context, until the guest makes its first one */
    _Atomic bool primary_used; /* by `first`, or by a context that is not ended */
    struct xg_cuda_shared *shared;

    struct xg_table ctxs, streams, events, modules, funcs, arrays, links, textures, surfaces;
    struct cu_ctx *ctx; /* current, as the guest says */
    struct cu_ctx *all_ctx;
    struct cu_stream *all_streams;
    bool replied;
    /* the ring's thread replays a command with the device, perhaps in a call of the driver */
    _Atomic bool replaying;

    struct cu_range *range; /* sorted */
    unsigned range_count, range_size;
    struct cu_image *images;
    uint64_t image_bytes;
    uint64_t pinned_bytes;  /* counted; of an arena that is not registered in pieces */
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
    _Atomic uint32_t unmaps;    /* pieces of memory that are queued to be freed */
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
    /* host functions that ended without getting `lock`, and are still in the counts above */
    _Atomic uint64_t host_late_bits;
    _Atomic unsigned host_late;
    /* records of events and waits for them after a host function; 0 when no function is left */
    unsigned host_marks;

    /* wait.c */
    struct cu_wait *polled;       /* the ring's thread only */
    uint64_t poll_since, poll_ns; /* when polling began, and how long it may take */
    pthread_mutex_t wait_lock;
    pthread_cond_t wait_wake;
    struct cu_wait *waiting, **waiting_tail;
    unsigned waiters, waiters_idle;

    struct cu_host *host; /* host.c */
};

/* --- host_order.c: work that waits for the guest's host functions ----------------------------- */

/* A host function is submitted to `s` next. Returns its bit, or 0 if there are too many: then the
 * work after it counts as any other. */
uint64_t xg_cu_order_begin(struct cu_worker *w, struct cu_stream *s);
void xg_cu_order_record(struct cu_worker *w, struct cu_stream *s, struct cu_event *e);
/* Makes the stream wait for the event. */
CUresult xg_cu_order_wait(struct cu_worker *w, struct cu_stream *s, const struct cu_event *e,
                          unsigned flags);
/* These under w->lock. */
uint64_t xg_cu_order_bits(const struct cu_worker *w, const struct cu_order *o);
void xg_cu_order_add(struct cu_worker *w, struct cu_stream *s, uint64_t bits);
/* The next operation in `s` waits for what the rules of stream 0 say. */
void xg_cu_order_implied(struct cu_worker *w, struct cu_stream *s);
/* Tells the guest whether more work may wait for host functions. */
void xg_cu_room_tell(struct cu_worker *w);
/* Not under w->lock. Waits, without the device, while far too much work waits for host functions;
 * the guest was told earlier. */
void xg_cu_room_wait(struct cu_worker *w);
/* Whether some of the work in flight could run now. */
bool xg_cu_order_device_needed(const struct cu_worker *w);
void xg_cu_host_forget(struct cu_worker *w, uint64_t bits);

/* --- preempt.c -------------------------------------------------------------------------------- */

/* If the driver can be stopped in the middle of its work, it will be from now on. */
void xg_cu_preempt_start(struct cu_worker *w);

/* --- replay.c --------------------------------------------------------------------------------- */

/* Replies to the call that is being replayed; `rep` starts with its CUresult. */
void xg_cu_reply(struct cu_worker *w, const void *rep, uint32_t size);
/* Second word of a reply: whether there is text for the guest. Any thread. */
uint32_t xg_cu_text_word(void);
/* Looks at a CUresult of the driver, and keeps those that break a context. Returns it. Any thread.
 */
CUresult xg_cu_error_note(struct cu_worker *w, struct cu_ctx *ctx, CUresult r);
/* Returns the context's first deferred error, once, if `r` is no error itself. */
CUresult xg_cu_deferred_take(struct cu_ctx *ctx, CUresult r);
void xg_cu_error_defer(struct cu_ctx *ctx, CUresult r);
/* The guest broke the protocol: its channel ends. */
CUresult xg_cu_protocol_fail(struct cu_worker *w, const char *why);
/* Drops a reference; the last one destroys the event. Its context is current. */
CUresult xg_cu_event_put(struct cu_worker *w, struct cu_event *e);
struct cu_stream *xg_cu_stream_find(struct cu_worker *w, uint32_t name);
/* To be called after a copy to the device that nobody waits for. */
void xg_cu_stream_copied(struct cu_worker *w, struct cu_stream *s);
/* To be called before an operation goes to the stream. */
void xg_cu_stream_order(struct cu_worker *w, struct cu_stream *s);
/* Finds the stream for an asynchronous operation, and prepares it; waits while too much is in
 * flight. */
struct cu_stream *xg_cu_work_stream(struct cu_worker *w, uint32_t name);

/* Around long work of the driver that uses only the CPU, such as compiling: other guests may have
 * the device meanwhile. (If the CPU is the device, it keeps it.) On the ring's thread. */
void xg_cu_device_pause(struct cu_worker *w);
void xg_cu_device_resume(struct cu_worker *w);
/* The error's name, or its number; in a buffer of the thread. */
const char *xg_cu_error_text(CUresult r);

/* --- arena.c ---------------------------------------------------------------------------------- */

/* `address`: where the guest has the arena; 0: it does not care. */
void xg_cu_arena_place(struct cu_worker *w, uint64_t address);
/* Decides whether the guest names pieces to register, as is better for a large arena.
 * `same_address`: registered memory has the same address for the device as in this process. */
void xg_cu_arena_pieces(struct cu_worker *w, bool same_address);
void xg_cu_pieces_free(struct cu_worker *w);
/* Registers the arena with the driver, in this context, if it is not yet. */
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
/* The guest's account of memory. If there is too little, waits for memory that is about to be
 * freed. False: over its quota. */
bool xg_cu_account_take(struct cu_worker *w, uint64_t size);
void xg_cu_account_give(struct cu_worker *w, uint64_t size);
/* The same for memory of the device. */
bool xg_cu_device_charge(struct cu_worker *w, uint64_t size);
void xg_cu_device_uncharge(struct cu_worker *w, uint64_t size);
int xg_cu_range_add(struct cu_worker *w, const struct cu_range *r);
void xg_cu_range_drop_module(struct cu_worker *w, uint32_t module);
void xg_cu_memory_word(struct cu_worker *w);
/* A place in the arena, as the driver sees it; NULL if it is not inside. */
void *xg_cu_arena_at(struct cu_worker *w, uint32_t where, uint64_t offset, uint64_t size);
/* On the reaper's thread. */
void xg_cu_unmap_now(struct cu_worker *w, struct cu_item *it);

/* --- quota.c ---------------------------------------------------------------------------------- */

void xg_cu_quota_begin(struct cu_worker *w, struct cu_ctx *c);
void xg_cu_quota_end(struct cu_worker *w, struct cu_ctx *c);
/* To be called before the first kernel that needs so many bytes of local memory for each thread. */
CUresult xg_cu_quota_local(struct cu_worker *w, struct cu_ctx *c, uint64_t each);
/* To be called before the first kernel is loaded that may use the heap of the current context: the
 * driver makes the heap then. */
CUresult xg_cu_quota_heap(struct cu_worker *w, struct cu_ctx *c);
/* Sets a limit of the context, which is current. */
CUresult xg_cu_quota_limit(struct cu_worker *w, struct cu_ctx *c, CUlimit limit, uint64_t value);

/* --- image_size.c ----------------------------------------------------------------------------- */

/* About how many bytes the device will need for an image: its variables and its code. UINT64_MAX:
 * not enough memory to unpack it. *mallocs: its kernels may use the context's heap. */
uint64_t xg_cu_image_bytes(struct cu_worker *w, const void *image, uint64_t size, bool *mallocs);

/* --- fence.c ---------------------------------------------------------------------------------- */

int xg_cu_fence_start(struct cu_worker *w);
void xg_cu_fence_stop(struct cu_worker *w);
/* An asynchronous operation went to the stream. */
void xg_cu_op_submitted(struct cu_worker *w, struct cu_stream *s);
/* Fences every stream that has unfenced work. */
void xg_cu_fence_all(struct cu_worker *w);
/* *busy: whether the context, which is current on this thread, has unfinished work. False: this
 * cannot be told, because something is fenced or may wait for host functions. */
bool xg_cu_streams_busy(struct cu_worker *w, const struct cu_ctx *ctx, bool *busy);
/* On the ring's thread. The unfenced work of `s`, or of the context if NULL, is over; waiting for
 * it began at `since`. */
void xg_cu_streams_settle(struct cu_worker *w, const struct cu_ctx *ctx, const struct cu_stream *s,
                          uint64_t since);
/* Fences all work, and queues an action after it. 0 or -errno. */
int xg_cu_action_queue(struct cu_worker *w, const struct cu_item *what);
/* Frees a slot once all work that `s` has now is over. 0 or -errno: nothing was queued. */
int xg_cu_slot_fence(struct cu_worker *w, struct cu_stream *s, uint32_t slot, uint64_t seq);
/* The ring's thread, after anything that may have made another context current. */
void xg_cu_ctx_restore(struct cu_worker *w);
/* Waits until the reaper's queue is empty; not for host functions of the guest. */
void xg_cu_queue_drain(struct cu_worker *w);
/* Lets the reaper, which may wait for the stream, destroy it. -ENOENT: nothing is under way, the
 * caller destroys it. */
int xg_cu_stream_end(struct cu_worker *w, struct cu_stream *s);
/* Under w->lock. Records a fence after the work that each stream has now. */
void xg_cu_fence_marks(struct cu_worker *w);
/* A host function begins, and has ended; `bit`: of the order, or 0. Any thread. All work before it
 * in its stream is over. False: it was not counted, because the lock could not be taken. `counted`:
 * what xg_cu_host_begin returned. */
bool xg_cu_host_begin(struct cu_worker *w, const struct cu_ctx *ctx, CUstream stream, uint64_t bit);
void xg_cu_host_end(struct cu_worker *w, uint64_t bit, bool counted);
CUevent xg_cu_event_take(struct cu_worker *w, struct cu_ctx *ctx);
void xg_cu_event_give(struct cu_worker *w, struct cu_ctx *ctx, CUevent e);

/* --- wait.c ----------------------------------------------------------------------------------- */

/* Answers the current call when these are over. `s` NULL: all streams of the current context.
 * `alone`: no other thread of the application uses the ring, so the ring's thread itself may wait.
 */
CUresult xg_cu_wait_stream(struct cu_worker *w, struct cu_stream *s, bool alone);
CUresult xg_cu_wait_event(struct cu_worker *w, struct cu_event *e, bool alone);
CUresult xg_cu_wait_retired(struct cu_worker *w, uint64_t seq);
CUresult xg_cu_wait_slot(struct cu_worker *w, uint32_t slot, uint64_t seq);
/* On the ring's thread. Both answer calls whose wait is over: the first polls for a while, when
 * there are no commands; the second looks once. */
void xg_cu_wait_poll(struct cu_worker *w);
void xg_cu_wait_busy(struct cu_worker *w);
/* False: a thread still waits. */
bool xg_cu_wait_stop(struct cu_worker *w);

/* --- host.c ----------------------------------------------------------------------------------- */

int xg_cu_host_start(struct cu_worker *w);
void xg_cu_host_stop(struct cu_worker *w);
/* Answers the call that this ring replays with the next host function, now or later. False: another
 * call waits for it already. */
bool xg_cu_host_ask(struct cu_worker *w, struct xg_worker_ring *r);
/* Forgets those that the driver will never run, because their context is gone. */
void xg_cu_host_drop(struct cu_worker *w, struct cu_ctx *ctx);
/* The guest has begun host functions and not finished them: the worker must not wait for them
 * without end. */
bool xg_cu_host_pending(struct cu_worker *w);
/* The same, or the driver has some that have not begun. */
bool xg_cu_host_given(struct cu_worker *w);

#endif
