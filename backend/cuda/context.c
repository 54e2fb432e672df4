/* Contexts, streams and events. */
#include "backend/cuda/replay.h"

#include <stdlib.h>

#include "cuda/handlers.h"

#define FENCE_SPINS 200 /* queries until our own fence is over */

/* --- contexts --------------------------------------------------------------------------------- */

static CUresult ctx_add(struct cu_worker *w, uint32_t name, CUcontext h, bool primary, bool sleeps)
{
    struct cu_ctx *c = calloc(1, sizeof(*c));
    struct cu_stream *legacy = calloc(1, sizeof(*legacy));

    if (!c || !legacy || !xg_cu_account_take(w, XG_CUDA_COST_CONTEXT))
        goto no_memory;
    c->name = name;
    c->h = h;
    c->primary = primary;
    c->sleeps = sleeps;
    c->legacy = legacy;
    legacy->ctx = c;
    atomic_init(&c->refs, 1);
    xg_cu_quota_begin(w, c);
    if (name == 0 || xg_table_set(&w->ctxs, name, c)) {
        xg_cu_account_give(w, XG_CUDA_COST_CONTEXT);
        goto no_memory;
    }
    c->next = w->all_ctx;
    w->all_ctx = c;
    return CUDA_SUCCESS;
no_memory:
    free(c);
    free(legacy);
    return CUDA_ERROR_OUT_OF_MEMORY;
}

CUresult xg_cu_ctx_first(struct cu_worker *w, CUcontext *h)
{
    CUresult r = w->d.cuDevicePrimaryCtxRetain(h, w->device);

    if (r == CUDA_SUCCESS) {
        w->first = *h;
        atomic_store(&w->primary_used, true);
    }
    return r;
}

/* Making a context takes a good part of a second, and some hundred MiB of a GPU. INIT needs the
 * primary context anyway, so it becomes the first context that the guest makes, of whatever kind.
 * Further ones are contexts of their own. */
static CUresult ctx_make(struct cu_worker *w, uint32_t flags, CUcontext *h, bool *primary)
{
    CUresult r = CUDA_SUCCESS;

    *h = w->first;
    *primary = w->first || !atomic_load(&w->primary_used);
    if (!*primary) {
        r = w->d.cuCtxCreate_v2(h, flags, w->device);
        if (r == CUDA_SUCCESS) /* it came on top of the current one, to which nobody would return */
            w->d.cuCtxPopCurrent_v2(&(CUcontext){NULL});
        return r;
    }
    w->d.cuDevicePrimaryCtxSetFlags_v2(w->device, flags);
    if (!w->first)
        r = w->d.cuDevicePrimaryCtxRetain(h, w->device);
    if (r == CUDA_SUCCESS)
        atomic_store(&w->primary_used, true);
    w->first = NULL;
    return r;
}

static CUresult ctx_end(struct cu_worker *w, CUcontext h, bool primary)
{
    CUresult r = primary ? w->d.cuDevicePrimaryCtxRelease_v2(w->device) : w->d.cuCtxDestroy_v2(h);

    if (w->arena_ctx == h)
        w->arena_ctx = NULL;
    if (primary)
        atomic_store(&w->primary_used, false);
    return r;
}

/* The guest has named the context already. If it cannot be made, commands with that name are
 * refused. */
static CUresult ctx_create(struct cu_worker *w, uint32_t name, uint32_t flags)
{
    CUcontext h = NULL;
    bool primary;

    xg_cu_device_pause(w);
    CUresult r = ctx_make(w, flags, &h, &primary);
    xg_cu_device_resume(w);
    if (r == CUDA_SUCCESS) {
        r = ctx_add(w, name, h, primary, flags & CU_CTX_SCHED_BLOCKING_SYNC);
        if (r == CUDA_SUCCESS)
            xg_cu_arena_register(w, h);
        else
            ctx_end(w, h, primary);
    }
    /* Creating it made it current here, but the guest decides which one is. */
    w->d.cuCtxSetCurrent(w->ctx ? w->ctx->h : NULL);
    return r;
}

uint32_t xg_cu_ctx_create(struct cu_worker *w, const struct xg_cuda_ctx_create *a)
{
    return ctx_create(w, a->ctx, a->flags);
}

uint32_t xg_cu_ctx_primary(struct cu_worker *w, const struct xg_cuda_ctx_primary *a)
{
    return ctx_create(w, a->ctx, a->flags);
}

uint32_t xg_cu_ctx_set(struct cu_worker *w, const struct xg_cuda_ctx_set *a)
{
    struct cu_ctx *c = xg_table_get(&w->ctxs, a->ctx);

    w->ctx = c;
    w->d.cuCtxSetCurrent(c ? c->h : NULL);
    if (c && XG_UNLIKELY(!w->arena_ctx)) /* the context that it was registered in has ended */
        xg_cu_arena_register(w, c->h);
    return c || a->ctx == 0 ? CUDA_SUCCESS : CUDA_ERROR_INVALID_CONTEXT;
}

struct sweep {
    struct cu_worker *w;
    struct cu_ctx *ctx;
};

#define SWEEP(table, type, cost)                                                                   \
    static void sweep_##table(uint32_t name, void *object, void *arg)                              \
    {                                                                                              \
        struct sweep *s = arg;                                                                     \
        struct type *o = object;                                                                   \
        if (o->ctx == s->ctx) {                                                                    \
            xg_table_remove(&s->w->table, name);                                                   \
            xg_cu_account_give(s->w, cost);                                                        \
            free(o);                                                                               \
        }                                                                                          \
    }
SWEEP(funcs, cu_func, XG_CUDA_COST_FUNC)
SWEEP(textures, cu_object, XG_CUDA_COST_OBJECT)
SWEEP(surfaces, cu_object, XG_CUDA_COST_OBJECT)

static void sweep_arrays(uint32_t name, void *object, void *arg)
{
    struct sweep *s = arg;
    struct cu_array *o = object;

    if (o->ctx != s->ctx)
        return;
    xg_table_remove(&s->w->arrays, name);
    xg_cu_device_uncharge(s->w, o->bytes);
    free(o);
}

static void sweep_links(uint32_t name, void *object, void *arg)
{
    struct sweep *s = arg;
    struct cu_link *o = object;

    if (o->ctx != s->ctx)
        return;
    xg_table_remove(&s->w->links, name);
    s->w->d.cuLinkDestroy(o->h);
    xg_cu_account_give(s->w, o->bytes);
    free(o);
}

static void sweep_events(uint32_t name, void *object, void *arg)
{
    struct sweep *s = arg;
    struct cu_event *e = object;

    if (e->ctx != s->ctx)
        return;
    xg_table_remove(&s->w->events, name);
    xg_cu_event_put(s->w, e);
}

static void sweep_modules(uint32_t name, void *object, void *arg)
{
    struct sweep *s = arg;
    struct cu_module *m = object;

    if (m->ctx != s->ctx)
        return;
    xg_cu_range_drop_module(s->w, name);
    xg_table_remove(&s->w->modules, name);
    xg_cu_device_uncharge(s->w, m->bytes);
    free(m->func);
    free(m);
}

static void streams_sweep(struct cu_worker *w, struct cu_ctx *c)
{
    struct cu_stream **at = &w->all_streams;

    while (*at) {
        struct cu_stream *s = *at;
        if (s->ctx != c) {
            at = &s->next;
            continue;
        }
        *at = s->next;
        xg_table_remove(&w->streams, s->name);
        xg_cu_account_give(w, XG_CUDA_COST_STREAM);
        free(s);
    }
}

CUresult xg_cu_ctx_end(struct cu_worker *w, struct cu_ctx *c)
{
    for (unsigned i = 0; i < c->spare_count; i++)
        w->d.cuEventDestroy_v2(c->spare[i]);
    if (c->copied)
        w->d.cuEventDestroy_v2(c->copied);
    CUresult r = ctx_end(w, c->h, c->primary);
    xg_cu_quota_end(w, c);
    xg_cu_host_drop(w, c);
    xg_cu_account_give(w, XG_CUDA_COST_CONTEXT);
    free(c->spare);
    free(c->legacy);
    free(c);
    return r;
}

/* The guest has freed the context's memory before; everything else in it ends now. Work that is
 * still under way keeps the driver's context until it is over. */
uint32_t xg_cu_ctx_destroy(struct cu_worker *w, const struct xg_cuda_ctx_destroy *a)
{
    struct cu_ctx *c = xg_table_get(&w->ctxs, a->ctx);
    struct cu_ctx **at = &w->all_ctx;
    struct sweep s = {w, c};

    if (!c)
        return CUDA_ERROR_INVALID_CONTEXT;
    xg_cu_queue_drain(w);
    xg_table_each(&w->events, sweep_events, &s);
    xg_table_each(&w->funcs, sweep_funcs, &s);
    xg_table_each(&w->arrays, sweep_arrays, &s);
    xg_table_each(&w->links, sweep_links, &s);
    xg_table_each(&w->textures, sweep_textures, &s);
    xg_table_each(&w->surfaces, sweep_surfaces, &s);
    xg_table_each(&w->modules, sweep_modules, &s);
    streams_sweep(w, c);
    for (unsigned i = 0; i < w->range_count; i++)
        if (w->range[i].ctx == c)
            w->range[i].ctx = NULL;
    xg_table_remove(&w->ctxs, a->ctx);
    atomic_store(&c->gone, true);
    while (*at != c)
        at = &(*at)->next;
    *at = c->next;
    if (xg_word_stored(w->ring, XG_CUDA_WORD_CONTEXT) == c->name)
        xg_word_store(w->ring, XG_CUDA_WORD_ERROR, CUDA_SUCCESS);
    if (w->ctx == c) {
        w->ctx = NULL;
        w->d.cuCtxSetCurrent(NULL);
    }
    xg_cu_arena_leave(w, c->h);
    CUresult r = xg_cu_ctx_unref(c) ? xg_cu_ctx_end(w, c) : CUDA_SUCCESS;
    if (w->all_ctx)
        xg_cu_arena_register(w, w->all_ctx->h);
    return r;
}

uint32_t xg_cu_ctx_sync(struct cu_worker *w, const struct xg_cuda_ctx_sync *a)
{
    return xg_cu_wait_stream(w, NULL, a->alone);
}

uint32_t xg_cu_ctx_set_limit(struct cu_worker *w, const struct xg_cuda_ctx_set_limit *a)
{
    return w->ctx ? xg_cu_quota_limit(w, w->ctx, (CUlimit)a->limit, a->value)
                  : CUDA_ERROR_INVALID_CONTEXT;
}

uint32_t xg_cu_ctx_get_limit(struct cu_worker *w, const struct xg_cuda_ctx_get_limit *a)
{
    struct xg_cuda_ctx_get_limit_reply rep = {.result = CUDA_SUCCESS};
    size_t value = 0;
    CUresult r = w->d.cuCtxGetLimit(&value, (CUlimit)a->limit);

    if (r != CUDA_SUCCESS)
        return r;
    rep.value = value;
    xg_cu_reply(w, &rep, sizeof(rep));
    return r;
}

uint32_t xg_cu_ctx_config(struct cu_worker *w, const struct xg_cuda_ctx_config *a)
{
    switch (a->what) {
    case XG_CUDA_CONFIG_CACHE:
        return w->d.cuCtxSetCacheConfig ? w->d.cuCtxSetCacheConfig((CUfunc_cache)a->value)
                                        : CUDA_ERROR_NOT_SUPPORTED;
    case XG_CUDA_CONFIG_SHARED:
        return w->d.cuCtxSetSharedMemConfig ? w->d.cuCtxSetSharedMemConfig((CUsharedconfig)a->value)
                                            : CUDA_ERROR_NOT_SUPPORTED;
    case XG_CUDA_CONFIG_FLAGS:
        return w->d.cuCtxSetFlags ? w->d.cuCtxSetFlags(a->value) : CUDA_ERROR_NOT_SUPPORTED;
    default: return xg_cu_protocol_fail(w, "CTX_CONFIG of something unknown");
    }
}

/* --- streams ---------------------------------------------------------------------------------- */

struct cu_stream *xg_cu_stream_find(struct cu_worker *w, uint32_t name)
{
    if (name == XG_CUDA_STREAM_LEGACY)
        return w->ctx ? w->ctx->legacy : NULL;
    return xg_table_get(&w->streams, name);
}

/* After a copy to the device that is not asynchronous, a program may use the data in any stream.
 * The guest does not wait for such copies, which are made in stream 0. So streams that do not wait
 * for stream 0 by themselves are made to wait for an event. It is recorded right after the copy, so
 * that they do not wait for later kernels. (cuMemcpyHtoDAsync in stream 0 looks the same here.) */
void xg_cu_stream_copied(struct cu_worker *w, struct cu_stream *s)
{
    struct cu_ctx *c = s->ctx;

    if (s != c->legacy)
        return;
    c->copy_unmarked = !c->nonblocking;
    if (c->copy_unmarked)
        return;
    if (!c->copied && w->d.cuEventCreate(&c->copied, CU_EVENT_DISABLE_TIMING) != CUDA_SUCCESS)
        return;
    if (w->d.cuEventRecord(c->copied, s->h) != CUDA_SUCCESS)
        return;
    s->fenced = true;
    c->copies++;
}

void xg_cu_stream_order(struct cu_worker *w, struct cu_stream *s)
{
    if (XG_LIKELY(!s->nonblocking || s->copies == s->ctx->copies))
        return;
    s->copies = s->ctx->copies;
    w->d.cuStreamWaitEvent(s->h, s->ctx->copied, 0);
}

uint32_t xg_cu_stream_create(struct cu_worker *w, const struct xg_cuda_stream_create *a)
{
    struct cu_stream *s;
    CUresult r;

    if (!w->ctx)
        return CUDA_ERROR_INVALID_CONTEXT;
    s = calloc(1, sizeof(*s));
    if (!s || !xg_cu_account_take(w, XG_CUDA_COST_STREAM)) {
        free(s);
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    r = w->d.cuStreamCreateWithPriority(&s->h, a->flags, a->priority);
    if (r != CUDA_SUCCESS)
        goto fail;
    r = CUDA_ERROR_INVALID_VALUE;
    s->ctx = w->ctx;
    s->nonblocking = a->flags & CU_STREAM_NON_BLOCKING;
    s->name = a->stream;
    if (a->stream == XG_CUDA_STREAM_LEGACY || xg_table_set(&w->streams, a->stream, s)) {
        w->d.cuStreamDestroy_v2(s->h);
        goto fail;
    }
    s->next = w->all_streams;
    w->all_streams = s;
    if (s->nonblocking && s->ctx->nonblocking++ == 0 && s->ctx->copy_unmarked)
        xg_cu_stream_copied(w, s->ctx->legacy);
    return CUDA_SUCCESS;
fail:
    xg_cu_account_give(w, XG_CUDA_COST_STREAM);
    free(s);
    return r;
}

uint32_t xg_cu_stream_destroy(struct cu_worker *w, const struct xg_cuda_stream_destroy *a)
{
    struct cu_stream *s = xg_table_remove(&w->streams, a->stream);
    struct cu_stream **at = &w->all_streams;
    CUresult r;

    if (!s)
        return CUDA_ERROR_INVALID_HANDLE;
    while (*at != s)
        at = &(*at)->next;
    *at = s->next;
    s->ctx->nonblocking -= s->nonblocking;
    r = CUDA_SUCCESS;
    if (xg_cu_stream_end(w, s))
        r = w->d.cuStreamDestroy_v2(s->h);
    xg_cu_account_give(w, XG_CUDA_COST_STREAM);
    free(s);
    return r;
}

uint32_t xg_cu_stream_sync(struct cu_worker *w, const struct xg_cuda_stream_sync *a)
{
    struct cu_stream *s = xg_cu_stream_find(w, a->stream);
    return s ? xg_cu_wait_stream(w, s, a->alone) : CUDA_ERROR_INVALID_HANDLE;
}

uint32_t xg_cu_stream_query(struct cu_worker *w, const struct xg_cuda_stream_query *a)
{
    struct cu_stream *s = xg_cu_stream_find(w, a->stream);

    if (!s)
        return CUDA_ERROR_INVALID_HANDLE;
    CUresult r = w->d.cuStreamQuery(s->h);
    /* Perhaps only our own fence is left, which is over at once. */
    for (unsigned i = 0; r == CUDA_ERROR_NOT_READY && s->fenced && i < FENCE_SPINS; i++) {
        xg_cpu_relax();
        r = w->d.cuStreamQuery(s->h);
    }
    return xg_cu_deferred_take(w->ctx, r);
}

uint32_t xg_cu_stream_wait_event(struct cu_worker *w, const struct xg_cuda_stream_wait_event *a)
{
    struct cu_stream *s = xg_cu_stream_find(w, a->stream);
    struct cu_event *e = xg_table_get(&w->events, a->event);

    if (!s || !e)
        return CUDA_ERROR_INVALID_HANDLE;
    return xg_cu_order_wait(w, s, e, a->flags);
}

/* --- events ----------------------------------------------------------------------------------- */

uint32_t xg_cu_event_create(struct cu_worker *w, const struct xg_cuda_event_create *a)
{
    struct cu_event *e;
    CUresult r;

    if (!w->ctx)
        return CUDA_ERROR_INVALID_CONTEXT;
    e = calloc(1, sizeof(*e));
    if (!e || !xg_cu_account_take(w, XG_CUDA_COST_EVENT)) {
        free(e);
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    e->ctx = w->ctx;
    e->sleeps = a->flags & CU_EVENT_BLOCKING_SYNC;
    atomic_init(&e->refs, 1);
    /* A thread of the worker may wait for it for long, so that wait must not poll. How the
     * application itself waits is decided in the guest. */
    r = w->d.cuEventCreate(&e->h, w->integrated ? a->flags : a->flags | CU_EVENT_BLOCKING_SYNC);
    if (r == CUDA_SUCCESS && xg_table_set(&w->events, a->event, e)) {
        w->d.cuEventDestroy_v2(e->h);
        r = CUDA_ERROR_INVALID_VALUE;
    }
    if (r != CUDA_SUCCESS) {
        xg_cu_account_give(w, XG_CUDA_COST_EVENT);
        free(e);
    }
    return r;
}

CUresult xg_cu_event_put(struct cu_worker *w, struct cu_event *e)
{
    if (atomic_fetch_sub(&e->refs, 1) > 1)
        return CUDA_SUCCESS;
    CUresult r = w->d.cuEventDestroy_v2(e->h);
    xg_cu_account_give(w, XG_CUDA_COST_EVENT);
    free(e);
    return r;
}

uint32_t xg_cu_event_destroy(struct cu_worker *w, const struct xg_cuda_event_destroy *a)
{
    struct cu_event *e = xg_table_remove(&w->events, a->event);
    return e ? xg_cu_event_put(w, e) : CUDA_ERROR_INVALID_HANDLE;
}

uint32_t xg_cu_event_record(struct cu_worker *w, const struct xg_cuda_event_record *a)
{
    struct cu_stream *s = xg_cu_stream_find(w, a->stream);
    struct cu_event *e = xg_table_get(&w->events, a->event);

    if (!s || !e)
        return CUDA_ERROR_INVALID_HANDLE;
    if (a->flags && !w->d.cuEventRecordWithFlags)
        return CUDA_ERROR_NOT_SUPPORTED;
    CUresult r = a->flags ? w->d.cuEventRecordWithFlags(e->h, s->h, a->flags)
                          : w->d.cuEventRecord(e->h, s->h);
    if (r == CUDA_SUCCESS)
        xg_cu_order_record(w, s, e);
    return r;
}

uint32_t xg_cu_event_sync(struct cu_worker *w, const struct xg_cuda_event_sync *a)
{
    struct cu_event *e = xg_table_get(&w->events, a->event);
    return e ? xg_cu_wait_event(w, e, a->alone) : CUDA_ERROR_INVALID_HANDLE;
}

uint32_t xg_cu_event_query(struct cu_worker *w, const struct xg_cuda_event_query *a)
{
    struct cu_event *e = xg_table_get(&w->events, a->event);
    if (!e)
        return CUDA_ERROR_INVALID_HANDLE;
    CUresult r = w->d.cuEventQuery(e->h);
    if (r == CUDA_SUCCESS) /* the guest then knows that it is over, and does not ask again */
        r = w->d.cuEventSynchronize(e->h);
    return xg_cu_deferred_take(w->ctx, r);
}

uint32_t xg_cu_event_elapsed(struct cu_worker *w, const struct xg_cuda_event_elapsed *a)
{
    struct cu_event *start = xg_table_get(&w->events, a->start),
                    *end = xg_table_get(&w->events, a->end);
    struct xg_cuda_event_elapsed_reply rep = {.result = CUDA_SUCCESS};

    if (!start || !end)
        return CUDA_ERROR_INVALID_HANDLE;
    CUresult r = w->d.cuEventElapsedTime(&rep.ms, start->h, end->h);
    if (r != CUDA_SUCCESS)
        return r;
    xg_cu_reply(w, &rep, sizeof(rep));
    return r;
}
