/*
 * How fast one guest's workers may start. A worker costs processor time that no scheduler shares
 * out: a new process, its mappings, its sandbox, and all of that again when it ends. A guest that
 * opens and closes channels without a pause would have whole processors by that.
 *
 * So a guest has an account of starts, which fills at a share of this machine's processors. Where
 * it is empty, the guest's requests wait in its ring; nothing is refused. A guest that is alone
 * with the machine takes nothing from anybody, and does not wait.
 */
#ifndef XG_BROKER_STARTS_H
#define XG_BROKER_STARTS_H

#include "backend/broker/broker.h"

#define XG_STARTS_BURST 64u /* starts that a guest may have saved up */

/* Nanoseconds until the guest's next worker may start. */
uint64_t xg_starts_wait(const struct xg_guest *g);
/* One has been started. */
void xg_starts_count(struct xg_guest *g);

#endif
