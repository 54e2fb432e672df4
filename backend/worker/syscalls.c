/* The system calls that a worker keeps. */
#include "backend/worker/sandbox.h"

#include <asm/sockios.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

/* A name that the seccomp library does not know is skipped: that call is then refused. */
static const char *const memory_calls[] = {"brk",
                                           "mmap",
                                           "munmap",
                                           "mremap",
                                           "mprotect",
                                           "madvise",
                                           "mincore",
                                           "msync",
                                           "mlock",
                                           "mlock2",
                                           "munlock",
                                           "mlockall",
                                           "munlockall",
                                           "mbind",
                                           "get_mempolicy",
                                           "set_mempolicy",
                                           "set_mempolicy_home_node",
                                           "membarrier",
                                           "memfd_create",
                                           "pkey_alloc",
                                           "pkey_free",
                                           "pkey_mprotect",
                                           "mseal",
                                           "map_shadow_stack"};

/* files.c decides which files may be opened. */
static const char *const open_calls[] = {"open", "openat"};

/* None of these creates or changes a name in the file system. */
static const char *const file_calls[] = {
    "close",          "close_range", "read",        "write",          "pread64",
    "pwrite64",       "readv",       "writev",      "preadv",         "pwritev",
    "preadv2",        "pwritev2",    "lseek",       "stat",           "fstat",
    "lstat",          "newfstatat",  "statx",       "statfs",         "fstatfs",
    "access",         "faccessat",   "faccessat2",  "readlink",       "readlinkat",
    "getdents",       "getdents64",  "getcwd",

    "flock",          "dup",         "dup2",        "dup3",           "ioctl",
    "fsync",          "fdatasync",   "ftruncate",   "fallocate",      "fadvise64",
    "readahead",      "umask",       "pipe",        "pipe2",          "poll",
    "ppoll",          "select",      "pselect6",    "epoll_create",   "epoll_create1",
    "epoll_ctl",      "epoll_wait",  "epoll_pwait", "epoll_pwait2",   "eventfd",
    "eventfd2",       "signalfd",    "signalfd4",   "timerfd_create", "timerfd_settime",
    "timerfd_gettime"};

/* About this process only. */
static const char *const process_calls[] = {"exit",
                                            "exit_group",
                                            "futex",
                                            "futex_waitv",
                                            "futex_wait",
                                            "futex_wake",
                                            "futex_requeue",
                                            "set_robust_list",
                                            "set_tid_address",
                                            "rseq",
                                            "arch_prctl",
                                            "prctl",
                                            "gettid",
                                            "getpid",
                                            "getppid",
                                            "getpgrp",
                                            "getpgid",
                                            "getsid",
                                            "getuid",
                                            "geteuid",
                                            "getgid",
                                            "getegid",
                                            "getresuid",
                                            "getresgid",
                                            "getgroups",
                                            "capget",
                                            "getrlimit",
                                            "setrlimit",
                                            "getrusage",
                                            "times",
                                            "uname",
                                            "sysinfo",
                                            "getcpu",
                                            "getrandom",
                                            "getpriority",
                                            "ioprio_get",
                                            "sched_yield",
                                            "sched_getaffinity",
                                            "sched_getparam",
                                            "sched_getscheduler",
                                            "sched_getattr",
                                            "sched_get_priority_max",
                                            "sched_get_priority_min",
                                            "sched_rr_get_interval",
                                            "rt_sigaction",
                                            "rt_sigprocmask",
                                            "rt_sigreturn",
                                            "rt_sigpending",
                                            "rt_sigsuspend",
                                            "rt_sigtimedwait",
                                            "sigaltstack",
                                            "restart_syscall",
                                            "pause",
                                            "alarm",
                                            "getitimer",
                                            "setitimer",
                                            "timer_create",
                                            "timer_settime",
                                            "timer_gettime",
                                            "timer_getoverrun",
                                            "timer_delete",
                                            "nanosleep",
                                            "clock_nanosleep",
                                            "clock_gettime",
                                            "clock_getres",
                                            "gettimeofday",
                                            "time",
                                            "wait4",
                                            "waitid"};

/* NVIDIA's driver makes a socket on which other processes could ask for its memory, and does not
 * start without it; nobody ever gets an answer there. The socket cannot have a name in the file
 * system. */
static const char *const socket_calls[] = {"bind", "listen"};

static int allow_list(scmp_filter_ctx ctx, const char *const *names, size_t count)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < count; i++) {
        int nr = seccomp_syscall_resolve_name(names[i]);
        if (nr != __NR_SCMP_ERROR && nr >= 0)
            rc = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, nr, 0);
    }
    return rc;
}

#define ALLOW_LIST(ctx, names) allow_list(ctx, names, XG_ARRAY_LEN(names))
#define ALLOW_IF(ctx, call, ...)                                                                   \
    seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(call),                                          \
                     XG_ARRAY_LEN(((struct scmp_arg_cmp[]){__VA_ARGS__})), __VA_ARGS__)
#define REFUSE(ctx, call, err) seccomp_rule_add(ctx, SCMP_ACT_ERRNO(err), SCMP_SYS(call), 0)

/* Loaded here, not by the library: the library asks for a listener for rules, but not for the
 * default action. */
static int filter_load(scmp_filter_ctx ctx, unsigned flags)
{
    int fd = memfd_create("xengpu-filter", MFD_CLOEXEC), rc;
    if (fd < 0)
        return -errno;
    rc = seccomp_export_bpf(ctx, fd);
    off_t size = rc ? 0 : lseek(fd, 0, SEEK_END);
    void *code = size > 0 ? mmap(NULL, (size_t)size, PROT_READ, MAP_PRIVATE, fd, 0) : MAP_FAILED;
    close(fd);
    if (code == MAP_FAILED)
        return rc ? rc : -ENOMEM;
    struct sock_fprog program = {.len = (unsigned short)((size_t)size / sizeof(struct sock_filter)),
                                 .filter = code};
    rc = (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
    rc = rc < 0 ? -errno : rc;
    munmap(code, (size_t)size);
    return rc;
}

/* Signals and limits of this process only. Without this rule the calls would reach other processes
 * of the same user too. */
static int allow_self(scmp_filter_ctx ctx)
{
    const scmp_datum_t self = (scmp_datum_t)getpid();
    int rc = ALLOW_IF(ctx, kill, SCMP_A0(SCMP_CMP_EQ, self));
    if (rc == 0)
        rc = ALLOW_IF(ctx, tgkill, SCMP_A0(SCMP_CMP_EQ, self));
    if (rc == 0)
        rc = ALLOW_IF(ctx, rt_sigqueueinfo, SCMP_A0(SCMP_CMP_EQ, self));
    if (rc == 0)
        rc = ALLOW_IF(ctx, rt_tgsigqueueinfo, SCMP_A0(SCMP_CMP_EQ, self));
    if (rc == 0)
        rc = ALLOW_IF(ctx, prlimit64, SCMP_A0(SCMP_CMP_EQ, 0));
    if (rc == 0)
        rc = ALLOW_IF(ctx, prlimit64, SCMP_A0(SCMP_CMP_EQ, self));
    if (rc == 0)
        rc = ALLOW_IF(ctx, get_robust_list, SCMP_A0(SCMP_CMP_EQ, 0));
    if (rc == 0)
        rc = ALLOW_IF(ctx, move_pages, SCMP_A0(SCMP_CMP_EQ, 0));
    if (rc == 0)
        rc = ALLOW_IF(ctx, migrate_pages, SCMP_A0(SCMP_CMP_EQ, 0));
    /* its personality may be read, but not changed */
    if (rc == 0)
        rc = ALLOW_IF(ctx, personality, SCMP_A0(SCMP_CMP_EQ, 0xffffffffu));
    return rc;
}

/* All but what makes a descriptor send a signal to some process when there is something to read. */
static int allow_fcntl(scmp_filter_ctx ctx)
{
    static const int commands[] = {
        F_DUPFD,     F_DUPFD_CLOEXEC, F_GETFD,      F_SETFD,      F_GETFL,     F_SETFL,
        F_GETLK,     F_SETLK,         F_SETLKW,     F_OFD_GETLK,  F_OFD_SETLK, F_OFD_SETLKW,
        F_ADD_SEALS, F_GET_SEALS,     F_SETPIPE_SZ, F_GETPIPE_SZ, F_GETOWN};
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < XG_ARRAY_LEN(commands); i++)
        rc = ALLOW_IF(ctx, fcntl, SCMP_A1(SCMP_CMP_EQ, (scmp_datum_t)commands[i]));
    return rc;
}

/* Refuses the same by ioctl, and typing into a terminal. It is a filter of its own: a rule of the
 * first filter allows ioctl, and no other rule there can make an exception. */
static int ioctls_refuse(void)
{
    static const unsigned refused[] = {FIOSETOWN, SIOCSPGRP, TIOCSTI, TIOCLINUX};
    scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ALLOW);
    int rc = 0;
    if (!ctx)
        return -ENOMEM;
    for (size_t i = 0; rc == 0 && i < XG_ARRAY_LEN(refused); i++)
        rc = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(ioctl), 1,
                              SCMP_A1(SCMP_CMP_MASKED_EQ, 0xffffffffu, refused[i]));
    if (rc == 0)
        rc = filter_load(ctx, SECCOMP_FILTER_FLAG_TSYNC);
    seccomp_release(ctx);
    return rc > 0 ? -EBUSY : rc;
}

/* Processors and priorities of threads, which have numbers like processes. Where the kernel cannot
 * tell this process's threads from those of other guests, only the calling thread's own are
 * allowed; drivers that try others go on without. */
static int allow_scheduling(scmp_filter_ctx ctx, bool shared, bool named)
{
    static const int calls[] = {SCMP_SYS(sched_setaffinity), SCMP_SYS(sched_setparam),
                                SCMP_SYS(sched_setscheduler), SCMP_SYS(sched_setattr)};
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < XG_ARRAY_LEN(calls); i++) {
        rc = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, calls[i], shared, SCMP_A0(SCMP_CMP_EQ, 0));
        if (rc == 0 && shared && named) /* not worth a line in the log */
            rc = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), calls[i], 1, SCMP_A0(SCMP_CMP_NE, 0));
    }
    if (rc == 0)
        rc = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(setpriority), 1u + shared,
                              SCMP_A0(SCMP_CMP_EQ, PRIO_PROCESS), SCMP_A1(SCMP_CMP_EQ, 0));
    return rc;
}

/* Threads, but no processes. clone3 has its flags in memory, where a filter cannot look: when it is
 * refused, libc uses clone. */
static int allow_threads(scmp_filter_ctx ctx)
{
    int rc = ALLOW_IF(ctx, clone, SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD));
    return rc ? rc : REFUSE(ctx, clone3, ENOSYS);
}

static int allow_sockets(scmp_filter_ctx ctx, int send_fd)
{
    int rc = ALLOW_LIST(ctx, socket_calls);
    if (rc == 0)
        rc = ALLOW_IF(ctx, socket, SCMP_A0(SCMP_CMP_EQ, AF_UNIX),
                      SCMP_A1(SCMP_CMP_MASKED_EQ, 0xf, SOCK_SEQPACKET));
    if (rc == 0) /* a call that the driver makes on its socket for MPS before it connects */
        rc = ALLOW_IF(ctx, setsockopt, SCMP_A1(SCMP_CMP_EQ, SOL_SOCKET),
                      SCMP_A2(SCMP_CMP_EQ, SO_PASSCRED));
    if (rc == 0 && send_fd >= 0)
        rc = ALLOW_IF(ctx, sendmsg, SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)send_fd));
    return rc;
}

/* What NVIDIA's driver always tries when it starts, and can do without. It asks for MPS, and learns
 * that nobody listens. It removes what may lie where its socket is to be, and does not start unless
 * it hears that nothing is there. It makes device nodes and links in /dev/char again, which a user
 * without rights may not. None of these is worth a line in the log. */
static int refuse_usual(scmp_filter_ctx ctx, bool named)
{
    int rc = REFUSE(ctx, connect, ECONNREFUSED);
    if (rc == 0)
        rc = REFUSE(ctx, unlink, ENOENT);
    if (rc == 0 && named) /* a rule must not repeat the default action */
        rc = REFUSE(ctx, chmod, EPERM);
    return rc ? rc : REFUSE(ctx, symlink, EACCES);
}

static int filter_make(const struct xg_worker *w, uint32_t otherwise, bool report, int send_fd,
                       scmp_filter_ctx *out)
{
    scmp_filter_ctx ctx = seccomp_init(otherwise);
    if (!ctx)
        return -ENOMEM;
    int rc = seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
    /* the filter becomes a tree instead of one comparison after another; older libraries cannot do
     * that */
    if (rc == 0)
        (void)seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);
    if (rc == 0)
        rc = ALLOW_LIST(ctx, memory_calls);
    if (rc == 0 && !report) /* without report the default action goes to the listener already */
        rc = ALLOW_LIST(ctx, open_calls);
    if (rc == 0)
        rc = REFUSE(ctx, openat2, ENOSYS);
    if (rc == 0)
        rc = ALLOW_LIST(ctx, file_calls);
    if (rc == 0)
        rc = allow_fcntl(ctx);
    if (rc == 0)
        rc = ALLOW_LIST(ctx, process_calls);
    if (rc == 0)
        rc = allow_self(ctx);
    if (rc == 0)
        rc = allow_scheduling(ctx, xg_worker_user_shared(w), otherwise == SCMP_ACT_NOTIFY);
    if (rc == 0)
        rc = allow_threads(ctx);
    if (rc == 0)
        rc = allow_sockets(ctx, send_fd);
    if (rc == 0 && !report)
        rc = refuse_usual(ctx, otherwise == SCMP_ACT_NOTIFY);
    if (rc == 0)
        *out = ctx;
    else
        seccomp_release(ctx);
    return rc;
}

int xg_syscalls_restrict(const struct xg_worker *w, bool report, int send_fd, int *listener)
{
    /* With `report`, the thread that reports must not be restricted; otherwise all threads are,
     * also those that libraries have started. */
    unsigned all = report ? 0 : SECCOMP_FILTER_FLAG_TSYNC | SECCOMP_FILTER_FLAG_TSYNC_ESRCH;
    bool wanted = report || send_fd >= 0;
    scmp_filter_ctx ctx;
    int rc = -EINVAL;
    *listener = -1;
    if (!report && (rc = ioctls_refuse()))
        return rc;
    if (wanted) {
        rc = filter_make(w, SCMP_ACT_NOTIFY, report, send_fd, &ctx);
        if (rc)
            return rc;
        rc = filter_load(ctx, SECCOMP_FILTER_FLAG_NEW_LISTENER | all);
        seccomp_release(ctx);
        if (rc >= 0) {
            *listener = rc;
            return 0;
        }
    }
    if (report)
        return rc;
    if (wanted)
        xg_worker_log(w,
                      "refused system calls are not named in this log: the kernel gives no "
                      "listener: %s",
                      strerror(-rc));
    rc = filter_make(w, SCMP_ACT_ERRNO(EPERM), false, -1, &ctx);
    if (rc)
        return rc;
    rc = filter_load(ctx, SECCOMP_FILTER_FLAG_TSYNC);
    seccomp_release(ctx);
    return rc > 0 ? -EBUSY : rc; /* rc > 0: the number of a thread that could not be restricted */
}
