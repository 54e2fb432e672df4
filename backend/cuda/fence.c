/*
 * Work in flight: which operations the driver has not finished, and what may happen only after
 * them.
 *
 * Operations on a stream are counted. When there are too many, an event (a fence) is recorded after
 * them, before the next operation. When the guest pauses, the reaper waits for the stream itself: a
 * fence as the last thing in a stream would be seen by the application's own queries. One queue
 * holds fences and actions in order of submission; the reaper thread removes them as they complete.
 * Operations that the application itself has waited for need none of this. The device is held while
 * the queue or a stream has anything that could run (host_order.c).
 */
#include "backend/cuda/replay.h"
#include "protocol/cond.h"

#include <errno.h>
#include <stdlib.h>

/* Operations: */
#define FENCE_OPS          32u   /* per fence when nobody else wants the device */
#define FLIGHT_MIN         8u    /* always allowed in flight */
#define FLIGHT_MIN_SHARED  2u    /* ... if another guest wants the device, which then waits */
#define FLIGHT_MAX         256u  /* the next ones may take longer than those that were measured */
#define FLIGHT_MAX_PREEMPT 4096u /* ... or if the device can be taken away from them */

/* If another guest wants the device, longer operations than this are in flight one by one: the gaps
 * between them cost little. */
#define ALONE_NS     10000000u
#define LONG_OP_NS   100000u    /* operations that take longer are fenced one by one */
#define STALE_NS     1000000u   /* unfenced work older than this is fenced by the reaper */
#define HOST_LOCK_NS 1000000u   /* how long a thread of the driver waits for the lock */
#define HOST_LATE_NS 100000000u /* how often the reaper looks for those that did not get it */

/* --- events ----------------------------------------------------------------------------------- */

/* Under w->lock; the context is current on this thread. */
static CUevent event_take(struct cu_worker *w, struct cu_ctx *ctx)
{
    CUevent e = NULL;

    if (ctx->spare_count)
        return ctx->spare[--ctx->spare_count];
    if (w->d.cuEventCreate(&e, CU_EVENT_DISABLE_TIMING | CU_EVENT_BLOCKING_SYNC) != CUDA_SUCCESS)
        return NULL;
    return e;
}

static void event_give(struct cu_worker *w, struct cu_ctx *ctx, CUevent e)
{
    if (ctx->spare_count == ctx->spare_size) {
        unsigned size = ctx->spare_size ? ctx->spare_size * 2 : 64;
        CUevent *more = realloc(ctx->spare, size * sizeof(*more));
        if (!more) {
            w->d.cuEventDestroy_v2(e);
            return;
        }
        ctx->spare = more;
        ctx->spare_size = size;
    }
    ctx->spare[ctx->spare_count++] = e;
}

CUevent xg_cu_event_take(struct cu_worker *w, struct cu_ctx *ctx)
{
    pthread_mutex_lock(&w->lock);
    CUevent e = event_take(w, ctx);
    pthread_mutex_unlock(&w->lock);
    return e;
}

void xg_cu_event_give(struct cu_worker *w, struct cu_ctx *ctx, CUevent e)
{
    pthread_mutex_lock(&w->lock);
    event_give(w, ctx, e);
    pthread_mutex_unlock(&w->lock);
}

/* --- the queue -------------------------------------------------------------------------------- */

static struct cu_item *item_new(struct cu_worker *w)
{
    struct cu_item *it = w->spare_items;
    if (it) {
        w->spare_items = it->next;
        memset(it, 0, sizeof(*it));
        return it;
    }
    return calloc(1, sizeof(*it));
}

/* Under w->lock. Work that has the device while host functions run may wait for them (in a graph,
 * or in a kernel that polls memory), and their ends come through the ring. So the ring must go on.
 */
static void ring_need_tell(struct cu_worker *w)
{
    if (w->ring)
        xg_ring_needed(w->ring, w->holding && w->host_running);
}

/* Under w->lock. Work was submitted. `after`: the host functions that it waits for. */
static void device_keep(struct cu_worker *w, uint64_t after)
{
    w->busy = true;
    if (!w->holding && !after) {
        w->holding = true;
        xg_hold_keep(w->worker, &w->hold);
        ring_need_tell(w);
    }
}

/* Under w->lock. */
static void device_drop(struct cu_worker *w)
{
    if (w->holding && !xg_cu_order_device_needed(w)) {
        w->holding = false;
        xg_hold_drop(w->worker, &w->hold);
        ring_need_tell(w);
    }
}

/* Under w->lock. */
static void item_queue(struct cu_worker *w, struct cu_item *it)
{
    it->next = NULL;
    it->since = xg_now_ns();
    xg_cu_ctx_hold(it->ctx);
    *w->queue_tail = it;
    w->queue_tail = &it->next;
    w->in_flight += it->ops;
    device_keep(w, it->after);
    pthread_cond_signal(&w->reaper_wake);
}

static void dirty_remove(struct cu_worker *w, struct cu_stream *s)
{
    struct cu_stream **at = &w->dirty;
    while (*at && *at != s)
        at = &(*at)->dirty_next;
    if (*at)
        *at = s->dirty_next;
    s->dirty_next = NULL;
}

/* Under w->lock. Makes the context of `s` current on this thread. `mark`: with an event; otherwise
 * the reaper waits until the stream has nothing more to do. */
static int fence_stream(struct cu_worker *w, struct cu_stream *s, bool mark)
{
    struct cu_item *it = item_new(w);
    CUresult r;

    if (!it)
        return -ENOMEM;
    w->d.cuCtxSetCurrent(s->ctx->h);
    it->action = CU_FENCE;
    it->ctx = s->ctx;
    it->ops = s->open;
    it->stream = s->h;
    it->after = xg_cu_order_bits(w, &s->order);
    r = w->d.cuStreamQuery(s->h);
    /* Without an event, the reaper would also wait for host functions that are submitted later. */
    if (r == CUDA_ERROR_NOT_READY && (mark || w->host_ever)) {
        it->event = event_take(w, s->ctx);
        r = it->event ? w->d.cuEventRecord(it->event, s->h) : CUDA_ERROR_OUT_OF_MEMORY;
        s->fenced = true;
    } else if (r == CUDA_ERROR_NOT_READY) {
        it->drain = true;
        r = CUDA_SUCCESS;
    }
    xg_cu_error_note(w, s->ctx, r); /* in a broken context nothing is in flight any more */
    atomic_fetch_sub_explicit(&w->open_ops, s->open, memory_order_relaxed);
    s->open = 0;
    dirty_remove(w, s);
    item_queue(w, it);
    return 0;
}

void xg_cu_fence_marks(struct cu_worker *w)
{
    while (w->dirty && fence_stream(w, w->dirty, true) == 0)
        ;
}

/* A GPU's driver waits for a stream by polling, which uses a whole processor, and sleeps while it
 * waits for an event, which is over as soon as the work before it. With a device on the CPU it is
 * the other way round. */
static int fence_last(struct cu_worker *w, struct cu_stream *s)
{
    return fence_stream(w, s, !w->integrated);
}

static void fence_all(struct cu_worker *w)
{
    while (w->dirty && fence_last(w, w->dirty) == 0)
        ;
}

void xg_cu_ctx_restore(struct cu_worker *w)
{
    w->d.cuCtxSetCurrent(w->ctx ? w->ctx->h : NULL);
}

void xg_cu_fence_all(struct cu_worker *w)
{
    if (!atomic_load_explicit(&w->open_ops, memory_order_relaxed))
        return;
    pthread_mutex_lock(&w->lock);
    fence_all(w);
    pthread_mutex_unlock(&w->lock);
    xg_cu_ctx_restore(w);
}

/* --- bounds ----------------------------------------------------------------------------------- */

static uint64_t flight_limit(const struct cu_worker *w)
{
    bool shared = xg_device_contended(w->worker);
    uint64_t ns = shared ? XG_FLIGHT_SHARED_NS : XG_FLIGHT_ALONE_NS;
    uint64_t ops = w->op_ns ? ns / w->op_ns : FLIGHT_MIN; /* not measured: they may be long */
    uint64_t least = !shared ? FLIGHT_MIN : w->op_ns < ALONE_NS ? FLIGHT_MIN_SHARED : 1;
    return xg_min_u64(xg_max_u64(ops, least), w->preemptible ? FLIGHT_MAX_PREEMPT : FLIGHT_MAX);
}

/* Under w->lock. Waits until less is in flight; false: it did not need to wait. It does not wait
 * while a host function of the guest runs, which may need this ring to end. */
static bool flight_wait(struct cu_worker *w)
{
    if (w->in_flight < flight_limit(w))
        return false;
    fence_all(w);
    while (w->in_flight >= flight_limit(w) && !w->closing && !xg_cu_host_pending(w))
        xg_cond_wait_ns(&w->reaped, &w->lock, 10000000);
    return true;
}

struct cu_stream *xg_cu_work_stream(struct cu_worker *w, uint32_t name)
{
    struct cu_stream *s = xg_cu_stream_find(w, name);

    if (s && XG_UNLIKELY(w->host_used)) {
        pthread_mutex_lock(&w->lock);
        xg_cu_order_implied(w, s);
        pthread_mutex_unlock(&w->lock);
    }
    if (s)
        xg_cu_stream_order(w, s);
    /* If an event of the application has fenced its work, s->open is 0, but work is in flight. */
    if (!s || (!s->open && !atomic_load_explicit(&w->in_flight, memory_order_relaxed)))
        return s;
    unsigned most =
        xg_device_contended(w->worker) || !w->op_ns || w->op_ns > LONG_OP_NS ? 1 : FENCE_OPS;
    if (s->open && s->open < most)
        return s;
    pthread_mutex_lock(&w->lock);
    if (s->open)
        fence_stream(w, s, true);
    bool waited = flight_wait(w);
    pthread_mutex_unlock(&w->lock);
    if (waited)
        xg_device_yield(w->ring);
    xg_cu_ctx_restore(w);
    return s;
}

void xg_cu_op_submitted(struct cu_worker *w, struct cu_stream *s)
{
    pthread_mutex_lock(&w->lock);
    s->fenced = false;
    if (s->open++ == 0) {
        s->dirty_next = w->dirty;
        w->dirty = s;
        if (!w->busy)
            pthread_cond_signal(&w->reaper_wake);
        device_keep(w, xg_cu_order_bits(w, &s->order));
    }
    atomic_fetch_add_explicit(&w->open_ops, 1, memory_order_relaxed);
    pthread_mutex_unlock(&w->lock);
}

/* --- actions ---------------------------------------------------------------------------------- */

int xg_cu_action_queue(struct cu_worker *w, const struct cu_item *what)
{
    int err = -ENOMEM;

    pthread_mutex_lock(&w->lock);
    fence_all(w);
    struct cu_item *it = item_new(w);
    if (it) {
        *it = *what;
        item_queue(w, it);
        err = 0;
    }
    pthread_mutex_unlock(&w->lock);
    xg_cu_ctx_restore(w);
    return err;
}

int xg_cu_slot_fence(struct cu_worker *w, struct cu_stream *s, uint32_t slot, uint64_t seq)
{
    int err = -ENOMEM;

    pthread_mutex_lock(&w->lock);
    err = fence_stream(w, s, true);
    struct cu_item *it = err ? NULL : item_new(w);
    if (it) {
        it->action = CU_SLOT;
        it->slot = slot;
        it->seq = seq;
        item_queue(w, it);
    }
    pthread_mutex_unlock(&w->lock);
    xg_cu_ctx_restore(w);
    return it ? 0 : err;
}

void xg_cu_queue_drain(struct cu_worker *w)
{
    pthread_mutex_lock(&w->lock);
    fence_all(w);
    while (w->queue && !w->closing && !xg_cu_host_pending(w))
        xg_cond_wait_ns(&w->reaped, &w->lock, 10000000);
    pthread_mutex_unlock(&w->lock);
    xg_cu_ctx_restore(w);
}

int xg_cu_stream_end(struct cu_worker *w, struct cu_stream *s)
{
    pthread_mutex_lock(&w->lock);
    if (s->open || w->queue) /* after its last fence there may be events, which are not counted */
        fence_last(w, s);
    struct cu_item *it = w->queue ? item_new(w) : NULL;
    if (it) {
        it->action = CU_DESTROY;
        it->ctx = s->ctx;
        it->stream = s->h;
        item_queue(w, it);
    }
    pthread_mutex_unlock(&w->lock);
    xg_cu_ctx_restore(w);
    return it ? 0 : -ENOENT;
}

static void action_run(struct cu_worker *w, struct cu_item *it)
{
    switch (it->action) {
    case CU_FENCE: break;
    case CU_DESTROY:
        w->d.cuCtxSetCurrent(it->ctx->h);
        w->d.cuStreamDestroy_v2(it->stream);
        break;
    case CU_SLOT:
        atomic_store_explicit(&w->shared->slot_done[it->slot], it->seq, memory_order_release);
        break;
    case CU_UNMAP:
    case CU_FREE:
        xg_cu_unmap_now(w, it);
        /* fall through */
    case CU_RETIRE:
        atomic_store_explicit(&w->shared->retired, it->seq, memory_order_release);
        break;
    }
}

/* Under w->lock. Measures how long one operation takes, from fence to fence. A longer time counts
 * at once, a shorter one slowly. */
static void op_measure(struct cu_worker *w, unsigned ops, uint64_t since)
{
    uint64_t now = xg_now_ns();
    uint64_t start = xg_max_u64(since, w->last_reaped);

    if (ops && now > start) {
        uint64_t each = xg_max_u64((now - start) / ops, 1);
        w->op_ns = xg_max_u64(each, (w->op_ns * 7 + each) / 8);
        xg_device_progress(w->worker);
    }
    w->last_reaped = now;
}

bool xg_cu_streams_busy(struct cu_worker *w, const struct cu_ctx *ctx, bool *busy)
{
    pthread_mutex_lock(&w->lock);
    bool all = !w->queue && !w->host_ever;
    *busy = false;
    for (const struct cu_stream *s = w->dirty; all && s && !*busy; s = s->dirty_next)
        *busy = s->ctx == ctx && w->d.cuStreamQuery(s->h) == CUDA_ERROR_NOT_READY;
    pthread_mutex_unlock(&w->lock);
    return all;
}

void xg_cu_streams_settle(struct cu_worker *w, const struct cu_ctx *ctx, const struct cu_stream *s,
                          uint64_t since)
{
    if (!atomic_load_explicit(&w->open_ops, memory_order_relaxed))
        return;
    pthread_mutex_lock(&w->lock);
    for (struct cu_stream *d = w->dirty, *next; d && !w->queue; d = next) {
        next = d->dirty_next;
        if (s ? d != s : d->ctx != ctx)
            continue;
        op_measure(w, d->open, since);
        atomic_fetch_sub_explicit(&w->open_ops, d->open, memory_order_relaxed);
        d->open = 0;
        dirty_remove(w, d);
    }
    device_drop(w);
    pthread_mutex_unlock(&w->lock);
}

/* --- the reaper ------------------------------------------------------------------------------- */

static void host_catch_up(struct cu_worker *w);

/* Under w->lock. The first item that can be over. Fences may overtake; an action runs only when all
 * items before it are over. */
static struct cu_item *item_next(struct cu_worker *w)
{
    for (struct cu_item *it = w->queue; it; it = it->next)
        if (it->action == CU_FENCE ? !it->after : it == w->queue)
            return it;
    return NULL;
}

/* Under w->lock. Nothing can be reaped: everything is over, not fenced yet, or waits for host
 * functions. */
static void reaper_sleep(struct cu_worker *w)
{
    device_drop(w);
    if (!atomic_load_explicit(&w->open_ops, memory_order_relaxed)) {
        w->busy = w->queue != NULL;
        if (w->host_used) /* xg_cu_host_end signals without the lock if it must */
            xg_cond_wait_ns(&w->reaper_wake, &w->lock, HOST_LATE_NS);
        else
            pthread_cond_wait(&w->reaper_wake, &w->lock);
        return;
    }
    /* The ring's thread fences when it has no more commands, but it may be stopped before. Nothing
     * is fenced here while it is in a call of the driver, which may wait for a host function and
     * hold the driver's locks: this thread would then wait for these, and keep our lock. */
    if (xg_cond_wait_ns(&w->reaper_wake, &w->lock, STALE_NS) == ETIMEDOUT && !item_next(w) &&
        !atomic_load_explicit(&w->replaying, memory_order_relaxed))
        fence_all(w);
}

/* Under w->lock. */
static void item_remove(struct cu_worker *w, struct cu_item *it)
{
    struct cu_item **at = &w->queue;

    while (*at != it)
        at = &(*at)->next;
    *at = it->next;
    if (!it->next)
        w->queue_tail = at;
    it->next = w->spare_items;
    w->spare_items = it;
    pthread_cond_broadcast(&w->reaped);
}

/* Under w->lock, which is released meanwhile. */
static void item_reap(struct cu_worker *w, struct cu_item *it)
{
    if (it->event || it->drain) {
        pthread_mutex_unlock(&w->lock);
        w->d.cuCtxSetCurrent(it->ctx->h);
        xg_cu_error_note(w, it->ctx,
                         it->drain ? w->d.cuStreamSynchronize(it->stream)
                                   : w->d.cuEventSynchronize(it->event));
        pthread_mutex_lock(&w->lock);
        op_measure(w, it->ops, it->since);
        if (it->event)
            event_give(w, it->ctx, it->event);
    }
    w->in_flight -= it->ops;
    if (it->action != CU_FENCE) {
        pthread_mutex_unlock(&w->lock);
        action_run(w, it);
        pthread_mutex_lock(&w->lock);
    }
    if (xg_cu_ctx_unref(it->ctx)) {
        pthread_mutex_unlock(&w->lock);
        xg_cu_ctx_end(w, it->ctx);
        pthread_mutex_lock(&w->lock);
    }
    item_remove(w, it); /* after the action, because draining the queue waits for actions too */
    if (w->host_used)
        xg_cu_room_tell(w);
}

static void *reaper_main(void *arg)
{
    struct cu_worker *w = arg;

    pthread_mutex_lock(&w->lock);
    while (!w->closing) {
        host_catch_up(w);
        struct cu_item *it = item_next(w);
        if (it)
            item_reap(w, it);
        else
            reaper_sleep(w);
    }
    pthread_mutex_unlock(&w->lock);
    return NULL;
}

/* --- host functions --------------------------------------------------------------------------- */

/* The thread that has the lock may be in a call of the driver that waits for this host function. */
static bool host_lock(struct cu_worker *w)
{
    return xg_mutex_lock_ns(&w->lock, HOST_LOCK_NS) == 0;
}

bool xg_cu_host_begin(struct cu_worker *w, const struct cu_ctx *ctx, CUstream stream, uint64_t bit)
{
    if (!host_lock(w))
        return false;
    for (struct cu_item *it = w->queue; it; it = it->next)
        if (it->action == CU_FENCE && it->ctx == ctx && it->stream == stream && it->drain)
            it->after |= bit; /* that work is over, but the reaper may wait for the whole stream */
    w->host_running++;
    device_drop(w);
    ring_need_tell(w);
    pthread_mutex_unlock(&w->lock);
    return true;
}

/* Under w->lock, which is released meanwhile. Gets the device for the work that may run now. */
static void host_follow(struct cu_worker *w)
{
    if (w->holding || w->closing || !xg_cu_order_device_needed(w)) {
        ring_need_tell(w);
        return;
    }
    w->holding = true;
    ring_need_tell(w);
    pthread_mutex_unlock(&w->lock);
    /* The ring's thread may have the device, and wait in the driver for the end of this host
     * function: then this guest would never get another turn. */
    if (!atomic_load(&w->replaying) || !xg_hold_join(w->worker, &w->hold))
        xg_hold_take(w->worker, &w->hold);
    pthread_mutex_lock(&w->lock);
    if (!w->holding) /* all work was over before the device came */
        xg_hold_drop(w->worker, &w->hold);
}

/* Under w->lock, on the reaper's thread. Handles host functions that ended without getting the
 * lock. */
static void host_catch_up(struct cu_worker *w)
{
    unsigned counted = atomic_exchange(&w->host_late, 0);
    uint64_t bits = atomic_exchange(&w->host_late_bits, 0);

    if (XG_LIKELY(!counted && !bits))
        return;
    w->host_running -= counted;
    xg_cu_host_forget(w, bits);
    host_follow(w);
}

/* The work after it may run as soon as this returns, so this waits for the device. */
void xg_cu_host_end(struct cu_worker *w, uint64_t bit, bool counted)
{
    if (!host_lock(w)) {
        atomic_fetch_or(&w->host_late_bits, bit);
        atomic_fetch_add(&w->host_late, counted);
        pthread_cond_signal(&w->reaper_wake);
        return;
    }
    w->host_running -= counted;
    xg_cu_host_forget(w, bit);
    host_follow(w);
    pthread_mutex_unlock(&w->lock);
}

int xg_cu_fence_start(struct cu_worker *w)
{
    int err = pthread_create(&w->reaper, NULL, reaper_main, w);
    w->reaper_running = err == 0;
    return -err;
}

static void items_free(struct cu_item *it)
{
    while (it) {
        struct cu_item *next = it->next;
        free(it);
        it = next;
    }
}

void xg_cu_fence_stop(struct cu_worker *w)
{
    pthread_mutex_lock(&w->lock);
    w->closing = true;
    pthread_cond_broadcast(&w->reaper_wake);
    pthread_cond_broadcast(&w->reaped);
    pthread_mutex_unlock(&w->lock);
    if (w->reaper_running)
        pthread_join(w->reaper, NULL);
    items_free(w->queue);
    items_free(w->spare_items);
}
