/* Graphs and captures are cuda/api's; here is what those need of the guest's libcuda. */
#include "interposer/cuda/graph.h"

struct xg_cuda_stream *cu_capture_find(uint32_t stream)
{
    struct cu_ctx *ctx = cu_ctx_current();
    struct cu_stream *object = stream ? cu_object_named(CU_KIND_STREAM, stream) : NULL;
    struct xg_cuda_stream *s = object ? &object->api : !stream && ctx ? &ctx->legacy : NULL;

    return s && xg_cuda_capturing(s) ? s : NULL;
}

static CUresult enter(CUcontext *handle)
{
    CU_ENTER(ctx);
    *handle = cu_handle(&ctx->o);
    return CUDA_SUCCESS;
}

static CUresult enter_none(CUcontext *handle)
{
    CU_ENTER_BY(ctx, cu_enter_none(&ctx));
    *handle = ctx ? cu_handle(&ctx->o) : NULL;
    return CUDA_SUCCESS;
}

static bool ctx_valid(CUcontext ctx)
{
    return cu_object_get(CU_KIND_CTX, ctx) != NULL;
}

static bool event_valid(CUevent event)
{
    return cu_object_get(CU_KIND_EVENT, event) != NULL;
}

static CUresult stream_get(CUstream handle, struct xg_cuda_stream **s)
{
    CU_STREAM(handle);
    *s = cu_stream_api(ctx, stream);
    return CUDA_SUCCESS;
}

static void stream_put(struct xg_cuda_stream *s)
{
}

/* --- checks ----------------------------------------------------------------------------------- */

_Static_assert(sizeof(struct xg_cuda_place) == sizeof(struct xg_cuda_param) &&
                   offsetof(struct xg_cuda_place, size) == offsetof(struct xg_cuda_param, size),
               "both say where a parameter lies");

static CUfunction function_of(const CUDA_KERNEL_NODE_PARAMS *p)
{
    return p->func ? p->func : (CUfunction)p->kern;
}

static CUresult kernel_check(CUDA_KERNEL_NODE_PARAMS *p, bool cooperative,
                             struct xg_cuda_layout *layout)
{
    struct cu_ctx *ctx = cu_object_get(CU_KIND_CTX, p->ctx);
    struct cu_func *f;

    if (!ctx)
        return CUDA_ERROR_INVALID_CONTEXT;
    CUresult r = cu_func_get(ctx, function_of(p), &f);
    if (r == CUDA_SUCCESS)
        r = cu_launch_check(f, p);
    if (r != CUDA_SUCCESS)
        return r;
    *layout = (struct xg_cuda_layout){(const struct xg_cuda_place *)f->param, f->param_count,
                                      f->param_bytes};
    p->ctx = cu_handle(&f->ctx->o);
    return CUDA_SUCCESS;
}

static CUmemorytype memory_type(CUdeviceptr address)
{
    struct cu_mem m;

    if (!cu_mem_find(address, &m))
        return CU_MEMORYTYPE_HOST;
    return m.kind == CU_MEM_HOST || m.kind == CU_MEM_REGISTERED ? CU_MEMORYTYPE_HOST
                                                                : CU_MEMORYTYPE_DEVICE;
}

/* --- work ------------------------------------------------------------------------------------- */

static CUresult launch(struct xg_cuda_stream *s, const CUDA_KERNEL_NODE_PARAMS *p, bool cooperative)
{
    CUfunction f = function_of(p);

    return cooperative ? cuLaunchCooperativeKernel(f, p->gridDimX, p->gridDimY, p->gridDimZ,
                                                   p->blockDimX, p->blockDimY, p->blockDimZ,
                                                   p->sharedMemBytes, s->handle, p->kernelParams)
                       : cuLaunchKernel(f, p->gridDimX, p->gridDimY, p->gridDimZ, p->blockDimX,
                                        p->blockDimY, p->blockDimZ, p->sharedMemBytes, s->handle,
                                        p->kernelParams, NULL);
}

static CUresult copy(struct xg_cuda_stream *s, const CUDA_MEMCPY3D *p)
{
    return cuMemcpy3DAsync_v2(p, s->handle);
}

static CUresult fill(struct xg_cuda_stream *s, const CUDA_MEMSET_NODE_PARAMS *p)
{
    size_t pitch = p->height > 1 ? p->pitch : p->width * p->elementSize;

    switch (p->elementSize) {
    case 1:
        return cuMemsetD2D8Async(p->dst, pitch, (unsigned char)p->value, p->width, p->height,
                                 s->handle);
    case 2:
        return cuMemsetD2D16Async(p->dst, pitch, (unsigned short)p->value, p->width, p->height,
                                  s->handle);
    default: return cuMemsetD2D32Async(p->dst, pitch, p->value, p->width, p->height, s->handle);
    }
}

static CUresult host(struct xg_cuda_stream *s, const CUDA_HOST_NODE_PARAMS *p)
{
    return cuLaunchHostFunc(s->handle, p->fn, p->userData);
}

static CUresult record(struct xg_cuda_stream *s, CUevent event)
{
    return cuEventRecord(event, s->handle);
}

static CUresult wait(struct xg_cuda_stream *s, CUevent event)
{
    return cuStreamWaitEvent(s->handle, event, 0);
}

const struct xg_cuda_device xg_cuda_device = {
    .ready = cu_ready,
    .enter = enter,
    .enter_none = enter_none,
    .ctx_valid = ctx_valid,
    .event_valid = event_valid,
    .stream_get = stream_get,
    .stream_put = stream_put,
    .kernel_check = kernel_check,
    .copy_check = cu_copy_check,
    .fill_check = cu_fill_check,
    .memory_type = memory_type,
    .launch = launch,
    .copy = copy,
    .fill = fill,
    .host = host,
    .record = record,
    .wait = wait,
};
