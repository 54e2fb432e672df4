/*
 * Work that waits for a host function of the guest. Until the function has ended such work cannot
 * run, so it needs no device, however long the guest takes, and other guests have it meanwhile.
 *
 * Which work waits for which function follows from streams, events and the rules of stream 0.
 * Functions in a graph are not looked at: a graph needs the device until it is over.
 */
#include "backend/cuda/replay.h"
#include "protocol/cond.h"

/* Operations that may wait for host functions. A driver keeps about 1024 commands of a stream, and
 * then makes the thread wait that submits another. An operation may be three commands, with its
 * fence. The guest is told at ROOM; at ROOM_MAX the worker waits. */
#define ROOM     192u
#define ROOM_MAX 300u

/* Under w->lock. */
static uint64_t ops_behind(const struct cu_worker *w)
{
    uint64_t n = w->in_flight + w->open_ops + w->host_marks;

    if (!w->host_used)
        return 0;
    if (n < ROOM || !~w->host_used) /* all bits are in use: some host functions may have none */
        return n;
    n = w->host_marks;
    for (const struct cu_item *it = w->queue; it; it = it->next)
        n += it->after ? it->ops : 0;
    for (const struct cu_stream *s = w->dirty; s; s = s->dirty_next)
        n += xg_cu_order_bits(w, &s->order) ? s->open : 0;
    return n;
}

void xg_cu_room_tell(struct cu_worker *w)
{
    xg_word_store(w->ring, XG_CUDA_WORD_FULL, ops_behind(w) >= ROOM);
}

void xg_cu_room_wait(struct cu_worker *w)
{
    pthread_mutex_lock(&w->lock);
    bool full = ops_behind(w) >= ROOM_MAX;
    pthread_mutex_unlock(&w->lock);
    if (!full)
        return;
    xg_device_pause(w->ring);
    pthread_mutex_lock(&w->lock);
    while (ops_behind(w) >= ROOM_MAX && !w->closing)
        xg_cond_wait_ns(&w->reaped, &w->lock, 10000000);
    pthread_mutex_unlock(&w->lock);
    xg_device_resume(w->ring);
}

uint64_t xg_cu_order_bits(const struct cu_worker *w, const struct cu_order *o)
{
    uint64_t bits = o->bits & w->host_used;

    for (uint64_t left = bits; left; left &= left - 1)
        if (w->host_since[__builtin_ctzll(left)] > o->seq) /* another function has this bit now */
            bits &= ~(left & -left);
    return bits;
}

void xg_cu_order_add(struct cu_worker *w, struct cu_stream *s, uint64_t bits)
{
    uint64_t old = xg_cu_order_bits(w, &s->order);

    if (bits & ~old)
        s->order = (struct cu_order){.bits = old | bits, .seq = w->host_seq};
}

void xg_cu_order_implied(struct cu_worker *w, struct cu_stream *s)
{
    if (s->nonblocking)
        return;
    if (s != s->ctx->legacy) {
        xg_cu_order_add(w, s, xg_cu_order_bits(w, &s->ctx->legacy->order));
        return;
    }
    for (const struct cu_stream *o = w->all_streams; o; o = o->next)
        if (o->ctx == s->ctx && !o->nonblocking)
            xg_cu_order_add(w, s, xg_cu_order_bits(w, &o->order));
}

void xg_cu_order_record(struct cu_worker *w, struct cu_stream *s, struct cu_event *e)
{
    if (!w->host_ever)
        return;
    pthread_mutex_lock(&w->lock);
    xg_cu_order_implied(w, s);
    e->order = (struct cu_order){.bits = xg_cu_order_bits(w, &s->order), .seq = w->host_seq};
    w->host_marks += e->order.bits != 0;
    pthread_mutex_unlock(&w->lock);
}

CUresult xg_cu_order_wait(struct cu_worker *w, struct cu_stream *s, const struct cu_event *e,
                          unsigned flags)
{
    if (!w->host_ever)
        return w->d.cuStreamWaitEvent(s->h, e->h, flags);
    pthread_mutex_lock(&w->lock);
    /* Work that is there already does not wait for the function, and is fenced first: later, a
     * fence in stream 0 would wait for the function too. */
    if (xg_cu_order_bits(w, &e->order) & ~xg_cu_order_bits(w, &s->order))
        xg_cu_fence_marks(w);
    pthread_mutex_unlock(&w->lock);
    xg_cu_ctx_restore(w);
    CUresult r = w->d.cuStreamWaitEvent(s->h, e->h, flags);
    if (r != CUDA_SUCCESS)
        return r;
    pthread_mutex_lock(&w->lock);
    xg_cu_order_implied(w, s);
    xg_cu_order_add(w, s, xg_cu_order_bits(w, &e->order));
    w->host_marks += xg_cu_order_bits(w, &s->order) != 0;
    pthread_mutex_unlock(&w->lock);
    return r;
}

uint64_t xg_cu_order_begin(struct cu_worker *w, struct cu_stream *s)
{
    uint64_t bit = 0;

    pthread_mutex_lock(&w->lock);
    w->host_ever = true;
    xg_cu_fence_marks(w); /* as in xg_cu_order_wait */
    if (~w->host_used) {
        unsigned n = (unsigned)__builtin_ctzll(~w->host_used);
        bit = 1ull << n;
        w->host_used |= bit;
        w->host_since[n] = ++w->host_seq;
        xg_cu_order_add(w, s, bit);
    }
    pthread_mutex_unlock(&w->lock);
    xg_cu_ctx_restore(w);
    return bit;
}

/* The function has ended, or will never run. */
void xg_cu_host_forget(struct cu_worker *w, uint64_t bit)
{
    w->host_used &= ~bit;
    if (!w->host_used)
        w->host_marks = 0;
    for (struct cu_item *it = w->queue; it; it = it->next)
        it->after &= ~bit;
    xg_cu_room_tell(w);
    pthread_cond_signal(&w->reaper_wake);
}

bool xg_cu_order_device_needed(const struct cu_worker *w)
{
    for (const struct cu_item *it = w->queue; it; it = it->next)
        if (it->action == CU_FENCE && !it->after)
            return true;
    for (const struct cu_stream *s = w->dirty; s; s = s->dirty_next)
        if (!xg_cu_order_bits(w, &s->order))
            return true;
    return false;
}
