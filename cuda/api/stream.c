/* Streams: the default ones, those of the program, and host functions in them. */
#include "cuda/api/stream.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "cuda/api/capture.h"

__thread CUstream xg_cuda_default_stream;

/* --- the default stream of each thread -------------------------------------------------------- */

/* It is a stream like others that synchronises with the legacy one. */
struct own {
    struct own *next;
    const struct xg_cuda_ctx *ctx;
    CUstream stream;
};

static pthread_key_t own_key;
static pthread_once_t own_once = PTHREAD_ONCE_INIT;

static CUresult stream_end(struct xg_cuda_stream *s);

static void own_end(void *list)
{
    struct own *o = list, *next;

    for (; o; o = next) {
        struct xg_cuda_stream *s = xg_cuda_handle_get(XG_CUDA_KIND_STREAM, o->stream);
        next = o->next;
        if (s && xg_cuda_started())
            stream_end(s);
        free(o);
    }
}

static void own_key_make(void)
{
    pthread_key_create(&own_key, own_end);
}

static struct xg_cuda_stream *own_make(struct xg_cuda_ctx *ctx)
{
    struct own *o = pthread_getspecific(own_key);
    struct xg_cuda_stream *s;

    while (o && !atomic_load(&o->ctx->ended))
        o = o->next;
    bool used = o != NULL; /* by a context that is over */
    if (!used)
        o = malloc(sizeof(*o));
    if (!o || xg_cuda_stream_make(ctx, CU_STREAM_DEFAULT, 0, false, &s) != CUDA_SUCCESS) {
        if (!used)
            free(o);
        return NULL;
    }
    *o = (struct own){used ? o->next : pthread_getspecific(own_key), ctx, s->handle};
    if (!used)
        pthread_setspecific(own_key, o);
    return s;
}

static struct xg_cuda_stream *own_stream(struct xg_cuda_ctx *ctx)
{
    pthread_once(&own_once, own_key_make);
    for (struct own *o = pthread_getspecific(own_key); o; o = o->next)
        if (o->ctx == ctx)
            return xg_cuda_handle_get(XG_CUDA_KIND_STREAM, o->stream);
    return own_make(ctx);
}

/* --- what a handle stands for ----------------------------------------------------------------- */

struct xg_cuda_stream *xg_cuda_stream_in(struct xg_cuda_ctx *ctx, CUstream handle, CUresult *r)
{
    if (!handle)
        handle = xg_cuda_default_stream;
    if (!handle || handle == CU_STREAM_LEGACY) {
        *r = CUDA_ERROR_CONTEXT_IS_DESTROYED;
        return ctx->legacy;
    }
    if (handle == CU_STREAM_PER_THREAD) {
        *r = CUDA_ERROR_OUT_OF_MEMORY;
        return own_stream(ctx);
    }
    *r = CUDA_ERROR_INVALID_HANDLE;
    return xg_cuda_handle_get(XG_CUDA_KIND_STREAM, handle);
}

/* NULL: the thread has a context, or there is no such stream. */
static struct xg_cuda_ctx *home_find(CUstream handle)
{
    struct xg_cuda_stream *s;

    if (XG_LIKELY(xg_cuda_current() != NULL))
        return NULL;
    s = xg_cuda_handle_get(XG_CUDA_KIND_STREAM, handle);
    return s ? s->ctx : NULL;
}

CUresult xg_cuda_stream_find(CUstream handle, struct xg_cuda_stream **s)
{
    struct xg_cuda_ctx *ctx;
    CUresult r = xg_cuda_ctx_enter_in(home_find(handle), &ctx);

    if (XG_UNLIKELY(r != CUDA_SUCCESS))
        return r;
    *s = xg_cuda_stream_in(ctx, handle, &r);
    return XG_LIKELY(*s != NULL) ? CUDA_SUCCESS : r;
}

CUresult xg_cuda_stream_get(CUstream handle, struct xg_cuda_stream **s)
{
    CUresult r = xg_cuda_stream_find(handle, s);

    if (r == CUDA_SUCCESS && xg_cuda_device.stream_hold)
        xg_cuda_device.stream_hold(*s);
    return r;
}

/* For what a stream that is captured does not answer. */
static CUresult stream_get_now(CUstream handle, struct xg_cuda_stream **s)
{
    CUresult r = xg_cuda_stream_get(handle, s);

    if (r != CUDA_SUCCESS || XG_LIKELY(!xg_cuda_capturing(*s)))
        return r;
    r = xg_cuda_capture_refuses(*s);
    if (r != CUDA_SUCCESS)
        xg_cuda_stream_put(*s);
    return r;
}

/* --- life ------------------------------------------------------------------------------------- */

static _Atomic uint32_t last_id;

CUresult xg_cuda_stream_make(struct xg_cuda_ctx *ctx, unsigned flags, int priority, bool legacy,
                             struct xg_cuda_stream **out)
{
    size_t size = xg_align_up(xg_cuda_device.stream_size, 64);
    struct xg_cuda_stream *s = aligned_alloc(64, size);
    CUresult r = CUDA_ERROR_OUT_OF_MEMORY;

    if (!s)
        return r;
    memset(s, 0, size);
    s->ctx = ctx;
    s->id = ctx->id << 32 | (legacy ? 0 : atomic_fetch_add(&last_id, 1) + 1);
    s->flags = flags;
    s->priority = priority;
    s->legacy = legacy;
    s->blocking = !legacy && !(flags & CU_STREAM_NON_BLOCKING);
    s->handle = legacy ? CU_STREAM_LEGACY : xg_cuda_handle_new(XG_CUDA_KIND_STREAM, s);
    if (s->handle)
        r = xg_cuda_device.stream_start(s);
    if (r == CUDA_SUCCESS) {
        *out = s;
        return r;
    }
    xg_cuda_handle_drop(XG_CUDA_KIND_STREAM, s->handle);
    free(s);
    return r;
}

static CUresult stream_end(struct xg_cuda_stream *s)
{
    CUstream handle = s->handle;

    if (!xg_cuda_handle_hide(XG_CUDA_KIND_STREAM, handle))
        return CUDA_ERROR_INVALID_HANDLE;
    xg_cuda_capture_abandon(s);
    CUresult r = xg_cuda_device.stream_end(s);
    xg_cuda_handle_free(XG_CUDA_KIND_STREAM, handle);
    return r;
}

int xg_cuda_priority_clamp(int priority)
{
    const struct xg_cuda_facts *f = xg_cuda_device.facts;

    return priority > f->priority_least      ? f->priority_least
           : priority < f->priority_greatest ? f->priority_greatest
                                             : priority;
}

CUresult cuStreamCreateWithPriority(CUstream *out, unsigned flags, int priority)
{
    XG_CUDA_NEED(out, CUDA_ERROR_INVALID_VALUE);
    struct xg_cuda_stream *s;

    XG_CUDA_CONTEXT(ctx);
    if (flags & ~(unsigned)CU_STREAM_NON_BLOCKING)
        return CUDA_ERROR_INVALID_VALUE;
    CUresult r = xg_cuda_stream_make(ctx, flags, xg_cuda_priority_clamp(priority), false, &s);
    if (r == CUDA_SUCCESS)
        *out = s->handle;
    return r;
}

CUresult cuStreamCreate(CUstream *out, unsigned flags)
{
    return cuStreamCreateWithPriority(out, flags, 0);
}

CUresult cuStreamDestroy_v2(CUstream h)
{
    XG_CUDA_NEED(h, CUDA_ERROR_INVALID_HANDLE);
    struct xg_cuda_ctx *ctx;
    CUresult r = xg_cuda_ctx_enter_any(home_find(h), &ctx);

    if (r != CUDA_SUCCESS)
        return r;
    struct xg_cuda_stream *s = xg_cuda_handle_get(XG_CUDA_KIND_STREAM, h);
    return s ? stream_end(s) : CUDA_ERROR_INVALID_HANDLE;
}

CUresult cuStreamDestroy(CUstream h)
{
    return cuStreamDestroy_v2(h);
}

/* --- waiting ---------------------------------------------------------------------------------- */

CUresult cuStreamQuery(CUstream h)
{
    struct xg_cuda_stream *s;
    CUresult r = stream_get_now(h, &s);

    if (r != CUDA_SUCCESS)
        return r;
    r = xg_cuda_device.stream_query(s);
    xg_cuda_stream_put(s);
    return r;
}

CUresult cuStreamSynchronize(CUstream h)
{
    struct xg_cuda_stream *s;
    CUresult r = stream_get_now(h, &s);

    if (r != CUDA_SUCCESS)
        return r;
    r = xg_cuda_device.stream_settle(s);
    xg_cuda_stream_put(s);
    return r;
}

/* --- questions -------------------------------------------------------------------------------- */

CUresult cuStreamGetPriority(CUstream h, int *priority)
{
    XG_CUDA_NEED(priority, CUDA_ERROR_INVALID_VALUE);
    struct xg_cuda_stream *s;
    CUresult r = xg_cuda_stream_get(h, &s);

    if (r != CUDA_SUCCESS)
        return r;
    *priority = s->priority;
    xg_cuda_stream_put(s);
    return CUDA_SUCCESS;
}

CUresult cuStreamGetCtx(CUstream h, CUcontext *ctx)
{
    XG_CUDA_NEED(ctx, CUDA_ERROR_INVALID_VALUE);
    struct xg_cuda_stream *s;
    CUresult r = xg_cuda_stream_get(h, &s);

    if (r != CUDA_SUCCESS)
        return r;
    *ctx = s->ctx->handle;
    xg_cuda_stream_put(s);
    return CUDA_SUCCESS;
}

CUresult cuStreamGetFlags(CUstream h, unsigned *flags)
{
    XG_CUDA_NEED(flags, CUDA_ERROR_INVALID_VALUE);
    struct xg_cuda_stream *s;
    CUresult r = stream_get_now(h, &s);

    if (r != CUDA_SUCCESS)
        return r;
    *flags = s->flags;
    xg_cuda_stream_put(s);
    return CUDA_SUCCESS;
}

CUresult cuStreamGetDevice(CUstream h, CUdevice *device)
{
    XG_CUDA_NEED(device, CUDA_ERROR_INVALID_VALUE);
    struct xg_cuda_stream *s;
    CUresult r = stream_get_now(h, &s);

    if (r != CUDA_SUCCESS)
        return r;
    *device = 0;
    xg_cuda_stream_put(s);
    return CUDA_SUCCESS;
}

CUresult cuStreamGetId(CUstream h, unsigned long long *id)
{
    XG_CUDA_NEED(id, CUDA_ERROR_INVALID_VALUE);
    struct xg_cuda_stream *s;
    CUresult r = stream_get_now(h, &s);

    if (r != CUDA_SUCCESS)
        return r;
    *id = s->id;
    xg_cuda_stream_put(s);
    return CUDA_SUCCESS;
}

/* --- managed memory ----------------------------------------------------------------------------
 */

/* The whole of what `p` lies in, and to one stream only if that is one of the program's. */
static bool attach_valid(const struct xg_cuda_stream *s, CUdeviceptr p, size_t size, unsigned flags)
{
    struct xg_cuda_memory m;

    if (flags != CU_MEM_ATTACH_GLOBAL && flags != CU_MEM_ATTACH_HOST &&
        (flags != CU_MEM_ATTACH_SINGLE || s->legacy))
        return false;
    return xg_cuda_device.memory_find(p, &m) && m.kind == XG_CUDA_MEMORY_MANAGED && p == m.start &&
           (!size || size == m.size);
}

/* There is nothing to attach: it is always reachable from both sides. */
CUresult cuStreamAttachMemAsync(CUstream h, CUdeviceptr p, size_t size, unsigned flags)
{
    struct xg_cuda_stream *s;
    CUresult r = stream_get_now(h, &s);

    if (r != CUDA_SUCCESS)
        return r;
    r = attach_valid(s, p, size, flags) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
    xg_cuda_stream_put(s);
    return r;
}

/* --- host functions --------------------------------------------------------------------------- */

CUresult cuLaunchHostFunc(CUstream h, CUhostFn fn, void *data)
{
    XG_CUDA_NEED(fn, CUDA_ERROR_INVALID_VALUE);
    const CUDA_HOST_NODE_PARAMS p = {fn, data};
    struct xg_cuda_stream *s;
    CUresult r = xg_cuda_stream_get(h, &s);

    if (r != CUDA_SUCCESS)
        return r;
    if (!xg_cuda_device.facts->host_functions)
        r = CUDA_ERROR_NOT_SUPPORTED;
    else if (xg_cuda_capturing(s))
        r = xg_cuda_capture_host(s, fn, data);
    else
        r = xg_cuda_device.host(s, &p);
    xg_cuda_stream_put(s);
    return r;
}

/* Unlike a host function it is told how the stream fares, and no graph can have it. */
CUresult cuStreamAddCallback(CUstream h, CUstreamCallback fn, void *data, unsigned flags)
{
    XG_CUDA_NEED(fn, CUDA_ERROR_INVALID_VALUE);
    struct xg_cuda_stream *s;

    XG_CUDA_READY();
    if (flags)
        return CUDA_ERROR_INVALID_VALUE;
    CUresult r = xg_cuda_stream_get(h, &s);
    if (r != CUDA_SUCCESS)
        return r;
    r = xg_cuda_device.facts->host_functions ? xg_cuda_capture_refuses(s)
                                             : CUDA_ERROR_NOT_SUPPORTED;
    if (r == CUDA_SUCCESS)
        r = xg_cuda_device.callback(s, h, fn, data);
    xg_cuda_stream_put(s);
    return r;
}
