#include "protocol/event.h"

#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* The kernel's ABI of /dev/xen/evtchn: notify is ioctl 'E' 4 with the port; reading gives pending
 * ports, writing them back unmasks. */
#define EVTCHN_NOTIFY _IOC(_IOC_NONE, 'E', 4, sizeof(uint32_t))

void xg_event_notify(const struct xg_event *e)
{
    if (e->platform == XG_PLATFORM_XEN) {
        uint32_t port = e->port;
        (void)ioctl(e->kick_fd, EVTCHN_NOTIFY, &port);
    } else {
        uint64_t one = 1;
        ssize_t n = write(e->kick_fd, &one,
                          sizeof(one)); /* EAGAIN: the counter is full, so an event is pending */
        (void)n;
    }
}

/* wait_fd must be non-blocking in both cases. */
void xg_event_clear(const struct xg_event *e)
{
    if (e->platform == XG_PLATFORM_XEN) {
        uint32_t port;
        if (read(e->wait_fd, &port, sizeof(port)) == sizeof(port)) {
            ssize_t n = write(e->wait_fd, &port, sizeof(port));
            (void)n;
        }
    } else {
        uint64_t count;
        ssize_t n = read(e->wait_fd, &count, sizeof(count));
        (void)n;
    }
}

int xg_event_wait(const struct xg_event *e, int also_fd, uint64_t timeout_ns)
{
    struct pollfd p[2] = {{.fd = e->wait_fd, .events = POLLIN}, {.fd = also_fd, .events = POLLIN}};
    struct timespec ts = {.tv_sec = (time_t)(timeout_ns / 1000000000u),
                          .tv_nsec = (long)(timeout_ns % 1000000000u)};
    int n = ppoll(p, also_fd >= 0 ? 2 : 1, timeout_ns == UINT64_MAX ? NULL : &ts, NULL);
    if (n <= 0)
        return 0;
    if (p[0].revents) {
        xg_event_clear(e);
        return 1;
    }
    return 2;
}

#define POLL_LONG_NS   2000000u
#define PROCESSORS_MIN 4

uint64_t xg_poll_long_ns(void)
{
    static _Atomic int processors;
    int n = processors;
    if (!n) {
        cpu_set_t set;
        n = sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 1;
        processors = n;
    }
    return n >= PROCESSORS_MIN ? POLL_LONG_NS : 0;
}
