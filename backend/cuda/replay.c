/* Replay's life, and the way of one command through it. */
#include "backend/cuda/replay.h"
#include "cuda/errors.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "cuda/handlers.h"

/* --- errors ----------------------------------------------------------------------------------- */

/* Errors after which a context answers nothing else. */
static bool result_is_sticky(CUresult r)
{
    switch (r) {
    case CUDA_ERROR_ECC_UNCORRECTABLE:
    case CUDA_ERROR_NVLINK_UNCORRECTABLE:
    case CUDA_ERROR_CONTAINED:
    case CUDA_ERROR_ILLEGAL_ADDRESS:
    case CUDA_ERROR_LAUNCH_TIMEOUT:
    case CUDA_ERROR_ASSERT:
    case CUDA_ERROR_HARDWARE_STACK_ERROR:
    case CUDA_ERROR_ILLEGAL_INSTRUCTION:
    case CUDA_ERROR_MISALIGNED_ADDRESS:
    case CUDA_ERROR_INVALID_ADDRESS_SPACE:
    case CUDA_ERROR_INVALID_PC:
    case CUDA_ERROR_LAUNCH_FAILED:
    case CUDA_ERROR_TENSOR_MEMORY_LEAK:
    case CUDA_ERROR_EXTERNAL_DEVICE: return true;
    default: return false;
    }
}

CUresult xg_cu_error_note(struct cu_worker *w, struct cu_ctx *ctx, CUresult r)
{
    bool spreads = w->errors_spread;

    if (XG_UNLIKELY(r != CUDA_SUCCESS) && ctx && (spreads || !atomic_load(&ctx->gone)) &&
        result_is_sticky(r)) {
        if (!xg_word_stored(w->ring, XG_CUDA_WORD_ERROR)) {
            /* In this order, so that a guest that sees the error sees its context too. */
            xg_word_store(w->ring, XG_CUDA_WORD_CONTEXT,
                          spreads ? XG_CUDA_ALL_CONTEXTS : ctx->name);
            xg_word_store(w->ring, XG_CUDA_WORD_ERROR, r);
        }
    }
    return r;
}

const char *xg_cu_error_text(CUresult r)
{
    static _Thread_local char number[24];
    const char *name = xg_cuda_error_name(r);

    if (name)
        return name;
    snprintf(number, sizeof(number), "error %d", (int)r);
    return number;
}

void xg_cu_device_pause(struct cu_worker *w)
{
    atomic_store_explicit(&w->replaying, false, memory_order_relaxed);
    if (!w->integrated)
        xg_device_pause(w->ring);
}

void xg_cu_device_resume(struct cu_worker *w)
{
    if (!w->integrated)
        xg_device_resume(w->ring);
    atomic_store_explicit(&w->replaying, true, memory_order_relaxed);
}

void xg_cu_error_defer(struct cu_ctx *ctx, CUresult r)
{
    if (ctx && ctx->deferred == CUDA_SUCCESS)
        ctx->deferred = r;
}

CUresult xg_cu_deferred_take(struct cu_ctx *ctx, CUresult r)
{
    if (!ctx || ctx->deferred == CUDA_SUCCESS)
        return r;
    CUresult first = ctx->deferred;
    ctx->deferred = CUDA_SUCCESS;
    return r == CUDA_SUCCESS || r == CUDA_ERROR_NOT_READY ? first : r;
}

CUresult xg_cu_protocol_fail(struct cu_worker *w, const char *why)
{
    xg_worker_fail(w->ring, why);
    return CUDA_ERROR_INVALID_VALUE;
}

/* --- commands --------------------------------------------------------------------------------- */

static bool op_synchronises(uint16_t op)
{
    return op == XG_CUDA_OP_CTX_SYNC || op == XG_CUDA_OP_STREAM_SYNC ||
           op == XG_CUDA_OP_EVENT_SYNC || op == XG_CUDA_OP_EVENT_QUERY ||
           op == XG_CUDA_OP_DTOH_WAIT;
}

uint32_t xg_cu_text_word(void)
{
    return XG_UNLIKELY(xg_worker_text_there()) ? XG_CUDA_REPLY_TEXT : 0;
}

/* The guest can write to that memory, so nothing is read back from it. */
static bool text_put(struct cu_worker *w, uint32_t where, uint32_t size, bool marked, size_t *out,
                     size_t *err)
{
    uint8_t *to = xg_cu_arena_at(w, where, 0, size);

    if (to)
        xg_worker_text_take(to, size, marked, out, err);
    return to != NULL;
}

static bool text_give(struct cu_worker *w, struct xg_worker_ring *r,
                      const struct xg_cuda_printed *a)
{
    size_t out, err;

    if (!text_put(w, a->where, a->size, false, &out, &err))
        return false;
    const struct xg_cuda_printed_reply rep = {.out = (uint32_t)out, .err = (uint32_t)err};
    xg_reply(r, r->ticket, 0, &rep, sizeof(rep));
    return true;
}

uint32_t xg_cu_printed(struct cu_worker *w, const struct xg_cuda_printed *a)
{
    /* If an assert has broken the context, the driver may still have its text. Nothing runs in the
     * context any more, so this does not wait. */
    if (w->ctx && xg_word_stored(w->ring, XG_CUDA_WORD_ERROR))
        w->d.cuCtxSynchronize();
    w->replied = text_give(w, w->ring, a);
    return w->replied ? CUDA_SUCCESS
                      : xg_cu_protocol_fail(w, "PRINTED names no place in the arena");
}

uint32_t xg_cu_launch_printed(struct cu_worker *w, const struct xg_cuda_launch_printed *a)
{
    size_t out, err;

    if (!text_put(w, a->where, a->size, true, &out, &err))
        return xg_cu_protocol_fail(w, "LAUNCH_PRINTED names no place in the arena");
    const struct xg_cuda_launch_printed_reply rep = {.out = (uint32_t)out, .err = (uint32_t)err};
    xg_cu_reply(w, &rep, sizeof(rep));
    return CUDA_SUCCESS;
}

void xg_cu_reply(struct cu_worker *w, const void *rep, uint32_t size)
{
    xg_reply(w->ring, w->ring->ticket, 0, rep, size);
    w->replied = true;
}

/* Commands of the guest's thread that runs host functions. */
static bool about_host_functions(uint16_t op)
{
    return op == XG_CUDA_OP_HOST_NEXT || op == XG_CUDA_OP_HOST_DONE || op == XG_CUDA_OP_PRINTED;
}

/* These commands come on a ring of their own: the thread of ring 0 may be in a call of the driver
 * that waits for a host function of the guest. Nothing here may touch what belongs to that thread.
 */
static void host_dispatch(struct cu_worker *w, struct xg_worker_ring *r, uint16_t op,
                          struct xg_reader *rd)
{
    const struct xg_cuda_result rep = {.result = CUDA_ERROR_ILLEGAL_STATE};

    if (op == XG_CUDA_OP_HOST_DONE) {
        const struct xg_cuda_host_done *done = xg_read(rd, sizeof(*done));
        if (xg_reader_ok(rd))
            xg_cu_host_done(w, done);
    } else if (op == XG_CUDA_OP_PRINTED) {
        const struct xg_cuda_printed *where = xg_read(rd, sizeof(*where));
        if (xg_reader_ok(rd) && (!w->arena || !text_give(w, r, where)))
            xg_worker_fail(r, "PRINTED names no place in the arena");
    } else {
        xg_read(rd, sizeof(struct xg_cuda_host_next));
        if (xg_reader_ok(rd) && r->ticket && !xg_cu_host_ask(w, r))
            xg_reply(r, r->ticket, 0, &rep, sizeof(rep));
    }
}

static void cuda_dispatch(struct xg_worker_ring *r, uint16_t op, struct xg_reader *rd)
{
    struct cu_worker *w = xg_worker_state(r->worker, XG_API_CUDA);
    bool oneway, known;

    if (!w) {
        xg_reply(r, r->ticket, -ENODEV, NULL, 0);
        return;
    }
    if (r->index != 0) {
        if (about_host_functions(op))
            host_dispatch(w, r, op, rd);
        else
            xg_worker_fail(r, "CUDA commands belong on ring 0");
        return;
    }
    if (XG_UNLIKELY(!w->ring)) {
        w->ring = r;
        r->api[XG_API_CUDA] = w;
    }
    if (XG_UNLIKELY(!w->ready && op != XG_CUDA_OP_INIT)) {
        xg_worker_fail(r, "CUDA commands before INIT");
        return;
    }
    if (XG_UNLIKELY(w->polled != NULL))
        xg_cu_wait_busy(w);
    w->replied = false;
    if (XG_UNLIKELY(w->host_used) && op != XG_CUDA_OP_HOST_NEXT && op != XG_CUDA_OP_HOST_DONE)
        xg_cu_room_wait(w);
    atomic_store_explicit(&w->replaying, true, memory_order_relaxed);
    CUresult result = xg_cu_decode(w, &r->scratch, op, rd, &oneway, &known);
    atomic_store_explicit(&w->replaying, false, memory_order_relaxed);
    if (!known) {
        xg_reply(r, r->ticket, -ENOSYS, NULL, 0);
        return;
    }
    if (XG_UNLIKELY(!xg_reader_ok(rd)))
        return;
    xg_cu_error_note(w, w->ctx, result);
    if (XG_UNLIKELY(w->host_used)) {
        pthread_mutex_lock(&w->lock);
        xg_cu_room_tell(w);
        pthread_mutex_unlock(&w->lock);
    }
    if (oneway && result != CUDA_SUCCESS && !r->ticket)
        xg_cu_error_defer(w->ctx, result);
    if (r->ticket && !w->replied) {
        const struct xg_cuda_result rep = {.result = result,
                                           .text = op_synchronises(op) ? xg_cu_text_word() : 0};
        xg_reply(r, r->ticket, 0, &rep, sizeof(rep));
    }
}

static uint64_t cuda_idle(struct xg_worker_ring *r)
{
    struct cu_worker *w = r->api[XG_API_CUDA];

    if (!w || !w->ready)
        return UINT64_MAX;
    /* No fence yet if nobody else wants the device: if the guest waits for its work, that call
     * comes at once, and no fence is needed. */
    if (xg_device_contended(w->worker))
        xg_cu_fence_all(w);
    xg_cu_wait_poll(w);
    return UINT64_MAX;
}

static void cuda_rest(struct xg_worker_ring *r)
{
    struct cu_worker *w = r->api[XG_API_CUDA];

    if (w && w->ready)
        xg_cu_fence_all(w);
}

/* --- life ------------------------------------------------------------------------------------- */

static int tables_init(struct cu_worker *w)
{
    struct xg_table *all[] = {&w->ctxs,   &w->streams, &w->events,   &w->modules, &w->funcs,
                              &w->arrays, &w->links,   &w->textures, &w->surfaces};
    for (unsigned i = 0; i < XG_ARRAY_LEN(all); i++) {
        int err = xg_table_init(all[i], XG_CUDA_NAME_MAX);
        if (err)
            return err;
    }
    return 0;
}

static void free_object(uint32_t name, void *object, void *arg)
{
    (void)name;
    (void)arg;
    free(object);
}

static void free_module(uint32_t name, void *object, void *arg)
{
    struct cu_module *m = object;
    free(m->func);
    free_object(name, m, arg);
}

/* The driver's objects end with the process, which has only this application. */
static void cuda_fini(void *state)
{
    struct cu_worker *w = state;

    xg_cu_host_stop(w);
    bool ended = xg_cu_wait_stop(w);
    xg_cu_fence_stop(w);
    if (!ended || (w->host && xg_cu_host_given(w)))
        return; /* a waiter, or a thread of the driver, still uses the memory */
    xg_table_each(&w->streams, free_object, NULL);
    xg_table_each(&w->events, free_object, NULL);
    xg_table_each(&w->modules, free_module, NULL);
    xg_table_each(&w->funcs, free_object, NULL);
    xg_table_each(&w->arrays, free_object, NULL);
    xg_table_each(&w->links, free_object, NULL);
    xg_table_each(&w->textures, free_object, NULL);
    xg_table_each(&w->surfaces, free_object, NULL);
    struct xg_table *all[] = {&w->ctxs,   &w->streams, &w->events,   &w->modules, &w->funcs,
                              &w->arrays, &w->links,   &w->textures, &w->surfaces};
    for (unsigned i = 0; i < XG_ARRAY_LEN(all); i++)
        xg_table_fini(all[i]);
    while (w->all_ctx) {
        struct cu_ctx *c = w->all_ctx;
        w->all_ctx = c->next;
        free(c->spare);
        free(c->legacy);
        free(c);
    }
    xg_cu_pieces_free(w);
    while (w->images) {
        struct cu_image *i = w->images;
        w->images = i->next;
        free(i->bytes);
        free(i);
    }
    free(w->range);
    free(w);
}

static int cuda_init(struct xg_worker *worker, const struct xg_device_config *dev, void **state)
{
    const char *why = NULL;
    int err = -ENOMEM, count = 0;

    if (!dev->cuda_library[0])
        return -ENODEV; /* cuda = none */
    struct cu_worker *w = calloc(1, sizeof(*w));
    if (!w)
        return err;
    w->worker = worker;
    snprintf(w->pgpu, sizeof(w->pgpu), "%s", dev->name);
    pthread_mutex_init(&w->lock, NULL);
    pthread_mutex_init(&w->wait_lock, NULL);
    pthread_cond_init(&w->reaper_wake, NULL);
    pthread_cond_init(&w->reaped, NULL);
    pthread_cond_init(&w->wait_wake, NULL);
    w->queue_tail = &w->queue;
    w->waiting_tail = &w->waiting;
    err = xg_cu_driver_open(&w->d, dev->cuda_library, &why);
    if (err) {
        xg_worker_log(worker, "%s cannot serve CUDA: %s%s", dev->cuda_library,
                      err == -ENOSYS ? "it lacks " : "", why ? why : "?");
        goto fail;
    }
    err = -ENODEV;
    CUresult r = w->d.cuInit(0);
    if (r == CUDA_SUCCESS)
        r = w->d.cuDeviceGetCount(&count);
    if (r == CUDA_SUCCESS)
        r = w->d.cuDeviceGet(&w->device, dev->cuda_ordinal);
    if (r != CUDA_SUCCESS) {
        xg_worker_log(worker, "CUDA device %d of %d in %s: %s", dev->cuda_ordinal, count,
                      dev->cuda_library, xg_cu_error_text(r));
        goto fail;
    }
    err = tables_init(w);
    if (err)
        goto fail;
    err = xg_cu_fence_start(w);
    if (err)
        goto fail;
    err = xg_cu_host_start(w);
    if (err)
        goto fail;
    xg_cu_preempt_start(w);
    *state = w;
    return 0;
fail:
    cuda_fini(w);
    return err;
}

const struct xg_replay xg_replay_cuda = {
    .name = "cuda",
    .api = XG_API_CUDA,
    .init = cuda_init,
    .fini = cuda_fini,
    .dispatch = cuda_dispatch,
    .uses_no_device = about_host_functions,
    .idle = cuda_idle,
    .rest = cuda_rest,
};
