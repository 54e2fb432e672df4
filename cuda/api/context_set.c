/* What a context has, and what is asked of it: flags, limits, preferences, its work. */
#include "cuda/api/capture.h"
#include "cuda/api/context.h"

/* NULL: the current one. Either may be spoilt. */
static CUresult context_find(CUcontext h, struct xg_cuda_ctx **ctx)
{
    XG_CUDA_READY();
    *ctx = h ? xg_cuda_ctx_get(h) : xg_cuda_current();
    if (!*ctx)
        return CUDA_ERROR_INVALID_CONTEXT;
    /* One that another thread has ended stays on this one's stack. */
    return atomic_load(&(*ctx)->ended) ? CUDA_ERROR_CONTEXT_IS_DESTROYED : CUDA_SUCCESS;
}

CUresult cuCtxGetDevice_v2(CUdevice *device, CUcontext h)
{
    XG_CUDA_NEED(device, CUDA_ERROR_INVALID_VALUE);
    struct xg_cuda_ctx *ctx;
    CUresult r = context_find(h, &ctx);

    if (r == CUDA_SUCCESS)
        *device = 0;
    return r;
}

CUresult cuCtxGetDevice(CUdevice *device)
{
    return cuCtxGetDevice_v2(device, NULL);
}

CUresult cuCtxGetId(CUcontext h, unsigned long long *id)
{
    XG_CUDA_NEED(id, CUDA_ERROR_INVALID_VALUE);
    struct xg_cuda_ctx *ctx;
    CUresult r = context_find(h, &ctx);

    if (r == CUDA_SUCCESS)
        *id = ctx->id;
    return r;
}

CUresult cuCtxGetApiVersion(CUcontext h, unsigned *version)
{
    struct xg_cuda_ctx *ctx;
    CUresult r = context_find(h, &ctx);

    if (r == CUDA_SUCCESS && !version)
        r = CUDA_ERROR_INVALID_VALUE;
    if (r == CUDA_SUCCESS)
        *version = ctx->version;
    return r;
}

/* --- work ------------------------------------------------------------------------------------- */

CUresult cuCtxSynchronize(void)
{
    XG_CUDA_CONTEXT(ctx);
    XG_CUDA_UNSAFE();
    return xg_cuda_device.ctx_settle(ctx);
}

CUresult cuCtxSynchronize_v2(CUcontext h)
{
    struct xg_cuda_ctx *ctx;
    CUresult r = context_find(h, &ctx);

    if (r == CUDA_SUCCESS)
        r = xg_cuda_device.ctx_error(ctx);
    if (r != CUDA_SUCCESS)
        return r;
    XG_CUDA_UNSAFE();
    return xg_cuda_device.ctx_settle(ctx);
}

CUresult cuCtxGetStreamPriorityRange(int *least, int *greatest)
{
    XG_CUDA_CONTEXT(ctx);
    if (least)
        *least = xg_cuda_device.facts->priority_least;
    if (greatest)
        *greatest = xg_cuda_device.facts->priority_greatest;
    return CUDA_SUCCESS;
}

CUresult cuCtxGetExecAffinity(CUexecAffinityParam *param, CUexecAffinityType type)
{
    int units = 0;

    XG_CUDA_CONTEXT(ctx);
    if (!param)
        return CUDA_ERROR_INVALID_VALUE;
    if (type != CU_EXEC_AFFINITY_TYPE_SM_COUNT)
        return CUDA_ERROR_UNSUPPORTED_EXEC_AFFINITY;
    xg_cuda_device.attribute(CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT, &units);
    param->type = type;
    param->param.smCount.val = (unsigned)units; /* all of them, always */
    return CUDA_SUCCESS;
}

/* --- flags and limits ------------------------------------------------------------------------- */

CUresult cuCtxGetFlags(unsigned *flags)
{
    XG_CUDA_NEED(flags, CUDA_ERROR_INVALID_VALUE);
    XG_CUDA_CONTEXT(ctx);
    *flags = ctx->flags;
    return CUDA_SUCCESS;
}

CUresult cuCtxSetFlags(unsigned flags)
{
    XG_CUDA_CONTEXT(ctx);
    if (!xg_cuda_ctx_flags_valid(flags))
        return CUDA_ERROR_INVALID_VALUE;
    ctx->flags = flags;
    return xg_cuda_device.ctx_tell(ctx, XG_CUDA_CTX_FLAGS, flags);
}

static CUresult limit_check(const struct xg_cuda_ctx *ctx, CUlimit limit)
{
    if ((unsigned)limit >= CU_LIMIT_MAX)
        return CUDA_ERROR_INVALID_VALUE;
    return ctx->limit[limit] == UINT64_MAX ? CUDA_ERROR_UNSUPPORTED_LIMIT : CUDA_SUCCESS;
}

CUresult cuCtxGetLimit(size_t *value, CUlimit limit)
{
    XG_CUDA_CONTEXT(ctx);
    if (!value)
        return CUDA_ERROR_INVALID_VALUE;
    CUresult r = limit_check(ctx, limit);
    if (r == CUDA_SUCCESS)
        *value = ctx->limit[limit];
    return r;
}

CUresult cuCtxSetLimit(CUlimit limit, size_t value)
{
    uint64_t is = value;

    XG_CUDA_CONTEXT(ctx);
    XG_CUDA_UNSAFE();
    CUresult r = limit_check(ctx, limit);
    if (r == CUDA_SUCCESS)
        r = xg_cuda_device.ctx_limit(ctx, limit, &is);
    if (r == CUDA_SUCCESS)
        ctx->limit[limit] = is;
    return r;
}

/* --- preferences ------------------------------------------------------------------------------ */

CUresult cuCtxGetCacheConfig(CUfunc_cache *config)
{
    XG_CUDA_CONTEXT(ctx);
    if (!config)
        return CUDA_ERROR_INVALID_VALUE;
    *config = ctx->cache;
    return CUDA_SUCCESS;
}

CUresult cuCtxSetCacheConfig(CUfunc_cache config)
{
    XG_CUDA_CONTEXT(ctx);
    XG_CUDA_UNSAFE();
    if ((unsigned)config > CU_FUNC_CACHE_PREFER_EQUAL)
        return CUDA_ERROR_INVALID_VALUE;
    ctx->cache = config;
    return xg_cuda_device.ctx_tell(ctx, XG_CUDA_CTX_CACHE, config);
}

/* What each device has that CUDA 12 knows, whatever is preferred. */
CUresult cuCtxGetSharedMemConfig(CUsharedconfig *config)
{
    XG_CUDA_CONTEXT(ctx);
    if (!config)
        return CUDA_ERROR_INVALID_VALUE;
    *config = CU_SHARED_MEM_CONFIG_FOUR_BYTE_BANK_SIZE;
    return CUDA_SUCCESS;
}

CUresult cuCtxSetSharedMemConfig(CUsharedconfig config)
{
    XG_CUDA_CONTEXT(ctx);
    XG_CUDA_UNSAFE();
    if ((unsigned)config > CU_SHARED_MEM_CONFIG_EIGHT_BYTE_BANK_SIZE)
        return CUDA_ERROR_INVALID_VALUE;
    return xg_cuda_device.ctx_tell(ctx, XG_CUDA_CTX_BANKS, config);
}

CUresult cuCtxResetPersistingL2Cache(void)
{
    XG_CUDA_CONTEXT(ctx);
    return xg_cuda_device.ctx_tell(ctx, XG_CUDA_CTX_L2_RESET, 0);
}
