/* What an application sees when there is no agent, when its worker dies, when it breaks the
 * protocol, and after fork. */
/* links: obj/libfrontend.a obj/libworker.a obj/libprotocol.a -lseccomp -lxengnttab -lxenevtchn */
#include <errno.h>
#include <stdarg.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stddef.h>
#include <cmocka.h>

#include "tests/unit/loopback.h"

static const struct xg_geometry geometry = {
    .ring_count = 2, .cmd_order = XG_CMD_ORDER_MIN, .reply_order = 1, .arena_pages = 64};

/* Each case opens the process's one channel: so each is a process. */
static void in_child(void (*fn)(void))
{
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        alarm(20);
        fn();
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

#define CHECK(x)                                                                                   \
    do {                                                                                           \
        if (!(x)) {                                                                                \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #x);                                \
            _exit(1);                                                                              \
        }                                                                                          \
    } while (0)

static int null_call(struct xg_ring *r)
{
    uint32_t ticket;
    xg_ring_begin_call(r, XG_OP_NULL, 0, &ticket);
    xg_ring_publish(r);
    return xg_ring_wait(r, ticket, NULL, 0, NULL);
}

static void use_dead_channel(struct xg_channel *ch)
{
    struct xg_ring *r = xg_channel_ring0(ch);
    static uint8_t data[9000];
    for (int i = 0; i < 100000; i++) {
        memset(xg_ring_begin(r, XG_OP_NULL, 64), 0xaa, 64);
        xg_ring_end(r);
    }
    void *p = xg_ring_begin(r, XG_OP_ECHO, xg_blob_room(sizeof(data)));
    xg_blob_put(r, p, data, sizeof(data));
    xg_ring_publish(r);
    CHECK(null_call(r) == -ENODEV);
    CHECK(xg_ring_wait_done(r, xg_ring_position(r)) == -ENODEV);
    CHECK(xg_channel_ring_acquire(ch) != NULL);
}

static void no_agent(void)
{
    setenv("XENGPU_SOCKET", "/nonexistent/agent.sock", 1);
    struct xg_channel *ch = xg_channel_get();
    CHECK(xg_channel_error(ch) == -ENODEV);
    CHECK(strstr(xg_channel_error_text(ch), "/nonexistent/agent.sock"));
    CHECK(strstr(xg_channel_error_text(ch), "xengpu run"));
    use_dead_channel(ch);
}

static int lost_calls;
static void on_lost(void *arg)
{
    lost_calls++;
}

static void *hang_up_soon(void *arg)
{
    struct loopback *lb = arg;
    usleep(50000);
    kill(lb->worker, SIGKILL);
    loopback_reap(lb);
    close(lb->agent_socket); /* as the agent does when the broker tells it */
    return NULL;
}

static void worker_dies(void)
{
    struct loopback *lb = loopback_start(geometry, false);
    struct xg_channel *ch = xg_channel_get();
    struct xg_ring *r = xg_channel_ring0(ch);
    pthread_t t;

    CHECK(null_call(r) == 0);
    CHECK(xg_channel_on_lost(ch, on_lost, NULL) == 0);
    pthread_create(&t, NULL, hang_up_soon, lb);
    uint64_t start = xg_now_ns();
    uint64_t *ns = xg_ring_begin(r, XG_OP_BURN, 8);
    *ns = 900000000;
    CHECK(null_call(r) == -ENODEV); /* sleeps while it happens */
    CHECK(xg_now_ns() - start < 800000000);
    CHECK(xg_channel_error(ch) == -EPIPE);
    CHECK(lost_calls == 1);
    use_dead_channel(ch);
    CHECK(lost_calls == 1);
    pthread_join(t, NULL);
}

static void protocol_error(void)
{
    struct loopback *lb = loopback_start(geometry, false);
    struct xg_ring *r = xg_channel_ring0(xg_channel_get());

    CHECK(null_call(r) == 0);
    xg_ring_begin(r, XG_OP_ECHO, 0); /* without its blob */
    CHECK(null_call(r) == -ENODEV);
    CHECK(loopback_reap(lb) == XG_WORKER_EXIT_PROTOCOL);
    CHECK(strstr(xg_channel_error_text(xg_channel_get()), "protocol error"));
}

static void fork_leaves_the_parent_alone(void)
{
    loopback_start(geometry, false);
    struct xg_channel *ch = xg_channel_get();
    struct xg_ring *r = xg_channel_ring0(ch);
    uint64_t generation = xg_channel_generation();
    int status;

    CHECK(null_call(r) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        CHECK(xg_channel_generation() != generation);
        use_dead_channel(ch); /* what it inherited is dead, and private */
        setenv("XENGPU_SOCKET", "/nonexistent/agent.sock", 1);
        CHECK(xg_channel_get() != ch);
        CHECK(xg_channel_error(xg_channel_get()) == -ENODEV);
        _exit(0);
    }
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
    CHECK(xg_channel_generation() == generation);
    for (int i = 0; i < 100; i++)
        CHECK(null_call(r) == 0);
}

static void test_no_agent(void **state)
{
    in_child(no_agent);
}
static void test_worker_dies(void **state)
{
    in_child(worker_dies);
}
static void test_protocol_error(void **state)
{
    in_child(protocol_error);
}
static void test_fork(void **state)
{
    in_child(fork_leaves_the_parent_alone);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_agent),
        cmocka_unit_test(test_worker_dies),
        cmocka_unit_test(test_protocol_error),
        cmocka_unit_test(test_fork),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
