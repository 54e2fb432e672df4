/* What a guest is given by an operator, by its section of the configuration and by its type, and
 * what changes while it runs. */
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
    if (!own->type[0]) /* else the section's keys do not count */
        xg_policy_fill(p, config);
}

void xg_guest_resolve(struct xg_guest *g)
{
    struct xg_policy p;
    xg_guest_policy(g, &p);
    const struct xg_type *t = xg_type_find(g->broker, p.type);
    xg_policy_fill(&p, &t->settings.policy);
    memcpy(g->type, p.type, sizeof(g->type));
    g->weight = p.weight;
    g->memory_limit = p.memory;
    g->limits.cap = p.cap;
    g->limits.frame_limit = xg_policy_frames(&p);
    g->limits.instances =
        t->settings.instances ? t->settings.instances : g->pgpu->sharing.instances;
    g->host_memory = p.host_memory;
}

static bool node_write(void *arg, const char *node, const char *value)
{
    struct xg_guest *g = arg;
    g->front->ops->back_write(g->front, node, value);
    return true;
}

/* The guest reads its memory limit there; the other nodes are for the next daemon. */
static void policy_write(struct xg_guest *g)
{
    struct xg_policy p;
    char text[32];
    xg_guest_policy(g, &p);
    snprintf(text, sizeof(text), "%" PRIu64, g->memory_limit);
    node_write(g, XG_NODE_MEMORY_LIMIT, text);
    xg_policy_nodes(&p, node_write, g);
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

/* Adds to `what` if a value has changed. */
static void change_tell(char *what, size_t size, const char *key, const char *now, const char *was)
{
    size_t n = strlen(what);
    if (strcmp(now, was))
        snprintf(what + n, size - n, "%s%s %s, was %s", n ? "; " : "", key, now, was);
}

static void number_tell(char *what, size_t size, const char *key, uint32_t now, uint32_t was)
{
    char to[16], from[16];
    snprintf(to, sizeof(to), "%u", now);
    snprintf(from, sizeof(from), "%u", was);
    change_tell(what, size, key, to, from);
}

static void memory_tell(char *what, size_t size, const char *key, uint64_t now, uint64_t was)
{
    char to[32], from[32];
    memory_text(now, to, sizeof(to));
    memory_text(was, from, sizeof(from));
    change_tell(what, size, key, to, from);
}

/* Works out the settings again, and uses them. `what`: the changes, for people; "": none. */
static void settings_apply(struct xg_guest *g, char *what, size_t size)
{
    char type[XG_NAME_MAX];
    uint32_t weight = g->weight;
    uint64_t memory = g->memory_limit, host = g->host_memory;
    const struct xg_sched_limits limits = g->limits;
    memcpy(type, g->type, sizeof(type));
    xg_guest_resolve(g);
    what[0] = 0;
    change_tell(what, size, "type", g->type, type);
    number_tell(what, size, "weight", g->weight, weight);
    memory_tell(what, size, "memory", g->memory_limit, memory);
    memory_tell(what, size, "host-memory", g->host_memory, host);
    number_tell(what, size, "cap", g->limits.cap, limits.cap);
    number_tell(what, size, "fps-limit", g->limits.frame_limit, limits.frame_limit);
    xg_sched_guest_limit(g->sched, &g->limits);
    if (!what[0])
        return;
    xg_sched_guest_set(g->sched, g->weight, g->memory_limit);
    xg_host_guest_update(g);
    xg_log(g->name, "now %s", what);
}

int xg_guest_set(struct xg_guest *g, const struct xg_settings *s, struct xg_why *why)
{
    const struct xg_policy *p = &s->policy;
    char what[480];
    const struct xg_type *t = p->type[0] ? xg_type_find(g->broker, p->type) : NULL;
    if (p->type[0] && !t)
        return xg_refuse(why, -ENOENT, "type=%s: there is no type of that name; see 'xengpu types'",
                         p->type);
    if (t && strcmp(g->type, t->name) && xg_type_full(g->pgpu, t))
        return xg_refuse(why, -ENOSPC,
                         "type=%s: pgpu %s has %u guests of that type, its max-instances", t->name,
                         g->pgpu->name, t->settings.instances);
    struct xg_policy now = *p;
    memcpy(now.pgpu, g->own.policy.pgpu, sizeof(now.pgpu));
    if (!p->type[0]) { /* else what was given before does not count */
        memcpy(now.type, g->own.policy.type, sizeof(now.type));
        xg_policy_fill(&now, &g->own.policy);
    }
    g->own.policy = now;
    settings_apply(g, what, sizeof(what));
    policy_write(g);
    return 0;
}

void xg_guest_follow(struct xg_guest *g, void (*fn)(void *arg, const char *what), void *arg)
{
    char what[400];
    settings_apply(g, what, sizeof(what));
    if (!what[0])
        return;
    policy_write(g);
    fn(arg, what);
}
