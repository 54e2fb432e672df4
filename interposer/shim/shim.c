/*
 * libxengpu.so: what LD_PRELOAD names. It carries the frontend for the other libraries, and makes
 * glvnd choose them.
 *
 * It runs in every process that inherits LD_PRELOAD, shells included. So it opens nothing but two
 * tiny libraries; when they are open, glvnd finds them by name, wherever they lie.
 *
 * glvnd asks the environment which vendor to take. This process alone gets our answer, and the
 * environment is not changed: a child that does not inherit LD_PRELOAD would look for libraries of
 * ours that it cannot find, and then have no OpenGL at all instead of its system's own.
 */
#include "protocol/base.h"

#include <dlfcn.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

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

static char egl_json[4096]; /* empty: OpenGL stays with the system */

/* What glvnd gets from getenv, unless the user's environment says something else. */
static char *glvnd_answer(const char *name)
{
    static char vendor[] = "xengpu";

    if (!egl_json[0] || name[0] != '_')
        return NULL;
    if (strcmp(name, "__GLX_VENDOR_LIBRARY_NAME") == 0)
        return vendor;
    return strcmp(name, "__EGL_VENDOR_LIBRARY_FILENAMES") == 0 ? egl_json : NULL;
}

static char *look_up(const char *name)
{
    size_t n = strlen(name);

    for (char **e = environ; e && *e; e++)
        if (strncmp(*e, name, n) == 0 && (*e)[n] == '=')
            return *e + n + 1;
    return glvnd_answer(name);
}

/* These replace libc's functions for everybody in this process. They do not call each other: a
 * program may have such functions too (Firefox does), which call these with a lock held. */
XG_EXPORT char *xg_shim_getenv(const char *name);
XG_EXPORT char *xg_shim_getenv(const char *name)
{
    return look_up(name);
}
XG_EXPORT char *getenv(const char *name) __attribute__((alias("xg_shim_getenv")));

XG_EXPORT char *secure_getenv(const char *name)
{
    return getauxval(AT_SECURE) ? NULL : look_up(name);
}

/* Where glvnd finds the system's own vendors. */
#define SYSTEM_JSON "/etc/glvnd/egl_vendor.d/*.json", "/usr/share/glvnd/egl_vendor.d/*.json"

/* A program with a getenv of its own (Firefox, bash) does not call ours, so its environment must
 * say it. Children without our library still find their system's EGL, which comes after ours in the
 * list; and GLX goes on if it cannot load a vendor. */
static void environment_set(void)
{
    static const char *const places[] = {SYSTEM_JSON};
    char list[16384];
    int n = snprintf(list, sizeof(list), "%s", egl_json);
    glob_t found;

    for (unsigned p = 0; p < XG_ARRAY_LEN(places); p++) {
        if (glob(places[p], 0, NULL, &found))
            continue;
        for (size_t i = 0; i < found.gl_pathc; i++)
            if (n + strlen(found.gl_pathv[i]) + 2 < sizeof(list))
                n += sprintf(list + n, ":%s", found.gl_pathv[i]);
        globfree(&found);
    }
    setenv("__GLX_VENDOR_LIBRARY_NAME", "xengpu", 0);
    setenv("__EGL_VENDOR_LIBRARY_FILENAMES", list, 0);
}

__attribute__((constructor)) static void shim_init(void)
{
    char folder[3072], path[4096];

    if (is_off(getenv("XENGPU_GL")) || !own_folder(folder, sizeof(folder)))
        return;
    snprintf(egl_json, sizeof(egl_json), "%s" EGL_JSON, folder);
    if (dlsym(RTLD_DEFAULT, "getenv") != dlsym(RTLD_DEFAULT, "xg_shim_getenv"))
        environment_set();
    snprintf(path, sizeof(path), "%s" GLX_VENDOR, folder);
    dlopen(path, RTLD_LAZY | RTLD_LOCAL);
    snprintf(path, sizeof(path), "%s" EGL_VENDOR, folder);
    dlopen(path, RTLD_LAZY | RTLD_LOCAL);
}
