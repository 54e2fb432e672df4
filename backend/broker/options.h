/* The keys of [daemon]. */
#ifndef XG_BROKER_OPTIONS_H
#define XG_BROKER_OPTIONS_H

#include "backend/broker/broker.h"

/* "yes", "no" or "report". 0; -EINVAL with `why`. */
int xg_sandbox_take(enum xg_sandbox *out, const char *value, struct xg_why *why);
/* -ENOENT: no such key; -EINVAL with `why`. */
int xg_option_take(struct xg_options *o, const char *key, const char *value, struct xg_why *why);
/* Calls `fn` for each key whose value is not the same. */
void xg_options_differ(const struct xg_options *a, const struct xg_options *b,
                       void (*fn)(void *arg, const char *key, bool live), void *arg);
/* Copies those that may change while the daemon runs. */
void xg_options_update(struct xg_options *to, const struct xg_options *from);
/* Whether this user namespace has that many user numbers from `base` on. */
bool xg_users_mapped(uint32_t base, uint32_t wanted);

#endif
