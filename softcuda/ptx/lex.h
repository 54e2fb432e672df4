/* PTX tokens. */
#ifndef SC_LEX_H
#define SC_LEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum tok {
    T_EOF,
    T_BAD,
    T_ID,  /* name, %register, _ */
    T_DIR, /* .word, with ::parts */
    T_INT,
    T_F32, /* 0f...: value holds the bits */
    T_F64, /* 0d..., 1.5: value holds the bits */
    T_STR,
    T_PUNCT,
};

struct token {
    enum tok kind;
    char punct;
    bool is_unsigned;
    const char *s;
    uint32_t len;
    uint32_t line;
    uint64_t value;
};

struct lexer {
    const char *p, *end;
    uint32_t line;
    struct token t; /* the current one */
};

void sc_lex_start(struct lexer *x, const char *text, size_t len);
void sc_lex_next(struct lexer *x);
/* Right after a T_ID: the ".mod.mod::mod" that follows it without a space; *len may be 0. */
const char *sc_lex_suffix(struct lexer *x, uint32_t *len);
void sc_lex_skip_line(struct lexer *x);

#endif
