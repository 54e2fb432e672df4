/*
 * Copies: cuda/api's operations.
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

/* What the sides are: masks of kinds, or 0 for the program's own memory that CUDA does not know. */
struct sides {
    unsigned dst, src;
};

/* Memory of a driver's device is not the host's, which this one's could be. */
static bool side_there(uint64_t address, uint64_t span, CUmemorytype type, unsigned *kinds)
{
    struct sc_mem m;

    if (sc_mem_covered(address, span, kinds))
        return type != CU_MEMORYTYPE_HOST || !(*kinds & ~(SC_MASK_HOST | SC_MASK_MANAGED));
    *kinds = 0;
    /* A range that begins in known memory and leaves it is a mistake on either side; so is device
     * memory that nobody has. */
    return type != CU_MEMORYTYPE_DEVICE && !sc_space_has(address) && !sc_mem_find(address, &m);
}

static CUresult box_build(const struct xg_cuda_box *b, struct sc_copy *c, struct sides *p)
{
    const struct xg_cuda_side *d = &b->dst, *s = &b->src;

    if (d->type == CU_MEMORYTYPE_ARRAY || s->type == CU_MEMORYTYPE_ARRAY)
        return CUDA_ERROR_NOT_SUPPORTED;
    *c = (struct sc_copy){.dst = d->start,
                          .src = s->start,
                          .width = b->width,
                          .height = b->rows,
                          .depth = b->slices,
                          .dst_pitch = d->pitch,
                          .src_pitch = s->pitch,
                          .dst_slice = d->pitch * d->height,
                          .src_slice = s->pitch * s->height};
    return side_there(d->start, d->span, d->type, &p->dst) &&
                   side_there(s->start, s->span, s->type, &p->src)
               ? CUDA_SUCCESS
               : CUDA_ERROR_INVALID_VALUE;
}

/* For a graph's node: pageable memory is as good as any, since the copy runs when it is told to. */
CUresult sc_copy_build(const struct xg_cuda_box *b, struct sc_copy *c)
{
    struct sides p;
    return box_build(b, c, &p);
}

static CUresult copy_now(struct sc_stream *s, const struct sc_copy *c)
{
    sc_stream_join(s);
    sc_stream_sync(s);
    CUresult r = (CUresult)atomic_load(&s->ctx->sticky);
    if (!r)
        sc_copy_run(c);
    return r;
}

/* Takes a small pageable source aside. */
static bool source_stage(struct sc_op *op)
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

static CUresult copy_later(struct sc_stream *s, const struct sc_copy *c, const struct sides *p)
{
    struct sc_op op = {.type = SC_OP_COPY, .bytes = SC_OP_BYTES(copy), .copy.box = *c};

    if (c->width <= INLINE_MAX && c->height == 1 && c->depth == 1 && sc_stream_idle(s)) {
        sc_copy_run(c);
        return CUDA_SUCCESS;
    }
    if (!p->dst || (!p->src && !source_stage(&op)))
        return copy_now(s, c);
    return sc_submit(s, &op, NULL);
}

static CUresult copy_submit(struct sc_stream *s, const struct sc_copy *c, const struct sides *p,
                            bool wait)
{
    if (!wait)
        return copy_later(s, c, p);
    CUresult r = copy_now(s, c);
    sc_print_flush(s->ctx);
    return r;
}

CUresult sc_copy_box(struct sc_stream *s, const struct xg_cuda_box *b, bool wait)
{
    struct sides p;
    struct sc_copy c;
    CUresult r = box_build(b, &c, &p);

    return r ? r : copy_submit(s, &c, &p, wait);
}

CUresult sc_copy_line(struct sc_stream *s, CUdeviceptr dst, CUdeviceptr src, size_t size,
                      enum xg_cuda_way way, bool wait)
{
    const struct sc_copy c = {.dst = dst, .src = src, .width = size, .height = 1, .depth = 1};
    bool any = way == XG_CUDA_ANY;
    CUmemorytype to = any                   ? CU_MEMORYTYPE_UNIFIED
                      : way == XG_CUDA_DTOH ? CU_MEMORYTYPE_HOST
                                            : CU_MEMORYTYPE_DEVICE;
    CUmemorytype from = any                   ? CU_MEMORYTYPE_UNIFIED
                        : way == XG_CUDA_HTOD ? CU_MEMORYTYPE_HOST
                                              : CU_MEMORYTYPE_DEVICE;
    struct sides p;

    if (!side_there(dst, size, to, &p.dst) || !side_there(src, size, from, &p.src))
        return CUDA_ERROR_INVALID_VALUE;
    /* Between any memory of the host a copy is synchronous, whichever call it is. */
    if (any && !((p.dst | p.src) & ~SC_MASK_HOST))
        wait = true;
    return copy_submit(s, &c, &p, wait);
}
