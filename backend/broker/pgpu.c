#include "backend/broker/pgpu.h"
#include "backend/broker/channel.h"
#include "backend/broker/look.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

/* --- sharing ---------------------------------------------------------------------------------- */

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

/* Our own code never writes such numbers, so one of the guest's workers was taken over. Nobody can
 * tell which one, so all of them end. */
static void page_tampered(void *arg, unsigned count)
{
    struct xg_guest *g = arg;
    xg_log_error(g->name,
                 "a worker wrote numbers that are out of range into the scheduler's page: %u "
                 "were corrected; the guest's workers are ended",
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

int xg_pgpus_start(struct xg_broker *b)
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

void xg_pgpus_stop(struct xg_broker *b)
{
    for (struct xg_pgpu *p; (p = b->pgpus);) {
        b->pgpus = p->next;
        xg_looks_stop(p);
        p->stuck.fd = -1; /* the scheduler closes it */
        if (p->sched)
            xg_sched_destroy(p->sched);
        free(p);
    }
}
