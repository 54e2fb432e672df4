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

static void next(struct scan *s)
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

static bool is(const struct scan *s, const char *word)
{
    return s->t.length == strlen(word) && memcmp(s->t.s, word, s->t.length) == 0;
}

static uint64_t number(struct scan *s)
{
    uint64_t v = isdigit((unsigned char)s->t.first) ? strtoull(s->t.s, NULL, 0) : 0;

    next(s);
    return v;
}

static unsigned type_bytes(const struct scan *s)
{
    static const struct {
        const char *name;
        unsigned bytes;
    } types[] = {{".b8", 1},  {".u8", 1},  {".s8", 1},  {".b16", 2}, {".u16", 2}, {".s16", 2},    {".f16", 2},   {".bf16", 2},
                 {".b32", 4}, {".u32", 4}, {".s32", 4}, {".f32", 4}, {".f16x2", 4}, {".bf16x2", 4}, {".b64", 8}, {".u64", 8},
                 {".s64", 8}, {".f64", 8}, {".b128", 16}};

    for (size_t i = 0; i < XG_ARRAY_LEN(types); i++)
        if (is(s, types[i].name))
            return types[i].bytes;
    return 0;
}

/* ".attribute" has been read. True: ".managed" is among what follows in parentheses. */
static bool attribute_managed(struct scan *s)
{
    bool managed = false;
    unsigned depth = 0;

    do {
        next(s);
        depth += s->t.first == '(';
        depth -= s->t.first == ')';
        managed |= is(s, ".managed");
    } while (depth && s->t.first);
    next(s);
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
    next(s);
    while (s->t.first == '.') {
        if (is(s, ".attribute")) {
            d->managed |= attribute_managed(s);
        } else if (is(s, ".align")) {
            next(s);
            d->align = number(s);
        } else if (is(s, ".v2") || is(s, ".v4")) {
            d->vector = (unsigned)(s->t.s[2] - '0');
            next(s);
        } else {
            d->bytes = type_bytes(s);
            d->type = s->t;
            next(s);
        }
    }
    d->name = s->t;
    d->dims = d->dims_end = s->p;
    for (next(s); s->t.first == '['; next(s)) {
        next(s);
        if (__builtin_mul_overflow(d->count, number(s), &d->count) || s->t.first != ']')
            return false;
        d->dims_end = s->p;
    }
    if (s->t.first == '=')
        d->initial = s->t.s;
    while (d->initial && s->t.first && s->t.first != ';')
        next(s);
    d->end = s->p;
    return s->t.first == ';' && d->bytes && is_word(d->name.first) && d->count && d->count < SIZE_MAX_BYTES &&
           d->align <= 4096 && (d->align & (d->align - 1)) == 0;
}

static void definition_write(FILE *out, const struct definition *d, const char *linkage, const char *suffix, bool initial)
{
    fprintf(out, "%s .global", linkage);
    if (d->align)
        fprintf(out, " .align %llu", (unsigned long long)d->align);
    if (d->vector > 1)
        fprintf(out, " .v%u", d->vector);
    fprintf(out, " %.*s %.*s%s%.*s", (int)d->type.length, d->type.s, (int)d->name.length, d->name.s, suffix,
            (int)(d->dims_end - d->dims), d->dims);
    if (initial)
        fprintf(out, " %.*s\n", (int)(d->end - d->initial), d->initial);
    else
        fputs(";\n", out);
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

/* At the level of the module: functions are skipped by their braces. */
static int rewrite(struct scan *s, FILE *out, struct cu_managed_decl **decl, unsigned *count)
{
    const char *kept = s->p, *start = NULL; /* of the declaration that is being read: its linkage, if it has one */
    struct definition d;
    unsigned depth = 0;
    bool external = false;
    int err = 0;

    for (next(s); s->t.first && !err; next(s)) {
        depth += s->t.first == '{';
        depth -= s->t.first == '}' && depth;
        if (depth)
            continue;
        if (is(s, ".visible") || is(s, ".weak") || is(s, ".common") || is(s, ".extern")) {
            external = is(s, ".extern");
            start = s->t.s;
            continue;
        }
        if (!is(s, ".global")) {
            start = NULL;
            external = false;
            continue;
        }
        start = start ? start : s->t.s;
        bool understood = definition_read(s, &d);
        if (d.managed && !external) {
            if (!understood)
                return -EBADMSG;
            fwrite(kept, 1, (size_t)(start - kept), out);
            definition_write(out, &d, ".extern", "", false);
            if (d.initial)
                definition_write(out, &d, ".visible", CU_MANAGED_INITIAL, true);
            kept = d.end;
            err = decl_add(decl, count, &d);
        }
        start = NULL;
        external = false;
    }
    fwrite(kept, 1, (size_t)(s->end - kept), out);
    return err;
}

void cu_managed_decls_free(struct cu_managed_decl *decl, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        free(decl[i].name);
    free(decl);
}

int cu_managed_rewrite(const char *ptx, size_t length, char **text, struct cu_managed_decl **decl, unsigned *count)
{
    struct scan s = {.p = ptx, .end = ptx + strnlen(ptx, length)};
    size_t size;
    FILE *out;
    int err;

    *text = NULL;
    *decl = NULL;
    *count = 0;
    if (!memmem(ptx, length, ".managed", strlen(".managed")))
        return 0;
    out = open_memstream(text, &size);
    if (!out)
        return -ENOMEM;
    err = rewrite(&s, out, decl, count);
    if (fclose(out) && !err)
        err = -ENOMEM;
    if (!err && *count)
        return 0;
    cu_managed_decls_free(*decl, *count);
    free(*text);
    *text = NULL;
    *decl = NULL;
    *count = 0;
    return err;
}
