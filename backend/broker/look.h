/* Looking at a pGPU's devices. */
#ifndef XG_BROKER_LOOK_H
#define XG_BROKER_LOOK_H

#include "backend/broker/broker.h"

void xg_looks_start(struct xg_pgpu *p);
void xg_looks_stop(struct xg_pgpu *p);
bool xg_probe_ended(struct xg_broker *b, uint64_t id, int status, int error);

#endif
