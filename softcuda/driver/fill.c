/* Fills: see copy.c for when work is queued and when it is done at once. */
#include "softcuda/driver/sc.h"

enum { INLINE_MAX = 8 * 1024 };

CUresult sc_set_build(const CUDA_MEMSET_NODE_PARAMS *p, struct sc_set *set)
{
    *set = (struct sc_set){p->dst, p->pitch, p->width, p->height, p->value, p->elementSize};
    return sc_mem_covered(p->dst, xg_cuda_fill_span(p), NULL) ? CUDA_SUCCESS
                                                              : CUDA_ERROR_INVALID_VALUE;
}

CUresult sc_fill(struct sc_stream *s, const CUDA_MEMSET_NODE_PARAMS *p, bool wait)
{
    struct sc_op op = {.type = SC_OP_SET, .bytes = SC_OP_BYTES(set)};
    CUresult r = sc_set_build(p, &op.set);

    if (r)
        return r;
    if (wait) {
        sc_stream_join(s);
        sc_stream_sync(s);
        r = (CUresult)atomic_load(&s->ctx->sticky);
    } else if (xg_cuda_fill_span(p) > INLINE_MAX || !sc_stream_idle(s)) {
        return sc_submit(s, &op, NULL);
    }
    if (!r)
        sc_set_run(&op.set);
    return r;
}
