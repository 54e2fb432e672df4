/*
 * cuda_query [all]: asks the device and the library everything that has no side effect, and prints
 * what must be the same wherever the device is reached from; with "all" also what a way to the
 * device may lack.
 */
/* links: -lcuda */
#include "tests/programs/cuda_common.h"
#include "interposer/cuda/cleared.h"

/* Features of the path to the device as much as of the device: a guest may be without them. */
static bool of_the_path(int attribute)
{
    switch (attribute) {
    case CU_DEVICE_ATTRIBUTE_MANAGED_MEMORY:
    case CU_DEVICE_ATTRIBUTE_HOST_REGISTER_SUPPORTED:
    case CU_DEVICE_ATTRIBUTE_MEMORY_POOLS_SUPPORTED:
    case CU_DEVICE_ATTRIBUTE_CAN_FLUSH_REMOTE_WRITES: return true;
    default: return xg_cuda_attribute_cleared((CUdevice_attribute)attribute);
    }
}

static void attributes(CUdevice device, bool all)
{
    int answered = 0, value, v;

    for (int a = 1; a < CU_DEVICE_ATTRIBUTE_MAX; a++) {
        if (cuDeviceGetAttribute(&value, (CUdevice_attribute)a, device))
            continue;
        answered++;
        /* Clocks change while we look. */
        if (a != CU_DEVICE_ATTRIBUTE_CLOCK_RATE && a != CU_DEVICE_ATTRIBUTE_MEMORY_CLOCK_RATE &&
            (all || !of_the_path(a)))
            printf("attribute %d: %d\n", a, value);
    }
    MUST(answered > 80);
    EXPECT(cuDeviceGetAttribute(&value, (CUdevice_attribute)0, device), CUDA_ERROR_INVALID_VALUE);
    EXPECT(cuDeviceGetAttribute(&value, (CUdevice_attribute)100000, device),
           CUDA_ERROR_INVALID_VALUE);
    EXPECT(cuDeviceGetAttribute(NULL, CU_DEVICE_ATTRIBUTE_WARP_SIZE, device),
           CUDA_ERROR_INVALID_VALUE);
    CHECK(cuDeviceGetAttribute(&value, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, device));
    CHECK(cuDeviceComputeCapability(&v, &(int){0}, device));
    MUST(value == v && v >= 3);
}

static void names(void)
{
    static const struct {
        const char *name;
        int version, flags;
        bool known;
    } ask[] = {
        {"cuInit", 2000, 0, true},
        {"cuMemAlloc", 3020, 0, true},
        {"cuMemAlloc", 13000, 0, true},
        {"cuMemAlloc", 2000, 0, false},
        {"cuCtxGetDevice", 2000, 0, true},
        {"cuCtxGetDevice", 13000, 0, true},
        {"cuEventElapsedTime", 12080, 0, true},
        {"cuLaunchKernel", 7000, 2, true},
        {"cuLaunchKernel", 4000, 2, false},
        {"cuLaunchKernel", 4000, 0, true},
        {"cuMemcpyHtoD", 13000, 2, true},
        {"cuGetProcAddress", 12000, 0, true},
        {"cuNoSuchThing", 13000, 0, false},
        {"", 13000, 0, false},
    };
    for (size_t i = 0; i < sizeof(ask) / sizeof(ask[0]); i++) {
        CUdriverProcAddressQueryResult why;
        void *f = NULL;
        CHECK(cuGetProcAddress(ask[i].name, &f, ask[i].version, (cuuint64_t)ask[i].flags, &why));
        if (on_softcuda() ||
            ask[i].version > 3000) /* a driver has functions of CUDA 2 still, a guest has not */
            printf("%s of %d, flags %d: %s (%d)\n", ask[i].name, ask[i].version, ask[i].flags,
                   f ? "found" : "not found", why);
        MUST((f != NULL) == ask[i].known || !on_softcuda());
    }
    void *legacy, *per_thread, *first, *second;
    CHECK(cuGetProcAddress("cuMemcpyHtoDAsync", &legacy, 13000, CU_GET_PROC_ADDRESS_LEGACY_STREAM,
                           NULL));
    CHECK(cuGetProcAddress("cuMemcpyHtoDAsync", &per_thread, 13000,
                           CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM, NULL));
    MUST(legacy && per_thread && legacy != per_thread);
    if (on_softcuda()) /* a driver may have entries of its own for those who ask */
        MUST(legacy == (void *)cuMemcpyHtoDAsync_v2 &&
             per_thread == (void *)cuMemcpyHtoDAsync_v2_ptsz);
    CHECK(cuGetProcAddress("cuCtxGetDevice", &first, 12000, 0, NULL));
    CHECK(cuGetProcAddress("cuCtxGetDevice", &second, 13000, 0, NULL));
    MUST(first && second && first != second);
    if (on_softcuda())
        MUST(first == (void *)cuCtxGetDevice && second == (void *)cuCtxGetDevice_v2);
    if (on_softcuda()) { /* a driver follows them */
        EXPECT(cuGetProcAddress(NULL, &first, 13000, 0, NULL), CUDA_ERROR_INVALID_VALUE);
        EXPECT(cuGetProcAddress("cuInit", NULL, 13000, 0, NULL), CUDA_ERROR_INVALID_VALUE);
    }
}

int main(int argc, char **argv)
{
    int version, count;
    CUdevice device;
    char name[256], bus[32];
    CUuuid uuid, again;
    size_t total, free_bytes;
    const char *text;
    CUcontext ctx;

    EXPECT(cuDeviceGetCount(&count), CUDA_ERROR_NOT_INITIALIZED);
    EXPECT(cuInit(1), CUDA_ERROR_INVALID_VALUE);
    CHECK(cuInit(0));
    CHECK(cuInit(0));
    CHECK(cuDriverGetVersion(&version));
    CHECK(cuDeviceGetCount(&count));
    CHECK(cuDeviceGet(&device, 0));
    EXPECT(cuDeviceGet(&device, count), CUDA_ERROR_INVALID_DEVICE);
    EXPECT(cuDeviceGet(NULL, 0), CUDA_ERROR_INVALID_VALUE);
    CHECK(cuDeviceGetName(name, sizeof(name), device));
    CHECK(cuDeviceGetUuid(&uuid, device));
    CHECK(cuDeviceGetUuid(&again, device));
    MUST(!memcmp(&uuid, &again, sizeof(uuid)));
    CHECK(cuDeviceTotalMem(&total, device));
    CHECK(cuDeviceGetPCIBusId(bus, sizeof(bus), device));
    printf("API %d, %d device%s, %s, %s\n", version, count, count == 1 ? "" : "s", name, bus);
    attributes(device, argc > 1 && !strcmp(argv[1], "all"));
    names();
    CHECK(cuGetErrorName(CUDA_ERROR_ILLEGAL_ADDRESS, &text));
    MUST(!strcmp(text, "CUDA_ERROR_ILLEGAL_ADDRESS"));
    CHECK(cuGetErrorString(CUDA_ERROR_ILLEGAL_ADDRESS, &text));
    EXPECT(cuGetErrorName((CUresult)4242, &text), CUDA_ERROR_INVALID_VALUE);
    MUST(text == NULL);
    const void *table;
    CUresult r = cuGetExportTable(&table, &uuid);
    MUST(r != CUDA_SUCCESS);

    EXPECT(cuMemGetInfo(&free_bytes, &total), CUDA_ERROR_INVALID_CONTEXT);
    CHECK(cuDevicePrimaryCtxRetain(&ctx, device));
    CHECK(cuCtxSetCurrent(ctx));
    CHECK(cuMemGetInfo(&free_bytes, &total));
    MUST(free_bytes <= total && total > 0);
    CHECK(cuDevicePrimaryCtxRelease(device));
    puts("ok");
    return 0;
}
