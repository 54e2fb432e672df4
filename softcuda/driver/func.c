/* Attributes of functions, and how many blocks of one fit. */
#include "softcuda/driver/device.h"
#include "softcuda/driver/sc.h"

struct sc_function *sc_function_find(struct sc_ctx *ctx, CUfunction handle, CUresult *error)
{
    struct sc_function *f = xg_cuda_handle_get(SC_FUNCTION, handle);
    struct xg_cuda_function *of_kernel;

    *error = CUDA_SUCCESS;
    if (XG_LIKELY(f != NULL))
        return f;
    *error = xg_cuda_kernel_function(ctx->api.handle, handle, &of_kernel);
    return *error ? NULL : xg_container_of(of_kernel, struct sc_function, api);
}

void sc_function_refuse(const struct xg_cuda_function *f)
{
    const struct sc_func_info *info = xg_container_of(f, const struct sc_function, api)->info;

    sc_say("kernel %s cannot be used: %s", info->name, info->refused);
}

struct sc_function *sc_function_get(struct sc_ctx *ctx, CUfunction handle, CUresult *error)
{
    struct sc_function *f = sc_function_find(ctx, handle, error);

    if (XG_LIKELY(!f || !f->info->refused))
        return f;
    sc_function_refuse(&f->api);
    *error = f->api.refused;
    return NULL;
}

CUresult sc_function_enter(CUfunction handle, CUcontext *ctx, struct xg_cuda_function **out)
{
    struct sc_function *f = xg_cuda_handle_get(SC_FUNCTION, handle);
    struct xg_cuda_ctx *entered = NULL;
    CUresult r = xg_cuda_ctx_enter_in(f ? &f->module->ctx->api : NULL, &entered);

    *ctx = xg_cuda_ctx_handle(entered);
    *out = f ? &f->api : NULL;
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
    case CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES: *value = (int)f->api.max_dynamic; break;
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
        f->api.max_dynamic = (uint32_t)value;
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

/* Nor banks that could be wider. */
CUresult sc_function_banks(struct xg_cuda_function *f, CUsharedconfig config)
{
    return CUDA_SUCCESS;
}

/* --- occupancy -------------------------------------------------------------------------------- */

/* At least 1 for a block that fits: registers never bound it (engine.h), and a multiprocessor has
 * more threads and shared memory than any block may have. */
int sc_occupancy(const struct sc_function *f, unsigned threads, size_t dynamic)
{
    if (!threads || xg_cuda_block_fits(&f->api, threads, dynamic))
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

CUresult sc_function_blocks(struct xg_cuda_function *f, unsigned threads, size_t dynamic,
                            unsigned flags, int *blocks)
{
    *blocks = sc_occupancy(function_of(f), threads, dynamic);
    return CUDA_SUCCESS;
}

CUresult sc_function_dynamic(struct xg_cuda_function *api, unsigned blocks, unsigned threads,
                             size_t *size)
{
    const struct sc_function *f = function_of(api);

    if (sc_occupancy(f, threads, 0) < (int)blocks)
        return CUDA_ERROR_INVALID_VALUE;
    size_t share = SC_SHARED_PER_SM / (size_t)blocks - f->info->static_shared;
    *size = share < f->api.max_dynamic ? share : f->api.max_dynamic;
    while (*size && sc_occupancy(f, threads, *size) < (int)blocks) /* memory bounds it too */
        *size /= 2;
    return CUDA_SUCCESS;
}
