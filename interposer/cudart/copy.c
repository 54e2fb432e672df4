/*
 * Copies. A synchronous copy of a program with per-thread default streams is made as an
 * asynchronous one in that stream, with a wait after it. All other synchronous copies are the
 * driver's.
 */
#include "interposer/cudart/runtime.h"

#include <string.h>

static bool kind_is_valid(enum cudaMemcpyKind kind)
{
    return (unsigned int)kind <= cudaMemcpyDefault;
}

/* The driver's memory type of the source, or the destination, of a copy of that kind. */
static CUmemorytype kind_src(enum cudaMemcpyKind kind)
{
    if (kind == cudaMemcpyDefault)
        return CU_MEMORYTYPE_UNIFIED;
    return kind == cudaMemcpyHostToHost || kind == cudaMemcpyHostToDevice ? CU_MEMORYTYPE_HOST
                                                                          : CU_MEMORYTYPE_DEVICE;
}

static CUmemorytype kind_dst(enum cudaMemcpyKind kind)
{
    if (kind == cudaMemcpyDefault)
        return CU_MEMORYTYPE_UNIFIED;
    return kind == cudaMemcpyHostToHost || kind == cudaMemcpyDeviceToHost ? CU_MEMORYTYPE_HOST
                                                                          : CU_MEMORYTYPE_DEVICE;
}

/* --- linear ----------------------------------------------------------------------------------- */

static CUresult linear_async(void *dst, const void *src, size_t size, enum cudaMemcpyKind kind,
                             cudaStream_t stream)
{
    switch (kind) {
    case cudaMemcpyHostToDevice:
        return drv.cuMemcpyHtoDAsync_v2(rt_address(dst), src, size, stream);
    case cudaMemcpyDeviceToHost:
        return drv.cuMemcpyDtoHAsync_v2(dst, rt_address(src), size, stream);
    case cudaMemcpyDeviceToDevice:
        return drv.cuMemcpyDtoDAsync_v2(rt_address(dst), rt_address(src), size, stream);
    default: return drv.cuMemcpyAsync(rt_address(dst), rt_address(src), size, stream);
    }
}

static CUresult linear_sync(void *dst, const void *src, size_t size, enum cudaMemcpyKind kind)
{
    switch (kind) {
    case cudaMemcpyHostToDevice: return drv.cuMemcpyHtoD_v2(rt_address(dst), src, size);
    case cudaMemcpyDeviceToHost: return drv.cuMemcpyDtoH_v2(dst, rt_address(src), size);
    case cudaMemcpyDeviceToDevice:
        return drv.cuMemcpyDtoD_v2(rt_address(dst), rt_address(src), size);
    default: return drv.cuMemcpy(rt_address(dst), rt_address(src), size);
    }
}

static cudaError_t linear_check(const void *dst, const void *src, size_t size,
                                enum cudaMemcpyKind kind)
{
    if (!kind_is_valid(kind))
        return rt_fail(cudaErrorInvalidMemcpyDirection);
    if (size && (!dst || !src))
        return rt_fail(cudaErrorInvalidValue);
    return cudaSuccess;
}

cudaError_t rt_cudaMemcpy(void *dst, const void *src, size_t size, enum cudaMemcpyKind kind,
                          cudaStream_t stream)
{
    RT_ENTER();
    RT_TRY(linear_check(dst, src, size, kind));
    if (!size)
        return cudaSuccess;
    if (stream)
        return rt_wait(linear_async(dst, src, size, kind, stream), stream);
    return rt_result(linear_sync(dst, src, size, kind));
}

cudaError_t cudaMemcpyAsync(void *dst, const void *src, size_t size, enum cudaMemcpyKind kind,
                            cudaStream_t stream)
{
    RT_ENTER();
    RT_TRY(linear_check(dst, src, size, kind));
    return size ? rt_result(linear_async(dst, src, size, kind, stream)) : cudaSuccess;
}

/* --- between devices -------------------------------------------------------------------------- */

static cudaError_t peers_find(int dst_device, int src_device, CUcontext *dst, CUcontext *src)
{
    cudaError_t e = rt_primary(dst_device, dst);

    if (!e)
        e = rt_primary(src_device, src);
    return rt_recorded(e);
}

cudaError_t cudaMemcpyPeer(void *dst, int dst_device, const void *src, int src_device, size_t size)
{
    CUcontext to, from;

    RT_ENTER();
    RT_TRY(peers_find(dst_device, src_device, &to, &from));
    return rt_result(drv.cuMemcpyPeer(rt_address(dst), to, rt_address(src), from, size));
}

cudaError_t cudaMemcpyPeerAsync(void *dst, int dst_device, const void *src, int src_device,
                                size_t size, cudaStream_t stream)
{
    CUcontext to, from;

    RT_ENTER();
    RT_TRY(peers_find(dst_device, src_device, &to, &from));
    return rt_result(
        drv.cuMemcpyPeerAsync(rt_address(dst), to, rt_address(src), from, size, stream));
}

cudaError_t cudaDeviceEnablePeerAccess(int peer, unsigned int flags)
{
    CUcontext ctx;
    cudaError_t e;

    RT_ENTER();
    e = rt_primary(peer, &ctx);
    return e ? rt_fail(e) : rt_result(drv.cuCtxEnablePeerAccess(ctx, flags));
}

cudaError_t cudaDeviceDisablePeerAccess(int peer)
{
    CUcontext ctx;
    cudaError_t e;

    RT_ENTER();
    e = rt_primary(peer, &ctx);
    return e ? rt_fail(e) : rt_result(drv.cuCtxDisablePeerAccess(ctx));
}

/* --- symbols ---------------------------------------------------------------------------------- */

/* A variable is in device memory: a copy of another kind is refused. `outside`: the kind that is
 * right if the other end is in host memory. */
static cudaError_t symbol_kind(enum cudaMemcpyKind kind, enum cudaMemcpyKind outside)
{
    if (kind == outside || kind == cudaMemcpyDeviceToDevice || kind == cudaMemcpyDefault)
        return cudaSuccess;
    return rt_fail(cudaErrorInvalidMemcpyDirection);
}

cudaError_t rt_cudaMemcpyToSymbol(const void *symbol, const void *src, size_t size, size_t offset,
                                  enum cudaMemcpyKind kind, cudaStream_t stream)
{
    void *at;

    RT_ENTER();
    RT_TRY(symbol_kind(kind, cudaMemcpyHostToDevice));
    RT_TRY(rt_variable_part(symbol, size, offset, &at));
    return rt_cudaMemcpy(at, src, size, kind, stream);
}

cudaError_t cudaMemcpyToSymbolAsync(const void *symbol, const void *src, size_t size, size_t offset,
                                    enum cudaMemcpyKind kind, cudaStream_t stream)
{
    void *at;

    RT_ENTER();
    RT_TRY(symbol_kind(kind, cudaMemcpyHostToDevice));
    RT_TRY(rt_variable_part(symbol, size, offset, &at));
    return cudaMemcpyAsync(at, src, size, kind, stream);
}

cudaError_t rt_cudaMemcpyFromSymbol(void *dst, const void *symbol, size_t size, size_t offset,
                                    enum cudaMemcpyKind kind, cudaStream_t stream)
{
    void *at;

    RT_ENTER();
    RT_TRY(symbol_kind(kind, cudaMemcpyDeviceToHost));
    RT_TRY(rt_variable_part(symbol, size, offset, &at));
    return rt_cudaMemcpy(dst, at, size, kind, stream);
}

cudaError_t cudaMemcpyFromSymbolAsync(void *dst, const void *symbol, size_t size, size_t offset,
                                      enum cudaMemcpyKind kind, cudaStream_t stream)
{
    void *at;

    RT_ENTER();
    RT_TRY(symbol_kind(kind, cudaMemcpyDeviceToHost));
    RT_TRY(rt_variable_part(symbol, size, offset, &at));
    return cudaMemcpyAsync(dst, at, size, kind, stream);
}

/* --- two dimensions --------------------------------------------------------------------------- */

static void side_src(CUDA_MEMCPY2D *c, enum cudaMemcpyKind kind, const void *src, size_t pitch)
{
    c->srcMemoryType = kind_src(kind);
    c->srcHost = src;
    c->srcDevice = rt_address(src);
    c->srcPitch = pitch;
}

static void side_dst(CUDA_MEMCPY2D *c, enum cudaMemcpyKind kind, void *dst, size_t pitch)
{
    c->dstMemoryType = kind_dst(kind);
    c->dstHost = dst;
    c->dstDevice = rt_address(dst);
    c->dstPitch = pitch;
}

/* `stream`: NULL for the legacy stream. `sync`: wait for the end of the copy. */
static cudaError_t copy_2d(const CUDA_MEMCPY2D *c, enum cudaMemcpyKind kind, cudaStream_t stream,
                           bool sync)
{
    RT_ENTER();
    if (!kind_is_valid(kind))
        return rt_fail(cudaErrorInvalidMemcpyDirection);
    if ((c->srcMemoryType != CU_MEMORYTYPE_ARRAY && c->srcPitch < c->WidthInBytes) ||
        (c->dstMemoryType != CU_MEMORYTYPE_ARRAY && c->dstPitch < c->WidthInBytes))
        return rt_fail(cudaErrorInvalidPitchValue);
    if (!c->WidthInBytes || !c->Height)
        return cudaSuccess;
    if (sync && !stream)
        return rt_result(drv.cuMemcpy2DUnaligned_v2(c));
    if (sync)
        return rt_wait(drv.cuMemcpy2DAsync_v2(c, stream), stream);
    return rt_result(drv.cuMemcpy2DAsync_v2(c, stream));
}

static CUDA_MEMCPY2D linear_2d(void *dst, size_t dst_pitch, const void *src, size_t src_pitch,
                               size_t width, size_t height, enum cudaMemcpyKind kind)
{
    CUDA_MEMCPY2D c = {.WidthInBytes = width, .Height = height};

    side_src(&c, kind, src, src_pitch);
    side_dst(&c, kind, dst, dst_pitch);
    return c;
}

cudaError_t rt_cudaMemcpy2D(void *dst, size_t dst_pitch, const void *src, size_t src_pitch,
                            size_t width, size_t height, enum cudaMemcpyKind kind,
                            cudaStream_t stream)
{
    CUDA_MEMCPY2D c = linear_2d(dst, dst_pitch, src, src_pitch, width, height, kind);
    return copy_2d(&c, kind, stream, true);
}

cudaError_t cudaMemcpy2DAsync(void *dst, size_t dst_pitch, const void *src, size_t src_pitch,
                              size_t width, size_t height, enum cudaMemcpyKind kind,
                              cudaStream_t stream)
{
    CUDA_MEMCPY2D c = linear_2d(dst, dst_pitch, src, src_pitch, width, height, kind);
    return copy_2d(&c, kind, stream, false);
}

static CUDA_MEMCPY2D to_array(cudaArray_t dst, size_t x, size_t y, const void *src, size_t pitch,
                              size_t width, size_t height, enum cudaMemcpyKind kind)
{
    CUDA_MEMCPY2D c = {.WidthInBytes = width, .Height = height};

    side_src(&c, kind, src, pitch);
    c.dstMemoryType = CU_MEMORYTYPE_ARRAY;
    c.dstArray = (CUarray)dst;
    c.dstXInBytes = x;
    c.dstY = y;
    return c;
}

static CUDA_MEMCPY2D from_array(void *dst, size_t pitch, cudaArray_const_t src, size_t x, size_t y,
                                size_t width, size_t height, enum cudaMemcpyKind kind)
{
    CUDA_MEMCPY2D c = {.WidthInBytes = width, .Height = height};

    side_dst(&c, kind, dst, pitch);
    c.srcMemoryType = CU_MEMORYTYPE_ARRAY;
    c.srcArray = (CUarray)(uintptr_t)src;
    c.srcXInBytes = x;
    c.srcY = y;
    return c;
}

cudaError_t rt_cudaMemcpy2DToArray(cudaArray_t dst, size_t x, size_t y, const void *src,
                                   size_t src_pitch, size_t width, size_t height,
                                   enum cudaMemcpyKind kind, cudaStream_t stream)
{
    CUDA_MEMCPY2D c = to_array(dst, x, y, src, src_pitch, width, height, kind);
    return copy_2d(&c, kind, stream, true);
}

cudaError_t cudaMemcpy2DToArrayAsync(cudaArray_t dst, size_t x, size_t y, const void *src,
                                     size_t src_pitch, size_t width, size_t height,
                                     enum cudaMemcpyKind kind, cudaStream_t stream)
{
    CUDA_MEMCPY2D c = to_array(dst, x, y, src, src_pitch, width, height, kind);
    return copy_2d(&c, kind, stream, false);
}

cudaError_t rt_cudaMemcpy2DFromArray(void *dst, size_t dst_pitch, cudaArray_const_t src, size_t x,
                                     size_t y, size_t width, size_t height,
                                     enum cudaMemcpyKind kind, cudaStream_t stream)
{
    CUDA_MEMCPY2D c = from_array(dst, dst_pitch, src, x, y, width, height, kind);
    return copy_2d(&c, kind, stream, true);
}

cudaError_t cudaMemcpy2DFromArrayAsync(void *dst, size_t dst_pitch, cudaArray_const_t src, size_t x,
                                       size_t y, size_t width, size_t height,
                                       enum cudaMemcpyKind kind, cudaStream_t stream)
{
    CUDA_MEMCPY2D c = from_array(dst, dst_pitch, src, x, y, width, height, kind);
    return copy_2d(&c, kind, stream, false);
}

cudaError_t rt_cudaMemcpy2DArrayToArray(cudaArray_t dst, size_t dst_x, size_t dst_y,
                                        cudaArray_const_t src, size_t src_x, size_t src_y,
                                        size_t width, size_t height, enum cudaMemcpyKind kind,
                                        cudaStream_t stream)
{
    CUDA_MEMCPY2D c = to_array(dst, dst_x, dst_y, NULL, 0, width, height, kind);

    c.srcMemoryType = CU_MEMORYTYPE_ARRAY;
    c.srcArray = (CUarray)(uintptr_t)src;
    c.srcXInBytes = src_x;
    c.srcY = src_y;
    return copy_2d(&c, kind, stream, true);
}

/* --- bytes into and out of an array, from the end of a row on to the next --------------------- */

struct rows {
    size_t width, y; /* bytes of a row; the row to begin in */
};

static cudaError_t array_rows(CUarray array, size_t y, struct rows *out)
{
    CUDA_ARRAY3D_DESCRIPTOR d;

    RT_TRY(rt_result(drv.cuArray3DGetDescriptor_v2(&d, array)));
    *out = (struct rows){.width = d.Width * rt_array_element(array), .y = y};
    return out->width ? cudaSuccess : rt_fail(cudaErrorInvalidValue);
}

static cudaError_t bytes_to_array(cudaArray_t dst, size_t x, size_t y, const char *src, size_t size,
                                  enum cudaMemcpyKind kind, cudaStream_t stream, bool sync)
{
    struct rows r;

    RT_ENTER();
    RT_TRY(array_rows((CUarray)dst, y, &r));
    while (size) {
        size_t n = xg_min_u64(size, x < r.width ? r.width - x : 0);
        CUDA_MEMCPY2D c = to_array(dst, x, r.y++, src, n, n, 1, kind);

        if (!n)
            return rt_fail(cudaErrorInvalidValue);
        RT_TRY(copy_2d(&c, kind, stream, sync));
        src += n;
        size -= n;
        x = 0;
    }
    return cudaSuccess;
}

static cudaError_t bytes_from_array(char *dst, cudaArray_const_t src, size_t x, size_t y,
                                    size_t size, enum cudaMemcpyKind kind, cudaStream_t stream,
                                    bool sync)
{
    struct rows r;

    RT_ENTER();
    RT_TRY(array_rows((CUarray)(uintptr_t)src, y, &r));
    while (size) {
        size_t n = xg_min_u64(size, x < r.width ? r.width - x : 0);
        CUDA_MEMCPY2D c = from_array(dst, n, src, x, r.y++, n, 1, kind);

        if (!n)
            return rt_fail(cudaErrorInvalidValue);
        RT_TRY(copy_2d(&c, kind, stream, sync));
        dst += n;
        size -= n;
        x = 0;
    }
    return cudaSuccess;
}

cudaError_t rt_cudaMemcpyToArray(cudaArray_t dst, size_t x, size_t y, const void *src, size_t size,
                                 enum cudaMemcpyKind kind, cudaStream_t stream)
{
    return bytes_to_array(dst, x, y, src, size, kind, stream, true);
}

cudaError_t cudaMemcpyToArrayAsync(cudaArray_t dst, size_t x, size_t y, const void *src,
                                   size_t size, enum cudaMemcpyKind kind, cudaStream_t stream)
{
    return bytes_to_array(dst, x, y, src, size, kind, stream, false);
}

cudaError_t rt_cudaMemcpyFromArray(void *dst, cudaArray_const_t src, size_t x, size_t y,
                                   size_t size, enum cudaMemcpyKind kind, cudaStream_t stream)
{
    return bytes_from_array(dst, src, x, y, size, kind, stream, true);
}

cudaError_t cudaMemcpyFromArrayAsync(void *dst, cudaArray_const_t src, size_t x, size_t y,
                                     size_t size, enum cudaMemcpyKind kind, cudaStream_t stream)
{
    return bytes_from_array(dst, src, x, y, size, kind, stream, false);
}
