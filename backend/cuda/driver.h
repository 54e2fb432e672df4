/* The driver that replay runs on: a libcuda.so.1 opened at run time. */
#ifndef XG_BACKEND_CUDA_DRIVER_H
#define XG_BACKEND_CUDA_DRIVER_H

#include "cuda/abi.h"

/* Without these the device cannot be served. */
#define CU_DRIVER_NEEDED(X)                                                                        \
    X(cuInit)                                                                                      \
    X(cuDriverGetVersion)                                                                          \
    X(cuDeviceGet)                                                                                 \
    X(cuDeviceGetCount)                                                                            \
    X(cuDeviceGetName)                                                                             \
    X(cuDeviceGetAttribute)                                                                        \
    X(cuDeviceTotalMem_v2)                                                                         \
    X(cuDevicePrimaryCtxRetain)                                                                    \
    X(cuDevicePrimaryCtxRelease_v2)                                                                \
    X(cuDevicePrimaryCtxSetFlags_v2)                                                               \
    X(cuCtxCreate_v2)                                                                              \
    X(cuCtxDestroy_v2)                                                                             \
    X(cuCtxPopCurrent_v2)                                                                          \
    X(cuCtxSetCurrent)                                                                             \
    X(cuCtxSynchronize)                                                                            \
    X(cuCtxSetLimit)                                                                               \
    X(cuCtxGetLimit)                                                                               \
    X(cuMemGetInfo_v2)                                                                             \
    X(cuMemAlloc_v2)                                                                               \
    X(cuMemFree_v2)                                                                                \
    X(cuMemcpyHtoDAsync_v2)                                                                        \
    X(cuMemcpyDtoHAsync_v2)                                                                        \
    X(cuMemcpyDtoDAsync_v2)                                                                        \
    X(cuMemsetD8Async)                                                                             \
    X(cuMemsetD16Async)                                                                            \
    X(cuMemsetD32Async)                                                                            \
    X(cuStreamCreateWithPriority)                                                                  \
    X(cuStreamDestroy_v2)                                                                          \
    X(cuStreamQuery)                                                                               \
    X(cuStreamSynchronize)                                                                         \
    X(cuStreamWaitEvent)                                                                           \
    X(cuEventCreate)                                                                               \
    X(cuEventDestroy_v2)                                                                           \
    X(cuEventRecord)                                                                               \
    X(cuEventQuery)                                                                                \
    X(cuEventSynchronize)                                                                          \
    X(cuEventElapsedTime)                                                                          \
    X(cuModuleLoadDataEx)                                                                          \
    X(cuModuleUnload)                                                                              \
    X(cuModuleGetGlobal_v2)                                                                        \
    X(cuModuleGetFunctionCount)                                                                    \
    X(cuModuleEnumerateFunctions)                                                                  \
    X(cuFuncGetName)                                                                               \
    X(cuFuncGetParamInfo)                                                                          \
    X(cuFuncGetAttribute)                                                                          \
    X(cuFuncSetAttribute)                                                                          \
    X(cuLaunchKernel)

/* Without these the calls that need them are "not supported". */
#define CU_DRIVER_WANTED(X)                                                                        \
    X(cuDevicePrimaryCtxReset_v2)                                                                  \
    X(cuDeviceGetUuid_v2)                                                                          \
    X(cuDeviceGetLuid)                                                                             \
    X(cuDeviceGetPCIBusId)                                                                         \
    X(cuCtxGetStreamPriorityRange)                                                                 \
    X(cuCtxSetCacheConfig)                                                                         \
    X(cuCtxSetSharedMemConfig)                                                                     \
    X(cuCtxSetFlags)                                                                               \
    X(cuMemAddressReserve)                                                                         \
    X(cuMemAddressFree)                                                                            \
    X(cuMemCreate)                                                                                 \
    X(cuMemRelease)                                                                                \
    X(cuMemMap)                                                                                    \
    X(cuMemUnmap)                                                                                  \
    X(cuMemSetAccess)                                                                              \
    X(cuMemGetAllocationGranularity)                                                               \
    X(cuMemHostRegister_v2)                                                                        \
    X(cuMemHostUnregister)                                                                         \
    X(cuMemHostGetDevicePointer_v2)                                                                \
    X(cuMemcpy3DAsync_v2)                                                                          \
    X(cuMemsetD2D8Async)                                                                           \
    X(cuMemsetD2D16Async)                                                                          \
    X(cuMemsetD2D32Async)                                                                          \
    X(cuArray3DCreate_v2)                                                                          \
    X(cuArrayDestroy)                                                                              \
    X(cuTexObjectCreate)                                                                           \
    X(cuTexObjectDestroy)                                                                          \
    X(cuSurfObjectCreate)                                                                          \
    X(cuSurfObjectDestroy)                                                                         \
    X(cuEventRecordWithFlags)                                                                      \
    X(cuLaunchHostFunc)                                                                            \
    X(cuStreamAddCallback)                                                                         \
    X(cuFuncLoad)                                                                                  \
    X(cuFuncSetCacheConfig)                                                                        \
    X(cuFuncSetSharedMemConfig)                                                                    \
    X(cuLaunchKernelEx)                                                                            \
    X(cuLaunchCooperativeKernel)                                                                   \
    X(cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags)                                        \
    X(cuOccupancyAvailableDynamicSMemPerBlock)                                                     \
    X(cuLinkCreate_v2)                                                                             \
    X(cuLinkAddData_v2)                                                                            \
    X(cuLinkComplete)                                                                              \
    X(cuLinkDestroy)                                                                               \
    X(cuPointerGetAttribute)

struct cu_driver {
    void *library;
#define X(name) __typeof__(&name) name;
    CU_DRIVER_NEEDED(X)
    CU_DRIVER_WANTED(X)
#undef X
};

/* Opens `path`. 0 or -errno; *why then says what is wrong (constant, or what the loader said). */
int xg_cu_driver_open(struct cu_driver *d, const char *path, const char **why);

#endif
