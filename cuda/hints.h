/*
 * Hints about managed memory (cuMemAdvise, cuMemPrefetchAsync). Where memory does not move they
 * change nothing but what cuMemRangeGetAttribute answers; their arguments are checked all the same.
 * The guest's libcuda and softcuda share this.
 *
 * A hint holds for exactly the bytes it names: allocations here may share a page.
 */
#ifndef XG_CUDA_HINTS_H
#define XG_CUDA_HINTS_H

#include <stdint.h>

#include "cuda/abi.h"

/* What the calls without a location mean. */
CUmemLocation xg_cuda_hint_location(CUdevice device);

/* `start` and `size` are a range of managed memory: the caller has looked. There are `devices`
 * devices. */
CUresult xg_cuda_hint_advise(uint64_t start, uint64_t size, CUmem_advise advice,
                             CUmemLocation where, int devices);
CUresult xg_cuda_hint_prefetch(uint64_t start, uint64_t size, CUmemLocation where, int devices);
CUresult xg_cuda_hint_attribute(uint64_t start, uint64_t size, CUmem_range_attribute attribute,
                                void *data, size_t data_size);

/* What lies there is new. */
void xg_cuda_hint_forget(uint64_t start, uint64_t size);

#endif
