/* Opens the host's EGL on the device that the configuration names. */
#include "backend/wsi/wsi.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

bool xg_wsir_extension_in(const char *list, const char *name)
{
    size_t n = strlen(name);
    for (const char *p = list; p && (p = strstr(p, name)); p += n)
        if ((p == list || p[-1] == ' ') && (p[n] == ' ' || p[n] == 0))
            return true;
    return false;
}

static int egl_load(struct wsi_state *s)
{
    struct xg_egl *e = &s->egl;

    s->library = dlopen("libEGL.so.1", RTLD_NOW | RTLD_LOCAL);
    if (!s->library) {
        xg_worker_log(s->worker, "OpenGL: libEGL.so.1 cannot be opened (%s); install libegl1",
                      dlerror());
        return -ENODEV;
    }
#define X(type, name)                                                                              \
    if (!(e->name = (type)dlsym(s->library, "egl" #name)))                                         \
        goto incomplete;
    XG_EGL_FUNCTIONS(X)
#undef X
    e->GetPlatformDisplay =
        (PFNEGLGETPLATFORMDISPLAYEXTPROC)e->GetProcAddress("eglGetPlatformDisplayEXT");
    e->QueryDevices = (PFNEGLQUERYDEVICESEXTPROC)e->GetProcAddress("eglQueryDevicesEXT");
    e->QueryDeviceString =
        (PFNEGLQUERYDEVICESTRINGEXTPROC)e->GetProcAddress("eglQueryDeviceStringEXT");
    if (e->GetPlatformDisplay)
        return 0;
incomplete:
    xg_worker_log(s->worker,
                  "OpenGL: libEGL.so.1 is too old: EGL 1.4 with EGL_EXT_platform_base is needed");
    return -ENODEV;
}

static EGLDisplay display_try(struct wsi_state *s, EGLenum platform, void *native)
{
    EGLint major, minor;
    EGLDisplay d = s->egl.GetPlatformDisplay(platform, native, NULL);
    return d != EGL_NO_DISPLAY && s->egl.Initialize(d, &major, &minor) ? d : EGL_NO_DISPLAY;
}

static bool device_is_software(struct wsi_state *s, EGLDeviceEXT d)
{
    return xg_wsir_extension_in(s->egl.QueryDeviceString(d, EGL_EXTENSIONS),
                                "EGL_MESA_device_software");
}

static bool device_is(struct wsi_state *s, EGLDeviceEXT d, const char *path)
{
    const char *ext = s->egl.QueryDeviceString(d, EGL_EXTENSIONS);
    const char *f;

    if (xg_wsir_extension_in(ext, "EGL_EXT_device_drm_render_node") &&
        (f = s->egl.QueryDeviceString(d, EGL_DRM_RENDER_NODE_FILE_EXT)) && strcmp(f, path) == 0)
        return true;
    return xg_wsir_extension_in(ext, "EGL_EXT_device_drm") &&
           (f = s->egl.QueryDeviceString(d, EGL_DRM_DEVICE_FILE_EXT)) && strcmp(f, path) == 0;
}

/* `which`: an index, a DRM node, or NULL for the first one that is not software. */
static EGLDisplay display_of_device(struct wsi_state *s, const char *which)
{
    EGLDeviceEXT list[32];
    EGLint n = 0;
    char *end = NULL;
    long index = which ? strtol(which, &end, 10) : -1;
    bool by_index = which && *which && !*end;

    if (!s->egl.QueryDevices || !s->egl.QueryDeviceString || !s->egl.QueryDevices(32, list, &n))
        return EGL_NO_DISPLAY;
    for (EGLint i = 0; i < n; i++) {
        bool match = by_index ? i == index
                     : which  ? device_is(s, list[i], which)
                              : !device_is_software(s, list[i]);
        EGLDisplay d = match ? display_try(s, EGL_PLATFORM_DEVICE_EXT, list[i]) : EGL_NO_DISPLAY;
        if (d != EGL_NO_DISPLAY)
            return d;
    }
    return EGL_NO_DISPLAY;
}

static EGLDisplay display_surfaceless(struct wsi_state *s)
{
    if (!xg_wsir_extension_in(s->egl.QueryString(EGL_NO_DISPLAY, EGL_EXTENSIONS),
                              "EGL_MESA_platform_surfaceless"))
        return EGL_NO_DISPLAY;
    return display_try(s, EGL_PLATFORM_SURFACELESS_MESA, EGL_DEFAULT_DISPLAY);
}

static int configs_read(struct wsi_state *s)
{
    EGLint n = 0, count = 0;

    if (!s->egl.GetConfigs(s->display, NULL, 0, &n) || n <= 0)
        return -ENODEV;
    s->handles = calloc((size_t)n, sizeof(*s->handles));
    s->configs = calloc((size_t)n, sizeof(*s->configs));
    if (!s->handles || !s->configs)
        return -ENOMEM;
    s->egl.GetConfigs(s->display, s->handles, n, &n);
    for (EGLint i = 0; i < n; i++) {
        struct xg_wsi_config *c = &s->configs[count];
        EGLConfig h = s->handles[i];
        EGLint v = 0;
#define GET(attribute) (v = 0, s->egl.GetConfigAttrib(s->display, h, attribute, &v), v)
        if (!(GET(EGL_SURFACE_TYPE) & EGL_PBUFFER_BIT) ||
            GET(EGL_COLOR_BUFFER_TYPE) != EGL_RGB_BUFFER)
            continue;
        c->id = (uint32_t)GET(EGL_CONFIG_ID);
        c->red = (uint8_t)GET(EGL_RED_SIZE);
        c->green = (uint8_t)GET(EGL_GREEN_SIZE);
        c->blue = (uint8_t)GET(EGL_BLUE_SIZE);
        c->alpha = (uint8_t)GET(EGL_ALPHA_SIZE);
        c->depth = (uint8_t)GET(EGL_DEPTH_SIZE);
        c->stencil = (uint8_t)GET(EGL_STENCIL_SIZE);
        c->samples = (uint8_t)GET(EGL_SAMPLES);
        c->sample_buffers = (uint8_t)GET(EGL_SAMPLE_BUFFERS);
        c->renderable = (uint32_t)GET(EGL_RENDERABLE_TYPE);
        c->caveat = (uint32_t)GET(EGL_CONFIG_CAVEAT);
        c->flags =
            c->red > 10 || GET(EGL_COLOR_COMPONENT_TYPE_EXT) == EGL_COLOR_COMPONENT_TYPE_FLOAT_EXT
                ? XG_WSI_CONFIG_FLOAT
                : 0;
        s->handles[count++] = h;
#undef GET
    }
    s->info.config_count = (uint32_t)count;
    return count ? 0 : -ENODEV;
}

const struct xg_wsi_config *xg_wsir_config_find(const struct wsi_state *s, uint32_t id,
                                                EGLConfig *handle)
{
    for (uint32_t i = 0; i < s->info.config_count; i++)
        if (s->configs[i].id == id) {
            *handle = s->handles[i];
            return &s->configs[i];
        }
    return NULL;
}

int xg_wsir_display_open(struct wsi_state *s, const struct xg_device_config *dev)
{
    if (dev->egl_vendor[0])
        setenv("__EGL_VENDOR_LIBRARY_FILENAMES", dev->egl_vendor, 1);
    else
        unsetenv(
            "__EGL_VENDOR_LIBRARY_FILENAMES"); /* never the guest's side of this very project */
    int err = egl_load(s);
    if (err)
        return err;

    s->display = EGL_NO_DISPLAY;
    if (dev->egl_device[0] == 0) {
        s->display = display_of_device(s, NULL);
        if (s->display == EGL_NO_DISPLAY)
            s->display = display_surfaceless(s);
        if (s->display == EGL_NO_DISPLAY)
            s->display = display_of_device(s, "0");
    } else if (strcmp(dev->egl_device, "surfaceless") == 0) {
        s->display = display_surfaceless(s);
    } else {
        s->display = display_of_device(s, dev->egl_device);
    }
    if (s->display == EGL_NO_DISPLAY) {
        xg_worker_log(
            s->worker,
            "OpenGL: no EGL display on device '%s' of pgpu %s (egl_device in the configuration: "
            "\"surfaceless\", a DRM node, or an index)",
            dev->egl_device[0] ? dev->egl_device : "automatic", dev->name);
        return -ENODEV;
    }

    xg_glr_load((void *(*)(const char *))s->egl.GetProcAddress);
    const char *ext = s->egl.QueryString(s->display, EGL_EXTENSIONS);
    if (xg_wsir_extension_in(ext, "EGL_KHR_fence_sync")) {
        s->egl.CreateSync = (PFNEGLCREATESYNCKHRPROC)s->egl.GetProcAddress("eglCreateSyncKHR");
        s->egl.DestroySync = (PFNEGLDESTROYSYNCKHRPROC)s->egl.GetProcAddress("eglDestroySyncKHR");
        s->egl.ClientWaitSync =
            (PFNEGLCLIENTWAITSYNCKHRPROC)s->egl.GetProcAddress("eglClientWaitSyncKHR");
    }
    if (xg_wsir_extension_in(ext, "EGL_KHR_wait_sync"))
        s->egl.WaitSync = (PFNEGLWAITSYNCKHRPROC)s->egl.GetProcAddress("eglWaitSyncKHR");
    err = configs_read(s);
    if (err)
        xg_worker_log(s->worker, "OpenGL: the EGL display has no usable configuration");
    return err ? err : xg_wsir_info_fill(s);
}

void xg_wsir_display_close(struct wsi_state *s)
{
    if (s->display != EGL_NO_DISPLAY)
        s->egl.Terminate(s->display);
    free(s->configs);
    free(s->handles);
    /* The library stays: drivers leave threads and destructors behind. */
}
