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
/* [p, p + size) begins in pinned or managed memory and goes beyond: all that is behind it is of the
 * arena too, and somebody else's. By some bytes within its last page it may. */
bool cu_leaves_arena(uint64_t p, uint64_t size);
CUresult cu_stream_wait(struct cu_ctx *ctx, uint32_t stream);
CUresult cu_copy_line(struct xg_cuda_stream *s, CUdeviceptr dst, CUdeviceptr src, size_t size,
                      enum xg_cuda_way way, bool wait);
void cu_copy_own(void *own); /* taken and given back for nothing */
CUresult cu_copy_check(const struct xg_cuda_box *b, void **own);
CUresult cu_copy_box(struct xg_cuda_stream *s, const struct xg_cuda_box *b, bool wait, void *own);
CUresult cu_fill_check(const CUDA_MEMSET_NODE_PARAMS *p, void **own);
CUresult cu_fill(struct xg_cuda_stream *s, const CUDA_MEMSET_NODE_PARAMS *p, bool wait, void *own);

#endif
