/* A guest's control ring, from the broker's side. */
#ifndef XG_BROKER_CONTROL_H
#define XG_BROKER_CONTROL_H

#include "backend/broker/broker.h"

struct xg_control_user {
    void (*open)(struct xg_guest *g, const struct xg_control_request *rq);
    void (*close)(struct xg_guest *g, const struct xg_control_request *rq);
    void (*broken)(struct xg_guest *g, const char *why); /* the guest broke the protocol */
};

/* The guest has a new page, or none any more. */
void xg_control_reset(struct xg_guest *g, const struct xg_control_user *user);
void xg_control_event(struct xg_guest *g);
void xg_control_reply(struct xg_guest *g, const struct xg_control_request *rq, int status,
                      const char *text);
void xg_control_closed(struct xg_guest *g, uint32_t channel, uint32_t request);
void xg_control_gone(struct xg_guest *g, uint32_t channel, enum xg_ring_error why,
                     const char *text);

#endif
