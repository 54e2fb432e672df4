/*
 * What a worker gives up before it looks at a guest's first command. Drivers start after that:
 * whoever takes over a worker through a driver has only the rights that the driver had.
 *
 * The order: first the user, since changing it needs rights; then files, since opening the files in
 * the rules needs system calls that are not on the list; system calls last.
 */
#include "backend/worker/sandbox.h"
#include "protocol/fdpass.h"

#include <errno.h>
#include <glob.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/socket.h>
#include <unistd.h>

enum { GROUPS_MAX = 16, FILES_MAX = 16384 };

static bool becomes_user(const struct xg_spawn_request *q)
{
    return geteuid() == 0 && q->uid != 0;
}

bool xg_worker_user_shared(const struct xg_worker *w)
{
    return w->req->uid == 0 || geteuid() != w->req->uid;
}

/* The groups of device nodes. Render nodes belong to the group render, as in distributions;
 * NVIDIA's nodes are open to everybody unless its module was told otherwise. */
static unsigned device_groups(gid_t *groups)
{
    static const char *const patterns[] = {"/dev/dri/renderD*", "/dev/nvidia*"};
    unsigned count = 0;
    glob_t found = {0};
    for (size_t i = 0; i < XG_ARRAY_LEN(patterns); i++)
        (void)glob(patterns[i], i ? GLOB_APPEND : 0, NULL, &found);
    for (size_t i = 0; i < found.gl_pathc; i++) {
        const mode_t group = S_IRGRP | S_IWGRP, others = S_IROTH | S_IWOTH;
        struct stat st;
        bool known = false;
        if (stat(found.gl_pathv[i], &st) < 0 || !S_ISCHR(st.st_mode) || st.st_gid == 0 ||
            (st.st_mode & group) != group || (st.st_mode & others) == others)
            continue;
        for (unsigned k = 0; k < count; k++)
            known |= groups[k] == st.st_gid;
        if (!known && count < GROUPS_MAX)
            groups[count++] = st.st_gid;
    }
    globfree(&found);
    return count;
}

static int drop_user(const struct xg_spawn_request *q)
{
    gid_t groups[GROUPS_MAX];
    if (!becomes_user(q))
        return 0;
    unsigned count = device_groups(groups);
    /* in a user namespace the device's group may not be mapped */
    if (setgroups(count, groups) < 0 && setgroups(0, NULL) < 0)
        return -errno;
    if (setresgid(q->gid, q->gid, q->gid) < 0 || setresuid(q->uid, q->uid, q->uid) < 0)
        return -errno;
    /* changing the user drops this setting: that the process ends with the spawner */
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || (q->parent && getppid() != q->parent))
        return -ECHILD;
    return 0;
}

/* Caches that drivers keep in the user's home: a worker has no home. What one guest had compiled
 * must not reach another guest. */
void xg_worker_surroundings(const struct xg_worker *w)
{
    static const char *const not_there[] = {
        "DISPLAY",         "WAYLAND_DISPLAY", "XAUTHORITY",
        "XDG_CACHE_HOME",  "XDG_CONFIG_HOME", "XDG_DATA_HOME",
        "XDG_RUNTIME_DIR", "CUDA_CACHE_PATH", "CUDA_MPS_PIPE_DIRECTORY"};
    if (w->req->sandbox == XG_SANDBOX_NO)
        return;
    for (size_t i = 0; i < XG_ARRAY_LEN(not_there); i++)
        unsetenv(not_there[i]);
    setenv("HOME", "/nonexistent", 1);
    setenv("MESA_SHADER_CACHE_DISABLE", "true", 1);
    setenv("__GL_SHADER_DISK_CACHE", "0", 1);
    setenv("CUDA_CACHE_DISABLE", "1", 1);
}

/*
 * A core file would hold a guest's data. The limit is 1 rather than 0: the kernel takes 0 for no
 * limit where a program collects core files. With a limit the process may stay "dumpable", which it
 * must: otherwise the files of its own /proc/self belong to root, and NVIDIA's driver cannot name
 * its threads, and does not start.
 */
static int cores_refuse(void)
{
    struct rlimit core = {1, 1};
    return setrlimit(RLIMIT_CORE, &core) < 0 || prctl(PR_SET_DUMPABLE, 1) < 0 ? -errno : 0;
}

/* Bytes of private writable mappings of this process, as RLIMIT_DATA counts them. */
static uint64_t data_mapped(void)
{
    unsigned long long pages = 0;
    FILE *f = fopen("/proc/self/statm", "re"); /* size resident shared text lib data dirty */
    if (f && fscanf(f, "%*u %*u %*u %*u %*u %llu", &pages) != 1)
        pages = 0;
    if (f)
        fclose(f);
    return pages * XG_PAGE_SIZE;
}

/*
 * Limits that hold also without control groups. Not RLIMIT_AS: drivers reserve terabytes of
 * addresses. Those they cannot write, or share with the device, and neither counts as data.
 */
static int limits_set(const struct xg_spawn_request *q)
{
    struct rlimit data = {RLIM_INFINITY, RLIM_INFINITY}, files, threads;
    if (q->data_limit)
        data.rlim_cur = data.rlim_max = data_mapped() + q->data_limit;
    if (getrlimit(RLIMIT_NOFILE, &files) < 0 || getrlimit(RLIMIT_NPROC, &threads) < 0)
        return -errno;
    files.rlim_max = xg_min_u64(files.rlim_max, FILES_MAX);
    files.rlim_cur = xg_min_u64(files.rlim_cur, files.rlim_max);
    threads.rlim_max = xg_min_u64(threads.rlim_max, XG_GUEST_THREADS);
    threads.rlim_cur = xg_min_u64(threads.rlim_cur, threads.rlim_max);
    /* threads are counted per user: so only if the user is this guest's alone */
    if (setrlimit(RLIMIT_NOFILE, &files) < 0 ||
        (becomes_user(q) && setrlimit(RLIMIT_NPROC, &threads) < 0) ||
        (data.rlim_cur != RLIM_INFINITY && setrlimit(RLIMIT_DATA, &data) < 0))
        return -errno;
    return 0;
}

/* Passes the listener to the daemon, which uses it to name the calls that are refused. */
static int syscalls_restrict(struct xg_worker *w)
{
    int listener, rc = xg_syscalls_restrict(w, false, w->watch, &listener);
    if (rc == 0 && listener >= 0)
        rc = xg_fds_send(w->watch, "", 1, &listener, 1, MSG_NOSIGNAL);
    if (listener >= 0)
        close(listener);
    return rc;
}

static int step_check(struct xg_worker *w, const char *what, int rc)
{
    if (rc < 0)
        xg_worker_log(w, "cannot %s: %s", what, strerror(-rc));
    return rc;
}

static int restrict_all(struct xg_worker *w)
{
    int rc = step_check(w, "become a user without rights", drop_user(w->req));
    if (rc == 0)
        rc = step_check(w, "refuse core files", cores_refuse());
    if (rc == 0)
        rc = step_check(w, "give up new rights",
                        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ? -errno : 0);
    if (rc == 0 && w->req->sandbox == XG_SANDBOX_REPORT)
        return step_check(w, "watch system calls", xg_report_begin(w));
    if (rc == 0)
        rc = step_check(w, "restrict file access", xg_files_restrict(w));
    if (rc == 0)
        rc = step_check(w, "filter system calls", syscalls_restrict(w));
    return rc;
}

int xg_worker_sandbox(struct xg_worker *w)
{
    int rc = step_check(w, "bound what it may take", limits_set(w->req));
    if (rc == 0)
        rc = w->req->sandbox == XG_SANDBOX_NO ? step_check(w, "refuse core files", cores_refuse())
                                              : restrict_all(w);
    if (w->watch >= 0)
        close(w->watch);
    w->watch = -1;
    return rc;
}
