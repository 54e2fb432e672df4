/*
 * Streams: a bounded queue each, one consumer at a time.
 *
 * The consumer is the stream's executor thread or a thread that waits for the stream and helps
 * itself; `owner` decides. Positions count operations: `submitted` is written by producers under
 * the producer lock, `completed` by the consumer. Two pairs of store and load must not pass each
 * other, and are sequentially consistent for that:
 *
 *   producer: store submitted, load sleeping     executor: store sleeping, load submitted
 *   consumer: store completed, load wait_min     waiter:   store wait_min, load completed
 *
 * A consumer that stops with work left (a helper) stores owner, then loads sleeping; the executor
 * stores sleeping, then loads owner.
 */
#include <errno.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "softcuda/driver/sc.h"

#define SPIN_NS      30000ull
#define IDLE_EXIT_NS 5000000000ull

/* Threads that execute, of the whole process: a program may have any number of streams. As many
 * kernels run at the same time, which on devices is no more than 128. */
#define EXECUTORS 64u

/* Chunks of all queues. While there are as many, no queue gets more than its first one. */
#define CHUNKS_MOST 2048u

void sc_futex_wait(_Atomic uint32_t *word, uint32_t value, uint64_t timeout_ns)
{
    struct timespec ts = {(time_t)(timeout_ns / 1000000000), (long)(timeout_ns % 1000000000)};

    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, timeout_ns ? &ts : NULL, NULL, 0);
}

void sc_futex_wake(_Atomic uint32_t *word)
{
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT32_MAX, NULL, NULL, 0);
}

static struct sc_op *cell_at(struct sc_stream *s, uint64_t i)
{
    return (struct sc_op *)(s->chunk[i / SC_CHUNK % SC_CHUNKS] + (i % SC_CHUNK) * SC_CELL);
}

/* --- room in the queue: producer lock held ---------------------------------------------------- */

static _Atomic unsigned chunks;

static void completed_look(struct sc_stream *s)
{
    s->completed_seen = atomic_load_explicit(&s->completed, memory_order_acquire);
}

/* The oldest chunk, if nothing in it is needed any more. */
static uint8_t *chunk_take_old(struct sc_stream *s)
{
    uint8_t **old = &s->chunk[s->chunk_first % SC_CHUNKS], *chunk = *old;

    if (!s->chunk_count || s->completed_seen / SC_CHUNK <= s->chunk_first)
        return NULL;
    *old = NULL;
    s->chunk_first++;
    s->chunk_count--;
    return chunk;
}

static uint8_t *chunk_new(struct sc_stream *s)
{
    uint8_t *chunk;

    if (s->chunk_count == SC_CHUNKS || (s->chunk_count && atomic_load(&chunks) >= CHUNKS_MOST))
        return NULL;
    chunk = aligned_alloc(64, SC_CHUNK * SC_CELL);
    if (chunk)
        atomic_fetch_add(&chunks, 1);
    return chunk;
}

static void chunk_free(uint8_t *chunk)
{
    if (chunk)
        atomic_fetch_sub(&chunks, 1);
    free(chunk);
}

static void chunks_free(struct sc_stream *s)
{
    for (unsigned i = 0; s->chunk_count && i < SC_CHUNKS; i++) {
        chunk_free(s->chunk[i]);
        s->chunk[i] = NULL;
    }
    s->chunk_count = 0;
}

/* Room for position `at` and what follows it. False: no memory. */
static bool chunk_begin(struct sc_stream *s, uint64_t at)
{
    uint8_t *chunk;

    completed_look(s);
    chunk = chunk_take_old(s);
    if (chunk)
        chunk_free(chunk_take_old(s)); /* the queue was longer once */
    else
        chunk = chunk_new(s);
    if (!chunk && s->chunk_count) {
        sc_stream_wait_seq(s, (s->chunk_first + (s->chunk_count + 1) / 2) * SC_CHUNK);
        completed_look(s);
        chunk = chunk_take_old(s);
    }
    if (!chunk)
        return false;
    if (!s->chunk_count++)
        s->chunk_first = at / SC_CHUNK;
    s->chunk[at / SC_CHUNK % SC_CHUNKS] = chunk;
    return true;
}

/* --- executors -------------------------------------------------------------------------------- */

/* Each serves a stream until that has rested for long, or others wait for an executor. */
static pthread_mutex_t executors_lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned executors;
static struct sc_stream *served[EXECUTORS]; /* a reference each, as those that wait have */
static struct sc_stream *waiting, **waiting_last = &waiting;
static _Atomic unsigned waiting_count;

static bool others_wait(void)
{
    return XG_UNLIKELY(atomic_load(&waiting_count) != 0);
}

/* executors_lock held */
static void waiting_put(struct sc_stream *s)
{
    s->waiting_next = NULL;
    *waiting_last = s;
    waiting_last = &s->waiting_next;
    atomic_fetch_add(&waiting_count, 1);
}

/* executors_lock held; NULL: none waits. */
static struct sc_stream *waiting_take(void)
{
    struct sc_stream *s = waiting;

    if (!s)
        return NULL;
    waiting = s->waiting_next;
    if (!waiting)
        waiting_last = &waiting;
    atomic_fetch_sub(&waiting_count, 1);
    return s;
}

/* --- consuming -------------------------------------------------------------------------------- */

static void wake_executor(struct sc_stream *s)
{
    /* One call is enough: it may take long until the executor runs. */
    if (atomic_load(&s->sleeping) && atomic_exchange(&s->sleeping, 0)) {
        atomic_fetch_add(&s->wake, 1);
        sc_futex_wake(&s->wake);
    }
}

static void wake_waiters(struct sc_stream *s)
{
    pthread_mutex_lock(&s->wait_lock);
    atomic_store(&s->wait_min, UINT64_MAX);
    atomic_fetch_add(&s->epoch, 1);
    pthread_mutex_unlock(&s->wait_lock);
    sc_futex_wake(&s->epoch);
}

/* Executes up to position `until`, unless somebody else is at it. True: it did something. */
static bool stream_drain(struct sc_stream *s, uint64_t until)
{
    uint64_t done = atomic_load_explicit(&s->completed, memory_order_relaxed), first, end;

    if (done >= until || done == atomic_load_explicit(&s->submitted, memory_order_acquire))
        return false;
    if (atomic_exchange_explicit(&s->owner, 1, memory_order_acquire))
        return false;
    end = done = first = atomic_load_explicit(&s->completed, memory_order_relaxed);
    while (done < until) {
        /* Looked at once per batch: the producers' line is theirs meanwhile. */
        if (done == end) {
            end = atomic_load_explicit(&s->submitted, memory_order_acquire);
            if (done == end || (done != first && until == UINT64_MAX && others_wait()))
                break;
        }
        struct sc_op *op = cell_at(s, done);
        sc_op_run(s, op);
        sc_op_release(op);
        atomic_store(&s->completed, ++done);
        if (XG_UNLIKELY(atomic_load(&s->wait_min) <= done))
            wake_waiters(s);
    }
    atomic_store(&s->owner, 0);
    if (done != atomic_load(&s->submitted))
        wake_executor(s);
    return done != first;
}

static bool has_work(struct sc_stream *s)
{
    return atomic_load(&s->submitted) != atomic_load(&s->completed) && !atomic_load(&s->owner);
}

/* Waits until there may be work. False: the executor is to end. */
static bool executor_rest(struct sc_stream *s)
{
    uint64_t start = xg_now_ns();

    do {
        for (int i = 0; i < 64; i++) {
            if (has_work(s))
                return true;
            xg_cpu_relax();
        }
    } while (!others_wait() && xg_now_ns() - start < SPIN_NS);

    uint32_t seen = atomic_load(&s->wake);
    atomic_store(&s->sleeping, 1);
    if (!has_work(s) && !s->dead && !others_wait())
        sc_futex_wait(&s->wake, seen, IDLE_EXIT_NS);
    atomic_store(&s->sleeping, 0);
    if (has_work(s) || (!s->dead && !others_wait() && xg_now_ns() - start < IDLE_EXIT_NS))
        return true;

    pthread_mutex_lock(&s->producer);
    bool stay = atomic_load(&s->submitted) != atomic_load(&s->completed);
    s->running = stay;
    if (!stay)
        chunks_free(s);
    pthread_mutex_unlock(&s->producer);
    return stay;
}

/* The stream that waits longest. NULL: none, the executor ends. */
static struct sc_stream *executor_next(unsigned at)
{
    pthread_mutex_lock(&executors_lock);
    served[at] = waiting_take();
    executors -= !served[at];
    struct sc_stream *s = served[at];
    pthread_mutex_unlock(&executors_lock);
    return s;
}

/* The same where `s` still has work: it goes to the end. */
static struct sc_stream *executor_turn(unsigned at, struct sc_stream *s)
{
    pthread_mutex_lock(&executors_lock);
    waiting_put(s);
    served[at] = s = waiting_take();
    pthread_mutex_unlock(&executors_lock);
    return s;
}

static void *executor_run(void *arg)
{
    struct sc_stream *s = arg;
    unsigned at = s->served;

    pthread_setname_np(pthread_self(), "softcuda");
    while (s) {
        stream_drain(s, UINT64_MAX);
        if (others_wait() && has_work(s)) {
            s = executor_turn(at, s);
        } else if (!executor_rest(s)) {
            struct sc_stream *next = executor_next(at);
            sc_stream_put(s);
            s = next;
        }
    }
    return NULL;
}

/* Producer lock held. False: there are as many as may be; `s` waits for one. */
static bool executor_claim(struct sc_stream *s)
{
    unsigned at = 0;
    bool mine;

    pthread_mutex_lock(&executors_lock);
    mine = executors < EXECUTORS;
    if (mine) {
        while (served[at])
            at++;
        served[at] = s;
        s->served = at;
        executors++;
    } else {
        waiting_put(s);
        for (; at < EXECUTORS && !(served[at] && atomic_load(&served[at]->sleeping)); at++)
            ;
        if (at < EXECUTORS)
            wake_executor(served[at]);
    }
    pthread_mutex_unlock(&executors_lock);
    return mine;
}

static bool thread_start(struct sc_stream *s)
{
    pthread_attr_t attr;
    sigset_t all, old;
    pthread_t id;
    bool started;

    sigfillset(&all); /* the program's signals are for its own threads */
    pthread_sigmask(SIG_BLOCK, &all, &old);
    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    started = pthread_create(&id, &attr, executor_run, s) == 0;
    pthread_attr_destroy(&attr);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return started;
}

/* producer lock held */
static bool executor_start(struct sc_stream *s)
{
    sc_stream_ref(s);
    s->running = true;
    if (!executor_claim(s) || thread_start(s))
        return true;
    pthread_mutex_lock(&executors_lock);
    served[s->served] = NULL;
    executors--;
    pthread_mutex_unlock(&executors_lock);
    s->running = false;
    sc_stream_put(s);
    return false;
}

/* Who helps comes upon streams that wait for others in turn. Deeper than this the stack could end:
 * then the executors have to do it, who take the oldest first. */
#define HELP_DEPTH 1000u

static bool stream_help(struct sc_stream *s, uint64_t seq)
{
    static __thread unsigned depth;
    bool done;

    if (depth >= HELP_DEPTH)
        return false;
    depth++;
    done = stream_drain(s, seq);
    depth--;
    return done;
}

void sc_stream_wait_seq(struct sc_stream *s, uint64_t seq)
{
    while (atomic_load_explicit(&s->completed, memory_order_acquire) < seq) {
        if (stream_help(s, seq))
            continue;
        uint64_t start = xg_now_ns();
        do {
            for (int i = 0; i < 64; i++) {
                if (atomic_load_explicit(&s->completed, memory_order_acquire) >= seq)
                    return;
                xg_cpu_relax();
            }
        } while (xg_now_ns() - start < SPIN_NS);

        pthread_mutex_lock(&s->wait_lock);
        if (atomic_load(&s->wait_min) > seq)
            atomic_store(&s->wait_min, seq);
        uint32_t epoch = atomic_load(&s->epoch);
        bool late = atomic_load(&s->completed) >= seq;
        pthread_mutex_unlock(&s->wait_lock);
        /* The timeout is for the case that the owner was a helper which has left meanwhile. */
        if (!late)
            sc_futex_wait(&s->epoch, epoch, 20000000);
    }
}

/* --- producing -------------------------------------------------------------------------------- */

/* producer lock held */
static CUresult op_push(struct sc_stream *s, const struct sc_op *op, uint64_t *seq)
{
    uint64_t at = atomic_load_explicit(&s->submitted, memory_order_relaxed);

    if (XG_UNLIKELY(!s->running) && !executor_start(s))
        return CUDA_ERROR_OPERATING_SYSTEM;
    if (XG_UNLIKELY(at % SC_CHUNK == 0 || !s->chunk_count) && !chunk_begin(s, at))
        return CUDA_ERROR_OUT_OF_MEMORY;
    memcpy(cell_at(s, at), op, op->bytes);
    atomic_store(&s->submitted, at + 1);
    wake_executor(s);
    if (seq)
        *seq = at + 1;
    return CUDA_SUCCESS;
}

/* producer lock of `s` held: what follows in `s` comes after position `seq` of `other`. */
static void push_wait(struct sc_stream *s, struct sc_stream *other, uint64_t seq)
{
    struct sc_op op = {.type = SC_OP_WAIT, .bytes = SC_OP_BYTES(wait)};

    if (atomic_load_explicit(&other->completed, memory_order_acquire) >= seq)
        return;
    op.wait.stream = other;
    op.wait.seq = seq;
    sc_stream_ref(other);
    if (op_push(s, &op, NULL)) {
        sc_stream_put(other);
        sc_stream_wait_seq(other, seq);
    }
}

static bool is_blocking(const struct sc_stream *s)
{
    return s->api.blocking;
}

static void join_locked(struct sc_stream *s)
{
    struct sc_stream *legacy = s->ctx->legacy;

    if (s == legacy) {
        for (struct sc_stream *o = s->ctx->streams; o; o = o->next)
            if (is_blocking(o))
                push_wait(s, o, atomic_load(&o->submitted));
    } else if (is_blocking(s)) {
        uint64_t seq = atomic_load_explicit(&legacy->submitted, memory_order_acquire);
        if (seq != s->legacy_seen) {
            push_wait(s, legacy, seq);
            s->legacy_seen = seq;
        }
    }
}

void sc_stream_join(struct sc_stream *s)
{
    bool all = s == s->ctx->legacy && atomic_load(&s->ctx->blocking);

    if (all)
        pthread_mutex_lock(&s->ctx->streams_lock);
    pthread_mutex_lock(&s->producer);
    if (all || s != s->ctx->legacy)
        join_locked(s);
    pthread_mutex_unlock(&s->producer);
    if (all)
        pthread_mutex_unlock(&s->ctx->streams_lock);
}

CUresult sc_submit(struct sc_stream *s, struct sc_op *op, uint64_t *seq)
{
    struct sc_ctx *ctx = s->ctx;
    bool legacy = s == ctx->legacy;
    bool all = legacy && atomic_load_explicit(&ctx->blocking, memory_order_acquire);
    CUresult r;

    if (all)
        pthread_mutex_lock(&ctx->streams_lock);
    pthread_mutex_lock(&s->producer);
    bool captured = xg_cuda_capturing(&s->api);
    if (XG_UNLIKELY(captured)) {
        r = sc_capture_op(s, op);
    } else {
        if (all || !legacy)
            join_locked(s);
        r = op_push(s, op, seq);
    }
    pthread_mutex_unlock(&s->producer);
    if (all)
        pthread_mutex_unlock(&ctx->streams_lock);
    if (XG_UNLIKELY(r || captured))
        sc_op_release(op);
    return r;
}

/* --- waiting ---------------------------------------------------------------------------------- */

static bool at_end(struct sc_stream *s)
{
    return atomic_load_explicit(&s->completed, memory_order_acquire) ==
           atomic_load_explicit(&s->submitted, memory_order_acquire);
}

bool sc_stream_idle(struct sc_stream *s)
{
    struct sc_ctx *ctx = s->ctx;
    bool idle = at_end(s);

    if (idle && is_blocking(s))
        return at_end(ctx->legacy);
    if (!idle || s != ctx->legacy || !atomic_load(&ctx->blocking))
        return idle;
    pthread_mutex_lock(&ctx->streams_lock);
    for (struct sc_stream *o = ctx->streams; o && idle; o = o->next)
        if (is_blocking(o))
            idle = at_end(o);
    pthread_mutex_unlock(&ctx->streams_lock);
    return idle;
}

/* Unlinks streams that were destroyed with work pending and have finished it. */
static void stream_reap(struct sc_ctx *ctx, struct sc_stream *s)
{
    *s->link = s->next;
    if (s->next)
        s->next->link = s->link;
    s->link = NULL;
    if (is_blocking(s))
        atomic_fetch_sub(&ctx->blocking, 1);
    sc_stream_put(s);
}

/* Waits for what each stream holds now: all streams, or those that block the legacy one. */
static void sync_streams(struct sc_ctx *ctx, bool all)
{
    struct target {
        struct sc_stream *stream;
        uint64_t seq;
    } few[16], *targets = few;
    unsigned n = 0, room = XG_ARRAY_LEN(few);
    struct sc_stream *s, *next;

    pthread_mutex_lock(&ctx->streams_lock);
    for (s = ctx->streams; s; s = next) {
        next = s->next;
        if (at_end(s)) {
            if (s->dead)
                stream_reap(ctx, s);
            continue;
        }
        if (!all && s != ctx->legacy && !is_blocking(s))
            continue;
        if (n == room) {
            struct target *more = malloc(2 * room * sizeof(*more));
            if (!more) { /* slower, and still right: wait for this one with the list locked */
                sc_stream_wait_seq(s, atomic_load(&s->submitted));
                continue;
            }
            memcpy(more, targets, n * sizeof(*more));
            if (targets != few)
                free(targets);
            targets = more;
            room *= 2;
        }
        sc_stream_ref(s);
        targets[n++] = (struct target){s, atomic_load(&s->submitted)};
    }
    pthread_mutex_unlock(&ctx->streams_lock);
    for (unsigned i = 0; i < n; i++) {
        sc_stream_wait_seq(targets[i].stream, targets[i].seq);
        sc_stream_put(targets[i].stream);
    }
    if (targets != few)
        free(targets);
}

void sc_stream_sync(struct sc_stream *s)
{
    if (s == s->ctx->legacy && atomic_load(&s->ctx->blocking))
        sync_streams(s->ctx, false);
    else
        sc_stream_wait_seq(s, atomic_load_explicit(&s->submitted, memory_order_acquire));
}

CUresult sc_ctx_sync(struct sc_ctx *ctx)
{
    sync_streams(ctx, true);
    return (CUresult)atomic_load(&ctx->sticky);
}

/* --- life ------------------------------------------------------------------------------------- */

CUresult sc_stream_start(struct xg_cuda_stream *api)
{
    struct sc_stream *s = sc_stream_of(api);
    struct sc_ctx *ctx = sc_ctx_of(api->ctx);

    atomic_init(&s->refs, 1);
    atomic_init(&s->wait_min, UINT64_MAX);
    s->ctx = ctx;
    s->policy = CU_SYNC_POLICY_AUTO;
    pthread_mutex_init(&s->producer, NULL);
    pthread_mutex_init(&s->wait_lock, NULL);
    pthread_mutex_lock(&ctx->streams_lock);
    s->next = ctx->streams;
    s->link = &ctx->streams;
    if (s->next)
        s->next->link = &s->next;
    ctx->streams = s;
    if (api->legacy)
        ctx->legacy = s;
    else if (api->blocking)
        atomic_fetch_add(&ctx->blocking, 1);
    pthread_mutex_unlock(&ctx->streams_lock);
    return CUDA_SUCCESS;
}

void sc_stream_ref(struct sc_stream *s)
{
    atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
}

void sc_stream_put(struct sc_stream *s)
{
    if (atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) != 1)
        return;
    xg_cuda_capture_abandon(&s->api); /* begun while it was destroyed */
    sc_snapshot_drop(s->snapshot);
    pthread_mutex_destroy(&s->producer);
    pthread_mutex_destroy(&s->wait_lock);
    chunks_free(s);
    free(s);
}

void sc_stream_kill(struct sc_stream *s)
{
    struct sc_ctx *ctx = s->ctx;

    xg_cuda_handle_drop(XG_CUDA_KIND_STREAM, s->api.handle); /* if it is the context that ends */
    xg_cuda_capture_abandon(&s->api);
    pthread_mutex_lock(&ctx->streams_lock);
    s->dead = true;
    if (s->link && (at_end(s) || atomic_load(&ctx->sticky))) {
        sc_stream_ref(s);
        stream_reap(ctx, s);
        pthread_mutex_unlock(&ctx->streams_lock);
        wake_executor(s);
        sc_stream_put(s);
        return;
    }
    pthread_mutex_unlock(&ctx->streams_lock);
    wake_executor(s);
}
