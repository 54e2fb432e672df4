/*
 * Memory pools, for the devices: what is allocated from one holds it until it is freed. A pool is
 * its numbers; memory comes from where all of the device's comes from, and nothing is hoarded.
 */
#ifndef XG_CUDA_API_POOL_H
#define XG_CUDA_API_POOL_H

#include "cuda/device.h"

/* One of its allocations is gone. */
void xg_cuda_pool_freed(struct xg_cuda_pool *p, uint64_t size);
CUmemoryPool xg_cuda_pool_handle(const struct xg_cuda_pool *p); /* NULL: it was destroyed */
void xg_cuda_pools_reset(void); /* after fork: the parent's are nothing any more */

#endif
