/* The scheduler's thread: listens to the workers' kicks and to the clock, and lets core.c decide.
 */
#include "backend/sched/core.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <unistd.h>

/* A guest that kicks more often than this is ignored for the rest of the window; at its end the
 * guest is looked at in any case. */
#define WINDOW_NS    10000000u
#define WINDOW_KICKS 1000u

/* Each write is an edge, and the eventfd is never read: a worker has the same eventfd, and could
 * make reading it block. */
#define KICK_EVENTS (EPOLLIN | EPOLLET)

struct xg_sched_guest {
    struct xg_core_guest core;
    struct xg_sched *sched;
    int page_fd, kick_fd;
    void *arg;
    pid_t process[XG_SCHED_SLOTS]; /* the process whose processor time counts; 0: none */
    int pidfd[XG_SCHED_SLOTS];     /* by which the worker can be stopped; -1: it cannot */
    uint64_t stuck;                /* slots to be reported */
    unsigned tampered;             /* to be reported: how many numbers were reset */
    uint64_t window;
    unsigned kicks;
    bool muted;
};

struct xg_sched {
    struct xg_core core;
    pthread_mutex_t lock;
    pthread_t thread;
    int epoll, timer, poke, stuck_fd;
    bool ending;
};

static struct xg_sched_guest *guest_of(struct xg_core_guest *g)
{
    return xg_container_of(g, struct xg_sched_guest, core);
}

static void event_set(int fd)
{
    uint64_t one = 1;
    ssize_t n = write(fd, &one, sizeof(one));
    (void)n;
}

static void event_take(int fd)
{
    uint64_t count;
    ssize_t n = read(fd, &count, sizeof(count));
    (void)n;
}

static void page_wake(struct xg_sched_page *page)
{
    syscall(SYS_futex, &page->grant, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

static uint64_t slot_used(struct xg_core *core, struct xg_core_guest *g, uint32_t slot)
{
    pid_t pid = guest_of(g)->process[slot];
    clockid_t clock;
    struct timespec t;
    (void)core;
    if (!pid || clock_getcpuclockid(pid, &clock) || clock_gettime(clock, &t) < 0)
        return XG_CORE_UNKNOWN;
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* A process that somebody else stopped is also continued at its guest's next turn. */
static uint64_t slots_signal(struct xg_core_guest *g, uint64_t slots, int signal)
{
    uint64_t done = 0;
    for (uint64_t left = slots; left; left &= left - 1) {
        int slot = __builtin_ctzll(left), fd = guest_of(g)->pidfd[slot];
        if (fd >= 0 && !syscall(SYS_pidfd_send_signal, fd, signal, NULL, 0))
            done |= 1ull << slot;
    }
    return done;
}

static uint64_t slots_suspend(struct xg_core *core, struct xg_core_guest *g, uint64_t slots)
{
    (void)core;
    return slots_signal(g, slots, SIGSTOP);
}

static void slots_resume(struct xg_core *core, struct xg_core_guest *g, uint64_t slots)
{
    (void)core;
    (void)slots_signal(g, slots, SIGCONT);
}

static void guest_stuck(struct xg_core *core, struct xg_core_guest *g, uint64_t slots)
{
    struct xg_sched *s = xg_container_of(core, struct xg_sched, core);
    guest_of(g)->stuck |= slots;
    event_set(s->stuck_fd);
}

static void guest_tampered(struct xg_core *core, struct xg_core_guest *g, unsigned count)
{
    struct xg_sched *s = xg_container_of(core, struct xg_sched, core);
    guest_of(g)->tampered += count;
    event_set(s->stuck_fd);
}

/* --- the thread ------------------------------------------------------------------------------- */

static void timer_set(struct xg_sched *s, uint64_t when)
{
    struct itimerspec t = {{0}, {0}};
    if (when != UINT64_MAX) {
        t.it_value.tv_sec = (time_t)(when / 1000000000u);
        t.it_value.tv_nsec = (long)(when % 1000000000u);
    }
    timerfd_settime(s->timer, TFD_TIMER_ABSTIME, &t, NULL);
}

static void guest_listen(struct xg_sched *s, struct xg_sched_guest *g, bool listen)
{
    struct epoll_event ev = {.events = listen ? KICK_EVENTS : 0, .data.ptr = g};
    epoll_ctl(s->epoll, EPOLL_CTL_MOD, g->kick_fd, &ev);
    g->muted = !listen;
}

static void kick_take(struct xg_sched *s, const void *which, uint64_t now)
{
    for (struct xg_core_guest *c = s->core.guests; c; c = c->next) {
        struct xg_sched_guest *g = guest_of(c);
        if (g != which)
            continue;
        if (now - g->window > WINDOW_NS) {
            g->window = now;
            g->kicks = 0;
        }
        if (++g->kicks > WINDOW_KICKS)
            guest_listen(s, g, false);
        return;
    }
}

static uint64_t guests_unmute(struct xg_sched *s, uint64_t now)
{
    uint64_t next = UINT64_MAX;
    for (struct xg_core_guest *c = s->core.guests; c; c = c->next) {
        struct xg_sched_guest *g = guest_of(c);
        if (g->muted && now - g->window > WINDOW_NS)
            guest_listen(s, g, true);
        else if (g->muted)
            next = xg_min_u64(next, g->window + WINDOW_NS + 1);
    }
    return next;
}

static void sched_run(struct xg_sched *s)
{
    uint64_t now = xg_now_ns(), quiet = guests_unmute(s, now);
    timer_set(s, xg_min_u64(quiet, xg_core_run(&s->core, now)));
}

/* Every switch of guests waits for this thread: where it may, it runs before the workers that it
 * schedules. */
static void priority_raise(void)
{
    struct sched_param p = {.sched_priority = 1};
    if (sched_setscheduler(0, SCHED_RR | SCHED_RESET_ON_FORK, &p) < 0)
        (void)setpriority(PRIO_PROCESS, (id_t)gettid(), -10);
}

static void *sched_thread(void *arg)
{
    struct xg_sched *s = arg;
    priority_raise();
    for (;;) {
        struct epoll_event ev;
        int n = epoll_wait(s->epoll, &ev, 1, -1);
        if (n < 0 && errno != EINTR)
            return NULL;
        pthread_mutex_lock(&s->lock);
        if (n > 0 && ev.data.ptr == &s->timer)
            event_take(s->timer);
        else if (n > 0 && ev.data.ptr == &s->poke)
            event_take(s->poke);
        else if (n > 0)
            kick_take(s, ev.data.ptr, xg_now_ns());
        if (s->ending) {
            pthread_mutex_unlock(&s->lock);
            return NULL;
        }
        sched_run(s);
        pthread_mutex_unlock(&s->lock);
    }
}

/* --- the scheduler ---------------------------------------------------------------------------- */

static int fd_watch(struct xg_sched *s, int fd, uint32_t events, void *ptr)
{
    struct epoll_event ev = {.events = events, .data.ptr = ptr};
    return epoll_ctl(s->epoll, EPOLL_CTL_ADD, fd, &ev) < 0 ? -errno : 0;
}

static void sched_free(struct xg_sched *s)
{
    int fds[] = {s->epoll, s->timer, s->poke, s->stuck_fd};
    for (unsigned i = 0; i < XG_ARRAY_LEN(fds); i++)
        if (fds[i] >= 0)
            close(fds[i]);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

unsigned xg_sched_processors(void)
{
    cpu_set_t set;
    int n = sched_getaffinity(0, sizeof(set), &set) ? 0 : CPU_COUNT(&set);
    return n > 0 ? (unsigned)n : (unsigned)xg_max_u64(1, (uint64_t)sysconf(_SC_NPROCESSORS_ONLN));
}

int xg_sched_create(const struct xg_sched_config *config, struct xg_sched **out)
{
    struct xg_sched *s = calloc(1, sizeof(*s));
    if (!s)
        return -ENOMEM;
    s->core.config = *config;
    s->core.wake = page_wake;
    s->core.used = slot_used;
    s->core.processors = xg_sched_processors();
    s->core.suspend = slots_suspend;
    s->core.resume = slots_resume;
    s->core.stuck = guest_stuck;
    s->core.tampered = guest_tampered;
    pthread_mutex_init(&s->lock, NULL);
    s->epoll = epoll_create1(EPOLL_CLOEXEC);
    s->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    s->poke = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    s->stuck_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int err = s->epoll < 0 || s->timer < 0 || s->poke < 0 || s->stuck_fd < 0 ? -EMFILE : 0;
    if (!err)
        err = fd_watch(s, s->timer, EPOLLIN, &s->timer);
    if (!err)
        err = fd_watch(s, s->poke, EPOLLIN, &s->poke);
    if (!err)
        err = -pthread_create(&s->thread, NULL, sched_thread, s);
    if (err) {
        sched_free(s);
        return err;
    }
    *out = s;
    return 0;
}

void xg_sched_configure(struct xg_sched *s, const struct xg_sched_config *config)
{
    pthread_mutex_lock(&s->lock);
    s->core.config = *config;
    sched_run(s);
    pthread_mutex_unlock(&s->lock);
}

void xg_sched_destroy(struct xg_sched *s)
{
    pthread_mutex_lock(&s->lock);
    s->ending = true;
    pthread_mutex_unlock(&s->lock);
    event_set(s->poke);
    pthread_join(s->thread, NULL);
    sched_free(s);
}

int xg_sched_stuck_fd(const struct xg_sched *s)
{
    return s->stuck_fd;
}

void xg_sched_stuck(struct xg_sched *s, void (*fn)(void *guest_arg, uint32_t slot))
{
    event_take(s->stuck_fd);
    for (;;) {
        struct xg_sched_guest *found = NULL;
        uint32_t slot = 0;
        pthread_mutex_lock(&s->lock);
        for (struct xg_core_guest *c = s->core.guests; c && !found; c = c->next)
            if (guest_of(c)->stuck) {
                found = guest_of(c);
                slot = (uint32_t)__builtin_ctzll(found->stuck);
                found->stuck &= found->stuck - 1;
            }
        pthread_mutex_unlock(&s->lock);
        if (!found)
            return;
        fn(found->arg, slot);
    }
}

void xg_sched_tampered(struct xg_sched *s, void (*fn)(void *guest_arg, unsigned count))
{
    for (;;) {
        void *arg = NULL;
        unsigned count = 0;
        pthread_mutex_lock(&s->lock);
        for (struct xg_core_guest *c = s->core.guests; c && !count; c = c->next) {
            count = guest_of(c)->tampered;
            guest_of(c)->tampered = 0;
            arg = guest_of(c)->arg;
        }
        pthread_mutex_unlock(&s->lock);
        if (!count)
            return;
        fn(arg, count);
    }
}

/* --- guests ----------------------------------------------------------------------------------- */

/* Sealed, so that a worker cannot shrink the file under the mapping of another worker or of the
 * scheduler. */
static int page_create(struct xg_sched_guest *g)
{
    g->page_fd = memfd_create("xengpu-sched", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (g->page_fd < 0)
        return -errno;
    if (ftruncate(g->page_fd, sizeof(struct xg_sched_page)) < 0 ||
        fcntl(g->page_fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
        return -errno;
    void *p =
        mmap(NULL, sizeof(struct xg_sched_page), PROT_READ | PROT_WRITE, MAP_SHARED, g->page_fd, 0);
    if (p == MAP_FAILED)
        return -errno;
    g->core.page = p;
    return 0;
}

static void process_forget(struct xg_sched_guest *g, uint32_t slot)
{
    if (g->pidfd[slot] >= 0)
        close(g->pidfd[slot]);
    g->pidfd[slot] = -1;
    g->process[slot] = 0;
}

static void guest_free(struct xg_sched_guest *g)
{
    if (g->core.page)
        munmap(g->core.page, sizeof(struct xg_sched_page));
    if (g->page_fd >= 0)
        close(g->page_fd);
    if (g->kick_fd >= 0)
        close(g->kick_fd);
    for (unsigned i = 0; i < XG_SCHED_SLOTS; i++)
        process_forget(g, i);
    free(g);
}

int xg_sched_guest_add(struct xg_sched *s, uint32_t weight, uint64_t memory_limit, void *arg,
                       struct xg_sched_guest **out)
{
    struct xg_sched_guest *g = calloc(1, sizeof(*g));
    if (!g)
        return -ENOMEM;
    g->sched = s;
    g->arg = arg;
    g->page_fd = -1;
    memset(g->pidfd, -1, sizeof(g->pidfd));
    g->core.weight = weight ? weight : XG_WEIGHT_DEFAULT;
    g->kick_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int err = g->kick_fd < 0 ? -errno : page_create(g);
    if (!err)
        err = fd_watch(s, g->kick_fd, KICK_EVENTS, g);
    if (err) {
        guest_free(g);
        return err;
    }
    g->core.memory_limit = memory_limit;
    atomic_store(&g->core.page->memory_limit, memory_limit);
    pthread_mutex_lock(&s->lock);
    xg_core_add(&s->core, &g->core, xg_now_ns());
    pthread_mutex_unlock(&s->lock);
    *out = g;
    return 0;
}

void xg_sched_guest_remove(struct xg_sched_guest *g)
{
    struct xg_sched *s = g->sched;
    pthread_mutex_lock(&s->lock);
    epoll_ctl(s->epoll, EPOLL_CTL_DEL, g->kick_fd, NULL);
    xg_core_remove(&s->core, &g->core, xg_now_ns());
    sched_run(s);
    pthread_mutex_unlock(&s->lock);
    guest_free(g);
}

void xg_sched_guest_set(struct xg_sched_guest *g, uint32_t weight, uint64_t memory_limit)
{
    struct xg_sched *s = g->sched;
    pthread_mutex_lock(&s->lock);
    xg_core_charge(&s->core, xg_now_ns());
    g->core.weight = weight ? weight : XG_WEIGHT_DEFAULT;
    g->core.memory_limit = memory_limit;
    atomic_store(&g->core.page->memory_limit, memory_limit);
    sched_run(s);
    pthread_mutex_unlock(&s->lock);
}

void xg_sched_guest_limit(struct xg_sched_guest *g, const struct xg_sched_limits *limits)
{
    struct xg_sched *s = g->sched;
    pthread_mutex_lock(&s->lock);
    xg_core_charge(&s->core, xg_now_ns());
    g->core.cap = limits->cap;
    g->core.instances = limits->instances;
    g->core.frame_limit = limits->frame_limit;
    atomic_store(&g->core.page->frame_limit, limits->frame_limit);
    sched_run(s);
    pthread_mutex_unlock(&s->lock);
}

static uint64_t slot_memory(const struct xg_sched_slot *slot)
{
    int64_t bytes = atomic_load(&slot->memory);
    return bytes > 0 ? (uint64_t)bytes : 0;
}

void xg_sched_guest_stats(struct xg_sched_guest *g, struct xg_sched_stats *out)
{
    struct xg_sched *s = g->sched;
    uint64_t now = xg_now_ns();
    pthread_mutex_lock(&s->lock);
    unsigned wrong = xg_core_page_check(&g->core, now);
    if (wrong)
        guest_tampered(&s->core, &g->core, wrong);
    xg_core_charge(&s->core, now);
    *out =
        (struct xg_sched_stats){.device_time_ns = g->core.device_ns,
                                .wait_time_ns = g->core.wait_ns,
                                .grants = g->core.grants,
                                .share = g->core.share ? (double)g->core.share / XG_CORE_WHOLE : 1,
                                .holds = s->core.holder == &g->core,
                                .wants = g->core.wants};
    if (g->core.wants && !out->holds && now > g->core.want_at)
        out->wait_time_ns += now - g->core.want_at;
    for (unsigned i = 0; i < XG_SCHED_SLOTS; i++)
        out->memory_bytes += slot_memory(&g->core.page->slot[i]);
    pthread_mutex_unlock(&s->lock);
}

int xg_sched_guest_page_fd(const struct xg_sched_guest *g)
{
    return g->page_fd;
}

int xg_sched_guest_kick_fd(const struct xg_sched_guest *g)
{
    return g->kick_fd;
}

int xg_sched_slot_take(struct xg_sched_guest *g)
{
    int slot = -EBUSY;
    pthread_mutex_lock(&g->sched->lock);
    if (~g->core.slots) {
        slot = __builtin_ctzll(~g->core.slots);
        xg_core_slot_take(&g->core, (uint32_t)slot, xg_now_ns());
        g->stuck &= ~(1ull << slot);
        sched_run(g->sched); /* others' shares may be smaller now */
    }
    pthread_mutex_unlock(&g->sched->lock);
    return slot;
}

void xg_sched_slot_free(struct xg_sched_guest *g, uint32_t slot)
{
    struct xg_sched *s = g->sched;
    pthread_mutex_lock(&s->lock);
    xg_core_slot_free(&s->core, &g->core, slot, xg_now_ns());
    process_forget(g, slot);
    g->stuck &= ~(1ull << slot);
    sched_run(s);
    pthread_mutex_unlock(&s->lock);
}

void xg_sched_slot_process(struct xg_sched_guest *g, uint32_t slot, int pid, int pidfd)
{
    pthread_mutex_lock(&g->sched->lock);
    g->process[slot] = pid;
    g->pidfd[slot] = pidfd;
    pthread_mutex_unlock(&g->sched->lock);
}

void xg_sched_slot_stats(struct xg_sched_guest *g, uint32_t slot, struct xg_sched_slot_stats *out)
{
    const struct xg_sched_slot *s = &g->core.page->slot[slot];
    for (unsigned i = 0; i < XG_COUNT_MAX; i++)
        out->counter[i] = atomic_load_explicit(&s->counter[i], memory_order_relaxed);
    uint64_t now = xg_now_ns(), since = atomic_load(&s->busy_since);
    out->device_time_ns = atomic_load(&s->busy_ns);
    if (atomic_load(&s->users) && since && since < now)
        out->device_time_ns += now - since;
    pthread_mutex_lock(&g->sched->lock);
    uint64_t still = xg_core_slot_suspended(&g->core, slot, now);
    pthread_mutex_unlock(&g->sched->lock);
    out->device_time_ns -= xg_min_u64(still, out->device_time_ns);
    out->memory_bytes = slot_memory(s);
}
