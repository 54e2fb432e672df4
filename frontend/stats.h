/*
 * What a process sent, and what it waited for: XENGPU_STATS=1 has it printed on stderr when the
 * process ends. Without that a call pays one test of a flag.
 */
#ifndef XG_FRONTEND_STATS_H
#define XG_FRONTEND_STATS_H

#include "frontend/channel.h"

/* Names of an API's operations, by the number within it. Copied where they are wanted: the library
 * that has them may be closed before the process ends. */
XG_EXPORT void xg_stats_names(unsigned api, const char *const *names, unsigned count);

/* --- for frontend/ alone ---------------------------------------------------------------------- */

/* Waits that are for no answer: for a position of a ring, and for room in one. */
enum { XG_STATS_POSITION = XG_OP_NONE, XG_STATS_ROOM = 0xffff };

extern bool xg_stats_on;

/* The channel has been opened, and is the process's. */
void xg_stats_start(struct xg_channel *ch);
/* `ns`: how long the thread waited. */
void xg_stats_wait(uint16_t op, uint64_t ns);
/* In a child after fork: what was counted is the parent's. */
void xg_stats_reset(void);

#endif
