/*
 * What kernels print. The worker keeps it and says in the reply to a synchronisation that there is
 * some; it is fetched before that synchronisation returns and written through the C library's
 * stdout, so that it keeps its place among what the program itself prints. Other calls that bring
 * out text in CUDA ask for it, once a module that can print has been loaded.
 */
#include "cuda/send.h"

#include <stdio.h>
#include <stdlib.h>

#define ROOM (64u << 10)
#define LOOK_NS                                                                                    \
    1000000u /* between two launches that ask: a round trip for each would be a tenfold launch */

static pthread_mutex_t lock = XG_LOCK_INITIALIZER;
_Atomic bool cu_text_expected;
static _Atomic uint64_t looked;        /* when a launch last asked */
static _Atomic uint32_t told, printed; /* how often a reply said so; what of that is on stdout */
static _Atomic bool writing;           /* a thread may have fetched some that is not out yet */

/* Gives the sizes of the two texts that are at `where` then. */
typedef CUresult asker(uint32_t where, uint32_t *out, uint32_t *err);

static CUresult text_ask(uint32_t where, uint32_t *out, uint32_t *err)
{
    struct xg_cuda_printed_reply reply;
    struct cu_cmd c;

    if (cu_host_ring)
        cu_begin_on(&c, cu_host_ring);
    else
        cu_begin_call(&c, NULL);
    cu_put_printed(&c, &(struct xg_cuda_printed){.where = where, .size = ROOM});
    cu_send(&c);
    CUresult r = cu_wait(&c, &reply, sizeof(reply));
    *out = reply.out;
    *err = reply.err;
    return r;
}

static CUresult ask_launched(uint32_t where, uint32_t *out, uint32_t *err)
{
    struct xg_cuda_launch_printed_reply reply;
    CUresult r = cu_call_launch_printed(
        NULL, &(struct xg_cuda_launch_printed){.where = where, .size = ROOM}, &reply);

    *out = reply.out;
    *err = reply.err;
    return r;
}

/* One piece. False: that was the last. */
static bool piece_fetch(asker *asks, uint8_t *buffer, uint32_t where)
{
    uint32_t out, err;

    if (asks(where, &out, &err) != CUDA_SUCCESS || out > ROOM || err > ROOM - out)
        return false;
    fwrite(buffer, 1, out, stdout);
    fwrite(buffer + out, 1, err, stderr);
    return out + err == ROOM;
}

void cu_text_told(void)
{
    atomic_fetch_add(&told, 1);
}

/* Under the lock. */
static void pieces_fetch(asker *asks)
{
    uint32_t where;
    uint8_t *buffer = cu_lost() ? NULL : xg_arena_alloc(cu.channel, ROOM, 64, &where);

    atomic_store(&writing, true); /* before the worker can tell others that there is none left */
    while (buffer && piece_fetch(asks, buffer, where))
        ;
    atomic_store(&writing, false);
    if (buffer)
        xg_arena_free(cu.channel, buffer);
}

/* A thread that has the lock may wait for ring 0, and that for the host function which comes next
 * here: its thread does not wait. */
static bool lock_take(void)
{
    if (cu_host_ring)
        return !pthread_mutex_trylock(&lock);
    pthread_mutex_lock(&lock);
    return true;
}

/* A thread whose text another one is about to write waits for that. */
void cu_text_flush(void)
{
    uint32_t want;

    if (XG_LIKELY(atomic_load_explicit(&told, memory_order_acquire) ==
                      atomic_load_explicit(&printed, memory_order_acquire) &&
                  !atomic_load_explicit(&writing, memory_order_acquire)))
        return;
    if (!lock_take())
        return;
    while ((want = atomic_load(&told)) != atomic_load(&printed)) {
        pieces_fetch(text_ask);
        atomic_store(&printed, want);
    }
    pthread_mutex_unlock(&lock);
}

void cu_text_look(void)
{
    if (cu_prints()) {
        cu_text_told();
        cu_text_flush();
    }
}

void cu_text_launched(void)
{
    uint64_t now = xg_now_ns(), last = atomic_load_explicit(&looked, memory_order_relaxed);

    if (now - last < LOOK_NS)
        return;
    atomic_store_explicit(&looked, now, memory_order_relaxed);
    if (!lock_take())
        return;
    pieces_fetch(ask_launched); /* not what this launch prints */
    pthread_mutex_unlock(&lock);
}

void cu_text_reset(void)
{
    xg_lock_init(&lock);
    atomic_store(&cu_text_expected, false);
    atomic_store(&told, 0);
    atomic_store(&printed, 0);
    atomic_store(&writing, false);
}
