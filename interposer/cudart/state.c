/* Which device a thread uses, and the contexts behind the devices. */
#include "interposer/cudart/runtime.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

_Thread_local struct rt_thread rt_self __attribute__((tls_model("initial-exec")));
atomic_uint rt_epoch = 1;
atomic_bool rt_exiting;

struct device {
    CUcontext primary; /* valid while `retained`; afterwards the last one, see context_is_stale */
    bool retained;
};

static struct {
    pthread_mutex_t lock;
    bool known;
    int count;
    int *valid, valid_count; /* cudaSetValidDevices */
    struct device *device;
} devices = {.lock = RT_LOCK_INITIALIZER};

static atomic_bool forked, gone;

/* The driver does not work after fork(): the child must not use what belongs to its parent. */
static void child_note(void)
{
    atomic_fetch_add(&rt_epoch, 1);
    atomic_store(&forked, true);
}

static cudaError_t devices_find(void)
{
    cudaError_t e = cudaSuccess;
    CUresult r;

    pthread_mutex_lock(&devices.lock);
    if (!devices.known) {
        r = drv.cuDeviceGetCount(&devices.count);
        if (r == CUDA_SUCCESS && !devices.count)
            r = CUDA_ERROR_NO_DEVICE;
        if (r == CUDA_SUCCESS) {
            devices.device = calloc((size_t)devices.count, sizeof(*devices.device));
            if (!devices.device)
                r = CUDA_ERROR_OUT_OF_MEMORY;
        }
        e = rt_error(r);
        devices.known = e == cudaSuccess;
        if (devices.known)
            pthread_atfork(NULL, NULL, child_note);
    }
    pthread_mutex_unlock(&devices.lock);
    return e;
}

static cudaError_t driver_ready(void)
{
    if (atomic_load(&gone))
        return cudaErrorCudartUnloading;
    if (atomic_load(&forked))
        return cudaErrorInitializationError;
    RT_TRY(rt_driver_open());
    return devices_find();
}

cudaError_t rt_need_driver(void)
{
    if (XG_LIKELY(rt_self.epoch == atomic_load_explicit(&rt_epoch, memory_order_relaxed)))
        return cudaSuccess;
    return rt_recorded(driver_ready());
}

__attribute__((destructor)) static void library_gone(void)
{
    atomic_store(&gone, true);
    atomic_fetch_add(&rt_epoch, 1);
}

/* --- contexts --------------------------------------------------------------------------------- */

static cudaError_t primary_locked(struct device *d, int ordinal)
{
    CUresult r;

    if (d->retained)
        return cudaSuccess;
    r = drv.cuDevicePrimaryCtxRetain(&d->primary, ordinal);
    d->retained = r == CUDA_SUCCESS;
    return rt_error(r);
}

cudaError_t rt_primary(int device, CUcontext *ctx)
{
    cudaError_t e;

    if (device < 0 || device >= devices.count)
        return cudaErrorInvalidDevice;
    pthread_mutex_lock(&devices.lock);
    e = primary_locked(&devices.device[device], device);
    *ctx = devices.device[device].primary;
    pthread_mutex_unlock(&devices.lock);
    return e;
}

/* A primary context that cudaDeviceReset has ended while it was current in this thread. */
static bool context_is_stale(CUcontext ctx)
{
    bool stale = false;

    pthread_mutex_lock(&devices.lock);
    for (int i = 0; i < devices.count; i++)
        stale |= devices.device[i].primary == ctx && !devices.device[i].retained;
    pthread_mutex_unlock(&devices.lock);
    return stale;
}

static int device_chosen(void)
{
    if (rt_self.device)
        return rt_self.device - 1;
    return devices.valid_count ? devices.valid[0] : 0;
}

static cudaError_t device_use(int device)
{
    CUcontext ctx;

    RT_TRY(rt_primary(device, &ctx));
    return rt_error(drv.cuCtxSetCurrent(ctx));
}

cudaError_t rt_enter_slow(void)
{
    unsigned int epoch = atomic_load(&rt_epoch);
    CUcontext ctx = NULL;
    cudaError_t e = driver_ready();

    if (!e)
        e = rt_error(drv.cuCtxGetCurrent(&ctx));
    if (!e && (!ctx || context_is_stale(ctx)))
        e = device_use(device_chosen());
    if (e)
        return rt_fail(e);
    rt_self.epoch = epoch;
    return cudaSuccess;
}

cudaError_t rt_device(int *device)
{
    CUcontext ctx = NULL;

    RT_TRY(rt_error(drv.cuCtxGetCurrent(&ctx)));
    if (ctx && !context_is_stale(ctx))
        return rt_error(drv.cuCtxGetDevice(device));
    *device = device_chosen();
    return cudaSuccess;
}

/* --- choosing --------------------------------------------------------------------------------- */

cudaError_t cudaGetDeviceCount(int *count)
{
    RT_NEED(count);
    *count = 0;
    RT_NEED_DRIVER();
    *count = devices.count;
    return cudaSuccess;
}

cudaError_t cudaGetDevice(int *device)
{
    RT_NEED(device);
    RT_NEED_DRIVER();
    return rt_recorded(rt_device(device));
}

cudaError_t cudaSetDevice(int device)
{
    unsigned int epoch = atomic_load(&rt_epoch);
    cudaError_t e;

    RT_NEED_DRIVER();
    e = device_use(device);
    if (e)
        return rt_fail(e);
    rt_self.device = device + 1;
    rt_self.epoch = epoch;
    return cudaSuccess;
}

cudaError_t cudaInitDevice(int device, unsigned int device_flags, unsigned int flags)
{
    CUcontext ctx;

    RT_NEED_DRIVER();
    if (flags & ~(unsigned int)XG_RT_INIT_DEVICE_FLAGS_VALID)
        return rt_fail(cudaErrorInvalidValue);
    if (flags)
        RT_TRY(rt_result(drv.cuDevicePrimaryCtxSetFlags_v2(
            device, device_flags & ~(unsigned int)XG_RT_DEVICE_MAP_HOST)));
    return rt_recorded(rt_primary(device, &ctx));
}

cudaError_t cudaSetDeviceFlags(unsigned int flags)
{
    int device;

    RT_NEED_DRIVER();
    if (flags & ~(unsigned int)XG_RT_DEVICE_FLAGS_MASK)
        return rt_fail(cudaErrorInvalidValue);
    RT_TRY(rt_device(&device));
    /* Host memory can always be mapped; a primary context has no flag for it. */
    flags &= ~(unsigned int)XG_RT_DEVICE_MAP_HOST;
    return rt_result(drv.cuDevicePrimaryCtxSetFlags_v2(device, flags));
}

cudaError_t cudaGetDeviceFlags(unsigned int *flags)
{
    int device, active;

    RT_NEED(flags);
    RT_NEED_DRIVER();
    RT_TRY(rt_device(&device));
    RT_TRY(rt_result(drv.cuDevicePrimaryCtxGetState(device, flags, &active)));
    *flags |= XG_RT_DEVICE_MAP_HOST;
    return cudaSuccess;
}

cudaError_t cudaSetValidDevices(int *list, int count)
{
    int *copy = NULL;

    RT_NEED_DRIVER();
    if (count < 0 || (count && !list))
        return rt_fail(cudaErrorInvalidValue);
    for (int i = 0; i < count; i++)
        if (list[i] < 0 || list[i] >= devices.count)
            return rt_fail(cudaErrorInvalidDevice);
    if (count) {
        copy = malloc((size_t)count * sizeof(*copy));
        if (!copy)
            return rt_fail(cudaErrorMemoryAllocation);
        memcpy(copy, list, (size_t)count * sizeof(*copy));
    }
    pthread_mutex_lock(&devices.lock);
    free(devices.valid);
    devices.valid = copy;
    devices.valid_count = count;
    pthread_mutex_unlock(&devices.lock);
    return cudaSuccess;
}

/* --- reset ------------------------------------------------------------------------------------ */

cudaError_t cudaDeviceReset(void)
{
    int device;
    CUresult r;

    RT_NEED_DRIVER();
    RT_TRY(rt_device(&device));
    if (device < 0 || device >= devices.count)
        return rt_fail(cudaErrorInvalidDevice);
    pthread_mutex_lock(&devices.lock);
    r = drv.cuDevicePrimaryCtxReset_v2(device);
    if (r == CUDA_SUCCESS && devices.device[device].retained) {
        drv.cuDevicePrimaryCtxRelease_v2(device);
        devices.device[device].retained = false;
        atomic_fetch_add(&rt_epoch, 1);
    }
    pthread_mutex_unlock(&devices.lock);
    if (r == CUDA_SUCCESS)
        rt_managed_forget();
    return rt_result(r);
}

#if RT_VERSION == 12
cudaError_t cudaThreadExit(void)
{
    return cudaDeviceReset();
}
#endif
