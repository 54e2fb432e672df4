#include "cuda_mini.h"

extern "C" __global__ void hello(int n)
{
#if defined(__clang__)
    struct {
        int thread, n;
        double half;
    } args = {(int)threadIdx.x, n, n * 0.5};
    vprintf("thread %d of %d: %.2f\n", &args);
#else
    printf("thread %d of %d: %.2f\n", (int)threadIdx.x, n, n * 0.5);
#endif
}
