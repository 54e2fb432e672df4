/*
 * Graphs: kept in the guest. An executable graph is its nodes in an order that respects their
 * dependencies; a launch sends them, one after the other, to the stream. That is right for every
 * graph, and gives up what branches could do at the same time.
 */
#ifndef XG_INTERPOSER_CUDA_GRAPH_H
#define XG_INTERPOSER_CUDA_GRAPH_H

#include "interposer/cuda/copy.h"
#include "cuda/graph_shape.h"

struct cu_graph;

struct cu_node {
    struct cu_object o;
    struct cu_graph *graph;
    CUgraphNodeType type;
    uint32_t origin; /* name of the node that this is a copy of, 0: none */
    bool disabled;
    bool cooperative;    /* kernel */
    unsigned index;      /* scratch: of walks through its graph */
    uint64_t sink_since; /* see cuda/graph_shape.h */
    struct cu_node **dep;
    unsigned deps;
    CUDA_KERNEL_NODE_PARAMS_v2 kernel; /* `extra` and `kernelParams` point into the next two */
    uint8_t *block;
    void **args;
    size_t block_size;
    CUDA_MEMCPY3D copy;
    CUDA_MEMSET_NODE_PARAMS fill;
    CUDA_HOST_NODE_PARAMS host;
    CUevent event;
    struct cu_graph *child;
};

struct cu_graph {
    struct cu_object o; /* of an executable graph too */
    struct cu_ctx *ctx;
    struct cu_node **node; /* in order of creation; executable: of execution */
    unsigned count, size;
    uint64_t sinks_made; /* the last sink_since */
    unsigned long long flags;
    struct xg_cuda_shape *shape; /* executable: of the graph that it was made from */
    bool owned;                  /* by a node: not the application's to destroy */
};

/* A stream that is being captured: its share of it. */
struct cu_capturing;
struct cu_capture {
    struct cu_capturing *of;
    struct cu_node **tail; /* what the next operation depends on */
    unsigned tails;
    bool first; /* the stream that capture began on */
};

CUresult cu_node_new(struct cu_graph *g, CUgraphNodeType type, struct cu_node *const *dep,
                     unsigned deps, struct cu_node **out);
/* Whether it could be done now (launch.c, copy3d.c, fill.c). */
CUresult cu_launch_check(const struct cu_func *f, const CUDA_KERNEL_NODE_PARAMS_v2 *p);
CUresult cu_copy_check(const CUDA_MEMCPY3D *p);
CUresult cu_fill_check(const CUDA_MEMSET_NODE_PARAMS *p);
CUresult cu_node_set_kernel(struct cu_node *n, const CUDA_KERNEL_NODE_PARAMS_v2 *p);
struct cu_graph *cu_graph_new(struct cu_ctx *ctx);
void cu_graph_free(struct cu_graph *g);
/* An executable one has its nodes in an order that respects dependencies. NULL: *r says why. */
struct cu_graph *cu_graph_copy(struct cu_graph *g, enum cu_kind kind, CUresult *r);
/* Of an executable graph. NULL: out of memory. */
struct xg_cuda_shape *cu_graph_shape(struct cu_graph *g);

/* --- capture.c: NULL if that stream is not being captured ------------------------------------- */

struct cu_capture *cu_capture_find(uint32_t stream);
/* A call that cannot become a node: spoils the capture. */
CUresult cu_capture_refuses(struct cu_capture *c);

static inline struct cu_capture *cu_capture_of(uint32_t stream)
{
    return XG_LIKELY(!atomic_load_explicit(&cu_captures, memory_order_relaxed))
               ? NULL
               : cu_capture_find(stream);
}

/* The same for a call that cannot become a node. CUDA_SUCCESS: it is not being captured. */
static inline CUresult cu_capture_check(uint32_t stream)
{
    struct cu_capture *c = cu_capture_of(stream);
    return XG_LIKELY(!c) ? CUDA_SUCCESS : cu_capture_refuses(c);
}

CUresult cu_capture_kernel(struct cu_capture *c, const CUDA_KERNEL_NODE_PARAMS_v2 *p,
                           bool cooperative);
CUresult cu_capture_copy(struct cu_capture *c, const CUDA_MEMCPY3D *m);
CUresult cu_capture_linear(struct cu_capture *c, uint64_t dst, uint64_t src, uint64_t size);
CUresult cu_capture_fill(struct cu_capture *c, const CUDA_MEMSET_NODE_PARAMS *p);
CUresult cu_capture_host(struct cu_capture *c, CUhostFn fn, void *data);
/* An event recorded in a capture stands for a place in it; a stream that waits for it joins. */
struct cu_mark;
CUresult cu_capture_record(struct cu_capture *c, struct cu_mark **mark);
CUresult cu_capture_join(struct cu_ctx *ctx, uint32_t stream, const struct cu_mark *mark);
void cu_mark_free(struct cu_mark *mark);
/* What is answered about such an event. */
CUresult cu_mark_refuses(const struct cu_mark *mark);

#endif
