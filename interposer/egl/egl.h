/* EGL: shared by its files. */
#ifndef XG_INTERPOSER_EGL_EGL_H
#define XG_INTERPOSER_EGL_EGL_H

#include "interposer/wsi/wsi.h"

#include <EGL/egl.h>
#include <EGL/eglext.h>
#include <X11/Xlib.h>
#include <glvnd/libeglabi.h>

struct xg_egl_config {
    const struct xg_wsi_config *host;
    EGLint id;
    EGLint surface_type;
    EGLint visual; /* X's number; 0: for pbuffers only */
    EGLint visual_depth;
};

enum xg_egl_kind { XG_EGL_CONTEXT, XG_EGL_SURFACE, XG_EGL_SYNC };

/* Contexts, surfaces and fences are on their display's list, which tells a handle from a wild
 * pointer. A handle is a number that is never used again. An object that is destroyed while it is
 * current stays current; if a new one had the same handle, libglvnd would not pass on the call that
 * makes the new one current. */
struct xg_egl_object {
    struct xg_egl_object *next;
    void *handle;
    enum xg_egl_kind kind;
};

struct xg_egl_display {
    struct xg_egl_display *next;
    EGLenum platform; /* EGL_PLATFORM_X11_EXT, _XCB_EXT, _SURFACELESS_MESA, _DEVICE_EXT */
    void *native;     /* as given by the application */
    bool initialized;
    Display *xlib; /* X11: the application's, or one of our own for the default display */
    xcb_connection_t *x;
    char *name; /* name of the X display, for the presenters */
    int screen;
    struct xg_egl_config *config;
    int config_count;
    struct xg_egl_object *objects;
};

struct xg_egl_context {
    struct xg_egl_object object;
    struct xg_wsi_context *c;
    struct xg_egl_display *display;
    const struct xg_egl_config *config; /* NULL: none */
    EGLenum api;                        /* EGL_OPENGL_API, EGL_OPENGL_ES_API */
    EGLint version;                     /* major version */
};

struct xg_egl_surface {
    struct xg_egl_object object;
    struct xg_wsi_drawable *d;
    struct xg_egl_display *display;
    const struct xg_egl_config *config;
    EGLint type; /* EGL_WINDOW_BIT, EGL_PIXMAP_BIT, EGL_PBUFFER_BIT */
    EGLint colorspace, texture_format, texture_target, largest, mipmap_level, multisample_resolve;
    bool swapped;
};

struct xg_egl_sync {
    struct xg_egl_object object;
    struct xg_wsi_sync *y;
    bool signalled;
};

extern const __EGLapiExports *xg_egl_exports;

/* display.c: the thread's last error. */
EGLBoolean xg_egl_fail(EGLint error); /* EGL_FALSE */
EGLBoolean xg_egl_ok(void);           /* EGL_TRUE, EGL_SUCCESS */

/* display.c: each looks a handle up and checks it; on failure it sets the error and returns
 * NULL. */
struct xg_egl_display *xg_egl_display_find(EGLDisplay dpy);
struct xg_egl_display *xg_egl_display_ready(EGLDisplay dpy);
const struct xg_egl_config *xg_egl_config_find(const struct xg_egl_display *d, EGLConfig config);
/* Returns its handle. */
void *xg_egl_object_add(struct xg_egl_display *d, struct xg_egl_object *o, enum xg_egl_kind kind);
/* NULL (no error is set): the handle is not this display's, or of another kind. `take`: also
 * removes it from the list. */
void *xg_egl_object_get(struct xg_egl_display *d, void *handle, enum xg_egl_kind kind, bool take);
/* Whether the window has a surface already. */
bool xg_egl_window_used(struct xg_egl_display *d, uint32_t window);
EGLDisplay xg_egl_platform_display(EGLenum platform, void *native, const EGLAttrib *attributes);

/* platform.c */
/* The platform of eglGetDisplay(EGL_DEFAULT_DISPLAY). */
EGLenum xg_egl_platform_default(void);
/* The platform of what eglGetDisplay was given, if that is ours to know; EGL_NONE leaves it to
 * glvnd. */
EGLenum xg_egl_platform_find(void *native);
/* Whether displays can be on it; if not, a line on stderr says why. */
bool xg_egl_platform_served(EGLenum platform);

/* device.c */
bool xg_egl_device_valid(const void *device);

/* config.c */
int xg_egl_configs_build(struct xg_egl_display *d);
bool xg_egl_config_get(const struct xg_egl_display *d, const struct xg_egl_config *c,
                       EGLint attribute, EGLint *value);

/* context.c, surface.c, sync.c: for eglTerminate. The object has been removed from the list. */
void xg_egl_context_drop(struct xg_egl_context *x);
void xg_egl_surface_drop(struct xg_egl_surface *f);
void xg_egl_sync_drop(struct xg_egl_sync *y);

/* dispatch.c */
void *xg_egl_dispatch_address(const char *name);
void xg_egl_dispatch_set_index(const char *name, int index);

/* --- the calls, named like libEGL's except for the prefix ------------------------------------- */

EGLBoolean xg_egl_QueryDevicesEXT(EGLint max, EGLDeviceEXT *devices, EGLint *count);
EGLBoolean xg_egl_QueryDeviceAttribEXT(EGLDeviceEXT device, EGLint attribute, EGLAttrib *value);
const char *xg_egl_QueryDeviceStringEXT(EGLDeviceEXT device, EGLint name);
EGLBoolean xg_egl_QueryDisplayAttribEXT(EGLDisplay dpy, EGLint attribute, EGLAttrib *value);

EGLBoolean xg_egl_Initialize(EGLDisplay dpy, EGLint *major, EGLint *minor);
EGLBoolean xg_egl_Terminate(EGLDisplay dpy);
const char *xg_egl_QueryString(EGLDisplay dpy, EGLint name);
EGLint xg_egl_GetError(void);
EGLBoolean xg_egl_GetConfigs(EGLDisplay dpy, EGLConfig *configs, EGLint size, EGLint *count);
EGLBoolean xg_egl_ChooseConfig(EGLDisplay dpy, const EGLint *list, EGLConfig *configs, EGLint size,
                               EGLint *count);
EGLBoolean xg_egl_GetConfigAttrib(EGLDisplay dpy, EGLConfig config, EGLint attribute,
                                  EGLint *value);

EGLContext xg_egl_CreateContext(EGLDisplay dpy, EGLConfig config, EGLContext share,
                                const EGLint *list);
EGLBoolean xg_egl_DestroyContext(EGLDisplay dpy, EGLContext context);
EGLBoolean xg_egl_MakeCurrent(EGLDisplay dpy, EGLSurface draw, EGLSurface read, EGLContext context);
EGLBoolean xg_egl_QueryContext(EGLDisplay dpy, EGLContext context, EGLint attribute, EGLint *value);
EGLBoolean xg_egl_ReleaseThread(void);
EGLBoolean xg_egl_WaitClient(void);
EGLBoolean xg_egl_WaitGL(void);
EGLBoolean xg_egl_WaitNative(EGLint engine);

EGLSurface xg_egl_CreateWindowSurface(EGLDisplay dpy, EGLConfig config, EGLNativeWindowType window,
                                      const EGLint *list);
EGLSurface xg_egl_CreatePlatformWindowSurface(EGLDisplay dpy, EGLConfig config, void *window,
                                              const EGLAttrib *list);
EGLSurface xg_egl_CreatePlatformWindowSurfaceEXT(EGLDisplay dpy, EGLConfig config, void *window,
                                                 const EGLint *list);
EGLSurface xg_egl_CreatePbufferSurface(EGLDisplay dpy, EGLConfig config, const EGLint *list);
EGLSurface xg_egl_CreatePixmapSurface(EGLDisplay dpy, EGLConfig config, EGLNativePixmapType pixmap,
                                      const EGLint *list);
EGLSurface xg_egl_CreatePlatformPixmapSurface(EGLDisplay dpy, EGLConfig config, void *pixmap,
                                              const EGLAttrib *list);
EGLSurface xg_egl_CreatePlatformPixmapSurfaceEXT(EGLDisplay dpy, EGLConfig config, void *pixmap,
                                                 const EGLint *list);
EGLSurface xg_egl_CreatePbufferFromClientBuffer(EGLDisplay dpy, EGLenum type,
                                                EGLClientBuffer buffer, EGLConfig config,
                                                const EGLint *list);
EGLBoolean xg_egl_DestroySurface(EGLDisplay dpy, EGLSurface surface);
EGLBoolean xg_egl_QuerySurface(EGLDisplay dpy, EGLSurface surface, EGLint attribute, EGLint *value);
EGLBoolean xg_egl_SurfaceAttrib(EGLDisplay dpy, EGLSurface surface, EGLint attribute, EGLint value);
EGLBoolean xg_egl_BindTexImage(EGLDisplay dpy, EGLSurface surface, EGLint buffer);
EGLBoolean xg_egl_ReleaseTexImage(EGLDisplay dpy, EGLSurface surface, EGLint buffer);
EGLBoolean xg_egl_CopyBuffers(EGLDisplay dpy, EGLSurface surface, EGLNativePixmapType target);
EGLBoolean xg_egl_SwapBuffers(EGLDisplay dpy, EGLSurface surface);
EGLBoolean xg_egl_SwapInterval(EGLDisplay dpy, EGLint interval);

EGLSync xg_egl_CreateSync(EGLDisplay dpy, EGLenum type, const EGLAttrib *list);
EGLSync xg_egl_CreateSyncKHR(EGLDisplay dpy, EGLenum type, const EGLint *list);
EGLBoolean xg_egl_DestroySync(EGLDisplay dpy, EGLSync sync);
EGLint xg_egl_ClientWaitSync(EGLDisplay dpy, EGLSync sync, EGLint flags, EGLTime timeout);
EGLBoolean xg_egl_WaitSync(EGLDisplay dpy, EGLSync sync, EGLint flags);
EGLint xg_egl_WaitSyncKHR(EGLDisplay dpy, EGLSync sync, EGLint flags);
EGLBoolean xg_egl_GetSyncAttrib(EGLDisplay dpy, EGLSync sync, EGLint attribute, EGLAttrib *value);
EGLBoolean xg_egl_GetSyncAttribKHR(EGLDisplay dpy, EGLSync sync, EGLint attribute, EGLint *value);
EGLImage xg_egl_CreateImage(EGLDisplay dpy, EGLContext context, EGLenum target,
                            EGLClientBuffer buffer, const EGLAttrib *list);
EGLBoolean xg_egl_DestroyImage(EGLDisplay dpy, EGLImage image);

#endif
