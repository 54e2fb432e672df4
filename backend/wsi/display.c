/* Opens the host's EGL on the device that the configuration names. */
#include "backend/wsi/wsi.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>

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
    if (xg_egl_entry_load(&s->entry, s->library))
        return 0;
incomplete:
    xg_worker_log(s->worker,
                  "OpenGL: libEGL.so.1 is too old: EGL 1.4 with EGL_EXT_platform_base is needed");
    return -ENODEV;
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
    struct xg_egl_choice choice;

    xg_egl_vendor_set(dev);
    int err = egl_load(s);
    if (err)
        return err;
    xg_egl_display_choose(&s->entry, dev, &choice);
    s->display = choice.display;
    s->is_cudas = choice.is_cudas && dev->cuda_library[0];
    if (s->display == EGL_NO_DISPLAY) {
        xg_worker_log(s->worker, "OpenGL: no EGL display on device '%s' of pgpu %s%s%s",
                      dev->egl_device[0] ? dev->egl_device : "auto", dev->name,
                      choice.why[0] ? ": " : "", choice.why);
        return -ENODEV;
    }
    if (choice.why[0])
        xg_worker_log(s->worker, "OpenGL: another device is used, as %s", choice.why);

    if (!xg_glr_load((void *(*)(const char *))s->egl.GetProcAddress))
        return -ENOMEM;
    const char *ext = s->egl.QueryString(s->display, EGL_EXTENSIONS);
    if (xg_egl_extension_in(ext, "EGL_KHR_fence_sync")) {
        s->egl.CreateSync = (PFNEGLCREATESYNCKHRPROC)s->egl.GetProcAddress("eglCreateSyncKHR");
        s->egl.DestroySync = (PFNEGLDESTROYSYNCKHRPROC)s->egl.GetProcAddress("eglDestroySyncKHR");
        s->egl.ClientWaitSync =
            (PFNEGLCLIENTWAITSYNCKHRPROC)s->egl.GetProcAddress("eglClientWaitSyncKHR");
    }
    if (xg_egl_extension_in(ext, "EGL_KHR_wait_sync"))
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
    /* the library stays open: drivers leave threads and destructors behind */
}
