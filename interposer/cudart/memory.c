/* Allocation, what a pointer points to, and the addresses of variables. */
#include "interposer/cudart/runtime.h"

#include <string.h>

/* An empty allocation succeeds and has no address. */
#define ALLOCATE(ptr, size, call)                                                                  \
    do {                                                                                           \
        CUdeviceptr at_ = 0;                                                                       \
        RT_NEED(ptr);                                                                              \
        RT_ENTER();                                                                                \
        *(ptr) = NULL;                                                                             \
        if (!(size))                                                                               \
            return cudaSuccess;                                                                    \
        RT_TRY(rt_result(call));                                                                   \
        *(ptr) = (void *)(uintptr_t)at_;                                                           \
        return cudaSuccess;                                                                        \
    } while (0)

cudaError_t cudaMalloc(void **ptr, size_t size)
{
    ALLOCATE(ptr, size, drv.cuMemAlloc_v2(&at_, size));
}

cudaError_t cudaMallocManaged(void **ptr, size_t size, unsigned int flags)
{
    /* This is the only call that refuses an empty allocation. */
    if (!size || (flags != CU_MEM_ATTACH_GLOBAL && flags != CU_MEM_ATTACH_HOST))
        return rt_fail(cudaErrorInvalidValue);
    ALLOCATE(ptr, size, drv.cuMemAllocManaged(&at_, size, flags));
}

cudaError_t cudaMallocAsync(void **ptr, size_t size, cudaStream_t stream)
{
    ALLOCATE(ptr, size, drv.cuMemAllocAsync(&at_, size, stream));
}

cudaError_t cudaMallocFromPoolAsync(void **ptr, size_t size, cudaMemPool_t pool,
                                    cudaStream_t stream)
{
    ALLOCATE(ptr, size, drv.cuMemAllocFromPoolAsync(&at_, size, pool, stream));
}

static cudaError_t host_alloc(void **ptr, size_t size, unsigned int flags)
{
    RT_NEED(ptr);
    RT_ENTER();
    *ptr = NULL;
    return size ? rt_result(drv.cuMemHostAlloc(ptr, size, flags)) : cudaSuccess;
}

cudaError_t cudaMallocHost(void **ptr, size_t size)
{
    return host_alloc(ptr, size, CU_MEMHOSTALLOC_PORTABLE);
}

cudaError_t cudaHostAlloc(void **ptr, size_t size, unsigned int flags)
{
    return host_alloc(ptr, size, flags);
}

static cudaError_t malloc_pitch(void **ptr, size_t *pitch, size_t width, size_t height)
{
    CUdeviceptr at = 0;

    /* 4: the smallest element for which the driver promises coalesced rows. */
    RT_TRY(rt_result(drv.cuMemAllocPitch_v2(&at, pitch, width, height, 4)));
    *ptr = (void *)(uintptr_t)at;
    return cudaSuccess;
}

cudaError_t cudaMallocPitch(void **ptr, size_t *pitch, size_t width, size_t height)
{
    RT_NEED(ptr);
    RT_NEED(pitch);
    RT_ENTER();
    *ptr = NULL;
    *pitch = 0;
    return width && height ? malloc_pitch(ptr, pitch, width, height) : cudaSuccess;
}

cudaError_t cudaMalloc3D(struct cudaPitchedPtr *out, struct cudaExtent extent)
{
    size_t rows;

    RT_NEED(out);
    RT_ENTER();
    *out = (struct cudaPitchedPtr){.xsize = extent.width, .ysize = extent.height};
    if (__builtin_mul_overflow(extent.height, extent.depth, &rows))
        return rt_fail(cudaErrorInvalidValue);
    return extent.width && rows ? malloc_pitch(&out->ptr, &out->pitch, extent.width, rows)
                                : cudaSuccess;
}

/* Programs call cudaFree(NULL) to start the runtime, so it makes a context too. */
cudaError_t cudaFree(void *ptr)
{
    RT_ENTER();
    return ptr ? rt_result(drv.cuMemFree_v2(rt_address(ptr))) : cudaSuccess;
}

cudaError_t cudaFreeHost(void *ptr)
{
    RT_ENTER();
    return ptr ? rt_result(drv.cuMemFreeHost(ptr)) : cudaSuccess;
}

/* --- pointers --------------------------------------------------------------------------------- */

static enum cudaMemoryType memory_type(unsigned int type, int managed)
{
    if (managed)
        return cudaMemoryTypeManaged;
    if (type == CU_MEMORYTYPE_HOST)
        return cudaMemoryTypeHost;
    return type == CU_MEMORYTYPE_DEVICE ? cudaMemoryTypeDevice : cudaMemoryTypeUnregistered;
}

cudaError_t cudaPointerGetAttributes(struct cudaPointerAttributes *attr, const void *ptr)
{
    unsigned int type = 0;
    int ordinal = XG_RT_INVALID_DEVICE, managed = 0;
    CUdeviceptr device = 0;
    void *host = NULL;
    CUpointer_attribute ask[] = {
        CU_POINTER_ATTRIBUTE_MEMORY_TYPE,    CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL,
        CU_POINTER_ATTRIBUTE_DEVICE_POINTER, CU_POINTER_ATTRIBUTE_HOST_POINTER,
        CU_POINTER_ATTRIBUTE_IS_MANAGED,
    };
    void *into[] = {&type, &ordinal, &device, &host, &managed};
    CUresult r;

    RT_NEED(attr);
    RT_ENTER();
    r = drv.cuPointerGetAttributes(XG_ARRAY_LEN(ask), ask, into, rt_address(ptr));
    if (r != CUDA_SUCCESS && r != CUDA_ERROR_INVALID_VALUE)
        return rt_fail_driver(r);
    memset(attr, 0, sizeof(*attr));
    attr->type = r == CUDA_SUCCESS ? memory_type(type, managed) : cudaMemoryTypeUnregistered;
    if (attr->type == cudaMemoryTypeUnregistered) { /* an answer, not an error */
        attr->device = XG_RT_INVALID_DEVICE;
        attr->hostPointer = (void *)(uintptr_t)ptr;
        return cudaSuccess;
    }
    attr->device = ordinal;
    attr->devicePointer = (void *)(uintptr_t)device;
    attr->hostPointer = attr->type == cudaMemoryTypeDevice ? NULL : host;
    return cudaSuccess;
}

/* --- symbols ---------------------------------------------------------------------------------- */

cudaError_t cudaGetSymbolAddress(void **ptr, const void *symbol)
{
    CUdeviceptr at;
    size_t size;

    RT_NEED(ptr);
    RT_ENTER();
    RT_TRY(rt_variable(symbol, &at, &size));
    *ptr = (void *)(uintptr_t)at;
    return cudaSuccess;
}

cudaError_t cudaGetSymbolSize(size_t *size, const void *symbol)
{
    CUdeviceptr at;

    RT_NEED(size);
    RT_ENTER();
    return rt_variable(symbol, &at, size);
}

/* --- placement: a location is passed by value, which the generator cannot do ------------------ */

#if RT_VERSION == 12
#define cudaMemPrefetchTo(...) cudaMemPrefetchAsync_v2(__VA_ARGS__)
#define cudaMemAdviseAt(...)   cudaMemAdvise_v2(__VA_ARGS__)
#else
#define cudaMemPrefetchTo(...) cudaMemPrefetchAsync(__VA_ARGS__)
#define cudaMemAdviseAt(...)   cudaMemAdvise(__VA_ARGS__)
#endif

static CUmemLocation location_to_driver(struct cudaMemLocation l)
{
    return (CUmemLocation){.type = (CUmemLocationType)l.type, .id = l.id};
}

cudaError_t cudaMemPrefetchTo(const void *ptr, size_t size, struct cudaMemLocation where,
                              unsigned int flags, cudaStream_t stream)
{
    RT_ENTER();
    return rt_result(
        drv.cuMemPrefetchAsync_v2(rt_address(ptr), size, location_to_driver(where), flags, stream));
}

cudaError_t cudaMemAdviseAt(const void *ptr, size_t size, enum cudaMemoryAdvise advice,
                            struct cudaMemLocation where)
{
    RT_ENTER();
    return rt_result(
        drv.cuMemAdvise_v2(rt_address(ptr), size, (CUmem_advise)advice, location_to_driver(where)));
}

/* --- sharing between processes: handles are passed by value ----------------------------------- */

cudaError_t cudaIpcOpenMemHandle(void **ptr, cudaIpcMemHandle_t handle, unsigned int flags)
{
    CUipcMemHandle h;
    CUdeviceptr at;

    RT_NEED(ptr);
    RT_ENTER();
    memcpy(&h, &handle, sizeof(h));
    RT_TRY(rt_result(drv.cuIpcOpenMemHandle_v2(&at, h, flags)));
    *ptr = (void *)(uintptr_t)at;
    return cudaSuccess;
}

cudaError_t cudaIpcOpenEventHandle(cudaEvent_t *event, cudaIpcEventHandle_t handle)
{
    CUipcEventHandle h;

    RT_NEED(event);
    RT_ENTER();
    memcpy(&h, &handle, sizeof(h));
    return rt_result(drv.cuIpcOpenEventHandle(event, h));
}
