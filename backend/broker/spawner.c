#include "backend/broker/spawner.h"
#include "backend/broker/space.h"
#include "backend/loop/log.h"
#include "backend/loop/loop.h"
#include "protocol/fdpass.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum spawn_op { SPAWN_WORKER, SPAWN_PROGRAM, SPAWN_PROBE, SPAWN_KILL, SPAWN_STARTED, SPAWN_ENDED };

struct spawn_message {
    uint32_t op;
    int32_t value; /* signal, pid, status or API */
    int32_t error;
    uint32_t size;
    uint64_t id;
    uint64_t peak;
    union {
        struct xg_spawn_request request;
        struct xg_device_config device;
        char argv[XG_SPAWN_ARGV];
    };
};
#define WORKER_FDS 5u /* then two for each ring, then perhaps its control group */
#define HEADER     offsetof(struct spawn_message, request)

struct child {
    struct child *next;
    uint64_t id;
    pid_t pid;
    bool ended;
    int status, error;
    uint64_t peak;
};

/* --- the spawner's process -------------------------------------------------------------------- */

static struct child *children;
/* Stands for a child that there is no memory for, until the daemon was told so. Meanwhile no other
 * message is read. */
static struct child reserve;
static bool reserve_used;
static int spawner_sock = -1, spawner_signals = -1;
static const char *libraries;

/* A process that is stopped, by the scheduler or by somebody else, must go on to end. */
static void child_kill(const struct child *c, int signal)
{
    kill(c->pid, signal);
    if (signal == SIGTERM)
        kill(c->pid, SIGCONT);
}

static struct child *child_find(uint64_t id)
{
    for (struct child *c = children; c; c = c->next)
        if (c->id == id)
            return c;
    return NULL;
}

/* In the new process: signals as at the start of a program, only its own descriptors, and it dies
 * with the spawner. */
static void child_begin(const char *name, pid_t parent)
{
    sigset_t none;
    sigemptyset(&none);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(1); /* `parent` is 0 in a process namespace of its own */
    prctl(PR_SET_NAME, name);
    signal(SIGPIPE, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    signal(SIGINT, SIG_DFL);
    signal(SIGHUP, SIG_IGN); /* it is for the daemon, which reads its configuration again */
    sigprocmask(SIG_SETMASK, &none, NULL);
    close(spawner_sock);
    close(spawner_signals);
}

/* Sends what it prints to the daemon, which writes the log. */
static void output_take(int fd)
{
    dup2(fd, STDOUT_FILENO);
    dup2(fd, STDERR_FILENO);
    close(fd);
    xg_log_relay();
}

static void run_worker(const struct spawn_message *m, int *fds, unsigned count, pid_t self)
{
    struct xg_spawn_request req = m->request;
    struct xg_spawn_fds f = {.pages = fds[0],
                             .sched_page = fds[1],
                             .sched_kick = fds[2],
                             .log = fds[3],
                             .watch = fds[4]};
    unsigned rings = (count - WORKER_FDS) / 2;
    f.group = (count - WORKER_FDS) % 2 ? fds[count - 1] : -1;
    for (unsigned i = 0; i < XG_RINGS_MAX; i++) {
        f.wait[i] = i < rings ? fds[WORKER_FDS + 2 * i] : -1;
        f.kick[i] = i < rings ? fds[WORKER_FDS + 1 + 2 * i] : -1;
    }
    req.parent = self;
    xg_worker_exec(&req, &f);
}

static void run_program(const struct spawn_message *m, int log)
{
    char *argv[64];
    unsigned n = 0;
    for (uint32_t at = 0; at < m->size && n < XG_ARRAY_LEN(argv) - 1;
         at += (uint32_t)strlen(m->argv + at) + 1)
        argv[n++] = (char *)m->argv + at;
    argv[n] = NULL;
    output_take(log);
    execv(argv[0], argv);
    xg_log_line(XG_LOG_ERROR, NULL, "%s: %s", argv[0], strerror(errno));
    _exit(127);
}

static void run_probe(const struct spawn_message *m, int pipe, int log)
{
    output_take(log);
    /* the daemon limits the time */
    xg_probe((enum xg_probe_api)m->value, &m->device, libraries, pipe);
    _exit(0);
}

static bool message_valid(const struct spawn_message *m, unsigned fds)
{
    switch (m->op) {
    case SPAWN_WORKER: return fds >= WORKER_FDS;
    case SPAWN_PROGRAM:
        return fds == 1 && m->size > 1 && m->size <= sizeof(m->argv) && !m->argv[m->size - 1];
    case SPAWN_PROBE: return fds == 2 && m->value >= 0 && m->value < XG_PROBE_APIS;
    default: return false;
    }
}

static struct child *child_new(uint64_t id)
{
    struct child *c = calloc(1, sizeof(*c));
    if (!c) {
        c = &reserve;
        reserve = (struct child){.ended = true, .error = -ENOMEM};
        reserve_used = true;
    }
    c->id = id;
    c->next = children;
    children = c;
    return c;
}

static void child_free(struct child *c)
{
    if (c == &reserve)
        reserve_used = false;
    else
        free(c);
}

/* As fork; -1 with errno. Descriptors are missing if this process has too many. */
static pid_t child_fork(const struct spawn_message *m, unsigned fds, bool *alone)
{
    errno = fds ? EINVAL : EMFILE;
    if (!message_valid(m, fds))
        return -1;
    return m->op == SPAWN_WORKER && m->request.sandbox == XG_SANDBOX_YES ? xg_space_fork(alone)
                                                                         : fork();
}

/* The spawner opens the pidfd: until it reaps the child, no other process can get its number. */
static void started_report(const struct child *c)
{
    struct spawn_message m = {.op = SPAWN_STARTED, .id = c->id, .value = c->pid};
    int pidfd = (int)syscall(SYS_pidfd_open, c->pid, 0);
    if (xg_fds_send(spawner_sock, &m, HEADER, &pidfd, pidfd >= 0, MSG_DONTWAIT) < 0 && pidfd >= 0)
        (void)xg_fds_send(spawner_sock, &m, HEADER, NULL, 0, MSG_DONTWAIT);
    xg_fds_close(&pidfd, 1);
}

static void child_start(const struct spawn_message *m, int *fds, unsigned count)
{
    struct child *c = child_new(m->id);
    pid_t self = getpid();
    bool alone = false;
    if (c->ended)
        return;
    c->pid = child_fork(m, count, &alone);
    if (c->pid < 0) {
        c->ended = true;
        c->error = -errno;
    } else if (c->pid == 0) {
        if (alone)
            self = 0;
        child_begin(m->op == SPAWN_WORKER ? XG_WORKER_NAME : "xengpu-child", self);
        if (m->op == SPAWN_WORKER)
            run_worker(m, fds, count, self);
        else if (m->op == SPAWN_PROGRAM)
            run_program(m, fds[0]);
        else
            run_probe(m, fds[0], fds[1]);
        _exit(1);
    } else {
        started_report(c);
    }
}

static bool spawner_serve(void)
{
    static struct spawn_message m;
    int fds[XG_FDS_MAX];
    unsigned count = XG_ARRAY_LEN(fds);
    ssize_t n = xg_fds_recv(spawner_sock, &m, sizeof(m), fds, &count, MSG_DONTWAIT);
    if (n == -EAGAIN)
        return true;
    if (n < (ssize_t)HEADER && n != -EMFILE)
        return false;
    if (m.op == SPAWN_KILL) {
        struct child *c = child_find(m.id);
        if (c && !c->ended)
            child_kill(c, m.value);
    } else {
        child_start(&m, fds, count);
    }
    xg_fds_close(fds, count);
    return true;
}

static void children_reap(void)
{
    struct signalfd_siginfo info;
    struct rusage usage;
    int status;
    pid_t pid;
    while (read(spawner_signals, &info, sizeof(info)) == sizeof(info))
        ;
    while ((pid = wait4(-1, &status, WNOHANG, &usage)) > 0)
        for (struct child *c = children; c; c = c->next)
            if (c->pid == pid && !c->ended) {
                c->ended = true;
                c->status = status;
                c->peak = (uint64_t)usage.ru_maxrss << 10;
                break;
            }
}

/* Reports ended children to the daemon, without waiting. True: some are still to be reported. */
static bool children_report(void)
{
    for (struct child **p = &children; *p;) {
        struct child *c = *p;
        struct spawn_message m = {
            .op = SPAWN_ENDED, .id = c->id, .value = c->status, .error = c->error, .peak = c->peak};
        if (!c->ended) {
            p = &c->next;
            continue;
        }
        if (xg_fds_send(spawner_sock, &m, HEADER, NULL, 0, MSG_DONTWAIT) < 0)
            return true;
        *p = c->next;
        child_free(c);
    }
    return false;
}

static void children_end(void)
{
    for (struct child *c = children; c; c = c->next)
        if (!c->ended)
            child_kill(c, SIGTERM);
    for (unsigned wait = 0; wait < 100; wait++) {
        bool left = false;
        children_reap();
        for (struct child *c = children; c; c = c->next)
            left |= !c->ended;
        if (!left)
            return;
        usleep(10000);
    }
    for (struct child *c = children; c; c = c->next)
        if (!c->ended)
            kill(c->pid, SIGKILL);
}

static void spawner_main(void)
{
    /* No signal for a worker that stops or goes on: the scheduler does that many times a second. */
    struct sigaction ends = {.sa_handler = SIG_DFL, .sa_flags = SA_NOCLDSTOP};
    sigset_t set;
    prctl(PR_SET_NAME, "xengpu-spawner");
    sigaction(SIGCHLD, &ends, NULL);
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    /* A terminal or a service manager sends these to the daemon too, which decides when to end. */
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    sigprocmask(SIG_BLOCK, &set, NULL);
    spawner_signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    bool more = false;
    xg_space_try();
    for (;;) {
        short events = (short)((reserve_used ? 0 : POLLIN) | (more ? POLLOUT : 0));
        struct pollfd p[2] = {{.fd = spawner_sock, .events = events},
                              {.fd = spawner_signals, .events = POLLIN}};
        if (poll(p, 2, -1) < 0 && errno != EINTR)
            break;
        if (p[0].revents & (POLLHUP | POLLERR) && reserve_used)
            break; /* the daemon is dead, and need not be told */
        if (p[0].revents & (POLLIN | POLLHUP | POLLERR) && !spawner_serve())
            break;
        children_reap();
        more = children_report();
    }
    children_end();
    _exit(0);
}

/* --- the daemon's side ------------------------------------------------------------------------ */

static struct xg_source source = {.fd = -1};
static int daemon_sock = -1;
static pid_t spawner_pid;
static xg_spawn_started_fn *started_fn;
static xg_spawn_ended_fn *ended_fn;
static void *fn_arg;

int xg_spawner_start(const char *library_dir)
{
    int pair[2];
    libraries = library_dir;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return -errno;
    spawner_pid = fork();
    if (spawner_pid < 0) {
        int err = -errno;
        xg_fds_close(pair, 2);
        return err;
    }
    if (spawner_pid == 0) {
        close(pair[0]);
        spawner_sock = pair[1];
        spawner_main();
    }
    close(pair[1]);
    daemon_sock = pair[0];
    return 0;
}

static void spawner_readable(struct xg_source *s, uint32_t events)
{
    struct spawn_message m;
    int pidfd = -1;
    unsigned count = 1;
    (void)events;
    ssize_t n = xg_fds_recv(s->fd, &m, sizeof(m), &pidfd, &count, MSG_DONTWAIT);
    if (n == -EAGAIN)
        return;
    if (n < (ssize_t)HEADER && n != -EMFILE) {
        xg_log_error(NULL,
                     "the spawner died; without it no application can be served: the daemon ends");
        xg_loop_close(s);
        xg_loop_stop();
        return;
    }
    if (m.op == SPAWN_STARTED)
        started_fn(fn_arg, m.id, m.value, count ? pidfd : -1);
    else if (m.op == SPAWN_ENDED)
        ended_fn(fn_arg, m.id, m.value, m.error, m.peak);
}

int xg_spawner_attach(xg_spawn_started_fn *started, xg_spawn_ended_fn *ended, void *arg)
{
    fn_arg = arg;
    started_fn = started;
    ended_fn = ended;
    return xg_loop_add(&source, daemon_sock, EPOLLIN, spawner_readable);
}

void xg_spawner_stop(void)
{
    if (source.fd >= 0)
        xg_loop_close(&source);
    else if (daemon_sock >= 0)
        close(daemon_sock);
    if (spawner_pid > 0)
        waitpid(spawner_pid, NULL, 0);
}

static int spawner_send(const struct spawn_message *m, size_t size, const int *fds, unsigned count)
{
    if (source.fd < 0)
        return -EPIPE;
    return xg_fds_send(source.fd, m, size, fds, count, 0); /* the spawner never waits for us */
}

uint64_t xg_spawn_id(void)
{
    static uint64_t id;
    return ++id;
}

int xg_spawn_worker(const struct xg_spawn_request *req, const struct xg_spawn_fds *fds)
{
    struct spawn_message m = {.op = SPAWN_WORKER, .id = req->id, .request = *req};
    int list[WORKER_FDS + 2 * XG_RINGS_MAX + 1] = {fds->pages, fds->sched_page, fds->sched_kick,
                                                   fds->log, fds->watch};
    unsigned n = WORKER_FDS;
    for (unsigned i = 0; i < req->geometry.ring_count && fds->wait[i] >= 0; i++) {
        list[n++] = fds->wait[i];
        list[n++] = fds->kick[i];
    }
    if (fds->group >= 0)
        list[n++] = fds->group;
    return spawner_send(&m, HEADER + sizeof(m.request), list, n);
}

int xg_spawn_program(uint64_t id, const char *argv, size_t size, int log)
{
    struct spawn_message m = {.op = SPAWN_PROGRAM, .id = id, .size = (uint32_t)size};
    if (size > sizeof(m.argv))
        return -E2BIG;
    memcpy(m.argv, argv, size);
    return spawner_send(&m, HEADER + size, &log, 1);
}

int xg_spawn_probe(uint64_t id, enum xg_probe_api api, const struct xg_device_config *device,
                   int pipe, int log)
{
    const int fds[] = {pipe, log};
    struct spawn_message m = {.op = SPAWN_PROBE, .value = (int)api, .id = id, .device = *device};
    return spawner_send(&m, HEADER + sizeof(m.device), fds, 2);
}

int xg_spawn_kill(uint64_t id, int signal)
{
    struct spawn_message m = {.op = SPAWN_KILL, .id = id, .value = signal};
    return spawner_send(&m, HEADER, NULL, 0);
}
