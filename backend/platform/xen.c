/*
 * A guest that is a Xen domain. Two connections to xenstore and one to gntdev serve the broker;
 * each guest has a descriptor of /dev/xen/evtchn of its own, for its control ring. The broker maps
 * control rings and, one at a time, directory pages; channels are mapped by their workers.
 */
#include "backend/platform/xen.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <unistd.h>

#include <xengnttab.h>
#include <xentoollog.h>

#define AGAIN_NS 200000000u /* until a watch that xenstore refused is tried again */

struct xen *xg_xen_devices;
static xengnttab_handle *gnttab;
static xentoollog_logger_stdiostream *quiet;

/* --- events ----------------------------------------------------------------------------------- */

static void port_unmask(struct xen *x)
{
    if (x->masked && x->port)
        xenevtchn_unmask(x->evtchn, x->port);
    x->masked = false;
}

/* The guest has paid its debt. What it asked for meanwhile is in its ring, in its node, or both. */
static void device_resume(struct xg_meter *m)
{
    struct xen *x = xg_container_of(m, struct xen, f.meter);
    x->f.events->control(x->f.arg);
    if (!xg_meter_pay(m))
        return;
    port_unmask(x);
    if (xg_xen_store_watch(x, true)) /* it fires at once, so nothing is missed */
        xg_meter_wait(m, AGAIN_NS);
    xg_meter_charge(m);
}

/* The port is unmasked after the work that the event announced is done, and not if the guest is in
 * debt: so a storm of events costs its sender alone. The guest pays for unmasking too, since the
 * next event may come at once. */
static void evtchn_readable(struct xg_source *s, uint32_t events)
{
    struct xen *x = xg_container_of(s, struct xen, events);
    (void)events;
    int port = xenevtchn_pending(x->evtchn);
    if (port < 0 || (evtchn_port_t)port != x->port)
        return;
    x->masked = true;
    x->f.events->control(x->f.arg);
    if (!xg_meter_spent(&x->f.meter))
        port_unmask(x);
    xg_meter_pay(&x->f.meter);
}

static int control_bind(struct xg_frontend *f, uint32_t port)
{
    struct xen *x = xg_xen_of(f);
    int local = xenevtchn_bind_interdomain(x->evtchn, f->domid, port);
    if (local < 0)
        return -errno;
    x->port = (evtchn_port_t)local;
    x->masked = false;
    return 0;
}

static void control_unbind(struct xg_frontend *f)
{
    struct xen *x = xg_xen_of(f);
    if (x->port)
        xenevtchn_unbind(x->evtchn, x->port);
    x->port = 0;
    x->masked = false;
}

static void control_notify(struct xg_frontend *f)
{
    struct xen *x = xg_xen_of(f);
    if (x->port)
        xenevtchn_notify(x->evtchn, x->port);
}

/* --- pages ------------------------------------------------------------------------------------ */

/* However this process ends, the kernel then clears back_alive and sends an event, and so the agent
 * knows. */
static int control_map(struct xg_frontend *f, uint32_t ref, struct xg_control_page **page)
{
    void *p = xengnttab_map_grant_ref_notify(gnttab, f->domid, ref, PROT_READ | PROT_WRITE,
                                             offsetof(struct xg_control_page, back_alive),
                                             xg_xen_of(f)->port);
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

/* The worker maps the pages itself: it gets the grant references. */
static int channel_pages(struct xg_frontend *f, const uint32_t *ref, uint64_t count)
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

static int channel_ports(struct xg_frontend *f, const uint32_t *port, unsigned count, int *wait,
                         int *kick)
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
    struct xen **p = &xg_xen_devices;
    while (*p && *p != x)
        p = &(*p)->next;
    if (*p)
        *p = x->next;
    xg_meter_stop(&x->f.meter);
    x->events.fd = -1; /* the handle's own descriptor */
    if (x->evtchn)
        xenevtchn_close(x->evtchn);
    free(x);
}

static void device_destroy(struct xg_frontend *f, bool forget)
{
    struct xen *x = xg_xen_of(f);
    xg_xen_store_drop(x, forget);
    device_free(x);
}

static void front_reset(struct xg_frontend *f)
{
    (void)f; /* only the guest may change the frontend's directory */
}

static const struct xg_frontend_ops xen_ops = {
    .front_read = xg_xen_front_read,
    .back_write = xg_xen_back_write,
    .front_reset = front_reset,
    .control_map = control_map,
    .control_unmap = control_unmap,
    .control_bind = control_bind,
    .control_unbind = control_unbind,
    .control_notify = control_notify,
    .page_copy = page_copy,
    .pages = channel_pages,
    .ports = channel_ports,
    .destroy = device_destroy,
};

int xg_frontend_xen(uint32_t domid, const char *guest, const struct xg_policy *policy,
                    const struct xg_frontend_events *events, void *arg, struct xg_frontend **out)
{
    struct xen *x = calloc(1, sizeof(*x));
    int err = -ENOMEM;
    if (!x)
        return err;
    x->f = (struct xg_frontend){.ops = &xen_ops,
                                .events = events,
                                .arg = arg,
                                .platform = XG_PLATFORM_XEN,
                                .guest = guest,
                                .domid = domid,
                                .meter.resume = device_resume};
    x->events.fd = -1;
    x->evtchn = xenevtchn_open(NULL, 0);
    err = !x->evtchn || fcntl(xenevtchn_fd(x->evtchn), F_SETFL, O_NONBLOCK) < 0 ? -errno : 0;
    if (!err)
        err = xg_loop_add(&x->events, xenevtchn_fd(x->evtchn), EPOLLIN, evtchn_readable);
    if (!err)
        err = xg_xen_store_add(x, policy);
    if (err) {
        xg_xen_store_drop(x, false);
        device_free(x);
        return err;
    }
    x->next = xg_xen_devices;
    xg_xen_devices = x;
    *out = &x->f;
    return 0;
}

/* --- the handles ------------------------------------------------------------------------------ */

static int device_missing(const char *device, const char *module)
{
    int err = errno ? -errno : -ENODEV;
    xg_log_error(NULL, "%s: %s; on Xen 'modprobe %s' makes this device, and only root may use it",
                 device, strerror(-err), module);
    return err;
}

/* Opens everything at the start, so that what is missing is said then, not at the first guest. */
int xg_xen_open(void (*changed)(void *arg), void *arg)
{
    int err;
    xenevtchn_handle *probe = xenevtchn_open(NULL, 0);
    if (!probe)
        return device_missing("/dev/xen/evtchn", "xen-evtchn");
    xenevtchn_close(probe);
    /* Else the library writes a line for each wrong reference that a guest gives. */
    quiet = xtl_createlogger_stdiostream(stderr, XTL_CRITICAL, 0);
    gnttab = xengnttab_open((xentoollog_logger *)quiet, 0);
    if (!gnttab)
        return device_missing("/dev/xen/gntdev", "xen-gntdev");
    err = xg_xen_store_open(changed, arg);
    if (err)
        xg_xen_close();
    return err;
}

void xg_xen_close(void)
{
    xg_xen_store_close();
    if (gnttab)
        xengnttab_close(gnttab);
    gnttab = NULL;
    if (quiet)
        xtl_logger_destroy((xentoollog_logger *)quiet);
    quiet = NULL;
}
