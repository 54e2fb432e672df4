/* Kernel launches: checked here, queued as one operation with the parameters inside. */
#include <stdlib.h>
#include <string.h>

#include "softcuda/driver/device.h"
#include "softcuda/driver/sc.h"

static const struct xg_cuda_limits limits = {.grid = {INT32_MAX, 65535, 65535},
                                             .block = {SC_MAX_THREADS, SC_MAX_THREADS, 64},
                                             .threads = SC_MAX_THREADS};

CUresult sc_launch_build(struct sc_ctx *ctx, CUfunction handle, const unsigned grid[3],
                         const unsigned block[3], unsigned shared, void **params, void **extra,
                         bool cooperative, struct sc_op *op)
{
    CUresult r;
    struct sc_function *f = sc_function_get(ctx, handle, &r);

    if (!f)
        return r;
    if (XG_UNLIKELY(f->module->ctx != ctx))
        return CUDA_ERROR_INVALID_CONTEXT;
    struct xg_cuda_args args;
    r = xg_cuda_args_find(&f->api.params, params, extra, &args);
    if (!r)
        r = xg_cuda_shape_check(&limits, &f->api, grid, block, shared);
    if (r)
        return r;
    if (cooperative) {
        unsigned threads = block[0] * block[1] * block[2];
        uint64_t fit = (uint64_t)sc_occupancy(f, threads, shared) * sc_engine_threads();
        if ((uint64_t)grid[0] * grid[1] * grid[2] > fit)
            return CUDA_ERROR_COOPERATIVE_LAUNCH_TOO_LARGE;
    }
    op->type = SC_OP_LAUNCH;
    op->param_bytes = f->api.params.bytes;
    op->launch.fn = f;
    op->launch.params = NULL;
    memcpy(op->launch.grid, grid, sizeof(op->launch.grid));
    memcpy(op->launch.block, block, sizeof(op->launch.block));
    op->launch.shared = shared;
    op->launch.max_shared = f->info->static_shared + f->api.max_dynamic;
    op->launch.cooperative = cooperative;

    void *to = op->launch.inline_params;
    size_t used = offsetof(struct sc_op, launch.inline_params);
    if (op->param_bytes <= SC_INLINE_PARAMS) {
        used += op->param_bytes;
    } else if (!(to = op->launch.params = malloc(op->param_bytes))) {
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    op->bytes = (uint16_t)used;
    xg_cuda_args_write(&f->api.params, &args, to);
    sc_module_ref(f->module);
    return CUDA_SUCCESS;
}

static CUresult kernel_launch(CUfunction f, const unsigned grid[3], const unsigned block[3],
                              unsigned shared, CUstream stream, void **params, void **extra,
                              bool cooperative)
{
    struct xg_cuda_stream *api;
    struct sc_op op;
    CUresult r = xg_cuda_stream_get(stream, &api);

    if (XG_UNLIKELY(r))
        return r;
    struct sc_stream *s = sc_stream_of(api);
    r = sc_launch_build(s->ctx, f, grid, block, shared, params, extra, cooperative, &op);
    if (!r) {
        sc_print_flush(s->ctx);
        r = sc_submit(s, &op, NULL);
    }
    sc_stream_put(s);
    return r;
}

CUresult cuLaunchKernel(CUfunction f, unsigned gx, unsigned gy, unsigned gz, unsigned bx,
                        unsigned by, unsigned bz, unsigned shared, CUstream stream, void **params,
                        void **extra)
{
    return kernel_launch(f, (unsigned[]){gx, gy, gz}, (unsigned[]){bx, by, bz}, shared, stream,
                         params, extra, false);
}

CUresult cuLaunchCooperativeKernel(CUfunction f, unsigned gx, unsigned gy, unsigned gz, unsigned bx,
                                   unsigned by, unsigned bz, unsigned shared, CUstream stream,
                                   void **params)
{
    return kernel_launch(f, (unsigned[]){gx, gy, gz}, (unsigned[]){bx, by, bz}, shared, stream,
                         params, NULL, true);
}

/* Hints are taken and ignored; demands that cannot be met refused. */
static bool attribute_known(CUlaunchAttributeID id)
{
    switch (id) {
    case CU_LAUNCH_ATTRIBUTE_COOPERATIVE:
    case CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION: /* of one */
    case CU_LAUNCH_ATTRIBUTE_IGNORE:
    case CU_LAUNCH_ATTRIBUTE_ACCESS_POLICY_WINDOW:
    case CU_LAUNCH_ATTRIBUTE_SYNCHRONIZATION_POLICY:
    case CU_LAUNCH_ATTRIBUTE_CLUSTER_SCHEDULING_POLICY_PREFERENCE:
    case CU_LAUNCH_ATTRIBUTE_PRIORITY:
    case CU_LAUNCH_ATTRIBUTE_MEM_SYNC_DOMAIN_MAP:
    case CU_LAUNCH_ATTRIBUTE_MEM_SYNC_DOMAIN:
    case CU_LAUNCH_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT:
    /* Allows the next kernel to begin early; it need not. */
    case CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION: return true;
    default: return false;
    }
}

CUresult sc_launch_with(const CUlaunchConfig *c, CUfunction f, void **params, void **extra,
                        bool cooperative, bool plain)
{
    for (unsigned i = 0; !plain && i < c->numAttrs; i++)
        if (!attribute_known(c->attrs[i].id))
            return CUDA_ERROR_NOT_SUPPORTED;
    return kernel_launch(f, (unsigned[]){c->gridDimX, c->gridDimY, c->gridDimZ},
                         (unsigned[]){c->blockDimX, c->blockDimY, c->blockDimZ}, c->sharedMemBytes,
                         c->hStream, params, extra, cooperative);
}

/* Its stream stands where gen_rest.py does not see it. */
CUresult cuLaunchKernelEx_ptsz(const CUlaunchConfig *config, CUfunction f, void **params,
                               void **extra)
{
    XG_CUDA_NEED(config, CUDA_ERROR_INVALID_VALUE);
    CUlaunchConfig own = *config;

    if (!own.hStream)
        own.hStream = CU_STREAM_PER_THREAD;
    return cuLaunchKernelEx(&own, f, params, extra);
}
