/*
 * A channel without a daemon: this process plays the guest agent, and the worker runs on threads
 * beside it or in a child. The scheduler always says yes. For tests of rings, arena and replay
 * code.
 */
#ifndef XG_TEST_LOOPBACK_H
#define XG_TEST_LOOPBACK_H

#include "backend/sched.h"
#include "backend/spawn.h"
#include "frontend/channel.h"
#include "protocol/device.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

/* --- a scheduler that always says yes --------------------------------------------------------- */
#ifndef LOOPBACK_REAL_SCHED
struct xg_sched_client {
    int nothing;
};
static _Atomic int loopback_users; /* of the device */
int xg_sched_client_create(int p, int k, uint32_t s, struct xg_sched_client **out)
{
    static struct xg_sched_client c;
    *out = &c;
    return 0;
}
void xg_sched_client_destroy(struct xg_sched_client *c)
{
}
bool xg_sched_acquire(struct xg_sched_client *c, const _Atomic bool *end)
{
    loopback_users++;
    return true;
}
uint64_t xg_sched_device_ns(const struct xg_sched_client *c)
{
    return 0;
}

uint32_t xg_sched_frame_limit(const struct xg_sched_client *c)
{
    (void)c;
    return 0;
}
void xg_sched_release(struct xg_sched_client *c)
{
    loopback_users--;
}
bool xg_sched_join(struct xg_sched_client *c)
{
    loopback_users++;
    return true;
}
void xg_sched_acquire_beside(struct xg_sched_client *c)
{
    loopback_users++;
}
void xg_sched_keep(struct xg_sched_client *c)
{
    loopback_users++;
}
void xg_sched_progress(struct xg_sched_client *c)
{
}
const _Atomic uint32_t *xg_sched_yield_word(const struct xg_sched_client *c, uint32_t *mask)
{
    static const _Atomic uint32_t never;
    *mask = 1;
    return &never;
}
bool xg_sched_contended(const struct xg_sched_client *c)
{
    return false;
}
int xg_sched_memory_charge(struct xg_sched_client *c, int64_t bytes)
{
    return 0;
}
uint64_t xg_sched_memory_used(const struct xg_sched_client *c)
{
    return 0;
}
uint64_t xg_sched_memory_limit(const struct xg_sched_client *c)
{
    return 0;
}
/* What a test counts with, or NULL. */
static void (*loopback_count)(enum xg_counter what, uint64_t n);
void xg_sched_count(struct xg_sched_client *c, enum xg_counter what, uint64_t n)
{
    if (loopback_count)
        loopback_count(what, n);
}
#endif

/* For the worker's dlopen; NULL: no CUDA. */
static const char *loopback_cuda_library;

struct loopback {
    struct xg_spawn_request req;
    struct xg_spawn_fds fds;
    int listener;
    char path[108];
    uint8_t *base; /* a third view of the channel, for peers that misbehave */
    uint64_t size;
    pid_t worker; /* 0: runs on threads here */
    pthread_t agent;
    int agent_socket;
};

static void *loopback_worker(void *arg)
{
    struct loopback *lb = arg;
    xg_worker_main(&lb->req, &lb->fds);
    return NULL;
}

static void *loopback_agent(void *arg)
{
    struct loopback *lb = arg;
    struct xg_hello h;
    struct xg_welcome w = {.magic = XG_WELCOME_MAGIC,
                           .version = XG_PROTOCOL_VERSION,
                           .platform = XG_PLATFORM_LOCAL,
                           .geometry = lb->req.geometry};
    unsigned rings = lb->req.geometry.ring_count, n = 0;
    union {
        char buf[CMSG_SPACE(sizeof(int) * (1 + 2 * XG_RINGS_MAX))];
        struct cmsghdr align;
    } control;
    int fds[1 + 2 * XG_RINGS_MAX];

    memset(&control, 0, sizeof(control));
    lb->agent_socket = accept(lb->listener, NULL, NULL);
    if (recv(lb->agent_socket, &h, sizeof(h), 0) != sizeof(h))
        abort();
    fds[n++] = lb->fds.pages;
    for (unsigned i = 0; i < rings; i++) { /* the other way round than the worker */
        fds[n++] = lb->fds.kick[i];
        fds[n++] = lb->fds.wait[i];
    }
    struct iovec iov = {&w, sizeof(w)};
    struct msghdr msg = {.msg_iov = &iov,
                         .msg_iovlen = 1,
                         .msg_control = control.buf,
                         .msg_controllen = CMSG_SPACE(sizeof(int) * n)};
    struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof(int) * n);
    memcpy(CMSG_DATA(c), fds, sizeof(int) * n);
    if (sendmsg(lb->agent_socket, &msg, 0) != sizeof(w))
        abort();
    return NULL;
}

/* The last one lives until the process ends: no leak where a test has no use for it. */
static struct loopback *loopback_last;

/* threads: the worker runs in this process (for TSan); it can then not be ended. */
static inline struct loopback *loopback_start(struct xg_geometry g, bool threads)
{
    struct loopback *lb = loopback_last = calloc(1, sizeof(*lb));
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    pthread_t worker;

    lb->req = (struct xg_spawn_request){.platform = XG_PLATFORM_LOCAL,
                                        .geometry = g,
                                        .test_mode = true,
                                        .guest = "loopback",
                                        .command = "test"};
    if (loopback_cuda_library)
        snprintf(lb->req.device.cuda_library, sizeof(lb->req.device.cuda_library), "%s",
                 loopback_cuda_library);
    lb->size = xg_geometry_pages(&g) << XG_PAGE_SHIFT;
    lb->fds.pages = memfd_create("channel", MFD_CLOEXEC);
    lb->fds.sched_page = lb->fds.sched_kick = lb->fds.watch = -1;
    if (ftruncate(lb->fds.pages, (off_t)lb->size) < 0)
        abort();
    lb->base = mmap(NULL, lb->size, PROT_READ | PROT_WRITE, MAP_SHARED, lb->fds.pages, 0);
    for (unsigned i = 0; i < g.ring_count; i++) {
        lb->fds.wait[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        lb->fds.kick[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    }
    snprintf(lb->path, sizeof(lb->path), "/tmp/xg-loopback-%d.sock", (int)getpid());
    unlink(lb->path);
    strcpy(addr.sun_path, lb->path);
    lb->listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (bind(lb->listener, (struct sockaddr *)&addr, sizeof(addr)) < 0 ||
        listen(lb->listener, 1) < 0)
        abort();
    setenv("XENGPU_SOCKET", lb->path, 1);
    if (threads) {
        int keep = dup(lb->fds.pages); /* the worker closes its own */
        pthread_create(&lb->agent, NULL, loopback_agent, lb);
        xg_channel_get();
        pthread_join(lb->agent, NULL);
        lb->fds.pages = keep;
        pthread_create(&worker, NULL, loopback_worker, lb);
    } else {
        lb->worker = fork();
        if (lb->worker == 0 && prctl(PR_SET_PDEATHSIG, SIGKILL) == 0)
            _exit(xg_worker_main(&lb->req, &lb->fds));
        pthread_create(&lb->agent, NULL, loopback_agent, lb);
        xg_channel_get();
        pthread_join(lb->agent, NULL);
    }
    unlink(lb->path);
    return lb;
}

/* The worker's exit status, or 128 + signal. */
static inline int loopback_reap(struct loopback *lb)
{
    int status = 0;
    while (waitpid(lb->worker, &status, 0) < 0 && errno == EINTR)
        ;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

#endif
