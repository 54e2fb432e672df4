/* The one device: this machine's CPU, described as what it is. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "softcuda/driver/device.h"
#include "softcuda/driver/sc.h"
#include "cuda/identity.h"

/* First line of /proc/cpuinfo with that key. */
static bool cpuinfo_find(const char *key, char *value, size_t size)
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
struct xg_cuda_facts sc_facts = {
    .pci_bus = "0000:00:00.0", /* made up: it is on no bus */
    .driver_version = CUDA_VERSION,
    .priority_greatest = SC_PRIORITY_HIGH,
    .host_functions = true,
};
static int clock_is, cache_is; /* kHz, bytes */

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
    if (!khz && cpuinfo_find("cpu MHz", text, sizeof(text)) && sscanf(text, "%lf", &mhz) == 1)
        khz = (int)(mhz * 1000);
    return khz;
}

static int cache_bytes(void)
{
    long l3 = sysconf(_SC_LEVEL3_CACHE_SIZE), l2 = sysconf(_SC_LEVEL2_CACHE_SIZE);

    return (int)(l3 > 0 ? xg_min_u64((uint64_t)l3, INT32_MAX) : l2 > 0 ? (uint64_t)l2 : 0);
}

/* Of the machine, so that it is the same in each process. */
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
    xg_cuda_uuid_make(sc_facts.uuid, part, XG_ARRAY_LEN(part));
}

bool sc_device_init(void)
{
    char cpu[128];
    unsigned order, threads = sc_engine_threads();

    make_uuid();
    if (!cpuinfo_find("model name", cpu, sizeof(cpu)))
        snprintf(cpu, sizeof(cpu), "CPU");
    snprintf(sc_facts.name, sizeof(sc_facts.name), "softcuda (%s, %u thread%s)", cpu, threads,
             threads == 1 ? "" : "s");
    clock_is = clock_khz();
    cache_is = cache_bytes();
    return xg_cuda_visible(getenv("CUDA_VISIBLE_DEVICES"), &sc_facts.uuid, 1, &order) != 0;
}

uint64_t sc_memory_total(void)
{
    return sc_settings.memory;
}

/* Attributes that are a constant; the rest, and what softcuda has not, is in attribute_other. */
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
    {CU_DEVICE_ATTRIBUTE_MAX_PITCH, XG_CUDA_PITCH_MAX},
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

static int attribute_other(CUdevice_attribute id)
{
    switch (id) {
    case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR: return sc_settings.cc_major;
    case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR: return sc_settings.cc_minor;
    case CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT: return (int)sc_engine_threads();
    case CU_DEVICE_ATTRIBUTE_CLOCK_RATE: return clock_is;
    case CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE: return cache_is;
    case CU_DEVICE_ATTRIBUTE_KERNEL_EXEC_TIMEOUT: return sc_settings.timeout_ns != 0;
    case CU_DEVICE_ATTRIBUTE_NUMA_ID:
    case CU_DEVICE_ATTRIBUTE_HOST_NUMA_ID: return -1;
    /* Textures, peers, ECC, RDMA, IPC, clusters, multicast, sparse arrays, memory bus, PCI: none.
     */
    default: return 0;
    }
}

bool sc_attribute(CUdevice_attribute id, int *value)
{
    for (size_t i = 0; i < XG_ARRAY_LEN(constants); i++)
        if (constants[i].id == id) {
            *value = constants[i].value;
            return true;
        }
    *value = attribute_other(id);
    return true;
}
