/*
 * Inside libcudart: what the files of this folder share.
 *
 * Everything is compiled twice, with RT_VERSION 12 and 13; a program loads one of the two libraries
 * (or both, for different plug-ins), and they share nothing. The library owns no device state: it
 * keeps which device each thread has chosen, the last error of each thread, and which kernel or
 * variable each host address means. All else is the driver's, reached through the table `drv`.
 */
#ifndef XG_CUDART_RUNTIME_H
#define XG_CUDART_RUNTIME_H

#include "protocol/base.h"
#include "cuda/abi.h"
#include "cuda/abi/runtime.h"

#include <pthread.h>
#include <stdatomic.h>

/* Recursive: a signal handler that ends the program may run while its own thread has a lock. */
#define RT_LOCK_INITIALIZER PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP

#if RT_VERSION == 12
#define RT_API_VERSION        12090
#define cudaDeviceProp        cudaDeviceProp_12
#define cudaPointerAttributes cudaPointerAttributes_12
#define cudaResourceDesc      cudaResourceDesc_12
#elif RT_VERSION == 13
#define RT_API_VERSION        13000
#define cudaDeviceProp        cudaDeviceProp_13
#define cudaPointerAttributes cudaPointerAttributes_13
#define cudaResourceDesc      cudaResourceDesc_13
#else
#error "RT_VERSION is 12 or 13"
#endif

/* Passed on by pointer only: what is in them does not matter here. */
struct cudaExternalMemoryHandleDesc;
struct cudaExternalMemoryBufferDesc;
struct cudaExternalSemaphoreHandleDesc;
struct cudaExternalSemaphoreSignalParams;
struct cudaExternalSemaphoreWaitParams;

#if RT_VERSION == 12
#include "cudart/api_12.h"
#else
#include "cudart/api_13.h"
#endif

/* --- driver.c: libcuda.so.1 ------------------------------------------------------------------- */

struct rt_driver {
#define F(name, ...) __typeof__(name) *name;
#include "cuda/abi/func_table.h"
#undef F
};

/* Filled by the first rt_need_driver that succeeds. A function that the driver lacks answers
 * CUDA_ERROR_NOT_SUPPORTED. */
extern struct rt_driver drv;

/* Opens the driver; a second call does nothing. An error is a cudaError_t, not recorded. */
cudaError_t rt_driver_open(void);

/* --- state.c: threads, devices, contexts ------------------------------------------------------ */

struct rt_thread {
    cudaError_t last; /* what cudaGetLastError answers */
    int device;       /* chosen device + 1; 0: none chosen */
    unsigned int epoch;
};

extern _Thread_local struct rt_thread rt_self __attribute__((tls_model("initial-exec")));

/* Increased whenever a context that a thread has made current may no longer be valid: a device was
 * reset, the process has forked, the library is being unloaded. */
extern atomic_uint rt_epoch;

/* True once exit handlers run: the driver may have ended, so nothing of it is freed any more. */
extern atomic_bool rt_exiting;

cudaError_t rt_enter_slow(void);
cudaError_t rt_need_driver(void);

/* Makes a context current: the program's own, if it set one through the driver API, else the
 * primary context of the thread's device. An error is recorded. */
static inline cudaError_t rt_enter(void)
{
    CUcontext ctx;

    if (XG_LIKELY(rt_self.epoch == atomic_load_explicit(&rt_epoch, memory_order_relaxed) &&
                  drv.cuCtxGetCurrent(&ctx) == CUDA_SUCCESS && ctx))
        return cudaSuccess;
    return rt_enter_slow();
}

/* The device whose context is current, or would be after rt_enter; makes no context. */
cudaError_t rt_device(int *device);
/* The primary context of `device`, retained. Errors are not recorded. */
cudaError_t rt_primary(int device, CUcontext *ctx);

/* --- error.c ---------------------------------------------------------------------------------- */

cudaError_t rt_error(CUresult r);
void rt_record(cudaError_t e) __attribute__((cold));
cudaError_t rt_fail_driver(CUresult r) __attribute__((cold));

/* Records `e` as the thread's last error and returns it. */
static inline cudaError_t rt_fail(cudaError_t e)
{
    rt_record(e);
    return e;
}

/* Records what a function returned that does not record its errors itself, and returns it. */
static inline cudaError_t rt_recorded(cudaError_t e)
{
    return e ? rt_fail(e) : cudaSuccess;
}

static inline cudaError_t rt_result(CUresult r)
{
    return XG_LIKELY(r == CUDA_SUCCESS) ? cudaSuccess : rt_fail_driver(r);
}

#define RT_TRY(call)                                                                               \
    do {                                                                                           \
        cudaError_t try_ = (call);                                                                 \
        if (XG_UNLIKELY(try_ != cudaSuccess))                                                      \
            return try_;                                                                           \
    } while (0)
#define RT_ENTER()       RT_TRY(rt_enter())
#define RT_NEED_DRIVER() RT_TRY(rt_need_driver())
#define RT_NEED(pointer)                                                                           \
    do {                                                                                           \
        if (XG_UNLIKELY(!(pointer)))                                                               \
            return rt_fail(cudaErrorInvalidValue);                                                 \
    } while (0)

/* The stream that a _ptsz function means. */
#define RT_PTSZ(stream) ((stream) ? (stream) : cudaStreamPerThread)

/* --- registry.c: the kernels and variables that host addresses mean --------------------------- */

/* The driver's kernel for what the runtime's API calls a function: the address of the host stub, a
 * cudaKernel_t or a cudaFunction_t. Loads the module at first use. Needs a context; errors are
 * recorded. */
cudaError_t rt_kernel(const void *func, CUkernel *kernel);
/* The same for the handle that __cudaGetKernel gave. */
cudaError_t rt_kernel_of_handle(cudaKernel_t handle, CUkernel *kernel);
/* The kernel as a function of the current context: some driver calls take no kernel. */
cudaError_t rt_function(const void *func, CUfunction *function);
/* Where a variable of the program lies on the current device. Errors are recorded. */
cudaError_t rt_variable(const void *symbol, CUdeviceptr *address, size_t *size);
/* The same for `size` bytes at `offset` in it, which must lie within it. */
cudaError_t rt_variable_part(const void *symbol, size_t size, size_t offset, void **at);
/* Makes rt_kernel know a handle that was given to the program. */
cudaError_t rt_kernel_publish(const void *key, CUkernel kernel, CUlibrary library);
void rt_library_forget(CUlibrary library);
/* After a reset managed variables may have other addresses: the next launch looks them up again. */
void rt_managed_forget(void);
/* The address or handle by which the program knows this kernel; NULL if it knows none. */
const void *rt_kernel_name(CUkernel kernel, CUfunction function);

/* --- link.c ----------------------------------------------------------------------------------- */

/* Loads what the compiler registered. */
CUresult rt_library_load(const void *image, CUlibrary *library);

/* --- launch.c --------------------------------------------------------------------------------- */

/* Translates, with the stream that is named apart. Errors are recorded. */
cudaError_t rt_launch_config(const cudaLaunchConfig_t *in, cudaStream_t stream,
                             CUlaunchConfig *out);

/* --- copies, fills, arrays -------------------------------------------------------------------- */

static inline CUdeviceptr rt_address(const void *p)
{
    return (CUdeviceptr)(uintptr_t)p;
}

/* Ends a synchronous call that was made as an asynchronous one in `stream`: waits for it. `r`: the
 * result of that one. */
static inline cudaError_t rt_wait(CUresult r, cudaStream_t stream)
{
    RT_TRY(rt_result(r));
    return rt_result(drv.cuStreamSynchronize(stream));
}

/* Translate. Errors are not recorded. */
cudaError_t rt_copy3d(const struct cudaMemcpy3DParms *p, CUDA_MEMCPY3D *out);
cudaError_t rt_copy1d(void *dst, const void *src, size_t size, enum cudaMemcpyKind kind,
                      CUDA_MEMCPY3D *out);
/* Bytes of one element of an array; 0: an error. */
size_t rt_array_element(CUarray array);
cudaError_t rt_format_to_driver(const struct cudaChannelFormatDesc *desc, CUarray_format *format,
                                unsigned int *channels);
struct cudaChannelFormatDesc rt_format_from_driver(CUarray_format format, unsigned int channels);

#endif
