/*
 * cuda_streams: many streams at once, ordered by events, the default stream's rules, asynchronous
 * copies from pinned and pageable memory, host functions.
 */
/* links: -lcuda */
#include "tests/programs/cuda_common.h"

enum { STREAMS = 8, N = 40000, ROUNDS = 20 };

static CUfunction add;

static void launch(CUstream s, CUdeviceptr a, CUdeviceptr b, CUdeviceptr c)
{
    int n = N;
    void *params[] = {&a, &b, &c, &n};

    CHECK(cuLaunchKernel(add, (N + 255) / 256, 1, 1, 256, 1, 1, 0, s, params, NULL));
}

static void CUDA_CB count_up(void *data)
{
    __atomic_fetch_add((int *)data, 1, __ATOMIC_SEQ_CST);
}

/* x = x + one, ROUNDS times, the rounds passed from stream to stream by events. */
static void relay(void)
{
    CUstream s[STREAMS];
    CUevent e[STREAMS];
    float *host = allocate(N * 4);
    int called = 0;
    uint32_t small[16], back[16];

    for (int i = 0; i < N; i++)
        host[i] = 1;
    memset(small, 5, sizeof(small));
    CUdeviceptr y = upload(NULL, sizeof(small));
    CUdeviceptr one = upload(host, N * 4), x = upload(NULL, N * 4);
    CHECK(cuMemsetD32(x, 0, N));
    CHECK(cuCtxSynchronize()); /* the streams do not wait for it by themselves */
    for (int i = 0; i < STREAMS; i++) {
        CHECK(cuStreamCreate(&s[i], CU_STREAM_NON_BLOCKING));
        CHECK(cuEventCreate(&e[i], CU_EVENT_DISABLE_TIMING));
    }
    for (int r = 0; r < ROUNDS * STREAMS; r++) {
        int i = r % STREAMS;
        if (r)
            CHECK(cuStreamWaitEvent(s[i], e[(i + STREAMS - 1) % STREAMS], 0));
        launch(s[i], x, one, x);
        CHECK(cuLaunchHostFunc(s[i], count_up, &called));
        CHECK(cuEventRecord(e[i], s[i]));
    }
    CHECK(cuMemcpyHtoDAsync(y, small, sizeof(small), s[STREAMS - 1])); /* a driver may wait here */
    memset(small, 6, sizeof(small));
    CHECK(cuMemcpyDtoHAsync(host, x, N * 4, s[STREAMS - 1])); /* pageable: done when it returns */
    for (int i = 0; i < N; i++)
        MUST(host[i] == ROUNDS * STREAMS);
    MUST(called == ROUNDS * STREAMS);
    CHECK(cuMemcpyDtoH(back, y, sizeof(back)));
    MUST(back[0] == 0x05050505 && back[15] == 0x05050505);
    CHECK(cuMemFree(y));
    for (int i = 0; i < STREAMS; i++) {
        CHECK(cuEventDestroy(e[i]));
        CHECK(cuStreamDestroy(s[i]));
    }
    CHECK(cuMemFree(one));
    CHECK(cuMemFree(x));
    free(host);
    printf("relay: %d rounds\n", called);
}

/* Blocking streams and the default one take turns without any event. */
static void default_stream(void)
{
    CUstream s;
    float *host = allocate(N * 4);

    for (int i = 0; i < N; i++)
        host[i] = (float)i;
    CUdeviceptr a = upload(host, N * 4), x = upload(NULL, N * 4), y = upload(NULL, N * 4);
    CHECK(cuStreamCreate(&s, CU_STREAM_DEFAULT));
    for (int r = 0; r < ROUNDS; r++) {
        CHECK(cuMemsetD32Async(x, 0, N, s));
        launch(s, a, a, x);    /* x = 2a */
        launch(NULL, x, a, y); /* y = 3a */
        launch(s, y, x, y);    /* y = 5a */
        launch(NULL, y, a, y); /* y = 6a */
        launch(CU_STREAM_PER_THREAD, y, y, x);
        CHECK(cuStreamSynchronize(CU_STREAM_PER_THREAD)); /* not ordered with s but by this */
    }
    CHECK(cuMemcpyDtoH(host, y, N * 4));
    for (int i = 0; i < N; i++)
        MUST(host[i] == 6.0f * (float)i);
    CHECK(cuStreamDestroy(s));
    CHECK(cuMemFree(a));
    CHECK(cuMemFree(x));
    CHECK(cuMemFree(y));
    printf("default stream: %016llx\n", (unsigned long long)hash(host, N * 4));
    free(host);
}

/* Two halves of the work overlap; the source changes as soon as the API allows. */
static void pipeline(void)
{
    CUstream s[2];
    float *pinned[2], *pageable = allocate(N * 4), *out;
    CUdeviceptr in[2], sum;
    uint64_t h = 0;

    CHECK(cuMemAllocHost((void **)&out, N * 4));
    sum = upload(NULL, N * 4);
    for (int i = 0; i < 2; i++) {
        CHECK(cuStreamCreate(&s[i], CU_STREAM_NON_BLOCKING));
        CHECK(cuMemAllocHost((void **)&pinned[i], N * 4));
        in[i] = upload(NULL, N * 4);
    }
    for (int r = 0; r < ROUNDS; r++) {
        int k = r % 2;
        CHECK(cuStreamSynchronize(s[k])); /* the pinned buffer is free again */
        for (int i = 0; i < N; i++)
            pinned[k][i] = (float)(i + r);
        CHECK(cuMemcpyHtoDAsync(in[k], pinned[k], N * 4, s[k]));
        for (int i = 0; i < N; i++)
            pageable[i] = (float)r;
        CHECK(cuMemcpyHtoDAsync(sum, pageable, 4096, s[k]));
        memset(pageable, 0xff, 4096);
        launch(s[k], in[k], in[k], in[k]);
    }
    for (int k = 0; k < 2; k++) {
        CHECK(cuMemcpyDtoHAsync(out, in[k], N * 4, s[k]));
        CHECK(cuStreamSynchronize(s[k]));
        for (int i = 0; i < N; i++)
            MUST(out[i] == 2.0f * (float)(i + ROUNDS - 2 + k));
        h ^= hash(out, N * 4);
    }
    CHECK(cuMemcpyDtoH(pageable, sum, 4096));
    MUST(pageable[0] == ROUNDS - 1 || pageable[0] == ROUNDS - 2); /* two streams wrote it */
    for (int i = 0; i < 2; i++) {
        CHECK(cuStreamDestroy(s[i]));
        CHECK(cuMemFreeHost(pinned[i]));
        CHECK(cuMemFree(in[i]));
    }
    CHECK(cuMemFreeHost(out));
    CHECK(cuMemFree(sum));
    free(pageable);
    printf("pipeline: %016llx\n", (unsigned long long)h);
}

int main(void)
{
    open_device();
    add = load_function("vectoradd.ptx", "vectoradd");
    relay();
    default_stream();
    pipeline();
    return 0;
}
