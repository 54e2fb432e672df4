/* Contexts are cuda/api's; here is what they are to the engine. */
#include "softcuda/driver/device.h"
#include "softcuda/driver/sc.h"

static struct sc_ctx *_Atomic live; /* changed under sc_lock */

CUresult sc_ctx_error(struct xg_cuda_ctx *api)
{
    struct sc_ctx *ctx = sc_ctx_of(api);
    CUresult r = (CUresult)atomic_load_explicit(&ctx->sticky, memory_order_relaxed);

    if (XG_UNLIKELY(r))
        sc_print_flush(ctx); /* a failed assert says why */
    return r;
}

void sc_ctx_fail(struct sc_ctx *ctx, CUresult error)
{
    int none = CUDA_SUCCESS;

    atomic_compare_exchange_strong(&ctx->sticky, &none, error);
}

struct sc_ctx *sc_ctx_current(void)
{
    struct xg_cuda_ctx *api = xg_cuda_current();

    return api && !atomic_load(&api->ended) ? sc_ctx_of(api) : NULL;
}

/* --- life ------------------------------------------------------------------------------------- */

static void limits_set(uint64_t *limit)
{
    limit[CU_LIMIT_STACK_SIZE] = 1024;
    limit[CU_LIMIT_PRINTF_FIFO_SIZE] = 1 << 20;
    limit[CU_LIMIT_MALLOC_HEAP_SIZE] = 8 << 20;
    limit[CU_LIMIT_DEV_RUNTIME_SYNC_DEPTH] =
        sc_settings.cc_major < 9 ? 2 : UINT64_MAX; /* not on later ones */
    limit[CU_LIMIT_DEV_RUNTIME_PENDING_LAUNCH_COUNT] = 2048;
    limit[CU_LIMIT_MAX_L2_FETCH_GRANULARITY] = 64;
    limit[CU_LIMIT_CIG_SHMEM_FALLBACK_ENABLED] = UINT64_MAX;
}

CUresult sc_ctx_start(struct xg_cuda_ctx *api)
{
    struct sc_ctx *ctx = sc_ctx_of(api);

    pthread_mutex_init(&ctx->streams_lock, NULL);
    pthread_mutex_init(&ctx->print_lock, NULL);
    limits_set(api->limit);
    pthread_mutex_lock(&sc_lock);
    ctx->next = live;
    live = ctx;
    pthread_mutex_unlock(&sc_lock);
    return CUDA_SUCCESS;
}

/* sc_lock held. Its `next` stays: who is at it goes on from there to all that are older. */
static void live_leave(struct sc_ctx *ctx)
{
    struct sc_ctx *_Atomic *at = &live;

    while (atomic_load(at) != ctx)
        at = &atomic_load(at)->next;
    atomic_store(at, atomic_load(&ctx->next));
}

static void streams_end(struct sc_ctx *ctx)
{
    for (;;) {
        pthread_mutex_lock(&ctx->streams_lock);
        struct sc_stream *s = ctx->streams;
        if (s)
            sc_stream_ref(s);
        pthread_mutex_unlock(&ctx->streams_lock);
        if (!s)
            return;
        sc_stream_kill(s);
        sc_stream_put(s);
    }
}

/* Stops what runs, then frees everything the context owned. */
CUresult sc_ctx_end(struct xg_cuda_ctx *api)
{
    struct sc_ctx *ctx = sc_ctx_of(api);

    pthread_mutex_lock(&sc_lock);
    if (ctx->prints) /* a program may have no other synchronisation than this */
        sc_ctx_sync(ctx);
    sc_print_flush(ctx);
    sc_ctx_fail(ctx, CUDA_ERROR_CONTEXT_IS_DESTROYED);
    atomic_store_explicit(&ctx->abort, 1, memory_order_relaxed);
    sc_ctx_sync(ctx);
    xg_cuda_libraries_forget(api->handle);
    sc_modules_end(ctx);
    sc_event_drop_ctx(ctx);
    streams_end(ctx);
    sc_heap_destroy(ctx);
    sc_print_resize(ctx);
    sc_mem_free_ctx(ctx);
    ctx->legacy = NULL;
    api->legacy = NULL;
    live_leave(ctx);
    pthread_mutex_unlock(&sc_lock);
    return CUDA_SUCCESS;
}

/* A new context cannot use the memory yet: who is not met was made too late to matter. */
void sc_sync_all(void)
{
    for (struct sc_ctx *ctx = atomic_load(&live); ctx; ctx = atomic_load(&ctx->next))
        if (ctx->legacy)
            sc_ctx_sync(ctx);
}

CUresult sc_ctx_settle(struct xg_cuda_ctx *api)
{
    struct sc_ctx *ctx = sc_ctx_of(api);
    CUresult r = sc_ctx_sync(ctx);

    sc_print_flush(ctx);
    return r;
}

/* --- settings --------------------------------------------------------------------------------- */

enum { STACK_MAX = 512 << 10, L2_FETCH_MAX = 128 }; /* bytes */

CUresult sc_ctx_limit(struct xg_cuda_ctx *api, CUlimit limit, uint64_t *value)
{
    struct sc_ctx *ctx = sc_ctx_of(api);

    switch (limit) {
    case CU_LIMIT_SHMEM_SIZE:
    case CU_LIMIT_CIG_ENABLED: return CUDA_ERROR_NOT_PERMITTED; /* they are graphics' */
    case CU_LIMIT_STACK_SIZE: return *value <= STACK_MAX ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
    case CU_LIMIT_MAX_L2_FETCH_GRANULARITY:
        return *value <= L2_FETCH_MAX ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
    case CU_LIMIT_MALLOC_HEAP_SIZE:
        /* The heap that kernels allocate from is placed at its first use and stays. */
        return ctx->heap_state ? CUDA_ERROR_INVALID_VALUE : CUDA_SUCCESS;
    case CU_LIMIT_PRINTF_FIFO_SIZE:
        *value = xg_min_u64(*value, SC_PRINT_MAX);
        return sc_print_resize(ctx) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
    default: return CUDA_SUCCESS;
    }
}

/* There are no banks, no cache that could hold more or less, and nothing waits otherwise. */
CUresult sc_ctx_tell(struct xg_cuda_ctx *api, enum xg_cuda_ctx_setting what, unsigned value)
{
    (void)api;
    (void)what;
    (void)value;
    return CUDA_SUCCESS;
}
