/* Hints about managed memory. Neither device moves it, so they change only what is answered about
 * them: cuda/hints.h. */
#include "cuda/api/capture.h"
#include "cuda/api/graph.h"
#include "cuda/api/stream.h"
#include "cuda/hints.h"

static bool managed_covers(CUdeviceptr p, size_t size)
{
    struct xg_cuda_memory m;

    return size && xg_cuda_device.memory_find(p, &m) && m.kind == XG_CUDA_MEMORY_MANAGED &&
           size <= m.start + m.size - p;
}

CUresult cuMemAdvise_v2(CUdeviceptr p, size_t size, CUmem_advise advice, CUmemLocation where)
{
    CUcontext ctx;

    XG_CUDA_NEED(p, CUDA_ERROR_INVALID_VALUE);
    CUresult r = xg_cuda_enter(&ctx);
    if (r != CUDA_SUCCESS)
        return r;
    XG_CUDA_UNSAFE();
    return managed_covers(p, size) ? xg_cuda_hint_advise(p, size, advice, where, 1)
                                   : CUDA_ERROR_INVALID_VALUE;
}

CUresult cuMemAdvise(CUdeviceptr p, size_t size, CUmem_advise advice, CUdevice device)
{
    XG_CUDA_READY();
    return cuMemAdvise_v2(p, size, advice, xg_cuda_hint_location(device));
}

CUresult cuMemPrefetchAsync_v2(CUdeviceptr p, size_t size, CUmemLocation where, unsigned flags,
                               CUstream h)
{
    struct xg_cuda_stream *s;

    XG_CUDA_NEED(p, CUDA_ERROR_INVALID_VALUE);
    CUresult r = xg_cuda_stream_get(h, &s);
    if (r != CUDA_SUCCESS)
        return r;
    r = flags || !managed_covers(p, size) ? CUDA_ERROR_INVALID_VALUE : CUDA_SUCCESS;
    if (r == CUDA_SUCCESS) /* it would have to become a node, and there is no such kind */
        r = xg_cuda_capture_refuses(s);
    if (r == CUDA_SUCCESS)
        r = xg_cuda_hint_prefetch(p, size, where, 1);
    xg_cuda_stream_put(s);
    return r;
}

CUresult cuMemPrefetchAsync(CUdeviceptr p, size_t size, CUdevice device, CUstream h)
{
    XG_CUDA_READY();
    return cuMemPrefetchAsync_v2(p, size, xg_cuda_hint_location(device), 0, h);
}

CUresult cuMemRangeGetAttribute(void *data, size_t data_size, CUmem_range_attribute a,
                                CUdeviceptr p, size_t size)
{
    CUcontext ctx;
    CUresult r = xg_cuda_enter(&ctx);

    if (r != CUDA_SUCCESS)
        return r;
    return managed_covers(p, size) ? xg_cuda_hint_attribute(p, size, a, data, data_size)
                                   : CUDA_ERROR_INVALID_VALUE;
}

CUresult cuMemRangeGetAttributes(void **data, size_t *data_sizes, CUmem_range_attribute *a,
                                 size_t count, CUdeviceptr p, size_t size)
{
    CUcontext ctx;
    CUresult r = xg_cuda_enter(&ctx);

    if (r == CUDA_SUCCESS && (!count || !data || !data_sizes || !a))
        r = CUDA_ERROR_INVALID_VALUE;
    for (size_t i = 0; i < count && r == CUDA_SUCCESS; i++)
        r = cuMemRangeGetAttribute(data[i], data_sizes[i], a[i], p, size);
    return r;
}
