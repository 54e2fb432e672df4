/* Graphs and captures are cuda/api's; here is what the calls that can be captured need. */
#ifndef XG_INTERPOSER_CUDA_GRAPH_H
#define XG_INTERPOSER_CUDA_GRAPH_H

#include "interposer/cuda/copy.h"

/* Whether it could be done now (launch.c). */
CUresult cu_launch_check(const struct cu_func *f, const CUDA_KERNEL_NODE_PARAMS *p);

/* The same work behind a stream that was looked up. */
CUresult cu_launch(struct cu_ctx *ctx, uint32_t stream, const struct cu_func *f,
                   const unsigned grid[3], const unsigned block[3], unsigned shared, uint32_t flags,
                   void **params, void **extra);

/* By its name, which was looked up in this context. */
static inline struct xg_cuda_stream *cu_stream_api(struct cu_ctx *ctx, uint32_t stream)
{
    struct xg_cuda_stream *s = xg_cuda_handle_named(XG_CUDA_KIND_STREAM, stream);
    return s ? s : ctx->api.legacy;
}

struct xg_cuda_stream *cu_capture_find(uint32_t stream);

/* Returns what a capture answers to work that it cannot take. Goes on if there is none, or if
 * another thread has ended it meanwhile. */
#define CU_CAPTURE_REFUSES(capture)                                                                \
    do {                                                                                           \
        CUresult refused_ =                                                                        \
            XG_UNLIKELY((capture) != NULL) ? xg_cuda_capture_refuses(capture) : CUDA_SUCCESS;      \
        if (XG_UNLIKELY(refused_ != CUDA_SUCCESS))                                                 \
            return refused_;                                                                       \
    } while (0)

/* NULL: what goes to that stream of the current context is not captured, nor refused because others
 * are. */
static inline struct xg_cuda_stream *cu_capture_of(uint32_t stream)
{
    return XG_LIKELY(!atomic_load_explicit(&xg_cuda_captures, memory_order_relaxed))
               ? NULL
               : cu_capture_find(stream);
}

/* The same for a call that cannot become a node. CUDA_SUCCESS: it is not being captured. */
static inline CUresult cu_capture_check(uint32_t stream)
{
    struct xg_cuda_stream *s = cu_capture_of(stream);
    return XG_LIKELY(!s) ? CUDA_SUCCESS : xg_cuda_capture_refuses(s);
}

/* The same for one that CUDA has a node for, which is not here. */
static inline CUresult cu_capture_lacks(uint32_t stream)
{
    CUresult r = cu_capture_check(stream);
    return r == CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED ? CUDA_ERROR_NOT_SUPPORTED : r;
}

#endif
