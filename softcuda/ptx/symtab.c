/* The module's arena and its symbol tables. */
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include "softcuda/ptx/ptx.h"

enum { CHUNK = 64 << 10 };

struct arena_chunk {
    struct arena_chunk *next;
    _Alignas(64) char data[];
};

void *sc_arena_alloc(struct arena *a, size_t size)
{
    if (size > (size_t)1 << 32)
        return NULL;
    /* 64: constants are read as whole vectors. */
    size_t align = size >= 64 ? 64 : 16;
    size = (size + align - 1) & ~(align - 1);
    size_t skip = -(uintptr_t)a->next & (align - 1);
    if (size + skip > a->left) {
        size_t room = size > CHUNK ? size : CHUNK;
        struct arena_chunk *c = aligned_alloc(64, (sizeof(*c) + room + 63) & ~(size_t)63);
        if (!c)
            return NULL;
        c->next = a->chunk;
        a->chunk = c;
        a->next = c->data;
        a->left = room;
        a->total += room;
        skip = 0;
    }
    char *p = a->next + skip;
    a->next = p + size;
    a->left -= size + skip;
    return memset(p, 0, size);
}

void sc_arena_free(struct arena *a)
{
    for (struct arena_chunk *c = a->chunk, *next; c; c = next) {
        next = c->next;
        free(c);
    }
    memset(a, 0, sizeof(*a));
}

/* Seeded, so that nobody can write a module whose names all fall into one bucket. */
static uint32_t name_hash(uint64_t seed, const char *s, size_t len)
{
    uint64_t h = seed;
    for (; len >= 8; s += 8, len -= 8) {
        uint64_t v;
        memcpy(&v, s, 8);
        h = (h ^ v) * UINT64_C(0x9e3779b97f4a7c15);
        h ^= h >> 29;
    }
    uint64_t v = len;
    for (size_t i = 0; i < len; i++)
        v = v << 8 | (uint8_t)s[i];
    h = (h ^ v) * UINT64_C(0xbf58476d1ce4e5b9);
    return (uint32_t)(h ^ h >> 32);
}

struct sym *sc_symtab_find(const struct symtab *t, const char *name, size_t len)
{
    if (!t->bucket)
        return NULL;
    uint32_t hash = name_hash(t->seed, name, len);
    for (struct sym *s = t->bucket[hash & t->mask]; s; s = s->next)
        if (s->hash == hash && s->len == len && !memcmp(s->name, name, len))
            return s;
    return NULL;
}

static bool symtab_grow(struct symtab *t)
{
    uint32_t size = t->bucket ? (t->mask + 1) * 2 : 64;
    struct sym **bucket = calloc(size, sizeof(*bucket));
    if (!bucket)
        return false;
    if (!t->seed && getrandom(&t->seed, sizeof(t->seed), 0) != sizeof(t->seed))
        t->seed = (uintptr_t)bucket;
    t->seed |= 1;
    /* Newest first in each bucket: put the old ones in again from the oldest on. */
    struct sym *order = NULL;
    for (struct sym *s = t->last; s; s = s->undo) {
        s->next = order;
        order = s;
    }
    for (struct sym *s = order, *next; s; s = next) {
        next = s->next;
        s->hash = name_hash(t->seed, s->name, s->len);
        s->next = bucket[s->hash & (size - 1)];
        bucket[s->hash & (size - 1)] = s;
    }
    free(t->bucket);
    t->bucket = bucket;
    t->mask = size - 1;
    return true;
}

struct sym *sc_symtab_add(struct symtab *t, struct arena *a, const char *name, size_t len)
{
    if ((!t->bucket || t->count > t->mask) && !symtab_grow(t))
        return NULL;
    struct sym *s = sc_arena_alloc(a, sizeof(*s));
    if (!s)
        return NULL;
    s->name = name;
    s->len = (uint32_t)len;
    s->hash = name_hash(t->seed, name, len);
    s->next = t->bucket[s->hash & t->mask];
    t->bucket[s->hash & t->mask] = s;
    s->undo = t->last;
    s->serial = ++t->serial;
    t->last = s;
    t->count++;
    return s;
}

void sc_symtab_pop(struct symtab *t, struct sym *until)
{
    /* Newest first, so each is the head of its bucket. */
    while (t->last != until) {
        struct sym *s = t->last;
        t->bucket[s->hash & t->mask] = s->next;
        t->last = s->undo;
        t->count--;
    }
}

void sc_symtab_free(struct symtab *t)
{
    free(t->bucket);
    memset(t, 0, sizeof(*t));
}
