/*
 * cuda_table_graph: graphs node by node, what they hold and how they hang together, executable
 * graphs and their changes, clones, and streams that are captured. How an executable graph takes
 * another one's parameters is cuda_graph_update's; the modes of captures are cuda_capture's.
 */
/* links: -lcuda */
#include <pthread.h>

#include "tests/programs/cuda_table.h"

static CUdeviceptr p; /* 256 bytes while a table runs, zero at first */
static uint8_t host[256];

static void memory_make(void)
{
    CHECK(cuMemAlloc(&p, 256));
    CHECK(cuMemsetD8(p, 0, 256));
    CHECK(cuCtxSynchronize());
    memset(host, 0, sizeof(host));
}

static CUDA_MEMSET_NODE_PARAMS fill_of(unsigned word, uint32_t value)
{
    return (CUDA_MEMSET_NODE_PARAMS){
        .dst = p + 4 * word, .pitch = 4, .value = value, .elementSize = 4, .width = 1, .height = 1};
}

static CUDA_MEMCPY3D copy_of(unsigned to, unsigned from)
{
    return (CUDA_MEMCPY3D){.srcMemoryType = CU_MEMORYTYPE_DEVICE,
                           .srcDevice = p + 4 * from,
                           .srcPitch = 4,
                           .srcHeight = 1,
                           .dstMemoryType = CU_MEMORYTYPE_DEVICE,
                           .dstDevice = p + 4 * to,
                           .dstPitch = 4,
                           .dstHeight = 1,
                           .WidthInBytes = 4,
                           .Height = 1,
                           .Depth = 1};
}

static unsigned calls, last_call;

static void CUDA_CB call(void *number)
{
    calls++;
    last_call = (unsigned)(uintptr_t)number;
}

static CUDA_KERNEL_NODE_PARAMS kernel_of(CUfunction f, void **params)
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

static size_t nodes_of(CUgraph g)
{
    size_t n = 99;

    CHECK(cuGraphGetNodes(g, NULL, &n));
    return n;
}

static CUgraphNodeType type_of(CUgraphNode n)
{
    CUgraphNodeType t = (CUgraphNodeType)99;

    CHECK(cuGraphNodeGetType(n, &t));
    return t;
}

static CUresult run(CUgraphExec x)
{
    CUresult r = cuGraphLaunch(x, NULL);

    return r ? r : cuStreamSynchronize(NULL);
}

/* --- nodes ------------------------------------------------------------------------------------ */

static void kernel_nodes(void)
{
    CUfunction f = kernel("put"), other = kernel("add");
    CUdeviceptr to;
    uint32_t what = 11;
    void *params[] = {&to, &what};
    CUDA_KERNEL_NODE_PARAMS k, seen;
    CUgraphExec x;
    CUgraphNode n;
    CUgraph g;

    memory_make();
    to = p;
    k = kernel_of(f, params);
    OK(cuGraphCreate(&g, 0), g);
    OK(cuGraphAddKernelNode(&n, g, NULL, 0, &k), n, type_of(n) == CU_GRAPH_NODE_TYPE_KERNEL);
    to = 0; /* parameters are taken during the call */
    what = 0;
    memset(&seen, 0, sizeof(seen));
    OK(cuGraphKernelNodeGetParams(n, &seen), seen.func == f, seen.gridDimX == 1,
       seen.blockDimZ == 1, *(CUdeviceptr *)seen.kernelParams[0] == p,
       *(uint32_t *)seen.kernelParams[1] == 11);
    OK(cuGraphInstantiate(&x, g, 0), x);
    OK(run(x), word_is(p, 11));
    to = p + 4;
    what = 12;
    OK(cuGraphKernelNodeSetParams(n, &k)); /* of the graph: what was made of it stays as it is */
    OK(run(x), word_is(p, 11), word_is(p + 4, 0));
    OK(cuGraphExecDestroy(x));
    OK(cuGraphInstantiate(&x, g, 0));
    OK(run(x), word_is(p + 4, 12));
    what = 13;
    OK(cuGraphExecKernelNodeSetParams(x, n, &k)); /* of the executable one: the graph stays */
    OK(run(x), word_is(p + 4, 13));
    OK(cuGraphKernelNodeGetParams(n, &seen), *(uint32_t *)seen.kernelParams[1] == 12);
    k = kernel_of(other, params);
    what = 100;
    OK(cuGraphExecKernelNodeSetParams(x, n, &k)); /* another function of the same context */
    OK(run(x), word_is(p + 4, 113));
    NO(INVALID_VALUE, cuGraphMemsetNodeGetParams(n, &(CUDA_MEMSET_NODE_PARAMS){0}));
    OK(cuGraphExecDestroy(x));
    OK(cuGraphDestroy(g));
    OK(cuMemFree(p));
}

static void fill_nodes(void)
{
    CUDA_MEMSET_NODE_PARAMS set, seen = {0};
    CUgraphExec x;
    CUgraphNode n;
    CUgraph g;

    memory_make();
    set = fill_of(2, 0x01020304);
    OK(cuGraphCreate(&g, 0));
    OK(cuGraphAddMemsetNode(&n, g, NULL, 0, &set, ctx), type_of(n) == CU_GRAPH_NODE_TYPE_MEMSET);
    OK(cuGraphMemsetNodeGetParams(n, &seen), seen.dst == p + 8, seen.value == 0x01020304,
       seen.elementSize == 4, seen.width == 1, seen.height == 1);
    OK(cuGraphInstantiate(&x, g, 0));
    OK(run(x), word_is(p + 8, 0x01020304), word_is(p + 4, 0), word_is(p + 12, 0));
    set.value = 5;
    OK(cuGraphMemsetNodeSetParams(n, &set));
    OK(cuGraphMemsetNodeGetParams(n, &seen), seen.value == 5);
    OK(run(x), word_is(p + 8, 0x01020304));
    OK(cuGraphExecMemsetNodeSetParams(x, n, &set, ctx));
    OK(run(x), word_is(p + 8, 5));
    OK(cuGraphExecDestroy(x));
    set = (CUDA_MEMSET_NODE_PARAMS){
        .dst = p + 64, .pitch = 16, .value = 0x77, .elementSize = 1, .width = 3, .height = 4};
    OK(cuGraphMemsetNodeSetParams(n, &set));
    OK(cuGraphInstantiate(&x, g, 0));
    OK(run(x), bytes_are(p + 64, 3, 0x77), bytes_are(p + 67, 13, 0), bytes_are(p + 112, 3, 0x77),
       bytes_are(p + 115, 16, 0));
    OK(cuGraphExecDestroy(x));
    OK(cuGraphDestroy(g));
    OK(cuMemFree(p));
}

static void copy_nodes(void)
{
    CUDA_MEMCPY3D c, seen = {0};
    CUgraphExec x;
    CUgraphNode n;
    CUgraph g;

    memory_make();
    CHECK(cuMemsetD32(p, 31, 1));
    CHECK(cuMemsetD32(p + 4, 32, 1));
    c = copy_of(8, 0);
    OK(cuGraphCreate(&g, 0));
    OK(cuGraphAddMemcpyNode(&n, g, NULL, 0, &c, ctx), type_of(n) == CU_GRAPH_NODE_TYPE_MEMCPY);
    OK(cuGraphMemcpyNodeGetParams(n, &seen), seen.srcDevice == p, seen.dstDevice == p + 32,
       seen.WidthInBytes == 4, seen.Height == 1, seen.Depth == 1);
    OK(cuGraphInstantiate(&x, g, 0));
    OK(run(x), word_is(p + 32, 31), word_is(p + 36, 0));
    c.srcDevice = p + 4;
    OK(cuGraphExecMemcpyNodeSetParams(x, n, &c, ctx));
    OK(run(x), word_is(p + 32, 32));
    OK(cuGraphExecDestroy(x));
    c.dstMemoryType = CU_MEMORYTYPE_HOST;
    c.dstHost = host;
    c.dstDevice = 0;
    OK(cuGraphMemcpyNodeSetParams(n, &c));
    OK(cuGraphInstantiate(&x, g, 0));
    CHECK(cuMemsetD32(p + 4, 33, 1)); /* what is there at the launch */
    OK(run(x), *(uint32_t *)host == 33);
    OK(cuGraphExecDestroy(x));
    c = copy_of(9, 0);
    c.srcMemoryType = CU_MEMORYTYPE_HOST;
    c.srcHost = host;
    OK(cuGraphMemcpyNodeSetParams(n, &c));
    OK(cuGraphInstantiate(&x, g, 0));
    *(uint32_t *)host = 34; /* and of the host too */
    OK(run(x), word_is(p + 36, 34));
    *(uint32_t *)host = 35;
    OK(run(x), word_is(p + 36, 35));
    OK(cuGraphExecDestroy(x));
    OK(cuGraphDestroy(g));
    OK(cuMemFree(p));
}

static void other_nodes(void)
{
    CUDA_HOST_NODE_PARAMS h = {call, (void *)1}, seen = {0};
    CUgraphNode host_node, empty, record, wait, n;
    CUgraphExec x;
    CUevent e;
    CUgraph g;
    CUDA_MEMSET_NODE_PARAMS set;

    memory_make();
    set = fill_of(0, 50);
    calls = 0;
    OK(cuEventCreate(&e, 0));
    OK(cuGraphCreate(&g, 0));
    OK(cuGraphAddHostNode(&host_node, g, NULL, 0, &h),
       type_of(host_node) == CU_GRAPH_NODE_TYPE_HOST);
    OK(cuGraphHostNodeGetParams(host_node, &seen), seen.fn == call, seen.userData == (void *)1);
    OK(cuGraphAddEmptyNode(&empty, g, &host_node, 1), type_of(empty) == CU_GRAPH_NODE_TYPE_EMPTY);
    OK(cuGraphAddEventRecordNode(&record, g, &empty, 1, e),
       type_of(record) == CU_GRAPH_NODE_TYPE_EVENT_RECORD);
    OK(cuGraphAddEventWaitNode(&wait, g, &record, 1, e),
       type_of(wait) == CU_GRAPH_NODE_TYPE_WAIT_EVENT);
    OK(cuGraphAddMemsetNode(&n, g, &wait, 1, &set, ctx));
    OK(cuGraphInstantiate(&x, g, 0));
    OK(run(x), calls == 1, last_call == 1, word_is(p, 50));
    OK(cuEventQuery(e)); /* the graph recorded it */
    h.userData = (void *)2;
    OK(cuGraphHostNodeSetParams(host_node, &h));
    OK(run(x), calls == 2, last_call == 1);
    OK(cuGraphExecHostNodeSetParams(x, host_node, &h));
    OK(run(x), calls == 3, last_call == 2);
    OK(cuGraphExecDestroy(x));
    OK(cuGraphDestroy(g));
    OK(cuEventDestroy(e));
    OK(cuMemFree(p));
}

static void child_nodes(void)
{
    CUgraph inner, outer, seen = NULL;
    CUDA_MEMSET_NODE_PARAMS set;
    CUgraphNode first, second, child, behind;
    CUgraphExec x;
    CUDA_MEMCPY3D c;

    memory_make();
    set = fill_of(0, 60);
    OK(cuGraphCreate(&inner, 0));
    OK(cuGraphAddMemsetNode(&first, inner, NULL, 0, &set, ctx));
    OK(cuGraphCreate(&outer, 0));
    OK(cuGraphAddChildGraphNode(&child, outer, NULL, 0, inner),
       type_of(child) == CU_GRAPH_NODE_TYPE_GRAPH);
    c = copy_of(4, 0);
    OK(cuGraphAddMemcpyNode(&behind, outer, &child, 1, &c, ctx));
    set = fill_of(1, 61);
    OK(cuGraphAddMemsetNode(&second, inner, &first, 1, &set, ctx)); /* not in the copy of it */
    OK(cuGraphChildGraphNodeGetGraph(child, &seen), seen != inner, nodes_of(seen) == 1);
    OK(cuGraphDestroy(inner));
    OK(cuGraphInstantiate(&x, outer, 0));
    OK(run(x), word_is(p, 60), word_is(p + 4, 0), word_is(p + 16, 60));
    OK(cuGraphCreate(&inner, 0));
    set = fill_of(0, 62);
    OK(cuGraphAddMemsetNode(&first, inner, NULL, 0, &set, ctx));
    OK(cuGraphExecChildGraphNodeSetParams(x, child, inner));
    OK(run(x), word_is(p, 62), word_is(p + 16, 62));
    OK(cuGraphAddEmptyNode(&second, inner, &first, 1));
    NO(INVALID_VALUE, cuGraphExecChildGraphNodeSetParams(x, child, inner)); /* another shape */
    NO(INVALID_VALUE, cuGraphExecChildGraphNodeSetParams(x, behind, inner));
    NO(INVALID_VALUE, cuGraphExecChildGraphNodeSetParams(x, child, NULL));
    OK(run(x), word_is(p, 62));
    OK(cuGraphDestroy(inner));
    OK(cuGraphExecDestroy(x));
    OK(cuGraphDestroy(outer));
    OK(cuMemFree(p));
}

static uint32_t filled[64], fetched[64];

static void CUDA_CB fill_late(void *value)
{
    usleep(50000);
    for (unsigned i = 0; i < 64; i++)
        filled[i] = (unsigned)(uintptr_t)value + i;
}

static bool are_from(const uint32_t *words, unsigned first)
{
    for (unsigned i = 0; i < 64; i++)
        if (words[i] != first + i)
            return false;
    return true;
}

/* Pageable memory that a host node fills is read after that; and a launch waits for nothing. */
static void ordered_with_host(void)
{
    CUDA_HOST_NODE_PARAMS h = {.fn = fill_late, .userData = (void *)1000};
    CUDA_MEMCPY3D in = {.srcMemoryType = CU_MEMORYTYPE_HOST,
                        .srcHost = filled,
                        .srcPitch = 64,
                        .srcHeight = 4,
                        .dstMemoryType = CU_MEMORYTYPE_DEVICE,
                        .dstPitch = 64,
                        .dstHeight = 4,
                        .WidthInBytes = 64,
                        .Height = 4,
                        .Depth = 1};
    CUDA_MEMCPY3D out = {.srcMemoryType = CU_MEMORYTYPE_DEVICE,
                         .srcPitch = 64,
                         .srcHeight = 4,
                         .dstMemoryType = CU_MEMORYTYPE_HOST,
                         .dstHost = fetched,
                         .dstPitch = 64,
                         .dstHeight = 4,
                         .WidthInBytes = 64,
                         .Height = 4,
                         .Depth = 1};
    CUgraphNode host, n, m;
    CUgraphExec x;
    CUgraph g;

    memory_make();
    in.dstDevice = out.srcDevice = p;
    OK(cuGraphCreate(&g, 0));
    OK(cuGraphAddHostNode(&host, g, NULL, 0, &h));
    OK(cuGraphAddMemcpyNode(&m, g, &host, 1, &in, ctx));
    OK(cuGraphAddMemcpyNode(&n, g, &m, 1, &out, ctx));
    OK(cuGraphInstantiate(&x, g, 0));
    OK(cuGraphLaunch(x, NULL));
    OK(cuStreamSynchronize(NULL), are_from(filled, 1000), are_from(fetched, 1000));
    h.userData = (void *)2000;
    OK(cuGraphExecHostNodeSetParams(x, host, &h));
    OK(cuGraphLaunch(x, NULL));
    OK(cuGraphLaunch(x, NULL)); /* one behind the other */
    OK(cuStreamSynchronize(NULL), are_from(fetched, 2000));
    OK(cuGraphExecDestroy(x));
    OK(cuGraphDestroy(g));
    OK(cuMemFree(p));
}

/* The event of a node can be asked for, and be another one. */
static void event_nodes(void)
{
    CUgraphNode record, wait;
    CUevent a, b, seen = NULL;
    CUgraphExec x = NULL;
    CUgraph g;

    OK(cuEventCreate(&a, 0));
    OK(cuEventCreate(&b, 0));
    OK(cuGraphCreate(&g, 0));
    OK(cuGraphAddEventRecordNode(&record, g, NULL, 0, a));
    OK(cuGraphAddEventWaitNode(&wait, g, &record, 1, a));
    OK(cuGraphEventRecordNodeGetEvent(record, &seen), seen == a);
    OK(cuGraphEventWaitNodeGetEvent(wait, &seen), seen == a);
    OK(cuGraphEventWaitNodeSetEvent(wait, b));
    OK(cuGraphEventWaitNodeGetEvent(wait, &seen), seen == b);
    NO(INVALID_VALUE, cuGraphEventRecordNodeGetEvent(wait, &seen)); /* another kind */
    OK(cuGraphInstantiate(&x, g, 0));
    OK(cuGraphEventRecordNodeSetEvent(record, b)); /* what was made of the graph keeps a */
    OK(run(x));
    NO(INVALID_HANDLE, cuEventElapsedTime(&(float){0}, a, b)); /* nobody has recorded b */
    OK(cuGraphExecEventRecordNodeSetEvent(x, record, b));
    OK(run(x));
    OK(cuEventElapsedTime(&(float){0}, a, b));
    OK(cuGraphExecDestroy(x));
    OK(cuGraphDestroy(g));
    OK(cuEventDestroy(a));
    OK(cuEventDestroy(b));
}

/* One call for all kinds. */
static void any_nodes(void)
{
    CUgraphNodeParams k = {.type = CU_GRAPH_NODE_TYPE_KERNEL},
                      f = {.type = CU_GRAPH_NODE_TYPE_MEMSET},
                      h = {.type = CU_GRAPH_NODE_TYPE_HOST}, e = {.type = CU_GRAPH_NODE_TYPE_EMPTY};
    CUfunction put = kernel("put");
    CUDA_MEMSET_NODE_PARAMS set = {0};
    CUdeviceptr to;
    uint32_t what = 200;
    void *params[] = {&to, &what};
    CUgraphNode a = NULL, b = NULL, c = NULL, d = NULL;
    CUgraphExec x;
    CUgraph g;
    size_t n = 0;

    memory_make();
    calls = 0;
    to = p;
    k.kernel = (CUDA_KERNEL_NODE_PARAMS_v3){.func = put,
                                            .gridDimX = 1,
                                            .gridDimY = 1,
                                            .gridDimZ = 1,
                                            .blockDimX = 1,
                                            .blockDimY = 1,
                                            .blockDimZ = 1,
                                            .kernelParams = params};
    f.memset = (CUDA_MEMSET_NODE_PARAMS_v2){.dst = p + 4,
                                            .pitch = 4,
                                            .value = 201,
                                            .elementSize = 4,
                                            .width = 1,
                                            .height = 1,
                                            .ctx = ctx};
    h.host.fn = call;
    h.host.userData = (void *)9;
    OK(cuGraphCreate(&g, 0));
    OK(cuGraphAddNode(&a, g, NULL, NULL, 0, &k), type_of(a) == CU_GRAPH_NODE_TYPE_KERNEL);
    OK(cuGraphAddNode(&b, g, &a, NULL, 1, &f), type_of(b) == CU_GRAPH_NODE_TYPE_MEMSET);
    OK(cuGraphAddNode(&c, g, &b, NULL, 1, &h), type_of(c) == CU_GRAPH_NODE_TYPE_HOST);
    OK(cuGraphAddNode(&d, g, &c, NULL, 1, &e), type_of(d) == CU_GRAPH_NODE_TYPE_EMPTY);
    OK(cuGraphNodeGetDependencies(d, NULL, NULL, &n), n == 1);
    OK(cuGraphMemsetNodeGetParams(b, &set), set.value == 201, set.dst == p + 4);
    OK(cuGraphInstantiate(&x, g, 0));
    OK(run(x), word_is(p, 200), word_is(p + 4, 201), calls == 1, last_call == 9);
    f.memset.value = 202;
    OK(cuGraphNodeSetParams(b, &f));
    OK(run(x), word_is(p + 4, 201)); /* of the graph alone */
    OK(cuGraphExecNodeSetParams(x, b, &f));
    OK(run(x), word_is(p + 4, 202));
    NO(INVALID_VALUE, cuGraphExecNodeSetParams(x, b, &h)); /* a node keeps its kind */
    OK(run(x), word_is(p + 4, 202));
    OK(cuGraphExecDestroy(x));
    OK(cuGraphDestroy(g));
    OK(cuMemFree(p));
}

static void kernel_attributes(void)
{
    CUkernelNodeAttrValue v = {0};
    CUfunction f = kernel("bump");
    CUDA_KERNEL_NODE_PARAMS k = kernel_of(f, NULL);
    CUgraphNode a, b, n;
    CUgraph g, clone;

    OK(cuGraphCreate(&g, 0));
    OK(cuGraphAddKernelNode(&a, g, NULL, 0, &k));
    OK(cuGraphAddKernelNode(&b, g, NULL, 0, &k));
    OK(cuGraphKernelNodeGetAttribute(a, CU_LAUNCH_ATTRIBUTE_COOPERATIVE, &v), v.cooperative == 0);
    v.cooperative = 1;
    OK(cuGraphKernelNodeSetAttribute(a, CU_LAUNCH_ATTRIBUTE_COOPERATIVE, &v));
    v.cooperative = 0;
    OK(cuGraphKernelNodeGetAttribute(a, CU_LAUNCH_ATTRIBUTE_COOPERATIVE, &v), v.cooperative == 1);
    v.cooperative = 9;
    OK(cuGraphKernelNodeGetAttribute(b, CU_LAUNCH_ATTRIBUTE_COOPERATIVE, &v), v.cooperative == 0);
    OK(cuGraphKernelNodeCopyAttributes(b, a));
    OK(cuGraphKernelNodeGetAttribute(b, CU_LAUNCH_ATTRIBUTE_COOPERATIVE, &v), v.cooperative == 1);
    v.priority = -1;
    OK(cuGraphKernelNodeSetAttribute(a, CU_LAUNCH_ATTRIBUTE_PRIORITY, &v));
    v.priority = 5;
    OK(cuGraphKernelNodeGetAttribute(b, CU_LAUNCH_ATTRIBUTE_PRIORITY, &v), v.priority == 0);
    OK(cuGraphKernelNodeCopyAttributes(b, a));
    OK(cuGraphKernelNodeGetAttribute(b, CU_LAUNCH_ATTRIBUTE_PRIORITY, &v), v.priority == -1);
    OK(cuGraphClone(&clone, g));
    OK(cuGraphNodeFindInClone(&n, b, clone));
    OK(cuGraphKernelNodeGetAttribute(n, CU_LAUNCH_ATTRIBUTE_PRIORITY, &v), v.priority == -1);
    OK(cuGraphKernelNodeGetAttribute(n, CU_LAUNCH_ATTRIBUTE_COOPERATIVE, &v), v.cooperative == 1);
    OK(cuGraphAddEmptyNode(&n, g, NULL, 0));
    NO(INVALID_VALUE, cuGraphKernelNodeGetAttribute(n, CU_LAUNCH_ATTRIBUTE_PRIORITY, &v));
    NO(INVALID_VALUE, cuGraphKernelNodeSetAttribute(n, CU_LAUNCH_ATTRIBUTE_PRIORITY, &v));
    NO(INVALID_VALUE, cuGraphKernelNodeCopyAttributes(n, a));
    OK(cuGraphDestroy(clone));
    OK(cuGraphDestroy(g));
}

/* What a graph holds on to is let go with the graph, and with what was made of it. */
static void user_objects(void)
{
    CUuserObject o = NULL;
    CUgraphExec x;
    CUgraph g;

    calls = 0;
    OK(cuUserObjectCreate(&o, (void *)5, call, 1, CU_USER_OBJECT_NO_DESTRUCTOR_SYNC));
    OK(cuUserObjectRetain(o, 1));
    OK(cuGraphCreate(&g, 0));
    OK(cuGraphRetainUserObject(g, o, 1, CU_GRAPH_USER_OBJECT_MOVE)); /* one of the two */
    OK(cuGraphInstantiate(&x, g, 0));
    OK(cuUserObjectRelease(o, 1), calls == 0);
    OK(cuGraphDestroy(g), calls == 0); /* the executable one has it still */
    OK(run(x));
    OK(cuGraphExecDestroy(x));
    for (unsigned i = 0; i < 1000 && !__atomic_load_n(&calls, __ATOMIC_ACQUIRE); i++)
        usleep(1000); /* the destructor may run on a thread of the driver's */
    SEE(calls == 1 && last_call == 5);
}

static bool calls_come_to(unsigned count)
{
    for (unsigned i = 0; i < 1000 && __atomic_load_n(&calls, __ATOMIC_ACQUIRE) < count; i++)
        usleep(1000);
    return calls == count;
}

static _Atomic bool slept;

static void CUDA_CB sleep_long(void *unused)
{
    usleep(200000);
    slept = true;
}

static _Atomic bool gone, too_early;

static void CUDA_CB go(void *unused)
{
    too_early = !slept;
    gone = true;
}

/* References that are counted one by one, and a launch that is under way when all else has gone. */
static void user_object_references(void)
{
    CUDA_HOST_NODE_PARAMS h = {.fn = sleep_long};
    CUuserObject o = NULL;
    CUgraphExec x;
    CUgraphNode n;
    CUgraph g, clone, parent;
    CUstream s[2];
    const unsigned alone = CU_USER_OBJECT_NO_DESTRUCTOR_SYNC;

    calls = 0;
    NO(INVALID_VALUE, cuUserObjectCreate(NULL, NULL, call, 1, alone));
    NO(INVALID_VALUE, cuUserObjectCreate(&o, NULL, NULL, 1, alone));
    NO(INVALID_VALUE, cuUserObjectCreate(&o, NULL, call, 0, alone));
    NO(INVALID_VALUE, cuUserObjectCreate(&o, NULL, call, 1, 0)); /* the flag must be said */
    OK(cuUserObjectCreate(&o, (void *)7, call, 3, alone));
    NO(INVALID_VALUE, cuUserObjectRetain(o, 0));
    NO(INVALID_VALUE, cuUserObjectRelease(o, 0));
    OK(cuUserObjectRelease(o, 1));
    OK(cuGraphCreate(&g, 0));
    NO(INVALID_VALUE, cuGraphRetainUserObject(g, o, 0, 0));
    NO(INVALID_VALUE, cuGraphRetainUserObject(g, o, 1, 2));
    OK(cuGraphRetainUserObject(g, o, 2, 0)); /* new ones, beside the program's */
    OK(cuGraphRetainUserObject(g, o, 1, CU_GRAPH_USER_OBJECT_MOVE));
    OK(cuUserObjectRelease(o, 1), calls == 0);
    OK(cuGraphReleaseUserObject(g, o, 2), calls == 0);
    OK(cuGraphClone(&clone, g));
    OK(cuGraphReleaseUserObject(g, o, 1), calls == 0); /* the clone's is left */
    OK(cuGraphDestroy(clone), calls_come_to(1), last_call == 7);

    OK(cuUserObjectCreate(&o, (void *)8, call, 1, alone));
    OK(cuGraphAddHostNode(&n, g, NULL, 0, &h));
    OK(cuGraphRetainUserObject(g, o, 1, CU_GRAPH_USER_OBJECT_MOVE));
    OK(cuGraphCreate(&parent, 0));
    OK(cuGraphAddChildGraphNode(&n, parent, NULL, 0, g)); /* a copy, which has one too */
    OK(cuGraphDestroy(g), calls == 1);
    OK(cuGraphInstantiate(&x, parent, 0));
    OK(cuGraphDestroy(parent), calls == 1);
    OK(cuGraphLaunch(x, NULL));
    OK(cuGraphExecDestroy(x));
    OK(cuStreamSynchronize(NULL), calls_come_to(2), last_call == 8);

    /* In two streams, of which one is destroyed; and then the graph is another one. */
    OK(cuStreamCreate(&s[0], 0));
    OK(cuStreamCreate(&s[1], 0));
    OK(cuUserObjectCreate(&o, (void *)9, call, 1, alone));
    OK(cuGraphCreate(&g, 0));
    OK(cuGraphAddHostNode(&n, g, NULL, 0, &h));
    OK(cuGraphRetainUserObject(g, o, 1, CU_GRAPH_USER_OBJECT_MOVE));
    OK(cuGraphInstantiate(&x, g, 0));
    OK(cuGraphReleaseUserObject(g, o, 1), calls == 2); /* the executable one has its own */
    OK(cuGraphLaunch(x, s[0]));
    OK(cuGraphLaunch(x, s[1]));
    OK(cuStreamDestroy(s[0]));
    OK(cuGraphExecUpdate_v2(x, g, &(CUgraphExecUpdateResultInfo){0}), calls == 2);
    OK(cuStreamSynchronize(s[1]));
    OK(cuCtxSynchronize(), calls_come_to(3), last_call == 9);
    OK(cuGraphExecDestroy(x));
    OK(cuGraphDestroy(g));
    OK(cuStreamDestroy(s[1]), calls == 3);

    /* In a stream that waits for no other, and is destroyed. */
    slept = false;
    OK(cuStreamCreate(&s[0], CU_STREAM_NON_BLOCKING));
    OK(cuUserObjectCreate(&o, NULL, go, 1, alone));
    OK(cuGraphCreate(&g, 0));
    OK(cuGraphAddHostNode(&n, g, NULL, 0, &h));
    OK(cuGraphRetainUserObject(g, o, 1, CU_GRAPH_USER_OBJECT_MOVE));
    OK(cuGraphInstantiate(&x, g, 0));
    OK(cuGraphDestroy(g));
    OK(cuGraphLaunch(x, s[0]));
    OK(cuStreamDestroy(s[0]));
    OK(cuGraphExecDestroy(x));
    for (unsigned i = 0; i < 1000 && !gone; i++)
        usleep(1000);
    SEE(gone && !too_early);
}

static char *read_all(const char *path)
{
    static char text[8192];
    FILE *f = fopen(path, "r");
    size_t n = f ? fread(text, 1, sizeof(text) - 1, f) : 0;

    if (f)
        fclose(f);
    text[n] = 0;
    return text;
}

/* The picture's words are not documented; that it is graphviz's language is. */
static void pictures(void)
{
    CUDA_KERNEL_NODE_PARAMS k = kernel_of(kernel("bump"), NULL);
    char path[] = "/tmp/cuda-table-XXXXXX";
    CUgraphNode a, b;
    CUgraph g;

    MUST(close(mkstemp(path)) == 0);
    OK(cuGraphCreate(&g, 0));
    OK(cuGraphAddEmptyNode(&a, g, NULL, 0));
    OK(cuGraphAddKernelNode(&b, g, &a, 1, &k));
    NO(INVALID_VALUE, cuGraphDebugDotPrint(g, NULL, 0));
    OK(cuGraphDebugDotPrint(g, path, 0), strncmp(read_all(path), "digraph", 7) == 0,
       strstr(read_all(path), "->"), strstr(read_all(path), "bump"));
    OK(cuGraphDebugDotPrint(g, path, CU_GRAPH_DEBUG_DOT_FLAGS_VERBOSE),
       strstr(read_all(path), "}"));
    NO(OPERATING_SYSTEM, cuGraphDebugDotPrint(g, "/nowhere/at/all", 0));
    OK(cuGraphDestroy(g));
    unlink(path);
}

/* --- how nodes hang together ------------------------------------------------------------------ */

static void dependencies(void)
{
    CUgraphNode a, b, c, d, list[8] = {0}, from[8] = {0}, to[8] = {0};
    CUgraph g, other;
    CUgraphNode strange;
    size_t n = 8;

    OK(cuGraphCreate(&g, 0), nodes_of(g) == 0);
    OK(cuGraphAddEmptyNode(&a, g, NULL, 0));
    OK(cuGraphAddEmptyNode(&b, g, &a, 1));
    OK(cuGraphAddEmptyNode(&c, g, &a, 1));
    OK(cuGraphAddEmptyNode(&d, g, (CUgraphNode[]){b, c}, 2), nodes_of(g) == 4);
    OK(cuGraphGetRootNodes(g, list, &n), n == 1, list[0] == a);
    n = 8;
    OK(cuGraphNodeGetDependencies(d, list, NULL, &n), n == 2,
       (list[0] == b && list[1] == c) || (list[0] == c && list[1] == b));
    n = 8;
    OK(cuGraphNodeGetDependencies(a, list, NULL, &n), n == 0);
    n = 0;
    OK(cuGraphNodeGetDependencies(d, NULL, NULL, &n), n == 2); /* how many there are */
    n = 1;
    OK(cuGraphNodeGetDependencies(d, list, NULL, &n), n == 1); /* as many as there is room for */
    n = 8;
    list[4] = a;
    OK(cuGraphGetNodes(g, list, &n), n == 4, list[4] == NULL); /* the rest is no node */
    n = 0;
    OK(cuGraphGetEdges(g, NULL, NULL, NULL, &n), n == 4);
    n = 8;
    OK(cuGraphGetEdges(g, from, to, NULL, &n), n == 4);
    n = 8;
    OK(cuGraphNodeGetDependentNodes(a, list, NULL, &n), n == 2);

    OK(cuGraphAddDependencies(g, &a, &d, NULL, 1));
    n = 8;
    OK(cuGraphNodeGetDependencies(d, list, NULL, &n), n == 3);
    NO(INVALID_VALUE, cuGraphAddDependencies(g, &a, &d, NULL, 1)); /* it is there */
    NO(INVALID_VALUE, cuGraphAddDependencies(g, &a, &a, NULL, 1)); /* of itself */
    OK(cuGraphRemoveDependencies(g, &a, &d, NULL, 1));
    NO(INVALID_VALUE, cuGraphRemoveDependencies(g, &a, &d, NULL, 1)); /* it is not there */
    OK(cuGraphCreate(&other, 0));
    OK(cuGraphAddEmptyNode(&strange, other, NULL, 0));
    NO(INVALID_VALUE, cuGraphAddDependencies(g, &a, &strange, NULL, 1)); /* of another graph */
    NO(INVALID_VALUE, cuGraphAddEmptyNode(&strange, g, &strange, 1), nodes_of(g) == 4);
    NO(INVALID_VALUE, cuGraphAddEmptyNode(&strange, g, (CUgraphNode[]){a, a}, 2)); /* twice */
    n = nodes_of(g);
    OK(cuGraphDestroyNode(b), nodes_of(g) == n - 1);
    n = 8;
    OK(cuGraphNodeGetDependencies(d, list, NULL, &n), n >= 1, list[0] != b, list[1] != b);
    n = 8;
    OK(cuGraphNodeGetDependencies(c, list, NULL, &n), n == 1, list[0] == a);
    OK(cuGraphDestroy(other));
    OK(cuGraphDestroy(g));
}

static void clones(void)
{
    CUDA_MEMSET_NODE_PARAMS set, seen = {0};
    CUgraphNode a, b, found = NULL, added;
    CUgraphExec x;
    CUgraph g, clone;

    memory_make();
    set = fill_of(0, 70);
    OK(cuGraphCreate(&g, 0));
    OK(cuGraphAddMemsetNode(&a, g, NULL, 0, &set, ctx));
    OK(cuGraphAddEmptyNode(&b, g, &a, 1));
    OK(cuGraphClone(&clone, g), clone != g, nodes_of(clone) == 2);
    OK(cuGraphNodeFindInClone(&found, a, clone), found != a,
       type_of(found) == CU_GRAPH_NODE_TYPE_MEMSET);
    OK(cuGraphMemsetNodeGetParams(found, &seen), seen.value == 70, seen.dst == p);
    set.value = 71;
    OK(cuGraphMemsetNodeSetParams(found, &set));
    OK(cuGraphMemsetNodeGetParams(a, &seen), seen.value == 70); /* each for itself */
    OK(cuGraphAddEmptyNode(&added, g, NULL, 0), nodes_of(clone) == 2);
    NO(INVALID_VALUE, cuGraphNodeFindInClone(&found, added, clone)); /* younger than the clone */
    OK(cuGraphDestroyNode(b), nodes_of(clone) == 2);
    OK(cuGraphDestroy(g));
    OK(cuGraphInstantiate(&x, clone, 0));
    OK(run(x), word_is(p, 71));
    OK(cuGraphExecDestroy(x));
    OK(cuGraphDestroy(clone));
    OK(cuMemFree(p));
}

/* --- executable graphs ------------------------------------------------------------------------ */

static void executable(void)
{
    CUDA_GRAPH_INSTANTIATE_PARAMS params = {.flags = CUDA_GRAPH_INSTANTIATE_FLAG_USE_NODE_PRIORITY};
    CUDA_MEMSET_NODE_PARAMS set;
    CUgraphNode a, b, c;
    CUgraphExec x, y;
    cuuint64_t flags = 99;
    unsigned enabled = 9;
    CUDA_MEMCPY3D copied;
    CUgraph g;
    CUstream s;

    memory_make();
    CHECK(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
    OK(cuGraphCreate(&g, 0));
    OK(cuGraphInstantiate(&x, g, 0)); /* an empty one is one */
    OK(run(x));
    OK(cuGraphExecDestroy(x));
    set = fill_of(0, 80);
    OK(cuGraphAddMemsetNode(&a, g, NULL, 0, &set, ctx));
    copied = copy_of(1, 0);
    OK(cuGraphAddMemcpyNode(&b, g, &a, 1, &copied, ctx));
    copied = copy_of(2, 1);
    OK(cuGraphAddMemcpyNode(&c, g, &b, 1, &copied, ctx));
    OK(cuGraphInstantiateWithParams(&y, g, &params),
       params.result_out == CUDA_GRAPH_INSTANTIATE_SUCCESS, !params.hErrNode_out);
    OK(cuGraphExecGetFlags(y, &flags), flags == CUDA_GRAPH_INSTANTIATE_FLAG_USE_NODE_PRIORITY);
    OK(cuGraphExecDestroy(y));
    OK(cuGraphInstantiate(&x, g, CUDA_GRAPH_INSTANTIATE_FLAG_AUTO_FREE_ON_LAUNCH));
    OK(cuGraphExecGetFlags(x, &flags), flags == CUDA_GRAPH_INSTANTIATE_FLAG_AUTO_FREE_ON_LAUNCH);
    OK(cuGraphUpload(x, s));
    OK(cuGraphLaunch(x, s));
    OK(cuStreamSynchronize(s), word_is(p, 80), word_is(p + 4, 80), word_is(p + 8, 80));

    OK(cuGraphNodeGetEnabled(x, a, &enabled), enabled == 1);
    OK(cuGraphNodeSetEnabled(x, a, 0));
    OK(cuGraphNodeGetEnabled(x, a, &enabled), enabled == 0);
    CHECK(cuMemsetD32(p, 81, 1));
    CHECK(cuCtxSynchronize());
    OK(cuGraphLaunch(x, s)); /* the node is skipped, those behind it are not */
    OK(cuStreamSynchronize(s), word_is(p, 81), word_is(p + 4, 81), word_is(p + 8, 81));
    OK(cuGraphNodeSetEnabled(x, a, 1));
    OK(cuGraphLaunch(x, s));
    OK(cuGraphLaunch(x, s)); /* behind one another in the stream */
    OK(cuStreamSynchronize(s), word_is(p, 80), word_is(p + 8, 80));

    OK(cuGraphDestroy(g)); /* what was made of it stays */
    CHECK(cuMemsetD8(p, 0, 256));
    CHECK(cuCtxSynchronize());
    OK(cuGraphLaunch(x, s));
    OK(cuGraphExecDestroy(x)); /* at once, and what was launched is done */
    OK(cuStreamSynchronize(s), word_is(p, 80), word_is(p + 8, 80));
    if (on_softcuda()) { /* a driver follows it */
        NO(INVALID_VALUE, cuGraphLaunch(x, s));
        NO(INVALID_VALUE, cuGraphExecDestroy(x));
        NO(INVALID_VALUE, cuGraphDestroy(g));
        NO(INVALID_VALUE, cuGraphAddEmptyNode(&a, g, NULL, 0));
    }
    CHECK(cuStreamDestroy(s));
    OK(cuMemFree(p));
}

/* A launch is ordered with the work around it, of whatever stream. */
static void ordered(void)
{
    struct gate gate = {0};
    CUDA_MEMSET_NODE_PARAMS set;
    CUgraphNode n;
    CUgraphExec x;
    CUgraph g;
    CUstream s;
    CUevent e;

    memory_make();
    CHECK(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
    CHECK(cuEventCreate(&e, CU_EVENT_DISABLE_TIMING));
    set = fill_of(0, 90);
    OK(cuGraphCreate(&g, 0));
    OK(cuGraphAddMemsetNode(&n, g, NULL, 0, &set, ctx));
    OK(cuGraphInstantiate(&x, g, 0));
    OK(cuLaunchHostFunc(s, gate_wait, &gate));
    OK(cuGraphLaunch(x, s));
    OK(cuMemcpyDtoDAsync(p + 4, p, 4, s));
    OK(cuEventRecord(e, s));
    NO(NOT_READY, cuStreamQuery(s));
    NO(NOT_READY, cuEventQuery(e));
    SEE(word_is(p, 0));
    gate_open(&gate);
    OK(cuEventSynchronize(e), word_is(p, 90), word_is(p + 4, 90));
    OK(cuGraphExecDestroy(x));
    OK(cuGraphDestroy(g));
    CHECK(cuEventDestroy(e));
    CHECK(cuStreamDestroy(s));
    OK(cuMemFree(p));
}

/* A launch does not wait for the stream, not even to copy between memory of the program's own. */
static void copied_in_turn(void)
{
    static uint8_t from[64], to[64], flat[64];
    struct gate gate = {0};
    const CUDA_MEMCPY2D rows = {.srcMemoryType = CU_MEMORYTYPE_HOST,
                                .srcHost = from,
                                .srcPitch = 16,
                                .dstMemoryType = CU_MEMORYTYPE_HOST,
                                .dstHost = flat,
                                .WidthInBytes = 8,
                                .Height = 4};
    CUgraphExec e;
    CUgraph g;
    CUstream s;

    CHECK(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
    OK(cuStreamBeginCapture(s, CU_STREAM_CAPTURE_MODE_GLOBAL));
    OK(cuLaunchHostFunc(s, gate_wait, &gate));
    OK(cuMemcpyAsync((CUdeviceptr)(uintptr_t)to, (CUdeviceptr)(uintptr_t)from, 64, s));
    OK(cuMemcpy2DAsync(&rows, s));
    OK(cuStreamEndCapture(s, &g));
    OK(cuGraphInstantiateWithFlags(&e, g, 0));
    alarm(30);
    OK(cuGraphLaunch(e, s), to[0] == 0, flat[0] == 0);
    memset(from, 5, 64);
    gate_open(&gate);
    OK(cuStreamSynchronize(s), is_all(to, 64, 5), is_all(flat, 32, 5), is_all(flat + 32, 32, 0));
    alarm(0);
    CHECK(cuGraphExecDestroy(e));
    CHECK(cuGraphDestroy(g));
    CHECK(cuStreamDestroy(s));
}

static void updates(void)
{
    CUgraphExecUpdateResultInfo info;
    CUDA_MEMSET_NODE_PARAMS set;
    CUgraphNode n, m;
    CUgraphExec x;
    CUgraph g, other;

    memory_make();
    set = fill_of(0, 95);
    OK(cuGraphCreate(&g, 0));
    OK(cuGraphAddMemsetNode(&n, g, NULL, 0, &set, ctx));
    OK(cuGraphInstantiate(&x, g, 0));
    set.value = 96;
    OK(cuGraphCreate(&other, 0));
    OK(cuGraphAddMemsetNode(&m, other, NULL, 0, &set, ctx));
    memset(&info, 0x55, sizeof(info));
    OK(cuGraphExecUpdate(x, other, &info), info.result == CU_GRAPH_EXEC_UPDATE_SUCCESS,
       !info.errorNode, !info.errorFromNode);
    OK(run(x), word_is(p, 96));
    OK(cuGraphAddEmptyNode(&m, other, &m, 1));
    NO(GRAPH_EXEC_UPDATE_FAILURE, cuGraphExecUpdate(x, other, &info),
       info.result == CU_GRAPH_EXEC_UPDATE_ERROR_TOPOLOGY_CHANGED);
    OK(run(x), word_is(p, 96)); /* it is as it was */
    OK(cuGraphDestroy(other));
    OK(cuGraphExecDestroy(x));
    OK(cuGraphDestroy(g));
    OK(cuMemFree(p));
}

/* --- captures --------------------------------------------------------------------------------- */

static CUstreamCaptureStatus status_of(CUstream s)
{
    CUstreamCaptureStatus status = (CUstreamCaptureStatus)99;

    CHECK(cuStreamIsCapturing(s, &status));
    return status;
}

static void captured(void)
{
    CUfunction f = kernel("add");
    CUstreamCaptureStatus status;
    cuuint64_t id = 0, again = 0;
    CUgraph g = NULL, seen = NULL;
    const CUgraphNode *before = NULL;
    CUgraphNode list[8] = {0};
    CUgraphExec x;
    size_t n = 99;
    CUstream s;

    memory_make();
    calls = 0;
    CHECK(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
    SEE(status_of(s) == CU_STREAM_CAPTURE_STATUS_NONE);
    SEE(status_of(NULL) == CU_STREAM_CAPTURE_STATUS_NONE);
    OK(cuStreamGetCaptureInfo(s, &status, &id, NULL, NULL, NULL, NULL),
       status == CU_STREAM_CAPTURE_STATUS_NONE);
    OK(cuStreamBeginCapture(s, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL));
    SEE(status_of(s) == CU_STREAM_CAPTURE_STATUS_ACTIVE);
    NO(ILLEGAL_STATE, cuStreamBeginCapture(s, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL));
    OK(cuStreamGetCaptureInfo(s, &status, &id, &seen, &before, NULL, &n),
       status == CU_STREAM_CAPTURE_STATUS_ACTIVE, id != 0, seen, n == 0);
    OK(cuMemsetD32Async(p, 100, 1, s));
    OK(launch(f, p, 1, s));
    OK(cuMemcpyDtoDAsync(p + 4, p, 4, s));
    OK(cuLaunchHostFunc(s, call, (void *)3));
    OK(cuStreamGetCaptureInfo(s, &status, &again, NULL, &before, NULL, &n), again == id, n == 1,
       type_of(before[0]) == CU_GRAPH_NODE_TYPE_HOST);
    OK(cuStreamEndCapture(s, &g), g, nodes_of(g) == 4);
    SEE(status_of(s) == CU_STREAM_CAPTURE_STATUS_NONE);
    SEE(calls == 0 && word_is(p, 0)); /* it was written down, not done */
    n = 8;
    OK(cuGraphGetRootNodes(g, list, &n), n == 1, type_of(list[0]) == CU_GRAPH_NODE_TYPE_MEMSET);
    OK(cuGraphInstantiate(&x, g, 0));
    OK(cuGraphLaunch(x, s));
    OK(cuStreamSynchronize(s), word_is(p, 101), word_is(p + 4, 101), calls == 1, last_call == 3);
    OK(cuStreamBeginCapture(s, CU_STREAM_CAPTURE_MODE_RELAXED));
    OK(cuStreamGetCaptureInfo(s, &status, &again, NULL, NULL, NULL, NULL), again != id);
    OK(cuStreamEndCapture(s, &seen), nodes_of(seen) == 0); /* nothing is a graph too */
    OK(cuGraphDestroy(seen));
    NO(ILLEGAL_STATE, cuStreamEndCapture(s, &seen)); /* it is over */
    OK(cuGraphExecDestroy(x));
    OK(cuGraphDestroy(g));
    CHECK(cuStreamDestroy(s));
    OK(cuMemFree(p));
}

/* Work of several streams becomes one graph, by events; it has to come together again. */
static void forked(void)
{
    CUstream s, t;
    CUevent fork, join;
    CUgraph g = (CUgraph)1;
    CUgraphExec x;

    memory_make();
    CHECK(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
    CHECK(cuStreamCreate(&t, CU_STREAM_NON_BLOCKING));
    CHECK(cuEventCreate(&fork, CU_EVENT_DISABLE_TIMING));
    CHECK(cuEventCreate(&join, CU_EVENT_DISABLE_TIMING));
    OK(cuStreamBeginCapture(s, CU_STREAM_CAPTURE_MODE_GLOBAL));
    OK(cuMemsetD32Async(p, 110, 1, s));
    OK(cuEventRecord(fork, s));
    SEE(status_of(t) == CU_STREAM_CAPTURE_STATUS_NONE);
    OK(cuStreamWaitEvent(t, fork, 0));
    SEE(status_of(t) == CU_STREAM_CAPTURE_STATUS_ACTIVE);
    OK(cuMemcpyDtoDAsync(p + 4, p, 4, t));
    OK(cuEventRecord(join, t));
    OK(cuStreamWaitEvent(s, join, 0));
    OK(cuMemcpyDtoDAsync(p + 8, p + 4, 4, s));
    g = NULL;
    OK(cuStreamEndCapture(s, &g), g);
    SEE(status_of(t) == CU_STREAM_CAPTURE_STATUS_NONE);
    OK(cuGraphInstantiate(&x, g, 0));
    OK(run(x), word_is(p + 8, 110));
    OK(cuGraphExecDestroy(x));
    OK(cuGraphDestroy(g));

    OK(cuStreamBeginCapture(s, CU_STREAM_CAPTURE_MODE_GLOBAL));
    OK(cuEventRecord(fork, s));
    OK(cuStreamWaitEvent(t, fork, 0));
    NO(STREAM_CAPTURE_UNMATCHED, cuStreamEndCapture(t, &g)); /* it did not begin there */
    cuStreamEndCapture(s, &g);                               /* whether it was spoilt is not said */

    g = (CUgraph)1;
    OK(cuStreamBeginCapture(s, CU_STREAM_CAPTURE_MODE_GLOBAL));
    OK(cuEventRecord(fork, s));
    OK(cuStreamWaitEvent(t, fork, 0));
    OK(cuMemsetD32Async(p, 111, 1, t));
    NO(STREAM_CAPTURE_UNJOINED, cuStreamEndCapture(s, &g), !g);
    SEE(status_of(s) == CU_STREAM_CAPTURE_STATUS_NONE);
    SEE(status_of(t) == CU_STREAM_CAPTURE_STATUS_NONE);
    OK(cuMemsetD32Async(p, 112, 1, t)); /* both are as good as ever */
    OK(cuStreamSynchronize(t), word_is(p, 112));
    CHECK(cuEventDestroy(fork));
    CHECK(cuEventDestroy(join));
    CHECK(cuStreamDestroy(s));
    CHECK(cuStreamDestroy(t));
    OK(cuMemFree(p));
}

static CUresult in_thread(void *(*what)(void *), void *arg)
{
    pthread_t t;
    void *r;

    MUST(pthread_create(&t, NULL, what, arg) == 0 && pthread_join(t, &r) == 0);
    return (CUresult)(uintptr_t)r;
}

static void *end_elsewhere(void *stream)
{
    CUgraph g;

    CHECK(cuCtxSetCurrent(ctx));
    return (void *)(uintptr_t)cuStreamEndCapture(stream, &g);
}

/* What is wrong spoils the capture, and says so in its own way. */
static void spoilt(void)
{
    CUfunction put = kernel("put");
    CUstream s, t, blocking;
    CUevent e, f;
    CUgraph g;

    memory_make();
    CHECK(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
    CHECK(cuStreamCreate(&t, CU_STREAM_NON_BLOCKING));
    CHECK(cuStreamCreate(&blocking, CU_STREAM_DEFAULT));
    CHECK(cuEventCreate(&e, CU_EVENT_DISABLE_TIMING));
    CHECK(cuEventCreate(&f, CU_EVENT_DISABLE_TIMING));

    /* To look at what is written down makes no sense. */
    OK(cuStreamBeginCapture(s, CU_STREAM_CAPTURE_MODE_RELAXED));
    OK(cuMemsetD32Async(p, 1, 1, s));
    NO(STREAM_CAPTURE_UNSUPPORTED, cuStreamSynchronize(s));
    SEE(status_of(s) == CU_STREAM_CAPTURE_STATUS_INVALIDATED);
    NO(STREAM_CAPTURE_INVALIDATED, cuMemsetD32Async(p, 1, 1, s));
    NO(STREAM_CAPTURE_INVALIDATED, cuLaunchHostFunc(s, call, NULL));
    NO(STREAM_CAPTURE_INVALIDATED, cuEventRecord(e, s));
    g = (CUgraph)1;
    NO(STREAM_CAPTURE_INVALIDATED, cuStreamEndCapture(s, &g), !g);
    SEE(status_of(s) == CU_STREAM_CAPTURE_STATUS_NONE);
    OK(cuMemsetD32Async(p, 2, 1, s));
    OK(cuStreamSynchronize(s), word_is(p, 2));
    OK(cuStreamBeginCapture(s, CU_STREAM_CAPTURE_MODE_RELAXED));
    NO(STREAM_CAPTURE_UNSUPPORTED, cuStreamQuery(s));
    NO(STREAM_CAPTURE_INVALIDATED, cuStreamEndCapture(s, &g));

    /* An event that was recorded in a capture stands for no time. */
    OK(cuStreamBeginCapture(s, CU_STREAM_CAPTURE_MODE_RELAXED));
    OK(cuEventRecord(e, s));
    NO(CAPTURED_EVENT, cuEventQuery(e));
    NO(STREAM_CAPTURE_INVALIDATED, cuStreamEndCapture(s, &g));
    OK(cuStreamBeginCapture(s, CU_STREAM_CAPTURE_MODE_RELAXED));
    OK(cuEventRecord(e, s));
    NO(CAPTURED_EVENT, cuEventSynchronize(e));
    NO(STREAM_CAPTURE_INVALIDATED, cuStreamEndCapture(s, &g));

    /* Two captures stay two. */
    OK(cuStreamBeginCapture(s, CU_STREAM_CAPTURE_MODE_RELAXED));
    OK(cuStreamBeginCapture(t, CU_STREAM_CAPTURE_MODE_RELAXED));
    OK(cuEventRecord(e, s));
    NO(STREAM_CAPTURE_MERGE, cuStreamWaitEvent(t, e, 0));
    NO(STREAM_CAPTURE_INVALIDATED, cuStreamEndCapture(s, &g));
    NO(STREAM_CAPTURE_INVALIDATED, cuStreamEndCapture(t, &g));

    /* The legacy stream would have to wait for a stream that is captured. */
    OK(cuStreamBeginCapture(blocking, CU_STREAM_CAPTURE_MODE_RELAXED));
    NO(STREAM_CAPTURE_IMPLICIT, cuMemsetD32Async(p, 3, 1, NULL));
    NO(STREAM_CAPTURE_INVALIDATED, cuStreamEndCapture(blocking, &g));
    SEE(word_is(p, 2));
    OK(cuStreamBeginCapture(blocking, CU_STREAM_CAPTURE_MODE_RELAXED));
    NO(STREAM_CAPTURE_IMPLICIT, cuEventRecord(f, NULL));
    NO(STREAM_CAPTURE_INVALIDATED, cuStreamEndCapture(blocking, &g));
    OK(cuStreamBeginCapture(blocking, CU_STREAM_CAPTURE_MODE_RELAXED));
    NO(STREAM_CAPTURE_IMPLICIT, cuMemcpyHtoD(p, host, 4)); /* it is that stream's too */
    NO(STREAM_CAPTURE_INVALIDATED, cuStreamEndCapture(blocking, &g));
    OK(cuStreamBeginCapture(blocking, CU_STREAM_CAPTURE_MODE_RELAXED));
    NO(STREAM_CAPTURE_IMPLICIT, launch(put, p, 5, CU_STREAM_LEGACY));
    NO(STREAM_CAPTURE_INVALIDATED, cuStreamEndCapture(blocking, &g));
    OK(cuStreamBeginCapture(blocking, CU_STREAM_CAPTURE_MODE_RELAXED));
    NO(STREAM_CAPTURE_IMPLICIT, cuStreamQuery(NULL));
    NO(STREAM_CAPTURE_INVALIDATED, cuStreamEndCapture(blocking, &g));
    SEE(word_is(p, 2));
    OK(cuStreamBeginCapture(blocking, CU_STREAM_CAPTURE_MODE_RELAXED));
    NO(STREAM_CAPTURE_IMPLICIT, cuStreamIsCapturing(NULL, &(CUstreamCaptureStatus){0}));
    OK(cuStreamEndCapture(blocking, &g)); /* to ask that spoils nothing */
    OK(cuGraphDestroy(g));
    OK(cuStreamBeginCapture(s, CU_STREAM_CAPTURE_MODE_RELAXED));
    OK(cuMemsetD32Async(p, 4, 1, NULL)); /* not for one that does not block */
    OK(cuStreamEndCapture(s, &g));
    OK(cuGraphDestroy(g));
    SEE(word_is(p, 4));

    /* Who has begun it ends it, unless it is relaxed. */
    OK(cuStreamBeginCapture(s, CU_STREAM_CAPTURE_MODE_GLOBAL));
    NO(STREAM_CAPTURE_WRONG_THREAD, in_thread(end_elsewhere, s));
    cuStreamEndCapture(s, &g); /* whether it was spoilt is not said */
    OK(cuStreamBeginCapture(s, CU_STREAM_CAPTURE_MODE_RELAXED));
    OK(in_thread(end_elsewhere, s));
    SEE(status_of(s) == CU_STREAM_CAPTURE_STATUS_NONE);

    NO(STREAM_CAPTURE_UNSUPPORTED, cuStreamBeginCapture(NULL, CU_STREAM_CAPTURE_MODE_RELAXED));
    OK(cuStreamBeginCapture(CU_STREAM_PER_THREAD, CU_STREAM_CAPTURE_MODE_RELAXED));
    OK(cuStreamEndCapture(CU_STREAM_PER_THREAD, &g));
    OK(cuGraphDestroy(g));
    CHECK(cuEventDestroy(e));
    CHECK(cuEventDestroy(f));
    CHECK(cuStreamDestroy(s));
    CHECK(cuStreamDestroy(t));
    CHECK(cuStreamDestroy(blocking));
    OK(cuMemFree(p));
}

/* Into a graph that is there, behind its nodes; and what the next one is behind can be changed. */
static void into_a_graph(void)
{
    CUDA_MEMSET_NODE_PARAMS set;
    CUstreamCaptureStatus status;
    const CUgraphNode *before = NULL;
    CUgraphNode first, list[4] = {0};
    CUgraph g, made = NULL;
    CUgraphExec x;
    size_t n = 0;
    CUstream s;

    memory_make();
    CHECK(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
    set = fill_of(0, 120);
    OK(cuGraphCreate(&g, 0));
    OK(cuGraphAddMemsetNode(&first, g, NULL, 0, &set, ctx));
    OK(cuStreamBeginCaptureToGraph(s, g, &first, NULL, 1, CU_STREAM_CAPTURE_MODE_RELAXED));
    OK(cuMemcpyDtoDAsync(p + 4, p, 4, s));
    OK(cuStreamGetCaptureInfo(s, &status, NULL, NULL, &before, NULL, &n), n == 1,
       before[0] != first);
    OK(cuStreamUpdateCaptureDependencies(s, &first, NULL, 1, CU_STREAM_ADD_CAPTURE_DEPENDENCIES));
    OK(cuStreamGetCaptureInfo(s, &status, NULL, NULL, &before, NULL, &n), n == 2);
    OK(cuStreamUpdateCaptureDependencies(s, &first, NULL, 1, CU_STREAM_SET_CAPTURE_DEPENDENCIES));
    OK(cuStreamGetCaptureInfo(s, &status, NULL, NULL, &before, NULL, &n), n == 1,
       before[0] == first);
    OK(cuMemcpyDtoDAsync(p + 8, p, 4, s));
    OK(cuStreamEndCapture(s, &made), made == g, nodes_of(g) == 3);
    n = 4;
    OK(cuGraphGetRootNodes(g, list, &n), n == 1, list[0] == first);
    n = 4;
    OK(cuGraphNodeGetDependentNodes(first, list, NULL, &n), n == 2); /* beside one another */
    OK(cuGraphInstantiate(&x, g, 0));
    OK(run(x), word_is(p, 120), word_is(p + 4, 120), word_is(p + 8, 120));
    NO(ILLEGAL_STATE,
       cuStreamUpdateCaptureDependencies(s, &first, NULL, 1, CU_STREAM_SET_CAPTURE_DEPENDENCIES));
    OK(cuGraphExecDestroy(x));
    OK(cuGraphDestroy(g));
    CHECK(cuStreamDestroy(s));
    OK(cuMemFree(p));
}

static void modes(void)
{
    CUstreamCaptureMode mode = CU_STREAM_CAPTURE_MODE_RELAXED;

    OK(cuThreadExchangeStreamCaptureMode(&mode), mode == CU_STREAM_CAPTURE_MODE_GLOBAL); /* first */
    mode = CU_STREAM_CAPTURE_MODE_THREAD_LOCAL;
    OK(cuThreadExchangeStreamCaptureMode(&mode), mode == CU_STREAM_CAPTURE_MODE_RELAXED);
    mode = CU_STREAM_CAPTURE_MODE_GLOBAL;
    OK(cuThreadExchangeStreamCaptureMode(&mode), mode == CU_STREAM_CAPTURE_MODE_THREAD_LOCAL);
    mode = (CUstreamCaptureMode)3;
    NO(INVALID_VALUE, cuThreadExchangeStreamCaptureMode(&mode));
    mode = CU_STREAM_CAPTURE_MODE_GLOBAL;
    OK(cuThreadExchangeStreamCaptureMode(&mode), mode == CU_STREAM_CAPTURE_MODE_GLOBAL);
}

static const struct table tables[] = {
    {"kernel nodes", kernel_nodes},
    {"fill nodes", fill_nodes},
    {"copy nodes", copy_nodes},
    {"other nodes", other_nodes},
    {"child nodes", child_nodes},
    {"event nodes", event_nodes},
    {"any nodes", any_nodes},
    {"kernel attributes", kernel_attributes},
    {"user objects", user_objects, APART},
    {"user object references", user_object_references, APART},
    {"pictures", pictures},
    {"dependencies", dependencies},
    {"clones", clones},
    {"executable", executable},
    {"ordered", ordered},
    {"ordered with host", ordered_with_host},
    {"copied in turn", copied_in_turn, APART},
    {"updates", updates},
    {"captured", captured},
    {"forked", forked},
    {"spoilt", spoilt},
    {"into a graph", into_a_graph},
    {"modes", modes},
    {0},
};

int main(void)
{
    return tables_run("graph", tables);
}
