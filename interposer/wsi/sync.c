/* Fences of EGL: made on the current context's ring; any thread may wait for them. */
#include "interposer/wsi/internal.h"

#include <errno.h>
#include <stdlib.h>

struct xg_wsi_sync {
    uint32_t name;
    struct xg_wsi_mark mark; /* behind its creation */
};

struct xg_wsi_sync *xg_wsi_sync_new(void)
{
    struct xg_wsi_context *c = xg_wsi_current();
    struct xg_wsi_sync *y = c ? calloc(1, sizeof(*y)) : NULL;

    if (!y)
        return NULL;
    pthread_mutex_lock(&xg_wsi_lock);
    y->name = xg_wsi_name_take(&xg_wsi_sync_names);
    pthread_mutex_unlock(&xg_wsi_lock);
    if (!y->name) {
        free(y);
        return NULL;
    }
    xg_gl_sync_point(c->gl);
    xg_wsi_ring_take(c);
    xg_wsi_send_sync_create(c->ring, &(struct xg_wsi_sync_create){.sync = y->name});
    y->mark = (struct xg_wsi_mark){c->ring, xg_ring_position(c->ring)};
    xg_wsi_ring_give(c, true); /* another thread may wait for it, and this one may never flush */
    return y;
}

/* The ring for a command about `y`: the ring of the thread's context, so that a wait blocks nobody
 * else; without a context, a borrowed one. */
static struct xg_ring *ring_for(struct xg_wsi_sync *y, struct xg_wsi_context *c)
{
    struct xg_ring *r = c ? c->ring : xg_wsi_ring_borrow();

    if (c)
        xg_wsi_ring_take(c);
    if (r != y->mark.ring)
        xg_ring_after(r, y->mark.ring, y->mark.position);
    return r;
}

static void ring_put(struct xg_ring *r, struct xg_wsi_context *c)
{
    if (c)
        xg_wsi_ring_give(c, true);
    else
        xg_wsi_ring_said(r);
}

static void ring_done_with(struct xg_ring *r, struct xg_wsi_context *c)
{
    if (!c)
        xg_wsi_ring_return(r);
}

void xg_wsi_sync_free(struct xg_wsi_sync *y)
{
    struct xg_wsi_context *c = xg_wsi_current();
    struct xg_ring *r = ring_for(y, c);

    xg_wsi_send_sync_destroy(r, &(struct xg_wsi_sync_destroy){.sync = y->name});
    uint64_t position = xg_ring_position(r);
    ring_put(r, c);
    xg_ring_wait_done(r, position); /* the name may be used again on any ring */
    ring_done_with(r, c);
    pthread_mutex_lock(&xg_wsi_lock);
    xg_wsi_name_give(&xg_wsi_sync_names, y->name);
    pthread_mutex_unlock(&xg_wsi_lock);
    free(y);
}

int xg_wsi_sync_wait(struct xg_wsi_sync *y, bool flush, uint64_t timeout_ns)
{
    struct xg_wsi_context *c = xg_wsi_current();
    struct xg_ring *r = ring_for(y, c);
    uint32_t ticket;

    xg_wsi_send_sync_wait(
        r, &(struct xg_wsi_sync_wait){.sync = y->name, .flush = flush, .timeout_ns = timeout_ns},
        &ticket);
    ring_put(r, c);
    int err = xg_wsi_call_wait(r, ticket);
    ring_done_with(r, c);
    if (!err && c)
        xg_gl_persistent_fetch(c->gl);
    return err;
}

void xg_wsi_sync_server_wait(struct xg_wsi_sync *y)
{
    struct xg_wsi_context *c = xg_wsi_current();

    if (!c)
        return;
    struct xg_ring *r = ring_for(y, c);
    xg_wsi_send_sync_server_wait(r, &(struct xg_wsi_sync_server_wait){.sync = y->name});
    ring_put(r, c);
}
