/* See handle.h. */
#include "cuda/api/handle.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "protocol/base.h"

enum { CHUNK = 1024, CHUNKS = XG_CUDA_NAMES / CHUNK };

struct slot {
    _Atomic uint64_t handle; /* 0: free, or hidden */
    void *_Atomic object;
    uint32_t generation;
    uint32_t next_free;
};

static struct table {
    struct slot *_Atomic chunk[CHUNKS];
    _Atomic uint32_t last; /* the highest name in use so far */
    uint32_t free_head;
} tables[XG_CUDA_KINDS];

/* Recursive: a signal handler may interrupt a call with another. */
static pthread_mutex_t lock = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;

/* 22 bits of name, 8 of kind, 16 of generation. */
static uint64_t handle_make(unsigned kind, uint32_t name, uint32_t generation)
{
    return (uint64_t)name << 4 | (uint64_t)kind << 26 | (uint64_t)(generation & 0xffff) << 34;
}

static struct slot *slot_at(struct table *t, uint32_t name)
{
    struct slot *chunk = atomic_load_explicit(&t->chunk[name / CHUNK], memory_order_acquire);
    return chunk ? &chunk[name % CHUNK] : NULL;
}

/* 0: none left. The lock is held. */
static uint32_t name_take(struct table *t)
{
    uint32_t name = t->free_head;

    if (name) {
        t->free_head = slot_at(t, name)->next_free;
        return name;
    }
    name = atomic_load_explicit(&t->last, memory_order_relaxed) + 1;
    if (name == XG_CUDA_NAMES)
        return 0;
    if (!slot_at(t, name)) {
        struct slot *chunk = calloc(CHUNK, sizeof(*chunk));
        if (!chunk)
            return 0;
        atomic_store_explicit(&t->chunk[name / CHUNK], chunk, memory_order_release);
    }
    atomic_store_explicit(&t->last, name, memory_order_release);
    return name;
}

void *xg_cuda_handle_new(unsigned kind, void *object)
{
    struct table *t = &tables[kind];
    uint64_t h = 0;

    pthread_mutex_lock(&lock);
    uint32_t name = name_take(t);
    if (name) {
        struct slot *s = slot_at(t, name);
        h = handle_make(kind, name, ++s->generation);
        atomic_store_explicit(&s->object, object, memory_order_relaxed);
        atomic_store_explicit(&s->handle, h, memory_order_release);
    }
    pthread_mutex_unlock(&lock);
    return (void *)(uintptr_t)h;
}

void *xg_cuda_handle_get(unsigned kind, const void *handle)
{
    uint64_t h = (uintptr_t)handle;
    struct slot *s = slot_at(&tables[kind], xg_cuda_handle_name(handle));

    /* The kind is in it. A slot without a handle has 0. */
    if (XG_UNLIKELY(!s || !h || atomic_load_explicit(&s->handle, memory_order_acquire) != h))
        return NULL;
    return atomic_load_explicit(&s->object, memory_order_relaxed);
}

void *xg_cuda_handle_named(unsigned kind, uint32_t name)
{
    struct slot *s = name < XG_CUDA_NAMES ? slot_at(&tables[kind], name) : NULL;

    return s && atomic_load_explicit(&s->handle, memory_order_acquire)
               ? atomic_load_explicit(&s->object, memory_order_relaxed)
               : NULL;
}

void xg_cuda_handle_each(unsigned kind, void (*fn)(void *object, void *arg), void *arg)
{
    uint32_t last = atomic_load_explicit(&tables[kind].last, memory_order_acquire);

    for (uint32_t name = 1; name <= last; name++) {
        void *object = xg_cuda_handle_named(kind, name);
        if (object)
            fn(object, arg);
    }
}

bool xg_cuda_handle_hide(unsigned kind, const void *handle)
{
    struct slot *s = slot_at(&tables[kind], xg_cuda_handle_name(handle));
    uint64_t h = (uintptr_t)handle;

    return s && h && atomic_compare_exchange_strong(&s->handle, &h, 0);
}

void xg_cuda_handle_free(unsigned kind, const void *handle)
{
    uint32_t name = xg_cuda_handle_name(handle);
    struct table *t = &tables[kind];

    pthread_mutex_lock(&lock);
    slot_at(t, name)->next_free = t->free_head;
    t->free_head = name;
    pthread_mutex_unlock(&lock);
}

bool xg_cuda_handle_drop(unsigned kind, const void *handle)
{
    bool mine = xg_cuda_handle_hide(kind, handle);

    if (mine)
        xg_cuda_handle_free(kind, handle);
    return mine;
}

void xg_cuda_handles_reset(void)
{
    lock = (pthread_mutex_t)PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
    for (unsigned kind = 0; kind < XG_CUDA_KINDS; kind++) {
        struct table *t = &tables[kind];
        for (uint32_t name = 1; name <= atomic_load(&t->last); name++)
            atomic_store(&slot_at(t, name)->handle, 0);
        atomic_store(&t->last, 0); /* what they stood for is lost */
        t->free_head = 0;
    }
}
