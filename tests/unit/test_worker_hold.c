/* Holds of the device: whoever waits for it keeps nothing of it, also if his hold was lent; in the
 * end a hold is there once; a ring that is needed does not wait for its turn. */
/* with: backend/worker/hold.c */
/* san: thread */
#include "backend/worker/internal.h"

#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <time.h>

#include <cmocka.h>

/* --- a scheduler that lets waiting threads go one by one -------------------------------------- */

struct waiters {
    sem_t come, go;
};

struct xg_sched_client {
    _Atomic int users;
    struct waiters owners, lenders;
};

static bool device_wait(struct xg_sched_client *c, struct waiters *w, const _Atomic bool *end)
{
    sem_post(&w->come);
    while (sem_trywait(&w->go)) {
        if (end && atomic_load(end))
            return false;
        nanosleep(&(struct timespec){.tv_nsec = 100000}, NULL);
    }
    c->users++;
    return true;
}

bool xg_sched_acquire(struct xg_sched_client *c, const _Atomic bool *end)
{
    return device_wait(c, &c->owners, end);
}

void xg_sched_acquire_beside(struct xg_sched_client *c)
{
    device_wait(c, &c->lenders, NULL);
}

/* The guest has the device for as long as anybody uses it. */
bool xg_sched_join(struct xg_sched_client *c)
{
    if (!c->users)
        return false;
    c->users++;
    return true;
}

void xg_sched_keep(struct xg_sched_client *c)
{
    c->users++;
}

void xg_sched_release(struct xg_sched_client *c)
{
    c->users--;
}

const _Atomic uint32_t *xg_sched_yield_word(const struct xg_sched_client *c, uint32_t *mask)
{
    static const _Atomic uint32_t never;
    (void)c;
    *mask = 1;
    return &never;
}

/* --- a worker with a ring's hold, and one of work in flight ----------------------------------- */

static struct xg_sched_client client;
static struct xg_worker worker = {.sched = &client, .hold_lock = PTHREAD_MUTEX_INITIALIZER};
static struct xg_hold ring, work;
static struct xg_hold *const both[] = {&work, &ring};
static pthread_t owner, lender;

static int begin(void **state)
{
    struct waiters *all[] = {&client.owners, &client.lenders};

    (void)state;
    for (unsigned i = 0; i < XG_ARRAY_LEN(all); i++) {
        sem_init(&all[i]->come, 0, 0);
        sem_init(&all[i]->go, 0, 0);
    }
    client.users = 0;
    ring = work = (struct xg_hold){0};
    sem_post(&client.owners.go);
    xg_hold_take(&worker, &ring);
    sem_wait(&client.owners.come);
    xg_hold_keep(&worker, &work);
    return client.users != 2;
}

static int end(void **state)
{
    (void)state;
    xg_hold_drop(&worker, &ring);
    xg_hold_drop(&worker, &work);
    return client.users != 0;
}

static void *lend(void *arg)
{
    (void)arg;
    xg_hold_lend(&worker, both, XG_ARRAY_LEN(both));
    return NULL;
}

static void *take(void *arg)
{
    (void)arg;
    xg_hold_take(&worker, &ring);
    return NULL;
}

static void *ring_hold(void *arg)
{
    xg_worker_hold(arg);
    return NULL;
}

static bool thread_ended(pthread_t t)
{
    struct timespec end;

    clock_gettime(CLOCK_REALTIME, &end);
    end.tv_sec += 5;
    return pthread_timedjoin_np(t, NULL, &end) == 0;
}

static void lend_begin(void)
{
    assert_int_equal(pthread_create(&lender, NULL, lend, NULL), 0);
    sem_wait(&client.lenders.come);
    assert_int_equal(client.users, 0);
}

static void lend_end(void)
{
    sem_post(&client.lenders.go);
    pthread_join(lender, NULL);
}

static void take_begin(void)
{
    assert_int_equal(pthread_create(&owner, NULL, take, NULL), 0);
    sem_wait(&client.owners.come);
}

static void take_end(void)
{
    sem_post(&client.owners.go);
    pthread_join(owner, NULL);
}

static void lent_and_back(void **state)
{
    (void)state;
    lend_begin();
    lend_end();
    assert_true(xg_hold_held(&ring) && xg_hold_held(&work));
    assert_int_equal(client.users, 2);
    xg_hold_take(&worker, &ring);
    assert_int_equal(client.users, 2);
}

/* The device was here, woke the lender only, and has been asked for again: the ring's thread must
 * not have it while it waits, nobody else could give it back. */
static void who_waits_keeps_nothing(void **state)
{
    (void)state;
    lend_begin();
    take_begin();
    lend_end();
    int with_work = client.users;
    xg_hold_drop(&worker, &work);
    int without = client.users;
    take_end();
    assert_int_equal(with_work, 1);
    assert_int_equal(without, 0);
    assert_true(xg_hold_held(&ring));
    assert_int_equal(client.users, 1);
}

static void owner_first(void **state)
{
    (void)state;
    lend_begin();
    take_begin();
    take_end();
    assert_int_equal(client.users, 1);
    lend_end();
    assert_true(xg_hold_held(&ring) && xg_hold_held(&work));
    assert_int_equal(client.users, 2);
}

/* Work that is submitted while its own hold is waited for: a host function has ended. */
static void kept_meanwhile(void **state)
{
    (void)state;
    xg_hold_drop(&worker, &ring);
    take_begin();
    xg_hold_keep(&worker, &ring);
    assert_int_equal(client.users, 2);
    take_end();
    assert_int_equal(client.users, 2);
}

/* Work that has the device has come to something that only the ring's thread can end. */
static void needed_while_it_waits(void **state)
{
    struct xg_worker_ring_private priv = {.started = true};
    struct xg_worker_ring r = {.worker = &worker, .priv = &priv};

    (void)state;
    xg_ring_needed_soon(&r);
    assert_int_equal(pthread_create(&owner, NULL, ring_hold, &r), 0);
    sem_wait(&client.owners.come);
    assert_false(xg_hold_held(&priv.hold));
    xg_ring_needed(&r, true);
    bool in_time = thread_ended(owner);
    if (!in_time)
        take_end();
    assert_true(in_time);
    assert_true(xg_hold_held(&priv.hold));
    assert_int_equal(client.users, 3);
    xg_ring_needed(&r, false);
    xg_worker_unhold(&r);
    assert_int_equal(client.users, 2);
}

/* ... but the device is not there to be joined. */
static void needed_without_the_device(void **state)
{
    struct xg_worker_ring_private priv = {.started = true};
    struct xg_worker_ring r = {.worker = &worker, .priv = &priv};

    (void)state;
    end(NULL);
    xg_ring_needed_soon(&r);
    xg_ring_needed(&r, true);
    assert_int_equal(pthread_create(&owner, NULL, ring_hold, &r), 0);
    for (unsigned i = 0; i < 3; i++)
        sem_wait(&client.owners.come);
    assert_false(xg_hold_held(&priv.hold));
    take_end();
    assert_int_equal(client.users, 1);
    xg_worker_unhold(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(lent_and_back, begin, end),
        cmocka_unit_test_setup_teardown(who_waits_keeps_nothing, begin, end),
        cmocka_unit_test_setup_teardown(owner_first, begin, end),
        cmocka_unit_test_setup_teardown(kept_meanwhile, begin, end),
        cmocka_unit_test_setup_teardown(needed_while_it_waits, begin, end),
        cmocka_unit_test_setup_teardown(needed_without_the_device, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
