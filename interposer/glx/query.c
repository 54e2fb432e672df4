/* Strings, and queries about configurations and visuals. */
#include "interposer/glx/calls.h"
#include "interposer/glx/choose.h"

#include "interposer/glx/codes.h"
#include <stdlib.h>

static const char extensions[] =
    "GLX_ARB_context_flush_control GLX_ARB_create_context GLX_ARB_create_context_no_error "
    "GLX_ARB_create_context_profile GLX_ARB_create_context_robustness GLX_ARB_framebuffer_sRGB "
    "GLX_ARB_get_proc_address GLX_ARB_multisample GLX_EXT_create_context_es2_profile "
    "GLX_EXT_create_context_es_profile GLX_EXT_framebuffer_sRGB GLX_EXT_no_config_context "
    "GLX_EXT_swap_control GLX_EXT_visual_info GLX_EXT_visual_rating GLX_MESA_query_renderer "
    "GLX_MESA_swap_control GLX_SGIX_fbconfig GLX_SGIS_multisample GLX_SGI_swap_control";

const char *xg_glx_QueryExtensionsString(Display *dpy, int screen)
{
    return extensions;
}

static const char *xg_glx_string(int name)
{
    switch (name) {
    case GLX_VENDOR: return "xengpu";
    case GLX_VERSION: return "1.4";
    case GLX_EXTENSIONS: return extensions;
    default: return NULL;
    }
}

const char *xg_glx_GetClientString(Display *dpy, int name)
{
    return xg_glx_string(name);
}

const char *xg_glx_QueryServerString(Display *dpy, int screen, int name)
{
    return xg_glx_string(name);
}

/* --- configurations --------------------------------------------------------------------------- */

static GLXFBConfig *config_list(const struct xg_glx_config **found, int n, int *count)
{
    GLXFBConfig *out = n ? malloc((size_t)n * sizeof(*out)) : NULL;

    *count = out ? n : 0;
    for (int i = 0; i < *count; i++)
        out[i] = (GLXFBConfig)found[i];
    return out;
}

GLXFBConfig *xg_glx_GetFBConfigs(Display *dpy, int screen, int *count)
{
    struct xg_glx_screen *s = xg_glx_screen_get(dpy, screen);
    int n = s ? s->count : 0;
    GLXFBConfig *out = n ? malloc((size_t)n * sizeof(*out)) : NULL;

    *count = out ? n : 0;
    for (int i = 0; i < *count; i++)
        out[i] = (GLXFBConfig)&s->config[i];
    return out;
}

GLXFBConfig *xg_glx_ChooseFBConfig(Display *dpy, int screen, const int *list, int *count)
{
    struct xg_glx_screen *s = xg_glx_screen_get(dpy, screen);
    struct xg_glx_wish w;
    GLXFBConfig *out = NULL;
    const struct xg_glx_config **found;

    *count = 0;
    xg_glx_wish_init(&w);
    for (; list && list[0] != None; list += 2)
        if (!xg_glx_wish_set(&w, list[0], list[1]))
            return NULL;
    found = s && s->count ? malloc((size_t)s->count * sizeof(*found)) : NULL;
    if (found)
        out = config_list(found, xg_glx_wish_choose(&w, s, found), count);
    free(found);
    return out;
}

int xg_glx_GetFBConfigAttrib(Display *dpy, GLXFBConfig config, int attribute, int *value)
{
    const struct xg_glx_config *c = xg_glx_config_valid(dpy, config);

    if (!c)
        return GLXBadFBConfig;
    if (attribute == GLX_USE_GL ||
        attribute == GLX_RGBA) { /* these are attributes of visuals, not of configurations */
        *value = 0;
        return GLX_BAD_ATTRIBUTE;
    }
    return xg_glx_config_attribute(c, attribute, value);
}

XVisualInfo *xg_glx_GetVisualFromFBConfig(Display *dpy, GLXFBConfig config)
{
    const struct xg_glx_config *c = xg_glx_config_valid(dpy, config);
    struct xg_glx_display *d = xg_glx_display_get(dpy);
    XVisualInfo want = {0};
    int n;

    if (!c || !c->visual)
        return NULL;
    want.visualid = c->visual;
    want.screen = c->screen;
    if (d && !c->visual_own)
        d->chosen = c;
    return XGetVisualInfo(dpy, VisualIDMask | VisualScreenMask, &want, &n);
}

GLXFBConfig xg_glx_GetFBConfigFromVisualSGIX(Display *dpy, XVisualInfo *vis)
{
    return (GLXFBConfig)xg_glx_config_of_visual(dpy, vis->screen, vis->visualid);
}

/* --- visuals ---------------------------------------------------------------------------------- */

int xg_glx_GetConfig(Display *dpy, XVisualInfo *vis, int attribute, int *value)
{
    struct xg_glx_screen *s = xg_glx_screen_get(dpy, vis->screen);
    const struct xg_glx_config *c =
        s ? xg_glx_config_of_visual(dpy, vis->screen, vis->visualid) : NULL;

    if (!s)
        return GLX_BAD_SCREEN;
    if (!c && attribute == GLX_USE_GL) {
        *value = 0;
        return Success;
    }
    return c ? xg_glx_config_attribute(c, attribute, value) : GLX_BAD_VISUAL;
}

/* The old attribute list: booleans have no value. */
static bool visual_wish(struct xg_glx_wish *w, const int *list)
{
    bool rgba = false;

    xg_glx_wish_init(w);
    xg_glx_wish_set(w, GLX_DOUBLEBUFFER, False);
    xg_glx_wish_set(w, GLX_STEREO, False);
    while (list && *list != None) {
        int a = *list++;
        if (a == GLX_RGBA)
            rgba = true;
        else if (a == GLX_DOUBLEBUFFER || a == GLX_STEREO)
            xg_glx_wish_set(w, a, True);
        else if (a == GLX_FRAMEBUFFER_SRGB_CAPABLE_ARB || a == GLX_USE_GL)
            a == GLX_USE_GL ? (void)0 : (void)xg_glx_wish_set(w, a, *list++);
        else if (!xg_glx_wish_set(w, a, *list++))
            return false;
    }
    return rgba; /* there are no colour-index visuals */
}

XVisualInfo *xg_glx_ChooseVisual(Display *dpy, int screen, int *list)
{
    struct xg_glx_screen *s = xg_glx_screen_get(dpy, screen);
    const struct xg_glx_config **found;
    struct xg_glx_wish w;
    XVisualInfo *out = NULL;

    if (!s || !s->count || !visual_wish(&w, list))
        return NULL;
    found = malloc((size_t)s->count * sizeof(*found));
    if (found && xg_glx_wish_choose(&w, s, found) > 0)
        out = xg_glx_GetVisualFromFBConfig(dpy, (GLXFBConfig)found[0]);
    free(found);
    return out;
}

/* --- GLX_MESA_query_renderer ------------------------------------------------------------------ */

Bool xg_glx_QueryRendererIntegerMESA(Display *dpy, int screen, int renderer, int attribute,
                                     unsigned *value)
{
    const struct xg_wsi_host *h = xg_wsi_host();
    const struct {
        int attribute;
        uint32_t version;
    } versions[] = {
        {GLX_RENDERER_OPENGL_CORE_PROFILE_VERSION_MESA, h ? h->info.gl_core : 0},
        {GLX_RENDERER_OPENGL_COMPATIBILITY_PROFILE_VERSION_MESA, h ? h->info.gl_compat : 0},
        {GLX_RENDERER_OPENGL_ES_PROFILE_VERSION_MESA, h ? h->info.gles1 : 0},
        {GLX_RENDERER_OPENGL_ES2_PROFILE_VERSION_MESA, h ? h->info.gles : 0},
    };

    if (!h || renderer != 0)
        return False;
    for (unsigned i = 0; i < XG_ARRAY_LEN(versions); i++)
        if (versions[i].attribute == attribute) {
            value[0] = versions[i].version / 10;
            value[1] = versions[i].version % 10;
            return True;
        }
    switch (attribute) {
    case GLX_RENDERER_VERSION_MESA:
        value[0] = 0;
        value[1] = 1;
        value[2] = 0;
        return True;
    case GLX_RENDERER_ACCELERATED_MESA:
        *value = !(h->info.flags & XG_WSI_INFO_SOFTWARE);
        return True;
    case GLX_RENDERER_PREFERRED_PROFILE_MESA:
        *value = GLX_CONTEXT_CORE_PROFILE_BIT_ARB;
        return True;
    case GLX_RENDERER_VENDOR_ID_MESA:
    case GLX_RENDERER_DEVICE_ID_MESA: *value = 0xffffffffu; return True; /* not a PCI device */
    case GLX_RENDERER_VIDEO_MEMORY_MESA:
        *value = (unsigned)(xg_channel_memory_limit(xg_channel_get()) >> 20);
        return True;
    case GLX_RENDERER_UNIFIED_MEMORY_ARCHITECTURE_MESA: *value = 0; return True;
    default: return False;
    }
}

const char *xg_glx_QueryRendererStringMESA(Display *dpy, int screen, int renderer, int attribute)
{
    const struct xg_wsi_host *h = xg_wsi_host();

    if (!h || renderer != 0)
        return NULL;
    return attribute == GLX_RENDERER_VENDOR_ID_MESA   ? h->info.vendor
           : attribute == GLX_RENDERER_DEVICE_ID_MESA ? h->renderer
                                                      : NULL;
}

Bool xg_glx_QueryCurrentRendererIntegerMESA(int attribute, unsigned *value)
{
    struct xg_glx_context *x = xg_glx_context_current();
    return x ? xg_glx_QueryRendererIntegerMESA(x->dpy, x->screen, 0, attribute, value) : False;
}

const char *xg_glx_QueryCurrentRendererStringMESA(int attribute)
{
    struct xg_glx_context *x = xg_glx_context_current();
    return x ? xg_glx_QueryRendererStringMESA(x->dpy, x->screen, 0, attribute) : NULL;
}
