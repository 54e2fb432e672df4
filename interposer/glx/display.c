/* State of an X connection, and X errors. */
#include "interposer/glx/glx.h"

#include <X11/Xlibint.h>
#include <stdlib.h>

static pthread_mutex_t displays_lock =
    XG_LOCK_INITIALIZER; /* never held over a call into Xlib that takes the display's lock */
static struct xg_glx_display *displays;

__attribute__((constructor)) static void fork_init(void)
{
    xg_wsi_fork_lock(&displays_lock);
}

static int display_closed(Display *dpy, XExtCodes *codes)
{
    struct xg_glx_display *d = NULL;

    xg_glx_drawables_drop(dpy);
    pthread_mutex_lock(&displays_lock);
    for (struct xg_glx_display **at = &displays; *at; at = &(*at)->next)
        if ((*at)->dpy == dpy) {
            d = *at;
            *at = d->next;
            break;
        }
    pthread_mutex_unlock(&displays_lock);
    if (d)
        free(d->screens); /* the screens themselves and their configurations are never freed */
    free(d);
    return 0;
}

static struct xg_glx_display *display_find(Display *dpy)
{
    pthread_mutex_lock(&displays_lock);
    struct xg_glx_display *d = displays;
    while (d && d->dpy != dpy)
        d = d->next;
    pthread_mutex_unlock(&displays_lock);
    return d;
}

struct xg_glx_display *xg_glx_display_get(Display *dpy)
{
    struct xg_glx_display *d = dpy ? display_find(dpy) : NULL;
    XExtCodes *codes;
    int event;

    if (d || !dpy)
        return d;
    d = calloc(1, sizeof(*d));
    if (!d)
        return NULL;
    d->dpy = dpy;
    d->screen_count = ScreenCount(dpy);
    d->screens = calloc((size_t)d->screen_count, sizeof(*d->screens));
    if (!d->screens || !(codes = XAddExtension(dpy))) {
        free(d->screens);
        free(d);
        return NULL;
    }
    if (!XQueryExtension(dpy, "GLX", &d->xg_glx_opcode, &event, &d->xg_glx_error))
        d->xg_glx_opcode = d->xg_glx_error = -1;
    XESetCloseDisplay(dpy, codes->extension, display_closed);
    pthread_mutex_lock(&displays_lock);
    d->next = displays;
    displays = d;
    pthread_mutex_unlock(&displays_lock);
    xg_wsi_watch_display(dpy);
    return d;
}

struct xg_glx_screen *xg_glx_screen_get(Display *dpy, int screen)
{
    struct xg_glx_display *d = xg_glx_display_get(dpy);

    if (!d || screen < 0 || screen >= d->screen_count || !xg_wsi_host())
        return NULL;
    if (!d->screens[screen]) {
        struct xg_glx_screen *s = xg_glx_screen_build(dpy, screen);
        pthread_mutex_lock(&displays_lock);
        if (!d->screens[screen])
            d->screens[screen] = s; /* otherwise another thread was faster, and ours stays unused */
        pthread_mutex_unlock(&displays_lock);
    }
    return d->screens[screen];
}

void xg_glx_error(Display *dpy, int code, XID resource, int minor, bool core)
{
    struct xg_glx_display *d = xg_glx_display_get(dpy);
    xError e = {0};

    if (!d || (d->xg_glx_error < 0 && !core))
        return; /* a server without GLX has no such error; then only the call's result tells */
    LockDisplay(dpy);
    e.type = X_Error;
    e.errorCode = (CARD8)(core ? code : code + d->xg_glx_error);
    e.sequenceNumber = (CARD16)dpy->request;
    e.resourceID = (CARD32)resource;
    e.minorCode = (CARD16)minor;
    e.majorCode = (CARD8)(d->xg_glx_opcode > 0 ? d->xg_glx_opcode : 0);
    _XError(dpy, &e);
    UnlockDisplay(dpy);
}
