#include "protocol/fdpass.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

union control {
    struct cmsghdr header;
    char room[CMSG_SPACE(XG_FDS_MAX * sizeof(int))];
};

int xg_fds_send(int sock, const void *data, size_t size, const int *fds, unsigned count, int flags)
{
    union control control;
    struct iovec iov = {.iov_base = (void *)data, .iov_len = size};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
    if (count > XG_FDS_MAX)
        return -E2BIG;
    if (count) {
        memset(&control, 0, sizeof(control));
        msg.msg_control = &control;
        msg.msg_controllen = CMSG_SPACE(count * sizeof(int));
        struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(count * sizeof(int));
        memcpy(CMSG_DATA(c), fds, count * sizeof(int));
    }
    for (;;) {
        ssize_t n = sendmsg(sock, &msg, flags | MSG_NOSIGNAL);
        if (n >= 0)
            return (size_t)n == size ? 0 : -EIO;
        if (errno != EINTR)
            return -errno;
    }
}

/* Takes the descriptors out of `msg`; those above `room` are closed. */
static unsigned fds_take(struct msghdr *msg, int *fds, unsigned room)
{
    unsigned taken = 0;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        unsigned count = (unsigned)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
        for (unsigned i = 0; i < count; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
            if (fds && taken < room)
                fds[taken++] = fd;
            else
                close(fd);
        }
    }
    return taken;
}

ssize_t xg_fds_recv(int sock, void *data, size_t size, int *fds, unsigned *count, int flags)
{
    union control control;
    struct iovec iov = {.iov_base = data, .iov_len = size};
    struct msghdr msg = {.msg_iov = &iov,
                         .msg_iovlen = 1,
                         .msg_control = &control,
                         .msg_controllen = sizeof(control)};
    ssize_t n;
    do
        n = recvmsg(sock, &msg, flags | MSG_CMSG_CLOEXEC);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return -errno;
    unsigned taken = fds_take(&msg, fds, fds ? *count : 0);
    if (msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) {
        if (fds)
            xg_fds_close(fds, taken);
        n = msg.msg_flags & MSG_TRUNC ? -EMSGSIZE : -EMFILE;
        taken = 0;
    }
    if (fds)
        *count = taken;
    return n;
}

int xg_unix_listen(const char *path, int type, mode_t mode, int backlog)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    struct stat st;
    if (strlen(path) >= sizeof(addr.sun_path))
        return -ENAMETOOLONG;
    strcpy(addr.sun_path, path);
    if (!lstat(path, &st) && !S_ISSOCK(st.st_mode) && !S_ISLNK(st.st_mode))
        return -EEXIST;
    int fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    unlink(path);
    mode_t mask = umask(0777 & ~mode);
    int err = bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 ? -errno : 0;
    umask(mask);
    if (!err && listen(fd, backlog) < 0)
        err = -errno;
    if (err)
        close(fd);
    return err ? err : fd;
}

void xg_fds_close(int *fds, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        if (fds[i] >= 0)
            close(fds[i]);
        fds[i] = -1;
    }
}
