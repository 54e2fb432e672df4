/* Which platforms EGL displays can be on, and why others cannot. */
#include "interposer/egl/egl.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

EGLenum xg_egl_platform_default(void)
{
    const char *wish = getenv("EGL_PLATFORM"); /* glvnd reads it too, for names that it knows */

    if (wish && strcmp(wish, "surfaceless") == 0)
        return EGL_PLATFORM_SURFACELESS_MESA;
    return getenv("DISPLAY") ? EGL_PLATFORM_X11_EXT : EGL_PLATFORM_SURFACELESS_MESA;
}

/* Platforms that we do not serve, and what they would need. */
static const struct {
    EGLenum platform;
    const char *name, *why;
    const char *mark; /* the symbol that the native display's first word points to */
} platforms_refused[] = {
    {EGL_PLATFORM_GBM_KHR, "GBM",
     "a guest has no DRM device; use EGL_PLATFORM_DEVICE_EXT or EGL_PLATFORM_SURFACELESS_MESA",
     "gbm_create_device"},
    {EGL_PLATFORM_WAYLAND_EXT, "Wayland",
     "frames are shown by an X server; run the program on Xwayland (DISPLAY), for instance with "
     "GDK_BACKEND=x11, QT_QPA_PLATFORM=xcb or SDL_VIDEODRIVER=x11",
     "wl_display_interface"},
};

bool xg_egl_platform_served(EGLenum platform)
{
    static _Atomic bool said[XG_ARRAY_LEN(platforms_refused)];

    for (unsigned i = 0; i < XG_ARRAY_LEN(platforms_refused); i++)
        if (platforms_refused[i].platform == platform && !atomic_exchange(&said[i], true))
            fprintf(stderr, "xengpu: no EGL display on %s: %s\n", platforms_refused[i].name,
                    platforms_refused[i].why);
    return platform == EGL_PLATFORM_X11_EXT || platform == EGL_PLATFORM_XCB_EXT ||
           platform == EGL_PLATFORM_SURFACELESS_MESA || platform == EGL_PLATFORM_DEVICE_EXT;
}

/* The word at `p`; NULL if nothing is mapped there: the application's pointer may be anything. */
static const void *word_at(const void *p)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), at = (uintptr_t)p;
    unsigned char resident;

    if (!p || at % sizeof(void *) || mincore((void *)(at & ~(page - 1)), page, &resident) < 0)
        return NULL;
    return *(const void *const *)p;
}

/* glvnd asks no vendor about a native display whose platform no vendor offers; then nothing would
 * say why there is no display. */
EGLenum xg_egl_platform_find(void *native)
{
    const void *word = word_at(native);
    Dl_info info;

    if (!word || !dladdr(word, &info) || !info.dli_sname)
        return EGL_NONE;
    for (unsigned i = 0; i < XG_ARRAY_LEN(platforms_refused); i++)
        if (strcmp(info.dli_sname, platforms_refused[i].mark) == 0)
            return platforms_refused[i].platform;
    return EGL_NONE;
}
