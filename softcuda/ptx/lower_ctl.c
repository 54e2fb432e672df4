/* Branches and calls. */
#include <stdio.h>
#include <string.h>
#include "protocol/base.h"
#include "softcuda/ptx/parse.h"

void sc_add_fixup(struct parser *p, uint32_t insn, const struct opnd *label)
{
    p->fixup = sc_parse_grow(p, p->fixup, p->fixups, &p->fixup_cap, sizeof(*p->fixup), 1 << 24);
    p->fixup[p->fixups++] =
        (struct fixup){.insn = insn, .line = p->line, .name = label->name, .len = label->len};
}

static void lower_bra(struct parser *p, struct stmt *s)
{
    sc_take(s, "uni");
    sc_need(p, s, 1, 1);
    if (s->op[0].kind != OP_NAME)
        sc_fail(p, SC_ERR_SYNTAX, s->line, "label expected");
    uint32_t at = p->count;
    struct insn *i = sc_emit(p, !s->guarded ? "bra" : s->guard_not ? "bra_not" : "bra_if");
    if (s->guarded)
        sc_use(i, 1, s->guard);
    sc_add_fixup(p, at, &s->op[0]);
}

static void lower_brx(struct parser *p, struct stmt *s)
{
    sc_take(s, "uni");
    if (!sc_take(s, "idx"))
        sc_unsupported(p, s, "form");
    sc_need(p, s, 2, 2);
    uint32_t index = sc_src(p, s, &s->op[0], TY_U32);
    const struct opnd *o = &s->op[1];
    if (o->kind != OP_SYM || o->sym->kind != SYM_TARGETS)
        sc_fail(p, SC_ERR_SYNTAX, s->line, "a list of .branchtargets expected");
    struct insn *i = sc_emit(p, "brx");
    sc_use(i, 1, index);
    i->ptr = o->sym->data;
}

void sc_emit_entry(struct parser *p)
{
    for (uint32_t n = 0; n < p->f->arg_count; n++) {
        const struct formal *a = &p->f->args[n];
        if (!a->is_reg || p->f->entry)
            continue;
        struct insn *i = sc_emit(p, "ld_frame_%u", a->size * 8);
        sc_def(i, 0, a->vreg);
        i->imm = a->place;
    }
}

void sc_emit_ret(struct parser *p)
{
    if (p->f->entry) {
        sc_emit(p, "exit");
        return;
    }
    for (uint32_t n = 0; n < p->f->result_count; n++) {
        const struct formal *a = &p->f->results[n];
        if (!a->is_reg)
            continue;
        struct insn *i = sc_emit(p, "st_frame_%u", a->size * 8);
        sc_use(i, 0, a->vreg << 1);
        i->imm = a->place;
    }
    sc_emit(p, "ret");
}

static void lower_ret(struct parser *p, struct stmt *s)
{
    sc_take(s, "uni");
    sc_need(p, s, 0, 0);
    sc_emit_ret(p);
}

static void lower_exit(struct parser *p, struct stmt *s)
{
    sc_need(p, s, 0, 0);
    sc_emit(p, "exit");
}

static void lower_trap(struct parser *p, struct stmt *s)
{
    sc_need(p, s, 0, 0);
    sc_emit(p, "trap");
}

/* --- call ------------------------------------------------------------------------------------- */

enum { MAX_ARGS = 256 };

struct call_list {
    struct opnd *o;
    uint32_t n;
};

static void list_parse(struct parser *p, struct stmt *s, struct call_list *l)
{
    struct opnd *tmp = NULL;
    uint32_t cap = 0;
    sc_expect(p, '(');
    while (!sc_is_punct(p, ')')) {
        if (l->n && !sc_accept(p, ','))
            sc_fail_token(p, "',' or ')' expected");
        if (l->n == MAX_ARGS)
            sc_fail_token(p, "too many arguments");
        if (l->n == cap) {
            cap = cap ? cap * 2 : 4;
            tmp = sc_parse_alloc(p, cap * sizeof(*tmp));
            if (l->n)
                memcpy(tmp, l->o, l->n * sizeof(*tmp));
            l->o = tmp;
        }
        sc_parse_operand(p, s, &l->o[l->n++], true);
    }
    sc_expect(p, ')');
}

static const enum ty width_ty[WIDTHS] = {TY_PRED, TY_B8, TY_B16, TY_B32, TY_B64};
static const uint8_t width_bytes[WIDTHS] = {0, 1, 2, 4, 8};

static enum width arg_width(struct parser *p, struct stmt *s, const struct opnd *o,
                            const struct formal *f)
{
    if (o->kind == OP_REG && o->width != W1)
        return o->width;
    if (o->kind != OP_REG && f && (f->size == 1 || f->size == 2 || f->size == 4 || f->size == 8))
        return f->size == 1 ? W8 : f->size == 2 ? W16 : f->size == 4 ? W32 : W64;
    sc_fail(p, SC_ERR_UNSUPPORTED, s->line, "kind of argument");
}

static struct call_arg *args_place(struct parser *p, struct stmt *s, const struct call_list *l,
                                   const struct formal *formals, uint32_t formal_count,
                                   bool results)
{
    struct call_arg *a = sc_parse_alloc(p, (l->n + 1) * sizeof(*a));
    for (uint32_t n = 0; n < l->n; n++) {
        struct opnd *o = &l->o[n];
        if (o->kind == OP_SYM && o->sym->kind == SYM_FRAME) {
            a[n].place = (uint32_t)o->sym->offset;
            a[n].size = (uint32_t)o->sym->size;
            continue;
        }
        if (results && o->kind == OP_SINK) {
            a[n].size = 0;
            continue;
        }
        enum width w = arg_width(p, s, o, n < formal_count ? &formals[n] : NULL);
        a[n].size = width_bytes[w];
        a[n].place = sc_frame_alloc(p, a[n].size, a[n].size);
        if (results)
            continue;
        uint32_t v = sc_src(p, s, o, width_ty[w]);
        struct insn *i = sc_emit(p, "st_frame_%u", a[n].size * 8);
        sc_use(i, 0, v);
        i->imm = a[n].place;
    }
    return a;
}

static void call_emit(struct parser *p, struct stmt *s, const struct opnd *target,
                      struct call_list *results, struct call_list *args)
{
    struct call_site *site = sc_parse_alloc(p, sizeof(*site));
    if (target->kind == OP_SYM && target->sym->kind == SYM_FUNC) {
        site->callee = p->m->funcs[target->sym->index];
        if (site->callee->entry)
            sc_fail(p, SC_ERR_UNSUPPORTED, s->line, "call of a kernel");
        if (site->callee->arg_count != args->n || site->callee->result_count != results->n)
            sc_fail(p, SC_ERR_SYNTAX, s->line, "'%s' takes another number of arguments",
                    site->callee->info.name);
        sc_ref_add(p, &p->f->callees, site->callee->index);
    } else if (target->kind != OP_REG || target->width != W64) {
        sc_fail(p, SC_ERR_SYNTAX, s->line, "function expected");
    } else {
        p->f->indirect = true;
    }
    const struct sc_func *f = site->callee;
    site->arg_count = args->n;
    site->result_count = results->n;
    site->args = args_place(p, s, args, f ? f->args : NULL, f ? f->arg_count : 0, false);
    site->results = args_place(p, s, results, f ? f->results : NULL, f ? f->result_count : 0, true);
    struct insn *i = sc_emit(p, "call");
    i->ptr = site;
    if (!site->callee)
        sc_use(i, 1, target->vreg << 1);
    i->uses |= INSN_LEADER; /* lanes with another target run it again */
    for (uint32_t n = 0; n < results->n; n++) {
        struct opnd *o = &results->o[n];
        if (o->kind != OP_REG)
            continue;
        i = sc_emit(p, "ld_frame_%u", site->results[n].size * 8);
        sc_def(i, 0, o->vreg);
        i->imm = site->results[n].place;
    }
}

void sc_lower_call(struct parser *p, struct stmt *s)
{
    struct call_list results = {0}, args = {0};
    struct opnd target;
    sc_take(s, "uni");
    if (sc_is_punct(p, '(')) {
        list_parse(p, s, &results);
        sc_expect(p, ',');
    }
    sc_parse_operand(p, s, &target, true);
    if (sc_accept(p, ',')) {
        if (sc_is_punct(p, '(')) {
            list_parse(p, s, &args);
            if (sc_accept(p, ',')) { /* prototype or target list: the callee itself is checked */
                struct opnd proto;
                sc_parse_operand(p, s, &proto, true);
            }
        } else {
            struct opnd proto;
            sc_parse_operand(p, s, &proto, true);
        }
    }
    sc_expect(p, ';');
    for (unsigned i = 1; i < s->mods; i++)
        if (!s->mod[i].used)
            sc_unsupported(p, s, "qualifier");
    uint32_t around = p->count;
    if (s->guarded)
        sc_use(sc_emit(p, s->guard_not ? "bra_if" : "bra_not"), 1, s->guard);
    call_emit(p, s, &target, &results, &args);
    if (s->guarded) {
        p->code[around].target = p->count;
        sc_emit(p, "label")->uses |= INSN_LEADER;
    }
}

const struct lower_entry sc_lower_ctl[] = {
    {"bra", lower_bra, GUARD_OWN},      {"brx", lower_brx, GUARD_AROUND},
    {"ret", lower_ret, GUARD_AROUND},   {"exit", lower_exit, GUARD_AROUND},
    {"trap", lower_trap, GUARD_AROUND}, {"brkpt", lower_trap, GUARD_AROUND},
    {NULL, NULL, GUARD_MASK},
};
