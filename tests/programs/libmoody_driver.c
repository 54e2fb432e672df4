/*
 * softcuda with the moods of other drivers, for what lies between it and a worker.
 *
 * XG_DRIVER_PLAN has a word for each process that calls cuInit, first to last: crash, exit (with
 * 3), hang, and after the last all is well. XG_DRIVER_COUNT is a file that grows by a byte with
 * each. A process that may not write there, such as a worker, has no part in this.
 *
 * XG_DRIVER_MOODS is a list of words, and every process has part in it:
 *   discrete      the device has memory of its own; a wait for a stream says on standard error how
 *                 much processor time a real
 *                 driver would have spent on it, since that one polls, and registering much how
 *                 much memory it would have pinned
 *   lazy          functions are loaded when they are asked for: cuFuncGetAttribute knows some
 *                 attributes of loaded ones only
 *   slabs         memory is mapped in pieces of 2 MiB, and anything else is refused
 *   elsewhere     a reservation lies where the driver likes
 *   fixed         ... and whoever names an address is refused
 *   nowindow      nothing can be reserved
 *   small         not more than 256 GiB can be reserved
 *   unregistered  no memory of the host can be registered
 *   full          the device has 32 MiB left, whatever its size
 *   nocontext     the device is in the exclusive mode and in use
 *   slow          a module needs 1.5 s to load
 *   old           functions of CUDA 12.4 are not there
 *   hmm           kernels reach the memory of the process
 *   spreading     it is not called softcuda, and after an error that ends a context every context
 *                 of the process answers with it
 *   narrow        cuLaunchHostFunc waits while four host functions have not ended; a copy from
 *                 memory that is not registered waits for
 *                 all that is before it in its stream
 */
/* links: -lcuda */
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#pragma GCC visibility push(default)
#include "cuda/abi.h"

#define SLAB ((size_t)2 << 20)

/* softcuda's own of the same name. */
#define REAL(name) ((__typeof__(&name))real(#name))

static void *real(const char *name)
{
    void *f = dlsym(RTLD_NEXT, name);
    if (!f)
        abort();
    return f;
}

static int is(const char *mood)
{
    const char *all = getenv("XG_DRIVER_MOODS");
    size_t n = strlen(mood);

    for (const char *at = all; at && (at = strstr(at, mood)); at += n)
        if ((at == all || at[-1] == ' ') && (!at[n] || at[n] == ' '))
            return 1;
    return 0;
}

static void plan_follow(void)
{
    const char *plan = getenv("XG_DRIVER_PLAN"), *file = getenv("XG_DRIVER_COUNT");
    int fd = plan && file ? open(file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600) : -1;
    struct stat st;
    if (fd < 0 || fstat(fd, &st) < 0 || write(fd, "x", 1) != 1)
        return;
    for (off_t i = 0; i < st.st_size && plan; i++) {
        plan = strchr(plan, ' ');
        plan = plan ? plan + 1 : NULL;
    }
    if (plan && !strncmp(plan, "crash", 5))
        abort();
    if (plan && !strncmp(plan, "exit", 4))
        _exit(3);
    while (plan && !strncmp(plan, "hang", 4))
        pause();
}

CUresult cuInit(unsigned int flags)
{
    static __typeof__(&cuInit) init;
    int version;
    if (!init &&
        !cuDriverGetVersion(&version)) { /* softcuda's: what keeps this library linked with it */
        plan_follow();
        init = REAL(cuInit);
    }
    return init ? init(flags) : CUDA_ERROR_UNKNOWN;
}

CUresult cuDeviceGetAttribute(int *value, CUdevice_attribute a, CUdevice device)
{
    CUresult r = REAL(cuDeviceGetAttribute)(value, a, device);

    if (r == CUDA_SUCCESS && a == CU_DEVICE_ATTRIBUTE_INTEGRATED && is("discrete"))
        *value = 0;
    if (r == CUDA_SUCCESS && a == CU_DEVICE_ATTRIBUTE_COMPUTE_MODE && is("nocontext"))
        *value = CU_COMPUTEMODE_EXCLUSIVE_PROCESS;
    if (r == CUDA_SUCCESS && a == CU_DEVICE_ATTRIBUTE_PAGEABLE_MEMORY_ACCESS && is("hmm"))
        *value = 1;
    return r;
}

CUresult cuDeviceGetName(char *name, int size, CUdevice device)
{
    CUresult r = REAL(cuDeviceGetName)(name, size, device);

    if (r == CUDA_SUCCESS && is("spreading"))
        snprintf(name, (size_t)size, "moody");
    return r;
}

/* --- contexts and waiting --------------------------------------------------------------------- */

static CUresult _Atomic spread;

static CUresult spreads(CUresult r)
{
    if (is("spreading") && !spread && (r == CUDA_ERROR_ILLEGAL_ADDRESS || r == CUDA_ERROR_ASSERT))
        spread = r;
    return spread ? spread : r;
}

CUresult cuDevicePrimaryCtxRetain(CUcontext *out, CUdevice device)
{
    if (spread)
        return spread;
    return is("nocontext") ? CUDA_ERROR_DEVICE_UNAVAILABLE
                           : REAL(cuDevicePrimaryCtxRetain)(out, device);
}

CUresult cuCtxCreate_v2(CUcontext *out, unsigned int flags, CUdevice device)
{
    if (spread)
        return spread;
    return is("nocontext") ? CUDA_ERROR_DEVICE_UNAVAILABLE
                           : REAL(cuCtxCreate_v2)(out, flags, device);
}

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* A real driver polls while it waits. */
static void polled_since(double start)
{
    if (is("discrete") && seconds() - start > 0.1)
        fprintf(stderr, "the driver polled for %.1f s\n", seconds() - start);
}

CUresult cuStreamSynchronize(CUstream s)
{
    double start = seconds();
    CUresult r = spreads(REAL(cuStreamSynchronize)(s));

    polled_since(start);
    return r;
}

CUresult cuCtxSynchronize(void)
{
    double start = seconds();
    CUresult r = spreads(REAL(cuCtxSynchronize)());

    polled_since(start);
    return r;
}

CUresult cuStreamQuery(CUstream s)
{
    return spreads(REAL(cuStreamQuery)(s));
}

CUresult cuEventQuery(CUevent e)
{
    return spreads(REAL(cuEventQuery)(e));
}

static CUevent _Atomic polling[256]; /* events that are not waited for asleep */

CUresult cuEventCreate(CUevent *e, unsigned int flags)
{
    static _Atomic unsigned next;
    CUresult r = REAL(cuEventCreate)(e, flags);

    for (unsigned i = 0; i < sizeof(polling) / sizeof(*polling) && r == CUDA_SUCCESS; i++)
        if (polling[i] == *e)
            polling[i] = NULL;
    if (r == CUDA_SUCCESS && !(flags & CU_EVENT_BLOCKING_SYNC))
        polling[next++ % (sizeof(polling) / sizeof(*polling))] = *e;
    return r;
}

CUresult cuEventSynchronize(CUevent e)
{
    double start = seconds();
    CUresult r = spreads(REAL(cuEventSynchronize)(e));

    for (unsigned i = 0; i < sizeof(polling) / sizeof(*polling); i++)
        if (polling[i] == e)
            polled_since(start);
    return r;
}

/* --- what waits for host functions ------------------------------------------------------------ */

static pthread_mutex_t narrow_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t narrow_ended = PTHREAD_COND_INITIALIZER;
static unsigned narrow_count;

struct narrow {
    CUhostFn fn;
    void *data;
};

static void narrow_run(void *arg)
{
    struct narrow n = *(struct narrow *)arg;

    free(arg);
    n.fn(n.data);
    pthread_mutex_lock(&narrow_lock);
    narrow_count--;
    pthread_cond_broadcast(&narrow_ended);
    pthread_mutex_unlock(&narrow_lock);
}

CUresult cuLaunchHostFunc(CUstream s, CUhostFn fn, void *data)
{
    struct narrow *n = is("narrow") ? malloc(sizeof(*n)) : NULL;

    if (!n)
        return REAL(cuLaunchHostFunc)(s, fn, data);
    *n = (struct narrow){fn, data};
    pthread_mutex_lock(&narrow_lock);
    while (narrow_count >= 4)
        pthread_cond_wait(&narrow_ended, &narrow_lock);
    narrow_count++;
    pthread_mutex_unlock(&narrow_lock);
    return REAL(cuLaunchHostFunc)(s, narrow_run, n);
}

CUresult cuMemcpyHtoDAsync_v2(CUdeviceptr dst, const void *src, size_t size, CUstream s)
{
    unsigned type;

    if (is("narrow") && cuPointerGetAttribute(&type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE,
                                              (CUdeviceptr)src) != CUDA_SUCCESS)
        REAL(cuStreamSynchronize)(s);
    return REAL(cuMemcpyHtoDAsync_v2)(dst, src, size, s);
}

/* --- memory ----------------------------------------------------------------------------------- */

static pthread_mutex_t pieces_lock = PTHREAD_MUTEX_INITIALIZER;
static struct {
    CUmemGenericAllocationHandle handle; /* until it is mapped and released */
    CUdeviceptr at;
    size_t size;
} pieces[4096];
static size_t pieces_left = (size_t)32 << 20;

CUresult cuMemGetInfo_v2(size_t *free_now, size_t *total)
{
    CUresult r = REAL(cuMemGetInfo_v2)(free_now, total);

    if (r == CUDA_SUCCESS && is("full"))
        *free_now = pieces_left;
    return r;
}

CUresult cuMemAlloc_v2(CUdeviceptr *out, size_t size)
{
    fprintf(stderr, "the driver chose an address\n");
    return REAL(cuMemAlloc_v2)(out, size);
}

CUresult cuMemAddressReserve(CUdeviceptr *out, size_t size, size_t align, CUdeviceptr address,
                             unsigned long long flags)
{
    if (is("nowindow") || (is("fixed") && address) || (is("small") && size > (size_t)256 << 30))
        return CUDA_ERROR_OUT_OF_MEMORY;
    if (is("elsewhere") && address == 0x200000000000)
        address = 0;
    return REAL(cuMemAddressReserve)(out, size, align, address, flags);
}

CUresult cuMemGetAllocationGranularity(size_t *size, const CUmemAllocationProp *prop,
                                       CUmemAllocationGranularity_flags how)
{
    CUresult r = REAL(cuMemGetAllocationGranularity)(size, prop, how);

    if (r == CUDA_SUCCESS && is("slabs"))
        *size = SLAB;
    return r;
}

CUresult cuMemCreate(CUmemGenericAllocationHandle *out, size_t size,
                     const CUmemAllocationProp *prop, unsigned long long flags)
{
    unsigned i = 0;
    CUresult r = CUDA_ERROR_OUT_OF_MEMORY;

    if (is("slabs") && size % SLAB)
        return CUDA_ERROR_INVALID_VALUE;
    if (!is("full"))
        return REAL(cuMemCreate)(out, size, prop, flags);
    pthread_mutex_lock(&pieces_lock);
    while (i < sizeof(pieces) / sizeof(*pieces) && pieces[i].size)
        i++;
    if (i < sizeof(pieces) / sizeof(*pieces) && size <= pieces_left)
        r = REAL(cuMemCreate)(out, size, prop, flags);
    if (r == CUDA_SUCCESS) {
        pieces[i].handle = *out;
        pieces[i].at = 0;
        pieces[i].size = size;
        pieces_left -= size;
    }
    pthread_mutex_unlock(&pieces_lock);
    return r;
}

CUresult cuMemMap(CUdeviceptr at, size_t size, size_t offset, CUmemGenericAllocationHandle h,
                  unsigned long long flags)
{
    if (is("slabs") && (at | size) % SLAB)
        return CUDA_ERROR_INVALID_VALUE;
    pthread_mutex_lock(&pieces_lock);
    for (unsigned i = 0; i < sizeof(pieces) / sizeof(*pieces); i++)
        if (pieces[i].size && pieces[i].handle == h)
            pieces[i].at = at;
    pthread_mutex_unlock(&pieces_lock);
    return REAL(cuMemMap)(at, size, offset, h, flags);
}

CUresult cuMemRelease(CUmemGenericAllocationHandle h)
{
    pthread_mutex_lock(&pieces_lock);
    for (unsigned i = 0; i < sizeof(pieces) / sizeof(*pieces); i++)
        if (pieces[i].size && pieces[i].handle == h)
            pieces[i].handle = 0;
    pthread_mutex_unlock(&pieces_lock);
    return REAL(cuMemRelease)(h);
}

CUresult cuMemUnmap(CUdeviceptr at, size_t size)
{
    CUresult r = REAL(cuMemUnmap)(at, size);

    pthread_mutex_lock(&pieces_lock);
    for (unsigned i = 0; i < sizeof(pieces) / sizeof(*pieces) && r == CUDA_SUCCESS; i++)
        if (pieces[i].size && pieces[i].at == at && !pieces[i].handle) {
            pieces_left += pieces[i].size;
            pieces[i].size = 0;
        }
    pthread_mutex_unlock(&pieces_lock);
    return r;
}

CUresult cuMemHostRegister_v2(void *p, size_t size, unsigned int flags)
{
    if (is("discrete") && size > (size_t)64 << 20)
        fprintf(stderr, "the driver pinned %zu MiB\n", size >> 20);
    return is("unregistered") ? CUDA_ERROR_NOT_PERMITTED
                              : REAL(cuMemHostRegister_v2)(p, size, flags);
}

/* --- modules and functions -------------------------------------------------------------------- */

CUresult cuModuleLoadDataEx(CUmodule *out, const void *image, unsigned int n, CUjit_option *option,
                            void **value)
{
    if (is("slow"))
        usleep(1500000);
    return REAL(cuModuleLoadDataEx)(out, image, n, option, value);
}

static CUfunction loaded[256];

static int function_is_loaded(CUfunction f)
{
    for (unsigned i = 0; i < sizeof(loaded) / sizeof(*loaded); i++)
        if (loaded[i] == f)
            return 1;
    return 0;
}

CUresult cuFuncLoad(CUfunction f)
{
    static unsigned next;
    CUresult r = REAL(cuFuncLoad)(f);

    if (r == CUDA_SUCCESS && !function_is_loaded(f))
        loaded[next++ % (sizeof(loaded) / sizeof(*loaded))] = f;
    return r;
}

CUresult cuFuncGetAttribute(int *value, CUfunction_attribute a, CUfunction f)
{
    CUresult r = REAL(cuFuncGetAttribute)(value, a, f);

    if (r == CUDA_SUCCESS && is("lazy") && !function_is_loaded(f) &&
        (a == CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK || a == CU_FUNC_ATTRIBUTE_CONST_SIZE_BYTES ||
         a == CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES))
        return CUDA_ERROR_FUNCTION_NOT_LOADED;
    return r;
}

/* The loader asks this which function it is to be; nothing means that there is none. */
static CUresult param_info(CUfunction f, size_t i, size_t *offset, size_t *size)
{
    return REAL(cuFuncGetParamInfo)(f, i, offset, size);
}

__attribute__((used)) static __typeof__(&param_info) param_info_find(void)
{
    return is("old") ? NULL : param_info;
}
CUresult cuFuncGetParamInfo(CUfunction f, size_t i, size_t *offset, size_t *size)
    __attribute__((ifunc("param_info_find")));
