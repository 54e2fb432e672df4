/* softcuda's memory: allocation, quota, copies, pinned and mapped memory, pools, kernels' bounds.
 */
/* links: obj/libsoftcuda_driver.a obj/libcuda_api.a obj/libcuda_common.a -lzstd -llz4 -lm */
/* san: thread */
#include "tests/unit/softcuda_fake.h"

#include <sys/mman.h>

#define MB ((size_t)1 << 20)

/* Does a kernel get away with touching this byte? In a context of its own, as a fault ends it. */
static bool may_touch(CUdeviceptr p)
{
    CUcontext c;

    OK(cuCtxCreate_v2(&c, 0, 0));
    OK(fake_launch(fake_function("touch"), NULL, p, 0));
    CUresult r = cuCtxSynchronize();
    OK(cuCtxDestroy(c));
    assert_true(r == CUDA_SUCCESS || r == CUDA_ERROR_ILLEGAL_ADDRESS);
    return r == CUDA_SUCCESS;
}

static void allocations(void **state)
{
    static const size_t sizes[] = {1, 100, 512, 4096, 100000, MB, MB + 1, 5 * MB};
    CUdeviceptr p[XG_ARRAY_LEN(sizes)], base;
    size_t free0, free1, total, size;

    OK(cuMemGetInfo(&free0, &total));
    for (size_t i = 0; i < XG_ARRAY_LEN(sizes); i++) {
        OK(cuMemAlloc(&p[i], sizes[i]));
        assert_int_equal(p[i] % 512, 0);
        OK(cuMemGetAddressRange(&base, &size, p[i] + sizes[i] - 1));
        assert_int_equal(base, p[i]);
        assert_int_equal(size, sizes[i]);
        assert_true(may_touch(p[i]) && may_touch(p[i] + sizes[i] - 1));
        assert_false(may_touch(p[i] - 1));
        assert_false(may_touch(p[i] + xg_align_up(sizes[i], 16)));
    }
    OK(cuMemGetInfo(&free1, &total));
    assert_true(free0 - free1 >= 7 * MB && free1 < total);
    assert_int_equal(cuMemFree(p[2] + 8), CUDA_ERROR_INVALID_VALUE);
    for (size_t i = 0; i < XG_ARRAY_LEN(sizes); i++) {
        OK(cuMemFree(p[i]));
        assert_int_equal(cuMemFree(p[i]), CUDA_ERROR_INVALID_VALUE);
        if (sizes[i] > 512) /* a small place may be a module's variable by now */
            assert_false(may_touch(p[i]));
    }
    OK(cuMemGetInfo(&free1, &total));
    assert_int_equal(free0, free1);
    assert_int_equal(cuMemAlloc(NULL, 4), CUDA_ERROR_INVALID_VALUE);
    assert_int_equal(cuMemAlloc(&base, 0), CUDA_ERROR_INVALID_VALUE);
    assert_int_equal(cuMemAlloc(&base, total + 1), CUDA_ERROR_OUT_OF_MEMORY);
    assert_int_equal(cuMemAlloc(&base, SIZE_MAX), CUDA_ERROR_OUT_OF_MEMORY);
    OK(cuMemFree(0));
}

static void reuse_and_quota(void **state)
{
    size_t free_bytes, total, n = 0;
    CUdeviceptr p[64], q;

    for (int i = 0; i < 1000; i++) {
        OK(cuMemAlloc(&q, 3 * MB));
        OK(cuMemFree(q));
    }
    /* SOFTCUDA_MEMORY is 256 MB here: see main. */
    while (n < 64 && !cuMemAlloc(&p[n], 10 * MB))
        n++;
    assert_int_equal(n, 25);
    OK(cuMemGetInfo(&free_bytes, &total));
    assert_int_equal(total, 256 * MB);
    assert_int_equal(free_bytes, 6 * MB);
    assert_int_equal(cuMemAllocManaged(&q, 7 * MB, CU_MEM_ATTACH_GLOBAL), CUDA_ERROR_OUT_OF_MEMORY);
    assert_int_equal(cuMemAllocAsync(&q, 7 * MB, NULL), CUDA_ERROR_OUT_OF_MEMORY);
    CUmemAllocationProp prop = {.type = CU_MEM_ALLOCATION_TYPE_PINNED,
                                .location = {CU_MEM_LOCATION_TYPE_DEVICE, 0}};
    CUmemGenericAllocationHandle h;
    assert_int_equal(cuMemCreate(&h, 8 * MB, &prop, 0), CUDA_ERROR_OUT_OF_MEMORY);
    while (n)
        OK(cuMemFree(p[--n]));
}

static void fill(uint8_t *p, size_t n, unsigned seed)
{
    for (size_t i = 0; i < n; i++)
        p[i] = (uint8_t)(i * 7 + seed + (i >> 8));
}

static void copies(void **state)
{
    enum { N = 300000 };
    uint8_t *a = malloc(N), *b = malloc(N), *pinned;
    CUdeviceptr p, q;
    CUstream s;

    OK(cuMemAlloc(&p, N));
    OK(cuMemAlloc(&q, N));
    OK(cuStreamCreate(&s, 0));
    OK(cuMemAllocHost((void **)&pinned, N));
    static const size_t sizes[] = {1, 1000, 8 * 1024, 64 * 1024, 64 * 1024 + 1, N};
    for (size_t i = 0; i < XG_ARRAY_LEN(sizes); i++) {
        size_t n = sizes[i];
        fill(a, n, (unsigned)i);
        OK(cuMemcpyHtoD(p, a, n));
        OK(cuMemcpyDtoD(q, p, n));
        OK(cuMemcpyDtoH(b, q, n));
        assert_memory_equal(a, b, n);
        memset(b, 0, n);
        /* Asynchronous, from pageable memory that changes right after the call. */
        fill(a, n, 99);
        OK(fake_launch(fake_function("nap"), s, 2000000, 0));
        OK(cuMemcpyHtoDAsync(p, a, n, s));
        fill(a, n, 1);
        OK(cuMemcpyAsync(q, p, n, s));
        OK(cuMemcpyDtoHAsync(pinned, q, n, s));
        OK(cuMemcpy((uintptr_t)b, (uintptr_t)a, n)); /* two host pointers */
        assert_memory_equal(a, b, n);
        OK(cuStreamSynchronize(s));
        fill(a, n, 99);
        assert_memory_equal(a, pinned, n);
    }
    assert_int_equal(cuMemcpyHtoD(p, a, N + 1), CUDA_ERROR_INVALID_VALUE);
    assert_int_equal(cuMemcpyHtoD(p + 1, a, N), CUDA_ERROR_INVALID_VALUE);
    assert_int_equal(cuMemcpyHtoD((uintptr_t)b, a, 10), CUDA_ERROR_INVALID_VALUE);
    assert_int_equal(cuMemcpyHtoD(p, NULL, 10), CUDA_ERROR_INVALID_VALUE);
    assert_int_equal(cuMemcpyDtoH(NULL, p, 10), CUDA_ERROR_INVALID_VALUE);
    assert_int_equal(cuMemcpyDtoD(p, 12345, 10), CUDA_ERROR_INVALID_VALUE);
    assert_int_equal(cuMemcpyHtoD(p, a, SIZE_MAX - p + 1), CUDA_ERROR_INVALID_VALUE);
    OK(cuMemcpyHtoD(p, a, 0));
    OK(cuMemFreeHost(pinned));
    OK(cuStreamDestroy(s));
    OK(cuMemFree(p));
    OK(cuMemFree(q));
    free(a);
    free(b);
}

static void boxes(void **state)
{
    uint8_t a[8][16], b[8][16] = {{0}}, c[4][8][16] = {{{0}}};
    CUdeviceptr p;
    size_t pitch;

    fill(&a[0][0], sizeof(a), 3);
    OK(cuMemAllocPitch(&p, &pitch, 16, 8 * 4, 4));
    assert_true(pitch >= 16 && pitch % 32 == 0);
    CUDA_MEMCPY2D to = {.srcMemoryType = CU_MEMORYTYPE_HOST,
                        .srcHost = a,
                        .srcPitch = 16,
                        .dstMemoryType = CU_MEMORYTYPE_DEVICE,
                        .dstDevice = p,
                        .dstPitch = pitch,
                        .WidthInBytes = 16,
                        .Height = 8};
    OK(cuMemcpy2D(&to));
    CUDA_MEMCPY2D part = {.srcMemoryType = CU_MEMORYTYPE_DEVICE,
                          .srcDevice = p,
                          .srcPitch = pitch,
                          .srcXInBytes = 4,
                          .srcY = 2,
                          .dstMemoryType = CU_MEMORYTYPE_HOST,
                          .dstHost = b,
                          .dstPitch = 16,
                          .dstXInBytes = 1,
                          .dstY = 3,
                          .WidthInBytes = 5,
                          .Height = 4};
    OK(cuMemcpy2D(&part));
    for (int y = 0; y < 8; y++)
        for (int x = 0; x < 16; x++)
            assert_int_equal(b[y][x], y >= 3 && y < 7 && x >= 1 && x < 6 ? a[y - 1][x + 3] : 0);
    part.Height = 1000; /* out of the allocation */
    assert_int_equal(cuMemcpy2D(&part), CUDA_ERROR_INVALID_VALUE);
    part.Height = 4;
    part.srcPitch = 8; /* narrower than a row */
    assert_int_equal(cuMemcpy2D(&part), CUDA_ERROR_INVALID_VALUE);
    part.srcMemoryType = CU_MEMORYTYPE_ARRAY;
    assert_int_equal(cuMemcpy2D(&part), CUDA_ERROR_INVALID_VALUE); /* there is none */
    part.srcArray = (CUarray)&part;
    assert_int_equal(cuMemcpy2D(&part), CUDA_ERROR_NOT_SUPPORTED);
    assert_int_equal(cuMemcpy2D(NULL), CUDA_ERROR_INVALID_VALUE);

    OK(cuMemsetD2D8(p, pitch, 0x5a, 16, 32));
    CUDA_MEMCPY3D box = {.srcMemoryType = CU_MEMORYTYPE_DEVICE,
                         .srcDevice = p,
                         .srcPitch = pitch,
                         .srcHeight = 8,
                         .srcZ = 1,
                         .dstMemoryType = CU_MEMORYTYPE_HOST,
                         .dstHost = c,
                         .dstPitch = 16,
                         .dstHeight = 8,
                         .WidthInBytes = 3,
                         .Height = 2,
                         .Depth = 3};
    OK(cuMemcpy3D(&box));
    for (int z = 0; z < 4; z++)
        for (int y = 0; y < 8; y++)
            for (int x = 0; x < 16; x++)
                assert_int_equal(c[z][y][x], z < 3 && y < 2 && x < 3 ? 0x5a : 0);
    OK(cuMemFree(p));
}

static void fills(void **state)
{
    uint32_t out[64];
    CUdeviceptr p;

    OK(cuMemAlloc(&p, sizeof(out)));
    OK(cuMemsetD32(p, 0x01020304, 64));
    OK(cuMemsetD16(p + 2, 0xabcd, 1));
    OK(cuMemsetD8(p + 4, 0xee, 3));
    OK(cuMemsetD32Async(p + 16, 7, 2, NULL));
    OK(cuMemcpyDtoH(out, p, sizeof(out)));
    assert_int_equal(out[0], 0xabcd0304);
    assert_int_equal(out[1], 0x01eeeeee);
    assert_int_equal(out[4], 7);
    assert_int_equal(out[5], 7);
    assert_int_equal(out[6], 0x01020304);
    assert_int_equal(cuMemsetD32(p + 2, 0, 1), CUDA_ERROR_INVALID_VALUE);
    assert_int_equal(cuMemsetD32(p, 0, 65), CUDA_ERROR_INVALID_VALUE);
    OK(cuMemFree(p));
}

static void host_memory(void **state)
{
    uint8_t *pinned,
        *own = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CUdeviceptr d;
    unsigned flags, type;

    OK(cuMemHostAlloc((void **)&pinned, 10000, CU_MEMHOSTALLOC_PORTABLE));
    OK(cuMemHostGetDevicePointer(&d, pinned, 0));
    OK(cuMemHostGetFlags(&flags, pinned));
    assert_int_equal(flags, CU_MEMHOSTALLOC_PORTABLE | CU_MEMHOSTALLOC_DEVICEMAP);
    assert_true(may_touch(d + 9999));
    assert_false(may_touch(d + 10000 + 4096));
    OK(cuPointerGetAttribute(&type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, d));
    assert_int_equal(type, CU_MEMORYTYPE_HOST);

    assert_false(may_touch((uintptr_t)own));
    OK(cuMemHostRegister(own, 5000, 0));
    assert_int_equal(cuMemHostRegister(own + 4096, 4096, 0),
                     CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED);
    assert_true(may_touch((uintptr_t)own + 4999));
    assert_false(may_touch((uintptr_t)own + 5000));
    OK(cuMemHostUnregister(own));
    assert_false(may_touch((uintptr_t)own));
    OK(cuMemHostRegister(own, 8192, CU_MEMHOSTREGISTER_READ_ONLY));
    assert_false(may_touch((uintptr_t)own));
    OK(cuMemHostUnregister(own));
    assert_int_equal(cuMemHostUnregister(own), CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED);
    munmap(own, 8192);
    assert_int_equal(cuMemHostRegister(own, 8192, 0), CUDA_ERROR_INVALID_VALUE);
    assert_int_equal(cuMemFree((uintptr_t)pinned), CUDA_ERROR_INVALID_VALUE);
    OK(cuMemFreeHost(pinned));
    assert_int_equal(cuMemFreeHost(pinned), CUDA_ERROR_INVALID_VALUE);
}

static void managed_memory(void **state)
{
    CUdeviceptr p;
    uint8_t is_managed = 0;

    OK(cuMemAllocManaged(&p, 100, CU_MEM_ATTACH_GLOBAL));
    *(uint32_t *)p = 40;
    OK(fake_launch(fake_function("add"), NULL, p, 2));
    OK(cuCtxSynchronize());
    assert_int_equal(*(uint32_t *)p, 42);
    OK(cuPointerGetAttribute(&is_managed, CU_POINTER_ATTRIBUTE_IS_MANAGED, p));
    assert_int_equal(is_managed, 1);
    OK(cuMemFree(p));
}

static void pointers(void **state)
{
    CUdeviceptr p, start = 0;
    CUcontext c = NULL;
    int ordinal = 5, local = 0;
    unsigned type = 9;
    size_t size = 0;
    CUpointer_attribute ask[] = {CU_POINTER_ATTRIBUTE_CONTEXT, CU_POINTER_ATTRIBUTE_MEMORY_TYPE,
                                 CU_POINTER_ATTRIBUTE_RANGE_START_ADDR,
                                 CU_POINTER_ATTRIBUTE_RANGE_SIZE,
                                 CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL};
    void *answers[] = {&c, &type, &start, &size, &ordinal};

    OK(cuMemAlloc(&p, 1000));
    OK(cuPointerGetAttributes(5, ask, answers, p + 10));
    assert_ptr_equal(c, *state);
    assert_int_equal(type, CU_MEMORYTYPE_DEVICE);
    assert_int_equal(start, p);
    assert_int_equal(size, 1000);
    assert_int_equal(ordinal, 0);
    OK(cuPointerGetAttributes(5, ask, answers, (uintptr_t)&local));
    assert_int_equal(type, 0);
    assert_null(c);
    assert_int_equal(
        cuPointerGetAttribute(&type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, (uintptr_t)&local),
        CUDA_ERROR_INVALID_VALUE);
    assert_int_equal(cuPointerGetAttribute(NULL, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, p),
                     CUDA_ERROR_INVALID_VALUE);
    OK(cuMemFree(p));
}

static void mapped_memory(void **state)
{
    CUmemAllocationProp prop = {.type = CU_MEM_ALLOCATION_TYPE_PINNED,
                                .location = {CU_MEM_LOCATION_TYPE_DEVICE, 0}};
    CUmemAccessDesc rw = {.location = {CU_MEM_LOCATION_TYPE_DEVICE, 0},
                          .flags = CU_MEM_ACCESS_FLAGS_PROT_READWRITE},
                    ro = rw, none = rw;
    CUmemGenericAllocationHandle h, g;
    CUdeviceptr base, hint, other;
    size_t granularity, n;
    uint32_t v;
    unsigned long long flags;

    ro.flags = CU_MEM_ACCESS_FLAGS_PROT_READ;
    none.flags = CU_MEM_ACCESS_FLAGS_PROT_NONE;
    OK(cuMemGetAllocationGranularity(&granularity, &prop, CU_MEM_ALLOC_GRANULARITY_MINIMUM));
    n = granularity * 8;

    /* The address asked for is the address given. */
    void *probe = mmap(NULL, 64 * MB, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    munmap(probe, 64 * MB);
    hint = xg_align_up((uintptr_t)probe, 2 * MB);
    OK(cuMemAddressReserve(&base, 32 * MB, 0, hint, 0));
    assert_int_equal(base, hint);
    OK(cuMemAddressReserve(&other, 32 * MB, 0, hint, 0)); /* taken: somewhere else */
    assert_int_not_equal(other, hint);

    OK(cuMemCreate(&h, n, &prop, 0));
    OK(cuMemMap(base, n, 0, h, 0));
    assert_int_equal(cuMemMap(base, n, 0, h, 0), CUDA_ERROR_ALREADY_MAPPED);
    assert_int_equal(cuMemMap(base + 32 * MB, n, 0, h, 0), CUDA_ERROR_INVALID_VALUE);
    assert_int_equal(cuMemsetD32(base, 1, 1), CUDA_ERROR_INVALID_VALUE); /* no access yet */
    assert_false(may_touch(base));
    OK(cuMemSetAccess(base, n, &ro, 1));
    assert_false(may_touch(base));
    OK(cuMemSetAccess(base, n, &rw, 1));
    assert_true(may_touch(base + n - 1));
    assert_false(may_touch(base + n));
    OK(cuMemSetAccess(base, n, &none, 1));
    assert_false(may_touch(base));
    OK(cuMemSetAccess(base, n, &rw, 1));
    OK(cuMemGetAccess(&flags, &rw.location, base));
    assert_int_equal(flags, CU_MEM_ACCESS_FLAGS_PROT_READWRITE);
    OK(cuMemsetD32(base, 77, 4));

    /* Contents survive being mapped elsewhere. */
    OK(cuMemUnmap(base, n));
    assert_false(may_touch(base));
    OK(cuMemMap(other + n, n, 0, h, 0));
    OK(cuMemSetAccess(other + n, n, &rw, 1));
    OK(cuMemcpyDtoH(&v, other + n, 4));
    assert_int_equal(v, 77);
    /* In two places at once they are the same memory. */
    OK(cuMemMap(base, n, 0, h, 0));
    OK(cuMemSetAccess(base, n, &rw, 1));
    OK(cuMemsetD32(base, 78, 1));
    OK(cuMemcpyDtoH(&v, other + n, 4));
    assert_int_equal(v, 78);
    OK(cuMemUnmap(other + n, n));
    OK(cuMemcpyDtoH(&v, base, 4));
    assert_int_equal(v, 78);

    /* Neighbours: one range for copies, one call to unmap. */
    OK(cuMemCreate(&g, n, &prop, 0));
    OK(cuMemMap(base + n, n, 0, g, 0));
    OK(cuMemSetAccess(base, 2 * n, &rw, 1));
    OK(cuMemsetD32(base + n - 8, 5, 4));
    OK(cuMemRelease(g));
    OK(cuMemcpyDtoH(&v, base + n + 4, 4));
    assert_int_equal(v, 5);
    assert_int_equal(cuMemAddressFree(base, 32 * MB), CUDA_ERROR_INVALID_VALUE);
    assert_int_equal(cuMemUnmap(base, n + granularity), CUDA_ERROR_INVALID_VALUE);
    OK(cuMemUnmap(base, 2 * n));
    OK(cuMemRelease(h));
    assert_int_equal(cuMemRelease(h), CUDA_ERROR_INVALID_VALUE);
    OK(cuMemAddressFree(base, 32 * MB));
    OK(cuMemAddressFree(other, 32 * MB));
    assert_int_equal(cuMemAddressFree(other, 32 * MB), CUDA_ERROR_INVALID_VALUE);
    assert_int_equal(cuMemCreate(&h, n + 1, &prop, 0), CUDA_ERROR_INVALID_VALUE);
}

static void pools(void **state)
{
    CUmemoryPool pool, standard;
    CUmemPoolProps props = {.allocType = CU_MEM_ALLOCATION_TYPE_PINNED,
                            .location = {CU_MEM_LOCATION_TYPE_DEVICE, 0}};
    CUdeviceptr p, q;
    cuuint64_t used;
    CUstream s;

    OK(cuDeviceGetDefaultMemPool(&standard, 0));
    OK(cuMemPoolCreate(&pool, &props));
    OK(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
    OK(cuMemAllocAsync(&p, 1000, s));
    OK(cuMemAllocFromPoolAsync(&q, 2000, pool, s));
    OK(cuMemPoolGetAttribute(pool, CU_MEMPOOL_ATTR_USED_MEM_CURRENT, &used));
    assert_int_equal(used, 2000);
    OK(cuMemsetD32Async(q, 1, 500, s));
    OK(fake_launch(fake_function("add"), s, q, 1));
    OK(cuMemFreeAsync(q, s));
    OK(cuMemFree(p)); /* the other way to free is as good */
    OK(cuStreamSynchronize(s));
    assert_false(may_touch(q));
    OK(cuMemPoolGetAttribute(pool, CU_MEMPOOL_ATTR_USED_MEM_CURRENT, &used));
    assert_int_equal(used, 0);
    OK(cuMemPoolGetAttribute(pool, CU_MEMPOOL_ATTR_USED_MEM_HIGH, &used));
    assert_int_equal(used, 2000);
    assert_int_equal(cuMemFreeAsync(q, s), CUDA_ERROR_INVALID_VALUE);
    OK(cuMemPoolDestroy(pool));
    assert_int_equal(cuMemPoolDestroy(standard), CUDA_ERROR_INVALID_VALUE);
    OK(cuStreamDestroy(s));
}

static void a_context_takes_its_memory_along(void **state)
{
    static uint8_t own[4096];
    size_t before, after, total;
    void *pinned;
    CUcontext c;
    CUdeviceptr p;

    OK(cuMemGetInfo(&before, &total));
    OK(cuCtxCreate_v2(&c, 0, 0));
    for (int i = 0; i < 20; i++)
        OK(cuMemAlloc(&p, 100000));
    OK(cuMemAllocHost(&pinned, 100));
    OK(cuMemHostRegister(own, sizeof(own), 0));
    fake_function("empty");
    assert_true(fake_modules > 0);
    unsigned modules = fake_modules;
    OK(cuCtxDestroy(c));
    assert_int_equal(fake_modules, modules - 1);
    assert_int_equal(cuMemFreeHost(pinned), CUDA_ERROR_INVALID_VALUE);
    assert_int_equal(cuMemHostUnregister(own), CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED);
    OK(cuMemGetInfo(&after, &total));
    assert_int_equal(before, after);
}

static void *churn(void *arg)
{
    CUdeviceptr p[16] = {0};
    unsigned seed = (unsigned)(uintptr_t)&p;

    if (cuCtxSetCurrent(arg))
        return "context";
    for (int i = 0; i < 2000; i++) {
        unsigned k = (seed = seed * 1103515245 + 12345) >> 16 & 15;
        if (p[k] && cuMemFree(p[k]))
            return "free";
        size_t n = 1 + (seed >> 8 & 0xffff) * (k == 0 ? 40 : 1);
        if (cuMemAlloc(&p[k], n) || cuMemsetD8(p[k], (unsigned char)k, n))
            return "alloc";
    }
    for (int k = 0; k < 16; k++)
        if (p[k] && cuMemFree(p[k]))
            return "end";
    return NULL;
}

static void threads_allocate(void **state)
{
    pthread_t t[3];
    size_t before, after, total;

    OK(cuMemGetInfo(&before, &total));
    for (int i = 0; i < 3; i++)
        pthread_create(&t[i], NULL, churn, *state);
    for (int i = 0; i < 3; i++) {
        void *failed;
        pthread_join(t[i], &failed);
        assert_null(failed);
    }
    OK(cuMemGetInfo(&after, &total));
    assert_int_equal(before, after);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(allocations),
        cmocka_unit_test(reuse_and_quota),
        cmocka_unit_test(copies),
        cmocka_unit_test(boxes),
        cmocka_unit_test(fills),
        cmocka_unit_test(host_memory),
        cmocka_unit_test(managed_memory),
        cmocka_unit_test(pointers),
        cmocka_unit_test(mapped_memory),
        cmocka_unit_test(pools),
        cmocka_unit_test(a_context_takes_its_memory_along),
        cmocka_unit_test(threads_allocate),
    };
    setenv("SOFTCUDA_MEMORY", "256M", 1);
    return cmocka_run_group_tests(tests, fake_context, fake_context_end);
}
