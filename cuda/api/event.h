/* Events: what cuda/api knows of one, and the work of a stream that is about events. */
#ifndef XG_CUDA_API_EVENT_H
#define XG_CUDA_API_EVENT_H

#include "cuda/api/capture.h"
#include "cuda/api/stream.h"

/* The device's own structure begins with it. */
struct xg_cuda_event {
    CUevent handle;
    struct xg_cuda_ctx *ctx;
    unsigned flags;
    _Atomic bool recorded; /* at all, other than in a capture */
    struct xg_cuda_mark mark;
};

static inline struct xg_cuda_event *xg_cuda_event_get(CUevent handle)
{
    return xg_cuda_handle_get(XG_CUDA_KIND_EVENT, handle); /* NULL: not an event */
}

void xg_cuda_event_free(struct xg_cuda_event *e);

/* In a stream that is held; flags as cuEventRecordWithFlags and cuStreamWaitEvent have them. */
CUresult xg_cuda_event_record(struct xg_cuda_stream *s, CUevent handle, unsigned flags);
CUresult xg_cuda_event_wait(struct xg_cuda_stream *s, CUevent handle, unsigned flags);

#endif
