/* The broker without its processes: see broker_bed.h. */
#include "tests/unit/broker_bed.h"
#include "backend/broker/domains.h"
#include "backend/broker/refusals.h"
#include "backend/broker/relay.h"
#include "backend/broker/spawner.h"
#include "protocol/fdpass.h"

#include <errno.h>
#include <signal.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

unsigned bed_workers;
uint64_t bed_cost_ns, bed_spent_ns;
char bed_log[256];

/* --- loop.c, with a clock of our own ---------------------------------------------------------- */

#define SOURCES 64

static struct {
    int fd; /* 0: none */
    uint32_t events;
    struct xg_source *source;
} sources[SOURCES];
static struct xg_timer *timers;
static uint64_t now;

int xg_loop_add(struct xg_source *s, int fd, uint32_t events,
                void (*fn)(struct xg_source *, uint32_t))
{
    s->fd = fd;
    s->fn = fn;
    for (unsigned i = 0; i < SOURCES; i++)
        if (!sources[i].source) {
            sources[i].fd = fd;
            sources[i].events = events;
            sources[i].source = s;
            return 0;
        }
    return -ENOSPC;
}

/* A handle's descriptor leaves an epoll set when it is closed. */
static void source_drop(int fd)
{
    for (unsigned i = 0; i < SOURCES; i++)
        if (sources[i].fd == fd)
            sources[i].source = NULL;
}

void xg_loop_close(struct xg_source *s)
{
    if (s->fd < 0)
        return;
    source_drop(s->fd);
    close(s->fd);
    s->fd = -1;
}

void xg_loop_events(struct xg_source *s, uint32_t events)
{
    for (unsigned i = 0; i < SOURCES; i++)
        if (sources[i].source == s)
            sources[i].events = events;
}

int xg_loop_accept(struct xg_source *s)
{
    return accept4(s->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
}

void xg_timer_disarm(struct xg_timer *t)
{
    struct xg_timer **p = &timers;
    if (!t->armed)
        return;
    while (*p != t)
        p = &(*p)->next;
    *p = t->next;
    t->armed = false;
}

void xg_timer_arm(struct xg_timer *t, uint64_t delay_ns, void (*fn)(struct xg_timer *))
{
    struct xg_timer **p = &timers;
    xg_timer_disarm(t);
    t->when = now + delay_ns;
    t->fn = fn;
    while (*p && (*p)->when <= t->when)
        p = &(*p)->next;
    t->next = *p;
    *p = t;
    t->armed = true;
}

uint64_t xg_loop_now(void)
{
    return now;
}

uint64_t xg_loop_spent(void)
{
    bed_spent_ns += bed_cost_ns;
    return bed_cost_ns;
}

void xg_loop_stop(void)
{
}

void xg_log_at(enum xg_log_level level, const char *guest, const char *fmt, ...)
{
    (void)level;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(bed_log, sizeof(bed_log), fmt, ap);
    va_end(ap);
    if (getenv("BED_LOG"))
        fprintf(stderr, "%s: %s\n", guest ? guest : "-", bed_log);
}

static bool sources_run(void)
{
    bool any = false;
    for (unsigned i = 0; i < SOURCES; i++) {
        struct xg_source *s = sources[i].source;
        struct pollfd p = {.fd = s ? sources[i].fd : -1,
                           .events = (short)(s ? sources[i].events : 0)};
        if (!s || poll(&p, 1, 0) <= 0)
            continue;
        s->fn(s, (uint32_t)p.revents); /* poll's events have epoll's numbers */
        any = true;
    }
    return any;
}

static void workers_reap(void);

void bed_run(void)
{
    for (;;) {
        if (timers && timers->when <= now) {
            struct xg_timer *t = timers;
            timers = t->next;
            t->armed = false;
            t->fn(t);
            continue;
        }
        workers_reap();
        if (!sources_run() && !(timers && timers->when <= now))
            return;
    }
}

void bed_wait(uint64_t ms)
{
    uint64_t end = now + ms * 1000000;
    bed_run();
    while (timers && timers->when <= end) {
        now = timers->when;
        bed_run();
    }
    now = end;
    bed_run();
}

/* --- what is not in the broker's archive, or not wanted here ---------------------------------- */

static struct xg_type small = {
    .name = "small",
    .settings.policy = {.weight = 50, .memory = 1 << 20, .host_memory = XG_HOST_MEMORY_AUTO}};
static struct xg_type plain = {
    .next = &small,
    .name = "default",
    .settings.policy = {.weight = 100, .host_memory = XG_HOST_MEMORY_AUTO}};
static struct xg_pgpu pgpu = {.name = "gpu0", .settled = true, .broker = &bed_broker};
struct xg_broker bed_broker = {.pgpus = &pgpu, .types = &plain};

struct xg_guest_config *bed_configure(const char *name, uint32_t weight)
{
    struct xg_guest_config *c = calloc(1, sizeof(*c));
    strcpy(c->name, name);
    c->settings = XG_SETTINGS_NONE;
    c->settings.policy.weight = weight;
    c->next = bed_broker.guest_configs;
    return bed_broker.guest_configs = c;
}

uint64_t xg_spawn_id(void)
{
    static uint64_t id;
    return ++id;
}

/* The scheduler: slots are counted. */
struct xg_sched_guest {
    uint64_t slots;
};
static int page_fd = -1;

int xg_sched_guest_add(struct xg_sched *s, uint32_t weight, uint64_t memory_limit, void *arg,
                       struct xg_sched_guest **out)
{
    return (*out = calloc(1, sizeof(**out))) ? 0 : -ENOMEM;
}

void xg_sched_guest_remove(struct xg_sched_guest *g)
{
    if (g->slots)
        abort();
    free(g);
}

void xg_sched_guest_set(struct xg_sched_guest *g, uint32_t weight, uint64_t memory_limit)
{
}

void xg_sched_guest_limit(struct xg_sched_guest *g, const struct xg_sched_limits *limits)
{
}

int xg_sched_guest_page_fd(const struct xg_sched_guest *g)
{
    return page_fd;
}

int xg_sched_guest_kick_fd(const struct xg_sched_guest *g)
{
    return page_fd;
}

int xg_sched_slot_take(struct xg_sched_guest *g)
{
    int slot = g->slots == UINT64_MAX ? -1 : __builtin_ctzll(~g->slots);
    if (slot < 0)
        return -EBUSY;
    g->slots |= 1ull << slot;
    return slot;
}

void xg_sched_slot_stats(struct xg_sched_guest *g, uint32_t slot, struct xg_sched_slot_stats *out)
{
    *out = (struct xg_sched_slot_stats){0};
}

void xg_sched_slot_process(struct xg_sched_guest *g, uint32_t slot, int pid, int pidfd)
{
    xg_fds_close(&pidfd, 1);
}

void xg_sched_slot_free(struct xg_sched_guest *g, uint32_t slot)
{
    if (!(g->slots & 1ull << slot))
        abort();
    g->slots &= ~(1ull << slot);
}

/* Workers: they live until they are told to end, and that is noticed a little later. */
static struct {
    uint64_t id;
    bool ending;
} workers[128];

int xg_spawn_worker(const struct xg_spawn_request *req, const struct xg_spawn_fds *fds)
{
    for (unsigned i = 0; i < XG_ARRAY_LEN(workers); i++)
        if (!workers[i].id) {
            workers[i].id = req->id;
            workers[i].ending = false;
            bed_workers++;
            return 0;
        }
    return -EAGAIN;
}

int xg_spawn_kill(uint64_t id, int signal)
{
    for (unsigned i = 0; i < XG_ARRAY_LEN(workers); i++)
        if (workers[i].id == id)
            workers[i].ending = true;
    return 0;
}

__attribute__((weak)) int xg_frontend_local(const char *path, const char *guest,
                                            const struct xg_frontend_events *events, void *arg,
                                            struct xg_frontend **out)
{
    return -ENOSYS;
}

int xg_spawn_program(uint64_t id, const char *argv, size_t size, int log)
{
    return -ENOSYS;
}

static void workers_reap(void)
{
    for (unsigned i = 0; i < XG_ARRAY_LEN(workers); i++)
        if (workers[i].id && workers[i].ending) {
            uint64_t id = workers[i].id;
            workers[i].id = 0;
            bed_workers--;
            xg_guest_process_ended(&bed_broker, id, 0, 0, 0);
        }
}

void bed_crash(void)
{
    for (unsigned i = 0; i < XG_ARRAY_LEN(workers); i++) {
        uint64_t id = workers[i].id;
        workers[i].id = 0;
        bed_workers -= id != 0;
        if (id)
            xg_guest_process_ended(&bed_broker, id, SIGSEGV, 0, 0);
    }
}

/* --- the daemon's life ------------------------------------------------------------------------ */

static void options_set(bool xen)
{
    bed_broker.options =
        (struct xg_options){.xen = xen, .max_channels = 4, .max_channel_pages = 4096};
    bed_broker.processors = 2;
    if (page_fd < 0)
        page_fd = dup(2);
}

void bed_start_local(const char *directory)
{
    options_set(false);
    snprintf(bed_broker.options.socket_dir, sizeof(bed_broker.options.socket_dir), "%s", directory);
    xg_guests_start(&bed_broker);
    bed_run();
}

int bed_start(uint32_t own)
{
    options_set(true);
    fake_closed = source_drop;
    fake_open_as(own);
    int err = xg_domains_start(&bed_broker);
    fake_open_as(0);
    if (!err)
        xg_domains_look(&bed_broker);
    bed_run();
    return err;
}

static void drop_all(void)
{
    while (timers)
        xg_timer_disarm(timers);
    memset(sources, 0, sizeof(sources));
    memset(workers, 0, sizeof(workers));
    bed_workers = 0;
}

void bed_stop(void)
{
    xg_guests_stop(&bed_broker);
    bed_wait(2000);
    if (bed_broker.guests)
        abort();
    xg_xen_close();
    drop_all();
    bed_broker.stopping = false;
}

void bed_kill(void)
{
    drop_all();
    for (struct xg_guest *g; (g = bed_broker.guests);) {
        bed_broker.guests = g->next;
        for (unsigned i = 0; i < XG_CHANNELS_MAX; i++) {
            xg_relay_end(&g->channel[i].relay);
            xg_refusals_end(g->channel[i].refusals);
        }
        if (g->page)
            g->front->ops->control_unmap(g->front, g->page);
        g->front->ops->destroy(g->front, false);
        free(g->sched);
        free(g);
    }
    pgpu.guests = 0;
    drop_all();
    xg_xen_close();
}

/* --- a guest ---------------------------------------------------------------------------------- */

void bed_guest_create(struct bed_guest *b, uint32_t domid, const char *name)
{
    *b = (struct bed_guest){.domid = domid};
    fake_domain(domid, name);
    fake_introduce(domid);
    bed_wait(30);
}

static void page_free(struct bed_guest *b)
{
    if (!b->page)
        return;
    fake_revoke(b->domid, b->ref);
    fake_port_close(b->domid, b->port);
    free(b->page);
    b->page = NULL;
    b->port = 0;
}

void bed_guest_destroy(struct bed_guest *b)
{
    fake_release(b->domid);
    bed_wait(600);
    page_free(b);
}

void bed_front(struct bed_guest *b, const char *node, const char *value)
{
    char path[96];
    snprintf(path, sizeof(path), "device/" XG_DEVICE_CLASS "/0/%s", node);
    fake_write(b->domid, path, value);
    bed_run();
}

static void front_number(struct bed_guest *b, const char *node, uint32_t value)
{
    char text[16];
    snprintf(text, sizeof(text), "%u", value);
    bed_front(b, node, text);
}

int bed_back_state(const struct bed_guest *b)
{
    char path[128];
    uint64_t own = xg_xen_own();
    snprintf(path, sizeof(path), "/local/domain/%u/backend/" XG_DEVICE_CLASS "/%u/0/state",
             (unsigned)own, b->domid);
    const char *v = fake_value(path);
    return v ? atoi(v) : -1;
}

static bool state_wait(struct bed_guest *b, int state)
{
    for (unsigned i = 0; i < 20 && bed_back_state(b) != state; i++)
        bed_wait(100);
    return bed_back_state(b) == state;
}

bool bed_connect(struct bed_guest *b)
{
    /* As soon as nothing maps the page any more. */
    bed_front(b, "state", "1");
    if (!state_wait(b, XG_XENBUS_INIT_WAIT))
        return false;
    page_free(b);
    b->page = aligned_alloc(XG_PAGE_SIZE, sizeof(*b->page));
    memset(b->page, 0, sizeof(*b->page));
    b->page->magic = XG_CONTROL_MAGIC;
    b->page->version = XG_CONTROL_VERSION;
    b->page->front_alive = 1;
    b->req_prod = b->msg_cons = 0;
    b->ref = fake_grant(b->domid, b->page);
    b->port = fake_port(b->domid);
    front_number(b, "ring-ref", b->ref);
    front_number(b, "event-channel", b->port);
    front_number(b, "version", 1);
    bed_front(b, "state", "3");
    if (!state_wait(b, XG_XENBUS_CONNECTED))
        return false;
    bed_front(b, "state", "4");
    return bed_back_state(b) == XG_XENBUS_CONNECTED && b->page->back_alive == 1;
}

uint64_t bed_answer_ms = 100;

static int ask(struct bed_guest *b, struct xg_control_request rq)
{
    rq.id = 1000 + b->req_prod;
    b->page->request[b->req_prod % XG_CONTROL_REQUESTS] = rq;
    b->page->req_prod = ++b->req_prod;
    fake_event(b->domid, b->port);
    for (unsigned i = 0; i < 10; i++) {
        while (b->page->msg_prod != b->msg_cons) {
            struct xg_control_message m = b->page->message[b->msg_cons % XG_CONTROL_MESSAGES];
            b->page->msg_cons = ++b->msg_cons;
            if (m.type == XG_CONTROL_REPLY && m.id == rq.id)
                return m.status;
        }
        bed_wait(bed_answer_ms);
    }
    return 1;
}

bool bed_alive(struct bed_guest *b)
{
    return bed_back_state(b) == XG_XENBUS_CONNECTED &&
           ask(b, (struct xg_control_request){.op = 77}) == -ENOSYS;
}

int bed_open(struct bed_guest *b, uint32_t channel)
{
    struct xg_control_request rq = {.op = XG_CONTROL_OPEN, .channel = channel};
    struct xg_directory_page *d = aligned_alloc(XG_PAGE_SIZE, sizeof(*d));
    memset(d, 0, sizeof(*d));
    rq.open.geometry =
        (struct xg_geometry){.ring_count = 1, .cmd_order = XG_CMD_ORDER_MIN, .arena_pages = 1};
    rq.open.directory = fake_grant(b->domid, d);
    d->count = (uint32_t)xg_geometry_pages(&rq.open.geometry);
    int status = ask(b, rq);
    fake_revoke(b->domid, rq.open.directory);
    free(d);
    return status;
}

int bed_close(struct bed_guest *b, uint32_t channel)
{
    return ask(b, (struct xg_control_request){.op = XG_CONTROL_CLOSE, .channel = channel});
}
