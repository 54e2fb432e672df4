/* How a worker gets its channel: mapping pages and binding events, on both platforms. */
#include "backend/worker/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <xenevtchn.h>
#include <xengnttab.h>
#include <xen/grant_table.h> /* declares types that the next header needs */
#include <xen/gntdev.h>

static int map_local(struct xg_worker *w, const struct xg_spawn_fds *fds, struct xg_event *events)
{
    struct stat st;

    if (fstat(fds->pages, &st) < 0)
        return -errno;
    if ((uint64_t)st.st_size < w->size)
        return -EINVAL;
    w->base = mmap(NULL, w->size, PROT_READ | PROT_WRITE, MAP_SHARED, fds->pages, 0);
    if (w->base == MAP_FAILED)
        return -errno;
    close(fds->pages);
    for (uint32_t i = 0; i < w->req->geometry.ring_count; i++) {
        events[i] = (struct xg_event){XG_PLATFORM_LOCAL, fds->wait[i], fds->kick[i], 0};
        fcntl(fds->wait[i], F_SETFL, O_NONBLOCK);
        fcntl(fds->kick[i], F_SETFL, O_NONBLOCK);
    }
    return 0;
}

/* However this process ends, the kernel then clears back_alive in the channel page and sends an
 * event on `port`. */
static int notify_on_end(xengnttab_handle *gt, const void *base, uint32_t port)
{
    struct ioctl_gntdev_get_offset_for_vaddr where = {.vaddr = (uintptr_t)base};
    struct ioctl_gntdev_unmap_notify notify = {
        .action = UNMAP_NOTIFY_CLEAR_BYTE | UNMAP_NOTIFY_SEND_EVENT, .event_channel_port = port};
    int fd = xengnttab_fd(gt);

    if (ioctl(fd, IOCTL_GNTDEV_GET_OFFSET_FOR_VADDR, &where) < 0)
        return -errno;
    notify.index = where.offset + offsetof(struct xg_channel_page, back_alive);
    return ioctl(fd, IOCTL_GNTDEV_SET_UNMAP_NOTIFY, &notify) < 0 ? -errno : 0;
}

/* The broker copied the list of grant references and checked it. */
static int map_grants(struct xg_worker *w, int list_fd, uint32_t port)
{
    uint32_t count = (uint32_t)(w->size >> XG_PAGE_SHIFT);
    size_t bytes = (size_t)count * sizeof(uint32_t);
    xengnttab_handle *gt = xengnttab_open(NULL, 0);
    uint32_t *refs;
    int rc = 0;

    if (!gt)
        return -errno;
    refs = mmap(NULL, bytes, PROT_READ, MAP_PRIVATE, list_fd, 0);
    if (refs == MAP_FAILED) {
        rc = -errno;
        goto out;
    }
    w->base =
        xengnttab_map_domain_grant_refs(gt, count, w->req->domid, refs, PROT_READ | PROT_WRITE);
    rc = w->base ? notify_on_end(gt, w->base, port) : errno ? -errno : -EIO;
    munmap(refs, bytes);
out:
    /* The mapping stays when the descriptor is closed; the descriptor could map other guests'
     * pages. */
    xengnttab_close(gt);
    close(list_fd);
    return rc;
}

static int bind_port(struct xg_worker *w, uint32_t remote, struct xg_event *e)
{
    xenevtchn_handle *ec = xenevtchn_open(NULL, 0);
    int fd, port, rc = 0;

    if (!ec)
        return -errno;
    port = xenevtchn_bind_interdomain(ec, w->req->domid, remote);
    /* Keeps a descriptor for this port only; it is restricted so that it cannot bind others. */
    if (port < 0)
        rc = -errno;
    else if (xenevtchn_restrict(ec, (domid_t)w->req->domid) < 0 && errno != ENOTTY &&
             errno != EOPNOTSUPP)
        rc = -errno;
    else if ((fd = fcntl(xenevtchn_fd(ec), F_DUPFD_CLOEXEC, 3)) < 0)
        rc = -errno;
    else
        *e = (struct xg_event){XG_PLATFORM_XEN, fd, fd, (uint32_t)port};
    if (rc == 0)
        fcntl(e->wait_fd, F_SETFL, O_NONBLOCK);
    /* The port stays bound when the library's handle is closed: the duplicated descriptor keeps the
     * file open. */
    xenevtchn_close(ec);
    return rc;
}

int xg_worker_map(struct xg_worker *w, const struct xg_spawn_fds *fds, struct xg_event *events)
{
    w->size = xg_geometry_pages(&w->req->geometry) << XG_PAGE_SHIFT;
    if (w->req->platform == XG_PLATFORM_LOCAL)
        return map_local(w, fds, events);
    int rc = 0;
    for (uint32_t i = 0; rc == 0 && i < w->req->geometry.ring_count; i++)
        rc = bind_port(w, w->req->port[i], &events[i]);
    return rc ? rc : map_grants(w, fds->pages, events[0].port);
}
