/* Windows, pbuffers and what is shown when: prints a number for each picture, the same directly and
 * as a guest. */
/* pkg: gl x11 */
#include "tests/programs/glx_common.h"

static Display *dpy;

static void say(const char *what, Window w)
{
    glXWaitGL();
    printf("%s: %016llx\n", what, (unsigned long long)common_hash(dpy, w));
}

static void resize(Window w, int width, int height)
{
    XEvent e;

    XResizeWindow(dpy, w, (unsigned)width, (unsigned)height);
    do
        XNextEvent(dpy, &e);
    while (e.type != ConfigureNotify || e.xconfigure.width != width);
}

static void double_buffered(void)
{
    GLXFBConfig config = common_config(dpy, True, 0);
    Window w = common_window(dpy, config, 0, 200, 150);
    GLXContext c = glXCreateNewContext(dpy, config, GLX_RGBA_TYPE, NULL, True);
    unsigned width, height;

    printf("current: %d\n", glXMakeCurrent(dpy, w, c));
    for (int i = 0; i < 10; i++) {
        common_scene(200, 150, (float)i * 7);
        glXSwapBuffers(dpy, w);
    }
    say("ten frames", w);
    resize(w, 301, 233); /* an odd size, larger */
    common_scene(301, 233, 12);
    glXSwapBuffers(dpy, w);
    say("larger", w);
    resize(w, 64, 31);
    common_scene(64, 31, 12);
    glXSwapBuffers(dpy, w);
    say("smaller", w);
    glXQueryDrawable(dpy, w, GLX_WIDTH, &width);
    glXQueryDrawable(dpy, w, GLX_HEIGHT, &height);
    printf("size: %u %u\n", width, height);
    /* The back buffer is not seen before the swap. */
    common_scene(64, 31, 99);
    glFinish();
    say("not swapped", w);
    glXMakeCurrent(dpy, None, NULL);
    glXDestroyContext(dpy, c);
    XDestroyWindow(dpy, w);
}

static void front_buffer(void)
{
    GLXFBConfig config = common_config(dpy, True, 8);
    Window w = common_window(dpy, config, 0, 120, 90);
    GLXContext c = glXCreateNewContext(dpy, config, GLX_RGBA_TYPE, NULL, True);

    glXMakeCurrent(dpy, w, c);
    glDrawBuffer(GL_FRONT);
    common_scene(120, 90, 30);
    glFlush();
    say("front", w);
    /* The draw buffer is the context's: it goes along to another window. */
    Window other = common_window(dpy, config, 130, 80, 60);
    glXMakeCurrent(dpy, other, c);
    common_scene(80, 60, 60);
    glFlush();
    say("front of another window", other);
    glXMakeCurrent(dpy, None, NULL);
    XDestroyWindow(dpy, other);
    glXDestroyContext(dpy, c);
    XDestroyWindow(dpy, w);
}

static void single_buffered(void)
{
    GLXFBConfig config = common_config(dpy, False, 0);
    Window w = common_window(dpy, config, 0, 120, 90);
    GLXContext c = glXCreateNewContext(dpy, config, GLX_RGBA_TYPE, NULL, True);
    GLboolean two;

    glXMakeCurrent(dpy, w, c);
    glGetBooleanv(GL_DOUBLEBUFFER, &two);
    printf("two buffers: %d\n", two);
    common_scene(120, 90, 45);
    glFlush();
    say("single", w);
    glXMakeCurrent(dpy, None, NULL);
    glXDestroyContext(dpy, c);
    XDestroyWindow(dpy, w);
}

/* One context, several windows; several contexts that share, one window. */
static void many(void)
{
    GLXFBConfig config = common_config(dpy, True, 0);
    Window w[3];
    GLXContext a = glXCreateNewContext(dpy, config, GLX_RGBA_TYPE, NULL, True);
    GLXContext b = glXCreateNewContext(dpy, config, GLX_RGBA_TYPE, a, True);

    for (int i = 0; i < 3; i++)
        w[i] = common_window(dpy, config, i * 100, 90, 90);
    for (int round = 0; round < 4; round++)
        for (int i = 0; i < 3; i++) {
            glXMakeCurrent(dpy, w[i], a);
            common_scene(90, 90, (float)(round * 20 + i * 5));
            glXSwapBuffers(dpy, w[i]);
        }
    for (int i = 0; i < 3; i++) {
        glXMakeCurrent(dpy, w[i], a);
        say("of three", w[i]);
    }
    glXMakeCurrent(dpy, w[0], a);
    glNewList(5, GL_COMPILE);
    common_scene(90, 90, 77);
    glEndList();
    glXMakeCurrent(dpy, w[0], b);
    glCallList(5);
    glXSwapBuffers(dpy, w[0]);
    say("shared list", w[0]);
    glXMakeCurrent(dpy, None, NULL);
    glXDestroyContext(dpy, a);
    glXMakeCurrent(dpy, w[1], b); /* the shared objects outlive their maker */
    glCallList(5);
    glXSwapBuffers(dpy, w[1]);
    say("survivor", w[1]);
    glXDestroyContext(dpy, b); /* current: goes when it is let go */
    glXMakeCurrent(dpy, None, NULL);
    for (int i = 0; i < 3; i++)
        XDestroyWindow(dpy, w[i]);
}

/* Drawn in a pbuffer, read from there while another drawable is drawn to. */
static void pbuffer(void)
{
    GLXFBConfig config = common_config(dpy, True, 8);
    const int size[] = {GLX_PBUFFER_WIDTH, 77, GLX_PBUFFER_HEIGHT, 55, None};
    GLXPbuffer p = glXCreatePbuffer(dpy, config, size);
    Window w = common_window(dpy, config, 0, 100, 80);
    GLXContext c = glXCreateNewContext(dpy, config, GLX_RGBA_TYPE, NULL, True);
    unsigned char pixel[4];
    unsigned width;

    glXQueryDrawable(dpy, p, GLX_WIDTH, &width);
    printf("pbuffer %u: %d\n", width, glXMakeContextCurrent(dpy, p, p, c));
    common_scene(77, 55, 3);
    glReadPixels(38, 20, 1, 1, GL_RGBA, GL_UNSIGNED_BYTE, pixel);
    printf("pixel %d %d %d\n", pixel[0], pixel[1], pixel[2]);
    printf("two drawables: %d\n", glXMakeContextCurrent(dpy, w, p, c));
    glViewport(0, 0, 100, 80);
    glClearColor(0, 0.5f, 0, 1);
    glClear(GL_COLOR_BUFFER_BIT | GL_DEPTH_BUFFER_BIT);
    glDisable(GL_DEPTH_TEST);
    glLoadIdentity();
    glRasterPos2f(-0.5f, -0.5f);
    glCopyPixels(0, 0, 50, 50, GL_COLOR);
    glXSwapBuffers(dpy, w);
    say("copied", w);
    glXMakeContextCurrent(dpy, None, None, NULL);
    glXDestroyContext(dpy, c);
    glXDestroyPbuffer(dpy, p);
    XDestroyWindow(dpy, w);
}

int main(void)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    dpy = XOpenDisplay(NULL);
    if (!dpy)
        return 1;
    double_buffered();
    front_buffer();
    single_buffered();
    many();
    pbuffer();
    XCloseDisplay(dpy);
    printf("end\n");
    return 0;
}
