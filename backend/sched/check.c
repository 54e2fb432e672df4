/*
 * Checks that a guest's page holds what its workers write into it. The workers run our own code,
 * which keeps these rules unless the application has taken the worker over. A number that breaks a
 * rule is reset at once, so that it lasts no longer than until this check, and is counted.
 *
 * The rules are not the truth: a worker can still lie within them, and then its own guest waits or
 * pays.
 */
#include "backend/sched/core.h"

#include <string.h>

#define USERS_MAX (1u << 16) /* threads and work in flight of one worker */
#define SLACK_NS  1000000000u
#define UNUSED_NS 10000000u /* how often the slots that no worker has are checked */

static bool count_check(_Atomic uint32_t *count)
{
    if (atomic_load_explicit(count, memory_order_relaxed) <= USERS_MAX)
        return true;
    atomic_store(count, 0);
    return false;
}

static bool time_check(_Atomic uint64_t *time, uint64_t max)
{
    if (atomic_load_explicit(time, memory_order_relaxed) <= max)
        return true;
    atomic_store(time, 0);
    return false;
}

static bool memory_check(_Atomic int64_t *memory)
{
    int64_t bytes = atomic_load_explicit(memory, memory_order_relaxed);
    if (bytes >= 0 && bytes <= XG_SCHED_MEMORY_MAX * XG_SCHED_SLOTS)
        return true;
    atomic_store(memory, 0);
    return false;
}

static unsigned used_check(struct xg_sched_slot *s, uint64_t since, uint64_t now)
{
    unsigned wrong = 0;
    wrong += !count_check(&s->users);
    wrong += !count_check(&s->wanters);
    wrong += !time_check(&s->busy_ns, now - since + SLACK_NS);
    wrong += !time_check(&s->busy_since, now + SLACK_NS);
    wrong += !time_check(&s->idle_since, now + SLACK_NS);
    wrong += !memory_check(&s->memory);
    return wrong;
}

static unsigned unused_check(struct xg_core_guest *g)
{
    static const struct xg_sched_slot empty;
    unsigned wrong = 0;
    for (uint64_t left = ~g->slots; left; left &= left - 1) {
        struct xg_sched_slot *s = &g->page->slot[__builtin_ctzll(left)];
        if (!memcmp(s, &empty, sizeof(empty)))
            continue;
        memset(s, 0, sizeof(*s));
        wrong++;
    }
    return wrong;
}

unsigned xg_core_page_check(struct xg_core_guest *g, uint64_t now)
{
    unsigned wrong = 0;
    if (atomic_load_explicit(&g->page->grant, memory_order_relaxed) != g->grant) {
        atomic_store(&g->page->grant, g->grant);
        wrong++;
    }
    if (atomic_load_explicit(&g->page->memory_limit, memory_order_relaxed) != g->memory_limit) {
        atomic_store(&g->page->memory_limit, g->memory_limit);
        wrong++;
    }
    if (atomic_load_explicit(&g->page->frame_limit, memory_order_relaxed) != g->frame_limit) {
        atomic_store(&g->page->frame_limit, g->frame_limit);
        wrong++;
    }
    for (uint64_t left = g->slots; left; left &= left - 1) {
        unsigned slot = (unsigned)__builtin_ctzll(left);
        wrong += used_check(&g->page->slot[slot], g->taken_at[slot], now);
    }
    if (now - g->unused_checked_at >= UNUSED_NS) {
        g->unused_checked_at = now;
        wrong += unused_check(g);
    }
    return wrong;
}
