/*
 * Events: a position in a stream, and the time when it was reached.
 *
 * An event without timing costs no operation: it only remembers the position.
 */
#include <stdlib.h>

#include "softcuda/driver/sc.h"

void sc_event_ref(struct sc_event *e)
{
    atomic_fetch_add(&e->refs, 1);
}

void sc_event_put(struct sc_event *e)
{
    if (atomic_fetch_sub(&e->refs, 1) != 1)
        return;
    if (e->stream)
        sc_stream_put(e->stream);
    xg_cuda_mark_clear(&e->mark);
    pthread_mutex_destroy(&e->lock);
    free(e);
}

void sc_event_stamp(struct sc_event *e, uint64_t record_id)
{
    pthread_mutex_lock(&e->lock);
    if (e->record_id == record_id) /* else recorded anew meanwhile */
        atomic_store(&e->time_ns, xg_now_ns());
    pthread_mutex_unlock(&e->lock);
}

/* A context's end leaves its events behind as dead handles. */
static pthread_mutex_t list_lock = PTHREAD_MUTEX_INITIALIZER;
static struct sc_event *list;

static void list_add(struct sc_event *e)
{
    pthread_mutex_lock(&list_lock);
    e->next = list;
    e->link = &list;
    if (list)
        list->link = &e->next;
    list = e;
    pthread_mutex_unlock(&list_lock);
}

static void list_remove(struct sc_event *e)
{
    *e->link = e->next;
    if (e->next)
        e->next->link = e->link;
}

void sc_event_drop_ctx(struct sc_ctx *ctx)
{
    struct sc_event *e, *next;

    pthread_mutex_lock(&list_lock);
    for (e = list; e; e = next) {
        next = e->next;
        if (e->ctx != ctx || !sc_handle_drop(SC_EVENT, e->handle))
            continue;
        list_remove(e);
        sc_event_put(e);
    }
    pthread_mutex_unlock(&list_lock);
}

CUresult cuEventCreate(CUevent *event, unsigned flags)
{
    SC_ENTER(ctx);
    if (!event ||
        (flags & ~(CU_EVENT_BLOCKING_SYNC | CU_EVENT_DISABLE_TIMING | CU_EVENT_INTERPROCESS)))
        return CUDA_ERROR_INVALID_VALUE;
    if (flags & CU_EVENT_INTERPROCESS)
        return flags & CU_EVENT_DISABLE_TIMING ? CUDA_ERROR_NOT_SUPPORTED
                                               : CUDA_ERROR_INVALID_VALUE;
    struct sc_event *e = calloc(1, sizeof(*e));
    if (!e)
        return CUDA_ERROR_OUT_OF_MEMORY;
    atomic_init(&e->refs, 1);
    pthread_mutex_init(&e->lock, NULL);
    e->ctx = ctx;
    e->flags = flags;
    e->handle = sc_handle_new(SC_EVENT, e);
    if (!e->handle) {
        sc_event_put(e);
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    list_add(e);
    *event = e->handle;
    return CUDA_SUCCESS;
}

CUresult cuEventDestroy_v2(CUevent event)
{
    XG_CUDA_NEED(event, CUDA_ERROR_INVALID_HANDLE);
    struct sc_event *e = sc_handle_get(SC_EVENT, event);
    CUresult r = xg_cuda_ready();

    if (r)
        return r;
    pthread_mutex_lock(&list_lock);
    bool mine = e && sc_handle_drop(SC_EVENT, event);
    if (mine)
        list_remove(e);
    pthread_mutex_unlock(&list_lock);
    if (mine)
        sc_event_put(e);
    return mine ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}

CUresult cuEventDestroy(CUevent event)
{
    return cuEventDestroy_v2(event);
}

/* Lets the event stand for position `seq` of the stream. */
static uint64_t event_point(struct sc_event *e, struct sc_stream *s, uint64_t seq)
{
    struct sc_stream *old = NULL;

    pthread_mutex_lock(&e->lock);
    if (e->stream != s) {
        old = e->stream;
        sc_stream_ref(s);
        e->stream = s;
    }
    e->seq = seq;
    uint64_t id = ++e->record_id;
    pthread_mutex_unlock(&e->lock);
    xg_cuda_mark_clear(&e->mark);
    if (old)
        sc_stream_put(old);
    return id;
}

static CUresult event_record(struct sc_event *e, struct sc_stream *s)
{
    struct sc_op op = {.type = SC_OP_RECORD, .bytes = SC_OP_BYTES(record)};
    uint64_t seq;

    if (e->flags & CU_EVENT_DISABLE_TIMING) {
        sc_stream_join(s);
        event_point(e, s, atomic_load(&s->submitted));
        return CUDA_SUCCESS;
    }
    if (sc_stream_idle(s)) {
        uint64_t id = event_point(e, s, atomic_load(&s->submitted));
        sc_event_stamp(e, id);
        return CUDA_SUCCESS;
    }
    /* Not reached until the operation is in the queue and its position known. */
    op.record.event = e;
    op.record.record_id = event_point(e, s, UINT64_MAX);
    sc_event_ref(e);
    CUresult r = sc_submit(s, &op, &seq);
    pthread_mutex_lock(&e->lock);
    if (e->record_id == op.record.record_id)
        e->seq = r ? 0 : seq;
    pthread_mutex_unlock(&e->lock);
    return r;
}

static struct sc_stream *stream_get(struct sc_ctx *ctx, CUstream handle, CUresult *r)
{
    struct xg_cuda_stream *s = xg_cuda_stream_in(&ctx->api, handle, r);

    if (!s)
        return NULL;
    *r = CUDA_SUCCESS;
    sc_stream_ref(sc_stream_of(s));
    return sc_stream_of(s);
}

CUresult cuEventRecordWithFlags(CUevent event, CUstream stream, unsigned flags)
{
    CUresult r;
    SC_ENTER_OF(ctx, SC_STREAM, stream);
    struct sc_event *e = sc_handle_get(SC_EVENT, event);
    if (!e)
        return CUDA_ERROR_INVALID_HANDLE;
    if (flags & ~CU_EVENT_RECORD_EXTERNAL)
        return CUDA_ERROR_INVALID_VALUE;
    struct sc_stream *s = stream_get(ctx, stream, &r);
    if (!s)
        return r;
    if (e->ctx != s->ctx)
        r = CUDA_ERROR_INVALID_HANDLE;
    else if (xg_cuda_capturing(&s->api))
        r = xg_cuda_capture_record(&s->api, event, flags, &e->mark);
    else
        r = flags ? CUDA_ERROR_ILLEGAL_STATE : event_record(e, s); /* as a node only */
    sc_stream_put(s);
    return r;
}

CUresult cuEventRecord(CUevent event, CUstream stream)
{
    return cuEventRecordWithFlags(event, stream, 0);
}

/* The point the event stands for; false: never recorded. A stream reference is taken. */
static bool event_where(struct sc_event *e, struct sc_stream **s, uint64_t *seq)
{
    pthread_mutex_lock(&e->lock);
    *s = e->stream;
    *seq = e->seq;
    if (*s)
        sc_stream_ref(*s);
    pthread_mutex_unlock(&e->lock);
    return *s != NULL;
}

static bool event_recorded(struct sc_event *e)
{
    pthread_mutex_lock(&e->lock);
    bool recorded = e->stream != NULL;
    pthread_mutex_unlock(&e->lock);
    return recorded;
}

static bool event_done(struct sc_event *e)
{
    struct sc_stream *s;
    uint64_t seq;

    if (!event_where(e, &s, &seq))
        return true;
    bool done = atomic_load_explicit(&s->completed, memory_order_acquire) >= seq;
    sc_stream_put(s);
    return done;
}

CUresult cuEventQuery(CUevent event)
{
    XG_CUDA_NEED(event, CUDA_ERROR_INVALID_HANDLE);
    SC_ENTER_OF(ctx, SC_EVENT, event);
    struct sc_event *e = sc_handle_get(SC_EVENT, event);
    if (!e)
        return CUDA_ERROR_INVALID_HANDLE;
    if (xg_cuda_marked(&e->mark))
        return xg_cuda_mark_refuses(&e->mark);
    bool done = event_done(e);
    CUresult sticky = (CUresult)atomic_load(&e->ctx->sticky);
    return sticky ? sticky : done ? CUDA_SUCCESS : CUDA_ERROR_NOT_READY;
}

CUresult cuEventSynchronize(CUevent event)
{
    XG_CUDA_NEED(event, CUDA_ERROR_INVALID_HANDLE);
    struct sc_stream *s;
    uint64_t seq;
    SC_ENTER_OF(ctx, SC_EVENT, event);
    struct sc_event *e = sc_handle_get(SC_EVENT, event);

    if (!e)
        return CUDA_ERROR_INVALID_HANDLE;
    if (xg_cuda_marked(&e->mark))
        return xg_cuda_mark_refuses(&e->mark);
    if (event_where(e, &s, &seq)) {
        sc_stream_wait_seq(s, seq);
        sc_stream_put(s);
    }
    sc_print_flush(e->ctx);
    return (CUresult)atomic_load(&e->ctx->sticky);
}

CUresult cuEventElapsedTime_v2(float *ms, CUevent start, CUevent end)
{
    XG_CUDA_NEED(ms && start && end, CUDA_ERROR_INVALID_HANDLE);
    SC_ENTER_OF(ctx, SC_EVENT, start);
    struct sc_event *a = sc_handle_get(SC_EVENT, start), *b = sc_handle_get(SC_EVENT, end);
    if (!a || !b || ((a->flags | b->flags) & CU_EVENT_DISABLE_TIMING) || !event_recorded(a) ||
        !event_recorded(b))
        return CUDA_ERROR_INVALID_HANDLE;
    if (xg_cuda_marked(&a->mark) || xg_cuda_marked(&b->mark))
        return xg_cuda_mark_refuses(xg_cuda_marked(&a->mark) ? &a->mark : &b->mark);
    if (!event_done(a) || !event_done(b))
        return CUDA_ERROR_NOT_READY;
    int64_t ns = (int64_t)(atomic_load(&b->time_ns) - atomic_load(&a->time_ns));
    *ms = (float)((double)ns / 1e6);
    return CUDA_SUCCESS;
}

CUresult cuEventElapsedTime(float *ms, CUevent start, CUevent end)
{
    XG_CUDA_NEED(ms && start && end, CUDA_ERROR_INVALID_HANDLE);
    return cuEventElapsedTime_v2(ms, start, end);
}

CUresult cuStreamWaitEvent(CUstream stream, CUevent event, unsigned flags)
{
    struct sc_stream *other;
    uint64_t seq;
    CUresult r;
    SC_ENTER_OF(ctx, SC_STREAM, stream);
    struct sc_event *e = sc_handle_get(SC_EVENT, event);

    if (!e)
        return CUDA_ERROR_INVALID_HANDLE;
    if (flags & ~CU_EVENT_WAIT_EXTERNAL)
        return CUDA_ERROR_INVALID_VALUE;
    struct sc_stream *s = stream_get(ctx, stream, &r);
    if (!s)
        return r;
    bool captured = xg_cuda_capturing(&s->api);
    if (flags && !captured) {
        r = CUDA_ERROR_ILLEGAL_STATE; /* as a node only */
    } else if (captured || xg_cuda_marked(&e->mark)) {
        r = xg_cuda_capture_wait(&s->api, event, flags, &e->mark);
    } else if (event_where(e, &other, &seq)) {
        if (other != s && atomic_load(&other->completed) < seq) {
            struct sc_op op = {.type = SC_OP_WAIT, .bytes = SC_OP_BYTES(wait)};
            op.wait.stream = other;
            op.wait.seq = seq;
            r = sc_submit(s, &op, NULL); /* takes over the reference */
        } else {
            sc_stream_put(other);
        }
    }
    sc_stream_put(s);
    return r;
}
