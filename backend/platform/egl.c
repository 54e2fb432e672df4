#include "backend/platform/egl.h"

#include <dlfcn.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VENDOR_FILES "__EGL_VENDOR_LIBRARY_FILENAMES"
#define DEVICES_MAX  32

void xg_egl_vendor_set(const struct xg_device_config *dev)
{
    if (dev->egl_vendor[0])
        setenv(VENDOR_FILES, dev->egl_vendor, 1);
    else
        unsetenv(VENDOR_FILES);
}

bool xg_egl_entry_load(struct xg_egl_entry *e, void *so)
{
    PFNEGLGETPROCADDRESSPROC get = (PFNEGLGETPROCADDRESSPROC)dlsym(so, "eglGetProcAddress");

    e->query_string = (PFNEGLQUERYSTRINGPROC)dlsym(so, "eglQueryString");
    e->initialize = (PFNEGLINITIALIZEPROC)dlsym(so, "eglInitialize");
    if (!get || !e->query_string || !e->initialize)
        return false;
    e->platform_display = (PFNEGLGETPLATFORMDISPLAYEXTPROC)get("eglGetPlatformDisplayEXT");
    e->devices = (PFNEGLQUERYDEVICESEXTPROC)get("eglQueryDevicesEXT");
    e->device_string = (PFNEGLQUERYDEVICESTRINGEXTPROC)get("eglQueryDeviceStringEXT");
    e->device_attrib = (PFNEGLQUERYDEVICEATTRIBEXTPROC)get("eglQueryDeviceAttribEXT");
    if (!e->device_string || !e->device_attrib)
        e->devices = NULL;
    return e->platform_display != NULL;
}

bool xg_egl_extension_in(const char *list, const char *name)
{
    size_t n = strlen(name);
    for (const char *p = list; p && (p = strstr(p, name)); p += n)
        if ((p == list || p[-1] == ' ') && (p[n] == ' ' || p[n] == 0))
            return true;
    return false;
}

bool xg_egl_renders_on_cpu(const char *renderer)
{
    return strstr(renderer, "llvmpipe") || strstr(renderer, "softpipe") ||
           strstr(renderer, "SWR") || strstr(renderer, "Software Rasterizer");
}

/* --- one device ------------------------------------------------------------------------------- */

struct search {
    const struct xg_egl_entry *e;
    const struct xg_device_config *dev;
    EGLDeviceEXT list[DEVICES_MAX];
    bool tried[DEVICES_MAX];
    EGLint count;
    struct xg_egl_choice *choice;
};

static bool device_has(const struct search *s, EGLint i, const char *extension)
{
    return xg_egl_extension_in(s->e->device_string(s->list[i], EGL_EXTENSIONS), extension);
}

static bool device_is_software(const struct search *s, EGLint i)
{
    return device_has(s, i, "EGL_MESA_device_software");
}

/* CUDA counts devices in an order of its own; this is the driver's word for which is which. */
static bool device_is_cudas(const struct search *s, EGLint i)
{
    EGLAttrib ordinal = -1;

    return device_has(s, i, "EGL_NV_device_cuda") &&
           s->e->device_attrib(s->list[i], EGL_CUDA_DEVICE_NV, &ordinal) &&
           ordinal == s->dev->cuda_ordinal;
}

static bool file_is(const char *file, const char *path)
{
    char a[PATH_MAX], b[PATH_MAX];

    /* By another name too: /dev/dri/by-path says which PCI device it is. */
    return file && (strcmp(file, path) == 0 ||
                    (realpath(file, a) && realpath(path, b) && strcmp(a, b) == 0));
}

static bool device_is_file(const struct search *s, EGLint i, const char *path)
{
    return (device_has(s, i, "EGL_EXT_device_drm_render_node") &&
            file_is(s->e->device_string(s->list[i], EGL_DRM_RENDER_NODE_FILE_EXT), path)) ||
           (device_has(s, i, "EGL_EXT_device_drm") &&
            file_is(s->e->device_string(s->list[i], EGL_DRM_DEVICE_FILE_EXT), path));
}

/* --- displays --------------------------------------------------------------------------------- */

static EGLDisplay display_try(struct search *s, EGLenum platform, void *native, const char *what)
{
    EGLint major, minor;
    EGLDisplay d = s->e->platform_display(platform, native, NULL);
    char *why = s->choice->why;
    size_t n = strlen(why), size = sizeof(s->choice->why);

    if (d != EGL_NO_DISPLAY && s->e->initialize(d, &major, &minor))
        return d;
    snprintf(why + n, size - n, "%s%s %s", n ? ", " : "", what,
             d == EGL_NO_DISPLAY ? "has no display" : "cannot be initialised");
    return EGL_NO_DISPLAY;
}

static EGLDisplay device_try(struct search *s, EGLint i)
{
    const char *file = device_has(s, i, "EGL_EXT_device_drm")
                           ? s->e->device_string(s->list[i], EGL_DRM_DEVICE_FILE_EXT)
                           : NULL;
    char what[96];

    if (s->tried[i])
        return EGL_NO_DISPLAY;
    s->tried[i] = true;
    snprintf(what, sizeof(what), "EGL device %d%s%.60s", i, file ? ", " : "", file ? file : "");
    EGLDisplay d = display_try(s, EGL_PLATFORM_DEVICE_EXT, s->list[i], what);
    s->choice->is_cudas = d != EGL_NO_DISPLAY && device_is_cudas(s, i);
    return d;
}

static EGLDisplay display_surfaceless(struct search *s)
{
    if (!xg_egl_extension_in(s->e->query_string(EGL_NO_DISPLAY, EGL_EXTENSIONS),
                             "EGL_MESA_platform_surfaceless"))
        return EGL_NO_DISPLAY;
    return display_try(s, EGL_PLATFORM_SURFACELESS_MESA, EGL_DEFAULT_DISPLAY, "surfaceless");
}

static EGLDisplay display_named(struct search *s, const char *which)
{
    char *end;
    long index = strtol(which, &end, 10);
    EGLDisplay d = EGL_NO_DISPLAY;

    if (*end == '\0')
        return index >= 0 && index < s->count ? device_try(s, (EGLint)index) : EGL_NO_DISPLAY;
    for (EGLint i = 0; i < s->count && d == EGL_NO_DISPLAY; i++)
        if (device_is_file(s, i, which))
            d = device_try(s, i);
    return d;
}

/* The card that CUDA programs of this pGPU get, else any card, else what renders on the CPU. */
static EGLDisplay display_automatic(struct search *s)
{
    EGLDisplay d = EGL_NO_DISPLAY;

    for (EGLint i = 0; i < s->count && d == EGL_NO_DISPLAY; i++)
        if (device_is_cudas(s, i))
            d = device_try(s, i);
    for (EGLint i = 0; i < s->count && d == EGL_NO_DISPLAY; i++)
        if (!device_is_software(s, i))
            d = device_try(s, i);
    if (d == EGL_NO_DISPLAY)
        d = display_surfaceless(s);
    return d == EGL_NO_DISPLAY && s->count ? device_try(s, 0) : d;
}

void xg_egl_display_choose(const struct xg_egl_entry *e, const struct xg_device_config *dev,
                           struct xg_egl_choice *choice)
{
    struct search s = {.e = e, .dev = dev, .choice = choice};

    *choice = (struct xg_egl_choice){.display = EGL_NO_DISPLAY};
    if (strcmp(dev->egl_device, "surfaceless") == 0) {
        choice->display = display_surfaceless(&s);
        return;
    }
    if (e->devices && !e->devices(DEVICES_MAX, s.list, &s.count))
        s.count = 0;
    choice->display =
        dev->egl_device[0] ? display_named(&s, dev->egl_device) : display_automatic(&s);
}
