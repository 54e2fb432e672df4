/* Arrays, textures and surfaces; the linker. */
#include "cuda/send.h"
#include "interposer/cuda/copy.h"

#include <stdlib.h>

struct cu_array {
    struct cu_object o;
    struct cu_ctx *ctx;
    CUDA_ARRAY3D_DESCRIPTOR desc;
};

/* --- arrays ----------------------------------------------------------------------------------- */

CUresult cuArray3DCreate_v2(CUarray *out, const CUDA_ARRAY3D_DESCRIPTOR *d)
{
    struct cu_array *a;
    struct cu_cmd c;

    CU_ENTER(ctx);
    XG_CUDA_UNSAFE();
    if (!out || !d || d->Width == 0 ||
        (d->NumChannels != 1 && d->NumChannels != 2 && d->NumChannels != 4))
        return CUDA_ERROR_INVALID_VALUE;
    a = cu_object_new(CU_KIND_ARRAY, sizeof(*a));
    if (!a)
        return CUDA_ERROR_OUT_OF_MEMORY;
    a->ctx = ctx;
    a->desc = *d;
    /* Asked: whether the device has such arrays at all, and the memory, is for the worker to say.
     */
    cu_begin_call(&c, ctx);
    cu_put_array_create(&c, &(struct xg_cuda_array_create){.array = a->o.name,
                                                           .format = d->Format,
                                                           .width = d->Width,
                                                           .height = d->Height,
                                                           .depth = d->Depth,
                                                           .channels = d->NumChannels,
                                                           .flags = d->Flags});
    CUresult r = cu_end(&c);
    if (r == CUDA_SUCCESS) {
        *out = cu_handle(&a->o);
    } else {
        cu_object_hide(&a->o);
        cu_object_free(&a->o);
    }
    return r;
}

CUresult cuArrayCreate_v2(CUarray *out, const CUDA_ARRAY_DESCRIPTOR *d)
{
    XG_CUDA_READY();
    CUDA_ARRAY3D_DESCRIPTOR three;

    if (!d)
        return CUDA_ERROR_INVALID_VALUE;
    three = (CUDA_ARRAY3D_DESCRIPTOR){
        .Width = d->Width, .Height = d->Height, .Format = d->Format, .NumChannels = d->NumChannels};
    return cuArray3DCreate_v2(out, &three);
}

CUresult cuArrayDestroy(CUarray h)
{
    struct cu_array *a = xg_cuda_handle_get(CU_KIND_ARRAY, h);
    CU_ENTER_IN(ctx, a ? &a->ctx->api : NULL);
    XG_CUDA_UNSAFE();
    if (!a || !cu_object_hide(&a->o))
        return CUDA_ERROR_INVALID_HANDLE;
    cu_host_settle(ctx);
    CUresult r = cu_send_array_destroy(ctx, &(struct xg_cuda_array_destroy){.array = a->o.name});
    cu_object_free(&a->o);
    return r;
}

CUresult cuArray3DGetDescriptor_v2(CUDA_ARRAY3D_DESCRIPTOR *d, CUarray h)
{
    XG_CUDA_NEED(h, CUDA_ERROR_INVALID_HANDLE);
    struct cu_array *a = xg_cuda_handle_get(CU_KIND_ARRAY, h);
    struct xg_cuda_ctx *ctx;
    CUresult r = xg_cuda_ctx_enter_in(a ? &a->ctx->api : NULL, &ctx);

    if (r != CUDA_SUCCESS)
        return r;
    if (!d)
        return CUDA_ERROR_INVALID_VALUE;
    if (!a)
        return CUDA_ERROR_INVALID_HANDLE;
    *d = a->desc;
    return CUDA_SUCCESS;
}

CUresult cuArrayGetDescriptor_v2(CUDA_ARRAY_DESCRIPTOR *d, CUarray h)
{
    XG_CUDA_NEED(h, CUDA_ERROR_INVALID_HANDLE);
    XG_CUDA_READY();
    CUDA_ARRAY3D_DESCRIPTOR three;
    CUresult r = cuArray3DGetDescriptor_v2(&three, h);

    if (!d)
        return CUDA_ERROR_INVALID_VALUE;
    if (r == CUDA_SUCCESS)
        *d = (CUDA_ARRAY_DESCRIPTOR){three.Width, three.Height, three.Format, three.NumChannels};
    return r;
}

/* --- textures and surfaces: the handle is the device's number, which kernels take ------------- */

struct cu_texture {
    struct cu_object o;
    struct cu_ctx *ctx;
    uint64_t handle;
    CUDA_RESOURCE_DESC resource;
    CUDA_TEXTURE_DESC texture;
    CUDA_RESOURCE_VIEW_DESC view;
    bool has_view;
};

struct find {
    uint64_t handle;
    struct cu_texture *found;
};

static void find_one(void *object, void *arg)
{
    struct find *f = arg;
    struct cu_texture *t = object;
    if (t->handle == f->handle)
        f->found = t;
}

static struct cu_texture *texture_find(enum cu_kind kind, uint64_t handle)
{
    struct find f = {.handle = handle};
    xg_cuda_handle_each(kind, find_one, &f);
    return f.found;
}

/* The array's name; its handle does not cross. */
static CUresult resource_array(const CUDA_RESOURCE_DESC *d, CUDA_RESOURCE_DESC *wire,
                               uint32_t *array)
{
    *wire = *d;
    *array = 0;
    if (d->resType == CU_RESOURCE_TYPE_MIPMAPPED_ARRAY)
        return CUDA_ERROR_NOT_SUPPORTED;
    if (d->resType != CU_RESOURCE_TYPE_ARRAY)
        return CUDA_SUCCESS;
    if (!d->res.array.hArray || d->flags)
        return CUDA_ERROR_INVALID_VALUE;
    struct cu_object *o = xg_cuda_handle_get(CU_KIND_ARRAY, d->res.array.hArray);
    if (!o)
        return CUDA_ERROR_INVALID_HANDLE;
    *array = o->name;
    wire->res.array.hArray = NULL;
    return CUDA_SUCCESS;
}

static CUresult texture_send(struct cu_texture *t, const CUDA_RESOURCE_DESC *wire, uint32_t array,
                             bool texture)
{
    struct xg_cuda_texture_create_reply reply;
    CUresult r = cu_call_texture_create(
        t->ctx, &(struct xg_cuda_texture_create){.texture = t->o.name, .array = array}, wire,
        sizeof(*wire), texture ? &t->texture : NULL, sizeof(t->texture),
        t->has_view ? &t->view : NULL, sizeof(t->view), &reply);

    t->handle = reply.handle;
    return r;
}

static void object_discard(struct cu_object *o)
{
    cu_object_hide(o);
    cu_object_free(o);
}

CUresult cuTexObjectCreate(CUtexObject *out, const CUDA_RESOURCE_DESC *d,
                           const CUDA_TEXTURE_DESC *texture, const CUDA_RESOURCE_VIEW_DESC *view)
{
    CUDA_RESOURCE_DESC wire;
    struct cu_texture *t;
    uint32_t array;

    CU_ENTER(ctx);
    XG_CUDA_UNSAFE();
    if (!out || !d)
        return CUDA_ERROR_INVALID_VALUE;
    CUresult r = resource_array(d, &wire, &array);
    if (r != CUDA_SUCCESS)
        return r;
    t = cu_object_new(CU_KIND_TEXTURE, sizeof(*t));
    if (!t)
        return CUDA_ERROR_OUT_OF_MEMORY;
    t->ctx = ctx;
    t->resource = *d;
    if (texture)
        t->texture = *texture;
    t->has_view = view != NULL;
    if (view)
        t->view = *view;
    r = texture_send(t, &wire, array, texture != NULL);
    if (r == CUDA_SUCCESS)
        *out = t->handle;
    else
        object_discard(&t->o);
    return r;
}

CUresult cuTexObjectDestroy(CUtexObject h)
{
    CU_ENTER(ctx);
    XG_CUDA_UNSAFE();
    struct cu_texture *t = texture_find(CU_KIND_TEXTURE, h);
    if (!t || !cu_object_hide(&t->o))
        return CUDA_SUCCESS; /* as a driver has it of a number that is no texture */
    CUresult r =
        cu_send_texture_destroy(ctx, &(struct xg_cuda_texture_destroy){.texture = t->o.name});
    cu_object_free(&t->o);
    return r;
}

CUresult cuTexObjectGetResourceDesc(CUDA_RESOURCE_DESC *d, CUtexObject h)
{
    CU_ENTER(ctx);
    struct cu_texture *t = texture_find(CU_KIND_TEXTURE, h);
    if (!d || !t)
        return CUDA_ERROR_INVALID_VALUE;
    *d = t->resource;
    return CUDA_SUCCESS;
}

CUresult cuTexObjectGetTextureDesc(CUDA_TEXTURE_DESC *d, CUtexObject h)
{
    CU_ENTER(ctx);
    struct cu_texture *t = texture_find(CU_KIND_TEXTURE, h);
    if (!d || !t)
        return CUDA_ERROR_INVALID_VALUE;
    *d = t->texture;
    return CUDA_SUCCESS;
}

CUresult cuTexObjectGetResourceViewDesc(CUDA_RESOURCE_VIEW_DESC *d, CUtexObject h)
{
    CU_ENTER(ctx);
    struct cu_texture *t = texture_find(CU_KIND_TEXTURE, h);
    if (!d || !t || !t->has_view)
        return CUDA_ERROR_INVALID_VALUE;
    *d = t->view;
    return CUDA_SUCCESS;
}

CUresult cuSurfObjectCreate(CUsurfObject *out, const CUDA_RESOURCE_DESC *d)
{
    struct xg_cuda_surface_create_reply reply;
    CUDA_RESOURCE_DESC wire;
    struct cu_texture *s;
    uint32_t array;

    CU_ENTER(ctx);
    XG_CUDA_UNSAFE();
    if (!out || !d || d->resType != CU_RESOURCE_TYPE_ARRAY)
        return CUDA_ERROR_INVALID_VALUE;
    CUresult r = resource_array(d, &wire, &array);
    if (r != CUDA_SUCCESS)
        return r;
    s = cu_object_new(CU_KIND_SURFACE, sizeof(*s));
    if (!s)
        return CUDA_ERROR_OUT_OF_MEMORY;
    s->ctx = ctx;
    s->resource = *d;
    r = cu_call_surface_create(
        ctx, &(struct xg_cuda_surface_create){.surface = s->o.name, .array = array}, &reply);
    if (r == CUDA_SUCCESS)
        *out = s->handle = reply.handle;
    else
        object_discard(&s->o);
    return r;
}

CUresult cuSurfObjectDestroy(CUsurfObject h)
{
    CU_ENTER(ctx);
    XG_CUDA_UNSAFE();
    struct cu_texture *s = texture_find(CU_KIND_SURFACE, h);
    if (!s || !cu_object_hide(&s->o))
        return CUDA_SUCCESS;
    CUresult r =
        cu_send_surface_destroy(ctx, &(struct xg_cuda_surface_destroy){.surface = s->o.name});
    cu_object_free(&s->o);
    return r;
}

CUresult cuSurfObjectGetResourceDesc(CUDA_RESOURCE_DESC *d, CUsurfObject h)
{
    CU_ENTER(ctx);
    struct cu_texture *s = texture_find(CU_KIND_SURFACE, h);
    if (!d || !s)
        return CUDA_ERROR_INVALID_VALUE;
    *d = s->resource;
    return CUDA_SUCCESS;
}
