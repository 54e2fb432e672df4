/*
 * Virtual memory management: address ranges, physical memory, and mapping one into the other.
 *
 * Physical memory is private anonymous memory, as it makes huge pages and costs nothing until it is
 * touched. It lives where it is mapped, and is moved to a parking place while it is mapped nowhere.
 * Only a second mapping at the same time turns it into a memfd.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "softcuda/driver/device.h"
#include "softcuda/driver/memory.h"

enum { GRANULARITY = XG_PAGE_SIZE };

struct physical {
    CUmemGenericAllocationHandle handle; /* 0 after the last release */
    unsigned retained, mapped;
    uint64_t size;
    uint64_t home; /* where the private pages are, 0: there are none yet */
    bool parked;
    int fd; /* -1: private */
    CUmemAllocationProp prop;
};

struct reservation {
    struct reservation *next;
    uint64_t start, size;
    bool own; /* not in the window */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* outside of the memory lock */
static struct reservation *reservations;

/* --- addresses -------------------------------------------------------------------------------- */

/* Larger ones would leave the window without room for anything else. */
#define WINDOW_PART ((uint64_t)64 << 30)

static uint64_t outside_take(uint64_t size, uint64_t align)
{
    uint8_t *p =
        mmap(NULL, size + align, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (p == MAP_FAILED)
        return 0;
    uint64_t start = xg_align_up((uintptr_t)p, align), before = start - (uintptr_t)p;
    if (before)
        munmap(p, before);
    munmap((void *)(start + size), align - before);
    return start;
}

CUresult cuMemAddressReserve(CUdeviceptr *out, size_t size, size_t align, CUdeviceptr address,
                             unsigned long long flags)
{
    CUresult r = xg_cuda_ready();

    if (r)
        return r;
    if (!out || !size || size % GRANULARITY || address % GRANULARITY || flags ||
        (align & (align - 1)))
        return CUDA_ERROR_INVALID_VALUE;
    if (size > (uint64_t)1 << 46)
        return CUDA_ERROR_OUT_OF_MEMORY;
    struct reservation *v = calloc(1, sizeof(*v));
    if (!v)
        return CUDA_ERROR_OUT_OF_MEMORY;
    v->size = size;
    if (address && (!align || address % align == 0)) {
        void *p = mmap((void *)address, size, PROT_NONE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
        if (p == (void *)address) {
            v->start = address;
            v->own = true;
        } else if (p != MAP_FAILED) { /* a kernel that takes the address as a hint */
            munmap(p, size);
        }
    }
    align = xg_max_u64(align, SC_HUGE);
    if (!v->start && size >= WINDOW_PART) {
        v->start = outside_take(size, align);
        v->own = v->start != 0;
    } else if (!v->start) {
        v->start = sc_space_take(size, align);
    }
    if (!v->start) {
        free(v);
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    pthread_mutex_lock(&lock);
    v->next = reservations;
    reservations = v;
    pthread_mutex_unlock(&lock);
    *out = v->start;
    return CUDA_SUCCESS;
}

static void count_mapping(struct sc_mem *m, void *n)
{
    ++*(unsigned *)n;
}

CUresult cuMemAddressFree(CUdeviceptr p, size_t size)
{
    struct reservation **link, *v;
    unsigned mapped = 0;
    CUresult r = xg_cuda_ready();

    if (r)
        return r;
    pthread_mutex_lock(&lock);
    for (link = &reservations; (v = *link); link = &v->next)
        if (v->start == p && v->size == size)
            break;
    if (v)
        sc_mem_each(p, size, count_mapping, &mapped);
    if (!v || mapped) {
        pthread_mutex_unlock(&lock);
        return CUDA_ERROR_INVALID_VALUE;
    }
    *link = v->next;
    pthread_mutex_unlock(&lock);
    if (v->own)
        munmap((void *)v->start, v->size);
    else
        sc_space_give(v->start, v->size);
    free(v);
    return CUDA_SUCCESS;
}

/* --- physical memory -------------------------------------------------------------------------- */

static CUresult prop_check(const CUmemAllocationProp *prop)
{
    if (!prop || prop->type != CU_MEM_ALLOCATION_TYPE_PINNED || prop->win32HandleMetaData)
        return CUDA_ERROR_INVALID_VALUE;
    if (prop->location.type != CU_MEM_LOCATION_TYPE_DEVICE || prop->requestedHandleTypes)
        return CUDA_ERROR_NOT_SUPPORTED;
    return prop->location.id == 0 ? CUDA_SUCCESS : CUDA_ERROR_INVALID_DEVICE;
}

CUresult cuMemGetAllocationGranularity(size_t *out, const CUmemAllocationProp *prop,
                                       CUmemAllocationGranularity_flags option)
{
    CUresult r = xg_cuda_ready();

    if (r)
        return r;
    if (!out || (option != CU_MEM_ALLOC_GRANULARITY_MINIMUM &&
                 option != CU_MEM_ALLOC_GRANULARITY_RECOMMENDED))
        return CUDA_ERROR_INVALID_VALUE;
    if (!prop) /* what kind of memory it is makes no difference */
        return CUDA_ERROR_INVALID_VALUE;
    *out = option == CU_MEM_ALLOC_GRANULARITY_MINIMUM ? GRANULARITY : SC_HUGE;
    return CUDA_SUCCESS;
}

CUresult cuMemCreate(CUmemGenericAllocationHandle *out, size_t size,
                     const CUmemAllocationProp *prop, unsigned long long flags)
{
    CUresult r = xg_cuda_ready();

    if (r)
        return r;
    if (!out || !size || size % GRANULARITY || flags)
        return CUDA_ERROR_INVALID_VALUE;
    if ((r = prop_check(prop)))
        return r;
    struct physical *p = calloc(1, sizeof(*p));
    if (!p)
        return CUDA_ERROR_OUT_OF_MEMORY;
    if (!sc_mem_charge(size)) {
        free(p);
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    *p = (struct physical){.retained = 1, .size = size, .fd = -1, .prop = *prop};
    p->handle = (uintptr_t)xg_cuda_handle_new(SC_PHYSICAL, p);
    if (!p->handle) {
        sc_mem_uncharge(size);
        free(p);
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    *out = p->handle;
    return CUDA_SUCCESS;
}

/* lock held */
static void physical_free(struct physical *p)
{
    if (p->retained || p->mapped)
        return;
    if (p->parked) {
        sc_space_decommit(p->home, p->size);
        sc_space_give(p->home, p->size);
    }
    if (p->fd >= 0)
        close(p->fd);
    sc_mem_uncharge(p->size);
    free(p);
}

CUresult cuMemRelease(CUmemGenericAllocationHandle handle)
{
    CUresult r = xg_cuda_ready();

    if (r)
        return r;
    pthread_mutex_lock(&lock);
    struct physical *p = xg_cuda_handle_get(SC_PHYSICAL, (void *)handle);
    if (p && !--p->retained) {
        xg_cuda_handle_drop(SC_PHYSICAL, (void *)handle);
        p->handle = 0;
        physical_free(p);
    }
    pthread_mutex_unlock(&lock);
    return p ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

CUresult cuMemRetainAllocationHandle(CUmemGenericAllocationHandle *out, void *address)
{
    struct sc_mem m;
    CUresult r = xg_cuda_ready();

    if (r)
        return r;
    if (!out)
        return CUDA_ERROR_INVALID_VALUE;
    pthread_mutex_lock(&lock);
    r = CUDA_ERROR_INVALID_VALUE;
    if (sc_mem_find((uintptr_t)address, &m) && m.kind == SC_MEM_MAPPED) {
        struct physical *p = m.owner;
        if (!p->handle)
            p->handle = (uintptr_t)xg_cuda_handle_new(SC_PHYSICAL, p);
        if (p->handle) {
            p->retained++;
            *out = p->handle;
            r = CUDA_SUCCESS;
        }
    }
    pthread_mutex_unlock(&lock);
    return r;
}

CUresult cuMemGetAllocationPropertiesFromHandle(CUmemAllocationProp *prop,
                                                CUmemGenericAllocationHandle handle)
{
    CUresult r = xg_cuda_ready();

    if (r)
        return r;
    struct physical *p = xg_cuda_handle_get(SC_PHYSICAL, (void *)handle);
    if (!prop || !p)
        return CUDA_ERROR_INVALID_VALUE;
    *prop = p->prop;
    return CUDA_SUCCESS;
}

/* --- mapping ---------------------------------------------------------------------------------- */

static bool range_reserved(uint64_t start, uint64_t size)
{
    for (struct reservation *v = reservations; v; v = v->next)
        if (start >= v->start && start - v->start < v->size && size <= v->start + v->size - start)
            return true;
    return false;
}

/* Moves private pages; what stays behind reads as zeros and is nobody's. */
static bool pages_move(uint64_t from, uint64_t to, uint64_t size)
{
    void *p = mremap((void *)from, size, size, MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP,
                     (void *)to);

    if (p != MAP_FAILED)
        return true;
    if (!sc_space_commit(to, size))
        return false;
    memcpy((void *)to, (const void *)from, size);
    sc_space_decommit(from, size);
    return true;
}

/* From private pages to a file that can be mapped several times. */
static bool make_shared(struct physical *p)
{
    int fd = memfd_create("softcuda", MFD_CLOEXEC);

    if (fd < 0 || ftruncate(fd, (off_t)p->size))
        goto fail;
    for (uint64_t at = 0; p->home && at < p->size;) {
        ssize_t n = pwrite(fd, (const void *)(p->home + at), p->size - at, (off_t)at);
        if (n <= 0)
            goto fail;
        at += (uint64_t)n;
    }
    if (p->home && p->parked) {
        sc_space_decommit(p->home, p->size);
        sc_space_give(p->home, p->size);
    } else if (p->home && mmap((void *)p->home, p->size, PROT_READ | PROT_WRITE,
                               MAP_SHARED | MAP_FIXED, fd, 0) == MAP_FAILED) {
        goto fail;
    }
    p->fd = fd;
    p->home = 0;
    p->parked = false;
    return true;
fail:
    if (fd >= 0)
        close(fd);
    return false;
}

static bool pages_map(struct physical *p, uint64_t at, uint64_t size, uint64_t offset)
{
    bool whole = !offset && size == p->size;

    if (p->fd < 0 && (!whole || p->mapped) && !make_shared(p))
        return false;
    if (p->fd >= 0)
        return mmap((void *)at, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, p->fd,
                    (off_t)offset) != MAP_FAILED;
    if (!p->home) {
        if (!sc_space_commit(at, size))
            return false;
    } else {
        if (!pages_move(p->home, at, size))
            return false;
        sc_space_give(p->home, size);
        p->parked = false;
    }
    p->home = at;
    return true;
}

CUresult cuMemMap(CUdeviceptr at, size_t size, size_t offset, CUmemGenericAllocationHandle handle,
                  unsigned long long flags)
{
    CUresult r = xg_cuda_ready();

    if (r)
        return r;
    if (!at || !size || (at | size | offset) % GRANULARITY || flags)
        return CUDA_ERROR_INVALID_VALUE;
    pthread_mutex_lock(&lock);
    struct physical *p = xg_cuda_handle_get(SC_PHYSICAL, (void *)handle);
    struct sc_mem m = {
        .start = at, .size = size, .kind = SC_MEM_MAPPED, .owner = p, .ctx = sc_ctx_current()};
    if (!p || offset > p->size || size > p->size - offset || !range_reserved(at, size)) {
        r = CUDA_ERROR_INVALID_VALUE;
        goto out;
    }
    int err = sc_mem_enter(&m);
    if (err) {
        r = err == -EEXIST ? CUDA_ERROR_ALREADY_MAPPED : CUDA_ERROR_OUT_OF_MEMORY;
        goto out;
    }
    if (p->mapped)
        sc_sync_all(); /* its pages may be replaced by a file's */
    if (!pages_map(p, at, size, offset)) {
        sc_mem_remove(at, SC_MASK(SC_MEM_MAPPED), &m);
        r = CUDA_ERROR_OUT_OF_MEMORY;
        goto out;
    }
    p->mapped++;
out:
    pthread_mutex_unlock(&lock);
    return r;
}

/* lock held; the table knows the mapping no longer */
static bool pages_unmap(const struct sc_mem *m)
{
    struct physical *p = m->owner;
    uint64_t park = 0;

    p->mapped--;
    if (p->fd < 0 && p->retained) {
        park = sc_space_take(p->size, SC_HUGE);
        if (!park || !pages_move(m->start, park, p->size)) {
            if (park)
                sc_space_give(park, p->size);
            p->mapped++;
            return false;
        }
        p->home = park;
        p->parked = true;
    }
    if (p->fd >= 0) /* DONTNEED would keep the file's pages in sight */
        sc_space_commit(m->start, m->size);
    else
        sc_space_decommit(m->start, m->size);
    physical_free(p);
    return true;
}

CUresult cuMemUnmap(CUdeviceptr at, size_t size)
{
    struct sc_mem m;
    uint64_t end = at + size, next = at;
    CUresult r = xg_cuda_ready();

    if (r)
        return r;
    if (!at || !size || end < at || (at | size) % GRANULARITY)
        return CUDA_ERROR_INVALID_VALUE;
    /* A kernel under way may still touch it. Without the lock: what is waited for may be a host
     * function that needs others to map. */
    sc_sync_all();
    pthread_mutex_lock(&lock);
    while (next < end && sc_mem_find(next, &m) && m.kind == SC_MEM_MAPPED && m.start == next &&
           m.start + m.size <= end)
        next = m.start + m.size;
    r = next == end ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
    for (next = at; !r && next < end; next = m.start + m.size)
        if (!sc_mem_remove(next, SC_MASK(SC_MEM_MAPPED), &m) || !pages_unmap(&m))
            r = CUDA_ERROR_UNMAP_FAILED;
    pthread_mutex_unlock(&lock);
    return r;
}

/* --- access ----------------------------------------------------------------------------------- */

struct access {
    bool set, accessible, writable;
    uint64_t at; /* mappings without a gap end here */
};

static void access_visit(struct sc_mem *m, void *opaque)
{
    struct access *a = opaque;

    if (m->kind != SC_MEM_MAPPED || m->start != a->at) /* a gap, or part of a mapping */
        return;
    a->at = m->start + m->size;
    if (a->set) {
        m->accessible = a->accessible;
        m->writable = a->writable;
    } else {
        a->accessible = m->accessible;
        a->writable = m->writable;
    }
}

CUresult cuMemSetAccess(CUdeviceptr at, size_t size, const CUmemAccessDesc *desc, size_t count)
{
    CUresult r = xg_cuda_ready();

    if (r)
        return r;
    if (!at || !size || at + size < at || !desc || !count)
        return CUDA_ERROR_INVALID_VALUE;
    for (size_t i = 0; i < count; i++) {
        if (desc[i].location.type != CU_MEM_LOCATION_TYPE_DEVICE)
            return CUDA_ERROR_NOT_SUPPORTED;
        if (desc[i].location.id)
            return CUDA_ERROR_INVALID_VALUE;
        struct access look = {.at = at}, set = {.set = true, .at = at};
        switch (desc[i].flags) {
        case CU_MEM_ACCESS_FLAGS_PROT_NONE: break;
        case CU_MEM_ACCESS_FLAGS_PROT_READ: set.accessible = true; break;
        case CU_MEM_ACCESS_FLAGS_PROT_READWRITE: set.accessible = set.writable = true; break;
        default: return CUDA_ERROR_INVALID_VALUE;
        }
        sc_mem_each(at, size, access_visit, &look);
        if (look.at != at + size)
            return CUDA_ERROR_INVALID_VALUE;
        sc_mem_each(at, size, access_visit, &set);
        sc_mem_changed();
    }
    return CUDA_SUCCESS;
}

CUresult cuMemGetAccess(unsigned long long *flags, const CUmemLocation *location, CUdeviceptr at)
{
    struct sc_mem m;
    CUresult r = xg_cuda_ready();

    if (r)
        return r;
    if (!flags || !location || !sc_mem_find(at, &m) || m.kind != SC_MEM_MAPPED)
        return CUDA_ERROR_INVALID_VALUE;
    if (location->type != CU_MEM_LOCATION_TYPE_DEVICE || location->id)
        return CUDA_ERROR_INVALID_DEVICE;
    *flags = !m.accessible ? CU_MEM_ACCESS_FLAGS_PROT_NONE
             : m.writable  ? CU_MEM_ACCESS_FLAGS_PROT_READWRITE
                           : CU_MEM_ACCESS_FLAGS_PROT_READ;
    return CUDA_SUCCESS;
}
