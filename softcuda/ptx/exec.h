/*
 * The executor's state. A block's warps run on one thread, each until it ends, waits or has used up
 * its budget. A warp is a set of lane groups, each with one program counter. The group runs that is
 * deepest in calls and, of these, first in the program: so lanes meet again after a branch.
 */
#ifndef SC_EXEC_H
#define SC_EXEC_H

#include <stdatomic.h>
#include "softcuda/ptx/ptx.h"

enum {
    MAX_WARPS = SC_MAX_THREADS / SC_WARP,
    BARRIERS = 17,     /* 16, and one for the cluster */
    BUDGET = 2000,     /* backward branches and calls until a warp yields */
    POLL_COST = 20,    /* of the budget, for a volatile load or an atomic: it may be a spin */
    ROTATE_AFTER = 16, /* yields of a divergent warp until other lanes get their turn */
};

enum group_state { GROUP_RUN, GROUP_BAR, GROUP_SYNC };
enum stop { STOP_BLOCKED, STOP_DONE, STOP_YIELD, STOP_FAULT };

/* One activation of a function for the lanes that called it together. */
struct frame {
    struct frame *parent;
    const struct sc_func *f;
    char *regs;
    uint32_t mask;     /* lanes in it or in what it called */
    uint32_t returned; /* of these, waiting for the others to return */
    uint32_t return_pc;
    uint32_t local; /* offset of its per-thread memory */
    uint32_t depth;
    uint32_t size_class;
    const struct call_site *site;
};

struct group {
    struct frame *frame;
    uint32_t pc, mask;
    uint8_t state, barrier;
};

struct block;

struct warp {
    char *base[2]; /* registers; constants less 1 */
    uint32_t mask; /* lanes that execute */
    uint32_t full; /* all lanes of the frame execute, so handlers may write all 32 */
    const struct insn *code;
    struct block *block;
    struct frame *frame;
    uint8_t *shared;
    uint64_t shared_size;
    const struct sc_range *ranges;
    uint32_t range_count;
    int32_t budget;
    uint32_t current, group_count;
    uint32_t live, index;
    uint32_t rotate, yields;
    uint32_t guard_mask, guard_full;
    bool force; /* let lanes pass a warp barrier that nobody else will reach */
    enum stop stop;
    uint8_t *local; /* lane 0; lanes are local_stride apart */
    uint64_t local_stride;
    const uint32_t *tid[3];
    struct frame root;
    struct group group[SC_WARP + 1];
    _Alignas(64) uint32_t lm[SC_WARP]; /* all ones where mask is set; valid unless full */
    _Alignas(64) char tmp[SC_WARP * 8];
    _Alignas(64) char tmp2[SC_WARP * 8];
};

struct barrier {
    uint32_t arrived[MAX_WARPS];
    uint32_t complete; /* warps of which every live lane is here */
    uint32_t need;     /* threads, 0: all */
    bool used;
    uint32_t pop, any, threads, result_pop;
    bool result_all, result_any;
};

struct job;
struct hart;

struct block {
    struct job *job;
    struct hart *hart;
    uint32_t id[3];
    uint32_t warps, live_warps, ready; /* ready: bit per warp */
    uint32_t waiting;                  /* groups at barriers */
    uint8_t *shared;
    char *regs;
    uint8_t *local;
    struct warp *warp;
    struct barrier barrier[BARRIERS];
};

/* One launch in progress. */
struct job {
    const struct sc_launch *launch;
    const struct sc_func *f;
    uint64_t blocks, threads;
    uint32_t warps, shared_size, dyn_shared, reserved;
    uint64_t local_stride;
    const uint8_t *params;
    const struct sc_range *ranges;
    uint32_t range_count;
    void *workspace; /* of grid-wide barriers: zeroed, in `ranges`; NULL unless cooperative */
    _Atomic uint64_t start_ns; /* set at the first look at the clock */
    atomic_uint_fast64_t next, done;
    atomic_int status; /* enum sc_status: the first failure */
    struct sc_fault fault;
    bool listed;               /* in the pool's list */
    struct resident *resident; /* cooperative */
    struct job *list;
    uint32_t helpers; /* pool threads in it */
};

/* A thread that runs blocks, and the memory it keeps for them. */
struct hart {
    uint8_t *shared;
    char *regs;
    size_t regs_size;
    uint8_t *local;
    size_t local_size;
    struct block block;
    struct warp *warp; /* MAX_WARPS */
    uint32_t *tid;     /* [3][SC_MAX_THREADS], for dims */
    uint32_t dims[3];
    uint8_t params[SC_MAX_PARAM];
    struct frame *free_frames[32];
    uint32_t index;
    bool busy; /* it runs a launch; another one could only come from a callback */
};

/* --- warps.c: for handlers; each returns the next instruction, NULL: stop --------------------- */

const struct insn *sc_group_pick(struct warp *w);
const struct insn *sc_diverge(struct warp *w, const struct insn *i, uint32_t taken);
const struct insn *sc_branch_many(struct warp *w, const struct insn *i, const uint32_t *index);
const struct insn *sc_yield(struct warp *w, const struct insn *next);
const struct insn *sc_warpsync(struct warp *w, const struct insn *i, uint32_t members);
const struct insn *sc_bar(struct warp *w, const struct insn *i, uint32_t id, uint32_t threads,
                          uint32_t pred);
const struct insn *sc_call(struct warp *w, const struct insn *i, const uint64_t *address);
const struct insn *sc_ret(struct warp *w, const struct insn *i);
const struct insn *sc_exit(struct warp *w, const struct insn *i);
const struct insn *sc_fault_at(struct warp *w, const struct insn *i, enum sc_status st,
                               unsigned lane, uint64_t address, uint32_t size, bool write);
void sc_set_mask(struct warp *w, uint32_t mask);
uint64_t sc_sreg(struct warp *w, enum sreg r);

/* The host address for an access of lane `lane`; NULL: it is not allowed, *st says why. */
void *sc_translate(struct warp *w, unsigned lane, uint64_t address, uint32_t size, bool write,
                   enum sc_status *st);

/* The first of the warp's memory ranges that ends after `address`; range_count: there is none. */
static inline uint32_t sc_range_find(const struct warp *w, uint64_t address)
{
    uint32_t lo = 0, hi = w->range_count;
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (w->ranges[mid].end <= address)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

/* `linear`: the block's number in the grid. */
void sc_block_start(struct block *b, uint64_t linear);
/* Why the job has to end: a block has failed, its time is over, it was aborted. Or SC_OK. */
enum sc_status sc_job_check(struct job *j);
/* True: the block has ended, or failed (job->status). False: it waits or has yielded. */
bool sc_block_run(struct block *b);

/* builtin.c: true if it was done, else *st says why not */
bool sc_builtin(struct warp *w, enum builtin b, const struct call_site *site, enum sc_status *st);

extern sc_handler *const sc_table_base[], *const sc_table_v3[], *const sc_table_v4[];

#endif
