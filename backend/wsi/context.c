/* Host contexts, and which one is current on a ring. */
#include "backend/wsi/wsi.h"

#include <errno.h>
#include <stdlib.h>

struct wsi_ring *xg_wsir_ring_get(struct xg_worker_ring *r)
{
    struct wsi_ring *w = r->api[XG_API_WSI];
    if (!w) {
        w = calloc(1, sizeof(*w));
        if (w)
            w->helper = EGL_NO_CONTEXT;
        r->api[XG_API_WSI] = w;
    }
    return w;
}

static bool context_api_valid(const struct xg_wsi_context_create *c)
{
    return c->api <= XG_GL_ES2 && !(c->flags & ~XG_WSI_CONTEXT_FLAGS) && c->major < 16 &&
           c->minor < 16 && c->reserved == 0;
}

/* Selects the API for which eglCreateContext makes a context, eglMakeCurrent releases one, and a
 * fence is made. */
EGLBoolean xg_wsir_api_bind(struct wsi_state *s, enum xg_gl_api api)
{
    return s->egl.BindAPI(api >= XG_GL_ES1 ? EGL_OPENGL_ES_API : EGL_OPENGL_API);
}

EGLContext xg_wsir_context_make(struct wsi_state *s, const struct xg_wsi_context_create *c,
                                EGLConfig config, EGLContext share)
{
    bool es = c->api >= XG_GL_ES1;
    EGLint a[24];
    unsigned n = 0;

#define PUT(name, value) (a[n++] = (name), a[n++] = (EGLint)(value))
    PUT(EGL_CONTEXT_MAJOR_VERSION_KHR, c->major);
    PUT(EGL_CONTEXT_MINOR_VERSION_KHR, c->minor);
    if (!es && c->major * 10 + c->minor >= 32)
        PUT(EGL_CONTEXT_OPENGL_PROFILE_MASK_KHR,
            c->api == XG_GL_CORE ? EGL_CONTEXT_OPENGL_CORE_PROFILE_BIT_KHR
                                 : EGL_CONTEXT_OPENGL_COMPATIBILITY_PROFILE_BIT_KHR);
    EGLint flags =
        (c->flags & XG_WSI_CONTEXT_DEBUG ? EGL_CONTEXT_OPENGL_DEBUG_BIT_KHR : 0) |
        (c->flags & XG_WSI_CONTEXT_FORWARD ? EGL_CONTEXT_OPENGL_FORWARD_COMPATIBLE_BIT_KHR : 0) |
        (!es && c->flags & XG_WSI_CONTEXT_ROBUST_ACCESS ? EGL_CONTEXT_OPENGL_ROBUST_ACCESS_BIT_KHR
                                                        : 0);
    if (flags)
        PUT(EGL_CONTEXT_FLAGS_KHR, flags);
    if (es && c->flags & XG_WSI_CONTEXT_ROBUST_ACCESS)
        PUT(EGL_CONTEXT_OPENGL_ROBUST_ACCESS_EXT, EGL_TRUE);
    if (c->flags & XG_WSI_CONTEXT_LOSE_ON_RESET) {
        if (es)
            PUT(EGL_CONTEXT_OPENGL_RESET_NOTIFICATION_STRATEGY_EXT, EGL_LOSE_CONTEXT_ON_RESET_EXT);
        else
            PUT(EGL_CONTEXT_OPENGL_RESET_NOTIFICATION_STRATEGY_KHR, EGL_LOSE_CONTEXT_ON_RESET_KHR);
    }
    if (c->flags & XG_WSI_CONTEXT_NO_ERROR)
        PUT(EGL_CONTEXT_OPENGL_NO_ERROR_KHR, EGL_TRUE);
    a[n] = EGL_NONE;
#undef PUT
    if (!xg_wsir_api_bind(s, (enum xg_gl_api)c->api))
        return EGL_NO_CONTEXT;
    return s->egl.CreateContext(s->display, config, share, a);
}

static int error_of_egl(EGLint error)
{
    switch (error) {
    case EGL_BAD_ALLOC: return -ENOMEM;
    case EGL_BAD_MATCH:
    case EGL_BAD_CONFIG:
    case EGL_BAD_ATTRIBUTE: return -ENOTSUP;
    default: return -EINVAL;
    }
}

/* With robust access, whether the guest wants it or not: then the driver must catch draws and
 * shaders that reach beyond their buffers. */
static EGLContext robust_make(struct wsi_state *s, const struct xg_wsi_context_create *c,
                              EGLConfig config, struct wsi_context *share, struct wsi_context *x)
{
    const uint32_t chosen = XG_WSI_CONTEXT_ROBUST_ACCESS | XG_WSI_CONTEXT_NO_ERROR;
    EGLContext shared = share ? share->egl : EGL_NO_CONTEXT, made = EGL_NO_CONTEXT;
    struct xg_wsi_context_create robust = *c;

    robust.flags |= XG_WSI_CONTEXT_ROBUST_ACCESS;
    if (s->info.flags & XG_WSI_INFO_ROBUST && !(c->flags & chosen))
        made = xg_wsir_context_make(s, &robust, config, shared);
    xg_glr_context_robust(x->glr, made != EGL_NO_CONTEXT);
    return made != EGL_NO_CONTEXT ? made : xg_wsir_context_make(s, c, config, shared);
}

int xg_wsir_context_create(struct xg_worker_ring *r, struct wsi_state *s,
                           const struct xg_wsi_context_create *c)
{
    EGLConfig config = NULL; /* EGL_NO_CONFIG_KHR */
    struct wsi_context *share = NULL, *x;
    int err;

    if (!context_api_valid(c) || c->context == 0)
        return -EINVAL;
    if (c->config ? !xg_wsir_config_find(s, c->config, &config)
                  : !(s->info.flags & XG_WSI_INFO_NO_CONFIG))
        return -EINVAL;
    x = calloc(1, sizeof(*x));
    if (!x)
        return -ENOMEM;
    x->api = c->api;

    pthread_mutex_lock(&s->lock);
    err = -EINVAL;
    if (c->share && !(share = xg_table_get(&s->contexts, c->share)))
        goto out;
    x->glr = xg_glr_context_new(s->worker, (enum xg_gl_api)c->api, share ? share->glr : NULL);
    err = -ENOMEM;
    if (!x->glr)
        goto out;
    x->egl = robust_make(s, c, config, share, x);
    if (x->egl == EGL_NO_CONTEXT) {
        err = error_of_egl(s->egl.GetError());
        goto out;
    }
    err = xg_table_set(&s->contexts, c->context, x);
    if (err)
        goto out;
    pthread_mutex_unlock(&s->lock);
    return 0;
out:
    pthread_mutex_unlock(&s->lock);
    xg_wsir_context_free(s, x);
    return err;
}

void xg_wsir_context_free(struct wsi_state *s, struct wsi_context *c)
{
    if (c->glr)
        xg_glr_context_free(c->glr);
    if (c->egl != EGL_NO_CONTEXT)
        s->egl.DestroyContext(s->display, c->egl);
    free(c);
}

void xg_wsir_context_destroy(struct xg_worker_ring *r, struct wsi_state *s,
                             const struct xg_wsi_context_destroy *a, struct xg_reader *rd)
{
    struct wsi_ring *w = r->api[XG_API_WSI];

    pthread_mutex_lock(&s->lock);
    struct wsi_context *c = xg_table_get(&s->contexts, a->context);
    bool here = c && w && w->context == c;
    bool elsewhere = c && c->ring && !here;
    if (c && !elsewhere)
        xg_table_remove(&s->contexts, a->context);
    pthread_mutex_unlock(&s->lock);
    if (!c || elsewhere) {
        xg_reader_fail(rd, c ? "destroys a context that is current on another ring"
                             : "unknown context");
        return;
    }
    if (here)
        xg_wsir_release(r, s);
    xg_wsir_context_free(s, c);
}

/* --- current ---------------------------------------------------------------------------------- */

/* Under the lock, like the next function. */
static void surface_enter(struct wsi_surface *f, uint32_t ring)
{
    if (!f)
        return;
    f->ring = ring;
    f->refs++;
}

/* Changes the ring's record of what is current to these objects. */
static void ring_bind(struct wsi_state *s, struct wsi_ring *w, uint32_t ring, struct wsi_context *c,
                      struct wsi_surface *draw, struct wsi_surface *read)
{
    struct wsi_context *old = w->context;
    struct wsi_surface *old_draw = w->draw, *old_read = w->read;

    if (old)
        old->ring = 0;
    if (old_draw)
        old_draw->ring = 0;
    if (old_read)
        old_read->ring = 0;
    w->context = c;
    w->draw = draw;
    w->read = read;
    if (c)
        c->ring = ring;
    surface_enter(draw, ring);
    surface_enter(read, ring);
    if (old_draw)
        xg_wsir_surface_unref(s, old_draw);
    if (old_read)
        xg_wsir_surface_unref(s, old_read);
}

void xg_wsir_release(struct xg_worker_ring *r, struct wsi_state *s)
{
    struct wsi_ring *w = r->api[XG_API_WSI];

    if (!w || !w->context)
        return;
    xg_wsir_frames_poll(r, s, true);
    xg_glr_make_current(r, NULL, XG_GLR_WINDOW_AS_IS);
    xg_wsir_api_bind(s, w->context->api);
    s->egl.MakeCurrent(s->display, EGL_NO_SURFACE, EGL_NO_SURFACE, EGL_NO_CONTEXT);
    pthread_mutex_lock(&s->lock);
    ring_bind(s, w, 0, NULL, NULL, NULL);
    pthread_mutex_unlock(&s->lock);
}

static bool bound_elsewhere(uint32_t where, uint32_t here)
{
    return where != 0 && where != here;
}

/* Finds the objects that `m` names, and checks that they may become current on this ring. Under the
 * lock. */
static const char *make_current_check(struct wsi_state *s, const struct xg_wsi_make_current *m,
                                      uint32_t here, struct wsi_context **c,
                                      struct wsi_surface **draw, struct wsi_surface **read)
{
    *c = xg_table_get(&s->contexts, m->context);
    *draw = m->draw ? xg_table_get(&s->surfaces, m->draw) : NULL;
    *read = m->read ? xg_table_get(&s->surfaces, m->read) : NULL;
    if (!*c || (m->draw && !*draw) || (m->read && !*read))
        return "unknown context or surface";
    if (!*draw != !*read || (!*draw && !(s->info.flags & XG_WSI_INFO_SURFACELESS)))
        return "a context needs both surfaces";
    if (bound_elsewhere((*c)->ring, here) || (*draw && bound_elsewhere((*draw)->ring, here)) ||
        (*read && bound_elsewhere((*read)->ring, here)))
        return "a context or surface is current on another ring";
    return NULL;
}

static enum xg_glr_window window_of(const struct wsi_state *s, const struct wsi_context *c,
                                    const struct wsi_surface *draw)
{
    /* GL ES itself calls the only buffer of a pbuffer GL_BACK */
    if (!draw || c->api >= XG_GL_ES1 || draw->flags & XG_WSI_SURFACE_PBUFFER)
        return XG_GLR_WINDOW_AS_IS;
    if (draw->flags & XG_WSI_SURFACE_DOUBLE)
        return s->pbuffer_is_back ? XG_GLR_WINDOW_DOUBLE_ON_BACK : XG_GLR_WINDOW_DOUBLE_ON_FRONT;
    return s->pbuffer_is_back ? XG_GLR_WINDOW_SINGLE_ON_BACK : XG_GLR_WINDOW_AS_IS;
}

void xg_wsir_make_current(struct xg_worker_ring *r, struct wsi_state *s,
                          const struct xg_wsi_make_current *m, struct xg_reader *rd)
{
    struct wsi_ring *w = xg_wsir_ring_get(r);
    struct wsi_context *c;
    struct wsi_surface *draw, *read;
    const char *why;

    if (!w) {
        xg_reader_fail(rd, "no memory");
        return;
    }
    xg_wsir_submitted(r); /* releasing a context flushes it */
    if (m->context == 0) {
        xg_wsir_release(r, s);
        return;
    }
    xg_wsir_frames_poll(r, s, true);
    pthread_mutex_lock(&s->lock);
    why = make_current_check(s, m, r->index + 1, &c, &draw, &read);
    if (!why)
        ring_bind(s, w, r->index + 1, c, draw, read);
    pthread_mutex_unlock(&s->lock);
    if (why) {
        xg_reader_fail(rd, why);
        return;
    }
    xg_wsir_api_bind(s, c->api);
    if (!s->egl.MakeCurrent(s->display, draw ? draw->egl : EGL_NO_SURFACE,
                            read ? read->egl : EGL_NO_SURFACE, c->egl)) {
        xg_worker_log(s->worker, "eglMakeCurrent failed: 0x%x", s->egl.GetError());
        xg_reader_fail(rd, "the context does not match the surface");
        return;
    }
    xg_glr_make_current(r, c->glr, window_of(s, c, draw));
}
