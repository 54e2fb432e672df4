#include "cuda_mini.h"

/* out[block] = sum of the block's stretch of in; blocks of up to 1024 threads. */
extern "C" __global__ void reduce_shuffle(const float *in, float *out, int n)
{
    __shared__ float part[32];
    float sum = 0;
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x)
        sum += in[i];
    for (int by = 16; by; by /= 2)
        sum += __shfl_down_sync(0xffffffffu, sum, by);
    if (threadIdx.x % 32 == 0)
        part[threadIdx.x / 32] = sum;
    __syncthreads();
    if (threadIdx.x < 32) {
        sum = threadIdx.x < (blockDim.x + 31) / 32 ? part[threadIdx.x] : 0.0f;
        for (int by = 16; by; by /= 2)
            sum += __shfl_xor_sync(0xffffffffu, sum, by);
        if (threadIdx.x == 0)
            out[blockIdx.x] = sum;
    }
}
