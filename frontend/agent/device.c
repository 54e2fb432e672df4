/* The device node in the store, its states, and the control ring. */
#include "frontend/agent/agent.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FRONT "device/" XG_DEVICE_CLASS "/0"

static int back_read(struct agent *a, const char *node, char *value, size_t size)
{
    char path[384];
    snprintf(path, sizeof(path), "%s/%s", a->backend, node);
    return a->guest->ops->read(a->guest, path, value, size);
}

static uint64_t back_number(struct agent *a, const char *node, uint64_t otherwise)
{
    char value[64], *end;
    if (back_read(a, node, value, sizeof(value)) < 0)
        return otherwise;
    uint64_t v = strtoull(value, &end, 10);
    return end == value || *end ? otherwise : v;
}

static int front_write(struct agent *a, const char *node, uint64_t value)
{
    char path[128], text[32];
    snprintf(path, sizeof(path), FRONT "/%s", node);
    snprintf(text, sizeof(text), "%" PRIu64, value);
    return a->guest->ops->write(a->guest, path, text);
}

static int state_set(struct agent *a, enum xg_xenbus_state state)
{
    a->state = state;
    return front_write(a, XG_NODE_STATE, state);
}

static bool version_offered(const char *versions)
{
    for (const char *p = versions; p; p = strchr(p, ',') ? strchr(p, ',') + 1 : NULL)
        if (strtoul(p, NULL, 10) == XG_PROTOCOL_VERSION)
            return true;
    return false;
}

static uint32_t u32_clip(uint64_t v, uint64_t max)
{
    return (uint32_t)xg_min_u64(v, max);
}

/* Finds a geometry within both sides' limits. */
static int limits_read(struct agent *a)
{
    char versions[128] = "";
    if (back_read(a, XG_NODE_VERSIONS, versions, sizeof(versions)) < 0 ||
        !version_offered(versions)) {
        /* text that is not a list of numbers is not shown */
        versions[strspn(versions, "0123456789,")] = 0;
        snprintf(a->error, sizeof(a->error),
                 "xengpud speaks protocol version %.64s, this guest's xengpu-agent " XG_RELEASE
                 " speaks version " XG_PROTOCOL_VERSION_TEXT "; " XG_VERSION_ADVICE,
                 versions[0] ? versions : "?");
        return -EPROTONOSUPPORT;
    }
    if (back_read(a, XG_NODE_GUEST_NAME, a->name, sizeof(a->name)) < 0)
        strcpy(a->name, "?");
    a->max_channels = u32_clip(back_number(a, XG_NODE_MAX_CHANNELS, 1), XG_CHANNELS_MAX);
    a->memory_limit = back_number(a, XG_NODE_MEMORY_LIMIT, 0);
    struct xg_geometry *g = &a->limit;
    *g = a->wanted;
    g->ring_count = u32_clip(g->ring_count, back_number(a, XG_NODE_MAX_RINGS, 1));
    g->cmd_order = u32_clip(g->cmd_order, back_number(a, XG_NODE_MAX_CMD_ORDER, XG_CMD_ORDER_MIN));
    g->reply_order =
        u32_clip(g->reply_order, back_number(a, XG_NODE_MAX_REPLY_ORDER, XG_REPLY_ORDER_MIN));
    uint64_t pages = back_number(a, XG_NODE_MAX_PAGES, 1024);
    g->arena_pages = 0;
    uint64_t rings = xg_geometry_pages(g);
    g->arena_pages = rings < pages ? u32_clip(a->wanted.arena_pages, pages - rings) : 0;
    if (!xg_geometry_valid(g)) {
        snprintf(a->error, sizeof(a->error),
                 "a channel of %u rings does not fit into the %" PRIu64
                 " pages that the daemon allows; start the agent with fewer (--rings)",
                 g->ring_count, pages);
        return -EINVAL;
    }
    return 0;
}

int agent_pages_alloc(struct agent *a, uint64_t shown, uint64_t extra, struct xg_guest_pages *out)
{
    if (a->grants && shown + extra > a->grants - a->grants_used)
        return -ENOSPC;
    int err = a->guest->ops->pages_alloc(a->guest, shown, extra, out);
    if (!err)
        a->grants_used += (uint32_t)out->count;
    return err;
}

void agent_pages_free(struct agent *a, struct xg_guest_pages *p)
{
    a->grants_used -= (uint32_t)p->count;
    a->guest->ops->pages_free(a->guest, p);
}

static void control_free(struct agent *a)
{
    if (a->page) {
        a->page = NULL;
        a->guest->ops->control_unbind(a->guest);
        agent_pages_free(a, &a->control);
    }
}

/* Backend is in InitWait: publish the control ring. */
static int device_offer(struct agent *a)
{
    uint32_t port;
    int err = limits_read(a);
    a->unfit = err == -EPROTONOSUPPORT;
    if (a->unfit) {
        /* The daemon is told our version too: it refuses it, and its log then names both
         * versions. */
        if (!front_write(a, XG_NODE_VERSION, XG_PROTOCOL_VERSION))
            state_set(a, XG_XENBUS_INITIALISED);
        agent_log("%s", a->error);
        return 0;
    }
    if (err)
        return err;
    control_free(a);
    err = agent_pages_alloc(a, 1, 0, &a->control);
    if (err) {
        snprintf(a->error, sizeof(a->error), "no page for the control ring: %s", strerror(-err));
        return err;
    }
    a->page = (struct xg_control_page *)a->control.map;
    a->page->magic = XG_CONTROL_MAGIC;
    a->page->version = XG_CONTROL_VERSION;
    a->page->front_alive = 1;
    a->req_prod = a->msg_cons = 0;
    err = a->guest->ops->control_bind(a->guest, &a->control, &port);
    if (err)
        snprintf(a->error, sizeof(a->error), "no event channel for the control ring: %s",
                 strerror(-err));
    if (!err)
        err = front_write(a, XG_NODE_RING_REF, a->control.ref[0]);
    if (!err)
        err = front_write(a, XG_NODE_EVENT_CHANNEL, port);
    if (!err)
        err = front_write(a, XG_NODE_VERSION, XG_PROTOCOL_VERSION);
    return err ? err : state_set(a, XG_XENBUS_INITIALISED);
}

/* The device is lost; the backend may still have its pages mapped. */
static int device_leave(struct agent *a, enum xg_log_level level, const char *why)
{
    char text[192];
    if (back_read(a, XG_NODE_ERROR, text, sizeof(text)) < 0)
        text[0] = 0;
    snprintf(a->error, sizeof(a->error), "%s%s%s", why, text[0] ? ": " : "", text);
    agent_log_at(text[0] ? XG_LOG_WARNING : level, "%s", a->error);
    apps_lose(a, XG_RING_CLOSED);
    return state_set(a, XG_XENBUS_CLOSING);
}

/* The backend has none of the pages mapped any more. */
static int device_shut(struct agent *a)
{
    apps_free(a);
    control_free(a);
    return state_set(a, XG_XENBUS_CLOSED);
}

/* The daemon died without changing its state: the kernel of its domain cleared its alive byte. Its
 * workers end too; the kernel keeps the pages until nothing maps them. */
static void device_orphaned(struct agent *a)
{
    if (!a->page || a->state != XG_XENBUS_CONNECTED ||
        atomic_load_explicit(&a->page->back_alive, memory_order_acquire) ||
        back_number(a, XG_NODE_STATE, XG_XENBUS_UNKNOWN) != XG_XENBUS_CONNECTED)
        return;
    strcpy(a->error, "the daemon died; there is a device again when it is back");
    agent_warning("%s", a->error);
    apps_lose(a, XG_RING_LOST);
    device_shut(a);
    state_set(a, XG_XENBUS_INITIALISING);
}

/* Offers the device. If that fails, the reason usually goes away: others give pages back. */
static void device_try(struct agent *a)
{
    int err = device_offer(a);
    bool said = a->again;
    a->again = err != 0;
    if (err && !said)
        agent_warning("%s", a->error);
}

static bool device_offered(const struct agent *a)
{
    return a->state == XG_XENBUS_INITIALISED || a->state == XG_XENBUS_CONNECTED;
}

/* Follows the backend's state. */
static int device_follow(struct agent *a)
{
    enum xg_xenbus_state back =
        (enum xg_xenbus_state)back_number(a, XG_NODE_STATE, XG_XENBUS_UNKNOWN);
    int err = 0;
    switch (back) {
    case XG_XENBUS_INIT_WAIT:
        if (a->state == XG_XENBUS_CONNECTED)
            err = device_leave(a, XG_LOG_WARNING, "the daemon was started again");
        if (!err && a->state == XG_XENBUS_CLOSING)
            err = device_shut(a);
        if (!err && a->state == XG_XENBUS_CLOSED)
            err = state_set(a, XG_XENBUS_INITIALISING);
        if (!err && a->state == XG_XENBUS_INITIALISING)
            device_try(a);
        break;
    case XG_XENBUS_CONNECTED:
        if (a->state == XG_XENBUS_INITIALISED && !a->page) {
            err = device_leave(a, XG_LOG_WARNING, "the daemon took what was not offered");
        } else if (a->state == XG_XENBUS_INITIALISED) {
            err = state_set(a, XG_XENBUS_CONNECTED);
            a->error[0] = 0;
            agent_log("connected: %u rings of %u KiB, arena of %u MiB", a->limit.ring_count,
                      4u << a->limit.cmd_order, a->limit.arena_pages >> 8);
            apps_pump(a);
        }
        break;
    case XG_XENBUS_CLOSING:
    case XG_XENBUS_CLOSED:
    case XG_XENBUS_UNKNOWN:
        if (device_offered(a))
            err = device_leave(a, XG_LOG_INFO, "the daemon closed the device");
        if (!err && a->state == XG_XENBUS_CLOSING && back != XG_XENBUS_CLOSING)
            err = device_shut(a);
        break;
    default: break;
    }
    return err;
}

void device_why(struct agent *a)
{
    char text[512] = "";
    if (a->backend[0] && a->state == XG_XENBUS_INITIALISING && !a->again &&
        !back_read(a, XG_NODE_ERROR, text, sizeof(text)) && text[0])
        snprintf(a->error, sizeof(a->error), "%s", text);
}

/* There is a device, or may be one now. */
static int device_begin(struct agent *a)
{
    const struct xg_guest_ops *ops = a->guest->ops;
    char id[32];
    int err = ops->read(a->guest, FRONT "/backend", a->backend, sizeof(a->backend));
    if (!err)
        err = ops->read(a->guest, FRONT "/backend-id", id, sizeof(id));
    if (err) {
        a->backend[0] = 0;
        return err == -ENOENT ? 0 : err;
    }
    a->guest->backend = (uint32_t)strtoul(id, NULL, 10);
    strcpy(a->error, "the device is not ready yet; xengpud's log may say why");
    err = state_set(a, XG_XENBUS_INITIALISING);
    if (!err)
        err = ops->watch(a->guest, a->backend);
    return err ? err : device_follow(a);
}

/* There is no device any more, and no backend has its pages mapped. */
static void device_end(struct agent *a, enum xg_ring_error why, const char *text)
{
    snprintf(a->error, sizeof(a->error), "%s; 'xengpu attach' gives it one again", text);
    agent_warning("%s", a->error);
    apps_lose(a, why);
    apps_free(a);
    control_free(a);
    a->guest->ops->unwatch(a->guest, a->backend);
    a->backend[0] = 0;
    a->again = false;
    a->state = XG_XENBUS_CLOSED;
}

static void device_detached(struct agent *a)
{
    device_end(a, XG_RING_CLOSED, "this guest's GPU was taken away");
}

/* The device may be attached again already. */
void device_resumed(struct agent *a)
{
    if (a->backend[0])
        device_end(a, XG_RING_RESUMED,
                   "this guest was restored or migrated, and has lost its GPU with that");
    device_update(a);
}

static bool device_there(struct agent *a)
{
    char path[256];
    return a->guest->ops->read(a->guest, FRONT "/backend", path, sizeof(path)) != -ENOENT;
}

void device_update(struct agent *a)
{
    int err = 0;
    if (a->backend[0] && !device_there(a))
        device_detached(a);
    else if (a->backend[0])
        err = device_follow(a);
    else
        err = device_begin(a);
    if (err && a->backend[0] && !device_there(a))
        device_detached(a); /* it was detached in the meantime */
    else if (err)
        agent_warning("the device's nodes: %s", strerror(-err));
}

int device_start(struct agent *a)
{
    a->state = XG_XENBUS_CLOSED;
    snprintf(a->error, sizeof(a->error),
             "this guest has no GPU; attach one with 'xengpu attach' where xengpud runs");
    int err = a->guest->ops->watch(a->guest, FRONT);
    if (err)
        return err;
    device_update(a);
    if (!a->backend[0])
        agent_log("no device yet: waiting for 'xengpu attach'");
    return 0;
}

bool device_stop(struct agent *a)
{
    if (device_offered(a)) {
        apps_lose(a, XG_RING_CLOSED);
        state_set(a, XG_XENBUS_CLOSING);
    }
    if (a->backend[0])
        device_update(a);
    return a->state == XG_XENBUS_CLOSED || a->state == XG_XENBUS_INITIALISING;
}

struct xg_control_request *device_request(struct agent *a)
{
    if (!device_ready(a))
        return NULL;
    uint32_t used = a->req_prod - atomic_load_explicit(&a->page->req_cons, memory_order_acquire);
    if (used >= XG_CONTROL_REQUESTS)
        return NULL;
    struct xg_control_request *rq = &a->page->request[a->req_prod % XG_CONTROL_REQUESTS];
    memset(rq, 0, sizeof(*rq));
    rq->id = ++a->next_id;
    return rq;
}

void device_send(struct agent *a, struct xg_control_request *rq)
{
    (void)rq;
    atomic_store_explicit(&a->page->req_prod, ++a->req_prod, memory_order_release);
    a->guest->ops->control_notify(a->guest);
}

void device_messages(struct agent *a)
{
    unsigned taken = 0;
    device_orphaned(a);
    while (a->page) {
        uint32_t prod = atomic_load_explicit(&a->page->msg_prod, memory_order_acquire);
        uint32_t ready = prod - a->msg_cons;
        if (!ready || ready > XG_CONTROL_MESSAGES)
            break;
        struct xg_control_message m = a->page->message[a->msg_cons % XG_CONTROL_MESSAGES];
        m.text[sizeof(m.text) - 1] = 0;
        atomic_store_explicit(&a->page->msg_cons, ++a->msg_cons, memory_order_release);
        taken++;
        if (m.type == XG_CONTROL_REPLY)
            apps_reply(a, &m);
        else if (m.type == XG_CONTROL_GONE)
            apps_gone(a, &m);
    }
    if (taken && a->page)
        a->guest->ops->control_notify(a->guest);
    apps_pump(a);
}
