#include "frontend/platform/keeper.h"
#include "protocol/fdpass.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

/* The keeper is in a session of its own, so that what ends the agent's session does not end it. At
 * shutdown systemd kills all processes that are left, except processes of root whose first argument
 * begins with '@'. */
static int keeper_spawn(int sock)
{
    static char name[] = "@xengpu-keeper", argument[] = XG_KEEPER_ARGUMENT;
    char *argv[] = {name, argument, NULL};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    pid_t pid;
    int err = posix_spawn_file_actions_init(&actions);
    if (err)
        return -err;
    err = posix_spawnattr_init(&attributes);
    if (err)
        goto out_actions;
    err = posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID);
    if (!err)
        err = posix_spawn_file_actions_adddup2(&actions, sock, STDIN_FILENO);
    for (int fd = STDOUT_FILENO; !err && fd <= STDERR_FILENO; fd++)
        err = posix_spawn_file_actions_addopen(&actions, fd, "/dev/null", O_WRONLY, 0);
    if (!err)
        err = posix_spawn(&pid, "/proc/self/exe", &actions, &attributes, argv, environ);
    posix_spawnattr_destroy(&attributes);
out_actions:
    posix_spawn_file_actions_destroy(&actions);
    return -err;
}

static int keeper_start(int *keeper)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return -errno;
    int err = keeper_spawn(pair[1]);
    close(pair[1]);
    if (err)
        close(pair[0]);
    else
        *keeper = pair[0];
    return err;
}

/* Descriptors that were sent count as kept, whether the keeper has received them or not. */
int xg_keeper_give(int *keeper, const int *fds, unsigned count)
{
    int err = *keeper < 0 ? keeper_start(keeper) : 0;
    for (unsigned done = 0, n; done < count && !err; done += n) {
        n = count - done < XG_FDS_MAX ? count - done : XG_FDS_MAX;
        err = xg_fds_send(*keeper, "", 1, fds + done, n, 0);
    }
    if (err && *keeper >= 0) {
        close(*keeper);
        *keeper = -1; /* the next call starts another keeper */
    }
    return err;
}

/* Keeps the kernel from killing this process when memory runs out. */
static void oom_score_lower(void)
{
    FILE *f = fopen("/proc/self/oom_score_adj", "we");
    if (f) {
        fputs("-1000", f);
        fclose(f);
    }
}

int xg_keeper_run(void)
{
    sigset_t all;
    ssize_t n;
    bool holds = false;
    char byte;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, NULL);
    prctl(PR_SET_NAME, "xengpu-keeper");
    oom_score_lower();
    if (chdir("/") < 0)
        return 1;
    do {
        int fds[XG_FDS_MAX];
        unsigned count = XG_FDS_MAX;
        n = xg_fds_recv(STDIN_FILENO, &byte, sizeof(byte), fds, &count, 0);
        holds |= n > 0;
    } while (n > 0);
    while (holds)
        pause();
    return 0;
}
