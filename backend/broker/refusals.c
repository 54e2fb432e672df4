/*
 * System calls that a worker's sandbox refuses. The kernel hands each to the daemon, which writes
 * its name into the log, once for each worker, and answers that it is not permitted. So the log
 * tells what a driver needs and does not get. A worker that was taken over, and tries one call
 * after another, has to wait for the answers after the first few.
 */
#include "backend/broker/refusals.h"
#include "protocol/fdpass.h"

#include <errno.h>
#include <seccomp.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define WINDOW_NS    1000000000u
#define WINDOW_CALLS 200u      /* calls that are answered at once within WINDOW_NS */
#define PAUSE_NS     20000000u /* then one call in this time, until the window is over */
#define CALLS_MAX    1024      /* numbers of system calls are smaller than this */

struct xg_refusals {
    struct xg_source source; /* a socket, then the sandbox's listener, which came through it */
    struct xg_timer pause;
    const struct xg_broker_channel *channel;
    uint64_t window;
    unsigned calls;
    bool slow;
    uint64_t logged[CALLS_MAX / 64]; /* a bit for each call */
};

static void call_log(struct xg_refusals *r, const struct seccomp_data *d)
{
    const struct xg_broker_channel *c = r->channel;
    unsigned nr = (unsigned)d->nr < CALLS_MAX ? (unsigned)d->nr : CALLS_MAX - 1;
    if (r->logged[nr / 64] & 1ull << nr % 64)
        return;
    r->logged[nr / 64] |= 1ull << nr % 64;
    char *name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, d->nr);
    xg_log_at(
        XG_LOG_WARNING, c->guest->name,
        "%s (worker %d): the sandbox refuses system call %s (%d), arguments %#llx %#llx %#llx",
        c->command, c->worker, name ? name : "?", d->nr, (unsigned long long)d->args[0],
        (unsigned long long)d->args[1], (unsigned long long)d->args[2]);
    free(name);
}

static void pause_over(struct xg_timer *t)
{
    struct xg_refusals *r = xg_container_of(t, struct xg_refusals, pause);
    xg_loop_events(&r->source, EPOLLIN);
}

static void calls_pace(struct xg_refusals *r)
{
    uint64_t now = xg_now_ns();
    if (now - r->window > WINDOW_NS) {
        r->window = now;
        r->calls = 0;
    }
    if (++r->calls <= WINDOW_CALLS)
        return;
    if (!r->slow)
        xg_log_at(
            XG_LOG_WARNING, r->channel->guest->name,
            "%s (worker %d): the sandbox refuses so many of its system calls that each one has "
            "to wait now",
            r->channel->command, r->channel->worker);
    r->slow = true;
    xg_loop_events(&r->source, 0);
    xg_timer_arm(&r->pause, PAUSE_NS, pause_over);
}

static void call_readable(struct xg_source *s, uint32_t events)
{
    struct xg_refusals *r = xg_container_of(s, struct xg_refusals, source);
    if (!(events & EPOLLIN)) { /* the last thread that could call has ended */
        xg_loop_close(s);
        return;
    }
    struct seccomp_notif *call; /* allocated by the library: the kernel decides their size */
    struct seccomp_notif_resp *reply;
    if (seccomp_notify_alloc(&call, &reply))
        return;
    if (!seccomp_notify_receive(s->fd, call)) { /* fails if the caller has died meanwhile */
        call_log(r, &call->data);
        reply->id = call->id;
        reply->error = -EPERM;
        (void)seccomp_notify_respond(s->fd, reply);
        calls_pace(r);
    }
    seccomp_notify_free(call, reply);
}

static void listener_receive(struct xg_source *s, uint32_t events)
{
    char byte;
    int fd = -1;
    unsigned count = 1;
    (void)events;
    ssize_t n = xg_fds_recv(s->fd, &byte, sizeof(byte), &fd, &count, MSG_DONTWAIT);
    if (n == -EAGAIN)
        return;
    xg_loop_close(s);
    if (n <= 0 || !count) /* the worker has no listener, or ended first */
        return;
    if (xg_loop_add(s, fd, EPOLLIN, call_readable))
        close(fd);
}

int xg_refusals_create(const struct xg_broker_channel *c, struct xg_refusals **out)
{
    int pair[2];
    struct xg_refusals *r = calloc(1, sizeof(*r));
    if (!r)
        return -ENOMEM;
    r->channel = c;
    int err = socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0 ? -errno : 0;
    if (!err) {
        err = xg_loop_add(&r->source, pair[0], EPOLLIN, listener_receive);
        if (!err) {
            *out = r;
            return pair[1];
        }
        xg_fds_close(pair, 2);
    }
    free(r);
    return err;
}

void xg_refusals_end(struct xg_refusals *r)
{
    if (!r)
        return;
    xg_timer_disarm(&r->pause);
    xg_loop_close(&r->source);
    free(r);
}
