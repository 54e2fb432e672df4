/* Looks at one API of a pGPU. Runs in a short-lived child: the broker itself opens no GPU. The
 * child tells each step before it takes it, since the driver may never return from it. */
#include "backend/broker/probe.h"
#include "backend/platform/egl.h"

#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define GL_VERSION_NAME  0x1F02
#define GL_RENDERER_NAME 0x1F01

static int result_pipe;
static struct xg_probe_result result;
static const char *library_dir; /* where softcuda/ and the like are */

static void result_send(void)
{
    /* Shorter than PIPE_BUF, so it is written whole or not at all. */
    ssize_t n = write(result_pipe, &result, sizeof(result));
    (void)n;
}

static void step_begin(const char *fmt, ...) XG_PRINTF(1, 2);
static void step_begin(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(result.doing, sizeof(result.doing), fmt, ap);
    va_end(ap);
    result_send();
}

static void error_set(const char *fmt, ...) XG_PRINTF(1, 2);
static void error_set(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(result.error, sizeof(result.error), fmt, ap);
    va_end(ap);
}

/* NULL: result.error says why. `hint`: what to say if the library is not there. */
static void *library_load(const char *path, const char *hint)
{
    step_begin("loading %.80s", path);
    void *so = dlopen(path, RTLD_NOW);
    const char *why = so ? NULL : dlerror();
    if (so)
        return so;
    size_t n = strlen(path);
    if (why && !strncmp(why, path, n) && strstr(why + n, strerror(ENOENT)))
        error_set("library not found: %.150s%s", path, hint);
    else
        error_set("%.100s cannot be loaded: %.120s", path, why ? why : "?");
    return NULL;
}

/* --- OpenGL ----------------------------------------------------------------------------------- */

struct egl {
    __typeof__(eglGetProcAddress) *get;
    __typeof__(eglBindAPI) *bind;
    __typeof__(eglChooseConfig) *choose;
    __typeof__(eglCreateContext) *create;
    __typeof__(eglMakeCurrent) *current;
    struct xg_egl_entry entry;
};

static bool egl_load(struct egl *e)
{
    void *so = library_load("libEGL.so.1", "; install libegl1");
    if (!so)
        return false;
    e->get = (__typeof__(e->get))dlsym(so, "eglGetProcAddress");
    e->bind = (__typeof__(e->bind))dlsym(so, "eglBindAPI");
    e->choose = (__typeof__(e->choose))dlsym(so, "eglChooseConfig");
    e->create = (__typeof__(e->create))dlsym(so, "eglCreateContext");
    e->current = (__typeof__(e->current))dlsym(so, "eglMakeCurrent");
    if (!e->get || !e->bind || !e->choose || !e->create || !e->current) {
        error_set("libEGL.so.1 lacks functions of EGL 1.4");
        return false;
    }
    step_begin("eglGetProcAddress");
    if (xg_egl_entry_load(&e->entry, so))
        return true;
    error_set("libEGL.so.1 has no eglGetPlatformDisplayEXT");
    return false;
}

static void probe_gl(const struct xg_device_config *device)
{
    static const EGLint attributes[] = {EGL_SURFACE_TYPE, EGL_PBUFFER_BIT, EGL_RENDERABLE_TYPE,
                                        EGL_OPENGL_BIT, EGL_NONE};
    struct egl e = {0};
    EGLConfig config;
    EGLint n = 0;
    struct xg_egl_choice choice;
    xg_egl_vendor_set(device);
    if (!egl_load(&e))
        return;
    step_begin("eglInitialize");
    xg_egl_display_choose(&e.entry, device, &choice);
    EGLDisplay d = choice.display;
    if (d == EGL_NO_DISPLAY) {
        error_set("no EGL display on '%.80s'%s%.100s",
                  device->egl_device[0] ? device->egl_device : "auto", choice.why[0] ? ": " : "",
                  choice.why);
        return;
    }
    if (!e.bind(EGL_OPENGL_API) || !e.choose(d, attributes, &config, 1, &n) || n < 1) {
        error_set("the EGL display has no OpenGL");
        return;
    }
    step_begin("eglCreateContext");
    EGLContext c = e.create(d, config, EGL_NO_CONTEXT, NULL);
    if (c == EGL_NO_CONTEXT || !e.current(d, EGL_NO_SURFACE, EGL_NO_SURFACE, c)) {
        error_set("no OpenGL context can be made");
        return;
    }
    const unsigned char *(*string)(unsigned) =
        (const unsigned char *(*)(unsigned))e.get("glGetString");
    const char *renderer = string ? (const char *)string(GL_RENDERER_NAME) : NULL;
    const char *version = string ? (const char *)string(GL_VERSION_NAME) : NULL;
    snprintf(result.renderer, sizeof(result.renderer), "%s", renderer ? renderer : "?");
    snprintf(result.gl_version, sizeof(result.gl_version), "%s", version ? version : "?");
    result.software = xg_egl_renders_on_cpu(result.renderer);
}

/* --- CUDA ------------------------------------------------------------------------------------- */

/* Loads a libcuda.so.1, but never our own library for guests, which may be in the library path. */
static void *cuda_load(const char *path)
{
    char real[PATH_MAX], ours[PATH_MAX];
    void *so = library_load(path, ""), *init = so ? dlsym(so, "cuInit") : NULL;
    Dl_info info;
    if (!so)
        return NULL;
    if (!init || !dladdr(init, &info) || !realpath(info.dli_fname, real)) {
        error_set("%.100s is no CUDA driver", path);
        return NULL;
    }
    if (realpath(library_dir, ours)) {
        size_t n = strlen(ours);
        if (!strncmp(real, ours, n) && real[n] == '/' && !strchr(real + n + 1, '/')) {
            error_set("%.100s is xengpu's own library for guests, no CUDA driver", path);
            return NULL;
        }
    }
    if (strlen(*path == '/' ? path : real) >= sizeof(result.cuda_library)) {
        error_set("the path of %.64s is too long", path);
        return NULL;
    }
    strcpy(result.cuda_library, *path == '/' ? path : real);
    return so;
}

/* Workers need this function, which came with CUDA 12.4. */
#define NEWEST_FUNCTION "cuFuncGetParamInfo"

/* Which of the files that NVIDIA's driver needs is missing; a worker could not make it. "": none,
 * or there is no such driver. */
static const char *nvidia_lacks(void)
{
    static const struct {
        const char *path, *hint;
    } needed[] = {
        {"/dev/nvidiactl",
         "; /dev/nvidiactl is not there: 'nvidia-modprobe -c 0' as root makes it"},
        {"/dev/nvidia-uvm",
         "; /dev/nvidia-uvm is not there: 'nvidia-modprobe -u -c 0' as root makes it"},
    };
    if (access("/proc/driver/nvidia/version", F_OK))
        return access("/dev/nvidiactl", F_OK) ? "" : "; NVIDIA's kernel module is not loaded";
    for (unsigned i = 0; i < XG_ARRAY_LEN(needed); i++)
        if (access(needed[i].path, F_OK))
            return needed[i].hint;
    return access("/dev/nvidiactl", R_OK | W_OK)
               ? "; this user may not open /dev/nvidiactl: see NVreg_DeviceFileMode of the module"
               : "";
}

static bool probe_cuda_library(const char *path, int ordinal)
{
    int count = 0, device;
    size_t memory = 0;
    void *so = cuda_load(path);
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
        error_set("%.90s is no CUDA driver", path);
        return false;
    }
    step_begin("cuInit of %.80s", path);
    int err = init(0);
    if (err || get_count(&count) || ordinal >= count || get(&device, ordinal)) {
        error_set("%.64s: no device %d (cuInit: %d, devices: %d)%s", path, ordinal, err, count,
                  nvidia_lacks());
        return false;
    }
    name(result.cuda_name, sizeof(result.cuda_name) - 1, device);
    total(&memory, device);
    result.cuda_memory = memory;
    version(&result.cuda_version);
    if (!dlsym(so, NEWEST_FUNCTION)) {
        error_set(
            "%.64s is too old: it is for CUDA %d.%d, and 12.4 is needed (a driver of 550 or later)",
            path, result.cuda_version / 1000, result.cuda_version % 1000 / 10);
        result.cuda_name[0] = 0;
        return false;
    }
    attribute(&result.cuda_mode, 20, device);    /* CU_DEVICE_ATTRIBUTE_COMPUTE_MODE */
    attribute(&result.cuda_reaches, 88, device); /* CU_DEVICE_ATTRIBUTE_PAGEABLE_MEMORY_ACCESS */
    attribute(&result.cuda_major, 75,
              device); /* CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, _MINOR */
    attribute(&result.cuda_minor, 76, device);
    result.error[0] = 0;
    return true;
}

static bool same_file(const char *a, const char *b)
{
    char real_a[PATH_MAX], real_b[PATH_MAX];
    return realpath(a, real_a) && realpath(b, real_b) && !strcmp(real_a, real_b);
}

static void probe_cuda(const struct xg_device_config *device)
{
    char soft[512];
    snprintf(soft, sizeof(soft), "%s/softcuda/libcuda.so.1", library_dir);
    bool automatic = !strcmp(device->cuda_library, "auto");
    const char *path = automatic ? "libcuda.so.1" : device->cuda_library;
    if (!strcmp(path, "softcuda"))
        path = soft;
    if (!probe_cuda_library(path, device->cuda_ordinal) && automatic) {
        result.cuda_library[0] = result.cuda_name[0] = 0;
        probe_cuda_library(soft, 0);
    }
    if (result.cuda_name[0])
        result.software = same_file(result.cuda_library, soft);
    else
        result.cuda_library[0] = 0;
}

void xg_probe(enum xg_probe_api api, const struct xg_device_config *device, const char *libraries,
              int pipe)
{
    library_dir = libraries;
    result_pipe = pipe;
    step_begin("starting");
    if (api == XG_PROBE_GL)
        probe_gl(device);
    else
        probe_cuda(device);
    result.complete = true;
    result_send();
}
