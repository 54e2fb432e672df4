/*
 * Device memory that a context takes without an allocation: the heap and the buffer of printf, by
 * their limits, and the local memory of kernels, which the driver provides for every thread that
 * the device can hold at once, as soon as one kernel needs it, and keeps (softcuda too, for its
 * threads). What a context has from the start is not counted; the heap is there from the first
 * module on whose kernels may use it.
 */
#include "backend/cuda/replay.h"

static bool recharge(struct cu_worker *w, uint64_t *charged, uint64_t bytes)
{
    if (bytes > *charged && !xg_cu_charge(w, bytes - *charged))
        return false;
    if (bytes < *charged)
        xg_cu_uncharge(w, *charged - bytes);
    *charged = bytes;
    return true;
}

static uint64_t beyond(uint64_t value, uint64_t start)
{
    return start != UINT64_MAX && value > start ? value - start : 0;
}

static uint64_t local_bytes(const struct cu_worker *w, uint64_t each)
{
    uint64_t bytes;
    return __builtin_mul_overflow(beyond(each, w->limit[CU_LIMIT_STACK_SIZE]), w->threads, &bytes)
               ? UINT64_MAX
               : bytes;
}

void xg_cu_quota_begin(struct cu_worker *w, struct cu_ctx *c)
{
    c->deepest = w->limit[CU_LIMIT_STACK_SIZE];
}

void xg_cu_quota_end(struct cu_worker *w, struct cu_ctx *c)
{
    recharge(w, &c->heap, 0);
    recharge(w, &c->print, 0);
    recharge(w, &c->local, 0);
}

CUresult xg_cu_quota_local(struct cu_worker *w, struct cu_ctx *c, uint64_t each)
{
    if (!recharge(w, &c->local, local_bytes(w, each)))
        return CUDA_ERROR_OUT_OF_MEMORY;
    c->deepest = each;
    return CUDA_SUCCESS;
}

CUresult xg_cu_quota_heap(struct cu_worker *w, struct cu_ctx *c)
{
    size_t size = 0;

    if (c->heap_laid || w->d.cuCtxGetLimit(&size, CU_LIMIT_MALLOC_HEAP_SIZE) != CUDA_SUCCESS)
        return CUDA_SUCCESS;
    if (!recharge(w, &c->heap, size))
        return CUDA_ERROR_OUT_OF_MEMORY;
    c->heap_laid = true;
    return CUDA_SUCCESS;
}

/* Charged before the driver takes it; what it does not take is given back. */
CUresult xg_cu_quota_limit(struct cu_worker *w, struct cu_ctx *c, CUlimit limit, uint64_t value)
{
    uint64_t *charged = limit == CU_LIMIT_MALLOC_HEAP_SIZE   ? &c->heap
                        : limit == CU_LIMIT_PRINTF_FIFO_SIZE ? &c->print
                                                             : NULL;
    bool all = charged == &c->heap && c->heap_laid;
    uint64_t before = charged ? *charged : 0, bytes = !charged ? 0
                                                      : all    ? value
                                                               : beyond(value, w->limit[limit]);
    CUresult r = CUDA_SUCCESS;

    if (bytes > before && !recharge(w, charged, bytes))
        return CUDA_ERROR_OUT_OF_MEMORY;
    if (limit == CU_LIMIT_STACK_SIZE && value > c->deepest)
        r = xg_cu_quota_local(w, c, value);
    if (r == CUDA_SUCCESS)
        r = w->d.cuCtxSetLimit(limit, value);
    if (charged)
        recharge(w, charged, r == CUDA_SUCCESS ? bytes : before);
    return r;
}
