/*
 * The shape of a graph: what cuGraphExecUpdate may not change. Both sides that keep graphs (the
 * guest's libcuda and softcuda) describe theirs so; the comparison, and which of the API's results
 * it has, is here.
 */
#ifndef XG_CUDA_GRAPH_SHAPE_H
#define XG_CUDA_GRAPH_SHAPE_H

#include <stdbool.h>

#include "cuda/abi.h"

struct xg_cuda_shape_node {
    CUgraphNode handle; /* of the graph's node, for the caller of cuGraphExecUpdate */
    CUgraphNodeType type;
    unsigned *dep, deps; /* indices of nodes; owned */
    uint64_t sink_since; /* nodes that nothing depends on: a number that grew each time that one
                            became so */
    struct xg_cuda_shape *child; /* owned */
    const void *ctx;             /* kernels: whose the function is */
    bool cooperative;
    CUmemorytype from, to; /* copies; never CU_MEMORYTYPE_UNIFIED */
    size_t width, height;  /* fills of several rows; else 0 */
    unsigned element;
};

/* Nodes stand in an order that the same calls give again: that of their making, each behind what it
 * depends on. */
struct xg_cuda_shape {
    unsigned *sink, sinks; /* indices of the nodes that nothing depends on, by sink_since; owned */
    unsigned count;
    struct xg_cuda_shape_node node[];
};

struct xg_cuda_shape *xg_cuda_shape_new(unsigned count); /* zeroed; NULL: out of memory */
bool xg_cuda_shape_finish(
    struct xg_cuda_shape *s); /* when all nodes are described; false: out of memory */
void xg_cuda_shape_free(struct xg_cuda_shape *s); /* NULL is allowed */

/* CUDA_SUCCESS, or CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE; *info says why, with nodes of `now`. */
CUresult xg_cuda_shape_compare(const struct xg_cuda_shape *was, const struct xg_cuda_shape *now,
                               CUgraphExecUpdateResultInfo *info);

#endif
