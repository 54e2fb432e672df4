/* cvt, cvta, isspacep. */
#include <stdio.h>
#include <string.h>
#include "protocol/base.h"
#include "softcuda/ptx/parse.h"

static uint32_t step_emit(struct parser *p, enum width w, uint32_t src, const char *name)
{
    uint32_t d = sc_temp(p, w);
    sc_alu(p, d, 1, &src, "%s", name);
    return d << 1;
}

/* The operand in the width of its type: of a wider register the low part. */
static uint32_t source_narrow(struct parser *p, struct stmt *s, enum ty from)
{
    enum width w;
    uint32_t v = sc_src_wide(p, s, &s->op[1], from, &w);
    return sc_widen(p, v, w, sc_ty[from].width, false);
}

/* Stores the result. A wider register gets it extended, with zeros or the sign by its type. */
static void result_store(struct parser *p, struct stmt *s, uint32_t v, enum ty to)
{
    const struct opnd *o = &s->op[0];
    static const char *const bits[WIDTHS] = {[W8] = "8", [W16] = "16", [W32] = "32", [W64] = "64"};
    if (o->kind == OP_SINK)
        return;
    if (o->kind != OP_REG || o->negated || o->width < sc_ty[to].width)
        sc_fail(p, SC_ERR_SYNTAX, s->line, "destination of cvt does not fit");
    char from = sc_ty[to].kind == 's' && o->width > sc_ty[to].width ? 's' : 'u';
    if (o->width == sc_ty[to].width)
        sc_alu(p, o->vreg, 1, &v, "mov_u%s", bits[o->width]);
    else
        sc_alu(p, o->vreg, 1, &v, "cvt_u%s_%c%s", bits[o->width], from, bits[sc_ty[to].width]);
}

static bool ty_is_float(enum ty ty)
{
    return sc_ty[ty].kind == 'f';
}

/* cvt.rn.f16x2.f32 d, a, b: a becomes the upper half. */
static void pair_convert(struct parser *p, struct stmt *s, enum ty to, bool relu, char round)
{
    enum ty half = to == TY_F16X2 ? TY_F16 : TY_BF16;
    uint32_t part[2];
    sc_need(p, s, 3, 3);
    for (int i = 0; i < 2; i++) {
        uint32_t v = sc_src(p, s, &s->op[2 - i], TY_F32);
        part[i] = sc_temp(p, W16);
        sc_round_begin(p, round);
        sc_alu(p, part[i], 1, &v, "cvt_%s_f32%s", sc_ty[half].suffix, round == 'z' ? "_rz" : "");
        sc_round_end(p, round);
        part[i] <<= 1;
        if (relu)
            sc_alu(p, part[i] >> 1, 1, &part[i], "relu_%s", sc_ty[half].suffix);
    }
    struct insn *i = sc_alu(p, sc_dst(p, s, &s->op[0], to), 2, part, "pack_u32_u16");
    i->defs |= INSN_HAZARD;
}

static char int_round_take(struct stmt *s)
{
    static const char names[4][4] = {"rni", "rzi", "rmi", "rpi"};
    for (int i = 0; i < 4; i++)
        if (sc_take(s, names[i]))
            return names[i][1];
    return 0;
}

/* From one type to another one. */
static uint32_t types_convert(struct parser *p, uint32_t v, enum ty from, enum ty to, char round,
                              bool sat)
{
    char name[48];
    bool half_to = to == TY_F16 || to == TY_BF16;
    const char *rz = half_to && round == 'z' ? "_rz" : "";
    if (half_to && from != TY_F32 && from != TY_F64) { /* by way of f64: exact up to 53 bits */
        snprintf(name, sizeof(name), "cvt_f64_%s", sc_ty[from].suffix);
        v = step_emit(p, W64, v, name);
        from = TY_F64;
    }
    bool isat = sat && !ty_is_float(to) && !ty_is_float(from);
    snprintf(name, sizeof(name), "cvt_%s_%s%s%s", sc_ty[to].suffix, sc_ty[from].suffix, rz,
             isat ? "_sat" : "");
    sc_round_begin(p, round);
    v = step_emit(p, sc_ty[to].width, v, name);
    sc_round_end(p, round);
    return v;
}

static void lower_cvt(struct parser *p, struct stmt *s)
{
    char to_int = int_round_take(s), round = sc_take_round(s);
    bool rna = sc_take(s, "rna");
    bool ftz = sc_take(s, "ftz"), sat = sc_take(s, "sat"), relu = sc_take(s, "relu");
    enum ty to = sc_take_ty(p, s), from = sc_take_ty(p, s);
    char name[48];
    if (rna || sc_ty[to].kind == 'b' || sc_ty[from].kind == 'b' || sc_ty[to].kind == 'p')
        sc_unsupported(p, s, "type");
    if (to == TY_F16X2 || to == TY_BF16X2) {
        if (from != TY_F32)
            sc_unsupported(p, s, "type");
        pair_convert(p, s, to, relu, round);
        return;
    }
    sc_need(p, s, 2, 2);
    uint32_t v = source_narrow(p, s, from);
    if (ftz && from == TY_F32)
        v = step_emit(p, W32, v, "ftz_f32");
    /* f16 and bf16 are converted by way of f32, which has all their values. */
    bool half_from = from == TY_F16 || from == TY_BF16;
    if (half_from && to != TY_F32 && !(from == to && !to_int)) {
        snprintf(name, sizeof(name), "cvt_f32_%s", sc_ty[from].suffix);
        v = step_emit(p, W32, v, name);
        from = TY_F32;
    }
    if (ty_is_float(from) && (to_int || !ty_is_float(to))) {
        char mode = to_int ? to_int : round ? round : 'z';
        if (mode != 'z' || ty_is_float(to)) {
            snprintf(name, sizeof(name), "round_%c_%s", mode, sc_ty[from].suffix);
            v = step_emit(p, sc_ty[from].width, v, name);
        }
        round = 0;
    }
    if (from != to)
        v = types_convert(p, v, from, to, round, sat);
    if (ftz && to == TY_F32)
        v = step_emit(p, W32, v, "ftz_f32");
    if (sat && ty_is_float(to)) {
        snprintf(name, sizeof(name), "sat_%s", sc_ty[to].suffix);
        v = step_emit(p, sc_ty[to].width, v, name);
    }
    if (relu) {
        snprintf(name, sizeof(name), "relu_%s", sc_ty[to].suffix);
        v = step_emit(p, sc_ty[to].width, v, name);
    }
    struct insn *last = &p->code[p->count - 1];
    if (p->count && last->defs & 1 && !(v & 1) && last->o[0] == v && s->op[0].kind == OP_REG &&
        s->op[0].width == sc_ty[to].width && s->op[1].vreg << 1 != v && v >> 1 >= p->vregs - 2)
        sc_def(last, 0, sc_dst(p, s, &s->op[0], to)); /* made in a temporary: make it in place */
    else
        result_store(p, s, v, to);
}

static uint64_t space_base(struct parser *p, struct stmt *s)
{
    if (sc_take(s, "global") || sc_take(s, "const"))
        return 0;
    if (sc_take(s, "shared") || sc_take(s, "shared::cta") || sc_take(s, "shared::cluster"))
        return SC_SHARED_BASE;
    if (sc_take(s, "local"))
        return SC_LOCAL_BASE;
    if (sc_take(s, "param") || sc_take(s, "param::entry"))
        return SC_PARAM_BASE;
    sc_unsupported(p, s, "no state space");
}

static void lower_cvta(struct parser *p, struct stmt *s)
{
    bool to = sc_take(s, "to");
    uint64_t base = space_base(p, s);
    if (base == SC_PARAM_BASE)
        base = 0; /* the address of a parameter is a generic one already */
    enum ty ty = sc_take_ty(p, s);
    sc_need(p, s, 2, 2);
    if (ty != TY_U64)
        sc_unsupported(p, s, "addresses have 64 bits");
    uint32_t src[2] = {sc_src(p, s, &s->op[1], ty), 0}, d = sc_dst(p, s, &s->op[0], ty);
    if (!base) {
        sc_alu(p, d, 1, src, "mov_u64");
        return;
    }
    src[1] = sc_konst(p, W64, base);
    sc_alu(p, d, 2, src, to ? "sub_u64" : "add_u64");
}

static void lower_isspacep(struct parser *p, struct stmt *s)
{
    uint64_t base = space_base(p, s);
    sc_need(p, s, 2, 2);
    uint32_t a = sc_src(p, s, &s->op[1], TY_U64), d = sc_dst(p, s, &s->op[0], TY_PRED);
    sc_alu(p, d, 1, &a, "isspacep")->imm = (int64_t)(base >> SC_SPACE_SHIFT);
}

const struct lower_entry sc_lower_cvt[] = {
    {"cvt", lower_cvt, GUARD_MASK},
    {"cvta", lower_cvta, GUARD_MASK},
    {"isspacep", lower_isspacep, GUARD_MASK},
    {NULL, NULL, GUARD_MASK},
};
