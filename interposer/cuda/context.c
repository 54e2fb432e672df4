/* Contexts: the stack of each thread, the primary one, limits. */
#include "cuda/send.h"

#include <stdlib.h>

__thread struct cu_ctx *cu_stack[CU_STACK];
__thread unsigned cu_depth;

static pthread_mutex_t lock = XG_LOCK_INITIALIZER;
static _Atomic uint64_t serials;
static struct {
    struct cu_ctx *ctx;
    unsigned references, flags;
} primary;

/* --- the current one -------------------------------------------------------------------------- */

struct cu_ctx *cu_ctx_current(void)
{
    return cu_depth ? cu_stack[cu_depth - 1] : NULL;
}

CUresult cu_ctx_error(const struct cu_ctx *ctx)
{
    _Atomic uint32_t *word = cu.ring->page->word;
    uint32_t e = atomic_load_explicit(&word[XG_CUDA_WORD_ERROR], memory_order_acquire);

    if (XG_LIKELY(e == 0))
        return CUDA_SUCCESS;
    uint32_t whose = atomic_load_explicit(&word[XG_CUDA_WORD_CONTEXT], memory_order_relaxed);
    return whose == ctx->o.name || whose == XG_CUDA_ALL_CONTEXTS ? (CUresult)e : CUDA_SUCCESS;
}

/* `home`: for a thread that has none. */
static CUresult enter(struct cu_ctx *home, struct cu_ctx **ctx)
{
    if (XG_UNLIKELY(!xg_cuda_started()))
        return CUDA_ERROR_NOT_INITIALIZED;
    if (XG_UNLIKELY(xg_cuda_in_host_function))
        return CUDA_ERROR_NOT_PERMITTED;
    *ctx = cu_ctx_current();
    if (XG_UNLIKELY(!*ctx))
        *ctx = home;
    if (XG_UNLIKELY(!*ctx))
        return CUDA_ERROR_INVALID_CONTEXT;
    if (XG_UNLIKELY(atomic_load_explicit(&(*ctx)->destroyed, memory_order_relaxed)))
        return CUDA_ERROR_CONTEXT_IS_DESTROYED;
    if (XG_UNLIKELY(cu_lost()))
        return CU_LOST;
    return CUDA_SUCCESS;
}

static CUresult spoilt(struct cu_ctx *ctx)
{
    CUresult r = cu_ctx_error(ctx);

    if (XG_UNLIKELY(r != CUDA_SUCCESS) && !atomic_exchange(&ctx->explained, true)) {
        cu_text_told(); /* a failed assert says why */
        cu_text_flush();
    }
    return r;
}

CUresult cu_enter(struct cu_ctx **ctx)
{
    CUresult r = enter(NULL, ctx);

    return XG_LIKELY(r == CUDA_SUCCESS) ? spoilt(*ctx) : r;
}

static struct cu_ctx *home_of(enum cu_kind kind, const void *handle)
{
    struct cu_stream *s; /* streams, events, modules ... all begin with object and context */

    if (XG_LIKELY(cu_depth != 0))
        return NULL;
    if (kind == CU_KIND_FUNC) {
        struct cu_func *f = cu_object_get(kind, handle);
        return f ? f->ctx : NULL;
    }
    s = cu_object_get(kind, handle);
    return s ? s->ctx : NULL;
}

CUresult cu_enter_any_of(enum cu_kind kind, const void *handle, struct cu_ctx **ctx)
{
    return enter(home_of(kind, handle), ctx);
}

CUresult cu_enter_of(enum cu_kind kind, const void *handle, struct cu_ctx **ctx)
{
    CUresult r = enter(home_of(kind, handle), ctx);

    return XG_LIKELY(r == CUDA_SUCCESS) ? spoilt(*ctx) : r;
}

CUresult cu_enter_any_at(uint64_t address, struct cu_ctx **ctx)
{
    struct cu_mem m;

    return enter(!cu_depth && cu_mem_find(address, &m) ? m.ctx : NULL, ctx);
}

CUresult cu_enter_none(struct cu_ctx **ctx)
{
    if (XG_LIKELY(cu_ctx_current() != NULL))
        return cu_enter(ctx);
    *ctx = NULL;
    XG_CUDA_READY();
    return cu_lost() ? CU_LOST : CUDA_SUCCESS;
}

/* --- making and destroying -------------------------------------------------------------------- */

static struct cu_ctx *ctx_new(unsigned flags, unsigned version)
{
    struct cu_ctx *ctx = cu_object_new(CU_KIND_CTX, sizeof(*ctx));

    if (!ctx)
        return NULL;
    ctx->serial = atomic_fetch_add(&serials, 1) + 1;
    ctx->flags = flags;
    ctx->api_version = version;
    ctx->attached = 1;
    memcpy(ctx->limit, cu.snap.limit, sizeof(ctx->limit));
    xg_lock_init(&ctx->lock);
    ctx->legacy = (struct xg_cuda_stream){
        .handle = CU_STREAM_LEGACY, .ctx = cu_handle(&ctx->o), .legacy = true};
    return ctx;
}

/* Waits for the answer: it takes long in any case, and this is where a program hears that the
 * device is full, or another's. */
static CUresult ctx_send(struct cu_ctx *ctx, bool is_primary)
{
    struct cu_cmd c;

    cu_begin_call(&c, NULL);
    if (is_primary)
        cu_put_ctx_primary(&c,
                           &(struct xg_cuda_ctx_primary){.ctx = ctx->o.name, .flags = ctx->flags});
    else
        cu_put_ctx_create(&c,
                          &(struct xg_cuda_ctx_create){.ctx = ctx->o.name, .flags = ctx->flags});
    return cu_end(&c);
}

static void stream_end(void *object, void *arg)
{
    struct cu_stream *s = object;
    if (s->ctx == arg && cu_object_hide(&s->o))
        xg_cuda_capture_abandon(&s->api);
}

static void hide_of(void *object, void *arg)
{
    struct cu_stream *s =
        object; /* streams, events, modules ... all begin with object and context */
    if (s->ctx == arg)
        cu_object_hide(&s->o);
}

/* Everything of the context dies with it. The structure stays: other threads may have it current.
 */
static CUresult ctx_end(struct cu_ctx *ctx)
{
    if (!cu_object_hide(&ctx->o))
        return CUDA_ERROR_INVALID_CONTEXT;
    cu_ctx_sync(ctx);
    atomic_store(&ctx->destroyed, true);
    xg_cuda_handle_each(CU_KIND_STREAM, stream_end, ctx);
    xg_cuda_handle_each(CU_KIND_EVENT, hide_of, ctx);
    xg_cuda_libraries_forget(cu_handle(&ctx->o));
    cu_ctx_end_modules(ctx);
    cu_device_free_ctx(ctx);
    cu_host_unregister_ctx(ctx);
    return cu_send_ctx_destroy(NULL, &(struct xg_cuda_ctx_destroy){.ctx = ctx->o.name});
}

static CUresult create(CUcontext *out, unsigned flags, CUdevice device, unsigned version)
{
    struct cu_ctx *ctx;
    CUresult r;

    XG_CUDA_READY();
    if (!out || !xg_cuda_ctx_flags_valid(flags))
        return CUDA_ERROR_INVALID_VALUE;
    if (device != 0)
        return CUDA_ERROR_INVALID_DEVICE;
    if (cu_depth == CU_STACK)
        return CUDA_ERROR_OUT_OF_MEMORY;
    ctx = ctx_new(flags, version);
    if (!ctx)
        return CUDA_ERROR_OUT_OF_MEMORY;
    r = ctx_send(ctx, false);
    if (r != CUDA_SUCCESS) {
        cu_object_hide(&ctx->o);
        cu_object_free(&ctx->o);
        return r;
    }
    cu_stack[cu_depth++] = ctx;
    *out = cu_handle(&ctx->o);
    return CUDA_SUCCESS;
}

CUresult cuCtxCreate_v2(CUcontext *out, unsigned int flags, CUdevice device)
{
    return create(out, flags, device, 3020);
}

CUresult cuCtxCreate(CUcontext *out, unsigned int flags, CUdevice device)
{
    return create(out, flags, device, 3010);
}

CUresult cuCtxCreate_v3(CUcontext *out, CUexecAffinityParam *params, int count, unsigned int flags,
                        CUdevice device)
{
    XG_CUDA_READY();
    if (count > 0)
        return params ? CUDA_ERROR_UNSUPPORTED_EXEC_AFFINITY : CUDA_ERROR_INVALID_VALUE;
    return create(out, flags, device, 3020);
}

CUresult cuCtxCreate_v4(CUcontext *out, CUctxCreateParams *params, unsigned int flags,
                        CUdevice device)
{
    XG_CUDA_READY();
    if (params && (params->numExecAffinityParams || params->cigParams))
        return CUDA_ERROR_NOT_SUPPORTED;
    return create(out, flags, device, 3020);
}

CUresult cuCtxDestroy_v2(CUcontext h)
{
    XG_CUDA_NEED(h, CUDA_ERROR_INVALID_VALUE);
    XG_CUDA_READY();
    struct cu_ctx *ctx = cu_object_get(CU_KIND_CTX, h);
    if (!ctx || ctx->primary)
        return CUDA_ERROR_INVALID_CONTEXT;
    CUresult r = ctx_end(ctx);
    if (r == CUDA_SUCCESS && cu_ctx_current() == ctx)
        cu_depth--;
    return r;
}

CUresult cuCtxDestroy(CUcontext h)
{
    return cuCtxDestroy_v2(h);
}

CUresult cuCtxAttach(CUcontext *out, unsigned int flags)
{
    CU_ENTER(ctx);
    if (!out || flags)
        return CUDA_ERROR_INVALID_VALUE;
    pthread_mutex_lock(&lock);
    ctx->attached++;
    pthread_mutex_unlock(&lock);
    *out = cu_handle(&ctx->o);
    return CUDA_SUCCESS;
}

CUresult cuCtxDetach(CUcontext h)
{
    XG_CUDA_READY();
    struct cu_ctx *ctx = cu_object_get(CU_KIND_CTX, h);
    if (!ctx || ctx != cu_ctx_current())
        return CUDA_ERROR_INVALID_CONTEXT;
    pthread_mutex_lock(&lock);
    bool last = !ctx->primary && --ctx->attached == 0;
    pthread_mutex_unlock(&lock);
    return last ? cuCtxDestroy_v2(h) : CUDA_SUCCESS;
}

/* --- the primary one -------------------------------------------------------------------------- */

static CUresult device_check(CUdevice device)
{
    XG_CUDA_READY();
    return device == 0 ? CUDA_SUCCESS : CUDA_ERROR_INVALID_DEVICE;
}

CUresult cuDevicePrimaryCtxRetain(CUcontext *out, CUdevice device)
{
    CUresult r = device_check(device);

    if (r != CUDA_SUCCESS)
        return r;
    if (!out)
        return CUDA_ERROR_INVALID_VALUE;
    if (cu_lost())
        return CU_LOST;
    pthread_mutex_lock(&lock);
    if (!primary.ctx) {
        struct cu_ctx *ctx = ctx_new(primary.flags, 3020);
        r = ctx ? ctx_send(ctx, true) : CUDA_ERROR_OUT_OF_MEMORY;
        if (r == CUDA_SUCCESS) {
            ctx->primary = true;
            primary.ctx = ctx;
        }
    }
    if (r == CUDA_SUCCESS) {
        primary.references++;
        *out = cu_handle(&primary.ctx->o);
    }
    pthread_mutex_unlock(&lock);
    return r;
}

static CUresult primary_end(bool reset)
{
    CUresult r = CUDA_SUCCESS;

    pthread_mutex_lock(&lock);
    struct cu_ctx *ctx = primary.ctx;
    if (!reset && primary.references == 0)
        r = CUDA_ERROR_INVALID_CONTEXT;
    else if (reset || --primary.references == 0) /* who retained it still releases it */
        primary.ctx = NULL;
    else
        ctx = NULL;
    pthread_mutex_unlock(&lock);
    if (r == CUDA_SUCCESS && ctx)
        r = ctx_end(ctx);
    return r;
}

CUresult cuDevicePrimaryCtxRelease_v2(CUdevice device)
{
    CUresult r = device_check(device);
    return r == CUDA_SUCCESS ? primary_end(false) : r;
}

CUresult cuDevicePrimaryCtxRelease(CUdevice device)
{
    return cuDevicePrimaryCtxRelease_v2(device);
}

CUresult cuDevicePrimaryCtxReset_v2(CUdevice device)
{
    CUresult r = device_check(device);
    return r == CUDA_SUCCESS ? primary_end(true) : r;
}

CUresult cuDevicePrimaryCtxReset(CUdevice device)
{
    return cuDevicePrimaryCtxReset_v2(device);
}

static CUresult send_config(struct cu_ctx *ctx, uint32_t what, uint32_t value)
{
    return cu_send_ctx_config(ctx, &(struct xg_cuda_ctx_config){.what = what, .value = value});
}

CUresult cuDevicePrimaryCtxSetFlags_v2(CUdevice device, unsigned int flags)
{
    CUresult r = device_check(device);

    if (r != CUDA_SUCCESS)
        return r;
    if (!xg_cuda_ctx_flags_valid(flags))
        return CUDA_ERROR_INVALID_VALUE;
    pthread_mutex_lock(&lock);
    primary.flags = flags;
    if (primary.ctx)
        primary.ctx->flags = flags;
    pthread_mutex_unlock(&lock);
    return CUDA_SUCCESS;
}

CUresult cuDevicePrimaryCtxSetFlags(CUdevice device, unsigned int flags)
{
    return cuDevicePrimaryCtxSetFlags_v2(device, flags);
}

CUresult cuDevicePrimaryCtxGetState(CUdevice device, unsigned int *flags, int *active)
{
    XG_CUDA_NEED(flags && active, CUDA_ERROR_INVALID_VALUE);
    CUresult r = device_check(device);

    if (r != CUDA_SUCCESS)
        return r;
    pthread_mutex_lock(&lock);
    *flags = primary.flags;
    *active = primary.ctx != NULL;
    pthread_mutex_unlock(&lock);
    return CUDA_SUCCESS;
}

/* --- the stack -------------------------------------------------------------------------------- */

CUresult cuCtxPushCurrent_v2(CUcontext h)
{
    XG_CUDA_READY();
    if (!h)
        return CUDA_ERROR_INVALID_VALUE;
    struct cu_ctx *ctx = cu_object_get(CU_KIND_CTX, h);
    if (!ctx)
        return h ? CUDA_ERROR_INVALID_CONTEXT : CUDA_ERROR_INVALID_VALUE;
    if (cu_depth == CU_STACK)
        return CUDA_ERROR_OUT_OF_MEMORY;
    cu_stack[cu_depth++] = ctx;
    return CUDA_SUCCESS;
}

CUresult cuCtxPushCurrent(CUcontext h)
{
    return cuCtxPushCurrent_v2(h);
}

CUresult cuCtxPopCurrent_v2(CUcontext *out)
{
    XG_CUDA_READY();
    if (!cu_depth)
        return CUDA_ERROR_INVALID_CONTEXT;
    struct cu_ctx *ctx = cu_stack[--cu_depth];
    if (out)
        *out = ctx ? cu_handle(&ctx->o) : NULL;
    return CUDA_SUCCESS;
}

CUresult cuCtxPopCurrent(CUcontext *out)
{
    return cuCtxPopCurrent_v2(out);
}

CUresult cuCtxSetCurrent(CUcontext h)
{
    XG_CUDA_READY();
    struct cu_ctx *ctx = cu_object_get(CU_KIND_CTX, h);
    if (h && !ctx)
        return CUDA_ERROR_INVALID_CONTEXT;
    if (!ctx && cu_depth)
        cu_depth--;
    else if (ctx && cu_depth)
        cu_stack[cu_depth - 1] = ctx;
    else if (ctx)
        cu_stack[cu_depth++] = ctx;
    return CUDA_SUCCESS;
}

CUresult cuCtxGetCurrent(CUcontext *out)
{
    XG_CUDA_READY();
    if (!out)
        return CUDA_ERROR_INVALID_VALUE;
    struct cu_ctx *ctx = cu_ctx_current();
    *out = ctx ? cu_handle(&ctx->o) : NULL;
    return CUDA_SUCCESS;
}

/* --- what a context knows of itself ----------------------------------------------------------- */

static CUresult ctx_or_current(CUcontext h, struct cu_ctx **ctx)
{
    XG_CUDA_READY();
    *ctx = h ? cu_object_get(CU_KIND_CTX, h) : cu_ctx_current();
    if (!*ctx)
        return CUDA_ERROR_INVALID_CONTEXT;
    /* One that another thread has ended stays on this one's stack. */
    return atomic_load(&(*ctx)->destroyed) ? CUDA_ERROR_CONTEXT_IS_DESTROYED : CUDA_SUCCESS;
}

CUresult cuCtxGetDevice_v2(CUdevice *device, CUcontext h)
{
    XG_CUDA_NEED(device, CUDA_ERROR_INVALID_VALUE);
    struct cu_ctx *ctx;
    CUresult r = ctx_or_current(h, &ctx);

    if (r == CUDA_SUCCESS)
        *device = 0;
    return r;
}

CUresult cuCtxGetDevice(CUdevice *device)
{
    XG_CUDA_NEED(device, CUDA_ERROR_INVALID_VALUE);
    return cuCtxGetDevice_v2(device, NULL);
}

CUresult cuCtxGetFlags(unsigned int *flags)
{
    XG_CUDA_NEED(flags, CUDA_ERROR_INVALID_VALUE);
    CU_ENTER(ctx);
    *flags = ctx->flags;
    return CUDA_SUCCESS;
}

CUresult cuCtxSetFlags(unsigned int flags)
{
    CU_ENTER(ctx);
    if (!xg_cuda_ctx_flags_valid(flags))
        return CUDA_ERROR_INVALID_VALUE;
    ctx->flags = flags;
    return send_config(ctx, XG_CUDA_CONFIG_FLAGS, flags);
}

CUresult cuCtxGetId(CUcontext h, unsigned long long *id)
{
    XG_CUDA_NEED(id, CUDA_ERROR_INVALID_VALUE);
    struct cu_ctx *ctx;
    CUresult r = ctx_or_current(h, &ctx);

    if (r == CUDA_SUCCESS)
        *id = ctx->serial;
    return r;
}

CUresult cuCtxGetApiVersion(CUcontext h, unsigned int *version)
{
    struct cu_ctx *ctx;
    CUresult r = ctx_or_current(h, &ctx);

    if (r == CUDA_SUCCESS && !version)
        r = CUDA_ERROR_INVALID_VALUE;
    if (r == CUDA_SUCCESS)
        *version = ctx->api_version;
    return r;
}

CUresult cuCtxGetStreamPriorityRange(int *least, int *greatest)
{
    CU_ENTER(ctx);
    if (least)
        *least = cu.snap.priority_least;
    if (greatest)
        *greatest = cu.snap.priority_greatest;
    return CUDA_SUCCESS;
}

CUresult cuCtxGetLimit(size_t *value, CUlimit limit)
{
    CU_ENTER(ctx);
    if (!value)
        return CUDA_ERROR_INVALID_VALUE;
    if ((unsigned)limit >= CU_LIMIT_MAX)
        return CUDA_ERROR_INVALID_VALUE;
    if (ctx->limit[limit] == UINT64_MAX)
        return CUDA_ERROR_UNSUPPORTED_LIMIT;
    *value = ctx->limit[limit];
    return CUDA_SUCCESS;
}

/* The driver may round: what it made of it is asked for at once. */
CUresult cuCtxSetLimit(CUlimit limit, size_t value)
{
    struct xg_cuda_ctx_get_limit_reply reply;
    struct cu_cmd c;

    CU_ENTER(ctx);
    CU_UNSAFE();
    if ((unsigned)limit >= CU_LIMIT_MAX)
        return CUDA_ERROR_INVALID_VALUE;
    if (ctx->limit[limit] == UINT64_MAX)
        return CUDA_ERROR_UNSUPPORTED_LIMIT;
    cu_host_settle(ctx);
    cu_begin_call(&c, ctx);
    cu_put_ctx_set_limit(&c, &(struct xg_cuda_ctx_set_limit){.limit = limit, .value = value});
    CUresult r = cu_end(&c);
    if (r != CUDA_SUCCESS)
        return r;
    r = cu_call_ctx_get_limit(ctx, &(struct xg_cuda_ctx_get_limit){.limit = limit}, &reply);
    if (r == CUDA_SUCCESS)
        ctx->limit[limit] = reply.value;
    return r;
}

CUresult cuCtxGetCacheConfig(CUfunc_cache *config)
{
    CU_ENTER(ctx);
    if (!config)
        return CUDA_ERROR_INVALID_VALUE;
    *config = ctx->cache;
    return CUDA_SUCCESS;
}

CUresult cuCtxSetCacheConfig(CUfunc_cache config)
{
    CU_ENTER(ctx);
    CU_UNSAFE();
    if ((unsigned)config > CU_FUNC_CACHE_PREFER_EQUAL)
        return CUDA_ERROR_INVALID_VALUE;
    ctx->cache = config;
    return send_config(ctx, XG_CUDA_CONFIG_CACHE, config);
}

CUresult cuCtxGetSharedMemConfig(CUsharedconfig *config)
{
    CU_ENTER(ctx);
    if (!config)
        return CUDA_ERROR_INVALID_VALUE;
    *config =
        CU_SHARED_MEM_CONFIG_FOUR_BYTE_BANK_SIZE; /* what each device has that CUDA 12 knows */
    return CUDA_SUCCESS;
}

CUresult cuCtxSetSharedMemConfig(CUsharedconfig config)
{
    CU_ENTER(ctx);
    CU_UNSAFE();
    if ((unsigned)config > CU_SHARED_MEM_CONFIG_EIGHT_BYTE_BANK_SIZE)
        return CUDA_ERROR_INVALID_VALUE;
    return send_config(ctx, XG_CUDA_CONFIG_SHARED, config);
}

CUresult cuCtxResetPersistingL2Cache(void)
{
    CU_ENTER(ctx);
    return CUDA_ERROR_NOT_SUPPORTED;
}

CUresult cuCtxGetExecAffinity(CUexecAffinityParam *param, CUexecAffinityType type)
{
    CU_ENTER(ctx);
    if (!param)
        return CUDA_ERROR_INVALID_VALUE;
    if (type != CU_EXEC_AFFINITY_TYPE_SM_COUNT)
        return CUDA_ERROR_UNSUPPORTED_EXEC_AFFINITY;
    param->type = type;
    param->param.smCount.val =
        (unsigned)cu.snap.attribute[CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT];
    return CUDA_SUCCESS;
}

/* --- waiting ---------------------------------------------------------------------------------- */

CUresult cu_ctx_sync(struct cu_ctx *ctx)
{
    struct cu_cmd c;

    cu_begin_call(&c, ctx);
    cu_put_ctx_sync(&c, &(struct xg_cuda_ctx_sync){.alone = cu_alone()});
    cu_poll(&c, ctx->flags & CU_CTX_SCHED_BLOCKING_SYNC);
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

CUresult cuCtxSynchronize(void)
{
    CU_ENTER(ctx);
    CU_UNSAFE();
    return cu_ctx_settle(ctx);
}

CUresult cuCtxSynchronize_v2(CUcontext h)
{
    struct cu_ctx *ctx;
    CUresult r = ctx_or_current(h, &ctx);

    if (r == CUDA_SUCCESS)
        r = cu_lost() ? CU_LOST : cu_ctx_error(ctx);
    if (r != CUDA_SUCCESS)
        return r;
    CU_UNSAFE();
    return cu_ctx_sync(ctx);
}

void cu_contexts_reset(void)
{
    xg_lock_init(&lock);
    memset(&primary, 0, sizeof(primary));
    cu_depth = 0;
}
