/* Streams and events are cuda/api's; here is what they are on the other side of the ring. */
#include "cuda/send.h"
#include "interposer/cuda/copy.h"

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

    if (!is_settled(ctx))
        return cu_stream_wait(ctx, cu_stream_wire(s));
    cu_text_flush(); /* whoever waited for the context may still be writing what it printed */
    return CUDA_SUCCESS;
}

/* --- events ----------------------------------------------------------------------------------- */

#define ASK_EVERY_NS                                                                               \
    20000u /* a program that polls an event does not fill the ring with questions */

static struct cu_event *event_of(struct xg_cuda_event *api)
{
    return xg_container_of(api, struct cu_event, api);
}

static uint32_t event_name(const struct xg_cuda_event *e)
{
    return xg_cuda_handle_name(e->handle);
}

CUresult cu_event_start(struct xg_cuda_event *e)
{
    struct cu_cmd c;

    atomic_store(&event_of(e)->over, true);
    cu_begin_take(&c, cu_ctx_of(e->ctx), XG_CUDA_COST_EVENT);
    cu_put_event_create(&c,
                        &(struct xg_cuda_event_create){.event = event_name(e), .flags = e->flags});
    return cu_end(&c);
}

CUresult cu_event_end(struct xg_cuda_event *e)
{
    CUresult r = cu_send_event_destroy(cu_ctx_of(e->ctx),
                                       &(struct xg_cuda_event_destroy){.event = event_name(e)});

    xg_cuda_event_free(e);
    return r;
}

CUresult cu_event_record(struct xg_cuda_stream *s, struct xg_cuda_event *api)
{
    struct cu_event *e = event_of(api);
    struct cu_cmd c;

    cu_begin(&c, cu_stream_ctx(s));
    cu_put_event_record(
        &c, &(struct xg_cuda_event_record){.event = event_name(api), .stream = cu_stream_wire(s)});
    atomic_store(&e->over, false);
    atomic_store(&e->asked_at, 0);
    return cu_end(&c);
}

CUresult cu_event_wait(struct xg_cuda_stream *s, struct xg_cuda_event *e)
{
    if (atomic_load(&event_of(e)->over))
        return CUDA_SUCCESS;
    return cu_send_stream_wait_event(
        cu_stream_ctx(s),
        &(struct xg_cuda_stream_wait_event){.stream = cu_stream_wire(s), .event = event_name(e)});
}

CUresult cu_event_settle(struct xg_cuda_event *e)
{
    CUresult r = CUDA_SUCCESS;
    struct cu_cmd c;

    /* Not noted as over: another thread may have recorded it again meanwhile. */
    if (!atomic_load(&event_of(e)->over)) {
        cu_begin_call(&c, cu_ctx_of(e->ctx));
        cu_put_event_sync(
            &c, &(struct xg_cuda_event_sync){.event = event_name(e), .alone = cu_alone()});
        cu_poll(&c, e->flags & CU_EVENT_BLOCKING_SYNC);
        r = cu_end(&c);
    }
    cu_text_flush();
    return r;
}

CUresult cu_event_query(struct xg_cuda_event *api)
{
    struct cu_event *e = event_of(api);

    if (atomic_load(&e->over))
        return CUDA_SUCCESS;
    uint64_t asked = atomic_load(&e->asked_at);
    if (asked && xg_now_ns() - asked < ASK_EVERY_NS)
        return CUDA_ERROR_NOT_READY;
    CUresult r = cu_call_event_query(cu_ctx_of(api->ctx),
                                     &(struct xg_cuda_event_query){.event = event_name(api)});
    if (r == CUDA_ERROR_NOT_READY)
        atomic_store(&e->asked_at, xg_now_ns());
    return r;
}

CUresult cu_event_elapsed(struct xg_cuda_event *from, struct xg_cuda_event *to, float *ms)
{
    struct xg_cuda_event_elapsed_reply reply;
    CUresult r = cu_call_event_elapsed(
        cu_ctx_of(from->ctx),
        &(struct xg_cuda_event_elapsed){.start = event_name(from), .end = event_name(to)}, &reply);

    if (r == CUDA_SUCCESS)
        *ms = reply.ms;
    return r;
}
