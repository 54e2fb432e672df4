/* The daemon's event loop: descriptors and timers, one thread, one event at a time. */
#ifndef XG_LOOP_H
#define XG_LOOP_H

#include "protocol/base.h"

struct xg_source {
    int fd; /* -1: not in the loop */
    void (*fn)(struct xg_source *s, uint32_t events);
};

struct xg_timer {
    struct xg_timer *next;
    uint64_t when; /* xg_now_ns */
    bool armed;
    void (*fn)(struct xg_timer *t);
};

int xg_loop_init(void);
/* `events`: as epoll has them. The source stays the caller's, who ends it with xg_loop_close. */
int xg_loop_add(struct xg_source *s, int fd, uint32_t events,
                void (*fn)(struct xg_source *, uint32_t));
void xg_loop_events(struct xg_source *s, uint32_t events);
/* Accepts a connection of the listener `s`; -1: there is none. If that fails, as without a free
 * descriptor, `s` is not listened to for a moment: epoll would report the same connection again at
 * once. */
int xg_loop_accept(struct xg_source *s);
/* Takes it out and closes its descriptor. */
void xg_loop_close(struct xg_source *s);
void xg_timer_arm(struct xg_timer *t, uint64_t delay_ns, void (*fn)(struct xg_timer *));
void xg_timer_disarm(struct xg_timer *t);
/* The clock of timers, ns. */
uint64_t xg_loop_now(void);
/* Processor time, ns, that this thread has used since the last call, or since the loop began to
 * wait: waking up counts. */
uint64_t xg_loop_spent(void);
/* Returns after xg_loop_stop. */
int xg_loop_run(void);
void xg_loop_stop(void);

#endif
