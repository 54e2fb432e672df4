/* Module scope of PTX: directives, variables, functions' heads. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "protocol/base.h"
#include "softcuda/ptx/parse.h"

void sc_log(struct log *l, const char *fmt, ...)
{
    if (!l->text || l->used + 1 >= l->size)
        return;
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(l->text + l->used, l->size - l->used, fmt, ap);
    va_end(ap);
    if (n > 0)
        l->used = xg_min_u64(l->used + (size_t)n, l->size - 1);
}

void sc_fail(struct parser *p, enum sc_status st, uint32_t line, const char *fmt, ...)
{
    char text[256];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    for (char *c = text; *c; c++) /* the text may quote hostile bytes */
        if ((unsigned char)*c < ' ' || (unsigned char)*c > '~')
            *c = '?';
    snprintf(p->why, sizeof(p->why), "ptx line %u: %s", line, text);
    p->status = st;
    longjmp(*p->fail, 1);
}

void sc_fail_token(struct parser *p, const char *what)
{
    const struct token *t = &p->x.t;
    sc_fail(p, SC_ERR_SYNTAX, t->line, "%s at '%.*s'", what, sc_shown(t->len), t->s);
}

void sc_fail_before(struct parser *p, const char *what)
{
    const struct token *t = &p->x.t;
    sc_fail(p, SC_ERR_SYNTAX, t->line, "%s before '%.*s'", what, sc_shown(t->len), t->s);
}

void *sc_parse_alloc(struct parser *p, size_t size)
{
    void *r = sc_arena_alloc(&p->m->arena, size ? size : 1);
    if (!r)
        sc_fail(p, SC_ERR_NO_MEMORY, p->x.t.line, "out of memory");
    return r;
}

void *sc_parse_grow(struct parser *p, void *array, uint32_t count, uint32_t *cap, size_t item,
                    uint32_t limit)
{
    if (count < *cap)
        return array;
    if (count >= limit)
        sc_fail(p, SC_ERR_UNSUPPORTED, p->x.t.line, "too large: more than %u items", limit);
    uint32_t n = *cap ? *cap * 2 : 16;
    void *r = realloc(array, n * item);
    if (!r)
        sc_fail(p, SC_ERR_NO_MEMORY, p->x.t.line, "out of memory");
    *cap = n;
    return r;
}

bool sc_is_punct(struct parser *p, char c)
{
    return p->x.t.kind == T_PUNCT && p->x.t.punct == c;
}

bool sc_accept(struct parser *p, char c)
{
    if (!sc_is_punct(p, c))
        return false;
    sc_lex_next(&p->x);
    return true;
}

void sc_expect(struct parser *p, char c)
{
    if (!sc_accept(p, c)) {
        char what[16];
        snprintf(what, sizeof(what), "'%c' expected", c);
        sc_fail_token(p, what);
    }
}

bool sc_is_dir(struct parser *p, const char *name)
{
    const struct token *t = &p->x.t;
    size_t n = strlen(name);
    return t->kind == T_DIR && t->len == n + 1 && !memcmp(t->s + 1, name, n);
}

static bool directive_accept(struct parser *p, const char *name)
{
    if (!sc_is_dir(p, name))
        return false;
    sc_lex_next(&p->x);
    return true;
}

uint64_t sc_parse_uint(struct parser *p)
{
    if (p->x.t.kind != T_INT)
        sc_fail_token(p, "number expected");
    uint64_t v = p->x.t.value;
    sc_lex_next(&p->x);
    return v;
}

struct sym *sc_find(struct parser *p, const char *name, size_t len)
{
    struct sym *s = p->f ? sc_symtab_find(&p->names, name, len) : NULL;
    return s ? s : sc_symtab_find(&p->m->syms, name, len);
}

/* --- declarations ----------------------------------------------------------------------------- */

void sc_parse_attribute(struct parser *p)
{
    /* .attribute(.managed), .unified(a, b): their content is plain tokens */
    sc_lex_next(&p->x);
    sc_expect(p, '(');
    for (unsigned depth = 1; depth;) {
        if (p->x.t.kind == T_EOF)
            sc_fail_token(p, "')' expected");
        if (sc_is_punct(p, '('))
            depth++;
        if (sc_is_punct(p, ')'))
            depth--;
        sc_lex_next(&p->x);
    }
}

static void decl_arrays(struct parser *p, struct decl *d)
{
    while (sc_accept(p, '[')) {
        d->array = true;
        if (sc_accept(p, ']')) {
            if (d->count != 1 || d->open)
                sc_fail_token(p, "only the first dimension may be empty");
            d->open = true;
            continue;
        }
        uint64_t n = sc_parse_uint(p);
        if (__builtin_mul_overflow(d->count, n, &d->count) || d->count > UINT64_C(1) << 40)
            sc_fail(p, SC_ERR_UNSUPPORTED, d->line, "array '%.*s' is too large", (int)d->len,
                    d->name);
        sc_expect(p, ']');
    }
}

/* One directive in front of a declaration's name. */
static void decl_qualifier(struct parser *p, struct decl *d)
{
    const char *s = p->x.t.s + 1;
    enum ty ty = sc_ty_parse(s, p->x.t.len - 1);
    if (ty) {
        d->ty = ty;
        sc_lex_next(&p->x);
    } else if (sc_is_dir(p, "texref") || sc_is_dir(p, "samplerref") || sc_is_dir(p, "surfref")) {
        /* A handle. softcuda has no instructions that use one: kernels with these are refused, the
         * rest of the file is not. */
        d->ty = TY_U64;
        d->opaque = true;
        sc_lex_next(&p->x);
    } else if (sc_is_dir(p, "align")) {
        sc_lex_next(&p->x);
        uint64_t a = sc_parse_uint(p);
        if (!a || a & (a - 1) || a > 4096)
            sc_fail_before(p, "bad alignment");
        d->align = xg_max_u64(d->align, a);
    } else if (sc_is_dir(p, "v2") || sc_is_dir(p, "v4") || sc_is_dir(p, "v8")) {
        d->vector = (unsigned)(s[1] - '0');
        sc_lex_next(&p->x);
    } else if (sc_is_dir(p, "attribute")) {
        const char *start = p->x.p;
        sc_parse_attribute(p);
        d->managed = memmem(start, (size_t)(p->x.p - start), ".managed", 8) != NULL;
    } else if (sc_is_dir(p, "ptr")) {
        /* .ptr{.space}{.align n}: advice about the memory behind a kernel's pointer */
        sc_lex_next(&p->x);
        if (sc_is_dir(p, "global") || sc_is_dir(p, "shared") || sc_is_dir(p, "const") ||
            sc_is_dir(p, "local"))
            sc_lex_next(&p->x);
        if (directive_accept(p, "align"))
            sc_parse_uint(p);
    } else {
        sc_fail(p, SC_ERR_UNSUPPORTED, p->x.t.line, "type or qualifier '%.*s'",
                sc_shown(p->x.t.len), s - 1);
    }
}

/* What follows the state space: .align, .vN, type, name, dimensions; of .param .ptr too. */
void sc_parse_decl(struct parser *p, struct decl *d)
{
    memset(d, 0, sizeof(*d));
    d->count = d->vector = 1;
    while (p->x.t.kind == T_DIR)
        decl_qualifier(p, d);
    if (!d->ty)
        sc_fail_token(p, "type expected");
    if (p->x.t.kind != T_ID)
        sc_fail_token(p, "name expected");
    d->name = p->x.t.s;
    d->len = p->x.t.len;
    d->line = p->x.t.line;
    sc_lex_next(&p->x);
    d->size = (uint64_t)sc_ty[d->ty].bytes * d->vector;
    if (!d->align)
        d->align = d->size ? d->size : 1;
    if (sc_accept(p, '<')) {
        d->range = true;
        d->count = sc_parse_uint(p);
        if (d->count > SC_MAX_REGS)
            sc_fail(p, SC_ERR_UNSUPPORTED, d->line, "more than %u registers", SC_MAX_REGS);
        sc_expect(p, '>');
    } else {
        decl_arrays(p, d);
    }
}

uint64_t sc_decl_bytes(struct parser *p, const struct decl *d)
{
    uint64_t n;
    if (!d->size)
        sc_fail(p, SC_ERR_SYNTAX, d->line, "'%.*s' cannot have this type", (int)d->len, d->name);
    if (__builtin_mul_overflow(d->size, d->count, &n) || n > UINT64_C(1) << 40)
        sc_fail(p, SC_ERR_UNSUPPORTED, d->line, "'%.*s' is too large", (int)d->len, d->name);
    return n;
}

/* --- initialisers ----------------------------------------------------------------------------- */

struct init {
    struct var *v;
    const struct decl *d;
    uint64_t at, cap;
    bool open;
};

static void init_room(struct parser *p, struct init *in, uint64_t bytes)
{
    uint64_t limit = in->open ? UINT64_C(1) << 32 : in->v->pub.size;
    if (bytes > limit || in->at > limit - bytes)
        sc_fail_token(p, "more initial values than elements");
    if (in->at + bytes <= in->cap)
        return;
    uint64_t cap = xg_max_u64(in->cap * 2, 64);
    cap = xg_min_u64(xg_max_u64(cap, in->at + bytes), limit);
    uint8_t *n = sc_parse_alloc(p, cap);
    if (in->at)
        memcpy(n, in->v->init, in->at);
    in->v->init = n;
    in->cap = cap;
}

static void init_address(struct parser *p, struct init *in, uint64_t mask)
{
    bool paren = false; /* generic(sym): device memory has one address only */
    if (p->x.t.len == 7 && !memcmp(p->x.t.s, "generic", 7)) {
        sc_lex_next(&p->x);
        sc_expect(p, '(');
        paren = true;
    }
    if (p->x.t.kind != T_ID)
        sc_fail_token(p, "name expected");
    struct sym *s = sc_find(p, p->x.t.s, p->x.t.len);
    if (!s || (s->kind != SYM_GLOBAL && s->kind != SYM_FUNC))
        sc_fail_token(p, "address of a variable or function expected");
    sc_lex_next(&p->x);
    struct reloc *r = sc_parse_alloc(p, sizeof(*r));
    r->kind = s->kind == SYM_FUNC ? RELOC_FUNC : RELOC_VAR;
    r->index = s->index;
    if (s->kind == SYM_FUNC)
        p->m->funcs[s->index]->address_taken = true;
    if (paren)
        sc_expect(p, ')');
    if (sc_is_punct(p, '+') || sc_is_punct(p, '-')) {
        bool minus = sc_is_punct(p, '-');
        sc_lex_next(&p->x);
        if (!minus && sc_accept(p, '-'))
            minus = true;
        uint64_t v = sc_parse_uint(p);
        r->addend = (int64_t)(minus ? -v : v);
    }
    r->offset = in->at;
    r->bytes = (uint32_t)in->d->size;
    if (mask) { /* 0xFF00(sym): one byte of the address */
        r->shift = (uint32_t)__builtin_ctzll(mask) & ~7u;
        r->bytes = 1;
    } else if (r->bytes != 8) {
        sc_fail_before(p, "an address needs 64 bits");
    }
    r->next = in->v->relocs;
    in->v->relocs = r;
}

static uint64_t init_number(struct parser *p, const struct decl *d, bool minus)
{
    struct token t = p->x.t;
    sc_lex_next(&p->x);
    if (t.kind == T_INT) {
        if (sc_ty[d->ty].kind != 'f')
            return minus ? -t.value : t.value;
        double f = (double)t.value;
        t.kind = T_F64;
        memcpy(&t.value, &f, 8);
    }
    if (sc_ty[d->ty].bytes == 8) {
        double f;
        if (t.kind == T_F32) {
            float g;
            memcpy(&g, &t.value, 4);
            f = g;
        } else {
            memcpy(&f, &t.value, 8);
        }
        f = minus ? -f : f;
        memcpy(&t.value, &f, 8);
        return t.value;
    }
    float g;
    if (t.kind == T_F64) {
        double f;
        memcpy(&f, &t.value, 8);
        g = (float)f;
    } else {
        memcpy(&g, &t.value, 4);
    }
    g = minus ? -g : g;
    uint32_t bits;
    memcpy(&bits, &g, 4);
    return bits;
}

static void init_scalar(struct parser *p, struct init *in)
{
    unsigned size = sc_ty[in->d->ty].bytes;
    if (p->x.t.kind == T_STR)
        sc_fail_token(p, "number expected");
    init_room(p, in, size);
    uint64_t v = 0;
    if (p->x.t.kind == T_ID) {
        init_address(p, in, 0);
    } else {
        bool minus = sc_accept(p, '-');
        if (p->x.t.kind != T_INT && p->x.t.kind != T_F32 && p->x.t.kind != T_F64)
            sc_fail_token(p, "initial value expected");
        v = init_number(p, in->d, minus);
        if (sc_is_punct(p, '(')) {
            if (size != 1 || !v)
                sc_fail_token(p, "unexpected token");
            sc_lex_next(&p->x);
            init_address(p, in, v);
            sc_expect(p, ')');
            v = 0;
        }
    }
    memcpy(in->v->init + in->at, &v, size > 8 ? 8 : size);
    in->at += size;
}

static void parse_init(struct parser *p, struct var *v, struct decl *d)
{
    struct init in = {.v = v, .d = d, .open = d->open};
    unsigned depth = 0;
    if (!sc_is_punct(p, '{')) {
        init_scalar(p, &in);
    } else {
        do {
            /* Inner braces only group: compilers write every element of an inner dimension. */
            if (sc_accept(p, '{')) {
                if (++depth > 8)
                    sc_fail_token(p, "braces nested too deeply");
                if (!sc_is_punct(p, '}') && !sc_is_punct(p, '{'))
                    init_scalar(p, &in);
            } else if (sc_accept(p, '}')) {
                depth--;
            } else if (sc_accept(p, ',')) {
                if (!sc_is_punct(p, '{') && !sc_is_punct(p, '}'))
                    init_scalar(p, &in);
            } else {
                sc_fail_token(p, "',' or '}' expected");
            }
        } while (depth);
    }
    v->init_size = in.at;
    if (d->open && v->pub.size < in.at)
        v->pub.size = in.at;
}

static char *name_copy(struct parser *p, const char *s, uint32_t len)
{
    char *n = sc_parse_alloc(p, (size_t)len + 1);
    memcpy(n, s, len);
    return n;
}

static struct sym *sym_add(struct parser *p, struct symtab *t, const struct decl *d)
{
    struct sym *s = sc_symtab_add(t, &p->m->arena, d->name, d->len);
    if (!s)
        sc_fail(p, SC_ERR_NO_MEMORY, d->line, "out of memory");
    s->line = d->line;
    return s;
}

static void shared_add(struct parser *p, struct sym *s, const struct decl *d)
{
    struct sc_module *m = p->m;
    uint64_t bytes = sc_decl_bytes(p, d);
    if (bytes > SC_MAX_SHARED_OPTIN * 4)
        sc_fail(p, SC_ERR_INVALID, d->line, "shared variable '%.*s' is too large", (int)d->len,
                d->name);
    struct shared_var *v = sc_parse_alloc(p, sizeof(*v));
    v->size = bytes;
    v->align = d->align;
    m->shared =
        sc_parse_grow(p, m->shared, m->shared_count, &m->shared_cap, sizeof(*m->shared), 1 << 20);
    s->index = m->shared_count;
    m->shared[m->shared_count++] = v;
}

static void global_add(struct parser *p, struct sym *s, const struct decl *d, bool constant,
                       bool external)
{
    struct sc_module *m = p->m;
    struct var *v = sc_parse_alloc(p, sizeof(*v));
    v->pub.name = name_copy(p, d->name, d->len);
    v->pub.size = d->open ? 0 : sc_decl_bytes(p, d);
    v->pub.align = d->align;
    v->pub.constant = constant;
    v->pub.managed = d->managed;
    v->pub.external = external;
    v->line = d->line;
    m->vars = sc_parse_grow(p, m->vars, m->var_count, &m->var_cap, sizeof(*m->vars), 1 << 20);
    s->index = m->var_count;
    m->vars[m->var_count++] = v;
}

/* Skips all up to the end of the next pair of braces, which has none inside. */
static void braces_skip(struct parser *p)
{
    for (const char *c = "{}"; *c; c++) {
        while (!sc_is_punct(p, *c)) {
            if (p->x.t.kind == T_EOF)
                sc_fail_token(p, *c == '{' ? "'{' expected" : "'}' expected");
            sc_lex_next(&p->x);
        }
    }
    sc_lex_next(&p->x);
}

void sc_parse_var(struct parser *p, enum sym_kind kind, bool constant, bool external, bool weak)
{
    do {
        struct decl d;
        sc_parse_decl(p, &d);
        if (d.range || d.ty == TY_PRED)
            sc_fail(p, SC_ERR_SYNTAX, d.line, "'%.*s' is not a variable", (int)d.len, d.name);
        struct symtab *t = p->f ? &p->names : &p->m->syms;
        struct sym *s = sc_symtab_find(t, d.name, d.len);
        if (!p->f && s) {
            /* The definition of what was only declared, or a weak one once more. */
            if (s->kind != kind && !(s->kind == SYM_DYNSHARED && kind == SYM_SHARED))
                sc_fail(p, SC_ERR_SYNTAX, d.line, "'%.*s' declared twice", (int)d.len, d.name);
            if (kind == SYM_GLOBAL && !external && p->m->vars[s->index]->pub.external) {
                struct var *v = p->m->vars[s->index];
                v->pub.external = false;
                v->pub.size = d.open ? 0 : sc_decl_bytes(p, &d);
                v->pub.align = xg_max_u64(v->pub.align, d.align);
            } else if (!external && !weak) {
                sc_fail(p, SC_ERR_SYNTAX, d.line, "'%.*s' defined twice", (int)d.len, d.name);
            }
        } else {
            s = sym_add(p, t, &d);
            s->kind = kind;
            if (kind == SYM_SHARED && (d.open || (external && !sc_decl_bytes(p, &d))))
                s->kind = SYM_DYNSHARED;
            else if (kind == SYM_SHARED)
                shared_add(p, s, &d);
            else
                global_add(p, s, &d, constant, external);
            s->align = d.align;
        }
        if (sc_accept(p, '=')) {
            if (s->kind != SYM_GLOBAL)
                sc_fail_token(p, "no initial value allowed");
            p->m->vars[s->index]->relocs = NULL;
            if (d.opaque)
                braces_skip(p); /* the way in which it samples */
            else
                parse_init(p, p->m->vars[s->index], &d);
        }
        if (s->kind == SYM_GLOBAL && !external && !p->m->vars[s->index]->pub.size)
            p->m->vars[s->index]->pub.size = 1;
    } while (sc_accept(p, ','));
    sc_expect(p, ';');
}

/* --- functions -------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    enum builtin b;
} builtins[] = {
    {"vprintf", BUILTIN_VPRINTF},
    {"malloc", BUILTIN_MALLOC},
    {"free", BUILTIN_FREE},
    {"__assertfail", BUILTIN_ASSERT},
};

static struct sc_func *func_new(struct parser *p, const char *name, uint32_t len, bool entry)
{
    struct sc_module *m = p->m;
    struct sc_func *f = sc_parse_alloc(p, sizeof(*f));
    f->info.name = name_copy(p, name, len);
    f->info.max_threads = SC_MAX_THREADS;
    f->info.ptx_version = m->version;
    f->info.target = m->target;
    f->module = m;
    f->entry = entry;
    f->line = p->x.t.line;
    m->funcs = sc_parse_grow(p, m->funcs, m->func_count, &m->func_cap, sizeof(*m->funcs), 1 << 20);
    f->index = m->func_count;
    m->funcs[m->func_count++] = f;
    if (entry) {
        m->entries = sc_parse_grow(p, m->entries, m->entry_count, &m->entry_cap,
                                   sizeof(*m->entries), 1 << 16);
        m->entries[m->entry_count++] = f;
    } else {
        for (size_t i = 0; i < XG_ARRAY_LEN(builtins); i++)
            if (!strcmp(f->info.name, builtins[i].name))
                f->builtin = builtins[i].b;
    }
    return f;
}

/* .maxntid and such directives, up to the body or the ';'. */
static void parse_tuning(struct parser *p, struct sc_func *f)
{
    while (p->x.t.kind == T_DIR) {
        bool max = sc_is_dir(p, "maxntid") || sc_is_dir(p, "reqntid");
        bool regs = sc_is_dir(p, "maxnreg"), blocks = sc_is_dir(p, "minnctapersm");
        bool skip = sc_is_dir(p, "maxnctapersm") || sc_is_dir(p, "reqnctapercluster") ||
                    sc_is_dir(p, "maxclusterrank");
        if (max || regs || blocks || skip) {
            uint64_t n = 1;
            sc_lex_next(&p->x);
            do {
                uint64_t k = sc_parse_uint(p);
                n = k && k <= SC_MAX_THREADS ? n * k : SC_MAX_THREADS;
                n = xg_min_u64(n, SC_MAX_THREADS);
            } while (sc_accept(p, ','));
            if (max)
                f->info.max_threads = (uint32_t)xg_min_u64(n, f->info.max_threads);
            else if (regs)
                f->max_regs = (uint32_t)n;
            else if (blocks)
                f->min_blocks = (uint32_t)n;
        } else if (sc_is_dir(p, "noreturn") || sc_is_dir(p, "explicitcluster") ||
                   sc_is_dir(p, "blocksareclusters")) {
            sc_lex_next(&p->x);
        } else if (sc_is_dir(p, "abi_preserve") || sc_is_dir(p, "abi_preserve_control")) {
            sc_lex_next(&p->x);
            sc_parse_uint(p);
        } else if (sc_is_dir(p, "unique_preserve")) {
            sc_lex_next(&p->x);
        } else if (sc_is_dir(p, "pragma")) {
            while (!sc_is_punct(p, ';') && p->x.t.kind != T_EOF)
                sc_lex_next(&p->x);
            sc_expect(p, ';');
        } else if (sc_is_dir(p, "attribute")) {
            sc_parse_attribute(p);
        } else {
            sc_fail(p, SC_ERR_UNSUPPORTED, p->x.t.line, "directive '%.*s'", sc_shown(p->x.t.len),
                    p->x.t.s);
        }
    }
}

/* The function of that name, from an earlier declaration or new. */
static struct sc_func *func_get(struct parser *p, const char *name, uint32_t len, bool entry)
{
    struct sym *s = sc_symtab_find(&p->m->syms, name, len);
    struct sc_func *f;
    if (s) {
        f = s->kind == SYM_FUNC ? p->m->funcs[s->index] : NULL;
        if (!f || f->entry != entry)
            sc_fail_token(p, "declared twice");
        return f;
    }
    f = func_new(p, name, len, entry);
    struct decl d = {.name = name, .len = len, .line = p->x.t.line};
    s = sym_add(p, &p->m->syms, &d);
    s->kind = SYM_FUNC;
    s->index = f->index;
    return f;
}

static void head_copy(struct sc_func *f, const struct sc_func *head)
{
    f->args = head->args;
    f->arg_count = head->arg_count;
    f->results = head->results;
    f->result_count = head->result_count;
    f->frame_local = head->frame_local;
    f->info.params = head->info.params;
    f->info.param_count = head->info.param_count;
    f->info.param_bytes = head->info.param_bytes;
    f->declared = true;
}

static void parse_function(struct parser *p, bool entry)
{
    sc_lex_next(&p->x);
    p->local_top = 0;
    p->vregs = 0;
    while (sc_is_dir(p, "attribute"))
        sc_parse_attribute(p);
    /* The head is parsed into an empty function first: the names of the parameters may differ from
     * those of an earlier declaration, and the body uses the later ones. */
    struct sc_func head = {.entry = entry, .module = p->m};
    struct sc_func *keep = p->f;
    p->f = &head;
    if (!entry && sc_is_punct(p, '('))
        sc_parse_formals(p, &head, true);
    if (p->x.t.kind != T_ID)
        sc_fail_token(p, "function name expected");
    const char *name = p->x.t.s;
    uint32_t len = p->x.t.len, line = p->x.t.line;
    struct sc_func *f = func_get(p, name, len, entry);
    sc_lex_next(&p->x);
    if (sc_is_punct(p, '('))
        sc_parse_formals(p, &head, false);
    if (f->declared && (f->arg_count != head.arg_count || f->result_count != head.result_count))
        sc_fail(p, SC_ERR_SYNTAX, line, "'%.*s' has another number of parameters than before",
                (int)len, name);
    p->f = keep;
    if (f->defined) { /* declared once more: nothing changes */
        if (sc_is_punct(p, '{'))
            sc_fail(p, SC_ERR_SYNTAX, line, "'%.*s' defined twice", (int)len, name);
        struct sc_func unused = *f;
        parse_tuning(p, &unused);
        sc_accept(p, ';');
        sc_symtab_pop(&p->names, NULL);
        return;
    }
    head_copy(f, &head);
    parse_tuning(p, f);
    if (sc_is_punct(p, '{')) {
        f->defined = true;
        f->builtin = BUILTIN_NONE;
        f->line = line;
        p->f = f;
        sc_parse_body(p);
        p->f = NULL;
    } else {
        if (entry)
            sc_fail_token(p, "body of the kernel expected");
        sc_accept(p, ';'); /* nvcc's declaration of vprintf ends with it, some others do not */
    }
    sc_symtab_pop(&p->names, NULL);
}

/* --- module ----------------------------------------------------------------------------------- */

/* CUDA 13 has PTX versions 9.x and targets up to sm_121. */
#define PTX_VERSION_END 10.0
enum { TARGET_MAX = 121 };

static void parse_version(struct parser *p)
{
    sc_lex_next(&p->x);
    if (p->x.t.kind != T_F64)
        sc_fail_token(p, "version expected");
    double v;
    memcpy(&v, &p->x.t.value, 8);
    if (!(v >= 1.0 && v < 100.0))
        sc_fail_token(p, "version expected");
    if (v >= PTX_VERSION_END)
        sc_fail(p, SC_ERR_UNSUPPORTED, p->x.t.line,
                "PTX of version %.1f is newer than softcuda knows", v);
    p->m->version = (uint32_t)(v * 10 + 0.5);
    sc_lex_next(&p->x);
}

static void parse_target(struct parser *p)
{
    do {
        sc_lex_next(&p->x);
        if (p->x.t.kind != T_ID)
            sc_fail_token(p, "target expected");
        if (p->x.t.len > 3 && !memcmp(p->x.t.s, "sm_", 3)) {
            uint32_t n = 0;
            for (uint32_t i = 3; i < p->x.t.len && i < 7; i++)
                if (p->x.t.s[i] >= '0' && p->x.t.s[i] <= '9')
                    n = n * 10 + (uint32_t)(p->x.t.s[i] - '0');
            if (n > TARGET_MAX)
                sc_fail_token(p, "no such target");
            p->m->target = n;
        }
        sc_lex_next(&p->x);
    } while (sc_is_punct(p, ','));
}

static void parse_item(struct parser *p)
{
    bool external = false, weak = false;
    for (;;) {
        if (directive_accept(p, "extern"))
            external = true;
        else if (directive_accept(p, "weak") || directive_accept(p, "common"))
            weak = true;
        else if (!directive_accept(p, "visible") && !directive_accept(p, "static"))
            break;
    }
    const struct token *t = &p->x.t;
    if (sc_is_dir(p, "entry") || sc_is_dir(p, "func")) {
        parse_function(p, sc_is_dir(p, "entry"));
    } else if (directive_accept(p, "global")) {
        sc_parse_var(p, SYM_GLOBAL, false, external, weak);
    } else if (directive_accept(p, "const")) {
        sc_parse_var(p, SYM_GLOBAL, true, external, weak);
    } else if (directive_accept(p, "shared")) {
        sc_parse_var(p, SYM_SHARED, false, external, weak);
    } else if (sc_is_dir(p, "version")) {
        parse_version(p);
    } else if (sc_is_dir(p, "target")) {
        parse_target(p);
    } else if (directive_accept(p, "address_size")) {
        uint32_t line = t->line;
        if (sc_parse_uint(p) != 64)
            sc_fail(p, SC_ERR_UNSUPPORTED, line, ".address_size other than 64");
    } else if (sc_is_dir(p, "file") || sc_is_dir(p, "loc")) {
        sc_lex_skip_line(&p->x);
    } else if (sc_is_dir(p, "section")) {
        braces_skip(p);
    } else if (sc_is_dir(p, "pragma")) {
        while (!sc_is_punct(p, ';') && t->kind != T_EOF)
            sc_lex_next(&p->x);
        sc_expect(p, ';');
    } else if (sc_accept(p, '@')) {
        sc_lex_skip_line(&p->x); /* @@DWARF */
    } else if (t->kind == T_DIR) {
        sc_fail(p, SC_ERR_UNSUPPORTED, t->line, "directive '%.*s'", sc_shown(t->len), t->s);
    } else {
        sc_fail_token(p, "directive expected");
    }
}

static void parser_free(struct parser *p)
{
    sc_fuse_free(p);
    sc_symtab_free(&p->names);
    free(p->code);
    free(p->widths);
    free(p->konst);
    free(p->fixup);
    for (uint32_t i = 0; i < p->table_count; i++)
        free(p->tables[i]);
    free(p->tables);
}

enum sc_status sc_parse(struct sc_module *m, const char *ptx, size_t len, struct log *log)
{
    struct parser *p = calloc(1, sizeof(*p));
    if (!p)
        return SC_ERR_NO_MEMORY;
    jmp_buf fail;
    p->m = m;
    p->fail = &fail;
    if (!setjmp(fail)) {
        sc_lex_start(&p->x, ptx, len);
        while (p->x.t.kind == T_DIR && (sc_is_dir(p, "file") || sc_is_dir(p, "loc")))
            sc_lex_skip_line(&p->x);
        if (!sc_is_dir(p, "version"))
            sc_fail_token(p, ".version expected");
        while (p->x.t.kind != T_EOF)
            parse_item(p);
    }
    enum sc_status st = p->status;
    if (st)
        sc_log(log, "%s\n", p->why);
    parser_free(p);
    free(p);
    return st;
}
