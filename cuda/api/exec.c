/* Executable graphs: made, launched, changed. */
#include "cuda/api/graph.h"
#include "cuda/api/stream.h"

#include <stdlib.h>

#include "cuda/api/capture.h"
#include "cuda/api/stream.h"

/* Where launches are under way that may use what the graph keeps. */
struct exec_place {
    struct xg_cuda_ctx *ctx;
    CUstream stream; /* NULL: any of the context that does not wait for the legacy one */
    bool blocking;   /* it synchronises with the legacy one, or is that */
};

struct xg_cuda_exec {
    CUgraphExec handle;
    unsigned refs;        /* xg_cuda_graph_lock; one is the handle's */
    pthread_mutex_t lock; /* of the graph */
    struct xg_cuda_graph *graph;
    cuuint64_t flags;
    bool keeps;               /* the graph has user objects; then, since it was made: */
    struct exec_place *place; /* of the graph's lock */
    unsigned places, room;
};

/* --- what launches keep ----------------------------------------------------------------------- */

/* The user objects of a graph that goes: they end when every stream has come so far. */
struct launch_end {
    struct xg_cuda_keeps keeps;
    _Atomic unsigned left;
};

static void launch_over(void *end)
{
    struct launch_end *e = end;

    if (atomic_fetch_sub(&e->left, 1) != 1)
        return;
    xg_cuda_keeps_end(&e->keeps);
    free(e);
}

/* A stream that was destroyed may have work left. The legacy one is as late as those that
 * synchronise with it; for the others there is only the whole context. */
static void place_widen(struct exec_place *p)
{
    if (p->stream && p->stream != CU_STREAM_LEGACY &&
        !xg_cuda_handle_get(XG_CUDA_KIND_STREAM, p->stream))
        p->stream = p->blocking ? CU_STREAM_LEGACY : NULL;
}

/* In a context that has ended, or is spoilt, nothing is under way any more. */
static void place_follow(struct exec_place *p, struct launch_end *e)
{
    CUresult r;

    place_widen(p);
    if (atomic_load(&p->ctx->ended))
        return;
    struct xg_cuda_stream *s = p->stream ? xg_cuda_stream_in(p->ctx, p->stream, &r) : NULL;
    if (!s || xg_cuda_capturing(s)) { /* in a capture it would become a node */
        xg_cuda_device.ctx_settle(p->ctx);
        return;
    }
    atomic_fetch_add(&e->left, 1);
    if (xg_cuda_device.host(s, &(CUDA_HOST_NODE_PARAMS){launch_over, e}) != CUDA_SUCCESS)
        launch_over(e);
}

/* The graph was the executable one's, or is a child of it, and may be under way. */
static void exec_graph_end(struct xg_cuda_exec *x, struct xg_cuda_graph *g)
{
    struct launch_end *e = x->places ? calloc(1, sizeof(*e)) : NULL;

    if (e && !xg_cuda_keeps_of(&e->keeps, g))
        xg_cuda_keeps_end(&e->keeps);
    xg_cuda_graph_free(g);
    if (!e)
        return;
    atomic_store(&e->left, 1);
    for (unsigned i = 0; e->keeps.count && i < x->places; i++)
        place_follow(&x->place[i], e);
    launch_over(e);
}

static bool graph_keeps(const struct xg_cuda_graph *g)
{
    bool any = g->keeps.count;

    for (unsigned i = 0; i < g->count && !any; i++)
        any = g->node[i]->child && graph_keeps(g->node[i]->child);
    return any;
}

static bool place_noted(const struct xg_cuda_exec *x, unsigned count, const struct exec_place *p)
{
    for (unsigned i = 0; i < count; i++)
        if (x->place[i].ctx == p->ctx && x->place[i].stream == p->stream)
            return true;
    return false;
}

/* Leaves out contexts that have ended, and takes together streams that are no more. */
static void places_prune(struct xg_cuda_exec *x)
{
    unsigned kept = 0;

    for (unsigned i = 0; i < x->places; i++) {
        struct exec_place p = x->place[i];
        place_widen(&p);
        if (!atomic_load(&p.ctx->ended) && !place_noted(x, kept, &p))
            x->place[kept++] = p;
    }
    x->places = kept;
}

/* A launch is about to go to the stream. False: no memory. */
static bool place_note(struct xg_cuda_exec *x, const struct xg_cuda_stream *s)
{
    const struct exec_place p = {s->ctx, s->handle, s->blocking || s->legacy};

    if (place_noted(x, x->places, &p))
        return true;
    if (x->places == x->room) {
        places_prune(x);
        unsigned room = x->places < x->room / 2 ? x->room : 2 * x->room + 4;
        struct exec_place *more = realloc(x->place, room * sizeof(*more));
        if (!more)
            return false;
        x->place = more;
        x->room = room;
    }
    x->place[x->places++] = p;
    return true;
}

/* --- holding ---------------------------------------------------------------------------------- */

static struct xg_cuda_exec *exec_hold(CUgraphExec h)
{
    xg_cuda_graphs_lock();
    struct xg_cuda_exec *x = xg_cuda_handle_get(XG_CUDA_KIND_EXEC, h);
    if (x)
        x->refs++;
    xg_cuda_graphs_unlock();
    return x;
}

static void exec_put(struct xg_cuda_exec *x)
{
    xg_cuda_graphs_lock();
    bool last = --x->refs == 0;
    xg_cuda_graphs_unlock();
    if (!last)
        return;
    exec_graph_end(x, x->graph); /* nobody can see it */
    free(x->place);
    free(x);
}

/* Holds it, and its graph is the caller's until exec_leave. NULL: there is no such thing. */
static struct xg_cuda_exec *exec_enter(CUgraphExec h)
{
    struct xg_cuda_exec *x = exec_hold(h);

    if (x)
        pthread_mutex_lock(&x->lock);
    return x;
}

static void exec_leave(struct xg_cuda_exec *x)
{
    if (!x)
        return;
    pthread_mutex_unlock(&x->lock);
    exec_put(x);
}

/* --- life ------------------------------------------------------------------------------------- */

static CUresult exec_make(struct xg_cuda_exec *x, CUgraph h)
{
    CUresult r = CUDA_ERROR_INVALID_VALUE;

    xg_cuda_graphs_lock();
    struct xg_cuda_graph *g = xg_cuda_graph_get(h);
    if (g)
        x->graph = xg_cuda_graph_copy(g, false, &r);
    xg_cuda_graphs_unlock();
    if (r == CUDA_SUCCESS)
        x->keeps = graph_keeps(x->graph);
    if (r == CUDA_SUCCESS && !(x->handle = xg_cuda_handle_new(XG_CUDA_KIND_EXEC, x))) {
        xg_cuda_graph_free(x->graph);
        r = CUDA_ERROR_OUT_OF_MEMORY;
    }
    return r;
}

static CUresult graph_instantiate(CUgraphExec *out, CUgraph h, unsigned long long flags)
{
    XG_CUDA_CONTEXT(ctx);
    XG_CUDA_UNSAFE();
    if (!out || (flags & ~15ull))
        return CUDA_ERROR_INVALID_VALUE;
    if (flags & CUDA_GRAPH_INSTANTIATE_FLAG_DEVICE_LAUNCH)
        return CUDA_ERROR_NOT_SUPPORTED;
    struct xg_cuda_exec *x = calloc(1, sizeof(*x));
    if (!x)
        return CUDA_ERROR_OUT_OF_MEMORY;
    x->refs = 1;
    x->lock = (pthread_mutex_t)PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
    x->flags = flags;
    CUresult r = exec_make(x, h);
    if (r != CUDA_SUCCESS) {
        free(x);
        return r;
    }
    *out = x->handle;
    return CUDA_SUCCESS;
}

CUresult cuGraphInstantiateWithFlags(CUgraphExec *out, CUgraph h, unsigned long long flags)
{
    XG_CUDA_READY();
    if (flags & CUDA_GRAPH_INSTANTIATE_FLAG_UPLOAD) /* by which stream? */
        return CUDA_ERROR_INVALID_VALUE;
    return graph_instantiate(out, h, flags);
}

CUresult cuGraphInstantiateWithParams(CUgraphExec *out, CUgraph h, CUDA_GRAPH_INSTANTIATE_PARAMS *p)
{
    XG_CUDA_NEED(out && h && p, CUDA_ERROR_INVALID_VALUE);
    XG_CUDA_READY();
    CUresult r = graph_instantiate(out, h, p->flags);
    p->hErrNode_out = NULL;
    p->result_out =
        r == CUDA_SUCCESS ? CUDA_GRAPH_INSTANTIATE_SUCCESS : CUDA_GRAPH_INSTANTIATE_ERROR;
    return r;
}

CUresult cuGraphInstantiate_v2(CUgraphExec *out, CUgraph h, CUgraphNode *error, char *log,
                               size_t size)
{
    XG_CUDA_READY();
    if (error)
        *error = NULL;
    if (log && size)
        *log = 0;
    return graph_instantiate(out, h, 0);
}

CUresult cuGraphInstantiate(CUgraphExec *out, CUgraph h, CUgraphNode *error, char *log, size_t size)
{
    return cuGraphInstantiate_v2(out, h, error, log, size);
}

CUresult cuGraphExecDestroy(CUgraphExec h)
{
    XG_CUDA_ENTER(ctx);
    XG_CUDA_UNSAFE();
    xg_cuda_graphs_lock();
    struct xg_cuda_exec *x = xg_cuda_handle_get(XG_CUDA_KIND_EXEC, h);
    if (x)
        xg_cuda_handle_drop(XG_CUDA_KIND_EXEC, h);
    xg_cuda_graphs_unlock();
    if (!x)
        return CUDA_ERROR_INVALID_VALUE;
    exec_put(x);
    return CUDA_SUCCESS;
}

CUresult cuGraphExecGetFlags(CUgraphExec h, cuuint64_t *flags)
{
    XG_CUDA_ENTER(ctx);
    struct xg_cuda_exec *x = flags ? exec_hold(h) : NULL;
    if (!x)
        return CUDA_ERROR_INVALID_VALUE;
    *flags = x->flags;
    exec_put(x);
    return CUDA_SUCCESS;
}

/* --- launches --------------------------------------------------------------------------------- */

static CUresult graph_run(const struct xg_cuda_graph *g, struct xg_cuda_stream *s)
{
    CUresult r = CUDA_SUCCESS;

    for (unsigned i = 0; i < g->count && r == CUDA_SUCCESS; i++) {
        const struct xg_cuda_node *n = g->node[i];
        if (n->child)
            r = graph_run(n->child, s);
        else if (!n->disabled)
            r = xg_cuda_work_run(&n->work, s);
    }
    return r;
}

static CUresult exec_launch(struct xg_cuda_exec *x, struct xg_cuda_stream *s)
{
    if (XG_UNLIKELY(x->keeps) && !place_note(x, s))
        return CUDA_ERROR_OUT_OF_MEMORY;
    return graph_run(x->graph, s);
}

CUresult cuGraphLaunch(CUgraphExec h, CUstream stream)
{
    struct xg_cuda_stream *s;
    CUresult r = xg_cuda_stream_get(stream, &s);

    if (r != CUDA_SUCCESS)
        return r;
    struct xg_cuda_exec *x = exec_enter(h);
    r = x ? xg_cuda_capture_refuses(s) : CUDA_ERROR_INVALID_VALUE;
    if (r == CUDA_SUCCESS)
        r = exec_launch(x, s);
    exec_leave(x);
    xg_cuda_stream_put(s);
    return r;
}

/* It is where it runs from already. */
CUresult cuGraphUpload(CUgraphExec h, CUstream stream)
{
    struct xg_cuda_stream *s;
    CUresult r = xg_cuda_stream_get(stream, &s);

    if (r != CUDA_SUCCESS)
        return r;
    struct xg_cuda_exec *x = exec_hold(h);
    r = x ? xg_cuda_capture_refuses(s) : CUDA_ERROR_INVALID_VALUE;
    if (x)
        exec_put(x);
    xg_cuda_stream_put(s);
    return r;
}

/* --- becoming another graph of the same shape ------------------------------------------------- */

/* The application knows the nodes by the first graph, and what it disabled stays so. */
static void names_keep(struct xg_cuda_graph *to, const struct xg_cuda_graph *from)
{
    for (unsigned i = 0; i < to->count; i++) {
        to->node[i]->origin = from->node[i]->origin;
        to->node[i]->disabled = from->node[i]->disabled;
        if (to->node[i]->child)
            names_keep(to->node[i]->child, from->node[i]->child);
    }
}

/* An executable graph, or a child of one, becomes what `h` is now. */
static CUresult graph_renew(struct xg_cuda_exec *x, struct xg_cuda_graph **graph, CUgraph h,
                            CUgraphExecUpdateResultInfo *info)
{
    struct xg_cuda_graph *fresh = NULL;

    xg_cuda_graphs_lock();
    struct xg_cuda_graph *g = xg_cuda_graph_get(h);
    CUresult r = g ? xg_cuda_graph_compare(*graph, g, info) : CUDA_ERROR_INVALID_VALUE;
    if (r == CUDA_SUCCESS)
        fresh = xg_cuda_graph_copy(g, false, &r);
    xg_cuda_graphs_unlock();
    if (!fresh)
        return r;
    names_keep(fresh, *graph);
    exec_graph_end(x, *graph);
    if (graph == &x->graph)
        x->places = 0; /* what is under way has been followed */
    *graph = fresh;
    x->keeps = graph_keeps(x->graph);
    return CUDA_SUCCESS;
}

/* --- changes of a node ------------------------------------------------------------------------ */

/* Nodes are known by those of the graph that it was made from, children's too. */
static struct xg_cuda_node *node_find(const struct xg_cuda_graph *g, CUgraphNode origin)
{
    struct xg_cuda_node *found = NULL;

    for (unsigned i = 0; i < g->count && origin && !found; i++) {
        if (g->node[i]->origin == origin)
            return g->node[i];
        if (g->node[i]->child)
            found = node_find(g->node[i]->child, origin);
    }
    return found;
}

static CUresult exec_change(CUgraphExec h, CUgraphNode node, CUgraphNodeType type,
                            const void *params)
{
    struct xg_cuda_work fresh = {0};

    XG_CUDA_ENTER(ctx);
    struct xg_cuda_exec *x = params ? exec_enter(h) : NULL;
    struct xg_cuda_node *n = x ? node_find(x->graph, node) : NULL;
    CUresult r = CUDA_ERROR_INVALID_VALUE;
    if (n && n->work.type == type && !n->child) {
        fresh.cooperative = n->work.cooperative;
        r = xg_cuda_work_set(&fresh, type, params, ctx);
    }
    if (r == CUDA_SUCCESS) {
        struct xg_cuda_work was = n->work;
        n->work = fresh;
        fresh = was;
    }
    exec_leave(x);
    xg_cuda_work_free(&fresh);
    return r;
}

CUresult cuGraphExecKernelNodeSetParams_v2(CUgraphExec h, CUgraphNode node,
                                           const CUDA_KERNEL_NODE_PARAMS *p)
{
    XG_CUDA_NEED(h && node && p, CUDA_ERROR_INVALID_VALUE);
    return exec_change(h, node, CU_GRAPH_NODE_TYPE_KERNEL, p);
}

CUresult cuGraphExecKernelNodeSetParams(CUgraphExec h, CUgraphNode node,
                                        const CUDA_KERNEL_NODE_PARAMS_v1 *p)
{
    XG_CUDA_READY();
    if (!p)
        return CUDA_ERROR_INVALID_VALUE;
    const CUDA_KERNEL_NODE_PARAMS v = xg_cuda_kernel_v2(p);
    return exec_change(h, node, CU_GRAPH_NODE_TYPE_KERNEL, &v);
}

CUresult cuGraphExecMemcpyNodeSetParams(CUgraphExec h, CUgraphNode node, const CUDA_MEMCPY3D *p,
                                        CUcontext of)
{
    XG_CUDA_NEED(h && node && p, CUDA_ERROR_INVALID_VALUE);
    XG_CUDA_READY();
    if ((of && !xg_cuda_ctx_get(of)) || !xg_cuda_copy_changes(p))
        return CUDA_ERROR_INVALID_VALUE;
    return exec_change(h, node, CU_GRAPH_NODE_TYPE_MEMCPY, p);
}

CUresult cuGraphExecMemsetNodeSetParams(CUgraphExec h, CUgraphNode node,
                                        const CUDA_MEMSET_NODE_PARAMS *p, CUcontext of)
{
    XG_CUDA_NEED(h && node && p, CUDA_ERROR_INVALID_VALUE);
    XG_CUDA_READY();
    if (of && !xg_cuda_ctx_get(of))
        return CUDA_ERROR_INVALID_VALUE;
    return exec_change(h, node, CU_GRAPH_NODE_TYPE_MEMSET, p);
}

CUresult cuGraphExecHostNodeSetParams(CUgraphExec h, CUgraphNode node,
                                      const CUDA_HOST_NODE_PARAMS *p)
{
    XG_CUDA_NEED(h && node && p, CUDA_ERROR_INVALID_VALUE);
    return exec_change(h, node, CU_GRAPH_NODE_TYPE_HOST, p);
}

CUresult cuGraphExecEventRecordNodeSetEvent(CUgraphExec h, CUgraphNode node, CUevent event)
{
    return exec_change(h, node, CU_GRAPH_NODE_TYPE_EVENT_RECORD, &event);
}

CUresult cuGraphExecEventWaitNodeSetEvent(CUgraphExec h, CUgraphNode node, CUevent event)
{
    return exec_change(h, node, CU_GRAPH_NODE_TYPE_WAIT_EVENT, &event);
}

/* Of the same shape, node by node as they were made. */
CUresult cuGraphExecChildGraphNodeSetParams(CUgraphExec h, CUgraphNode node, CUgraph child)
{
    CUgraphExecUpdateResultInfo info;

    XG_CUDA_ENTER(ctx);
    struct xg_cuda_exec *x = exec_enter(h);
    struct xg_cuda_node *n = x ? node_find(x->graph, node) : NULL;
    CUresult r = n && n->child ? graph_renew(x, &n->child, child, &info) : CUDA_ERROR_INVALID_VALUE;
    exec_leave(x);
    return r == CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE ? CUDA_ERROR_INVALID_VALUE : r;
}

CUresult cuGraphExecNodeSetParams(CUgraphExec h, CUgraphNode node, CUgraphNodeParams *p)
{
    XG_CUDA_READY();
    if (!p)
        return CUDA_ERROR_INVALID_VALUE;
    if (p->type == CU_GRAPH_NODE_TYPE_GRAPH)
        return cuGraphExecChildGraphNodeSetParams(h, node, p->graph.graph);
    return exec_change(h, node, p->type, xg_cuda_params_of(p));
}

/* --- switching nodes off ---------------------------------------------------------------------- */

static bool can_disable(const struct xg_cuda_node *n)
{
    return n &&
           (n->work.type == CU_GRAPH_NODE_TYPE_KERNEL ||
            n->work.type == CU_GRAPH_NODE_TYPE_MEMCPY || n->work.type == CU_GRAPH_NODE_TYPE_MEMSET);
}

CUresult cuGraphNodeSetEnabled(CUgraphExec h, CUgraphNode node, unsigned enabled)
{
    XG_CUDA_NEED(h && node, CUDA_ERROR_INVALID_VALUE);
    XG_CUDA_ENTER(ctx);
    struct xg_cuda_exec *x = exec_enter(h);
    struct xg_cuda_node *n = x ? node_find(x->graph, node) : NULL;
    bool ok = can_disable(n);
    if (ok)
        n->disabled = !enabled;
    exec_leave(x);
    return ok ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

CUresult cuGraphNodeGetEnabled(CUgraphExec h, CUgraphNode node, unsigned *enabled)
{
    XG_CUDA_NEED(h && node && enabled, CUDA_ERROR_INVALID_VALUE);
    XG_CUDA_ENTER(ctx);
    struct xg_cuda_exec *x = exec_enter(h);
    const struct xg_cuda_node *n = x ? node_find(x->graph, node) : NULL;
    bool ok = can_disable(n);
    if (ok)
        *enabled = !n->disabled;
    exec_leave(x);
    return ok ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

/* --- update from another graph of the same shape ---------------------------------------------- */

CUresult cuGraphExecUpdate_v2(CUgraphExec h, CUgraph graph, CUgraphExecUpdateResultInfo *info)
{
    CUgraphExecUpdateResultInfo unwanted;

    XG_CUDA_ENTER(ctx);
    if (!info)
        info = &unwanted;
    *info = (CUgraphExecUpdateResultInfo){.result = CU_GRAPH_EXEC_UPDATE_ERROR};
    struct xg_cuda_exec *x = exec_enter(h);
    CUresult r = x ? graph_renew(x, &x->graph, graph, info) : CUDA_ERROR_INVALID_VALUE;
    exec_leave(x);
    if (r != CUDA_SUCCESS && r != CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE)
        info->result = CU_GRAPH_EXEC_UPDATE_ERROR;
    return r;
}

CUresult cuGraphExecUpdate(CUgraphExec h, CUgraph graph, CUgraphNode *node,
                           CUgraphExecUpdateResult *result)
{
    CUgraphExecUpdateResultInfo info = {.result = CU_GRAPH_EXEC_UPDATE_ERROR};

    XG_CUDA_READY();
    CUresult r = cuGraphExecUpdate_v2(h, graph, &info);
    if (node)
        *node = info.errorNode;
    if (result)
        *result = info.result;
    return r;
}
