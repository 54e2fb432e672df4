#include "cuda_mini.h"

__device__ static __forceinline__ unsigned long long now()
{
    unsigned long long ns;
    asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(ns)::"memory");
    return ns;
}

/* Work that takes the same number of steps each time: `rounds` times eight that no compiler can
 * make fewer. stamp[0] and stamp[1]: when it began and ended by the device's own clock, which all
 * processes share. */
extern "C" __global__ void busy(unsigned long long rounds, unsigned long long *stamp,
                                unsigned *sink)
{
    unsigned x = threadIdx.x + 1;
    bool first = blockIdx.x == 0 && threadIdx.x == 0;

    if (first)
        stamp[0] = now();
    for (unsigned long long i = 0; i < rounds; i++) {
#pragma unroll
        for (int k = 0; k < 8; k++) {
            x ^= x << 13;
            x ^= x >> 17;
            x ^= x << 5;
        }
    }
    if (x == 0) /* never: but the compiler does not know */
        *sink = x;
    __syncthreads();
    if (first)
        stamp[1] = now();
}
