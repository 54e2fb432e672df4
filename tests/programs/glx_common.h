/* What the GLX test programs have in common: windows, and a number that stands for what a window
 * shows. */
#ifndef GLX_COMMON_H
#define GLX_COMMON_H

#define GL_GLEXT_PROTOTYPES
#define GLX_GLXEXT_PROTOTYPES
#include <GL/gl.h>
#include <GL/glext.h>
#include <GL/glx.h>
#include <GL/glxext.h>
#include <X11/Xlib.h>
#include <X11/Xutil.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static inline GLXFBConfig common_config(Display *dpy, int double_buffered, int alpha)
{
    const int want[] = {GLX_DOUBLEBUFFER,
                        double_buffered,
                        GLX_RED_SIZE,
                        8,
                        GLX_GREEN_SIZE,
                        8,
                        GLX_BLUE_SIZE,
                        8,
                        GLX_ALPHA_SIZE,
                        alpha,
                        GLX_DEPTH_SIZE,
                        24,
                        GLX_STENCIL_SIZE,
                        8,
                        GLX_DRAWABLE_TYPE,
                        GLX_WINDOW_BIT | GLX_PBUFFER_BIT,
                        GLX_X_VISUAL_TYPE,
                        GLX_TRUE_COLOR,
                        None};
    int n = 0;
    GLXFBConfig *all = glXChooseFBConfig(dpy, DefaultScreen(dpy), want, &n), config;

    if (n == 0) {
        printf("no configuration\n");
        exit(1);
    }
    config = all[0];
    XFree(all);
    return config;
}

static inline Window common_window(Display *dpy, GLXFBConfig config, int x, int width, int height)
{
    XVisualInfo *v = glXGetVisualFromFBConfig(dpy, config);
    Window root = RootWindow(dpy, DefaultScreen(dpy));
    XSetWindowAttributes a = {.colormap = XCreateColormap(dpy, root, v->visual, AllocNone),
                              .event_mask = StructureNotifyMask};
    Window w = XCreateWindow(dpy, root, x, 0, (unsigned)width, (unsigned)height, 0, v->depth,
                             InputOutput, v->visual, CWColormap | CWEventMask | CWBorderPixel, &a);
    XEvent e;

    XMapWindow(dpy, w);
    do
        XNextEvent(dpy, &e);
    while (e.type != MapNotify);
    XFree(v);
    return w;
}

/* What the X server has for the window: colours, not padding. */
static inline uint64_t common_hash(Display *dpy, Window w)
{
    XWindowAttributes a;
    uint64_t h = 0xcbf29ce484222325u;

    XGetWindowAttributes(dpy, w, &a);
    XImage *i = XGetImage(dpy, w, 0, 0, (unsigned)a.width, (unsigned)a.height, AllPlanes, ZPixmap);
    for (int y = 0; y < a.height; y++)
        for (int x = 0; x < a.width; x++)
            h = (h ^ (XGetPixel(i, x, y) & 0xffffff)) * 0x100000001b3u;
    XDestroyImage(i);
    return h;
}

/* Something with an up, a right, smooth shading, edges and depth. */
static inline void common_scene(int width, int height, float turn)
{
    glViewport(0, 0, width, height);
    glClearColor(0.1f, 0.2f, 0.3f, 1);
    glClear(GL_COLOR_BUFFER_BIT | GL_DEPTH_BUFFER_BIT);
    glEnable(GL_DEPTH_TEST);
    glLoadIdentity();
    glRotatef(turn, 0, 0, 1);
    glBegin(GL_TRIANGLES);
    glColor3f(1, 0, 0);
    glVertex3f(-0.8f, -0.7f, 0.2f);
    glColor3f(0, 1, 0);
    glVertex3f(0.9f, -0.5f, 0.2f);
    glColor3f(0, 0, 1);
    glVertex3f(-0.1f, 0.9f, -0.2f);
    glColor3f(1, 1, 0);
    glVertex3f(-0.9f, 0.1f, 0.0f);
    glVertex3f(0.7f, 0.3f, 0.0f);
    glVertex3f(0.2f, -0.9f, 0.1f);
    glEnd();
}

#endif
