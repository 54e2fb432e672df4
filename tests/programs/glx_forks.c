/* A program with a window and busy threads forks: its children draw, or put away what they have
 * inherited, and the parent's window goes on. */
/* pkg: gl egl x11 */
#include "tests/programs/glx_common.h"

#include <EGL/egl.h>
#include <EGL/eglext.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/wait.h>

enum { CHILDREN = 8, THREADS = 3, SURFACES = 2000, LIMIT_S = 10 };

static EGLDisplay egl;
static EGLSurface oldest;
static atomic_bool ending;

static void surfaces_create(void)
{
    const EGLint want[] = {EGL_SURFACE_TYPE, EGL_PBUFFER_BIT, EGL_NONE};
    const EGLint size[] = {EGL_WIDTH, 1, EGL_HEIGHT, 1, EGL_NONE};
    EGLConfig config;
    EGLint n;

    egl = eglGetPlatformDisplay(EGL_PLATFORM_SURFACELESS_MESA, EGL_DEFAULT_DISPLAY, NULL);
    eglInitialize(egl, NULL, NULL);
    eglChooseConfig(egl, want, &config, 1, &n);
    oldest = eglCreatePbufferSurface(egl, config, size);
    for (int i = 1; i < SURFACES; i++)
        eglCreatePbufferSurface(egl, config, size);
}

static int known(void)
{
    EGLint width = 0;
    return eglQuerySurface(egl, oldest, EGL_WIDTH, &width) && width == 1;
}

/* Holds the library's lock nearly all the time, to find the surface among so many. */
static void *busy(void *arg)
{
    while (!atomic_load(&ending))
        known();
    return NULL;
}

/* glvnd looks up most functions under a lock of its own, which a child may find held, and which is
 * not ours to mend. This one it knows. */
static int answered(void)
{
    return eglQueryString(egl, EGL_EXTENSIONS) != NULL;
}

/* Children that hang end by SIGALRM. */
static int ended_well(pid_t pid)
{
    int status;
    return waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static int children_of_busy(void)
{
    pthread_t thread[THREADS];
    int well = 0;

    surfaces_create();
    for (int i = 0; i < THREADS; i++)
        pthread_create(&thread[i], NULL, busy, NULL);
    for (int i = 0; i < CHILDREN; i++) {
        pid_t pid = fork();
        if (pid == 0) {
            alarm(LIMIT_S);
            _exit(!answered());
        }
        well += ended_well(pid);
    }
    atomic_store(&ending, true);
    for (int i = 0; i < THREADS; i++)
        pthread_join(thread[i], NULL);
    return well;
}

static uint64_t shown(Display *dpy, Window w, GLXWindow window, float green)
{
    glClearColor(0, green, 0.5f, 1);
    glClear(GL_COLOR_BUFFER_BIT);
    glXSwapBuffers(dpy, window);
    glXWaitGL();
    return common_hash(dpy, w);
}

static int child_puts_away(void)
{
    Display *dpy = XOpenDisplay(NULL);
    GLXFBConfig config = common_config(dpy, True, 0);
    Window w = common_window(dpy, config, 0, 200, 100);
    GLXWindow window = glXCreateWindow(dpy, config, w, NULL);
    GLXContext context = glXCreateNewContext(dpy, config, GLX_RGBA_TYPE, NULL, True);

    glXMakeCurrent(dpy, window, context);
    uint64_t first = shown(dpy, w, window, 0), second = shown(dpy, w, window, 1);
    pid_t pid = fork();
    if (pid == 0) {
        alarm(LIMIT_S);
        glDrawBuffer(GL_FRONT);
        for (int i = 0; i < 5; i++) {
            glClear(GL_COLOR_BUFFER_BIT);
            glFinish();
        }
        glXMakeCurrent(dpy, None, NULL);
        glXDestroyWindow(dpy, window);
        glXDestroyContext(dpy, context);
        _exit(0);
    }
    int well = ended_well(pid);
    int goes_on = shown(dpy, w, window, 0) == first && shown(dpy, w, window, 1) == second;
    printf("the child that puts away ends well: %d\n", well);
    printf("the parent's window goes on: %d\n", first != second && goes_on);
    return first != second && well && goes_on;
}

int main(void)
{
    int good = child_puts_away(), well = children_of_busy();

    printf("children of a busy parent that end well: %d of %d\n", well, CHILDREN);
    return !good || well != CHILDREN;
}
