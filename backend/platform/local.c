/*
 * A guest in local mode: its agent's socket carries store, grants and event channels
 * (protocol/local.h). Everything that comes is bounded, copied and checked; a message
 * that breaks the rules ends this guest's connection and nothing else.
 */
#include "backend/loop/log.h"
#include "backend/platform/platform.h"
#include "protocol/fdpass.h"
#include "protocol/local.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#define NODES_MAX    32u
#define SEGMENTS_MAX (XG_CHANNELS_MAX + 8u)
#define PORTS_MAX    (4u * XG_RINGS_MAX) /* announced, but in no channel yet */

struct node {
    char name[40];
    char value[XG_LOCAL_VALUE_MAX];
};

struct directory {
    struct node node[NODES_MAX];
    unsigned count;
};

struct segment {
    uint32_t number;
    int fd;
    uint64_t pages;
};

struct port {
    uint32_t number;
    int fd[2]; /* wait, kick: as the backend uses them; -1: free */
};

struct local {
    struct xg_frontend f;
    struct xg_source listener, agent;
    bool watching;   /* the agent watches our directory */
    bool paused;     /* not listened to while the guest is in debt */
    uint32_t unsent; /* 1 << XG_LOCAL_*: to be sent when its socket has room again */
    struct directory front, back;
    struct segment segment[SEGMENTS_MAX];
    unsigned segments;
    struct port port[PORTS_MAX];
    uint32_t control_port;
    char path[108];
};

static struct local *local_of(struct xg_frontend *f)
{
    return xg_container_of(f, struct local, f);
}

/* --- nodes ------------------------------------------------------------------------------------ */

static struct node *node_find(struct directory *d, const char *name)
{
    for (unsigned i = 0; i < d->count; i++)
        if (!strcmp(d->node[i].name, name))
            return &d->node[i];
    return NULL;
}

static int node_set(struct directory *d, const char *name, const char *value)
{
    struct node *n = node_find(d, name);
    if (strlen(name) >= sizeof(n->name) || strlen(value) >= sizeof(n->value) || !*name ||
        strchr(name, '/'))
        return -EINVAL;
    if (!n) {
        if (d->count == NODES_MAX)
            return -ENOSPC;
        n = &d->node[d->count++];
        strcpy(n->name, name);
    }
    strcpy(n->value, value);
    return 0;
}

static int node_get(struct directory *d, const char *name, char *value, size_t size)
{
    struct node *n = node_find(d, name);
    if (!n)
        return -ENOENT;
    if (strlen(n->value) >= size)
        return -ENOBUFS;
    strcpy(value, n->value);
    return 0;
}

static void back_path(const struct local *l, char *path, size_t size)
{
    snprintf(path, size, "/local/domain/0/backend/" XG_DEVICE_CLASS "/%u/0", l->f.domid);
}

static const char *path_rest(const char *path, const char *prefix)
{
    size_t n = strlen(prefix);
    return !strncmp(path, prefix, n) && path[n] == '/' ? path + n + 1 : NULL;
}

/* Which directory a guest's path is in; *name is what follows. NULL: it is in none
 * that the guest may see. */
static struct directory *path_find(struct local *l, const char *path, const char **name)
{
    char full[128];
    back_path(l, full, sizeof(full));
    if ((*name = path_rest(path, full)))
        return &l->back;
    snprintf(full, sizeof(full), "/local/domain/%u/" XG_LOCAL_FRONT, l->f.domid);
    if ((*name = path_rest(path, full)) || (*name = path_rest(path, XG_LOCAL_FRONT)))
        return &l->front;
    return NULL;
}

/* --- the agent's messages --------------------------------------------------------------------- */

static void agent_drop(struct local *l, const char *why)
{
    if (l->agent.fd < 0)
        return;
    if (why)
        xg_log_warning(l->f.guest, "agent: %s; its connection is closed", why);
    xg_loop_close(&l->agent);
    l->f.events->lost(l->f.arg);
    for (unsigned i = 0; i < l->segments; i++)
        close(l->segment[i].fd);
    l->segments = 0;
    for (unsigned i = 0; i < PORTS_MAX; i++)
        xg_fds_close(l->port[i].fd, 2);
    l->watching = l->paused = false;
    l->unsent = 0;
    l->control_port = 0;
}

/* To the agent, without waiting. */
static int agent_send(struct local *l, const struct xg_local_message *m)
{
    if (l->agent.fd < 0)
        return 0;
    return xg_fds_send(l->agent.fd, m, XG_LOCAL_HEADER + m->length, NULL, 0, MSG_DONTWAIT);
}

static void agent_events(struct local *l)
{
    xg_loop_events(&l->agent, (l->paused ? 0 : EPOLLIN) | (l->unsent ? EPOLLOUT : 0));
}

/* An agent that asks and does not read the answers is disconnected: the loop then sees the end of
 * its connection. */
static void agent_answer(struct local *l, uint32_t id, int number, const char *text)
{
    struct xg_local_message m = {.type = XG_LOCAL_ANSWER, .id = id, .number = number};
    if (text) {
        m.length = (uint16_t)(strlen(text) + 1);
        memcpy(m.text, text, m.length);
    }
    if (agent_send(l, &m) == -EAGAIN)
        shutdown(l->agent.fd, SHUT_RDWR);
}

/* An event or a notification. Several of them say no more than one, so an agent whose socket is
 * full gets a single one later. */
static void agent_tell(struct local *l, enum xg_local_type type)
{
    struct xg_local_message m = {.type = type};
    if (type == XG_LOCAL_EVENT) {
        back_path(l, m.text, sizeof(m.text));
        m.length = (uint16_t)(strlen(m.text) + 1);
    }
    if (!(l->unsent >> type & 1) && agent_send(l, &m) == -EAGAIN) {
        l->unsent |= 1u << type;
        agent_events(l);
    }
}

static void agent_writable(struct local *l)
{
    uint32_t unsent = l->unsent;

    l->unsent = 0;
    for (; unsent; unsent &= unsent - 1)
        agent_tell(l, (enum xg_local_type)__builtin_ctz(unsent));
    agent_events(l);
}

static int serve_read(struct local *l, const struct xg_local_message *m, char *value, size_t size)
{
    const char *name;
    struct directory *d = path_find(l, m->text, &name);
    return d ? node_get(d, name, value, size) : -ENOENT;
}

static int serve_write(struct local *l, const struct xg_local_message *m)
{
    const char *name, *value = m->text + strlen(m->text) + 1;
    struct directory *d = path_find(l, m->text, &name);
    if (value >= m->text + m->length)
        return -EINVAL;
    if (d != &l->front || !strncmp(name, "backend", 7))
        return -EACCES;
    return node_set(d, name, value);
}

static struct segment *segment_find(struct local *l, uint32_t number)
{
    for (unsigned i = 0; i < l->segments; i++)
        if (l->segment[i].number == number)
            return &l->segment[i];
    return NULL;
}

/* Touching a page that is not there any more kills the process. So the file must not shrink, and
 * must not have huge pages: the machine has a limited number, and a guest could take one out of the
 * file and use it up elsewhere. */
static bool pages_stay(int fd)
{
    struct statfs fs;
    int seals = fcntl(fd, F_GET_SEALS);
    return seals >= 0 && seals & F_SEAL_SHRINK && !fstatfs(fd, &fs) && fs.f_type == TMPFS_MAGIC;
}

/* Keeps *fd, and sets it to -1, if the file is accepted. */
static int serve_grant(struct local *l, uint32_t number, int *fd)
{
    struct stat st;
    if (!number || number >= XG_LOCAL_SEGMENTS || segment_find(l, number))
        return -EEXIST;
    if (l->segments == SEGMENTS_MAX)
        return -ENOSPC;
    if (!pages_stay(*fd) || fstat(*fd, &st) < 0)
        return -EINVAL;
    uint64_t pages = (uint64_t)st.st_size >> XG_PAGE_SHIFT;
    if (!pages || pages > XG_LOCAL_PAGES)
        return -EINVAL;
    l->segment[l->segments++] = (struct segment){.number = number, .fd = *fd, .pages = pages};
    *fd = -1;
    return 0;
}

static int serve_revoke(struct local *l, uint32_t number)
{
    struct segment *s = segment_find(l, number);
    if (!s)
        return -ENOENT;
    close(s->fd);
    *s = l->segment[--l->segments];
    return 0;
}

/* A file of another kind could block the worker that writes to it. */
static bool is_eventfd(int fd)
{
    char path[64], target[64];
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    ssize_t n = readlink(path, target, sizeof(target) - 1);
    target[n > 0 ? n : 0] = 0;
    return !strcmp(target, "anon_inode:[eventfd]");
}

static struct port *port_find(struct local *l, uint32_t number)
{
    for (unsigned i = 0; i < PORTS_MAX; i++)
        if (l->port[i].fd[0] >= 0 && l->port[i].number == number)
            return &l->port[i];
    return NULL;
}

static struct port *port_unused(struct local *l)
{
    for (unsigned i = 0; i < PORTS_MAX; i++)
        if (l->port[i].fd[0] < 0)
            return &l->port[i];
    return NULL;
}

static int serve_ports(struct local *l, uint32_t first, int *fds, unsigned count)
{
    if (!count || count % 2)
        return -EINVAL;
    for (unsigned i = 0; i < count; i++)
        if (!is_eventfd(fds[i]))
            return -EINVAL;
    for (unsigned i = 0; i < count; i += 2) {
        struct port *p = port_unused(l);
        if (!p)
            return -ENOSPC;
        if (port_find(l, first + i / 2))
            return -EEXIST;
        *p = (struct port){.number = first + i / 2, .fd = {fds[i], fds[i + 1]}};
        fds[i] = fds[i + 1] = -1;
    }
    return 0;
}

static void watch_fire(struct local *l)
{
    if (l->watching)
        agent_tell(l, XG_LOCAL_EVENT);
}

/* False: the guest broke the rules. */
static bool message_serve(struct local *l, const struct xg_local_message *m, int *fds,
                          unsigned count)
{
    char value[XG_LOCAL_VALUE_MAX];
    uint32_t number = (uint32_t)m->number;
    int err;
    switch (m->type) {
    case XG_LOCAL_READ:
        err = serve_read(l, m, value, sizeof(value));
        agent_answer(l, m->id, err, err ? NULL : value);
        return true;
    case XG_LOCAL_WRITE:
        err = serve_write(l, m);
        agent_answer(l, m->id, err, NULL);
        if (!err)
            l->f.events->store(l->f.arg);
        return true;
    case XG_LOCAL_WATCH:
        l->watching = true;
        agent_answer(l, m->id, 0, NULL);
        watch_fire(l);
        return true;
    case XG_LOCAL_GRANT:
        agent_answer(l, m->id, count == 1 ? serve_grant(l, number, fds) : -EINVAL, NULL);
        return true;
    case XG_LOCAL_REVOKE: agent_answer(l, m->id, serve_revoke(l, number), NULL); return true;
    case XG_LOCAL_PORTS:
        agent_answer(l, m->id, serve_ports(l, number, fds, count), NULL);
        return true;
    case XG_LOCAL_NOTIFY:
        if (number && number == l->control_port)
            l->f.events->control(l->f.arg);
        return true;
    default: return false;
    }
}

static bool text_valid(const struct xg_local_message *m, size_t size)
{
    return m->length == size - XG_LOCAL_HEADER &&
           (m->length ? m->text[m->length - 1] == 0 : m->type >= XG_LOCAL_GRANT);
}

static void agent_resume(struct xg_meter *m)
{
    struct local *l = xg_container_of(m, struct local, f.meter);
    l->f.events->control(l->f.arg);
    l->paused = !xg_meter_pay(m);
    agent_events(l);
}

static void agent_pay(struct local *l)
{
    l->paused = !xg_meter_pay(&l->f.meter);
    if (l->paused)
        agent_events(l);
}

static void agent_readable(struct xg_source *s, uint32_t events)
{
    struct local *l = xg_container_of(s, struct local, agent);
    struct xg_local_message m;
    int fds[2 * XG_RINGS_MAX];
    unsigned count = XG_ARRAY_LEN(fds);
    memset(&m, 0, XG_LOCAL_HEADER);
    if (events & EPOLLOUT)
        agent_writable(l);
    if (events == EPOLLOUT)
        return;
    ssize_t n = xg_fds_recv(s->fd, &m, sizeof(m), fds, &count, MSG_DONTWAIT);
    if (n == -EAGAIN)
        return;
    if (n == -EMFILE) { /* perhaps other guests use up the descriptors */
        agent_answer(l, m.id, -EMFILE, NULL);
        agent_pay(l);
        return;
    }
    if (n <= 0) { /* an agent that ends without reading all of our messages resets the connection */
        agent_drop(l, n < 0 && n != -ECONNRESET ? "unreadable message" : NULL);
        return;
    }
    bool good = n >= (ssize_t)XG_LOCAL_HEADER && text_valid(&m, (size_t)n) &&
                message_serve(l, &m, fds, count);
    xg_fds_close(fds, count);
    if (!good) {
        agent_drop(l, "malformed message");
        return;
    }
    agent_pay(l);
}

static void listener_readable(struct xg_source *s, uint32_t events)
{
    struct local *l = xg_container_of(s, struct local, listener);
    (void)events;
    int fd = xg_loop_accept(s);
    if (fd < 0)
        return;
    if (l->agent.fd >= 0 || xg_loop_add(&l->agent, fd, EPOLLIN, agent_readable) < 0) {
        xg_log_warning(l->f.guest, "a second agent connected and was refused: a guest has one");
        close(fd);
        return;
    }
    l->f.events->joined(l->f.arg);
}

/* --- for the broker --------------------------------------------------------------------------- */

static int front_read(struct xg_frontend *f, const char *node, char *value, size_t size)
{
    return node_get(&local_of(f)->front, node, value, size);
}

static int back_write(struct xg_frontend *f, const char *node, const char *value)
{
    struct local *l = local_of(f);
    int err = node_set(&l->back, node, value);
    if (!err)
        watch_fire(l);
    return err;
}

static void front_reset(struct xg_frontend *f)
{
    struct local *l = local_of(f);
    char path[64];
    l->front.count = 0;
    back_path(l, path, sizeof(path));
    node_set(&l->front, "backend", path);
    node_set(&l->front, "backend-id", "0");
    node_set(&l->front, XG_NODE_STATE, "1");
}

static int ref_segment(struct local *l, uint32_t ref, struct segment **s, uint32_t *page)
{
    *s = segment_find(l, ref >> XG_LOCAL_PAGE_BITS);
    *page = ref & (XG_LOCAL_PAGES - 1);
    return *s && *page < (*s)->pages ? 0 : -EFAULT;
}

static int control_map(struct xg_frontend *f, uint32_t ref, struct xg_control_page **page)
{
    struct segment *s;
    uint32_t index;
    int err = ref_segment(local_of(f), ref, &s, &index);
    if (err)
        return err;
    void *p = mmap(NULL, XG_PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, s->fd,
                   (off_t)index << XG_PAGE_SHIFT);
    if (p == MAP_FAILED)
        return -errno;
    *page = p;
    return 0;
}

static void control_unmap(struct xg_frontend *f, struct xg_control_page *page)
{
    (void)f;
    munmap(page, XG_PAGE_SIZE);
}

static int control_bind(struct xg_frontend *f, uint32_t port)
{
    local_of(f)->control_port = port;
    return port ? 0 : -EINVAL;
}

static void control_unbind(struct xg_frontend *f)
{
    local_of(f)->control_port = 0;
}

static void control_notify(struct xg_frontend *f)
{
    agent_tell(local_of(f), XG_LOCAL_NOTIFY);
}

static int page_copy(struct xg_frontend *f, uint32_t ref, void *copy)
{
    struct segment *s;
    uint32_t index;
    int err = ref_segment(local_of(f), ref, &s, &index);
    if (err)
        return err;
    ssize_t n = pread(s->fd, copy, XG_PAGE_SIZE, (off_t)index << XG_PAGE_SHIFT);
    return n == XG_PAGE_SIZE ? 0 : n < 0 ? -errno : -EIO;
}

/* A worker maps a channel at once: the pages are one file, from its beginning. */
static int channel_pages(struct xg_frontend *f, const uint32_t *ref, uint64_t count)
{
    struct segment *s;
    uint32_t index;
    int err = ref_segment(local_of(f), ref[0], &s, &index);
    if (err)
        return err;
    if (index || count > s->pages)
        return -EINVAL;
    int fd = fcntl(s->fd, F_DUPFD_CLOEXEC, 3);
    return fd < 0 ? -errno : fd;
}

/* A port serves one channel: binding uses it up. */
static int channel_ports(struct xg_frontend *f, const uint32_t *port, unsigned count, int *wait,
                         int *kick)
{
    struct local *l = local_of(f);
    for (unsigned i = 0; i < count; i++)
        wait[i] = kick[i] = -1;
    for (unsigned i = 0; i < count; i++) {
        struct port *p = port_find(l, port[i]);
        if (!p) {
            xg_fds_close(wait, i);
            xg_fds_close(kick, i);
            return -ENOENT;
        }
        wait[i] = p->fd[0];
        kick[i] = p->fd[1];
        p->fd[0] = p->fd[1] = -1;
    }
    return 0;
}

static void frontend_destroy(struct xg_frontend *f, bool forget)
{
    struct local *l = local_of(f);
    (void)forget;
    agent_drop(l, NULL);
    xg_meter_stop(&l->f.meter);
    if (l->listener.fd >= 0)
        unlink(l->path);
    xg_loop_close(&l->listener);
    free(l);
}

static const struct xg_frontend_ops local_ops = {
    .front_read = front_read,
    .back_write = back_write,
    .front_reset = front_reset,
    .control_map = control_map,
    .control_unmap = control_unmap,
    .control_bind = control_bind,
    .control_unbind = control_unbind,
    .control_notify = control_notify,
    .page_copy = page_copy,
    .pages = channel_pages,
    .ports = channel_ports,
    .destroy = frontend_destroy,
};

int xg_frontend_local(const char *path, const char *guest, const struct xg_frontend_events *events,
                      void *arg, struct xg_frontend **out)
{
    static uint32_t next_domid = 1;
    if (strlen(path) >= sizeof(((struct local *)0)->path))
        return -ENAMETOOLONG;
    struct local *l = calloc(1, sizeof(*l));
    if (!l)
        return -ENOMEM;
    l->f = (struct xg_frontend){.ops = &local_ops,
                                .events = events,
                                .arg = arg,
                                .platform = XG_PLATFORM_LOCAL,
                                .guest = guest,
                                .domid = next_domid++,
                                .meter.resume = agent_resume};
    strcpy(l->path, path);
    l->agent.fd = l->listener.fd = -1;
    for (unsigned i = 0; i < PORTS_MAX; i++)
        l->port[i].fd[0] = l->port[i].fd[1] = -1;
    front_reset(&l->f);
    int fd = xg_unix_listen(path, SOCK_SEQPACKET, 0600, 4), err = fd < 0 ? fd : 0;
    if (!err)
        err = xg_loop_add(&l->listener, fd, EPOLLIN, listener_readable);
    if (err) {
        if (fd >= 0)
            close(fd);
        free(l);
        return err;
    }
    *out = &l->f;
    return 0;
}
