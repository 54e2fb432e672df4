/* Commands and calls on ring 0. */
#include "cuda/send.h"

#include <errno.h>

/* Whose frames came last; serials are never used again, so a freed context cannot be mistaken for a
 * new one. */
static void context_tell(struct cu_ctx *ctx)
{
    void *owner = ctx ? (void *)(uintptr_t)ctx->api.id : NULL;

    if (XG_LIKELY(cu.ring->owner == owner) || !ctx)
        return;
    struct cu_cmd c = {.ring = cu.ring};
    cu_put_ctx_set(&c, &(struct xg_cuda_ctx_set){.ctx = ctx->name});
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

static void commands_count(void)
{
    if (XG_UNLIKELY(!counted)) {
        counted = true;
        atomic_fetch_add(&threads, 1);
    }
}

void cu_begin_on(struct cu_cmd *c, struct xg_ring *ring)
{
    xg_ring_lock(ring);
    *c = (struct cu_cmd){.ring = ring};
}

void cu_begin_call(struct cu_cmd *c, struct cu_ctx *ctx)
{
    commands_count();
    cu_begin_on(c, cu.ring);
    context_tell(ctx);
    c->call = true;
}

void cu_begin(struct cu_cmd *c, struct cu_ctx *ctx)
{
    if (XG_UNLIKELY(atomic_load_explicit(&cu_host_outstanding, memory_order_relaxed) != 0))
        cu_host_room();
    commands_count();
    cu_begin_on(c, cu.ring);
    context_tell(ctx);
    /* Only ever written under the lock. */
    atomic_store_explicit(&cu.work, atomic_load_explicit(&cu.work, memory_order_relaxed) + 1,
                          memory_order_relaxed);
    c->call = cu.strict;
}

bool cu_lost(void)
{
    return xg_ring_dead(cu.ring) ||
           atomic_load_explicit(&cu.ring->page->error, memory_order_relaxed) ||
           xg_channel_error(cu.channel);
}

void cu_send(struct cu_cmd *c)
{
    xg_ring_publish(c->ring);
    xg_ring_unlock(c->ring);
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
    return XG_UNLIKELY(xg_ring_dead(c->ring)) ? CU_LOST : CUDA_SUCCESS;
}

void cu_poll(struct cu_cmd *c, bool sleeps)
{
    c->polls = !sleeps && !cu.snap.attribute[CU_DEVICE_ATTRIBUTE_INTEGRATED];
}

CUresult cu_wait(struct cu_cmd *c, void *reply, uint32_t size)
{
    uint32_t length = 0;
    int status = xg_ring_wait_polling(c->ring, c->ticket, reply, size, &length, c->polls);

    if (status < 0)
        length = 0;
    if (length < size)
        memset((char *)reply + length, 0, size - length);
    if (status == -ENOSYS)
        return CUDA_ERROR_NOT_SUPPORTED;
    if (status < 0)
        return cu_lost() ? CU_LOST : CUDA_ERROR_UNKNOWN;
    return length < sizeof(uint32_t) ? CUDA_ERROR_UNKNOWN : (CUresult) * (uint32_t *)reply;
}

CUresult cu_finish(struct cu_cmd *c)
{
    struct xg_cuda_result reply;
    CUresult r = cu_wait(c, &reply, sizeof(reply));

    if (XG_UNLIKELY(reply.text == XG_CUDA_REPLY_TEXT) && r != CU_LOST)
        cu_text_told();
    return r;
}
