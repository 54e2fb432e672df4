/*
 * Threads, each with a context and a drawable of its own: none sees another's pictures, none waits
 * for another for ever. Then objects that one thread makes and another uses right after a mutex
 * says so. pkg: gl x11
 */
#include "tests/programs/glx_common.h"

#include <pthread.h>

#ifndef THREADS
#define THREADS 6
#endif
#define ROUNDS 60

static Display *dpy;
static GLXFBConfig config;
static GLXContext shared; /* what the others share with */
static pthread_barrier_t barrier;

struct job {
    pthread_t thread;
    int number, bad;
    GLXContext context;
    GLXPbuffer pbuffer;
    GLuint texture;
};
static struct job jobs[THREADS];

static void fill(unsigned char *texels, int number, int round)
{
    for (int i = 0; i < 16 * 16; i++) {
        texels[i * 4] = (unsigned char)(number * 40 + 1);
        texels[i * 4 + 1] = (unsigned char)(round * 3 + 2);
        texels[i * 4 + 2] = (unsigned char)i;
        texels[i * 4 + 3] = 255;
    }
}

static int pixel_is(int r, int g)
{
    unsigned char p[4];
    glReadPixels(16, 16, 1, 1, GL_RGBA, GL_UNSIGNED_BYTE, p);
    return p[0] == r && p[1] == g;
}

static void draw_texture(GLuint texture)
{
    glEnable(GL_TEXTURE_2D);
    glBindTexture(GL_TEXTURE_2D, texture);
    glTexEnvi(GL_TEXTURE_ENV, GL_TEXTURE_ENV_MODE, GL_REPLACE);
    glBegin(GL_TRIANGLE_FAN);
    glTexCoord2f(0, 0);
    glVertex2f(-1, -1);
    glTexCoord2f(1, 0);
    glVertex2f(1, -1);
    glTexCoord2f(1, 1);
    glVertex2f(1, 1);
    glTexCoord2f(0, 1);
    glVertex2f(-1, 1);
    glEnd();
    glDisable(GL_TEXTURE_2D);
}

static void *run(void *arg)
{
    struct job *j = arg;
    struct job *other = &jobs[(j->number + 1) % THREADS];
    unsigned char texels[16 * 16 * 4];

    if (!glXMakeContextCurrent(dpy, j->pbuffer, j->pbuffer, j->context)) {
        j->bad = 1000;
        return NULL;
    }
    glViewport(0, 0, 32, 32);
    glGenTextures(1, &j->texture);
    glBindTexture(GL_TEXTURE_2D, j->texture);
    glTexParameteri(GL_TEXTURE_2D, GL_TEXTURE_MIN_FILTER, GL_NEAREST);
    glTexParameteri(GL_TEXTURE_2D, GL_TEXTURE_MAG_FILTER, GL_NEAREST);
    for (int round = 0; round < ROUNDS; round++) {
        /* alone */
        glClearColor((float)(j->number * 10) / 255, (float)round / 255, 0, 1);
        glClear(GL_COLOR_BUFFER_BIT);
        j->bad += !pixel_is(j->number * 10, round);
        /* mine, for my neighbour */
        fill(texels, j->number, round);
        glBindTexture(GL_TEXTURE_2D, j->texture);
        glTexImage2D(GL_TEXTURE_2D, 0, GL_RGBA8, 16, 16, 0, GL_RGBA, GL_UNSIGNED_BYTE, texels);
        glFinish();
        pthread_barrier_wait(&barrier);
        draw_texture(other->texture);
        j->bad += !pixel_is(other->number * 40 + 1, round * 3 + 2);
        pthread_barrier_wait(&barrier);
    }
    j->bad += glGetError() != GL_NO_ERROR;
    glXMakeContextCurrent(dpy, None, None, NULL);
    return NULL;
}

/* A context goes from thread to thread. */
static void *take_over(void *arg)
{
    struct job *j = arg;
    if (!glXMakeContextCurrent(dpy, j->pbuffer, j->pbuffer, j->context))
        return (void *)1;
    int bad = !pixel_is(200, 100);
    glClearColor(100.0f / 255, 200.0f / 255, 0, 1);
    glClear(GL_COLOR_BUFFER_BIT);
    glXMakeContextCurrent(dpy, None, None, NULL);
    return (void *)(intptr_t)bad;
}

int main(void)
{
    static const int size[] = {GLX_PBUFFER_WIDTH, 32, GLX_PBUFFER_HEIGHT, 32, None};
    int bad = 0;
    void *status;
    pthread_t t;

    XInitThreads();
    dpy = XOpenDisplay(NULL);
    if (!dpy)
        return 1;
    config = common_config(dpy, True, 8);
    shared = glXCreateNewContext(dpy, config, GLX_RGBA_TYPE, NULL, True);
    pthread_barrier_init(&barrier, NULL, THREADS);
    for (int i = 0; i < THREADS; i++) {
        jobs[i].number = i;
        jobs[i].pbuffer = glXCreatePbuffer(dpy, config, size);
        jobs[i].context = glXCreateNewContext(dpy, config, GLX_RGBA_TYPE, shared, True);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_create(&jobs[i].thread, NULL, run, &jobs[i]);
    for (int i = 0; i < THREADS; i++) {
        pthread_join(jobs[i].thread, NULL);
        if (jobs[i].bad)
            printf("thread %d: %d wrong\n", i, jobs[i].bad);
        bad += jobs[i].bad;
    }
    glXMakeContextCurrent(dpy, jobs[0].pbuffer, jobs[0].pbuffer, jobs[0].context);
    glClearColor(200.0f / 255, 100.0f / 255, 0, 1);
    glClear(GL_COLOR_BUFFER_BIT);
    glXMakeContextCurrent(dpy, None, None, NULL);
    pthread_create(&t, NULL, take_over, &jobs[0]);
    pthread_join(t, &status);
    bad += status != NULL;
    glXMakeContextCurrent(dpy, jobs[0].pbuffer, jobs[0].pbuffer, jobs[0].context);
    bad += !pixel_is(100, 200);
    glXMakeContextCurrent(dpy, None, None, NULL);
    for (int i = 0; i < THREADS; i++) {
        glXDestroyContext(dpy, jobs[i].context);
        glXDestroyPbuffer(dpy, jobs[i].pbuffer);
    }
    glXDestroyContext(dpy, shared);
    XCloseDisplay(dpy);
    printf("%s\n", bad ? "wrong" : "right");
    return bad != 0;
}
