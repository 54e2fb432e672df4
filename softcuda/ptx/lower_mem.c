/* Loads, stores, atomics, copies. */
#include <stdio.h>
#include <string.h>
#include "protocol/base.h"
#include "softcuda/ptx/parse.h"

enum space { GENERIC, GLOBAL, SHARED, LOCAL, PARAM };

static enum space space_take(struct stmt *s)
{
    if (sc_take(s, "global") || sc_take(s, "const"))
        return GLOBAL;
    if (sc_take(s, "shared") || sc_take(s, "shared::cta") || sc_take(s, "shared::cluster"))
        return SHARED;
    if (sc_take(s, "local"))
        return LOCAL;
    if (sc_take(s, "param") || sc_take(s, "param::entry") || sc_take(s, "param::func"))
        return PARAM;
    return GENERIC;
}

/* Qualifiers that change nothing here: speed only, or an order that x86 has anyway. True: the
 * program may use the access to wait for another thread. */
static bool hints_take(struct stmt *s)
{
    /* clang-format off */
    static const char *const free_mods[] = {
        "weak", "ca", "cg", "cs", "lu", "cv", "wb", "wt", "nc",
        "cta", "cluster", "gpu", "sys", "unified", "aligned",
        "L1::evict_normal", "L1::evict_unchanged", "L1::evict_first", "L1::evict_last",
        "L1::no_allocate", "L2::64B", "L2::128B", "L2::256B",
        "L2::evict_last", "L2::evict_first", "L2::evict_normal",
    };
    /* clang-format on */
    static const char *const waits[] = {"volatile", "relaxed", "acquire", "release",
                                        "acq_rel",  "mmio",    "sc"};
    bool wait = false;
    for (size_t i = 0; i < XG_ARRAY_LEN(free_mods); i++)
        sc_take(s, free_mods[i]);
    for (size_t i = 0; i < XG_ARRAY_LEN(waits); i++)
        wait |= sc_take(s, waits[i]);
    return wait;
}

/* The place of an access: family of handlers, operand with the address, offset from it. */
struct place {
    const char *family; /* NULL: frame or kernel parameter at a fixed offset */
    bool kparam;
    uint32_t address;
    int64_t offset;
};

static void bounds_check(struct parser *p, struct stmt *s, const struct opnd *o, uint64_t bytes)
{
    if (o->offset < 0 || (uint64_t)o->offset + bytes > o->sym->size)
        sc_fail(p, SC_ERR_SYNTAX, s->line, "access outside of '%.*s'", sc_shown(o->sym->len),
                o->sym->name);
}

static uint32_t address_widen(struct parser *p, struct stmt *s, const struct opnd *o,
                              int64_t *offset)
{
    if (o->base == OP_IMM) {
        *offset += (int64_t)o->value;
        return sc_konst(p, W64, 0);
    }
    if (o->base == OP_SYM) {
        uint32_t a = sc_symbol_address(p, o->sym, o->offset, W64);
        *offset -= o->offset; /* the address has it already */
        return a;
    }
    if (o->width != W64 && o->width != W32)
        sc_fail(p, SC_ERR_SYNTAX, s->line, "an address needs 32 or 64 bits");
    return sc_widen(p, o->vreg << 1, o->width, W64, false);
}

/* In a window of 32 bits (shared, local) the sum of base and offset wraps at 32 bits; it is widened
 * to 64 afterwards. */
uint32_t sc_window_address(struct parser *p, uint32_t base, enum width w, int64_t offset)
{
    uint32_t src[2] = {sc_widen(p, base, w, W32, false)};
    if (offset) {
        uint32_t d = sc_temp(p, W32);
        src[1] = sc_konst(p, W32, (uint64_t)offset);
        sc_alu(p, d, 2, src, "add_u32");
        src[0] = d << 1;
    }
    return sc_widen(p, src[0], W32, W64, false);
}

static void place_resolve(struct parser *p, struct stmt *s, const struct opnd *o, enum space space,
                          uint64_t bytes, struct place *at)
{
    memset(at, 0, sizeof(*at));
    if (o->kind != OP_MEM)
        sc_fail(p, SC_ERR_SYNTAX, s->line, "address in [] expected");
    at->offset = o->offset;
    if (o->base == OP_SYM) {
        enum sym_kind k = o->sym->kind;
        bool fits = space == GENERIC  ? k == SYM_GLOBAL
                    : space == GLOBAL ? k == SYM_GLOBAL
                    : space == SHARED ? k == SYM_SHARED || k == SYM_DYNSHARED
                    : space == LOCAL  ? k == SYM_FRAME
                                      : k == SYM_FRAME || k == SYM_KPARAM;
        if (!fits)
            sc_fail(p, SC_ERR_SYNTAX, s->line, "'%.*s' is not in this state space",
                    sc_shown(o->sym->len), o->sym->name);
        if (k == SYM_FRAME || k == SYM_KPARAM) {
            bounds_check(p, s, o, bytes);
            at->kparam = k == SYM_KPARAM;
            at->offset += (int64_t)o->sym->offset;
            return;
        }
    }
    if (space == SHARED && o->base == OP_REG && o->width == W32) {
        at->family = "shared32";
        at->address = o->vreg << 1;
        return;
    }
    bool local = space == LOCAL || (space == PARAM && !p->f->entry);
    at->family = space == SHARED ? "shared" : space == GLOBAL ? "global" : "generic";
    if (local && o->base == OP_REG && o->width == W32) {
        at->address = sc_window_address(p, o->vreg << 1, W32, at->offset);
        at->offset = 0;
    } else {
        at->address = address_widen(p, s, o, &at->offset);
    }
    if (local)
        at->offset += (int64_t)SC_LOCAL_BASE;
}

static unsigned vector_take(struct stmt *s)
{
    return sc_take(s, "v2") ? 2 : sc_take(s, "v4") ? 4 : sc_take(s, "v8") ? 8 : 1;
}

static const struct opnd *vector_element(struct parser *p, struct stmt *s, const struct opnd *o,
                                         unsigned n, unsigned count)
{
    if (count == 1 && o->kind != OP_VEC)
        return o;
    if (o->kind != OP_VEC || o->n != count)
        sc_fail(p, SC_ERR_SYNTAX, s->line, "vector of %u elements expected", count);
    return &s->vec[o->first + n];
}

static enum ty load_store_ty(struct parser *p, struct stmt *s)
{
    enum ty ty = sc_take_ty(p, s);
    if (ty == TY_PRED || ty == TY_B128)
        sc_unsupported(p, s, "type");
    return ty;
}

static void cache_operand_drop(struct stmt *s, unsigned fixed)
{
    if (sc_take(s, "L2::cache_hint"))
        s->ops -= s->ops == fixed + 1; /* the policy, which changes nothing here */
}

static const char *vector_name(unsigned n)
{
    return n == 4 ? "v4_" : n == 2 ? "v2_" : "";
}

/* One access of up to four elements into registers d[]. */
static void load_emit(struct parser *p, const struct place *at, unsigned bytes, unsigned n,
                      const uint32_t *d, int64_t delta)
{
    if (!at->family) {
        for (unsigned e = 0; e < n; e++) {
            struct insn *i = sc_emit(p, "ld_%s_%u", at->kparam ? "kparam" : "frame", bytes * 8);
            sc_def(i, 0, d[e]);
            i->imm = at->offset + delta + (int64_t)(e * bytes);
        }
        return;
    }
    struct insn *i = sc_emit(p, "ld_%s%s_%u", vector_name(n), at->family, bytes * 8);
    for (unsigned e = 0; e < n; e++)
        sc_def(i, e, d[e]);
    sc_use(i, 4, at->address);
    i->imm = at->offset + delta;
}

static void lower_ld(struct parser *p, struct stmt *s)
{
    bool wait = hints_take(s);
    enum space space = space_take(s);
    unsigned n = vector_take(s);
    cache_operand_drop(s, 2);
    enum ty ty = load_store_ty(p, s);
    sc_need(p, s, 2, 2);
    unsigned bytes = sc_ty[ty].bytes;
    struct place at;
    place_resolve(p, s, &s->op[1], space, (uint64_t)bytes * n, &at);
    uint32_t d[8];
    for (unsigned e = 0; e < n; e++) {
        const struct opnd *o = vector_element(p, s, &s->op[0], e, n);
        if (o->kind == OP_SINK || (o->kind == OP_REG && o->width > sc_ty[ty].width))
            d[e] = sc_temp(p, sc_ty[ty].width);
        else
            d[e] = sc_dst(p, s, o, ty);
    }
    for (unsigned e = 0; e < n; e += 4)
        load_emit(p, &at, bytes, n > 4 ? 4 : n, d + e, (int64_t)(e * bytes));
    for (unsigned e = 0; e < n; e++) {
        const struct opnd *o = vector_element(p, s, &s->op[0], e, n);
        if (o->kind != OP_REG || o->width <= sc_ty[ty].width)
            continue;
        uint32_t src = d[e] << 1;
        static const unsigned bits[WIDTHS] = {0, 8, 16, 32, 64};
        sc_alu(p, o->vreg, 1, &src, "cvt_u%u_%c%u", bits[o->width],
               sc_ty[ty].kind == 's' ? 's' : 'u', bytes * 8);
    }
    if (wait)
        sc_emit(p, "poll");
}

static void lower_st(struct parser *p, struct stmt *s)
{
    hints_take(s);
    enum space space = space_take(s);
    unsigned n = vector_take(s);
    cache_operand_drop(s, 2);
    enum ty ty = load_store_ty(p, s);
    sc_need(p, s, 2, 2);
    unsigned bytes = sc_ty[ty].bytes;
    struct place at;
    place_resolve(p, s, &s->op[0], space, (uint64_t)bytes * n, &at);
    if (at.kparam)
        sc_fail(p, SC_ERR_SYNTAX, s->line, "a kernel's parameters cannot be written");
    uint32_t v[8];
    for (unsigned e = 0; e < n; e++) {
        enum width w;
        v[e] = sc_src_wide(p, s, vector_element(p, s, &s->op[1], e, n), ty, &w);
        v[e] = sc_widen(p, v[e], w, sc_ty[ty].width, false);
    }
    if (!at.family) {
        for (unsigned e = 0; e < n; e++) {
            struct insn *i = sc_emit(p, "st_frame_%u", bytes * 8);
            sc_use(i, 0, v[e]);
            i->imm = at.offset + (int64_t)(e * bytes);
        }
        return;
    }
    for (unsigned e = 0; e < n; e += 4) {
        unsigned part = n > 4 ? 4 : n;
        struct insn *i = sc_emit(p, "st_%s%s_%u", vector_name(part), at.family, bytes * 8);
        for (unsigned k = 0; k < part; k++)
            sc_use(i, k, v[e + k]);
        sc_use(i, 4, at.address);
        i->imm = at.offset + (int64_t)(e * bytes);
    }
}

/* The generic address of shared memory. */
static uint32_t shared_address(struct parser *p, struct stmt *s, const struct opnd *o,
                               int64_t *offset)
{
    uint32_t a;
    if (o->base == OP_REG && (o->width == W32 || o->width == W64)) {
        a = sc_window_address(p, o->vreg << 1, o->width, *offset);
        *offset = 0;
    } else {
        a = address_widen(p, s, o, offset);
    }
    *offset += (int64_t)SC_SHARED_BASE;
    return a;
}

/* --- atomics ---------------------------------------------------------------------------------- */

static void lower_atomic(struct parser *p, struct stmt *s, bool result)
{
    static const char *const ops[] = {"add", "min", "max", "inc",  "dec",
                                      "and", "or",  "xor", "exch", "cas"};
    const char *op = NULL;
    hints_take(s);
    sc_take(s, "noftz");
    enum space space = space_take(s);
    for (size_t i = 0; i < XG_ARRAY_LEN(ops) && !op; i++)
        if (sc_take(s, ops[i]))
            op = ops[i];
    if (!op)
        sc_unsupported(p, s, "operation");
    if (space == PARAM || space == LOCAL)
        sc_unsupported(p, s, "state space");
    enum ty ty = sc_take_ty(p, s);
    bool cas = !strcmp(op, "cas");
    unsigned n = (cas ? 3 : 2) + result;
    cache_operand_drop(s, n);
    sc_need(p, s, n, n);
    const struct opnd *mem = &s->op[result];
    if (mem->kind != OP_MEM)
        sc_fail(p, SC_ERR_SYNTAX, s->line, "address in [] expected");
    int64_t offset = mem->offset;
    uint32_t address =
        space == SHARED ? shared_address(p, s, mem, &offset) : address_widen(p, s, mem, &offset);
    uint32_t b = sc_src(p, s, &s->op[result + 1], ty);
    uint32_t c = cas ? sc_src(p, s, &s->op[result + 2], ty) : 0;
    uint32_t d = result ? sc_dst(p, s, &s->op[0], ty) : sc_temp(p, sc_ty[ty].width);
    const char *suffix = sc_ty[ty].suffix;
    if (*suffix == 's' && strcmp(op, "min") && strcmp(op, "max"))
        suffix = ty == TY_S32 ? "u32" : "u64";
    struct insn *i = sc_emit(p, "atom_%s_%s", op, suffix);
    sc_def(i, 0, d);
    sc_use(i, 1, b);
    if (cas)
        sc_use(i, 2, c);
    sc_use(i, 4, address);
    i->imm = offset;
    sc_emit(p, "poll");
}

static void lower_atom(struct parser *p, struct stmt *s)
{
    lower_atomic(p, s, true);
}

static void lower_red(struct parser *p, struct stmt *s)
{
    lower_atomic(p, s, false);
}

/* --- the rest --------------------------------------------------------------------------------- */

static void lower_prefetch(struct parser *p, struct stmt *s)
{
    for (unsigned i = 1; i < s->mods; i++)
        s->mod[i].used = true; /* a hint */
    (void)p;
}

static uint32_t full_address(struct parser *p, struct stmt *s, const struct opnd *o, bool shared)
{
    if (o->kind != OP_MEM)
        sc_fail(p, SC_ERR_SYNTAX, s->line, "address in [] expected");
    int64_t offset = o->offset;
    uint32_t a = shared ? shared_address(p, s, o, &offset) : address_widen(p, s, o, &offset);
    if (!offset)
        return a;
    uint32_t src[2] = {a, sc_konst(p, W64, (uint64_t)offset)}, d = sc_temp(p, W64);
    sc_alu(p, d, 2, src, "add_u64");
    return d << 1;
}

static void lower_cp(struct parser *p, struct stmt *s)
{
    if (!sc_take(s, "async"))
        sc_unsupported(p, s, "only cp.async");
    if (sc_take(s, "commit_group") || sc_take(s, "wait_group") || sc_take(s, "wait_all"))
        return; /* the copy is done when it is issued */
    if (sc_take(s, "mbarrier")) {
        /* All copies before it are done, so it arrives at once. Without .noinc it would first add
         * one to the pending count: together nothing. */
        bool noinc = sc_take(s, "noinc");
        if (!sc_take(s, "arrive") || sc_take_ty(p, s) != TY_B64)
            sc_unsupported(p, s, "form");
        bool to_shared = sc_take(s, "shared") || sc_take(s, "shared::cta");
        sc_need(p, s, 1, 1);
        if (!noinc)
            return;
        uint32_t a = full_address(p, s, &s->op[0], to_shared);
        struct insn *i = sc_emit(p, "mbarrier_arrive");
        sc_def(i, 0, sc_temp(p, W64));
        sc_use(i, 4, a);
        uint32_t one = sc_konst(p, W64, 1);
        sc_use(i, 1, one);
        return;
    }
    bool shared = sc_take(s, "shared") || sc_take(s, "shared::cta");
    if (!shared || !sc_take(s, "global"))
        sc_unsupported(p, s, "form");
    hints_take(s);
    bool hint = sc_take(s, "L2::cache_hint");
    sc_need(p, s, 3, 4u + hint);
    if (s->op[2].kind != OP_IMM ||
        (s->op[2].value != 4 && s->op[2].value != 8 && s->op[2].value != 16))
        sc_unsupported(p, s, "size");
    uint32_t dst = full_address(p, s, &s->op[0], true);
    uint32_t src = full_address(p, s, &s->op[1], false);
    bool sized = s->ops - hint == 4;
    uint32_t size = sized ? sc_src(p, s, &s->op[3], TY_U32) : sc_konst(p, W32, s->op[2].value);
    struct insn *i = sc_emit(p, "cp_async");
    sc_use(i, 1, dst);
    sc_use(i, 2, src);
    sc_use(i, 3, size);
    i->imm = (int64_t)s->op[2].value;
}

const struct lower_entry sc_lower_mem[] = {
    {"ld", lower_ld, GUARD_MASK},
    {"ldu", lower_ld, GUARD_MASK},
    {"st", lower_st, GUARD_MASK},
    {"atom", lower_atom, GUARD_MASK},
    {"red", lower_red, GUARD_MASK},
    {"prefetch", lower_prefetch, GUARD_MASK},
    {"prefetchu", lower_prefetch, GUARD_MASK},
    {"applypriority", lower_prefetch, GUARD_MASK},
    {"cp", lower_cp, GUARD_MASK},
    {NULL, NULL, GUARD_MASK},
};
