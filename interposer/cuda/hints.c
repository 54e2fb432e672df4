/* Hints for managed memory: it lies in the arena and does not move, so they change only what is
 * answered about them. */
#include "interposer/cuda/graph.h"
#include "cuda/hints.h"

static bool managed_covers(CUdeviceptr p, size_t size)
{
    struct cu_mem m;

    return size && cu_mem_find(p, &m) && m.kind == CU_MEM_MANAGED && size <= m.start + m.size - p;
}

CUresult cuMemAdvise_v2(CUdeviceptr p, size_t size, CUmem_advise advice, CUmemLocation where)
{
    XG_CUDA_NEED(p, CUDA_ERROR_INVALID_VALUE);
    CU_ENTER(ctx);
    CU_UNSAFE();
    return managed_covers(p, size) ? xg_cuda_hint_advise(p, size, advice, where, 1)
                                   : CUDA_ERROR_INVALID_VALUE;
}

CUresult cuMemAdvise(CUdeviceptr p, size_t size, CUmem_advise advice, CUdevice device)
{
    CU_READY();
    return cuMemAdvise_v2(p, size, advice, xg_cuda_hint_location(device));
}

CUresult cuMemPrefetchAsync_v2(CUdeviceptr p, size_t size, CUmemLocation where, unsigned int flags,
                               CUstream s)
{
    XG_CUDA_NEED(p, CUDA_ERROR_INVALID_VALUE);
    CU_STREAM(s);
    if (flags || !managed_covers(p, size))
        return CUDA_ERROR_INVALID_VALUE;
    /* It would have to become a node, and there is no such kind. */
    CUresult r = cu_capture_check(stream);
    return r == CUDA_SUCCESS ? xg_cuda_hint_prefetch(p, size, where, 1) : r;
}

CUresult cuMemPrefetchAsync(CUdeviceptr p, size_t size, CUdevice device, CUstream s)
{
    CU_READY();
    return cuMemPrefetchAsync_v2(p, size, xg_cuda_hint_location(device), 0, s);
}

CUresult cuMemRangeGetAttribute(void *data, size_t data_size, CUmem_range_attribute a,
                                CUdeviceptr p, size_t size)
{
    CU_ENTER(ctx);
    return managed_covers(p, size) ? xg_cuda_hint_attribute(p, size, a, data, data_size)
                                   : CUDA_ERROR_INVALID_VALUE;
}

CUresult cuMemRangeGetAttributes(void **data, size_t *data_sizes, CUmem_range_attribute *a,
                                 size_t count, CUdeviceptr p, size_t size)
{
    CU_ENTER(ctx);
    CUresult r = count && data && data_sizes && a ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
    for (size_t i = 0; i < count && r == CUDA_SUCCESS; i++)
        r = cuMemRangeGetAttribute(data[i], data_sizes[i], a[i], p, size);
    return r;
}
