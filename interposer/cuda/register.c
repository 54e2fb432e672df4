/*
 * cuMemHostRegister: memory of the program's own. What kernels are to reach
 * (CU_MEMHOSTREGISTER_DEVICEMAP) must be memory that the worker sees: the program's pages give way
 * to pages of the arena, at the same address and with the same contents. Only whole pages of the
 * program alone are taken, so nothing else lies in them, and nobody else sees them. What is not to
 * be reached by kernels stays as it is.
 */
#include "interposer/cuda/cu.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

/* Private pages with the contents of a part of a mapping, to be put in its place. */
struct piece {
    uint64_t at, size;
    void *copy;
};

struct mapping {
    struct mapping *next;
    uint64_t at, size;
    uint8_t *arena;
    /* How its pages are known in /proc/self/maps: the program may have put others there since. */
    unsigned major, minor;
    unsigned long inode;
    uint64_t offset;
    struct piece *piece; /* while they are being given back, or during a fork */
    unsigned pieces;
};

_Atomic unsigned cu_host_mappings;
static struct mapping *mappings;
static pthread_mutex_t lock = XG_LOCK_INITIALIZER;
static pthread_once_t fork_once = PTHREAD_ONCE_INIT;

/* The arena's side of a mapping is in the table too, for who asks about a device pointer; it is not
 * the application's to free. */
static struct cu_object owner = {.kind = XG_CUDA_KIND_CTX};

/* --- what is at an address -------------------------------------------------------------------- */

struct area {
    uint64_t start, end, offset;
    unsigned major, minor;
    unsigned long inode;
    bool own; /* the program's alone, to read and write */
};

static bool area_parse(const char *line, struct area *a)
{
    unsigned long long start, end, offset;
    char perms[5];

    if (sscanf(line, "%llx-%llx %4s %llx %x:%x %lu", &start, &end, perms, &offset, &a->major,
               &a->minor, &a->inode) != 7)
        return false;
    a->start = start;
    a->end = end;
    a->offset = offset;
    a->own = !strcmp(perms, "rw-p") && !strstr(line, "[stack");
    return true;
}

/* The areas that meet [at, at + size), in order, until one is refused. False: one was, or they
 * cannot be read. */
static bool areas_each(uint64_t at, uint64_t size, bool (*fn)(const struct area *a, void *arg),
                       void *arg)
{
    FILE *f = fopen("/proc/self/maps", "re");
    char *line = NULL;
    size_t room = 0;
    struct area a;
    bool ok = f != NULL;

    while (ok && getline(&line, &room, f) > 0)
        if (area_parse(line, &a) && a.end > at && a.start < at + size)
            ok = fn(&a, arg);
    free(line);
    if (f)
        fclose(f);
    return ok;
}

static bool area_own(const struct area *a, void *arg)
{
    uint64_t *next = arg;

    if (!a->own || a->start > *next)
        return false;
    *next = a->end;
    return true;
}

/* All of it is there, the program's alone, and not the stack on which this runs. */
static bool range_own(uint64_t at, uint64_t size)
{
    uint64_t next = at;
    uint8_t here;

    return (uintptr_t)&here - at >= size && areas_each(at, size, area_own, &next) &&
           next >= at + size;
}

static bool area_identify(const struct area *a, void *arg)
{
    struct mapping *m = arg;

    m->major = a->major;
    m->minor = a->minor;
    m->inode = a->inode;
    m->offset = a->offset + ((uintptr_t)m->arena - a->start);
    return true;
}

/* --- giving pages back ------------------------------------------------------------------------ */

static bool area_copy(const struct area *a, void *arg)
{
    struct mapping *m = arg;
    uint64_t from = xg_max_u64(a->start, m->at), to = xg_min_u64(a->end, m->at + m->size);

    if (a->major != m->major || a->minor != m->minor || a->inode != m->inode ||
        a->offset + (from - a->start) != m->offset + (from - m->at))
        return true; /* not ours any more */
    struct piece *more = realloc(m->piece, (m->pieces + 1) * sizeof(*more));
    if (!more)
        return false;
    m->piece = more;
    void *copy = mmap(NULL, to - from, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (copy == MAP_FAILED)
        return false;
    memcpy(copy, m->arena + (from - m->at), to - from);
    m->piece[m->pieces++] = (struct piece){from, to - from, copy};
    return true;
}

static void pieces_drop(struct mapping *m)
{
    for (unsigned i = 0; i < m->pieces; i++)
        munmap(m->piece[i].copy, m->piece[i].size);
    free(m->piece);
    m->piece = NULL;
    m->pieces = 0;
}

static bool pieces_make(struct mapping *m)
{
    if (areas_each(m->at, m->size, area_copy, m))
        return true;
    pieces_drop(m);
    return false;
}

static void pieces_place(struct mapping *m)
{
    for (unsigned i = 0; i < m->pieces; i++) {
        const struct piece *p = &m->piece[i];
        (void)mremap(p->copy, p->size, p->size, MREMAP_MAYMOVE | MREMAP_FIXED,
                     (void *)(uintptr_t)p->at);
    }
    free(m->piece);
    m->piece = NULL;
    m->pieces = 0;
}

/* --- fork ------------------------------------------------------------------------------------- */

/* The child's memory is its own again: a copy of what was there when it came to be. */
static void fork_prepare(void)
{
    pthread_mutex_lock(&lock);
    for (struct mapping *m = mappings; m; m = m->next)
        (void)pieces_make(m); /* no memory for it: the child shares the pages with its parent */
}

static void fork_parent(void)
{
    for (struct mapping *m = mappings; m; m = m->next)
        pieces_drop(m);
    pthread_mutex_unlock(&lock);
}

static void fork_child(void)
{
    while (mappings) {
        struct mapping *m = mappings;
        mappings = m->next;
        pieces_place(m);
        free(m);
    }
    atomic_store(&cu_host_mappings, 0);
    xg_lock_init(&lock);
}

static void watch_fork(void)
{
    pthread_atfork(fork_prepare, fork_parent, fork_child);
}

/* --- mappings --------------------------------------------------------------------------------- */

/* Shows `m->arena` at `m->at`. If it fails, the program's memory is as it was. */
static CUresult pages_swap(struct mapping *m)
{
    void *to = (void *)(uintptr_t)m->at;

    if (!range_own(m->at, m->size) || !areas_each((uintptr_t)m->arena, 1, area_identify, m))
        return CUDA_ERROR_NOT_SUPPORTED;
    /* Once more the same pages; Xen's cannot be mapped twice by one process. */
    void *twin = mremap(m->arena, 0, m->size, MREMAP_MAYMOVE);
    if (twin == MAP_FAILED)
        return CUDA_ERROR_NOT_SUPPORTED;
    memcpy(m->arena, to, m->size);
    if (mremap(twin, m->size, m->size, MREMAP_MAYMOVE | MREMAP_FIXED, to) == to)
        return CUDA_SUCCESS;
    munmap(twin, m->size);
    /* The kernel removes what is there first. What it got to is mapped anew; what is still there is
     * not touched. */
    void *back = mmap(to, m->size, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    if (back == to)
        memcpy(to, m->arena, m->size);
    else if (back != MAP_FAILED) /* before Linux 4.17 it is only a wish */
        munmap(back, m->size);
    return CUDA_ERROR_OUT_OF_MEMORY;
}

static CUresult mapping_make(uint64_t at, uint64_t size, void *arena)
{
    struct mapping *m = calloc(1, sizeof(*m));
    CUresult r;

    if (!m)
        return CUDA_ERROR_OUT_OF_MEMORY;
    pthread_once(&fork_once, watch_fork);
    m->at = at;
    m->size = size;
    m->arena = arena;
    pthread_mutex_lock(&lock);
    r = pages_swap(m);
    if (r == CUDA_SUCCESS) {
        m->next = mappings;
        mappings = m;
        atomic_fetch_add(&cu_host_mappings, 1);
    }
    pthread_mutex_unlock(&lock);
    if (r != CUDA_SUCCESS)
        free(m);
    return r;
}

/* The program's pages are its own again; the arena's are still to be freed. False: there is no
 * memory for that, and all is as it was. */
static bool mapping_end(uint64_t at)
{
    struct mapping **where, *m;
    bool ok = true;

    pthread_mutex_lock(&lock);
    for (where = &mappings; (m = *where) && m->at != at; where = &m->next)
        ;
    if (m)
        ok = pieces_make(m);
    if (m && ok) {
        pieces_place(m);
        *where = m->next;
        atomic_fetch_sub(&cu_host_mappings, 1);
        free(m);
    }
    pthread_mutex_unlock(&lock);
    return ok;
}

uint64_t cu_host_shared_slow(uint64_t p, uint64_t size)
{
    struct cu_mem m;

    return cu_mem_find(p, &m) && m.kind == CU_MEM_REGISTERED && m.twin &&
                   size <= m.size - (p - m.start)
               ? m.twin + (p - m.start)
               : p;
}

/* --- registering ------------------------------------------------------------------------------ */

static bool table_enter(struct cu_mem *m, CUresult *r)
{
    struct cu_mem twin = *m, gone;

    *r = cu_mem_enter(m);
    if (*r != CUDA_SUCCESS || !m->twin || m->device != m->twin)
        return *r == CUDA_SUCCESS;
    twin.kind = CU_MEM_HOST;
    twin.owner = &owner;
    twin.start = m->twin;
    twin.twin = m->start;
    *r = cu_mem_enter(&twin);
    if (*r != CUDA_SUCCESS)
        cu_mem_remove(m->start, CU_MEM_REGISTERED, &gone);
    return *r == CUDA_SUCCESS;
}

/* Before the arena's pages are freed: whoever gets them next enters them again. */
static void twin_leave(const struct cu_mem *m)
{
    struct cu_mem gone;

    if (m->twin && m->device == m->twin)
        cu_mem_remove(m->twin, CU_MEM_HOST, &gone);
}

/* False: another thread was first. */
static bool table_leave(const struct cu_mem *m)
{
    struct cu_mem gone;
    bool ours = cu_mem_remove(m->start, CU_MEM_REGISTERED, &gone);

    if (ours)
        twin_leave(m);
    return ours;
}

static CUresult register_mapped(struct cu_mem *m)
{
    void *arena;
    CUresult r;

    if ((m->start | m->size) & (XG_PAGE_SIZE - 1))
        return CUDA_ERROR_NOT_SUPPORTED;
    r = cu_shown_alloc(m->size, &arena);
    if (r != CUDA_SUCCESS)
        return r;
    m->twin = (uintptr_t)arena;
    m->device = cu_arena_device(arena);
    if (!m->device) {
        r = CUDA_ERROR_NOT_SUPPORTED;
    } else if (table_enter(m, &r)) {
        r = mapping_make(m->start, m->size, arena);
        if (r != CUDA_SUCCESS)
            table_leave(m);
    }
    if (r != CUDA_SUCCESS)
        cu_shown_free(arena, m->size);
    return r;
}

CUresult cu_host_register(CUcontext handle, void *p, size_t size, unsigned flags)
{
    CU_CONTEXT(ctx, handle);
    struct cu_mem m = {
        .start = (uintptr_t)p, .size = size, .kind = CU_MEM_REGISTERED, .ctx = ctx, .flags = flags};

    if (flags & CU_MEMHOSTREGISTER_READ_ONLY)
        return CUDA_ERROR_NOT_SUPPORTED;
    CUresult r = flags & CU_MEMHOSTREGISTER_DEVICEMAP ? register_mapped(&m) : cu_mem_enter(&m);
    return r == CUDA_ERROR_INVALID_VALUE ? CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED : r;
}

CUresult cu_host_unregister(CUcontext handle, void *p)
{
    CU_CONTEXT(ctx, handle);
    struct cu_mem m;

    if (!cu_mem_find((uintptr_t)p, &m) || m.kind != CU_MEM_REGISTERED)
        return CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED;
    if (m.twin) {
        cu_ctx_settle(ctx); /* kernels may still be using it */
        if (!mapping_end(m.start))
            return CUDA_ERROR_OUT_OF_MEMORY;
    }
    if (!table_leave(&m))
        return CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED;
    if (m.twin)
        cu_shown_free((void *)(uintptr_t)m.twin, m.size);
    return CUDA_SUCCESS;
}

static bool registered_in(const struct cu_mem *m, void *ctx)
{
    return m->ctx == ctx && m->kind == CU_MEM_REGISTERED;
}

void cu_host_unregister_ctx(struct cu_ctx *ctx)
{
    struct cu_mem m;

    while (cu_mem_remove_where(registered_in, ctx, &m)) {
        bool ended =
            m.twin && mapping_end(m.start); /* no memory for it: the pages stay the arena's */
        twin_leave(&m);
        if (ended)
            cu_shown_free((void *)(uintptr_t)m.twin, m.size);
    }
}
