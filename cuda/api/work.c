/* What nodes do: parameters, checked and copied, and how they go to a stream. */
#include "cuda/api/copy.h"
#include "cuda/api/event.h"
#include "cuda/api/graph.h"
#include "cuda/api/launch.h"

#include <stdlib.h>
#include <string.h>

void xg_cuda_work_free(struct xg_cuda_work *w)
{
    free(w->args);
    if (w->own)
        xg_cuda_device.own_put(w->own);
    *w = (struct xg_cuda_work){0};
}

bool xg_cuda_work_copy(struct xg_cuda_work *to, const struct xg_cuda_work *from)
{
    void **args = from->args ? malloc(from->args_size) : NULL;

    if (from->args && !args)
        return false;
    *to = *from;
    if (to->own)
        xg_cuda_device.own_get(to->own);
    if (!args)
        return true;
    to->args = args;
    memcpy(to->args, from->args, from->args_size);
    for (unsigned i = 0; i < from->args_count; i++)
        to->args[i] = (char *)to->args + ((char *)from->args[i] - (char *)from->args);
    to->kernel.kernelParams = to->args;
    return true;
}

/* --- filling ---------------------------------------------------------------------------------- */

static CUresult args_copy(struct xg_cuda_work *w, const struct xg_cuda_layout *l)
{
    size_t pointers = xg_align_up(l->count * sizeof(void *), 16);
    struct xg_cuda_args given;
    CUresult r = xg_cuda_args_find(l, w->kernel.kernelParams, w->kernel.extra, &given);

    if (r != CUDA_SUCCESS)
        return r;
    w->args_size = pointers + l->bytes + 1;
    w->args_count = l->count;
    w->args = calloc(1, w->args_size);
    if (!w->args)
        return CUDA_ERROR_OUT_OF_MEMORY;
    char *block = (char *)w->args + pointers;
    xg_cuda_args_write(l, &given, block);
    for (unsigned i = 0; i < l->count; i++)
        w->args[i] = block + l->place[i].offset;
    w->kernel.kernelParams = w->args;
    w->kernel.extra = NULL;
    return CUDA_SUCCESS;
}

static CUresult kernel_set(struct xg_cuda_work *w, const CUDA_KERNEL_NODE_PARAMS *p, CUcontext ctx)
{
    struct xg_cuda_layout layout;

    w->kernel = *p;
    if (p->func || !p->ctx) /* a function has its context, a kernel is given one */
        w->kernel.ctx = ctx;
    CUresult r = xg_cuda_device.kernel_check(&w->kernel, w->cooperative, &layout, &w->own);
    return r == CUDA_SUCCESS ? args_copy(w, &layout) : r;
}

static CUresult copy_set(struct xg_cuda_work *w, const CUDA_MEMCPY3D *p)
{
    CUresult r = xg_cuda_box_of(p, &w->box);

    w->copy = *p;
    if (r == CUDA_SUCCESS && xg_cuda_box_empty(&w->box))
        r = CUDA_ERROR_INVALID_VALUE; /* a node has something to do */
    if (r == CUDA_SUCCESS)
        r = xg_cuda_device.copy_check(&w->box, &w->own);
    if (r != CUDA_SUCCESS)
        return r;
    w->from = xg_cuda_side_type(&w->box.src);
    w->to = xg_cuda_side_type(&w->box.dst);
    return CUDA_SUCCESS;
}

static CUresult fill_set(struct xg_cuda_work *w, const CUDA_MEMSET_NODE_PARAMS *p)
{
    w->fill = *p;
    if ((p->elementSize != 1 && p->elementSize != 2 && p->elementSize != 4) || !p->width ||
        !p->height || !xg_cuda_fill_valid(p))
        return CUDA_ERROR_INVALID_VALUE;
    return xg_cuda_device.fill_check(p, &w->own);
}

CUresult xg_cuda_work_set(struct xg_cuda_work *w, CUgraphNodeType type, const void *params,
                          CUcontext ctx)
{
    w->type = type;
    switch (type) {
    case CU_GRAPH_NODE_TYPE_KERNEL: return kernel_set(w, params, ctx);
    case CU_GRAPH_NODE_TYPE_MEMCPY: return copy_set(w, params);
    case CU_GRAPH_NODE_TYPE_MEMSET: return fill_set(w, params);
    case CU_GRAPH_NODE_TYPE_HOST:
        w->host = *(const CUDA_HOST_NODE_PARAMS *)params;
        return w->host.fn ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
    case CU_GRAPH_NODE_TYPE_EVENT_RECORD:
    case CU_GRAPH_NODE_TYPE_WAIT_EVENT:
        w->event = *(const CUevent *)params;
        return xg_cuda_event_get(w->event) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
    case CU_GRAPH_NODE_TYPE_GRAPH:
    case CU_GRAPH_NODE_TYPE_EMPTY: return CUDA_SUCCESS;
    default: return CUDA_ERROR_NOT_SUPPORTED;
    }
}

/* The union's member begins as the older structure of its kind does. */
const void *xg_cuda_params_of(const CUgraphNodeParams *p)
{
    switch (p->type) {
    case CU_GRAPH_NODE_TYPE_KERNEL: return &p->kernel;
    case CU_GRAPH_NODE_TYPE_MEMCPY: return &p->memcpy.copyParams;
    case CU_GRAPH_NODE_TYPE_MEMSET: return &p->memset;
    case CU_GRAPH_NODE_TYPE_HOST: return &p->host;
    case CU_GRAPH_NODE_TYPE_GRAPH: return &p->graph.graph;
    case CU_GRAPH_NODE_TYPE_EVENT_RECORD: return &p->eventRecord.event;
    case CU_GRAPH_NODE_TYPE_WAIT_EVENT: return &p->eventWait.event;
    default: return p;
    }
}

CUDA_KERNEL_NODE_PARAMS xg_cuda_kernel_v2(const CUDA_KERNEL_NODE_PARAMS_v1 *p)
{
    CUDA_KERNEL_NODE_PARAMS v = {0};

    memcpy(&v, p, sizeof(*p)); /* later versions append */
    return v;
}

bool xg_cuda_copy_changes(const CUDA_MEMCPY3D *p)
{
    return !p->reserved0 && !p->reserved1 && !p->srcLOD && !p->dstLOD &&
           (p->Depth < 2 || p->srcHeight);
}

/* --- running ---------------------------------------------------------------------------------- */

CUresult xg_cuda_work_run(const struct xg_cuda_work *w, struct xg_cuda_stream *s)
{
    switch (w->type) {
    case CU_GRAPH_NODE_TYPE_KERNEL:
        return xg_cuda_device.launch(s, &w->kernel, w->cooperative, w->own);
    case CU_GRAPH_NODE_TYPE_MEMCPY: return xg_cuda_device.copy(s, &w->box, false, w->own);
    case CU_GRAPH_NODE_TYPE_MEMSET: return xg_cuda_device.fill(s, &w->fill, false, w->own);
    case CU_GRAPH_NODE_TYPE_HOST:
        return xg_cuda_device.facts->host_functions ? xg_cuda_device.host(s, &w->host)
                                                    : CUDA_ERROR_NOT_SUPPORTED;
    case CU_GRAPH_NODE_TYPE_EVENT_RECORD: return xg_cuda_event_record(s, w->event, 0);
    case CU_GRAPH_NODE_TYPE_WAIT_EVENT: return xg_cuda_event_wait(s, w->event, 0);
    default: return CUDA_SUCCESS;
    }
}
