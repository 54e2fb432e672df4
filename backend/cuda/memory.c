/* Device memory: what the guest mapped, and what of it commands may name. */
#include "backend/cuda/replay.h"

#include <inttypes.h>
#include <stdlib.h>

#include "cuda/handlers.h"

#define RANGES_MAX (1u << 20)

/* --- ranges ----------------------------------------------------------------------------------- */

/* The first range that ends behind `va`. */
static unsigned range_find(const struct cu_worker *w, uint64_t va)
{
    unsigned lo = 0, hi = w->range_count;

    while (lo < hi) {
        unsigned mid = (lo + hi) / 2;
        if (w->range[mid].end <= va)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

bool xg_cu_range_ok(struct cu_worker *w, uint64_t va, uint64_t size)
{
    unsigned i = range_find(w, va);

    if (i < w->range_count && w->range[i].start <= va && size <= w->range[i].end - va)
        return true;
    /* Arena memory, where the device sees it. */
    return (w->flags & XG_CUDA_ARENA_REGISTERED) && va - w->arena_device < w->ring->arena_size &&
           size <= w->ring->arena_size - (va - w->arena_device);
}

int xg_cu_range_add(struct cu_worker *w, const struct cu_range *r)
{
    unsigned i = range_find(w, r->start);

    if (r->end <= r->start || (i < w->range_count && w->range[i].start < r->end))
        return -1;
    if (w->range_count == w->range_size) {
        unsigned size = w->range_size ? w->range_size * 2 : 64;
        struct cu_range *more = size <= RANGES_MAX ? realloc(w->range, size * sizeof(*more)) : NULL;
        if (!more)
            return -1;
        w->range = more;
        w->range_size = size;
    }
    memmove(&w->range[i + 1], &w->range[i], (w->range_count - i) * sizeof(*r));
    w->range[i] = *r;
    w->range_count++;
    return 0;
}

static void range_remove(struct cu_worker *w, unsigned i)
{
    w->range_count--;
    memmove(&w->range[i], &w->range[i + 1], (w->range_count - i) * sizeof(w->range[0]));
}

/* Takes out the range that starts at `va`. */
static bool range_take(struct cu_worker *w, uint64_t va, enum cu_range_kind kind,
                       struct cu_range *out)
{
    unsigned i = range_find(w, va);

    if (i >= w->range_count || w->range[i].start != va || w->range[i].kind != kind)
        return false;
    *out = w->range[i];
    range_remove(w, i);
    return true;
}

void xg_cu_range_drop_module(struct cu_worker *w, uint32_t module)
{
    for (unsigned i = w->range_count; i-- > 0;)
        if (w->range[i].kind == CU_RANGE_GLOBAL && w->range[i].module == module)
            range_remove(w, i);
}

void *xg_cu_arena_at(struct cu_worker *w, uint32_t where, uint64_t offset, uint64_t size)
{
    uint64_t at = (uint64_t)(where - 1) * XG_BLOB_ALIGN + offset;
    uint64_t all = w->ring->arena_size;

    if (where == 0 || offset > all || at > all || size > all - at)
        return NULL;
    return w->arena + at;
}

/* --- quota ------------------------------------------------------------------------------------ */

/* Bytes that are free, in the guest's quota and on the device, as far as this worker knows. Not all
 * that counts against the quota is device memory. */
static uint64_t memory_free(struct cu_worker *w, uint64_t *total)
{
    uint64_t limit = xg_worker_memory_limit(w->worker), used = xg_worker_memory_used(w->worker),
             mine = atomic_load(&w->device_used);
    uint64_t device = w->total_memory > mine ? w->total_memory - mine : 0;

    *total = limit ? xg_min_u64(limit, w->total_memory) : w->total_memory;
    return limit ? xg_min_u64(limit > used ? limit - used : 0, device) : device;
}

/* The quotas of all guests together may be more than the device has. So the driver is asked, but
 * only while the guest waits anyway; in between, what this worker takes and gives back is counted.
 */
static void device_free_ask(struct cu_worker *w)
{
    size_t free_now, total;

    if (w->d.cuMemGetInfo_v2(&free_now, &total) == CUDA_SUCCESS)
        atomic_store_explicit(&w->device_free, (int64_t)free_now, memory_order_relaxed);
}

void xg_cu_memory_word(struct cu_worker *w)
{
    int64_t device = atomic_load_explicit(&w->device_free, memory_order_relaxed);
    uint64_t total, bytes = xg_min_u64(memory_free(w, &total), device > 0 ? (uint64_t)device : 0);

    xg_word_store(w->ring, XG_CUDA_WORD_FREE, (uint32_t)xg_min_u64(bytes >> 20, UINT32_MAX));
}

/* The word is in MiB. A small amount is written with the next large one, or when the guest waits
 * for an answer. */
#define WORD_BYTES (256u << 10)

static void word_renew(struct cu_worker *w, uint64_t size)
{
    if (size >= WORD_BYTES || w->ring->ticket)
        xg_cu_memory_word(w);
}

bool xg_cu_account_take(struct cu_worker *w, uint64_t size)
{
    if (!xg_worker_memory_take(w->worker, size)) {
        xg_cu_queue_drain(w); /* other memory may be about to be freed */
        if (!xg_worker_memory_take(w->worker, size)) {
            xg_cu_memory_word(w);
            return false;
        }
    }
    word_renew(w, size);
    return true;
}

void xg_cu_account_give(struct cu_worker *w, uint64_t size)
{
    xg_worker_memory_give(w->worker, size);
    if (size >= WORD_BYTES)
        xg_cu_memory_word(w);
}

bool xg_cu_device_charge(struct cu_worker *w, uint64_t size)
{
    if (!xg_cu_account_take(w, size))
        return false;
    atomic_fetch_sub_explicit(&w->device_free, (int64_t)size, memory_order_relaxed);
    atomic_fetch_add_explicit(&w->device_used, size, memory_order_relaxed);
    word_renew(w, size);
    return true;
}

void xg_cu_device_uncharge(struct cu_worker *w, uint64_t size)
{
    atomic_fetch_add_explicit(&w->device_free, (int64_t)size, memory_order_relaxed);
    atomic_fetch_sub_explicit(&w->device_used, size, memory_order_relaxed);
    xg_cu_account_give(w, size);
}

uint32_t xg_cu_mem_info(struct cu_worker *w, const struct xg_cuda_mem_info *a)
{
    struct xg_cuda_mem_info_reply rep = {.result = CUDA_SUCCESS};
    size_t free_now = 0, total = 0;

    if (atomic_load_explicit(&w->unmaps, memory_order_relaxed))
        xg_cu_queue_drain(
            w); /* memory is about to be freed, after the work before it, as in CUDA */
    CUresult r = w->d.cuMemGetInfo_v2(&free_now, &total);

    if (r != CUDA_SUCCESS)
        return r;
    rep.free = xg_min_u64(memory_free(w, &rep.total), free_now);
    xg_cu_reply(w, &rep, sizeof(rep));
    return CUDA_SUCCESS;
}

/* --- the window ------------------------------------------------------------------------------- */

static CUresult map_create(struct cu_worker *w, uint64_t size, CUmemGenericAllocationHandle *h)
{
    CUmemAllocationProp prop = {
        .type = CU_MEM_ALLOCATION_TYPE_PINNED,
        .location = {.type = CU_MEM_LOCATION_TYPE_DEVICE, .id = w->device},
    };
    CUresult r = w->d.cuMemCreate(h, size, &prop, 0);

    if (r == CUDA_ERROR_OUT_OF_MEMORY) {
        xg_cu_queue_drain(w);
        r = w->d.cuMemCreate(h, size, &prop, 0);
    }
    return r;
}

/* The mapping owns the memory from here on: it is freed with it, or at once if mapping fails. */
static CUresult map_place(struct cu_worker *w, uint64_t va, uint64_t size,
                          CUmemGenericAllocationHandle h)
{
    CUmemAccessDesc access = {
        .location = {.type = CU_MEM_LOCATION_TYPE_DEVICE, .id = w->device},
        .flags = CU_MEM_ACCESS_FLAGS_PROT_READWRITE,
    };
    CUresult r = w->d.cuMemMap(va, size, 0, h, 0);

    w->d.cuMemRelease(h);
    if (r != CUDA_SUCCESS)
        return r;
    r = w->d.cuMemSetAccess(va, size, &access, 1);
    if (r != CUDA_SUCCESS)
        w->d.cuMemUnmap(va, size);
    return r;
}

uint32_t xg_cu_map(struct cu_worker *w, const struct xg_cuda_map *a)
{
    struct cu_range range = {.start = a->va, .end = a->va + a->size, .kind = CU_RANGE_MAP};
    CUmemGenericAllocationHandle h;
    CUresult r;

    if (!(w->flags & XG_CUDA_HAS_WINDOW) || a->size == 0 || a->size > w->window_size ||
        a->va < w->window || a->va - w->window > w->window_size - a->size ||
        ((a->va | a->size) & (w->granularity - 1)))
        return xg_cu_protocol_fail(w, "MAP outside the window");
    range.ctx = w->ctx;
    if (!xg_cu_device_charge(w, a->size))
        return CUDA_ERROR_OUT_OF_MEMORY;
    r = map_create(w, a->size, &h);
    if (r == CUDA_SUCCESS)
        r = map_place(w, a->va, a->size, h);
    if (r != CUDA_SUCCESS)
        goto uncharge;
    if (xg_cu_range_add(w, &range)) {
        r = CUDA_ERROR_OUT_OF_MEMORY;
        goto unmap;
    }
    if (w->ring->ticket) {
        device_free_ask(w);
        xg_cu_memory_word(w);
    }
    return CUDA_SUCCESS;
unmap:
    w->d.cuMemUnmap(a->va, a->size);
uncharge:
    xg_cu_device_uncharge(w, a->size);
    return r;
}

static CUresult range_free(struct cu_worker *w, uint64_t va, uint64_t seq, enum cu_range_kind kind)
{
    struct cu_range range;
    struct cu_item it = {.action = CU_RETIRE, .seq = seq};
    bool found = range_take(w, va, kind, &range);

    if (found) {
        it.action = kind == CU_RANGE_MAP ? CU_UNMAP : CU_FREE;
        it.va = va;
        it.size = range.end - range.start;
        it.ctx = range.ctx;
    }
    if (found)
        atomic_fetch_add(&w->unmaps, 1);
    if (xg_cu_action_queue(w, &it))
        return CUDA_ERROR_OUT_OF_MEMORY;
    return found ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

uint32_t xg_cu_unmap(struct cu_worker *w, const struct xg_cuda_unmap *a)
{
    return range_free(w, a->va, a->seq, CU_RANGE_MAP);
}

uint32_t xg_cu_free(struct cu_worker *w, const struct xg_cuda_free *a)
{
    return range_free(w, a->va, a->seq, CU_RANGE_ALLOC);
}

uint32_t xg_cu_retire(struct cu_worker *w, const struct xg_cuda_retire *a)
{
    struct cu_item it = {.action = CU_RETIRE, .seq = a->seq};
    return xg_cu_action_queue(w, &it) ? CUDA_ERROR_OUT_OF_MEMORY : CUDA_SUCCESS;
}

uint32_t xg_cu_retire_wait(struct cu_worker *w, const struct xg_cuda_retire_wait *a)
{
    return xg_cu_wait_retired(w, a->seq);
}

void xg_cu_unmap_now(struct cu_worker *w, struct cu_item *it)
{
    CUresult r;

    if (it->action == CU_UNMAP) {
        r = w->d.cuMemUnmap(it->va, it->size);
    } else {
        if (it->ctx)
            w->d.cuCtxSetCurrent(it->ctx->h);
        r = w->d.cuMemFree_v2(it->va);
    }
    /* A broken context frees nothing, but its own memory goes with it. */
    if (r == CUDA_SUCCESS || it->action == CU_FREE)
        xg_cu_device_uncharge(w, it->size);
    else
        xg_worker_log(w->worker,
                      "CUDA: %" PRIu64 " bytes of device memory cannot be unmapped: %s; they stay "
                      "in use until the program ends",
                      it->size, xg_cu_error_text(r));
    atomic_fetch_sub(&w->unmaps, 1);
}

/* --- where the driver refused the window ------------------------------------------------------ */

uint32_t xg_cu_alloc(struct cu_worker *w, const struct xg_cuda_alloc *a)
{
    struct xg_cuda_alloc_reply rep = {.result = CUDA_SUCCESS};
    CUdeviceptr va = 0;
    CUresult r;

    if (!xg_cu_device_charge(w, a->size))
        return CUDA_ERROR_OUT_OF_MEMORY;
    r = w->d.cuMemAlloc_v2(&va, a->size);
    if (r == CUDA_ERROR_OUT_OF_MEMORY) {
        xg_cu_queue_drain(w);
        r = w->d.cuMemAlloc_v2(&va, a->size);
    }
    if (r == CUDA_SUCCESS) {
        struct cu_range range = {
            .start = va, .end = va + a->size, .kind = CU_RANGE_ALLOC, .ctx = w->ctx};
        if (xg_cu_range_add(w, &range)) {
            w->d.cuMemFree_v2(va);
            r = CUDA_ERROR_OUT_OF_MEMORY;
        }
    }
    if (r != CUDA_SUCCESS) {
        xg_cu_device_uncharge(w, a->size);
        return r;
    }
    rep.va = va;
    xg_cu_reply(w, &rep, sizeof(rep));
    return CUDA_SUCCESS;
}
