/*
 * Where the guests' sockets are.
 *
 *   DIR/GUEST/agent.sock  for the guest's applications. Containers have this directory mounted, so
 *                         it stays when the guest is detached and when the daemon ends: the next
 *                         socket is made in it, and is seen in them.
 *   DIR/+store/GUEST      between the daemon and the guest's agent; no guest has a name with a +.
 *                         It is not in the guest's directory, because the root of a container may
 *                         write there if it is mounted so, and must not choose whom an agent
 *                         talks to.
 *
 * Symbolic links in place of these are never followed.
 */
#include "backend/broker/sockets.h"
#include "backend/broker/inventory.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define STORES "+store"
/* Directories without a guest that are kept; then the one that was not used for longest is removed.
 */
#define KEPT_MAX 1024u

void xg_socket_agent(const struct xg_broker *b, const char *guest, char *path, size_t size)
{
    snprintf(path, size, "%s/%s/agent.sock", b->options.socket_dir, guest);
}

void xg_socket_store(const struct xg_broker *b, const char *guest, char *path, size_t size)
{
    snprintf(path, size, "%s/" STORES "/%s", b->options.socket_dir, guest);
}

static int directory_open(const struct xg_broker *b, const char *name)
{
    char path[256];
    snprintf(path, sizeof(path), "%s/%s", b->options.socket_dir, name);
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

/* A directory that is there keeps the mode that an operator gave it. It must belong to the daemon's
 * user or to root, because its owner can put links in it. */
static int directory_make(const struct xg_broker *b, const char *name, mode_t mode, bool *made,
                          struct xg_why *why)
{
    char path[256];
    struct stat st;
    snprintf(path, sizeof(path), "%s/%s", b->options.socket_dir, name);
    *made = mkdir(path, mode) == 0;
    int err = *made || errno == EEXIST ? 0 : -errno;
    int fd = err ? err : directory_open(b, name);
    if (fd >= 0 && *made && fchmod(fd, mode) < 0) /* whatever the umask is */
        err = -errno;
    if (fd < 0)
        err = fd == -ELOOP ? -ENOTDIR : fd;
    if (err)
        xg_why_set(why, "%s: %s", path, strerror(-err));
    if (!err && (fstat(fd, &st) < 0 || (st.st_uid != geteuid() && st.st_uid != 0))) {
        err = -EPERM;
        xg_why_set(why, "%s: belongs to another user, number %u; remove it", path, st.st_uid);
    }
    if (fd >= 0)
        close(fd);
    return err;
}

static void kept_trim(const struct xg_broker *b)
{
    char oldest[XG_NAME_MAX] = "";
    struct timespec when = {0};
    unsigned count = 0;
    DIR *d = opendir(b->options.socket_dir);
    for (struct dirent *e; d && (e = readdir(d));) {
        struct stat st;
        if (!xg_name_valid(e->d_name) || xg_guest_find(b, e->d_name) ||
            fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISDIR(st.st_mode))
            continue;
        if (!count++ || st.st_mtim.tv_sec < when.tv_sec ||
            (st.st_mtim.tv_sec == when.tv_sec && st.st_mtim.tv_nsec < when.tv_nsec)) {
            strcpy(oldest, e->d_name);
            when = st.st_mtim;
        }
    }
    if (count > KEPT_MAX)
        (void)unlinkat(dirfd(d), oldest, AT_REMOVEDIR); /* only if nothing is in it */
    if (d)
        closedir(d);
}

int xg_sockets_prepare(const struct xg_broker *b, const char *guest, struct xg_why *why)
{
    bool made;
    int err = directory_make(b, STORES, 0700, &made, why);
    if (!err)
        err = directory_make(b, guest, 0755, &made, why);
    if (!err && made)
        kept_trim(b);
    return err;
}

void xg_sockets_remove(const struct xg_broker *b, const char *guest)
{
    int fd = directory_open(b, guest);
    if (fd < 0)
        return;
    unlinkat(fd, "agent.sock", 0);
    unlinkat(fd, "store.sock", 0); /* left by an earlier version */
    close(fd);
}

static void stores_remove(const struct xg_broker *b)
{
    int fd = directory_open(b, STORES);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    for (struct dirent *e; d && (e = readdir(d));)
        if (xg_name_valid(e->d_name))
            unlinkat(fd, e->d_name, 0);
    if (d)
        closedir(d);
    else if (fd >= 0)
        close(fd);
}

void xg_sockets_start(const struct xg_broker *b)
{
    DIR *d = opendir(b->options.socket_dir);
    for (struct dirent *e; d && (e = readdir(d));)
        if (xg_name_valid(e->d_name))
            xg_sockets_remove(b, e->d_name);
    if (d)
        closedir(d);
    stores_remove(b);
}

void xg_sockets_stop(const struct xg_broker *b)
{
    char path[256];
    stores_remove(b);
    snprintf(path, sizeof(path), "%s/" STORES, b->options.socket_dir);
    rmdir(path);
}
