/* The linker: inputs go to the device as they come. */
#include "cuda/api/graph.h"
#include "cuda/api/image.h"

#include <stdlib.h>

struct linker {
    void *own; /* the device's */
    CUcontext ctx;
    struct xg_cuda_jit jit;
};

static CUresult linker_get(CUlinkState h, struct linker **l)
{
    XG_CUDA_READY();
    *l = xg_cuda_handle_get(XG_CUDA_KIND_LINK, h);
    return *l ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}

/* A linker goes with its context, and can only be destroyed afterwards. */
static CUresult linker_there(const struct linker *l)
{
    return xg_cuda_ctx_get(l->ctx) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_CONTEXT;
}

CUresult cuLinkCreate_v2(unsigned count, CUjit_option *option, void **value, CUlinkState *out)
{
    CUcontext ctx;
    CUresult r = xg_cuda_enter(&ctx);

    if (r != CUDA_SUCCESS)
        return r;
    if (!out)
        return CUDA_ERROR_INVALID_VALUE;
    struct linker *l = calloc(1, sizeof(*l));
    if (!l)
        return CUDA_ERROR_OUT_OF_MEMORY;
    l->ctx = ctx;
    r = xg_cuda_jit_parse(&l->jit, count, option, value);
    if (r == CUDA_SUCCESS)
        r = xg_cuda_device.link_new(ctx, &l->own);
    if (r != CUDA_SUCCESS) {
        free(l);
        return r;
    }
    *out = xg_cuda_handle_new(XG_CUDA_KIND_LINK, l);
    if (*out)
        return CUDA_SUCCESS;
    xg_cuda_device.link_free(l->own);
    free(l);
    return CUDA_ERROR_OUT_OF_MEMORY;
}

CUresult cuLinkCreate(unsigned count, CUjit_option *option, void **value, CUlinkState *out)
{
    return cuLinkCreate_v2(count, option, value, out);
}

CUresult cuLinkAddData_v2(CUlinkState h, CUjitInputType type, void *data, size_t size,
                          const char *name, unsigned count, CUjit_option *option, void **value)
{
    XG_CUDA_NEED(h, CUDA_ERROR_INVALID_HANDLE);
    struct linker *l;
    CUresult r = linker_get(h, &l);

    if (r != CUDA_SUCCESS)
        return r;
    if (!data || !size || (unsigned)type >= CU_JIT_NUM_INPUT_TYPES ||
        (count && (!option || !value)))
        return CUDA_ERROR_INVALID_VALUE;
    r = linker_there(l);
    return r == CUDA_SUCCESS ? xg_cuda_device.link_add(l->own, type, name ? name : "", data, size)
                             : r;
}

CUresult cuLinkAddData(CUlinkState h, CUjitInputType type, void *data, size_t size,
                       const char *name, unsigned count, CUjit_option *option, void **value)
{
    return cuLinkAddData_v2(h, type, data, size, name, count, option, value);
}

CUresult cuLinkAddFile_v2(CUlinkState h, CUjitInputType type, const char *path, unsigned count,
                          CUjit_option *option, void **value)
{
    XG_CUDA_NEED(h, CUDA_ERROR_INVALID_HANDLE);
    struct xg_cuda_image image;
    struct linker *l;
    void *data;
    CUresult r = linker_get(h, &l);

    if (r != CUDA_SUCCESS)
        return r;
    if (!path || !*path)
        return CUDA_ERROR_INVALID_VALUE;
    r = xg_cuda_file_read(path, &data);
    if (r != CUDA_SUCCESS)
        return r;
    r = xg_cuda_image_find(data, &image);
    if (r == CUDA_SUCCESS)
        r = cuLinkAddData_v2(h, type, (void *)(uintptr_t)image.start, image.size, path, count,
                             option, value);
    free(data);
    return r;
}

CUresult cuLinkAddFile(CUlinkState h, CUjitInputType type, const char *path, unsigned count,
                       CUjit_option *option, void **value)
{
    return cuLinkAddFile_v2(h, type, path, count, option, value);
}

CUresult cuLinkComplete(CUlinkState h, void **image, size_t *size)
{
    XG_CUDA_NEED(h, CUDA_ERROR_INVALID_HANDLE);
    struct linker *l;
    size_t bytes;
    void *made;
    CUresult r = linker_get(h, &l);

    if (r != CUDA_SUCCESS)
        return r;
    if (!image)
        return CUDA_ERROR_INVALID_VALUE;
    r = linker_there(l);
    if (r != CUDA_SUCCESS)
        return r;
    l->jit.start = xg_now_ns();
    r = xg_cuda_device.link_complete(l->own, &l->jit, &made, &bytes);
    if (r != CUDA_SUCCESS)
        return r;
    *image = made;
    if (size)
        *size = bytes;
    return r;
}

CUresult cuLinkDestroy(CUlinkState h)
{
    XG_CUDA_NEED(h, CUDA_ERROR_INVALID_HANDLE);
    struct linker *l;
    CUresult r = linker_get(h, &l);

    if (r != CUDA_SUCCESS)
        return r;
    if (!xg_cuda_handle_drop(XG_CUDA_KIND_LINK, h))
        return CUDA_ERROR_INVALID_HANDLE;
    r = xg_cuda_device.link_free(l->own);
    free(l);
    return r;
}
