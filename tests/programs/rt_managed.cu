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
    printf("managed memory: passed\n");
    return 0;
}
