/*
 * Host functions: the guest's code, run by the guest, while the stream waits in the worker.
 *
 * The driver calls host_run on a thread of its own; it hands the id to a guest thread that waits in
 * HOST_NEXT, and returns when the guest says HOST_DONE.
 */
#include "backend/cuda/replay.h"

#include <errno.h>
#include <stdlib.h>

#include "cuda/handlers.h"

struct host_node {
    struct cu_worker *w;
    struct cu_ctx *ctx;
    CUstream stream;
    uint64_t order; /* its bit (host_order.c); 0: it has none */
    struct host_node *next;
    struct host_node *all_next;
    uint64_t id;
    CUresult status;
    bool done;
};

struct cu_host {
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct host_node *ready, **ready_tail; /* to be told to the guest */
    struct host_node *running;             /* the guest was told */
    struct host_node *all;                 /* the driver has them, and has not run them */
    struct xg_worker_ring *ring;           /* whose HOST_NEXT waits, and its ticket; 0: none */
    uint32_t ticket;
    bool closing;
    _Atomic unsigned pending;
};

static void host_tell(struct cu_host *h, struct xg_worker_ring *ring, uint32_t ticket)
{
    struct host_node *n = h->ready;
    struct xg_cuda_host_next_reply rep = {.result = CUDA_SUCCESS, .id = n->id, .status = n->status};

    h->ready = n->next;
    if (!h->ready)
        h->ready_tail = &h->ready;
    n->next = h->running;
    h->running = n;
    xg_reply(ring, ticket, 0, &rep, sizeof(rep));
}

/* Under h->lock. */
static void all_remove(struct cu_host *h, struct host_node *n)
{
    struct host_node **at = &h->all;
    while (*at != n)
        at = &(*at)->all_next;
    *at = n->all_next;
}

static void host_wait(struct host_node *n)
{
    struct cu_worker *w = n->w;
    struct cu_host *h = w->host;

    bool counted = xg_cu_host_begin(w, n->ctx, n->stream, n->order);
    pthread_mutex_lock(&h->lock);
    atomic_fetch_add(&h->pending, 1);
    all_remove(h, n);
    n->next = NULL;
    *h->ready_tail = n;
    h->ready_tail = &n->next;
    if (h->ticket) {
        uint32_t ticket = h->ticket;
        h->ticket = 0;
        host_tell(h, h->ring, ticket);
    }
    while (!n->done && !h->closing)
        pthread_cond_wait(&h->wake, &h->lock);
    bool done = n->done;
    uint64_t order = n->order;
    pthread_mutex_unlock(&h->lock);
    xg_cu_host_end(w, order, counted);
    atomic_fetch_sub(&h->pending, 1);
    if (done)
        free(n);
}

static void host_forget(struct cu_worker *w, uint64_t orders)
{
    pthread_mutex_lock(&w->lock);
    xg_cu_host_forget(w, orders);
    pthread_mutex_unlock(&w->lock);
}

static void host_run(void *arg)
{
    host_wait(arg);
}

static void callback_run(CUstream s, CUresult status, void *arg)
{
    struct host_node *n = arg;
    n->status = status;
    host_wait(n);
}

uint32_t xg_cu_host_call(struct cu_worker *w, const struct xg_cuda_host_call *a)
{
    struct cu_stream *s = xg_cu_work_stream(w, a->stream);
    bool callback = a->kind == XG_CUDA_HOST_CALLBACK;
    struct host_node *n;
    CUresult r;

    if (!s)
        return CUDA_ERROR_INVALID_HANDLE;
    /* A copy of memory that is not registered would make this thread wait for the stream, and so
     * for the guest's function. */
    if (!(w->flags & XG_CUDA_ARENA_REGISTERED))
        return CUDA_ERROR_NOT_SUPPORTED;
    if (callback ? !w->d.cuStreamAddCallback : !w->d.cuLaunchHostFunc)
        return CUDA_ERROR_NOT_SUPPORTED;
    n = calloc(1, sizeof(*n));
    if (!n)
        return CUDA_ERROR_OUT_OF_MEMORY;
    n->w = w;
    n->ctx = s->ctx;
    n->id = a->id;
    n->stream = s->h;
    n->order = xg_cu_order_begin(w, s);
    xg_ring_needed_soon(w->ring);
    pthread_mutex_lock(&w->host->lock);
    n->all_next = w->host->all;
    w->host->all = n;
    pthread_mutex_unlock(&w->host->lock);
    r = callback ? w->d.cuStreamAddCallback(s->h, callback_run, n, 0)
                 : w->d.cuLaunchHostFunc(s->h, host_run, n);
    if (r == CUDA_SUCCESS) {
        xg_cu_op_submitted(w, s);
        return r;
    }
    pthread_mutex_lock(&w->host->lock);
    all_remove(w->host, n);
    pthread_mutex_unlock(&w->host->lock);
    host_forget(w, n->order);
    free(n);
    return r;
}

/* A broken context runs no host functions. */
void xg_cu_host_drop(struct cu_worker *w, struct cu_ctx *ctx)
{
    uint64_t orders = 0;

    pthread_mutex_lock(&w->host->lock);
    for (struct host_node **at = &w->host->all; *at;) {
        struct host_node *n = *at;
        if (n->ctx == ctx) {
            *at = n->all_next;
            orders |= n->order;
            free(n);
        } else {
            at = &n->all_next;
        }
    }
    pthread_mutex_unlock(&w->host->lock);
    host_forget(w, orders);
}

bool xg_cu_host_ask(struct cu_worker *w, struct xg_worker_ring *r)
{
    struct cu_host *h = w->host;
    bool taken = true;

    pthread_mutex_lock(&h->lock);
    if (h->ready) {
        host_tell(h, r, r->ticket);
    } else if (!h->ticket) {
        h->ring = r;
        h->ticket = r->ticket;
    } else {
        taken = false;
    }
    pthread_mutex_unlock(&h->lock);
    return taken;
}

uint32_t xg_cu_host_next(struct cu_worker *w, const struct xg_cuda_host_next *a)
{
    w->replied = xg_cu_host_ask(w, w->ring);
    return w->replied ? CUDA_SUCCESS : CUDA_ERROR_ILLEGAL_STATE;
}

uint32_t xg_cu_host_done(struct cu_worker *w, const struct xg_cuda_host_done *a)
{
    struct cu_host *h = w->host;
    struct host_node **at;

    pthread_mutex_lock(&h->lock);
    at = &h->running;
    while (*at && (*at)->id != a->id)
        at = &(*at)->next;
    if (*at) {
        struct host_node *n = *at;
        *at = n->next;
        n->done = true;
        pthread_cond_broadcast(&h->wake);
    }
    pthread_mutex_unlock(&h->lock);
    return CUDA_SUCCESS;
}

bool xg_cu_host_pending(struct cu_worker *w)
{
    return atomic_load_explicit(&w->host->pending, memory_order_acquire) != 0;
}

bool xg_cu_host_given(struct cu_worker *w)
{
    pthread_mutex_lock(&w->host->lock);
    bool given = w->host->all != NULL;
    pthread_mutex_unlock(&w->host->lock);
    return given || xg_cu_host_pending(w);
}

int xg_cu_host_start(struct cu_worker *w)
{
    struct cu_host *h = calloc(1, sizeof(*h));
    if (!h)
        return -ENOMEM;
    pthread_mutex_init(&h->lock, NULL);
    pthread_cond_init(&h->wake, NULL);
    h->ready_tail = &h->ready;
    w->host = h;
    return 0;
}

/* Lets the driver's threads return. One may still be in host_wait, so the state is not freed. */
void xg_cu_host_stop(struct cu_worker *w)
{
    if (!w->host)
        return;
    pthread_mutex_lock(&w->host->lock);
    w->host->closing = true;
    pthread_cond_broadcast(&w->host->wake);
    pthread_mutex_unlock(&w->host->lock);
}
