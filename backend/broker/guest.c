/* Guests: attaching, detaching, their agents in local mode. */
#include "backend/broker/guest.h"
#include "backend/broker/channel.h"
#include "backend/broker/guest_settings.h"
#include "backend/broker/host.h"
#include "backend/broker/inventory.h"
#include "backend/broker/relay.h"
#include "backend/broker/sockets.h"
#include "backend/broker/spawner.h"
#include "backend/broker/xenbus.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define AGENT_RESTART_NS 100000000u

/* --- the end ---------------------------------------------------------------------------------- */

static void guest_free(struct xg_timer *t)
{
    struct xg_guest *g = xg_container_of(t, struct xg_guest, reap), **p = &g->broker->guests;
    struct xg_broker *b = g->broker;
    while (*p != g)
        p = &(*p)->next;
    *p = g->next;
    g->pgpu->guests--;
    xg_timer_disarm(&g->agent_restart);
    xg_timer_disarm(&g->store_again);
    g->front->ops->destroy(g->front, !b->stopping);
    xg_host_guest_remove(g);
    xg_sched_guest_remove(g->sched);
    if (b->options.xen)
        xg_xen_look(); /* after a reboot, a new domain of the same name may wait for this */
    else
        xg_sockets_remove(b, g->name);
    xg_log(g->name, "detached");
    if (g->removed)
        g->removed(g->removed_arg, 0);
    free(g);
}

/* Frees a guest that ends, once nothing uses it any more. */
static void guest_settle(struct xg_guest *g)
{
    if (g->removing && !g->closing && !g->agent_id && !xg_channels_live(g) && !g->reap.armed)
        xg_timer_arm(&g->reap, 0, guest_free);
}

/* --- the agent -------------------------------------------------------------------------------- */

static void argv_add(char *argv, size_t *size, const char *fmt, ...) XG_PRINTF(3, 4);
static void argv_add(char *argv, size_t *size, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(argv + *size, XG_SPAWN_ARGV - *size, fmt, ap);
    va_end(ap);
    *size = xg_min_u64(*size + (size_t)n + 1, XG_SPAWN_ARGV);
}

static void agent_start(struct xg_timer *t);

static void agent_again(struct xg_guest *g)
{
    if (g->agent_deaths < 6)
        g->agent_deaths++;
    xg_timer_arm(&g->agent_restart, (uint64_t)AGENT_RESTART_NS << g->agent_deaths, agent_start);
}

static void agent_start(struct xg_timer *t)
{
    struct xg_guest *g = xg_container_of(t, struct xg_guest, agent_restart);
    const struct xg_broker *b = g->broker;
    char argv[XG_SPAWN_ARGV] = "", path[256];
    size_t size = 0;
    argv_add(argv, &size, "%s", b->options.agent);
    argv_add(argv, &size, "--local");
    argv_add(argv, &size, "--relay");
    argv_add(argv, &size, "--store");
    xg_socket_store(b, g->name, path, sizeof(path));
    argv_add(argv, &size, "%s", path);
    argv_add(argv, &size, "--listen");
    xg_socket_agent(b, g->name, path, sizeof(path));
    argv_add(argv, &size, "%s", path);
    uint32_t rings = g->own.rings ? g->own.rings : g->config.rings;
    uint32_t arena = g->own.arena_mib ? g->own.arena_mib : g->config.arena_mib;
    if (rings)
        argv_add(argv, &size, "--rings=%u", rings);
    if (arena)
        argv_add(argv, &size, "--arena=%u", arena);
    if (g->user != XG_USER_EVERYBODY)
        argv_add(argv, &size, "--owner=%" PRIu64, g->user - 1);
    if (b->options.agent_user[0])
        argv_add(argv, &size, "--user=%s", b->options.agent_user);
    g->agent_id = xg_spawn_id();
    int log = xg_relay_create(g->name, "agent", &g->agent_relay);
    int err = log < 0 ? log : xg_spawn_program(g->agent_id, argv, size, log);
    if (log >= 0)
        close(log);
    if (err) {
        xg_log_warning(g->name, "cannot start its agent: %s; trying again", strerror(-err));
        xg_relay_end(&g->agent_relay);
        g->agent_id = 0;
        agent_again(g);
    }
}

static bool agent_ended(struct xg_broker *b, uint64_t id, int status, int error)
{
    for (struct xg_guest *g = b->guests; g; g = g->next) {
        if (!g->agent_id || g->agent_id != id)
            continue;
        g->agent_id = 0;
        xg_relay_end(&g->agent_relay);
        if (g->removing) {
            guest_settle(g);
            return true;
        }
        if (error)
            xg_log_warning(g->name, "its agent could not be started: %s; trying again",
                           strerror(-error));
        else if (WIFSIGNALED(status))
            xg_log_warning(g->name, "its agent died of signal %d; starting it again",
                           WTERMSIG(status));
        else
            xg_log_warning(g->name, "its agent ended with status %d; starting it again",
                           WEXITSTATUS(status));
        agent_again(g);
        return true;
    }
    return false;
}

/* --- attach ----------------------------------------------------------------------------------- */

static uint32_t index_pick(const struct xg_broker *b)
{
    for (uint32_t i = 0;; i++) {
        bool taken = false;
        for (struct xg_guest *g = b->guests; g && !taken; g = g->next)
            taken = g->index == i;
        if (!taken)
            return i;
    }
}

static void front_lost(void *arg)
{
    struct xg_guest *g = arg;
    g->front->ops->front_reset(g->front);
    if (g->front->platform == XG_PLATFORM_XEN && !g->removing)
        xg_guest_detach(g, NULL, NULL); /* the domain is gone for good */
    else if (g->state == XG_XENBUS_CONNECTED)
        xg_xenbus_close(g, NULL);
}

static const struct xg_frontend_events events = {
    .store = xg_xenbus_store,
    .control = xg_xenbus_control,
    .lost = front_lost,
    .joined = xg_xenbus_joined,
};

static int front_local(struct xg_guest *g, struct xg_why *why)
{
    char path[256];
    int err = xg_sockets_prepare(g->broker, g->name, why);
    if (err)
        return err;
    xg_socket_store(g->broker, g->name, path, sizeof(path));
    err = xg_frontend_local(path, g->name, &events, g, &g->front);
    if (err)
        xg_why_set(why, "%s: cannot make its device: %s", g->name, strerror(-err));
    return err;
}

/* In a driver domain, where xenstore refuses this. */
static int refuse_xen(const struct xg_guest *g, int err, const char *what, struct xg_why *why)
{
    uint32_t own = xg_xen_own();
    return xg_refuse(why, err,
                     "%s: this is domain %u, which may not %s; in Dom0: 'xengpu attach %s "
                     "--backend %u'",
                     g->name, own, what, g->name, own);
}

static int front_xen(struct xg_guest *g, uint32_t domid, struct xg_why *why)
{
    struct xg_policy policy;
    int err = domid ? 0 : xg_xen_domain(g->name, &domid);
    if (err == -EACCES || (err && xg_xen_own()))
        return refuse_xen(g, err, "look for domains", why);
    if (err)
        return xg_refuse(why, err, "%s: no domain has this name; see 'xl list'", g->name);
    xg_guest_policy(g, &policy);
    err = xg_frontend_xen(domid, g->name, &policy, &events, g, &g->front);
    if (err == -EACCES && xg_xen_own())
        return refuse_xen(g, err, "write another's nodes", why);
    if (err)
        xg_why_set(why, "%s: cannot make its device: %s", g->name, strerror(-err));
    return err;
}

static int pgpu_choose(const struct xg_broker *b, const struct xg_policy *policy,
                       struct xg_pgpu **out, struct xg_why *why)
{
    const char *name = policy->pgpu;
    const struct xg_type *t = xg_type_find(b, policy->type);
    struct xg_pgpu *p = *out = *name ? xg_pgpu_find(b, name) : xg_place(b, t);
    if (!p)
        return xg_refuse(why, -ENOENT, "%s: there is no pgpu of that name; see 'xengpu list'",
                         name);
    if (xg_pgpu_room(p, t))
        return 0;
    if (!*name)
        name = "each pgpu";
    if (xg_type_full(p, t))
        return xg_refuse(why, -ENOSPC, "%s has %u guests of type %s, its max-instances", name,
                         t->settings.instances, t->name);
    return xg_refuse(why, -ENOSPC, "%s has its max-instances, %u guests", name,
                     p->sharing.instances);
}

static int guest_check(const struct xg_broker *b, const char *name, const struct xg_policy *p,
                       const struct xg_settings *own, struct xg_why *why)
{
    unsigned count = 0;
    for (struct xg_guest *g = b->guests; g; g = g->next)
        count++;
    if (!xg_name_valid(name))
        return xg_refuse(why, -EINVAL, "'%s' is not a guest's name: " XG_NAME_RULE, name);
    if (xg_guest_find(b, name))
        return xg_refuse(why, -EEXIST, "%s: is attached already", name);
    if (!xg_type_find(b, p->type))
        return xg_refuse(why, -ENOENT, "%s: there is no type of that name; see 'xengpu types'",
                         p->type);
    if (b->options.xen && (own->rings || own->arena_mib || own->user))
        return xg_refuse(
            why, -EINVAL,
            "rings, arena and user are for local mode only; on Xen the guest's xengpu-agent has "
            "options for them");
    if (count >= XG_GUESTS_MAX)
        return xg_refuse(why, -ENOSPC, "there are %u guests already, the limit", count);
    return 0;
}

/* Whose agent.sock is: who the settings say, else who attached it. In the daemon of an ordinary
 * user it is always that user; root may use all sockets. */
static uint64_t user_of(const struct xg_guest *g, uid_t attacher)
{
    uint64_t told = g->own.user ? g->own.user : g->config.user;
    return told ? told : (uint64_t)(geteuid() ? geteuid() : attacher) + 1;
}

/* The guest is not in the list yet. */
static int guest_make(struct xg_broker *b, const char *name, const struct xg_settings *own,
                      uid_t attacher, struct xg_guest **out, struct xg_why *why)
{
    const struct xg_guest_config *known = xg_guest_config_find(b, name);
    struct xg_guest *g = calloc(1, sizeof(*g));
    struct xg_policy p;
    if (!g)
        return xg_refuse(why, -ENOMEM, "there is no memory left");
    g->broker = b;
    g->own = *own;
    g->config = known ? known->settings : XG_SETTINGS_NONE;
    xg_guest_policy(g, &p);
    int err = guest_check(b, name, &p, own, why);
    if (err)
        goto fail;
    strcpy(g->name, name);
    err = pgpu_choose(b, &p, &g->pgpu, why);
    if (err)
        goto fail;
    g->index = index_pick(b);
    g->user = user_of(g, attacher);
    if (geteuid() != 0 && g->user != XG_USER_EVERYBODY && g->user - 1 != geteuid()) {
        xg_why_set(why, "%s: user: only a daemon that root runs can give a guest to another user",
                   name);
        err = -EPERM;
        goto fail;
    }
    xg_guest_resolve(g);
    g->with_agent = !own->without_agent && !b->options.xen;
    err = xg_sched_guest_add(g->pgpu->sched, g->weight, g->memory_limit, g, &g->sched);
    if (err) {
        xg_why_set(why, "%s: the scheduler cannot take it: %s", g->name, strerror(-err));
        goto fail;
    }
    xg_sched_guest_limit(g->sched, &g->limits);
    xg_host_guest_add(g);
    *out = g;
    return 0;
fail:
    free(g);
    return err;
}

int xg_guest_attach(struct xg_broker *b, const char *name, uint32_t domid,
                    const struct xg_settings *own, struct xg_guest **out, struct xg_why *why)
{
    return xg_guest_attach_for(b, name, domid, own, geteuid(), out, why);
}

int xg_guest_attach_for(struct xg_broker *b, const char *name, uint32_t domid,
                        const struct xg_settings *own, uid_t attacher, struct xg_guest **out,
                        struct xg_why *why)
{
    struct xg_guest *g;
    int err = guest_make(b, name, own, attacher, &g, why);
    if (err)
        return err;
    err = b->options.xen ? front_xen(g, domid, why) : front_local(g, why);
    if (err) {
        xg_host_guest_remove(g);
        xg_sched_guest_remove(g->sched);
        free(g);
        return err;
    }
    g->pgpu->guests++;
    g->next = b->guests;
    b->guests = g;
    if (g->pgpu->settled)
        xg_xenbus_publish(g);
    else
        xg_xenbus_waits(g); /* published once the device was found */
    if (g->with_agent)
        agent_start(&g->agent_restart);
    xg_log(g->name, "attached to pgpu %s as %s, weight %u", g->pgpu->name, g->type, g->weight);
    *out = g;
    return 0;
}

/* --- detach ----------------------------------------------------------------------------------- */

int xg_guest_detach(struct xg_guest *g, void (*fn)(void *arg, int err), void *arg)
{
    if (g->removing)
        return -EALREADY;
    g->removing = true;
    g->removed = fn;
    g->removed_arg = arg;
    xg_timer_disarm(&g->agent_restart);
    xg_xenbus_close(g, NULL);
    if (g->agent_id)
        xg_spawn_kill(g->agent_id, SIGTERM);
    guest_settle(g);
    return 0;
}

void xg_guests_start(struct xg_broker *b)
{
    struct xg_why why;
    for (struct xg_guest_config *c = b->guest_configs; c; c = c->next) {
        struct xg_guest *g;
        if (!xg_guest_find(b, c->name) &&
            xg_guest_attach(b, c->name, 0, &XG_SETTINGS_NONE, &g, &why))
            xg_log_error(NULL, "%s", why.text);
    }
}

bool xg_guest_process_ended(struct xg_broker *b, uint64_t id, int status, int error, uint64_t peak)
{
    struct xg_guest *g = xg_worker_ended(b, id, status, error, peak);
    if (!g)
        return agent_ended(b, id, status, error);
    xg_xenbus_settle(g);
    guest_settle(g);
    return true;
}

/* On Xen the nodes stay, so that the next daemon serves the devices again. */
void xg_guests_stop(struct xg_broker *b)
{
    b->stopping = true;
    for (struct xg_guest *g = b->guests; g; g = g->next)
        xg_guest_detach(g, NULL, NULL);
}
