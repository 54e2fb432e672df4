/* Prefix sums in two passes, and a histogram with shared and global atomics. */
#include "rt.h"

enum { BLOCK = 256, BINS = 64 };

__global__ void scan_block(const int *in, int *out, int *sums, int n)
{
    __shared__ int s[2][BLOCK];
    int t = threadIdx.x, i = blockIdx.x * BLOCK + t, at = 0;

    s[0][t] = i < n ? in[i] : 0;
    __syncthreads();
    for (int d = 1; d < BLOCK; d <<= 1, at ^= 1) {
        s[at ^ 1][t] = s[at][t] + (t >= d ? s[at][t - d] : 0);
        __syncthreads();
    }
    if (i < n)
        out[i] = s[at][t];
    if (t == BLOCK - 1 && sums)
        sums[blockIdx.x] = s[at][t];
}

__global__ void add_offsets(int *data, const int *offsets, int n)
{
    int i = blockIdx.x * BLOCK + threadIdx.x;
    if (blockIdx.x && i < n)
        data[i] += offsets[blockIdx.x - 1];
}

__global__ void histogram(const unsigned char *data, unsigned int *bins, int n)
{
    __shared__ unsigned int local[BINS];

    if (threadIdx.x < BINS)
        local[threadIdx.x] = 0;
    __syncthreads();
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x)
        atomicAdd(&local[data[i] % BINS], 1u);
    __syncthreads();
    if (threadIdx.x < BINS)
        atomicAdd(&bins[threadIdx.x], local[threadIdx.x]);
}

static void run_scan(int n)
{
    int blocks = (n + BLOCK - 1) / BLOCK, sum = 0, *h = (int *)malloc(n * sizeof(int));
    int *got = (int *)malloc(n * sizeof(int)), *in, *out, *sums, *scanned;

    EXPECT(blocks <= BLOCK);
    for (int i = 0; i < n; i++)
        h[i] = i % 11 - 3;
    CHECK(cudaMalloc(&in, n * sizeof(int)));
    CHECK(cudaMalloc(&out, n * sizeof(int)));
    CHECK(cudaMalloc(&sums, blocks * sizeof(int)));
    CHECK(cudaMalloc(&scanned, blocks * sizeof(int)));
    CHECK(cudaMemcpy(in, h, n * sizeof(int), cudaMemcpyHostToDevice));
    scan_block<<<blocks, BLOCK>>>(in, out, sums, n);
    scan_block<<<1, BLOCK>>>(sums, scanned, nullptr, blocks);
    add_offsets<<<blocks, BLOCK>>>(out, scanned, n);
    CHECK(cudaGetLastError());
    CHECK(cudaMemcpy(got, out, n * sizeof(int), cudaMemcpyDeviceToHost));
    for (int i = 0; i < n; i++) {
        sum += h[i];
        EXPECT(got[i] == sum);
    }
    CHECK(cudaFree(in));
    CHECK(cudaFree(out));
    CHECK(cudaFree(sums));
    CHECK(cudaFree(scanned));
    free(h);
    free(got);
    printf("scan of %d elements: passed\n", n);
}

static void run_histogram(int n)
{
    unsigned char *h = (unsigned char *)malloc(n), *data;
    unsigned int want[BINS] = {0}, got[BINS], *bins, state = 7;

    for (int i = 0; i < n; i++) {
        h[i] = (unsigned char)rt_random(&state);
        want[h[i] % BINS]++;
    }
    CHECK(cudaMalloc(&data, n));
    CHECK(cudaMalloc(&bins, sizeof(got)));
    CHECK(cudaMemset(bins, 0, sizeof(got)));
    CHECK(cudaMemcpy(data, h, n, cudaMemcpyHostToDevice));
    histogram<<<16, 192>>>(data, bins, n);
    CHECK(cudaGetLastError());
    CHECK(cudaMemcpy(got, bins, sizeof(got), cudaMemcpyDeviceToHost));
    for (int i = 0; i < BINS; i++)
        EXPECT(got[i] == want[i]);
    CHECK(cudaFree(data));
    CHECK(cudaFree(bins));
    free(h);
    printf("histogram of %d bytes: passed\n", n);
}

int main()
{
    run_scan(1);
    run_scan(BLOCK * 40 + 17);
    run_histogram(200001);
    return 0;
}
