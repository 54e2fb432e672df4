/*
 * Preemption, for a process that shares the device with other processes: a worker of xengpu's. It
 * is not part of the CUDA API; the worker looks up softcuda_gate_set in the library by its name.
 *
 * When the word asks for it, softcuda stops inside kernels and copies, at most some milliseconds
 * later. When nothing of it runs any more it calls `yield`, and it continues when that returns.
 * Watchdogs do not count that time.
 */
#ifndef SOFTCUDA_GATE_H
#define SOFTCUDA_GATE_H

#include <stdatomic.h>
#include <stdint.h>

struct softcuda_gate {
    const _Atomic uint32_t *word; /* stop while (*word & mask) */
    uint32_t mask;
    /* Called on a thread of softcuda, or on one that is in a call of the API. Must not call the
     * API. */
    void (*yield)(void *arg);
    void *arg;
};

/* To be called once, before the first operation is submitted. */
void softcuda_gate_set(const struct softcuda_gate *gate);

#endif
