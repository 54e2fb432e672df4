/* Nodes: each kind is made, asked and changed by its own trio of calls. */
#include "cuda/api/graph.h"

#include <stdlib.h>
#include <string.h>

#define DEPS_MAX ((size_t)1 << 20)

/* --- adding ----------------------------------------------------------------------------------- */

/* Lock held. */
static CUresult deps_get(const struct xg_cuda_graph *g, const CUgraphNode *dep, size_t deps,
                         struct xg_cuda_node **out)
{
    for (size_t i = 0; i < deps; i++) {
        out[i] = xg_cuda_node_get(dep[i]);
        if (!out[i] || out[i]->graph != g)
            return CUDA_ERROR_INVALID_VALUE;
        out[i]->index = (unsigned)i;
    }
    for (size_t i = 0; i < deps; i++)
        if (out[i]->index != i)
            return CUDA_ERROR_INVALID_VALUE; /* it is named twice */
    return CUDA_SUCCESS;
}

/* Lock held. `child`: NULL, or what the node has a copy of. */
static CUresult node_put(CUgraphNode *out, struct xg_cuda_graph *g, struct xg_cuda_work *w,
                         struct xg_cuda_node *const *dep, unsigned deps,
                         struct xg_cuda_graph *child)
{
    CUresult r = CUDA_SUCCESS;
    struct xg_cuda_graph *copy = child ? xg_cuda_graph_copy(child, true, &r) : NULL;
    struct xg_cuda_node *n = r == CUDA_SUCCESS ? xg_cuda_node_add(g, w, dep, deps) : NULL;

    if (!n) {
        if (copy)
            xg_cuda_graph_free(copy);
        return r != CUDA_SUCCESS ? r : CUDA_ERROR_OUT_OF_MEMORY;
    }
    if (copy) {
        n->child = copy;
        copy->owned = true;
    }
    *out = n->handle;
    return CUDA_SUCCESS;
}

static CUresult node_insert(CUgraphNode *out, CUgraph h, const CUgraphNode *dep, size_t deps,
                            struct xg_cuda_work *w, const void *params)
{
    struct xg_cuda_node **on = malloc((deps + 1) * sizeof(*on));
    struct xg_cuda_graph *child = NULL;

    if (!on)
        return CUDA_ERROR_OUT_OF_MEMORY;
    xg_cuda_graphs_lock();
    struct xg_cuda_graph *g = xg_cuda_graph_get(h);
    CUresult r = g ? deps_get(g, dep, deps, on) : CUDA_ERROR_INVALID_VALUE;
    if (w->type == CU_GRAPH_NODE_TYPE_GRAPH &&
        !(child = xg_cuda_graph_get(*(const CUgraph *)params)))
        r = CUDA_ERROR_INVALID_VALUE;
    if (r == CUDA_SUCCESS)
        r = node_put(out, g, w, on, (unsigned)deps, child);
    xg_cuda_graphs_unlock();
    free(on);
    return r;
}

static CUresult node_add(CUgraphNode *out, CUgraph h, const CUgraphNode *dep, size_t deps,
                         CUgraphNodeType type, const void *params)
{
    struct xg_cuda_work w = {0};

    XG_CUDA_ENTER(ctx);
    if (!out || (deps && !dep) || deps > DEPS_MAX || !params)
        return CUDA_ERROR_INVALID_VALUE;
    CUresult r = xg_cuda_work_set(&w, type, params, ctx);
    if (r == CUDA_SUCCESS)
        r = node_insert(out, h, dep, deps, &w, params);
    xg_cuda_work_free(&w);
    return r;
}

CUresult cuGraphAddKernelNode_v2(CUgraphNode *out, CUgraph g, const CUgraphNode *dep, size_t deps,
                                 const CUDA_KERNEL_NODE_PARAMS *p)
{
    return node_add(out, g, dep, deps, CU_GRAPH_NODE_TYPE_KERNEL, p);
}

CUresult cuGraphAddKernelNode(CUgraphNode *out, CUgraph g, const CUgraphNode *dep, size_t deps,
                              const CUDA_KERNEL_NODE_PARAMS_v1 *p)
{
    XG_CUDA_READY();
    if (!p)
        return CUDA_ERROR_INVALID_VALUE;
    const CUDA_KERNEL_NODE_PARAMS v = xg_cuda_kernel_v2(p);
    return node_add(out, g, dep, deps, CU_GRAPH_NODE_TYPE_KERNEL, &v);
}

/* The context of a copy or a fill: the one device has all memory, so it need only be one. */
static CUresult ctx_check(CUcontext of)
{
    XG_CUDA_READY();
    return !of || xg_cuda_ctx_get(of) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

CUresult cuGraphAddMemcpyNode(CUgraphNode *out, CUgraph g, const CUgraphNode *dep, size_t deps,
                              const CUDA_MEMCPY3D *p, CUcontext of)
{
    CUresult r = ctx_check(of);
    return r == CUDA_SUCCESS ? node_add(out, g, dep, deps, CU_GRAPH_NODE_TYPE_MEMCPY, p) : r;
}

CUresult cuGraphAddMemsetNode(CUgraphNode *out, CUgraph g, const CUgraphNode *dep, size_t deps,
                              const CUDA_MEMSET_NODE_PARAMS *p, CUcontext of)
{
    CUresult r = ctx_check(of);
    return r == CUDA_SUCCESS ? node_add(out, g, dep, deps, CU_GRAPH_NODE_TYPE_MEMSET, p) : r;
}

CUresult cuGraphAddHostNode(CUgraphNode *out, CUgraph g, const CUgraphNode *dep, size_t deps,
                            const CUDA_HOST_NODE_PARAMS *p)
{
    XG_CUDA_NEED(out && g && p, CUDA_ERROR_INVALID_VALUE);
    return node_add(out, g, dep, deps, CU_GRAPH_NODE_TYPE_HOST, p);
}

CUresult cuGraphAddChildGraphNode(CUgraphNode *out, CUgraph g, const CUgraphNode *dep, size_t deps,
                                  CUgraph child)
{
    return node_add(out, g, dep, deps, CU_GRAPH_NODE_TYPE_GRAPH, &child);
}

CUresult cuGraphAddEmptyNode(CUgraphNode *out, CUgraph g, const CUgraphNode *dep, size_t deps)
{
    XG_CUDA_NEED(out && g, CUDA_ERROR_INVALID_VALUE);
    return node_add(out, g, dep, deps, CU_GRAPH_NODE_TYPE_EMPTY, out);
}

CUresult cuGraphAddEventRecordNode(CUgraphNode *out, CUgraph g, const CUgraphNode *dep, size_t deps,
                                   CUevent event)
{
    XG_CUDA_NEED(out && g && event, CUDA_ERROR_INVALID_VALUE);
    return node_add(out, g, dep, deps, CU_GRAPH_NODE_TYPE_EVENT_RECORD, &event);
}

CUresult cuGraphAddEventWaitNode(CUgraphNode *out, CUgraph g, const CUgraphNode *dep, size_t deps,
                                 CUevent event)
{
    XG_CUDA_NEED(out && g && event, CUDA_ERROR_INVALID_VALUE);
    return node_add(out, g, dep, deps, CU_GRAPH_NODE_TYPE_WAIT_EVENT, &event);
}

CUresult cuGraphAddNode_v2(CUgraphNode *out, CUgraph g, const CUgraphNode *dep,
                           const CUgraphEdgeData *edge, size_t deps, CUgraphNodeParams *p)
{
    XG_CUDA_READY();
    if (!p)
        return CUDA_ERROR_INVALID_VALUE;
    if (!xg_cuda_edges_plain(edge, deps))
        return CUDA_ERROR_NOT_SUPPORTED;
    return node_add(out, g, dep, deps, p->type, xg_cuda_params_of(p));
}

CUresult cuGraphAddNode(CUgraphNode *out, CUgraph g, const CUgraphNode *dep, size_t deps,
                        CUgraphNodeParams *p)
{
    return cuGraphAddNode_v2(out, g, dep, NULL, deps, p);
}

/* --- asking ----------------------------------------------------------------------------------- */

/* Copies `size` bytes at `offset` of the node's work. */
static CUresult node_ask(CUgraphNode h, CUgraphNodeType type, void *out, size_t offset, size_t size)
{
    XG_CUDA_ENTER(ctx);
    xg_cuda_graphs_lock();
    const struct xg_cuda_node *n = xg_cuda_node_get(h);
    bool ok = n && n->work.type == type && out;
    if (ok)
        memcpy(out, (const char *)&n->work + offset, size);
    xg_cuda_graphs_unlock();
    return ok ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}
#define NODE_ASK(h, type, member, out)                                                             \
    node_ask(h, CU_GRAPH_NODE_TYPE_##type, out, offsetof(struct xg_cuda_work, member),             \
             sizeof(*(out)))

CUresult cuGraphKernelNodeGetParams_v2(CUgraphNode h, CUDA_KERNEL_NODE_PARAMS *p)
{
    XG_CUDA_NEED(h && p, CUDA_ERROR_INVALID_VALUE);
    return NODE_ASK(h, KERNEL, kernel, p);
}

CUresult cuGraphKernelNodeGetParams(CUgraphNode h, CUDA_KERNEL_NODE_PARAMS_v1 *p)
{
    return NODE_ASK(h, KERNEL, kernel, p); /* later versions append */
}

CUresult cuGraphMemcpyNodeGetParams(CUgraphNode h, CUDA_MEMCPY3D *p)
{
    return NODE_ASK(h, MEMCPY, copy, p);
}

CUresult cuGraphMemsetNodeGetParams(CUgraphNode h, CUDA_MEMSET_NODE_PARAMS *p)
{
    return NODE_ASK(h, MEMSET, fill, p);
}

CUresult cuGraphHostNodeGetParams(CUgraphNode h, CUDA_HOST_NODE_PARAMS *p)
{
    XG_CUDA_NEED(h && p, CUDA_ERROR_INVALID_VALUE);
    return NODE_ASK(h, HOST, host, p);
}

CUresult cuGraphEventRecordNodeGetEvent(CUgraphNode h, CUevent *event)
{
    return NODE_ASK(h, EVENT_RECORD, event, event);
}

CUresult cuGraphEventWaitNodeGetEvent(CUgraphNode h, CUevent *event)
{
    return NODE_ASK(h, WAIT_EVENT, event, event);
}

CUresult cuGraphChildGraphNodeGetGraph(CUgraphNode h, CUgraph *out)
{
    XG_CUDA_ENTER(ctx);
    xg_cuda_graphs_lock();
    const struct xg_cuda_node *n = xg_cuda_node_get(h);
    bool ok = n && n->child && out;
    if (ok)
        *out = n->child->handle;
    xg_cuda_graphs_unlock();
    return ok ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

/* --- changing --------------------------------------------------------------------------------- */

/* The node, if it is of that type and can be changed. Lock held. */
static struct xg_cuda_node *node_of(CUgraphNode h, CUgraphNodeType type)
{
    struct xg_cuda_node *n = xg_cuda_node_get(h);

    return n && n->work.type == type && !n->child ? n : NULL;
}

CUresult xg_cuda_node_work(CUgraphNode h, struct xg_cuda_work *work)
{
    xg_cuda_graphs_lock();
    struct xg_cuda_node *n = node_of(h, work->type); /* it may have gone meanwhile */
    if (n) {
        struct xg_cuda_work was = n->work;
        n->work = *work;
        *work = was;
    }
    xg_cuda_graphs_unlock();
    return n ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

static CUresult node_change(CUgraphNode h, CUgraphNodeType type, const void *params)
{
    struct xg_cuda_work fresh = {0};

    XG_CUDA_ENTER(ctx);
    xg_cuda_graphs_lock();
    struct xg_cuda_node *n = node_of(h, type);
    fresh.cooperative = n && n->work.cooperative;
    xg_cuda_graphs_unlock();
    CUresult r =
        n && params ? xg_cuda_work_set(&fresh, type, params, ctx) : CUDA_ERROR_INVALID_VALUE;
    if (r == CUDA_SUCCESS)
        r = xg_cuda_node_work(h, &fresh);
    xg_cuda_work_free(&fresh);
    return r;
}

CUresult cuGraphKernelNodeSetParams_v2(CUgraphNode h, const CUDA_KERNEL_NODE_PARAMS *p)
{
    XG_CUDA_NEED(h && p, CUDA_ERROR_INVALID_VALUE);
    return node_change(h, CU_GRAPH_NODE_TYPE_KERNEL, p);
}

CUresult cuGraphKernelNodeSetParams(CUgraphNode h, const CUDA_KERNEL_NODE_PARAMS_v1 *p)
{
    XG_CUDA_READY();
    if (!p)
        return CUDA_ERROR_INVALID_VALUE;
    const CUDA_KERNEL_NODE_PARAMS v = xg_cuda_kernel_v2(p);
    return node_change(h, CU_GRAPH_NODE_TYPE_KERNEL, &v);
}

CUresult cuGraphMemcpyNodeSetParams(CUgraphNode h, const CUDA_MEMCPY3D *p)
{
    XG_CUDA_NEED(h && p, CUDA_ERROR_INVALID_VALUE);
    return node_change(h, CU_GRAPH_NODE_TYPE_MEMCPY, p);
}

CUresult cuGraphMemsetNodeSetParams(CUgraphNode h, const CUDA_MEMSET_NODE_PARAMS *p)
{
    XG_CUDA_NEED(h && p, CUDA_ERROR_INVALID_VALUE);
    return node_change(h, CU_GRAPH_NODE_TYPE_MEMSET, p);
}

CUresult cuGraphHostNodeSetParams(CUgraphNode h, const CUDA_HOST_NODE_PARAMS *p)
{
    XG_CUDA_NEED(h && p, CUDA_ERROR_INVALID_VALUE);
    return node_change(h, CU_GRAPH_NODE_TYPE_HOST, p);
}

CUresult cuGraphEventRecordNodeSetEvent(CUgraphNode h, CUevent event)
{
    return node_change(h, CU_GRAPH_NODE_TYPE_EVENT_RECORD, &event);
}

CUresult cuGraphEventWaitNodeSetEvent(CUgraphNode h, CUevent event)
{
    return node_change(h, CU_GRAPH_NODE_TYPE_WAIT_EVENT, &event);
}

CUresult cuGraphNodeSetParams(CUgraphNode h, CUgraphNodeParams *p)
{
    XG_CUDA_READY();
    return p ? node_change(h, p->type, xg_cuda_params_of(p)) : CUDA_ERROR_INVALID_VALUE;
}
