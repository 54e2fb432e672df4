/*
 * Staging memory: arena memory that commands refer to, and that may be used again once they are
 * done. Each ring takes it from the front of a chunk of its own. Used-up chunks and large pieces go
 * to a FIFO, each with the position that frees it.
 */
#include "frontend/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#define STAGE_CHUNK (256u << 10)
#define HUGE        ((uintptr_t)2 << 20)
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25 /* since Linux 6.1; Debian 12's libc does not know it */
#endif

static void memory_retire(struct xg_ring *r, void *memory)
{
    struct xg_ring_private *p = r->priv;

    if (p->retired_count == p->retired_size) {
        uint32_t size = p->retired_size ? 2 * p->retired_size : 64;
        struct xg_retired *grown = malloc(size * sizeof(*grown));
        if (!grown) { /* no memory for the list: wait for it now instead */
            xg_ring_wait_done(r, xg_ring_published(r));
            /* the frame that is being written may still need it, so it is not freed: a leak, in a
             * process that is out of memory */
            return;
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

/* All frames before `position` are complete: memory that only they use is free when they are
 * done. */
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

/* Frees the memory that finished frames used. True if there was any. */
static bool retired_free(struct xg_ring *r)
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

/* Takes arena memory; if there is none, waits until staging memory of this ring is free again.
 * Meanwhile the frames before the current one may be published. */
static void *stage_alloc(struct xg_ring *r, uint64_t size)
{
    struct xg_ring_private *p = r->priv;
    uint32_t where;

    for (unsigned tries = 0; !xg_ring_check(r); tries++) {
        retired_free(r);
        void *m = xg_arena_alloc(r->channel, size, XG_BLOB_ALIGN, &where);
        if (m)
            return m;
        if (p->retired_count) {
            struct xg_retired *e = &p->retired[p->retired_head];
            if (e->position == UINT64_MAX && e->since > r->frame)
                return NULL; /* the frame that asks uses it itself */
            xg_stage_resolve(r, r->frame);
            xg_ring_publish_to(r, r->frame);
            xg_ring_wait_done(r, e->position);
        } else if (tries > 2000) {
            return NULL; /* the application itself holds the rest of the arena (pinned, mapped) */
        } else {
            /* wait for other rings' staging, or for frames that are being presented */
            struct timespec ts = {.tv_nsec = 500000};
            nanosleep(&ts, NULL);
        }
    }
    return NULL;
}

uint64_t xg_blob_max(struct xg_ring *r)
{
    return xg_min_u64(r->channel->arena_size / 2, 1ull << 31);
}

/* Takes staging memory for the frame that is being written. */
static void *stage_take(struct xg_ring *r, uint64_t size, uint32_t *where)
{
    struct xg_ring_private *p = r->priv;
    uint8_t *m;

    if (size > xg_blob_max(r) || xg_ring_check(r))
        return NULL;
    size = xg_align_up(size ? size : 1, XG_BLOB_ALIGN);
    if (size > STAGE_CHUNK / 2 || r->channel->arena_size < 16 * STAGE_CHUNK) {
        m = stage_alloc(r, size);
        if (m)
            memory_retire(r, m);
    } else {
        if (!p->chunk || p->chunk_used + size > STAGE_CHUNK) {
            if (p->chunk)
                memory_retire(r, p->chunk);
            p->chunk = stage_alloc(r, STAGE_CHUNK);
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

    if (!m) { /* dead, or too large: the command is sent without data, and refused by the worker */
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

/* With pages of 4 KiB a copy of 64 MiB loses a tenth of its speed. Asking for huge pages needs no
 * right and no setting of the system; the pages stay huge as long as the arena lives. It fails on
 * platforms whose pages are not files (Xen's), on kernels before 6.1, and when memory is
 * fragmented: then nothing is lost. */
static void make_huge(uint8_t *m, uint64_t size)
{
    uintptr_t end = ((uintptr_t)m + size) & ~(HUGE - 1);
    for (uintptr_t at = xg_align_up((uintptr_t)m, HUGE); at < end; at += HUGE) {
        (void)*(volatile uint8_t *)at; /* touch it: only pages that exist can be moved */
        if (madvise((void *)at, HUGE, MADV_COLLAPSE) < 0)
            return;
    }
}

void *xg_arena_alloc_bulk(struct xg_channel *ch, uint64_t size, uint32_t *where)
{
    bool huge = size >= HUGE && ch->platform == XG_PLATFORM_LOCAL;
    uint8_t *m = xg_arena_alloc(ch, size, huge ? HUGE : XG_PAGE_SIZE, where);
    if (!m && huge) /* there may be room without that alignment */
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
