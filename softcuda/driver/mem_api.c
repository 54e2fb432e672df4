/* Allocation, as cuda/api asks for it: device, managed, pinned and registered memory. */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "softcuda/driver/memory.h"

/* The handle of a context that was looked up when the call began; declares `ctx`. */
#define CONTEXT(ctx, handle)                                                                       \
    struct sc_ctx *ctx = sc_ctx_of(xg_cuda_ctx_get(handle));                                       \
    if (XG_UNLIKELY(!ctx))                                                                         \
    return CUDA_ERROR_CONTEXT_IS_DESTROYED

CUresult sc_memory_info(CUcontext handle, size_t *free_now, size_t *total)
{
    uint64_t used = sc_mem_used();

    *free_now = used < sc_settings.memory ? sc_settings.memory - used : 0;
    *total = sc_settings.memory;
    return CUDA_SUCCESS;
}

CUresult sc_device_alloc(CUcontext handle, size_t size, struct xg_cuda_pool *pool, CUdeviceptr *out)
{
    CONTEXT(ctx, handle);
    CUdeviceptr p = sc_mem_alloc(ctx, size, XG_CUDA_PITCH, SC_MEM_DEVICE, pool, true);

    if (!p)
        return CUDA_ERROR_OUT_OF_MEMORY;
    *out = p;
    return CUDA_SUCCESS;
}

/* After the work under way, which may use it. */
CUresult sc_device_free(CUcontext handle, CUdeviceptr p)
{
    CONTEXT(ctx, handle);
    struct sc_mem m;

    if (!sc_mem_find(p, &m) || m.start != p || !(SC_MASK_DEVICE & SC_MASK(m.kind)))
        return CUDA_ERROR_INVALID_VALUE;
    sc_sync_all();
    if (!sc_mem_remove(p, SC_MASK_DEVICE, &m))
        return CUDA_ERROR_INVALID_VALUE;
    sc_mem_release(&m);
    return (CUresult)atomic_load(&ctx->sticky);
}

/* --- pinned memory ---------------------------------------------------------------------------- */

/* Small blocks that were freed stay mapped, as a driver's do, and are the next ones to be given:
 * what still reads or writes one afterwards ends no program. */
static struct {
    pthread_mutex_t lock;
    struct {
        void *p;
        size_t room;
    } block[16];
    unsigned next; /* to be unmapped */
} freed = {.lock = PTHREAD_MUTEX_INITIALIZER};

enum { FREED_MAX = 64 << 10 };

static void pages_give(void *p, size_t room)
{
    if (room <= FREED_MAX) {
        pthread_mutex_lock(&freed.lock);
        unsigned i = freed.next++ % XG_ARRAY_LEN(freed.block);
        void *old = freed.block[i].p;
        size_t old_room = freed.block[i].room;
        freed.block[i].p = p;
        freed.block[i].room = room;
        pthread_mutex_unlock(&freed.lock);
        p = old;
        room = old_room;
    }
    if (p)
        munmap(p, room);
}

/* Of zeros; NULL: there are none. */
static void *pages_take(size_t room)
{
    void *p = NULL;

    pthread_mutex_lock(&freed.lock);
    for (unsigned i = 0; i < XG_ARRAY_LEN(freed.block) && !p; i++)
        if (freed.block[i].p && freed.block[i].room == room) {
            p = freed.block[i].p;
            freed.block[i].p = NULL;
        }
    pthread_mutex_unlock(&freed.lock);
    if (p)
        return memset(p, 0, room);
    p = mmap(NULL, room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return p == MAP_FAILED ? NULL : p;
}

static CUresult pinned_alloc(struct sc_ctx *ctx, size_t size, unsigned flags, void **out)
{
    size_t room = xg_align_up(size, XG_PAGE_SIZE);
    void *p = room < size ? NULL : pages_take(room);

    if (!p)
        return CUDA_ERROR_OUT_OF_MEMORY;
    if (room >= SC_HUGE)
        madvise(p, room, MADV_HUGEPAGE);
    struct sc_mem m = {.start = (uintptr_t)p,
                       .size = size,
                       .slot = room,
                       .kind = SC_MEM_HOST,
                       .writable = true,
                       .accessible = true,
                       .flags = flags,
                       .ctx = ctx};
    if (sc_mem_enter(&m)) {
        pages_give(p, room);
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    *out = p;
    return CUDA_SUCCESS;
}

CUresult sc_shared_alloc(CUcontext handle, enum xg_cuda_memory_kind kind, size_t size,
                         unsigned flags, void **out)
{
    CONTEXT(ctx, handle);
    if (kind == XG_CUDA_MEMORY_PINNED)
        return pinned_alloc(ctx, size, flags, out);
    uint64_t p = sc_mem_alloc(ctx, size, XG_CUDA_PITCH, SC_MEM_MANAGED, NULL, true);
    if (!p)
        return CUDA_ERROR_OUT_OF_MEMORY;
    *out = (void *)p;
    return CUDA_SUCCESS;
}

CUresult sc_pinned_free(CUcontext handle, void *p)
{
    CONTEXT(ctx, handle);
    struct sc_mem m;

    if (!sc_mem_find((uintptr_t)p, &m) || m.start != (uintptr_t)p || m.kind != SC_MEM_HOST)
        return CUDA_ERROR_INVALID_VALUE;
    sc_sync_all();
    if (!sc_mem_remove((uintptr_t)p, SC_MASK(SC_MEM_HOST), &m))
        return CUDA_ERROR_INVALID_VALUE;
    pages_give(p, m.slot);
    return CUDA_SUCCESS;
}

/* Is there memory at all? Registering an address that is not mapped must not crash a kernel later.
 */
static bool host_mapped(uintptr_t start, size_t size)
{
    unsigned char seen[4096];
    uintptr_t at = start & ~(uintptr_t)(XG_PAGE_SIZE - 1), end = start + size;

    if (end < start)
        return false;
    while (at < end) {
        size_t chunk = xg_min_u64(end - at, (uint64_t)sizeof(seen) * XG_PAGE_SIZE);
        if (mincore((void *)at, chunk, seen))
            return false;
        at += xg_align_up(chunk, XG_PAGE_SIZE);
    }
    return true;
}

CUresult sc_host_register(CUcontext handle, void *p, size_t size, unsigned flags)
{
    CONTEXT(ctx, handle);
    if (!host_mapped((uintptr_t)p, size))
        return CUDA_ERROR_INVALID_VALUE;
    struct sc_mem m = {.start = (uintptr_t)p,
                       .size = size,
                       .kind = SC_MEM_REGISTERED,
                       .writable = !(flags & CU_MEMHOSTREGISTER_READ_ONLY),
                       .accessible = true,
                       .flags = flags,
                       .ctx = ctx};
    int err = sc_mem_enter(&m);
    return err == -EEXIST ? CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED
           : err          ? CUDA_ERROR_OUT_OF_MEMORY
                          : CUDA_SUCCESS;
}

CUresult sc_host_unregister(CUcontext handle, void *p)
{
    CONTEXT(ctx, handle);
    struct sc_mem m;

    sc_sync_all();
    if (!sc_mem_remove((uintptr_t)p, SC_MASK(SC_MEM_REGISTERED), &m))
        return CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED;
    return (CUresult)atomic_load(&ctx->sticky);
}

/* --- inter-process sharing: memory of one process is private to it ---------------------------- */

CUresult cuIpcGetEventHandle(CUipcEventHandle *handle, CUevent event)
{
    XG_CUDA_NEED(handle && event, CUDA_ERROR_INVALID_VALUE);
    return sc_not_supported();
}

CUresult cuIpcGetMemHandle(CUipcMemHandle *handle, CUdeviceptr p)
{
    XG_CUDA_NEED(handle && p, CUDA_ERROR_INVALID_VALUE);
    return sc_not_supported();
}
