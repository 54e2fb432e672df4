/* Objects that the worker knows by the names of their handles. */
#include "interposer/cuda/cu.h"

#include <stdlib.h>

void *cu_object_new(enum cu_kind kind, size_t size)
{
    struct cu_object *o = calloc(1, size);

    if (!o)
        return NULL;
    o->kind = (uint8_t)kind;
    o->handle = xg_cuda_handle_new(kind, o);
    if (!o->handle) {
        free(o);
        return NULL;
    }
    o->name = xg_cuda_handle_name(o->handle);
    return o;
}

bool cu_object_hide(struct cu_object *o)
{
    return xg_cuda_handle_hide(o->kind, o->handle);
}

void cu_object_free(struct cu_object *o)
{
    xg_cuda_handle_free(o->kind, o->handle);
    free(o);
}
