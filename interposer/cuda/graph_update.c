/* Updates of an executable graph from another of the same shape. */
#include "interposer/cuda/graph.h"

#include <stdlib.h>

/* --- shapes ----------------------------------------------------------------------------------- */

static CUmemorytype memory_type(CUmemorytype given, CUdeviceptr address)
{
    struct cu_mem m;

    if (given != CU_MEMORYTYPE_UNIFIED)
        return given;
    if (!cu_mem_find(address, &m))
        return CU_MEMORYTYPE_HOST;
    return m.kind == CU_MEM_HOST || m.kind == CU_MEM_REGISTERED ? CU_MEMORYTYPE_HOST
                                                                : CU_MEMORYTYPE_DEVICE;
}

static bool node_describe(const struct cu_node *n, struct xg_cuda_shape_node *s)
{
    const CUDA_MEMCPY3D *c = &n->copy;

    s->handle = cu_handle(&n->o);
    s->type = n->type;
    s->sink_since = n->sink_since;
    switch (n->type) {
    case CU_GRAPH_NODE_TYPE_KERNEL:
        s->ctx = n->kernel.ctx ? cu_object_get(CU_KIND_CTX, n->kernel.ctx) : n->graph->ctx;
        s->cooperative = n->cooperative;
        break;
    case CU_GRAPH_NODE_TYPE_MEMCPY:
        s->from = memory_type(c->srcMemoryType, c->srcDevice);
        s->to = memory_type(c->dstMemoryType, c->dstDevice);
        break;
    case CU_GRAPH_NODE_TYPE_MEMSET:
        if (n->fill.height > 1) {
            s->width = n->fill.width;
            s->height = n->fill.height;
            s->element = n->fill.elementSize;
        }
        break;
    default: break;
    }
    s->dep = malloc((n->deps + 1) * sizeof(*s->dep));
    if (!s->dep)
        return false;
    for (; s->deps < n->deps; s->deps++)
        s->dep[s->deps] = n->dep[s->deps]->index;
    if (n->child)
        s->child = cu_graph_shape(n->child);
    return !n->child || s->child;
}

struct xg_cuda_shape *cu_graph_shape(struct cu_graph *g)
{
    struct xg_cuda_shape *s = xg_cuda_shape_new(g->count);
    bool ok = s != NULL;

    for (unsigned i = 0; i < g->count; i++)
        g->node[i]->index = i;
    for (unsigned i = 0; i < g->count && ok; i++)
        ok = node_describe(g->node[i], &s->node[i]);
    ok = ok && xg_cuda_shape_finish(s);
    if (!ok) {
        xg_cuda_shape_free(s);
        s = NULL;
    }
    return s;
}

/* --- the update ------------------------------------------------------------------------------- */

/* The application knows the nodes by the graph that it instantiated, and what it disabled stays so.
 */
static void take_names(struct cu_graph *to, const struct cu_graph *from)
{
    for (unsigned i = 0; i < to->count; i++) {
        to->node[i]->origin = from->node[i]->origin;
        to->node[i]->disabled = from->node[i]->disabled;
        if (to->node[i]->child)
            take_names(to->node[i]->child, from->node[i]->child);
    }
}

static void swap_nodes(struct cu_graph *a, struct cu_graph *b)
{
    struct cu_graph was = *a;

    a->node = b->node;
    a->size = b->size;
    b->node = was.node;
    b->size = was.size;
    for (unsigned i = 0; i < a->count; i++) {
        a->node[i]->graph = a;
        b->node[i]->graph = b;
    }
}

/* Nodes that are named in *info: those of the application's graph, which the copy was made from. */
static CUgraphNode original(CUgraphNode copy)
{
    struct cu_node *n = copy ? cu_object_get(CU_KIND_NODE, copy) : NULL;
    struct cu_node *from = n ? cu_object_named(CU_KIND_NODE, n->origin) : NULL;

    return from ? cu_handle(&from->o) : NULL;
}

static CUresult update(struct cu_graph *exec, struct cu_graph *g, CUgraphExecUpdateResultInfo *info)
{
    CUresult r;
    struct cu_graph *fresh = cu_graph_copy(g, CU_KIND_EXEC, &r);
    struct xg_cuda_shape *shape = fresh ? cu_graph_shape(fresh) : NULL;

    if (fresh && !shape)
        r = CUDA_ERROR_OUT_OF_MEMORY;
    if (r == CUDA_SUCCESS) {
        r = xg_cuda_shape_compare(exec->shape, shape, info);
        info->errorNode = original(info->errorNode);
        info->errorFromNode = original(info->errorFromNode);
    }
    if (r == CUDA_SUCCESS) {
        take_names(fresh, exec);
        swap_nodes(exec, fresh);
    }
    xg_cuda_shape_free(shape);
    if (fresh)
        cu_graph_free(fresh);
    return r;
}

CUresult cuGraphExecUpdate_v2(CUgraphExec h, CUgraph graph, CUgraphExecUpdateResultInfo *info)
{
    CUgraphExecUpdateResultInfo unwanted;

    CU_ENTER_BY(ctx, cu_enter_none(&ctx));
    if (!info)
        info = &unwanted;
    *info = (CUgraphExecUpdateResultInfo){.result = CU_GRAPH_EXEC_UPDATE_ERROR};
    struct cu_graph *exec = cu_object_get(CU_KIND_EXEC, h),
                    *g = cu_object_get(CU_KIND_GRAPH, graph);
    CUresult r = exec && g ? update(exec, g, info) : CUDA_ERROR_INVALID_VALUE;
    if (r != CUDA_SUCCESS && r != CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE)
        info->result = CU_GRAPH_EXEC_UPDATE_ERROR;
    return r;
}

CUresult cuGraphExecUpdate(CUgraphExec exec, CUgraph graph, CUgraphNode *node,
                           CUgraphExecUpdateResult *result)
{
    CUgraphExecUpdateResultInfo info;

    CU_READY();
    memset(&info, 0, sizeof(info));
    CUresult r = cuGraphExecUpdate_v2(exec, graph, &info);
    if (node)
        *node = info.errorNode;
    if (result)
        *result = info.result;
    return r;
}
