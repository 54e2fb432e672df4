/* The runtime's calls are refused inside a host function, those that wait and those that do not. */
#include "rt.h"

#include <atomic>

static cudaStream_t stream;
static std::atomic<int> refused, others;

static void call(cudaError_t e)
{
    e == cudaErrorNotPermitted ? refused++ : others++;
}

static void inside(void *unused)
{
    void *p;
    int n;
    (void)unused;

    call(cudaStreamSynchronize(stream));
    call(cudaDeviceSynchronize());
    call(cudaMalloc(&p, 16));
    call(cudaFree(0));
    call(cudaMemcpy(&n, &n, sizeof(n), cudaMemcpyDefault));
    call(cudaGetDevice(&n));
    call(cudaSetDevice(0));
    call(cudaStreamQuery(stream));
    call(cudaLaunchHostFunc(stream, inside, NULL));
    EXPECT(cudaGetLastError() == cudaErrorNotPermitted);
}

static void legacy(cudaStream_t s, cudaError_t e, void *unused)
{
    EXPECT(s == stream && e == cudaSuccess);
    inside(unused);
}

int main()
{
    CHECK(cudaStreamCreate(&stream));
    CHECK(cudaLaunchHostFunc(stream, inside, NULL));
    CHECK(cudaStreamSynchronize(stream));
    EXPECT(refused == 9 && others == 0);
    CHECK(cudaStreamAddCallback(stream, legacy, NULL, 0));
    CHECK(cudaStreamSynchronize(stream));
    EXPECT(refused == 18 && others == 0);
    CHECK(cudaGetLastError());
    printf("host functions: passed\n");
    return 0;
}
