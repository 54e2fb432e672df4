/* softcuda's gate: while the device is given away nothing is inside; nobody is forgotten there;
 * what is asked and taken back stops nobody for long. */
/* san: thread */
/* links: obj/libsoftcuda_driver.a obj/libscptx.a obj/libcuda_api.a obj/libcuda_common.a -lzstd -llz4 -lm */
#include "softcuda/preempt.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <time.h>

#include <cmocka.h>

enum { THREADS = 4, TURNS = 300, ASKED = 1 };

static _Atomic uint32_t word;
static atomic_int working, violations;
static atomic_uint yields, rounds;
static atomic_bool ending;

static void pause_ns(long ns)
{
    nanosleep(&(struct timespec){0, ns}, NULL);
}

/* The scheduler takes the word back when it has the device, and gives it again. */
static void yielded(void *arg)
{
    (void)arg;
    violations += working != 0;
    atomic_store(&word, 0);
    pause_ns(50000);
    violations += working != 0;
    atomic_fetch_add(&yields, 1);
}

static void *work(void *arg)
{
    (void)arg;
    while (!ending) {
        sc_gate_enter();
        for (unsigned i = 0; i < 20; i++) {
            working++;
            for (volatile unsigned n = 0; n < 500; n++)
                ;
            working--;
            sc_gate_pass();
        }
        sc_gate_leave();
        rounds++;
    }
    return NULL;
}

static void start(pthread_t *thread)
{
    const struct softcuda_gate gate = {.word = &word, .mask = ASKED, .yield = yielded};

    word = 0;
    yields = rounds = 0;
    violations = 0;
    ending = false;
    softcuda_gate_set(&gate);
    for (unsigned i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, work, NULL), 0);
}

static void end(pthread_t *thread)
{
    ending = true;
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(thread[i], NULL);
    sc_gate = (struct softcuda_gate){0};
    assert_int_equal(violations, 0);
}

static void nothing_is_inside_while_it_is_away(void **state)
{
    pthread_t thread[THREADS];

    (void)state;
    start(thread);
    for (unsigned i = 0; i < TURNS; i++) {
        atomic_store(&word, ASKED);
        while (word)
            pause_ns(20000);
    }
    unsigned was = rounds;
    while (rounds - was < THREADS * 10)
        pause_ns(100000);
    end(thread);
    assert_int_equal(yields, TURNS);
    assert_true(sc_gate_stopped_ns() >= TURNS * 100000ull / 2);
}

static void asked_and_taken_back(void **state)
{
    pthread_t thread[THREADS];

    (void)state;
    start(thread);
    for (unsigned i = 0; i < TURNS; i++) {
        atomic_store(&word, ASKED);
        if (i % 3)
            pause_ns(1000 * (i % 50));
        atomic_store(&word, 0);
    }
    unsigned was = rounds;
    while (rounds - was < THREADS * 10)
        pause_ns(100000);
    end(thread);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_inside_while_it_is_away),
        cmocka_unit_test(asked_and_taken_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
