/*
 * The keeper: a process that never closes the descriptors that it is given. After a guest was
 * resumed, the Linux kernel fails if a descriptor of /dev/xen/evtchn that was in use before is
 * closed, or one of /dev/xen/gntalloc that belongs to a control page. The agent may end; the keeper
 * lives until the guest itself ends.
 */
#ifndef XG_KEEPER_H
#define XG_KEEPER_H

#include "protocol/base.h"

/* Gives the keeper `fds`, which the caller may then close. *keeper is the connection to it; -1: the
 * keeper is started first. 0 or -errno: then the caller must keep them open itself. */
int xg_keeper_give(int *keeper, const int *fds, unsigned count);

/* The argument with which the agent's program becomes the keeper, which runs this function. It
 * returns, with an exit status, only if it never got a descriptor. */
#define XG_KEEPER_ARGUMENT "--keep"
int xg_keeper_run(void);

#endif
