/* What the runtime says of the device, of kernels and of itself; occupancy; reset. */
#include "rt.h"
#include <string.h>

__global__ void plain(float *p)
{
    __shared__ float s[100];
    s[threadIdx.x % 100] = p[threadIdx.x];
    __syncthreads();
    p[threadIdx.x] = s[99 - threadIdx.x % 100];
}

__global__ void three(int a, double b, char *c)
{
    *c = (char)(a + (int)b);
}

static void run_properties()
{
    cudaDeviceProp p;
    int count, v, device = -1, runtime, driver;
    char id[32];

    CHECK(cudaGetDeviceCount(&count));
    EXPECT(count >= 1);
    CHECK(cudaGetDeviceProperties(&p, 0));
    EXPECT(strlen(p.name) > 0 && p.totalGlobalMem && p.warpSize == 32 && p.major >= 5);
    EXPECT(p.maxThreadsPerBlock >= 256 && p.maxThreadsDim[0] >= 256 && p.maxGridSize[0] > 65535);
    EXPECT(p.multiProcessorCount >= 1 && p.sharedMemPerBlock >= 16384);
    CHECK(cudaDeviceGetAttribute(&v, cudaDevAttrMaxThreadsPerBlock, 0));
    EXPECT(v == p.maxThreadsPerBlock);
    CHECK(cudaDeviceGetAttribute(&v, cudaDevAttrComputeCapabilityMinor, 0));
    EXPECT(v == p.minor);
    CHECK(cudaChooseDevice(&device, &p));
    EXPECT(device >= 0 && device < count);
    CHECK(cudaDeviceGetPCIBusId(id, sizeof(id), 0));
    CHECK(cudaDeviceGetByPCIBusId(&device, id));
    EXPECT(device == 0);
    CHECK(cudaRuntimeGetVersion(&runtime));
    CHECK(cudaDriverGetVersion(&driver));
    EXPECT(runtime / 1000 == CUDART_VERSION / 1000 && driver / 1000 >= runtime / 1000);
    FAILS(cudaErrorInvalidDevice, cudaGetDeviceProperties(&p, count));
}

static void run_functions()
{
    cudaFuncAttributes a;
    cudaKernel_t kernel;
    cudaFunction_t function;
    size_t offset, size, shared;
    const char *name;
    int blocks, block_size, grid;
    char *d, h;
    int x = 3;
    double y = 4.5;
    void *args[] = {&x, &y, &d};
    cudaLaunchConfig_t config = {};

    CHECK(cudaFuncGetAttributes(&a, plain));
    EXPECT(a.sharedSizeBytes == 400 && a.maxThreadsPerBlock >= 256);
    CHECK(cudaFuncGetName(&name, (const void *)three));
    EXPECT(strstr(name, "three"));
    CHECK(cudaFuncGetParamInfo((const void *)three, 1, &offset, &size));
    EXPECT(offset == 8 && size == 8);
    CHECK(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, plain, 128, 0));
    EXPECT(blocks >= 1);
    CHECK(cudaOccupancyMaxPotentialBlockSize(&grid, &block_size, plain, 0, 0));
    EXPECT(grid >= 1 && block_size >= 32);
    CHECK(cudaOccupancyAvailableDynamicSMemPerBlock(&shared, plain, 1, 128));
    CHECK(cudaFuncSetAttribute(plain, cudaFuncAttributeMaxDynamicSharedMemorySize, 1024));
    CHECK(cudaFuncSetCacheConfig(plain, cudaFuncCachePreferShared));

    CHECK(cudaMalloc(&d, 1));
    CHECK(cudaLaunchKernel((const void *)three, dim3(1), dim3(1), args, 0, 0));
    CHECK(cudaMemcpy(&h, d, 1, cudaMemcpyDeviceToHost));
    EXPECT(h == 7);
    x = 10;
    config.gridDim = dim3(1);
    config.blockDim = dim3(1);
    CHECK(cudaLaunchKernelEx(&config, three, x, y, d));
    CHECK(cudaMemcpy(&h, d, 1, cudaMemcpyDeviceToHost));
    EXPECT(h == 14);
    x = 20;
    CHECK(cudaGetKernel(&kernel, (const void *)three));
    CHECK(cudaLaunchKernel((const void *)kernel, dim3(1), dim3(1), args, 0, 0));
    CHECK(cudaMemcpy(&h, d, 1, cudaMemcpyDeviceToHost));
    EXPECT(h == 24);
    CHECK(cudaGetFuncBySymbol(&function, (const void *)three));
    EXPECT(function != nullptr);
    CHECK(cudaFree(d));
}

static void run_limits()
{
    size_t stack;
    unsigned int flags;
    int least, greatest;

    CHECK(cudaDeviceGetLimit(&stack, cudaLimitStackSize));
    CHECK(cudaDeviceGetStreamPriorityRange(&least, &greatest));
    CHECK(cudaGetDeviceFlags(&flags));
    EXPECT(flags & cudaDeviceMapHost);
}

static void run_reset()
{
    float *p, h[4] = {1, 2, 3, 4}, back[4];

    CHECK(cudaMalloc(&p, sizeof(h)));
    CHECK(cudaDeviceReset());
    CHECK(cudaMalloc(&p, sizeof(h)));
    CHECK(cudaMemcpy(p, h, sizeof(h), cudaMemcpyHostToDevice));
    plain<<<1, 4>>>(p);
    CHECK(cudaDeviceSynchronize());
    CHECK(cudaMemcpy(back, p, sizeof(h), cudaMemcpyDeviceToHost));
    CHECK(cudaFree(p));
}

int main()
{
    run_properties();
    run_functions();
    run_limits();
    run_reset();
    printf("device: passed\n");
    return 0;
}
