/*
 * What becomes of libraries and kernels, for the devices. A library is an image that becomes a
 * module in each context where one of its kernels or variables is first used.
 */
#ifndef XG_CUDA_API_MODULE_H
#define XG_CUDA_API_MODULE_H

#include "cuda/device.h"

/* The function that a kernel is in that context, loaded if need be. CUDA_ERROR_INVALID_HANDLE: it
 * is no kernel. */
CUresult xg_cuda_kernel_function(CUcontext ctx, const void *kernel, struct xg_cuda_function **f);

/* The context ends, and its modules with it. */
void xg_cuda_libraries_forget(CUcontext ctx);
void xg_cuda_libraries_reset(void); /* after fork: the parent's are nothing */

#endif
