/* Attributes and occupancy of kernels, and kernels from libraries that the program loads itself. */
#include "interposer/cudart/runtime.h"

#include <stdlib.h>

/* --- attributes ------------------------------------------------------------------------------- */

static int func_attribute(CUfunction f, CUfunction_attribute which)
{
    int v = 0;
    return drv.cuFuncGetAttribute(&v, which, f) == CUDA_SUCCESS ? v : 0;
}

cudaError_t cudaFuncGetAttributes(struct cudaFuncAttributes *attr, const void *func)
{
    CUfunction f;
    int threads;

    RT_NEED(attr);
    RT_ENTER();
    RT_TRY(rt_function(func, &f));
    RT_TRY(rt_result(drv.cuFuncGetAttribute(&threads, CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK, f)));
    *attr = (struct cudaFuncAttributes){
        .sharedSizeBytes = (size_t)func_attribute(f, CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES),
        .constSizeBytes = (size_t)func_attribute(f, CU_FUNC_ATTRIBUTE_CONST_SIZE_BYTES),
        .localSizeBytes = (size_t)func_attribute(f, CU_FUNC_ATTRIBUTE_LOCAL_SIZE_BYTES),
        .maxThreadsPerBlock = threads,
        .numRegs = func_attribute(f, CU_FUNC_ATTRIBUTE_NUM_REGS),
        .ptxVersion = func_attribute(f, CU_FUNC_ATTRIBUTE_PTX_VERSION),
        .binaryVersion = func_attribute(f, CU_FUNC_ATTRIBUTE_BINARY_VERSION),
        .cacheModeCA = func_attribute(f, CU_FUNC_ATTRIBUTE_CACHE_MODE_CA),
        .maxDynamicSharedSizeBytes =
            func_attribute(f, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES),
        .preferredShmemCarveout =
            func_attribute(f, CU_FUNC_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT),
        .clusterDimMustBeSet = func_attribute(f, CU_FUNC_ATTRIBUTE_CLUSTER_SIZE_MUST_BE_SET),
        .requiredClusterWidth = func_attribute(f, CU_FUNC_ATTRIBUTE_REQUIRED_CLUSTER_WIDTH),
        .requiredClusterHeight = func_attribute(f, CU_FUNC_ATTRIBUTE_REQUIRED_CLUSTER_HEIGHT),
        .requiredClusterDepth = func_attribute(f, CU_FUNC_ATTRIBUTE_REQUIRED_CLUSTER_DEPTH),
        .clusterSchedulingPolicyPreference =
            func_attribute(f, CU_FUNC_ATTRIBUTE_CLUSTER_SCHEDULING_POLICY_PREFERENCE),
        .nonPortableClusterSizeAllowed =
            func_attribute(f, CU_FUNC_ATTRIBUTE_NON_PORTABLE_CLUSTER_SIZE_ALLOWED),
    };
    return cudaSuccess;
}

/* The runtime's attributes have the driver's numbers. */
cudaError_t cudaFuncSetAttribute(const void *func, enum cudaFuncAttribute attr, int value)
{
    CUfunction f;

    RT_ENTER();
    RT_TRY(rt_function(func, &f));
    return rt_result(drv.cuFuncSetAttribute(f, (CUfunction_attribute)attr, value));
}

cudaError_t cudaFuncSetCacheConfig(const void *func, enum cudaFuncCache config)
{
    CUfunction f;

    RT_ENTER();
    RT_TRY(rt_function(func, &f));
    return rt_result(drv.cuFuncSetCacheConfig(f, (CUfunc_cache)config));
}

cudaError_t cudaFuncSetSharedMemConfig(const void *func, enum cudaSharedMemConfig config)
{
    CUfunction f;

    RT_ENTER();
    RT_TRY(rt_function(func, &f));
    return rt_result(drv.cuFuncSetSharedMemConfig(f, (CUsharedconfig)config));
}

cudaError_t cudaFuncGetName(const char **name, const void *func)
{
    CUkernel k;

    RT_NEED(name);
    RT_ENTER();
    RT_TRY(rt_kernel(func, &k));
    return rt_result(drv.cuKernelGetName(name, k));
}

cudaError_t cudaFuncGetParamInfo(const void *func, size_t index, size_t *offset, size_t *size)
{
    CUkernel k;

    RT_NEED(offset);
    RT_ENTER();
    RT_TRY(rt_kernel(func, &k));
    return rt_result(drv.cuKernelGetParamInfo(k, index, offset, size));
}

/* --- occupancy -------------------------------------------------------------------------------- */

cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessor(int *blocks, const void *func,
                                                          int threads, size_t shared)
{
    CUfunction f;

    RT_NEED(blocks);
    RT_ENTER();
    RT_TRY(rt_function(func, &f));
    return rt_result(drv.cuOccupancyMaxActiveBlocksPerMultiprocessor(blocks, f, threads, shared));
}

cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(int *blocks, const void *func,
                                                                   int threads, size_t shared,
                                                                   unsigned int flags)
{
    CUfunction f;

    RT_NEED(blocks);
    RT_ENTER();
    RT_TRY(rt_function(func, &f));
    return rt_result(drv.cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(blocks, f, threads,
                                                                              shared, flags));
}

cudaError_t cudaOccupancyAvailableDynamicSMemPerBlock(size_t *shared, const void *func, int blocks,
                                                      int threads)
{
    CUfunction f;

    RT_NEED(shared);
    RT_ENTER();
    RT_TRY(rt_function(func, &f));
    return rt_result(drv.cuOccupancyAvailableDynamicSMemPerBlock(shared, f, blocks, threads));
}

cudaError_t cudaOccupancyMaxPotentialClusterSize(int *size, const void *func,
                                                 const cudaLaunchConfig_t *config)
{
    CUlaunchConfig c;
    CUfunction f;

    RT_NEED(size);
    RT_TRY(rt_launch_config(config, config ? config->stream : NULL, &c));
    RT_ENTER();
    RT_TRY(rt_function(func, &f));
    return rt_result(drv.cuOccupancyMaxPotentialClusterSize(size, f, &c));
}

cudaError_t cudaOccupancyMaxActiveClusters(int *clusters, const void *func,
                                           const cudaLaunchConfig_t *config)
{
    CUlaunchConfig c;
    CUfunction f;

    RT_NEED(clusters);
    RT_TRY(rt_launch_config(config, config ? config->stream : NULL, &c));
    RT_ENTER();
    RT_TRY(rt_function(func, &f));
    return rt_result(drv.cuOccupancyMaxActiveClusters(clusters, f, &c));
}

/* --- handles ---------------------------------------------------------------------------------- */

cudaError_t cudaGetFuncBySymbol(cudaFunction_t *out, const void *symbol)
{
    CUkernel k;

    RT_NEED(out);
    RT_ENTER();
    RT_TRY(rt_kernel(symbol, &k));
    RT_TRY(rt_result(drv.cuKernelGetFunction(out, k)));
    return rt_kernel_publish(*out, k, NULL);
}

/* Unlike __cudaGetKernel this returns the driver's handle: programs use it in driver calls. */
cudaError_t cudaGetKernel(cudaKernel_t *out, const void *func)
{
    RT_NEED(out);
    RT_ENTER();
    RT_TRY(rt_kernel(func, out));
    return rt_kernel_publish(*out, *out, NULL);
}

cudaError_t cudaLibraryGetKernel(cudaKernel_t *out, cudaLibrary_t library, const char *name)
{
    RT_NEED(out);
    RT_NEED(name);
    RT_ENTER();
    RT_TRY(rt_result(drv.cuLibraryGetKernel(out, library, name)));
    return rt_kernel_publish(*out, *out, library);
}

cudaError_t cudaLibraryEnumerateKernels(cudaKernel_t *out, unsigned int count,
                                        cudaLibrary_t library)
{
    unsigned int have;

    RT_NEED(out);
    RT_ENTER();
    RT_TRY(rt_result(drv.cuLibraryGetKernelCount(&have, library)));
    RT_TRY(rt_result(drv.cuLibraryEnumerateKernels(out, count, library)));
    for (unsigned int i = 0; i < count && i < have; i++)
        RT_TRY(rt_kernel_publish(out[i], out[i], library));
    return cudaSuccess;
}

cudaError_t cudaLibraryUnload(cudaLibrary_t library)
{
    RT_ENTER();
    RT_TRY(rt_result(drv.cuLibraryUnload(library)));
    rt_library_forget(library);
    return cudaSuccess;
}
