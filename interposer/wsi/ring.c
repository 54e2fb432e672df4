/* Frames of this API on a context's ring, and names. */
#include "interposer/wsi/internal.h"

#include <stdlib.h>

pthread_mutex_t xg_wsi_lock = XG_LOCK_INITIALIZER;

struct xg_wsi_names xg_wsi_context_names = {.max = XG_WSI_CONTEXTS_MAX};
struct xg_wsi_names xg_wsi_surface_names = {.max = XG_WSI_SURFACES_MAX};
struct xg_wsi_names xg_wsi_sync_names = {.max = XG_WSI_SYNCS_MAX};

uint32_t xg_wsi_name_take(struct xg_wsi_names *n)
{
    if (n->next + 1 < n->max)
        return ++n->next;
    return n->free_count ? n->free[--n->free_count] : 0;
}

void xg_wsi_name_give(struct xg_wsi_names *n, uint32_t name)
{
    if (n->free_count == n->free_size) {
        uint32_t size = n->free_size ? n->free_size * 2 : 64;
        uint32_t *more = realloc(n->free, size * sizeof(*more));
        if (!more)
            return; /* the name cannot be used again; that is all */
        n->free = more;
        n->free_size = size;
    }
    n->free[n->free_count++] = name;
}

static void emit_current(struct xg_wsi_context *c)
{
    xg_wsi_send_make_current(c->ring,
                             &(struct xg_wsi_make_current){.context = c->name,
                                                           .draw = c->draw ? c->draw->name : 0,
                                                           .read = c->read ? c->read->name : 0});
}

/* struct xg_gl_context.take_ring */
void xg_wsi_take_ring(struct xg_gl_context *gl)
{
    struct xg_wsi_context *c = gl->wsi;
    if (c->current)
        emit_current(c);
}

void xg_wsi_ring_take(struct xg_wsi_context *c)
{
    if (!c->ring->shared)
        return;
    xg_ring_lock(c->ring);
    if (c->ring->owner != c->gl) {
        c->ring->owner = c->gl;
        xg_wsi_take_ring(c->gl);
    }
}

void xg_wsi_ring_give(struct xg_wsi_context *c, bool publish)
{
    if (publish)
        xg_ring_publish(c->ring);
    if (c->ring->shared)
        xg_ring_unlock(c->ring);
}

struct xg_ring *xg_wsi_ring_borrow(void)
{
    struct xg_ring *r = xg_channel_ring_acquire(xg_channel_get());
    if (r->shared)
        xg_ring_lock(r);
    return r;
}

uint64_t xg_wsi_ring_said(struct xg_ring *r)
{
    uint64_t position = xg_ring_position(r);
    xg_ring_publish(r);
    if (r->shared)
        xg_ring_unlock(r);
    return position;
}

void xg_wsi_ring_return(struct xg_ring *r)
{
    xg_channel_ring_release(r);
}

int xg_wsi_call_wait(struct xg_ring *r, uint32_t ticket)
{
    return xg_ring_wait(r, ticket, NULL, 0, NULL);
}
