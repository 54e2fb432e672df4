/*
 * How much memory and processor time of this machine a guest's workers may use, whatever for:
 * devices that run on the CPU, drivers, shaders, or code of somebody who has taken a worker over.
 *
 * A control group for each guest limits its memory and threads, weights its processor time, and
 * keeps its memory out of swap (cgroup.h). Without control groups the daemon looks at the workers
 * several times a second, and kills the largest one of a guest that has too much. Each worker has
 * limits of its own in any case (RLIMIT_DATA and others, in backend/worker/sandbox.c).
 */
#include "backend/broker/host.h"
#include "backend/broker/cgroup.h"
#include "backend/broker/spawner.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysinfo.h>
#include <sys/wait.h>
#include <unistd.h>

#define WATCH_NS 200000000u /* between two looks at the workers, without control groups */
/* For each application with `auto`: a driver, and what it compiles. llvmpipe was seen to take some
 * 100 MiB, softcuda less. */
#define APPLICATION_BYTES (1ull << 30)
/* RLIMIT_DATA counts all that is mapped, even if it is never written: threads' stacks, and memory
 * that softcuda's programs have freed. So it only stops what no driver does. */
#define DATA_LIMIT(bytes) (4 * (bytes) + (4ull << 30))
#define CPU_WEIGHT_MAX    10000u /* of a control group */

struct xg_group {
    int directory, procs;
    uint64_t limit;       /* written to memory.max last */
    uint64_t kills, ooms; /* those that were reported already */
    uint32_t weight;      /* its part of the broker's sum */
};

/* Asked again each time: Dom0 may give memory to guests, and get it back. */
static uint64_t machine_bytes(void)
{
    struct sysinfo info;
    sysinfo(&info);
    return (uint64_t)info.totalram * info.mem_unit;
}

/* --- bounds ----------------------------------------------------------------------------------- */

/* Bytes that a worker shares with its application. The kernel counts each page for the process that
 * touched it first, which may be either. The pages of a domain are not this machine's. */
static uint64_t shared_bytes(const struct xg_broker_channel *c)
{
    return c->guest->front->platform == XG_PLATFORM_XEN
               ? 0
               : xg_geometry_pages(&c->geometry) << XG_PAGE_SHIFT;
}

static uint64_t guest_shared_bytes(const struct xg_guest *g)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < XG_CHANNELS_MAX; i++)
        if (xg_channel_live(&g->channel[i]))
            sum += shared_bytes(&g->channel[i]);
    return sum;
}

/* With `auto`. Device memory is part of it: a device without memory of its own has it here. */
static uint64_t limit_auto(const struct xg_guest *g)
{
    uint64_t most = machine_bytes() / 4 * 3, applications = xg_max_u64(xg_channels_live(g), 1);
    if (!g->memory_limit || g->memory_limit > most)
        return most;
    return xg_min_u64(most,
                      g->memory_limit + applications * APPLICATION_BYTES + guest_shared_bytes(g));
}

uint64_t xg_host_limit(const struct xg_guest *g)
{
    return g->host_memory == XG_HOST_MEMORY_AUTO ? limit_auto(g) : g->host_memory;
}

/* "256M", "auto, 1536M" */
static void limit_text(const struct xg_guest *g, char *text, size_t size)
{
    uint64_t bytes = xg_host_limit(g);
    bool whole = bytes % (1u << 20) == 0 || g->host_memory == XG_HOST_MEMORY_AUTO;
    snprintf(text, size, "%s%" PRIu64 "%s", g->host_memory == XG_HOST_MEMORY_AUTO ? "auto, " : "",
             whole ? bytes >> 20 : bytes, whole ? "M" : "");
}

/* --- control groups --------------------------------------------------------------------------- */

/* A guest with the default weight counts as much as any other process of this machine, and so does
 * the daemon. Therefore the group of all guests gets the sum of their weights: with the weight of
 * one process, other processes would slow all guests down. */
static void guests_weigh(struct xg_guest *g, uint32_t weight)
{
    struct xg_group *group = g->group;
    uint32_t weights = g->broker->host.weights += weight - group->weight;
    group->weight = weight;
    uint64_t all = xg_max_u64(xg_min_u64(weights, CPU_WEIGHT_MAX - XG_WEIGHT_DEFAULT), 1);
    (void)xg_cgroup_set(xg_cgroups_guests(), "cpu.weight", all);
    (void)xg_cgroup_set(xg_cgroups_guests(), "../cpu.weight", all + XG_WEIGHT_DEFAULT);
}

/* All guests together leave an eighth of the memory to the rest of this domain. */
static void guests_bound(void)
{
    (void)xg_cgroup_set(xg_cgroups_guests(), "memory.max", machine_bytes() / 8 * 7);
}

static struct xg_group *group_make(const char *guest)
{
    struct xg_group *group = calloc(1, sizeof(*group));
    if (!group)
        return NULL;
    group->directory = xg_cgroup_create(guest);
    group->procs = group->directory < 0
                       ? group->directory
                       : openat(group->directory, "cgroup.procs", O_WRONLY | O_CLOEXEC);
    if (group->procs >= 0)
        return group;
    xg_log_warning(guest, "it has no control group: %s; the daemon watches its memory instead",
                   strerror(group->directory < 0 ? -group->directory : errno));
    if (group->directory >= 0)
        xg_cgroup_remove(guest, group->directory);
    free(group);
    return NULL;
}

void xg_host_guest_add(struct xg_guest *g)
{
    struct xg_group *group = g->broker->host.grouped ? group_make(g->name) : NULL;
    if (!group)
        return;
    (void)xg_cgroup_set(group->directory, "memory.swap.max", 0); /* fails where there is no swap */
    (void)xg_cgroup_set(group->directory, "pids.max", XG_GUEST_THREADS);
    /* A group that was there already has counted earlier kills. */
    group->kills = xg_cgroup_get(group->directory, "memory.events", "oom_kill");
    group->ooms = xg_cgroup_get(group->directory, "memory.events", "oom");
    g->group = group;
    xg_host_guest_update(g);
}

void xg_host_guest_remove(struct xg_guest *g)
{
    if (!g->group)
        return;
    guests_weigh(g, 0);
    close(g->group->procs);
    xg_cgroup_remove(g->name, g->group->directory);
    free(g->group);
    g->group = NULL;
}

/* A limit below what the guest uses now would kill a worker. If the limit falls only because an
 * application has ended, it is lowered once the guest uses less. */
static void group_bound(struct xg_guest *g)
{
    struct xg_group *group = g->group;
    uint64_t limit = xg_host_limit(g);
    bool lower = limit < group->limit && g->host_memory == XG_HOST_MEMORY_AUTO;
    if (limit == group->limit ||
        (lower && xg_cgroup_get(group->directory, "memory.current", NULL) > limit))
        return;
    int err = xg_cgroup_set(group->directory, "memory.max", limit);
    if (err)
        xg_log_warning(g->name, "its memory cannot be limited: memory.max: %s", strerror(-err));
    else
        group->limit = limit;
}

int xg_host_worker(const struct xg_guest *g, struct xg_spawn_request *req)
{
    uint64_t limit = xg_host_limit(g);
    req->data_limit = g->broker->host.started && limit < UINT64_MAX / 8 ? DATA_LIMIT(limit) : 0;
    return g->group ? g->group->procs : -1;
}

/* --- without them ----------------------------------------------------------------------------- */

/* Bytes that the process has in memory and in swap, without its libraries, which other processes
 * use too, and without up to `shared` bytes of memory that it shares with its application. */
static uint64_t process_bytes(int pid, uint64_t shared)
{
    char path[32], line[128], name[32];
    unsigned long long kib;
    uint64_t sum = 0;
    snprintf(path, sizeof(path), "/proc/%d/status", pid);
    FILE *f = fopen(path, "re");
    while (f && fgets(line, sizeof(line), f)) {
        if (sscanf(line, "%31[^:]: %llu", name, &kib) != 2)
            continue;
        if (!strcmp(name, "RssAnon") || !strcmp(name, "VmSwap") || !strcmp(name, "VmPTE"))
            sum += kib << 10;
        else if (!strcmp(name, "RssShmem") && kib << 10 > shared)
            sum += (kib << 10) - shared;
    }
    if (f)
        fclose(f);
    return sum;
}

/* Kills the largest worker of a guest that uses too much. True: it has workers. */
static bool guest_look(struct xg_guest *g)
{
    struct xg_broker_channel *largest = NULL;
    uint64_t most = 0, sum = 0;
    bool any = false, ending = false;
    for (unsigned i = 0; i < XG_CHANNELS_MAX; i++) {
        struct xg_broker_channel *c = &g->channel[i];
        if (!xg_channel_live(c))
            continue;
        any = true;
        ending |= c->over_memory;
        uint64_t own = c->worker ? process_bytes(c->worker, shared_bytes(c)) : 0;
        sum += own;
        if (own > most) {
            most = own;
            largest = c;
        }
    }
    g->host_used = sum;
    if (largest && !ending && sum > xg_host_limit(g)) {
        largest->over_memory = true;
        xg_spawn_kill(largest->id, SIGKILL);
    }
    return any;
}

static void guests_look(struct xg_timer *t)
{
    struct xg_broker *b = xg_container_of(t, struct xg_broker, host.watch);
    bool any = false;
    for (struct xg_guest *g = b->guests; g; g = g->next)
        any |= guest_look(g);
    if (any)
        xg_timer_arm(t, WATCH_NS, guests_look);
}

/* --- both ------------------------------------------------------------------------------------- */

void xg_host_guest_update(struct xg_guest *g)
{
    struct xg_broker *b = g->broker;
    if (g->group) {
        (void)xg_cgroup_set(g->group->directory, "cpu.weight", g->weight);
        guests_weigh(g, g->weight);
        guests_bound();
        group_bound(g);
    } else if (b->host.started && xg_channels_live(g)) {
        if (!b->host.watch.armed)
            xg_timer_arm(&b->host.watch, WATCH_NS, guests_look);
    } else {
        g->host_used = 0;
    }
}

uint64_t xg_host_used(const struct xg_guest *g)
{
    return g->group ? xg_cgroup_get(g->group->directory, "memory.current", NULL) : g->host_used;
}

bool xg_host_cpu(const struct xg_guest *g, uint64_t *ns)
{
    *ns = g->group ? xg_cgroup_get(g->group->directory, "cpu.stat", "usage_usec") * 1000 : 0;
    return g->group != NULL;
}

enum shortage { ENOUGH, GUEST_HAS_NONE, MACHINE_HAS_NONE };

/* The kernel counts the processes of the group that it kills for want of memory, and how often the
 * group had reached its limit. A kill without the latter means that the machine's memory ran out.
 */
static enum shortage group_shortage(struct xg_group *group)
{
    uint64_t kills = xg_cgroup_get(group->directory, "memory.events", "oom_kill");
    uint64_t ooms = xg_cgroup_get(group->directory, "memory.events", "oom");
    if (kills <= group->kills)
        return ENOUGH;
    enum shortage s = ooms > group->ooms ? GUEST_HAS_NONE : MACHINE_HAS_NONE;
    if (++group->kills == kills)
        group->ooms = ooms;
    return s;
}

static enum shortage shortage_of(struct xg_broker_channel *c, int sig, uint64_t peak)
{
    uint64_t limit = xg_host_limit(c->guest);
    enum shortage s = ENOUGH;
    if (sig == SIGKILL && c->over_memory)
        return GUEST_HAS_NONE;
    if (sig == SIGKILL && c->guest->group)
        s = group_shortage(c->guest->group);
    /* A worker may have crashed for want of memory before the daemon looked at it. */
    if (sig && sig != SIGKILL && sig != SIGTERM && c->guest->broker->host.started &&
        limit != UINT64_MAX && peak > limit + shared_bytes(c))
        s = GUEST_HAS_NONE;
    return s;
}

enum xg_ring_error xg_host_ended(struct xg_broker_channel *c, int status, uint64_t peak, char *text,
                                 size_t size)
{
    char limit[48];
    enum shortage s = shortage_of(c, WIFSIGNALED(status) ? WTERMSIG(status) : 0, peak);
    if (s == ENOUGH)
        return XG_RING_OK;
    if (s == MACHINE_HAS_NONE) {
        snprintf(text, size, "its worker was killed because this machine's memory ran short");
        return XG_RING_LOST;
    }
    limit_text(c->guest, limit, sizeof(limit));
    snprintf(text, size, "its worker used more host memory than guest %s may (host-memory = %s)",
             c->guest->name, limit);
    /* The message to the guest has less room, and the guest knows its own name. */
    if (strlen(text) >= sizeof(((struct xg_control_message *)0)->text))
        snprintf(text, size,
                 "its worker used more host memory than its guest may (host-memory = %s)", limit);
    return XG_RING_MEMORY;
}

void xg_host_start(struct xg_broker *b)
{
    char why[256] = "'cgroups = no' in [daemon]";
    b->host.started = true;
    b->host.grouped = b->options.cgroups && !xg_cgroups_start(why, sizeof(why));
    if (b->host.grouped) {
        guests_bound();
        (void)xg_cgroup_set(xg_cgroups_guests(), "memory.swap.max", 0);
        xg_log(NULL, "guests' memory and processor time are limited by the control groups in %s",
               xg_cgroups_path());
    } else {
        xg_log(NULL,
               "guests have no control groups: %s; the daemon itself watches how much memory "
               "their workers use",
               why);
    }
}

void xg_host_stop(struct xg_broker *b)
{
    if (b->host.grouped)
        xg_cgroups_stop();
    b->host.grouped = false;
}
