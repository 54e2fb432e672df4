/*
 * Xen: which domains have a device. The nodes in xenstore say it, and stay when the daemon ends:
 * `xengpu attach` makes them here or in Dom0. The configuration names domains that get nodes as
 * soon as the domain appears. A device ends with its domain, or when a toolstack takes it away
 * (`online` 0, or the nodes gone).
 */
#include "backend/broker/domains.h"
#include "backend/broker/guest.h"
#include "backend/broker/inventory.h"
#include "backend/broker/xenbus.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static struct xg_guest *guest_of(const struct xg_broker *b, uint32_t domid)
{
    for (struct xg_guest *g = b->guests; g; g = g->next)
        if (g->front->domid == domid)
            return g;
    return NULL;
}

static void domain_attach(struct xg_broker *b, const char *name, uint32_t domid,
                          const struct xg_settings *own)
{
    struct xg_why why;
    struct xg_guest *g;
    int err = xg_guest_attach(b, name, domid, own, &g, &why);
    if (err && err != -EEXIST) /* a domain of the same name is still ending */
        xg_log_warning(NULL, "%s", why.text);
}

/* Nodes that nobody serves. An earlier daemon or a toolstack has made them. */
static void device_found(void *arg, uint32_t domid, const struct xg_policy *p)
{
    struct xg_broker *b = arg;
    struct xg_settings own = XG_SETTINGS_NONE;
    char name[128];
    if (guest_of(b, domid) || xg_xen_name(domid, name, sizeof(name)))
        return;
    if (!xg_name_valid(name)) {
        xg_log_warning(NULL, "domain %u is not served: its name is not valid for a guest", domid);
        return;
    }
    /* The configuration counts more than the nodes: it may have changed since. */
    if (!xg_guest_config_find(b, name)) {
        own.policy = *p;
        if (!strcmp(p->type, "default"))
            own.policy.type[0] = 0;
    }
    domain_attach(b, name, domid, &own);
}

static void name_follow(struct xg_guest *g)
{
    char name[128];
    if (xg_xen_own() || xg_xen_name(g->front->domid, name, sizeof(name)) || !strcmp(name, g->name))
        return;
    if (!xg_name_valid(name) || xg_guest_find(g->broker, name))
        return;
    xg_log(g->name, "is called %s now", name);
    strcpy(g->name, name);
    g->front->ops->back_write(g->front, XG_NODE_GUEST_NAME, g->name);
}

static void domain_found(void *arg, uint32_t domid, const char *name)
{
    struct xg_broker *b = arg;
    const struct xg_guest_config *known = xg_guest_config_find(b, name);
    if (known && known->detached_domid != domid && !xg_guest_find(b, name) && !guest_of(b, domid))
        domain_attach(b, name, domid, &XG_SETTINGS_NONE);
}

void xg_domain_detached(const struct xg_guest *g)
{
    struct xg_guest_config *known = xg_guest_config_find(g->broker, g->name);
    if (known)
        known->detached_domid = g->front->domid;
}

void xg_domains_look(struct xg_broker *b)
{
    if (b->stopping)
        return;
    for (struct xg_guest *g = b->guests; g; g = g->next) {
        if (g->removing)
            continue;
        if (xg_xen_online(g->front->domid)) {
            name_follow(g);
            if (g->offered && !xg_xen_offered(g->front->domid))
                xg_xenbus_renew(g);
        } else {
            xg_log(g->name, "its device was taken away in xenstore");
            xg_guest_detach(g, NULL, NULL);
        }
    }
    xg_xen_each(device_found, b);
    xg_xen_names(domain_found, b);
}

static void world_changed(void *arg)
{
    xg_domains_look(arg);
}

int xg_domains_start(struct xg_broker *b)
{
    return xg_xen_open(world_changed, b);
}
