/* A pGPU at work: its scheduler, and guests that do not give the device back. */
#ifndef XG_BROKER_PGPU_H
#define XG_BROKER_PGPU_H

#include "backend/broker/broker.h"

/* Starts its scheduler and looks at its devices. */
int xg_pgpu_start(struct xg_pgpu *p);
int xg_pgpus_start(struct xg_broker *b);
/* Frees them, too. */
void xg_pgpus_stop(struct xg_broker *b);
/* Uses what its section and [daemon] say about sharing. */
void xg_pgpu_share(struct xg_pgpu *p);

#endif
