/* Launches with attributes. */
#include "cuda/api/graph.h"
#include "cuda/api/library.h"

static bool cluster_possible(const CUlaunchAttribute *a)
{
    return (a->value.clusterDim.x <= 1 && a->value.clusterDim.y <= 1 &&
            a->value.clusterDim.z <= 1) ||
           xg_cuda_device_number(CU_DEVICE_ATTRIBUTE_CLUSTER_LAUNCH);
}

CUresult cuLaunchKernelEx(const CUlaunchConfig *config, CUfunction f, void **params, void **extra)
{
    XG_CUDA_NEED(config, CUDA_ERROR_INVALID_VALUE);
    bool cooperative = false, plain = true;

    XG_CUDA_READY();
    if (config->numAttrs && !config->attrs)
        return CUDA_ERROR_INVALID_VALUE;
    for (unsigned i = 0; i < config->numAttrs; i++) {
        const CUlaunchAttribute *a = &config->attrs[i];
        switch (a->id) {
        case CU_LAUNCH_ATTRIBUTE_IGNORE: break;
        case CU_LAUNCH_ATTRIBUTE_COOPERATIVE: cooperative = a->value.cooperative != 0; break;
        case CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION:
            if (!cluster_possible(a))
                return CUDA_ERROR_INVALID_CLUSTER_SIZE;
            plain = false;
            break;
        default: plain = false;
        }
    }
    return xg_cuda_device.launch_with(config, f, params, extra, cooperative, plain);
}
