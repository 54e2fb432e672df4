/*
 * The keeper: a process that holds descriptors for good. After a guest was resumed Linux cannot
 * bear that one of /dev/xen/evtchn is closed, or a control page's one of /dev/xen/gntalloc, that
 * was in use before. The agent may end; the keeper does not, until the guest itself does.
 */
#ifndef XG_KEEPER_H
#define XG_KEEPER_H

#include "protocol/base.h"

/* Gives it `fds`, which the caller may then close. *keeper is the connection to it, -1 before the
 * first time: then it is started. 0 or -errno: the caller must keep them open itself. */
int xg_keeper_give(int *keeper, const int *fds, unsigned count);

/* What the agent's program does when it is started as the keeper, which it is by this argument
 * alone. Returns, an exit status, only if it never got anything. */
#define XG_KEEPER_ARGUMENT "--keep"
int xg_keeper_run(void);

#endif
