/* Grants and event channels in memory: see fake_xen.h. */
#include "tests/unit/fake_xen_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <xenevtchn.h>
#include <xengnttab.h>

#define GRANTS 512
#define PORTS  512

static struct grant {
    uint32_t domid;
    void *page; /* NULL: none */
    unsigned maps;
} grants[GRANTS];

/* A port of a guest's, and what is bound to it here. Local ports have the same numbers. */
static struct port {
    uint32_t domid;
    struct xenevtchn_handle *bound;
    bool used, pending, masked;
    unsigned sent;
} ports[PORTS];

struct xenevtchn_handle {
    int fd;
};

struct xengntdev_handle {
    int nothing;
};

static struct mapping {
    struct mapping *next;
    void *address;
    struct grant *grant;
    uint32_t notify_offset;
} * mappings;

void (*fake_closed)(int fd);
static unsigned fail_kinds, fail_n;
static int fail_error, open_handles;
static bool failed;
static struct {
    const char *function;
    unsigned count;
} calls[32];

/* --- failing and counting --------------------------------------------------------------------- */

bool fake_may(enum fake_kind kind, const char *function)
{
    for (unsigned i = 0; i < XG_ARRAY_LEN(calls); i++) {
        if (calls[i].function && strcmp(calls[i].function, function))
            continue;
        calls[i].function = function;
        calls[i].count++;
        break;
    }
    if (!(kind & fail_kinds) || !fail_n || --fail_n)
        return true;
    failed = true;
    errno = fail_error;
    return false;
}

void fake_fail(unsigned kinds, unsigned n, int error)
{
    fail_kinds = kinds;
    fail_n = n;
    fail_error = error;
    failed = false;
}

bool fake_failed(void)
{
    return failed;
}

unsigned fake_calls(const char *function)
{
    for (unsigned i = 0; i < XG_ARRAY_LEN(calls) && calls[i].function; i++)
        if (!strcmp(calls[i].function, function))
            return calls[i].count;
    return 0;
}

void fake_handle_count(int more)
{
    open_handles += more;
}

unsigned fake_handles(void)
{
    return (unsigned)open_handles;
}

void fake_reset(void)
{
    fake_fail(0, 0, 0);
    memset(calls, 0, sizeof(calls));
    memset(grants, 0, sizeof(grants));
    memset(ports, 0, sizeof(ports));
    fake_store_reset();
}

/* --- what the tests say ----------------------------------------------------------------------- */

uint32_t fake_grant(uint32_t domid, void *page)
{
    for (uint32_t i = 8; i < GRANTS; i++)
        if (!grants[i].page && !grants[i].maps) {
            grants[i] = (struct grant){.domid = domid, .page = page};
            return i;
        }
    abort();
}

void fake_revoke(uint32_t domid, uint32_t ref)
{
    if (grants[ref].domid == domid)
        grants[ref].page = NULL;
}

unsigned fake_mapped(uint32_t domid)
{
    unsigned n = 0;
    for (unsigned i = 0; i < GRANTS; i++)
        n += grants[i].domid == domid ? grants[i].maps : 0;
    return n;
}

uint32_t fake_port(uint32_t domid)
{
    for (uint32_t i = 1; i < PORTS; i++)
        if (!ports[i].used) {
            ports[i] = (struct port){.domid = domid, .used = true};
            return i;
        }
    abort();
}

void fake_port_close(uint32_t domid, uint32_t port)
{
    if (ports[port].domid == domid && !ports[port].bound)
        ports[port].used = false;
}

unsigned fake_bound(uint32_t domid)
{
    unsigned n = 0;
    for (unsigned i = 0; i < PORTS; i++)
        n += ports[i].domid == domid && ports[i].bound;
    return n;
}

static void deliver(struct port *p)
{
    uint64_t one = 1;
    if (p->bound && p->pending && !p->masked && write(p->bound->fd, &one, sizeof(one)) < 0)
        abort();
}

void fake_event(uint32_t domid, uint32_t port)
{
    if (ports[port].domid != domid || ports[port].pending)
        return;
    ports[port].pending = true;
    deliver(&ports[port]);
}

unsigned fake_events_sent(uint32_t port)
{
    return ports[port].sent;
}

/* --- libxengnttab ----------------------------------------------------------------------------- */

xengnttab_handle *xengnttab_open(struct xentoollog_logger *logger, unsigned flags)
{
    (void)logger;
    (void)flags;
    if (!fake_may(FAKE_OPEN, "xengnttab_open"))
        return NULL;
    fake_handle_count(1);
    return calloc(1, sizeof(xengnttab_handle));
}

int xengnttab_close(xengnttab_handle *h)
{
    fake_handle_count(-1);
    free(h);
    return 0;
}

static void *map(uint32_t domid, uint32_t ref, uint32_t notify_offset)
{
    if (!fake_may(FAKE_MAP, "xengnttab_map"))
        return NULL;
    if (ref >= GRANTS || !grants[ref].page || grants[ref].domid != domid) {
        errno = EINVAL;
        return NULL;
    }
    struct mapping *m = calloc(1, sizeof(*m));
    *m = (struct mapping){.next = mappings,
                          .address = grants[ref].page,
                          .grant = &grants[ref],
                          .notify_offset = notify_offset};
    mappings = m;
    grants[ref].maps++;
    return m->address;
}

void *xengnttab_map_grant_ref(xengnttab_handle *h, uint32_t domid, uint32_t ref, int prot)
{
    (void)h;
    (void)prot;
    return map(domid, ref, UINT32_MAX);
}

void *xengnttab_map_grant_ref_notify(xengnttab_handle *h, uint32_t domid, uint32_t ref, int prot,
                                     uint32_t offset, evtchn_port_t port)
{
    (void)h;
    (void)prot;
    if (port == 0 || port >= PORTS || !ports[port].bound) { /* as the kernel's evtchn_get */
        errno = EINVAL;
        return NULL;
    }
    return map(domid, ref, offset);
}

/* A worker's whole channel: memory of its own, with the first page's contents of none. */
void *xengnttab_map_domain_grant_refs(xengnttab_handle *h, uint32_t count, uint32_t domid,
                                      uint32_t *refs, int prot)
{
    (void)h;
    (void)domid;
    if (!fake_may(FAKE_MAP, "xengnttab_map_domain_grant_refs"))
        return NULL;
    for (uint32_t i = 0; i < count; i++)
        if (refs[i] >= GRANTS) {
            errno = EINVAL;
            return NULL;
        }
    void *p = mmap(NULL, (size_t)count * XG_PAGE_SIZE, prot, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return p == MAP_FAILED ? NULL : p;
}

int xengnttab_fd(xengnttab_handle *h)
{
    (void)h;
    return -1; /* its ioctls are the test's */
}

int xengnttab_unmap(xengnttab_handle *h, void *address, uint32_t count)
{
    (void)h;
    (void)count;
    for (struct mapping **p = &mappings; *p; p = &(*p)->next) {
        struct mapping *m = *p;
        if (m->address != address)
            continue;
        if (m->notify_offset != UINT32_MAX)
            ((uint8_t *)address)[m->notify_offset] = 0;
        m->grant->maps--;
        *p = m->next;
        free(m);
        return 0;
    }
    abort(); /* of what is not mapped */
}

/* --- libxenevtchn ----------------------------------------------------------------------------- */

xenevtchn_handle *xenevtchn_open(struct xentoollog_logger *logger, unsigned flags)
{
    (void)logger;
    (void)flags;
    if (!fake_may(FAKE_OPEN, "xenevtchn_open"))
        return NULL;
    xenevtchn_handle *h = calloc(1, sizeof(*h));
    h->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    fake_handle_count(1);
    return h;
}

int xenevtchn_close(xenevtchn_handle *h)
{
    for (unsigned i = 0; i < PORTS; i++)
        if (ports[i].bound == h)
            ports[i].bound = NULL;
    if (fake_closed)
        fake_closed(h->fd);
    close(h->fd);
    free(h);
    fake_handle_count(-1);
    return 0;
}

int xenevtchn_fd(xenevtchn_handle *h)
{
    return h->fd;
}

xenevtchn_port_or_error_t xenevtchn_bind_interdomain(xenevtchn_handle *h, uint32_t domid,
                                                     evtchn_port_t port)
{
    if (!fake_may(FAKE_BIND, "xenevtchn_bind_interdomain"))
        return -1;
    if (port >= PORTS || !ports[port].used || ports[port].domid != domid || ports[port].bound) {
        errno = EINVAL;
        return -1;
    }
    ports[port].bound = h;
    ports[port].masked = ports[port].pending = false;
    return (int)port;
}

int xenevtchn_restrict(xenevtchn_handle *h, domid_t domid)
{
    (void)h;
    (void)domid;
    return fake_may(FAKE_BIND, "xenevtchn_restrict") ? 0 : -1;
}

int xenevtchn_unbind(xenevtchn_handle *h, evtchn_port_t port)
{
    if (port >= PORTS || ports[port].bound != h)
        abort(); /* of what is not bound */
    ports[port].bound = NULL;
    return 0;
}

xenevtchn_port_or_error_t xenevtchn_pending(xenevtchn_handle *h)
{
    uint64_t count;
    fake_may(0, "xenevtchn_pending");
    if (read(h->fd, &count, sizeof(count)) < 0)
        return -1;
    for (unsigned i = 0; i < PORTS; i++)
        if (ports[i].bound == h && ports[i].pending && !ports[i].masked) {
            ports[i].masked = true;
            ports[i].pending = false;
            return (int)i;
        }
    errno = EAGAIN; /* it was for a port that has been unbound since */
    return -1;
}

int xenevtchn_unmask(xenevtchn_handle *h, evtchn_port_t port)
{
    if (port >= PORTS || ports[port].bound != h)
        abort();
    ports[port].masked = false;
    deliver(&ports[port]);
    return 0;
}

int xenevtchn_notify(xenevtchn_handle *h, evtchn_port_t port)
{
    (void)h;
    ports[port].sent++;
    return 0;
}
