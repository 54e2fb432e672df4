#include "cuda/hints.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "protocol/base.h"

#define HOST_BIT 31u /* in `accessed`: the host; a lower bit is the device of that number */

struct hint {
    uint64_t start, end;
    bool read_mostly;
    uint32_t accessed;
    CUmemLocation preferred, prefetched; /* type CU_MEM_LOCATION_TYPE_INVALID: none */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct hint *hints; /* sorted; they do not overlap */
static unsigned count, room;

CUmemLocation xg_cuda_hint_location(CUdevice device)
{
    CUmemLocation l = {CU_MEM_LOCATION_TYPE_DEVICE, device};

    if (device == CU_DEVICE_CPU)
        l = (CUmemLocation){CU_MEM_LOCATION_TYPE_HOST, 0};
    return l;
}

/* Checks a location, and writes it in the form in which hints are kept. */
static CUresult location_check(CUmemLocation *l, int devices, bool nodes)
{
    unsigned cpu, node;

    switch (l->type) {
    case CU_MEM_LOCATION_TYPE_DEVICE:
        return l->id >= 0 && l->id < devices ? CUDA_SUCCESS : CUDA_ERROR_INVALID_DEVICE;
    case CU_MEM_LOCATION_TYPE_HOST: l->id = 0; return CUDA_SUCCESS;
    case CU_MEM_LOCATION_TYPE_HOST_NUMA:
        return nodes && l->id >= 0 ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
    case CU_MEM_LOCATION_TYPE_HOST_NUMA_CURRENT:
        if (!nodes || syscall(SYS_getcpu, &cpu, &node, NULL))
            return CUDA_ERROR_INVALID_VALUE;
        *l = (CUmemLocation){CU_MEM_LOCATION_TYPE_HOST_NUMA, (int)node};
        return CUDA_SUCCESS;
    default: return CUDA_ERROR_INVALID_VALUE;
    }
}

/* --- the list; the lock is held --------------------------------------------------------------- */

/* The first hint that ends after `at`. */
static unsigned hint_find(uint64_t at)
{
    unsigned lo = 0, hi = count;

    while (lo < hi) {
        unsigned mid = (lo + hi) / 2;
        if (hints[mid].end > at)
            hi = mid;
        else
            lo = mid + 1;
    }
    return lo;
}

static void hint_insert(unsigned i, struct hint h)
{
    memmove(&hints[i + 1], &hints[i], (count - i) * sizeof(*hints));
    hints[i] = h;
    count++;
}

/* Splits the hint that has `at` inside it, if there is one. */
static void hint_cut(uint64_t at)
{
    unsigned i = hint_find(at);

    if (i == count || hints[i].start >= at)
        return;
    hint_insert(i, hints[i]);
    hints[i].end = at;
    hints[i + 1].start = at;
}

/* Makes room for all that one range_cover can add: two cuts, and a hint in the gap before each. */
static bool room_reserve(void)
{
    unsigned want = 2 * count + 8;
    struct hint *more;

    if (want <= room)
        return true;
    more = realloc(hints, want * 2 * sizeof(*more));
    if (!more)
        return false;
    hints = more;
    room = want * 2;
    return true;
}

/* Makes hints that cover exactly [start, end), without gaps; returns the first one. */
static unsigned range_cover(uint64_t start, uint64_t end)
{
    unsigned i, first;

    hint_cut(start);
    hint_cut(end);
    first = hint_find(start);
    for (i = first; start < end; start = hints[i++].end) {
        uint64_t next = i < count && hints[i].start < end ? hints[i].start : end;
        if (start < next)
            hint_insert(i, (struct hint){.start = start, .end = next});
    }
    return first;
}

static bool range_is_valid(uint64_t start, uint64_t size)
{
    return size && start <= UINT64_MAX - size;
}

/* --- calls ------------------------------------------------------------------------------------ */

static void hint_advise(struct hint *h, CUmem_advise advice, CUmemLocation where)
{
    uint32_t bit =
        1u << (where.type == CU_MEM_LOCATION_TYPE_DEVICE ? (unsigned)where.id : HOST_BIT);

    switch (advice) {
    case CU_MEM_ADVISE_SET_READ_MOSTLY: h->read_mostly = true; break;
    case CU_MEM_ADVISE_UNSET_READ_MOSTLY: h->read_mostly = false; break;
    case CU_MEM_ADVISE_SET_PREFERRED_LOCATION: h->preferred = where; break;
    case CU_MEM_ADVISE_UNSET_PREFERRED_LOCATION:
        h->preferred.type = CU_MEM_LOCATION_TYPE_INVALID;
        break;
    case CU_MEM_ADVISE_SET_ACCESSED_BY: h->accessed |= bit; break;
    case CU_MEM_ADVISE_UNSET_ACCESSED_BY: h->accessed &= ~bit; break;
    }
}

static void hint_prefetch(struct hint *h, CUmem_advise none, CUmemLocation where)
{
    (void)none;
    h->prefetched = where;
}

static CUresult range_change(uint64_t start, uint64_t size,
                             void (*one)(struct hint *h, CUmem_advise advice, CUmemLocation where),
                             CUmem_advise advice, CUmemLocation where)
{
    CUresult r = CUDA_SUCCESS;

    pthread_mutex_lock(&lock);
    if (!room_reserve())
        r = CUDA_ERROR_OUT_OF_MEMORY;
    else
        for (unsigned i = range_cover(start, start + size);
             i < count && hints[i].start < start + size; i++)
            one(&hints[i], advice, where);
    pthread_mutex_unlock(&lock);
    return r;
}

CUresult xg_cuda_hint_advise(uint64_t start, uint64_t size, CUmem_advise advice,
                             CUmemLocation where, int devices)
{
    CUresult r = range_is_valid(start, size) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;

    switch (advice) {
    case CU_MEM_ADVISE_SET_PREFERRED_LOCATION:
        r = r ? r : location_check(&where, devices, true);
        break;
    case CU_MEM_ADVISE_SET_ACCESSED_BY:
    case CU_MEM_ADVISE_UNSET_ACCESSED_BY:
        /* One error for every wrong location, as in a vendor's driver. */
        if (!r && location_check(&where, devices, false))
            r = CUDA_ERROR_INVALID_VALUE;
        break;
    case CU_MEM_ADVISE_SET_READ_MOSTLY:
    case CU_MEM_ADVISE_UNSET_READ_MOSTLY:
    case CU_MEM_ADVISE_UNSET_PREFERRED_LOCATION:
        if (where.type < CU_MEM_LOCATION_TYPE_DEVICE ||
            where.type > CU_MEM_LOCATION_TYPE_HOST_NUMA_CURRENT)
            r = CUDA_ERROR_INVALID_VALUE;
        where = (CUmemLocation){CU_MEM_LOCATION_TYPE_HOST, 0}; /* not used, but must be valid */
        break;
    default: r = CUDA_ERROR_INVALID_VALUE;
    }
    return r ? r : range_change(start, size, hint_advise, advice, where);
}

CUresult xg_cuda_hint_prefetch(uint64_t start, uint64_t size, CUmemLocation where, int devices)
{
    CUresult r = range_is_valid(start, size) ? location_check(&where, devices, true)
                                             : CUDA_ERROR_INVALID_VALUE;

    return r ? r : range_change(start, size, hint_prefetch, (CUmem_advise)0, where);
}

void xg_cuda_hint_forget(uint64_t start, uint64_t size)
{
    unsigned first, last;

    pthread_mutex_lock(&lock);
    if (count && range_is_valid(start, size) && room_reserve()) {
        hint_cut(start);
        hint_cut(start + size);
        first = hint_find(start);
        for (last = first; last < count && hints[last].start < start + size; last++)
            ;
        memmove(&hints[first], &hints[last], (count - last) * sizeof(*hints));
        count -= last - first;
    }
    pthread_mutex_unlock(&lock);
}

/* --- questions -------------------------------------------------------------------------------- */

static void location_merge(CUmemLocation *have, CUmemLocation other)
{
    if (have->type != other.type || have->id != other.id)
        have->type = CU_MEM_LOCATION_TYPE_INVALID;
}

/* What is true for every byte of [start, end). The lock is held. */
static struct hint range_common(uint64_t start, uint64_t end)
{
    static const struct hint none;
    unsigned i = hint_find(start);
    struct hint all = none;

    if (i == count || hints[i].start > start)
        return none;
    for (all = hints[i]; start < end; start = hints[i++].end) {
        if (i == count || hints[i].start > start)
            return none;
        all.read_mostly &= hints[i].read_mostly;
        all.accessed &= hints[i].accessed;
        location_merge(&all.preferred, hints[i].preferred);
        location_merge(&all.prefetched, hints[i].prefetched);
    }
    return all;
}

static int32_t location_device(CUmemLocation l)
{
    return l.type == CU_MEM_LOCATION_TYPE_INVALID  ? CU_DEVICE_INVALID
           : l.type == CU_MEM_LOCATION_TYPE_DEVICE ? l.id
                                                   : CU_DEVICE_CPU;
}

static void accessed_list(uint32_t accessed, int32_t *out, size_t n)
{
    size_t found = 0;

    for (unsigned bit = 0; bit <= HOST_BIT && found < n; bit++)
        if (accessed & 1u << bit)
            out[found++] = bit == HOST_BIT ? CU_DEVICE_CPU : (int32_t)bit;
    while (found < n)
        out[found++] = CU_DEVICE_INVALID;
}

CUresult xg_cuda_hint_attribute(uint64_t start, uint64_t size, CUmem_range_attribute attribute,
                                void *data, size_t data_size)
{
    struct hint h;
    int32_t v;

    if (!data || !data_size || data_size % sizeof(v) || !range_is_valid(start, size))
        return CUDA_ERROR_INVALID_VALUE;
    pthread_mutex_lock(&lock);
    h = range_common(start, start + size);
    pthread_mutex_unlock(&lock);
    switch (attribute) {
    case CU_MEM_RANGE_ATTRIBUTE_READ_MOSTLY: v = h.read_mostly; break;
    case CU_MEM_RANGE_ATTRIBUTE_PREFERRED_LOCATION: v = location_device(h.preferred); break;
    case CU_MEM_RANGE_ATTRIBUTE_LAST_PREFETCH_LOCATION: v = location_device(h.prefetched); break;
    case CU_MEM_RANGE_ATTRIBUTE_PREFERRED_LOCATION_TYPE: v = (int32_t)h.preferred.type; break;
    case CU_MEM_RANGE_ATTRIBUTE_PREFERRED_LOCATION_ID: v = h.preferred.id; break;
    case CU_MEM_RANGE_ATTRIBUTE_LAST_PREFETCH_LOCATION_TYPE: v = (int32_t)h.prefetched.type; break;
    case CU_MEM_RANGE_ATTRIBUTE_LAST_PREFETCH_LOCATION_ID: v = h.prefetched.id; break;
    case CU_MEM_RANGE_ATTRIBUTE_ACCESSED_BY:
        accessed_list(h.accessed, data, data_size / sizeof(v));
        return CUDA_SUCCESS;
    default: return CUDA_ERROR_INVALID_VALUE;
    }
    if (data_size != sizeof(v))
        return CUDA_ERROR_INVALID_VALUE;
    memcpy(data, &v, sizeof(v));
    return CUDA_SUCCESS;
}
