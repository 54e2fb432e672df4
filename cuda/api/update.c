/* What cuGraphExecUpdate may not change. */
#include "cuda/api/graph.h"

#include <stdlib.h>

static bool is_rectangle(const CUDA_MEMSET_NODE_PARAMS *p)
{
    return p->height > 1;
}

/* Fills of one row may grow, those of several may not. */
static bool fill_alike(const CUDA_MEMSET_NODE_PARAMS *a, const CUDA_MEMSET_NODE_PARAMS *b)
{
    if (!is_rectangle(a) && !is_rectangle(b))
        return true;
    return a->width == b->width && a->height == b->height && a->elementSize == b->elementSize;
}

static CUgraphExecUpdateResult work_compare(const struct xg_cuda_work *was,
                                            const struct xg_cuda_work *now)
{
    if (was->type != now->type)
        return CU_GRAPH_EXEC_UPDATE_ERROR_NODE_TYPE_CHANGED;
    if (was->type == CU_GRAPH_NODE_TYPE_KERNEL && was->kernel.ctx != now->kernel.ctx)
        return CU_GRAPH_EXEC_UPDATE_ERROR_UNSUPPORTED_FUNCTION_CHANGE;
    if (was->cooperative != now->cooperative)
        return CU_GRAPH_EXEC_UPDATE_ERROR_ATTRIBUTES_CHANGED;
    if (was->from != now->from || was->to != now->to)
        return CU_GRAPH_EXEC_UPDATE_ERROR_PARAMETERS_CHANGED;
    if (was->type == CU_GRAPH_NODE_TYPE_MEMSET && !fill_alike(&was->fill, &now->fill))
        return CU_GRAPH_EXEC_UPDATE_ERROR_PARAMETERS_CHANGED;
    return CU_GRAPH_EXEC_UPDATE_SUCCESS;
}

static bool depends_on(const struct xg_cuda_node *n, unsigned index)
{
    for (unsigned i = 0; i < n->deps; i++)
        if (n->dep[i]->index == index)
            return true;
    return false;
}

/* Each node's dependencies, as a set. */
static CUgraphExecUpdateResult edges_compare(const struct xg_cuda_node *was,
                                             const struct xg_cuda_node *now,
                                             CUgraphExecUpdateResultInfo *info)
{
    if (was->deps != now->deps)
        return CU_GRAPH_EXEC_UPDATE_ERROR_TOPOLOGY_CHANGED;
    for (unsigned i = 0; i < now->deps; i++) {
        if (depends_on(was, now->dep[i]->index))
            continue;
        info->errorFromNode = now->dep[i]->handle;
        return CU_GRAPH_EXEC_UPDATE_ERROR_TOPOLOGY_CHANGED;
    }
    return CU_GRAPH_EXEC_UPDATE_SUCCESS;
}

/* --- nodes that nothing depends on ------------------------------------------------------------ */

static int sink_order(const void *a, const void *b)
{
    uint64_t x = (*(struct xg_cuda_node *const *)a)->sink_since,
             y = (*(struct xg_cuda_node *const *)b)->sink_since;

    return x < y ? -1 : x > y;
}

/* To be freed; NULL: out of memory. */
static struct xg_cuda_node **sinks_of(struct xg_cuda_node *const *node, unsigned nodes,
                                      unsigned *count)
{
    struct xg_cuda_node **sink = calloc(nodes + 1, sizeof(*sink));
    unsigned kept = 0;

    if (!sink)
        return NULL;
    for (unsigned i = 0; i < nodes; i++)
        sink[i] = node[i];
    for (unsigned i = 0; i < nodes; i++)
        for (unsigned d = 0; d < node[i]->deps; d++)
            sink[node[i]->dep[d]->index] = NULL;
    for (unsigned i = 0; i < nodes; i++)
        if (sink[i])
            sink[kept++] = sink[i];
    qsort(sink, kept, sizeof(*sink), sink_order);
    *count = kept;
    return sink;
}

/* A driver pairs the nodes of both graphs by the order in which those that nothing depends on
 * became so. The edges are known to be the same. */
static CUgraphExecUpdateResult sinks_compare(const struct xg_cuda_graph *was,
                                             struct xg_cuda_node *const *now, CUresult *r,
                                             CUgraphExecUpdateResultInfo *info)
{
    CUgraphExecUpdateResult result = CU_GRAPH_EXEC_UPDATE_SUCCESS;
    unsigned a_count, b_count;
    struct xg_cuda_node **a = sinks_of(was->node, was->count, &a_count),
                        **b = sinks_of(now, was->count, &b_count);

    if (!a || !b)
        *r = CUDA_ERROR_OUT_OF_MEMORY;
    for (unsigned i = 0; a && b && i < b_count; i++) {
        if (a[i]->index == b[i]->index)
            continue;
        info->errorNode = b[i]->handle;
        result = CU_GRAPH_EXEC_UPDATE_ERROR_TOPOLOGY_CHANGED;
        break;
    }
    free(a);
    free(b);
    return result;
}

/* --- graphs ----------------------------------------------------------------------------------- */

static CUgraphExecUpdateResult graphs_compare(const struct xg_cuda_graph *was,
                                              const struct xg_cuda_graph *now, CUresult *r,
                                              CUgraphExecUpdateResultInfo *info)
{
    CUgraphExecUpdateResult result = CU_GRAPH_EXEC_UPDATE_SUCCESS;

    if (was->count != now->count)
        return CU_GRAPH_EXEC_UPDATE_ERROR_TOPOLOGY_CHANGED;
    struct xg_cuda_node **order = xg_cuda_graph_sort(now, r);
    for (unsigned i = 0; order && i < was->count; i++)
        was->node[i]->index = i;
    for (unsigned i = 0; order && i < was->count && result == CU_GRAPH_EXEC_UPDATE_SUCCESS; i++) {
        struct xg_cuda_node *a = was->node[i], *b = order[i];
        result = edges_compare(a, b, info);
        if (result == CU_GRAPH_EXEC_UPDATE_SUCCESS)
            result = work_compare(&a->work, &b->work);
        if (result == CU_GRAPH_EXEC_UPDATE_SUCCESS && a->child)
            result = graphs_compare(a->child, b->child, r, info);
        if (result != CU_GRAPH_EXEC_UPDATE_SUCCESS && !info->errorNode)
            info->errorNode = b->handle;
    }
    if (order && result == CU_GRAPH_EXEC_UPDATE_SUCCESS)
        result = sinks_compare(was, order, r, info);
    free(order);
    return result;
}

CUresult xg_cuda_graph_compare(const struct xg_cuda_graph *was, const struct xg_cuda_graph *now,
                               CUgraphExecUpdateResultInfo *info)
{
    CUresult r = CUDA_SUCCESS;

    *info = (CUgraphExecUpdateResultInfo){0};
    info->result = graphs_compare(was, now, &r, info);
    if (r == CUDA_SUCCESS && info->result != CU_GRAPH_EXEC_UPDATE_SUCCESS)
        r = CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE;
    return r;
}
