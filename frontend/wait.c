/* Calls, replies, and sleeping. Any number of threads may wait on a ring; one of them sleeps on its
 * event for all. */
#include "frontend/internal.h"
#include "protocol/cond.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

/* How often a sleeping thread checks whether the index page says that the ring is over; normally
 * the socket tells it. */
#define LIVENESS_MS 500

/* Waits that this thread is in: more than one when a signal handler waits inside a wait. */
static __thread unsigned waits_nested;

bool xg_wait_interrupted(void)
{
    return waits_nested > 0;
}

static void private_lock(struct xg_ring_private *p)
{
    pthread_mutex_lock(&p->lock);
    p->held++;
}

static void private_unlock(struct xg_ring_private *p)
{
    p->held--;
    pthread_mutex_unlock(&p->lock);
}

/* Waits until another thread has news, or for `ms`. Under the lock, which must be held once. */
static void private_wait(struct xg_ring_private *p, unsigned ms)
{
    p->held--;
    (void)xg_cond_wait_ns(&p->woken, &p->lock, ms * 1000000ull);
    p->held++;
}

/* --- replies ---------------------------------------------------------------------------------- */

static void slot_deliver(struct xg_call_slot *s, const struct xg_reply *h, const uint8_t *payload)
{
    s->status = h->status;
    s->length = h->length;
    if (s->out) {
        memcpy(s->out, payload, xg_min_u64(h->length, s->out_size));
    } else if (h->length) {
        s->stash = malloc(h->length);
        if (s->stash)
            memcpy(s->stash, payload, h->length);
        else
            s->status = -ENOMEM;
    }
    atomic_store_explicit(&s->state, XG_CALL_DONE,
                          memory_order_release); /* pairs with the acquire of slot_met */
}

static uint64_t replies_taken(const struct xg_ring_private *p)
{
    return atomic_load_explicit(&p->reply_cons, memory_order_relaxed);
}

/* Takes one reply out of the ring, at `cons`. Returns its size; 0: it makes no sense. Under the
 * lock. */
static uint32_t reply_take(struct xg_ring *r, uint64_t cons, uint64_t avail,
                           const struct xg_call_slot *mine, bool *others)
{
    struct xg_ring_private *p = r->priv;
    uint64_t at = cons & p->reply_mask;
    struct xg_reply h;

    memcpy(&h, p->reply + at, sizeof(h));
    if (h.size < sizeof(h) || (h.size & 7) || h.size > avail || h.size > p->reply_mask + 1 - at ||
        h.length > h.size - sizeof(h))
        return 0;
    if (h.ticket != XG_TICKET_PAD) {
        struct xg_call_slot *s = &p->slot[h.ticket % XG_CALL_SLOTS];
        if (s->state != XG_CALL_PENDING || s->ticket != h.ticket)
            return 0;
        slot_deliver(s, &h, p->reply + at + sizeof(h));
        *others |= s != mine;
    }
    return h.size;
}

/* Wakes the thread that sleeps for all, so that it looks again. Another thread may have taken what
 * it waits for, or changed its hold-off word; the backend then has no reason to notify. */
static void sleeper_nudge(struct xg_ring_private *p)
{
    uint64_t one = 1;
    if (p->sleeper && write(p->nudge_fd, &one, sizeof(one)) < 0)
        (void)errno; /* the counter is full: it is about to wake anyway */
}

/* Delivers the replies that have come; `mine` is the caller's own slot, if any. Under the lock. */
static void replies_take(struct xg_ring *r, const struct xg_call_slot *mine)
{
    struct xg_ring_private *p = r->priv;
    bool others = false;
    uint64_t before = replies_taken(p), cons = before;
    uint64_t prod = xg_position_load(&r->page->reply_prod);

    if (prod == before || xg_ring_dead(r))
        return;
    bool good = prod - before <= p->reply_mask + 1;
    while (good && cons < prod) {
        /* a padding reply may have only 8 bytes: there may be no more up to the ring's end */
        uint64_t left = p->reply_mask + 1 - (cons & p->reply_mask);
        uint64_t size =
            left < sizeof(struct xg_reply) ? left : reply_take(r, cons, prod - cons, mine, &others);
        cons += size;
        good = size != 0;
    }
    atomic_store_explicit(&p->reply_cons, cons, memory_order_relaxed);
    if (!good) {
        xg_channel_lost(r->channel, -EPROTO, "the backend sent a reply that makes no sense");
        xg_ring_die(r);
        return;
    }
    if (xg_position_publish(&r->page->reply_cons, before, cons, &r->page->reply_room_event))
        xg_event_notify(&p->event);
    if (others && p->waiters) {
        pthread_cond_broadcast(&p->woken);
        sleeper_nudge(p);
    }
}

/* --- sleeping --------------------------------------------------------------------------------- */

/* Writes the hold-off words for all waiters together. Under the lock; the caller must look at the
 * positions again afterwards. */
static void waiters_arm(struct xg_ring *r)
{
    struct xg_ring_private *p = r->priv;
    uint64_t done = UINT64_MAX, cons = UINT64_MAX;
    bool reply = false;

    for (struct xg_waiter *w = p->waiters; w; w = w->next) {
        done = xg_min_u64(done, w->done);
        cons = xg_min_u64(cons, w->cons);
        reply |= w->slot != NULL;
    }
    if (reply)
        xg_holdoff_set(&r->page->reply_event, replies_taken(p) + 1);
    if (done != UINT64_MAX)
        xg_holdoff_set(&r->page->done_event, done);
    if (cons != UINT64_MAX)
        xg_holdoff_set(&r->page->cons_event, cons);
    xg_holdoff_armed();
}

static void waiter_remove(struct xg_ring_private *p, struct xg_waiter *w)
{
    struct xg_waiter **at = &p->waiters;
    while (*at != w)
        at = &(*at)->next;
    *at = w->next;
}

/* If another thread's update is lost, that does no harm. */
static void spin_adapt(struct xg_ring_private *p, uint64_t slept)
{
    uint64_t ns = atomic_load_explicit(&p->spin_ns, memory_order_relaxed);
    atomic_store_explicit(&p->spin_ns, xg_spin_adapted(ns, slept), memory_order_relaxed);
}

static bool wait_spin(struct xg_ring *r, bool (*met)(struct xg_ring *, void *), void *arg,
                      const struct xg_waiter *w)
{
    struct xg_ring_private *p = r->priv;
    const struct xg_call_slot *mine = w->slot;
    uint64_t ns = xg_max_u64(atomic_load_explicit(&p->spin_ns, memory_order_relaxed), w->poll_ns);
    struct xg_spin s = {0};

    for (;;) {
        if (mine && xg_position_load(&r->page->reply_prod) != replies_taken(p)) {
            private_lock(p);
            replies_take(r, mine);
            private_unlock(p);
        }
        if (met(r, arg))
            return true;
        if (!xg_spin_on(&s, ns) || (xg_spin_looks(&s) && xg_ring_check(r)))
            return false;
    }
}

/* Sleeps until there is an event or a nudge. True: the socket hung up. */
static bool event_poll(struct xg_ring_private *p, int sock)
{
    struct pollfd fds[3] = {{.fd = p->event.wait_fd, .events = POLLIN},
                            {.fd = p->nudge_fd, .events = POLLIN},
                            {.fd = sock, .events = POLLIN}};
    uint64_t count;

    if (poll(fds, XG_ARRAY_LEN(fds), LIVENESS_MS) <= 0)
        return false;
    if (fds[0].revents)
        xg_event_clear(&p->event);
    if (fds[1].revents && read(p->nudge_fd, &count, sizeof(count)) < 0)
        return false;
    return fds[2].revents != 0;
}

/* Sleeps on the event for all waiters of this ring. Under the lock, which it drops meanwhile. */
static void sleep_for_all(struct xg_ring *r)
{
    struct xg_ring_private *p = r->priv;

    p->sleeper = true;
    p->sleeper_thread = pthread_self();
    private_unlock(p);
    if (event_poll(p, r->channel->socket))
        xg_ring_lost(r);
    xg_ring_check(r);
    private_lock(p);
    p->sleeper = false;
    pthread_cond_broadcast(&p->woken);
}

static bool sleeper_other(const struct xg_ring_private *p)
{
    return p->sleeper && !pthread_equal(p->sleeper_thread, pthread_self());
}

void xg_ring_sleep(struct xg_ring *r, bool (*met)(struct xg_ring *, void *), void *arg,
                   struct xg_waiter w)
{
    struct xg_ring_private *p = r->priv;

    if (wait_spin(r, met, arg, &w)) {
        if (!w.poll_ns)
            spin_adapt(p, 0);
        return;
    }
    uint64_t start = xg_now_ns();
    waits_nested++;
    private_lock(p);
    /* a signal handler inside a lock that its own thread holds: no other thread could bring news */
    if (p->held > 1)
        xg_ring_die(r);
    w.next = p->waiters;
    p->waiters = &w;
    for (;;) {
        waiters_arm(r);
        uint64_t asked = replies_taken(p);
        if (w.slot)
            replies_take(r, w.slot);
        if (met(r, arg))
            break;
        if (replies_taken(p) != asked)
            continue; /* other threads' replies were taken: the hold-off words are out of date */
        /* not longer: the sleeping thread may be in a signal handler that never returns */
        if (sleeper_other(p))
            private_wait(p, LIVENESS_MS);
        else
            sleep_for_all(r);
    }
    waiter_remove(p, &w);
    pthread_cond_broadcast(&p->woken); /* another thread must sleep for all now */
    if (p->waiters)
        sleeper_nudge(p); /* the hold-off words were set for this thread too */
    private_unlock(p);
    waits_nested--;
    if (!w.poll_ns)
        spin_adapt(p, xg_now_ns() - start);
}

/* --- calls ------------------------------------------------------------------------------------ */

/* Under p->lock. NULL: all are taken. */
static struct xg_call_slot *slot_take(struct xg_ring_private *p)
{
    for (unsigned i = 0; i < XG_CALL_SLOTS; i++) {
        uint32_t n = p->slot_next++ % XG_CALL_SLOTS;
        struct xg_call_slot *s = &p->slot[n];
        if (s->state == XG_CALL_FREE) {
            if (n == 0)
                p->generation = (p->generation + 1) & 0xffffff;
            s->ticket = ((p->generation + 1) << 8 | n);
            s->state = XG_CALL_PENDING;
            s->out = s->stash = NULL;
            return s;
        }
    }
    return NULL;
}

void *xg_ring_begin_call(struct xg_ring *r, uint16_t op, uint32_t payload, uint32_t *ticket)
{
    struct xg_ring_private *p = r->priv;
    struct xg_call_slot *s;

    private_lock(p);
    while (!(s = slot_take(p))) {
        /* 256 calls are under way: their threads wait, and free their slots as replies come */
        private_wait(p, 1);
    }
    *ticket = s->ticket;
    private_unlock(p);
    if (XG_UNLIKELY(xg_stats_on))
        s->op = op;

    struct xg_ticket *t = xg_ring_begin(r, op, payload + (uint32_t)sizeof(*t));
    s->end = r->prod;
    ((struct xg_frame *)t - 1)->flags = XG_FRAME_CALL;
    t->ticket = *ticket;
    t->reserved = 0;
    return t + 1;
}

static bool slot_met(struct xg_ring *r, void *arg)
{
    struct xg_call_slot *s = arg;
    return xg_ring_dead(r) || atomic_load_explicit(&s->state, memory_order_acquire) == XG_CALL_DONE;
}

int xg_ring_wait(struct xg_ring *r, uint32_t ticket, void *out, uint32_t size, uint32_t *length)
{
    return xg_ring_wait_polling(r, ticket, out, size, length, false);
}

int xg_ring_wait_polling(struct xg_ring *r, uint32_t ticket, void *out, uint32_t size,
                         uint32_t *length, bool polls)
{
    struct xg_ring_private *p = r->priv;
    struct xg_call_slot *s = &p->slot[ticket % XG_CALL_SLOTS];
    uint64_t began = XG_UNLIKELY(xg_stats_on) ? xg_now_ns() : 0;
    int status = -ENODEV;

    private_lock(p);
    s->out = out;
    s->out_size = size;
    replies_take(r, s);
    bool done = s->state == XG_CALL_DONE;
    private_unlock(p);
    if (!done) {
        /* not if another thread has published it: only the thread that emits may read `prod` */
        if (xg_ring_published(r) < s->end)
            xg_ring_publish(r);
        xg_ring_sleep(r, slot_met, s,
                      (struct xg_waiter){
                          .slot = s,
                          .done = UINT64_MAX,
                          .cons = UINT64_MAX,
                          .poll_ns = polls ? xg_poll_long_ns() : 0,
                      });
    }

    private_lock(p);
    if (s->state == XG_CALL_DONE) {
        status = s->status;
        if (length)
            *length = s->length;
        if (s->stash && out)
            memcpy(out, s->stash, xg_min_u64(s->length, size));
    } else if (length) {
        *length = 0;
    }
    if (XG_UNLIKELY(began))
        xg_stats_wait(s->op, xg_now_ns() - began);
    free(s->stash);
    s->stash = NULL;
    s->out = NULL;
    s->state = XG_CALL_FREE;
    private_unlock(p);
    return status;
}
