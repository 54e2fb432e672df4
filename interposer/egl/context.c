/* EGL contexts, and making them current. */
#include "interposer/egl/egl.h"

#include <errno.h>
#include <stdlib.h>

struct attributes {
    EGLint major, minor, profile, flags, reset, no_error;
    EGLBoolean robust, debug, forward;
};

/* EGL_SUCCESS, or an error. Attributes for desktop GL are refused for GL ES and the other way
 * round, as EGL 1.5 says. */
static EGLint attributes_parse(struct attributes *a, const EGLint *list, bool es)
{
    *a = (struct attributes){.major = 1,
                             .profile = EGL_CONTEXT_OPENGL_CORE_PROFILE_BIT,
                             .reset = EGL_NO_RESET_NOTIFICATION};
    for (; list && list[0] != EGL_NONE; list += 2) {
        EGLint v = list[1];
        switch (list[0]) {
        case EGL_CONTEXT_MAJOR_VERSION: a->major = v; break;
        case EGL_CONTEXT_MINOR_VERSION: a->minor = v; break;
        case EGL_CONTEXT_OPENGL_NO_ERROR_KHR: a->no_error = v; break;
        case EGL_CONTEXT_OPENGL_ROBUST_ACCESS: a->robust = v != 0; break;
        case EGL_CONTEXT_OPENGL_ROBUST_ACCESS_EXT: a->robust = v != 0; break;
        case EGL_CONTEXT_OPENGL_DEBUG: a->debug = v != 0; break;
        case EGL_CONTEXT_OPENGL_FORWARD_COMPATIBLE:
            if (es)
                return EGL_BAD_ATTRIBUTE;
            a->forward = v != 0;
            break;
        case EGL_CONTEXT_OPENGL_PROFILE_MASK:
            if (es)
                return EGL_BAD_ATTRIBUTE;
            a->profile = v;
            break;
        case EGL_CONTEXT_OPENGL_RESET_NOTIFICATION_STRATEGY:
        case EGL_CONTEXT_OPENGL_RESET_NOTIFICATION_STRATEGY_EXT:
            if (v != EGL_NO_RESET_NOTIFICATION && v != EGL_LOSE_CONTEXT_ON_RESET)
                return EGL_BAD_ATTRIBUTE;
            a->reset = v;
            break;
        case EGL_CONTEXT_FLAGS_KHR: a->flags = v; break;
        case EGL_CONTEXT_RELEASE_BEHAVIOR_KHR: /* "none" may be implemented by flushing */
            if (v != EGL_NONE && v != EGL_CONTEXT_RELEASE_BEHAVIOR_FLUSH_KHR)
                return EGL_BAD_ATTRIBUTE;
            break;
        default: return EGL_BAD_ATTRIBUTE;
        }
    }
    if (a->flags &
            ~(EGL_CONTEXT_OPENGL_DEBUG_BIT_KHR | EGL_CONTEXT_OPENGL_FORWARD_COMPATIBLE_BIT_KHR |
              EGL_CONTEXT_OPENGL_ROBUST_ACCESS_BIT_KHR) ||
        (es && a->flags & ~EGL_CONTEXT_OPENGL_DEBUG_BIT_KHR))
        return EGL_BAD_ATTRIBUTE;
    a->debug |= (a->flags & EGL_CONTEXT_OPENGL_DEBUG_BIT_KHR) != 0;
    a->forward |= (a->flags & EGL_CONTEXT_OPENGL_FORWARD_COMPATIBLE_BIT_KHR) != 0;
    a->robust |= (a->flags & EGL_CONTEXT_OPENGL_ROBUST_ACCESS_BIT_KHR) != 0;
    return EGL_SUCCESS;
}

static EGLint version_check(const struct attributes *a, bool es)
{
    static const int last[] = {0, 5, 1, 3, 6};
    static const int last_es[] = {0, 1, 0, 2};
    int majors = es ? (int)XG_ARRAY_LEN(last_es) : (int)XG_ARRAY_LEN(last);

    if (a->major < 1 || a->major >= majors || a->minor < 0 ||
        a->minor > (es ? last_es : last)[a->major])
        return EGL_BAD_MATCH;
    if (!es && a->major * 10 + a->minor >= 32 &&
        a->profile != EGL_CONTEXT_OPENGL_CORE_PROFILE_BIT &&
        a->profile != EGL_CONTEXT_OPENGL_COMPATIBILITY_PROFILE_BIT)
        return EGL_BAD_MATCH;
    if (a->no_error && (a->debug || a->robust))
        return EGL_BAD_MATCH;
    return EGL_SUCCESS;
}

static struct xg_wsi_context_create wish_of(const struct attributes *a, bool es)
{
    struct xg_wsi_context_create how = {.major = (uint32_t)a->major, .minor = (uint32_t)a->minor};
    bool core = a->major * 10 + a->minor >= 32 && a->profile == EGL_CONTEXT_OPENGL_CORE_PROFILE_BIT;

    how.api = es ? a->major == 1 ? XG_GL_ES1 : XG_GL_ES2 : core ? XG_GL_CORE : XG_GL_COMPAT;
    how.flags = (a->debug ? XG_WSI_CONTEXT_DEBUG : 0) | (a->forward ? XG_WSI_CONTEXT_FORWARD : 0) |
                (a->robust ? XG_WSI_CONTEXT_ROBUST_ACCESS : 0) |
                (a->reset == EGL_LOSE_CONTEXT_ON_RESET ? XG_WSI_CONTEXT_LOSE_ON_RESET : 0) |
                (a->no_error ? XG_WSI_CONTEXT_NO_ERROR : 0);
    return how;
}

static EGLint error_of(int err)
{
    switch (err) {
    case -ENOTSUP: return EGL_BAD_MATCH;
    case -EINVAL: return EGL_BAD_CONFIG;
    case -ENODEV: return EGL_CONTEXT_LOST;
    case -EACCES: return EGL_BAD_ACCESS;
    default: return EGL_BAD_ALLOC;
    }
}

EGLContext xg_egl_CreateContext(EGLDisplay dpy, EGLConfig config, EGLContext share,
                                const EGLint *list)
{
    struct xg_egl_display *d = xg_egl_display_ready(dpy);
    const struct xg_egl_config *c = NULL;
    struct xg_egl_context *s = NULL, *x;
    EGLenum api = xg_egl_exports->getCurrentApi();
    bool es = api == EGL_OPENGL_ES_API;
    struct attributes a;
    EGLint error = EGL_SUCCESS;

    if (!d || (config != EGL_NO_CONFIG_KHR && !(c = xg_egl_config_find(d, config))))
        return EGL_NO_CONTEXT;
    if (!c && !(xg_wsi_host()->info.flags & XG_WSI_INFO_NO_CONFIG))
        error = EGL_BAD_CONFIG;
    else if (share != EGL_NO_CONTEXT && !(s = xg_egl_object_get(d, share, XG_EGL_CONTEXT, false)))
        error = EGL_BAD_CONTEXT;
    if (error == EGL_SUCCESS)
        error = attributes_parse(&a, list, es);
    if (error == EGL_SUCCESS)
        error = version_check(&a, es);
    if (error == EGL_SUCCESS && s && s->api != api)
        error = EGL_BAD_MATCH;
    if (error != EGL_SUCCESS) {
        xg_egl_fail(error);
        return EGL_NO_CONTEXT;
    }
    x = calloc(1, sizeof(*x));
    int err = x ? xg_wsi_context_new(wish_of(&a, es), c ? c->host : NULL, s ? s->c : NULL, &x->c)
                : -ENOMEM;
    if (err) {
        free(x);
        xg_egl_fail(error_of(err));
        return EGL_NO_CONTEXT;
    }
    x->c->owner = x;
    x->display = d;
    x->config = c;
    x->api = api;
    x->version = a.major;
    EGLContext handle = xg_egl_object_add(d, &x->object, XG_EGL_CONTEXT);
    xg_egl_ok();
    return handle;
}

void xg_egl_context_drop(struct xg_egl_context *x)
{
    x->c->owner = NULL;
    xg_wsi_context_destroy(x->c);
    free(x);
}

EGLBoolean xg_egl_DestroyContext(EGLDisplay dpy, EGLContext context)
{
    struct xg_egl_display *d = xg_egl_display_ready(dpy);
    struct xg_egl_context *x = d ? xg_egl_object_get(d, context, XG_EGL_CONTEXT, true) : NULL;

    if (!d)
        return EGL_FALSE;
    if (!x)
        return xg_egl_fail(EGL_BAD_CONTEXT);
    xg_egl_context_drop(x);
    return xg_egl_ok();
}

EGLBoolean xg_egl_QueryContext(EGLDisplay dpy, EGLContext context, EGLint attribute, EGLint *value)
{
    struct xg_egl_display *d = xg_egl_display_ready(dpy);
    struct xg_egl_context *x = d ? xg_egl_object_get(d, context, XG_EGL_CONTEXT, false) : NULL;

    if (!d)
        return EGL_FALSE;
    if (!x)
        return xg_egl_fail(EGL_BAD_CONTEXT);
    if (!value)
        return xg_egl_fail(EGL_BAD_PARAMETER);
    switch (attribute) {
    case EGL_CONFIG_ID: *value = x->config ? x->config->id : 0; break;
    case EGL_CONTEXT_CLIENT_TYPE: *value = (EGLint)x->api; break;
    case EGL_CONTEXT_CLIENT_VERSION: *value = x->version; break;
    case EGL_RENDER_BUFFER:
        *value = !x->c->draw ? EGL_NONE
                 : x->c->draw->kind == XG_WSI_PBUFFER || x->c->draw->double_buffered
                     ? EGL_BACK_BUFFER
                     : EGL_SINGLE_BUFFER;
        break;
    default: return xg_egl_fail(EGL_BAD_ATTRIBUTE);
    }
    return xg_egl_ok();
}

/* --- current ---------------------------------------------------------------------------------- */

EGLBoolean xg_egl_MakeCurrent(EGLDisplay dpy, EGLSurface draw, EGLSurface read, EGLContext context)
{
    struct xg_egl_display *d = xg_egl_display_find(dpy);
    struct xg_egl_surface *f = NULL, *g = NULL;
    struct xg_egl_context *x;

    if (!d)
        return EGL_FALSE;
    if (context == EGL_NO_CONTEXT) {
        if (draw != EGL_NO_SURFACE || read != EGL_NO_SURFACE)
            return xg_egl_fail(EGL_BAD_MATCH);
        xg_wsi_make_current(NULL, NULL, NULL);
        return xg_egl_ok();
    }
    if (!d->initialized)
        return xg_egl_fail(EGL_NOT_INITIALIZED);
    if (!(x = xg_egl_object_get(d, context, XG_EGL_CONTEXT, false)))
        return xg_egl_fail(EGL_BAD_CONTEXT);
    if ((draw != EGL_NO_SURFACE && !(f = xg_egl_object_get(d, draw, XG_EGL_SURFACE, false))) ||
        (read != EGL_NO_SURFACE && !(g = xg_egl_object_get(d, read, XG_EGL_SURFACE, false))))
        return xg_egl_fail(EGL_BAD_SURFACE);
    if (!f != !g || (f && (!xg_wsi_compatible(x->c, f->d) || !xg_wsi_compatible(x->c, g->d))))
        return xg_egl_fail(EGL_BAD_MATCH);
    if ((f && atomic_load(&f->d->gone)) || (g && atomic_load(&g->d->gone)))
        return xg_egl_fail(EGL_BAD_NATIVE_WINDOW);
    int err = xg_wsi_make_current(x->c, f ? f->d : NULL, g ? g->d : NULL);
    if (err && (err != -ENODEV || xg_wsi_lost()))
        return xg_egl_fail(error_of(err));
    return xg_egl_ok();
}

EGLBoolean xg_egl_ReleaseThread(void)
{
    xg_wsi_make_current(NULL, NULL, NULL);
    return xg_egl_ok();
}

EGLBoolean xg_egl_WaitClient(void)
{
    struct xg_wsi_context *c = xg_wsi_current();
    void (*finish)(void) = (void (*)(void))xg_wsi_get_proc("glFinish");

    if (c && finish) {
        finish();
        if (c->draw)
            xg_wsi_wait_shown(c->draw);
    }
    return xg_egl_ok();
}

EGLBoolean xg_egl_WaitGL(void)
{
    return xg_egl_WaitClient();
}

EGLBoolean xg_egl_WaitNative(EGLint engine)
{
    struct xg_wsi_context *c = xg_wsi_current();
    struct xg_egl_context *x = c ? c->owner : NULL;

    if (engine != EGL_CORE_NATIVE_ENGINE)
        return xg_egl_fail(EGL_BAD_PARAMETER);
    if (x && x->display->x)
        free(xcb_get_input_focus_reply(x->display->x, xcb_get_input_focus(x->display->x), NULL));
    return xg_egl_ok();
}
