/*
 * cuda_memory [all]: every way to allocate and to copy, and what pointers say of themselves; with
 * "all" also what a device, or the way to it, may lack: virtual memory, pools, kernels' addresses
 * of registered memory.
 */
/* links: -lcuda */
#include "tests/programs/cuda_common.h"

enum { W = 200, H = 50, D = 4, MB = 1 << 20 };

static void copies(void)
{
    static const size_t sizes[] = {1, 100, 4096, 65536, 65537, 3 * MB + 5};
    uint32_t seed = 7;

    for (size_t k = 0; k < sizeof(sizes) / sizeof(sizes[0]); k++) {
        size_t n = sizes[k];
        uint8_t *a = allocate(n), *b = allocate(n);
        for (size_t i = 0; i < n; i++)
            a[i] = (uint8_t)noise(&seed);
        CUdeviceptr p = upload(a, n), q = upload(NULL, n);
        CHECK(cuMemcpyDtoD(q, p, n));
        CHECK(cuMemcpyDtoH(b, q, n));
        MUST(!memcmp(a, b, n));
        CHECK(cuMemsetD8(q, 0, n));
        CHECK(cuMemcpyAsync(q, p, n, NULL));
        memset(b, 0, n);
        CHECK(cuMemcpy((CUdeviceptr)(uintptr_t)b, q, n));
        MUST(!memcmp(a, b, n));
        if (n > 100) {
            CHECK(cuMemcpyHtoD(q + 33, a, n - 66)); /* unaligned, inside */
            CHECK(cuMemcpyDtoH(b, q + 34, n - 68));
            MUST(!memcmp(a + 1, b, n - 68));
        }
        EXPECT(cuMemcpyHtoD(p, a, n + 4096), CUDA_ERROR_INVALID_VALUE);
        printf("%zu bytes: %016llx\n", n, (unsigned long long)hash(a, n));
        CHECK(cuMemFree(p));
        CHECK(cuMemFree(q));
        free(a);
        free(b);
    }
}

/* Boxes that end behind the memory they lie in, or behind all memory. What a driver makes of them
 * cuda_codes finds out. */
static void boxes_outside(CUDA_MEMCPY3D all, CUDA_MEMCPY2D out, CUdeviceptr p, size_t pitch,
                          const void *host)
{
    CUDA_MEMCPY2D in = {.srcMemoryType = CU_MEMORYTYPE_HOST,
                        .srcHost = host,
                        .srcPitch = W,
                        .dstMemoryType = CU_MEMORYTYPE_DEVICE,
                        .dstDevice = p,
                        .dstPitch = pitch,
                        .WidthInBytes = W,
                        .Height = (size_t)1 << 40};

    out.dstHost = NULL;
    EXPECT(cuMemcpy2D(&out), CUDA_ERROR_INVALID_VALUE);
    EXPECT(cuMemcpy2D(&in), CUDA_ERROR_INVALID_VALUE);
    EXPECT(cuMemcpy2DAsync(&in, NULL), CUDA_ERROR_INVALID_VALUE);
    in.Height = 2;
    in.dstY = (size_t)1 << 40;
    EXPECT(cuMemcpy2D(&in), CUDA_ERROR_INVALID_VALUE);
    in.dstY = 0;
    in.dstXInBytes = (size_t)-W;
    EXPECT(cuMemcpy2D(&in), CUDA_ERROR_INVALID_VALUE);
    all.Depth = (size_t)1 << 56;
    EXPECT(cuMemcpy3D(&all), CUDA_ERROR_INVALID_VALUE);
    all.Depth = D;
    all.dstZ = (size_t)-1;
    EXPECT(cuMemcpy3DAsync(&all, NULL), CUDA_ERROR_INVALID_VALUE);
}

static void boxes(void)
{
    uint8_t *a = allocate(W * H * D), *b = allocate(W * H * D);
    CUdeviceptr p;
    size_t pitch;
    uint32_t seed = 3;

    for (int i = 0; i < W * H * D; i++)
        a[i] = (uint8_t)noise(&seed);
    CHECK(cuMemAllocPitch(&p, &pitch, W, H * D, 4));
    MUST(pitch >= W);
    CUDA_MEMCPY3D in = {.srcMemoryType = CU_MEMORYTYPE_HOST,
                        .srcHost = a,
                        .srcPitch = W,
                        .srcHeight = H,
                        .dstMemoryType = CU_MEMORYTYPE_DEVICE,
                        .dstDevice = p,
                        .dstPitch = pitch,
                        .dstHeight = H,
                        .WidthInBytes = W,
                        .Height = H,
                        .Depth = D};
    CHECK(cuMemcpy3D(&in));
    memset(b, 0, W * H * D);
    CUDA_MEMCPY2D out = {.srcMemoryType = CU_MEMORYTYPE_DEVICE,
                         .srcDevice = p,
                         .srcPitch = pitch,
                         .srcXInBytes = 10,
                         .srcY = H + 5,
                         .dstMemoryType = CU_MEMORYTYPE_HOST,
                         .dstHost = b,
                         .dstPitch = W,
                         .dstXInBytes = 20,
                         .dstY = 1,
                         .WidthInBytes = 100,
                         .Height = 30};
    CHECK(cuMemcpy2D(&out));
    for (int y = 0; y < 30; y++)
        MUST(!memcmp(b + (y + 1) * W + 20, a + (H + 5 + y) * W + 10, 100));
    CHECK(cuMemsetD2D32(p, pitch, 0x01020304, W / 4, H));
    CHECK(cuMemcpy2D(&out)); /* the second slice is untouched */
    CHECK(cuMemcpyDtoH(b, p, W));
    MUST(b[0] == 4 && b[W - 1] == 1);
    if (on_softcuda())
        boxes_outside(in, out, p, pitch, a);
    printf("boxes: %016llx\n", (unsigned long long)hash(b, W * 32));
    CHECK(cuMemFree(p));
    free(a);
    free(b);
}

static void pointers(void)
{
    CUdeviceptr p, base;
    void *pinned;
    unsigned type;
    size_t size;
    uint32_t local = 0, *host_view = NULL;
    CUdeviceptr device_view;

    CHECK(cuMemAlloc(&p, 10000));
    CHECK(cuMemAllocHost(&pinned, 5000));
    CHECK(cuPointerGetAttribute(&type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, p + 100));
    MUST(type == CU_MEMORYTYPE_DEVICE);
    CHECK(cuPointerGetAttribute(&type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE,
                                (CUdeviceptr)(uintptr_t)pinned));
    MUST(type == CU_MEMORYTYPE_HOST);
    EXPECT(cuPointerGetAttribute(&type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE,
                                 (CUdeviceptr)(uintptr_t)&local),
           CUDA_ERROR_INVALID_VALUE);
    CHECK(cuPointerGetAttribute(&host_view, CU_POINTER_ATTRIBUTE_HOST_POINTER,
                                (CUdeviceptr)(uintptr_t)pinned));
    CHECK(cuPointerGetAttribute(&device_view, CU_POINTER_ATTRIBUTE_DEVICE_POINTER,
                                (CUdeviceptr)(uintptr_t)pinned));
    MUST((void *)host_view == pinned);
    CHECK(cuMemGetAddressRange(&base, &size, p + 9999));
    MUST(base == p && size == 10000);
    CHECK(cuMemFree(p));
    EXPECT(cuMemFree(p), CUDA_ERROR_INVALID_VALUE);
    if (on_softcuda()) { /* no memory of the program's either, where a copy takes both */
        EXPECT(cuMemcpy(p, (CUdeviceptr)(uintptr_t)pinned, 64), CUDA_ERROR_INVALID_VALUE);
        EXPECT(cuMemcpyAsync((CUdeviceptr)(uintptr_t)pinned, p, 64, NULL),
               CUDA_ERROR_INVALID_VALUE);
    }
    EXPECT(cuMemHostUnregister(pinned),
           CUDA_ERROR_INVALID_VALUE); /* it was allocated, not registered */
    CHECK(cuMemFreeHost(pinned));

    char *own = allocate(3 * 4096);
    EXPECT(cuMemHostUnregister(own), CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED);
    CHECK(cuMemHostRegister(own, 3 * 4096, 0));
    EXPECT(cuMemHostRegister(own, 4096, 0), CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED);
    EXPECT(cuMemHostRegister(own + 8192, 8192, 0), CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED);
    EXPECT(cuMemFreeHost(own), CUDA_ERROR_INVALID_VALUE);
    CHECK(cuMemHostUnregister(own));
    EXPECT(cuMemHostUnregister(own), CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED);
    free(own);
    puts("pointers: ok");
}

static void registered(CUdevice device)
{
    int supported;
    CUdeviceptr view;
    uint32_t *own = allocate(100 * 4);

    CHECK(cuDeviceGetAttribute(
        &supported, CU_DEVICE_ATTRIBUTE_CAN_USE_HOST_POINTER_FOR_REGISTERED_MEM, device));
    if (supported) {
        CHECK(cuMemHostRegister(own, 100 * 4, CU_MEMHOSTREGISTER_DEVICEMAP));
        CHECK(cuMemHostGetDevicePointer(&view, own, 0));
        MUST(view == (CUdeviceptr)(uintptr_t)own);
        CHECK(cuMemsetD32(view, 17, 100));
        MUST(own[0] == 17 && own[99] == 17);
        CHECK(cuMemHostUnregister(own));
        puts("registered: ok");
    }
    free(own);
}

static void limits(void)
{
    size_t before, after, total;
    CUdeviceptr p;

    CHECK(cuMemGetInfo(&before, &total));
    EXPECT(cuMemAlloc(&p, total + MB), CUDA_ERROR_OUT_OF_MEMORY);
    EXPECT(cuMemAlloc(&p, 0), CUDA_ERROR_INVALID_VALUE);
    EXPECT(cuMemAlloc(NULL, 16), CUDA_ERROR_INVALID_VALUE);
    CHECK(cuMemAlloc(&p, 32 * MB));
    CHECK(cuMemGetInfo(&after, &total));
    MUST(before - after >= 32u * MB && before - after < 40u * MB);
    CHECK(cuMemFree(p));
    CHECK(cuMemGetInfo(&after, &total));
    /* All of it is back; a driver may keep or give up some small change of its own meanwhile. */
    MUST(after + 4 * MB >= before && after <= before + 4 * MB);
    for (int i = 0; i < 300; i++) {
        CHECK(cuMemAlloc(&p, (size_t)1 << (i % 24)));
        CHECK(cuMemsetD8(p, 1, (size_t)1 << (i % 24)));
        CHECK(cuMemFree(p));
    }
    puts("limits: ok");
}

static void virtual_memory(CUdevice device)
{
    CUmemAllocationProp prop = {.type = CU_MEM_ALLOCATION_TYPE_PINNED,
                                .location = {CU_MEM_LOCATION_TYPE_DEVICE, device}};
    CUmemAccessDesc rw = {.location = prop.location, .flags = CU_MEM_ACCESS_FLAGS_PROT_READWRITE};
    CUmemGenericAllocationHandle h[2];
    CUdeviceptr base;
    size_t unit;
    uint32_t v = 0;
    int supported;

    CHECK(cuDeviceGetAttribute(&supported, CU_DEVICE_ATTRIBUTE_VIRTUAL_MEMORY_MANAGEMENT_SUPPORTED,
                               device));
    if (!supported)
        return;
    CHECK(cuMemGetAllocationGranularity(&unit, &prop, CU_MEM_ALLOC_GRANULARITY_RECOMMENDED));
    CHECK(cuMemAddressReserve(&base, 4 * unit, 0, 0, 0));
    for (int i = 0; i < 2; i++) {
        CHECK(cuMemCreate(&h[i], unit, &prop, 0));
        CHECK(cuMemMap(base + (size_t)i * unit, unit, 0, h[i], 0));
    }
    CHECK(cuMemSetAccess(base, 2 * unit, &rw, 1));
    CHECK(cuMemsetD32(base, 0x600d600d, 2 * unit / 4)); /* over the seam */
    CHECK(cuMemcpyDtoH(&v, base + unit - 2, 4));
    MUST(v == 0x600d600d);
    EXPECT(cuMemsetD32(base + 2 * unit, 0, 1), CUDA_ERROR_INVALID_VALUE);
    CHECK(cuMemUnmap(base, 2 * unit));
    for (int i = 0; i < 2; i++)
        CHECK(cuMemRelease(h[i]));
    CHECK(cuMemAddressFree(base, 4 * unit));
    puts("virtual memory: ok");
}

static void stream_ordered(CUdevice device)
{
    CUdeviceptr p[10];
    uint32_t v[10];
    int supported;

    CHECK(cuDeviceGetAttribute(&supported, CU_DEVICE_ATTRIBUTE_MEMORY_POOLS_SUPPORTED, device));
    if (!supported)
        return;
    for (uint32_t i = 0; i < 10; i++) {
        CHECK(cuMemAllocAsync(&p[i], 100000, NULL));
        CHECK(cuMemsetD32Async(p[i], i, 25000, NULL));
    }
    for (int i = 0; i < 10; i++) {
        CHECK(cuMemcpyDtoHAsync(&v[i], p[i] + 99996, 4, NULL));
        CHECK(cuMemFreeAsync(p[i], NULL));
    }
    CHECK(cuCtxSynchronize());
    for (uint32_t i = 0; i < 10; i++)
        MUST(v[i] == i);
    puts("stream-ordered: ok");
}

int main(int argc, char **argv)
{
    CUdevice device;

    open_device();
    CHECK(cuCtxGetDevice(&device));
    copies();
    boxes();
    pointers();
    limits();
    if (argc > 1 && !strcmp(argv[1], "all")) {
        registered(device);
        virtual_memory(device);
        stream_ordered(device);
    }
    return 0;
}
