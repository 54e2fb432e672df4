/* Copies and fills. Host memory is always memory of the arena. */
#include "backend/cuda/replay.h"

#include <stdlib.h>

#include "cuda/handlers.h"

/* Bytes of the largest copy that the ring's thread waits for, where the CPU copies anyway. */
#define INLINE_COPY (1u << 20)

/* Where device memory is host memory and nothing is in flight, the ring's thread waits for a small
 * operation itself: that costs less than another thread that waits. `busy` may still be true when
 * nothing is in flight any more, but never the other way round. */
static bool at_once(struct cu_worker *w, struct cu_stream *s, uint64_t size)
{
    return w->integrated && size <= INLINE_COPY && s->open == 0 && !w->busy &&
           w->d.cuStreamQuery(s->h) == CUDA_SUCCESS;
}

/* After the driver accepted an operation: waits for it if `now`, else counts it as in flight. */
static CUresult submit_finish(struct cu_worker *w, struct cu_stream *s, bool now, CUresult r)
{
    if (r != CUDA_SUCCESS)
        return r;
    if (now)
        return w->d.cuStreamSynchronize(s->h);
    xg_cu_op_submitted(w, s);
    return r;
}

uint32_t xg_cu_htod(struct cu_worker *w, const struct xg_cuda_htod *a)
{
    struct cu_stream *s = xg_cu_work_stream(w, a->stream);
    const void *src = xg_cu_arena_at(w, a->where, a->offset, a->size);
    bool slot = a->slot != XG_CUDA_NO_SLOT;
    CUresult r;

    if (!src || (slot && a->slot >= XG_CUDA_SLOTS))
        return xg_cu_protocol_fail(w, "HTOD outside the arena");
    if (!s)
        r = CUDA_ERROR_INVALID_HANDLE;
    else if (!xg_cu_range_ok(w, a->dst, a->size))
        r = CUDA_ERROR_INVALID_VALUE;
    else {
        bool now = at_once(w, s, a->size);
        r = submit_finish(w, s, now, w->d.cuMemcpyHtoDAsync_v2(a->dst, src, a->size, s->h));
        if (r == CUDA_SUCCESS && !now)
            xg_cu_stream_copied(w, s);
        if (r == CUDA_SUCCESS && !now && slot && xg_cu_slot_fence(w, s, a->slot, a->seq) == 0)
            return r;
    }
    if (slot)
        atomic_store_explicit(&w->shared->slot_done[a->slot], a->seq, memory_order_release);
    return r;
}

/* Small copies. The bytes are a private copy that lives only until this returns. The driver has
 * taken them by then, as it does with any pageable memory. */
uint32_t xg_cu_htod_data(struct cu_worker *w, const struct xg_cuda_htod_data *a, const void *bytes,
                         uint32_t bytes_size)
{
    struct cu_stream *s = xg_cu_work_stream(w, a->stream);

    if (!s)
        return CUDA_ERROR_INVALID_HANDLE;
    if (!xg_cu_range_ok(w, a->dst, bytes_size))
        return CUDA_ERROR_INVALID_VALUE;
    bool now = at_once(w, s, bytes_size);
    CUresult r =
        submit_finish(w, s, now, w->d.cuMemcpyHtoDAsync_v2(a->dst, bytes, bytes_size, s->h));
    if (r == CUDA_SUCCESS && !now)
        xg_cu_stream_copied(w, s);
    return r;
}

static CUresult dtoh_start(struct cu_worker *w, struct cu_stream *s, uint64_t src, uint32_t where,
                           uint32_t offset, uint64_t size)
{
    void *dst = xg_cu_arena_at(w, where, offset, size);

    if (!dst)
        return xg_cu_protocol_fail(w, "DTOH outside the arena");
    if (!s)
        return CUDA_ERROR_INVALID_HANDLE;
    if (!xg_cu_range_ok(w, src, size))
        return CUDA_ERROR_INVALID_VALUE;
    return w->d.cuMemcpyDtoHAsync_v2(dst, src, size, s->h);
}

uint32_t xg_cu_dtoh(struct cu_worker *w, const struct xg_cuda_dtoh *a)
{
    struct cu_stream *s = xg_cu_work_stream(w, a->stream);
    return submit_finish(w, s, false, dtoh_start(w, s, a->src, a->where, a->offset, a->size));
}

uint32_t xg_cu_dtoh_wait(struct cu_worker *w, const struct xg_cuda_dtoh_wait *a)
{
    struct cu_stream *s = xg_cu_work_stream(w, a->stream);
    bool now = s && at_once(w, s, a->size);
    CUresult r = submit_finish(w, s, now, dtoh_start(w, s, a->src, a->where, a->offset, a->size));

    if (now && r == CUDA_SUCCESS)
        r = w->d.cuStreamSynchronize(s->h); /* idle: the driver now prints the text of kernels */
    return r != CUDA_SUCCESS || now ? xg_cu_deferred_take(w->ctx, r)
                                    : xg_cu_wait_stream(w, s, a->alone);
}

uint32_t xg_cu_dtod(struct cu_worker *w, const struct xg_cuda_dtod *a)
{
    struct cu_stream *s = xg_cu_work_stream(w, a->stream);

    if (!s)
        return CUDA_ERROR_INVALID_HANDLE;
    if (!xg_cu_range_ok(w, a->dst, a->size) || !xg_cu_range_ok(w, a->src, a->size))
        return CUDA_ERROR_INVALID_VALUE;
    bool now = at_once(w, s, a->size);
    return submit_finish(w, s, now, w->d.cuMemcpyDtoDAsync_v2(a->dst, a->src, a->size, s->h));
}

/* The slot's fence is in the reaper's queue already. */
uint32_t xg_cu_slot_wait(struct cu_worker *w, const struct xg_cuda_slot_wait *a)
{
    if (a->slot >= XG_CUDA_SLOTS)
        return xg_cu_protocol_fail(w, "SLOT_WAIT for no slot");
    return xg_cu_wait_slot(w, a->slot, a->seq);
}

static CUresult memset_start(struct cu_worker *w, CUstream s, const struct xg_cuda_memset *a)
{
    if (a->height == 1)
        return a->element == 1 ? w->d.cuMemsetD8Async(a->dst, (unsigned char)a->value, a->width, s)
               : a->element == 2
                   ? w->d.cuMemsetD16Async(a->dst, (unsigned short)a->value, a->width, s)
                   : w->d.cuMemsetD32Async(a->dst, a->value, a->width, s);
    switch (a->element) {
    case 1:
        return w->d.cuMemsetD2D8Async
                   ? w->d.cuMemsetD2D8Async(a->dst, a->pitch, (unsigned char)a->value, a->width,
                                            a->height, s)
                   : CUDA_ERROR_NOT_SUPPORTED;
    case 2:
        return w->d.cuMemsetD2D16Async
                   ? w->d.cuMemsetD2D16Async(a->dst, a->pitch, (unsigned short)a->value, a->width,
                                             a->height, s)
                   : CUDA_ERROR_NOT_SUPPORTED;
    default:
        return w->d.cuMemsetD2D32Async
                   ? w->d.cuMemsetD2D32Async(a->dst, a->pitch, a->value, a->width, a->height, s)
                   : CUDA_ERROR_NOT_SUPPORTED;
    }
}

uint32_t xg_cu_memset(struct cu_worker *w, const struct xg_cuda_memset *a)
{
    struct cu_stream *s = xg_cu_work_stream(w, a->stream);
    uint64_t row, size;

    if (a->element != 1 && a->element != 2 && a->element != 4)
        return xg_cu_protocol_fail(w, "MEMSET of a strange element");
    if (!s)
        return CUDA_ERROR_INVALID_HANDLE;
    if (a->height == 0 || __builtin_mul_overflow(a->width, a->element, &row) ||
        __builtin_mul_overflow(a->height - 1, a->pitch, &size) ||
        __builtin_add_overflow(size, row, &size) || !xg_cu_range_ok(w, a->dst, size))
        return CUDA_ERROR_INVALID_VALUE;
    bool now = at_once(w, s, size);
    return submit_finish(w, s, now, memset_start(w, s->h, a));
}

/* --- boxes ------------------------------------------------------------------------------------ */

struct side {
    uint32_t kind;
    uint64_t at, pitch, height, x, y, z;
};

/* How many bytes from the operand's start a box reaches; false if that overflows. To a driver, a
 * pitch or height of 0 means the box's own. */
static bool box_extent(const struct side *o, const struct xg_cuda_copy3d *a, uint64_t *size)
{
    uint64_t slice, depth, rows, t, pitch = o->pitch;

    if (!pitch && __builtin_add_overflow(o->x, a->width, &pitch))
        return false;
    return !__builtin_mul_overflow(pitch, o->height ? o->height : a->height, &slice) &&
           !__builtin_add_overflow(o->z, a->depth - 1, &depth) &&
           !__builtin_mul_overflow(depth, slice, &t) &&
           !__builtin_add_overflow(o->y, a->height - 1, &rows) &&
           !__builtin_mul_overflow(rows, pitch, &rows) && !__builtin_add_overflow(t, rows, &t) &&
           !__builtin_add_overflow(t, o->x, &t) && !__builtin_add_overflow(t, a->width, size);
}

static CUresult side_device(struct cu_worker *w, const struct side *o,
                            const struct xg_cuda_copy3d *a)
{
    uint64_t size;
    return box_extent(o, a, &size) && xg_cu_range_ok(w, o->at, size) ? CUDA_SUCCESS
                                                                     : CUDA_ERROR_INVALID_VALUE;
}

/* `at` is a byte offset into the arena. */
static void *side_arena(struct cu_worker *w, const struct side *o, const struct xg_cuda_copy3d *a)
{
    uint64_t size;
    if (!box_extent(o, a, &size) || o->at > w->ring->arena_size ||
        size > w->ring->arena_size - o->at)
        return NULL;
    return w->arena + o->at;
}

static CUresult side_src(struct cu_worker *w, const struct side *o, const struct xg_cuda_copy3d *a,
                         CUDA_MEMCPY3D *m)
{
    m->srcPitch = o->pitch;
    m->srcHeight = o->height;
    m->srcXInBytes = o->x;
    m->srcY = o->y;
    m->srcZ = o->z;
    if (o->kind == XG_CUDA_SIDE_DEVICE) {
        m->srcMemoryType = CU_MEMORYTYPE_DEVICE;
        m->srcDevice = o->at;
        return side_device(w, o, a);
    }
    if (o->kind == XG_CUDA_SIDE_ARENA) {
        m->srcMemoryType = CU_MEMORYTYPE_HOST;
        m->srcHost = side_arena(w, o, a);
        return m->srcHost ? CUDA_SUCCESS : xg_cu_protocol_fail(w, "COPY3D outside the arena");
    }
    struct cu_array *array = o->at <= UINT32_MAX ? xg_table_get(&w->arrays, (uint32_t)o->at) : NULL;
    m->srcMemoryType = CU_MEMORYTYPE_ARRAY;
    m->srcArray = array ? array->h : NULL;
    return array ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}

static CUresult side_dst(struct cu_worker *w, const struct side *o, const struct xg_cuda_copy3d *a,
                         CUDA_MEMCPY3D *m)
{
    m->dstPitch = o->pitch;
    m->dstHeight = o->height;
    m->dstXInBytes = o->x;
    m->dstY = o->y;
    m->dstZ = o->z;
    if (o->kind == XG_CUDA_SIDE_DEVICE) {
        m->dstMemoryType = CU_MEMORYTYPE_DEVICE;
        m->dstDevice = o->at;
        return side_device(w, o, a);
    }
    if (o->kind == XG_CUDA_SIDE_ARENA) {
        m->dstMemoryType = CU_MEMORYTYPE_HOST;
        m->dstHost = side_arena(w, o, a);
        return m->dstHost ? CUDA_SUCCESS : xg_cu_protocol_fail(w, "COPY3D outside the arena");
    }
    struct cu_array *array = o->at <= UINT32_MAX ? xg_table_get(&w->arrays, (uint32_t)o->at) : NULL;
    m->dstMemoryType = CU_MEMORYTYPE_ARRAY;
    m->dstArray = array ? array->h : NULL;
    return array ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}

uint32_t xg_cu_copy3d(struct cu_worker *w, const struct xg_cuda_copy3d *a)
{
    struct cu_stream *s = xg_cu_work_stream(w, a->stream);
    struct side src = {a->src_kind, a->src,   a->src_pitch, a->src_height,
                       a->src_x,    a->src_y, a->src_z};
    struct side dst = {a->dst_kind, a->dst,   a->dst_pitch, a->dst_height,
                       a->dst_x,    a->dst_y, a->dst_z};
    bool slot = a->slot != XG_CUDA_NO_SLOT;
    CUDA_MEMCPY3D m;
    CUresult r = CUDA_ERROR_INVALID_VALUE;

    if (slot && a->slot >= XG_CUDA_SLOTS)
        return xg_cu_protocol_fail(w, "COPY3D with no slot");
    memset(&m, 0, sizeof(m));
    m.WidthInBytes = a->width;
    m.Height = a->height;
    m.Depth = a->depth;
    if (!s)
        r = CUDA_ERROR_INVALID_HANDLE;
    else if (!w->d.cuMemcpy3DAsync_v2)
        r = CUDA_ERROR_NOT_SUPPORTED;
    else if (a->width && a->height && a->depth) {
        r = side_src(w, &src, a, &m);
        if (r == CUDA_SUCCESS)
            r = side_dst(w, &dst, a, &m);
        if (r == CUDA_SUCCESS)
            r = w->d.cuMemcpy3DAsync_v2(&m, s->h);
    }
    if (r == CUDA_SUCCESS) {
        xg_cu_op_submitted(w, s);
        if (src.kind == XG_CUDA_SIDE_ARENA)
            xg_cu_stream_copied(w, s);
        if (slot && xg_cu_slot_fence(w, s, a->slot, a->seq) == 0)
            return r;
    }
    if (slot)
        atomic_store_explicit(&w->shared->slot_done[a->slot], a->seq, memory_order_release);
    return r;
}
