/* What a guest is given, and what changes while it runs. */
#ifndef XG_BROKER_GUEST_SETTINGS_H
#define XG_BROKER_GUEST_SETTINGS_H

#include "backend/broker/broker.h"

/* Works out type, weight and memory limit from what the guest was given. */
void xg_guest_resolve(struct xg_guest *g);
/* What the guest itself was given, rather than its type: for the device's nodes. */
void xg_guest_policy(const struct xg_guest *g, struct xg_policy *p);
/* Sets what an operator gives: type, weight, memory and so on, as far as *s has them. All or none.
 */
int xg_guest_set(struct xg_guest *g, const struct xg_settings *s, struct xg_why *why);
/* Its type or its section may have changed: follows them, and tells `fn` what is different. */
void xg_guest_follow(struct xg_guest *g, void (*fn)(void *arg, const char *what), void *arg);

#endif
