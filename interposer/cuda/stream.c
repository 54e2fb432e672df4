/* Streams, which are cuda/api's, on the other side of the ring; events. */
#include "cuda/send.h"
#include "interposer/cuda/graph.h"

#include <stdlib.h>

CUresult cu_stream_start(struct xg_cuda_stream *s)
{
    struct cu_cmd c;

    if (s->legacy)
        return CUDA_SUCCESS; /* the context brought it */
    cu_begin_take(&c, cu_stream_ctx(s), XG_CUDA_COST_STREAM);
    cu_put_stream_create(&c, &(struct xg_cuda_stream_create){.stream = cu_stream_wire(s),
                                                             .flags = s->flags,
                                                             .priority = s->priority});
    return cu_end(&c);
}

CUresult cu_stream_end(struct xg_cuda_stream *s)
{
    CUresult r = cu_send_stream_destroy(
        cu_stream_ctx(s), &(struct xg_cuda_stream_destroy){.stream = cu_stream_wire(s)});

    free(s);
    return r;
}

/* Nothing was sent since all of it was over. */
static bool is_settled(struct cu_ctx *ctx)
{
    return atomic_load_explicit(&ctx->synced, memory_order_relaxed) == atomic_load(&cu.work);
}

CUresult cu_stream_query(struct xg_cuda_stream *s)
{
    struct cu_ctx *ctx = cu_stream_ctx(s);

    return is_settled(ctx) ? CUDA_SUCCESS
                           : cu_call_stream_query(
                                 ctx, &(struct xg_cuda_stream_query){.stream = cu_stream_wire(s)});
}

CUresult cu_stream_settle(struct xg_cuda_stream *s)
{
    struct cu_ctx *ctx = cu_stream_ctx(s);

    return is_settled(ctx) ? CUDA_SUCCESS : cu_stream_wait(ctx, cu_stream_wire(s));
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
