/*
 * Copies of boxes: 2D, 3D, arrays.
 *
 * The worker copies boxes between device memory, arrays and the arena. Boxes in the application's
 * own memory are packed into staging slots, as many rows at a time as fit.
 */
#include "cuda/send.h"
#include "interposer/cuda/copy.h"

#include <stdlib.h>

/* --- making sense of the descriptions --------------------------------------------------------- */

/* Of an array the wire's name takes the handle's place; other sides become what they are for us:
 * CU_MEMORYTYPE_DEVICE, or CU_MEMORYTYPE_HOST. */
static CUresult side_resolve(struct xg_cuda_side *s)
{
    if (s->type == CU_MEMORYTYPE_UNIFIED)
        s->type = cu_is_device(s->at) ? CU_MEMORYTYPE_DEVICE : CU_MEMORYTYPE_HOST;
    if (s->type != CU_MEMORYTYPE_ARRAY)
        return CUDA_SUCCESS;
    struct cu_object *o = xg_cuda_handle_get(CU_KIND_ARRAY, (void *)(uintptr_t)s->at);
    if (o)
        s->at = o->name;
    return o ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}

/* Device memory is then called by the device's address. */
static bool side_there(struct xg_cuda_side *s)
{
    uint64_t at = s->start;

    if (s->type == CU_MEMORYTYPE_ARRAY)
        return true;
    if (s->type == CU_MEMORYTYPE_HOST) /* not what the program cannot touch */
        return !cu_is_device(at) && !cu_leaves_arena(at, s->span);
    if (!cu_device_ok(&at, s->span))
        return false;
    s->at += at - s->start;
    return true;
}

static CUresult box_resolve(struct xg_cuda_box *b)
{
    CUresult r = side_resolve(&b->src);

    if (r == CUDA_SUCCESS)
        r = side_resolve(&b->dst);
    if (r != CUDA_SUCCESS)
        return r;
    return side_there(&b->src) && side_there(&b->dst) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

/* What a node has for its own: that it is one. Its memory is looked at when its turn comes. */
static const char of_node;

void cu_copy_own(void *own)
{
    (void)own;
}

CUresult cu_copy_check(const struct xg_cuda_box *box, void **own)
{
    struct xg_cuda_box b = *box;

    if (own)
        *own = (void *)&of_node;
    return box_resolve(&b);
}

static uint8_t *side_row(const struct xg_cuda_side *s, uint64_t row, uint64_t slice)
{
    return (uint8_t *)(uintptr_t)s->at + (s->z + slice) * s->pitch * s->height +
           (s->y + row) * s->pitch + s->x;
}

/* --- one command ------------------------------------------------------------------------------ */

static uint32_t wire_kind(const struct xg_cuda_side *s)
{
    return s->type == CU_MEMORYTYPE_DEVICE  ? XG_CUDA_SIDE_DEVICE
           : s->type == CU_MEMORYTYPE_ARRAY ? XG_CUDA_SIDE_ARRAY
                                            : XG_CUDA_SIDE_ARENA;
}

/* A host side of `b` is a place in the arena already; on the wire that is its offset. */
static uint64_t wire_at(const struct xg_cuda_side *s)
{
    return s->type == CU_MEMORYTYPE_HOST ? s->at - (uintptr_t)cu.arena : s->at;
}

static CUresult box_send(struct cu_ctx *ctx, uint32_t stream, const struct xg_cuda_box *b,
                         uint32_t slot, uint64_t seq)
{
    const struct xg_cuda_side *s = &b->src, *d = &b->dst;
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

static struct xg_cuda_box box_part(const struct xg_cuda_box *b, const struct part *p)
{
    struct xg_cuda_box one = *b;

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

static struct xg_cuda_side slot_side(const struct cu_slot *slot, const struct part *p)
{
    return (struct xg_cuda_side){.type = CU_MEMORYTYPE_HOST,
                                 .at = (uintptr_t)slot->data,
                                 .pitch = p->width,
                                 .height = p->rows};
}

static CUresult part_to_device(struct cu_ctx *ctx, uint32_t stream, const struct xg_cuda_box *b,
                               const struct part *p)
{
    struct xg_cuda_box one = box_part(b, p);
    struct cu_slot slot;
    CUresult r = cu_slot_take(&slot);

    if (r != CUDA_SUCCESS)
        return r;
    for (uint64_t i = 0; i < p->rows; i++)
        memcpy(slot.data + i * p->width, side_row(&b->src, p->row + i, p->slice) + p->x, p->width);
    one.src = slot_side(&slot, p);
    r = box_send(ctx, stream, &one, slot.index, slot.seq);
    cu_slot_sent(&slot, true);
    return r;
}

static CUresult part_from_device(struct cu_ctx *ctx, uint32_t stream, const struct xg_cuda_box *b,
                                 const struct part *p)
{
    struct xg_cuda_box one = box_part(b, p);
    struct cu_slot slot;
    CUresult r = cu_slot_take(&slot);

    if (r != CUDA_SUCCESS)
        return r;
    one.dst = slot_side(&slot, p);
    r = box_send(ctx, stream, &one, XG_CUDA_NO_SLOT, 0);
    if (r == CUDA_SUCCESS)
        r = cu_stream_wait(ctx, stream);
    for (uint64_t i = 0; i < p->rows && r == CUDA_SUCCESS; i++)
        memcpy(side_row(&b->dst, p->row + i, p->slice) + p->x, slot.data + i * p->width, p->width);
    cu_slot_sent(&slot, false);
    return r;
}

static CUresult box_stage(struct cu_ctx *ctx, uint32_t stream, const struct xg_cuda_box *b,
                          bool to_device)
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

/* --- pageable memory, when a node's turn comes ------------------------------------------------ */

struct later {
    struct xg_cuda_box box;
    uint8_t *packed; /* its rows, one behind the other, in the arena */
};

static struct later *later_new(const struct xg_cuda_box *b)
{
    struct later *l = malloc(sizeof(*l));
    uint64_t size;
    uint32_t where;

    if (!l)
        return NULL;
    l->box = *b;
    l->packed = __builtin_mul_overflow(b->width * b->rows, b->slices, &size)
                    ? NULL
                    : xg_arena_alloc(cu.channel, size, XG_PAGE_SIZE, &where);
    if (l->packed)
        return l;
    free(l);
    return NULL;
}

static void CUDA_CB later_free(void *arg)
{
    struct later *l = arg;

    xg_arena_free(cu.channel, l->packed);
    free(l);
}

static void later_rows(const struct later *l, bool pack)
{
    const struct xg_cuda_box *b = &l->box;
    const struct xg_cuda_side *side = pack ? &b->src : &b->dst;

    for (uint64_t z = 0; z < b->slices; z++)
        for (uint64_t y = 0; y < b->rows; y++) {
            uint8_t *packed = l->packed + (z * b->rows + y) * b->width;
            uint8_t *row = side_row(side, y, z);
            memcpy(pack ? packed : row, pack ? row : packed, b->width);
        }
}

static void CUDA_CB later_pack(void *arg)
{
    later_rows(arg, true);
}

static void CUDA_CB later_unpack(void *arg)
{
    later_rows(arg, false);
    later_free(arg);
}

static CUresult later_call(struct xg_cuda_stream *s, CUhostFn fn, struct later *l)
{
    return cu_host_call(s, &(CUDA_HOST_NODE_PARAMS){fn, l});
}

/* A host function that has not run yet may be what fills the memory, or wait for what the program
 * does behind the launch. So the memory is read, or written, by a host function too. */
static CUresult box_later(struct xg_cuda_stream *s, const struct xg_cuda_box *b, bool to_device)
{
    struct later *l = later_new(b);
    struct xg_cuda_box one = *b;

    if (!l)
        return CUDA_ERROR_OUT_OF_MEMORY;
    *(to_device ? &one.src : &one.dst) = (struct xg_cuda_side){.type = CU_MEMORYTYPE_HOST,
                                                               .at = (uintptr_t)l->packed,
                                                               .pitch = b->width,
                                                               .height = b->rows};
    CUresult r = to_device ? later_call(s, later_pack, l) : CUDA_SUCCESS;
    if (r != CUDA_SUCCESS) {
        later_free(l);
        return r;
    }
    r = box_send(cu_stream_ctx(s), cu_stream_wire(s), &one, XG_CUDA_NO_SLOT, 0);
    bool unpack = r == CUDA_SUCCESS && !to_device;
    CUresult last = later_call(s, unpack ? later_unpack : later_free, l);
    return r == CUDA_SUCCESS ? last : r;
}

/* --- between two places of the program's ------------------------------------------------------ */

static void box_move(const struct xg_cuda_box *b)
{
    for (uint64_t z = 0; z < b->slices; z++)
        for (uint64_t y = 0; y < b->rows; y++)
            memmove(side_row(&b->dst, y, z), side_row(&b->src, y, z), b->width);
}

static void CUDA_CB box_move_once(void *box)
{
    box_move(box);
    free(box);
}

static CUresult host_to_host(struct xg_cuda_stream *s, const struct xg_cuda_box *b)
{
    CUresult r = cu_stream_wait(cu_stream_ctx(s), cu_stream_wire(s));

    if (r == CUDA_SUCCESS)
        box_move(b);
    return r;
}

/* In its turn, as a host function. Where there are none, nothing in a stream waits for the program
 * either, and so may this. */
static CUresult host_to_host_later(struct xg_cuda_stream *s, const struct xg_cuda_box *b)
{
    struct xg_cuda_box *copy = malloc(sizeof(*copy));

    if (!copy)
        return CUDA_ERROR_OUT_OF_MEMORY;
    *copy = *b;
    CUresult r = cuLaunchHostFunc(s->handle, box_move_once, copy);
    if (r != CUDA_SUCCESS)
        free(copy);
    return r == CUDA_ERROR_NOT_SUPPORTED ? host_to_host(s, b) : r;
}

/* Wholly in the arena: the box's last byte too. Registered memory is then called by its address
 * there. */
static bool in_arena(struct xg_cuda_side *s)
{
    uint64_t bytes = s->start - s->at + s->span;
    uint32_t where, offset;

    if (s->type != CU_MEMORYTYPE_HOST)
        return false;
    s->at = cu_host_shared(s->at, bytes);
    return cu_arena_place((void *)(uintptr_t)s->at, bytes, &where, &offset);
}

/* The program may read there without asking CUDA: pinned or managed memory, by whatever name. */
static bool into_arena(uint64_t at)
{
    uint32_t where, offset;

    return cu_arena_place((void *)(uintptr_t)at, 1, &where, &offset);
}

CUresult cu_copy_box(struct xg_cuda_stream *s, const struct xg_cuda_box *box, bool wait, void *own)
{
    struct cu_ctx *ctx = cu_stream_ctx(s);
    uint32_t stream = cu_stream_wire(s);
    struct xg_cuda_box b = *box;
    CUresult r = box_resolve(&b);

    if (r != CUDA_SUCCESS)
        return r;
    bool src_host = b.src.type == CU_MEMORYTYPE_HOST, dst_host = b.dst.type == CU_MEMORYTYPE_HOST;
    if (src_host && dst_host)
        return wait ? host_to_host(s, &b) : host_to_host_later(s, &b);
    bool later = own && atomic_load(&cu_host_outstanding);
    if (dst_host && !in_arena(&b.dst))
        return later ? box_later(s, &b, false) : box_stage(ctx, stream, &b, false);
    if (src_host && !in_arena(&b.src)) {
        if (later)
            return box_later(s, &b, true);
        src_host = cu_prints(); /* it was read already; only what kernels print is waited for */
        r = box_stage(ctx, stream, &b, true);
    } else {
        r = box_send(ctx, stream, &b, XG_CUDA_NO_SLOT, 0);
    }
    /* Between device memory nothing waits, as in CUDA. */
    if (r == CUDA_SUCCESS && wait && (src_host || into_arena(box->dst.at) || into_arena(b.dst.at)))
        return cu_stream_wait(ctx, stream);
    if (wait)
        cu_text_look();
    return r;
}
