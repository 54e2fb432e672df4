/* Host memory that CUDA allocates. Pinned memory is arena memory: the worker sees the same pages,
 * so it is never copied by us. */
#include "cuda/send.h"

uint64_t cu_arena_device(const void *p)
{
    return cu.snap.flags & XG_CUDA_ARENA_REGISTERED
               ? cu.snap.arena_device + (uint64_t)((const uint8_t *)p - cu.arena)
               : 0;
}

bool cu_arena_place(const void *p, uint64_t size, uint32_t *where, uint32_t *offset)
{
    uint64_t at = cu_host_shared((uintptr_t)p, size) - (uintptr_t)cu.arena;

    if (at >= cu.arena_size || size > cu.arena_size - at)
        return false;
    *where = (uint32_t)(at / XG_BLOB_ALIGN) + 1;
    *offset = (uint32_t)(at % XG_BLOB_ALIGN);
    return true;
}

static CUresult memory_pin(void *p, uint64_t size, uint32_t flags)
{
    struct cu_cmd c;

    if (cu.snap.flags & XG_CUDA_ARENA_PIECES)
        cu_begin_call(&c, NULL); /* the driver may refuse */
    else
        cu_begin_take(&c, NULL, size);
    cu_put_pin(&c, &(struct xg_cuda_pin){
                       .where = xg_arena_where(cu.channel, p), .flags = flags, .size = size});
    return cu_end(&c);
}

CUresult cu_slot_show(void *p, uint64_t size)
{
    return cu.snap.flags & XG_CUDA_ARENA_PIECES ? memory_pin(p, size, XG_CUDA_PIN_STAGING)
                                                : CUDA_SUCCESS;
}

CUresult cu_shown_alloc(uint64_t size, void **out)
{
    uint64_t pages = xg_align_up(size, XG_PAGE_SIZE);
    uint32_t where;
    void *p = pages ? xg_arena_alloc_bulk(cu.channel, pages, &where) : NULL;
    CUresult r = !p                             ? CUDA_ERROR_OUT_OF_MEMORY
                 : cu.snap.flags & XG_CUDA_PINS ? memory_pin(p, pages, 0)
                                                : CUDA_SUCCESS;

    if (r != CUDA_SUCCESS)
        xg_arena_free(cu.channel, p);
    *out = p;
    return r;
}

void cu_shown_free(void *p, uint64_t size)
{
    /* The worker puts it off while a host function is under way. */
    if (xg_cuda_started() && (cu.snap.flags & XG_CUDA_PINS))
        cu_send_unpin(NULL, &(struct xg_cuda_unpin){.where = xg_arena_where(cu.channel, p),
                                                    .size = xg_align_up(size, XG_PAGE_SIZE)});
    xg_arena_free(cu.channel, p);
}

/* Where the device sees arena memory at our addresses, that can be managed memory: it does not
 * move, the device reaches over. */
CUresult cu_shared_alloc(CUcontext handle, enum xg_cuda_memory_kind kind, size_t size,
                         unsigned flags, void **out)
{
    bool managed = kind == XG_CUDA_MEMORY_MANAGED;
    CU_CONTEXT(ctx, handle);
    struct cu_mem m = {
        .size = size, .kind = managed ? CU_MEM_MANAGED : CU_MEM_HOST, .ctx = ctx, .flags = flags};
    void *p;

    if (managed && !(cu.snap.flags & XG_CUDA_ARENA_SAME))
        return CUDA_ERROR_NOT_SUPPORTED;
    CUresult r = cu_shown_alloc(size, &p);
    if (r != CUDA_SUCCESS)
        return r;
    m.start = (uintptr_t)p;
    m.device = cu_arena_device(p);
    r = cu_mem_enter(&m);
    if (r != CUDA_SUCCESS) {
        cu_shown_free(p, size);
        return r;
    }
    *out = p;
    return CUDA_SUCCESS;
}

/* Copies under way may still read or write it. */
CUresult cu_arena_release(struct cu_ctx *ctx, uint64_t p, enum cu_mem_kind kind)
{
    struct cu_mem m;

    if ((cu_mem_find(p, &m) && m.owner) ||
        !cu_mem_remove(p, kind, &m)) /* a variable is its module's */
        return CUDA_ERROR_INVALID_VALUE;
    if (cu_ctx_error(ctx) == CUDA_SUCCESS)
        cu_ctx_settle(ctx);
    cu_shown_free((void *)(uintptr_t)p, m.size);
    return CUDA_SUCCESS;
}

CUresult cu_pinned_free(CUcontext handle, void *p)
{
    CU_CONTEXT(ctx, handle);
    return cu_arena_release(ctx, (uintptr_t)p, CU_MEM_HOST);
}
