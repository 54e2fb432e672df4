/*
 * What the guest agent needs of its platform: store, shared pages, event channels. local.c: a
 * socket to the daemon, memfd, eventfd. xen.c: xenstore, /dev/xen/gntalloc, /dev/xen/evtchn.
 */
#ifndef XG_GUEST_H
#define XG_GUEST_H

#include "protocol/control.h"
#include "protocol/event.h"

struct xg_guest;

/* Pages that the backend may map. */
struct xg_guest_pages {
    int fd; /* to be mapped by others at `offset` */
    uint64_t offset;
    uint8_t *map; /* `count` pages */
    uint64_t count;
    uint64_t
        shown; /* the first of them, which others see through `fd`; the rest holds the directory */
    uint32_t *ref; /* one for each; local: of those that a channel's directory or the store names */
    uint32_t segment; /* local */
};

/* A ring's event channel, from the frontend's side. */
struct xg_guest_port {
    struct xg_event event; /* its descriptors belong to this port */
    uint32_t port;         /* what the backend is told */
};

enum {
    XG_GUEST_STORE = 1,   /* a watched node may have changed */
    XG_GUEST_CONTROL = 2, /* the control ring's event */
};

struct xg_guest_ops {
    /* The value of a node, NUL-terminated; -ENOENT, -ENOBUFS. */
    int (*read)(struct xg_guest *g, const char *path, char *value, size_t size);
    int (*write)(struct xg_guest *g, const char *path, const char *value);
    int (*watch)(struct xg_guest *g, const char *path);
    void (*unwatch)(struct xg_guest *g, const char *path);
    /* `extra` pages more than the channel has, for its directory; zeroed. */
    int (*pages_alloc)(struct xg_guest *g, uint64_t shown, uint64_t extra,
                       struct xg_guest_pages *out);
    void (*pages_free)(struct xg_guest *g, struct xg_guest_pages *p);
    int (*ports_alloc)(struct xg_guest *g, struct xg_guest_port *out, unsigned count);
    void (*ports_free)(struct xg_guest *g, struct xg_guest_port *p, unsigned count);
    /* Wakes those who wait on the frontend's side of a ring; a no-op where that cannot be. */
    void (*port_wake)(struct xg_guest_port *p);
    /* The control ring's event channel. However this process ends, `page`'s front_alive is cleared
     * and an event sent. */
    int (*control_bind)(struct xg_guest *g, const struct xg_guest_pages *page, uint32_t *port);
    void (*control_unbind)(struct xg_guest *g); /* before its page is freed; if there is one */
    void (*control_notify)(struct xg_guest *g);
    /* Whether the guest was saved and restored, or migrated, since the last call: it has none of
     * its ports and grants any more, nor its old place in the store. They are freed in the same way
     * as ever. `text`: what the operator must know, mostly "". */
    bool (*resumed)(struct xg_guest *g, char *text, size_t size);
    /* Takes what is pending without blocking: a mask of XG_GUEST_*, or -errno when the daemon or
     * the store is gone. */
    int (*dispatch)(struct xg_guest *g);
    void (*close)(struct xg_guest *g);
};

struct xg_guest {
    const struct xg_guest_ops *ops;
    enum xg_platform platform;
    int fds[2];       /* to be polled for input; -1: none */
    uint32_t backend; /* Xen: the backend's domain */
};

/* `path`: the guest's store socket. */
int xg_guest_open_local(const char *path, struct xg_guest **out);
/* `error`: what is wrong, and what to do about it. */
int xg_guest_open_xen(struct xg_guest **out, char *error, size_t size);
#define XG_GNTALLOC "/dev/xen/gntalloc"
/* Whether the kernel has the devices that xg_guest_open_xen needs: 0, or -errno and `error`. */
int xg_guest_devices_xen(char *error, size_t size);
/* Raises the kernel's limit of shared pages to `wanted` if it is lower and we may. Returns how many
 * of `wanted` there can be; `text`: what to do if that is less, else "". */
uint32_t xg_guest_grants_xen(uint32_t wanted, char *text, size_t size);

#endif
