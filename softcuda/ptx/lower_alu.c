/* Arithmetic and logic. */
#include <stdio.h>
#include <string.h>
#include "protocol/base.h"
#include "softcuda/ptx/parse.h"

static enum ty ty_widen(struct parser *p, struct stmt *s, enum ty ty)
{
    switch (ty) {
    case TY_U16: return TY_U32;
    case TY_S16: return TY_S32;
    case TY_U32: return TY_U64;
    case TY_S32: return TY_S64;
    default: sc_unsupported(p, s, "no .wide of this type");
    }
}

/* Subnormals become zero. */
static uint32_t value_flush(struct parser *p, uint32_t v)
{
    uint32_t d = sc_temp(p, W32);
    sc_alu(p, d, 1, &v, "ftz_f32");
    return d << 1;
}

/* Limits a register to 0 .. 1. */
static void value_saturate(struct parser *p, uint32_t d, enum ty ty)
{
    uint32_t v = d << 1;
    sc_alu(p, d, 1, &v, "sat_%s", sc_ty[ty].suffix);
}

/* The types of operands, the result's first: t the instruction's, w twice as wide, i u32. */
struct spec {
    const char *name, *sig;
};

static enum ty sig_ty(struct parser *p, struct stmt *s, char c, enum ty ty)
{
    return c == 't' ? ty : c == 'w' ? ty_widen(p, s, ty) : TY_U32;
}

static const struct spec specs[] = {
    {"add", "ttt"},      {"sub", "ttt"},    {"mul", "ttt"},   {"mad", "tttt"},  {"fma", "tttt"},
    {"div", "ttt"},      {"rem", "ttt"},    {"min", "ttt"},   {"max", "ttt"},   {"abs", "tt"},
    {"neg", "tt"},       {"and", "ttt"},    {"or", "ttt"},    {"xor", "ttt"},   {"not", "tt"},
    {"cnot", "tt"},      {"shl", "tti"},    {"shr", "tti"},   {"popc", "it"},   {"clz", "it"},
    {"brev", "tt"},      {"bfind", "it"},   {"bfe", "ttii"},  {"bfi", "tttii"}, {"sad", "tttt"},
    {"mul24", "ttt"},    {"mad24", "tttt"}, {"rcp", "tt"},    {"sqrt", "tt"},   {"rsqrt", "tt"},
    {"sin", "tt"},       {"cos", "tt"},     {"lg2", "tt"},    {"ex2", "tt"},    {"tanh", "tt"},
    {"copysign", "ttt"}, {"fns", "iiii"},   {"szext", "tti"}, {"bmsk", "iii"},
};

static const struct spec *spec_find(const struct stmt *s)
{
    for (size_t i = 0; i < XG_ARRAY_LEN(specs); i++)
        if (strlen(specs[i].name) == s->mod[0].len &&
            !memcmp(specs[i].name, s->mod[0].s, s->mod[0].len))
            return &specs[i];
    return NULL; /* not reached: the table of mnemonics names specs only */
}

/* Adds a qualifier to the handler's name. The names have them in the order of the calls. */
static void flag_add(struct stmt *s, char *name, size_t size, const char *mod)
{
    size_t n = strlen(name);
    if (sc_take(s, mod))
        snprintf(name + n, size - n, "_%s", mod);
}

static bool needs_round(const char *name)
{
    return !strcmp(name, "add") || !strcmp(name, "sub") || !strcmp(name, "mul") ||
           !strcmp(name, "mad") || !strcmp(name, "fma") || !strcmp(name, "div") ||
           !strcmp(name, "rcp") || !strcmp(name, "sqrt");
}

static uint32_t spec_emit(struct parser *p, struct stmt *s, const struct spec *spec, enum ty ty,
                          const char *sig, const char *name, bool ftz)
{
    uint32_t src[4];
    unsigned n = (unsigned)strlen(sig) - 1;
    char full[64];
    bool flush = false; /* the handler does not flush: instructions around it do */
    sc_need(p, s, n + 1, n + 1);
    snprintf(full, sizeof(full), "%s_%s%s", name, sc_ty[ty].suffix, ftz ? "_ftz" : "");
    if (ftz && !sc_op_find(full)) {
        flush = true;
        snprintf(full, sizeof(full), "%s_%s", name, sc_ty[ty].suffix);
    }
    for (unsigned i = 0; i < n; i++) {
        src[i] = sc_src(p, s, &s->op[i + 1], sig_ty(p, s, sig[i + 1], ty));
        if (flush)
            src[i] = value_flush(p, src[i]);
    }
    uint32_t d = sc_dst(p, s, &s->op[0], sig_ty(p, s, sig[0], ty));
    char round = sc_take_round(s);
    if (round && !needs_round(spec->name))
        sc_unsupported(p, s, "rounding mode");
    sc_round_begin(p, round);
    sc_alu(p, d, n, src, "%s", full);
    sc_round_end(p, round);
    if (flush) {
        uint32_t v = d << 1;
        sc_alu(p, d, 1, &v, "ftz_f32");
    }
    return d;
}

/* add.cc, addc and so on: CC.CF is one hidden predicate register of the function. */
static void lower_carry(struct parser *p, struct stmt *s, const char *op, bool in, bool out)
{
    bool sub = !strcmp(op, "sub"), mad = !strcmp(op, "mad");
    bool hi = mad && sc_take(s, "hi");
    if (mad && !hi && !sc_take(s, "lo"))
        sc_unsupported(p, s, "needs .lo or .hi");
    enum ty ty = sc_take_ty(p, s);
    enum width w = sc_ty[ty].width;
    if (w != W32 && w != W64)
        sc_unsupported(p, s, "type");
    sc_need(p, s, mad ? 4 : 3, mad ? 4 : 3);
    uint32_t a = sc_src(p, s, &s->op[1], ty), b = sc_src(p, s, &s->op[2], ty);
    if (mad) {
        uint32_t t = sc_temp(p, w), src[2] = {a, b};
        sc_alu(p, t, 2, src, "mul_%s_%s", hi ? "hi" : "lo", sc_ty[ty].suffix);
        a = t << 1;
        b = sc_src(p, s, &s->op[3], ty);
    }
    if (!p->carry)
        p->carry = sc_temp(p, W1) + 1;
    struct insn *i = sc_emit(p, "%s_carry_u%s", sub ? "sub" : "add", w == W64 ? "64" : "32");
    sc_def(i, 0, sc_dst(p, s, &s->op[0], ty));
    sc_def(i, 1, out ? p->carry - 1 : sc_temp(p, W1));
    sc_use(i, 2, a);
    sc_use(i, 3, b);
    i = &p->code[p->count - 1];
    uint32_t cin = in ? (p->carry - 1) << 1 : sc_konst(p, W1, 0);
    sc_use(i, 4, cin);
}

static void lower_spec(struct parser *p, struct stmt *s)
{
    const struct spec *spec = spec_find(s);
    if ((!strcmp(spec->name, "add") || !strcmp(spec->name, "sub") || !strcmp(spec->name, "mad")) &&
        sc_take(s, "cc")) {
        lower_carry(p, s, spec->name, false, true);
        return;
    }
    char name[48];
    const char *sig = spec->sig;
    snprintf(name, sizeof(name), "%s", spec->name);
    bool wide = sc_take(s, "wide");
    if (wide) {
        sig = *sig == 't' && strlen(sig) == 4 ? "wttw" : "wtt";
        strcat(name, "_wide");
    }
    static const char *const flags[] = {"lo",   "hi",       "NaN",   "xorsign",
                                        "relu", "shiftamt", "clamp", "wrap"};
    for (size_t i = 0; i < XG_ARRAY_LEN(flags); i++)
        flag_add(s, name, sizeof(name), flags[i]);
    bool approx = sc_take(s, "approx") || sc_take(s, "full");
    bool sat = sc_take(s, "sat"), ftz = sc_take(s, "ftz"), noftz = sc_take(s, "noftz");
    sc_take(s, "abs"); /* of .xorsign.abs */
    (void)noftz;
    enum ty ty = sc_take_ty(p, s), second = sc_try_ty(s);
    if (!strcmp(spec->name, "bfind") || !strcmp(spec->name, "fns") || !strcmp(spec->name, "bmsk"))
        second = TY_NONE;
    if (second)
        sc_unsupported(p, s, "mixed types");
    const struct ty_info *t = &sc_ty[ty];
    if (t->kind == 'f' && !strcmp(spec->name, "mad"))
        memcpy(name, "fma", 3);
    if (sat && t->kind != 'f') {
        strcat(name, "_sat");
        sat = false;
    }
    if (approx && ty == TY_F64 && (!strcmp(spec->name, "rcp") || !strcmp(spec->name, "rsqrt")))
        strcat(name, "_approx");
    /* f64 has no .ftz. Subnormals of f16 are kept in spite of it: see README. */
    if (ty == TY_F16 || ty == TY_F16X2 || ty == TY_BF16 || ty == TY_BF16X2 || ty == TY_F64)
        ftz = false;
    uint32_t d = spec_emit(p, s, spec, ty, sig, name, ftz);
    if (sat)
        value_saturate(p, d, ty);
}

static void lower_addc(struct parser *p, struct stmt *s)
{
    lower_carry(p, s, "add", true, sc_take(s, "cc"));
}

static void lower_subc(struct parser *p, struct stmt *s)
{
    lower_carry(p, s, "sub", true, sc_take(s, "cc"));
}

static void lower_madc(struct parser *p, struct stmt *s)
{
    lower_carry(p, s, "mad", true, sc_take(s, "cc"));
}

static void lower_lop3(struct parser *p, struct stmt *s)
{
    sc_need(p, s, 5, 5);
    if (sc_take_ty(p, s) != TY_B32 || s->op[4].kind != OP_IMM)
        sc_unsupported(p, s, "form");
    uint32_t src[3];
    for (int i = 0; i < 3; i++)
        src[i] = sc_src(p, s, &s->op[i + 1], TY_B32);
    uint32_t d = sc_dst(p, s, &s->op[0], TY_B32);
    sc_alu(p, d, 3, src, "lop3_u32")->imm = (int64_t)(s->op[4].value & 0xff);
}

static void lower_prmt(struct parser *p, struct stmt *s)
{
    static const char *const modes[] = {"f4e", "b4e", "rc8", "ecl", "ecr", "rc16"};
    int mode = 0;
    for (int i = 0; i < 6; i++)
        if (sc_take(s, modes[i]))
            mode = i + 1;
    sc_need(p, s, 4, 4);
    enum ty ty = sc_take_ty(p, s);
    if (ty != TY_B32)
        sc_unsupported(p, s, "type");
    uint32_t src[3];
    for (int i = 0; i < 3; i++)
        src[i] = sc_src(p, s, &s->op[i + 1], TY_B32);
    uint32_t d = sc_dst(p, s, &s->op[0], TY_B32);
    if (!mode && s->op[3].kind == OP_IMM)
        sc_alu(p, d, 3, src, "prmt_const")->imm = (int64_t)s->op[3].value;
    else
        sc_alu(p, d, 3, src, "prmt_u32")->imm = mode;
}

static void lower_shf(struct parser *p, struct stmt *s)
{
    bool left = sc_take(s, "l");
    if (!left && !sc_take(s, "r"))
        sc_unsupported(p, s, "needs .l or .r");
    bool wrap = sc_take(s, "wrap");
    if (!wrap && !sc_take(s, "clamp"))
        sc_unsupported(p, s, "needs .wrap or .clamp");
    sc_need(p, s, 4, 4);
    sc_take_ty(p, s);
    uint32_t src[3];
    for (int i = 0; i < 3; i++)
        src[i] = sc_src(p, s, &s->op[i + 1], TY_B32);
    uint32_t d = sc_dst(p, s, &s->op[0], TY_B32);
    sc_alu(p, d, 3, src, "shf_%s_%s", left ? "l" : "r", wrap ? "wrap" : "clamp");
}

static void lower_dot(struct parser *p, struct stmt *s)
{
    char name[32];
    bool two = s->mod[0].s[2] == '2';
    snprintf(name, sizeof(name), "%.4s", s->mod[0].s);
    if (two) {
        bool hi = sc_take(s, "hi");
        sc_take(s, "lo");
        strcat(name, hi ? "_hi" : "_lo");
    }
    enum ty a = sc_take_ty(p, s), b = sc_take_ty(p, s);
    sc_need(p, s, 4, 4);
    uint32_t src[3];
    for (int i = 0; i < 3; i++)
        src[i] = sc_src(p, s, &s->op[i + 1], TY_B32);
    uint32_t d = sc_dst(p, s, &s->op[0], TY_B32);
    sc_alu(p, d, 3, src, "%s_%c_%c", name, sc_ty[a].kind, sc_ty[b].kind);
}

static void lower_testp(struct parser *p, struct stmt *s)
{
    static const char *const tests[] = {"finite",     "infinite", "number",
                                        "notanumber", "normal",   "subnormal"};
    for (size_t i = 0; i < XG_ARRAY_LEN(tests); i++) {
        if (!sc_take(s, tests[i]))
            continue;
        enum ty ty = sc_take_ty(p, s);
        sc_need(p, s, 2, 2);
        uint32_t a = sc_src(p, s, &s->op[1], ty), d = sc_dst(p, s, &s->op[0], TY_PRED);
        sc_alu(p, d, 1, &a, "testp_%s_%s", tests[i], sc_ty[ty].suffix);
        return;
    }
    sc_unsupported(p, s, "which test");
}

#define SPEC(n)                                                                                    \
    {                                                                                              \
        n, lower_spec, GUARD_MASK                                                                  \
    }
const struct lower_entry sc_lower_alu[] = {
    SPEC("add"),
    SPEC("sub"),
    SPEC("mul"),
    SPEC("mad"),
    SPEC("fma"),
    SPEC("div"),
    SPEC("rem"),
    SPEC("min"),
    SPEC("max"),
    SPEC("abs"),
    SPEC("neg"),
    SPEC("and"),
    SPEC("or"),
    SPEC("xor"),
    SPEC("not"),
    SPEC("cnot"),
    SPEC("shl"),
    SPEC("shr"),
    SPEC("popc"),
    SPEC("clz"),
    SPEC("brev"),
    SPEC("bfind"),
    SPEC("bfe"),
    SPEC("bfi"),
    SPEC("sad"),
    SPEC("mul24"),
    SPEC("mad24"),
    SPEC("rcp"),
    SPEC("sqrt"),
    SPEC("rsqrt"),
    SPEC("sin"),
    SPEC("cos"),
    SPEC("lg2"),
    SPEC("ex2"),
    SPEC("tanh"),
    SPEC("copysign"),
    SPEC("fns"),
    SPEC("szext"),
    SPEC("bmsk"),
    {"addc", lower_addc, GUARD_MASK},
    {"subc", lower_subc, GUARD_MASK},
    {"madc", lower_madc, GUARD_MASK},
    {"lop3", lower_lop3, GUARD_MASK},
    {"prmt", lower_prmt, GUARD_MASK},
    {"shf", lower_shf, GUARD_MASK},
    {"dp4a", lower_dot, GUARD_MASK},
    {"dp2a", lower_dot, GUARD_MASK},
    {"testp", lower_testp, GUARD_MASK},
    {NULL, NULL, GUARD_MASK},
};
