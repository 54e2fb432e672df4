/*
 * Calls that wait. A wait is a list of events, recorded when the call came. The ring's thread polls
 * them for a while; then a thread of its own waits, so that the ring can go on.
 */
#include "backend/cuda/replay.h"

#include "protocol/cond.h"
#include "protocol/event.h"

#include <stdlib.h>

#define POLL_NS     40000u /* about what handing over to a thread and waking it costs */
#define WAITERS_MAX 256u
#define STACK_SIZE  (256u << 10)
#define SHORT_OP_NS                                                                                \
    200000u /* longer ones are not waited for here: another thread may come to use the ring */
#define SOON_NS 200000u /* how long a GPU is polled here: its driver would poll without end */

static struct cu_wait *wait_new(struct cu_worker *w)
{
    struct cu_wait *wt = calloc(1, sizeof(*wt));
    if (wt) {
        wt->ring = w->ring;
        wt->ticket = w->ring->ticket;
        wt->ctx = w->ctx;
        xg_cu_ctx_hold(wt->ctx);
        wt->event = wt->inline_event;
    }
    return wt;
}

static void wait_free(struct cu_worker *w, struct cu_wait *wt)
{
    if (wt->foreign)
        xg_cu_event_put(w, wt->foreign);
    for (unsigned i = 0; i < wt->count && !wt->foreign; i++)
        xg_cu_event_give(w, wt->ctx, wt->event[i]);
    if (wt->event != wt->inline_event)
        free(wt->event);
    if (xg_cu_ctx_unref(wt->ctx))
        xg_cu_ctx_end(w, wt->ctx);
    free(wt);
}

static void wait_finish(struct cu_worker *w, struct cu_wait *wt)
{
    CUresult r = wt->result != CUDA_SUCCESS ? wt->result : wt->deferred;
    const struct xg_cuda_result rep = {.result = xg_cu_error_note(w, wt->ctx, r),
                                       .text = wt->word ? 0 : xg_cu_text_word()};

    /* The guest may destroy the context as soon as it has the answer, so our reference must be gone
     * before. */
    struct xg_worker_ring *ring = wt->ring;
    uint32_t ticket = wt->ticket;
    wait_free(w, wt);
    xg_reply(ring, ticket, 0, &rep, sizeof(rep));
}

/* If the CPU is the device, polling takes its time. */
static uint64_t poll_limit(const struct cu_worker *w, const struct cu_wait *wt)
{
    bool sleeps = wt->foreign ? wt->foreign->sleeps : wt->ctx && wt->ctx->sleeps;
    return w->integrated || sleeps ? POLL_NS : xg_max_u64(xg_poll_long_ns(), POLL_NS);
}

/* The call is answered later: it takes the error of earlier commands along now. */
static void wait_begin(struct cu_worker *w, struct cu_wait *wt)
{
    uint64_t limit = poll_limit(w, wt);

    if (!wt->word) /* these calls are the guest's own, and report no errors */
        wt->deferred = xg_cu_deferred_take(wt->ctx, CUDA_SUCCESS);
    if (!w->polled)
        w->poll_since = xg_now_ns();
    w->poll_ns = w->polled ? xg_min_u64(w->poll_ns, limit) : limit;
    wt->next = w->polled;
    w->polled = wt;
    w->replied = true;
}

/* Records an event after the work that the stream has now. */
static CUresult wait_record(struct cu_worker *w, struct cu_wait *wt, CUstream s)
{
    CUevent e = xg_cu_event_take(w, wt->ctx);
    CUresult r = e ? w->d.cuEventRecord(e, s) : CUDA_ERROR_OUT_OF_MEMORY;

    if (r != CUDA_SUCCESS) {
        if (e)
            xg_cu_event_give(w, wt->ctx, e);
        return r;
    }
    wt->event[wt->count++] = e;
    return r;
}

/* --- what is waited for ----------------------------------------------------------------------- */

static unsigned streams_of(struct cu_worker *w, const struct cu_ctx *ctx)
{
    unsigned n = 0;
    for (struct cu_stream *s = w->all_streams; s; s = s->next)
        n += s->ctx == ctx;
    return n;
}

static CUresult wait_context(struct cu_worker *w)
{
    struct cu_stream *s;
    CUresult r = CUDA_SUCCESS;
    unsigned most = streams_of(w, w->ctx) + 1;
    struct cu_wait *wt = wait_new(w);

    if (!wt)
        return CUDA_ERROR_OUT_OF_MEMORY;
    if (most > CU_WAIT_EVENTS) {
        CUevent *more = malloc(most * sizeof(*more));
        if (!more) {
            wait_free(w, wt);
            return CUDA_ERROR_OUT_OF_MEMORY;
        }
        wt->event = more;
    }
    for (s = w->all_streams; s && r == CUDA_SUCCESS; s = s->next) {
        if (s->ctx != w->ctx)
            continue;
        r = w->d.cuStreamQuery(s->h);
        if (r == CUDA_ERROR_NOT_READY)
            r = wait_record(w, wt, s->h);
    }
    if (r == CUDA_SUCCESS) {
        r = w->d.cuStreamQuery(NULL);
        if (r == CUDA_ERROR_NOT_READY)
            r = wait_record(w, wt, NULL);
    }
    if (r == CUDA_SUCCESS && wt->count == 0 && xg_cu_host_given(w)) {
        xg_cu_fence_all(w); /* a stream that the reaper will destroy waits for a host function */
        wt->queue = true;
        wait_begin(w, wt);
        return CUDA_SUCCESS;
    }
    if (r != CUDA_SUCCESS || wt->count == 0) {
        wait_free(w, wt);
        /* Nothing is under way, so this does not wait; it returns an error that the driver keeps.
         */
        return xg_cu_deferred_take(w->ctx, r != CUDA_SUCCESS ? r : w->d.cuCtxSynchronize());
    }
    wait_begin(w, wt);
    return CUDA_SUCCESS;
}

/* `s` NULL: every stream of the context. A query is slow with a GPU's driver, so few are made. */
static bool streams_busy(struct cu_worker *w, const struct cu_stream *s)
{
    if (s)
        return w->d.cuStreamQuery(s->h) == CUDA_ERROR_NOT_READY;
    bool busy;
    if (xg_cu_streams_busy(w, w->ctx, &busy))
        return busy;
    for (s = w->all_streams; s; s = s->next)
        if (s->ctx == w->ctx && w->d.cuStreamQuery(s->h) == CUDA_ERROR_NOT_READY)
            return true;
    return w->d.cuStreamQuery(NULL) == CUDA_ERROR_NOT_READY;
}

/* Whether the work is over soon, so that this thread may wait for it. */
static bool streams_soon(struct cu_worker *w, const struct cu_stream *s)
{
    uint64_t end = xg_now_ns() + SOON_NS;

    if (w->integrated)
        return true;
    while (streams_busy(w, s)) {
        if (xg_now_ns() > end)
            return false;
        xg_cpu_relax();
    }
    return true;
}

static CUresult event_soon(struct cu_worker *w, CUevent e, bool alone)
{
    uint64_t end = xg_now_ns() + SOON_NS;
    CUresult r;

    if (alone && w->integrated)
        return CUDA_SUCCESS;
    while ((r = w->d.cuEventQuery(e)) == CUDA_ERROR_NOT_READY && alone && xg_now_ns() < end)
        xg_cpu_relax();
    return r;
}

CUresult xg_cu_wait_stream(struct cu_worker *w, struct cu_stream *s, bool alone)
{
    if (!w->ctx)
        return CUDA_ERROR_INVALID_CONTEXT;
    alone &= w->op_ns < SHORT_OP_NS;
    uint64_t since = xg_now_ns();
    if (alone && w->host_ever) /* by streams it cannot be told what comes after host functions */
        xg_cu_fence_all(w);
    if (alone && streams_soon(w, s)) {
        CUresult r = s ? w->d.cuStreamSynchronize(s->h) : w->d.cuCtxSynchronize();
        if (r == CUDA_SUCCESS && !w->host_ever)
            xg_cu_streams_settle(w, w->ctx, s, since);
        return xg_cu_deferred_take(w->ctx, r);
    }
    if (alone)
        xg_cu_fence_all(w);
    if (!s)
        return wait_context(w);
    CUresult r = w->d.cuStreamQuery(s->h);
    if (r != CUDA_ERROR_NOT_READY && (s->h || !streams_of(w, w->ctx) || r != CUDA_SUCCESS))
        return xg_cu_deferred_take(
            w->ctx, w->d.cuStreamSynchronize(
                        s->h)); /* over: this returns the same, and prints the text of kernels */
    struct cu_wait *wt = wait_new(w);
    if (!wt)
        return CUDA_ERROR_OUT_OF_MEMORY;
    r = wait_record(w, wt, s->h);
    if (r != CUDA_SUCCESS) {
        wait_free(w, wt);
        return xg_cu_deferred_take(w->ctx, r);
    }
    wait_begin(w, wt);
    return CUDA_SUCCESS;
}

CUresult xg_cu_wait_event(struct cu_worker *w, struct cu_event *e, bool alone)
{
    alone &= w->op_ns < SHORT_OP_NS;
    if (alone)
        xg_cu_fence_all(w);
    CUresult r = event_soon(w, e->h, alone);
    if (r == CUDA_SUCCESS)
        r = w->d.cuEventSynchronize(e->h);
    if (r != CUDA_ERROR_NOT_READY)
        return xg_cu_deferred_take(w->ctx, r);
    struct cu_wait *wt = wait_new(w);
    if (!wt)
        return CUDA_ERROR_OUT_OF_MEMORY;
    xg_cu_ctx_hold(e->ctx);
    xg_cu_ctx_unref(wt->ctx); /* not the last reference: the context is current */
    wt->ctx = e->ctx;
    wt->event[wt->count++] = e->h;
    wt->foreign = e;
    atomic_fetch_add(&e->refs, 1);
    wait_begin(w, wt);
    return CUDA_SUCCESS;
}

CUresult xg_cu_wait_retired(struct cu_worker *w, uint64_t seq)
{
    if (atomic_load_explicit(&w->shared->retired, memory_order_acquire) >= seq)
        return CUDA_SUCCESS;
    struct cu_wait *wt = wait_new(w);
    if (!wt)
        return CUDA_ERROR_OUT_OF_MEMORY;
    xg_cu_fence_all(w);
    wt->word = &w->shared->retired;
    wt->until = seq;
    wait_begin(w, wt);
    return CUDA_SUCCESS;
}

CUresult xg_cu_wait_slot(struct cu_worker *w, uint32_t slot, uint64_t seq)
{
    if (atomic_load_explicit(&w->shared->slot_done[slot], memory_order_acquire) >= seq)
        return CUDA_SUCCESS;
    struct cu_wait *wt = wait_new(w);
    if (!wt)
        return CUDA_ERROR_OUT_OF_MEMORY;
    wt->word = &w->shared->slot_done[slot];
    wt->until = seq;
    wait_begin(w, wt);
    return CUDA_SUCCESS;
}

/* --- threads that wait ------------------------------------------------------------------------ */

/* The guest can write these words too, but only harms itself. */
static bool word_reached(const struct cu_wait *wt)
{
    return atomic_load_explicit(wt->word, memory_order_acquire) >= wt->until;
}

/* Under w->lock. */
static bool reaper_reached(const struct cu_worker *w, const struct cu_wait *wt)
{
    return wt->queue ? !w->queue : word_reached(wt);
}

static void wait_block(struct cu_worker *w, struct cu_wait *wt)
{
    if (wt->word || wt->queue) {
        pthread_mutex_lock(&w->lock);
        while (!reaper_reached(w, wt) && !w->closing)
            pthread_cond_wait(&w->reaped, &w->lock);
        pthread_mutex_unlock(&w->lock);
        return;
    }
    w->d.cuCtxSetCurrent(wt->ctx->h);
    for (; wt->done < wt->count; wt->done++) {
        CUresult r = w->d.cuEventSynchronize(wt->event[wt->done]);
        if (wt->result == CUDA_SUCCESS)
            wt->result = r;
    }
}

static void *waiter_main(void *arg)
{
    struct cu_worker *w = arg;

    pthread_mutex_lock(&w->wait_lock);
    while (!w->closing) {
        struct cu_wait *wt = w->waiting;
        if (!wt) {
            w->waiters_idle++;
            pthread_cond_wait(&w->wait_wake, &w->wait_lock);
            w->waiters_idle--;
            continue;
        }
        w->waiting = wt->next;
        if (!w->waiting)
            w->waiting_tail = &w->waiting;
        pthread_mutex_unlock(&w->wait_lock);
        wait_block(w, wt);
        wait_finish(w, wt);
        pthread_mutex_lock(&w->wait_lock);
    }
    w->waiters--;
    pthread_cond_broadcast(&w->wait_wake);
    pthread_mutex_unlock(&w->wait_lock);
    return NULL;
}

/* Under wait_lock. Starts a thread if it can. False: there is no thread at all. */
static bool waiter_add(struct cu_worker *w)
{
    pthread_attr_t attr;
    pthread_t t;

    if (w->waiters >= WAITERS_MAX)
        return w->waiters > 0;
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, STACK_SIZE);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    if (pthread_create(&t, &attr, waiter_main, w) == 0)
        w->waiters++;
    pthread_attr_destroy(&attr);
    return w->waiters > 0;
}

static void polled_hand_over(struct cu_worker *w)
{
    pthread_mutex_lock(&w->wait_lock);
    unsigned queued = 0;
    while (w->polled) {
        struct cu_wait *wt = w->polled;
        if (queued >= w->waiters_idle && !waiter_add(w))
            break;
        w->polled = wt->next;
        wt->next = NULL;
        *w->waiting_tail = wt;
        w->waiting_tail = &wt->next;
        queued++;
    }
    pthread_cond_broadcast(&w->wait_wake);
    pthread_mutex_unlock(&w->wait_lock);
    w->poll_since = xg_now_ns();
}

/* --- polling ---------------------------------------------------------------------------------- */

static bool wait_done(struct cu_worker *w, struct cu_wait *wt)
{
    if (wt->word)
        return word_reached(wt);
    if (wt->queue) {
        pthread_mutex_lock(&w->lock);
        bool reached = !w->queue;
        pthread_mutex_unlock(&w->lock);
        return reached;
    }
    for (; wt->done < wt->count; wt->done++) {
        CUresult r = w->d.cuEventQuery(wt->event[wt->done]);
        if (r == CUDA_ERROR_NOT_READY)
            return false;
        if (wt->result == CUDA_SUCCESS)
            wt->result = r;
    }
    /* All events are over; this makes the driver print the text of kernels. */
    if (wt->count)
        w->d.cuEventSynchronize(wt->event[wt->count - 1]);
    return true;
}

/* Answers what is over. */
static void poll_once(struct cu_worker *w)
{
    struct cu_wait **at = &w->polled;

    while (*at) {
        struct cu_wait *wt = *at;
        if (wait_done(w, wt)) {
            *at = wt->next;
            wait_finish(w, wt);
        } else {
            at = &wt->next;
        }
    }
}

/* If another guest wants the device, the ring's thread must not poll for long. */
static bool poll_over(const struct cu_worker *w)
{
    uint64_t limit = xg_device_contended(w->worker) ? POLL_NS : w->poll_ns;
    return xg_now_ns() - w->poll_since > limit;
}

void xg_cu_wait_poll(struct cu_worker *w)
{
    while (w->polled) {
        poll_once(w);
        if (!w->polled || xg_worker_commands_there(w->ring))
            return;
        if (poll_over(w))
            polled_hand_over(w);
        else
            xg_cpu_relax();
    }
}

void xg_cu_wait_busy(struct cu_worker *w)
{
    if (!poll_over(w))
        return;
    poll_once(w);
    polled_hand_over(w);
}

bool xg_cu_wait_stop(struct cu_worker *w)
{
    struct timespec until = xg_deadline(1000000000);

    pthread_mutex_lock(&w->lock);
    w->closing = true;
    pthread_cond_broadcast(&w->reaped);
    pthread_mutex_unlock(&w->lock);
    pthread_mutex_lock(&w->wait_lock);
    pthread_cond_broadcast(&w->wait_wake);
    /* A thread that waits for an endless kernel never returns; the process ends all the same. */
    while (w->waiters && xg_cond_wait_until(&w->wait_wake, &w->wait_lock, &until) == 0)
        ;
    bool all = w->waiters == 0;
    pthread_mutex_unlock(&w->wait_lock);
    return all;
}
