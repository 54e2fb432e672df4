/* The producer's half of the command ring. */
#include "frontend/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

int xg_ring_setup(struct xg_channel *ch, uint32_t index, const struct xg_event *event)
{
    struct xg_ring *r = &ch->rings[index];
    struct xg_ring_private *p = calloc(1, sizeof(*p));
    uint8_t *at = ch->base + xg_geometry_ring_offset(&ch->geometry, index);

    if (!p)
        return -ENOMEM;
    r->priv = p;
    r->channel = ch;
    r->index = index;
    r->page = (struct xg_ring_page *)at;
    r->cmd = at + XG_PAGE_SIZE;
    r->mask = ((uint64_t)XG_PAGE_SIZE << ch->geometry.cmd_order) - 1;
    r->limit = r->mask + 1;
    r->frame_max = xg_frame_max(r->mask + 1);
    atomic_init(&r->dead, event == NULL);
    p->reply = r->cmd + r->mask + 1;
    p->reply_mask = ((uint64_t)XG_PAGE_SIZE << ch->geometry.reply_order) - 1;
    p->spin_ns = XG_SPIN_FIRST_NS;
    p->nudge_fd = -1;
    if (event) {
        p->event = *event;
        p->nudge_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (p->nudge_fd < 0)
            return -errno;
    }
    xg_lock_init(&r->lock);
    xg_lock_init(&p->lock);
    pthread_cond_init(&p->woken, NULL);
    return 0;
}

static const char *loss_text(uint32_t error)
{
    switch (error) {
    case XG_RING_PROTOCOL: return "protocol error, see the host's log";
    case XG_RING_LOST: return "its worker on the host died, or was stopped";
    case XG_RING_DEVICE: return "the host cannot use its device, see its log";
    case XG_RING_CLOSED: return "the guest's device was detached, or its daemon or agent ended";
    case XG_RING_MEMORY:
        return "its worker used more host memory than this guest may (host-memory)";
    case XG_RING_RESUMED: return "this guest was restored or migrated";
    default: return "the guest agent closed the channel";
    }
}

/* The agent or the worker writes the reason into the page before it closes the socket. */
void xg_ring_lost(struct xg_ring *r)
{
    uint32_t e = atomic_load_explicit(&r->page->error, memory_order_relaxed);
    xg_channel_lost(r->channel, -EPIPE, loss_text(e));
}

bool xg_ring_check(struct xg_ring *r)
{
    if (!xg_ring_dead(r)) {
        if (atomic_load_explicit(&r->page->error, memory_order_relaxed))
            xg_ring_lost(r);
        if (atomic_load_explicit(&r->channel->error, memory_order_relaxed))
            xg_ring_die(r);
    }
    return xg_ring_dead(r);
}

void xg_ring_publish_to(struct xg_ring *r, uint64_t position)
{
    uint64_t before = xg_ring_published(r);

    if (position == before)
        return;
    atomic_store_explicit(&r->published, position, memory_order_relaxed);
    if (xg_ring_dead(r))
        return;
    if (xg_position_publish(&r->page->cmd_prod, before, position, &r->page->cmd_event))
        xg_event_notify(&r->priv->event);
}

void xg_ring_publish(struct xg_ring *r)
{
    if (r->priv->unresolved)
        xg_stage_resolve(r, r->prod);
    xg_ring_publish_to(r, r->prod);
}

/* --- room ------------------------------------------------------------------------------------- */

static uint64_t ring_cons(struct xg_ring *r)
{
    uint64_t cons = xg_position_load(&r->page->cmd_cons), shown = xg_ring_published(r);
    if (XG_UNLIKELY(cons > shown)) { /* the backend cannot have read what was not published */
        xg_channel_lost(r->channel, -EPROTO, "the backend consumed more than was sent");
        xg_ring_die(r);
        return shown;
    }
    return cons;
}

static bool room_met(struct xg_ring *r, void *arg)
{
    return xg_ring_dead(r) || ring_cons(r) >= *(uint64_t *)arg;
}

/* Waits until `need` bytes can follow r->prod. */
static void ring_make_room(struct xg_ring *r, uint64_t need)
{
    uint64_t bytes = r->mask + 1;
    uint64_t want = r->prod + need - bytes; /* cmd_cons must reach this */

    if (xg_ring_dead(r) || r->prod + need <= bytes) {
        r->limit = xg_ring_dead(r) ? r->prod + need + bytes : bytes;
        return;
    }
    if ((int64_t)(ring_cons(r) - want) < 0) {
        uint64_t began = XG_UNLIKELY(xg_stats_on) ? xg_now_ns() : 0;
        xg_ring_publish(r);
        xg_ring_sleep(r, room_met, &want, (struct xg_waiter){.done = UINT64_MAX, .cons = want});
        if (XG_UNLIKELY(began))
            xg_stats_wait(XG_STATS_ROOM, xg_now_ns() - began);
    }
    r->limit = xg_ring_dead(r) ? r->prod + need + bytes : ring_cons(r) + bytes;
}

void xg_ring_reserve(struct xg_ring *r, uint32_t size)
{
    uint64_t at = r->prod & r->mask;
    uint64_t pad = at + size > r->mask + 1 ? r->mask + 1 - at : 0;

    xg_ring_check(r);
    if (r->prod + pad + size > r->limit)
        ring_make_room(r, pad + size);
    if (pad) {
        struct xg_frame *f = (struct xg_frame *)(r->cmd + at);
        f->op = XG_OP_PAD;
        f->flags = 0;
        f->size = (uint32_t)pad;
        r->prod += pad;
    }
}

/* --- progress --------------------------------------------------------------------------------- */

static uint64_t ring_done(struct xg_ring *r)
{
    return xg_position_load(&r->page->cmd_done);
}

bool xg_ring_done(struct xg_ring *r, uint64_t position)
{
    return xg_ring_dead(r) || ring_done(r) >= position;
}

static bool done_met(struct xg_ring *r, void *arg)
{
    return xg_ring_dead(r) || ring_done(r) >= *(uint64_t *)arg;
}

int xg_ring_wait_done(struct xg_ring *r, uint64_t position)
{
    if (!done_met(r, &position)) {
        uint64_t began = XG_UNLIKELY(xg_stats_on) ? xg_now_ns() : 0;
        if (xg_ring_published(r) < position)
            xg_ring_publish(r);
        xg_ring_sleep(r, done_met, &position,
                      (struct xg_waiter){.done = position, .cons = UINT64_MAX});
        if (XG_UNLIKELY(began))
            xg_stats_wait(XG_STATS_POSITION, xg_now_ns() - began);
    }
    return xg_ring_dead(r) ? -ENODEV : 0;
}

void xg_ring_after(struct xg_ring *r, struct xg_ring *other, uint64_t position)
{
    if (r == other || xg_ring_done(other, position))
        return;
    struct xg_op_wait_ring *w = xg_ring_begin(r, XG_OP_WAIT_RING, sizeof(*w));
    w->ring = other->index;
    w->reserved = 0;
    w->position = position;
    xg_ring_end(r);
}

uint32_t xg_ring_word(struct xg_ring *r, unsigned i)
{
    return i < XG_ARRAY_LEN(r->page->word)
               ? atomic_load_explicit(&r->page->word[i], memory_order_acquire)
               : 0;
}
