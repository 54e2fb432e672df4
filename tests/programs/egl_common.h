/* Where the EGL test programs draw. XG_TEST_EGL says it: "device", the first EGL device that is a
 * GPU, or CUDA's device 0 where there are several, else the first of all; "surfaceless"; "x11".
 * Without it: surfaceless where EGL has that, else EGL's default display. */
#ifndef XG_TESTS_EGL_COMMON_H
#define XG_TESTS_EGL_COMMON_H

#include <EGL/egl.h>
#include <EGL/eglext.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { EGL_DEVICES = 32 };

/* How good a choice a device is: 0 renders on the CPU, 2 is CUDA's device 0. */
static inline int egl_device_rank(EGLDeviceEXT device)
{
    PFNEGLQUERYDEVICESTRINGEXTPROC string =
        (PFNEGLQUERYDEVICESTRINGEXTPROC)eglGetProcAddress("eglQueryDeviceStringEXT");
    PFNEGLQUERYDEVICEATTRIBEXTPROC attribute =
        (PFNEGLQUERYDEVICEATTRIBEXTPROC)eglGetProcAddress("eglQueryDeviceAttribEXT");
    const char *has = string(device, EGL_EXTENSIONS);
    EGLAttrib ordinal = -1;

    if (has && strstr(has, "EGL_MESA_device_software"))
        return 0;
    return has && strstr(has, "EGL_NV_device_cuda") &&
                   attribute(device, EGL_CUDA_DEVICE_NV, &ordinal) && ordinal == 0
               ? 2
               : 1;
}

static inline EGLDisplay egl_display_of_device(void)
{
    PFNEGLQUERYDEVICESEXTPROC query =
        (PFNEGLQUERYDEVICESEXTPROC)eglGetProcAddress("eglQueryDevicesEXT");
    EGLDeviceEXT device[EGL_DEVICES];
    EGLint n = 0, best = 0;

    if (!query || !query(EGL_DEVICES, device, &n) || n < 1)
        return EGL_NO_DISPLAY;
    for (EGLint i = 1; i < n; i++)
        if (egl_device_rank(device[i]) > egl_device_rank(device[best]))
            best = i;
    return eglGetPlatformDisplay(EGL_PLATFORM_DEVICE_EXT, device[best], NULL);
}

/* Not initialised yet. */
static inline EGLDisplay egl_display_get(void)
{
    const char *how = getenv("XG_TEST_EGL");
    EGLDisplay d;

    if (how && strcmp(how, "device") == 0)
        return egl_display_of_device();
    if (how && strcmp(how, "x11") == 0)
        return eglGetPlatformDisplay(EGL_PLATFORM_X11_EXT, EGL_DEFAULT_DISPLAY, NULL);
    d = eglGetPlatformDisplay(EGL_PLATFORM_SURFACELESS_MESA, EGL_DEFAULT_DISPLAY, NULL);
    if (d == EGL_NO_DISPLAY && !how)
        d = eglGetDisplay(EGL_DEFAULT_DISPLAY);
    return d;
}

static inline bool egl_without_x(void)
{
    const char *how = getenv("XG_TEST_EGL");
    return how && strcmp(how, "x11") != 0;
}

#endif
