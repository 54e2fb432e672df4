/* gl_threads.h with GLX: glx_threads [ROUNDS [drawn]]. */
/* pkg: gl x11 */
#include "tests/programs/gl_threads.h"
#include "tests/programs/glx_common.h"

static Display *dpy;

static int current_set(struct job *j)
{
    return glXMakeContextCurrent(dpy, j->drawable, j->drawable, j->context);
}

static void current_drop(void)
{
    glXMakeContextCurrent(dpy, None, None, NULL);
}

int main(int argc, char **argv)
{
    static const int size[] = {GLX_PBUFFER_WIDTH, 32, GLX_PBUFFER_HEIGHT, 32, None};
    GLXFBConfig config;
    GLXContext shared;
    int bad;

    arguments(argc, argv);
    XInitThreads();
    dpy = XOpenDisplay(NULL);
    if (!dpy)
        return 1;
    config = common_config(dpy, True, 8);
    shared = glXCreateNewContext(dpy, config, GLX_RGBA_TYPE, NULL, True);
    for (int i = 0; i < THREADS; i++) {
        jobs[i].number = i;
        jobs[i].drawable = glXCreatePbuffer(dpy, config, size);
        jobs[i].context = glXCreateNewContext(dpy, config, GLX_RGBA_TYPE, shared, True);
    }
    bad = threads_run() + threads_take_over();
    for (int i = 0; i < THREADS; i++) {
        glXDestroyContext(dpy, jobs[i].context);
        glXDestroyPbuffer(dpy, jobs[i].drawable);
    }
    glXDestroyContext(dpy, shared);
    XCloseDisplay(dpy);
    printf("%s\n", bad ? "wrong" : "right");
    return bad != 0;
}
