/* cuda/api's graphs and captures, over a device that only notes what it is told. */
/* links: obj/libcuda_api.a obj/libcuda_common.a -lzstd -llz4 */
/* san: thread */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cuda/api/event.h"

#define OK(call)          assert_int_equal(call, CUDA_SUCCESS)
#define FAILS(call, with) assert_int_equal(call, with)

/* --- the device ------------------------------------------------------------------------------- */

enum {
    EVENTS = 8,
    STREAMS = 4,
    LEGACY = 0,
    BLOCKING = 1
}; /* the others do not synchronise with it */
static struct xg_cuda_stream streams[STREAMS];
static _Atomic int held, owns;
static char done[256];      /* what was done, a word for each */
static const char *refused; /* the word that fails */
static struct xg_cuda_ctx contexts[2];
static struct xg_cuda_event events[EVENTS];

#define CTX       (contexts[0].handle)
#define OTHER_CTX (contexts[1].handle) /* that of function 2 */
#define S(n)      (streams[n].handle)
#define E(n)      (events[n].handle)
#define F(n)      ((CUfunction)(uintptr_t)(0x30 + (n)))

static CUresult note(struct xg_cuda_stream *s, const char *word, unsigned n)
{
    char text[32];

    snprintf(text, sizeof(text), "%s%u ", word, n);
    if (refused && strncmp(text, refused, strlen(refused)) == 0)
        return CUDA_ERROR_LAUNCH_FAILED;
    strncat(done, text, sizeof(done) - strlen(done) - 1);
    return CUDA_SUCCESS;
}

static CUresult lost(void)
{
    return CUDA_SUCCESS;
}

static CUresult ctx_error(struct xg_cuda_ctx *ctx)
{
    return CUDA_SUCCESS;
}

static void stream_hold(struct xg_cuda_stream *s)
{
    held++;
}

static void stream_put(struct xg_cuda_stream *s)
{
    held--;
}

/* What the device keeps of work: a number of references. */
static void *own_new(void)
{
    _Atomic int *own = malloc(sizeof(*own));

    assert_non_null(own);
    *own = 1;
    owns++;
    return own;
}

static void own_get(void *own)
{
    _Atomic int *refs = own;
    assert_true(atomic_fetch_add(refs, 1) > 0);
}

static void own_put(void *own)
{
    _Atomic int *refs = own;

    if (atomic_fetch_sub(refs, 1) != 1)
        return;
    free(own);
    owns--;
}

static bool own_alive(void *own)
{
    _Atomic int *refs = own;
    return own && *refs > 0;
}

/* Two parameters with a gap: four bytes, and eight. */
static const struct xg_cuda_place place[] = {{0, 4}, {8, 8}};

static CUresult kernel_check(CUDA_KERNEL_NODE_PARAMS *p, bool cooperative,
                             struct xg_cuda_layout *layout, void **own)
{
    if (!p->ctx)
        return CUDA_ERROR_INVALID_CONTEXT;
    if (p->func < F(0) || p->func > F(2))
        return CUDA_ERROR_INVALID_HANDLE;
    if (!p->gridDimX)
        return CUDA_ERROR_INVALID_VALUE;
    *layout = (struct xg_cuda_layout){place, 2, 16};
    p->ctx = p->func == F(2) ? OTHER_CTX : CTX;
    *own = own_new();
    return CUDA_SUCCESS;
}

static CUresult copy_check(const struct xg_cuda_box *b, void **own)
{
    /* nothing is kept of copies */
    return b->dst.at >= 0x1000 ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

static CUresult fill_check(const CUDA_MEMSET_NODE_PARAMS *p, void **own)
{
    if (!p->dst)
        return CUDA_ERROR_INVALID_VALUE;
    *own = own_new();
    return CUDA_SUCCESS;
}

static bool memory_find(CUdeviceptr p, struct xg_cuda_memory *m)
{
    *m =
        (struct xg_cuda_memory){.kind = p < 0x1000 ? XG_CUDA_MEMORY_PINNED : XG_CUDA_MEMORY_DEVICE};
    return true;
}

static CUresult launch(struct xg_cuda_stream *s, const CUDA_KERNEL_NODE_PARAMS *p, bool cooperative,
                       void *own)
{
    uint64_t wide;

    assert_true(own_alive(own));
    memcpy(&wide, p->kernelParams[1], 8);
    assert_int_equal(wide, ~(uint64_t) * (uint32_t *)p->kernelParams[0]);
    assert_null(p->extra);
    return note(s, cooperative ? "together" : "kernel", *(uint32_t *)p->kernelParams[0]);
}

static CUresult copy(struct xg_cuda_stream *s, const struct xg_cuda_box *b, bool wait, void *own)
{
    assert_null(own);
    assert_false(wait);
    return note(s, "copy", (unsigned)b->width);
}

static CUresult fill(struct xg_cuda_stream *s, const CUDA_MEMSET_NODE_PARAMS *p, bool wait,
                     void *own)
{
    assert_false(wait);
    assert_true(own_alive(own));
    return note(s, "fill", p->value);
}

static CUresult host(struct xg_cuda_stream *s, const CUDA_HOST_NODE_PARAMS *p)
{
    return note(s, "host", (unsigned)(uintptr_t)p->userData);
}

static CUresult event_record(struct xg_cuda_stream *s, struct xg_cuda_event *e)
{
    return note(s, "record", (unsigned)(e - events));
}

static CUresult event_wait(struct xg_cuda_stream *s, struct xg_cuda_event *e)
{
    return note(s, "wait", (unsigned)(e - events));
}

static const struct xg_cuda_facts facts = {.host_functions = true};

const struct xg_cuda_device xg_cuda_device = {
    .facts = &facts,
    .lost = lost,
    .ctx_error = ctx_error,
    .stream_hold = stream_hold,
    .stream_put = stream_put,
    .kernel_check = kernel_check,
    .copy_check = copy_check,
    .fill_check = fill_check,
    .own_get = own_get,
    .own_put = own_put,
    .memory_find = memory_find,
    .launch = launch,
    .copy = copy,
    .fill = fill,
    .host = host,
    .event_record = event_record,
    .event_wait = event_wait,
};

static int device_new(void **state)
{
    xg_cuda_state = XG_CUDA_STARTED;
    for (unsigned i = 0; i < 2; i++)
        if (!xg_cuda_ctx_get(contexts[i].handle))
            contexts[i].handle = xg_cuda_handle_new(XG_CUDA_KIND_CTX, &contexts[i]);
    OK(cuCtxSetCurrent(CTX));
    contexts[0].legacy = &streams[LEGACY];
    for (unsigned i = 0; i < STREAMS; i++)
        streams[i] = (struct xg_cuda_stream){
            .handle = i == LEGACY ? CU_STREAM_LEGACY
                                  : xg_cuda_handle_new(XG_CUDA_KIND_STREAM, &streams[i]),
            .ctx = &contexts[0],
            .legacy = i == LEGACY,
            .blocking = i == BLOCKING};
    for (unsigned i = 0; i < EVENTS; i++)
        events[i] =
            (struct xg_cuda_event){.handle = xg_cuda_handle_new(XG_CUDA_KIND_EVENT, &events[i]),
                                   .ctx = &contexts[0],
                                   .recorded = true};
    refused = NULL;
    return 0;
}

static int device_end(void **state)
{
    assert_int_equal(held, 0);
    assert_int_equal(owns, 0);
    assert_int_equal(xg_cuda_captures, 0);
    for (unsigned i = 0; i < STREAMS; i++)
        xg_cuda_handle_drop(XG_CUDA_KIND_STREAM, S(i));
    for (unsigned i = 0; i < EVENTS; i++)
        xg_cuda_handle_drop(XG_CUDA_KIND_EVENT, E(i));
    return 0;
}

/* --- making nodes ----------------------------------------------------------------------------- */

static CUDA_KERNEL_NODE_PARAMS kernel_params(uint32_t n, void *args[2], uint64_t *wide)
{
    static uint32_t narrow;

    narrow = n;
    *wide = ~(uint64_t)n;
    args[0] = &narrow;
    args[1] = wide;
    return (CUDA_KERNEL_NODE_PARAMS){.func = F(0), .gridDimX = 1, .kernelParams = args};
}

static CUgraphNode kernel(CUgraph g, CUgraphNode after, uint32_t n)
{
    void *args[2];
    uint64_t wide;
    CUDA_KERNEL_NODE_PARAMS p = kernel_params(n, args, &wide);
    CUgraphNode node;

    OK(cuGraphAddKernelNode_v2(&node, g, &after, after != NULL, &p));
    return node;
}

static CUDA_MEMSET_NODE_PARAMS fill_params(unsigned value, size_t width, size_t height)
{
    return (CUDA_MEMSET_NODE_PARAMS){.dst = 0x1000,
                                     .pitch = width,
                                     .value = value,
                                     .elementSize = 1,
                                     .width = width,
                                     .height = height};
}

static CUgraphNode fill_node(CUgraph g, CUgraphNode after, unsigned value, size_t width,
                             size_t height)
{
    CUDA_MEMSET_NODE_PARAMS p = fill_params(value, width, height);
    CUgraphNode node;

    OK(cuGraphAddMemsetNode(&node, g, &after, after != NULL, &p, NULL));
    return node;
}

static CUgraph graph_new(void)
{
    CUgraph g;

    OK(cuGraphCreate(&g, 0));
    return g;
}

static CUgraphExec exec_new(CUgraph g)
{
    CUgraphExec x;

    OK(cuGraphInstantiateWithFlags(&x, g, 0));
    return x;
}

static void launched_is(CUgraphExec x, const char *want)
{
    done[0] = 0;
    OK(cuGraphLaunch(x, S(2)));
    assert_string_equal(done, want);
}

/* What the graph does, and it goes. */
static void graph_is(CUgraph g, const char *want)
{
    CUgraphExec x = exec_new(g);

    OK(cuGraphDestroy(g));
    launched_is(x, want);
    OK(cuGraphExecDestroy(x));
}

static size_t node_count(CUgraph g)
{
    size_t n = 0;

    OK(cuGraphGetNodes(g, NULL, &n));
    return n;
}

/* --- graphs by hand --------------------------------------------------------------------------- */

static void order(void **state)
{
    CUDA_HOST_NODE_PARAMS call = {free, (void *)7}, none = {0};
    CUDA_MEMCPY3D c = {.srcMemoryType = CU_MEMORYTYPE_HOST,
                       .srcHost = &call,
                       .dstMemoryType = CU_MEMORYTYPE_DEVICE,
                       .dstDevice = 0x1000,
                       .WidthInBytes = 5,
                       .Height = 1,
                       .Depth = 1};
    CUgraph g = graph_new(), inner = graph_new();
    CUgraphNode k = kernel(g, NULL, 1), first = fill_node(g, NULL, 2, 1, 1), h, n;

    kernel(inner, NULL, 3);
    OK(cuGraphAddDependencies(g, &first, &k, 1)); /* against the order of making */
    OK(cuGraphAddHostNode(&h, g, &k, 1, &call));
    FAILS(cuGraphAddHostNode(&n, g, &k, 1, &none), CUDA_ERROR_INVALID_VALUE);
    OK(cuGraphAddChildGraphNode(&n, g, &h, 1, inner));
    OK(cuGraphDestroy(inner)); /* the node has a copy */
    OK(cuGraphAddMemcpyNode(&n, g, &n, 1, &c, CTX));
    FAILS(cuGraphAddMemcpyNode(&n, g, &n, 1, &c, (CUcontext)1), CUDA_ERROR_INVALID_VALUE);
    OK(cuGraphAddEventRecordNode(&n, g, &n, 1, E(1)));
    OK(cuGraphAddEventWaitNode(&n, g, &n, 1, E(2)));
    OK(cuGraphAddEmptyNode(&n, g, &n, 1));
    assert_int_equal(node_count(g), 8);
    graph_is(g, "fill2 kernel1 host7 kernel3 copy5 record1 wait2 ");
}

static void parameters(void **state)
{
    CUgraph g = graph_new();
    CUgraphNode k = kernel(g, NULL, 1), f = fill_node(g, k, 2, 1, 1), e;
    CUDA_MEMSET_NODE_PARAMS fp;
    CUDA_KERNEL_NODE_PARAMS p, changed;
    void *args[2];
    uint64_t wide;
    CUevent event;

    OK(cuGraphKernelNodeGetParams_v2(k, &p));
    assert_int_equal(*(uint32_t *)p.kernelParams[0], 1);
    assert_ptr_equal(p.ctx, CTX);
    changed = kernel_params(9, args, &wide);
    changed.gridDimX = 0;
    FAILS(cuGraphKernelNodeSetParams_v2(k, &changed), CUDA_ERROR_INVALID_VALUE);
    FAILS(cuGraphKernelNodeSetParams_v2(f, &changed), CUDA_ERROR_INVALID_VALUE);
    OK(cuGraphKernelNodeGetParams_v2(k, &p)); /* it keeps those that it has */
    assert_int_equal(*(uint32_t *)p.kernelParams[0], 1);
    changed.gridDimX = 1;
    OK(cuGraphKernelNodeSetParams_v2(k, &changed));
    fp = fill_params(4, 1, 1);
    OK(cuGraphMemsetNodeSetParams(f, &fp));
    OK(cuGraphMemsetNodeGetParams(f, &fp));
    assert_int_equal(fp.value, 4);
    FAILS(cuGraphMemcpyNodeGetParams(f, (CUDA_MEMCPY3D *)&p), CUDA_ERROR_INVALID_VALUE);
    OK(cuGraphAddEventRecordNode(&e, g, &f, 1, E(1)));
    OK(cuGraphEventRecordNodeSetEvent(e, E(3)));
    FAILS(cuGraphEventRecordNodeSetEvent(e, (CUevent)1), CUDA_ERROR_INVALID_VALUE);
    FAILS(cuGraphEventWaitNodeSetEvent(e, E(3)), CUDA_ERROR_INVALID_VALUE);
    OK(cuGraphEventRecordNodeGetEvent(e, &event));
    assert_ptr_equal(event, E(3));
    graph_is(g, "kernel9 fill4 record3 ");
}

/* Parameters in one block, and nodes by the call for all kinds. */
static void any_kind(void **state)
{
    struct {
        uint32_t narrow, gap;
        uint64_t wide;
    } block = {6, 0, ~6ull};
    size_t size = sizeof(block);
    void *extra[] = {CU_LAUNCH_PARAM_BUFFER_POINTER, &block, CU_LAUNCH_PARAM_BUFFER_SIZE, &size,
                     CU_LAUNCH_PARAM_END};
    CUgraphNodeParams p = {.type = CU_GRAPH_NODE_TYPE_KERNEL};
    CUgraphEdgeData early = {.type = 1};
    CUgraph g = graph_new();
    CUgraphNode n;

    p.kernel.func = F(0);
    p.kernel.gridDimX = 1;
    p.kernel.extra = extra;
    OK(cuGraphAddNode(&n, g, NULL, 0, &p));
    block.narrow = 8; /* the node has its own */
    FAILS(cuGraphAddNode_v2(&n, g, &n, &early, 1, &p), CUDA_ERROR_NOT_SUPPORTED);
    p = (CUgraphNodeParams){.type = CU_GRAPH_NODE_TYPE_MEMSET};
    p.memset.dst = 0x1000;
    p.memset.value = p.memset.elementSize = 1;
    p.memset.width = p.memset.height = 1;
    OK(cuGraphAddNode(&n, g, &n, 1, &p));
    p.memset.value = 3;
    OK(cuGraphNodeSetParams(n, &p));
    p = (CUgraphNodeParams){.type = CU_GRAPH_NODE_TYPE_CONDITIONAL};
    FAILS(cuGraphAddNode(&n, g, &n, 1, &p), CUDA_ERROR_NOT_SUPPORTED);
    graph_is(g, "kernel6 fill3 ");
}

static void edges(void **state)
{
    CUgraph g = graph_new(), other = graph_new();
    CUgraphNode a = kernel(g, NULL, 1), b = kernel(g, a, 2), c = kernel(g, b, 3),
                far = kernel(other, NULL, 4), from[4], to[4];
    CUgraphExec x;
    size_t n = 4;

    FAILS(cuGraphAddDependencies(g, &a, &b, 1), CUDA_ERROR_INVALID_VALUE); /* there already */
    FAILS(cuGraphAddDependencies(g, &a, &a, 1), CUDA_ERROR_INVALID_VALUE);
    FAILS(cuGraphAddDependencies(g, &far, &a, 1), CUDA_ERROR_INVALID_VALUE);
    OK(cuGraphGetEdges(g, from, to, &n));
    assert_int_equal(n, 2);
    assert_true(from[0] == a && to[0] == b && from[1] == b && to[1] == c);
    assert_true(!from[2] && !to[3]); /* the rest of the room */
    n = 1;
    OK(cuGraphGetEdges(g, from, to, &n));
    assert_int_equal(n, 1);
    n = 4;
    OK(cuGraphNodeGetDependentNodes(a, to, &n));
    assert_true(n == 1 && to[0] == b);
    OK(cuGraphAddDependencies(g, &c, &a, 1));
    FAILS(cuGraphInstantiateWithFlags(&x, g, 0), CUDA_ERROR_INVALID_VALUE); /* a circle */
    OK(cuGraphRemoveDependencies(g, &c, &a, 1));
    FAILS(cuGraphRemoveDependencies(g, &c, &a, 1), CUDA_ERROR_INVALID_VALUE);
    OK(cuGraphDestroyNode(b));
    n = 4;
    OK(cuGraphGetRootNodes(g, from, &n));
    assert_true(n == 2 && from[0] == a && from[1] == c);
    FAILS(cuGraphNodeGetDependencies(b, from, &n), CUDA_ERROR_INVALID_VALUE);
    graph_is(g, "kernel1 kernel3 ");
    OK(cuGraphDestroy(other));
}

static void copies(void **state)
{
    CUgraph g = graph_new(), inner = graph_new(), clone, mine;
    CUgraphNode k = kernel(g, NULL, 1), child, found, n;
    CUDA_MEMSET_NODE_PARAMS p = fill_params(7, 1, 1);
    size_t one = 1;

    fill_node(inner, NULL, 2, 1, 1);
    OK(cuGraphAddChildGraphNode(&child, g, &k, 1, inner));
    OK(cuGraphDestroy(inner));
    OK(cuGraphClone(&clone, g));
    OK(cuGraphNodeFindInClone(&found, child, clone));
    FAILS(cuGraphNodeFindInClone(&n, found, clone), CUDA_ERROR_INVALID_VALUE);
    OK(cuGraphDestroy(g));
    OK(cuGraphChildGraphNodeGetGraph(found, &mine));
    FAILS(cuGraphDestroy(mine), CUDA_ERROR_INVALID_VALUE); /* the node's */
    OK(cuGraphGetNodes(mine, &n, &one));
    OK(cuGraphMemsetNodeSetParams(n, &p));
    graph_is(clone, "kernel1 fill7 ");
    FAILS(cuGraphNodeGetType(n, &(CUgraphNodeType){0}), CUDA_ERROR_INVALID_VALUE);
}

static void calls(void **state)
{
    CUgraph g = graph_new();
    CUgraphExec x;
    cuuint64_t flags;

    FAILS(cuGraphDestroy((CUgraph)0x1234), CUDA_ERROR_INVALID_VALUE); /* nothing is followed */
    FAILS(cuGraphLaunch((CUgraphExec)g, S(2)), CUDA_ERROR_INVALID_VALUE);
    FAILS(cuGraphInstantiateWithFlags(&x, g, 2), CUDA_ERROR_INVALID_VALUE);
    FAILS(cuGraphInstantiateWithFlags(&x, g, 16), CUDA_ERROR_INVALID_VALUE);
    FAILS(cuGraphInstantiateWithFlags(&x, g, 4), CUDA_ERROR_NOT_SUPPORTED);
    OK(cuGraphInstantiateWithFlags(&x, g, 8));
    OK(cuGraphExecGetFlags(x, &flags));
    assert_int_equal(flags, 8);
    FAILS(cuGraphLaunch(x, (CUstream)0x99), CUDA_ERROR_INVALID_HANDLE);
    OK(cuCtxSetCurrent(NULL));
    FAILS(cuGraphInstantiateWithFlags(&x, g, 0), CUDA_ERROR_INVALID_CONTEXT);
    OK(cuGraphGetNodes(g, NULL, &(size_t){0}));
    xg_cuda_state = XG_CUDA_NEW;
    FAILS(cuGraphGetNodes(g, NULL, &(size_t){0}), CUDA_ERROR_NOT_INITIALIZED);
    FAILS(cuGraphExecDestroy(x), CUDA_ERROR_NOT_INITIALIZED);
    xg_cuda_state = XG_CUDA_STARTED;
    OK(cuGraphExecDestroy(x));
    FAILS(cuGraphExecDestroy(x), CUDA_ERROR_INVALID_VALUE);
    OK(cuGraphDestroy(g));
}

/* --- executable graphs ------------------------------------------------------------------------ */

static void device_fails(void **state)
{
    CUgraph g = graph_new();
    CUgraphNode n = kernel(g, NULL, 1);
    CUgraphExec x;

    n = fill_node(g, n, 2, 1, 1);
    kernel(g, n, 3);
    x = exec_new(g);
    refused = "fill2";
    done[0] = 0;
    FAILS(cuGraphLaunch(x, S(2)), CUDA_ERROR_LAUNCH_FAILED);
    assert_string_equal(done, "kernel1 "); /* and nothing behind it */
    OK(cuGraphExecDestroy(x));
    OK(cuGraphDestroy(g));
}

static void changes(void **state)
{
    CUgraph g = graph_new(), inner = graph_new(), child;
    CUgraphNode k = kernel(g, NULL, 1), f = fill_node(g, k, 2, 1, 1), c, in;
    CUDA_MEMSET_NODE_PARAMS fp = fill_params(5, 1, 1);
    CUDA_KERNEL_NODE_PARAMS kp;
    CUgraphExec x;
    void *args[2];
    uint64_t wide;
    unsigned on;
    size_t one = 1;

    fill_node(inner, NULL, 3, 1, 1);
    OK(cuGraphAddChildGraphNode(&c, g, &f, 1, inner));
    OK(cuGraphDestroy(inner));
    OK(cuGraphChildGraphNodeGetGraph(c, &child));
    OK(cuGraphGetNodes(child, &in, &one));
    x = exec_new(g);
    OK(cuGraphExecMemsetNodeSetParams(x, f, &fp, NULL));
    fp.value = 6;
    OK(cuGraphExecMemsetNodeSetParams(x, in, &fp, NULL)); /* a child's node */
    FAILS(cuGraphExecMemsetNodeSetParams(x, k, &fp, NULL), CUDA_ERROR_INVALID_VALUE);
    kp = kernel_params(8, args, &wide);
    OK(cuGraphExecKernelNodeSetParams_v2(x, k, &kp));
    launched_is(x, "kernel8 fill5 fill6 ");
    OK(cuGraphNodeSetEnabled(x, f, 0));
    OK(cuGraphNodeGetEnabled(x, f, &on));
    assert_int_equal(on, 0);
    FAILS(cuGraphNodeSetEnabled(x, c, 0), CUDA_ERROR_INVALID_VALUE);
    launched_is(x, "kernel8 fill6 ");
    OK(cuGraphExecDestroy(x));
    graph_is(g, "kernel1 fill2 fill3 "); /* the graph is as it was */
}

static void update_fails(CUgraphExec x, CUgraph g, CUgraphExecUpdateResult want, CUgraphNode at)
{
    CUgraphExecUpdateResultInfo info;

    FAILS(cuGraphExecUpdate_v2(x, g, &info), CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE);
    assert_int_equal(info.result, want);
    assert_ptr_equal(info.errorNode, at);
    OK(cuGraphDestroy(g));
}

static void updates(void **state)
{
    CUgraph first = graph_new(), g = graph_new();
    CUgraphNode k = kernel(first, NULL, 1), n;
    CUDA_KERNEL_NODE_PARAMS p;
    CUgraphExec x;

    fill_node(first, k, 2, 4, 2);
    x = exec_new(first);
    OK(cuGraphNodeSetEnabled(x, k, 0));
    n = kernel(g, NULL, 5);
    fill_node(g, n, 6, 4, 2);
    OK(cuGraphExecUpdate_v2(x, g, NULL));
    OK(cuGraphDestroy(g));
    launched_is(x, "fill6 ");           /* what was disabled stays so */
    OK(cuGraphNodeSetEnabled(x, k, 1)); /* by the first graph's node */
    launched_is(x, "kernel5 fill6 ");

    g = graph_new();
    n = kernel(g, NULL, 5);
    n = fill_node(g, n, 6, 5, 2);
    update_fails(x, g, CU_GRAPH_EXEC_UPDATE_ERROR_PARAMETERS_CHANGED, n);
    g = graph_new();
    n = fill_node(g, NULL, 1, 1, 1);
    kernel(g, n, 5);
    update_fails(x, g, CU_GRAPH_EXEC_UPDATE_ERROR_NODE_TYPE_CHANGED, n);
    g = graph_new();
    kernel(g, NULL, 5);
    n = fill_node(g, NULL, 6, 4, 2);
    update_fails(x, g, CU_GRAPH_EXEC_UPDATE_ERROR_TOPOLOGY_CHANGED, n);
    g = graph_new();
    n = kernel(g, NULL, 5);
    OK(cuGraphKernelNodeGetParams_v2(n, &p));
    p.func = F(2);
    OK(cuGraphKernelNodeSetParams_v2(n, &p));
    fill_node(g, n, 6, 4, 2);
    update_fails(x, g, CU_GRAPH_EXEC_UPDATE_ERROR_UNSUPPORTED_FUNCTION_CHANGE, n);
    launched_is(x, "kernel5 fill6 "); /* as it was */
    FAILS(cuGraphExecUpdate_v2(x, NULL, NULL), CUDA_ERROR_INVALID_VALUE);
    OK(cuGraphExecDestroy(x));
    OK(cuGraphDestroy(first));
}

static void *launch_often(void *x)
{
    for (unsigned i = 0; i < 200; i++)
        if (cuGraphLaunch(x, S(3)) != CUDA_SUCCESS)
            break;
    return NULL;
}

/* One thread launches what others change and destroy. */
static void threads(void **state)
{
    CUgraph g = graph_new();
    CUgraphNode f = fill_node(g, NULL, 1, 1, 1);
    CUgraphExec x = exec_new(g);
    CUDA_MEMSET_NODE_PARAMS p = fill_params(2, 1, 1);
    pthread_t t;

    assert_int_equal(pthread_create(&t, NULL, launch_often, x), 0);
    for (unsigned i = 0; i < 50; i++) {
        OK(cuGraphExecMemsetNodeSetParams(x, f, &p, NULL));
        OK(cuGraphNodeSetEnabled(x, f, i & 1));
        OK(cuGraphExecUpdate_v2(x, g, NULL));
    }
    OK(cuGraphExecDestroy(x));
    pthread_join(t, NULL);
    OK(cuGraphDestroy(g));
}

/* --- captures --------------------------------------------------------------------------------- */

static CUresult fill_in(unsigned stream, unsigned value)
{
    return cuMemsetD8Async(0x1000, (unsigned char)value, 1, S(stream));
}

static void begin(unsigned stream)
{
    OK(cuStreamBeginCapture_v2(S(stream), CU_STREAM_CAPTURE_MODE_GLOBAL));
    assert_true(xg_cuda_capturing(&streams[stream]));
}

/* The capture of that stream ends so. */
static void end(unsigned stream, CUresult want)
{
    CUgraph g = (CUgraph)1;

    FAILS(cuStreamEndCapture(S(stream), &g), want);
    assert_true((g != NULL) == (want == CUDA_SUCCESS));
    if (g)
        OK(cuGraphDestroy(g));
}

static void captured(void **state)
{
    struct xg_cuda_mark fork = {0}, join = {0};
    CUstreamCaptureStatus status;
    const CUgraphNode *dep;
    CUgraph g, seen;
    size_t n;

    FAILS(cuStreamEndCapture(S(2), &g), CUDA_ERROR_ILLEGAL_STATE);
    begin(2);
    FAILS(cuStreamBeginCapture_v2(S(2), 0), CUDA_ERROR_ILLEGAL_STATE);
    OK(fill_in(2, 1));
    OK(xg_cuda_capture_record(&streams[2], E(0), false, &fork));
    assert_false(xg_cuda_capturing(&streams[3]));
    OK(xg_cuda_capture_wait(&streams[3], E(0), false, &fork));
    assert_true(xg_cuda_capturing(&streams[3]));
    OK(fill_in(3, 2));
    OK(fill_in(2, 3));
    OK(xg_cuda_capture_record(&streams[3], E(1), false, &join));
    OK(xg_cuda_capture_wait(&streams[2], E(1), false, &join));
    OK(cuStreamGetCaptureInfo_v2(S(2), &status, NULL, &seen, &dep, &n));
    assert_int_equal(status, CU_STREAM_CAPTURE_STATUS_ACTIVE);
    assert_int_equal(n, 2);
    OK(xg_cuda_capture_record(&streams[2], E(2), false, &fork)); /* behind both, without a node */
    assert_int_equal(node_count(seen), 3);
    FAILS(cuGraphDestroy(seen), CUDA_ERROR_INVALID_VALUE); /* it is being made */
    FAILS(cuGraphDestroyNode(dep[0]), CUDA_ERROR_INVALID_VALUE);
    OK(xg_cuda_capture_host(&streams[2], free, (void *)4));
    FAILS(cuStreamEndCapture(S(3), &g), CUDA_ERROR_STREAM_CAPTURE_UNMATCHED);
    OK(cuStreamEndCapture(S(2), &g));
    assert_ptr_equal(g, seen);
    assert_false(xg_cuda_capturing(&streams[3]));
    FAILS(xg_cuda_mark_refuses(&join), CUDA_ERROR_INVALID_VALUE);
    OK(cuGraphGetEdges(g, NULL, NULL, &n));
    assert_int_equal(n, 4); /* 1-2, 1-3, 2-4, 3-4 */
    graph_is(g, "fill1 fill2 fill3 host4 ");
    xg_cuda_mark_clear(&fork);
    xg_cuda_mark_clear(&join);
    assert_false(xg_cuda_marked(&join));
}

static void spoilt(void **state)
{
    struct xg_cuda_mark none = {0}, mark = {0}, other = {0};
    CUstreamCaptureMode relaxed = CU_STREAM_CAPTURE_MODE_RELAXED;
    CUstreamCaptureStatus status;

    begin(2); /* what has no node */
    FAILS(xg_cuda_capture_refuses(&streams[2]), CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
    FAILS(fill_in(2, 1), CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
    OK(cuStreamIsCapturing(S(2), &status));
    assert_int_equal(status, CU_STREAM_CAPTURE_STATUS_INVALIDATED);
    end(2, CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);

    begin(2); /* a wait for work outside */
    FAILS(xg_cuda_capture_wait(&streams[2], E(0), false, &none),
          CUDA_ERROR_STREAM_CAPTURE_ISOLATION);
    end(2, CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);

    begin(2); /* two captures */
    begin(3);
    OK(fill_in(2, 1));
    OK(xg_cuda_capture_record(&streams[2], E(0), false, &mark));
    FAILS(xg_cuda_capture_wait(&streams[3], E(0), false, &mark), CUDA_ERROR_STREAM_CAPTURE_MERGE);
    end(2, CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
    end(3, CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
    FAILS(xg_cuda_capture_wait(&streams[3], E(0), false, &mark), CUDA_ERROR_CAPTURED_EVENT);

    begin(2); /* a look at an event of it */
    OK(xg_cuda_capture_record(&streams[2], E(0), false, &mark));
    FAILS(xg_cuda_mark_refuses(&mark), CUDA_ERROR_CAPTURED_EVENT);
    end(2, CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);

    begin(2); /* work that did not come back */
    OK(fill_in(2, 1));
    OK(xg_cuda_capture_record(&streams[2], E(0), false, &other));
    OK(xg_cuda_capture_wait(&streams[3], E(0), false, &other));
    OK(fill_in(3, 2));
    end(2, CUDA_ERROR_STREAM_CAPTURE_UNJOINED);

    begin(2); /* an unsafe call, but for those who know what they do */
    OK(cuThreadExchangeStreamCaptureMode(&relaxed));
    assert_false(xg_cuda_capture_forbids());
    OK(cuThreadExchangeStreamCaptureMode(&relaxed));
    assert_true(xg_cuda_capture_forbids());
    end(2, CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
    xg_cuda_mark_clear(&mark);
    xg_cuda_mark_clear(&other);
}

/* The legacy stream waits for those that synchronise with it. */
static void legacy(void **state)
{
    struct xg_cuda_mark mark = {0};
    CUstreamCaptureStatus status;

    FAILS(cuStreamBeginCapture_v2(S(LEGACY), 0), CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
    begin(2);
    assert_false(xg_cuda_capturing(&streams[LEGACY]));
    OK(xg_cuda_capture_refuses(&streams[LEGACY]));
    OK(fill_in(2, 1));
    OK(xg_cuda_capture_record(&streams[2], E(0), false, &mark));
    FAILS(xg_cuda_capture_wait(&streams[LEGACY], E(0), false, &mark),
          CUDA_ERROR_STREAM_CAPTURE_IMPLICIT);
    end(2, CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
    xg_cuda_mark_clear(&mark);

    begin(BLOCKING);
    assert_true(xg_cuda_capturing(&streams[LEGACY]));
    FAILS(cuStreamIsCapturing(S(LEGACY), &status), CUDA_ERROR_STREAM_CAPTURE_IMPLICIT);
    OK(cuStreamIsCapturing(S(BLOCKING), &status)); /* asking is no use */
    assert_int_equal(status, CU_STREAM_CAPTURE_STATUS_ACTIVE);
    FAILS(fill_in(LEGACY, 1), CUDA_ERROR_STREAM_CAPTURE_IMPLICIT);
    end(BLOCKING, CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
    begin(BLOCKING);
    FAILS(xg_cuda_capture_refuses(&streams[LEGACY]), CUDA_ERROR_STREAM_CAPTURE_IMPLICIT);
    end(BLOCKING, CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
}

static void into_a_graph(void **state)
{
    struct xg_cuda_mark none = {0};
    CUgraph g = graph_new(), out;
    CUgraphNode a = kernel(g, NULL, 1), b = kernel(g, NULL, 2), far = (CUgraphNode)g;

    FAILS(cuStreamBeginCaptureToGraph(S(2), g, &far, NULL, 1, 0), CUDA_ERROR_INVALID_VALUE);
    OK(cuStreamBeginCaptureToGraph(S(2), g, &a, NULL, 1, 0));
    FAILS(cuStreamBeginCaptureToGraph(S(3), g, &a, NULL, 1, 0), CUDA_ERROR_INVALID_VALUE);
    FAILS(cuStreamUpdateCaptureDependencies(S(3), &b, 1, 0), CUDA_ERROR_ILLEGAL_STATE);
    FAILS(cuStreamUpdateCaptureDependencies(S(2), &far, 1, 0), CUDA_ERROR_INVALID_VALUE);
    OK(cuStreamUpdateCaptureDependencies(S(2), &b, 1, CU_STREAM_SET_CAPTURE_DEPENDENCIES));
    OK(xg_cuda_capture_record(&streams[2], E(1), true, &none)); /* nodes of their own */
    OK(xg_cuda_capture_wait(&streams[2], E(2), true, &none));
    OK(cuMemcpyAsync(0x1000, 1, 0, S(2))); /* nothing to do, no node */
    OK(cuStreamEndCapture(S(2), &out));
    assert_ptr_equal(out, g);
    assert_int_equal(node_count(g), 4);
    OK(cuStreamBeginCaptureToGraph(S(2), g, NULL, NULL, 0, 0));
    FAILS(xg_cuda_capture_refuses(&streams[2]), CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
    FAILS(cuStreamEndCapture(S(2), &out), CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
    OK(cuGraphDestroyNode(a)); /* it is still the program's */
    graph_is(g, "kernel2 record1 wait2 ");

    CUgraph inner = graph_new(), outer = graph_new(), child;
    CUgraphNode n;
    const CUgraphEdgeData special = {.from_port = 1};
    OK(cuGraphAddChildGraphNode(&n, outer, NULL, 0, inner));
    OK(cuGraphChildGraphNodeGetGraph(n, &child)); /* would go with its node */
    FAILS(cuStreamBeginCaptureToGraph(S(2), child, NULL, NULL, 0, 0), CUDA_ERROR_NOT_SUPPORTED);
    FAILS(cuStreamBeginCaptureToGraph(S(2), g, &b, &special, 1, 0), CUDA_ERROR_NOT_SUPPORTED);
    OK(cuGraphDestroy(outer));
}

static void abandoned(void **state)
{
    struct xg_cuda_mark mark = {0};

    begin(2);
    OK(xg_cuda_capture_record(&streams[2], E(0), false, &mark));
    OK(xg_cuda_capture_wait(&streams[3], E(0), false, &mark));
    xg_cuda_capture_abandon(&streams[3]);
    assert_false(xg_cuda_capturing(&streams[3]));
    FAILS(fill_in(2, 1), CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
    xg_cuda_capture_abandon(&streams[2]);
    assert_false(xg_cuda_capturing(&streams[2]));
    FAILS(cuStreamEndCapture(S(2), &(CUgraph){NULL}), CUDA_ERROR_ILLEGAL_STATE);
    xg_cuda_mark_clear(&mark);
}

/* A child of fork() has none of its parent's. */
static void reset(void **state)
{
    CUgraph g = graph_new(), other;

    begin(2);
    xg_cuda_capture_abandon(&streams[2]);
    xg_cuda_handles_reset();
    xg_cuda_graphs_reset();
    FAILS(cuGraphDestroy(g), CUDA_ERROR_INVALID_VALUE);
    other = graph_new();
    assert_ptr_not_equal(other, g);
    OK(cuGraphDestroy(other));
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, device_new, device_end)
    const struct CMUnitTest tests[] = {
        T(order),        T(parameters),   T(any_kind),  T(edges),   T(copies),   T(calls),
        T(device_fails), T(changes),      T(updates),   T(threads), T(captured), T(spoilt),
        T(legacy),       T(into_a_graph), T(abandoned), T(reset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
