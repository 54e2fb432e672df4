/* Waits that end by themselves do so whatever becomes of the system's time. */
/* limit: 10 */
#include "protocol/cond.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

/* In place of libc's: the time of day is a day ahead of what the kernel says by now, as when
 * somebody has set it back. */
int clock_gettime(clockid_t clock, struct timespec *ts)
{
    long rc = syscall(SYS_clock_gettime, clock, ts);

    if (clock == CLOCK_REALTIME)
        ts->tv_sec += 24 * 3600;
    return (int)rc;
}

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER, other = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;

static void *hold(void *arg)
{
    (void)arg;
    pthread_mutex_lock(&other);
    pthread_mutex_lock(&lock); /* until the test is over */
    pthread_mutex_unlock(&lock);
    pthread_mutex_unlock(&other);
    return NULL;
}

static void waits_end(void **state)
{
    pthread_t thread;

    (void)state;
    pthread_mutex_lock(&lock);
    assert_int_equal(xg_cond_wait_ns(&cond, &lock, 1000000), ETIMEDOUT);
    struct timespec deadline = xg_deadline(1000000);
    assert_int_equal(xg_cond_wait_until(&cond, &lock, &deadline), ETIMEDOUT);

    pthread_create(&thread, NULL, hold, NULL);
    while (pthread_mutex_trylock(&other) == 0) {
        pthread_mutex_unlock(&other);
        usleep(1000);
    }
    assert_int_equal(xg_mutex_lock_ns(&other, 1000000), ETIMEDOUT);
    pthread_mutex_unlock(&lock);
    pthread_join(thread, NULL);
    assert_int_equal(xg_mutex_lock_ns(&other, 1000000), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(waits_end)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
