/* For programs that work until a time is over: after each quarter of a second a line "rounds N
 * until T", T in seconds of the day, so that others on the same machine can tell what went on
 * meanwhile. */
#ifndef XG_TESTS_RATE_H
#define XG_TESTS_RATE_H

#include <stdbool.h>
#include <stdio.h>
#include <time.h>

#define RATE_EVERY 0.25

struct rate {
    double end, next;
    unsigned rounds;
};

static inline double rate_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static inline struct rate rate_begin(double seconds)
{
    double now = rate_now();
    return (struct rate){.end = now + seconds, .next = now + RATE_EVERY};
}

/* A round is over. True when a line was written: a time to look whether results are right. */
static inline bool rate_round(struct rate *r)
{
    double now = rate_now();
    r->rounds++;
    if (now < r->next)
        return false;
    printf("rounds %u until %.2f\n", r->rounds, now);
    fflush(stdout);
    r->rounds = 0;
    r->next = now + RATE_EVERY;
    return true;
}

static inline bool rate_over(const struct rate *r)
{
    return rate_now() >= r->end;
}

#endif
