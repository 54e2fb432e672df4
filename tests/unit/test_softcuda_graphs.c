/* softcuda's graphs: made by hand and by capture, asked about, changed, launched. */
/* links: obj/libsoftcuda_driver.a obj/libcuda_api.a obj/libcuda_common.a -lzstd -llz4 -lm */
/* san: thread */
#include "tests/unit/softcuda_fake.h"

static CUDA_KERNEL_NODE_PARAMS kernel(CUfunction f, void **params)
{
    return (CUDA_KERNEL_NODE_PARAMS){.func = f,
                                     .gridDimX = 1,
                                     .gridDimY = 1,
                                     .gridDimZ = 1,
                                     .blockDimX = 1,
                                     .blockDimY = 1,
                                     .blockDimZ = 1,
                                     .kernelParams = params};
}

static uint32_t read_u32(CUdeviceptr p)
{
    uint32_t v;

    OK(cuMemcpyDtoH(&v, p, 4));
    return v;
}

static void host_add(void *data)
{
    ++*(int *)data;
}

static void by_hand(void **state)
{
    CUfunction add = fake_function("add");
    CUgraph g;
    CUgraphNode set, k1, k2, host, nodes[8];
    CUgraphExec x;
    CUdeviceptr p;
    uint32_t n = 5;
    int called = 0;
    size_t count;
    CUgraphNodeType type;

    OK(cuMemAlloc(&p, 64));
    void *params[] = {&p, &n};
    CUDA_KERNEL_NODE_PARAMS kp = kernel(add, params), back;
    CUDA_MEMSET_NODE_PARAMS sp = {
        .dst = p, .value = 100, .elementSize = 4, .width = 4, .height = 1};
    CUDA_HOST_NODE_PARAMS hp = {host_add, &called};

    OK(cuGraphCreate(&g, 0));
    OK(cuGraphAddKernelNode(&k1, g, NULL, 0, &kp));
    OK(cuGraphAddMemsetNode(&set, g, NULL, 0, &sp, *state));
    OK(cuGraphAddDependencies(g, &set, &k1, NULL, 1)); /* against the order of making */
    assert_int_equal(cuGraphAddDependencies(g, &set, &k1, NULL, 1), CUDA_ERROR_INVALID_VALUE);
    OK(cuGraphAddKernelNode(&k2, g, &k1, 1, &kp));
    OK(cuGraphAddHostNode(&host, g, &k2, 1, &hp));
    n = 1000; /* the nodes have their own copies */
    count = 8;
    OK(cuGraphGetNodes(g, nodes, &count));
    assert_int_equal(count, 4);
    count = 8;
    OK(cuGraphGetRootNodes(g, nodes, &count));
    assert_int_equal(count, 1);
    assert_ptr_equal(nodes[0], set);
    OK(cuGraphNodeGetType(k2, &type));
    assert_int_equal(type, CU_GRAPH_NODE_TYPE_KERNEL);
    OK(cuGraphKernelNodeGetParams(k2, &back));
    assert_int_equal(*(uint32_t *)back.kernelParams[1], 5);

    OK(cuGraphInstantiate(&x, g, 0));
    for (int i = 0; i < 3; i++)
        OK(cuGraphLaunch(x, NULL));
    OK(cuCtxSynchronize());
    assert_int_equal(read_u32(p), 110);
    assert_int_equal(called, 3);

    CUDA_KERNEL_NODE_PARAMS changed = kernel(add, params);
    OK(cuGraphExecKernelNodeSetParams(x, k2, &changed));
    OK(cuGraphLaunch(x, NULL));
    OK(cuCtxSynchronize());
    assert_int_equal(read_u32(p), 1105);
    OK(cuGraphNodeSetEnabled(x, k2, 0));
    OK(cuGraphLaunch(x, NULL));
    OK(cuCtxSynchronize());
    assert_int_equal(read_u32(p), 105);
    OK(cuGraphDestroyNode(k2));
    assert_int_equal(cuGraphNodeGetType(k2, &type), CUDA_ERROR_INVALID_VALUE);
    OK(cuGraphExecDestroy(x));
    assert_int_equal(cuGraphLaunch(x, NULL), CUDA_ERROR_INVALID_VALUE);
    OK(cuGraphDestroy(g));
    assert_int_equal(cuGraphDestroy(g), CUDA_ERROR_INVALID_VALUE);
    OK(cuMemFree(p));
}

static void cycles_and_children(void **state)
{
    CUgraph inner, outer, clone;
    CUgraphNode a, b, child, found;
    CUgraphExec x;
    CUgraphExecUpdateResultInfo info;
    CUdeviceptr p;
    uint32_t n = 1;

    OK(cuMemAlloc(&p, 4));
    OK(cuMemsetD32(p, 0, 1));
    void *params[] = {&p, &n};
    CUDA_KERNEL_NODE_PARAMS kp = kernel(fake_function("add"), params);
    OK(cuGraphCreate(&inner, 0));
    OK(cuGraphAddKernelNode(&a, inner, NULL, 0, &kp));
    OK(cuGraphAddKernelNode(&b, inner, &a, 1, &kp));
    OK(cuGraphCreate(&outer, 0));
    OK(cuGraphAddChildGraphNode(&child, outer, NULL, 0, inner));
    OK(cuGraphAddKernelNode(&found, outer, &child, 1, &kp));
    OK(cuGraphInstantiate(&x, outer, 0));
    OK(cuGraphLaunch(x, CU_STREAM_PER_THREAD));
    OK(cuCtxSynchronize());
    assert_int_equal(read_u32(p), 3);
    OK(cuGraphClone(&clone, outer));
    OK(cuGraphNodeFindInClone(&found, child, clone));
    n = 10;
    OK(cuGraphDestroy(clone));
    assert_int_equal(cuGraphExecUpdate(x, inner, &info), CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE);
    assert_int_equal(info.result, CU_GRAPH_EXEC_UPDATE_ERROR_NODE_TYPE_CHANGED);
    OK(cuGraphCreate(&clone, 0));
    OK(cuGraphAddChildGraphNode(&child, clone, NULL, 0, inner));
    OK(cuGraphAddKernelNode(&found, clone, &child, 1, &kp)); /* adds ten now */
    OK(cuGraphExecUpdate(x, clone, &info));
    OK(cuGraphDestroy(clone));
    OK(cuGraphLaunch(x, NULL));
    OK(cuCtxSynchronize());
    assert_int_equal(read_u32(p), 15);
    OK(cuGraphExecDestroy(x));
    OK(cuGraphAddDependencies(inner, &b, &a, NULL, 1));
    assert_int_equal(cuGraphInstantiate(&x, inner, 0), CUDA_ERROR_INVALID_VALUE);
    OK(cuGraphDestroy(inner));
    OK(cuGraphDestroy(outer));
    OK(cuMemFree(p));
}

static void captured(void **state)
{
    CUfunction log = fake_function("log");
    CUstream a, b;
    CUevent fork, join;
    CUgraph g;
    CUgraphExec x;
    CUstreamCaptureStatus status;
    CUdeviceptr p;
    size_t count = 0;
    uint32_t out[8];

    OK(cuMemAlloc(&p, sizeof(out)));
    OK(cuStreamCreate(&a, CU_STREAM_NON_BLOCKING));
    OK(cuStreamCreate(&b, CU_STREAM_NON_BLOCKING));
    OK(cuEventCreate(&fork, CU_EVENT_DISABLE_TIMING));
    OK(cuEventCreate(&join, CU_EVENT_DISABLE_TIMING));
    OK(cuStreamBeginCapture(a, CU_STREAM_CAPTURE_MODE_GLOBAL));
    OK(cuStreamIsCapturing(a, &status));
    assert_int_equal(status, CU_STREAM_CAPTURE_STATUS_ACTIVE);
    OK(cuMemsetD8Async(p, 0, sizeof(out), a));
    OK(fake_launch(log, a, p, 1));
    OK(cuEventRecord(fork, a));
    OK(cuStreamWaitEvent(b, fork, 0));
    OK(cuStreamIsCapturing(b, &status));
    assert_int_equal(status, CU_STREAM_CAPTURE_STATUS_ACTIVE);
    OK(fake_launch(log, b, p, 2));
    OK(cuEventRecord(join, b));
    OK(cuStreamWaitEvent(a, join, 0));
    OK(fake_launch(log, a, p, 3));
    OK(cuStreamEndCapture(a, &g));
    assert_int_equal(cuEventQuery(join), CUDA_ERROR_INVALID_VALUE); /* its capture is over */
    OK(cuStreamIsCapturing(b, &status));
    assert_int_equal(status, CU_STREAM_CAPTURE_STATUS_NONE);
    OK(cuGraphGetNodes(g, NULL, &count));
    assert_int_equal(count, 4);
    OK(cuGraphGetEdges(g, NULL, NULL, NULL, &count));
    assert_int_equal(count, 4); /* set-1, 1-2, 1-3, 2-3 */
    OK(cuGraphInstantiate(&x, g, 0));
    for (int i = 0; i < 2; i++) {
        OK(cuGraphLaunch(x, a));
        OK(cuStreamSynchronize(a));
        OK(cuMemcpyDtoH(out, p, sizeof(out)));
        assert_int_equal(out[0], 3);
        for (uint32_t k = 1; k <= 3; k++)
            assert_int_equal(out[k], k);
    }
    OK(cuGraphExecDestroy(x));
    OK(cuGraphDestroy(g));
    OK(cuEventDestroy(fork));
    OK(cuEventDestroy(join));
    OK(cuStreamDestroy(a));
    OK(cuStreamDestroy(b));
    OK(cuMemFree(p));
}

/* The program's own memory, read and written at each launch. */
static void captured_copies(void **state)
{
    uint32_t in[64], out[64];
    CUstream s;
    CUgraph g;
    CUgraphExec x;
    CUdeviceptr p;

    OK(cuMemAlloc(&p, sizeof(in)));
    OK(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
    OK(cuStreamBeginCapture(s, CU_STREAM_CAPTURE_MODE_GLOBAL));
    OK(cuMemcpyHtoDAsync(p, in, sizeof(in), s));
    OK(cuMemcpyDtoHAsync(out, p, sizeof(out), s));
    OK(cuStreamEndCapture(s, &g));
    OK(cuGraphInstantiate(&x, g, 0));
    for (uint32_t i = 0; i < 2; i++) {
        memset(in, (int)i + 1, sizeof(in));
        memset(out, 0, sizeof(out));
        OK(cuGraphLaunch(x, s));
        OK(cuStreamSynchronize(s));
        assert_memory_equal(in, out, sizeof(in));
    }
    OK(cuGraphExecDestroy(x));
    OK(cuGraphDestroy(g));
    OK(cuStreamDestroy(s));
    OK(cuMemFree(p));
}

/* Memory that a graph works on may go before it runs. */
static void memory_gone(void **state)
{
    CUDA_MEMSET_NODE_PARAMS fill = {.value = 1, .elementSize = 1, .width = 64, .height = 1};
    CUDA_MEMCPY3D copy = {.srcMemoryType = CU_MEMORYTYPE_DEVICE,
                          .dstMemoryType = CU_MEMORYTYPE_DEVICE,
                          .WidthInBytes = 64,
                          .Height = 1,
                          .Depth = 1};
    CUdeviceptr stays, goes;
    CUgraphExec x[2];
    CUgraphNode n;
    CUgraph g[2];

    OK(cuMemAlloc(&stays, 64));
    OK(cuMemAlloc(&goes, 64));
    fill.dst = copy.srcDevice = goes;
    copy.dstDevice = stays;
    for (unsigned i = 0; i < 2; i++) {
        OK(cuGraphCreate(&g[i], 0));
        if (i)
            OK(cuGraphAddMemcpyNode(&n, g[i], NULL, 0, &copy, *state));
        else
            OK(cuGraphAddMemsetNode(&n, g[i], NULL, 0, &fill, *state));
        OK(cuGraphInstantiate(&x[i], g[i], 0));
        OK(cuGraphLaunch(x[i], NULL));
    }
    OK(cuCtxSynchronize());
    OK(cuMemFree(goes));
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(cuGraphLaunch(x[i], NULL), CUDA_ERROR_INVALID_VALUE);
        OK(cuGraphExecDestroy(x[i]));
        OK(cuGraphDestroy(g[i]));
    }
    OK(cuMemFree(stays));
}

static void captures_that_fail(void **state)
{
    CUfunction add = fake_function("add");
    CUstreamCaptureMode mode = CU_STREAM_CAPTURE_MODE_RELAXED;
    CUstream a, b, blocking;
    CUevent e;
    CUgraph g;
    CUdeviceptr p, q;

    OK(cuMemAlloc(&p, 4));
    OK(cuStreamCreate(&a, CU_STREAM_NON_BLOCKING));
    OK(cuStreamCreate(&b, CU_STREAM_NON_BLOCKING));
    OK(cuEventCreate(&e, CU_EVENT_DISABLE_TIMING));
    assert_int_equal(cuStreamBeginCapture(NULL, 0), CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
    assert_int_equal(cuStreamEndCapture(a, &g), CUDA_ERROR_ILLEGAL_STATE);

    /* A call that would wait for the device invalidates. */
    OK(cuStreamBeginCapture(a, CU_STREAM_CAPTURE_MODE_GLOBAL));
    assert_int_equal(cuCtxSynchronize(), CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
    assert_int_equal(fake_launch(add, a, p, 1), CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
    assert_int_equal(cuStreamEndCapture(a, &g), CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
    assert_null(g);
    OK(cuStreamBeginCapture(a, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL));
    assert_int_equal(cuMemAlloc(&q, 4), CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
    assert_int_equal(cuStreamEndCapture(a, &g), CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
    OK(cuStreamBeginCapture(a, CU_STREAM_CAPTURE_MODE_RELAXED));
    assert_int_equal(cuStreamSynchronize(a), CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
    assert_int_equal(cuStreamEndCapture(a, &g), CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);

    /* A thread that has said that it knows what it does. */
    OK(cuStreamBeginCapture(a, CU_STREAM_CAPTURE_MODE_GLOBAL));
    OK(cuThreadExchangeStreamCaptureMode(&mode));
    OK(cuMemAlloc(&q, 4));
    OK(cuMemFree(q));
    OK(cuThreadExchangeStreamCaptureMode(&mode));
    assert_int_equal(mode, CU_STREAM_CAPTURE_MODE_RELAXED);
    OK(cuStreamEndCapture(a, &g));
    OK(cuGraphDestroy(g));

    /* What is done at once waits for the streams that block the legacy one, and for no others. */
    OK(cuStreamBeginCapture(a, CU_STREAM_CAPTURE_MODE_GLOBAL));
    OK(cuMemsetD8(p, 1, 4));
    OK(cuStreamEndCapture(a, &g));
    OK(cuGraphDestroy(g));
    OK(cuStreamCreate(&blocking, CU_STREAM_DEFAULT));
    OK(cuStreamBeginCapture(blocking, CU_STREAM_CAPTURE_MODE_RELAXED));
    assert_int_equal(cuMemsetD8(p, 1, 4), CUDA_ERROR_STREAM_CAPTURE_IMPLICIT);
    assert_int_equal(cuStreamEndCapture(blocking, &g), CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
    OK(cuStreamDestroy(blocking));

    /* Relaxed: it does not. */
    OK(cuStreamBeginCapture(a, CU_STREAM_CAPTURE_MODE_RELAXED));
    OK(cuCtxSynchronize());
    /* Work in a stream that joined and never came back. */
    OK(fake_launch(add, a, p, 1));
    OK(cuEventRecord(e, a));
    OK(cuStreamWaitEvent(b, e, 0));
    OK(fake_launch(add, b, p, 1));
    assert_int_equal(cuStreamEndCapture(b, &g), CUDA_ERROR_STREAM_CAPTURE_UNMATCHED);
    assert_int_equal(cuStreamEndCapture(a, &g), CUDA_ERROR_STREAM_CAPTURE_UNJOINED);
    OK(fake_launch(add, b, p, 1)); /* both work as before */

    OK(cuStreamBeginCapture(a, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL));
    OK(fake_launch(add, a, p, 1));
    OK(cuStreamDestroy(a));
    OK(cuStreamSynchronize(b));
    OK(cuEventDestroy(e));
    OK(cuStreamDestroy(b));
    OK(cuMemFree(p));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(by_hand),     cmocka_unit_test(cycles_and_children),
        cmocka_unit_test(captured),    cmocka_unit_test(captured_copies),
        cmocka_unit_test(memory_gone), cmocka_unit_test(captures_that_fail),
    };
    return cmocka_run_group_tests(tests, fake_context, fake_context_end);
}
