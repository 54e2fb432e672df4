/*
 * Events: a position in a stream, and the time when it was reached.
 *
 * An event without timing costs no operation: it only remembers the position.
 */
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
    pthread_mutex_destroy(&e->lock);
    xg_cuda_event_free(&e->api);
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
        if (sc_ctx_of(e->api.ctx) != ctx || !xg_cuda_handle_drop(XG_CUDA_KIND_EVENT, e->api.handle))
            continue;
        list_remove(e);
        sc_event_put(e);
    }
    pthread_mutex_unlock(&list_lock);
}

static struct sc_event *event_of(struct xg_cuda_event *api)
{
    return xg_container_of(api, struct sc_event, api);
}

CUresult sc_event_start(struct xg_cuda_event *api)
{
    struct sc_event *e = event_of(api);

    atomic_init(&e->refs, 1);
    pthread_mutex_init(&e->lock, NULL);
    list_add(e);
    return CUDA_SUCCESS;
}

CUresult sc_event_end(struct xg_cuda_event *api)
{
    struct sc_event *e = event_of(api);

    pthread_mutex_lock(&list_lock);
    list_remove(e);
    pthread_mutex_unlock(&list_lock);
    sc_event_put(e);
    return CUDA_SUCCESS;
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
    if (old)
        sc_stream_put(old);
    return id;
}

CUresult sc_event_record(struct xg_cuda_stream *stream, struct xg_cuda_event *api)
{
    struct sc_stream *s = sc_stream_of(stream);
    struct sc_event *e = event_of(api);
    struct sc_op op = {.type = SC_OP_RECORD, .bytes = SC_OP_BYTES(record)};
    uint64_t seq;

    if (e->api.flags & CU_EVENT_DISABLE_TIMING) {
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

CUresult sc_event_query(struct xg_cuda_event *api)
{
    struct sc_event *e = event_of(api);
    bool done = event_done(e);
    CUresult sticky = (CUresult)atomic_load(&sc_ctx_of(api->ctx)->sticky);

    return sticky ? sticky : done ? CUDA_SUCCESS : CUDA_ERROR_NOT_READY;
}

CUresult sc_event_settle(struct xg_cuda_event *api)
{
    struct sc_event *e = event_of(api);
    struct sc_ctx *ctx = sc_ctx_of(api->ctx);
    struct sc_stream *s;
    uint64_t seq;

    if (event_where(e, &s, &seq)) {
        sc_stream_wait_seq(s, seq);
        sc_stream_put(s);
    }
    sc_print_flush(ctx);
    return (CUresult)atomic_load(&ctx->sticky);
}

CUresult sc_event_elapsed(struct xg_cuda_event *from, struct xg_cuda_event *to, float *ms)
{
    struct sc_event *a = event_of(from), *b = event_of(to);

    if (!event_done(a) || !event_done(b))
        return CUDA_ERROR_NOT_READY;
    int64_t ns = (int64_t)(atomic_load(&b->time_ns) - atomic_load(&a->time_ns));
    *ms = (float)((double)ns / 1e6);
    return CUDA_SUCCESS;
}

CUresult sc_event_wait(struct xg_cuda_stream *stream, struct xg_cuda_event *api)
{
    struct sc_stream *s = sc_stream_of(stream), *other;
    uint64_t seq;

    if (!event_where(event_of(api), &other, &seq))
        return CUDA_SUCCESS;
    if (other == s || atomic_load(&other->completed) >= seq) {
        sc_stream_put(other);
        return CUDA_SUCCESS;
    }
    struct sc_op op = {.type = SC_OP_WAIT, .bytes = SC_OP_BYTES(wait)};
    op.wait.stream = other;
    op.wait.seq = seq;
    return sc_submit(s, &op, NULL); /* takes over the reference */
}
