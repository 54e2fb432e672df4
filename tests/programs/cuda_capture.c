/* cuda_capture: what is refused while a stream is captured, by the modes of captures and threads,
 * and what it does to the capture. */
/* links: -lcuda */
#include <pthread.h>

#include "tests/programs/cuda_common.h"

static CUstream stream;
static CUdeviceptr memory;

static void begin(CUstreamCaptureMode mode)
{
    CHECK(cuStreamBeginCapture(stream, mode));
    CHECK(cuMemsetD32Async(memory, 1, 1, stream));
}

static void end(const char *what, CUresult expected)
{
    CUgraph g = NULL;
    CUresult r = cuStreamEndCapture(stream, &g);

    printf("%s: %s\n", what, error_name(r));
    MUST(r == expected);
    MUST((g != NULL) == (r == CUDA_SUCCESS));
    if (g)
        CHECK(cuGraphDestroy(g));
}

static CUresult try_memory(void)
{
    CUdeviceptr p = 0;
    CUresult r = cuMemAlloc(&p, 64);

    if (r == CUDA_SUCCESS)
        CHECK(cuMemFree(p));
    return r;
}

static void *elsewhere(void *ctx)
{
    CHECK(cuCtxSetCurrent(ctx));
    return (void *)(uintptr_t)try_memory();
}

static CUresult in_a_thread(CUcontext ctx)
{
    pthread_t t;
    void *r;

    MUST(pthread_create(&t, NULL, elsewhere, ctx) == 0);
    MUST(pthread_join(t, &r) == 0);
    return (CUresult)(uintptr_t)r;
}

static void modes(CUcontext ctx)
{
    CUstreamCaptureMode mode = CU_STREAM_CAPTURE_MODE_RELAXED;

    begin(CU_STREAM_CAPTURE_MODE_GLOBAL);
    EXPECT(try_memory(), CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
    EXPECT(cuMemsetD32Async(memory, 1, 1, stream), CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
    end("global", CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
    begin(CU_STREAM_CAPTURE_MODE_GLOBAL);
    EXPECT(in_a_thread(ctx), CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
    end("global, another thread", CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);

    begin(CU_STREAM_CAPTURE_MODE_THREAD_LOCAL);
    EXPECT(in_a_thread(ctx), CUDA_SUCCESS);
    end("local to a thread, another one", CUDA_SUCCESS);
    begin(CU_STREAM_CAPTURE_MODE_THREAD_LOCAL);
    EXPECT(try_memory(), CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
    end("local to a thread", CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);

    begin(CU_STREAM_CAPTURE_MODE_RELAXED);
    EXPECT(try_memory(), CUDA_SUCCESS);
    end("relaxed", CUDA_SUCCESS);

    begin(CU_STREAM_CAPTURE_MODE_GLOBAL);
    CHECK(cuThreadExchangeStreamCaptureMode(&mode));
    EXPECT(try_memory(), CUDA_SUCCESS);
    CHECK(cuThreadExchangeStreamCaptureMode(&mode));
    MUST(mode == CU_STREAM_CAPTURE_MODE_RELAXED);
    end("global, in a relaxed thread", CUDA_SUCCESS);
}

/* Events tie streams to a capture, and only to one. */
static void events(void)
{
    CUevent real, captured;
    CUstream other;

    CHECK(cuStreamCreate(&other, CU_STREAM_NON_BLOCKING));
    CHECK(cuEventCreate(&real, 0));
    CHECK(cuEventCreate(&captured, 0));
    CHECK(cuEventRecord(real, other));
    begin(CU_STREAM_CAPTURE_MODE_RELAXED);
    EXPECT(cuStreamWaitEvent(stream, real, 0), CUDA_ERROR_STREAM_CAPTURE_ISOLATION);
    end("work that is not captured", CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);

    begin(CU_STREAM_CAPTURE_MODE_RELAXED);
    CHECK(cuEventRecord(captured, stream));
    CHECK(cuStreamWaitEvent(other, captured, 0));
    CHECK(cuMemsetD32Async(memory + 4, 1, 1, other));
    CHECK(cuEventRecord(captured, other));
    CHECK(cuStreamWaitEvent(stream, captured, 0));
    end("two streams", CUDA_SUCCESS);
    EXPECT(cuEventQuery(captured), CUDA_ERROR_INVALID_VALUE); /* its capture is over */
    CHECK(cuEventRecord(captured, other));
    CHECK(cuEventSynchronize(captured));
    CHECK(cuEventDestroy(real));
    CHECK(cuEventDestroy(captured));
    CHECK(cuStreamDestroy(other));
}

int main(void)
{
    CUcontext ctx;

    CHECK(cuInit(0));
    CHECK(cuCtxCreate_v2(&ctx, 0, 0));
    CHECK(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    CHECK(cuMemAlloc(&memory, 64));
    modes(ctx);
    events();

    begin(CU_STREAM_CAPTURE_MODE_GLOBAL);
    CHECK(cuMemsetD32(memory, 1, 1)); /* this stream does not block the legacy one */
    end("work done at once", CUDA_SUCCESS);
    begin(CU_STREAM_CAPTURE_MODE_RELAXED);
    EXPECT(cuStreamSynchronize(stream), CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
    end("waiting for it", CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);

    begin(CU_STREAM_CAPTURE_MODE_GLOBAL);
    CHECK(cuStreamDestroy(stream));
    EXPECT(try_memory(), CUDA_SUCCESS); /* the capture has ended with it */
    CHECK(cuMemFree(memory));
    CHECK(cuCtxDestroy(ctx));
    return 0;
}
