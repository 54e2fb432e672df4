/*
 * One end of an event channel: a wake-up without data. Local mode: a pair of eventfds. Xen: a port
 * bound on a descriptor of /dev/xen/evtchn of its own. Both can be polled.
 */
#ifndef XG_EVENT_H
#define XG_EVENT_H

#include "protocol/base.h"

enum xg_platform { XG_PLATFORM_LOCAL = 0, XG_PLATFORM_XEN = 1 };

struct xg_event {
    uint32_t platform; /* enum xg_platform */
    int wait_fd;       /* readable when an event is pending */
    int kick_fd;       /* local: the other side's eventfd; Xen: equal to wait_fd */
    uint32_t port;     /* Xen: the local port */
};

void xg_event_notify(const struct xg_event *e);
/* Takes what is pending, unmasks. Does not block. */
void xg_event_clear(const struct xg_event *e);
/* Sleeps until an event is pending, `also_fd` (-1: none) becomes readable or hangs up, or the time
 * is over; takes the event. timeout_ns UINT64_MAX: none. 1: event, 2: also_fd, 0: time over. */
int xg_event_wait(const struct xg_event *e, int also_fd, uint64_t timeout_ns);

/* How long to poll, in ns, for the end of work on a GPU that a program waits for without having
 * asked to sleep: its driver would poll without end, and a wake-up costs a virtual machine 50 us
 * and more. 0 where there are so few processors that others need the one that polls. */
uint64_t xg_poll_long_ns(void);

#endif
