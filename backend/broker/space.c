/*
 * Process namespaces for the workers of a daemon that an ordinary user runs. To the kernel all
 * these workers belong to that user, so one could act on another. In a user namespace a worker is
 * alone in a process namespace, with a /proc of its own, and cannot even name another process.
 * Where the machine does not allow that, the worker's sandbox is the only protection.
 */
#include "backend/broker/space.h"
#include "backend/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define FLAGS (CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS)

static bool space_possible;

static bool file_write(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    bool good = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
    if (fd >= 0)
        close(fd);
    return good;
}

/* In the new process, which keeps its user and group. */
static bool space_furnish(uid_t uid, gid_t gid)
{
    char users[64], groups[64];
    snprintf(users, sizeof(users), "%u %u 1\n", uid, uid);
    snprintf(groups, sizeof(groups), "%u %u 1\n", gid, gid);
    return file_write("/proc/self/setgroups", "deny") && file_write("/proc/self/uid_map", users) &&
           file_write("/proc/self/gid_map", groups) &&
           mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
           mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) == 0;
}

static pid_t space_fork(void)
{
    uid_t uid = geteuid();
    gid_t gid = getegid();
    pid_t pid = (pid_t)syscall(SYS_clone, FLAGS | SIGCHLD, NULL, NULL, NULL, NULL);
    if (pid == 0 && !space_furnish(uid, gid))
        _exit(XG_WORKER_EXIT_SETUP);
    return pid;
}

void xg_space_try(void)
{
    int status = -1;
    if (geteuid() == 0) /* root's daemon gives each guest a user of its own instead */
        return;
    pid_t pid = space_fork();
    if (pid == 0)
        _exit(0);
    space_possible = pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

pid_t xg_space_fork(bool *alone)
{
    pid_t pid = space_possible ? space_fork() : -1;
    *alone = pid >= 0;
    return pid >= 0 ? pid : fork();
}
