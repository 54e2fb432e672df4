/* What is asked of a context once it exists. */
#include "softcuda/driver/device.h"
#include "softcuda/driver/sc.h"

CUresult cuCtxGetDevice(CUdevice *device)
{
    XG_CUDA_NEED(device, CUDA_ERROR_INVALID_VALUE);
    struct sc_ctx *ctx;
    CUresult r = sc_ctx_enter_any(&ctx);

    if (r)
        return r;
    *device = 0;
    return CUDA_SUCCESS;
}

enum { STACK_MAX = 512 << 10, L2_FETCH_MAX = 128 }; /* bytes */

static CUresult ctx_or_current(CUcontext handle, struct sc_ctx **ctx)
{
    if (!handle)
        return sc_ctx_enter_any(ctx);
    CUresult r = xg_cuda_ready();
    if (r)
        return r;
    *ctx = sc_handle_get(SC_CTX, handle);
    return *ctx ? CUDA_SUCCESS : CUDA_ERROR_INVALID_CONTEXT;
}

CUresult cuCtxGetDevice_v2(CUdevice *device, CUcontext handle)
{
    XG_CUDA_NEED(device, CUDA_ERROR_INVALID_VALUE);
    struct sc_ctx *ctx;
    CUresult r = ctx_or_current(handle, &ctx);

    if (r)
        return r;
    *device = 0;
    return CUDA_SUCCESS;
}

CUresult cuCtxGetFlags(unsigned *flags)
{
    XG_CUDA_NEED(flags, CUDA_ERROR_INVALID_VALUE);
    SC_ENTER(ctx);
    *flags = ctx->flags;
    return CUDA_SUCCESS;
}

CUresult cuCtxSetFlags(unsigned flags)
{
    SC_ENTER(ctx);
    if (!xg_cuda_ctx_flags_valid(flags))
        return CUDA_ERROR_INVALID_VALUE;
    ctx->flags = flags;
    return CUDA_SUCCESS;
}

CUresult cuCtxGetId(CUcontext handle, unsigned long long *id)
{
    XG_CUDA_NEED(id, CUDA_ERROR_INVALID_VALUE);
    struct sc_ctx *ctx;
    CUresult r = ctx_or_current(handle, &ctx);

    if (r)
        return r;
    *id = ctx->id;
    return CUDA_SUCCESS;
}

static CUresult synchronize(struct sc_ctx *ctx)
{
    SC_UNSAFE();
    CUresult r = sc_ctx_sync(ctx);
    sc_print_flush(ctx);
    return r;
}

CUresult cuCtxSynchronize(void)
{
    SC_ENTER(ctx);
    return synchronize(ctx);
}

CUresult cuCtxSynchronize_v2(CUcontext handle)
{
    struct sc_ctx *ctx;
    CUresult r = ctx_or_current(handle, &ctx);

    if (!r)
        r = (CUresult)atomic_load(&ctx->sticky);
    return r ? r : synchronize(ctx);
}

bool sc_limit_known(CUlimit limit)
{
    switch (limit) {
    case CU_LIMIT_STACK_SIZE:
    case CU_LIMIT_PRINTF_FIFO_SIZE:
    case CU_LIMIT_MALLOC_HEAP_SIZE:
    case CU_LIMIT_DEV_RUNTIME_PENDING_LAUNCH_COUNT:
    case CU_LIMIT_MAX_L2_FETCH_GRANULARITY:
    case CU_LIMIT_PERSISTING_L2_CACHE_SIZE:
    case CU_LIMIT_SHMEM_SIZE:
    case CU_LIMIT_CIG_ENABLED: return true;
    case CU_LIMIT_DEV_RUNTIME_SYNC_DEPTH: return sc_settings.cc_major < 9; /* not on later ones */
    default: return false;
    }
}

static CUresult limit_check(CUlimit limit)
{
    if ((unsigned)limit >= CU_LIMIT_MAX)
        return CUDA_ERROR_INVALID_VALUE;
    return sc_limit_known(limit) ? CUDA_SUCCESS : CUDA_ERROR_UNSUPPORTED_LIMIT;
}

CUresult cuCtxSetLimit(CUlimit limit, size_t value)
{
    SC_ENTER(ctx);
    SC_UNSAFE();
    CUresult r = limit_check(limit);

    if (r)
        return r;
    switch (limit) {
    case CU_LIMIT_SHMEM_SIZE:
    case CU_LIMIT_CIG_ENABLED: return CUDA_ERROR_NOT_PERMITTED; /* they are graphics' */
    case CU_LIMIT_STACK_SIZE:
        if (value > STACK_MAX)
            return CUDA_ERROR_INVALID_VALUE;
        break;
    case CU_LIMIT_MAX_L2_FETCH_GRANULARITY:
        if (value > L2_FETCH_MAX)
            return CUDA_ERROR_INVALID_VALUE;
        break;
    case CU_LIMIT_MALLOC_HEAP_SIZE:
        /* The heap that kernels allocate from is placed at its first use and stays. */
        if (ctx->heap_state)
            return CUDA_ERROR_INVALID_VALUE;
        break;
    case CU_LIMIT_PRINTF_FIFO_SIZE:
        value = xg_min_u64(value, SC_PRINT_MAX);
        if (!sc_print_resize(ctx))
            return CUDA_ERROR_INVALID_VALUE;
        break;
    default: break;
    }
    ctx->limits[limit] = value;
    return CUDA_SUCCESS;
}

CUresult cuCtxGetLimit(size_t *value, CUlimit limit)
{
    SC_ENTER(ctx);
    if (!value)
        return CUDA_ERROR_INVALID_VALUE;
    CUresult r = limit_check(limit);
    if (!r)
        *value = ctx->limits[limit];
    return r;
}

CUresult cuCtxGetCacheConfig(CUfunc_cache *config)
{
    SC_ENTER(ctx);
    if (!config)
        return CUDA_ERROR_INVALID_VALUE;
    *config = ctx->cache;
    return CUDA_SUCCESS;
}

CUresult cuCtxSetCacheConfig(CUfunc_cache config)
{
    SC_ENTER(ctx);
    SC_UNSAFE();
    if ((unsigned)config > CU_FUNC_CACHE_PREFER_EQUAL)
        return CUDA_ERROR_INVALID_VALUE;
    ctx->cache = config;
    return CUDA_SUCCESS;
}

CUresult cuCtxGetSharedMemConfig(CUsharedconfig *config)
{
    SC_ENTER(ctx);
    if (!config)
        return CUDA_ERROR_INVALID_VALUE;
    *config = ctx->shared_config;
    return CUDA_SUCCESS;
}

CUresult cuCtxSetSharedMemConfig(CUsharedconfig config)
{
    SC_ENTER(ctx);
    SC_UNSAFE();
    if ((unsigned)config > CU_SHARED_MEM_CONFIG_EIGHT_BYTE_BANK_SIZE)
        return CUDA_ERROR_INVALID_VALUE;
    /* A hint about banks; there are none. What the device uses stays what it is. */
    return CUDA_SUCCESS;
}

CUresult cuCtxGetApiVersion(CUcontext handle, unsigned *version)
{
    struct sc_ctx *ctx;
    CUresult r = ctx_or_current(handle, &ctx);

    if (r)
        return r;
    if (!version)
        return CUDA_ERROR_INVALID_VALUE;
    *version = ctx->api_version;
    return CUDA_SUCCESS;
}

CUresult cuCtxGetStreamPriorityRange(int *least, int *greatest)
{
    SC_ENTER(ctx);
    if (least)
        *least = 0;
    if (greatest)
        *greatest = SC_PRIORITY_HIGH;
    return CUDA_SUCCESS;
}

CUresult cuCtxResetPersistingL2Cache(void)
{
    SC_ENTER(ctx);
    return CUDA_SUCCESS; /* nothing is ever kept there */
}

CUresult cuCtxGetExecAffinity(CUexecAffinityParam *affinity, CUexecAffinityType type)
{
    SC_ENTER(ctx);
    if (!affinity)
        return CUDA_ERROR_INVALID_VALUE;
    if (type != CU_EXEC_AFFINITY_TYPE_SM_COUNT)
        return CUDA_ERROR_UNSUPPORTED_EXEC_AFFINITY;
    affinity->type = type;
    affinity->param.smCount.val = sc_engine_threads();
    return CUDA_SUCCESS;
}
