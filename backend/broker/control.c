/* A guest's control ring, from the broker's side. Each request is copied once, then checked. */
#include "backend/broker/control.h"
#include "backend/broker/starts.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

void xg_control_reset(struct xg_guest *g, const struct xg_control_user *user)
{
    g->control = user;
    g->req_cons = g->msg_prod = 0;
    g->queued = 0;
    xg_timer_disarm(&g->starts_over);
}

/* Moves messages from the queue to the ring as far as there is room. */
static bool messages_push(struct xg_guest *g)
{
    struct xg_control_page *p = g->page;
    unsigned sent = 0;
    uint32_t cons = atomic_load_explicit(&p->msg_cons, memory_order_acquire);
    uint32_t used = g->msg_prod - cons;
    if (used > XG_CONTROL_MESSAGES)
        return false;
    while (sent < g->queued && used + sent < XG_CONTROL_MESSAGES) {
        p->message[g->msg_prod % XG_CONTROL_MESSAGES] = g->queue[sent++];
        g->msg_prod++;
    }
    if (!sent)
        return true;
    g->queued -= sent;
    memmove(g->queue, g->queue + sent, g->queued * sizeof(g->queue[0]));
    atomic_store_explicit(&p->msg_prod, g->msg_prod, memory_order_release);
    g->front->ops->control_notify(g->front);
    return true;
}

static void message_send(struct xg_guest *g, const struct xg_control_message *m)
{
    if (!g->page)
        return;
    /* The queue cannot overflow: there is one message for each channel, and no request is taken
     * while the queue is half full. */
    if (g->queued < XG_MESSAGE_QUEUE)
        g->queue[g->queued++] = *m;
    if (!messages_push(g))
        g->control->broken(g, "the control ring's message index is out of range");
}

void xg_control_reply(struct xg_guest *g, const struct xg_control_request *rq, int status,
                      const char *text)
{
    struct xg_control_message m = {.type = XG_CONTROL_REPLY,
                                   .op = rq->op,
                                   .id = rq->id,
                                   .channel = rq->channel,
                                   .status = status,
                                   .memory_limit = g->memory_limit};
    snprintf(m.text, sizeof(m.text), "%s", text ? text : "");
    message_send(g, &m);
}

void xg_control_closed(struct xg_guest *g, uint32_t channel, uint32_t request)
{
    struct xg_control_request rq = {.op = XG_CONTROL_CLOSE, .id = request, .channel = channel};
    xg_control_reply(g, &rq, 0, NULL);
}

void xg_control_gone(struct xg_guest *g, uint32_t channel, enum xg_ring_error why, const char *text)
{
    struct xg_control_message m = {.type = XG_CONTROL_GONE, .channel = channel, .reason = why};
    snprintf(m.text, sizeof(m.text), "%s", text);
    message_send(g, &m);
}

static void request_serve(struct xg_guest *g, const struct xg_control_request *rq)
{
    if (rq->op == XG_CONTROL_OPEN)
        g->control->open(g, rq);
    else if (rq->op == XG_CONTROL_CLOSE)
        g->control->close(g, rq);
    else
        xg_control_reply(g, rq, -ENOSYS, "unknown request");
}

static void starts_over(struct xg_timer *t)
{
    xg_control_event(xg_container_of(t, struct xg_guest, starts_over));
}

/* A request that has to wait stays in the ring, and so does what is behind it. */
static bool request_waits(struct xg_guest *g, const struct xg_control_request *rq)
{
    uint64_t wait = rq->op == XG_CONTROL_OPEN ? xg_starts_wait(g) : 0;
    if (wait && !g->starts_over.armed)
        xg_timer_arm(&g->starts_over, wait, starts_over);
    return wait;
}

/* Requests that the guest cannot pay for now wait in its ring. */
void xg_control_event(struct xg_guest *g)
{
    bool taken = false;
    if (g->page && !messages_push(g)) {
        g->control->broken(g, "the control ring's message index is out of range");
        return;
    }
    while (g->page && g->state == XG_XENBUS_CONNECTED && !xg_meter_spent(&g->front->meter) &&
           g->queued < XG_CHANNELS_MAX / 2) {
        uint32_t ready =
            atomic_load_explicit(&g->page->req_prod, memory_order_acquire) - g->req_cons;
        if (!ready)
            break;
        if (ready > XG_CONTROL_REQUESTS) {
            g->control->broken(g, "the control ring's request index is out of range");
            return;
        }
        struct xg_control_request rq = g->page->request[g->req_cons % XG_CONTROL_REQUESTS];
        __asm__ volatile("" ::: "memory"); /* the copy is what is looked at from here on */
        if (request_waits(g, &rq))
            break;
        atomic_store_explicit(&g->page->req_cons, ++g->req_cons, memory_order_release);
        taken = true;
        request_serve(g, &rq);
        xg_meter_pay(&g->front->meter);
    }
    if (taken && g->page)
        g->front->ops->control_notify(g->front);
}
