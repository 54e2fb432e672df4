/*
 * A guest that is a Xen domain. One connection to xenstore and one to gntdev serve the broker; each
 * guest has a descriptor of /dev/xen/evtchn of its own, for its control ring. The broker maps
 * control rings and, one at a time, directory pages; channels are mapped by their workers.
 */
#include "backend/broker/loop.h"
#include "backend/platform/platform.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <unistd.h>

#include <xenevtchn.h>
#include <xengnttab.h>
#include <xenstore.h>

/* Events a guest may send in a window; then its port stays masked until the window is over. */
#define WINDOW_NS     100000000u
#define WINDOW_EVENTS 1000u
#define TRIES         8 /* of a transaction that others disturb */

struct xen {
    struct xg_frontend f;
    struct xen *next;
    char front[96], back[96]; /* directories */
    xenevtchn_handle *evtchn;
    struct xg_source events;
    evtchn_port_t port; /* 0: none bound */
    struct xg_timer window;
    unsigned count;
    bool masked; /* an event is pending that has not been unmasked */
};

static struct xs_handle *xs;
static xengnttab_handle *gnttab;
static struct xg_source store = {.fd = -1};
static struct xen *devices;

static struct xen *xen_of(struct xg_frontend *f)
{
    return xg_container_of(f, struct xen, f);
}

/* --- store ------------------------------------------------------------------------------------ */

static int store_read(const char *path, char *value, size_t size)
{
    unsigned length;
    char *v = xs_read(xs, XBT_NULL, path, &length);
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

static bool put(xs_transaction_t t, const char *directory, const char *node, const char *value)
{
    char path[160];
    snprintf(path, sizeof(path), "%s/%s", directory, node);
    return xs_write(xs, t, path, value, (unsigned)strlen(value));
}

static bool put_number(xs_transaction_t t, const char *directory, const char *node, uint64_t value)
{
    char text[32];
    snprintf(text, sizeof(text), "%" PRIu64, value);
    return put(t, directory, node, text);
}

/* A directory that `owner` may write and `other` may read. */
static bool make(xs_transaction_t t, const char *path, uint32_t owner, uint32_t other)
{
    struct xs_permissions perms[2] = {{.id = owner, .perms = XS_PERM_NONE},
                                      {.id = other, .perms = XS_PERM_READ}};
    return xs_mkdir(xs, t, path) && xs_set_permissions(xs, t, path, perms, 2);
}

/* Both ends of the device in one transaction, as a toolstack would that knew the class. */
static int nodes_create(struct xen *x)
{
    for (unsigned i = 0; i < TRIES; i++) {
        xs_transaction_t t = xs_transaction_start(xs);
        if (!t)
            return -errno;
        (void)xs_rm(xs, t, x->back); /* of a domain that had this number before */
        (void)xs_rm(xs, t, x->front);
        bool good = make(t, x->front, x->f.domid, 0) && make(t, x->back, 0, x->f.domid) &&
                    put(t, x->front, "backend", x->back) &&
                    put_number(t, x->front, "backend-id", 0) &&
                    put_number(t, x->front, XG_NODE_STATE, XG_XENBUS_INITIALISING) &&
                    put(t, x->back, "frontend", x->front) &&
                    put_number(t, x->back, "frontend-id", x->f.domid) &&
                    put_number(t, x->back, "online", 1) &&
                    put_number(t, x->back, XG_NODE_STATE, XG_XENBUS_INITIALISING);
        int err = errno;
        if (!good) {
            xs_transaction_end(xs, t, true);
            return err ? -err : -EIO;
        }
        if (xs_transaction_end(xs, t, false))
            return 0;
        if (errno != EAGAIN)
            return -errno;
    }
    return -EAGAIN;
}

/* The device exists since before this daemon: its frontend keeps its nodes and is told to begin
 * again. */
static bool nodes_exist(struct xen *x)
{
    char path[160], value[128];
    snprintf(path, sizeof(path), "%s/backend", x->front);
    return !store_read(path, value, sizeof(value)) && !strcmp(value, x->back);
}

static void nodes_remove(struct xen *x)
{
    xs_rm(xs, XBT_NULL, x->back);
    xs_rm(xs, XBT_NULL, x->front);
}

static int front_read(struct xg_frontend *f, const char *node, char *value, size_t size)
{
    char path[160];
    snprintf(path, sizeof(path), "%s/%s", xen_of(f)->front, node);
    return store_read(path, value, size);
}

static int back_write(struct xg_frontend *f, const char *node, const char *value)
{
    return put(XBT_NULL, xen_of(f)->back, node, value) ? 0 : -errno;
}

static void front_reset(struct xg_frontend *f)
{
    (void)f; /* the frontend's directory is its own */
}

/* Looks at every device's frontend: the guest's own text never decides which device an event is
 * for. */
static void store_readable(struct xg_source *s, uint32_t events)
{
    (void)s;
    (void)events;
    for (char **w; (w = xs_check_watch(xs)); free(w)) {
        bool released = !strcmp(w[XS_WATCH_TOKEN], "released");
        uint32_t domid = (uint32_t)strtoul(w[XS_WATCH_TOKEN], NULL, 10);
        for (struct xen *x = devices, *next; x; x = next) {
            next = x->next;
            if (released && !xs_is_domain_introduced(xs, x->f.domid))
                x->f.events->lost(x->f.arg);
            else if (!released && x->f.domid == domid)
                x->f.events->store(x->f.arg);
        }
    }
}

static void watch_set(struct xen *x, bool on)
{
    char path[160], token[16];
    snprintf(path, sizeof(path), "%s/" XG_NODE_STATE, x->front);
    snprintf(token, sizeof(token), "%u", x->f.domid);
    if (on)
        xs_watch(xs, path, token);
    else
        xs_unwatch(xs, path, token);
}

/* --- events ----------------------------------------------------------------------------------- */

static void unmask(struct xen *x)
{
    if (x->masked && x->port)
        xenevtchn_unmask(x->evtchn, x->port);
    x->masked = false;
}

static void window_over(struct xg_timer *t)
{
    struct xen *x = xg_container_of(t, struct xen, window);
    x->count = 0;
    unmask(x);
}

/* Unmasked only once what it announced has been taken, and not too often: a storm costs its sender
 * alone. */
static void evtchn_readable(struct xg_source *s, uint32_t events)
{
    struct xen *x = xg_container_of(s, struct xen, events);
    (void)events;
    int port = xenevtchn_pending(x->evtchn);
    if (port < 0 || (evtchn_port_t)port != x->port)
        return;
    x->masked = true;
    x->f.events->control(x->f.arg);
    if (!x->window.armed)
        xg_timer_arm(&x->window, WINDOW_NS, window_over);
    if (++x->count < WINDOW_EVENTS)
        unmask(x);
}

static int control_bind(struct xg_frontend *f, uint32_t port)
{
    struct xen *x = xen_of(f);
    int local = xenevtchn_bind_interdomain(x->evtchn, f->domid, port);
    if (local < 0)
        return -errno;
    x->port = (evtchn_port_t)local;
    x->masked = false;
    return 0;
}

static void control_unbind(struct xg_frontend *f)
{
    struct xen *x = xen_of(f);
    if (x->port)
        xenevtchn_unbind(x->evtchn, x->port);
    x->port = 0;
    xg_timer_disarm(&x->window);
    x->count = 0;
}

static void control_notify(struct xg_frontend *f)
{
    struct xen *x = xen_of(f);
    if (x->port)
        xenevtchn_notify(x->evtchn, x->port);
}

/* --- pages ------------------------------------------------------------------------------------ */

static int control_map(struct xg_frontend *f, uint32_t ref, struct xg_control_page **page)
{
    void *p = xengnttab_map_grant_ref_notify(gnttab, f->domid, ref, PROT_READ | PROT_WRITE,
                                             offsetof(struct xg_control_page, back_alive),
                                             (evtchn_port_t)-1);
    if (!p)
        return errno ? -errno : -EIO;
    *page = p;
    return 0;
}

static void control_unmap(struct xg_frontend *f, struct xg_control_page *page)
{
    (void)f;
    xengnttab_unmap(gnttab, page, 1);
}

static int page_copy(struct xg_frontend *f, uint32_t ref, void *copy)
{
    void *p = xengnttab_map_grant_ref(gnttab, f->domid, ref, PROT_READ);
    if (!p)
        return errno ? -errno : -EIO;
    memcpy(copy, p, XG_PAGE_SIZE);
    xengnttab_unmap(gnttab, p, 1);
    return 0;
}

/* The worker maps by itself: it is told the references. */
static int pages(struct xg_frontend *f, const uint32_t *ref, uint64_t count)
{
    size_t size = count * sizeof(*ref);
    int fd = memfd_create("xengpu-refs", MFD_CLOEXEC | MFD_ALLOW_SEALING), err;
    (void)f;
    if (fd < 0)
        return -errno;
    for (size_t done = 0; done < size;) {
        ssize_t n = pwrite(fd, (const char *)ref + done, size - done, (off_t)done);
        if (n <= 0) {
            err = n < 0 ? -errno : -ENOSPC;
            close(fd);
            return err;
        }
        done += (size_t)n;
    }
    if (fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) < 0) {
        err = -errno;
        close(fd);
        return err;
    }
    return fd;
}

static int ports(struct xg_frontend *f, const uint32_t *port, unsigned count, int *wait, int *kick)
{
    (void)f;
    (void)port;
    for (unsigned i = 0; i < count; i++)
        wait[i] = kick[i] = -1;
    return 0;
}

/* --- devices ---------------------------------------------------------------------------------- */

static void device_free(struct xen *x)
{
    struct xen **p = &devices;
    while (*p && *p != x)
        p = &(*p)->next;
    if (*p)
        *p = x->next;
    xg_timer_disarm(&x->window);
    x->events.fd = -1; /* the handle's own descriptor */
    if (x->evtchn)
        xenevtchn_close(x->evtchn);
    free(x);
}

static void destroy(struct xg_frontend *f)
{
    struct xen *x = xen_of(f);
    watch_set(x, false);
    nodes_remove(x);
    device_free(x);
}

static const struct xg_frontend_ops xen_ops = {
    .front_read = front_read,
    .back_write = back_write,
    .front_reset = front_reset,
    .control_map = control_map,
    .control_unmap = control_unmap,
    .control_bind = control_bind,
    .control_unbind = control_unbind,
    .control_notify = control_notify,
    .page_copy = page_copy,
    .pages = pages,
    .ports = ports,
    .destroy = destroy,
};

int xg_frontend_xen(uint32_t domid, const char *guest, const struct xg_frontend_events *events,
                    void *arg, struct xg_frontend **out)
{
    struct xen *x = calloc(1, sizeof(*x));
    int err;
    if (!x)
        return -ENOMEM;
    x->f = (struct xg_frontend){.ops = &xen_ops,
                                .events = events,
                                .arg = arg,
                                .platform = XG_PLATFORM_XEN,
                                .guest = guest,
                                .domid = domid};
    x->events.fd = -1;
    snprintf(x->front, sizeof(x->front), "/local/domain/%u/device/" XG_DEVICE_CLASS "/0", domid);
    snprintf(x->back, sizeof(x->back), "/local/domain/0/backend/" XG_DEVICE_CLASS "/%u/0", domid);
    x->evtchn = xenevtchn_open(NULL, 0);
    err = !x->evtchn || fcntl(xenevtchn_fd(x->evtchn), F_SETFL, O_NONBLOCK) < 0 ? -errno : 0;
    if (!err)
        err = xg_loop_add(&x->events, xenevtchn_fd(x->evtchn), EPOLLIN, evtchn_readable);
    if (!err && !nodes_exist(x))
        err = nodes_create(x);
    if (err) {
        device_free(x);
        return err;
    }
    x->next = devices;
    devices = x;
    watch_set(x, true);
    *out = &x->f;
    return 0;
}

/* --- domains ---------------------------------------------------------------------------------- */

static bool domain_name(const char *id, char *name, size_t size)
{
    char path[64];
    snprintf(path, sizeof(path), "/local/domain/%s/name", id);
    return store_read(path, name, size) == 0;
}

int xg_xen_domain(const char *name, uint32_t *domid)
{
    unsigned count;
    char **ids = xs_directory(xs, XBT_NULL, "/local/domain", &count), text[128];
    int err = ids ? -ENOENT : -errno;
    for (unsigned i = 0; ids && i < count && err; i++)
        if (strcmp(ids[i], "0") &&
            (!strcmp(ids[i], name) ||
             (domain_name(ids[i], text, sizeof(text)) && !strcmp(text, name)))) {
            *domid = (uint32_t)strtoul(ids[i], NULL, 10);
            err = 0;
        }
    free(ids);
    return err;
}

int xg_xen_each(void (*fn)(uint32_t domid, const char *name))
{
    unsigned count;
    char **ids = xs_directory(xs, XBT_NULL, "/local/domain/0/backend/" XG_DEVICE_CLASS, &count),
         name[128];
    for (unsigned i = 0; ids && i < count; i++)
        if (domain_name(ids[i], name, sizeof(name)))
            fn((uint32_t)strtoul(ids[i], NULL, 10), name);
    free(ids);
    return 0;
}

int xg_xen_open(void)
{
    xs = xs_open(0);
    gnttab = xengnttab_open(NULL, 0);
    if (!xs || !gnttab) {
        int err = errno ? -errno : -ENODEV;
        xg_xen_close();
        return err;
    }
    if (!xs_watch(xs, "@releaseDomain", "released"))
        return -errno;
    return xg_loop_add(&store, xs_fileno(xs), EPOLLIN, store_readable);
}

void xg_xen_close(void)
{
    store.fd = -1; /* the handle's own descriptor */
    if (gnttab)
        xengnttab_close(gnttab);
    if (xs)
        xs_close(xs);
    gnttab = NULL;
    xs = NULL;
}
