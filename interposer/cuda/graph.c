/* Graphs and their nodes. */
#include "interposer/cuda/graph.h"

#include <stdlib.h>

/* --- graphs ----------------------------------------------------------------------------------- */

static struct cu_graph *graph_make(struct cu_ctx *ctx, enum cu_kind kind)
{
    struct cu_graph *g = cu_object_new(kind, sizeof(*g));
    if (g)
        g->ctx = ctx;
    return g;
}

struct cu_graph *cu_graph_new(struct cu_ctx *ctx)
{
    return graph_make(ctx, CU_KIND_GRAPH);
}

static void node_free(struct cu_node *n)
{
    if (n->child)
        cu_graph_free(n->child);
    free(n->dep);
    free(n->block);
    free(n->args);
    cu_object_hide(&n->o);
    cu_object_free(&n->o);
}

void cu_graph_free(struct cu_graph *g)
{
    for (unsigned i = 0; i < g->count; i++)
        node_free(g->node[i]);
    free(g->node);
    xg_cuda_shape_free(g->shape);
    cu_object_hide(&g->o);
    cu_object_free(&g->o);
}

static CUresult deps_set(struct cu_node *n, struct cu_node *const *dep, unsigned deps)
{
    n->dep = calloc(deps + 1, sizeof(*n->dep));
    if (!n->dep)
        return CUDA_ERROR_OUT_OF_MEMORY;
    for (unsigned i = 0; i < deps; i++)
        n->dep[n->deps++] = dep[i];
    return CUDA_SUCCESS;
}

CUresult cu_node_new(struct cu_graph *g, CUgraphNodeType type, struct cu_node *const *dep,
                     unsigned deps, struct cu_node **out)
{
    struct cu_node *n;

    if (g->count == g->size) {
        unsigned more = g->size ? g->size * 2 : 16;
        struct cu_node **p = realloc(g->node, more * sizeof(*p));
        if (!p)
            return CUDA_ERROR_OUT_OF_MEMORY;
        g->node = p;
        g->size = more;
    }
    n = cu_object_new(CU_KIND_NODE, sizeof(*n));
    if (!n)
        return CUDA_ERROR_OUT_OF_MEMORY;
    n->graph = g;
    n->type = type;
    CUresult r = deps_set(n, dep, deps);
    if (r != CUDA_SUCCESS) {
        node_free(n);
        return r;
    }
    n->sink_since = ++g->sinks_made;
    g->node[g->count++] = n;
    *out = n;
    return CUDA_SUCCESS;
}

/* --- kernel parameters: copied, as the application's may be gone when the graph runs ---------- */

static CUresult block_make(const struct cu_func *f, const CUDA_KERNEL_NODE_PARAMS_v2 *p,
                           uint8_t **block, size_t *size)
{
    *size = f->param_bytes;
    *block = calloc(1, *size + 1);
    if (!*block)
        return CUDA_ERROR_OUT_OF_MEMORY;
    for (unsigned i = 0; i < f->param_count && p->kernelParams; i++) {
        if (!p->kernelParams[i])
            return CUDA_ERROR_INVALID_VALUE;
        memcpy(*block + f->param[i].offset, p->kernelParams[i], f->param[i].size);
    }
    if (p->kernelParams || !f->param_count)
        return CUDA_SUCCESS;
    const void *from = NULL;
    size_t have = 0;
    for (void **e = p->extra; e && *e != CU_LAUNCH_PARAM_END; e += 2) {
        if (e[0] == CU_LAUNCH_PARAM_BUFFER_POINTER)
            from = e[1];
        else if (e[0] == CU_LAUNCH_PARAM_BUFFER_SIZE && e[1])
            have = *(size_t *)e[1];
    }
    if (!from || have < *size)
        return CUDA_ERROR_INVALID_VALUE;
    memcpy(*block, from, *size);
    return CUDA_SUCCESS;
}

CUresult cu_node_set_kernel(struct cu_node *n, const CUDA_KERNEL_NODE_PARAMS_v2 *p)
{
    CUfunction h = p->func ? p->func : (CUfunction)p->kern;
    struct cu_ctx *ctx = p->ctx          ? cu_object_get(CU_KIND_CTX, p->ctx)
                         : n->graph->ctx ? n->graph->ctx
                                         : cu_ctx_current();
    struct cu_func *f;
    uint8_t *block = NULL;
    size_t size;

    if (!ctx)
        return CUDA_ERROR_INVALID_CONTEXT;
    CUresult r = cu_func_get(ctx, h, &f);
    if (r == CUDA_SUCCESS)
        r = cu_launch_check(f, p);
    if (r == CUDA_SUCCESS)
        r = block_make(f, p, &block, &size);
    void **args = r == CUDA_SUCCESS ? calloc(f->param_count + 1, sizeof(*args)) : NULL;
    if (!args) {
        free(block);
        return r != CUDA_SUCCESS ? r : CUDA_ERROR_OUT_OF_MEMORY;
    }
    for (unsigned i = 0; i < f->param_count; i++)
        args[i] = block + f->param[i].offset;
    free(n->block);
    free(n->args);
    n->block = block;
    n->args = args;
    n->block_size = size;
    n->kernel = *p;
    n->kernel.kernelParams = args;
    n->kernel.extra = NULL;
    return CUDA_SUCCESS;
}

/* --- copies of graphs ------------------------------------------------------------------------- */

static struct cu_node *copy_of(const struct cu_graph *to, const struct cu_node *n)
{
    for (unsigned i = 0; i < to->count; i++)
        if (to->node[i]->origin == n->o.name)
            return to->node[i];
    return NULL;
}

static CUresult node_copy(struct cu_graph *to, const struct cu_node *from)
{
    struct cu_node *n;
    CUresult r = cu_node_new(to, from->type, NULL, 0, &n);

    if (r != CUDA_SUCCESS)
        return r;
    n->origin = from->o.name;
    n->sink_since = from->sink_since;
    n->cooperative = from->cooperative;
    n->disabled = from->disabled;
    n->copy = from->copy;
    n->fill = from->fill;
    n->host = from->host;
    n->event = from->event;
    if (from->type == CU_GRAPH_NODE_TYPE_KERNEL)
        r = cu_node_set_kernel(n, &from->kernel);
    if (r == CUDA_SUCCESS && from->child) {
        n->child = cu_graph_copy(from->child, CU_KIND_GRAPH, &r);
        if (n->child)
            n->child->owned = true;
    }
    return r;
}

/* A node goes once all it depends on have gone; `index` is where its copy is, counted from 1. */
static CUresult nodes_copy(struct cu_graph *to, struct cu_graph *g)
{
    CUresult r = CUDA_SUCCESS;

    for (unsigned i = 0; i < g->count; i++)
        g->node[i]->index = 0;
    while (r == CUDA_SUCCESS && to->count < g->count) {
        unsigned before = to->count;
        for (unsigned i = 0; i < g->count && r == CUDA_SUCCESS; i++) {
            struct cu_node *n = g->node[i];
            unsigned met = 0;
            while (met < n->deps && n->dep[met]->index)
                met++;
            if (met < n->deps || n->index)
                continue;
            r = node_copy(to, n);
            n->index = to->count;
        }
        if (r == CUDA_SUCCESS && to->count == before)
            r = CUDA_ERROR_INVALID_VALUE; /* a circle */
    }
    return r;
}

struct cu_graph *cu_graph_copy(struct cu_graph *g, enum cu_kind kind, CUresult *r)
{
    struct cu_graph *to = graph_make(g->ctx, kind);

    *r = to ? nodes_copy(to, g) : CUDA_ERROR_OUT_OF_MEMORY;
    for (unsigned i = 0; i < g->count && *r == CUDA_SUCCESS; i++) {
        struct cu_node *n = to->node[g->node[i]->index - 1];
        free(n->dep);
        n->dep = NULL;
        n->deps = 0;
        *r = deps_set(n, g->node[i]->dep, g->node[i]->deps);
        for (unsigned d = 0; d < n->deps && *r == CUDA_SUCCESS; d++)
            n->dep[d] = to->node[n->dep[d]->index - 1];
    }
    if (to)
        to->sinks_made = g->sinks_made;
    if (to && *r != CUDA_SUCCESS) {
        cu_graph_free(to);
        to = NULL;
    }
    return to;
}

/* --- running ---------------------------------------------------------------------------------- */

static CUresult fill_run(const CUDA_MEMSET_NODE_PARAMS *p, CUstream s)
{
    size_t pitch = p->height > 1 ? p->pitch : p->width * p->elementSize;

    switch (p->elementSize) {
    case 1:
        return cuMemsetD2D8Async(p->dst, pitch, (unsigned char)p->value, p->width, p->height, s);
    case 2:
        return cuMemsetD2D16Async(p->dst, pitch, (unsigned short)p->value, p->width, p->height, s);
    default: return cuMemsetD2D32Async(p->dst, pitch, p->value, p->width, p->height, s);
    }
}

static CUresult kernel_run(const struct cu_node *n, CUstream s)
{
    const CUDA_KERNEL_NODE_PARAMS_v2 *k = &n->kernel;
    CUfunction f = k->func ? k->func : (CUfunction)k->kern;

    return n->cooperative
               ? cuLaunchCooperativeKernel(f, k->gridDimX, k->gridDimY, k->gridDimZ, k->blockDimX,
                                           k->blockDimY, k->blockDimZ, k->sharedMemBytes, s,
                                           n->args)
               : cuLaunchKernel(f, k->gridDimX, k->gridDimY, k->gridDimZ, k->blockDimX,
                                k->blockDimY, k->blockDimZ, k->sharedMemBytes, s, n->args, NULL);
}

static CUresult graph_run(const struct cu_graph *g, CUstream s)
{
    CUresult r = CUDA_SUCCESS;

    for (unsigned i = 0; i < g->count && r == CUDA_SUCCESS; i++) {
        const struct cu_node *n = g->node[i];
        if (n->disabled)
            continue;
        switch (n->type) {
        case CU_GRAPH_NODE_TYPE_KERNEL: r = kernel_run(n, s); break;
        case CU_GRAPH_NODE_TYPE_MEMCPY: r = cuMemcpy3DAsync_v2(&n->copy, s); break;
        case CU_GRAPH_NODE_TYPE_MEMSET: r = fill_run(&n->fill, s); break;
        case CU_GRAPH_NODE_TYPE_HOST: r = cuLaunchHostFunc(s, n->host.fn, n->host.userData); break;
        case CU_GRAPH_NODE_TYPE_GRAPH: r = graph_run(n->child, s); break;
        case CU_GRAPH_NODE_TYPE_EVENT_RECORD: r = cuEventRecord(n->event, s); break;
        case CU_GRAPH_NODE_TYPE_WAIT_EVENT: r = cuStreamWaitEvent(s, n->event, 0); break;
        default: break;
        }
    }
    return r;
}

/* --- the API: graphs, which need no context until they are made executable -------------------- */

#define GRAPH(g, handle)                                                                           \
    CU_ENTER_BY(ctx, cu_enter_none(&ctx));                                                         \
    struct cu_graph *g = cu_object_get(CU_KIND_GRAPH, handle);                                     \
    if (!g)                                                                                        \
    return CUDA_ERROR_INVALID_VALUE

#define EXEC(g, handle)                                                                            \
    CU_ENTER_BY(ctx, cu_enter_none(&ctx));                                                         \
    struct cu_graph *g = cu_object_get(CU_KIND_EXEC, handle);                                      \
    if (!g)                                                                                        \
    return CUDA_ERROR_INVALID_VALUE

#define NODE(n, handle, kind)                                                                      \
    CU_ENTER_BY(ctx, cu_enter_none(&ctx));                                                         \
    struct cu_node *n = cu_object_get(CU_KIND_NODE, handle);                                       \
    if (!n || n->type != (kind))                                                                   \
    return CUDA_ERROR_INVALID_VALUE

CUresult cuGraphCreate(CUgraph *out, unsigned int flags)
{
    CU_ENTER_BY(ctx, cu_enter_none(&ctx));
    if (!out || flags)
        return CUDA_ERROR_INVALID_VALUE;
    struct cu_graph *g = cu_graph_new(ctx);
    if (!g)
        return CUDA_ERROR_OUT_OF_MEMORY;
    *out = cu_handle(&g->o);
    return CUDA_SUCCESS;
}

CUresult cuGraphDestroy(CUgraph h)
{
    GRAPH(g, h);
    if (g->owned)
        return CUDA_ERROR_INVALID_VALUE;
    cu_graph_free(g);
    return CUDA_SUCCESS;
}

CUresult cuGraphClone(CUgraph *out, CUgraph h)
{
    CUresult r;
    GRAPH(g, h);
    if (!out)
        return CUDA_ERROR_INVALID_VALUE;
    struct cu_graph *copy = cu_graph_copy(g, CU_KIND_GRAPH, &r);
    if (copy)
        *out = cu_handle(&copy->o);
    return r;
}

CUresult cuGraphNodeFindInClone(CUgraphNode *out, CUgraphNode node, CUgraph clone)
{
    GRAPH(g, clone);
    struct cu_node *n = cu_object_get(CU_KIND_NODE, node);
    struct cu_node *found = n ? copy_of(g, n) : NULL;
    if (!out || !found)
        return CUDA_ERROR_INVALID_VALUE;
    *out = cu_handle(&found->o);
    return CUDA_SUCCESS;
}

static CUresult instantiate(CUgraphExec *out, CUgraph h, unsigned long long flags)
{
    CUresult r;
    CU_ENTER(ctx);
    CU_UNSAFE();
    struct cu_graph *g = cu_object_get(CU_KIND_GRAPH, h);
    if (!g || !out)
        return CUDA_ERROR_INVALID_VALUE;
    if (flags & ~(unsigned long long)(CUDA_GRAPH_INSTANTIATE_FLAG_AUTO_FREE_ON_LAUNCH |
                                      CUDA_GRAPH_INSTANTIATE_FLAG_UPLOAD |
                                      CUDA_GRAPH_INSTANTIATE_FLAG_USE_NODE_PRIORITY))
        return CUDA_ERROR_NOT_SUPPORTED;
    struct cu_graph *exec = cu_graph_copy(g, CU_KIND_EXEC, &r);
    if (!exec)
        return r;
    exec->shape = cu_graph_shape(exec);
    if (!exec->shape) {
        cu_graph_free(exec);
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    exec->flags = flags;
    *out = cu_handle(&exec->o);
    return CUDA_SUCCESS;
}

CUresult cuGraphInstantiateWithFlags(CUgraphExec *out, CUgraph h, unsigned long long flags)
{
    CU_READY();
    if (flags & CUDA_GRAPH_INSTANTIATE_FLAG_UPLOAD) /* by which stream? */
        return CUDA_ERROR_INVALID_VALUE;
    return instantiate(out, h, flags);
}

CUresult cuGraphInstantiateWithParams(CUgraphExec *out, CUgraph h, CUDA_GRAPH_INSTANTIATE_PARAMS *p)
{
    XG_CUDA_NEED(out && h && p, CUDA_ERROR_INVALID_VALUE);
    CU_READY();
    CUresult r = instantiate(out, h, p->flags);
    p->hErrNode_out = NULL;
    p->result_out =
        r == CUDA_SUCCESS ? CUDA_GRAPH_INSTANTIATE_SUCCESS : CUDA_GRAPH_INSTANTIATE_ERROR;
    return r;
}

CUresult cuGraphInstantiate_v2(CUgraphExec *out, CUgraph h, CUgraphNode *error, char *log,
                               size_t size)
{
    CU_READY();
    if (error)
        *error = NULL;
    if (log && size)
        *log = 0;
    return instantiate(out, h, 0);
}

CUresult cuGraphInstantiate(CUgraphExec *out, CUgraph h, CUgraphNode *error, char *log, size_t size)
{
    return cuGraphInstantiate_v2(out, h, error, log, size);
}

CUresult cuGraphExecDestroy(CUgraphExec h)
{
    EXEC(g, h);
    CU_UNSAFE();
    cu_graph_free(g);
    return CUDA_SUCCESS;
}

CUresult cuGraphExecGetFlags(CUgraphExec h, cuuint64_t *flags)
{
    EXEC(g, h);
    if (!flags)
        return CUDA_ERROR_INVALID_VALUE;
    *flags = g->flags;
    return CUDA_SUCCESS;
}

CUresult cuGraphLaunch(CUgraphExec h, CUstream s)
{
    CU_STREAM(s);
    struct cu_graph *g = cu_object_get(CU_KIND_EXEC, h);
    CUresult r = g ? cu_capture_check(stream) : CUDA_ERROR_INVALID_VALUE;
    return r == CUDA_SUCCESS ? graph_run(g, s) : r;
}

/* It is where it runs from already. */
CUresult cuGraphUpload(CUgraphExec h, CUstream s)
{
    CU_STREAM(s);
    return cu_object_get(CU_KIND_EXEC, h) ? cu_capture_check(stream) : CUDA_ERROR_INVALID_VALUE;
}

/* --- the API: nodes --------------------------------------------------------------------------- */

static CUresult add(CUgraphNode *out, CUgraph h, const CUgraphNode *dep, size_t deps,
                    CUgraphNodeType type, struct cu_node **n)
{
    struct cu_node **list;

    GRAPH(g, h);
    if (!out || (deps && !dep) || deps > 1u << 20)
        return CUDA_ERROR_INVALID_VALUE;
    list = calloc(deps + 1, sizeof(*list));
    if (!list)
        return CUDA_ERROR_OUT_OF_MEMORY;
    CUresult r = CUDA_SUCCESS;
    for (size_t i = 0; i < deps && r == CUDA_SUCCESS; i++) {
        list[i] = cu_object_get(CU_KIND_NODE, dep[i]);
        if (!list[i] || list[i]->graph != g)
            r = CUDA_ERROR_INVALID_VALUE;
    }
    if (r == CUDA_SUCCESS)
        r = cu_node_new(g, type, list, (unsigned)deps, n);
    free(list);
    if (r == CUDA_SUCCESS)
        *out = cu_handle(&(*n)->o);
    return r;
}

static void take_back(struct cu_node *n)
{
    struct cu_graph *g = n->graph;
    for (unsigned i = 0; i < g->count; i++) {
        if (g->node[i] != n)
            continue;
        memmove(&g->node[i], &g->node[i + 1], (--g->count - i) * sizeof(*g->node));
        break;
    }
    for (unsigned i = 0; i < g->count; i++)
        for (unsigned d = 0; d < g->node[i]->deps; d++)
            if (g->node[i]->dep[d] == n)
                g->node[i]->dep[d--] = g->node[i]->dep[--g->node[i]->deps];
    node_free(n);
}

static bool others_depend(const struct cu_node *n, const struct cu_node *on)
{
    for (unsigned i = 0; i < n->graph->count; i++)
        for (unsigned d = 0; d < n->graph->node[i]->deps; d++)
            if (n->graph->node[i] != n && n->graph->node[i]->dep[d] == on)
                return true;
    return false;
}

CUresult cuGraphDestroyNode(CUgraphNode h)
{
    CU_ENTER_BY(ctx, cu_enter_none(&ctx));
    struct cu_node *n = cu_object_get(CU_KIND_NODE, h);
    if (!n)
        return CUDA_ERROR_INVALID_VALUE;
    for (unsigned d = 0; d < n->deps; d++)
        if (!others_depend(n, n->dep[d]))
            n->dep[d]->sink_since = ++n->graph->sinks_made;
    take_back(n);
    return CUDA_SUCCESS;
}

CUresult cuGraphAddEmptyNode(CUgraphNode *out, CUgraph g, const CUgraphNode *dep, size_t deps)
{
    XG_CUDA_NEED(out && g, CUDA_ERROR_INVALID_VALUE);
    struct cu_node *n;
    return add(out, g, dep, deps, CU_GRAPH_NODE_TYPE_EMPTY, &n);
}

CUresult cuGraphAddKernelNode_v2(CUgraphNode *out, CUgraph g, const CUgraphNode *dep, size_t deps,
                                 const CUDA_KERNEL_NODE_PARAMS *p)
{
    CU_READY();
    struct cu_node *n;

    if (!p)
        return CUDA_ERROR_INVALID_VALUE;
    CUresult r = add(out, g, dep, deps, CU_GRAPH_NODE_TYPE_KERNEL, &n);
    if (r != CUDA_SUCCESS)
        return r;
    r = cu_node_set_kernel(n, p);
    if (r != CUDA_SUCCESS)
        take_back(n);
    return r;
}

static CUDA_KERNEL_NODE_PARAMS_v2 kernel_v2(const CUDA_KERNEL_NODE_PARAMS_v1 *p)
{
    CUDA_KERNEL_NODE_PARAMS_v2 v;
    memset(&v, 0, sizeof(v));
    memcpy(&v, p, sizeof(*p));
    return v;
}

CUresult cuGraphAddKernelNode(CUgraphNode *out, CUgraph g, const CUgraphNode *dep, size_t deps,
                              const CUDA_KERNEL_NODE_PARAMS_v1 *p)
{
    CU_READY();
    if (!p)
        return CUDA_ERROR_INVALID_VALUE;
    CUDA_KERNEL_NODE_PARAMS_v2 v = kernel_v2(p);
    return cuGraphAddKernelNode_v2(out, g, dep, deps, &v);
}

CUresult cuGraphKernelNodeGetParams_v2(CUgraphNode h, CUDA_KERNEL_NODE_PARAMS *p)
{
    XG_CUDA_NEED(h && p, CUDA_ERROR_INVALID_VALUE);
    NODE(n, h, CU_GRAPH_NODE_TYPE_KERNEL);
    *p = n->kernel;
    return CUDA_SUCCESS;
}

CUresult cuGraphKernelNodeGetParams(CUgraphNode h, CUDA_KERNEL_NODE_PARAMS_v1 *p)
{
    CU_READY();
    CUDA_KERNEL_NODE_PARAMS_v2 v;
    CUresult r = p ? cuGraphKernelNodeGetParams_v2(h, &v) : CUDA_ERROR_INVALID_VALUE;
    if (r == CUDA_SUCCESS)
        memcpy(p, &v, sizeof(*p));
    return r;
}

CUresult cuGraphKernelNodeSetParams_v2(CUgraphNode h, const CUDA_KERNEL_NODE_PARAMS *p)
{
    XG_CUDA_NEED(h && p, CUDA_ERROR_INVALID_VALUE);
    NODE(n, h, CU_GRAPH_NODE_TYPE_KERNEL);
    return cu_node_set_kernel(n, p);
}

CUresult cuGraphKernelNodeSetParams(CUgraphNode h, const CUDA_KERNEL_NODE_PARAMS_v1 *p)
{
    CU_READY();
    if (!p)
        return CUDA_ERROR_INVALID_VALUE;
    CUDA_KERNEL_NODE_PARAMS_v2 v = kernel_v2(p);
    return cuGraphKernelNodeSetParams_v2(h, &v);
}

static CUresult host_check(const CUDA_HOST_NODE_PARAMS *p)
{
    return p->fn ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

/* The other kinds are plain structures. `early`: asking, too, looks at its arguments first. */
#define PLAIN(Name, TYPE, field, Params, check, early)                                             \
    CUresult cuGraph##Name##NodeGetParams(CUgraphNode h, Params *p)                                \
    {                                                                                              \
        XG_CUDA_NEED(!early || (h && p), CUDA_ERROR_INVALID_VALUE);                                \
        NODE(n, h, TYPE);                                                                          \
        if (!p)                                                                                    \
            return CUDA_ERROR_INVALID_VALUE;                                                       \
        *p = n->field;                                                                             \
        return CUDA_SUCCESS;                                                                       \
    }                                                                                              \
    CUresult cuGraph##Name##NodeSetParams(CUgraphNode h, const Params *p)                          \
    {                                                                                              \
        XG_CUDA_NEED(h &&p, CUDA_ERROR_INVALID_VALUE);                                             \
        NODE(n, h, TYPE);                                                                          \
        CUresult r = check(p);                                                                     \
        if (r == CUDA_SUCCESS)                                                                     \
            n->field = *p;                                                                         \
        return r;                                                                                  \
    }
PLAIN(Memcpy, CU_GRAPH_NODE_TYPE_MEMCPY, copy, CUDA_MEMCPY3D, cu_copy_check, false)
PLAIN(Memset, CU_GRAPH_NODE_TYPE_MEMSET, fill, CUDA_MEMSET_NODE_PARAMS, cu_fill_check, false)
PLAIN(Host, CU_GRAPH_NODE_TYPE_HOST, host, CUDA_HOST_NODE_PARAMS, host_check, true)

CUresult cuGraphAddMemcpyNode(CUgraphNode *out, CUgraph g, const CUgraphNode *dep, size_t deps,
                              const CUDA_MEMCPY3D *p, CUcontext of)
{
    CU_READY();
    struct cu_node *n;

    if (!p || (of && !cu_object_get(CU_KIND_CTX, of)))
        return CUDA_ERROR_INVALID_VALUE;
    CUresult r = cu_copy_check(p);
    if (r == CUDA_SUCCESS)
        r = add(out, g, dep, deps, CU_GRAPH_NODE_TYPE_MEMCPY, &n);
    if (r == CUDA_SUCCESS)
        n->copy = *p;
    return r;
}

CUresult cuGraphAddMemsetNode(CUgraphNode *out, CUgraph g, const CUgraphNode *dep, size_t deps,
                              const CUDA_MEMSET_NODE_PARAMS *p, CUcontext of)
{
    CU_READY();
    struct cu_node *n;

    if (!p || (of && !cu_object_get(CU_KIND_CTX, of)))
        return CUDA_ERROR_INVALID_VALUE;
    CUresult r = cu_fill_check(p);
    if (r == CUDA_SUCCESS)
        r = add(out, g, dep, deps, CU_GRAPH_NODE_TYPE_MEMSET, &n);
    if (r == CUDA_SUCCESS)
        n->fill = *p;
    return r;
}

CUresult cuGraphAddHostNode(CUgraphNode *out, CUgraph g, const CUgraphNode *dep, size_t deps,
                            const CUDA_HOST_NODE_PARAMS *p)
{
    XG_CUDA_NEED(out && g && p, CUDA_ERROR_INVALID_VALUE);
    CU_READY();
    struct cu_node *n;

    if (!p->fn)
        return CUDA_ERROR_INVALID_VALUE;
    CUresult r = add(out, g, dep, deps, CU_GRAPH_NODE_TYPE_HOST, &n);
    if (r == CUDA_SUCCESS)
        n->host = *p;
    return r;
}

CUresult cuGraphAddChildGraphNode(CUgraphNode *out, CUgraph g, const CUgraphNode *dep, size_t deps,
                                  CUgraph child)
{
    CU_READY();
    struct cu_graph *c = cu_object_get(CU_KIND_GRAPH, child);
    struct cu_node *n;

    if (!c)
        return CUDA_ERROR_INVALID_VALUE;
    CUresult r = add(out, g, dep, deps, CU_GRAPH_NODE_TYPE_GRAPH, &n);
    if (r != CUDA_SUCCESS)
        return r;
    n->child = cu_graph_copy(c, CU_KIND_GRAPH, &r);
    if (n->child)
        n->child->owned = true;
    else
        take_back(n);
    return r;
}

CUresult cuGraphChildGraphNodeGetGraph(CUgraphNode h, CUgraph *out)
{
    NODE(n, h, CU_GRAPH_NODE_TYPE_GRAPH);
    if (!out)
        return CUDA_ERROR_INVALID_VALUE;
    *out = cu_handle(&n->child->o);
    return CUDA_SUCCESS;
}

static CUresult add_event(CUgraphNode *out, CUgraph g, const CUgraphNode *dep, size_t deps,
                          CUevent e, CUgraphNodeType type)
{
    struct cu_node *n;

    if (!cu_object_get(CU_KIND_EVENT, e))
        return CUDA_ERROR_INVALID_HANDLE;
    CUresult r = add(out, g, dep, deps, type, &n);
    if (r == CUDA_SUCCESS)
        n->event = e;
    return r;
}

CUresult cuGraphAddEventRecordNode(CUgraphNode *out, CUgraph g, const CUgraphNode *dep, size_t deps,
                                   CUevent e)
{
    XG_CUDA_NEED(out && g && e, CUDA_ERROR_INVALID_VALUE);
    CU_READY();
    return add_event(out, g, dep, deps, e, CU_GRAPH_NODE_TYPE_EVENT_RECORD);
}

CUresult cuGraphAddEventWaitNode(CUgraphNode *out, CUgraph g, const CUgraphNode *dep, size_t deps,
                                 CUevent e)
{
    XG_CUDA_NEED(out && g && e, CUDA_ERROR_INVALID_VALUE);
    CU_READY();
    return add_event(out, g, dep, deps, e, CU_GRAPH_NODE_TYPE_WAIT_EVENT);
}

/* --- the API: changing an executable graph ---------------------------------------------------- */

static struct cu_node *exec_node(CUgraphExec h, CUgraphNode node, CUgraphNodeType type)
{
    struct cu_graph *g = cu_object_get(CU_KIND_EXEC, h);
    struct cu_node *n = cu_object_get(CU_KIND_NODE, node);
    struct cu_node *mine = g && n ? copy_of(g, n) : NULL;
    return mine && mine->type == type ? mine : NULL;
}

CUresult cuGraphExecKernelNodeSetParams_v2(CUgraphExec h, CUgraphNode node,
                                           const CUDA_KERNEL_NODE_PARAMS *p)
{
    XG_CUDA_NEED(h && node && p, CUDA_ERROR_INVALID_VALUE);
    CU_ENTER_BY(ctx, cu_enter_none(&ctx));
    struct cu_node *n = exec_node(h, node, CU_GRAPH_NODE_TYPE_KERNEL);
    return n ? cu_node_set_kernel(n, p) : CUDA_ERROR_INVALID_VALUE;
}

CUresult cuGraphExecKernelNodeSetParams(CUgraphExec h, CUgraphNode node,
                                        const CUDA_KERNEL_NODE_PARAMS_v1 *p)
{
    CU_READY();
    if (!p)
        return CUDA_ERROR_INVALID_VALUE;
    CUDA_KERNEL_NODE_PARAMS_v2 v = kernel_v2(p);
    return cuGraphExecKernelNodeSetParams_v2(h, node, &v);
}

/* Of an executable graph a driver looks at members that it does not look at elsewhere. */
static bool copy_changes(const CUDA_MEMCPY3D *p)
{
    return !p->reserved0 && !p->reserved1 && !p->srcLOD && !p->dstLOD &&
           (p->Depth < 2 || p->srcHeight);
}

CUresult cuGraphExecMemcpyNodeSetParams(CUgraphExec h, CUgraphNode node, const CUDA_MEMCPY3D *p,
                                        CUcontext of)
{
    XG_CUDA_NEED(h && node && p, CUDA_ERROR_INVALID_VALUE);
    CU_ENTER_BY(ctx, cu_enter_none(&ctx));
    struct cu_node *n = exec_node(h, node, CU_GRAPH_NODE_TYPE_MEMCPY);
    if (!n || (of && !cu_object_get(CU_KIND_CTX, of)) || !copy_changes(p))
        return CUDA_ERROR_INVALID_VALUE;
    CUresult r = cu_copy_check(p);
    if (r == CUDA_SUCCESS)
        n->copy = *p;
    return r;
}

CUresult cuGraphExecMemsetNodeSetParams(CUgraphExec h, CUgraphNode node,
                                        const CUDA_MEMSET_NODE_PARAMS *p, CUcontext of)
{
    XG_CUDA_NEED(h && node && p, CUDA_ERROR_INVALID_VALUE);
    CU_ENTER_BY(ctx, cu_enter_none(&ctx));
    struct cu_node *n = exec_node(h, node, CU_GRAPH_NODE_TYPE_MEMSET);
    if (!n || (of && !cu_object_get(CU_KIND_CTX, of)))
        return CUDA_ERROR_INVALID_VALUE;
    CUresult r = cu_fill_check(p);
    if (r == CUDA_SUCCESS)
        n->fill = *p;
    return r;
}

CUresult cuGraphExecHostNodeSetParams(CUgraphExec h, CUgraphNode node,
                                      const CUDA_HOST_NODE_PARAMS *p)
{
    XG_CUDA_NEED(h && node && p, CUDA_ERROR_INVALID_VALUE);
    CU_ENTER_BY(ctx, cu_enter_none(&ctx));
    struct cu_node *n = exec_node(h, node, CU_GRAPH_NODE_TYPE_HOST);
    if (!n || !p->fn)
        return CUDA_ERROR_INVALID_VALUE;
    n->host = *p;
    return CUDA_SUCCESS;
}

/* A node that can be switched off. */
static struct cu_node *exec_switch(CUgraphExec h, CUgraphNode node)
{
    struct cu_graph *g = cu_object_get(CU_KIND_EXEC, h);
    struct cu_node *n = cu_object_get(CU_KIND_NODE, node), *mine = g && n ? copy_of(g, n) : NULL;

    return mine && (mine->type == CU_GRAPH_NODE_TYPE_KERNEL ||
                    mine->type == CU_GRAPH_NODE_TYPE_MEMCPY ||
                    mine->type == CU_GRAPH_NODE_TYPE_MEMSET)
               ? mine
               : NULL;
}

CUresult cuGraphNodeSetEnabled(CUgraphExec h, CUgraphNode node, unsigned int enabled)
{
    XG_CUDA_NEED(h && node, CUDA_ERROR_INVALID_VALUE);
    CU_ENTER_BY(ctx, cu_enter_none(&ctx));
    struct cu_node *mine = exec_switch(h, node);
    if (!mine)
        return CUDA_ERROR_INVALID_VALUE;
    mine->disabled = !enabled;
    return CUDA_SUCCESS;
}

CUresult cuGraphNodeGetEnabled(CUgraphExec h, CUgraphNode node, unsigned int *enabled)
{
    XG_CUDA_NEED(h && node && enabled, CUDA_ERROR_INVALID_VALUE);
    CU_ENTER_BY(ctx, cu_enter_none(&ctx));
    struct cu_node *mine = exec_switch(h, node);
    if (!mine)
        return CUDA_ERROR_INVALID_VALUE;
    *enabled = !mine->disabled;
    return CUDA_SUCCESS;
}

/* --- the API: looking at a graph -------------------------------------------------------------- */

CUresult cuGraphNodeGetType(CUgraphNode h, CUgraphNodeType *type)
{
    CU_ENTER_BY(ctx, cu_enter_none(&ctx));
    struct cu_node *n = cu_object_get(CU_KIND_NODE, h);
    if (!n || !type)
        return CUDA_ERROR_INVALID_VALUE;
    *type = n->type;
    return CUDA_SUCCESS;
}

/* CUDA's way with lists: without `out` the count; with it as many as fit, the rest NULL. */
static CUresult list(CUgraphNode *out, size_t *count, struct cu_node *const *node, unsigned nodes,
                     bool roots)
{
    size_t found = 0;

    if (!count || (out && !*count))
        return CUDA_ERROR_INVALID_VALUE;
    for (unsigned i = 0; i < nodes; i++) {
        if (roots && node[i]->deps)
            continue;
        if (out && found < *count)
            out[found] = cu_handle(&node[i]->o);
        found++;
    }
    for (size_t i = found; out && i < *count; i++)
        out[i] = NULL;
    if (!out || found < *count)
        *count = found;
    return CUDA_SUCCESS;
}

CUresult cuGraphGetNodes(CUgraph h, CUgraphNode *out, size_t *count)
{
    GRAPH(g, h);
    return list(out, count, g->node, g->count, false);
}

CUresult cuGraphGetRootNodes(CUgraph h, CUgraphNode *out, size_t *count)
{
    GRAPH(g, h);
    return list(out, count, g->node, g->count, true);
}

CUresult cuGraphNodeGetDependencies(CUgraphNode h, CUgraphNode *out, size_t *count)
{
    CU_ENTER_BY(ctx, cu_enter_none(&ctx));
    struct cu_node *n = cu_object_get(CU_KIND_NODE, h);
    return n ? list(out, count, n->dep, n->deps, false) : CUDA_ERROR_INVALID_VALUE;
}

CUresult cuGraphNodeGetDependencies_v2(CUgraphNode h, CUgraphNode *out, CUgraphEdgeData *edge,
                                       size_t *count)
{
    CUresult r = cuGraphNodeGetDependencies(h, out, count);
    if (r == CUDA_SUCCESS && edge && out)
        memset(edge, 0, *count * sizeof(*edge));
    return r;
}

CUresult cuGraphAddDependencies(CUgraph h, const CUgraphNode *from, const CUgraphNode *to,
                                size_t count)
{
    XG_CUDA_NEED(h, CUDA_ERROR_INVALID_VALUE);
    GRAPH(g, h);
    if (count && (!from || !to))
        return CUDA_ERROR_INVALID_VALUE;
    for (size_t i = 0; i < count; i++) {
        struct cu_node *a = cu_object_get(CU_KIND_NODE, from[i]),
                       *b = cu_object_get(CU_KIND_NODE, to[i]);
        if (!a || !b || a == b || a->graph != g || b->graph != g)
            return CUDA_ERROR_INVALID_VALUE;
        struct cu_node **more = realloc(b->dep, (b->deps + 2) * sizeof(*more));
        if (!more)
            return CUDA_ERROR_OUT_OF_MEMORY;
        b->dep = more;
        b->dep[b->deps++] = a;
    }
    return CUDA_SUCCESS;
}

CUresult cuGraphAddDependencies_v2(CUgraph h, const CUgraphNode *from, const CUgraphNode *to,
                                   const CUgraphEdgeData *edge, size_t count)
{
    static const CUgraphEdgeData plain;

    CU_READY();
    for (size_t i = 0; edge && i < count; i++)
        if (memcmp(&edge[i], &plain, sizeof(plain)) != 0)
            return CUDA_ERROR_NOT_SUPPORTED;
    return cuGraphAddDependencies(h, from, to, count);
}
