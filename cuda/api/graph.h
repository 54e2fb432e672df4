/*
 * Graphs: nodes with what they do, and executable graphs, which are copies in an order that
 * satisfies the dependencies. A launch gives the nodes to the stream, one after the other: that is
 * right for every graph, and gives up what branches could do at the same time.
 *
 * For cuda/api alone. One lock for all graphs and captures, inside of all others. An executable
 * graph has one of its own, outside of all others, for what its nodes do.
 */
#ifndef XG_CUDA_API_GRAPH_H
#define XG_CUDA_API_GRAPH_H

#include <pthread.h>

#include "cuda/api/context.h"
#include "cuda/device.h"

/* What a node does. */
struct xg_cuda_work {
    CUgraphNodeType type;
    bool cooperative; /* kernel: stays so when its parameters change */
    void *own;        /* the device's, of kernels, copies and fills */
    void **args;      /* kernel: into the block behind them; owned, as the application's may go */
    size_t args_size; /* of both, bytes */
    unsigned args_count;
    CUmemorytype from, to; /* copy: never CU_MEMORYTYPE_UNIFIED */
    union {
        CUDA_KERNEL_NODE_PARAMS kernel; /* kernelParams are `args`; of the function's context */
        struct {
            CUDA_MEMCPY3D copy;     /* as the program described it */
            struct xg_cuda_box box; /* what that means */
        };
        CUDA_MEMSET_NODE_PARAMS fill;
        CUDA_HOST_NODE_PARAMS host;
        CUevent event;
    };
};

struct xg_cuda_graph;

/* References to user objects, which end together. All zero: none. */
struct xg_cuda_keeps {
    struct xg_cuda_keep {
        struct xg_cuda_user_object *object;
        unsigned long count;
    } * keep;
    unsigned count;
};

struct xg_cuda_node {
    bool disabled;
    struct xg_cuda_graph *child;
    struct xg_cuda_work work;
    CUlaunchAttributeValue *hints; /* attribute.c; NULL: none is set */
    CUgraphNode handle;            /* NULL in an executable graph */
    CUgraphNode origin;            /* the node that this is a copy of */
    struct xg_cuda_graph *graph;
    struct xg_cuda_node **dep;
    unsigned deps;
    unsigned index;      /* scratch: of walks through its graph */
    uint64_t sink_since; /* when nothing depended on it any more: a number that grew each time */
};

struct xg_cuda_graph {
    CUgraph handle;             /* NULL: of an executable graph */
    struct xg_cuda_node **node; /* in order of creation; executable: of execution */
    unsigned count, room;
    uint64_t sinks_made; /* the last sink_since */
    bool owned;          /* by a node: not the application's to destroy */
    bool captured;       /* a capture is making it: no node may go */
    struct xg_cuda_keeps keeps;
};

extern pthread_mutex_t xg_cuda_graph_lock;

/* What every call begins with; ctx may become NULL. */
#define XG_CUDA_ENTER(ctx)                                                                         \
    CUcontext ctx;                                                                                 \
    do {                                                                                           \
        CUresult enter_ = xg_cuda_enter_none(&ctx);                                                \
        if (XG_UNLIKELY(enter_ != CUDA_SUCCESS))                                                   \
            return enter_;                                                                         \
    } while (0)

static inline void xg_cuda_graphs_lock(void)
{
    pthread_mutex_lock(&xg_cuda_graph_lock);
}

static inline void xg_cuda_graphs_unlock(void)
{
    pthread_mutex_unlock(&xg_cuda_graph_lock);
}

static inline struct xg_cuda_graph *xg_cuda_graph_get(CUgraph h)
{
    return xg_cuda_handle_get(XG_CUDA_KIND_GRAPH, h);
}

static inline struct xg_cuda_node *xg_cuda_node_get(CUgraphNode h)
{
    return xg_cuda_handle_get(XG_CUDA_KIND_NODE, h);
}

/* --- work.c: no lock is needed, nobody sees the work yet -------------------------------------- */

/* Fills *w, whose `cooperative` is set already. `params` points to the API's structure for that
 * kind of node, or to the event. */
CUresult xg_cuda_work_set(struct xg_cuda_work *w, CUgraphNodeType type, const void *params,
                          CUcontext ctx);
bool xg_cuda_work_copy(struct xg_cuda_work *to,
                       const struct xg_cuda_work *from); /* false: no memory */
void xg_cuda_work_free(struct xg_cuda_work *w);
CUresult xg_cuda_work_run(const struct xg_cuda_work *w, struct xg_cuda_stream *s);
/* What xg_cuda_work_set takes, of the structure that has all of them. */
const void *xg_cuda_params_of(const CUgraphNodeParams *p);
CUDA_KERNEL_NODE_PARAMS xg_cuda_kernel_v2(const CUDA_KERNEL_NODE_PARAMS_v1 *p);
/* Of an executable graph a driver looks at members that it does not look at elsewhere. */
bool xg_cuda_copy_changes(const CUDA_MEMCPY3D *p);

/* --- graph.c: the lock is held ---------------------------------------------------------------- */

struct xg_cuda_graph *xg_cuda_graph_new(bool visible); /* needs no lock. NULL: no memory */
void xg_cuda_graph_free(struct xg_cuda_graph *g);
/* An invisible copy is in an order that satisfies the dependencies. NULL: *r says why. */
struct xg_cuda_graph *xg_cuda_graph_copy(struct xg_cuda_graph *g, bool visible, CUresult *r);
/* The nodes, each behind what it depends on, and their `index` there; to be freed. NULL: *r. */
struct xg_cuda_node **xg_cuda_graph_sort(const struct xg_cuda_graph *g, CUresult *r);
/* Takes over *w, and clears it. NULL: no memory. */
struct xg_cuda_node *xg_cuda_node_add(struct xg_cuda_graph *g, struct xg_cuda_work *w,
                                      struct xg_cuda_node *const *dep, unsigned deps);
void xg_cuda_node_remove(struct xg_cuda_node *n);
/* Needs no lock. Others are for programmatic launches: a kernel here ends before the next begins.
 */
bool xg_cuda_edges_plain(const CUgraphEdgeData *edge, size_t count);

/* --- node.c: takes the lock ------------------------------------------------------------------- */

/* Gives the node other work of its kind, and *work what it had. CUDA_ERROR_INVALID_VALUE: there is
 * no such node. */
CUresult xg_cuda_node_work(CUgraphNode h, struct xg_cuda_work *work);

/* --- attribute.c: the lock is held ------------------------------------------------------------ */

bool xg_cuda_hints_copy(struct xg_cuda_node *to, const struct xg_cuda_node *from);

/* --- user_object.c: takes the lock if it is not held ------------------------------------------ */

/* Adds to `to` what `from` has. False: no memory. */
bool xg_cuda_keeps_copy(struct xg_cuda_keeps *to, const struct xg_cuda_keeps *from);
void xg_cuda_keeps_end(struct xg_cuda_keeps *k);
/* What a launch of the graph keeps until it is over, its children's too. False: no memory. */
bool xg_cuda_keeps_of(struct xg_cuda_keeps *to, const struct xg_cuda_graph *g);

/* --- update.c --------------------------------------------------------------------------------- */

/* Whether `was`, which is executable, can become `now`. CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE: *info
 * says why, with nodes of `now`. */
CUresult xg_cuda_graph_compare(const struct xg_cuda_graph *was, const struct xg_cuda_graph *now,
                               CUgraphExecUpdateResultInfo *info);

/* --- capture.c -------------------------------------------------------------------------------- */

void xg_cuda_captures_reset(void);

#endif
