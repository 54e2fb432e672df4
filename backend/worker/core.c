/* The commands that belong to no API. */
#include "backend/worker/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static bool ring_reached(struct xg_worker_ring *other, uint64_t position)
{
    return atomic_load_explicit(&other->priv->done, memory_order_acquire) >= position;
}

/* Waits until ring R has executed up to position P. A frontend whose rings wait for each other in a
 * circle stops only itself. */
static void op_wait_ring(struct xg_worker_ring *r, struct xg_reader *rd)
{
    const struct xg_op_wait_ring *c = xg_read(rd, sizeof(*c));
    struct xg_worker *w = r->worker;

    if (c->ring >= w->req->geometry.ring_count || c->ring == r->index)
        xg_reader_fail(rd, "waits for a ring that does not exist");
    if (!xg_reader_ok(rd) || ring_reached(&w->rings[c->ring], c->position))
        return;
    xg_worker_show_done(r);
    xg_device_pause(r);
    pthread_mutex_lock(&w->order_lock);
    atomic_fetch_add(&w->order_waiters, 1);
    while (!ring_reached(&w->rings[c->ring], c->position))
        pthread_cond_wait(&w->order_woken, &w->order_lock);
    atomic_fetch_sub(&w->order_waiters, 1);
    pthread_mutex_unlock(&w->order_lock);
    xg_device_resume(r);
}

/* Keeps the device busy; the scheduler's tests use it. */
static void op_burn(struct xg_worker_ring *r, struct xg_reader *rd)
{
    const uint64_t *ns = xg_read(rd, sizeof(*ns));
    uint64_t end = xg_now_ns() + xg_min_u64(*ns, 10000000000u);

    if (!r->worker->req->test_mode)
        xg_reader_fail(rd, "not in test mode");
    while (xg_reader_ok(rd) && xg_now_ns() < end)
        xg_cpu_relax();
    xg_reply(r, r->ticket, 0, NULL, 0);
}

/* Takes memory and never frees it, like a driver that leaks. */
static void op_take(struct xg_worker_ring *r, struct xg_reader *rd)
{
    const uint64_t *bytes = xg_read(rd, sizeof(*bytes));

    if (!r->worker->req->test_mode)
        xg_reader_fail(rd, "not in test mode");
    if (!xg_reader_ok(rd))
        return;
    void *memory = malloc(*bytes);
    if (memory)
        memset(memory, 0x5a, *bytes);
    /* keeps the compiler from dropping the memory */
    __asm__ volatile("" : : "r"(memory) : "memory");
    xg_reply(r, r->ticket, memory ? 0 : -ENOMEM, NULL, 0);
}

void xg_core_dispatch(struct xg_worker_ring *r, uint16_t op, struct xg_reader *rd)
{
    const void *blob;
    uint32_t size;

    switch (op) {
    case XG_OP_NULL: xg_reply(r, r->ticket, 0, NULL, 0); break;
    case XG_OP_WAIT_RING:
        op_wait_ring(r, rd);
        xg_reply(r, r->ticket, 0, NULL, 0);
        break;
    case XG_OP_ECHO:
        blob = xg_read_blob(rd, 0, false, &size);
        if (xg_reader_ok(rd))
            xg_reply(r, r->ticket, 0, blob, size);
        break;
    case XG_OP_BURN: op_burn(r, rd); break;
    case XG_OP_TAKE: op_take(r, rd); break;
    default:
        if (r->ticket)
            xg_reply(r, r->ticket, -ENOSYS, NULL, 0);
        else
            xg_reader_fail(rd, "unknown opcode");
    }
}
