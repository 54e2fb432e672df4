/* A signal arrives while a call of OpenGL's waits, and its handler closes the display or ends the
 * program: that must end it, whatever was interrupted. */
/* pkg: gl egl x11 */
#include "tests/programs/glx_common.h"

#include <EGL/egl.h>
#include <EGL/eglext.h>
#include <signal.h>
#include <sys/time.h>
#include <sys/wait.h>

enum { STATUS = 7, TRIES = 6, LIMIT_S = 4, ENOUGH = 3 };

static Display *dpy;
static Window window;
static GLXContext context;
static EGLDisplay egl;
static unsigned buffer;

/* --- what is interrupted ---------------------------------------------------------------------- */

static void glx_start(void)
{
    dpy = XOpenDisplay(NULL);
    GLXFBConfig config = common_config(dpy, True, 0);
    window = common_window(dpy, config, 0, 800, 600);
    context = glXCreateNewContext(dpy, config, GLX_RGBA_TYPE, NULL, True);
    glXMakeCurrent(dpy, window, context);
}

static void egl_start(void)
{
    const EGLint want[] = {EGL_SURFACE_TYPE, EGL_PBUFFER_BIT, EGL_RENDERABLE_TYPE, EGL_OPENGL_BIT,
                           EGL_NONE};
    const EGLint size[] = {EGL_WIDTH, 640, EGL_HEIGHT, 480, EGL_NONE};
    EGLConfig config;
    EGLint n;

    egl = eglGetPlatformDisplay(EGL_PLATFORM_SURFACELESS_MESA, EGL_DEFAULT_DISPLAY, NULL);
    eglInitialize(egl, NULL, NULL);
    eglBindAPI(EGL_OPENGL_API);
    eglChooseConfig(egl, want, &config, 1, &n);
    EGLSurface s = eglCreatePbufferSurface(egl, config, size);
    eglMakeCurrent(egl, s, s, eglCreateContext(egl, config, EGL_NO_CONTEXT, NULL));
}

static void swap(void)
{
    glClear(GL_COLOR_BUFFER_BIT);
    glXSwapBuffers(dpy, window);
}

static void finish(void)
{
    common_scene(640, 480, 10);
    glFinish();
}

static void read_pixels(void)
{
    static char pixels[640 * 480 * 4];
    glClear(GL_COLOR_BUFFER_BIT);
    glReadPixels(0, 0, 640, 480, GL_RGBA, GL_UNSIGNED_BYTE, pixels);
}

static void wait_fence(void)
{
    glClear(GL_COLOR_BUFFER_BIT);
    GLsync s = glFenceSync(GL_SYNC_GPU_COMMANDS_COMPLETE, 0);
    glClientWaitSync(s, GL_SYNC_FLUSH_COMMANDS_BIT, 1000000000);
    glDeleteSync(s);
}

static void buffers(void)
{
    static char data[65536];
    if (!buffer)
        glGenBuffers(1, &buffer);
    glBindBuffer(GL_ARRAY_BUFFER, buffer);
    glBufferData(GL_ARRAY_BUFFER, sizeof(data), data, GL_STREAM_DRAW);
    glGetBufferSubData(GL_ARRAY_BUFFER, 0, sizeof(data), data);
}

/* --- what the handler does -------------------------------------------------------------------- */

static void close_all(int signal)
{
    glXMakeCurrent(dpy, None, NULL);
    glXDestroyContext(dpy, context);
    XCloseDisplay(dpy);
    _exit(STATUS);
}

static void close_display(int signal)
{
    XCloseDisplay(dpy);
    _exit(STATUS);
}

static void delete_and_close(int signal)
{
    glDeleteBuffers(1, &buffer);
    glFinish();
    close_all(signal);
}

static void terminate(int signal)
{
    eglTerminate(egl);
    eglReleaseThread();
    _exit(STATUS);
}

static void at_exit(void)
{
    eglTerminate(egl);
    eglReleaseThread();
}

static void call_exit(int signal)
{
    exit(STATUS);
}

static const struct {
    const char *name;
    void (*start)(void), (*step)(void), (*handler)(int);
} cases[] = {
    {"swap, closes all", glx_start, swap, close_all},
    {"swap, closes the display", glx_start, swap, close_display},
    {"swap, deletes and closes", glx_start, swap, delete_and_close},
    {"finish, closes all", glx_start, finish, close_all},
    {"finish, closes the display", glx_start, finish, close_display},
    {"finish, terminates", egl_start, finish, terminate},
    {"finish, exits", egl_start, finish, call_exit},
    {"read pixels, terminates", egl_start, read_pixels, terminate},
    {"fence, terminates", egl_start, wait_fence, terminate},
    {"buffers, exits", egl_start, buffers, call_exit},
};

/* In a child: the signal comes at another moment in each try. */
static void child(unsigned which, int try)
{
    cases[which].start();
    if (cases[which].handler == call_exit)
        atexit(at_exit);
    for (int i = 0; i < 5; i++)
        cases[which].step();
    signal(SIGALRM, cases[which].handler);
    setitimer(ITIMER_REAL, &(struct itimerval){.it_value.tv_usec = 20000 + try * 7919 % 5000},
              NULL);
    for (;;)
        cases[which].step();
}

/* The status, or 1000 and more: it did not end by itself. */
static int child_wait(pid_t pid)
{
    int status;

    for (int i = 0; i < LIMIT_S * 100; i++) {
        if (waitpid(pid, &status, WNOHANG) == pid)
            return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
        usleep(10000);
    }
    kill(pid, SIGKILL);
    waitpid(pid, &status, 0);
    return 1000;
}

int main(void)
{
    int bad = 0;

    for (unsigned i = 0; i < sizeof(cases) / sizeof(*cases); i++)
        for (int try = 0; try < TRIES && bad < ENOUGH; try++) {
            fflush(stdout);
            pid_t pid = fork();
            if (pid == 0)
                child(i, try);
            int status = child_wait(pid);
            if (status != STATUS) {
                printf("%s: try %d: %s %d\n", cases[i].name, try,
                       status == 1000 ? "still there after seconds:" : "ended otherwise:", status);
                bad++;
            }
        }
    printf("%d did not end as their handler said\n", bad);
    return bad != 0;
}
