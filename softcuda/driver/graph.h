/* Graphs: nodes with their operations, and what an executable graph makes of them. One lock for all
 * graphs, inside of a stream's producer lock. */
#ifndef SC_GRAPH_H
#define SC_GRAPH_H

#include "softcuda/driver/sc.h"
#include "cuda/graph_shape.h"

struct sc_node {
    CUgraphNode handle;
    CUgraphNode origin; /* in a clone: the node it was made from */
    struct sc_graph *graph;
    CUgraphNodeType type;
    struct sc_node **deps;
    unsigned dep_count;
    uint64_t sink_since; /* see cuda/graph_shape.h */
    unsigned mark;       /* scratch of walks */
    struct sc_op op;     /* kernel, copy, fill, host function */
    CUfunction func;     /* kernel: as given */
    bool cooperative;    /* kernel: stays so when its parameters change */
    void **param_ptrs;   /* kernel: into op's parameters, for the questioner */
    CUDA_MEMCPY3D copy;
    CUDA_MEMSET_NODE_PARAMS set;
    struct sc_graph *child;
    struct sc_event *event; /* a reference */
};

struct sc_graph {
    CUgraph handle;
    struct sc_node **nodes; /* in the order of their making */
    unsigned count, room;
    uint64_t sinks_made; /* the last sink_since */
    CUgraph origin;
};

struct sc_item {
    CUgraphNode node;
    CUgraphNodeType type;
    bool enabled;
    struct sc_op op;
    struct sc_event *event;
};

struct sc_graph_exec {
    CUgraphExec handle;
    struct sc_item *items; /* in an order that satisfies all dependencies */
    unsigned count;
    cuuint64_t flags;
    struct xg_cuda_shape *shape; /* of the graph that it was made from */
};

extern pthread_mutex_t sc_graph_lock;
extern pthread_mutex_t sc_launch_lock; /* executable graphs; outside of the streams' locks */

/* graph.c; the lock is held */
struct sc_graph *sc_graph_new(void);
void sc_graph_free(struct sc_graph *g);
struct sc_graph *sc_graph_copy(const struct sc_graph *g);
struct sc_node *sc_node_new(struct sc_graph *g, CUgraphNodeType type, struct sc_node *const *deps,
                            unsigned dep_count);
void sc_node_free(struct sc_node *n);
bool sc_node_depend(struct sc_node *n, struct sc_node *on); /* false: no memory */
/* It is no dependency any more; false: nor was it before. */
bool sc_node_undepend(struct sc_node *n, struct sc_node *on);
/* Nodes so that each comes after what it depends on; NULL: a cycle, or no memory. To be freed. */
struct sc_node **sc_graph_sort(const struct sc_graph *g);

/* graph_shape.c; the lock is held. NULL: a cycle, or no memory. */
struct xg_cuda_shape *sc_graph_shape(const struct sc_graph *g);

/* graph_node.c: fills what a node does; no lock needed, the node is not in sight yet */
CUresult sc_node_kernel(struct sc_node *n, struct sc_ctx *ctx, const CUDA_KERNEL_NODE_PARAMS *p);
CUresult sc_node_copy(struct sc_node *n, const CUDA_MEMCPY3D *p);
CUresult sc_node_set(struct sc_node *n, const CUDA_MEMSET_NODE_PARAMS *p);
CUresult sc_node_host(struct sc_node *n, const CUDA_HOST_NODE_PARAMS *p);
bool sc_node_pointers(struct sc_node *n); /* param_ptrs of a kernel node */

/* copy.c, fill.c */
CUresult sc_copy_build(const CUDA_MEMCPY3D *p, struct sc_copy *box);
CUresult sc_set_build(const CUDA_MEMSET_NODE_PARAMS *p, struct sc_set *set);

#endif
