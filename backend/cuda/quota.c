/*
 * Device memory that a context takes without an allocation: the heap and the buffer of printf, by
 * their limits, and the local memory of kernels, which the driver provides for every thread that
 * the device can hold at once, as soon as one kernel needs it, and keeps (softcuda too, for its
 * threads). What a context has from the start is not counted. The driver makes the heap
 * when the first module is loaded whose kernels may use it.
 */
#include "backend/cuda/replay.h"

static bool charge_set(struct cu_worker *w, uint64_t *charged, uint64_t bytes)
{
    if (bytes > *charged && !xg_cu_device_charge(w, bytes - *charged))
        return false;
    if (bytes < *charged)
        xg_cu_device_uncharge(w, *charged - bytes);
    *charged = bytes;
    return true;
}

static uint64_t bytes_beyond(uint64_t value, uint64_t start)
{
    return start != UINT64_MAX && value > start ? value - start : 0;
}

static uint64_t local_bytes(const struct cu_worker *w, uint64_t each)
{
    uint64_t bytes;
    return __builtin_mul_overflow(bytes_beyond(each, w->limit[CU_LIMIT_STACK_SIZE]), w->threads,
                                  &bytes)
               ? UINT64_MAX
               : bytes;
}

void xg_cu_quota_begin(struct cu_worker *w, struct cu_ctx *c)
{
    c->local_each = w->limit[CU_LIMIT_STACK_SIZE];
}

void xg_cu_quota_end(struct cu_worker *w, struct cu_ctx *c)
{
    charge_set(w, &c->heap, 0);
    charge_set(w, &c->print, 0);
    charge_set(w, &c->local, 0);
}

CUresult xg_cu_quota_local(struct cu_worker *w, struct cu_ctx *c, uint64_t each)
{
    if (!charge_set(w, &c->local, local_bytes(w, each)))
        return CUDA_ERROR_OUT_OF_MEMORY;
    c->local_each = each;
    return CUDA_SUCCESS;
}

CUresult xg_cu_quota_heap(struct cu_worker *w, struct cu_ctx *c)
{
    size_t size = 0;

    if (c->heap_used || w->d.cuCtxGetLimit(&size, CU_LIMIT_MALLOC_HEAP_SIZE) != CUDA_SUCCESS)
        return CUDA_SUCCESS;
    if (!charge_set(w, &c->heap, size))
        return CUDA_ERROR_OUT_OF_MEMORY;
    c->heap_used = true;
    return CUDA_SUCCESS;
}

/* The guest is charged before the driver takes memory, and gets back what the driver did not take.
 */
CUresult xg_cu_quota_limit(struct cu_worker *w, struct cu_ctx *c, CUlimit limit, uint64_t value)
{
    uint64_t *charged = limit == CU_LIMIT_MALLOC_HEAP_SIZE   ? &c->heap
                        : limit == CU_LIMIT_PRINTF_FIFO_SIZE ? &c->print
                                                             : NULL;
    bool all = charged == &c->heap && c->heap_used;
    uint64_t before = charged ? *charged : 0, bytes = !charged ? 0
                                                      : all    ? value
                                                            : bytes_beyond(value, w->limit[limit]);
    CUresult r = CUDA_SUCCESS;

    if (bytes > before && !charge_set(w, charged, bytes))
        return CUDA_ERROR_OUT_OF_MEMORY;
    if (limit == CU_LIMIT_STACK_SIZE && value > c->local_each)
        r = xg_cu_quota_local(w, c, value);
    if (r == CUDA_SUCCESS)
        r = w->d.cuCtxSetLimit(limit, value);
    if (charged)
        charge_set(w, charged, r == CUDA_SUCCESS ? bytes : before);
    return r;
}
