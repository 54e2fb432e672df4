/* A graph's shape, for updates of what was made of it. */
#include <stdlib.h>

#include "softcuda/driver/graph.h"

static CUmemorytype memory_type(uint64_t address)
{
    struct sc_mem m;

    if (!sc_mem_find(address, &m))
        return CU_MEMORYTYPE_HOST;
    return m.kind == SC_MEM_HOST || m.kind == SC_MEM_REGISTERED ? CU_MEMORYTYPE_HOST
                                                                : CU_MEMORYTYPE_DEVICE;
}

static bool node_describe(const struct sc_node *n, struct xg_cuda_shape_node *s)
{
    s->handle = n->handle;
    s->type = n->type;
    s->sink_since = n->sink_since;
    switch ((enum sc_op_type)n->op.type) {
    case SC_OP_LAUNCH:
        s->ctx = n->op.launch.fn->module->ctx;
        s->cooperative = n->op.launch.cooperative;
        break;
    case SC_OP_COPY:
        s->from = memory_type(n->op.copy.box.src);
        s->to = memory_type(n->op.copy.box.dst);
        break;
    case SC_OP_SET:
        if (n->op.set.height > 1) {
            s->width = n->op.set.width;
            s->height = n->op.set.height;
            s->element = n->op.set.element;
        }
        break;
    default: break;
    }
    s->dep = malloc((n->dep_count + 1) * sizeof(*s->dep));
    if (!s->dep)
        return false;
    for (; s->deps < n->dep_count; s->deps++)
        s->dep[s->deps] = n->deps[s->deps]->mark;
    if (n->child)
        s->child = sc_graph_shape(n->child);
    return !n->child || s->child;
}

struct xg_cuda_shape *sc_graph_shape(const struct sc_graph *g)
{
    struct sc_node **order = sc_graph_sort(g);
    struct xg_cuda_shape *s = order ? xg_cuda_shape_new(g->count) : NULL;
    bool ok = s != NULL;

    for (unsigned i = 0; i < g->count && ok; i++)
        order[i]->mark = i; /* for those that depend on it */
    for (unsigned i = 0; i < g->count && ok; i++)
        ok = node_describe(order[i], &s->node[i]);
    ok = ok && xg_cuda_shape_finish(s);
    free(order);
    if (!ok) {
        xg_cuda_shape_free(s);
        s = NULL;
    }
    return s;
}
