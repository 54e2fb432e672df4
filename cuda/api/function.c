/* Functions: what is asked and set of one, and how many blocks of it fit. A kernel's handle serves
 * as well. */
#include "cuda/api/graph.h"
#include "cuda/api/library.h"
#include "cuda/api/module.h"

/* Any function; a thread without a context asks in the function's. */
static CUresult function_look(CUfunction h, struct xg_cuda_function **f)
{
    CUcontext ctx;
    CUresult r = xg_cuda_device.function_enter(h, &ctx, f);

    return r != CUDA_SUCCESS || *f ? r : xg_cuda_kernel_function(ctx, h, f);
}

CUresult xg_cuda_function_use(const struct xg_cuda_function *f)
{
    if (XG_UNLIKELY(f->refused != CUDA_SUCCESS) && xg_cuda_device.function_refuse)
        xg_cuda_device.function_refuse(f);
    return f->refused;
}

/* Not one that cannot be used. */
static CUresult function_get(CUfunction h, struct xg_cuda_function **f)
{
    CUresult r = function_look(h, f);

    return r == CUDA_SUCCESS ? xg_cuda_function_use(*f) : r;
}

/* In the thread's context: what is asked is how the function does on its device. */
static CUresult function_here(CUfunction h, struct xg_cuda_function **f)
{
    CUcontext ctx;
    CUresult r = xg_cuda_enter(&ctx);

    return r == CUDA_SUCCESS ? function_get(h, f) : r;
}

/* --- what it is ------------------------------------------------------------------------------- */

CUresult cuFuncGetModule(CUmodule *out, CUfunction h)
{
    struct xg_cuda_function *f;

    XG_CUDA_READY();
    if (!out || !h)
        return CUDA_ERROR_INVALID_VALUE;
    CUresult r = function_look(h, &f);
    if (r == CUDA_SUCCESS)
        *out = f->module->handle;
    return r;
}

CUresult cuFuncGetName(const char **name, CUfunction h)
{
    XG_CUDA_NEED(name && h, CUDA_ERROR_INVALID_VALUE);
    struct xg_cuda_function *f;
    CUresult r = function_look(h, &f);

    if (r == CUDA_SUCCESS)
        *name = f->name;
    return r;
}

CUresult xg_cuda_param_info(const struct xg_cuda_function *f, size_t index, size_t *offset,
                            size_t *size)
{
    if (index >= f->params.count)
        return CUDA_ERROR_INVALID_VALUE;
    *offset = f->params.place[index].offset;
    if (size)
        *size = f->params.place[index].size;
    return CUDA_SUCCESS;
}

CUresult cuFuncGetParamInfo(CUfunction h, size_t index, size_t *offset, size_t *size)
{
    XG_CUDA_NEED(h && offset, CUDA_ERROR_INVALID_VALUE);
    struct xg_cuda_function *f;
    CUresult r = function_look(h, &f);

    return r == CUDA_SUCCESS ? xg_cuda_param_info(f, index, offset, size) : r;
}

CUresult cuFuncIsLoaded(CUfunctionLoadingState *state, CUfunction h)
{
    XG_CUDA_NEED(state, CUDA_ERROR_INVALID_VALUE);
    struct xg_cuda_function *f;
    CUresult r = function_get(h, &f);

    if (r == CUDA_SUCCESS)
        *state = CU_FUNCTION_LOADING_STATE_LOADED;
    return r;
}

CUresult cuFuncLoad(CUfunction h)
{
    XG_CUDA_NEED(h, CUDA_ERROR_INVALID_HANDLE);
    struct xg_cuda_function *f;

    return function_get(h, &f);
}

/* --- attributes ------------------------------------------------------------------------------- */

CUresult xg_cuda_attribute_get(struct xg_cuda_function *f, CUfunction_attribute a, int *value)
{
    return (unsigned)a < CU_FUNC_ATTRIBUTE_MAX ? xg_cuda_device.function_attribute(f, a, value)
                                               : CUDA_ERROR_INVALID_VALUE;
}

CUresult xg_cuda_attribute_set(struct xg_cuda_function *f, CUfunction_attribute a, int value)
{
    return (unsigned)a < CU_FUNC_ATTRIBUTE_MAX ? xg_cuda_device.function_set(f, a, value)
                                               : CUDA_ERROR_INVALID_VALUE;
}

CUresult xg_cuda_cache_prefer(struct xg_cuda_function *f, CUfunc_cache config)
{
    return (unsigned)config <= CU_FUNC_CACHE_PREFER_EQUAL ? xg_cuda_device.function_cache(f, config)
                                                          : CUDA_ERROR_INVALID_VALUE;
}

CUresult cuFuncGetAttribute(int *value, CUfunction_attribute attribute, CUfunction h)
{
    XG_CUDA_NEED(value, CUDA_ERROR_INVALID_VALUE);
    struct xg_cuda_function *f;
    CUresult r = function_get(h, &f);

    return r == CUDA_SUCCESS ? xg_cuda_attribute_get(f, attribute, value) : r;
}

CUresult cuFuncSetAttribute(CUfunction h, CUfunction_attribute attribute, int value)
{
    struct xg_cuda_function *f;
    CUresult r = function_get(h, &f);

    return r == CUDA_SUCCESS ? xg_cuda_attribute_set(f, attribute, value) : r;
}

CUresult cuFuncSetCacheConfig(CUfunction h, CUfunc_cache config)
{
    struct xg_cuda_function *f;
    CUresult r = function_get(h, &f);

    return r == CUDA_SUCCESS ? xg_cuda_cache_prefer(f, config) : r;
}

CUresult cuFuncSetSharedMemConfig(CUfunction h, CUsharedconfig config)
{
    struct xg_cuda_function *f;
    CUresult r = function_get(h, &f);

    if (r != CUDA_SUCCESS)
        return r;
    return (unsigned)config <= CU_SHARED_MEM_CONFIG_EIGHT_BYTE_BANK_SIZE
               ? xg_cuda_device.function_banks(f, config)
               : CUDA_ERROR_INVALID_VALUE;
}

/* --- occupancy -------------------------------------------------------------------------------- */

static bool flags_known(unsigned flags)
{
    return !(flags & ~(unsigned)CU_OCCUPANCY_DISABLE_CACHING_OVERRIDE);
}

CUresult cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(int *blocks, CUfunction h,
                                                              int threads, size_t dynamic,
                                                              unsigned flags)
{
    struct xg_cuda_function *f;
    CUresult r = function_here(h, &f);

    if (r != CUDA_SUCCESS)
        return r;
    return blocks && threads > 0 && flags_known(flags)
               ? xg_cuda_device.function_blocks(f, (unsigned)threads, dynamic, flags, blocks)
               : CUDA_ERROR_INVALID_VALUE;
}

CUresult cuOccupancyMaxActiveBlocksPerMultiprocessor(int *blocks, CUfunction h, int threads,
                                                     size_t dynamic)
{
    return cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(blocks, h, threads, dynamic,
                                                                CU_OCCUPANCY_DEFAULT);
}

CUresult cuOccupancyAvailableDynamicSMemPerBlock(size_t *size, CUfunction h, int blocks,
                                                 int threads)
{
    struct xg_cuda_function *f;
    CUresult r = function_here(h, &f);

    if (r != CUDA_SUCCESS)
        return r;
    return size && blocks > 0 && threads > 0
               ? xg_cuda_device.function_dynamic(f, (unsigned)blocks, (unsigned)threads, size)
               : CUDA_ERROR_INVALID_VALUE;
}

int xg_cuda_device_number(CUdevice_attribute a)
{
    int value = 0;

    cuDeviceGetAttribute(&value, a, 0);
    return value;
}

/* The largest block of those with which the most threads are on a multiprocessor; none: 0. */
static CUresult block_search(struct xg_cuda_function *f, int most, CUoccupancyB2DSize dynamic_of,
                             size_t dynamic, unsigned flags, int *blocks, int *threads)
{
    int warp = xg_cuda_device_number(CU_DEVICE_ATTRIBUTE_WARP_SIZE), best = 0;
    int full = xg_cuda_device_number(CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_MULTIPROCESSOR);

    *blocks = *threads = 0;
    for (int t = most; t > 0 && best < full; t = (t - 1) / warp * warp) {
        int n = 0;
        CUresult r = xg_cuda_device.function_blocks(
            f, (unsigned)t, dynamic_of ? dynamic_of(t) : dynamic, flags, &n);
        if (r != CUDA_SUCCESS)
            return r;
        if (n * t > best) {
            best = n * t;
            *blocks = n;
            *threads = t;
        }
    }
    return CUDA_SUCCESS;
}

CUresult cuOccupancyMaxPotentialBlockSizeWithFlags(int *grid, int *block, CUfunction h,
                                                   CUoccupancyB2DSize dynamic_of, size_t dynamic,
                                                   int limit, unsigned flags)
{
    struct xg_cuda_function *f;
    int most, blocks;
    CUresult r = function_here(h, &f);

    if (r == CUDA_SUCCESS && (!grid || !block || limit < 0 || !flags_known(flags)))
        r = CUDA_ERROR_INVALID_VALUE;
    if (r == CUDA_SUCCESS)
        r = xg_cuda_device.function_attribute(f, CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK, &most);
    if (r == CUDA_SUCCESS)
        r = block_search(f, limit > 0 && limit < most ? limit : most, dynamic_of, dynamic, flags,
                         &blocks, block);
    if (r == CUDA_SUCCESS)
        *grid = blocks * xg_cuda_device_number(CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT);
    return r;
}

CUresult cuOccupancyMaxPotentialBlockSize(int *grid, int *block, CUfunction h,
                                          CUoccupancyB2DSize dynamic_of, size_t dynamic, int limit)
{
    return cuOccupancyMaxPotentialBlockSizeWithFlags(grid, block, h, dynamic_of, dynamic, limit,
                                                     CU_OCCUPANCY_DEFAULT);
}
