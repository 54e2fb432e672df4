/* EGL: windows, pbuffers, contexts without a surface, fences, and answers to wrong calls; prints
 * the same directly and as a guest. With XG_TEST_EGL (egl_common.h) no windows. */
/* pkg: egl glesv2 x11 */
#include "tests/programs/egl_common.h"

#include <GLES2/gl2.h>
#include <X11/Xlib.h>
#include <X11/Xutil.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static Display *x;
static EGLDisplay dpy;
static Window window;

static void say(const char *what, long result)
{
    EGLint e = eglGetError();
    if (e == EGL_SUCCESS)
        printf("%s: %ld\n", what, result);
    else
        printf("%s: %ld, error 0x%x\n", what, result, e);
}

static EGLConfig choose(EGLint api, EGLint surface)
{
    EGLint list[] = {EGL_RED_SIZE,        8,   EGL_GREEN_SIZE,   8, EGL_BLUE_SIZE,    8,
                     EGL_DEPTH_SIZE,      24,  EGL_STENCIL_SIZE, 8, EGL_SURFACE_TYPE, surface,
                     EGL_RENDERABLE_TYPE, api, EGL_NONE};
    EGLConfig c = NULL;
    EGLint n = 0;
    EGLBoolean ok = eglChooseConfig(dpy, list, &c, 1, &n);
    say("choose", ok && n == 1);
    return c;
}

static void window_make(EGLConfig c, int width, int height)
{
    EGLint id;
    XVisualInfo want, *v;
    int n;
    XEvent e;

    eglGetConfigAttrib(dpy, c, EGL_NATIVE_VISUAL_ID, &id);
    want.visualid = (VisualID)id;
    v = XGetVisualInfo(x, VisualIDMask, &want, &n);
    XSetWindowAttributes a = {.colormap =
                                  XCreateColormap(x, DefaultRootWindow(x), v->visual, AllocNone),
                              .event_mask = StructureNotifyMask};
    window =
        XCreateWindow(x, DefaultRootWindow(x), 0, 0, (unsigned)width, (unsigned)height, 0, v->depth,
                      InputOutput, v->visual, CWColormap | CWEventMask | CWBorderPixel, &a);
    XMapWindow(x, window);
    do
        XNextEvent(x, &e);
    while (e.type != MapNotify);
    XFree(v);
}

static uint64_t hash(void)
{
    XWindowAttributes a;
    uint64_t h = 0xcbf29ce484222325u;

    XGetWindowAttributes(x, window, &a);
    XImage *i =
        XGetImage(x, window, 0, 0, (unsigned)a.width, (unsigned)a.height, AllPlanes, ZPixmap);
    for (int r = 0; r < a.height; r++)
        for (int c = 0; c < a.width; c++)
            h = (h ^ (XGetPixel(i, c, r) & 0xffffff)) * 0x100000001b3u;
    XDestroyImage(i);
    return h;
}

static GLuint shader(GLenum type, const char *text)
{
    GLuint s = glCreateShader(type);
    glShaderSource(s, 1, &text, NULL);
    glCompileShader(s);
    return s;
}

static GLuint program(void)
{
    GLuint p = glCreateProgram();
    glAttachShader(p, shader(GL_VERTEX_SHADER,
                             "attribute vec3 at; varying vec3 c;"
                             "void main() { gl_Position = vec4(at, 1.0); c = at * 0.5 + 0.5; }"));
    glAttachShader(p, shader(GL_FRAGMENT_SHADER, "precision mediump float; varying vec3 c;"
                                                 "void main() { gl_FragColor = vec4(c, 1.0); }"));
    glBindAttribLocation(p, 0, "at");
    glLinkProgram(p);
    return p;
}

static void draw(GLuint p, int width, int height)
{
    static const float at[] = {-0.8f, -0.7f, 0.1f, 0.9f, -0.5f, 0.5f, -0.1f, 0.9f, 0.9f};

    glViewport(0, 0, width, height);
    glClearColor(0.3f, 0.1f, 0.2f, 1);
    glClear(GL_COLOR_BUFFER_BIT | GL_DEPTH_BUFFER_BIT);
    glUseProgram(p);
    glVertexAttribPointer(0, 3, GL_FLOAT, GL_FALSE, 0, at);
    glEnableVertexAttribArray(0);
    glDrawArrays(GL_TRIANGLES, 0, 3);
}

static void windows(void)
{
    static const EGLint two[] = {EGL_CONTEXT_CLIENT_VERSION, 2, EGL_NONE};
    EGLConfig c = choose(EGL_OPENGL_ES2_BIT, EGL_WINDOW_BIT);
    EGLint v = -1;
    XEvent e;

    window_make(c, 160, 120);
    eglBindAPI(EGL_OPENGL_ES_API);
    EGLContext ctx = eglCreateContext(dpy, c, EGL_NO_CONTEXT, two);
    EGLSurface s = eglCreateWindowSurface(dpy, c, window, NULL);
    say("surface", s != EGL_NO_SURFACE);
    say("a second one", eglCreateWindowSurface(dpy, c, window, NULL) != EGL_NO_SURFACE);
    say("current", eglMakeCurrent(dpy, s, s, ctx));
    GLuint p = program();
    for (int i = 0; i < 5; i++) {
        draw(p, 160, 120);
        eglSwapBuffers(dpy, s);
    }
    eglWaitClient();
    printf("window: %016llx\n", (unsigned long long)hash());
    XResizeWindow(x, window, 201, 91);
    do
        XNextEvent(x, &e);
    while (e.type != ConfigureNotify || e.xconfigure.width != 201);
    draw(p, 201, 91);
    say("swap", eglSwapBuffers(dpy, s));
    eglWaitClient();
    printf("resized: %016llx\n", (unsigned long long)hash());
    eglQuerySurface(dpy, s, EGL_WIDTH, &v);
    say("width", v);
    eglQuerySurface(dpy, s, EGL_RENDER_BUFFER, &v);
    say("render buffer", v);
    eglQueryContext(dpy, ctx, EGL_CONTEXT_CLIENT_VERSION, &v);
    say("client version", v);
    say("one surface", eglMakeCurrent(dpy, s, EGL_NO_SURFACE, ctx));
    say("no context", eglMakeCurrent(dpy, s, s, EGL_NO_CONTEXT));
    say("release", eglMakeCurrent(dpy, EGL_NO_SURFACE, EGL_NO_SURFACE, EGL_NO_CONTEXT));
    say("swap of what is not current", eglSwapBuffers(dpy, s));
    say("destroy", eglDestroySurface(dpy, s) && eglDestroyContext(dpy, ctx));
    s = eglCreateWindowSurface(dpy, c, window, NULL);
    say("a new one", s != EGL_NO_SURFACE);
    eglDestroySurface(dpy, s);
    XDestroyWindow(x, window);
}

static void pbuffers(void)
{
    static const EGLint size[] = {EGL_WIDTH, 40, EGL_HEIGHT, 30, EGL_NONE};
    static const EGLint bad[] = {EGL_WIDTH, -1, EGL_HEIGHT, 30, EGL_NONE};
    static const EGLint two[] = {EGL_CONTEXT_CLIENT_VERSION, 2, EGL_NONE};
    static const EGLint robust[] = {EGL_CONTEXT_CLIENT_VERSION, 2, EGL_CONTEXT_FLAGS_KHR,
                                    EGL_CONTEXT_OPENGL_ROBUST_ACCESS_BIT_KHR, EGL_NONE};
    static const EGLint nine[] = {EGL_CONTEXT_CLIENT_VERSION, 9, EGL_NONE};
    EGLConfig c = choose(EGL_OPENGL_ES2_BIT, EGL_PBUFFER_BIT);
    EGLSurface s = eglCreatePbufferSurface(dpy, c, size);
    EGLContext a = eglCreateContext(dpy, c, EGL_NO_CONTEXT, two),
               b = eglCreateContext(dpy, c, a, two);
    unsigned char pixel[4];
    GLuint texture;

    say("pbuffer", s != EGL_NO_SURFACE);
    say("bad size", eglCreatePbufferSurface(dpy, c, bad) != EGL_NO_SURFACE);
    say("a flag that ES has not",
        eglCreateContext(dpy, c, EGL_NO_CONTEXT, robust) != EGL_NO_CONTEXT);
    say("bad version", eglCreateContext(dpy, c, EGL_NO_CONTEXT, nine) != EGL_NO_CONTEXT);
    say("current", eglMakeCurrent(dpy, s, s, a));
    draw(program(), 40, 30);
    glReadPixels(19, 12, 1, 1, GL_RGBA, GL_UNSIGNED_BYTE, pixel);
    printf("pixel: %d %d %d %d\n", pixel[0], pixel[1], pixel[2], pixel[3]);
    glGenTextures(1, &texture);
    glBindTexture(GL_TEXTURE_2D, texture);
    say("swap", eglSwapBuffers(dpy, s));
    say("the other", eglMakeCurrent(dpy, s, s, b));
    say("shares", glIsTexture(texture));
    say("surfaceless", eglMakeCurrent(dpy, EGL_NO_SURFACE, EGL_NO_SURFACE, b));
    printf("framebuffer: 0x%x\n", glCheckFramebufferStatus(GL_FRAMEBUFFER));
    say("still shares", glIsTexture(texture));
    eglMakeCurrent(dpy, EGL_NO_SURFACE, EGL_NO_SURFACE, EGL_NO_CONTEXT);
    eglDestroySurface(dpy, s);
    eglDestroyContext(dpy, a);
    eglDestroyContext(dpy, b);
    say("destroyed twice", eglDestroySurface(dpy, s));
}

static void fences(void)
{
    static const EGLint two[] = {EGL_CONTEXT_CLIENT_VERSION, 2, EGL_NONE};
    static const EGLint size[] = {EGL_WIDTH, 16, EGL_HEIGHT, 16, EGL_NONE};
    EGLConfig c = choose(EGL_OPENGL_ES2_BIT, EGL_PBUFFER_BIT);
    EGLSurface s = eglCreatePbufferSurface(dpy, c, size);
    EGLContext a = eglCreateContext(dpy, c, EGL_NO_CONTEXT, two);
    EGLAttrib v = 0;

    say("fence without a context", eglCreateSync(dpy, EGL_SYNC_FENCE, NULL) != EGL_NO_SYNC);
    eglMakeCurrent(dpy, s, s, a);
    draw(program(), 16, 16);
    EGLSync y = eglCreateSync(dpy, EGL_SYNC_FENCE, NULL);
    say("fence", y != EGL_NO_SYNC);
    say("server wait", eglWaitSync(dpy, y, 0));
    say("wait", eglClientWaitSync(dpy, y, EGL_SYNC_FLUSH_COMMANDS_BIT, EGL_FOREVER) ==
                    EGL_CONDITION_SATISFIED);
    say("status", eglGetSyncAttrib(dpy, y, EGL_SYNC_STATUS, &v) && v == EGL_SIGNALED);
    say("destroy", eglDestroySync(dpy, y));
    eglMakeCurrent(dpy, EGL_NO_SURFACE, EGL_NO_SURFACE, EGL_NO_CONTEXT);
    eglDestroySurface(dpy, s);
    eglDestroyContext(dpy, a);
}

int main(void)
{
    EGLint major = 0, minor = 0;

    setvbuf(stdout, NULL, _IOLBF, 0);
    x = egl_without_x() ? NULL : XOpenDisplay(NULL);
    if (!x && !egl_without_x())
        return 1;
    dpy = x ? eglGetPlatformDisplay(EGL_PLATFORM_X11_EXT, x, NULL) : egl_display_get();
    say("before initialising", eglQueryString(dpy, EGL_VENDOR) != NULL);
    EGLBoolean there = eglInitialize(dpy, &major, &minor);
    say("initialise", there);
    if (!there)
        return 1;
    printf("version %d.%d\n", major, minor);
    if (x)
        windows();
    pbuffers();
    fences();
    say("terminate", eglTerminate(dpy));
    say("after that", eglQueryString(dpy, EGL_VENDOR) != NULL);
    if (!x)
        return 0;
    XCloseDisplay(x);
    dpy = eglGetPlatformDisplay(EGL_PLATFORM_SURFACELESS_MESA, EGL_DEFAULT_DISPLAY, NULL);
    say("surfaceless display", eglInitialize(dpy, &major, &minor));
    pbuffers();
    printf("end\n");
    return 0;
}
