/* What the files of the Xen platform share: xen.c has a device's pages and events, xen_store.c its
 * nodes and what the store says about domains. */
#ifndef XG_PLATFORM_XEN_H
#define XG_PLATFORM_XEN_H

#include "backend/loop/log.h"
#include "backend/platform/platform.h"

#include <xenevtchn.h>

struct xen {
    struct xg_frontend f;
    struct xen *next;
    struct xg_nodes nodes;

    /* xen.c */
    xenevtchn_handle *evtchn; /* for the control ring's port alone */
    struct xg_source events;
    evtchn_port_t port; /* 0: none bound */
    bool masked;        /* an event was taken and its port not unmasked */

    /* xen_store.c */
    bool watched;
};

extern struct xen *xg_xen_devices;

static inline struct xen *xg_xen_of(struct xg_frontend *f)
{
    return xg_container_of(f, struct xen, f);
}

int xg_xen_store_open(void (*changed)(void *arg), void *arg);
void xg_xen_store_close(void);
/* Makes the nodes, or uses those that are there. */
int xg_xen_store_add(struct xen *x, const struct xg_policy *p);
void xg_xen_store_drop(struct xen *x, bool remove);

/* Listens to the frontend's state, or not. 0 or -errno. */
int xg_xen_store_watch(struct xen *x, bool on);

int xg_xen_front_read(struct xg_frontend *f, const char *node, char *value, size_t size);
int xg_xen_back_write(struct xg_frontend *f, const char *node, const char *value);

#endif
