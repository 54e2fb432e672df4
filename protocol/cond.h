/* Waiting for a condition or a lock, but not for ever. */
#ifndef XG_COND_H
#define XG_COND_H

#include <pthread.h>
#include <stdint.h>
#include <time.h>

/* In so many nanoseconds, below a second, on the clock that conditions have by default, and locks
 * always. */
static inline struct timespec xg_deadline(uint32_t ns)
{
    struct timespec ts;

    clock_gettime(CLOCK_REALTIME, &ts);
    ts.tv_nsec += ns;
    if (ts.tv_nsec >= 1000000000) {
        ts.tv_sec++;
        ts.tv_nsec -= 1000000000;
    }
    return ts;
}

/* As pthread_cond_timedwait: 0 or ETIMEDOUT. */
static inline int xg_cond_wait_ns(pthread_cond_t *cond, pthread_mutex_t *lock, uint32_t ns)
{
    struct timespec ts = xg_deadline(ns);
    return pthread_cond_timedwait(cond, lock, &ts);
}

#endif
