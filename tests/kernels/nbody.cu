#include "cuda_mini.h"

struct __attribute__((aligned(16))) body {
    float x, y, z, m;
};

/* One step's accelerations; n a multiple of the block. */
extern "C" __global__ void nbody(const body *in, body *acc, int n)
{
    __shared__ body tile[128];
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    body me = in[i];
    float ax = 0, ay = 0, az = 0;
    for (int t = 0; t < n; t += blockDim.x) {
        tile[threadIdx.x] = in[t + threadIdx.x];
        __syncthreads();
        for (unsigned k = 0; k < blockDim.x; k++) {
            float dx = tile[k].x - me.x, dy = tile[k].y - me.y, dz = tile[k].z - me.z;
            float r = mini_rsqrt(dx * dx + dy * dy + dz * dz + 1e-3f);
            float s = tile[k].m * r * r * r;
            ax += dx * s;
            ay += dy * s;
            az += dz * s;
        }
        __syncthreads();
    }
    acc[i].x = ax;
    acc[i].y = ay;
    acc[i].z = az;
    acc[i].m = me.m;
}
