/* The workers' side of the scheduler, on a page that the test grants: who may come in while the
 * device is asked for. */
/* links: obj/libsched.a obj/libprotocol.a */
#include "backend/sched/page.h"

#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define ASKED (XG_GRANT_YIELD | XG_GRANT_KICK | XG_GRANT_CONTENDED)

/* Two workers of one guest. */
static struct xg_sched_page *page;
static struct xg_sched_client *worker, *other;
static int page_fd, kick_fd;

static int begin(void **state)
{
    (void)state;
    page_fd = memfd_create("page", MFD_CLOEXEC);
    kick_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (page_fd < 0 || kick_fd < 0 || ftruncate(page_fd, sizeof(*page)) < 0)
        return -1;
    page = mmap(NULL, sizeof(*page), PROT_READ | PROT_WRITE, MAP_SHARED, page_fd, 0);
    return page == MAP_FAILED || xg_sched_client_create(page_fd, kick_fd, 0, &worker) ||
           xg_sched_client_create(page_fd, kick_fd, 1, &other);
}

static int end(void **state)
{
    (void)state;
    xg_sched_client_destroy(worker);
    xg_sched_client_destroy(other);
    munmap(page, sizeof(*page));
    close(page_fd);
    close(kick_fd);
    return 0;
}

static void grant(uint32_t flags)
{
    uint32_t old = atomic_load(&page->grant) & ~(XG_GRANT_SEQUENCE - 1);

    atomic_store(&page->grant, old + XG_GRANT_SEQUENCE + flags);
    if (flags & XG_GRANT_HELD)
        syscall(SYS_futex, &page->grant, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

static void pause_ns(long ns)
{
    nanosleep(&(struct timespec){.tv_nsec = ns}, NULL);
}

static void *beside(void *arg)
{
    (void)arg;
    xg_sched_acquire_beside(worker);
    return NULL;
}

/* One that comes beside the other worker's users would not be seen by a thread of its own worker
 * that waits for the next turn, and could wait for that one. */
static void joins_its_own_only(void **state)
{
    pthread_t waiter;

    (void)state;
    grant(XG_GRANT_HELD);
    xg_sched_acquire(other, NULL);
    grant(ASKED);
    assert_int_equal(pthread_create(&waiter, NULL, beside, NULL), 0);
    while (!page->slot[0].wanters)
        pause_ns(100000);
    pause_ns(20000000); /* until it sleeps */
    bool joined = xg_sched_join(worker);
    uint32_t users = page->slot[0].users;
    grant(XG_GRANT_HELD);
    pthread_join(waiter, NULL);
    assert_false(joined);
    assert_int_equal(users, 0);
    assert_int_equal(page->slot[0].users, 1);
    grant(ASKED);
    assert_true(xg_sched_join(worker));
    assert_int_equal(page->slot[0].users, 2);
}

static void joins_what_is_held(void **state)
{
    (void)state;
    assert_false(xg_sched_join(worker));
    grant(XG_GRANT_HELD);
    assert_true(xg_sched_join(worker));
    assert_int_equal(page->slot[0].users, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(joins_its_own_only, begin, end),
        cmocka_unit_test_setup_teardown(joins_what_is_held, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
