/* The API's stream functions; queues are in stream.c. */
#include <stdlib.h>
#include <string.h>

#include "softcuda/driver/device.h"
#include "softcuda/driver/sc.h"

/* --- the per-thread default stream ------------------------------------------------------------ */

struct own_stream {
    struct own_stream *next;
    CUcontext ctx;
    CUstream stream;
};

static pthread_key_t own_key;
static pthread_once_t own_once = PTHREAD_ONCE_INIT;

static void own_end(void *p)
{
    struct own_stream *o = p, *next;

    for (; o; o = next) {
        struct sc_stream *s = sc_handle_get(SC_STREAM, o->stream);
        next = o->next;
        if (s && xg_cuda_ctx_get(o->ctx))
            sc_stream_kill(s);
        free(o);
    }
}

static void own_make_key(void)
{
    pthread_key_create(&own_key, own_end);
}

static struct sc_stream *own_stream(struct sc_ctx *ctx)
{
    struct own_stream *o;
    struct sc_stream *s;

    pthread_once(&own_once, own_make_key);
    for (o = pthread_getspecific(own_key); o; o = o->next)
        if (o->ctx == ctx->api.handle)
            return sc_handle_get(SC_STREAM, o->stream);
    o = malloc(sizeof(*o));
    s = o ? sc_stream_create(ctx, CU_STREAM_DEFAULT, 0) : NULL;
    if (!s) {
        free(o);
        return NULL;
    }
    *o = (struct own_stream){pthread_getspecific(own_key), ctx->api.handle, s->handle};
    pthread_setspecific(own_key, o);
    return s;
}

struct sc_stream *sc_stream_get(struct sc_ctx *ctx, CUstream handle, CUresult *error)
{
    struct sc_stream *s;

    if (!handle || handle == CU_STREAM_LEGACY) {
        s = ctx->legacy;
        *error = CUDA_ERROR_CONTEXT_IS_DESTROYED;
    } else if (handle == CU_STREAM_PER_THREAD) {
        s = own_stream(ctx);
        *error = CUDA_ERROR_OUT_OF_MEMORY;
    } else {
        s = sc_handle_get(SC_STREAM, handle);
        *error = CUDA_ERROR_INVALID_HANDLE;
    }
    if (!s)
        return NULL;
    *error = CUDA_SUCCESS;
    sc_stream_ref(s);
    return s;
}

/* --- life ------------------------------------------------------------------------------------- */

static int clamp_priority(int priority)
{
    return priority > 0 ? 0 : priority < SC_PRIORITY_HIGH ? SC_PRIORITY_HIGH : priority;
}

CUresult cuStreamCreateWithPriority(CUstream *stream, unsigned flags, int priority)
{
    XG_CUDA_NEED(stream, CUDA_ERROR_INVALID_VALUE);
    SC_ENTER(ctx);
    if (flags & ~CU_STREAM_NON_BLOCKING)
        return CUDA_ERROR_INVALID_VALUE;
    struct sc_stream *s = sc_stream_create(ctx, flags, clamp_priority(priority));
    if (!s)
        return CUDA_ERROR_OUT_OF_MEMORY;
    *stream = s->handle;
    return CUDA_SUCCESS;
}

CUresult cuStreamCreate(CUstream *stream, unsigned flags)
{
    XG_CUDA_NEED(stream, CUDA_ERROR_INVALID_VALUE);
    return cuStreamCreateWithPriority(stream, flags, 0);
}

CUresult cuStreamDestroy_v2(CUstream stream)
{
    XG_CUDA_NEED(stream, CUDA_ERROR_INVALID_HANDLE);
    XG_CUDA_READY();
    struct sc_stream *s = sc_handle_get(SC_STREAM, stream);

    if (!s || s == s->ctx->legacy)
        return CUDA_ERROR_INVALID_HANDLE;
    sc_stream_kill(s);
    return CUDA_SUCCESS;
}

CUresult cuStreamDestroy(CUstream stream)
{
    return cuStreamDestroy_v2(stream);
}

/* --- questions -------------------------------------------------------------------------------- */

#define SC_STREAM(s, handle)                                                                       \
    CUresult error_;                                                                               \
    SC_ENTER_OF(ctx_, SC_STREAM, handle);                                                          \
    struct sc_stream *s = sc_stream_get(ctx_, handle, &error_);                                    \
    if (!s)                                                                                        \
    return error_

CUresult cuStreamGetPriority(CUstream stream, int *priority)
{
    XG_CUDA_NEED(priority, CUDA_ERROR_INVALID_VALUE);
    SC_STREAM(s, stream);
    *priority = s->priority;
    sc_stream_put(s);
    return CUDA_SUCCESS;
}

CUresult cuStreamGetFlags(CUstream stream, unsigned *flags)
{
    XG_CUDA_NEED(flags, CUDA_ERROR_INVALID_VALUE);
    SC_STREAM(s, stream);
    CUresult r = sc_capture_refuses(s);
    if (!r)
        *flags = s->flags;
    sc_stream_put(s);
    return r;
}

CUresult cuStreamGetId(CUstream stream, unsigned long long *id)
{
    XG_CUDA_NEED(id, CUDA_ERROR_INVALID_VALUE);
    SC_STREAM(s, stream);
    CUresult r = sc_capture_refuses(s);
    if (!r)
        *id = s->id;
    sc_stream_put(s);
    return r;
}

CUresult cuStreamGetCtx(CUstream stream, CUcontext *ctx)
{
    XG_CUDA_NEED(ctx, CUDA_ERROR_INVALID_VALUE);
    SC_STREAM(s, stream);
    *ctx = s->ctx->api.handle;
    sc_stream_put(s);
    return CUDA_SUCCESS;
}

CUresult cuStreamGetDevice(CUstream stream, CUdevice *device)
{
    XG_CUDA_NEED(device, CUDA_ERROR_INVALID_VALUE);
    SC_STREAM(s, stream);
    CUresult r = sc_capture_refuses(s);
    if (!r)
        *device = 0;
    sc_stream_put(s);
    return r;
}

CUresult cuStreamQuery(CUstream stream)
{
    SC_STREAM(s, stream);
    CUresult r = sc_capture_refuses(s);
    if (!r && !sc_stream_idle(s))
        r = CUDA_ERROR_NOT_READY;
    CUresult sticky = (CUresult)atomic_load(&s->ctx->sticky);
    sc_stream_put(s);
    return sticky ? sticky : r;
}

CUresult cuStreamSynchronize(CUstream stream)
{
    SC_STREAM(s, stream);
    CUresult r = sc_capture_refuses(s);
    if (!r) {
        sc_stream_sync(s);
        r = (CUresult)atomic_load(&s->ctx->sticky);
        sc_print_flush(s->ctx);
    }
    sc_stream_put(s);
    return r;
}

/* --- host functions and values ---------------------------------------------------------------- */

CUresult cuLaunchHostFunc(CUstream stream, CUhostFn fn, void *data)
{
    XG_CUDA_NEED(fn, CUDA_ERROR_INVALID_VALUE);
    XG_CUDA_READY();
    struct sc_op op = {.type = SC_OP_HOST, .bytes = SC_OP_BYTES(host)};

    SC_STREAM(s, stream);
    op.host.fn = fn;
    op.host.data = data;
    CUresult r = sc_submit(s, &op, NULL);
    sc_stream_put(s);
    return r;
}

CUresult cuStreamAddCallback(CUstream stream, CUstreamCallback fn, void *data, unsigned flags)
{
    XG_CUDA_NEED(fn, CUDA_ERROR_INVALID_VALUE);
    XG_CUDA_READY();
    struct sc_op op = {.type = SC_OP_CALLBACK, .bytes = SC_OP_BYTES(callback)};

    if (flags)
        return CUDA_ERROR_INVALID_VALUE;
    SC_STREAM(s, stream);
    op.callback.fn = fn;
    op.callback.stream = stream;
    op.callback.data = data;
    CUresult r = sc_capture_refuses(s);
    if (!r)
        r = sc_submit(s, &op, NULL);
    sc_stream_put(s);
    return r;
}

static CUresult value_op(CUstream stream, enum sc_op_type type, CUdeviceptr address, uint64_t value,
                         unsigned size, unsigned flags)
{
    struct sc_op op = {.type = (uint8_t)type, .bytes = SC_OP_BYTES(value)};
    SC_STREAM(s, stream);
    CUresult r = CUDA_ERROR_INVALID_VALUE;

    op.value.address = address;
    op.value.value = value;
    op.value.size = size;
    op.value.flags = flags;
    if (address % size == 0 && sc_mem_covered(address, size, NULL, NULL))
        r = sc_submit(s, &op, NULL);
    sc_stream_put(s);
    return r;
}

CUresult cuStreamWriteValue32_v2(CUstream stream, CUdeviceptr address, cuuint32_t value,
                                 unsigned flags)
{
    XG_CUDA_READY();
    if (flags) /* the one there is, to leave the barrier out, is for devices of old */
        return CUDA_ERROR_INVALID_VALUE;
    return value_op(stream, SC_OP_VALUE_WRITE, address, value, 4, flags);
}

CUresult cuStreamWriteValue64_v2(CUstream stream, CUdeviceptr address, cuuint64_t value,
                                 unsigned flags)
{
    XG_CUDA_READY();
    if (flags) /* the one there is, to leave the barrier out, is for devices of old */
        return CUDA_ERROR_INVALID_VALUE;
    return value_op(stream, SC_OP_VALUE_WRITE, address, value, 8, flags);
}

static bool wait_flags_known(unsigned flags)
{
    /* The flush of remote writes is always implied here: memory is the host's own. */
    return !(flags & ~(CU_STREAM_WAIT_VALUE_NOR | CU_STREAM_WAIT_VALUE_FLUSH));
}

CUresult cuStreamWaitValue32_v2(CUstream stream, CUdeviceptr address, cuuint32_t value,
                                unsigned flags)
{
    XG_CUDA_READY();
    if (!wait_flags_known(flags))
        return CUDA_ERROR_INVALID_VALUE;
    return value_op(stream, SC_OP_VALUE_WAIT, address, value, 4, flags);
}

CUresult cuStreamWaitValue64_v2(CUstream stream, CUdeviceptr address, cuuint64_t value,
                                unsigned flags)
{
    XG_CUDA_READY();
    if (!wait_flags_known(flags))
        return CUDA_ERROR_INVALID_VALUE;
    return value_op(stream, SC_OP_VALUE_WAIT, address, value, 8, flags);
}

CUresult cuStreamBatchMemOp_v2(CUstream stream, unsigned count, CUstreamBatchMemOpParams *ops,
                               unsigned flags)
{
    XG_CUDA_READY();
    CUresult r = CUDA_SUCCESS;

    if (!ops || count > 256 || flags)
        return CUDA_ERROR_INVALID_VALUE;
    for (unsigned i = 0; i < count && !r; i++) {
        const CUstreamBatchMemOpParams *o = &ops[i];
        switch (o->operation) {
        case CU_STREAM_MEM_OP_WAIT_VALUE_32:
            r = cuStreamWaitValue32_v2(stream, o->waitValue.address, o->waitValue.value,
                                       o->waitValue.flags);
            break;
        case CU_STREAM_MEM_OP_WAIT_VALUE_64:
            r = cuStreamWaitValue64_v2(stream, o->waitValue.address, o->waitValue.value64,
                                       o->waitValue.flags);
            break;
        case CU_STREAM_MEM_OP_WRITE_VALUE_32:
            r = cuStreamWriteValue32_v2(stream, o->writeValue.address, o->writeValue.value,
                                        o->writeValue.flags);
            break;
        case CU_STREAM_MEM_OP_WRITE_VALUE_64:
            r = cuStreamWriteValue64_v2(stream, o->writeValue.address, o->writeValue.value64,
                                        o->writeValue.flags);
            break;
        case CU_STREAM_MEM_OP_BARRIER:
        case CU_STREAM_MEM_OP_FLUSH_REMOTE_WRITES:
            break; /* operations of a stream are ordered anyway */
        default: r = CUDA_ERROR_INVALID_VALUE;
        }
    }
    return r;
}

CUresult cuStreamAttachMemAsync(CUstream stream, CUdeviceptr address, size_t length, unsigned flags)
{
    struct sc_mem m;
    SC_STREAM(s, stream);
    CUresult r = sc_capture_refuses(s);

    if (r) {
        sc_stream_put(s);
        return r;
    }
    if (!sc_mem_find(address, &m) || !sc_mem_is_managed(&m) ||
        !xg_cuda_attach_valid(address, length, m.start, m.size, flags, s == s->ctx->legacy))
        r = CUDA_ERROR_INVALID_VALUE;
    sc_stream_put(s);
    return r; /* host and device see managed memory at any time: nothing to do */
}

/* --- attributes ------------------------------------------------------------------------------- */

CUresult cuStreamGetAttribute(CUstream stream, CUstreamAttrID id, CUstreamAttrValue *value)
{
    XG_CUDA_READY();
    if (!value)
        return CUDA_ERROR_INVALID_VALUE;
    SC_STREAM(s, stream);
    CUresult r = CUDA_SUCCESS;
    memset(value, 0, sizeof(*value));
    if (id == CU_LAUNCH_ATTRIBUTE_PRIORITY)
        value->priority = s->priority;
    else if (id == CU_LAUNCH_ATTRIBUTE_SYNCHRONIZATION_POLICY)
        value->syncPolicy = s->policy;
    else if (id != CU_LAUNCH_ATTRIBUTE_ACCESS_POLICY_WINDOW)
        r = CUDA_ERROR_NOT_SUPPORTED;
    sc_stream_put(s);
    return r;
}

CUresult cuStreamSetAttribute(CUstream stream, CUstreamAttrID id, const CUstreamAttrValue *value)
{
    XG_CUDA_READY();
    if (!value)
        return CUDA_ERROR_INVALID_VALUE;
    SC_STREAM(s, stream);
    CUresult r = CUDA_SUCCESS;
    if (id == CU_LAUNCH_ATTRIBUTE_PRIORITY)
        s->priority = clamp_priority(value->priority);
    else if (id != CU_LAUNCH_ATTRIBUTE_SYNCHRONIZATION_POLICY)
        r = CUDA_ERROR_NOT_SUPPORTED;
    else if (value->syncPolicy < CU_SYNC_POLICY_AUTO ||
             value->syncPolicy > CU_SYNC_POLICY_BLOCKING_SYNC)
        r = CUDA_ERROR_INVALID_VALUE;
    else
        s->policy = value->syncPolicy;
    sc_stream_put(s);
    return r;
}

CUresult cuStreamCopyAttributes(CUstream to, CUstream from)
{
    SC_STREAM(d, to);
    CUresult r;
    struct sc_stream *s = sc_stream_get(d->ctx, from, &r);
    if (s) {
        d->priority = s->priority;
        d->policy = s->policy;
        sc_stream_put(s);
    }
    sc_stream_put(d);
    return r;
}
