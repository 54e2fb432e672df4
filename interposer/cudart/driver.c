/* The driver, opened by SONAME at first use, so that a program which never needs a GPU starts
 * without one, and so that LD_LIBRARY_PATH and LD_PRELOAD decide which driver it is. */
#include "interposer/cudart/runtime.h"

#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

struct rt_driver drv;

static pthread_mutex_t open_lock = RT_LOCK_INITIALIZER;
static atomic_bool opened;

static CUresult driver_lacks(void)
{
    return CUDA_ERROR_NOT_SUPPORTED;
}

static void exit_note(void)
{
    atomic_store(&rt_exiting, true);
}

static void *driver_load(void)
{
    static const char *const names[] = {
#define F(name, ...) #name,
#include "cuda/abi/func_table.h"
#undef F
    };
    void **slot = (void **)&drv;
    void *lib = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);

    for (size_t i = 0; lib && i < XG_ARRAY_LEN(names); i++) {
        slot[i] = dlsym(lib, names[i]);
        if (!slot[i])
            slot[i] = (void *)driver_lacks;
    }
    return lib;
}

/* No signal is handled meanwhile: a handler that calls exit would wait for ever for the loader's
 * lock, which its own thread holds. */
static bool library_open(void)
{
    sigset_t all, before;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    bool there = driver_load() != NULL;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return there;
}

static cudaError_t open_locked(void)
{
    int version = 0;
    CUresult r;

    if (!library_open())
        return cudaErrorInsufficientDriver;
    r = drv.cuInit(0);
    if (r != CUDA_SUCCESS)
        return rt_error(r);
    r = drv.cuDriverGetVersion(&version);
    if (r != CUDA_SUCCESS)
        return rt_error(r);
    if (version / 1000 < RT_VERSION)
        return cudaErrorInsufficientDriver;
    /* Exit handlers run in the reverse order of their registration: this one runs before those that
     * the program registered at its start, which unregister its kernels. */
    atexit(exit_note);
    atomic_store_explicit(&opened, true, memory_order_release);
    return cudaSuccess;
}

cudaError_t rt_driver_open(void)
{
    static bool opening;
    cudaError_t e = cudaSuccess;

    if (XG_LIKELY(atomic_load_explicit(&opened, memory_order_acquire)))
        return cudaSuccess;
    pthread_mutex_lock(&open_lock);
    if (opening) {
        e = cudaErrorInitializationError;
    } else if (!atomic_load(&opened)) {
        opening = true;
        e = open_locked();
        opening = false;
    }
    pthread_mutex_unlock(&open_lock);
    return e;
}

/* Works without a device, and answers 0 without a driver. */
cudaError_t cudaDriverGetVersion(int *version)
{
    void *lib;
    CUresult (*get)(int *);

    RT_NEED(version);
    *version = 0;
    lib = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
    if (!lib)
        return cudaSuccess;
    get = (CUresult(*)(int *))dlsym(lib, "cuDriverGetVersion");
    return get ? rt_result(get(version)) : cudaSuccess;
}

cudaError_t cudaRuntimeGetVersion(int *version)
{
    RT_NEED(version);
    *version = RT_API_VERSION;
    return cudaSuccess;
}

/* --- entry points of the driver --------------------------------------------------------------- */

static cudaError_t entry_point(const char *symbol, void **entry, unsigned int version,
                               unsigned long long flags,
                               enum cudaDriverEntryPointQueryResult *status)
{
    CUdriverProcAddressQueryResult found = CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND;
    CUresult r;

    RT_NEED(symbol);
    RT_NEED(entry);
    *entry = NULL;
    RT_NEED_DRIVER();
    r = drv.cuGetProcAddress_v2(symbol, entry, (int)version, flags, &found);
    if (status)
        *status = (enum cudaDriverEntryPointQueryResult)found;
    /* A caller that asks for the status gets "not found" there, and no error. */
    if (r == CUDA_ERROR_NOT_FOUND && status)
        return cudaSuccess;
    return rt_result(r);
}

static unsigned long long per_thread(unsigned long long flags)
{
    return flags ? flags : cudaEnablePerThreadDefaultStream;
}

cudaError_t cudaGetDriverEntryPoint(const char *symbol, void **entry, unsigned long long flags,
                                    enum cudaDriverEntryPointQueryResult *status)
{
    return entry_point(symbol, entry, RT_API_VERSION, flags, status);
}

cudaError_t cudaGetDriverEntryPoint_ptsz(const char *symbol, void **entry, unsigned long long flags,
                                         enum cudaDriverEntryPointQueryResult *status)
{
    return entry_point(symbol, entry, RT_API_VERSION, per_thread(flags), status);
}

cudaError_t cudaGetDriverEntryPointByVersion(const char *symbol, void **entry, unsigned int version,
                                             unsigned long long flags,
                                             enum cudaDriverEntryPointQueryResult *status)
{
    return entry_point(symbol, entry, version, flags, status);
}

cudaError_t cudaGetDriverEntryPointByVersion_ptsz(const char *symbol, void **entry,
                                                  unsigned int version, unsigned long long flags,
                                                  enum cudaDriverEntryPointQueryResult *status)
{
    return entry_point(symbol, entry, version, per_thread(flags), status);
}

/* The vendor's private tables are not part of what this library offers. */
cudaError_t cudaGetExportTable(const void **table, const cudaUUID_t *id)
{
    RT_NEED(table);
    RT_NEED(id);
    *table = NULL;
    return rt_fail(cudaErrorNotSupported);
}
