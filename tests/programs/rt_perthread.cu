/* Compiled for per-thread default streams: everything without a stream goes to the thread's own. */
#define CUDA_API_PER_THREAD_DEFAULT_STREAM
#include "rt.h"
#include <thread>
#include <vector>

__device__ int stored;

__global__ void add(int *p, int v)
{
    p[threadIdx.x] += v;
}

static void work(int t)
{
    int h[64], *d;
    cudaEvent_t e;

    CHECK(cudaMalloc(&d, sizeof(h)));
    CHECK(cudaMemset(d, 0, sizeof(h)));
    CHECK(cudaEventCreate(&e));
    for (int i = 0; i < 50; i++)
        add<<<1, 64>>>(d, t);
    CHECK(cudaGetLastError());
    CHECK(cudaEventRecord(e));
    CHECK(cudaStreamWaitEvent(0, e, 0));
    CHECK(cudaMemcpy(h, d, sizeof(h), cudaMemcpyDeviceToHost));
    for (int i = 0; i < 64; i++)
        EXPECT(h[i] == 50 * t);
    CHECK(cudaMemcpy2D(h, 16, d, 16, 16, 4, cudaMemcpyDeviceToHost));
    CHECK(cudaStreamSynchronize(0));
    CHECK(cudaEventDestroy(e));
    CHECK(cudaFree(d));
}

int main()
{
    std::vector<std::thread> threads;
    int v = 9, back = 0;

    for (int t = 1; t <= 4; t++)
        threads.emplace_back(work, t);
    for (auto &t : threads)
        t.join();
    CHECK(cudaMemcpyToSymbol(stored, &v, sizeof(v)));
    CHECK(cudaMemcpyFromSymbol(&back, stored, sizeof(back)));
    EXPECT(back == 9);
    printf("per-thread default streams: passed\n");
    return 0;
}
