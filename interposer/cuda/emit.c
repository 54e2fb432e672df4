/* Commands and calls on ring 0. */
#include "interposer/cuda/cu.h"

#include <errno.h>

/* Whose frames came last; serials are never used again, so a freed context cannot be mistaken for a
 * new one. */
static void whose(struct cu_ctx *ctx)
{
    void *owner = ctx ? (void *)(uintptr_t)ctx->serial : NULL;

    if (XG_LIKELY(cu.ring->owner == owner) || !ctx)
        return;
    struct xg_cuda_ctx_set *f = xg_ring_begin(cu.ring, XG_CUDA_OP_CTX_SET, sizeof(*f));
    f->ctx = ctx->o.name;
    f->pad = 0;
    cu.ring->owner = owner;
}

static _Atomic unsigned threads;
static __thread bool counted;

uint32_t cu_alone(void)
{
    return atomic_load_explicit(&threads, memory_order_relaxed) == 1;
}

void cu_not_alone(void)
{
    atomic_fetch_add(&threads, 1);
}

static void count(void)
{
    if (XG_UNLIKELY(!counted)) {
        counted = true;
        atomic_fetch_add(&threads, 1);
    }
}

void *cu_begin_call(struct cu_cmd *c, struct cu_ctx *ctx, uint16_t op, uint32_t payload)
{
    count();
    xg_ring_lock(cu.ring);
    whose(ctx);
    *c = (struct cu_cmd){.call = true};
    return xg_ring_begin_call(cu.ring, op, payload, &c->ticket);
}

void *cu_begin(struct cu_cmd *c, struct cu_ctx *ctx, uint16_t op, uint32_t payload)
{
    if (XG_UNLIKELY(atomic_load_explicit(&cu_host_outstanding, memory_order_relaxed) != 0))
        cu_host_room();
    count();
    xg_ring_lock(cu.ring);
    whose(ctx);
    /* Only ever written under the lock. */
    atomic_store_explicit(&cu.work, atomic_load_explicit(&cu.work, memory_order_relaxed) + 1,
                          memory_order_relaxed);
    *c = (struct cu_cmd){.call = cu.strict};
    return XG_UNLIKELY(c->call) ? xg_ring_begin_call(cu.ring, op, payload, &c->ticket)
                                : xg_ring_begin(cu.ring, op, payload);
}

bool cu_lost(void)
{
    return xg_ring_dead(cu.ring) ||
           atomic_load_explicit(&cu.ring->page->error, memory_order_relaxed) ||
           xg_channel_error(cu.channel);
}

void cu_send(struct cu_cmd *c)
{
    xg_ring_publish(cu.ring);
    xg_ring_unlock(cu.ring);
}

CUresult cu_end(struct cu_cmd *c)
{
    cu_send(c);
    if (XG_UNLIKELY(c->call)) {
        CUresult r = cu_finish(c);
        if (c->took)
            cu_budget_renew();
        return r;
    }
    return XG_UNLIKELY(xg_ring_dead(cu.ring)) ? CU_LOST : CUDA_SUCCESS;
}

void cu_poll(struct cu_cmd *c, bool sleeps)
{
    c->polls = !sleeps && !cu.snap.attribute[CU_DEVICE_ATTRIBUTE_INTEGRATED];
}

CUresult cu_wait_on(struct xg_ring *ring, uint32_t ticket, bool polls, void *reply, uint32_t size)
{
    uint32_t length = 0;
    int status = xg_ring_wait_polling(ring, ticket, reply, size, &length, polls);

    if (status == -ENOSYS)
        return CUDA_ERROR_NOT_SUPPORTED;
    if (status < 0)
        return cu_lost() ? CU_LOST : CUDA_ERROR_UNKNOWN;
    if (length < sizeof(uint32_t))
        return CUDA_ERROR_UNKNOWN;
    if (length < size)
        memset((char *)reply + length, 0, size - length);
    return (CUresult) * (uint32_t *)reply;
}

CUresult cu_wait(struct cu_cmd *c, void *reply, uint32_t size)
{
    return cu_wait_on(cu.ring, c->ticket, c->polls, reply, size);
}

CUresult cu_finish(struct cu_cmd *c)
{
    uint32_t reply[2] = {0};
    CUresult r = cu_wait(c, reply, sizeof(reply));

    if (XG_UNLIKELY(reply[1] == XG_CUDA_REPLY_TEXT) && r != CU_LOST)
        cu_text_told();
    return r;
}
