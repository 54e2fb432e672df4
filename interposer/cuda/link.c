/* The linker: inputs go to the worker as they come, the image comes back. */
#include "cuda/send.h"
#include "cuda/fatbin.h"

#include <stdlib.h>

#define OUT_FIRST ((uint64_t)1 << 20)
#define OUT_MAX   ((uint64_t)256 << 20)

struct cu_link {
    struct cu_object o;
    struct cu_ctx *ctx;
    void *image; /* what cuLinkComplete gave; the application's until cuLinkDestroy */
    struct xg_cuda_jit jit;
};

CUresult cuLinkCreate_v2(unsigned int count, CUjit_option *option, void **value, CUlinkState *out)
{
    CU_ENTER(ctx);
    struct xg_cuda_jit jit;
    if (!out || xg_cuda_jit_parse(&jit, count, option, value))
        return CUDA_ERROR_INVALID_VALUE;
    struct cu_link *l = cu_object_new(CU_KIND_LINK, sizeof(*l));
    if (!l)
        return CUDA_ERROR_OUT_OF_MEMORY;
    l->ctx = ctx;
    l->jit = jit;
    *out = cu_handle(&l->o);
    return CUDA_SUCCESS;
}

CUresult cuLinkCreate(unsigned int count, CUjit_option *option, void **value, CUlinkState *out)
{
    return cuLinkCreate_v2(count, option, value, out);
}

CUresult cuLinkAddData_v2(CUlinkState h, CUjitInputType type, void *data, size_t size,
                          const char *name, unsigned int count, CUjit_option *option, void **value)
{
    XG_CUDA_NEED(h, CUDA_ERROR_INVALID_HANDLE);
    const char *label = name ? name : "";
    struct cu_cmd c;

    CU_ENTER_OF(ctx, CU_KIND_LINK, h);
    struct cu_link *l = cu_object_get(CU_KIND_LINK, h);
    if (!l)
        return CUDA_ERROR_INVALID_HANDLE;
    if (!data || !size || (unsigned)type >= CU_JIT_NUM_INPUT_TYPES ||
        (count && (!option || !value)) || strlen(label) >= XG_BLOB_INLINE_MAX)
        return CUDA_ERROR_INVALID_VALUE;
    if (size > xg_blob_max(cu.ring))
        return CUDA_ERROR_OUT_OF_MEMORY;
    cu_begin_call(&c, ctx);
    cu_put_link_add(&c, &(struct xg_cuda_link_add){.link = l->o.name, .kind = type}, label, data,
                    size);
    return cu_end(&c);
}

CUresult cuLinkAddData(CUlinkState h, CUjitInputType type, void *data, size_t size,
                       const char *name, unsigned int count, CUjit_option *option, void **value)
{
    return cuLinkAddData_v2(h, type, data, size, name, count, option, value);
}

CUresult cuLinkAddFile_v2(CUlinkState h, CUjitInputType type, const char *path, unsigned int count,
                          CUjit_option *option, void **value)
{
    XG_CUDA_NEED(h, CUDA_ERROR_INVALID_HANDLE);
    enum xg_image_kind kind;
    const void *start;
    size_t size;
    void *data;

    CU_ENTER_OF(ctx, CU_KIND_LINK, h);
    if (!path || !*path)
        return CUDA_ERROR_INVALID_VALUE;
    CUresult r = xg_cuda_file_read(path, &data);
    if (r != CUDA_SUCCESS)
        return r;
    r = CUDA_ERROR_INVALID_IMAGE;
    if (xg_image_bounds(data, &start, &size, &kind) == 0)
        r = cuLinkAddData_v2(h, type, (void *)(uintptr_t)start, size, path, count, option, value);
    free(data);
    return r;
}

CUresult cuLinkAddFile(CUlinkState h, CUjitInputType type, const char *path, unsigned int count,
                       CUjit_option *option, void **value)
{
    return cuLinkAddFile_v2(h, type, path, count, option, value);
}

static CUresult complete(struct cu_link *l, uint64_t room, uint64_t *size)
{
    struct xg_cuda_link_complete_reply reply;
    uint32_t where;
    void *out = xg_arena_alloc(cu.channel, room, 64, &where);

    if (!out)
        return CUDA_ERROR_OUT_OF_MEMORY;
    CUresult r = cu_call_link_complete(
        l->ctx, &(struct xg_cuda_link_complete){.link = l->o.name, .out = where, .out_size = room},
        &reply);
    *size = reply.size;
    if (r == CUDA_SUCCESS && *size <= room) {
        free(l->image);
        l->image = malloc(*size + 1);
        if (l->image) {
            memcpy(l->image, out, *size);
            ((char *)l->image)[*size] = 0;
        } else {
            r = CUDA_ERROR_OUT_OF_MEMORY;
        }
    }
    xg_arena_free(cu.channel, out);
    return r;
}

CUresult cuLinkComplete(CUlinkState h, void **image, size_t *size)
{
    XG_CUDA_NEED(h, CUDA_ERROR_INVALID_HANDLE);
    uint64_t room = OUT_FIRST, need = 0;

    CU_ENTER_OF(ctx, CU_KIND_LINK, h);
    struct cu_link *l = cu_object_get(CU_KIND_LINK, h);
    if (!l)
        return CUDA_ERROR_INVALID_HANDLE;
    if (!image)
        return CUDA_ERROR_INVALID_VALUE;
    CUresult r = complete(l, room, &need);
    if (r == CUDA_SUCCESS && need > room && need <= OUT_MAX)
        r = complete(l, need, &need);
    xg_cuda_jit_report(&l->jit, r, ""); /* what the driver's linker says does not come over */
    if (r != CUDA_SUCCESS)
        return r;
    *image = l->image;
    if (size)
        *size = need;
    return l->image ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}

CUresult cuLinkDestroy(CUlinkState h)
{
    XG_CUDA_NEED(h, CUDA_ERROR_INVALID_HANDLE);
    CU_ENTER_OF(ctx, CU_KIND_LINK, h);
    struct cu_link *l = cu_object_get(CU_KIND_LINK, h);
    if (!l || !cu_object_hide(&l->o))
        return CUDA_ERROR_INVALID_HANDLE;
    CUresult r = cu_send_link_destroy(ctx, &(struct xg_cuda_link_destroy){.link = l->o.name});
    free(l->image);
    cu_object_free(&l->o);
    return r;
}
