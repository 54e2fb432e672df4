/* The scheduler with clients on threads that hold the device for given times: shares, weights,
 * sleepers, the dead, the greedy, memory. A "kernel" sleeps while it holds, so that the machine's
 * own load matters little: what threads waited for a processor, by the kernel's count, is allowed
 * for. Sizes and times are far apart: the limit is 5 %. */
/* links: obj/libsched.a obj/libprotocol.a */
/* limit: 120 */
#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "backend/sched/scheduler.h"

static void sleep_ns(uint64_t ns)
{
    struct timespec ts = {(time_t)(ns / 1000000000u), (long)(ns % 1000000000u)};
    nanosleep(&ts, NULL);
}

static bool must_yield(const struct xg_sched_client *c)
{
    uint32_t mask;
    const _Atomic uint32_t *word = xg_sched_yield_word(c, &mask);

    return atomic_load_explicit(word, memory_order_relaxed) & mask;
}

/* One guest with one worker that always has work. */
struct actor {
    struct xg_sched_guest *guest;
    uint64_t kernel_ns; /* how long each command holds the device */
    uint64_t gap_ns;    /* between commands: a guest that waits for each */
    bool keeps;         /* releases only when it must (a deep queue) */
    bool stop;
    pthread_t thread;
    uint64_t commands;
};

static void *actor_run(void *arg)
{
    struct actor *a = arg;
    struct xg_sched_client *c;
    int slot = xg_sched_slot_take(a->guest);

    if (slot < 0 || xg_sched_client_create(xg_sched_guest_page_fd(a->guest),
                                           xg_sched_guest_kick_fd(a->guest), (uint32_t)slot, &c))
        abort();
    bool held = false;
    while (!__atomic_load_n(&a->stop, __ATOMIC_RELAXED)) {
        if (held && (!a->keeps || must_yield(c))) {
            xg_sched_release(c);
            held = false;
        }
        if (!held && a->gap_ns)
            sleep_ns(a->gap_ns);
        if (!held)
            xg_sched_acquire(c, NULL);
        held = true;
        sleep_ns(a->kernel_ns);
        a->commands++;
    }
    if (held)
        xg_sched_release(c);
    xg_sched_client_destroy(c);
    xg_sched_slot_free(a->guest, (uint32_t)slot);
    return NULL;
}

static uint64_t device_time(struct xg_sched_guest *g)
{
    struct xg_sched_stats st;
    xg_sched_guest_stats(g, &st);
    return st.device_time_ns;
}

/* How long the threads of this process have waited for a processor, all together. */
static uint64_t processor_wait(void)
{
    DIR *d = opendir("/proc/self/task");
    uint64_t total = 0;

    for (struct dirent *e; d && (e = readdir(d));) {
        unsigned long long ran, waited;
        char path[300];
        snprintf(path, sizeof(path), "/proc/self/task/%s/schedstat", e->d_name);
        FILE *f = fopen(path, "re");
        if (f && fscanf(f, "%llu %llu", &ran, &waited) == 2)
            total += waited;
        if (f)
            fclose(f);
    }
    if (d)
        closedir(d);
    return total;
}

static double busy; /* what part of the device time of the last competition that was */

/* Runs the actors together; share[i] gets each one's part of the device time, all together 1. */
static void compete(struct actor *a, const uint32_t *weight, unsigned n, uint64_t ns, double *share)
{
    struct xg_sched *s;
    uint64_t total = 0, time[4], waited = processor_wait();

    assert_int_equal(xg_sched_create(&(struct xg_sched_config){0}, &s), 0);
    for (unsigned i = 0; i < n; i++)
        assert_int_equal(xg_sched_guest_add(s, weight[i], 0, &a[i], &a[i].guest), 0);
    for (unsigned i = 0; i < n; i++)
        pthread_create(&a[i].thread, NULL, actor_run, &a[i]);
    uint64_t start = xg_now_ns();
    sleep_ns(ns);
    for (unsigned i = 0; i < n; i++)
        total += time[i] = device_time(a[i].guest);
    ns = xg_now_ns() - start; /* more, on a busy machine */
    waited = processor_wait() - waited;
    busy = (double)waited / (double)total;
    for (unsigned i = 0; i < n; i++)
        __atomic_store_n(&a[i].stop, true, __ATOMIC_RELAXED);
    for (unsigned i = 0; i < n; i++)
        pthread_join(a[i].thread, NULL);
    for (unsigned i = 0; i < n; i++) {
        share[i] = (double)time[i] / (double)total;
        xg_sched_guest_remove(a[i].guest);
    }
    xg_sched_destroy(s);
    /* At most one had the device at a time, and it was used nearly all the time. */
    assert_true(total <= ns + ns / 20);
    assert_true(total + waited >= ns - ns / 10);
}

static void assert_near(double a, double b)
{
    bool near = a >= b * 0.95 - busy && a <= b * 1.05 + busy;
    if (!near)
        print_error("share %.3f, not %.3f; waited for a processor: %.3f\n", a, b, busy);
    assert_true(near);
}

static void equal_guests_equal_kernels(void **state)
{
    struct actor a[2] = {{.kernel_ns = 300000, .keeps = true},
                         {.kernel_ns = 300000, .keeps = true}};
    double share[2];
    compete(a, (uint32_t[]){100, 100}, 2, 2000000000, share);
    assert_near(share[0], 0.5);
}

static void small_against_large_kernels(void **state)
{
    struct actor a[2] = {{.kernel_ns = 100000, .keeps = true},
                         {.kernel_ns = 20000000, .keeps = true}};
    double share[2];
    compete(a, (uint32_t[]){100, 100}, 2, 3000000000, share);
    assert_near(share[0], 0.5);
}

/* It waits for each of its small kernels, so it never has a queue: still half is its. */
static void synchronous_against_queued(void **state)
{
    struct actor a[2] = {{.kernel_ns = 200000, .gap_ns = 1},
                         {.kernel_ns = 10000000, .keeps = true}};
    double share[2];
    compete(a, (uint32_t[]){100, 100}, 2, 3000000000, share);
    assert_near(share[0], 0.5);
}

static void weights_one_to_three(void **state)
{
    struct actor a[2] = {{.kernel_ns = 500000, .keeps = true},
                         {.kernel_ns = 3000000, .keeps = true}};
    double share[2];
    compete(a, (uint32_t[]){100, 300}, 2, 3000000000, share);
    assert_near(share[0], 0.25);
    assert_near(share[1], 0.75);
}

static void four_guests(void **state)
{
    struct actor a[4] = {{.kernel_ns = 100000, .keeps = true},
                         {.kernel_ns = 1000000, .keeps = true},
                         {.kernel_ns = 5000000, .keeps = true},
                         {.kernel_ns = 2000000, .keeps = true}};
    double share[4];
    compete(a, (uint32_t[]){100, 200, 300, 400}, 4, 4000000000, share);
    for (int i = 0; i < 4; i++)
        assert_near(share[i], 0.1 * (i + 1));
}

/* Alone: no interference, no asking for it back, and idle time is not charged. */
static void alone(void **state)
{
    struct xg_sched *s;
    struct xg_sched_guest *g;
    struct xg_sched_client *c;
    struct xg_sched_stats st;
    uint64_t held = 0;

    assert_int_equal(xg_sched_create(&(struct xg_sched_config){0}, &s), 0);
    assert_int_equal(xg_sched_guest_add(s, 100, 0, NULL, &g), 0);
    int slot = xg_sched_slot_take(g);
    assert_true(slot >= 0);
    assert_int_equal(xg_sched_client_create(xg_sched_guest_page_fd(g), xg_sched_guest_kick_fd(g),
                                            (uint32_t)slot, &c),
                     0);
    for (int i = 0; i < 20; i++) {
        uint64_t start = xg_now_ns();
        xg_sched_acquire(c, NULL);
        xg_sched_keep(c);
        xg_sched_release(c);
        sleep_ns(2000000);
        assert_false(must_yield(c));
        assert_false(xg_sched_contended(c));
        xg_sched_release(c);
        held += xg_now_ns() - start;
        sleep_ns(20000000);
    }
    xg_sched_guest_stats(g, &st);
    assert_int_equal(st.grants, 1);
    assert_true(st.device_time_ns >= 40000000 && st.device_time_ns <= held);
    xg_sched_client_destroy(c);
    xg_sched_slot_free(g, (uint32_t)slot);
    xg_sched_guest_remove(g);
    xg_sched_destroy(s);
}

/* A worker dies while it holds: the next has the device at once. */
static void the_dead_hold_nothing(void **state)
{
    struct xg_sched *s;
    struct xg_sched_guest *g[2];
    struct xg_sched_client *c[2];
    int slot[2];

    assert_int_equal(xg_sched_create(&(struct xg_sched_config){0}, &s), 0);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(xg_sched_guest_add(s, 100, 0, NULL, &g[i]), 0);
        slot[i] = xg_sched_slot_take(g[i]);
        assert_int_equal(xg_sched_client_create(xg_sched_guest_page_fd(g[i]),
                                                xg_sched_guest_kick_fd(g[i]), (uint32_t)slot[i],
                                                &c[i]),
                         0);
    }
    xg_sched_acquire(c[0], NULL);
    xg_sched_keep(c[0]);
    assert_int_equal(xg_sched_memory_charge(c[0], 1000), 0);
    xg_sched_client_destroy(c[0]); /* without releasing: killed */
    xg_sched_slot_free(g[0], (uint32_t)slot[0]);
    xg_sched_acquire(c[1], NULL); /* the runner's time limit is the test */
    xg_sched_release(c[1]);
    struct xg_sched_stats st;
    xg_sched_guest_stats(g[0], &st);
    assert_int_equal(st.memory_bytes, 0);
    xg_sched_client_destroy(c[1]);
    xg_sched_slot_free(g[1], (uint32_t)slot[1]);
    for (int i = 0; i < 2; i++)
        xg_sched_guest_remove(g[i]);
    xg_sched_destroy(s);
}

struct quitter {
    struct xg_sched_client *client;
    _Atomic bool end, got;
};

static void *quitter_run(void *arg)
{
    struct quitter *q = arg;
    q->got = xg_sched_acquire(q->client, &q->end);
    return NULL;
}

/* Who stops waiting has not got it and does not want it; what was asked for him is taken back. */
static void one_gives_up(void **state)
{
    struct xg_sched *s;
    struct xg_sched_guest *g[2];
    struct xg_sched_client *c[2];
    struct xg_sched_stats st;
    struct quitter q = {0};
    pthread_t thread;
    int slot[2];

    (void)state;
    assert_int_equal(xg_sched_create(&(struct xg_sched_config){0}, &s), 0);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(xg_sched_guest_add(s, 100, 0, NULL, &g[i]), 0);
        slot[i] = xg_sched_slot_take(g[i]);
        assert_int_equal(xg_sched_client_create(xg_sched_guest_page_fd(g[i]),
                                                xg_sched_guest_kick_fd(g[i]), (uint32_t)slot[i],
                                                &c[i]),
                         0);
    }
    xg_sched_acquire(c[0], NULL);
    q.client = c[1];
    pthread_create(&thread, NULL, quitter_run, &q);
    while (!must_yield(c[0])) /* the runner's time limit is the test */
        sleep_ns(1000000);
    q.end = true;
    pthread_join(thread, NULL);
    assert_false(q.got);
    while (must_yield(c[0]))
        sleep_ns(1000000);
    xg_sched_guest_stats(g[1], &st);
    assert_false(st.holds || st.wants);
    assert_int_equal(st.grants, 0);
    xg_sched_release(c[0]);
    xg_sched_acquire(c[1], NULL);
    xg_sched_release(c[1]);
    for (int i = 0; i < 2; i++) {
        xg_sched_client_destroy(c[i]);
        xg_sched_slot_free(g[i], (uint32_t)slot[i]);
        xg_sched_guest_remove(g[i]);
    }
    xg_sched_destroy(s);
}

static unsigned stuck_calls;
static void on_stuck(void *arg, uint32_t slot)
{
    stuck_calls++;
    assert_ptr_equal(arg, &stuck_calls);
}

/* One that never gives it back pays for all of it, and is reported. */
static void the_greedy_are_reported(void **state)
{
    struct xg_sched *s;
    struct xg_sched_config config = {.stuck_ns = 200000000};
    struct xg_sched_guest *g;
    struct xg_sched_client *c;
    struct actor other = {.kernel_ns = 100000};

    assert_int_equal(xg_sched_create(&config, &s), 0);
    assert_int_equal(xg_sched_guest_add(s, 100, 0, &stuck_calls, &g), 0);
    assert_int_equal(xg_sched_guest_add(s, 100, 0, &other, &other.guest), 0);
    int slot = xg_sched_slot_take(g);
    assert_int_equal(xg_sched_client_create(xg_sched_guest_page_fd(g), xg_sched_guest_kick_fd(g),
                                            (uint32_t)slot, &c),
                     0);
    xg_sched_acquire(c, NULL);
    pthread_create(&other.thread, NULL, actor_run, &other);
    struct pollfd p = {.fd = xg_sched_stuck_fd(s), .events = POLLIN};
    uint64_t start = xg_now_ns();
    assert_int_equal(poll(&p, 1, 5000), 1);
    uint64_t waited = xg_now_ns() - start;
    xg_sched_stuck(s, on_stuck);
    assert_int_equal(stuck_calls, 1);
    xg_sched_stuck(s, on_stuck);
    assert_int_equal(stuck_calls, 1);
    assert_true(device_time(g) >= waited * 9 / 10);
    assert_int_equal(other.commands, 0);
    xg_sched_client_destroy(c); /* the broker kills it */
    xg_sched_slot_free(g, (uint32_t)slot);
    sleep_ns(50000000);
    __atomic_store_n(&other.stop, true, __ATOMIC_RELAXED);
    pthread_join(other.thread, NULL);
    assert_true(other.commands > 0);
    xg_sched_guest_remove(g);
    xg_sched_guest_remove(other.guest);
    xg_sched_destroy(s);
}

static void memory_is_the_guests(void **state)
{
    struct xg_sched *s;
    struct xg_sched_guest *g;
    struct xg_sched_client *c[2];
    int slot[2];

    assert_int_equal(xg_sched_create(&(struct xg_sched_config){0}, &s), 0);
    assert_int_equal(xg_sched_guest_add(s, 100, 1000, NULL, &g), 0);
    for (int i = 0; i < 2; i++) {
        slot[i] = xg_sched_slot_take(g);
        assert_int_equal(xg_sched_client_create(xg_sched_guest_page_fd(g),
                                                xg_sched_guest_kick_fd(g), (uint32_t)slot[i],
                                                &c[i]),
                         0);
    }
    assert_int_equal(xg_sched_memory_charge(c[0], 600), 0);
    assert_int_equal(xg_sched_memory_charge(c[1], 401), -ENOMEM);
    assert_int_equal(xg_sched_memory_charge(c[1], 400), 0);
    assert_int_equal(xg_sched_memory_used(c[0]), 1000);
    assert_int_equal(xg_sched_memory_limit(c[1]), 1000);
    xg_sched_guest_set(g, 100, 2000);
    assert_int_equal(xg_sched_memory_charge(c[1], 500), 0);
    xg_sched_client_destroy(c[0]);
    xg_sched_slot_free(g, (uint32_t)slot[0]); /* dies with 600 */
    assert_int_equal(xg_sched_memory_used(c[1]), 900);
    xg_sched_client_destroy(c[1]);
    xg_sched_slot_free(g, (uint32_t)slot[1]);
    xg_sched_guest_remove(g);
    xg_sched_destroy(s);
}

static void slots_run_out(void **state)
{
    struct xg_sched *s;
    struct xg_sched_guest *g;
    assert_int_equal(xg_sched_create(&(struct xg_sched_config){0}, &s), 0);
    assert_int_equal(xg_sched_guest_add(s, 100, 0, NULL, &g), 0);
    for (unsigned i = 0; i < XG_SCHED_SLOTS; i++)
        assert_int_equal(xg_sched_slot_take(g), i);
    assert_int_equal(xg_sched_slot_take(g), -EBUSY);
    xg_sched_slot_free(g, 7);
    assert_int_equal(xg_sched_slot_take(g), 7);
    xg_sched_guest_remove(g);
    xg_sched_destroy(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_guests_equal_kernels),
        cmocka_unit_test(small_against_large_kernels),
        cmocka_unit_test(synchronous_against_queued),
        cmocka_unit_test(weights_one_to_three),
        cmocka_unit_test(four_guests),
        cmocka_unit_test(alone),
        cmocka_unit_test(the_dead_hold_nothing),
        cmocka_unit_test(one_gives_up),
        cmocka_unit_test(the_greedy_are_reported),
        cmocka_unit_test(memory_is_the_guests),
        cmocka_unit_test(slots_run_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
