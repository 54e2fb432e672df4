/*
 * What the benchmarks print: results, one JSON line each, and times of a repeated act. Times are
 * nanoseconds of CLOCK_MONOTONIC; SAMPLES_MAX of them are kept for the medians, later ones are not.
 */
#ifndef XG_BENCH_SAMPLES_H
#define XG_BENCH_SAMPLES_H

#include "protocol/base.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SAMPLES_MAX (1u << 20)

static inline double seconds_since(uint64_t start)
{
    return (double)(xg_now_ns() - start) / 1e9;
}

static inline void result_print(const char *name, const char *unit, double value)
{
    printf("{\"name\": \"%s\", \"unit\": \"%s\", \"value\": %.6g}\n", name, unit, value);
    fflush(stdout);
}

struct samples {
    uint32_t *ns;
    uint32_t count;
    uint64_t began;
};

static inline void samples_begin(struct samples *s)
{
    s->began = xg_now_ns();
}

static inline void samples_end(struct samples *s)
{
    uint64_t ns = xg_now_ns() - s->began;

    if (s->ns == NULL && (s->ns = calloc(SAMPLES_MAX, sizeof(*s->ns))) == NULL)
        abort();
    if (s->count < SAMPLES_MAX)
        s->ns[s->count++] = ns > UINT32_MAX ? UINT32_MAX : (uint32_t)ns;
}

static inline int samples_compare(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return x < y ? -1 : x > y;
}

/* Prints one JSON line, and empties the samples. */
static inline void samples_print(struct samples *s, const char *name)
{
    if (s->count == 0)
        return;
    qsort(s->ns, s->count, sizeof(*s->ns), samples_compare);
    printf("{\"name\": \"%s\", \"unit\": \"ns\", \"value\": %u, \"p10\": %u, \"p99\": %u, "
           "\"count\": %u}\n",
           name, s->ns[s->count / 2], s->ns[s->count / 10], s->ns[(uint64_t)s->count * 99 / 100],
           s->count);
    free(s->ns);
    s->ns = NULL;
    s->count = 0;
}

#endif
