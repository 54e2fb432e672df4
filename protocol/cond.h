/* Waits for a condition or a lock that end at a deadline, by the monotonic clock: a change of the
 * system's time makes no wait shorter or longer. */
#ifndef XG_COND_H
#define XG_COND_H

#include "protocol/base.h"

#include <pthread.h>

/* The time `ns` nanoseconds from now. */
static inline struct timespec xg_deadline(uint64_t ns)
{
    uint64_t at = xg_now_ns() + ns;
    return (struct timespec){(time_t)(at / 1000000000u), (long)(at % 1000000000u)};
}

/* Returns 0 or ETIMEDOUT. */
static inline int xg_cond_wait_until(pthread_cond_t *cond, pthread_mutex_t *lock,
                                     const struct timespec *deadline)
{
    return pthread_cond_clockwait(cond, lock, CLOCK_MONOTONIC, deadline);
}

static inline int xg_cond_wait_ns(pthread_cond_t *cond, pthread_mutex_t *lock, uint64_t ns)
{
    struct timespec deadline = xg_deadline(ns);
    return xg_cond_wait_until(cond, lock, &deadline);
}

static inline int xg_mutex_lock_ns(pthread_mutex_t *lock, uint64_t ns)
{
    struct timespec deadline = xg_deadline(ns);
    return pthread_mutex_clocklock(lock, CLOCK_MONOTONIC, &deadline);
}

#endif
