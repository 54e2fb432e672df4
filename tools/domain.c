/*
 * xengpu attach and detach with --backend: in Dom0, for a daemon that runs in a driver domain and
 * may not write the guests' nodes. It writes to xenstore and talks to no daemon; the
 * daemon finds the nodes.
 */
#include "tools/tool.h"

#include "backend/platform/nodes.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <xenstore.h>

#define PATIENCE_NS 20000000000u /* for the daemon and the agent to connect, or to close */

static struct xs_handle *store_open(void)
{
    struct xs_handle *xs = xs_open(0);
    if (!xs)
        tool_error("xenstore: %s; --backend is for Dom0, as root", strerror(errno));
    return xs;
}

static bool domain_find(struct xs_handle *xs, const char *name, uint32_t *domid)
{
    int err = xg_domain_find(xs, name, domid);
    if (err == -ENOENT)
        tool_error("%s: no domain has this name or number; see 'xl list'", name);
    else if (err)
        tool_error("%s: %s; --backend is for Dom0, as root", name, strerror(-err));
    return !err;
}

static bool nodes_find(struct xs_handle *xs, const char *guest, const char *backend,
                       struct xg_nodes *n)
{
    uint32_t g, b;
    if (!domain_find(xs, guest, &g) || !domain_find(xs, backend, &b))
        return false;
    if (g == b)
        tool_error("%s: a domain cannot be its own backend", guest);
    else
        xg_nodes_name(n, g, b);
    return g != b;
}

/* The backend of the device that the guest has now; "": it has none. */
static void backend_of(struct xs_handle *xs, const struct xg_nodes *n, char *path, size_t size)
{
    char node[128];
    snprintf(node, sizeof(node), "%s/backend", n->front);
    if (xg_store_read(xs, node, path, size))
        path[0] = 0;
}

static uint64_t state_of(struct xs_handle *xs, const char *end)
{
    char path[160];
    uint64_t state;
    snprintf(path, sizeof(path), "%s/" XG_NODE_STATE, end);
    return xg_store_number(xs, path, &state) ? XG_XENBUS_UNKNOWN : state;
}

/* Waits until the daemon and the agent are connected. False, with `why`: not within the time. */
static bool device_connect(struct xs_handle *xs, const struct xg_nodes *n, char *why, size_t size)
{
    for (uint64_t end = xg_now_ns() + PATIENCE_NS;; usleep(20000)) {
        uint64_t front = state_of(xs, n->front), back = state_of(xs, n->back);
        if (front == XG_XENBUS_CONNECTED && back == XG_XENBUS_CONNECTED)
            return true;
        xg_nodes_waits(front, back, why, size);
        if (xg_now_ns() >= end)
            return false;
    }
}

int tool_domain_attach(const char *guest, const char *backend, const struct xg_policy *p)
{
    struct xs_handle *xs = store_open();
    char name[128], path[160], why[192];
    struct xg_nodes n;
    int err = 1;
    if (!xs || !nodes_find(xs, guest, backend, &n))
        goto out;
    backend_of(xs, &n, path, sizeof(path));
    if (path[0]) {
        tool_error("%s: is attached already, to %s; 'xengpu detach' first", guest, path);
        goto out;
    }
    if (xg_domain_name(xs, n.guest, name, sizeof(name)) || !xg_name_valid(name))
        snprintf(name, sizeof(name), "dom%u", n.guest);
    err = xg_nodes_create(xs, &n, name, p);
    if (err) {
        tool_error("%s: cannot write both ends in xenstore: %s", guest, strerror(-err));
        goto out;
    }
    err = device_connect(xs, &n, why, sizeof(why)) ? 0 : -ETIMEDOUT;
    if (err)
        tool_error("%s: %s; the log of xengpud in domain %u may say why", guest, why, n.backend);
    else
        printf("%s: attached; xengpud in domain %u serves it\n", name, n.backend);
out:
    if (xs)
        xs_close(xs);
    return err ? 1 : 0;
}

/* The daemon closes the device, then removes its end, or shows that it is closed. */
static bool device_closed(struct xs_handle *xs, const struct xg_nodes *n)
{
    uint64_t state = state_of(xs, n->back);
    return state == XG_XENBUS_UNKNOWN || state == XG_XENBUS_CLOSED;
}

int tool_domain_detach(const char *guest, const char *backend)
{
    struct xs_handle *xs = store_open();
    char path[160];
    struct xg_nodes n;
    int rc = 1;
    if (!xs || !nodes_find(xs, guest, backend, &n))
        goto out;
    if (!xg_nodes_online(xs, &n)) {
        tool_error("%s: has no device in domain %s", guest, backend);
        goto out;
    }
    snprintf(path, sizeof(path), "%s/" XG_NODE_ONLINE, n.back);
    xs_write(xs, XBT_NULL, path, "0", 1);
    for (uint64_t end = xg_now_ns() + PATIENCE_NS; xg_now_ns() < end && !device_closed(xs, &n);)
        usleep(20000);
    rc = device_closed(xs, &n) ? 0 : 1;
    if (rc)
        tool_error("%s: xengpud in domain %u does not release the device; is it running?", guest,
                   n.backend);
    else if (xg_nodes_remove(xs, &n))
        tool_error("%s: cannot remove its nodes", guest);
out:
    if (xs)
        xs_close(xs);
    return rc;
}
