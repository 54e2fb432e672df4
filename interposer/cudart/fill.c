/* Filling memory with a byte. A synchronous fill in a stream is an asynchronous one and a wait. */
#include "interposer/cudart/runtime.h"

cudaError_t rt_cudaMemset(void *ptr, int value, size_t size, cudaStream_t stream)
{
    unsigned char byte = (unsigned char)value;

    RT_ENTER();
    if (!size)
        return cudaSuccess;
    if (stream)
        return rt_wait(drv.cuMemsetD8Async(rt_address(ptr), byte, size, stream), stream);
    return rt_result(drv.cuMemsetD8_v2(rt_address(ptr), byte, size));
}

cudaError_t cudaMemsetAsync(void *ptr, int value, size_t size, cudaStream_t stream)
{
    RT_ENTER();
    return size
               ? rt_result(drv.cuMemsetD8Async(rt_address(ptr), (unsigned char)value, size, stream))
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
        drv.cuMemsetD2D8Async(rt_address(ptr), pitch, (unsigned char)value, width, height, stream));
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
    return rt_result(
        drv.cuMemsetD2D8_v2(rt_address(ptr), pitch, (unsigned char)value, width, height));
}

/* Slices without a gap between them are filled as one tall slice. */
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
    /* In the legacy stream the fill of device memory need not be waited for: later calls come after
     * it anyway. */
    return stream ? rt_result(drv.cuStreamSynchronize(stream)) : cudaSuccess;
}
