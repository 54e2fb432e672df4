/* The scheduler's decisions, on a clock of the test's own: shares, weights, newcomers, cheaters. */
/* with: tests/unit/sched_sim.c */
/* links: obj/libsched.a */
#include "tests/unit/sched_sim.h"

static void equal_guests_whatever_their_kernels(void **state)
{
    static const uint64_t lengths[] = {50 * US, 300 * US, 2 * MS, 20 * MS};
    (void)state;
    for (unsigned i = 0; i < XG_ARRAY_LEN(lengths); i++)
        for (unsigned k = 0; k < XG_ARRAY_LEN(lengths); k++) {
            struct xg_core_guest *a = add_guest(100), *b = add_guest(100);
            add_worker(a, lengths[i], 0);
            add_worker(b, lengths[k], 0);
            sim_run(10 * SEC);
            assert_ratio(a->device_ns, b->device_ns, 1, 0.02);
            assert_ratio(sim->worker[0].work, sim->worker[1].work, 1, 0.05);
            assert_ratio(sim->worker[0].work + sim->worker[1].work, 10 * SEC, 1,
                         0.04); /* nothing lost */
            teardown(NULL);
            setup(NULL);
        }
}

/* One that waits for each result before it asks for more has no work queued for a moment; it gets
 * its share all the same. */
static void short_gaps_cost_no_share(void **state)
{
    (void)state;
    struct xg_core_guest *a = add_guest(100), *b = add_guest(100);
    add_worker(a, 50 * US, 40 * US);
    add_worker(b, 5 * MS, 0);
    sim_run(10 * SEC);
    assert_ratio(a->device_ns, b->device_ns, 1, 0.05);
}

/* The same if it is away for longer now and then, and the other would come back late: its kernels
 * are long. */
static void gaps_beside_long_kernels_cost_no_share(void **state)
{
    (void)state;
    struct xg_core_guest *a = add_guest(100), *b = add_guest(100);
    add_worker(a, 300 * US, 2 * MS)->every = 20;
    add_worker(b, 50 * MS, 0);
    sim_run(20 * SEC);
    assert_ratio(a->device_ns, b->device_ns, 1, 0.1);
}

/* On a loaded machine it may be away for much longer once, and what the other runs may take a
 * second. */
static void a_long_gap_beside_very_long_kernels_costs_no_share(void **state)
{
    (void)state;
    struct xg_core_guest *a = add_guest(100), *b = add_guest(100);
    add_worker(a, 2 * MS, 300 * US)->rare = 15 * MS;
    add_worker(b, SEC, 0);
    sim_run(60 * SEC);
    assert_ratio(a->device_ns, b->device_ns, 1, 0.15);
}

/* But nobody waits for one that is mostly away. */
static void long_gaps_beside_long_kernels_waste_nothing(void **state)
{
    (void)state;
    static const uint64_t gaps[] = {5 * MS, 10 * MS, 50 * MS};
    for (unsigned i = 0; i < XG_ARRAY_LEN(gaps); i++) {
        add_worker(add_guest(100), 300 * US, gaps[i]);
        add_worker(add_guest(100), 50 * MS, 0);
        sim_run(20 * SEC);
        assert_true(sim->worker[0].work + sim->worker[1].work > 20 * SEC * 98 / 100);
        teardown(NULL);
        setup(NULL);
    }
}

static void weights_are_kept(void **state)
{
    (void)state;
    struct xg_core_guest *a = add_guest(100), *b = add_guest(300);
    add_worker(a, 1 * MS, 0);
    add_worker(b, 200 * US, 0);
    sim_run(10 * SEC);
    assert_ratio(b->device_ns, a->device_ns, 3, 0.03);
    b->weight = 100; /* live */
    uint64_t was_a = a->device_ns, was_b = b->device_ns;
    sim_run(5 * SEC);
    assert_ratio(b->device_ns - was_b, a->device_ns - was_a, 1, 0.03);
}

static void three_guests_with_weights(void **state)
{
    (void)state;
    struct xg_core_guest *a = add_guest(100), *b = add_guest(200), *c = add_guest(700);
    add_worker(a, 3 * MS, 0);
    add_worker(b, 100 * US, 0);
    add_worker(c, 1 * MS, 0);
    sim_run(20 * SEC);
    assert_ratio(a->device_ns, 20 * SEC, 0.1, 0.05);
    assert_ratio(b->device_ns, 20 * SEC, 0.2, 0.05);
    assert_ratio(c->device_ns, 20 * SEC, 0.7, 0.05);
}

/* Two workers of one guest are no more than one. */
static void more_workers_get_no_more(void **state)
{
    (void)state;
    struct xg_core_guest *a = add_guest(100), *b = add_guest(100);
    for (unsigned i = 0; i < 4; i++)
        add_worker(a, 500 * US, 0);
    add_worker(b, 500 * US, 0);
    sim_run(10 * SEC);
    assert_ratio(a->device_ns, b->device_ns, 1, 0.03);
}

/* Each of sixteen is away for longer than the device would be kept for it, but the next is soon
 * there. */
static void many_workers_that_pause_keep_their_guests_share(void **state)
{
    static const uint64_t lengths[] = {100 * US, 1 * MS, 5 * MS, 10 * MS};
    (void)state;
    for (unsigned k = 0; k < XG_ARRAY_LEN(lengths); k++) {
        struct xg_core_guest *a = add_guest(100), *b = add_guest(100);
        for (unsigned i = 0; i < 16; i++)
            add_worker(a, 100 * US + i * 7 * US, 500 * US + i * 137 * US);
        add_worker(b, lengths[k], 0);
        sim_run(10 * SEC);
        assert_ratio(a->device_ns, b->device_ns, 1, 0.02);
        teardown(NULL);
        setup(NULL);
    }
}

static void one_alone_is_left_alone(void **state)
{
    (void)state;
    struct xg_core_guest *a = add_guest(100);
    add_guest(100);
    add_worker(a, 100 * US, 50 * US);
    sim_run(10 * SEC);
    assert_true(sim->passes <= 2);
    assert_ratio(a->device_ns, sim->worker[0].work, 1, 0.01); /* idle time is not charged */
}

/* What nobody else wants may be used: a guest that works now and then leaves the rest to the other.
 */
static void work_is_conserved(void **state)
{
    (void)state;
    struct xg_core_guest *a = add_guest(100), *b = add_guest(100);
    struct sim_worker *w = add_worker(a, 500 * US, 0);
    add_worker(b, 1 * MS, 50 * MS);
    sim_run(10 * SEC);
    assert_true(w->work > 9600 * MS);
    assert_ratio(sim->worker[1].work, 10 * SEC / 51, 1, 0.1);
}

/* Neither sleeping nor working alone is held in hand for later. */
static void newcomers_start_level(void **state)
{
    (void)state;
    struct xg_core_guest *a = add_guest(100), *b = add_guest(100);
    add_worker(a, 1 * MS, 0);
    add_worker(b, 1 * MS, 0)->start = sim->now + 60 * SEC;
    sim_run(60 * SEC);
    uint64_t was_a = a->device_ns, was_b = b->device_ns;
    sim_run(1 * SEC);
    assert_ratio(a->device_ns - was_a, b->device_ns - was_b, 1, 0.05);
}

static void who_worked_alone_is_not_punished(void **state)
{
    (void)state;
    struct xg_core_guest *a = add_guest(100), *b = add_guest(100);
    add_worker(a, 1 * MS, 0)->stop = sim->now + 10 * SEC;
    add_worker(b, 1 * MS, 0)->start = sim->now + 20 * SEC;
    sim_run(30 * SEC);
    struct sim_worker *again = &sim->worker[0];
    again->stop = NEVER;
    again->until = sim->now;
    uint64_t was_a = a->device_ns, was_b = b->device_ns;
    sim_run(1 * SEC);
    assert_ratio(a->device_ns - was_a, b->device_ns - was_b, 1, 0.05);
}

/* It is the scheduler's clock that counts. */
static void lies_about_idleness_do_not_help(void **state)
{
    (void)state;
    struct xg_core_guest *a = add_guest(100), *b = add_guest(100);
    add_worker(a, 1 * MS, 0)->lies = true;
    add_worker(b, 1 * MS, 0);
    sim_run(10 * SEC);
    assert_ratio(sim->worker[0].work, sim->worker[1].work, 1, 0.05);
}

static void who_does_not_yield_pays(void **state)
{
    (void)state;
    struct xg_core_guest *a = add_guest(100), *b = add_guest(100);
    struct sim_worker *w = add_worker(a, 1 * MS, 0);
    w->ignores_yield = true;
    w->stop = sim->now + 2 * SEC;
    add_worker(b, 1 * MS, 0)->start = sim->now + 100 * MS;
    sim_run(2 * SEC);
    assert_int_equal(sim->told, 0);
    uint64_t kept = a->device_ns;
    assert_true(kept > 1900 * MS);
    sim->worker[0].stop = NEVER;
    sim->worker[0].ignores_yield = false;
    sim->worker[0].until = sim->now + MS;
    sim_run(4 * SEC);
    assert_ratio(a->device_ns, b->device_ns, 1,
                 0.05); /* it had to wait until the other had as much */
}

static void who_never_yields_is_reported_once(void **state)
{
    (void)state;
    sim->core.config.stuck_ns = 3 * SEC;
    struct xg_core_guest *a = add_guest(100), *b = add_guest(100);
    add_worker(a, 1 * MS, 0)->ignores_yield = true;
    add_worker(b, 1 * MS, 0)->start = sim->now + 100 * MS;
    sim_run(3 * SEC);
    assert_int_equal(sim->told, 0);
    sim_run(1 * SEC);
    assert_int_equal(sim->told, 1);
    sim->told = 0;
    sim_run(3 * SEC);
    assert_int_equal(sim->told, 0);
    /* its worker is killed */
    sim->worker[0].until = NEVER;
    xg_core_slot_free(&sim->core, a, 0, sim->now);
    sim->timer = sim->now;
    uint64_t was = sim->worker[1].work;
    sim_run(1 * SEC);
    assert_true(sim->worker[1].work - was > 990 * MS);
    assert_true(b->device_ns > 990 * MS);
}

/* Guest a's worker never gives the device back, is killed for it, and started again a second later.
 */
static void respawn_run(uint64_t seconds, unsigned *stops)
{
    struct sim_worker *w = &sim->worker[0];
    uint64_t dead_at = 0;
    for (uint64_t i = 0; i < seconds * 20; i++) {
        sim_run(50 * MS);
        if (sim->told) {
            ++*stops;
            sim->told = 0;
            w->until = NEVER;
            w->state = AWAY;
            xg_core_slot_free(&sim->core, w->guest, 0, sim->now);
            sim->timer = dead_at = sim->now;
        } else if (dead_at && sim->now - dead_at >= SEC) {
            dead_at = 0;
            w->guest->slots |= 1;
            w->until = sim->now;
        }
    }
}

static void respawned_endless(uint64_t kernel, uint64_t gap, double least)
{
    unsigned stops = 0;
    sim->core.config.stuck_ns = 3 * SEC;
    struct xg_core_guest *a = add_guest(100), *b = add_guest(100);
    struct sim_worker *w = add_worker(a, 1 * MS, 0), *other = add_worker(b, kernel, gap);
    w->ignores_yield = true;
    w->start = other->start = sim->now;
    respawn_run(60, &stops);
    double busy = (double)kernel / (double)(kernel + gap);
    assert_true(stops >= 2 && stops <= 8);
    if ((double)other->work < least * busy * 60e9)
        fail_msg("%.1f s of work, of %.1f s alone; stopped %u times", (double)other->work / 1e9,
                 busy * 60, stops);
}

static void who_is_stopped_and_starts_again_gets_no_more(void **state)
{
    (void)state;
    respawned_endless(2 * MS, 100 * US, 0.5);
}

static void not_in_the_pauses_of_who_is_behind_either(void **state)
{
    (void)state;
    respawned_endless(2 * MS, 5 * MS, 0.45);
}

/* The third stop costs more than the second. */
static void stops_cost_more_each_time(void **state)
{
    (void)state;
    unsigned stops = 0, before;
    sim->core.config.stuck_ns = 1 * SEC;
    struct xg_core_guest *a = add_guest(100), *b = add_guest(100);
    add_worker(a, 1 * MS, 0)->ignores_yield = true;
    add_worker(b, 2 * MS, 50 * US);
    respawn_run(30, &stops);
    before = stops;
    respawn_run(30, &stops);
    assert_true(stops - before < before);
    assert_true(sim->worker[1].work > 40 * SEC);
}

/* It has much in flight, each not long, and is asked: it gets on, and is spared; within reason,
 * since a worker can say that of itself. */
static void who_gets_on_is_not_stuck(void **state)
{
    (void)state;
    sim->core.config.stuck_ns = 1 * SEC;
    struct xg_core_guest *a = add_guest(100), *b = add_guest(100);
    struct sim_worker *w = add_worker(a, 500 * MS, 0);
    w->ignores_yield = true;
    add_worker(b, 1 * MS, 0)->start = sim->now + 10 * MS;
    for (unsigned i = 0; i < 18; i++) {
        sim_run(500 * MS);
        w->slot->progress++;
        assert_int_equal(sim->told, 0);
    }
    for (unsigned i = 0; i < 4; i++) {
        sim_run(500 * MS);
        w->slot->progress++;
    }
    assert_int_equal(sim->told, 1);
}

/* A claim is for what was kept while one waited, and ends with a long absence. */
static void claims_end(void **state)
{
    (void)state;
    struct xg_core_guest *a = add_guest(100), *b = add_guest(100);
    struct sim_worker *w = add_worker(a, 5 * SEC, 0), *other = add_worker(b, 1 * MS, 0);
    other->start = sim->now + MS;
    sim_run(5010 * MS); /* b waits for nearly five seconds */
    assert_true(b->claim > 0);
    w->kernel = MS;
    other->until = sim->now + 60 * SEC;
    other->state = AWAY;
    other->slot->users = other->slot->wanters = 0;
    sim->timer = sim->now;
    sim_run(59 * SEC);
    uint64_t was_a = a->device_ns, was_b = b->device_ns;
    sim_run(3 * SEC);
    assert_int_equal(b->claim, 0);
    assert_true(a->device_ns - was_a > 1500 * MS && b->device_ns > was_b);
}

/* Guest b waits all the time; a's worker is asked after a second, and does not give the device
 * back. */
static struct sim_worker *keeper(struct xg_core_guest **a, double processors)
{
    sim->core.config.stuck_ns = 3 * SEC;
    struct xg_core_guest *b = add_guest(100);
    *a = add_guest(100);
    struct sim_worker *w = add_worker(*a, 1 * MS, 0);
    w->ignores_yield = true;
    processors_set(w, processors);
    add_worker(b, 1 * MS, 0)->start = sim->now + 1 * SEC;
    return w;
}

/* It waits for a processor, or is stopped; then it goes on where it was. */
static void who_is_not_scheduled_is_not_stuck(void **state)
{
    (void)state;
    struct xg_core_guest *a;
    struct sim_worker *w = keeper(&a, 1);
    sim_run(2 * SEC);
    processors_set(w, 0);
    sim_run(20 * SEC);
    assert_int_equal(sim->told, 0);
    assert_true(sim->passes < 1000); /* and is not looked at all the time */
    processors_set(w, 1);
    w->ignores_yield = false;
    sim_run(1 * SEC);
    assert_int_equal(sim->told, 0);
    assert_true(sim->worker[1].work > 500 * MS);
}

static void on_a_loaded_machine_device_time_counts(void **state)
{
    (void)state;
    struct xg_core_guest *a;
    keeper(&a, 0.2);
    sim_run(1 * SEC + 14 * SEC);
    assert_int_equal(sim->told, 0);
    sim_run(2 * SEC); /* 3 s of device time since it was asked */
    assert_int_equal(sim->told, 1);
}

/* A worker that is broken into and sleeps while it has the device. */
static void who_uses_nothing_keeps_it_ten_times_as_long(void **state)
{
    (void)state;
    struct xg_core_guest *a;
    keeper(&a, 0);
    sim_run(1 * SEC + 29 * SEC);
    assert_int_equal(sim->told, 0);
    sim_run(2 * SEC);
    assert_int_equal(sim->told, 1);
}

static void many_processors_do_not_make_it_longer(void **state)
{
    (void)state;
    struct xg_core_guest *a;
    keeper(&a, 16);
    sim_run(1 * SEC + 2900 * MS);
    assert_int_equal(sim->told, 0);
    sim_run(1 * SEC);
    assert_int_equal(sim->told, 1);
}

static void of_two_workers_the_one_that_works_is_stuck(void **state)
{
    (void)state;
    struct xg_core_guest *a;
    keeper(&a, 1);
    struct sim_worker *other = add_worker(a, 1 * MS, 0);
    other->ignores_yield = true;
    processors_set(other, 0);
    sim_run(6 * SEC);
    assert_int_equal(sim->told, 1);
    sim->told = 0;
    sim_run(40 * SEC);
    assert_int_equal(sim->told, 2);
}

/* Whatever a worker writes: no crash, no endless loop, and the other guest gets its half. */
static void garbage_hurts_nobody_else(void **state)
{
    (void)state;
    struct xg_core_guest *a = add_guest(100), *b = add_guest(100);
    a->slots = 0xff;
    add_worker(b, 1 * MS, 0);
    unsigned short seed[3] = {1, 2, 3};
    for (unsigned i = 0; i < 20000; i++) {
        uint32_t *word = (uint32_t *)a->page;
        for (unsigned n = 0; n < 8; n++)
            word[(size_t)nrand48(seed) % (sizeof(*a->page) / 4)] =
                (uint32_t)mrand48() * (nrand48(seed) & 1);
        for (unsigned s = 0; s < 8; s++) /* it does give back what it is asked for, now and then */
            if (a->grant & XG_GRANT_YIELD)
                a->page->slot[s].users = 0;
        sim->timer = sim->now;
        sim_run(500 * US);
    }
    assert_true(sim->worker[0].work > 4500 * MS);
    assert_true(b->device_ns < 11 * SEC && a->device_ns < 11 * SEC);
}

/* What is out of range is put right at the next look, and told; what is in range is left alone. */
static void numbers_out_of_range_are_put_right(void **state)
{
    (void)state;
    struct xg_core_guest *a = add_guest(100);
    struct xg_sched_slot *s = &a->page->slot[0];
    sim_run(2 * SEC);
    a->memory_limit = 1000;
    a->page->memory_limit = 1000;
    xg_core_slot_take(a, 0, sim->now);
    sim_run(1 * SEC);
    s->users = 3;
    s->wanters = 2;
    s->busy_ns = 900 * MS;
    s->busy_since = sim->now;
    s->idle_since = sim->now;
    s->memory = 500;
    s->counter[0] = UINT64_MAX;
    assert_int_equal(xg_core_page_check(a, sim->now), 0);
    assert_int_equal(s->users + s->wanters + s->memory, 505);

    a->page->grant ^= XG_GRANT_HELD;
    a->page->memory_limit = 0;
    a->page->frame_limit = 1000;
    s->users = 1u << 20;
    s->wanters = UINT32_MAX;
    s->busy_ns = 5 * SEC;
    s->busy_since = sim->now + 60 * SEC;
    s->idle_since = NEVER;
    s->memory = -8489183815880398165;
    a->page->slot[63].gap_ns = 1; /* nobody's */
    sim->now += 20 * MS;
    sim->timer = sim->now;
    sim_run(20 * MS);
    assert_int_equal(sim->tampered, 10);
    assert_int_equal(a->page->grant, a->grant);
    assert_int_equal(a->page->memory_limit, 1000);
    assert_int_equal(a->page->frame_limit, 0);
    assert_int_equal(s->users | s->wanters | s->busy_ns | s->busy_since | s->idle_since, 0);
    assert_int_equal(s->memory, 0);
    assert_int_equal(s->counter[0], UINT64_MAX); /* the worker's own business */
    assert_int_equal(a->page->slot[63].gap_ns, 0);
    sim->timer = sim->now;
    sim_run(20 * MS);
    assert_int_equal(sim->tampered, 10);
}

/* Where it can be stopped, what never ends takes no more than its part, of any ten quanta. */
static void endless_work_that_can_be_stopped_has_its_share(void **state)
{
    (void)state;
    for (unsigned others = 1; others <= 3; others++) {
        struct xg_core_guest *a = add_guest(100), *b = add_guest(100);
        add_worker(a, 1000 * SEC, 0)->stoppable = true;
        for (unsigned i = 1; i < others; i++)
            add_worker(add_guest(100), 1000 * SEC, 0)->stoppable = true;
        add_worker(b, 1 * MS, 0);
        sim_run(SEC);
        for (unsigned i = 0; i < 100; i++) {
            uint64_t before = b->device_ns;
            sim_run(200 * MS);
            assert_ratio(b->device_ns - before, 200 * MS, 1.0 / (others + 1), 0.15);
        }
        assert_ratio(a->device_ns, b->device_ns, 1, 0.01);
        assert_int_equal(sim->told, 0);
        teardown(NULL);
        setup(NULL);
    }
}

/* Of many that never end no more go on at a turn than the device has processors, each in turn. */
static void a_crowd_goes_on_in_turn(void **state)
{
    (void)state;
    struct xg_core_guest *a = add_guest(100), *b = add_guest(100);
    sim->core.processors = 2;
    for (unsigned i = 0; i < 9; i++)
        add_worker(a, 1000 * SEC, 0)->stoppable = true;
    add_worker(b, 1 * MS, 0);
    sim_run(SEC);
    uint64_t before[9];
    for (unsigned i = 0; i < 9; i++)
        before[i] = sim->worker[i].stops;
    for (unsigned i = 0; i < 1000; i++) {
        unsigned run = 0;
        sim_run(10 * MS);
        for (unsigned k = 0; k < 9; k++)
            run += !sim->worker[k].rest;
        assert_true(run <= 2);
    }
    for (unsigned i = 0; i < 9; i++)
        assert_ratio(sim->worker[i].stops - before[i], sim->worker[0].stops - before[0], 1, 0.05);
    assert_ratio(a->device_ns, b->device_ns, 1, 0.01);
    sim->worker[9].stop = sim->now;
    sim_run(300 * MS);
    assert_int_equal(a->suspended, 0); /* nobody else is there: all go on */
}

/* Its own account leaves out what it stood still. */
static void time_in_which_it_stands_still_is_not_used(void **state)
{
    (void)state;
    struct xg_core_guest *a = add_guest(100);
    struct sim_worker *w = add_worker(a, 1000 * SEC, 0);
    w->stoppable = true;
    add_worker(add_guest(300), 1 * MS, 0);
    sim_run(10 * SEC);
    uint64_t since = sim->now - w->slot->busy_since;
    assert_ratio(since - xg_core_slot_suspended(a, 0, sim->now), a->device_ns, 1, 0.01);
    assert_ratio(a->device_ns, 10 * SEC, 0.25, 0.02);
}

/* One of a guest's workers cannot be stopped: the other goes on when nobody waits any more. */
static void one_that_cannot_be_stopped_is_waited_for(void **state)
{
    (void)state;
    struct xg_core_guest *a = add_guest(100), *b = add_guest(100);
    struct sim_worker *s = add_worker(a, 50 * MS, 0), *other = add_worker(b, 1 * MS, 0);
    s->stoppable = true;
    add_worker(a, 50 * MS, 0);
    other->stop = 5 * SEC;
    sim_run(4 * SEC);
    assert_ratio(a->device_ns, b->device_ns, 1, 0.1);
    assert_true(s->stops > 10);
    sim_run(2 * SEC);
    uint64_t before = s->work;
    sim_run(SEC);
    assert_ratio(s->work - before, SEC, 1, 0.1);
    assert_int_equal(a->suspended, 0);
}

/* A cap holds for what never ends, too, with nobody else there. */
static void endless_work_keeps_its_cap(void **state)
{
    (void)state;
    struct xg_core_guest *a = add_guest(100);
    add_worker(a, 1000 * SEC, 0)->stoppable = true;
    a->cap = 20;
    sim_run(20 * SEC);
    assert_ratio(a->device_ns, 20 * SEC, 0.2, 0.03);
}

static void nobody_is_stopped_where_that_is_not_wanted(void **state)
{
    (void)state;
    struct xg_core_guest *a = add_guest(100), *b = add_guest(100);
    sim->core.config.no_preempt = true;
    add_worker(a, 50 * MS, 0)->stoppable = true;
    add_worker(b, 1 * MS, 0);
    sim_run(5 * SEC);
    assert_int_equal(sim->worker[0].stops, 0);
    assert_ratio(a->device_ns, b->device_ns, 1, 0.1);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(equal_guests_whatever_their_kernels),
        T(short_gaps_cost_no_share),
        T(gaps_beside_long_kernels_cost_no_share),
        T(a_long_gap_beside_very_long_kernels_costs_no_share),
        T(long_gaps_beside_long_kernels_waste_nothing),
        T(weights_are_kept),
        T(three_guests_with_weights),
        T(more_workers_get_no_more),
        T(many_workers_that_pause_keep_their_guests_share),
        T(one_alone_is_left_alone),
        T(work_is_conserved),
        T(newcomers_start_level),
        T(who_worked_alone_is_not_punished),
        T(lies_about_idleness_do_not_help),
        T(who_does_not_yield_pays),
        T(who_never_yields_is_reported_once),
        T(who_is_stopped_and_starts_again_gets_no_more),
        T(not_in_the_pauses_of_who_is_behind_either),
        T(stops_cost_more_each_time),
        T(who_gets_on_is_not_stuck),
        T(claims_end),
        T(endless_work_that_can_be_stopped_has_its_share),
        T(a_crowd_goes_on_in_turn),
        T(time_in_which_it_stands_still_is_not_used),
        T(one_that_cannot_be_stopped_is_waited_for),
        T(endless_work_keeps_its_cap),
        T(nobody_is_stopped_where_that_is_not_wanted),
        T(who_is_not_scheduled_is_not_stuck),
        T(on_a_loaded_machine_device_time_counts),
        T(who_uses_nothing_keeps_it_ten_times_as_long),
        T(many_processors_do_not_make_it_longer),
        T(of_two_workers_the_one_that_works_is_stuck),
        T(garbage_hurts_nobody_else),
        T(numbers_out_of_range_are_put_right),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
