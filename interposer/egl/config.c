/* EGL configurations: what the host can render, for the screen's own visual, for a visual with
 * alpha, and for pbuffers. */
#include "interposer/egl/egl.h"

#include <errno.h>
#include <stdlib.h>

struct visuals {
    xcb_visualid_t opaque, alpha; /* 0: there is none */
};

static bool visual_usable(const xcb_visualtype_t *v)
{
    return v->_class == XCB_VISUAL_CLASS_TRUE_COLOR && v->red_mask == 0xff0000 &&
           v->green_mask == 0xff00 && v->blue_mask == 0xff;
}

static struct visuals visuals_find(xcb_connection_t *x, int number)
{
    struct visuals out = {0, 0};
    xcb_screen_iterator_t s = xcb_setup_roots_iterator(xcb_get_setup(x));

    while (s.rem && number-- > 0)
        xcb_screen_next(&s);
    if (!s.rem)
        return out;
    for (xcb_depth_iterator_t d = xcb_screen_allowed_depths_iterator(s.data); d.rem;
         xcb_depth_next(&d))
        for (xcb_visualtype_iterator_t v = xcb_depth_visuals_iterator(d.data); v.rem;
             xcb_visualtype_next(&v)) {
            if (!visual_usable(v.data))
                continue;
            if (d.data->depth == 24 && (!out.opaque || v.data->visual_id == s.data->root_visual))
                out.opaque = v.data->visual_id;
            else if (d.data->depth == 32 && !out.alpha)
                out.alpha = v.data->visual_id;
        }
    return out;
}

static void config_add(struct xg_egl_display *d, const struct xg_wsi_config *h,
                       xcb_visualid_t visual, int depth)
{
    d->config[d->config_count] = (struct xg_egl_config){
        .host = h,
        .id = d->config_count + 1,
        .surface_type = EGL_PBUFFER_BIT | (visual ? EGL_WINDOW_BIT | EGL_PIXMAP_BIT : 0),
        .visual = (EGLint)visual,
        .visual_depth = depth,
    };
    d->config_count++;
}

int xg_egl_configs_build(struct xg_egl_display *d)
{
    const struct xg_wsi_host *host = xg_wsi_host();
    struct visuals v = {0, 0};

    if (d->x)
        v = visuals_find(d->x, d->screen);
    d->config = calloc(host->info.config_count * 2 + 1, sizeof(*d->config));
    if (!d->config)
        return -ENOMEM;
    for (int pass = 0; pass < 2; pass++)
        for (uint32_t i = 0; i < host->info.config_count; i++) {
            const struct xg_wsi_config *h = &host->configs[i];
            bool window =
                h->red == 8 && h->green == 8 && h->blue == 8 && (h->alpha == 0 || h->alpha == 8);
            if (h->flags & XG_WSI_CONFIG_FLOAT)
                continue; /* needs EGL_EXT_pixel_format_float, which is not offered */
            if (pass == 0)
                config_add(d, h, window ? v.opaque : 0, window && v.opaque ? 24 : 0);
            else if (window && h->alpha == 8 && v.alpha)
                config_add(d, h, v.alpha, 32);
        }
    return d->config_count ? 0 : -ENODEV;
}

const struct xg_egl_config *xg_egl_config_find(const struct xg_egl_display *d, EGLConfig config)
{
    const struct xg_egl_config *c = config;

    if (c >= d->config && c < d->config + d->config_count)
        return c;
    xg_egl_fail(EGL_BAD_CONFIG);
    return NULL;
}

bool xg_egl_config_get(const struct xg_egl_display *d, const struct xg_egl_config *c,
                       EGLint attribute, EGLint *value)
{
    const struct xg_wsi_host *host = xg_wsi_host();
    const struct xg_wsi_config *h = c->host;

    switch (attribute) {
    case EGL_BUFFER_SIZE: *value = h->red + h->green + h->blue + h->alpha; break;
    case EGL_RED_SIZE: *value = h->red; break;
    case EGL_GREEN_SIZE: *value = h->green; break;
    case EGL_BLUE_SIZE: *value = h->blue; break;
    case EGL_ALPHA_SIZE: *value = h->alpha; break;
    case EGL_DEPTH_SIZE: *value = h->depth; break;
    case EGL_STENCIL_SIZE: *value = h->stencil; break;
    case EGL_SAMPLES: *value = h->samples; break;
    case EGL_SAMPLE_BUFFERS: *value = h->sample_buffers; break;
    case EGL_CONFIG_ID: *value = c->id; break;
    case EGL_CONFIG_CAVEAT: *value = (EGLint)h->caveat; break;
    case EGL_SURFACE_TYPE: *value = c->surface_type; break;
    case EGL_RENDERABLE_TYPE:
    case EGL_CONFORMANT:
        *value = (EGLint)(h->renderable & (EGL_OPENGL_BIT | EGL_OPENGL_ES_BIT | EGL_OPENGL_ES2_BIT |
                                           EGL_OPENGL_ES3_BIT));
        break;
    case EGL_COLOR_BUFFER_TYPE: *value = EGL_RGB_BUFFER; break;
    case EGL_NATIVE_VISUAL_ID: *value = c->visual; break;
    case EGL_NATIVE_VISUAL_TYPE: *value = c->visual ? TrueColor : EGL_NONE; break;
    case EGL_NATIVE_RENDERABLE: *value = EGL_FALSE; break;
    case EGL_TRANSPARENT_TYPE: *value = EGL_NONE; break;
    case EGL_MAX_PBUFFER_WIDTH: *value = (EGLint)host->info.pbuffer_max_width; break;
    case EGL_MAX_PBUFFER_HEIGHT: *value = (EGLint)host->info.pbuffer_max_height; break;
    case EGL_MAX_PBUFFER_PIXELS:
        *value = (EGLint)(host->info.pbuffer_max_width * host->info.pbuffer_max_height);
        break;
    case EGL_MAX_SWAP_INTERVAL: *value = (EGLint)xg_wsi_swap_interval_max(); break;
    case EGL_LEVEL:
    case EGL_LUMINANCE_SIZE:
    case EGL_ALPHA_MASK_SIZE:
    case EGL_BIND_TO_TEXTURE_RGB:
    case EGL_BIND_TO_TEXTURE_RGBA:
    case EGL_MIN_SWAP_INTERVAL:
    case EGL_TRANSPARENT_RED_VALUE:
    case EGL_TRANSPARENT_GREEN_VALUE:
    case EGL_TRANSPARENT_BLUE_VALUE: *value = 0; break;
    default: return false;
    }
    return true;
}

EGLBoolean xg_egl_GetConfigAttrib(EGLDisplay dpy, EGLConfig config, EGLint attribute, EGLint *value)
{
    struct xg_egl_display *d = xg_egl_display_ready(dpy);
    const struct xg_egl_config *c = d ? xg_egl_config_find(d, config) : NULL;

    if (!c)
        return EGL_FALSE;
    if (!value)
        return xg_egl_fail(EGL_BAD_PARAMETER);
    return xg_egl_config_get(d, c, attribute, value) ? xg_egl_ok() : xg_egl_fail(EGL_BAD_ATTRIBUTE);
}

EGLBoolean xg_egl_GetConfigs(EGLDisplay dpy, EGLConfig *configs, EGLint size, EGLint *count)
{
    struct xg_egl_display *d = xg_egl_display_ready(dpy);

    if (!d)
        return EGL_FALSE;
    if (!count)
        return xg_egl_fail(EGL_BAD_PARAMETER);
    *count = d->config_count;
    if (configs && *count > size)
        *count = size;
    for (EGLint i = 0; configs && i < *count; i++)
        configs[i] = &d->config[i];
    return xg_egl_ok();
}

/* --- choosing --------------------------------------------------------------------------------- */

enum how { EXACT, MINIMUM, MASK, IGNORED };

static const struct egl_rule {
    EGLint attribute;
    enum how how;
    EGLint initial;
} choose_rules[] = {
    {EGL_BUFFER_SIZE, MINIMUM, 0},
    {EGL_RED_SIZE, MINIMUM, 0},
    {EGL_GREEN_SIZE, MINIMUM, 0},
    {EGL_BLUE_SIZE, MINIMUM, 0},
    {EGL_LUMINANCE_SIZE, MINIMUM, 0},
    {EGL_ALPHA_SIZE, MINIMUM, 0},
    {EGL_ALPHA_MASK_SIZE, MINIMUM, 0},
    {EGL_BIND_TO_TEXTURE_RGB, EXACT, EGL_DONT_CARE},
    {EGL_BIND_TO_TEXTURE_RGBA, EXACT, EGL_DONT_CARE},
    {EGL_COLOR_BUFFER_TYPE, EXACT, EGL_RGB_BUFFER},
    {EGL_CONFIG_CAVEAT, EXACT, EGL_DONT_CARE},
    {EGL_CONFIG_ID, EXACT, EGL_DONT_CARE},
    {EGL_CONFORMANT, MASK, 0},
    {EGL_DEPTH_SIZE, MINIMUM, 0},
    {EGL_LEVEL, EXACT, 0},
    {EGL_MAX_PBUFFER_WIDTH, IGNORED, 0},
    {EGL_MAX_PBUFFER_HEIGHT, IGNORED, 0},
    {EGL_MAX_PBUFFER_PIXELS, IGNORED, 0},
    {EGL_MAX_SWAP_INTERVAL, EXACT, EGL_DONT_CARE},
    {EGL_MIN_SWAP_INTERVAL, EXACT, EGL_DONT_CARE},
    {EGL_NATIVE_RENDERABLE, EXACT, EGL_DONT_CARE},
    {EGL_NATIVE_VISUAL_ID, IGNORED, 0},
    {EGL_NATIVE_VISUAL_TYPE, EXACT, EGL_DONT_CARE},
    {EGL_RENDERABLE_TYPE, MASK, EGL_OPENGL_ES_BIT},
    {EGL_SAMPLE_BUFFERS, MINIMUM, 0},
    {EGL_SAMPLES, MINIMUM, 0},
    {EGL_STENCIL_SIZE, MINIMUM, 0},
    {EGL_SURFACE_TYPE, MASK, EGL_WINDOW_BIT},
    {EGL_TRANSPARENT_TYPE, EXACT, EGL_NONE},
    {EGL_TRANSPARENT_RED_VALUE, IGNORED, 0},
    {EGL_TRANSPARENT_GREEN_VALUE, IGNORED, 0},
    {EGL_TRANSPARENT_BLUE_VALUE, IGNORED, 0},
    {EGL_MATCH_NATIVE_PIXMAP, IGNORED, EGL_NONE},
};

struct egl_wish {
    const struct xg_egl_display *d;
    EGLint value[XG_ARRAY_LEN(choose_rules)];
    EGLint pixmap_depth; /* the depth of EGL_MATCH_NATIVE_PIXMAP; 0: no pixmap was given */
};

static EGLint *wish_at(struct egl_wish *w, EGLint attribute)
{
    for (unsigned i = 0; i < XG_ARRAY_LEN(choose_rules); i++)
        if (choose_rules[i].attribute == attribute)
            return &w->value[i];
    return NULL;
}

static EGLint attribute_of(const struct egl_wish *w, const struct xg_egl_config *c,
                           EGLint attribute)
{
    EGLint v = 0;
    xg_egl_config_get(w->d, c, attribute, &v);
    return v;
}

static bool wish_met(struct egl_wish *w, const struct xg_egl_config *c)
{
    EGLint id = *wish_at(w, EGL_CONFIG_ID);

    if (id != EGL_DONT_CARE)
        return c->id == id;
    if (w->pixmap_depth &&
        (!(c->surface_type & EGL_PIXMAP_BIT) || c->visual_depth != w->pixmap_depth))
        return false;
    for (unsigned i = 0; i < XG_ARRAY_LEN(choose_rules); i++) {
        EGLint want = w->value[i], have;
        if (want == EGL_DONT_CARE || choose_rules[i].how == IGNORED)
            continue;
        have = attribute_of(w, c, choose_rules[i].attribute);
        if ((choose_rules[i].how == EXACT && have != want) ||
            (choose_rules[i].how == MINIMUM && have < want) ||
            (choose_rules[i].how == MASK && (have & want) != want))
            return false;
    }
    return true;
}

/* False: there is no such pixmap. */
static bool pixmap_look(struct egl_wish *w)
{
    EGLint pixmap = *wish_at(w, EGL_MATCH_NATIVE_PIXMAP);
    xcb_connection_t *x = w->d->x;

    if (pixmap == EGL_NONE)
        return true;
    xcb_get_geometry_reply_t *g =
        x ? xcb_get_geometry_reply(x, xcb_get_geometry(x, (uint32_t)pixmap), NULL) : NULL;
    w->pixmap_depth = g ? g->depth : 0;
    free(g);
    return w->pixmap_depth != 0;
}

static int caveat_rank(EGLint v)
{
    return v == EGL_NONE ? 0 : v == EGL_SLOW_CONFIG ? 1 : 2;
}

/* The sum of the bits of those colours that were asked for. */
static int color_bits(struct egl_wish *w, const struct xg_egl_config *c)
{
    static const EGLint colors[] = {EGL_RED_SIZE, EGL_GREEN_SIZE, EGL_BLUE_SIZE, EGL_ALPHA_SIZE};
    int bits = 0;
    for (unsigned i = 0; i < 4; i++)
        if (*wish_at(w, colors[i]) > 0)
            bits += attribute_of(w, c, colors[i]);
    return bits;
}

static int config_compare(const void *pa, const void *pb, void *arg)
{
    const struct xg_egl_config *a = *(const struct xg_egl_config *const *)pa;
    const struct xg_egl_config *b = *(const struct xg_egl_config *const *)pb;
    static const EGLint smaller[] = {EGL_BUFFER_SIZE, EGL_SAMPLE_BUFFERS, EGL_SAMPLES,
                                     EGL_DEPTH_SIZE, EGL_STENCIL_SIZE};
    struct egl_wish *w = arg;
    int d = caveat_rank(attribute_of(w, a, EGL_CONFIG_CAVEAT)) -
            caveat_rank(attribute_of(w, b, EGL_CONFIG_CAVEAT));

    if (d == 0)
        d = color_bits(w, b) - color_bits(w, a);
    for (unsigned i = 0; i < XG_ARRAY_LEN(smaller) && d == 0; i++)
        d = attribute_of(w, a, smaller[i]) - attribute_of(w, b, smaller[i]);
    return d ? d : a->id - b->id;
}

EGLBoolean xg_egl_ChooseConfig(EGLDisplay dpy, const EGLint *list, EGLConfig *configs, EGLint size,
                               EGLint *count)
{
    struct xg_egl_display *d = xg_egl_display_ready(dpy);
    const struct xg_egl_config **found;
    struct egl_wish w = {.d = d};
    int n = 0;

    if (!d)
        return EGL_FALSE;
    if (!count)
        return xg_egl_fail(EGL_BAD_PARAMETER);
    for (unsigned i = 0; i < XG_ARRAY_LEN(choose_rules); i++)
        w.value[i] = choose_rules[i].initial;
    for (; list && list[0] != EGL_NONE; list += 2) {
        EGLint *v = wish_at(&w, list[0]);
        if (!v)
            return xg_egl_fail(EGL_BAD_ATTRIBUTE);
        *v = list[1];
    }
    if (!pixmap_look(&w))
        return xg_egl_fail(EGL_BAD_NATIVE_PIXMAP);
    found = calloc((size_t)d->config_count, sizeof(*found));
    if (!found)
        return xg_egl_fail(EGL_BAD_ALLOC);
    for (int i = 0; i < d->config_count; i++)
        if (wish_met(&w, &d->config[i]))
            found[n++] = &d->config[i];
    qsort_r(found, (size_t)n, sizeof(*found), config_compare, &w);
    *count = configs && n > size ? size : n;
    for (EGLint i = 0; configs && i < *count; i++)
        configs[i] = (EGLConfig)found[i];
    free(found);
    return xg_egl_ok();
}
