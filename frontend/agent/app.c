/* The applications: one connection each, and its channel. */
#include "frontend/agent/agent.h"
#include "protocol/fdpass.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum app_state {
    APP_HELLO,   /* connected, but has sent nothing yet */
    APP_WAITING, /* has sent its hello, waits for the device or for room in the control ring */
    APP_OPENING, /* OPEN is sent */
    APP_OPEN,
    APP_LEAVING, /* CLOSE must be sent */
    APP_CLOSING, /* CLOSE is sent: the backend may use its pages until the reply */
};

struct app {
    struct app *next;
    enum app_state state;
    int sock; /* -1: hung up */
    uint32_t channel;
    struct xg_geometry geometry;
    uint32_t pid;
    char command[64];
    struct xg_guest_pages pages;
    struct xg_guest_port port[XG_RINGS_MAX];
    unsigned ports;
    uint64_t since; /* when it connected */
};

#define NO_CHANNEL         UINT32_MAX
#define HELLO_PATIENCE_NS  5000000000u
#define DEVICE_PATIENCE_NS 20000000000u /* the daemon may still be examining its devices */

static struct app *silent_oldest(const struct agent *a)
{
    struct app *oldest = NULL;
    for (struct app *app = a->apps; app; app = app->next)
        if (app->state == APP_HELLO && (!oldest || app->since < oldest->since))
            oldest = app;
    return oldest;
}

/* A connection that stays silent does not block others: the next one takes its place. */
static void listen_update(struct agent *a)
{
    bool want = a->waiting < APPS_WAITING_MAX || silent_oldest(a);
    if (want == a->listening)
        return;
    struct epoll_event ev = {.events = want ? EPOLLIN : 0, .data.ptr = &a->listener};
    epoll_ctl(a->epoll, EPOLL_CTL_MOD, a->listener, &ev);
    a->listening = want;
}

static void app_hangup(struct app *app)
{
    if (app->sock >= 0)
        close(app->sock);
    app->sock = -1;
}

static void app_memory_free(struct agent *a, struct app *app)
{
    a->guest->ops->ports_free(a->guest, app->port, app->ports);
    app->ports = 0;
    if (app->pages.map)
        agent_pages_free(a, &app->pages);
}

static void app_free(struct agent *a, struct app *app)
{
    struct app **p = &a->apps;
    while (*p != app)
        p = &(*p)->next;
    *p = app->next;
    app_hangup(app);
    app_memory_free(a, app);
    if (app->channel != NO_CHANNEL)
        a->channel[app->channel] = NULL;
    if (app->state <= APP_WAITING)
        a->waiting--;
    free(app);
    listen_update(a);
}

/* Answers that there is no channel, and why. */
static void app_refuse(struct app *app, const struct agent *a, int status, const char *text)
{
    struct xg_welcome w = {
        .magic = XG_WELCOME_MAGIC, .version = XG_PROTOCOL_VERSION, .status = status};
    snprintf(w.guest, sizeof(w.guest), "%s", a->name);
    snprintf(w.text, sizeof(w.text), "%s", text);
    (void)xg_fds_send(app->sock, &w, sizeof(w), NULL, 0, MSG_DONTWAIT);
}

/* The text is shown by the application and in the agent's log. */
static void app_refuse_version(struct app *app, const struct agent *a, const struct xg_hello *h)
{
    char text[sizeof(((struct xg_welcome *)0)->text)];
    snprintf(text, sizeof(text),
             "the application's libxengpu.so speaks protocol version %u, xengpu-agent " XG_RELEASE
             " speaks version " XG_PROTOCOL_VERSION_TEXT "; " XG_VERSION_ADVICE,
             h->version);
    agent_log("refused an application: %s", text);
    app_refuse(app, a, -EPROTONOSUPPORT, text);
}

static int app_welcome(struct agent *a, struct app *app, uint64_t memory_limit)
{
    int fds[1 + 2 * XG_RINGS_MAX];
    unsigned n = 0;
    struct xg_welcome w = {
        .magic = XG_WELCOME_MAGIC,
        .version = XG_PROTOCOL_VERSION,
        .platform = a->guest->platform,
        .geometry = app->geometry,
        .map_offset = app->pages.offset,
        .memory_limit = memory_limit,
    };
    snprintf(w.guest, sizeof(w.guest), "%s", a->name);
    fds[n++] = app->pages.fd;
    for (unsigned i = 0; i < app->ports; i++) {
        fds[n++] = app->port[i].event.wait_fd;
        if (w.platform == XG_PLATFORM_LOCAL)
            fds[n++] = app->port[i].event.kick_fd;
        w.port[i] = app->port[i].event.port;
    }
    return xg_fds_send(app->sock, &w, sizeof(w), fds, n, MSG_DONTWAIT);
}

static uint32_t channel_pick(const struct agent *a)
{
    for (uint32_t i = 0; i < a->max_channels; i++)
        if (!a->channel[i])
            return i;
    return NO_CHANNEL;
}

static void channel_init(struct app *app)
{
    struct xg_channel_page *c = (void *)app->pages.map;
    c->magic = XG_CHANNEL_MAGIC;
    c->version = XG_PROTOCOL_VERSION;
    c->front_alive = 1;
    for (uint32_t i = 0; i < app->geometry.ring_count; i++) {
        struct xg_ring_page *r =
            (void *)(app->pages.map + xg_geometry_ring_offset(&app->geometry, i));
        r->magic = XG_RING_MAGIC;
        r->version = XG_RING_VERSION;
        r->cmd_order = app->geometry.cmd_order;
        r->reply_order = app->geometry.reply_order;
    }
}

/* Writes the chain of directory pages into the pages behind the channel. */
static void directory_fill(struct app *app, uint64_t refs)
{
    const struct xg_guest_pages *p = &app->pages;
    struct xg_directory_page *d = (void *)(p->map + (p->shown << XG_PAGE_SHIFT));
    for (uint64_t done = 0, i = 0; done < refs; i++) {
        uint64_t n = xg_min_u64(refs - done, XG_DIRECTORY_REFS);
        d[i].count = (uint32_t)n;
        memcpy(d[i].ref, p->ref + done, n * sizeof(uint32_t));
        done += n;
        d[i].next = done < refs ? p->ref[p->shown + i + 1] : 0;
    }
}

/* A smaller arena would be of no use. */
#define ARENA_PAGES_MIN   256u
#define REPLY_ORDER_LEAST 1u

/* Where few pages can be shared, the first applications do not take them all: an arena gets at most
 * a quarter of what is left. */
static struct xg_geometry geometry_begin(const struct agent *a)
{
    struct xg_geometry g = a->limit;
    uint64_t quarter = (a->grants - a->grants_used) / 4;
    if (a->grants && g.arena_pages > quarter)
        g.arena_pages = (uint32_t)xg_max_u64(quarter, xg_min_u64(g.arena_pages, ARENA_PAGES_MIN));
    return g;
}

/* False: it is as small as it can be. */
static bool geometry_shrink(struct xg_geometry *g)
{
    if (g->arena_pages > ARENA_PAGES_MIN)
        g->arena_pages = (uint32_t)xg_max_u64(g->arena_pages / 2, ARENA_PAGES_MIN);
    else if (g->cmd_order > XG_CMD_ORDER_MIN || g->reply_order > REPLY_ORDER_LEAST) {
        g->cmd_order -= g->cmd_order > XG_CMD_ORDER_MIN;
        g->reply_order -= g->reply_order > REPLY_ORDER_LEAST;
    } else
        return false;
    return true;
}

static int app_memory_alloc(struct agent *a, struct app *app)
{
    const struct xg_guest_ops *ops = a->guest->ops;
    uint64_t refs;
    int err;
    app->geometry = geometry_begin(a);
    do {
        uint64_t pages = xg_geometry_pages(&app->geometry);
        refs = xg_directory_refs(a->guest->platform, pages);
        err = agent_pages_alloc(a, pages, xg_directory_pages(refs), &app->pages);
    } while ((err == -ENOSPC || err == -ENOMEM) && a->grants && geometry_shrink(&app->geometry));
    if (err)
        return err;
    err = ops->ports_alloc(a->guest, app->port, app->geometry.ring_count);
    if (err)
        return err;
    app->ports = app->geometry.ring_count;
    channel_init(app);
    directory_fill(app, refs);
    return 0;
}

static void memory_error(const struct agent *a, int err, char *text, size_t size)
{
    if (err == -ENOSPC && a->grants)
        snprintf(text, size,
                 "guest %s: no shared pages left: %u of %u are in use; end an application on the "
                 "GPU, or let the agent have more (xengpu-agent --grants)",
                 a->name, a->grants_used, a->grants);
    else
        snprintf(text, size,
                 "guest %s: no memory for a channel: %s; a smaller arena may help "
                 "(xengpu-agent --arena)",
                 a->name, strerror(-err));
}

static void open_send(struct agent *a, struct app *app, struct xg_control_request *rq)
{
    rq->op = XG_CONTROL_OPEN;
    rq->channel = app->channel;
    rq->open.geometry = app->geometry;
    rq->open.directory = app->pages.ref[app->pages.shown];
    rq->open.pid = app->pid;
    memcpy(rq->open.command, app->command, sizeof(rq->open.command));
    for (unsigned i = 0; i < app->ports; i++)
        rq->open.port[i] = app->port[i].port;
    device_send(a, rq);
}

/* Gives a waiting application its channel. False: the control ring has no room now. */
static bool app_open(struct agent *a, struct app *app)
{
    char text[256];
    app->channel = channel_pick(a);
    if (app->channel == NO_CHANNEL) {
        snprintf(text, sizeof(text),
                 "guest %s has %u applications on the GPU already, its limit; end one of them",
                 a->name, a->max_channels);
        app_refuse(app, a, -EBUSY, text);
        app_free(a, app);
        return true;
    }
    struct xg_control_request *rq = device_request(a);
    if (!rq) {
        app->channel = NO_CHANNEL;
        return false;
    }
    a->channel[app->channel] = app;
    int err = app_memory_alloc(a, app);
    if (err) {
        memory_error(a, err, text, sizeof(text));
        agent_warning("%s", text);
        app_refuse(app, a, err, text);
        app_free(a, app);
        return true;
    }
    open_send(a, app, rq);
    app->state = APP_OPENING;
    a->waiting--;
    listen_update(a);
    return true;
}

static bool app_close(struct agent *a, struct app *app)
{
    struct xg_control_request *rq = device_request(a);
    if (!rq)
        return false;
    rq->op = XG_CONTROL_CLOSE;
    rq->channel = app->channel;
    device_send(a, rq);
    app->state = APP_CLOSING;
    return true;
}

void apps_pump(struct agent *a)
{
    bool room = device_ready(a);
    for (struct app *app = a->apps, *next; app && room; app = next) {
        next = app->next;
        if (app->state == APP_LEAVING)
            room = app_close(a, app);
    }
    for (struct app *app = a->apps, *next; app && room; app = next) {
        next = app->next;
        if (app->state == APP_WAITING)
            room = app_open(a, app);
    }
}

/* The application has closed its socket, or must go. */
static void app_leave(struct agent *a, struct app *app)
{
    app_hangup(app);
    if (app->state <= APP_WAITING)
        app_free(a, app);
    else if (app->state == APP_OPEN)
        app->state = APP_LEAVING;
    apps_pump(a);
}

void apps_reply(struct agent *a, const struct xg_control_message *m)
{
    struct app *app = m->channel < XG_CHANNELS_MAX ? a->channel[m->channel] : NULL;
    if (!app)
        return;
    if (m->op == XG_CONTROL_CLOSE && app->state == APP_CLOSING) {
        app_free(a, app);
    } else if (m->op == XG_CONTROL_OPEN && app->state == APP_OPENING) {
        if (m->status) {
            if (app->sock >= 0)
                app_refuse(app, a, m->status, m->text);
            app_free(a, app);
        } else {
            app->state = APP_OPEN;
            if (app->sock < 0 || app_welcome(a, app, m->memory_limit) < 0)
                app_leave(a, app);
        }
    }
}

/* Writes into shared memory what the worker would have written if it had had the time. */
static void app_lost(struct app *app, uint32_t reason)
{
    if (!app->pages.map)
        return;
    struct xg_channel_page *c = (void *)app->pages.map;
    uint32_t none = XG_RING_OK;
    atomic_compare_exchange_strong(&c->error, &none, reason);
    for (uint32_t i = 0; i < app->geometry.ring_count; i++) {
        struct xg_ring_page *r =
            (void *)(app->pages.map + xg_geometry_ring_offset(&app->geometry, i));
        none = XG_RING_OK;
        atomic_compare_exchange_strong(&r->error, &none, reason);
    }
}

static void app_wake(struct agent *a, struct app *app)
{
    for (unsigned i = 0; i < app->ports; i++)
        a->guest->ops->port_wake(&app->port[i]);
}

void apps_gone(struct agent *a, const struct xg_control_message *m)
{
    struct app *app = m->channel < XG_CHANNELS_MAX ? a->channel[m->channel] : NULL;
    if (!app || app->state != APP_OPEN)
        return;
    agent_warning("%s (process %u): %s", app->command, app->pid, m->text);
    app_lost(app, m->reason ? m->reason : XG_RING_LOST);
    app_wake(a, app);
    app_leave(a, app);
}

void apps_lose(struct agent *a, enum xg_ring_error why)
{
    for (struct app *app = a->apps; app; app = app->next) {
        if (app->state <= APP_WAITING)
            continue;
        app_lost(app, why);
        app_wake(a, app);
        app_hangup(app);
        app->state = APP_CLOSING;
    }
}

void apps_free(struct agent *a)
{
    for (struct app *app = a->apps, *next; app; app = next) {
        next = app->next;
        if (app->state > APP_WAITING)
            app_free(a, app);
    }
}

static void hello_take(struct agent *a, struct app *app, const struct xg_hello *h)
{
    app->pid = h->pid;
    memcpy(app->command, h->command, sizeof(app->command));
    app->command[sizeof(app->command) - 1] = 0;
    for (char *p = app->command; *p; p++)
        if (!isprint((unsigned char)*p))
            *p = '?';
    app->state = APP_WAITING;
    if (device_ready(a)) {
        apps_pump(a);
    } else if (a->state == XG_XENBUS_CLOSED || a->state == XG_XENBUS_CLOSING) {
        app_refuse(app, a, a->unfit ? -EPROTONOSUPPORT : -ENODEV, a->error);
        app_free(a, app);
    }
}

void app_event(struct agent *a, struct app *app)
{
    struct xg_hello h;
    char greeting[XG_GREETING_MAX] = {0};
    ssize_t n = xg_fds_recv(app->sock, greeting, sizeof(greeting), NULL, NULL, MSG_DONTWAIT);
    if (n == -EAGAIN)
        return;
    /* After its hello an application must be silent: anything that it sends ends the channel, as
     * closing the socket does. */
    if (app->state != APP_HELLO || n <= 0) {
        app_leave(a, app);
        return;
    }
    memcpy(&h, greeting, sizeof(h));
    /* Magic and version are the first fields of a hello of any version. */
    bool known = n >= (ssize_t)offsetof(struct xg_hello, pid) && h.magic == XG_HELLO_MAGIC;
    if (known && h.version != XG_PROTOCOL_VERSION) {
        app_refuse_version(app, a, &h);
        app_free(a, app);
        return;
    }
    if (!known || n != sizeof(h)) {
        app_refuse(app, a, -EPROTO, "what the application said is no hello of libxengpu.so");
        app_free(a, app);
        return;
    }
    hello_take(a, app, &h);
}

/* No connection could be accepted. It stays in the queue, so there will be another event for it. */
static void accept_failed(struct agent *a, int err)
{
    bool files = err == EMFILE || err == ENFILE;
    struct app *oldest;
    if (!files && err != ENOMEM)
        return;
    if (!a->accept_failing)
        agent_warning("no application can connect: %s%s", strerror(err),
                      files ? "; LimitNOFILE in the service's unit, or 'ulimit -n', allows more"
                            : "");
    a->accept_failing = true;
    oldest = silent_oldest(a);
    if (oldest)
        app_free(a, oldest);
    else
        usleep(20000);
}

void apps_accept(struct agent *a)
{
    struct app *app = calloc(1, sizeof(*app));
    int sock = app ? accept4(a->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK) : -1;
    if (sock < 0) {
        int err = app ? errno : ENOMEM;
        free(app);
        accept_failed(a, err);
        return;
    }
    a->accept_failing = false;
    app->sock = sock;
    app->channel = NO_CHANNEL;
    app->pages.fd = -1;
    app->since = xg_now_ns();
    struct epoll_event ev = {.events = EPOLLIN | EPOLLRDHUP, .data.ptr = app};
    if (epoll_ctl(a->epoll, EPOLL_CTL_ADD, sock, &ev) < 0) {
        close(sock);
        free(app);
        return;
    }
    struct app *oldest = a->waiting >= APPS_WAITING_MAX ? silent_oldest(a) : NULL;
    app->next = a->apps;
    a->apps = app;
    a->waiting++;
    if (oldest)
        app_free(a, oldest);
    listen_update(a);
    app_event(a, app); /* usually its hello has come by now */
}

void apps_expire(struct agent *a)
{
    uint64_t now = xg_now_ns();
    for (struct app *app = a->apps, *next; app; app = next) {
        next = app->next;
        uint64_t patience = app->state == APP_WAITING ? DEVICE_PATIENCE_NS : HELLO_PATIENCE_NS;
        if (app->state > APP_WAITING || now - app->since < patience)
            continue;
        if (app->state == APP_WAITING)
            device_why(a);
        if (app->state == APP_WAITING)
            app_refuse(app, a, -ENODEV,
                       a->error[0] ? a->error : "the daemon does not answer; is xengpud running?");
        app_free(a, app);
    }
}

int apps_listen(struct agent *a, const char *path, int mode)
{
    const char *slash = strrchr(path, '/');
    char directory[256];
    if (slash && slash != path && slash - path < (long)sizeof(directory)) {
        snprintf(directory, sizeof(directory), "%.*s", (int)(slash - path), path);
        if (mkdir(directory, 0755) < 0 && errno != EEXIST)
            return -errno;
    }
    a->listener = xg_unix_listen(path, SOCK_SEQPACKET, (mode_t)mode, 64);
    if (a->listener < 0)
        return a->listener;
    if (lstat(path, &a->listened) < 0)
        return -errno;
    struct epoll_event ev = {.events = EPOLLIN, .data.ptr = &a->listener};
    a->listening = true;
    return epoll_ctl(a->epoll, EPOLL_CTL_ADD, a->listener, &ev) < 0 ? -errno : 0;
}

/* Only if the name still stands for our listener: another user who may write in the directory may
 * have replaced it. */
int apps_give(struct agent *a, const char *path, uid_t owner)
{
    struct stat st;
    int fd = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    int err = fd < 0 || fstat(fd, &st) < 0 ? -errno : 0;
    if (!err && (!S_ISSOCK(st.st_mode) || st.st_nlink != 1 || st.st_dev != a->listened.st_dev ||
                 st.st_ino != a->listened.st_ino))
        err = -EEXIST;
    if (!err && st.st_uid != owner && fchownat(fd, "", owner, (gid_t)-1, AT_EMPTY_PATH) < 0)
        err = -errno;
    if (fd >= 0)
        close(fd);
    return err;
}

/* Only our own: by now another agent may listen under this name. */
void apps_unlisten(struct agent *a, const char *path)
{
    struct stat st;
    if (a->listener > 0 && !lstat(path, &st) && st.st_dev == a->listened.st_dev &&
        st.st_ino == a->listened.st_ino)
        unlink(path);
}
