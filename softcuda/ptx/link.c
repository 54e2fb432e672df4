/* Work that needs the complete module: the call graph, shared memory, stacks, addresses. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "protocol/base.h"
#include "softcuda/ptx/ptx.h"

enum { MAX_STEPS = 50 << 20 };

struct pair {
    uint32_t var, entry;
};

struct linker {
    struct sc_module *m;
    struct log *log;
    uint32_t *stamp;     /* per function: the last entry that reached it + 1 */
    uint32_t *var_stamp; /* per shared variable: the same */
    struct sc_func **stack;
    struct ref **at; /* of the depth-first walk: next callee to look at */
    struct pair *pairs;
    uint32_t pair_count, pair_cap;
    uint64_t steps;
};

static enum sc_status functions_check(struct linker *k)
{
    struct sc_module *m = k->m;
    for (uint32_t n = 0; n < m->func_count; n++)
        for (const struct ref *r = m->funcs[n]->callees; r; r = r->next) {
            const struct sc_func *f = m->funcs[r->index];
            if (f->defined || f->builtin)
                continue;
            sc_log(k->log, "ptx line %u: function '%s' has no definition\n", f->line, f->info.name);
            return SC_ERR_UNRESOLVED;
        }
    return SC_OK;
}

/* --- stacks: the longest chain of frames below each function ---------------------------------- */

enum { WHITE, GREY, BLACK };

static void visit_done(struct sc_module *m, struct sc_func *f)
{
    uint64_t deepest = 0;
    uint32_t registers = f->info.registers;
    bool open_ended = f->indirect;
    for (const struct ref *r = f->callees; r; r = r->next) {
        const struct sc_func *c = m->funcs[r->index];
        open_ended |= c->visit == GREY || c->open_ended;
        deepest = xg_max_u64(deepest, c->stack_local);
        registers = (uint32_t)xg_max_u64(registers, c->info.registers);
    }
    uint64_t all = xg_align_up(f->frame_local, 16) + deepest;
    f->stack_local = (uint32_t)xg_min_u64(all, SC_MAX_LOCAL);
    f->info.registers = registers;
    f->open_ended = open_ended;
    f->visit = BLACK;
}

static void stacks_find(struct linker *k, struct sc_func *root)
{
    struct sc_module *m = k->m;
    uint32_t depth = 0;
    if (root->visit != WHITE)
        return;
    root->visit = GREY;
    k->stack[0] = root;
    k->at[0] = root->callees;
    depth = 1;
    while (depth) {
        struct ref **at = &k->at[depth - 1];
        while (*at && m->funcs[(*at)->index]->visit != WHITE)
            *at = (*at)->next;
        if (!*at) {
            visit_done(m, k->stack[--depth]);
            continue;
        }
        struct sc_func *c = m->funcs[(*at)->index];
        c->visit = GREY;
        k->stack[depth] = c;
        k->at[depth++] = c->callees;
    }
}

/* --- shared memory ---------------------------------------------------------------------------- */

static enum sc_status pair_add(struct linker *k, uint32_t var, uint32_t entry)
{
    if (k->var_stamp[var] == entry + 1)
        return SC_OK;
    k->var_stamp[var] = entry + 1;
    if (k->pair_count == k->pair_cap) {
        uint32_t cap = k->pair_cap ? k->pair_cap * 2 : 64;
        struct pair *p = cap > 1 << 24 ? NULL : realloc(k->pairs, cap * sizeof(*p));
        if (!p)
            return SC_ERR_NO_MEMORY;
        k->pairs = p;
        k->pair_cap = cap;
    }
    k->pairs[k->pair_count++] = (struct pair){var, entry};
    return SC_OK;
}

/* Keeps the kernel in the module, with the reason why it cannot be launched. */
static __attribute__((format(printf, 3, 4))) enum sc_status
entry_refuse(struct linker *k, struct sc_func *entry, const char *fmt, ...)
{
    char text[600];
    va_list ap;
    if (entry->info.refused)
        return SC_OK;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    char *kept = sc_arena_alloc(&k->m->arena, strlen(text) + 1);
    if (!kept)
        return SC_ERR_NO_MEMORY;
    entry->info.refused = strcpy(kept, text);
    sc_log(k->log, "kernel '%.200s' cannot be used: %s\n", entry->info.name, text);
    return SC_OK;
}

/* Finds what an entry uses, through calls too: shared variables, and functions that cannot run. */
static enum sc_status entry_walk(struct linker *k, uint32_t entry)
{
    struct sc_module *m = k->m;
    uint32_t depth = 1;
    bool all_taken = false;
    enum sc_status st = SC_OK;
    k->stack[0] = m->entries[entry];
    k->stamp[m->entries[entry]->index] = entry + 1;
    while (depth && !st) {
        struct sc_func *f = k->stack[--depth];
        if (f->why && f->entry)
            st = entry_refuse(k, f, "%s", f->why);
        else if (f->why)
            st = entry_refuse(k, m->entries[entry], "%s, in function '%.200s', which it calls",
                              f->why, f->info.name);
        for (const struct ref *r = f->shared; r && !st; r = r->next)
            st = pair_add(k, r->index, entry);
        for (const struct ref *r = f->callees; r; r = r->next, k->steps++)
            if (k->stamp[r->index] != entry + 1) {
                k->stamp[r->index] = entry + 1;
                k->stack[depth++] = m->funcs[r->index];
            }
        for (uint32_t n = 0; f->indirect && !all_taken && n < m->func_count; n++, k->steps++)
            if (m->funcs[n]->address_taken && k->stamp[n] != entry + 1) {
                k->stamp[n] = entry + 1;
                k->stack[depth++] = m->funcs[n];
            }
        all_taken |= f->indirect;
        if (++k->steps > MAX_STEPS)
            st = SC_ERR_UNSUPPORTED;
    }
    return st;
}

static int pair_compare(const void *x, const void *y)
{
    const struct pair *a = x, *b = y;
    return a->var != b->var ? (a->var < b->var ? -1 : 1) : a->entry < b->entry ? -1 : 1;
}

/* A variable has the same offset in all entries that use it. */
static void shared_place(struct linker *k)
{
    struct sc_module *m = k->m;
    if (k->pair_count)
        qsort(k->pairs, k->pair_count, sizeof(*k->pairs), pair_compare);
    for (uint32_t n = 0, end; n < k->pair_count; n = end) {
        struct shared_var *v = m->shared[k->pairs[n].var];
        uint64_t at = 0;
        for (end = n; end < k->pair_count && k->pairs[end].var == k->pairs[n].var; end++)
            at = xg_max_u64(at, m->entries[k->pairs[end].entry]->info.static_shared);
        v->offset = xg_align_up(at, v->align);
        for (uint32_t e = n; e < end; e++)
            m->entries[k->pairs[e].entry]->info.static_shared =
                (uint32_t)xg_min_u64(v->offset + v->size, UINT32_MAX / 2);
    }
}

static void const_patch(struct sc_func *f, const struct reloc *r, uint64_t v)
{
    for (unsigned l = 0; l < SC_WARP; l++) {
        if (r->wide)
            memcpy(f->consts + r->offset + l * 8, &v, 8);
        else
            memcpy(f->consts + r->offset + l * 4, &v, 4);
    }
}

static uint64_t reloc_value(const struct sc_module *m, const struct reloc *r)
{
    switch (r->kind) {
    case RELOC_VAR: return (uint64_t)(uintptr_t)m->vars[r->index]->address + (uint64_t)r->addend;
    case RELOC_SHARED: return m->shared[r->index]->offset + (uint64_t)r->addend;
    case RELOC_FUNC: return SC_FUNC_BASE + r->index * UINT64_C(16) + (uint64_t)r->addend;
    }
    return 0;
}

static void module_patch(struct sc_module *m)
{
    for (uint32_t n = 0; n < m->func_count; n++)
        for (const struct reloc *r = m->funcs[n]->relocs; r; r = r->next)
            const_patch(m->funcs[n], r, reloc_value(m, r));
}

/* How many registers a compiler for a GPU would give the kernel: as many as are alive in it, but
 * not more than its declared number of blocks has room for. A GPU's compiler spills the others;
 * here they cost nothing. */
static void registers_bound(struct sc_func *f)
{
    uint64_t threads = xg_align_up(f->info.max_threads, SC_WARP);
    uint64_t blocks =
        f->min_blocks && threads * f->min_blocks <= SC_THREADS_PER_SM ? f->min_blocks : 1;
    uint64_t most = SC_REGISTERS / (threads * blocks), n = xg_max_u64(f->info.registers, 16);
    if (f->max_regs)
        most = xg_min_u64(most, xg_max_u64(f->max_regs, 16));
    n = xg_min_u64(xg_align_up(n, SC_REGISTER_UNIT), most / SC_REGISTER_UNIT * SC_REGISTER_UNIT);
    f->info.registers = (uint32_t)xg_min_u64(n, SC_MAX_REGISTERS);
}

enum sc_status sc_link_frames(struct sc_module *m, struct log *log)
{
    struct linker k = {.m = m, .log = log};
    enum sc_status st = functions_check(&k);
    if (st)
        return st;
    k.stamp = calloc(m->func_count + 1, sizeof(*k.stamp));
    k.var_stamp = calloc(m->shared_count + 1, sizeof(*k.var_stamp));
    k.stack = calloc(m->func_count + 1, sizeof(*k.stack));
    k.at = calloc(m->func_count + 1, sizeof(*k.at));
    st = k.stamp && k.var_stamp && k.stack && k.at ? SC_OK : SC_ERR_NO_MEMORY;
    uint64_t const_bytes = 0;
    for (uint32_t n = 0; n < m->var_count; n++)
        const_bytes += m->vars[n]->pub.constant ? m->vars[n]->pub.size : 0;
    for (uint32_t n = 0; n < m->func_count && !st; n++)
        stacks_find(&k, m->funcs[n]);
    for (uint32_t n = 0; n < m->entry_count && !st; n++) {
        struct sc_func *f = m->entries[n];
        uint64_t stack = f->stack_local + (f->open_ended ? SC_RECURSION_LOCAL : 0);
        f->stack_local = (uint32_t)xg_min_u64(xg_align_up(stack, 16), SC_MAX_LOCAL);
        f->info.local_bytes = f->stack_local;
        registers_bound(f);
        f->info.const_bytes = (uint32_t)xg_min_u64(const_bytes, UINT32_MAX);
        st = entry_walk(&k, n);
    }
    if (!st) {
        shared_place(&k);
        module_patch(m);
    }
    for (uint32_t n = 0; n < m->entry_count && !st; n++) {
        const struct sc_func *f = m->entries[n];
        if (f->info.static_shared > SC_MAX_SHARED)
            st = entry_refuse(&k, m->entries[n],
                              "ptx line %u: %u bytes of shared memory; a block has %u", f->line,
                              f->info.static_shared, SC_MAX_SHARED);
    }
    free(k.stamp);
    free(k.var_stamp);
    free(k.stack);
    free(k.at);
    free(k.pairs);
    return st;
}

/* --- the driver's side ------------------------------------------------------------------------ */

void sc_module_place(struct sc_module *m, unsigned i, void *address)
{
    if (i < m->var_count)
        m->vars[i]->address = address;
}

static void initial_write(const struct sc_module *m, const struct var *v)
{
    uint8_t *to = v->address;
    uint64_t n = xg_min_u64(v->init_size, v->pub.size);
    if (n)
        memcpy(to, v->init, n);
    memset(to + n, 0, v->pub.size - n);
    for (const struct reloc *r = v->relocs; r; r = r->next) {
        uint64_t value = reloc_value(m, r) >> r->shift;
        if (r->offset + r->bytes <= v->pub.size)
            memcpy(to + r->offset, &value, r->bytes);
    }
}

enum sc_status sc_module_resolved(const struct sc_module *m, char *log, size_t log_size)
{
    struct log l = {log, log_size, 0};
    for (uint32_t n = 0; n < m->var_count; n++)
        if (m->vars[n]->pub.external && !m->vars[n]->address) {
            sc_log(&l, "ptx line %u: extern variable '%s' has no definition\n", m->vars[n]->line,
                   m->vars[n]->pub.name);
            return SC_ERR_UNRESOLVED;
        }
    return SC_OK;
}

enum sc_status sc_module_link(struct sc_module *m, char *log, size_t log_size)
{
    struct log l = {log, log_size, 0};
    enum sc_status st = sc_module_resolved(m, log, log_size);
    if (st)
        return st;
    for (uint32_t n = 0; n < m->var_count; n++)
        if (!m->vars[n]->address) {
            sc_log(&l, "variable '%s' has no address\n", m->vars[n]->pub.name);
            return SC_ERR_INVALID;
        }
    for (uint32_t n = 0; n < m->var_count; n++)
        if (!m->vars[n]->pub.external)
            initial_write(m, m->vars[n]);
    module_patch(m);
    return SC_OK;
}
