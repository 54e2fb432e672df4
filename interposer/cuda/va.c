/* The window's address space: what of it is free. */
#include "cuda/send.h"

#include <stdlib.h>

struct span {
    uint64_t start, size;
};

struct pending {
    uint64_t start, size, seq;
};

static pthread_mutex_t lock = XG_LOCK_INITIALIZER;
static struct span *spans; /* sorted, never adjacent */
static unsigned span_count, span_size;
static struct pending *pendings; /* in order of seq */
static unsigned pending_count, pending_size;

static void span_add(uint64_t start, uint64_t size)
{
    unsigned i = 0, hi = span_count;

    while (i < hi) {
        unsigned mid = (i + hi) / 2;
        if (spans[mid].start < start)
            i = mid + 1;
        else
            hi = mid;
    }
    bool joins_left = i > 0 && spans[i - 1].start + spans[i - 1].size == start;
    bool joins_right = i < span_count && start + size == spans[i].start;
    if (joins_left && joins_right) {
        spans[i - 1].size += size + spans[i].size;
        memmove(&spans[i], &spans[i + 1], (--span_count - i) * sizeof(*spans));
    } else if (joins_left) {
        spans[i - 1].size += size;
    } else if (joins_right) {
        spans[i].start = start;
        spans[i].size += size;
    } else {
        if (span_count == span_size) {
            unsigned more = span_size ? span_size * 2 : 64;
            struct span *s = realloc(spans, more * sizeof(*s));
            if (!s)
                return; /* that much of the window is lost */
            spans = s;
            span_size = more;
        }
        memmove(&spans[i + 1], &spans[i], (span_count++ - i) * sizeof(*spans));
        spans[i] = (struct span){start, size};
    }
}

/* What the worker has let go of since the last time. */
static void ranges_collect(void)
{
    uint64_t retired = atomic_load_explicit(&cu.shared->retired, memory_order_acquire);
    unsigned n = 0;

    while (n < pending_count && pendings[n].seq <= retired) {
        span_add(pendings[n].start, pendings[n].size);
        n++;
    }
    if (n == 0)
        return;
    pending_count -= n;
    memmove(pendings, pendings + n, pending_count * sizeof(*pendings));
}

static uint64_t range_take(uint64_t size, uint64_t align)
{
    for (unsigned i = 0; i < span_count; i++) {
        struct span s = spans[i];
        uint64_t start = xg_align_up(s.start, align);
        if (start - s.start > s.size || s.size - (start - s.start) < size)
            continue;
        memmove(&spans[i], &spans[i + 1], (--span_count - i) * sizeof(*spans));
        if (start > s.start)
            span_add(s.start, start - s.start);
        if (start + size < s.start + s.size)
            span_add(start + size, s.start + s.size - start - size);
        return start;
    }
    return 0;
}

CUresult cu_va_wait(uint64_t seq)
{
    return cu_call_retire_wait(NULL, &(struct xg_cuda_retire_wait){.seq = seq});
}

uint64_t cu_va_take(uint64_t size, uint64_t align)
{
    uint64_t start, last = 0;

    pthread_mutex_lock(&lock);
    ranges_collect();
    start = range_take(size, align);
    if (!start && pending_count)
        last = pendings[pending_count - 1].seq;
    pthread_mutex_unlock(&lock);
    if (start || !last || cu_va_wait(last) != CUDA_SUCCESS)
        return start;
    pthread_mutex_lock(&lock);
    ranges_collect();
    start = range_take(size, align);
    pthread_mutex_unlock(&lock);
    return start;
}

void cu_va_give(uint64_t start, uint64_t size, uint64_t seq)
{
    pthread_mutex_lock(&lock);
    if (pending_count == pending_size) {
        unsigned more = pending_size ? pending_size * 2 : 64;
        struct pending *p = realloc(pendings, more * sizeof(*p));
        if (p) {
            pendings = p;
            pending_size = more;
        }
    }
    if (pending_count < pending_size) {
        unsigned i = pending_count++;
        while (i > 0 && pendings[i - 1].seq > seq) {
            pendings[i] = pendings[i - 1];
            i--;
        }
        pendings[i] = (struct pending){start, size, seq};
    }
    pthread_mutex_unlock(&lock);
}

void cu_va_reset(uint64_t start, uint64_t size)
{
    xg_lock_init(&lock);
    span_count = pending_count = 0;
    if (size)
        span_add(start, size);
}
