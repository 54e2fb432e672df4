#include "cuda_mini.h"

/* Writes where it is told, far outside of every allocation if that is what the caller wants. */
extern "C" __global__ void oob(int *p, long at)
{
    p[at] = 42;
}

extern "C" __global__ void oob_read(int *p, long at)
{
    p[0] = p[at];
}
