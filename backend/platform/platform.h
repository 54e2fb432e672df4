/*
 * What the broker needs of its platform, per guest: store nodes, grants and event channels.
 * local.c: a socket to the guest agent. xen.c: xenstore, gntdev, evtchn. All input is the guest's
 * and untrusted.
 */
#ifndef XG_PLATFORM_H
#define XG_PLATFORM_H

#include "backend/loop/meter.h"
#include "backend/platform/nodes.h"
#include "protocol/control.h"
#include "protocol/event.h"

struct xg_frontend;

/* What the platform tells the broker. `arg` as given at creation. */
struct xg_frontend_events {
    void (*store)(void *arg);   /* a node of the frontend may have changed */
    void (*control)(void *arg); /* the control ring's event */
    void (*lost)(void *arg);    /* the frontend is gone: agent dead, domain destroyed */
    void (*joined)(void *arg);  /* local: an agent connected */
};

struct xg_frontend_ops {
    /* A node that the frontend wrote. -ENOENT, -ENOBUFS. */
    int (*front_read)(struct xg_frontend *f, const char *node, char *value, size_t size);
    /* Writes a node of the backend. */
    int (*back_write)(struct xg_frontend *f, const char *node, const char *value);
    /* Forgets what the frontend wrote; it starts again. */
    void (*front_reset)(struct xg_frontend *f);

    /* The event channel is bound before the page is mapped, and unbound after it: if this process
     * dies, the end of the mapping clears back_alive and sends an event. */
    int (*control_bind)(struct xg_frontend *f, uint32_t port);
    int (*control_map)(struct xg_frontend *f, uint32_t ref, struct xg_control_page **page);
    void (*control_unmap)(struct xg_frontend *f, struct xg_control_page *page);
    void (*control_unbind)(struct xg_frontend *f);
    void (*control_notify)(struct xg_frontend *f);

    /* A private copy of a granted page. */
    int (*page_copy)(struct xg_frontend *f, uint32_t ref, void *copy);
    /* What a worker needs to map a channel's `count` pages (struct xg_spawn_fds.pages): a
     * descriptor, or -errno. `ref`: as many as xg_directory_refs says. */
    int (*pages)(struct xg_frontend *f, const uint32_t *ref, uint64_t count);
    /* Descriptors for a worker's event channels; -1 where the worker binds by itself. The caller
     * closes them. */
    int (*ports)(struct xg_frontend *f, const uint32_t *port, unsigned count, int *wait, int *kick);

    /* `forget`: the device's nodes go too. Otherwise the next daemon finds them and goes on. */
    void (*destroy)(struct xg_frontend *f, bool forget);
};

struct xg_frontend {
    const struct xg_frontend_ops *ops;
    const struct xg_frontend_events *events;
    void *arg;
    enum xg_platform platform;
    const char *guest; /* its name; the broker's */
    uint32_t domid;
    struct xg_meter meter; /* in debt: the platform does not listen to the guest */
};

/* Listens on `path` for the guest's agent. */
int xg_frontend_local(const char *path, const char *guest, const struct xg_frontend_events *events,
                      void *arg, struct xg_frontend **out);

/* Xen: opened once. `changed` is called when domains or device nodes may have come, gone or changed
 * their names. */
int xg_xen_open(void (*changed)(void *arg), void *arg);
void xg_xen_close(void);
/* Calls `changed` soon. */
void xg_xen_look(void);
int xg_frontend_xen(uint32_t domid, const char *guest, const struct xg_policy *policy,
                    const struct xg_frontend_events *events, void *arg, struct xg_frontend **out);
/* The domain we are in; 0: Dom0. */
uint32_t xg_xen_own(void);
/* The domain that has this name, or whose number it is; -ENOENT. */
int xg_xen_domain(const char *name, uint32_t *domid);
/* A domain's name. In a driver domain it is what the toolstack wrote into the backend's nodes. */
int xg_xen_name(uint32_t domid, char *name, size_t size);
/* Calls `fn` for each domain that has a name; in a driver domain for none. */
void xg_xen_names(void (*fn)(void *arg, uint32_t domid, const char *name), void *arg);
/* A device's nodes are there, and the toolstack has not asked to take it away. */
bool xg_xen_online(uint32_t domid);
/* What the broker wrote into them is there: nobody has made them again. */
bool xg_xen_offered(uint32_t domid);
/* Calls `fn` for each device whose nodes exist and that is not served. */
void xg_xen_each(void (*fn)(void *arg, uint32_t domid, const struct xg_policy *p), void *arg);

#endif
