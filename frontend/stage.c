/*
 * Staging memory: arena memory that commands name and that may be used again once they are done.
 * Each ring bumps through a chunk of its own; used-up chunks and large pieces go to a FIFO with the
 * position that frees them.
 */
#include "frontend/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#define CHUNK (256u << 10)
#define HUGE  ((uintptr_t)2 << 20)
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25 /* since Linux 6.1; Debian 12's libc does not know it */
#endif

static void retire(struct xg_ring *r, void *memory)
{
    struct xg_ring_private *p = r->priv;

    if (p->retired_count == p->retired_size) {
        uint32_t size = p->retired_size ? 2 * p->retired_size : 64;
        struct xg_retired *grown = malloc(size * sizeof(*grown));
        if (!grown) { /* no memory to remember it by: wait for it instead */
            xg_ring_wait_done(r, xg_ring_published(r));
            return; /* the frame being written may still need it: it leaks, on a process that is out
                       of memory */
        }
        for (uint32_t i = 0; i < p->retired_count; i++)
            grown[i] = p->retired[(p->retired_head + i) % p->retired_size];
        free(p->retired);
        p->retired = grown;
        p->retired_head = 0;
        p->retired_size = size;
    }
    p->retired[(p->retired_head + p->retired_count++) % p->retired_size] =
        (struct xg_retired){memory, UINT64_MAX, r->prod};
    p->unresolved = true;
}

/* All frames before `position` are complete: what only they use is free when they are done. */
void xg_stage_resolve(struct xg_ring *r, uint64_t position)
{
    struct xg_ring_private *p = r->priv;

    p->unresolved = false;
    for (uint32_t i = p->retired_count; i-- > 0;) {
        struct xg_retired *e = &p->retired[(p->retired_head + i) % p->retired_size];
        if (e->position != UINT64_MAX)
            break;
        if (e->since > position)
            p->unresolved = true;
        else
            e->position = position;
    }
}

/* Frees what is done. True if anything was. */
static bool reclaim(struct xg_ring *r)
{
    struct xg_ring_private *p = r->priv;
    bool any = false;
    while (p->retired_count) {
        struct xg_retired *e = &p->retired[p->retired_head];
        if (e->position == UINT64_MAX || !xg_ring_done(r, e->position))
            break;
        xg_arena_free(r->channel, e->memory);
        p->retired_head = (p->retired_head + 1) % p->retired_size;
        p->retired_count--;
        any = true;
    }
    return any;
}

/* Arena memory, waiting for this ring's own staging to come back if need be. The frames before the
 * one that asks may be shown meanwhile. */
static void *stage_alloc(struct xg_ring *r, uint64_t size)
{
    struct xg_ring_private *p = r->priv;
    uint32_t where;

    for (unsigned tries = 0; !xg_ring_check(r); tries++) {
        reclaim(r);
        void *m = xg_arena_alloc(r->channel, size, XG_BLOB_ALIGN, &where);
        if (m)
            return m;
        if (p->retired_count) {
            struct xg_retired *e = &p->retired[p->retired_head];
            if (e->position == UINT64_MAX && e->since > r->frame)
                return NULL; /* held by the very frame that asks */
            xg_stage_resolve(r, r->frame);
            xg_ring_publish_to(r, r->frame);
            xg_ring_wait_done(r, e->position);
        } else if (tries > 2000) {
            return NULL; /* the arena is full of what the application holds (pinned, mapped) */
        } else {
            struct timespec ts = {.tv_nsec =
                                      500000}; /* other rings' staging, or presented frames */
            nanosleep(&ts, NULL);
        }
    }
    return NULL;
}

uint64_t xg_blob_max(struct xg_ring *r)
{
    return xg_min_u64(r->channel->arena_size / 2, 1ull << 31);
}

/* For the frame that is being written. */
static void *stage_take(struct xg_ring *r, uint64_t size, uint32_t *where)
{
    struct xg_ring_private *p = r->priv;
    uint8_t *m;

    if (size > xg_blob_max(r) || xg_ring_check(r))
        return NULL;
    size = xg_align_up(size ? size : 1, XG_BLOB_ALIGN);
    if (size > CHUNK / 2 || r->channel->arena_size < 16 * CHUNK) {
        m = stage_alloc(r, size);
        if (m)
            retire(r, m);
    } else {
        if (!p->chunk || p->chunk_used + size > CHUNK) {
            if (p->chunk)
                retire(r, p->chunk);
            p->chunk = stage_alloc(r, CHUNK);
            p->chunk_used = 0;
        }
        m = p->chunk ? p->chunk + p->chunk_used : NULL;
        p->chunk_used += size;
    }
    if (m)
        *where = xg_arena_where(r->channel, m);
    return m;
}

void *xg_blob_put_arena(struct xg_ring *r, void *at, const void *data, uint64_t size)
{
    struct xg_blob *b = at;
    uint32_t where = 0;
    void *m = stage_take(r, size, &where);

    if (!m) { /* dead, or too large: the command arrives without data and is refused there */
        b->size = XG_NULL_BLOB;
        b->where = 0;
        return b + 1;
    }
    memcpy(m, data, size);
    b->size = (uint32_t)size;
    b->where = where;
    return b + 1;
}

/* --- the arena, for the application ----------------------------------------------------------- */

void *xg_arena_alloc(struct xg_channel *ch, uint64_t size, uint64_t align, uint32_t *where)
{
    uint64_t offset;

    pthread_mutex_lock(&ch->arena_lock);
    int rc = ch->arena ? xg_arena_take(ch->arena, size, align, &offset) : -ENODEV;
    pthread_mutex_unlock(&ch->arena_lock);
    if (rc)
        return NULL;
    *where = (uint32_t)(offset / XG_BLOB_ALIGN + 1);
    return ch->arena_base + offset;
}

/* Pages of 4 KiB cost a copy of 64 MiB a tenth of its speed. Asking needs no right and no setting
 * of the system; the pages stay huge as long as the arena lives. Refused by platforms whose pages
 * are no files (Xen's), by kernels before 6.1, and when memory is in pieces: nothing is lost then.
 */
static void make_huge(uint8_t *m, uint64_t size)
{
    uintptr_t end = ((uintptr_t)m + size) & ~(HUGE - 1);
    for (uintptr_t at = xg_align_up((uintptr_t)m, HUGE); at < end; at += HUGE) {
        (void)*(volatile uint8_t *)at; /* what is not there at all cannot be moved */
        if (madvise((void *)at, HUGE, MADV_COLLAPSE) < 0)
            return;
    }
}

void *xg_arena_alloc_bulk(struct xg_channel *ch, uint64_t size, uint32_t *where)
{
    bool huge = size >= HUGE && ch->platform == XG_PLATFORM_LOCAL;
    uint8_t *m = xg_arena_alloc(ch, size, huge ? HUGE : XG_PAGE_SIZE, where);
    if (!m && huge) /* full but for a place that lies otherwise */
        return xg_arena_alloc(ch, size, XG_PAGE_SIZE, where);
    if (m && huge)
        make_huge(m, size);
    return m;
}

void xg_arena_free(struct xg_channel *ch, void *m)
{
    if (!m || !ch->arena)
        return;
    pthread_mutex_lock(&ch->arena_lock);
    xg_arena_give(ch->arena, (uint64_t)((uint8_t *)m - ch->arena_base));
    pthread_mutex_unlock(&ch->arena_lock);
}

uint32_t xg_arena_where(struct xg_channel *ch, const void *m)
{
    uint64_t offset = (uint64_t)((const uint8_t *)m - ch->arena_base);
    if ((const uint8_t *)m < ch->arena_base || offset >= ch->arena_size || offset % XG_BLOB_ALIGN)
        return 0;
    return (uint32_t)(offset / XG_BLOB_ALIGN + 1);
}

void *xg_arena_base(struct xg_channel *ch, uint64_t *size, int *fd, uint64_t *fd_offset)
{
    *size = ch->arena_size;
    *fd = ch->platform == XG_PLATFORM_LOCAL ? ch->pages_fd : -1;
    *fd_offset = ch->map_offset + (uint64_t)(ch->arena_base - ch->base);
    return ch->arena_base;
}
