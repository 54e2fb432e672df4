/* Memory pools and stream-ordered allocation: pools are bookkeeping here; memory comes from the
 * same allocator as all other. */
#include "interposer/cuda/graph.h"

#include <stdlib.h>

struct cu_pool {
    struct cu_object o;
    uint64_t threshold, limit;
    int reuse[3];
    _Atomic uint64_t used, used_high;
    CUmemAccess_flags access;
};

static pthread_mutex_t lock = XG_LOCK_INITIALIZER;
static struct cu_pool *default_pool;
static struct cu_pool *_Atomic current_pool; /* set under the lock, looked at without */

static struct cu_pool *pool_new(uint64_t limit)
{
    struct cu_pool *p = cu_object_new(CU_KIND_POOL, sizeof(*p));
    if (p) {
        p->limit = limit;
        p->reuse[0] = p->reuse[1] = p->reuse[2] = 1;
        p->access = CU_MEM_ACCESS_FLAGS_PROT_READWRITE;
    }
    return p;
}

/* The device's own; made when first asked for. */
static struct cu_pool *pool_default(void)
{
    pthread_mutex_lock(&lock);
    if (!default_pool)
        default_pool = pool_new(0);
    pthread_mutex_unlock(&lock);
    return default_pool;
}

static struct cu_pool *pool_current(void)
{
    struct cu_pool *p = atomic_load_explicit(&current_pool, memory_order_acquire);
    return p ? p : pool_default();
}

void cu_pools_reset(void)
{
    xg_lock_init(&lock);
    default_pool = NULL;
    current_pool = NULL;
}

/* --- allocation ------------------------------------------------------------------------------- */

/* The memory is there before the stream gets to it; that is early, never late. */
static CUresult alloc(CUdeviceptr *out, size_t size, struct cu_pool *p, CUstream s)
{
    CU_STREAM(s);
    CUresult r = cu_capture_lacks(stream);
    if (r != CUDA_SUCCESS)
        return r;
    if (!out)
        return CUDA_ERROR_INVALID_VALUE;
    if (!size) { /* no memory, and no error */
        *out = 0;
        return CUDA_SUCCESS;
    }
    if (!p)
        return CUDA_ERROR_OUT_OF_MEMORY;
    if (p->limit && atomic_load(&p->used) + size > p->limit)
        return CUDA_ERROR_OUT_OF_MEMORY;
    r = cu_device_alloc(ctx, size, &p->o, out);
    if (r == CUDA_SUCCESS) {
        uint64_t used = atomic_fetch_add(&p->used, size) + size;
        uint64_t high = atomic_load(&p->used_high);
        while (used > high && !atomic_compare_exchange_weak(&p->used_high, &high, used))
            ;
    }
    return r;
}

CUresult cuMemAllocAsync(CUdeviceptr *out, size_t size, CUstream s)
{
    CU_READY();
    return alloc(out, size, pool_current(), s);
}

CUresult cuMemAllocFromPoolAsync(CUdeviceptr *out, size_t size, CUmemoryPool h, CUstream s)
{
    struct cu_pool *p = cu_object_get(CU_KIND_POOL, h);

    CU_READY();
    return p ? alloc(out, size, p, s) : CUDA_ERROR_INVALID_VALUE;
}

/* The worker gives memory back after everything that was sent before, on any stream: later than
 * needed, never earlier. */
CUresult cuMemFreeAsync(CUdeviceptr p, CUstream s)
{
    CU_STREAM(s);
    struct xg_cuda_stream *capture = cu_capture_of(stream);
    if (capture && !capture->legacy) /* only what the capture allocated could be freed in it */
        return CUDA_ERROR_INVALID_VALUE;
    CU_CAPTURE_REFUSES(capture);
    return p ? cu_device_free(ctx, p) : CUDA_SUCCESS;
}

void cu_pool_note_free(struct cu_object *o, uint64_t size)
{
    if (o->kind == CU_KIND_POOL)
        atomic_fetch_sub(&((struct cu_pool *)o)->used, size);
}

/* --- pools ------------------------------------------------------------------------------------ */

CUresult cuMemPoolCreate(CUmemoryPool *out, const CUmemPoolProps *props)
{
    struct cu_pool *p;

    CU_READY();
    CU_UNSAFE();
    if (!out || !props || props->allocType != CU_MEM_ALLOCATION_TYPE_PINNED)
        return CUDA_ERROR_INVALID_VALUE;
    if (props->location.type != CU_MEM_LOCATION_TYPE_DEVICE ||
        props->handleTypes != CU_MEM_HANDLE_TYPE_NONE)
        return CUDA_ERROR_NOT_SUPPORTED;
    if (props->location.id != 0)
        return CUDA_ERROR_INVALID_VALUE;
    p = pool_new(props->maxSize);
    if (!p)
        return CUDA_ERROR_OUT_OF_MEMORY;
    *out = cu_handle(&p->o);
    return CUDA_SUCCESS;
}

/* Allocations outlive their pool in CUDA; here they keep its name only as long as it is one. */
static bool of_pool(const struct cu_mem *m, void *pool)
{
    return m->owner == pool;
}

CUresult cuMemPoolDestroy(CUmemoryPool h)
{
    struct cu_mem m;

    CU_READY();
    CU_UNSAFE();
    struct cu_pool *p = cu_object_get(CU_KIND_POOL, h);
    if (!p || p == default_pool)
        return CUDA_ERROR_INVALID_VALUE;
    if (!cu_object_hide(&p->o))
        return CUDA_ERROR_INVALID_VALUE;
    while (cu_mem_remove_where(of_pool, p, &m)) {
        m.owner = NULL;
        cu_mem_enter(&m);
    }
    pthread_mutex_lock(&lock);
    if (current_pool == p)
        current_pool = NULL;
    pthread_mutex_unlock(&lock);
    cu_object_free(&p->o);
    return CUDA_SUCCESS;
}

CUresult cuMemPoolTrimTo(CUmemoryPool h, size_t keep)
{
    (void)keep; /* nothing is kept that is not in use */
    CU_READY();
    CU_UNSAFE();
    return cu_object_get(CU_KIND_POOL, h) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

CUresult cuMemPoolSetAttribute(CUmemoryPool h, CUmemPool_attribute a, void *value)
{
    CU_READY();
    CU_UNSAFE();
    struct cu_pool *p = cu_object_get(CU_KIND_POOL, h);
    if (!p || !value)
        return CUDA_ERROR_INVALID_VALUE;
    switch (a) {
    case CU_MEMPOOL_ATTR_REUSE_FOLLOW_EVENT_DEPENDENCIES:
    case CU_MEMPOOL_ATTR_REUSE_ALLOW_OPPORTUNISTIC:
    case CU_MEMPOOL_ATTR_REUSE_ALLOW_INTERNAL_DEPENDENCIES:
        p->reuse[a - CU_MEMPOOL_ATTR_REUSE_FOLLOW_EVENT_DEPENDENCIES] = *(int *)value != 0;
        return CUDA_SUCCESS;
    case CU_MEMPOOL_ATTR_RELEASE_THRESHOLD:
        p->threshold = *(cuuint64_t *)value;
        return CUDA_SUCCESS;
    case CU_MEMPOOL_ATTR_USED_MEM_HIGH:
    case CU_MEMPOOL_ATTR_RESERVED_MEM_HIGH:
        if (*(cuuint64_t *)value)
            return CUDA_ERROR_INVALID_VALUE;
        atomic_store(&p->used_high, atomic_load(&p->used));
        return CUDA_SUCCESS;
    default: return CUDA_ERROR_INVALID_VALUE;
    }
}

CUresult cuMemPoolGetAttribute(CUmemoryPool h, CUmemPool_attribute a, void *value)
{
    CU_READY();
    CU_UNSAFE();
    struct cu_pool *p = cu_object_get(CU_KIND_POOL, h);
    if (!p || !value)
        return CUDA_ERROR_INVALID_VALUE;
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
        *(cuuint64_t *)value = atomic_load(&p->used_high);
        return CUDA_SUCCESS;
    default: return CUDA_ERROR_INVALID_VALUE;
    }
}

CUresult cuMemPoolSetAccess(CUmemoryPool h, const CUmemAccessDesc *desc, size_t count)
{
    CU_READY();
    CU_UNSAFE();
    if (!cu_object_get(CU_KIND_POOL, h) || (count && !desc))
        return CUDA_ERROR_INVALID_VALUE;
    for (size_t i = 0; i < count; i++) {
        CUresult r = xg_cuda_pool_access(&desc[i]);
        if (r != CUDA_SUCCESS)
            return r;
    }
    return CUDA_SUCCESS;
}

CUresult cuMemPoolGetAccess(CUmemAccess_flags *flags, CUmemoryPool h, CUmemLocation *where)
{
    CU_READY();
    CU_UNSAFE();
    struct cu_pool *p = cu_object_get(CU_KIND_POOL, h);
    if (!p || !flags || !where)
        return CUDA_ERROR_INVALID_VALUE;
    if (where->type != CU_MEM_LOCATION_TYPE_DEVICE || where->id != 0)
        return CUDA_ERROR_INVALID_VALUE;
    *flags = p->access;
    return CUDA_SUCCESS;
}

static CUresult pool_out(CUmemoryPool *out, struct cu_pool *p)
{
    if (!out)
        return CUDA_ERROR_INVALID_VALUE;
    if (!p)
        return CUDA_ERROR_OUT_OF_MEMORY;
    *out = cu_handle(&p->o);
    return CUDA_SUCCESS;
}

CUresult cuDeviceGetDefaultMemPool(CUmemoryPool *out, CUdevice device)
{
    CU_READY();
    return device == 0 ? pool_out(out, pool_default()) : CUDA_ERROR_INVALID_DEVICE;
}

CUresult cuDeviceGetMemPool(CUmemoryPool *out, CUdevice device)
{
    CU_READY();
    return device == 0 ? pool_out(out, pool_current()) : CUDA_ERROR_INVALID_VALUE;
}

CUresult cuDeviceSetMemPool(CUdevice device, CUmemoryPool h)
{
    CU_READY();
    CU_UNSAFE();
    if (device != 0)
        return CUDA_ERROR_INVALID_VALUE;
    struct cu_pool *p = cu_object_get(CU_KIND_POOL, h);
    if (!p)
        return CUDA_ERROR_INVALID_VALUE;
    pthread_mutex_lock(&lock);
    current_pool = p;
    pthread_mutex_unlock(&lock);
    return CUDA_SUCCESS;
}

static CUresult location_check(const CUmemLocation *where, CUmemAllocationType type)
{
    CU_READY();
    if (!where)
        return CUDA_ERROR_INVALID_VALUE;
    if (where->type != CU_MEM_LOCATION_TYPE_DEVICE || type != CU_MEM_ALLOCATION_TYPE_PINNED)
        return CUDA_ERROR_NOT_SUPPORTED;
    return where->id == 0 ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

CUresult cuMemGetDefaultMemPool(CUmemoryPool *out, CUmemLocation *where, CUmemAllocationType type)
{
    CUresult r = location_check(where, type);
    return r == CUDA_SUCCESS ? pool_out(out, pool_default()) : r;
}

CUresult cuMemGetMemPool(CUmemoryPool *out, CUmemLocation *where, CUmemAllocationType type)
{
    CUresult r = location_check(where, type);
    return r == CUDA_SUCCESS ? pool_out(out, pool_current()) : r;
}

CUresult cuMemSetMemPool(CUmemLocation *where, CUmemAllocationType type, CUmemoryPool h)
{
    CUresult r = location_check(where, type);
    return r == CUDA_SUCCESS ? cuDeviceSetMemPool(0, h) : r;
}
