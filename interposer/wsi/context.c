/* Contexts: created on the host, made current, released. */
#include "interposer/wsi/internal.h"

#include <errno.h>
#include <stdlib.h>

static __thread struct xg_wsi_context *current_context;

/* A thread that ends with a current context releases it, so that another thread may have it. */
static pthread_key_t thread_key;

static void thread_ended(void *arg)
{
    xg_wsi_make_current(NULL, NULL, NULL);
}

__attribute__((constructor)) static void thread_init(void)
{
    pthread_key_create(&thread_key, thread_ended);
}

struct xg_wsi_context *xg_wsi_current(void)
{
    return current_context;
}

static int host_context_create(struct xg_wsi_context *c, const struct xg_wsi_context_create *how)
{
    uint32_t ticket;

    /* Not xg_wsi_ring_take: it would make this context, which does not exist on the host yet, the
     * ring's current one. */
    if (c->ring->shared)
        xg_ring_lock(c->ring);
    xg_wsi_send_context_create(c->ring, how, &ticket);
    xg_ring_publish(c->ring);
    if (c->ring->shared)
        xg_ring_unlock(c->ring);
    return xg_wsi_call_wait(c->ring, ticket);
}

int xg_wsi_context_new(struct xg_wsi_context_create how, const struct xg_wsi_config *config,
                       struct xg_wsi_context *share, struct xg_wsi_context **out)
{
    struct xg_wsi_context *c = calloc(1, sizeof(*c));
    int err = -ENOMEM;

    if (!c)
        return -ENOMEM;
    pthread_mutex_lock(&xg_wsi_lock);
    c->name = xg_wsi_name_take(&xg_wsi_context_names);
    pthread_mutex_unlock(&xg_wsi_lock);
    if (!c->name)
        goto free;
    c->config = config;
    c->api = how.api;
    c->flags = how.flags;
    c->ring = xg_channel_ring_acquire(xg_channel_get());
    c->gl = xg_gl_context_new(c->ring, (enum xg_gl_api)how.api, share ? share->gl : NULL);
    if (!c->gl)
        goto ring;
    c->gl->wsi = c;
    c->gl->take_ring = xg_wsi_take_ring;

    how.context = c->name;
    how.share = share ? share->name : 0;
    how.config = config ? config->id : 0;
    how.reserved = 0;
    /* the shared context may have been created a moment ago, on its own ring */
    if (share && share->mark.ring)
        xg_ring_wait_done(share->mark.ring, share->mark.position);
    err = host_context_create(c, &how);
    if (err)
        goto gl;
    *out = c;
    return 0;
gl:
    xg_gl_context_free(c->gl);
ring:
    xg_channel_ring_release(c->ring);
    pthread_mutex_lock(&xg_wsi_lock);
    xg_wsi_name_give(&xg_wsi_context_names, c->name);
    pthread_mutex_unlock(&xg_wsi_lock);
free:
    free(c);
    return err;
}

/* No thread has it current. */
static void context_free(struct xg_wsi_context *c)
{
    struct xg_ring *r = c->ring;

    xg_gl_context_free(c->gl);
    if (r->shared) {
        xg_ring_lock(r);
        if (r->owner == c->gl)
            r->owner = NULL;
    }
    xg_wsi_send_context_destroy(r, &(struct xg_wsi_context_destroy){.context = c->name});
    uint64_t position = xg_ring_position(r);
    xg_ring_publish(r);
    if (r->shared)
        xg_ring_unlock(r);
    /* the name may be used again at once on another ring, so it must be free on the host too */
    xg_ring_wait_done(r, position);
    xg_channel_ring_release(r);
    pthread_mutex_lock(&xg_wsi_lock);
    xg_wsi_name_give(&xg_wsi_context_names, c->name);
    pthread_mutex_unlock(&xg_wsi_lock);
    if (c->gone)
        c->gone(c->owner);
    free(c);
}

void xg_wsi_context_destroy(struct xg_wsi_context *c)
{
    pthread_mutex_lock(&xg_wsi_lock);
    c->destroyed = true;
    bool now = !c->current;
    pthread_mutex_unlock(&xg_wsi_lock);
    if (now)
        context_free(c);
}

/* --- making current --------------------------------------------------------------------------- */

static struct xg_wsi_mark mark_here(struct xg_wsi_context *c)
{
    return (struct xg_wsi_mark){c->ring, xg_ring_position(c->ring)};
}

/* Makes what follows on the context's ring wait for what was last drawn to `d`. */
static void wait_for(struct xg_wsi_context *c, const struct xg_wsi_drawable *d)
{
    if (d && d->mark.ring && d->mark.ring != c->ring)
        xg_ring_after(c->ring, d->mark.ring, d->mark.position);
}

/* Drops the reference of being current. */
static void drawable_leave(struct xg_wsi_drawable *d, struct xg_wsi_mark mark)
{
    if (!d)
        return;
    pthread_mutex_lock(&xg_wsi_lock);
    d->mark = mark;
    d->context = NULL;
    pthread_mutex_unlock(&xg_wsi_lock);
    xg_wsi_drawable_unref(d);
}

/* Releases the thread's context, on the host as well: another thread, or another context, may use
 * it or its surfaces next. */
static void context_leave(struct xg_wsi_context *c)
{
    struct xg_wsi_drawable *draw = c->draw, *read = c->read;

    xg_wsi_flush_front(c);
    xg_gl_flush(c->gl);
    xg_gl_sync_point(c->gl);
    if (c->ring->shared)
        xg_ring_lock(c->ring);
    if (!c->ring->shared || c->ring->owner == c->gl) {
        xg_wsi_send_make_current(c->ring, &(struct xg_wsi_make_current){.context = 0});
        c->ring->owner = NULL;
    }
    struct xg_wsi_mark mark = mark_here(c);
    xg_wsi_ring_give(c, true);

    pthread_mutex_lock(&xg_wsi_lock);
    c->mark = mark;
    c->current = false;
    c->draw = c->read = NULL;
    bool last = c->destroyed;
    pthread_mutex_unlock(&xg_wsi_lock);
    drawable_leave(draw, mark);
    if (read != draw)
        drawable_leave(read, mark);
    current_context = NULL;
    xg_gl_bind(NULL, NULL, NULL);
    if (last)
        context_free(c);
}

/* Checks and claims the objects: 0 or the error. Takes a reference to each, for being current. */
static int context_claim(struct xg_wsi_context *c, struct xg_wsi_drawable *draw,
                         struct xg_wsi_drawable *read)
{
    int err = 0;

    pthread_mutex_lock(&xg_wsi_lock);
    if (c->current || (draw && draw->context) || (read && read->context)) {
        err = -EACCES;
    } else {
        c->current = true;
        c->draw = draw;
        c->read = read;
        if (draw) {
            draw->context = c;
            draw->refs++;
        }
        if (read && read != draw) {
            read->context = c;
            read->refs++;
        }
    }
    pthread_mutex_unlock(&xg_wsi_lock);
    return err;
}

static void context_unclaim(struct xg_wsi_context *c, struct xg_wsi_drawable *draw,
                            struct xg_wsi_drawable *read)
{
    pthread_mutex_lock(&xg_wsi_lock);
    c->current = false;
    c->draw = c->read = NULL;
    pthread_mutex_unlock(&xg_wsi_lock);
    drawable_leave(draw, draw ? draw->mark : (struct xg_wsi_mark){0});
    if (read != draw)
        drawable_leave(read, read ? read->mark : (struct xg_wsi_mark){0});
}

static int context_enter(struct xg_wsi_context *c, struct xg_wsi_drawable *draw,
                         struct xg_wsi_drawable *read)
{
    struct xg_gl_drawable d, e;
    int err = context_claim(c, draw, read);

    if (err)
        return err;
    if (draw)
        err = xg_wsi_drawable_create(c, draw);
    if (!err && read && read != draw)
        err = xg_wsi_drawable_create(c, read);
    if (err && err != -ENODEV) {
        context_unclaim(c, draw, read);
        return err;
    }

    if (c->ring->shared) {
        xg_ring_lock(c->ring);
        c->ring->owner = c->gl;
    }
    wait_for(c, draw);
    if (read != draw)
        wait_for(c, read);
    xg_wsi_take_ring(c->gl);
    xg_wsi_ring_give(c, false);
    current_context = c;
    pthread_setspecific(thread_key, c);
    if (draw) {
        /* the draw buffer belongs to the context, not to the window */
        draw->front_used |= c->front;
        xg_wsi_drawable_describe(draw, &d);
    }
    if (read)
        xg_wsi_drawable_describe(read, &e);
    err = xg_gl_bind(c->gl, draw ? &d : NULL, read ? &e : NULL);
    if (draw)
        xg_wsi_drawable_follow(c, draw);
    return err;
}

int xg_wsi_make_current(struct xg_wsi_context *c, struct xg_wsi_drawable *draw,
                        struct xg_wsi_drawable *read)
{
    struct xg_wsi_context *old = current_context;

    if (c && c == old && c->draw == draw && c->read == read) {
        xg_gl_flush(c->gl);
        if (draw)
            xg_wsi_drawable_follow(c, draw);
        return 0;
    }
    if (c && c != old) {
        /* check everything before the old context is released */
        pthread_mutex_lock(&xg_wsi_lock);
        bool taken = c->current || (draw && draw->context && draw->context != old) ||
                     (read && read->context && read->context != old);
        pthread_mutex_unlock(&xg_wsi_lock);
        if (taken)
            return -EACCES;
    }
    if (old)
        context_leave(old);
    return c ? context_enter(c, draw, read) : 0;
}

bool xg_wsi_compatible(const struct xg_wsi_context *c, const struct xg_wsi_drawable *d)
{
    const struct xg_wsi_config *a = c->config, *b = d->config;

    if (!a || a == b)
        return true;
    /* EGL and GLX want the same sizes of those buffers that both configurations have */
    return a->red == b->red && a->green == b->green && a->blue == b->blue && a->alpha == b->alpha &&
           ((a->flags ^ b->flags) & XG_WSI_CONFIG_FLOAT) == 0 && a->samples == b->samples &&
           (!a->depth || !b->depth || a->depth == b->depth) &&
           (!a->stencil || !b->stencil || a->stencil == b->stencil);
}
