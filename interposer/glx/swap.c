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
    if (d->kind == GLX_KIND_PBUFFER)
        return;
    /* Frames come through another connection: what the program has said of the window so far (that
     * it is mapped, above all) must have been said before the first, and is at least on its way
     * before the others. */
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

/* Nothing here knows the screen's refresh, so 0 is the one interval there is; others are refused,
 * not ignored. */

void xg_glx_SwapIntervalEXT(Display *dpy, GLXDrawable draw, int interval)
{
    struct xg_glx_drawable *d = xg_glx_drawable_find(dpy, draw);

    if (interval < 0)
        xg_glx_error(dpy, BadValue, 0, 0, true);
    else if (!d || d->kind == GLX_KIND_PBUFFER)
        xg_glx_error(dpy, BadWindow, draw, 0, true);
    /* A positive interval is clamped to GLX_MAX_SWAP_INTERVAL_EXT, which is 0. */
}

int xg_glx_SwapIntervalMESA(unsigned interval)
{
    if (!xg_wsi_current())
        return GLX_BAD_CONTEXT;
    return interval == 0 ? 0 : GLX_BAD_VALUE;
}

int xg_glx_GetSwapIntervalMESA(void)
{
    return 0;
}
