/*
 * Copies and fills.
 *
 * A synchronous call waits for the stream it belongs to and does the work on the caller's thread.
 * An asynchronous one is queued, except where nothing is gained by it: a small one in an idle
 * stream. Pageable memory must not be read after the call returns: small sources are copied aside,
 * everything else pageable is done at once.
 */
#include <stdlib.h>
#include <string.h>

#include "softcuda/driver/sc.h"

enum { STAGE_MAX = 64 * 1024, INLINE_MAX = 8 * 1024 };

enum side { SIDE_HOST, SIDE_DEVICE, SIDE_ANY };

/* Bytes from the first to the last that a side of the box touches; false: too many. */
static bool box_span(const struct sc_copy *c, uint64_t pitch, uint64_t slice, uint64_t *span)
{
    unsigned __int128 n = (unsigned __int128)(c->depth - 1) * slice +
                          (unsigned __int128)(c->height - 1) * pitch + c->width;

    *span = (uint64_t)n;
    return n <= (uint64_t)1 << 48;
}

static CUresult side_check(uint64_t address, uint64_t span, enum side side, bool *known)
{
    struct sc_mem m;

    *known = sc_mem_covered(address, span, NULL, NULL);
    if (*known)
        return CUDA_SUCCESS;
    /* A range that begins in known memory and leaves it is a mistake on either side; so is device
     * memory that nobody has. */
    if (side == SIDE_DEVICE || !address || sc_space_has(address) || sc_mem_find(address, &m))
        return CUDA_ERROR_INVALID_VALUE;
    return CUDA_SUCCESS;
}

static CUresult box_check(const struct sc_copy *c, enum side dst, enum side src, bool *pageable_dst,
                          bool *pageable_src)
{
    uint64_t dst_span, src_span;
    bool known_dst, known_src;

    if (!box_span(c, c->dst_pitch, c->dst_slice, &dst_span) ||
        !box_span(c, c->src_pitch, c->src_slice, &src_span))
        return CUDA_ERROR_INVALID_VALUE;
    CUresult r = side_check(c->dst, dst_span, dst, &known_dst);
    if (!r)
        r = side_check(c->src, src_span, src, &known_src);
    if (!r) {
        *pageable_dst = !known_dst;
        *pageable_src = !known_src;
    }
    return r;
}

static bool box_empty(const struct sc_copy *c)
{
    return !c->width || !c->height || !c->depth;
}

static CUresult copy_now(CUstream stream, const struct sc_copy *c, enum side dst, enum side src)
{
    bool pd, ps;
    CUresult r;
    SC_ENTER(ctx);

    if (box_empty(c))
        return CUDA_SUCCESS;
    if ((r = box_check(c, dst, src, &pd, &ps)))
        return r;
    struct sc_stream *s = sc_stream_get(ctx, stream, &r);
    if (!s)
        return r;
    if (!(r = sc_capture_refuses(s))) {
        sc_stream_join(s);
        sc_stream_sync(s);
        r = (CUresult)atomic_load(&ctx->sticky);
        sc_print_flush(ctx);
    }
    if (!r)
        sc_copy_run(c);
    sc_stream_put(s);
    return r;
}

/* Takes a small pageable source aside. */
static bool stage(struct sc_op *op)
{
    struct sc_copy *c = &op->copy.box;

    if (c->height != 1 || c->depth != 1 || c->width > STAGE_MAX)
        return false;
    op->copy.staging = malloc(c->width);
    if (!op->copy.staging)
        return false;
    memcpy(op->copy.staging, (const void *)c->src, c->width);
    c->src = (uintptr_t)op->copy.staging;
    return true;
}

static CUresult copy_async(CUstream stream, const struct sc_copy *c, enum side dst, enum side src)
{
    struct sc_op op = {.type = SC_OP_COPY, .bytes = SC_OP_BYTES(copy)};
    bool pageable_dst, pageable_src;
    CUresult r;
    SC_ENTER_OF(ctx, SC_STREAM, stream);

    if (box_empty(c))
        return CUDA_SUCCESS;
    if ((r = box_check(c, dst, src, &pageable_dst, &pageable_src)))
        return r;
    struct sc_stream *s = sc_stream_get(ctx, stream, &r);
    if (!s)
        return r;
    op.copy.box = *c;
    if (xg_cuda_capturing(
            &s->api)) { /* a node reads and writes when it runs, pageable memory too */
        r = sc_submit(s, &op, NULL);
    } else if ((c->width <= INLINE_MAX && c->height == 1 && c->depth == 1 && sc_stream_idle(s))) {
        sc_copy_run(c);
    } else if (pageable_dst || (pageable_src && !stage(&op))) {
        sc_stream_join(s);
        sc_stream_sync(s);
        r = (CUresult)atomic_load(&ctx->sticky);
        if (!r)
            sc_copy_run(c);
    } else {
        r = sc_submit(s, &op, NULL);
    }
    sc_stream_put(s);
    return r;
}

/* A copy between contexts cannot become a node. */
static CUresult peer_async(CUstream stream)
{
    CUresult r;
    SC_ENTER_OF(ctx, SC_STREAM, stream);
    struct sc_stream *s = sc_stream_get(ctx, stream, &r);

    if (s) {
        r = sc_capture_refuses(s);
        sc_stream_put(s);
    }
    return r;
}

static struct sc_copy line(uint64_t dst, uint64_t src, size_t size)
{
    return (struct sc_copy){.dst = dst, .src = src, .width = size, .height = 1, .depth = 1};
}

/* Each copy comes in the flavours of its default stream. */
#define SYNC_COPY(name, params, dst, src, dst_side, src_side)                                      \
    CUresult name params                                                                           \
    {                                                                                              \
        struct sc_copy c = line((uintptr_t)(dst), (uintptr_t)(src), size);                         \
        return copy_now(CU_STREAM_LEGACY, &c, dst_side, src_side);                                 \
    }                                                                                              \
    CUresult name##_ptds params                                                                    \
    {                                                                                              \
        struct sc_copy c = line((uintptr_t)(dst), (uintptr_t)(src), size);                         \
        return copy_now(CU_STREAM_PER_THREAD, &c, dst_side, src_side);                             \
    }

SYNC_COPY(cuMemcpy, (CUdeviceptr d, CUdeviceptr s, size_t size), d, s, SIDE_ANY, SIDE_ANY)
SYNC_COPY(cuMemcpyHtoD_v2, (CUdeviceptr d, const void *s, size_t size), d, s, SIDE_DEVICE, SIDE_ANY)
SYNC_COPY(cuMemcpyDtoH_v2, (void *d, CUdeviceptr s, size_t size), d, s, SIDE_ANY, SIDE_DEVICE)
SYNC_COPY(cuMemcpyDtoD_v2, (CUdeviceptr d, CUdeviceptr s, size_t size), d, s, SIDE_DEVICE,
          SIDE_DEVICE)
SYNC_COPY(cuMemcpyPeer, (CUdeviceptr d, CUcontext dc, CUdeviceptr s, CUcontext sc, size_t size), d,
          s, SIDE_DEVICE, SIDE_DEVICE)

CUresult cuMemcpyAsync(CUdeviceptr d, CUdeviceptr s, size_t size, CUstream stream)
{
    struct sc_copy c = line(d, s, size);
    return copy_async(stream, &c, SIDE_ANY, SIDE_ANY);
}

CUresult cuMemcpyHtoDAsync_v2(CUdeviceptr d, const void *s, size_t size, CUstream stream)
{
    struct sc_copy c = line(d, (uintptr_t)s, size);
    return copy_async(stream, &c, SIDE_DEVICE, SIDE_ANY);
}

CUresult cuMemcpyDtoHAsync_v2(void *d, CUdeviceptr s, size_t size, CUstream stream)
{
    struct sc_copy c = line((uintptr_t)d, s, size);
    return copy_async(stream, &c, SIDE_ANY, SIDE_DEVICE);
}

CUresult cuMemcpyDtoDAsync_v2(CUdeviceptr d, CUdeviceptr s, size_t size, CUstream stream)
{
    struct sc_copy c = line(d, s, size);
    return copy_async(stream, &c, SIDE_DEVICE, SIDE_DEVICE);
}

CUresult cuMemcpyPeerAsync(CUdeviceptr d, CUcontext dc, CUdeviceptr s, CUcontext sc, size_t size,
                           CUstream stream)
{
    struct sc_copy c = line(d, s, size);
    CUresult r = peer_async(stream);

    return r ? r : copy_async(stream, &c, SIDE_DEVICE, SIDE_DEVICE);
}

/* --- batches: the order of their copies is free, so one after the other is right */

CUresult cuMemcpyBatchAsync_v2(CUdeviceptr *dsts, CUdeviceptr *srcs, size_t *sizes, size_t count,
                               CUmemcpyAttributes *attributes, size_t *indices, size_t n,
                               CUstream stream)
{
    SC_READY();
    CUresult r = dsts && srcs && sizes && count ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;

    for (size_t i = 0; i < count && !r; i++)
        r = cuMemcpyAsync(dsts[i], srcs[i], sizes[i], stream);
    return r;
}

CUresult cuMemcpyBatchAsync(CUdeviceptr *dsts, CUdeviceptr *srcs, size_t *sizes, size_t count,
                            CUmemcpyAttributes *attributes, size_t *indices, size_t n,
                            size_t *failed, CUstream stream)
{
    SC_READY();
    CUresult r = dsts && srcs && sizes && count ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
    size_t i;

    for (i = 0; i < count && !r; i++)
        r = cuMemcpyAsync(dsts[i], srcs[i], sizes[i], stream);
    if (r && failed)
        *failed = i ? i - 1 : SIZE_MAX;
    return r;
}

/* --- boxes ------------------------------------------------------------------------------------ */

struct box_side {
    CUmemorytype type;
    const void *host;
    CUdeviceptr device;
    size_t x, y, z, pitch, height;
};

static CUresult box_side(const struct box_side *b, size_t width, uint64_t *start, uint64_t *pitch,
                         uint64_t *slice, enum side *side)
{
    size_t end, row, at;

    switch (b->type) {
    case CU_MEMORYTYPE_HOST:
        *start = (uintptr_t)b->host;
        *side = SIDE_ANY;
        break;
    case CU_MEMORYTYPE_DEVICE:
        *start = b->device;
        *side = SIDE_DEVICE;
        break;
    case CU_MEMORYTYPE_UNIFIED:
        *start = b->device;
        *side = SIDE_ANY;
        break;
    case CU_MEMORYTYPE_ARRAY: return CUDA_ERROR_NOT_SUPPORTED;
    default: return CUDA_ERROR_INVALID_VALUE;
    }
    if (!*start || __builtin_add_overflow(b->x, width, &end))
        return CUDA_ERROR_INVALID_VALUE;
    row = b->pitch ? b->pitch : end;
    if (row < end || row > (size_t)1 << 40 || b->height > (size_t)1 << 24)
        return CUDA_ERROR_INVALID_VALUE;
    *pitch = row;
    *slice = row * b->height;
    /* An offset that goes once around is none. */
    if (__builtin_mul_overflow(b->z, *slice, &at) || __builtin_add_overflow(*start, at, start) ||
        __builtin_mul_overflow(b->y, row, &at) || __builtin_add_overflow(*start, at, start) ||
        __builtin_add_overflow(*start, b->x, start))
        return CUDA_ERROR_INVALID_VALUE;
    return CUDA_SUCCESS;
}

static CUresult box_make(const struct box_side *dst, const struct box_side *src, size_t width,
                         size_t height, size_t depth, struct sc_copy *c, enum side *dst_side,
                         enum side *src_side)
{
    CUresult r;

    *c = (struct sc_copy){.width = width, .height = height, .depth = depth};
    if ((r = box_side(dst, width, &c->dst, &c->dst_pitch, &c->dst_slice, dst_side)))
        return r;
    return box_side(src, width, &c->src, &c->src_pitch, &c->src_slice, src_side);
}

static CUresult box_2d(const CUDA_MEMCPY2D *p, CUstream stream, bool async)
{
    struct box_side dst, src;
    enum side ds, ss;
    struct sc_copy c;

    if (!p)
        return CUDA_ERROR_INVALID_VALUE;
    dst = (struct box_side){p->dstMemoryType, p->dstHost, p->dstDevice, p->dstXInBytes,
                            p->dstY,          0,          p->dstPitch,  p->Height};
    src = (struct box_side){p->srcMemoryType, p->srcHost, p->srcDevice, p->srcXInBytes,
                            p->srcY,          0,          p->srcPitch,  p->Height};
    CUresult r = box_make(&dst, &src, p->WidthInBytes, p->Height, 1, &c, &ds, &ss);
    return r ? r : async ? copy_async(stream, &c, ds, ss) : copy_now(stream, &c, ds, ss);
}

static CUresult box_from_3d(const CUDA_MEMCPY3D *p, struct sc_copy *c, enum side *ds, enum side *ss)
{
    struct box_side dst, src;

    if (!p)
        return CUDA_ERROR_INVALID_VALUE;
    /* Levels of detail are those of arrays, and are not looked at. */
    if (p->Depth > 1 &&
        ((p->srcHeight && p->srcHeight < p->Height) || (p->dstHeight && p->dstHeight < p->Height)))
        return CUDA_ERROR_INVALID_VALUE;
    dst = (struct box_side){
        p->dstMemoryType, p->dstHost, p->dstDevice, p->dstXInBytes,
        p->dstY,          p->dstZ,    p->dstPitch,  p->dstHeight ? p->dstHeight : p->Height};
    src = (struct box_side){
        p->srcMemoryType, p->srcHost, p->srcDevice, p->srcXInBytes,
        p->srcY,          p->srcZ,    p->srcPitch,  p->srcHeight ? p->srcHeight : p->Height};
    return box_make(&dst, &src, p->WidthInBytes, p->Height, p->Depth, c, ds, ss);
}

static CUresult box_3d(const CUDA_MEMCPY3D *p, CUstream stream, bool async)
{
    enum side ds, ss;
    struct sc_copy c;
    CUresult r = box_from_3d(p, &c, &ds, &ss);

    return r ? r : async ? copy_async(stream, &c, ds, ss) : copy_now(stream, &c, ds, ss);
}

/* One device: the peers' contexts say nothing, and the rest lies as in the plain structure. */
static CUresult box_peer(const CUDA_MEMCPY3D_PEER *p, CUstream stream, bool async)
{
    CUDA_MEMCPY3D c;

    if (!p)
        return CUDA_ERROR_INVALID_VALUE;
    memcpy(&c, p, sizeof(c));
    return box_3d(&c, stream, async);
}
_Static_assert(sizeof(CUDA_MEMCPY3D) == sizeof(CUDA_MEMCPY3D_PEER) &&
                   offsetof(CUDA_MEMCPY3D, Depth) == offsetof(CUDA_MEMCPY3D_PEER, Depth),
               "the peer structure only names the reserved fields");

#define SYNC_BOX(name, type, fn)                                                                   \
    CUresult name(const type *p)                                                                   \
    {                                                                                              \
        SC_READY();                                                                                \
        return fn(p, CU_STREAM_LEGACY, false);                                                     \
    }                                                                                              \
    CUresult name##_ptds(const type *p)                                                            \
    {                                                                                              \
        SC_READY();                                                                                \
        return fn(p, CU_STREAM_PER_THREAD, false);                                                 \
    }

SYNC_BOX(cuMemcpy2D_v2, CUDA_MEMCPY2D, box_2d)
SYNC_BOX(cuMemcpy2DUnaligned_v2, CUDA_MEMCPY2D, box_2d)
SYNC_BOX(cuMemcpy3D_v2, CUDA_MEMCPY3D, box_3d)
SYNC_BOX(cuMemcpy3DPeer, CUDA_MEMCPY3D_PEER, box_peer)

CUresult cuMemcpy2DAsync_v2(const CUDA_MEMCPY2D *p, CUstream stream)
{
    SC_READY();
    return box_2d(p, stream, true);
}

CUresult cuMemcpy3DAsync_v2(const CUDA_MEMCPY3D *p, CUstream stream)
{
    SC_READY();
    return box_3d(p, stream, true);
}

CUresult cuMemcpy3DPeerAsync(const CUDA_MEMCPY3D_PEER *p, CUstream stream)
{
    SC_READY();
    CUresult r = peer_async(stream);
    return r ? r : box_peer(p, stream, true);
}

/* For a graph's node: pageable memory is as good as any, since the copy runs when it is told to. */
CUresult sc_copy_build(const CUDA_MEMCPY3D *p, struct sc_copy *box)
{
    bool pageable_dst, pageable_src;
    enum side ds, ss;
    CUresult r = box_from_3d(p, box, &ds, &ss);

    if (!r && box_empty(box))
        r = CUDA_ERROR_INVALID_VALUE; /* a node has something to do */
    return r ? r : box_check(box, ds, ss, &pageable_dst, &pageable_src);
}
