/* Arrays, textures and surfaces; the linker. */
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
    CU_UNSAFE();
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
    struct xg_cuda_array_create *f = cu_begin_call(&c, ctx, XG_CUDA_OP_ARRAY_CREATE, sizeof(*f));
    *f = (struct xg_cuda_array_create){a->o.name, d->Format,      d->Width, d->Height,
                                       d->Depth,  d->NumChannels, d->Flags};
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
    CU_READY();
    CUDA_ARRAY3D_DESCRIPTOR three;

    if (!d)
        return CUDA_ERROR_INVALID_VALUE;
    three = (CUDA_ARRAY3D_DESCRIPTOR){
        .Width = d->Width, .Height = d->Height, .Format = d->Format, .NumChannels = d->NumChannels};
    return cuArray3DCreate_v2(out, &three);
}

CUresult cuArrayDestroy(CUarray h)
{
    struct cu_cmd c;

    CU_ENTER_OF(ctx, CU_KIND_ARRAY, h);
    CU_UNSAFE();
    struct cu_array *a = cu_object_get(CU_KIND_ARRAY, h);
    if (!a || !cu_object_hide(&a->o))
        return CUDA_ERROR_INVALID_HANDLE;
    cu_host_settle(ctx);
    struct xg_cuda_array_destroy *f = cu_begin(&c, ctx, XG_CUDA_OP_ARRAY_DESTROY, sizeof(*f));
    f->array = a->o.name;
    f->pad = 0;
    CUresult r = cu_end(&c);
    cu_object_free(&a->o);
    return r;
}

CUresult cuArray3DGetDescriptor_v2(CUDA_ARRAY3D_DESCRIPTOR *d, CUarray h)
{
    XG_CUDA_NEED(h, CUDA_ERROR_INVALID_HANDLE);
    CU_ENTER_OF(ctx, CU_KIND_ARRAY, h);
    struct cu_array *a = cu_object_get(CU_KIND_ARRAY, h);
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
    CU_READY();
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
    cu_object_each(kind, find_one, &f);
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
    struct cu_object *o = cu_object_get(CU_KIND_ARRAY, d->res.array.hArray);
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
    struct cu_cmd c;
    uint32_t size = (uint32_t)sizeof(struct xg_cuda_texture_create) + xg_blob_room(sizeof(*wire)) +
                    (texture ? xg_blob_room(sizeof(t->texture)) : xg_blob_room(0)) +
                    (t->has_view ? xg_blob_room(sizeof(t->view)) : xg_blob_room(0));
    struct xg_cuda_texture_create *f = cu_begin_call(&c, t->ctx, XG_CUDA_OP_TEXTURE_CREATE, size);

    f->texture = t->o.name;
    f->array = array;
    void *at = xg_blob_put(cu.ring, f + 1, wire, sizeof(*wire));
    at = xg_blob_put(cu.ring, at, texture ? &t->texture : NULL, texture ? sizeof(t->texture) : 0);
    xg_blob_put(cu.ring, at, t->has_view ? &t->view : NULL, t->has_view ? sizeof(t->view) : 0);
    cu_send(&c);
    CUresult r = cu_wait(&c, &reply, sizeof(reply));
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
    CU_UNSAFE();
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
    struct cu_cmd c;

    CU_ENTER(ctx);
    CU_UNSAFE();
    struct cu_texture *t = texture_find(CU_KIND_TEXTURE, h);
    if (!t || !cu_object_hide(&t->o))
        return CUDA_SUCCESS; /* as a driver has it of a number that is no texture */
    struct xg_cuda_texture_destroy *f = cu_begin(&c, ctx, XG_CUDA_OP_TEXTURE_DESTROY, sizeof(*f));
    f->texture = t->o.name;
    f->pad = 0;
    CUresult r = cu_end(&c);
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
    struct cu_cmd c;
    uint32_t array;

    CU_ENTER(ctx);
    CU_UNSAFE();
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
    struct xg_cuda_surface_create *f =
        cu_begin_call(&c, ctx, XG_CUDA_OP_SURFACE_CREATE, sizeof(*f));
    f->surface = s->o.name;
    f->array = array;
    cu_send(&c);
    r = cu_wait(&c, &reply, sizeof(reply));
    if (r == CUDA_SUCCESS)
        *out = s->handle = reply.handle;
    else
        object_discard(&s->o);
    return r;
}

CUresult cuSurfObjectDestroy(CUsurfObject h)
{
    struct cu_cmd c;

    CU_ENTER(ctx);
    CU_UNSAFE();
    struct cu_texture *s = texture_find(CU_KIND_SURFACE, h);
    if (!s || !cu_object_hide(&s->o))
        return CUDA_SUCCESS;
    struct xg_cuda_surface_destroy *f = cu_begin(&c, ctx, XG_CUDA_OP_SURFACE_DESTROY, sizeof(*f));
    f->surface = s->o.name;
    f->pad = 0;
    CUresult r = cu_end(&c);
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
