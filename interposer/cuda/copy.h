/* Copies and fills, for the files that make them: cuda/api's operations, over the ring. */
#ifndef XG_INTERPOSER_CUDA_COPY_H
#define XG_INTERPOSER_CUDA_COPY_H

#include "interposer/cuda/cu.h"

#define SMALL_COPY XG_BLOB_INLINE_MAX /* rides in the frame */

/* Device memory, or at least an address that can be nothing else. */
bool cu_is_device(uint64_t p);
/* Memory that the device reaches, all of it in one allocation; managed and pinned memory count, and
 * *p becomes the device's address. */
bool cu_device_ok(uint64_t *p, uint64_t size);
CUresult cu_stream_wait(struct cu_ctx *ctx, uint32_t stream);
CUresult cu_copy_line(struct xg_cuda_stream *s, CUdeviceptr dst, CUdeviceptr src, size_t size,
                      enum xg_cuda_way way, bool wait);
/* Nothing is kept of them: `own` is NULL. */
CUresult cu_copy_check(const struct xg_cuda_box *b, void **own);
CUresult cu_copy_box(struct xg_cuda_stream *s, const struct xg_cuda_box *b, bool wait, void *own);
CUresult cu_fill_check(const CUDA_MEMSET_NODE_PARAMS *p, void **own);
CUresult cu_fill(struct xg_cuda_stream *s, const CUDA_MEMSET_NODE_PARAMS *p, bool wait, void *own);

static inline struct cu_ctx *cu_stream_ctx(struct xg_cuda_stream *s)
{
    return s->legacy ? xg_container_of(s, struct cu_ctx, legacy)
                     : xg_container_of(s, struct cu_stream, api)->ctx;
}

/* The name for the wire. */
static inline uint32_t cu_stream_wire(struct xg_cuda_stream *s)
{
    return s->legacy ? XG_CUDA_STREAM_LEGACY : xg_container_of(s, struct cu_stream, api)->o.name;
}

/* Enters the context and looks up a stream; declares `ctx` and `stream`. */
#define CU_STREAM(handle)                                                                          \
    CU_ENTER_OF(ctx, CU_KIND_STREAM, handle);                                                      \
    uint32_t stream;                                                                               \
    if (XG_UNLIKELY(!cu_stream_name(&ctx, handle, &stream)))                                       \
    return CUDA_ERROR_INVALID_HANDLE

#endif
