/* Launches: the threads that run blocks, and what they keep from one launch to the next. */
#include <fenv.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#if defined(__SSE2__)
#include <xmmintrin.h>
#endif
#include "protocol/base.h"
#include "softcuda/ptx/exec.h"
#include "softcuda/preempt.h"

enum {
    MAX_THREADS = 256,
    WAKE_NS = 60000,    /* of work: less is done before another thread has woken up */
    CHECK_BLOCKS = 256, /* blocks between looks at the clock */
    /* For all blocks of a cooperative launch, if each thread has more than one. */
    MAX_RESIDENT_MB = 2048,
    SHARED_ROOM = SC_MAX_SHARED_OPTIN + 128 + SC_RESERVED_SHARED,
};

/* --- harts: threads that run blocks ----------------------------------------------------------- */

static pthread_key_t hart_key;
static pthread_once_t hart_once = PTHREAD_ONCE_INIT;
static __thread struct hart *hart;
static atomic_uint hart_count;

static void hart_free(void *opaque)
{
    struct hart *h = opaque;
    for (size_t c = 0; c < XG_ARRAY_LEN(h->free_frames); c++)
        for (struct frame *f = h->free_frames[c], *next; f; f = next) {
            next = f->parent;
            free(f);
        }
    if (h->local)
        munmap(h->local, h->local_size);
    free(h->regs);
    free(h->shared);
    free(h->warp);
    free(h->tid);
    free(h);
}

static void hart_init(void)
{
    pthread_key_create(&hart_key, hart_free);
}

static struct hart *hart_get(void)
{
    if (XG_LIKELY(hart != NULL))
        return hart;
    pthread_once(&hart_once, hart_init);
    struct hart *h = calloc(1, sizeof(*h));
    if (!h)
        return NULL;
    h->shared = aligned_alloc(64, SHARED_ROOM);
    h->warp = aligned_alloc(64, MAX_WARPS * sizeof(*h->warp));
    h->tid = aligned_alloc(64, 3 * SC_MAX_THREADS * sizeof(*h->tid));
    if (!h->shared || !h->warp || !h->tid) {
        hart_free(h);
        return NULL;
    }
    memset(h->shared, 0, SHARED_ROOM);
    memset(h->warp, 0, MAX_WARPS * sizeof(*h->warp));
    memset(h->tid, 0, 3 * SC_MAX_THREADS * sizeof(*h->tid));
    h->index = atomic_fetch_add(&hart_count, 1) % sc_engine_threads();
    pthread_setspecific(hart_key, h);
    return hart = h;
}

static void tid_fill(struct hart *h, const uint32_t *dim)
{
    if (!memcmp(h->dims, dim, sizeof(h->dims)))
        return;
    memcpy(h->dims, dim, sizeof(h->dims));
    for (uint32_t n = 0; n < SC_MAX_THREADS; n++) {
        h->tid[n] = n % dim[0];
        h->tid[SC_MAX_THREADS + n] = n / dim[0] % dim[1];
        h->tid[2 * SC_MAX_THREADS + n] = n / dim[0] / dim[1];
    }
}

static bool regs_grow(struct hart *h, size_t size)
{
    if (size <= h->regs_size)
        return true;
    free(h->regs);
    h->regs_size = 0;
    size = xg_align_up(size, 1 << 16);
    h->regs = aligned_alloc(64, size);
    if (!h->regs)
        return false;
    memset(h->regs, 0, size);
    h->regs_size = size;
    return true;
}

static bool local_grow(struct hart *h, size_t size)
{
    if (size <= h->local_size)
        return true;
    if (h->local)
        munmap(h->local, h->local_size);
    size = xg_align_up(size, 1 << 16);
    h->local = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                    -1, 0);
    h->local_size = size;
    if (h->local == MAP_FAILED) {
        h->local = NULL;
        h->local_size = 0;
    }
    return h->local != NULL;
}

static bool hart_prepare(struct hart *h, struct job *j)
{
    if (!regs_grow(h, (size_t)j->f->reg_bytes * j->warps) ||
        (j->local_stride && !local_grow(h, j->local_stride * j->warps * SC_WARP)))
        return false;
    tid_fill(h, j->launch->block);
    struct block *b = &h->block;
    b->job = j;
    b->hart = h;
    b->shared = h->shared;
    b->regs = h->regs;
    b->local = h->local;
    b->warp = h->warp;
    return true;
}

/* In kernels, rounding is the default one and subnormals are kept, whatever the caller has set. */
struct fp_state {
#if defined(__SSE2__)
    unsigned csr;
#else
    fenv_t env;
#endif
};

static void fp_enter(struct fp_state *s)
{
#if defined(__SSE2__)
    s->csr = _mm_getcsr();
    _mm_setcsr(0x1f80); /* the value after reset: no traps, round to nearest */
#else
    fegetenv(&s->env);
    fesetenv(FE_DFL_ENV);
#endif
}

static void fp_leave(const struct fp_state *s)
{
#if defined(__SSE2__)
    _mm_setcsr(s->csr);
#else
    fesetenv(&s->env);
#endif
}

/* --- running blocks --------------------------------------------------------------------------- */

static void pool_offer(struct job *j);

struct pace {
    uint64_t start;
    bool offered;
};

static void pool_offer_late(struct job *j, struct pace *p)
{
    if (p->offered || atomic_load_explicit(&j->next, memory_order_relaxed) >= j->blocks)
        return;
    if (xg_now_ns() - p->start < WAKE_NS / 2)
        return;
    p->offered = true;
    pool_offer(j);
}

/* Runs blocks until none is left. pace: of the launch's caller; NULL in the pool. */
static void blocks_run(struct job *j, struct hart *h, struct pace *pace)
{
    struct block *b = &h->block;
    uint32_t turns = 0;
    while (!atomic_load_explicit(&j->status, memory_order_relaxed)) {
        uint64_t n = atomic_fetch_add_explicit(&j->next, 1, memory_order_relaxed);
        if (n >= j->blocks)
            break;
        if (!(++turns % CHECK_BLOCKS)) {
            enum sc_status st = sc_job_check(j);
            int none = SC_OK;
            if (st && (atomic_compare_exchange_strong(&j->status, &none, (int)st) || none))
                break;
        }
        sc_gate_pass();
        sc_block_start(b, n);
        while (!sc_block_run(b))
            if (pace)
                pool_offer_late(j, pace);
        if (pace && j->blocks > 1)
            pool_offer_late(j, pace);
    }
}

/* --- cooperative launches: every block has memory of its own, and all run in turn ------------- */

struct resident {
    struct block *block;
    atomic_uchar *state; /* 0 can run, 1 runs, 2 ended */
    char *regs, *shared;
    struct sc_range *ranges;
    void *workspace;
    uint8_t *local;
    size_t local_size;
    struct warp *warps;
};

static void resident_free(struct resident *r)
{
    if (r->local)
        munmap(r->local, r->local_size);
    free(r->block);
    free((void *)r->state);
    free(r->regs);
    free(r->shared);
    free(r->warps);
    free(r->ranges);
    free(r->workspace);
}

/* Adds memory to the launch's memory map, with the counter of grid-wide barriers in it. */
static bool workspace_add(struct job *j, struct resident *r)
{
    enum { SIZE = 256 };
    uint32_t n = j->range_count, k = n;
    r->workspace = aligned_alloc(64, SIZE);
    r->ranges = malloc((n + 1) * sizeof(*r->ranges));
    if (!r->workspace || !r->ranges)
        return false;
    uint64_t at = (uint64_t)(uintptr_t)memset(r->workspace, 0, SIZE);
    if (n)
        memcpy(r->ranges, j->ranges, n * sizeof(*r->ranges));
    for (; k && r->ranges[k - 1].start > at; k--)
        r->ranges[k] = r->ranges[k - 1];
    r->ranges[k] = (struct sc_range){at, at + SIZE, true};
    j->ranges = r->ranges;
    j->range_count = n + 1;
    j->workspace = r->workspace;
    return true;
}

static uint64_t shared_bytes(const struct sc_func *f, uint32_t dynamic)
{
    return dynamic ? xg_align_up(f->info.static_shared, 16) + dynamic : f->info.static_shared;
}

unsigned sc_func_resident(const struct sc_func *f, uint32_t threads, uint32_t dynamic_shared)
{
    uint64_t warps = (threads + SC_WARP - 1) / SC_WARP;
    uint64_t per =
        warps * (sizeof(struct warp) + f->reg_bytes + (uint64_t)f->stack_local * SC_WARP) +
        sizeof(struct block) + shared_bytes(f, dynamic_shared) + SC_RESERVED_SHARED + 256;
    uint64_t n = ((uint64_t)MAX_RESIDENT_MB << 20) / per / sc_engine_threads();
    return n < 1 ? 1 : (unsigned)xg_min_u64(n, SC_BLOCKS_PER_SM);
}

static enum sc_status resident_make(struct job *j, struct resident *r, struct hart *h)
{
    uint64_t n = j->blocks;
    uint64_t shared = xg_align_up(j->shared_size + 1, 64);
    if (n > (uint64_t)sc_func_resident(j->f, (uint32_t)j->threads, j->launch->dynamic_shared) *
                sc_engine_threads())
        return SC_ERR_INVALID;
    r->block = calloc(n, sizeof(*r->block));
    r->state = calloc(n, 1);
    r->warps = aligned_alloc(64, n * j->warps * sizeof(*r->warps));
    r->regs = aligned_alloc(64, n * j->warps * j->f->reg_bytes);
    r->shared = aligned_alloc(64, n * shared);
    r->local_size = xg_align_up(n * j->local_stride * j->warps * SC_WARP, XG_PAGE_SIZE);
    if (r->local_size)
        r->local = mmap(NULL, r->local_size, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (r->local == MAP_FAILED)
        r->local = NULL;
    if (!r->block || !r->state || !r->warps || !r->regs || !r->shared ||
        (r->local_size && !r->local) || !workspace_add(j, r))
        return SC_ERR_NO_MEMORY;
    memset(r->warps, 0, n * j->warps * sizeof(*r->warps));
    memset(r->regs, 0, n * j->warps * j->f->reg_bytes);
    memset(r->shared, 0, n * shared);
    for (uint64_t k = 0; k < n; k++) {
        struct block *b = &r->block[k];
        b->job = j;
        b->hart = h;
        b->shared = (uint8_t *)r->shared + k * shared;
        b->regs = r->regs + k * j->warps * j->f->reg_bytes;
        b->local = r->local ? r->local + k * j->local_stride * j->warps * SC_WARP : NULL;
        b->warp = r->warps + k * j->warps;
        sc_block_start(b, k);
    }
    return SC_OK;
}

static void resident_run(struct job *j, struct hart *h)
{
    struct resident *r = j->resident;
    for (uint64_t k = h->index; atomic_load(&j->done) < j->blocks; k++) {
        struct block *b = &r->block[k % j->blocks];
        sc_gate_pass();
        unsigned char can = 0;
        if (!atomic_compare_exchange_strong(&r->state[k % j->blocks], &can, 1))
            continue;
        b->hart = h;
        bool ended = sc_block_run(b);
        atomic_store(&r->state[k % j->blocks], ended ? 2 : 0);
        if (ended)
            atomic_fetch_add(&j->done, 1);
    }
}

/* --- pool ------------------------------------------------------------------------------------- */

static struct pool {
    pthread_mutex_t lock;
    pthread_cond_t work, idle;
    struct job *jobs;
    unsigned threads, sleeping;
} pool = {
    PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, PTHREAD_COND_INITIALIZER, NULL, 0, 0};

unsigned sc_engine_threads(void)
{
    static atomic_uint count;
    unsigned n = atomic_load_explicit(&count, memory_order_relaxed);
    if (XG_LIKELY(n))
        return n;
    const char *env = getenv("SOFTCUDA_THREADS");
    cpu_set_t set;
    long v = env ? strtol(env, NULL, 10) : 0;
    if (v < 1)
        v = sched_getaffinity(0, sizeof(set), &set) ? 1 : CPU_COUNT(&set);
    n = v < 1 ? 1 : v > MAX_THREADS ? MAX_THREADS : (unsigned)v;
    atomic_store(&count, n);
    return n;
}

static void job_work(struct job *j, struct hart *h, struct pace *pace)
{
    sc_gate_enter();
    if (j->resident)
        resident_run(j, h);
    else
        blocks_run(j, h, pace);
    sc_gate_leave();
}

static struct job *job_next(void)
{
    for (struct job *j = pool.jobs; j; j = j->list)
        if (!atomic_load(&j->status) &&
            (j->resident ? atomic_load(&j->done) < j->blocks && j->helpers + 1 < j->blocks
                         : atomic_load(&j->next) < j->blocks))
            return j;
    return NULL;
}

static void *pool_main(void *unused)
{
    struct hart *h = hart_get();
    struct fp_state fp;
    fp_enter(&fp);
    pthread_mutex_lock(&pool.lock);
    for (;;) {
        struct job *j;
        while (!h || !(j = job_next())) {
            pool.sleeping++;
            pthread_cond_wait(&pool.work, &pool.lock);
            pool.sleeping--;
        }
        j->helpers++;
        pthread_mutex_unlock(&pool.lock);
        if (hart_prepare(h, j))
            job_work(j, h, NULL);
        pthread_mutex_lock(&pool.lock);
        if (!--j->helpers)
            pthread_cond_broadcast(&pool.idle);
    }
    return unused;
}

static void pool_grow(void)
{
    sigset_t all, old;
    pthread_attr_t attr;
    if (pool.threads + 1 >= sc_engine_threads())
        return;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &old);
    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    while (pool.threads + 1 < sc_engine_threads()) {
        pthread_t t;
        if (pthread_create(&t, &attr, pool_main, NULL))
            break;
        pool.threads++;
    }
    pthread_attr_destroy(&attr);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
}

static void pool_offer(struct job *j)
{
    if (sc_engine_threads() < 2)
        return;
    pthread_mutex_lock(&pool.lock);
    pool_grow();
    j->list = pool.jobs;
    pool.jobs = j;
    j->listed = true;
    pthread_cond_broadcast(&pool.work);
    pthread_mutex_unlock(&pool.lock);
}

/* Waits until no thread uses the job any more: it is on the caller's stack. */
static void pool_withdraw(struct job *j)
{
    if (!j->listed)
        return;
    pthread_mutex_lock(&pool.lock);
    for (struct job **at = &pool.jobs; *at; at = &(*at)->list)
        if (*at == j) {
            *at = j->list;
            break;
        }
    while (j->helpers)
        pthread_cond_wait(&pool.idle, &pool.lock);
    pthread_mutex_unlock(&pool.lock);
}

/* --- launch ----------------------------------------------------------------------------------- */

static enum sc_status job_init(struct job *j, const struct sc_launch *l, struct hart *h)
{
    const struct sc_func *f = l->func;
    uint64_t threads = 1, blocks = 1;
    if (f->info.refused)
        return SC_ERR_UNSUPPORTED;
    for (int d = 0; d < 3; d++) {
        if (!l->block[d] || !l->grid[d] || l->block[d] > SC_MAX_THREADS)
            return SC_ERR_INVALID;
        threads *= l->block[d];
        if (__builtin_mul_overflow(blocks, (uint64_t)l->grid[d], &blocks))
            return SC_ERR_INVALID;
    }
    uint64_t dyn = xg_align_up(f->info.static_shared, 16);
    uint64_t shared = shared_bytes(f, l->dynamic_shared);
    uint64_t most = xg_min_u64(l->max_shared, SC_MAX_SHARED_OPTIN); /* without the alignment */
    if (threads > f->info.max_threads ||
        (uint64_t)f->info.static_shared + l->dynamic_shared > most || blocks > INT64_MAX)
        return SC_ERR_INVALID;
    j->launch = l;
    j->f = f;
    j->blocks = blocks;
    j->threads = threads;
    j->warps = (uint32_t)(threads + SC_WARP - 1) / SC_WARP;
    j->shared_size = (uint32_t)shared;
    j->dyn_shared = (uint32_t)dyn;
    if (f->module->reserved_shared) {
        j->reserved = (uint32_t)xg_align_up(shared, 128);
        j->shared_size = j->reserved + SC_RESERVED_SHARED;
    }
    j->local_stride = f->stack_local;
    j->params = h->params;
    j->ranges = l->memmap ? l->memmap->ranges : NULL;
    j->range_count = l->memmap ? l->memmap->count : 0;
    if (f->info.param_bytes)
        memcpy(h->params, l->params, f->info.param_bytes);
    return SC_OK;
}

static void grid_run(struct job *j, struct hart *h)
{
    struct pace pace = {0};
    _Atomic uint64_t *mean = (_Atomic uint64_t *)&j->f->block_ns;
    if (j->blocks > 1) {
        pace.start = xg_now_ns();
        uint64_t ns = atomic_load_explicit(mean, memory_order_relaxed);
        if (ns && ns * xg_min_u64(j->blocks, 1 << 20) > WAKE_NS) {
            pace.offered = true;
            pool_offer(j);
        }
    } else {
        pace.offered = true;
    }
    job_work(j, h, &pace);
    pool_withdraw(j);
    if (j->blocks > 1) {
        uint64_t ns =
            (xg_now_ns() - pace.start) * (pace.offered ? sc_engine_threads() : 1) / j->blocks;
        uint64_t old = atomic_load_explicit(mean, memory_order_relaxed);
        atomic_store_explicit(mean, old ? (old * 3 + ns) / 4 + 1 : ns + 1, memory_order_relaxed);
    }
}

static enum sc_status cooperative_run(struct job *j, struct hart *h)
{
    struct resident r = {0};
    enum sc_status st = resident_make(j, &r, h);
    if (!st) {
        j->resident = &r;
        pool_offer(j);
        job_work(j, h, NULL);
        pool_withdraw(j);
    }
    resident_free(&r);
    return st;
}

enum sc_status sc_launch_run(const struct sc_launch *l, struct sc_fault *fault)
{
    struct hart *h = hart_get();
    struct job j;
    struct fp_state fp;
    if (!l || !l->func || !h)
        return h ? SC_ERR_INVALID : SC_ERR_NO_MEMORY;
    if (h->busy) /* called from a callback of a launch */
        return SC_ERR_INVALID;
    memset(&j, 0, offsetof(struct job, fault));
    j.workspace = NULL;
    j.list = NULL;
    j.helpers = 0;
    j.listed = false;
    j.resident = NULL;
    enum sc_status st = job_init(&j, l, h);
    if (st)
        return st;
    if (!hart_prepare(h, &j))
        return SC_ERR_NO_MEMORY;
    h->busy = true;
    fp_enter(&fp);
    if (l->cooperative)
        st = cooperative_run(&j, h);
    else
        grid_run(&j, h);
    fp_leave(&fp);
    h->busy = false;
    if (st)
        return st;
    st = (enum sc_status)atomic_load(&j.status);
    if (fault &&
        (st == SC_ERR_FAULT || st == SC_ERR_MISALIGNED || st == SC_ERR_TRAP || st == SC_ERR_ASSERT))
        *fault = j.fault;
    return st;
}
