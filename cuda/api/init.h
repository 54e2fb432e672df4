/* The process: whether cuInit was called, and whether a call may be made now. */
#ifndef XG_CUDA_API_INIT_H
#define XG_CUDA_API_INIT_H

#include "cuda/device.h"

enum { XG_CUDA_NEW, XG_CUDA_STARTED, XG_CUDA_FORKED };
extern _Atomic int xg_cuda_state;

/* This thread is running a host function, which may not call CUDA: what it waits for could be
 * behind it in its own stream. The device says so. */
extern __thread bool xg_cuda_in_host_function;

static inline bool xg_cuda_started(void)
{
    return XG_LIKELY(atomic_load_explicit(&xg_cuda_state, memory_order_acquire) == XG_CUDA_STARTED);
}

/* What every call begins with that does any work for CUDA. */
static inline CUresult xg_cuda_ready(void)
{
    if (XG_UNLIKELY(!xg_cuda_started()))
        return CUDA_ERROR_NOT_INITIALIZED;
    return XG_UNLIKELY(xg_cuda_in_host_function) ? CUDA_ERROR_NOT_PERMITTED : CUDA_SUCCESS;
}

#define XG_CUDA_READY()                                                                            \
    do {                                                                                           \
        CUresult ready_ = xg_cuda_ready();                                                         \
        if (XG_UNLIKELY(ready_ != CUDA_SUCCESS))                                                   \
            return ready_;                                                                         \
    } while (0)

#endif
