/* Function bodies: declarations, scopes, labels, operands. */
#include <stdlib.h>
#include <string.h>
#include "protocol/base.h"
#include "softcuda/ptx/parse.h"

const struct ty_info sc_ty[TY_COUNT] = {
    [TY_NONE] = {"", "", W1, 0, 0},
    [TY_U8] = {"u8", "u8", W8, 'u', 1},
    [TY_U16] = {"u16", "u16", W16, 'u', 2},
    [TY_U32] = {"u32", "u32", W32, 'u', 4},
    [TY_U64] = {"u64", "u64", W64, 'u', 8},
    [TY_S8] = {"s8", "s8", W8, 's', 1},
    [TY_S16] = {"s16", "s16", W16, 's', 2},
    [TY_S32] = {"s32", "s32", W32, 's', 4},
    [TY_S64] = {"s64", "s64", W64, 's', 8},
    [TY_B8] = {"b8", "u8", W8, 'b', 1},
    [TY_B16] = {"b16", "u16", W16, 'b', 2},
    [TY_B32] = {"b32", "u32", W32, 'b', 4},
    [TY_B64] = {"b64", "u64", W64, 'b', 8},
    [TY_B128] = {"b128", "u128", W64, 'b', 16},
    [TY_F16] = {"f16", "f16", W16, 'f', 2},
    [TY_F16X2] = {"f16x2", "f16x2", W32, 'f', 4},
    [TY_BF16] = {"bf16", "bf16", W16, 'f', 2},
    [TY_BF16X2] = {"bf16x2", "bf16x2", W32, 'f', 4},
    [TY_F32] = {"f32", "f32", W32, 'f', 4},
    [TY_F64] = {"f64", "f64", W64, 'f', 8},
    [TY_PRED] = {"pred", "pred", W1, 'p', 0},
};

enum ty sc_ty_parse(const char *s, size_t len)
{
    if (len < 2 || len > 6)
        return TY_NONE;
    for (int i = 1; i < TY_COUNT; i++)
        if (sc_ty[i].name[0] == *s && strlen(sc_ty[i].name) == len &&
            !memcmp(sc_ty[i].name, s, len))
            return (enum ty)i;
    return TY_NONE;
}

uint32_t sc_vreg(struct parser *p, enum width w)
{
    p->widths = sc_parse_grow(p, p->widths, p->vregs, &p->vreg_cap, 1, SC_MAX_REGS);
    p->widths[p->vregs] = (uint8_t)w;
    return p->vregs++;
}

uint32_t sc_frame_alloc(struct parser *p, uint64_t size, uint64_t align)
{
    uint64_t at = xg_align_up(p->local_top, align);
    if (size > SC_MAX_LOCAL || at + size > SC_MAX_LOCAL)
        sc_fail(p, SC_ERR_UNSUPPORTED, p->x.t.line, "more than %u bytes of local memory",
                SC_MAX_LOCAL);
    p->local_top = (uint32_t)(at + size);
    if (p->local_top > p->f->frame_local)
        p->f->frame_local = p->local_top;
    return (uint32_t)at;
}

void sc_ref_add(struct parser *p, struct ref **list, uint32_t index)
{
    /* Only the newest is compared: duplicates cost less than the search of a long list. */
    if (*list && (*list)->index == index)
        return;
    struct ref *r = sc_parse_alloc(p, sizeof(*r));
    r->index = index;
    r->next = *list;
    *list = r;
}

static struct sym *scope_add(struct parser *p, const struct decl *d, enum sym_kind kind,
                             uint32_t after)
{
    struct sym *old = sc_symtab_find(&p->names, d->name, d->len);
    if (old && old->serial > after)
        sc_fail(p, SC_ERR_SYNTAX, d->line, "'%.*s' declared twice", (int)d->len, d->name);
    struct sym *s = sc_symtab_add(&p->names, &p->m->arena, d->name, d->len);
    if (!s)
        sc_fail(p, SC_ERR_NO_MEMORY, d->line, "out of memory");
    s->kind = kind;
    s->line = d->line;
    s->align = d->align;
    return s;
}

static void kernel_formal(struct parser *p, struct sc_func *f, const struct decl *d,
                          struct sc_param *param)
{
    uint64_t size = d->open ? 0 : sc_decl_bytes(p, d);
    uint64_t at = xg_align_up(f->info.param_bytes, d->align);
    if (size > SC_MAX_PARAM || at + size > SC_MAX_PARAM)
        sc_fail(p, SC_ERR_UNSUPPORTED, d->line, "more than %u bytes of parameters", SC_MAX_PARAM);
    struct sym *s = scope_add(p, d, SYM_KPARAM, 0);
    s->offset = at;
    s->size = size;
    param->offset = (uint32_t)at;
    param->size = (uint32_t)size;
    f->info.param_bytes = (uint32_t)(at + size);
}

static void device_formal(struct parser *p, const struct decl *d, bool is_reg, struct formal *a)
{
    a->is_reg = is_reg;
    if (is_reg) {
        if (d->array || d->range || d->vector != 1 || d->ty == TY_PRED || !sc_ty[d->ty].bytes ||
            sc_ty[d->ty].bytes > 8)
            sc_fail(p, SC_ERR_UNSUPPORTED, d->line, "register parameter '%.*s'", (int)d->len,
                    d->name);
        a->width = sc_ty[d->ty].width;
        a->vreg = sc_vreg(p, a->width);
        a->size = a->align = sc_ty[d->ty].bytes;
        struct sym *s = scope_add(p, d, SYM_REG, 0);
        s->width = a->width;
        s->index = a->vreg;
    } else {
        a->size = d->open ? 0 : (uint32_t)xg_min_u64(sc_decl_bytes(p, d), SC_MAX_LOCAL + 1u);
        a->align = (uint32_t)d->align;
    }
    a->place = sc_frame_alloc(p, a->size, a->align);
    if (!is_reg) {
        struct sym *s = scope_add(p, d, SYM_FRAME, 0);
        s->offset = a->place;
        s->size = a->size;
    }
}

void sc_parse_formals(struct parser *p, struct sc_func *f, bool results)
{
    struct formal *list = NULL;
    struct sc_param *params = NULL;
    uint32_t n = 0, cap = 0;
    sc_expect(p, '(');
    while (!sc_is_punct(p, ')')) {
        if (n && !sc_accept(p, ','))
            sc_fail_token(p, "',' or ')' expected");
        bool is_reg = sc_is_dir(p, "reg");
        if (!is_reg && !sc_is_dir(p, "param"))
            sc_fail_token(p, ".param expected");
        sc_lex_next(&p->x);
        struct decl d;
        sc_parse_decl(p, &d);
        if (n == cap) { /* in the arena, so that an error does not leak it */
            uint32_t grown = cap ? cap * 2 : 8;
            struct formal *l = sc_parse_alloc(p, grown * sizeof(*l));
            struct sc_param *q = sc_parse_alloc(p, grown * sizeof(*q));
            if (n) {
                memcpy(l, list, n * sizeof(*l));
                memcpy(q, params, n * sizeof(*q));
            }
            list = l;
            params = q;
            cap = grown;
        }
        if (f->entry) {
            if (is_reg)
                sc_fail(p, SC_ERR_SYNTAX, d.line, "a kernel's parameters are .param");
            kernel_formal(p, f, &d, &params[n]);
        } else {
            device_formal(p, &d, is_reg, &list[n]);
        }
        n++;
    }
    sc_expect(p, ')');
    if (f->entry) {
        f->info.params = params;
        f->info.param_count = n;
    } else if (results) {
        f->results = list;
        f->result_count = n;
    } else {
        f->args = list;
        f->arg_count = n;
    }
}

/* --- declarations in bodies ------------------------------------------------------------------- */

static void parse_reg(struct parser *p, uint32_t scope)
{
    struct decl d;
    sc_parse_decl(p, &d);
    for (;;) {
        if (d.array || d.vector != 1 || sc_ty[d.ty].bytes > 8)
            sc_fail(p, SC_ERR_UNSUPPORTED, d.line, "register type of '%.*s'", (int)d.len, d.name);
        struct sym *s = scope_add(p, &d, d.range ? SYM_REGS : SYM_REG, scope);
        s->width = sc_ty[d.ty].width;
        if (d.range) {
            s->count = (uint32_t)d.count;
            uint32_t *table = calloc(d.count ? d.count : 1, sizeof(*table));
            if (!table)
                sc_fail(p, SC_ERR_NO_MEMORY, d.line, "out of memory");
            s->data = table;
            if (p->table_count == p->table_cap) {
                uint32_t cap = p->table_cap ? p->table_cap * 2 : 16;
                void **t = realloc(p->tables, cap * sizeof(*t));
                if (!t) {
                    free(table);
                    sc_fail(p, SC_ERR_NO_MEMORY, d.line, "out of memory");
                }
                p->tables = t;
                p->table_cap = cap;
            }
            p->tables[p->table_count++] = table;
        } else {
            s->index = sc_vreg(p, s->width);
        }
        if (!sc_accept(p, ','))
            break;
        if (p->x.t.kind != T_ID)
            sc_fail_token(p, "name expected");
        d.name = p->x.t.s;
        d.len = p->x.t.len;
        d.line = p->x.t.line;
        d.range = false;
        d.count = 1;
        sc_lex_next(&p->x);
        if (sc_accept(p, '<')) {
            d.range = true;
            d.count = sc_parse_uint(p);
            if (d.count > SC_MAX_REGS)
                sc_fail_before(p, "too many registers");
            sc_expect(p, '>');
        }
    }
    sc_expect(p, ';');
}

static void parse_frame_var(struct parser *p, uint32_t scope)
{
    do {
        struct decl d;
        sc_parse_decl(p, &d);
        if (d.range || d.open)
            sc_fail(p, SC_ERR_SYNTAX, d.line, "'%.*s' has no size", (int)d.len, d.name);
        struct sym *s = scope_add(p, &d, SYM_FRAME, scope);
        s->size = sc_decl_bytes(p, &d);
        s->offset = sc_frame_alloc(p, s->size, d.align);
    } while (sc_accept(p, ','));
    sc_expect(p, ';');
}

/* --- operands --------------------------------------------------------------------------------- */

static struct sym *reg_range_find(struct parser *p, const char *s, uint32_t len, uint32_t *number)
{
    uint32_t digits = 0;
    while (digits < len - 1 && digits < 8 && s[len - 1 - digits] >= '0' &&
           s[len - 1 - digits] <= '9')
        digits++;
    /* %a1<10> declares %a10 .. %a19, so the longest number is tried first. */
    for (; digits; digits--) {
        const char *d = s + len - digits;
        if (*d == '0' && digits > 1)
            continue;
        struct sym *r = sc_symtab_find(&p->names, s, len - digits);
        if (!r || r->kind != SYM_REGS)
            continue;
        uint32_t n = 0;
        for (uint32_t i = 0; i < digits; i++)
            n = n * 10 + (uint32_t)(d[i] - '0');
        if (n < r->count) {
            *number = n;
            return r;
        }
    }
    return NULL;
}

static void operand_name(struct parser *p, struct opnd *o)
{
    const char *s = p->x.t.s;
    uint32_t len = p->x.t.len, number;
    o->name = s;
    o->len = len;
    if (len == 1 && *s == '_') {
        o->kind = OP_SINK;
        return;
    }
    struct sym *r = reg_range_find(p, s, len, &number);
    if (r) {
        uint32_t *table = r->data;
        if (!table[number])
            table[number] = sc_vreg(p, r->width) + 1;
        o->kind = OP_REG;
        o->vreg = table[number] - 1;
        o->width = r->width;
        return;
    }
    struct sym *y = sc_find(p, s, len);
    if (y && y->kind == SYM_REG) {
        o->kind = OP_REG;
        o->vreg = y->index;
        o->width = y->width;
        return;
    }
    if (y && y->kind != SYM_LABEL && y->kind != SYM_REGS) {
        o->kind = OP_SYM;
        o->sym = y;
        return;
    }
    if (len == 7 && !memcmp(s, "WARP_SZ", 7)) {
        o->kind = OP_IMM;
        o->value = SC_WARP;
        return;
    }
    if (*s == '%') {
        uint32_t extra;
        sc_lex_suffix(&p->x, &extra);
        int n = sc_sreg_find(s, len + extra);
        if (n < 0)
            sc_fail(p, SC_ERR_UNSUPPORTED, p->x.t.line, "unknown register '%.*s'",
                    sc_shown(len + extra), s);
        o->kind = OP_SREG;
        o->vreg = (uint32_t)n;
        return;
    }
    o->kind = OP_NAME;
}

static int64_t signed_offset(struct parser *p)
{
    bool minus = sc_accept(p, '-');
    if (!minus)
        sc_expect(p, '+');
    if (sc_accept(p, '-'))
        minus = !minus;
    uint64_t v = sc_parse_uint(p);
    if (!minus && v > INT32_MAX && v <= UINT32_MAX) /* written as unsigned 32 bits */
        v = (uint64_t)(int64_t)(int32_t)v;
    int64_t n = (int64_t)(minus ? -v : v);
    if (n > INT32_MAX || n < INT32_MIN)
        sc_fail_before(p, "offset out of range");
    return n;
}

static void operand_mem(struct parser *p, struct opnd *o)
{
    sc_expect(p, '[');
    struct opnd base = {0};
    if (p->x.t.kind == T_ID) {
        operand_name(p, &base);
        sc_lex_next(&p->x);
        if (base.kind != OP_REG && base.kind != OP_SYM)
            sc_fail(p, SC_ERR_SYNTAX, p->x.t.line, "unknown name '%.*s'", sc_shown(base.len),
                    base.name);
    } else {
        base.kind = OP_IMM;
        base.value = sc_parse_uint(p);
    }
    *o = base;
    o->base = base.kind;
    o->kind = OP_MEM;
    if (sc_is_punct(p, '+') || sc_is_punct(p, '-'))
        o->offset = signed_offset(p);
    if (sc_is_punct(p, ','))
        sc_fail(p, SC_ERR_UNSUPPORTED, p->x.t.line, "texture or tensor coordinates");
    sc_expect(p, ']');
}

void sc_parse_operand(struct parser *p, struct stmt *s, struct opnd *o, bool nested)
{
    const struct token *t = &p->x.t;
    memset(o, 0, sizeof(*o));
    if (sc_is_punct(p, '[')) {
        if (nested)
            sc_fail_token(p, "unexpected token");
        operand_mem(p, o);
        return;
    }
    if (sc_is_punct(p, '{')) {
        if (nested)
            sc_fail_token(p, "unexpected token");
        sc_lex_next(&p->x);
        o->kind = OP_VEC;
        o->first = (uint8_t)s->vecs;
        do {
            if (s->vecs == MAX_VEC)
                sc_fail_token(p, "too many elements");
            sc_parse_operand(p, s, &s->vec[s->vecs++], true);
            o->n++;
        } while (sc_accept(p, ','));
        sc_expect(p, '}');
        return;
    }
    bool minus = false;
    if (sc_accept(p, '!'))
        o->negated = true;
    else if (sc_accept(p, '-'))
        minus = true;
    else if (sc_accept(p, '~')) {
        o->kind = OP_IMM;
        o->value = ~sc_parse_uint(p);
        return;
    }
    if (t->kind == T_INT || t->kind == T_F32 || t->kind == T_F64) {
        o->kind = t->kind == T_INT ? OP_IMM : t->kind == T_F32 ? OP_F32 : OP_F64;
        o->value = t->value;
        if (minus)
            o->value = t->kind == T_INT   ? -t->value
                       : t->kind == T_F32 ? t->value ^ 0x80000000u
                                          : t->value ^ UINT64_C(1) << 63;
        if (o->negated)
            sc_fail_before(p, "'!' needs a predicate");
    } else if (t->kind == T_ID && !minus) {
        bool negated = o->negated;
        operand_name(p, o);
        o->negated = negated;
        if (negated && o->kind != OP_REG)
            sc_fail_before(p, "'!' needs a predicate");
    } else {
        sc_fail_token(p, "operand expected");
    }
    sc_lex_next(&p->x);
    if (o->kind == OP_SYM && (sc_is_punct(p, '+') || sc_is_punct(p, '-')))
        o->offset = signed_offset(p);
}

/* --- statements ------------------------------------------------------------------------------- */

static void mods_split(struct parser *p, struct stmt *s)
{
    s->mod[0].s = p->x.t.s;
    s->mod[0].len = p->x.t.len;
    s->mod[0].used = true;
    s->mods = 1;
    uint32_t len;
    const char *q = sc_lex_suffix(&p->x, &len), *end = q + len;
    while (q < end) {
        const char *start = ++q;
        while (q < end && *q != '.')
            q++;
        if (s->mods == MAX_MODS)
            sc_fail_token(p, "too many qualifiers");
        s->mod[s->mods].s = start;
        s->mod[s->mods++].len = (uint32_t)(q - start);
    }
}

static void parse_guard(struct parser *p, struct stmt *s)
{
    s->guarded = true;
    s->guard_not = sc_accept(p, '!');
    if (p->x.t.kind != T_ID)
        sc_fail_token(p, "predicate expected");
    struct opnd o = {0};
    operand_name(p, &o);
    if (o.kind != OP_REG || o.width != W1)
        sc_fail_token(p, "predicate expected");
    s->guard = o.vreg << 1;
    sc_lex_next(&p->x);
}

/* Reports an instruction that softcuda does not know; or, if it does not look like PTX at all, a
 * syntax error. PTX has a ';' after closed braces, and no two words in succession. */
static void insn_refuse(struct parser *p, struct stmt *s)
{
    unsigned depth = 0;
    for (enum tok last = T_DIR; depth || !sc_is_punct(p, ';'); sc_lex_next(&p->x)) {
        const struct token *t = &p->x.t;
        if (t->kind == T_EOF || t->kind == T_BAD || (t->kind == T_ID && last == T_ID) ||
            sc_is_punct(p, ';') || (!depth && sc_is_punct(p, '}')))
            sc_fail_token(p, "',' or ';' expected");
        depth += sc_is_punct(p, '{');
        depth -= sc_is_punct(p, '}');
        last = t->kind;
    }
    sc_unsupported(p, s, "not an instruction that softcuda knows");
}

static void parse_insn(struct parser *p)
{
    struct stmt s;
    memset(&s, 0, offsetof(struct stmt, op));
    s.ops = s.vecs = 0;
    s.pair.kind = OP_NONE;
    s.guarded = false;
    s.line = p->line = p->x.t.line;
    if (sc_accept(p, '@'))
        parse_guard(p, &s);
    if (p->x.t.kind != T_ID)
        sc_fail_token(p, "instruction expected");
    mods_split(p, &s);
    sc_lex_next(&p->x);
    if (s.mod[0].len == 4 && !memcmp(s.mod[0].s, "call", 4)) {
        sc_lower_call(p, &s);
        return;
    }
    const struct lower_entry *e = sc_lower_find(s.mod[0].s, s.mod[0].len);
    if (!e) /* its operands may be of a kind that is not known either */
        insn_refuse(p, &s);
    while (!sc_is_punct(p, ';')) {
        if (s.ops && !sc_accept(p, ','))
            sc_fail_token(p, "',' or ';' expected");
        if (s.ops == MAX_OPNDS)
            sc_fail_token(p, "too many operands");
        sc_parse_operand(p, &s, &s.op[s.ops], false);
        if (sc_accept(p, '|')) {
            if (s.ops || s.pair.kind)
                sc_fail_before(p, "unexpected '|'");
            sc_parse_operand(p, &s, &s.pair, true);
        }
        s.ops++;
    }
    sc_expect(p, ';');
    sc_lower_stmt(p, &s, e);
}

static void target_list(struct parser *p, struct sym *label)
{
    bool calls = sc_is_dir(p, "calltargets");
    struct targets *t = sc_parse_alloc(p, sizeof(*t));
    struct token *names = NULL;
    uint32_t n = 0, cap = 0;
    sc_lex_next(&p->x);
    do {
        if (p->x.t.kind != T_ID)
            sc_fail_token(p, "name expected");
        if (n == cap) {
            uint32_t grown = cap ? cap * 2 : 16;
            struct token *l = sc_parse_alloc(p, grown * sizeof(*l));
            if (n)
                memcpy(l, names, n * sizeof(*l));
            names = l;
            cap = grown;
        }
        names[n++] = p->x.t;
        sc_lex_next(&p->x);
    } while (sc_accept(p, ','));
    sc_expect(p, ';');
    label->kind = SYM_TARGETS;
    label->data = t;
    if (calls) /* only a hint: an indirect call is checked when it happens */
        return;
    t->count = n;
    t->index = sc_parse_alloc(p, n * sizeof(*t->index));
    for (uint32_t i = 0; i < n; i++) {
        p->fixup = sc_parse_grow(p, p->fixup, p->fixups, &p->fixup_cap, sizeof(*p->fixup), 1 << 24);
        p->fixup[p->fixups++] = (struct fixup){
            .slot = &t->index[i], .line = names[i].line, .name = names[i].s, .len = names[i].len};
    }
}

static void parse_proto(struct parser *p, struct sym *label)
{
    /* (results) _ (parameters) and attributes: not used, the call and the callee have it all */
    label->kind = SYM_PROTO;
    while (!sc_is_punct(p, ';')) {
        if (p->x.t.kind == T_EOF)
            sc_fail_token(p, "';' expected");
        sc_lex_next(&p->x);
    }
    sc_lex_next(&p->x);
}

static void parse_label(struct parser *p, uint32_t scope)
{
    struct decl d = {.name = p->x.t.s, .len = p->x.t.len, .line = p->x.t.line};
    sc_lex_next(&p->x);
    sc_expect(p, ':');
    struct sym *s = scope_add(p, &d, SYM_LABEL, scope);
    if (sc_is_dir(p, "branchtargets") || sc_is_dir(p, "calltargets")) {
        target_list(p, s);
    } else if (sc_is_dir(p, "callprototype")) {
        parse_proto(p, s);
    } else {
        s->index = p->count;
        struct insn *i = sc_emit(p, "label");
        i->uses |= INSN_LEADER;
    }
}

/* Sets the targets of branches whose labels are known now. The other labels may come later, in an
 * enclosing scope. */
static void labels_resolve(struct parser *p, uint32_t from)
{
    uint32_t keep = from;
    for (uint32_t n = from; n < p->fixups; n++) {
        struct fixup *x = &p->fixup[n];
        struct sym *s = sc_symtab_find(&p->names, x->name, x->len);
        if (!s || s->kind != SYM_LABEL)
            p->fixup[keep++] = *x;
        else if (x->slot)
            *x->slot = s->index;
        else
            p->code[x->insn].target = s->index;
    }
    p->fixups = keep;
}

static bool label_is_next(struct parser *p)
{
    const char *q = p->x.p;
    while (q < p->x.end && (*q == ' ' || *q == '\t'))
        q++;
    return q < p->x.end && *q == ':' && !(q + 1 < p->x.end && q[1] == ':');
}

static void parse_block(struct parser *p)
{
    struct sym *outer = p->names.last;
    uint32_t scope = p->names.serial; /* names of this scope have a higher serial */
    uint32_t from = p->fixups, local = p->local_top;
    if (++p->nest > MAX_NEST)
        sc_fail_token(p, "nested too deeply");
    sc_expect(p, '{');
    while (!sc_is_punct(p, '}')) {
        const struct token *t = &p->x.t;
        if (sc_is_punct(p, '{')) {
            parse_block(p);
        } else if (t->kind == T_ID && label_is_next(p)) {
            parse_label(p, scope);
        } else if (t->kind == T_ID || sc_is_punct(p, '@')) {
            parse_insn(p);
        } else if (sc_is_dir(p, "reg")) {
            sc_lex_next(&p->x);
            parse_reg(p, scope);
        } else if (sc_is_dir(p, "local") || sc_is_dir(p, "param")) {
            sc_lex_next(&p->x);
            parse_frame_var(p, scope);
        } else if (sc_is_dir(p, "shared")) {
            sc_lex_next(&p->x);
            sc_parse_var(p, SYM_SHARED, false, false, false);
        } else if (sc_is_dir(p, "global") || sc_is_dir(p, "const")) {
            bool constant = sc_is_dir(p, "const");
            sc_lex_next(&p->x);
            sc_parse_var(p, SYM_GLOBAL, constant, false, false);
        } else if (sc_is_dir(p, "loc") || sc_is_dir(p, "file")) {
            sc_lex_skip_line(&p->x);
        } else if (sc_is_dir(p, "pragma")) {
            while (!sc_is_punct(p, ';') && t->kind != T_EOF)
                sc_lex_next(&p->x);
            sc_expect(p, ';');
        } else if (!sc_accept(p, ';')) {
            sc_fail_token(p, "statement expected");
        }
    }
    sc_expect(p, '}');
    labels_resolve(p, from);
    sc_symtab_pop(&p->names, outer);
    p->local_top = local;
    p->nest--;
}

/* The constants as vectors of 32 equal lanes. */
static void consts_build(struct parser *p, struct sc_func *f)
{
    f->const_bytes = p->const_bytes;
    f->consts = sc_parse_alloc(p, p->const_bytes + 64);
    for (uint32_t n = 0; p->konst && n <= p->konst_mask; n++) {
        const struct konst *k = &p->konst[n];
        if (!k->width)
            continue;
        char *at = f->consts + k->offset;
        unsigned bytes = k->width - 1 == W64   ? 8
                         : k->width - 1 == W16 ? 2
                         : k->width - 1 == W8  ? 1
                                               : 4;
        for (unsigned l = 0; l < (k->width - 1 == W1 ? 1 : SC_WARP); l++)
            memcpy(at + l * bytes, &k->value, bytes);
    }
}

static void body_reset(struct parser *p)
{
    p->count = 0;
    p->konst_count = 0;
    free(p->konst);
    p->konst = NULL;
    p->const_bytes = 0;
    p->fixups = 0;
    p->keeps = false;
    p->nest = 0;
    p->carry = 0;
    for (uint32_t i = 0; i < p->table_count; i++)
        free(p->tables[i]);
    p->table_count = 0;
}

static void body_build(struct parser *p, struct sc_func *f)
{
    body_reset(p);
    p->line = p->x.t.line;
    sc_emit_entry(p);
    parse_block(p);
    if (p->fixups)
        sc_fail(p, SC_ERR_SYNTAX, p->fixup[0].line, "unknown label '%.*s'",
                sc_shown(p->fixup[0].len), p->fixup[0].name);
    sc_emit_ret(p); /* the end of the body returns */
    sc_emit(p, "end");
    sc_fuse(p);
    f->count = p->count;
    f->code = sc_parse_alloc(p, p->count * sizeof(*f->code));
    memcpy(f->code, p->code, p->count * sizeof(*f->code));
    consts_build(p, f);
    enum sc_status st = sc_regalloc(f, p->widths, p->vregs);
    if (st)
        sc_fail(p, st, f->line, "'%s' needs too many registers at one time", f->info.name);
    for (uint32_t i = 0; i < f->count; i++)
        f->code[i].fn = sc_op_handler(f->code[i].op);
}

/* Skips a body from its '{' on: any tokens, with their braces in pairs. */
static void body_skip(struct parser *p)
{
    unsigned depth = 0;
    do {
        if (p->x.t.kind == T_EOF || p->x.t.kind == T_BAD)
            sc_fail_token(p, "'}' expected");
        depth += sc_is_punct(p, '{');
        depth -= sc_is_punct(p, '}');
        sc_lex_next(&p->x);
    } while (depth);
}

/* Keeps the function, with its name and parameters, and the reason why it cannot run. */
static void body_refuse(struct parser *p, struct sc_func *f)
{
    sc_fuse_free(p);
    f->callees = f->shared = NULL;
    f->relocs = NULL;
    f->indirect = false;
    f->why = strcpy(sc_parse_alloc(p, strlen(p->why) + 1), p->why);
    p->status = SC_OK;
}

void sc_parse_body(struct parser *p)
{
    const struct lexer start = p->x;
    jmp_buf *const outer = p->fail;
    jmp_buf fail;
    p->fail = &fail;
    if (!setjmp(fail))
        body_build(p, p->f);
    p->fail = outer;
    if (p->status && p->status != SC_ERR_UNSUPPORTED)
        longjmp(*outer, 1);
    if (p->status) {
        body_refuse(p, p->f);
        p->x = start;
        body_skip(p);
    }
}
