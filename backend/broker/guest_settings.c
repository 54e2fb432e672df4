/* What a guest is given, by an operator, by its section of the configuration and by its type, and
 * what follows from that while it runs. */
#include "backend/broker/guest_settings.h"
#include "backend/broker/host.h"
#include "backend/broker/inventory.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const char *type_of(const struct xg_guest *g)
{
    return g->own.policy.type[0]      ? g->own.policy.type
           : g->config.policy.type[0] ? g->config.policy.type
                                      : "default";
}

void xg_guest_policy(const struct xg_guest *g, struct xg_policy *p)
{
    const struct xg_policy *own = &g->own.policy, *config = &g->config.policy;
    *p = *own;
    snprintf(p->type, sizeof(p->type), "%s", type_of(g));
    if (!own->pgpu[0])
        memcpy(p->pgpu, config->pgpu, sizeof(p->pgpu));
    if (own->type[0]) /* hides these of the section's */
        return;
    if (!own->weight)
        p->weight = config->weight;
    if (own->memory == UINT64_MAX)
        p->memory = config->memory;
    if (!own->cap)
        p->cap = config->cap;
    if (!own->frames)
        p->frames = config->frames;
    if (!own->host_memory)
        p->host_memory = config->host_memory;
}

void xg_guest_resolve(struct xg_guest *g)
{
    struct xg_policy p;
    xg_guest_policy(g, &p);
    const struct xg_type *t = xg_type_find(g->broker, p.type);
    memcpy(g->type, p.type, sizeof(g->type));
    g->weight = p.weight ? p.weight : t->weight;
    g->memory_limit = p.memory != UINT64_MAX ? p.memory : t->memory;
    g->limits.cap = p.cap ? p.cap : t->cap;
    g->limits.frame_limit = p.frames == XG_FRAMES_ANY ? 0 : p.frames ? p.frames : t->frames;
    g->limits.instances = t->instances ? t->instances : g->pgpu->sharing.instances;
    g->host_memory = p.host_memory ? p.host_memory : t->host_memory;
}

/* The guest is told its limit; the rest is for the next daemon. */
static void policy_write(struct xg_guest *g)
{
    const struct xg_frontend_ops *ops = g->front->ops;
    struct xg_policy p;
    char text[32];
    xg_guest_policy(g, &p);
    snprintf(text, sizeof(text), "%" PRIu64, g->memory_limit);
    ops->back_write(g->front, XG_NODE_MEMORY_LIMIT, text);
    ops->back_write(g->front, XG_NODE_TYPE, g->type);
    ops->back_write(g->front, XG_NODE_MEMORY, p.memory != UINT64_MAX ? text : "");
    xg_host_memory_text(p.host_memory, text, sizeof(text));
    ops->back_write(g->front, XG_NODE_HOST_MEMORY, text);
    snprintf(text, sizeof(text), "%u", p.weight);
    ops->back_write(g->front, XG_NODE_WEIGHT, text);
    snprintf(text, sizeof(text), "%u", p.cap);
    ops->back_write(g->front, XG_NODE_CAP, text);
    snprintf(text, sizeof(text), "%u", p.frames == XG_FRAMES_ANY ? 0 : p.frames);
    ops->back_write(g->front, XG_NODE_FRAMES, p.frames ? text : "");
}

/* "1024 MiB", "no limit", "auto". */
static void memory_text(uint64_t bytes, char *text, size_t size)
{
    if (bytes == XG_HOST_MEMORY_AUTO)
        snprintf(text, size, "auto");
    else if (!bytes || bytes == XG_HOST_MEMORY_ANY)
        snprintf(text, size, "no limit");
    else if (bytes % (1u << 20))
        snprintf(text, size, "%" PRIu64 " bytes", bytes);
    else
        snprintf(text, size, "%" PRIu64 " MiB", bytes >> 20);
}

/* Lets it take effect; what changed, "": nothing. */
static void change(struct xg_guest *g, char *what, size_t size)
{
    char type[XG_NAME_MAX], from[32], to[32];
    uint32_t weight = g->weight;
    uint64_t memory = g->memory_limit, host = g->host_memory;
    const struct xg_sched_limits limits = g->limits;
    size_t n = 0;
    memcpy(type, g->type, sizeof(type));
    xg_guest_resolve(g);
    what[0] = 0;
    if (strcmp(type, g->type))
        n += (size_t)snprintf(what, size, "type %s, was %s", g->type, type);
    if (weight != g->weight)
        n += (size_t)snprintf(what + n, size - n, "%sweight %u, was %u", n ? "; " : "", g->weight,
                              weight);
    if (memory != g->memory_limit) {
        memory_text(memory, from, sizeof(from));
        memory_text(g->memory_limit, to, sizeof(to));
        n += (size_t)snprintf(what + n, size - n, "%smemory %s, was %s", n ? "; " : "", to, from);
    }
    if (host != g->host_memory) {
        memory_text(host, from, sizeof(from));
        memory_text(g->host_memory, to, sizeof(to));
        n += (size_t)snprintf(what + n, size - n, "%shost-memory %s, was %s", n ? "; " : "", to,
                              from);
    }
    if (limits.cap != g->limits.cap)
        n += (size_t)snprintf(what + n, size - n, "%scap %u, was %u", n ? "; " : "", g->limits.cap,
                              limits.cap);
    if (limits.frame_limit != g->limits.frame_limit)
        snprintf(what + n, size - n, "%sfps-limit %u, was %u", n ? "; " : "", g->limits.frame_limit,
                 limits.frame_limit);
    xg_sched_guest_limit(g->sched, &g->limits);
    if (!what[0])
        return;
    xg_sched_guest_set(g->sched, g->weight, g->memory_limit);
    xg_host_guest_update(g);
    xg_log(g->name, "now %s", what);
}

int xg_guest_set(struct xg_guest *g, const struct xg_settings *s, char *error, size_t size)
{
    const struct xg_policy *p = &s->policy;
    char what[480];
    const struct xg_type *t = p->type[0] ? xg_type_find(g->broker, p->type) : NULL;
    if (p->type[0] && !t) {
        snprintf(error, size, "type=%s: there is no type of that name; see 'xengpu types'",
                 p->type);
        return -ENOENT;
    }
    if (t && strcmp(g->type, t->name) && xg_type_full(g->pgpu, t)) {
        snprintf(error, size, "type=%s: pgpu %s has %u guests of that type, its max-instances",
                 t->name, g->pgpu->name, t->instances);
        return -ENOSPC;
    }
    if (p->type[0]) {
        memcpy(g->own.policy.type, p->type, sizeof(p->type));
        g->own.policy.weight = 0;
        g->own.policy.memory = UINT64_MAX;
        g->own.policy.cap = g->own.policy.frames = 0;
        g->own.policy.host_memory = 0;
    }
    if (p->cap)
        g->own.policy.cap = p->cap;
    if (p->frames)
        g->own.policy.frames = p->frames;
    if (p->weight)
        g->own.policy.weight = p->weight;
    if (p->memory != UINT64_MAX)
        g->own.policy.memory = p->memory;
    if (p->host_memory)
        g->own.policy.host_memory = p->host_memory;
    change(g, what, sizeof(what));
    policy_write(g);
    return 0;
}

void xg_guest_follow(struct xg_guest *g, void (*fn)(void *arg, const char *what), void *arg)
{
    char what[400];
    change(g, what, sizeof(what));
    if (!what[0])
        return;
    policy_write(g);
    fn(arg, what);
}
