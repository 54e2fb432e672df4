/* gl_threads.h with EGL: gl_threads [ROUNDS [drawn]]. */
/* pkg: gl egl */
#include "tests/programs/gl_common.h"
#include "tests/programs/gl_threads.h"

static int current_set(struct job *j)
{
    EGLSurface s = (EGLSurface)j->drawable;

    eglBindAPI(EGL_OPENGL_API); /* it is the thread's */
    return eglMakeCurrent(the_display, s, s, j->context);
}

static void current_drop(void)
{
    eglMakeCurrent(the_display, EGL_NO_SURFACE, EGL_NO_SURFACE, EGL_NO_CONTEXT);
}

int main(int argc, char **argv)
{
    static const EGLint size[] = {EGL_WIDTH, 32, EGL_HEIGHT, 32, EGL_NONE};
    EGLContext shared = start(DESKTOP_COMPAT);
    int bad;

    current_drop();
    arguments(argc, argv);
    for (int i = 0; i < THREADS; i++) {
        jobs[i].number = i;
        jobs[i].drawable = (uintptr_t)eglCreatePbufferSurface(the_display, the_config, size);
        jobs[i].context = make_context(DESKTOP_COMPAT, shared);
    }
    bad = threads_run() + threads_take_over();
    printf("%s\n", bad ? "wrong" : "right");
    return bad != 0;
}
