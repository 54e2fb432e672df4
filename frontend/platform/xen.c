/*
 * The guest's platform on Xen: xenstore, pages of /dev/xen/gntalloc, ports of /dev/xen/evtchn.
 *
 * When the guest is restored or migrated, Linux starts with no event channel and forgets the
 * interrupts of all channels that it had. It is not prepared for processes that still have them. If
 * a process unbinds such a port, or closes the last descriptor of it, the kernel hits a BUG, or
 * takes the port that has the same number now from a driver. The same happens if a process frees a
 * page whose end sends an event on such a port. Nothing can be closed in time: all processes are
 * frozen before a watch reports the suspend. Therefore a port is unbound only after checking that
 * the kernel still knows it, and what the kernel has forgotten is given to the keeper.
 */
#include "frontend/platform/guest.h"
#include "frontend/platform/keeper.h"
#include "protocol/fdpass.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <xen/gntalloc.h>
#include <xenevtchn.h>
#include <xenstore.h>

_Static_assert(offsetof(struct xg_control_page, front_alive) ==
                   offsetof(struct xg_channel_page, front_alive),
               "xen_pages_alloc");

/* A port with a descriptor of its own. */
struct xen_port {
    xenevtchn_handle *handle; /* NULL: none */
    evtchn_port_t number;
    bool stale; /* bound before a resume */
};

/* The page at whose end the kernel sends an event. */
struct alarm {
    int fd; /* -1: none */
    uint64_t offset;
    evtchn_port_t port;
    bool stale;
};

struct xen_guest {
    struct xg_guest_platform guest;
    struct xs_handle *xs;
    int poll; /* readable: xenstore, or the control port */
    char domid[16];
    struct xen_port control;
    struct alarm alarm;
    struct xen_port ring[XG_CHANNELS_MAX * XG_RINGS_MAX];
    bool resumed; /* resumed, and the agent has not been told */
    int keeper, keeper_error;
};

static struct xen_guest *xen_of(struct xg_guest_platform *g)
{
    return xg_container_of(g, struct xen_guest, guest);
}

static int xen_read(struct xg_guest_platform *g, const char *path, char *value, size_t size)
{
    unsigned length;
    char *v = xs_read(xen_of(g)->xs, XBT_NULL, path, &length);
    if (!v)
        return -errno;
    int err = length < size ? 0 : -ENOBUFS;
    if (!err) {
        memcpy(value, v, length);
        value[length] = 0;
    }
    free(v);
    return err;
}

static int xen_write(struct xg_guest_platform *g, const char *path, const char *value)
{
    return xs_write(xen_of(g)->xs, XBT_NULL, path, value, (unsigned)strlen(value)) ? 0 : -errno;
}

static int xen_watch(struct xg_guest_platform *g, const char *path)
{
    return xs_watch(xen_of(g)->xs, path, "backend") || errno == EEXIST ? 0 : -errno;
}

static void xen_unwatch(struct xg_guest_platform *g, const char *path)
{
    xs_unwatch(xen_of(g)->xs, path, "backend");
}

/* --- after a resume --------------------------------------------------------------------------- */

/* Setting it once more changes nothing, but fails if the kernel does not know the port. */
static int alarm_set(const struct alarm *a)
{
    struct ioctl_gntalloc_unmap_notify ask = {
        .index = a->offset + offsetof(struct xg_control_page, front_alive),
        .action = UNMAP_NOTIFY_CLEAR_BYTE | UNMAP_NOTIFY_SEND_EVENT,
        .event_channel_port = a->port};
    return ioctl(a->fd, IOCTL_GNTALLOC_SET_UNMAP_NOTIFY, &ask) < 0 ? -errno : 0;
}

static unsigned port_put_aside(struct xen_port *p, int *fd)
{
    if (!p->handle || p->stale)
        return 0;
    p->stale = true;
    *fd = xenevtchn_fd(p->handle);
    return 1;
}

/* Gives the keeper everything that was bound before the resume. */
static void put_aside(struct xen_guest *x)
{
    int fds[XG_ARRAY_LEN(x->ring) + 2];
    unsigned n = 0;
    if (x->control.handle && !x->control.stale)
        epoll_ctl(x->poll, EPOLL_CTL_DEL, xenevtchn_fd(x->control.handle), NULL);
    n += port_put_aside(&x->control, &fds[n]);
    for (unsigned i = 0; i < XG_ARRAY_LEN(x->ring); i++)
        n += port_put_aside(&x->ring[i], &fds[n]);
    if (x->alarm.fd >= 0 && !x->alarm.stale) {
        x->alarm.stale = true;
        fds[n++] = x->alarm.fd;
    }
    int err = n ? xg_keeper_give(&x->keeper, fds, n) : 0;
    if (err)
        x->keeper_error = err;
    x->resumed = true;
}

static void resume_look(struct xen_guest *x)
{
    if (x->alarm.fd >= 0 && !x->alarm.stale && alarm_set(&x->alarm) == -EINVAL)
        put_aside(x);
}

/* A restored guest has another domain number, but maybe not on another host. */
static void domid_look(struct xen_guest *x)
{
    char now[sizeof(x->domid)];
    if (xen_read(&x->guest, "domid", now, sizeof(now)) || !strcmp(now, x->domid))
        return;
    if (x->domid[0])
        put_aside(x);
    strcpy(x->domid, now);
}

static bool xen_resumed(struct xg_guest_platform *g, char *text, size_t size)
{
    struct xen_guest *x = xen_of(g);
    bool resumed;
    resume_look(x);
    resumed = x->resumed;
    x->resumed = false;
    text[0] = 0;
    if (resumed && x->keeper_error)
        snprintf(text, size,
                 "no process could be started to keep what this kernel cannot close after a "
                 "resume (%s): ending this agent would make it BUG",
                 strerror(-x->keeper_error));
    return resumed;
}

/* --- pages ------------------------------------------------------------------------------------ */

/* When the kernel frees the page, it sends the event and releases the port, which must not happen:
 * so the descriptor is kept open. */
static void alarm_forget(struct xen_guest *x, struct xg_guest_pages *p)
{
    if (!x->keeper_error)
        close(p->fd);
    p->fd = -1;
}

/* The backend has unmapped the pages: only then may the grants end. Closing the descriptor ends the
 * grants that nobody maps. */
static void xen_pages_free(struct xg_guest_platform *g, struct xg_guest_pages *p)
{
    struct xen_guest *x = xen_of(g);
    if (p->map)
        munmap(p->map, p->count << XG_PAGE_SHIFT);
    if (p->fd >= 0 && p->fd == x->alarm.fd) {
        resume_look(x);
        if (x->alarm.stale)
            alarm_forget(x, p);
        x->alarm.fd = -1;
    }
    if (p->fd >= 0) {
        struct ioctl_gntalloc_dealloc_gref op = {.index = p->offset, .count = (uint32_t)p->count};
        (void)ioctl(p->fd, IOCTL_GNTALLOC_DEALLOC_GREF, &op);
        close(p->fd);
    }
    free(p->ref);
    *p = (struct xg_guest_pages){.fd = -1};
}

/* Each channel has a descriptor of its own: applications get it, and can map only the pages that it
 * allocated. */
static int xen_pages_alloc(struct xg_guest_platform *g, uint64_t shown, uint64_t extra,
                           struct xg_guest_pages *out)
{
    struct xg_guest_pages p = {.fd = -1, .count = shown + extra, .shown = shown};
    struct ioctl_gntalloc_alloc_gref *op;
    int err;
    op = calloc(1, sizeof(*op) + p.count * sizeof(op->gref_ids[0]));
    p.ref = malloc(p.count * sizeof(*p.ref));
    p.fd = open(XG_GNTALLOC, O_RDWR | O_CLOEXEC);
    if (!op || !p.ref || p.fd < 0) {
        err = p.fd < 0 ? -errno : -ENOMEM;
        goto fail;
    }
    op->domid = (uint16_t)g->backend;
    op->flags = GNTALLOC_FLAG_WRITABLE;
    op->count = (uint32_t)p.count;
    /* -ENOSPC: more than the module's parameter `limit`, 1,024 pages by default */
    if (ioctl(p.fd, IOCTL_GNTALLOC_ALLOC_GREF, op) < 0) {
        err = -errno;
        close(p.fd);
        p.fd = -1;
        goto fail;
    }
    p.offset = op->index;
    memcpy(p.ref, op->gref_ids, p.count * sizeof(*p.ref));
    p.map = mmap(NULL, p.count << XG_PAGE_SHIFT, PROT_READ | PROT_WRITE, MAP_SHARED, p.fd,
                 (off_t)p.offset);
    if (p.map == MAP_FAILED) {
        err = -errno;
        p.map = NULL;
        goto fail;
    }
    /* The kernel gives zeroed pages. The control page and the channel page, which come first in an
     * allocation, have this byte at the same place; for channels it is only a hint. */
    struct ioctl_gntalloc_unmap_notify alive = {
        .index = p.offset + offsetof(struct xg_control_page, front_alive),
        .action = UNMAP_NOTIFY_CLEAR_BYTE};
    (void)ioctl(p.fd, IOCTL_GNTALLOC_SET_UNMAP_NOTIFY, &alive);
    free(op);
    *out = p;
    return 0;
fail:
    free(op);
    xen_pages_free(g, &p);
    return err;
}

/* --- ports ------------------------------------------------------------------------------------ */

static int port_open(struct xen_guest *x, struct xen_port *p)
{
    xenevtchn_handle *h = xenevtchn_open(NULL, 0);
    if (!h)
        return -errno;
    int number = xenevtchn_bind_unbound_port(h, x->guest.backend);
    if (number < 0 || fcntl(xenevtchn_fd(h), F_SETFL, O_NONBLOCK) < 0) {
        int err = -errno;
        xenevtchn_close(h);
        return err;
    }
    *p = (struct xen_port){.handle = h, .number = (evtchn_port_t)number};
    return 0;
}

/* The port is unbound, not only closed: a program may have the descriptor too, and close it after a
 * resume. */
static void port_close(struct xen_guest *x, struct xen_port *p)
{
    if (!p->handle)
        return;
    resume_look(x);
    if (!p->stale)
        xenevtchn_unbind(p->handle, p->number);
    if (!p->stale || !x->keeper_error)
        xenevtchn_close(p->handle);
    *p = (struct xen_port){0};
}

static void xen_ports_free(struct xg_guest_platform *g, struct xg_guest_port *p, unsigned count)
{
    struct xen_guest *x = xen_of(g);
    for (unsigned i = 0; i < count; i++) {
        for (unsigned s = 0; s < XG_ARRAY_LEN(x->ring) && p[i].event.wait_fd >= 0; s++)
            if (x->ring[s].handle && xenevtchn_fd(x->ring[s].handle) == p[i].event.wait_fd) {
                port_close(x, &x->ring[s]);
                break;
            }
        p[i].event.wait_fd = p[i].event.kick_fd = -1;
    }
}

static int xen_port_alloc(struct xen_guest *x, struct xg_guest_port *out)
{
    unsigned i = 0;
    while (i < XG_ARRAY_LEN(x->ring) && x->ring[i].handle)
        i++;
    if (i == XG_ARRAY_LEN(x->ring))
        return -EMFILE;
    struct xen_port *p = &x->ring[i];
    int err = port_open(x, p);
    if (err)
        return err;
    out->port = p->number;
    out->event = (struct xg_event){.platform = XG_PLATFORM_XEN,
                                   .wait_fd = xenevtchn_fd(p->handle),
                                   .kick_fd = xenevtchn_fd(p->handle),
                                   .port = p->number};
    return 0;
}

static int xen_ports_alloc(struct xg_guest_platform *g, struct xg_guest_port *out, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        int err = xen_port_alloc(xen_of(g), &out[i]);
        if (err) {
            xen_ports_free(g, out, i);
            return err;
        }
    }
    return 0;
}

/* Does nothing: an event can only be sent to the other domain. Applications notice by their
 * socket. */
static void xen_port_wake(struct xg_guest_port *p)
{
    (void)p;
}

static void xen_control_unbind(struct xg_guest_platform *g)
{
    struct xen_guest *x = xen_of(g);
    if (x->control.handle && !x->control.stale)
        epoll_ctl(x->poll, EPOLL_CTL_DEL, xenevtchn_fd(x->control.handle), NULL);
    port_close(x, &x->control);
}

static int xen_control_bind(struct xg_guest_platform *g, const struct xg_guest_pages *page,
                            uint32_t *port)
{
    struct xen_guest *x = xen_of(g);
    struct epoll_event ev = {.events = EPOLLIN};
    int err;
    xen_control_unbind(g);
    err = port_open(x, &x->control);
    if (err)
        return err;
    if (epoll_ctl(x->poll, EPOLL_CTL_ADD, xenevtchn_fd(x->control.handle), &ev) < 0)
        err = -errno;
    x->alarm = (struct alarm){.fd = page->fd, .offset = page->offset, .port = x->control.number};
    if (!err)
        err = alarm_set(&x->alarm);
    if (err) {
        x->alarm.fd = -1;
        xen_control_unbind(g);
        return err;
    }
    *port = x->control.number;
    return 0;
}

static void xen_control_notify(struct xg_guest_platform *g)
{
    struct xen_guest *x = xen_of(g);
    resume_look(x);
    if (x->control.handle && !x->control.stale)
        xenevtchn_notify(x->control.handle, x->control.number);
}

static int xen_dispatch(struct xg_guest_platform *g)
{
    struct xen_guest *x = xen_of(g);
    int mask = 0;
    for (char **w; (w = xs_check_watch(x->xs)); free(w))
        mask |= XG_GUEST_STORE;
    if (errno != EAGAIN)
        return -errno;
    if (mask)
        domid_look(x); /* a resume triggers all watches */
    if (!x->control.handle || x->control.stale)
        return mask;
    int port = xenevtchn_pending(x->control.handle);
    if (port >= 0) {
        mask |= XG_GUEST_CONTROL;
        xenevtchn_unmask(x->control.handle, (evtchn_port_t)port);
    } else if (errno != EAGAIN) {
        return -errno;
    }
    return mask;
}

static void xen_close(struct xg_guest_platform *g)
{
    struct xen_guest *x = xen_of(g);
    for (unsigned i = 0; i < XG_ARRAY_LEN(x->ring); i++)
        port_close(x, &x->ring[i]);
    xen_control_unbind(g);
    if (x->keeper >= 0)
        close(x->keeper);
    if (x->poll >= 0)
        close(x->poll);
    if (x->xs)
        xs_close(x->xs);
    free(x);
}

static const struct xg_guest_ops xen_ops = {
    .read = xen_read,
    .write = xen_write,
    .watch = xen_watch,
    .unwatch = xen_unwatch,
    .pages_alloc = xen_pages_alloc,
    .pages_free = xen_pages_free,
    .ports_alloc = xen_ports_alloc,
    .ports_free = xen_ports_free,
    .port_wake = xen_port_wake,
    .control_bind = xen_control_bind,
    .control_unbind = xen_control_unbind,
    .control_notify = xen_control_notify,
    .resumed = xen_resumed,
    .dispatch = xen_dispatch,
    .close = xen_close,
};

int xg_guest_open_xen(struct xg_guest_platform **out, char *error, size_t size)
{
    struct xen_guest *x = calloc(1, sizeof(*x));
    struct epoll_event ev = {.events = EPOLLIN};
    int err;
    if (!x)
        return -ENOMEM;
    x->guest.ops = &xen_ops;
    x->guest.platform = XG_PLATFORM_XEN;
    x->alarm.fd = x->keeper = x->poll = -1;
    err = xg_guest_devices_xen(error, size);
    if (err)
        goto fail;
    x->xs = xs_open(0);
    if (x->xs)
        x->poll = epoll_create1(EPOLL_CLOEXEC);
    if (x->poll < 0 || epoll_ctl(x->poll, EPOLL_CTL_ADD, xs_fileno(x->xs), &ev) < 0) {
        err = errno ? -errno : -ENODEV;
        snprintf(error, size, "xenstore: %s", strerror(-err));
        goto fail;
    }
    domid_look(x);
    x->guest.fds[0] = x->poll;
    x->guest.fds[1] = -1;
    *out = &x->guest;
    return 0;
fail:
    xen_close(&x->guest);
    return err;
}
