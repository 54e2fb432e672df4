/* GLX contexts. */
#include "interposer/glx/calls.h"

#include "interposer/glx/codes.h"

#include <X11/Xlib-xcb.h>
#include <errno.h>
#include <stdlib.h>

static pthread_mutex_t contexts_lock = XG_LOCK_INITIALIZER; /* never held over a call into Xlib */
static struct xg_glx_context *contexts;

__attribute__((constructor)) static void fork_init(void)
{
    xg_wsi_fork_lock(&contexts_lock);
}

bool xg_glx_context_valid(GLXContext context)
{
    pthread_mutex_lock(&contexts_lock);
    struct xg_glx_context *x = contexts;
    while (x && x != (struct xg_glx_context *)context)
        x = x->next;
    bool valid = x && !x->destroyed;
    pthread_mutex_unlock(&contexts_lock);
    return valid;
}

struct xg_glx_context *xg_glx_context_current(void)
{
    struct xg_wsi_context *c = xg_wsi_current();
    return c ? c->owner : NULL;
}

/* The GL context is freed: it was destroyed, and no thread has it current any more. */
static void context_gone(void *owner)
{
    pthread_mutex_lock(&contexts_lock);
    struct xg_glx_context **at = &contexts;
    while (*at && *at != owner)
        at = &(*at)->next;
    if (*at)
        *at = (*at)->next;
    pthread_mutex_unlock(&contexts_lock);
    free(owner);
}

struct context_wish {
    struct xg_wsi_context_create how;
    const struct xg_glx_config *config;
    int screen, render_type;
};

static GLXContext context_make(Display *dpy, const struct context_wish *w, GLXContext share,
                               int *error, bool *core)
{
    struct xg_glx_context *s = (struct xg_glx_context *)share, *x;
    int err;

    *core = false;
    if (share && !xg_glx_context_valid(share)) {
        *error = GLXBadContext;
        return NULL;
    }
    *core = true;
    *error = BadAlloc;
    x = calloc(1, sizeof(*x));
    if (!x)
        return NULL;
    err = xg_wsi_context_new(w->how, w->config ? w->config->host : NULL, s ? s->c : NULL, &x->c);
    if (err) {
        free(x);
        if (err == -ENOTSUP || err == -EINVAL)
            *error = BadMatch;
        return NULL;
    }
    x->c->owner = x;
    x->c->gone = context_gone;
    x->dpy = dpy;
    x->config = w->config;
    x->screen = w->screen;
    x->render_type = w->render_type;
    x->id = xcb_generate_id(XGetXCBConnection(dpy));
    /* From version 3.0 on. A context that asks for less gets the highest compatible version. */
    x->may_be_surfaceless = w->how.major >= 3 || w->how.api == XG_GL_ES2 ||
                            (w->how.api == XG_GL_COMPAT && xg_wsi_host()->info.gl_compat >= 30);
    pthread_mutex_lock(&contexts_lock);
    x->next = contexts;
    contexts = x;
    pthread_mutex_unlock(&contexts_lock);
    return (GLXContext)x;
}

GLXContext xg_glx_CreateContext(Display *dpy, XVisualInfo *vis, GLXContext share, Bool direct)
{
    struct context_wish w = {.how = {.api = XG_GL_COMPAT, .major = 1},
                             .render_type = GLX_RGBA_TYPE};
    int error = BadValue;
    bool core = true;
    GLXContext x = NULL;

    w.screen = vis->screen;
    w.config = xg_glx_config_of_visual(dpy, vis->screen, vis->visualid);
    if (w.config)
        x = context_make(dpy, &w, share, &error, &core);
    if (!x)
        xg_glx_error(dpy, error, vis->visualid, X_GLXCreateContext, core);
    return x;
}

GLXContext xg_glx_CreateNewContext(Display *dpy, GLXFBConfig config, int type, GLXContext share,
                                   Bool direct)
{
    struct context_wish w = {.how = {.api = XG_GL_COMPAT, .major = 1}, .render_type = type};
    int error = GLXBadFBConfig;
    bool core = false;
    GLXContext x = NULL;

    w.config = xg_glx_config_valid(dpy, config);
    if (w.config && type != GLX_RGBA_TYPE) {
        core = true;
        error = BadValue;
    } else if (w.config) {
        w.screen = w.config->screen;
        x = context_make(dpy, &w, share, &error, &core);
    }
    if (!x)
        xg_glx_error(dpy, error, 0, X_GLXCreateNewContext, core);
    return x;
}

/* --- glXCreateContextAttribsARB --------------------------------------------------------------- */

struct attribs {
    int major, minor, flags, profile, reset, render_type, no_error, screen;
    bool profile_given;
};

/* 0, or the core error. */
static int attribs_parse(struct attribs *a, const int *list)
{
    *a = (struct attribs){.major = 1,
                          .profile = GLX_CONTEXT_CORE_PROFILE_BIT_ARB,
                          .reset = GLX_NO_RESET_NOTIFICATION_ARB,
                          .render_type = GLX_RGBA_TYPE};
    for (; list && list[0] != None; list += 2) {
        int v = list[1];
        switch (list[0]) {
        case GLX_CONTEXT_MAJOR_VERSION_ARB: a->major = v; break;
        case GLX_CONTEXT_MINOR_VERSION_ARB: a->minor = v; break;
        case GLX_CONTEXT_FLAGS_ARB: a->flags = v; break;
        case GLX_CONTEXT_PROFILE_MASK_ARB:
            a->profile = v;
            a->profile_given = true;
            break;
        case GLX_CONTEXT_RESET_NOTIFICATION_STRATEGY_ARB: a->reset = v; break;
        case GLX_RENDER_TYPE: a->render_type = v; break;
        case GLX_CONTEXT_OPENGL_NO_ERROR_ARB: a->no_error = v; break;
        case GLX_CONTEXT_RELEASE_BEHAVIOR_ARB:
            if (v != GLX_CONTEXT_RELEASE_BEHAVIOR_FLUSH_ARB &&
                v != GLX_CONTEXT_RELEASE_BEHAVIOR_NONE_ARB)
                return BadValue;
            break; /* "none" may be implemented by flushing */
        case GLX_SCREEN: a->screen = v; break;
        default: return BadValue;
        }
    }
    return 0;
}

static bool gl_version_exists(int major, int minor)
{
    static const int last[] = {0, 5, 1, 3, 6}; /* the last minor versions: 1.5, 2.1, 3.3, 4.6 */
    return major >= 1 && major <= 4 && minor >= 0 && minor <= last[major];
}

static bool es_version_exists(int major, int minor)
{
    return (major == 1 && (minor == 0 || minor == 1)) || (major == 2 && minor == 0) ||
           (major == 3 && minor >= 0 && minor <= 2);
}

#define FLAGS_KNOWN                                                                                \
    (GLX_CONTEXT_DEBUG_BIT_ARB | GLX_CONTEXT_FORWARD_COMPATIBLE_BIT_ARB |                          \
     GLX_CONTEXT_ROBUST_ACCESS_BIT_ARB)

/* 0, or an error; *core: whether it is a core error. The errors are those of ARB_create_context and
 * its companions. */
static int attribs_resolve(const struct attribs *a, struct xg_wsi_context_create *how, bool *core)
{
    bool es = a->profile & GLX_CONTEXT_ES2_PROFILE_BIT_EXT;

    *core = true;
    if (a->render_type != GLX_RGBA_TYPE)
        return a->render_type == GLX_COLOR_INDEX_TYPE ? BadMatch : BadValue;
    if (a->flags & ~FLAGS_KNOWN ||
        (a->reset != GLX_NO_RESET_NOTIFICATION_ARB && a->reset != GLX_LOSE_CONTEXT_ON_RESET_ARB))
        return BadValue;
    if (!es && a->major > 4) { /* such a version may exist one day; this one is not served */
        *core = false;
        return GLXBadFBConfig;
    }
    if (es ? !es_version_exists(a->major, a->minor) : !gl_version_exists(a->major, a->minor))
        return BadMatch;
    if (a->profile_given && a->profile != GLX_CONTEXT_CORE_PROFILE_BIT_ARB &&
        a->profile != GLX_CONTEXT_COMPATIBILITY_PROFILE_BIT_ARB &&
        a->profile != GLX_CONTEXT_ES2_PROFILE_BIT_EXT) {
        *core = false;
        return GLXBadProfileARB;
    }
    if (a->flags & GLX_CONTEXT_FORWARD_COMPATIBLE_BIT_ARB && !es && a->major < 3)
        return BadMatch;
    if (a->no_error && a->flags & (GLX_CONTEXT_DEBUG_BIT_ARB | GLX_CONTEXT_ROBUST_ACCESS_BIT_ARB))
        return BadMatch;

    bool core_profile =
        !es && a->major * 10 + a->minor >= 32 && a->profile == GLX_CONTEXT_CORE_PROFILE_BIT_ARB;
    how->api = es             ? a->major == 1 ? XG_GL_ES1 : XG_GL_ES2
               : core_profile ? XG_GL_CORE
                              : XG_GL_COMPAT;
    how->major = (uint32_t)a->major;
    how->minor = (uint32_t)a->minor;
    how->flags = (a->flags & GLX_CONTEXT_DEBUG_BIT_ARB ? XG_WSI_CONTEXT_DEBUG : 0) |
                 (a->flags & GLX_CONTEXT_FORWARD_COMPATIBLE_BIT_ARB ? XG_WSI_CONTEXT_FORWARD : 0) |
                 (a->flags & GLX_CONTEXT_ROBUST_ACCESS_BIT_ARB ? XG_WSI_CONTEXT_ROBUST_ACCESS : 0) |
                 (a->reset == GLX_LOSE_CONTEXT_ON_RESET_ARB ? XG_WSI_CONTEXT_LOSE_ON_RESET : 0) |
                 (a->no_error ? XG_WSI_CONTEXT_NO_ERROR : 0);
    return 0;
}

GLXContext xg_glx_CreateContextAttribsARB(Display *dpy, GLXFBConfig config, GLXContext share,
                                          Bool direct, const int *list)
{
    const struct xg_wsi_host *host = xg_wsi_host();
    struct context_wish w = {.render_type = GLX_RGBA_TYPE};
    struct attribs a;
    bool core = true;
    int error = attribs_parse(&a, list);
    GLXContext x = NULL;

    w.config = config ? xg_glx_config_valid(dpy, config) : NULL;
    if (!error && (config ? !w.config : !host || !(host->info.flags & XG_WSI_INFO_NO_CONFIG))) {
        error = GLXBadFBConfig;
        core = false;
    }
    if (!error)
        error = attribs_resolve(&a, &w.how, &core);
    if (!error) {
        w.screen = w.config ? w.config->screen : a.screen;
        x = context_make(dpy, &w, share, &error, &core);
        if (!x && core && error == BadMatch && host) {
            error = GLXBadFBConfig; /* the version is valid but not served */
            core = false;
        }
    }
    if (!x)
        xg_glx_error(dpy, error, 0, 34 /* X_GLXCreateContextAttribsARB */, core);
    return x;
}

void xg_glx_DestroyContext(Display *dpy, GLXContext context)
{
    struct xg_glx_context *x;
    bool first = false;

    pthread_mutex_lock(&contexts_lock);
    for (x = contexts; x && x != (struct xg_glx_context *)context;)
        x = x->next;
    if (x) {
        first = !x->destroyed;
        x->destroyed = true;
    }
    pthread_mutex_unlock(&contexts_lock);
    if (!x)
        xg_glx_error(dpy, GLXBadContext, 0, X_GLXDestroyContext, false);
    /* destroyed again while it is current: nothing happens, as with direct rendering */
    else if (first)
        xg_wsi_context_destroy(x->c);
}

void xg_glx_CopyContext(Display *dpy, GLXContext src, GLXContext dst, unsigned long mask)
{
    bool valid = xg_glx_context_valid(src) && xg_glx_context_valid(dst);
    /* As direct rendering does everywhere: state cannot be copied between these two. */
    xg_glx_error(dpy, valid ? BadMatch : GLXBadContext, 0, X_GLXCopyContext, valid);
}

Bool xg_glx_IsDirect(Display *dpy, GLXContext context)
{
    return xg_glx_context_valid(context);
}

int xg_glx_QueryContext(Display *dpy, GLXContext context, int attribute, int *value)
{
    struct xg_glx_context *x = (struct xg_glx_context *)context;

    if (!xg_glx_context_valid(context)) {
        xg_glx_error(dpy, GLXBadContext, 0, X_GLXQueryContext, false);
        return GLX_BAD_CONTEXT;
    }
    switch (attribute) {
    case GLX_FBCONFIG_ID: *value = x->config ? x->config->id : 0; return Success;
    case GLX_RENDER_TYPE: *value = x->render_type; return Success;
    case GLX_SCREEN: *value = x->screen; return Success;
    default: return GLX_BAD_ATTRIBUTE;
    }
}

/* --- making current --------------------------------------------------------------------------- */

/* The drawable of that name for this context; on failure the X error is raised. */
static struct xg_glx_drawable *drawable_for(Display *dpy, XID xid, const struct xg_glx_context *x,
                                            int minor)
{
    int error = BadMatch;
    bool core = true;
    struct xg_glx_drawable *d = xg_glx_drawable_get(dpy, xid, x, &error, &core);

    if (d && !xg_wsi_compatible(x->c, d->d)) {
        d = NULL;
        error = BadMatch;
        core = true;
    }
    if (!d)
        xg_glx_error(dpy, error, xid, minor, core);
    return d;
}

Bool xg_glx_MakeContextCurrent(Display *dpy, GLXDrawable draw, GLXDrawable read, GLXContext context)
{
    struct xg_glx_context *x = (struct xg_glx_context *)context;
    struct xg_glx_drawable *d = NULL, *e = NULL;
    const int minor = X_GLXMakeContextCurrent;

    if (!context) {
        if (draw != None || read != None) {
            xg_glx_error(dpy, BadMatch, 0, minor, true);
            return False;
        }
        xg_wsi_make_current(NULL, NULL, NULL);
        return True;
    }
    if (!xg_glx_context_valid(context)) {
        xg_glx_error(dpy, GLXBadContext, 0, minor, false);
        return False;
    }
    if (!draw != !read || (!draw && !x->may_be_surfaceless)) {
        xg_glx_error(dpy, BadMatch, 0, minor, true);
        return False;
    }
    if (draw) {
        if (!(d = drawable_for(dpy, draw, x, minor)) ||
            !(e = read == draw ? d : drawable_for(dpy, read, x, minor)))
            return False;
    }
    int err = xg_wsi_make_current(x->c, d ? d->d : NULL, e ? e->d : NULL);
    if (err == -EACCES || err == -ENOMEM || err == -ERANGE || err == -EINVAL) {
        xg_glx_error(dpy, err == -EACCES ? BadAccess : BadAlloc, draw, minor, true);
        return False;
    }
    return True; /* with the channel lost, calls go on and do nothing */
}

Bool xg_glx_MakeCurrent(Display *dpy, GLXDrawable draw, GLXContext context)
{
    return xg_glx_MakeContextCurrent(dpy, draw, draw, context);
}
