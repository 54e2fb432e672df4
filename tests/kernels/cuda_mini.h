/*
 * As much CUDA C as the kernels here need, so that they compile with nvcc and also with clang
 * alone: clang -x cuda --cuda-device-only --cuda-path=/nonexistent -nocudainc -nocudalib -Xclang
 * -target-feature -Xclang +ptx64 --cuda-gpu-arch=sm_70 -O2 -S
 */
#ifndef CUDA_MINI_H
#define CUDA_MINI_H

#if defined(__clang__)

#define __global__           __attribute__((global))
#define __device__           __attribute__((device))
#define __shared__           __attribute__((shared))
#define __constant__         __attribute__((constant))
#define __launch_bounds__(n) __attribute__((launch_bounds(n)))
#define __forceinline__      inline __attribute__((always_inline))

typedef unsigned long size_t;

struct mini_dim {
    unsigned x, y, z;
};
#define threadIdx                                                                                  \
    (mini_dim{(unsigned)__nvvm_read_ptx_sreg_tid_x(), (unsigned)__nvvm_read_ptx_sreg_tid_y(),      \
              (unsigned)__nvvm_read_ptx_sreg_tid_z()})
#define blockIdx                                                                                   \
    (mini_dim{(unsigned)__nvvm_read_ptx_sreg_ctaid_x(), (unsigned)__nvvm_read_ptx_sreg_ctaid_y(),  \
              (unsigned)__nvvm_read_ptx_sreg_ctaid_z()})
#define blockDim                                                                                   \
    (mini_dim{(unsigned)__nvvm_read_ptx_sreg_ntid_x(), (unsigned)__nvvm_read_ptx_sreg_ntid_y(),    \
              (unsigned)__nvvm_read_ptx_sreg_ntid_z()})
#define gridDim                                                                                    \
    (mini_dim{(unsigned)__nvvm_read_ptx_sreg_nctaid_x(),                                           \
              (unsigned)__nvvm_read_ptx_sreg_nctaid_y(),                                           \
              (unsigned)__nvvm_read_ptx_sreg_nctaid_z()})

#define MINI __attribute__((device, always_inline)) static inline

/* __syncthreads is a builtin of clang's */
MINI void __threadfence()
{
    __nvvm_membar_gl();
}
MINI int atomicAdd(int *p, int v)
{
    return __nvvm_atom_add_gen_i(p, v);
}
MINI unsigned atomicAdd(unsigned *p, unsigned v)
{
    return (unsigned)__nvvm_atom_add_gen_i((int *)p, (int)v);
}
MINI float atomicAdd(float *p, float v)
{
    return __nvvm_atom_add_gen_f(p, v);
}
MINI float __shfl_down_sync(unsigned mask, float v, int by)
{
    return __nvvm_shfl_sync_down_f32(mask, v, by, 31);
}
MINI unsigned __shfl_down_sync(unsigned mask, unsigned v, int by)
{
    return (unsigned)__nvvm_shfl_sync_down_i32(mask, (int)v, by, 31);
}
MINI float __shfl_xor_sync(unsigned mask, float v, int by)
{
    return __nvvm_shfl_sync_bfly_f32(mask, v, by, 31);
}
MINI int __shfl_up_sync(unsigned mask, int v, int by)
{
    return __nvvm_shfl_sync_up_i32(mask, v, by, 0);
}

extern "C" __attribute__((device)) int vprintf(const char *format, void *args);

#else
#include <cstdio>
#endif

/* The hardware's approximations: no library of device functions needed. */
__device__ static __forceinline__ float mini_rsqrt(float x)
{
    float r;
    asm("rsqrt.approx.f32 %0, %1;" : "=f"(r) : "f"(x));
    return r;
}

__device__ static __forceinline__ float mini_sqrt(float x)
{
    float r;
    asm("sqrt.rn.f32 %0, %1;" : "=f"(r) : "f"(x));
    return r;
}

__device__ static __forceinline__ float mini_exp2(float x)
{
    float r;
    asm("ex2.approx.f32 %0, %1;" : "=f"(r) : "f"(x));
    return r;
}

__device__ static __forceinline__ float mini_log2(float x)
{
    float r;
    asm("lg2.approx.f32 %0, %1;" : "=f"(r) : "f"(x));
    return r;
}

#endif
