/*
 * Windows' sizes, from the application's own Xlib connection: Xlib calls our hook for every
 * ConfigureNotify that it reads, before the application sees it. So a window's new size is known
 * early enough, without asking the server.
 */
#include "interposer/wsi/internal.h"

#include <X11/Xlib-xcb.h>
#include <X11/Xlibint.h>
#include <signal.h>
#include <stdlib.h>

struct watch {
    struct watch *next;
    Display *dpy;
    Bool (*old)(Display *, XEvent *, xEvent *);
};

static pthread_mutex_t watches_lock = XG_LOCK_INITIALIZER; /* never held over a call into Xlib */
static struct watch *watches;

__attribute__((constructor)) static void fork_init(void)
{
    xg_wsi_fork_lock(&watches_lock);
}

static struct watch *watch_find(Display *dpy)
{
    pthread_mutex_lock(&watches_lock);
    struct watch *w = watches;
    while (w && w->dpy != dpy)
        w = w->next;
    pthread_mutex_unlock(&watches_lock);
    return w;
}

static Bool configure_hook(Display *dpy, XEvent *out, xEvent *wire)
{
    struct watch *w = watch_find(dpy);
    Bool got = w && w->old ? w->old(dpy, out, wire) : False;

    if (got && out->xconfigure.width > 0 && out->xconfigure.height > 0)
        xg_wsi_window_told(XGetXCBConnection(dpy), (uint32_t)out->xconfigure.window,
                           (uint32_t)out->xconfigure.width, (uint32_t)out->xconfigure.height);
    return got;
}

static int display_closed(Display *dpy, XExtCodes *codes)
{
    struct watch *w = NULL;

    pthread_mutex_lock(&watches_lock);
    for (struct watch **at = &watches; *at; at = &(*at)->next)
        if ((*at)->dpy == dpy) {
            w = *at;
            *at = w->next;
            break;
        }
    pthread_mutex_unlock(&watches_lock);
    free(w);
    return 0;
}

void xg_wsi_watch_display(struct _XDisplay *dpy)
{
    struct watch *w;
    XExtCodes *codes;

    if (watch_find(dpy) || !(codes = XAddExtension(dpy)) || !(w = calloc(1, sizeof(*w))))
        return;
    w->dpy = dpy;
    XESetCloseDisplay(dpy, codes->extension, display_closed);
    pthread_mutex_lock(&watches_lock);
    w->next = watches;
    watches = w;
    pthread_mutex_unlock(&watches_lock);
    w->old = XESetWireToEvent(dpy, ConfigureNotify, configure_hook);
}

void xg_wsi_flush_display(struct _XDisplay *dpy)
{
    sigset_t all, old;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    XFlush(dpy);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
}
