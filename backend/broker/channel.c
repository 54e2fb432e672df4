/* Channels: each is an application of a guest and the worker that serves it. */
#include "backend/broker/channel.h"
#include "backend/broker/control.h"
#include "backend/broker/host.h"
#include "backend/broker/inventory.h"
#include "backend/broker/refusals.h"
#include "backend/broker/relay.h"
#include "backend/broker/spawner.h"
#include "backend/broker/starts.h"
#include "protocol/fdpass.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define PATIENCE_NS 500000000u /* a worker that was told to end is killed after that */

/* An application may crash workers on purpose, to find by trial an address that a worker keeps
 * secret. So the workers of a guest may crash CRASHES_MAX times at once, and then once in each
 * CRASH_NS. An honest program whose worker crashes again and again is told how long it waits. */
#define CRASHES_MAX 16u
#define CRASH_NS    10000000000u

/* --- the page directory ----------------------------------------------------------------------- */

/* Reads `count` references into *refs (to be freed). */
static int directory_read(struct xg_guest *g, uint32_t ref, uint64_t count, uint32_t **refs)
{
    struct xg_directory_page d;
    uint64_t done = 0;
    uint32_t *list = malloc(count * sizeof(*list));
    int err = list ? 0 : -ENOMEM;
    while (!err && done < count) {
        uint64_t want = xg_min_u64(count - done, XG_DIRECTORY_REFS);
        err = ref ? g->front->ops->page_copy(g->front, ref, &d) : -EINVAL;
        if (!err && d.count != want)
            err = -EINVAL;
        if (!err)
            memcpy(list + done, d.ref, want * sizeof(*list));
        done += want;
        ref = d.next;
    }
    if (!err && ref)
        err = -EINVAL;
    if (err) {
        free(list);
        return err;
    }
    *refs = list;
    return 0;
}

static int pages_find(struct xg_guest *g, const struct xg_control_open *o)
{
    uint64_t pages = xg_geometry_pages(&o->geometry);
    uint32_t *refs;
    int err = directory_read(g, o->directory, xg_directory_refs(g->front->platform, pages), &refs);
    if (err)
        return err;
    int fd = g->front->ops->pages(g->front, refs, pages);
    free(refs);
    return fd;
}

/* --- opening ---------------------------------------------------------------------------------- */

static int worker_start(struct xg_broker_channel *c, const struct xg_control_open *o)
{
    struct xg_guest *g = c->guest;
    const struct xg_options *options = &g->broker->options;
    struct xg_spawn_fds fds = {.sched_page = xg_sched_guest_page_fd(g->sched),
                               .sched_kick = xg_sched_guest_kick_fd(g->sched)};
    struct xg_spawn_request req = {
        .id = c->id,
        .platform = g->front->platform,
        .domid = g->front->domid,
        .geometry = o->geometry,
        .device = g->pgpu->device,
        .memory_limit = g->memory_limit,
        .sched_slot = (uint32_t)c->slot,
        .test_mode = options->test_mode,
        .sandbox = options->sandbox,
    };
    unsigned rings = o->geometry.ring_count;
    if (options->uid_base)
        req.uid = req.gid = options->uid_base + g->index;
    fds.group = xg_host_worker(g, &req);
    strcpy(req.guest, g->name);
    strcpy(req.command, c->command);
    memcpy(req.port, o->port, sizeof(req.port));
    fds.pages = pages_find(g, o);
    if (fds.pages < 0)
        return fds.pages;
    for (unsigned i = 0; i < XG_RINGS_MAX; i++)
        fds.wait[i] = fds.kick[i] = -1;
    int err = g->front->ops->ports(g->front, o->port, rings, fds.wait, fds.kick);
    fds.log = err ? err : xg_relay_create(g->name, c->command, &c->relay);
    fds.watch = fds.log < 0 ? fds.log : xg_refusals_create(c, &c->refusals);
    err = fds.watch < 0 ? fds.watch : xg_spawn_worker(&req, &fds);
    if (fds.log >= 0)
        close(fds.log);
    if (fds.watch >= 0)
        close(fds.watch);
    xg_fds_close(fds.wait, rings);
    xg_fds_close(fds.kick, rings);
    close(fds.pages);
    return err;
}

static void worker_unwatch(struct xg_broker_channel *c)
{
    xg_relay_end(&c->relay);
    xg_refusals_end(c->refusals);
    c->refusals = NULL;
}

/* Closes those ports of a refused channel that nobody has bound yet. */
static void ports_drop(struct xg_guest *g, const struct xg_control_open *o)
{
    unsigned rings = (unsigned)xg_min_u64(o->geometry.ring_count, XG_RINGS_MAX);
    int wait, kick;
    for (unsigned i = 0; i < rings; i++) {
        if (g->front->ops->ports(g->front, &o->port[i], 1, &wait, &kick))
            continue;
        xg_fds_close(&wait, 1);
        xg_fds_close(&kick, 1);
    }
}

static void open_refuse(struct xg_guest *g, const struct xg_control_request *rq, int status,
                        const char *text)
{
    ports_drop(g, &rq->open);
    xg_control_reply(g, rq, status, text);
}

static const char *request_check(const struct xg_guest *g, const struct xg_control_request *rq)
{
    const struct xg_geometry *geo = &rq->open.geometry;
    if (rq->channel >= g->broker->options.max_channels)
        return "channel number too large";
    if (g->channel[rq->channel].state != XG_CHANNEL_FREE)
        return "channel is in use";
    if (!xg_geometry_valid(geo))
        return "geometry out of range";
    if (xg_geometry_pages(geo) > g->broker->options.max_channel_pages)
        return "more pages than a channel may have";
    return NULL;
}

/* Nanoseconds until the next worker may start. */
static uint64_t crashes_wait(const struct xg_guest *g)
{
    uint64_t first = xg_loop_now() + CRASHES_MAX * CRASH_NS;
    return g->crashes_until > first ? g->crashes_until - first : 0;
}

static void crash_count(struct xg_guest *g, int status)
{
    int sig = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    if (!sig || sig == SIGTERM || sig == SIGKILL)
        return;
    g->crashes_until = xg_max_u64(g->crashes_until, xg_loop_now()) + CRASH_NS;
    if (crashes_wait(g))
        xg_log_warning(g->name,
                       "more than %u of its workers crashed: the next one may start in %u s",
                       CRASHES_MAX, (unsigned)(crashes_wait(g) / 1000000000u + 1));
}

/* Control characters become '?'. */
static void printable_make(char *text, size_t size)
{
    text[size - 1] = 0;
    for (char *p = text; *p; p++)
        if (*p < ' ' || *p > '~')
            *p = '?';
}

void xg_channel_open(struct xg_guest *g, const struct xg_control_request *rq)
{
    char text[128];
    const char *wrong = request_check(g, rq);
    if (!wrong && crashes_wait(g)) {
        snprintf(text, sizeof(text),
                 "too many workers of this guest crashed; the next one may start in %u s",
                 (unsigned)(crashes_wait(g) / 1000000000u + 1));
        open_refuse(g, rq, -EAGAIN, text);
        return;
    }
    if (wrong) {
        xg_log_warning(g->name, "open refused: %s", wrong);
        open_refuse(g, rq, -EINVAL, wrong);
        return;
    }
    struct xg_broker_channel *c = &g->channel[rq->channel];
    *c = (struct xg_broker_channel){.guest = g,
                                    .id = xg_spawn_id(),
                                    .pid = rq->open.pid,
                                    .opened = xg_now_ns(),
                                    .geometry = rq->open.geometry};
    memcpy(c->command, rq->open.command, sizeof(c->command));
    printable_make(c->command, sizeof(c->command));
    c->slot = xg_sched_slot_take(g->sched);
    int err = c->slot < 0 ? c->slot : worker_start(c, &rq->open);
    if (err) {
        if (c->slot >= 0)
            xg_sched_slot_free(g->sched, (uint32_t)c->slot);
        worker_unwatch(c);
        xg_log_error(g->name, "cannot start a worker for %s: %s", c->command, strerror(-err));
        open_refuse(g, rq, err, "the daemon could not start a worker; its log says why");
        return;
    }
    c->state = XG_CHANNEL_OPEN;
    xg_starts_count(g);
    xg_host_guest_update(g);
    xg_control_reply(g, rq, 0, NULL);
}

/* --- closing ---------------------------------------------------------------------------------- */

static void limit_over(struct xg_timer *t)
{
    struct xg_broker_channel *c = xg_container_of(t, struct xg_broker_channel, limit);
    xg_spawn_kill(c->id, SIGKILL);
}

static void worker_end(struct xg_broker_channel *c, int signal)
{
    xg_spawn_kill(c->id, signal);
    if (signal != SIGKILL)
        xg_timer_arm(&c->limit, PATIENCE_NS, limit_over);
}

void xg_channel_end(struct xg_broker_channel *c, enum xg_ring_error why, int signal)
{
    if (c->state != XG_CHANNEL_OPEN)
        return;
    c->why = why;
    worker_end(c, signal);
}

void xg_channels_end(struct xg_guest *g, enum xg_ring_error why)
{
    for (unsigned i = 0; i < XG_CHANNELS_MAX; i++) {
        struct xg_broker_channel *c = &g->channel[i];
        if (c->state == XG_CHANNEL_GONE)
            c->state = XG_CHANNEL_FREE;
        if (c->state != XG_CHANNEL_OPEN)
            continue;
        c->why = why;
        c->state = XG_CHANNEL_CLOSING;
        worker_end(c, SIGTERM);
    }
}

void xg_channel_close(struct xg_guest *g, const struct xg_control_request *rq)
{
    struct xg_broker_channel *c = rq->channel < XG_CHANNELS_MAX ? &g->channel[rq->channel] : NULL;
    if (!c || c->state == XG_CHANNEL_FREE || c->state == XG_CHANNEL_CLOSING) {
        xg_control_reply(g, rq, -EINVAL, "no such channel");
        return;
    }
    if (c->state == XG_CHANNEL_GONE) {
        c->state = XG_CHANNEL_FREE;
        xg_control_reply(g, rq, 0, NULL);
        return;
    }
    c->state = XG_CHANNEL_CLOSING;
    c->reply = true;
    c->request = rq->id;
    worker_end(c, SIGTERM);
}

static enum xg_ring_error end_reason(int status, int error, char *text, size_t size)
{
    if (error) {
        snprintf(text, size, "its worker could not be started: %s", strerror(-error));
        return XG_RING_DEVICE;
    }
    if (WIFSIGNALED(status)) {
        snprintf(text, size, "its worker died of signal %d (%s)", WTERMSIG(status),
                 strsignal(WTERMSIG(status)));
        return XG_RING_LOST;
    }
    switch (WEXITSTATUS(status)) {
    case XG_WORKER_EXIT_OK: snprintf(text, size, "its worker ended"); return XG_RING_LOST;
    case XG_WORKER_EXIT_SETUP:
        snprintf(text, size, "its worker could not be set up; the daemon's log says why");
        return XG_RING_DEVICE;
    case XG_WORKER_EXIT_PROTOCOL:
        snprintf(text, size, "the application broke the protocol");
        return XG_RING_PROTOCOL;
    case XG_WORKER_EXIT_DEVICE:
        snprintf(text, size, "the device could not be used; the daemon's log says why");
        return XG_RING_DEVICE;
    case XG_WORKER_EXIT_TERMINATED:
        snprintf(text, size, "its worker was ended by SIGTERM");
        return XG_RING_LOST;
    default:
        snprintf(text, size, "its worker ended with status %d", WEXITSTATUS(status));
        return XG_RING_LOST;
    }
}

static struct xg_broker_channel *channel_find(const struct xg_broker *b, uint64_t id)
{
    for (struct xg_guest *g = b->guests; g; g = g->next)
        for (unsigned i = 0; i < XG_CHANNELS_MAX; i++)
            if (g->channel[i].id == id && xg_channel_live(&g->channel[i]))
                return &g->channel[i];
    return NULL;
}

void xg_worker_started(struct xg_broker *b, uint64_t id, int pid, int pidfd)
{
    struct xg_broker_channel *c = channel_find(b, id);
    if (!c || !xg_pgpu_software(c->guest->pgpu))
        xg_fds_close(&pidfd, 1);
    if (!c)
        return;
    c->worker = pid;
    xg_relay_name(c->relay, "%s (worker %d)", c->command, pid);
    xg_log(c->guest->name, "%s (process %u) started; its worker is process %d", c->command, c->pid,
           pid);
    if (xg_pgpu_software(c->guest->pgpu))
        xg_sched_slot_process(c->guest->sched, (uint32_t)c->slot, pid, pidfd);
}

/* Whether the end of a worker is a failure. The status says nothing if the application closed its
 * channel, unless a signal killed the worker. */
static bool worker_failed(const struct xg_broker_channel *c, int status, int error)
{
    int sig = !error && WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    return c->state == XG_CHANNEL_OPEN || error || (sig && sig != SIGTERM && sig != SIGKILL);
}

static void end_log(const struct xg_broker_channel *c, bool failed, const char *text)
{
    struct xg_sched_slot_stats s;
    xg_sched_slot_stats(c->guest->sched, (uint32_t)c->slot, &s);
    xg_log_at(failed ? XG_LOG_WARNING : XG_LOG_INFO, c->guest->name,
              "%s (process %u) ended: %s; it had used %.3f s of device time", c->command, c->pid,
              failed     ? text
              : c->reply ? "it closed its channel"
                         : "its device was closed",
              (double)s.device_time_ns / 1e9);
}

struct xg_guest *xg_worker_ended(struct xg_broker *b, uint64_t id, int status, int error,
                                 uint64_t peak)
{
    struct xg_broker_channel *c = channel_find(b, id);
    char text[192];
    if (!c)
        return NULL;
    struct xg_guest *g = c->guest;
    uint32_t number = (uint32_t)(c - g->channel);
    enum xg_ring_error why = end_reason(status, error, text, sizeof(text));
    xg_timer_disarm(&c->limit);
    worker_unwatch(c);
    enum xg_ring_error memory =
        error ? XG_RING_OK : xg_host_ended(c, status, peak, text, sizeof(text));
    if (memory)
        why = memory;
    end_log(c, memory || worker_failed(c, status, error), text);
    if (!error)
        crash_count(g, status);
    xg_sched_slot_free(g->sched, (uint32_t)c->slot);
    c->slot = -1;
    c->worker = 0;
    if (c->state == XG_CHANNEL_OPEN) {
        if (c->why != XG_RING_OK)
            why = c->why;
        c->state = XG_CHANNEL_GONE;
        xg_control_gone(g, number, why, text);
    } else {
        c->state = XG_CHANNEL_FREE;
        if (c->reply)
            xg_control_closed(g, number, c->request);
    }
    xg_host_guest_update(g);
    return g;
}
