#include "interposer/cuda/managed_ptx.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/base.h"

#define SIZE_MAX_BYTES ((uint64_t)1 << 40)

/* A word begins with a dot (a directive) or not; anything else is one character. */
struct token {
    const char *s;
    size_t length;
    char first; /* 0: the end */
};

struct scan {
    const char *p, *end;
    struct token t;
};

static bool is_word(char c)
{
    return isalnum((unsigned char)c) || c == '_' || c == '$' || c == '%';
}

static void skip_space(struct scan *s)
{
    while (s->p < s->end) {
        size_t left = (size_t)(s->end - s->p);
        const char *to = NULL;
        if (isspace((unsigned char)*s->p)) {
            s->p++;
            continue;
        }
        if (left >= 2 && s->p[0] == '/' && s->p[1] == '/') {
            to = memchr(s->p, '\n', left);
        } else if (left >= 2 && s->p[0] == '/' && s->p[1] == '*') {
            to = memmem(s->p + 2, left - 2, "*/", 2);
            to = to ? to + 2 : NULL;
        } else {
            return;
        }
        s->p = to ? to : s->end;
    }
}

static void token_next(struct scan *s)
{
    skip_space(s);
    const char *from = s->p;
    if (from == s->end) {
        s->t = (struct token){from, 0, 0};
        return;
    }
    s->p++;
    if (*from == '"')
        while (s->p < s->end && *s->p++ != '"')
            ;
    else if (*from == '.' || is_word(*from))
        while (s->p < s->end && is_word(*s->p))
            s->p++;
    s->t = (struct token){from, (size_t)(s->p - from), *from};
}

static bool token_is(const struct scan *s, const char *word)
{
    return s->t.length == strlen(word) && memcmp(s->t.s, word, s->t.length) == 0;
}

static uint64_t number_read(struct scan *s)
{
    uint64_t v = isdigit((unsigned char)s->t.first) ? strtoull(s->t.s, NULL, 0) : 0;

    token_next(s);
    return v;
}

static unsigned type_bytes(const struct scan *s)
{
    static const struct {
        const char *name;
        unsigned bytes;
    } types[] = {{".b8", 1},  {".u8", 1},  {".s8", 1},    {".b16", 2},    {".u16", 2},
                 {".s16", 2}, {".f16", 2}, {".bf16", 2},  {".b32", 4},    {".u32", 4},
                 {".s32", 4}, {".f32", 4}, {".f16x2", 4}, {".bf16x2", 4}, {".b64", 8},
                 {".u64", 8}, {".s64", 8}, {".f64", 8},   {".b128", 16}};

    for (size_t i = 0; i < XG_ARRAY_LEN(types); i++)
        if (token_is(s, types[i].name))
            return types[i].bytes;
    return 0;
}

/* ".attribute" has been read. True: ".managed" is among what follows in parentheses. */
static bool attribute_managed(struct scan *s)
{
    bool managed = false;
    unsigned depth = 0;

    do {
        token_next(s);
        depth += s->t.first == '(';
        depth -= s->t.first == ')';
        managed |= token_is(s, ".managed");
    } while (depth && s->t.first);
    token_next(s);
    return managed;
}

struct definition {
    bool managed;
    unsigned bytes, vector;
    uint64_t align;
    struct token name;
    const char *dims, *dims_end; /* "[4][2]" */
    const char *initial, *end;   /* from '=' on, NULL: none; behind the ';' */
    struct token type;
    uint64_t count;
};

/* ".global" has been read. False: not something that this understands. */
static bool definition_read(struct scan *s, struct definition *d)
{
    *d = (struct definition){.vector = 1, .count = 1};
    token_next(s);
    while (s->t.first == '.') {
        if (token_is(s, ".attribute")) {
            d->managed |= attribute_managed(s);
        } else if (token_is(s, ".align")) {
            token_next(s);
            d->align = number_read(s);
        } else if (token_is(s, ".v2") || token_is(s, ".v4")) {
            d->vector = (unsigned)(s->t.s[2] - '0');
            token_next(s);
        } else {
            d->bytes = type_bytes(s);
            d->type = s->t;
            token_next(s);
        }
    }
    d->name = s->t;
    d->dims = d->dims_end = s->p;
    for (token_next(s); s->t.first == '['; token_next(s)) {
        token_next(s);
        if (__builtin_mul_overflow(d->count, number_read(s), &d->count) || s->t.first != ']')
            return false;
        d->dims_end = s->p;
    }
    if (s->t.first == '=')
        d->initial = s->t.s;
    while (d->initial && s->t.first && s->t.first != ';')
        token_next(s);
    d->end = s->p;
    return s->t.first == ';' && d->bytes && is_word(d->name.first) && d->count &&
           d->count < SIZE_MAX_BYTES && d->align <= 4096 && (d->align & (d->align - 1)) == 0;
}

static int decl_add(struct cu_managed_decl **decl, unsigned *count, const struct definition *d)
{
    struct cu_managed_decl *more = realloc(*decl, (*count + 1) * sizeof(*more));
    uint64_t unit = (uint64_t)d->bytes * d->vector;

    if (!more)
        return -ENOMEM;
    *decl = more;
    more[*count] = (struct cu_managed_decl){
        .name = strndup(d->name.s, d->name.length),
        .size = unit * d->count,
        .align = xg_max_u64(d->align, unit),
        .initial = d->initial != NULL,
    };
    return more[(*count)++].name ? 0 : -ENOMEM;
}

/* --- finding ---------------------------------------------------------------------------------- */

/* The next definition at the level of the module; functions are skipped by their braces. *start:
 * where it begins, with its linkage. False: there is none. `understood` is said of managed ones
 * only. */
static bool definition_next(struct scan *s, struct definition *d, const char **start,
                            bool *understood)
{
    unsigned depth = 0;
    bool external = false;

    *start = NULL;
    for (token_next(s); s->t.first; token_next(s)) {
        depth += s->t.first == '{';
        depth -= s->t.first == '}' && depth;
        if (depth)
            continue;
        if (token_is(s, ".visible") || token_is(s, ".weak") || token_is(s, ".common") ||
            token_is(s, ".extern")) {
            external = token_is(s, ".extern");
            *start = s->t.s;
            continue;
        }
        if (token_is(s, ".global")) {
            *start = *start ? *start : s->t.s;
            *understood = definition_read(s, d);
            if (d->managed && !external)
                return true;
        }
        *start = NULL;
        external = false;
    }
    return false;
}

void cu_managed_decls_free(struct cu_managed_decl *decl, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        free(decl[i].name);
    free(decl);
}

static struct scan scan_of(const char *ptx, size_t length)
{
    return (struct scan){.p = ptx, .end = ptx + strnlen(ptx, length)};
}

int cu_managed_find_all(const char *ptx, size_t length, struct cu_managed_decl **decl,
                        unsigned *count)
{
    struct scan s = scan_of(ptx, length);
    struct definition d;
    const char *start;
    bool understood;
    int err = 0;

    *decl = NULL;
    *count = 0;
    if (!memmem(ptx, length, ".managed", strlen(".managed")))
        return 0;
    while (!err && definition_next(&s, &d, &start, &understood))
        err = understood ? decl_add(decl, count, &d) : -EBADMSG;
    if (err) {
        cu_managed_decls_free(*decl, *count);
        *decl = NULL;
        *count = 0;
    }
    return err;
}

/* --- writing ---------------------------------------------------------------------------------- */

#define USES_MAX 8u
#define REGISTER "%%xg_managed_"

struct writer {
    FILE *out;
    const char *kept; /* all before it is written */
    const struct cu_managed_decl *decl;
    unsigned count;
};

static const struct cu_managed_decl *variable_find(const struct writer *w, const struct token *t)
{
    for (unsigned i = 0; i < w->count && is_word(t->first); i++)
        if (strlen(w->decl[i].name) == t->length && !memcmp(w->decl[i].name, t->s, t->length))
            return &w->decl[i];
    return NULL;
}

static void keep_until(struct writer *w, const char *to)
{
    fwrite(w->kept, 1, (size_t)(to - w->kept), w->out);
    w->kept = to;
}

/* "generic(name)" or "name", where a value is wanted: the address itself. Stands behind what it has
 * replaced. */
static void value_put(struct writer *w, struct scan *s)
{
    const char *start = s->t.s, *end = s->p;
    struct scan ahead = *s;
    bool generic = token_is(s, "generic");

    if (generic) {
        token_next(&ahead);
        token_next(&ahead);
        end = ahead.p;
    }
    const struct cu_managed_decl *d = variable_find(w, &ahead.t);
    if (generic) {
        token_next(&ahead);
        d = ahead.t.first == ')' ? d : NULL;
        end = ahead.p;
    }
    if (!d)
        return;
    keep_until(w, start);
    fprintf(w->out, "0x%llx", (unsigned long long)d->address);
    w->kept = s->p = end;
}

/* From the token that has been read up to `end`: initial values, or a section. */
static void values_put(struct writer *w, struct scan *s, const char *end)
{
    for (; s->t.first && s->t.s < end; token_next(s))
        value_put(w, s);
}

/* A managed variable is gone; its initial value has another name. */
static void definition_put(struct writer *w, const char *start, const struct definition *d)
{
    keep_until(w, start);
    w->kept = d->end;
    if (!d->initial)
        return;
    fprintf(w->out, ".visible .global");
    if (d->align)
        fprintf(w->out, " .align %llu", (unsigned long long)d->align);
    if (d->vector > 1)
        fprintf(w->out, " .v%u", d->vector);
    fprintf(w->out, " %.*s %.*s" CU_MANAGED_INITIAL "%.*s ", (int)d->type.length, d->type.s,
            (int)d->name.length, d->name.s, (int)(d->dims_end - d->dims), d->dims);
    struct scan s = {.p = d->initial, .end = d->end};
    w->kept = d->initial;
    token_next(&s);
    values_put(w, &s, d->end);
    keep_until(w, d->end);
}

struct use {
    const char *start, *end; /* what a register takes the place of: "name", "name+4" */
    uint64_t value;
};

/* The name has been read. False: an offset that is no number. */
static bool use_read(struct scan *s, const struct cu_managed_decl *d, struct use *u)
{
    struct scan ahead = *s;
    bool minus = false;

    *u = (struct use){s->t.s, s->p, d->address};
    token_next(&ahead);
    if (ahead.t.first != '+' && ahead.t.first != '-')
        return true;
    for (; ahead.t.first == '+' || ahead.t.first == '-'; token_next(&ahead))
        minus ^= ahead.t.first == '-';
    if (!isdigit((unsigned char)ahead.t.first))
        return false;
    uint64_t offset = strtoull(ahead.t.s, NULL, 0);
    u->value += minus ? -offset : offset;
    u->end = s->p = ahead.p;
    return true;
}

static void statement_put(struct writer *w, const char *start, const char *end,
                          const struct use *use, unsigned uses)
{
    keep_until(w, start);
    fprintf(w->out, "{ .reg .b64 " REGISTER "<%u>;", uses);
    for (unsigned i = 0; i < uses; i++)
        fprintf(w->out, " mov.b64 " REGISTER "%u, 0x%llx;", i, (unsigned long long)use[i].value);
    fputc(' ', w->out);
    for (unsigned i = 0; i < uses; i++) {
        keep_until(w, use[i].start);
        fprintf(w->out, REGISTER "%u", i);
        w->kept = use[i].end;
    }
    keep_until(w, end);
    fputs(" }", w->out);
}

/* One statement of a function, whose first token has been read; up to its ';'. */
static int statement_read(struct writer *w, struct scan *s)
{
    const char *start = s->t.s;
    bool directive = s->t.first == '.', generic = false;
    struct use use[USES_MAX];
    unsigned uses = 0;

    for (; s->t.first && s->t.first != ';'; token_next(s)) {
        const struct cu_managed_decl *d = variable_find(w, &s->t);
        if (s->t.first == ':' && !directive && !uses) { /* that was a label */
            token_next(s);
            return s->t.first == ';' || s->t.first == '}' || s->t.first == '{' || s->t.first == '.'
                       ? 1
                       : statement_read(w, s);
        }
        generic |= token_is(s, "generic");
        if (d && (directive || uses == USES_MAX || !use_read(s, d, &use[uses++])))
            return -EBADMSG;
    }
    if (uses && generic)
        return -EBADMSG;
    if (uses)
        statement_put(w, start, s->p, use, uses);
    return 0;
}

/* A function's body, whose '{' has been read; up to its '}'. */
static int body_put(struct writer *w, struct scan *s)
{
    unsigned depth = 1;
    bool read = false; /* the token has been read already */
    int err = 0;

    while (depth && err >= 0) {
        if (!read)
            token_next(s);
        read = false;
        if (!s->t.first)
            break;
        depth += s->t.first == '{';
        depth -= s->t.first == '}';
        if (s->t.first == '{' || s->t.first == '}' || s->t.first == ';')
            continue;
        if (token_is(s, ".loc")) { /* ends with its line */
            const char *line = memchr(s->p, '\n', (size_t)(s->end - s->p));
            s->p = line ? line : s->end;
            continue;
        }
        err = statement_read(w, s);
        read = err == 1;
    }
    return err < 0 ? err : 0;
}

static bool is_linkage(const struct scan *s)
{
    return token_is(s, ".visible") || token_is(s, ".weak") || token_is(s, ".common") ||
           token_is(s, ".extern");
}

/* At the level of the module. */
static int module_put(struct writer *w, struct scan *s)
{
    const char *start = NULL; /* of what is being read: its linkage, if it has one */
    bool external = false, section = false;
    struct definition d;
    int err = 0;

    for (token_next(s); s->t.first && !err; token_next(s)) {
        if (is_linkage(s)) {
            external = token_is(s, ".extern");
            start = s->t.s;
            continue;
        }
        if (token_is(s, ".global")) {
            struct scan ahead = *s;
            definition_read(&ahead, &d);
            if (d.managed && !external) {
                definition_put(w, start ? start : s->t.s, &d);
                *s = ahead;
            }
        } else if (s->t.first == '=') { /* of another variable */
            for (; s->t.first && s->t.first != ';'; token_next(s))
                value_put(w, s);
        } else if (token_is(s, ".section")) {
            section = true;
            continue;
        } else if (s->t.first == '{' && section) {
            for (; s->t.first && s->t.first != '}'; token_next(s))
                value_put(w, s);
        } else if (s->t.first == '{') {
            err = body_put(w, s);
        } else if (section && s->t.first == '.') { /* its name */
            continue;
        }
        start = NULL;
        external = section = false;
    }
    return err;
}

int cu_managed_text(const char *ptx, size_t length, const struct cu_managed_decl *decl,
                    unsigned count, char **text)
{
    struct scan s = scan_of(ptx, length);
    struct writer w = {.kept = ptx, .decl = decl, .count = count};
    size_t size;

    *text = NULL;
    w.out = open_memstream(text, &size);
    if (!w.out)
        return -ENOMEM;
    int err = module_put(&w, &s);
    keep_until(&w, s.end);
    if (fclose(w.out) && !err)
        err = -ENOMEM;
    if (err) {
        free(*text);
        *text = NULL;
    }
    return err;
}
