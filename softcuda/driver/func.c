/* Attributes of functions, and how many blocks of one fit. */
#include "softcuda/driver/device.h"
#include "softcuda/driver/sc.h"

struct sc_function *sc_function_find(struct sc_ctx *ctx, CUfunction handle, CUresult *error)
{
    struct sc_function *f = sc_handle_get(SC_FUNCTION, handle);
    struct xg_cuda_function *of_kernel;

    *error = CUDA_SUCCESS;
    if (XG_LIKELY(f != NULL))
        return f;
    *error = xg_cuda_kernel_function(ctx->handle, handle, &of_kernel);
    return *error ? NULL : xg_container_of(of_kernel, struct sc_function, api);
}

struct sc_function *sc_function_get(struct sc_ctx *ctx, CUfunction handle, CUresult *error)
{
    struct sc_function *f = sc_function_find(ctx, handle, error);

    if (XG_LIKELY(!f || !f->info->refused))
        return f;
    sc_say("kernel %s cannot be used: %s", f->info->name, f->info->refused);
    *error = f->api.refused;
    return NULL;
}

/* Of any function, one that cannot be launched too. */
static CUresult func_look(CUfunction handle, struct sc_function **f)
{
    CUresult r;
    SC_ENTER_OF(ctx, SC_FUNCTION, handle);

    *f = sc_function_find(ctx, handle, &r);
    return r;
}

static CUresult func_get(CUfunction handle, struct sc_function **f)
{
    CUresult r;
    SC_ENTER_OF(ctx, SC_FUNCTION, handle);

    *f = sc_function_get(ctx, handle, &r);
    return r;
}

/* In the thread's context: what is asked is how the function does on its device. */
static CUresult func_enter(CUfunction handle, struct sc_function **f)
{
    CUresult r;
    SC_ENTER(ctx);

    *f = sc_function_get(ctx, handle, &r);
    return r;
}

/* --- attributes ------------------------------------------------------------------------------- */

static struct sc_function *function_of(struct xg_cuda_function *f)
{
    return xg_container_of(f, struct sc_function, api);
}

CUresult sc_function_attribute(struct xg_cuda_function *api, CUfunction_attribute attribute,
                               int *value)
{
    const struct sc_function *f = function_of(api);
    const struct sc_func_info *i = f->info;

    switch (attribute) {
    case CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK: *value = (int)i->max_threads; break;
    case CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES: *value = (int)i->static_shared; break;
    case CU_FUNC_ATTRIBUTE_CONST_SIZE_BYTES: *value = (int)i->const_bytes; break;
    case CU_FUNC_ATTRIBUTE_LOCAL_SIZE_BYTES: *value = (int)i->local_bytes; break;
    case CU_FUNC_ATTRIBUTE_NUM_REGS: *value = (int)i->registers; break;
    case CU_FUNC_ATTRIBUTE_PTX_VERSION: *value = (int)i->target; break;
    case CU_FUNC_ATTRIBUTE_BINARY_VERSION:
        *value = sc_settings.cc_major * 10 + sc_settings.cc_minor;
        break;
    case CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES: *value = (int)f->max_dynamic; break;
    case CU_FUNC_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT: *value = f->carveout; break;
    default: *value = 0; /* of caches and clusters */
    }
    return CUDA_SUCCESS;
}

CUresult sc_function_set(struct xg_cuda_function *api, CUfunction_attribute attribute, int value)
{
    struct sc_function *f = function_of(api);

    switch (attribute) {
    case CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES:
        if (value < 0 || (uint32_t)value + f->info->static_shared > SC_MAX_SHARED_OPTIN)
            return CUDA_ERROR_INVALID_VALUE;
        f->max_dynamic = (uint32_t)value;
        return CUDA_SUCCESS;
    case CU_FUNC_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT:
        if (value < CU_SHAREDMEM_CARVEOUT_DEFAULT || value > 100)
            return CUDA_ERROR_INVALID_VALUE;
        f->carveout = value;
        return CUDA_SUCCESS;
    default: return CUDA_ERROR_INVALID_VALUE;
    }
}

/* There is no cache to divide. */
CUresult sc_function_cache(struct xg_cuda_function *f, CUfunc_cache config)
{
    return CUDA_SUCCESS;
}

CUresult cuFuncGetAttribute(int *value, CUfunction_attribute attribute, CUfunction handle)
{
    XG_CUDA_NEED(value, CUDA_ERROR_INVALID_VALUE);
    struct sc_function *f;
    CUresult r = func_get(handle, &f);

    if (r)
        return r;
    return (unsigned)attribute >= CU_FUNC_ATTRIBUTE_MAX
               ? CUDA_ERROR_INVALID_VALUE
               : sc_function_attribute(&f->api, attribute, value);
}

CUresult cuFuncSetAttribute(CUfunction handle, CUfunction_attribute attribute, int value)
{
    struct sc_function *f;
    CUresult r = func_get(handle, &f);

    return r ? r : sc_function_set(&f->api, attribute, value);
}

CUresult cuFuncSetCacheConfig(CUfunction handle, CUfunc_cache config)
{
    struct sc_function *f;
    CUresult r = func_get(handle, &f);

    if (r)
        return r;
    if ((unsigned)config > CU_FUNC_CACHE_PREFER_EQUAL)
        return CUDA_ERROR_INVALID_VALUE;
    return sc_function_cache(&f->api, config);
}

CUresult cuFuncSetSharedMemConfig(CUfunction handle, CUsharedconfig config)
{
    struct sc_function *f;
    CUresult r = func_get(handle, &f);

    if (r)
        return r;
    return (unsigned)config <= CU_SHARED_MEM_CONFIG_EIGHT_BYTE_BANK_SIZE ? CUDA_SUCCESS
                                                                         : CUDA_ERROR_INVALID_VALUE;
}

CUresult cuFuncGetModule(CUmodule *module, CUfunction handle)
{
    struct sc_function *f;
    SC_READY();
    if (!module || !handle)
        return CUDA_ERROR_INVALID_VALUE;
    CUresult r = func_look(handle, &f);
    if (r)
        return r;
    *module = f->module->api.handle;
    return CUDA_SUCCESS;
}

CUresult cuFuncGetName(const char **name, CUfunction handle)
{
    XG_CUDA_NEED(name && handle, CUDA_ERROR_INVALID_VALUE);
    struct sc_function *f;
    CUresult r = func_look(handle, &f);

    if (r)
        return r;
    *name = f->info->name;
    return CUDA_SUCCESS;
}

CUresult cuFuncGetParamInfo(CUfunction handle, size_t index, size_t *offset, size_t *size)
{
    XG_CUDA_NEED(handle && offset, CUDA_ERROR_INVALID_VALUE);
    struct sc_function *f;
    CUresult r = func_look(handle, &f);

    if (r)
        return r;
    if (index >= f->info->param_count)
        return CUDA_ERROR_INVALID_VALUE;
    *offset = f->info->params[index].offset;
    if (size)
        *size = f->info->params[index].size;
    return CUDA_SUCCESS;
}

CUresult cuFuncIsLoaded(CUfunctionLoadingState *state, CUfunction handle)
{
    XG_CUDA_NEED(state, CUDA_ERROR_INVALID_VALUE);
    struct sc_function *f;
    CUresult r = func_get(handle, &f);

    if (r)
        return r;
    *state = CU_FUNCTION_LOADING_STATE_LOADED;
    return CUDA_SUCCESS;
}

CUresult cuFuncLoad(CUfunction handle)
{
    XG_CUDA_NEED(handle, CUDA_ERROR_INVALID_HANDLE);
    struct sc_function *f;

    return func_get(handle, &f);
}

/* --- occupancy -------------------------------------------------------------------------------- */

CUresult sc_block_fits(const struct sc_function *f, uint64_t threads, size_t dynamic)
{
    if (threads > f->info->max_threads)
        return CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES;
    return dynamic > f->max_dynamic ? CUDA_ERROR_INVALID_VALUE : CUDA_SUCCESS;
}

/* At least 1 for a block that fits: registers never bound it (engine.h), and a multiprocessor has
 * more threads and shared memory than any block may have. */
int sc_occupancy(const struct sc_function *f, unsigned threads, size_t dynamic)
{
    if (!threads || sc_block_fits(f, threads, dynamic))
        return 0;
    uint64_t rounded = xg_align_up(threads, SC_WARP), shared = f->info->static_shared + dynamic;
    uint64_t registers = xg_align_up(f->info->registers, SC_REGISTER_UNIT) * rounded;
    uint64_t blocks = sc_func_resident(f->func, threads, (uint32_t)dynamic);
    blocks = xg_min_u64(blocks, SC_THREADS_PER_SM / rounded);
    if (shared)
        blocks = xg_min_u64(blocks, SC_SHARED_PER_SM / shared);
    if (registers)
        blocks = xg_min_u64(blocks, SC_REGISTERS / registers);
    return (int)blocks;
}

CUresult cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(int *blocks, CUfunction handle,
                                                              int threads, size_t dynamic,
                                                              unsigned flags)
{
    struct sc_function *f;
    CUresult r = func_enter(handle, &f);

    if (r)
        return r;
    if (!blocks || threads <= 0 || (flags & ~CU_OCCUPANCY_DISABLE_CACHING_OVERRIDE))
        return CUDA_ERROR_INVALID_VALUE;
    *blocks = sc_occupancy(f, (unsigned)threads, dynamic);
    return CUDA_SUCCESS;
}

CUresult cuOccupancyMaxActiveBlocksPerMultiprocessor(int *blocks, CUfunction handle, int threads,
                                                     size_t dynamic)
{
    return cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(blocks, handle, threads, dynamic,
                                                                CU_OCCUPANCY_DEFAULT);
}

CUresult cuOccupancyMaxPotentialBlockSizeWithFlags(int *grid, int *block, CUfunction handle,
                                                   CUoccupancyB2DSize dynamic_of, size_t dynamic,
                                                   int limit, unsigned flags)
{
    struct sc_function *f;
    CUresult r = func_enter(handle, &f);
    unsigned best_threads = 0;
    int best = 0, best_blocks = 0;

    if (r)
        return r;
    if (!grid || !block || limit < 0 || (flags & ~CU_OCCUPANCY_DISABLE_CACHING_OVERRIDE))
        return CUDA_ERROR_INVALID_VALUE;
    unsigned top = f->info->max_threads;
    if (limit > 0 && (unsigned)limit < top)
        top = (unsigned)limit;
    for (unsigned t = top; t; t = (t - 1) / SC_WARP * SC_WARP) {
        int blocks = sc_occupancy(f, t, dynamic_of ? dynamic_of((int)t) : dynamic);
        if (blocks * (int)t > best) {
            best = blocks * (int)t;
            best_blocks = blocks;
            best_threads = t;
        }
    }
    *block = (int)best_threads;
    *grid = best_blocks * (int)sc_engine_threads();
    return CUDA_SUCCESS;
}

CUresult cuOccupancyMaxPotentialBlockSize(int *grid, int *block, CUfunction handle,
                                          CUoccupancyB2DSize dynamic_of, size_t dynamic, int limit)
{
    return cuOccupancyMaxPotentialBlockSizeWithFlags(grid, block, handle, dynamic_of, dynamic,
                                                     limit, CU_OCCUPANCY_DEFAULT);
}

CUresult cuOccupancyAvailableDynamicSMemPerBlock(size_t *size, CUfunction handle, int blocks,
                                                 int threads)
{
    struct sc_function *f;
    CUresult r = func_enter(handle, &f);

    if (r)
        return r;
    if (!size || blocks <= 0 || threads <= 0 || sc_occupancy(f, (unsigned)threads, 0) < blocks)
        return CUDA_ERROR_INVALID_VALUE;
    size_t share = SC_SHARED_PER_SM / (size_t)blocks - f->info->static_shared;
    *size = share < f->max_dynamic ? share : f->max_dynamic;
    while (*size && sc_occupancy(f, (unsigned)threads, *size) < blocks) /* memory bounds it too */
        *size /= 2;
    return CUDA_SUCCESS;
}
