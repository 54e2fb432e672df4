/* Xen: which domains have a device. */
#ifndef XG_BROKER_DOMAINS_H
#define XG_BROKER_DOMAINS_H

#include "backend/broker/broker.h"

/* Attaches and detaches what xenstore and the configuration say, whenever that changes. */
int xg_domains_start(struct xg_broker *b);
void xg_domains_look(struct xg_broker *b);
/* An operator detaches it: the configuration gives it no device again before it is another domain.
 */
void xg_domain_detached(const struct xg_guest *g);

#endif
