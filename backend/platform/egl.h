/*
 * Which EGL device a pGPU's OpenGL runs on. The broker's look at a device and each worker ask here,
 * so that both find the same one. libEGL itself is opened by who asks: in a process that may crash.
 */
#ifndef XG_PLATFORM_EGL_H
#define XG_PLATFORM_EGL_H

#include "backend/worker.h"

#include <EGL/egl.h>
#include <EGL/eglext.h>

struct xg_egl_entry {
    PFNEGLQUERYSTRINGPROC query_string;
    PFNEGLINITIALIZEPROC initialize;
    PFNEGLGETPLATFORMDISPLAYEXTPROC platform_display;
    /* NULL without EGL_EXT_device_enumeration and EGL_EXT_device_query */
    PFNEGLQUERYDEVICESEXTPROC devices;
    PFNEGLQUERYDEVICESTRINGEXTPROC device_string;
    PFNEGLQUERYDEVICEATTRIBEXTPROC device_attrib;
};

/* Before libEGL is opened: which vendors glvnd will find. The configuration's file, else the
 * system's: the daemon forgets what its environment says, which may be this project's own. */
void xg_egl_vendor_set(const struct xg_device_config *dev);

/* `so` is libEGL.so.1. False: it is older than EGL 1.4 with EGL_EXT_platform_base. */
bool xg_egl_entry_load(struct xg_egl_entry *e, void *so);

/* A word of a list that is separated by spaces. */
bool xg_egl_extension_in(const char *list, const char *name);
/* By the name that GL_RENDERER gives. */
bool xg_egl_renders_on_cpu(const char *renderer);

struct xg_egl_choice {
    EGLDisplay display; /* initialised, or EGL_NO_DISPLAY */
    bool is_cudas;      /* on the device that CUDA calls dev->cuda_ordinal, says the driver */
    char why[256];      /* which devices were wanted but did not work; empty if there were none */
};
void xg_egl_display_choose(const struct xg_egl_entry *e, const struct xg_device_config *dev,
                           struct xg_egl_choice *choice);

#endif
