/*
 * A worker begins as a fork of the spawner, and then executes the daemon's program anew. So its
 * addresses are not those of the daemon, of the spawner or of other workers, whatever a guest
 * learns about one of them. What the worker is told lies in a file in memory; its descriptors have
 * fixed numbers.
 */
#include "backend/spawn.h"
#include "protocol/log.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

/* The descriptors' numbers. */
enum { FD_REQUEST = 3, FD_PAGES, FD_SCHED_PAGE, FD_SCHED_KICK, FD_WATCH, FD_RINGS };
#define FDS_MAX (FD_RINGS + 2 * XG_RINGS_MAX)
/* Descriptors are moved up here first, so that none is overwritten before it gets its final
 * number. */
#define FD_BEYOND 256

static int request_write(const struct xg_spawn_request *req)
{
    int fd = memfd_create("xengpu-request", MFD_CLOEXEC);
    if (fd >= 0 && pwrite(fd, req, sizeof(*req), 0) != (ssize_t)sizeof(*req)) {
        close(fd);
        return -1;
    }
    return fd;
}

static int number_give(const int *from, unsigned count)
{
    int beyond[FDS_MAX];
    for (unsigned i = 0; i < count; i++) {
        beyond[i] = from[i] < 0 ? -1 : fcntl(from[i], F_DUPFD_CLOEXEC, FD_BEYOND);
        if (from[i] >= 0 && beyond[i] < 0)
            return -errno;
    }
    for (unsigned i = 0; i < count; i++) {
        close(FD_REQUEST + (int)i);
        if (beyond[i] >= 0 && dup2(beyond[i], FD_REQUEST + (int)i) < 0)
            return -errno;
    }
    /* closes also what was open in whoever started the daemon */
    (void)close_range((unsigned)FD_REQUEST + count, ~0u, 0);
    return 0;
}

static int descriptors_place(const struct xg_spawn_request *req, const struct xg_spawn_fds *f)
{
    int list[FDS_MAX] = {request_write(req), f->pages, f->sched_page, f->sched_kick, f->watch};
    unsigned n = FD_RINGS - FD_REQUEST, rings = req->geometry.ring_count;
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (list[0] < 0 || null < 0 || dup2(null, STDIN_FILENO) < 0 ||
        dup2(f->log, STDOUT_FILENO) < 0 || dup2(f->log, STDERR_FILENO) < 0)
        return -errno;
    for (unsigned i = 0; i < xg_min_u64(rings, XG_RINGS_MAX); i++) {
        list[n++] = f->wait[i];
        list[n++] = f->kick[i];
    }
    return number_give(list, n);
}

/* Called before the process has any memory that counts. When the machine runs out of memory, a
 * worker is to be killed before the processes that guests cannot do without. */
static int group_enter(int group)
{
    int score = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (score >= 0) {
        (void)!write(score, "500", 3);
        close(score);
    }
    return group >= 0 && write(group, "0", 1) < 0 ? -errno : 0;
}

void xg_worker_exec(const struct xg_spawn_request *req, const struct xg_spawn_fds *fds)
{
    char name[] = XG_WORKER_NAME, argument[] = XG_WORKER_ARGUMENT;
    char *argv[] = {name, argument, NULL};
    int err = group_enter(fds->group);
    if (!err)
        err = descriptors_place(req, fds);
    if (!err) {
        execv("/proc/self/exe", argv);
        err = -errno;
    }
    xg_log_relay();
    xg_log_line(XG_LOG_ERROR, NULL, "cannot execute xengpud for a worker: %s", strerror(-err));
    _exit(XG_WORKER_EXIT_SETUP);
}

/* A number that nobody opened stays -1. */
static int number_take(int fd)
{
    return fcntl(fd, F_SETFD, FD_CLOEXEC) < 0 ? -1 : fd;
}

int xg_worker_run(void)
{
    static struct xg_spawn_request req;
    struct xg_spawn_fds f = {.log = STDERR_FILENO};
    prctl(PR_SET_NAME, XG_WORKER_NAME);
    xg_log_relay();
    if (pread(FD_REQUEST, &req, sizeof(req), 0) != (ssize_t)sizeof(req)) {
        fputs("xengpud: " XG_WORKER_ARGUMENT " is for the daemon alone\n", stderr);
        return 2;
    }
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != (pid_t)req.parent)
        return XG_WORKER_EXIT_SETUP;
    close(FD_REQUEST);
    f.pages = number_take(FD_PAGES);
    f.sched_page = number_take(FD_SCHED_PAGE);
    f.sched_kick = number_take(FD_SCHED_KICK);
    f.watch = number_take(FD_WATCH);
    for (int i = 0; i < (int)XG_RINGS_MAX; i++) {
        f.wait[i] = number_take(FD_RINGS + 2 * i);
        f.kick[i] = number_take(FD_RINGS + 2 * i + 1);
    }
    return xg_worker_main(&req, &f);
}
