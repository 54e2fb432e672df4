/* Hints for managed memory: it is where everybody can reach it already. */
#include "softcuda/driver/device.h"
#include "softcuda/driver/sc.h"
#include "cuda/hints.h"

static bool managed_covers(CUdeviceptr p, size_t size)
{
    struct sc_mem m;

    return size && sc_mem_find(p, &m) && sc_mem_is_managed(&m) && size <= m.start + m.size - p;
}

CUresult cuMemAdvise_v2(CUdeviceptr p, size_t size, CUmem_advise advice, CUmemLocation location)
{
    XG_CUDA_NEED(p, CUDA_ERROR_INVALID_VALUE);
    SC_ENTER(ctx);
    SC_UNSAFE();
    if (!managed_covers(p, size))
        return CUDA_ERROR_INVALID_VALUE;
    return xg_cuda_hint_advise(p, size, advice, location, SC_DEVICES);
}

CUresult cuMemAdvise(CUdeviceptr p, size_t size, CUmem_advise advice, CUdevice device)
{
    SC_READY();
    return cuMemAdvise_v2(p, size, advice, xg_cuda_hint_location(device));
}

CUresult cuMemPrefetchAsync_v2(CUdeviceptr p, size_t size, CUmemLocation location, unsigned flags,
                               CUstream stream)
{
    XG_CUDA_NEED(p, CUDA_ERROR_INVALID_VALUE);
    CUresult r;
    SC_ENTER_OF(ctx, SC_STREAM, stream);
    if (flags || !managed_covers(p, size))
        return CUDA_ERROR_INVALID_VALUE;
    struct sc_stream *s = sc_stream_get(ctx, stream, &r);
    if (!s)
        return r;
    /* It would have to become a node, and there is no such kind. */
    r = sc_capture_refuses(s);
    if (!r)
        r = xg_cuda_hint_prefetch(p, size, location, SC_DEVICES);
    sc_stream_put(s);
    return r;
}

CUresult cuMemPrefetchAsync(CUdeviceptr p, size_t size, CUdevice device, CUstream stream)
{
    SC_READY();
    return cuMemPrefetchAsync_v2(p, size, xg_cuda_hint_location(device), 0, stream);
}

CUresult cuMemRangeGetAttribute(void *data, size_t data_size, CUmem_range_attribute attribute,
                                CUdeviceptr p, size_t size)
{
    SC_ENTER(ctx);
    if (!managed_covers(p, size))
        return CUDA_ERROR_INVALID_VALUE;
    return xg_cuda_hint_attribute(p, size, attribute, data, data_size);
}

CUresult cuMemRangeGetAttributes(void **data, size_t *data_sizes, CUmem_range_attribute *attributes,
                                 size_t n, CUdeviceptr p, size_t size)
{
    SC_READY();
    CUresult r = n && data && data_sizes && attributes ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;

    for (size_t i = 0; i < n && !r; i++)
        r = cuMemRangeGetAttribute(data[i], data_sizes[i], attributes[i], p, size);
    return r;
}
