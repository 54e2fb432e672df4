/*
 * Captures. One begins in a stream and spreads to each stream that waits for an event of it. Every
 * such stream has its front: the nodes that its next one will depend on.
 */
#include "cuda/api/capture.h"

#include <stdlib.h>

#include "cuda/api/copy.h"
#include "cuda/api/graph.h"
#include "cuda/api/stream.h"

struct capturing {
    struct capturing *next;
    struct xg_cuda_graph *graph;
    struct xg_cuda_stream *origin;
    struct xg_cuda_capture *member;
    CUstreamCaptureMode mode;
    pthread_t thread;
    cuuint64_t id;
    bool broken;
    bool borrowed; /* the graph was there before, and stays */
};

/* A stream's share of it. */
struct xg_cuda_capture {
    struct capturing *of;
    struct xg_cuda_stream *stream;
    struct xg_cuda_capture *next;
    struct xg_cuda_node **front;
    unsigned count;
    CUgraphNode *shown; /* what cuStreamGetCaptureInfo gave the program to look at */
};

_Atomic unsigned xg_cuda_captures;
static struct capturing *capturings; /* xg_cuda_graph_lock, as all of this */
static cuuint64_t last_id;
static __thread CUstreamCaptureMode thread_mode; /* global at first */

void xg_cuda_captures_reset(void)
{
    capturings = NULL;
    atomic_store(&xg_cuda_captures, 0);
}

static struct capturing *capturing_find(cuuint64_t id)
{
    struct capturing *of = capturings;

    while (of && of->id != id)
        of = of->next;
    return of;
}

/* --- what a capture refuses ------------------------------------------------------------------- */

/* Captures in streams that synchronise with this legacy one; `spoil` them. */
static bool legacy_blocked(const struct xg_cuda_stream *legacy, bool spoil)
{
    bool any = false;

    for (struct capturing *of = capturings; of; of = of->next)
        for (struct xg_cuda_capture *c = of->member; c; c = c->next)
            if (c->stream->blocking && c->stream->ctx == legacy->ctx) {
                of->broken |= spoil;
                any = true;
            }
    return any;
}

bool xg_cuda_capturing_slow(const struct xg_cuda_stream *s)
{
    if (atomic_load_explicit(&s->capture, memory_order_relaxed))
        return true;
    if (!s->legacy)
        return false;
    xg_cuda_graphs_lock();
    bool blocked = legacy_blocked(s, false);
    xg_cuda_graphs_unlock();
    return blocked;
}

/* What becomes of a call that cannot be captured, or of one for the legacy stream. Lock held. */
static CUresult stream_refuses(struct xg_cuda_stream *s)
{
    struct xg_cuda_capture *c = atomic_load(&s->capture);

    if (c) {
        c->of->broken = true;
        return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
    }
    return s->legacy && legacy_blocked(s, true) ? CUDA_ERROR_STREAM_CAPTURE_IMPLICIT : CUDA_SUCCESS;
}

/* The stream is captured no more, or it is the legacy one. Lock held. */
static CUresult not_captured(const struct xg_cuda_stream *s)
{
    if (!s->legacy)
        return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
    legacy_blocked(s, true);
    return CUDA_ERROR_STREAM_CAPTURE_IMPLICIT;
}

CUresult xg_cuda_capture_refuses(struct xg_cuda_stream *s)
{
    if (!xg_cuda_capturing(s))
        return CUDA_SUCCESS;
    xg_cuda_graphs_lock();
    CUresult r = stream_refuses(s);
    xg_cuda_graphs_unlock();
    return r;
}

static bool capturing_forbids(const struct capturing *of)
{
    if (thread_mode == CU_STREAM_CAPTURE_MODE_RELAXED || of->mode == CU_STREAM_CAPTURE_MODE_RELAXED)
        return false;
    return pthread_equal(of->thread, pthread_self()) ||
           (thread_mode == CU_STREAM_CAPTURE_MODE_GLOBAL &&
            of->mode == CU_STREAM_CAPTURE_MODE_GLOBAL);
}

bool xg_cuda_capture_forbids(void)
{
    bool any = false;

    xg_cuda_graphs_lock();
    for (struct capturing *of = capturings; of; of = of->next)
        if (capturing_forbids(of))
            of->broken = any = true;
    xg_cuda_graphs_unlock();
    return any;
}

CUresult cuThreadExchangeStreamCaptureMode(CUstreamCaptureMode *mode)
{
    XG_CUDA_READY();
    if (!mode || (unsigned)*mode > CU_STREAM_CAPTURE_MODE_RELAXED)
        return CUDA_ERROR_INVALID_VALUE;
    CUstreamCaptureMode before = thread_mode;
    thread_mode = *mode;
    *mode = before;
    return CUDA_SUCCESS;
}

/* --- the front; lock held --------------------------------------------------------------------- */

static bool front_add(struct xg_cuda_capture *c, struct xg_cuda_node *n)
{
    for (unsigned i = 0; i < c->count; i++)
        if (c->front[i] == n)
            return true;
    struct xg_cuda_node **more = realloc(c->front, (c->count + 1) * sizeof(*more));
    if (!more)
        return false;
    c->front = more;
    c->front[c->count++] = n;
    return true;
}

static struct xg_cuda_capture *member_new(struct capturing *of, struct xg_cuda_stream *s)
{
    struct xg_cuda_capture *c = calloc(1, sizeof(*c));

    if (!c)
        return NULL;
    *c = (struct xg_cuda_capture){.of = of, .stream = s, .next = of->member};
    of->member = c;
    atomic_store(&s->capture, c);
    return c;
}

static void member_free(struct xg_cuda_capture *c)
{
    struct xg_cuda_capture **link = &c->of->member;

    while (*link != c)
        link = &(*link)->next;
    *link = c->next;
    atomic_store(&c->stream->capture, NULL);
    free(c->front);
    free(c->shown);
    free(c);
}

/* --- work ------------------------------------------------------------------------------------- */

/* Lock held. Takes over *w if it becomes a node. */
static CUresult work_append(struct xg_cuda_stream *s, struct xg_cuda_work *w)
{
    struct xg_cuda_capture *c = atomic_load(&s->capture);

    if (!c)
        return not_captured(s);
    if (c->of->broken)
        return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
    struct xg_cuda_node *n = xg_cuda_node_add(c->of->graph, w, c->front, c->count);
    c->count = 0;
    if (n && front_add(c, n))
        return CUDA_SUCCESS;
    c->of->broken = true;
    return CUDA_ERROR_OUT_OF_MEMORY;
}

static CUresult work_capture(struct xg_cuda_stream *s, struct xg_cuda_work *w, CUgraphNodeType type,
                             const void *params)
{
    CUresult r = xg_cuda_work_set(w, type, params, s->ctx->handle);

    if (r == CUDA_SUCCESS) {
        xg_cuda_graphs_lock();
        r = work_append(s, w);
        xg_cuda_graphs_unlock();
    }
    xg_cuda_work_free(w);
    return r;
}

CUresult xg_cuda_capture_kernel(struct xg_cuda_stream *s, const CUDA_KERNEL_NODE_PARAMS *p,
                                bool cooperative)
{
    struct xg_cuda_work w = {.cooperative = cooperative};
    return work_capture(s, &w, CU_GRAPH_NODE_TYPE_KERNEL, p);
}

CUresult xg_cuda_capture_copy(struct xg_cuda_stream *s, const CUDA_MEMCPY3D *p)
{
    struct xg_cuda_work w = {0};
    return work_capture(s, &w, CU_GRAPH_NODE_TYPE_MEMCPY, p);
}

CUresult xg_cuda_capture_fill(struct xg_cuda_stream *s, const CUDA_MEMSET_NODE_PARAMS *p)
{
    struct xg_cuda_work w = {0};
    return work_capture(s, &w, CU_GRAPH_NODE_TYPE_MEMSET, p);
}

CUresult xg_cuda_capture_host(struct xg_cuda_stream *s, CUhostFn fn, void *data)
{
    const CUDA_HOST_NODE_PARAMS p = {fn, data};
    struct xg_cuda_work w = {0};
    return work_capture(s, &w, CU_GRAPH_NODE_TYPE_HOST, &p);
}

/* --- events ----------------------------------------------------------------------------------- */

/* Lock held. */
static void mark_drop(struct xg_cuda_mark *m)
{
    free(m->tail);
    m->tail = NULL;
    m->tails = 0;
    atomic_store(&m->capture, 0);
}

void xg_cuda_mark_clear(struct xg_cuda_mark *m)
{
    if (!xg_cuda_marked(m))
        return;
    xg_cuda_graphs_lock();
    mark_drop(m);
    xg_cuda_graphs_unlock();
}

CUresult xg_cuda_mark_refuses(const struct xg_cuda_mark *m)
{
    xg_cuda_graphs_lock();
    struct capturing *of = capturing_find(atomic_load(&m->capture));
    if (of)
        of->broken = true; /* to look at its event is an invalid operation, which spoils it */
    xg_cuda_graphs_unlock();
    /* If the capture is over, it stands for nothing any more. */
    return of ? CUDA_ERROR_CAPTURED_EVENT : CUDA_ERROR_INVALID_VALUE;
}

/* Lock held. */
static CUresult mark_set(struct xg_cuda_mark *m, struct xg_cuda_stream *s)
{
    const struct xg_cuda_capture *c = atomic_load(&s->capture);

    if (!c)
        return not_captured(s);
    if (c->of->broken)
        return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
    mark_drop(m);
    m->tail = calloc(c->count + 1, sizeof(*m->tail));
    if (!m->tail)
        return CUDA_ERROR_OUT_OF_MEMORY;
    for (; m->tails < c->count; m->tails++)
        m->tail[m->tails] = c->front[m->tails];
    atomic_store(&m->capture, c->of->id);
    return CUDA_SUCCESS;
}

CUresult xg_cuda_capture_record(struct xg_cuda_stream *s, CUevent event, bool external,
                                struct xg_cuda_mark *m)
{
    struct xg_cuda_work w = {0};

    if (external)
        return work_capture(s, &w, CU_GRAPH_NODE_TYPE_EVENT_RECORD, &event);
    xg_cuda_graphs_lock();
    CUresult r = mark_set(m, s);
    xg_cuda_graphs_unlock();
    return r;
}

/* The stream joins the capture that the event was recorded in. Lock held. */
static CUresult stream_join(struct xg_cuda_stream *s, const struct xg_cuda_mark *m)
{
    struct capturing *of = capturing_find(atomic_load(&m->capture));
    struct xg_cuda_capture *c = atomic_load(&s->capture);

    if (!of)
        return CUDA_ERROR_CAPTURED_EVENT; /* of a capture that is over */
    if (of->broken)
        return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
    if (s->legacy) {
        of->broken = true;
        return CUDA_ERROR_STREAM_CAPTURE_IMPLICIT;
    }
    if (c && c->of != of) {
        of->broken = c->of->broken = true;
        return CUDA_ERROR_STREAM_CAPTURE_MERGE;
    }
    if (!c)
        c = member_new(of, s);
    bool ok = c != NULL;
    for (unsigned i = 0; i < m->tails && ok; i++)
        ok = front_add(c, m->tail[i]);
    of->broken |= !ok; /* it would lack what it is to wait for */
    return ok ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}

/* Work that is not captured cannot be waited for in a capture. Lock held. */
static CUresult stream_isolated(const struct xg_cuda_stream *s)
{
    struct xg_cuda_capture *c = atomic_load(&s->capture);

    if (!c)
        return not_captured(s);
    c->of->broken = true;
    return CUDA_ERROR_STREAM_CAPTURE_ISOLATION;
}

CUresult xg_cuda_capture_wait(struct xg_cuda_stream *s, CUevent event, bool external,
                              const struct xg_cuda_mark *m)
{
    struct xg_cuda_work w = {0};

    if (external)
        return work_capture(s, &w, CU_GRAPH_NODE_TYPE_WAIT_EVENT, &event);
    xg_cuda_graphs_lock();
    CUresult r = xg_cuda_marked(m) ? stream_join(s, m) : stream_isolated(s);
    xg_cuda_graphs_unlock();
    return r;
}

/* --- begin and end ---------------------------------------------------------------------------- */

/* Lock held. `into` NULL: the graph is a new one. */
static CUresult capturing_start(struct capturing *of, CUgraph into, const CUgraphNode *dep,
                                size_t deps)
{
    of->borrowed = into != NULL;
    of->graph = into ? xg_cuda_graph_get(into) : xg_cuda_graph_new(true);
    if (!of->graph)
        return into ? CUDA_ERROR_INVALID_VALUE : CUDA_ERROR_OUT_OF_MEMORY;
    if (of->graph->captured)
        return CUDA_ERROR_INVALID_VALUE;
    if (of->graph->owned) /* it goes with the node that has it, whatever is captured into it */
        return CUDA_ERROR_NOT_SUPPORTED;
    struct xg_cuda_capture *c = member_new(of, of->origin);
    if (!c)
        return CUDA_ERROR_OUT_OF_MEMORY;
    for (size_t i = 0; i < deps; i++) {
        struct xg_cuda_node *n = xg_cuda_node_get(dep[i]);
        if (!n || n->graph != of->graph)
            return CUDA_ERROR_INVALID_VALUE;
        if (!front_add(c, n))
            return CUDA_ERROR_OUT_OF_MEMORY;
    }
    of->graph->captured = true;
    of->id = ++last_id;
    of->next = capturings;
    capturings = of;
    atomic_fetch_add(&xg_cuda_captures, 1);
    return CUDA_SUCCESS;
}

/* Lock held. Frees it, and a graph of its own unless that is `kept`. */
static void capturing_free(struct capturing *of, bool kept)
{
    struct capturing **link = &capturings;

    while (*link && *link != of)
        link = &(*link)->next;
    if (*link) {
        *link = of->next;
        of->graph->captured = false;
        atomic_fetch_sub(&xg_cuda_captures, 1);
    }
    while (of->member)
        member_free(of->member);
    if (of->graph && !kept && !of->borrowed)
        xg_cuda_graph_free(of->graph);
    free(of);
}

/* Lock held. */
static CUresult stream_begin(struct xg_cuda_stream *s, CUstreamCaptureMode mode, CUgraph into,
                             const CUgraphNode *dep, size_t deps)
{
    if (s->legacy)
        return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
    if (atomic_load(&s->capture))
        return CUDA_ERROR_ILLEGAL_STATE;
    struct capturing *of = calloc(1, sizeof(*of));
    if (!of)
        return CUDA_ERROR_OUT_OF_MEMORY;
    of->origin = s;
    of->mode = mode;
    of->thread = pthread_self();
    CUresult r = capturing_start(of, into, dep, deps);
    if (r != CUDA_SUCCESS)
        capturing_free(of, false);
    return r;
}

static CUresult capture_begin(CUstream h, CUstreamCaptureMode mode, CUgraph into,
                              const CUgraphNode *dep, size_t deps)
{
    struct xg_cuda_stream *s;
    CUresult r = xg_cuda_stream_get(h, &s);

    if (r != CUDA_SUCCESS)
        return r;
    if ((unsigned)mode > CU_STREAM_CAPTURE_MODE_RELAXED || (deps && !dep)) {
        r = CUDA_ERROR_INVALID_VALUE;
    } else {
        xg_cuda_graphs_lock();
        r = stream_begin(s, mode, into, dep, deps);
        xg_cuda_graphs_unlock();
    }
    xg_cuda_stream_put(s);
    return r;
}

CUresult cuStreamBeginCapture_v2(CUstream h, CUstreamCaptureMode mode)
{
    return capture_begin(h, mode, NULL, NULL, 0);
}

CUresult cuStreamBeginCapture(CUstream h)
{
    return capture_begin(h, CU_STREAM_CAPTURE_MODE_GLOBAL, NULL, NULL, 0);
}

CUresult cuStreamBeginCaptureToGraph(CUstream h, CUgraph graph, const CUgraphNode *dep,
                                     const CUgraphEdgeData *edge, size_t deps,
                                     CUstreamCaptureMode mode)
{
    XG_CUDA_NEED(graph, CUDA_ERROR_INVALID_VALUE);
    XG_CUDA_READY();
    if (!xg_cuda_edges_plain(edge, deps))
        return CUDA_ERROR_NOT_SUPPORTED;
    return capture_begin(h, mode, graph, dep, deps);
}

/* Marks (`index`) what comes before the marked nodes. Most graphs are made in a valid order, and
 * one pass does it. */
static void ancestors_mark(struct xg_cuda_graph *g)
{
    bool more = true;

    while (more) {
        more = false;
        for (unsigned i = g->count; i-- > 0;)
            for (unsigned d = 0; g->node[i]->index && d < g->node[i]->deps; d++) {
                struct xg_cuda_node *n = g->node[i]->dep[d];
                more |= !n->index;
                n->index = 1;
            }
    }
}

/* Has everything in the streams that joined come back to the one where it began? */
static bool all_joined(const struct capturing *of)
{
    const struct xg_cuda_capture *first = atomic_load(&of->origin->capture);

    for (unsigned i = 0; i < of->graph->count; i++)
        of->graph->node[i]->index = 0;
    for (unsigned i = 0; i < first->count; i++)
        first->front[i]->index = 1;
    ancestors_mark(of->graph);
    for (const struct xg_cuda_capture *c = of->member; c; c = c->next)
        for (unsigned i = 0; i < c->count; i++)
            if (!c->front[i]->index)
                return false;
    return true;
}

/* Lock held. */
static CUresult stream_end(struct xg_cuda_stream *s, CUgraph *out)
{
    struct xg_cuda_capture *c = atomic_load(&s->capture);
    struct capturing *of = c ? c->of : NULL;

    if (!of)
        return CUDA_ERROR_ILLEGAL_STATE;
    if (!out)
        return CUDA_ERROR_INVALID_VALUE;
    if (of->origin != s)
        return CUDA_ERROR_STREAM_CAPTURE_UNMATCHED;
    if (of->mode != CU_STREAM_CAPTURE_MODE_RELAXED && !pthread_equal(of->thread, pthread_self()))
        return CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD;
    CUresult r = of->broken        ? CUDA_ERROR_STREAM_CAPTURE_INVALIDATED
                 : !all_joined(of) ? CUDA_ERROR_STREAM_CAPTURE_UNJOINED
                                   : CUDA_SUCCESS;
    if (r == CUDA_SUCCESS)
        *out = of->graph->handle;
    capturing_free(of, r == CUDA_SUCCESS);
    return r;
}

CUresult cuStreamEndCapture(CUstream h, CUgraph *out)
{
    struct xg_cuda_stream *s;
    CUresult r = xg_cuda_stream_get(h, &s);

    if (r != CUDA_SUCCESS)
        return r;
    if (out)
        *out = NULL;
    xg_cuda_graphs_lock();
    r = stream_end(s, out);
    xg_cuda_graphs_unlock();
    xg_cuda_stream_put(s);
    return r;
}

void xg_cuda_capture_abandon(struct xg_cuda_stream *s)
{
    if (XG_LIKELY(!atomic_load(&s->capture)))
        return;
    xg_cuda_graphs_lock();
    struct xg_cuda_capture *c = atomic_load(&s->capture);
    if (c && c->of->origin == s) {
        capturing_free(c->of, false);
    } else if (c) {
        c->of->broken = true;
        member_free(c);
    }
    xg_cuda_graphs_unlock();
}

/* --- questions -------------------------------------------------------------------------------- */

/* Lock held. */
static CUresult status_get(const struct xg_cuda_stream *s, CUstreamCaptureStatus *status)
{
    const struct xg_cuda_capture *c = atomic_load(&s->capture);

    *status = !c              ? CU_STREAM_CAPTURE_STATUS_NONE
              : c->of->broken ? CU_STREAM_CAPTURE_STATUS_INVALIDATED
                              : CU_STREAM_CAPTURE_STATUS_ACTIVE;
    return s->legacy && legacy_blocked(s, false) ? CUDA_ERROR_STREAM_CAPTURE_IMPLICIT
                                                 : CUDA_SUCCESS;
}

CUresult cuStreamIsCapturing(CUstream h, CUstreamCaptureStatus *status)
{
    XG_CUDA_NEED(status, CUDA_ERROR_INVALID_VALUE);
    struct xg_cuda_stream *s;
    CUresult r = xg_cuda_stream_get(h, &s);

    if (r != CUDA_SUCCESS)
        return r;
    xg_cuda_graphs_lock();
    r = status_get(s, status);
    xg_cuda_graphs_unlock();
    xg_cuda_stream_put(s);
    return r;
}

/* The list is the program's to look at until it asks again, or the capture ends. */
static CUresult front_show(struct xg_cuda_capture *c, const CUgraphNode **dep, size_t *deps)
{
    CUgraphNode *shown = dep ? realloc(c->shown, (c->count + 1) * sizeof(*shown)) : NULL;

    if (dep && !shown)
        return CUDA_ERROR_OUT_OF_MEMORY;
    for (unsigned i = 0; dep && i < c->count; i++)
        shown[i] = c->front[i]->handle;
    if (dep)
        *dep = c->shown = shown;
    if (deps)
        *deps = c->count;
    return CUDA_SUCCESS;
}

CUresult cuStreamGetCaptureInfo_v3(CUstream h, CUstreamCaptureStatus *status, cuuint64_t *id,
                                   CUgraph *graph, const CUgraphNode **dep,
                                   const CUgraphEdgeData **edge, size_t *deps)
{
    XG_CUDA_NEED(status, CUDA_ERROR_INVALID_VALUE);
    struct xg_cuda_stream *s;
    CUresult r = xg_cuda_stream_get(h, &s);

    if (r != CUDA_SUCCESS)
        return r;
    xg_cuda_graphs_lock();
    r = status_get(s, status);
    struct xg_cuda_capture *c = atomic_load(&s->capture);
    if (r == CUDA_SUCCESS && c && !c->of->broken) {
        if (id)
            *id = c->of->id;
        if (graph)
            *graph = c->of->graph->handle;
        if (edge)
            *edge = NULL;
        r = front_show(c, dep, deps);
    }
    xg_cuda_graphs_unlock();
    xg_cuda_stream_put(s);
    return r;
}

CUresult cuStreamGetCaptureInfo_v2(CUstream h, CUstreamCaptureStatus *status, cuuint64_t *id,
                                   CUgraph *graph, const CUgraphNode **dep, size_t *deps)
{
    return cuStreamGetCaptureInfo_v3(h, status, id, graph, dep, NULL, deps);
}

CUresult cuStreamGetCaptureInfo(CUstream h, CUstreamCaptureStatus *status, cuuint64_t *id)
{
    return cuStreamGetCaptureInfo_v3(h, status, id, NULL, NULL, NULL, NULL);
}

/* Lock held. */
static CUresult front_change(struct xg_cuda_capture *c, const CUgraphNode *dep, size_t deps,
                             unsigned flags)
{
    if (!c)
        return CUDA_ERROR_ILLEGAL_STATE;
    if (flags > CU_STREAM_SET_CAPTURE_DEPENDENCIES)
        return CUDA_ERROR_INVALID_VALUE;
    for (size_t i = 0; i < deps; i++) {
        const struct xg_cuda_node *n = xg_cuda_node_get(dep[i]);
        if (!n || n->graph != c->of->graph)
            return CUDA_ERROR_INVALID_VALUE;
    }
    if (flags == CU_STREAM_SET_CAPTURE_DEPENDENCIES)
        c->count = 0;
    for (size_t i = 0; i < deps; i++)
        if (!front_add(c, xg_cuda_node_get(dep[i])))
            return CUDA_ERROR_OUT_OF_MEMORY;
    return CUDA_SUCCESS;
}

CUresult cuStreamUpdateCaptureDependencies_v2(CUstream h, CUgraphNode *dep,
                                              const CUgraphEdgeData *edge, size_t deps,
                                              unsigned flags)
{
    struct xg_cuda_stream *s;
    CUresult r = xg_cuda_stream_get(h, &s);

    if (r != CUDA_SUCCESS)
        return r;
    if (deps && !dep) {
        r = CUDA_ERROR_INVALID_VALUE;
    } else if (!xg_cuda_edges_plain(edge, deps)) {
        r = CUDA_ERROR_NOT_SUPPORTED;
    } else {
        xg_cuda_graphs_lock();
        r = front_change(atomic_load(&s->capture), dep, deps, flags);
        xg_cuda_graphs_unlock();
    }
    xg_cuda_stream_put(s);
    return r;
}

CUresult cuStreamUpdateCaptureDependencies(CUstream h, CUgraphNode *dep, size_t deps,
                                           unsigned flags)
{
    return cuStreamUpdateCaptureDependencies_v2(h, dep, NULL, deps, flags);
}
