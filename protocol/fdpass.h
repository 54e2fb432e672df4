/* Unix sockets: one that listens, and messages with descriptors (type SOCK_SEQPACKET). */
#ifndef XG_FDPASS_H
#define XG_FDPASS_H

#include "protocol/base.h"

#include <sys/types.h>

#define XG_FDS_MAX 80u /* of one message */

/* Sends one message. 0 or -errno; -EAGAIN when `flags` has MSG_DONTWAIT and there is no room. */
int xg_fds_send(int sock, const void *data, size_t size, const int *fds, unsigned count, int flags);

/*
 * Takes one message of at most `size` bytes and at most *count descriptors (close-on-exec); *count
 * gets how many came. Descriptors that do not fit are closed. `fds` may be NULL: then any that come
 * are closed. The message's size, 0 at the end of the connection, or -errno; -EMSGSIZE if it was
 * longer. -EMFILE: the message is in `data`, without its descriptors, because this process can have
 * no more of them, or because more than XG_FDS_MAX came.
 */
ssize_t xg_fds_recv(int sock, void *data, size_t size, int *fds, unsigned *count, int flags);

/*
 * Makes a socket at `path` that listens, close-on-exec and not blocking, in place of one that is
 * there. It has these permissions from the beginning: whoever may write in the directory could put
 * a link there before a chmod. A path too long: -ENAMETOOLONG; a file that is no socket: -EEXIST.
 */
int xg_unix_listen(const char *path, int type, mode_t mode, int backlog);

/* Closes each descriptor that is not negative and sets it to -1. */
void xg_fds_close(int *fds, unsigned count);

#endif
