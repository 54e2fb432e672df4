/*
 * Address space for device memory: one window, reserved without access at start, so that device
 * addresses never collide with the program's own. Extents are handed out first fit.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "softcuda/driver/memory.h"

struct extent {
    uint64_t start, size;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct extent *holes; /* sorted, never touching each other */
static unsigned hole_count, hole_room;
static uint64_t window, window_size;

int sc_space_init(void)
{
    for (unsigned bits = 40; bits >= 33; bits--) {
        size_t size = (size_t)1 << bits;
        void *p = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (p == MAP_FAILED)
            continue;
        uint64_t start = xg_align_up((uintptr_t)p, SC_HUGE);
        window = (uintptr_t)p;
        window_size = size;
        sc_space_give(start, (uintptr_t)p + size - start);
        return 0;
    }
    return -ENOMEM;
}

bool sc_space_has(uint64_t address)
{
    return address - window < window_size;
}

static bool hole_insert(unsigned i, uint64_t start, uint64_t size)
{
    if (hole_count == hole_room) {
        unsigned room = hole_room ? hole_room * 2 : 64;
        struct extent *grown = realloc(holes, room * sizeof(*grown));
        if (!grown)
            return false;
        holes = grown;
        hole_room = room;
    }
    memmove(&holes[i + 1], &holes[i], (hole_count - i) * sizeof(*holes));
    holes[i] = (struct extent){start, size};
    hole_count++;
    return true;
}

static void hole_remove(unsigned i)
{
    memmove(&holes[i], &holes[i + 1], (hole_count - i - 1) * sizeof(*holes));
    hole_count--;
}

uint64_t sc_space_take(uint64_t size, uint64_t align)
{
    uint64_t found = 0;

    pthread_mutex_lock(&lock);
    for (unsigned i = 0; i < hole_count; i++) {
        uint64_t start = xg_align_up(holes[i].start, align);
        uint64_t end = holes[i].start + holes[i].size;
        if (start < holes[i].start || start > end || end - start < size)
            continue;
        uint64_t before = start - holes[i].start, after = end - start - size;
        if (before && after && !hole_insert(i + 1, start + size, after))
            break;
        if (before)
            holes[i].size = before;
        else if (after)
            holes[i] = (struct extent){start + size, after};
        else
            hole_remove(i);
        found = start;
        break;
    }
    pthread_mutex_unlock(&lock);
    return found;
}

/* Without memory for the list the extent stays unused: address space is plentiful. */
void sc_space_give(uint64_t start, uint64_t size)
{
    unsigned lo = 0, hi;

    pthread_mutex_lock(&lock);
    hi = hole_count;
    while (lo < hi) {
        unsigned mid = (lo + hi) / 2;
        if (holes[mid].start < start)
            lo = mid + 1;
        else
            hi = mid;
    }
    bool left = lo && holes[lo - 1].start + holes[lo - 1].size == start;
    bool right = lo < hole_count && start + size == holes[lo].start;
    if (left) {
        holes[lo - 1].size += size;
        if (right) {
            holes[lo - 1].size += holes[lo].size;
            hole_remove(lo);
        }
    } else if (right) {
        holes[lo].start = start;
        holes[lo].size += size;
    } else {
        hole_insert(lo, start, size);
    }
    pthread_mutex_unlock(&lock);
}

bool sc_space_commit(uint64_t start, uint64_t size)
{
    void *p = mmap((void *)start, size, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
    if (p == MAP_FAILED)
        return false;
    if (size >= SC_HUGE)
        madvise(p, size, MADV_HUGEPAGE);
    return true;
}

/* The pages go, the mapping stays: a kernel that still holds an old address, by a mistake of its
 * program, reads zeros instead of ending the process. */
void sc_space_decommit(uint64_t start, uint64_t size)
{
    if (madvise((void *)start, size, MADV_DONTNEED))
        (void)!mmap((void *)start, size, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
}
