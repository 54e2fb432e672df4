/* Graph nodes whose parameters have addresses of the program, or another layout than the driver's;
 * the other calls on graphs are generated. */
#include "interposer/cudart/runtime.h"

#include <string.h>

/* The generated code casts pointers to the first into pointers to the second. */
#define SAME(a, b) _Static_assert(sizeof(a) == sizeof(b), #a " and " #b " have one layout")
SAME(cudaGraphEdgeData, CUgraphEdgeData);
SAME(cudaGraphInstantiateParams, CUDA_GRAPH_INSTANTIATE_PARAMS);
SAME(cudaGraphExecUpdateResultInfo, CUgraphExecUpdateResultInfo);
SAME(struct cudaMemsetParams, CUDA_MEMSET_NODE_PARAMS);
SAME(struct cudaHostNodeParams, CUDA_HOST_NODE_PARAMS);
SAME(struct cudaMemAllocNodeParams, CUDA_MEM_ALLOC_NODE_PARAMS);
SAME(struct cudaGraphNodeParams, CUgraphNodeParams);
SAME(struct cudaMemPoolProps, CUmemPoolProps);
SAME(struct cudaMemAccessDesc, CUmemAccessDesc);
SAME(struct cudaMemcpyAttributes, CUmemcpyAttributes);
SAME(struct cudaMemcpy3DBatchOp, CUDA_MEMCPY3D_BATCH_OP);
SAME(cudaLaunchAttribute, CUlaunchAttribute);

static CUcontext context_current(void)
{
    CUcontext ctx = NULL;

    drv.cuCtxGetCurrent(&ctx);
    return ctx;
}

/* --- kernels ---------------------------------------------------------------------------------- */

static cudaError_t kernel_to_driver(const struct cudaKernelNodeParams *in,
                                    CUDA_KERNEL_NODE_PARAMS *out)
{
    RT_NEED(in);
    *out = (CUDA_KERNEL_NODE_PARAMS){
        .gridDimX = in->gridDim.x,
        .gridDimY = in->gridDim.y,
        .gridDimZ = in->gridDim.z,
        .blockDimX = in->blockDim.x,
        .blockDimY = in->blockDim.y,
        .blockDimZ = in->blockDim.z,
        .sharedMemBytes = in->sharedMemBytes,
        .kernelParams = in->kernelParams,
        .extra = in->extra,
        .ctx = context_current(),
    };
    return rt_kernel(in->func, &out->kern);
}

cudaError_t cudaGraphAddKernelNode(cudaGraphNode_t *node, cudaGraph_t graph,
                                   const cudaGraphNode_t *deps, size_t count,
                                   const struct cudaKernelNodeParams *params)
{
    CUDA_KERNEL_NODE_PARAMS p;

    RT_NEED(node);
    RT_ENTER();
    RT_TRY(kernel_to_driver(params, &p));
    return rt_result(drv.cuGraphAddKernelNode_v2(node, graph, deps, count, &p));
}

cudaError_t cudaGraphKernelNodeSetParams(cudaGraphNode_t node,
                                         const struct cudaKernelNodeParams *params)
{
    CUDA_KERNEL_NODE_PARAMS p;

    RT_ENTER();
    RT_TRY(kernel_to_driver(params, &p));
    return rt_result(drv.cuGraphKernelNodeSetParams_v2(node, &p));
}

cudaError_t cudaGraphExecKernelNodeSetParams(cudaGraphExec_t exec, cudaGraphNode_t node,
                                             const struct cudaKernelNodeParams *params)
{
    CUDA_KERNEL_NODE_PARAMS p;

    RT_ENTER();
    RT_TRY(kernel_to_driver(params, &p));
    return rt_result(drv.cuGraphExecKernelNodeSetParams_v2(exec, node, &p));
}

cudaError_t cudaGraphKernelNodeGetParams(cudaGraphNode_t node, struct cudaKernelNodeParams *params)
{
    CUDA_KERNEL_NODE_PARAMS p;
    const void *name;

    RT_NEED(params);
    RT_ENTER();
    RT_TRY(rt_result(drv.cuGraphKernelNodeGetParams_v2(node, &p)));
    name = rt_kernel_name(p.kern, p.func);
    if (!name) /* added through the driver API: there is no host address for it */
        return rt_fail(cudaErrorInvalidDeviceFunction);
    *params = (struct cudaKernelNodeParams){
        .func = (void *)(uintptr_t)name,
        .gridDim = {p.gridDimX, p.gridDimY, p.gridDimZ},
        .blockDim = {p.blockDimX, p.blockDimY, p.blockDimZ},
        .sharedMemBytes = p.sharedMemBytes,
        .kernelParams = p.kernelParams,
        .extra = p.extra,
    };
    return cudaSuccess;
}

/* --- copies ----------------------------------------------------------------------------------- */

static cudaError_t copy_node_add(cudaGraphNode_t *node, cudaGraph_t graph,
                                 const cudaGraphNode_t *deps, size_t count, const CUDA_MEMCPY3D *c)
{
    RT_NEED(node);
    return rt_result(drv.cuGraphAddMemcpyNode(node, graph, deps, count, c, context_current()));
}

static cudaError_t copy_to_symbol(const void *symbol, const void *src, size_t size, size_t offset,
                                  enum cudaMemcpyKind kind, CUDA_MEMCPY3D *c)
{
    void *at;

    RT_ENTER();
    RT_TRY(rt_variable_part(symbol, size, offset, &at));
    return rt_recorded(rt_copy1d(at, src, size, kind, c));
}

static cudaError_t copy_from_symbol(void *dst, const void *symbol, size_t size, size_t offset,
                                    enum cudaMemcpyKind kind, CUDA_MEMCPY3D *c)
{
    void *at;

    RT_ENTER();
    RT_TRY(rt_variable_part(symbol, size, offset, &at));
    return rt_recorded(rt_copy1d(dst, at, size, kind, c));
}

static cudaError_t copy_linear(void *dst, const void *src, size_t size, enum cudaMemcpyKind kind,
                               CUDA_MEMCPY3D *c)
{
    RT_ENTER();
    return rt_recorded(rt_copy1d(dst, src, size, kind, c));
}

static cudaError_t copy_3d(const struct cudaMemcpy3DParms *params, CUDA_MEMCPY3D *c)
{
    RT_NEED(params);
    RT_ENTER();
    return rt_recorded(rt_copy3d(params, c));
}

cudaError_t cudaGraphAddMemcpyNode(cudaGraphNode_t *node, cudaGraph_t graph,
                                   const cudaGraphNode_t *deps, size_t count,
                                   const struct cudaMemcpy3DParms *params)
{
    CUDA_MEMCPY3D c;

    RT_TRY(copy_3d(params, &c));
    return copy_node_add(node, graph, deps, count, &c);
}

cudaError_t cudaGraphAddMemcpyNodeToSymbol(cudaGraphNode_t *node, cudaGraph_t graph,
                                           const cudaGraphNode_t *deps, size_t count,
                                           const void *symbol, const void *src, size_t size,
                                           size_t offset, enum cudaMemcpyKind kind)
{
    CUDA_MEMCPY3D c;

    RT_TRY(copy_to_symbol(symbol, src, size, offset, kind, &c));
    return copy_node_add(node, graph, deps, count, &c);
}

cudaError_t cudaGraphAddMemcpyNodeFromSymbol(cudaGraphNode_t *node, cudaGraph_t graph,
                                             const cudaGraphNode_t *deps, size_t count, void *dst,
                                             const void *symbol, size_t size, size_t offset,
                                             enum cudaMemcpyKind kind)
{
    CUDA_MEMCPY3D c;

    RT_TRY(copy_from_symbol(dst, symbol, size, offset, kind, &c));
    return copy_node_add(node, graph, deps, count, &c);
}

cudaError_t cudaGraphAddMemcpyNode1D(cudaGraphNode_t *node, cudaGraph_t graph,
                                     const cudaGraphNode_t *deps, size_t count, void *dst,
                                     const void *src, size_t size, enum cudaMemcpyKind kind)
{
    CUDA_MEMCPY3D c;

    RT_TRY(copy_linear(dst, src, size, kind, &c));
    return copy_node_add(node, graph, deps, count, &c);
}

cudaError_t cudaGraphMemcpyNodeSetParams(cudaGraphNode_t node,
                                         const struct cudaMemcpy3DParms *params)
{
    CUDA_MEMCPY3D c;

    RT_TRY(copy_3d(params, &c));
    return rt_result(drv.cuGraphMemcpyNodeSetParams(node, &c));
}

cudaError_t cudaGraphMemcpyNodeSetParamsToSymbol(cudaGraphNode_t node, const void *symbol,
                                                 const void *src, size_t size, size_t offset,
                                                 enum cudaMemcpyKind kind)
{
    CUDA_MEMCPY3D c;

    RT_TRY(copy_to_symbol(symbol, src, size, offset, kind, &c));
    return rt_result(drv.cuGraphMemcpyNodeSetParams(node, &c));
}

cudaError_t cudaGraphMemcpyNodeSetParamsFromSymbol(cudaGraphNode_t node, void *dst,
                                                   const void *symbol, size_t size, size_t offset,
                                                   enum cudaMemcpyKind kind)
{
    CUDA_MEMCPY3D c;

    RT_TRY(copy_from_symbol(dst, symbol, size, offset, kind, &c));
    return rt_result(drv.cuGraphMemcpyNodeSetParams(node, &c));
}

cudaError_t cudaGraphMemcpyNodeSetParams1D(cudaGraphNode_t node, void *dst, const void *src,
                                           size_t size, enum cudaMemcpyKind kind)
{
    CUDA_MEMCPY3D c;

    RT_TRY(copy_linear(dst, src, size, kind, &c));
    return rt_result(drv.cuGraphMemcpyNodeSetParams(node, &c));
}

cudaError_t cudaGraphExecMemcpyNodeSetParams(cudaGraphExec_t exec, cudaGraphNode_t node,
                                             const struct cudaMemcpy3DParms *params)
{
    CUDA_MEMCPY3D c;

    RT_TRY(copy_3d(params, &c));
    return rt_result(drv.cuGraphExecMemcpyNodeSetParams(exec, node, &c, context_current()));
}

cudaError_t cudaGraphExecMemcpyNodeSetParamsToSymbol(cudaGraphExec_t exec, cudaGraphNode_t node,
                                                     const void *symbol, const void *src,
                                                     size_t size, size_t offset,
                                                     enum cudaMemcpyKind kind)
{
    CUDA_MEMCPY3D c;

    RT_TRY(copy_to_symbol(symbol, src, size, offset, kind, &c));
    return rt_result(drv.cuGraphExecMemcpyNodeSetParams(exec, node, &c, context_current()));
}

cudaError_t cudaGraphExecMemcpyNodeSetParamsFromSymbol(cudaGraphExec_t exec, cudaGraphNode_t node,
                                                       void *dst, const void *symbol, size_t size,
                                                       size_t offset, enum cudaMemcpyKind kind)
{
    CUDA_MEMCPY3D c;

    RT_TRY(copy_from_symbol(dst, symbol, size, offset, kind, &c));
    return rt_result(drv.cuGraphExecMemcpyNodeSetParams(exec, node, &c, context_current()));
}

cudaError_t cudaGraphExecMemcpyNodeSetParams1D(cudaGraphExec_t exec, cudaGraphNode_t node,
                                               void *dst, const void *src, size_t size,
                                               enum cudaMemcpyKind kind)
{
    CUDA_MEMCPY3D c;

    RT_TRY(copy_linear(dst, src, size, kind, &c));
    return rt_result(drv.cuGraphExecMemcpyNodeSetParams(exec, node, &c, context_current()));
}

static void copy_from_driver(const CUDA_MEMCPY3D *c, struct cudaMemcpy3DParms *p)
{
    bool from_array = c->srcMemoryType == CU_MEMORYTYPE_ARRAY;
    bool to_array = c->dstMemoryType == CU_MEMORYTYPE_ARRAY;
    size_t src = from_array ? rt_array_element(c->srcArray) : 1;
    size_t dst = to_array ? rt_array_element(c->dstArray) : 1;
    size_t unit = to_array ? dst : src;
    void *src_ptr = c->srcMemoryType == CU_MEMORYTYPE_HOST ? (void *)(uintptr_t)c->srcHost
                                                           : (void *)(uintptr_t)c->srcDevice;
    void *dst_ptr =
        c->dstMemoryType == CU_MEMORYTYPE_HOST ? c->dstHost : (void *)(uintptr_t)c->dstDevice;
    bool from_host = c->srcMemoryType == CU_MEMORYTYPE_HOST;
    bool to_host = c->dstMemoryType == CU_MEMORYTYPE_HOST;

    *p = (struct cudaMemcpy3DParms){
        .srcArray = from_array ? (cudaArray_t)c->srcArray : NULL,
        .srcPos = {c->srcXInBytes / (src ? src : 1), c->srcY, c->srcZ},
        .dstArray = to_array ? (cudaArray_t)c->dstArray : NULL,
        .dstPos = {c->dstXInBytes / (dst ? dst : 1), c->dstY, c->dstZ},
        .extent = {c->WidthInBytes / (unit ? unit : 1), c->Height, c->Depth},
        .kind = from_host ? (to_host ? cudaMemcpyHostToHost : cudaMemcpyHostToDevice)
                          : (to_host ? cudaMemcpyDeviceToHost : cudaMemcpyDeviceToDevice),
    };
    if (!from_array)
        p->srcPtr = (struct cudaPitchedPtr){src_ptr, c->srcPitch, c->srcPitch, c->srcHeight};
    if (!to_array)
        p->dstPtr = (struct cudaPitchedPtr){dst_ptr, c->dstPitch, c->dstPitch, c->dstHeight};
    if (c->srcMemoryType == CU_MEMORYTYPE_UNIFIED || c->dstMemoryType == CU_MEMORYTYPE_UNIFIED)
        p->kind = cudaMemcpyDefault;
}

cudaError_t cudaGraphMemcpyNodeGetParams(cudaGraphNode_t node, struct cudaMemcpy3DParms *params)
{
    CUDA_MEMCPY3D c;

    RT_NEED(params);
    RT_ENTER();
    RT_TRY(rt_result(drv.cuGraphMemcpyNodeGetParams(node, &c)));
    copy_from_driver(&c, params);
    return cudaSuccess;
}

/* --- fills ------------------------------------------------------------------------------------ */

cudaError_t cudaGraphAddMemsetNode(cudaGraphNode_t *node, cudaGraph_t graph,
                                   const cudaGraphNode_t *deps, size_t count,
                                   const struct cudaMemsetParams *params)
{
    RT_NEED(node);
    RT_NEED(params);
    RT_ENTER();
    return rt_result(drv.cuGraphAddMemsetNode(
        node, graph, deps, count, (const CUDA_MEMSET_NODE_PARAMS *)params, context_current()));
}

cudaError_t cudaGraphExecMemsetNodeSetParams(cudaGraphExec_t exec, cudaGraphNode_t node,
                                             const struct cudaMemsetParams *params)
{
    RT_NEED(params);
    RT_ENTER();
    return rt_result(drv.cuGraphExecMemsetNodeSetParams(
        exec, node, (const CUDA_MEMSET_NODE_PARAMS *)params, context_current()));
}

/* --- nodes of any type ------------------------------------------------------------------------ */

static cudaError_t kernel_v3(const struct cudaKernelNodeParams *in, CUDA_KERNEL_NODE_PARAMS_v3 *out)
{
    CUDA_KERNEL_NODE_PARAMS p;

    RT_TRY(kernel_to_driver(in, &p));
    SAME(CUDA_KERNEL_NODE_PARAMS, CUDA_KERNEL_NODE_PARAMS_v3);
    memcpy(out, &p, sizeof(*out));
    return cudaSuccess;
}

static cudaError_t node_to_driver(const struct cudaGraphNodeParams *in, CUgraphNodeParams *out)
{
    RT_NEED(in);
    memset(out, 0, sizeof(*out));
    out->type = (CUgraphNodeType)in->type;
    switch (in->type) {
    case cudaGraphNodeTypeKernel: return kernel_v3(&in->kernel, &out->kernel);
    case cudaGraphNodeTypeMemcpy:
        out->memcpy.flags = in->memcpy.flags;
        out->memcpy.copyCtx = context_current();
        return rt_recorded(rt_copy3d(&in->memcpy.copyParams, &out->memcpy.copyParams));
    case cudaGraphNodeTypeMemset:
        memcpy(&out->memset, &in->memset, sizeof(in->memset));
        out->memset.ctx = context_current();
        return cudaSuccess;
    case cudaGraphNodeTypeConditional:
        memcpy(&out->conditional, &in->conditional, sizeof(in->conditional));
        out->conditional.ctx = context_current();
        return cudaSuccess;
    default: /* the layout is the same in both APIs */
        memcpy(out->reserved1, in->reserved1, sizeof(in->reserved1));
        return cudaSuccess;
    }
}

/* What the driver writes back: an allocation's address, the graphs of a conditional node. */
static void node_results(const CUgraphNodeParams *from, struct cudaGraphNodeParams *to)
{
    if (to->type == cudaGraphNodeTypeMemAlloc)
        to->alloc.dptr = (void *)(uintptr_t)from->alloc.dptr;
    if (to->type == cudaGraphNodeTypeConditional)
        to->conditional.phGraph_out = from->conditional.phGraph_out;
}

static cudaError_t node_add(cudaGraphNode_t *node, cudaGraph_t graph, const cudaGraphNode_t *deps,
                            const cudaGraphEdgeData *edges, size_t count,
                            struct cudaGraphNodeParams *params)
{
    CUgraphNodeParams p;

    RT_NEED(node);
    RT_ENTER();
    RT_TRY(node_to_driver(params, &p));
    RT_TRY(rt_result(
        drv.cuGraphAddNode_v2(node, graph, deps, (const CUgraphEdgeData *)edges, count, &p)));
    node_results(&p, params);
    return cudaSuccess;
}

#if RT_VERSION == 12
cudaError_t cudaGraphAddNode_v2(cudaGraphNode_t *node, cudaGraph_t graph,
                                const cudaGraphNode_t *deps, const cudaGraphEdgeData *edges,
                                size_t count, struct cudaGraphNodeParams *params)
{
    return node_add(node, graph, deps, edges, count, params);
}

cudaError_t cudaGraphAddNode(cudaGraphNode_t *node, cudaGraph_t graph, const cudaGraphNode_t *deps,
                             size_t count, struct cudaGraphNodeParams *params)
{
    return node_add(node, graph, deps, NULL, count, params);
}
#else
cudaError_t cudaGraphAddNode(cudaGraphNode_t *node, cudaGraph_t graph, const cudaGraphNode_t *deps,
                             const cudaGraphEdgeData *edges, size_t count,
                             struct cudaGraphNodeParams *params)
{
    return node_add(node, graph, deps, edges, count, params);
}
#endif

cudaError_t cudaGraphNodeSetParams(cudaGraphNode_t node, struct cudaGraphNodeParams *params)
{
    CUgraphNodeParams p;

    RT_ENTER();
    RT_TRY(node_to_driver(params, &p));
    return rt_result(drv.cuGraphNodeSetParams(node, &p));
}

cudaError_t cudaGraphExecNodeSetParams(cudaGraphExec_t exec, cudaGraphNode_t node,
                                       struct cudaGraphNodeParams *params)
{
    CUgraphNodeParams p;

    RT_ENTER();
    RT_TRY(node_to_driver(params, &p));
    return rt_result(drv.cuGraphExecNodeSetParams(exec, node, &p));
}

cudaError_t cudaGraphConditionalHandleCreate(cudaGraphConditionalHandle *out, cudaGraph_t graph,
                                             unsigned int value, unsigned int flags)
{
    CUgraphConditionalHandle h;

    RT_NEED(out);
    RT_ENTER();
    RT_TRY(
        rt_result(drv.cuGraphConditionalHandleCreate(&h, graph, context_current(), value, flags)));
    *out = h;
    return cudaSuccess;
}

cudaError_t cudaGraphInstantiateWithParams_ptsz(cudaGraphExec_t *exec, cudaGraph_t graph,
                                                cudaGraphInstantiateParams *params)
{
    RT_NEED(params);
    if (!params->uploadStream)
        params->uploadStream = cudaStreamPerThread;
    return cudaGraphInstantiateWithParams(exec, graph, params);
}
