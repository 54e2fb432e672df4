/* Graphs as structures: life, dependencies, copies, and the questions about them. */
#include "cuda/api/graph.h"

#include <stdlib.h>
#include <string.h>

#include "cuda/api/capture.h"

/* Recursive, as that of handles. */
pthread_mutex_t xg_cuda_graph_lock = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;

struct xg_cuda_graph *xg_cuda_graph_new(bool visible)
{
    struct xg_cuda_graph *g = calloc(1, sizeof(*g));

    if (g && visible && !(g->handle = xg_cuda_handle_new(XG_CUDA_KIND_GRAPH, g))) {
        free(g);
        return NULL;
    }
    return g;
}

static void node_free(struct xg_cuda_node *n)
{
    if (n->handle)
        xg_cuda_handle_drop(XG_CUDA_KIND_NODE, n->handle);
    if (n->child)
        xg_cuda_graph_free(n->child);
    xg_cuda_work_free(&n->work);
    free(n->hints);
    free(n->dep);
    free(n);
}

void xg_cuda_graph_free(struct xg_cuda_graph *g)
{
    if (g->handle)
        xg_cuda_handle_drop(XG_CUDA_KIND_GRAPH, g->handle);
    for (unsigned i = 0; i < g->count; i++)
        node_free(g->node[i]);
    xg_cuda_keeps_end(&g->keeps);
    free(g->node);
    free(g);
}

/* --- dependencies ----------------------------------------------------------------------------- */

static bool depends_on(const struct xg_cuda_node *n, const struct xg_cuda_node *on)
{
    for (unsigned i = 0; i < n->deps; i++)
        if (n->dep[i] == on)
            return true;
    return false;
}

/* It is known that it does not depend on it yet: there may be very many. */
static bool node_depend_more(struct xg_cuda_node *n, struct xg_cuda_node *on)
{
    struct xg_cuda_node **more = realloc(n->dep, (n->deps + 1) * sizeof(*more));
    if (!more)
        return false;
    n->dep = more;
    n->dep[n->deps++] = on;
    return true;
}

static bool node_depend(struct xg_cuda_node *n, struct xg_cuda_node *on)
{
    return depends_on(n, on) || node_depend_more(n, on);
}

static bool is_sink(const struct xg_cuda_node *n)
{
    for (unsigned i = 0; i < n->graph->count; i++)
        if (depends_on(n->graph->node[i], n))
            return false;
    return true;
}

/* False: it did not depend on it. */
static bool node_undepend(struct xg_cuda_node *n, struct xg_cuda_node *on)
{
    unsigned kept = 0;

    if (!depends_on(n, on))
        return false;
    for (unsigned i = 0; i < n->deps; i++)
        if (n->dep[i] != on)
            n->dep[kept++] = n->dep[i];
    n->deps = kept;
    if (is_sink(on))
        on->sink_since = ++on->graph->sinks_made;
    return true;
}

/* --- nodes ------------------------------------------------------------------------------------ */

static bool node_room(struct xg_cuda_graph *g)
{
    unsigned room = g->room ? g->room * 2 : 16;

    if (g->count < g->room)
        return true;
    struct xg_cuda_node **more = realloc(g->node, room * sizeof(*more));
    if (!more)
        return false;
    g->node = more;
    g->room = room;
    return true;
}

struct xg_cuda_node *xg_cuda_node_add(struct xg_cuda_graph *g, struct xg_cuda_work *w,
                                      struct xg_cuda_node *const *dep, unsigned deps)
{
    struct xg_cuda_node *n = node_room(g) ? calloc(1, sizeof(*n)) : NULL;
    bool ok = n != NULL;

    for (unsigned i = 0; i < deps && ok; i++)
        ok = node_depend_more(n, dep[i]); /* no node is twice in the list */
    if (ok && g->handle)
        ok = (n->handle = xg_cuda_handle_new(XG_CUDA_KIND_NODE, n)) != NULL;
    if (!ok) {
        if (n)
            node_free(n);
        return NULL;
    }
    n->graph = g;
    n->work = *w;
    *w = (struct xg_cuda_work){0};
    n->sink_since = ++g->sinks_made;
    g->node[g->count++] = n;
    return n;
}

void xg_cuda_node_remove(struct xg_cuda_node *n)
{
    struct xg_cuda_graph *g = n->graph;
    unsigned kept = 0;

    while (n->deps)
        node_undepend(n, n->dep[0]);
    for (unsigned i = 0; i < g->count; i++) {
        struct xg_cuda_node *o = g->node[i];
        node_undepend(o, n);
        if (o != n)
            g->node[kept++] = o;
    }
    g->count = kept;
    node_free(n);
}

struct xg_cuda_node **xg_cuda_graph_sort(const struct xg_cuda_graph *g, CUresult *r)
{
    struct xg_cuda_node **out = malloc((g->count + 1) * sizeof(*out));
    unsigned n = 0, before;

    *r = out ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
    if (!out)
        return NULL;
    for (unsigned i = 0; i < g->count; i++)
        g->node[i]->index = UINT32_MAX;
    /* Most graphs are made in a valid order, and one pass does it. */
    do {
        before = n;
        for (unsigned i = 0; i < g->count; i++) {
            struct xg_cuda_node *node = g->node[i];
            bool ready = node->index == UINT32_MAX;
            for (unsigned d = 0; d < node->deps && ready; d++)
                ready = node->dep[d]->index != UINT32_MAX;
            if (!ready)
                continue;
            node->index = n;
            out[n++] = node;
        }
    } while (n < g->count && n > before);
    if (n == g->count)
        return out;
    free(out);
    *r = CUDA_ERROR_INVALID_VALUE; /* a circle */
    return NULL;
}

/* --- copies ----------------------------------------------------------------------------------- */

static CUresult node_copy(struct xg_cuda_graph *to, const struct xg_cuda_node *from)
{
    struct xg_cuda_work work;
    CUresult r = CUDA_SUCCESS;

    if (!xg_cuda_work_copy(&work, &from->work))
        return CUDA_ERROR_OUT_OF_MEMORY;
    struct xg_cuda_node *n = xg_cuda_node_add(to, &work, NULL, 0);
    if (!n) {
        xg_cuda_work_free(&work);
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    n->origin = from->handle;
    n->sink_since = from->sink_since;
    if (!xg_cuda_hints_copy(n, from))
        return CUDA_ERROR_OUT_OF_MEMORY;
    if (from->child && (n->child = xg_cuda_graph_copy(from->child, to->handle != NULL, &r)))
        n->child->owned = true;
    return r;
}

/* `order` is the nodes of the original as the copy has them. */
static CUresult nodes_copy(struct xg_cuda_graph *to, struct xg_cuda_node *const *order,
                           unsigned count)
{
    CUresult r = CUDA_SUCCESS;

    for (unsigned i = 0; i < count && r == CUDA_SUCCESS; i++) {
        order[i]->index = i;
        r = node_copy(to, order[i]);
    }
    for (unsigned i = 0; i < count && r == CUDA_SUCCESS; i++)
        for (unsigned d = 0; d < order[i]->deps; d++)
            if (!node_depend_more(to->node[i], to->node[order[i]->dep[d]->index]))
                r = CUDA_ERROR_OUT_OF_MEMORY;
    return r;
}

struct xg_cuda_graph *xg_cuda_graph_copy(struct xg_cuda_graph *g, bool visible, CUresult *r)
{
    struct xg_cuda_node **order = visible ? g->node : xg_cuda_graph_sort(g, r);
    struct xg_cuda_graph *to = visible || order ? xg_cuda_graph_new(visible) : NULL;

    if (to)
        *r = xg_cuda_keeps_copy(&to->keeps, &g->keeps) ? nodes_copy(to, order, g->count)
                                                       : CUDA_ERROR_OUT_OF_MEMORY;
    else if (visible || order)
        *r = CUDA_ERROR_OUT_OF_MEMORY;
    if (!visible)
        free(order);
    if (to && *r != CUDA_SUCCESS) {
        xg_cuda_graph_free(to);
        return NULL;
    }
    if (to)
        to->sinks_made = g->sinks_made;
    return to;
}

/* --- the API: life ---------------------------------------------------------------------------- */

CUresult cuGraphCreate(CUgraph *out, unsigned flags)
{
    XG_CUDA_ENTER(ctx);
    if (!out || flags)
        return CUDA_ERROR_INVALID_VALUE;
    struct xg_cuda_graph *g = xg_cuda_graph_new(true);
    if (!g)
        return CUDA_ERROR_OUT_OF_MEMORY;
    *out = g->handle;
    return CUDA_SUCCESS;
}

CUresult cuGraphDestroy(CUgraph h)
{
    XG_CUDA_ENTER(ctx);
    xg_cuda_graphs_lock();
    struct xg_cuda_graph *g = xg_cuda_graph_get(h);
    bool ok = g && !g->owned && !g->captured;
    if (ok)
        xg_cuda_graph_free(g);
    xg_cuda_graphs_unlock();
    return ok ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

CUresult cuGraphClone(CUgraph *out, CUgraph h)
{
    XG_CUDA_ENTER(ctx);
    CUresult r = CUDA_ERROR_INVALID_VALUE;

    if (!out)
        return r;
    xg_cuda_graphs_lock();
    struct xg_cuda_graph *g = xg_cuda_graph_get(h),
                         *copy = g ? xg_cuda_graph_copy(g, true, &r) : NULL;
    if (copy)
        *out = copy->handle;
    xg_cuda_graphs_unlock();
    return r;
}

CUresult cuGraphNodeFindInClone(CUgraphNode *out, CUgraphNode original, CUgraph clone)
{
    XG_CUDA_ENTER(ctx);
    CUresult r = CUDA_ERROR_INVALID_VALUE;

    if (!out || !original)
        return r;
    xg_cuda_graphs_lock();
    struct xg_cuda_graph *g = xg_cuda_graph_get(clone);
    for (unsigned i = 0; g && i < g->count; i++)
        if (g->node[i]->origin == original) {
            *out = g->node[i]->handle;
            r = CUDA_SUCCESS;
        }
    xg_cuda_graphs_unlock();
    return r;
}

CUresult cuGraphDestroyNode(CUgraphNode h)
{
    XG_CUDA_ENTER(ctx);
    xg_cuda_graphs_lock();
    struct xg_cuda_node *n = xg_cuda_node_get(h);
    bool ok = n && !n->graph->captured;
    if (ok)
        xg_cuda_node_remove(n);
    xg_cuda_graphs_unlock();
    return ok ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

void xg_cuda_graphs_reset(void)
{
    xg_cuda_graph_lock = (pthread_mutex_t)PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
    xg_cuda_captures_reset();
}

/* --- the API: questions ----------------------------------------------------------------------- */

/* Lists of unknown length: the count alone if there is no room, and never more than the room. */
struct answer {
    CUgraphNode *a, *b;
    CUgraphEdgeData *edge;
    size_t room, count;
};

static bool answer_possible(const CUgraphNode *a, const size_t *count)
{
    return count && !(a && !*count);
}

static void answer_add(struct answer *w, const struct xg_cuda_node *a, const struct xg_cuda_node *b)
{
    if (w->a && w->count < w->room) {
        w->a[w->count] = a->handle;
        if (w->b)
            w->b[w->count] = b->handle;
        if (w->edge)
            memset(&w->edge[w->count], 0, sizeof(*w->edge));
    }
    w->count++;
}

/* The rest of the caller's room is NULL. */
static void answer_end(struct answer *w, size_t *count)
{
    for (size_t i = w->count; w->a && i < w->room; i++) {
        w->a[i] = NULL;
        if (w->b)
            w->b[i] = NULL;
    }
    *count = w->a ? xg_min_u64(w->count, w->room) : w->count;
}

static CUresult graph_nodes(CUgraph h, CUgraphNode *out, size_t *count, bool roots)
{
    XG_CUDA_ENTER(ctx);
    if (!answer_possible(out, count))
        return CUDA_ERROR_INVALID_VALUE;
    struct answer w = {.a = out, .room = *count};
    xg_cuda_graphs_lock();
    const struct xg_cuda_graph *g = xg_cuda_graph_get(h);
    for (unsigned i = 0; g && i < g->count; i++)
        if (!roots || !g->node[i]->deps)
            answer_add(&w, g->node[i], NULL);
    if (g)
        answer_end(&w, count);
    xg_cuda_graphs_unlock();
    return g ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

CUresult cuGraphGetNodes(CUgraph h, CUgraphNode *out, size_t *count)
{
    return graph_nodes(h, out, count, false);
}

CUresult cuGraphGetRootNodes(CUgraph h, CUgraphNode *out, size_t *count)
{
    return graph_nodes(h, out, count, true);
}

CUresult cuGraphGetEdges_v2(CUgraph h, CUgraphNode *from, CUgraphNode *to, CUgraphEdgeData *edge,
                            size_t *count)
{
    XG_CUDA_ENTER(ctx);
    if (!answer_possible(from, count) || !from != !to)
        return CUDA_ERROR_INVALID_VALUE;
    struct answer w = {.a = from, .b = to, .edge = edge, .room = *count};
    xg_cuda_graphs_lock();
    const struct xg_cuda_graph *g = xg_cuda_graph_get(h);
    for (unsigned i = 0; g && i < g->count; i++)
        for (unsigned d = 0; d < g->node[i]->deps; d++)
            answer_add(&w, g->node[i]->dep[d], g->node[i]);
    if (g)
        answer_end(&w, count);
    xg_cuda_graphs_unlock();
    return g ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

CUresult cuGraphGetEdges(CUgraph h, CUgraphNode *from, CUgraphNode *to, size_t *count)
{
    return cuGraphGetEdges_v2(h, from, to, NULL, count);
}

CUresult cuGraphNodeGetDependencies_v2(CUgraphNode h, CUgraphNode *out, CUgraphEdgeData *edge,
                                       size_t *count)
{
    XG_CUDA_ENTER(ctx);
    if (!answer_possible(out, count))
        return CUDA_ERROR_INVALID_VALUE;
    struct answer w = {.a = out, .edge = edge, .room = *count};
    xg_cuda_graphs_lock();
    const struct xg_cuda_node *n = xg_cuda_node_get(h);
    for (unsigned d = 0; n && d < n->deps; d++)
        answer_add(&w, n->dep[d], NULL);
    if (n)
        answer_end(&w, count);
    xg_cuda_graphs_unlock();
    return n ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

CUresult cuGraphNodeGetDependencies(CUgraphNode h, CUgraphNode *out, size_t *count)
{
    return cuGraphNodeGetDependencies_v2(h, out, NULL, count);
}

CUresult cuGraphNodeGetDependentNodes_v2(CUgraphNode h, CUgraphNode *out, CUgraphEdgeData *edge,
                                         size_t *count)
{
    XG_CUDA_ENTER(ctx);
    if (!answer_possible(out, count))
        return CUDA_ERROR_INVALID_VALUE;
    struct answer w = {.a = out, .edge = edge, .room = *count};
    xg_cuda_graphs_lock();
    const struct xg_cuda_node *n = xg_cuda_node_get(h);
    for (unsigned i = 0; n && i < n->graph->count; i++)
        if (depends_on(n->graph->node[i], n))
            answer_add(&w, n->graph->node[i], NULL);
    if (n)
        answer_end(&w, count);
    xg_cuda_graphs_unlock();
    return n ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

CUresult cuGraphNodeGetDependentNodes(CUgraphNode h, CUgraphNode *out, size_t *count)
{
    return cuGraphNodeGetDependentNodes_v2(h, out, NULL, count);
}

CUresult cuGraphNodeGetType(CUgraphNode h, CUgraphNodeType *type)
{
    XG_CUDA_ENTER(ctx);
    xg_cuda_graphs_lock();
    const struct xg_cuda_node *n = xg_cuda_node_get(h);
    if (n && type)
        *type = n->work.type;
    xg_cuda_graphs_unlock();
    return n && type ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

/* --- the API: dependencies -------------------------------------------------------------------- */

bool xg_cuda_edges_plain(const CUgraphEdgeData *edge, size_t count)
{
    for (size_t i = 0; edge && i < count; i++)
        if (edge[i].from_port || edge[i].to_port || edge[i].type)
            return false;
    return true;
}

static CUresult edge_add(const struct xg_cuda_graph *g, CUgraphNode from, CUgraphNode to)
{
    struct xg_cuda_node *a = xg_cuda_node_get(from), *b = xg_cuda_node_get(to);

    if (!a || !b || a == b || a->graph != g || b->graph != g || depends_on(b, a))
        return CUDA_ERROR_INVALID_VALUE;
    return node_depend(b, a) ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}

static CUresult edge_remove(const struct xg_cuda_graph *g, CUgraphNode from, CUgraphNode to)
{
    struct xg_cuda_node *a = xg_cuda_node_get(from), *b = xg_cuda_node_get(to);

    return a && b && a->graph == g && node_undepend(b, a) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

static CUresult
edges_change(CUgraph h, const CUgraphNode *from, const CUgraphNode *to, size_t count,
             CUresult (*change)(const struct xg_cuda_graph *, CUgraphNode, CUgraphNode))
{
    XG_CUDA_ENTER(ctx);
    if (count && (!from || !to))
        return CUDA_ERROR_INVALID_VALUE;
    xg_cuda_graphs_lock();
    struct xg_cuda_graph *g = xg_cuda_graph_get(h);
    CUresult r = g ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
    for (size_t i = 0; i < count && r == CUDA_SUCCESS; i++)
        r = change(g, from[i], to[i]);
    xg_cuda_graphs_unlock();
    return r;
}

CUresult cuGraphAddDependencies(CUgraph h, const CUgraphNode *from, const CUgraphNode *to,
                                size_t count)
{
    XG_CUDA_NEED(h, CUDA_ERROR_INVALID_VALUE);
    return edges_change(h, from, to, count, edge_add);
}

CUresult cuGraphAddDependencies_v2(CUgraph h, const CUgraphNode *from, const CUgraphNode *to,
                                   const CUgraphEdgeData *edge, size_t count)
{
    XG_CUDA_READY();
    return xg_cuda_edges_plain(edge, count) ? edges_change(h, from, to, count, edge_add)
                                            : CUDA_ERROR_NOT_SUPPORTED;
}

CUresult cuGraphRemoveDependencies(CUgraph h, const CUgraphNode *from, const CUgraphNode *to,
                                   size_t count)
{
    return edges_change(h, from, to, count, edge_remove);
}

CUresult cuGraphRemoveDependencies_v2(CUgraph h, const CUgraphNode *from, const CUgraphNode *to,
                                      const CUgraphEdgeData *edge, size_t count)
{
    return edges_change(h, from, to, count, edge_remove);
}
