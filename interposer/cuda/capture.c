/* Capture: what goes to a stream becomes nodes of a graph. */
#include "interposer/cuda/graph.h"

#include <stdlib.h>

_Atomic unsigned cu_captures;
static _Atomic uint64_t next_id;
static __thread CUstreamCaptureMode thread_mode;

struct cu_mark {
    struct cu_graph *graph;
    uint64_t id;
    struct cu_node **tail;
    unsigned tails;
};

struct cu_capture *cu_capture_find(uint32_t stream)
{
    struct cu_stream *s = stream ? cu_object_named(CU_KIND_STREAM, stream) : NULL;
    return s ? s->capture : NULL;
}

static CUresult tail_copy(struct cu_node *const *from, unsigned count, struct cu_node ***to)
{
    *to = calloc(count + 1, sizeof(**to));
    if (!*to)
        return CUDA_ERROR_OUT_OF_MEMORY;
    for (unsigned i = 0; i < count; i++)
        (*to)[i] = from[i];
    return CUDA_SUCCESS;
}

/* --- operations ----------------------------------------------------------------------------------------------- */

static CUresult append(struct cu_capture *c, CUgraphNodeType type, struct cu_node **n)
{
    CUresult r = cu_node_new(c->graph, type, c->tail, c->tails, n);

    if (r == CUDA_SUCCESS) {
        struct cu_node **tail;
        r = tail_copy(n, 1, &tail);
        if (r == CUDA_SUCCESS) {
            free(c->tail);
            c->tail = tail;
            c->tails = 1;
        }
    }
    c->broken |= r != CUDA_SUCCESS;
    return r;
}

CUresult cu_capture_kernel(struct cu_capture *c, const CUDA_KERNEL_NODE_PARAMS_v2 *p)
{
    struct cu_node *n;
    CUresult r = append(c, CU_GRAPH_NODE_TYPE_KERNEL, &n);
    if (r == CUDA_SUCCESS)
        r = cu_node_set_kernel(n, p);
    c->broken |= r != CUDA_SUCCESS;
    return r;
}

CUresult cu_capture_copy(struct cu_capture *c, const CUDA_MEMCPY3D *m)
{
    struct cu_node *n;
    CUresult r = append(c, CU_GRAPH_NODE_TYPE_MEMCPY, &n);
    if (r == CUDA_SUCCESS)
        n->copy = *m;
    return r;
}

CUresult cu_capture_linear(struct cu_capture *c, uint64_t dst, uint64_t src, uint64_t size)
{
    const CUDA_MEMCPY3D m = {
        .srcMemoryType = CU_MEMORYTYPE_UNIFIED, .srcDevice = src,
        .dstMemoryType = CU_MEMORYTYPE_UNIFIED, .dstDevice = dst,
        .WidthInBytes = size, .Height = 1, .Depth = 1,
    };
    return cu_capture_copy(c, &m);
}

CUresult cu_capture_fill(struct cu_capture *c, const CUDA_MEMSET_NODE_PARAMS *p)
{
    struct cu_node *n;
    CUresult r = append(c, CU_GRAPH_NODE_TYPE_MEMSET, &n);
    if (r == CUDA_SUCCESS)
        n->fill = *p;
    return r;
}

CUresult cu_capture_host(struct cu_capture *c, CUhostFn fn, void *data)
{
    struct cu_node *n;
    CUresult r = append(c, CU_GRAPH_NODE_TYPE_HOST, &n);
    if (r == CUDA_SUCCESS)
        n->host = (CUDA_HOST_NODE_PARAMS){fn, data};
    return r;
}

/* --- events ----------------------------------------------------------------------------------------------------- */

void cu_mark_free(struct cu_mark *mark)
{
    if (mark)
        free(mark->tail);
    free(mark);
}

CUresult cu_capture_record(struct cu_capture *c, struct cu_mark **mark)
{
    struct cu_mark *m = calloc(1, sizeof(*m));

    if (!m || tail_copy(c->tail, c->tails, &m->tail) != CUDA_SUCCESS) {
        free(m);
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    m->graph = c->graph;
    m->id = c->id;
    m->tails = c->tails;
    cu_mark_free(*mark);
    *mark = m;
    return CUDA_SUCCESS;
}

static CUresult tail_add(struct cu_capture *c, struct cu_node *const *more, unsigned count)
{
    struct cu_node **tail = realloc(c->tail, (c->tails + count + 1) * sizeof(*tail));

    if (!tail)
        return CUDA_ERROR_OUT_OF_MEMORY;
    c->tail = tail;
    for (unsigned i = 0; i < count; i++) {
        unsigned have = 0;
        while (have < c->tails && tail[have] != more[i])
            have++;
        if (have == c->tails)
            tail[c->tails++] = more[i];
    }
    return CUDA_SUCCESS;
}

CUresult cu_capture_join(struct cu_ctx *ctx, uint32_t stream, const struct cu_mark *mark)
{
    struct cu_stream *s = stream ? cu_object_named(CU_KIND_STREAM, stream) : NULL;

    if (!s)
        return CUDA_ERROR_STREAM_CAPTURE_IMPLICIT;
    if (s->capture)
        return s->capture->id == mark->id ? tail_add(s->capture, mark->tail, mark->tails)
                                          : CUDA_ERROR_STREAM_CAPTURE_MERGE;
    struct cu_capture *c = calloc(1, sizeof(*c));
    if (!c)
        return CUDA_ERROR_OUT_OF_MEMORY;
    c->graph = mark->graph;
    c->id = mark->id;
    CUresult r = tail_add(c, mark->tail, mark->tails);
    if (r != CUDA_SUCCESS) {
        free(c);
        return r;
    }
    s->capture = c;
    atomic_fetch_add(&cu_captures, 1);
    return CUDA_SUCCESS;
}

/* --- the API ------------------------------------------------------------------------------------------------------ */

/* The stream; NULL for the legacy one, which cannot be captured. */
static CUresult stream_of(CUstream h, struct cu_ctx **ctx, struct cu_stream **s)
{
    uint32_t name;
    CUresult r = cu_enter_of(CU_KIND_STREAM, h, ctx);

    if (r != CUDA_SUCCESS)
        return r;
    if (!cu_stream_name(*ctx, h, &name))
        return CUDA_ERROR_INVALID_HANDLE;
    *s = name ? cu_object_named(CU_KIND_STREAM, name) : NULL;
    return CUDA_SUCCESS;
}

CUresult cuStreamBeginCapture_v2(CUstream h, CUstreamCaptureMode mode)
{
    struct cu_ctx *ctx;
    struct cu_stream *s;
    CUresult r = stream_of(h, &ctx, &s);

    if (r != CUDA_SUCCESS)
        return r;
    if (!s)
        return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
    if ((unsigned)mode > CU_STREAM_CAPTURE_MODE_RELAXED)
        return CUDA_ERROR_INVALID_VALUE;
    if (s->capture)
        return CUDA_ERROR_ILLEGAL_STATE;
    struct cu_capture *c = calloc(1, sizeof(*c));
    struct cu_graph *g = c ? cu_graph_new(ctx) : NULL;
    if (!g) {
        free(c);
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    *c = (struct cu_capture){.graph = g, .id = atomic_fetch_add(&next_id, 1) + 1, .first = true};
    s->capture = c;
    atomic_fetch_add(&cu_captures, 1);
    return CUDA_SUCCESS;
}

CUresult cuStreamBeginCapture(CUstream h)
{
    return cuStreamBeginCapture_v2(h, CU_STREAM_CAPTURE_MODE_GLOBAL);
}

struct joined {
    uint64_t id;
    const struct cu_capture *first;
    bool unjoined;
};

static bool in_tail(const struct cu_capture *c, const struct cu_node *n, unsigned depth)
{
    for (unsigned i = 0; i < c->tails; i++)
        if (c->tail[i] == n)
            return true;
    for (unsigned i = 0; i < c->graph->count && depth; i++)
        for (unsigned d = 0; d < c->graph->node[i]->deps; d++)
            if (c->graph->node[i]->dep[d] == n)
                return true;
    return false;
}

/* Streams that joined end with the first one; what they did last must be part of it. */
static void leave(void *object, void *arg)
{
    struct cu_stream *s = object;
    struct joined *j = arg;
    struct cu_capture *c = s->capture;

    if (!c || c == j->first || c->id != j->id)
        return;
    for (unsigned i = 0; i < c->tails; i++)
        j->unjoined |= !in_tail(j->first, c->tail[i], 1);
    s->capture = NULL;
    atomic_fetch_sub(&cu_captures, 1);
    free(c->tail);
    free(c);
}

CUresult cuStreamEndCapture(CUstream h, CUgraph *out)
{
    struct cu_ctx *ctx;
    struct cu_stream *s;
    CUresult r = stream_of(h, &ctx, &s);

    if (r != CUDA_SUCCESS)
        return r;
    if (!out)
        return CUDA_ERROR_INVALID_VALUE;
    if (!s || !s->capture)
        return CUDA_ERROR_ILLEGAL_STATE;
    if (!s->capture->first)
        return CUDA_ERROR_STREAM_CAPTURE_UNMATCHED;
    struct cu_capture *c = s->capture;
    struct joined j = {.id = c->id, .first = c};
    cu_object_each(CU_KIND_STREAM, leave, &j);
    s->capture = NULL;
    atomic_fetch_sub(&cu_captures, 1);
    r = c->broken ? CUDA_ERROR_STREAM_CAPTURE_INVALIDATED : j.unjoined ? CUDA_ERROR_STREAM_CAPTURE_UNJOINED : CUDA_SUCCESS;
    *out = r == CUDA_SUCCESS ? cu_handle(&c->graph->o) : NULL;
    if (r != CUDA_SUCCESS)
        cu_graph_free(c->graph);
    free(c->tail);
    free(c);
    return r;
}

CUresult cuStreamIsCapturing(CUstream h, CUstreamCaptureStatus *status)
{
    XG_CUDA_NEED(status, CUDA_ERROR_INVALID_VALUE);
    struct cu_ctx *ctx;
    struct cu_stream *s;
    CUresult r = stream_of(h, &ctx, &s);

    if (r == CUDA_SUCCESS)
        *status = !s || !s->capture   ? CU_STREAM_CAPTURE_STATUS_NONE
                  : s->capture->broken ? CU_STREAM_CAPTURE_STATUS_INVALIDATED
                                       : CU_STREAM_CAPTURE_STATUS_ACTIVE;
    return r;
}

/* Dependencies are not handed out: a program that asks for them means to change them. */
CUresult cuStreamGetCaptureInfo_v3(CUstream h, CUstreamCaptureStatus *status, cuuint64_t *id, CUgraph *graph,
                                   const CUgraphNode **dep, const CUgraphEdgeData **edge, size_t *deps)
{
    XG_CUDA_NEED(status, CUDA_ERROR_INVALID_VALUE);
    CU_READY();
    struct cu_ctx *ctx;
    struct cu_stream *s;
    CUresult r = stream_of(h, &ctx, &s);

    if (r == CUDA_SUCCESS)
        r = cuStreamIsCapturing(h, status);
    if (r != CUDA_SUCCESS || !s || !s->capture)
        return r;
    if (dep || edge || deps)
        return CUDA_ERROR_NOT_SUPPORTED;
    if (id)
        *id = s->capture->id;
    if (graph)
        *graph = cu_handle(&s->capture->graph->o);
    return CUDA_SUCCESS;
}

CUresult cuStreamGetCaptureInfo_v2(CUstream h, CUstreamCaptureStatus *status, cuuint64_t *id, CUgraph *graph,
                                   const CUgraphNode **dep, size_t *deps)
{
    XG_CUDA_NEED(status, CUDA_ERROR_INVALID_VALUE);
    CU_READY();
    return cuStreamGetCaptureInfo_v3(h, status, id, graph, dep, NULL, deps);
}

CUresult cuStreamGetCaptureInfo(CUstream h, CUstreamCaptureStatus *status, cuuint64_t *id)
{
    CU_READY();
    return cuStreamGetCaptureInfo_v3(h, status, id, NULL, NULL, NULL, NULL);
}

CUresult cuThreadExchangeStreamCaptureMode(CUstreamCaptureMode *mode)
{
    CU_READY();
    if (!mode || (unsigned)*mode > CU_STREAM_CAPTURE_MODE_RELAXED)
        return CUDA_ERROR_INVALID_VALUE;
    CUstreamCaptureMode before = thread_mode;
    thread_mode = *mode;
    *mode = before;
    return CUDA_SUCCESS;
}
