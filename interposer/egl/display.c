/* EGL displays: an X connection, or none. */
#include "interposer/egl/egl.h"

#include <X11/Xlib-xcb.h>
#include <stdio.h>
#include <stdlib.h>

static pthread_mutex_t displays_lock =
    XG_LOCK_INITIALIZER; /* the displays and their lists of objects */
static struct xg_egl_display *displays;
static __thread EGLint last_error = EGL_SUCCESS;

__attribute__((constructor)) static void fork_init(void)
{
    xg_wsi_fork_lock(&displays_lock);
}

EGLBoolean xg_egl_fail(EGLint error)
{
    last_error = error;
    return EGL_FALSE;
}

EGLBoolean xg_egl_ok(void)
{
    last_error = EGL_SUCCESS;
    return EGL_TRUE;
}

EGLint xg_egl_GetError(void)
{
    EGLint e = last_error;
    last_error = EGL_SUCCESS;
    return e;
}

struct xg_egl_display *xg_egl_display_find(EGLDisplay dpy)
{
    pthread_mutex_lock(&displays_lock);
    struct xg_egl_display *d = displays;
    while (d && d != dpy)
        d = d->next;
    pthread_mutex_unlock(&displays_lock);
    if (!d)
        xg_egl_fail(EGL_BAD_DISPLAY);
    return d;
}

struct xg_egl_display *xg_egl_display_ready(EGLDisplay dpy)
{
    struct xg_egl_display *d = xg_egl_display_find(dpy);

    if (d && !d->initialized) {
        xg_egl_fail(EGL_NOT_INITIALIZED);
        return NULL;
    }
    return d;
}

void *xg_egl_object_add(struct xg_egl_display *d, struct xg_egl_object *o, enum xg_egl_kind kind)
{
    static uintptr_t last = 0x10000; /* a smaller number might be taken for an enumerant */
    pthread_mutex_lock(&displays_lock);
    void *handle = (void *)(last += 16);
    o->handle = handle;
    o->kind = kind;
    o->next = d->objects;
    d->objects = o;
    pthread_mutex_unlock(&displays_lock);
    return handle;
}

void *xg_egl_object_get(struct xg_egl_display *d, void *handle, enum xg_egl_kind kind, bool take)
{
    struct xg_egl_object *found = NULL;

    pthread_mutex_lock(&displays_lock);
    for (struct xg_egl_object **at = &d->objects; *at; at = &(*at)->next)
        if ((*at)->handle == handle && (*at)->kind == kind) {
            found = *at;
            if (take)
                *at = found->next;
            break;
        }
    pthread_mutex_unlock(&displays_lock);
    return found;
}

bool xg_egl_window_used(struct xg_egl_display *d, uint32_t window)
{
    bool used = false;

    pthread_mutex_lock(&displays_lock);
    for (struct xg_egl_object *o = d->objects; o && !used; o = o->next) {
        struct xg_egl_surface *f = (struct xg_egl_surface *)o;
        used = o->kind == XG_EGL_SURFACE && f->type == EGL_WINDOW_BIT && f->d->xid == window &&
               !atomic_load_explicit(&f->d->gone, memory_order_relaxed);
    }
    pthread_mutex_unlock(&displays_lock);
    return used;
}

static bool platform_is_x(EGLenum platform)
{
    return platform == EGL_PLATFORM_X11_EXT || platform == EGL_PLATFORM_XCB_EXT;
}

EGLDisplay xg_egl_platform_display(EGLenum platform, void *native, const EGLAttrib *attributes)
{
    struct xg_egl_display *d;
    int screen = -1;

    if (platform == EGL_NONE) /* eglGetDisplay(EGL_DEFAULT_DISPLAY) */
        platform = xg_egl_platform_default();
    if (!xg_egl_platform_served(platform) ||
        (platform == EGL_PLATFORM_DEVICE_EXT && native && !xg_egl_device_valid(native))) {
        xg_egl_fail(EGL_BAD_PARAMETER);
        return EGL_NO_DISPLAY;
    }
    for (; attributes && attributes[0] != EGL_NONE; attributes += 2) {
        if (platform_is_x(platform) && (attributes[0] == EGL_PLATFORM_X11_SCREEN_EXT ||
                                        attributes[0] == EGL_PLATFORM_XCB_SCREEN_EXT)) {
            screen = (int)attributes[1];
        } else {
            xg_egl_fail(EGL_BAD_ATTRIBUTE);
            return EGL_NO_DISPLAY;
        }
    }
    pthread_mutex_lock(&displays_lock);
    for (d = displays; d; d = d->next)
        if (d->platform == platform && d->native == native && (screen < 0 || d->screen == screen))
            break;
    if (!d && (d = calloc(1, sizeof(*d)))) {
        d->platform = platform;
        d->native = native;
        d->screen = screen;
        d->next = displays;
        displays = d;
    }
    pthread_mutex_unlock(&displays_lock);
    if (d)
        xg_egl_ok();
    else
        xg_egl_fail(EGL_BAD_ALLOC);
    return d;
}

/* --- initialising ----------------------------------------------------------------------------- */

static bool x_open(struct xg_egl_display *d)
{
    if (d->platform == EGL_PLATFORM_XCB_EXT) {
        /* a connection does not tell the name of its display */
        const char *name = getenv("DISPLAY");
        int first = 0;
        d->x = d->native ? d->native : xcb_connect(NULL, &first);
        d->name = name ? strdup(name) : NULL;
        if (d->screen < 0)
            d->screen = first;
        return d->x && !xcb_connection_has_error(d->x);
    }
    d->xlib = d->native ? d->native : XOpenDisplay(NULL);
    if (!d->xlib)
        return false;
    d->x = XGetXCBConnection(d->xlib);
    d->name = strdup(DisplayString(d->xlib));
    if (d->screen < 0)
        d->screen = DefaultScreen(d->xlib);
    xg_wsi_watch_display(d->xlib);
    return true;
}

EGLBoolean xg_egl_Initialize(EGLDisplay dpy, EGLint *major, EGLint *minor)
{
    struct xg_egl_display *d = xg_egl_display_find(dpy);

    if (!d)
        return EGL_FALSE;
    if (!d->initialized) {
        if (!xg_wsi_host() || (platform_is_x(d->platform) && !d->x && !x_open(d)))
            return xg_egl_fail(EGL_NOT_INITIALIZED);
        if (!d->config && xg_egl_configs_build(d))
            return xg_egl_fail(EGL_NOT_INITIALIZED);
        d->initialized = true;
    }
    if (major)
        *major = 1;
    if (minor)
        *minor = 5;
    return xg_egl_ok();
}

/* Handles become invalid; what is current lives on until it is released. The display itself stays,
 * as the specification demands. */
EGLBoolean xg_egl_Terminate(EGLDisplay dpy)
{
    struct xg_egl_display *d = xg_egl_display_find(dpy);

    if (!d)
        return EGL_FALSE;
    pthread_mutex_lock(&displays_lock);
    struct xg_egl_object *o = d->objects;
    d->objects = NULL;
    d->initialized = false;
    pthread_mutex_unlock(&displays_lock);
    while (o) {
        struct xg_egl_object *next = o->next;
        if (o->kind == XG_EGL_CONTEXT)
            xg_egl_context_drop((struct xg_egl_context *)o);
        else if (o->kind == XG_EGL_SURFACE)
            xg_egl_surface_drop((struct xg_egl_surface *)o);
        else
            xg_egl_sync_drop((struct xg_egl_sync *)o);
        o = next;
    }
    return xg_egl_ok();
}

static const char client_extensions[] =
    "EGL_EXT_client_extensions EGL_EXT_device_base EGL_EXT_device_enumeration EGL_EXT_device_query "
    "EGL_EXT_platform_base EGL_EXT_platform_device EGL_EXT_platform_x11 EGL_EXT_platform_xcb "
    "EGL_KHR_client_get_all_proc_addresses EGL_KHR_platform_x11 EGL_MESA_platform_surfaceless";

static const char base_extensions[] =
    "EGL_EXT_create_context_robustness EGL_KHR_config_attribs EGL_KHR_context_flush_control "
    "EGL_KHR_create_context EGL_KHR_create_context_no_error EGL_KHR_get_all_proc_addresses "
    "EGL_KHR_surfaceless_context";

/* The same strings for every display; made once. */
static struct {
    bool made;
    char extensions[1024];
    char version[256];
} display_strings;

static void strings_make(void)
{
    const struct xg_wsi_host *h = xg_wsi_host();
    const struct xg_wsi_info *i = &h->info;

    snprintf(
        display_strings.extensions, sizeof(display_strings.extensions), "%s%s%s%s", base_extensions,
        i->flags & XG_WSI_INFO_SYNC ? " EGL_KHR_fence_sync EGL_KHR_wait_sync" : "",
        i->flags & XG_WSI_INFO_SRGB ? " EGL_KHR_gl_colorspace" : "",
        i->flags & XG_WSI_INFO_NO_CONFIG ? " EGL_KHR_no_config_context EGL_MESA_configless_context"
                                         : "");
    snprintf(display_strings.version, sizeof(display_strings.version),
             "1.5 %s, OpenGL %u.%u, OpenGL ES %u.%u", h->renderer, i->gl_core / 10, i->gl_core % 10,
             i->gles / 10, i->gles % 10);
    display_strings.made = true;
}

const char *xg_egl_QueryString(EGLDisplay dpy, EGLint name)
{
    if (dpy == EGL_NO_DISPLAY && (name == EGL_EXTENSIONS || name == EGL_VERSION)) {
        xg_egl_ok();
        return name == EGL_EXTENSIONS ? client_extensions : "1.5";
    }
    if (!xg_egl_display_ready(dpy) || !xg_wsi_host())
        return NULL;
    pthread_mutex_lock(&displays_lock);
    if (!display_strings.made)
        strings_make();
    pthread_mutex_unlock(&displays_lock);
    xg_egl_ok();
    switch (name) {
    case EGL_VENDOR: return "xengpu";
    case EGL_VERSION: return display_strings.version;
    case EGL_CLIENT_APIS: return "OpenGL OpenGL_ES";
    case EGL_EXTENSIONS: return display_strings.extensions;
    default: xg_egl_fail(EGL_BAD_PARAMETER); return NULL;
    }
}
