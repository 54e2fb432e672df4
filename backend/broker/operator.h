/* The operator's socket. */
#ifndef XG_BROKER_OPERATOR_H
#define XG_BROKER_OPERATOR_H

#include "backend/broker/broker.h"

int xg_operator_start(struct xg_broker *b);
void xg_operator_stop(struct xg_broker *b);

#endif
