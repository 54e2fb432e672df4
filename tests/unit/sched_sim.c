/* See sched_sim.h. */
#include "tests/unit/sched_sim.h"

struct sim *sim;

static void sim_wake(struct xg_sched_page *p)
{
    (void)p;
}

static void sim_stuck(struct xg_core *c, struct xg_core_guest *g, uint64_t slots)
{
    (void)c;
    (void)g;
    sim->told |= slots;
}

void processors_set(struct sim_worker *w, double processors)
{
    if (w->measured)
        w->used += (uint64_t)((double)(sim->now - w->used_since) * w->processors);
    w->measured = true;
    w->used_since = sim->now;
    w->processors = processors;
}

static uint64_t sim_used(struct xg_core *c, struct xg_core_guest *g, uint32_t slot)
{
    (void)c;
    for (unsigned i = 0; i < sim->workers; i++) {
        struct sim_worker *w = &sim->worker[i];
        if (w->slot != &g->page->slot[slot] || !w->measured)
            continue;
        processors_set(w, w->processors);
        return w->used;
    }
    return XG_CORE_UNKNOWN;
}

static uint64_t sim_suspend(struct xg_core *c, struct xg_core_guest *g, uint64_t slots)
{
    uint64_t done = 0;
    (void)c;
    for (unsigned i = 0; i < sim->workers; i++) {
        struct sim_worker *w = &sim->worker[i];
        if (w->guest != g || !w->stoppable)
            continue;
        uint64_t bit = 1ull << (w->slot - g->page->slot);
        if (!(slots & bit))
            continue;
        assert_int_equal(w->state, RUNS);
        assert_int_equal(w->rest, 0);
        w->rest = w->until - sim->now + 1;
        w->until = NEVER;
        w->stops++;
        done |= bit;
    }
    return done;
}

static void sim_resume(struct xg_core *c, struct xg_core_guest *g, uint64_t slots)
{
    (void)c;
    for (unsigned i = 0; i < sim->workers; i++) {
        struct sim_worker *w = &sim->worker[i];
        if (w->guest != g || !(slots & 1ull << (w->slot - g->page->slot)))
            continue;
        assert_int_not_equal(w->rest, 0);
        w->until = sim->now + w->rest - 1;
        w->rest = 0;
    }
}

static void sim_tampered(struct xg_core *c, struct xg_core_guest *g, unsigned count)
{
    (void)c;
    (void)g;
    sim->tampered += count;
}

int setup(void **state)
{
    (void)state;
    sim = calloc(1, sizeof(*sim));
    sim->core.wake = sim_wake;
    sim->core.used = sim_used;
    sim->core.stuck = sim_stuck;
    sim->core.suspend = sim_suspend;
    sim->core.resume = sim_resume;
    sim->core.tampered = sim_tampered;
    sim->now = SEC;
    sim->timer = NEVER;
    sim->latency = 20 * US;
    return 0;
}

int teardown(void **state)
{
    (void)state;
    for (unsigned i = 0; i < sim->guests; i++)
        free(sim->guest[i].page);
    free(sim);
    return 0;
}

struct xg_core_guest *add_guest(uint32_t weight)
{
    struct xg_core_guest *g = &sim->guest[sim->guests++];
    g->page = aligned_alloc(64, sizeof(struct xg_sched_page));
    memset(g->page, 0, sizeof(*g->page));
    g->weight = weight;
    xg_core_add(&sim->core, g, sim->now);
    return g;
}

struct sim_worker *add_worker(struct xg_core_guest *g, uint64_t kernel, uint64_t gap)
{
    struct sim_worker *w = &sim->worker[sim->workers++];
    unsigned slot = (unsigned)__builtin_popcountll(g->slots);
    *w = (struct sim_worker){.kernel = kernel,
                             .gap = gap,
                             .stop = NEVER,
                             .guest = g,
                             .slot = &g->page->slot[slot],
                             .state = AWAY};
    g->slots |= 1ull << slot;
    return w;
}

static void kick(uint64_t delay)
{
    sim->timer = xg_min_u64(sim->timer, sim->now + delay);
}

static void kernel_start(struct sim_worker *w)
{
    bool alone = !(w->guest->page->grant & XG_GRANT_CONTENDED);
    w->given = w->flight && alone ? w->flight : w->kernel;
    w->until = sim->now + w->given;
}

static void worker_run(struct sim_worker *w)
{
    w->slot->users = 1;
    w->slot->wanters = 0;
    w->slot->busy_since = sim->now;
    w->state = RUNS;
    kernel_start(w);
}

static void worker_want(struct sim_worker *w)
{
    /* As a worker does: one long absence among short ones says little. */
    if (w->slot->idle_since && w->state == AWAY) {
        uint64_t most = xg_min_u64(2ull * w->slot->gap_ns + 100 * US, 250 * MS);
        uint64_t gap = xg_min_u64(sim->now - w->slot->idle_since, most);
        w->slot->gap_ns += (uint32_t)(((int64_t)gap - w->slot->gap_ns) / 4);
    }
    if (w->guest->page->grant & XG_GRANT_HELD) {
        worker_run(w);
        return;
    }
    w->state = WAITS;
    w->until = NEVER;
    w->slot->wanters = 1;
    kick(sim->latency);
}

static void worker_leave(struct sim_worker *w)
{
    w->slot->users = 0;
    if (!w->lies)
        w->slot->busy_ns += sim->now - w->slot->busy_since;
    w->slot->idle_since = sim->now;
    if (w->guest->page->grant & XG_GRANT_KICK)
        kick(sim->latency);
}

/* When it begins again after a pause. A frame that is late is followed by the next that is due. */
static uint64_t pause_end(struct sim_worker *w)
{
    if (w->rare && ++w->gaps % 20 == 0)
        return sim->now + w->rare;
    if (!w->period)
        return sim->now + w->gap;
    w->due = w->due ? w->due : w->start;
    w->frames++;
    w->on_time += sim->now - w->due <= w->period;
    while ((w->due += w->period) < sim->now)
        w->frames++;
    return w->due;
}

static void worker_step(struct sim_worker *w)
{
    if (w->state == RUNS) {
        w->work += w->given;
        bool asked = w->guest->page->grant & XG_GRANT_YIELD && !w->ignores_yield;
        bool pause = (w->gap || w->period) && ++w->ran >= w->every;
        w->ran = pause ? 0 : w->ran;
        if (sim->now >= w->stop || pause) {
            worker_leave(w);
            w->state = AWAY;
            w->until = sim->now >= w->stop ? NEVER : pause_end(w);
        } else if (asked) {
            worker_leave(w);
            worker_want(w);
        } else {
            kernel_start(w);
        }
    } else if (w->state == AWAY) {
        worker_want(w);
    } else if (w->guest->page->grant & XG_GRANT_HELD) {
        worker_run(w);
    }
}

/* Those that wait see the grant a little later, as a wake-up takes. */
static void waiters_wake(void)
{
    for (unsigned i = 0; i < sim->workers; i++) {
        struct sim_worker *w = &sim->worker[i];
        if (w->state == WAITS && w->guest->page->grant & XG_GRANT_HELD && w->until == NEVER)
            w->until = sim->now + 10 * US;
        if (w->state == WAITS && !(w->guest->page->grant & XG_GRANT_HELD))
            w->until = NEVER;
    }
}

void sim_run(uint64_t ns)
{
    uint64_t end = sim->now + ns;
    for (unsigned i = 0; i < sim->workers; i++)
        if (sim->worker[i].state == AWAY && !sim->worker[i].until)
            sim->worker[i].until = xg_max_u64(sim->worker[i].start, sim->now);
    for (;;) {
        uint64_t next = sim->timer;
        for (unsigned i = 0; i < sim->workers; i++)
            next = xg_min_u64(next, sim->worker[i].until);
        if (next > end)
            break;
        sim->now = xg_max_u64(next, sim->now);
        for (unsigned i = 0; i < sim->workers; i++)
            if (sim->worker[i].until <= sim->now)
                worker_step(&sim->worker[i]);
        if (sim->timer <= sim->now) {
            sim->timer = xg_core_run(&sim->core, sim->now);
            sim->passes++;
        }
        waiters_wake();
    }
    sim->now = end;
    xg_core_charge(&sim->core, end);
}

void assert_ratio(uint64_t a, uint64_t b, double want, double tolerance)
{
    double r = (double)a / (double)b;
    if (r < want * (1 - tolerance) || r > want * (1 + tolerance))
        fail_msg("%.3f s to %.3f s: ratio %.4f, wanted %.4f within %.1f %%", (double)a / 1e9,
                 (double)b / 1e9, r, want, 100 * tolerance);
}
