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

/* The legacy stream waits for those that synchronise with it, so it is no use while one of them is
 * captured. */
static void legacy(void)
{
    CUstream blocking;
    CUstreamCaptureStatus status;

    CHECK(cuStreamCreate(&blocking, CU_STREAM_DEFAULT));
    for (unsigned turn = 0; turn < 3; turn++) {
        CUgraph g;
        CHECK(cuStreamBeginCapture(blocking, CU_STREAM_CAPTURE_MODE_RELAXED));
        CHECK(cuMemsetD32Async(memory, 1, 1, blocking));
        if (turn == 0)
            EXPECT(cuStreamIsCapturing(NULL, &status), CUDA_ERROR_STREAM_CAPTURE_IMPLICIT);
        else if (turn == 1)
            EXPECT(cuMemsetD32Async(memory, 1, 1, NULL), CUDA_ERROR_STREAM_CAPTURE_IMPLICIT);
        else
            EXPECT(cuMemsetD32(memory, 1, 1), CUDA_ERROR_STREAM_CAPTURE_IMPLICIT);
        CUresult r = cuStreamEndCapture(blocking, &g);
        printf("legacy stream, %u: %s\n", turn, error_name(r));
        MUST(r == (turn ? CUDA_ERROR_STREAM_CAPTURE_INVALIDATED : CUDA_SUCCESS));
        if (g)
            CHECK(cuGraphDestroy(g));
    }
    CHECK(cuStreamDestroy(blocking));
    CHECK(cuMemsetD32(memory, 1, 1));
}

/* Nodes behind those of a graph that is there, and events that are recorded when it runs. */
static void into_a_graph(void)
{
    CUDA_MEMSET_NODE_PARAMS fill = {
        .dst = memory, .value = 7, .elementSize = 4, .width = 1, .height = 1};
    CUstreamCaptureStatus status;
    const CUgraphNode *dep;
    CUgraphNode first;
    CUgraph g, seen;
    CUgraphExec exec;
    CUevent ran;
    uint32_t word[2];
    size_t n;

    CHECK(cuEventCreate(&ran, CU_EVENT_DISABLE_TIMING));
    CHECK(cuGraphCreate(&g, 0));
    CHECK(cuGraphAddMemsetNode(&first, g, NULL, 0, &fill, NULL));
    CHECK(cuStreamBeginCaptureToGraph(stream, g, &first, NULL, 1, CU_STREAM_CAPTURE_MODE_RELAXED));
    CHECK(cuStreamGetCaptureInfo_v2(stream, &status, NULL, &seen, &dep, &n));
    MUST(status == CU_STREAM_CAPTURE_STATUS_ACTIVE && seen == g && n == 1 && dep[0] == first);
    CHECK(cuMemcpyDtoDAsync(memory + 4, memory, 4, stream));
    CHECK(cuEventRecordWithFlags(ran, stream, CU_EVENT_RECORD_EXTERNAL));
    CHECK(cuStreamWaitEvent(stream, ran, CU_EVENT_WAIT_EXTERNAL));
    CHECK(cuStreamEndCapture(stream, &seen));
    MUST(seen == g);
    CHECK(cuGraphGetNodes(g, NULL, &n));
    MUST(n == 4);
    CHECK(cuGraphGetEdges_v2(g, NULL, NULL, NULL, &n));
    MUST(n == 3);
    CHECK(cuGraphInstantiate(&exec, g, 0));
    CHECK(cuGraphLaunch(exec, stream));
    CHECK(cuEventSynchronize(ran));
    CHECK(cuMemcpyDtoH(word, memory, sizeof(word)));
    MUST(word[0] == 7 && word[1] == 7);
    puts("into a graph: ok");
    CHECK(cuGraphExecDestroy(exec));
    CHECK(cuGraphDestroy(g));
    CHECK(cuEventDestroy(ran));
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
    legacy();
    into_a_graph();

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
