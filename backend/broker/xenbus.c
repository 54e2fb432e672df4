/* A guest's device node: features, states, and what to do in each. README.md of protocol/,
 * "States". */
#include "backend/broker/xenbus.h"
#include "backend/broker/channel.h"
#include "backend/broker/control.h"
#include "backend/broker/inventory.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Until a write is tried again that xenstore refused: it may be full, or short of memory. */
#define AGAIN_NS 200000000u

static int back_number(struct xg_guest *g, const char *node, uint64_t value)
{
    char text[32];
    snprintf(text, sizeof(text), "%" PRIu64, value);
    return g->front->ops->back_write(g->front, node, text);
}

static void store_again(struct xg_timer *t);

static int state_set(struct xg_guest *g, enum xg_xenbus_state state)
{
    g->state = state;
    int err = back_number(g, XG_NODE_STATE, state);
    if (err)
        xg_timer_arm(&g->store_again, AGAIN_NS, store_again);
    if (g->broker->guest_changed)
        g->broker->guest_changed(g);
    return err;
}

static int front_number(const struct xg_guest *g, const char *node, uint64_t *value)
{
    char text[32];
    int err = g->front->ops->front_read(g->front, node, text, sizeof(text));
    return err ? err : xg_number_parse(text, 0, UINT32_MAX, value);
}

/* What is offered stays the same as long as the device is there. So it is written once, and an
 * agent that comes and goes costs only a few accesses. */
static int offer_write(struct xg_guest *g)
{
    const struct xg_frontend_ops *ops = g->front->ops;
    const struct xg_device_config *d = &g->pgpu->device;
    const struct xg_options *o = &g->broker->options;
    int err = ops->back_write(g->front, XG_NODE_VERSIONS, XG_PROTOCOL_VERSION_TEXT);
    err = err ? err : ops->back_write(g->front, XG_NODE_GUEST_NAME, g->name);
    err = err ? err : back_number(g, XG_NODE_MAX_CHANNELS, o->max_channels);
    err = err ? err : back_number(g, XG_NODE_MAX_RINGS, XG_RINGS_MAX);
    err = err ? err : back_number(g, XG_NODE_MAX_CMD_ORDER, XG_CMD_ORDER_MAX);
    err = err ? err : back_number(g, XG_NODE_MAX_REPLY_ORDER, XG_REPLY_ORDER_MAX);
    err = err ? err : back_number(g, XG_NODE_MAX_PAGES, o->max_channel_pages);
    err = err ? err : back_number(g, XG_NODE_FEATURE_GL, d->gl);
    err = err ? err : back_number(g, XG_NODE_FEATURE_CUDA, d->cuda_library[0] != 0);
    err = err ? err : back_number(g, XG_NODE_MEMORY_LIMIT, g->memory_limit);
    g->offered = !err;
    return err;
}

int xg_xenbus_publish(struct xg_guest *g)
{
    g->unpublished = true;
    int err = back_number(g, XG_NODE_STATE, XG_XENBUS_INITIALISING);
    if (!err && !g->offered)
        err = offer_write(g);
    err = err ? err : g->front->ops->back_write(g->front, XG_NODE_ERROR, "");
    if (err) {
        xg_timer_arm(&g->store_again, AGAIN_NS, store_again);
        return err;
    }
    g->unpublished = false;
    state_set(g, XG_XENBUS_INIT_WAIT);
    xg_xenbus_store(g); /* the frontend may have offered its page to a daemon that died */
    return 0;
}

void xg_xenbus_waits(struct xg_guest *g)
{
    char text[XG_LOOK_TEXT];
    xg_pgpu_waiting(g->pgpu, text, sizeof(text));
    /* For people only, so a failure is not tried again. */
    g->front->ops->back_write(g->front, XG_NODE_ERROR, text);
}

static void store_again(struct xg_timer *t)
{
    struct xg_guest *g = xg_container_of(t, struct xg_guest, store_again);
    if (g->unpublished && !g->closing && !g->removing) {
        xg_xenbus_publish(g);
        return;
    }
    if (back_number(g, XG_NODE_STATE, g->state))
        xg_timer_arm(t, AGAIN_NS, store_again);
    xg_xenbus_store(g);
}

/* Takes back what the frontend gave. All workers are dead by now. */
static void device_unmap(struct xg_guest *g)
{
    if (g->page) {
        g->front->ops->control_unmap(g->front, g->page);
        g->page = NULL;
    }
    g->front->ops->control_unbind(g->front);
    xg_control_reset(g, NULL);
}

/* The guest's agent shows this text too: it reads the node `error`. */
static const char *other_version(const char *what, uint64_t theirs, unsigned ours)
{
    static char text[192];
    snprintf(text, sizeof(text),
             "the guest's agent speaks %s version %" PRIu64 ", xengpud " XG_RELEASE
             " speaks version %u; " XG_VERSION_ADVICE,
             what, theirs, ours);
    return text;
}

static const char *device_map(struct xg_guest *g)
{
    static const struct xg_control_user user = {
        .open = xg_channel_open, .close = xg_channel_close, .broken = xg_xenbus_close};
    const struct xg_frontend_ops *ops = g->front->ops;
    uint64_t version, ref, port;
    if (front_number(g, XG_NODE_VERSION, &version))
        return "node 'version' is missing or not a number";
    if (version != XG_PROTOCOL_VERSION)
        return other_version("protocol", version, XG_PROTOCOL_VERSION);
    if (front_number(g, XG_NODE_RING_REF, &ref) || front_number(g, XG_NODE_EVENT_CHANNEL, &port))
        return "node 'ring-ref' or 'event-channel' is missing or not a number";
    if (ops->control_bind(g->front, (uint32_t)port))
        return "the control ring's event channel could not be bound";
    if (ops->control_map(g->front, (uint32_t)ref, &g->page))
        return "the control ring could not be mapped";
    xg_control_reset(g, &user);
    if (g->page->magic != XG_CONTROL_MAGIC)
        return "the control page has no valid header";
    uint32_t page_version = *(volatile uint32_t *)&g->page->version;
    if (page_version != XG_CONTROL_VERSION)
        return other_version("control ring", page_version, XG_CONTROL_VERSION);
    g->page->back_alive = 1;
    return NULL;
}

void xg_xenbus_close(struct xg_guest *g, const char *why)
{
    if (g->closing)
        return;
    g->closing = true;
    if (why) {
        xg_log_warning(g->name, "device closed: %s", why);
        g->front->ops->back_write(g->front, XG_NODE_ERROR, why);
    }
    state_set(g, XG_XENBUS_CLOSING);
    xg_channels_end(g, XG_RING_CLOSED);
    xg_xenbus_settle(g);
}

static void publish_or_warn(struct xg_guest *g)
{
    int err = xg_xenbus_publish(g);
    if (err)
        xg_log_warning(g->name, "cannot write its device's nodes: %s", strerror(-err));
}

void xg_xenbus_renew(struct xg_guest *g)
{
    xg_log(g->name, "its device's nodes were created again in xenstore");
    g->offered = false;
    if (g->state == XG_XENBUS_CONNECTED)
        xg_xenbus_close(g, NULL);
    else if (!g->closing)
        publish_or_warn(g);
}

/* Once no worker maps the guest's pages any more, the device is closed, and may open again. */
void xg_xenbus_settle(struct xg_guest *g)
{
    if (g->closing && !xg_channels_live(g)) {
        device_unmap(g);
        g->closing = false;
        state_set(g, XG_XENBUS_CLOSED);
        xg_xenbus_store(g); /* the frontend may wait already to begin again */
    }
}

void xg_xenbus_store(void *arg)
{
    struct xg_guest *g = arg;
    uint64_t front;
    if (g->removing)
        return;
    int err = front_number(g, XG_NODE_STATE, &front);
    if (err == -ENOENT)
        front = XG_XENBUS_CLOSED; /* the frontend removed its nodes */
    else if (err && err != -EINVAL && err != -ENOBUFS)
        xg_timer_arm(&g->store_again, AGAIN_NS, store_again);
    if (err && err != -ENOENT)
        return;
    switch (front) {
    case XG_XENBUS_INITIALISING:
        if (g->state == XG_XENBUS_CLOSED)
            publish_or_warn(g);
        else if (g->state == XG_XENBUS_CONNECTED)
            xg_xenbus_close(g, NULL); /* the agent was started again */
        break;
    case XG_XENBUS_INITIALISED: /* state 4 (connected) is left from before this daemon */
        if (g->state == XG_XENBUS_INIT_WAIT) {
            const char *wrong = device_map(g);
            if (wrong)
                xg_xenbus_close(g, wrong);
            else
                state_set(g, XG_XENBUS_CONNECTED);
        }
        break;
    case XG_XENBUS_CLOSING:
    case XG_XENBUS_CLOSED:
        if (g->state == XG_XENBUS_CONNECTED)
            xg_xenbus_close(g, NULL);
        break;
    default: break;
    }
}

void xg_xenbus_control(void *arg)
{
    struct xg_guest *g = arg;
    if (g->page && !g->page->front_alive) {
        xg_log(g->name, "its agent is gone");
        xg_xenbus_close(g, NULL);
        return;
    }
    xg_control_event(g);
}

/* A new agent finds a device that waits for it, or one that is still being closed after the last
 * agent. */
void xg_xenbus_joined(void *arg)
{
    struct xg_guest *g = arg;
    g->front->ops->front_reset(g->front);
    if (g->state == XG_XENBUS_CLOSED && !g->removing)
        publish_or_warn(g);
}

void xg_xenbus_waiting(const struct xg_guest *g, char *text, size_t size)
{
    uint64_t front;
    if (!g->pgpu->settled)
        xg_pgpu_waiting(g->pgpu, text, size);
    else if (g->front->platform != XG_PLATFORM_XEN)
        snprintf(text, size, "its agent does not connect");
    else
        xg_nodes_waits(front_number(g, XG_NODE_STATE, &front) ? XG_XENBUS_UNKNOWN : front, g->state,
                       text, size);
}
