/* The guest's platform on Xen: xenstore, pages of /dev/xen/gntalloc, ports of /dev/xen/evtchn. */
#include "frontend/platform/guest.h"
#include "protocol/fdpass.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <xen/gntalloc.h>
#include <xenevtchn.h>
#include <xenstore.h>

#define GNTALLOC "/dev/xen/gntalloc"
#define LIMIT    "/sys/module/xen_gntalloc/parameters/limit"

_Static_assert(offsetof(struct xg_control_page, front_alive) ==
                   offsetof(struct xg_channel_page, front_alive),
               "xen_pages_alloc");

struct xen {
    struct xg_guest guest;
    struct xs_handle *xs;
    xenevtchn_handle *control; /* holds the control ring's port alone */
    uint32_t control_port;
    xenevtchn_handle *ring[XG_CHANNELS_MAX * XG_RINGS_MAX]; /* by descriptor, see ring_slot */
};

static struct xen *xen_of(struct xg_guest *g)
{
    return xg_container_of(g, struct xen, guest);
}

static int xen_read(struct xg_guest *g, const char *path, char *value, size_t size)
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

static int xen_write(struct xg_guest *g, const char *path, const char *value)
{
    return xs_write(xen_of(g)->xs, XBT_NULL, path, value, (unsigned)strlen(value)) ? 0 : -errno;
}

static int xen_watch(struct xg_guest *g, const char *path)
{
    return xs_watch(xen_of(g)->xs, path, "backend") || errno == EEXIST ? 0 : -errno;
}

/* The backend has unmapped them: only then may the grants end. Closing the descriptor ends those
 * that nobody maps. */
static void xen_pages_free(struct xg_guest *g, struct xg_guest_pages *p)
{
    if (p->map)
        munmap(p->map, p->count << XG_PAGE_SHIFT);
    if (p->fd >= 0) {
        struct ioctl_gntalloc_dealloc_gref op = {.index = p->offset, .count = (uint32_t)p->count};
        (void)ioctl(p->fd, IOCTL_GNTALLOC_DEALLOC_GREF, &op);
        close(p->fd);
    }
    free(p->ref);
    *p = (struct xg_guest_pages){.fd = -1};
}

/* A descriptor of its own for each channel: applications get it, and may map with it what it
 * allocated and nothing else. */
static int xen_pages_alloc(struct xg_guest *g, uint64_t shown, uint64_t extra,
                           struct xg_guest_pages *out)
{
    struct xg_guest_pages p = {.fd = -1, .count = shown + extra, .shown = shown};
    struct ioctl_gntalloc_alloc_gref *op;
    int err;
    op = calloc(1, sizeof(*op) + p.count * sizeof(op->gref_ids[0]));
    p.ref = malloc(p.count * sizeof(*p.ref));
    p.fd = open(GNTALLOC, O_RDWR | O_CLOEXEC);
    if (!op || !p.ref || p.fd < 0) {
        err = p.fd < 0 ? -errno : -ENOMEM;
        goto fail;
    }
    op->domid = (uint16_t)g->backend;
    op->flags = GNTALLOC_FLAG_WRITABLE;
    op->count = (uint32_t)p.count;
    /* -ENOSPC: above the module's parameter `limit`, 1,024 pages by default. */
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
    /* The kernel gives zeroed pages. Both kinds that come first in an allocation have this byte at
     * the same place; for channels it is a hint only. */
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

static xenevtchn_handle **ring_slot(struct xen *x, const xenevtchn_handle *h)
{
    for (unsigned i = 0; i < XG_ARRAY_LEN(x->ring); i++)
        if (x->ring[i] == h)
            return &x->ring[i];
    return NULL;
}

static void xen_ports_free(struct xg_guest *g, struct xg_guest_port *p, unsigned count)
{
    struct xen *x = xen_of(g);
    for (unsigned i = 0; i < count; i++) {
        for (unsigned s = 0; s < XG_ARRAY_LEN(x->ring) && p[i].event.wait_fd >= 0; s++)
            if (x->ring[s] && xenevtchn_fd(x->ring[s]) == p[i].event.wait_fd) {
                xenevtchn_close(x->ring[s]);
                x->ring[s] = NULL;
                break;
            }
        p[i].event.wait_fd = p[i].event.kick_fd = -1;
    }
}

static int xen_port_alloc(struct xen *x, struct xg_guest_port *out)
{
    xenevtchn_handle **slot = ring_slot(x, NULL);
    if (!slot)
        return -EMFILE;
    xenevtchn_handle *h = xenevtchn_open(NULL, 0);
    if (!h)
        return -errno;
    int port = xenevtchn_bind_unbound_port(h, x->guest.backend);
    if (port < 0 || fcntl(xenevtchn_fd(h), F_SETFL, O_NONBLOCK) < 0) {
        int err = -errno;
        xenevtchn_close(h);
        return err;
    }
    *slot = h;
    out->port = (uint32_t)port;
    out->event = (struct xg_event){.platform = XG_PLATFORM_XEN,
                                   .wait_fd = xenevtchn_fd(h),
                                   .kick_fd = xenevtchn_fd(h),
                                   .port = (uint32_t)port};
    return 0;
}

static int xen_ports_alloc(struct xg_guest *g, struct xg_guest_port *out, unsigned count)
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

/* An event can only be sent to the other domain; applications notice by their socket. */
static void xen_port_wake(struct xg_guest_port *p)
{
    (void)p;
}

static int xen_control_bind(struct xg_guest *g, const struct xg_guest_pages *page, uint32_t *port)
{
    struct xen *x = xen_of(g);
    if (x->control_port)
        xenevtchn_unbind(x->control, x->control_port);
    x->control_port = 0;
    int p = xenevtchn_bind_unbound_port(x->control, g->backend);
    if (p < 0)
        return -errno;
    x->control_port = *port = (uint32_t)p;
    struct ioctl_gntalloc_unmap_notify alive = {
        .index = page->offset + offsetof(struct xg_control_page, front_alive),
        .action = UNMAP_NOTIFY_CLEAR_BYTE | UNMAP_NOTIFY_SEND_EVENT,
        .event_channel_port = x->control_port};
    return ioctl(page->fd, IOCTL_GNTALLOC_SET_UNMAP_NOTIFY, &alive) < 0 ? -errno : 0;
}

static void xen_control_notify(struct xg_guest *g)
{
    struct xen *x = xen_of(g);
    xenevtchn_notify(x->control, x->control_port);
}

static int xen_dispatch(struct xg_guest *g)
{
    struct xen *x = xen_of(g);
    int mask = 0;
    for (char **w; (w = xs_check_watch(x->xs)); free(w))
        mask |= XG_GUEST_STORE;
    if (errno != EAGAIN)
        return -errno;
    int port = xenevtchn_pending(x->control);
    if (port >= 0) {
        mask |= XG_GUEST_CONTROL;
        xenevtchn_unmask(x->control, (evtchn_port_t)port);
    } else if (errno != EAGAIN) {
        return -errno;
    }
    return mask;
}

static void xen_close(struct xg_guest *g)
{
    struct xen *x = xen_of(g);
    for (unsigned i = 0; i < XG_ARRAY_LEN(x->ring); i++)
        if (x->ring[i])
            xenevtchn_close(x->ring[i]);
    if (x->control)
        xenevtchn_close(x->control);
    if (x->xs)
        xs_close(x->xs);
    free(x);
}

static const struct xg_guest_ops xen_ops = {
    .read = xen_read,
    .write = xen_write,
    .watch = xen_watch,
    .pages_alloc = xen_pages_alloc,
    .pages_free = xen_pages_free,
    .ports_alloc = xen_ports_alloc,
    .ports_free = xen_ports_free,
    .port_wake = xen_port_wake,
    .control_bind = xen_control_bind,
    .control_notify = xen_control_notify,
    .dispatch = xen_dispatch,
    .close = xen_close,
};

/* --- what the guest's kernel must have -------------------------------------------------------- */

static int devices_check(char *error, size_t size)
{
    static const struct {
        const char *path, *module;
    } needed[] = {{"/dev/xen/xenbus", "xenfs"},
                  {"/dev/xen/evtchn", "xen-evtchn"},
                  {GNTALLOC, "xen-gntalloc"}};
    for (unsigned i = 0; i < XG_ARRAY_LEN(needed); i++) {
        if (access(needed[i].path, R_OK | W_OK) == 0)
            continue;
        int err = -errno;
        if (err == -ENOENT)
            snprintf(error, size, "%s is missing: 'modprobe %s', as root; is this a Xen guest?",
                     needed[i].path, needed[i].module);
        else
            snprintf(error, size, "%s: %s; the agent must be started as root", needed[i].path,
                     strerror(-err));
        return err;
    }
    return 0;
}

static bool limit_read(unsigned long *limit)
{
    FILE *f = fopen(LIMIT, "re");
    bool good = f && fscanf(f, "%lu", limit) == 1;
    if (f)
        fclose(f);
    return good;
}

static bool limit_write(uint32_t limit)
{
    FILE *f = fopen(LIMIT, "we");
    bool good = f && fprintf(f, "%u\n", limit) > 0;
    if (f && fclose(f))
        good = false;
    return good;
}

uint32_t xg_guest_grants_xen(uint32_t wanted, char *text, size_t size)
{
    unsigned long limit;
    text[0] = 0;
    if (!limit_read(&limit) || limit >= wanted)
        return wanted;
    if (limit_write(wanted) && limit_read(&limit) && limit >= wanted)
        return wanted;
    snprintf(text, size,
             "this kernel lets %lu pages be shared, and %u are wanted; as root: 'echo %u > " LIMIT
             "', or 'options xen-gntalloc limit=%u' in /etc/modprobe.d",
             limit, wanted, wanted, wanted);
    return (uint32_t)limit;
}

int xg_guest_open_xen(struct xg_guest **out, char *error, size_t size)
{
    struct xen *x = calloc(1, sizeof(*x));
    int err;
    if (!x)
        return -ENOMEM;
    x->guest.ops = &xen_ops;
    x->guest.platform = XG_PLATFORM_XEN;
    err = devices_check(error, size);
    if (err)
        goto fail;
    x->xs = xs_open(0);
    x->control = x->xs ? xenevtchn_open(NULL, 0) : NULL;
    if (!x->control || fcntl(xenevtchn_fd(x->control), F_SETFL, O_NONBLOCK) < 0) {
        err = errno ? -errno : -ENODEV;
        snprintf(error, size, "%s: %s", x->xs ? "/dev/xen/evtchn" : "xenstore", strerror(-err));
        goto fail;
    }
    x->guest.fds[0] = xs_fileno(x->xs);
    x->guest.fds[1] = xenevtchn_fd(x->control);
    *out = &x->guest;
    return 0;
fail:
    xen_close(&x->guest);
    return err;
}
