/* softcuda's streams and events: order, the default stream's rules, waiting, errors that stick. */
/* links: obj/libsoftcuda_driver.a obj/libcuda_api.a obj/libcuda_common.a -lzstd -llz4 -lm */
/* san: thread */
#include "tests/unit/softcuda_fake.h"

#include <dirent.h>
#include <sys/wait.h>

#define MS 1000000ull

static void orders_within_a_stream(void **state)
{
    CUfunction log = fake_function("log");
    CUstream s;
    CUdeviceptr p;
    uint32_t out[3001];

    OK(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
    OK(cuMemAlloc(&p, sizeof(out)));
    OK(cuMemsetD8(p, 0, sizeof(out)));
    for (uint32_t i = 0; i < 3000; i++) /* more than the queue holds */
        OK(fake_launch(log, s, p, i));
    OK(cuStreamSynchronize(s));
    OK(cuMemcpyDtoH(out, p, sizeof(out)));
    assert_int_equal(out[0], 3000);
    for (uint32_t i = 0; i < 3000; i++)
        assert_int_equal(out[i + 1], i);
    OK(cuMemFree(p));
    OK(cuStreamDestroy(s));
}

/* nap in one stream, then a log entry in both: what comes first? */
static void order_of(CUstream first, CUstream second, bool expect_order)
{
    CUfunction log = fake_function("log"), nap = fake_function("nap");
    CUdeviceptr p;
    uint32_t out[3];

    OK(cuMemAlloc(&p, sizeof(out)));
    OK(cuMemsetD8(p, 0, sizeof(out)));
    OK(fake_launch(nap, first, 30 * MS, 0));
    OK(fake_launch(log, first, p, 1));
    OK(fake_launch(log, second, p, 2));
    OK(cuCtxSynchronize());
    OK(cuMemcpyDtoH(out, p, sizeof(out)));
    assert_int_equal(out[0], 2);
    assert_int_equal(out[1], expect_order ? 1 : 2);
    OK(cuMemFree(p));
}

static void default_stream_rules(void **state)
{
    CUstream blocking, free_running;

    OK(cuStreamCreate(&blocking, CU_STREAM_DEFAULT));
    OK(cuStreamCreate(&free_running, CU_STREAM_NON_BLOCKING));
    order_of(NULL, blocking, true);
    order_of(blocking, NULL, true);
    order_of(blocking, CU_STREAM_LEGACY, true);
    order_of(NULL, CU_STREAM_PER_THREAD, true);
    order_of(CU_STREAM_PER_THREAD, NULL, true);
    order_of(NULL, free_running, false);
    order_of(free_running, NULL, false);
    order_of(blocking, CU_STREAM_PER_THREAD, false);
    OK(cuStreamDestroy(blocking));
    OK(cuStreamDestroy(free_running));
}

static void events_order_streams(void **state)
{
    CUfunction log = fake_function("log"), nap = fake_function("nap");
    CUstream a, b;
    CUevent e, never;
    CUdeviceptr p;
    uint32_t out[4];

    OK(cuStreamCreate(&a, CU_STREAM_NON_BLOCKING));
    OK(cuStreamCreate(&b, CU_STREAM_NON_BLOCKING));
    OK(cuEventCreate(&never, CU_EVENT_DEFAULT));
    OK(cuMemAlloc(&p, sizeof(out)));
    for (unsigned flags = 0; flags <= CU_EVENT_DISABLE_TIMING; flags += CU_EVENT_DISABLE_TIMING) {
        OK(cuEventCreate(&e, flags));
        OK(cuMemsetD8(p, 0, sizeof(out)));
        OK(fake_launch(nap, a, 30 * MS, 0));
        OK(fake_launch(log, a, p, 1));
        OK(cuEventRecord(e, a));
        assert_int_equal(cuEventQuery(e), CUDA_ERROR_NOT_READY);
        OK(cuStreamWaitEvent(b, e, 0));
        OK(cuStreamWaitEvent(b, never, 0)); /* one never recorded holds nobody up */
        OK(fake_launch(log, b, p, 2));
        OK(cuStreamSynchronize(b));
        OK(cuEventQuery(e));
        OK(cuMemcpyDtoH(out, p, sizeof(out)));
        assert_int_equal(out[1], 1);
        assert_int_equal(out[2], 2);
        OK(cuEventDestroy(e));
    }
    OK(cuMemFree(p));
    OK(cuEventDestroy(never));
    OK(cuStreamDestroy(a));
    OK(cuStreamDestroy(b));
}

static void events_measure_time(void **state)
{
    CUfunction nap = fake_function("nap");
    CUevent a, b, untimed;
    float ms;

    OK(cuEventCreate(&a, 0));
    OK(cuEventCreate(&b, 0));
    OK(cuEventCreate(&untimed, CU_EVENT_DISABLE_TIMING));
    assert_int_equal(cuEventElapsedTime(&ms, a, b), CUDA_ERROR_INVALID_HANDLE);
    OK(cuEventRecord(a, NULL));
    OK(fake_launch(nap, NULL, 20 * MS, 0));
    OK(cuEventRecord(b, NULL));
    assert_int_equal(cuEventElapsedTime(&ms, a, b), CUDA_ERROR_NOT_READY);
    OK(cuEventSynchronize(b));
    OK(cuEventElapsedTime(&ms, a, b));
    assert_true(ms >= 20 && ms < 2000);
    OK(cuEventRecord(untimed, NULL));
    assert_int_equal(cuEventElapsedTime(&ms, a, untimed), CUDA_ERROR_INVALID_HANDLE);
    assert_int_equal(cuEventElapsedTime(NULL, a, b), CUDA_ERROR_INVALID_HANDLE);
    OK(cuEventDestroy(a));
    OK(cuEventDestroy(b));
    OK(cuEventDestroy(untimed));
    assert_int_equal(cuEventDestroy(a), CUDA_ERROR_INVALID_HANDLE);
}

static void query_and_destroy_while_busy(void **state)
{
    CUfunction nap = fake_function("nap"), add = fake_function("add");
    CUstream s;
    CUdeviceptr p;
    uint32_t v;

    OK(cuMemAlloc(&p, 4));
    OK(cuMemsetD32(p, 0, 1));
    OK(cuStreamCreate(&s, 0));
    OK(cuStreamQuery(s));
    OK(fake_launch(nap, s, 20 * MS, 0));
    OK(fake_launch(add, s, p, 7));
    assert_int_equal(cuStreamQuery(s), CUDA_ERROR_NOT_READY);
    OK(cuStreamDestroy(s)); /* returns; the work goes on */
    assert_int_equal(cuStreamQuery(s), CUDA_ERROR_INVALID_HANDLE);
    OK(cuCtxSynchronize());
    OK(cuMemcpyDtoH(&v, p, 4));
    assert_int_equal(v, 7);
    OK(cuMemFree(p));
}

static void host_fn(void *data)
{
    /* The API is out of bounds in here. */
    *(int *)data = cuMemAlloc((CUdeviceptr *)data, 4) == CUDA_ERROR_NOT_PERMITTED ? 5 : -1;
}

static void callback_fn(CUstream s, CUresult r, void *data)
{
    *(int *)data = 100 + (int)r;
}

static void host_functions(void **state)
{
    uint64_t a = 0, b = 0;

    OK(cuLaunchHostFunc(NULL, host_fn, &a));
    OK(cuStreamAddCallback(NULL, callback_fn, &b, 0));
    assert_int_equal(cuLaunchHostFunc(NULL, NULL, &a), CUDA_ERROR_INVALID_VALUE);
    OK(cuStreamSynchronize(NULL));
    assert_int_equal((int)a, 5);
    assert_int_equal((int)b, 100);
}

static void values_in_memory(void **state)
{
    CUfunction add = fake_function("add");
    CUstream s;
    CUdeviceptr p;
    uint32_t v[4];

    OK(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
    OK(cuMemAlloc(&p, 64));
    OK(cuMemsetD8(p, 0, 64));
    OK(cuStreamWaitValue32(s, p, 3, CU_STREAM_WAIT_VALUE_GEQ));
    OK(fake_launch(add, s, p + 8, 1));
    assert_int_equal(cuStreamQuery(s), CUDA_ERROR_NOT_READY);
    OK(cuStreamWriteValue32(CU_STREAM_PER_THREAD, p, 4, 0));
    OK(cuStreamSynchronize(s));
    OK(cuMemcpyDtoH(v, p, 16));
    assert_int_equal(v[0], 4);
    assert_int_equal(v[2], 1);
    assert_int_equal(cuStreamWriteValue32(s, p + 2, 4, 0), CUDA_ERROR_INVALID_VALUE);
    assert_int_equal(cuStreamWriteValue32(s, p + 64, 4, 0), CUDA_ERROR_INVALID_VALUE);
    OK(cuMemFree(p));
    OK(cuStreamDestroy(s));
}

static void errors_stick(void **state)
{
    CUcontext c, old;
    CUfunction touch;
    CUstream s;
    CUdeviceptr p, q;
    size_t a, b;

    OK(cuCtxCreate_v2(&c, 0, 0));
    touch = fake_function("touch");
    OK(cuStreamCreate(&s, 0));
    OK(cuMemAlloc(&p, 100));
    OK(fake_launch(touch, s, p + 99, 0));
    OK(cuStreamSynchronize(s));
    OK(fake_launch(touch, s, p + 400, 0));
    assert_int_equal(cuStreamSynchronize(s), CUDA_ERROR_ILLEGAL_ADDRESS);
    assert_int_equal(cuCtxSynchronize(), CUDA_ERROR_ILLEGAL_ADDRESS);
    assert_int_equal(cuMemAlloc(&q, 4), CUDA_ERROR_ILLEGAL_ADDRESS);
    assert_int_equal(cuMemGetInfo(&a, &b), CUDA_ERROR_ILLEGAL_ADDRESS);
    assert_int_equal(fake_launch(touch, s, p, 0), CUDA_ERROR_ILLEGAL_ADDRESS);
    OK(cuCtxDestroy(c));
    OK(cuCtxGetCurrent(&old)); /* the fixture's context is well */
    assert_ptr_equal(old, *state);
    OK(cuMemAlloc(&q, 4));
    OK(cuMemFree(q));
}

static void destroying_a_context_stops_its_kernels(void **state)
{
    CUcontext c;
    uint64_t start = xg_now_ns();

    OK(cuCtxCreate_v2(&c, 0, 0));
    OK(fake_launch(fake_function("forever"), NULL, 0, 0));
    OK(cuCtxDestroy(c));
    assert_true(xg_now_ns() - start < 5000 * MS);
    assert_int_equal(cuCtxPushCurrent(c), CUDA_ERROR_INVALID_CONTEXT);
}

static void *hammer(void *arg)
{
    CUdeviceptr p = *(CUdeviceptr *)arg;
    CUfunction add;
    CUcontext c = ((CUcontext *)arg)[1];

    if (cuCtxSetCurrent(c))
        return "context";
    CUmodule m;
    if (cuModuleLoadData(&m, FAKE_PTX) || cuModuleGetFunction(&add, m, "add"))
        return "module";
    for (int i = 0; i < 3000; i++) {
        CUstream s = i % 3 == 0 ? NULL : i % 3 == 1 ? CU_STREAM_PER_THREAD : CU_STREAM_LEGACY;
        if (fake_launch(add, s, p, 1))
            return "launch";
        if (i % 500 == 0 && cuStreamSynchronize(s))
            return "synchronize";
    }
    return cuCtxSynchronize() ? "end" : NULL;
}

static void many_threads(void **state)
{
    struct {
        CUdeviceptr p;
        CUcontext c;
    } shared = {.c = *state};
    pthread_t t[4];
    uint32_t v;

    OK(cuMemAlloc(&shared.p, 4));
    OK(cuMemsetD32(shared.p, 0, 1));
    for (int i = 0; i < 4; i++)
        pthread_create(&t[i], NULL, hammer, &shared);
    for (int i = 0; i < 4; i++) {
        void *failed;
        pthread_join(t[i], &failed);
        assert_null(failed);
    }
    OK(cuMemcpyDtoH(&v, shared.p, 4));
    assert_int_equal(v, 12000);
    OK(cuMemFree(shared.p));
}

static void a_child_process_is_refused(void **state)
{
    int status;
    pid_t child = fork();

    if (!child) {
        CUdeviceptr p;
        _exit(cuMemAlloc(&p, 4) == CUDA_ERROR_NOT_INITIALIZED &&
                      cuInit(0) == CUDA_ERROR_NOT_INITIALIZED
                  ? 0
                  : 1);
    }
    waitpid(child, &status, 0);
    assert_int_equal(status, 0);
    OK(fake_launch(fake_function("empty"), NULL, 0, 0));
    OK(cuCtxSynchronize());
}

static void garbage_handles(void **state)
{
    CUstream s = (CUstream)0x123456789abcdef0;
    CUfunction f = (CUfunction)(uintptr_t)64;
    CUevent e = (CUevent)(uintptr_t)-1;
    int v;

    assert_int_equal(cuStreamSynchronize(s), CUDA_ERROR_INVALID_HANDLE);
    assert_int_equal(cuStreamDestroy(s), CUDA_ERROR_INVALID_HANDLE);
    assert_int_equal(cuStreamDestroy(NULL), CUDA_ERROR_INVALID_HANDLE);
    assert_int_equal(fake_launch(f, NULL, 0, 0), CUDA_ERROR_INVALID_HANDLE);
    assert_int_equal(cuEventRecord(e, NULL), CUDA_ERROR_INVALID_HANDLE);
    assert_int_equal(cuFuncGetAttribute(&v, CU_FUNC_ATTRIBUTE_NUM_REGS, f),
                     CUDA_ERROR_INVALID_HANDLE);
    assert_int_equal(cuModuleUnload((CUmodule)*state), CUDA_ERROR_INVALID_HANDLE);
    assert_int_equal(cuStreamCreate(NULL, 0), CUDA_ERROR_INVALID_VALUE);
    assert_int_equal(cuStreamCreate(&s, 77), CUDA_ERROR_INVALID_VALUE);
}

static unsigned threads_now(void)
{
    DIR *tasks = opendir("/proc/self/task");
    unsigned n = 0;

    while (readdir(tasks))
        n++;
    closedir(tasks);
    return n - 2; /* . and .. */
}

static void most_take(unsigned *most, unsigned now)
{
    *most = now > *most ? now : *most;
}

/* 64 that serve streams, as many again that have just stopped to and are not gone yet, and those of
 * the program. */
enum { STREAMS = 600, THREADS_MOST = 2 * 64 + 16 };

/* All of them go on, whoever waits, and not one thread for each. */
static void many_streams(void **state)
{
    CUfunction log = fake_function("log"), nap = fake_function("nap");
    static CUstream s[STREAMS];
    uint32_t out[4 * STREAMS + 1];
    unsigned most = 0;
    CUdeviceptr p;

    OK(cuMemAlloc(&p, sizeof(out)));
    OK(cuMemsetD8(p, 0, sizeof(out)));
    for (unsigned i = 0; i < STREAMS; i++)
        OK(cuStreamCreate(&s[i], CU_STREAM_NON_BLOCKING));
    for (unsigned round = 0; round < 2; round++)
        for (unsigned i = 0; i < STREAMS; i++) {
            OK(fake_launch(nap, s[i], MS, 0));
            OK(fake_launch(log, s[i], p, i));
            if (i % 8 == 0)
                most_take(&most, threads_now());
        }
    for (unsigned i = 0; i < STREAMS; i++)
        while (cuStreamQuery(s[i]) == CUDA_ERROR_NOT_READY) {
            most_take(&most, threads_now());
            usleep(1000);
        }
    assert_in_range(most, 2, THREADS_MOST);
    OK(cuMemcpyDtoH(out, p, sizeof(out)));
    assert_int_equal(out[0], 2 * STREAMS);
    for (unsigned i = 0; i < STREAMS; i++)
        OK(cuStreamDestroy(s[i]));
    OK(cuMemFree(p));
}

/* Each waits for the one before it, and the last one is asked first. */
static void a_chain_of_streams(void **state)
{
    CUfunction log = fake_function("log"), nap = fake_function("nap");
    static CUstream s[STREAMS];
    static CUevent e[STREAMS];
    uint32_t out[STREAMS + 1];
    CUdeviceptr p;

    OK(cuMemAlloc(&p, sizeof(out)));
    OK(cuMemsetD8(p, 0, sizeof(out)));
    for (unsigned i = 0; i < STREAMS; i++) {
        OK(cuStreamCreate(&s[i], CU_STREAM_NON_BLOCKING));
        OK(cuEventCreate(&e[i], CU_EVENT_DISABLE_TIMING));
        if (i)
            OK(cuStreamWaitEvent(s[i], e[i - 1], 0));
        else
            OK(fake_launch(nap, s[i], 50 * MS, 0));
        OK(fake_launch(log, s[i], p, i));
        OK(cuEventRecord(e[i], s[i]));
    }
    OK(cuStreamSynchronize(s[STREAMS - 1]));
    OK(cuMemcpyDtoH(out, p, sizeof(out)));
    assert_int_equal(out[0], STREAMS);
    for (unsigned i = 0; i < STREAMS; i++) {
        assert_int_equal(out[i + 1], i);
        OK(cuEventDestroy(e[i]));
        OK(cuStreamDestroy(s[i]));
    }
    OK(cuMemFree(p));
}

/* So long that not one thread can go down all of it. */
static void a_chain_without_end(void **state)
{
    enum { LONG = 50000 };
    CUfunction empty = fake_function("empty"), nap = fake_function("nap");
    CUstream *s = calloc(LONG, sizeof(CUstream));
    CUevent e;

    OK(cuEventCreate(&e, CU_EVENT_DISABLE_TIMING));
    for (unsigned i = 0; i < LONG; i++) {
        OK(cuStreamCreate(&s[i], CU_STREAM_NON_BLOCKING));
        if (i)
            OK(cuStreamWaitEvent(s[i], e, 0));
        OK(fake_launch(i ? empty : nap, s[i], 2000 * MS, 0));
        OK(cuEventRecord(e, s[i]));
    }
    OK(cuStreamSynchronize(s[LONG - 1]));
    for (unsigned i = 0; i < LONG; i++)
        OK(cuStreamDestroy(s[i]));
    OK(cuEventDestroy(e));
    free(s);
}

/* A stream whose work does not end keeps its executor busy, but not from others. */
static void busy_streams_take_turns(void **state)
{
    CUfunction nap = fake_function("nap");
    CUstream s[THREADS_MOST];
    CUevent first;

    OK(cuEventCreate(&first, CU_EVENT_DISABLE_TIMING));
    for (unsigned i = 0; i < THREADS_MOST; i++) {
        OK(cuStreamCreate(&s[i], CU_STREAM_NON_BLOCKING));
        for (unsigned n = 0; n < 20; n++)
            OK(fake_launch(nap, s[i], MS, 0));
    }
    OK(cuEventRecord(first, s[THREADS_MOST - 1]));
    for (unsigned n = 0; cuEventQuery(first) == CUDA_ERROR_NOT_READY; n++) {
        assert_in_range(n, 0, 10000);
        for (unsigned i = 0; i < THREADS_MOST - 1; i++)
            if (n < 2000)
                OK(fake_launch(nap, s[i], MS, 0));
        usleep(1000);
    }
    for (unsigned i = 0; i < THREADS_MOST; i++)
        OK(cuStreamDestroy(s[i]));
    OK(cuCtxSynchronize());
    OK(cuEventDestroy(first));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(orders_within_a_stream),
        cmocka_unit_test(default_stream_rules),
        cmocka_unit_test(events_order_streams),
        cmocka_unit_test(events_measure_time),
        cmocka_unit_test(query_and_destroy_while_busy),
        cmocka_unit_test(host_functions),
        cmocka_unit_test(values_in_memory),
        cmocka_unit_test(errors_stick),
        cmocka_unit_test(destroying_a_context_stops_its_kernels),
        cmocka_unit_test(many_threads),
        cmocka_unit_test(many_streams),
        cmocka_unit_test(a_chain_of_streams),
        cmocka_unit_test(a_chain_without_end),
        cmocka_unit_test(busy_streams_take_turns),
        cmocka_unit_test(a_child_process_is_refused),
        cmocka_unit_test(garbage_handles),
    };
    return cmocka_run_group_tests(tests, fake_context, fake_context_end);
}
