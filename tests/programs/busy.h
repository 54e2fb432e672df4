/*
 * For programs that keep a device busy in pieces of known work: when each piece was sent and was
 * found complete by the host's clock (seconds of the day), and began and ended by the device's
 * clock; all in nanoseconds. The file that `busy_write` makes is an array of struct busy.
 */
#ifndef XG_TESTS_BUSY_H
#define XG_TESTS_BUSY_H

#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define BUSY_MAX (1u << 18) /* pieces that are kept; a program that has done as many stops */

struct busy {
    int64_t sent, complete, begin, end;
};

static inline int64_t busy_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static volatile sig_atomic_t busy_stopped;

static inline void busy_stop(int number)
{
    (void)number;
    busy_stopped = 1;
}

/* Room for them; from now on SIGTERM sets busy_stopped, so that they are written at the end. */
static inline struct busy *busy_records(void)
{
    struct busy *b = calloc(BUSY_MAX, sizeof(*b));
    struct sigaction stop = {.sa_handler = busy_stop, .sa_flags = SA_RESTART};

    sigaction(SIGTERM, &stop, NULL);
    if (!b) {
        fprintf(stderr, "out of memory\n");
        exit(1);
    }
    return b;
}

static inline void busy_write(const char *path, const struct busy *b, size_t count)
{
    FILE *f = fopen(path, "wb");

    if (!f || fwrite(b, sizeof(*b), count, f) != count || fclose(f)) {
        perror(path);
        exit(1);
    }
}

/* The host's clock minus the device's, from the piece that was there and back soonest. */
static inline int64_t busy_offset(const struct busy *b, size_t count)
{
    const struct busy *best = b;

    for (size_t i = 1; i < count; i++)
        if (b[i].complete - b[i].sent < best->complete - best->sent)
            best = &b[i];
    return (best->sent + best->complete) / 2 - (best->begin + best->end) / 2;
}

#endif
