/* A graph as a picture: the language of graphviz. */
#include "cuda/api/graph.h"

#include <stdio.h>

#include "cuda/need.h"

struct dot {
    FILE *out;
    unsigned flags;
    unsigned graphs; /* that have got their number */
};

static bool dot_wants(const struct dot *d, unsigned flag)
{
    return d->flags & (flag | CU_GRAPH_DEBUG_DOT_FLAGS_VERBOSE);
}

static const char *type_name(CUgraphNodeType type)
{
    switch (type) {
    case CU_GRAPH_NODE_TYPE_KERNEL: return "KERNEL";
    case CU_GRAPH_NODE_TYPE_MEMCPY: return "MEMCPY";
    case CU_GRAPH_NODE_TYPE_MEMSET: return "MEMSET";
    case CU_GRAPH_NODE_TYPE_HOST: return "HOST";
    case CU_GRAPH_NODE_TYPE_GRAPH: return "GRAPH";
    case CU_GRAPH_NODE_TYPE_EMPTY: return "EMPTY";
    case CU_GRAPH_NODE_TYPE_WAIT_EVENT: return "EVENT_WAIT";
    case CU_GRAPH_NODE_TYPE_EVENT_RECORD: return "EVENT_RECORD";
    default: return "?";
    }
}

/* --- labels ----------------------------------------------------------------------------------- */

/* "\n" is graphviz's. */
static void kernel_print(const struct dot *d, const struct xg_cuda_work *w)
{
    const CUDA_KERNEL_NODE_PARAMS *k = &w->kernel;
    const char *name = NULL;

    if (k->func)
        cuFuncGetName(&name, k->func);
    else
        cuKernelGetName(&name, k->kern);
    fprintf(d->out, "\\n%s", name ? name : "?");
    if (dot_wants(d, CU_GRAPH_DEBUG_DOT_FLAGS_KERNEL_NODE_PARAMS))
        fprintf(d->out, "\\n<<<(%u,%u,%u),(%u,%u,%u),%u>>>", k->gridDimX, k->gridDimY, k->gridDimZ,
                k->blockDimX, k->blockDimY, k->blockDimZ, k->sharedMemBytes);
    if (dot_wants(d, CU_GRAPH_DEBUG_DOT_FLAGS_KERNEL_NODE_ATTRIBUTES))
        fprintf(d->out, "\\ncooperative: %d", w->cooperative);
}

static void copy_end_print(const struct dot *d, const char *what, CUmemorytype type,
                           const void *host, CUdeviceptr device, CUarray array)
{
    if (type == CU_MEMORYTYPE_HOST)
        fprintf(d->out, "\\n%s: host %p", what, host);
    else if (type == CU_MEMORYTYPE_ARRAY)
        fprintf(d->out, "\\n%s: array %p", what, (void *)array);
    else
        fprintf(d->out, "\\n%s: device %#llx", what, (unsigned long long)device);
}

static void copy_print(const struct dot *d, const struct xg_cuda_work *w)
{
    const CUDA_MEMCPY3D *c = &w->copy;

    copy_end_print(d, "from", w->from, c->srcHost, c->srcDevice, c->srcArray);
    copy_end_print(d, "to", w->to, c->dstHost, c->dstDevice, c->dstArray);
    fprintf(d->out, "\\n%zu x %zu x %zu bytes", c->WidthInBytes, c->Height, c->Depth);
}

static void params_print(const struct dot *d, const struct xg_cuda_work *w)
{
    switch (w->type) {
    case CU_GRAPH_NODE_TYPE_KERNEL: kernel_print(d, w); break;
    case CU_GRAPH_NODE_TYPE_MEMCPY:
        if (dot_wants(d, CU_GRAPH_DEBUG_DOT_FLAGS_MEMCPY_NODE_PARAMS))
            copy_print(d, w);
        break;
    case CU_GRAPH_NODE_TYPE_MEMSET:
        if (dot_wants(d, CU_GRAPH_DEBUG_DOT_FLAGS_MEMSET_NODE_PARAMS))
            fprintf(d->out, "\\n%#llx: %u in elements of %u\\n%zu x %zu, pitch %zu",
                    (unsigned long long)w->fill.dst, w->fill.value, w->fill.elementSize,
                    w->fill.width, w->fill.height, w->fill.pitch);
        break;
    case CU_GRAPH_NODE_TYPE_HOST:
        if (dot_wants(d, CU_GRAPH_DEBUG_DOT_FLAGS_HOST_NODE_PARAMS))
            fprintf(d->out, "\\n%p(%p)", (void *)w->host.fn, w->host.userData);
        break;
    case CU_GRAPH_NODE_TYPE_WAIT_EVENT:
    case CU_GRAPH_NODE_TYPE_EVENT_RECORD:
        if (dot_wants(d, CU_GRAPH_DEBUG_DOT_FLAGS_EVENT_NODE_PARAMS))
            fprintf(d->out, "\\n%p", (void *)w->event);
        break;
    default: break;
    }
}

/* --- graphs ----------------------------------------------------------------------------------- */

static void graph_print(struct dot *d, const struct xg_cuda_graph *g)
{
    unsigned number = d->graphs++;

    fprintf(d->out, "subgraph cluster_%u {\nlabel=\"graph_%u\"\n", number, number);
    for (unsigned i = 0; i < g->count; i++) {
        struct xg_cuda_node *n = g->node[i];
        n->index = i;
        fprintf(d->out, "\"graph_%u_node_%u\" [shape=\"%s\" label=\"%u\\n%s", number, i,
                n->work.type == CU_GRAPH_NODE_TYPE_KERNEL ? "octagon" : "rectangle", i,
                type_name(n->work.type));
        if (dot_wants(d, CU_GRAPH_DEBUG_DOT_FLAGS_HANDLES))
            fprintf(d->out, "\\n%p", (void *)n->origin);
        if (n->child)
            fprintf(d->out, "\\ngraph_%u", d->graphs);
        params_print(d, &n->work);
        fputs("\"];\n", d->out);
        if (n->child)
            graph_print(d, n->child);
    }
    for (unsigned i = 0; i < g->count; i++)
        for (unsigned k = 0; k < g->node[i]->deps; k++)
            fprintf(d->out, "\"graph_%u_node_%u\" -> \"graph_%u_node_%u\";\n", number,
                    g->node[i]->dep[k]->index, number, i);
    fputs("}\n", d->out);
}

/* The graph is a copy, so that names of kernels can be asked without the lock. */
static CUresult dot_write(const struct xg_cuda_graph *g, const char *path, unsigned flags)
{
    struct dot d = {.out = fopen(path, "we"), .flags = flags};

    if (!d.out)
        return CUDA_ERROR_OPERATING_SYSTEM;
    fputs("digraph dot {\n", d.out);
    graph_print(&d, g);
    fputs("}\n", d.out);
    bool failed = ferror(d.out);
    return fclose(d.out) || failed ? CUDA_ERROR_OPERATING_SYSTEM : CUDA_SUCCESS;
}

CUresult cuGraphDebugDotPrint(CUgraph h, const char *path, unsigned flags)
{
    CUresult r = CUDA_ERROR_INVALID_VALUE;

    XG_CUDA_ENTER(ctx);
    if (!path)
        return r;
    xg_cuda_graphs_lock();
    struct xg_cuda_graph *g = xg_cuda_graph_get(h),
                         *copy = g ? xg_cuda_graph_copy(g, true, &r) : NULL;
    xg_cuda_graphs_unlock();
    if (!copy)
        return r;
    r = dot_write(copy, path, flags);
    xg_cuda_graphs_lock();
    xg_cuda_graph_free(copy);
    xg_cuda_graphs_unlock();
    return r;
}
