/*
 * Stream capture: what is submitted to a capturing stream becomes nodes of a graph.
 *
 * A capture begins in one stream and spreads to each stream that waits for an event of it. Every
 * such stream has its frontier: the nodes that its next one will depend on.
 */
#include <stdlib.h>
#include <string.h>

#include "softcuda/driver/graph.h"

struct capture_core {
    struct capture_core *next, **link; /* of all; sc_graph_lock */
    struct sc_graph *graph;
    struct sc_stream *origin;
    CUstreamCaptureMode mode;
    pthread_t thread;
    cuuint64_t id;
    struct sc_capture *members;
    bool invalid;
    bool into_existing; /* the graph is the program's, not ours to free */
};

/* A stream's share of it. */
struct sc_capture {
    struct capture_core *core;
    struct sc_stream *stream; /* a reference */
    struct sc_capture *next;
    struct sc_node **front;
    unsigned count;
};

static __thread CUstreamCaptureMode thread_mode; /* global at first */
static struct capture_core *cores;               /* sc_graph_lock */
static cuuint64_t next_id = 1;                   /* sc_graph_lock */

static bool forbids(const struct capture_core *core)
{
    if (thread_mode == CU_STREAM_CAPTURE_MODE_RELAXED ||
        core->mode == CU_STREAM_CAPTURE_MODE_RELAXED)
        return false;
    return pthread_equal(core->thread, pthread_self()) ||
           (thread_mode == CU_STREAM_CAPTURE_MODE_GLOBAL &&
            core->mode == CU_STREAM_CAPTURE_MODE_GLOBAL);
}

CUresult sc_capture_forbids(void)
{
    CUresult r = CUDA_SUCCESS;

    pthread_mutex_lock(&sc_graph_lock);
    for (struct capture_core *core = cores; core; core = core->next)
        if (forbids(core)) {
            core->invalid = true;
            r = CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
        }
    pthread_mutex_unlock(&sc_graph_lock);
    return r;
}

CUresult sc_capture_refuses(struct sc_stream *s)
{
    if (XG_LIKELY(!s->capture))
        return CUDA_SUCCESS;
    pthread_mutex_lock(&sc_graph_lock);
    if (s->capture)
        s->capture->core->invalid = true;
    pthread_mutex_unlock(&sc_graph_lock);
    return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
}

CUresult sc_capture_refuses_now(struct sc_stream *s)
{
    struct sc_ctx *ctx = s->ctx;

    if (XG_LIKELY(s != ctx->legacy || !atomic_load(&ctx->capturing)))
        return sc_capture_refuses(s);
    pthread_mutex_lock(&sc_graph_lock);
    for (struct capture_core *core = cores; core; core = core->next)
        core->invalid |=
            core->origin->ctx == ctx && !(core->origin->flags & CU_STREAM_NON_BLOCKING);
    pthread_mutex_unlock(&sc_graph_lock);
    return CUDA_ERROR_STREAM_CAPTURE_IMPLICIT;
}

static struct capture_core *core_of(cuuint64_t id)
{
    struct capture_core *core = cores;

    while (core && core->id != id)
        core = core->next;
    return core;
}

CUresult sc_capture_event(const struct sc_event *e)
{
    if (XG_LIKELY(!e->capture))
        return CUDA_SUCCESS;
    pthread_mutex_lock(&sc_graph_lock);
    bool active = core_of(e->capture) != NULL;
    pthread_mutex_unlock(&sc_graph_lock);
    /* If the capture is over, it stands for nothing any more. */
    return active ? CUDA_ERROR_CAPTURED_EVENT : CUDA_ERROR_INVALID_VALUE;
}

_Atomic unsigned sc_captures;

CUresult cuThreadExchangeStreamCaptureMode(CUstreamCaptureMode *mode)
{
    CUresult r = sc_ready();

    if (r)
        return r;
    if (!mode || (unsigned)*mode > CU_STREAM_CAPTURE_MODE_RELAXED)
        return CUDA_ERROR_INVALID_VALUE;
    CUstreamCaptureMode old = thread_mode;
    thread_mode = *mode;
    *mode = old;
    return CUDA_SUCCESS;
}

/* --- the frontier; sc_graph_lock is held ------------------------------------------------------ */

static bool front_set(struct sc_capture *c, struct sc_node *const *nodes, unsigned count)
{
    struct sc_node **copy = malloc((count + 1) * sizeof(*copy));

    if (!copy)
        return false;
    if (count)
        memcpy(copy, nodes, count * sizeof(*copy));
    free(c->front);
    c->front = copy;
    c->count = count;
    return true;
}

static bool front_add(struct sc_capture *c, struct sc_node *n)
{
    for (unsigned i = 0; i < c->count; i++)
        if (c->front[i] == n)
            return true;
    struct sc_node **grown = realloc(c->front, (c->count + 1) * sizeof(*grown));
    if (!grown)
        return false;
    c->front = grown;
    c->front[c->count++] = n;
    return true;
}

static struct sc_node *capture_node(struct sc_capture *c, CUgraphNodeType type)
{
    struct sc_node *n = sc_node_new(c->core->graph, type, c->front, c->count);

    if (n && front_set(c, &n, 1))
        return n;
    c->core->invalid = true;
    return NULL;
}

static struct sc_capture *member_new(struct capture_core *core, struct sc_stream *s)
{
    struct sc_capture *c = calloc(1, sizeof(*c));

    if (!c)
        return NULL;
    c->core = core;
    c->stream = s;
    sc_stream_ref(s);
    c->next = core->members;
    core->members = c;
    return c;
}

/* --- recording -------------------------------------------------------------------------------- */

static void fill_params(struct sc_node *n)
{
    if (n->type == CU_GRAPH_NODE_TYPE_KERNEL) {
        n->func = n->op.launch.fn->handle;
        n->cooperative = n->op.launch.cooperative;
    } else if (n->type == CU_GRAPH_NODE_TYPE_MEMCPY) {
        const struct sc_copy *b = &n->op.copy.box;
        n->copy = (CUDA_MEMCPY3D){
            .srcMemoryType = CU_MEMORYTYPE_UNIFIED,
            .srcDevice = b->src,
            .srcPitch = b->src_pitch,
            .srcHeight = b->src_pitch ? b->src_slice / b->src_pitch : 0,
            .dstMemoryType = CU_MEMORYTYPE_UNIFIED,
            .dstDevice = b->dst,
            .dstPitch = b->dst_pitch,
            .dstHeight = b->dst_pitch ? b->dst_slice / b->dst_pitch : 0,
            .WidthInBytes = b->width,
            .Height = b->height,
            .Depth = b->depth,
        };
    } else if (n->type == CU_GRAPH_NODE_TYPE_MEMSET) {
        const struct sc_set *s = &n->op.set;
        n->set =
            (CUDA_MEMSET_NODE_PARAMS){s->dst, s->pitch, s->value, s->element, s->width, s->height};
    }
}

CUresult sc_capture_op(struct sc_stream *s, struct sc_op *op)
{
    CUgraphNodeType type;

    switch ((enum sc_op_type)op->type) {
    case SC_OP_LAUNCH: type = CU_GRAPH_NODE_TYPE_KERNEL; break;
    case SC_OP_COPY: type = CU_GRAPH_NODE_TYPE_MEMCPY; break;
    case SC_OP_SET: type = CU_GRAPH_NODE_TYPE_MEMSET; break;
    case SC_OP_HOST: type = CU_GRAPH_NODE_TYPE_HOST; break;
    default: /* CUDA has nodes for them */ sc_capture_refuses(s); return CUDA_ERROR_NOT_SUPPORTED;
    }
    pthread_mutex_lock(&sc_graph_lock);
    CUresult r = CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
    if (s->capture && !s->capture->core->invalid) {
        struct sc_node *n = capture_node(s->capture, type);
        r = n ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
        if (n) {
            memcpy(&n->op, op, op->bytes);
            fill_params(n);
            if (!sc_node_pointers(n))
                s->capture->core->invalid = true;
        }
    }
    pthread_mutex_unlock(&sc_graph_lock);
    return r;
}

CUresult sc_capture_record(struct sc_stream *s, struct sc_event *e)
{
    CUresult r = CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;

    pthread_mutex_lock(&sc_graph_lock);
    struct sc_capture *c = s->capture;
    if (c && !c->core->invalid) {
        struct sc_node *n = c->count == 1 ? c->front[0]
                            : c->count    ? capture_node(c, CU_GRAPH_NODE_TYPE_EMPTY)
                                          : NULL;
        r = c->count && !n ? CUDA_ERROR_OUT_OF_MEMORY : CUDA_SUCCESS;
        if (!r) {
            e->capture = c->core->id;
            e->node = n ? n->handle : NULL;
        }
    }
    pthread_mutex_unlock(&sc_graph_lock);
    return r;
}

CUresult sc_capture_wait(struct sc_stream *s, struct sc_event *e, bool *handled)
{
    struct sc_ctx *ctx = s->ctx;
    CUresult r = CUDA_SUCCESS;

    if (XG_LIKELY(!s->capture && !e->capture))
        return CUDA_SUCCESS;
    *handled = true;
    pthread_mutex_lock(&ctx->streams_lock);
    pthread_mutex_lock(&s->producer);
    pthread_mutex_lock(&sc_graph_lock);
    struct capture_core *core = e->capture ? core_of(e->capture) : NULL;
    if (!e->capture) {
        s->capture->core->invalid = true;
        r = CUDA_ERROR_STREAM_CAPTURE_ISOLATION; /* real work cannot be waited for in a capture */
    } else if (!core) {
        r = CUDA_ERROR_CAPTURED_EVENT; /* of a capture that is over */
    } else if (core->invalid) {
        r = CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
    } else if (s->capture && s->capture->core != core) {
        core->invalid = s->capture->core->invalid = true;
        r = CUDA_ERROR_STREAM_CAPTURE_MERGE;
    } else if (s == ctx->legacy) {
        core->invalid = true;
        r = CUDA_ERROR_STREAM_CAPTURE_IMPLICIT;
    } else {
        struct sc_node *n = sc_handle_get(SC_NODE, e->node);
        if (!s->capture)
            s->capture = member_new(core, s);
        if (!s->capture || (n && !front_add(s->capture, n)))
            r = CUDA_ERROR_OUT_OF_MEMORY;
    }
    pthread_mutex_unlock(&sc_graph_lock);
    pthread_mutex_unlock(&s->producer);
    pthread_mutex_unlock(&ctx->streams_lock);
    return r;
}

/* --- begin and end ---------------------------------------------------------------------------- */

static CUresult capture_begin(CUstream stream, CUstreamCaptureMode mode, CUgraph into,
                              const CUgraphNode *deps, size_t count)
{
    CUresult r;
    SC_ENTER_OF(ctx, SC_STREAM, stream);
    if ((unsigned)mode > CU_STREAM_CAPTURE_MODE_RELAXED || (count && !deps))
        return CUDA_ERROR_INVALID_VALUE;
    struct sc_stream *s = sc_stream_get(ctx, stream, &r);
    if (!s)
        return r;
    struct capture_core *core = calloc(1, sizeof(*core));
    pthread_mutex_lock(&s->producer);
    pthread_mutex_lock(&sc_graph_lock);
    r = !core                ? CUDA_ERROR_OUT_OF_MEMORY
        : s == ctx->legacy   ? CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED
        : s->capture != NULL ? CUDA_ERROR_ILLEGAL_STATE
                             : CUDA_SUCCESS;
    if (!r) {
        *core = (struct capture_core){.origin = s,
                                      .mode = mode,
                                      .thread = pthread_self(),
                                      .id = next_id++,
                                      .into_existing = into != NULL};
        core->graph = into ? sc_handle_get(SC_GRAPH, into) : sc_graph_new();
        struct sc_capture *c = core->graph ? member_new(core, s) : NULL;
        r = !core->graph ? CUDA_ERROR_INVALID_VALUE : !c ? CUDA_ERROR_OUT_OF_MEMORY : CUDA_SUCCESS;
        for (size_t i = 0; !r && i < count; i++) {
            struct sc_node *n = sc_handle_get(SC_NODE, deps[i]);
            if (!n || n->graph != core->graph || !front_add(c, n))
                r = CUDA_ERROR_INVALID_VALUE;
        }
        if (r) {
            if (core->graph && !into)
                sc_graph_free(core->graph);
            if (c) {
                free(c->front);
                free(c);
                sc_stream_put(s);
            }
        } else {
            s->capture = c;
            atomic_fetch_add(&sc_captures, 1);
            if (!(s->flags & CU_STREAM_NON_BLOCKING))
                atomic_fetch_add(&ctx->capturing, 1);
            core->next = cores;
            core->link = &cores;
            if (cores)
                cores->link = &core->next;
            cores = core;
            core = NULL;
        }
    }
    pthread_mutex_unlock(&sc_graph_lock);
    pthread_mutex_unlock(&s->producer);
    free(core);
    sc_stream_put(s);
    return r;
}

CUresult cuStreamBeginCapture_v2(CUstream stream, CUstreamCaptureMode mode)
{
    return capture_begin(stream, mode, NULL, NULL, 0);
}

CUresult cuStreamBeginCapture(CUstream stream)
{
    return capture_begin(stream, CU_STREAM_CAPTURE_MODE_GLOBAL, NULL, NULL, 0);
}

CUresult cuStreamBeginCaptureToGraph(CUstream stream, CUgraph graph, const CUgraphNode *deps,
                                     const CUgraphEdgeData *edges, size_t count,
                                     CUstreamCaptureMode mode)
{
    XG_CUDA_NEED(graph, CUDA_ERROR_INVALID_VALUE);
    SC_READY();
    return graph ? capture_begin(stream, mode, graph, deps, count) : CUDA_ERROR_INVALID_VALUE;
}

static void mark_ancestors(struct sc_node *n)
{
    if (n->mark)
        return;
    n->mark = 1;
    for (unsigned i = 0; i < n->dep_count; i++)
        mark_ancestors(n->deps[i]);
}

/* Has everything in the streams that joined come back to the one where it began? */
static bool all_joined(struct capture_core *core)
{
    for (unsigned i = 0; i < core->graph->count; i++)
        core->graph->nodes[i]->mark = 0;
    for (struct sc_capture *c = core->members; c; c = c->next)
        for (unsigned i = 0; c->stream == core->origin && i < c->count; i++)
            mark_ancestors(c->front[i]);
    for (struct sc_capture *c = core->members; c; c = c->next)
        for (unsigned i = 0; i < c->count; i++)
            if (!c->front[i]->mark)
                return false;
    return true;
}

/* sc_graph_lock held. Returns the streams to be put when it is released. */
static struct sc_capture *capture_end(struct capture_core *core)
{
    struct sc_stream *origin = core->origin;

    atomic_fetch_sub(&sc_captures, 1);
    if (!(origin->flags & CU_STREAM_NON_BLOCKING))
        atomic_fetch_sub(&origin->ctx->capturing, 1);
    *core->link = core->next;
    if (core->next)
        core->next->link = core->link;
    for (struct sc_capture *c = core->members; c; c = c->next)
        c->stream->capture = NULL;
    return core->members;
}

static void members_free(struct sc_capture *c)
{
    struct sc_capture *next;

    for (; c; c = next) {
        next = c->next;
        sc_stream_put(c->stream);
        free(c->front);
        free(c);
    }
}

CUresult cuStreamEndCapture(CUstream stream, CUgraph *out)
{
    struct sc_capture *members = NULL;
    CUresult r;
    SC_ENTER_OF(ctx, SC_STREAM, stream);
    struct sc_stream *s = sc_stream_get(ctx, stream, &r);

    if (!s)
        return r;
    if (out)
        *out = NULL;
    pthread_mutex_lock(&sc_graph_lock);
    struct capture_core *core = s->capture ? s->capture->core : NULL;
    if (!core)
        r = CUDA_ERROR_ILLEGAL_STATE;
    else if (!out)
        r = CUDA_ERROR_INVALID_VALUE;
    else if (core->origin != s)
        r = CUDA_ERROR_STREAM_CAPTURE_UNMATCHED;
    else if (core->mode != CU_STREAM_CAPTURE_MODE_RELAXED &&
             !pthread_equal(core->thread, pthread_self()))
        r = CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD;
    if (!r) {
        r = core->invalid       ? CUDA_ERROR_STREAM_CAPTURE_INVALIDATED
            : !all_joined(core) ? CUDA_ERROR_STREAM_CAPTURE_UNJOINED
                                : CUDA_SUCCESS;
        members = capture_end(core);
        if (!r)
            *out = core->graph->handle;
        else if (!core->into_existing)
            sc_graph_free(core->graph);
        free(core);
    }
    pthread_mutex_unlock(&sc_graph_lock);
    members_free(members);
    sc_stream_put(s);
    return r;
}

/* The stream is destroyed in the middle of it. */
void sc_capture_abandon(struct sc_stream *s)
{
    struct sc_capture *members = NULL;

    pthread_mutex_lock(&sc_graph_lock);
    if (s->capture && s->capture->core->origin == s) {
        struct capture_core *core = s->capture->core;
        members = capture_end(core);
        if (!core->into_existing)
            sc_graph_free(core->graph);
        free(core);
    } else if (s->capture) {
        s->capture->core->invalid = true;
    }
    pthread_mutex_unlock(&sc_graph_lock);
    members_free(members);
}

/* --- questions -------------------------------------------------------------------------------- */

CUresult cuStreamIsCapturing(CUstream stream, CUstreamCaptureStatus *status)
{
    XG_CUDA_NEED(status, CUDA_ERROR_INVALID_VALUE);
    CUresult r;
    SC_ENTER_OF(ctx, SC_STREAM, stream);
    struct sc_stream *s = sc_stream_get(ctx, stream, &r);
    if (!s)
        return r;
    if (s == ctx->legacy && atomic_load(&ctx->capturing))
        r = CUDA_ERROR_STREAM_CAPTURE_IMPLICIT;
    pthread_mutex_lock(&sc_graph_lock);
    *status = !s->capture                 ? CU_STREAM_CAPTURE_STATUS_NONE
              : s->capture->core->invalid ? CU_STREAM_CAPTURE_STATUS_INVALIDATED
                                          : CU_STREAM_CAPTURE_STATUS_ACTIVE;
    pthread_mutex_unlock(&sc_graph_lock);
    sc_stream_put(s);
    return r;
}

/* The node handles that cuStreamGetCaptureInfo shows live until the thread's next call. */
static CUgraphNode *front_handles(const struct sc_capture *c)
{
    static __thread CUgraphNode few[64];

    for (unsigned i = 0; i < c->count && i < XG_ARRAY_LEN(few); i++)
        few[i] = c->front[i]->handle;
    return few;
}

CUresult cuStreamGetCaptureInfo_v3(CUstream stream, CUstreamCaptureStatus *status, cuuint64_t *id,
                                   CUgraph *graph, const CUgraphNode **deps,
                                   const CUgraphEdgeData **edges, size_t *count)
{
    XG_CUDA_NEED(status, CUDA_ERROR_INVALID_VALUE);
    CUresult r;
    SC_ENTER_OF(ctx, SC_STREAM, stream);
    if ((r = cuStreamIsCapturing(stream, status)))
        return r;
    struct sc_stream *s = sc_stream_get(ctx, stream, &r);
    if (!s)
        return r;
    if (edges)
        *edges = NULL;
    pthread_mutex_lock(&sc_graph_lock);
    struct sc_capture *c = s->capture;
    if (c && !c->core->invalid) {
        if (id)
            *id = c->core->id;
        if (graph)
            *graph = c->core->graph->handle;
        if (deps)
            *deps = front_handles(c);
        if (count)
            *count = xg_min_u64(c->count, 64);
    }
    pthread_mutex_unlock(&sc_graph_lock);
    sc_stream_put(s);
    return CUDA_SUCCESS;
}

CUresult cuStreamGetCaptureInfo_v2(CUstream stream, CUstreamCaptureStatus *status, cuuint64_t *id,
                                   CUgraph *graph, const CUgraphNode **deps, size_t *count)
{
    XG_CUDA_NEED(status, CUDA_ERROR_INVALID_VALUE);
    return cuStreamGetCaptureInfo_v3(stream, status, id, graph, deps, NULL, count);
}

CUresult cuStreamGetCaptureInfo(CUstream stream, CUstreamCaptureStatus *status, cuuint64_t *id)
{
    return cuStreamGetCaptureInfo_v3(stream, status, id, NULL, NULL, NULL, NULL);
}

CUresult cuStreamUpdateCaptureDependencies_v2(CUstream stream, CUgraphNode *nodes,
                                              const CUgraphEdgeData *edges, size_t count,
                                              unsigned flags)
{
    CUresult r;
    SC_ENTER_OF(ctx, SC_STREAM, stream);
    if (count && !nodes)
        return CUDA_ERROR_INVALID_VALUE;
    struct sc_stream *s = sc_stream_get(ctx, stream, &r);
    if (!s)
        return r;
    pthread_mutex_lock(&sc_graph_lock);
    struct sc_capture *c = s->capture;
    if (!c)
        r = CUDA_ERROR_ILLEGAL_STATE;
    else if (flags > CU_STREAM_SET_CAPTURE_DEPENDENCIES)
        r = CUDA_ERROR_INVALID_VALUE;
    for (size_t i = 0; i < count && !r; i++) {
        struct sc_node *n = sc_handle_get(SC_NODE, nodes[i]);
        if (!n || n->graph != c->core->graph)
            r = CUDA_ERROR_INVALID_VALUE;
    }
    if (!r && flags == CU_STREAM_SET_CAPTURE_DEPENDENCIES)
        c->count = 0;
    for (size_t i = 0; i < count && !r; i++)
        if (!front_add(c, sc_handle_get(SC_NODE, nodes[i])))
            r = CUDA_ERROR_OUT_OF_MEMORY;
    pthread_mutex_unlock(&sc_graph_lock);
    sc_stream_put(s);
    return r;
}

CUresult cuStreamUpdateCaptureDependencies(CUstream stream, CUgraphNode *nodes, size_t count,
                                           unsigned flags)
{
    return cuStreamUpdateCaptureDependencies_v2(stream, nodes, NULL, count, flags);
}
