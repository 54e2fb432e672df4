/* Pixmaps as drawables. By GLX prints what is in them when, the same directly and as a guest. By
 * EGL compares with what glReadPixels says (Mesa 22 without a GPU leaves such pixmaps as they
 * were), and calls wrongly. */
/* pkg: gl egl x11 */
#include "tests/programs/glx_common.h"

#include <EGL/egl.h>
#include <EGL/eglext.h>

enum { WIDTH = 120, HEIGHT = 90 };

static Display *dpy;
static int last_error;

static int note_error(Display *d, XErrorEvent *e)
{
    last_error = e->error_code;
    return 0;
}

static int x_error(void)
{
    XSync(dpy, False);
    int e = last_error;
    last_error = 0;
    return e;
}

/* Colours, not padding. */
static uint64_t pixmap_hash(Pixmap p, unsigned width, unsigned height)
{
    uint64_t h = 0xcbf29ce484222325u;
    XImage *i = XGetImage(dpy, p, 0, 0, width, height, AllPlanes, ZPixmap);

    for (unsigned y = 0; y < height; y++)
        for (unsigned x = 0; x < width; x++)
            h = (h ^ (XGetPixel(i, (int)x, (int)y) & 0xffffff)) * 0x100000001b3u;
    XDestroyImage(i);
    return h;
}

static void say(const char *what, Pixmap p)
{
    printf("%s: %016llx\n", what, (unsigned long long)pixmap_hash(p, WIDTH, HEIGHT));
}

static Pixmap pixmap_make(unsigned width, unsigned height, unsigned depth)
{
    Pixmap p = XCreatePixmap(dpy, DefaultRootWindow(dpy), width, height, depth);
    GC gc = XCreateGC(dpy, p, 0, NULL);
    XSetForeground(dpy, gc, 0x336699);
    XFillRectangle(dpy, p, gc, 0, 0, width, height);
    XFreeGC(dpy, gc);
    return p;
}

static GLXFBConfig glx_config(int double_buffered)
{
    const int want[] = {GLX_DOUBLEBUFFER,
                        double_buffered,
                        GLX_RED_SIZE,
                        8,
                        GLX_GREEN_SIZE,
                        8,
                        GLX_BLUE_SIZE,
                        8,
                        GLX_DEPTH_SIZE,
                        24,
                        GLX_STENCIL_SIZE,
                        8,
                        GLX_DRAWABLE_TYPE,
                        GLX_WINDOW_BIT | GLX_PIXMAP_BIT | GLX_PBUFFER_BIT,
                        GLX_X_VISUAL_TYPE,
                        GLX_TRUE_COLOR,
                        None};
    int n = 0;
    GLXFBConfig *all = glXChooseFBConfig(dpy, DefaultScreen(dpy), want, &n), config = NULL;

    for (int i = 0; i < n && !config; i++) {
        XVisualInfo *v = glXGetVisualFromFBConfig(dpy, all[i]);
        if (v && v->depth == 24)
            config = all[i];
        XFree(v);
    }
    XFree(all);
    printf("a configuration with all three kinds of drawable: %d\n", config != NULL);
    return config;
}

static void glx_single(void)
{
    GLXFBConfig config = glx_config(False);
    XVisualInfo *v = glXGetVisualFromFBConfig(dpy, config);
    Pixmap p = pixmap_make(WIDTH, HEIGHT, 24), other = pixmap_make(WIDTH, HEIGHT, 24);
    GLXPixmap g = glXCreatePixmap(dpy, config, p, NULL);
    GLXPixmap old = glXCreateGLXPixmap(dpy, v, other);
    GLXContext c = glXCreateNewContext(dpy, config, GLX_RGBA_TYPE, NULL, True);
    unsigned width = 0, height = 0;

    printf("current: %d\n", glXMakeCurrent(dpy, g, c));
    glXQueryDrawable(dpy, g, GLX_WIDTH, &width);
    glXQueryDrawable(dpy, g, GLX_HEIGHT, &height);
    printf("size: %u %u\n", width, height);
    common_scene(WIDTH, HEIGHT, 10);
    glFlush();
    say("glFlush", p);
    common_scene(WIDTH, HEIGHT, 20);
    glFinish();
    say("glFinish", p);
    common_scene(WIDTH, HEIGHT, 30);
    glXWaitGL();
    say("glXWaitGL", p);
    /* X goes on with it at once. */
    common_scene(WIDTH, HEIGHT, 40);
    glFlush();
    GC gc = XCreateGC(dpy, p, 0, NULL);
    Pixmap copy = pixmap_make(WIDTH, HEIGHT, 24);
    XCopyArea(dpy, p, copy, gc, 0, 0, WIDTH, HEIGHT, 0, 0);
    say("copied by X", copy);
    common_scene(WIDTH, HEIGHT, 50);
    printf("the other: %d\n", glXMakeCurrent(dpy, old, c));
    say("let go", p);
    common_scene(WIDTH, HEIGHT, 60);
    glFinish();
    say("the other is drawn", other);
    say("the first is not", p);
    glXMakeCurrent(dpy, None, NULL);
    glXDestroyPixmap(dpy, g);
    glXDestroyGLXPixmap(dpy, old);
    printf("destroyed: %d\n", x_error());
    glXDestroyContext(dpy, c);
    XFree(v);
    XFreeGC(dpy, gc);
}

static void glx_double(void)
{
    GLXFBConfig config = glx_config(True);
    Pixmap p = pixmap_make(WIDTH, HEIGHT, 24);
    GLXPixmap g = glXCreatePixmap(dpy, config, p, NULL);
    GLXContext c = glXCreateNewContext(dpy, config, GLX_RGBA_TYPE, NULL, True);

    printf("current: %d\n", glXMakeCurrent(dpy, g, c));
    glDrawBuffer(GL_FRONT);
    common_scene(WIDTH, HEIGHT, 70);
    glFinish();
    say("front of two buffers", p);
    glXMakeCurrent(dpy, None, NULL);
    glXDestroyPixmap(dpy, g);
    glXDestroyContext(dpy, c);
}

/* --- EGL, and wrong calls: status 0 if all is as it should be --------------------------------- */

static EGLDisplay egl;
static int bad;

static void expect(const char *what, long got, long want)
{
    if (got != want) {
        printf("%s: 0x%lx, not 0x%lx\n", what, got, want);
        bad++;
    }
}

/* The call has failed so. */
static void expect_error(const char *what, int result, EGLint error)
{
    expect(what, result, 0);
    expect(what, eglGetError(), error);
}

/* Whether the pixmap has what the program sees of its read buffer. */
static void expect_drawn(const char *what, Pixmap p)
{
    static unsigned char rows[HEIGHT][WIDTH][4];
    uint64_t h = 0xcbf29ce484222325u;

    uint64_t has = pixmap_hash(p, WIDTH, HEIGHT);
    glReadPixels(0, 0, WIDTH, HEIGHT, GL_BGRA, GL_UNSIGNED_BYTE, rows);
    for (int y = HEIGHT - 1; y >= 0; y--)
        for (int x = 0; x < WIDTH; x++)
            h = (h ^ (uint64_t)(rows[y][x][0] | rows[y][x][1] << 8 | rows[y][x][2] << 16)) *
                0x100000001b3u;
    expect(what, has == h, 1);
}

static void glx_wrong(void)
{
    GLXFBConfig config = glx_config(False);
    Pixmap flat = pixmap_make(WIDTH, HEIGHT, 1), p = pixmap_make(WIDTH, HEIGHT, 24);

    expect("before", x_error(), 0);
    glXCreatePixmap(dpy, config, 0x7ffffff0, NULL);
    expect("no such pixmap", x_error(), BadPixmap);
    glXCreatePixmap(dpy, config, flat, NULL);
    expect("another depth", x_error(), BadMatch);
    GLXPixmap g = glXCreatePixmap(dpy, config, p, NULL);
    expect("right", g != None && !x_error(), 1);
    glXDestroyPixmap(dpy, g);
    expect("destroyed", x_error(), 0);
    glXDestroyPixmap(dpy, g);
    expect("destroyed twice", x_error() != 0, 1);
}

static EGLConfig egl_config(EGLint type)
{
    const EGLint want[] = {EGL_RED_SIZE,     8,    EGL_GREEN_SIZE,      8,
                           EGL_BLUE_SIZE,    8,    EGL_ALPHA_SIZE,      0,
                           EGL_DEPTH_SIZE,   24,   EGL_STENCIL_SIZE,    8,
                           EGL_SURFACE_TYPE, type, EGL_RENDERABLE_TYPE, EGL_OPENGL_BIT,
                           EGL_NONE};
    EGLConfig all[64], found = NULL;
    EGLint n = 0;

    eglChooseConfig(egl, want, all, 64, &n);
    for (int i = 0; i < n && !found; i++) {
        EGLint visual = 0, count = 0;
        eglGetConfigAttrib(egl, all[i], EGL_NATIVE_VISUAL_ID, &visual);
        XVisualInfo what = {.visualid = (VisualID)visual}, *v;
        v = XGetVisualInfo(dpy, VisualIDMask, &what, &count);
        if (count && v->depth == 24)
            found = all[i];
        XFree(v);
    }
    expect("a configuration", found != NULL, 1);
    return found;
}

static void egl_surfaces(void)
{
    EGLConfig config = egl_config(EGL_WINDOW_BIT | EGL_PBUFFER_BIT | EGL_PIXMAP_BIT);
    Pixmap p = pixmap_make(WIDTH, HEIGHT, 24), q = pixmap_make(WIDTH, HEIGHT, 24);
    Pixmap flat = pixmap_make(WIDTH, HEIGHT, 1);
    EGLSurface s = eglCreatePixmapSurface(egl, config, p, NULL);
    EGLSurface t = eglCreatePlatformPixmapSurface(egl, config, &q, NULL);
    EGLContext c = eglCreateContext(egl, config, EGL_NO_CONTEXT, NULL);
    EGLint v = 0;

    expect("surfaces", s != EGL_NO_SURFACE && t != EGL_NO_SURFACE, 1);
    expect("current", eglMakeCurrent(egl, s, s, c), EGL_TRUE);
    eglQuerySurface(egl, s, EGL_WIDTH, &v);
    expect("width", v, WIDTH);
    eglQuerySurface(egl, s, EGL_RENDER_BUFFER, &v);
    expect("buffer", v, EGL_SINGLE_BUFFER);
    eglQueryContext(egl, c, EGL_RENDER_BUFFER, &v);
    expect("the context's", v, EGL_SINGLE_BUFFER);
    common_scene(WIDTH, HEIGHT, 10);
    glFinish();
    expect_drawn("glFinish", p);
    common_scene(WIDTH, HEIGHT, 20);
    expect("eglWaitClient", eglWaitClient(), EGL_TRUE);
    expect_drawn("eglWaitClient", p);
    expect("current", eglMakeCurrent(egl, t, t, c), EGL_TRUE);
    common_scene(WIDTH, HEIGHT, 30);
    glFlush();
    expect_drawn("glFlush", q);
    expect("swap", eglSwapBuffers(egl, t), EGL_TRUE);
    eglMakeCurrent(egl, EGL_NO_SURFACE, EGL_NO_SURFACE, EGL_NO_CONTEXT);
    expect("destroy", eglDestroySurface(egl, s) && eglDestroySurface(egl, t), EGL_TRUE);

    EGLint match[] = {EGL_MATCH_NATIVE_PIXMAP, (EGLint)p, EGL_SURFACE_TYPE, EGL_PIXMAP_BIT,
                      EGL_NONE};
    EGLConfig one = NULL;
    expect("match", eglChooseConfig(egl, match, &one, 1, &v) && v == 1, 1);
    s = eglCreatePixmapSurface(egl, one, p, NULL);
    expect("matches", s != EGL_NO_SURFACE, 1);
    eglDestroySurface(egl, s);
    match[1] = (EGLint)flat;
    expect("no match", eglChooseConfig(egl, match, &one, 1, &v) && v == 0, 1);
    match[1] = 0x7ffffff0;
    expect_error("match none", eglChooseConfig(egl, match, &one, 1, &v), EGL_BAD_NATIVE_PIXMAP);
    expect_error("no such pixmap",
                 eglCreatePixmapSurface(egl, config, 0x7ffffff0, NULL) != EGL_NO_SURFACE,
                 EGL_BAD_NATIVE_PIXMAP);
    expect_error("another depth", eglCreatePixmapSurface(egl, config, flat, NULL) != EGL_NO_SURFACE,
                 EGL_BAD_MATCH);
    eglDestroyContext(egl, c);
}

static void egl_copies(void)
{
    EGLConfig config = egl_config(EGL_WINDOW_BIT | EGL_PBUFFER_BIT | EGL_PIXMAP_BIT);
    const EGLint size[] = {EGL_WIDTH, WIDTH, EGL_HEIGHT, HEIGHT, EGL_NONE};
    Pixmap p = pixmap_make(WIDTH, HEIGHT, 24), flat = pixmap_make(WIDTH, HEIGHT, 1);
    Window w = XCreateSimpleWindow(dpy, DefaultRootWindow(dpy), 0, 0, WIDTH, HEIGHT, 0, 0, 0);
    EGLContext c = eglCreateContext(egl, config, EGL_NO_CONTEXT, NULL);
    EGLSurface s[2];

    XMapWindow(dpy, w);
    XSync(dpy, False);
    s[0] = eglCreateWindowSurface(egl, config, w, NULL);
    s[1] = eglCreatePbufferSurface(egl, config, size);
    for (int i = 0; i < 2; i++) {
        eglMakeCurrent(egl, s[i], s[i], c);
        common_scene(WIDTH, HEIGHT, (float)(70 + i));
        expect("eglCopyBuffers", eglCopyBuffers(egl, s[i], p), EGL_TRUE);
        expect_drawn("copied", p);
    }
    expect_error("to no pixmap", eglCopyBuffers(egl, s[1], 0), EGL_BAD_NATIVE_PIXMAP);
    expect_error("to another depth", eglCopyBuffers(egl, s[1], flat), EGL_BAD_MATCH);
    expect_error("not current", eglCopyBuffers(egl, s[0], p), EGL_BAD_SURFACE);
    eglMakeCurrent(egl, EGL_NO_SURFACE, EGL_NO_SURFACE, EGL_NO_CONTEXT);
}

int main(int argc, char **argv)
{
    dpy = XOpenDisplay(NULL);
    XSetErrorHandler(note_error);
    if (argc < 2) {
        glx_single();
        glx_double();
        return 0;
    }
    glx_wrong();
    egl = eglGetDisplay((EGLNativeDisplayType)dpy);
    eglInitialize(egl, NULL, NULL);
    eglBindAPI(EGL_OPENGL_API);
    egl_surfaces();
    egl_copies();
    return bad != 0;
}
