/* Looks at a pGPU's devices. Runs in a short-lived child: the broker itself opens no GPU. */
#include "backend/broker/broker.h"

#include <EGL/egl.h>
#include <EGL/eglext.h>
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define GL_VERSION_NAME  0x1F02
#define GL_RENDERER_NAME 0x1F01

/* --- OpenGL ----------------------------------------------------------------------------------- */

struct egl {
    __typeof__(eglGetProcAddress) *get;
    __typeof__(eglGetPlatformDisplay) *platform_display;
    __typeof__(eglInitialize) *initialize;
    __typeof__(eglBindAPI) *bind;
    __typeof__(eglChooseConfig) *choose;
    __typeof__(eglCreateContext) *create;
    __typeof__(eglMakeCurrent) *current;
    __typeof__(eglQueryString) *query;
    PFNEGLQUERYDEVICESEXTPROC devices;
    PFNEGLQUERYDEVICESTRINGEXTPROC device_string;
};

static bool egl_load(struct egl *e)
{
    void *so = dlopen("libEGL.so.1", RTLD_NOW);
    if (!so)
        return false;
    e->get = (__typeof__(e->get))dlsym(so, "eglGetProcAddress");
    e->initialize = (__typeof__(e->initialize))dlsym(so, "eglInitialize");
    e->bind = (__typeof__(e->bind))dlsym(so, "eglBindAPI");
    e->choose = (__typeof__(e->choose))dlsym(so, "eglChooseConfig");
    e->create = (__typeof__(e->create))dlsym(so, "eglCreateContext");
    e->current = (__typeof__(e->current))dlsym(so, "eglMakeCurrent");
    e->query = (__typeof__(e->query))dlsym(so, "eglQueryString");
    if (!e->get || !e->initialize || !e->bind || !e->choose || !e->create || !e->current ||
        !e->query)
        return false;
    e->platform_display = (__typeof__(e->platform_display))e->get("eglGetPlatformDisplay");
    e->devices = (PFNEGLQUERYDEVICESEXTPROC)e->get("eglQueryDevicesEXT");
    e->device_string = (PFNEGLQUERYDEVICESTRINGEXTPROC)e->get("eglQueryDeviceStringEXT");
    return e->platform_display != NULL;
}

static EGLDisplay display_try(struct egl *e, EGLenum platform, void *native)
{
    EGLDisplay d = e->platform_display(platform, native, NULL);
    EGLint major, minor;
    return d != EGL_NO_DISPLAY && e->initialize(d, &major, &minor) ? d : EGL_NO_DISPLAY;
}

static bool device_matches(struct egl *e, EGLDeviceEXT d, int index, const char *which)
{
    char *end;
    const char *ext = e->device_string(d, EGL_EXTENSIONS), *file;
    if (!which)
        return !ext || !strstr(ext, "EGL_MESA_device_software");
    if (strtol(which, &end, 10) == index && end != which && !*end)
        return true;
    if (ext && strstr(ext, "EGL_EXT_device_drm_render_node") &&
        (file = e->device_string(d, EGL_DRM_RENDER_NODE_FILE_EXT)) && !strcmp(file, which))
        return true;
    return ext && strstr(ext, "EGL_EXT_device_drm") &&
           (file = e->device_string(d, EGL_DRM_DEVICE_FILE_EXT)) && !strcmp(file, which);
}

/* The order of choice is the workers' (backend/wsi). */
static EGLDisplay display_device(struct egl *e, const char *which)
{
    EGLDeviceEXT list[32];
    EGLint n = 0;
    if (!e->devices || !e->device_string || !e->devices(32, list, &n))
        return EGL_NO_DISPLAY;
    for (EGLint i = 0; i < n; i++) {
        EGLDisplay d = device_matches(e, list[i], i, which)
                           ? display_try(e, EGL_PLATFORM_DEVICE_EXT, list[i])
                           : EGL_NO_DISPLAY;
        if (d != EGL_NO_DISPLAY)
            return d;
    }
    return EGL_NO_DISPLAY;
}

static EGLDisplay display_open(struct egl *e, const char *which)
{
    EGLDisplay d;
    if (!strcmp(which, "surfaceless"))
        return display_try(e, EGL_PLATFORM_SURFACELESS_MESA, EGL_DEFAULT_DISPLAY);
    if (*which)
        return display_device(e, which);
    d = display_device(e, NULL);
    if (d == EGL_NO_DISPLAY)
        d = display_try(e, EGL_PLATFORM_SURFACELESS_MESA, EGL_DEFAULT_DISPLAY);
    return d == EGL_NO_DISPLAY ? display_device(e, "0") : d;
}

static void probe_gl(const struct xg_device_config *device, struct xg_probe_result *out)
{
    static const EGLint attributes[] = {EGL_SURFACE_TYPE, EGL_PBUFFER_BIT, EGL_RENDERABLE_TYPE,
                                        EGL_OPENGL_BIT, EGL_NONE};
    struct egl e = {0};
    EGLConfig config;
    EGLint n = 0;
    if (device->egl_vendor[0])
        setenv("__EGL_VENDOR_LIBRARY_FILENAMES", device->egl_vendor, 1);
    if (!egl_load(&e)) {
        snprintf(out->gl_error, sizeof(out->gl_error),
                 "libEGL.so.1 cannot be loaded; install libegl1");
        return;
    }
    EGLDisplay d = display_open(&e, device->egl_device);
    if (d == EGL_NO_DISPLAY) {
        snprintf(out->gl_error, sizeof(out->gl_error), "no EGL display on '%.80s'",
                 device->egl_device[0] ? device->egl_device : "auto");
        return;
    }
    if (!e.bind(EGL_OPENGL_API) || !e.choose(d, attributes, &config, 1, &n) || n < 1) {
        snprintf(out->gl_error, sizeof(out->gl_error), "the EGL display has no OpenGL");
        return;
    }
    EGLContext c = e.create(d, config, EGL_NO_CONTEXT, NULL);
    if (c == EGL_NO_CONTEXT || !e.current(d, EGL_NO_SURFACE, EGL_NO_SURFACE, c)) {
        snprintf(out->gl_error, sizeof(out->gl_error), "no OpenGL context can be made");
        return;
    }
    const unsigned char *(*string)(unsigned) =
        (const unsigned char *(*)(unsigned))e.get("glGetString");
    const char *renderer = string ? (const char *)string(GL_RENDERER_NAME) : NULL;
    const char *version = string ? (const char *)string(GL_VERSION_NAME) : NULL;
    snprintf(out->renderer, sizeof(out->renderer), "%s", renderer ? renderer : "?");
    snprintf(out->gl_version, sizeof(out->gl_version), "%s", version ? version : "?");
}

/* --- CUDA ------------------------------------------------------------------------------------- */

/* Loads a libcuda.so.1; never this project's own for guests, which may be in the library path. */
static void *cuda_load(const char *path, struct xg_probe_result *out)
{
    char real[PATH_MAX], ours[PATH_MAX];
    void *so = dlopen(path, RTLD_NOW), *init = so ? dlsym(so, "cuInit") : NULL;
    Dl_info info;
    if (!init || !dladdr(init, &info) || !realpath(info.dli_fname, real)) {
        snprintf(out->cuda_error, sizeof(out->cuda_error), "%.100s cannot be loaded", path);
        return NULL;
    }
    if (realpath(xg_options.library_dir, ours)) {
        size_t n = strlen(ours);
        if (!strncmp(real, ours, n) && real[n] == '/' && !strchr(real + n + 1, '/'))
            return NULL;
    }
    if (strlen(*path == '/' ? path : real) >= sizeof(out->cuda_library)) {
        snprintf(out->cuda_error, sizeof(out->cuda_error), "the path of %.64s is too long", path);
        return NULL;
    }
    strcpy(out->cuda_library, *path == '/' ? path : real);
    return so;
}

static bool probe_cuda_library(const char *path, int ordinal, struct xg_probe_result *out)
{
    int count = 0, device;
    size_t memory = 0;
    void *so = cuda_load(path, out);
    if (!so)
        return false;
    int (*init)(unsigned) = (int (*)(unsigned))dlsym(so, "cuInit");
    int (*version)(int *) = (int (*)(int *))dlsym(so, "cuDriverGetVersion");
    int (*get_count)(int *) = (int (*)(int *))dlsym(so, "cuDeviceGetCount");
    int (*get)(int *, int) = (int (*)(int *, int))dlsym(so, "cuDeviceGet");
    int (*name)(char *, int, int) = (int (*)(char *, int, int))dlsym(so, "cuDeviceGetName");
    int (*total)(size_t *, int) = (int (*)(size_t *, int))dlsym(so, "cuDeviceTotalMem_v2");
    int (*attribute)(int *, int, int) = (int (*)(int *, int, int))dlsym(so, "cuDeviceGetAttribute");
    if (!init || !version || !get_count || !get || !name || !total || !attribute) {
        snprintf(out->cuda_error, sizeof(out->cuda_error), "%.90s is no CUDA driver", path);
        return false;
    }
    int err = init(0);
    if (err || get_count(&count) || ordinal >= count || get(&device, ordinal)) {
        snprintf(out->cuda_error, sizeof(out->cuda_error),
                 "%.64s: no device %d (cuInit: %d, devices: %d)", path, ordinal, err, count);
        return false;
    }
    name(out->cuda_name, sizeof(out->cuda_name) - 1, device);
    total(&memory, device);
    out->cuda_memory = memory;
    version(&out->cuda_version);
    attribute(&out->cuda_major, 75,
              device); /* CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, _MINOR */
    attribute(&out->cuda_minor, 76, device);
    out->cuda_error[0] = 0;
    return true;
}

static void probe_cuda(const struct xg_device_config *device, struct xg_probe_result *out)
{
    char soft[512];
    snprintf(soft, sizeof(soft), "%s/softcuda/libcuda.so.1", xg_options.library_dir);
    bool automatic = !strcmp(device->cuda_library, "auto");
    const char *path = automatic ? "libcuda.so.1" : device->cuda_library;
    if (!strcmp(path, "softcuda"))
        path = soft;
    if (probe_cuda_library(path, device->cuda_ordinal, out) || !automatic)
        return;
    out->cuda_library[0] = out->cuda_name[0] = 0;
    probe_cuda_library(soft, 0, out);
}

static void show(int pipe, const struct xg_probe_result *r)
{
    ssize_t n = write(pipe, r, sizeof(*r)); /* less than PIPE_BUF: whole, or not at all */
    (void)n;
}

void xg_probe(const struct xg_device_config *device, int pipe)
{
    static const char ended[] =
        "no answer: the driver ended or stopped the process that looked at it";
    struct xg_probe_result r = {0};
    if (device->gl)
        strcpy(r.gl_error, ended);
    if (device->cuda_library[0])
        strcpy(r.cuda_error, ended);
    show(pipe, &r);
    if (device->gl) {
        r.gl_error[0] = 0;
        probe_gl(device, &r);
        show(pipe, &r);
    }
    if (device->cuda_library[0]) {
        r.cuda_error[0] = 0;
        probe_cuda(device, &r);
    }
    if (!r.cuda_name[0])
        r.cuda_library[0] = 0;
    r.complete = true;
    show(pipe, &r);
}
