/* GLX windows, pixmaps, pbuffers, and plain windows that are used as drawables. */
#include "interposer/glx/calls.h"

#include "interposer/glx/codes.h"
#include <X11/Xlib-xcb.h>
#include <errno.h>
#include <stdlib.h>

static pthread_mutex_t drawables_lock = XG_LOCK_INITIALIZER; /* never held over a call into Xlib */
static struct xg_glx_drawable *drawables;

__attribute__((constructor)) static void fork_init(void)
{
    xg_wsi_fork_lock(&drawables_lock);
}

struct xg_glx_drawable *xg_glx_drawable_find(Display *dpy, XID xid)
{
    pthread_mutex_lock(&drawables_lock);
    struct xg_glx_drawable *d = drawables;
    while (d && (d->xid != xid || d->dpy != dpy))
        d = d->next;
    pthread_mutex_unlock(&drawables_lock);
    return d;
}

static void drawable_link(struct xg_glx_drawable *d)
{
    pthread_mutex_lock(&drawables_lock);
    d->next = drawables;
    drawables = d;
    pthread_mutex_unlock(&drawables_lock);
}

/* Takes it out of the list; false: it is not in the list. */
static bool drawable_unlink(struct xg_glx_drawable *d)
{
    bool found = false;
    pthread_mutex_lock(&drawables_lock);
    for (struct xg_glx_drawable **at = &drawables; *at && !found;)
        if (*at == d) {
            *at = d->next;
            found = true;
        } else {
            at = &(*at)->next;
        }
    pthread_mutex_unlock(&drawables_lock);
    return found;
}

static void drawable_free(struct xg_glx_drawable *d)
{
    xg_wsi_drawable_unref(d->d);
    free(d);
}

/* GLX has no destroy call for plain windows: those that X says are destroyed are freed now. */
static void drawables_sweep(void)
{
    for (;;) {
        struct xg_glx_drawable *gone = NULL;
        pthread_mutex_lock(&drawables_lock);
        for (struct xg_glx_drawable **at = &drawables; *at; at = &(*at)->next)
            if ((*at)->kind == GLX_KIND_RAW &&
                atomic_load_explicit(&(*at)->d->gone, memory_order_relaxed) && !(*at)->d->context) {
                gone = *at;
                *at = gone->next;
                break;
            }
        pthread_mutex_unlock(&drawables_lock);
        if (!gone)
            return;
        drawable_free(gone);
    }
}

void xg_glx_drawables_drop(Display *dpy)
{
    for (;;) {
        struct xg_glx_drawable *d = NULL;
        pthread_mutex_lock(&drawables_lock);
        for (struct xg_glx_drawable **at = &drawables; *at; at = &(*at)->next)
            if ((*at)->dpy == dpy) {
                d = *at;
                *at = d->next;
                break;
            }
        pthread_mutex_unlock(&drawables_lock);
        if (!d)
            return;
        atomic_store(&d->d->gone, true);
        drawable_free(d);
    }
}

static struct xg_glx_drawable *window_make(Display *dpy, XID window, XID xid, enum xg_glx_kind kind,
                                           const struct xg_glx_config *config, int *err)
{
    struct xg_glx_drawable *d = calloc(1, sizeof(*d));

    *err = -ENOMEM;
    if (!d)
        return NULL;
    *err = xg_wsi_window_new(XGetXCBConnection(dpy), DisplayString(dpy), (uint32_t)window,
                             config->host, config->double_buffered, config->srgb, &d->d);
    if (*err) {
        free(d);
        return NULL;
    }
    d->dpy = dpy;
    d->xid = xid;
    d->window = window;
    d->kind = kind;
    d->config = config;
    drawable_link(d);
    return d;
}

/* Adds a pbuffer or pixmap, with an X id of its own. */
static XID drawable_enter(Display *dpy, struct xg_glx_drawable *d, const struct xg_glx_config *c,
                          enum xg_glx_kind kind)
{
    d->d->double_buffered = c->double_buffered;
    d->dpy = dpy;
    d->xid = xcb_generate_id(XGetXCBConnection(dpy));
    d->kind = kind;
    d->config = c;
    drawable_link(d);
    return d->xid;
}

struct xg_glx_drawable *xg_glx_drawable_get(Display *dpy, XID xid, const struct xg_glx_context *c,
                                            int *error, bool *core)
{
    struct xg_glx_drawable *d = xg_glx_drawable_find(dpy, xid);
    const struct xg_glx_config *config = c->config;
    int err;

    if (d && d->kind == GLX_KIND_RAW && atomic_load_explicit(&d->d->gone, memory_order_relaxed))
        d = NULL; /* the id belongs to another window now */
    drawables_sweep();
    if (d)
        return d;
    if (!config) { /* a context without a configuration takes that of the window's visual */
        XWindowAttributes a;
        if (XGetWindowAttributes(dpy, xid, &a))
            config = xg_glx_config_of_visual(dpy, c->screen, XVisualIDFromVisual(a.visual));
    }
    d = config ? window_make(dpy, xid, xid, GLX_KIND_RAW, config, &err) : NULL;
    if (!d) {
        *core = config && err == -ENOMEM;
        *error = *core ? BadAlloc : GLXBadDrawable;
    }
    return d;
}

/* --- the calls -------------------------------------------------------------------------------- */

GLXWindow xg_glx_CreateWindow(Display *dpy, GLXFBConfig config, Window win, const int *attributes)
{
    const struct xg_glx_config *c = xg_glx_config_valid(dpy, config);
    struct xg_glx_drawable *d;
    int err;

    if (!c) {
        xg_glx_error(dpy, GLXBadFBConfig, 0, X_GLXCreateWindow, false);
        return None;
    }
    drawables_sweep();
    d = window_make(dpy, win, xcb_generate_id(XGetXCBConnection(dpy)), GLX_KIND_WINDOW, c, &err);
    if (!d)
        xg_glx_error(dpy, err == -EBADF ? BadWindow : BadAlloc, win, X_GLXCreateWindow, true);
    return d ? d->xid : None;
}

static void drawable_destroy(Display *dpy, XID xid, enum xg_glx_kind kind, int error, int minor)
{
    struct xg_glx_drawable *d = xg_glx_drawable_find(dpy, xid);

    if (!d || d->kind != kind || !drawable_unlink(d)) {
        xg_glx_error(dpy, error, xid, minor, false);
        return;
    }
    drawable_free(d);
}

void xg_glx_DestroyWindow(Display *dpy, GLXWindow window)
{
    drawable_destroy(dpy, window, GLX_KIND_WINDOW, GLXBadWindow, X_GLXDestroyWindow);
}

GLXPbuffer xg_glx_CreatePbuffer(Display *dpy, GLXFBConfig config, const int *a)
{
    const struct xg_glx_config *c = xg_glx_config_valid(dpy, config);
    const struct xg_wsi_host *host = xg_wsi_host();
    int width = 0, height = 0, largest = False, preserved = True, err = -ENOMEM;
    struct xg_glx_drawable *d;

    if (!c || !host) {
        xg_glx_error(dpy, GLXBadFBConfig, 0, X_GLXCreatePbuffer, false);
        return None;
    }
    for (; a && a[0] != None; a += 2) {
        if (a[0] == GLX_PBUFFER_WIDTH)
            width = a[1];
        else if (a[0] == GLX_PBUFFER_HEIGHT)
            height = a[1];
        else if (a[0] == GLX_LARGEST_PBUFFER)
            largest = a[1];
        else if (a[0] == GLX_PRESERVED_CONTENTS)
            preserved = a[1];
    }
    if (width < 0 || height < 0) {
        xg_glx_error(dpy, BadValue, 0, X_GLXCreatePbuffer, true);
        return None;
    }
    if (largest && width > (int)host->info.pbuffer_max_width)
        width = (int)host->info.pbuffer_max_width;
    if (largest && height > (int)host->info.pbuffer_max_height)
        height = (int)host->info.pbuffer_max_height;
    d = calloc(1, sizeof(*d));
    if (d)
        err = xg_wsi_pbuffer_new(c->host, (uint32_t)(width ? width : 1),
                                 (uint32_t)(height ? height : 1), c->srgb, &d->d);
    if (err) {
        free(d);
        xg_glx_error(dpy, BadAlloc, 0, X_GLXCreatePbuffer, true);
        return None;
    }
    d->largest = largest;
    d->preserved = preserved;
    return drawable_enter(dpy, d, c, GLX_KIND_PBUFFER);
}

void xg_glx_DestroyPbuffer(Display *dpy, GLXPbuffer pbuffer)
{
    drawable_destroy(dpy, pbuffer, GLX_KIND_PBUFFER, GLXBadPbuffer, X_GLXDestroyPbuffer);
}

static GLXPixmap pixmap_make(Display *dpy, const struct xg_glx_config *c, Pixmap pixmap, int minor)
{
    struct xg_glx_drawable *d = calloc(1, sizeof(*d));
    int err = -ENOMEM;

    if (d)
        err = xg_wsi_pixmap_new(XGetXCBConnection(dpy), DisplayString(dpy), (uint32_t)pixmap,
                                c->visual_depth, c->host, c->srgb, &d->d);
    if (err) {
        free(d);
        xg_glx_error(dpy,
                     err == -EBADF    ? BadPixmap
                     : err == -EINVAL ? BadMatch
                                      : BadAlloc,
                     pixmap, minor, true);
        return None;
    }
    d->window = pixmap;
    return drawable_enter(dpy, d, c, GLX_KIND_PIXMAP);
}

GLXPixmap xg_glx_CreatePixmap(Display *dpy, GLXFBConfig config, Pixmap pixmap,
                              const int *attributes)
{
    const struct xg_glx_config *c = xg_glx_config_valid(dpy, config);

    if (c)
        return pixmap_make(dpy, c, pixmap, X_GLXCreatePixmap);
    xg_glx_error(dpy, GLXBadFBConfig, 0, X_GLXCreatePixmap, false);
    return None;
}

void xg_glx_DestroyPixmap(Display *dpy, GLXPixmap pixmap)
{
    drawable_destroy(dpy, pixmap, GLX_KIND_PIXMAP, GLXBadPixmap, X_GLXDestroyPixmap);
}

GLXPixmap xg_glx_CreateGLXPixmap(Display *dpy, XVisualInfo *visual, Pixmap pixmap)
{
    const struct xg_glx_config *c = xg_glx_config_of_visual(dpy, visual->screen, visual->visualid);

    if (c)
        return pixmap_make(dpy, c, pixmap, X_GLXCreateGLXPixmap);
    xg_glx_error(dpy, BadValue, visual->visualid, X_GLXCreateGLXPixmap, true);
    return None;
}

void xg_glx_DestroyGLXPixmap(Display *dpy, GLXPixmap pixmap)
{
    drawable_destroy(dpy, pixmap, GLX_KIND_PIXMAP, GLXBadPixmap, X_GLXDestroyGLXPixmap);
}

void xg_glx_QueryDrawable(Display *dpy, GLXDrawable draw, int attribute, unsigned int *value)
{
    struct xg_glx_drawable *d = xg_glx_drawable_find(dpy, draw);
    uint32_t width, height;

    *value = 0;
    if (!d) {
        xg_glx_error(dpy, GLXBadDrawable, draw, X_GLXGetDrawableAttributes, false);
        return;
    }
    xg_wsi_drawable_size(d->d, &width, &height);
    switch (attribute) {
    case GLX_WIDTH: *value = width; break;
    case GLX_HEIGHT: *value = height; break;
    case GLX_PRESERVED_CONTENTS: *value = (unsigned)d->preserved; break;
    case GLX_LARGEST_PBUFFER: *value = (unsigned)d->largest; break;
    case GLX_FBCONFIG_ID: *value = (unsigned)d->config->id; break;
    case GLX_SWAP_INTERVAL_EXT: *value = d->d->swap_interval; break;
    case GLX_MAX_SWAP_INTERVAL_EXT: *value = xg_wsi_swap_interval_max(); break;
    }
}

void xg_glx_SelectEvent(Display *dpy, GLXDrawable draw, unsigned long mask)
{
    struct xg_glx_drawable *d = xg_glx_drawable_find(dpy, draw);
    if (d)
        d->events = mask; /* GLX_PBUFFER_CLOBBER never happens here */
    else
        xg_glx_error(dpy, GLXBadDrawable, draw, X_GLXChangeDrawableAttributes, false);
}

void xg_glx_GetSelectedEvent(Display *dpy, GLXDrawable draw, unsigned long *mask)
{
    struct xg_glx_drawable *d = xg_glx_drawable_find(dpy, draw);
    *mask = d ? d->events : 0;
    if (!d)
        xg_glx_error(dpy, GLXBadDrawable, draw, X_GLXGetDrawableAttributes, false);
}
