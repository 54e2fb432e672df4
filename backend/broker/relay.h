/* What children of the spawner write. */
#ifndef XG_BROKER_RELAY_H
#define XG_BROKER_RELAY_H

#include "protocol/base.h"

struct xg_relay;
/* What a child is given as its standard output and error, or -errno; the caller closes it. `guest`:
 * whom the child works for, or NULL; `who`: its name in each line. */
int xg_relay_create(const char *guest, const char *who, struct xg_relay **out);
/* Changes `who`. `r` may be NULL here and below. */
void xg_relay_name(struct xg_relay *r, const char *fmt, ...) XG_PRINTF(2, 3);
/* The child is dead: logs what is left. Sets the pointer to NULL. */
void xg_relay_end(struct xg_relay **r);

#endif
