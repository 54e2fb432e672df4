/* cuda_hostwait SECONDS: host functions that take so long, five times over: in stream 0, in a
 * stream that another one comes after by an event, as a callback with stream 0 behind, and with
 * very much behind. What comes after must, and what does not must not. */
/* links: -lcuda */
#include "tests/programs/cuda_common.h"

#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

enum { WORDS = 1 << 20, MANY = 3000 };

static double seconds;
static _Atomic unsigned ran, ended;

static void slow(void *arg)
{
    (void)arg;
    ran++;
    usleep((useconds_t)(seconds * 1e6));
    ended++;
}

static void slow_callback(CUstream s, CUresult status, void *arg)
{
    (void)s;
    MUST(status == CUDA_SUCCESS);
    slow(arg);
}

static void expect(CUdeviceptr p, unsigned value, unsigned functions)
{
    unsigned last = 0;

    CHECK(cuMemcpyDtoH(&last, p + 4 * (WORDS - 1), 4));
    MUST(last == value);
    MUST(ended == functions);
}

int main(int argc, char **argv)
{
    CUdeviceptr p, q;
    CUstream a, b, apart;
    CUevent e;

    seconds = argc > 1 ? atof(argv[1]) : 0.2;
    open_device();
    CHECK(cuMemAlloc(&p, 4 * WORDS));
    CHECK(cuMemAlloc(&q, 4 * WORDS));
    CHECK(cuStreamCreate(&a, CU_STREAM_NON_BLOCKING));
    CHECK(cuStreamCreate(&b, CU_STREAM_NON_BLOCKING));
    CHECK(cuStreamCreate(&apart, CU_STREAM_NON_BLOCKING));
    CHECK(cuEventCreate(&e, CU_EVENT_DISABLE_TIMING));

    /* stream 0, with work before and behind */
    for (unsigned i = 1; i <= 10; i++)
        CHECK(cuMemsetD32Async(p, i, WORDS, NULL));
    CHECK(cuLaunchHostFunc(NULL, slow, NULL));
    for (unsigned i = 11; i <= 50; i++)
        CHECK(cuMemsetD32Async(p, i, WORDS, NULL));
    CHECK(cuMemsetD32Async(q, 5, WORDS, apart)); /* not after it */
    CHECK(cuStreamSynchronize(apart));
    MUST(ended == 0);
    CHECK(cuCtxSynchronize());
    expect(p, 50, 1);
    expect(q, 5, 1);

    /* b comes after a's function */
    CHECK(cuMemsetD32Async(p, 60, WORDS, a));
    CHECK(cuLaunchHostFunc(a, slow, NULL));
    CHECK(cuEventRecord(e, a));
    CHECK(cuMemsetD32Async(q, 61, WORDS, b)); /* before the wait: not after it */
    CHECK(cuStreamWaitEvent(b, e, 0));
    for (unsigned i = 62; i < 100; i++)
        CHECK(cuMemsetD32Async(q, i, WORDS, b));
    CHECK(cuMemsetD32Async(p, 7, 16, apart));
    CHECK(cuStreamSynchronize(apart));
    CHECK(cuStreamSynchronize(b));
    expect(q, 99, 2);
    expect(p, 60, 2);

    /* stream 0 waits for streams that block it */
    CUstream blocking;
    CHECK(cuStreamCreate(&blocking, CU_STREAM_DEFAULT));
    CHECK(cuStreamAddCallback(blocking, slow_callback, NULL, 0));
    CHECK(cuMemsetD32Async(p, 70, WORDS, NULL));
    CHECK(cuStreamSynchronize(NULL));
    expect(p, 70, 3);
    MUST(ran == 3);
    CHECK(cuStreamDestroy(blocking));

    /* more behind it than a driver takes before it makes the program wait */
    CHECK(cuLaunchHostFunc(a, slow, NULL));
    for (unsigned i = 1; i <= MANY; i++) {
        CHECK(cuMemsetD32Async(p + 4 * (WORDS - 16), i, 16, a));
        CHECK(cuEventRecord(e, a));
    }
    CHECK(cuStreamSynchronize(a));
    expect(p, MANY, 4);
    CHECK(cuLaunchHostFunc(a, slow, NULL));
    CHECK(cuEventRecord(e, a));
    for (unsigned i = 1; i <= MANY; i++)
        CHECK(cuStreamWaitEvent(b, e, 0));
    CHECK(cuMemsetD32Async(p, 71, WORDS, b));
    CHECK(cuStreamSynchronize(b));
    expect(p, 71, 5);
    MUST(ran == 5);
    puts("host functions: ok");
    return 0;
}
