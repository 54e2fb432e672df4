/* Arrays, textures and surfaces; the linker. */
#include "backend/cuda/replay.h"

#include <stdlib.h>

#include "cuda/handlers.h"

#define LINK_OUT_MAX ((uint64_t)512 << 20) /* bytes of a linked image */

/* --- arrays ----------------------------------------------------------------------------------- */

static uint64_t element_bytes(uint32_t format)
{
    switch (format) {
    case CU_AD_FORMAT_UNSIGNED_INT8:
    case CU_AD_FORMAT_SIGNED_INT8: return 1;
    case CU_AD_FORMAT_UNSIGNED_INT16:
    case CU_AD_FORMAT_SIGNED_INT16:
    case CU_AD_FORMAT_HALF: return 2;
    default: return 4;
    }
}

uint32_t xg_cu_array_create(struct cu_worker *w, const struct xg_cuda_array_create *a)
{
    CUDA_ARRAY3D_DESCRIPTOR d = {.Width = a->width,
                                 .Height = a->height,
                                 .Depth = a->depth,
                                 .Format = (CUarray_format)a->format,
                                 .NumChannels = a->channels,
                                 .Flags = a->flags};
    struct cu_array *array;
    uint64_t bytes;
    CUresult r;

    if (!w->d.cuArray3DCreate_v2)
        return CUDA_ERROR_NOT_SUPPORTED;
    if (a->channels > 4 || a->width == 0 ||
        __builtin_mul_overflow(a->width, a->channels * element_bytes(a->format), &bytes) ||
        __builtin_mul_overflow(bytes, a->height ? a->height : 1, &bytes) ||
        __builtin_mul_overflow(bytes, a->depth ? a->depth : 1, &bytes) || bytes > w->total_memory)
        return CUDA_ERROR_INVALID_VALUE;
    array = calloc(1, sizeof(*array));
    if (!array)
        return CUDA_ERROR_OUT_OF_MEMORY;
    array->ctx = w->ctx;
    array->bytes = bytes;
    r = CUDA_ERROR_OUT_OF_MEMORY;
    if (!xg_cu_device_charge(w, bytes))
        goto fail;
    r = w->d.cuArray3DCreate_v2(&array->h, &d);
    if (r != CUDA_SUCCESS)
        goto uncharge;
    if (xg_table_set(&w->arrays, a->array, array)) {
        w->d.cuArrayDestroy(array->h);
        r = CUDA_ERROR_INVALID_VALUE;
        goto uncharge;
    }
    return CUDA_SUCCESS;
uncharge:
    xg_cu_device_uncharge(w, bytes);
fail:
    free(array);
    return r;
}

uint32_t xg_cu_array_destroy(struct cu_worker *w, const struct xg_cuda_array_destroy *a)
{
    struct cu_array *array = xg_table_remove(&w->arrays, a->array);
    CUresult r;

    if (!array)
        return CUDA_ERROR_INVALID_HANDLE;
    xg_cu_queue_drain(w);
    r = w->d.cuArrayDestroy(array->h);
    xg_cu_device_uncharge(w, array->bytes);
    free(array);
    return r;
}

/* --- textures and surfaces: the guest gets the driver's number, which its kernels use --------- */

static CUresult resource_decode(struct cu_worker *w, uint32_t array_name, CUDA_RESOURCE_DESC *d)
{
    struct cu_array *array = xg_table_get(&w->arrays, array_name);

    switch (d->resType) {
    case CU_RESOURCE_TYPE_ARRAY:
        d->res.array.hArray = array ? array->h : NULL;
        return array ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
    case CU_RESOURCE_TYPE_LINEAR:
        return xg_cu_range_ok(w, d->res.linear.devPtr, d->res.linear.sizeInBytes)
                   ? CUDA_SUCCESS
                   : CUDA_ERROR_INVALID_VALUE;
    case CU_RESOURCE_TYPE_PITCH2D: {
        uint64_t bytes;
        if (__builtin_mul_overflow(d->res.pitch2D.pitchInBytes, d->res.pitch2D.height, &bytes) ||
            !xg_cu_range_ok(w, d->res.pitch2D.devPtr, bytes))
            return CUDA_ERROR_INVALID_VALUE;
        return CUDA_SUCCESS;
    }
    default: return CUDA_ERROR_NOT_SUPPORTED;
    }
}

static CUresult object_keep(struct cu_worker *w, struct xg_table *t, uint32_t name, uint64_t handle)
{
    struct cu_object *o = xg_cu_account_take(w, XG_CUDA_COST_OBJECT) ? malloc(sizeof(*o)) : NULL;

    if (!o)
        return CUDA_ERROR_OUT_OF_MEMORY;
    *o = (struct cu_object){handle, w->ctx};
    if (xg_table_set(t, name, o)) {
        xg_cu_account_give(w, XG_CUDA_COST_OBJECT);
        free(o);
        return CUDA_ERROR_INVALID_VALUE;
    }
    return CUDA_SUCCESS;
}

uint32_t xg_cu_texture_create(struct cu_worker *w, const struct xg_cuda_texture_create *a,
                              const void *resource, uint32_t resource_size,
                              const void *texture_desc, uint32_t texture_desc_size,
                              const void *view, uint32_t view_size)
{
    struct xg_cuda_texture_create_reply rep = {.result = CUDA_SUCCESS};
    CUDA_RESOURCE_DESC d;
    CUtexObject t = 0;
    CUresult r;

    if (resource_size != sizeof(d) ||
        (texture_desc && texture_desc_size != sizeof(CUDA_TEXTURE_DESC)) ||
        (view && view_size != sizeof(CUDA_RESOURCE_VIEW_DESC)))
        return xg_cu_protocol_fail(w, "TEXTURE_CREATE with strange sizes");
    if (!w->d.cuTexObjectCreate)
        return CUDA_ERROR_NOT_SUPPORTED;
    memcpy(&d, resource, sizeof(d));
    r = resource_decode(w, a->array, &d);
    if (r == CUDA_SUCCESS)
        r = w->d.cuTexObjectCreate(&t, &d, texture_desc, view);
    if (r != CUDA_SUCCESS)
        return r;
    r = object_keep(w, &w->textures, a->texture, t);
    if (r != CUDA_SUCCESS) {
        w->d.cuTexObjectDestroy(t);
        return r;
    }
    rep.handle = t;
    xg_cu_reply(w, &rep, sizeof(rep));
    return r;
}

uint32_t xg_cu_texture_destroy(struct cu_worker *w, const struct xg_cuda_texture_destroy *a)
{
    struct cu_object *o = xg_table_remove(&w->textures, a->texture);
    CUresult r;

    if (!o)
        return CUDA_ERROR_INVALID_HANDLE;
    r = w->d.cuTexObjectDestroy(o->h);
    xg_cu_account_give(w, XG_CUDA_COST_OBJECT);
    free(o);
    return r;
}

uint32_t xg_cu_surface_create(struct cu_worker *w, const struct xg_cuda_surface_create *a)
{
    struct xg_cuda_surface_create_reply rep = {.result = CUDA_SUCCESS};
    CUDA_RESOURCE_DESC d = {.resType = CU_RESOURCE_TYPE_ARRAY};
    CUsurfObject s = 0;
    CUresult r;

    if (!w->d.cuSurfObjectCreate)
        return CUDA_ERROR_NOT_SUPPORTED;
    r = resource_decode(w, a->array, &d);
    if (r == CUDA_SUCCESS)
        r = w->d.cuSurfObjectCreate(&s, &d);
    if (r != CUDA_SUCCESS)
        return r;
    r = object_keep(w, &w->surfaces, a->surface, s);
    if (r != CUDA_SUCCESS) {
        w->d.cuSurfObjectDestroy(s);
        return r;
    }
    rep.handle = s;
    xg_cu_reply(w, &rep, sizeof(rep));
    return r;
}

uint32_t xg_cu_surface_destroy(struct cu_worker *w, const struct xg_cuda_surface_destroy *a)
{
    struct cu_object *o = xg_table_remove(&w->surfaces, a->surface);
    CUresult r;

    if (!o)
        return CUDA_ERROR_INVALID_HANDLE;
    r = w->d.cuSurfObjectDestroy(o->h);
    xg_cu_account_give(w, XG_CUDA_COST_OBJECT);
    free(o);
    return r;
}

/* --- the linker ------------------------------------------------------------------------------- */

static struct cu_link *link_get(struct cu_worker *w, uint32_t name, CUresult *r)
{
    struct cu_link *l = xg_table_get(&w->links, name);

    *r = CUDA_SUCCESS;
    if (l)
        return l;
    *r = CUDA_ERROR_NOT_SUPPORTED;
    if (!w->d.cuLinkCreate_v2 || !w->d.cuLinkAddData_v2 || !w->d.cuLinkComplete ||
        !w->d.cuLinkDestroy)
        return NULL;
    *r = CUDA_ERROR_OUT_OF_MEMORY;
    l = calloc(1, sizeof(*l));
    if (!l)
        return NULL;
    l->ctx = w->ctx;
    *r = w->d.cuLinkCreate_v2(0, NULL, NULL, &l->h);
    if (*r == CUDA_SUCCESS && xg_table_set(&w->links, name, l)) {
        w->d.cuLinkDestroy(l->h);
        *r = CUDA_ERROR_INVALID_VALUE;
    }
    if (*r != CUDA_SUCCESS) {
        free(l);
        return NULL;
    }
    return l;
}

uint32_t xg_cu_link_add(struct cu_worker *w, const struct xg_cuda_link_add *a, const char *name,
                        const void *data, uint32_t data_size)
{
    CUresult r;
    struct cu_link *l = link_get(w, a->link, &r);
    char *copy;

    if (!l)
        return r;
    if (a->kind != CU_JIT_INPUT_PTX && a->kind != CU_JIT_INPUT_CUBIN &&
        a->kind != CU_JIT_INPUT_FATBINARY && a->kind != CU_JIT_INPUT_OBJECT &&
        a->kind != CU_JIT_INPUT_LIBRARY)
        return CUDA_ERROR_NOT_SUPPORTED;
    /* The linker keeps the data, and makes an image of about the same size. */
    if (!xg_cu_account_take(w, XG_CUDA_COST_OBJECT + 2 * (uint64_t)data_size))
        return CUDA_ERROR_OUT_OF_MEMORY;
    l->bytes += XG_CUDA_COST_OBJECT + 2 * (uint64_t)data_size;
    copy = malloc((size_t)data_size + 1);
    if (!copy)
        return CUDA_ERROR_OUT_OF_MEMORY;
    memcpy(copy, data, data_size);
    copy[data_size] = 0;
    xg_cu_device_pause(w); /* the driver compiles */
    r = w->d.cuLinkAddData_v2(l->h, (CUjitInputType)a->kind, copy, data_size, name, 0, NULL, NULL);
    xg_cu_device_resume(w);
    free(copy);
    return r;
}

uint32_t xg_cu_link_complete(struct cu_worker *w, const struct xg_cuda_link_complete *a)
{
    struct xg_cuda_link_complete_reply rep = {.result = CUDA_SUCCESS};
    void *out = xg_cu_arena_at(w, a->out, 0, a->out_size), *image = NULL;
    size_t size = 0;
    CUresult r;
    struct cu_link *l = link_get(w, a->link, &r);

    if (!out)
        return xg_cu_protocol_fail(w, "LINK_COMPLETE outside the arena");
    if (!l)
        return r;
    xg_cu_device_pause(w);
    r = w->d.cuLinkComplete(l->h, &image, &size);
    xg_cu_device_resume(w);
    if (r != CUDA_SUCCESS)
        return r;
    if (size > LINK_OUT_MAX)
        return CUDA_ERROR_OUT_OF_MEMORY;
    /* If the guest gave too little room, it sees that by `size`, and asks again. */
    if (size <= a->out_size)
        memcpy(out, image, size);
    rep.size = size;
    xg_cu_reply(w, &rep, sizeof(rep));
    return r;
}

uint32_t xg_cu_link_destroy(struct cu_worker *w, const struct xg_cuda_link_destroy *a)
{
    struct cu_link *l = xg_table_remove(&w->links, a->link);
    CUresult r;

    if (!l)
        return CUDA_ERROR_INVALID_HANDLE;
    r = w->d.cuLinkDestroy(l->h);
    xg_cu_account_give(w, l->bytes);
    free(l);
    return r;
}
