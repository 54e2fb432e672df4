/* What only softcuda's streams have: operations on values in memory, attributes. */
#include <string.h>

#include "softcuda/driver/device.h"
#include "softcuda/driver/sc.h"

/* Enters the context and holds the stream, until sc_stream_put. */
#define SC_STREAM(s, handle)                                                                       \
    struct xg_cuda_stream *found_;                                                                 \
    CUresult find_ = xg_cuda_stream_get(handle, &found_);                                          \
    if (find_)                                                                                     \
        return find_;                                                                              \
    struct sc_stream *s = sc_stream_of(found_)

/* --- values in memory ------------------------------------------------------------------------- */

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
    if (address % size == 0 && sc_mem_covered(address, size, NULL))
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
        value->priority = s->api.priority;
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
        s->api.priority = xg_cuda_priority_clamp(value->priority);
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
    struct xg_cuda_stream *s = xg_cuda_stream_in(d->api.ctx, from, &r);
    if (s) {
        d->api.priority = s->priority;
        d->policy = sc_stream_of(s)->policy;
    }
    sc_stream_put(d);
    return s ? CUDA_SUCCESS : r;
}
