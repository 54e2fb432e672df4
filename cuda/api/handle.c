/* See handle.h. */
#include "cuda/api/handle.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>

enum { CHUNK = 4096, CHUNKS = 4096 };

struct slot {
    _Atomic uint64_t handle; /* 0: free */
    void *_Atomic object;
    uint32_t generation;
    uint32_t next_free;
};

static struct slot *_Atomic chunks[CHUNKS];
/* Recursive: a signal handler may interrupt a call with another. */
static pthread_mutex_t lock = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
static uint32_t used = 1; /* slot 0 stays empty: 0, 1 and 2 are the API's own stream handles */
static uint32_t free_head;

static struct slot *slot_at(uint32_t i)
{
    struct slot *chunk =
        i / CHUNK < CHUNKS ? atomic_load_explicit(&chunks[i / CHUNK], memory_order_acquire) : NULL;
    return chunk ? &chunk[i % CHUNK] : NULL;
}

static uint32_t slot_take(void)
{
    uint32_t i = free_head;

    if (i) {
        free_head = slot_at(i)->next_free;
        return i;
    }
    if (used == CHUNK * CHUNKS)
        return 0;
    if (!slot_at(used)) {
        struct slot *chunk = calloc(CHUNK, sizeof(*chunk));
        if (!chunk)
            return 0;
        atomic_store_explicit(&chunks[used / CHUNK], chunk, memory_order_release);
    }
    return used++;
}

void *xg_cuda_handle_new(unsigned kind, void *object)
{
    uint64_t h = 0;

    pthread_mutex_lock(&lock);
    uint32_t i = slot_take();
    if (i) {
        struct slot *s = slot_at(i);
        s->generation++;
        h = (uint64_t)i << 4 | (uint64_t)kind << 28 | (uint64_t)(s->generation & 0xffff) << 36;
        atomic_store_explicit(&s->object, object, memory_order_relaxed);
        atomic_store_explicit(&s->handle, h, memory_order_release);
    }
    pthread_mutex_unlock(&lock);
    return (void *)(uintptr_t)h;
}

void *xg_cuda_handle_get(unsigned kind, const void *handle)
{
    uint64_t h = (uintptr_t)handle;
    struct slot *s = slot_at((uint32_t)(h >> 4 & 0xffffff));

    if (!s || !h || (h >> 28 & 0xff) != kind)
        return NULL;
    if (atomic_load_explicit(&s->handle, memory_order_acquire) != h)
        return NULL;
    return atomic_load_explicit(&s->object, memory_order_relaxed);
}

bool xg_cuda_handle_drop(unsigned kind, const void *handle)
{
    bool found;

    pthread_mutex_lock(&lock);
    found = xg_cuda_handle_get(kind, handle) != NULL;
    if (found) {
        uint32_t i = (uint32_t)((uintptr_t)handle >> 4 & 0xffffff);
        struct slot *s = slot_at(i);
        atomic_store_explicit(&s->handle, 0, memory_order_release);
        atomic_store_explicit(&s->object, NULL, memory_order_relaxed);
        s->next_free = free_head;
        free_head = i;
    }
    pthread_mutex_unlock(&lock);
    return found;
}

void xg_cuda_handles_reset(void)
{
    lock = (pthread_mutex_t)PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
    for (uint32_t i = 1; i < used; i++)
        atomic_store(&slot_at(i)->handle, 0);
    free_head = 0; /* what they occupied is lost */
}
