/* Contexts: creation and end, each thread's stack of them, the primary one, limits. */
#include <stdlib.h>
#include <string.h>

#include "softcuda/driver/device.h"
#include "softcuda/driver/sc.h"

struct thread_state {
    CUcontext *stack; /* [depth - 1] is current; entries may be NULL */
    unsigned depth, room;
};

static __thread struct thread_state *thread; /* freed by the key when the thread ends */
static pthread_key_t thread_key;
static pthread_once_t thread_once = PTHREAD_ONCE_INIT;
static struct sc_ctx *primary; /* sc_lock */
static unsigned primary_flags;
static unsigned primary_uses; /* retained and not released, over every reset */
static unsigned long long next_id = 1;
static struct sc_ctx *_Atomic live; /* changed under sc_lock */
static struct sc_ctx *gone;         /* sc_lock; kept, so that no late user meets freed memory */

static void thread_end(void *p)
{
    struct thread_state *t = p;

    free(t->stack);
    free(t);
}

static void make_key(void)
{
    pthread_key_create(&thread_key, thread_end);
}

static struct thread_state *thread_get(void)
{
    if (!thread) {
        pthread_once(&thread_once, make_key);
        thread = calloc(1, sizeof(*thread));
        if (thread)
            pthread_setspecific(thread_key, thread);
    }
    return thread;
}

static CUcontext thread_top(void)
{
    return thread && thread->depth ? thread->stack[thread->depth - 1] : NULL;
}

static bool thread_push(CUcontext c)
{
    struct thread_state *t = thread_get();

    if (!t)
        return false;
    if (t->depth == t->room) {
        unsigned room = t->room ? t->room * 2 : 8;
        CUcontext *grown = realloc(t->stack, room * sizeof(*grown));
        if (!grown)
            return false;
        t->stack = grown;
        t->room = room;
    }
    t->stack[t->depth++] = c;
    return true;
}

CUresult sc_ctx_enter_any(struct sc_ctx **ctx)
{
    CUresult r = xg_cuda_ready();
    CUcontext top = thread_top();

    if (XG_UNLIKELY(r))
        return r;
    if (!top)
        return CUDA_ERROR_INVALID_CONTEXT;
    *ctx = sc_handle_get(SC_CTX, top);
    return *ctx ? CUDA_SUCCESS : CUDA_ERROR_CONTEXT_IS_DESTROYED;
}

CUresult sc_ctx_enter(struct sc_ctx **ctx)
{
    CUresult r = sc_ctx_enter_any(ctx);

    if (XG_UNLIKELY(r))
        return r;
    r = (CUresult)atomic_load_explicit(&(*ctx)->sticky, memory_order_relaxed);
    if (XG_UNLIKELY(r))
        sc_print_flush(*ctx); /* a failed assert says why */
    return r;
}

static struct sc_ctx *home_of(enum sc_kind kind, void *object)
{
    switch (kind) {
    case SC_STREAM: return ((struct sc_stream *)object)->ctx;
    case SC_EVENT: return ((struct sc_event *)object)->ctx;
    case SC_MODULE: return ((struct sc_module_obj *)object)->ctx;
    case SC_FUNCTION: return ((struct sc_function *)object)->module->ctx;
    default: return NULL;
    }
}

/* The thread has no context: its call is made in `home`, unless that is NULL. */
static CUresult enter_home(struct sc_ctx *home, struct sc_ctx **ctx)
{
    CUresult r = xg_cuda_ready();

    if (r)
        return r;
    *ctx = home;
    return home ? (CUresult)atomic_load(&home->sticky) : CUDA_ERROR_INVALID_CONTEXT;
}

CUresult sc_ctx_enter_of(enum sc_kind kind, const void *handle, struct sc_ctx **ctx)
{
    if (XG_LIKELY(thread_top() != NULL))
        return sc_ctx_enter(ctx);
    void *object = sc_handle_get(kind, handle);
    return enter_home(object ? home_of(kind, object) : NULL, ctx);
}

CUresult sc_ctx_enter_at(uint64_t address, struct sc_ctx **ctx)
{
    struct sc_mem m;

    if (XG_LIKELY(thread_top() != NULL))
        return sc_ctx_enter(ctx);
    return enter_home(xg_cuda_ready() == CUDA_SUCCESS && sc_mem_find(address, &m) ? m.ctx : NULL,
                      ctx);
}

CUresult sc_ctx_enter_none(struct sc_ctx **ctx)
{
    *ctx = NULL;
    return thread_top() ? sc_ctx_enter(ctx) : xg_cuda_ready();
}

struct sc_ctx *sc_ctx_current(void)
{
    return sc_handle_get(SC_CTX, thread_top());
}

void sc_ctx_fail(struct sc_ctx *ctx, CUresult error)
{
    int none = CUDA_SUCCESS;

    atomic_compare_exchange_strong(&ctx->sticky, &none, error);
}

/* --- life ------------------------------------------------------------------------------------- */

static void default_limits(struct sc_ctx *ctx)
{
    ctx->limits[CU_LIMIT_STACK_SIZE] = 1024;
    ctx->limits[CU_LIMIT_PRINTF_FIFO_SIZE] = 1 << 20;
    ctx->limits[CU_LIMIT_MALLOC_HEAP_SIZE] = 8 << 20;
    if (sc_limit_known(CU_LIMIT_DEV_RUNTIME_SYNC_DEPTH))
        ctx->limits[CU_LIMIT_DEV_RUNTIME_SYNC_DEPTH] = 2;
    ctx->limits[CU_LIMIT_DEV_RUNTIME_PENDING_LAUNCH_COUNT] = 2048;
    ctx->limits[CU_LIMIT_MAX_L2_FETCH_GRANULARITY] = 64;
}

/* sc_lock held. */
static struct sc_ctx *ctx_create(unsigned flags, unsigned api_version)
{
    struct sc_ctx *ctx = calloc(1, sizeof(*ctx));

    if (!ctx)
        return NULL;
    ctx->flags = flags;
    ctx->api_version = api_version;
    ctx->id = next_id++;
    ctx->attached = 1;
    ctx->shared_config = CU_SHARED_MEM_CONFIG_FOUR_BYTE_BANK_SIZE;
    pthread_mutex_init(&ctx->streams_lock, NULL);
    pthread_mutex_init(&ctx->print_lock, NULL);
    default_limits(ctx);
    ctx->handle = sc_handle_new(SC_CTX, ctx);
    if (!ctx->handle)
        goto fail;
    ctx->legacy = sc_stream_create(ctx, CU_STREAM_DEFAULT, 0);
    if (!ctx->legacy)
        goto fail;
    ctx->next = live;
    live = ctx;
    return ctx;
fail:
    sc_handle_drop(SC_CTX, ctx->handle);
    free(ctx);
    return NULL;
}

/* sc_lock held. Its `next` stays: who is at it goes on from there to all that are older. */
static void live_leave(struct sc_ctx *ctx)
{
    struct sc_ctx *_Atomic *at = &live;

    while (atomic_load(at) != ctx)
        at = &atomic_load(at)->next;
    atomic_store(at, atomic_load(&ctx->next));
    ctx->gone_next = gone;
    gone = ctx;
}

/* sc_lock held. Stops what runs, then frees everything the context owned. */
static void ctx_destroy(struct sc_ctx *ctx)
{
    if (!sc_handle_drop(SC_CTX, ctx->handle))
        return;
    if (ctx->prints) /* a program may have no other synchronisation than this */
        sc_ctx_sync(ctx);
    sc_print_flush(ctx);
    sc_ctx_fail(ctx, CUDA_ERROR_CONTEXT_IS_DESTROYED);
    atomic_store_explicit(&ctx->abort, 1, memory_order_relaxed);
    sc_ctx_sync(ctx);
    xg_cuda_libraries_forget(ctx->handle);
    sc_modules_end(ctx);
    sc_event_drop_ctx(ctx);
    for (;;) {
        pthread_mutex_lock(&ctx->streams_lock);
        struct sc_stream *s = ctx->streams;
        if (s)
            sc_stream_ref(s);
        pthread_mutex_unlock(&ctx->streams_lock);
        if (!s)
            break;
        sc_stream_kill(s);
        sc_stream_put(s);
    }
    sc_heap_destroy(ctx);
    sc_print_resize(ctx);
    sc_mem_free_ctx(ctx);
    ctx->legacy = NULL;
    live_leave(ctx);
}

/* A new context cannot use the memory yet: who is not met was made too late to matter. */
void sc_sync_all(void)
{
    for (struct sc_ctx *ctx = atomic_load(&live); ctx; ctx = atomic_load(&ctx->next))
        if (ctx->legacy)
            sc_ctx_sync(ctx);
}

static CUresult ctx_new(CUcontext *out, unsigned flags, CUdevice device, unsigned api_version)
{
    CUresult r = xg_cuda_ready();

    if (r)
        return r;
    if (!out || !xg_cuda_ctx_flags_valid(flags))
        return CUDA_ERROR_INVALID_VALUE;
    if (device != 0)
        return CUDA_ERROR_INVALID_DEVICE;
    pthread_mutex_lock(&sc_lock);
    struct sc_ctx *ctx = ctx_create(flags, api_version);
    r = ctx ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
    if (ctx && !thread_push(ctx->handle)) {
        ctx_destroy(ctx);
        r = CUDA_ERROR_OUT_OF_MEMORY;
    }
    pthread_mutex_unlock(&sc_lock);
    if (!r)
        *out = ctx->handle;
    return r;
}

CUresult cuCtxCreate(CUcontext *ctx, unsigned flags, CUdevice device)
{
    return ctx_new(ctx, flags, device, 2000);
}

CUresult cuCtxCreate_v2(CUcontext *ctx, unsigned flags, CUdevice device)
{
    return ctx_new(ctx, flags, device, 3020);
}

CUresult cuCtxCreate_v3(CUcontext *ctx, CUexecAffinityParam *params, int count, unsigned flags,
                        CUdevice device)
{
    XG_CUDA_READY();
    if (count > 0)
        return params ? CUDA_ERROR_UNSUPPORTED_EXEC_AFFINITY : CUDA_ERROR_INVALID_VALUE;
    return ctx_new(ctx, flags, device, 3020);
}

CUresult cuCtxCreate_v4(CUcontext *ctx, CUctxCreateParams *params, unsigned flags, CUdevice device)
{
    XG_CUDA_READY();
    if (params && params->execAffinityParams)
        return CUDA_ERROR_UNSUPPORTED_EXEC_AFFINITY;
    if (params && params->cigParams)
        return CUDA_ERROR_NOT_SUPPORTED;
    return ctx_new(ctx, flags, device, 3020);
}

CUresult cuCtxDestroy_v2(CUcontext handle)
{
    XG_CUDA_NEED(handle, CUDA_ERROR_INVALID_VALUE);
    CUresult r = xg_cuda_ready();

    if (r)
        return r;
    pthread_mutex_lock(&sc_lock);
    struct sc_ctx *ctx = sc_handle_get(SC_CTX, handle);
    if (!ctx || ctx->primary)
        r = CUDA_ERROR_INVALID_CONTEXT;
    else
        ctx_destroy(ctx);
    pthread_mutex_unlock(&sc_lock);
    if (!r && thread_top() == handle)
        thread->depth--;
    return r;
}

CUresult cuCtxDestroy(CUcontext handle)
{
    return cuCtxDestroy_v2(handle);
}

CUresult cuCtxAttach(CUcontext *out, unsigned flags)
{
    SC_ENTER(ctx);
    if (!out || flags)
        return CUDA_ERROR_INVALID_VALUE;
    pthread_mutex_lock(&sc_lock);
    ctx->attached++;
    pthread_mutex_unlock(&sc_lock);
    *out = ctx->handle;
    return CUDA_SUCCESS;
}

CUresult cuCtxDetach(CUcontext handle)
{
    XG_CUDA_READY();
    struct sc_ctx *ctx = sc_handle_get(SC_CTX, handle);

    if (!ctx || ctx->primary || thread_top() != handle)
        return CUDA_ERROR_INVALID_CONTEXT;
    pthread_mutex_lock(&sc_lock);
    unsigned left = --ctx->attached;
    pthread_mutex_unlock(&sc_lock);
    return left ? CUDA_SUCCESS : cuCtxDestroy_v2(handle);
}

/* --- the thread's stack ----------------------------------------------------------------------- */

CUresult cuCtxPushCurrent_v2(CUcontext handle)
{
    CUresult r = xg_cuda_ready();

    if (r)
        return r;
    if (!handle)
        return CUDA_ERROR_INVALID_VALUE;
    if (!sc_handle_get(SC_CTX, handle))
        return CUDA_ERROR_INVALID_CONTEXT;
    return thread_push(handle) ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}

CUresult cuCtxPushCurrent(CUcontext handle)
{
    return cuCtxPushCurrent_v2(handle);
}

CUresult cuCtxPopCurrent_v2(CUcontext *handle)
{
    CUresult r = xg_cuda_ready();

    if (r)
        return r;
    if (!thread || !thread->depth)
        return CUDA_ERROR_INVALID_CONTEXT;
    CUcontext top = thread->stack[--thread->depth];
    if (handle)
        *handle = top;
    return CUDA_SUCCESS;
}

CUresult cuCtxPopCurrent(CUcontext *handle)
{
    return cuCtxPopCurrent_v2(handle);
}

CUresult cuCtxSetCurrent(CUcontext handle)
{
    CUresult r = xg_cuda_ready();

    if (r)
        return r;
    if (handle && !sc_handle_get(SC_CTX, handle))
        return CUDA_ERROR_INVALID_CONTEXT;
    if (!handle) {
        if (thread && thread->depth)
            thread->depth--;
        return CUDA_SUCCESS;
    }
    if (!thread || !thread->depth)
        return thread_push(handle) ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
    thread->stack[thread->depth - 1] = handle;
    return CUDA_SUCCESS;
}

CUresult cuCtxGetCurrent(CUcontext *handle)
{
    CUresult r = xg_cuda_ready();

    if (r)
        return r;
    if (!handle)
        return CUDA_ERROR_INVALID_VALUE;
    *handle = thread_top();
    return CUDA_SUCCESS;
}

/* --- the primary context ---------------------------------------------------------------------- */

static CUresult primary_check(CUdevice device)
{
    CUresult r = xg_cuda_ready();

    if (r)
        return r;
    return device != 0 ? CUDA_ERROR_INVALID_DEVICE : CUDA_SUCCESS;
}

CUresult cuDevicePrimaryCtxRetain(CUcontext *handle, CUdevice device)
{
    CUresult r = primary_check(device);

    if (r)
        return r;
    if (!handle)
        return CUDA_ERROR_INVALID_VALUE;
    pthread_mutex_lock(&sc_lock);
    if (!primary && (primary = ctx_create(primary_flags, 3020)))
        primary->primary = true;
    if (primary) {
        primary_uses++;
        *handle = primary->handle;
    } else {
        r = CUDA_ERROR_OUT_OF_MEMORY;
    }
    pthread_mutex_unlock(&sc_lock);
    return r;
}

CUresult cuDevicePrimaryCtxRelease_v2(CUdevice device)
{
    CUresult r = primary_check(device);

    if (r)
        return r;
    pthread_mutex_lock(&sc_lock);
    if (!primary_uses) {
        r = CUDA_ERROR_INVALID_CONTEXT;
    } else if (!--primary_uses && primary) {
        ctx_destroy(primary);
        primary = NULL;
    }
    pthread_mutex_unlock(&sc_lock);
    return r;
}

CUresult cuDevicePrimaryCtxRelease(CUdevice device)
{
    return cuDevicePrimaryCtxRelease_v2(device);
}

CUresult cuDevicePrimaryCtxReset_v2(CUdevice device)
{
    CUresult r = primary_check(device);

    if (r)
        return r;
    pthread_mutex_lock(&sc_lock);
    if (primary) {
        ctx_destroy(primary);
        primary = NULL;
    }
    pthread_mutex_unlock(&sc_lock);
    return CUDA_SUCCESS;
}

CUresult cuDevicePrimaryCtxReset(CUdevice device)
{
    return cuDevicePrimaryCtxReset_v2(device);
}

CUresult cuDevicePrimaryCtxSetFlags_v2(CUdevice device, unsigned flags)
{
    CUresult r = primary_check(device);

    if (r)
        return r;
    if (!xg_cuda_ctx_flags_valid(flags))
        return CUDA_ERROR_INVALID_VALUE;
    pthread_mutex_lock(&sc_lock);
    primary_flags = flags;
    if (primary)
        primary->flags = flags;
    pthread_mutex_unlock(&sc_lock);
    return CUDA_SUCCESS;
}

CUresult cuDevicePrimaryCtxSetFlags(CUdevice device, unsigned flags)
{
    return cuDevicePrimaryCtxSetFlags_v2(device, flags);
}

CUresult cuDevicePrimaryCtxGetState(CUdevice device, unsigned *flags, int *active)
{
    XG_CUDA_NEED(flags && active, CUDA_ERROR_INVALID_VALUE);
    CUresult r = primary_check(device);

    if (r)
        return r;
    pthread_mutex_lock(&sc_lock);
    *flags = primary ? primary->flags : primary_flags;
    *active = primary != NULL;
    pthread_mutex_unlock(&sc_lock);
    return CUDA_SUCCESS;
}
