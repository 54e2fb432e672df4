/* pGPUs and types: what is configured, and where a new guest goes. */
#include "backend/broker/inventory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct xg_pgpu *xg_pgpu_find(const struct xg_broker *b, const char *name)
{
    return XG_NAMED(b->pgpus, name);
}

struct xg_type *xg_type_find(const struct xg_broker *b, const char *name)
{
    return XG_NAMED(b->types, name);
}

struct xg_guest_config *xg_guest_config_find(const struct xg_broker *b, const char *name)
{
    return XG_NAMED(b->guest_configs, name);
}

struct xg_guest *xg_guest_find(const struct xg_broker *b, const char *name)
{
    return XG_NAMED(b->guests, name);
}

struct xg_pgpu *xg_pgpu_add(struct xg_broker *b, const struct xg_pgpu_config *c)
{
    struct xg_pgpu *p = calloc(1, sizeof(*p));
    if (!p)
        return NULL;
    p->broker = b;
    strcpy(p->name, c->name);
    strcpy(p->cuda, c->cuda);
    strcpy(p->gl, c->gl);
    strcpy(p->device.egl_vendor, c->egl_vendor);
    p->cuda_ordinal = c->cuda_ordinal;
    p->sharing = c->sharing;
    p->stuck.fd = -1;
    XG_APPEND(b->pgpus, p);
    return p;
}

bool xg_pgpu_same(const struct xg_pgpu *p, const struct xg_pgpu_config *c)
{
    return !strcmp(p->cuda, c->cuda) && !strcmp(p->gl, c->gl) &&
           !strcmp(p->device.egl_vendor, c->egl_vendor) && p->cuda_ordinal == c->cuda_ordinal;
}

/* Least loaded: the smallest sum of weights, then the first. */
double xg_pgpu_load(const struct xg_pgpu *p)
{
    double load = 0;
    for (const struct xg_guest *g = p->broker->guests; g; g = g->next)
        if (g->pgpu == p)
            load += g->weight;
    return load;
}

bool xg_type_full(const struct xg_pgpu *p, const struct xg_type *t)
{
    unsigned same = 0;
    for (const struct xg_guest *g = p->broker->guests; g; g = g->next)
        same += g->pgpu == p && !strcmp(g->type, t->name);
    return t->settings.instances && same >= t->settings.instances;
}

bool xg_pgpu_room(const struct xg_pgpu *p, const struct xg_type *t)
{
    return (!p->sharing.instances || p->guests < p->sharing.instances) && !xg_type_full(p, t);
}

/* Smaller is better. Last are pGPUs without room, before them those whose devices were not found.
 */
static unsigned place_rank(const struct xg_pgpu *p, const struct xg_type *t)
{
    return 2 * !xg_pgpu_room(p, t) + xg_pgpu_failed(p);
}

struct xg_pgpu *xg_place(const struct xg_broker *b, const struct xg_type *t)
{
    struct xg_pgpu *best = b->pgpus;
    for (struct xg_pgpu *p = b->pgpus; p; p = p->next) {
        unsigned rank = place_rank(p, t), best_rank = place_rank(best, t);
        if (rank == best_rank ? xg_pgpu_load(p) < xg_pgpu_load(best) : rank < best_rank)
            best = p;
    }
    return best;
}

/* --- pGPUs that are looked at ----------------------------------------------------------------- */

bool xg_pgpu_failed(const struct xg_pgpu *p)
{
    bool failed = false;
    for (unsigned i = 0; i < XG_PROBE_APIS; i++)
        failed |= p->look[i].failures != 0;
    return failed && !p->settled;
}

bool xg_pgpu_software(const struct xg_pgpu *p)
{
    for (unsigned i = 0; i < XG_PROBE_APIS; i++)
        if (p->look[i].state == XG_LOOK_FOUND && !p->look[i].found.software)
            return false;
    return p->settled;
}

unsigned xg_seconds(uint64_t ns)
{
    return (unsigned)((ns + 999999999u) / 1000000000u);
}

void xg_look_text(const struct xg_look *l, char *text, size_t size)
{
    uint64_t now = xg_loop_now();
    const char *error = l->error, *sep = error[0] ? "; " : "";
    text[0] = 0;
    if (l->state == XG_LOOK_RUNS)
        snprintf(text, size, "%s%sbeing looked at for %u s (%s)", error, sep,
                 xg_seconds(now - l->since), l->found.doing);
    else if (l->state == XG_LOOK_PAUSES)
        snprintf(text, size, "%s%slooked at again in %u s", error, sep,
                 l->timer.when > now ? xg_seconds(l->timer.when - now) : 0);
}

void xg_pgpu_waiting(const struct xg_pgpu *p, char *text, size_t size)
{
    size_t used = (size_t)snprintf(text, size, "pgpu %s is not ready yet", p->name);
    for (unsigned i = 0; i < XG_PROBE_APIS && used < size; i++) {
        char one[XG_LOOK_TEXT];
        xg_look_text(&p->look[i], one, sizeof(one));
        if (one[0])
            used += (size_t)snprintf(text + used, size - used, "; %s: %s",
                                     xg_probe_name((enum xg_probe_api)i), one);
    }
}
