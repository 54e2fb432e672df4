/*
 * What the parser, the lowering and the executor share: modules, functions, instructions.
 *
 * PTX is parsed and lowered in one pass (lex.c, parse*.c, lower*.c), registers are packed
 * (regalloc.c), and the result is an array of pre-decoded instructions, each with the address of
 * the handler that runs it for 32 lanes (exec*.h). Everything that a module owns is in its arena.
 */
#ifndef SC_PTX_H
#define SC_PTX_H

#include "softcuda/engine.h"

struct warp;
struct insn;
typedef const struct insn *sc_handler(struct warp *w, const struct insn *i);

/* Windows of generic addresses. No process can map memory there, so they are never addresses of
 * device memory. */
#define SC_SHARED_BASE (UINT64_C(1) << 56)
#define SC_LOCAL_BASE  (UINT64_C(2) << 56)
#define SC_PARAM_BASE  (UINT64_C(3) << 56)
#define SC_FUNC_BASE   (UINT64_C(4) << 56)
#define SC_SPACE_SHIFT 56

enum {
    SC_SLOTS = 6,
    SC_MAX_INSNS = 1 << 22,   /* per function */
    SC_MAX_REGS = 1 << 20,    /* per function, virtual */
    SC_MAX_FRAME = 4 << 20,   /* bytes of registers per warp and function */
    SC_MAX_LOCAL = 512 << 10, /* bytes of local memory per thread */
    /* Bytes of local memory per thread, in addition, of entries that recurse or call indirectly. */
    SC_RECURSION_LOCAL = 32 << 10,
    SC_MAX_DEPTH = 256,           /* calls */
    SC_MAX_PARAM = 32 << 10,      /* bytes of kernel parameters */
    SC_RESERVED_SHARED = 1 << 10, /* bytes behind a block's own, for %reserved_smem_offset_* */
};

/* Register widths; the order is that of sc_width_bytes. */
enum width {
    W1,
    W8,
    W16,
    W32,
    W64,
    W_SHAPE, /* what fuse.c knows of the addresses of all lanes; not a value of each lane */
    WIDTHS,
};

/*
 * Operand o[n]: bit 0 clear, byte offset in the frame's registers; set, byte offset in the
 * function's constants. While a function is being built, the former is (virtual register << 1).
 */
struct insn {
    sc_handler *fn;
    uint32_t o[SC_SLOTS];
    union {
        int64_t imm;
        void *ptr;
        uint32_t target; /* instruction index */
    };
    uint32_t line; /* of the PTX */
    uint32_t hint; /* of memory accesses: the range of the last one; changes while kernels run */
    uint16_t op;
    uint8_t defs, uses; /* bit n: slot o[n] is written, is read; the other bits: INSN_* */
};

enum {
    INSN_KEEPS = 0x40,  /* in defs: guarded, so some lanes keep the old value */
    INSN_HAZARD = 0x80, /* in defs: reads sources after it has begun to write */
    INSN_LEADER = 0x40, /* in uses: a branch can arrive here */
    SLOT_BITS = 0x3f,
};

enum sym_kind {
    SYM_GLOBAL, /* .global, .const: device memory */
    SYM_SHARED,
    SYM_DYNSHARED,
    SYM_FRAME,  /* .local, and .param inside device functions: per-thread memory of the frame */
    SYM_KPARAM, /* parameter of a kernel */
    SYM_FUNC,
    SYM_REG,
    SYM_REGS, /* %r<n> */
    SYM_LABEL,
    SYM_PROTO,   /* .callprototype */
    SYM_TARGETS, /* .branchtargets, .calltargets */
};

struct sym {
    struct sym *next; /* in the bucket */
    struct sym *undo; /* the one that was added before it */
    const char *name; /* `len` bytes, no NUL */
    uint32_t len, hash, serial;
    enum sym_kind kind;
    enum width width; /* SYM_REG, SYM_REGS */
    bool defined;
    uint32_t index; /* vreg, function, variable or instruction index */
    uint32_t count; /* SYM_REGS, SYM_TARGETS */
    uint32_t line;
    uint64_t offset, size, align;
    void *data;
};

struct symtab {
    struct sym **bucket;
    uint32_t mask, count;
    struct sym *last;
    uint32_t serial;
    uint64_t seed;
};

struct arena_chunk;
struct arena {
    struct arena_chunk *chunk;
    size_t left;
    char *next;
    size_t total;
};
void *sc_arena_alloc(struct arena *a, size_t size); /* zeroed; NULL: out of memory */
void sc_arena_free(struct arena *a);

struct sym *sc_symtab_find(const struct symtab *t, const char *name, size_t len);
/* The new symbol is zeroed but for its name. NULL: out of memory. */
struct sym *sc_symtab_add(struct symtab *t, struct arena *a, const char *name, size_t len);
void sc_symtab_pop(struct symtab *t, struct sym *until);
void sc_symtab_free(struct symtab *t);

enum reloc_kind { RELOC_VAR, RELOC_SHARED, RELOC_FUNC };
struct reloc {
    struct reloc *next;
    enum reloc_kind kind;
    uint32_t index;
    uint32_t shift, bytes; /* in initialisers: which part of the address */
    uint64_t offset;       /* in the constants or in the initial value */
    int64_t addend;
    bool wide; /* constants: 64-bit lanes */
};

struct var {
    struct sc_var pub;
    uint8_t *init; /* init_size bytes, the rest is zero */
    uint64_t init_size;
    struct reloc *relocs;
    void *address;
    uint32_t line;
};

struct shared_var {
    uint64_t size, align, offset;
};

/* A parameter or result of a device function. It is always per-thread memory of the frame; if PTX
 * declares it as a register, it is copied on entry and at each ret. */
struct formal {
    uint32_t place; /* offset in the frame's local memory */
    uint32_t size, align;
    bool is_reg;
    enum width width;
    uint32_t vreg;
};

enum builtin { BUILTIN_NONE, BUILTIN_VPRINTF, BUILTIN_MALLOC, BUILTIN_FREE, BUILTIN_ASSERT };

struct ref {
    struct ref *next;
    uint32_t index;
};

struct sc_func {
    struct sc_func_info info;
    struct sc_module *module;
    uint32_t index, line;
    bool entry, defined, declared, indirect, address_taken;
    enum builtin builtin;
    const char *why; /* NULL, or why its body cannot run: line and reason */
    struct insn *code;
    uint32_t count;
    char *consts;
    uint32_t const_bytes, const_cap;
    struct reloc *relocs;
    uint32_t reg_bytes;            /* of one warp's frame */
    uint32_t max_regs, min_blocks; /* from .maxnreg and .minnctapersm; 0: not there */
    uint32_t frame_local;          /* bytes per thread of one frame */
    uint32_t stack_local;          /* bytes per thread including everything called */
    struct formal *args, *results;
    uint32_t arg_count, result_count;
    struct ref *callees, *shared;
    uint8_t visit;   /* of link.c's walk over the call graph */
    bool open_ended; /* it, or a function that it calls, recurses or calls indirectly */
    /* Running mean of a block's duration, by which it is decided whether to wake the pool. */
    _Atomic uint64_t block_ns;
};

struct call_site {
    struct sc_func *callee; /* NULL: indirect, o[4] holds the address */
    uint32_t arg_count, result_count;
    struct call_arg {
        uint32_t place, size; /* in the caller's frame-local memory */
    } * args, *results;
};

/* Steps acc = x[offset 0] * y[offset 1] + acc, in which all x are reached through one shape, and
 * all y. Nothing else uses the values in between. */
struct chain {
    uint32_t steps, skip;      /* skip: how many plain instructions do the same */
    int32_t least[2], most[2]; /* of the offsets of x, of y */
    int32_t (*offset)[2];
};

struct targets {
    uint32_t count, mapped;
    uint32_t *index; /* instruction indices, after parsing */
};

struct sc_module {
    struct arena arena;
    struct symtab syms;
    struct sc_func **funcs;
    uint32_t func_count, func_cap;
    struct sc_func **entries;
    uint32_t entry_count, entry_cap;
    struct var **vars;
    uint32_t var_count, var_cap;
    struct shared_var **shared;
    uint32_t shared_count, shared_cap;
    uint32_t version, target;
    bool reserved_shared; /* some code asks for %reserved_smem_offset_* */
};

enum sreg {
    SREG_TID_X,
    SREG_TID_Y,
    SREG_TID_Z, /* differ between lanes */
    SREG_LANEID,
    SREG_LANEMASK_EQ,
    SREG_LANEMASK_LE,
    SREG_LANEMASK_LT,
    SREG_LANEMASK_GE,
    SREG_LANEMASK_GT,
    SREG_NTID_X,
    SREG_NTID_Y,
    SREG_NTID_Z,
    SREG_CTAID_X,
    SREG_CTAID_Y,
    SREG_CTAID_Z,
    SREG_NCTAID_X,
    SREG_NCTAID_Y,
    SREG_NCTAID_Z,
    SREG_WARPID,
    SREG_NWARPID,
    SREG_SMID,
    SREG_NSMID,
    SREG_GRIDID,
    SREG_CLOCK,
    SREG_CLOCK_HI,
    SREG_CLOCK64,
    SREG_TIMER,
    SREG_TIMER_LO,
    SREG_TIMER_HI,
    SREG_DYNSHARED,
    SREG_DYNSHARED_SIZE,
    SREG_SHARED_SIZE,
    SREG_ENV1,
    SREG_ENV2,
    SREG_RESERVED_BEGIN,
    SREG_RESERVED_END,
    SREG_RESERVED_CAP,
    SREG_RESERVED_1,
    SREG_ZERO,
    SREG_ONE,
};

/* --- handlers --------------------------------------------------------------------------------- */

/* The number of a handler, 0: there is no such one. */
unsigned sc_op_find(const char *name);
const char *sc_op_name(unsigned op);
sc_handler *sc_op_handler(unsigned op);
extern unsigned sc_op_label;

/* --- passes ----------------------------------------------------------------------------------- */

struct log {
    char *text;
    size_t size, used;
};
void sc_log(struct log *l, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

enum sc_status sc_parse(struct sc_module *m, const char *ptx, size_t len, struct log *log);
/* Gives the `vregs` virtual registers of f's code their offsets in the frame. SC_ERR_UNSUPPORTED:
 * the frame would be too large. */
enum sc_status sc_regalloc(struct sc_func *f, const uint8_t *widths, uint32_t vregs);
enum sc_status sc_link_frames(struct sc_module *m, struct log *log);

/* Of one register of a warp. */
static const uint16_t sc_width_bytes[WIDTHS] = {4, 64, 64, 128, 256, 128};

/* FNV-1a, for the fixed tables of names. */
static inline uint32_t sc_name_hash(const char *s, size_t len)
{
    uint32_t h = 2166136261u;
    for (size_t i = 0; i < len; i++)
        h = (h ^ (uint8_t)s[i]) * 16777619u;
    return h;
}

#endif
