/* Contexts: each thread's stack of them, their life, and the primary one. */
#include "cuda/api/context.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "cuda/api/capture.h"
#include "cuda/api/stream.h"

/* --- the thread's stack ----------------------------------------------------------------------- */

static __thread struct stack {
    struct xg_cuda_ctx **ctx; /* the last one is current */
    unsigned depth, room;
} stack;
static pthread_key_t stack_key;
static pthread_once_t stack_once = PTHREAD_ONCE_INIT;

static void stack_end(void *array)
{
    free(array);
    stack = (struct stack){0};
}

static void stack_key_make(void)
{
    pthread_key_create(&stack_key, stack_end);
}

/* False: no memory for one more. */
static bool stack_reserve(void)
{
    if (stack.depth < stack.room)
        return true;
    unsigned room = stack.room ? stack.room * 2 : 8;
    struct xg_cuda_ctx **more = realloc(stack.ctx, room * sizeof(*more));
    if (!more)
        return false;
    pthread_once(&stack_once, stack_key_make);
    pthread_setspecific(stack_key, more);
    stack.ctx = more;
    stack.room = room;
    return true;
}

void xg_cuda_stack_reset(void)
{
    stack.depth = 0;
}

struct xg_cuda_ctx *xg_cuda_current(void)
{
    return stack.depth ? stack.ctx[stack.depth - 1] : NULL;
}

static CUresult enter_begin(struct xg_cuda_ctx *home, struct xg_cuda_ctx **ctx)
{
    CUresult r = xg_cuda_ready();

    if (XG_UNLIKELY(r != CUDA_SUCCESS))
        return r;
    *ctx = xg_cuda_current();
    if (XG_UNLIKELY(!*ctx))
        *ctx = home;
    if (XG_UNLIKELY(!*ctx))
        return CUDA_ERROR_INVALID_CONTEXT;
    return XG_UNLIKELY(atomic_load_explicit(&(*ctx)->ended, memory_order_relaxed))
               ? CUDA_ERROR_CONTEXT_IS_DESTROYED
               : CUDA_SUCCESS;
}

CUresult xg_cuda_ctx_enter_in(struct xg_cuda_ctx *home, struct xg_cuda_ctx **ctx)
{
    CUresult r = enter_begin(home, ctx);

    return XG_LIKELY(r == CUDA_SUCCESS) ? xg_cuda_device.ctx_error(*ctx) : r;
}

CUresult xg_cuda_ctx_enter(struct xg_cuda_ctx **ctx)
{
    return xg_cuda_ctx_enter_in(NULL, ctx);
}

CUresult xg_cuda_ctx_enter_any(struct xg_cuda_ctx *home, struct xg_cuda_ctx **ctx)
{
    CUresult r = enter_begin(home, ctx);

    return r == CUDA_SUCCESS ? xg_cuda_device.lost() : r;
}

CUresult xg_cuda_ctx_enter_none(struct xg_cuda_ctx **ctx)
{
    if (XG_LIKELY(xg_cuda_current() != NULL))
        return xg_cuda_ctx_enter(ctx);
    *ctx = NULL;
    XG_CUDA_READY();
    return xg_cuda_device.lost();
}

CUresult xg_cuda_enter(CUcontext *handle)
{
    struct xg_cuda_ctx *ctx = NULL;
    CUresult r = xg_cuda_ctx_enter(&ctx);

    *handle = xg_cuda_ctx_handle(ctx);
    return r;
}

CUresult xg_cuda_enter_none(CUcontext *handle)
{
    struct xg_cuda_ctx *ctx = NULL;
    CUresult r = xg_cuda_ctx_enter_none(&ctx);

    *handle = xg_cuda_ctx_handle(ctx);
    return r;
}

CUresult xg_cuda_enter_at(CUdeviceptr p, bool spoilt, CUcontext *handle)
{
    struct xg_cuda_ctx *ctx = NULL, *home = NULL;
    struct xg_cuda_memory m;

    if (!xg_cuda_current() && xg_cuda_started() && xg_cuda_device.memory_find(p, &m))
        home = xg_cuda_ctx_get(m.ctx);
    CUresult r = spoilt ? xg_cuda_ctx_enter_any(home, &ctx) : xg_cuda_ctx_enter_in(home, &ctx);
    *handle = xg_cuda_ctx_handle(ctx);
    return r;
}

CUresult cuCtxPushCurrent_v2(CUcontext h)
{
    XG_CUDA_READY();
    if (!h)
        return CUDA_ERROR_INVALID_VALUE;
    struct xg_cuda_ctx *ctx = xg_cuda_ctx_get(h);
    if (!ctx)
        return CUDA_ERROR_INVALID_CONTEXT;
    if (!stack_reserve())
        return CUDA_ERROR_OUT_OF_MEMORY;
    stack.ctx[stack.depth++] = ctx;
    return CUDA_SUCCESS;
}

CUresult cuCtxPushCurrent(CUcontext h)
{
    return cuCtxPushCurrent_v2(h);
}

CUresult cuCtxPopCurrent_v2(CUcontext *out)
{
    XG_CUDA_READY();
    if (!stack.depth)
        return CUDA_ERROR_INVALID_CONTEXT;
    stack.depth--;
    if (out)
        *out = stack.ctx[stack.depth]->handle;
    return CUDA_SUCCESS;
}

CUresult cuCtxPopCurrent(CUcontext *out)
{
    return cuCtxPopCurrent_v2(out);
}

/* In the place of the current one; NULL: that one leaves the stack. */
CUresult cuCtxSetCurrent(CUcontext h)
{
    XG_CUDA_READY();
    struct xg_cuda_ctx *ctx = xg_cuda_ctx_get(h);
    if (h && !ctx)
        return CUDA_ERROR_INVALID_CONTEXT;
    if (h && !stack.depth)
        return cuCtxPushCurrent_v2(h);
    if (h)
        stack.ctx[stack.depth - 1] = ctx;
    else if (stack.depth)
        stack.depth--;
    return CUDA_SUCCESS;
}

CUresult cuCtxGetCurrent(CUcontext *out)
{
    XG_CUDA_READY();
    if (!out)
        return CUDA_ERROR_INVALID_VALUE;
    *out = xg_cuda_ctx_handle(xg_cuda_current());
    return CUDA_SUCCESS;
}

/* --- life ------------------------------------------------------------------------------------- */

/* Recursive: a signal handler may interrupt a call with another. For the primary one, and counts.
 */
static pthread_mutex_t lock = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
static _Atomic uint64_t last_id;

/* Everything of the context goes with it, whatever is under way. Its name is not used again. */
static CUresult ctx_end(struct xg_cuda_ctx *ctx)
{
    if (!xg_cuda_handle_hide(XG_CUDA_KIND_CTX, ctx->handle))
        return CUDA_ERROR_INVALID_CONTEXT;
    atomic_store(&ctx->ended, true);
    return xg_cuda_device.ctx_end(ctx);
}

static CUresult ctx_make(unsigned flags, unsigned version, bool primary, struct xg_cuda_ctx **out)
{
    size_t size = xg_align_up(xg_cuda_device.ctx_size, 64);
    struct xg_cuda_ctx *ctx = aligned_alloc(64, size);
    CUresult r = CUDA_ERROR_OUT_OF_MEMORY;

    if (!ctx)
        return r;
    memset(ctx, 0, size);
    *ctx = (struct xg_cuda_ctx){.id = atomic_fetch_add(&last_id, 1) + 1,
                                .flags = flags,
                                .version = version,
                                .primary = primary,
                                .attached = 1};
    ctx->handle = xg_cuda_handle_new(XG_CUDA_KIND_CTX, ctx);
    if (ctx->handle)
        r = xg_cuda_device.ctx_start(ctx);
    if (r != CUDA_SUCCESS) {
        xg_cuda_handle_drop(XG_CUDA_KIND_CTX, ctx->handle);
        free(ctx);
        return r;
    }
    r = xg_cuda_stream_make(ctx, CU_STREAM_DEFAULT, 0, true, &ctx->legacy);
    if (r == CUDA_SUCCESS)
        *out = ctx;
    else
        ctx_end(ctx);
    return r;
}

static CUresult ctx_create(CUcontext *out, unsigned flags, CUdevice device, unsigned version)
{
    struct xg_cuda_ctx *ctx;

    XG_CUDA_READY();
    if (!out || !xg_cuda_ctx_flags_valid(flags))
        return CUDA_ERROR_INVALID_VALUE;
    if (device != 0)
        return CUDA_ERROR_INVALID_DEVICE;
    if (!stack_reserve())
        return CUDA_ERROR_OUT_OF_MEMORY;
    CUresult r = ctx_make(flags, version, false, &ctx);
    if (r != CUDA_SUCCESS)
        return r;
    stack.ctx[stack.depth++] = ctx;
    *out = ctx->handle;
    return CUDA_SUCCESS;
}

CUresult cuCtxCreate(CUcontext *out, unsigned flags, CUdevice device)
{
    return ctx_create(out, flags, device, 3010);
}

CUresult cuCtxCreate_v2(CUcontext *out, unsigned flags, CUdevice device)
{
    return ctx_create(out, flags, device, 3020);
}

CUresult cuCtxCreate_v3(CUcontext *out, CUexecAffinityParam *params, int count, unsigned flags,
                        CUdevice device)
{
    XG_CUDA_READY();
    if (count > 0)
        return params ? CUDA_ERROR_UNSUPPORTED_EXEC_AFFINITY : CUDA_ERROR_INVALID_VALUE;
    return ctx_create(out, flags, device, 3020);
}

CUresult cuCtxCreate_v4(CUcontext *out, CUctxCreateParams *params, unsigned flags, CUdevice device)
{
    XG_CUDA_READY();
    if (params && params->numExecAffinityParams)
        return CUDA_ERROR_UNSUPPORTED_EXEC_AFFINITY;
    if (params && params->cigParams)
        return CUDA_ERROR_NOT_SUPPORTED;
    return ctx_create(out, flags, device, 3020);
}

CUresult cuCtxDestroy_v2(CUcontext h)
{
    XG_CUDA_NEED(h, CUDA_ERROR_INVALID_VALUE);
    XG_CUDA_READY();
    struct xg_cuda_ctx *ctx = xg_cuda_ctx_get(h);
    if (!ctx || ctx->primary)
        return CUDA_ERROR_INVALID_CONTEXT;
    CUresult r = ctx_end(ctx);
    if (r == CUDA_SUCCESS && xg_cuda_current() == ctx)
        stack.depth--;
    return r;
}

CUresult cuCtxDestroy(CUcontext h)
{
    return cuCtxDestroy_v2(h);
}

CUresult cuCtxAttach(CUcontext *out, unsigned flags)
{
    XG_CUDA_CONTEXT(ctx);
    if (!out || flags)
        return CUDA_ERROR_INVALID_VALUE;
    pthread_mutex_lock(&lock);
    ctx->attached++;
    pthread_mutex_unlock(&lock);
    *out = ctx->handle;
    return CUDA_SUCCESS;
}

CUresult cuCtxDetach(CUcontext h)
{
    XG_CUDA_READY();
    struct xg_cuda_ctx *ctx = xg_cuda_ctx_get(h);
    if (!ctx || ctx->primary || ctx != xg_cuda_current())
        return CUDA_ERROR_INVALID_CONTEXT;
    pthread_mutex_lock(&lock);
    bool last = --ctx->attached == 0;
    pthread_mutex_unlock(&lock);
    return last ? cuCtxDestroy_v2(h) : CUDA_SUCCESS;
}

/* --- the primary one -------------------------------------------------------------------------- */

static struct {
    struct xg_cuda_ctx *ctx;
    unsigned flags;    /* of the next one */
    unsigned retained; /* and not released, over every reset */
} primary;

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
    r = xg_cuda_device.lost();
    if (r != CUDA_SUCCESS)
        return r;
    pthread_mutex_lock(&lock);
    if (!primary.ctx)
        r = ctx_make(primary.flags, 3020, true, &primary.ctx);
    if (r == CUDA_SUCCESS) {
        primary.retained++;
        *out = primary.ctx->handle;
    }
    pthread_mutex_unlock(&lock);
    return r;
}

/* By a reset, which leaves the count as it is: who retained it still releases it. */
static CUresult primary_end(CUdevice device, bool reset)
{
    struct xg_cuda_ctx *ctx = NULL;
    CUresult r = device_check(device);

    if (r != CUDA_SUCCESS)
        return r;
    pthread_mutex_lock(&lock);
    if (!reset && !primary.retained) {
        r = CUDA_ERROR_INVALID_CONTEXT;
    } else if (reset || !--primary.retained) {
        ctx = primary.ctx;
        primary.ctx = NULL;
    }
    pthread_mutex_unlock(&lock);
    return ctx ? ctx_end(ctx) : r;
}

CUresult cuDevicePrimaryCtxRelease_v2(CUdevice device)
{
    return primary_end(device, false);
}

CUresult cuDevicePrimaryCtxRelease(CUdevice device)
{
    return primary_end(device, false);
}

CUresult cuDevicePrimaryCtxReset_v2(CUdevice device)
{
    return primary_end(device, true);
}

CUresult cuDevicePrimaryCtxReset(CUdevice device)
{
    return primary_end(device, true);
}

CUresult cuDevicePrimaryCtxSetFlags_v2(CUdevice device, unsigned flags)
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

CUresult cuDevicePrimaryCtxSetFlags(CUdevice device, unsigned flags)
{
    return cuDevicePrimaryCtxSetFlags_v2(device, flags);
}

CUresult cuDevicePrimaryCtxGetState(CUdevice device, unsigned *flags, int *active)
{
    XG_CUDA_NEED(flags && active, CUDA_ERROR_INVALID_VALUE);
    CUresult r = device_check(device);

    if (r != CUDA_SUCCESS)
        return r;
    pthread_mutex_lock(&lock);
    *flags = primary.ctx ? primary.ctx->flags : primary.flags;
    *active = primary.ctx != NULL;
    pthread_mutex_unlock(&lock);
    return CUDA_SUCCESS;
}

void xg_cuda_contexts_reset(void)
{
    lock = (pthread_mutex_t)PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
    primary.ctx = NULL;
    primary.flags = primary.retained = 0;
}
