/*
 * Handles: a slot's number, the object's kind and the slot's generation, made to look like a
 * pointer. What an application makes up is never followed.
 */
#ifndef XG_CUDA_API_HANDLE_H
#define XG_CUDA_API_HANDLE_H

#include <stdbool.h>

/* Kinds below 64 are the device's. */
enum {
    XG_CUDA_KIND_GRAPH = 64,
    XG_CUDA_KIND_NODE,
    XG_CUDA_KIND_EXEC,
    XG_CUDA_KIND_USER_OBJECT,
    XG_CUDA_KIND_LIBRARY,
    XG_CUDA_KIND_KERNEL,
    XG_CUDA_KIND_LINK,
    XG_CUDA_KIND_POOL,
};

void *xg_cuda_handle_new(unsigned kind, void *object);       /* NULL: out of memory */
void *xg_cuda_handle_get(unsigned kind, const void *handle); /* NULL: not such an object */
bool xg_cuda_handle_drop(unsigned kind, const void *handle); /* false: somebody else did */
void xg_cuda_handles_reset(void); /* after fork: the parent's are nothing any more */

#endif
