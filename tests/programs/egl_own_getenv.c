/* A program with functions of libc's names for the environment, one of which calls the next with a
 * lock held, as Firefox has them: says EGL's vendor. */
/* pkg: egl */
#include <EGL/egl.h>
#include <EGL/eglext.h>
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

char *getenv(const char *name);
char *secure_getenv(const char *name);

char *getenv(const char *name)
{
    size_t n = strlen(name);
    char *found = NULL;

    pthread_mutex_lock(&lock);
    for (char **e = environ; e && *e && !found; e++)
        if (strncmp(*e, name, n) == 0 && (*e)[n] == '=')
            found = *e + n + 1;
    pthread_mutex_unlock(&lock);
    return found;
}

char *secure_getenv(const char *name)
{
    char *(*next)(const char *) = (char *(*)(const char *))dlsym(RTLD_NEXT, "secure_getenv");

    pthread_mutex_lock(&lock);
    char *found = next(name);
    pthread_mutex_unlock(&lock);
    return found;
}

int main(void)
{
    EGLDisplay d = eglGetPlatformDisplay(EGL_PLATFORM_SURFACELESS_MESA, NULL, NULL);

    secure_getenv("HOME");
    eglInitialize(d, NULL, NULL);
    printf("%s\n", eglQueryString(d, EGL_VENDOR));
    return 0;
}
