#include <stdlib.h>
#include <string.h>
#include "softcuda/ptx/lex.h"

enum { C_SPACE = 1, C_ID = 2, C_DIGIT = 4, C_HEX = 8 };

static const uint8_t class_of[256] = {
    [' '] = C_SPACE,
    ['\t'] = C_SPACE,
    ['\r'] = C_SPACE,
    ['\n'] = C_SPACE,
    ['\f'] = C_SPACE,
    ['\v'] = C_SPACE,
    [0] = C_SPACE,
    ['0' ... '9'] = C_ID | C_DIGIT | C_HEX,
    ['a' ... 'f'] = C_ID | C_HEX,
    ['A' ... 'F'] = C_ID | C_HEX,
    ['g' ... 'z'] = C_ID,
    ['G' ... 'Z'] = C_ID,
    ['_'] = C_ID,
    ['$'] = C_ID,
    ['%'] = C_ID,
};

static bool char_is(const struct lexer *x, const char *p, int mask)
{
    return p < x->end && class_of[(uint8_t)*p] & mask;
}

static void blank_skip(struct lexer *x)
{
    while (x->p < x->end) {
        char c = *x->p;
        if (class_of[(uint8_t)c] & C_SPACE) {
            x->line += c == '\n';
            x->p++;
        } else if (c == '/' && x->p + 1 < x->end && x->p[1] == '/') {
            const char *nl = memchr(x->p, '\n', (size_t)(x->end - x->p));
            x->p = nl ? nl : x->end;
        } else if (c == '/' && x->p + 1 < x->end && x->p[1] == '*') {
            x->p += 2;
            while (x->p < x->end && !(*x->p == '*' && x->p + 1 < x->end && x->p[1] == '/'))
                x->line += *x->p++ == '\n';
            x->p = x->end - x->p >= 2 ? x->p + 2 : x->end;
        } else {
            return;
        }
    }
}

static bool lex_digits(struct lexer *x, unsigned base, uint64_t *out)
{
    const char *start = x->p;
    uint64_t v = 0;
    for (; char_is(x, x->p, C_HEX); x->p++) {
        char c = *x->p;
        unsigned d = c <= '9' ? (unsigned)(c - '0') : (unsigned)((c | 32) - 'a' + 10);
        if (d >= base)
            break;
        if (v > (UINT64_MAX - d) / base)
            return false;
        v = v * base + d;
    }
    *out = v;
    return x->p > start;
}

static bool lex_decimal_float(struct lexer *x, const char *start)
{
    char buf[64];
    const char *q = start;
    while (char_is(x, q, C_DIGIT) || (q < x->end && *q == '.') ||
           (q < x->end && (*q == 'e' || *q == 'E')) ||
           (q > start && q < x->end && (*q == '+' || *q == '-') && (q[-1] | 32) == 'e'))
        q++;
    size_t n = (size_t)(q - start);
    if (n >= sizeof(buf))
        return false;
    memcpy(buf, start, n);
    buf[n] = 0;
    char *stop;
    double d = strtod(buf, &stop);
    if (*stop)
        return false;
    memcpy(&x->t.value, &d, 8);
    x->t.kind = T_F64;
    x->p = q;
    return true;
}

static bool lex_number(struct lexer *x)
{
    const char *start = x->p;
    struct token *t = &x->t;
    t->kind = T_INT;
    char c1 = x->end - x->p >= 2 ? x->p[1] : 0;
    if (*x->p == '0' && (c1 | 32) == 'x') {
        x->p += 2;
        if (!lex_digits(x, 16, &t->value))
            return false;
    } else if (*x->p == '0' && ((c1 | 32) == 'f' || (c1 | 32) == 'd')) {
        bool wide = (c1 | 32) == 'd';
        x->p += 2;
        if (!lex_digits(x, 16, &t->value) || x->p - start != (wide ? 18 : 10))
            return false;
        t->kind = wide ? T_F64 : T_F32;
        return !char_is(x, x->p, C_ID);
    } else if (*x->p == '0' && (c1 | 32) == 'b') {
        x->p += 2;
        if (!lex_digits(x, 2, &t->value))
            return false;
    } else {
        const char *q = x->p;
        while (char_is(x, q, C_DIGIT))
            q++;
        if (q < x->end && (*q == '.' || *q == 'e' || *q == 'E'))
            return lex_decimal_float(x, start) && !char_is(x, x->p, C_ID);
        if (!lex_digits(x, *x->p == '0' && q - x->p > 1 ? 8 : 10, &t->value))
            return false;
    }
    if (x->p < x->end && *x->p == 'U') {
        t->is_unsigned = true;
        x->p++;
    }
    return !char_is(x, x->p, C_ID);
}

/* A word, and each ::word that follows it. */
static void lex_word(struct lexer *x)
{
    for (;;) {
        while (char_is(x, x->p, C_ID))
            x->p++;
        if (x->end - x->p >= 3 && x->p[0] == ':' && x->p[1] == ':' && char_is(x, x->p + 2, C_ID))
            x->p += 2;
        else
            return;
    }
}

void sc_lex_next(struct lexer *x)
{
    blank_skip(x);
    struct token *t = &x->t;
    memset(t, 0, sizeof(*t));
    t->s = x->p;
    t->line = x->line;
    if (x->p >= x->end) {
        t->kind = T_EOF;
        t->s = "end of text";
        t->len = 11;
        return;
    }
    char c = *x->p;
    if (class_of[(uint8_t)c] & C_DIGIT) {
        if (!lex_number(x)) {
            t->kind = T_BAD;
            lex_word(x);
        }
    } else if (class_of[(uint8_t)c] & C_ID) {
        t->kind = T_ID;
        while (char_is(x, x->p, C_ID))
            x->p++;
    } else if (c == '.' && char_is(x, x->p + 1, C_DIGIT)) {
        if (!lex_decimal_float(x, x->p)) {
            t->kind = T_BAD;
            x->p++;
        }
    } else if (c == '.' && char_is(x, x->p + 1, C_ID)) {
        t->kind = T_DIR;
        x->p++;
        lex_word(x);
    } else if (c == '"') {
        const char *q = x->p + 1;
        while (q < x->end && *q != '"' && *q != '\n')
            q += *q == '\\' && q + 1 < x->end && q[1] != '\n' ? 2 : 1;
        t->kind = q < x->end && *q == '"' ? T_STR : T_BAD;
        x->p = q < x->end ? q + 1 : x->end;
    } else {
        t->kind = T_PUNCT;
        t->punct = c;
        x->p++;
    }
    t->len = (uint32_t)(x->p - t->s);
}

void sc_lex_start(struct lexer *x, const char *text, size_t len)
{
    memset(x, 0, sizeof(*x));
    x->p = text;
    x->end = text + len;
    x->line = 1;
    sc_lex_next(x);
}

const char *sc_lex_suffix(struct lexer *x, uint32_t *len)
{
    const char *start = x->p;
    while (x->p < x->end && *x->p == '.' && char_is(x, x->p + 1, C_ID)) {
        x->p++;
        lex_word(x);
    }
    *len = (uint32_t)(x->p - start);
    return start;
}

void sc_lex_skip_line(struct lexer *x)
{
    /* From the current token on, not from x->p, which may already be in a later line. */
    if (x->t.kind == T_EOF)
        return;
    const char *nl = memchr(x->t.s, '\n', (size_t)(x->end - x->t.s));
    x->p = nl ? nl : x->end;
    x->line = x->t.line;
    sc_lex_next(x);
}
