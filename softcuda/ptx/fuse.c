/*
 * Between lowering and packing: finds accesses of one stretch of code through one address register,
 * and inserts an instruction (shape_*) that examines the addresses once for all of them. Then it
 * finds chains of multiply-adds on operands that were just loaded that way. The plain instructions
 * stay: they run if the operands of a chain are not arranged as it needs.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "protocol/base.h"
#include "softcuda/ptx/parse.h"

enum { FAMILIES = 4, SIZES = 4, MAX_STEPS = 1024 };

static const char *const families[FAMILIES] = {"global", "shared", "shared32", "generic"};

static struct {
    bool ready;
    uint16_t ld[FAMILIES][SIZES], st[FAMILIES][SIZES], ldx[FAMILIES][SIZES], stx[FAMILIES][SIZES];
    uint16_t shape[FAMILIES];
    uint16_t fma, chain, brx, guard_if, guard_not, unguard;
    uint16_t stops[16];
    unsigned stop_count;
} ops;

static uint16_t op_named(const char *a, const char *b, unsigned bits)
{
    char name[32];
    if (bits)
        snprintf(name, sizeof(name), "%s_%s_%u", a, b, bits);
    else
        snprintf(name, sizeof(name), "%s%s%s", a, *b ? "_" : "", b);
    return (uint16_t)sc_op_find(name);
}

static void ops_init(void)
{
    /* Where other lanes may join, or the lane mask may change otherwise. */
    static const char *const stops[] = {"label", "bra",  "bra_if", "bra_not", "brx",
                                        "bar",   "call", "ret",    "exit",    "warpsync",
                                        "yield", "trap", "end"};
    for (unsigned f = 0; f < FAMILIES; f++) {
        ops.shape[f] = op_named("shape", families[f], 0);
        for (unsigned s = 0; s < SIZES; s++) {
            ops.ld[f][s] = op_named("ld", families[f], 8u << s);
            ops.st[f][s] = op_named("st", families[f], 8u << s);
            ops.ldx[f][s] = op_named("ldx", families[f], 8u << s);
            ops.stx[f][s] = op_named("stx", families[f], 8u << s);
        }
    }
    for (unsigned n = 0; n < XG_ARRAY_LEN(stops); n++)
        ops.stops[ops.stop_count++] = op_named(stops[n], "", 0);
    ops.fma = op_named("fma", "f32", 0);
    ops.chain = op_named("fma_chain", "", 0);
    ops.brx = op_named("brx", "", 0);
    ops.guard_if = op_named("guard_if", "", 0);
    ops.guard_not = op_named("guard_not", "", 0);
    ops.unguard = op_named("unguard", "", 0);
}

/* True: `op` is an access, of that family, size and direction. */
static bool op_is_access(uint16_t op, unsigned *family, unsigned *size, bool *store)
{
    for (unsigned f = 0; f < FAMILIES; f++)
        for (unsigned s = 0; s < SIZES; s++)
            if (op == ops.ld[f][s] || op == ops.st[f][s]) {
                *family = f;
                *size = s;
                *store = op == ops.st[f][s];
                return true;
            }
    return false;
}

static bool op_is_stop(uint16_t op)
{
    for (unsigned n = 0; n < ops.stop_count; n++)
        if (op == ops.stops[n])
            return true;
    return false;
}

struct fuser {
    struct parser *p;
    uint32_t *stretch; /* per register: the stretch of its latest access + 1 */
    uint32_t *member;  /* per register: its set of accesses in that stretch */
    uint32_t *set_of;  /* per instruction: its set + 1 */
    uint32_t *uses;    /* per set: accesses; then the shape's register + 1 */
    uint32_t sets;
    uint32_t *reads, *writes; /* per register */
    struct insn *out;
    uint32_t count, *map; /* old index to new */
    uint32_t round;       /* how often code was moved */
};

static uint8_t *op_class; /* of every op: 0 other, 1 stop, 2 access + (family, size, store) << 2 */

static void sets_find(struct fuser *u)
{
    struct parser *p = u->p;
    uint32_t stretch = 0;
    for (uint32_t n = 0; n < p->count; n++) {
        const struct insn *i = &p->code[n];
        uint8_t class = op_class[i->op];
        if (class == 1) {
            stretch++;
        } else if (class & 2 && !(i->defs & INSN_KEEPS) && i->uses & 16) {
            uint32_t v = i->o[4] >> 1;
            if (u->stretch[v] != stretch + 1) {
                u->stretch[v] = stretch + 1;
                u->member[v] = u->sets++;
            }
            u->set_of[n] = u->member[v] + 1;
            u->uses[u->member[v]]++;
        }
        for (unsigned s = 0; s < SC_SLOTS; s++) {
            if (i->defs >> s & 1) {
                u->stretch[i->o[s] >> 1] = 0;
                u->writes[i->o[s] >> 1]++;
            }
            if (i->uses >> s & 1)
                u->reads[i->o[s] >> 1]++;
        }
    }
}

static struct insn *insn_put(struct fuser *u, const struct insn *i)
{
    u->out[u->count] = *i;
    return &u->out[u->count++];
}

/* Rewrites the accesses of sets with more than one, and puts the shape in front of the first. */
static void shapes_insert(struct fuser *u)
{
    struct parser *p = u->p;
    uint32_t *shape = u->member; /* per set: the same memory is not needed per register any more */
    memset(shape, 0, (u->sets + 1) * sizeof(*shape));
    for (uint32_t n = 0; n < p->count; n++) {
        const struct insn *i = &p->code[n];
        u->map[n] = u->count;
        uint32_t set = u->set_of[n];
        if (!set || u->uses[set - 1] < 2) {
            insn_put(u, i);
            continue;
        }
        unsigned f = op_class[i->op] >> 2 & 3, s = op_class[i->op] >> 4 & 3;
        bool store = op_class[i->op] >> 6 & 1;
        if (!shape[set - 1]) {
            shape[set - 1] = sc_vreg(p, W_SHAPE) + 1;
            struct insn k = {
                .op = ops.shape[f], .line = i->line, .imm = i->imm, .defs = INSN_HAZARD};
            sc_def(&k, 0, shape[set - 1] - 1);
            sc_use(&k, 4, i->o[4]);
            insn_put(u, &k);
        }
        struct insn *x = insn_put(u, i);
        x->op = store ? ops.stx[f][s] : ops.ldx[f][s];
        sc_use(x, 5, (shape[set - 1] - 1) << 1);
    }
    u->map[p->count] = u->count;
}

/* --- chains ----------------------------------------------------------------------------------- */

static bool insn_is_ldx32(const struct insn *i)
{
    for (unsigned f = 0; f < FAMILIES; f++)
        if (i->op == ops.ldx[f][2])
            return i->imm >= INT32_MIN && i->imm <= INT32_MAX;
    return false;
}

/* A register that one instruction writes and one reads. */
static bool used_once(const struct fuser *u, uint32_t operand)
{
    return !(operand & 1) && u->reads[operand >> 1] == 1 && u->writes[operand >> 1] == 1;
}

/* True: c[0 .. 2] are two loads and the multiply-add of both; *x, *y: the loads in its order. */
static bool insns_are_step(const struct fuser *u, const struct insn *c, uint32_t left,
                           const struct insn **x, const struct insn **y)
{
    if (left < 3 || !insn_is_ldx32(&c[0]) || !insn_is_ldx32(&c[1]) || c[2].op != ops.fma ||
        c[2].defs & INSN_KEEPS)
        return false;
    uint32_t a = c[2].o[1], b = c[2].o[2], l0 = c[0].o[0], l1 = c[1].o[0];
    if (!used_once(u, a) || !used_once(u, b) || a == b || c[2].o[3] == l0 || c[2].o[3] == l1)
        return false;
    if (a == l0 && b == l1) {
        *x = &c[0];
        *y = &c[1];
        return true;
    }
    *x = &c[1];
    *y = &c[0];
    return a == l1 && b == l0;
}

static void chain_offsets(struct chain *k, const struct insn *x, const struct insn *y)
{
    const int64_t v[2] = {x->imm, y->imm};
    for (int n = 0; n < 2; n++) {
        int32_t o = (int32_t)v[n];
        k->offset[k->steps][n] = o;
        k->least[n] = !k->steps || o < k->least[n] ? o : k->least[n];
        k->most[n] = !k->steps || o > k->most[n] ? o : k->most[n];
    }
    k->steps++;
}

/* The chain that starts at code[n]; NULL: there is none. */
static struct chain *chain_find(struct fuser *u, uint32_t n)
{
    struct parser *p = u->p;
    const struct insn *c = &p->code[n], *x, *y, *x0 = NULL, *y0 = NULL;
    int32_t offset[MAX_STEPS][2];
    struct chain k = {.offset = offset};
    for (; n + k.skip < p->count && k.steps < MAX_STEPS; k.skip += 3) {
        const struct insn *s = c + k.skip;
        if (!insns_are_step(u, s, p->count - n - k.skip, &x, &y))
            break;
        if (x0) {
            if (x->o[5] == y0->o[5] && y->o[5] == x0->o[5]) {
                const struct insn *t = x;
                x = y;
                y = t;
            }
            if (x->o[5] != x0->o[5] || y->o[5] != y0->o[5] || s[2].o[3] != s[-1].o[0] ||
                !used_once(u, s[-1].o[0]))
                break;
        } else {
            x0 = x;
            y0 = y;
        }
        chain_offsets(&k, x, y);
    }
    if (!k.steps)
        return NULL;
    struct chain *r = sc_parse_alloc(p, sizeof(*r));
    *r = k;
    r->offset = sc_parse_alloc(p, k.steps * sizeof(*r->offset));
    memcpy(r->offset, offset, k.steps * sizeof(*r->offset));
    return r;
}

static void chains_insert(struct fuser *u)
{
    struct parser *p = u->p;
    for (uint32_t n = 0; n < p->count;) {
        struct chain *k = insn_is_ldx32(&p->code[n]) ? chain_find(u, n) : NULL;
        u->map[n] = u->count;
        if (!k) {
            insn_put(u, &p->code[n++]);
            continue;
        }
        const struct insn *first = &p->code[n], *x, *y;
        insns_are_step(u, first, 3, &x, &y);
        struct insn f = {.op = ops.chain, .line = first->line, .ptr = k, .defs = INSN_HAZARD};
        sc_def(&f, 0, p->code[n + k->skip - 1].o[0] >> 1);
        sc_use(&f, 1, x->o[5]);
        sc_use(&f, 2, y->o[5]);
        sc_use(&f, 3, first[2].o[3]);
        f.defs |= INSN_KEEPS; /* if the chain cannot run, the old value must still be there */
        insn_put(u, &f);
        for (uint32_t k2 = 0; k2 < k->skip; k2++, n++) {
            if (k2)
                u->map[n] = u->count;
            insn_put(u, &p->code[n]);
        }
    }
    u->map[p->count] = u->count;
}

/* --- putting the new code in place ------------------------------------------------------------ */

static void jumps_retarget(struct fuser *u)
{
    static const char *const jumps[] = {"bra", "bra_if", "bra_not", "guard_if", "guard_not"};
    uint16_t op[XG_ARRAY_LEN(jumps)];
    for (unsigned k = 0; k < XG_ARRAY_LEN(jumps); k++)
        op[k] = op_named(jumps[k], "", 0);
    for (uint32_t n = 0; n < u->count; n++) {
        struct insn *i = &u->out[n];
        for (unsigned k = 0; k < XG_ARRAY_LEN(op); k++)
            if (i->op == op[k])
                i->target = u->map[i->target];
        if (i->op != ops.brx)
            continue;
        struct targets *t = i->ptr;
        if (t->mapped == u->round) /* done already: several instructions may share it */
            continue;
        t->mapped = u->round;
        for (uint32_t k = 0; k < t->count; k++)
            t->index[k] = u->map[t->index[k]];
    }
}

static void code_adopt(struct fuser *u)
{
    struct parser *p = u->p;
    jumps_retarget(u);
    free(p->code);
    p->code = u->out;
    p->count = u->count;
    p->cap = u->count;
    u->out = NULL;
    u->count = 0;
}

static void class_init(void)
{
    static uint8_t table[UINT16_MAX + 1];
    for (unsigned op = 1; *sc_op_name(op); op++) {
        unsigned f, s;
        bool store;
        if (op_is_stop((uint16_t)op))
            table[op] = 1;
        else if (op_is_access((uint16_t)op, &f, &s, &store))
            table[op] = (uint8_t)(2 | f << 2 | s << 4 | store << 6);
    }
    op_class = table;
}

void sc_fuse(struct parser *p)
{
    static pthread_once_t once_init = PTHREAD_ONCE_INIT;
    static pthread_once_t class_once = PTHREAD_ONCE_INIT;
    pthread_once(&once_init, ops_init);
    pthread_once(&class_once, class_init);
    struct fuser *u = calloc(1, sizeof(*u));
    if (!u)
        return; /* the code works without, only slower */
    size_t n = (size_t)p->count + 1, v = (size_t)p->vregs + n + 1;
    u->p = p;
    u->stretch = calloc(v, sizeof(uint32_t));
    u->member = calloc(v, sizeof(uint32_t));
    u->set_of = calloc(n, sizeof(uint32_t));
    u->uses = calloc(n, sizeof(uint32_t));
    u->reads = calloc(v, sizeof(uint32_t));
    u->writes = calloc(v, sizeof(uint32_t));
    u->map = calloc(3 * n, sizeof(uint32_t));
    u->out = malloc(2 * n * sizeof(*u->out));
    p->fuser = u;
    if (!u->stretch || !u->member || !u->set_of || !u->uses || !u->reads || !u->writes || !u->map ||
        !u->out)
        goto out;
    sets_find(u);
    shapes_insert(u);
    u->round = 1;
    code_adopt(u);
    u->out = malloc(((size_t)p->count + p->count / 3 + 2) * sizeof(*u->out));
    if (!u->out)
        goto out;
    chains_insert(u);
    u->round = 2;
    code_adopt(u);
out:
    sc_fuse_free(p);
}

void sc_fuse_free(struct parser *p)
{
    struct fuser *u = p->fuser;
    if (!u)
        return;
    p->fuser = NULL;
    free(u->stretch);
    free(u->member);
    free(u->set_of);
    free(u->uses);
    free(u->reads);
    free(u->writes);
    free(u->map);
    free(u->out);
    free(u);
}
