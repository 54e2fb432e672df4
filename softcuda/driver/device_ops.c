/* The device of cuda/device.h: softcuda's operations, over its engine. */
#include <stdlib.h>
#include <string.h>

#include "softcuda/driver/device.h"
#include "softcuda/driver/sc.h"

static CUresult device_lost(void)
{
    return CUDA_SUCCESS; /* it is this machine */
}

static CUresult stream_end(struct xg_cuda_stream *s)
{
    sc_stream_kill(sc_stream_of(s));
    return CUDA_SUCCESS;
}

static void stream_hold(struct xg_cuda_stream *s)
{
    sc_stream_ref(sc_stream_of(s));
}

static void stream_put(struct xg_cuda_stream *s)
{
    sc_stream_put(sc_stream_of(s));
}

static CUresult stream_query(struct xg_cuda_stream *s)
{
    bool idle = sc_stream_idle(sc_stream_of(s));
    CUresult sticky = (CUresult)atomic_load(&sc_ctx_of(s->ctx)->sticky);

    return sticky ? sticky : idle ? CUDA_SUCCESS : CUDA_ERROR_NOT_READY;
}

static CUresult stream_settle(struct xg_cuda_stream *s)
{
    struct sc_ctx *ctx = sc_ctx_of(s->ctx);

    sc_stream_sync(sc_stream_of(s));
    CUresult r = (CUresult)atomic_load(&ctx->sticky);
    sc_print_flush(ctx);
    return r;
}

/* --- checks, and the operations that they make ------------------------------------------------ */

/* What a node submits a copy of each time. */
struct own {
    _Atomic int refs;
    _Atomic uint64_t checked; /* the version of the memory that it was last good for */
    struct sc_op op;
};

static CUresult own_keep(const struct sc_op *op, void **out)
{
    struct own *o = malloc(sizeof(*o));

    if (!o)
        return CUDA_ERROR_OUT_OF_MEMORY;
    atomic_init(&o->refs, 1);
    atomic_init(&o->checked, 0);
    memcpy(&o->op, op, op->bytes);
    *out = o;
    return CUDA_SUCCESS;
}

static void own_get(void *own)
{
    struct own *o = own;
    atomic_fetch_add(&o->refs, 1);
}

static void own_put(void *own)
{
    struct own *o = own;

    if (atomic_fetch_sub(&o->refs, 1) != 1)
        return;
    sc_op_release(&o->op);
    free(o);
}

static CUresult kernel_build(const CUDA_KERNEL_NODE_PARAMS *p, bool cooperative, struct sc_op *op)
{
    struct sc_ctx *ctx = sc_ctx_of(xg_cuda_ctx_get(p->ctx));
    CUfunction f = p->func ? p->func : (CUfunction)p->kern;
    CUresult r;

    if (!ctx)
        return CUDA_ERROR_INVALID_CONTEXT;
    struct sc_function *fn = sc_function_get(ctx, f, &r);
    return fn ? sc_launch_build(fn->module->ctx, fn->api.handle,
                                (unsigned[]){p->gridDimX, p->gridDimY, p->gridDimZ},
                                (unsigned[]){p->blockDimX, p->blockDimY, p->blockDimZ},
                                p->sharedMemBytes, p->kernelParams, p->extra, cooperative, op)
              : r;
}

static CUresult kernel_check(CUDA_KERNEL_NODE_PARAMS *p, bool cooperative,
                             struct xg_cuda_layout *layout, void **own)
{
    struct sc_op op;
    CUresult r = kernel_build(p, cooperative, &op);

    if (r)
        return r;
    *layout = op.launch.fn->api.params;
    p->ctx = op.launch.fn->module->ctx->api.handle;
    r = own_keep(&op, own);
    if (r)
        sc_op_release(&op);
    return r;
}

static CUresult copy_check(const struct xg_cuda_box *b, void **own)
{
    struct sc_op op = {.type = SC_OP_COPY, .bytes = SC_OP_BYTES(copy)};
    CUresult r = sc_copy_build(b, &op.copy.box);
    return r || !own ? r : own_keep(&op, own);
}

static CUresult fill_check(const CUDA_MEMSET_NODE_PARAMS *p, void **own)
{
    struct sc_op op = {.type = SC_OP_SET, .bytes = SC_OP_BYTES(set)};
    CUresult r = sc_set_build(p, &op.set);
    return r || !own ? r : own_keep(&op, own);
}

/* --- memory ----------------------------------------------------------------------------------- */

static bool memory_find(CUdeviceptr p, struct xg_cuda_memory *out)
{
    struct sc_mem m;

    if (!sc_mem_find(p, &m))
        return false;
    *out = (struct xg_cuda_memory){
        .kind = m.kind == SC_MEM_HOST         ? XG_CUDA_MEMORY_PINNED
                : m.kind == SC_MEM_REGISTERED ? XG_CUDA_MEMORY_REGISTERED
                : sc_mem_is_managed(&m)       ? XG_CUDA_MEMORY_MANAGED
                                              : XG_CUDA_MEMORY_DEVICE,
        .start = m.start,
        .size = m.size,
        .device = m.start,
        .reached = m.accessible,
        .read_only = !m.writable,
        .ctx = m.ctx ? m.ctx->api.handle : NULL,
        .pool = m.pool,
        .flags = m.flags,
        .id = m.id,
    };
    if (out->kind != XG_CUDA_MEMORY_DEVICE)
        out->host = m.start;
    return true;
}

static CUresult memory_free_later(struct xg_cuda_stream *s, CUdeviceptr p)
{
    struct sc_op op = {.type = SC_OP_FREE, .bytes = SC_OP_BYTES(free), .free.address = p};
    struct sc_mem m;

    return sc_mem_find(p, &m) && m.start == p && m.kind == SC_MEM_DEVICE
               ? sc_submit(sc_stream_of(s), &op, NULL)
               : CUDA_ERROR_INVALID_VALUE;
}

/* --- work ------------------------------------------------------------------------------------- */

/* Each run of a kernel holds its module, and has parameters of its own. */
static CUresult kernel_launch(struct xg_cuda_stream *s, const CUDA_KERNEL_NODE_PARAMS *p,
                              bool cooperative, void *own)
{
    struct own *o = own;
    struct sc_op op, *run = &o->op;

    if (XG_UNLIKELY(run->launch.params != NULL)) {
        void *params = malloc(run->param_bytes);
        if (!params)
            return CUDA_ERROR_OUT_OF_MEMORY;
        memcpy(&op, run, run->bytes);
        op.launch.params = memcpy(params, run->launch.params, run->param_bytes);
        run = &op;
    }
    sc_module_ref(run->launch.fn->module);
    return sc_submit(sc_stream_of(s), run, NULL);
}

/* Whether the memory is still there: what has changed since may have been it. */
static CUresult memory_copy(struct xg_cuda_stream *s, const struct xg_cuda_box *b, bool wait,
                            void *own)
{
    uint64_t now = sc_mem_version();
    struct own *o = own;
    struct sc_copy copy;

    if (!o)
        return sc_copy_box(sc_stream_of(s), b, wait);
    CUresult r = atomic_load(&o->checked) == now ? CUDA_SUCCESS : sc_copy_build(b, &copy);
    if (r)
        return r;
    atomic_store_explicit(&o->checked, now, memory_order_relaxed);
    return sc_submit(sc_stream_of(s), &o->op, NULL);
}

static CUresult line_copy(struct xg_cuda_stream *s, CUdeviceptr dst, CUdeviceptr src, size_t size,
                          enum xg_cuda_way way, bool wait)
{
    return sc_copy_line(sc_stream_of(s), dst, src, size, way, wait);
}

static CUresult memory_fill(struct xg_cuda_stream *s, const CUDA_MEMSET_NODE_PARAMS *p, bool wait,
                            void *own)
{
    uint64_t now = sc_mem_version();
    struct own *o = own;
    struct sc_set set;

    if (!o)
        return sc_fill(sc_stream_of(s), p, wait);
    CUresult r = atomic_load(&o->checked) == now ? CUDA_SUCCESS : sc_set_build(p, &set);
    if (r)
        return r;
    atomic_store_explicit(&o->checked, now, memory_order_relaxed);
    return sc_submit(sc_stream_of(s), &o->op, NULL);
}

static CUresult host_call(struct xg_cuda_stream *s, const CUDA_HOST_NODE_PARAMS *p)
{
    struct sc_op op = {
        .type = SC_OP_HOST, .bytes = SC_OP_BYTES(host), .host = {p->fn, p->userData}};
    return sc_submit(sc_stream_of(s), &op, NULL);
}

static CUresult host_callback(struct xg_cuda_stream *s, CUstream as, CUstreamCallback fn,
                              void *data)
{
    struct sc_op op = {
        .type = SC_OP_CALLBACK, .bytes = SC_OP_BYTES(callback), .callback = {fn, as, data}};
    return sc_submit(sc_stream_of(s), &op, NULL);
}

const struct xg_cuda_device xg_cuda_device = {
    .name = "softcuda",
    .symbol_find = sc_symbol_find,
    .sync_memops = true,
    .facts = &sc_facts,
    .memory_total = sc_memory_total,
    .attribute = sc_attribute,
    .start = sc_start,
    .lost = device_lost,
    .ctx_size = sizeof(struct sc_ctx),
    .ctx_start = sc_ctx_start,
    .ctx_end = sc_ctx_end,
    .ctx_error = sc_ctx_error,
    .ctx_settle = sc_ctx_settle,
    .ctx_limit = sc_ctx_limit,
    .ctx_tell = sc_ctx_tell,
    .stream_size = sizeof(struct sc_stream),
    .stream_start = sc_stream_start,
    .stream_end = stream_end,
    .stream_hold = stream_hold,
    .stream_put = stream_put,
    .stream_query = stream_query,
    .stream_settle = stream_settle,
    .event_size = sizeof(struct sc_event),
    .event_start = sc_event_start,
    .event_end = sc_event_end,
    .event_query = sc_event_query,
    .event_settle = sc_event_settle,
    .event_elapsed = sc_event_elapsed,
    .module_load = sc_module_load,
    .module_unload = sc_module_unload,
    .module_enter = sc_module_enter,
    .function_name = sc_function_name,
    .function_load = sc_function_at,
    .function_refuse = sc_function_refuse,
    .function_enter = sc_function_enter,
    .function_attribute = sc_function_attribute,
    .function_set = sc_function_set,
    .function_cache = sc_function_cache,
    .function_banks = sc_function_banks,
    .function_blocks = sc_function_blocks,
    .function_dynamic = sc_function_dynamic,
    .variable = sc_variable_find,
    .link_new = sc_link_new,
    .link_add = sc_link_add,
    .link_complete = sc_link_complete,
    .link_free = sc_link_free,
    .kernel_check = kernel_check,
    .copy_check = copy_check,
    .fill_check = fill_check,
    .own_get = own_get,
    .own_put = own_put,
    .memory_find = memory_find,
    .alloc = sc_device_alloc,
    .alloc_shared = sc_shared_alloc,
    .free = sc_device_free,
    .free_pinned = sc_pinned_free,
    .free_later = memory_free_later,
    .memory_info = sc_memory_info,
    .host_register = sc_host_register,
    .host_unregister = sc_host_unregister,
    .launch_with = sc_launch_with,
    .launch = kernel_launch,
    .copy = memory_copy,
    .fill = memory_fill,
    .copy_line = line_copy,
    .host = host_call,
    .callback = host_callback,
    .event_record = sc_event_record,
    .event_wait = sc_event_wait,
};

/* Nothing is uploaded, so no stream matters. */
CUresult cuGraphInstantiateWithParams_ptsz(CUgraphExec *out, CUgraph graph,
                                           CUDA_GRAPH_INSTANTIATE_PARAMS *p)
{
    return cuGraphInstantiateWithParams(out, graph, p);
}

/* --- captured operations ---------------------------------------------------------------------- */

static CUresult capture_launch(struct sc_stream *s, const struct sc_op *op)
{
    size_t size = op->param_bytes;
    void *block = op->launch.params ? op->launch.params : (void *)op->launch.inline_params;
    void *extra[] = {CU_LAUNCH_PARAM_BUFFER_POINTER, block, CU_LAUNCH_PARAM_BUFFER_SIZE, &size,
                     CU_LAUNCH_PARAM_END};
    const CUDA_KERNEL_NODE_PARAMS p = {
        .func = op->launch.fn->api.handle,
        .gridDimX = op->launch.grid[0],
        .gridDimY = op->launch.grid[1],
        .gridDimZ = op->launch.grid[2],
        .blockDimX = op->launch.block[0],
        .blockDimY = op->launch.block[1],
        .blockDimZ = op->launch.block[2],
        .sharedMemBytes = op->launch.shared,
        .extra = extra,
    };
    return xg_cuda_capture_kernel(&s->api, &p, op->launch.cooperative);
}

CUresult sc_capture_op(struct sc_stream *s, const struct sc_op *op)
{
    CUresult r;

    switch ((enum sc_op_type)op->type) {
    case SC_OP_LAUNCH: return capture_launch(s, op);
    case SC_OP_HOST: return xg_cuda_capture_host(&s->api, op->host.fn, op->host.data);
    default: /* CUDA has nodes for them */
        r = xg_cuda_capture_refuses(&s->api);
        return r == CUDA_ERROR_STREAM_CAPTURE_IMPLICIT ? r : CUDA_ERROR_NOT_SUPPORTED;
    }
}
