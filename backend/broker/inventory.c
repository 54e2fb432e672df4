/* pGPUs and types: what is configured, and where a new guest goes. */
#include "backend/broker/config.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

struct xg_pgpu *xg_pgpu_find(const struct xg_broker *b, const char *name)
{
    for (struct xg_pgpu *p = b->pgpus; p; p = p->next)
        if (!strcmp(p->name, name))
            return p;
    return NULL;
}

struct xg_type *xg_type_find(const struct xg_broker *b, const char *name)
{
    for (struct xg_type *t = b->types; t; t = t->next)
        if (!strcmp(t->name, name))
            return t;
    return NULL;
}

struct xg_guest_config *xg_guest_config_find(const struct xg_broker *b, const char *name)
{
    for (struct xg_guest_config *c = b->guest_configs; c; c = c->next)
        if (!strcmp(c->name, name))
            return c;
    return NULL;
}

struct xg_pgpu *xg_pgpu_add(struct xg_broker *b, const struct xg_pgpu_config *c)
{
    struct xg_pgpu *p = calloc(1, sizeof(*p)), **at = &b->pgpus;
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
    while (*at)
        at = &(*at)->next;
    return *at = p;
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
    return t->instances && same >= t->instances;
}

bool xg_pgpu_room(const struct xg_pgpu *p, const struct xg_type *t)
{
    return (!p->sharing.instances || p->guests < p->sharing.instances) && !xg_type_full(p, t);
}

/* The better, the smaller: one that was looked at in vain comes last, but for one without room. */
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

/* --- sharing ---------------------------------------------------------------------------------- */

const char *xg_policy_name(enum xg_sched_policy policy)
{
    static const char *const names[] = {"best-effort", "equal", "fixed"};
    return names[policy];
}

static struct xg_sched_config sched_config(const struct xg_pgpu *p)
{
    struct xg_sched_config c = p->broker->options.sched;
    c.policy = p->sharing.policy;
    c.average_ns = p->sharing.average_ns;
    if (p->sharing.quantum_ns)
        c.quantum_ns = p->sharing.quantum_ns;
    c.no_preempt = p->sharing.no_preempt;
    return c;
}

void xg_pgpu_share(struct xg_pgpu *p)
{
    struct xg_sched_config c = sched_config(p);
    if (p->sched)
        xg_sched_configure(p->sched, &c);
}

/* --- stuck guests ----------------------------------------------------------------------------- */

static void worker_stuck(void *arg, uint32_t slot)
{
    struct xg_guest *g = arg;
    bool kill = g->broker->options.stuck_kill;
    for (unsigned i = 0; i < XG_CHANNELS_MAX; i++) {
        struct xg_broker_channel *c = &g->channel[i];
        if (c->state == XG_CHANNEL_FREE || c->state == XG_CHANNEL_GONE || c->slot != (int)slot)
            continue;
        xg_log_warning(g->name, "%s (process %u) does not give the device back%s", c->command,
                       c->pid, kill ? "; its worker is killed" : "");
        if (kill)
            xg_channel_end(c, XG_RING_LOST, SIGKILL);
    }
}

/* Only our own code writes into the page, and not such things: some worker of the guest has been
 * taken over, and which of them cannot be told. */
static void page_tampered(void *arg, unsigned count)
{
    struct xg_guest *g = arg;
    xg_log_error(g->name,
                 "a worker has written numbers out of range into the scheduler's page: %u put "
                 "right; the guest's workers are ended",
                 count);
    for (unsigned i = 0; i < XG_CHANNELS_MAX; i++)
        xg_channel_end(&g->channel[i], XG_RING_PROTOCOL, SIGKILL);
}

static void stuck_readable(struct xg_source *s, uint32_t events)
{
    struct xg_pgpu *p = xg_container_of(s, struct xg_pgpu, stuck);
    (void)events;
    xg_sched_stuck(p->sched, worker_stuck);
    xg_sched_tampered(p->sched, page_tampered);
}

int xg_pgpu_start(struct xg_pgpu *p)
{
    struct xg_sched_config c = sched_config(p);
    int err = xg_sched_create(&c, &p->sched);
    if (err)
        return err;
    err = xg_loop_add(&p->stuck, xg_sched_stuck_fd(p->sched), EPOLLIN, stuck_readable);
    if (!err)
        xg_looks_start(p);
    return err;
}

int xg_inventory_start(struct xg_broker *b)
{
    for (struct xg_pgpu *p = b->pgpus; p; p = p->next) {
        int err = xg_pgpu_start(p);
        if (err) {
            xg_log_error(NULL, "pgpu %s: %s", p->name, strerror(-err));
            return err;
        }
    }
    return 0;
}

void xg_inventory_stop(struct xg_broker *b)
{
    for (struct xg_pgpu *p; (p = b->pgpus);) {
        b->pgpus = p->next;
        xg_looks_stop(p);
        p->stuck.fd = -1; /* the scheduler's own */
        if (p->sched)
            xg_sched_destroy(p->sched);
        free(p);
    }
    for (struct xg_type *t; (t = b->types);) {
        b->types = t->next;
        free(t);
    }
    for (struct xg_guest_config *c; (c = b->guest_configs);) {
        b->guest_configs = c->next;
        free(c);
    }
}
