/* Filling memory with a byte. */
#include "interposer/cudart/runtime.h"

static CUdeviceptr address(void *p)
{
    return (CUdeviceptr)(uintptr_t)p;
}

/* As for copies: in a per-thread default stream a synchronous fill is an asynchronous one and a
 * wait. */
static cudaError_t finish(CUresult r, cudaStream_t stream)
{
    RT_TRY(rt_result(r));
    return rt_result(drv.cuStreamSynchronize(stream));
}

cudaError_t rt_cudaMemset(void *ptr, int value, size_t size, cudaStream_t stream)
{
    unsigned char byte = (unsigned char)value;

    RT_ENTER();
    if (!size)
        return cudaSuccess;
    if (stream)
        return finish(drv.cuMemsetD8Async(address(ptr), byte, size, stream), stream);
    return rt_result(drv.cuMemsetD8_v2(address(ptr), byte, size));
}

cudaError_t cudaMemsetAsync(void *ptr, int value, size_t size, cudaStream_t stream)
{
    RT_ENTER();
    return size ? rt_result(drv.cuMemsetD8Async(address(ptr), (unsigned char)value, size, stream))
                : cudaSuccess;
}

cudaError_t cudaMemset2DAsync(void *ptr, size_t pitch, int value, size_t width, size_t height,
                              cudaStream_t stream)
{
    RT_ENTER();
    if (height > 1 && pitch < width)
        return rt_fail(cudaErrorInvalidPitchValue);
    if (!width || !height)
        return cudaSuccess;
    return rt_result(
        drv.cuMemsetD2D8Async(address(ptr), pitch, (unsigned char)value, width, height, stream));
}

cudaError_t rt_cudaMemset2D(void *ptr, size_t pitch, int value, size_t width, size_t height,
                            cudaStream_t stream)
{
    RT_ENTER();
    if (stream) {
        RT_TRY(cudaMemset2DAsync(ptr, pitch, value, width, height, stream));
        return rt_result(drv.cuStreamSynchronize(stream));
    }
    if (height > 1 && pitch < width)
        return rt_fail(cudaErrorInvalidPitchValue);
    if (!width || !height)
        return cudaSuccess;
    return rt_result(drv.cuMemsetD2D8_v2(address(ptr), pitch, (unsigned char)value, width, height));
}

/* Slices that follow one another without a gap are one tall slice. */
cudaError_t cudaMemset3DAsync(struct cudaPitchedPtr ptr, int value, struct cudaExtent extent,
                              cudaStream_t stream)
{
    char *slice = ptr.ptr;

    RT_ENTER();
    if (extent.height > ptr.ysize && extent.depth > 1)
        return rt_fail(cudaErrorInvalidValue);
    if (extent.height == ptr.ysize)
        return cudaMemset2DAsync(slice, ptr.pitch, value, extent.width,
                                 extent.height * extent.depth, stream);
    for (size_t z = 0; z < extent.depth; z++, slice += ptr.pitch * ptr.ysize)
        RT_TRY(cudaMemset2DAsync(slice, ptr.pitch, value, extent.width, extent.height, stream));
    return cudaSuccess;
}

cudaError_t rt_cudaMemset3D(struct cudaPitchedPtr ptr, int value, struct cudaExtent extent,
                            cudaStream_t stream)
{
    RT_TRY(cudaMemset3DAsync(ptr, value, extent, stream));
    /* A legacy synchronous fill of device memory need not be waited for; a later call is ordered.
     */
    return stream ? rt_result(drv.cuStreamSynchronize(stream)) : cudaSuccess;
}
