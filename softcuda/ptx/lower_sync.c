/* Instructions that involve other lanes or other warps. */
#include <stdio.h>
#include <string.h>
#include "protocol/base.h"
#include "softcuda/ptx/parse.h"

/* The lanes of `mask` wait here for each other. */
static void warpsync_emit(struct parser *p, uint32_t mask)
{
    struct insn *i = sc_emit(p, "warpsync");
    i->uses |= INSN_LEADER;
    sc_use(i, 1, mask);
}

static uint32_t members_sync(struct parser *p, struct stmt *s, unsigned n, bool sync)
{
    uint32_t mask = sync ? sc_src(p, s, &s->op[n], TY_B32) : sc_konst(p, W32, UINT32_MAX);
    if (sync)
        warpsync_emit(p, mask);
    return mask;
}

static void lower_shfl(struct parser *p, struct stmt *s)
{
    static const char *const modes[] = {"up", "down", "bfly", "idx"};
    bool sync = sc_take(s, "sync");
    const char *mode = NULL;
    for (int i = 0; i < 4; i++)
        if (sc_take(s, modes[i]))
            mode = modes[i];
    if (!mode || sc_take_ty(p, s) != TY_B32)
        sc_unsupported(p, s, "form");
    sc_need(p, s, 4 + sync, 4 + sync);
    uint32_t a = sc_src(p, s, &s->op[1], TY_B32), b = sc_src(p, s, &s->op[2], TY_B32);
    uint32_t c = sc_src(p, s, &s->op[3], TY_B32);
    uint32_t pred = s->pair.kind ? sc_dst(p, s, &s->pair, TY_PRED) : sc_temp(p, W1);
    members_sync(p, s, 4, sync);
    struct insn *i = sc_emit(p, "shfl_%s", mode);
    sc_def(i, 0, sc_dst(p, s, &s->op[0], TY_B32));
    sc_def(i, 1, pred);
    sc_use(i, 2, a);
    sc_use(i, 3, b);
    sc_use(i, 4, c);
}

static void lower_vote(struct parser *p, struct stmt *s)
{
    static const char *const modes[] = {"all", "any", "uni", "ballot"};
    bool sync = sc_take(s, "sync");
    const char *mode = NULL;
    for (int i = 0; i < 4; i++)
        if (sc_take(s, modes[i]))
            mode = modes[i];
    enum ty ty = sc_take_ty(p, s);
    if (!mode || (ty != TY_PRED) != !strcmp(mode, "ballot"))
        sc_unsupported(p, s, "form");
    sc_need(p, s, 2 + sync, 2 + sync);
    uint32_t a = sc_src(p, s, &s->op[1], TY_PRED);
    uint32_t m = members_sync(p, s, 2, sync);
    struct insn *i = sc_emit(p, "vote_%s", mode);
    sc_def(i, 0, sc_dst(p, s, &s->op[0], ty));
    sc_use(i, 1, a);
    sc_use(i, 2, m);
}

static void lower_match(struct parser *p, struct stmt *s)
{
    bool all = sc_take(s, "all");
    if (!all && !sc_take(s, "any"))
        sc_unsupported(p, s, "form");
    sc_take(s, "sync");
    enum ty ty = sc_take_ty(p, s);
    sc_need(p, s, 3, 3);
    if (ty != TY_B32 && ty != TY_B64)
        sc_unsupported(p, s, "type");
    uint32_t a = sc_src(p, s, &s->op[1], ty);
    uint32_t pred = s->pair.kind ? sc_dst(p, s, &s->pair, TY_PRED) : sc_temp(p, W1);
    uint32_t m = members_sync(p, s, 2, true);
    struct insn *i = sc_emit(p, "match_%s_%s", all ? "all" : "any", sc_ty[ty].suffix);
    sc_def(i, 0, sc_dst(p, s, &s->op[0], TY_B32));
    sc_def(i, 1, pred);
    sc_use(i, 2, a);
    sc_use(i, 3, m);
}

static void lower_redux(struct parser *p, struct stmt *s)
{
    static const char *const ops[] = {"add", "min", "max", "and", "or", "xor"};
    const char *op = NULL;
    if (!sc_take(s, "sync"))
        sc_unsupported(p, s, "form");
    for (int i = 0; i < 6 && !op; i++)
        if (sc_take(s, ops[i]))
            op = ops[i];
    enum ty ty = sc_take_ty(p, s);
    sc_need(p, s, 3, 3);
    if (!op || sc_ty[ty].width != W32)
        sc_unsupported(p, s, "form");
    uint32_t a = sc_src(p, s, &s->op[1], ty);
    uint32_t m = members_sync(p, s, 2, true);
    const char *suffix = sc_ty[ty].suffix;
    if (*suffix == 's' && *op != 'm')
        suffix = "u32";
    struct insn *i = sc_emit(p, "redux_%s_%s", op, suffix);
    sc_def(i, 0, sc_dst(p, s, &s->op[0], ty));
    sc_use(i, 1, a);
    sc_use(i, 2, m);
}

static void lower_elect(struct parser *p, struct stmt *s)
{
    if (!sc_take(s, "sync"))
        sc_unsupported(p, s, "form");
    sc_need(p, s, 2, 2);
    uint32_t pred = s->pair.kind ? sc_dst(p, s, &s->pair, TY_PRED) : sc_temp(p, W1);
    uint32_t m = members_sync(p, s, 1, true);
    struct insn *i = sc_emit(p, "elect");
    sc_def(i, 0, sc_dst(p, s, &s->op[0], TY_B32));
    sc_def(i, 1, pred);
    sc_use(i, 2, m);
}

static void lower_activemask(struct parser *p, struct stmt *s)
{
    sc_take_ty(p, s);
    sc_need(p, s, 1, 1);
    struct insn *i = sc_emit(p, "activemask");
    sc_def(i, 0, sc_dst(p, s, &s->op[0], TY_B32));
}

/* --- barriers --------------------------------------------------------------------------------- */

/* o[1] barrier, o[2] threads or 0 for all, imm: 's' sync, 'a' arrive, 'r' reduction with o[3]. */
static struct insn *bar_emit(struct parser *p, uint32_t id, uint32_t threads, char kind)
{
    struct insn *i = sc_emit(p, "bar");
    sc_use(i, 1, id);
    sc_use(i, 2, threads);
    i->imm = kind;
    return i;
}

static void bar_red(struct parser *p, struct stmt *s)
{
    const char *op = sc_take(s, "popc") ? "popc" : sc_take(s, "and") ? "and" : "or";
    if (*op == 'o')
        sc_take(s, "or");
    enum ty ty = sc_take_ty(p, s);
    sc_need(p, s, 3, 4);
    if (ty != (*op == 'p' ? TY_U32 : TY_PRED))
        sc_unsupported(p, s, "type");
    uint32_t id = sc_src(p, s, &s->op[1], TY_U32);
    uint32_t n = s->ops == 4 ? sc_src(p, s, &s->op[2], TY_U32) : sc_konst(p, W32, 0);
    uint32_t v = sc_src(p, s, &s->op[s->ops - 1], TY_PRED);
    sc_use(bar_emit(p, id, n, 'r'), 3, v);
    struct insn *i = sc_emit(p, "bar_result_%s", op);
    sc_def(i, 0, sc_dst(p, s, &s->op[0], ty));
    sc_use(i, 1, id);
}

static void lower_bar(struct parser *p, struct stmt *s)
{
    sc_take(s, "cta");
    sc_take(s, "aligned");
    if (sc_take(s, "warp")) {
        if (!sc_take(s, "sync"))
            sc_unsupported(p, s, "form");
        sc_need(p, s, 1, 1);
        warpsync_emit(p, sc_src(p, s, &s->op[0], TY_B32));
        return;
    }
    if (sc_take(s, "cluster")) { /* a block is a cluster of its own */
        bool wait = sc_take(s, "wait");
        if (!wait && !sc_take(s, "arrive"))
            sc_unsupported(p, s, "form");
        sc_take(s, "release");
        sc_take(s, "relaxed");
        sc_take(s, "acquire");
        if (wait)
            bar_emit(p, sc_konst(p, W32, 16), sc_konst(p, W32, 0), 's');
        return;
    }
    if (sc_take(s, "red")) {
        bar_red(p, s);
        return;
    }
    bool arrive = sc_take(s, "arrive");
    if (!arrive && !sc_take(s, "sync"))
        sc_unsupported(p, s, "form");
    sc_need(p, s, arrive ? 2 : 1, 2);
    uint32_t id = sc_src(p, s, &s->op[0], TY_U32);
    uint32_t n = s->ops == 2 ? sc_src(p, s, &s->op[1], TY_U32) : sc_konst(p, W32, 0);
    bar_emit(p, id, n, arrive ? 'a' : 's');
}

static void lower_fence(struct parser *p, struct stmt *s)
{
    for (unsigned i = 1; i < s->mods; i++)
        s->mod[i].used = true; /* every kind is a full fence */
    sc_emit(p, "fence");
}

/* --- mbarrier --------------------------------------------------------------------------------- */

static uint32_t mbar_address(struct parser *p, struct stmt *s, const struct opnd *o, bool shared)
{
    if (o->kind != OP_MEM || o->base == OP_IMM)
        sc_fail(p, SC_ERR_SYNTAX, s->line, "address in [] expected");
    uint64_t add = (uint64_t)o->offset;
    uint32_t a;
    if (o->base == OP_SYM) {
        a = sc_symbol_address(p, o->sym, 0, W64);
        shared &= o->sym->kind == SYM_SHARED || o->sym->kind == SYM_DYNSHARED;
    } else if (shared && (o->width == W32 || o->width == W64)) {
        a = sc_window_address(p, o->vreg << 1, o->width, o->offset);
        add = 0;
    } else {
        a = sc_widen(p, o->vreg << 1, o->width, W64, false);
    }
    add += shared ? SC_SHARED_BASE : 0;
    if (!add)
        return a;
    uint32_t src[2] = {a, sc_konst(p, W64, add)}, d = sc_temp(p, W64);
    sc_alu(p, d, 2, src, "add_u64");
    return d << 1;
}

static void lower_mbarrier(struct parser *p, struct stmt *s)
{
    static const char *const ops[] = {"init",        "inval",       "arrive",
                                      "arrive_drop", "test_wait",   "try_wait",
                                      "expect_tx",   "complete_tx", "pending_count"};
    static const char *const skip[] = {"release", "acquire", "relaxed", "cta", "cluster"};
    const char *op = NULL;
    for (size_t i = 0; i < XG_ARRAY_LEN(skip); i++)
        sc_take(s, skip[i]);
    for (size_t i = 0; i < XG_ARRAY_LEN(ops) && !op; i++)
        if (sc_take(s, ops[i]))
            op = ops[i];
    if (!op)
        sc_unsupported(p, s, "operation");
    bool tx = !strcmp(op, "arrive") && sc_take(s, "expect_tx");
    bool parity = sc_take(s, "parity"), nocomplete = sc_take(s, "noComplete");
    bool shared =
        sc_take(s, "shared") || sc_take(s, "shared::cta") || sc_take(s, "shared::cluster");
    if (sc_take_ty(p, s) != TY_B64 || nocomplete)
        sc_unsupported(p, s, "form");
    if (!strcmp(op, "pending_count")) {
        sc_need(p, s, 2, 2);
        uint32_t a = sc_src(p, s, &s->op[1], TY_B64);
        sc_alu(p, sc_dst(p, s, &s->op[0], TY_U32), 1, &a, "mbarrier_pending");
        return;
    }
    bool wait = strstr(op, "wait") != NULL, arrive = !strncmp(op, "arrive", 6);
    unsigned first = wait || (arrive && s->ops && s->op[0].kind != OP_MEM);
    sc_need(p, s, first + 1, first + 3);
    uint32_t a = mbar_address(p, s, &s->op[first], shared);
    struct opnd one = {.kind = OP_IMM, .value = 1};
    const struct opnd *arg = s->ops > first + 1 ? &s->op[first + 1] : &one;
    enum ty aty = wait && !parity ? TY_B64 : TY_U32;
    uint32_t b = sc_src(p, s, arg, aty);
    if (aty == TY_U32)
        b = sc_widen(p, b, W32, W64, false);
    struct insn *i = sc_emit(p, "mbarrier_%s%s", wait ? "wait" : op,
                             tx       ? "_tx"
                             : parity ? "_parity"
                                      : "");
    if (wait)
        sc_def(i, 0, sc_dst(p, s, &s->op[0], TY_PRED));
    else
        sc_def(i, 0, first ? sc_dst(p, s, &s->op[0], TY_B64) : sc_temp(p, W64));
    i = &p->code[p->count - 1];
    sc_use(i, 1, b);
    sc_use(i, 4, a);
    if (wait)
        sc_emit(p, "poll");
}

static void lower_nothing(struct parser *p, struct stmt *s)
{
    for (unsigned i = 1; i < s->mods; i++)
        s->mod[i].used = true;
    (void)p;
}

static void lower_nanosleep(struct parser *p, struct stmt *s)
{
    sc_take_ty(p, s);
    sc_need(p, s, 1, 1);
    sc_emit(p, "yield");
}

const struct lower_entry sc_lower_sync[] = {
    {"shfl", lower_shfl, GUARD_AROUND},
    {"vote", lower_vote, GUARD_AROUND},
    {"match", lower_match, GUARD_AROUND},
    {"redux", lower_redux, GUARD_AROUND},
    {"elect", lower_elect, GUARD_AROUND},
    {"activemask", lower_activemask, GUARD_MASK},
    {"bar", lower_bar, GUARD_AROUND},
    {"barrier", lower_bar, GUARD_AROUND},
    {"membar", lower_fence, GUARD_MASK},
    {"fence", lower_fence, GUARD_MASK},
    {"mbarrier", lower_mbarrier, GUARD_MASK},
    {"nanosleep", lower_nanosleep, GUARD_AROUND},
    /* Launches of one stream run one after the other: those that this one depends on have ended. */
    {"griddepcontrol", lower_nothing, GUARD_MASK},
    {"setmaxnreg", lower_nothing, GUARD_MASK},
    {"pmevent", lower_nothing, GUARD_MASK},
    {NULL, NULL, GUARD_MASK},
};
