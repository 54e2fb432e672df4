/* Framebuffer configurations: each visual of the screen combined with what the host can render. */
#include "interposer/glx/glx.h"

#include <EGL/egl.h>
#include <stdlib.h>

/* Only layouts that frames can have: 32 bits a pixel, 0x00RRGGBB. */
static bool visual_usable(const XVisualInfo *v)
{
    return v->class == TrueColor && (v->depth == 24 || v->depth == 32) && v->red_mask == 0xff0000 &&
           v->green_mask == 0xff00 && v->blue_mask == 0xff;
}

static bool host_usable(const struct xg_wsi_config *h, int depth)
{
    return !(h->flags & XG_WSI_CONFIG_FLOAT) && (h->renderable & EGL_OPENGL_BIT) && h->red == 8 &&
           h->green == 8 && h->blue == 8 &&
           (depth == 32 ? h->alpha == 8 : h->alpha == 0 || h->alpha == 8);
}

/* What most programs ask for comes first, and so gets the screen's own visual. */
static int host_rank(const struct xg_wsi_config *h)
{
    bool usual = h->alpha == 8 && h->depth == 24 && h->stencil == 8 && h->samples == 0;
    return usual ? 0 : 1;
}

/* `which` counts through double and single buffered, without and with sRGB; false at the end. */
static bool variant_next(int which, bool srgb_possible, bool *double_buffered, bool *srgb)
{
    *double_buffered = (which & 1) == 0;
    *srgb = which >> 1;
    return which < (srgb_possible ? 4 : 2);
}

struct adder {
    struct xg_glx_screen *s;
    int room, screen;
};

static struct xg_glx_config *config_add(struct adder *a, struct xg_glx_config c)
{
    if (a->s->count == a->room) {
        int room = a->room ? a->room * 2 : 128;
        struct xg_glx_config *more = realloc(a->s->config, (size_t)room * sizeof(*more));
        if (!more)
            return NULL;
        a->s->config = more;
        a->room = room;
    }
    c.screen = a->screen;
    c.id = a->s->count + 1 + (a->screen << 16);
    a->s->config[a->s->count] = c;
    return &a->s->config[a->s->count++];
}

/* All configurations for windows of this depth. Each gets a visual of its own while there are any
 * left; the rest share the first one. */
static void depth_add(struct adder *a, const XVisualInfo *v, int visuals, int depth)
{
    const struct xg_wsi_host *host = xg_wsi_host();
    bool srgb_possible = host->info.flags & XG_WSI_INFO_SRGB, db, srgb;
    int first = -1, next = 0;

    for (int i = 0; i < visuals && first < 0; i++)
        if (visual_usable(&v[i]) && v[i].depth == depth)
            first = next = i;
    if (first < 0)
        return;
    for (int w = 0; variant_next(w, srgb_possible, &db, &srgb); w++)
        for (int rank = 0; rank < 2; rank++)
            for (uint32_t i = 0; i < host->info.config_count; i++) {
                const struct xg_wsi_config *h = &host->configs[i];
                if (!host_usable(h, depth) || host_rank(h) != rank)
                    continue;
                while (next < visuals && !(visual_usable(&v[next]) && v[next].depth == depth))
                    next++;
                bool own = next < visuals;
                const XVisualInfo *vis = &v[own ? next++ : first];
                config_add(a, (struct xg_glx_config){.host = h,
                                                     .double_buffered = db,
                                                     .srgb = srgb,
                                                     .visual = vis->visualid,
                                                     .visual_class = vis->class,
                                                     .visual_depth = depth,
                                                     .visual_own = own});
            }
}

static int by_visual(const void *a, const void *b)
{
    VisualID x = ((const XVisualInfo *)a)->visualid, y = ((const XVisualInfo *)b)->visualid;
    return x < y ? -1 : x > y;
}

struct xg_glx_screen *xg_glx_screen_build(Display *dpy, int screen)
{
    struct xg_glx_screen *s = calloc(1, sizeof(*s));
    XVisualInfo want = {.screen = screen}, *v;
    VisualID root = XVisualIDFromVisual(DefaultVisual(dpy, screen));
    int n = 0;

    if (!s)
        return NULL;
    v = XGetVisualInfo(dpy, VisualScreenMask, &want, &n);
    if (v) {
        struct adder a = {s, 0, screen};
        qsort(v, (size_t)n, sizeof(*v), by_visual);
        for (int i = 1; i < n; i++) /* the root window's visual goes first, whatever its number */
            if (v[i].visualid == root) {
                XVisualInfo r = v[i];
                memmove(v + 1, v, (size_t)i * sizeof(*v));
                v[0] = r;
            }
        depth_add(&a, v, n, 24);
        depth_add(&a, v, n, 32);
        XFree(v);
    }
    return s;
}

const struct xg_glx_config *xg_glx_config_of_visual(Display *dpy, int screen, VisualID visual)
{
    struct xg_glx_display *d = xg_glx_display_get(dpy);
    struct xg_glx_screen *s = xg_glx_screen_get(dpy, screen);

    if (d && d->chosen && d->chosen->screen == screen && d->chosen->visual == visual)
        return d->chosen;
    for (int i = 0; s && i < s->count; i++)
        if (s->config[i].visual == visual)
            return &s->config[i];
    return NULL;
}

const struct xg_glx_config *xg_glx_config_valid(Display *dpy, GLXFBConfig config)
{
    const struct xg_glx_config *c = (const struct xg_glx_config *)config;
    struct xg_glx_display *d = xg_glx_display_get(dpy);

    for (int k = 0; d && c && k < d->screen_count; k++) {
        struct xg_glx_screen *s = xg_glx_screen_get(dpy, k);
        if (s && c >= s->config && c < s->config + s->count)
            return c;
    }
    /* Also a configuration that was looked up on another connection to the same server. */
    return c && c->host ? c : NULL;
}

int xg_glx_config_attribute(const struct xg_glx_config *c, int attribute, int *value)
{
    const struct xg_wsi_host *host = xg_wsi_host();
    const struct xg_wsi_config *h = c->host;

    switch (attribute) {
    case GLX_USE_GL: *value = 1; break;
    case GLX_FBCONFIG_ID: *value = c->id; break;
    case GLX_BUFFER_SIZE: *value = h->red + h->green + h->blue + h->alpha; break;
    case GLX_LEVEL: *value = 0; break;
    case GLX_RGBA: *value = 1; break;
    case GLX_DOUBLEBUFFER: *value = c->double_buffered; break;
    case GLX_STEREO: *value = 0; break;
    case GLX_AUX_BUFFERS: *value = 0; break;
    case GLX_RED_SIZE: *value = h->red; break;
    case GLX_GREEN_SIZE: *value = h->green; break;
    case GLX_BLUE_SIZE: *value = h->blue; break;
    case GLX_ALPHA_SIZE: *value = h->alpha; break;
    case GLX_DEPTH_SIZE: *value = h->depth; break;
    case GLX_STENCIL_SIZE: *value = h->stencil; break;
    case GLX_ACCUM_RED_SIZE:
    case GLX_ACCUM_GREEN_SIZE:
    case GLX_ACCUM_BLUE_SIZE:
    case GLX_ACCUM_ALPHA_SIZE: *value = 0; break;
    case GLX_RENDER_TYPE: *value = GLX_RGBA_BIT; break;
    case GLX_DRAWABLE_TYPE: *value = GLX_WINDOW_BIT | GLX_PIXMAP_BIT | GLX_PBUFFER_BIT; break;
    case GLX_X_RENDERABLE: *value = 1; break;
    case GLX_VISUAL_ID: *value = (int)c->visual; break;
    case GLX_X_VISUAL_TYPE:
        *value = c->visual_class == DirectColor ? GLX_DIRECT_COLOR : GLX_TRUE_COLOR;
        break;
    case GLX_CONFIG_CAVEAT:
        *value = h->caveat == EGL_SLOW_CONFIG             ? GLX_SLOW_CONFIG
                 : h->caveat == EGL_NON_CONFORMANT_CONFIG ? GLX_NON_CONFORMANT_CONFIG
                                                          : GLX_NONE;
        break;
    case GLX_TRANSPARENT_TYPE: *value = GLX_NONE; break;
    case GLX_TRANSPARENT_INDEX_VALUE:
    case GLX_TRANSPARENT_RED_VALUE:
    case GLX_TRANSPARENT_GREEN_VALUE:
    case GLX_TRANSPARENT_BLUE_VALUE:
    case GLX_TRANSPARENT_ALPHA_VALUE: *value = 0; break;
    case GLX_SAMPLE_BUFFERS: *value = h->sample_buffers; break;
    case GLX_SAMPLES: *value = h->samples; break;
    case GLX_FRAMEBUFFER_SRGB_CAPABLE_ARB: *value = c->srgb; break;
    case GLX_MAX_PBUFFER_WIDTH: *value = (int)host->info.pbuffer_max_width; break;
    case GLX_MAX_PBUFFER_HEIGHT: *value = (int)host->info.pbuffer_max_height; break;
    case GLX_MAX_PBUFFER_PIXELS:
        *value = (int)(host->info.pbuffer_max_width * host->info.pbuffer_max_height);
        break;
    default: *value = 0; return GLX_BAD_ATTRIBUTE;
    }
    return 0;
}
