/* The arena as the driver and the device see it. */
#include "backend/cuda/replay.h"
#include "protocol/cuda/errors.h"

#include <sys/mman.h>

#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif

/* A second view of the arena at the address where the guest has it: kernels can then use the guest's own pointers. */
static uint8_t *arena_alias(struct xg_worker_ring *r, uint64_t address)
{
    void *want = (void *)(uintptr_t)address;

    if (!address || (address & (XG_PAGE_SIZE - 1)) || address > (1ull << 47) - r->arena_size)
        return NULL;
    if (want == r->arena)
        return want;
    void *at = mmap(want, r->arena_size, PROT_NONE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
    if (at == MAP_FAILED)
        return NULL;
    if (at != want) {
        munmap(at, r->arena_size);
        return NULL;
    }
    at = mremap(r->arena, 0, r->arena_size, MREMAP_MAYMOVE | MREMAP_FIXED, want);
    if (at == MAP_FAILED) {
        munmap(want, r->arena_size);
        return NULL;
    }
    return at;
}

void xg_cu_arena_place(struct cu_worker *w, uint64_t address)
{
    uint8_t *alias = arena_alias(w->ring, address);

    w->arena_alias = alias != NULL;
    if (alias)
        w->arena = alias;
}

static CUresult arena_register(struct cu_worker *w, CUdeviceptr *device)
{
    CUresult r;

    if (!w->d.cuMemHostRegister_v2 || !w->d.cuMemHostUnregister || !w->d.cuMemHostGetDevicePointer_v2)
        return CUDA_ERROR_NOT_SUPPORTED;
    r = w->d.cuMemHostRegister_v2(w->arena, w->ring->arena_size,
                                  CU_MEMHOSTREGISTER_PORTABLE | CU_MEMHOSTREGISTER_DEVICEMAP);
    if (r != CUDA_SUCCESS)
        return r;
    r = w->d.cuMemHostGetDevicePointer_v2(device, w->arena, 0);
    if (r != CUDA_SUCCESS)
        w->d.cuMemHostUnregister(w->arena);
    return r;
}

void xg_cu_arena_register(struct cu_worker *w, CUcontext in)
{
    CUdeviceptr device = 0;

    if (w->arena_ctx || w->arena_refused)
        return;
    w->flags &= ~(XG_CUDA_ARENA_REGISTERED | XG_CUDA_ARENA_SAME);
    w->d.cuCtxSetCurrent(in);
    CUresult r = arena_register(w, &device);
    w->d.cuCtxSetCurrent(w->ctx ? w->ctx->h : NULL);
    if (r != CUDA_SUCCESS) {
        w->arena_refused = true;
        xg_worker_log(w->worker, "CUDA: the driver cannot register the memory that is shared with the guest (%s): "
                                 "kernels do not reach pinned memory, and there are no host functions",
                      xg_cu_error(r));
        return;
    }
    w->arena_ctx = in;
    w->arena_device = device;
    w->flags |= XG_CUDA_ARENA_REGISTERED;
    if (w->arena_alias && device == (uintptr_t)w->arena)
        w->flags |= XG_CUDA_ARENA_SAME;
}

/* A registration serves all contexts, and is one context's own. Ending it waits for what is under way; that may be a host function of the
 * guest, which this thread must not wait for: then it ends with the context. */
void xg_cu_arena_leave(struct cu_worker *w, CUcontext in)
{
    if (w->arena_ctx != in || xg_cu_host_pending(w))
        return;
    w->d.cuCtxSetCurrent(in);
    w->d.cuMemHostUnregister(w->arena); /* a spoilt context refuses, and takes it along */
    w->d.cuCtxSetCurrent(w->ctx ? w->ctx->h : NULL);
    w->arena_ctx = NULL;
}
