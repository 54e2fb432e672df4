/*
 * Stream capture, for the devices: what goes to a captured stream becomes nodes of a graph. A
 * device asks xg_cuda_capturing before it does work for a stream, and calls the function for that
 * kind of work, or xg_cuda_capture_refuses for what cannot become a node.
 */
#ifndef XG_CUDA_API_CAPTURE_H
#define XG_CUDA_API_CAPTURE_H

#include "cuda/device.h"

extern _Atomic unsigned xg_cuda_captures; /* under way */

/* A place in a capture: what an event stands for that was recorded there. All zero: none. */
struct xg_cuda_mark {
    _Atomic uint64_t capture;
    struct xg_cuda_node **tail;
    unsigned tails;
};

bool xg_cuda_capturing_slow(const struct xg_cuda_stream *s);
/* It is captured; or it is the legacy stream, which may not be used while one that synchronises
 * with it is. */
static inline bool xg_cuda_capturing(const struct xg_cuda_stream *s)
{
    return XG_UNLIKELY(atomic_load_explicit(&xg_cuda_captures, memory_order_relaxed)) &&
           xg_cuda_capturing_slow(s);
}

CUresult xg_cuda_capture_kernel(struct xg_cuda_stream *s, const CUDA_KERNEL_NODE_PARAMS *p,
                                bool cooperative);
CUresult xg_cuda_capture_host(struct xg_cuda_stream *s, CUhostFn fn, void *data);
/* With `external` (CU_EVENT_RECORD_EXTERNAL) a node that records it. */
CUresult xg_cuda_capture_record(struct xg_cuda_stream *s, CUevent event, bool external,
                                struct xg_cuda_mark *m);
/* A wait for the event, if the stream is captured, or the event was recorded in a capture: the
 * stream joins that one. With `external` a node that waits. */
CUresult xg_cuda_capture_wait(struct xg_cuda_stream *s, CUevent event, bool external,
                              const struct xg_cuda_mark *m);
/* Spoils the capture, if there is one; CUDA_SUCCESS: there is none. */
CUresult xg_cuda_capture_refuses(struct xg_cuda_stream *s);
/* The stream is destroyed. */
void xg_cuda_capture_abandon(struct xg_cuda_stream *s);

static inline bool xg_cuda_marked(const struct xg_cuda_mark *m)
{
    return XG_UNLIKELY(atomic_load_explicit(&m->capture, memory_order_relaxed) != 0);
}
/* What is answered about such an event. */
CUresult xg_cuda_mark_refuses(const struct xg_cuda_mark *m);
void xg_cuda_mark_clear(struct xg_cuda_mark *m);

/* Calls that are unsafe while a stream is captured (cuThreadExchangeStreamCaptureMode): which they
 * are was asked of a driver. Each spoils the captures that forbid it. */
bool xg_cuda_capture_forbids(void);
#define XG_CUDA_UNSAFE()                                                                           \
    do {                                                                                           \
        if (XG_UNLIKELY(atomic_load_explicit(&xg_cuda_captures, memory_order_relaxed)) &&          \
            xg_cuda_capture_forbids())                                                             \
            return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;                                          \
    } while (0)

void xg_cuda_graphs_reset(void); /* after fork: the parent's graphs and captures are nothing */

#endif
