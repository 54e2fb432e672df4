/* cuda_graph_update: an executable graph takes the parameters of another graph of its shape; of
 * another shape it does not, and stays as it was. */
/* links: -lcuda */
#include "tests/programs/cuda_common.h"

static CUcontext ctx;
static CUdeviceptr memory; /* 64 words */

struct graph {
    CUgraph g;
    CUgraphNode node[4];
};

static CUgraphNode fill(CUgraph g, CUgraphNode after, unsigned word, unsigned value, unsigned width,
                        unsigned height)
{
    CUDA_MEMSET_NODE_PARAMS p = {.dst = memory + 4 * word,
                                 .pitch = 32,
                                 .value = value,
                                 .elementSize = 4,
                                 .width = width,
                                 .height = height};
    CUgraphNode n;

    CHECK(cuGraphAddMemsetNode(&n, g, after ? &after : NULL, after != NULL, &p, ctx));
    return n;
}

/* Three fills behind each other, of words 0, 1 and 2. */
static struct graph chain(unsigned value)
{
    struct graph c = {0};

    CHECK(cuGraphCreate(&c.g, 0));
    for (unsigned i = 0; i < 3; i++)
        c.node[i] = fill(c.g, i ? c.node[i - 1] : NULL, i, value + i, 1, 1);
    return c;
}

static void word_is(unsigned word, uint32_t want)
{
    uint32_t v;

    CHECK(cuMemcpyDtoH(&v, memory + 4 * word, 4));
    if (v != want)
        fprintf(stderr, "word %u is %u\n", word, v);
    MUST(v == want);
}

static void run(CUgraphExec x)
{
    CHECK(cuGraphLaunch(x, NULL));
    CHECK(cuCtxSynchronize());
}

static bool is_of(CUgraphNode n, const struct graph *g)
{
    return !n || n == g->node[0] || n == g->node[1] || n == g->node[2];
}

/* The update fails with that result, at that node of the new graph. How nodes are paired, and so
 * which does not match, is the driver's affair. */
static void fails(CUgraphExec x, struct graph g, CUgraphExecUpdateResult want, CUgraphNode at,
                  CUgraphNode from, const char *what)
{
    CUgraphExecUpdateResultInfo info;

    memset(&info, 0x55, sizeof(info));
    EXPECT(cuGraphExecUpdate(x, g.g, &info), CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE);
    if (info.result != want)
        fprintf(stderr, "%s: result %d\n", what, (int)info.result);
    MUST(info.result == want);
    if (on_softcuda())
        MUST(info.errorNode == at && info.errorFromNode == from);
    else
        MUST(is_of(info.errorNode, &g) && is_of(info.errorFromNode, &g));
    CHECK(cuGraphDestroy(g.g));
    printf("%s: result %d\n", what, (int)want);
}

static void parameters(void)
{
    CUgraphExecUpdateResultInfo info;
    struct graph first = chain(100), second = chain(200);
    CUDA_MEMSET_NODE_PARAMS p = {
        .dst = memory + 4, .value = 77, .elementSize = 4, .width = 1, .height = 1};
    CUgraphExec x;

    CHECK(cuGraphInstantiate(&x, first.g, 0));
    CHECK(cuGraphNodeSetEnabled(x, first.node[2], 0));
    run(x);
    word_is(0, 100);
    word_is(2, 0);
    CHECK(cuGraphExecUpdate(x, second.g, &info));
    MUST(info.result == CU_GRAPH_EXEC_UPDATE_SUCCESS && !info.errorNode && !info.errorFromNode);
    run(x);
    word_is(0, 200);
    word_is(1, 201);
    word_is(2, 0); /* what was disabled stays so */
    CHECK(cuGraphExecMemsetNodeSetParams(x, first.node[1], &p,
                                         ctx)); /* it is still known by the first graph's nodes */
    CHECK(cuGraphNodeSetEnabled(x, first.node[2], 1));
    CHECK(cuGraphDestroy(second.g));
    run(x);
    word_is(1, 77);
    word_is(2, 202);
    CHECK(cuGraphExecDestroy(x));
    CHECK(cuGraphDestroy(first.g));
    puts("new parameters: taken");
}

static void shapes(void)
{
    struct graph first = chain(10), g;
    CUgraphExecUpdateResultInfo info;
    CUgraphExec x;

    CHECK(cuGraphInstantiate(&x, first.g, 0));
    g = chain(20);
    fill(g.g, g.node[2], 3, 0, 1, 1);
    fails(x, g, CU_GRAPH_EXEC_UPDATE_ERROR_TOPOLOGY_CHANGED, NULL, NULL, "one node more");

    g = (struct graph){0};
    CHECK(cuGraphCreate(&g.g, 0));
    g.node[0] = fill(g.g, NULL, 0, 0, 1, 1);
    g.node[1] = fill(g.g, g.node[0], 0, 0, 1, 1);
    g.node[2] = fill(g.g, g.node[0], 0, 0, 1, 1);
    fails(x, g, CU_GRAPH_EXEC_UPDATE_ERROR_TOPOLOGY_CHANGED, g.node[2], g.node[0],
          "another dependency");

    g = chain(20);
    CHECK(cuGraphAddDependencies(g.g, &g.node[0], &g.node[2], NULL, 1));
    fails(x, g, CU_GRAPH_EXEC_UPDATE_ERROR_TOPOLOGY_CHANGED, g.node[2], NULL,
          "one dependency more");

    g = (struct graph){0};
    CHECK(cuGraphCreate(&g.g, 0));
    g.node[0] = fill(g.g, NULL, 0, 0, 1, 1);
    CHECK(cuGraphAddEmptyNode(&g.node[1], g.g, &g.node[0], 1));
    g.node[2] = fill(g.g, g.node[1], 0, 0, 1, 1);
    fails(x, g, CU_GRAPH_EXEC_UPDATE_ERROR_NODE_TYPE_CHANGED, g.node[1], NULL,
          "another kind of node");

    EXPECT(cuGraphExecUpdate(x, NULL, &info), CUDA_ERROR_INVALID_VALUE);
    if (on_softcuda()) /* that there is a result of an update that was none is not promised */
        MUST(info.result == CU_GRAPH_EXEC_UPDATE_ERROR);
    EXPECT(cuGraphExecUpdate(NULL, first.g, &info), CUDA_ERROR_INVALID_VALUE);
    CHECK(cuGraphExecUpdate(x, first.g, NULL)); /* nobody need ask for it */
    run(x);
    word_is(2, 12); /* as it was */
    CHECK(cuGraphExecDestroy(x));
    CHECK(cuGraphDestroy(first.g));
}

/* Nodes are paired from those that nothing depends on, in the order in which they became so. One
 * that had another node behind it for a while is the last of them, which a driver takes for another
 * shape even of the graph that the executable one was made from. */
static void sinks(void)
{
    CUgraphExecUpdateResultInfo info;
    CUgraphNode first, behind;
    CUgraphExec x, y;
    CUgraph g;

    CHECK(cuGraphCreate(&g, 0));
    CHECK(cuGraphAddEmptyNode(&first, g, NULL, 0));
    fill(g, NULL, 0, 600, 1, 1);
    CHECK(cuGraphInstantiate(&x, g, 0));
    CHECK(cuGraphExecUpdate(x, g, &info));
    CHECK(cuGraphAddEmptyNode(&behind, g, &first, 1));
    CHECK(cuGraphDestroyNode(behind));
    EXPECT(cuGraphExecUpdate(x, g, &info), CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE);
    if (on_softcuda()) /* which of the results it has was not asked of a driver */
        MUST(info.result == CU_GRAPH_EXEC_UPDATE_ERROR_TOPOLOGY_CHANGED);
    CHECK(cuGraphInstantiate(&y, g, 0)); /* of the graph as it is now */
    CHECK(cuGraphExecUpdate(y, g, &info));
    run(x);
    word_is(0, 600);
    CHECK(cuGraphExecDestroy(x));
    CHECK(cuGraphExecDestroy(y));
    CHECK(cuGraphDestroy(g));
    puts("the order of sinks: kept to");
}

/* Fills of one row may grow, those of several may not; copies stay between the same kinds of
 * memory. */
static void limits(void)
{
    static uint32_t host[8];
    CUDA_MEMCPY3D copy = {.srcMemoryType = CU_MEMORYTYPE_DEVICE,
                          .srcDevice = memory,
                          .dstMemoryType = CU_MEMORYTYPE_DEVICE,
                          .dstDevice = memory + 128,
                          .WidthInBytes = 4,
                          .Height = 1,
                          .Depth = 1};
    struct graph first = {0}, g;
    CUgraphExecUpdateResultInfo info;
    CUgraphExec x;

    for (unsigned turn = 0; turn < 4; turn++) {
        g = (struct graph){0};
        CHECK(cuGraphCreate(&g.g, 0));
        g.node[0] = fill(g.g, NULL, 0, 50 + turn, turn == 1 ? 2 : 1, 1);
        g.node[1] = fill(g.g, g.node[0], 4, 60 + turn, turn == 2 ? 3 : 2, 2);
        if (turn == 3)
            copy = (CUDA_MEMCPY3D){.srcMemoryType = CU_MEMORYTYPE_HOST,
                                   .srcHost = host,
                                   .dstMemoryType = CU_MEMORYTYPE_DEVICE,
                                   .dstDevice = memory + 128,
                                   .WidthInBytes = 4,
                                   .Height = 1,
                                   .Depth = 1};
        CHECK(cuGraphAddMemcpyNode(&g.node[2], g.g, &g.node[1], 1, &copy, ctx));
        if (turn == 0) {
            first = g;
            CHECK(cuGraphInstantiate(&x, g.g, 0));
        } else if (turn == 1) {
            CHECK(cuGraphExecUpdate(x, g.g, &info));
            run(x);
            word_is(1, 51);
            word_is(13, 61);
            word_is(32, 51);
            CHECK(cuGraphDestroy(g.g));
        } else {
            fails(x, g, CU_GRAPH_EXEC_UPDATE_ERROR_PARAMETERS_CHANGED, g.node[turn - 1], NULL,
                  turn == 2 ? "a wider rectangle" : "a copy from elsewhere");
        }
    }
    CHECK(cuGraphExecDestroy(x));
    CHECK(cuGraphDestroy(first.g));
}

static struct graph parent(struct graph child)
{
    struct graph p = {0};

    CHECK(cuGraphCreate(&p.g, 0));
    p.node[0] = fill(p.g, NULL, 8, 1, 1, 1);
    CHECK(cuGraphAddChildGraphNode(&p.node[1], p.g, &p.node[0], 1, child.g));
    CHECK(cuGraphDestroy(child.g));
    return p;
}

static void children(void)
{
    struct graph first = parent(chain(300)), second = parent(chain(400)), third, small = {0};
    CUgraphExecUpdateResultInfo info;
    CUgraphExec x;

    CHECK(cuGraphInstantiate(&x, first.g, 0));
    CHECK(cuGraphExecUpdate(x, second.g, &info));
    run(x);
    word_is(2, 402);
    CHECK(cuGraphCreate(&small.g, 0));
    fill(small.g, NULL, 0, 1, 1, 1);
    third = parent(small);
    fails(x, third, CU_GRAPH_EXEC_UPDATE_ERROR_TOPOLOGY_CHANGED, third.node[1], NULL,
          "a child of another shape");
    run(x);
    word_is(2, 402);
    CHECK(cuGraphExecDestroy(x));
    CHECK(cuGraphDestroy(first.g));
    CHECK(cuGraphDestroy(second.g));
}

int main(void)
{
    ctx = open_device();
    CHECK(cuMemAlloc(&memory, 256));
    CHECK(cuMemsetD8(memory, 0, 256));
    parameters();
    shapes();
    sinks();
    limits();
    children();
    CHECK(cuCtxDestroy(ctx));
    puts("ok");
    return 0;
}
