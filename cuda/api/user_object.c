/* User objects: what a program wants to be told of when no graph needs it any more. */
#include "cuda/api/graph.h"

#include <limits.h>
#include <stdlib.h>

struct xg_cuda_user_object {
    CUuserObject handle;
    unsigned long own, kept; /* references: the program's, and those of graphs and launches */
    CUhostFn destroy;
    void *data;
    struct xg_cuda_user_object *next;
};

/* --- life ------------------------------------------------------------------------------------- */

/* Those whose references are gone; the lock of graphs. */
static struct xg_cuda_user_object *ended;

static void *objects_destroy(void *arg)
{
    struct xg_cuda_user_object *o = arg;

    while (o) {
        struct xg_cuda_user_object *next = o->next;
        o->destroy(o->data);
        free(o);
        o = next;
    }
    return NULL;
}

/* Lock held. The program may hold a lock of its own that its destructor takes too, so that has a
 * thread of its own, as drivers have one. Where there can be none, the next one takes it along. */
static void object_end(struct xg_cuda_user_object *o)
{
    pthread_t thread;

    o->next = ended;
    ended = o;
    if (pthread_create(&thread, NULL, objects_destroy, ended) == 0) {
        pthread_detach(thread);
        ended = NULL;
    }
}

/* Lock held. */
static void object_unref(struct xg_cuda_user_object *o, unsigned long *references,
                         unsigned long count)
{
    *references -= count;
    if (o->own || o->kept)
        return;
    xg_cuda_handle_drop(XG_CUDA_KIND_USER_OBJECT, o->handle);
    object_end(o);
}

static struct xg_cuda_user_object *object_get(CUuserObject h)
{
    return xg_cuda_handle_get(XG_CUDA_KIND_USER_OBJECT, h);
}

/* --- what graphs and launches keep ------------------------------------------------------------ */

/* Lock held. */
static struct xg_cuda_keep *keep_find(const struct xg_cuda_keeps *k,
                                      const struct xg_cuda_user_object *o)
{
    for (unsigned i = 0; i < k->count; i++)
        if (k->keep[i].object == o)
            return &k->keep[i];
    return NULL;
}

/* Lock held. False: no memory. */
static bool keep_add(struct xg_cuda_keeps *k, struct xg_cuda_user_object *o, unsigned long count)
{
    struct xg_cuda_keep *at = keep_find(k, o);

    if (!at) {
        struct xg_cuda_keep *more = realloc(k->keep, (k->count + 1) * sizeof(*more));
        if (!more)
            return false;
        k->keep = more;
        at = &k->keep[k->count++];
        *at = (struct xg_cuda_keep){.object = o};
    }
    at->count += count;
    o->kept += count;
    return true;
}

bool xg_cuda_keeps_copy(struct xg_cuda_keeps *to, const struct xg_cuda_keeps *from)
{
    bool ok = true;

    if (!from->count)
        return true;
    xg_cuda_graphs_lock();
    for (unsigned i = 0; i < from->count && ok; i++)
        ok = keep_add(to, from->keep[i].object, from->keep[i].count);
    xg_cuda_graphs_unlock();
    return ok;
}

bool xg_cuda_keeps_of(struct xg_cuda_keeps *to, const struct xg_cuda_graph *g)
{
    bool ok = xg_cuda_keeps_copy(to, &g->keeps);

    for (unsigned i = 0; i < g->count && ok; i++)
        if (g->node[i]->child)
            ok = xg_cuda_keeps_of(to, g->node[i]->child);
    return ok;
}

void xg_cuda_keeps_end(struct xg_cuda_keeps *k)
{
    if (!k->keep)
        return;
    xg_cuda_graphs_lock();
    for (unsigned i = 0; i < k->count; i++)
        object_unref(k->keep[i].object, &k->keep[i].object->kept, k->keep[i].count);
    xg_cuda_graphs_unlock();
    free(k->keep);
    *k = (struct xg_cuda_keeps){0};
}

/* --- the API ---------------------------------------------------------------------------------- */

static bool count_valid(unsigned count)
{
    return count && count <= INT_MAX;
}

CUresult cuUserObjectCreate(CUuserObject *out, void *data, CUhostFn destroy, unsigned count,
                            unsigned flags)
{
    XG_CUDA_ENTER(ctx);
    if (!out || !destroy || !count_valid(count) || flags != CU_USER_OBJECT_NO_DESTRUCTOR_SYNC)
        return CUDA_ERROR_INVALID_VALUE;
    struct xg_cuda_user_object *o = malloc(sizeof(*o));
    if (!o)
        return CUDA_ERROR_OUT_OF_MEMORY;
    *o = (struct xg_cuda_user_object){.own = count, .destroy = destroy, .data = data};
    o->handle = xg_cuda_handle_new(XG_CUDA_KIND_USER_OBJECT, o);
    if (!o->handle) {
        free(o);
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    *out = o->handle;
    return CUDA_SUCCESS;
}

CUresult cuUserObjectRetain(CUuserObject h, unsigned count)
{
    XG_CUDA_ENTER(ctx);
    if (!count_valid(count))
        return CUDA_ERROR_INVALID_VALUE;
    xg_cuda_graphs_lock();
    struct xg_cuda_user_object *o = object_get(h);
    if (o)
        o->own += count;
    xg_cuda_graphs_unlock();
    return o ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

CUresult cuUserObjectRelease(CUuserObject h, unsigned count)
{
    XG_CUDA_ENTER(ctx);
    if (!count_valid(count))
        return CUDA_ERROR_INVALID_VALUE;
    xg_cuda_graphs_lock();
    struct xg_cuda_user_object *o = object_get(h);
    bool ok = o && o->own >= count;
    if (ok)
        object_unref(o, &o->own, count);
    xg_cuda_graphs_unlock();
    return ok ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

/* Lock held. */
static CUresult graph_keep(struct xg_cuda_graph *g, struct xg_cuda_user_object *o, unsigned count,
                           bool move)
{
    if (!g || !o || (move && o->own < count))
        return CUDA_ERROR_INVALID_VALUE;
    if (!keep_add(&g->keeps, o, count))
        return CUDA_ERROR_OUT_OF_MEMORY;
    if (move)
        o->own -= count;
    return CUDA_SUCCESS;
}

CUresult cuGraphRetainUserObject(CUgraph graph, CUuserObject h, unsigned count, unsigned flags)
{
    XG_CUDA_ENTER(ctx);
    if (!count_valid(count) || (flags & ~(unsigned)CU_GRAPH_USER_OBJECT_MOVE))
        return CUDA_ERROR_INVALID_VALUE;
    xg_cuda_graphs_lock();
    CUresult r = graph_keep(xg_cuda_graph_get(graph), object_get(h), count,
                            flags & CU_GRAPH_USER_OBJECT_MOVE);
    xg_cuda_graphs_unlock();
    return r;
}

/* Lock held. */
static CUresult graph_let_go(struct xg_cuda_graph *g, struct xg_cuda_user_object *o, unsigned count)
{
    struct xg_cuda_keep *k = g && o ? keep_find(&g->keeps, o) : NULL;

    if (!k || k->count < count)
        return CUDA_ERROR_INVALID_VALUE;
    k->count -= count;
    if (!k->count)
        *k = g->keeps.keep[--g->keeps.count];
    object_unref(o, &o->kept, count);
    return CUDA_SUCCESS;
}

CUresult cuGraphReleaseUserObject(CUgraph graph, CUuserObject h, unsigned count)
{
    XG_CUDA_ENTER(ctx);
    if (!count_valid(count))
        return CUDA_ERROR_INVALID_VALUE;
    xg_cuda_graphs_lock();
    CUresult r = graph_let_go(xg_cuda_graph_get(graph), object_get(h), count);
    xg_cuda_graphs_unlock();
    return r;
}
