/* pGPUs and types: what is configured, what is found, and where a new guest goes. */
#include "backend/broker/broker.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#define PROBE_LIMIT_NS 25000000000u

struct xg_pgpu *xg_pgpus;
struct xg_type *xg_types;
struct xg_guest_config *xg_guest_configs;

struct xg_pgpu *xg_pgpu_find(const char *name)
{
    for (struct xg_pgpu *p = xg_pgpus; p; p = p->next)
        if (!strcmp(p->name, name))
            return p;
    return NULL;
}

struct xg_type *xg_type_find(const char *name)
{
    for (struct xg_type *t = xg_types; t; t = t->next)
        if (!strcmp(t->name, name))
            return t;
    return NULL;
}

struct xg_pgpu *xg_pgpu_add(const char *name)
{
    struct xg_pgpu *p = calloc(1, sizeof(*p)), **at = &xg_pgpus;
    if (!p)
        abort();
    strcpy(p->name, name);
    strcpy(p->cuda, "auto");
    strcpy(p->gl, "auto");
    p->stuck.fd = p->probe_pipe.fd = -1;
    while (*at)
        at = &(*at)->next;
    return *at = p;
}

struct xg_type *xg_type_add(const char *name)
{
    struct xg_type *t = calloc(1, sizeof(*t)), **at = &xg_types;
    if (!t)
        abort();
    strcpy(t->name, name);
    t->weight = XG_WEIGHT_DEFAULT;
    while (*at)
        at = &(*at)->next;
    return *at = t;
}

/* Least loaded: the smallest sum of weights, then the first. */
double xg_pgpu_load(const struct xg_pgpu *p)
{
    double load = 0;
    for (const struct xg_guest *g = xg_guests; g; g = g->next)
        if (g->pgpu == p)
            load += g->weight;
    return load;
}

struct xg_pgpu *xg_place(void)
{
    struct xg_pgpu *best = xg_pgpus;
    for (struct xg_pgpu *p = xg_pgpus; p; p = p->next)
        if (xg_pgpu_load(p) < xg_pgpu_load(best))
            best = p;
    return best;
}

/* --- looking at devices ----------------------------------------------------------------------- */

/* What was found decides what `auto` means from now on; guests that waited for it go on. */
static void pgpu_settle(struct xg_pgpu *p)
{
    struct xg_probe_result *r = &p->found;
    if (p->settled)
        return;
    p->settled = true;
    xg_timer_disarm(&p->probe_limit);
    xg_loop_close(&p->probe_pipe);
    if (strcmp(p->cuda, "none") && r->cuda_name[0])
        snprintf(p->device.cuda_library, sizeof(p->device.cuda_library), "%s", r->cuda_library);
    else
        p->device.cuda_library[0] = 0;
    p->device.gl = strcmp(p->gl, "none") && r->renderer[0];
    xg_log(NULL, "pgpu %s: OpenGL: %s%s%s; CUDA: %s", p->name,
           r->renderer[0]   ? r->renderer
           : r->gl_error[0] ? r->gl_error
                            : "none",
           r->gl_version[0] ? ", " : "", r->gl_version,
           r->cuda_name[0]    ? r->cuda_name
           : r->cuda_error[0] ? r->cuda_error
                              : "none");
    for (struct xg_guest *g = xg_guests; g; g = g->next)
        if (g->pgpu == p)
            xg_xenbus_publish(g);
}

static void probe_readable(struct xg_source *s, uint32_t events)
{
    struct xg_pgpu *p = xg_container_of(s, struct xg_pgpu, probe_pipe);
    struct xg_probe_result r;
    (void)events;
    ssize_t n = read(s->fd, &r, sizeof(r));
    if (n == sizeof(r))
        p->found = r;
    if (n != sizeof(r) || r.complete)
        pgpu_settle(p);
}

static void probe_late(struct xg_timer *t)
{
    struct xg_pgpu *p = xg_container_of(t, struct xg_pgpu, probe_limit);
    xg_spawn_kill(p->probe_id, SIGKILL);
    pgpu_settle(p);
}

bool xg_probe_ended(uint64_t id, int status)
{
    (void)status; /* the pipe's end says it */
    for (struct xg_pgpu *p = xg_pgpus; p; p = p->next)
        if (p->probe_id == id)
            return true;
    return false;
}

static int pgpu_probe(struct xg_pgpu *p)
{
    int pipes[2];
    snprintf(p->device.name, sizeof(p->device.name), "%s", p->name);
    p->device.cuda_ordinal = p->cuda_ordinal;
    snprintf(p->device.cuda_library, sizeof(p->device.cuda_library), "%s",
             strcmp(p->cuda, "none") ? p->cuda : "");
    snprintf(p->device.egl_device, sizeof(p->device.egl_device), "%s",
             strcmp(p->gl, "auto") ? p->gl : "");
    p->device.gl = strcmp(p->gl, "none") != 0;
    if (pipe2(pipes, O_CLOEXEC | O_NONBLOCK) < 0)
        return -errno;
    p->probe_id = xg_next_id();
    int err = xg_spawn_probe(p->probe_id, &p->device, pipes[1]);
    close(pipes[1]);
    if (!err)
        err = xg_loop_add(&p->probe_pipe, pipes[0], EPOLLIN, probe_readable);
    if (err)
        close(pipes[0]);
    else
        xg_timer_arm(&p->probe_limit, PROBE_LIMIT_NS, probe_late);
    return err;
}

/* --- stuck guests ----------------------------------------------------------------------------- */

static void worker_stuck(void *arg, uint32_t slot)
{
    struct xg_guest *g = arg;
    for (unsigned i = 0; i < XG_CHANNELS_MAX; i++) {
        struct xg_broker_channel *c = &g->channel[i];
        if (c->state == XG_CHANNEL_FREE || c->state == XG_CHANNEL_GONE || c->slot != (int)slot)
            continue;
        xg_log_warning(g->name, "%s (process %u) does not give the device back%s", c->command, c->pid,
               xg_options.stuck_kill ? "; its worker is killed" : "");
        if (xg_options.stuck_kill)
            xg_channel_end(c, XG_RING_LOST, SIGKILL);
    }
}

static void stuck_readable(struct xg_source *s, uint32_t events)
{
    struct xg_pgpu *p = xg_container_of(s, struct xg_pgpu, stuck);
    (void)events;
    xg_sched_stuck(p->sched, worker_stuck);
}

static int pgpu_start(struct xg_pgpu *p)
{
    int err = xg_sched_create(&xg_options.sched, &p->sched);
    if (err)
        return err;
    err = xg_loop_add(&p->stuck, xg_sched_stuck_fd(p->sched), EPOLLIN, stuck_readable);
    return err ? err : pgpu_probe(p);
}

int xg_inventory_start(void)
{
    if (!xg_pgpus)
        xg_pgpu_add("gpu0");
    if (!xg_type_find("default"))
        xg_type_add("default");
    for (struct xg_pgpu *p = xg_pgpus; p; p = p->next) {
        int err = pgpu_start(p);
        if (err) {
            xg_log_error(NULL, "pgpu %s: %s", p->name, strerror(-err));
            return err;
        }
    }
    return 0;
}

void xg_inventory_stop(void)
{
    for (struct xg_pgpu *p; (p = xg_pgpus);) {
        xg_pgpus = p->next;
        xg_timer_disarm(&p->probe_limit);
        xg_loop_close(&p->probe_pipe);
        p->stuck.fd = -1; /* the scheduler's own */
        if (p->sched)
            xg_sched_destroy(p->sched);
        free(p);
    }
    for (struct xg_type *t; (t = xg_types);) {
        xg_types = t->next;
        free(t);
    }
    for (struct xg_guest_config *c; (c = xg_guest_configs);) {
        xg_guest_configs = c->next;
        free(c);
    }
}
