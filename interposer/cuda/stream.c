/* Streams and events. */
#include "cuda/send.h"
#include "interposer/cuda/graph.h"

#include <stdlib.h>

/* --- the default stream of each thread -------------------------------------------------------- */

#define THREAD_STREAMS 8u

static __thread struct {
    uint64_t serial; /* of the context */
    CUstream stream;
} mine[THREAD_STREAMS];
static pthread_key_t thread_key;
static pthread_once_t thread_once = PTHREAD_ONCE_INIT;

static CUresult create(CUstream *out, struct cu_ctx *ctx, unsigned flags, int priority,
                       bool per_thread);
static CUresult destroy(struct cu_ctx *ctx, CUstream h);

static void thread_ends(void *unused)
{
    (void)unused;
    for (unsigned i = 0; i < THREAD_STREAMS; i++)
        if (mine[i].stream && xg_cuda_started())
            destroy(NULL, mine[i].stream);
}

static void thread_key_make(void)
{
    pthread_key_create(&thread_key, thread_ends);
}

/* It is a stream like others that synchronises with the legacy one; worker threads are not the
 * application's. */
static CUstream thread_stream(struct cu_ctx *ctx)
{
    unsigned n = 0;

    for (; n < THREAD_STREAMS && mine[n].stream; n++) {
        if (mine[n].serial == ctx->api.id && cu_object_get(CU_KIND_STREAM, mine[n].stream))
            return mine[n].stream;
        if (!cu_object_get(CU_KIND_STREAM, mine[n].stream))
            break;
    }
    if (n == THREAD_STREAMS)
        return NULL;
    mine[n].stream = NULL;
    if (create(&mine[n].stream, ctx, CU_STREAM_DEFAULT, 0, true) != CUDA_SUCCESS)
        return NULL;
    mine[n].serial = ctx->api.id;
    pthread_once(&thread_once, thread_key_make);
    pthread_setspecific(thread_key, mine);
    return mine[n].stream;
}

bool cu_stream_name(struct cu_ctx **ctx, CUstream h, uint32_t *name)
{
    if (h == NULL)
        h = cu_default_stream;
    if (h == NULL || h == CU_STREAM_LEGACY) {
        *name = XG_CUDA_STREAM_LEGACY;
        return true;
    }
    if (h == CU_STREAM_PER_THREAD)
        h = thread_stream(*ctx);
    struct cu_stream *s = cu_object_get(CU_KIND_STREAM, h);
    if (XG_UNLIKELY(!s))
        return false;
    *ctx = s->ctx;
    *name = s->o.name;
    return true;
}

/* --- streams ---------------------------------------------------------------------------------- */

static _Atomic uint32_t ids; /* never used again, as names are */

static CUresult create(CUstream *out, struct cu_ctx *ctx, unsigned flags, int priority,
                       bool per_thread)
{
    struct cu_stream *s = cu_object_new(CU_KIND_STREAM, sizeof(*s));
    struct cu_cmd c;

    if (!s)
        return CUDA_ERROR_OUT_OF_MEMORY;
    s->ctx = ctx;
    s->id = atomic_fetch_add(&ids, 1) + 1;
    s->flags = flags;
    s->priority = priority;
    s->per_thread = per_thread;
    s->api = (struct xg_cuda_stream){.handle = cu_handle(&s->o),
                                     .ctx = ctx->api.handle,
                                     .blocking = !(flags & CU_STREAM_NON_BLOCKING)};
    cu_begin_take(&c, ctx, XG_CUDA_COST_STREAM);
    cu_put_stream_create(&c, &(struct xg_cuda_stream_create){
                                 .stream = s->o.name, .flags = flags, .priority = priority});
    CUresult r = cu_end(&c);
    if (r == CUDA_SUCCESS) {
        *out = cu_handle(&s->o);
    } else {
        cu_object_hide(&s->o);
        cu_object_free(&s->o);
    }
    return r;
}

CUresult cuStreamCreateWithPriority(CUstream *out, unsigned int flags, int priority)
{
    XG_CUDA_NEED(out, CUDA_ERROR_INVALID_VALUE);
    CU_ENTER(ctx);
    if (flags & ~(unsigned)CU_STREAM_NON_BLOCKING)
        return CUDA_ERROR_INVALID_VALUE;
    if (priority > cu.snap.priority_least)
        priority = cu.snap.priority_least;
    if (priority < cu.snap.priority_greatest)
        priority = cu.snap.priority_greatest;
    return create(out, ctx, flags, priority, false);
}

CUresult cuStreamCreate(CUstream *out, unsigned int flags)
{
    XG_CUDA_NEED(out, CUDA_ERROR_INVALID_VALUE);
    return cuStreamCreateWithPriority(out, flags, 0);
}

static CUresult destroy(struct cu_ctx *ctx, CUstream h)
{
    struct cu_stream *s = cu_object_get(CU_KIND_STREAM, h);

    if (!s || !cu_object_hide(&s->o))
        return CUDA_ERROR_INVALID_HANDLE;
    xg_cuda_capture_abandon(&s->api);
    CUresult r = cu_send_stream_destroy(ctx, &(struct xg_cuda_stream_destroy){.stream = s->o.name});
    cu_object_free(&s->o);
    return r;
}

CUresult cuStreamDestroy_v2(CUstream h)
{
    XG_CUDA_NEED(h, CUDA_ERROR_INVALID_HANDLE);
    struct cu_ctx *ctx;
    CUresult r = cu_enter_any_of(CU_KIND_STREAM, h, &ctx);

    if (r != CUDA_SUCCESS)
        return r;
    if (!h || h == CU_STREAM_LEGACY || h == CU_STREAM_PER_THREAD)
        return CUDA_ERROR_INVALID_HANDLE;
    return destroy(ctx, h);
}

CUresult cuStreamDestroy(CUstream h)
{
    return cuStreamDestroy_v2(h);
}

CUresult cuStreamSynchronize(CUstream h)
{
    CU_STREAM(h);
    CUresult r = cu_capture_check(stream);
    if (r != CUDA_SUCCESS)
        return r;
    if (atomic_load_explicit(&ctx->synced, memory_order_relaxed) == atomic_load(&cu.work))
        return CUDA_SUCCESS;
    return cu_stream_wait(ctx, stream);
}

CUresult cuStreamQuery(CUstream h)
{
    CU_STREAM(h);
    CUresult r = cu_capture_check(stream);
    if (r != CUDA_SUCCESS)
        return r;
    if (atomic_load_explicit(&ctx->synced, memory_order_relaxed) == atomic_load(&cu.work))
        return CUDA_SUCCESS;
    return cu_call_stream_query(ctx, &(struct xg_cuda_stream_query){.stream = stream});
}

/* What is known of any stream: the default ones have no object, or one that the application did
 * not make. */
static CUresult stream_info(CUstream h, struct cu_ctx **ctx, struct cu_stream **s)
{
    CUresult r = cu_enter_of(CU_KIND_STREAM, h, ctx);

    if (r != CUDA_SUCCESS)
        return r;
    *s = NULL;
    if (!h)
        h = cu_default_stream;
    if (!h || h == CU_STREAM_LEGACY)
        return CUDA_SUCCESS;
    if (h == CU_STREAM_PER_THREAD)
        h = thread_stream(*ctx);
    *s = cu_object_get(CU_KIND_STREAM, h);
    if (!*s)
        return CUDA_ERROR_INVALID_HANDLE;
    *ctx = (*s)->ctx;
    return CUDA_SUCCESS;
}

/* The same for what a stream that is captured does not answer. */
static CUresult stream_info_now(CUstream h, struct cu_ctx **ctx, struct cu_stream **s)
{
    CUresult r = stream_info(h, ctx, s);

    return r == CUDA_SUCCESS && *s ? xg_cuda_capture_refuses(&(*s)->api) : r;
}

CUresult cuStreamGetPriority(CUstream h, int *priority)
{
    XG_CUDA_NEED(priority, CUDA_ERROR_INVALID_VALUE);
    struct cu_stream *s;
    struct cu_ctx *ctx;
    CUresult r = stream_info(h, &ctx, &s);

    if (r == CUDA_SUCCESS)
        *priority = s ? s->priority : 0;
    return r;
}

CUresult cuStreamGetFlags(CUstream h, unsigned int *flags)
{
    XG_CUDA_NEED(flags, CUDA_ERROR_INVALID_VALUE);
    struct cu_stream *s;
    struct cu_ctx *ctx;
    CUresult r = stream_info_now(h, &ctx, &s);

    if (r == CUDA_SUCCESS)
        *flags = s ? s->flags : 0;
    return r;
}

CUresult cuStreamGetCtx(CUstream h, CUcontext *out)
{
    XG_CUDA_NEED(out, CUDA_ERROR_INVALID_VALUE);
    struct cu_stream *s;
    struct cu_ctx *ctx;
    CUresult r = stream_info(h, &ctx, &s);

    if (r == CUDA_SUCCESS)
        *out = ctx->api.handle;
    return r;
}

CUresult cuStreamGetDevice(CUstream h, CUdevice *device)
{
    XG_CUDA_NEED(device, CUDA_ERROR_INVALID_VALUE);
    struct cu_stream *s;
    struct cu_ctx *ctx;
    CUresult r = stream_info_now(h, &ctx, &s);

    if (r == CUDA_SUCCESS)
        *device = 0;
    return r;
}

CUresult cuStreamGetId(CUstream h, unsigned long long *id)
{
    XG_CUDA_NEED(id, CUDA_ERROR_INVALID_VALUE);
    struct cu_stream *s;
    struct cu_ctx *ctx;
    CUresult r = stream_info_now(h, &ctx, &s);

    if (r == CUDA_SUCCESS)
        *id = ctx->api.id << 32 | (s ? s->id : 0);
    return r;
}

/* --- events ----------------------------------------------------------------------------------- */

struct cu_event {
    struct cu_object o;
    struct cu_ctx *ctx;
    unsigned flags;
    _Atomic bool recorded;     /* at all */
    _Atomic bool over;         /* its last record is known to be over */
    _Atomic uint64_t asked_at; /* when the worker last said "not yet" */
    struct xg_cuda_mark mark;  /* last recorded in a capture */
};

#define EVENT_FLAGS (CU_EVENT_BLOCKING_SYNC | CU_EVENT_DISABLE_TIMING | CU_EVENT_INTERPROCESS)
#define ASK_EVERY_NS                                                                               \
    20000u /* a program that polls an event does not fill the ring with questions */

CUresult cuEventCreate(CUevent *out, unsigned int flags)
{
    struct cu_event *e;
    struct cu_cmd c;

    CU_ENTER(ctx);
    if (!out || (flags & ~(unsigned)EVENT_FLAGS))
        return CUDA_ERROR_INVALID_VALUE;
    if (flags & CU_EVENT_INTERPROCESS)
        return flags & CU_EVENT_DISABLE_TIMING ? CUDA_ERROR_NOT_SUPPORTED
                                               : CUDA_ERROR_INVALID_VALUE;
    e = cu_object_new(CU_KIND_EVENT, sizeof(*e));
    if (!e)
        return CUDA_ERROR_OUT_OF_MEMORY;
    e->ctx = ctx;
    e->flags = flags;
    atomic_store(&e->over, true);
    cu_begin_take(&c, ctx, XG_CUDA_COST_EVENT);
    cu_put_event_create(&c, &(struct xg_cuda_event_create){.event = e->o.name, .flags = flags});
    CUresult r = cu_end(&c);
    if (r == CUDA_SUCCESS) {
        *out = cu_handle(&e->o);
    } else {
        cu_object_hide(&e->o);
        cu_object_free(&e->o);
    }
    return r;
}

CUresult cuEventDestroy_v2(CUevent h)
{
    XG_CUDA_NEED(h, CUDA_ERROR_INVALID_HANDLE);
    struct cu_ctx *ctx;
    CUresult r = cu_enter_any_of(CU_KIND_EVENT, h, &ctx);

    if (r != CUDA_SUCCESS)
        return r;
    struct cu_event *e = cu_object_get(CU_KIND_EVENT, h);
    if (!e || !cu_object_hide(&e->o))
        return CUDA_ERROR_INVALID_HANDLE;
    r = cu_send_event_destroy(ctx, &(struct xg_cuda_event_destroy){.event = e->o.name});
    xg_cuda_mark_clear(&e->mark);
    cu_object_free(&e->o);
    return r;
}

CUresult cuEventDestroy(CUevent h)
{
    return cuEventDestroy_v2(h);
}

CUresult cuEventRecordWithFlags(CUevent h, CUstream s, unsigned int flags)
{
    struct cu_cmd c;

    CU_STREAM(s);
    struct cu_event *e = cu_object_get(CU_KIND_EVENT, h);
    if (!e)
        return CUDA_ERROR_INVALID_HANDLE;
    if (flags & ~(unsigned)CU_EVENT_RECORD_EXTERNAL)
        return CUDA_ERROR_INVALID_VALUE;
    if (e->ctx != ctx)
        return CUDA_ERROR_INVALID_HANDLE;
    struct xg_cuda_stream *capture = cu_capture_of(stream);
    if (XG_UNLIKELY(capture != NULL))
        return xg_cuda_capture_record(capture, h, flags, &e->mark);
    if (XG_UNLIKELY(flags)) /* as a node only */
        return CUDA_ERROR_ILLEGAL_STATE;
    xg_cuda_mark_clear(&e->mark);
    cu_begin(&c, ctx);
    cu_put_event_record(
        &c, &(struct xg_cuda_event_record){.event = e->o.name, .stream = stream, .flags = flags});
    atomic_store(&e->over, false);
    atomic_store(&e->asked_at, 0);
    atomic_store(&e->recorded, true);
    return cu_end(&c);
}

CUresult cuEventRecord(CUevent h, CUstream s)
{
    return cuEventRecordWithFlags(h, s, 0);
}

CUresult cuStreamWaitEvent(CUstream s, CUevent h, unsigned int flags)
{
    CU_STREAM(s);
    struct cu_event *e = cu_object_get(CU_KIND_EVENT, h);
    if (!e)
        return CUDA_ERROR_INVALID_HANDLE;
    if (flags & ~(unsigned)CU_EVENT_WAIT_EXTERNAL)
        return CUDA_ERROR_INVALID_VALUE;
    struct xg_cuda_stream *capture = cu_capture_of(stream);
    if (XG_UNLIKELY(flags && !capture)) /* as a node only */
        return CUDA_ERROR_ILLEGAL_STATE;
    if (XG_UNLIKELY(capture != NULL || xg_cuda_marked(&e->mark)))
        return xg_cuda_capture_wait(cu_stream_api(ctx, stream), h, flags, &e->mark);
    if (atomic_load(&e->over))
        return CUDA_SUCCESS; /* never recorded, or long over */
    return cu_send_stream_wait_event(
        ctx,
        &(struct xg_cuda_stream_wait_event){.stream = stream, .event = e->o.name, .flags = flags});
}

static CUresult event_wait(struct cu_ctx *ctx, struct cu_event *e)
{
    struct cu_cmd c;

    cu_begin_call(&c, ctx);
    cu_put_event_sync(&c, &(struct xg_cuda_event_sync){.event = e->o.name, .alone = cu_alone()});
    cu_poll(&c, e->flags & CU_EVENT_BLOCKING_SYNC);
    return cu_end(&c);
}

CUresult cuEventSynchronize(CUevent h)
{
    XG_CUDA_NEED(h, CUDA_ERROR_INVALID_HANDLE);
    CU_ENTER_OF(ctx, CU_KIND_EVENT, h);
    struct cu_event *e = cu_object_get(CU_KIND_EVENT, h);
    if (!e)
        return CUDA_ERROR_INVALID_HANDLE;
    if (xg_cuda_marked(&e->mark))
        return xg_cuda_mark_refuses(&e->mark);
    /* Not noted as over: another thread may have recorded it again meanwhile. */
    CUresult r = atomic_load(&e->over) ? CUDA_SUCCESS : event_wait(ctx, e);
    cu_text_flush();
    return r;
}

CUresult cuEventQuery(CUevent h)
{
    XG_CUDA_NEED(h, CUDA_ERROR_INVALID_HANDLE);
    CU_ENTER_OF(ctx, CU_KIND_EVENT, h);
    struct cu_event *e = cu_object_get(CU_KIND_EVENT, h);
    if (!e)
        return CUDA_ERROR_INVALID_HANDLE;
    if (xg_cuda_marked(&e->mark))
        return xg_cuda_mark_refuses(&e->mark);
    if (atomic_load(&e->over))
        return CUDA_SUCCESS;
    uint64_t asked = atomic_load(&e->asked_at);
    if (asked && xg_now_ns() - asked < ASK_EVERY_NS)
        return CUDA_ERROR_NOT_READY;
    CUresult r = cu_call_event_query(ctx, &(struct xg_cuda_event_query){.event = e->o.name});
    if (r == CUDA_ERROR_NOT_READY)
        atomic_store(&e->asked_at, xg_now_ns());
    return r;
}

CUresult cuEventElapsedTime_v2(float *ms, CUevent start, CUevent end)
{
    XG_CUDA_NEED(ms && start && end, CUDA_ERROR_INVALID_HANDLE);
    struct xg_cuda_event_elapsed_reply reply;

    CU_ENTER_OF(ctx, CU_KIND_EVENT, start);
    struct cu_event *a = cu_object_get(CU_KIND_EVENT, start),
                    *b = cu_object_get(CU_KIND_EVENT, end);
    if (!a || !b || ((a->flags | b->flags) & CU_EVENT_DISABLE_TIMING) ||
        !atomic_load(&a->recorded) || !atomic_load(&b->recorded))
        return CUDA_ERROR_INVALID_HANDLE;
    if (xg_cuda_marked(&a->mark) || xg_cuda_marked(&b->mark))
        return xg_cuda_mark_refuses(xg_cuda_marked(&a->mark) ? &a->mark : &b->mark);
    CUresult r = cu_call_event_elapsed(
        ctx, &(struct xg_cuda_event_elapsed){.start = a->o.name, .end = b->o.name}, &reply);
    if (r == CUDA_SUCCESS)
        *ms = reply.ms;
    return r;
}

CUresult cuEventElapsedTime(float *ms, CUevent start, CUevent end)
{
    XG_CUDA_NEED(ms && start && end, CUDA_ERROR_INVALID_HANDLE);
    return cuEventElapsedTime_v2(ms, start, end);
}
