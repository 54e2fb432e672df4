/*
 * `sandbox = report`: nothing is refused, and the log says what would have been.
 *
 * System calls that are not on the list, and opening of files, are passed to a thread of ours. That
 * thread has the restriction of files but not that of system calls: it tries to open the same file,
 * logs what a missing rule refused, and lets the call go on. The caller may hold any lock of this
 * process meanwhile, also the heap's: so this thread takes none.
 */
#include "backend/worker/sandbox.h"
#include "protocol/log.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <seccomp.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { NAMES_MAX = 512, SAID_MAX = 1024 };

static struct {
    const struct xg_worker *worker;
    _Atomic int listener;
    struct seccomp_notif *call;
    struct seccomp_notif_resp *answer;
    struct seccomp_notif_sizes sizes;
    const char *name[NAMES_MAX]; /* by the number of the system call */
    uint64_t said[SAID_MAX];     /* hashes of the lines that were written: each is written once */
    unsigned said_count;
    sem_t ready;
    int ready_error;
} report = {.listener = -1};

/* The first path among a call's arguments, or -1. */
static int path_argument(int nr)
{
    switch (nr) {
    case SYS_openat:
    case SYS_mkdirat:
    case SYS_mknodat:
    case SYS_unlinkat:
    case SYS_renameat:
    case SYS_renameat2:
    case SYS_linkat:
    case SYS_fchownat:
    case SYS_fchmodat:
    case SYS_utimensat: return 1;
    case SYS_open:
    case SYS_creat:
    case SYS_mkdir:
    case SYS_mknod:
    case SYS_unlink:
    case SYS_rmdir:
    case SYS_rename:
    case SYS_link:
    case SYS_symlink:
    case SYS_chmod:
    case SYS_chown:
    case SYS_truncate:
    case SYS_chdir:
    case SYS_execve: return 0;
    default: return -1;
    }
}

/* The pointer comes from another thread's call and may be bad. */
static bool path_read(uint64_t from, char *path, size_t size)
{
    struct iovec to = {path, size};
    size_t page = 4096 - from % 4096;
    if (page < to.iov_len)
        to.iov_len = page;
    for (size_t got = 0; got < size;) {
        struct iovec source = {(void *)(uintptr_t)(from + got), to.iov_len};
        ssize_t n = process_vm_readv(getpid(), &to, 1, &source, 1, 0);
        if (n <= 0)
            return false;
        if (memchr(path + got, 0, (size_t)n))
            return true;
        got += (size_t)n;
        to = (struct iovec){path + got, xg_min_u64(size - got, 4096)};
    }
    return false;
}

static void report_line(const char *text)
{
    uint64_t hash = 14695981039346656037u;
    for (const char *p = text; *p; p++)
        hash = (hash ^ (uint8_t)*p) * 1099511628211u;
    for (unsigned i = 0; i < report.said_count; i++)
        if (report.said[i] == hash)
            return;
    if (report.said_count == SAID_MAX)
        return;
    report.said[report.said_count++] = hash;
    xg_log_line(XG_LOG_WARNING, NULL, "sandbox report: %s%s", text,
                report.said_count == SAID_MAX ? "; no more is written" : "");
}

/* Whether only the rules refuse the file, and the kernel would let this thread's user open it. A
 * file opened with O_TRUNC is truncated here already, since that needs a rule too. */
static bool rules_refuse(int dir, const char *path, int flags)
{
    int mode = flags & O_ACCMODE;
    int fd = openat(dir, path, (flags & ~(O_CREAT | O_EXCL)) | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
    if (fd >= 0)
        close(fd);
    if (fd >= 0 || errno != EACCES)
        return false;
    int want = (mode != O_WRONLY ? R_OK : 0) | (mode != O_RDONLY ? W_OK : 0);
    return faccessat(dir, path, want, AT_EACCESS) == 0;
}

static void open_look(const struct seccomp_data *d)
{
    bool at = d->nr == SYS_openat;
    int dir = at ? (int)d->args[0] : AT_FDCWD, flags = (int)d->args[at ? 2 : 1];
    static char path[PATH_MAX], text[XG_LOG_MAX / 2];
    if (flags & O_PATH || !path_read(d->args[at], path, sizeof(path)))
        return;
    int made = flags & O_CREAT ? faccessat(dir, path, F_OK, 0) : 0;
    if (made < 0 && errno == ENOENT)
        snprintf(text, sizeof(text), "it could not make the file %.300s", path);
    else if (rules_refuse(dir, path, flags))
        snprintf(text, sizeof(text), "it could not open %.300s for %s", path,
                 flags & O_ACCMODE ? "writing" : "reading");
    else
        return;
    report_line(text);
}

static void call_look(const struct seccomp_data *d)
{
    static char path[PATH_MAX], text[XG_LOG_MAX / 2];
    int argument = path_argument(d->nr);
    const char *name = d->nr >= 0 && d->nr < NAMES_MAX ? report.name[d->nr] : NULL;
    if (argument >= 0 && path_read(d->args[argument], path, sizeof(path)))
        snprintf(text, sizeof(text), "system call %s (%d) of %.300s would be refused",
                 name ? name : "?", d->nr, path);
    else
        snprintf(text, sizeof(text),
                 "system call %s (%d) would be refused, arguments %#llx %#llx %#llx",
                 name ? name : "?", d->nr, (unsigned long long)d->args[0],
                 (unsigned long long)d->args[1], (unsigned long long)d->args[2]);
    report_line(text);
}

static void call_serve(void)
{
    memset(report.call, 0, report.sizes.seccomp_notif);
    if (ioctl(report.listener, SECCOMP_IOCTL_NOTIF_RECV, report.call) < 0)
        return;
    if (report.call->data.nr == SYS_open || report.call->data.nr == SYS_openat)
        open_look(&report.call->data);
    else
        call_look(&report.call->data);
    memset(report.answer, 0, report.sizes.seccomp_notif_resp);
    report.answer->id = report.call->id;
    report.answer->flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
    (void)ioctl(report.listener, SECCOMP_IOCTL_NOTIF_SEND, report.answer);
}

static void *report_thread(void *arg)
{
    struct xg_worker *w = arg;
    prctl(PR_SET_NAME, "xengpu-report");
    report.ready_error = xg_files_restrict(w);
    sem_post(&report.ready); /* this thread is restricted now, and waits for the listener */
    while (atomic_load_explicit(&report.listener, memory_order_acquire) < 0)
        sched_yield();
    for (;;)
        call_serve();
    return NULL;
}

static int report_prepare(const struct xg_worker *w)
{
    report.worker = w;
    if (syscall(SYS_seccomp, SECCOMP_GET_NOTIF_SIZES, 0, &report.sizes) < 0)
        return -errno;
    report.call = calloc(1, xg_max_u64(report.sizes.seccomp_notif, sizeof(*report.call)));
    report.answer = calloc(1, xg_max_u64(report.sizes.seccomp_notif_resp, sizeof(*report.answer)));
    if (!report.call || !report.answer)
        return -ENOMEM;
    for (int i = 0; i < NAMES_MAX; i++)
        report.name[i] = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, i);
    return sem_init(&report.ready, 0, 0) < 0 ? -errno : 0;
}

int xg_report_begin(struct xg_worker *w)
{
    pthread_t thread;
    int listener, rc = report_prepare(w);
    if (rc)
        return rc;
    rc = -pthread_create(&thread, NULL, report_thread, w);
    if (rc)
        return rc;
    while (sem_wait(&report.ready) < 0)
        ;
    rc = report.ready_error;
    if (rc == 0)
        rc = xg_syscalls_restrict(w, true, -1, &listener);
    if (rc == 0)
        atomic_store_explicit(&report.listener, listener, memory_order_release);
    return rc;
}
