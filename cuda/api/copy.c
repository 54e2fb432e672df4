/*
 * Copies. Each call becomes a line of bytes, or a box of rows and slices as cuMemcpy3D describes
 * one; what the device is asked for is one of these two.
 */
#include "cuda/api/context.h"
#include "cuda/api/copy.h"

#include <string.h>

#include "cuda/api/capture.h"
#include "cuda/api/stream.h"

/* --- boxes ------------------------------------------------------------------------------------ */

static CUresult side_of(struct xg_cuda_side *s, CUmemorytype type, const void *host,
                        CUdeviceptr device, CUarray array)
{
    switch (type) {
    case CU_MEMORYTYPE_HOST: s->at = (uintptr_t)host; break;
    case CU_MEMORYTYPE_DEVICE:
    case CU_MEMORYTYPE_UNIFIED: s->at = device; break;
    case CU_MEMORYTYPE_ARRAY: s->at = (uintptr_t)array; break;
    default: return CUDA_ERROR_INVALID_VALUE;
    }
    s->type = type;
    return CUDA_SUCCESS;
}

/* *bytes = (slices * s->height + rows) * s->pitch + columns, unless that is more than there can be.
 */
static bool side_bytes(const struct xg_cuda_side *s, uint64_t slices, uint64_t rows,
                       uint64_t columns, uint64_t *bytes)
{
    uint64_t n;

    return !__builtin_mul_overflow(slices, s->height, &n) && !__builtin_add_overflow(n, rows, &n) &&
           !__builtin_mul_overflow(n, s->pitch, &n) && !__builtin_add_overflow(n, columns, bytes);
}

/* Defaults for what a description leaves out, and whether the box fits into its rows and slices. */
static bool side_place(struct xg_cuda_side *s, const struct xg_cuda_box *b)
{
    uint64_t columns, rows, slice, end;

    if (s->type == CU_MEMORYTYPE_ARRAY)
        return true;
    if (s->pitch > XG_CUDA_PITCH_MAX || __builtin_add_overflow(s->x, b->width, &columns) ||
        __builtin_add_overflow(s->y, b->rows, &rows))
        return false;
    if (!s->pitch)
        s->pitch = columns;
    if (!s->height)
        s->height = rows;
    return s->pitch >= columns && (b->slices == 1 || s->height >= rows) &&
           !__builtin_mul_overflow(s->pitch, s->height, &slice) &&
           side_bytes(s, s->z, s->y, s->x, &s->start) &&
           !__builtin_add_overflow(s->at, s->start, &s->start) &&
           side_bytes(s, b->slices - 1, b->rows - 1, b->width, &s->span) &&
           !__builtin_add_overflow(s->start, s->span, &end);
}

CUresult xg_cuda_box_of(const CUDA_MEMCPY3D *m, struct xg_cuda_box *b)
{
    /* Levels of detail are those of arrays, and are not looked at. */
    *b = (struct xg_cuda_box){
        .src = {.pitch = m->srcPitch,
                .height = m->srcHeight,
                .x = m->srcXInBytes,
                .y = m->srcY,
                .z = m->srcZ},
        .dst = {.pitch = m->dstPitch,
                .height = m->dstHeight,
                .x = m->dstXInBytes,
                .y = m->dstY,
                .z = m->dstZ},
        .width = m->WidthInBytes,
        .rows = m->Height,
        .slices = m->Depth,
    };
    CUresult r = side_of(&b->src, m->srcMemoryType, m->srcHost, m->srcDevice, m->srcArray);
    if (r == CUDA_SUCCESS)
        r = side_of(&b->dst, m->dstMemoryType, m->dstHost, m->dstDevice, m->dstArray);
    if (r != CUDA_SUCCESS || xg_cuda_box_empty(b))
        return r;
    return b->src.at && b->dst.at && side_place(&b->src, b) && side_place(&b->dst, b)
               ? CUDA_SUCCESS
               : CUDA_ERROR_INVALID_VALUE;
}

CUmemorytype xg_cuda_side_type(const struct xg_cuda_side *s)
{
    struct xg_cuda_memory m;

    if (s->type != CU_MEMORYTYPE_UNIFIED)
        return s->type;
    return xg_cuda_device.memory_find(s->start, &m) ? xg_cuda_memory_type(&m) : CU_MEMORYTYPE_HOST;
}

/* Of which an asynchronous copy is synchronous too. */
static bool box_of_host(const struct xg_cuda_box *b)
{
    return xg_cuda_side_type(&b->dst) == CU_MEMORYTYPE_HOST &&
           xg_cuda_side_type(&b->src) == CU_MEMORYTYPE_HOST;
}

static CUresult box_copy(struct xg_cuda_stream *s, const CUDA_MEMCPY3D *m, bool wait)
{
    struct xg_cuda_box b;
    CUresult r = xg_cuda_box_of(m, &b);

    if (r != CUDA_SUCCESS || xg_cuda_box_empty(&b))
        return r;
    if (xg_cuda_capturing(s)) {
        if (!wait)
            return xg_cuda_capture_copy(s, m);
        r = xg_cuda_device.copy_check(&b, NULL);
        if (r == CUDA_SUCCESS)
            r = xg_cuda_capture_refuses(s);
        if (r != CUDA_SUCCESS)
            return r;
    }
    return xg_cuda_device.copy(s, &b, wait || box_of_host(&b), NULL);
}

static CUresult copy_3d(CUstream h, const CUDA_MEMCPY3D *m, bool wait)
{
    struct xg_cuda_stream *s;
    CUresult r = xg_cuda_stream_get(h, &s);

    if (r != CUDA_SUCCESS)
        return r;
    r = m ? box_copy(s, m, wait) : CUDA_ERROR_INVALID_VALUE;
    xg_cuda_stream_put(s);
    return r;
}

static CUresult copy_2d(CUstream h, const CUDA_MEMCPY2D *m, bool wait)
{
    if (!m)
        return copy_3d(h, NULL, wait);
    const CUDA_MEMCPY3D three = {
        .srcXInBytes = m->srcXInBytes,
        .srcY = m->srcY,
        .srcMemoryType = m->srcMemoryType,
        .srcHost = m->srcHost,
        .srcDevice = m->srcDevice,
        .srcArray = m->srcArray,
        .srcPitch = m->srcPitch,
        .dstXInBytes = m->dstXInBytes,
        .dstY = m->dstY,
        .dstMemoryType = m->dstMemoryType,
        .dstHost = m->dstHost,
        .dstDevice = m->dstDevice,
        .dstArray = m->dstArray,
        .dstPitch = m->dstPitch,
        .WidthInBytes = m->WidthInBytes,
        .Height = m->Height,
        .Depth = 1,
    };
    return copy_3d(h, &three, wait);
}

_Static_assert(sizeof(CUDA_MEMCPY3D) == sizeof(CUDA_MEMCPY3D_PEER) &&
                   offsetof(CUDA_MEMCPY3D, Depth) == offsetof(CUDA_MEMCPY3D_PEER, Depth),
               "the peer structure only names the reserved fields");

/* One device: the contexts say nothing. */
static CUresult copy_3d_peer(CUstream h, const CUDA_MEMCPY3D_PEER *p, bool wait)
{
    CUDA_MEMCPY3D m;

    if (!p)
        return copy_3d(h, NULL, wait);
    memcpy(&m, p, sizeof(m));
    return copy_3d(h, &m, wait);
}

/* --- lines ------------------------------------------------------------------------------------ */

static const struct {
    CUmemorytype dst, src;
} way_types[] = {
    [XG_CUDA_HTOD] = {CU_MEMORYTYPE_DEVICE, CU_MEMORYTYPE_HOST},
    [XG_CUDA_DTOH] = {CU_MEMORYTYPE_HOST, CU_MEMORYTYPE_DEVICE},
    [XG_CUDA_DTOD] = {CU_MEMORYTYPE_DEVICE, CU_MEMORYTYPE_DEVICE},
    [XG_CUDA_ANY] = {CU_MEMORYTYPE_UNIFIED, CU_MEMORYTYPE_UNIFIED},
};

static CUresult line_copy_captured(struct xg_cuda_stream *s, CUdeviceptr dst, CUdeviceptr src,
                                   size_t size, enum xg_cuda_way way, bool wait)
{
    const CUDA_MEMCPY3D m = {
        .srcMemoryType = way_types[way].src,
        .srcHost = (const void *)(uintptr_t)src,
        .srcDevice = src,
        .dstMemoryType = way_types[way].dst,
        .dstHost = (void *)(uintptr_t)dst,
        .dstDevice = dst,
        .WidthInBytes = size,
        .Height = 1,
        .Depth = 1,
    };
    return box_copy(s, &m, wait);
}

static inline CUresult line_copy(struct xg_cuda_stream *s, CUdeviceptr dst, CUdeviceptr src,
                                 size_t size, enum xg_cuda_way way, bool wait)
{
    if (!size)
        return CUDA_SUCCESS;
    if (!dst || !src)
        return CUDA_ERROR_INVALID_VALUE;
    return xg_cuda_capturing(s) ? line_copy_captured(s, dst, src, size, way, wait)
                                : xg_cuda_device.copy_line(s, dst, src, size, way, wait);
}

static CUresult copy_line(CUstream h, CUdeviceptr dst, CUdeviceptr src, size_t size,
                          enum xg_cuda_way way, bool wait)
{
    struct xg_cuda_stream *s;
    CUresult r = xg_cuda_stream_get(h, &s);

    if (XG_UNLIKELY(r != CUDA_SUCCESS))
        return r;
    r = line_copy(s, dst, src, size, way, wait);
    xg_cuda_stream_put(s);
    return r;
}

static bool ctx_none_or_valid(CUcontext ctx)
{
    return !ctx || xg_cuda_ctx_get(ctx);
}

/* One device: a copy between contexts is a copy, but no node. */
static CUresult copy_line_peer(CUstream h, CUdeviceptr dst, CUcontext dst_ctx, CUdeviceptr src,
                               CUcontext src_ctx, size_t size, bool wait)
{
    struct xg_cuda_stream *s;
    CUresult r = xg_cuda_stream_get(h, &s);

    if (r != CUDA_SUCCESS)
        return r;
    if (!wait)
        r = xg_cuda_capture_refuses(s);
    if (r == CUDA_SUCCESS && (!ctx_none_or_valid(dst_ctx) || !ctx_none_or_valid(src_ctx)))
        r = CUDA_ERROR_INVALID_CONTEXT;
    if (r == CUDA_SUCCESS)
        r = line_copy(s, dst, src, size, XG_CUDA_DTOD, wait);
    xg_cuda_stream_put(s);
    return r;
}

/* --- the API: lines --------------------------------------------------------------------------- */

/* What a synchronous call does in the stream `h`, and the same in the thread's own. */
#define IN_DEFAULT_STREAM(name, params, call)                                                      \
    CUresult name params                                                                           \
    {                                                                                              \
        const CUstream h = CU_STREAM_LEGACY;                                                       \
        return call;                                                                               \
    }                                                                                              \
    CUresult name##_ptds params                                                                    \
    {                                                                                              \
        const CUstream h = CU_STREAM_PER_THREAD;                                                   \
        return call;                                                                               \
    }

IN_DEFAULT_STREAM(cuMemcpy, (CUdeviceptr dst, CUdeviceptr src, size_t size),
                  copy_line(h, dst, src, size, XG_CUDA_ANY, true))
IN_DEFAULT_STREAM(cuMemcpyHtoD_v2, (CUdeviceptr dst, const void *src, size_t size),
                  copy_line(h, dst, (uintptr_t)src, size, XG_CUDA_HTOD, true))
IN_DEFAULT_STREAM(cuMemcpyDtoH_v2, (void *dst, CUdeviceptr src, size_t size),
                  copy_line(h, (uintptr_t)dst, src, size, XG_CUDA_DTOH, true))
IN_DEFAULT_STREAM(cuMemcpyDtoD_v2, (CUdeviceptr dst, CUdeviceptr src, size_t size),
                  copy_line(h, dst, src, size, XG_CUDA_DTOD, true))
IN_DEFAULT_STREAM(cuMemcpyPeer,
                  (CUdeviceptr dst, CUcontext dst_ctx, CUdeviceptr src, CUcontext src_ctx,
                   size_t size),
                  copy_line_peer(h, dst, dst_ctx, src, src_ctx, size, true))

CUresult cuMemcpyAsync(CUdeviceptr dst, CUdeviceptr src, size_t size, CUstream h)
{
    return copy_line(h, dst, src, size, XG_CUDA_ANY, false);
}

CUresult cuMemcpyHtoDAsync_v2(CUdeviceptr dst, const void *src, size_t size, CUstream h)
{
    return copy_line(h, dst, (uintptr_t)src, size, XG_CUDA_HTOD, false);
}

CUresult cuMemcpyDtoHAsync_v2(void *dst, CUdeviceptr src, size_t size, CUstream h)
{
    return copy_line(h, (uintptr_t)dst, src, size, XG_CUDA_DTOH, false);
}

CUresult cuMemcpyDtoDAsync_v2(CUdeviceptr dst, CUdeviceptr src, size_t size, CUstream h)
{
    return copy_line(h, dst, src, size, XG_CUDA_DTOD, false);
}

CUresult cuMemcpyPeerAsync(CUdeviceptr dst, CUcontext dst_ctx, CUdeviceptr src, CUcontext src_ctx,
                           size_t size, CUstream h)
{
    return copy_line_peer(h, dst, dst_ctx, src, src_ctx, size, false);
}

/* The order of a batch's copies is free, so one after the other is right. */
CUresult cuMemcpyBatchAsync(CUdeviceptr *dst, CUdeviceptr *src, size_t *size, size_t count,
                            CUmemcpyAttributes *attr, size_t *index, size_t attrs, size_t *failed,
                            CUstream h)
{
    struct xg_cuda_stream *s;
    CUresult r = xg_cuda_stream_get(h, &s);

    if (failed)
        *failed = SIZE_MAX;
    if (r != CUDA_SUCCESS)
        return r;
    if (!dst || !src || !size || count == 0 || !attr || !index || attrs == 0 || attrs > count)
        r = CUDA_ERROR_INVALID_VALUE;
    for (size_t i = 0; i < count && r == CUDA_SUCCESS; i++) {
        r = line_copy(s, dst[i], src[i], size[i], XG_CUDA_ANY, false);
        if (r != CUDA_SUCCESS && failed)
            *failed = i;
    }
    xg_cuda_stream_put(s);
    return r;
}

CUresult cuMemcpyBatchAsync_v2(CUdeviceptr *dst, CUdeviceptr *src, size_t *size, size_t count,
                               CUmemcpyAttributes *attr, size_t *index, size_t attrs, CUstream h)
{
    return cuMemcpyBatchAsync(dst, src, size, count, attr, index, attrs, NULL, h);
}

/* --- the API: boxes --------------------------------------------------------------------------- */

IN_DEFAULT_STREAM(cuMemcpy2D_v2, (const CUDA_MEMCPY2D *m), copy_2d(h, m, true))
IN_DEFAULT_STREAM(cuMemcpy2DUnaligned_v2, (const CUDA_MEMCPY2D *m), copy_2d(h, m, true))
IN_DEFAULT_STREAM(cuMemcpy3D_v2, (const CUDA_MEMCPY3D *m), copy_3d(h, m, true))
IN_DEFAULT_STREAM(cuMemcpy3DPeer, (const CUDA_MEMCPY3D_PEER *p), copy_3d_peer(h, p, true))

CUresult cuMemcpy2DAsync_v2(const CUDA_MEMCPY2D *m, CUstream h)
{
    return copy_2d(h, m, false);
}

CUresult cuMemcpy3DAsync_v2(const CUDA_MEMCPY3D *m, CUstream h)
{
    return copy_3d(h, m, false);
}

CUresult cuMemcpy3DPeerAsync(const CUDA_MEMCPY3D_PEER *p, CUstream h)
{
    struct xg_cuda_stream *s;
    CUresult r = xg_cuda_stream_get(h, &s);

    if (r != CUDA_SUCCESS)
        return r;
    r = xg_cuda_capture_refuses(s); /* between contexts: no node */
    xg_cuda_stream_put(s);
    return r == CUDA_SUCCESS ? copy_3d_peer(h, p, false) : r;
}

/* --- the API: rows of arrays ------------------------------------------------------------------ */

/* One side of a row; at `at` bytes of an array. */
struct end {
    CUmemorytype type;
    CUarray array;
    size_t at;
    uint64_t address;
};

#define IN_ARRAY(array, at) ((struct end){CU_MEMORYTYPE_ARRAY, array, at, 0})
#define ON_DEVICE(p)        ((struct end){CU_MEMORYTYPE_DEVICE, NULL, 0, p})
#define ON_HOST(p)          ((struct end){CU_MEMORYTYPE_HOST, NULL, 0, (uintptr_t)(p)})

static CUresult copy_row(CUstream h, struct end dst, struct end src, size_t size, bool wait)
{
    const CUDA_MEMCPY3D m = {
        .srcMemoryType = src.type,
        .srcArray = src.array,
        .srcXInBytes = src.at,
        .srcHost = (const void *)(uintptr_t)src.address,
        .srcDevice = src.address,
        .dstMemoryType = dst.type,
        .dstArray = dst.array,
        .dstXInBytes = dst.at,
        .dstHost = (void *)(uintptr_t)dst.address,
        .dstDevice = dst.address,
        .WidthInBytes = size,
        .Height = 1,
        .Depth = 1,
    };
    return copy_3d(h, &m, wait);
}

IN_DEFAULT_STREAM(cuMemcpyDtoA_v2, (CUarray dst, size_t at, CUdeviceptr src, size_t size),
                  copy_row(h, IN_ARRAY(dst, at), ON_DEVICE(src), size, true))
IN_DEFAULT_STREAM(cuMemcpyAtoD_v2, (CUdeviceptr dst, CUarray src, size_t at, size_t size),
                  copy_row(h, ON_DEVICE(dst), IN_ARRAY(src, at), size, true))
IN_DEFAULT_STREAM(cuMemcpyHtoA_v2, (CUarray dst, size_t at, const void *src, size_t size),
                  copy_row(h, IN_ARRAY(dst, at), ON_HOST(src), size, true))
IN_DEFAULT_STREAM(cuMemcpyAtoH_v2, (void *dst, CUarray src, size_t at, size_t size),
                  copy_row(h, ON_HOST(dst), IN_ARRAY(src, at), size, true))
IN_DEFAULT_STREAM(cuMemcpyAtoA_v2,
                  (CUarray dst, size_t dst_at, CUarray src, size_t src_at, size_t size),
                  copy_row(h, IN_ARRAY(dst, dst_at), IN_ARRAY(src, src_at), size, true))

CUresult cuMemcpyHtoAAsync_v2(CUarray dst, size_t at, const void *src, size_t size, CUstream h)
{
    return copy_row(h, IN_ARRAY(dst, at), ON_HOST(src), size, false);
}

CUresult cuMemcpyAtoHAsync_v2(void *dst, CUarray src, size_t at, size_t size, CUstream h)
{
    return copy_row(h, ON_HOST(dst), IN_ARRAY(src, at), size, false);
}
