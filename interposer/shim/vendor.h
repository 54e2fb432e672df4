/* The vendor libraries that glvnd opens are almost empty: the real library is opened when it is
 * first used. */
#ifndef XG_INTERPOSER_SHIM_VENDOR_H
#define XG_INTERPOSER_SHIM_VENDOR_H

#include "protocol/base.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

/* `symbol` of libxengpu-gl.so, which lies in this library's folder. */
static inline void *xg_vendor_symbol(const char *symbol)
{
    char path[4096] = "";
    Dl_info info;
    const char *slash;

    if (dladdr((void *)xg_vendor_symbol, &info) && info.dli_fname &&
        (slash = strrchr(info.dli_fname, '/')))
        snprintf(path, sizeof(path), "%.*s", (int)(slash - info.dli_fname) + 1, info.dli_fname);
    size_t n = strlen(path);
    snprintf(path + n, sizeof(path) - n, "libxengpu-gl.so");
    void *lib = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!lib) {
        fprintf(stderr, "xengpu: no OpenGL: %s\n", dlerror());
        return NULL;
    }
    return dlsym(lib, symbol);
}

#endif
