/* From statements to instructions: emission, operands, constants, guards. */
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "protocol/base.h"
#include "softcuda/ptx/parse.h"

void sc_unsupported(struct parser *p, struct stmt *s, const char *what)
{
    char text[120];
    size_t n = 0;
    for (unsigned i = 0; i < s->mods && n + 1 < sizeof(text); i++) {
        int k = snprintf(text + n, sizeof(text) - n, "%s%.*s", i ? "." : "",
                         s->mod[i].len > 40 ? 40 : (int)s->mod[i].len, s->mod[i].s);
        n += k > 0 ? (size_t)k : 0;
    }
    sc_fail(p, SC_ERR_UNSUPPORTED, s->line, "'%s': %s", text, what);
}

/* --- qualifiers ------------------------------------------------------------------------------- */

bool sc_take(struct stmt *s, const char *mod)
{
    size_t n = strlen(mod);
    for (unsigned i = 1; i < s->mods; i++)
        if (!s->mod[i].used && s->mod[i].len == n && !memcmp(s->mod[i].s, mod, n))
            return s->mod[i].used = true;
    return false;
}

enum ty sc_try_ty(struct stmt *s)
{
    for (unsigned i = 1; i < s->mods; i++) {
        if (s->mod[i].used)
            continue;
        enum ty ty = sc_ty_parse(s->mod[i].s, s->mod[i].len);
        if (ty) {
            s->mod[i].used = true;
            return ty;
        }
    }
    return TY_NONE;
}

enum ty sc_take_ty(struct parser *p, struct stmt *s)
{
    enum ty ty = sc_try_ty(s);
    if (!ty)
        sc_fail(p, SC_ERR_SYNTAX, s->line, "'%.*s' needs a type",
                s->mod[0].len > 40 ? 40 : (int)s->mod[0].len, s->mod[0].s);
    return ty;
}

char sc_take_round(struct stmt *s)
{
    static const char names[4][3] = {"rn", "rz", "rm", "rp"};
    for (int i = 0; i < 4; i++)
        if (sc_take(s, names[i]))
            return names[i][1];
    return 0;
}

bool sc_round_active(char mode)
{
    return mode == 'z' || mode == 'm' || mode == 'p';
}

void sc_round_begin(struct parser *p, char mode)
{
    if (sc_round_active(mode))
        sc_emit(p, "round")->imm = mode;
}

void sc_round_end(struct parser *p, char mode)
{
    if (sc_round_active(mode))
        sc_emit(p, "round")->imm = 'n';
}

void sc_need(struct parser *p, struct stmt *s, unsigned min, unsigned max)
{
    if (s->ops < min || s->ops > max)
        sc_fail(p, SC_ERR_SYNTAX, s->line, "'%.*s' has %u operands",
                s->mod[0].len > 40 ? 40 : (int)s->mod[0].len, s->mod[0].s, s->ops);
}

/* --- emission --------------------------------------------------------------------------------- */

static struct insn *op_emit(struct parser *p, unsigned op)
{
    p->code = sc_parse_grow(p, p->code, p->count, &p->cap, sizeof(*p->code), SC_MAX_INSNS);
    struct insn *i = &p->code[p->count++];
    memset(i, 0, sizeof(*i));
    i->op = (uint16_t)op;
    i->line = p->line;
    i->defs = INSN_HAZARD | (p->keeps ? INSN_KEEPS : 0);
    return i;
}

static unsigned op_find(struct parser *p, const char *fmt, va_list ap)
{
    char name[64];
    vsnprintf(name, sizeof(name), fmt, ap);
    unsigned op = sc_op_find(name);
    if (!op)
        sc_fail(p, SC_ERR_UNSUPPORTED, p->line, "instruction '%s'", name);
    return op;
}

struct insn *sc_emit(struct parser *p, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    unsigned op = op_find(p, fmt, ap);
    va_end(ap);
    return op_emit(p, op);
}

void sc_def(struct insn *i, unsigned slot, uint32_t vreg)
{
    i->o[slot] = vreg << 1;
    i->defs |= (uint8_t)(1u << slot);
}

void sc_use(struct insn *i, unsigned slot, uint32_t operand)
{
    i->o[slot] = operand;
    if (!(operand & 1))
        i->uses |= (uint8_t)(1u << slot);
}

struct insn *sc_alu(struct parser *p, uint32_t d, unsigned n, const uint32_t *src, const char *fmt,
                    ...)
{
    va_list ap;
    va_start(ap, fmt);
    unsigned op = op_find(p, fmt, ap);
    va_end(ap);
    struct insn *i = op_emit(p, op);
    i->defs &= (uint8_t)~INSN_HAZARD;
    sc_def(i, 0, d);
    for (unsigned k = 0; k < n; k++)
        sc_use(i, k + 1, src[k]);
    return i;
}

/* --- constants -------------------------------------------------------------------------------- */

static uint32_t const_room(struct parser *p, enum width w)
{
    uint32_t at = p->const_bytes;
    if (at > 16u << 20)
        sc_fail(p, SC_ERR_UNSUPPORTED, p->line, "too many constants in one function");
    p->const_bytes += w == W1 ? 64 : sc_width_bytes[w];
    return at;
}

static uint32_t konst_slot(struct parser *p, enum width w, uint64_t v)
{
    uint64_t h = (v + w * UINT64_C(0x9e3779b97f4a7c15)) * UINT64_C(0xbf58476d1ce4e5b9);
    uint32_t n = (uint32_t)(h >> 32) & p->konst_mask;
    while (p->konst[n].width && (p->konst[n].width != w + 1u || p->konst[n].value != v))
        n = (n + 1) & p->konst_mask;
    return n;
}

static void konst_grow(struct parser *p)
{
    struct konst *old = p->konst;
    uint32_t size = old ? p->konst_mask + 1 : 0, n = size ? size * 2 : 64;
    p->konst = calloc(n, sizeof(*old));
    if (!p->konst) {
        p->konst = old;
        sc_fail(p, SC_ERR_NO_MEMORY, p->line, "out of memory");
    }
    p->konst_mask = n - 1;
    for (uint32_t i = 0; i < size; i++)
        if (old[i].width)
            p->konst[konst_slot(p, old[i].width - 1, old[i].value)] = old[i];
    free(old);
}

uint32_t sc_konst(struct parser *p, enum width w, uint64_t v)
{
    static const uint64_t mask[WIDTHS] = {UINT32_MAX, 0xff, 0xffff, UINT32_MAX, UINT64_MAX, 0};
    v &= mask[w];
    if (!p->konst || p->konst_count * 2 > p->konst_mask)
        konst_grow(p);
    struct konst *k = &p->konst[konst_slot(p, w, v)];
    if (!k->width) {
        k->offset = const_room(p, w);
        k->value = v;
        k->width = w + 1;
        p->konst_count++;
    }
    return k->offset | 1;
}

static uint32_t konst_reloc(struct parser *p, enum reloc_kind kind, enum width w, uint32_t index,
                            int64_t addend)
{
    for (struct reloc *r = p->f->relocs; r; r = r->next) {
        if (r->kind == kind && r->index == index && r->addend == addend && r->wide == (w == W64))
            return (uint32_t)r->offset | 1;
        if (++p->reloc_steps > 64) /* only the newest ones, so that the time stays linear */
            break;
    }
    p->reloc_steps = 0;
    struct reloc *r = sc_parse_alloc(p, sizeof(*r));
    r->kind = kind;
    r->index = index;
    r->addend = addend;
    r->wide = w == W64;
    r->offset = const_room(p, w);
    r->next = p->f->relocs;
    p->f->relocs = r;
    return (uint32_t)r->offset | 1;
}

uint32_t sc_temp(struct parser *p, enum width w)
{
    return sc_vreg(p, w);
}

uint32_t sc_symbol_address(struct parser *p, const struct sym *s, int64_t offset, enum width w)
{
    static const char *const bits[WIDTHS] = {[W32] = "32", [W64] = "64"};
    if (w != W64 && w != W32)
        sc_fail(p, SC_ERR_SYNTAX, p->line, "an address needs 32 or 64 bits");
    if (w == W32 && s->kind != SYM_SHARED && s->kind != SYM_DYNSHARED) {
        uint32_t wide = sc_symbol_address(p, s, offset, W64), d = sc_temp(p, W32);
        sc_alu(p, d, 1, &wide, "cvt_u32_u64");
        return d << 1;
    }
    uint32_t d;
    switch (s->kind) {
    case SYM_GLOBAL: return konst_reloc(p, RELOC_VAR, w, s->index, offset);
    case SYM_SHARED:
        sc_ref_add(p, &p->f->shared, s->index);
        return konst_reloc(p, RELOC_SHARED, w, s->index, offset);
    case SYM_FUNC:
        p->m->funcs[s->index]->address_taken = true;
        return konst_reloc(p, RELOC_FUNC, w, s->index, offset);
    case SYM_KPARAM: return sc_konst(p, W64, SC_PARAM_BASE + s->offset + (uint64_t)offset);
    case SYM_DYNSHARED: {
        struct insn *i = sc_emit(p, "sreg_%s", bits[w]);
        sc_def(i, 0, d = sc_temp(p, w));
        i->imm = SREG_DYNSHARED;
        if (offset) {
            uint32_t src[2] = {d << 1, sc_konst(p, w, (uint64_t)offset)};
            sc_alu(p, d, 2, src, "add_u%s", bits[w]);
        }
        return d << 1;
    }
    case SYM_FRAME: {
        struct insn *i = sc_emit(p, "frame_addr");
        sc_def(i, 0, d = sc_temp(p, W64));
        i->imm = (int64_t)s->offset + offset;
        return d << 1;
    }
    default: break;
    }
    sc_fail(p, SC_ERR_SYNTAX, p->line, "'%.*s' has no address", sc_shown(s->len), s->name);
}

/* --- operands --------------------------------------------------------------------------------- */

static uint64_t literal_bits(struct parser *p, const struct opnd *o, enum ty ty)
{
    const struct ty_info *t = &sc_ty[ty];
    double d;
    float f;
    uint32_t bits;
    if (t->kind == 'f' && t->bytes < 4 && o->kind != OP_IMM)
        sc_fail(p, SC_ERR_UNSUPPORTED, p->line, "literal of type %s", t->name);
    if (o->kind == OP_F64) {
        if (t->bytes == 8)
            return o->value;
        memcpy(&d, &o->value, 8);
        f = (float)d;
        memcpy(&bits, &f, 4);
        return bits;
    }
    if (o->kind == OP_F32) {
        if (t->bytes != 8)
            return o->value;
        bits = (uint32_t)o->value;
        memcpy(&f, &bits, 4);
        d = f;
    } else if (ty == TY_F32) {
        f = (float)(int64_t)o->value;
        memcpy(&bits, &f, 4);
        return bits;
    } else if (ty == TY_F64) {
        d = (double)(int64_t)o->value;
    } else {
        return o->value;
    }
    uint64_t v;
    memcpy(&v, &d, 8);
    return v;
}

uint32_t sc_widen(struct parser *p, uint32_t src, enum width from, enum width to, bool sign)
{
    static const char *const u[WIDTHS] = {[W8] = "u8", [W16] = "u16", [W32] = "u32", [W64] = "u64"};
    static const char *const g[WIDTHS] = {[W8] = "s8", [W16] = "s16", [W32] = "s32", [W64] = "s64"};
    if (from == to)
        return src;
    uint32_t d = sc_temp(p, to);
    sc_alu(p, d, 1, &src, "cvt_%s_%s", u[to], sign && from < to ? g[from] : u[from]);
    return d << 1;
}

uint32_t sc_src_wide(struct parser *p, struct stmt *s, const struct opnd *o, enum ty ty,
                     enum width *w)
{
    enum width want = sc_ty[ty].width;
    *w = want;
    switch (o->kind) {
    case OP_REG:
        *w = o->width;
        if (o->negated) {
            if (o->width != W1)
                sc_fail(p, SC_ERR_SYNTAX, s->line, "'!' needs a predicate");
            uint32_t src = o->vreg << 1, d = sc_temp(p, W1);
            sc_alu(p, d, 1, &src, "not_pred");
            return d << 1;
        }
        if ((o->width == W1) != (want == W1) || o->width < want)
            sc_fail(p, SC_ERR_SYNTAX, s->line, "register '%.*s' does not fit type .%s",
                    sc_shown(o->len), o->name, sc_ty[ty].name);
        return o->vreg << 1;
    case OP_IMM:
        if (ty == TY_PRED)
            return sc_konst(p, W1, o->value ? UINT32_MAX : 0);
        /* fall through */
    case OP_F32:
    case OP_F64:
        if (ty == TY_PRED)
            sc_fail(p, SC_ERR_SYNTAX, s->line, "predicate expected");
        return sc_konst(p, want, literal_bits(p, o, ty));
    case OP_SREG: {
        uint32_t v = sc_sreg_read(p, o->vreg, w);
        if (want == W1)
            sc_fail(p, SC_ERR_SYNTAX, s->line, "predicate expected");
        v = sc_widen(p, v, *w, want, false);
        *w = want;
        return v;
    }
    case OP_SYM: return sc_symbol_address(p, o->sym, o->offset, want);
    case OP_NAME:
        sc_fail(p, SC_ERR_SYNTAX, s->line, "unknown name '%.*s'", sc_shown(o->len), o->name);
    default: sc_fail(p, SC_ERR_SYNTAX, s->line, "unexpected kind of operand");
    }
}

uint32_t sc_src(struct parser *p, struct stmt *s, const struct opnd *o, enum ty ty)
{
    enum width w;
    uint32_t v = sc_src_wide(p, s, o, ty, &w);
    if (w != sc_ty[ty].width)
        sc_fail(p, SC_ERR_SYNTAX, s->line, "register '%.*s' does not fit type .%s",
                sc_shown(o->len), o->name, sc_ty[ty].name);
    return v;
}

uint32_t sc_dst(struct parser *p, struct stmt *s, const struct opnd *o, enum ty ty)
{
    if (o->kind == OP_SINK)
        return sc_temp(p, sc_ty[ty].width);
    if (o->kind != OP_REG || o->negated)
        sc_fail(p, SC_ERR_SYNTAX, s->line, "destination must be a register");
    if (o->width != sc_ty[ty].width)
        sc_fail(p, SC_ERR_SYNTAX, s->line, "register '%.*s' does not fit type .%s",
                sc_shown(o->len), o->name, sc_ty[ty].name);
    return o->vreg;
}

/* --- special registers ------------------------------------------------------------------------ */

static const struct {
    const char *name;
    uint8_t number, width;
} sregs[] = {
    {"%tid.x", SREG_TID_X, W32},
    {"%tid.y", SREG_TID_Y, W32},
    {"%tid.z", SREG_TID_Z, W32},
    {"%ntid.x", SREG_NTID_X, W32},
    {"%ntid.y", SREG_NTID_Y, W32},
    {"%ntid.z", SREG_NTID_Z, W32},
    {"%ctaid.x", SREG_CTAID_X, W32},
    {"%ctaid.y", SREG_CTAID_Y, W32},
    {"%ctaid.z", SREG_CTAID_Z, W32},
    {"%nctaid.x", SREG_NCTAID_X, W32},
    {"%nctaid.y", SREG_NCTAID_Y, W32},
    {"%nctaid.z", SREG_NCTAID_Z, W32},
    {"%laneid", SREG_LANEID, W32},
    {"%warpid", SREG_WARPID, W32},
    {"%nwarpid", SREG_NWARPID, W32},
    {"%smid", SREG_SMID, W32},
    {"%nsmid", SREG_NSMID, W32},
    {"%gridid", SREG_GRIDID, W64},
    {"%lanemask_eq", SREG_LANEMASK_EQ, W32},
    {"%lanemask_le", SREG_LANEMASK_LE, W32},
    {"%lanemask_lt", SREG_LANEMASK_LT, W32},
    {"%lanemask_ge", SREG_LANEMASK_GE, W32},
    {"%lanemask_gt", SREG_LANEMASK_GT, W32},
    {"%clock", SREG_CLOCK, W32},
    {"%clock_hi", SREG_CLOCK_HI, W32},
    {"%clock64", SREG_CLOCK64, W64},
    {"%globaltimer", SREG_TIMER, W64},
    {"%globaltimer_lo", SREG_TIMER_LO, W32},
    {"%globaltimer_hi", SREG_TIMER_HI, W32},
    {"%dynamic_smem_size", SREG_DYNSHARED_SIZE, W32},
    {"%total_smem_size", SREG_SHARED_SIZE, W32},
    {"%aggr_smem_size", SREG_SHARED_SIZE, W32},
    {"%reserved_smem_offset_begin", SREG_RESERVED_BEGIN, W32},
    {"%reserved_smem_offset_end", SREG_RESERVED_END, W32},
    {"%reserved_smem_offset_cap", SREG_RESERVED_CAP, W32},
    {"%reserved_smem_offset_0", SREG_RESERVED_BEGIN, W32},
    {"%reserved_smem_offset_1", SREG_RESERVED_1, W32},
    {"%envreg1", SREG_ENV1, W32},
    {"%envreg2", SREG_ENV2, W32},
    {"%tid.w", SREG_ZERO, W32},
    {"%ctaid.w", SREG_ZERO, W32},
    {"%ntid.w", SREG_ONE, W32},
    {"%nctaid.w", SREG_ONE, W32},
    /* Every block is a cluster of its own. */
    {"%is_explicit_cluster", SREG_ZERO, W32},
    {"%clusterid.x", SREG_CTAID_X, W32},
    {"%clusterid.y", SREG_CTAID_Y, W32},
    {"%clusterid.z", SREG_CTAID_Z, W32},
    {"%nclusterid.x", SREG_NCTAID_X, W32},
    {"%nclusterid.y", SREG_NCTAID_Y, W32},
    {"%nclusterid.z", SREG_NCTAID_Z, W32},
    {"%cluster_ctaid.x", SREG_ZERO, W32},
    {"%cluster_ctaid.y", SREG_ZERO, W32},
    {"%cluster_ctaid.z", SREG_ZERO, W32},
    {"%cluster_nctaid.x", SREG_ONE, W32},
    {"%cluster_nctaid.y", SREG_ONE, W32},
    {"%cluster_nctaid.z", SREG_ONE, W32},
    {"%cluster_ctarank", SREG_ZERO, W32},
    {"%cluster_nctarank", SREG_ONE, W32},
};

int sc_sreg_find(const char *name, size_t len)
{
    /* %envreg1 and 2 are the address of a cooperative launch's workspace; the others are zero. */
    if (len > 7 && !memcmp(name, "%envreg", 7) && (len > 8 || (name[7] != '1' && name[7] != '2')))
        return sc_sreg_find("%tid.w", 6);
    for (size_t i = 0; i < XG_ARRAY_LEN(sregs); i++)
        if (strlen(sregs[i].name) == len && !memcmp(sregs[i].name, name, len))
            return (int)i;
    return -1;
}

uint32_t sc_sreg_read(struct parser *p, uint32_t number, enum width *w)
{
    *w = sregs[number].width;
    if (sregs[number].number >= SREG_RESERVED_BEGIN && sregs[number].number <= SREG_RESERVED_1)
        p->m->reserved_shared = true;
    uint32_t d = sc_temp(p, *w);
    struct insn *i = sc_emit(p, sregs[number].number <= SREG_LANEMASK_GT ? "sreg_lanes"
                                : *w == W64                              ? "sreg_64"
                                                                         : "sreg_32");
    sc_def(i, 0, d);
    i->imm = sregs[number].number;
    return d << 1;
}

/* --- statements ------------------------------------------------------------------------------- */

enum { TABLE = 512 };
static const struct lower_entry *table[TABLE];

static uint32_t table_index(const char *mnemonic, size_t len)
{
    uint32_t h = sc_name_hash(mnemonic, len);
    return (h ^ h >> 15) & (TABLE - 1);
}

static void table_init(void)
{
    static const struct lower_entry *const lists[] = {sc_lower_alu, sc_lower_cmp,  sc_lower_cvt,
                                                      sc_lower_mem, sc_lower_sync, sc_lower_ctl};
    for (size_t l = 0; l < XG_ARRAY_LEN(lists); l++)
        for (const struct lower_entry *e = lists[l]; e->name; e++) {
            uint32_t n = table_index(e->name, strlen(e->name));
            while (table[n])
                n = (n + 1) & (TABLE - 1);
            table[n] = e;
        }
}

const struct lower_entry *sc_lower_find(const char *s, size_t len)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, table_init);
    for (uint32_t n = table_index(s, len); table[n]; n = (n + 1) & (TABLE - 1))
        if (strlen(table[n]->name) == len && !memcmp(table[n]->name, s, len))
            return table[n];
    return NULL;
}

static void mods_check(struct parser *p, struct stmt *s)
{
    for (unsigned i = 1; i < s->mods; i++)
        if (!s->mod[i].used) {
            char what[64];
            snprintf(what, sizeof(what), "qualifier '.%.*s'",
                     s->mod[i].len > 40 ? 40 : (int)s->mod[i].len, s->mod[i].s);
            sc_unsupported(p, s, what);
        }
}

static struct insn *branch_emit(struct parser *p, struct stmt *s, bool inverted)
{
    struct insn *i = sc_emit(p, s->guard_not != inverted ? "bra_not" : "bra_if");
    sc_use(i, 1, s->guard);
    return i;
}

void sc_lower_stmt(struct parser *p, struct stmt *s, const struct lower_entry *e)
{
    if (!s->guarded || e->guard == GUARD_OWN) {
        e->fn(p, s);
    } else if (e->guard == GUARD_AROUND) {
        uint32_t at = p->count;
        branch_emit(p, s, true);
        e->fn(p, s);
        p->code[at].target = p->count;
        sc_emit(p, "label")->uses |= INSN_LEADER;
    } else {
        uint32_t at = p->count;
        struct insn *i = sc_emit(p, s->guard_not ? "guard_not" : "guard_if");
        sc_use(i, 1, s->guard);
        p->keeps = true;
        e->fn(p, s);
        p->keeps = false;
        sc_emit(p, "unguard");
        p->code[at].target = p->count;
        /* For liveness this target is not a branch: registers that the guard skips keep their old
         * values. */
    }
    mods_check(p, s);
}
