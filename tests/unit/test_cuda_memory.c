/* cuda/api's allocation, pools and questions about pointers, over a device whose memory is a table.
 */
/* links: obj/libcuda_api.a obj/libcuda_common.a -lzstd -llz4 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cuda/api/context.h"
#include "cuda/api/pool.h"

#define OK(call)          assert_int_equal(call, CUDA_SUCCESS)
#define WRONG(call)       assert_int_equal(call, CUDA_ERROR_INVALID_VALUE)
#define FAILS(call, with) assert_int_equal(call, with)

/* --- the device ------------------------------------------------------------------------------- */

enum { ROOM = 16, FULL = 1 << 20 }; /* more than FULL bytes are never there */
static struct xg_cuda_memory table[ROOM];
static struct xg_cuda_ctx context;
#define CTX (context.handle)
static struct xg_cuda_stream stream = {.ctx = &context};
static uint64_t ids;
static bool spoilt, sees_pinned;

static CUresult lost(void)
{
    return CUDA_SUCCESS;
}

/* Once, in the midst of a call: what another thread might do. */
static void (*meanwhile)(void);

static void meanwhile_run(void)
{
    void (*run)(void) = meanwhile;

    meanwhile = NULL;
    if (run)
        run();
}

static CUresult ctx_error(struct xg_cuda_ctx *ctx)
{
    return spoilt ? CUDA_ERROR_LAUNCH_FAILED : CUDA_SUCCESS;
}

static void stream_hold(struct xg_cuda_stream *s)
{
    meanwhile_run();
}

static void stream_put(struct xg_cuda_stream *s)
{
}

static struct xg_cuda_memory *memory_at(uint64_t p)
{
    for (unsigned i = 0; i < ROOM; i++)
        if (p - table[i].start < table[i].size)
            return &table[i];
    return NULL;
}

static bool memory_find(CUdeviceptr p, struct xg_cuda_memory *m)
{
    struct xg_cuda_memory *found = memory_at(p);

    if (found)
        *m = *found;
    meanwhile_run();
    return found != NULL;
}

static CUresult memory_enter(struct xg_cuda_memory m)
{
    for (unsigned i = 0; i < ROOM; i++) {
        if (table[i].size)
            continue;
        m.id = ++ids;
        m.ctx = CTX;
        if (!m.start)
            m.start = (i + 1) * 0x1000000ull;
        m.device = m.kind == XG_CUDA_MEMORY_PINNED && sees_pinned ? m.start + 0x10
                   : m.kind <= XG_CUDA_MEMORY_MANAGED             ? m.start
                                                                  : 0;
        m.host = m.kind == XG_CUDA_MEMORY_DEVICE ? 0 : m.start;
        m.reached = m.device != 0;
        table[i] = m;
        return CUDA_SUCCESS;
    }
    return CUDA_ERROR_OUT_OF_MEMORY;
}

static CUresult alloc_kind(enum xg_cuda_memory_kind kind, size_t size, struct xg_cuda_pool *pool,
                           unsigned flags, uint64_t *out)
{
    CUresult r = size > FULL ? CUDA_ERROR_OUT_OF_MEMORY
                             : memory_enter((struct xg_cuda_memory){
                                   .kind = kind, .size = size, .pool = pool, .flags = flags});

    for (unsigned i = 0; i < ROOM && r == CUDA_SUCCESS; i++)
        if (table[i].id == ids)
            *out = table[i].start;
    return r;
}

static CUresult device_alloc(CUcontext ctx, size_t size, struct xg_cuda_pool *pool,
                             CUdeviceptr *out)
{
    uint64_t p;
    CUresult r = alloc_kind(XG_CUDA_MEMORY_DEVICE, size, pool, 0, &p);

    assert_ptr_equal(ctx, CTX);
    if (r == CUDA_SUCCESS)
        *out = p;
    return r;
}

static CUresult alloc_shared(CUcontext ctx, enum xg_cuda_memory_kind kind, size_t size,
                             unsigned flags, void **out)
{
    uint64_t p;
    CUresult r = alloc_kind(kind, size, NULL, flags, &p);

    if (r == CUDA_SUCCESS)
        *out = (void *)(uintptr_t)p;
    return r;
}

static CUresult memory_leave(uint64_t p, unsigned kinds)
{
    struct xg_cuda_memory *m = memory_at(p);

    if (!m || m->start != p || !(kinds & 1u << m->kind))
        return CUDA_ERROR_INVALID_VALUE;
    if (m->pool)
        xg_cuda_pool_freed(m->pool, m->size);
    *m = (struct xg_cuda_memory){0};
    return CUDA_SUCCESS;
}

static CUresult device_free(CUcontext ctx, CUdeviceptr p)
{
    return memory_leave(p, 1u << XG_CUDA_MEMORY_DEVICE | 1u << XG_CUDA_MEMORY_MANAGED);
}

static CUresult pinned_free(CUcontext ctx, void *p)
{
    return memory_leave((uintptr_t)p, 1u << XG_CUDA_MEMORY_PINNED);
}

static CUresult free_later(struct xg_cuda_stream *s, CUdeviceptr p)
{
    return memory_leave(p, 1u << XG_CUDA_MEMORY_DEVICE);
}

static CUresult memory_info(CUcontext ctx, size_t *free_now, size_t *total)
{
    *free_now = FULL;
    *total = 1ull << 40;
    return CUDA_SUCCESS;
}

static CUresult host_register(CUcontext ctx, void *p, size_t size, unsigned flags)
{
    if (memory_at((uintptr_t)p))
        return CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED;
    return memory_enter((struct xg_cuda_memory){
        .kind = XG_CUDA_MEMORY_REGISTERED, .start = (uintptr_t)p, .size = size, .flags = flags});
}

static CUresult host_unregister(CUcontext ctx, void *p)
{
    return memory_leave((uintptr_t)p, 1u << XG_CUDA_MEMORY_REGISTERED);
}

const struct xg_cuda_device xg_cuda_device = {
    .lost = lost,
    .ctx_error = ctx_error,
    .stream_hold = stream_hold,
    .stream_put = stream_put,
    .memory_find = memory_find,
    .alloc = device_alloc,
    .alloc_shared = alloc_shared,
    .free = device_free,
    .free_pinned = pinned_free,
    .free_later = free_later,
    .memory_info = memory_info,
    .host_register = host_register,
    .host_unregister = host_unregister,
};

static int device_new(void **state)
{
    memset(table, 0, sizeof(table));
    spoilt = false;
    xg_cuda_state = XG_CUDA_STARTED;
    if (!context.handle) {
        context.handle = xg_cuda_handle_new(XG_CUDA_KIND_CTX, &context);
        stream.handle = xg_cuda_handle_new(XG_CUDA_KIND_STREAM, &stream);
    }
    OK(cuCtxSetCurrent(CTX));
    sees_pinned = true;
    return 0;
}

/* Nothing is left of the program's. */
static int device_end(void **state)
{
    for (unsigned i = 0; i < ROOM; i++)
        assert_int_equal(table[i].size, 0);
    return 0;
}

/* --- allocation ------------------------------------------------------------------------------- */

static void allocations(void **state)
{
    CUdeviceptr p = 7;
    size_t pitch = 7, total;
    unsigned small;

    WRONG(cuMemAlloc_v2(NULL, 1));
    WRONG(cuMemAlloc_v2(&p, 0));
    FAILS(cuMemAlloc_v2(&p, FULL + 1), CUDA_ERROR_OUT_OF_MEMORY);
    assert_int_equal(p, 7);
    FAILS(cuMemAllocPitch_v2(&p, &pitch, SIZE_MAX - 100, 1, 4), CUDA_ERROR_OUT_OF_MEMORY);
    FAILS(cuMemAllocPitch_v2(&p, &pitch, 1ull << 40, 1ull << 40, 4), CUDA_ERROR_OUT_OF_MEMORY);
    FAILS(cuMemAllocPitch_v2(&p, &pitch, FULL, 2, 4), CUDA_ERROR_OUT_OF_MEMORY);
    WRONG(cuMemAllocPitch_v2(&p, &pitch, 1, 1, 3));
    assert_int_equal(pitch, 7);
    OK(cuMemAllocPitch_v2(&p, &pitch, 513, 3, 16));
    assert_int_equal(pitch, 1024);
    WRONG(cuMemFree_v2(p + 1));
    spoilt = true;
    FAILS(cuMemFree_v2(p), CUDA_ERROR_LAUNCH_FAILED);
    spoilt = false;
    OK(cuCtxSetCurrent(NULL)); /* the memory has one */
    OK(cuMemFree_v2(p));
    FAILS(cuMemFree_v2(p), CUDA_ERROR_INVALID_CONTEXT);
    OK(cuCtxSetCurrent(CTX));
    OK(cuMemFree_v2(0));
    WRONG(cuMemAllocManaged(&p, 1, 0));
    WRONG(cuMemAllocManaged(&p, 1, CU_MEM_ATTACH_SINGLE));
    OK(cuMemGetInfo_v2(NULL, &total));
    assert_int_equal(total, 1ull << 40);
    OK(cuMemGetInfo(NULL, &small));
    assert_int_equal(small, UINT32_MAX);
}

static void of_the_host(void **state)
{
    void *p = &p, *registered = (void *)0x5000;
    CUdeviceptr d, base;
    unsigned flags;

    WRONG(cuMemHostAlloc(&p, 1, 8));
    OK(cuMemHostAlloc(&p, 0, 0));
    assert_null(p);
    OK(cuMemHostAlloc(&p, 100, CU_MEMHOSTALLOC_PORTABLE));
    OK(cuMemHostGetFlags(&flags, (char *)p + 99));
    assert_int_equal(flags, CU_MEMHOSTALLOC_PORTABLE | CU_MEMHOSTALLOC_DEVICEMAP);
    OK(cuMemHostGetDevicePointer_v2(&d, (char *)p + 5, 0));
    assert_int_equal(d, (uintptr_t)p + 0x15);
    WRONG(cuMemHostGetDevicePointer_v2(&d, p, 1));
    WRONG(cuMemHostUnregister(p));
    spoilt = true;
    OK(cuMemFreeHost(p));
    spoilt = false;
    sees_pinned = false;
    OK(cuMemAllocHost_v2(&p, 1));
    FAILS(cuMemHostGetDevicePointer_v2(&d, p, 0), CUDA_ERROR_NOT_SUPPORTED);
    OK(cuMemFreeHost(p));
    OK(cuMemFreeHost(NULL));

    WRONG(cuMemHostRegister_v2(registered, SIZE_MAX, 0));
    WRONG(cuMemHostRegister_v2(registered, 1, 16));
    FAILS(cuMemHostRegister_v2(registered, 1, CU_MEMHOSTREGISTER_IOMEMORY),
          CUDA_ERROR_NOT_SUPPORTED);
    OK(cuMemHostRegister(registered, 8, 16)); /* which the old call does not know */
    FAILS(cuMemHostRegister(registered, 8, 0), CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED);
    WRONG(cuMemHostGetFlags(&flags, registered));
    WRONG(cuMemHostGetDevicePointer_v2(&d, registered, 0));
    FAILS(cuMemGetAddressRange_v2(&base, NULL, 0x5000), CUDA_ERROR_NOT_FOUND);
    WRONG(cuMemHostUnregister(NULL));
    WRONG(cuMemHostUnregister((char *)registered + 1));
    FAILS(cuMemHostUnregister((char *)registered + 8), CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED);
    OK(cuMemHostUnregister(registered));
}

/* --- pointers --------------------------------------------------------------------------------- */

static uint64_t attribute_of(CUdeviceptr p, CUpointer_attribute a)
{
    uint64_t v = 0;

    OK(cuPointerGetAttribute(&v, a, p));
    return v;
}

static void pointers(void **state)
{
    CUpointer_attribute which[] = {CU_POINTER_ATTRIBUTE_HOST_POINTER,
                                   CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL};
    uint64_t host = 9;
    int ordinal = 9;
    void *into[] = {&host, &ordinal}, *pinned;
    CUdeviceptr p, m;

    OK(cuMemAlloc_v2(&p, 64));
    OK(cuMemAllocManaged(&m, 64, CU_MEM_ATTACH_GLOBAL));
    OK(cuMemHostAlloc(&pinned, 64, 0));
    assert_int_equal(attribute_of(p + 8, CU_POINTER_ATTRIBUTE_DEVICE_POINTER), p + 8);
    assert_int_equal(attribute_of(p, CU_POINTER_ATTRIBUTE_MEMORY_TYPE), CU_MEMORYTYPE_DEVICE);
    assert_int_equal(attribute_of(p, CU_POINTER_ATTRIBUTE_ACCESS_FLAGS), 3);
    assert_int_equal(attribute_of(p, CU_POINTER_ATTRIBUTE_SYNC_MEMOPS), 0);
    assert_int_equal(attribute_of(p, CU_POINTER_ATTRIBUTE_MEMPOOL_HANDLE), 0);
    assert_int_equal(attribute_of(m + 8, CU_POINTER_ATTRIBUTE_HOST_POINTER), m + 8);
    assert_int_equal(attribute_of(m, CU_POINTER_ATTRIBUTE_IS_MANAGED), 1);
    assert_int_equal(attribute_of((uintptr_t)pinned + 8, CU_POINTER_ATTRIBUTE_DEVICE_POINTER),
                     (uintptr_t)pinned + 0x18);
    assert_int_equal(attribute_of((uintptr_t)pinned, CU_POINTER_ATTRIBUTE_MEMORY_TYPE),
                     CU_MEMORYTYPE_HOST);
    WRONG(cuPointerGetAttribute(&host, CU_POINTER_ATTRIBUTE_HOST_POINTER, p));
    WRONG(cuPointerGetAttribute(&host, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, p + 64));
    WRONG(cuPointerGetAttribute(&host, (CUpointer_attribute)99, p));
    FAILS(cuPointerGetAttribute(&host, CU_POINTER_ATTRIBUTE_P2P_TOKENS, p),
          CUDA_ERROR_NOT_SUPPORTED);
    OK(cuPointerGetAttributes(2, which, into, p)); /* what there is not is 0 */
    assert_int_equal(host, 0);
    assert_int_equal(ordinal, 0);
    OK(cuPointerGetAttributes(2, which, into, 1));
    assert_int_equal(ordinal, CU_DEVICE_INVALID);
    OK(cuPointerSetAttribute(&(unsigned){0}, CU_POINTER_ATTRIBUTE_SYNC_MEMOPS, (uintptr_t)pinned));
    OK(cuMemHostRegister_v2((void *)0x5000, 8, 0));
    WRONG(cuPointerSetAttribute(&(unsigned){0}, CU_POINTER_ATTRIBUTE_SYNC_MEMOPS, 0x5000));
    OK(cuMemHostUnregister((void *)0x5000));
    OK(cuPointerSetAttribute(&(unsigned){0}, CU_POINTER_ATTRIBUTE_SYNC_MEMOPS, p));
    FAILS(cuPointerSetAttribute(&(unsigned){1}, CU_POINTER_ATTRIBUTE_SYNC_MEMOPS, p),
          CUDA_ERROR_NOT_SUPPORTED);
    WRONG(cuMemAdvise(p, 64, CU_MEM_ADVISE_SET_READ_MOSTLY, 0)); /* managed memory alone */
    WRONG(cuMemAdvise(m, 65, CU_MEM_ADVISE_SET_READ_MOSTLY, 0));
    OK(cuMemAdvise(m, 64, CU_MEM_ADVISE_SET_READ_MOSTLY, 0));
    WRONG(cuMemPrefetchAsync_v2(m, 64, (CUmemLocation){CU_MEM_LOCATION_TYPE_DEVICE, 0}, 1,
                                stream.handle));
    OK(cuMemPrefetchAsync(m, 64, 0, stream.handle));
    OK(cuMemFree_v2(p));
    OK(cuMemFree_v2(m));
    OK(cuMemFreeHost(pinned));
}

/* --- pools ------------------------------------------------------------------------------------ */

static uint64_t pool_has(CUmemoryPool pool, CUmemPool_attribute a)
{
    cuuint64_t v = 0;

    OK(cuMemPoolGetAttribute(pool, a, &v));
    return v;
}

static void pools(void **state)
{
    CUmemPoolProps props = {.allocType = CU_MEM_ALLOCATION_TYPE_PINNED,
                            .location = {CU_MEM_LOCATION_TYPE_DEVICE, 0},
                            .maxSize = 100};
    CUmemoryPool pool, standard, now;
    CUdeviceptr p, q;

    OK(cuMemPoolCreate(&pool, &props));
    OK(cuMemAllocFromPoolAsync(&p, 60, pool, stream.handle));
    assert_int_equal(attribute_of(p, CU_POINTER_ATTRIBUTE_MEMPOOL_HANDLE), (uintptr_t)pool);
    FAILS(cuMemAllocFromPoolAsync(&q, 41, pool, stream.handle), CUDA_ERROR_OUT_OF_MEMORY);
    OK(cuMemAllocFromPoolAsync(&q, 40, pool, stream.handle));
    FAILS(cuMemFreeAsync(q, (CUstream)0x99), CUDA_ERROR_INVALID_HANDLE);
    OK(cuMemFreeAsync(q, stream.handle));
    OK(cuMemFreeAsync(0, stream.handle));
    assert_int_equal(pool_has(pool, CU_MEMPOOL_ATTR_USED_MEM_CURRENT), 60);
    assert_int_equal(pool_has(pool, CU_MEMPOOL_ATTR_USED_MEM_HIGH), 100);
    OK(cuMemPoolDestroy(pool)); /* its memory stays */
    WRONG(cuMemPoolDestroy(pool));
    assert_int_equal(attribute_of(p, CU_POINTER_ATTRIBUTE_MEMPOOL_HANDLE), 0);
    WRONG(cuMemAllocFromPoolAsync(&q, 1, pool, stream.handle));
    OK(cuMemFree_v2(p));

    OK(cuDeviceGetDefaultMemPool(&standard, 0));
    FAILS(cuDeviceGetDefaultMemPool(&now, 1), CUDA_ERROR_INVALID_DEVICE);
    WRONG(cuMemPoolDestroy(standard));
    props.maxSize = 0;
    OK(cuMemPoolCreate(&pool, &props));
    OK(cuDeviceSetMemPool(0, pool));
    OK(cuMemAllocAsync(&p, 500, stream.handle));
    assert_int_equal(pool_has(pool, CU_MEMPOOL_ATTR_USED_MEM_CURRENT), 500);
    FAILS(cuMemAllocAsync(&q, FULL + 1, stream.handle), CUDA_ERROR_OUT_OF_MEMORY);
    assert_int_equal(pool_has(pool, CU_MEMPOOL_ATTR_USED_MEM_HIGH), 500);
    OK(cuMemPoolDestroy(pool));
    OK(cuDeviceGetMemPool(&now, 0));
    assert_ptr_equal(now, standard);
    OK(cuMemFreeAsync(p, stream.handle));
}

/* --- pools that are destroyed in the midst of a call ------------------------------------------ */

static CUmemoryPool doomed;
static CUdeviceptr of_doomed;

static void doomed_new(void)
{
    const CUmemPoolProps props = {.allocType = CU_MEM_ALLOCATION_TYPE_PINNED,
                                  .location = {CU_MEM_LOCATION_TYPE_DEVICE, 0}};

    OK(cuMemPoolCreate(&doomed, &props));
}

static void doomed_destroy(void)
{
    OK(cuMemPoolDestroy(doomed));
}

static void doomed_free(void)
{
    OK(cuMemFreeAsync(of_doomed, stream.handle));
    OK(cuMemPoolDestroy(doomed));
}

static void pools_destroyed(void **state)
{
    CUdeviceptr p;
    CUmemoryPool pool = doomed;

    doomed_new();
    meanwhile = doomed_destroy;
    OK(cuMemAllocFromPoolAsync(&p, 1, doomed, stream.handle)); /* the call was first */
    assert_int_equal(attribute_of(p, CU_POINTER_ATTRIBUTE_MEMPOOL_HANDLE), 0);
    OK(cuMemFree_v2(p));

    doomed_new();
    OK(cuDeviceSetMemPool(0, doomed));
    meanwhile = doomed_destroy;
    OK(cuMemAllocAsync(&p, 1, stream.handle));
    OK(cuMemFree_v2(p));

    doomed_new();
    OK(cuDeviceSetMemPool(0, doomed));
    meanwhile = doomed_destroy;
    FAILS(cuMemAllocAsync(&p, FULL + 1, stream.handle), CUDA_ERROR_OUT_OF_MEMORY);
    WRONG(cuMemPoolTrimTo(doomed, 0));

    doomed_new();
    OK(cuMemAllocFromPoolAsync(&of_doomed, 1, doomed, stream.handle));
    meanwhile = doomed_free;
    OK(cuPointerGetAttribute(&pool, CU_POINTER_ATTRIBUTE_MEMPOOL_HANDLE, of_doomed));
    assert_null(pool);
}

/* A sanitizer has a calloc of its own. */
#if defined(__has_feature)
#define SANITIZED __has_feature(address_sanitizer)
#elif defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#else
#define SANITIZED 0
#endif

#if !SANITIZED
void *__libc_calloc(size_t count, size_t size);

void *calloc(size_t count, size_t size)
{
    meanwhile_run();
    return __libc_calloc(count, size);
}

/* As a signal's handler might do it, while the device's pool is made. */
static void pools_interrupted(void **state)
{
    CUmemoryPool standard;

    xg_cuda_pools_reset();
    doomed_new();
    meanwhile = doomed_destroy;
    OK(cuDeviceGetMemPool(&standard, 0));
    WRONG(cuMemPoolDestroy(doomed));
    WRONG(cuMemPoolDestroy(standard));
}
#endif

/* Not while a stream is captured, and that spoils the capture. */
static void captured(void **state)
{
    CUdeviceptr p, q;
    CUgraph g;

    OK(cuMemAlloc_v2(&p, 1));
    OK(cuStreamBeginCapture_v2(stream.handle, CU_STREAM_CAPTURE_MODE_GLOBAL));
    WRONG(cuMemFreeAsync(p, stream.handle)); /* it was not allocated in it */
    WRONG(cuMemFreeAsync(0, stream.handle)); /* nor that */
    FAILS(cuMemAlloc_v2(NULL, 0), CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
    FAILS(cuMemFree_v2(p), CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
    FAILS(cuMemAllocAsync(&q, 1, stream.handle), CUDA_ERROR_NOT_SUPPORTED);
    FAILS(cuStreamEndCapture(stream.handle, &g), CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
    OK(cuMemFree_v2(p));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(allocations, device_new, device_end),
        cmocka_unit_test_setup_teardown(of_the_host, device_new, device_end),
        cmocka_unit_test_setup_teardown(pointers, device_new, device_end),
        cmocka_unit_test_setup_teardown(pools, device_new, device_end),
        cmocka_unit_test_setup_teardown(pools_destroyed, device_new, device_end),
#if !SANITIZED
        cmocka_unit_test_setup_teardown(pools_interrupted, device_new, device_end),
#endif
        cmocka_unit_test_setup_teardown(captured, device_new, device_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
