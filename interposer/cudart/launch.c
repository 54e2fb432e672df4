/* Launches, and the configuration that the <<< >>> syntax passes from one call to the next. */
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

/* Not zero: an error; the compiler's code then skips the launch. */
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

/* --- the error of a launch -------------------------------------------------------------------- */

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

/* The driver has one error for all bad arguments; the runtime has its own for a bad shape. */
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

static inline cudaError_t kernel_launch(CUkernel kernel, dim3 grid, dim3 block, void **args,
                                        size_t shared, cudaStream_t stream)
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
    return kernel_launch(kernel, grid, block, args, shared, stream);
}

cudaError_t cudaLaunchKernel(const void *func, dim3 grid, dim3 block, void **args, size_t shared,
                             cudaStream_t stream)
{
    CUkernel kernel;

    RT_ENTER();
    RT_TRY(rt_kernel(func, &kernel));
    return kernel_launch(kernel, grid, block, args, shared, stream);
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

cudaError_t rt_launch_config(const cudaLaunchConfig_t *in, cudaStream_t stream, CUlaunchConfig *out)
{
    if (!in || in->dynamicSmemBytes > UINT32_MAX || (in->numAttrs && !in->attrs))
        return rt_fail(cudaErrorInvalidValue);
    *out = (CUlaunchConfig){
        .gridDimX = in->gridDim.x,
        .gridDimY = in->gridDim.y,
        .gridDimZ = in->gridDim.z,
        .blockDimX = in->blockDim.x,
        .blockDimY = in->blockDim.y,
        .blockDimZ = in->blockDim.z,
        .sharedMemBytes = (unsigned int)in->dynamicSmemBytes,
        .hStream = stream,
        .attrs = (CUlaunchAttribute *)in->attrs, /* the same layout and numbers */
        .numAttrs = in->numAttrs,
    };
    return cudaSuccess;
}

static cudaError_t kernel_launch_ex(const cudaLaunchConfig_t *config, const void *func, void **args,
                                    cudaStream_t stream)
{
    CUkernel kernel;
    CUlaunchConfig c;
    CUresult r;

    RT_NEED(config);
    RT_ENTER();
    RT_TRY(rt_kernel(func, &kernel));
    RT_TRY(rt_launch_config(config, stream, &c));
    r = drv.cuLaunchKernelEx(&c, (CUfunction)kernel, args, NULL);
    return r == CUDA_SUCCESS ? cudaSuccess : launch_failed(r, config->gridDim, config->blockDim);
}

cudaError_t cudaLaunchKernelExC(const cudaLaunchConfig_t *config, const void *func, void **args)
{
    return kernel_launch_ex(config, func, args, config ? config->stream : NULL);
}

cudaError_t cudaLaunchKernelExC_ptsz(const cudaLaunchConfig_t *config, const void *func,
                                     void **args)
{
    return kernel_launch_ex(config, func, args, config ? RT_PTSZ(config->stream) : NULL);
}

/* --- calls on streams that are not generated -------------------------------------------------- */

cudaError_t cudaStreamDestroy(cudaStream_t stream)
{
    RT_ENTER();
    if (!stream || stream == cudaStreamLegacy || stream == cudaStreamPerThread)
        return rt_fail(cudaErrorInvalidResourceHandle);
    return rt_result(drv.cuStreamDestroy_v2(stream));
}

/* The two callback types differ in the type of the error only, whose numbers are the same. */
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
