/* The parser's state, and the functions that parser and lowering share. Errors leave by longjmp:
 * all memory is in the module's arena or in struct parser, and sc_parse and its caller free both.
 * If the body of a function needs what softcuda does not have, only that function is refused; any
 * other error refuses the module. */
#ifndef SC_PARSE_H
#define SC_PARSE_H

#include <setjmp.h>
#include "softcuda/ptx/lex.h"
#include "softcuda/ptx/ptx.h"

enum ty {
    TY_NONE,
    TY_U8,
    TY_U16,
    TY_U32,
    TY_U64,
    TY_S8,
    TY_S16,
    TY_S32,
    TY_S64,
    TY_B8,
    TY_B16,
    TY_B32,
    TY_B64,
    TY_B128,
    TY_F16,
    TY_F16X2,
    TY_BF16,
    TY_BF16X2,
    TY_F32,
    TY_F64,
    TY_PRED,
    TY_COUNT,
};

struct ty_info {
    const char *name;   /* as PTX writes it */
    const char *suffix; /* in the names of handlers, where b32 is u32 */
    enum width width;
    char kind; /* u, s, b, f, p */
    uint8_t bytes;
};
extern const struct ty_info sc_ty[TY_COUNT];
enum ty sc_ty_parse(const char *s, size_t len); /* without the dot */

enum opnd_kind {
    OP_NONE,
    OP_REG,
    OP_IMM,
    OP_F32,
    OP_F64,
    OP_SYM, /* address of sym + offset */
    OP_SREG,
    OP_NAME, /* not known, or not yet: a label */
    OP_SINK, /* _ */
    OP_VEC,  /* {a, b}: elements vec[first ..] of the statement */
    OP_MEM,  /* [base + offset] */
};

struct opnd {
    enum opnd_kind kind, base; /* base: OP_REG, OP_SYM or OP_IMM */
    bool negated;
    uint8_t first, n;
    enum width width;
    uint32_t vreg; /* OP_REG; OP_SREG: its number */
    uint64_t value;
    int64_t offset;
    struct sym *sym;
    const char *name;
    uint32_t len;
};

enum { MAX_MODS = 16, MAX_OPNDS = 10, MAX_VEC = 32, MAX_NEST = 64 };

struct stmt {
    uint32_t line;
    struct {
        const char *s; /* without the dot */
        uint32_t len;
        bool used;
    } mod[MAX_MODS]; /* mod[0]: the mnemonic */
    unsigned mods;
    struct opnd op[MAX_OPNDS], pair; /* pair: q of p|q */
    unsigned ops;
    struct opnd vec[MAX_VEC];
    unsigned vecs;
    bool guarded, guard_not;
    uint32_t guard; /* encoded operand */
};

struct fixup {
    uint32_t insn, line;
    const char *name;
    uint32_t len;
    uint32_t *slot; /* where the index goes, if not into an instruction */
};

struct konst {
    uint64_t value;
    uint32_t offset;
    uint8_t width; /* +1; 0: free */
};

struct parser {
    struct lexer x;
    struct sc_module *m;
    jmp_buf *fail; /* where errors go: sc_parse_body, or sc_parse */
    enum sc_status status;
    char why[300]; /* text of the error */

    /* The function that is being parsed. */
    struct sc_func *f;
    struct symtab names;
    struct insn *code;
    uint32_t count, cap;
    uint8_t *widths;
    uint32_t vregs, vreg_cap;
    struct konst *konst;
    uint32_t konst_count, konst_mask, const_bytes;
    struct fixup *fixup;
    uint32_t fixups, fixup_cap;
    uint32_t local_top;
    uint32_t line; /* of the current statement */
    bool keeps;    /* inside a guard */
    void **tables; /* of .reg %r<n>, to be freed */
    uint32_t table_count, table_cap;
    unsigned nest;
    struct fuser *fuser; /* fuse.c's, here so that it is freed after an error */
    uint32_t reloc_steps;
    uint32_t carry; /* vreg of CC.CF + 1, 0: not used yet */
};

/* How much of a name of `len` bytes a message shows, for "%.*s". */
static inline int sc_shown(uint32_t len)
{
    return len > 60 ? 60 : (int)len;
}

_Noreturn void sc_fail(struct parser *p, enum sc_status st, uint32_t line, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* `what` at the current token; `what` in front of it. */
_Noreturn void sc_fail_token(struct parser *p, const char *what);
_Noreturn void sc_fail_before(struct parser *p, const char *what);
void *sc_parse_alloc(struct parser *p, size_t size); /* arena, zeroed, never NULL */
void *sc_parse_grow(struct parser *p, void *array, uint32_t count, uint32_t *cap, size_t item,
                    uint32_t limit);

/* parse.c */
bool sc_is_punct(struct parser *p, char c);
bool sc_accept(struct parser *p, char c);
void sc_expect(struct parser *p, char c);
bool sc_is_dir(struct parser *p, const char *name);
uint64_t sc_parse_uint(struct parser *p);
void sc_parse_var(struct parser *p, enum sym_kind kind, bool constant, bool external, bool weak);
struct sym *sc_find(struct parser *p, const char *name, size_t len);
void sc_parse_attribute(struct parser *p);
struct decl {
    enum ty ty;
    uint64_t align, size, count; /* size: of one element */
    bool array, open;
    unsigned vector;
    const char *name;
    uint32_t len, line;
    bool managed, range;
    bool opaque; /* .texref and its like */
};
void sc_parse_decl(struct parser *p, struct decl *d);
uint64_t sc_decl_bytes(struct parser *p, const struct decl *d);

/* parse_body.c */
void sc_parse_body(struct parser *p);
void sc_parse_operand(struct parser *p, struct stmt *s, struct opnd *o, bool nested);
void sc_add_fixup(struct parser *p, uint32_t insn, const struct opnd *label);
uint32_t sc_frame_alloc(struct parser *p, uint64_t size, uint64_t align);
void sc_parse_formals(struct parser *p, struct sc_func *f, bool results);
uint32_t sc_vreg(struct parser *p, enum width w);
void sc_ref_add(struct parser *p, struct ref **list, uint32_t index);

/* fuse.c: on the function that is being parsed, before registers are packed */
void sc_fuse(struct parser *p);
void sc_fuse_free(struct parser *p);

/* lower*.c */
typedef void sc_lower(struct parser *p, struct stmt *s);
struct lower_entry;
const struct lower_entry *sc_lower_find(const char *mnemonic, size_t len); /* NULL: there is none */
void sc_lower_stmt(struct parser *p, struct stmt *s, const struct lower_entry *e);
void sc_lower_call(struct parser *p, struct stmt *s); /* parses its own operands */
void sc_emit_ret(struct parser *p);
void sc_emit_entry(struct parser *p);

struct insn *sc_emit(struct parser *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void sc_def(struct insn *i, unsigned slot, uint32_t vreg);
void sc_use(struct insn *i, unsigned slot, uint32_t operand);
/* `fmt`: the handler's name. `src`: encoded operands. */
struct insn *sc_alu(struct parser *p, uint32_t d, unsigned n, const uint32_t *src, const char *fmt,
                    ...) __attribute__((format(printf, 5, 6)));
uint32_t sc_konst(struct parser *p, enum width w, uint64_t v);
uint32_t sc_temp(struct parser *p, enum width w);
uint32_t sc_src(struct parser *p, struct stmt *s, const struct opnd *o, enum ty ty);
/* An operand that may be wider than its type: of ld, st and cvt. */
uint32_t sc_src_wide(struct parser *p, struct stmt *s, const struct opnd *o, enum ty ty,
                     enum width *w);
uint32_t sc_dst(struct parser *p, struct stmt *s, const struct opnd *o, enum ty ty);
bool sc_take(struct stmt *s, const char *mod);
enum ty sc_take_ty(struct parser *p, struct stmt *s);
enum ty sc_try_ty(struct stmt *s);
void sc_need(struct parser *p, struct stmt *s, unsigned min, unsigned max);
_Noreturn void sc_unsupported(struct parser *p, struct stmt *s, const char *what);
/* 0: none, else 'n', 'z', 'm', 'p' */
char sc_take_round(struct stmt *s);
void sc_round_begin(struct parser *p, char mode);
void sc_round_end(struct parser *p, char mode);
uint32_t sc_widen(struct parser *p, uint32_t src, enum width from, enum width to, bool sign);
int sc_sreg_find(const char *name, size_t len);
uint32_t sc_sreg_read(struct parser *p, uint32_t number, enum width *w);
uint32_t sc_symbol_address(struct parser *p, const struct sym *s, int64_t offset, enum width w);
uint32_t sc_window_address(struct parser *p, uint32_t base, enum width w, int64_t offset);
bool sc_round_active(char mode);

/* Terminated by an entry without a name. */
struct lower_entry {
    const char *name;
    sc_lower *fn;
    enum {
        GUARD_MASK,   /* runs with a smaller lane mask */
        GUARD_AROUND, /* may wait or leave: a branch is made around it */
        GUARD_OWN,    /* uses the guard itself */
    } guard;
};
extern const struct lower_entry sc_lower_alu[], sc_lower_cmp[], sc_lower_cvt[], sc_lower_mem[],
    sc_lower_sync[], sc_lower_ctl[];

#endif
