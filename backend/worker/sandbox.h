/*
 * What a worker may still do once it looks at a guest's commands. Everything a guest sends is
 * parsed after that point, by drivers too.
 *
 *   sandbox.c   the order, the user, the surroundings of drivers
 *   syscalls.c  system calls: those on a list, and no others
 *   files.c     files: those on a list (Landlock)
 *   report.c    `sandbox = report`: nothing is refused, and what would be is said
 *
 * The lists follow what drivers were seen to need; docs/gpu.md says what is not known yet.
 */
#ifndef XG_WORKER_SANDBOX_H
#define XG_WORKER_SANDBOX_H

#include "backend/worker/internal.h"

/* Whether others have the user that this worker runs as. Then what the kernel allows among
 * processes of one user has to be refused here. */
bool xg_worker_user_shared(const struct xg_worker *w);

/*
 * From here on this thread, and those that it starts, have the listed calls only. Any other fails
 * with EPERM, once whoever holds the listener has answered; *listener is -1 where the kernel has
 * none to give, and then calls fail without a word. `report`: files are opened by way of the
 * listener too. `send_fd`: the one descriptor that sendmsg may have, or -1.
 */
int xg_syscalls_restrict(const struct xg_worker *w, bool report, int send_fd, int *listener);

/* This thread, and those that it starts, can open the listed files only. 0 too where the kernel has
 * no Landlock, with a line in the log. */
int xg_files_restrict(struct xg_worker *w);

/* sandbox = report: starts the thread that does it. Call before the two above are in force, which
 * are then xg_report_begin's to call. */
int xg_report_begin(struct xg_worker *w);

#endif
