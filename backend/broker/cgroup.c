#include "backend/broker/cgroup.h"
#include "protocol/base.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define PREFIX       "xengpud-"
#define GUEST_PREFIX "guest-" /* so that no guest has the name of one of the kernel's files */

/* --- where ------------------------------------------------------------------------------------ */

/* Copies the text up to `end`. The kernel writes a space as \040: it becomes a space again. */
static int text_unescape(const char *from, const char *end, char *to, size_t size)
{
    size_t n = 0;
    while (from < end) {
        char c = *from++;
        if (n + 1 >= size)
            return -ENAMETOOLONG;
        if (c == '\\' && end - from >= 3 && from[0] >= '0' && from[0] <= '3') {
            c = (char)((from[0] - '0') << 6 | (from[1] - '0') << 3 | (from[2] - '0'));
            from += 3;
        }
        to[n++] = c;
    }
    to[n] = 0;
    return 0;
}

static const char *line_end(const char *line)
{
    return line + strcspn(line, "\n");
}

/* Field number `n` of a line, counted from 0, and its end. NULL: there is none. */
static const char *field_find(const char *line, unsigned n, const char **end)
{
    const char *stop = line_end(line);
    for (; n && line < stop; n--) {
        line += strcspn(line, " \n");
        line += *line == ' ';
    }
    if (n || line >= stop)
        return NULL;
    *end = line + strcspn(line, " \n");
    return line;
}

/* "ID PARENT DEV ROOT POINT OPTIONS [...] - TYPE SOURCE OPTIONS" */
static bool mount_of_version_2(const char *line)
{
    const char *dash = strstr(line, " - ");
    return dash && dash < line_end(line) && !strncmp(dash, " - cgroup2 ", 11);
}

/* Where this mount shows the group `path`. -ENOENT: it does not show it. */
static int mount_look(const char *line, const char *path, char *dir, size_t size)
{
    char root[PATH_MAX], point[PATH_MAX];
    const char *at, *end;
    int err =
        (at = field_find(line, 3, &end)) ? text_unescape(at, end, root, sizeof(root)) : -ENOENT;
    if (!err)
        err = (at = field_find(line, 4, &end)) ? text_unescape(at, end, point, sizeof(point))
                                               : -ENOENT;
    if (err)
        return err;
    size_t n = strcmp(root, "/") ? strlen(root) : 0;
    if (strncmp(path, root, n) || (path[n] && path[n] != '/'))
        return -ENOENT;
    path += n;
    if (!strcmp(path, "/"))
        path = "";
    return (size_t)snprintf(dir, size, "%s%s", point, path) < size ? 0 : -ENAMETOOLONG;
}

int xg_cgroup_locate(const char *cgroup, const char *mountinfo, char *dir, size_t size)
{
    char path[PATH_MAX];
    while (*cgroup && strncmp(cgroup, "0::/", 4)) {
        cgroup = line_end(cgroup);
        cgroup += *cgroup == '\n';
    }
    if (!*cgroup)
        return -ENOENT;
    if ((size_t)snprintf(path, sizeof(path), "%.*s", (int)(line_end(cgroup) - cgroup - 3),
                         cgroup + 3) >= sizeof(path))
        return -ENAMETOOLONG;
    if (strstr(path, "/../") || !strcmp(path, "/..")) /* outside of this namespace */
        return -ENOENT;
    int err = -ENOENT;
    for (const char *line = mountinfo; *line && err == -ENOENT; line += *line == '\n') {
        if (mount_of_version_2(line))
            err = mount_look(line, path, dir, size);
        line = line_end(line);
    }
    return err;
}

/* --- files ------------------------------------------------------------------------------------ */

/* The text of a small file, to be freed; NULL if it cannot be read. */
static char *file_read(const char *path)
{
    char *text = NULL;
    size_t size = 0;
    FILE *f = fopen(path, "re");
    if (f && getdelim(&text, &size, 0, f) < 0) {
        free(text);
        text = NULL;
    }
    if (f)
        fclose(f);
    return text;
}

static int text_write(int group, const char *file, const char *text)
{
    int fd = openat(group, file, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    int err = write(fd, text, strlen(text)) < 0 ? -errno : 0;
    close(fd);
    return err;
}

static ssize_t text_read(int group, const char *file, char *text, size_t size)
{
    int fd = openat(group, file, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, size - 1);
    if (fd >= 0)
        close(fd);
    text[n > 0 ? n : 0] = 0;
    return n;
}

int xg_cgroup_set(int group, const char *file, uint64_t value)
{
    char text[32] = "max";
    if (value != UINT64_MAX)
        snprintf(text, sizeof(text), "%" PRIu64, value);
    return text_write(group, file, text);
}

uint64_t xg_cgroup_get(int group, const char *file, const char *key)
{
    char text[1024];
    if (text_read(group, file, text, sizeof(text)) <= 0)
        return 0;
    if (!key)
        return strtoull(text, NULL, 10);
    size_t n = strlen(key);
    for (const char *line = text; *line; line += *line == '\n') {
        if (!strncmp(line, key, n) && line[n] == ' ')
            return strtoull(line + n, NULL, 10);
        line = line_end(line);
    }
    return 0;
}

/* --- the daemon's ----------------------------------------------------------------------------- */

static int own_fd = -1, top_fd = -1, guests_fd = -1;
static char top_name[32], top_path[PATH_MAX];

const char *xg_cgroups_path(void)
{
    return top_path;
}

int xg_cgroups_guests(void)
{
    return guests_fd;
}

static int directory_make(int in, const char *name)
{
    if (mkdirat(in, name, 0755) < 0 && errno != EEXIST)
        return -errno;
    int fd = openat(in, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

static void children_remove(int in, const char *name)
{
    int fd = openat(in, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    for (struct dirent *e; d && (e = readdir(d));)
        if (!strncmp(e->d_name, GUEST_PREFIX, strlen(GUEST_PREFIX)))
            unlinkat(fd, e->d_name, AT_REMOVEDIR);
    if (d)
        closedir(d);
    else if (fd >= 0)
        close(fd);
    unlinkat(in, name, AT_REMOVEDIR);
}

static void top_remove(int own, int top, const char *name)
{
    children_remove(top, "guests");
    unlinkat(top, "daemon", AT_REMOVEDIR);
    unlinkat(own, name, AT_REMOVEDIR);
}

/* Removes the groups of daemons that were killed: nobody holds their locks. */
static void leftovers_remove(int own)
{
    int copy = openat(own, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = copy < 0 ? NULL : fdopendir(copy);
    for (struct dirent *e; d && (e = readdir(d));) {
        if (strncmp(e->d_name, PREFIX, strlen(PREFIX)))
            continue;
        int top = openat(own, e->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (top >= 0 && flock(top, LOCK_EX | LOCK_NB) == 0)
            top_remove(own, top, e->d_name);
        if (top >= 0)
            close(top);
    }
    if (d)
        closedir(d);
    else if (copy >= 0)
        close(copy);
}

/* For the groups below. Memory is needed; without the other two the daemon works as well. */
static int controllers_enable(int group)
{
    (void)text_write(group, "cgroup.subtree_control", "+cpu");
    (void)text_write(group, "cgroup.subtree_control", "+pids");
    return text_write(group, "cgroup.subtree_control", "+memory");
}

static bool memory_there(int group)
{
    char text[512], *rest = text;
    text_read(group, "cgroup.controllers", text, sizeof(text));
    for (char *word; (word = strsep(&rest, " \n"));)
        if (!strcmp(word, "memory"))
            return true;
    return false;
}

static void close_all(void)
{
    int *const all[] = {&guests_fd, &top_fd, &own_fd};
    for (unsigned i = 0; i < XG_ARRAY_LEN(all); i++) {
        if (*all[i] >= 0)
            close(*all[i]);
        *all[i] = -1;
    }
    top_path[0] = 0;
}

/* As far as it is possible: no process can go back into a group, other than the root, that has
 * enabled controllers for the groups below it. */
static void groups_undo(void)
{
    (void)text_write(own_fd, "cgroup.procs", "0");
    if (top_fd >= 0)
        top_remove(own_fd, top_fd, top_name);
    close_all();
}

static int own_open(char *path, size_t size, char *why, size_t why_size)
{
    char *cgroup = file_read("/proc/self/cgroup"), *mounts = file_read("/proc/self/mountinfo");
    int err = cgroup && mounts ? xg_cgroup_locate(cgroup, mounts, path, size) : -ENOENT;
    free(cgroup);
    free(mounts);
    if (err) {
        snprintf(why, why_size, "control groups of version 2 are not mounted");
        return err;
    }
    own_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    err = own_fd < 0 ? -errno : memory_there(own_fd) ? 0 : -EOPNOTSUPP;
    if (own_fd >= 0 && err)
        snprintf(why, why_size, "%.160s has no control of memory", path);
    else if (err)
        snprintf(why, why_size, "%.160s: %s", path, strerror(-err));
    return err;
}

static int groups_make(void)
{
    int daemon = -1, err;
    top_fd = directory_make(own_fd, top_name);
    err = top_fd < 0 ? top_fd : flock(top_fd, LOCK_EX | LOCK_NB) < 0 ? -errno : 0;
    if (!err) {
        daemon = directory_make(top_fd, "daemon");
        err = daemon < 0 ? daemon : text_write(daemon, "cgroup.procs", "0");
    }
    if (daemon >= 0)
        close(daemon);
    if (!err)
        err = controllers_enable(own_fd);
    if (!err)
        err = controllers_enable(top_fd);
    if (!err) {
        guests_fd = directory_make(top_fd, "guests");
        err = guests_fd < 0 ? guests_fd : controllers_enable(guests_fd);
    }
    return err;
}

int xg_cgroups_start(char *why, size_t size)
{
    char path[PATH_MAX - sizeof(top_name)];
    int err = own_open(path, sizeof(path), why, size);
    if (!err) {
        leftovers_remove(own_fd);
        snprintf(top_name, sizeof(top_name), PREFIX "%d", (int)getpid());
        err = groups_make();
        if (err == -EBUSY)
            snprintf(why, size, "%.160s has other processes than this daemon", path);
        else if (err)
            snprintf(why, size, "%.160s: %s", path, strerror(-err));
    }
    if (err) {
        groups_undo();
        return err;
    }
    snprintf(top_path, sizeof(top_path), "%s/%s", path, top_name);
    return 0;
}

void xg_cgroups_stop(void)
{
    if (top_fd >= 0)
        groups_undo();
}

/* --- a guest's -------------------------------------------------------------------------------- */

static void guest_directory(const char *guest, char *name, size_t size)
{
    snprintf(name, size, GUEST_PREFIX "%s", guest);
}

int xg_cgroup_create(const char *guest)
{
    char name[128];
    guest_directory(guest, name, sizeof(name));
    return directory_make(guests_fd, name);
}

void xg_cgroup_remove(const char *guest, int group)
{
    char name[128];
    guest_directory(guest, name, sizeof(name));
    close(group);
    unlinkat(guests_fd, name, AT_REMOVEDIR);
}
