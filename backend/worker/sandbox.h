/*
 * What a worker may still do once it looks at a guest's commands. Everything that a guest sends is
 * parsed after that point, by drivers too.
 *
 *   sandbox.c   the order, the user, the environment of drivers
 *   syscalls.c  system calls: those on a list, and no others
 *   files.c     files: those on a list (Landlock)
 *   report.c    `sandbox = report`: nothing is refused, and what would be is logged
 *
 * The lists follow what drivers were seen to need; docs/gpu.md says what is not known yet.
 */
#ifndef XG_WORKER_SANDBOX_H
#define XG_WORKER_SANDBOX_H

#include "backend/worker/internal.h"

/* Whether others run as the same user as this worker. Then what the kernel allows among processes
 * of one user has to be refused here. */
bool xg_worker_user_shared(const struct xg_worker *w);

/*
 * From here on this thread, and those that it starts, have only the listed calls. Any other call
 * fails with EPERM, after whoever holds the listener has answered. *listener is -1 where the kernel
 * has none; then calls fail without a log line. `report`: opening of files goes to the listener
 * too. `send_fd`: the only descriptor that sendmsg may use, or -1.
 */
int xg_syscalls_restrict(const struct xg_worker *w, bool report, int send_fd, int *listener);

/* This thread, and those that it starts, can open only the listed files. Returns 0 also where the
 * kernel has no Landlock, with a line in the log. */
int xg_files_restrict(struct xg_worker *w);

/* `sandbox = report`: starts the thread that reports. Call it before the two above; it calls them
 * itself. */
int xg_report_begin(struct xg_worker *w);

#endif
