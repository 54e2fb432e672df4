/* The guest's platform in local mode: everything goes over one socket to the daemon. */
#include "frontend/platform/guest.h"
#include "protocol/fdpass.h"
#include "protocol/local.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define ANSWER_TIMEOUT_MS 10000

struct local_guest {
    struct xg_guest_platform guest;
    int sock;
    uint32_t next_id;
    uint32_t next_port;
    int pending; /* XG_GUEST_* events that came while an answer was awaited */
    uint32_t control_port;
    bool segment[XG_LOCAL_SEGMENTS];
};

static struct local_guest *local_of(struct xg_guest_platform *g)
{
    return xg_container_of(g, struct local_guest, guest);
}

static int message_pending(const struct xg_local_message *m)
{
    return m->type == XG_LOCAL_EVENT    ? XG_GUEST_STORE
           : m->type == XG_LOCAL_NOTIFY ? XG_GUEST_CONTROL
                                        : 0;
}

static int answer_wait(struct local_guest *l, uint32_t id, struct xg_local_message *m)
{
    for (;;) {
        struct pollfd p = {.fd = l->sock, .events = POLLIN};
        int n = poll(&p, 1, ANSWER_TIMEOUT_MS);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : -ETIMEDOUT;
        ssize_t size = xg_fds_recv(l->sock, m, sizeof(*m), NULL, NULL, 0);
        if (size <= 0)
            return size < 0 ? (int)size : -EPIPE;
        if (size < (ssize_t)XG_LOCAL_HEADER || m->length > size - (ssize_t)XG_LOCAL_HEADER)
            return -EPROTO;
        if (m->type == XG_LOCAL_ANSWER && m->id == id)
            return m->number;
        l->pending |= message_pending(m);
    }
}

/* Sends `m` and waits for the answer, which is written to `m`. */
static int host_ask(struct local_guest *l, struct xg_local_message *m, const int *fds,
                    unsigned count)
{
    m->id = ++l->next_id;
    m->reserved = 0;
    int err = xg_fds_send(l->sock, m, XG_LOCAL_HEADER + m->length, fds, count, 0);
    return err ? err : answer_wait(l, m->id, m);
}

static int text_set(struct xg_local_message *m, const char *path, const char *value)
{
    size_t a = strlen(path) + 1, b = value ? strlen(value) + 1 : 0;
    if (a + b > sizeof(m->text))
        return -E2BIG;
    memcpy(m->text, path, a);
    if (value)
        memcpy(m->text + a, value, b);
    m->length = (uint16_t)(a + b);
    m->number = 0;
    return 0;
}

static int local_read(struct xg_guest_platform *g, const char *path, char *value, size_t size)
{
    struct xg_local_message m = {.type = XG_LOCAL_READ};
    int err = text_set(&m, path, NULL);
    if (!err)
        err = host_ask(local_of(g), &m, NULL, 0);
    if (err)
        return err;
    if (!m.length || m.length > size)
        return -ENOBUFS;
    memcpy(value, m.text, m.length);
    value[m.length - 1] = 0;
    return 0;
}

static int local_write(struct xg_guest_platform *g, const char *path, const char *value)
{
    struct xg_local_message m = {.type = XG_LOCAL_WRITE};
    int err = text_set(&m, path, value);
    return err ? err : host_ask(local_of(g), &m, NULL, 0);
}

static int local_watch(struct xg_guest_platform *g, const char *path)
{
    struct xg_local_message m = {.type = XG_LOCAL_WATCH};
    int err = text_set(&m, path, NULL);
    return err ? err : host_ask(local_of(g), &m, NULL, 0);
}

/* Nothing to do: a connection has only one device. */
static void local_unwatch(struct xg_guest_platform *g, const char *path)
{
    (void)g;
    (void)path;
}

static void local_pages_free(struct xg_guest_platform *g, struct xg_guest_pages *p)
{
    struct local_guest *l = local_of(g);
    if (p->segment) {
        struct xg_local_message m = {.type = XG_LOCAL_REVOKE, .number = (int32_t)p->segment};
        (void)host_ask(l, &m, NULL, 0);
        l->segment[p->segment] = false;
    }
    if (p->map)
        munmap(p->map, p->count << XG_PAGE_SHIFT);
    if (p->fd >= 0)
        close(p->fd);
    free(p->ref);
    *p = (struct xg_guest_pages){.fd = -1};
}

static uint32_t segment_pick(struct local_guest *l)
{
    for (uint32_t s = 1; s < XG_LOCAL_SEGMENTS; s++)
        if (!l->segment[s])
            return s;
    return 0;
}

static int local_pages_alloc(struct xg_guest_platform *g, uint64_t shown, uint64_t extra,
                             struct xg_guest_pages *out)
{
    struct local_guest *l = local_of(g);
    struct xg_guest_pages p = {.fd = -1, .count = shown + extra, .shown = shown};
    uint32_t segment = segment_pick(l);
    int err = -ENOMEM;
    if (!segment || p.count > XG_LOCAL_PAGES)
        return -E2BIG;
    p.ref = malloc(p.count * sizeof(*p.ref)); /* most of it is never touched */
    p.fd = memfd_create("xengpu-channel", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (!p.ref || p.fd < 0)
        goto fail;
    if (ftruncate(p.fd, (off_t)(p.count << XG_PAGE_SHIFT)) < 0 ||
        fcntl(p.fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0) {
        err = -errno;
        goto fail;
    }
    p.map = mmap(NULL, p.count << XG_PAGE_SHIFT, PROT_READ | PROT_WRITE, MAP_SHARED, p.fd, 0);
    if (p.map == MAP_FAILED) {
        p.map = NULL;
        goto fail;
    }
    p.ref[0] = xg_local_ref(segment, 0);
    for (uint64_t i = shown; i < p.count; i++)
        p.ref[i] = xg_local_ref(segment, (uint32_t)i);
    struct xg_local_message m = {.type = XG_LOCAL_GRANT, .number = (int32_t)segment};
    err = host_ask(l, &m, &p.fd, 1);
    if (err)
        goto fail;
    p.segment = segment;
    l->segment[segment] = true;
    *out = p;
    return 0;
fail:
    local_pages_free(g, &p);
    return err;
}

static void local_ports_free(struct xg_guest_platform *g, struct xg_guest_port *p, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        xg_fds_close(&p[i].event.wait_fd, 1);
        xg_fds_close(&p[i].event.kick_fd, 1);
    }
}

static int local_ports_alloc(struct xg_guest_platform *g, struct xg_guest_port *out, unsigned count)
{
    struct local_guest *l = local_of(g);
    int fds[2 * XG_RINGS_MAX] = {0}, err;
    if (!count || count > XG_RINGS_MAX)
        return -E2BIG;
    for (unsigned i = 0; i < count; i++)
        out[i] = (struct xg_guest_port){.event = {.wait_fd = -1, .kick_fd = -1}};
    for (unsigned i = 0; i < count; i++) {
        struct xg_event *e = &out[i].event;
        e->platform = XG_PLATFORM_LOCAL;
        e->wait_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        e->kick_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (e->wait_fd < 0 || e->kick_fd < 0) {
            err = -errno;
            goto fail;
        }
        out[i].port = l->next_port + i;
        fds[2 * i] = e->kick_fd;
        fds[2 * i + 1] = e->wait_fd;
    }
    struct xg_local_message m = {.type = XG_LOCAL_PORTS, .number = (int32_t)l->next_port};
    err = host_ask(l, &m, fds, 2 * count);
    if (err)
        goto fail;
    l->next_port = l->next_port + count < 1u << 30 ? l->next_port + count : 1;
    return 0;
fail:
    local_ports_free(g, out, count);
    return err;
}

static void local_port_wake(struct xg_guest_port *p)
{
    uint64_t one = 1;
    ssize_t n = write(p->event.wait_fd, &one, sizeof(one));
    (void)n;
}

static int local_control_bind(struct xg_guest_platform *g, const struct xg_guest_pages *page,
                              uint32_t *port)
{
    struct local_guest *l = local_of(g);
    /* when the process ends, its end of the socket closes, which tells the daemon the same */
    (void)page;
    *port = l->control_port = l->next_port++;
    return 0;
}

static void local_control_unbind(struct xg_guest_platform *g)
{
    (void)g;
}

static void local_control_notify(struct xg_guest_platform *g)
{
    struct local_guest *l = local_of(g);
    struct xg_local_message m = {.type = XG_LOCAL_NOTIFY, .number = (int32_t)l->control_port};
    (void)xg_fds_send(l->sock, &m, XG_LOCAL_HEADER, NULL, 0, 0);
}

static int local_dispatch(struct xg_guest_platform *g)
{
    struct local_guest *l = local_of(g);
    struct xg_local_message m;
    for (;;) {
        ssize_t size = xg_fds_recv(l->sock, &m, sizeof(m), NULL, NULL, MSG_DONTWAIT);
        if (size == -EAGAIN)
            break;
        if (size < (ssize_t)XG_LOCAL_HEADER)
            return size < 0 ? (int)size : -EPIPE;
        l->pending |= message_pending(&m);
    }
    int mask = l->pending;
    l->pending = 0;
    return mask;
}

/* A container that is moved loses its socket, so there is nothing to report. */
static bool local_resumed(struct xg_guest_platform *g, char *text, size_t size)
{
    (void)g;
    (void)text;
    (void)size;
    return false;
}

static void local_close(struct xg_guest_platform *g)
{
    struct local_guest *l = local_of(g);
    close(l->sock);
    free(l);
}

static const struct xg_guest_ops local_ops = {
    .read = local_read,
    .write = local_write,
    .watch = local_watch,
    .unwatch = local_unwatch,
    .pages_alloc = local_pages_alloc,
    .pages_free = local_pages_free,
    .ports_alloc = local_ports_alloc,
    .ports_free = local_ports_free,
    .port_wake = local_port_wake,
    .control_bind = local_control_bind,
    .control_unbind = local_control_unbind,
    .control_notify = local_control_notify,
    .resumed = local_resumed,
    .dispatch = local_dispatch,
    .close = local_close,
};

int xg_guest_open_local(const char *path, struct xg_guest_platform **out)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof(addr.sun_path))
        return -ENAMETOOLONG;
    strcpy(addr.sun_path, path);
    struct local_guest *l = calloc(1, sizeof(*l));
    if (!l)
        return -ENOMEM;
    l->guest.ops = &local_ops;
    l->guest.platform = XG_PLATFORM_LOCAL;
    l->next_port = 1;
    l->sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (l->sock < 0 || connect(l->sock, (struct sockaddr *)&addr, sizeof(addr)) < 0) {
        int err = -errno;
        if (l->sock >= 0)
            close(l->sock);
        free(l);
        return err;
    }
    l->guest.fds[0] = l->sock;
    l->guest.fds[1] = -1;
    *out = &l->guest;
    return 0;
}
