/* cuMemset*: see copy.c for when work is queued and when it is done at once. */
#include "softcuda/driver/sc.h"

enum { INLINE_MAX = 8 * 1024 };

/* *span: bytes from the first to the last that are written. */
static CUresult set_check(const struct sc_set *s, uint64_t *span)
{
    unsigned __int128 n =
        (unsigned __int128)(s->height - 1) * s->pitch + (unsigned __int128)s->width * s->element;

    *span = (uint64_t)n;
    if ((s->dst | (s->height > 1 ? s->pitch : 0)) % s->element || n > (uint64_t)1 << 48 ||
        (s->height > 1 && s->pitch < s->width * s->element) ||
        !sc_mem_covered(s->dst, *span, NULL, NULL))
        return CUDA_ERROR_INVALID_VALUE;
    return CUDA_SUCCESS;
}

CUresult sc_set_build(const CUDA_MEMSET_NODE_PARAMS *p, struct sc_set *set)
{
    uint64_t span;

    if (p->elementSize != 1 && p->elementSize != 2 && p->elementSize != 4)
        return CUDA_ERROR_INVALID_VALUE;
    *set = (struct sc_set){p->dst, p->pitch, p->width, p->height, p->value, p->elementSize};
    return set->width && set->height ? set_check(set, &span) : CUDA_ERROR_INVALID_VALUE;
}

static CUresult fill(CUstream stream, struct sc_set set, bool async)
{
    struct sc_op op = {.type = SC_OP_SET, .bytes = SC_OP_BYTES(set)};
    uint64_t span;
    CUresult r;
    SC_ENTER_OF(ctx, SC_STREAM, stream);

    if (!set.width || !set.height)
        return CUDA_SUCCESS;
    if ((r = set_check(&set, &span)))
        return r;
    struct sc_stream *s = sc_stream_get(ctx, stream, &r);
    if (!s)
        return r;
    op.set = set;
    if (!async) {
        if (!(r = sc_capture_refuses(s))) {
            sc_stream_join(s);
            sc_stream_sync(s);
            r = (CUresult)atomic_load(&ctx->sticky);
        }
        if (!r)
            sc_set_run(&set);
    } else if (!xg_cuda_capturing(&s->api) && span <= INLINE_MAX && sc_stream_idle(s)) {
        sc_set_run(&set);
    } else {
        r = sc_submit(s, &op, NULL);
    }
    sc_stream_put(s);
    return r;
}

#define FILL_1D(bits, type)                                                                        \
    CUresult cuMemsetD##bits##_v2(CUdeviceptr dst, type v, size_t n)                               \
    {                                                                                              \
        return fill(CU_STREAM_LEGACY, (struct sc_set){dst, 0, n, 1, v, bits / 8}, false);          \
    }                                                                                              \
    CUresult cuMemsetD##bits##_v2_ptds(CUdeviceptr dst, type v, size_t n)                          \
    {                                                                                              \
        return fill(CU_STREAM_PER_THREAD, (struct sc_set){dst, 0, n, 1, v, bits / 8}, false);      \
    }                                                                                              \
    CUresult cuMemsetD##bits##Async(CUdeviceptr dst, type v, size_t n, CUstream stream)            \
    {                                                                                              \
        return fill(stream, (struct sc_set){dst, 0, n, 1, v, bits / 8}, true);                     \
    }

#define FILL_2D(bits, type)                                                                        \
    CUresult cuMemsetD2D##bits##_v2(CUdeviceptr dst, size_t pitch, type v, size_t w, size_t h)     \
    {                                                                                              \
        return fill(CU_STREAM_LEGACY, (struct sc_set){dst, pitch, w, h, v, bits / 8}, false);      \
    }                                                                                              \
    CUresult cuMemsetD2D##bits##_v2_ptds(CUdeviceptr dst, size_t pitch, type v, size_t w,          \
                                         size_t h)                                                 \
    {                                                                                              \
        return fill(CU_STREAM_PER_THREAD, (struct sc_set){dst, pitch, w, h, v, bits / 8}, false);  \
    }                                                                                              \
    CUresult cuMemsetD2D##bits##Async(CUdeviceptr dst, size_t pitch, type v, size_t w, size_t h,   \
                                      CUstream stream)                                             \
    {                                                                                              \
        return fill(stream, (struct sc_set){dst, pitch, w, h, v, bits / 8}, true);                 \
    }

FILL_1D(8, unsigned char)
FILL_1D(16, unsigned short)
FILL_1D(32, unsigned int)
FILL_2D(8, unsigned char)
FILL_2D(16, unsigned short)
FILL_2D(32, unsigned int)
