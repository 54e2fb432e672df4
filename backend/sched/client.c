/* The workers' side of the scheduler. */
#include "backend/sched/page.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define GAP_MAX_NS  250000000u
#define GAP_STEP_NS 100000u
#define END_LOOK_NS 10000000

struct xg_sched_client {
    struct xg_sched_page *page;
    struct xg_sched_slot *slot;
    int kick_fd;
};

int xg_sched_client_create(int page_fd, int kick_fd, uint32_t slot, struct xg_sched_client **out)
{
    if (slot >= XG_SCHED_SLOTS)
        return -EINVAL;
    struct xg_sched_client *c = calloc(1, sizeof(*c));
    if (!c)
        return -ENOMEM;
    c->page = mmap(NULL, sizeof(*c->page), PROT_READ | PROT_WRITE, MAP_SHARED, page_fd, 0);
    if (c->page == MAP_FAILED) {
        int err = -errno;
        free(c);
        return err;
    }
    c->slot = &c->page->slot[slot];
    c->kick_fd = kick_fd;
    *out = c;
    return 0;
}

void xg_sched_client_destroy(struct xg_sched_client *c)
{
    munmap(c->page, sizeof(*c->page));
    free(c);
}

static void scheduler_kick(struct xg_sched_client *c)
{
    uint64_t one = 1;
    ssize_t n = write(c->kick_fd, &one, sizeof(one)); /* EAGAIN: it has been told already */
    (void)n;
}

/* The device was not used by this worker, and is wanted now. Notes how long it was not used. */
static void gap_note(struct xg_sched_slot *s, uint64_t now)
{
    uint64_t idle = atomic_load_explicit(&s->idle_since, memory_order_relaxed);
    uint32_t old = atomic_load_explicit(&s->gap_ns, memory_order_relaxed);
    if (!idle || now < idle)
        return;
    /* one long gap among short ones says little about the next */
    int64_t gap = (int64_t)xg_min_u64(now - idle, xg_min_u64(2ull * old + GAP_STEP_NS, GAP_MAX_NS));
    atomic_store_explicit(&s->gap_ns, (uint32_t)(old + (gap - old) / 4), memory_order_relaxed);
}

static bool user_add(struct xg_sched_client *c, bool *first)
{
    /* Full barrier between the two; pairs with the one in the scheduler's grant_set. */
    *first = atomic_fetch_add(&c->slot->users, 1) == 0;
    return atomic_load(&c->page->grant) & XG_GRANT_HELD;
}

/* Nobody wakes a thread that waits here when *end is set: it wakes up now and then to look. */
static bool acquire_wait(struct xg_sched_client *c, const _Atomic bool *end)
{
    const struct timespec look = {.tv_nsec = END_LOOK_NS};
    struct xg_sched_page *p = c->page;
    bool first;
    atomic_fetch_add(&c->slot->wanters, 1);
    do {
        uint32_t grant;
        atomic_fetch_sub(&c->slot->users,
                         1); /* the scheduler may wait for that, so it is told in any case */
        scheduler_kick(c);
        while (!((grant = atomic_load(&p->grant)) & XG_GRANT_HELD)) {
            syscall(SYS_futex, &p->grant, FUTEX_WAIT, grant, end ? &look : NULL, NULL, 0);
            if (end && atomic_load(end) && !(atomic_load(&p->grant) & XG_GRANT_HELD)) {
                atomic_fetch_sub(&c->slot->wanters, 1);
                scheduler_kick(c); /* the scheduler may give the device to others */
                return false;
            }
        }
    } while (!user_add(c, &first));
    atomic_fetch_sub(&c->slot->wanters, 1);
    if (first)
        atomic_store_explicit(&c->slot->busy_since, xg_now_ns(), memory_order_relaxed);
    return true;
}

bool xg_sched_acquire(struct xg_sched_client *c, const _Atomic bool *end)
{
    bool first, held = user_add(c, &first);
    if (first) {
        uint64_t now = xg_now_ns();
        gap_note(c->slot, now);
        if (held)
            atomic_store_explicit(&c->slot->busy_since, now, memory_order_relaxed);
    }
    return XG_LIKELY(held) || acquire_wait(c, end);
}

/* This worker has more than `but` users, and so still has the device, although the scheduler asked
 * for it back. */
static bool worker_keeps(struct xg_sched_client *c, uint32_t grant, uint32_t but)
{
    return grant & XG_GRANT_YIELD && atomic_load(&c->slot->users) > but;
}

/* Another thread of this worker may have the device, be asked to give it back, and be unable to do
 * so before this thread goes on. So it is enough that this thread saw that state. */
void xg_sched_acquire_beside(struct xg_sched_client *c)
{
    struct xg_sched_page *p = c->page;
    bool first;

    atomic_fetch_add(&c->slot->wanters, 1);
    while (!user_add(c, &first) && !worker_keeps(c, atomic_load(&p->grant), 1)) {
        uint32_t grant;
        atomic_fetch_sub(&c->slot->users, 1);
        scheduler_kick(c);
        while (!((grant = atomic_load(&p->grant)) & XG_GRANT_HELD) && !worker_keeps(c, grant, 0))
            syscall(SYS_futex, &p->grant, FUTEX_WAIT, grant, NULL, NULL, 0);
    }
    atomic_fetch_sub(&c->slot->wanters, 1);
    if (first)
        atomic_store_explicit(&c->slot->busy_since, xg_now_ns(), memory_order_relaxed);
}

/* Joins only users of this worker: a thread in xg_sched_acquire_beside is not woken for a user that
 * comes later. */
bool xg_sched_join(struct xg_sched_client *c)
{
    bool first, held = user_add(c, &first);

    if (first)
        atomic_store_explicit(&c->slot->busy_since, xg_now_ns(), memory_order_relaxed);
    if (held || worker_keeps(c, atomic_load(&c->page->grant), 1))
        return true;
    xg_sched_release(c);
    return false;
}

void xg_sched_release(struct xg_sched_client *c)
{
    struct xg_sched_slot *s = c->slot;
    uint64_t since = atomic_load_explicit(&s->busy_since, memory_order_relaxed);
    /* Full barrier before the grant word is read; pairs as in user_add. */
    if (atomic_fetch_sub(&s->users, 1) != 1)
        return;
    uint64_t now = xg_now_ns();
    atomic_fetch_add_explicit(&s->busy_ns, now > since ? now - since : 0, memory_order_relaxed);
    atomic_store_explicit(&s->idle_since, now, memory_order_relaxed);
    if (XG_UNLIKELY(atomic_load(&c->page->grant) & XG_GRANT_KICK))
        scheduler_kick(c);
}

void xg_sched_keep(struct xg_sched_client *c)
{
    atomic_fetch_add_explicit(&c->slot->users, 1, memory_order_relaxed);
}

void xg_sched_progress(struct xg_sched_client *c)
{
    atomic_fetch_add_explicit(&c->slot->progress, 1, memory_order_relaxed);
}

const _Atomic uint32_t *xg_sched_yield_word(const struct xg_sched_client *c, uint32_t *mask)
{
    *mask = XG_GRANT_YIELD;
    return &c->page->grant;
}

bool xg_sched_contended(const struct xg_sched_client *c)
{
    return atomic_load_explicit(&c->page->grant, memory_order_relaxed) & XG_GRANT_CONTENDED;
}

static uint64_t memory_total(const struct xg_sched_page *p)
{
    uint64_t total = 0;
    for (unsigned i = 0; i < XG_SCHED_SLOTS; i++) {
        int64_t bytes = atomic_load(&p->slot[i].memory);
        total += bytes > 0 ? (uint64_t)bytes : 0;
    }
    return total;
}

/* Charges first and checks then: when two workers race for the last bytes, at least one sees the
 * other's charge. */
int xg_sched_memory_charge(struct xg_sched_client *c, int64_t bytes)
{
    if (bytes > XG_SCHED_MEMORY_MAX)
        return -ENOMEM;
    atomic_fetch_add(&c->slot->memory, bytes);
    uint64_t limit = xg_sched_memory_limit(c);
    if (bytes <= 0 || !limit || memory_total(c->page) <= limit)
        return 0;
    atomic_fetch_sub(&c->slot->memory, bytes);
    return -ENOMEM;
}

uint64_t xg_sched_memory_used(const struct xg_sched_client *c)
{
    return memory_total(c->page);
}

uint64_t xg_sched_memory_limit(const struct xg_sched_client *c)
{
    return atomic_load_explicit(&c->page->memory_limit, memory_order_relaxed);
}

uint64_t xg_sched_device_ns(const struct xg_sched_client *c)
{
    return atomic_load_explicit(&c->slot->busy_ns, memory_order_relaxed);
}

uint32_t xg_sched_frame_limit(const struct xg_sched_client *c)
{
    return atomic_load_explicit(&c->page->frame_limit, memory_order_relaxed);
}

void xg_sched_count(struct xg_sched_client *c, enum xg_counter what, uint64_t n)
{
    atomic_fetch_add_explicit(&c->slot->counter[what], n, memory_order_relaxed);
}
