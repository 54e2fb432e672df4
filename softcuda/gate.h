/*
 * Preemption, for a process that shares the device with other processes: a worker of xengpu's. No
 * part of the CUDA API; whoever wants it finds softcuda_gate_set in the library by its name.
 *
 * When the word says so, softcuda stops inside kernels and copies, at most some milliseconds later,
 * calls `yield` when nothing of it runs any more, and goes on where it was when that returns.
 * Watchdogs do not count that time.
 */
#ifndef SOFTCUDA_GATE_H
#define SOFTCUDA_GATE_H

#include <stdatomic.h>
#include <stdint.h>

struct softcuda_gate {
    const _Atomic uint32_t *word; /* stop while (*word & mask) */
    uint32_t mask;
    /* On one of softcuda's threads, or one that is in a call of the API; must not call the API. */
    void (*yield)(void *arg);
    void *arg;
};

/* Before the first operation is submitted, once. */
void softcuda_gate_set(const struct softcuda_gate *gate);

#endif
