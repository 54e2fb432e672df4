/* The producer's half of the reply ring. Replies may come from any thread of the worker. */
#include "backend/worker/internal.h"

#include <errno.h>

uint32_t xg_reply_max(const struct xg_worker_ring *r)
{
    return (uint32_t)(r->priv->reply_bytes / 4) - (uint32_t)sizeof(struct xg_reply);
}

static bool reply_room(struct xg_worker_ring *r, uint64_t need)
{
    struct xg_worker_ring_private *p = r->priv;
    if (p->reply_prod + need - p->reply_cons <= p->reply_bytes)
        return true;
    p->reply_cons = xg_position_load(&r->page->reply_cons);
    if (p->reply_prod - p->reply_cons > p->reply_bytes)
        xg_worker_fail(r, "reply_cons makes no sense");
    return p->reply_prod + need - p->reply_cons <= p->reply_bytes;
}

/* An application that does not read its replies stops only its own ring. */
static void room_wait(struct xg_worker_ring *r, uint64_t need)
{
    struct xg_worker_ring_private *p = r->priv;
    struct xg_spin s = {0};

    do
        if (reply_room(r, need))
            return;
    while (xg_spin_on(&s, XG_SPIN_MIN_NS));
    unsigned wakes = 0;
    xg_device_pause(r);
    for (;;) {
        xg_holdoff_set(&r->page->reply_room_event, p->reply_prod + need - p->reply_bytes);
        xg_holdoff_armed();
        if (reply_room(r, need))
            break;
        /* when another thread waits here, the ring's own thread may take the event */
        if (xg_event_wait(&p->event, -1, 2000000) == 1 && !reply_room(r, need))
            xg_worker_storm(&wakes);
    }
    xg_device_resume(r);
}

void xg_reply(struct xg_worker_ring *r, uint32_t ticket, int status, const void *data,
              uint32_t size)
{
    struct xg_worker_ring_private *p = r->priv;
    uint32_t total = (uint32_t)xg_align_up(sizeof(struct xg_reply) + size, 8);

    if (ticket == 0)
        return;
    if (size > xg_reply_max(r)) {
        status = -EMSGSIZE;
        size = 0;
        total = sizeof(struct xg_reply);
    }
    pthread_mutex_lock(&p->reply_lock);
    uint64_t before = p->reply_prod;
    uint64_t at = before & (p->reply_bytes - 1), left = p->reply_bytes - at;
    uint64_t pad = left < total ? left : 0;
    room_wait(r, pad + total);
    if (pad >= sizeof(struct xg_reply)) {
        struct xg_reply *h = (struct xg_reply *)(p->reply + at);
        *h = (struct xg_reply){.ticket = XG_TICKET_PAD, .size = (uint32_t)pad};
    }
    struct xg_reply *h = (struct xg_reply *)(p->reply + ((before + pad) & (p->reply_bytes - 1)));
    *h = (struct xg_reply){.ticket = ticket, .size = total, .status = status, .length = size};
    if (size)
        memcpy(h + 1, data, size);
    p->reply_prod = before + pad + total;
    bool notify =
        xg_position_publish(&r->page->reply_prod, before, p->reply_prod, &r->page->reply_event);
    pthread_mutex_unlock(&p->reply_lock);
    if (notify)
        xg_event_notify(&p->event);
    xg_sched_count(r->worker->sched, notify ? XG_COUNT_NOTIFY_SENT : XG_COUNT_NOTIFY_SUPPRESSED, 1);
    xg_sched_count(r->worker->sched, XG_COUNT_REPLY_BYTES, pad + total);
}
