/*
 * Copies of boxes: 2D, 3D, arrays.
 *
 * The worker copies boxes between device memory, arrays and the arena. Boxes in the application's
 * own memory are packed into staging slots, as many rows at a time as fit.
 */
#include "cuda/send.h"
#include "interposer/cuda/graph.h"

enum side_kind { SIDE_DEVICE, SIDE_HOST, SIDE_ARRAY };

struct side {
    enum side_kind kind;
    uint64_t at;            /* address, or an array's name */
    uint64_t pitch, height; /* bytes per row, rows per slice */
    uint64_t x, y, z;       /* where the box starts: bytes, rows, slices */
};

struct box {
    struct side src, dst;
    uint64_t width, rows, slices;
};

/* --- making sense of the descriptions --------------------------------------------------------- */

static CUresult side_of(struct side *s, CUmemorytype type, const void *host, CUdeviceptr device,
                        CUarray array)
{
    switch (type) {
    case CU_MEMORYTYPE_HOST:
        s->kind = SIDE_HOST;
        s->at = (uintptr_t)host;
        return host ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
    case CU_MEMORYTYPE_DEVICE:
        s->kind = SIDE_DEVICE;
        s->at = device;
        return CUDA_SUCCESS;
    case CU_MEMORYTYPE_UNIFIED:
        s->kind = cu_is_device(device) ? SIDE_DEVICE : SIDE_HOST;
        s->at = device;
        return device ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
    case CU_MEMORYTYPE_ARRAY: {
        struct cu_object *o = cu_object_get(CU_KIND_ARRAY, array);
        s->kind = SIDE_ARRAY;
        s->at = o ? o->name : 0;
        return o ? CUDA_SUCCESS : array ? CUDA_ERROR_INVALID_HANDLE : CUDA_ERROR_INVALID_VALUE;
    }
    default: return CUDA_ERROR_INVALID_VALUE;
    }
}

/* *bytes = (slices * s->height + rows) * s->pitch + columns, unless that is more than there can be.
 */
static bool side_bytes(const struct side *s, uint64_t slices, uint64_t rows, uint64_t columns,
                       uint64_t *bytes)
{
    uint64_t n;

    return !__builtin_mul_overflow(slices, s->height, &n) && !__builtin_add_overflow(n, rows, &n) &&
           !__builtin_mul_overflow(n, s->pitch, &n) && !__builtin_add_overflow(n, columns, bytes);
}

/* Where the box begins, and what lies from its first byte to its last. */
static bool side_range(const struct side *s, const struct box *b, uint64_t *start, uint64_t *size)
{
    uint64_t end;

    return side_bytes(s, s->z, s->y, s->x, start) &&
           !__builtin_add_overflow(s->at, *start, start) &&
           side_bytes(s, b->slices - 1, b->rows - 1, b->width, size) &&
           !__builtin_add_overflow(*start, *size, &end);
}

/* Defaults for what a description leaves out, and whether the box fits into its rows and its
 * memory. */
static CUresult side_check(struct side *s, const struct box *b)
{
    uint64_t columns, rows, start, size, at;

    if (s->kind == SIDE_ARRAY)
        return CUDA_SUCCESS;
    if (__builtin_add_overflow(s->x, b->width, &columns) ||
        __builtin_add_overflow(s->y, b->rows, &rows))
        return CUDA_ERROR_INVALID_VALUE;
    if (!s->pitch)
        s->pitch = columns;
    if (!s->height)
        s->height = rows;
    if (s->pitch < columns || (b->slices > 1 && s->height < rows) ||
        !side_range(s, b, &start, &size))
        return CUDA_ERROR_INVALID_VALUE;
    if (s->kind == SIDE_DEVICE) {
        at = start;
        if (!cu_device_ok(&at, size))
            return CUDA_ERROR_INVALID_VALUE;
        s->at += at - start;
    }
    return CUDA_SUCCESS;
}

static CUresult box_check(struct box *b)
{
    CUresult r = side_check(&b->src, b);
    return r == CUDA_SUCCESS ? side_check(&b->dst, b) : r;
}

static uint8_t *side_row(const struct side *s, uint64_t row, uint64_t slice)
{
    return (uint8_t *)(uintptr_t)s->at + (s->z + slice) * s->pitch * s->height +
           (s->y + row) * s->pitch + s->x;
}

/* --- one command ------------------------------------------------------------------------------ */

static uint32_t wire_kind(const struct side *s)
{
    return s->kind == SIDE_DEVICE  ? XG_CUDA_SIDE_DEVICE
           : s->kind == SIDE_ARRAY ? XG_CUDA_SIDE_ARRAY
                                   : XG_CUDA_SIDE_ARENA;
}

/* A host side of `b` is a place in the arena already; on the wire that is its offset. */
static uint64_t wire_at(const struct side *s)
{
    return s->kind == SIDE_HOST ? s->at - (uintptr_t)cu.arena : s->at;
}

static CUresult send(struct cu_ctx *ctx, uint32_t stream, const struct box *b, uint32_t slot,
                     uint64_t seq)
{
    const struct side *s = &b->src, *d = &b->dst;
    const struct xg_cuda_copy3d f = {
        .stream = stream,
        .slot = slot,
        .src_kind = wire_kind(s),
        .dst_kind = wire_kind(d),
        .src = wire_at(s),
        .src_pitch = s->pitch,
        .src_height = s->height,
        .src_x = s->x,
        .src_y = s->y,
        .src_z = s->z,
        .dst = wire_at(d),
        .dst_pitch = d->pitch,
        .dst_height = d->height,
        .dst_x = d->x,
        .dst_y = d->y,
        .dst_z = d->z,
        .width = b->width,
        .height = b->rows,
        .depth = b->slices,
        .seq = seq,
    };
    return cu_send_copy3d(ctx, &f);
}

/* --- through staging slots -------------------------------------------------------------------- */

/* Part of a box: columns [x, x + width), rows [row, row + rows) of one slice. */
struct part {
    uint64_t x, width, row, rows, slice;
};

static struct box box_part(const struct box *b, const struct part *p)
{
    struct box one = *b;

    one.width = p->width;
    one.rows = p->rows;
    one.slices = 1;
    one.src.x += p->x;
    one.dst.x += p->x;
    one.src.y += p->row;
    one.dst.y += p->row;
    one.src.z += p->slice;
    one.dst.z += p->slice;
    return one;
}

static struct side slot_side(const struct cu_slot *slot, const struct part *p)
{
    return (struct side){
        .kind = SIDE_HOST, .at = (uintptr_t)slot->data, .pitch = p->width, .height = p->rows};
}

static CUresult part_to_device(struct cu_ctx *ctx, uint32_t stream, const struct box *b,
                               const struct part *p)
{
    struct box one = box_part(b, p);
    struct cu_slot slot;
    CUresult r = cu_slot_take(&slot);

    if (r != CUDA_SUCCESS)
        return r;
    for (uint64_t i = 0; i < p->rows; i++)
        memcpy(slot.data + i * p->width, side_row(&b->src, p->row + i, p->slice) + p->x, p->width);
    one.src = slot_side(&slot, p);
    r = send(ctx, stream, &one, slot.index, slot.seq);
    cu_slot_sent(&slot, true);
    return r;
}

static CUresult part_from_device(struct cu_ctx *ctx, uint32_t stream, const struct box *b,
                                 const struct part *p)
{
    struct box one = box_part(b, p);
    struct cu_slot slot;
    CUresult r = cu_slot_take(&slot);

    if (r != CUDA_SUCCESS)
        return r;
    one.dst = slot_side(&slot, p);
    r = send(ctx, stream, &one, XG_CUDA_NO_SLOT, 0);
    if (r == CUDA_SUCCESS)
        r = cu_stream_wait(ctx, stream);
    for (uint64_t i = 0; i < p->rows && r == CUDA_SUCCESS; i++)
        memcpy(side_row(&b->dst, p->row + i, p->slice) + p->x, slot.data + i * p->width, p->width);
    cu_slot_sent(&slot, false);
    return r;
}

static CUresult staged(struct cu_ctx *ctx, uint32_t stream, const struct box *b, bool to_device)
{
    uint64_t width = xg_min_u64(b->width, CU_SLOT_SIZE), rows = CU_SLOT_SIZE / width;
    struct part p;

    for (p.slice = 0; p.slice < b->slices; p.slice++) {
        for (p.row = 0; p.row < b->rows; p.row += p.rows) {
            p.rows = xg_min_u64(rows, b->rows - p.row);
            for (p.x = 0; p.x < b->width; p.x += p.width) {
                p.width = xg_min_u64(width, b->width - p.x);
                CUresult r = to_device ? part_to_device(ctx, stream, b, &p)
                                       : part_from_device(ctx, stream, b, &p);
                if (r != CUDA_SUCCESS)
                    return r;
            }
        }
    }
    return CUDA_SUCCESS;
}

static CUresult host_to_host(struct cu_ctx *ctx, uint32_t stream, const struct box *b)
{
    CUresult r = cu_stream_wait(ctx, stream);

    for (uint64_t z = 0; z < b->slices && r == CUDA_SUCCESS; z++)
        for (uint64_t y = 0; y < b->rows; y++)
            memmove(side_row(&b->dst, y, z), side_row(&b->src, y, z), b->width);
    return r;
}

/* Wholly in the arena: the box's last byte too. Registered memory is then called by its address
 * there. */
static bool in_arena(struct side *s, const struct box *b)
{
    uint32_t where, offset;
    uint64_t start, bytes;

    if (s->kind != SIDE_HOST || !side_range(s, b, &start, &bytes))
        return false;
    bytes += start - s->at;
    s->at = cu_host_shared(s->at, bytes);
    return cu_arena_place((void *)(uintptr_t)s->at, bytes, &where, &offset);
}

/* The program may read there without asking CUDA: pinned or managed memory, by whatever name. */
static bool into_arena(const struct box *b)
{
    uint32_t where, offset;

    return cu_arena_place((void *)(uintptr_t)b->dst.at, 1, &where, &offset);
}

static CUresult copy(struct cu_ctx *ctx, uint32_t stream, struct box *b, bool wait)
{
    bool src_host = b->src.kind == SIDE_HOST, dst_host = b->dst.kind == SIDE_HOST;
    bool seen =
        into_arena(b); /* by the program's name for it, before the device's takes its place */
    CUresult r;

    if (!b->width || !b->rows || !b->slices)
        return CUDA_SUCCESS;
    r = box_check(b);
    if (r != CUDA_SUCCESS)
        return r;
    if (src_host && dst_host)
        return host_to_host(ctx, stream, b);
    if (dst_host && !in_arena(&b->dst, b))
        return staged(ctx, stream, b, false);
    if (src_host && !in_arena(&b->src, b)) {
        src_host = cu_prints(); /* it was read already; only what kernels print is waited for */
        r = staged(ctx, stream, b, true);
    } else {
        r = send(ctx, stream, b, XG_CUDA_NO_SLOT, 0);
    }
    /* Between device memory nothing waits, as in CUDA. */
    if (r == CUDA_SUCCESS && wait && (src_host || seen || into_arena(b)))
        return cu_stream_wait(ctx, stream);
    if (wait)
        cu_text_look();
    return r;
}

/* --- the API: 2D and 3D ----------------------------------------------------------------------- */

static CUresult copy_2d(const CUDA_MEMCPY2D *m, CUstream s, bool wait)
{
    struct box b;

    CU_STREAM(s);
    if (!m)
        return CUDA_ERROR_INVALID_VALUE;
    struct xg_cuda_stream *capture = cu_capture_of(stream);
    if (XG_UNLIKELY(capture != NULL && !wait)) {
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
        return xg_cuda_capture_copy(capture, &three);
    }
    CU_CAPTURE_REFUSES(capture);
    memset(&b, 0, sizeof(b));
    b.width = m->WidthInBytes;
    b.rows = m->Height;
    b.slices = 1;
    CUresult r = side_of(&b.src, m->srcMemoryType, m->srcHost, m->srcDevice, m->srcArray);
    if (r == CUDA_SUCCESS)
        r = side_of(&b.dst, m->dstMemoryType, m->dstHost, m->dstDevice, m->dstArray);
    if (r != CUDA_SUCCESS)
        return r;
    b.src.pitch = m->srcPitch;
    b.src.x = m->srcXInBytes;
    b.src.y = m->srcY;
    b.dst.pitch = m->dstPitch;
    b.dst.x = m->dstXInBytes;
    b.dst.y = m->dstY;
    return copy(ctx, stream, &b, wait);
}

CUresult cuMemcpy2D_v2(const CUDA_MEMCPY2D *m)
{
    return copy_2d(m, NULL, true);
}

CUresult cuMemcpy2DUnaligned_v2(const CUDA_MEMCPY2D *m)
{
    return copy_2d(m, NULL, true);
}

CUresult cuMemcpy2DAsync_v2(const CUDA_MEMCPY2D *m, CUstream s)
{
    return copy_2d(m, s, false);
}

static CUresult box_of(struct box *b, const CUDA_MEMCPY3D *m)
{
    /* Levels of detail are those of arrays, and are not looked at. */
    CUresult r = side_of(&b->src, m->srcMemoryType, m->srcHost, m->srcDevice, m->srcArray);
    if (r == CUDA_SUCCESS)
        r = side_of(&b->dst, m->dstMemoryType, m->dstHost, m->dstDevice, m->dstArray);
    if (r != CUDA_SUCCESS)
        return r;
    b->width = m->WidthInBytes;
    b->rows = m->Height;
    b->slices = m->Depth;
    b->src.pitch = m->srcPitch;
    b->src.height = m->srcHeight;
    b->src.x = m->srcXInBytes;
    b->src.y = m->srcY;
    b->src.z = m->srcZ;
    b->dst.pitch = m->dstPitch;
    b->dst.height = m->dstHeight;
    b->dst.x = m->dstXInBytes;
    b->dst.y = m->dstY;
    b->dst.z = m->dstZ;
    return CUDA_SUCCESS;
}

CUresult cu_copy_check(const CUDA_MEMCPY3D *m)
{
    struct box b;
    CUresult r = box_of(&b, m);

    if (r == CUDA_SUCCESS && (!b.width || !b.rows || !b.slices))
        r = CUDA_ERROR_INVALID_VALUE; /* a node has something to do */
    return r == CUDA_SUCCESS ? box_check(&b) : r;
}

static CUresult copy_3d_in(struct cu_ctx *ctx, uint32_t stream, const CUDA_MEMCPY3D *m, bool wait)
{
    struct box b;

    struct xg_cuda_stream *capture = cu_capture_of(stream);
    if (XG_UNLIKELY(capture != NULL && !wait))
        return xg_cuda_capture_copy(capture, m);
    CU_CAPTURE_REFUSES(capture);
    CUresult r = box_of(&b, m);
    return r == CUDA_SUCCESS ? copy(ctx, stream, &b, wait) : r;
}

CUresult cu_copy(struct cu_ctx *ctx, uint32_t stream, const CUDA_MEMCPY3D *p)
{
    return copy_3d_in(ctx, stream, p, false);
}

static CUresult copy_3d(const CUDA_MEMCPY3D *m, CUstream s, bool wait)
{
    CU_STREAM(s);
    return m ? copy_3d_in(ctx, stream, m, wait) : CUDA_ERROR_INVALID_VALUE;
}

CUresult cuMemcpy3D_v2(const CUDA_MEMCPY3D *m)
{
    return copy_3d(m, NULL, true);
}

CUresult cuMemcpy3DAsync_v2(const CUDA_MEMCPY3D *m, CUstream s)
{
    return copy_3d(m, s, false);
}

static CUresult copy_peer(const CUDA_MEMCPY3D_PEER *p, CUstream s, bool wait)
{
    CUDA_MEMCPY3D m;

    if (!p)
        return CUDA_ERROR_INVALID_VALUE;
    m = (CUDA_MEMCPY3D){
        .srcXInBytes = p->srcXInBytes,
        .srcY = p->srcY,
        .srcZ = p->srcZ,
        .srcLOD = p->srcLOD,
        .srcMemoryType = p->srcMemoryType,
        .srcHost = p->srcHost,
        .srcDevice = p->srcDevice,
        .srcArray = p->srcArray,
        .srcPitch = p->srcPitch,
        .srcHeight = p->srcHeight,
        .dstXInBytes = p->dstXInBytes,
        .dstY = p->dstY,
        .dstZ = p->dstZ,
        .dstLOD = p->dstLOD,
        .dstMemoryType = p->dstMemoryType,
        .dstHost = p->dstHost,
        .dstDevice = p->dstDevice,
        .dstArray = p->dstArray,
        .dstPitch = p->dstPitch,
        .dstHeight = p->dstHeight,
        .WidthInBytes = p->WidthInBytes,
        .Height = p->Height,
        .Depth = p->Depth,
    };
    return copy_3d(&m, s, wait);
}

CUresult cuMemcpy3DPeer(const CUDA_MEMCPY3D_PEER *p)
{
    CU_READY();
    return copy_peer(p, NULL, true);
}

CUresult cuMemcpy3DPeerAsync(const CUDA_MEMCPY3D_PEER *p, CUstream s)
{
    CU_STREAM(s);
    CUresult r = cu_capture_check(stream); /* between contexts: no node */
    return r == CUDA_SUCCESS ? copy_peer(p, s, false) : r;
}

/* --- the API: rows of arrays ------------------------------------------------------------------ */

static CUresult copy_row(CUmemorytype to, CUmemorytype from, CUarray dst_array, size_t dst_at,
                         void *dst_host, CUdeviceptr dst, CUarray src_array, size_t src_at,
                         const void *src_host, CUdeviceptr src, size_t bytes, CUstream s, bool wait)
{
    const CUDA_MEMCPY2D m = {
        .srcMemoryType = from,
        .srcArray = src_array,
        .srcXInBytes = src_at,
        .srcHost = src_host,
        .srcDevice = src,
        .dstMemoryType = to,
        .dstArray = dst_array,
        .dstXInBytes = dst_at,
        .dstHost = dst_host,
        .dstDevice = dst,
        .WidthInBytes = bytes,
        .Height = 1,
    };
    return copy_2d(&m, s, wait);
}

CUresult cuMemcpyDtoA_v2(CUarray dst, size_t at, CUdeviceptr src, size_t bytes)
{
    return copy_row(CU_MEMORYTYPE_ARRAY, CU_MEMORYTYPE_DEVICE, dst, at, NULL, 0, NULL, 0, NULL, src,
                    bytes, NULL, true);
}

CUresult cuMemcpyAtoD_v2(CUdeviceptr dst, CUarray src, size_t at, size_t bytes)
{
    return copy_row(CU_MEMORYTYPE_DEVICE, CU_MEMORYTYPE_ARRAY, NULL, 0, NULL, dst, src, at, NULL, 0,
                    bytes, NULL, true);
}

CUresult cuMemcpyHtoA_v2(CUarray dst, size_t at, const void *src, size_t bytes)
{
    return copy_row(CU_MEMORYTYPE_ARRAY, CU_MEMORYTYPE_HOST, dst, at, NULL, 0, NULL, 0, src, 0,
                    bytes, NULL, true);
}

CUresult cuMemcpyAtoH_v2(void *dst, CUarray src, size_t at, size_t bytes)
{
    return copy_row(CU_MEMORYTYPE_HOST, CU_MEMORYTYPE_ARRAY, NULL, 0, dst, 0, src, at, NULL, 0,
                    bytes, NULL, true);
}

CUresult cuMemcpyAtoA_v2(CUarray dst, size_t dst_at, CUarray src, size_t src_at, size_t bytes)
{
    return copy_row(CU_MEMORYTYPE_ARRAY, CU_MEMORYTYPE_ARRAY, dst, dst_at, NULL, 0, src, src_at,
                    NULL, 0, bytes, NULL, true);
}

CUresult cuMemcpyHtoAAsync_v2(CUarray dst, size_t at, const void *src, size_t bytes, CUstream s)
{
    return copy_row(CU_MEMORYTYPE_ARRAY, CU_MEMORYTYPE_HOST, dst, at, NULL, 0, NULL, 0, src, 0,
                    bytes, s, false);
}

CUresult cuMemcpyAtoHAsync_v2(void *dst, CUarray src, size_t at, size_t bytes, CUstream s)
{
    return copy_row(CU_MEMORYTYPE_HOST, CU_MEMORYTYPE_ARRAY, NULL, 0, dst, 0, src, at, NULL, 0,
                    bytes, s, false);
}
