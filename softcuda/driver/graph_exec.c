/*
 * Executable graphs: the nodes' operations in an order that satisfies the dependencies. A launch
 * queues them one after the other: a kernel here takes all of the device anyway.
 */
#include <stdlib.h>
#include <string.h>

#include "softcuda/driver/graph.h"

pthread_mutex_t sc_launch_lock = PTHREAD_MUTEX_INITIALIZER;

static void items_free(struct sc_item *items, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        sc_op_release(&items[i].op);
        if (items[i].event)
            sc_event_put(items[i].event);
    }
    free(items);
}

/* How many items a graph becomes, its child graphs unfolded. */
static unsigned items_needed(const struct sc_graph *g)
{
    unsigned n = 0;

    for (unsigned i = 0; i < g->count; i++)
        n += g->nodes[i]->child ? items_needed(g->nodes[i]->child) : 1;
    return n;
}

/* Lock held. Appends g's items; *n counts them. */
static CUresult items_fill(const struct sc_graph *g, struct sc_item *items, unsigned *n)
{
    struct sc_node **order = sc_graph_sort(g);
    CUresult r = order ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;

    for (unsigned i = 0; i < g->count && !r; i++) {
        const struct sc_node *node = order[i];
        struct sc_item *it = &items[*n];
        if (node->child) {
            r = items_fill(node->child, items, n);
            continue;
        }
        it->op.type = SC_OP_NOP;
        it->node = node->handle;
        it->type = node->type;
        it->enabled = true;
        if (!sc_op_clone(&it->op, &node->op)) {
            it->op.type = SC_OP_NOP;
            r = CUDA_ERROR_OUT_OF_MEMORY;
            break;
        }
        it->event = node->event;
        if (it->event)
            sc_event_ref(it->event);
        ++*n;
    }
    free(order);
    return r;
}

static CUresult items_make(const struct sc_graph *g, struct sc_item **items, unsigned *count)
{
    *count = 0;
    *items = calloc(items_needed(g) + 1, sizeof(**items));
    if (!*items)
        return CUDA_ERROR_OUT_OF_MEMORY;
    CUresult r = items_fill(g, *items, count);
    if (r)
        items_free(*items, *count);
    return r;
}

/* --- instantiation ---------------------------------------------------------------------------- */

static CUresult instantiate(CUgraphExec *out, CUgraph handle, unsigned long long flags)
{
    CUresult r;
    SC_ENTER(ctx);
    SC_UNSAFE();

    if (!out)
        return CUDA_ERROR_INVALID_VALUE;
    if (flags & CUDA_GRAPH_INSTANTIATE_FLAG_DEVICE_LAUNCH)
        return CUDA_ERROR_NOT_SUPPORTED;
    if (flags & ~15ull)
        return CUDA_ERROR_INVALID_VALUE;
    struct sc_graph_exec *x = calloc(1, sizeof(*x));
    if (!x)
        return CUDA_ERROR_OUT_OF_MEMORY;
    x->flags = flags;
    pthread_mutex_lock(&sc_graph_lock);
    struct sc_graph *g = sc_handle_get(SC_GRAPH, handle);
    r = g ? items_make(g, &x->items, &x->count) : CUDA_ERROR_INVALID_VALUE;
    if (!r && (!(x->shape = sc_graph_shape(g)) || !(x->handle = sc_handle_new(SC_GRAPH_EXEC, x)))) {
        items_free(x->items, x->count);
        xg_cuda_shape_free(x->shape);
        r = CUDA_ERROR_OUT_OF_MEMORY;
    }
    pthread_mutex_unlock(&sc_graph_lock);
    if (r) {
        free(x);
        return r;
    }
    *out = x->handle;
    return CUDA_SUCCESS;
}

CUresult cuGraphInstantiateWithFlags(CUgraphExec *out, CUgraph handle, unsigned long long flags)
{
    SC_READY();
    if (flags & CUDA_GRAPH_INSTANTIATE_FLAG_UPLOAD) /* by which stream? */
        return CUDA_ERROR_INVALID_VALUE;
    return instantiate(out, handle, flags);
}

CUresult cuGraphInstantiate_v2(CUgraphExec *out, CUgraph graph, CUgraphNode *error_node, char *log,
                               size_t log_size)
{
    SC_READY();
    if (error_node)
        *error_node = NULL;
    if (log && log_size)
        log[0] = 0;
    return instantiate(out, graph, 0);
}

CUresult cuGraphInstantiate(CUgraphExec *out, CUgraph graph, CUgraphNode *error_node, char *log,
                            size_t log_size)
{
    return cuGraphInstantiate_v2(out, graph, error_node, log, log_size);
}

CUresult cuGraphInstantiateWithParams(CUgraphExec *out, CUgraph graph,
                                      CUDA_GRAPH_INSTANTIATE_PARAMS *p)
{
    XG_CUDA_NEED(out && graph && p, CUDA_ERROR_INVALID_VALUE);
    SC_READY();
    CUresult r = instantiate(out, graph, p->flags);
    p->hErrNode_out = NULL;
    p->result_out = r ? CUDA_GRAPH_INSTANTIATE_ERROR : CUDA_GRAPH_INSTANTIATE_SUCCESS;
    return r;
}

CUresult cuGraphInstantiateWithParams_ptsz(CUgraphExec *out, CUgraph graph,
                                           CUDA_GRAPH_INSTANTIATE_PARAMS *p)
{
    return cuGraphInstantiateWithParams(out, graph, p); /* nothing is uploaded, no stream matters */
}

CUresult cuGraphExecDestroy(CUgraphExec handle)
{
    SC_READY();
    SC_UNSAFE();
    pthread_mutex_lock(&sc_launch_lock);
    pthread_mutex_lock(&sc_graph_lock);
    struct sc_graph_exec *x = sc_handle_get(SC_GRAPH_EXEC, handle);
    if (x) {
        sc_handle_drop(SC_GRAPH_EXEC, handle);
        items_free(x->items, x->count);
        xg_cuda_shape_free(x->shape);
        free(x);
    }
    pthread_mutex_unlock(&sc_graph_lock);
    pthread_mutex_unlock(&sc_launch_lock);
    return x ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

CUresult cuGraphExecGetFlags(CUgraphExec handle, cuuint64_t *flags)
{
    SC_READY();
    struct sc_graph_exec *x = sc_handle_get(SC_GRAPH_EXEC, handle);

    if (!x || !flags)
        return CUDA_ERROR_INVALID_VALUE;
    *flags = x->flags;
    return CUDA_SUCCESS;
}

/* --- launch ----------------------------------------------------------------------------------- */

static CUresult item_submit(struct sc_stream *s, CUstream stream, const struct sc_item *it)
{
    struct sc_op op;

    if (!it->enabled)
        return CUDA_SUCCESS;
    switch (it->type) {
    case CU_GRAPH_NODE_TYPE_EMPTY: return CUDA_SUCCESS;
    case CU_GRAPH_NODE_TYPE_EVENT_RECORD: return cuEventRecord(it->event->handle, stream);
    case CU_GRAPH_NODE_TYPE_WAIT_EVENT: return cuStreamWaitEvent(stream, it->event->handle, 0);
    default: break;
    }
    if (!sc_op_clone(&op, &it->op))
        return CUDA_ERROR_OUT_OF_MEMORY;
    return sc_submit(s, &op, NULL);
}

CUresult cuGraphLaunch(CUgraphExec handle, CUstream stream)
{
    CUresult r;
    SC_ENTER_OF(ctx, SC_STREAM, stream);
    struct sc_stream *s = sc_stream_get(ctx, stream, &r);

    if (!s)
        return r;
    pthread_mutex_lock(&sc_launch_lock);
    struct sc_graph_exec *x = sc_handle_get(SC_GRAPH_EXEC, handle);
    r = !x ? CUDA_ERROR_INVALID_VALUE : sc_capture_refuses(s);
    for (unsigned i = 0; x && i < x->count && !r; i++)
        r = item_submit(s, stream, &x->items[i]);
    pthread_mutex_unlock(&sc_launch_lock);
    sc_stream_put(s);
    return r;
}

CUresult cuGraphUpload(CUgraphExec handle, CUstream stream)
{
    CUresult r;
    SC_ENTER_OF(ctx, SC_STREAM, stream);
    if (!sc_handle_get(SC_GRAPH_EXEC, handle))
        return CUDA_ERROR_INVALID_VALUE;
    struct sc_stream *s = sc_stream_get(ctx, stream, &r);
    if (s) {
        r = sc_capture_refuses(s);
        sc_stream_put(s);
    }
    return r;
}

/* --- changes ---------------------------------------------------------------------------------- */

static struct sc_item *item_of(CUgraphExec handle, CUgraphNode node)
{
    struct sc_graph_exec *x = sc_handle_get(SC_GRAPH_EXEC, handle);

    for (unsigned i = 0; x && node && i < x->count; i++)
        if (x->items[i].node == node)
            return &x->items[i];
    return NULL;
}

/* Lets `fill` make the new operation in a node that nobody sees, and takes it from there. */
static CUresult item_change(CUgraphExec exec, CUgraphNode node, CUgraphNodeType type,
                            CUresult (*fill)(struct sc_node *, struct sc_ctx *, const void *),
                            const void *params)
{
    struct sc_node fresh = {.type = type, .op = {.type = SC_OP_NOP, .bytes = SC_OP_BYTES(host)}};
    SC_ENTER_BY(ctx, sc_ctx_enter_none(&ctx));

    if (!params)
        return CUDA_ERROR_INVALID_VALUE;
    pthread_mutex_lock(&sc_launch_lock);
    struct sc_item *it = item_of(exec, node);
    fresh.cooperative = it && it->op.type == SC_OP_LAUNCH && it->op.launch.cooperative;
    CUresult r = it && it->type == type ? fill(&fresh, ctx, params) : CUDA_ERROR_INVALID_VALUE;
    if (!r) {
        sc_op_release(&it->op);
        memcpy(&it->op, &fresh.op, fresh.op.bytes);
    }
    pthread_mutex_unlock(&sc_launch_lock);
    free(fresh.param_ptrs);
    return r;
}

static CUresult fill_kernel(struct sc_node *n, struct sc_ctx *ctx, const void *p)
{
    return sc_node_kernel(n, ctx, p);
}

static CUresult fill_copy(struct sc_node *n, struct sc_ctx *ctx, const void *p)
{
    return sc_node_copy(n, p);
}

static CUresult fill_set(struct sc_node *n, struct sc_ctx *ctx, const void *p)
{
    return sc_node_set(n, p);
}

static CUresult fill_host(struct sc_node *n, struct sc_ctx *ctx, const void *p)
{
    return sc_node_host(n, p);
}

CUresult cuGraphExecKernelNodeSetParams_v2(CUgraphExec exec, CUgraphNode node,
                                           const CUDA_KERNEL_NODE_PARAMS *p)
{
    XG_CUDA_NEED(exec && node && p, CUDA_ERROR_INVALID_VALUE);
    return item_change(exec, node, CU_GRAPH_NODE_TYPE_KERNEL, fill_kernel, p);
}

CUresult cuGraphExecKernelNodeSetParams(CUgraphExec exec, CUgraphNode node,
                                        const CUDA_KERNEL_NODE_PARAMS_v1 *p)
{
    SC_READY();
    CUDA_KERNEL_NODE_PARAMS v = {0};

    if (!p)
        return CUDA_ERROR_INVALID_VALUE;
    memcpy(&v, p, sizeof(*p));
    return cuGraphExecKernelNodeSetParams_v2(exec, node, &v);
}

CUresult cuGraphExecMemcpyNodeSetParams(CUgraphExec exec, CUgraphNode node, const CUDA_MEMCPY3D *p,
                                        CUcontext ctx)
{
    XG_CUDA_NEED(exec && node && p, CUDA_ERROR_INVALID_VALUE);
    SC_READY();
    /* Of an executable graph a driver looks at members that it does not look at elsewhere. */
    if (p->reserved0 || p->reserved1 || p->srcLOD || p->dstLOD || (p->Depth > 1 && !p->srcHeight))
        return CUDA_ERROR_INVALID_VALUE;
    return item_change(exec, node, CU_GRAPH_NODE_TYPE_MEMCPY, fill_copy, p);
}

CUresult cuGraphExecMemsetNodeSetParams(CUgraphExec exec, CUgraphNode node,
                                        const CUDA_MEMSET_NODE_PARAMS *p, CUcontext ctx)
{
    XG_CUDA_NEED(exec && node && p, CUDA_ERROR_INVALID_VALUE);
    return item_change(exec, node, CU_GRAPH_NODE_TYPE_MEMSET, fill_set, p);
}

CUresult cuGraphExecHostNodeSetParams(CUgraphExec exec, CUgraphNode node,
                                      const CUDA_HOST_NODE_PARAMS *p)
{
    XG_CUDA_NEED(exec && node && p, CUDA_ERROR_INVALID_VALUE);
    return item_change(exec, node, CU_GRAPH_NODE_TYPE_HOST, fill_host, p);
}

CUresult cuGraphExecNodeSetParams(CUgraphExec exec, CUgraphNode node, CUgraphNodeParams *p)
{
    SC_READY();
    if (!p)
        return CUDA_ERROR_INVALID_VALUE;
    switch (p->type) {
    case CU_GRAPH_NODE_TYPE_KERNEL:
        return item_change(exec, node, p->type, fill_kernel, &p->kernel);
    case CU_GRAPH_NODE_TYPE_MEMCPY:
        return item_change(exec, node, p->type, fill_copy, &p->memcpy.copyParams);
    case CU_GRAPH_NODE_TYPE_MEMSET: return item_change(exec, node, p->type, fill_set, &p->memset);
    case CU_GRAPH_NODE_TYPE_HOST: return item_change(exec, node, p->type, fill_host, &p->host);
    default: return CUDA_ERROR_NOT_SUPPORTED;
    }
}

static CUresult event_change(CUgraphExec exec, CUgraphNode node, CUgraphNodeType type,
                             CUevent event)
{
    struct sc_event *e = sc_handle_get(SC_EVENT, event);

    pthread_mutex_lock(&sc_launch_lock);
    struct sc_item *it = item_of(exec, node);
    bool ok = e && it && it->type == type;
    if (ok) {
        sc_event_ref(e);
        sc_event_put(it->event);
        it->event = e;
    }
    pthread_mutex_unlock(&sc_launch_lock);
    return ok ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

CUresult cuGraphExecEventRecordNodeSetEvent(CUgraphExec exec, CUgraphNode node, CUevent event)
{
    SC_READY();
    return event_change(exec, node, CU_GRAPH_NODE_TYPE_EVENT_RECORD, event);
}

CUresult cuGraphExecEventWaitNodeSetEvent(CUgraphExec exec, CUgraphNode node, CUevent event)
{
    SC_READY();
    return event_change(exec, node, CU_GRAPH_NODE_TYPE_WAIT_EVENT, event);
}

static bool can_disable(const struct sc_item *it)
{
    return it && (it->type == CU_GRAPH_NODE_TYPE_KERNEL || it->type == CU_GRAPH_NODE_TYPE_MEMCPY ||
                  it->type == CU_GRAPH_NODE_TYPE_MEMSET);
}

CUresult cuGraphNodeSetEnabled(CUgraphExec exec, CUgraphNode node, unsigned enabled)
{
    XG_CUDA_NEED(exec && node, CUDA_ERROR_INVALID_VALUE);
    SC_READY();
    pthread_mutex_lock(&sc_launch_lock);
    struct sc_item *it = item_of(exec, node);
    bool ok = can_disable(it);
    if (ok)
        it->enabled = enabled != 0;
    pthread_mutex_unlock(&sc_launch_lock);
    return ok ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

CUresult cuGraphNodeGetEnabled(CUgraphExec exec, CUgraphNode node, unsigned *enabled)
{
    XG_CUDA_NEED(exec && node && enabled, CUDA_ERROR_INVALID_VALUE);
    SC_READY();
    pthread_mutex_lock(&sc_launch_lock);
    struct sc_item *it = item_of(exec, node);
    bool ok = enabled && can_disable(it);
    if (ok)
        *enabled = it->enabled;
    pthread_mutex_unlock(&sc_launch_lock);
    return ok ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

/* --- update from another graph of the same shape ---------------------------------------------- */

/* Locks held. The nodes' names stay those of the first graph. */
static CUresult exec_update(struct sc_graph_exec *x, const struct sc_graph *g,
                            CUgraphExecUpdateResultInfo *info)
{
    struct xg_cuda_shape *shape = sc_graph_shape(g);
    struct sc_item *items;
    unsigned count;
    CUresult r = shape ? xg_cuda_shape_compare(x->shape, shape, info) : CUDA_ERROR_INVALID_VALUE;

    xg_cuda_shape_free(shape);
    if (!r)
        r = items_make(g, &items, &count);
    if (r)
        return r;
    for (unsigned i = 0; i < count; i++) {
        items[i].node = x->items[i].node;
        items[i].enabled = x->items[i].enabled;
    }
    items_free(x->items, x->count);
    x->items = items;
    return CUDA_SUCCESS;
}

CUresult cuGraphExecUpdate_v2(CUgraphExec exec, CUgraph graph, CUgraphExecUpdateResultInfo *info)
{
    SC_READY();
    CUgraphExecUpdateResultInfo unwanted;

    if (!info)
        info = &unwanted;
    *info = (CUgraphExecUpdateResultInfo){.result = CU_GRAPH_EXEC_UPDATE_ERROR};
    pthread_mutex_lock(&sc_launch_lock);
    pthread_mutex_lock(&sc_graph_lock);
    struct sc_graph_exec *x = sc_handle_get(SC_GRAPH_EXEC, exec);
    struct sc_graph *g = sc_handle_get(SC_GRAPH, graph);
    CUresult r = x && g ? exec_update(x, g, info) : CUDA_ERROR_INVALID_VALUE;
    pthread_mutex_unlock(&sc_graph_lock);
    pthread_mutex_unlock(&sc_launch_lock);
    if (r && r != CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE)
        info->result = CU_GRAPH_EXEC_UPDATE_ERROR;
    return r;
}

CUresult cuGraphExecUpdate(CUgraphExec exec, CUgraph graph, CUgraphNode *error_node,
                           CUgraphExecUpdateResult *result)
{
    SC_READY();
    CUgraphExecUpdateResultInfo info;
    CUresult r = cuGraphExecUpdate_v2(exec, graph, &info);
    if (error_node)
        *error_node = info.errorNode;
    if (result)
        *result = info.result;
    return r;
}
