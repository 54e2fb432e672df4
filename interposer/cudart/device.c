/* A device's properties, and the choice of a device by them. */
#include "interposer/cudart/runtime.h"

#include <string.h>

/* A member of one of the property structures and the driver's attribute that fills it. */
struct field {
    uint16_t offset, size; /* bytes; a size of 8 is a size_t */
    CUdevice_attribute attr;
};

#define F(member, name)                                                                            \
    {                                                                                              \
        offsetof(struct PROP, member), sizeof(((struct PROP *)0)->member),                         \
            CU_DEVICE_ATTRIBUTE_##name                                                             \
    }

/* In all three layouts. */
#define COMMON_FIELDS                                                                              \
    F(sharedMemPerBlock, MAX_SHARED_MEMORY_PER_BLOCK), F(regsPerBlock, MAX_REGISTERS_PER_BLOCK),   \
        F(warpSize, WARP_SIZE), F(memPitch, MAX_PITCH),                                            \
        F(maxThreadsPerBlock, MAX_THREADS_PER_BLOCK), F(maxThreadsDim[0], MAX_BLOCK_DIM_X),        \
        F(maxThreadsDim[1], MAX_BLOCK_DIM_Y), F(maxThreadsDim[2], MAX_BLOCK_DIM_Z),                \
        F(maxGridSize[0], MAX_GRID_DIM_X), F(maxGridSize[1], MAX_GRID_DIM_Y),                      \
        F(maxGridSize[2], MAX_GRID_DIM_Z), F(totalConstMem, TOTAL_CONSTANT_MEMORY),                \
        F(major, COMPUTE_CAPABILITY_MAJOR), F(minor, COMPUTE_CAPABILITY_MINOR),                    \
        F(textureAlignment, TEXTURE_ALIGNMENT), F(texturePitchAlignment, TEXTURE_PITCH_ALIGNMENT), \
        F(multiProcessorCount, MULTIPROCESSOR_COUNT), F(integrated, INTEGRATED),                   \
        F(canMapHostMemory, CAN_MAP_HOST_MEMORY), F(maxTexture1D, MAXIMUM_TEXTURE1D_WIDTH),        \
        F(maxTexture1DMipmap, MAXIMUM_TEXTURE1D_MIPMAPPED_WIDTH),                                  \
        F(maxTexture2D[0], MAXIMUM_TEXTURE2D_WIDTH), F(maxTexture2D[1], MAXIMUM_TEXTURE2D_HEIGHT), \
        F(maxTexture2DMipmap[0], MAXIMUM_TEXTURE2D_MIPMAPPED_WIDTH),                               \
        F(maxTexture2DMipmap[1], MAXIMUM_TEXTURE2D_MIPMAPPED_HEIGHT),                              \
        F(maxTexture2DLinear[0], MAXIMUM_TEXTURE2D_LINEAR_WIDTH),                                  \
        F(maxTexture2DLinear[1], MAXIMUM_TEXTURE2D_LINEAR_HEIGHT),                                 \
        F(maxTexture2DLinear[2], MAXIMUM_TEXTURE2D_LINEAR_PITCH),                                  \
        F(maxTexture2DGather[0], MAXIMUM_TEXTURE2D_GATHER_WIDTH),                                  \
        F(maxTexture2DGather[1], MAXIMUM_TEXTURE2D_GATHER_HEIGHT),                                 \
        F(maxTexture3D[0], MAXIMUM_TEXTURE3D_WIDTH), F(maxTexture3D[1], MAXIMUM_TEXTURE3D_HEIGHT), \
        F(maxTexture3D[2], MAXIMUM_TEXTURE3D_DEPTH),                                               \
        F(maxTexture3DAlt[0], MAXIMUM_TEXTURE3D_WIDTH_ALTERNATE),                                  \
        F(maxTexture3DAlt[1], MAXIMUM_TEXTURE3D_HEIGHT_ALTERNATE),                                 \
        F(maxTexture3DAlt[2], MAXIMUM_TEXTURE3D_DEPTH_ALTERNATE),                                  \
        F(maxTextureCubemap, MAXIMUM_TEXTURECUBEMAP_WIDTH),                                        \
        F(maxTexture1DLayered[0], MAXIMUM_TEXTURE1D_LAYERED_WIDTH),                                \
        F(maxTexture1DLayered[1], MAXIMUM_TEXTURE1D_LAYERED_LAYERS),                               \
        F(maxTexture2DLayered[0], MAXIMUM_TEXTURE2D_LAYERED_WIDTH),                                \
        F(maxTexture2DLayered[1], MAXIMUM_TEXTURE2D_LAYERED_HEIGHT),                               \
        F(maxTexture2DLayered[2], MAXIMUM_TEXTURE2D_LAYERED_LAYERS),                               \
        F(maxTextureCubemapLayered[0], MAXIMUM_TEXTURECUBEMAP_LAYERED_WIDTH),                      \
        F(maxTextureCubemapLayered[1], MAXIMUM_TEXTURECUBEMAP_LAYERED_LAYERS),                     \
        F(maxSurface1D, MAXIMUM_SURFACE1D_WIDTH), F(maxSurface2D[0], MAXIMUM_SURFACE2D_WIDTH),     \
        F(maxSurface2D[1], MAXIMUM_SURFACE2D_HEIGHT), F(maxSurface3D[0], MAXIMUM_SURFACE3D_WIDTH), \
        F(maxSurface3D[1], MAXIMUM_SURFACE3D_HEIGHT), F(maxSurface3D[2], MAXIMUM_SURFACE3D_DEPTH), \
        F(maxSurface1DLayered[0], MAXIMUM_SURFACE1D_LAYERED_WIDTH),                                \
        F(maxSurface1DLayered[1], MAXIMUM_SURFACE1D_LAYERED_LAYERS),                               \
        F(maxSurface2DLayered[0], MAXIMUM_SURFACE2D_LAYERED_WIDTH),                                \
        F(maxSurface2DLayered[1], MAXIMUM_SURFACE2D_LAYERED_HEIGHT),                               \
        F(maxSurface2DLayered[2], MAXIMUM_SURFACE2D_LAYERED_LAYERS),                               \
        F(maxSurfaceCubemap, MAXIMUM_SURFACECUBEMAP_WIDTH),                                        \
        F(maxSurfaceCubemapLayered[0], MAXIMUM_SURFACECUBEMAP_LAYERED_WIDTH),                      \
        F(maxSurfaceCubemapLayered[1], MAXIMUM_SURFACECUBEMAP_LAYERED_LAYERS),                     \
        F(surfaceAlignment, SURFACE_ALIGNMENT), F(concurrentKernels, CONCURRENT_KERNELS),          \
        F(ECCEnabled, ECC_ENABLED), F(pciBusID, PCI_BUS_ID), F(pciDeviceID, PCI_DEVICE_ID),        \
        F(pciDomainID, PCI_DOMAIN_ID), F(tccDriver, TCC_DRIVER),                                   \
        F(asyncEngineCount, ASYNC_ENGINE_COUNT), F(unifiedAddressing, UNIFIED_ADDRESSING),         \
        F(memoryBusWidth, GLOBAL_MEMORY_BUS_WIDTH), F(l2CacheSize, L2_CACHE_SIZE),                 \
        F(persistingL2CacheMaxSize, MAX_PERSISTING_L2_CACHE_SIZE),                                 \
        F(maxThreadsPerMultiProcessor, MAX_THREADS_PER_MULTIPROCESSOR),                            \
        F(streamPrioritiesSupported, STREAM_PRIORITIES_SUPPORTED),                                 \
        F(globalL1CacheSupported, GLOBAL_L1_CACHE_SUPPORTED),                                      \
        F(localL1CacheSupported, LOCAL_L1_CACHE_SUPPORTED),                                        \
        F(sharedMemPerMultiprocessor, MAX_SHARED_MEMORY_PER_MULTIPROCESSOR),                       \
        F(regsPerMultiprocessor, MAX_REGISTERS_PER_MULTIPROCESSOR),                                \
        F(managedMemory, MANAGED_MEMORY), F(isMultiGpuBoard, MULTI_GPU_BOARD),                     \
        F(multiGpuBoardGroupID, MULTI_GPU_BOARD_GROUP_ID),                                         \
        F(hostNativeAtomicSupported, HOST_NATIVE_ATOMIC_SUPPORTED),                                \
        F(pageableMemoryAccess, PAGEABLE_MEMORY_ACCESS),                                           \
        F(concurrentManagedAccess, CONCURRENT_MANAGED_ACCESS),                                     \
        F(computePreemptionSupported, COMPUTE_PREEMPTION_SUPPORTED),                               \
        F(canUseHostPointerForRegisteredMem, CAN_USE_HOST_POINTER_FOR_REGISTERED_MEM),             \
        F(cooperativeLaunch, COOPERATIVE_LAUNCH),                                                  \
        F(sharedMemPerBlockOptin, MAX_SHARED_MEMORY_PER_BLOCK_OPTIN),                              \
        F(pageableMemoryAccessUsesHostPageTables, PAGEABLE_MEMORY_ACCESS_USES_HOST_PAGE_TABLES),   \
        F(directManagedMemAccessFromHost, DIRECT_MANAGED_MEM_ACCESS_FROM_HOST),                    \
        F(maxBlocksPerMultiProcessor, MAX_BLOCKS_PER_MULTIPROCESSOR),                              \
        F(accessPolicyMaxWindowSize, MAX_ACCESS_POLICY_WINDOW_SIZE),                               \
        F(reservedSharedMemPerBlock, RESERVED_SHARED_MEMORY_PER_BLOCK)

/* Removed in 13. */
#define OLD_FIELDS                                                                                 \
    F(clockRate, CLOCK_RATE), F(deviceOverlap, GPU_OVERLAP),                                       \
        F(kernelExecTimeoutEnabled, KERNEL_EXEC_TIMEOUT), F(computeMode, COMPUTE_MODE),            \
        F(maxTexture1DLinear, MAXIMUM_TEXTURE1D_LINEAR_WIDTH),                                     \
        F(memoryClockRate, MEMORY_CLOCK_RATE),                                                     \
        F(singleToDoublePrecisionPerfRatio, SINGLE_TO_DOUBLE_PRECISION_PERF_RATIO),                \
        F(cooperativeMultiDeviceLaunch, COOPERATIVE_MULTI_DEVICE_LAUNCH)

/* New in 12. */
#define NEW_FIELDS                                                                                 \
    F(hostRegisterSupported, HOST_REGISTER_SUPPORTED),                                             \
        F(sparseCudaArraySupported, SPARSE_CUDA_ARRAY_SUPPORTED),                                  \
        F(hostRegisterReadOnlySupported, READ_ONLY_HOST_REGISTER_SUPPORTED),                       \
        F(timelineSemaphoreInteropSupported, TIMELINE_SEMAPHORE_INTEROP_SUPPORTED),                \
        F(memoryPoolsSupported, MEMORY_POOLS_SUPPORTED),                                           \
        F(gpuDirectRDMASupported, GPU_DIRECT_RDMA_SUPPORTED),                                      \
        F(gpuDirectRDMAFlushWritesOptions, GPU_DIRECT_RDMA_FLUSH_WRITES_OPTIONS),                  \
        F(gpuDirectRDMAWritesOrdering, GPU_DIRECT_RDMA_WRITES_ORDERING),                           \
        F(memoryPoolSupportedHandleTypes, MEMPOOL_SUPPORTED_HANDLE_TYPES),                         \
        F(deferredMappingCudaArraySupported, DEFERRED_MAPPING_CUDA_ARRAY_SUPPORTED),               \
        F(ipcEventSupported, IPC_EVENT_SUPPORTED), F(clusterLaunch, CLUSTER_LAUNCH),               \
        F(unifiedFunctionPointers, UNIFIED_FUNCTION_POINTERS)

/* New in 13. */
#define NEWEST_FIELDS                                                                              \
    F(deviceNumaConfig, NUMA_CONFIG), F(deviceNumaId, NUMA_ID), F(mpsEnabled, MPS_ENABLED),        \
        F(hostNumaId, HOST_NUMA_ID), F(gpuPciDeviceID, GPU_PCI_DEVICE_ID),                         \
        F(gpuPciSubsystemID, GPU_PCI_SUBSYSTEM_ID),                                                \
        F(hostNumaMultinodeIpcSupported, HOST_NUMA_MULTINODE_IPC_SUPPORTED)

/* A member whose attribute the driver does not know stays zero. */
static void fields_fill(void *prop, const struct field *fields, size_t count, int device)
{
    for (size_t i = 0; i < count; i++) {
        int v = 0;
        size_t wide;

        if (drv.cuDeviceGetAttribute(&v, fields[i].attr, device) != CUDA_SUCCESS)
            continue;
        wide = (size_t)(unsigned int)v;
        memcpy((char *)prop + fields[i].offset,
               fields[i].size == sizeof(wide) ? (void *)&wide : (void *)&v, fields[i].size);
    }
}

/* The members that are not attributes come first, in one layout for all versions. */
static cudaError_t head_fill(struct cudaDeviceProp *head, int device)
{
    RT_TRY(rt_result(drv.cuDeviceGetName(head->name, sizeof(head->name), device)));
    RT_TRY(rt_result(drv.cuDeviceTotalMem_v2(&head->totalGlobalMem, device)));
    drv.cuDeviceGetUuid_v2((CUuuid *)&head->uuid, device);
    drv.cuDeviceGetLuid(head->luid, &head->luidDeviceNodeMask, device);
    return cudaSuccess;
}

_Static_assert(offsetof(struct cudaDeviceProp_11, totalGlobalMem) ==
                       offsetof(struct cudaDeviceProp_12, totalGlobalMem) &&
                   offsetof(struct cudaDeviceProp_12, totalGlobalMem) ==
                       offsetof(struct cudaDeviceProp_13, totalGlobalMem),
               "head_fill writes all of them");

static cudaError_t properties_get(void *prop, size_t size, const struct field *fields, size_t count,
                                  int device)
{
    RT_NEED(prop);
    RT_NEED_DRIVER();
    memset(prop, 0, size);
    RT_TRY(head_fill(prop, device));
    fields_fill(prop, fields, count, device);
    return cudaSuccess;
}

#if RT_VERSION == 12

#undef cudaDeviceProp
#define PROP cudaDeviceProp_11
static const struct field fields_11[] = {COMMON_FIELDS, OLD_FIELDS};
#undef PROP
#define PROP cudaDeviceProp_12
static const struct field fields_12[] = {COMMON_FIELDS, OLD_FIELDS, NEW_FIELDS};
#define cudaDeviceProp cudaDeviceProp_12

/* By this name the library of version 12 still has the layout of version 11: version 12's header
 * makes programs call the other function. */
cudaError_t cudaGetDeviceProperties(struct cudaDeviceProp *prop, int device)
{
    return properties_get(prop, sizeof(struct cudaDeviceProp_11), fields_11,
                          XG_ARRAY_LEN(fields_11), device);
}

cudaError_t cudaGetDeviceProperties_v2(struct cudaDeviceProp *prop, int device)
{
    return properties_get(prop, sizeof(*prop), fields_12, XG_ARRAY_LEN(fields_12), device);
}

#define get_properties cudaGetDeviceProperties_v2

#else

#define PROP cudaDeviceProp
static const struct field fields_13[] = {COMMON_FIELDS, NEW_FIELDS, NEWEST_FIELDS};

cudaError_t cudaGetDeviceProperties(struct cudaDeviceProp *prop, int device)
{
    return properties_get(prop, sizeof(*prop), fields_13, XG_ARRAY_LEN(fields_13), device);
}

#define get_properties cudaGetDeviceProperties

#endif

/* How many of the wanted properties a device has. A property that is zero is not wanted. */
static int device_score(const struct cudaDeviceProp *want, const struct cudaDeviceProp *have)
{
    int points = 0;

    if (want->major)
        points +=
            have->major > want->major || (have->major == want->major && have->minor >= want->minor);
    if (want->totalGlobalMem)
        points += have->totalGlobalMem >= want->totalGlobalMem;
    if (want->multiProcessorCount)
        points += have->multiProcessorCount >= want->multiProcessorCount;
    if (want->sharedMemPerBlock)
        points += have->sharedMemPerBlock >= want->sharedMemPerBlock;
    if (want->name[0])
        points += !strncmp(want->name, have->name, sizeof(want->name));
    return points;
}

cudaError_t cudaChooseDevice(int *device, const struct cudaDeviceProp *want)
{
    struct cudaDeviceProp have;
    int count, best = -1;

    RT_NEED(device);
    RT_NEED(want);
    RT_TRY(cudaGetDeviceCount(&count));
    for (int i = 0; i < count; i++) {
        int points;

        RT_TRY(get_properties(&have, i));
        points = device_score(want, &have);
        if (points > best) {
            best = points;
            *device = i;
        }
    }
    return cudaSuccess;
}

cudaError_t cudaDeviceGetTexture1DLinearMaxWidth(size_t *width,
                                                 const struct cudaChannelFormatDesc *desc,
                                                 int device)
{
    CUarray_format format;
    unsigned int channels;
    cudaError_t e;

    RT_NEED(width);
    RT_NEED(desc);
    RT_NEED_DRIVER();
    e = rt_format_to_driver(desc, &format, &channels);
    if (e)
        return rt_fail(e);
    return rt_result(drv.cuDeviceGetTexture1DLinearMaxWidth(width, format, channels, device));
}

#if RT_VERSION == 12
/* Devices before compute capability 1.3 had no double precision. Nothing is converted any more. */
cudaError_t cudaSetDoubleForDevice(double *value)
{
    RT_NEED(value);
    return cudaSuccess;
}

cudaError_t cudaSetDoubleForHost(double *value)
{
    RT_NEED(value);
    return cudaSuccess;
}
#endif
