/* Guests: attaching, detaching, their agents in local mode. */
#ifndef XG_BROKER_GUEST_H
#define XG_BROKER_GUEST_H

#include "backend/broker/broker.h"

#include <sys/types.h>

/* `own`: settings that count more than the guest's section of the configuration. `domid`: Xen; 0:
 * the domain of that name. */
int xg_guest_attach(struct xg_broker *b, const char *name, uint32_t domid,
                    const struct xg_settings *own, struct xg_guest **out, struct xg_why *why);
/* The same, for a user, who gets the guest's socket if no settings give it to another. */
int xg_guest_attach_for(struct xg_broker *b, const char *name, uint32_t domid,
                        const struct xg_settings *own, uid_t attacher, struct xg_guest **out,
                        struct xg_why *why);
/* Ends its channels, then the guest; `fn` is called when that is done. */
int xg_guest_detach(struct xg_guest *g, void (*fn)(void *arg, int err), void *arg);
/* Local mode: attaches the guests of the configuration. */
void xg_guests_start(struct xg_broker *b);
void xg_guests_stop(struct xg_broker *b);
/* A worker or an agent. False: it was neither. */
bool xg_guest_process_ended(struct xg_broker *b, uint64_t id, int status, int error, uint64_t peak);

#endif
