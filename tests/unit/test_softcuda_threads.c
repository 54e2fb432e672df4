/* softcuda as a whole, driver and engine, used by several threads at once: streams, events, host
 * functions, copies, modules that come and go. */
/* links: obj/libsoftcuda_driver.a obj/libscptx.a obj/libcuda_api.a obj/libcuda_common.a -lzstd -llz4 -lm */
/* san: thread */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "protocol/base.h"
#include "cuda/abi/alias.h"

enum { THREADS = 4, ROUNDS = 25, N = 4096 };

/* add: x[i] += v, over the grid; count: atomically adds 1 to *x for each thread. */
static const char ptx[] =
    ".version 7.0\n.target sm_70\n.address_size 64\n"
    ".visible .entry add(.param .u64 x,.param .u32 v){.reg .b64 %d<4>;.reg .b32 %r<8>;\n"
    "ld.param.u64 %d0,[x];ld.param.u32 %r0,[v];mov.u32 %r1,%ctaid.x;mov.u32 %r2,%ntid.x;mov.u32 "
    "%r3,%tid.x;\n"
    "mad.lo.u32 %r4,%r1,%r2,%r3;mul.wide.u32 %d1,%r4,4;add.u64 %d2,%d0,%d1;\n"
    "ld.global.u32 %r5,[%d2];add.u32 %r5,%r5,%r0;st.global.u32 [%d2],%r5;ret;}\n"
    ".visible .entry count(.param .u64 x){.reg .b64 %d<2>;.reg .b32 %r<4>;.reg .pred %p;\n"
    "ld.param.u64 %d0,[x];mov.u32 %r1,200;L: sub.u32 %r1,%r1,1;setp.ne.u32 %p,%r1,0;@%p bra L;\n"
    "red.global.add.u32 [%d0],1;ret;}\n";

#define OK(call) assert_int_equal((call), CUDA_SUCCESS)
/* On threads cmocka cannot report. */
#define MUST(call)                                                                                 \
    do {                                                                                           \
        CUresult r_ = (call);                                                                      \
        if (r_) {                                                                                  \
            fprintf(stderr, "%s:%d: %s: %d\n", __FILE__, __LINE__, #call, (int)r_);                \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

static CUcontext ctx;

static void start(void)
{
    setenv("SOFTCUDA_THREADS", "4", 1);
    setenv("SOFTCUDA_MEMORY", "256M", 1);
    OK(cuInit(0));
    OK(cuDevicePrimaryCtxRetain(&ctx, 0));
    OK(cuCtxSetCurrent(ctx));
}

static void launch(CUfunction f, unsigned grid, unsigned block, CUstream s, CUdeviceptr p,
                   uint32_t v)
{
    void *params[] = {&p, &v};
    MUST(cuLaunchKernel(f, grid, 1, 1, block, 1, 1, 0, s, params, NULL));
}

/* --- each thread with a stream and memory of its own ------------------------------------------ */

static void *own_stream(void *arg)
{
    uint32_t seed = (uint32_t)(uintptr_t)arg, *pinned;
    uint32_t host[N];
    CUmodule m;
    CUfunction add;
    CUstream s;
    CUdeviceptr p;

    MUST(cuCtxSetCurrent(ctx));
    MUST(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
    MUST(cuMemAllocHost((void **)&pinned, sizeof(host)));
    for (uint32_t round = 0; round < ROUNDS; round++) {
        MUST(cuModuleLoadData(&m, ptx));
        MUST(cuModuleGetFunction(&add, m, "add"));
        MUST(cuMemAlloc(&p, sizeof(host)));
        for (uint32_t i = 0; i < N; i++)
            pinned[i] = i;
        MUST(cuMemcpyHtoDAsync(p, pinned, sizeof(host), s));
        for (uint32_t k = 0; k < 4; k++)
            launch(add, N / 128, 128, s, p, seed + round);
        MUST(cuMemcpyDtoHAsync(pinned, p, sizeof(host), s));
        MUST(cuStreamSynchronize(s));
        MUST(cuMemcpyDtoH(host, p, sizeof(host)));
        for (uint32_t i = 0; i < N; i++)
            if (pinned[i] != i + 4 * (seed + round) || host[i] != pinned[i])
                abort();
        MUST(cuMemFree(p));
        MUST(cuModuleUnload(m));
    }
    MUST(cuMemFreeHost(pinned));
    MUST(cuStreamDestroy(s));
    return NULL;
}

static void streams_of_threads(void **state)
{
    pthread_t t[THREADS];

    for (uintptr_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&t[i], NULL, own_stream, (void *)(i * 1000)), 0);
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(t[i], NULL);
}

/* --- one stream after another, by events, submitted from threads that take turns -------------- */

static struct relay {
    pthread_mutex_t lock;
    CUfunction add;
    CUstream s[THREADS];
    CUevent e;
    CUdeviceptr p;
    uint32_t launched, called;
} relay = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void called(void *arg)
{
    ++*(uint32_t *)arg; /* in the relay's order: never two at once */
}

static void *relay_runner(void *arg)
{
    CUstream s = relay.s[(uintptr_t)arg];

    MUST(cuCtxSetCurrent(ctx));
    for (uint32_t round = 0; round < ROUNDS; round++) {
        pthread_mutex_lock(&relay.lock);
        MUST(cuStreamWaitEvent(s, relay.e, 0));
        launch(relay.add, N / 128, 128, s, relay.p, 1);
        MUST(cuLaunchHostFunc(s, called, &relay.called));
        MUST(cuEventRecord(relay.e, s));
        relay.launched++;
        pthread_mutex_unlock(&relay.lock);
        if (round % 8 == 0)
            MUST(cuStreamSynchronize(s));
        (void)cuStreamQuery(s);
        (void)cuEventQuery(relay.e);
    }
    return NULL;
}

static void events_between_streams(void **state)
{
    pthread_t t[THREADS];
    uint32_t host[N];
    CUmodule m;

    OK(cuModuleLoadData(&m, ptx));
    OK(cuModuleGetFunction(&relay.add, m, "add"));
    OK(cuMemAlloc(&relay.p, sizeof(host)));
    OK(cuMemsetD32(relay.p, 0, N));
    OK(cuEventCreate(&relay.e, CU_EVENT_DEFAULT));
    for (unsigned i = 0; i < THREADS; i++)
        OK(cuStreamCreate(&relay.s[i], i % 2 ? CU_STREAM_NON_BLOCKING : CU_STREAM_DEFAULT));
    for (uintptr_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&t[i], NULL, relay_runner, (void *)i), 0);
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(t[i], NULL);
    OK(cuCtxSynchronize());
    OK(cuMemcpyDtoH(host, relay.p, sizeof(host)));
    assert_int_equal(relay.launched, THREADS * ROUNDS);
    assert_int_equal(relay.called, THREADS * ROUNDS);
    for (unsigned i = 0; i < N; i++)
        assert_int_equal(host[i], THREADS * ROUNDS);
    for (unsigned i = 0; i < THREADS; i++)
        OK(cuStreamDestroy(relay.s[i]));
    OK(cuEventDestroy(relay.e));
    OK(cuMemFree(relay.p));
    OK(cuModuleUnload(m));
}

/* --- one kernel, in several streams, while memory comes and goes ------------------------------ */

struct counter {
    CUfunction count;
    CUdeviceptr p;
};

static void *count_often(void *arg)
{
    struct counter *c = arg;
    CUstream s;
    CUdeviceptr other[8];

    MUST(cuCtxSetCurrent(ctx));
    MUST(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
    for (unsigned round = 0; round < ROUNDS; round++) {
        launch(c->count, 40, 64, s, c->p, 0);
        for (unsigned i = 0; i < 8; i++)
            MUST(cuMemAlloc(&other[i], 4096));
        launch(c->count, 40, 64, s, c->p, 0);
        for (unsigned i = 0; i < 8; i++)
            MUST(cuMemFree(other[i]));
    }
    MUST(cuStreamSynchronize(s));
    MUST(cuStreamDestroy(s));
    return NULL;
}

static void one_kernel_everywhere(void **state)
{
    pthread_t t[THREADS];
    struct counter c;
    uint32_t n;
    CUmodule m;

    OK(cuModuleLoadData(&m, ptx));
    OK(cuModuleGetFunction(&c.count, m, "count"));
    OK(cuMemAlloc(&c.p, 4));
    OK(cuMemsetD32(c.p, 0, 1));
    OK(cuCtxSynchronize());
    for (unsigned i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&t[i], NULL, count_often, &c), 0);
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(t[i], NULL);
    OK(cuMemcpyDtoH(&n, c.p, 4));
    assert_int_equal(n, THREADS * ROUNDS * 2 * 40 * 64);
    OK(cuMemFree(c.p));
    OK(cuModuleUnload(m));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(streams_of_threads),
        cmocka_unit_test(events_between_streams),
        cmocka_unit_test(one_kernel_everywhere),
    };
    start();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
