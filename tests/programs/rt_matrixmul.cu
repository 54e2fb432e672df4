/* Tiled matrix product, as a template over the tile's edge. */
#include "rt.h"

template <int TILE>
__global__ void product(float *c, const float *a, const float *b, int wa, int wb)
{
    __shared__ float as[TILE][TILE], bs[TILE][TILE];
    int x = threadIdx.x, y = threadIdx.y;
    int row = blockIdx.y * TILE + y, col = blockIdx.x * TILE + x;
    float sum = 0;

    for (int t = 0; t < wa; t += TILE) {
        as[y][x] = a[row * wa + t + x];
        bs[y][x] = b[(t + y) * wb + col];
        __syncthreads();
#pragma unroll
        for (int k = 0; k < TILE; k++)
            sum += as[y][k] * bs[k][x];
        __syncthreads();
    }
    c[row * wb + col] = sum;
}

template <int TILE> static void run(int ha, int wa, int wb)
{
    size_t na = (size_t)ha * wa, nb = (size_t)wa * wb, nc = (size_t)ha * wb;
    float *a, *b, *c = (float *)malloc(nc * sizeof(float)), *da, *db, *dc;
    dim3 block(TILE, TILE), grid(wb / TILE, ha / TILE);
    cudaStream_t stream;
    cudaEvent_t start, stop;
    float ms;

    CHECK(cudaMallocHost(&a, na * sizeof(float)));
    CHECK(cudaMallocHost(&b, nb * sizeof(float)));
    for (size_t i = 0; i < na; i++)
        a[i] = (float)(i % 7);
    for (size_t i = 0; i < nb; i++)
        b[i] = (float)(i % 5);
    CHECK(cudaMalloc(&da, na * sizeof(float)));
    CHECK(cudaMalloc(&db, nb * sizeof(float)));
    CHECK(cudaMalloc(&dc, nc * sizeof(float)));
    CHECK(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
    CHECK(cudaEventCreate(&start));
    CHECK(cudaEventCreate(&stop));
    CHECK(cudaMemcpyAsync(da, a, na * sizeof(float), cudaMemcpyHostToDevice, stream));
    CHECK(cudaMemcpyAsync(db, b, nb * sizeof(float), cudaMemcpyHostToDevice, stream));
    CHECK(cudaEventRecord(start, stream));
    product<TILE><<<grid, block, 0, stream>>>(dc, da, db, wa, wb);
    CHECK(cudaGetLastError());
    CHECK(cudaEventRecord(stop, stream));
    CHECK(cudaMemcpyAsync(c, dc, nc * sizeof(float), cudaMemcpyDeviceToHost, stream));
    CHECK(cudaStreamSynchronize(stream));
    CHECK(cudaEventElapsedTime(&ms, start, stop));
    EXPECT(ms >= 0);
    for (int i = 0; i < ha; i += 13)
        for (int j = 0; j < wb; j += 11) {
            float want = 0;
            for (int k = 0; k < wa; k++)
                want += a[i * wa + k] * b[k * wb + j];
            EXPECT(c[i * wb + j] == want);
        }
    CHECK(cudaEventDestroy(start));
    CHECK(cudaEventDestroy(stop));
    CHECK(cudaStreamDestroy(stream));
    CHECK(cudaFree(da));
    CHECK(cudaFree(db));
    CHECK(cudaFree(dc));
    CHECK(cudaFreeHost(a));
    CHECK(cudaFreeHost(b));
    free(c);
    printf("matrixMul<%d> %dx%d by %dx%d: passed\n", TILE, ha, wa, wa, wb);
}

int main()
{
    run<16>(64, 128, 96);
    run<32>(96, 64, 128);
    return 0;
}
