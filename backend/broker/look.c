/*
 * Looking at devices. For each API of a pGPU a child process looks for the device, again and again
 * until it is found: a driver may be slow, missing or broken while the machine boots, and work
 * later. After a look that failed there is a pause. Pauses grow to a minute, and none is shorter
 * than the look before it, so a driver that never returns costs half of a processor at most.
 *
 * A pGPU is ready for guests once each of its APIs has been looked at and one was found. What is
 * found later serves the applications that start after that.
 */
#include "backend/broker/look.h"
#include "backend/broker/inventory.h"
#include "backend/broker/relay.h"
#include "backend/broker/spawner.h"
#include "backend/broker/xenbus.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <unistd.h>

#define SECOND          1000000000u
#define PAUSE_DOUBLINGS 6u /* from 1 s on */
#define PAUSE_MAX_NS    (60ull * SECOND)
#define LIMIT_DOUBLINGS 3u /* from `probe_ns` on */

static enum xg_probe_api api_of(const struct xg_look *l)
{
    return (enum xg_probe_api)(l - l->pgpu->look);
}

static void end_text(const struct xg_look *l, int status, int error, char *text, size_t size)
{
    if (error)
        snprintf(text, size, "the process that looks at the device cannot be started: %s",
                 strerror(-error));
    else if (WIFSIGNALED(status))
        snprintf(text, size, "ended by signal %d (%s) in: %s", WTERMSIG(status),
                 strsignal(WTERMSIG(status)), l->found.doing);
    else
        snprintf(text, size, "exited with %d in: %s", WEXITSTATUS(status), l->found.doing);
}

/* --- what follows from a look ----------------------------------------------------------------- */

static void pgpu_log(const struct xg_pgpu *p)
{
    const struct xg_look *gl = &p->look[XG_PROBE_GL], *cuda = &p->look[XG_PROBE_CUDA];
    bool has_gl = gl->state == XG_LOOK_FOUND, has_cuda = cuda->state == XG_LOOK_FOUND;
    xg_log(NULL, "pgpu %s: OpenGL: %s%s%s; CUDA: %s", p->name,
           has_gl         ? gl->found.renderer
           : gl->error[0] ? gl->error
                          : "none",
           has_gl ? ", " : "", has_gl ? gl->found.gl_version : "",
           has_cuda         ? cuda->found.cuda_name
           : cuda->error[0] ? cuda->error
                            : "none");
}

static void cuda_warn(const struct xg_pgpu *p)
{
    const struct xg_look *cuda = &p->look[XG_PROBE_CUDA];
    if (cuda->state != XG_LOOK_FOUND)
        return;
    if (cuda->found.cuda_mode)
        xg_log_warning(
            NULL,
            "pgpu %s: its compute mode allows one program at a time, or none: only one "
            "application of all guests will have CUDA (nvidia-smi -c DEFAULT changes it)",
            p->name);
    if (cuda->found.cuda_reaches)
        xg_log_warning(
            NULL,
            "pgpu %s: kernels reach all memory of the worker that runs them, not only their "
            "guest's (loading nvidia-uvm with uvm_disable_hmm=1 turns it off)",
            p->name);
}

static bool pgpu_ready(const struct xg_pgpu *p)
{
    unsigned off = 0, found = 0;
    for (unsigned i = 0; i < XG_PROBE_APIS; i++) {
        const struct xg_look *l = &p->look[i];
        off += l->state == XG_LOOK_OFF;
        found += l->state == XG_LOOK_FOUND;
        if (l->state == XG_LOOK_RUNS && !l->failures)
            return false;
    }
    return found || off == XG_PROBE_APIS;
}

/* New workers use what was found; guests that waited for it become ready. */
static void pgpu_update(struct xg_pgpu *p, bool found)
{
    const struct xg_look *gl = &p->look[XG_PROBE_GL], *cuda = &p->look[XG_PROBE_CUDA];
    bool ready = pgpu_ready(p), first = ready && !p->settled;
    p->settled |= ready;
    p->device.gl = gl->state == XG_LOOK_FOUND;
    snprintf(p->device.cuda_library, sizeof(p->device.cuda_library), "%s",
             cuda->state == XG_LOOK_FOUND ? cuda->found.cuda_library : "");
    if (first || (found && p->settled)) {
        pgpu_log(p);
        cuda_warn(p);
    }
    for (struct xg_guest *g = p->broker->guests; g; g = g->next) {
        if (g->pgpu != p)
            continue;
        if (found)
            g->offered = false; /* the features are written again when the device opens next */
        if (first)
            xg_xenbus_publish(g);
        else if (!p->settled)
            xg_xenbus_waits(g);
    }
}

/* --- a look ----------------------------------------------------------------------------------- */

static void look_begin(struct xg_timer *t);

static void look_failed(struct xg_look *l, const char *error)
{
    uint64_t took = xg_loop_now() - l->since;
    bool news = strcmp(l->error, error) || l->failures < PAUSE_DOUBLINGS;
    uint64_t pause = (uint64_t)SECOND << xg_min_u64(l->failures, PAUSE_DOUBLINGS);
    pause = xg_max_u64(xg_min_u64(pause, PAUSE_MAX_NS), took);
    snprintf(l->error, sizeof(l->error), "%s", error);
    l->failures++;
    l->state = XG_LOOK_PAUSES;
    xg_timer_arm(&l->timer, pause, look_begin);
    if (news) /* the same text is not logged every minute */
        xg_log(NULL, "pgpu %s: %s: %s; looked at again in %u s", l->pgpu->name,
               xg_probe_name(api_of(l)), l->error, xg_seconds(pause));
}

/* `error`: why the child has no answer; NULL: the answer is in l->found. */
static void look_end(struct xg_look *l, const char *error)
{
    xg_timer_disarm(&l->timer);
    xg_loop_close(&l->pipe);
    if (!error && l->found.error[0])
        error = l->found.error;
    if (error) {
        look_failed(l, error);
    } else {
        l->state = XG_LOOK_FOUND;
        l->error[0] = 0;
    }
    pgpu_update(l->pgpu, !error);
}

static void pipe_take(struct xg_look *l)
{
    struct xg_probe_result r;
    ssize_t n = 1;
    while (l->pipe.fd >= 0 && (n = read(l->pipe.fd, &r, sizeof(r))) == sizeof(r))
        l->found = r;
    if (n == 0)
        xg_loop_close(&l->pipe); /* the end of its process tells why */
}

static void pipe_readable(struct xg_source *s, uint32_t events)
{
    struct xg_look *l = xg_container_of(s, struct xg_look, pipe);
    (void)events;
    pipe_take(l);
    if (l->found.complete)
        look_end(l, NULL);
}

static uint64_t look_limit(const struct xg_look *l)
{
    return l->pgpu->broker->options.probe_ns << xg_min_u64(l->failures, LIMIT_DOUBLINGS);
}

static void look_late(struct xg_timer *t)
{
    struct xg_look *l = xg_container_of(t, struct xg_look, timer);
    char text[XG_LOOK_TEXT];
    xg_spawn_kill(l->child, SIGKILL);
    snprintf(text, sizeof(text), "timed out: no answer in %u s from: %s", xg_seconds(look_limit(l)),
             l->found.doing);
    look_end(l, text);
}

bool xg_probe_ended(struct xg_broker *b, uint64_t id, int status, int error)
{
    char text[XG_LOOK_TEXT];
    for (struct xg_pgpu *p = b->pgpus; p; p = p->next)
        for (unsigned i = 0; i < XG_PROBE_APIS; i++) {
            struct xg_look *l = &p->look[i];
            if (!l->child || l->child != id)
                continue;
            l->child = 0;
            xg_relay_end(&l->relay);
            if (l->state != XG_LOOK_RUNS)
                return true;
            pipe_take(l);
            end_text(l, status, error, text, sizeof(text));
            look_end(l, l->found.complete ? NULL : text);
            return true;
        }
    return false;
}

/* What the child is told to look at: any library that the configuration names, and OpenGL. */
static struct xg_device_config device_wanted(const struct xg_look *l)
{
    const struct xg_pgpu *p = l->pgpu;
    struct xg_device_config d = p->device;
    snprintf(d.cuda_library, sizeof(d.cuda_library), "%s", p->cuda);
    d.gl = true;
    return d;
}

static int look_start(struct xg_look *l)
{
    struct xg_device_config device = device_wanted(l);
    int pipes[2];
    if (pipe2(pipes, O_CLOEXEC | O_NONBLOCK) < 0)
        return -errno;
    uint64_t id = xg_spawn_id();
    char who[96];
    snprintf(who, sizeof(who), "pgpu %s: %s", l->pgpu->name, xg_probe_name(api_of(l)));
    int log = xg_relay_create(NULL, who, &l->relay);
    int err = log < 0 ? log : xg_spawn_probe(id, api_of(l), &device, pipes[1], log);
    close(pipes[1]);
    if (log >= 0)
        close(log);
    if (!err) {
        l->child = id;
        err = xg_loop_add(&l->pipe, pipes[0], EPOLLIN, pipe_readable);
    }
    if (err) {
        close(pipes[0]);
        if (!l->child)
            xg_relay_end(&l->relay);
    }
    return err;
}

static void look_begin(struct xg_timer *t)
{
    struct xg_look *l = xg_container_of(t, struct xg_look, timer);
    l->since = xg_loop_now();
    if (l->child) {
        look_failed(l,
                    "the process that looks at the device hangs in the kernel and cannot be ended");
        return;
    }
    l->found = (struct xg_probe_result){.doing = "starting"};
    l->state = XG_LOOK_RUNS;
    int err = look_start(l);
    if (err) {
        look_end(l, strerror(-err));
        return;
    }
    xg_timer_arm(&l->timer, look_limit(l), look_late);
}

/* --- a pGPU's --------------------------------------------------------------------------------- */

void xg_looks_start(struct xg_pgpu *p)
{
    struct xg_device_config *d = &p->device;
    bool on[] = {[XG_PROBE_GL] = strcmp(p->gl, "none"), [XG_PROBE_CUDA] = strcmp(p->cuda, "none")};
    snprintf(d->name, sizeof(d->name), "%s", p->name);
    snprintf(d->egl_device, sizeof(d->egl_device), "%s", strcmp(p->gl, "auto") ? p->gl : "");
    d->cuda_ordinal = p->cuda_ordinal;
    for (unsigned i = 0; i < XG_PROBE_APIS; i++) {
        p->look[i].pgpu = p;
        p->look[i].pipe.fd = -1;
        p->look[i].state = on[i] ? XG_LOOK_RUNS : XG_LOOK_OFF;
    }
    for (unsigned i = 0; i < XG_PROBE_APIS; i++)
        if (on[i])
            look_begin(&p->look[i].timer);
    pgpu_update(p, false);
}

void xg_looks_stop(struct xg_pgpu *p)
{
    for (unsigned i = 0; i < XG_PROBE_APIS; i++) {
        struct xg_look *l = &p->look[i];
        if (l->child && l->state == XG_LOOK_RUNS)
            xg_spawn_kill(l->child, SIGKILL);
        xg_timer_disarm(&l->timer);
        if (l->pgpu)
            xg_loop_close(&l->pipe);
        xg_relay_end(&l->relay);
    }
}
