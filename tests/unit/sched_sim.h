/*
 * A device, guests and workers of the test's own making, on a clock of its own: for tests of the
 * scheduler's core.
 */
#ifndef SCHED_SIM_H
#define SCHED_SIM_H

#include "backend/sched/core.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define US    1000ull
#define MS    1000000ull
#define SEC   1000000000ull
#define NEVER UINT64_MAX

/* A worker: runs kernels of `kernel` ns one after another, waits `gap` ns between them without the
 * device. */
struct sim_worker {
    uint64_t kernel, gap, start, stop;
    unsigned every; /* `gap` only after so many kernels; 0: after each */
    uint64_t rare;  /* each twentieth gap is so long; 0: none */
    unsigned gaps;
    uint64_t flight; /* nobody else wants the device: so much is given to it at once; 0: a kernel */
    uint64_t given;  /* what it has now */
    uint64_t period; /* instead of `gap`: `every` kernels are a frame, one begins each so often */
    uint64_t due;    /* when the frame at hand should have begun */
    unsigned frames, on_time; /* ended; within their period */
    unsigned ran;
    bool ignores_yield; /* goes on although asked to stop */
    bool stoppable;     /* it may be stopped in the middle of a kernel */
    uint64_t rest;      /* it was: so much of the kernel is left; 0: it was not */
    unsigned stops;
    bool lies; /* says that it was idle all the time */
    enum { AWAY, WAITS, RUNS } state;
    uint64_t until;
    uint64_t work; /* ns of kernels that it really ran */
    bool measured; /* the device time below counts, not the clock */
    uint64_t used, used_since;
    double processors; /* that it gets from used_since on */
    struct xg_sched_slot *slot;
    struct xg_core_guest *guest;
};

struct sim {
    struct xg_core core;
    struct xg_core_guest guest[8];
    struct sim_worker worker[24];
    unsigned guests, workers;
    uint64_t now, timer, latency; /* latency: of the scheduler's own wake-up */
    uint64_t told;                /* slots that were reported stuck */
    unsigned tampered;            /* numbers that were put right */
    uint64_t passes;
};

extern struct sim *sim;

int setup(void **state);
int teardown(void **state);
struct xg_core_guest *add_guest(uint32_t weight);
struct sim_worker *add_worker(struct xg_core_guest *g, uint64_t kernel, uint64_t gap);
/* Device time counts for it from now on: it gets so many processors. */
void processors_set(struct sim_worker *w, double processors);
void sim_run(uint64_t ns);
void assert_ratio(uint64_t a, uint64_t b, double want, double tolerance);

#endif
