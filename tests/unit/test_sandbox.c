/* What a sandboxed worker cannot do, tried one by one, and what drivers need, which still works. */
/* links: obj/libworker.a obj/libprotocol.a -lseccomp -lxengnttab -lxenevtchn */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <stddef.h>
#include <cmocka.h>
#include <grp.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "tests/unit/loopback.h"
#include "backend/worker/internal.h"
#include "protocol/fdpass.h"

#define REFUSED(call, why)                                                                         \
    do {                                                                                           \
        errno = 0;                                                                                 \
        if ((call) >= 0 || errno != (why)) {                                                       \
            fprintf(stderr, "%s: errno %d, not %d\n", #call, errno, why);                          \
            bad++;                                                                                 \
        }                                                                                          \
    } while (0)

static struct xg_spawn_request req;
static struct xg_worker worker;
static int watch[2];

static void *thread(void *arg)
{
    *(int *)arg = 1;
    return NULL;
}

static int enter(uid_t uid)
{
    req = (struct xg_spawn_request){
        .sandbox = XG_SANDBOX_YES, .guest = "test", .uid = uid, .gid = uid};
    worker = (struct xg_worker){.req = &req, .watch = -1};
    return xg_worker_sandbox(&worker);
}

/* Programs, processes, names, and what changes the system. */
static int refused_calls(void)
{
    char *const argv[] = {"true", NULL};
    int bad = 0, pair[2];

    REFUSED(execv("/bin/true", argv), EPERM);
    REFUSED(fork(), EPERM);
    REFUSED(syscall(SYS_vfork), EPERM);
    REFUSED(syscall(SYS_clone3, NULL, 0), ENOSYS);
    REFUSED(unshare(CLONE_NEWUSER), EPERM);
    REFUSED(ptrace(PTRACE_TRACEME, 0, 0, 0), EPERM);
    REFUSED(setuid(0), EPERM);
    REFUSED(syscall(SYS_io_uring_setup, 8, NULL), EPERM);
    REFUSED(syscall(SYS_userfaultfd, 0), EPERM);
    REFUSED(syscall(SYS_perf_event_open, NULL, 0, 0, 0, 0), EPERM);
    REFUSED(syscall(SYS_bpf, 0, NULL, 0), EPERM);
    REFUSED(syscall(SYS_keyctl, 0, 0, 0), EPERM);
    REFUSED(syscall(SYS_modify_ldt, 0, NULL, 0), EPERM);
    REFUSED(syscall(SYS_seccomp, 1, 0, NULL), EPERM);
    REFUSED(syscall(SYS_shmget, 0, 4096, 01600), EPERM);
    REFUSED(syscall(SYS_inotify_init), EPERM);
    REFUSED(socket(AF_UNIX, SOCK_STREAM, 0), EPERM);
    REFUSED(socket(AF_INET, SOCK_STREAM, 0), EPERM);
    REFUSED(socket(AF_NETLINK, SOCK_RAW, 0), EPERM);
    REFUSED(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), EPERM);
    REFUSED(mkdir("/dev/shm/xg-sandbox-test", 0700), EPERM);
    REFUSED(unlink("/tmp/xg-sandbox-test"),
            ENOENT); /* this and the next two are what NVIDIA's driver tries */
    REFUSED(symlink("../nvidiactl", "/tmp/xg-sandbox-test"), EACCES);
    REFUSED(chmod("/dev/null", 0666), EPERM);
    REFUSED(fchmod(0, 0666), EPERM);
    REFUSED(syscall(1000), EPERM); /* a call that does not exist yet */
    return bad;
}

/* Other processes, whoever's they are: nothing of this reaches them. */
static int refused_signals(pid_t other)
{
    siginfo_t si = {.si_code = SI_QUEUE};
    struct rlimit limit = {0};
    cpu_set_t cpus;
    char path[64];
    int bad = 0;

    CPU_ZERO(&cpus);
    CPU_SET(0, &cpus);
    REFUSED(kill(other, 0), EPERM);
    REFUSED(kill(-1, 0), EPERM);
    REFUSED(kill(0, 0), EPERM);
    REFUSED(syscall(SYS_tgkill, other, other, 0), EPERM);
    REFUSED(syscall(SYS_tkill, other, 0), EPERM);
    REFUSED(syscall(SYS_rt_sigqueueinfo, other, 0, &si), EPERM);
    REFUSED(syscall(SYS_rt_tgsigqueueinfo, other, other, 0, &si), EPERM);
    REFUSED(syscall(SYS_prlimit64, other, RLIMIT_CORE, &limit, NULL), EPERM);
    REFUSED(syscall(SYS_pidfd_open, other, 0), EPERM);
    REFUSED(syscall(SYS_process_vm_readv, other, NULL, 0, NULL, 0, 0), EPERM);
    REFUSED(syscall(SYS_move_pages, other, 0, NULL, NULL, NULL, 0), EPERM);
    REFUSED(syscall(SYS_ioprio_set, 1, other, 3 << 13), EPERM);
    REFUSED(setpriority(PRIO_PROCESS, (id_t)other, 19), EPERM);
    REFUSED(setpriority(PRIO_PGRP, 0, 19), EPERM);
    REFUSED(sched_setaffinity(other, sizeof(cpus), &cpus), EPERM);
    int pipes[2], s = socket(AF_UNIX, SOCK_SEQPACKET, 0);
    struct f_owner_ex owner = {F_OWNER_PID, other};
    bad += pipe(pipes) < 0 || s < 0;
    REFUSED(fcntl(pipes[0], F_SETOWN, other), EPERM);
    REFUSED(fcntl(pipes[0], F_SETOWN_EX, &owner), EPERM);
    REFUSED(fcntl(pipes[0], F_SETSIG, SIGKILL), EPERM);
    REFUSED(ioctl(s, FIOSETOWN, &other), EPERM);
    REFUSED(syscall(SYS_ioctl, s, 1ull << 32 | SIOCSPGRP, &other), EPERM);
    for (const char *const *f =
             (const char *const[]){"mem", "maps", "cmdline", "status", "fd", NULL};
         *f; f++) {
        snprintf(path, sizeof(path), "/proc/%d/%s", other, *f);
        REFUSED(open(path, O_RDONLY), EACCES);
    }
    return bad;
}

static int refused_files(void)
{
    int bad = 0;

    REFUSED(open("/tmp/xg-sandbox-test", O_CREAT | O_WRONLY, 0600), EACCES);
    REFUSED(open("/dev/shm/xg-sandbox-test", O_CREAT | O_WRONLY, 0600), EACCES);
    REFUSED(open("/tmp", O_RDONLY), EACCES);
    REFUSED(open("/root", O_RDONLY), EACCES);
    REFUSED(open("/etc/shadow", O_RDONLY), EACCES);
    REFUSED(open("/etc/hostname", O_RDONLY), EACCES);
    REFUSED(open("/dev/ptmx", O_RDWR), EACCES);
    REFUSED(open("/dev/kmsg", O_WRONLY), EACCES);
    REFUSED(open("/proc/self/oom_score_adj", O_WRONLY), EACCES);
    return bad;
}

#define WORKS(call)                                                                                \
    do {                                                                                           \
        errno = 0;                                                                                 \
        if ((call) < 0) {                                                                          \
            fprintf(stderr, "%s: errno %d\n", #call, errno);                                       \
            bad++;                                                                                 \
        }                                                                                          \
    } while (0)

/* What drivers need. */
static int needed(void)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    struct sched_param sp = {0};
    unsigned long nodes = 0;
    int bad = 0, ran = 0, mode, s, comm;
    const int one = 1;
    char path[64];
    pthread_t t;

    WORKS(open("/etc/passwd", O_RDONLY));
    WORKS(open("/dev/null", O_RDWR));
    WORKS(open("/proc/self/maps", O_RDONLY));
    WORKS(open("/proc/thread-self/status", O_RDONLY));
    WORKS(open("/proc/sys/vm/overcommit_memory", O_RDONLY));
    WORKS(open("/sys/devices/system/cpu", O_RDONLY | O_DIRECTORY));
    snprintf(path, sizeof(path), "/proc/self/task/%d/comm", (int)gettid());
    WORKS(comm = open(path, O_WRONLY | O_CREAT | O_TRUNC,
                      0666)); /* as NVIDIA's driver names its threads */
    WORKS(write(comm, "cuda", 4));
    snprintf(name.sun_path + 1, sizeof(name.sun_path) - 1, "xg-sandbox-test-%d", (int)getpid());
    WORKS(
        s = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0)); /* and gets ready to share memory */
    WORKS(bind(s, (struct sockaddr *)&name, sizeof(name)));
    WORKS(listen(s, 1));
    WORKS(setsockopt(s, SOL_SOCKET, SO_PASSCRED, &one, sizeof(one))); /* as it asks for MPS */
    REFUSED(setsockopt(s, SOL_SOCKET, SO_SNDBUF, &one, sizeof(one)), EPERM);
    REFUSED(connect(s, (struct sockaddr *)&name, sizeof(name)), ECONNREFUSED);
    REFUSED(accept4(s, NULL, NULL, 0), EPERM);
    if (pthread_create(&t, NULL, thread, &ran) || pthread_join(t, NULL) || !ran)
        bad++;
    if (mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
        MAP_FAILED)
        bad++;
    WORKS(memfd_create("x", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    WORKS(sched_getparam(0, &sp));
    WORKS(sched_setscheduler(0, SCHED_BATCH, &sp));
    WORKS(kill(getpid(), 0));
    WORKS(syscall(SYS_tgkill, getpid(), gettid(), 0));
    WORKS(prctl(PR_GET_DUMPABLE) == 1 ? 0 : -1);
    if (syscall(SYS_get_mempolicy, &mode, &nodes, 64, NULL, 0) < 0 && errno != ENOSYS)
        bad++;
    return bad;
}

static int tries(void)
{
    if (enter(65534) != 0)
        return 100;
    return refused_calls() + refused_signals(getppid()) + refused_files() + needed() +
           (geteuid() == 0) + getgroups(0, NULL);
}

/* The daemon is an ordinary user's, and so are its workers: to the kernel they are all the same. */
static int tries_same_user(void)
{
    int life[2], bad;
    pid_t other;
    char byte;

    if (pipe(life) || (geteuid() == 0 && (setgroups(0, NULL) || setresgid(65534, 65534, 65534) ||
                                          setresuid(65534, 65534, 65534))))
        return 100;
    other = fork();
    if (other == 0) {
        close(life[1]);
        _exit((int)read(life[0], &byte, 1));
    }
    if (kill(other, 0) < 0) /* else the test would say nothing */
        return 101;
    if (enter(0) != 0)
        return 102;
    bad = refused_calls() + refused_signals(other) + refused_files() + needed();
    close(life[1]);
    return bad + (waitpid(other, NULL, 0) != other);
}

/* Each refused call comes to the listener, and no other does. */
static int tries_watched(void)
{
    if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, watch) < 0)
        return 100;
    pid_t pid = fork();
    if (pid == 0) {
        close(watch[0]);
        req = (struct xg_spawn_request){.sandbox = XG_SANDBOX_YES, .guest = "test"};
        worker = (struct xg_worker){.req = &req, .watch = watch[1]};
        if (xg_worker_sandbox(&worker) || fcntl(watch[1], F_GETFD) >= 0)
            _exit(100);
        int bad = needed(); /* two of these are refused with a line: setsockopt, accept4 */
        REFUSED(mkdir("/tmp/xg-sandbox-test", 0700), EPERM);
        _exit(bad);
    }
    struct seccomp_notif *call;
    struct seccomp_notif_resp *reply;
    static const int expected[] = {SYS_setsockopt, SYS_accept4, SYS_mkdir};
    char byte;
    int listener, status;
    unsigned count = 1, seen = 0;
    close(watch[1]);
    if (xg_fds_recv(watch[0], &byte, 1, &listener, &count, 0) != 1 || count != 1)
        return 101;
    for (; seen < XG_ARRAY_LEN(expected); seen++) {
        if (seccomp_notify_alloc(&call, &reply) || seccomp_notify_receive(listener, call) ||
            call->data.nr != expected[seen])
            return 102;
        reply->id = call->id;
        reply->error = -EPERM;
        seccomp_notify_respond(listener, reply);
        seccomp_notify_free(call, reply);
    }
    return waitpid(pid, &status, 0) == pid && WIFEXITED(status) ? WEXITSTATUS(status) : 103;
}

/* What it may take of memory; what it only reserves is not taken. */
static int tries_limits(void)
{
    const size_t mib = 1u << 20;
    struct rlimit data, files;
    int bad = 0;
    req = (struct xg_spawn_request){
        .sandbox = XG_SANDBOX_YES, .guest = "test", .data_limit = 64 * mib};
    worker = (struct xg_worker){.req = &req, .watch = -1};
    if (xg_worker_sandbox(&worker))
        return 100;
    void *some = mmap(NULL, 32 * mib, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    void *much = mmap(NULL, 64 * mib, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    void *space =
        mmap(NULL, mib << 20, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    bad += (some == MAP_FAILED) + (much != MAP_FAILED) + (space == MAP_FAILED);
    REFUSED(mprotect(space, 64 * mib, PROT_READ | PROT_WRITE), ENOMEM);
    bad +=
        getrlimit(RLIMIT_DATA, &data) || data.rlim_cur != data.rlim_max || data.rlim_max < 64 * mib;
    bad += getrlimit(RLIMIT_NOFILE, &files) || files.rlim_max > 16384;
    return bad;
}

static void in_child(int (*test)(void))
{
    int status;
    pid_t pid = fork();
    if (pid == 0)
        _exit(test());
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void own_user(void **state)
{
    (void)state;
    in_child(tries);
}

static void same_user(void **state)
{
    (void)state;
    in_child(tries_same_user);
}

static void watched(void **state)
{
    (void)state;
    in_child(tries_watched);
}

static void limits(void **state)
{
    (void)state;
    in_child(tries_limits);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(limits),
        cmocka_unit_test(own_user),
        cmocka_unit_test(same_user),
        cmocka_unit_test(watched),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
