/* What a pointer is: answered from the guest's own table. */
#include "interposer/cuda/cu.h"
#include "cuda/api/pool.h"

static bool is_device(const struct cu_mem *m)
{
    return m->kind == CU_MEM_DEVICE || m->kind == CU_MEM_GLOBAL || m->kind == CU_MEM_MANAGED;
}

static bool is_attribute(CUpointer_attribute a)
{
    return a >= CU_POINTER_ATTRIBUTE_CONTEXT && a <= CU_POINTER_ATTRIBUTE_IS_HW_DECOMPRESS_CAPABLE;
}

static void *handle_of(const struct cu_mem *m)
{
    return m->ctx ? cu_handle(&m->ctx->o) : NULL;
}

/* Writes one attribute of memory that is known. */
static CUresult known(void *out, CUpointer_attribute a, const struct cu_mem *m, uint64_t p)
{
    switch (a) {
    case CU_POINTER_ATTRIBUTE_CONTEXT: *(void **)out = handle_of(m); return CUDA_SUCCESS;
    case CU_POINTER_ATTRIBUTE_MEMORY_TYPE:
        *(unsigned *)out = is_device(m) ? CU_MEMORYTYPE_DEVICE : CU_MEMORYTYPE_HOST;
        return CUDA_SUCCESS;
    case CU_POINTER_ATTRIBUTE_DEVICE_POINTER:
        if (!is_device(m) && !m->device)
            return CUDA_ERROR_INVALID_VALUE;
        *(CUdeviceptr *)out = is_device(m) ? p : m->device + (p - m->start);
        return CUDA_SUCCESS;
    case CU_POINTER_ATTRIBUTE_HOST_POINTER:
        if (is_device(m) && m->kind != CU_MEM_MANAGED)
            return CUDA_ERROR_INVALID_VALUE;
        /* Of a device pointer to registered memory: the program's own address. */
        *(void **)out =
            (void *)(uintptr_t)(m->kind == CU_MEM_HOST && m->twin ? m->twin + (p - m->start) : p);
        return CUDA_SUCCESS;
    case CU_POINTER_ATTRIBUTE_IS_MANAGED:
        *(unsigned char *)out = m->kind == CU_MEM_MANAGED;
        return CUDA_SUCCESS;
    case CU_POINTER_ATTRIBUTE_SYNC_MEMOPS:
    case CU_POINTER_ATTRIBUTE_IS_LEGACY_CUDA_IPC_CAPABLE:
    case CU_POINTER_ATTRIBUTE_IS_GPU_DIRECT_RDMA_CAPABLE:
        *(unsigned char *)out = 0;
        return CUDA_SUCCESS;
    case CU_POINTER_ATTRIBUTE_BUFFER_ID: *(unsigned long long *)out = m->id; return CUDA_SUCCESS;
    case CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL: *(int *)out = 0; return CUDA_SUCCESS;
    case CU_POINTER_ATTRIBUTE_RANGE_START_ADDR: *(CUdeviceptr *)out = m->start; return CUDA_SUCCESS;
    case CU_POINTER_ATTRIBUTE_RANGE_SIZE: *(size_t *)out = m->size; return CUDA_SUCCESS;
    case CU_POINTER_ATTRIBUTE_MAPPED:
        *(unsigned char *)out = is_device(m) || m->device;
        return CUDA_SUCCESS;
    case CU_POINTER_ATTRIBUTE_ALLOWED_HANDLE_TYPES:
        *(unsigned long long *)out = 0;
        return CUDA_SUCCESS;
    case CU_POINTER_ATTRIBUTE_ACCESS_FLAGS:
        *(int *)out = 3; /* readable and writable */
        return CUDA_SUCCESS;
    case CU_POINTER_ATTRIBUTE_MEMPOOL_HANDLE:
        *(void **)out = m->pool ? xg_cuda_pool_handle(m->pool) : NULL;
        return CUDA_SUCCESS;
    default: return CUDA_ERROR_NOT_SUPPORTED;
    }
}

CUresult cuPointerGetAttribute(void *out, CUpointer_attribute a, CUdeviceptr p)
{
    struct cu_mem m;

    CU_READY();
    if (!out || !is_attribute(a))
        return CUDA_ERROR_INVALID_VALUE;
    return cu_mem_find(p, &m) ? known(out, a, &m, p) : CUDA_ERROR_INVALID_VALUE;
}

/* Of memory that nobody knows, attributes are zero and that is no error; -2 is "no device". */
static void unknown(void *out, CUpointer_attribute a)
{
    switch (a) {
    case CU_POINTER_ATTRIBUTE_CONTEXT:
    case CU_POINTER_ATTRIBUTE_DEVICE_POINTER:
    case CU_POINTER_ATTRIBUTE_HOST_POINTER:
    case CU_POINTER_ATTRIBUTE_RANGE_START_ADDR:
    case CU_POINTER_ATTRIBUTE_RANGE_SIZE:
    case CU_POINTER_ATTRIBUTE_BUFFER_ID:
    case CU_POINTER_ATTRIBUTE_ALLOWED_HANDLE_TYPES:
    case CU_POINTER_ATTRIBUTE_MEMPOOL_HANDLE: *(uint64_t *)out = 0; break;
    case CU_POINTER_ATTRIBUTE_MEMORY_TYPE:
    case CU_POINTER_ATTRIBUTE_ACCESS_FLAGS: *(uint32_t *)out = 0; break;
    case CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL: *(int *)out = CU_DEVICE_INVALID; break;
    default: *(unsigned char *)out = 0; break;
    }
}

CUresult cuPointerGetAttributes(unsigned int count, CUpointer_attribute *a, void **out,
                                CUdeviceptr p)
{
    struct cu_mem m;

    CU_READY();
    if (!a || !out || count == 0)
        return CUDA_ERROR_INVALID_VALUE;
    bool found = cu_mem_find(p, &m);
    for (unsigned i = 0; i < count; i++) {
        if (!out[i] || !is_attribute(a[i]))
            return CUDA_ERROR_INVALID_VALUE;
        if (!found || known(out[i], a[i], &m, p) != CUDA_SUCCESS)
            unknown(out[i], a[i]);
    }
    return CUDA_SUCCESS;
}

CUresult cuPointerSetAttribute(const void *value, CUpointer_attribute a, CUdeviceptr p)
{
    struct cu_mem m;

    CU_READY();
    CU_UNSAFE();
    if (!value || a != CU_POINTER_ATTRIBUTE_SYNC_MEMOPS || !cu_mem_find(p, &m) || !is_device(&m))
        return CUDA_ERROR_INVALID_VALUE;
    return *(const unsigned *)value ? CUDA_ERROR_NOT_SUPPORTED : CUDA_SUCCESS;
}
