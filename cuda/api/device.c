/* The device: there is one, number 0. What is asked of it, and of its peers, which are none. */
#include <stdio.h>
#include <string.h>

#include "cuda/api/capture.h"
#include "cuda/api/context.h"

/* `given`: all that an answer goes to. */
static CUresult device_check(CUdevice device, bool given)
{
    XG_CUDA_READY();
    if (!given)
        return CUDA_ERROR_INVALID_VALUE;
    return device == 0 ? CUDA_SUCCESS : CUDA_ERROR_INVALID_DEVICE;
}

#define DEVICE(device, given)                                                                      \
    do {                                                                                           \
        CUresult check_ = device_check(device, given);                                             \
        if (check_ != CUDA_SUCCESS)                                                                \
            return check_;                                                                         \
    } while (0)

/* Answered before cuInit too. What the library speaks: a newer driver behind it does not make it
 * speak more. */
CUresult cuDriverGetVersion(int *version)
{
    XG_CUDA_NEED(version, CUDA_ERROR_INVALID_VALUE);
    int behind = xg_cuda_started() ? xg_cuda_device.facts->driver_version : CUDA_VERSION;
    *version = behind < CUDA_VERSION ? behind : CUDA_VERSION;
    return CUDA_SUCCESS;
}

CUresult cuDeviceGet(CUdevice *device, int ordinal)
{
    DEVICE(ordinal, device);
    *device = 0;
    return CUDA_SUCCESS;
}

CUresult cuDeviceGetCount(int *count)
{
    DEVICE(0, count);
    *count = 1;
    return CUDA_SUCCESS;
}

/* --- who it is -------------------------------------------------------------------------------- */

CUresult cuDeviceGetName(char *name, int size, CUdevice device)
{
    DEVICE(device, name && size > 0);
    snprintf(name, (size_t)size, "%s", xg_cuda_device.facts->name);
    return CUDA_SUCCESS;
}

CUresult cuDeviceGetUuid_v2(CUuuid *uuid, CUdevice device)
{
    DEVICE(device, uuid);
    memcpy(uuid->bytes, xg_cuda_device.facts->uuid, sizeof(uuid->bytes));
    return CUDA_SUCCESS;
}

CUresult cuDeviceGetUuid(CUuuid *uuid, CUdevice device)
{
    return cuDeviceGetUuid_v2(uuid, device);
}

CUresult cuDeviceGetLuid(char *luid, unsigned *mask, CUdevice device)
{
    const struct xg_cuda_facts *f = xg_cuda_device.facts;

    DEVICE(device, luid && mask);
    if (!f->luid_known)
        return CUDA_ERROR_NOT_SUPPORTED;
    memcpy(luid, f->luid, sizeof(f->luid));
    *mask = f->luid_mask;
    return CUDA_SUCCESS;
}

CUresult cuDeviceGetPCIBusId(char *id, int size, CUdevice device)
{
    const char *bus = xg_cuda_device.facts->pci_bus;

    DEVICE(device, id && size >= (int)sizeof("0000:00:00.0") && *bus);
    snprintf(id, (size_t)size, "%s", bus);
    return CUDA_SUCCESS;
}

/* "[domain]:[bus]:[device].[function]"; the first or the last may be left out. */
static bool bus_parse(const char *text, unsigned place[4])
{
    if (sscanf(text, "%x:%x:%x.%x", &place[0], &place[1], &place[2], &place[3]) >= 3)
        return true;
    place[0] = 0;
    return sscanf(text, "%x:%x.%x", &place[1], &place[2], &place[3]) >= 2;
}

CUresult cuDeviceGetByPCIBusId(CUdevice *device, const char *id)
{
    unsigned want[4] = {0}, have[4] = {0};

    DEVICE(0, device && id && bus_parse(id, want));
    if (!bus_parse(xg_cuda_device.facts->pci_bus, have) || memcmp(want, have, sizeof(want)) != 0)
        return CUDA_ERROR_INVALID_DEVICE;
    *device = 0;
    return CUDA_SUCCESS;
}

/* --- what it has ------------------------------------------------------------------------------ */

CUresult cuDeviceTotalMem_v2(size_t *bytes, CUdevice device)
{
    DEVICE(device, bytes);
    *bytes = xg_cuda_device.memory_total();
    return CUDA_SUCCESS;
}

CUresult cuDeviceTotalMem(unsigned *bytes, CUdevice device)
{
    DEVICE(device, bytes);
    *bytes = (unsigned)xg_min_u64(xg_cuda_device.memory_total(), UINT32_MAX);
    return CUDA_SUCCESS;
}

/* 0 if it is not known. */
static int attribute_value(CUdevice_attribute a)
{
    int value;

    return xg_cuda_device.attribute(a, &value) ? value : 0;
}

CUresult cuDeviceGetAttribute(int *value, CUdevice_attribute a, CUdevice device)
{
    XG_CUDA_NEED(value, CUDA_ERROR_INVALID_VALUE);
    DEVICE(device, value);
    if ((int)a < 1 || a >= CU_DEVICE_ATTRIBUTE_MAX || !xg_cuda_device.attribute(a, value))
        return CUDA_ERROR_INVALID_VALUE;
    return CUDA_SUCCESS;
}

CUresult cuDeviceComputeCapability(int *major, int *minor, CUdevice device)
{
    DEVICE(device, major && minor);
    *major = attribute_value(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR);
    *minor = attribute_value(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR);
    return CUDA_SUCCESS;
}

CUresult cuDeviceGetProperties(CUdevprop *p, CUdevice device)
{
    DEVICE(device, p);
    *p = (CUdevprop){
        .maxThreadsPerBlock = attribute_value(CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK),
        .maxThreadsDim = {attribute_value(CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_X),
                          attribute_value(CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Y),
                          attribute_value(CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Z)},
        .maxGridSize = {attribute_value(CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_X),
                        attribute_value(CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Y),
                        attribute_value(CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Z)},
        .sharedMemPerBlock = attribute_value(CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK),
        .totalConstantMemory = attribute_value(CU_DEVICE_ATTRIBUTE_TOTAL_CONSTANT_MEMORY),
        .SIMDWidth = attribute_value(CU_DEVICE_ATTRIBUTE_WARP_SIZE),
        .memPitch = attribute_value(CU_DEVICE_ATTRIBUTE_MAX_PITCH),
        .regsPerBlock = attribute_value(CU_DEVICE_ATTRIBUTE_MAX_REGISTERS_PER_BLOCK),
        .clockRate = attribute_value(CU_DEVICE_ATTRIBUTE_CLOCK_RATE),
        .textureAlign = attribute_value(CU_DEVICE_ATTRIBUTE_TEXTURE_ALIGNMENT),
    };
    return CUDA_SUCCESS;
}

CUresult cuDeviceGetTexture1DLinearMaxWidth(size_t *width, CUarray_format format, unsigned channels,
                                            CUdevice device)
{
    DEVICE(device, width && xg_cuda_texel_valid(format, channels));
    *width = (size_t)attribute_value(CU_DEVICE_ATTRIBUTE_MAXIMUM_TEXTURE1D_LINEAR_WIDTH);
    return CUDA_SUCCESS;
}

CUresult cuDeviceGetExecAffinitySupport(int *supported, CUexecAffinityType type, CUdevice device)
{
    DEVICE(device, supported);
    (void)type; /* whichever: none is */
    *supported = 0;
    return CUDA_SUCCESS;
}

/* --- peers: a device is not its own, and there is no other ------------------------------------ */

CUresult cuDeviceCanAccessPeer(int *can, CUdevice device, CUdevice peer)
{
    DEVICE(device, can);
    DEVICE(peer, can);
    *can = 0;
    return CUDA_SUCCESS;
}

CUresult cuDeviceGetP2PAttribute(int *value, CUdevice_P2PAttribute a, CUdevice from, CUdevice to)
{
    DEVICE(from, value);
    (void)a;
    (void)to;
    return CUDA_ERROR_INVALID_DEVICE;
}

CUresult cuCtxEnablePeerAccess(CUcontext peer, unsigned flags)
{
    XG_CUDA_CONTEXT(ctx);
    if (flags)
        return CUDA_ERROR_INVALID_VALUE;
    return xg_cuda_ctx_get(peer) ? CUDA_ERROR_PEER_ACCESS_UNSUPPORTED : CUDA_ERROR_INVALID_CONTEXT;
}

CUresult cuCtxDisablePeerAccess(CUcontext peer)
{
    XG_CUDA_CONTEXT(ctx);
    XG_CUDA_UNSAFE();
    return xg_cuda_ctx_get(peer) ? CUDA_ERROR_PEER_ACCESS_NOT_ENABLED : CUDA_ERROR_INVALID_CONTEXT;
}

/* --- the profiler: there is none to start or stop, which is no error -------------------------- */

CUresult cuProfilerStart(void)
{
    XG_CUDA_CONTEXT(ctx);
    XG_CUDA_UNSAFE();
    return CUDA_SUCCESS;
}

CUresult cuProfilerStop(void)
{
    return cuProfilerStart();
}
