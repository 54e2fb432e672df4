/* Linear copies. */
#include "cuda/send.h"
#include "interposer/cuda/copy.h"

#include <errno.h>
#include <sys/uio.h>
#include <unistd.h>

#define PIPELINE 4u /* chunks under way from the device */

/* --- which side is what ----------------------------------------------------------------------- */

static bool in_window(uint64_t p)
{
    return p - cu.window < cu.window_size;
}

bool cu_device_ok(uint64_t *p, uint64_t size)
{
    struct cu_mem m;

    if (!cu_mem_find(*p, &m) || size > m.size - (*p - m.start))
        return false;
    if (m.kind == CU_MEM_DEVICE || m.kind == CU_MEM_GLOBAL)
        return true;
    *p = m.device + (*p - m.start);
    return m.device != 0;
}

bool cu_is_device(uint64_t p)
{
    struct cu_mem m;
    return in_window(p) ||
           (cu_mem_find(p, &m) && (m.kind == CU_MEM_DEVICE || m.kind == CU_MEM_GLOBAL));
}

/* Each piece of the arena has whole pages to itself: within one nobody is asked. */
bool cu_leaves_arena(uint64_t p, uint64_t size)
{
    struct cu_mem m;

    if (p - (uintptr_t)cu.arena >= cu.arena_size || size <= XG_PAGE_SIZE - p % XG_PAGE_SIZE)
        return false;
    return !cu_mem_find(p, &m) || size > m.size - (p - m.start);
}

CUresult cu_stream_wait(struct cu_ctx *ctx, uint32_t stream)
{
    struct cu_cmd c;

    cu_begin_call(&c, ctx);
    cu_put_stream_sync(&c, &(struct xg_cuda_stream_sync){.stream = stream, .alone = cu_alone()});
    cu_poll(&c, ctx->api.flags & CU_CTX_SCHED_BLOCKING_SYNC);
    CUresult r = cu_end(&c);
    cu_text_flush();
    return r;
}

/* --- to the device ---------------------------------------------------------------------------- */

static CUresult line_upload(struct cu_ctx *ctx, uint32_t stream, uint64_t dst, const void *src,
                            uint64_t size, bool wait)
{
    const uint8_t *from = src;
    uint32_t where, offset;
    struct cu_slot slot;
    CUresult r = CUDA_SUCCESS;

    if (!cu_device_ok(&dst, size) || in_window((uintptr_t)src) ||
        cu_leaves_arena((uintptr_t)src, size))
        return CUDA_ERROR_INVALID_VALUE;
    if (cu_arena_place(src, size, &where, &offset)) {
        r = cu_send_htod(ctx, &(struct xg_cuda_htod){.stream = stream,
                                                     .slot = XG_CUDA_NO_SLOT,
                                                     .dst = dst,
                                                     .where = where,
                                                     .offset = offset,
                                                     .size = size});
        return r == CUDA_SUCCESS && wait ? cu_stream_wait(ctx, stream) : r;
    }
    if (size <= SMALL_COPY) {
        r = cu_send_htod_data(ctx, &(struct xg_cuda_htod_data){.stream = stream, .dst = dst}, src,
                              size);
        return r == CUDA_SUCCESS && wait && cu_prints() ? cu_stream_wait(ctx, stream) : r;
    }
    /* The application may use its memory again once the last chunk is in the arena. */
    for (uint64_t at = 0; at < size && r == CUDA_SUCCESS; at += CU_SLOT_SIZE) {
        uint64_t n = xg_min_u64(size - at, CU_SLOT_SIZE);
        r = cu_slot_take(&slot);
        if (r != CUDA_SUCCESS)
            return r;
        memcpy(slot.data, from + at, n);
        r = cu_send_htod(ctx, &(struct xg_cuda_htod){.stream = stream,
                                                     .slot = slot.index,
                                                     .dst = dst + at,
                                                     .where = slot.where,
                                                     .size = n,
                                                     .seq = slot.seq});
        cu_slot_sent(&slot, true);
    }
    return r == CUDA_SUCCESS && wait && cu_prints() ? cu_stream_wait(ctx, stream) : r;
}

/* --- from the device -------------------------------------------------------------------------- */

struct chunk {
    struct cu_cmd c;
    struct cu_slot slot;
    uint8_t *to;
    uint64_t size;
};

/* `c` is waited for with cu_finish. */
static void send_dtoh_wait(struct cu_cmd *c, struct cu_ctx *ctx, uint32_t stream, uint64_t src,
                           uint32_t where, uint32_t offset, uint64_t size)
{
    cu_begin_call(c, ctx);
    cu_put_dtoh_wait(c, &(struct xg_cuda_dtoh_wait){.stream = stream,
                                                    .alone = cu_alone(),
                                                    .src = src,
                                                    .where = where,
                                                    .offset = offset,
                                                    .size = size});
    cu_poll(c, ctx->api.flags & CU_CTX_SCHED_BLOCKING_SYNC);
    cu_send(c);
}

static CUresult chunk_take(struct chunk *k)
{
    CUresult r = cu_finish(&k->c);

    if (r == CUDA_SUCCESS)
        memcpy(k->to, k->slot.data, k->size);
    cu_slot_sent(&k->slot, false);
    return r;
}

/* Pageable memory: over when the call returns, whichever was called, as CUDA says. */
static CUresult dtoh_staged(struct cu_ctx *ctx, uint32_t stream, uint8_t *dst, uint64_t src,
                            uint64_t size)
{
    struct chunk k[PIPELINE];
    unsigned head = 0, tail = 0;
    uint64_t at = 0;
    CUresult r = CUDA_SUCCESS, one;

    while (at < size || head < tail) {
        if (r == CUDA_SUCCESS && at < size && tail - head < PIPELINE) {
            struct chunk *new = &k[tail % PIPELINE];
            r = cu_slot_take(&new->slot);
            if (r != CUDA_SUCCESS)
                continue;
            new->to = dst + at;
            new->size = xg_min_u64(size - at, CU_SLOT_SIZE);
            send_dtoh_wait(&new->c, ctx, stream, src + at, new->slot.where, 0, new->size);
            at += new->size;
            tail++;
        } else if (head < tail) {
            one = chunk_take(&k[head++ % PIPELINE]);
            if (r == CUDA_SUCCESS)
                r = one;
        } else {
            break;
        }
    }
    cu_text_flush();
    return r;
}

static CUresult line_fetch(struct cu_ctx *ctx, uint32_t stream, void *dst, uint64_t src,
                           uint64_t size, bool wait)
{
    uint32_t where, offset;
    struct cu_cmd c;

    if (!cu_device_ok(&src, size) || in_window((uintptr_t)dst) ||
        cu_leaves_arena((uintptr_t)dst, size))
        return CUDA_ERROR_INVALID_VALUE;
    if (!cu_arena_place(dst, size, &where, &offset))
        return dtoh_staged(ctx, stream, dst, src, size);
    if (!wait)
        return cu_send_dtoh(
            ctx, &(struct xg_cuda_dtoh){
                     .stream = stream, .src = src, .where = where, .offset = offset, .size = size});
    send_dtoh_wait(&c, ctx, stream, src, where, offset, size);
    CUresult r = cu_finish(&c);
    cu_text_flush();
    return r;
}

/* --- the rest --------------------------------------------------------------------------------- */

static CUresult line_move(struct cu_ctx *ctx, uint32_t stream, uint64_t dst, uint64_t src,
                          uint64_t size)
{
    if (!cu_device_ok(&dst, size) || !cu_device_ok(&src, size))
        return CUDA_ERROR_INVALID_VALUE;
    return cu_send_dtod(
        ctx, &(struct xg_cuda_dtod){.stream = stream, .dst = dst, .src = src, .size = size});
}

/* Memory of the program's, or an address that is nobody's, such as a freed one of a driver that
 * chooses addresses itself: the kernel says. */
static CUresult host_move(uint64_t dst, uint64_t src, uint64_t size)
{
    bool apart = dst + size <= src || src + size <= dst;

    for (uint64_t at = 0, most = 1u << 30; at < size; at += most) {
        struct iovec to = {(void *)(uintptr_t)(dst + at), xg_min_u64(size - at, most)};
        struct iovec from = {(void *)(uintptr_t)(src + at), to.iov_len};
        ssize_t done = apart ? process_vm_readv(getpid(), &to, 1, &from, 1, 0) : -1;
        if (done == (ssize_t)to.iov_len)
            continue;
        if (done >= 0 || (apart && errno == EFAULT))
            return CUDA_ERROR_INVALID_VALUE;
        memmove((void *)(uintptr_t)(dst + at), (const void *)(uintptr_t)(src + at), size - at);
        break;
    }
    return CUDA_SUCCESS;
}

/* --- synchronous calls: what they write that the program reads without asking CUDA is there when
 * they return, and so is what was printed --- */

static bool in_arena(uint64_t at, uint64_t size)
{
    uint32_t where, offset;

    return cu_arena_place((void *)(uintptr_t)at, size, &where, &offset);
}

static CUresult line_upload_now(struct cu_ctx *ctx, uint32_t stream, uint64_t dst, const void *src,
                                uint64_t size)
{
    CUresult r = line_upload(ctx, stream, dst, src, size, true);

    return r == CUDA_SUCCESS && XG_UNLIKELY(in_arena(dst, size)) ? cu_stream_wait(ctx, stream) : r;
}

/* Waits for nothing between device memory, as in CUDA. */
static CUresult line_move_now(struct cu_ctx *ctx, uint32_t stream, uint64_t dst, uint64_t src,
                              uint64_t size)
{
    CUresult r = line_move(ctx, stream, dst, src, size);

    if (r == CUDA_SUCCESS && XG_UNLIKELY(in_arena(dst, size)))
        return cu_stream_wait(ctx, stream);
    cu_text_look();
    return r;
}

static CUresult host_copy(struct cu_ctx *ctx, uint32_t stream, uint64_t dst, uint64_t src,
                          uint64_t size)
{
    if (cu_leaves_arena(dst, size) || cu_leaves_arena(src, size))
        return CUDA_ERROR_INVALID_VALUE;
    CUresult r = cu_stream_wait(ctx, stream);
    return r == CUDA_SUCCESS ? host_move(dst, src, size) : r;
}

CUresult cu_copy_line(struct xg_cuda_stream *s, CUdeviceptr dst, CUdeviceptr src, size_t size,
                      enum xg_cuda_way way, bool wait)
{
    bool to = way == XG_CUDA_ANY ? cu_is_device(dst) : way != XG_CUDA_DTOH;
    bool from = way == XG_CUDA_ANY ? cu_is_device(src) : way != XG_CUDA_HTOD;
    struct cu_ctx *ctx = cu_stream_ctx(s);
    uint32_t stream = cu_stream_wire(s);

    if (to && !from)
        return wait ? line_upload_now(ctx, stream, dst, (const void *)(uintptr_t)src, size)
                    : line_upload(ctx, stream, dst, (const void *)(uintptr_t)src, size, false);
    if (from && !to)
        return line_fetch(ctx, stream, (void *)(uintptr_t)dst, src, size, wait);
    if (!to)
        return host_copy(ctx, stream, dst, src, size);
    return wait ? line_move_now(ctx, stream, dst, src, size)
                : line_move(ctx, stream, dst, src, size);
}
