/* What nodes do: each kind is made, asked and changed by its own trio of calls. */
#include <stdlib.h>
#include <string.h>

#include "softcuda/driver/graph.h"

/* --- contents --------------------------------------------------------------------------------- */

bool sc_node_pointers(struct sc_node *n)
{
    if (n->op.type != SC_OP_LAUNCH)
        return true;
    const struct sc_func_info *info = n->op.launch.fn->info;
    char *base = n->op.launch.params ? n->op.launch.params : (char *)n->op.launch.inline_params;
    void **p = realloc(n->param_ptrs, (info->param_count + 1) * sizeof(*p));
    if (!p)
        return false;
    for (unsigned i = 0; i < info->param_count; i++)
        p[i] = base + info->params[i].offset;
    n->param_ptrs = p;
    return true;
}

static void node_op(struct sc_node *n, const struct sc_op *op)
{
    sc_op_release(&n->op);
    memcpy(&n->op, op, op->bytes);
}

CUresult sc_node_kernel(struct sc_node *n, struct sc_ctx *ctx, const CUDA_KERNEL_NODE_PARAMS *p)
{
    CUfunction f = p->func ? p->func : (CUfunction)p->kern;
    unsigned grid[3] = {p->gridDimX, p->gridDimY, p->gridDimZ};
    unsigned block[3] = {p->blockDimX, p->blockDimY, p->blockDimZ};
    struct sc_op op;
    CUresult r = !ctx ? CUDA_ERROR_INVALID_CONTEXT
                      : sc_launch_build(ctx, f, grid, block, p->sharedMemBytes, p->kernelParams,
                                        p->extra, n->cooperative, &op);

    if (r)
        return r;
    node_op(n, &op);
    n->func = f;
    return sc_node_pointers(n) ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}

CUresult sc_node_copy(struct sc_node *n, const CUDA_MEMCPY3D *p)
{
    struct sc_op op = {.type = SC_OP_COPY, .bytes = SC_OP_BYTES(copy)};
    CUresult r = sc_copy_build(p, &op.copy.box);

    if (r)
        return r;
    node_op(n, &op);
    n->copy = *p;
    return CUDA_SUCCESS;
}

CUresult sc_node_set(struct sc_node *n, const CUDA_MEMSET_NODE_PARAMS *p)
{
    struct sc_op op = {.type = SC_OP_SET, .bytes = SC_OP_BYTES(set)};
    CUresult r = sc_set_build(p, &op.set);

    if (r)
        return r;
    node_op(n, &op);
    n->set = *p;
    return CUDA_SUCCESS;
}

CUresult sc_node_host(struct sc_node *n, const CUDA_HOST_NODE_PARAMS *p)
{
    struct sc_op op = {.type = SC_OP_HOST, .bytes = SC_OP_BYTES(host)};

    if (!p->fn)
        return CUDA_ERROR_INVALID_VALUE;
    op.host.fn = p->fn;
    op.host.data = p->userData;
    node_op(n, &op);
    return CUDA_SUCCESS;
}

static CUresult node_event(struct sc_node *n, CUevent handle)
{
    struct sc_event *e = sc_handle_get(SC_EVENT, handle);

    if (!e)
        return CUDA_ERROR_INVALID_VALUE;
    sc_event_ref(e);
    if (n->event)
        sc_event_put(n->event);
    n->event = e;
    return CUDA_SUCCESS;
}

/* --- adding ----------------------------------------------------------------------------------- */

/* One parameter of whatever type, and the function that puts it into the node. */
struct content {
    CUgraphNodeType type;
    const void *params;
    struct sc_ctx *ctx;
};

static CUresult node_fill(struct sc_node *n, const struct content *c)
{
    switch (c->type) {
    case CU_GRAPH_NODE_TYPE_KERNEL: return sc_node_kernel(n, c->ctx, c->params);
    case CU_GRAPH_NODE_TYPE_MEMCPY: return sc_node_copy(n, c->params);
    case CU_GRAPH_NODE_TYPE_MEMSET: return sc_node_set(n, c->params);
    case CU_GRAPH_NODE_TYPE_HOST: return sc_node_host(n, c->params);
    case CU_GRAPH_NODE_TYPE_EVENT_RECORD:
    case CU_GRAPH_NODE_TYPE_WAIT_EVENT: return node_event(n, *(const CUevent *)c->params);
    case CU_GRAPH_NODE_TYPE_GRAPH: {
        struct sc_graph *g = sc_handle_get(SC_GRAPH, *(const CUgraph *)c->params);
        if (!g || g == n->graph)
            return CUDA_ERROR_INVALID_VALUE;
        n->child = sc_graph_copy(g);
        return n->child ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
    }
    case CU_GRAPH_NODE_TYPE_EMPTY: return CUDA_SUCCESS;
    default: return CUDA_ERROR_NOT_SUPPORTED;
    }
}

static CUresult node_add(CUgraphNode *out, CUgraph handle, const CUgraphNode *deps, size_t count,
                         CUgraphNodeType type, const void *params)
{
    struct content c = {type, params, NULL};
    struct sc_node **on, *n;
    CUresult r = sc_ctx_enter_none(&c.ctx);

    if (r)
        return r;
    if (!out || (count && !deps) || count > 1 << 20 ||
        (!params && type != CU_GRAPH_NODE_TYPE_EMPTY))
        return CUDA_ERROR_INVALID_VALUE;
    on = malloc((count + 1) * sizeof(*on));
    if (!on)
        return CUDA_ERROR_OUT_OF_MEMORY;
    pthread_mutex_lock(&sc_graph_lock);
    struct sc_graph *g = sc_handle_get(SC_GRAPH, handle);
    if (!g)
        r = CUDA_ERROR_INVALID_VALUE;
    for (size_t i = 0; i < count && !r; i++) {
        on[i] = sc_handle_get(SC_NODE, deps[i]);
        if (!on[i] || on[i]->graph != g)
            r = CUDA_ERROR_INVALID_VALUE;
    }
    if (!r) {
        n = sc_node_new(g, type, on, (unsigned)count);
        r = n ? node_fill(n, &c) : CUDA_ERROR_OUT_OF_MEMORY;
        if (n && r) {
            g->count--; /* it is the last */
            sc_node_free(n);
        } else if (n) {
            *out = n->handle;
        }
    }
    pthread_mutex_unlock(&sc_graph_lock);
    free(on);
    return r;
}

CUresult cuGraphAddKernelNode_v2(CUgraphNode *out, CUgraph g, const CUgraphNode *deps, size_t n,
                                 const CUDA_KERNEL_NODE_PARAMS *p)
{
    return node_add(out, g, deps, n, CU_GRAPH_NODE_TYPE_KERNEL, p);
}

static CUDA_KERNEL_NODE_PARAMS kernel_v2(const CUDA_KERNEL_NODE_PARAMS_v1 *p)
{
    CUDA_KERNEL_NODE_PARAMS v = {0};

    memcpy(&v, p, sizeof(*p)); /* the later versions append */
    return v;
}

CUresult cuGraphAddKernelNode(CUgraphNode *out, CUgraph g, const CUgraphNode *deps, size_t n,
                              const CUDA_KERNEL_NODE_PARAMS_v1 *p)
{
    SC_READY();
    if (!p)
        return CUDA_ERROR_INVALID_VALUE;
    CUDA_KERNEL_NODE_PARAMS v = kernel_v2(p);
    return cuGraphAddKernelNode_v2(out, g, deps, n, &v);
}

CUresult cuGraphAddMemcpyNode(CUgraphNode *out, CUgraph g, const CUgraphNode *deps, size_t n,
                              const CUDA_MEMCPY3D *p, CUcontext ctx)
{
    return node_add(out, g, deps, n, CU_GRAPH_NODE_TYPE_MEMCPY, p);
}

CUresult cuGraphAddMemsetNode(CUgraphNode *out, CUgraph g, const CUgraphNode *deps, size_t n,
                              const CUDA_MEMSET_NODE_PARAMS *p, CUcontext ctx)
{
    return node_add(out, g, deps, n, CU_GRAPH_NODE_TYPE_MEMSET, p);
}

CUresult cuGraphAddHostNode(CUgraphNode *out, CUgraph g, const CUgraphNode *deps, size_t n,
                            const CUDA_HOST_NODE_PARAMS *p)
{
    XG_CUDA_NEED(out && g && p, CUDA_ERROR_INVALID_VALUE);
    return node_add(out, g, deps, n, CU_GRAPH_NODE_TYPE_HOST, p);
}

CUresult cuGraphAddChildGraphNode(CUgraphNode *out, CUgraph g, const CUgraphNode *deps, size_t n,
                                  CUgraph child)
{
    return node_add(out, g, deps, n, CU_GRAPH_NODE_TYPE_GRAPH, &child);
}

CUresult cuGraphAddEmptyNode(CUgraphNode *out, CUgraph g, const CUgraphNode *deps, size_t n)
{
    XG_CUDA_NEED(out && g, CUDA_ERROR_INVALID_VALUE);
    return node_add(out, g, deps, n, CU_GRAPH_NODE_TYPE_EMPTY, NULL);
}

CUresult cuGraphAddEventRecordNode(CUgraphNode *out, CUgraph g, const CUgraphNode *deps, size_t n,
                                   CUevent event)
{
    XG_CUDA_NEED(out && g && event, CUDA_ERROR_INVALID_VALUE);
    return node_add(out, g, deps, n, CU_GRAPH_NODE_TYPE_EVENT_RECORD, &event);
}

CUresult cuGraphAddEventWaitNode(CUgraphNode *out, CUgraph g, const CUgraphNode *deps, size_t n,
                                 CUevent event)
{
    XG_CUDA_NEED(out && g && event, CUDA_ERROR_INVALID_VALUE);
    return node_add(out, g, deps, n, CU_GRAPH_NODE_TYPE_WAIT_EVENT, &event);
}

/* The union's member begins as the older structure of its kind does. */
static const void *union_params(CUgraphNodeParams *p)
{
    switch (p->type) {
    case CU_GRAPH_NODE_TYPE_KERNEL: return &p->kernel;
    case CU_GRAPH_NODE_TYPE_MEMCPY: return &p->memcpy.copyParams;
    case CU_GRAPH_NODE_TYPE_MEMSET: return &p->memset;
    case CU_GRAPH_NODE_TYPE_HOST: return &p->host;
    case CU_GRAPH_NODE_TYPE_GRAPH: return &p->graph.graph;
    case CU_GRAPH_NODE_TYPE_EVENT_RECORD: return &p->eventRecord.event;
    case CU_GRAPH_NODE_TYPE_WAIT_EVENT: return &p->eventWait.event;
    default: return p;
    }
}

CUresult cuGraphAddNode_v2(CUgraphNode *out, CUgraph g, const CUgraphNode *deps,
                           const CUgraphEdgeData *edges, size_t n, CUgraphNodeParams *p)
{
    SC_READY();
    if (!p)
        return CUDA_ERROR_INVALID_VALUE;
    for (size_t i = 0; edges && i < n; i++)
        if (edges[i].from_port || edges[i].to_port || edges[i].type)
            return CUDA_ERROR_NOT_SUPPORTED;
    return node_add(out, g, deps, n, p->type, union_params(p));
}

CUresult cuGraphAddNode(CUgraphNode *out, CUgraph g, const CUgraphNode *deps, size_t n,
                        CUgraphNodeParams *p)
{
    SC_READY();
    return cuGraphAddNode_v2(out, g, deps, NULL, n, p);
}

/* --- asking ----------------------------------------------------------------------------------- */

static struct sc_node *node_of(CUgraphNode handle, CUgraphNodeType type)
{
    struct sc_node *n = sc_handle_get(SC_NODE, handle);

    return n && n->type == type ? n : NULL;
}

CUresult cuGraphKernelNodeGetParams_v2(CUgraphNode handle, CUDA_KERNEL_NODE_PARAMS *p)
{
    XG_CUDA_NEED(handle && p, CUDA_ERROR_INVALID_VALUE);
    SC_READY();
    struct sc_node *n = node_of(handle, CU_GRAPH_NODE_TYPE_KERNEL);

    if (!n)
        return CUDA_ERROR_INVALID_VALUE;
    *p = (CUDA_KERNEL_NODE_PARAMS){
        .func = n->func,
        .gridDimX = n->op.launch.grid[0],
        .gridDimY = n->op.launch.grid[1],
        .gridDimZ = n->op.launch.grid[2],
        .blockDimX = n->op.launch.block[0],
        .blockDimY = n->op.launch.block[1],
        .blockDimZ = n->op.launch.block[2],
        .sharedMemBytes = n->op.launch.shared,
        .kernelParams = n->param_ptrs,
        .ctx = n->op.launch.fn->module->ctx->handle,
    };
    return CUDA_SUCCESS;
}

CUresult cuGraphKernelNodeGetParams(CUgraphNode handle, CUDA_KERNEL_NODE_PARAMS_v1 *p)
{
    SC_READY();
    CUDA_KERNEL_NODE_PARAMS v;
    CUresult r = p ? cuGraphKernelNodeGetParams_v2(handle, &v) : CUDA_ERROR_INVALID_VALUE;

    if (!r)
        memcpy(p, &v, sizeof(*p));
    return r;
}

CUresult cuGraphMemcpyNodeGetParams(CUgraphNode handle, CUDA_MEMCPY3D *p)
{
    SC_READY();
    struct sc_node *n = node_of(handle, CU_GRAPH_NODE_TYPE_MEMCPY);

    if (!n || !p)
        return CUDA_ERROR_INVALID_VALUE;
    *p = n->copy;
    return CUDA_SUCCESS;
}

CUresult cuGraphMemsetNodeGetParams(CUgraphNode handle, CUDA_MEMSET_NODE_PARAMS *p)
{
    SC_READY();
    struct sc_node *n = node_of(handle, CU_GRAPH_NODE_TYPE_MEMSET);

    if (!n || !p)
        return CUDA_ERROR_INVALID_VALUE;
    *p = n->set;
    return CUDA_SUCCESS;
}

CUresult cuGraphHostNodeGetParams(CUgraphNode handle, CUDA_HOST_NODE_PARAMS *p)
{
    XG_CUDA_NEED(handle && p, CUDA_ERROR_INVALID_VALUE);
    SC_READY();
    struct sc_node *n = node_of(handle, CU_GRAPH_NODE_TYPE_HOST);

    if (!n)
        return CUDA_ERROR_INVALID_VALUE;
    *p = (CUDA_HOST_NODE_PARAMS){n->op.host.fn, n->op.host.data};
    return CUDA_SUCCESS;
}

CUresult cuGraphChildGraphNodeGetGraph(CUgraphNode handle, CUgraph *g)
{
    SC_READY();
    struct sc_node *n = node_of(handle, CU_GRAPH_NODE_TYPE_GRAPH);

    if (!n || !g)
        return CUDA_ERROR_INVALID_VALUE;
    *g = n->child->handle;
    return CUDA_SUCCESS;
}

CUresult cuGraphEventRecordNodeGetEvent(CUgraphNode handle, CUevent *event)
{
    SC_READY();
    struct sc_node *n = node_of(handle, CU_GRAPH_NODE_TYPE_EVENT_RECORD);

    if (!n || !event)
        return CUDA_ERROR_INVALID_VALUE;
    *event = n->event->handle;
    return CUDA_SUCCESS;
}

CUresult cuGraphEventWaitNodeGetEvent(CUgraphNode handle, CUevent *event)
{
    SC_READY();
    struct sc_node *n = node_of(handle, CU_GRAPH_NODE_TYPE_WAIT_EVENT);

    if (!n || !event)
        return CUDA_ERROR_INVALID_VALUE;
    *event = n->event->handle;
    return CUDA_SUCCESS;
}

/* --- changing --------------------------------------------------------------------------------- */

static CUresult node_change(CUgraphNode handle, CUgraphNodeType type, const void *params)
{
    struct content c = {type, params, NULL};
    CUresult r = sc_ctx_enter_none(&c.ctx);

    if (r)
        return r;
    pthread_mutex_lock(&sc_graph_lock);
    struct sc_node *n = node_of(handle, type);
    r = n && params && type != CU_GRAPH_NODE_TYPE_GRAPH ? node_fill(n, &c)
                                                        : CUDA_ERROR_INVALID_VALUE;
    pthread_mutex_unlock(&sc_graph_lock);
    return r;
}

CUresult cuGraphKernelNodeSetParams_v2(CUgraphNode node, const CUDA_KERNEL_NODE_PARAMS *p)
{
    XG_CUDA_NEED(node && p, CUDA_ERROR_INVALID_VALUE);
    return node_change(node, CU_GRAPH_NODE_TYPE_KERNEL, p);
}

CUresult cuGraphKernelNodeSetParams(CUgraphNode node, const CUDA_KERNEL_NODE_PARAMS_v1 *p)
{
    SC_READY();
    if (!p)
        return CUDA_ERROR_INVALID_VALUE;
    CUDA_KERNEL_NODE_PARAMS v = kernel_v2(p);
    return node_change(node, CU_GRAPH_NODE_TYPE_KERNEL, &v);
}

CUresult cuGraphMemcpyNodeSetParams(CUgraphNode node, const CUDA_MEMCPY3D *p)
{
    XG_CUDA_NEED(node && p, CUDA_ERROR_INVALID_VALUE);
    return node_change(node, CU_GRAPH_NODE_TYPE_MEMCPY, p);
}

CUresult cuGraphMemsetNodeSetParams(CUgraphNode node, const CUDA_MEMSET_NODE_PARAMS *p)
{
    XG_CUDA_NEED(node && p, CUDA_ERROR_INVALID_VALUE);
    return node_change(node, CU_GRAPH_NODE_TYPE_MEMSET, p);
}

CUresult cuGraphHostNodeSetParams(CUgraphNode node, const CUDA_HOST_NODE_PARAMS *p)
{
    XG_CUDA_NEED(node && p, CUDA_ERROR_INVALID_VALUE);
    return node_change(node, CU_GRAPH_NODE_TYPE_HOST, p);
}

CUresult cuGraphEventRecordNodeSetEvent(CUgraphNode node, CUevent event)
{
    return node_change(node, CU_GRAPH_NODE_TYPE_EVENT_RECORD, &event);
}

CUresult cuGraphEventWaitNodeSetEvent(CUgraphNode node, CUevent event)
{
    return node_change(node, CU_GRAPH_NODE_TYPE_WAIT_EVENT, &event);
}

CUresult cuGraphNodeSetParams(CUgraphNode node, CUgraphNodeParams *p)
{
    SC_READY();
    return p ? node_change(node, p->type, union_params(p)) : CUDA_ERROR_INVALID_VALUE;
}
