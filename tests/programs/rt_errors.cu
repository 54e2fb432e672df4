/* What must fail, with which error, and what is left usable afterwards. */
#include "rt.h"
#include <string.h>
#include <thread>

__global__ void set(int *p, int v)
{
    *p = v;
}

__global__ void dynamic(int *out)
{
    extern __shared__ int s[];
    s[threadIdx.x] = threadIdx.x;
    __syncthreads();
    if (!threadIdx.x)
        *out = s[blockDim.x - 1];
}

static void not_a_kernel()
{
}

static void run_arguments()
{
    int *d, v = 0, count;
    void *args[] = {&d, &v};

    CHECK(cudaGetDeviceCount(&count));
    FAILS(cudaErrorInvalidValue, cudaMalloc((void **)nullptr, 4));
    FAILS(cudaErrorInvalidValue, cudaGetDeviceCount(nullptr));
    FAILS(cudaErrorInvalidValue, cudaGetDevice(nullptr));
    FAILS(cudaErrorInvalidValue, cudaStreamCreate(nullptr));
    FAILS(cudaErrorInvalidValue, cudaEventCreate((cudaEvent_t *)nullptr));
    FAILS(cudaErrorInvalidValue, cudaMemGetInfo(nullptr, nullptr));
    FAILS(cudaErrorInvalidValue, cudaGetDeviceProperties(nullptr, 0));
    FAILS(cudaErrorInvalidDevice, cudaSetDevice(count));
    FAILS(cudaErrorInvalidDevice, cudaSetDevice(-1));
    FAILS(cudaErrorInvalidDeviceFunction,
          cudaLaunchKernel((const void *)not_a_kernel, dim3(1), dim3(1), args, 0, 0));
    FAILS(cudaErrorInvalidValue, cudaFree(&v));
    CHECK(cudaMalloc(&d, 4));
    FAILS(cudaErrorInvalidMemcpyDirection, cudaMemcpy(d, &v, 4, (cudaMemcpyKind)9));
    FAILS(cudaErrorInvalidValue, cudaMemcpy(nullptr, &v, 4, cudaMemcpyHostToDevice));
    CHECK(cudaFree(d));
}

static void run_shapes()
{
    int *d, v;

    CHECK(cudaMalloc(&d, 4));
    set<<<1, 1>>>(d, 1);
    CHECK(cudaGetLastError());
    set<<<1, 4096>>>(d, 1);
    EXPECT(cudaPeekAtLastError() == cudaErrorInvalidConfiguration);
    EXPECT(cudaGetLastError() == cudaErrorInvalidConfiguration);
    EXPECT(cudaGetLastError() == cudaSuccess);
    set<<<0, 1>>>(d, 1);
    EXPECT(cudaGetLastError() == cudaErrorInvalidConfiguration);
    set<<<1, dim3(1, 1, 65)>>>(d, 1);
    EXPECT(cudaGetLastError() == cudaErrorInvalidConfiguration);
    dynamic<<<1, 32, 1 << 30>>>(d);
    EXPECT(cudaGetLastError() == cudaErrorInvalidValue);
    dynamic<<<1, 32, 128>>>(d);
    CHECK(cudaGetLastError());
    CHECK(cudaMemcpy(&v, d, 4, cudaMemcpyDeviceToHost));
    EXPECT(v == 31);
    CHECK(cudaFree(d));
}

static void run_thread_errors()
{
    cudaError_t other = cudaErrorUnknown;

    EXPECT(cudaMalloc((void **)nullptr, 4) == cudaErrorInvalidValue);
    std::thread([&] { other = cudaPeekAtLastError(); }).join();
    EXPECT(other == cudaSuccess);
    EXPECT(cudaGetLastError() == cudaErrorInvalidValue);
}

static void run_texts()
{
    EXPECT(!strcmp(cudaGetErrorName(cudaErrorIllegalAddress), "cudaErrorIllegalAddress"));
    EXPECT(!strcmp(cudaGetErrorString(cudaSuccess), "no error"));
    EXPECT(!strcmp(cudaGetErrorString((cudaError_t)12345), "unrecognized error code"));
}

/* Last: the context does not survive it. */
static void run_sticky()
{
    int *d;

    CHECK(cudaMalloc(&d, 4));
    set<<<1, 1>>>((int *)16, 1);
    EXPECT(cudaDeviceSynchronize() == cudaErrorIllegalAddress);
    EXPECT(cudaGetLastError() == cudaErrorIllegalAddress);
    EXPECT(cudaMalloc(&d, 4) == cudaErrorIllegalAddress);
    EXPECT(cudaDeviceSynchronize() == cudaErrorIllegalAddress);
}

int main()
{
    run_texts();
    run_arguments();
    run_shapes();
    run_thread_errors();
    run_sticky();
    printf("errors: passed\n");
    return 0;
}
