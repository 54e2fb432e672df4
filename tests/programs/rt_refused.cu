/* A kernel that the device cannot run is refused when it is used, with an error that is its own and
 * passes; the other kernels of its file work. */
#include "rt.h"
#include <cstring>

__global__ void bad(int *p)
{
    *p = 1;
    asm volatile("no.such.instruction;");
}

__device__ __noinline__ void helper(int *p)
{
    asm volatile("another.one %0;" : : "l"(p));
}

__global__ void caller(int *p)
{
    helper(p);
}

__global__ void good(int *p)
{
    p[threadIdx.x] = threadIdx.x;
}

int main()
{
    cudaDeviceProp prop;
    cudaFuncAttributes attributes;
    int *d, h[32], blocks;

    CHECK(cudaGetDeviceProperties(&prop, 0));
    if (strncmp(prop.name, "softcuda", 8)) { /* a compiler for a GPU refuses the whole file */
        puts("not softcuda");
        return 77;
    }
    CHECK(cudaMalloc(&d, sizeof(h)));
    for (int turn = 0; turn < 2; turn++) {
        bad<<<1, 1>>>(d);
        EXPECT(cudaGetLastError() == cudaErrorNotSupported);
        EXPECT(cudaGetLastError() == cudaSuccess);
        caller<<<1, 1>>>(d);
        EXPECT(cudaGetLastError() == cudaErrorNotSupported);
        FAILS(cudaErrorNotSupported, cudaFuncGetAttributes(&attributes, bad));
        FAILS(cudaErrorNotSupported,
              cudaOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, caller, 32, 0));
        CHECK(cudaDeviceSynchronize());
        CHECK(cudaMemset(d, 0xff, sizeof(h)));
        good<<<1, 32>>>(d);
        CHECK(cudaGetLastError());
        CHECK(cudaMemcpy(h, d, sizeof(h), cudaMemcpyDeviceToHost));
        for (int i = 0; i < 32; i++)
            EXPECT(h[i] == i);
    }
    CHECK(cudaFree(d));
    puts("two kernels refused, one ran");
    return 0;
}
