/* Sums by warp shuffles, by shared memory and by atomics, for several types. */
#include "rt.h"

template <typename T> __inline__ __device__ T warp_sum(T v)
{
    for (int d = 16; d; d >>= 1)
        v += __shfl_down_sync(0xffffffffu, v, d);
    return v;
}

template <typename T> __global__ void reduce_shuffle(const T *in, T *out, int n)
{
    __shared__ T partial[32];
    T sum = 0;
    int lane = threadIdx.x % 32, warp = threadIdx.x / 32;

    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x)
        sum += in[i];
    sum = warp_sum(sum);
    if (!lane)
        partial[warp] = sum;
    __syncthreads();
    if (!warp) {
        sum = lane < (int)blockDim.x / 32 ? partial[lane] : T(0);
        sum = warp_sum(sum);
        if (!lane)
            atomicAdd(out, sum);
    }
}

template <typename T> __global__ void reduce_shared(const T *in, T *out, int n)
{
    extern __shared__ unsigned char raw[];
    T *s = (T *)raw;
    int i = blockIdx.x * blockDim.x + threadIdx.x;

    s[threadIdx.x] = i < n ? in[i] : T(0);
    __syncthreads();
    for (int d = blockDim.x / 2; d; d >>= 1) {
        if ((int)threadIdx.x < d)
            s[threadIdx.x] += s[threadIdx.x + d];
        __syncthreads();
    }
    if (!threadIdx.x)
        atomicAdd(out, s[0]);
}

template <typename T> static void run(const char *name, int n)
{
    T *h = (T *)malloc(n * sizeof(T)), *in, *out, got, want = 0;

    for (int i = 0; i < n; i++) {
        h[i] = (T)(i % 9);
        want += h[i];
    }
    CHECK(cudaMalloc(&in, n * sizeof(T)));
    CHECK(cudaMalloc(&out, sizeof(T)));
    CHECK(cudaMemcpy(in, h, n * sizeof(T), cudaMemcpyHostToDevice));

    CHECK(cudaMemset(out, 0, sizeof(T)));
    reduce_shuffle<T><<<8, 256>>>(in, out, n);
    CHECK(cudaGetLastError());
    CHECK(cudaMemcpy(&got, out, sizeof(T), cudaMemcpyDeviceToHost));
    EXPECT(got == want);

    CHECK(cudaMemset(out, 0, sizeof(T)));
    reduce_shared<T><<<(n + 127) / 128, 128, 128 * sizeof(T)>>>(in, out, n);
    CHECK(cudaGetLastError());
    CHECK(cudaMemcpy(&got, out, sizeof(T), cudaMemcpyDeviceToHost));
    EXPECT(got == want);

    CHECK(cudaFree(in));
    CHECK(cudaFree(out));
    free(h);
    printf("reduction of %d %s: passed\n", n, name);
}

int main()
{
    run<int>("int", 100003);
    run<unsigned long long>("unsigned long long", 5000);
    run<float>("float", 40000);
    run<double>("double", 3333);
    return 0;
}
