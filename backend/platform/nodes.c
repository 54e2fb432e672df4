#include "backend/platform/nodes.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <xenstore.h>

#define TRIES 16 /* of a transaction, while others change the same nodes */

/* --- reading ---------------------------------------------------------------------------------- */

int xg_store_read(struct xs_handle *xs, const char *path, char *value, size_t size)
{
    unsigned length;
    char *v = xs_read(xs, XBT_NULL, path, &length);
    if (!v)
        return errno ? -errno : -EIO;
    int err = length < size ? 0 : -ENOBUFS;
    if (!err) {
        memcpy(value, v, length);
        value[length] = 0;
    }
    free(v);
    return err;
}

int xg_store_number(struct xs_handle *xs, const char *path, uint64_t *value)
{
    char text[32];
    int err = xg_store_read(xs, path, text, sizeof(text));
    return err ? err : xg_number_parse(text, 0, UINT64_MAX, value);
}

static int node_read(struct xs_handle *xs, const char *directory, const char *node, char *value,
                     size_t size)
{
    char path[160];
    snprintf(path, sizeof(path), "%s/%s", directory, node);
    return xg_store_read(xs, path, value, size);
}

int xg_domain_own(struct xs_handle *xs, uint32_t *domid)
{
    uint64_t v = 0;
    int err = xg_store_number(xs, "domid", &v); /* relative to our own directory */
    *domid = (uint32_t)v;
    return err;
}

int xg_domain_name(struct xs_handle *xs, uint32_t domid, char *name, size_t size)
{
    char path[64];
    snprintf(path, sizeof(path), "/local/domain/%u/name", domid);
    return xg_store_read(xs, path, name, size);
}

int xg_domain_find(struct xs_handle *xs, const char *name, uint32_t *domid)
{
    unsigned count;
    char **ids = xs_directory(xs, XBT_NULL, "/local/domain", &count), text[128];
    int err = ids ? -ENOENT : -errno;
    for (unsigned i = 0; ids && i < count && err; i++) {
        uint32_t id = (uint32_t)strtoul(ids[i], NULL, 10);
        bool named = !xg_domain_name(xs, id, text, sizeof(text)) && !strcmp(text, name);
        if (named || !strcmp(ids[i], name)) {
            *domid = id;
            err = 0;
        }
    }
    free(ids);
    return err;
}

/* --- writing ---------------------------------------------------------------------------------- */

static bool value_write(struct xs_handle *xs, xs_transaction_t t, const char *directory,
                        const char *node, const char *value)
{
    char path[160];
    snprintf(path, sizeof(path), "%s/%s", directory, node);
    return xs_write(xs, t, path, value, (unsigned)strlen(value));
}

static bool number_write(struct xs_handle *xs, xs_transaction_t t, const char *directory,
                         const char *node, uint64_t value)
{
    char text[32];
    snprintf(text, sizeof(text), "%" PRIu64, value);
    return value_write(xs, t, directory, node, text);
}

/* A directory that `owner` may write and `other` may read. */
static bool directory_make(struct xs_handle *xs, xs_transaction_t t, const char *path,
                           uint32_t owner, uint32_t other)
{
    struct xs_permissions perms[2] = {{.id = owner, .perms = XS_PERM_NONE},
                                      {.id = other, .perms = XS_PERM_READ}};
    return xs_mkdir(xs, t, path) && xs_set_permissions(xs, t, path, perms, 2);
}

/* The directory above. It holds this one device, and is removed with it. */
static void parent_path(const char *directory, char *path, size_t size)
{
    snprintf(path, size, "%s", directory);
    *strrchr(path, '/') = 0;
}

bool xg_policy_nodes(const struct xg_policy *p,
                     bool (*fn)(void *arg, const char *node, const char *value), void *arg)
{
    char memory[32] = "", host[32], frames[32] = "", weight[32], cap[32];
    if (p->frames)
        snprintf(frames, sizeof(frames), "%u", xg_policy_frames(p));
    if (p->memory != UINT64_MAX)
        snprintf(memory, sizeof(memory), "%" PRIu64, p->memory);
    snprintf(weight, sizeof(weight), "%u", p->weight);
    snprintf(cap, sizeof(cap), "%u", p->cap);
    xg_host_memory_text(p->host_memory, host, sizeof(host));
    return fn(arg, XG_NODE_TYPE, p->type) && fn(arg, XG_NODE_WEIGHT, weight) &&
           fn(arg, XG_NODE_MEMORY, memory) && fn(arg, XG_NODE_CAP, cap) &&
           fn(arg, XG_NODE_FRAMES, frames) && fn(arg, XG_NODE_HOST_MEMORY, host);
}

struct policy_target {
    struct xs_handle *xs;
    xs_transaction_t t;
    const char *directory;
};

static bool policy_node_write(void *arg, const char *node, const char *value)
{
    const struct policy_target *p = arg;
    return value_write(p->xs, p->t, p->directory, node, value);
}

static bool policy_write(struct xs_handle *xs, xs_transaction_t t, const struct xg_nodes *n,
                         const struct xg_policy *p)
{
    struct policy_target to = {xs, t, n->back};
    return policy_node_write(&to, XG_NODE_PGPU, p->pgpu) &&
           xg_policy_nodes(p, policy_node_write, &to);
}

static bool device_write(struct xs_handle *xs, xs_transaction_t t, const struct xg_nodes *n,
                         const char *name)
{
    char path[96];
    parent_path(n->back, path, sizeof(path));
    (void)xs_rm(xs, t, n->back); /* left from a domain that had this number before */
    (void)xs_rm(xs, t, n->front);
    return directory_make(xs, t, n->front, n->guest, n->backend) &&
           directory_make(xs, t, path, n->backend, n->guest) &&
           directory_make(xs, t, n->back, n->backend, n->guest) &&
           value_write(xs, t, n->front, "backend", n->back) &&
           number_write(xs, t, n->front, "backend-id", n->backend) &&
           number_write(xs, t, n->front, XG_NODE_STATE, XG_XENBUS_INITIALISING) &&
           value_write(xs, t, n->back, "frontend", n->front) &&
           number_write(xs, t, n->back, "frontend-id", n->guest) &&
           number_write(xs, t, n->back, XG_NODE_ONLINE, 1) &&
           value_write(xs, t, n->back, XG_NODE_GUEST_NAME, name) &&
           number_write(xs, t, n->back, XG_NODE_STATE, XG_XENBUS_INITIALISING);
}

void xg_nodes_name(struct xg_nodes *n, uint32_t guest, uint32_t backend)
{
    *n = (struct xg_nodes){.guest = guest, .backend = backend};
    snprintf(n->front, sizeof(n->front), "/local/domain/%u/device/" XG_DEVICE_CLASS "/0", guest);
    snprintf(n->back, sizeof(n->back), "/local/domain/%u/backend/" XG_DEVICE_CLASS "/%u/0", backend,
             guest);
}

/* Ends a transaction; 1: it must be done again. */
static int transaction_end(struct xs_handle *xs, xs_transaction_t t, bool good)
{
    int err = errno;
    if (!good) {
        xs_transaction_end(xs, t, true);
        return err ? -err : -EIO;
    }
    if (xs_transaction_end(xs, t, false))
        return 0;
    return errno == EAGAIN ? 1 : errno ? -errno : -EIO;
}

int xg_nodes_create(struct xs_handle *xs, const struct xg_nodes *n, const char *name,
                    const struct xg_policy *p)
{
    for (unsigned i = 0; i < TRIES; i++) {
        xs_transaction_t t = xs_transaction_start(xs);
        if (!t)
            return errno ? -errno : -EIO;
        int rc = transaction_end(xs, t, device_write(xs, t, n, name) && policy_write(xs, t, n, p));
        if (rc <= 0)
            return rc;
    }
    return -EAGAIN;
}

int xg_nodes_remove(struct xs_handle *xs, const struct xg_nodes *n)
{
    char front[96], back[96];
    parent_path(n->front, front, sizeof(front));
    parent_path(n->back, back, sizeof(back));
    for (unsigned i = 0; i < TRIES; i++) {
        xs_transaction_t t = xs_transaction_start(xs);
        if (!t)
            return errno ? -errno : -EIO;
        (void)xs_rm(xs, t, back);
        (void)xs_rm(xs, t, front);
        int rc = transaction_end(xs, t, true);
        if (rc <= 0)
            return rc;
    }
    return -EAGAIN;
}

bool xg_nodes_exist(struct xs_handle *xs, const struct xg_nodes *n)
{
    char value[128];
    return !node_read(xs, n->front, "backend", value, sizeof(value)) && !strcmp(value, n->back) &&
           !node_read(xs, n->back, "frontend", value, sizeof(value)) && !strcmp(value, n->front);
}

bool xg_nodes_online(struct xs_handle *xs, const struct xg_nodes *n)
{
    char value[8];
    return !node_read(xs, n->back, XG_NODE_ONLINE, value, sizeof(value)) && !strcmp(value, "1");
}

bool xg_nodes_offered(struct xs_handle *xs, const struct xg_nodes *n)
{
    char value[8];
    return node_read(xs, n->back, XG_NODE_VERSIONS, value, sizeof(value)) != -ENOENT;
}

int xg_nodes_set(struct xs_handle *xs, const struct xg_nodes *n, const struct xg_policy *p)
{
    return policy_write(xs, XBT_NULL, n, p) ? 0 : errno ? -errno : -EIO;
}

/* A number above `max` counts as absent. */
static bool number_read(struct xs_handle *xs, const struct xg_nodes *n, const char *node,
                        uint64_t max, uint64_t *v)
{
    char path[160];
    snprintf(path, sizeof(path), "%s/%s", n->back, node);
    return !xg_store_number(xs, path, v) && *v <= max;
}

void xg_nodes_get(struct xs_handle *xs, const struct xg_nodes *n, struct xg_policy *p)
{
    char text[32];
    uint64_t v;
    *p = (struct xg_policy){.memory = UINT64_MAX};
    if (node_read(xs, n->back, XG_NODE_TYPE, p->type, sizeof(p->type)))
        p->type[0] = 0;
    if (node_read(xs, n->back, XG_NODE_PGPU, p->pgpu, sizeof(p->pgpu)))
        p->pgpu[0] = 0;
    if (number_read(xs, n, XG_NODE_WEIGHT, XG_WEIGHT_MAX, &v))
        p->weight = (uint32_t)v;
    if (number_read(xs, n, XG_NODE_MEMORY, UINT64_MAX, &v))
        p->memory = v;
    if (number_read(xs, n, XG_NODE_CAP, XG_CAP_MAX, &v))
        p->cap = (uint32_t)v;
    if (number_read(xs, n, XG_NODE_FRAMES, XG_FRAMES_MAX, &v))
        p->frames = v ? (uint32_t)v : XG_FRAMES_ANY;
    if (!node_read(xs, n->back, XG_NODE_HOST_MEMORY, text, sizeof(text)) && !strcmp(text, "auto"))
        p->host_memory = XG_HOST_MEMORY_AUTO;
    else if (number_read(xs, n, XG_NODE_HOST_MEMORY, UINT64_MAX, &v))
        p->host_memory = v ? v : XG_HOST_MEMORY_ANY;
}

/* --- for people ------------------------------------------------------------------------------- */

const char *xg_state_name(uint64_t state)
{
    static const char *const names[] = {"unknown",   "initialising", "waiting", "initialised",
                                        "connected", "closing",      "closed"};
    return state < XG_ARRAY_LEN(names) ? names[state] : names[0];
}

void xg_nodes_waits(uint64_t front, uint64_t back, char *text, size_t size)
{
    if (back <= XG_XENBUS_INITIALISING)
        snprintf(text, size, "has its nodes, but no daemon serves it; is xengpud running?");
    else if (back == XG_XENBUS_INIT_WAIT && front <= XG_XENBUS_INITIALISING)
        snprintf(text, size,
                 "has its device, but no agent uses it yet; is xengpu-agent running in the "
                 "guest? The device connects as soon as it is");
    else
        snprintf(text, size,
                 "has its device, but is not connected: the agent's end is %s, the daemon's %s",
                 xg_state_name(front), xg_state_name(back));
}
