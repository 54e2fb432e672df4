/*
 * What a worker gives up before it looks at a guest's first command. Everything a guest sends is parsed after this point, by
 * drivers too, so: no privileges, no new ones, no new programs, no sockets, nobody else's processes.
 */
#include "backend/worker/internal.h"

#include <errno.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

static int drop_user(struct xg_worker *w)
{
    const struct xg_spawn_request *q = w->req;

    if (geteuid() != 0 || q->uid == 0)
        return 0;
    /* Supplementary groups stay: they are what gives a worker its render node. */
    if (setresgid(q->gid, q->gid, q->gid) < 0 || setresuid(q->uid, q->uid, q->uid) < 0)
        return -errno;
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

int xg_worker_sandbox(struct xg_worker *w)
{
    struct rlimit core = {0, 0};
    int rc;

    setrlimit(RLIMIT_CORE, &core); /* a core file would hold a guest's data */
    if (!w->req->sandbox)
        return 0;
    rc = drop_user(w);
    if (rc < 0) {
        xg_worker_log(w, "cannot become uid %u: %s", w->req->uid, strerror(-rc));
        return rc;
    }
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return -errno;
    rc = filter_syscalls();
    if (rc < 0)
        xg_worker_log(w, "cannot filter system calls: %s", strerror(-rc));
    return rc;
}
