/*
 * A device's nodes in xenstore, from the toolstack's side: both ends are made and removed in one
 * transaction, as libxl does for the classes that it knows. Used by the daemon, and by `xengpu
 * attach --backend` in Dom0 for a daemon in a driver domain. README.md of protocol/, "Nodes in
 * xenstore". Everything returns 0 or -errno.
 */
#ifndef XG_NODES_H
#define XG_NODES_H

#include "protocol/control.h"
#include "settings/keys.h"

struct xs_handle;

struct xg_nodes {
    uint32_t guest, backend; /* domains */
    char front[96], back[96];
};

void xg_nodes_name(struct xg_nodes *n, uint32_t guest, uint32_t backend);
/* `name`: the guest's. Nodes that are there already are replaced. */
int xg_nodes_create(struct xs_handle *xs, const struct xg_nodes *n, const char *name,
                    const struct xg_policy *p);
/* Removes both ends, as far as they exist and we may. */
int xg_nodes_remove(struct xs_handle *xs, const struct xg_nodes *n);
/* Both ends are there and name each other. */
bool xg_nodes_exist(struct xs_handle *xs, const struct xg_nodes *n);
/* The backend's end is there and `online`. */
bool xg_nodes_online(struct xs_handle *xs, const struct xg_nodes *n);
/* The backend's end has what the broker offers. It has not after somebody made the nodes again. */
bool xg_nodes_offered(struct xs_handle *xs, const struct xg_nodes *n);
/* Calls `fn` for each node of a policy but its pGPU's, until it returns false. Returns what `fn`
 * returned last. */
bool xg_policy_nodes(const struct xg_policy *p,
                     bool (*fn)(void *arg, const char *node, const char *value), void *arg);
int xg_nodes_set(struct xs_handle *xs, const struct xg_nodes *n, const struct xg_policy *p);
void xg_nodes_get(struct xs_handle *xs, const struct xg_nodes *n, struct xg_policy *p);

const char *xg_state_name(uint64_t state);
/* A text for people: why a device is not connected. `front`, `back`: the states of its ends. */
void xg_nodes_waits(uint64_t front, uint64_t back, char *text, size_t size);

/* -ENOBUFS: the value is longer than size - 1. */
int xg_store_read(struct xs_handle *xs, const char *path, char *value, size_t size);
int xg_store_number(struct xs_handle *xs, const char *path, uint64_t *value);
/* The domain that we are in. */
int xg_domain_own(struct xs_handle *xs, uint32_t *domid);
int xg_domain_name(struct xs_handle *xs, uint32_t domid, char *name, size_t size);
/* The domain that has this name, or this number. */
int xg_domain_find(struct xs_handle *xs, const char *name, uint32_t *domid);

#endif
