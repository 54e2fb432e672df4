/* Copies in three dimensions, within and between devices. */
#include "interposer/cudart/runtime.h"

/* One side of a copy: source or destination. */
struct side {
    CUmemorytype type;
    void *ptr;
    CUarray array;
    size_t x_bytes, y, z, pitch, height;
};

static cudaError_t side_make(cudaArray_t array, struct cudaPos pos, struct cudaPitchedPtr ptr,
                             CUmemorytype type, size_t *element, struct side *s)
{
    *s = (struct side){.type = type, .y = pos.y, .z = pos.z, .x_bytes = pos.x};
    if (!array == !ptr.ptr) /* exactly one of the two */
        return cudaErrorInvalidValue;
    if (!array) {
        s->ptr = ptr.ptr;
        s->pitch = ptr.pitch;
        s->height = ptr.ysize;
        return cudaSuccess;
    }
    *element = rt_array_element((CUarray)array);
    if (!*element)
        return cudaErrorInvalidResourceHandle;
    s->type = CU_MEMORYTYPE_ARRAY;
    s->array = (CUarray)array;
    s->x_bytes = pos.x * *element;
    return cudaSuccess;
}

static CUmemorytype host_or_device(enum cudaMemcpyKind kind, bool host)
{
    if (kind == cudaMemcpyDefault)
        return CU_MEMORYTYPE_UNIFIED;
    return host ? CU_MEMORYTYPE_HOST : CU_MEMORYTYPE_DEVICE;
}

cudaError_t rt_copy3d(const struct cudaMemcpy3DParms *p, CUDA_MEMCPY3D *out)
{
    enum cudaMemcpyKind k = p->kind;
    bool src_host = k == cudaMemcpyHostToHost || k == cudaMemcpyHostToDevice;
    bool dst_host = k == cudaMemcpyHostToHost || k == cudaMemcpyDeviceToHost;
    size_t element = 1;
    struct side s, d;

    if ((unsigned int)k > cudaMemcpyDefault)
        return cudaErrorInvalidMemcpyDirection;
    RT_TRY(side_make(p->srcArray, p->srcPos, p->srcPtr, host_or_device(k, src_host), &element, &s));
    RT_TRY(side_make(p->dstArray, p->dstPos, p->dstPtr, host_or_device(k, dst_host), &element, &d));
    *out = (CUDA_MEMCPY3D){
        .srcXInBytes = s.x_bytes,
        .srcY = s.y,
        .srcZ = s.z,
        .srcMemoryType = s.type,
        .srcHost = s.ptr,
        .srcDevice = rt_address(s.ptr),
        .srcArray = s.array,
        .srcPitch = s.pitch,
        .srcHeight = s.height,
        .dstXInBytes = d.x_bytes,
        .dstY = d.y,
        .dstZ = d.z,
        .dstMemoryType = d.type,
        .dstHost = d.ptr,
        .dstDevice = rt_address(d.ptr),
        .dstArray = d.array,
        .dstPitch = d.pitch,
        .dstHeight = d.height,
        .WidthInBytes = p->extent.width * element,
        .Height = p->extent.height,
        .Depth = p->extent.depth,
    };
    return cudaSuccess;
}

cudaError_t rt_copy1d(void *dst, const void *src, size_t size, enum cudaMemcpyKind kind,
                      CUDA_MEMCPY3D *out)
{
    struct cudaMemcpy3DParms p = {
        .srcPtr = {(void *)(uintptr_t)src, size, size, 1},
        .dstPtr = {dst, size, size, 1},
        .extent = {size, 1, 1},
        .kind = kind,
    };
    return rt_copy3d(&p, out);
}

static bool extent_is_empty(struct cudaExtent e)
{
    return !e.width || !e.height || !e.depth;
}

/* Fills `c`; *empty: there is nothing to do. */
static cudaError_t copy_prepare(const struct cudaMemcpy3DParms *p, CUDA_MEMCPY3D *c, bool *empty)
{
    RT_NEED(p);
    RT_ENTER();
    *empty = extent_is_empty(p->extent);
    return rt_recorded(rt_copy3d(p, c));
}

cudaError_t rt_cudaMemcpy3D(const struct cudaMemcpy3DParms *p, cudaStream_t stream)
{
    CUDA_MEMCPY3D c;
    bool empty;

    RT_TRY(copy_prepare(p, &c, &empty));
    if (empty)
        return cudaSuccess;
    if (!stream)
        return rt_result(drv.cuMemcpy3D_v2(&c));
    return rt_wait(drv.cuMemcpy3DAsync_v2(&c, stream), stream);
}

cudaError_t cudaMemcpy3DAsync(const struct cudaMemcpy3DParms *p, cudaStream_t stream)
{
    CUDA_MEMCPY3D c;
    bool empty;

    RT_TRY(copy_prepare(p, &c, &empty));
    return empty ? cudaSuccess : rt_result(drv.cuMemcpy3DAsync_v2(&c, stream));
}

/* --- between devices -------------------------------------------------------------------------- */

static cudaError_t peer_copy_prepare(const struct cudaMemcpy3DPeerParms *p, CUDA_MEMCPY3D_PEER *out)
{
    struct cudaMemcpy3DParms same = {0};
    CUDA_MEMCPY3D c;
    CUcontext src, dst;
    cudaError_t e;
    bool empty;

    RT_NEED(p);
    same = (struct cudaMemcpy3DParms){p->srcArray, p->srcPos, p->srcPtr, p->dstArray,
                                      p->dstPos,   p->dstPtr, p->extent, cudaMemcpyDeviceToDevice};
    RT_TRY(copy_prepare(&same, &c, &empty));
    e = rt_primary(p->srcDevice, &src);
    if (!e)
        e = rt_primary(p->dstDevice, &dst);
    if (e)
        return rt_fail(e);
    *out = (CUDA_MEMCPY3D_PEER){
        .srcXInBytes = c.srcXInBytes,
        .srcY = c.srcY,
        .srcZ = c.srcZ,
        .srcMemoryType = c.srcMemoryType,
        .srcDevice = c.srcDevice,
        .srcArray = c.srcArray,
        .srcContext = src,
        .srcPitch = c.srcPitch,
        .srcHeight = c.srcHeight,
        .dstXInBytes = c.dstXInBytes,
        .dstY = c.dstY,
        .dstZ = c.dstZ,
        .dstMemoryType = c.dstMemoryType,
        .dstDevice = c.dstDevice,
        .dstArray = c.dstArray,
        .dstContext = dst,
        .dstPitch = c.dstPitch,
        .dstHeight = c.dstHeight,
        .WidthInBytes = c.WidthInBytes,
        .Height = c.Height,
        .Depth = c.Depth,
    };
    return cudaSuccess;
}

cudaError_t rt_cudaMemcpy3DPeer(const struct cudaMemcpy3DPeerParms *p, cudaStream_t stream)
{
    CUDA_MEMCPY3D_PEER c;

    RT_TRY(peer_copy_prepare(p, &c));
    if (!stream)
        return rt_result(drv.cuMemcpy3DPeer(&c));
    return rt_wait(drv.cuMemcpy3DPeerAsync(&c, stream), stream);
}

cudaError_t cudaMemcpy3DPeerAsync(const struct cudaMemcpy3DPeerParms *p, cudaStream_t stream)
{
    CUDA_MEMCPY3D_PEER c;

    RT_TRY(peer_copy_prepare(p, &c));
    return rt_result(drv.cuMemcpy3DPeerAsync(&c, stream));
}
