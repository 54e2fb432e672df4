/* EGL fences. Images are not offered. */
#include "interposer/egl/egl.h"

#include <errno.h>
#include <stdlib.h>

EGLSync xg_egl_CreateSync(EGLDisplay dpy, EGLenum type, const EGLAttrib *list)
{
    struct xg_egl_display *d = xg_egl_display_ready(dpy);
    struct xg_egl_sync *y;

    if (!d)
        return EGL_NO_SYNC;
    if (type != EGL_SYNC_FENCE || (list && list[0] != EGL_NONE)) {
        xg_egl_fail(EGL_BAD_ATTRIBUTE);
        return EGL_NO_SYNC;
    }
    if (!xg_wsi_current() || !(xg_wsi_host()->info.flags & XG_WSI_INFO_SYNC)) {
        xg_egl_fail(EGL_BAD_MATCH);
        return EGL_NO_SYNC;
    }
    y = calloc(1, sizeof(*y));
    if (y)
        y->y = xg_wsi_sync_new();
    if (!y || !y->y) {
        free(y);
        xg_egl_fail(EGL_BAD_ALLOC);
        return EGL_NO_SYNC;
    }
    EGLSync handle = xg_egl_object_add(d, &y->object, XG_EGL_SYNC);
    xg_egl_ok();
    return handle;
}

EGLSync xg_egl_CreateSyncKHR(EGLDisplay dpy, EGLenum type, const EGLint *list)
{
    const EGLAttrib some[] = {
        0, 0, EGL_NONE}; /* no attribute is allowed, so only the presence of one matters */
    return xg_egl_CreateSync(dpy, type, list && list[0] != EGL_NONE ? some : NULL);
}

static struct xg_egl_sync *sync_get(EGLDisplay dpy, EGLSync sync, bool take)
{
    struct xg_egl_display *d = xg_egl_display_ready(dpy);
    struct xg_egl_sync *y = d ? xg_egl_object_get(d, sync, XG_EGL_SYNC, take) : NULL;

    if (d && !y)
        xg_egl_fail(EGL_BAD_PARAMETER);
    return y;
}

void xg_egl_sync_drop(struct xg_egl_sync *y)
{
    xg_wsi_sync_free(y->y);
    free(y);
}

EGLBoolean xg_egl_DestroySync(EGLDisplay dpy, EGLSync sync)
{
    struct xg_egl_sync *y = sync_get(dpy, sync, true);

    if (!y)
        return EGL_FALSE;
    xg_egl_sync_drop(y);
    return xg_egl_ok();
}

EGLint xg_egl_ClientWaitSync(EGLDisplay dpy, EGLSync sync, EGLint flags, EGLTime timeout)
{
    struct xg_egl_sync *y = sync_get(dpy, sync, false);

    if (!y)
        return EGL_FALSE;
    int err =
        y->signalled ? 0 : xg_wsi_sync_wait(y->y, flags & EGL_SYNC_FLUSH_COMMANDS_BIT, timeout);
    /* the channel is lost: nothing will be drawn any more, and nobody may wait for it */
    if (err == -ENODEV)
        err = 0;
    if (err && err != -ETIME) {
        xg_egl_fail(EGL_BAD_PARAMETER);
        return EGL_FALSE;
    }
    y->signalled = err == 0;
    xg_egl_ok();
    return err ? EGL_TIMEOUT_EXPIRED : EGL_CONDITION_SATISFIED;
}

EGLBoolean xg_egl_WaitSync(EGLDisplay dpy, EGLSync sync, EGLint flags)
{
    struct xg_egl_sync *y = sync_get(dpy, sync, false);

    if (!y)
        return EGL_FALSE;
    if (!xg_wsi_current())
        return xg_egl_fail(EGL_BAD_MATCH);
    if (flags)
        return xg_egl_fail(EGL_BAD_PARAMETER);
    xg_wsi_sync_server_wait(y->y);
    return xg_egl_ok();
}

EGLint xg_egl_WaitSyncKHR(EGLDisplay dpy, EGLSync sync, EGLint flags)
{
    return (EGLint)xg_egl_WaitSync(dpy, sync, flags);
}

EGLBoolean xg_egl_GetSyncAttrib(EGLDisplay dpy, EGLSync sync, EGLint attribute, EGLAttrib *value)
{
    struct xg_egl_sync *y = sync_get(dpy, sync, false);

    if (!y)
        return EGL_FALSE;
    if (!value)
        return xg_egl_fail(EGL_BAD_PARAMETER);
    switch (attribute) {
    case EGL_SYNC_TYPE: *value = EGL_SYNC_FENCE; break;
    case EGL_SYNC_CONDITION: *value = EGL_SYNC_PRIOR_COMMANDS_COMPLETE; break;
    case EGL_SYNC_STATUS:
        if (!y->signalled)
            y->signalled = xg_wsi_sync_wait(y->y, false, 0) != -ETIME;
        *value = y->signalled ? EGL_SIGNALED : EGL_UNSIGNALED;
        break;
    default: return xg_egl_fail(EGL_BAD_ATTRIBUTE);
    }
    return xg_egl_ok();
}

EGLBoolean xg_egl_GetSyncAttribKHR(EGLDisplay dpy, EGLSync sync, EGLint attribute, EGLint *value)
{
    EGLAttrib wide = 0;
    EGLBoolean ok = xg_egl_GetSyncAttrib(dpy, sync, attribute, value ? &wide : NULL);
    if (ok)
        *value = (EGLint)wide;
    return ok;
}

EGLImage xg_egl_CreateImage(EGLDisplay dpy, EGLContext context, EGLenum target,
                            EGLClientBuffer buffer, const EGLAttrib *list)
{
    if (xg_egl_display_ready(dpy))
        xg_egl_fail(EGL_BAD_PARAMETER); /* a target that is not supported */
    return EGL_NO_IMAGE;
}

EGLBoolean xg_egl_DestroyImage(EGLDisplay dpy, EGLImage image)
{
    return xg_egl_display_ready(dpy) ? xg_egl_fail(EGL_BAD_PARAMETER) : EGL_FALSE;
}
