/* Launches, and the configuration that the <<< >>> syntax leaves between two calls. */
#include "interposer/cudart/runtime.h"

struct config {
    dim3 grid, block;
    size_t shared;
    cudaStream_t stream;
};

/* An argument of a launch may itself launch, so configurations nest. */
enum { CONFIG_DEPTH = 32 };

static _Thread_local struct {
    int depth;
    struct config at[CONFIG_DEPTH];
} pending;

/* Not zero: the compiler's code then leaves the launch out. */
unsigned int __cudaPushCallConfiguration(dim3 grid, dim3 block, size_t shared, cudaStream_t stream)
{
    if (pending.depth == CONFIG_DEPTH)
        return rt_fail(cudaErrorMissingConfiguration);
    pending.at[pending.depth++] = (struct config){grid, block, shared, stream};
    return 0;
}

cudaError_t __cudaPopCallConfiguration(dim3 *grid, dim3 *block, size_t *shared, void *stream)
{
    const struct config *c;

    if (!pending.depth)
        return rt_fail(cudaErrorMissingConfiguration);
    c = &pending.at[--pending.depth];
    *grid = c->grid;
    *block = c->block;
    *shared = c->shared;
    *(cudaStream_t *)stream = c->stream;
    return cudaSuccess;
}

/* --- what went wrong -------------------------------------------------------------------------- */

static bool dim_exceeds(int device, CUdevice_attribute first, dim3 d)
{
    const unsigned int want[3] = {d.x, d.y, d.z};

    for (int i = 0; i < 3; i++) {
        int max = 0;

        drv.cuDeviceGetAttribute(&max, (CUdevice_attribute)(first + i), device);
        if (!want[i] || want[i] > (unsigned int)max)
            return true;
    }
    return false;
}

/* The driver has one word for every bad argument; the runtime tells a bad shape from the rest. */
static __attribute__((cold, noinline)) cudaError_t launch_failed(CUresult r, dim3 grid, dim3 block)
{
    int device, threads = 0;

    if (r != CUDA_ERROR_INVALID_VALUE || rt_device(&device))
        return rt_fail_driver(r);
    drv.cuDeviceGetAttribute(&threads, CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK, device);
    if (dim_exceeds(device, CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_X, grid) ||
        dim_exceeds(device, CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_X, block) ||
        (uint64_t)block.x * block.y * block.z > (uint64_t)threads)
        return rt_fail(cudaErrorInvalidConfiguration);
    return rt_fail(cudaErrorInvalidValue);
}

static inline cudaError_t launch(CUkernel kernel, dim3 grid, dim3 block, void **args, size_t shared,
                                 cudaStream_t stream)
{
    CUresult r = CUDA_ERROR_INVALID_VALUE;

    if (XG_LIKELY(shared <= UINT32_MAX))
        r = drv.cuLaunchKernel((CUfunction)kernel, grid.x, grid.y, grid.z, block.x, block.y,
                               block.z, (unsigned int)shared, stream, args, NULL);
    return XG_LIKELY(r == CUDA_SUCCESS) ? cudaSuccess : launch_failed(r, grid, block);
}

/* --- launches --------------------------------------------------------------------------------- */

cudaError_t __cudaLaunchKernel(cudaKernel_t handle, dim3 grid, dim3 block, void **args,
                               size_t shared, cudaStream_t stream)
{
    CUkernel kernel;

    RT_ENTER();
    RT_TRY(rt_kernel_of_handle(handle, &kernel));
    return launch(kernel, grid, block, args, shared, stream);
}

cudaError_t cudaLaunchKernel(const void *func, dim3 grid, dim3 block, void **args, size_t shared,
                             cudaStream_t stream)
{
    CUkernel kernel;

    RT_ENTER();
    RT_TRY(rt_kernel(func, &kernel));
    return launch(kernel, grid, block, args, shared, stream);
}

cudaError_t cudaLaunchCooperativeKernel(const void *func, dim3 grid, dim3 block, void **args,
                                        size_t shared, cudaStream_t stream)
{
    CUfunction function;
    CUresult r = CUDA_ERROR_INVALID_VALUE;

    RT_ENTER();
    RT_TRY(rt_function(func, &function));
    if (shared <= UINT32_MAX)
        r = drv.cuLaunchCooperativeKernel(function, grid.x, grid.y, grid.z, block.x, block.y,
                                          block.z, (unsigned int)shared, stream, args);
    return r == CUDA_SUCCESS ? cudaSuccess : launch_failed(r, grid, block);
}

static cudaError_t launch_ex(const cudaLaunchConfig_t *config, const void *func, void **args,
                             cudaStream_t stream)
{
    CUkernel kernel;
    CUlaunchConfig c;
    CUresult r;

    RT_NEED(config);
    RT_ENTER();
    RT_TRY(rt_kernel(func, &kernel));
    if (config->dynamicSmemBytes > UINT32_MAX || (config->numAttrs && !config->attrs))
        return rt_fail(cudaErrorInvalidValue);
    c = (CUlaunchConfig){
        .gridDimX = config->gridDim.x,
        .gridDimY = config->gridDim.y,
        .gridDimZ = config->gridDim.z,
        .blockDimX = config->blockDim.x,
        .blockDimY = config->blockDim.y,
        .blockDimZ = config->blockDim.z,
        .sharedMemBytes = (unsigned int)config->dynamicSmemBytes,
        .hStream = stream,
        .attrs = (CUlaunchAttribute *)config->attrs, /* the same layout and numbers */
        .numAttrs = config->numAttrs,
    };
    r = drv.cuLaunchKernelEx(&c, (CUfunction)kernel, args, NULL);
    return r == CUDA_SUCCESS ? cudaSuccess : launch_failed(r, config->gridDim, config->blockDim);
}

cudaError_t cudaLaunchKernelExC(const cudaLaunchConfig_t *config, const void *func, void **args)
{
    return launch_ex(config, func, args, config ? config->stream : NULL);
}

cudaError_t cudaLaunchKernelExC_ptsz(const cudaLaunchConfig_t *config, const void *func,
                                     void **args)
{
    return launch_ex(config, func, args, config ? RT_PTSZ(config->stream) : NULL);
}

/* --- small stream calls that need a hand ------------------------------------------------------ */

cudaError_t cudaStreamDestroy(cudaStream_t stream)
{
    RT_ENTER();
    if (!stream || stream == cudaStreamLegacy || stream == cudaStreamPerThread)
        return rt_fail(cudaErrorInvalidResourceHandle);
    return rt_result(drv.cuStreamDestroy_v2(stream));
}

/* The two callback types differ only in the enumeration that carries the same numbers. */
cudaError_t cudaStreamAddCallback(cudaStream_t stream, cudaStreamCallback_t callback, void *data,
                                  unsigned int flags)
{
    RT_NEED(callback);
    RT_ENTER();
    return rt_result(drv.cuStreamAddCallback(stream, (CUstreamCallback)callback, data, flags));
}

cudaError_t cudaStreamCopyAttributes_ptsz(cudaStream_t dst, cudaStream_t src)
{
    return cudaStreamCopyAttributes(RT_PTSZ(dst), RT_PTSZ(src));
}
