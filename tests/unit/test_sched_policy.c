/* What a guest may have at most, by policy and cap, and how soon it has it: on a clock of the
 * test's own. */
/* with: tests/unit/sched_sim.c */
/* links: obj/libsched.a */
#include "tests/unit/sched_sim.h"

#define FRAME (SEC / 60)

static const uint64_t lengths[] = {100 * US, 1 * MS, 5 * MS, 20 * MS};

static void again(void)
{
    teardown(NULL);
    setup(NULL);
}

static void policy_set(enum xg_sched_policy policy)
{
    sim->core.config.policy = policy;
    sim->timer = sim->now;
}

static void assert_part(const struct xg_core_guest *g, uint64_t before, uint64_t of, double part)
{
    assert_ratio(g->device_ns - before, of, part, 0.02);
}

/* --- equal share ------------------------------------------------------------------------------ */

/* Three run, one of them has nothing to do, and nobody has its third. A fourth runs nothing. */
static void equal_parts_are_not_given_away(void **state)
{
    (void)state;
    for (unsigned i = 0; i < XG_ARRAY_LEN(lengths); i++) {
        policy_set(XG_POLICY_EQUAL);
        struct xg_core_guest *a = add_guest(100), *b = add_guest(300), *c = add_guest(100);
        add_guest(100);
        add_worker(a, lengths[i], 0);
        add_worker(b, lengths[XG_ARRAY_LEN(lengths) - 1 - i], 0);
        add_worker(c, 1 * MS, 0)->start = NEVER;
        sim_run(10 * SEC);
        assert_part(a, 0, 10 * SEC, 1 / 3.);
        assert_part(b, 0, 10 * SEC, 1 / 3.);
        assert_int_equal(c->device_ns, 0);
        again();
    }
}

static void equal_parts_follow_who_runs(void **state)
{
    (void)state;
    policy_set(XG_POLICY_EQUAL);
    struct xg_core_guest *a = add_guest(100), *b = add_guest(100);
    add_worker(a, 1 * MS, 0);
    sim_run(5 * SEC);
    assert_part(a, 0, 5 * SEC, 1);
    uint64_t was = a->device_ns;
    add_worker(b, 1 * MS, 0)->start = NEVER;
    sim->timer = sim->now;
    sim_run(10 * SEC);
    assert_part(a, was, 10 * SEC, 0.5);
    was = a->device_ns;
    xg_core_slot_free(&sim->core, b, 0, sim->now);
    sim->timer = sim->now;
    sim_run(10 * SEC);
    assert_part(a, was, 10 * SEC, 1);
}

/* All of them always have work: nothing is lost. */
static void equal_parts_of_the_busy_use_it_all(void **state)
{
    (void)state;
    for (unsigned i = 0; i < XG_ARRAY_LEN(lengths); i++) {
        policy_set(XG_POLICY_EQUAL);
        for (unsigned n = 0; n < 4; n++)
            add_worker(add_guest(100), lengths[(n + i) % XG_ARRAY_LEN(lengths)], 0);
        sim_run(10 * SEC);
        for (unsigned n = 0; n < 4; n++)
            assert_part(&sim->guest[n], 0, 10 * SEC, 0.25);
        again();
    }
}

/* --- fixed share ------------------------------------------------------------------------------ */

static void a_fixed_part_is_the_same_alone_and_beside_others(void **state)
{
    (void)state;
    for (unsigned i = 0; i < XG_ARRAY_LEN(lengths); i++) {
        policy_set(XG_POLICY_FIXED);
        struct xg_core_guest *a = add_guest(100), *b = add_guest(100);
        a->instances = 4;
        b->instances = 2;
        add_worker(a, lengths[i], 0);
        add_worker(b, 1 * MS, 0)->start = sim->now + 10 * SEC;
        sim_run(10 * SEC);
        assert_part(a, 0, 10 * SEC, 0.25);
        uint64_t was = a->device_ns;
        sim_run(10 * SEC);
        assert_part(a, was, 10 * SEC, 0.25);
        assert_part(b, 0, 10 * SEC, 0.5);
        again();
    }
}

/* More than were to be: each has less, in proportion. */
static void fixed_parts_that_are_too_many_are_cut(void **state)
{
    (void)state;
    policy_set(XG_POLICY_FIXED);
    for (unsigned n = 0; n < 3; n++) {
        add_guest(100)->instances = n ? 2 : 1;
        add_worker(&sim->guest[n], 1 * MS, 0);
    }
    sim_run(10 * SEC);
    assert_part(&sim->guest[0], 0, 10 * SEC, 0.5);
    assert_part(&sim->guest[1], 0, 10 * SEC, 0.25);
    assert_part(&sim->guest[2], 0, 10 * SEC, 0.25);
}

/* --- caps ------------------------------------------------------------------------------------- */

static void a_cap_is_kept_alone_and_beside_others(void **state)
{
    static const uint32_t caps[] = {5, 20, 45, 90};
    (void)state;
    for (unsigned k = 0; k < XG_ARRAY_LEN(caps); k++)
        for (unsigned i = 0; i < XG_ARRAY_LEN(lengths); i++) {
            struct xg_core_guest *a = add_guest(100), *b = add_guest(100);
            a->cap = caps[k];
            double part = caps[k] / 100.;
            add_worker(a, lengths[i], 0);
            struct sim_worker *other = add_worker(b, 1 * MS, 0);
            other->start = sim->now + 10 * SEC;
            sim_run(10 * SEC);
            assert_part(a, 0, 10 * SEC, part);
            uint64_t was = a->device_ns;
            sim_run(10 * SEC);
            assert_part(a, was, 10 * SEC, part < 0.5 ? part : 0.5);
            assert_part(b, 0, 10 * SEC, part < 0.5 ? 1 - part : 0.5); /* what a leaves is b's */
            again();
        }
}

/* The cap is below what its weight would give it; nothing is owed to it for that later. */
static void who_was_capped_is_owed_nothing(void **state)
{
    (void)state;
    struct xg_core_guest *a = add_guest(300), *b = add_guest(100);
    a->cap = 10;
    add_worker(a, 1 * MS, 0);
    add_worker(b, 1 * MS, 0);
    sim_run(20 * SEC);
    assert_part(a, 0, 20 * SEC, 0.1);
    while (!a->spent || !a->wants)
        sim_run(100 * US);
    uint64_t was_a = a->device_ns, was_b = b->device_ns;
    a->cap = 0; /* live */
    sim->timer = sim->now;
    sim_run(2 * SEC);
    assert_part(a, was_a, 2 * SEC, 0.75);
    assert_part(b, was_b, 2 * SEC, 0.25);
}

/* What it did not use it may use later, but no more of it than is averaged over. */
static void a_cap_is_an_average_over_a_window(void **state)
{
    static const uint64_t windows[] = {20 * MS, 100 * MS, 1 * SEC};
    (void)state;
    for (unsigned i = 0; i < XG_ARRAY_LEN(windows); i++) {
        sim->core.config.average_ns = windows[i];
        struct xg_core_guest *a = add_guest(100);
        a->cap = 25;
        add_worker(a, 500 * US, 0)->start = sim->now + 60 * SEC;
        sim_run(60 * SEC);
        uint64_t before = 0;
        for (uint64_t n = 0; n < 5; n++) { /* of which the first is filled by what it did not use */
            sim_run(windows[i]);
            assert_true(a->device_ns - before <= windows[i] / 4 * (n ? 1 : 2) + 3 * MS);
            before = a->device_ns;
        }
        assert_true(before >= windows[i] * 5 / 4);
        again();
    }
}

/* It pays for what it kept: the average is right again after a while. */
static void a_cap_holds_for_who_does_not_yield(void **state)
{
    (void)state;
    struct xg_core_guest *a = add_guest(100);
    a->cap = 25;
    struct sim_worker *w = add_worker(a, 1 * MS, 0);
    w->ignores_yield = true;
    w->stop = sim->now + 2 * SEC;
    sim_run(2 * SEC);
    w->ignores_yield = false;
    w->stop = NEVER;
    w->until = sim->now;
    sim_run(18 * SEC);
    assert_part(a, 0, 20 * SEC, 0.25);
}

/* Nobody waits for it; but who comes later does. */
static void who_is_over_its_cap_is_not_stuck_while_nobody_waits(void **state)
{
    (void)state;
    sim->core.config.stuck_ns = 3 * SEC;
    struct xg_core_guest *a = add_guest(100), *b = add_guest(100);
    a->cap = 25;
    add_worker(a, 60 * SEC, 0);
    add_worker(b, 1 * MS, 0)->start = sim->now + 20 * SEC;
    sim_run(22 * SEC);
    assert_int_equal(sim->told, 0);
    sim_run(2 * SEC);
    assert_int_equal(sim->told, 1);
}

/* One that uses less than its cap is not in the scheduler's way, nor in its own. */
static void below_its_cap_a_guest_is_left_alone(void **state)
{
    (void)state;
    struct xg_core_guest *a = add_guest(100);
    a->cap = 50;
    struct sim_worker *w = add_worker(a, 1 * MS, 3 * MS);
    sim_run(10 * SEC);
    assert_ratio(w->work, 10 * SEC, 0.25, 0.02);
    assert_true(sim->passes < 5000);
}

/* --- long commands ---------------------------------------------------------------------------- */

/* While another keeps the device nobody can use his part: he has it afterwards, whatever limits
 * him, and the other pays. */
static void who_is_kept_waiting_has_his_part_later(void **state)
{
    static const uint64_t longs[] = {50 * MS, 200 * MS, 1 * SEC, 5 * SEC};
    (void)state;
    for (unsigned how = 0; how < 3; how++)
        for (unsigned i = 0; i < XG_ARRAY_LEN(longs); i++) {
            struct xg_core_guest *a = add_guest(100), *b = add_guest(100);
            policy_set(how == 0   ? XG_POLICY_EQUAL
                       : how == 1 ? XG_POLICY_FIXED
                                  : XG_POLICY_BEST_EFFORT);
            a->instances = b->instances = 2;
            a->cap = how == 2 ? 50 : 0;
            add_worker(a, 1 * MS, 0);
            add_worker(b, longs[i], 0);
            sim_run(60 * longs[i]);
            double part = (double)a->device_ns / (double)(60 * longs[i]);
            if (part < 0.48 || part > 0.52)
                fail_msg("limited in way %u, beside commands of %u ms: %.1f %%, not half", how,
                         (unsigned)(longs[i] / MS), 100 * part);
            again();
        }
}

/* No more than that: not what it did not want, nor what others had whose turn it was. */
static void who_was_kept_waiting_is_limited_again(void **state)
{
    (void)state;
    struct xg_core_guest *a = add_guest(100), *b = add_guest(100);
    a->cap = 20;
    add_worker(a, 1 * MS, 0);
    struct sim_worker *w = add_worker(b, 1 * SEC, 0);
    sim_run(20 * SEC);
    w->stop = sim->now;
    sim_run(10 * SEC);
    uint64_t was = a->device_ns;
    sim_run(10 * SEC);
    assert_part(a, was, 10 * SEC, 0.2);
    assert_true(a->device_ns <= 40 * SEC * 21 / 100);
}

/* --- changes ---------------------------------------------------------------------------------- */

static void policies_change_live(void **state)
{
    (void)state;
    struct xg_core_guest *a = add_guest(100), *b = add_guest(300);
    a->instances = b->instances = 5;
    add_worker(a, 1 * MS, 0);
    add_worker(b, 300 * US, 0);
    static const struct {
        enum xg_sched_policy policy;
        double a, b;
    } steps[] = {{XG_POLICY_BEST_EFFORT, 0.25, 0.75}, {XG_POLICY_FIXED, 0.2, 0.2},
                 {XG_POLICY_EQUAL, 0.5, 0.5},         {XG_POLICY_BEST_EFFORT, 0.25, 0.75},
                 {XG_POLICY_EQUAL, 0.5, 0.5},         {XG_POLICY_FIXED, 0.2, 0.2}};
    for (unsigned i = 0; i < XG_ARRAY_LEN(steps); i++) {
        uint64_t was_a = a->device_ns, was_b = b->device_ns;
        policy_set(steps[i].policy);
        sim_run(10 * SEC);
        assert_part(a, was_a, 10 * SEC, steps[i].a);
        assert_part(b, was_b, 10 * SEC, steps[i].b);
    }
}

/* Nobody is woken more often than turns are short. */
static void who_may_have_no_more_is_waited_for_with_a_timer(void **state)
{
    (void)state;
    policy_set(XG_POLICY_FIXED);
    struct xg_core_guest *a = add_guest(100);
    a->instances = 4;
    add_worker(a, 100 * US, 0);
    sim_run(10 * SEC);
    assert_true(sim->passes < 10000);
    assert_true(a->grants > 100);
}

/* --- frames ----------------------------------------------------------------------------------- */

/* Sixty frames a second beside guests that always compute. */
static double frames_on_time(uint64_t frame, unsigned others, uint64_t kernel)
{
    struct sim_worker *w = add_worker(add_guest(100), frame / 10, 0);
    w->every = 10;
    w->period = FRAME;
    w->start = sim->now;
    for (unsigned i = 0; i < others; i++)
        add_worker(add_guest(100), kernel, 0);
    sim_run(20 * SEC);
    return (double)w->on_time / w->frames;
}

static void frames_are_on_time_where_the_share_allows(void **state)
{
    static const uint64_t frames[] = {500 * US, 2 * MS, 4 * MS, 6 * MS, 7500 * US};
    static const uint64_t kernels[] = {100 * US, 1 * MS, 2 * MS, 5 * MS};
    (void)state;
    for (unsigned policy = 0; policy < 2; policy++)
        for (unsigned others = 1; others <= 3; others++)
            for (unsigned f = 0; f < XG_ARRAY_LEN(frames); f++)
                for (unsigned k = 0; k < XG_ARRAY_LEN(kernels); k++) {
                    if (frames[f] * (others + 1) > FRAME * 95 / 100)
                        continue; /* more than its share */
                    policy_set(policy ? XG_POLICY_EQUAL : XG_POLICY_BEST_EFFORT);
                    double part = frames_on_time(frames[f], others, kernels[k]);
                    if (part < 0.9)
                        fail_msg("policy %u, %u others, frames of %u us, kernels of %u us: %.1f %%",
                                 policy, others, (unsigned)(frames[f] / US),
                                 (unsigned)(kernels[k] / US), 100 * part);
                    again();
                }
}

/* Who computes does not fill the device's queue in the pauses between frames; only when there are
 * none any more. */
static void between_frames_little_is_in_flight(void **state)
{
    (void)state;
    struct xg_core_guest *a = add_guest(100), *b = add_guest(100);
    struct sim_worker *w = add_worker(a, 200 * US, 0), *other = add_worker(b, 1 * MS, 0);
    w->every = 10;
    w->period = FRAME;
    w->start = sim->now;
    w->stop = sim->now + 10 * SEC;
    other->flight = 50 * MS;
    sim_run(10 * SEC);
    assert_true(w->on_time >= w->frames * 9 / 10);
    assert_true(other->work > 8500 * MS);
    sim_run(SEC);
    assert_int_equal(other->given, other->flight);
    assert_int_equal(b->page->grant & XG_GRANT_CONTENDED, 0);
}

/* Who sleeps and computes by turns has for that no more than it was entitled to in the ten quanta
 * before. */
static void sleep_earns_no_more_than_ten_quanta(void **state)
{
    static const uint64_t sleeps[] = {10 * MS, 40 * MS, 90 * MS, 500 * MS};
    (void)state;
    for (unsigned i = 0; i < XG_ARRAY_LEN(sleeps); i++) {
        struct xg_core_guest *a = add_guest(100), *b = add_guest(100);
        struct sim_worker *w = add_worker(a, 500 * US, sleeps[i]);
        w->every = 4;
        add_worker(b, 500 * US, 0);
        sim_run(5 * SEC);
        w->gap = 0; /* from now on it computes */
        while (w->state == AWAY)
            sim_run(100 * US);
        for (unsigned quanta = 10; quanta <= 100; quanta += 10) {
            uint64_t was_a = a->device_ns, was_b = b->device_ns;
            sim_run(20 * MS);
            uint64_t got = a->device_ns - was_a, other = b->device_ns - was_b;
            /* ten of its own, two by which one may be ahead, and a piece */
            if (got > other + (quanta == 10 ? 10 * MS : 0) + 5 * MS)
                fail_msg("after sleeps of %u ms, in quanta %u to %u: %u us, the other %u us",
                         (unsigned)(sleeps[i] / MS), quanta - 10, quanta, (unsigned)(got / US),
                         (unsigned)(other / US));
        }
        again();
    }
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(equal_parts_are_not_given_away),
        T(equal_parts_follow_who_runs),
        T(equal_parts_of_the_busy_use_it_all),
        T(a_fixed_part_is_the_same_alone_and_beside_others),
        T(fixed_parts_that_are_too_many_are_cut),
        T(a_cap_is_kept_alone_and_beside_others),
        T(who_was_capped_is_owed_nothing),
        T(a_cap_is_an_average_over_a_window),
        T(a_cap_holds_for_who_does_not_yield),
        T(who_is_over_its_cap_is_not_stuck_while_nobody_waits),
        T(below_its_cap_a_guest_is_left_alone),
        T(who_is_kept_waiting_has_his_part_later),
        T(who_was_kept_waiting_is_limited_again),
        T(policies_change_live),
        T(who_may_have_no_more_is_waited_for_with_a_timer),
        T(frames_are_on_time_where_the_share_allows),
        T(between_frames_little_is_in_flight),
        T(sleep_earns_no_more_than_ten_quanta),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
