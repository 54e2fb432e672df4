/* Lane groups, divergence, calls, barriers, faults: the parts of handlers that need not be fast. */
#include <stdlib.h>
#include <string.h>
#include "protocol/base.h"
#include "softcuda/ptx/exec.h"
#include "softcuda/preempt.h"

/* --- groups ----------------------------------------------------------------------------------- */

void sc_set_mask(struct warp *w, uint32_t mask)
{
    w->mask = mask;
    w->full = mask == w->frame->mask;
    if (!w->full)
        for (int l = 0; l < SC_WARP; l++)
            w->lm[l] = 0u - (mask >> l & 1);
}

static void frame_enter(struct warp *w, struct frame *f)
{
    w->frame = f;
    w->base[0] = f->regs;
    w->base[1] = (char *)((uintptr_t)f->f->consts - 1);
    w->code = f->f->code;
}

static bool group_precedes(const struct group *a, const struct group *b)
{
    if (a->frame->depth != b->frame->depth)
        return a->frame->depth > b->frame->depth;
    return a->pc < b->pc;
}

static void group_drop(struct warp *w, uint32_t n)
{
    w->group[n] = w->group[--w->group_count];
}

/* Chooses the group that runs next, of those in `state`. Groups at the same place join it. */
static bool group_choose(struct warp *w, enum group_state state)
{
    uint32_t best = UINT32_MAX, turn = UINT32_MAX;
    for (uint32_t n = 0; n < w->group_count; n++) {
        struct group *g = &w->group[n];
        if (g->state != state)
            continue;
        if (best == UINT32_MAX || group_precedes(g, &w->group[best]))
            best = n;
        if (!(g->mask & w->rotate) && (turn == UINT32_MAX || group_precedes(g, &w->group[turn])))
            turn = n;
    }
    if (best == UINT32_MAX)
        return false;
    if (w->rotate && turn == UINT32_MAX)
        w->rotate = 0; /* all groups have had a turn */
    else if (w->rotate)
        best = turn;
    struct group chosen = w->group[best];
    for (uint32_t n = 0; n < w->group_count;) {
        struct group *g = &w->group[n];
        if (n != best && g->state == state && g->pc == chosen.pc && g->frame == chosen.frame) {
            chosen.mask |= g->mask;
            group_drop(w, n);
            if (best == w->group_count)
                best = n;
        } else {
            n++;
        }
    }
    chosen.state = GROUP_RUN;
    w->group[best] = chosen;
    w->current = best;
    return true;
}

const struct insn *sc_group_pick(struct warp *w)
{
    w->force = false;
    if (w->group_count == 1 && w->group[0].state == GROUP_RUN)
        w->current = 0; /* the usual case */
    else if (!group_choose(w, GROUP_RUN)) {
        if (!group_choose(w, GROUP_SYNC)) {
            w->stop = w->group_count ? STOP_BLOCKED : STOP_DONE;
            return NULL;
        }
        w->force = true; /* the lanes that these wait for are at a barrier and will not come */
    }
    struct group *g = &w->group[w->current];
    frame_enter(w, g->frame);
    sc_set_mask(w, g->mask);
    const struct insn *i = w->code + g->pc;
    return i->op == sc_op_label ? i + 1 : i;
}

const struct insn *sc_diverge(struct warp *w, const struct insn *i, uint32_t taken)
{
    struct group *g = &w->group[w->current];
    g->pc = (uint32_t)(i + 1 - w->code);
    g->mask = w->mask & ~taken;
    w->group[w->group_count++] =
        (struct group){.frame = g->frame, .pc = i->target, .mask = taken, .state = GROUP_RUN};
    if (i->target <= (uint32_t)(i - w->code) && --w->budget < 0) {
        w->stop = STOP_YIELD;
        return NULL;
    }
    return sc_group_pick(w);
}

const struct insn *sc_branch_many(struct warp *w, const struct insn *i, const uint32_t *index)
{
    const struct targets *t = i->ptr;
    struct group *g = &w->group[w->current];
    const struct group from = *g;
    uint32_t left = w->mask;
    if (--w->budget < 0)
        w->budget = 0; /* the next backward branch looks at the clock */
    while (left) {
        uint32_t lane = (uint32_t)__builtin_ctz(left), same = 0;
        if (index[lane] >= t->count)
            return sc_fault_at(w, i, SC_ERR_TRAP, lane, index[lane], 0, false);
        for (uint32_t m = left; m; m &= m - 1) {
            uint32_t l = (uint32_t)__builtin_ctz(m);
            if (index[l] == index[lane])
                same |= 1u << l;
        }
        left &= ~same;
        struct group to = {.frame = from.frame, .pc = t->index[index[lane]], .mask = same};
        if (to.pc <= (uint32_t)(i - w->code))
            w->budget--;
        if (left)
            w->group[w->group_count++] = to;
        else
            w->group[w->current] = to;
    }
    if (w->budget < 0) {
        w->stop = STOP_YIELD;
        return NULL;
    }
    return sc_group_pick(w);
}

const struct insn *sc_yield(struct warp *w, const struct insn *next)
{
    w->group[w->current].pc = (uint32_t)(next - w->code);
    if (w->group_count > 1 && ++w->yields >= ROTATE_AFTER) {
        w->yields = 0;
        w->rotate |= w->mask;
    }
    w->stop = STOP_YIELD;
    return NULL;
}

const struct insn *sc_warpsync(struct warp *w, const struct insn *i, uint32_t members)
{
    struct group *g = &w->group[w->current];
    uint32_t pc = (uint32_t)(i - w->code);
    if (w->force) {
        w->force = false;
        return i + 1;
    }
    g->pc = pc;
    for (uint32_t n = 0; n < w->group_count;) {
        struct group *o = &w->group[n];
        if (n != w->current && o->pc == pc && o->frame == w->frame && o->state != GROUP_BAR) {
            w->group[w->current].mask |= o->mask;
            if (w->current == w->group_count - 1)
                w->current = n;
            group_drop(w, n);
        } else {
            n++;
        }
    }
    g = &w->group[w->current];
    g->state = GROUP_RUN;
    if (g->mask != w->mask)
        sc_set_mask(w, g->mask);
    if (!(members & w->live & ~w->mask))
        return i + 1;
    g->state = GROUP_SYNC;
    return sc_group_pick(w);
}

/* --- calls ------------------------------------------------------------------------------------ */

static struct frame *frame_alloc(struct hart *h, uint32_t reg_bytes)
{
    size_t size = sizeof(struct frame) + 64 + reg_bytes;
    uint32_t class = 64 - (uint32_t)__builtin_clzll(size - 1);
    struct frame *f = h->free_frames[class];
    if (f) {
        h->free_frames[class] = f->parent;
        return f;
    }
    f = aligned_alloc(64, (size_t)1 << class);
    if (f) {
        f->size_class = class;
        f->regs = (char *)xg_align_up((uintptr_t)(f + 1), 64);
    }
    return f;
}

static void frame_free(struct hart *h, struct frame *f)
{
    f->parent = h->free_frames[f->size_class];
    h->free_frames[f->size_class] = f;
}

static void params_copy(struct warp *w, uint32_t mask, uint64_t to, const struct formal *formals,
                        uint64_t from, const struct call_arg *args, uint32_t n, bool back)
{
    for (uint32_t k = 0; k < n; k++) {
        uint32_t size = args[k].size < formals[k].size ? args[k].size : formals[k].size;
        uint64_t outer = (back ? to : from) + args[k].place;
        uint64_t inner = (back ? from : to) + formals[k].place;
        for (uint32_t m = mask; m && size; m &= m - 1) {
            uint8_t *lane = w->local + (uint32_t)__builtin_ctz(m) * w->local_stride;
            memcpy(lane + (back ? outer : inner), lane + (back ? inner : outer), size);
        }
    }
}

/* The function that the first lane calls. Lanes that call another one wait, and call it later. */
static const struct sc_func *callee_find(struct warp *w, const struct insn *i,
                                         const struct call_site *site, const uint64_t *address)
{
    uint32_t lane = (uint32_t)__builtin_ctz(w->mask), same = 0;
    const struct sc_module *m = w->frame->f->module;
    uint64_t n = (address[lane] - SC_FUNC_BASE) / 16;
    if (address[lane] < SC_FUNC_BASE || address[lane] % 16 || n >= m->func_count)
        return NULL;
    const struct sc_func *f = m->funcs[n];
    if (f->entry || f->arg_count != site->arg_count || f->result_count != site->result_count)
        return NULL;
    for (uint32_t k = w->mask; k; k &= k - 1) {
        uint32_t l = (uint32_t)__builtin_ctz(k);
        if (address[l] == address[lane])
            same |= 1u << l;
    }
    if (same != w->mask) {
        struct group *g = &w->group[w->current];
        g->pc = (uint32_t)(i - w->code);
        g->mask = w->mask & ~same;
        w->group[w->group_count] = (struct group){.frame = g->frame, .mask = same};
        w->current = w->group_count++;
        sc_set_mask(w, same);
    }
    return f;
}

const struct insn *sc_call(struct warp *w, const struct insn *i, const uint64_t *address)
{
    const struct call_site *site = i->ptr;
    uint32_t lane = (uint32_t)__builtin_ctz(w->mask);
    const struct sc_func *f = site->callee ? site->callee : callee_find(w, i, site, address);
    if (!f)
        return sc_fault_at(w, i, SC_ERR_TRAP, lane, address[lane], 0, false);
    uint32_t pc = (uint32_t)(i + 1 - w->code);
    if (!f->defined) {
        enum sc_status st = SC_ERR_UNRESOLVED;
        if (!f->builtin || !sc_builtin(w, f->builtin, site, &st))
            return sc_fault_at(w, i, st, lane, 0, 0, false);
        if (w->group_count == 1)
            return i + 1;
        w->group[w->current].pc = pc;
        return sc_group_pick(w);
    }
    struct frame *up = w->frame, *in;
    uint64_t local = xg_align_up(up->local + up->f->frame_local, 16);
    if (up->depth + 1 >= SC_MAX_DEPTH || local + f->frame_local > w->local_stride)
        return sc_fault_at(w, i, SC_ERR_STACK, lane, 0, 0, false);
    if (!(in = frame_alloc(w->block->hart, f->reg_bytes)))
        return sc_fault_at(w, i, SC_ERR_NO_MEMORY, lane, 0, 0, false);
    in->parent = up;
    in->f = f;
    in->mask = w->mask;
    in->returned = 0;
    in->return_pc = pc;
    in->local = (uint32_t)local;
    in->depth = up->depth + 1;
    in->site = site;
    params_copy(w, w->mask, local, f->args, up->local, site->args, site->arg_count, false);
    struct group *g = &w->group[w->current];
    g->frame = in;
    g->pc = 0;
    if (--w->budget < 0) {
        w->stop = STOP_YIELD;
        return NULL;
    }
    frame_enter(w, in);
    sc_set_mask(w, w->mask);
    return w->code;
}

/* All lanes of the frame have returned: they continue in the caller. */
static void frame_leave(struct warp *w, struct frame *f)
{
    struct frame *up = f->parent;
    params_copy(w, f->returned, up->local, f->f->results, f->local, f->site->results,
                f->site->result_count, true);
    w->group[w->group_count++] =
        (struct group){.frame = up, .pc = f->return_pc, .mask = f->returned, .state = GROUP_RUN};
    frame_free(w->block->hart, f);
}

const struct insn *sc_ret(struct warp *w, const struct insn *i)
{
    struct frame *f = w->frame;
    f->returned |= w->mask;
    group_drop(w, w->current);
    if (f->returned == f->mask)
        frame_leave(w, f);
    return sc_group_pick(w);
}

/* --- barriers --------------------------------------------------------------------------------- */

static void bar_release(struct block *b, uint32_t id)
{
    struct barrier *bar = &b->barrier[id];
    bar->result_pop = bar->pop;
    bar->result_all = bar->pop == bar->threads;
    bar->result_any = bar->any;
    bar->pop = bar->any = bar->threads = 0;
    bar->complete = 0;
    bar->used = false;
    for (uint32_t n = 0; n < b->warps; n++) {
        struct warp *w = &b->warp[n];
        bar->arrived[n] = 0;
        for (uint32_t k = 0; k < w->group_count; k++) {
            struct group *g = &w->group[k];
            if (g->state != GROUP_BAR || g->barrier != id)
                continue;
            g->state = GROUP_RUN;
            b->waiting--;
            b->ready |= 1u << n;
        }
    }
}

static bool bar_complete(const struct block *b, const struct barrier *bar)
{
    if (!bar->need)
        return bar->complete == b->live_warps;
    uint32_t threads = 0;
    for (uint32_t n = 0; n < b->warps; n++) {
        uint32_t a = bar->arrived[n];
        threads += a && (b->warp[n].live & ~a) == 0 ? SC_WARP : (uint32_t)__builtin_popcount(a);
    }
    return threads >= bar->need;
}

const struct insn *sc_bar(struct warp *w, const struct insn *i, uint32_t id, uint32_t threads,
                          uint32_t pred)
{
    struct block *b = w->block;
    struct group *g = &w->group[w->current];
    if (id >= BARRIERS || threads % SC_WARP)
        return sc_fault_at(w, i, SC_ERR_TRAP, (uint32_t)__builtin_ctz(w->mask), id, 0, false);
    struct barrier *bar = &b->barrier[id];
    if (!bar->used) {
        bar->used = true;
        bar->need = threads;
    }
    bool was = bar->arrived[w->index] && !(w->live & ~bar->arrived[w->index]);
    bar->arrived[w->index] |= w->mask;
    bar->complete += !was && !(w->live & ~bar->arrived[w->index]);
    if (i->imm == 'r') {
        pred &= w->mask;
        bar->pop += (uint32_t)__builtin_popcount(pred);
        bar->any |= pred;
        bar->threads += (uint32_t)__builtin_popcount(w->mask);
    }
    g->pc = (uint32_t)(i + 1 - w->code);
    if (i->imm != 'a') {
        g->state = GROUP_BAR;
        g->barrier = (uint8_t)id;
        b->waiting++;
    }
    if (bar_complete(b, bar))
        bar_release(b, id);
    return sc_group_pick(w);
}

/* Lanes have exited: barriers that waited only for them are complete now. */
static void bars_recheck(struct block *b)
{
    for (uint32_t id = 0; id < BARRIERS; id++) {
        struct barrier *bar = &b->barrier[id];
        if (!bar->used)
            continue;
        bar->complete = 0;
        for (uint32_t n = 0; n < b->warps; n++)
            bar->complete +=
                b->warp[n].live && bar->arrived[n] && !(b->warp[n].live & ~bar->arrived[n]);
        if (b->live_warps && bar_complete(b, bar))
            bar_release(b, id);
    }
}

const struct insn *sc_exit(struct warp *w, const struct insn *i)
{
    uint32_t gone = w->mask;
    w->live &= ~gone;
    group_drop(w, w->current);
    for (struct frame *f = w->frame, *up; f; f = up) {
        up = f->parent;
        f->mask &= ~gone;
        if (up && !f->mask)
            frame_free(w->block->hart, f);
        else if (up && f->returned == f->mask)
            frame_leave(w, f);
    }
    if (!w->live)
        w->block->live_warps--;
    if (w->block->waiting)
        bars_recheck(w->block);
    return sc_group_pick(w);
}

/* --- faults and addresses --------------------------------------------------------------------- */

const struct insn *sc_fault_at(struct warp *w, const struct insn *i, enum sc_status st,
                               unsigned lane, uint64_t address, uint32_t size, bool write)
{
    struct block *b = w->block;
    struct job *j = b->job;
    uint32_t t = w->index * SC_WARP + lane;
    const uint32_t *dim = j->launch->block;
    w->stop = STOP_FAULT;
    int none = SC_OK;
    if (!atomic_compare_exchange_strong(&j->status, &none, (int)st))
        return NULL;
    j->fault = (struct sc_fault){
        .address = address,
        .size = size,
        .write = write,
        .line = i->line,
        .block = {b->id[0], b->id[1], b->id[2]},
        .thread = {t % dim[0], t / dim[0] % dim[1], t / dim[0] / dim[1]},
    };
    return NULL;
}

static void *global_translate(struct warp *w, uint64_t a, uint32_t size, bool write)
{
    uint32_t n = sc_range_find(w, a);
    if (n == w->range_count || a < w->ranges[n].start || size > w->ranges[n].end - a ||
        (write && !w->ranges[n].writable))
        return NULL;
    return (void *)a;
}

void *sc_translate(struct warp *w, unsigned lane, uint64_t address, uint32_t size, bool write,
                   enum sc_status *st)
{
    uint64_t at = address & ((UINT64_C(1) << SC_SPACE_SHIFT) - 1);
    void *p = NULL;
    switch (address >> SC_SPACE_SHIFT) {
    case 0: p = global_translate(w, address, size, write); break;
    case SC_SHARED_BASE >> SC_SPACE_SHIFT:
        if (at <= w->shared_size && size <= w->shared_size - at)
            p = w->shared + at;
        break;
    case SC_LOCAL_BASE >> SC_SPACE_SHIFT:
        if (at <= w->local_stride && size <= w->local_stride - at)
            p = w->local + lane * w->local_stride + at;
        break;
    case SC_PARAM_BASE >> SC_SPACE_SHIFT: {
        const struct job *j = w->block->job;
        if (!write && at <= j->f->info.param_bytes && size <= j->f->info.param_bytes - at)
            p = (uint8_t *)j->params + at;
        break;
    }
    default: break;
    }
    *st = p ? SC_OK : SC_ERR_FAULT;
    return p;
}

/* --- blocks ----------------------------------------------------------------------------------- */

static void warp_start(struct block *b, uint32_t n)
{
    struct job *j = b->job;
    struct warp *w = &b->warp[n];
    uint64_t left = j->threads - (uint64_t)n * SC_WARP;
    uint32_t live = left >= SC_WARP ? UINT32_MAX : (1u << left) - 1;
    w->block = b;
    w->index = n;
    w->live = live;
    w->shared = b->shared;
    w->shared_size = j->shared_size;
    w->ranges = j->ranges;
    w->range_count = j->range_count;
    w->local_stride = j->local_stride;
    w->local = b->local ? b->local + (uint64_t)n * SC_WARP * j->local_stride : NULL;
    for (int d = 0; d < 3; d++)
        w->tid[d] = b->hart->tid + d * SC_MAX_THREADS + n * SC_WARP;
    w->root.parent = NULL;
    w->root.f = j->f;
    w->root.regs = b->regs + (uint64_t)n * j->f->reg_bytes;
    w->root.mask = live;
    w->root.returned = 0;
    w->root.local = 0;
    w->root.depth = 0;
    w->group_count = 1;
    w->group[0] = (struct group){.frame = &w->root, .pc = 0, .mask = live, .state = GROUP_RUN};
    w->rotate = w->yields = 0;
    w->budget = BUDGET;
    w->force = false;
}

void sc_block_start(struct block *b, uint64_t linear)
{
    struct job *j = b->job;
    const uint32_t *g = j->launch->grid;
    b->id[0] = (uint32_t)(linear % g[0]);
    b->id[1] = (uint32_t)(linear / g[0] % g[1]);
    b->id[2] = (uint32_t)(linear / g[0] / g[1]);
    b->warps = b->live_warps = j->warps;
    b->ready = b->warps == 32 ? UINT32_MAX : (1u << b->warps) - 1;
    b->waiting = 0;
    for (uint32_t n = 0; n < BARRIERS; n++)
        if (b->barrier[n].used)
            memset(&b->barrier[n], 0, sizeof(b->barrier[n]));
    for (uint32_t n = 0; n < b->warps; n++)
        warp_start(b, n);
}

/* After a failure: frees the frames of calls that did not return. */
static void block_abandon(struct block *b)
{
    for (uint32_t n = 0; n < b->warps; n++) {
        struct warp *w = &b->warp[n];
        while (w->group_count) {
            struct group *g = &w->group[--w->group_count];
            uint32_t gone = g->mask;
            for (struct frame *f = g->frame, *up; f && f->parent; f = up) {
                up = f->parent;
                gone |= f->returned;
                f->mask &= ~gone;
                if (f->mask)
                    break;
                frame_free(b->hart, f);
            }
        }
    }
}

enum sc_status sc_job_check(struct job *j)
{
    const struct sc_launch *l = j->launch;
    int st = atomic_load_explicit(&j->status, memory_order_relaxed);
    if (st)
        return (enum sc_status)st;
    if (l->abort && atomic_load_explicit(l->abort, memory_order_relaxed))
        return SC_ERR_ABORTED;
    if (!l->timeout_ns)
        return SC_OK;
    uint64_t now = xg_now_ns() - sc_gate_stopped_ns();
    uint64_t start = atomic_load_explicit(&j->start_ns, memory_order_relaxed);
    if (!start)
        atomic_store_explicit(&j->start_ns, now, memory_order_relaxed);
    /* start > now: another thread set it after this one had read the clock. */
    return start && now > start && now - start > l->timeout_ns ? SC_ERR_TIMEOUT : SC_OK;
}

static void job_fail(struct job *j, enum sc_status st)
{
    int none = SC_OK;
    atomic_compare_exchange_strong(&j->status, &none, (int)st);
}

static enum stop warp_run(struct warp *w)
{
    const struct insn *i = sc_group_pick(w);
    while (i)
        i = i->fn(w, i);
    if (w->stop == STOP_YIELD) /* not if it waits: a loop with a barrier must yield some time too */
        w->budget = BUDGET;
    return w->stop;
}

/* Each warp that can run gets one turn per call for as long as none of them yields. */
bool sc_block_run(struct block *b)
{
    bool yielded = false;
    while (b->ready && !yielded) {
        for (uint32_t turn = b->ready; turn; turn &= turn - 1) {
            uint32_t n = (uint32_t)__builtin_ctz(turn);
            b->ready &= ~(1u << n);
            enum stop stop = warp_run(&b->warp[n]);
            if (stop == STOP_FAULT) {
                block_abandon(b);
                return true;
            }
            if (stop == STOP_YIELD) {
                b->ready |= 1u << n;
                yielded = true;
                sc_gate_pass();
            }
        }
    }
    if (!b->live_warps)
        return true;
    /* No warp can run: threads wait at barriers that the others never reach. A GPU would hang until
     * its watchdog ends the kernel. */
    enum sc_status st = b->ready ? sc_job_check(b->job) : SC_ERR_TIMEOUT;
    if (!st)
        return false;
    job_fail(b->job, st);
    block_abandon(b);
    return true;
}

uint64_t sc_sreg(struct warp *w, enum sreg r)
{
    const struct job *j = w->block->job;
    const struct sc_launch *l = j->launch;
    switch (r) {
    case SREG_NTID_X: return l->block[0];
    case SREG_NTID_Y: return l->block[1];
    case SREG_NTID_Z: return l->block[2];
    case SREG_CTAID_X: return w->block->id[0];
    case SREG_CTAID_Y: return w->block->id[1];
    case SREG_CTAID_Z: return w->block->id[2];
    case SREG_NCTAID_X: return l->grid[0];
    case SREG_NCTAID_Y: return l->grid[1];
    case SREG_NCTAID_Z: return l->grid[2];
    case SREG_WARPID: return w->index;
    case SREG_NWARPID: return MAX_WARPS;
    case SREG_SMID: return w->block->hart->index;
    case SREG_NSMID: return sc_engine_threads();
    case SREG_CLOCK:
    case SREG_CLOCK64:
    case SREG_TIMER:
    case SREG_TIMER_LO: return xg_now_ns();
    case SREG_CLOCK_HI:
    case SREG_TIMER_HI: return xg_now_ns() >> 32;
    case SREG_DYNSHARED: return j->dyn_shared;
    case SREG_DYNSHARED_SIZE: return l->dynamic_shared;
    case SREG_SHARED_SIZE: return j->shared_size;
    case SREG_RESERVED_BEGIN: return j->reserved;
    case SREG_RESERVED_END: return j->reserved + SC_RESERVED_SHARED;
    case SREG_RESERVED_CAP: return SC_RESERVED_SHARED;
    case SREG_RESERVED_1: return j->reserved + SC_RESERVED_SHARED / 2;
    case SREG_ENV1: return (uint64_t)(uintptr_t)j->workspace >> 32;
    case SREG_ENV2: return (uint32_t)(uintptr_t)j->workspace;
    case SREG_ONE: return 1;
    default: return 0;
    }
}
