/* The guest agent: applications that say what they like and hang up at any time, before a daemon
 * that answers, does not, or answers anything. The platform is played by
 * tests/unit/fake_platform.h. Afterwards an honest application gets its channel, and no page, port
 * or descriptor is left. */
#include "frontend/agent/agent.h"
#include "protocol/fdpass.h"
#include "tests/fuzz/steps.h"
#include "tests/unit/fake_platform.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define BACK  "/local/domain/0/backend/xengpu/1/0"
#define FRONT "device/xengpu/0"

enum { APPS = 40 };
enum {
    APP,
    HELLO,
    SAY,
    END,
    SERVE,
    MESSAGE,
    PAGE,
    NODE,
    STATE,
    PAGES,
    DETACH,
    ATTACH,
    RESUMED,
    DIES,
    EXPIRE,
    STOP,
    KINDS
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct agent a;
static struct xg_guest_platform guest;
static char directory[] = "/tmp/fuzz_agent-XXXXXX", path[64];
static int app[APPS];
static uint64_t now;

int fuzz_clock(clockid_t clock, struct timespec *t);

void agent_log_at(enum xg_log_level level, const char *fmt, ...)
{
    char text[1024];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    if (getenv("FUZZ_LOG"))
        fprintf(stderr, "%s\n", text);
}

/* The agent's clock. */
int fuzz_clock(clockid_t clock, struct timespec *t)
{
    *t = (struct timespec){.tv_sec = (time_t)(now / 1000000000),
                           .tv_nsec = (long)(now % 1000000000)};
    return 0;
}

static void pump(void)
{
    struct epoll_event ev;

    for (unsigned i = 0; i < 1000 && epoll_wait(a.epoll, &ev, 1, 0) > 0; i++) {
        if (ev.data.ptr == &a.listener)
            apps_accept(&a);
        else
            app_event(&a, ev.data.ptr);
    }
}

/* --- the daemon ------------------------------------------------------------------------------- */

static void serve(int status)
{
    struct xg_control_page *p = a.page;

    for (unsigned i = 0; i < 256 && p && a.page == p && p->req_cons != p->req_prod; i++) {
        struct xg_control_request *rq = &p->request[p->req_cons % XG_CONTROL_REQUESTS];
        struct xg_control_message *m = &p->message[p->msg_prod % XG_CONTROL_MESSAGES];
        *m = (struct xg_control_message){.type = XG_CONTROL_REPLY,
                                         .op = rq->op,
                                         .id = rq->id,
                                         .channel = rq->channel,
                                         .status = status};
        p->req_cons++;
        p->msg_prod++;
        device_messages(&a);
    }
}

static void attach(void)
{
    static const char *const nodes[][2] = {{FRONT "/backend", BACK},
                                           {FRONT "/backend-id", "0"},
                                           {BACK "/versions", "1"},
                                           {BACK "/max-channels", "64"},
                                           {BACK "/max-rings", "32"},
                                           {BACK "/max-ring-page-order", "4"},
                                           {BACK "/max-reply-page-order", "2"},
                                           {BACK "/max-channel-pages", "512"},
                                           {BACK "/state", "1"}};

    for (unsigned i = 0; i < XG_ARRAY_LEN(nodes); i++)
        fake_set(nodes[i][0], nodes[i][1]);
    device_update(&a);
}

static void back_state(const char *state)
{
    fake_set(BACK "/state", state);
    device_update(&a);
}

static void device_connect(void)
{
    fake_nodes_drop();
    device_update(&a);
    attach();
    back_state("2");
    if (a.page)
        a.page->back_alive = 1;
    back_state("4");
}

/* --- applications ----------------------------------------------------------------------------- */

static int dial(void)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    int sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    strcpy(addr.sun_path, path);
    if (connect(sock, (struct sockaddr *)&addr, sizeof(addr)) < 0) {
        close(sock);
        return -1;
    }
    return sock;
}

static void app_drop(int *sock)
{
    if (*sock >= 0)
        close(*sock);
    *sock = -1;
}

static void app_say(int sock, const void *data, size_t size, unsigned descriptors)
{
    int fds[4];

    for (unsigned i = 0; i < descriptors; i++)
        fds[i] = dup(a.epoll);
    if (sock >= 0 && size)
        (void)xg_fds_send(sock, data, size, fds, descriptors, 0);
    xg_fds_close(fds, descriptors);
}

static struct xg_hello hello(const struct fuzz_step *s)
{
    struct xg_hello h = {
        .magic = XG_HELLO_MAGIC, .version = XG_PROTOCOL_VERSION, .command = "fuzz"};

    if (s)
        fuzz_lay(s, 0, &h, s->where & 128 ? 0 : 8, sizeof(h));
    return h;
}

static bool app_served(void)
{
    struct xg_hello h = hello(NULL);
    struct xg_welcome w = {.status = 1};
    int fds[1 + 2 * XG_RINGS_MAX], sock = dial();
    unsigned count = XG_ARRAY_LEN(fds);

    app_say(sock, &h, sizeof(h), 0);
    pump();
    serve(0);
    bool good =
        xg_fds_recv(sock, &w, sizeof(w), fds, &count, MSG_DONTWAIT) == sizeof(w) && !w.status;
    if (good)
        xg_fds_close(fds, count);
    app_drop(&sock);
    pump();
    serve(0);
    return good;
}

/* --- steps ------------------------------------------------------------------------------------ */

static void message_step(const struct fuzz_step *s)
{
    struct xg_control_message m = {
        .type = s->where & 3, .op = s->where >> 2 & 3, .channel = fuzz_number(s, 0, 1)};

    if (!a.page)
        return;
    fuzz_lay(s, 1, &m, 12, sizeof(m));
    a.page->message[a.page->msg_prod % XG_CONTROL_MESSAGES] = m;
    a.page->msg_prod++;
    device_messages(&a);
}

static void node_step(const struct fuzz_step *s)
{
    static const char *const names[] = {BACK "/versions",
                                        BACK "/max-channels",
                                        BACK "/max-rings",
                                        BACK "/max-ring-page-order",
                                        BACK "/max-reply-page-order",
                                        BACK "/max-channel-pages",
                                        BACK "/memory-limit",
                                        BACK "/error",
                                        BACK "/guest-name",
                                        BACK "/state"};
    char value[128] = "";
    const char *name = names[s->where % XG_ARRAY_LEN(names)];

    fuzz_lay(s, 0, value, 0, sizeof(value) - 1);
    if (s->where & 128)
        fake_unset(name);
    else
        fake_set(name, value);
    device_update(&a);
}

static void device_step(const struct fuzz_step *s)
{
    char state[2] = {(char)('0' + s->where % 8), 0};

    switch (s->what % KINDS) {
    case STATE: back_state(state); break;
    case DETACH:
        fake_nodes_drop();
        device_update(&a);
        break;
    case ATTACH: device_connect(); break;
    case RESUMED: device_resumed(&a); break;
    case DIES:
        if (a.page)
            a.page->back_alive = 0;
        device_messages(&a);
        break;
    default: (void)device_stop(&a); break;
    }
}

static void step_do(const struct fuzz_step *s)
{
    int *sock = &app[s->where % APPS];
    struct xg_hello h = hello(s);

    switch (s->what % KINDS) {
    case APP:
        app_drop(sock);
        *sock = dial();
        break;
    case HELLO:
        if (*sock < 0)
            *sock = dial();
        app_say(*sock, &h, sizeof(h), s->where & 3);
        break;
    case SAY: app_say(*sock, s->bytes, s->size, s->where & 3); break;
    case END: app_drop(sock); break;
    case SERVE: serve(s->where & 1 ? -(int)(s->where >> 1) : 0); break;
    case MESSAGE: message_step(s); break;
    case PAGE:
        if (a.page)
            fuzz_lay(s, 0, a.page, 0x80 + s->where * 8u, 0x800);
        device_messages(&a);
        break;
    case NODE: node_step(s); break;
    case PAGES:
        fake_kernel_limit = s->where & 1 ? UINT32_MAX : fake_pages_shared + fuzz_number(s, 0, 2);
        a.grants = s->where & 2 ? (uint32_t)fake_pages_shared + 512 + fuzz_number(s, 2, 2) : 0;
        break;
    case EXPIRE:
        now += s->where * 1000000000ull;
        apps_expire(&a);
        break;
    default: device_step(s); break;
    }
    if (!(s->where & 64))
        pump();
}

static void begin(void)
{
    if (strstr(directory, "XXXXXX") && !mkdtemp(directory))
        abort();
    snprintf(path, sizeof(path), "%s/agent.sock", directory);
    memset(&a, 0, sizeof(a));
    memset(app, -1, sizeof(app));
    now = 1;
    fake_kernel_limit = UINT32_MAX;
    guest = (struct xg_guest_platform){
        .ops = &fake_platform, .platform = XG_PLATFORM_XEN, .fds = {-1, -1}};
    a.guest = &guest;
    a.wanted =
        (struct xg_geometry){.ring_count = 2, .cmd_order = 4, .reply_order = 2, .arena_pages = 256};
    a.epoll = epoll_create1(EPOLL_CLOEXEC);
    fuzz_must(!apps_listen(&a, path, 0666));
    fuzz_must(!device_start(&a));
    device_connect();
}

static void end(void)
{
    for (unsigned i = 0; i < APPS; i++)
        app_drop(&app[i]);
    pump();
    a.grants = 0;
    fake_kernel_limit = UINT32_MAX;
    device_connect();
    pump();
    serve(0);
    fuzz_must(app_served());
    fuzz_must(!a.apps && !a.waiting && fake_pages_shared == 1 && !fake_ports_open);
    apps_lose(&a, XG_RING_CLOSED);
    apps_free(&a);
    fake_nodes_drop();
    device_update(&a);
    fuzz_must(!fake_pages_shared && !a.grants_used && !fake_control_bound);
    close(a.listener);
    close(a.epoll);
    unlink(path);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    unsigned before = fuzz_descriptors();

    fuzz_play(data, size, begin, step_do, end);
    fuzz_must(fuzz_descriptors() == before);
    return 0;
}
