/* Copies, for the files that make them. Streams are names here. */
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
CUresult cu_copy_htod(struct cu_ctx *ctx, uint32_t stream, uint64_t dst, const void *src,
                      uint64_t size, bool wait);
CUresult cu_copy_dtoh(struct cu_ctx *ctx, uint32_t stream, void *dst, uint64_t src, uint64_t size,
                      bool wait);
CUresult cu_copy_dtod(struct cu_ctx *ctx, uint32_t stream, uint64_t dst, uint64_t src,
                      uint64_t size);
CUresult cu_copy_any(struct cu_ctx *ctx, uint32_t stream, uint64_t dst, uint64_t src, uint64_t size,
                     bool wait);

/* Enters the context and looks up a stream; declares `ctx` and `stream`. */
#define CU_STREAM(handle)                                                                          \
    CU_ENTER_OF(ctx, CU_KIND_STREAM, handle);                                                      \
    uint32_t stream;                                                                               \
    if (XG_UNLIKELY(!cu_stream_name(&ctx, handle, &stream)))                                       \
    return CUDA_ERROR_INVALID_HANDLE

#endif
