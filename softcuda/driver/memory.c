/* The table of all memory that the device knows, the quota, and the snapshots that kernels check
 * their accesses against. */
#include "softcuda/driver/memory.h"
#include "cuda/api/pool.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct sc_mem **table; /* by start */
static unsigned count, room;
static _Atomic uint64_t version = 1;
static _Atomic uint64_t used;
static uint64_t next_id = 1;

int sc_mem_init(void)
{
    return sc_space_init();
}

/* --- quota ------------------------------------------------------------------------------------ */

bool sc_mem_charge(uint64_t size)
{
    uint64_t now = atomic_load(&used);

    do {
        if (size > sc_settings.memory || now > sc_settings.memory - size)
            return false;
    } while (!atomic_compare_exchange_weak(&used, &now, now + size));
    return true;
}

void sc_mem_uncharge(uint64_t size)
{
    atomic_fetch_sub(&used, size);
}

uint64_t sc_mem_used(void)
{
    return atomic_load(&used);
}

/* --- the table -------------------------------------------------------------------------------- */

/* Index of the first allocation that starts above `address`. */
static unsigned index_above(uint64_t address)
{
    unsigned lo = 0, hi = count;

    while (lo < hi) {
        unsigned mid = (lo + hi) / 2;
        if (table[mid]->start <= address)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

static struct sc_mem *holder_find(uint64_t address)
{
    unsigned i = index_above(address);

    return i && address - table[i - 1]->start < table[i - 1]->size ? table[i - 1] : NULL;
}

uint64_t sc_mem_version(void)
{
    return atomic_load_explicit(&version, memory_order_acquire);
}

void sc_mem_changed(void)
{
    atomic_fetch_add(&version, 1);
}

int sc_mem_enter(const struct sc_mem *mem)
{
    struct sc_mem *copy = malloc(sizeof(*copy));
    int err = -ENOMEM;

    pthread_mutex_lock(&lock);
    if (!copy)
        goto out;
    unsigned i = index_above(mem->start);
    err = -EEXIST;
    if ((i && mem->start - table[i - 1]->start < table[i - 1]->size) ||
        (i < count && table[i]->start - mem->start < mem->size))
        goto out;
    if (count == room) {
        unsigned more = room ? room * 2 : 256;
        struct sc_mem **grown = realloc(table, more * sizeof(*grown));
        err = -ENOMEM;
        if (!grown)
            goto out;
        table = grown;
        room = more;
    }
    *copy = *mem;
    copy->id = next_id++;
    memmove(&table[i + 1], &table[i], (count - i) * sizeof(*table));
    table[i] = copy;
    copy = NULL;
    count++;
    sc_mem_changed();
    err = 0;
out:
    pthread_mutex_unlock(&lock);
    free(copy);
    return err;
}

static void table_remove(unsigned i, struct sc_mem *out)
{
    *out = *table[i];
    free(table[i]);
    memmove(&table[i], &table[i + 1], (count - i - 1) * sizeof(*table));
    count--;
    sc_mem_changed();
}

bool sc_mem_remove(uint64_t start, unsigned mask, struct sc_mem *out)
{
    pthread_mutex_lock(&lock);
    unsigned i = index_above(start);
    bool found = i && table[i - 1]->start == start && (mask & SC_MASK(table[i - 1]->kind));
    if (found)
        table_remove(i - 1, out);
    pthread_mutex_unlock(&lock);
    return found;
}

bool sc_mem_find(uint64_t address, struct sc_mem *out)
{
    pthread_mutex_lock(&lock);
    struct sc_mem *m = holder_find(address);
    if (m)
        *out = *m;
    pthread_mutex_unlock(&lock);
    return m != NULL;
}

bool sc_mem_covered(uint64_t start, uint64_t size, unsigned *kinds)
{
    uint64_t end = start + size, at = start;
    unsigned seen = 0;

    if (end < start)
        return false;
    pthread_mutex_lock(&lock);
    for (unsigned i = index_above(start); at < end; i++) {
        struct sc_mem *m = i ? table[i - 1] : NULL;
        if (!m || !m->accessible || at < m->start || at - m->start >= m->size)
            break;
        seen |= SC_MASK(m->kind);
        at = m->start + m->size;
        if (i == count)
            break;
    }
    pthread_mutex_unlock(&lock);
    if (kinds)
        *kinds = seen;
    return at >= end;
}

void sc_mem_each(uint64_t start, uint64_t size, void (*fn)(struct sc_mem *, void *), void *opaque)
{
    pthread_mutex_lock(&lock);
    unsigned i = index_above(start);
    if (i && start - table[i - 1]->start < table[i - 1]->size)
        i--;
    for (; i < count && table[i]->start < start + size; i++)
        fn(table[i], opaque);
    pthread_mutex_unlock(&lock);
}

/* --- device memory ---------------------------------------------------------------------------- */

static uint64_t range_place(uint64_t size, uint64_t align, uint64_t *slot)
{
    uint64_t start;

    if (size <= SC_SMALL_MAX && align <= 512)
        return sc_block_take(size, slot);
    *slot = xg_align_up(size + SC_GAP, SC_HUGE);
    start = sc_space_take(*slot, xg_max_u64(SC_HUGE, align));
    if (start && !sc_space_commit(start, *slot)) {
        sc_space_give(start, *slot);
        return 0;
    }
    return start;
}

static void range_unplace(uint64_t start, uint64_t size, uint64_t slot)
{
    if (size <= SC_SMALL_MAX && slot < SC_HUGE) {
        sc_block_give(start, slot);
        return;
    }
    sc_space_decommit(start, slot);
    sc_space_give(start, slot);
}

/* What an allocation counts for: whole units of the API's granularity. */
static uint64_t charge_of(uint64_t size)
{
    return xg_align_up(size, 512);
}

uint64_t sc_mem_alloc(struct sc_ctx *ctx, uint64_t size, uint64_t align, enum sc_mem_kind kind,
                      struct xg_cuda_pool *pool, bool writable)
{
    struct sc_mem m = {.size = size,
                       .kind = kind,
                       .pool = pool,
                       .ctx = ctx,
                       .writable = writable,
                       .accessible = true};

    if (!size || size > sc_settings.memory || !sc_mem_charge(charge_of(size)))
        return 0;
    m.start = range_place(size, align, &m.slot);
    if (m.start && !sc_mem_enter(&m))
        return m.start;
    if (m.start)
        range_unplace(m.start, m.size, m.slot);
    sc_mem_uncharge(charge_of(size));
    return 0;
}

void sc_mem_release(const struct sc_mem *m)
{
    if (m->pool)
        xg_cuda_pool_freed(m->pool, m->size);
    range_unplace(m->start, m->size, m->slot);
    sc_mem_uncharge(charge_of(m->size));
}

void sc_mem_free_ctx(struct sc_ctx *ctx)
{
    const unsigned mask = SC_MASK_DEVICE | SC_MASK_MODULE | SC_MASK_HOST;
    struct sc_mem m;

    for (;;) {
        bool found = false;
        pthread_mutex_lock(&lock);
        for (unsigned i = count; i-- && !found;) { /* from the end: little to move */
            found = table[i]->ctx == ctx && (mask & SC_MASK(table[i]->kind));
            if (found)
                table_remove(i, &m);
        }
        pthread_mutex_unlock(&lock);
        if (!found)
            return;
        if (m.kind == SC_MEM_HOST)
            munmap((void *)m.start, m.slot);
        if (SC_MASK_HOST & SC_MASK(m.kind))
            continue;
        sc_mem_release(&m);
    }
}

/* --- snapshots -------------------------------------------------------------------------------- */

static struct sc_snapshot *current; /* the table's own reference, under `lock` */

void sc_snapshot_drop(struct sc_snapshot *s)
{
    if (s && atomic_fetch_sub(&s->refs, 1) == 1)
        free(s);
}

static struct sc_snapshot *snapshot_build(void)
{
    struct sc_snapshot *s = malloc(sizeof(*s) + count * sizeof(s->ranges[0]));
    unsigned n = 0;

    if (!s)
        return NULL;
    for (unsigned i = 0; i < count; i++) {
        const struct sc_mem *m = table[i];
        if (!m->accessible)
            continue;
        uint64_t end = m->start + m->size;
        /* Neighbours that cuMemMap put side by side are one range for an access across them. */
        if (n && s->ranges[n - 1].end == m->start && s->ranges[n - 1].writable == m->writable) {
            s->ranges[n - 1].end = end;
            continue;
        }
        if (m->kind != SC_MEM_HOST && m->kind != SC_MEM_REGISTERED)
            end = xg_align_up(end, SC_WIDEST);
        s->ranges[n++] = (struct sc_range){m->start, end, m->writable};
    }
    s->map = (struct sc_memmap){n, s->ranges};
    s->version = atomic_load(&version);
    atomic_init(&s->refs, 1);
    return s;
}

struct sc_snapshot *sc_snapshot_renew(struct sc_snapshot *old)
{
    if (old && old->version == atomic_load_explicit(&version, memory_order_acquire))
        return old;
    pthread_mutex_lock(&lock);
    if (!current || current->version != atomic_load(&version)) {
        struct sc_snapshot *fresh = snapshot_build();
        if (fresh) {
            sc_snapshot_drop(current);
            current = fresh;
        }
    }
    if (current)
        atomic_fetch_add(&current->refs, 1);
    struct sc_snapshot *s = current;
    pthread_mutex_unlock(&lock);
    sc_snapshot_drop(old);
    return s;
}
