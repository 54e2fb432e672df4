/* Every way to allocate and to copy: pitched, three-dimensional, pinned, registered,
 * pooled. */
#include "rt.h"
#include <string.h>

__global__ void fill_rows(char *p, size_t pitch, int width, int height)
{
    int x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y * blockDim.y + threadIdx.y;
    if (x < width && y < height)
        p[y * pitch + x] = (char)(x ^ y);
}

__global__ void twice(int *p, int n)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n)
        p[i] *= 2;
}

static void run_pitched()
{
    const int width = 77, height = 33;
    char *d, h[height][100], back[height][width];
    size_t pitch;

    CHECK(cudaMallocPitch(&d, &pitch, width, height));
    EXPECT(pitch >= (size_t)width);
    fill_rows<<<dim3(5, 3), dim3(16, 16)>>>(d, pitch, width, height);
    CHECK(cudaGetLastError());
    memset(h, 99, sizeof(h));
    CHECK(cudaMemcpy2D(h, sizeof(h[0]), d, pitch, width, height, cudaMemcpyDeviceToHost));
    for (int y = 0; y < height; y++)
        for (int x = 0; x < 100; x++)
            EXPECT(h[y][x] == (x < width ? (char)(x ^ y) : 99));
    CHECK(cudaMemset2D(d, pitch, 7, 10, height));
    CHECK(cudaMemcpy2DAsync(back, width, d, pitch, width, height, cudaMemcpyDefault, 0));
    CHECK(cudaDeviceSynchronize());
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++)
            EXPECT(back[y][x] == (x < 10 ? 7 : (char)(x ^ y)));
    FAILS(cudaErrorInvalidPitchValue,
          cudaMemcpy2D(h, width - 1, d, pitch, width, height, cudaMemcpyDeviceToHost));
    CHECK(cudaFree(d));
}

static void run_3d()
{
    cudaExtent e = make_cudaExtent(20, 6, 4);
    unsigned char h[4][6][20], back[4][6][20];
    cudaMemcpy3DParms p = {};
    cudaPitchedPtr d;

    for (int i = 0; i < (int)sizeof(h); i++)
        ((unsigned char *)h)[i] = (unsigned char)i;
    CHECK(cudaMalloc3D(&d, e));
    EXPECT(d.pitch >= 20 && d.xsize == 20 && d.ysize == 6);
    p.srcPtr = make_cudaPitchedPtr(h, 20, 20, 6);
    p.dstPtr = d;
    p.extent = e;
    p.kind = cudaMemcpyHostToDevice;
    CHECK(cudaMemcpy3D(&p));
    CHECK(cudaMemset3D(d, 0xee, make_cudaExtent(5, 2, 3)));
    p.srcPtr = d;
    p.dstPtr = make_cudaPitchedPtr(back, 20, 20, 6);
    p.kind = cudaMemcpyDeviceToHost;
    CHECK(cudaMemcpy3D(&p));
    for (int z = 0; z < 4; z++)
        for (int y = 0; y < 6; y++)
            for (int x = 0; x < 20; x++)
                EXPECT(back[z][y][x] == (x < 5 && y < 2 && z < 3 ? 0xee : h[z][y][x]));
    CHECK(cudaFree(d.ptr));
}

static void run_pinned()
{
    const int n = 2048;
    int *h, *mapped, *plain = (int *)aligned_alloc(4096, n * sizeof(int)), local, can;
    cudaPointerAttributes a;
    unsigned int flags;

    CHECK(cudaHostAlloc(&h, n * sizeof(int), cudaHostAllocMapped));
    CHECK(cudaHostGetDevicePointer(&mapped, h, 0));
    CHECK(cudaHostGetFlags(&flags, h));
    EXPECT(flags & cudaHostAllocMapped);
    for (int i = 0; i < n; i++)
        h[i] = i;
    twice<<<n / 256, 256>>>(mapped, n);
    CHECK(cudaDeviceSynchronize());
    for (int i = 0; i < n; i++)
        EXPECT(h[i] == 2 * i);
    CHECK(cudaPointerGetAttributes(&a, h));
    EXPECT(a.type == cudaMemoryTypeHost && a.hostPointer == h);
    CHECK(cudaFreeHost(h));

    CHECK(cudaPointerGetAttributes(&a, &local));
    EXPECT(a.type == cudaMemoryTypeUnregistered && a.hostPointer == &local && !a.devicePointer);

    CHECK(cudaDeviceGetAttribute(&can, cudaDevAttrHostRegisterSupported, 0));
    if (can) {
        CHECK(cudaHostRegister(plain, n * sizeof(int), cudaHostRegisterDefault));
        CHECK(cudaPointerGetAttributes(&a, plain));
        EXPECT(a.type == cudaMemoryTypeHost);
        CHECK(cudaHostUnregister(plain));
    } else {
        FAILS(cudaErrorNotSupported,
              cudaHostRegister(plain, n * sizeof(int), cudaHostRegisterDefault));
    }
    free(plain);
}

static void run_linear()
{
    size_t before, after, total;
    unsigned char *d, *e, h[1000];
    cudaPointerAttributes a;

    CHECK(cudaMemGetInfo(&before, &total));
    EXPECT(before && before <= total);
    CHECK(cudaMalloc(&d, 64 << 20));
    CHECK(cudaMemGetInfo(&after, &total));
    EXPECT(after <= before - (64 << 20));
    CHECK(cudaMalloc(&e, 1000));
    CHECK(cudaMemset(d, 0x5a, 1000));
    CHECK(cudaMemcpy(e, d, 1000, cudaMemcpyDeviceToDevice));
    CHECK(cudaMemsetAsync(e + 500, 1, 500, 0));
    CHECK(cudaMemcpy(h, e, 1000, cudaMemcpyDefault));
    for (int i = 0; i < 1000; i++)
        EXPECT(h[i] == (i < 500 ? 0x5a : 1));
    CHECK(cudaPointerGetAttributes(&a, d + 100));
    EXPECT(a.type == cudaMemoryTypeDevice && a.devicePointer == d + 100 && a.device == 0);
    CHECK(cudaMemcpyPeer(d, 0, e, 0, 1000));
    CHECK(cudaFree(d));
    CHECK(cudaFree(e));
    CHECK(cudaMalloc(&d, 0));
    EXPECT(!d);
    CHECK(cudaFree(nullptr));
    FAILS(cudaErrorMemoryAllocation, cudaMalloc(&d, total * 2));
}

static void run_pool()
{
    int pools = 0, *p, h[256];
    cudaStream_t s;

    CHECK(cudaDeviceGetAttribute(&pools, cudaDevAttrMemoryPoolsSupported, 0));
    if (!pools)
        return;
    CHECK(cudaStreamCreate(&s));
    CHECK(cudaMallocAsync(&p, sizeof(h), s));
    CHECK(cudaMemsetAsync(p, 1, sizeof(h), s));
    twice<<<1, 256, 0, s>>>(p, 256);
    CHECK(cudaMemcpyAsync(h, p, sizeof(h), cudaMemcpyDeviceToHost, s));
    CHECK(cudaFreeAsync(p, s));
    CHECK(cudaStreamSynchronize(s));
    for (int i = 0; i < 256; i++)
        EXPECT(h[i] == 0x02020202);
    CHECK(cudaStreamDestroy(s));
}

int main()
{
    run_linear();
    run_pitched();
    run_3d();
    run_pinned();
    run_pool();
    printf("memory: passed\n");
    return 0;
}
