#include "cuda_mini.h"

/* Runs until *flag becomes non-zero: for ever, if nobody sets it. */
extern "C" __global__ void spin(volatile int *flag)
{
    while (!*flag)
        ;
}
