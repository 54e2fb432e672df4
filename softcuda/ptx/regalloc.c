/*
 * Packs virtual registers into a frame. Registers of one width share a place if their live ranges
 * do not overlap. Ranges are intervals of instruction indices, made from liveness over basic
 * blocks. Lanes may be at different places in the program; but each has its own part of every
 * register, so what is correct for one thread is correct for all.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include "protocol/base.h"
#include "softcuda/ptx/exec.h"

enum {
    MAX_WORK = 1 << 26, /* words of bit sets; more take too long, then no places are shared */
    MAX_SUCC = 2,
};

struct block_info {
    uint32_t start, end; /* instructions [start, end) */
    uint32_t succ[MAX_SUCC];
    const struct targets *many; /* further successors, of brx */
};

struct alloc {
    struct sc_func *f;
    const uint8_t *widths;
    uint32_t vregs;
    struct block_info *block;
    uint32_t blocks;
    uint32_t *block_of;     /* of instructions: block that starts there + 1 */
    uint32_t *first, *last; /* of vregs: positions, 2n at sources, 2n + 1 at results */
    uint32_t *home;         /* vreg: the last block that writes it + 1 */
    uint32_t *dense;        /* vreg: index in bit sets + 1; 0: it is used in one block only */
    uint32_t globals, words;
    uint64_t *live_in, *gen, *kill;
};

static unsigned op_bra, op_bra_if, op_bra_not, op_brx, op_ret, op_exit, op_trap, op_end, op_label,
    op_call;
static pthread_once_t once_init = PTHREAD_ONCE_INIT;

static void ops_init(void)
{
    op_bra = sc_op_find("bra");
    op_bra_if = sc_op_find("bra_if");
    op_bra_not = sc_op_find("bra_not");
    op_brx = sc_op_find("brx");
    op_ret = sc_op_find("ret");
    op_exit = sc_op_find("exit");
    op_trap = sc_op_find("trap");
    op_end = sc_op_find("end");
    op_label = sc_op_find("label");
    op_call = sc_op_find("call");
}

static bool insn_ends_block(const struct insn *i)
{
    return i->op == op_bra || i->op == op_bra_if || i->op == op_bra_not || i->op == op_brx ||
           i->op == op_ret || i->op == op_exit || i->op == op_trap || i->op == op_end;
}

static bool insn_falls_through(const struct insn *i)
{
    return i->op != op_bra && i->op != op_brx && i->op != op_ret && i->op != op_exit &&
           i->op != op_trap && i->op != op_end;
}

static bool blocks_find(struct alloc *a)
{
    struct sc_func *f = a->f;
    a->block_of = calloc(f->count + 1, sizeof(uint32_t));
    a->block = malloc((f->count + 1) * sizeof(*a->block));
    if (!a->block_of || !a->block)
        return false;
    for (uint32_t n = 0; n < f->count; n++) {
        bool leader = !n || f->code[n].op == op_label || insn_ends_block(&f->code[n - 1]);
        if (!leader)
            continue;
        if (a->blocks)
            a->block[a->blocks - 1].end = n;
        a->block[a->blocks] = (struct block_info){.start = n};
        a->block_of[n] = ++a->blocks;
    }
    a->block[a->blocks - 1].end = f->count;
    for (uint32_t b = 0; b < a->blocks; b++) {
        struct block_info *k = &a->block[b];
        const struct insn *last = &f->code[k->end - 1];
        k->succ[0] = insn_falls_through(last) && b + 1 < a->blocks ? b + 1 : UINT32_MAX;
        k->succ[1] = UINT32_MAX;
        if (last->op == op_bra || last->op == op_bra_if || last->op == op_bra_not)
            k->succ[1] = a->block_of[last->target] - 1;
        if (last->op == op_brx)
            k->many = last->ptr;
    }
    return true;
}

#define EACH_SLOT(bits, s)                                                                         \
    for (unsigned b_ = (bits)&SLOT_BITS, s; b_ && (s = (unsigned)__builtin_ctz(b_), 1);            \
         b_ &= b_ - 1)

static void range_note(struct alloc *a, uint32_t v, uint32_t at)
{
    if (a->first[v] == UINT32_MAX || at < a->first[v])
        a->first[v] = at;
    if (a->last[v] == UINT32_MAX || at > a->last[v])
        a->last[v] = at;
}

/* Finds the registers that are alive between blocks: those that a block reads before it writes
 * them, or that several blocks use. False: too many for bit sets. */
static bool globals_find(struct alloc *a)
{
    struct sc_func *f = a->f;
    for (uint32_t b = 0; b < a->blocks; b++)
        for (uint32_t n = a->block[b].start; n < a->block[b].end; n++) {
            const struct insn *i = &f->code[n];
            EACH_SLOT(i->uses, s)
            {
                uint32_t v = i->o[s] >> 1;
                range_note(a, v, 2 * n + (i->defs & INSN_HAZARD ? 2 : 0));
                if (a->home[v] != b + 1 && !a->dense[v])
                    a->dense[v] = ++a->globals;
            }
            EACH_SLOT(i->defs, s)
            {
                uint32_t v = i->o[s] >> 1;
                range_note(a, v, 2 * n + 1);
                /* A guarded first write leaves the old value in some lanes: it was alive before. */
                if ((a->home[v] && a->home[v] != b + 1) || (!a->home[v] && i->defs & INSN_KEEPS)) {
                    if (!a->dense[v])
                        a->dense[v] = ++a->globals;
                }
                a->home[v] = b + 1;
            }
        }
    a->words = (a->globals + 63) / 64;
    return (uint64_t)a->words * a->blocks <= MAX_WORK;
}

static void local_sets(struct alloc *a)
{
    for (uint32_t b = 0; b < a->blocks; b++) {
        uint64_t *gen = a->gen + (size_t)b * a->words, *kill = a->kill + (size_t)b * a->words;
        for (uint32_t n = a->block[b].start; n < a->block[b].end; n++) {
            const struct insn *i = &a->f->code[n];
            EACH_SLOT(i->uses, s)
            {
                uint32_t g = a->dense[i->o[s] >> 1];
                if (g && !(kill[(g - 1) / 64] >> ((g - 1) % 64) & 1))
                    gen[(g - 1) / 64] |= UINT64_C(1) << ((g - 1) % 64);
            }
            EACH_SLOT(i->defs, s)
            {
                uint32_t g = a->dense[i->o[s] >> 1];
                if (!g)
                    continue;
                if (!(i->defs & INSN_KEEPS))
                    kill[(g - 1) / 64] |= UINT64_C(1) << ((g - 1) % 64);
                else if (!(kill[(g - 1) / 64] >> ((g - 1) % 64) & 1))
                    gen[(g - 1) / 64] |= UINT64_C(1) << ((g - 1) % 64);
            }
        }
    }
}

static void successor_merge(const struct alloc *a, uint32_t succ, uint64_t *out)
{
    if (succ == UINT32_MAX)
        return;
    const uint64_t *in = a->live_in + (size_t)succ * a->words;
    for (uint32_t k = 0; k < a->words; k++)
        out[k] |= in[k];
}

static void live_out(struct alloc *a, uint32_t b, uint64_t *out)
{
    const struct block_info *k = &a->block[b];
    memset(out, 0, a->words * sizeof(*out));
    successor_merge(a, k->succ[0], out);
    successor_merge(a, k->succ[1], out);
    for (uint32_t n = 0; k->many && n < k->many->count; n++)
        successor_merge(a, a->block_of[k->many->index[n]] - 1, out);
}

/* Iterates backwards until nothing changes. False: that takes too long. */
static bool liveness_solve(struct alloc *a, uint64_t *out)
{
    uint64_t work = 0;
    for (bool changed = true; changed;) {
        changed = false;
        for (uint32_t b = a->blocks; b-- > 0;) {
            live_out(a, b, out);
            uint64_t *in = a->live_in + (size_t)b * a->words;
            const uint64_t *gen = a->gen + (size_t)b * a->words,
                           *kill = a->kill + (size_t)b * a->words;
            for (uint32_t k = 0; k < a->words; k++) {
                uint64_t v = gen[k] | (out[k] & ~kill[k]);
                changed |= v != in[k];
                in[k] = v;
            }
            work += a->words * (2 + (a->block[b].many ? a->block[b].many->count : 0)) + 1;
        }
        if (work > MAX_WORK)
            return false;
    }
    return true;
}

/* Extends the range of each register over the blocks at whose start or end it is alive. */
static void ranges_extend(struct alloc *a, uint64_t *out)
{
    uint32_t *of = malloc(((size_t)a->globals + 1) * sizeof(*of));
    if (!of)
        return;
    for (uint32_t v = 0; v < a->vregs; v++)
        if (a->dense[v])
            of[a->dense[v] - 1] = v;
    for (uint32_t b = 0; b < a->blocks; b++) {
        const uint64_t *in = a->live_in + (size_t)b * a->words;
        live_out(a, b, out);
        for (uint32_t k = 0; k < a->words; k++) {
            for (uint64_t m = in[k]; m; m &= m - 1)
                range_note(a, of[k * 64 + (uint32_t)__builtin_ctzll(m)], 2 * a->block[b].start);
            for (uint64_t m = out[k]; m; m &= m - 1)
                range_note(a, of[k * 64 + (uint32_t)__builtin_ctzll(m)], 2 * a->block[b].end);
        }
    }
    free(of);
}

/* Without liveness: every register is alive all the time, so none share a place. */
static void ranges_widen(struct alloc *a)
{
    for (uint32_t v = 0; v < a->vregs; v++)
        if (a->first[v] != UINT32_MAX) {
            a->first[v] = 0;
            a->last[v] = 2 * a->f->count;
        }
}

struct event {
    uint32_t at, vreg;
};

static int event_compare(const void *x, const void *y)
{
    const struct event *a = x, *b = y;
    return a->at < b->at ? -1 : a->at > b->at ? 1 : a->vreg < b->vreg ? -1 : 1;
}

/* Linear scan: where a range starts, its register gets the place that was freed last, if any. */
static enum sc_status places_assign(struct alloc *a, uint32_t *place)
{
    uint32_t n = 0;
    struct event *starts = malloc((a->vregs + 1) * sizeof(*starts));
    struct event *ends = malloc((a->vregs + 1) * sizeof(*ends));
    uint32_t *spare[WIDTHS] = {0}, spares[WIDTHS] = {0};
    enum sc_status st = starts && ends ? SC_OK : SC_ERR_NO_MEMORY;
    for (int w = 0; w < WIDTHS && !st; w++)
        if (!(spare[w] = malloc((a->vregs + 1) * sizeof(uint32_t))))
            st = SC_ERR_NO_MEMORY;
    for (uint32_t v = 0; v < a->vregs && !st; v++)
        if (a->first[v] != UINT32_MAX) {
            starts[n] = (struct event){a->first[v], v};
            ends[n++] = (struct event){a->last[v], v};
        }
    uint64_t top = 0;
    if (!st) {
        qsort(starts, n, sizeof(*starts), event_compare);
        qsort(ends, n, sizeof(*ends), event_compare);
    }
    for (uint32_t k = 0, e = 0; k < n && !st; k++) {
        for (; e < n && ends[e].at < starts[k].at; e++) {
            uint8_t w = a->widths[ends[e].vreg];
            spare[w][spares[w]++] = place[ends[e].vreg];
        }
        uint8_t w = a->widths[starts[k].vreg];
        if (spares[w]) {
            place[starts[k].vreg] = spare[w][--spares[w]];
            continue;
        }
        place[starts[k].vreg] = (uint32_t)top;
        top += w == W1 ? 64 : sc_width_bytes[w];
        if (top > SC_MAX_FRAME)
            st = SC_ERR_UNSUPPORTED;
    }
    a->f->reg_bytes = (uint32_t)xg_align_up(top + 64, 64);
    free(starts);
    free(ends);
    for (int w = 0; w < WIDTHS; w++)
        free(spare[w]);
    return st;
}

static void operands_rewrite(struct alloc *a, const uint32_t *place)
{
    for (uint32_t n = 0; n < a->f->count; n++) {
        struct insn *i = &a->f->code[n];
        uint32_t slots = (i->defs | i->uses) & SLOT_BITS;
        EACH_SLOT(slots, s) i->o[s] = place[i->o[s] >> 1];
    }
}

static enum sc_status alloc_run(struct alloc *a)
{
    uint64_t *sets = NULL, *out = NULL;
    enum sc_status st = SC_ERR_NO_MEMORY;
    size_t n = a->vregs + 1;
    a->first = malloc(n * sizeof(uint32_t));
    a->last = malloc(n * sizeof(uint32_t));
    a->home = calloc(n, sizeof(uint32_t));
    a->dense = calloc(n, sizeof(uint32_t));
    uint32_t *place = calloc(n, sizeof(uint32_t));
    if (!a->first || !a->last || !a->home || !a->dense || !place || !blocks_find(a))
        goto out;
    memset(a->first, 0xff, n * sizeof(uint32_t));
    memset(a->last, 0xff, n * sizeof(uint32_t));
    bool sharing = globals_find(a);
    if (sharing) {
        size_t words = (size_t)a->words * a->blocks;
        sets = calloc(words * 3 + 1, sizeof(*sets));
        out = calloc(a->words + 1, sizeof(*out));
        if (!sets || !out)
            goto out;
        a->live_in = sets;
        a->gen = sets + words;
        a->kill = sets + 2 * words;
        local_sets(a);
        sharing = liveness_solve(a, out);
        if (sharing)
            ranges_extend(a, out);
    }
    if (!sharing)
        ranges_widen(a);
    st = places_assign(a, place);
    if (!st)
        operands_rewrite(a, place);
out:
    free(sets);
    free(out);
    free(place);
    free(a->first);
    free(a->last);
    free(a->home);
    free(a->dense);
    free(a->block);
    free(a->block_of);
    return st;
}

enum sc_status sc_regalloc(struct sc_func *f, const uint8_t *widths, uint32_t vregs)
{
    struct alloc a = {.f = f, .widths = widths, .vregs = vregs};
    pthread_once(&once_init, ops_init);
    enum sc_status st = alloc_run(&a);
    f->info.registers = f->reg_bytes / sc_width_bytes[W32]; /* as many as are alive at one time */
    return st;
}
