/* EGL devices: found, named, drawn on without an X server; prints the same directly and as a guest.
 * With "refused": platforms that a guest has not. With "versions": the highest ones that a display
 * tells. */
/* pkg: egl gl */
#define EGL_EGLEXT_PROTOTYPES
#include <EGL/egl.h>
#include <EGL/eglext.h>
#include <GL/gl.h>
#include <dlfcn.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define PROC(type, name) type name = (type)eglGetProcAddress(#name)

static int has(const char *list, const char *name)
{
    return list && strstr(list, name) != NULL;
}

static void draw(EGLDisplay dpy)
{
    const EGLint want[] = {EGL_SURFACE_TYPE, EGL_PBUFFER_BIT, EGL_RENDERABLE_TYPE, EGL_OPENGL_BIT,
                           EGL_NONE};
    const EGLint size[] = {EGL_WIDTH, 32, EGL_HEIGHT, 32, EGL_NONE};
    unsigned char pixel[4] = {0};
    EGLConfig config;
    EGLint n = 0;

    printf("choose: %d\n", eglChooseConfig(dpy, want, &config, 1, &n) && n == 1);
    eglBindAPI(EGL_OPENGL_API);
    EGLContext c = eglCreateContext(dpy, config, EGL_NO_CONTEXT, NULL);
    EGLSurface s = eglCreatePbufferSurface(dpy, config, size);
    printf("current: %d\n", eglMakeCurrent(dpy, s, s, c));
    glClearColor(0, 1, 0, 1);
    glClear(GL_COLOR_BUFFER_BIT);
    glReadPixels(5, 5, 1, 1, GL_RGBA, GL_UNSIGNED_BYTE, pixel);
    printf("pixel: %d %d %d\n", pixel[0], pixel[1], pixel[2]);
    eglMakeCurrent(dpy, EGL_NO_SURFACE, EGL_NO_SURFACE, EGL_NO_CONTEXT);
}

static void devices(void)
{
    PROC(PFNEGLQUERYDEVICESEXTPROC, eglQueryDevicesEXT);
    PROC(PFNEGLQUERYDEVICESTRINGEXTPROC, eglQueryDeviceStringEXT);
    PROC(PFNEGLQUERYDEVICEATTRIBEXTPROC, eglQueryDeviceAttribEXT);
    PROC(PFNEGLQUERYDISPLAYATTRIBEXTPROC, eglQueryDisplayAttribEXT);
    const char *client = eglQueryString(EGL_NO_DISPLAY, EGL_EXTENSIONS);
    EGLDeviceEXT device[8];
    EGLAttrib of_display = 0;
    EGLint n = 0;

    /* One name for both, or one for each: drivers have either. */
    bool base = has(client, "EGL_EXT_device_base");
    printf("extensions: %d %d %d\n", base || has(client, "EGL_EXT_device_enumeration"),
           base || has(client, "EGL_EXT_device_query"), has(client, "EGL_EXT_platform_device"));
    printf("count: %d", eglQueryDevicesEXT(0, NULL, &n));
    printf(" %d\n", n >= 1);
    printf("query: %d %d\n", eglQueryDevicesEXT(8, device, &n), n >= 1);
    printf("no room: %d", eglQueryDevicesEXT(0, device, &n));
    printf(" error 0x%x\n", eglGetError());
    printf("strings: %d\n", eglQueryDeviceStringEXT(device[0], EGL_EXTENSIONS) != NULL);
    printf("unknown string: %d", eglQueryDeviceStringEXT(device[0], EGL_CLIENT_APIS) != NULL);
    printf(" error 0x%x\n", eglGetError());
    printf("unknown attribute: %d", eglQueryDeviceAttribEXT(device[0], EGL_WIDTH, &of_display));
    printf(" error 0x%x\n", eglGetError());

    EGLDisplay dpy = eglGetPlatformDisplay(EGL_PLATFORM_DEVICE_EXT, device[0], NULL);
    printf("display: %d\n", dpy != EGL_NO_DISPLAY && eglInitialize(dpy, NULL, NULL));
    printf("its device: %d", eglQueryDisplayAttribEXT(dpy, EGL_DEVICE_EXT, &of_display));
    printf(" %d\n", of_display == (EGLAttrib)device[0]);
    draw(dpy);
}

static void refused(void)
{
    /* A Wayland display begins with this symbol's address; that is how libraries know one. Mesa
     * brings the library. */
    void *library = dlopen("libwayland-client.so.0", RTLD_NOW);
    void *wayland[8] = {library ? dlsym(library, "wl_display_interface") : NULL};

    printf("%d", eglGetPlatformDisplay(EGL_PLATFORM_GBM_KHR, NULL, NULL) != EGL_NO_DISPLAY);
    printf(" 0x%x\n", eglGetError());
    printf("%d", eglGetDisplay((EGLNativeDisplayType)wayland) != EGL_NO_DISPLAY);
    printf(" 0x%x\n", eglGetError());
}

static void versions(void)
{
    EGLDisplay dpy =
        eglGetPlatformDisplay(EGL_PLATFORM_SURFACELESS_MESA, EGL_DEFAULT_DISPLAY, NULL);
    const char *v = eglInitialize(dpy, NULL, NULL) ? eglQueryString(dpy, EGL_VERSION) : "";
    const char *at = strstr(v, "OpenGL ");

    printf("%s\n", at ? at : v);
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "versions") == 0)
        versions();
    else if (argc > 1)
        refused();
    else
        devices();
    return 0;
}
