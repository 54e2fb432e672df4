/* Graphs: built node by node, captured from a stream, updated; 77 where the driver has none. */
#include "rt.h"

__global__ void axpy(float *y, const float *x, float a, int n)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n)
        y[i] += a * x[i];
}

static int hosts;

static void on_host(void *data)
{
    hosts++;
}

enum { N = 1000 };

static void run_capture(float *x, float *y, float *h)
{
    cudaStream_t s;
    cudaGraph_t graph;
    cudaGraphExec_t exec;
    cudaStreamCaptureStatus status;
    size_t nodes = 0;

    CHECK(cudaStreamCreate(&s));
    CHECK(cudaStreamBeginCapture(s, cudaStreamCaptureModeGlobal));
    CHECK(cudaMemsetAsync(y, 0, N * sizeof(float), s));
    axpy<<<8, 128, 0, s>>>(y, x, 2.0f, N);
    axpy<<<8, 128, 0, s>>>(y, x, 3.0f, N);
    CHECK(cudaGetLastError());
    CHECK(cudaStreamIsCapturing(s, &status));
    EXPECT(status == cudaStreamCaptureStatusActive);
    CHECK(cudaStreamEndCapture(s, &graph));
    CHECK(cudaGraphGetNodes(graph, nullptr, &nodes));
    EXPECT(nodes == 3);
    CHECK(cudaGraphInstantiate(&exec, graph, 0));
    for (int i = 0; i < 3; i++)
        CHECK(cudaGraphLaunch(exec, s));
    CHECK(cudaMemcpyAsync(h, y, N * sizeof(float), cudaMemcpyDeviceToHost, s));
    CHECK(cudaStreamSynchronize(s));
    for (int i = 0; i < N; i++)
        EXPECT(h[i] == 5.0f * i);
    CHECK(cudaGraphExecDestroy(exec));
    CHECK(cudaGraphDestroy(graph));
    CHECK(cudaStreamDestroy(s));
}

static cudaGraph_t capture_axpy(cudaStream_t s, float *x, float *y, float a, int times)
{
    cudaGraph_t graph;

    CHECK(cudaStreamBeginCapture(s, cudaStreamCaptureModeRelaxed));
    CHECK(cudaMemsetAsync(y, 0, N * sizeof(float), s));
    for (int i = 0; i < times; i++)
        axpy<<<8, 128, 0, s>>>(y, x, a, N);
    CHECK(cudaStreamEndCapture(s, &graph));
    return graph;
}

/* What is captured again replaces the parameters of what was instantiated first, as long as it has
 * the same shape. */
static void run_update(float *x, float *y, float *h)
{
    cudaStream_t s;
    cudaGraphExec_t exec;
    cudaGraphExecUpdateResultInfo info;

    CHECK(cudaStreamCreate(&s));
    cudaGraph_t first = capture_axpy(s, x, y, 1.0f, 2), second = capture_axpy(s, x, y, 10.0f, 2),
                longer = capture_axpy(s, x, y, 1.0f, 3);
    CHECK(cudaGraphInstantiate(&exec, first, 0));
    CHECK(cudaGraphExecUpdate(exec, second, &info));
    EXPECT(info.result == cudaGraphExecUpdateSuccess);
    FAILS(cudaErrorGraphExecUpdateFailure, cudaGraphExecUpdate(exec, longer, &info));
    EXPECT(info.result == cudaGraphExecUpdateErrorTopologyChanged);
    CHECK(cudaGraphLaunch(exec, s));
    CHECK(cudaMemcpyAsync(h, y, N * sizeof(float), cudaMemcpyDeviceToHost, s));
    CHECK(cudaStreamSynchronize(s));
    for (int i = 0; i < N; i++)
        EXPECT(h[i] == 20.0f * i);
    CHECK(cudaGraphExecDestroy(exec));
    CHECK(cudaGraphDestroy(first));
    CHECK(cudaGraphDestroy(second));
    CHECK(cudaGraphDestroy(longer));
    CHECK(cudaStreamDestroy(s));
}

static void run_nodes(float *x, float *y, float *h)
{
    cudaGraph_t graph;
    cudaGraphExec_t exec;
    cudaGraphNode_t fill, kernel, host, copy;
    cudaMemsetParams m = {};
    cudaKernelNodeParams k = {}, back = {};
    cudaHostNodeParams f = {on_host, nullptr};
    float a = 4.0f;
    int n = N;
    void *args[] = {&y, &x, &a, &n};

    CHECK(cudaGraphCreate(&graph, 0));
    m.dst = y;
    m.elementSize = 4;
    m.width = N;
    m.height = 1;
    CHECK(cudaGraphAddMemsetNode(&fill, graph, nullptr, 0, &m));
    k.func = (void *)axpy;
    k.gridDim = dim3(8);
    k.blockDim = dim3(128);
    k.kernelParams = args;
    CHECK(cudaGraphAddKernelNode(&kernel, graph, &fill, 1, &k));
    CHECK(cudaGraphKernelNodeGetParams(kernel, &back));
    EXPECT(back.func == (void *)axpy && back.gridDim.x == 8 && back.blockDim.x == 128);
    CHECK(cudaGraphAddHostNode(&host, graph, &kernel, 1, &f));
    CHECK(cudaGraphAddMemcpyNode1D(&copy, graph, &host, 1, h, y, N * sizeof(float),
                                   cudaMemcpyDeviceToHost));
    CHECK(cudaGraphInstantiate(&exec, graph, 0));
    CHECK(cudaGraphLaunch(exec, 0));
    CHECK(cudaDeviceSynchronize());
    for (int i = 0; i < N; i++)
        EXPECT(h[i] == 4.0f * i);
    EXPECT(hosts == 1);
    a = 6.0f;
    CHECK(cudaGraphExecKernelNodeSetParams(exec, kernel, &k));
    CHECK(cudaGraphLaunch(exec, 0));
    CHECK(cudaDeviceSynchronize());
    for (int i = 0; i < N; i++)
        EXPECT(h[i] == 6.0f * i);
    CHECK(cudaGraphExecDestroy(exec));
    CHECK(cudaGraphDestroy(graph));
}

int main()
{
    float *x, *y, *h;
    cudaGraph_t probe;
    cudaError_t e = cudaGraphCreate(&probe, 0);

    if (e == cudaErrorNotSupported) {
        printf("this driver has no graphs\n");
        return 77;
    }
    CHECK(e);
    CHECK(cudaGraphDestroy(probe));
    CHECK(cudaMallocHost(&h, N * sizeof(float)));
    CHECK(cudaMalloc(&x, N * sizeof(float)));
    CHECK(cudaMalloc(&y, N * sizeof(float)));
    for (int i = 0; i < N; i++)
        h[i] = (float)i;
    CHECK(cudaMemcpy(x, h, N * sizeof(float), cudaMemcpyHostToDevice));
    run_capture(x, y, h);
    run_update(x, y, h);
    run_nodes(x, y, h);
    printf("graphs: passed\n");
    return 0;
}
