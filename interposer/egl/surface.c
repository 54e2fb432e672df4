/* EGL surfaces: windows, pixmaps and pbuffers. */
#include "interposer/egl/egl.h"

#include <errno.h>
#include <stdlib.h>

static struct xg_egl_surface *surface_new(struct xg_egl_display *d, const struct xg_egl_config *c,
                                          EGLint type)
{
    struct xg_egl_surface *f = calloc(1, sizeof(*f));

    if (!f) {
        xg_egl_fail(EGL_BAD_ALLOC);
        return NULL;
    }
    f->display = d;
    f->config = c;
    f->type = type;
    f->colorspace = EGL_GL_COLORSPACE_LINEAR;
    f->texture_format = f->texture_target = EGL_NO_TEXTURE;
    f->multisample_resolve = EGL_MULTISAMPLE_RESOLVE_DEFAULT;
    return f;
}

static EGLSurface surface_done(struct xg_egl_surface *f, EGLint error)
{
    if (error != EGL_SUCCESS) {
        free(f);
        xg_egl_fail(error);
        return EGL_NO_SURFACE;
    }
    EGLSurface handle = xg_egl_object_add(f->display, &f->object, XG_EGL_SURFACE);
    xg_egl_ok();
    return handle;
}

/* Attributes of EGL 1.4 in the type of EGL 1.5. NULL without memory; the caller frees it. */
static EGLAttrib *attribs_widen(const EGLint *list)
{
    size_t n = 0;
    while (list && list[n] != EGL_NONE)
        n += 2;
    EGLAttrib *out = calloc(n + 1, sizeof(*out));
    for (size_t i = 0; out && i < n; i++)
        out[i] = list[i];
    if (out)
        out[n] = EGL_NONE;
    return out;
}

static EGLint colorspace_set(struct xg_egl_surface *f, EGLAttrib v)
{
    if (v != EGL_GL_COLORSPACE_LINEAR && v != EGL_GL_COLORSPACE_SRGB)
        return EGL_BAD_ATTRIBUTE;
    if (v == EGL_GL_COLORSPACE_SRGB && !(xg_wsi_host()->info.flags & XG_WSI_INFO_SRGB))
        return EGL_BAD_MATCH;
    f->colorspace = (EGLint)v;
    return EGL_SUCCESS;
}

static EGLSurface window_surface(EGLDisplay dpy, EGLConfig config, uint32_t window,
                                 const EGLAttrib *list)
{
    struct xg_egl_display *d = xg_egl_display_ready(dpy);
    const struct xg_egl_config *c = d ? xg_egl_config_find(d, config) : NULL;
    struct xg_egl_surface *f = c ? surface_new(d, c, EGL_WINDOW_BIT) : NULL;
    EGLint error = EGL_SUCCESS;
    bool single = false;

    if (!f)
        return EGL_NO_SURFACE;
    for (; list && list[0] != EGL_NONE && error == EGL_SUCCESS; list += 2) {
        if (list[0] == EGL_RENDER_BUFFER &&
            (list[1] == EGL_BACK_BUFFER || list[1] == EGL_SINGLE_BUFFER))
            single = list[1] == EGL_SINGLE_BUFFER;
        else if (list[0] == EGL_GL_COLORSPACE)
            error = colorspace_set(f, list[1]);
        else
            error = EGL_BAD_ATTRIBUTE;
    }
    if (error == EGL_SUCCESS && (!d->x || !(c->surface_type & EGL_WINDOW_BIT)))
        error = d->x ? EGL_BAD_MATCH : EGL_BAD_NATIVE_WINDOW;
    if (error == EGL_SUCCESS && xg_egl_window_used(d, window))
        error = EGL_BAD_ALLOC;
    if (error == EGL_SUCCESS) {
        int err = xg_wsi_window_new(d->x, d->name, window, c->host, !single,
                                    f->colorspace == EGL_GL_COLORSPACE_SRGB, &f->d);
        error = err == -EBADF ? EGL_BAD_NATIVE_WINDOW : err ? EGL_BAD_ALLOC : EGL_SUCCESS;
    }
    return surface_done(f, error);
}

EGLSurface xg_egl_CreateWindowSurface(EGLDisplay dpy, EGLConfig config, EGLNativeWindowType window,
                                      const EGLint *list)
{
    EGLAttrib *wide = attribs_widen(list);
    EGLSurface f = window_surface(dpy, config, (uint32_t)window, wide);
    free(wide);
    return f;
}

/* Platform functions get a pointer to an X resource: Xlib's Window or Pixmap (unsigned long), or an
 * xcb_window_t or xcb_pixmap_t. */
static uint32_t native_id(const struct xg_egl_display *d, const void *native)
{
    return d->platform == EGL_PLATFORM_XCB_EXT ? *(const uint32_t *)native
                                               : (uint32_t) * (const XID *)native;
}

static EGLint pixmap_error(int err)
{
    switch (err) {
    case 0: return EGL_SUCCESS;
    case -EBADF: return EGL_BAD_NATIVE_PIXMAP;
    case -EINVAL: return EGL_BAD_MATCH;
    case -EACCES: return EGL_BAD_SURFACE;
    default: return EGL_BAD_ALLOC;
    }
}

EGLSurface xg_egl_CreatePlatformWindowSurface(EGLDisplay dpy, EGLConfig config, void *window,
                                              const EGLAttrib *list)
{
    struct xg_egl_display *d = xg_egl_display_ready(dpy);

    if (!d)
        return EGL_NO_SURFACE;
    if (!window || !d->x) {
        xg_egl_fail(EGL_BAD_NATIVE_WINDOW);
        return EGL_NO_SURFACE;
    }
    return window_surface(dpy, config, native_id(d, window), list);
}

EGLSurface xg_egl_CreatePlatformWindowSurfaceEXT(EGLDisplay dpy, EGLConfig config, void *window,
                                                 const EGLint *list)
{
    EGLAttrib *wide = attribs_widen(list);
    EGLSurface f = xg_egl_CreatePlatformWindowSurface(dpy, config, window, wide);
    free(wide);
    return f;
}

EGLSurface xg_egl_CreatePbufferSurface(EGLDisplay dpy, EGLConfig config, const EGLint *list)
{
    struct xg_egl_display *d = xg_egl_display_ready(dpy);
    const struct xg_egl_config *c = d ? xg_egl_config_find(d, config) : NULL;
    struct xg_egl_surface *f = c ? surface_new(d, c, EGL_PBUFFER_BIT) : NULL;
    EGLint width = 0, height = 0, error = EGL_SUCCESS;

    if (!f)
        return EGL_NO_SURFACE;
    for (; list && list[0] != EGL_NONE && error == EGL_SUCCESS; list += 2) {
        switch (list[0]) {
        case EGL_WIDTH: width = list[1]; break;
        case EGL_HEIGHT: height = list[1]; break;
        case EGL_LARGEST_PBUFFER: f->largest = list[1] != 0; break;
        case EGL_MIPMAP_TEXTURE: break;
        case EGL_TEXTURE_FORMAT:
        case EGL_TEXTURE_TARGET: /* no configuration can be bound to a texture */
            error = list[1] == EGL_NO_TEXTURE ? EGL_SUCCESS : EGL_BAD_MATCH;
            break;
        case EGL_GL_COLORSPACE: error = colorspace_set(f, list[1]); break;
        default: error = EGL_BAD_ATTRIBUTE;
        }
    }
    if (error == EGL_SUCCESS && (width < 0 || height < 0))
        error = EGL_BAD_PARAMETER;
    const struct xg_wsi_info *info = &xg_wsi_host()->info;
    if (f->largest && width > (EGLint)info->pbuffer_max_width)
        width = (EGLint)info->pbuffer_max_width;
    if (f->largest && height > (EGLint)info->pbuffer_max_height)
        height = (EGLint)info->pbuffer_max_height;
    if (error == EGL_SUCCESS &&
        xg_wsi_pbuffer_new(c->host, (uint32_t)(width ? width : 1), (uint32_t)(height ? height : 1),
                           f->colorspace == EGL_GL_COLORSPACE_SRGB, &f->d))
        error = EGL_BAD_ALLOC;
    if (error == EGL_SUCCESS)
        f->d->egl_pbuffer = true;
    return surface_done(f, error);
}

static EGLSurface pixmap_surface(EGLDisplay dpy, EGLConfig config, uint32_t pixmap,
                                 const EGLAttrib *list)
{
    struct xg_egl_display *d = xg_egl_display_ready(dpy);
    const struct xg_egl_config *c = d ? xg_egl_config_find(d, config) : NULL;
    struct xg_egl_surface *f = c ? surface_new(d, c, EGL_PIXMAP_BIT) : NULL;
    EGLint error = EGL_SUCCESS;

    if (!f)
        return EGL_NO_SURFACE;
    for (; list && list[0] != EGL_NONE && error == EGL_SUCCESS; list += 2)
        error = list[0] == EGL_GL_COLORSPACE ? colorspace_set(f, list[1]) : EGL_BAD_ATTRIBUTE;
    if (error == EGL_SUCCESS && !d->x)
        error = EGL_BAD_NATIVE_PIXMAP;
    if (error == EGL_SUCCESS && !(c->surface_type & EGL_PIXMAP_BIT))
        error = EGL_BAD_MATCH;
    if (error == EGL_SUCCESS)
        error = pixmap_error(xg_wsi_pixmap_new(d->x, d->name, pixmap, c->visual_depth, c->host,
                                               f->colorspace == EGL_GL_COLORSPACE_SRGB, &f->d));
    return surface_done(f, error);
}

EGLSurface xg_egl_CreatePixmapSurface(EGLDisplay dpy, EGLConfig config, EGLNativePixmapType pixmap,
                                      const EGLint *list)
{
    EGLAttrib *wide = attribs_widen(list);
    EGLSurface f = pixmap_surface(dpy, config, (uint32_t)pixmap, wide);
    free(wide);
    return f;
}

/* The pixmap comes by pointer, like a window. */
EGLSurface xg_egl_CreatePlatformPixmapSurface(EGLDisplay dpy, EGLConfig config, void *pixmap,
                                              const EGLAttrib *list)
{
    struct xg_egl_display *d = xg_egl_display_ready(dpy);

    if (!d)
        return EGL_NO_SURFACE;
    if (!pixmap || !d->x) {
        xg_egl_fail(EGL_BAD_NATIVE_PIXMAP);
        return EGL_NO_SURFACE;
    }
    return pixmap_surface(dpy, config, native_id(d, pixmap), list);
}

EGLSurface xg_egl_CreatePlatformPixmapSurfaceEXT(EGLDisplay dpy, EGLConfig config, void *pixmap,
                                                 const EGLint *list)
{
    EGLAttrib *wide = attribs_widen(list);
    EGLSurface f = xg_egl_CreatePlatformPixmapSurface(dpy, config, pixmap, wide);
    free(wide);
    return f;
}

/* It exists for OpenVG only. */
EGLSurface xg_egl_CreatePbufferFromClientBuffer(EGLDisplay dpy, EGLenum type,
                                                EGLClientBuffer buffer, EGLConfig config,
                                                const EGLint *list)
{
    if (xg_egl_display_ready(dpy))
        xg_egl_fail(EGL_BAD_PARAMETER);
    return EGL_NO_SURFACE;
}

void xg_egl_surface_drop(struct xg_egl_surface *f)
{
    xg_wsi_drawable_unref(f->d);
    free(f);
}

static struct xg_egl_surface *surface_get(EGLDisplay dpy, EGLSurface surface, bool take)
{
    struct xg_egl_display *d = xg_egl_display_ready(dpy);
    struct xg_egl_surface *f = d ? xg_egl_object_get(d, surface, XG_EGL_SURFACE, take) : NULL;

    if (d && !f)
        xg_egl_fail(EGL_BAD_SURFACE);
    return f;
}

EGLBoolean xg_egl_DestroySurface(EGLDisplay dpy, EGLSurface surface)
{
    struct xg_egl_surface *f = surface_get(dpy, surface, true);

    if (!f)
        return EGL_FALSE;
    xg_egl_surface_drop(f);
    return xg_egl_ok();
}

EGLBoolean xg_egl_QuerySurface(EGLDisplay dpy, EGLSurface surface, EGLint attribute, EGLint *value)
{
    struct xg_egl_surface *f = surface_get(dpy, surface, false);
    uint32_t width, height;

    if (!f)
        return EGL_FALSE;
    if (!value)
        return xg_egl_fail(EGL_BAD_PARAMETER);
    xg_wsi_drawable_size(f->d, &width, &height);
    switch (attribute) {
    case EGL_WIDTH: *value = (EGLint)width; break;
    case EGL_HEIGHT: *value = (EGLint)height; break;
    case EGL_CONFIG_ID: *value = f->config->id; break;
    case EGL_GL_COLORSPACE: *value = f->colorspace; break;
    case EGL_RENDER_BUFFER:
        *value = f->type == EGL_PBUFFER_BIT || f->d->double_buffered ? EGL_BACK_BUFFER
                                                                     : EGL_SINGLE_BUFFER;
        break;
    case EGL_SWAP_BEHAVIOR: *value = EGL_BUFFER_DESTROYED; break;
    case EGL_MULTISAMPLE_RESOLVE: *value = f->multisample_resolve; break;
    case EGL_HORIZONTAL_RESOLUTION:
    case EGL_VERTICAL_RESOLUTION:
    case EGL_PIXEL_ASPECT_RATIO: *value = EGL_UNKNOWN; break;
    case EGL_VG_ALPHA_FORMAT: *value = EGL_VG_ALPHA_FORMAT_NONPRE; break;
    case EGL_VG_COLORSPACE: *value = EGL_VG_COLORSPACE_sRGB; break;
    case EGL_LARGEST_PBUFFER:
        if (f->type == EGL_PBUFFER_BIT)
            *value = f->largest;
        break;
    case EGL_TEXTURE_FORMAT:
    case EGL_TEXTURE_TARGET:
        if (f->type == EGL_PBUFFER_BIT)
            *value = EGL_NO_TEXTURE;
        break;
    case EGL_MIPMAP_TEXTURE:
    case EGL_MIPMAP_LEVEL:
        if (f->type == EGL_PBUFFER_BIT)
            *value = attribute == EGL_MIPMAP_LEVEL ? f->mipmap_level : EGL_FALSE;
        break;
    default: return xg_egl_fail(EGL_BAD_ATTRIBUTE);
    }
    return xg_egl_ok();
}

EGLBoolean xg_egl_SurfaceAttrib(EGLDisplay dpy, EGLSurface surface, EGLint attribute, EGLint value)
{
    struct xg_egl_surface *f = surface_get(dpy, surface, false);

    if (!f)
        return EGL_FALSE;
    switch (attribute) {
    case EGL_MIPMAP_LEVEL: f->mipmap_level = value; return xg_egl_ok();
    case EGL_MULTISAMPLE_RESOLVE:
        if (value != EGL_MULTISAMPLE_RESOLVE_DEFAULT)
            return xg_egl_fail(value == EGL_MULTISAMPLE_RESOLVE_BOX ? EGL_BAD_MATCH
                                                                    : EGL_BAD_PARAMETER);
        return xg_egl_ok();
    case EGL_SWAP_BEHAVIOR:
        if (value == EGL_BUFFER_DESTROYED)
            return xg_egl_ok();
        return xg_egl_fail(value == EGL_BUFFER_PRESERVED ? EGL_BAD_MATCH : EGL_BAD_PARAMETER);
    default: return xg_egl_fail(EGL_BAD_ATTRIBUTE);
    }
}

EGLBoolean xg_egl_BindTexImage(EGLDisplay dpy, EGLSurface surface, EGLint buffer)
{
    return surface_get(dpy, surface, false) ? xg_egl_fail(EGL_BAD_MATCH) : EGL_FALSE;
}

EGLBoolean xg_egl_ReleaseTexImage(EGLDisplay dpy, EGLSurface surface, EGLint buffer)
{
    return surface_get(dpy, surface, false) ? xg_egl_fail(EGL_BAD_MATCH) : EGL_FALSE;
}

/* Returns when the pixmap is painted. Its depth must be that of the surface's visual. */
EGLBoolean xg_egl_CopyBuffers(EGLDisplay dpy, EGLSurface surface, EGLNativePixmapType target)
{
    struct xg_egl_surface *f = surface_get(dpy, surface, false);

    if (!f)
        return EGL_FALSE;
    if (!f->display->x || !target)
        return xg_egl_fail(EGL_BAD_NATIVE_PIXMAP);
    if (!f->config->visual_depth)
        return xg_egl_fail(EGL_BAD_MATCH);
    if (xg_wsi_lost())
        return xg_egl_fail(EGL_CONTEXT_LOST);
    EGLint error = pixmap_error(xg_wsi_copy_to_pixmap(f->d, f->display->x, f->display->name,
                                                      (uint32_t)target, f->config->visual_depth));
    return error == EGL_SUCCESS ? xg_egl_ok() : xg_egl_fail(error);
}

EGLBoolean xg_egl_SwapBuffers(EGLDisplay dpy, EGLSurface surface)
{
    struct xg_egl_surface *f = surface_get(dpy, surface, false);
    struct xg_wsi_context *c = xg_wsi_current();

    if (!f)
        return EGL_FALSE;
    if (!c || c->draw != f->d)
        return xg_egl_fail(EGL_BAD_SURFACE);
    if (xg_wsi_lost())
        return xg_egl_fail(EGL_CONTEXT_LOST);
    if (f->type != EGL_WINDOW_BIT)
        return xg_egl_ok();
    /* Frames come through another connection: what was said about the window so far must reach the
     * server before the first frame. */
    if (!f->swapped)
        free(xcb_get_input_focus_reply(f->display->x, xcb_get_input_focus(f->display->x), NULL));
    else if (f->display->xlib)
        xg_wsi_flush_display(f->display->xlib);
    else
        xcb_flush(f->display->x);
    f->swapped = true;
    xg_wsi_swap(f->d);
    return atomic_load(&f->d->gone) ? xg_egl_fail(EGL_BAD_NATIVE_WINDOW) : xg_egl_ok();
}

/* The value is cut to EGL_MIN_SWAP_INTERVAL and EGL_MAX_SWAP_INTERVAL. */
EGLBoolean xg_egl_SwapInterval(EGLDisplay dpy, EGLint interval)
{
    struct xg_wsi_context *c = xg_wsi_current();

    if (!xg_egl_display_ready(dpy))
        return EGL_FALSE;
    if (!c)
        return xg_egl_fail(EGL_BAD_CONTEXT);
    if (!c->draw)
        return xg_egl_fail(EGL_BAD_SURFACE);
    xg_wsi_swap_interval_set(c->draw, interval < 0 ? 0 : (unsigned)interval);
    return xg_egl_ok();
}
