/* Capture: what goes to a stream becomes nodes of a graph. */
#include "interposer/cuda/graph.h"

#include <stdlib.h>

/* One capture: of the stream that it began on, and of those that joined. */
struct cu_capturing {
    struct cu_capturing *next;
    struct cu_graph *graph;
    CUstreamCaptureMode mode;
    pthread_t thread;
    uint64_t id;
    _Atomic bool broken;
};

_Atomic unsigned cu_captures;
static pthread_mutex_t lock = XG_LOCK_INITIALIZER;
static struct cu_capturing *capturings; /* under the lock */
static _Atomic uint64_t next_id;
static __thread CUstreamCaptureMode thread_mode; /* global at first */

struct cu_mark {
    uint64_t id;
    struct cu_node **tail;
    unsigned tails;
};

struct cu_capture *cu_capture_find(uint32_t stream)
{
    struct cu_stream *s = stream ? cu_object_named(CU_KIND_STREAM, stream) : NULL;
    return s ? s->capture : NULL;
}

void cu_captures_reset(void)
{
    xg_lock_init(&lock);
    capturings = NULL;
    atomic_store(&cu_captures, 0);
}

/* Under the lock. */
static struct cu_capturing *capturing_of(uint64_t id)
{
    struct cu_capturing *of = capturings;

    while (of && of->id != id)
        of = of->next;
    return of;
}

static struct cu_capturing *capturing_new(struct cu_ctx *ctx, CUstreamCaptureMode mode)
{
    struct cu_capturing *of = calloc(1, sizeof(*of));

    if (!of || !(of->graph = cu_graph_new(ctx))) {
        free(of);
        return NULL;
    }
    of->mode = mode;
    of->thread = pthread_self();
    of->id = atomic_fetch_add(&next_id, 1) + 1;
    pthread_mutex_lock(&lock);
    of->next = capturings;
    capturings = of;
    pthread_mutex_unlock(&lock);
    return of;
}

static void capturing_free(struct cu_capturing *of)
{
    struct cu_capturing **link = &capturings;

    pthread_mutex_lock(&lock);
    while (*link != of)
        link = &(*link)->next;
    *link = of->next;
    pthread_mutex_unlock(&lock);
    free(of);
}

/* --- what a capture refuses ------------------------------------------------------------------- */

static bool forbids(const struct cu_capturing *of)
{
    if (thread_mode == CU_STREAM_CAPTURE_MODE_RELAXED || of->mode == CU_STREAM_CAPTURE_MODE_RELAXED)
        return false;
    return pthread_equal(of->thread, pthread_self()) ||
           (thread_mode == CU_STREAM_CAPTURE_MODE_GLOBAL &&
            of->mode == CU_STREAM_CAPTURE_MODE_GLOBAL);
}

bool cu_capture_forbids(void)
{
    bool any = false;

    pthread_mutex_lock(&lock);
    for (struct cu_capturing *of = capturings; of; of = of->next)
        if (forbids(of))
            of->broken = any = true;
    pthread_mutex_unlock(&lock);
    return any;
}

CUresult cu_capture_refuses(struct cu_capture *c)
{
    c->of->broken = true;
    return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
}

CUresult cu_mark_refuses(const struct cu_mark *mark)
{
    pthread_mutex_lock(&lock);
    bool active = capturing_of(mark->id) != NULL;
    pthread_mutex_unlock(&lock);
    /* If the capture is over, it stands for nothing any more. */
    return active ? CUDA_ERROR_CAPTURED_EVENT : CUDA_ERROR_INVALID_VALUE;
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

/* --- operations ------------------------------------------------------------------------------- */

static CUresult append(struct cu_capture *c, CUgraphNodeType type, struct cu_node **n)
{
    CUresult r = c->of->broken ? CUDA_ERROR_STREAM_CAPTURE_INVALIDATED
                               : cu_node_new(c->of->graph, type, c->tail, c->tails, n);

    if (r == CUDA_SUCCESS) {
        struct cu_node **tail;
        r = tail_copy(n, 1, &tail);
        if (r == CUDA_SUCCESS) {
            free(c->tail);
            c->tail = tail;
            c->tails = 1;
        }
    }
    if (r != CUDA_SUCCESS)
        c->of->broken = true;
    return r;
}

CUresult cu_capture_kernel(struct cu_capture *c, const CUDA_KERNEL_NODE_PARAMS_v2 *p,
                           bool cooperative)
{
    struct cu_node *n;
    CUresult r = append(c, CU_GRAPH_NODE_TYPE_KERNEL, &n);
    if (r == CUDA_SUCCESS)
        r = cu_node_set_kernel(n, p);
    if (r == CUDA_SUCCESS)
        n->cooperative = cooperative;
    if (r != CUDA_SUCCESS)
        c->of->broken = true;
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
        .srcMemoryType = CU_MEMORYTYPE_UNIFIED,
        .srcDevice = src,
        .dstMemoryType = CU_MEMORYTYPE_UNIFIED,
        .dstDevice = dst,
        .WidthInBytes = size,
        .Height = 1,
        .Depth = 1,
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

/* --- events ----------------------------------------------------------------------------------- */

void cu_mark_free(struct cu_mark *mark)
{
    if (mark)
        free(mark->tail);
    free(mark);
}

CUresult cu_capture_record(struct cu_capture *c, struct cu_mark **mark)
{
    struct cu_mark *m = calloc(1, sizeof(*m));

    if (c->of->broken) {
        free(m);
        return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
    }
    if (!m || tail_copy(c->tail, c->tails, &m->tail) != CUDA_SUCCESS) {
        free(m);
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    m->id = c->of->id;
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

    pthread_mutex_lock(&lock);
    struct cu_capturing *of = capturing_of(mark->id);
    pthread_mutex_unlock(&lock);
    if (!of)
        return CUDA_ERROR_CAPTURED_EVENT; /* of a capture that is over */
    if (of->broken)
        return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
    if (!s) {
        of->broken = true;
        return CUDA_ERROR_STREAM_CAPTURE_IMPLICIT;
    }
    if (s->capture && s->capture->of != of) {
        of->broken = s->capture->of->broken = true;
        return CUDA_ERROR_STREAM_CAPTURE_MERGE;
    }
    if (s->capture)
        return tail_add(s->capture, mark->tail, mark->tails);
    struct cu_capture *c = calloc(1, sizeof(*c));
    if (!c)
        return CUDA_ERROR_OUT_OF_MEMORY;
    c->of = of;
    CUresult r = tail_add(c, mark->tail, mark->tails);
    if (r != CUDA_SUCCESS) {
        free(c);
        return r;
    }
    s->capture = c;
    atomic_fetch_add(&cu_captures, 1);
    return CUDA_SUCCESS;
}

/* --- the API ---------------------------------------------------------------------------------- */

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
    struct cu_capturing *of = c ? capturing_new(ctx, mode) : NULL;
    if (!of) {
        free(c);
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    *c = (struct cu_capture){.of = of, .first = true};
    s->capture = c;
    atomic_fetch_add(&cu_captures, 1);
    return CUDA_SUCCESS;
}

CUresult cuStreamBeginCapture(CUstream h)
{
    return cuStreamBeginCapture_v2(h, CU_STREAM_CAPTURE_MODE_GLOBAL);
}

struct joined {
    const struct cu_capture *first;
    bool unjoined;
};

static bool in_tail(const struct cu_capture *c, const struct cu_node *n, unsigned depth)
{
    const struct cu_graph *g = c->of->graph;

    for (unsigned i = 0; i < c->tails; i++)
        if (c->tail[i] == n)
            return true;
    for (unsigned i = 0; i < g->count && depth; i++)
        for (unsigned d = 0; d < g->node[i]->deps; d++)
            if (g->node[i]->dep[d] == n)
                return true;
    return false;
}

static void leave(struct cu_stream *s)
{
    struct cu_capture *c = s->capture;

    s->capture = NULL;
    atomic_fetch_sub(&cu_captures, 1);
    free(c->tail);
    free(c);
}

/* Streams that joined end with the first one; what they did last must be part of it. */
static void leave_with(void *object, void *arg)
{
    struct cu_stream *s = object;
    struct joined *j = arg;
    struct cu_capture *c = s->capture;

    if (!c || c == j->first || c->of != j->first->of)
        return;
    for (unsigned i = 0; i < c->tails; i++)
        j->unjoined |= !in_tail(j->first, c->tail[i], 1);
    leave(s);
}

/* Of the stream that it began on. The graph is the caller's. */
static CUresult capture_end(struct cu_stream *s, struct cu_graph **g)
{
    struct cu_capturing *of = s->capture->of;
    struct joined j = {.first = s->capture};

    cu_object_each(CU_KIND_STREAM, leave_with, &j);
    leave(s);
    CUresult r = of->broken   ? CUDA_ERROR_STREAM_CAPTURE_INVALIDATED
                 : j.unjoined ? CUDA_ERROR_STREAM_CAPTURE_UNJOINED
                              : CUDA_SUCCESS;
    *g = of->graph;
    capturing_free(of);
    return r;
}

void cu_capture_abandon(struct cu_stream *s)
{
    struct cu_graph *g;

    if (XG_LIKELY(!s->capture))
        return;
    if (s->capture->first) {
        capture_end(s, &g);
        cu_graph_free(g);
    } else {
        s->capture->of->broken = true;
        leave(s);
    }
}

CUresult cuStreamEndCapture(CUstream h, CUgraph *out)
{
    struct cu_ctx *ctx;
    struct cu_stream *s;
    struct cu_graph *g;
    CUresult r = stream_of(h, &ctx, &s);

    if (r != CUDA_SUCCESS)
        return r;
    if (!s || !s->capture)
        return CUDA_ERROR_ILLEGAL_STATE;
    if (!out)
        return CUDA_ERROR_INVALID_VALUE;
    if (!s->capture->first)
        return CUDA_ERROR_STREAM_CAPTURE_UNMATCHED;
    if (s->capture->of->mode != CU_STREAM_CAPTURE_MODE_RELAXED &&
        !pthread_equal(s->capture->of->thread, pthread_self()))
        return CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD;
    r = capture_end(s, &g);
    *out = r == CUDA_SUCCESS ? cu_handle(&g->o) : NULL;
    if (r != CUDA_SUCCESS)
        cu_graph_free(g);
    return r;
}

CUresult cuStreamIsCapturing(CUstream h, CUstreamCaptureStatus *status)
{
    XG_CUDA_NEED(status, CUDA_ERROR_INVALID_VALUE);
    struct cu_ctx *ctx;
    struct cu_stream *s;
    CUresult r = stream_of(h, &ctx, &s);

    if (r == CUDA_SUCCESS)
        *status = !s || !s->capture        ? CU_STREAM_CAPTURE_STATUS_NONE
                  : s->capture->of->broken ? CU_STREAM_CAPTURE_STATUS_INVALIDATED
                                           : CU_STREAM_CAPTURE_STATUS_ACTIVE;
    return r;
}

/* Dependencies are not handed out: a program that asks for them means to change them. */
CUresult cuStreamGetCaptureInfo_v3(CUstream h, CUstreamCaptureStatus *status, cuuint64_t *id,
                                   CUgraph *graph, const CUgraphNode **dep,
                                   const CUgraphEdgeData **edge, size_t *deps)
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
        *id = s->capture->of->id;
    if (graph)
        *graph = cu_handle(&s->capture->of->graph->o);
    return CUDA_SUCCESS;
}

CUresult cuStreamGetCaptureInfo_v2(CUstream h, CUstreamCaptureStatus *status, cuuint64_t *id,
                                   CUgraph *graph, const CUgraphNode **dep, size_t *deps)
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
