/*
 * A driver of nothing, for tests of libcudart: it is what dlopen("libcuda.so.1") gives in a program
 * that links this. It knows two devices, hands out numbers as handles and counts what it is asked.
 */
#ifndef XG_TEST_CUDART_FAKE_H
#define XG_TEST_CUDART_FAKE_H

#include "cuda/abi.h"
#include "cuda/abi/runtime.h"

struct fake {
    bool absent; /* dlopen fails */
    int version; /* cuDriverGetVersion */
    int devices;
    CUresult next; /* what the next call of a function that can fail answers, once */
    /* counted */
    int opened, inits, retains, releases, resets, loads, unloads, kernels, launches, sets;
    /* of the last call */
    CUfunction launched;
    unsigned int grid[3], block[3], shared;
    CUstream stream;
    const void *image;
    char copied; /* which function copied: 'H'toD, 'D'toH, 'd'toD, 'U'nified; lower bit none */
    size_t copied_size;
    CUdeviceptr copied_to;
    int waited; /* cuStreamSynchronize */
};

extern struct fake fake;

void fake_reset(void);

/* The handles it mints. */
static inline CUcontext fake_context(int device)
{
    return (CUcontext)(uintptr_t)(0x1000 + device);
}

#endif
