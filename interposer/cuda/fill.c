/* Fills. */
#include "cuda/send.h"
#include "interposer/cuda/copy.h"

/* Memory that a fill may have: `m` is where it lies, *dst becomes the device's address. */
static CUresult target_find(const CUDA_MEMSET_NODE_PARAMS *p, CUdeviceptr *dst, struct cu_mem *m)
{
    *dst = p->dst;
    if (!cu_mem_find(p->dst, m) || m->kind == CU_MEM_REGISTERED ||
        xg_cuda_fill_span(p) > m->size - (p->dst - m->start))
        return CUDA_ERROR_INVALID_VALUE;
    if (m->kind == CU_MEM_HOST || m->kind == CU_MEM_MANAGED) {
        if (!m->device)
            return CUDA_ERROR_NOT_SUPPORTED;
        *dst = m->device + (p->dst - m->start);
    }
    return CUDA_SUCCESS;
}

CUresult cu_fill_check(const CUDA_MEMSET_NODE_PARAMS *p, void **own)
{
    CUdeviceptr dst;
    struct cu_mem m;

    return target_find(p, &dst, &m);
}

CUresult cu_fill(struct xg_cuda_stream *s, const CUDA_MEMSET_NODE_PARAMS *p, bool wait, void *own)
{
    struct cu_ctx *ctx = cu_stream_ctx(s);
    uint32_t stream = cu_stream_wire(s);
    CUdeviceptr dst;
    struct cu_mem m;
    CUresult r = target_find(p, &dst, &m);

    if (r != CUDA_SUCCESS)
        return r;
    r = cu_send_memset(ctx, &(struct xg_cuda_memset){.stream = stream,
                                                     .element = p->elementSize,
                                                     .dst = dst,
                                                     .pitch = p->pitch,
                                                     .width = p->width,
                                                     .height = p->height,
                                                     .value = p->value});
    /* The program may read that memory without asking CUDA. */
    return r == CUDA_SUCCESS && wait && (m.kind == CU_MEM_HOST || m.kind == CU_MEM_MANAGED)
               ? cu_stream_wait(ctx, stream)
               : r;
}
