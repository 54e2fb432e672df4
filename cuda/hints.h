/*
 * Hints about managed memory (cuMemAdvise, cuMemPrefetchAsync). Where memory does not move they
 * only change what cuMemRangeGetAttribute answers. Their arguments are checked nevertheless. The
 * guest's libcuda and softcuda share this.
 *
 * A hint is for exactly the bytes that it names, not for whole pages: allocations may share a page.
 */
#ifndef XG_CUDA_HINTS_H
#define XG_CUDA_HINTS_H

#include <stdint.h>

#include "cuda/abi.h"

/* The location that a call with a device in its place means. */
CUmemLocation xg_cuda_hint_location(CUdevice device);

/* The caller has checked that the range is managed memory. `devices`: how many there are. */
CUresult xg_cuda_hint_advise(uint64_t start, uint64_t size, CUmem_advise advice,
                             CUmemLocation where, int devices);
CUresult xg_cuda_hint_prefetch(uint64_t start, uint64_t size, CUmemLocation where, int devices);
CUresult xg_cuda_hint_attribute(uint64_t start, uint64_t size, CUmem_range_attribute attribute,
                                void *data, size_t data_size);

/* The range was allocated or freed: it has no hints. */
void xg_cuda_hint_forget(uint64_t start, uint64_t size);

#endif
