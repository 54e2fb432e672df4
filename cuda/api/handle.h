/*
 * Handles: an object's kind, its name among those, and the name's generation, made to look like a
 * pointer. What an application makes up is never followed.
 *
 * Names are small and dense, so that they can stand for the object elsewhere, as on the guest's
 * ring. A name is used again only when it was given back.
 */
#ifndef XG_CUDA_API_HANDLE_H
#define XG_CUDA_API_HANDLE_H

#include <stdbool.h>
#include <stdint.h>

enum {
    XG_CUDA_KIND_CTX = 1,
    XG_CUDA_KIND_STREAM,
    XG_CUDA_KIND_EVENT,
    XG_CUDA_KIND_GRAPH,
    XG_CUDA_KIND_NODE,
    XG_CUDA_KIND_EXEC,
    XG_CUDA_KIND_USER_OBJECT,
    XG_CUDA_KIND_LIBRARY,
    XG_CUDA_KIND_KERNEL,
    XG_CUDA_KIND_LINK,
    XG_CUDA_KIND_POOL,
    XG_CUDA_KIND_OWN = 16, /* and above: the device's own */
    XG_CUDA_KINDS = 32,
};
#define XG_CUDA_NAMES (1u << 22) /* of each kind, 0 not among them */

void *xg_cuda_handle_new(unsigned kind, void *object);       /* NULL: out of memory, or of names */
void *xg_cuda_handle_get(unsigned kind, const void *handle); /* NULL: not such an object */
/* Its handle is nothing any more; the name stays taken. False: somebody else did. */
bool xg_cuda_handle_hide(unsigned kind, const void *handle);
void xg_cuda_handle_free(unsigned kind, const void *handle); /* gives a hidden one's name back */
bool xg_cuda_handle_drop(unsigned kind, const void *handle); /* both; false: somebody else did */

static inline uint32_t xg_cuda_handle_name(const void *handle)
{
    return (uint32_t)((uintptr_t)handle >> 4) & (XG_CUDA_NAMES - 1);
}
void *xg_cuda_handle_named(unsigned kind, uint32_t name); /* NULL: none has that name now */
/* For each object of the kind that has a handle; those made meanwhile may be left out. */
void xg_cuda_handle_each(unsigned kind, void (*fn)(void *object, void *arg), void *arg);

void xg_cuda_handles_reset(void); /* after fork: the parent's are nothing any more */

#endif
