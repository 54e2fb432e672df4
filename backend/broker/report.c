/* What `xengpu list` and `xengpu types` are told. docs/xengpu.md describes the fields. */
#include "backend/broker/report.h"
#include "backend/broker/config.h"
#include "backend/broker/host.h"
#include "backend/broker/inventory.h"

#include <stdlib.h>
#include <string.h>

static const char *const counter_names[] = {
    [XG_COUNT_COMMANDS] = "commands",
    [XG_COUNT_CALLS] = "calls",
    [XG_COUNT_CMD_BYTES] = "cmd_bytes",
    [XG_COUNT_NOTIFY_SENT] = "notify_sent",
    [XG_COUNT_NOTIFY_SUPPRESSED] = "notify_suppressed",
    [XG_COUNT_FRAMES] = "frames",
    [XG_COUNT_LAUNCHES] = "launches",
    [XG_COUNT_ARENA_BYTES] = "arena_bytes",
    [XG_COUNT_NOTIFY_RECEIVED] = "notify_received",
    [XG_COUNT_REPLY_BYTES] = "reply_bytes",
};

/* jansson's strings must be UTF-8. NULL: there is no memory for it, nor for the whole answer. */
json_t *xg_json_text(const char *text)
{
    char *copy = strdup(text);
    if (!copy)
        return NULL;
    for (char *p = copy; *p; p++)
        if (((unsigned char)*p < ' ' && *p != '\n') || *p == 0x7f)
            *p = '?';
    json_t *j = json_string(copy);
    for (char *p = copy; !j && *p; p++)
        if ((unsigned char)*p > 0x7f)
            *p = '?';
    if (!j)
        j = json_string(copy);
    free(copy);
    return j;
}

/* Pages of the guest that its worker maps; there are grants only on Xen. */
static uint64_t grants_mapped(const struct xg_guest *g, const struct xg_broker_channel *c)
{
    return xg_channel_live(c) && g->front->platform == XG_PLATFORM_XEN
               ? xg_geometry_pages(&c->geometry)
               : 0;
}

/* All channels, and the control page. */
static uint64_t guest_grants_mapped(const struct xg_guest *g)
{
    uint64_t n = g->page && g->front->platform == XG_PLATFORM_XEN;
    for (unsigned i = 0; i < XG_CHANNELS_MAX; i++)
        n += grants_mapped(g, &g->channel[i]);
    return n;
}

static json_t *report_channel(const struct xg_guest *g, const struct xg_broker_channel *c)
{
    struct xg_sched_slot_stats s = {0};
    json_t *counters = json_object();
    if (c->slot >= 0)
        xg_sched_slot_stats(g->sched, (uint32_t)c->slot, &s);
    for (unsigned i = 0; i < XG_ARRAY_LEN(counter_names); i++)
        json_object_set_new(counters, counter_names[i], json_integer((json_int_t)s.counter[i]));
    return json_pack("{s:i, s:o, s:I, s:i, s:I, s:I, s:I, s:I, s:I, s:o}", "id",
                     (int)(c - g->channel), "command", xg_json_text(c->command), "pid",
                     (json_int_t)c->pid, "worker", c->worker, "age_ns",
                     (json_int_t)(xg_now_ns() - c->opened), "device_time_ns",
                     (json_int_t)s.device_time_ns, "memory_bytes", (json_int_t)s.memory_bytes,
                     "shared_bytes", (json_int_t)(xg_geometry_pages(&c->geometry) << XG_PAGE_SHIFT),
                     "grants_mapped", (json_int_t)grants_mapped(g, c), "counters", counters);
}

static json_t *host_cpu(const struct xg_guest *g)
{
    uint64_t ns;
    return xg_host_cpu(g, &ns) ? json_integer((json_int_t)ns) : json_null();
}

static json_t *report_guest(struct xg_guest *g)
{
    struct xg_sched_stats s;
    json_t *channels = json_array();
    uint64_t limit = xg_host_limit(g);
    xg_sched_guest_stats(g->sched, &s);
    for (unsigned i = 0; i < XG_CHANNELS_MAX; i++)
        if (g->channel[i].state == XG_CHANNEL_OPEN)
            json_array_append_new(channels, report_channel(g, &g->channel[i]));
    json_t *limits = json_pack("{s:I, s:I, s:f}", "cap", (json_int_t)g->limits.cap, "fps_limit",
                               (json_int_t)g->limits.frame_limit, "share", s.share);
    json_t *user = g->front->platform == XG_PLATFORM_XEN || g->user == XG_USER_EVERYBODY
                       ? json_null()
                       : json_integer((json_int_t)(g->user - 1));
    json_t *j = json_pack(
        "{s:s, s:s, s:s, s:I, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:b, s:b, s:I, s:I, "
        "s:o, s:o}",
        "name", g->name, "type", g->type, "pgpu", g->pgpu->name, "weight", (json_int_t)g->weight,
        "state", xg_state_name(g->state ? g->state : XG_XENBUS_INITIALISING), "device_time_ns",
        (json_int_t)s.device_time_ns, "wait_time_ns", (json_int_t)s.wait_time_ns, "grants",
        (json_int_t)s.grants, "memory_bytes", (json_int_t)s.memory_bytes, "memory_limit",
        (json_int_t)g->memory_limit, "host_memory_bytes", (json_int_t)xg_host_used(g),
        "host_memory_limit", (json_int_t)(limit == UINT64_MAX ? 0 : limit), "host_cpu_ns",
        host_cpu(g), "holds", s.holds, "wants", s.wants, "domid", (json_int_t)g->front->domid,
        "grants_mapped", (json_int_t)guest_grants_mapped(g), "user", user, "channels", channels);
    json_object_update(j, limits);
    json_decref(limits);
    return j;
}

static json_t *report_look(const struct xg_look *l)
{
    char waiting[XG_LOOK_TEXT];
    xg_look_text(l, waiting, sizeof(waiting));
    return xg_json_text(waiting);
}

static json_t *report_pgpu(const struct xg_pgpu *p)
{
    const struct xg_look *gl_look = &p->look[XG_PROBE_GL], *cuda_look = &p->look[XG_PROBE_CUDA];
    const struct xg_probe_result *g = &gl_look->found, *c = &cuda_look->found;
    json_t *gl = json_null(), *cuda = json_null();
    if (gl_look->state == XG_LOOK_FOUND)
        gl = json_pack("{s:o, s:o, s:o}", "renderer", xg_json_text(g->renderer), "version",
                       xg_json_text(g->gl_version), "device", xg_json_text(p->gl));
    if (cuda_look->state == XG_LOOK_FOUND)
        cuda = json_pack("{s:o, s:o, s:I, s:i, s:i, s:i}", "name", xg_json_text(c->cuda_name),
                         "library", xg_json_text(p->device.cuda_library), "memory_bytes",
                         (json_int_t)c->cuda_memory, "major", (int)c->cuda_major, "minor",
                         (int)c->cuda_minor, "version", (int)c->cuda_version);
    uint64_t quantum =
        p->sharing.quantum_ns ? p->sharing.quantum_ns : p->broker->options.sched.quantum_ns;
    uint64_t average = p->sharing.average_ns ? p->sharing.average_ns : XG_AVERAGE_NS;
    json_t *sharing = json_pack(
        "{s:s, s:I, s:I, s:I, s:b}", "policy", xg_policy_name(p->sharing.policy), "quantum_us",
        (json_int_t)((quantum ? quantum : XG_QUANTUM_NS) / 1000), "average_ms",
        (json_int_t)(average / 1000000), "max_instances", (json_int_t)p->sharing.instances,
        "preempt", xg_pgpu_software(p) && !p->sharing.no_preempt);
    json_t *j = json_pack("{s:s, s:i, s:f, s:b, s:o, s:o, s:o, s:o, s:o, s:o}", "name", p->name,
                          "guests", (int)p->guests, "load", xg_pgpu_load(p), "ready", p->settled,
                          "gl", gl, "cuda", cuda, "gl_error", xg_json_text(gl_look->error),
                          "cuda_error", xg_json_text(cuda_look->error), "gl_waiting",
                          report_look(gl_look), "cuda_waiting", report_look(cuda_look));
    json_object_update(j, sharing);
    json_decref(sharing);
    return j;
}

json_t *xg_report(const struct xg_broker *b)
{
    json_t *pgpus = json_array(), *guests = json_array();
    for (struct xg_pgpu *p = b->pgpus; p; p = p->next)
        json_array_append_new(pgpus, report_pgpu(p));
    for (struct xg_guest *g = b->guests; g; g = g->next)
        json_array_insert_new(guests, 0, report_guest(g));
    return json_pack("{s:I, s:o, s:o}", "time_ns", (json_int_t)xg_now_ns(), "pgpus", pgpus,
                     "guests", guests);
}

json_t *xg_report_types(const struct xg_broker *b)
{
    json_t *types = json_array();
    for (struct xg_type *t = b->types; t; t = t->next) {
        char host[32];
        int guests = 0;
        for (struct xg_guest *g = b->guests; g; g = g->next)
            guests += !strcmp(g->type, t->name);
        const struct xg_policy *p = &t->settings.policy;
        xg_host_memory_text(p->host_memory, host, sizeof(host));
        json_array_append_new(
            types,
            json_pack("{s:s, s:I, s:I, s:s, s:I, s:I, s:I, s:i}", "name", t->name, "weight",
                      (json_int_t)p->weight, "memory_bytes", (json_int_t)p->memory, "host_memory",
                      host, "cap", (json_int_t)p->cap, "fps_limit", (json_int_t)xg_policy_frames(p),
                      "max_instances", (json_int_t)t->settings.instances, "guests", guests));
    }
    return json_pack("{s:o}", "types", types);
}
