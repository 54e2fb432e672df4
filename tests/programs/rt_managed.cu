/* Managed memory, if the device says that it has any; otherwise 77. */
#include "rt.h"

__global__ void twice(int *p, int n)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n)
        p[i] *= 2;
}

static void run_allocated()
{
    const int n = 3000;
    int *p;
    cudaPointerAttributes a;

    CHECK(cudaMallocManaged(&p, n * sizeof(int)));
    for (int i = 0; i < n; i++)
        p[i] = i;
    twice<<<(n + 255) / 256, 256>>>(p, n);
    CHECK(cudaGetLastError());
    CHECK(cudaDeviceSynchronize());
    for (int i = 0; i < n; i++)
        EXPECT(p[i] == 2 * i);
    CHECK(cudaPointerGetAttributes(&a, p));
    EXPECT(a.type == cudaMemoryTypeManaged && a.hostPointer == p && a.devicePointer == p);
    CHECK(cudaFree(p));
    FAILS(cudaErrorInvalidValue, cudaMallocManaged(&p, 0));
    FAILS(cudaErrorInvalidValue, cudaMallocManaged(&p, 4, 77));
}

/* nvcc 12's functions take a device, 13's a place. */
#if CUDART_VERSION >= 13000
static const cudaMemLocation gpu = {cudaMemLocationTypeDevice, 0},
                             cpu = {cudaMemLocationTypeHost, 0},
                             second = {cudaMemLocationTypeDevice, 1};
#define PREFETCH(p, size, where) cudaMemPrefetchAsync(p, size, where, 0, 0)
#else
static const int gpu = 0, cpu = cudaCpuDeviceId, second = 1;
#define PREFETCH(p, size, where) cudaMemPrefetchAsync(p, size, where, 0)
#endif

static void run_hints()
{
    const int n = 4096;
    int *p, where;
    char plain;

    CHECK(cudaMallocManaged(&p, n * sizeof(int)));
    for (int i = 0; i < n; i++)
        p[i] = i;
    CHECK(cudaMemAdvise(p, n * sizeof(int), cudaMemAdviseSetReadMostly, gpu));
    CHECK(cudaMemAdvise(p, n * sizeof(int), cudaMemAdviseSetPreferredLocation, cpu));
    CHECK(PREFETCH(p, n * sizeof(int), gpu));
    twice<<<n / 256, 256>>>(p, n);
    CHECK(PREFETCH(p, n * sizeof(int), cpu));
    CHECK(cudaDeviceSynchronize());
    for (int i = 0; i < n; i++)
        EXPECT(p[i] == 2 * i);
    CHECK(cudaMemRangeGetAttribute(&where, sizeof(where), cudaMemRangeAttributePreferredLocation, p,
                                   n * sizeof(int)));
    EXPECT(where == cudaCpuDeviceId);
    FAILS(cudaErrorInvalidValue, cudaMemAdvise(&plain, 1, cudaMemAdviseSetReadMostly, gpu));
    FAILS(cudaErrorInvalidDevice, PREFETCH(p, n * sizeof(int), second));
    CHECK(cudaFree(p));
}

int main()
{
    int managed = 0;

    CHECK(cudaDeviceGetAttribute(&managed, cudaDevAttrManagedMemory, 0));
    if (!managed) {
        void *p;
        FAILS(cudaErrorNotSupported, cudaMallocManaged(&p, 4));
        printf("this device has no managed memory\n");
        return 77;
    }
    run_allocated();
    run_hints();
    printf("managed memory: passed\n");
    return 0;
}
