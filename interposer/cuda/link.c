/* The linker: inputs go to the worker as they come, the image comes back. */
#include "cuda/send.h"

#include <stdlib.h>

#define OUT_FIRST ((uint64_t)1 << 20)
#define OUT_MAX   ((uint64_t)256 << 20)

struct cu_link {
    struct cu_object o;
    struct cu_ctx *ctx;
    void *image; /* what the worker's linker gave */
};

CUresult cu_link_new(CUcontext h, void **own)
{
    struct cu_ctx *ctx = cu_ctx_of(xg_cuda_ctx_get(h));
    struct cu_link *l = ctx ? cu_object_new(CU_KIND_LINK, sizeof(*l)) : NULL;

    if (!l)
        return ctx ? CUDA_ERROR_OUT_OF_MEMORY : CUDA_ERROR_INVALID_CONTEXT;
    l->ctx = ctx;
    *own = l;
    return CUDA_SUCCESS;
}

CUresult cu_link_add(void *own, CUjitInputType type, const char *name, const void *data,
                     size_t size)
{
    struct cu_link *l = own;
    struct cu_cmd c;

    if (strlen(name) >= XG_BLOB_INLINE_MAX)
        return CUDA_ERROR_INVALID_VALUE;
    if (size > xg_blob_max(cu.ring))
        return CUDA_ERROR_OUT_OF_MEMORY;
    cu_begin_call(&c, l->ctx);
    cu_put_link_add(&c, &(struct xg_cuda_link_add){.link = l->o.name, .kind = type}, name, data,
                    size);
    return cu_end(&c);
}

static CUresult linker_complete(struct cu_link *l, uint64_t room, uint64_t *size)
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

CUresult cu_link_complete(void *own, const struct xg_cuda_jit *jit, void **image, size_t *size)
{
    struct cu_link *l = own;
    uint64_t room = OUT_FIRST, need = 0;
    CUresult r = linker_complete(l, room, &need);

    if (r == CUDA_SUCCESS && need > room && need <= OUT_MAX)
        r = linker_complete(l, need, &need);
    xg_cuda_jit_report(jit, r, ""); /* what the driver's linker says does not come over */
    if (r != CUDA_SUCCESS)
        return r;
    *image = l->image;
    *size = need;
    return l->image ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}

CUresult cu_link_free(void *own)
{
    struct cu_link *l = own;

    cu_object_hide(&l->o);
    CUresult r = CUDA_SUCCESS;
    if (!atomic_load(&l->ctx->api.ended)) /* else the worker's went with it */
        r = cu_send_link_destroy(l->ctx, &(struct xg_cuda_link_destroy){.link = l->o.name});
    free(l->image);
    cu_object_free(&l->o);
    return r;
}
