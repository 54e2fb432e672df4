/*
 * cuda_table_pool: allocation in the order of a stream, pools and their attributes, what becomes of
 * a device's pool.
 */
/* links: -lcuda */
#include "tests/programs/cuda_table.h"

enum { MB = 1 << 20 };

/* Where the device, or the way to it, has no pools there is nothing to say. */
#define NEEDS_POOLS()                                                                              \
    do {                                                                                           \
        if (!attribute(CU_DEVICE_ATTRIBUTE_MEMORY_POOLS_SUPPORTED))                                \
            return;                                                                                \
    } while (0)

static const CUmemPoolProps plain = {.allocType = CU_MEM_ALLOCATION_TYPE_PINNED,
                                     .location = {CU_MEM_LOCATION_TYPE_DEVICE, 0}};

static uint64_t of(CUmemoryPool pool, CUmemPool_attribute a)
{
    uint64_t v = 0;

    CHECK(cuMemPoolGetAttribute(pool, a, &v));
    return v;
}

static int switch_of(CUmemoryPool pool, CUmemPool_attribute a)
{
    int v = -1;

    CHECK(cuMemPoolGetAttribute(pool, a, &v));
    return v;
}

/* --- allocations ------------------------------------------------------------------------------ */

static void allocate_async(void)
{
    struct gate gate = {0};
    CUdeviceptr p, q, base;
    CUstream s, t;
    CUevent e;
    size_t size;
    uint32_t v = 0;

    NEEDS_POOLS();
    CHECK(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
    CHECK(cuStreamCreate(&t, CU_STREAM_NON_BLOCKING));
    CHECK(cuEventCreate(&e, CU_EVENT_DISABLE_TIMING));
    OK(cuMemAllocAsync(&p, 10000, s), p, p % 256 == 0);
    OK(cuMemsetD32Async(p, 7, 2500, s));
    OK(cuMemcpyDtoHAsync(&v, p + 9996, 4, s));
    OK(cuStreamSynchronize(s), v == 7);
    OK(cuMemGetAddressRange(&base, &size, p + 9999), base == p, size >= 10000);
    OK(cuEventRecord(e, s));
    OK(cuStreamWaitEvent(t, e, 0)); /* another stream has to know that it is there */
    OK(cuMemsetD32Async(p, 8, 2500, t));
    OK(cuMemFreeAsync(p, t)); /* whoever is last */
    OK(cuStreamSynchronize(t));
    NO(INVALID_VALUE, cuMemFree(p));

    OK(cuLaunchHostFunc(s, gate_wait, &gate));
    OK(cuMemAllocAsync(&p, MB, s), p); /* the address is there at once, the memory in its turn */
    OK(cuMemsetD8Async(p, 1, MB, s));
    NO(NOT_READY, cuStreamQuery(s));
    gate_open(&gate);
    OK(cuStreamSynchronize(s), bytes_are(p, MB, 1));
    OK(cuMemFreeAsync(p, s));
    OK(cuStreamSynchronize(s));

    OK(cuMemAllocAsync(&p, 64, NULL), p);
    OK(cuMemAllocAsync(&q, 64, CU_STREAM_PER_THREAD), q, q != p);
    OK(cuCtxSynchronize());
    OK(cuMemFree(p)); /* cuMemFree takes it too, and waits */
    OK(cuMemFreeAsync(q, CU_STREAM_PER_THREAD));
    OK(cuMemAlloc(&p, 64));
    OK(cuMemFreeAsync(p, s)); /* and cuMemFreeAsync what cuMemAlloc gave */
    OK(cuMemFreeAsync(0, s));
    OK(cuStreamSynchronize(s));
    if (on_softcuda() && attribute(CU_DEVICE_ATTRIBUTE_MANAGED_MEMORY)) {
        OK(cuMemAllocManaged(&p, 64, CU_MEM_ATTACH_GLOBAL));
        NO(INVALID_VALUE, cuMemFreeAsync(p, s)); /* no stream has managed memory */
        OK(cuMemFree(p));
    }
    p = 5;
    NO(OUT_OF_MEMORY, cuMemAllocAsync(&p, 1ull << 46, s));
    OK(cuStreamSynchronize(s));
    CHECK(cuEventDestroy(e));
    CHECK(cuStreamDestroy(s));
    CHECK(cuStreamDestroy(t));
}

/* "Must be passed the address of a graph allocation", and 0 is none. */
static void captured(void)
{
    CUdeviceptr p;
    CUstream s;
    CUgraph g;

    NEEDS_POOLS();
    CHECK(cuStreamCreate(&s, 0));
    CHECK(cuMemAlloc(&p, 64));
    OK(cuStreamBeginCapture(s, CU_STREAM_CAPTURE_MODE_RELAXED));
    NO(INVALID_VALUE, cuMemFreeAsync(p, s));
    NO(INVALID_VALUE, cuMemFreeAsync(0, s));
    if (on_softcuda())
        NO(STREAM_CAPTURE_IMPLICIT, cuMemFreeAsync(0, NULL));
    cuStreamEndCapture(s, &g);
    OK(cuMemFreeAsync(0, NULL));
    OK(cuMemFree(p));
    CHECK(cuStreamDestroy(s));
}

/* --- a pool of the program's own -------------------------------------------------------------- */

static void own_pool(void)
{
    CUmemLocation here = {CU_MEM_LOCATION_TYPE_DEVICE, 0};
    CUmemAccess_flags access = CU_MEM_ACCESS_FLAGS_PROT_NONE;
    CUmemoryPool pool, whose = NULL;
    uint64_t used, high;
    CUdeviceptr p, q;
    CUstream s;

    NEEDS_POOLS();
    CHECK(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
    OK(cuMemPoolCreate(&pool, &plain), pool);
    SEE(of(pool, CU_MEMPOOL_ATTR_USED_MEM_CURRENT) == 0);
    SEE(of(pool, CU_MEMPOOL_ATTR_USED_MEM_HIGH) == 0);
    SEE(of(pool, CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT) == 0);
    SEE(of(pool, CU_MEMPOOL_ATTR_RELEASE_THRESHOLD) == 0);
    SEE(switch_of(pool, CU_MEMPOOL_ATTR_REUSE_FOLLOW_EVENT_DEPENDENCIES) == 1);
    SEE(switch_of(pool, CU_MEMPOOL_ATTR_REUSE_ALLOW_OPPORTUNISTIC) == 1);
    SEE(switch_of(pool, CU_MEMPOOL_ATTR_REUSE_ALLOW_INTERNAL_DEPENDENCIES) == 1);
    OK(cuMemPoolSetAttribute(pool, CU_MEMPOOL_ATTR_REUSE_ALLOW_OPPORTUNISTIC, &(int){0}));
    SEE(switch_of(pool, CU_MEMPOOL_ATTR_REUSE_ALLOW_OPPORTUNISTIC) == 0);
    SEE(switch_of(pool, CU_MEMPOOL_ATTR_REUSE_FOLLOW_EVENT_DEPENDENCIES) == 1);
    /* So that it keeps what it had; without, it gives it back when somebody waits. */
    OK(cuMemPoolSetAttribute(pool, CU_MEMPOOL_ATTR_RELEASE_THRESHOLD, &(uint64_t){64 * MB}));
    SEE(of(pool, CU_MEMPOOL_ATTR_RELEASE_THRESHOLD) == 64 * MB);

    OK(cuMemAllocFromPoolAsync(&p, 3 * MB, pool, s), p);
    OK(cuStreamSynchronize(s));
    OK(cuPointerGetAttribute(&whose, CU_POINTER_ATTRIBUTE_MEMPOOL_HANDLE, p + 5), whose == pool);
    used = of(pool, CU_MEMPOOL_ATTR_USED_MEM_CURRENT);
    SEE(used >= 3 * MB);
    SEE(of(pool, CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT) >= used);
    OK(cuMemAllocFromPoolAsync(&q, MB, pool, s), q);
    OK(cuStreamSynchronize(s));
    SEE(of(pool, CU_MEMPOOL_ATTR_USED_MEM_CURRENT) >= used + MB);
    high = of(pool, CU_MEMPOOL_ATTR_USED_MEM_HIGH);
    SEE(high >= used + MB);
    OK(cuMemsetD8Async(p, 3, 3 * MB, s));
    OK(cuStreamSynchronize(s), bytes_are(p, 3 * MB, 3));
    OK(cuMemFreeAsync(q, s));
    OK(cuMemFreeAsync(p, s));
    OK(cuStreamSynchronize(s));
    SEE(of(pool, CU_MEMPOOL_ATTR_USED_MEM_CURRENT) == 0);
    SEE(of(pool, CU_MEMPOOL_ATTR_USED_MEM_HIGH) == high);
    OK(cuMemPoolSetAttribute(pool, CU_MEMPOOL_ATTR_USED_MEM_HIGH, &(uint64_t){0}));
    SEE(of(pool, CU_MEMPOOL_ATTR_USED_MEM_HIGH) == 0); /* counted anew */
    NO(INVALID_VALUE,
       cuMemPoolSetAttribute(pool, CU_MEMPOOL_ATTR_USED_MEM_HIGH, &(uint64_t){5})); /* only to 0 */
    NO(INVALID_VALUE,
       cuMemPoolSetAttribute(pool, CU_MEMPOOL_ATTR_USED_MEM_CURRENT, &(uint64_t){0}));
    SEE(of(pool, CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT) <= 64 * MB);
    OK(cuMemPoolTrimTo(pool, 0));
    SEE(of(pool, CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT) == 0); /* nothing of it was in use */
    OK(cuMemPoolGetAccess(&access, pool, &here), access == CU_MEM_ACCESS_FLAGS_PROT_READWRITE);
    OK(cuMemPoolDestroy(pool));
    if (on_softcuda()) { /* a driver follows it */
        NO(INVALID_VALUE, cuMemAllocFromPoolAsync(&p, 64, pool, s));
        NO(INVALID_VALUE, cuMemPoolDestroy(pool));
    }
    CHECK(cuStreamDestroy(s));
}

/* What is in a destroyed pool is there until it is freed. */
static void destroyed_early(void)
{
    CUmemoryPool pool;
    CUdeviceptr p;

    NEEDS_POOLS();
    OK(cuMemPoolCreate(&pool, &plain));
    OK(cuMemAllocFromPoolAsync(&p, MB, pool, NULL));
    OK(cuMemPoolDestroy(pool));
    OK(cuMemsetD8Async(p, 9, MB, NULL));
    OK(cuStreamSynchronize(NULL), bytes_are(p, MB, 9));
    OK(cuMemFreeAsync(p, NULL));
    OK(cuStreamSynchronize(NULL));
    NO(INVALID_VALUE, cuMemFree(p));
}

/* A context takes along what was allocated in it, and the pool knows. */
static void of_a_context(void)
{
    CUmemoryPool pool;
    CUcontext other;
    CUdeviceptr p;

    NEEDS_POOLS();
    OK(cuMemPoolCreate(&pool, &plain));
    OK(cuCtxCreate_v2(&other, 0, dev));
    OK(cuMemAllocFromPoolAsync(&p, MB, pool, NULL));
    OK(cuStreamSynchronize(NULL));
    SEE(of(pool, CU_MEMPOOL_ATTR_USED_MEM_CURRENT) >= MB);
    OK(cuCtxDestroy(other));
    if (on_softcuda()) /* a driver's pool may keep it */
        SEE(of(pool, CU_MEMPOOL_ATTR_USED_MEM_CURRENT) == 0);
    OK(cuMemPoolDestroy(pool));
}

/* --- the device's pool ------------------------------------------------------------------------ */

static void of_the_device(void)
{
    CUmemoryPool first = NULL, now = NULL, own, whose = NULL;
    CUdeviceptr p;

    NEEDS_POOLS();
    OK(cuDeviceGetDefaultMemPool(&first, dev), first);
    OK(cuDeviceGetMemPool(&now, dev), now == first);
    NO(INVALID_VALUE, cuMemPoolDestroy(first)); /* the default one cannot be destroyed */
    OK(cuMemPoolCreate(&own, &plain), own != first);
    OK(cuDeviceGetMemPool(&now, dev), now == first); /* to make one changes nothing */
    OK(cuDeviceSetMemPool(dev, own));
    OK(cuDeviceGetMemPool(&now, dev), now == own);
    OK(cuDeviceGetDefaultMemPool(&now, dev), now == first);
    OK(cuMemAllocAsync(&p, MB, NULL)); /* from that one */
    OK(cuStreamSynchronize(NULL));
    SEE(of(own, CU_MEMPOOL_ATTR_USED_MEM_CURRENT) >= MB);
    OK(cuPointerGetAttribute(&whose, CU_POINTER_ATTRIBUTE_MEMPOOL_HANDLE, p), whose == own);
    OK(cuMemFreeAsync(p, NULL));
    OK(cuStreamSynchronize(NULL));
    SEE(of(own, CU_MEMPOOL_ATTR_USED_MEM_CURRENT) == 0);
    OK(cuMemPoolDestroy(own)); /* then the default one is the device's again */
    OK(cuDeviceGetMemPool(&now, dev), now == first);
    OK(cuMemAllocAsync(&p, MB, NULL));
    OK(cuPointerGetAttribute(&whose, CU_POINTER_ATTRIBUTE_MEMPOOL_HANDLE, p), whose == first);
    OK(cuMemFreeAsync(p, NULL));
    OK(cuStreamSynchronize(NULL));
}

/* A pool that was made to be shared with nobody is not. */
static void exports(void)
{
    CUmemoryPool pool;
    CUmemPoolPtrExportData data;
    CUdeviceptr p;
    int fd = -1;

    NEEDS_POOLS();
    OK(cuMemPoolCreate(&pool, &plain));
    NO(INVALID_VALUE,
       cuMemPoolExportToShareableHandle(&fd, pool, CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR, 0));
    SEE(fd == -1);
    OK(cuMemAllocFromPoolAsync(&p, 4096, pool, NULL));
    NO(INVALID_VALUE, cuMemPoolExportPointer(&data, p));
    OK(cuMemFreeAsync(p, NULL));
    OK(cuStreamSynchronize(NULL));
    OK(cuMemPoolDestroy(pool));
}

static const struct table tables[] = {
    {"allocate", allocate_async},
    {"captured", captured},
    {"own", own_pool},
    {"destroyed early", destroyed_early},
    {"context", of_a_context},
    {"device", of_the_device},
    {"export", exports},
    {0},
};

int main(void)
{
    return tables_run("pool", tables);
}
