/* Streams: what a handle stands for, and their life. */
#ifndef XG_CUDA_API_STREAM_H
#define XG_CUDA_API_STREAM_H

#include "cuda/api/context.h"

/* What NULL means as a stream: the legacy one (NULL), or inside the per-thread variants of calls
 * CU_STREAM_PER_THREAD. */
extern __thread CUstream xg_cuda_default_stream;

/* The legacy one is made with its context, and has no handle of its own. */
CUresult xg_cuda_stream_make(struct xg_cuda_ctx *ctx, unsigned flags, int priority, bool legacy,
                             struct xg_cuda_stream **out);

/* The stream that it stands for in that context. NULL: *r says why. */
struct xg_cuda_stream *xg_cuda_stream_in(struct xg_cuda_ctx *ctx, CUstream handle, CUresult *r);
/* Enters the thread's context, or without one that of the stream, and looks the stream up there. */
CUresult xg_cuda_stream_find(CUstream handle, struct xg_cuda_stream **s);
/* The same, and the stream is held until xg_cuda_stream_put. */
CUresult xg_cuda_stream_get(CUstream handle, struct xg_cuda_stream **s);

static inline void xg_cuda_stream_put(struct xg_cuda_stream *s)
{
    if (xg_cuda_device.stream_put)
        xg_cuda_device.stream_put(s);
}

/* The nearest one that the device has. */
int xg_cuda_priority_clamp(int priority);

#endif
