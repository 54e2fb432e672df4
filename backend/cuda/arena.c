/* The arena as the driver and the device see it. */
#include "backend/cuda/replay.h"

#include <stdlib.h>
#include <sys/mman.h>

#include "cuda/handlers.h"

#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif

/* A second view of the arena at the address where the guest has it: kernels can then use the
 * guest's own pointers. */
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

/* --- registration ----------------------------------------------------------------------------- */

/* The driver pins all pages that are registered, used or not. An arena of up to this size is
 * registered as a whole, a larger one in pieces that the guest names. */
#define WHOLE_MAX ((uint64_t)64 << 20)

/* Pages that the guest has named. */
struct cu_piece {
    struct cu_piece *next;
    uint64_t at, size, counted;
    bool left; /* the guest has given it up, but its registration could not end yet because of a
                  host function */
};

static CUresult pages_register(struct cu_worker *w, uint64_t at, uint64_t size, CUdeviceptr *device)
{
    CUresult r = w->d.cuMemHostRegister_v2(
        w->arena + at, size, CU_MEMHOSTREGISTER_PORTABLE | CU_MEMHOSTREGISTER_DEVICEMAP);

    if (r != CUDA_SUCCESS)
        return r;
    r = w->d.cuMemHostGetDevicePointer_v2(device, w->arena + at, 0);
    if (r != CUDA_SUCCESS)
        w->d.cuMemHostUnregister(w->arena + at);
    return r;
}

static CUresult piece_register(struct cu_worker *w, uint64_t at, uint64_t size)
{
    CUdeviceptr device = 0;
    CUresult r = pages_register(w, at, size, &device);

    if (r == CUDA_SUCCESS && device != (uintptr_t)w->arena + at) {
        w->d.cuMemHostUnregister(w->arena + at);
        r = CUDA_ERROR_NOT_SUPPORTED;
    }
    return r;
}

/* One page is registered first, to see whether it works at all. Only the first time, because ending
 * a registration waits for all work that is under way. */
static CUresult pieces_register(struct cu_worker *w)
{
    CUresult r = CUDA_SUCCESS;

    if (!w->arena_tried) {
        w->arena_tried = true;
        r = piece_register(w, 0, XG_PAGE_SIZE);
        if (r == CUDA_SUCCESS)
            w->d.cuMemHostUnregister(w->arena);
    }
    for (struct cu_piece *p = w->pieces; p && r == CUDA_SUCCESS; p = p->next)
        r = piece_register(w, p->at, p->size);
    return r;
}

static CUresult arena_register(struct cu_worker *w, CUdeviceptr *device)
{
    if (!w->d.cuMemHostRegister_v2 || !w->d.cuMemHostUnregister ||
        !w->d.cuMemHostGetDevicePointer_v2)
        return CUDA_ERROR_NOT_SUPPORTED;
    *device = (uintptr_t)w->arena;
    return w->flags & XG_CUDA_ARENA_PIECES ? pieces_register(w)
                                           : pages_register(w, 0, w->ring->arena_size, device);
}

void xg_cu_arena_pieces(struct cu_worker *w, bool same_address)
{
    if (!w->integrated && same_address && w->ring->arena_size > WHOLE_MAX)
        w->flags |= XG_CUDA_ARENA_PIECES;
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
        xg_worker_log(
            w->worker,
            "CUDA: the driver cannot register the memory that is shared with the guest (%s): "
            "kernels cannot use pinned memory, and there are no host functions",
            xg_cu_error_text(r));
        return;
    }
    w->arena_ctx = in;
    w->arena_device = device;
    w->flags |= XG_CUDA_ARENA_REGISTERED;
    if (w->arena_alias && device == (uintptr_t)w->arena)
        w->flags |= XG_CUDA_ARENA_SAME;
}

/* A registration serves all contexts, but belongs to one. Ending it waits for all work under way,
 * which may be a host function of the guest. This thread must not wait for that: the registration
 * then ends with its context. */
void xg_cu_arena_leave(struct cu_worker *w, CUcontext in)
{
    if (w->arena_ctx != in || xg_cu_host_pending(w))
        return;
    w->d.cuCtxSetCurrent(in); /* fails in a broken context, whose end unregisters all */
    if (!(w->flags & XG_CUDA_ARENA_PIECES))
        w->d.cuMemHostUnregister(w->arena);
    for (struct cu_piece *p = w->pieces; p; p = p->next)
        w->d.cuMemHostUnregister(w->arena + p->at);
    w->d.cuCtxSetCurrent(w->ctx ? w->ctx->h : NULL);
    w->arena_ctx = NULL;
}

/* --- pieces ----------------------------------------------------------------------------------- */

static bool piece_end(struct cu_worker *w, struct cu_piece **at)
{
    struct cu_piece *p = *at;

    xg_cu_queue_drain(w);
    p->left = xg_cu_host_pending(w);
    if (p->left)
        return false;
    w->d.cuCtxSetCurrent(w->arena_ctx);
    w->d.cuMemHostUnregister(w->arena + p->at);
    w->d.cuCtxSetCurrent(w->ctx ? w->ctx->h : NULL);
    *at = p->next;
    xg_cu_account_give(w, p->counted);
    w->staging_bytes -= p->size - p->counted;
    free(p);
    return true;
}

/* Makes room for new pages: ends registrations of pieces that the guest gave up earlier. */
static CUresult pieces_clear(struct cu_worker *w, uint64_t from, uint64_t size)
{
    for (struct cu_piece **at = &w->pieces; *at;) {
        struct cu_piece *p = *at;
        bool overlaps = p->at < from + size && from < p->at + p->size;
        if (overlaps && !p->left)
            return CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED;
        if (p->left && piece_end(w, at))
            continue;
        if (overlaps)
            return CUDA_ERROR_OUT_OF_MEMORY;
        at = &p->next;
    }
    return CUDA_SUCCESS;
}

static CUresult piece_add(struct cu_worker *w, uint64_t from, uint64_t size, uint64_t counted)
{
    struct cu_piece *p = calloc(1, sizeof(*p));

    if (!p)
        return CUDA_ERROR_OUT_OF_MEMORY;
    *p = (struct cu_piece){w->pieces, from, size, counted, false};
    w->d.cuCtxSetCurrent(w->arena_ctx);
    CUresult r = piece_register(w, from, size);
    w->d.cuCtxSetCurrent(w->ctx ? w->ctx->h : NULL);
    if (r == CUDA_SUCCESS)
        w->pieces = p;
    else
        free(p);
    return r;
}

static CUresult piece_pin(struct cu_worker *w, uint64_t from, uint64_t size, bool staging)
{
    if (!w->arena_ctx)
        return CUDA_ERROR_NOT_SUPPORTED;
    CUresult r = pieces_clear(w, from, size);
    if (r != CUDA_SUCCESS)
        return r;
    if (staging && size > XG_CUDA_STAGING_MAX - w->staging_bytes)
        return CUDA_ERROR_INVALID_VALUE;
    if (!staging && !xg_cu_account_take(w, size))
        return CUDA_ERROR_OUT_OF_MEMORY;
    r = piece_add(w, from, size, staging ? 0 : size);
    if (r == CUDA_SUCCESS && staging)
        w->staging_bytes += size;
    else if (r != CUDA_SUCCESS && !staging)
        xg_cu_account_give(w, size);
    return r;
}

/* The guest manages the arena itself, and tells which pages its application has pinned. */
uint32_t xg_cu_pin(struct cu_worker *w, const struct xg_cuda_pin *a)
{
    const uint8_t *place = xg_cu_arena_at(w, a->where, 0, a->size);
    uint64_t from = place ? (uint64_t)(place - w->arena) : 0;
    bool staging = a->flags & XG_CUDA_PIN_STAGING;

    if (!place)
        return xg_cu_protocol_fail(w, "PIN outside the arena");
    if (!a->size || ((from | a->size) & (XG_PAGE_SIZE - 1)) || (a->flags & ~XG_CUDA_PIN_STAGING))
        return CUDA_ERROR_INVALID_VALUE;
    if (w->flags & XG_CUDA_ARENA_PIECES)
        return piece_pin(w, from, a->size, staging);
    if (staging)
        return CUDA_SUCCESS; /* it is registered with the whole arena, or not at all */
    if (!xg_cu_account_take(w, a->size))
        return CUDA_ERROR_OUT_OF_MEMORY;
    w->pinned_bytes += a->size;
    return CUDA_SUCCESS;
}

uint32_t xg_cu_unpin(struct cu_worker *w, const struct xg_cuda_unpin *a)
{
    const uint8_t *place = xg_cu_arena_at(w, a->where, 0, a->size);

    if (!place)
        return xg_cu_protocol_fail(w, "UNPIN outside the arena");
    for (struct cu_piece **at = &w->pieces; *at; at = &(*at)->next)
        if (w->arena + (*at)->at == place && !(*at)->left) {
            piece_end(w, at);
            return CUDA_SUCCESS;
        }
    if (a->size > w->pinned_bytes)
        return CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED;
    w->pinned_bytes -= a->size;
    xg_cu_account_give(w, a->size);
    return CUDA_SUCCESS;
}

void xg_cu_pieces_free(struct cu_worker *w)
{
    while (w->pieces) {
        struct cu_piece *p = w->pieces;
        w->pieces = p->next;
        free(p);
    }
}
