#include "backend/sched/core.h"

#include <string.h>

#define STUCK_NS 10000000000u
/* A worker that does not give the device back, but hardly uses it or reports progress, has this
 * many times as long: it may wait for a processor, be stopped, or have much in flight. */
#define STUCK_WALL 10u
/* How long a worker that can be stopped has to give the device back by itself. */
#define SUSPEND_NS 5000000u
/* A worker is checked this long after it was asked, and then no more often than that. */
#define STUCK_LOOK_NS 50000000u
/* A guest that was away for a shorter time than SHORT_NS keeps the virtual time by which it was
 * behind, up to CREDIT quanta: others were given the device while it had work. For what others were
 * given while it was away, it has a credit of its own part of the last AWAY quanta, and no more: at
 * that time it waited for its application. */
#define SHORT_NS 100000000u
#define CREDIT   250u
#define AWAY     10u
/* The device is kept for an idle holder that usually comes back within this time. */
#define GAP_KEPT_NS 700000u
#define GAPS_MOST   4ull
#define WAIT_MIN_NS 200000u
#define WAIT_MAX_NS 1000000u
/* The device is also kept for an idle holder that is behind, when the guest that waits has long
 * kernels and so would give the device back late. It is kept for 1/LATE_PART of that delay, up to
 * LATE_MAX_NS. A holder whose usual pause is longer than LATE_GAP_NS is not waited for: only a
 * single long pause is. */
#define LATE_PART   8u
#define LATE_MAX_NS 32000000u
#define LATE_GAP_NS 2000000u
/* If workers of the waiting guest were stopped lately, the device is kept for that whole delay,
 * provided that the holder's usual pause is four times shorter. */
#define STOPPED_GAPS   4u
#define STOPPED_MAX_NS 2000000000u
#define CLAIM_MAX_NS   60000000000u
/* A guest whose worker was stopped more often than once in this time waits longer each time. */
#define STOPS_NS  600000000000u
#define STOPS_MAX 6u
/* How long a guest that is granted the device has to wake up. */
#define WAKE_NS    5000000u
#define ROUNDS_MAX 100u

static uint64_t to_virtual(const struct xg_core_guest *g, uint64_t ns)
{
    return (ns << XG_CORE_SHIFT) / g->weight_now;
}

static uint64_t to_real(const struct xg_core_guest *g, uint64_t v)
{
    return (v * g->weight_now) >> XG_CORE_SHIFT;
}

/* --- what the workers say --------------------------------------------------------------------- */

#define EACH_SLOT(g, s)                                                                            \
    for (uint64_t left_ = (g)->slots; left_; left_ &= left_ - 1)                                   \
        for (struct xg_sched_slot *s = &(g)->page->slot[__builtin_ctzll(left_)]; s; s = NULL)

static uint64_t users_of(const struct xg_core_guest *g)
{
    uint64_t which = 0;
    EACH_SLOT(g, s)
    {
        if (atomic_load(&s->users))
            which |= 1ull << (s - g->page->slot);
    }
    return which & ~g->suspended;
}

static bool wanted_by(const struct xg_core_guest *g)
{
    EACH_SLOT(g, s)
    {
        if (atomic_load(&s->wanters))
            return true;
    }
    return g->suspended;
}

static uint64_t busy_of(const struct xg_core_guest *g, uint64_t now)
{
    uint64_t busy = 0, still = 0;
    EACH_SLOT(g, s)
    {
        uint64_t since = atomic_load_explicit(&s->busy_since, memory_order_relaxed);
        busy += atomic_load_explicit(&s->busy_ns, memory_order_relaxed);
        if (atomic_load_explicit(&s->users, memory_order_relaxed) && since && since < now)
            busy += now - since;
        still += xg_core_slot_suspended(g, (uint32_t)(s - g->page->slot), now);
    }
    return busy - xg_min_u64(still, busy);
}

static uint64_t idle_since(const struct xg_sched_slot *s)
{
    return atomic_load_explicit(&s->idle_since, memory_order_relaxed);
}

/* When the last worker stopped using the device, and how soon some worker usually comes back: the
 * first of sixteen workers comes sooner than one worker alone. */
static uint64_t idle_of(const struct xg_core_guest *g, uint64_t now, uint32_t *gap)
{
    uint64_t last = 0;
    double rate = 0;
    EACH_SLOT(g, s)
    {
        last = xg_max_u64(last, idle_since(s));
    }
    EACH_SLOT(g, s)
    {
        uint64_t idle = idle_since(s);
        uint32_t each = atomic_load_explicit(&s->gap_ns, memory_order_relaxed);
        /* a worker that is away for much longer than usual may not come back at all */
        if (idle && (idle == last || idle + GAPS_MOST * each >= now))
            rate += 1.0 / xg_max_u64(each, 1);
    }
    *gap = rate ? (uint32_t)(1 / rate) : UINT32_MAX;
    return last;
}

/* --- what the workers are told ---------------------------------------------------------------- */

static void grant_set(struct xg_core *c, struct xg_core_guest *g, uint32_t flags)
{
    if (flags & XG_GRANT_HELD && g->suspended)
        flags |= XG_GRANT_KICK; /* when others are done those that are stopped go on */
    uint32_t old = g->grant & (XG_GRANT_SEQUENCE - 1);
    if (old == flags)
        return;
    g->grant = (g->grant & ~(XG_GRANT_SEQUENCE - 1)) + XG_GRANT_SEQUENCE + flags;
    /* A full barrier before `users` is read; pairs with the one in the client's user_add and
     * release. */
    atomic_store(&g->page->grant, g->grant);
    atomic_thread_fence(memory_order_seq_cst);
    if (flags & XG_GRANT_HELD && !(old & XG_GRANT_HELD))
        c->wake(g->page);
}

/* --- charging --------------------------------------------------------------------------------- */

/* While others wait, the holder pays for all the time that it has the device, used or not, by the
 * scheduler's clock. When nobody waits, unused time costs nobody anything, and the workers' own
 * account of it is good enough. */
void xg_core_charge(struct xg_core *c, uint64_t now)
{
    struct xg_core_guest *h = c->holder;
    if (!h || now <= c->charged_at)
        return;
    uint64_t elapsed = now - c->charged_at, busy = busy_of(h, now), used = elapsed;
    if (!c->contended)
        used = busy > h->busy_seen ? xg_min_u64(busy - h->busy_seen, elapsed) : 0;
    h->busy_seen = busy;
    h->device_ns += used;
    h->vtime += to_virtual(h, used);
    xg_core_spend(h, used);
    h->claim -= xg_min_u64(h->claim, to_virtual(h, used));
    c->charged_at = now;
}

/* --- who wants the device --------------------------------------------------------------------- */

static uint64_t weight_active(const struct xg_core *c)
{
    uint64_t sum = 0;
    for (const struct xg_core_guest *g = c->guests; g; g = g->next)
        sum += g->active ? g->weight_now : 0;
    return sum;
}

static void guest_activate(struct xg_core *c, struct xg_core_guest *g, uint64_t now)
{
    uint64_t start = c->vclock;
    if (g->grants && now - g->left_at < SHORT_NS) {
        /* counted for a guest of little weight: the others may have been given that much
         * meanwhile */
        uint64_t quantum = xg_core_quantum(c) << XG_CORE_SHIFT;
        uint64_t most = CREDIT * quantum / xg_min_u64(g->weight_now, XG_WEIGHT_DEFAULT);
        uint64_t away = AWAY * quantum / (weight_active(c) + g->weight_now);
        uint64_t credit = xg_min_u64(most, xg_max_u64(g->lag, away));
        start = start > credit ? start - credit : 0;
    }
    g->vtime = xg_max_u64(g->vtime, start);
    g->active = true;
}

/* By how much virtual time it is behind the others at this moment. */
static uint64_t lag_of(const struct xg_core *c, const struct xg_core_guest *g)
{
    uint64_t least = UINT64_MAX;
    for (const struct xg_core_guest *o = c->guests; o; o = o->next)
        if (o != g && o->active)
            least = xg_min_u64(least, o->vtime);
    return least != UINT64_MAX && least > g->vtime ? least - g->vtime : 0;
}

/* Whether it still has a claim: others kept the device while it waited, and it has been away for a
 * shorter time than that. */
static bool guest_claims(struct xg_core_guest *g, uint64_t now)
{
    if (!g->active && now - g->left_at > xg_max_u64(SHORT_NS, to_real(g, g->claim)))
        g->claim = 0;
    return g->claim != 0;
}

/* Called before guests are marked as inactive: what they ran since the last look counts too. */
static void vclock_advance(struct xg_core *c, uint64_t now)
{
    uint64_t least = UINT64_MAX;
    for (struct xg_core_guest *g = c->guests; g; g = g->next)
        if (g->active || guest_claims(g, now))
            least = xg_min_u64(least, g->vtime);
    if (least != UINT64_MAX)
        c->vclock = xg_max_u64(c->vclock, least);
}

/* Looks at every guest. Of those that wait and may have the device, returns the one with the
 * smallest virtual time. */
static struct xg_core_guest *guests_look(struct xg_core *c, uint64_t now)
{
    struct xg_core_guest *best = NULL;
    vclock_advance(c, now);
    for (struct xg_core_guest *g = c->guests; g; g = g->next) {
        bool wants = wanted_by(g), waits = wants && !xg_core_spent(c, g, now);
        bool uses = g == c->holder && users_of(g);
        if (wants && !g->wants)
            g->want_at = now;
        g->wants = wants;
        g->waits = waits && g != c->holder;
        if ((waits || uses) && !g->active)
            guest_activate(c, g, now);
        else if (!waits && !uses && g->active) {
            g->lag = lag_of(c, g);
            g->active = false;
            g->left_at = now;
        }
        if (g->waits && (!best || g->vtime < best->vtime))
            best = g;
    }
    return best;
}

/* When the first guest whose budget is spent may have the device again. */
static uint64_t ready_next(const struct xg_core *c, uint64_t now)
{
    uint64_t next = UINT64_MAX;
    for (const struct xg_core_guest *g = c->guests; g; g = g->next)
        if (g->wants && g->spent && g != c->holder)
            next = xg_min_u64(next, xg_core_ready_at(c, g, now));
    return next;
}

/* --- stopping workers ------------------------------------------------------------------------- */

/* Stops the workers of the holder that still use the device after it was asked to give it back.
 * Returns those that could not be stopped. */
static uint64_t users_suspend(struct xg_core *c, uint64_t now)
{
    struct xg_core_guest *h = c->holder;
    uint64_t users = users_of(h), done;
    if (!users || !c->suspend || c->config.no_preempt || now < c->asked_at + SUSPEND_NS)
        return users;
    done = c->suspend(c, h, users) & users;
    h->suspended |= done;
    for (uint64_t left = done; left; left &= left - 1)
        h->suspended_at[__builtin_ctzll(left)] = now;
    return users & ~done;
}

/* When users_suspend is to be called next: some that it could not stop yet may be stopped later.
 * UINT64_MAX: never. */
static uint64_t suspend_next(const struct xg_core *c, uint64_t now)
{
    uint64_t at = c->asked_at + SUSPEND_NS;
    if (!c->suspend || c->config.no_preempt)
        return UINT64_MAX;
    return now < at ? at : now + STUCK_LOOK_NS;
}

static void suspended_over(struct xg_core_guest *g, uint32_t slot, uint64_t now)
{
    g->suspended &= ~(1ull << slot);
    g->suspended_ns[slot] += now - g->suspended_at[slot];
}

/* The next of those that were stopped, in turn. */
static uint32_t suspended_next(struct xg_core_guest *g)
{
    uint64_t after = g->suspended & ~(UINT64_MAX >> (XG_SCHED_SLOTS - 1 - g->resumed_last));
    return g->resumed_last = (uint32_t)__builtin_ctzll(after ? after : g->suspended);
}

/* While others wait, or may be back at any moment, no more than can run go on: a crowd that the
 * guest has stopped in the middle of its work would keep the others' own processes from the
 * processors, too. */
static void users_resume(struct xg_core *c, struct xg_core_guest *g, bool few, uint64_t now)
{
    unsigned most = few && c->processors ? c->processors : XG_SCHED_SLOTS;
    uint64_t slots = 0;
    if (XG_LIKELY(!g->suspended))
        return;
    for (unsigned n = (unsigned)__builtin_popcountll(users_of(g)); n < most && g->suspended; n++) {
        uint32_t slot = suspended_next(g);
        suspended_over(g, slot, now);
        slots |= 1ull << slot;
    }
    if (slots)
        c->resume(c, g, slots);
}

uint64_t xg_core_slot_suspended(const struct xg_core_guest *g, uint32_t slot, uint64_t now)
{
    bool still = g->suspended & 1ull << slot && now > g->suspended_at[slot];
    return g->suspended_ns[slot] + (still ? now - g->suspended_at[slot] : 0);
}

/* --- holding the device ----------------------------------------------------------------------- */

/* Until when another guest may come back at any moment, so that the holder must not have much in
 * flight; 0: no other guest may. `able`: those that want the device and may not have it now, since
 * their budget is spent, are left out. */
static uint64_t others_until(const struct xg_core *c, uint64_t now, bool able)
{
    uint64_t until = 0;
    for (const struct xg_core_guest *g = c->guests; g; g = g->next)
        if (g != c->holder && g->grants && !(able && g->wants && !g->waits))
            until = xg_max_u64(until, (g->wants ? now : g->left_at) + SHORT_NS);
    return until > now ? until : 0;
}

static void device_give(struct xg_core *c, struct xg_core_guest *g, uint64_t now, bool contended)
{
    c->holder = g;
    c->held_at = c->charged_at = now;
    c->contended = contended;
    c->asked = false;
    g->busy_seen = busy_of(g, now);
    g->wait_ns += now > g->want_at ? now - g->want_at : 0;
    g->want_at = now;
    g->grants++;
    users_resume(c, g, contended || others_until(c, now, true), now);
    grant_set(c, g, XG_GRANT_HELD | (contended ? XG_GRANT_KICK | XG_GRANT_CONTENDED : 0));
}

/* The holder gives back the device that it was asked for: notes how late that is. */
static void late_note(struct xg_core *c, uint64_t now)
{
    struct xg_core_guest *h = c->holder;
    uint64_t late = now - c->asked_at;
    h->late_ns = xg_max_u64(late, h->late_ns - h->late_ns / 8);
    for (struct xg_core_guest *g = c->guests; g; g = g->next)
        if (g != h && g->waits)
            g->claim = xg_min_u64(g->claim + to_virtual(h, late), to_virtual(g, CLAIM_MAX_NS));
}

static void device_take(struct xg_core *c, uint64_t now)
{
    struct xg_core_guest *h = c->holder;
    if (c->asked && !c->asked_alone)
        late_note(c, now);
    grant_set(c, h, 0);
    c->holder = NULL;
    c->asked = false;
    h->want_at = now;
}

/* `alone`: the holder is asked because its budget is spent, and no other guest waits for the
 * device. */
static void device_ask(struct xg_core *c, uint64_t now, bool alone)
{
    if (!c->asked || (c->asked_alone && !alone)) {
        c->asked = true;
        c->asked_alone = alone;
        c->watched = c->told = 0;
        c->asked_at = now;
    }
    grant_set(c, c->holder, XG_GRANT_YIELD | XG_GRANT_KICK | XG_GRANT_CONTENDED);
}

/* When the holder will be a quantum ahead of `best`. */
static uint64_t turn_end(const struct xg_core *c, const struct xg_core_guest *best, uint64_t now)
{
    const struct xg_core_guest *h = c->holder;
    uint64_t until = best->vtime + to_virtual(h, xg_core_quantum(c));
    /* rounded up: otherwise its virtual time would never reach `until` */
    uint64_t end = h->vtime < until ? now + to_real(h, until - h->vtime) + 1 : now;
    return xg_max_u64(end, c->held_at + xg_core_quantum(c) / 8);
}

static bool lately_stopped(const struct xg_core_guest *g, uint64_t now)
{
    return g->stops && now - g->stopped_at <= STOPS_NS;
}

/* No worker of the holder uses the device at the moment. Returns until when the device is kept for
 * the holder while `best` waits. The holder pays for that time. */
static uint64_t idle_end(const struct xg_core *c, const struct xg_core_guest *best, uint64_t now)
{
    const struct xg_core_guest *h = c->holder;
    uint32_t gap;
    uint64_t idle = idle_of(h, now, &gap);
    if (h->wants)
        return c->held_at + WAKE_NS;
    uint64_t late = 0, patience = 0;
    if (!idle || !h->slots)
        return now;
    if (h->vtime < best->vtime)
        late = xg_min_u64(best->late_ns / LATE_PART, LATE_MAX_NS);
    if (gap <= xg_max_u64(GAP_KEPT_NS, xg_min_u64(late / 2, LATE_GAP_NS)))
        patience = xg_max_u64(late, xg_max_u64(xg_min_u64(4ull * gap, WAIT_MAX_NS), WAIT_MIN_NS));
    if (lately_stopped(best, now) && best->late_ns / STOPPED_GAPS > gap)
        patience = xg_max_u64(patience, xg_min_u64(best->late_ns, STOPPED_MAX_NS));
    return xg_min_u64(idle, now) + patience;
}

/* How long a worker of the holder has used the device since the holder was asked, or since the
 * worker's last progress. Threads that run at once may use more processor time than time passes;
 * then the time that passed counts. */
static uint64_t used_since(struct xg_core *c, uint32_t slot, uint64_t now)
{
    struct xg_core_guest *h = c->holder;
    uint64_t used = c->used ? c->used(c, h, slot) : XG_CORE_UNKNOWN;
    uint32_t progress = atomic_load_explicit(&h->page->slot[slot].progress, memory_order_relaxed);
    bool watched = c->watched & 1ull << slot;
    if (!watched || progress != h->progress_at[slot]) {
        c->watched |= 1ull << slot;
        h->progress_at[slot] = progress;
        h->since_at[slot] = watched ? now : c->asked_at;
        h->used_at[slot] = used;
    }
    uint64_t passed = now - h->since_at[slot];
    if (used == XG_CORE_UNKNOWN || h->used_at[slot] == XG_CORE_UNKNOWN)
        return passed;
    return xg_min_u64(used - xg_min_u64(used, h->used_at[slot]), passed);
}

/* The device time that it used is charged like any other. If it is stopped again soon, more is
 * added. */
static void stop_note(struct xg_core_guest *g, uint64_t limit, uint64_t now)
{
    if (!lately_stopped(g, now))
        g->stops = 0;
    g->vtime += to_virtual(g, limit * g->stops);
    g->stops = g->stops < STOPS_MAX ? g->stops + 1 : STOPS_MAX;
    g->stopped_at = now;
}

/* Reports the users that are stuck; returns when to look again. */
static uint64_t stuck_look(struct xg_core *c, uint64_t users, uint64_t now)
{
    uint64_t limit = c->config.stuck_ns ? c->config.stuck_ns : STUCK_NS, stuck = 0;
    uint64_t end = c->asked_at + STUCK_WALL * limit, next = UINT64_MAX;
    if (now < c->asked_at + STUCK_LOOK_NS) /* usually the device is given back long before */
        return c->asked_at + xg_min_u64(STUCK_LOOK_NS, limit);
    for (uint64_t left = users & ~c->told; left; left &= left - 1) {
        uint32_t slot = (uint32_t)__builtin_ctzll(left);
        uint64_t used = used_since(c, slot, now);
        if (used >= limit || now >= end)
            stuck |= 1ull << slot;
        else
            next = xg_min_u64(next, now + xg_max_u64(limit - used, STUCK_LOOK_NS));
    }
    c->told |= stuck;
    if (stuck) {
        stop_note(c->holder, limit, now);
        c->stuck(c, c->holder, stuck);
    }
    return next == UINT64_MAX ? next : xg_min_u64(next, xg_max_u64(end, now + 1));
}

/* The holder, while `best` waits. Returns until when the holder goes on; 0: it has lost the
 * device. */
static uint64_t holder_press(struct xg_core *c, struct xg_core_guest *best, uint64_t now)
{
    uint64_t end = 0;
    c->contended = true;
    if (!c->asked) {
        grant_set(c, c->holder, XG_GRANT_HELD | XG_GRANT_KICK | XG_GRANT_CONTENDED);
        users_resume(c, c->holder, true, now);
        end = xg_min_u64(turn_end(c, best, now), xg_core_spent_at(c->holder, now));
        if (xg_core_spent(c, c->holder, now))
            end = now;
        if (!users_of(c->holder))
            end = xg_min_u64(end, idle_end(c, best, now));
        if (now < end)
            return end;
    }
    device_ask(c, now, false);
    uint64_t users = users_suspend(c, now);
    if (!users) {
        device_take(c, now);
        return 0;
    }
    return xg_min_u64(suspend_next(c, now), stuck_look(c, users, now));
}

/* The holder, while no guest waits that may have the device. Returns the same as holder_press;
 * UINT64_MAX: it goes on without a limit. */
static uint64_t holder_indulge(struct xg_core *c, uint64_t now)
{
    struct xg_core_guest *h = c->holder;
    c->contended = false;
    if (!xg_core_spent(c, h, now)) {
        uint64_t until = others_until(c, now, false);
        /* it need not give the device back any more */
        c->asked = false;
        users_resume(c, h, others_until(c, now, true), now);
        grant_set(c, h, XG_GRANT_HELD | (h->share || until ? XG_GRANT_CONTENDED : 0));
        if (!h->share)
            return until ? until : UINT64_MAX;
        if (!users_of(h) && !h->wants && now >= c->held_at + xg_core_quantum(c)) {
            /* its worker kicks when it wants the device again; until then it need not be looked
             * at */
            device_take(c, now);
            return 0;
        }
        return xg_max_u64(xg_core_spent_at(h, now), now + xg_core_quantum(c) / 8);
    }
    device_ask(c, now, true);
    if (users_suspend(c, now))
        return suspend_next(c, now);
    device_take(c, now);
    return 0;
}

static bool others_wait(const struct xg_core *c, const struct xg_core_guest *but)
{
    for (const struct xg_core_guest *g = c->guests; g; g = g->next)
        if (g != but && g->waits)
            return true;
    return false;
}

static void pages_check(struct xg_core *c, uint64_t now)
{
    for (struct xg_core_guest *g = c->guests; g; g = g->next) {
        unsigned wrong = xg_core_page_check(g, now);
        if (wrong && c->tampered)
            c->tampered(c, g, wrong);
    }
}

uint64_t xg_core_run(struct xg_core *c, uint64_t now)
{
    pages_check(c, now);
    xg_core_charge(c, now);
    xg_core_shares(c, now);
    /* Each round gives or takes the device once. There are only a few rounds, unless workers change
     * their words all the time. */
    for (unsigned round = 0; round < ROUNDS_MAX; round++) {
        struct xg_core_guest *best = guests_look(c, now);
        if (!c->holder) {
            if (!best)
                return ready_next(c, now);
            device_give(c, best, now, others_wait(c, best));
            continue;
        }
        uint64_t next = best ? holder_press(c, best, now) : holder_indulge(c, now);
        if (next)
            return xg_min_u64(next, ready_next(c, now));
    }
    return now + WAIT_MAX_NS;
}

/* --- guests and slots ------------------------------------------------------------------------- */

void xg_core_add(struct xg_core *c, struct xg_core_guest *g, uint64_t now)
{
    g->vtime = c->vclock;
    g->left_at = now;
    g->next = c->guests;
    c->guests = g;
    xg_core_shares(c, now);
}

void xg_core_remove(struct xg_core *c, struct xg_core_guest *g, uint64_t now)
{
    struct xg_core_guest **p = &c->guests;
    if (c->holder == g) {
        xg_core_charge(c, now);
        device_take(c, now);
    }
    while (*p != g)
        p = &(*p)->next;
    *p = g->next;
}

void xg_core_slot_take(struct xg_core_guest *g, uint32_t slot, uint64_t now)
{
    memset(&g->page->slot[slot], 0, sizeof(g->page->slot[slot]));
    g->taken_at[slot] = now;
    g->suspended_ns[slot] = 0;
    g->slots |= 1ull << slot;
}

void xg_core_slot_free(struct xg_core *c, struct xg_core_guest *g, uint32_t slot, uint64_t now)
{
    if (c->holder == g)
        xg_core_charge(c, now);
    g->slots &= ~(1ull << slot);
    g->suspended &= ~(1ull << slot);
    memset(&g->page->slot[slot], 0, sizeof(g->page->slot[slot]));
    g->busy_seen = busy_of(g, now);
}
