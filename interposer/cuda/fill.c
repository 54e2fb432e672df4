/* Fills. */
#include "cuda/send.h"
#include "interposer/cuda/graph.h"

/* Memory that the fill may have: `m` is where it lies, *dst becomes the device's address. */
static CUresult fill_check(CUdeviceptr *dst, uint64_t pitch, uint32_t element, uint64_t width,
                           uint64_t height, struct cu_mem *m)
{
    uint64_t row, size;

    if (*dst % element || (height > 1 && pitch % element) ||
        __builtin_mul_overflow(width, element, &row) || (height > 1 && pitch < row) ||
        __builtin_mul_overflow(height - 1, pitch, &size) ||
        __builtin_add_overflow(size, row, &size))
        return CUDA_ERROR_INVALID_VALUE;
    if (!cu_mem_find(*dst, m) || m->kind == CU_MEM_REGISTERED || size > m->size - (*dst - m->start))
        return CUDA_ERROR_INVALID_VALUE;
    if (m->kind == CU_MEM_HOST || m->kind == CU_MEM_MANAGED) {
        if (!m->device)
            return CUDA_ERROR_NOT_SUPPORTED;
        *dst = m->device + (*dst - m->start);
    }
    return CUDA_SUCCESS;
}

CUresult cu_fill_check(const CUDA_MEMSET_NODE_PARAMS *p)
{
    CUdeviceptr dst = p->dst;
    struct cu_mem m;

    if ((p->elementSize != 1 && p->elementSize != 2 && p->elementSize != 4) || !p->width ||
        !p->height)
        return CUDA_ERROR_INVALID_VALUE;
    return fill_check(&dst, p->pitch, p->elementSize, p->width, p->height, &m);
}

static CUresult fill_in(struct cu_ctx *ctx, uint32_t stream, bool wait, CUdeviceptr dst,
                        uint64_t pitch, uint32_t element, uint32_t value, uint64_t width,
                        uint64_t height)
{
    struct cu_mem m;

    if (width == 0 || height == 0)
        return CUDA_SUCCESS;
    CUresult r = fill_check(&dst, pitch, element, width, height, &m);
    if (r != CUDA_SUCCESS)
        return r;
    struct xg_cuda_stream *capture = cu_capture_of(stream);
    if (XG_UNLIKELY(capture != NULL && !wait)) {
        const CUDA_MEMSET_NODE_PARAMS p = {dst, pitch, value, element, width, height};
        return xg_cuda_capture_fill(capture, &p);
    }
    CU_CAPTURE_REFUSES(capture);
    r = cu_send_memset(ctx, &(struct xg_cuda_memset){.stream = stream,
                                                     .element = element,
                                                     .dst = dst,
                                                     .pitch = pitch,
                                                     .width = width,
                                                     .height = height,
                                                     .value = value});
    /* The program may read that memory without asking CUDA. */
    return r == CUDA_SUCCESS && wait && (m.kind == CU_MEM_HOST || m.kind == CU_MEM_MANAGED)
               ? cu_stream_wait(ctx, stream)
               : r;
}

static CUresult fill(CUstream s, bool wait, CUdeviceptr dst, uint64_t pitch, uint32_t element,
                     uint32_t value, uint64_t width, uint64_t height)
{
    CU_STREAM(s);
    return fill_in(ctx, stream, wait, dst, pitch, element, value, width, height);
}

CUresult cu_fill(struct cu_ctx *ctx, uint32_t stream, const CUDA_MEMSET_NODE_PARAMS *p)
{
    uint64_t pitch = p->height > 1 ? p->pitch : p->width * p->elementSize;

    return fill_in(ctx, stream, false, p->dst, pitch, p->elementSize, p->value, p->width,
                   p->height);
}

CUresult cuMemsetD8_v2(CUdeviceptr dst, unsigned char v, size_t n)
{
    return fill(NULL, true, dst, n, 1, v, n, 1);
}

CUresult cuMemsetD16_v2(CUdeviceptr dst, unsigned short v, size_t n)
{
    return fill(NULL, true, dst, n, 2, v, n, 1);
}

CUresult cuMemsetD32_v2(CUdeviceptr dst, unsigned int v, size_t n)
{
    return fill(NULL, true, dst, n, 4, v, n, 1);
}

CUresult cuMemsetD8Async(CUdeviceptr dst, unsigned char v, size_t n, CUstream s)
{
    return fill(s, false, dst, n, 1, v, n, 1);
}

CUresult cuMemsetD16Async(CUdeviceptr dst, unsigned short v, size_t n, CUstream s)
{
    return fill(s, false, dst, n, 2, v, n, 1);
}

CUresult cuMemsetD32Async(CUdeviceptr dst, unsigned int v, size_t n, CUstream s)
{
    return fill(s, false, dst, n, 4, v, n, 1);
}

CUresult cuMemsetD2D8_v2(CUdeviceptr dst, size_t pitch, unsigned char v, size_t w, size_t h)
{
    return fill(NULL, true, dst, pitch, 1, v, w, h);
}

CUresult cuMemsetD2D16_v2(CUdeviceptr dst, size_t pitch, unsigned short v, size_t w, size_t h)
{
    return fill(NULL, true, dst, pitch, 2, v, w, h);
}

CUresult cuMemsetD2D32_v2(CUdeviceptr dst, size_t pitch, unsigned int v, size_t w, size_t h)
{
    return fill(NULL, true, dst, pitch, 4, v, w, h);
}

CUresult cuMemsetD2D8Async(CUdeviceptr dst, size_t pitch, unsigned char v, size_t w, size_t h,
                           CUstream s)
{
    return fill(s, false, dst, pitch, 1, v, w, h);
}

CUresult cuMemsetD2D16Async(CUdeviceptr dst, size_t pitch, unsigned short v, size_t w, size_t h,
                            CUstream s)
{
    return fill(s, false, dst, pitch, 2, v, w, h);
}

CUresult cuMemsetD2D32Async(CUdeviceptr dst, size_t pitch, unsigned int v, size_t w, size_t h,
                            CUstream s)
{
    return fill(s, false, dst, pitch, 4, v, w, h);
}
