/*
 * The configuration takes effect: all of it at the start, later what can change while guests run. A
 * file with an error in it changes nothing.
 *
 * Guests keep what an operator gave them; the rest follows their section and their type. A guest
 * whose section was removed stays as it is until it is detached.
 */
#include "backend/broker/reload.h"
#include "backend/broker/config.h"
#include "backend/broker/guest.h"
#include "backend/broker/guest_settings.h"
#include "backend/broker/inventory.h"
#include "backend/broker/options.h"
#include "backend/broker/pgpu.h"
#include "backend/broker/report.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DEFAULT_PATH "/etc/xengpu/xengpud.conf"

/* The file to be read; NULL: none. */
static const char *path_now(const struct xg_broker *b)
{
    if (*b->config.path)
        return b->config.path;
    return b->config.loaded || access(DEFAULT_PATH, F_OK) == 0 ? DEFAULT_PATH : NULL;
}

static void errors_log(const char *errors)
{
    if (!errors)
        xg_log_error(NULL, "there is no memory to read the configuration");
    for (const char *line = errors, *end; line && (end = strchr(line, '\n')); line = end + 1)
        xg_log_error(NULL, "%.*s", (int)(end - line), line);
}

int xg_config_start(struct xg_broker *b, const char *path)
{
    struct xg_config c;
    char *errors;
    b->config.path = path;
    b->config.base = b->options;
    int err = xg_config_read(path_now(b), &b->config.base, &c, &errors);
    if (err) {
        errors_log(errors);
        free(errors);
        return err;
    }
    b->config.loaded = path_now(b) != NULL;
    b->options = b->config.current = c.options;
    for (const struct xg_pgpu_config *p = c.pgpus; p; p = p->next)
        if (!xg_pgpu_add(b, p)) {
            errors_log(NULL);
            return -ENOMEM;
        }
    b->types = c.types;
    b->guest_configs = c.guests;
    c.types = NULL;
    c.guests = NULL;
    xg_config_free(&c);
    return 0;
}

void xg_config_stop(struct xg_broker *b)
{
    xg_config_free(&(struct xg_config){.types = b->types, .guests = b->guest_configs});
}

/* --- what changes ----------------------------------------------------------------------------- */

#define NOW         "now"
#define NEXT_ATTACH "when it is attached again"
#define NEXT_START  "at the next start of xengpud"

struct reload {
    struct xg_broker *broker;
    struct xg_config new;
    json_t *changes;
    const struct xg_guest *guest; /* of which changes are reported now */
};

static void change_report(struct reload *r, const char *applies, const char *fmt, ...)
    XG_PRINTF(3, 4);
static void change_report(struct reload *r, const char *applies, const char *fmt, ...)
{
    char what[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(what, sizeof(what), fmt, ap);
    va_end(ap);
    json_array_append_new(r->changes,
                          json_pack("{s:o, s:s}", "what", xg_json_text(what), "applies", applies));
    xg_log(NULL, "reload: %s: takes effect %s", what, applies);
}

static void option_changed(void *arg, const char *key, bool live)
{
    change_report(arg, live ? NOW : NEXT_START, "[daemon] %s", key);
}

static void options_apply(struct reload *r)
{
    struct xg_broker *b = r->broker;
    xg_options_differ(&b->config.current, &r->new.options, option_changed, r);
    xg_options_update(&b->config.current, &r->new.options);
    xg_options_update(&b->options, &r->new.options);
    for (struct xg_pgpu *p = b->pgpus; p; p = p->next)
        xg_pgpu_share(p);
}

static void sharing_apply(struct reload *r, struct xg_pgpu *p, const struct xg_sharing *new)
{
    const struct xg_sharing *old = &p->sharing;
    if (old->policy != new->policy)
        change_report(r, NOW, "[pgpu %s] policy %s, was %s", p->name, xg_policy_name(new->policy),
                      xg_policy_name(old->policy));
    if (old->quantum_ns != new->quantum_ns || old->average_ns != new->average_ns ||
        old->instances != new->instances || old->no_preempt != new->no_preempt)
        change_report(r, NOW, "[pgpu %s] quantum-us, average-ms, max-instances, preempt", p->name);
    p->sharing = *new;
    xg_pgpu_share(p);
}

static void pgpus_apply(struct reload *r)
{
    for (struct xg_pgpu *p = r->broker->pgpus; p; p = p->next) {
        const struct xg_pgpu_config *c = XG_NAMED(r->new.pgpus, p->name);
        if (!c)
            change_report(r, NEXT_START, "[pgpu %s] is gone", p->name);
        else if (!xg_pgpu_same(p, c))
            change_report(r, NEXT_START, "[pgpu %s] has another device", p->name);
        if (c)
            sharing_apply(r, p, &c->sharing);
    }
    for (const struct xg_pgpu_config *c = r->new.pgpus; c; c = c->next) {
        if (xg_pgpu_find(r->broker, c->name))
            continue;
        struct xg_pgpu *p = xg_pgpu_add(r->broker, c);
        int err = p ? xg_pgpu_start(p) : -ENOMEM;
        change_report(r, err ? NEXT_START : NOW, "[pgpu %s] is new%s%s", c->name,
                      err ? "; it cannot be started: " : "", err ? strerror(-err) : "");
    }
}

static bool type_same(const struct xg_settings *a, const struct xg_settings *b)
{
    const struct xg_policy *p = &a->policy, *q = &b->policy;
    return p->weight == q->weight && p->memory == q->memory && p->host_memory == q->host_memory &&
           p->cap == q->cap && p->frames == q->frames && a->instances == b->instances;
}

static void types_apply(struct reload *r)
{
    struct xg_type *old = r->broker->types;
    for (const struct xg_type *t = r->new.types; t; t = t->next) {
        const struct xg_type *was = XG_NAMED(old, t->name);
        if (!was)
            change_report(r, NOW, "[type %s] is new", t->name);
        else if (!type_same(&was->settings, &t->settings))
            change_report(r, NOW, "[type %s]", t->name);
    }
    for (const struct xg_type *t = old; t; t = t->next)
        if (!XG_NAMED(r->new.types, t->name))
            change_report(r, NOW, "[type %s] is gone", t->name);
    r->broker->types = r->new.types;
    r->new.types = old; /* to be freed */
}

static void guest_changed(void *arg, const char *what)
{
    struct reload *r = arg;
    change_report(r, NOW, "guest %s: %s", r->guest->name, what);
}

/* A guest that is attached follows its section and its type. */
static void guest_follow(struct reload *r, struct xg_guest *g)
{
    const struct xg_guest_config *c = xg_guest_config_find(r->broker, g->name);
    if (c) {
        const struct xg_settings *old = &g->config, *new = &c->settings;
        if (old->rings != new->rings || old->arena_mib != new->arena_mib ||
            old->user != new->user || strcmp(old->policy.pgpu, new->policy.pgpu))
            change_report(r, NEXT_ATTACH, "[guest %s] rings, arena, user, pgpu", g->name);
        g->config = *new;
    }
    r->guest = g;
    xg_guest_follow(g, guest_changed, r);
}

static void guests_apply(struct reload *r)
{
    struct xg_broker *b = r->broker;
    struct xg_guest_config *old = b->guest_configs;
    struct xg_why why;
    b->guest_configs = r->new.guests;
    r->new.guests = old; /* to be freed */
    for (struct xg_guest *g = b->guests; g; g = g->next)
        guest_follow(r, g);
    for (struct xg_guest_config *c = old; c; c = c->next)
        if (!xg_guest_config_find(b, c->name))
            change_report(r, NOW, "[guest %s] is gone%s", c->name,
                          xg_guest_find(b, c->name) ? "; the guest stays until it is detached"
                                                    : "");
    for (struct xg_guest_config *c = b->guest_configs; c; c = c->next) {
        const struct xg_guest_config *was = XG_NAMED(old, c->name);
        struct xg_guest *g;
        if (was) { /* a guest that an operator detached stays detached */
            c->detached_domid = was->detached_domid;
            continue;
        }
        if (b->options.xen || xg_guest_find(b, c->name))
            change_report(r, NOW, "[guest %s] is new", c->name);
        else if (xg_guest_attach(b, c->name, 0, &XG_SETTINGS_NONE, &g, &why))
            change_report(r, NEXT_START, "[guest %s] is new; it cannot be attached: %s", c->name,
                          why.text);
        else
            change_report(r, NOW, "[guest %s] is new; the guest is attached", c->name);
    }
    if (b->options.xen)
        xg_xen_look();
}

/* --- reading it again ------------------------------------------------------------------------- */

/* The new file must have the types of running guests. True, with an error text: it has not. */
static bool conflict_find(const struct reload *r, const char *path, char **text)
{
    for (const struct xg_guest *g = r->broker->guests; g; g = g->next) {
        struct xg_guest then = {.own = g->own, .config = g->config};
        struct xg_policy p;
        const struct xg_guest_config *c = XG_NAMED(r->new.guests, g->name);
        if (c)
            then.config = c->settings;
        xg_guest_policy(&then, &p);
        if (!XG_NAMED(r->new.types, p.type)) {
            if (asprintf(text,
                         "%s: there is no [type %s] any more, and guest %s has it; 'xengpu set %s "
                         "type=...' gives it another\n",
                         path, p.type, g->name, g->name) < 0)
                *text = NULL;
            return true;
        }
    }
    return false;
}

static json_t *reload_refuse(char **errors)
{
    errors_log(*errors);
    xg_log_error(NULL, "reload: nothing was changed");
    return NULL;
}

json_t *xg_config_reload(struct xg_broker *b, char **errors)
{
    const char *path = path_now(b);
    struct reload r = {.broker = b};
    if (!path) {
        *errors = strdup(
            "this daemon has no configuration file: none was named, and there is no " DEFAULT_PATH
            "\n");
        return reload_refuse(errors);
    }
    if (xg_config_read(path, &b->config.base, &r.new, errors))
        return reload_refuse(errors);
    if (conflict_find(&r, path, errors)) {
        xg_config_free(&r.new);
        return reload_refuse(errors);
    }
    b->config.loaded = true;
    r.changes = json_array();
    options_apply(&r);
    pgpus_apply(&r);
    types_apply(&r);
    guests_apply(&r);
    xg_config_free(&r.new);
    xg_log(NULL, "reload: %s was read; %zu changes", path, json_array_size(r.changes));
    return json_pack("{s:o, s:o}", "file", xg_json_text(path), "changes", r.changes);
}
