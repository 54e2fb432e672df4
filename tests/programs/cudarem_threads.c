/*
 * cudarem_threads [THREADS [ROUNDS]]: many threads in one context, each with a stream of its own:
 * copies, launches, host functions and waits at once. Every thread checks its own numbers; the
 * default stream and the per-thread ones take part.
 */
/* links: -lcuda */
#include "tests/programs/cuda_common.h"

#include <pthread.h>

enum { N = 5000 };

static CUcontext ctx;
static CUfunction add;
static int rounds = 20;
static _Atomic int calls;

static void CUDA_CB count(void *data)
{
    (void)data;
    calls++;
}

static void *work(void *arg)
{
    int id = (int)(intptr_t)arg, n = N;
    float *h = malloc(N * sizeof(float)), *pinned;
    CUdeviceptr x, y;
    CUstream s;
    CUevent e;

    CHECK(cuCtxSetCurrent(ctx));
    CHECK(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
    CHECK(cuEventCreate(&e, CU_EVENT_DISABLE_TIMING));
    CHECK(cuMemAllocHost((void **)&pinned, N * sizeof(float)));
    for (int r = 0; r < rounds; r++) {
        CHECK(cuMemAlloc(&x, N * sizeof(float)));
        CHECK(cuMemAlloc(&y, N * sizeof(float)));
        for (int i = 0; i < N; i++)
            h[i] = pinned[i] = (float)(id * 1000 + r + i % 7);
        CHECK(cuMemcpyHtoDAsync(x, h, N * sizeof(float), s));
        CHECK(cuMemcpyHtoDAsync(y, pinned, N * sizeof(float), s));
        for (int k = 0; k < 10; k++) {
            void *params[] = {&x, &y, &y, &n};
            CHECK(cuLaunchKernel(add, (N + 127) / 128, 1, 1, 128, 1, 1, 0, s, params, NULL));
        }
        CHECK(cuLaunchHostFunc(s, count, NULL));
        CHECK(cuEventRecord(e, s));
        if (r % 3 == 0)
            CHECK(cuEventSynchronize(e));
        if (r % 2)
            CHECK(cuMemcpyDtoHAsync(h, y, N * sizeof(float), s));
        else
            CHECK(cuMemcpyDtoHAsync(pinned, y, N * sizeof(float), s));
        while (r % 5 == 4 && cuEventQuery(e) == CUDA_ERROR_NOT_READY)
            ;
        CHECK(cuStreamSynchronize(s));
        for (int i = 0; i < N; i++) {
            float want = 11 * (float)(id * 1000 + r + i % 7);
            MUST((r % 2 ? h[i] : pinned[i]) == want);
        }
        CHECK(cuMemFree(x));
        CHECK(cuMemFree(y));
    }
    CHECK(cuEventDestroy(e));
    CHECK(cuStreamDestroy(s));
    CHECK(cuMemFreeHost(pinned));
    free(h);
    return NULL;
}

int main(int argc, char **argv)
{
    int threads = argc > 1 ? atoi(argv[1]) : 8;
    pthread_t t[64];

    rounds = argc > 2 ? atoi(argv[2]) : rounds;
    MUST(threads > 0 && threads <= 64);
    ctx = open_device();
    add = load_function("vectoradd.ptx", "vectoradd");
    for (int i = 0; i < threads; i++)
        MUST(pthread_create(&t[i], NULL, work, (void *)(intptr_t)i) == 0);
    for (int i = 0; i < threads; i++)
        pthread_join(t[i], NULL);
    CHECK(cuCtxSynchronize());
    printf("%d threads, %d rounds, %d host functions: right\n", threads, rounds, (int)calls);
    return calls == threads * rounds ? 0 : 1;
}
