/*
 * What the guest agent needs of its platform: store, shared pages, event channels. local.c: a
 * socket to the daemon, memfd, eventfd. xen.c: xenstore, /dev/xen/gntalloc, /dev/xen/evtchn.
 */
#ifndef XG_GUEST_H
#define XG_GUEST_H

#include "protocol/control.h"
#include "protocol/event.h"

struct xg_guest_platform;

/* Pages that the backend may map. */
struct xg_guest_pages {
    int fd; /* others map the pages through it, at `offset` */
    uint64_t offset;
    uint8_t *map; /* `count` pages */
    uint64_t count;
    /* how many of them, from the first, others can see through `fd`; the rest holds the
     * directory */
    uint64_t shown;
    /* one for each page; local: only for those that a channel's directory or the store names */
    uint32_t *ref;
    uint32_t segment; /* local */
};

/* A ring's event channel, from the frontend's side. */
struct xg_guest_port {
    struct xg_event event; /* its descriptors belong to this port */
    uint32_t port;         /* the number that is sent to the backend */
};

enum {
    XG_GUEST_STORE = 1,   /* a watched node may have changed */
    XG_GUEST_CONTROL = 2, /* the control ring's event */
};

struct xg_guest_ops {
    /* The value of a node, NUL-terminated; -ENOENT, -ENOBUFS. */
    int (*read)(struct xg_guest_platform *g, const char *path, char *value, size_t size);
    int (*write)(struct xg_guest_platform *g, const char *path, const char *value);
    int (*watch)(struct xg_guest_platform *g, const char *path);
    void (*unwatch)(struct xg_guest_platform *g, const char *path);
    /* `extra` pages more than the channel has, for its directory; zeroed. */
    int (*pages_alloc)(struct xg_guest_platform *g, uint64_t shown, uint64_t extra,
                       struct xg_guest_pages *out);
    void (*pages_free)(struct xg_guest_platform *g, struct xg_guest_pages *p);
    int (*ports_alloc)(struct xg_guest_platform *g, struct xg_guest_port *out, unsigned count);
    void (*ports_free)(struct xg_guest_platform *g, struct xg_guest_port *p, unsigned count);
    /* Wakes those who wait on the frontend's side of a ring; does nothing where that is
     * impossible. */
    void (*port_wake)(struct xg_guest_port *p);
    /* The control ring's event channel. However this process ends, `page`'s front_alive is cleared
     * and an event sent. */
    int (*control_bind)(struct xg_guest_platform *g, const struct xg_guest_pages *page,
                        uint32_t *port);
    void (*control_unbind)(
        struct xg_guest_platform *g); /* call it before the page is freed, if there is one */
    void (*control_notify)(struct xg_guest_platform *g);
    /* Whether the guest was saved and restored, or migrated, since the last call. If so it has lost
     * its ports, its grants and its place in the store; they must still be freed, in the usual way.
     * `text`: what the operator must know, mostly "". */
    bool (*resumed)(struct xg_guest_platform *g, char *text, size_t size);
    /* Handles pending events without blocking: a mask of XG_GUEST_*, or -errno when the daemon or
     * the store is gone. */
    int (*dispatch)(struct xg_guest_platform *g);
    void (*close)(struct xg_guest_platform *g);
};

struct xg_guest_platform {
    const struct xg_guest_ops *ops;
    enum xg_platform platform;
    int fds[2];       /* poll them for input; -1: none */
    uint32_t backend; /* Xen: the backend's domain */
};

/* `path`: the guest's store socket. */
int xg_guest_open_local(const char *path, struct xg_guest_platform **out);
/* `error`: what is wrong, and what to do about it. */
int xg_guest_open_xen(struct xg_guest_platform **out, char *error, size_t size);
#define XG_GNTALLOC "/dev/xen/gntalloc"
/* Whether the kernel has the devices that xg_guest_open_xen needs: 0, or -errno and `error`. */
int xg_guest_devices_xen(char *error, size_t size);
/* Raises the kernel's limit of shared pages to `wanted` if it is lower and we may. Returns how many
 * of `wanted` there can be; `text`: what to do if that is less, else "". */
uint32_t xg_guest_grants_xen(uint32_t wanted, char *text, size_t size);

#endif
