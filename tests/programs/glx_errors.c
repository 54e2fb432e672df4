/* What GLX answers to wrong and unusual calls: prints errors and results, the same directly and as
 * a guest. */
/* pkg: gl x11 */
#include "tests/programs/glx_common.h"

static Display *dpy;
static int error_code, error_base;

static int on_error(Display *d, XErrorEvent *e)
{
    error_code = e->error_code;
    return 0;
}

/* Core errors by their number, GLX's own as glx+N: its base differs between servers. */
static void say(const char *what, int result)
{
    XSync(dpy, False);
    if (error_code >= error_base && error_code < error_base + 14)
        printf("%s: %d, error glx+%d\n", what, result, error_code - error_base);
    else if (error_code)
        printf("%s: %d, error %d\n", what, result, error_code);
    else
        printf("%s: %d\n", what, result);
    error_code = 0;
}

typedef GLXContext (*create_fn)(Display *, GLXFBConfig, GLXContext, Bool, const int *);
static create_fn create;

static void version(GLXFBConfig config, int major, int minor, int profile)
{
    int list[] = {GLX_CONTEXT_MAJOR_VERSION_ARB,
                  major,
                  GLX_CONTEXT_MINOR_VERSION_ARB,
                  minor,
                  profile ? GLX_CONTEXT_PROFILE_MASK_ARB : None,
                  profile,
                  None};
    char what[64];
    GLXContext c = create(dpy, config, NULL, True, list);

    snprintf(what, sizeof(what), "version %d.%d profile %d", major, minor, profile);
    say(what, c != NULL);
    if (c)
        glXDestroyContext(dpy, c);
}

static void contexts(GLXFBConfig config)
{
    static const int bad_attribute[] = {0x7777, 1, None};
    static const int bad_flag[] = {GLX_CONTEXT_FLAGS_ARB, 0x40000000, None};
    static const int future[] = {GLX_CONTEXT_MAJOR_VERSION_ARB, 9, GLX_CONTEXT_MINOR_VERSION_ARB, 9,
                                 None};
    static const int two_profiles[] = {GLX_CONTEXT_MAJOR_VERSION_ARB,
                                       3,
                                       GLX_CONTEXT_MINOR_VERSION_ARB,
                                       2,
                                       GLX_CONTEXT_PROFILE_MASK_ARB,
                                       3,
                                       None};

    version(config, 1, 0, 0);
    version(config, 2, 1, 0);
    version(config, 3, 2, GLX_CONTEXT_CORE_PROFILE_BIT_ARB);
    version(config, 3, 3, GLX_CONTEXT_COMPATIBILITY_PROFILE_BIT_ARB);
    version(config, 4, 5, GLX_CONTEXT_CORE_PROFILE_BIT_ARB);
    version(config, 2, 0, GLX_CONTEXT_ES2_PROFILE_BIT_EXT);
    version(config, 3, 1, GLX_CONTEXT_ES2_PROFILE_BIT_EXT);
    version(config, 3, 7, 0);
    version(config, 1, 0, (int)0x80000000u); /* no profile, whatever the version */
    version(config, 3, 1, 0x40);
    /* Mesa says GLXBadFBConfig up to 24 and BadMatch from 25 on. */
    say("version 9.9", create(dpy, config, NULL, True, future) != NULL ? 1 : (error_code = 0));
    say("unknown attribute", create(dpy, config, NULL, True, bad_attribute) != NULL);
    say("unknown flag", create(dpy, config, NULL, True, bad_flag) != NULL);
    say("two profiles", create(dpy, config, NULL, True, two_profiles) != NULL);
    say("colour index", glXCreateNewContext(dpy, config, GLX_COLOR_INDEX_TYPE, NULL, True) != NULL);
}

static void current(GLXFBConfig config)
{
    Window w = common_window(dpy, config, 0, 50, 50);
    GLXContext c = glXCreateNewContext(dpy, config, GLX_RGBA_TYPE, NULL, True);
    int value = -1;

    say("current", glXMakeCurrent(dpy, w, c));
    say("again", glXMakeCurrent(dpy, w, c));
    say("context, no drawable", glXMakeCurrent(dpy, None, c));
    say("drawable, no context", glXMakeCurrent(dpy, w, NULL));
    say("still current", glXGetCurrentContext() == c);
    say("direct", glXIsDirect(dpy, c));
    say("render type", (glXQueryContext(dpy, c, GLX_RENDER_TYPE, &value), value));
    say("unknown of a context", glXQueryContext(dpy, c, 0x7777, &value));
    say("unknown of a configuration", glXGetFBConfigAttrib(dpy, config, 0x7777, &value));
    glXMakeCurrent(dpy, w, c);
    glXSwapBuffers(dpy, w);
    say("swap", 0);
    glXMakeCurrent(dpy, None, NULL);
    say("nothing current", glXGetCurrentContext() == NULL && glXGetCurrentDrawable() == None);
    glXWaitGL();
    glXWaitX();
    say("waits for nothing", 0);
    say("again after all", glXMakeCurrent(dpy, w, c));
    glXDestroyContext(dpy, c); /* and lives as long as it is current */
    say("destroyed while current", 0);
    glXDestroyContext(dpy, c);
    say("destroyed twice", 0);
    glClear(GL_COLOR_BUFFER_BIT);
    say("it draws", (int)glGetError());
    glXMakeCurrent(dpy, None, NULL);
    XDestroyWindow(dpy, w);
    say("destroyed", 0);
}

static void pbuffers(GLXFBConfig config)
{
    static const int small[] = {GLX_PBUFFER_WIDTH, 10, GLX_PBUFFER_HEIGHT, 20, None};
    GLXPbuffer p = glXCreatePbuffer(dpy, config, small);
    unsigned v = 0;

    say("pbuffer", p != None);
    glXQueryDrawable(dpy, p, GLX_HEIGHT, &v);
    say("height", (int)v);
    glXDestroyPbuffer(dpy, p);
}

static void choosing(void)
{
    int none[] = {GLX_RGBA, GLX_RED_SIZE, 99, None};
    int old[] = {GLX_RGBA, GLX_DOUBLEBUFFER, GLX_DEPTH_SIZE, 1, None};
    int v = -1;

    say("no such visual", glXChooseVisual(dpy, DefaultScreen(dpy), none) != NULL);
    XVisualInfo *vis = glXChooseVisual(dpy, DefaultScreen(dpy), old);
    say("a visual", vis != NULL);
    say("use gl", (glXGetConfig(dpy, vis, GLX_USE_GL, &v), v));
    say("double", (glXGetConfig(dpy, vis, GLX_DOUBLEBUFFER, &v), v));
    say("alpha", (glXGetConfig(dpy, vis, GLX_ALPHA_SIZE, &v), v));
    say("depth", (glXGetConfig(dpy, vis, GLX_DEPTH_SIZE, &v),
                  v >= 1)); /* of several, which is Mesa's affair */
    say("unknown of a visual", glXGetConfig(dpy, vis, 0x7777, &v));
    GLXContext x = glXCreateContext(dpy, vis, NULL, True);
    say("a context of it", x != NULL);
    glXDestroyContext(dpy, x);
    XFree(vis);
}

int main(void)
{
    int major, minor, op, event;
    GLXFBConfig config;

    dpy = XOpenDisplay(NULL);
    if (!dpy || !XQueryExtension(dpy, "GLX", &op, &event, &error_base))
        return 1;
    XSetErrorHandler(on_error);
    say("version", glXQueryVersion(dpy, &major, &minor) && major == 1 && minor == 4);
    create = (create_fn)glXGetProcAddress((const GLubyte *)"glXCreateContextAttribsARB");
    config = common_config(dpy, True, 0);
    choosing();
    contexts(config);
    current(config);
    pbuffers(config);
    XCloseDisplay(dpy);
    printf("end\n");
    return 0;
}
