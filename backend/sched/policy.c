/*
 * How much of the device a guest may have at most, whether others want it or not: by the policy of
 * its pGPU, and by a cap of its own. Each such guest has a budget of device time: its share of the
 * time that passes is added, what it is charged is subtracted. A guest whose budget is spent waits
 * until there is enough for a turn.
 */
#include "backend/sched/core.h"

/* Added to a computed time, so that rounding does not make it too early. */
#define ROUND_NS 1000u
/* Enough to fill the budget of a guest that is not deep in debt; multiplied by a share it still
 * fits 64 bits. */
#define PASSED_MAX_NS (1ull << 43)
#define KEPT_MAX_NS   10000000000u

uint64_t xg_core_quantum(const struct xg_core *c)
{
    return c->config.quantum_ns ? c->config.quantum_ns : XG_QUANTUM_NS;
}

static int64_t share_of(const struct xg_core_guest *g, uint64_t ns)
{
    return (int64_t)((ns * g->share) >> XG_CORE_SHARE_BITS);
}

/* How much unused budget a guest can keep for later: its share of the averaging time. */
static int64_t budget_most(const struct xg_core *c, const struct xg_core_guest *g)
{
    uint64_t average = c->config.average_ns ? c->config.average_ns : XG_AVERAGE_NS;
    return share_of(g, average) > (int64_t)(xg_core_quantum(c) / 2)
               ? share_of(g, average)
               : (int64_t)(xg_core_quantum(c) / 2);
}

/* The budget at which a guest that had spent it can have the device again. */
static int64_t budget_enough(const struct xg_core *c, const struct xg_core_guest *g)
{
    int64_t quantum = (int64_t)xg_core_quantum(c), most = budget_most(c, g);
    return quantum < most ? quantum : most;
}

/* The guest waits, and the holder was asked for the device but has not given it back. */
static bool kept_from(const struct xg_core *c, const struct xg_core_guest *g)
{
    return g->waits && c->holder && c->holder != g && c->asked && !c->asked_alone;
}

static int64_t min_i64(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Budget above the limit is lost, except while another guest keeps the device from this one: then
 * it is kept aside, and used after the rest. */
static void budget_overflow(const struct xg_core *c, struct xg_core_guest *g)
{
    int64_t over = g->budget - budget_most(c, g);
    if (over > 0 && kept_from(c, g))
        g->kept = min_i64(g->kept + over, KEPT_MAX_NS);
    else if (over > 0) /* it does not want the device, or waits for others in turn */
        g->kept -= min_i64(g->kept, over);
    else {
        over = -min_i64(g->kept, -over);
        g->kept += over;
    }
    g->budget -= over;
}

static void budget_fill(const struct xg_core *c, struct xg_core_guest *g, uint64_t now)
{
    uint64_t passed = now > g->filled_at ? xg_min_u64(now - g->filled_at, PASSED_MAX_NS) : 0;
    int64_t more = share_of(g, passed);
    if (more || !g->share) { /* otherwise the time that passed counts next time */
        g->budget += more;
        g->filled_at = now;
    }
    budget_overflow(c, g);
}

static void share_set(struct xg_core *c, struct xg_core_guest *g, uint32_t share, uint64_t now)
{
    if (g->share == share)
        return;
    if (g->share)
        budget_fill(c, g, now);
    bool fresh = !g->share;
    g->share = share;
    if (!fresh && share)
        return;
    g->budget = budget_enough(c, g);
    g->kept = 0;
    g->filled_at = now;
    g->spent = false;
}

static uint32_t whole_part(uint32_t of)
{
    return XG_CORE_WHOLE / (of ? of : 1);
}

/* The share that the policy gives to the guest, in parts of XG_CORE_WHOLE. `running`: guests with
 * workers. */
static uint32_t policy_share(const struct xg_core *c, const struct xg_core_guest *g,
                             uint32_t running)
{
    switch (c->config.policy) {
    case XG_POLICY_EQUAL: return whole_part(running + !g->slots);
    case XG_POLICY_FIXED: return whole_part(g->instances ? g->instances : running + !g->slots);
    default: return XG_CORE_WHOLE;
    }
}

/* Virtual times counted under one policy mean nothing under another. */
static void policy_change(struct xg_core *c)
{
    for (struct xg_core_guest *g = c->guests; g; g = g->next) {
        g->vtime = c->vclock;
        g->claim = g->lag = 0;
    }
    c->policy = c->config.policy;
}

void xg_core_shares(struct xg_core *c, uint64_t now)
{
    uint32_t running = 0;
    uint64_t all = 0;
    if (c->policy != c->config.policy)
        policy_change(c);
    for (const struct xg_core_guest *g = c->guests; g; g = g->next)
        running += g->slots != 0;
    for (const struct xg_core_guest *g = c->guests; g; g = g->next)
        all += g->slots ? policy_share(c, g, running) : 0;
    for (struct xg_core_guest *g = c->guests; g; g = g->next) {
        uint64_t share = policy_share(c, g, running);
        g->weight_now = g->weight;
        if (c->policy != XG_POLICY_BEST_EFFORT) {
            g->weight_now = (uint32_t)xg_max_u64(1, share * XG_WEIGHT_MAX / XG_CORE_WHOLE);
            if (all > XG_CORE_WHOLE) /* there are more guests than the policy has parts for */
                share = share * XG_CORE_WHOLE / all;
        }
        if (g->cap)
            share = xg_min_u64(share, (uint64_t)g->cap * XG_CORE_WHOLE / 100);
        share_set(c, g, share < XG_CORE_WHOLE ? (uint32_t)share : 0, now);
    }
}

void xg_core_spend(struct xg_core_guest *g, uint64_t used)
{
    if (g->share)
        g->budget -= (int64_t)used;
}

bool xg_core_spent(struct xg_core *c, struct xg_core_guest *g, uint64_t now)
{
    if (!g->share)
        return false;
    budget_fill(c, g, now);
    if (g->budget <= 0)
        g->spent = true;
    else if (g->budget >= budget_enough(c, g))
        g->spent = false;
    return g->spent;
}

uint64_t xg_core_ready_at(const struct xg_core *c, const struct xg_core_guest *g, uint64_t now)
{
    int64_t missing = budget_enough(c, g) - g->budget;
    if (!g->spent || missing <= 0)
        return now;
    return now + (uint64_t)missing * XG_CORE_WHOLE / g->share + ROUND_NS;
}

uint64_t xg_core_spent_at(const struct xg_core_guest *g, uint64_t now)
{
    if (!g->share)
        return UINT64_MAX;
    if (g->budget <= 0)
        return now;
    return now + (uint64_t)g->budget * XG_CORE_WHOLE / (XG_CORE_WHOLE - g->share) + ROUND_NS;
}
