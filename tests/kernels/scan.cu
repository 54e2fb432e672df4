#include "cuda_mini.h"

/* Inclusive sums of each block's stretch; sums[block] gets its total. Blocks of up to 1024. */
extern "C" __global__ void scan_block(const int *in, int *out, int *sums, int n)
{
    __shared__ int warp_sum[32];
    int i = blockIdx.x * blockDim.x + threadIdx.x, lane = threadIdx.x % 32, w = threadIdx.x / 32;
    int v = i < n ? in[i] : 0;
    for (int by = 1; by < 32; by *= 2) {
        int o = __shfl_up_sync(0xffffffffu, v, by);
        if (lane >= by)
            v += o;
    }
    if (lane == 31)
        warp_sum[w] = v;
    __syncthreads();
    if (w == 0) {
        int s = warp_sum[lane];
        for (int by = 1; by < 32; by *= 2) {
            int o = __shfl_up_sync(0xffffffffu, s, by);
            if (lane >= by)
                s += o;
        }
        warp_sum[lane] = s;
    }
    __syncthreads();
    if (w > 0)
        v += warp_sum[w - 1];
    if (i < n)
        out[i] = v;
    if (threadIdx.x == blockDim.x - 1)
        sums[blockIdx.x] = v;
}

/* out[i] += sum of all blocks before; sums are inclusive themselves by now. */
extern "C" __global__ void scan_add(int *out, const int *sums, int n)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (blockIdx.x > 0 && i < n)
        out[i] += sums[blockIdx.x - 1];
}
