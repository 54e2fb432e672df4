#include "backend/loop/loop.h"
#include "backend/loop/log.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

static int loop_epoll = -1;
static bool loop_stopped;
static struct xg_timer *timers; /* by time */

#define ACCEPT_PAUSE_NS 100000000u
#define ACCEPT_TELL_NS  10000000000u /* between two messages about it */
static struct xg_source *paused[64]; /* listeners that wait after an accept failed */
static struct xg_timer paused_timer;

int xg_loop_init(void)
{
    loop_epoll = epoll_create1(EPOLL_CLOEXEC);
    return loop_epoll < 0 ? -errno : 0;
}

int xg_loop_add(struct xg_source *s, int fd, uint32_t events,
                void (*fn)(struct xg_source *, uint32_t))
{
    struct epoll_event ev = {.events = events, .data.ptr = s};
    if (epoll_ctl(loop_epoll, EPOLL_CTL_ADD, fd, &ev) < 0)
        return -errno;
    s->fd = fd;
    s->fn = fn;
    return 0;
}

void xg_loop_events(struct xg_source *s, uint32_t events)
{
    struct epoll_event ev = {.events = events, .data.ptr = s};
    if (s->fd >= 0)
        epoll_ctl(loop_epoll, EPOLL_CTL_MOD, s->fd, &ev);
}

static void listeners_wake(struct xg_timer *t)
{
    (void)t;
    for (unsigned i = 0; i < XG_ARRAY_LEN(paused); i++) {
        if (paused[i])
            xg_loop_events(paused[i], EPOLLIN);
        paused[i] = NULL;
    }
}

int xg_loop_accept(struct xg_source *s)
{
    static uint64_t told;
    int fd = accept4(s->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd >= 0 || errno == EAGAIN || errno == EINTR || errno == ECONNABORTED)
        return fd;
    if (xg_loop_now() - told > ACCEPT_TELL_NS || !told) {
        told = xg_loop_now();
        xg_log_error(NULL, "a connection cannot be accepted: %s%s", strerror(errno),
                     errno == EMFILE || errno == ENFILE
                         ? "; LimitNOFILE in the service's unit, or 'ulimit -n', allows more"
                         : "");
    }
    for (unsigned i = 0; i < XG_ARRAY_LEN(paused); i++)
        if (!paused[i]) {
            paused[i] = s;
            xg_loop_events(s, 0);
            break;
        }
    if (!paused_timer.armed)
        xg_timer_arm(&paused_timer, ACCEPT_PAUSE_NS, listeners_wake);
    return -1;
}

void xg_loop_close(struct xg_source *s)
{
    for (unsigned i = 0; i < XG_ARRAY_LEN(paused); i++)
        if (paused[i] == s)
            paused[i] = NULL;
    if (s->fd < 0)
        return;
    epoll_ctl(loop_epoll, EPOLL_CTL_DEL, s->fd, NULL);
    close(s->fd);
    s->fd = -1;
}

void xg_timer_disarm(struct xg_timer *t)
{
    if (!t->armed)
        return;
    struct xg_timer **p = &timers;
    while (*p != t)
        p = &(*p)->next;
    *p = t->next;
    t->armed = false;
}

void xg_timer_arm(struct xg_timer *t, uint64_t delay_ns, void (*fn)(struct xg_timer *))
{
    xg_timer_disarm(t);
    t->when = xg_loop_now() + delay_ns;
    t->fn = fn;
    struct xg_timer **p = &timers;
    while (*p && (*p)->when <= t->when)
        p = &(*p)->next;
    t->next = *p;
    *p = t;
    t->armed = true;
}

/* Runs what is due; returns epoll's timeout in milliseconds until the next. */
static int timers_run(void)
{
    while (timers) {
        uint64_t now = xg_loop_now();
        if (timers->when > now)
            return (int)xg_min_u64((timers->when - now + 999999) / 1000000, 60000);
        struct xg_timer *t = timers;
        timers = t->next;
        t->armed = false;
        t->fn(t);
    }
    return -1;
}

uint64_t xg_loop_now(void)
{
    return xg_now_ns();
}

uint64_t xg_loop_spent(void)
{
    static uint64_t mark;
    struct timespec ts;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
    uint64_t now = (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec, spent = now - mark;
    mark = now;
    return spent;
}

void xg_loop_stop(void)
{
    loop_stopped = true;
}

/* One event at a time: a handler may free other sources. */
int xg_loop_run(void)
{
    while (!loop_stopped) {
        struct epoll_event ev;
        int timeout = timers_run();
        if (loop_stopped)
            break;
        xg_loop_spent(); /* no guest pays for timers, but for those that charged it */
        int n = epoll_wait(loop_epoll, &ev, 1, timeout);
        if (n < 0 && errno != EINTR)
            return -errno;
        if (n > 0) {
            struct xg_source *s = ev.data.ptr;
            s->fn(s, ev.events);
        }
    }
    return 0;
}
