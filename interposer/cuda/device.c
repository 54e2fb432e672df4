/* The device: answered from the snapshot. A guest sees one, number 0. */
#include "interposer/cuda/cu.h"
#include "interposer/cuda/cleared.h"

#include <stdio.h>

#define CHECK(device, ...)                                                                         \
    do {                                                                                           \
        const void *out_[] = {__VA_ARGS__};                                                        \
        XG_CUDA_READY();                                                                           \
        for (unsigned i_ = 0; i_ < XG_ARRAY_LEN(out_); i_++)                                       \
            if (!out_[i_])                                                                         \
                return CUDA_ERROR_INVALID_VALUE;                                                   \
        if ((device) != 0)                                                                         \
            return CUDA_ERROR_INVALID_DEVICE;                                                      \
    } while (0)

CUresult cuDriverGetVersion(int *version)
{
    if (!version)
        return CUDA_ERROR_INVALID_VALUE;
    /* What this library speaks; a newer driver behind it does not make it speak more. Answered
     * before cuInit too. */
    *version = xg_cuda_started() && cu.snap.driver_version < CUDA_VERSION
                   ? (int)cu.snap.driver_version
                   : CUDA_VERSION;
    return CUDA_SUCCESS;
}

CUresult cuDeviceGet(CUdevice *device, int ordinal)
{
    CHECK(ordinal, device);
    *device = 0;
    return CUDA_SUCCESS;
}

CUresult cuDeviceGetCount(int *count)
{
    CHECK(0, count);
    *count = 1;
    return CUDA_SUCCESS;
}

static void copy_text(char *to, int size, const char *from)
{
    snprintf(to, (size_t)size, "%s", from);
}

CUresult cuDeviceGetName(char *name, int size, CUdevice device)
{
    CHECK(device, name);
    if (size <= 0)
        return CUDA_ERROR_INVALID_VALUE;
    copy_text(name, size, cu.snap.name);
    return CUDA_SUCCESS;
}

CUresult cuDeviceGetUuid_v2(CUuuid *uuid, CUdevice device)
{
    CHECK(device, uuid);
    memcpy(uuid->bytes, cu.snap.uuid, sizeof(uuid->bytes));
    return CUDA_SUCCESS;
}

CUresult cuDeviceGetUuid(CUuuid *uuid, CUdevice device)
{
    return cuDeviceGetUuid_v2(uuid, device);
}

CUresult cuDeviceGetLuid(char *luid, unsigned int *mask, CUdevice device)
{
    CHECK(device, luid, mask);
    if (!cu.snap.luid_known)
        return CUDA_ERROR_NOT_SUPPORTED;
    memcpy(luid, cu.snap.luid, sizeof(cu.snap.luid));
    *mask = cu.snap.node_mask;
    return CUDA_SUCCESS;
}

static uint64_t total_memory(void)
{
    uint64_t limit = xg_channel_memory_limit(cu.channel);
    return limit ? xg_min_u64(limit, cu.snap.total_memory) : cu.snap.total_memory;
}

CUresult cuDeviceTotalMem_v2(size_t *bytes, CUdevice device)
{
    CHECK(device, bytes);
    *bytes = total_memory();
    return CUDA_SUCCESS;
}

CUresult cuDeviceTotalMem(unsigned int *bytes, CUdevice device)
{
    CHECK(device, bytes);
    *bytes = (unsigned)xg_min_u64(total_memory(), UINT32_MAX);
    return CUDA_SUCCESS;
}

/* What the device can do and we do not, or what only holds in the worker's process. */
static bool attribute_override(CUdevice_attribute a, int *value)
{
    if (xg_cuda_attribute_cleared(a)) {
        *value = 0;
        return true;
    }
    switch (a) {
    case CU_DEVICE_ATTRIBUTE_MANAGED_MEMORY:
        *value = (cu.snap.flags & XG_CUDA_ARENA_SAME) != 0;
        return true;
    case CU_DEVICE_ATTRIBUTE_CAN_MAP_HOST_MEMORY:
        *value = (cu.snap.flags & XG_CUDA_ARENA_REGISTERED) != 0;
        return true;
    case CU_DEVICE_ATTRIBUTE_UNIFIED_ADDRESSING:
    case CU_DEVICE_ATTRIBUTE_MEMORY_POOLS_SUPPORTED:
    case CU_DEVICE_ATTRIBUTE_HOST_REGISTER_SUPPORTED: *value = 1; return true;
    default: return false;
    }
}

CUresult cuDeviceGetAttribute(int *value, CUdevice_attribute a, CUdevice device)
{
    XG_CUDA_NEED(value, CUDA_ERROR_INVALID_VALUE);
    unsigned i = (unsigned)a;

    CHECK(device, value);
    if (i == 0 || i >= CU_DEVICE_ATTRIBUTE_MAX || i >= XG_CUDA_ATTRIBUTES)
        return CUDA_ERROR_INVALID_VALUE;
    if (attribute_override(a, value))
        return CUDA_SUCCESS;
    if (!(cu.snap.attribute_known[i / 32] & (1u << (i % 32))))
        return CUDA_ERROR_INVALID_VALUE;
    *value = cu.snap.attribute[i];
    return CUDA_SUCCESS;
}

CUresult cuDeviceComputeCapability(int *major, int *minor, CUdevice device)
{
    CHECK(device, major, minor);
    *major = cu.snap.attribute[CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR];
    *minor = cu.snap.attribute[CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR];
    return CUDA_SUCCESS;
}

CUresult cuDeviceGetProperties(CUdevprop *p, CUdevice device)
{
    const int32_t *a = cu.snap.attribute;

    CHECK(device, p);
    *p = (CUdevprop){
        .maxThreadsPerBlock = a[CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK],
        .maxThreadsDim = {a[CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_X],
                          a[CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Y],
                          a[CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Z]},
        .maxGridSize = {a[CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_X],
                        a[CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Y],
                        a[CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Z]},
        .sharedMemPerBlock = a[CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK],
        .totalConstantMemory = a[CU_DEVICE_ATTRIBUTE_TOTAL_CONSTANT_MEMORY],
        .SIMDWidth = a[CU_DEVICE_ATTRIBUTE_WARP_SIZE],
        .memPitch = a[CU_DEVICE_ATTRIBUTE_MAX_PITCH],
        .regsPerBlock = a[CU_DEVICE_ATTRIBUTE_MAX_REGISTERS_PER_BLOCK],
        .clockRate = a[CU_DEVICE_ATTRIBUTE_CLOCK_RATE],
        .textureAlign = a[CU_DEVICE_ATTRIBUTE_TEXTURE_ALIGNMENT],
    };
    return CUDA_SUCCESS;
}

CUresult cuDeviceGetPCIBusId(char *id, int size, CUdevice device)
{
    CHECK(device, id);
    if (size < (int)sizeof("0000:00:00") + 2 || !cu.snap.pci_bus[0])
        return CUDA_ERROR_INVALID_VALUE;
    copy_text(id, size, cu.snap.pci_bus);
    return CUDA_SUCCESS;
}

CUresult cuDeviceGetByPCIBusId(CUdevice *device, const char *id)
{
    unsigned want[3], have[3];

    CHECK(0, device, id);
    if (sscanf(cu.snap.pci_bus, "%x:%x:%x", &have[0], &have[1], &have[2]) != 3)
        return CUDA_ERROR_INVALID_DEVICE;
    if (sscanf(id, "%x:%x:%x", &want[0], &want[1], &want[2]) != 3) {
        want[0] = 0;
        if (sscanf(id, "%x:%x", &want[1], &want[2]) != 2)
            return CUDA_ERROR_INVALID_VALUE;
    }
    if (memcmp(want, have, sizeof(want)) != 0)
        return CUDA_ERROR_INVALID_DEVICE;
    *device = 0;
    return CUDA_SUCCESS;
}

CUresult cuDeviceGetTexture1DLinearMaxWidth(size_t *width, CUarray_format format, unsigned channels,
                                            CUdevice device)
{
    CHECK(device, width);
    if (!xg_cuda_texel_valid(format, channels))
        return CUDA_ERROR_INVALID_VALUE;
    *width = (size_t)cu.snap.attribute[CU_DEVICE_ATTRIBUTE_MAXIMUM_TEXTURE1D_LINEAR_WIDTH];
    return CUDA_SUCCESS;
}

CUresult cuDeviceGetExecAffinitySupport(int *supported, CUexecAffinityType type, CUdevice device)
{
    CHECK(device, supported);
    (void)type;
    *supported = 0;
    return CUDA_SUCCESS;
}

/* --- peers: there is one device --------------------------------------------------------------- */

CUresult cuDeviceCanAccessPeer(int *can, CUdevice device, CUdevice peer)
{
    CHECK(device, can);
    if (peer != 0)
        return CUDA_ERROR_INVALID_DEVICE;
    *can = 0;
    return CUDA_SUCCESS;
}

CUresult cuDeviceGetP2PAttribute(int *value, CUdevice_P2PAttribute a, CUdevice src, CUdevice dst)
{
    CHECK(src, value);
    (void)a;
    /* Both would have to be device 0, and a device is not its own peer. */
    (void)dst;
    return CUDA_ERROR_INVALID_DEVICE;
}

CUresult cuCtxEnablePeerAccess(CUcontext peer, unsigned int flags)
{
    CU_ENTER(ctx);
    if (flags)
        return CUDA_ERROR_INVALID_VALUE;
    struct cu_ctx *other = cu_object_get(CU_KIND_CTX, peer);
    return other ? CUDA_ERROR_PEER_ACCESS_UNSUPPORTED : CUDA_ERROR_INVALID_CONTEXT;
}

CUresult cuCtxDisablePeerAccess(CUcontext peer)
{
    CU_ENTER(ctx);
    CU_UNSAFE();
    struct cu_ctx *other = cu_object_get(CU_KIND_CTX, peer);
    return other ? CUDA_ERROR_PEER_ACCESS_NOT_ENABLED : CUDA_ERROR_INVALID_CONTEXT;
}
