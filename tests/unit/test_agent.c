/* The guest agent on a platform in memory: what it does when shared pages run out, when the daemon
 * dies, is stopped or takes the device away, when the guest is resumed, and that one application's
 * trouble is not another's.
 */
/* with: frontend/agent/app.c frontend/agent/device.c tests/unit/fake_platform.c */
/* links: obj/libprotocol.a */
#include "frontend/agent/agent.h"
#include "protocol/fdpass.h"
#include "tests/unit/fake_platform.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#define OURS XG_RELEASE " speaks version " XG_PROTOCOL_VERSION_TEXT

static char log_text[512];

void agent_log_at(enum xg_log_level level, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(log_text, sizeof(log_text), fmt, ap);
    va_end(ap);
}

/* --- the agent and the daemon ----------------------------------------------------------------- */

#define BACK  "/local/domain/0/backend/xengpu/1/0"
#define FRONT "device/xengpu/0"

static struct agent a;
static struct xg_guest_platform guest;
static char directory[] = "/tmp/agent-XXXXXX";
static char socket_path[64];

static void pump(void)
{
    struct epoll_event ev;
    while (epoll_wait(a.epoll, &ev, 1, 0) > 0) {
        if (ev.data.ptr == &a.listener)
            apps_accept(&a);
        else
            app_event(&a, ev.data.ptr);
    }
}

/* The daemon answers what there is in the control ring: every OPEN and CLOSE succeeds. */
static void daemon_serve(void)
{
    struct xg_control_page *p = a.page;
    while (p && p->req_cons != p->req_prod) {
        struct xg_control_request *rq = &p->request[p->req_cons % XG_CONTROL_REQUESTS];
        struct xg_control_message *m = &p->message[p->msg_prod % XG_CONTROL_MESSAGES];
        *m = (struct xg_control_message){
            .type = XG_CONTROL_REPLY, .op = rq->op, .id = rq->id, .channel = rq->channel};
        p->req_cons++;
        p->msg_prod++;
        device_messages(&a);
    }
}

static void back_state(const char *state)
{
    fake_set(BACK "/state", state);
    device_update(&a);
}

static void connect_device(void)
{
    back_state("1");
    back_state("2");
    assert_string_equal(fake_node(FRONT "/state", true), "3");
    a.page->back_alive = 1;
    back_state("4");
    assert_string_equal(fake_node(FRONT "/state", true), "4");
    assert_true(device_ready(&a));
}

static void setup_nodes(void)
{
    fake_set(FRONT "/backend", BACK);
    fake_set(FRONT "/backend-id", "0");
    fake_set(BACK "/versions", "1");
    fake_set(BACK "/max-channels", "64");
    fake_set(BACK "/max-rings", "32");
    fake_set(BACK "/max-ring-page-order", "12");
    fake_set(BACK "/max-reply-page-order", "8");
    fake_set(BACK "/max-channel-pages", "65536");
    fake_set(BACK "/state", "1");
}

static int setup(void **state)
{
    fake_nodes_drop();
    memset(&a, 0, sizeof(a));
    fake_kernel_limit = UINT32_MAX;
    assert_int_equal(fake_pages_shared, 0);
    setup_nodes();
    guest = (struct xg_guest_platform){
        .ops = &fake_platform, .platform = XG_PLATFORM_XEN, .fds = {-1, -1}};
    a.guest = &guest;
    a.wanted = (struct xg_geometry){
        .ring_count = 4, .cmd_order = 6, .reply_order = 4, .arena_pages = 4096};
    a.epoll = epoll_create1(EPOLL_CLOEXEC);
    strcpy(directory, "/tmp/agent-XXXXXX");
    assert_non_null(mkdtemp(directory));
    snprintf(socket_path, sizeof(socket_path), "%s/run/agent.sock", directory);
    assert_int_equal(apps_listen(&a, socket_path, 0666), 0);
    assert_int_equal(device_start(&a), 0);
    connect_device();
    return 0;
}

static int teardown(void **state)
{
    char path[64];
    apps_lose(&a, XG_RING_CLOSED);
    apps_free(&a);
    if (a.page) {
        fake_platform.control_unbind(&guest);
        agent_pages_free(&a, &a.control);
    }
    close(a.listener);
    close(a.epoll);
    unlink(socket_path);
    snprintf(path, sizeof(path), "%s/run", directory);
    rmdir(path);
    rmdir(directory);
    assert_int_equal(fake_pages_shared, 0);
    assert_int_equal(a.grants_used, 0);
    assert_int_equal(fake_ports_open, 0);
    assert_false(fake_control_bound);
    return 0;
}

/* An application that has said hello. */
static int app_new(void)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    struct xg_hello h = {.magic = XG_HELLO_MAGIC, .version = XG_PROTOCOL_VERSION, .command = "app"};
    int sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    strcpy(addr.sun_path, socket_path);
    assert_int_equal(connect(sock, (struct sockaddr *)&addr, sizeof(addr)), 0);
    assert_int_equal(send(sock, &h, sizeof(h), 0), sizeof(h));
    pump();
    daemon_serve();
    return sock;
}

/* Its welcome, and the descriptor of its pages if `pages` is not NULL. */
static struct xg_welcome welcome_take(int sock, int *pages)
{
    struct xg_welcome w = {.status = 1};
    int fds[1 + 2 * XG_RINGS_MAX];
    unsigned count = XG_ARRAY_LEN(fds);
    ssize_t n = xg_fds_recv(sock, &w, sizeof(w), fds, &count, MSG_DONTWAIT);
    if (n == sizeof(w) && pages) {
        *pages = fds[0];
        fds[0] = -1;
    }
    if (n == sizeof(w))
        xg_fds_close(fds, count);
    return w;
}

static struct xg_welcome app_welcome(int sock)
{
    return welcome_take(sock, NULL);
}

static bool app_lost(int sock)
{
    char c;
    return recv(sock, &c, 1, MSG_DONTWAIT) == 0;
}

static void app_end(int sock)
{
    close(sock);
    pump();
    daemon_serve();
}

/* --- tests ------------------------------------------------------------------------------------ */

static void pages_run_out(void **state)
{
    int sock[64];
    unsigned n = 0;
    struct xg_welcome w;
    uint32_t first = 0, last = 0;
    a.grants = 16384;
    for (;;) {
        sock[n] = app_new();
        w = app_welcome(sock[n]);
        if (w.status)
            break;
        assert_true(xg_geometry_valid(&w.geometry));
        assert_true(w.geometry.arena_pages >= 256);
        assert_true(a.grants_used <= a.grants);
        assert_int_equal(a.grants_used, fake_pages_shared);
        last = w.geometry.arena_pages;
        first = first ? first : last;
        assert_true(++n < XG_ARRAY_LEN(sock));
    }
    assert_int_equal(first, 4095); /* a quarter of what is left */
    assert_true(last < first);
    assert_true(n >= 8);
    assert_int_equal(w.status, -ENOSPC);
    assert_non_null(strstr(w.text, "16384"));
    assert_non_null(strstr(w.text, "--grants"));
    app_end(sock[n]);
    for (unsigned i = 0; i < n; i++)
        assert_false(app_lost(sock[i])); /* the others go on */
    app_end(sock[--n]);
    sock[n] = app_new();
    assert_int_equal(app_welcome(sock[n++]).status, 0);
    while (n)
        app_end(sock[--n]);
    assert_int_equal(fake_pages_shared, 1);
}

/* The kernel has fewer than it said: others use xen-gntalloc too. */
static void the_kernel_refuses_pages(void **state)
{
    int one, two;
    struct xg_welcome w;
    a.grants = 16384;
    fake_kernel_limit = 1024;
    one = app_new();
    w = app_welcome(one);
    assert_int_equal(w.status, 0);
    assert_true(fake_pages_shared <= 1024);
    two = app_new();
    w = app_welcome(two);
    assert_int_equal(w.status, -ENOSPC);
    assert_false(app_lost(one));
    app_end(two);
    app_end(one);
    assert_int_equal(fake_pages_shared, 1);
}

static void the_daemon_dies(void **state)
{
    int one = app_new();
    assert_int_equal(app_welcome(one).status, 0);
    a.page->back_alive = 0; /* its kernel, with an event */
    device_messages(&a);
    assert_true(app_lost(one));
    assert_string_equal(fake_node(FRONT "/state", true), "1");
    assert_int_equal(fake_pages_shared, 0);
    app_end(one);
    /* one that comes now waits for the next daemon */
    int two = app_new();
    assert_false(app_lost(two));
    connect_device();
    daemon_serve();
    assert_int_equal(app_welcome(two).status, 0);
    app_end(two);
}

/* The byte is cleared in order too: when the backend has said that it closes. */
static void the_daemon_stops(void **state)
{
    int one = app_new();
    assert_int_equal(app_welcome(one).status, 0);
    fake_set(BACK "/state", "5");
    a.page->back_alive = 0;
    device_messages(&a);
    assert_int_equal(device_ready(&a), true); /* it will look at the state next */
    device_update(&a);
    assert_true(app_lost(one));
    assert_string_equal(fake_node(FRONT "/state", true), "5");
    assert_true(fake_pages_shared > 0); /* they may still be mapped */
    back_state("6");
    assert_string_equal(fake_node(FRONT "/state", true), "6");
    assert_int_equal(fake_pages_shared, 0);
    app_end(one);
    connect_device();
}

static void a_daemon_that_was_started_again(void **state)
{
    int one = app_new();
    assert_int_equal(app_welcome(one).status, 0);
    back_state("1");
    assert_false(app_lost(one));
    back_state("2");
    assert_true(app_lost(one));
    assert_string_equal(fake_node(FRONT "/state", true), "3");
    assert_int_equal(fake_pages_shared, 1);
    app_end(one);
    a.page->back_alive = 1;
    back_state("4");
    one = app_new();
    assert_int_equal(app_welcome(one).status, 0);
    app_end(one);
}

static void the_device_is_taken_away_and_given_again(void **state)
{
    int one = app_new();
    assert_int_equal(app_welcome(one).status, 0);
    fake_nodes_drop();
    device_update(&a);
    assert_true(app_lost(one));
    assert_int_equal(fake_pages_shared, 0);
    assert_null(fake_node(FRONT "/state", false)); /* not written into what is no longer there */
    app_end(one);
    int two = app_new();
    struct xg_welcome w = app_welcome(two);
    assert_int_equal(w.status, -ENODEV);
    assert_non_null(strstr(w.text, "xengpu attach"));
    app_end(two);
    fake_nodes_drop();
    fake_set(FRONT "/backend", BACK);
    fake_set(FRONT "/backend-id", "0");
    fake_set(BACK "/versions", "1");
    device_update(&a);
    connect_device();
}

/* It may find the nodes of an offer that is no more, where this agent could not offer a page. */
static void a_device_that_was_not_offered(void **state)
{
    back_state("5");
    back_state("6");
    fake_set(BACK "/versions", "2");
    back_state("1");
    back_state("2");
    assert_string_equal(fake_node(FRONT "/state", true), "3");
    assert_null(a.page);
    back_state("4");
    assert_string_equal(fake_node(FRONT "/state", true), "5");
    int one = app_new();
    assert_int_equal(app_welcome(one).status, -EPROTONOSUPPORT);
    app_end(one);
    fake_set(BACK "/versions", "1");
    back_state("6");
    connect_device();
    one = app_new();
    assert_int_equal(app_welcome(one).status, 0);
    app_end(one);
}

/* Guest and host of different releases: both sides name both versions, and so does each
 * application's error. */
static void a_daemon_of_another_version(void **state)
{
    back_state("5");
    back_state("6");
    fake_set(BACK "/versions", "2,3");
    back_state("1");
    back_state("2");
    assert_non_null(strstr(log_text, "protocol version 2,3"));
    assert_non_null(strstr(log_text, "xengpu-agent " OURS));
    /* It shows the daemon its version, which is for that to refuse; and no page. */
    assert_string_equal(fake_node(FRONT "/version", true), XG_PROTOCOL_VERSION_TEXT);
    assert_string_equal(fake_node(FRONT "/state", true), "3");
    fake_set(BACK "/error",
             "the guest's agent speaks protocol version 1, xengpud 9.9 speaks version 3");
    back_state("5");
    back_state("6");
    assert_int_equal(fake_pages_shared, 0);
    int one = app_new();
    struct xg_welcome w = app_welcome(one);
    assert_int_equal(w.status, -EPROTONOSUPPORT);
    assert_non_null(strstr(w.text, "version 1, xengpud 9.9 speaks version 3"));
    app_end(one);
    /* What is no list of numbers is not shown. */
    fake_set(BACK "/versions", "\033[2Jx");
    back_state("1");
    back_state("2");
    assert_null(strchr(log_text, '\033'));
    back_state("6");
    fake_set(BACK "/versions", "3," XG_PROTOCOL_VERSION_TEXT);
    connect_device();
    assert_false(a.unfit);
}

static void an_application_of_another_version(void **state)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    /* Only magic and version are where they are in this version. */
    static const uint32_t hello[XG_GREETING_MAX / 4] = {XG_HELLO_MAGIC, XG_PROTOCOL_VERSION + 6};
    for (size_t size = 8; size <= sizeof(hello); size *= 2) {
        int sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
        strcpy(addr.sun_path, socket_path);
        assert_int_equal(connect(sock, (struct sockaddr *)&addr, sizeof(addr)), 0);
        assert_int_equal(send(sock, hello, size, 0), size);
        pump();
        struct xg_welcome w = app_welcome(sock);
        assert_int_equal(w.magic, XG_WELCOME_MAGIC);
        assert_int_equal(w.version, XG_PROTOCOL_VERSION);
        assert_int_equal(w.status, -EPROTONOSUPPORT);
        assert_non_null(strstr(w.text, "libxengpu.so speaks protocol version 7"));
        assert_non_null(strstr(w.text, "xengpu-agent " OURS));
        assert_non_null(strstr(log_text, w.text));
        app_end(sock);
    }
    app_end(app_new());
}

static uint32_t page_error(int fd)
{
    struct xg_channel_page *c = mmap(NULL, XG_PAGE_SIZE, PROT_READ, MAP_SHARED, fd, 0);
    assert_ptr_not_equal(c, MAP_FAILED);
    uint32_t error = c->error;
    munmap(c, XG_PAGE_SIZE);
    return error;
}

/* Restored as another domain, which has no device, nor the nodes of the one that it was. */
static void the_guest_is_restored(void **state)
{
    int one = app_new(), pages;
    assert_int_equal(welcome_take(one, &pages).status, 0);
    fake_nodes_drop();
    device_resumed(&a);
    assert_true(app_lost(one));
    assert_int_equal(page_error(pages), XG_RING_RESUMED);
    assert_int_equal(fake_pages_shared, 0);
    assert_int_equal(fake_ports_open, 0);
    assert_false(fake_control_bound);
    /* the old backend's node, of which a guest may watch few */
    assert_string_equal(fake_watched, "");
    close(pages);
    app_end(one);
    int two = app_new();
    struct xg_welcome w = app_welcome(two);
    assert_int_equal(w.status, -ENODEV);
    assert_non_null(strstr(w.text, "restored or migrated"));
    assert_non_null(strstr(w.text, "xengpu attach"));
    app_end(two);
    device_resumed(&a); /* once more, before it has a device */
    fake_nodes_drop();
    fake_set(FRONT "/backend", "/local/domain/0/backend/xengpu/2/0");
    fake_set(FRONT "/backend-id", "0");
    device_update(&a);
    assert_string_equal(fake_watched, "/local/domain/0/backend/xengpu/2/0");
    device_resumed(&a);
    setup_nodes();
    device_resumed(&a);
    connect_device();
    one = app_new();
    assert_int_equal(app_welcome(one).status, 0);
    app_end(one);
}

/* It has its device already when the agent notices. */
static void the_guest_is_restored_and_attached(void **state)
{
    int one = app_new();
    assert_int_equal(app_welcome(one).status, 0);
    fake_set(BACK "/state", "2");
    device_resumed(&a);
    assert_true(app_lost(one));
    assert_string_equal(fake_node(FRONT "/state", true), "3");
    assert_int_equal(fake_pages_shared, 1);
    app_end(one);
    a.page->back_alive = 1;
    back_state("4");
    one = app_new();
    assert_int_equal(app_welcome(one).status, 0);
    app_end(one);
}

/* No page for the control ring: the agent says so, stays, and tries again. */
static void no_page_for_the_control_ring(void **state)
{
    back_state("6");
    fake_kernel_limit = 0;
    back_state("2");
    assert_true(a.again);
    assert_non_null(strstr(log_text, "control ring"));
    fake_kernel_limit = 100000;
    device_update(&a);
    assert_false(a.again);
    assert_string_equal(fake_node(FRONT "/state", true), "3");
    a.page->back_alive = 1;
    back_state("4");
}

static void asked_to_end(void **state)
{
    int one = app_new();
    assert_int_equal(app_welcome(one).status, 0);
    assert_false(device_stop(&a));
    assert_true(app_lost(one));
    assert_string_equal(fake_node(FRONT "/state", true), "5");
    assert_true(fake_pages_shared > 0);
    fake_set(BACK "/state", "6");
    assert_true(device_stop(&a));
    assert_string_equal(fake_node(FRONT "/state", true), "6");
    assert_int_equal(fake_pages_shared, 0);
    app_end(one);
}

static mode_t mode_of(const char *path)
{
    struct stat st;
    return lstat(path, &st) ? 0 : st.st_mode;
}

/* Its mode is what was asked for, whatever the umask; a link is replaced, not followed; a file that
 * is no socket is not removed. */
static void what_is_in_the_sockets_place(void **state)
{
    static struct agent b;
    char other[96];
    (void)state;
    mode_t mask = umask(077);
    b.epoll = a.epoll;
    snprintf(other, sizeof(other), "%s/other", directory);
    int fd = open(other, O_CREAT | O_WRONLY, 0600);
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(apps_listen(&b, other, 0666), -EEXIST);
    assert_int_equal(mode_of(other), S_IFREG | 0600);
    unlink(socket_path);
    assert_int_equal(symlink(other, socket_path), 0);
    assert_int_equal(apps_listen(&b, socket_path, 0640), 0);
    assert_int_equal(mode_of(socket_path), S_IFSOCK | 0640);
    assert_int_equal(mode_of(other), S_IFREG | 0600);
    umask(mask);
    apps_unlisten(&b, socket_path);
    assert_int_equal(mode_of(socket_path), 0);
    close(b.listener);
    unlink(other);
}

/* The one before it takes long to end. */
static void an_agent_in_the_place_of_another(void **state)
{
    static struct agent next;
    (void)state;
    next.epoll = a.epoll;
    assert_int_equal(apps_listen(&next, socket_path, 0666), 0);
    apps_unlisten(&a, socket_path);
    assert_int_equal(mode_of(socket_path), S_IFSOCK | 0666);
    apps_unlisten(&next, socket_path);
    assert_int_equal(mode_of(socket_path), 0);
    close(next.listener);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(pages_run_out, setup, teardown),
        cmocka_unit_test_setup_teardown(the_kernel_refuses_pages, setup, teardown),
        cmocka_unit_test_setup_teardown(the_daemon_dies, setup, teardown),
        cmocka_unit_test_setup_teardown(the_daemon_stops, setup, teardown),
        cmocka_unit_test_setup_teardown(a_daemon_that_was_started_again, setup, teardown),
        cmocka_unit_test_setup_teardown(the_device_is_taken_away_and_given_again, setup, teardown),
        cmocka_unit_test_setup_teardown(a_daemon_of_another_version, setup, teardown),
        cmocka_unit_test_setup_teardown(an_application_of_another_version, setup, teardown),
        cmocka_unit_test_setup_teardown(the_guest_is_restored, setup, teardown),
        cmocka_unit_test_setup_teardown(the_guest_is_restored_and_attached, setup, teardown),
        cmocka_unit_test_setup_teardown(no_page_for_the_control_ring, setup, teardown),
        cmocka_unit_test_setup_teardown(a_device_that_was_not_offered, setup, teardown),
        cmocka_unit_test_setup_teardown(asked_to_end, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_in_the_sockets_place, setup, teardown),
        cmocka_unit_test_setup_teardown(an_agent_in_the_place_of_another, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
