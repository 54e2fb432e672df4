#include "cuda_mini.h"

/* Cumulative normal distribution, polynomial of Abramowitz and Stegun 26.2.17. */
__device__ static __forceinline__ float cnd(float d)
{
    float k = 1.0f / (1.0f + 0.2316419f * (d < 0 ? -d : d));
    float p = ((((1.330274429f * k - 1.821255978f) * k + 1.781477937f) * k - 0.356563782f) * k +
               0.31938153f) *
              k;
    float c = 0.39894228f * mini_exp2(-0.5f * d * d * 1.44269504f) * p;
    return d > 0 ? 1.0f - c : c;
}

extern "C" __global__ void blackscholes(float *call, float *put, const float *price,
                                        const float *strike, const float *years, float rate,
                                        float volatility, int n)
{
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x) {
        float s = price[i], x = strike[i], t = years[i], root = mini_sqrt(t);
        float d1 = (mini_log2(s / x) * 0.69314718f + (rate + 0.5f * volatility * volatility) * t) /
                   (volatility * root);
        float d2 = d1 - volatility * root;
        float c1 = cnd(d1), c2 = cnd(d2), discount = mini_exp2(-rate * t * 1.44269504f);
        call[i] = s * c1 - x * discount * c2;
        put[i] = x * discount * (1.0f - c2) - s * (1.0f - c1);
    }
}
