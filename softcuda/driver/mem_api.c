/* Allocation as the API has it: device, managed, pinned and registered memory. */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "softcuda/driver/device.h"
#include "softcuda/driver/memory.h"
#include "cuda/hints.h"

CUresult cuMemGetInfo_v2(size_t *free_bytes, size_t *total)
{
    SC_ENTER(ctx);
    if (!free_bytes && !total)
        return CUDA_ERROR_INVALID_VALUE;
    uint64_t used = sc_mem_used();
    if (free_bytes)
        *free_bytes = used < sc_settings.memory ? sc_settings.memory - used : 0;
    if (total)
        *total = sc_settings.memory;
    return CUDA_SUCCESS;
}

CUresult cuMemAlloc_v2(CUdeviceptr *out, size_t size)
{
    SC_ENTER(ctx);
    SC_UNSAFE();
    if (!out || !size)
        return CUDA_ERROR_INVALID_VALUE;
    CUdeviceptr p = sc_mem_alloc(ctx, size, 512, SC_MEM_DEVICE, NULL, true);
    if (!p)
        return CUDA_ERROR_OUT_OF_MEMORY;
    *out = p;
    return CUDA_SUCCESS;
}

CUresult cuMemAllocPitch_v2(CUdeviceptr *out, size_t *pitch, size_t width, size_t height,
                            unsigned element)
{
    SC_READY();
    size_t row = xg_align_up(width, SC_PITCH_ALIGN), size;

    if (!out || !pitch || !width || !height || (element != 4 && element != 8 && element != 16))
        return CUDA_ERROR_INVALID_VALUE;
    if (row < width || __builtin_mul_overflow(row, height, &size))
        return CUDA_ERROR_OUT_OF_MEMORY;
    CUresult r = cuMemAlloc_v2(out, size);
    if (!r)
        *pitch = row;
    return r;
}

CUresult cuMemAllocManaged(CUdeviceptr *out, size_t size, unsigned flags)
{
    XG_CUDA_NEED(out, CUDA_ERROR_INVALID_VALUE);
    SC_ENTER(ctx);
    SC_UNSAFE();
    if (!size || (flags != CU_MEM_ATTACH_GLOBAL && flags != CU_MEM_ATTACH_HOST))
        return CUDA_ERROR_INVALID_VALUE;
    CUdeviceptr p = sc_mem_alloc(ctx, size, 512, SC_MEM_MANAGED, NULL, true);
    if (!p)
        return CUDA_ERROR_OUT_OF_MEMORY;
    xg_cuda_hint_forget(p, size);
    *out = p;
    return CUDA_SUCCESS;
}

CUresult cuMemFree_v2(CUdeviceptr p)
{
    struct sc_mem m;
    SC_ENTER_AT(ctx, p);

    if (!p)
        return CUDA_SUCCESS;
    if (!sc_mem_find(p, &m) || m.start != p || !(SC_MASK_DEVICE & SC_MASK(m.kind)))
        return CUDA_ERROR_INVALID_VALUE;
    SC_UNSAFE();
    sc_sync_all(); /* work under way may use it */
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

CUresult cuMemHostAlloc(void **out, size_t size, unsigned flags)
{
    SC_ENTER(ctx);
    SC_UNSAFE();
    if (!out || (flags & ~(CU_MEMHOSTALLOC_PORTABLE | CU_MEMHOSTALLOC_DEVICEMAP |
                           CU_MEMHOSTALLOC_WRITECOMBINED)))
        return CUDA_ERROR_INVALID_VALUE;
    if (!size) { /* no memory, and no error */
        *out = NULL;
        return CUDA_SUCCESS;
    }
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

CUresult cuMemAllocHost_v2(void **out, size_t size)
{
    return cuMemHostAlloc(out, size, CU_MEMHOSTALLOC_DEVICEMAP);
}

CUresult cuMemFreeHost(void *p)
{
    struct sc_mem m;
    SC_ENTER_AT(ctx, (uintptr_t)p);
    SC_UNSAFE();

    if (!p)
        return CUDA_SUCCESS;
    if (!sc_mem_find((uintptr_t)p, &m) || m.start != (uintptr_t)p || m.kind != SC_MEM_HOST)
        return CUDA_ERROR_INVALID_VALUE;
    sc_sync_all();
    if (!sc_mem_remove((uintptr_t)p, SC_MASK(SC_MEM_HOST), &m))
        return CUDA_ERROR_INVALID_VALUE;
    pages_give(p, m.slot);
    return (CUresult)atomic_load(&ctx->sticky);
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

CUresult cuMemHostRegister_v2(void *p, size_t size, unsigned flags)
{
    SC_ENTER(ctx);
    SC_UNSAFE();
    if (!p || !size ||
        (flags & ~(CU_MEMHOSTREGISTER_PORTABLE | CU_MEMHOSTREGISTER_DEVICEMAP |
                   CU_MEMHOSTREGISTER_IOMEMORY | CU_MEMHOSTREGISTER_READ_ONLY)))
        return CUDA_ERROR_INVALID_VALUE;
    if (flags & CU_MEMHOSTREGISTER_IOMEMORY)
        return CUDA_ERROR_NOT_SUPPORTED;
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

CUresult cuMemHostRegister(void *p, size_t size, unsigned flags)
{
    return cuMemHostRegister_v2(p, size, flags & 0xf); /* knows no others, and ignores them */
}

CUresult cuMemHostUnregister(void *p)
{
    struct sc_mem m;
    SC_ENTER_AT(ctx, (uintptr_t)p);
    SC_UNSAFE();

    if (!p)
        return CUDA_ERROR_INVALID_VALUE;
    if (!sc_mem_find((uintptr_t)p, &m))
        return CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED;
    if (m.kind == SC_MEM_HOST) /* that is freed, not unregistered */
        return CUDA_ERROR_INVALID_VALUE;
    if (m.kind != SC_MEM_REGISTERED)
        return CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED;
    if (m.start != (uintptr_t)p)
        return CUDA_ERROR_INVALID_VALUE;
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
