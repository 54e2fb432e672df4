/* Events: points in streams, to be waited for and to take times at. */
#include "cuda/api/event.h"

#include <stdlib.h>

#define EVENT_FLAGS (CU_EVENT_BLOCKING_SYNC | CU_EVENT_DISABLE_TIMING | CU_EVENT_INTERPROCESS)

/* --- life ------------------------------------------------------------------------------------- */

void xg_cuda_event_free(struct xg_cuda_event *e)
{
    xg_cuda_mark_clear(&e->mark);
    free(e);
}

static CUresult event_make(struct xg_cuda_ctx *ctx, unsigned flags, CUevent *out)
{
    struct xg_cuda_event *e = calloc(1, xg_cuda_device.event_size);
    CUresult r = CUDA_ERROR_OUT_OF_MEMORY;

    if (!e)
        return r;
    e->ctx = ctx;
    e->flags = flags;
    e->handle = xg_cuda_handle_new(XG_CUDA_KIND_EVENT, e);
    if (e->handle)
        r = xg_cuda_device.event_start(e);
    if (r == CUDA_SUCCESS) {
        *out = e->handle;
        return r;
    }
    xg_cuda_handle_drop(XG_CUDA_KIND_EVENT, e->handle);
    free(e);
    return r;
}

CUresult cuEventCreate(CUevent *out, unsigned flags)
{
    XG_CUDA_CONTEXT(ctx);
    if (!out || (flags & ~(unsigned)EVENT_FLAGS))
        return CUDA_ERROR_INVALID_VALUE;
    if (flags & CU_EVENT_INTERPROCESS)
        return flags & CU_EVENT_DISABLE_TIMING ? CUDA_ERROR_NOT_SUPPORTED
                                               : CUDA_ERROR_INVALID_VALUE;
    return event_make(ctx, flags, out);
}

/* NULL: the thread has a context, or there is no such event. */
static struct xg_cuda_ctx *home_find(CUevent handle)
{
    struct xg_cuda_event *e;

    if (XG_LIKELY(xg_cuda_current() != NULL))
        return NULL;
    e = xg_cuda_event_get(handle);
    return e ? e->ctx : NULL;
}

CUresult cuEventDestroy_v2(CUevent h)
{
    XG_CUDA_NEED(h, CUDA_ERROR_INVALID_HANDLE);
    struct xg_cuda_ctx *ctx;
    CUresult r = xg_cuda_ctx_enter_any(home_find(h), &ctx);

    if (r != CUDA_SUCCESS)
        return r;
    struct xg_cuda_event *e = xg_cuda_event_get(h);
    if (!e || !xg_cuda_handle_hide(XG_CUDA_KIND_EVENT, h))
        return CUDA_ERROR_INVALID_HANDLE;
    r = xg_cuda_device.event_end(e);
    xg_cuda_handle_free(XG_CUDA_KIND_EVENT, h);
    return r;
}

CUresult cuEventDestroy(CUevent h)
{
    return cuEventDestroy_v2(h);
}

/* --- in streams ------------------------------------------------------------------------------- */

CUresult xg_cuda_event_record(struct xg_cuda_stream *s, CUevent handle, unsigned flags)
{
    struct xg_cuda_event *e = xg_cuda_event_get(handle);

    if (!e)
        return CUDA_ERROR_INVALID_HANDLE;
    if (flags & ~(unsigned)CU_EVENT_RECORD_EXTERNAL)
        return CUDA_ERROR_INVALID_VALUE;
    if (e->ctx != s->ctx)
        return CUDA_ERROR_INVALID_HANDLE;
    if (xg_cuda_capturing(s))
        return xg_cuda_capture_record(s, handle, flags, &e->mark);
    if (XG_UNLIKELY(flags)) /* as a node only */
        return CUDA_ERROR_ILLEGAL_STATE;
    xg_cuda_mark_clear(&e->mark);
    atomic_store_explicit(&e->recorded, true, memory_order_relaxed);
    return xg_cuda_device.event_record(s, e);
}

CUresult cuEventRecordWithFlags(CUevent h, CUstream stream, unsigned flags)
{
    struct xg_cuda_stream *s;
    CUresult r = xg_cuda_stream_get(stream, &s);

    if (r != CUDA_SUCCESS)
        return r;
    r = xg_cuda_event_record(s, h, flags);
    xg_cuda_stream_put(s);
    return r;
}

CUresult cuEventRecord(CUevent h, CUstream stream)
{
    return cuEventRecordWithFlags(h, stream, 0);
}

CUresult xg_cuda_event_wait(struct xg_cuda_stream *s, CUevent handle, unsigned flags)
{
    struct xg_cuda_event *e = xg_cuda_event_get(handle);

    if (!e)
        return CUDA_ERROR_INVALID_HANDLE;
    if (flags & ~(unsigned)CU_EVENT_WAIT_EXTERNAL)
        return CUDA_ERROR_INVALID_VALUE;
    bool captured = xg_cuda_capturing(s);
    if (XG_UNLIKELY(flags && !captured)) /* as a node only */
        return CUDA_ERROR_ILLEGAL_STATE;
    if (XG_UNLIKELY(captured || xg_cuda_marked(&e->mark)))
        return xg_cuda_capture_wait(s, handle, flags, &e->mark);
    return atomic_load_explicit(&e->recorded, memory_order_relaxed)
               ? xg_cuda_device.event_wait(s, e)
               : CUDA_SUCCESS;
}

CUresult cuStreamWaitEvent(CUstream stream, CUevent h, unsigned flags)
{
    struct xg_cuda_stream *s;
    CUresult r = xg_cuda_stream_get(stream, &s);

    if (r != CUDA_SUCCESS)
        return r;
    r = xg_cuda_event_wait(s, h, flags);
    xg_cuda_stream_put(s);
    return r;
}

/* --- looking at one --------------------------------------------------------------------------- */

/* Enters the thread's context, or the event's, for one that no capture has. */
static CUresult event_enter(CUevent handle, struct xg_cuda_event **e)
{
    XG_CUDA_NEED(handle, CUDA_ERROR_INVALID_HANDLE);
    struct xg_cuda_ctx *ctx;
    CUresult r = xg_cuda_ctx_enter_in(home_find(handle), &ctx);

    if (XG_UNLIKELY(r != CUDA_SUCCESS))
        return r;
    *e = xg_cuda_event_get(handle);
    if (!*e)
        return CUDA_ERROR_INVALID_HANDLE;
    return xg_cuda_marked(&(*e)->mark) ? xg_cuda_mark_refuses(&(*e)->mark) : CUDA_SUCCESS;
}

CUresult cuEventQuery(CUevent h)
{
    struct xg_cuda_event *e;
    CUresult r = event_enter(h, &e);

    return r == CUDA_SUCCESS ? xg_cuda_device.event_query(e) : r;
}

CUresult cuEventSynchronize(CUevent h)
{
    struct xg_cuda_event *e;
    CUresult r = event_enter(h, &e);

    return r == CUDA_SUCCESS ? xg_cuda_device.event_settle(e) : r;
}

static bool event_has_time(const struct xg_cuda_event *e)
{
    return e && !(e->flags & CU_EVENT_DISABLE_TIMING) && atomic_load(&e->recorded);
}

CUresult cuEventElapsedTime_v2(float *ms, CUevent start, CUevent end)
{
    XG_CUDA_NEED(ms && start && end, CUDA_ERROR_INVALID_HANDLE);
    struct xg_cuda_ctx *ctx;
    CUresult r = xg_cuda_ctx_enter_in(home_find(start), &ctx);

    if (r != CUDA_SUCCESS)
        return r;
    struct xg_cuda_event *a = xg_cuda_event_get(start), *b = xg_cuda_event_get(end);
    if (!event_has_time(a) || !event_has_time(b))
        return CUDA_ERROR_INVALID_HANDLE;
    if (xg_cuda_marked(&a->mark) || xg_cuda_marked(&b->mark))
        return xg_cuda_mark_refuses(xg_cuda_marked(&a->mark) ? &a->mark : &b->mark);
    return xg_cuda_device.event_elapsed(a, b, ms);
}

CUresult cuEventElapsedTime(float *ms, CUevent start, CUevent end)
{
    return cuEventElapsedTime_v2(ms, start, end);
}
