/*
 * cuda_table_device: the start, what the device says of itself, errors and their names, functions'
 * addresses. What is documented as one number is one here; the rest has to agree with itself.
 */
/* links: -lcuda */
#include "tests/programs/cuda_table.h"

/* Nothing but texts, versions and addresses is there before cuInit, and a failed one changes
 * nothing. */
static void start(void)
{
    CUdriverProcAddressQueryResult why;
    int n = -1, version = 0;
    const char *text = NULL;
    CUcontext c = (CUcontext)1;
    CUdevice d = -1;
    void *f = NULL;

    NO(NOT_INITIALIZED, cuDeviceGetCount(&n));
    NO(INVALID_VALUE, cuInit(1)); /* "Flags must be 0" */
    NO(NOT_INITIALIZED, cuDeviceGetCount(&n), n == -1);
    NO(NOT_INITIALIZED, cuDeviceGet(&d, 0));
    NO(NOT_INITIALIZED, cuCtxGetCurrent(&c));
    NO(NOT_INITIALIZED, cuDevicePrimaryCtxRetain(&c, 0));
    OK(cuDriverGetVersion(&version), version >= 12040, version % 10 == 0);
    OK(cuGetErrorName(CUDA_ERROR_NOT_INITIALIZED, &text),
       !strcmp(text, "CUDA_ERROR_NOT_INITIALIZED"));
    OK(cuGetErrorString(CUDA_ERROR_NOT_INITIALIZED, &text), strlen(text) > 5);
    OK(cuGetProcAddress("cuInit", &f, 12000, 0, &why), f, why == CU_GET_PROC_ADDRESS_SUCCESS);
    NO(NOT_INITIALIZED, cuDeviceGetCount(&n)); /* none of these has started anything */
    OK(((CUresult(*)(unsigned))f)(0));
    OK(cuInit(0)); /* once more is no error */
    OK(cuDeviceGetCount(&n), n >= 1);
    OK(cuDeviceGet(&d, 0), d == 0);
    NO(INVALID_DEVICE, cuDeviceGet(&d, n), d == 0);
    OK(cuCtxGetCurrent(&c), !c);
    NO(INVALID_CONTEXT, cuCtxGetDevice(&d));
    NO(INVALID_CONTEXT, cuCtxSynchronize());
    NO(INVALID_CONTEXT, cuMemAlloc(&(CUdeviceptr){0}, 64));
    NO(INVALID_CONTEXT, cuStreamCreate(&(CUstream){0}, 0));
    NO(INVALID_CONTEXT, cuCtxPopCurrent(&c));
}

static const struct {
    CUresult code;
    int number;
    const char *name;
} errors[] = {
#define E(name, number)                                                                            \
    {                                                                                              \
        CUDA_##name, number, "CUDA_" #name                                                         \
    }
    E(SUCCESS, 0),
    E(ERROR_INVALID_VALUE, 1),
    E(ERROR_OUT_OF_MEMORY, 2),
    E(ERROR_NOT_INITIALIZED, 3),
    E(ERROR_DEINITIALIZED, 4),
    E(ERROR_PROFILER_DISABLED, 5),
    E(ERROR_STUB_LIBRARY, 34),
    E(ERROR_DEVICE_UNAVAILABLE, 46),
    E(ERROR_NO_DEVICE, 100),
    E(ERROR_INVALID_DEVICE, 101),
    E(ERROR_INVALID_IMAGE, 200),
    E(ERROR_INVALID_CONTEXT, 201),
    E(ERROR_MAP_FAILED, 205),
    E(ERROR_NO_BINARY_FOR_GPU, 209),
    E(ERROR_UNSUPPORTED_LIMIT, 215),
    E(ERROR_PEER_ACCESS_UNSUPPORTED, 217),
    E(ERROR_INVALID_PTX, 218),
    E(ERROR_UNSUPPORTED_PTX_VERSION, 222),
    E(ERROR_INVALID_SOURCE, 300),
    E(ERROR_FILE_NOT_FOUND, 301),
    E(ERROR_SHARED_OBJECT_SYMBOL_NOT_FOUND, 302),
    E(ERROR_OPERATING_SYSTEM, 304),
    E(ERROR_INVALID_HANDLE, 400),
    E(ERROR_ILLEGAL_STATE, 401),
    E(ERROR_NOT_FOUND, 500),
    E(ERROR_NOT_READY, 600),
    E(ERROR_ILLEGAL_ADDRESS, 700),
    E(ERROR_LAUNCH_OUT_OF_RESOURCES, 701),
    E(ERROR_LAUNCH_TIMEOUT, 702),
    E(ERROR_PEER_ACCESS_ALREADY_ENABLED, 704),
    E(ERROR_PEER_ACCESS_NOT_ENABLED, 705),
    E(ERROR_PRIMARY_CONTEXT_ACTIVE, 708),
    E(ERROR_CONTEXT_IS_DESTROYED, 709),
    E(ERROR_ASSERT, 710),
    E(ERROR_HOST_MEMORY_ALREADY_REGISTERED, 712),
    E(ERROR_HOST_MEMORY_NOT_REGISTERED, 713),
    E(ERROR_ILLEGAL_INSTRUCTION, 715),
    E(ERROR_MISALIGNED_ADDRESS, 716),
    E(ERROR_INVALID_ADDRESS_SPACE, 717),
    E(ERROR_INVALID_PC, 718),
    E(ERROR_LAUNCH_FAILED, 719),
    E(ERROR_COOPERATIVE_LAUNCH_TOO_LARGE, 720),
    E(ERROR_NOT_PERMITTED, 800),
    E(ERROR_NOT_SUPPORTED, 801),
    E(ERROR_SYSTEM_NOT_READY, 802),
    E(ERROR_STREAM_CAPTURE_UNSUPPORTED, 900),
    E(ERROR_STREAM_CAPTURE_INVALIDATED, 901),
    E(ERROR_STREAM_CAPTURE_MERGE, 902),
    E(ERROR_STREAM_CAPTURE_UNMATCHED, 903),
    E(ERROR_STREAM_CAPTURE_UNJOINED, 904),
    E(ERROR_STREAM_CAPTURE_ISOLATION, 905),
    E(ERROR_STREAM_CAPTURE_IMPLICIT, 906),
    E(ERROR_CAPTURED_EVENT, 907),
    E(ERROR_STREAM_CAPTURE_WRONG_THREAD, 908),
    E(ERROR_GRAPH_EXEC_UPDATE_FAILURE, 910),
    E(ERROR_INVALID_CLUSTER_SIZE, 912),
    E(ERROR_UNKNOWN, 999),
#undef E
};

static void error_texts(void)
{
    const char *text, *other;

    for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
        note("%d", errors[i].number);
        OK(cuGetErrorName(errors[i].code, &text), (int)errors[i].code == errors[i].number,
           !strcmp(text, errors[i].name));
        OK(cuGetErrorString(errors[i].code, &other), other && *other, strcmp(text, other));
    }
    note("%s", "");
    /* No such number, and no text of the call before. */
    NO(INVALID_VALUE, cuGetErrorName((CUresult)7777, &text), !text);
    NO(INVALID_VALUE, cuGetErrorString((CUresult)7777, &other), !other);
}

/* What each device of compute capability 7 and later has, by the programming guide's table. */
static const struct {
    CUdevice_attribute which;
    int least, most;
} limits[] = {
    {CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK, 1024, 1024},
    {CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_X, 1024, 1024},
    {CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Y, 1024, 1024},
    {CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Z, 64, 64},
    {CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_X, 0x7fffffff, 0x7fffffff},
    {CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Y, 65535, 65535},
    {CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Z, 65535, 65535},
    {CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK, 48 << 10, 48 << 10},
    {CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN, 48 << 10, 1 << 20},
    {CU_DEVICE_ATTRIBUTE_TOTAL_CONSTANT_MEMORY, 64 << 10, 64 << 10},
    {CU_DEVICE_ATTRIBUTE_WARP_SIZE, 32, 32},
    {CU_DEVICE_ATTRIBUTE_MAX_REGISTERS_PER_BLOCK, 64 << 10, 64 << 10},
    {CU_DEVICE_ATTRIBUTE_MAX_REGISTERS_PER_MULTIPROCESSOR, 64 << 10, 64 << 10},
    {CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_MULTIPROCESSOR, 1024, 2048},
    {CU_DEVICE_ATTRIBUTE_MAX_BLOCKS_PER_MULTIPROCESSOR, 16, 32},
    {CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT, 1, 4096},
    {CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, 7, 99},
    {CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR, 0, 9},
    {CU_DEVICE_ATTRIBUTE_UNIFIED_ADDRESSING, 1, 1}, /* as on each 64-bit system */
    {CU_DEVICE_ATTRIBUTE_CAN_MAP_HOST_MEMORY, 1, 1},
    {CU_DEVICE_ATTRIBUTE_GLOBAL_L1_CACHE_SUPPORTED, 0, 1},
    {CU_DEVICE_ATTRIBUTE_STREAM_PRIORITIES_SUPPORTED, 0, 1},
    {CU_DEVICE_ATTRIBUTE_CONCURRENT_KERNELS, 0, 1},
    {CU_DEVICE_ATTRIBUTE_COOPERATIVE_LAUNCH, 0, 1},
    {CU_DEVICE_ATTRIBUTE_COMPUTE_PREEMPTION_SUPPORTED, 0, 1},
    {CU_DEVICE_ATTRIBUTE_MANAGED_MEMORY, 0, 1},
    {CU_DEVICE_ATTRIBUTE_MEMORY_POOLS_SUPPORTED, 0, 1},
    {CU_DEVICE_ATTRIBUTE_INTEGRATED, 0, 1},
    {CU_DEVICE_ATTRIBUTE_ECC_ENABLED, 0, 1},
    {CU_DEVICE_ATTRIBUTE_TCC_DRIVER, 0, 0}, /* there is none on Linux */
    {CU_DEVICE_ATTRIBUTE_KERNEL_EXEC_TIMEOUT, 0, 1},
    {CU_DEVICE_ATTRIBUTE_COMPUTE_MODE, CU_COMPUTEMODE_DEFAULT, CU_COMPUTEMODE_EXCLUSIVE_PROCESS},
    {CU_DEVICE_ATTRIBUTE_ASYNC_ENGINE_COUNT, 0, 64},
    {CU_DEVICE_ATTRIBUTE_TEXTURE_ALIGNMENT, 1, 4096},
    {CU_DEVICE_ATTRIBUTE_PCI_DEVICE_ID, 0, 31},
};

static void attributes(void)
{
    int v, major, minor, optin = attribute(CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN);
    CUdevprop p;

    for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
        note("%d", (int)limits[i].which);
        OK(cuDeviceGetAttribute(&v, limits[i].which, dev), v >= limits[i].least,
           v <= limits[i].most);
    }
    note("%s", "");
    OK(cuDeviceGetAttribute(&v, CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_MULTIPROCESSOR, dev),
       v >= optin);
    OK(cuDeviceGetAttribute(&v, CU_DEVICE_ATTRIBUTE_MAX_PITCH, dev), v >= 1 << 20);
    v = 77;
    NO(INVALID_VALUE, cuDeviceGetAttribute(&v, (CUdevice_attribute)0, dev), v == 77);
    OK(cuDeviceComputeCapability(&major, &minor, dev),
       major == attribute(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR),
       minor == attribute(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR));
    /* The older call gives the same. */
    OK(cuDeviceGetProperties(&p, dev),
       p.maxThreadsPerBlock == attribute(CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK),
       p.maxThreadsDim[0] == attribute(CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_X),
       p.maxThreadsDim[1] == attribute(CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Y),
       p.maxThreadsDim[2] == attribute(CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Z),
       p.maxGridSize[0] == attribute(CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_X),
       p.maxGridSize[1] == attribute(CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Y),
       p.maxGridSize[2] == attribute(CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Z),
       p.sharedMemPerBlock == attribute(CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK),
       p.totalConstantMemory == attribute(CU_DEVICE_ATTRIBUTE_TOTAL_CONSTANT_MEMORY),
       p.SIMDWidth == attribute(CU_DEVICE_ATTRIBUTE_WARP_SIZE),
       p.memPitch == attribute(CU_DEVICE_ATTRIBUTE_MAX_PITCH),
       p.regsPerBlock == attribute(CU_DEVICE_ATTRIBUTE_MAX_REGISTERS_PER_BLOCK),
       p.textureAlign == attribute(CU_DEVICE_ATTRIBUTE_TEXTURE_ALIGNMENT));
}

static void identity(void)
{
    char name[256], cut[8], bus[32], again[32], form[64];
    CUuuid uuid, same;
    CUdevice d;
    size_t total, free_bytes, all;
    unsigned domain = 0, number = 0, device = 0, function = 0;
    int n;

    OK(cuDeviceGetName(name, sizeof(name), dev), strlen(name) > 3);
    memset(cut, 'x', sizeof(cut));
    /* As much as there is room for, and its end. */
    OK(cuDeviceGetName(cut, 4, dev), strlen(cut) == 3, !strncmp(cut, name, 3), cut[4] == 'x');
    OK(cuDeviceGetUuid_v2(&uuid, dev), !is_all(&uuid, sizeof(uuid), 0));
    OK(cuDeviceGetUuid(&same, dev), !memcmp(&uuid, &same, sizeof(uuid)));
    OK(cuDeviceTotalMem(&total, dev), total >= 1 << 20);
    OK(cuMemGetInfo(&free_bytes, &all), all == total, free_bytes <= all);

    OK(cuDeviceGetPCIBusId(bus, sizeof(bus), dev), strlen(bus) == 12,
       sscanf(bus, "%x:%x:%x.%x", &domain, &number, &device, &function) == 4,
       (int)domain == attribute(CU_DEVICE_ATTRIBUTE_PCI_DOMAIN_ID),
       (int)number == attribute(CU_DEVICE_ATTRIBUTE_PCI_BUS_ID),
       (int)device == attribute(CU_DEVICE_ATTRIBUTE_PCI_DEVICE_ID));
    memset(again, 'x', sizeof(again));
    OK(cuDeviceGetPCIBusId(again, 13, dev), !strcmp(again, bus), again[13] == 'x');
    d = -1;
    OK(cuDeviceGetByPCIBusId(&d, bus), d == dev);
    d = -1;
    snprintf(form, sizeof(form), "%x:%x:%x", domain, number, device);
    OK(cuDeviceGetByPCIBusId(&d, form), d == dev); /* "[domain]:[bus]:[device]" */
    d = -1;
    if (!domain) {
        snprintf(form, sizeof(form), "%02x:%02x.0", number, device);
        OK(cuDeviceGetByPCIBusId(&d, form), d == dev); /* "[bus]:[device].[function]" */
    }
    snprintf(form, sizeof(form), "%x:%x:%x.%x", domain, number, device, function + 1);
    if (on_softcuda()) /* of a driver it is not known */
        NO(INVALID_DEVICE, cuDeviceGetByPCIBusId(&d, form));
    OK(cuDeviceCanAccessPeer(&n, dev, dev), n == 0); /* nobody is its own peer */
    OK(cuDeviceGetCount(&n), n >= 1);
}

/* --- functions by name ------------------------------------------------------------------------ */

typedef CUresult (*device_of)(CUdevice *);
typedef CUresult (*device_of_context)(CUdevice *, CUcontext);
typedef CUresult (*allocate_function)(CUdeviceptr *, size_t);
typedef CUresult (*address_of)(const char *, void **, int, cuuint64_t);

static void addresses(void)
{
    CUdriverProcAddressQueryResult why = (CUdriverProcAddressQueryResult)9;
    void *f = NULL, *g = NULL;
    CUdevice d = -1;
    CUdeviceptr p = 0;
    CUcontext c;

    OK(cuGetProcAddress("cuMemAlloc", &f, 13000, 0, &why), f, why == CU_GET_PROC_ADDRESS_SUCCESS);
    OK(((allocate_function)f)(&p, 64), p);
    OK(cuMemFree(p));
    OK(cuGetProcAddress("cuMemAlloc", &g, 3020, 0, NULL), g); /* why is nobody's to ask */
    OK(((allocate_function)g)(&p, 64), p);
    OK(cuMemFree(p));
    f = (void *)1;
    OK(cuGetProcAddress("cuNoSuchFunction", &f, 13000, 0, &why), !f,
       why == CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND);
    f = (void *)1;
    OK(cuGetProcAddress("cuMemAllocAsync", &f, 11010, 0, &why), !f, /* it came with 11.2 */
       why == CU_GET_PROC_ADDRESS_VERSION_NOT_SUFFICIENT);
    OK(cuGetProcAddress("cuMemAllocAsync", &f, 11020, 0, &why), f,
       why == CU_GET_PROC_ADDRESS_SUCCESS);
    OK(cuGetProcAddress("cuGraphAddNode", &f, 12010, 0, &why), !f, /* 12.2 */
       why == CU_GET_PROC_ADDRESS_VERSION_NOT_SUFFICIENT);
    OK(cuGetProcAddress("cuMemAlloc_v2", &f, 13000, 0, &why), !f, /* names come without a version */
       why == CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND);
    NO(INVALID_VALUE, cuGetProcAddress("cuMemAlloc", &f, 13000, 64, &why));
    /* That of before 12.0 says by its result what the other says beside it. */
    OK(cuGetProcAddress("cuGetProcAddress", &g, 11030, 0, NULL), g);
    NO(NOT_FOUND, ((address_of)g)("cuNoSuchFunction", &f, 12000, 0));
    OK(((address_of)g)("cuMemAlloc", &f, 11030, 0), f);
    OK(((allocate_function)f)(&p, 64), p);
    OK(cuMemFree(p));

    /* The version chooses among those of one name. */
    OK(cuGetProcAddress("cuCtxGetDevice", &f, 12000, 0, NULL), f);
    OK(((device_of)f)(&d), d == dev);
    OK(cuCtxPopCurrent(&c), c == ctx);
    NO(INVALID_CONTEXT, ((device_of)f)(&d));
    OK(cuGetProcAddress("cuCtxGetDevice", &g, 13000, 0, NULL), g, f != g);
    d = -1;
    OK(((device_of_context)g)(&d, ctx), d == dev);
    OK(cuCtxPushCurrent(ctx));
    /* The flags choose the default stream. */
    OK(cuGetProcAddress("cuStreamQuery", &f, 13000, CU_GET_PROC_ADDRESS_LEGACY_STREAM, NULL), f);
    OK(cuGetProcAddress("cuStreamQuery", &g, 13000, CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM,
                        NULL),
       g, f != g);
    OK(cuGetProcAddress("cuInit", &g, 13000, CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM, NULL),
       g); /* it takes none: there is one only */
}

static const struct table tables[] = {
    {"start", start, UNPREPARED}, {"errors", error_texts},  {"attributes", attributes},
    {"identity", identity},       {"addresses", addresses}, {0},
};

int main(void)
{
    return tables_run("device", tables);
}
