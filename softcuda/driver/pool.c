/* Memory pools and stream-ordered allocation. Memory is given at once and taken back when the
 * stream gets there; nothing is hoarded, so a pool is its numbers. */
#include <stdlib.h>

#include "softcuda/driver/sc.h"

struct pool {
    CUmemoryPool handle;
    _Atomic int refs; /* one of its own, one per allocation */
    _Atomic uint64_t used, high;
    uint64_t threshold, max_size;
    int reuse[3]; /* the three policies, as set */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct pool *standard; /* the device's default */
static CUmemoryPool chosen;   /* the device's current one, NULL: the default */

static struct pool *pool_new(void)
{
    struct pool *p = calloc(1, sizeof(*p));

    if (!p)
        return NULL;
    atomic_init(&p->refs, 1);
    p->reuse[0] = p->reuse[1] = p->reuse[2] = 1;
    p->handle = sc_handle_new(SC_POOL, p);
    if (!p->handle) {
        free(p);
        return NULL;
    }
    return p;
}

static void pool_put(struct pool *p)
{
    if (atomic_fetch_sub(&p->refs, 1) == 1)
        free(p);
}

static struct pool *pool_standard(void)
{
    pthread_mutex_lock(&lock);
    if (!standard)
        standard = pool_new();
    pthread_mutex_unlock(&lock);
    return standard;
}

static struct pool *pool_current(void)
{
    struct pool *p = chosen ? sc_handle_get(SC_POOL, chosen) : NULL;

    return p ? p : pool_standard();
}

void sc_pool_freed(const struct sc_mem *m)
{
    struct pool *p = m->owner;

    atomic_fetch_sub(&p->used, m->size);
    pool_put(p);
}

uint64_t sc_pool_handle(const struct sc_mem *m)
{
    return m->owner ? (uintptr_t)((struct pool *)m->owner)->handle : 0;
}

static CUresult pool_alloc(CUdeviceptr *out, size_t size, struct pool *p, CUstream stream)
{
    CUresult r;
    SC_ENTER_OF(ctx, SC_STREAM, stream);

    if (!out)
        return CUDA_ERROR_INVALID_VALUE;
    struct sc_stream *s = sc_stream_get(ctx, stream, &r);
    if (!s)
        return r;
    r = sc_capture_refuses(s);
    sc_stream_put(s);
    if (r) /* CUDA has nodes that allocate */
        return r == CUDA_ERROR_STREAM_CAPTURE_IMPLICIT ? r : CUDA_ERROR_NOT_SUPPORTED;
    if (!size) { /* no memory, and no error */
        *out = 0;
        return CUDA_SUCCESS;
    }
    if (!p || (p->max_size && atomic_load(&p->used) + size > p->max_size))
        return CUDA_ERROR_OUT_OF_MEMORY;
    atomic_fetch_add(&p->refs, 1);
    CUdeviceptr at = sc_mem_alloc(ctx, size, 512, SC_MEM_DEVICE, p, true);
    if (!at) {
        pool_put(p);
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    uint64_t used = atomic_fetch_add(&p->used, size) + size, high = atomic_load(&p->high);
    while (used > high && !atomic_compare_exchange_weak(&p->high, &high, used))
        ;
    *out = at;
    return CUDA_SUCCESS;
}

CUresult cuMemAllocAsync(CUdeviceptr *out, size_t size, CUstream stream)
{
    CUresult r = sc_ready();

    return r ? r : pool_alloc(out, size, pool_current(), stream);
}

CUresult cuMemAllocFromPoolAsync(CUdeviceptr *out, size_t size, CUmemoryPool pool, CUstream stream)
{
    struct pool *p = sc_handle_get(SC_POOL, pool);
    CUresult r = sc_ready();

    return r ? r : p ? pool_alloc(out, size, p, stream) : CUDA_ERROR_INVALID_VALUE;
}

CUresult cuMemFreeAsync(CUdeviceptr at, CUstream stream)
{
    struct sc_op op = {.type = SC_OP_FREE, .bytes = SC_OP_BYTES(free)};
    struct sc_mem m;
    CUresult r;
    SC_ENTER_OF(ctx, SC_STREAM, stream);

    if (!at)
        return CUDA_SUCCESS;
    if (!sc_mem_find(at, &m) || m.start != at || m.kind != SC_MEM_DEVICE)
        return CUDA_ERROR_INVALID_VALUE;
    struct sc_stream *s = sc_stream_get(ctx, stream, &r);
    if (!s)
        return r;
    op.free.address = at;
    if (atomic_load(&s->api.capture))
        r = CUDA_ERROR_INVALID_VALUE; /* only what the capture allocated could be freed in it */
    else
        r = sc_submit(s, &op, NULL);
    sc_stream_put(s);
    return r;
}

/* --- pools as objects ------------------------------------------------------------------------- */

CUresult cuMemPoolCreate(CUmemoryPool *out, const CUmemPoolProps *props)
{
    CUresult r = sc_ready();

    if (r)
        return r;
    SC_UNSAFE();
    if (!out || !props || props->allocType != CU_MEM_ALLOCATION_TYPE_PINNED)
        return CUDA_ERROR_INVALID_VALUE;
    if (props->handleTypes || props->location.type != CU_MEM_LOCATION_TYPE_DEVICE)
        return CUDA_ERROR_NOT_SUPPORTED;
    if (props->location.id)
        return CUDA_ERROR_INVALID_VALUE;
    struct pool *p = pool_new();
    if (!p)
        return CUDA_ERROR_OUT_OF_MEMORY;
    p->max_size = props->maxSize;
    *out = p->handle;
    return CUDA_SUCCESS;
}

CUresult cuMemPoolDestroy(CUmemoryPool pool)
{
    CUresult r = sc_ready();

    if (r)
        return r;
    SC_UNSAFE();
    pthread_mutex_lock(&lock);
    struct pool *p = sc_handle_get(SC_POOL, pool);
    r = !p || p == standard ? CUDA_ERROR_INVALID_VALUE : CUDA_SUCCESS;
    if (!r) {
        sc_handle_drop(SC_POOL, pool);
        if (chosen == pool)
            chosen = NULL;
        pool_put(p);
    }
    pthread_mutex_unlock(&lock);
    return r;
}

CUresult cuMemPoolTrimTo(CUmemoryPool pool, size_t keep)
{
    SC_READY();
    SC_UNSAFE();
    return sc_handle_get(SC_POOL, pool) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

static CUresult attribute(struct pool *p, CUmemPool_attribute a, void *value, bool set)
{
    switch (a) {
    case CU_MEMPOOL_ATTR_REUSE_FOLLOW_EVENT_DEPENDENCIES:
    case CU_MEMPOOL_ATTR_REUSE_ALLOW_OPPORTUNISTIC:
    case CU_MEMPOOL_ATTR_REUSE_ALLOW_INTERNAL_DEPENDENCIES: {
        int *slot = &p->reuse[a - CU_MEMPOOL_ATTR_REUSE_FOLLOW_EVENT_DEPENDENCIES];
        if (set)
            *slot = *(int *)value != 0;
        else
            *(int *)value = *slot;
        return CUDA_SUCCESS;
    }
    case CU_MEMPOOL_ATTR_RELEASE_THRESHOLD:
        if (set)
            p->threshold = *(cuuint64_t *)value;
        else
            *(cuuint64_t *)value = p->threshold;
        return CUDA_SUCCESS;
    case CU_MEMPOOL_ATTR_RESERVED_MEM_HIGH:
    case CU_MEMPOOL_ATTR_USED_MEM_HIGH:
        if (set && *(cuuint64_t *)value)
            return CUDA_ERROR_INVALID_VALUE;
        if (set)
            atomic_store(&p->high, atomic_load(&p->used));
        else
            *(cuuint64_t *)value = atomic_load(&p->high);
        return CUDA_SUCCESS;
    case CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT:
    case CU_MEMPOOL_ATTR_USED_MEM_CURRENT:
        if (set)
            return CUDA_ERROR_INVALID_VALUE;
        *(cuuint64_t *)value = atomic_load(&p->used);
        return CUDA_SUCCESS;
    default: return CUDA_ERROR_INVALID_VALUE;
    }
}

CUresult cuMemPoolSetAttribute(CUmemoryPool pool, CUmemPool_attribute a, void *value)
{
    SC_READY();
    SC_UNSAFE();
    struct pool *p = sc_handle_get(SC_POOL, pool);

    return p && value ? attribute(p, a, value, true) : CUDA_ERROR_INVALID_VALUE;
}

CUresult cuMemPoolGetAttribute(CUmemoryPool pool, CUmemPool_attribute a, void *value)
{
    SC_READY();
    SC_UNSAFE();
    struct pool *p = sc_handle_get(SC_POOL, pool);

    return p && value ? attribute(p, a, value, false) : CUDA_ERROR_INVALID_VALUE;
}

CUresult cuMemPoolSetAccess(CUmemoryPool pool, const CUmemAccessDesc *map, size_t count)
{
    CUresult r = sc_ready();

    if (r)
        return r;
    SC_UNSAFE();
    if (!sc_handle_get(SC_POOL, pool) || (count && !map))
        return CUDA_ERROR_INVALID_VALUE;
    for (size_t i = 0; i < count; i++) {
        CUresult r = xg_cuda_pool_access(&map[i]);
        if (r)
            return r;
    }
    return CUDA_SUCCESS;
}

CUresult cuMemPoolGetAccess(CUmemAccess_flags *flags, CUmemoryPool pool, CUmemLocation *location)
{
    CUresult r = sc_ready();

    if (r)
        return r;
    SC_UNSAFE();
    if (!flags || !location || !sc_handle_get(SC_POOL, pool) ||
        location->type != CU_MEM_LOCATION_TYPE_DEVICE || location->id)
        return CUDA_ERROR_INVALID_VALUE;
    *flags = CU_MEM_ACCESS_FLAGS_PROT_READWRITE;
    return CUDA_SUCCESS;
}

CUresult cuDeviceGetDefaultMemPool(CUmemoryPool *out, CUdevice device)
{
    CUresult r = sc_ready();

    if (r)
        return r;
    if (!out)
        return CUDA_ERROR_INVALID_VALUE;
    if (device)
        return CUDA_ERROR_INVALID_DEVICE;
    struct pool *p = pool_standard();
    if (!p)
        return CUDA_ERROR_OUT_OF_MEMORY;
    *out = p->handle;
    return CUDA_SUCCESS;
}

CUresult cuDeviceGetMemPool(CUmemoryPool *out, CUdevice device)
{
    SC_READY();
    if (device)
        return CUDA_ERROR_INVALID_VALUE;
    CUresult r = cuDeviceGetDefaultMemPool(out, device);

    if (!r)
        *out = pool_current()->handle;
    return r;
}

CUresult cuDeviceSetMemPool(CUdevice device, CUmemoryPool pool)
{
    CUresult r = sc_ready();

    if (r)
        return r;
    SC_UNSAFE();
    if (device)
        return CUDA_ERROR_INVALID_VALUE;
    if (!sc_handle_get(SC_POOL, pool))
        return CUDA_ERROR_INVALID_VALUE;
    pthread_mutex_lock(&lock);
    chosen = pool;
    pthread_mutex_unlock(&lock);
    return CUDA_SUCCESS;
}

static CUresult location_check(const CUmemLocation *location, CUmemAllocationType type)
{
    if (!location ||
        (type != CU_MEM_ALLOCATION_TYPE_PINNED && type != CU_MEM_ALLOCATION_TYPE_MANAGED))
        return CUDA_ERROR_INVALID_VALUE;
    if (location->type != CU_MEM_LOCATION_TYPE_DEVICE || type != CU_MEM_ALLOCATION_TYPE_PINNED)
        return CUDA_ERROR_NOT_SUPPORTED;
    return location->id ? CUDA_ERROR_INVALID_VALUE : CUDA_SUCCESS;
}

CUresult cuMemGetDefaultMemPool(CUmemoryPool *out, CUmemLocation *location,
                                CUmemAllocationType type)
{
    SC_READY();
    CUresult r = location_check(location, type);

    return r ? r : cuDeviceGetDefaultMemPool(out, location->id);
}

CUresult cuMemGetMemPool(CUmemoryPool *out, CUmemLocation *location, CUmemAllocationType type)
{
    SC_READY();
    CUresult r = location_check(location, type);

    return r ? r : cuDeviceGetMemPool(out, location->id);
}

CUresult cuMemSetMemPool(CUmemLocation *location, CUmemAllocationType type, CUmemoryPool pool)
{
    SC_READY();
    CUresult r = location_check(location, type);

    return r ? r : cuDeviceSetMemPool(location->id, pool);
}
