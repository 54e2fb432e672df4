#include "cuda/graph_shape.h"

#include <stdlib.h>

struct xg_cuda_shape *xg_cuda_shape_new(unsigned count)
{
    struct xg_cuda_shape *s = calloc(1, sizeof(*s) + count * sizeof(s->node[0]));

    if (s)
        s->count = count;
    return s;
}

void xg_cuda_shape_free(struct xg_cuda_shape *s)
{
    for (unsigned i = 0; s && i < s->count; i++) {
        free(s->node[i].dep);
        xg_cuda_shape_free(s->node[i].child);
    }
    if (s)
        free(s->sink);
    free(s);
}

struct sink {
    uint64_t since;
    unsigned index;
};

static int sinks_order(const void *a, const void *b)
{
    uint64_t x = ((const struct sink *)a)->since, y = ((const struct sink *)b)->since;

    return x < y ? -1 : x > y;
}

bool xg_cuda_shape_finish(struct xg_cuda_shape *s)
{
    struct sink *all = calloc(s->count + 1, sizeof(*all));

    s->sink = calloc(s->count + 1, sizeof(*s->sink));
    for (unsigned i = 0; all && s->sink && i < s->count; i++)
        for (unsigned d = 0; d < s->node[i].deps; d++)
            s->sink[s->node[i].dep[d]] = 1; /* marked: it is none */
    for (unsigned i = 0; all && s->sink && i < s->count; i++)
        if (!s->sink[i])
            all[s->sinks++] = (struct sink){s->node[i].sink_since, i};
    bool ok = all && s->sink;
    if (ok)
        qsort(all, s->sinks, sizeof(*all), sinks_order);
    for (unsigned i = 0; ok && i < s->sinks; i++)
        s->sink[i] = all[i].index;
    free(all);
    return ok;
}

static bool depends_on(const struct xg_cuda_shape_node *n, unsigned index)
{
    for (unsigned i = 0; i < n->deps; i++)
        if (n->dep[i] == index)
            return true;
    return false;
}

static CUgraphExecUpdateResult node_compare(const struct xg_cuda_shape_node *was,
                                            const struct xg_cuda_shape_node *now)
{
    if (was->type != now->type)
        return CU_GRAPH_EXEC_UPDATE_ERROR_NODE_TYPE_CHANGED;
    if (was->ctx != now->ctx)
        return CU_GRAPH_EXEC_UPDATE_ERROR_UNSUPPORTED_FUNCTION_CHANGE;
    if (was->cooperative != now->cooperative)
        return CU_GRAPH_EXEC_UPDATE_ERROR_ATTRIBUTES_CHANGED;
    if (was->from != now->from || was->to != now->to || was->width != now->width ||
        was->height != now->height || was->element != now->element)
        return CU_GRAPH_EXEC_UPDATE_ERROR_PARAMETERS_CHANGED;
    return CU_GRAPH_EXEC_UPDATE_SUCCESS;
}

/* Each node's dependencies, as a set. */
static CUgraphExecUpdateResult edges_compare(const struct xg_cuda_shape *now,
                                             const struct xg_cuda_shape_node *a,
                                             const struct xg_cuda_shape_node *b,
                                             CUgraphExecUpdateResultInfo *info)
{
    if (a->deps != b->deps)
        return CU_GRAPH_EXEC_UPDATE_ERROR_TOPOLOGY_CHANGED;
    for (unsigned i = 0; i < b->deps; i++) {
        if (depends_on(a, b->dep[i]))
            continue;
        info->errorFromNode = now->node[b->dep[i]].handle;
        return CU_GRAPH_EXEC_UPDATE_ERROR_TOPOLOGY_CHANGED;
    }
    return CU_GRAPH_EXEC_UPDATE_SUCCESS;
}

/* A driver pairs the nodes of both graphs by the order in which those that nothing depends on
 * became so. */
static CUgraphExecUpdateResult sinks_compare(const struct xg_cuda_shape *was,
                                             const struct xg_cuda_shape *now,
                                             CUgraphExecUpdateResultInfo *info)
{
    for (unsigned i = 0; i < now->sinks; i++) {
        if (was->sink[i] == now->sink[i])
            continue;
        info->errorNode = now->node[now->sink[i]].handle;
        return CU_GRAPH_EXEC_UPDATE_ERROR_TOPOLOGY_CHANGED;
    }
    return CU_GRAPH_EXEC_UPDATE_SUCCESS;
}

static CUgraphExecUpdateResult compare(const struct xg_cuda_shape *was,
                                       const struct xg_cuda_shape *now,
                                       CUgraphExecUpdateResultInfo *info)
{
    CUgraphExecUpdateResult r = CU_GRAPH_EXEC_UPDATE_SUCCESS;

    if (was->count != now->count)
        return CU_GRAPH_EXEC_UPDATE_ERROR_TOPOLOGY_CHANGED;
    for (unsigned i = 0; i < now->count && r == CU_GRAPH_EXEC_UPDATE_SUCCESS; i++) {
        r = edges_compare(now, &was->node[i], &now->node[i], info);
        if (r == CU_GRAPH_EXEC_UPDATE_SUCCESS)
            r = node_compare(&was->node[i], &now->node[i]);
        if (r == CU_GRAPH_EXEC_UPDATE_SUCCESS && now->node[i].child)
            r = compare(was->node[i].child, now->node[i].child, info);
        if (r != CU_GRAPH_EXEC_UPDATE_SUCCESS && !info->errorNode)
            info->errorNode = now->node[i].handle;
    }
    return r == CU_GRAPH_EXEC_UPDATE_SUCCESS ? sinks_compare(was, now, info) : r;
}

CUresult xg_cuda_shape_compare(const struct xg_cuda_shape *was, const struct xg_cuda_shape *now,
                               CUgraphExecUpdateResultInfo *info)
{
    *info = (CUgraphExecUpdateResultInfo){0};
    info->result = compare(was, now, info);
    return info->result == CU_GRAPH_EXEC_UPDATE_SUCCESS ? CUDA_SUCCESS
                                                        : CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE;
}
