/* Streams, events, host functions and callbacks: order within and between streams. */
#include "rt.h"
#include <atomic>
#include <thread>
#include <vector>

__global__ void append(int *list, int *count, int value)
{
    list[(*count)++] = value;
}

__global__ void scale(float *p, int n, float by)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n)
        p[i] *= by;
}

static std::atomic<int> called;

static void on_host(void *data)
{
    called += *(int *)data;
}

static void on_stream(cudaStream_t stream, cudaError_t status, void *data)
{
    if (status == cudaSuccess)
        called += *(int *)data;
}

static void run_order()
{
    int *list, *count, got[6];
    cudaStream_t a, b;
    cudaEvent_t e;

    CHECK(cudaMalloc(&list, sizeof(got)));
    CHECK(cudaMalloc(&count, sizeof(int)));
    CHECK(cudaMemset(count, 0, sizeof(int)));
    CHECK(cudaStreamCreateWithFlags(&a, cudaStreamNonBlocking));
    CHECK(cudaStreamCreateWithFlags(&b, cudaStreamNonBlocking));
    CHECK(cudaEventCreateWithFlags(&e, cudaEventDisableTiming));
    CHECK(cudaDeviceSynchronize());
    for (int i = 0; i < 6; i++) { /* each in the other stream, after an event of the one before */
        cudaStream_t s = i % 2 ? b : a;
        if (i)
            CHECK(cudaStreamWaitEvent(s, e, 0));
        append<<<1, 1, 0, s>>>(list, count, i * i);
        CHECK(cudaGetLastError());
        CHECK(cudaEventRecord(e, s));
    }
    CHECK(cudaEventSynchronize(e));
    CHECK(cudaEventQuery(e));
    CHECK(cudaMemcpy(got, list, sizeof(got), cudaMemcpyDeviceToHost));
    for (int i = 0; i < 6; i++)
        EXPECT(got[i] == i * i);
    CHECK(cudaEventDestroy(e));
    CHECK(cudaStreamDestroy(a));
    CHECK(cudaStreamDestroy(b));
    CHECK(cudaFree(list));
    CHECK(cudaFree(count));
}

static void run_copies()
{
    const int n = 1 << 16, parts = 4, part = n / parts;
    float *h, *d;
    cudaStream_t s[parts];
    cudaEvent_t start, stop;
    float ms;

    CHECK(cudaHostAlloc(&h, n * sizeof(float), cudaHostAllocDefault));
    CHECK(cudaMalloc(&d, n * sizeof(float)));
    CHECK(cudaEventCreate(&start));
    CHECK(cudaEventCreate(&stop));
    for (int i = 0; i < n; i++)
        h[i] = (float)i;
    CHECK(cudaEventRecord(start));
    for (int i = 0; i < parts; i++) {
        size_t at = (size_t)i * part;
        CHECK(cudaStreamCreate(&s[i]));
        CHECK(cudaMemcpyAsync(d + at, h + at, part * sizeof(float), cudaMemcpyHostToDevice, s[i]));
        scale<<<(part + 127) / 128, 128, 0, s[i]>>>(d + at, part, 3.0f);
        CHECK(cudaMemcpyAsync(h + at, d + at, part * sizeof(float), cudaMemcpyDeviceToHost, s[i]));
    }
    CHECK(cudaEventRecord(stop)); /* the legacy stream waits for the others */
    CHECK(cudaEventSynchronize(stop));
    CHECK(cudaEventElapsedTime(&ms, start, stop));
    EXPECT(ms >= 0);
    for (int i = 0; i < n; i++)
        EXPECT(h[i] == 3.0f * i);
    for (int i = 0; i < parts; i++) {
        CHECK(cudaStreamQuery(s[i]));
        CHECK(cudaStreamDestroy(s[i]));
    }
    CHECK(cudaEventDestroy(start));
    CHECK(cudaEventDestroy(stop));
    CHECK(cudaFreeHost(h));
    CHECK(cudaFree(d));
}

static void run_host_functions()
{
    int one = 1, ten = 10;
    cudaStream_t s;

    CHECK(cudaStreamCreate(&s));
    CHECK(cudaLaunchHostFunc(s, on_host, &one));
    CHECK(cudaStreamAddCallback(s, on_stream, &ten, 0));
    CHECK(cudaStreamSynchronize(s));
    EXPECT(called == 11);
    CHECK(cudaStreamDestroy(s));
}

static void run_threads()
{
    std::vector<std::thread> threads;
    std::atomic<int> good(0);

    for (int t = 0; t < 4; t++)
        threads.emplace_back([t, &good] {
            const int n = 1000;
            std::vector<float> h(n, (float)t);
            float *d;

            CHECK(cudaMalloc(&d, n * sizeof(float)));
            for (int round = 0; round < 10; round++) {
                CHECK(cudaMemcpyAsync(d, h.data(), n * sizeof(float), cudaMemcpyHostToDevice,
                                      cudaStreamPerThread));
                scale<<<8, 128, 0, cudaStreamPerThread>>>(d, n, 2.0f);
                CHECK(cudaMemcpyAsync(h.data(), d, n * sizeof(float), cudaMemcpyDeviceToHost,
                                      cudaStreamPerThread));
                CHECK(cudaStreamSynchronize(cudaStreamPerThread));
            }
            good += h[0] == t * 1024.0f && h[n - 1] == t * 1024.0f;
            CHECK(cudaFree(d));
        });
    for (auto &t : threads)
        t.join();
    EXPECT(good == 4);
}

int main()
{
    int least, greatest;
    cudaStream_t s;
    unsigned int flags;

    CHECK(cudaDeviceGetStreamPriorityRange(&least, &greatest));
    EXPECT(least >= greatest);
    CHECK(cudaStreamCreateWithPriority(&s, cudaStreamNonBlocking, greatest));
    CHECK(cudaStreamGetFlags(s, &flags));
    EXPECT(flags == cudaStreamNonBlocking);
    CHECK(cudaStreamDestroy(s));
    run_order();
    run_copies();
    run_host_functions();
    run_threads();
    printf("streams: passed\n");
    return 0;
}
