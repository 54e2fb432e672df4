/* A guest's channels, and the workers that serve them. */
#ifndef XG_BROKER_CHANNEL_H
#define XG_BROKER_CHANNEL_H

#include "backend/broker/broker.h"

void xg_channel_open(struct xg_guest *g, const struct xg_control_request *rq);
void xg_channel_close(struct xg_guest *g, const struct xg_control_request *rq);
/* Ends one channel's worker, or all: the frontend is told `why`. */
void xg_channel_end(struct xg_broker_channel *c, enum xg_ring_error why, int signal);
void xg_channels_end(struct xg_guest *g, enum xg_ring_error why);
/* `pidfd` belongs to this function from now on. */
void xg_worker_started(struct xg_broker *b, uint64_t id, int pid, int pidfd);
/* The guest whose worker it was; NULL: it was no worker. */
struct xg_guest *xg_worker_ended(struct xg_broker *b, uint64_t id, int status, int error,
                                 uint64_t peak);

#endif
