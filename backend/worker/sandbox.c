/*
 * What a worker gives up before it looks at a guest's first command. Everything a guest sends is parsed after this point, by
 * drivers too, so: no privileges, no new ones, no new programs, no sockets, nobody else's processes.
 */
#include "backend/worker/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <linux/landlock.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

static int drop_user(struct xg_worker *w)
{
    const struct xg_spawn_request *q = w->req;

    if (geteuid() != 0 || q->uid == 0)
        return 0;
    /* Supplementary groups stay: they are what gives a worker its render node. */
    if (setresgid(q->gid, q->gid, q->gid) < 0 || setresuid(q->uid, q->uid, q->uid) < 0)
        return -errno;
    /* Another user has not what this one asked for: to end with the spawner. */
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || (q->parent && getppid() != q->parent))
        return -ECHILD;
    return 0;
}

/* Nothing that starts programs, reaches other processes or the network, or changes the system. What GPU drivers do (map executable
 * memory, make threads, open their device nodes) stays allowed. */
static const char *const forbidden[] = {
    "execve", "execveat", "fork", "vfork", "ptrace", "process_vm_readv", "process_vm_writev", "socket",
    "connect", "bind", "listen", "accept", "accept4", "mount", "umount2", "pivot_root", "chroot", "setns",
    "unshare", "move_mount", "open_tree", "fsopen", "fsmount", "fsconfig", "fspick", "mount_setattr",
    "init_module", "finit_module", "delete_module", "kexec_load", "kexec_file_load", "bpf",
    "perf_event_open", "keyctl", "add_key", "request_key", "userfaultfd", "open_by_handle_at",
    "name_to_handle_at", "reboot", "swapon", "swapoff", "sethostname", "setdomainname", "settimeofday",
    "clock_settime", "clock_adjtime", "adjtimex", "iopl", "ioperm", "quotactl", "acct", "syslog",
    "setuid", "setgid", "setresuid", "setresgid", "setreuid", "setregid", "setgroups", "setfsuid",
    "setfsgid", "capset", "personality", "io_uring_setup", "io_uring_enter", "io_uring_register",
    "pidfd_open", "pidfd_getfd", "pidfd_send_signal", "process_madvise", "kcmp", "vhangup", "nfsservctl",
    "lookup_dcookie", "unlink", "unlinkat", "rename", "renameat", "renameat2", "link", "linkat",
    "symlink", "symlinkat", "mknod", "mknodat", "chmod", "fchmodat", "chown", "lchown", "fchownat",
    "truncate", "setxattr", "lsetxattr", "removexattr", "lremovexattr", "utimensat", "shmget", "shmat",
    "msgget", "semget", "mq_open",
};

static int filter_syscalls(void)
{
    scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ALLOW);
    int rc = 0;

    if (!ctx)
        return -ENOMEM;
    for (size_t i = 0; rc == 0 && i < XG_ARRAY_LEN(forbidden); i++) {
        int nr = seccomp_syscall_resolve_name(forbidden[i]);
        if (nr != __NR_SCMP_ERROR)
            rc = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), nr, 0);
    }
    /* Other processes are out of reach; this one's own threads are not. */
    if (rc == 0)
        rc = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(kill), 1,
                              SCMP_A0(SCMP_CMP_NE, (scmp_datum_t)getpid()));
    /* Threads, but no processes. clone3's flags lie in memory, where a filter cannot look: libc falls back to clone. */
    if (rc == 0)
        rc = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(clone), 1,
                              SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, 0));
    if (rc == 0)
        rc = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
    if (rc == 0)
        rc = seccomp_load(ctx);
    seccomp_release(ctx);
    return rc;
}

/* --- files --------------------------------------------------------------------------------------- */

#define FS_READ (LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define FS_ALL  ((LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1) /* what the first version of Landlock knows */

static int landlock_allow(int rules, const char *path, uint64_t access)
{
    struct landlock_path_beneath_attr attr = {.allowed_access = access};
    int rc = 0;

    attr.parent_fd = open(path, O_PATH | O_CLOEXEC);
    if (attr.parent_fd < 0)
        return 0; /* not there: nothing to allow */
    if (syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &attr, 0) < 0)
        rc = -errno;
    close(attr.parent_fd);
    return rc;
}

/* The folder of a file named in the configuration, and of our own libraries. */
static int landlock_allow_folder(int rules, const char *file)
{
    char folder[PATH_MAX];

    if (!strchr(file, '/') || strlen(file) >= sizeof(folder))
        return 0;
    strcpy(folder, file);
    return landlock_allow(rules, dirname(folder), FS_READ);
}

static int landlock_allow_own(int rules)
{
    char exe[PATH_MAX], lib[PATH_MAX + 8];
    ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);

    if (n < 0)
        return 0;
    exe[n] = '\0';
    snprintf(lib, sizeof(lib), "%s/../lib", dirname(exe));
    return landlock_allow(rules, lib, FS_READ);
}

/* Reads system files and libraries, writes device nodes, and that is all. A kernel without Landlock leaves it at the uid. */
static int restrict_files(struct xg_worker *w)
{
    static const char *const readable[] = {"/usr", "/lib", "/lib64", "/etc", "/proc", "/sys", "/opt"};
    struct landlock_ruleset_attr attr = {.handled_access_fs = FS_ALL};
    int rc = 0, rules = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr), 0);

    if (rules < 0)
        return errno == ENOSYS || errno == EOPNOTSUPP ? 0 : -errno;
    for (size_t i = 0; rc == 0 && i < XG_ARRAY_LEN(readable); i++)
        rc = landlock_allow(rules, readable[i], FS_READ);
    if (rc == 0)
        rc = landlock_allow(rules, "/dev", FS_READ | LANDLOCK_ACCESS_FS_WRITE_FILE);
    if (rc == 0)
        rc = landlock_allow_own(rules);
    if (rc == 0)
        rc = landlock_allow_folder(rules, w->req->device.cuda_library);
    if (rc == 0)
        rc = landlock_allow_folder(rules, w->req->device.egl_vendor);
    if (rc == 0 && syscall(SYS_landlock_restrict_self, rules, 0) < 0)
        rc = -errno;
    close(rules);
    return rc;
}

int xg_worker_sandbox(struct xg_worker *w)
{
    struct rlimit core = {0, 0};
    int rc;

    setrlimit(RLIMIT_CORE, &core); /* a core file would hold a guest's data */
    if (!w->req->sandbox)
        return 0;
    /* Mesa could not write it, and later versions of Mesa say so into the log for each worker. */
    setenv("MESA_SHADER_CACHE_DISABLE", "true", 1);
    rc = drop_user(w);
    if (rc < 0) {
        xg_worker_log(w, "cannot become uid %u: %s", w->req->uid, strerror(-rc));
        return rc;
    }
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return -errno;
    rc = restrict_files(w);
    if (rc < 0) {
        xg_worker_log(w, "cannot restrict file access: %s", strerror(-rc));
        return rc;
    }
    rc = filter_syscalls();
    if (rc < 0)
        xg_worker_log(w, "cannot filter system calls: %s", strerror(-rc));
    return rc;
}
