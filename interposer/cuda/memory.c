/* Allocations: the table of all memory that CUDA knows of, and device memory. */
#include "cuda/send.h"
#include "interposer/cuda/copy.h"
#include "cuda/api/pool.h"

#include <stdlib.h>

#define SMALL_MAX ((uint64_t)1 << 20) /* larger ones are mapped for themselves */
#define SLAB_SIZE ((uint64_t)2 << 20)
#define FINE_GRAIN                                                                                 \
    ((uint64_t)64 << 10) /* a device that maps pieces of this size needs no slabs                  \
                          */
#define CLASS_MIN 9u     /* 512 bytes: what CUDA aligns allocations to at most */
#define CLASSES   12u    /* ... 1 MiB */
#define ALIGN     256u   /* what CUDA promises */

static pthread_mutex_t lock = XG_LOCK_INITIALIZER;
static struct cu_mem *mems; /* sorted by start, not overlapping */
static unsigned mem_count, mem_size;
static uint64_t next_id;
static uint64_t budget; /* bytes that may be mapped before the worker is asked again */

/* --- the table -------------------------------------------------------------------------------- */

/* The first that starts behind `address`. */
static unsigned mem_after(uint64_t address)
{
    unsigned lo = 0, hi = mem_count;

    while (lo < hi) {
        unsigned mid = (lo + hi) / 2;
        if (mems[mid].start <= address)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

bool cu_mem_find(uint64_t address, struct cu_mem *out)
{
    bool found = false;

    pthread_mutex_lock(&lock);
    unsigned i = mem_after(address);
    if (i > 0 && address - mems[i - 1].start < mems[i - 1].size) {
        *out = mems[i - 1];
        found = true;
    }
    pthread_mutex_unlock(&lock);
    return found;
}

CUresult cu_mem_enter(const struct cu_mem *m)
{
    CUresult r = CUDA_SUCCESS;

    pthread_mutex_lock(&lock);
    unsigned i = mem_after(m->start);
    if (mem_count == mem_size) {
        unsigned more = mem_size ? mem_size * 2 : 128;
        struct cu_mem *p = realloc(mems, more * sizeof(*p));
        if (p) {
            mems = p;
            mem_size = more;
        }
    }
    if (mem_count == mem_size)
        r = CUDA_ERROR_OUT_OF_MEMORY;
    else if ((i > 0 && m->start - mems[i - 1].start < mems[i - 1].size) ||
             (i < mem_count && mems[i].start - m->start < m->size))
        r = CUDA_ERROR_INVALID_VALUE;
    if (r == CUDA_SUCCESS) {
        memmove(&mems[i + 1], &mems[i], (mem_count++ - i) * sizeof(*mems));
        mems[i] = *m;
        mems[i].id = ++next_id;
    }
    pthread_mutex_unlock(&lock);
    return r;
}

bool cu_mem_remove(uint64_t start, enum cu_mem_kind kind, struct cu_mem *out)
{
    bool found = false;

    pthread_mutex_lock(&lock);
    unsigned i = mem_after(start);
    if (i > 0 && mems[i - 1].start == start && mems[i - 1].kind == kind) {
        *out = mems[i - 1];
        memmove(&mems[i - 1], &mems[i], (mem_count-- - i) * sizeof(*mems));
        found = true;
    }
    pthread_mutex_unlock(&lock);
    return found;
}

bool cu_mem_remove_where(bool (*match)(const struct cu_mem *m, void *arg), void *arg,
                         struct cu_mem *out)
{
    bool found = false;

    pthread_mutex_lock(&lock);
    for (unsigned i = 0; i < mem_count && !found; i++) {
        if (!match(&mems[i], arg))
            continue;
        *out = mems[i];
        memmove(&mems[i], &mems[i + 1], (--mem_count - i) * sizeof(*mems));
        found = true;
    }
    pthread_mutex_unlock(&lock);
    return found;
}

/* --- slabs: where the device maps no less than 2 MiB ------------------------------------------ */

struct block {
    uint64_t start, seq;
};

static struct slabs {
    uint64_t *free;
    unsigned count, size;
    struct block *pending;
    unsigned pending_count, pending_size;
} slabs[CLASSES];

static unsigned class_of(uint64_t size)
{
    unsigned c = 0;
    while (((uint64_t)1 << (CLASS_MIN + c)) < size)
        c++;
    return c;
}

static bool stack_push(uint64_t **stack, unsigned *count, unsigned *size, uint64_t v)
{
    if (*count == *size) {
        unsigned more = *size ? *size * 2 : 64;
        uint64_t *p = realloc(*stack, more * sizeof(*p));
        if (!p)
            return false;
        *stack = p;
        *size = more;
    }
    (*stack)[(*count)++] = v;
    return true;
}

/* Under the lock. */
static void blocks_collect(struct slabs *s)
{
    uint64_t retired = atomic_load_explicit(&cu.shared->retired, memory_order_acquire);
    unsigned n = 0;

    while (n < s->pending_count && s->pending[n].seq <= retired)
        stack_push(&s->free, &s->count, &s->size, s->pending[n++].start);
    if (n) {
        s->pending_count -= n;
        memmove(s->pending, s->pending + n, s->pending_count * sizeof(*s->pending));
    }
}

/* Under the lock. */
static uint64_t block_take(unsigned class)
{
    struct slabs *s = &slabs[class];

    blocks_collect(s);
    return s->count ? s->free[--s->count] : 0;
}

/* How many came back, and how many had when slabs_trim last looked through all. */
static _Atomic uint64_t blocks_given, blocks_trimmed;

static void block_give(uint64_t start, uint64_t size, uint64_t seq)
{
    struct slabs *s = &slabs[class_of(size)];

    pthread_mutex_lock(&lock);
    if (s->pending_count == s->pending_size) {
        unsigned more = s->pending_size ? s->pending_size * 2 : 64;
        struct block *p = realloc(s->pending, more * sizeof(*p));
        if (p) {
            s->pending = p;
            s->pending_size = more;
        }
    }
    if (s->pending_count < s->pending_size)
        s->pending[s->pending_count++] = (struct block){start, seq};
    atomic_fetch_add(&blocks_given, 1);
    pthread_mutex_unlock(&lock);
}

/* --- mapping ---------------------------------------------------------------------------------- */

/* One-way while there is plenty; when what was known to be free is used up the worker is asked, so
 * that the application hears of it here. Other processes of the guest take from the same quota: a
 * part of it is all that is counted on. */
void cu_begin_take(struct cu_cmd *c, struct cu_ctx *ctx, uint64_t bytes)
{
    pthread_mutex_lock(&lock);
    bool plenty = bytes <= budget;
    if (plenty)
        budget -= bytes;
    pthread_mutex_unlock(&lock);
    if (plenty)
        cu_begin(c, ctx);
    else
        cu_begin_call(c, ctx);
    c->took = !plenty;
}

void cu_budget_renew(void)
{
    pthread_mutex_lock(&lock);
    budget = ((uint64_t)xg_ring_word(cu.ring, XG_CUDA_WORD_FREE) << 20) / 4;
    pthread_mutex_unlock(&lock);
}

static CUresult range_map(struct cu_ctx *ctx, uint64_t va, uint64_t size)
{
    struct cu_cmd c;

    cu_begin_take(&c, ctx, size);
    cu_put_map(&c, &(struct xg_cuda_map){.va = va, .size = size});
    return cu_end(&c);
}

/* A command that gives a place back, which may be used again once the worker has retired the seq
 * that this gives: under the ring's lock, so that they go in the order of the commands. */
static uint64_t begin_giving(struct cu_cmd *c, struct cu_ctx *ctx)
{
    cu_begin(c, ctx);
    return ++cu.seq;
}

static CUresult range_unmap(struct cu_ctx *ctx, uint64_t va, uint64_t *seq)
{
    struct cu_cmd c;

    *seq = begin_giving(&c, ctx);
    cu_put_unmap(&c, &(struct xg_cuda_unmap){.va = va, .seq = *seq});
    return cu_end(&c);
}

static CUresult retire_send(struct cu_ctx *ctx, uint64_t *seq)
{
    struct cu_cmd c;

    *seq = begin_giving(&c, ctx);
    cu_put_retire(&c, &(struct xg_cuda_retire){.seq = *seq});
    return cu_end(&c);
}

static CUresult free_asked(struct cu_ctx *ctx, uint64_t va)
{
    struct cu_cmd c;
    uint64_t seq = begin_giving(&c, ctx);

    cu_put_free(&c, &(struct xg_cuda_free){.va = va, .seq = seq});
    return cu_end(&c);
}

/* A page of nothing behind each, so that kernels that run over the end are seen. */
static CUresult alloc_mapped(struct cu_ctx *ctx, uint64_t taken, uint64_t align, uint64_t *va)
{
    uint64_t grain = cu.snap.granularity, space = taken + grain;
    CUresult r;

    *va = cu_va_take(space, xg_max_u64(grain, align));
    if (!*va)
        return CUDA_ERROR_OUT_OF_MEMORY;
    r = range_map(ctx, *va, taken);
    if (r != CUDA_SUCCESS)
        cu_va_give(*va, space, 0);
    return r;
}

static uint64_t slab_taken(void)
{
    return xg_align_up(SLAB_SIZE, cu.snap.granularity);
}

static int by_address(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

/* Under the lock. Takes a slab out of which nothing is in use; 0: there is none. */
static uint64_t slab_unused(unsigned class)
{
    struct slabs *s = &slabs[class];
    uint64_t block = (uint64_t)1 << (CLASS_MIN + class);
    unsigned blocks = (unsigned)(SLAB_SIZE / block), run = 0;

    if (s->count)
        qsort(s->free, s->count, sizeof(*s->free), by_address);
    for (unsigned i = 0; i < s->count; i++) {
        run = s->free[i] % SLAB_SIZE == 0                   ? 1
              : run && s->free[i] == s->free[i - 1] + block ? run + 1
                                                            : 0;
        if (run != blocks)
            continue;
        uint64_t slab = s->free[i + 1 - blocks];
        memmove(&s->free[i + 1 - blocks], &s->free[i + 1], (s->count - i - 1) * sizeof(*s->free));
        s->count -= blocks;
        return slab;
    }
    return 0;
}

/* Gives back the slabs out of which nothing is in use, so that other sizes may have the memory;
 * waits for what is on its way back. False: there were none. */
static bool slabs_trim(struct cu_ctx *ctx)
{
    uint64_t last = 0, seq, given = atomic_load(&blocks_given);
    bool trimmed = false;

    if (given == atomic_load(&blocks_trimmed))
        return false;
    pthread_mutex_lock(&lock);
    for (unsigned class = 0; class < CLASSES; class ++)
        for (unsigned i = 0; i < slabs[class].pending_count; i++)
            last = xg_max_u64(last, slabs[class].pending[i].seq);
    pthread_mutex_unlock(&lock);
    if (last)
        cu_va_wait(last);
    for (unsigned class = 0; class < CLASSES;) {
        pthread_mutex_lock(&lock);
        blocks_collect(&slabs[class]);
        uint64_t slab = slab_unused(class);
        pthread_mutex_unlock(&lock);
        if (!slab) {
            class ++;
            continue;
        }
        if (range_unmap(ctx, slab, &seq) == CUDA_SUCCESS)
            cu_va_give(slab, slab_taken() + cu.snap.granularity, seq);
        trimmed = true;
    }
    atomic_store(&blocks_trimmed, given);
    return trimmed;
}

static CUresult alloc_small(struct cu_ctx *ctx, uint64_t size, uint64_t *va)
{
    unsigned class = class_of(size);
    uint64_t block = (uint64_t)1 << (CLASS_MIN + class), slab;
    CUresult r;

    pthread_mutex_lock(&lock);
    *va = block_take(class);
    pthread_mutex_unlock(&lock);
    if (*va)
        return CUDA_SUCCESS;
    r = alloc_mapped(ctx, slab_taken(), SLAB_SIZE, &slab);
    if (r != CUDA_SUCCESS)
        return r;
    pthread_mutex_lock(&lock);
    for (uint64_t at = SLAB_SIZE - block; at; at -= block)
        stack_push(&slabs[class].free, &slabs[class].count, &slabs[class].size, slab + at);
    pthread_mutex_unlock(&lock);
    *va = slab;
    return CUDA_SUCCESS;
}

static CUresult alloc_asked(struct cu_ctx *ctx, uint64_t size, uint64_t *va)
{
    struct xg_cuda_alloc_reply reply;
    CUresult r = cu_call_alloc(ctx, &(struct xg_cuda_alloc){.size = size}, &reply);

    *va = reply.va;
    return r;
}

static CUresult give_back(struct cu_ctx *ctx, const struct cu_mem *m)
{
    bool window = (cu.snap.flags & XG_CUDA_HAS_WINDOW) != 0;
    uint64_t seq;
    CUresult r;

    if (!window)
        return free_asked(ctx, m->start);
    if (m->taken) {
        r = range_unmap(ctx, m->map, &seq);
        cu_va_give(m->map, m->taken + cu.snap.granularity, seq);
        return r;
    }
    r = retire_send(ctx, &seq);
    block_give(m->start, m->size, seq);
    return r;
}

/* Places `m`. */
static CUresult memory_alloc(struct cu_ctx *ctx, struct cu_mem *m)
{
    uint64_t grain = cu.snap.granularity;

    if (!(cu.snap.flags & XG_CUDA_HAS_WINDOW))
        return alloc_asked(ctx, m->size, &m->start);
    if (grain > FINE_GRAIN && m->size <= SMALL_MAX)
        return alloc_small(ctx, m->size, &m->start);
    m->taken = xg_align_up(m->size, grain);
    CUresult r = alloc_mapped(ctx, m->taken, XG_CUDA_PITCH, &m->map);
    /* At the end of what is mapped: what runs over it is seen. */
    m->start = m->map + m->taken - (grain <= FINE_GRAIN ? xg_align_up(m->size, ALIGN) : m->taken);
    return r;
}

CUresult cu_device_alloc(CUcontext handle, size_t size, struct xg_cuda_pool *pool, CUdeviceptr *out)
{
    CU_CONTEXT(ctx, handle);
    struct cu_mem m = {.size = size, .kind = CU_MEM_DEVICE, .ctx = ctx, .pool = pool};
    CUresult r;

    if (size > cu.snap.total_memory)
        return CUDA_ERROR_OUT_OF_MEMORY;
    r = memory_alloc(ctx, &m);
    if (r == CUDA_ERROR_OUT_OF_MEMORY && slabs_trim(ctx))
        r = memory_alloc(ctx, &m);
    if (r != CUDA_SUCCESS)
        return r;
    r = cu_mem_enter(&m);
    if (r != CUDA_SUCCESS)
        give_back(ctx, &m);
    *out = m.start;
    return r;
}

/* The worker gives memory back after everything that was sent before, on any stream: later than
 * needed, never earlier. */
static bool device_free(struct cu_ctx *ctx, CUdeviceptr p, CUresult *r)
{
    struct cu_mem m;

    if (!cu_mem_remove(p, CU_MEM_DEVICE, &m))
        return false;
    if (m.pool)
        xg_cuda_pool_freed(m.pool, m.size);
    *r = give_back(ctx, &m);
    return true;
}

CUresult cu_device_free(CUcontext handle, CUdeviceptr p)
{
    CUresult r;

    CU_CONTEXT(ctx, handle);
    return device_free(ctx, p, &r) ? r : cu_arena_release(ctx, p, CU_MEM_MANAGED);
}

CUresult cu_device_free_later(struct xg_cuda_stream *s, CUdeviceptr p)
{
    CUresult r;

    return device_free(cu_stream_ctx(s), p, &r) ? r : CUDA_ERROR_INVALID_VALUE;
}

static bool memory_belongs(const struct cu_mem *m, void *ctx)
{
    return m->ctx == ctx && (m->kind == CU_MEM_DEVICE || m->kind == CU_MEM_GLOBAL);
}

void cu_device_free_ctx(struct cu_ctx *ctx)
{
    struct cu_mem m;

    while (cu_mem_remove_where(memory_belongs, ctx, &m)) {
        if (m.pool)
            xg_cuda_pool_freed(m.pool, m.size);
        if (m.kind == CU_MEM_DEVICE)
            give_back(NULL, &m);
    }
}

void cu_mem_reset(void)
{
    xg_lock_init(&lock);
    mem_count = 0;
    budget = 0;
    for (unsigned i = 0; i < CLASSES; i++)
        slabs[i].count = slabs[i].pending_count = 0;
}

CUresult cu_memory_info(CUcontext handle, size_t *free_now, size_t *total)
{
    struct xg_cuda_mem_info_reply reply;

    CU_CONTEXT(ctx, handle);
    slabs_trim(ctx);
    CUresult r = cu_call_mem_info(ctx, &(struct xg_cuda_mem_info){.reserved = 0}, &reply);
    *free_now = reply.free;
    *total = reply.total;
    return r;
}
