/* What an address is. */
#include <string.h>

#include "cuda/api/capture.h"
#include "cuda/api/graph.h"
#include "cuda/api/pool.h"

/* How many bytes the answer to an attribute takes, 0: unknown, or not for asking. */
static size_t answer_size(CUpointer_attribute a)
{
    switch (a) {
    case CU_POINTER_ATTRIBUTE_CONTEXT:
    case CU_POINTER_ATTRIBUTE_DEVICE_POINTER:
    case CU_POINTER_ATTRIBUTE_HOST_POINTER:
    case CU_POINTER_ATTRIBUTE_BUFFER_ID:
    case CU_POINTER_ATTRIBUTE_RANGE_START_ADDR:
    case CU_POINTER_ATTRIBUTE_RANGE_SIZE:
    case CU_POINTER_ATTRIBUTE_ALLOWED_HANDLE_TYPES:
    case CU_POINTER_ATTRIBUTE_MEMPOOL_HANDLE:
    case CU_POINTER_ATTRIBUTE_MAPPING_SIZE:
    case CU_POINTER_ATTRIBUTE_MAPPING_BASE_ADDR:
    case CU_POINTER_ATTRIBUTE_MEMORY_BLOCK_ID: return 8;
    case CU_POINTER_ATTRIBUTE_MEMORY_TYPE:
    case CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL:
    case CU_POINTER_ATTRIBUTE_ACCESS_FLAGS: return 4;
    /* One byte, as the API's bool: a caller may give no more room. */
    case CU_POINTER_ATTRIBUTE_SYNC_MEMOPS:
    case CU_POINTER_ATTRIBUTE_IS_MANAGED:
    case CU_POINTER_ATTRIBUTE_IS_LEGACY_CUDA_IPC_CAPABLE:
    case CU_POINTER_ATTRIBUTE_MAPPED:
    case CU_POINTER_ATTRIBUTE_IS_GPU_DIRECT_RDMA_CAPABLE:
    case CU_POINTER_ATTRIBUTE_IS_HW_DECOMPRESS_CAPABLE: return 1;
    default: return 0;
    }
}

/* Where `p` is called by another address, which begins at `start`; false: it has none. */
static bool address_there(uint64_t start, CUdeviceptr p, const struct xg_cuda_memory *m,
                          uint64_t *v)
{
    *v = start + (p - m->start);
    return start != 0;
}

static bool attribute_answer(CUpointer_attribute a, CUdeviceptr p, const struct xg_cuda_memory *m,
                             uint64_t *v)
{
    switch (a) {
    case CU_POINTER_ATTRIBUTE_CONTEXT: *v = (uintptr_t)m->ctx; return true;
    case CU_POINTER_ATTRIBUTE_MEMORY_TYPE: *v = xg_cuda_memory_type(m); return true;
    case CU_POINTER_ATTRIBUTE_DEVICE_POINTER: return address_there(m->device, p, m, v);
    case CU_POINTER_ATTRIBUTE_HOST_POINTER: return address_there(m->host, p, m, v);
    case CU_POINTER_ATTRIBUTE_BUFFER_ID:
    case CU_POINTER_ATTRIBUTE_MEMORY_BLOCK_ID: *v = m->id; return true;
    case CU_POINTER_ATTRIBUTE_IS_MANAGED: *v = m->kind == XG_CUDA_MEMORY_MANAGED; return true;
    case CU_POINTER_ATTRIBUTE_RANGE_START_ADDR:
    case CU_POINTER_ATTRIBUTE_MAPPING_BASE_ADDR: *v = m->start; return true;
    case CU_POINTER_ATTRIBUTE_RANGE_SIZE:
    case CU_POINTER_ATTRIBUTE_MAPPING_SIZE: *v = m->size; return true;
    case CU_POINTER_ATTRIBUTE_MAPPED: *v = m->reached; return true;
    case CU_POINTER_ATTRIBUTE_SYNC_MEMOPS: *v = xg_cuda_device.sync_memops; return true;
    case CU_POINTER_ATTRIBUTE_ACCESS_FLAGS:
        *v = !m->reached    ? CU_POINTER_ATTRIBUTE_ACCESS_FLAG_NONE
             : m->read_only ? CU_POINTER_ATTRIBUTE_ACCESS_FLAG_READ
                            : CU_POINTER_ATTRIBUTE_ACCESS_FLAG_READWRITE;
        return true;
    case CU_POINTER_ATTRIBUTE_MEMPOOL_HANDLE:
        *v = m->pool ? (uintptr_t)xg_cuda_pool_handle(m->pool) : 0;
        return true;
    default: *v = 0; return true; /* device 0, no sharing, no RDMA, no decompression engine */
    }
}

CUresult cuPointerGetAttribute(void *out, CUpointer_attribute a, CUdeviceptr p)
{
    size_t size = answer_size(a);
    struct xg_cuda_memory m;
    uint64_t v;

    XG_CUDA_ENTER(ctx);
    if (!out)
        return CUDA_ERROR_INVALID_VALUE;
    if (!size)
        return a == CU_POINTER_ATTRIBUTE_P2P_TOKENS ? CUDA_ERROR_NOT_SUPPORTED
                                                    : CUDA_ERROR_INVALID_VALUE;
    if (!xg_cuda_device.memory_find(p, &m) || !attribute_answer(a, p, &m, &v))
        return CUDA_ERROR_INVALID_VALUE;
    memcpy(out, &v, size);
    return CUDA_SUCCESS;
}

/* Unlike the single one, this answers zeros for an address that nobody knows. */
CUresult cuPointerGetAttributes(unsigned count, CUpointer_attribute *a, void **out, CUdeviceptr p)
{
    struct xg_cuda_memory m;

    XG_CUDA_ENTER(ctx);
    if (!count || !a || !out)
        return CUDA_ERROR_INVALID_VALUE;
    bool known = xg_cuda_device.memory_find(p, &m);
    for (unsigned i = 0; i < count; i++) {
        size_t size = answer_size(a[i]);
        uint64_t v = 0;
        if (!size || !out[i])
            return CUDA_ERROR_INVALID_VALUE;
        if (known && !attribute_answer(a[i], p, &m, &v))
            v = 0;
        if (!known && a[i] == CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL)
            v = (uint64_t)(int64_t)CU_DEVICE_INVALID;
        memcpy(out[i], &v, size);
    }
    return CUDA_SUCCESS;
}

CUresult cuPointerSetAttribute(const void *value, CUpointer_attribute a, CUdeviceptr p)
{
    struct xg_cuda_memory m;

    XG_CUDA_ENTER(ctx);
    XG_CUDA_UNSAFE();
    if (!value || a != CU_POINTER_ATTRIBUTE_SYNC_MEMOPS || !xg_cuda_device.memory_find(p, &m) ||
        m.kind == XG_CUDA_MEMORY_REGISTERED) /* what CUDA allocated: of the host, too */
        return CUDA_ERROR_INVALID_VALUE;
    return *(const unsigned *)value && !xg_cuda_device.sync_memops ? CUDA_ERROR_NOT_SUPPORTED
                                                                   : CUDA_SUCCESS;
}

/* --- where it begins, and what it was asked for with ------------------------------------------ */

CUresult cuMemGetAddressRange_v2(CUdeviceptr *base, size_t *size, CUdeviceptr p)
{
    struct xg_cuda_memory m;
    CUcontext ctx;

    if (!base && !size)
        return CUDA_SUCCESS; /* not even cuInit is asked for */
    CUresult r = xg_cuda_enter(&ctx);
    if (r != CUDA_SUCCESS)
        return r;
    if (!xg_cuda_device.memory_find(p, &m) || m.kind == XG_CUDA_MEMORY_REGISTERED)
        return CUDA_ERROR_NOT_FOUND;
    if (base)
        *base = m.start;
    if (size)
        *size = m.size;
    return CUDA_SUCCESS;
}

CUresult cuMemHostGetDevicePointer_v2(CUdeviceptr *out, void *p, unsigned flags)
{
    struct xg_cuda_memory m;
    CUcontext ctx;
    CUresult r = xg_cuda_enter(&ctx);

    if (r != CUDA_SUCCESS)
        return r;
    if (!out || flags || !xg_cuda_device.memory_find((uintptr_t)p, &m) ||
        xg_cuda_memory_type(&m) != CU_MEMORYTYPE_HOST)
        return CUDA_ERROR_INVALID_VALUE;
    if (!m.device) /* registered without CU_MEMHOSTREGISTER_DEVICEMAP, or not seen by the device */
        return m.kind == XG_CUDA_MEMORY_REGISTERED ? CUDA_ERROR_INVALID_VALUE
                                                   : CUDA_ERROR_NOT_SUPPORTED;
    *out = m.device + ((uintptr_t)p - m.start);
    return CUDA_SUCCESS;
}

CUresult cuMemHostGetFlags(unsigned *flags, void *p)
{
    struct xg_cuda_memory m;
    CUcontext ctx;

    XG_CUDA_NEED(flags && p, CUDA_ERROR_INVALID_VALUE);
    CUresult r = xg_cuda_enter(&ctx);
    if (r != CUDA_SUCCESS)
        return r;
    if (!xg_cuda_device.memory_find((uintptr_t)p, &m) || m.kind != XG_CUDA_MEMORY_PINNED)
        return CUDA_ERROR_INVALID_VALUE;
    /* With unified addressing all of it is mapped. */
    *flags = m.flags | (m.device ? CU_MEMHOSTALLOC_DEVICEMAP : 0);
    return CUDA_SUCCESS;
}
