/* Comparisons, selection and moves. */
#include <stdio.h>
#include <string.h>
#include "protocol/base.h"
#include "softcuda/ptx/parse.h"

static const char *const compares[] = {"eq",  "ne",  "lt",  "le",  "gt",  "ge", "equ", "neu", "ltu",
                                       "leu", "gtu", "geu", "num", "nan", "lo", "ls",  "hi",  "hs"};

static const char *compare_take(struct parser *p, struct stmt *s)
{
    for (size_t i = 0; i < XG_ARRAY_LEN(compares); i++)
        if (sc_take(s, compares[i])) {
            static const char *const plain[] = {"lt", "le", "gt", "ge"};
            return i >= 14 ? plain[i - 14] : compares[i];
        }
    sc_unsupported(p, s, "no comparison");
}

static uint32_t compare_emit(struct parser *p, const char *cmp, enum ty ty, uint32_t a, uint32_t b,
                             bool ftz)
{
    uint32_t src[2] = {a, b}, d = sc_temp(p, ty == TY_F16X2 || ty == TY_BF16X2 ? W32 : W1);
    if (ftz && ty == TY_F32)
        for (int i = 0; i < 2; i++) {
            uint32_t t = sc_temp(p, W32);
            sc_alu(p, t, 1, &src[i], "ftz_f32");
            src[i] = t << 1;
        }
    const char *suffix = sc_ty[ty].suffix;
    if (sc_ty[ty].kind == 'b' && strcmp(cmp, "eq") && strcmp(cmp, "ne"))
        sc_fail(p, SC_ERR_SYNTAX, p->line, "only .eq and .ne compare bits");
    sc_alu(p, d, 2, src, "setp_%s_%s", cmp, suffix);
    return d;
}

static const char *bool_take(struct stmt *s)
{
    return sc_take(s, "and") ? "and" : sc_take(s, "or") ? "or" : sc_take(s, "xor") ? "xor" : NULL;
}

/* d = t op c, or with `invert` (for the q of p|q) d = !t op c; `op` NULL: no c. */
static void predicate_combine(struct parser *p, uint32_t d, uint32_t t, bool invert, const char *op,
                              uint32_t c)
{
    uint32_t src[2] = {t << 1, c};
    if (invert) {
        uint32_t n = op ? sc_temp(p, W1) : d;
        sc_alu(p, n, 1, src, "not_pred");
        src[0] = n << 1;
        if (!op)
            return;
    }
    if (op)
        sc_alu(p, d, 2, src, "%s_pred", op);
    else
        sc_alu(p, d, 1, src, "mov_pred");
}

/* A comparison of f16x2 puts the result of the lower halves into p, of the upper ones into q. */
static void setp_halves(struct parser *p, struct stmt *s, const char *cmp, const char *op,
                        enum ty ty, uint32_t c)
{
    enum ty half = ty == TY_F16X2 ? TY_F16 : TY_BF16;
    uint32_t a = sc_src(p, s, &s->op[1], TY_B32), b = sc_src(p, s, &s->op[2], TY_B32);
    const struct opnd *out[2] = {&s->op[0], s->pair.kind ? &s->pair : NULL};
    for (int h = 0; h < 2 && out[h]; h++) {
        uint32_t part[2], v[2] = {a, b};
        for (int i = 0; i < 2; i++) {
            uint32_t t = sc_temp(p, W16);
            sc_alu(p, t, 1, &v[i], h ? "high_u16_u32" : "cvt_u16_u32");
            part[i] = t << 1;
        }
        uint32_t r = compare_emit(p, cmp, half, part[0], part[1], false);
        predicate_combine(p, sc_dst(p, s, out[h], TY_PRED), r, false, op, c);
    }
}

static void lower_setp(struct parser *p, struct stmt *s)
{
    const char *cmp = compare_take(p, s), *op = bool_take(s);
    bool ftz = sc_take(s, "ftz");
    enum ty ty = sc_take_ty(p, s);
    sc_need(p, s, op ? 4 : 3, op ? 4 : 3);
    uint32_t c = op ? sc_src(p, s, &s->op[3], TY_PRED) : 0;
    if (ty == TY_F16X2 || ty == TY_BF16X2) {
        setp_halves(p, s, cmp, op, ty, c);
        return;
    }
    uint32_t a = sc_src(p, s, &s->op[1], ty), b = sc_src(p, s, &s->op[2], ty);
    uint32_t t = compare_emit(p, cmp, ty, a, b, ftz);
    uint32_t d = sc_dst(p, s, &s->op[0], TY_PRED);
    if (!op && !s->pair.kind) {
        struct insn *i = &p->code[p->count - 1];
        sc_def(i, 0, d); /* no need for the temporary */
        return;
    }
    if (s->pair.kind && s->pair.kind != OP_SINK)
        predicate_combine(p, sc_dst(p, s, &s->pair, TY_PRED), t, true, op, c);
    predicate_combine(p, d, t, false, op, c);
}

static void lower_set(struct parser *p, struct stmt *s)
{
    const char *cmp = compare_take(p, s), *op = bool_take(s);
    bool ftz = sc_take(s, "ftz");
    enum ty dty = sc_take_ty(p, s), ty = sc_take_ty(p, s);
    sc_need(p, s, op ? 4 : 3, op ? 4 : 3);
    if (ty == TY_F16X2 || ty == TY_BF16X2 || sc_ty[dty].width == W64 || sc_ty[dty].width == W8)
        sc_unsupported(p, s, "type");
    uint32_t c = op ? sc_src(p, s, &s->op[3], TY_PRED) : 0;
    uint32_t a = sc_src(p, s, &s->op[1], ty), b = sc_src(p, s, &s->op[2], ty);
    uint32_t t = compare_emit(p, cmp, ty, a, b, ftz);
    if (op) {
        uint32_t r = sc_temp(p, W1);
        predicate_combine(p, r, t, false, op, c);
        t = r;
    }
    uint64_t one = dty == TY_F32    ? 0x3f800000
                   : dty == TY_F16  ? 0x3c00
                   : dty == TY_BF16 ? 0x3f80
                                    : -1;
    enum width w = sc_ty[dty].width;
    uint32_t src[3] = {sc_konst(p, w, one), sc_konst(p, w, 0), t << 1};
    sc_alu(p, sc_dst(p, s, &s->op[0], dty), 3, src, "selp_u%s", w == W16 ? "16" : "32");
}

static void lower_selp(struct parser *p, struct stmt *s)
{
    static const char *const bits[WIDTHS] = {[W16] = "16", [W32] = "32", [W64] = "64"};
    enum ty ty = sc_take_ty(p, s);
    sc_need(p, s, 4, 4);
    if (!bits[sc_ty[ty].width] || ty == TY_B128)
        sc_unsupported(p, s, "type");
    uint32_t src[3] = {sc_src(p, s, &s->op[1], ty), sc_src(p, s, &s->op[2], ty),
                       sc_src(p, s, &s->op[3], TY_PRED)};
    sc_alu(p, sc_dst(p, s, &s->op[0], ty), 3, src, "selp_u%s", bits[sc_ty[ty].width]);
}

static void lower_slct(struct parser *p, struct stmt *s)
{
    static const char *const bits[WIDTHS] = {[W16] = "16", [W32] = "32", [W64] = "64"};
    bool ftz = sc_take(s, "ftz");
    enum ty ty = sc_take_ty(p, s), cty = sc_take_ty(p, s);
    sc_need(p, s, 4, 4);
    if (!bits[sc_ty[ty].width] || ty == TY_B128 || (cty != TY_F32 && cty != TY_S32))
        sc_unsupported(p, s, "type");
    uint32_t c = sc_src(p, s, &s->op[3], cty);
    uint32_t t = compare_emit(p, "ge", cty, c, sc_konst(p, W32, 0), ftz);
    uint32_t src[3] = {sc_src(p, s, &s->op[1], ty), sc_src(p, s, &s->op[2], ty), t << 1};
    sc_alu(p, sc_dst(p, s, &s->op[0], ty), 3, src, "selp_u%s", bits[sc_ty[ty].width]);
}

/* --- mov -------------------------------------------------------------------------------------- */

static enum ty part_ty(struct parser *p, struct stmt *s, enum ty ty, unsigned n)
{
    unsigned bytes = sc_ty[ty].bytes / n;
    if (bytes * n != sc_ty[ty].bytes || ty == TY_B128)
        sc_unsupported(p, s, "vector");
    switch (bytes) {
    case 1: return TY_B8;
    case 2: return TY_B16;
    case 4: return TY_B32;
    default: sc_unsupported(p, s, "vector");
    }
}

static const char *const width_suffix[WIDTHS] = {"pred", "u8", "u16", "u32", "u64"};

static void mov_pack(struct parser *p, struct stmt *s, enum ty ty)
{
    const struct opnd *v = &s->op[1];
    enum ty part = part_ty(p, s, ty, v->n);
    uint32_t src[4] = {0}, d = sc_dst(p, s, &s->op[0], ty);
    if (v->n > 4)
        sc_unsupported(p, s, "vector");
    for (unsigned i = 0; i < v->n; i++)
        src[i] = sc_src(p, s, &s->vec[v->first + i], part);
    struct insn *i = sc_alu(p, d, v->n, src, "pack%s_%s_%s", v->n == 4 ? "4" : "",
                            width_suffix[sc_ty[ty].width], width_suffix[sc_ty[part].width]);
    i->defs |= INSN_HAZARD;
}

static void mov_unpack(struct parser *p, struct stmt *s, enum ty ty)
{
    const struct opnd *v = &s->op[0];
    enum ty part = part_ty(p, s, ty, v->n);
    uint32_t src = sc_src(p, s, &s->op[1], ty);
    for (unsigned n = 0; n < v->n; n++) {
        if (s->vec[v->first + n].kind == OP_SINK)
            continue;
        uint32_t d = sc_dst(p, s, &s->vec[v->first + n], part);
        sc_alu(p, d, 1, &src, "part_%s_%s", width_suffix[sc_ty[part].width],
               width_suffix[sc_ty[ty].width])
            ->imm = n;
    }
}

static void lower_mov(struct parser *p, struct stmt *s)
{
    bool vector = sc_take(s, "v2") || sc_take(s, "v4");
    enum ty ty = sc_take_ty(p, s);
    sc_need(p, s, 2, 2);
    if (vector || ty == TY_B128)
        sc_unsupported(p, s, "vector type");
    if (s->op[0].kind == OP_VEC && s->op[1].kind != OP_VEC) {
        mov_unpack(p, s, ty);
        return;
    }
    if (s->op[1].kind == OP_VEC) {
        mov_pack(p, s, ty);
        return;
    }
    uint32_t d = sc_dst(p, s, &s->op[0], ty);
    uint32_t before = p->count, src = sc_src(p, s, &s->op[1], ty);
    struct insn *last = p->count ? &p->code[p->count - 1] : NULL;
    /* The operand was just made in a temporary (special register, address): make it in place. */
    if (p->count > before && last->defs & 1 && !(src & 1) && last->o[0] == src &&
        s->op[1].kind != OP_REG)
        sc_def(last, 0, d);
    else
        sc_alu(p, d, 1, &src, "mov_%s", width_suffix[sc_ty[ty].width]);
}

const struct lower_entry sc_lower_cmp[] = {
    {"setp", lower_setp, GUARD_MASK}, {"set", lower_set, GUARD_MASK},
    {"selp", lower_selp, GUARD_MASK}, {"slct", lower_slct, GUARD_MASK},
    {"mov", lower_mov, GUARD_MASK},   {NULL, NULL, GUARD_MASK},
};
