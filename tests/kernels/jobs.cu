/* The kernels of tests/programs/cuda_job.c: one of each common kind. */
#include "tests/kernels/cuda_mini.h"

extern "C" __global__ void vectoradd(const float *a, const float *b, float *c, int n)
{
    int i = (int)(blockIdx.x * blockDim.x + threadIdx.x);

    if (i < n)
        c[i] = a[i] + b[i];
}

/* c = a * b, n x n, n a multiple of 16; blocks of 16 x 16 */
extern "C" __global__ void matmul(const float *a, const float *b, float *c, int n)
{
    __shared__ float ta[16][16], tb[16][16];
    int tx = (int)threadIdx.x, ty = (int)threadIdx.y, row = (int)blockIdx.y * 16 + ty,
        col = (int)blockIdx.x * 16 + tx;
    float sum = 0;

    for (int t = 0; t < n; t += 16) {
        ta[ty][tx] = a[row * n + t + tx];
        tb[ty][tx] = b[(t + ty) * n + col];
        __syncthreads();
        for (int k = 0; k < 16; k++)
            sum += ta[ty][k] * tb[k][tx];
        __syncthreads();
    }
    c[row * n + col] = sum;
}

static __device__ float exp_of(float x)
{
    return mini_exp2(x * 1.4426950408889634f);
}

static __device__ float log_of(float x)
{
    return mini_log2(x) * 0.6931471805599453f;
}

/* The cumulative normal distribution, by Abramowitz and Stegun 26.2.17. */
static __device__ float cdf(float d)
{
    float k = 1.0f / (1.0f + 0.2316419f * (d < 0 ? -d : d));
    float p =
        0.39894228f * exp_of(-0.5f * d * d) *
        (k * (0.31938153f +
              k * (-0.356563782f + k * (1.781477937f + k * (-1.821255978f + k * 1.330274429f)))));

    return d > 0 ? 1.0f - p : p;
}

/* Prices of European calls and puts. */
extern "C" __global__ void blackscholes(const float *price, const float *strike, const float *years,
                                        float *call, float *put, int n)
{
    const float rate = 0.02f, volatility = 0.30f;

    for (int i = (int)(blockIdx.x * blockDim.x + threadIdx.x); i < n;
         i += (int)(gridDim.x * blockDim.x)) {
        float root = mini_sqrt(years[i]);
        float d1 =
            (log_of(price[i] / strike[i]) + (rate + 0.5f * volatility * volatility) * years[i]) /
            (volatility * root);
        float d2 = d1 - volatility * root;
        float discounted = strike[i] * exp_of(-rate * years[i]);

        call[i] = price[i] * cdf(d1) - discounted * cdf(d2);
        put[i] = discounted * (1.0f - cdf(d2)) - price[i] * (1.0f - cdf(d1));
    }
}

/* One step of n bodies {x, y, z, mass} with velocities {x, y, z, 0}; blocks of 128, n a multiple of
 * it. */
extern "C" __global__ void nbody(const float *from, float *to, float *speed, int n, float dt)
{
    __shared__ float tile[128][4];
    int i = (int)(blockIdx.x * blockDim.x + threadIdx.x), t = (int)threadIdx.x;
    float x = from[4 * i], y = from[4 * i + 1], z = from[4 * i + 2], ax = 0, ay = 0, az = 0;

    for (int base = 0; base < n; base += 128) {
        for (int k = 0; k < 4; k++)
            tile[t][k] = from[4 * (base + t) + k];
        __syncthreads();
        for (int j = 0; j < 128; j++) {
            float dx = tile[j][0] - x, dy = tile[j][1] - y, dz = tile[j][2] - z;
            float inverse = mini_rsqrt(dx * dx + dy * dy + dz * dz + 0.01f);
            float pull = tile[j][3] * inverse * inverse * inverse;

            ax += dx * pull;
            ay += dy * pull;
            az += dz * pull;
        }
        __syncthreads();
    }
    speed[4 * i] += ax * dt;
    speed[4 * i + 1] += ay * dt;
    speed[4 * i + 2] += az * dt;
    to[4 * i] = x + speed[4 * i] * dt;
    to[4 * i + 1] = y + speed[4 * i + 1] * dt;
    to[4 * i + 2] = z + speed[4 * i + 2] * dt;
    to[4 * i + 3] = from[4 * i + 3];
}

/* bins[256] of n bytes, gathered per block first. */
extern "C" __global__ void histogram(const unsigned char *data, unsigned *bins, int n)
{
    __shared__ unsigned mine[256];

    mine[threadIdx.x] = 0;
    __syncthreads();
    for (int i = (int)(blockIdx.x * blockDim.x + threadIdx.x); i < n;
         i += (int)(gridDim.x * blockDim.x))
        atomicAdd(&mine[data[i]], 1);
    __syncthreads();
    atomicAdd(&bins[threadIdx.x], mine[threadIdx.x]);
}

/* *sum += all of n numbers: shuffles within a warp, then one atomic per warp. */
extern "C" __global__ void reduction(const unsigned *in, unsigned *sum, int n)
{
    unsigned v = 0;

    for (int i = (int)(blockIdx.x * blockDim.x + threadIdx.x); i < n;
         i += (int)(gridDim.x * blockDim.x))
        v += in[i];
    for (int by = 16; by > 0; by >>= 1)
        v += __shfl_down_sync(0xffffffffu, v, by);
    if (threadIdx.x % 32 == 0)
        atomicAdd(sum, v);
}
