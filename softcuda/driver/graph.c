/* Graphs as structures: nodes, dependencies, copies of graphs, and the questions about them. */
#include <stdlib.h>
#include <string.h>

#include "softcuda/driver/graph.h"

pthread_mutex_t sc_graph_lock = PTHREAD_MUTEX_INITIALIZER;

struct sc_graph *sc_graph_new(void)
{
    struct sc_graph *g = calloc(1, sizeof(*g));

    if (g && !(g->handle = sc_handle_new(SC_GRAPH, g))) {
        free(g);
        return NULL;
    }
    return g;
}

void sc_node_free(struct sc_node *n)
{
    sc_handle_drop(SC_NODE, n->handle);
    sc_op_release(&n->op);
    if (n->event)
        sc_event_put(n->event);
    if (n->child)
        sc_graph_free(n->child);
    free(n->param_ptrs);
    free(n->deps);
    free(n);
}

void sc_graph_free(struct sc_graph *g)
{
    sc_handle_drop(SC_GRAPH, g->handle);
    for (unsigned i = 0; i < g->count; i++)
        sc_node_free(g->nodes[i]);
    free(g->nodes);
    free(g);
}

bool sc_node_depend(struct sc_node *n, struct sc_node *on)
{
    for (unsigned i = 0; i < n->dep_count; i++)
        if (n->deps[i] == on)
            return true;
    struct sc_node **grown = realloc(n->deps, (n->dep_count + 1) * sizeof(*grown));
    if (!grown)
        return false;
    n->deps = grown;
    n->deps[n->dep_count++] = on;
    return true;
}

static bool is_sink(const struct sc_node *n)
{
    for (unsigned i = 0; i < n->graph->count; i++)
        for (unsigned k = 0; k < n->graph->nodes[i]->dep_count; k++)
            if (n->graph->nodes[i]->deps[k] == n)
                return false;
    return true;
}

bool sc_node_undepend(struct sc_node *n, struct sc_node *on)
{
    unsigned kept = 0;

    for (unsigned k = 0; k < n->dep_count; k++)
        if (n->deps[k] != on)
            n->deps[kept++] = n->deps[k];
    bool was = kept < n->dep_count;
    n->dep_count = kept;
    if (was && is_sink(on))
        on->sink_since = ++on->graph->sinks_made;
    return was;
}

struct sc_node *sc_node_new(struct sc_graph *g, CUgraphNodeType type, struct sc_node *const *deps,
                            unsigned dep_count)
{
    struct sc_node *n = calloc(1, sizeof(*n));

    if (!n)
        return NULL;
    n->graph = g;
    n->type = type;
    n->op.type = SC_OP_NOP;
    n->op.bytes = SC_OP_BYTES(host);
    if (g->count == g->room) {
        unsigned room = g->room ? g->room * 2 : 16;
        struct sc_node **grown = realloc(g->nodes, room * sizeof(*grown));
        if (!grown)
            goto fail;
        g->nodes = grown;
        g->room = room;
    }
    for (unsigned i = 0; i < dep_count; i++)
        if (!sc_node_depend(n, deps[i]))
            goto fail;
    n->handle = sc_handle_new(SC_NODE, n);
    if (!n->handle)
        goto fail;
    n->sink_since = ++g->sinks_made;
    g->nodes[g->count++] = n;
    return n;
fail:
    free(n->deps);
    free(n);
    return NULL;
}

struct sc_node **sc_graph_sort(const struct sc_graph *g)
{
    struct sc_node **out = malloc((g->count + 1) * sizeof(*out));
    unsigned n = 0, before;

    if (!out)
        return NULL;
    for (unsigned i = 0; i < g->count; i++)
        g->nodes[i]->mark = 0;
    /* Most graphs are made in a valid order, and one pass does it. */
    do {
        before = n;
        for (unsigned i = 0; i < g->count; i++) {
            struct sc_node *node = g->nodes[i];
            bool ready = !node->mark;
            for (unsigned k = 0; k < node->dep_count && ready; k++)
                ready = node->deps[k]->mark;
            if (!ready)
                continue;
            node->mark = 1;
            out[n++] = node;
        }
    } while (n < g->count && n > before);
    if (n == g->count)
        return out;
    free(out);
    return NULL;
}

static struct sc_node *counterpart(const struct sc_graph *from, const struct sc_graph *to,
                                   const struct sc_node *n)
{
    for (unsigned i = 0; i < from->count; i++)
        if (from->nodes[i] == n)
            return to->nodes[i];
    return NULL;
}

static bool node_copy(struct sc_node *to, const struct sc_node *from)
{
    struct sc_op op;

    to->origin = from->handle;
    to->cooperative = from->cooperative;
    if (!sc_op_clone(&op, &from->op))
        return false;
    memcpy(&to->op, &op, op.bytes);
    to->func = from->func;
    to->copy = from->copy;
    to->set = from->set;
    to->event = from->event;
    if (to->event)
        sc_event_ref(to->event);
    if (from->child && !(to->child = sc_graph_copy(from->child)))
        return false;
    return sc_node_pointers(to);
}

struct sc_graph *sc_graph_copy(const struct sc_graph *g)
{
    struct sc_graph *c = sc_graph_new();

    if (!c)
        return NULL;
    c->origin = g->handle;
    for (unsigned i = 0; i < g->count; i++) {
        struct sc_node *n = sc_node_new(c, g->nodes[i]->type, NULL, 0);
        if (!n || !node_copy(n, g->nodes[i]))
            goto fail;
        n->sink_since = g->nodes[i]->sink_since;
    }
    for (unsigned i = 0; i < g->count; i++)
        for (unsigned k = 0; k < g->nodes[i]->dep_count; k++)
            if (!sc_node_depend(c->nodes[i], counterpart(g, c, g->nodes[i]->deps[k])))
                goto fail;
    c->sinks_made = g->sinks_made;
    return c;
fail:
    sc_graph_free(c);
    return NULL;
}

/* --- the API: life ---------------------------------------------------------------------------- */

CUresult cuGraphCreate(CUgraph *out, unsigned flags)
{
    CUresult r = sc_ready();

    if (r)
        return r;
    if (!out || flags)
        return CUDA_ERROR_INVALID_VALUE;
    struct sc_graph *g = sc_graph_new();
    if (!g)
        return CUDA_ERROR_OUT_OF_MEMORY;
    *out = g->handle;
    return CUDA_SUCCESS;
}

CUresult cuGraphDestroy(CUgraph handle)
{
    SC_READY();
    pthread_mutex_lock(&sc_graph_lock);
    struct sc_graph *g = sc_handle_get(SC_GRAPH, handle);
    if (g)
        sc_graph_free(g);
    pthread_mutex_unlock(&sc_graph_lock);
    return g ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

CUresult cuGraphClone(CUgraph *out, CUgraph handle)
{
    SC_READY();
    CUresult r = CUDA_ERROR_INVALID_VALUE;

    if (!out)
        return r;
    pthread_mutex_lock(&sc_graph_lock);
    struct sc_graph *g = sc_handle_get(SC_GRAPH, handle);
    if (g) {
        struct sc_graph *c = sc_graph_copy(g);
        r = c ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
        if (c)
            *out = c->handle;
    }
    pthread_mutex_unlock(&sc_graph_lock);
    return r;
}

CUresult cuGraphNodeFindInClone(CUgraphNode *out, CUgraphNode original, CUgraph clone)
{
    SC_READY();
    CUresult r = CUDA_ERROR_INVALID_VALUE;

    if (!out)
        return r;
    pthread_mutex_lock(&sc_graph_lock);
    struct sc_graph *g = sc_handle_get(SC_GRAPH, clone);
    for (unsigned i = 0; g && original && i < g->count; i++)
        if (g->nodes[i]->origin == original) {
            *out = g->nodes[i]->handle;
            r = CUDA_SUCCESS;
        }
    pthread_mutex_unlock(&sc_graph_lock);
    return r;
}

CUresult cuGraphDestroyNode(CUgraphNode handle)
{
    SC_READY();
    pthread_mutex_lock(&sc_graph_lock);
    struct sc_node *n = sc_handle_get(SC_NODE, handle);
    if (n) {
        struct sc_graph *g = n->graph;
        unsigned kept = 0;
        while (n->dep_count)
            sc_node_undepend(n, n->deps[0]);
        for (unsigned i = 0; i < g->count; i++) {
            struct sc_node *o = g->nodes[i];
            sc_node_undepend(o, n);
            if (o != n)
                g->nodes[kept++] = o;
        }
        g->count = kept;
        sc_node_free(n);
    }
    pthread_mutex_unlock(&sc_graph_lock);
    return n ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

CUresult cuGraphNodeGetType(CUgraphNode handle, CUgraphNodeType *type)
{
    SC_READY();
    struct sc_node *n = sc_handle_get(SC_NODE, handle);

    if (!n || !type)
        return CUDA_ERROR_INVALID_VALUE;
    *type = n->type;
    return CUDA_SUCCESS;
}

/* --- the API: questions ----------------------------------------------------------------------- */

/* Answers of unknown length: the count alone if there is no room, and never more than the room. */
struct answer {
    CUgraphNode *a, *b;
    CUgraphEdgeData *edges;
    size_t room, count;
};

static void give(struct answer *w, CUgraphNode a, CUgraphNode b)
{
    if (w->a && w->count < w->room) {
        w->a[w->count] = a;
        if (w->b)
            w->b[w->count] = b;
        if (w->edges)
            memset(&w->edges[w->count], 0, sizeof(*w->edges));
    }
    w->count++;
}

static void give_end(struct answer *w, size_t *count)
{
    if (w->a) /* the rest of the caller's arrays is NULL, as the API has it */
        for (size_t i = w->count; i < w->room; i++) {
            w->a[i] = NULL;
            if (w->b)
                w->b[i] = NULL;
        }
    *count = w->a && w->count > w->room ? w->room : w->count;
}

static CUresult graph_nodes(CUgraph handle, CUgraphNode *nodes, size_t *count, bool roots)
{
    if (!count || (nodes && !*count))
        return CUDA_ERROR_INVALID_VALUE;
    struct answer w = {.a = nodes, .room = *count};
    pthread_mutex_lock(&sc_graph_lock);
    struct sc_graph *g = sc_handle_get(SC_GRAPH, handle);
    for (unsigned i = 0; g && i < g->count; i++)
        if (!roots || !g->nodes[i]->dep_count)
            give(&w, g->nodes[i]->handle, NULL);
    pthread_mutex_unlock(&sc_graph_lock);
    if (!g)
        return CUDA_ERROR_INVALID_VALUE;
    give_end(&w, count);
    return CUDA_SUCCESS;
}

CUresult cuGraphGetNodes(CUgraph graph, CUgraphNode *nodes, size_t *count)
{
    SC_READY();
    return graph_nodes(graph, nodes, count, false);
}

CUresult cuGraphGetRootNodes(CUgraph graph, CUgraphNode *nodes, size_t *count)
{
    SC_READY();
    return graph_nodes(graph, nodes, count, true);
}

CUresult cuGraphGetEdges_v2(CUgraph handle, CUgraphNode *from, CUgraphNode *to,
                            CUgraphEdgeData *edges, size_t *count)
{
    SC_READY();
    if (!count || !from != !to || (from && !*count))
        return CUDA_ERROR_INVALID_VALUE;
    struct answer w = {.a = from, .b = to, .edges = edges, .room = *count};
    pthread_mutex_lock(&sc_graph_lock);
    struct sc_graph *g = sc_handle_get(SC_GRAPH, handle);
    for (unsigned i = 0; g && i < g->count; i++)
        for (unsigned k = 0; k < g->nodes[i]->dep_count; k++)
            give(&w, g->nodes[i]->deps[k]->handle, g->nodes[i]->handle);
    pthread_mutex_unlock(&sc_graph_lock);
    if (!g)
        return CUDA_ERROR_INVALID_VALUE;
    give_end(&w, count);
    return CUDA_SUCCESS;
}

CUresult cuGraphGetEdges(CUgraph graph, CUgraphNode *from, CUgraphNode *to, size_t *count)
{
    SC_READY();
    return cuGraphGetEdges_v2(graph, from, to, NULL, count);
}

CUresult cuGraphNodeGetDependencies_v2(CUgraphNode handle, CUgraphNode *nodes,
                                       CUgraphEdgeData *edges, size_t *count)
{
    SC_READY();
    if (!count || (nodes && !*count))
        return CUDA_ERROR_INVALID_VALUE;
    struct answer w = {.a = nodes, .edges = edges, .room = *count};
    pthread_mutex_lock(&sc_graph_lock);
    struct sc_node *n = sc_handle_get(SC_NODE, handle);
    for (unsigned k = 0; n && k < n->dep_count; k++)
        give(&w, n->deps[k]->handle, NULL);
    pthread_mutex_unlock(&sc_graph_lock);
    if (!n)
        return CUDA_ERROR_INVALID_VALUE;
    give_end(&w, count);
    return CUDA_SUCCESS;
}

CUresult cuGraphNodeGetDependencies(CUgraphNode node, CUgraphNode *nodes, size_t *count)
{
    SC_READY();
    return cuGraphNodeGetDependencies_v2(node, nodes, NULL, count);
}

CUresult cuGraphNodeGetDependentNodes_v2(CUgraphNode handle, CUgraphNode *nodes,
                                         CUgraphEdgeData *edges, size_t *count)
{
    SC_READY();
    if (!count || (nodes && !*count))
        return CUDA_ERROR_INVALID_VALUE;
    struct answer w = {.a = nodes, .edges = edges, .room = *count};
    pthread_mutex_lock(&sc_graph_lock);
    struct sc_node *n = sc_handle_get(SC_NODE, handle);
    for (unsigned i = 0; n && i < n->graph->count; i++)
        for (unsigned k = 0; k < n->graph->nodes[i]->dep_count; k++)
            if (n->graph->nodes[i]->deps[k] == n)
                give(&w, n->graph->nodes[i]->handle, NULL);
    pthread_mutex_unlock(&sc_graph_lock);
    if (!n)
        return CUDA_ERROR_INVALID_VALUE;
    give_end(&w, count);
    return CUDA_SUCCESS;
}

CUresult cuGraphNodeGetDependentNodes(CUgraphNode node, CUgraphNode *nodes, size_t *count)
{
    SC_READY();
    return cuGraphNodeGetDependentNodes_v2(node, nodes, NULL, count);
}

/* --- the API: dependencies -------------------------------------------------------------------- */

static bool plain_edges(const CUgraphEdgeData *edges, size_t count)
{
    for (size_t i = 0; edges && i < count; i++)
        if (edges[i].from_port || edges[i].to_port || edges[i].type)
            return false; /* programmatic launch: a kernel here ends before the next begins */
    return true;
}

CUresult cuGraphAddDependencies_v2(CUgraph handle, const CUgraphNode *from, const CUgraphNode *to,
                                   const CUgraphEdgeData *edges, size_t count)
{
    SC_READY();
    CUresult r = CUDA_SUCCESS;

    if (count && (!from || !to))
        return CUDA_ERROR_INVALID_VALUE;
    if (!plain_edges(edges, count))
        return CUDA_ERROR_NOT_SUPPORTED;
    pthread_mutex_lock(&sc_graph_lock);
    struct sc_graph *g = sc_handle_get(SC_GRAPH, handle);
    if (!g)
        r = CUDA_ERROR_INVALID_VALUE;
    for (size_t i = 0; i < count && !r; i++) {
        struct sc_node *a = sc_handle_get(SC_NODE, from[i]), *b = sc_handle_get(SC_NODE, to[i]);
        if (!a || !b || a == b || a->graph != g || b->graph != g)
            r = CUDA_ERROR_INVALID_VALUE;
        for (unsigned k = 0; !r && k < b->dep_count; k++)
            if (b->deps[k] == a)
                r = CUDA_ERROR_INVALID_VALUE; /* there already */
        if (!r && !sc_node_depend(b, a))
            r = CUDA_ERROR_OUT_OF_MEMORY;
    }
    pthread_mutex_unlock(&sc_graph_lock);
    return r;
}

CUresult cuGraphAddDependencies(CUgraph graph, const CUgraphNode *from, const CUgraphNode *to,
                                size_t count)
{
    XG_CUDA_NEED(graph, CUDA_ERROR_INVALID_VALUE);
    SC_READY();
    return cuGraphAddDependencies_v2(graph, from, to, NULL, count);
}

CUresult cuGraphRemoveDependencies_v2(CUgraph handle, const CUgraphNode *from,
                                      const CUgraphNode *to, const CUgraphEdgeData *edges,
                                      size_t count)
{
    SC_READY();
    CUresult r = CUDA_SUCCESS;

    if (count && (!from || !to))
        return CUDA_ERROR_INVALID_VALUE;
    pthread_mutex_lock(&sc_graph_lock);
    if (!sc_handle_get(SC_GRAPH, handle))
        r = CUDA_ERROR_INVALID_VALUE;
    for (size_t i = 0; i < count && !r; i++) {
        struct sc_node *a = sc_handle_get(SC_NODE, from[i]), *b = sc_handle_get(SC_NODE, to[i]);
        r = a && b && sc_node_undepend(b, a) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
    }
    pthread_mutex_unlock(&sc_graph_lock);
    return r;
}

CUresult cuGraphRemoveDependencies(CUgraph graph, const CUgraphNode *from, const CUgraphNode *to,
                                   size_t count)
{
    SC_READY();
    return cuGraphRemoveDependencies_v2(graph, from, to, NULL, count);
}
