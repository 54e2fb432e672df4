/* Launches, and what a function is like. */
#include "cuda/send.h"

#define ATTRS_MAX 32u

static struct cu_func *func_of(struct xg_cuda_function *f)
{
    return xg_container_of(f, struct cu_func, api);
}

CUresult cu_func_get(struct cu_ctx *ctx, CUfunction h, struct cu_func **out)
{
    CUresult r = cu_func_find(ctx, h, out);
    return XG_LIKELY(r == CUDA_SUCCESS) ? (*out)->api.refused : r;
}

CUresult cu_func_find(struct cu_ctx *ctx, CUfunction h, struct cu_func **out)
{
    *out = xg_cuda_handle_get(CU_KIND_FUNC, h);
    if (XG_LIKELY(*out != NULL))
        return CUDA_SUCCESS;
    struct xg_cuda_function *f;
    CUresult r = xg_cuda_kernel_function(ctx->api.handle, h, &f);
    if (r == CUDA_SUCCESS)
        *out = func_of(f);
    return r;
}

CUresult cu_func_enter(CUfunction h, CUcontext *ctx, struct xg_cuda_function **out)
{
    struct cu_func *f = xg_cuda_handle_get(CU_KIND_FUNC, h);
    struct xg_cuda_ctx *entered = NULL;
    CUresult r = xg_cuda_ctx_enter_in(f ? &f->ctx->api : NULL, &entered);

    *ctx = xg_cuda_ctx_handle(entered);
    *out = f ? &f->api : NULL;
    return r;
}

/* --- checks that CUDA makes before it returns ------------------------------------------------- */

CUresult cu_launch_check(const struct cu_func *f, const CUDA_KERNEL_NODE_PARAMS_v2 *p)
{
    const unsigned g[3] = {p->gridDimX, p->gridDimY, p->gridDimZ},
                   b[3] = {p->blockDimX, p->blockDimY, p->blockDimZ};
    struct xg_cuda_args args;
    CUresult r = xg_cuda_args_find(&f->api.params, p->kernelParams, p->extra, &args);

    return r == CUDA_SUCCESS ? xg_cuda_shape_check(&cu.limits, &f->api, g, b, p->sharedMemBytes)
                             : r;
}

/* --- launches --------------------------------------------------------------------------------- */

CUresult cu_launch(struct xg_cuda_stream *s, const struct cu_func *f, const unsigned g[3],
                   const unsigned b[3], unsigned shared, uint32_t flags, void **params,
                   void **extra)
{
    struct xg_cuda_args args;
    struct cu_cmd c;
    CUresult r = xg_cuda_args_find(&f->api.params, params, extra, &args);

    if (r == CUDA_SUCCESS)
        r = xg_cuda_shape_check(&cu.limits, &f->api, g, b, shared);
    if (XG_UNLIKELY(r != CUDA_SUCCESS))
        return r;
    if (xg_cuda_capturing(s)) {
        const CUDA_KERNEL_NODE_PARAMS_v2 p = {
            cu_handle(&f->o), g[0],   g[1],  g[2], b[0],           b[1], b[2],
            shared,           params, extra, NULL, s->ctx->handle,
        };
        return xg_cuda_capture_kernel(s, &p, flags == XG_CUDA_LAUNCH_COOPERATIVE);
    }
    cu_begin(&c, cu_stream_ctx(s));
    void *to = cu_put_launch(&c,
                             &(struct xg_cuda_launch){.func = f->o.name,
                                                      .stream = cu_stream_wire(s),
                                                      .grid_x = g[0],
                                                      .grid_y = g[1],
                                                      .grid_z = g[2],
                                                      .block_x = b[0],
                                                      .block_y = b[1],
                                                      .block_z = b[2],
                                                      .shared = shared,
                                                      .flags = flags},
                             f->api.params.bytes);
    xg_cuda_args_write(&f->api.params, &args, to);
    r = cu_end(&c);
    if (cu_prints())
        cu_text_launched();
    return r;
}

CUresult cuLaunchKernel(CUfunction h, unsigned gx, unsigned gy, unsigned gz, unsigned bx,
                        unsigned by, unsigned bz, unsigned shared, CUstream stream, void **params,
                        void **extra)
{
    const unsigned g[3] = {gx, gy, gz}, b[3] = {bx, by, bz};
    struct xg_cuda_stream *s;
    struct cu_func *f;
    CUresult r = xg_cuda_stream_find(stream, &s);

    if (XG_LIKELY(r == CUDA_SUCCESS))
        r = cu_func_get(cu_stream_ctx(s), h, &f);
    return XG_LIKELY(r == CUDA_SUCCESS) ? cu_launch(s, f, g, b, shared, 0, params, extra) : r;
}

CUresult cuLaunchCooperativeKernel(CUfunction h, unsigned gx, unsigned gy, unsigned gz, unsigned bx,
                                   unsigned by, unsigned bz, unsigned shared, CUstream stream,
                                   void **params)
{
    const unsigned g[3] = {gx, gy, gz}, b[3] = {bx, by, bz};
    struct xg_cuda_stream *s;
    struct cu_func *f;
    CUresult r = xg_cuda_stream_find(stream, &s);

    if (r == CUDA_SUCCESS && !cu.snap.attribute[CU_DEVICE_ATTRIBUTE_COOPERATIVE_LAUNCH])
        r = CUDA_ERROR_NOT_SUPPORTED;
    if (r == CUDA_SUCCESS)
        r = cu_func_get(cu_stream_ctx(s), h, &f);
    return r == CUDA_SUCCESS
               ? cu_launch(s, f, g, b, shared, XG_CUDA_LAUNCH_COOPERATIVE, params, NULL)
               : r;
}

/* Pointers in attributes are events; everything else goes as it is, and the worker says what it
 * knows. */
static CUresult attrs_translate(const CUlaunchConfig *config, struct xg_cuda_launch_attr *out)
{
    for (unsigned i = 0; i < config->numAttrs; i++) {
        const CUlaunchAttribute *a = &config->attrs[i];
        memset(&out[i], 0, sizeof(out[i]));
        out[i].id = a->id;
        memcpy(out[i].value, &a->value, sizeof(out[i].value));
        if (a->id != CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_EVENT &&
            a->id != CU_LAUNCH_ATTRIBUTE_LAUNCH_COMPLETION_EVENT)
            continue;
        CUevent event = a->value.launchCompletionEvent.event;
        if (!xg_cuda_event_get(event))
            return CUDA_ERROR_INVALID_HANDLE;
        out[i].event = xg_cuda_handle_name(event);
        memset(out[i].value, 0, sizeof(void *));
    }
    return CUDA_SUCCESS;
}

CUresult cu_launch_with(const CUlaunchConfig *config, CUfunction h, void **params, void **extra,
                        bool cooperative, bool plain)
{
    const unsigned g[3] = {config->gridDimX, config->gridDimY, config->gridDimZ},
                   b[3] = {config->blockDimX, config->blockDimY, config->blockDimZ};
    struct xg_cuda_launch_attr attr[ATTRS_MAX];
    struct xg_cuda_stream *s;
    struct cu_func *f;
    struct xg_cuda_args args;
    struct cu_cmd c;

    CUresult r = xg_cuda_stream_find(config->hStream, &s);
    if (r == CUDA_SUCCESS)
        r = cu_func_get(cu_stream_ctx(s), h, &f);
    if (r == CUDA_SUCCESS && plain)
        return cu_launch(s, f, g, b, config->sharedMemBytes,
                         cooperative ? XG_CUDA_LAUNCH_COOPERATIVE : 0, params, extra);
    if (r == CUDA_SUCCESS && config->numAttrs > ATTRS_MAX)
        r = CUDA_ERROR_INVALID_VALUE;
    if (r == CUDA_SUCCESS)
        r = xg_cuda_args_find(&f->api.params, params, extra, &args);
    if (r == CUDA_SUCCESS)
        r = xg_cuda_shape_check(&cu.limits, &f->api, g, b, config->sharedMemBytes);
    if (r == CUDA_SUCCESS)
        r = attrs_translate(config, attr);
    if (r != CUDA_SUCCESS)
        return r;
    r = xg_cuda_capture_refuses(s);
    if (r != CUDA_SUCCESS) /* CUDA has a node for it */
        return r == CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED ? CUDA_ERROR_NOT_SUPPORTED : r;
    cu_begin(&c, cu_stream_ctx(s));
    void *to = cu_put_launch_ex(&c,
                                &(struct xg_cuda_launch_ex){.func = f->o.name,
                                                            .stream = cu_stream_wire(s),
                                                            .grid_x = g[0],
                                                            .grid_y = g[1],
                                                            .grid_z = g[2],
                                                            .block_x = b[0],
                                                            .block_y = b[1],
                                                            .block_z = b[2],
                                                            .shared = config->sharedMemBytes,
                                                            .attributes = config->numAttrs},
                                f->api.params.bytes, attr, config->numAttrs * sizeof(attr[0]));
    xg_cuda_args_write(&f->api.params, &args, to);
    r = cu_end(&c);
    if (cu_prints())
        cu_text_launched();
    return r;
}

/* --- what a function is like ------------------------------------------------------------------ */

_Static_assert(XG_CUDA_FUNC_ATTRIBUTES == CU_FUNC_ATTRIBUTE_MAX, "all of them have a place");

CUresult cu_func_attribute(struct xg_cuda_function *api, CUfunction_attribute a, int *value)
{
    struct cu_func *f = func_of(api);
    struct xg_cuda_func_get_attr_reply reply;

    if (f->attribute_known & (1u << a)) {
        *value = f->attribute[a];
        return CUDA_SUCCESS;
    }
    CUresult r = cu_call_func_get_attr(
        f->ctx, &(struct xg_cuda_func_get_attr){.func = f->o.name, .attribute = a}, &reply);
    if (r == CUDA_SUCCESS)
        *value = reply.value;
    return r;
}

/* Asked, because the driver may refuse the value; programs do it once per kernel. */
CUresult cu_func_set(struct xg_cuda_function *api, CUfunction_attribute a, int value)
{
    struct cu_func *f = func_of(api);
    struct cu_cmd c;

    cu_begin_call(&c, f->ctx);
    cu_put_func_set_attr(
        &c, &(struct xg_cuda_func_set_attr){.func = f->o.name, .attribute = a, .value = value});
    CUresult r = cu_end(&c);
    if (r == CUDA_SUCCESS && (f->attribute_known & (1u << a)))
        f->attribute[a] = value;
    if (r == CUDA_SUCCESS && a == CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES)
        api->max_dynamic = (uint32_t)value;
    return r;
}

static CUresult func_config(struct cu_func *f, uint32_t what, uint32_t value)
{
    return cu_send_func_config(
        f->ctx, &(struct xg_cuda_func_config){.func = f->o.name, .what = what, .value = value});
}

CUresult cu_func_cache(struct xg_cuda_function *f, CUfunc_cache config)
{
    return func_config(func_of(f), XG_CUDA_CONFIG_CACHE, config);
}

CUresult cu_func_banks(struct xg_cuda_function *f, CUsharedconfig config)
{
    return func_config(func_of(f), XG_CUDA_CONFIG_SHARED, config);
}

/* --- occupancy -------------------------------------------------------------------------------- */

static CUresult occupancy_ask(const struct cu_func *f, uint32_t what, uint64_t a, uint64_t b,
                              uint64_t c, uint64_t *value)
{
    struct xg_cuda_occupancy_reply reply;
    CUresult r = cu_call_occupancy(
        f->ctx,
        &(struct xg_cuda_occupancy){.func = f->o.name, .what = what, .a = a, .b = b, .c = c},
        &reply);

    if (r == CUDA_SUCCESS)
        *value = reply.value;
    return r;
}

CUresult cu_func_blocks(struct xg_cuda_function *f, unsigned threads, size_t dynamic,
                        unsigned flags, int *blocks)
{
    uint64_t value;
    CUresult r = occupancy_ask(func_of(f), XG_CUDA_OCC_BLOCKS, threads, dynamic, flags, &value);

    if (r == CUDA_SUCCESS)
        *blocks = (int)value;
    return r;
}

CUresult cu_func_dynamic(struct xg_cuda_function *f, unsigned blocks, unsigned threads,
                         size_t *dynamic)
{
    uint64_t value;
    CUresult r = occupancy_ask(func_of(f), XG_CUDA_OCC_DYNAMIC, blocks, threads, 0, &value);

    if (r == CUDA_SUCCESS)
        *dynamic = value;
    return r;
}
