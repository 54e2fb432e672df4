/* Modules as the driver sees them. */
#include <stdlib.h>
#include <string.h>
#include "protocol/base.h"
#include "softcuda/ptx/ptx.h"

enum { MAX_TEXT = 256 << 20 };

enum sc_status sc_module_create(const char *ptx, size_t len, char *log, size_t log_size,
                                struct sc_module **out)
{
    struct log l = {log, log_size, 0};
    *out = NULL;
    if (log && log_size)
        *log = 0;
    while (len && !ptx[len - 1])
        len--;
    if (len > MAX_TEXT) {
        sc_log(&l, "more than %u bytes of PTX\n", MAX_TEXT);
        return SC_ERR_UNSUPPORTED;
    }
    struct sc_module *m = calloc(1, sizeof(*m));
    if (!m)
        return SC_ERR_NO_MEMORY;
    enum sc_status st = sc_parse(m, ptx, len, &l);
    if (!st)
        st = sc_link_frames(m, &l);
    if (st) {
        if (!l.used)
            sc_log(&l, "ptx: %s\n",
                   st == SC_ERR_NO_MEMORY ? "out of memory" : "module too complex");
        sc_module_destroy(m);
        return st;
    }
    /* Names were needed to parse only. */
    sc_symtab_free(&m->syms);
    *out = m;
    return SC_OK;
}

void sc_module_destroy(struct sc_module *m)
{
    if (!m)
        return;
    sc_symtab_free(&m->syms);
    sc_arena_free(&m->arena);
    free(m->funcs);
    free(m->entries);
    free(m->vars);
    free(m->shared);
    free(m);
}

unsigned sc_module_var_count(const struct sc_module *m)
{
    return m->var_count;
}

const struct sc_var *sc_module_var(const struct sc_module *m, unsigned i)
{
    return i < m->var_count ? &m->vars[i]->pub : NULL;
}

unsigned sc_module_func_count(const struct sc_module *m)
{
    return m->entry_count;
}

struct sc_func *sc_module_func(struct sc_module *m, unsigned i)
{
    return i < m->entry_count ? m->entries[i] : NULL;
}

struct sc_func *sc_module_find(struct sc_module *m, const char *name)
{
    for (unsigned n = 0; n < m->entry_count; n++)
        if (!strcmp(m->entries[n]->info.name, name))
            return m->entries[n];
    return NULL;
}

const struct sc_func_info *sc_func_info(const struct sc_func *f)
{
    return &f->info;
}
