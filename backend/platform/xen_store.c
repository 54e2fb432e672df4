/*
 * xenstore, as the daemon sees it: one watch on each frontend's state, and a few on the world:
 * domains that come and go or change their names, device nodes that a toolstack makes or takes
 * away. Nothing here trusts what a guest wrote: what happened is looked up, never taken from an
 * event.
 */
#include "backend/platform/xen.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include <xenstore.h>

#define BATCH     64u       /* events taken in one turn of the loop */
#define SETTLE_NS 20000000u /* changes come in bursts: look once, after this */

#define CLASS_DIRECTORY "backend/" XG_DEVICE_CLASS /* relative to our own directory */

/* Watches have a connection of their own, because the library starts a thread for a connection that
 * has watches, and every answer then comes through that thread. On the other connection this thread
 * reads its answers itself. */
static struct xs_handle *xs, *watcher;
static uint32_t own_domid;
static struct xg_source store = {.fd = -1};
static struct xg_timer settle;
static void (*world_changed)(void *arg);
static void *world_arg;

/* Domains whose names are watched. */
static struct named {
    struct named *next;
    uint32_t domid;
    bool seen;
} * named;

/* --- a device's nodes ------------------------------------------------------------------------- */

int xg_xen_front_read(struct xg_frontend *f, const char *node, char *value, size_t size)
{
    char path[160];
    snprintf(path, sizeof(path), "%s/%s", xg_xen_of(f)->nodes.front, node);
    return xg_store_read(xs, path, value, size);
}

int xg_xen_back_write(struct xg_frontend *f, const char *node, const char *value)
{
    char path[160];
    snprintf(path, sizeof(path), "%s/%s", xg_xen_of(f)->nodes.back, node);
    return xs_write(xs, XBT_NULL, path, value, (unsigned)strlen(value)) ? 0 : errno ? -errno : -EIO;
}

int xg_xen_store_watch(struct xen *x, bool on)
{
    char path[160], token[16];
    snprintf(path, sizeof(path), "%s/" XG_NODE_STATE, x->nodes.front);
    snprintf(token, sizeof(token), "%u", x->f.domid);
    if (x->watched == on)
        return 0;
    x->watched = on;
    if (on ? xs_watch(watcher, path, token) : xs_unwatch(watcher, path, token))
        return 0;
    x->watched = false;
    return errno ? -errno : -EIO;
}

/* A guest in debt loses its watch, so one that writes its node in a loop costs a bounded time. It
 * pays half as much again for the library's thread, as was measured. */
static void front_changed(struct xen *x)
{
    if (!xg_meter_spent(&x->f.meter))
        x->f.events->store(x->f.arg);
    if (xg_meter_pay_more(&x->f.meter))
        return;
    xg_xen_store_watch(x, false);
    xg_meter_charge(&x->f.meter);
}

static struct xg_policy policy_or_default(const struct xg_policy *p)
{
    return p ? *p : (struct xg_policy){.memory = UINT64_MAX};
}

int xg_xen_store_add(struct xen *x, const struct xg_policy *p)
{
    struct xg_policy policy = policy_or_default(p);
    char name[128];
    int err;
    xg_nodes_name(&x->nodes, x->f.domid, own_domid);
    snprintf(name, sizeof(name), "%s", x->f.guest);
    if (xg_nodes_exist(xs, &x->nodes)) {
        err = xg_nodes_set(xs, &x->nodes, &policy);
    } else {
        err = xg_nodes_create(xs, &x->nodes, name, &policy);
        if (err == -EACCES && xg_nodes_online(xs, &x->nodes))
            err = 0; /* a driver domain may read nothing but the backend's end */
    }
    return err ? err : xg_xen_store_watch(x, true);
}

void xg_xen_store_drop(struct xen *x, bool remove)
{
    xg_xen_store_watch(x, false);
    if (remove)
        xg_nodes_remove(xs, &x->nodes);
}

/* --- the world -------------------------------------------------------------------------------- */

/* In a driver domain xenstore may not say that a domain exists. There a guest is gone when the
 * toolstack has removed its nodes. */
static bool domain_gone(uint32_t domid)
{
    char path[160], value[128];
    if (xs_is_domain_introduced(xs, domid))
        return false;
    if (!own_domid)
        return true;
    snprintf(path, sizeof(path), "/local/domain/%u/device/" XG_DEVICE_CLASS "/0/backend", domid);
    return xg_store_read(xs, path, value, sizeof(value)) == -ENOENT;
}

static void name_watch(uint32_t domid, bool on)
{
    char path[64];
    snprintf(path, sizeof(path), "/local/domain/%u/name", domid);
    if (on)
        xs_watch(watcher, path, "name");
    else
        xs_unwatch(watcher, path, "name");
}

/* A domain may get its name after it was introduced, and another one later. */
static void names_watch(void)
{
    unsigned count = 0;
    char **ids = own_domid ? NULL : xs_directory(xs, XBT_NULL, "/local/domain", &count);
    for (struct named *n = named; n; n = n->next)
        n->seen = false;
    for (unsigned i = 0; ids && i < count; i++) {
        uint32_t domid = (uint32_t)strtoul(ids[i], NULL, 10);
        struct named *n = named;
        while (n && n->domid != domid)
            n = n->next;
        if (!n && domid && (n = calloc(1, sizeof(*n)))) {
            *n = (struct named){.next = named, .domid = domid};
            named = n;
            name_watch(domid, true);
        }
        if (n)
            n->seen = true;
    }
    for (struct named **p = &named, *n; ids && (n = *p);) {
        if (n->seen) {
            p = &n->next;
            continue;
        }
        name_watch(n->domid, false);
        *p = n->next;
        free(n);
    }
    free(ids);
}

static void world_settled(struct xg_timer *t)
{
    (void)t;
    for (struct xen *x = xg_xen_devices, *next; x; x = next) {
        next = x->next;
        if (domain_gone(x->f.domid))
            x->f.events->lost(x->f.arg);
    }
    names_watch();
    world_changed(world_arg);
}

void xg_xen_look(void)
{
    if (xs && !settle.armed)
        xg_timer_arm(&settle, SETTLE_NS, world_settled);
}

/* Whether this node tells of a device that was made or removed. The others are those that the
 * daemon itself writes all the time. */
static bool device_node_changed(const char *path)
{
    const char *last = strrchr(path, '/');
    return last && (!strcmp(last, "/online") || !strcmp(last, "/frontend") ||
                    strspn(last + 1, "0123456789") == strlen(last + 1));
}

static void event_take(const char *path, const char *token)
{
    uint32_t domid = (uint32_t)strtoul(token, NULL, 10);
    if (!strcmp(token, "devices")) {
        if (device_node_changed(path))
            xg_xen_look();
        return;
    }
    if (token[0] < '0' || token[0] > '9') { /* introduced, released, name */
        xg_xen_look();
        return;
    }
    for (struct xen *x = xg_xen_devices; x; x = x->next)
        if (x->f.domid == domid) {
            if (own_domid && domain_gone(domid))
                xg_xen_look();
            front_changed(x);
            return; /* it may be free by now */
        }
}

static void store_readable(struct xg_source *s, uint32_t events)
{
    char **w;
    (void)s;
    (void)events;
    for (unsigned i = 0; i < BATCH && (w = xs_check_watch(watcher)); i++) {
        event_take(w[XS_WATCH_PATH], w[XS_WATCH_TOKEN]);
        free(w);
    }
}

/* --- for the broker --------------------------------------------------------------------------- */

uint32_t xg_xen_own(void)
{
    return own_domid;
}

int xg_xen_domain(const char *name, uint32_t *domid)
{
    int err = xg_domain_find(xs, name, domid);
    return !err && *domid == own_domid ? -ENOENT : err;
}

int xg_xen_name(uint32_t domid, char *name, size_t size)
{
    struct xg_nodes n;
    char path[160];
    int err = xg_domain_name(xs, domid, name, size);
    if (!err)
        return 0;
    xg_nodes_name(&n, domid, own_domid);
    snprintf(path, sizeof(path), "%s/" XG_NODE_GUEST_NAME, n.back);
    return xg_store_read(xs, path, name, size);
}

void xg_xen_names(void (*fn)(void *arg, uint32_t domid, const char *name), void *arg)
{
    unsigned count = 0;
    char **ids = own_domid ? NULL : xs_directory(xs, XBT_NULL, "/local/domain", &count), name[128];
    for (unsigned i = 0; ids && i < count; i++) {
        uint32_t domid = (uint32_t)strtoul(ids[i], NULL, 10);
        if (domid && !xg_domain_name(xs, domid, name, sizeof(name)))
            fn(arg, domid, name);
    }
    free(ids);
}

bool xg_xen_online(uint32_t domid)
{
    struct xg_nodes n;
    xg_nodes_name(&n, domid, own_domid);
    return xg_nodes_online(xs, &n);
}

bool xg_xen_offered(uint32_t domid)
{
    struct xg_nodes n;
    xg_nodes_name(&n, domid, own_domid);
    return xg_nodes_offered(xs, &n);
}

void xg_xen_each(void (*fn)(void *arg, uint32_t domid, const struct xg_policy *p), void *arg)
{
    unsigned count = 0;
    char **ids = xs_directory(xs, XBT_NULL, CLASS_DIRECTORY, &count);
    for (unsigned i = 0; ids && i < count; i++) {
        uint32_t domid = (uint32_t)strtoul(ids[i], NULL, 10);
        bool served = false;
        struct xg_nodes n;
        struct xg_policy p;
        for (struct xen *x = xg_xen_devices; x; x = x->next)
            served |= x->f.domid == domid;
        xg_nodes_name(&n, domid, own_domid);
        if (served)
            continue;
        if (domain_gone(domid)) {
            xg_nodes_remove(xs, &n); /* no daemon ran when the domain ended */
        } else if (xg_nodes_online(xs, &n)) {
            xg_nodes_get(xs, &n, &p);
            fn(arg, domid, &p);
        }
    }
    free(ids);
}

/* In a driver domain the last two need a permission (docs/xen.md). They may fail there: the
 * toolstack's nodes say the same. */
static int world_watch(void)
{
    if (!xs_watch(watcher, CLASS_DIRECTORY, "devices"))
        return errno ? -errno : -EIO;
    if ((!xs_watch(watcher, "@introduceDomain", "introduced") ||
         !xs_watch(watcher, "@releaseDomain", "released")) &&
        !own_domid)
        return errno ? -errno : -EIO;
    return 0;
}

int xg_xen_store_open(void (*changed)(void *arg), void *arg)
{
    int err;
    world_changed = changed;
    world_arg = arg;
    xs = xs_open(0);
    watcher = xs ? xs_open(0) : NULL;
    if (!watcher) {
        err = errno ? -errno : -ENODEV;
        xg_log_error(NULL, "xenstore: %s; is xenstored running, and is this a Xen domain?",
                     strerror(-err));
        return err;
    }
    err = xg_domain_own(xs, &own_domid);
    if (err)
        xg_log_error(
            NULL, "xenstore does not say which domain this is; in Dom0 'xen-init-dom0' writes it");
    else
        err = world_watch();
    return err ? err : xg_loop_add(&store, xs_fileno(watcher), EPOLLIN, store_readable);
}

void xg_xen_store_close(void)
{
    xg_timer_disarm(&settle);
    store.fd = -1; /* the handle's own descriptor */
    while (named) {
        struct named *n = named;
        named = n->next;
        free(n);
    }
    if (watcher)
        xs_close(watcher);
    if (xs)
        xs_close(xs);
    xs = watcher = NULL;
}
