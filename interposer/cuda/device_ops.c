/* The device of cuda/device.h: the guest's operations, which go over the ring. */
#include "interposer/cuda/copy.h"

static CUresult context_settle(struct xg_cuda_ctx *api)
{
    return cu_ctx_settle(cu_ctx_of(api));
}

/* --- checks ----------------------------------------------------------------------------------- */

static CUfunction function_of(const CUDA_KERNEL_NODE_PARAMS *p)
{
    return p->func ? p->func : (CUfunction)p->kern;
}

static CUresult kernel_check(CUDA_KERNEL_NODE_PARAMS *p, bool cooperative,
                             struct xg_cuda_layout *layout, void **own)
{
    struct cu_ctx *ctx = cu_ctx_of(xg_cuda_ctx_get(p->ctx));
    struct cu_func *f;

    if (!ctx)
        return CUDA_ERROR_INVALID_CONTEXT;
    if (cooperative && !cu.snap.attribute[CU_DEVICE_ATTRIBUTE_COOPERATIVE_LAUNCH])
        return CUDA_ERROR_NOT_SUPPORTED;
    CUresult r = cu_func_get(ctx, function_of(p), &f);
    if (r == CUDA_SUCCESS)
        r = cu_launch_check(f, p);
    if (r != CUDA_SUCCESS)
        return r;
    *layout = f->api.params;
    p->ctx = f->ctx->api.handle;
    return CUDA_SUCCESS;
}

/* --- memory ----------------------------------------------------------------------------------- */

static bool memory_find(CUdeviceptr p, struct xg_cuda_memory *out)
{
    static const enum xg_cuda_memory_kind kinds[] = {
        [CU_MEM_DEVICE] = XG_CUDA_MEMORY_DEVICE,         [CU_MEM_GLOBAL] = XG_CUDA_MEMORY_DEVICE,
        [CU_MEM_HOST] = XG_CUDA_MEMORY_PINNED,           [CU_MEM_MANAGED] = XG_CUDA_MEMORY_MANAGED,
        [CU_MEM_REGISTERED] = XG_CUDA_MEMORY_REGISTERED,
    };
    struct cu_mem m;

    if (!cu_mem_find(p, &m))
        return false;
    bool device = m.kind == CU_MEM_DEVICE || m.kind == CU_MEM_GLOBAL;
    *out = (struct xg_cuda_memory){
        .kind = kinds[m.kind],
        .start = m.start,
        .size = m.size,
        .device = device || m.kind == CU_MEM_MANAGED ? m.start : m.device,
        /* Of a device pointer to registered memory: the program's own address. */
        .host = device                            ? 0
                : m.kind == CU_MEM_HOST && m.twin ? m.twin
                                                  : m.start,
        .ctx = m.ctx ? m.ctx->api.handle : NULL,
        .pool = m.pool,
        .flags = m.flags,
        .id = m.id,
    };
    out->reached = out->device != 0;
    return true;
}

/* --- work ------------------------------------------------------------------------------------- */

static CUresult kernel_launch(struct xg_cuda_stream *s, const CUDA_KERNEL_NODE_PARAMS *p,
                              bool cooperative, void *own)
{
    const unsigned g[3] = {p->gridDimX, p->gridDimY, p->gridDimZ},
                   b[3] = {p->blockDimX, p->blockDimY, p->blockDimZ};
    struct cu_func *f;
    CUresult r = cu_func_get(cu_stream_ctx(s), function_of(p), &f);

    return r == CUDA_SUCCESS
               ? cu_launch(s, f, g, b, p->sharedMemBytes,
                           cooperative ? XG_CUDA_LAUNCH_COOPERATIVE : 0, p->kernelParams, NULL)
               : r;
}

const struct xg_cuda_device xg_cuda_device = {
    .name = "xengpu",
    .symbol_find = cu_export_find,
    .facts = &cu_facts,
    .memory_total = cu_memory_total,
    .attribute = cu_attribute,
    .start = cu_start,
    .forked = cu_forked,
    .lost = cu_device_lost,
    .ctx_size = sizeof(struct cu_ctx),
    .ctx_start = cu_ctx_start,
    .ctx_end = cu_ctx_end,
    .ctx_error = cu_ctx_unusable,
    .ctx_settle = context_settle,
    .ctx_limit = cu_ctx_limit,
    .ctx_tell = cu_ctx_tell,
    .stream_size = sizeof(struct xg_cuda_stream),
    .stream_start = cu_stream_start,
    .stream_end = cu_stream_end,
    .stream_query = cu_stream_query,
    .stream_settle = cu_stream_settle,
    .event_size = sizeof(struct cu_event),
    .event_start = cu_event_start,
    .event_end = cu_event_end,
    .event_query = cu_event_query,
    .event_settle = cu_event_settle,
    .event_elapsed = cu_event_elapsed,
    .module_load = cu_module_load,
    .image_needs_context = true,
    .module_unload = cu_module_unload,
    .module_enter = cu_module_enter,
    .image_again = cu_managed_again,
    .image_put = cu_managed_put,
    .function_name = cu_func_name,
    .function_load = cu_module_func,
    .function_enter = cu_func_enter,
    .function_attribute = cu_func_attribute,
    .function_set = cu_func_set,
    .function_cache = cu_func_cache,
    .function_banks = cu_func_banks,
    .function_blocks = cu_func_blocks,
    .function_dynamic = cu_func_dynamic,
    .variable = cu_module_variable,
    .link_new = cu_link_new,
    .link_add = cu_link_add,
    .link_complete = cu_link_complete,
    .link_free = cu_link_free,
    .kernel_check = kernel_check,
    .copy_check = cu_copy_check,
    .own_get = cu_copy_own,
    .own_put = cu_copy_own,
    .fill_check = cu_fill_check,
    .memory_find = memory_find,
    .alloc = cu_device_alloc,
    .alloc_shared = cu_shared_alloc,
    .free = cu_device_free,
    .free_pinned = cu_pinned_free,
    .free_later = cu_device_free_later,
    .memory_info = cu_memory_info,
    .host_register = cu_host_register,
    .host_unregister = cu_host_unregister,
    .launch_with = cu_launch_with,
    .launch = kernel_launch,
    .copy = cu_copy_box,
    .fill = cu_fill,
    .copy_line = cu_copy_line,
    .host = cu_host_call,
    .callback = cu_host_callback,
    .event_record = cu_event_record,
    .event_wait = cu_event_wait,
};
