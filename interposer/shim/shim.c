/*
 * libxengpu.so: what LD_PRELOAD names. It carries the frontend for the other libraries, and makes
 * glvnd choose them.
 *
 * This runs in every process that inherits LD_PRELOAD, shells included: it opens nothing but two
 * tiny libraries, so that glvnd finds them under their names wherever they lie.
 */
#include "protocol/base.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GLX_VENDOR "libGLX_xengpu.so.0"
#define EGL_VENDOR "libEGL_xengpu.so.0"
#define EGL_JSON   "xengpu_egl.json"

/* The folder that this library lies in, with a slash at the end. */
static bool own_folder(char *out, size_t size)
{
    Dl_info info;
    const char *slash;

    if (!dladdr((void *)own_folder, &info) || !info.dli_fname ||
        !(slash = strrchr(info.dli_fname, '/')))
        return false;
    size_t n = (size_t)(slash - info.dli_fname) + 1;
    if (n >= size)
        return false;
    memcpy(out, info.dli_fname, n);
    out[n] = 0;
    return true;
}

static bool is_off(const char *v)
{
    return v && (strcmp(v, "0") == 0 || strcmp(v, "off") == 0);
}

__attribute__((constructor)) static void shim_init(void)
{
    char folder[3072], path[4096];

    if (is_off(getenv("XENGPU_GL")) || !own_folder(folder, sizeof(folder)))
        return;
    setenv("__GLX_VENDOR_LIBRARY_NAME", "xengpu", 0);
    snprintf(path, sizeof(path), "%s" EGL_JSON, folder);
    setenv("__EGL_VENDOR_LIBRARY_FILENAMES", path, 0);
    snprintf(path, sizeof(path), "%s" GLX_VENDOR, folder);
    dlopen(path, RTLD_LAZY | RTLD_LOCAL);
    snprintf(path, sizeof(path), "%s" EGL_VENDOR, folder);
    dlopen(path, RTLD_LAZY | RTLD_LOCAL);
}
