/* The one device: this machine's CPU, described as what it is. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "softcuda/driver/device.h"
#include "softcuda/driver/sc.h"
#include "cuda/identity.h"

static CUresult device_check(CUdevice device)
{
    CUresult r = xg_cuda_ready();

    if (r)
        return r;
    return device < 0 || device >= SC_DEVICES ? CUDA_ERROR_INVALID_DEVICE : CUDA_SUCCESS;
}

CUresult cuDeviceGetCount(int *count)
{
    CUresult r = xg_cuda_ready();

    if (r)
        return r;
    if (!count)
        return CUDA_ERROR_INVALID_VALUE;
    *count = SC_DEVICES;
    return CUDA_SUCCESS;
}

CUresult cuDeviceGet(CUdevice *device, int ordinal)
{
    CUresult r = device_check(ordinal);

    if (r)
        return r;
    if (!device)
        return CUDA_ERROR_INVALID_VALUE;
    *device = ordinal;
    return CUDA_SUCCESS;
}

/* First line of /proc/cpuinfo with that key. */
static bool cpuinfo(const char *key, char *value, size_t size)
{
    char line[256];
    bool found = false;
    FILE *f = fopen("/proc/cpuinfo", "re");

    while (f && !found && fgets(line, sizeof(line), f)) {
        char *colon = strchr(line, ':');
        if (!colon || strncmp(line, key, strlen(key)))
            continue;
        line[strcspn(line, "\n")] = 0;
        snprintf(value, size, "%s", colon[1] ? colon + 2 : "");
        found = true;
    }
    if (f)
        fclose(f);
    return found;
}

/* All that is read from files is read once, at start: a caller may lock itself out of them later.
 */
static struct {
    char cpu[128];
    uint8_t uuid[XG_CUDA_UUID_SIZE];
    int clock_khz, cache_bytes;
} facts;

CUresult cuDeviceGetName(char *name, int size, CUdevice device)
{
    CUresult r = device_check(device);

    if (r)
        return r;
    if (!name || size <= 0)
        return CUDA_ERROR_INVALID_VALUE;
    snprintf(name, (size_t)size, "softcuda (%s, %u thread%s)", facts.cpu, sc_engine_threads(),
             sc_engine_threads() == 1 ? "" : "s");
    return CUDA_SUCCESS;
}

/* Of the machine, so that it is the same in each process. */
CUresult cuDeviceGetUuid_v2(CUuuid *uuid, CUdevice device)
{
    CUresult r = device_check(device);

    if (r)
        return r;
    if (!uuid)
        return CUDA_ERROR_INVALID_VALUE;
    memcpy(uuid->bytes, facts.uuid, sizeof(uuid->bytes));
    return CUDA_SUCCESS;
}

CUresult cuDeviceGetUuid(CUuuid *uuid, CUdevice device)
{
    return cuDeviceGetUuid_v2(uuid, device);
}

CUresult cuDeviceTotalMem_v2(size_t *bytes, CUdevice device)
{
    CUresult r = device_check(device);

    if (r)
        return r;
    if (!bytes)
        return CUDA_ERROR_INVALID_VALUE;
    *bytes = sc_settings.memory;
    return CUDA_SUCCESS;
}

/* Of the CPU, in kHz, as long as it can be found out. */
static int clock_khz(void)
{
    char text[64];
    double mhz;
    int khz = 0;
    FILE *f = fopen("/sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq", "re");

    if (f) {
        if (fscanf(f, "%d", &khz) != 1)
            khz = 0;
        fclose(f);
    }
    if (!khz && cpuinfo("cpu MHz", text, sizeof(text)) && sscanf(text, "%lf", &mhz) == 1)
        khz = (int)(mhz * 1000);
    return khz;
}

static int cache_bytes(void)
{
    long l3 = sysconf(_SC_LEVEL3_CACHE_SIZE), l2 = sysconf(_SC_LEVEL2_CACHE_SIZE);

    return (int)(l3 > 0 ? xg_min_u64((uint64_t)l3, INT32_MAX) : l2 > 0 ? (uint64_t)l2 : 0);
}

static void make_uuid(void)
{
    char machine[64] = "";
    const char *const part[] = {"softcuda", machine};
    FILE *f = fopen("/etc/machine-id", "re");

    if (f) {
        if (!fgets(machine, sizeof(machine), f))
            machine[0] = 0;
        fclose(f);
    }
    machine[strcspn(machine, "\n")] = 0;
    xg_cuda_uuid_make(facts.uuid, part, XG_ARRAY_LEN(part));
}

bool sc_device_init(void)
{
    unsigned order[SC_DEVICES];

    make_uuid();
    if (!cpuinfo("model name", facts.cpu, sizeof(facts.cpu)))
        snprintf(facts.cpu, sizeof(facts.cpu), "CPU");
    facts.clock_khz = clock_khz();
    facts.cache_bytes = cache_bytes();
    return xg_cuda_visible(getenv("CUDA_VISIBLE_DEVICES"), &facts.uuid, SC_DEVICES, order) != 0;
}

/* Attributes that are a constant; the rest, and what softcuda has not, is in attribute_value. */
static const struct {
    CUdevice_attribute id;
    int value;
} constants[] = {
    {CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK, SC_MAX_THREADS},
    {CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_X, 1024},
    {CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Y, 1024},
    {CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Z, 64},
    {CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_X, INT32_MAX},
    {CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Y, 65535},
    {CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Z, 65535},
    {CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK, SC_MAX_SHARED},
    {CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN, SC_MAX_SHARED_OPTIN},
    {CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_MULTIPROCESSOR, SC_SHARED_PER_SM},
    {CU_DEVICE_ATTRIBUTE_RESERVED_SHARED_MEMORY_PER_BLOCK, SC_SHARED_RESERVED},
    {CU_DEVICE_ATTRIBUTE_TOTAL_CONSTANT_MEMORY, 65536},
    {CU_DEVICE_ATTRIBUTE_WARP_SIZE, SC_WARP},
    {CU_DEVICE_ATTRIBUTE_MAX_PITCH, INT32_MAX},
    {CU_DEVICE_ATTRIBUTE_MAX_REGISTERS_PER_BLOCK, SC_REGISTERS},
    {CU_DEVICE_ATTRIBUTE_MAX_REGISTERS_PER_MULTIPROCESSOR, SC_REGISTERS},
    {CU_DEVICE_ATTRIBUTE_TEXTURE_ALIGNMENT, 512},
    {CU_DEVICE_ATTRIBUTE_TEXTURE_PITCH_ALIGNMENT, 32},
    {CU_DEVICE_ATTRIBUTE_SURFACE_ALIGNMENT, 512},
    {CU_DEVICE_ATTRIBUTE_GPU_OVERLAP, 1},
    {CU_DEVICE_ATTRIBUTE_ASYNC_ENGINE_COUNT, 1},
    {CU_DEVICE_ATTRIBUTE_INTEGRATED, 1},
    {CU_DEVICE_ATTRIBUTE_CAN_MAP_HOST_MEMORY, 1},
    {CU_DEVICE_ATTRIBUTE_COMPUTE_MODE, CU_COMPUTEMODE_DEFAULT},
    {CU_DEVICE_ATTRIBUTE_CONCURRENT_KERNELS, 1},
    {CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_MULTIPROCESSOR, SC_THREADS_PER_SM},
    {CU_DEVICE_ATTRIBUTE_MAX_BLOCKS_PER_MULTIPROCESSOR, SC_BLOCKS_PER_SM},
    {CU_DEVICE_ATTRIBUTE_UNIFIED_ADDRESSING, 1},
    {CU_DEVICE_ATTRIBUTE_STREAM_PRIORITIES_SUPPORTED, 1},
    {CU_DEVICE_ATTRIBUTE_MANAGED_MEMORY, 1},
    {CU_DEVICE_ATTRIBUTE_CONCURRENT_MANAGED_ACCESS, 1},
    {CU_DEVICE_ATTRIBUTE_DIRECT_MANAGED_MEM_ACCESS_FROM_HOST, 1},
    {CU_DEVICE_ATTRIBUTE_HOST_NATIVE_ATOMIC_SUPPORTED, 1},
    {CU_DEVICE_ATTRIBUTE_SINGLE_TO_DOUBLE_PRECISION_PERF_RATIO, 2},
    {CU_DEVICE_ATTRIBUTE_COMPUTE_PREEMPTION_SUPPORTED, 1},
    {CU_DEVICE_ATTRIBUTE_CAN_USE_HOST_POINTER_FOR_REGISTERED_MEM, 1},
    {CU_DEVICE_ATTRIBUTE_HOST_REGISTER_SUPPORTED, 1},
    {CU_DEVICE_ATTRIBUTE_READ_ONLY_HOST_REGISTER_SUPPORTED, 1},
    {CU_DEVICE_ATTRIBUTE_COOPERATIVE_LAUNCH, 1},
    {CU_DEVICE_ATTRIBUTE_CAN_USE_64_BIT_STREAM_MEM_OPS, 1},
    {CU_DEVICE_ATTRIBUTE_CAN_USE_STREAM_WAIT_VALUE_NOR, 1},
    {CU_DEVICE_ATTRIBUTE_CAN_FLUSH_REMOTE_WRITES, 1},
    {CU_DEVICE_ATTRIBUTE_VIRTUAL_MEMORY_MANAGEMENT_SUPPORTED, 1},
    {CU_DEVICE_ATTRIBUTE_MEMORY_POOLS_SUPPORTED, 1},
};

static int attribute_value(CUdevice_attribute id)
{
    for (size_t i = 0; i < XG_ARRAY_LEN(constants); i++)
        if (constants[i].id == id)
            return constants[i].value;
    switch (id) {
    case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR: return sc_settings.cc_major;
    case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR: return sc_settings.cc_minor;
    case CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT: return (int)sc_engine_threads();
    case CU_DEVICE_ATTRIBUTE_CLOCK_RATE: return facts.clock_khz;
    case CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE: return facts.cache_bytes;
    case CU_DEVICE_ATTRIBUTE_KERNEL_EXEC_TIMEOUT: return sc_settings.timeout_ns != 0;
    case CU_DEVICE_ATTRIBUTE_NUMA_ID:
    case CU_DEVICE_ATTRIBUTE_HOST_NUMA_ID: return -1;
    /* Textures, peers, ECC, RDMA, IPC, clusters, multicast, sparse arrays, memory bus, PCI: none.
     */
    default: return 0;
    }
}

CUresult cuDeviceGetAttribute(int *value, CUdevice_attribute attribute, CUdevice device)
{
    XG_CUDA_NEED(value, CUDA_ERROR_INVALID_VALUE);
    CUresult r = device_check(device);

    if (r)
        return r;
    if ((int)attribute < 1 || attribute >= CU_DEVICE_ATTRIBUTE_MAX)
        return CUDA_ERROR_INVALID_VALUE;
    *value = attribute_value(attribute);
    return CUDA_SUCCESS;
}

CUresult cuDeviceGetProperties(CUdevprop *p, CUdevice device)
{
    CUresult r = device_check(device);

    if (r)
        return r;
    if (!p)
        return CUDA_ERROR_INVALID_VALUE;
    *p = (CUdevprop){
        .maxThreadsPerBlock = SC_MAX_THREADS,
        .maxThreadsDim = {1024, 1024, 64},
        .maxGridSize = {INT32_MAX, 65535, 65535},
        .sharedMemPerBlock = SC_MAX_SHARED,
        .totalConstantMemory = 65536,
        .SIMDWidth = SC_WARP,
        .memPitch = INT32_MAX,
        .regsPerBlock = SC_REGISTERS,
        .clockRate = facts.clock_khz,
        .textureAlign = 512,
    };
    return CUDA_SUCCESS;
}

CUresult cuDeviceComputeCapability(int *major, int *minor, CUdevice device)
{
    CUresult r = device_check(device);

    if (r)
        return r;
    if (!major || !minor)
        return CUDA_ERROR_INVALID_VALUE;
    *major = sc_settings.cc_major;
    *minor = sc_settings.cc_minor;
    return CUDA_SUCCESS;
}

/* It is on no bus: the address is made up, and the only one that leads back to it. */
CUresult cuDeviceGetPCIBusId(char *id, int size, CUdevice device)
{
    CUresult r = device_check(device);

    if (r)
        return r;
    if (!id || size < 13)
        return CUDA_ERROR_INVALID_VALUE;
    snprintf(id, (size_t)size, "0000:00:00.0");
    return CUDA_SUCCESS;
}

CUresult cuDeviceGetByPCIBusId(CUdevice *device, const char *id)
{
    unsigned domain = 0, bus, slot, function = 0;
    CUresult r = xg_cuda_ready();

    if (r)
        return r;
    if (!device || !id)
        return CUDA_ERROR_INVALID_VALUE;
    if (sscanf(id, "%x:%x:%x.%x", &domain, &bus, &slot, &function) < 3 &&
        (domain = 0, sscanf(id, "%x:%x.%x", &bus, &slot, &function) < 2))
        return CUDA_ERROR_INVALID_VALUE;
    if (domain || bus || slot || function)
        return CUDA_ERROR_INVALID_DEVICE;
    *device = 0;
    return CUDA_SUCCESS;
}

CUresult cuDeviceGetExecAffinitySupport(int *supported, CUexecAffinityType type, CUdevice device)
{
    CUresult r = device_check(device);

    if (r)
        return r;
    if (!supported)
        return CUDA_ERROR_INVALID_VALUE;
    *supported = 0;
    return CUDA_SUCCESS;
}

CUresult cuDeviceCanAccessPeer(int *can, CUdevice device, CUdevice peer)
{
    CUresult r = device_check(device);

    if (!r)
        r = device_check(peer);
    if (r)
        return r;
    if (!can)
        return CUDA_ERROR_INVALID_VALUE;
    *can = 0; /* a device is not its own peer */
    return CUDA_SUCCESS;
}

CUresult cuDeviceGetP2PAttribute(int *value, CUdevice_P2PAttribute attribute, CUdevice a,
                                 CUdevice b)
{
    CUresult r = device_check(a);

    if (!r)
        r = device_check(b);
    if (r)
        return r;
    /* A device is not its own peer. */
    return value ? CUDA_ERROR_INVALID_DEVICE : CUDA_ERROR_INVALID_VALUE;
}

CUresult cuDeviceGetTexture1DLinearMaxWidth(size_t *width, CUarray_format format, unsigned channels,
                                            CUdevice device)
{
    CUresult r = device_check(device);

    if (r)
        return r;
    if (!width || !xg_cuda_texel_valid(format, channels))
        return CUDA_ERROR_INVALID_VALUE;
    *width = 0;
    return CUDA_SUCCESS;
}

/* --- the profiler: none is attached, so there is nothing to start or stop --------------------- */

CUresult cuProfilerStart(void)
{
    SC_ENTER(ctx);
    SC_UNSAFE();
    return CUDA_SUCCESS;
}

CUresult cuProfilerStop(void)
{
    SC_ENTER(ctx);
    SC_UNSAFE();
    return CUDA_SUCCESS;
}
