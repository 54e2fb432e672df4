/* Swap intervals, by GLX's three extensions and by EGL: what was set is answered, and holds the
 * program back. */
/* pkg: gl egl x11 */
#include "tests/programs/glx_common.h"

#include <EGL/egl.h>
#include <time.h>

enum { FRAMES = 40, HZ_AT_MOST = 100 }; /* no screen of a test is faster */

static Display *dpy;
static int bad;

static void expect(const char *what, long got, long want)
{
    if (got != want) {
        printf("%s: %ld, not %ld\n", what, got, want);
        bad++;
    }
}

static unsigned ask(Window w, int attribute)
{
    unsigned v = 12345;
    glXQueryDrawable(dpy, w, attribute, &v);
    return v;
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* However slow the machine: paced frames do not come faster than this. */
static void expect_paced(const char *what, double since, int interval)
{
    double least = (FRAMES - 2.0) * interval / HZ_AT_MOST, took = now() - since;
    if (took < least) {
        printf("%s: %d frames in %.3f s, less than %.3f\n", what, FRAMES, took, least);
        bad++;
    }
}

static void glx(int waiting)
{
    PFNGLXSWAPINTERVALEXTPROC ext =
        (PFNGLXSWAPINTERVALEXTPROC)glXGetProcAddressARB((const GLubyte *)"glXSwapIntervalEXT");
    PFNGLXSWAPINTERVALMESAPROC mesa =
        (PFNGLXSWAPINTERVALMESAPROC)glXGetProcAddressARB((const GLubyte *)"glXSwapIntervalMESA");
    PFNGLXGETSWAPINTERVALMESAPROC get = (PFNGLXGETSWAPINTERVALMESAPROC)glXGetProcAddressARB(
        (const GLubyte *)"glXGetSwapIntervalMESA");
    PFNGLXSWAPINTERVALSGIPROC sgi =
        (PFNGLXSWAPINTERVALSGIPROC)glXGetProcAddressARB((const GLubyte *)"glXSwapIntervalSGI");
    const char *all = glXQueryExtensionsString(dpy, DefaultScreen(dpy));
    GLXFBConfig config = common_config(dpy, True, 0);
    Window w = common_window(dpy, config, 0, 64, 64);
    GLXContext c = glXCreateNewContext(dpy, config, GLX_RGBA_TYPE, NULL, True);

    expect("extensions",
           strstr(all, "GLX_EXT_swap_control") && strstr(all, "GLX_MESA_swap_control") &&
               strstr(all, "GLX_SGI_swap_control"),
           1);
    expect("without a context", mesa(1), GLX_BAD_CONTEXT);
    glXMakeCurrent(dpy, w, c);
    unsigned max = ask(w, GLX_MAX_SWAP_INTERVAL_EXT);
    expect("a maximum", max >= 1, waiting);
    expect("at first", ask(w, GLX_SWAP_INTERVAL_EXT), 0);
    ext(dpy, w, 2);
    expect("EXT 2", ask(w, GLX_SWAP_INTERVAL_EXT), waiting ? 2 : 0);
    expect("MESA after EXT 2", get(), waiting ? 2 : 0);
    ext(dpy, w, 1 << 30);
    expect("EXT beyond the maximum", ask(w, GLX_SWAP_INTERVAL_EXT), max);
    expect("MESA 1", mesa(1), waiting ? 0 : GLX_BAD_VALUE);
    expect("MESA 1 answered", get(), waiting ? 1 : (int)max);
    expect("SGI -1", sgi(-1), GLX_BAD_VALUE);
    expect("SGI 0", sgi(0), 0);
    expect("SGI 0 answered", get(), 0);
    expect("SGI 2", sgi(2), waiting ? 0 : GLX_BAD_VALUE);
    expect("SGI 2 answered", ask(w, GLX_SWAP_INTERVAL_EXT), waiting ? 2 : 0);
    double since = now();
    for (int i = 0; i < FRAMES; i++) {
        glClear(GL_COLOR_BUFFER_BIT);
        glXSwapBuffers(dpy, w);
    }
    if (waiting)
        expect_paced("glXSwapBuffers", since, 2);
    glXMakeCurrent(dpy, None, NULL);
    glXDestroyContext(dpy, c);
    XDestroyWindow(dpy, w);
}

static void egl(int waiting)
{
    EGLDisplay e = eglGetDisplay((EGLNativeDisplayType)dpy);
    const EGLint want[] = {EGL_RENDERABLE_TYPE, EGL_OPENGL_BIT, EGL_RED_SIZE, 8, EGL_NONE};
    EGLint n, min = -1, max = -1;
    EGLConfig config;

    eglInitialize(e, NULL, NULL);
    eglBindAPI(EGL_OPENGL_API);
    eglChooseConfig(e, want, &config, 1, &n);
    eglGetConfigAttrib(e, config, EGL_MIN_SWAP_INTERVAL, &min);
    eglGetConfigAttrib(e, config, EGL_MAX_SWAP_INTERVAL, &max);
    expect("EGL minimum", min, 0);
    expect("EGL maximum", max >= 1, waiting);
    expect("EGL without a context", eglSwapInterval(e, 1), EGL_FALSE);
    Window w = XCreateSimpleWindow(dpy, DefaultRootWindow(dpy), 0, 0, 64, 64, 0, 0, 0);
    XMapWindow(dpy, w);
    EGLSurface s = eglCreateWindowSurface(e, config, w, NULL);
    eglMakeCurrent(e, s, s, eglCreateContext(e, config, EGL_NO_CONTEXT, NULL));
    expect("EGL 1", eglSwapInterval(e, 1), EGL_TRUE);
    double since = now();
    for (int i = 0; i < FRAMES; i++) {
        glClear(GL_COLOR_BUFFER_BIT);
        expect("eglSwapBuffers", eglSwapBuffers(e, s), EGL_TRUE);
    }
    if (waiting)
        expect_paced("eglSwapBuffers", since, 1);
    eglMakeCurrent(e, EGL_NO_SURFACE, EGL_NO_SURFACE, EGL_NO_CONTEXT);
    eglTerminate(e);
}

int main(void)
{
    const char *mode = getenv("vblank_mode");
    int waiting = !mode || strcmp(mode, "0") != 0;

    dpy = XOpenDisplay(NULL);
    glx(waiting);
    egl(waiting);
    return bad != 0;
}
