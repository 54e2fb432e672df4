/* For tests/programs/cudart_hand.c, which registers these by hand. Compiled by clang or by nvcc. */
#ifdef __clang__
#define __global__   __attribute__((global))
#define __device__   __attribute__((device))
#define __constant__ __attribute__((constant))
#define INDEX                                                                                      \
    (__nvvm_read_ptx_sreg_ctaid_x() * __nvvm_read_ptx_sreg_ntid_x() + __nvvm_read_ptx_sreg_tid_x())
#else
#define INDEX (blockIdx.x * blockDim.x + threadIdx.x)
#endif

extern "C" {

__device__ int rt_total = 100;
__constant__ float rt_factor = 1.0f;

__global__ void rt_scale(float *p, int n)
{
    int i = INDEX;
    if (i < n)
        p[i] = p[i] * rt_factor;
}

__global__ void rt_add(int by)
{
    if (INDEX == 0)
        rt_total += by;
}

__global__ void rt_empty(void)
{
}
}
