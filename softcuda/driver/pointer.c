/* What an address is. */
#include <string.h>

#include "softcuda/driver/sc.h"
#include "cuda/api/pool.h"

/* How many bytes the answer to an attribute takes, 0: unknown or not for asking. */
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

static bool answer(CUpointer_attribute a, uint64_t p, const struct sc_mem *m, uint64_t *v)
{
    bool host = m->kind == SC_MEM_HOST || m->kind == SC_MEM_REGISTERED;

    switch (a) {
    case CU_POINTER_ATTRIBUTE_CONTEXT: *v = m->ctx ? (uintptr_t)m->ctx->handle : 0; return true;
    case CU_POINTER_ATTRIBUTE_MEMORY_TYPE:
        *v = host ? CU_MEMORYTYPE_HOST : CU_MEMORYTYPE_DEVICE;
        return true;
    case CU_POINTER_ATTRIBUTE_DEVICE_POINTER: *v = p; return true;
    case CU_POINTER_ATTRIBUTE_HOST_POINTER: *v = p; return host || sc_mem_is_managed(m);
    case CU_POINTER_ATTRIBUTE_BUFFER_ID:
    case CU_POINTER_ATTRIBUTE_MEMORY_BLOCK_ID: *v = m->id; return true;
    case CU_POINTER_ATTRIBUTE_IS_MANAGED: *v = sc_mem_is_managed(m); return true;
    case CU_POINTER_ATTRIBUTE_RANGE_START_ADDR:
    case CU_POINTER_ATTRIBUTE_MAPPING_BASE_ADDR: *v = m->start; return true;
    case CU_POINTER_ATTRIBUTE_RANGE_SIZE:
    case CU_POINTER_ATTRIBUTE_MAPPING_SIZE: *v = m->size; return true;
    case CU_POINTER_ATTRIBUTE_MAPPED: *v = m->accessible; return true;
    case CU_POINTER_ATTRIBUTE_SYNC_MEMOPS: *v = 1; return true;
    case CU_POINTER_ATTRIBUTE_ACCESS_FLAGS:
        *v = !m->accessible ? 0
             : m->writable  ? CU_POINTER_ATTRIBUTE_ACCESS_FLAG_READWRITE
                            : CU_POINTER_ATTRIBUTE_ACCESS_FLAG_READ;
        return true;
    case CU_POINTER_ATTRIBUTE_MEMPOOL_HANDLE:
        *v = m->pool ? (uintptr_t)xg_cuda_pool_handle(m->pool) : 0;
        return true;
    default: *v = 0; return true; /* device 0, no sharing, no RDMA, no decompression engine */
    }
}

CUresult cuPointerGetAttribute(void *data, CUpointer_attribute attribute, CUdeviceptr p)
{
    struct sc_mem m;
    uint64_t v;
    SC_ENTER_AT(ctx, p);
    size_t size = answer_size(attribute);

    if (!data)
        return CUDA_ERROR_INVALID_VALUE;
    if (!size)
        return attribute == CU_POINTER_ATTRIBUTE_P2P_TOKENS ? CUDA_ERROR_NOT_SUPPORTED
                                                            : CUDA_ERROR_INVALID_VALUE;
    if (!sc_mem_find(p, &m) || !answer(attribute, p, &m, &v))
        return CUDA_ERROR_INVALID_VALUE;
    memcpy(data, &v, size);
    return CUDA_SUCCESS;
}

/* Unlike the single one, this answers zeros for an address that it does not know. */
CUresult cuPointerGetAttributes(unsigned count, CUpointer_attribute *attributes, void **data,
                                CUdeviceptr p)
{
    struct sc_mem m;
    SC_ENTER_AT(ctx, p);

    if (!count || !attributes || !data)
        return CUDA_ERROR_INVALID_VALUE;
    bool known = sc_mem_find(p, &m);
    for (unsigned i = 0; i < count; i++) {
        uint64_t v = 0;
        size_t size = answer_size(attributes[i]);
        if (!size || !data[i])
            return CUDA_ERROR_INVALID_VALUE;
        if (known && !answer(attributes[i], p, &m, &v))
            v = 0;
        if (!known && attributes[i] == CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL)
            v = (uint64_t)(int64_t)CU_DEVICE_INVALID;
        memcpy(data[i], &v, size);
    }
    return CUDA_SUCCESS;
}

CUresult cuPointerSetAttribute(const void *value, CUpointer_attribute attribute, CUdeviceptr p)
{
    struct sc_mem m;
    SC_ENTER_AT(ctx, p);
    SC_UNSAFE();

    if (!value || attribute != CU_POINTER_ATTRIBUTE_SYNC_MEMOPS || !sc_mem_find(p, &m))
        return CUDA_ERROR_INVALID_VALUE;
    return CUDA_SUCCESS; /* synchronous calls always are */
}
