/* Errors: their names and texts, the driver's results as errors, and each thread's last error. */
#include "interposer/cudart/runtime.h"

struct error_text {
    cudaError_t value;
    const char *name, *text;
};

#define E(value, text)                                                                             \
    {                                                                                              \
        value, #value, text                                                                        \
    }

/* Sorted by value. */
static const struct error_text errors[] = {
    E(cudaSuccess, "no error"),
    E(cudaErrorInvalidValue, "invalid argument"),
    E(cudaErrorMemoryAllocation, "out of memory"),
    E(cudaErrorInitializationError, "initialization error"),
    E(cudaErrorCudartUnloading, "driver shutting down"),
    E(cudaErrorProfilerDisabled, "profiler disabled"),
    E(cudaErrorProfilerNotInitialized, "profiler not initialized"),
    E(cudaErrorProfilerAlreadyStarted, "profiler already started"),
    E(cudaErrorProfilerAlreadyStopped, "profiler already stopped"),
    E(cudaErrorInvalidConfiguration, "invalid configuration argument"),
    E(cudaErrorInvalidPitchValue, "invalid pitch argument"),
    E(cudaErrorInvalidSymbol, "invalid device symbol"),
    E(cudaErrorInvalidHostPointer, "invalid host pointer"),
    E(cudaErrorInvalidDevicePointer, "invalid device pointer"),
    E(cudaErrorInvalidTexture, "invalid texture"),
    E(cudaErrorInvalidTextureBinding, "invalid texture binding"),
    E(cudaErrorInvalidChannelDescriptor, "invalid channel descriptor"),
    E(cudaErrorInvalidMemcpyDirection, "invalid copy direction"),
    E(cudaErrorAddressOfConstant, "address of a constant"),
    E(cudaErrorTextureFetchFailed, "texture fetch failed"),
    E(cudaErrorTextureNotBound, "texture not bound"),
    E(cudaErrorSynchronizationError, "synchronization error"),
    E(cudaErrorInvalidFilterSetting, "invalid filter setting"),
    E(cudaErrorInvalidNormSetting, "invalid normalization setting"),
    E(cudaErrorMixedDeviceExecution, "device code and emulation mixed"),
    E(cudaErrorNotYetImplemented, "not implemented yet"),
    E(cudaErrorMemoryValueTooLarge, "memory value too large"),
    E(cudaErrorStubLibrary, "the driver library is a stub"),
    E(cudaErrorInsufficientDriver, "no CUDA driver, or one older than this runtime"),
    E(cudaErrorCallRequiresNewerDriver, "the call needs a newer driver"),
    E(cudaErrorInvalidSurface, "invalid surface"),
    E(cudaErrorDuplicateVariableName, "duplicate variable name"),
    E(cudaErrorDuplicateTextureName, "duplicate texture name"),
    E(cudaErrorDuplicateSurfaceName, "duplicate surface name"),
    E(cudaErrorDevicesUnavailable, "all devices are busy or unavailable"),
    E(cudaErrorIncompatibleDriverContext, "incompatible driver context"),
    E(cudaErrorMissingConfiguration, "kernel launched without a configuration"),
    E(cudaErrorPriorLaunchFailure, "a previous launch failed"),
    E(cudaErrorLaunchMaxDepthExceeded, "launch nested too deeply"),
    E(cudaErrorLaunchFileScopedTex, "kernel uses file-scoped textures"),
    E(cudaErrorLaunchFileScopedSurf, "kernel uses file-scoped surfaces"),
    E(cudaErrorSyncDepthExceeded, "synchronization nested too deeply"),
    E(cudaErrorLaunchPendingCountExceeded, "too many pending launches"),
    E(cudaErrorInvalidDeviceFunction, "invalid device function"),
    E(cudaErrorNoDevice, "no CUDA-capable device"),
    E(cudaErrorInvalidDevice, "invalid device ordinal"),
    E(cudaErrorDeviceNotLicensed, "device not licensed"),
    E(cudaErrorSoftwareValidityNotEstablished, "software validity not established"),
    E(cudaErrorStartupFailure, "startup failure"),
    E(cudaErrorInvalidKernelImage, "invalid kernel image"),
    E(cudaErrorDeviceUninitialized, "invalid device context"),
    E(cudaErrorMapBufferObjectFailed, "mapping of buffer object failed"),
    E(cudaErrorUnmapBufferObjectFailed, "unmapping of buffer object failed"),
    E(cudaErrorArrayIsMapped, "array is mapped"),
    E(cudaErrorAlreadyMapped, "resource already mapped"),
    E(cudaErrorNoKernelImageForDevice, "no kernel image that this device can run"),
    E(cudaErrorAlreadyAcquired, "resource already acquired"),
    E(cudaErrorNotMapped, "resource not mapped"),
    E(cudaErrorNotMappedAsArray, "resource not mapped as array"),
    E(cudaErrorNotMappedAsPointer, "resource not mapped as pointer"),
    E(cudaErrorECCUncorrectable, "uncorrectable ECC error"),
    E(cudaErrorUnsupportedLimit, "limit not supported"),
    E(cudaErrorDeviceAlreadyInUse, "device used by another thread"),
    E(cudaErrorPeerAccessUnsupported, "peer access not supported between these devices"),
    E(cudaErrorInvalidPtx, "PTX compilation failed"),
    E(cudaErrorInvalidGraphicsContext, "invalid graphics context"),
    E(cudaErrorNvlinkUncorrectable, "uncorrectable NVLink error"),
    E(cudaErrorJitCompilerNotFound, "PTX compiler library not found"),
    E(cudaErrorUnsupportedPtxVersion, "PTX version not supported"),
    E(cudaErrorJitCompilationDisabled, "PTX compilation disabled"),
    E(cudaErrorUnsupportedExecAffinity, "execution affinity not supported"),
    E(cudaErrorUnsupportedDevSideSync, "device-side synchronization not supported"),
    E(cudaErrorContained, "contained error"),
    E(cudaErrorInvalidSource, "invalid device source"),
    E(cudaErrorFileNotFound, "file not found"),
    E(cudaErrorSharedObjectSymbolNotFound, "symbol not found in shared object"),
    E(cudaErrorSharedObjectInitFailed, "initialization of shared object failed"),
    E(cudaErrorOperatingSystem, "operating system call failed"),
    E(cudaErrorInvalidResourceHandle, "invalid resource handle"),
    E(cudaErrorIllegalState, "object in a state that forbids the operation"),
    E(cudaErrorLossyQuery, "query would lose information"),
    E(cudaErrorSymbolNotFound, "named symbol not found"),
    E(cudaErrorNotReady, "device not ready"),
    E(cudaErrorIllegalAddress, "illegal memory access by a kernel"),
    E(cudaErrorLaunchOutOfResources, "too many resources requested for launch"),
    E(cudaErrorLaunchTimeout, "the launch timed out and was stopped"),
    E(cudaErrorLaunchIncompatibleTexturing, "launch with incompatible texturing mode"),
    E(cudaErrorPeerAccessAlreadyEnabled, "peer access already enabled"),
    E(cudaErrorPeerAccessNotEnabled, "peer access not enabled"),
    E(cudaErrorSetOnActiveProcess, "cannot be set once the device is in use"),
    E(cudaErrorContextIsDestroyed, "context is destroyed"),
    E(cudaErrorAssert, "device-side assert triggered"),
    E(cudaErrorTooManyPeers, "peer mapping resources exhausted"),
    E(cudaErrorHostMemoryAlreadyRegistered, "host memory already registered"),
    E(cudaErrorHostMemoryNotRegistered, "host memory not registered"),
    E(cudaErrorHardwareStackError, "hardware stack error"),
    E(cudaErrorIllegalInstruction, "illegal instruction"),
    E(cudaErrorMisalignedAddress, "misaligned address"),
    E(cudaErrorInvalidAddressSpace, "operation not allowed on this address space"),
    E(cudaErrorInvalidPc, "invalid program counter"),
    E(cudaErrorLaunchFailure, "unspecified launch failure"),
    E(cudaErrorCooperativeLaunchTooLarge, "too many blocks in cooperative launch"),
    E(cudaErrorTensorMemoryLeak, "tensor memory not freed by the kernel"),
    E(cudaErrorNotPermitted, "operation not permitted"),
    E(cudaErrorNotSupported, "operation not supported"),
    E(cudaErrorSystemNotReady, "system not ready"),
    E(cudaErrorSystemDriverMismatch, "driver and library versions do not match"),
    E(cudaErrorCompatNotSupportedOnDevice, "compatibility mode not supported on this device"),
    E(cudaErrorMpsConnectionFailed, "MPS: connection failed"),
    E(cudaErrorMpsRpcFailure, "MPS: internal request failed"),
    E(cudaErrorMpsServerNotReady, "MPS: server not ready"),
    E(cudaErrorMpsMaxClientsReached, "MPS: too many clients"),
    E(cudaErrorMpsMaxConnectionsReached, "MPS: too many connections"),
    E(cudaErrorMpsClientTerminated, "MPS: client terminated"),
    E(cudaErrorCdpNotSupported, "launch from device code not supported"),
    E(cudaErrorCdpVersionMismatch, "launch from device code with mixed versions"),
    E(cudaErrorStreamCaptureUnsupported, "not permitted while a stream is capturing"),
    E(cudaErrorStreamCaptureInvalidated, "capture invalidated by a previous error"),
    E(cudaErrorStreamCaptureMerge, "would merge two captures"),
    E(cudaErrorStreamCaptureUnmatched, "capture was not begun in this stream"),
    E(cudaErrorStreamCaptureUnjoined, "forked work was not joined to the capture"),
    E(cudaErrorStreamCaptureIsolation, "dependency across the border of a capture"),
    E(cudaErrorStreamCaptureImplicit, "implicit dependency on the default stream in a capture"),
    E(cudaErrorCapturedEvent, "not permitted on an event recorded in a capture"),
    E(cudaErrorStreamCaptureWrongThread, "capture was begun by another thread"),
    E(cudaErrorTimeout, "time limit reached"),
    E(cudaErrorGraphExecUpdateFailure, "the graph cannot be updated this way"),
    E(cudaErrorExternalDevice, "error in an external device"),
    E(cudaErrorInvalidClusterSize, "invalid cluster size"),
    E(cudaErrorFunctionNotLoaded, "function not loaded"),
    E(cudaErrorInvalidResourceType, "invalid resource type"),
    E(cudaErrorInvalidResourceConfiguration, "invalid resource configuration"),
    E(cudaErrorUnknown, "unknown error"),
    E(cudaErrorApiFailureBase, "first of the former API failure codes"),
};

static const struct error_text *error_find(cudaError_t e)
{
    size_t low = 0, high = XG_ARRAY_LEN(errors);

    while (low < high) {
        size_t mid = (low + high) / 2;

        if (errors[mid].value == e)
            return &errors[mid];
        if (errors[mid].value < e)
            low = mid + 1;
        else
            high = mid;
    }
    return NULL;
}

const char *cudaGetErrorName(cudaError_t error)
{
    const struct error_text *t = error_find(error);
    return t ? t->name : "unrecognized error code";
}

const char *cudaGetErrorString(cudaError_t error)
{
    const struct error_text *t = error_find(error);
    return t ? t->text : "unrecognized error code";
}

/* Both APIs use the same numbers. A result of the driver without a name in the runtime becomes
 * cudaErrorUnknown. */
cudaError_t rt_error(CUresult r)
{
    if (r == CUDA_SUCCESS)
        return cudaSuccess;
    return error_find((cudaError_t)r) ? (cudaError_t)r : cudaErrorUnknown;
}

void rt_record(cudaError_t e)
{
    rt_self.last = e;
}

cudaError_t rt_fail_driver(CUresult r)
{
    return rt_fail(rt_error(r));
}

cudaError_t cudaGetLastError(void)
{
    cudaError_t e = rt_self.last;

    rt_self.last = cudaSuccess;
    return e;
}

cudaError_t cudaPeekAtLastError(void)
{
    return rt_self.last;
}
