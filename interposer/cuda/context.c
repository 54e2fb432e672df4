/* Contexts are cuda/api's; here is what they are on the other side of the ring. */
#include "cuda/send.h"

#include <stdlib.h>

CUresult cu_device_lost(void)
{
    return XG_UNLIKELY(cu_lost()) ? CU_LOST : CUDA_SUCCESS;
}

CUresult cu_ctx_error(const struct cu_ctx *ctx)
{
    _Atomic uint32_t *word = cu.ring->page->word;
    uint32_t e = atomic_load_explicit(&word[XG_CUDA_WORD_ERROR], memory_order_acquire);

    if (XG_LIKELY(e == 0))
        return CUDA_SUCCESS;
    uint32_t whose = atomic_load_explicit(&word[XG_CUDA_WORD_CONTEXT], memory_order_relaxed);
    return whose == ctx->name || whose == XG_CUDA_ALL_CONTEXTS ? (CUresult)e : CUDA_SUCCESS;
}

CUresult cu_ctx_unusable(struct xg_cuda_ctx *api)
{
    struct cu_ctx *ctx = cu_ctx_of(api);

    if (XG_UNLIKELY(cu_lost()))
        return CU_LOST;
    CUresult r = cu_ctx_error(ctx);
    if (XG_UNLIKELY(r != CUDA_SUCCESS) && !atomic_exchange(&ctx->explained, true)) {
        cu_text_told(); /* a failed assert says why */
        cu_text_flush();
    }
    return r;
}

/* --- life ------------------------------------------------------------------------------------- */

/* Waits for the answer: it takes long in any case, and this is where a program hears that the
 * device is full, or another's. */
CUresult cu_ctx_start(struct xg_cuda_ctx *api)
{
    struct cu_ctx *ctx = cu_ctx_of(api);
    struct cu_cmd c;

    ctx->name = xg_cuda_handle_name(api->handle);
    memcpy(api->limit, cu.snap.limit, sizeof(api->limit));
    xg_lock_init(&ctx->lock);
    cu_begin_call(&c, NULL);
    if (api->primary)
        cu_put_ctx_primary(&c,
                           &(struct xg_cuda_ctx_primary){.ctx = ctx->name, .flags = api->flags});
    else
        cu_put_ctx_create(&c, &(struct xg_cuda_ctx_create){.ctx = ctx->name, .flags = api->flags});
    return cu_end(&c);
}

/* The streams and events of a context that ends. */
struct ctx_things {
    const struct xg_cuda_ctx *ctx;
    void **stream, **event;
    unsigned streams, events;
};

/* False: no memory, and it stays what it is: a name that nobody finds. */
static bool thing_add(void ***list, unsigned *count, void *object)
{
    void **more = realloc(*list, (*count + 1) * sizeof(*more));

    if (!more)
        return false;
    *list = more;
    more[(*count)++] = object;
    return true;
}

static void stream_hide(void *object, void *arg)
{
    struct xg_cuda_stream *s = object;
    struct ctx_things *t = arg;

    if (s->ctx != t->ctx || !xg_cuda_handle_hide(XG_CUDA_KIND_STREAM, s->handle))
        return;
    xg_cuda_capture_abandon(s);
    (void)thing_add(&t->stream, &t->streams, s);
}

static void event_hide(void *object, void *arg)
{
    struct xg_cuda_event *e = object;
    struct ctx_things *t = arg;

    if (e->ctx == t->ctx && xg_cuda_handle_hide(XG_CUDA_KIND_EVENT, e->handle))
        (void)thing_add(&t->event, &t->events, e);
}

/* The worker was told that the context ends: their names may be used again. */
static void things_free(struct ctx_things *t)
{
    for (unsigned i = 0; i < t->streams; i++) {
        struct xg_cuda_stream *s = t->stream[i];
        xg_cuda_handle_free(XG_CUDA_KIND_STREAM, s->handle);
        free(s);
    }
    for (unsigned i = 0; i < t->events; i++) {
        struct xg_cuda_event *e = t->event[i];
        xg_cuda_handle_free(XG_CUDA_KIND_EVENT, e->handle);
        xg_cuda_event_free(e);
    }
    free(t->stream);
    free(t->event);
}

CUresult cu_ctx_end(struct xg_cuda_ctx *api)
{
    struct cu_ctx *ctx = cu_ctx_of(api);
    struct ctx_things things = {.ctx = api};

    cu_ctx_sync(ctx);
    xg_cuda_handle_each(XG_CUDA_KIND_STREAM, stream_hide, &things);
    xg_cuda_handle_each(XG_CUDA_KIND_EVENT, event_hide, &things);
    xg_cuda_libraries_forget(api->handle);
    cu_ctx_hide_modules(ctx);
    cu_device_free_ctx(ctx);
    cu_host_unregister_ctx(ctx);
    CUresult r = cu_send_ctx_destroy(NULL, &(struct xg_cuda_ctx_destroy){.ctx = ctx->name});
    cu_ctx_free_modules(ctx);
    things_free(&things);
    return r;
}

/* --- settings --------------------------------------------------------------------------------- */

/* The driver may round: what it made of it is asked for at once. */
CUresult cu_ctx_limit(struct xg_cuda_ctx *api, CUlimit limit, uint64_t *value)
{
    struct xg_cuda_ctx_get_limit_reply reply;
    struct cu_ctx *ctx = cu_ctx_of(api);
    struct cu_cmd c;

    cu_host_settle(ctx);
    cu_begin_call(&c, ctx);
    cu_put_ctx_set_limit(&c, &(struct xg_cuda_ctx_set_limit){.limit = limit, .value = *value});
    CUresult r = cu_end(&c);
    if (r == CUDA_SUCCESS)
        r = cu_call_ctx_get_limit(ctx, &(struct xg_cuda_ctx_get_limit){.limit = limit}, &reply);
    if (r == CUDA_SUCCESS)
        *value = reply.value;
    return r;
}

CUresult cu_ctx_tell(struct xg_cuda_ctx *api, enum xg_cuda_ctx_setting setting, unsigned value)
{
    static const uint32_t what[] = {[XG_CUDA_CTX_FLAGS] = XG_CUDA_CONFIG_FLAGS,
                                    [XG_CUDA_CTX_CACHE] = XG_CUDA_CONFIG_CACHE,
                                    [XG_CUDA_CTX_BANKS] = XG_CUDA_CONFIG_SHARED};

    if (setting == XG_CUDA_CTX_L2_RESET)
        return CUDA_ERROR_NOT_SUPPORTED;
    return cu_send_ctx_config(cu_ctx_of(api),
                              &(struct xg_cuda_ctx_config){.what = what[setting], .value = value});
}

/* --- waiting ---------------------------------------------------------------------------------- */

CUresult cu_ctx_sync(struct cu_ctx *ctx)
{
    struct cu_cmd c;

    cu_begin_call(&c, ctx);
    cu_put_ctx_sync(&c, &(struct xg_cuda_ctx_sync){.alone = cu_alone()});
    cu_poll(&c, ctx->api.flags & CU_CTX_SCHED_BLOCKING_SYNC);
    uint64_t work = atomic_load(&cu.work); /* under the ring's lock: what was sent before */
    cu_send(&c);
    CUresult r = cu_finish(&c);
    if (r == CUDA_SUCCESS)
        atomic_store_explicit(&ctx->synced, work, memory_order_relaxed);
    cu_text_flush();
    return r;
}

CUresult cu_ctx_settle(struct cu_ctx *ctx)
{
    /* Nothing was sent since the last time: the answer is known. */
    if (atomic_load_explicit(&ctx->synced, memory_order_relaxed) == atomic_load(&cu.work)) {
        cu_text_flush();
        return CUDA_SUCCESS;
    }
    return cu_ctx_sync(ctx);
}
