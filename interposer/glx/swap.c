/* Swapping, waiting, swap intervals. */
#include "interposer/glx/calls.h"

#include "interposer/glx/codes.h"

void xg_glx_SwapBuffers(Display *dpy, GLXDrawable draw)
{
    struct xg_glx_drawable *d = xg_glx_drawable_find(dpy, draw);

    if (!d) {
        xg_glx_error(dpy, GLXBadDrawable, draw, X_GLXSwapBuffers, false);
        return;
    }
    if (d->d->kind != XG_WSI_WINDOW)
        return;
    /* Frames come through another connection. What the program has said about the window so far
     * (above all that it is mapped) must reach the server before the first frame; before later
     * frames it must at least be sent. */
    if (!d->swapped)
        XSync(dpy, False);
    else
        xg_wsi_flush_display(dpy);
    d->swapped = true;
    xg_wsi_swap(d->d);
}

void xg_glx_WaitGL(void)
{
    struct xg_wsi_context *c = xg_wsi_current();
    void (*finish)(void) = (void (*)(void))xg_wsi_get_proc("glFinish");

    if (!c || !finish)
        return;
    finish();
    if (c->draw)
        xg_wsi_wait_shown(c->draw);
}

void xg_glx_WaitX(void)
{
    struct xg_glx_context *x = xg_glx_context_current();
    if (x)
        XSync(x->dpy, False);
}

/* --- swap intervals; a program that sets none is not slowed down ------------------------------ */

void xg_glx_SwapIntervalEXT(Display *dpy, GLXDrawable draw, int interval)
{
    struct xg_glx_drawable *d = xg_glx_drawable_find(dpy, draw);

    if (interval < 0)
        xg_glx_error(dpy, BadValue, 0, 0, true);
    else if (!d || d->d->kind != XG_WSI_WINDOW)
        xg_glx_error(dpy, BadWindow, draw, 0, true);
    else
        xg_wsi_swap_interval_set(d->d, (unsigned)interval);
}

/* Sets it for the current window. */
static int interval_set(int64_t interval)
{
    struct xg_wsi_context *c = xg_wsi_current();

    if (!c || !c->draw)
        return GLX_BAD_CONTEXT;
    if (interval < 0 || interval > xg_wsi_swap_interval_max())
        return GLX_BAD_VALUE;
    xg_wsi_swap_interval_set(c->draw, (unsigned)interval);
    return 0;
}

int xg_glx_SwapIntervalMESA(unsigned interval)
{
    return interval_set(interval);
}

/* 0, which the extension's text does not define, means no waiting, as everywhere else. */
int xg_glx_SwapIntervalSGI(int interval)
{
    return interval_set(interval);
}

int xg_glx_GetSwapIntervalMESA(void)
{
    struct xg_wsi_context *c = xg_wsi_current();
    return c && c->draw ? (int)c->draw->swap_interval : 0;
}
