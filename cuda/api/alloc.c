/* Allocation: memory of the device, managed memory, pinned and registered memory of the host. */
#include "cuda/api/capture.h"
#include "cuda/api/graph.h"
#include "cuda/hints.h"

/* Enters the context; for calls that allocate or free, none of which a capture may have beside it.
 */
#define ALLOC_ENTER(ctx, entered)                                                                  \
    CUcontext ctx;                                                                                 \
    do {                                                                                           \
        CUresult enter_ = entered;                                                                 \
        if (XG_UNLIKELY(enter_ != CUDA_SUCCESS))                                                   \
            return enter_;                                                                         \
    } while (0);                                                                                   \
    XG_CUDA_UNSAFE()

/* --- the device's ----------------------------------------------------------------------------- */

CUresult cuMemAlloc_v2(CUdeviceptr *out, size_t size)
{
    ALLOC_ENTER(ctx, xg_cuda_enter(&ctx));
    if (!out || !size)
        return CUDA_ERROR_INVALID_VALUE;
    return xg_cuda_device.alloc(ctx, size, NULL, out);
}

CUresult cuMemAllocPitch_v2(CUdeviceptr *out, size_t *pitch, size_t width, size_t height,
                            unsigned element)
{
    size_t row = xg_align_up(width, XG_CUDA_PITCH), size;

    ALLOC_ENTER(ctx, xg_cuda_enter(&ctx));
    if (!out || !pitch || !width || !height || (element != 4 && element != 8 && element != 16))
        return CUDA_ERROR_INVALID_VALUE;
    if (row < width || __builtin_mul_overflow(row, height, &size))
        return CUDA_ERROR_OUT_OF_MEMORY;
    CUresult r = xg_cuda_device.alloc(ctx, size, NULL, out);
    if (r == CUDA_SUCCESS)
        *pitch = row;
    return r;
}

CUresult cuMemAllocManaged(CUdeviceptr *out, size_t size, unsigned flags)
{
    void *p;

    XG_CUDA_NEED(out, CUDA_ERROR_INVALID_VALUE);
    ALLOC_ENTER(ctx, xg_cuda_enter(&ctx));
    if (!size || (flags != CU_MEM_ATTACH_GLOBAL && flags != CU_MEM_ATTACH_HOST))
        return CUDA_ERROR_INVALID_VALUE;
    CUresult r = xg_cuda_device.alloc_shared(ctx, XG_CUDA_MEMORY_MANAGED, size, 0, &p);
    if (r != CUDA_SUCCESS)
        return r;
    *out = (uintptr_t)p;
    xg_cuda_hint_forget(*out, size);
    return CUDA_SUCCESS;
}

CUresult cuMemFree_v2(CUdeviceptr p)
{
    ALLOC_ENTER(ctx, xg_cuda_enter_at(p, false, &ctx));
    return p ? xg_cuda_device.free(ctx, p) : CUDA_SUCCESS;
}

CUresult cuMemGetInfo_v2(size_t *free_now, size_t *total)
{
    size_t f, t;
    CUcontext ctx;
    CUresult r = xg_cuda_enter(&ctx);

    if (r == CUDA_SUCCESS)
        r = xg_cuda_device.memory_info(ctx, &f, &t);
    if (r == CUDA_SUCCESS && free_now)
        *free_now = f;
    if (r == CUDA_SUCCESS && total)
        *total = t;
    return r;
}

CUresult cuMemGetInfo(unsigned *free_now, unsigned *total)
{
    size_t f = 0, t = 0;
    CUresult r = cuMemGetInfo_v2(&f, &t);

    if (r == CUDA_SUCCESS && free_now)
        *free_now = (unsigned)xg_min_u64(f, UINT32_MAX);
    if (r == CUDA_SUCCESS && total)
        *total = (unsigned)xg_min_u64(t, UINT32_MAX);
    return r;
}

/* --- pinned ----------------------------------------------------------------------------------- */

CUresult cuMemHostAlloc(void **out, size_t size, unsigned flags)
{
    const unsigned known =
        CU_MEMHOSTALLOC_PORTABLE | CU_MEMHOSTALLOC_DEVICEMAP | CU_MEMHOSTALLOC_WRITECOMBINED;

    ALLOC_ENTER(ctx, xg_cuda_enter(&ctx));
    if (!out || (flags & ~known))
        return CUDA_ERROR_INVALID_VALUE;
    if (!size) { /* no memory, and no error */
        *out = NULL;
        return CUDA_SUCCESS;
    }
    return xg_cuda_device.alloc_shared(ctx, XG_CUDA_MEMORY_PINNED, size, flags, out);
}

CUresult cuMemAllocHost_v2(void **out, size_t size)
{
    return cuMemHostAlloc(out, size, 0);
}

CUresult cuMemAllocHost(void **out, unsigned size)
{
    return cuMemHostAlloc(out, size, 0);
}

CUresult cuMemFreeHost(void *p)
{
    ALLOC_ENTER(ctx, xg_cuda_enter_at((uintptr_t)p, true, &ctx));
    return p ? xg_cuda_device.free_pinned(ctx, p) : CUDA_SUCCESS;
}

/* --- registered ------------------------------------------------------------------------------- */

CUresult cuMemHostRegister_v2(void *p, size_t size, unsigned flags)
{
    const unsigned known = CU_MEMHOSTREGISTER_PORTABLE | CU_MEMHOSTREGISTER_DEVICEMAP |
                           CU_MEMHOSTREGISTER_IOMEMORY | CU_MEMHOSTREGISTER_READ_ONLY;

    ALLOC_ENTER(ctx, xg_cuda_enter(&ctx));
    if (!p || !size || (flags & ~known) || (uintptr_t)p + size < size)
        return CUDA_ERROR_INVALID_VALUE;
    if (flags & CU_MEMHOSTREGISTER_IOMEMORY)
        return CUDA_ERROR_NOT_SUPPORTED;
    return xg_cuda_device.host_register(ctx, p, size, flags);
}

CUresult cuMemHostRegister(void *p, size_t size, unsigned flags)
{
    return cuMemHostRegister_v2(p, size, flags & 0xf); /* knows no others, and ignores them */
}

CUresult cuMemHostUnregister(void *p)
{
    struct xg_cuda_memory m;

    ALLOC_ENTER(ctx, xg_cuda_enter_at((uintptr_t)p, false, &ctx));
    bool found = xg_cuda_device.memory_find((uintptr_t)p, &m);
    if (!p || (found && m.kind == XG_CUDA_MEMORY_PINNED)) /* that is freed, not unregistered */
        return CUDA_ERROR_INVALID_VALUE;
    if (!found || m.kind != XG_CUDA_MEMORY_REGISTERED)
        return CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED;
    if (m.start != (uintptr_t)p)
        return CUDA_ERROR_INVALID_VALUE;
    return xg_cuda_device.host_unregister(ctx, p);
}
