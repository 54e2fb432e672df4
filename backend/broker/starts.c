#include "backend/broker/starts.h"

/* What a start and the end that follows cost. A guest that did nothing else came to 200 in a second
 * with two processors, and used 85 % of both (/proc/stat). */
#define START_NS 8000000u
#define SHARE    8u /* one part of so many of all processors is for one guest's starts */

/* In which a guest saves up what one start costs. */
static uint64_t start_period(const struct xg_guest *g)
{
    return (uint64_t)START_NS * SHARE / g->broker->processors;
}

static bool guest_alone(const struct xg_guest *g)
{
    for (const struct xg_guest *other = g->broker->guests; other; other = other->next)
        if (other != g && xg_channels_live(other))
            return false;
    return true;
}

uint64_t xg_starts_wait(const struct xg_guest *g)
{
    uint64_t burst = xg_loop_now() + XG_STARTS_BURST * start_period(g);
    return g->starts_until > burst && !guest_alone(g) ? g->starts_until - burst : 0;
}

void xg_starts_count(struct xg_guest *g)
{
    uint64_t now = xg_loop_now();
    g->starts_until = xg_max_u64(g->starts_until, now) + start_period(g);
}
