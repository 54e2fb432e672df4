#include "protocol/codec.h"

#include <errno.h>
#include <stdlib.h>

#define PAGE_ENTRIES 1024u

int xg_table_init(struct xg_table *t, uint32_t max)
{
    uint32_t pages = max / PAGE_ENTRIES + 1;

    t->max = max;
    t->end = 0;
    t->page = calloc(pages, sizeof(*t->page));
    t->pages = t->page ? pages : 0;
    return t->page ? 0 : -ENOMEM;
}

void xg_table_fini(struct xg_table *t)
{
    if (!t->page)
        return;
    for (uint32_t i = 0; i < t->end; i++)
        free(t->page[i]);
    free(t->page);
    t->page = NULL;
    t->pages = t->end = 0;
}

int xg_table_set(struct xg_table *t, uint32_t name, void *object)
{
    uint32_t page = name / PAGE_ENTRIES;
    if (name > t->max || page >= t->pages)
        return -ERANGE;
    if (!t->page[page]) {
        t->page[page] = calloc(PAGE_ENTRIES, sizeof(void *));
        if (!t->page[page])
            return -ENOMEM;
        if (page >= t->end)
            t->end = page + 1;
    }
    void **slot = &t->page[page][name % PAGE_ENTRIES];
    if (*slot)
        return -EEXIST;
    *slot = object;
    return 0;
}

void *xg_table_remove(struct xg_table *t, uint32_t name)
{
    void *object = xg_table_get(t, name);
    if (object)
        t->page[name / PAGE_ENTRIES][name % PAGE_ENTRIES] = NULL;
    return object;
}

void xg_table_each(struct xg_table *t, void (*fn)(uint32_t name, void *object, void *arg),
                   void *arg)
{
    for (uint32_t i = 0; i < t->end; i++) {
        for (uint32_t j = 0; t->page[i] && j < PAGE_ENTRIES; j++) {
            if (t->page[i][j])
                fn(i * PAGE_ENTRIES + j, t->page[i][j], arg);
        }
    }
}
