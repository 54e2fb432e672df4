/* Launches. */
#include "backend/cuda/replay.h"

#include "cuda/handlers.h"

#define ATTRS_MAX 32u

/* Charges the guest if the driver needs more local memory for this kernel than for those before. */
static CUresult local_check(struct cu_worker *w, const struct cu_func *f)
{
    return XG_LIKELY(f->local_bytes <= f->ctx->local_each)
               ? CUDA_SUCCESS
               : xg_cu_quota_local(w, f->ctx, f->local_bytes);
}

/* The driver reads as many bytes as the kernel has parameters, whatever the guest sent. */
static bool params_fit(const struct cu_func *f, const void *params, uint32_t size)
{
    return size >= f->param_bytes && (params || size == 0);
}

uint32_t xg_cu_launch(struct cu_worker *w, const struct xg_cuda_launch *a, const void *params,
                      uint32_t params_size)
{
    struct cu_func *f = xg_table_get(&w->funcs, a->func);
    struct cu_stream *s = xg_cu_work_stream(w, a->stream);
    size_t size = params_size;
    void *extra[] = {CU_LAUNCH_PARAM_BUFFER_POINTER, (void *)(uintptr_t)params,
                     CU_LAUNCH_PARAM_BUFFER_SIZE, &size, CU_LAUNCH_PARAM_END};
    CUresult r;

    if (XG_UNLIKELY(!f || !s))
        return CUDA_ERROR_INVALID_HANDLE;
    if (XG_UNLIKELY(!params_fit(f, params, params_size)))
        return xg_cu_protocol_fail(w, "LAUNCH with too few parameter bytes");
    if (XG_UNLIKELY(a->flags & XG_CUDA_LAUNCH_COOPERATIVE)) {
        const struct xg_cuda_launch_ex ex = {.func = a->func,
                                             .stream = a->stream,
                                             .grid_x = a->grid_x,
                                             .grid_y = a->grid_y,
                                             .grid_z = a->grid_z,
                                             .block_x = a->block_x,
                                             .block_y = a->block_y,
                                             .block_z = a->block_z,
                                             .shared = a->shared,
                                             .attributes = 1};
        struct xg_cuda_launch_attr attr = {.id = CU_LAUNCH_ATTRIBUTE_COOPERATIVE};
        attr.value[0] = 1;
        return xg_cu_launch_ex(w, &ex, params, params_size, &attr, sizeof(attr));
    }
    r = local_check(w, f);
    if (XG_UNLIKELY(r != CUDA_SUCCESS))
        return r;
    r = w->d.cuLaunchKernel(f->h, a->grid_x, a->grid_y, a->grid_z, a->block_x, a->block_y,
                            a->block_z, a->shared, s->h, NULL, size ? extra : NULL);
    if (XG_LIKELY(r == CUDA_SUCCESS)) {
        xg_worker_count(w->worker, XG_COUNT_LAUNCHES, 1);
        xg_worker_text_mark();
        xg_cu_op_submitted(w, s);
    }
    return r;
}

/* Attributes without pointers are passed on as they are; in those with an event it is replaced by
 * ours; all others are refused, not ignored. */
static CUresult attr_decode(struct cu_worker *w, const struct xg_cuda_launch_attr *in,
                            CUlaunchAttribute *out)
{
    struct cu_event *e;

    memset(out, 0, sizeof(*out));
    out->id = (CUlaunchAttributeID)in->id;
    memcpy(&out->value, in->value, sizeof(out->value));
    switch (out->id) {
    case CU_LAUNCH_ATTRIBUTE_IGNORE:
    case CU_LAUNCH_ATTRIBUTE_COOPERATIVE:
    case CU_LAUNCH_ATTRIBUTE_SYNCHRONIZATION_POLICY:
    case CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION:
    case CU_LAUNCH_ATTRIBUTE_CLUSTER_SCHEDULING_POLICY_PREFERENCE:
    case CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION:
    case CU_LAUNCH_ATTRIBUTE_PRIORITY:
    case CU_LAUNCH_ATTRIBUTE_MEM_SYNC_DOMAIN_MAP:
    case CU_LAUNCH_ATTRIBUTE_MEM_SYNC_DOMAIN:
    case CU_LAUNCH_ATTRIBUTE_PREFERRED_CLUSTER_DIMENSION:
    case CU_LAUNCH_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT: return CUDA_SUCCESS;
    case CU_LAUNCH_ATTRIBUTE_ACCESS_POLICY_WINDOW:
        return xg_cu_range_ok(w, (uintptr_t)out->value.accessPolicyWindow.base_ptr,
                              out->value.accessPolicyWindow.num_bytes)
                   ? CUDA_SUCCESS
                   : CUDA_ERROR_INVALID_VALUE;
    case CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_EVENT:
    case CU_LAUNCH_ATTRIBUTE_LAUNCH_COMPLETION_EVENT:
        e = xg_table_get(&w->events, in->event);
        out->value.launchCompletionEvent.event = e ? e->h : NULL;
        return e ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
    default: return CUDA_ERROR_NOT_SUPPORTED;
    }
}

uint32_t xg_cu_launch_ex(struct cu_worker *w, const struct xg_cuda_launch_ex *a, const void *params,
                         uint32_t params_size, const void *attrs, uint32_t attrs_size)
{
    const struct xg_cuda_launch_attr *in = attrs;
    struct cu_func *f = xg_table_get(&w->funcs, a->func);
    struct cu_stream *s = xg_cu_work_stream(w, a->stream);
    CUlaunchAttribute attr[ATTRS_MAX];
    size_t size = params_size;
    void *extra[] = {CU_LAUNCH_PARAM_BUFFER_POINTER, (void *)(uintptr_t)params,
                     CU_LAUNCH_PARAM_BUFFER_SIZE, &size, CU_LAUNCH_PARAM_END};
    CUresult r;

    if (!f || !s)
        return CUDA_ERROR_INVALID_HANDLE;
    if (!params_fit(f, params, params_size) || a->attributes > ATTRS_MAX ||
        attrs_size != a->attributes * sizeof(*in))
        return xg_cu_protocol_fail(w, "LAUNCH_EX with sizes that make no sense");
    if (!w->d.cuLaunchKernelEx)
        return CUDA_ERROR_NOT_SUPPORTED;
    r = local_check(w, f);
    for (uint32_t i = 0; i < a->attributes && r == CUDA_SUCCESS; i++)
        r = attr_decode(w, &in[i], &attr[i]);
    if (r != CUDA_SUCCESS)
        return r;
    CUlaunchConfig config = {
        .gridDimX = a->grid_x,
        .gridDimY = a->grid_y,
        .gridDimZ = a->grid_z,
        .blockDimX = a->block_x,
        .blockDimY = a->block_y,
        .blockDimZ = a->block_z,
        .sharedMemBytes = a->shared,
        .hStream = s->h,
        .attrs = attr,
        .numAttrs = a->attributes,
    };
    r = w->d.cuLaunchKernelEx(&config, f->h, NULL, size ? extra : NULL);
    if (r == CUDA_SUCCESS) {
        xg_worker_count(w->worker, XG_COUNT_LAUNCHES, 1);
        xg_worker_text_mark();
        xg_cu_op_submitted(w, s);
    }
    return r;
}
