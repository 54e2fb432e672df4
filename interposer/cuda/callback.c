/* Host functions: run here, on a thread of ours, when the worker says that the stream has come to
 * them. */
#include "cuda/send.h"

#include <signal.h>
#include <stdlib.h>
#include <time.h>

struct callback {
    struct callback *next;
    uint64_t id;
    CUhostFn fn;             /* either */
    CUstreamCallback legacy; /* or */
    CUstream stream;
    void *data;
};

static pthread_mutex_t lock = XG_LOCK_INITIALIZER;
static struct callback *callbacks;
static uint64_t next_id;
static bool running;
_Atomic unsigned cu_host_outstanding;
static pthread_mutex_t room = XG_LOCK_INITIALIZER;
static _Atomic unsigned sent; /* commands, since the last look at the room that there is */
static _Atomic bool full;
__thread struct xg_ring *cu_host_ring;

static struct callback *callback_take(uint64_t id)
{
    pthread_mutex_lock(&lock);
    struct callback **at = &callbacks;
    while (*at && (*at)->id != id)
        at = &(*at)->next;
    struct callback *cb = *at;
    if (cb)
        *at = cb->next;
    pthread_mutex_unlock(&lock);
    return cb;
}

/* These two go another way than all else: the worker's thread for ring 0 may be in a call of the
 * driver that waits for a host function. */
static CUresult next_ask(struct xg_ring *ring, struct xg_cuda_host_next_reply *reply)
{
    struct cu_cmd c;

    cu_begin_on(&c, ring);
    cu_put_host_next(&c, &(struct xg_cuda_host_next){.reserved = 0});
    cu_send(&c);
    return cu_wait(&c, reply, sizeof(*reply));
}

static void done_send(struct xg_ring *ring, uint64_t id)
{
    struct cu_cmd c;

    cu_begin_on(&c, ring);
    cu_put_host_done(&c, &(struct xg_cuda_host_done){.id = id});
    cu_send(&c);
}

static void *callback_main(void *unused)
{
    struct xg_cuda_host_next_reply reply;

    xg_cuda_in_host_function = true;
    if (cu.snap.flags & XG_CUDA_HOST_RING)
        cu_host_ring = xg_channel_ring_acquire(cu.channel);
    struct xg_ring *ring = cu_host_ring ? cu_host_ring : cu.ring;
    for (;;) {
        if (next_ask(ring, &reply) != CUDA_SUCCESS) {
            if (cu_host_ring)
                xg_channel_ring_release(cu_host_ring);
            return unused;
        }
        struct callback *cb = callback_take(reply.id);
        cu_text_look(); /* what kernels before it printed comes before what it prints */
        if (cb && cb->fn)
            cb->fn(cb->data);
        else if (cb && cb->legacy)
            cb->legacy(cb->stream, (CUresult)reply.status, cb->data);
        free(cb);
        done_send(ring, reply.id);
        atomic_fetch_sub(&cu_host_outstanding, 1);
    }
}

/* Whoever looks stops all others: what they sent meanwhile would come on top. */
void cu_host_room(void)
{
    struct timespec pause = {.tv_nsec = 50000};
    struct cu_cmd c;

    if (xg_cuda_in_host_function ||
        (!atomic_load(&full) && atomic_fetch_add(&sent, 1) + 1 < XG_CUDA_ROOM))
        return;
    atomic_store(&full, true);
    pthread_mutex_lock(&room);
    for (;;) {
        cu_begin_call(&c, NULL);
        cu_frame_call(&c, XG_OP_NULL, 0);
        cu_send(&c);
        cu_wait(&c, NULL, 0);
        if (!xg_ring_word(cu.ring, XG_CUDA_WORD_FULL) || cu_lost())
            break;
        nanosleep(&pause, NULL);
        pause.tv_nsec = pause.tv_nsec < 2000000 ? pause.tv_nsec * 2 : pause.tv_nsec;
    }
    atomic_store(&sent, 0);
    atomic_store(&full, false);
    pthread_mutex_unlock(&room);
}

/* Under the lock. */
static bool thread_start(void)
{
    pthread_t t;
    sigset_t all, before;

    if (running)
        return true;
    cu_not_alone();   /* before anything waits for what that thread must do */
    sigfillset(&all); /* the application's signals are for the application's threads */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    running = pthread_create(&t, NULL, callback_main, NULL) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (running)
        pthread_detach(t);
    return running;
}

static CUresult callback_send(struct xg_cuda_stream *s, struct callback cb)
{
    struct callback *copy = malloc(sizeof(*copy));
    struct cu_cmd c;

    if (!copy)
        return CUDA_ERROR_OUT_OF_MEMORY;
    pthread_mutex_lock(&lock);
    if (!thread_start()) {
        pthread_mutex_unlock(&lock);
        free(copy);
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    *copy = cb;
    copy->id = cb.id = ++next_id;
    copy->next = callbacks;
    callbacks = copy;
    pthread_mutex_unlock(&lock);
    cu_begin(&c, cu_stream_ctx(s));
    atomic_fetch_add(&cu_host_outstanding, 1);
    cu_put_host_call(&c, &(struct xg_cuda_host_call){.stream = cu_stream_wire(s),
                                                     .kind = cb.legacy ? XG_CUDA_HOST_CALLBACK
                                                                       : XG_CUDA_HOST_FUNC,
                                                     .id = cb.id});
    return cu_end(&c);
}

CUresult cu_host_call(struct xg_cuda_stream *s, const CUDA_HOST_NODE_PARAMS *p)
{
    return callback_send(s, (struct callback){.fn = p->fn, .data = p->userData});
}

CUresult cu_host_callback(struct xg_cuda_stream *s, CUstream as, CUstreamCallback fn, void *data)
{
    return callback_send(s, (struct callback){.legacy = fn, .stream = as, .data = data});
}

/* What makes the driver wait for the context would keep the worker from hearing that a host
 * function is over, for which it waits: such calls wait here first. */
void cu_host_settle(struct cu_ctx *ctx)
{
    if (XG_UNLIKELY(atomic_load(&cu_host_outstanding) != 0))
        cu_ctx_sync(ctx);
}

void cu_callbacks_reset(void)
{
    xg_lock_init(&lock);
    callbacks = NULL;
    running = false;
    atomic_store(&cu_host_outstanding, 0);
    xg_lock_init(&room);
    atomic_store(&sent, 0);
    atomic_store(&full, false);
}
