#include "cuda/api/pool.h"

#include <pthread.h>
#include <stdlib.h>

#include "cuda/api/capture.h"
#include "cuda/api/graph.h"
#include "cuda/api/stream.h"

struct xg_cuda_pool {
    CUmemoryPool handle;
    struct xg_cuda_pool *next; /* of those that are not destroyed; under the lock */
    _Atomic int refs;          /* one of its own, one for each allocation and each call */
    _Atomic uint64_t used, high;
    uint64_t threshold, limit; /* bytes; no limit: 0 */
    int reuse[3];              /* the three policies, as set */
};

/* Recursive: a signal handler may interrupt a call with another. */
static pthread_mutex_t lock = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
static struct xg_cuda_pool *pools;
static struct xg_cuda_pool *_Atomic standard; /* the device's default: once there, it stays */
static struct xg_cuda_pool *_Atomic selected; /* the device's current one, NULL: the default */

static void pool_put(struct xg_cuda_pool *p)
{
    if (p && atomic_fetch_sub(&p->refs, 1) == 1)
        free(p);
}

static struct xg_cuda_pool *pool_hold(struct xg_cuda_pool *p)
{
    if (p)
        atomic_fetch_add(&p->refs, 1);
    return p;
}

/* Held until pool_put, whoever destroys it meanwhile. NULL: it is none. */
static struct xg_cuda_pool *pool_get(CUmemoryPool h)
{
    pthread_mutex_lock(&lock);
    struct xg_cuda_pool *p = pool_hold(xg_cuda_handle_get(XG_CUDA_KIND_POOL, h));
    pthread_mutex_unlock(&lock);
    return p;
}

static bool pool_valid(CUmemoryPool h)
{
    return xg_cuda_handle_get(XG_CUDA_KIND_POOL, h) != NULL;
}

static struct xg_cuda_pool *pool_new(uint64_t limit)
{
    struct xg_cuda_pool *p = calloc(1, sizeof(*p));

    if (!p)
        return NULL;
    atomic_init(&p->refs, 1);
    p->limit = limit;
    p->reuse[0] = p->reuse[1] = p->reuse[2] = 1;
    p->handle = xg_cuda_handle_new(XG_CUDA_KIND_POOL, p);
    if (!p->handle) {
        free(p);
        return NULL;
    }
    pthread_mutex_lock(&lock);
    p->next = pools;
    pools = p;
    pthread_mutex_unlock(&lock);
    return p;
}

/* Under the lock: takes its handle and its place among the others. */
static void pool_remove(struct xg_cuda_pool *p)
{
    struct xg_cuda_pool **at = &pools;

    xg_cuda_handle_drop(XG_CUDA_KIND_POOL, p->handle);
    while (*at != p)
        at = &(*at)->next;
    *at = p->next;
}

/* Made when first asked for. Both hold what they return; NULL: no memory. */
static struct xg_cuda_pool *pool_standard(void)
{
    if (XG_UNLIKELY(!atomic_load(&standard))) {
        pthread_mutex_lock(&lock);
        if (!atomic_load(&standard))
            atomic_store(&standard, pool_new(0));
        pthread_mutex_unlock(&lock);
    }
    return pool_hold(atomic_load(&standard));
}

static struct xg_cuda_pool *pool_current(void)
{
    if (XG_LIKELY(!atomic_load(&selected)))
        return pool_standard();
    pthread_mutex_lock(&lock);
    struct xg_cuda_pool *p = pool_hold(atomic_load(&selected));
    pthread_mutex_unlock(&lock);
    return p ? p : pool_standard();
}

void xg_cuda_pool_freed(struct xg_cuda_pool *p, uint64_t size)
{
    atomic_fetch_sub(&p->used, size);
    pool_put(p);
}

/* `p` may have gone with the allocation that named it. */
CUmemoryPool xg_cuda_pool_handle(const struct xg_cuda_pool *p)
{
    CUmemoryPool h = NULL;

    pthread_mutex_lock(&lock);
    for (const struct xg_cuda_pool *at = pools; at && !h; at = at->next)
        if (at == p)
            h = at->handle;
    pthread_mutex_unlock(&lock);
    return h;
}

void xg_cuda_pools_reset(void)
{
    lock = (pthread_mutex_t)PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
    pools = NULL;
    atomic_store(&standard, NULL);
    atomic_store(&selected, NULL);
}

/* --- allocation ------------------------------------------------------------------------------- */

static CUresult pool_take(struct xg_cuda_stream *s, struct xg_cuda_pool *p, size_t size,
                          CUdeviceptr *out)
{
    if (!p || (p->limit && atomic_load(&p->used) + size > p->limit))
        return CUDA_ERROR_OUT_OF_MEMORY;
    pool_hold(p);
    CUresult r = xg_cuda_device.alloc(s->ctx->handle, size, p, out);
    if (r != CUDA_SUCCESS) {
        pool_put(p);
        return r;
    }
    uint64_t used = atomic_fetch_add(&p->used, size) + size, high = atomic_load(&p->high);
    while (used > high && !atomic_compare_exchange_weak(&p->high, &high, used))
        ;
    return CUDA_SUCCESS;
}

static CUresult pool_alloc(CUdeviceptr *out, size_t size, struct xg_cuda_pool *p, CUstream h)
{
    struct xg_cuda_stream *s;
    CUresult r = xg_cuda_stream_get(h, &s);

    if (r != CUDA_SUCCESS)
        return r;
    r = xg_cuda_capture_refuses(s);
    if (r == CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED)
        r = CUDA_ERROR_NOT_SUPPORTED; /* CUDA has nodes that allocate */
    else if (r == CUDA_SUCCESS && !out)
        r = CUDA_ERROR_INVALID_VALUE;
    else if (r == CUDA_SUCCESS && !size)
        *out = 0; /* no memory, and no error */
    else if (r == CUDA_SUCCESS)
        r = pool_take(s, p, size, out);
    xg_cuda_stream_put(s);
    return r;
}

CUresult cuMemAllocAsync(CUdeviceptr *out, size_t size, CUstream h)
{
    XG_CUDA_READY();
    struct xg_cuda_pool *p = pool_current();
    CUresult r = pool_alloc(out, size, p, h);
    pool_put(p);
    return r;
}

CUresult cuMemAllocFromPoolAsync(CUdeviceptr *out, size_t size, CUmemoryPool pool, CUstream h)
{
    XG_CUDA_READY();
    struct xg_cuda_pool *p = pool_get(pool);
    CUresult r = p ? pool_alloc(out, size, p, h) : CUDA_ERROR_INVALID_VALUE;
    pool_put(p);
    return r;
}

CUresult cuMemFreeAsync(CUdeviceptr p, CUstream h)
{
    struct xg_cuda_stream *s;
    CUresult r = xg_cuda_stream_get(h, &s);

    if (r != CUDA_SUCCESS)
        return r;
    if (atomic_load_explicit(&s->capture, memory_order_relaxed))
        r = CUDA_ERROR_INVALID_VALUE; /* only what the capture allocated could be freed in it */
    else if ((r = xg_cuda_capture_refuses(s)) == CUDA_SUCCESS && p)
        r = xg_cuda_device.free_later(s, p);
    xg_cuda_stream_put(s);
    return r;
}

/* --- pools as objects ------------------------------------------------------------------------- */

CUresult cuMemPoolCreate(CUmemoryPool *out, const CUmemPoolProps *props)
{
    XG_CUDA_READY();
    XG_CUDA_UNSAFE();
    if (!out || !props || props->allocType != CU_MEM_ALLOCATION_TYPE_PINNED)
        return CUDA_ERROR_INVALID_VALUE;
    if (props->location.type != CU_MEM_LOCATION_TYPE_DEVICE ||
        props->handleTypes != CU_MEM_HANDLE_TYPE_NONE)
        return CUDA_ERROR_NOT_SUPPORTED;
    if (props->location.id != 0)
        return CUDA_ERROR_INVALID_VALUE;
    struct xg_cuda_pool *p = pool_new(props->maxSize);
    if (!p)
        return CUDA_ERROR_OUT_OF_MEMORY;
    *out = p->handle;
    return CUDA_SUCCESS;
}

/* What is allocated from it stays, as in CUDA. */
CUresult cuMemPoolDestroy(CUmemoryPool h)
{
    XG_CUDA_READY();
    XG_CUDA_UNSAFE();
    pthread_mutex_lock(&lock);
    struct xg_cuda_pool *p = xg_cuda_handle_get(XG_CUDA_KIND_POOL, h);
    if (p == atomic_load(&standard))
        p = NULL;
    if (p)
        pool_remove(p);
    if (p && atomic_load(&selected) == p)
        atomic_store(&selected, NULL);
    pthread_mutex_unlock(&lock);
    pool_put(p);
    return p ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

/* Nothing is kept that is not in use. */
CUresult cuMemPoolTrimTo(CUmemoryPool h, size_t keep)
{
    XG_CUDA_READY();
    XG_CUDA_UNSAFE();
    return pool_valid(h) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

static CUresult pool_set(struct xg_cuda_pool *p, CUmemPool_attribute a, const void *value)
{
    switch (a) {
    case CU_MEMPOOL_ATTR_REUSE_FOLLOW_EVENT_DEPENDENCIES:
    case CU_MEMPOOL_ATTR_REUSE_ALLOW_OPPORTUNISTIC:
    case CU_MEMPOOL_ATTR_REUSE_ALLOW_INTERNAL_DEPENDENCIES:
        p->reuse[a - CU_MEMPOOL_ATTR_REUSE_FOLLOW_EVENT_DEPENDENCIES] = *(const int *)value != 0;
        return CUDA_SUCCESS;
    case CU_MEMPOOL_ATTR_RELEASE_THRESHOLD:
        p->threshold = *(const cuuint64_t *)value;
        return CUDA_SUCCESS;
    case CU_MEMPOOL_ATTR_USED_MEM_HIGH:
    case CU_MEMPOOL_ATTR_RESERVED_MEM_HIGH:
        if (*(const cuuint64_t *)value)
            return CUDA_ERROR_INVALID_VALUE;
        atomic_store(&p->high, atomic_load(&p->used));
        return CUDA_SUCCESS;
    default: return CUDA_ERROR_INVALID_VALUE;
    }
}

static CUresult pool_ask(const struct xg_cuda_pool *p, CUmemPool_attribute a, void *value)
{
    switch (a) {
    case CU_MEMPOOL_ATTR_REUSE_FOLLOW_EVENT_DEPENDENCIES:
    case CU_MEMPOOL_ATTR_REUSE_ALLOW_OPPORTUNISTIC:
    case CU_MEMPOOL_ATTR_REUSE_ALLOW_INTERNAL_DEPENDENCIES:
        *(int *)value = p->reuse[a - CU_MEMPOOL_ATTR_REUSE_FOLLOW_EVENT_DEPENDENCIES];
        return CUDA_SUCCESS;
    case CU_MEMPOOL_ATTR_RELEASE_THRESHOLD:
        *(cuuint64_t *)value = p->threshold;
        return CUDA_SUCCESS;
    case CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT:
    case CU_MEMPOOL_ATTR_USED_MEM_CURRENT:
        *(cuuint64_t *)value = atomic_load(&p->used);
        return CUDA_SUCCESS;
    case CU_MEMPOOL_ATTR_RESERVED_MEM_HIGH:
    case CU_MEMPOOL_ATTR_USED_MEM_HIGH:
        *(cuuint64_t *)value = atomic_load(&p->high);
        return CUDA_SUCCESS;
    default: return CUDA_ERROR_INVALID_VALUE;
    }
}

CUresult cuMemPoolSetAttribute(CUmemoryPool h, CUmemPool_attribute a, void *value)
{
    XG_CUDA_READY();
    XG_CUDA_UNSAFE();
    struct xg_cuda_pool *p = pool_get(h);
    CUresult r = p && value ? pool_set(p, a, value) : CUDA_ERROR_INVALID_VALUE;
    pool_put(p);
    return r;
}

CUresult cuMemPoolGetAttribute(CUmemoryPool h, CUmemPool_attribute a, void *value)
{
    XG_CUDA_READY();
    XG_CUDA_UNSAFE();
    struct xg_cuda_pool *p = pool_get(h);
    CUresult r = p && value ? pool_ask(p, a, value) : CUDA_ERROR_INVALID_VALUE;
    pool_put(p);
    return r;
}

/* To its own device a pool's memory always is accessible, and there is no other. */
static CUresult access_check(const CUmemAccessDesc *d)
{
    if (d->location.type != CU_MEM_LOCATION_TYPE_DEVICE)
        return CUDA_ERROR_NOT_SUPPORTED;
    if (d->location.id != 0 || d->flags == CU_MEM_ACCESS_FLAGS_PROT_NONE)
        return CUDA_ERROR_INVALID_DEVICE;
    return d->flags == CU_MEM_ACCESS_FLAGS_PROT_READWRITE ? CUDA_SUCCESS
           : d->flags == CU_MEM_ACCESS_FLAGS_PROT_READ    ? CUDA_ERROR_NOT_SUPPORTED
                                                          : CUDA_ERROR_INVALID_VALUE;
}

CUresult cuMemPoolSetAccess(CUmemoryPool h, const CUmemAccessDesc *desc, size_t count)
{
    XG_CUDA_READY();
    XG_CUDA_UNSAFE();
    CUresult r = pool_valid(h) && (desc || !count) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
    for (size_t i = 0; i < count && r == CUDA_SUCCESS; i++)
        r = access_check(&desc[i]);
    return r;
}

CUresult cuMemPoolGetAccess(CUmemAccess_flags *flags, CUmemoryPool h, CUmemLocation *where)
{
    XG_CUDA_READY();
    XG_CUDA_UNSAFE();
    if (!flags || !where || !pool_valid(h) || where->type != CU_MEM_LOCATION_TYPE_DEVICE ||
        where->id != 0)
        return CUDA_ERROR_INVALID_VALUE;
    *flags = CU_MEM_ACCESS_FLAGS_PROT_READWRITE;
    return CUDA_SUCCESS;
}

/* --- the device's pools ----------------------------------------------------------------------- */

/* Which is held for it. */
static CUresult pool_show(CUmemoryPool *out, struct xg_cuda_pool *p)
{
    CUresult r = !out ? CUDA_ERROR_INVALID_VALUE : !p ? CUDA_ERROR_OUT_OF_MEMORY : CUDA_SUCCESS;

    if (r == CUDA_SUCCESS)
        *out = p->handle;
    pool_put(p);
    return r;
}

CUresult cuDeviceGetDefaultMemPool(CUmemoryPool *out, CUdevice device)
{
    XG_CUDA_READY();
    return device == 0 ? pool_show(out, pool_standard()) : CUDA_ERROR_INVALID_DEVICE;
}

CUresult cuDeviceGetMemPool(CUmemoryPool *out, CUdevice device)
{
    XG_CUDA_READY();
    return device == 0 ? pool_show(out, pool_current()) : CUDA_ERROR_INVALID_VALUE;
}

CUresult cuDeviceSetMemPool(CUdevice device, CUmemoryPool h)
{
    XG_CUDA_READY();
    XG_CUDA_UNSAFE();
    pthread_mutex_lock(&lock);
    struct xg_cuda_pool *p = device == 0 ? xg_cuda_handle_get(XG_CUDA_KIND_POOL, h) : NULL;
    if (p)
        atomic_store(&selected, p);
    pthread_mutex_unlock(&lock);
    return p ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

static CUresult place_check(const CUmemLocation *where, CUmemAllocationType type)
{
    XG_CUDA_READY();
    if (!where || (type != CU_MEM_ALLOCATION_TYPE_PINNED && type != CU_MEM_ALLOCATION_TYPE_MANAGED))
        return CUDA_ERROR_INVALID_VALUE;
    if (where->type != CU_MEM_LOCATION_TYPE_DEVICE || type != CU_MEM_ALLOCATION_TYPE_PINNED)
        return CUDA_ERROR_NOT_SUPPORTED;
    return where->id == 0 ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

CUresult cuMemGetDefaultMemPool(CUmemoryPool *out, CUmemLocation *where, CUmemAllocationType type)
{
    CUresult r = place_check(where, type);
    return r == CUDA_SUCCESS ? pool_show(out, pool_standard()) : r;
}

CUresult cuMemGetMemPool(CUmemoryPool *out, CUmemLocation *where, CUmemAllocationType type)
{
    CUresult r = place_check(where, type);
    return r == CUDA_SUCCESS ? pool_show(out, pool_current()) : r;
}

CUresult cuMemSetMemPool(CUmemLocation *where, CUmemAllocationType type, CUmemoryPool h)
{
    CUresult r = place_check(where, type);
    return r == CUDA_SUCCESS ? cuDeviceSetMemPool(0, h) : r;
}
