/* Handles: names per kind, used again only after the command that ended them was sent. */
#include "interposer/cuda/cu.h"

#include <stdlib.h>

#define PAGE_NAMES 1024u
#define PAGES      (XG_CUDA_NAME_MAX / PAGE_NAMES)

static struct table {
    struct cu_object *_Atomic *_Atomic page[PAGES];
    uint8_t *generation; /* by name */
    uint32_t generations;
    uint32_t next;   /* first name never used */
    uint32_t *spare; /* names given back */
    uint32_t spare_count, spare_size;
} tables[CU_KINDS];

static pthread_mutex_t lock = XG_LOCK_INITIALIZER;

static struct cu_object *_Atomic *slot(struct table *t, uint32_t name)
{
    if (name >= XG_CUDA_NAME_MAX)
        return NULL;
    struct cu_object *_Atomic *page =
        atomic_load_explicit(&t->page[name / PAGE_NAMES], memory_order_acquire);
    return page ? &page[name % PAGE_NAMES] : NULL;
}

static bool table_grow(struct table *t, uint32_t name)
{
    if (!slot(t, name)) {
        struct cu_object *_Atomic *page = calloc(PAGE_NAMES, sizeof(*page));
        if (!page)
            return false;
        atomic_store_explicit(&t->page[name / PAGE_NAMES], page, memory_order_release);
    }
    if (name >= t->generations) {
        uint32_t more = (name | (PAGE_NAMES - 1)) + 1;
        uint8_t *g = realloc(t->generation, more);
        if (!g)
            return false;
        memset(g + t->generations, 0, more - t->generations);
        t->generation = g;
        t->generations = more;
    }
    return true;
}

void *cu_object_new(enum cu_kind kind, size_t size)
{
    struct table *t = &tables[kind];
    struct cu_object *o = calloc(1, size);
    uint32_t name;

    if (!o)
        return NULL;
    pthread_mutex_lock(&lock);
    if (t->spare_count) {
        name = t->spare[--t->spare_count];
    } else {
        name = t->next ? t->next : 1;
        if (name >= XG_CUDA_NAME_MAX || !table_grow(t, name)) {
            pthread_mutex_unlock(&lock);
            free(o);
            return NULL;
        }
        t->next = name + 1;
    }
    o->name = name;
    o->kind = (uint8_t)kind;
    o->generation = ++t->generation[name];
    atomic_store_explicit(slot(t, name), o, memory_order_release);
    pthread_mutex_unlock(&lock);
    return o;
}

bool cu_object_hide(struct cu_object *o)
{
    struct cu_object *_Atomic *s = slot(&tables[o->kind], o->name);
    struct cu_object *want = o;
    return s && atomic_compare_exchange_strong(s, &want, NULL);
}

void cu_object_free(struct cu_object *o)
{
    struct table *t = &tables[o->kind];

    pthread_mutex_lock(&lock);
    if (t->spare_count == t->spare_size) {
        uint32_t size = t->spare_size ? t->spare_size * 2 : 256;
        uint32_t *more = realloc(t->spare, size * sizeof(*more));
        if (more) {
            t->spare = more;
            t->spare_size = size;
        }
    }
    if (t->spare_count < t->spare_size) /* otherwise the name is lost: no harm */
        t->spare[t->spare_count++] = o->name;
    pthread_mutex_unlock(&lock);
    free(o);
}

void *cu_object_named(enum cu_kind kind, uint32_t name)
{
    struct cu_object *_Atomic *s = slot(&tables[kind], name);
    return s ? atomic_load_explicit(s, memory_order_acquire) : NULL;
}

void *cu_object_get(enum cu_kind kind, const void *handle)
{
    uint64_t h = (uintptr_t)handle;

    if (XG_UNLIKELY(h >> 40 != (0x5800u | (unsigned)kind)))
        return NULL;
    struct cu_object *o = cu_object_named(kind, (uint32_t)h);
    return XG_LIKELY(o != NULL) && o->generation == (uint8_t)(h >> 32) ? o : NULL;
}

void cu_object_each(enum cu_kind kind, void (*fn)(void *object, void *arg), void *arg)
{
    struct table *t = &tables[kind];

    for (uint32_t name = 1; name < t->next; name++) {
        void *o = cu_object_named(kind, name);
        if (o)
            fn(o, arg);
    }
}

/* The parent's objects are not the child's: their handles become nothing. What they occupied is
 * lost. */
void cu_objects_reset(void)
{
    xg_lock_init(&lock);
    for (unsigned k = 0; k < CU_KINDS; k++) {
        struct table *t = &tables[k];
        for (uint32_t name = 1; name < t->next; name++) {
            struct cu_object *_Atomic *s = slot(t, name);
            if (s)
                atomic_store(s, NULL);
        }
        t->next = 0;
        t->spare_count = 0;
    }
}
