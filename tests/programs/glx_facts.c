/* What GLX says of the X server at $DISPLAY: which vendor's library serves it and which extensions
 * it has (NVIDIA's library wants NV-GLX), strings, how many configurations remain of all with each
 * wish more, and what draws in a window with the first of them. Ends with status 1 where nothing
 * does. */
/* pkg: gl x11 */
#include <GL/gl.h>
#include <GL/glx.h>
#include <X11/Xutil.h>
#include <stdio.h>
#include <string.h>

static const struct wish {
    const char *name;
    int attribute, value;
} wishes[] = {{"RGBA", GLX_RENDER_TYPE, GLX_RGBA_BIT},
              {"windows", GLX_DRAWABLE_TYPE, GLX_WINDOW_BIT},
              {"renderable", GLX_X_RENDERABLE, True},
              {"8 bits", GLX_RED_SIZE, 8},
              {"two buffers", GLX_DOUBLEBUFFER, True},
              {"depth", GLX_DEPTH_SIZE, 24},
              {"true colour", GLX_X_VISUAL_TYPE, GLX_TRUE_COLOR}};

enum { WISHES = sizeof(wishes) / sizeof(wishes[0]) };

/* The first that has all, and how many. */
static GLXFBConfig choose(Display *dpy, int *count)
{
    int list[2 * WISHES + 1] = {None};
    GLXFBConfig first = NULL;

    for (int i = 0; i < WISHES; i++) {
        list[2 * i] = wishes[i].attribute;
        list[2 * i + 1] = wishes[i].value;
        list[2 * i + 2] = None;
        GLXFBConfig *all = glXChooseFBConfig(dpy, DefaultScreen(dpy), list, count);
        printf("configurations %s: %d\n", wishes[i].name, all ? *count : 0);
        first = all ? all[0] : NULL;
        if (all)
            XFree(all);
    }
    return first;
}

static int draw(Display *dpy, GLXFBConfig config)
{
    XVisualInfo *v = glXGetVisualFromFBConfig(dpy, config);
    GLXContext c;

    if (!v) {
        printf("visual: none\n");
        return 1;
    }
    printf("visual: depth %d, class %d\n", v->depth, v->class);
    Window root = DefaultRootWindow(dpy);
    XSetWindowAttributes a = {.colormap = XCreateColormap(dpy, root, v->visual, AllocNone)};
    Window w = XCreateWindow(dpy, root, 0, 0, 64, 64, 0, v->depth, InputOutput, v->visual,
                             CWColormap | CWBorderPixel, &a);
    XMapWindow(dpy, w);
    XFree(v);
    c = glXCreateNewContext(dpy, config, GLX_RGBA_TYPE, NULL, True);
    if (!c || !glXMakeCurrent(dpy, w, c)) {
        printf("context: %s\n", c ? "not current" : "none");
        return 1;
    }
    printf("renderer: %s, direct %d\n", (const char *)glGetString(GL_RENDERER),
           glXIsDirect(dpy, c));
    glClear(GL_COLOR_BUFFER_BIT);
    glXSwapBuffers(dpy, w);
    glFinish();
    printf("error: 0x%x\n", glGetError());
    return 0;
}

static void extensions(Display *dpy)
{
    int n = 0;
    char **all = XListExtensions(dpy, &n);

    printf("X extensions:");
    for (int i = 0; i < n; i++)
        printf(" %s", all[i]);
    printf("\n");
    XFreeExtensionList(all);
}

/* Of libGLX's vendors those that it has loaded by now. */
static void vendors(void)
{
    FILE *f = fopen("/proc/self/maps", "r");
    char line[512], last[512] = "";

    while (f && fgets(line, sizeof(line), f)) {
        char *at = strstr(line, "libGLX_");
        if (!at || strcmp(at, last) == 0)
            continue;
        snprintf(last, sizeof(last), "%s", at);
        printf("vendor's library: %s", at);
    }
    if (!last[0])
        printf("vendor's library: none\n");
    if (f)
        fclose(f);
}

int main(void)
{
    Display *dpy = XOpenDisplay(NULL);
    int n = 0, screen, error, event;

    if (dpy)
        extensions(dpy);
    if (!dpy || !glXQueryExtension(dpy, &error, &event)) {
        fprintf(stderr, dpy ? "no GLX\n" : "no display\n");
        return 1;
    }
    screen = DefaultScreen(dpy);
    printf("server: %s %s\n", glXQueryServerString(dpy, screen, GLX_VENDOR),
           glXQueryServerString(dpy, screen, GLX_VERSION));
    vendors();
    printf("client: %s %s\n", glXGetClientString(dpy, GLX_VENDOR),
           glXGetClientString(dpy, GLX_VERSION));
    printf("extensions: %s\n", glXQueryExtensionsString(dpy, screen));
    GLXFBConfig *all = glXGetFBConfigs(dpy, screen, &n);
    printf("configurations: %d\n", all ? n : 0);
    GLXFBConfig config = choose(dpy, &n);
    return config ? draw(dpy, config) : 1;
}
