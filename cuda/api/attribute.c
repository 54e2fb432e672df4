/*
 * Attributes of kernel nodes. Whether a launch is cooperative belongs to its work. The others that
 * can be set are hints: nodes run one after the other here, on a device that has its own idea of
 * caches and priorities, so they are kept and told, and change nothing else.
 */
#include "cuda/api/graph.h"

#include <stdlib.h>
#include <string.h>

static const CUlaunchAttributeID hint_ids[] = {
    CU_LAUNCH_ATTRIBUTE_ACCESS_POLICY_WINDOW,
    CU_LAUNCH_ATTRIBUTE_CLUSTER_SCHEDULING_POLICY_PREFERENCE,
    CU_LAUNCH_ATTRIBUTE_PRIORITY,
    CU_LAUNCH_ATTRIBUTE_MEM_SYNC_DOMAIN_MAP,
    CU_LAUNCH_ATTRIBUTE_MEM_SYNC_DOMAIN,
    CU_LAUNCH_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT,
};
#define HINTS XG_ARRAY_LEN(hint_ids)

static int hint_index(CUlaunchAttributeID id)
{
    for (unsigned i = 0; i < HINTS; i++)
        if (hint_ids[i] == id)
            return (int)i;
    return -1;
}

static bool hints_make(struct xg_cuda_node *n)
{
    if (!n->hints)
        n->hints = calloc(HINTS, sizeof(*n->hints));
    return n->hints != NULL;
}

bool xg_cuda_hints_copy(struct xg_cuda_node *to, const struct xg_cuda_node *from)
{
    if (!from->hints)
        return true;
    if (!hints_make(to))
        return false;
    memcpy(to->hints, from->hints, HINTS * sizeof(*to->hints));
    return true;
}

/* Lock held. */
static struct xg_cuda_node *kernel_node(CUgraphNode h)
{
    struct xg_cuda_node *n = xg_cuda_node_get(h);

    return n && n->work.type == CU_GRAPH_NODE_TYPE_KERNEL ? n : NULL;
}

/* --- whether it is cooperative ---------------------------------------------------------------- */

/* The kernel is checked again, as its grid may be too large for that. */
static CUresult cooperative_set(CUgraphNode h, bool cooperative, CUcontext ctx)
{
    struct xg_cuda_work was = {0}, fresh = {.cooperative = cooperative};

    xg_cuda_graphs_lock();
    struct xg_cuda_node *n = kernel_node(h);
    bool copied = n && xg_cuda_work_copy(&was, &n->work);
    xg_cuda_graphs_unlock();
    if (!copied)
        return n ? CUDA_ERROR_OUT_OF_MEMORY : CUDA_ERROR_INVALID_VALUE;
    CUresult r = xg_cuda_work_set(&fresh, CU_GRAPH_NODE_TYPE_KERNEL, &was.kernel, ctx);
    xg_cuda_work_free(&was);
    if (r == CUDA_SUCCESS)
        r = xg_cuda_node_work(h, &fresh);
    xg_cuda_work_free(&fresh);
    return r;
}

/* --- the API ---------------------------------------------------------------------------------- */

CUresult cuGraphKernelNodeGetAttribute(CUgraphNode h, CUkernelNodeAttrID id,
                                       CUkernelNodeAttrValue *value)
{
    int hint = hint_index(id);

    XG_CUDA_ENTER(ctx);
    if (!value || (hint < 0 && id != CU_LAUNCH_ATTRIBUTE_COOPERATIVE &&
                   id != CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION))
        return CUDA_ERROR_INVALID_VALUE;
    xg_cuda_graphs_lock();
    const struct xg_cuda_node *n = kernel_node(h);
    if (n) {
        *value = (CUkernelNodeAttrValue){0};
        if (hint >= 0 && n->hints)
            *value = n->hints[hint];
        else if (id == CU_LAUNCH_ATTRIBUTE_COOPERATIVE)
            value->cooperative = n->work.cooperative;
    }
    xg_cuda_graphs_unlock();
    return n ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

static CUresult hint_set(CUgraphNode h, int hint, const CUkernelNodeAttrValue *value)
{
    xg_cuda_graphs_lock();
    struct xg_cuda_node *n = kernel_node(h);
    CUresult r = !n              ? CUDA_ERROR_INVALID_VALUE
                 : hints_make(n) ? CUDA_SUCCESS
                                 : CUDA_ERROR_OUT_OF_MEMORY;
    if (r == CUDA_SUCCESS)
        n->hints[hint] = *value;
    xg_cuda_graphs_unlock();
    return r;
}

/* A graph's kernels are launched without clusters. */
static CUresult cluster_set(CUgraphNode h, const CUkernelNodeAttrValue *value)
{
    xg_cuda_graphs_lock();
    bool found = kernel_node(h);
    xg_cuda_graphs_unlock();
    if (!found)
        return CUDA_ERROR_INVALID_VALUE;
    return value->clusterDim.x <= 1 && value->clusterDim.y <= 1 && value->clusterDim.z <= 1
               ? CUDA_SUCCESS
               : CUDA_ERROR_NOT_SUPPORTED;
}

CUresult cuGraphKernelNodeSetAttribute(CUgraphNode h, CUkernelNodeAttrID id,
                                       const CUkernelNodeAttrValue *value)
{
    int hint = hint_index(id);

    XG_CUDA_ENTER(ctx);
    if (!value)
        return CUDA_ERROR_INVALID_VALUE;
    if (hint >= 0)
        return hint_set(h, hint, value);
    if (id == CU_LAUNCH_ATTRIBUTE_COOPERATIVE)
        return cooperative_set(h, value->cooperative, ctx);
    return id == CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION ? cluster_set(h, value)
                                                       : CUDA_ERROR_INVALID_VALUE;
}

CUresult cuGraphKernelNodeCopyAttributes(CUgraphNode to, CUgraphNode from)
{
    CUresult r = CUDA_ERROR_INVALID_VALUE;
    bool cooperative = false;

    XG_CUDA_ENTER(ctx);
    xg_cuda_graphs_lock();
    struct xg_cuda_node *dst = kernel_node(to);
    const struct xg_cuda_node *src = kernel_node(from);
    if (dst && src) {
        cooperative = src->work.cooperative;
        r = CUDA_SUCCESS;
        if (src->hints)
            r = xg_cuda_hints_copy(dst, src) ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
        else if (dst->hints)
            memset(dst->hints, 0, HINTS * sizeof(*dst->hints));
    }
    xg_cuda_graphs_unlock();
    return r == CUDA_SUCCESS ? cooperative_set(to, cooperative, ctx) : r;
}
