/* The consumer's half of a ring: copies commands out, then checks them, then replays them. */
#include "backend/worker/internal.h"
#include "backend/worker/poison.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define YIELD_NS    200000u
#define STORM_WAKES 16u /* this many wake-ups in a row without commands are too many */

int xg_worker_ring_init(struct xg_worker *w, uint32_t index, const struct xg_event *event)
{
    const struct xg_geometry *g = &w->req->geometry;
    struct xg_worker_ring *r = &w->rings[index];
    struct xg_worker_ring_private *p = calloc(1, sizeof(*p));
    uint8_t *at = w->base + xg_geometry_ring_offset(g, index);

    if (!p || xg_scratch_init(&r->scratch, 256 << 10, 64 << 20))
        return -ENOMEM;
    r->worker = w;
    r->index = index;
    r->priv = p;
    r->page = (struct xg_ring_page *)at;
    r->arena = w->base + xg_geometry_arena_offset(g);
    r->arena_size = (uint64_t)g->arena_pages << XG_PAGE_SHIFT;
    p->event = *event;
    p->cmd = at + XG_PAGE_SIZE;
    p->cmd_bytes = (uint64_t)XG_PAGE_SIZE << g->cmd_order;
    p->reply = p->cmd + p->cmd_bytes;
    p->reply_bytes = (uint64_t)XG_PAGE_SIZE << g->reply_order;
    p->frame_max = xg_frame_max(p->cmd_bytes);
    p->spin_ns = XG_SPIN_FIRST_NS;
    p->yield_word = xg_device_yield_word(w, &p->yield_mask);
    pthread_mutex_init(&p->reply_lock, NULL);
    p->batch = malloc(XG_BATCH);
    return p->batch ? 0 : -ENOMEM;
}

/* --- positions -------------------------------------------------------------------------------- */

void xg_worker_show_done(struct xg_worker_ring *r)
{
    struct xg_worker_ring_private *p = r->priv;
    struct xg_worker *w = r->worker;
    uint64_t before = p->done_shown, done = atomic_load_explicit(&p->done, memory_order_relaxed);

    if (done == before)
        return;
    p->done_shown = done;
    bool notify = xg_position_publish(&r->page->cmd_done, before, done, &r->page->done_event);
    notify |= xg_holdoff_crossed(&r->page->cons_event, p->cons_shown, p->cons);
    if (notify)
        xg_event_notify(&p->event);
    xg_sched_count(w->sched, notify ? XG_COUNT_NOTIFY_SENT : XG_COUNT_NOTIFY_SUPPRESSED, 1);
    p->cons_shown = p->cons;
    /* Rings that wait for this one: they count themselves before they read `done`, and `done` was
     * stored before the barrier above. */
    if (atomic_load(&w->order_waiters)) {
        pthread_mutex_lock(&w->order_lock);
        pthread_cond_broadcast(&w->order_woken);
        pthread_mutex_unlock(&w->order_lock);
    }
}

/* Pairs with the acquire of core.c's ring_reached. */
static void bytes_executed(struct xg_worker_ring_private *p, uint64_t bytes)
{
    atomic_store_explicit(&p->done, atomic_load_explicit(&p->done, memory_order_relaxed) + bytes,
                          memory_order_release);
}

/* Copies the commands that are there, up to the ring's end or a batch, into private memory. Returns
 * the length of the whole frames among them. */
static uint32_t batch_fetch(struct xg_worker_ring *r)
{
    struct xg_worker_ring_private *p = r->priv;
    uint64_t prod = xg_position_load(&r->page->cmd_prod);
    uint64_t avail = prod - p->cons, at = p->cons & (p->cmd_bytes - 1);
    uint32_t used = 0;

    if (avail == 0)
        return 0;
    if (avail > p->cmd_bytes || (avail & 7)) {
        xg_worker_fail(r, "cmd_prod makes no sense");
        return 0;
    }
    uint32_t n = (uint32_t)xg_min_u64(xg_min_u64(avail, p->cmd_bytes - at), XG_BATCH);
    memcpy(p->batch, p->cmd + at, n);
    while (used + sizeof(struct xg_frame) <= n) {
        const struct xg_frame *f = (const struct xg_frame *)(p->batch + used);
        bool pad = f->op == XG_OP_PAD;
        if (f->size < sizeof(*f) || (f->size & 7) || (f->flags & ~XG_FRAME_FLAGS) ||
            (!pad && f->size > p->frame_max)) {
            xg_worker_fail(r, "frame header makes no sense");
            return 0;
        }
        if (f->size > n - used)
            break; /* the batch ends inside this frame: it comes next time */
        used += f->size;
    }
    if (used == 0 && n < XG_BATCH) {
        xg_worker_fail(r, "frame crosses what was published, or the ring's end");
        return 0;
    }
    if (used == 0) { /* only padding can be longer than a batch */
        const struct xg_frame *f = (const struct xg_frame *)p->batch;
        if (f->op != XG_OP_PAD || f->size > avail || f->size > p->cmd_bytes - at) {
            xg_worker_fail(r, "frame too long");
            return 0;
        }
        used = n; /* the rest of the batch is padding: skip it */
        p->cons += f->size - n;
        bytes_executed(p, f->size - n);
        memset(p->batch, 0, n);
        ((struct xg_frame *)p->batch)->op = XG_OP_PAD;
        ((struct xg_frame *)p->batch)->size = n;
    }
    p->cons += used;
    /* A frontend that sleeps until there is room is woken when the batch's progress is shown
     * (xg_worker_show_done): one barrier serves both. */
    xg_position_store(&r->page->cmd_cons, p->cons);
    return used;
}

/* --- replay ----------------------------------------------------------------------------------- */

static void frame_dispatch(struct xg_worker_ring *r, const struct xg_frame *f)
{
    struct xg_worker *w = r->worker;
    uint16_t api = f->op >> XG_OP_API_SHIFT;
    struct xg_reader rd;

    xg_reader_init(&rd, f + 1, f->size - sizeof(*f), r->arena, r->arena_size);
    r->ticket = 0;
    if (f->flags & XG_FRAME_CALL) {
        const struct xg_ticket *t = xg_read(&rd, sizeof(*t));
        r->ticket = t->ticket;
        if (r->ticket == 0)
            xg_reader_fail(&rd, "call without ticket");
        r->priv->counted_calls++;
    }
    if (!xg_reader_ok(&rd)) {
        /* below */
    } else if (api == XG_API_CORE) {
        xg_core_dispatch(r, f->op, &rd);
    } else {
        int rc = api < XG_API_COUNT ? xg_worker_api(r, api) : -ENOSYS;
        if (rc == 0)
            w->replay[api]->dispatch(r, f->op, &rd);
        else if (r->ticket)
            xg_reply(r, r->ticket, rc, NULL, 0);
        else if (api >= XG_API_COUNT)
            xg_reader_fail(&rd, "unknown opcode");
    }
    r->priv->counted_arena += rd.arena_used;
    if (XG_UNLIKELY(rd.error != NULL)) {
        char why[128];
        snprintf(why, sizeof(why), "opcode 0x%04x, %u bytes: %s", f->op, f->size, rd.error);
        xg_worker_fail(r, why);
    }
    xg_scratch_reset(&r->scratch);
}

static uint64_t ring_idle(struct xg_worker_ring *r)
{
    struct xg_worker *w = r->worker;
    uint64_t again = UINT64_MAX;
    for (uint16_t api = 1; api < XG_API_COUNT; api++) {
        if (r->api[api] && w->replay[api] && w->replay[api]->idle)
            again = xg_min_u64(again, w->replay[api]->idle(r));
    }
    return again;
}

static void ring_rest(struct xg_worker_ring *r)
{
    struct xg_worker *w = r->worker;
    for (uint16_t api = 1; api < XG_API_COUNT; api++)
        if (r->api[api] && w->replay[api] && w->replay[api]->rest)
            w->replay[api]->rest(r);
}

/* Another guest's turn. First each API finishes the work that it holds back for this ring, or gives
 * it to threads: its next call may come much later. */
static void yield_device(struct xg_worker_ring *r)
{
    uint64_t end = xg_now_ns() + YIELD_NS;

    xg_worker_show_done(r);
    while (ring_idle(r) != UINT64_MAX && xg_now_ns() < end)
        xg_cpu_relax();
    ring_rest(r);
    xg_worker_unhold(r);
}

/* Tested before each command, so it is inline. */
static inline bool must_yield(const struct xg_worker_ring_private *p)
{
    return XG_UNLIKELY(atomic_load_explicit(p->yield_word, memory_order_relaxed) & p->yield_mask) &&
           !atomic_load_explicit(&p->needed, memory_order_relaxed);
}

void xg_device_yield(struct xg_worker_ring *r)
{
    if (must_yield(r->priv)) {
        yield_device(r);
        xg_worker_hold(r);
    }
}

/* The command runs without the device if the ring does not hold it already. */
static bool frame_apart(const struct xg_worker_ring *r, const struct xg_frame *f)
{
    uint16_t api = f->op >> XG_OP_API_SHIFT;
    const struct xg_replay *replay = api < XG_API_COUNT ? r->worker->replay[api] : NULL;

    return replay && replay->uses_no_device && replay->uses_no_device(f->op);
}

static void batch_replay(struct xg_worker_ring *r, uint32_t used)
{
    struct xg_worker_ring_private *p = r->priv;

    /* hidden, so that a handler that reads beyond its frame is caught: otherwise it would read the
     * next frame */
    xg_hide(p->batch, XG_BATCH);
    for (uint32_t at = 0; at < used;) {
        const struct xg_frame *f = (const struct xg_frame *)(p->batch + at);
        xg_show(f, sizeof(*f));
        xg_show(f, f->size);
        at += f->size;
        if (must_yield(p))
            yield_device(r);
        if (XG_UNLIKELY(!xg_hold_held(&p->hold)) && !frame_apart(r, f))
            xg_worker_hold(r);
        if (f->op != XG_OP_PAD) {
            frame_dispatch(r, f);
            p->counted_commands++;
        }
        bytes_executed(p, f->size);
        xg_hide(f, f->size);
    }
    xg_show(p->batch, XG_BATCH);
    xg_worker_show_done(r);
}

bool xg_worker_commands_there(const struct xg_worker_ring *r)
{
    return xg_position_load(&r->page->cmd_prod) != r->priv->cons;
}

/* True if commands came while polling. */
static bool ring_spin(struct xg_worker_ring *r, uint64_t ns)
{
    struct xg_spin s = {0};
    do
        if (xg_worker_commands_there(r))
            return true;
    while (xg_spin_on(&s, ns));
    return false;
}

/* A guest that kicks without a reason is listened to less and less often: only its own ring waits
 * longer, and no processor time is lost. One or two such wake-ups are normal, since an event may be
 * for commands that polling has already found. */
void xg_worker_storm(unsigned *wakes)
{
    if (++*wakes <= STORM_WAKES)
        return;
    unsigned over = *wakes - STORM_WAKES;
    usleep(over < 6 ? 1000u << over : 50000);
}

/* Waits for commands: polls a little, then asks for an event and sleeps. */
static void ring_wait(struct xg_worker_ring *r)
{
    struct xg_worker_ring_private *p = r->priv;
    uint64_t again = ring_idle(r);

    xg_worker_unhold(r);
    if (ring_spin(r, xg_min_u64(p->spin_ns, again))) {
        p->spin_ns = xg_spin_adapted(p->spin_ns, 0);
        return;
    }
    ring_rest(r);
    xg_holdoff_set(&r->page->cmd_event, p->cons + 1);
    xg_holdoff_armed();
    if (xg_worker_commands_there(r))
        return;
    uint64_t start = xg_now_ns();
    if (xg_event_wait(&p->event, -1, again) == 1) {
        xg_sched_count(r->worker->sched, XG_COUNT_NOTIFY_RECEIVED, 1);
        if (!xg_worker_commands_there(r))
            xg_worker_storm(&p->idle_wakes);
    }
    p->spin_ns = xg_spin_adapted(p->spin_ns, xg_now_ns() - start);
}

static void counters_flush(struct xg_worker_ring *r, uint32_t bytes)
{
    struct xg_worker_ring_private *p = r->priv;
    struct xg_channel_page *page = (struct xg_channel_page *)r->worker->base;
    atomic_fetch_add_explicit(&page->commands, p->counted_commands, memory_order_relaxed);
    atomic_store_explicit(&page->device_ns, xg_sched_device_ns(r->worker->sched),
                          memory_order_relaxed);
    xg_sched_count(r->worker->sched, XG_COUNT_COMMANDS, p->counted_commands);
    xg_sched_count(r->worker->sched, XG_COUNT_CMD_BYTES, bytes);
    if (p->counted_calls)
        xg_sched_count(r->worker->sched, XG_COUNT_CALLS, p->counted_calls);
    if (p->counted_arena)
        xg_sched_count(r->worker->sched, XG_COUNT_ARENA_BYTES, p->counted_arena);
    p->counted_commands = p->counted_calls = p->counted_arena = 0;
}

void *xg_worker_ring_thread(void *arg)
{
    struct xg_worker_ring *r = arg;

    for (;;) {
        uint32_t used = batch_fetch(r);
        if (used == 0) {
            ring_wait(r);
            continue;
        }
        r->priv->idle_wakes = 0;
        batch_replay(r, used);
        counters_flush(r, used);
    }
    return NULL;
}
