/* Copies and fills, for cuda/api alone: what their descriptions mean. */
#ifndef XG_CUDA_API_COPY_H
#define XG_CUDA_API_COPY_H

#include "cuda/device.h"

/* Makes sense of a description, and fills in what it leaves out. Nothing is to be copied: success,
 * and xg_cuda_box_empty. */
CUresult xg_cuda_box_of(const CUDA_MEMCPY3D *m, struct xg_cuda_box *b);
static inline bool xg_cuda_box_empty(const struct xg_cuda_box *b)
{
    return !b->width || !b->rows || !b->slices;
}

/* Never CU_MEMORYTYPE_UNIFIED. */
CUmemorytype xg_cuda_side_type(const struct xg_cuda_side *s);

/* Where there is something to fill: whether it lies at multiples of its elements, and its rows
 * apart. */
bool xg_cuda_fill_valid(const CUDA_MEMSET_NODE_PARAMS *p);

/* capture.c: for a stream that is captured, or may not be used because others are. */
CUresult xg_cuda_capture_copy(struct xg_cuda_stream *s, const CUDA_MEMCPY3D *p);
CUresult xg_cuda_capture_fill(struct xg_cuda_stream *s, const CUDA_MEMSET_NODE_PARAMS *p);

#endif
