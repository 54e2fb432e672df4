/* cuda_graphs: a graph captured from two streams and one made by hand, launched again and again,
 * changed in between. */
/* links: -lcuda */
#include "tests/programs/cuda_common.h"

enum { N = 10000 };

static CUfunction add;
static float host[N];

static void launch(CUstream s, CUdeviceptr a, CUdeviceptr b, CUdeviceptr c)
{
    int n = N;
    void *params[] = {&a, &b, &c, &n};

    CHECK(cuLaunchKernel(add, (N + 255) / 256, 1, 1, 256, 1, 1, 0, s, params, NULL));
}

static void expect_factor(const char *what, CUdeviceptr p, float factor)
{
    CHECK(cuMemcpyDtoH(host, p, sizeof(host)));
    for (int i = 0; i < N; i++)
        MUST(host[i] == factor * (float)i);
    printf("%s: %016llx\n", what, (unsigned long long)hash(host, sizeof(host)));
}

static void captured(CUdeviceptr a)
{
    CUdeviceptr x = upload(NULL, sizeof(host)), y = upload(NULL, sizeof(host));
    CUstream s, t;
    CUevent fork, join;
    CUgraph g;
    CUgraphExec exec;
    size_t nodes = 0;

    CHECK(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
    CHECK(cuStreamCreate(&t, CU_STREAM_NON_BLOCKING));
    CHECK(cuEventCreate(&fork, CU_EVENT_DISABLE_TIMING));
    CHECK(cuEventCreate(&join, CU_EVENT_DISABLE_TIMING));
    CHECK(cuStreamBeginCapture(s, CU_STREAM_CAPTURE_MODE_GLOBAL));
    CHECK(cuMemcpyDtoDAsync(y, a, sizeof(host), s));
    CHECK(cuEventRecord(fork, s));
    CHECK(cuStreamWaitEvent(t, fork, 0));
    launch(t, a, a, x); /* x = 2a, beside: */
    launch(s, y, a, y); /* y = 2a */
    CHECK(cuEventRecord(join, t));
    CHECK(cuStreamWaitEvent(s, join, 0));
    launch(s, x, y, y); /* y = 4a */
    CHECK(cuStreamEndCapture(s, &g));
    CHECK(cuGraphGetNodes(g, NULL, &nodes));
    MUST(nodes == 4);
    CHECK(cuGraphInstantiate(&exec, g, 0));
    for (int i = 0; i < 3; i++) {
        CHECK(cuGraphLaunch(exec, s));
        launch(s, y, a, y); /* work behind it in the same stream */
    }
    CHECK(cuStreamSynchronize(s));
    expect_factor("captured", y, 5);
    CHECK(cuGraphExecDestroy(exec));
    CHECK(cuGraphDestroy(g));
    CHECK(cuEventDestroy(fork));
    CHECK(cuEventDestroy(join));
    CHECK(cuStreamDestroy(s));
    CHECK(cuStreamDestroy(t));
    CHECK(cuMemFree(x));
    CHECK(cuMemFree(y));
}

/* Cooperative launches are nodes too, by either call, and stay so with other parameters. One block
 * is resident on any device. */
static void cooperative(CUdeviceptr a)
{
    CUdeviceptr x = upload(NULL, sizeof(host));
    int n = 256;
    void *first[] = {&a, &a, &x, &n}, *second[] = {&x, &a, &x, &n};
    CUlaunchAttribute attr = {.id = CU_LAUNCH_ATTRIBUTE_COOPERATIVE, .value.cooperative = 1};
    CUlaunchConfig config = {.gridDimX = 1,
                             .gridDimY = 1,
                             .gridDimZ = 1,
                             .blockDimX = 256,
                             .blockDimY = 1,
                             .blockDimZ = 1,
                             .attrs = &attr,
                             .numAttrs = 1};
    CUDA_KERNEL_NODE_PARAMS p = {.func = add,
                                 .gridDimX = 1,
                                 .gridDimY = 1,
                                 .gridDimZ = 1,
                                 .blockDimX = 256,
                                 .blockDimY = 1,
                                 .blockDimZ = 1,
                                 .kernelParams = second};
    CUgraphExecUpdateResultInfo info;
    CUgraphNode node[2];
    size_t nodes = 2;
    CUgraphExec exec;
    CUgraph g, plain;
    CUstream s;

    CHECK(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
    CHECK(cuStreamBeginCapture(s, CU_STREAM_CAPTURE_MODE_GLOBAL));
    CHECK(cuLaunchCooperativeKernel(add, 1, 1, 1, 256, 1, 1, 0, s, first)); /* x = 2a */
    config.hStream = s;
    CHECK(cuLaunchKernelEx(&config, add, second, NULL)); /* x = 3a */
    CHECK(cuStreamEndCapture(s, &g));
    CHECK(cuGraphGetNodes(g, node, &nodes));
    MUST(nodes == 2);
    CHECK(cuGraphInstantiate(&exec, g, 0));
    CHECK(cuGraphLaunch(exec, s));
    CHECK(cuStreamSynchronize(s));
    CHECK(cuMemcpyDtoH(host, x, 256 * sizeof(float)));
    for (int i = 0; i < 256; i++)
        MUST(host[i] == 3 * (float)i);
    puts("cooperative: ok");
    CHECK(cuGraphExecKernelNodeSetParams(exec, node[1], &p));
    CHECK(cuGraphKernelNodeSetParams(node[1], &p));
    CHECK(cuGraphExecUpdate(exec, g, &info));
    CHECK(cuStreamBeginCapture(s, CU_STREAM_CAPTURE_MODE_GLOBAL));
    launch(s, a, a, x);
    launch(s, x, a, x);
    CHECK(cuStreamEndCapture(s, &plain));
    if (on_softcuda()) { /* whether it compares that was not asked of a driver */
        EXPECT(cuGraphExecUpdate(exec, plain, &info), CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE);
        MUST(info.result == CU_GRAPH_EXEC_UPDATE_ERROR_ATTRIBUTES_CHANGED);
    }
    CHECK(cuGraphExecDestroy(exec));
    CHECK(cuGraphDestroy(plain));
    CHECK(cuGraphDestroy(g));
    CHECK(cuStreamDestroy(s));
    CHECK(cuMemFree(x));
}

static void by_hand(CUdeviceptr a)
{
    CUdeviceptr x = upload(NULL, sizeof(host));
    int n = N;
    void *first[] = {&a, &a, &x, &n}, *second[] = {&x, &a, &x, &n}, *other[] = {&x, &x, &x, &n};
    CUDA_KERNEL_NODE_PARAMS p = {.func = add,
                                 .gridDimX = (N + 255) / 256,
                                 .gridDimY = 1,
                                 .gridDimZ = 1,
                                 .blockDimX = 256,
                                 .blockDimY = 1,
                                 .blockDimZ = 1,
                                 .kernelParams = first};
    CUDA_MEMSET_NODE_PARAMS zero = {.dst = x, .elementSize = 4, .width = N, .height = 1};
    CUgraph g;
    CUgraphNode set, k1, k2;
    CUgraphExec exec;
    CUcontext ctx;

    CHECK(cuCtxGetCurrent(&ctx));
    CHECK(cuGraphCreate(&g, 0));
    CHECK(cuGraphAddMemsetNode(&set, g, NULL, 0, &zero, ctx));
    CHECK(cuGraphAddKernelNode(&k1, g, &set, 1, &p));
    p.kernelParams = second;
    CHECK(cuGraphAddKernelNode(&k2, g, &k1, 1, &p));
    CHECK(cuGraphInstantiate(&exec, g, 0));
    CHECK(cuGraphLaunch(exec, NULL));
    expect_factor("by hand", x, 3);
    p.kernelParams = other;
    CHECK(cuGraphExecKernelNodeSetParams(exec, k2, &p));
    CHECK(cuGraphLaunch(exec, NULL));
    expect_factor("changed", x, 4);
    CHECK(cuGraphExecDestroy(exec));
    CHECK(cuGraphDestroy(g));
    CHECK(cuMemFree(x));
}

/* A node says at once what is wrong with its parameters, and keeps those that it has. */
static void refusals(CUdeviceptr a)
{
    int n = N;
    void *args[] = {&a, &a, &a, &n};
    CUDA_KERNEL_NODE_PARAMS kernel = {.func = add,
                                      .gridDimX = 1,
                                      .gridDimY = 1,
                                      .gridDimZ = 1,
                                      .blockDimX = 256,
                                      .blockDimY = 1,
                                      .blockDimZ = 1,
                                      .kernelParams = args},
                            kept;
    CUDA_MEMCPY3D copy = {.srcMemoryType = CU_MEMORYTYPE_HOST,
                          .srcHost = host,
                          .srcPitch = 64,
                          .dstMemoryType = CU_MEMORYTYPE_DEVICE,
                          .dstDevice = a,
                          .dstPitch = 64,
                          .WidthInBytes = 64,
                          .Height = 4,
                          .Depth = 1};
    CUDA_MEMSET_NODE_PARAMS fill = {
        .dst = a, .pitch = 64, .elementSize = 4, .width = 16, .height = 2};
    CUDA_HOST_NODE_PARAMS call = {0};
    CUgraphNode k, c, f, none;
    CUgraphExec exec;
    CUcontext ctx;
    CUgraph g;

    CHECK(cuCtxGetCurrent(&ctx));
    CHECK(cuGraphCreate(&g, 0));
    CHECK(cuGraphAddKernelNode(&k, g, NULL, 0, &kernel));
    CHECK(cuGraphAddMemcpyNode(&c, g, NULL, 0, &copy, ctx));
    CHECK(cuGraphAddMemsetNode(&f, g, NULL, 0, &fill, ctx));
    CHECK(cuGraphInstantiate(&exec, g, 0));
    kernel.gridDimX = 0;
    EXPECT(cuGraphAddKernelNode(&none, g, NULL, 0, &kernel), CUDA_ERROR_INVALID_VALUE);
    EXPECT(cuGraphKernelNodeSetParams(k, &kernel), CUDA_ERROR_INVALID_VALUE);
    EXPECT(cuGraphExecKernelNodeSetParams(exec, k, &kernel), CUDA_ERROR_INVALID_VALUE);
    CHECK(cuGraphKernelNodeGetParams(k, &kept));
    MUST(kept.gridDimX == 1);
    copy.dstPitch = 32;
    EXPECT(cuGraphAddMemcpyNode(&none, g, NULL, 0, &copy, ctx), CUDA_ERROR_INVALID_VALUE);
    EXPECT(cuGraphMemcpyNodeSetParams(c, &copy), CUDA_ERROR_INVALID_VALUE);
    EXPECT(cuGraphExecMemcpyNodeSetParams(exec, c, &copy, ctx), CUDA_ERROR_INVALID_VALUE);
    fill.elementSize = 3;
    EXPECT(cuGraphAddMemsetNode(&none, g, NULL, 0, &fill, ctx), CUDA_ERROR_INVALID_VALUE);
    EXPECT(cuGraphMemsetNodeSetParams(f, &fill), CUDA_ERROR_INVALID_VALUE);
    fill.elementSize = 4;
    fill.dst = 0;
    EXPECT(cuGraphExecMemsetNodeSetParams(exec, f, &fill, ctx), CUDA_ERROR_INVALID_VALUE);
    EXPECT(cuGraphAddHostNode(&none, g, NULL, 0, &call), CUDA_ERROR_INVALID_VALUE);
    CHECK(cuGraphExecDestroy(exec));
    CHECK(cuGraphDestroy(g));
    puts("wrong parameters: refused");
}

int main(void)
{
    open_device();
    add = load_function("vectoradd.ptx", "vectoradd");
    for (int i = 0; i < N; i++)
        host[i] = (float)i;
    CUdeviceptr a = upload(host, sizeof(host));
    captured(a);
    cooperative(a);
    by_hand(a);
    refusals(a);
    return 0;
}
