/* System calls that a worker's sandbox refuses. */
#ifndef XG_BROKER_REFUSALS_H
#define XG_BROKER_REFUSALS_H

#include "backend/broker/broker.h"

struct xg_refusals;
/* The socket to which the channel's worker sends its sandbox's listener, or -errno. */
int xg_refusals_create(const struct xg_broker_channel *c, struct xg_refusals **out);
void xg_refusals_end(struct xg_refusals *r);

#endif
