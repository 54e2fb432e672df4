/* Drawables: their surface on the host, and keeping it as large as the window. */
#include "interposer/wsi/internal.h"

#include <errno.h>
#include <stdlib.h>

/* Held inside Xlib's hooks, so never over a call into Xlib or xcb. */
pthread_mutex_t xg_wsi_windows_lock = XG_LOCK_INITIALIZER;
static struct xg_wsi_drawable *windows;

static uint64_t size_pack(uint32_t width, uint32_t height)
{
    return (uint64_t)width << 32 | height;
}

static uint32_t size_clamp(uint32_t v, uint32_t max)
{
    return v < 1 ? 1 : v > max ? max : v;
}

static struct xg_wsi_drawable *drawable_new(enum xg_wsi_kind kind,
                                            const struct xg_wsi_config *config, uint32_t width,
                                            uint32_t height, bool srgb)
{
    struct xg_wsi_drawable *d = calloc(1, sizeof(*d));

    if (!d)
        return NULL;
    pthread_mutex_lock(&xg_wsi_lock);
    d->name = xg_wsi_name_take(&xg_wsi_surface_names);
    pthread_mutex_unlock(&xg_wsi_lock);
    if (!d->name) {
        free(d);
        return NULL;
    }
    d->kind = kind;
    d->config = config;
    d->srgb = srgb;
    d->width = width;
    d->height = height;
    d->wanted = size_pack(width, height);
    d->refs = 1;
    return d;
}

int xg_wsi_pbuffer_new(const struct xg_wsi_config *config, uint32_t width, uint32_t height,
                       bool srgb, struct xg_wsi_drawable **out)
{
    const struct xg_wsi_host *h = xg_wsi_host();

    if (!h)
        return -ENODEV;
    if (width > h->info.pbuffer_max_width || height > h->info.pbuffer_max_height)
        return -ERANGE;
    *out = drawable_new(XG_WSI_PBUFFER, config, size_clamp(width, width),
                        size_clamp(height, height), srgb);
    return *out ? 0 : -ENOMEM;
}

/* The size and depth of the application's drawable. The request goes through the application's own
 * connection, so that it comes after its requests about the drawable. */
static xcb_get_geometry_reply_t *geometry_ask(xcb_connection_t *app, uint32_t xid)
{
    return xcb_get_geometry_reply(app, xcb_get_geometry(app, xid), NULL);
}

int xg_wsi_window_new(xcb_connection_t *app, const char *display, uint32_t window,
                      const struct xg_wsi_config *config, bool double_buffered, bool srgb,
                      struct xg_wsi_drawable **out)
{
    const struct xg_wsi_host *h = xg_wsi_host();
    struct xg_wsi_drawable *d;
    int err;

    if (!h)
        return -ENODEV;
    xcb_get_geometry_reply_t *g = geometry_ask(app, window);
    if (!g)
        return -EBADF;
    d = drawable_new(XG_WSI_WINDOW, config, size_clamp(g->width, h->info.pbuffer_max_width),
                     size_clamp(g->height, h->info.pbuffer_max_height), srgb);
    uint8_t depth = g->depth;
    free(g);
    if (!d)
        return -ENOMEM;
    d->xid = window;
    d->app = app;
    d->double_buffered = double_buffered;
    err = xg_presenter_new(display, d, window, depth, &d->presenter);
    if (err) {
        xg_wsi_drawable_unref(d);
        return err;
    }
    pthread_mutex_lock(&xg_wsi_windows_lock);
    d->next = windows;
    windows = d;
    pthread_mutex_unlock(&xg_wsi_windows_lock);
    *out = d;
    return 0;
}

int xg_wsi_pixmap_new(xcb_connection_t *app, const char *display, uint32_t pixmap, int depth,
                      const struct xg_wsi_config *config, bool srgb, struct xg_wsi_drawable **out)
{
    const struct xg_wsi_host *h = xg_wsi_host();
    struct xg_wsi_drawable *d = NULL;
    int err = 0;

    if (!h)
        return -ENODEV;
    xcb_get_geometry_reply_t *g = geometry_ask(app, pixmap);
    if (!g)
        return -EBADF;
    if (g->depth != depth)
        err = -EINVAL;
    else if (g->width > h->info.pbuffer_max_width || g->height > h->info.pbuffer_max_height)
        err = -ERANGE;
    else if (!(d = drawable_new(XG_WSI_PIXMAP, config, g->width, g->height, srgb)))
        err = -ENOMEM;
    free(g);
    if (err)
        return err;
    d->xid = pixmap;
    d->app = app;
    err = xg_presenter_new(display, NULL, pixmap, (uint8_t)depth, &d->presenter);
    if (err) {
        xg_wsi_drawable_unref(d);
        return err;
    }
    *out = d;
    return 0;
}

int xg_wsi_copy_to_pixmap(struct xg_wsi_drawable *d, xcb_connection_t *app, const char *display,
                          uint32_t pixmap, int depth)
{
    struct xg_wsi_context *c = xg_wsi_current();
    struct presenter *p;

    if (!c || c->draw != d)
        return -EACCES;
    xcb_get_geometry_reply_t *g = geometry_ask(app, pixmap);
    int err = !g ? -EBADF : g->depth != depth ? -EINVAL : 0;
    free(g);
    if (!err)
        err = xg_presenter_new(display, NULL, pixmap, (uint8_t)depth, &p);
    if (err)
        return err;
    err = xg_wsi_present(c, d, p);
    xg_presenter_wait_shown(p);
    xg_presenter_free(p);
    return err;
}

static void window_unlink(struct xg_wsi_drawable *d)
{
    pthread_mutex_lock(&xg_wsi_windows_lock);
    struct xg_wsi_drawable **at = &windows;
    while (*at && *at != d)
        at = &(*at)->next;
    if (*at)
        *at = d->next;
    pthread_mutex_unlock(&xg_wsi_windows_lock);
}

/* No context has it current, so there is no ring of its own to write to: one is borrowed. */
static void host_surface_destroy(struct xg_wsi_drawable *d)
{
    struct xg_ring *r = xg_wsi_ring_borrow();

    if (d->mark.ring)
        xg_ring_after(r, d->mark.ring, d->mark.position);
    xg_wsi_send_surface_destroy(r, &(struct xg_wsi_surface_destroy){.surface = d->name});
    xg_ring_wait_done(r, xg_wsi_ring_said(r)); /* the name may be used again on any ring */
    xg_wsi_ring_return(r);
}

void xg_wsi_drawable_destroy(struct xg_wsi_drawable *d)
{
    window_unlink(d);
    if (d->presenter && !xg_presenter_free(d->presenter))
        return;
    if (d->created)
        host_surface_destroy(d);
    pthread_mutex_lock(&xg_wsi_lock);
    xg_wsi_name_give(&xg_wsi_surface_names, d->name);
    pthread_mutex_unlock(&xg_wsi_lock);
    free(d);
}

void xg_wsi_drawable_unref(struct xg_wsi_drawable *d)
{
    pthread_mutex_lock(&xg_wsi_lock);
    bool last = --d->refs == 0;
    pthread_mutex_unlock(&xg_wsi_lock);
    if (last)
        xg_wsi_drawable_destroy(d);
}

int xg_wsi_drawable_create(struct xg_wsi_context *c, struct xg_wsi_drawable *d)
{
    uint32_t ticket;
    int err;

    if (d->created)
        return 0;
    if (d->kind == XG_WSI_WINDOW)
        xg_wsi_drawable_size(d, &d->width, &d->height);
    if (c->ring->shared)
        xg_ring_lock(c->ring);
    struct xg_wsi_surface_create how = {.surface = d->name,
                                        .config = d->config->id,
                                        .width = d->width,
                                        .height = d->height,
                                        .flags = (d->srgb ? XG_WSI_SURFACE_SRGB : 0) |
                                                 (d->double_buffered ? XG_WSI_SURFACE_DOUBLE : 0) |
                                                 (d->egl_pbuffer ? XG_WSI_SURFACE_PBUFFER : 0)};
    xg_wsi_send_surface_create(c->ring, &how, &ticket);
    xg_wsi_ring_give(c, true);
    err = xg_wsi_call_wait(c->ring, ticket);
    d->created = err == 0;
    return err;
}

void xg_wsi_drawable_describe(const struct xg_wsi_drawable *d, struct xg_gl_drawable *out)
{
    const struct xg_wsi_config *k = d->config;

    *out = (struct xg_gl_drawable){
        .width = d->width,
        .height = d->height,
        .double_buffered = d->double_buffered,
        .red = k->red,
        .green = k->green,
        .blue = k->blue,
        .alpha = k->alpha,
        .depth = k->depth,
        .stencil = k->stencil,
        .samples = k->samples,
    };
}

/* --- size ------------------------------------------------------------------------------------- */

void xg_wsi_window_resized(struct xg_wsi_drawable *d, uint32_t width, uint32_t height)
{
    const struct xg_wsi_host *h = xg_wsi_host();
    if (h)
        atomic_store_explicit(&d->wanted,
                              size_pack(size_clamp(width, h->info.pbuffer_max_width),
                                        size_clamp(height, h->info.pbuffer_max_height)),
                              memory_order_relaxed);
}

void xg_wsi_window_told(xcb_connection_t *app, uint32_t window, uint32_t width, uint32_t height)
{
    pthread_mutex_lock(&xg_wsi_windows_lock);
    for (struct xg_wsi_drawable *d = windows; d; d = d->next)
        if (d->xid == window && d->app == app) {
            atomic_store_explicit(&d->app_tells, true, memory_order_relaxed);
            xg_wsi_window_resized(d, width, height);
        }
    pthread_mutex_unlock(&xg_wsi_windows_lock);
}

void xg_wsi_drawable_size(struct xg_wsi_drawable *d, uint32_t *width, uint32_t *height)
{
    uint64_t w = atomic_load_explicit(&d->wanted, memory_order_relaxed);
    *width = (uint32_t)(w >> 32);
    *height = (uint32_t)w;
}

void xg_wsi_drawable_follow(struct xg_wsi_context *c, struct xg_wsi_drawable *d)
{
    uint64_t wanted = atomic_load_explicit(&d->wanted, memory_order_relaxed);

    if (XG_LIKELY(wanted == size_pack(d->width, d->height)) || !d->created)
        return;
    d->width = (uint32_t)(wanted >> 32);
    d->height = (uint32_t)wanted;
    xg_wsi_ring_take(c);
    xg_wsi_send_surface_resize(c->ring, &(struct xg_wsi_surface_resize){.surface = d->name,
                                                                        .width = d->width,
                                                                        .height = d->height});
    xg_wsi_ring_give(c, false);
    xg_gl_resized(c->gl, d->width, d->height);
}
