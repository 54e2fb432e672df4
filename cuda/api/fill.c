/* Fills. */
#include "cuda/api/capture.h"
#include "cuda/api/copy.h"
#include "cuda/api/stream.h"

bool xg_cuda_fill_valid(const CUDA_MEMSET_NODE_PARAMS *p)
{
    uint64_t row, size;

    if (p->dst % p->elementSize || __builtin_mul_overflow(p->width, p->elementSize, &row))
        return false;
    return p->height == 1 || (p->pitch % p->elementSize == 0 && p->pitch >= row &&
                              !__builtin_mul_overflow(p->height - 1, p->pitch, &size) &&
                              !__builtin_add_overflow(size, row, &size));
}

static CUresult rows_fill(struct xg_cuda_stream *s, const CUDA_MEMSET_NODE_PARAMS *p, bool wait)
{
    CUresult r;

    if (!p->width || !p->height)
        return CUDA_SUCCESS;
    if (!xg_cuda_fill_valid(p))
        return CUDA_ERROR_INVALID_VALUE;
    if (xg_cuda_capturing(s)) {
        if (!wait)
            return xg_cuda_capture_fill(s, p);
        r = xg_cuda_device.fill_check(p, NULL);
        if (r == CUDA_SUCCESS)
            r = xg_cuda_capture_refuses(s);
        if (r != CUDA_SUCCESS)
            return r;
    }
    return xg_cuda_device.fill(s, p, wait, NULL);
}

static CUresult fill_rows(CUstream h, CUdeviceptr dst, size_t pitch, unsigned element,
                          unsigned value, size_t width, size_t height, bool wait)
{
    const CUDA_MEMSET_NODE_PARAMS p = {dst, pitch, value, element, width, height};
    struct xg_cuda_stream *s;
    CUresult r = xg_cuda_stream_get(h, &s);

    if (XG_UNLIKELY(r != CUDA_SUCCESS))
        return r;
    r = rows_fill(s, &p, wait);
    xg_cuda_stream_put(s);
    return r;
}

#define FILL_1D(bits, type)                                                                        \
    CUresult cuMemsetD##bits##_v2(CUdeviceptr dst, type v, size_t n)                               \
    {                                                                                              \
        return fill_rows(CU_STREAM_LEGACY, dst, 0, bits / 8, v, n, 1, true);                       \
    }                                                                                              \
    CUresult cuMemsetD##bits##_v2_ptds(CUdeviceptr dst, type v, size_t n)                          \
    {                                                                                              \
        return fill_rows(CU_STREAM_PER_THREAD, dst, 0, bits / 8, v, n, 1, true);                   \
    }                                                                                              \
    CUresult cuMemsetD##bits##Async(CUdeviceptr dst, type v, size_t n, CUstream h)                 \
    {                                                                                              \
        return fill_rows(h, dst, 0, bits / 8, v, n, 1, false);                                     \
    }

#define FILL_2D(bits, type)                                                                        \
    CUresult cuMemsetD2D##bits##_v2(CUdeviceptr dst, size_t pitch, type v, size_t w, size_t n)     \
    {                                                                                              \
        return fill_rows(CU_STREAM_LEGACY, dst, pitch, bits / 8, v, w, n, true);                   \
    }                                                                                              \
    CUresult cuMemsetD2D##bits##_v2_ptds(CUdeviceptr dst, size_t pitch, type v, size_t w,          \
                                         size_t n)                                                 \
    {                                                                                              \
        return fill_rows(CU_STREAM_PER_THREAD, dst, pitch, bits / 8, v, w, n, true);               \
    }                                                                                              \
    CUresult cuMemsetD2D##bits##Async(CUdeviceptr dst, size_t pitch, type v, size_t w, size_t n,   \
                                      CUstream h)                                                  \
    {                                                                                              \
        return fill_rows(h, dst, pitch, bits / 8, v, w, n, false);                                 \
    }

FILL_1D(8, unsigned char)
FILL_1D(16, unsigned short)
FILL_1D(32, unsigned int)
FILL_2D(8, unsigned char)
FILL_2D(16, unsigned short)
FILL_2D(32, unsigned int)
