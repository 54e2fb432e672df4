/* Threads, each with a context and a drawable of its own of 32x32: none sees another's pictures,
 * and a texture that one has filled and finished is what its neighbour draws. The window system's
 * part is the program's. */
#ifndef XG_TESTS_GL_THREADS_H
#define XG_TESTS_GL_THREADS_H

#include <GL/gl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifndef THREADS
#define THREADS 6
#endif
#define SHADES 80 /* of a round */

static pthread_barrier_t barrier;
static int rounds = 60;
static int drawn; /* a texture is drawn by its own context first */

struct job {
    pthread_t thread;
    int number, bad;
    void *context; /* they share their objects */
    uintptr_t drawable;
    GLuint texture;
};
static struct job jobs[THREADS];

/* [ROUNDS [drawn]] */
static void arguments(int argc, char **argv)
{
    if (argc > 1)
        rounds = atoi(argv[1]);
    drawn = argc > 2 && !strcmp(argv[2], "drawn");
}

static int current_set(struct job *j); /* 0: not made current */
static void current_drop(void);

static void fill(unsigned char *texels, int number, int shade)
{
    for (int i = 0; i < 16 * 16; i++) {
        texels[i * 4] = (unsigned char)(number * 40 + 1);
        texels[i * 4 + 1] = (unsigned char)(shade * 3 + 2);
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

/* As pixel_is(); says what is wrong, and what is there when everything is done. */
static void expect(struct job *j, int round, const char *what, int r, int g)
{
    unsigned char p[2][4] = {{0}};

    for (int i = 0; i < 2; i++) {
        glReadPixels(16, 16, 1, 1, GL_RGBA, GL_UNSIGNED_BYTE, p[i]);
        if (p[i][0] == r && p[i][1] == g && i == 0)
            return;
        glFinish();
    }
    j->bad++;
    printf("thread %d, round %d, %s: %d %d instead of %d %d, then %d %d, error 0x%04x\n", j->number,
           round, what, p[0][0], p[0][1], r, g, p[1][0], p[1][1], glGetError());
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
    GLenum error;

    if (!current_set(j)) {
        printf("thread %d: not current\n", j->number);
        exit(1);
    }
    glViewport(0, 0, 32, 32);
    glGenTextures(1, &j->texture);
    glBindTexture(GL_TEXTURE_2D, j->texture);
    glTexParameteri(GL_TEXTURE_2D, GL_TEXTURE_MIN_FILTER, GL_NEAREST);
    glTexParameteri(GL_TEXTURE_2D, GL_TEXTURE_MAG_FILTER, GL_NEAREST);
    for (int round = 0; round < rounds; round++) {
        int shade = round % SHADES;

        glClearColor((float)(j->number * 10) / 255, (float)shade / 255, 0, 1);
        glClear(GL_COLOR_BUFFER_BIT);
        expect(j, round, "alone", j->number * 10, shade);
        /* mine, for my neighbour */
        fill(texels, j->number, shade);
        glBindTexture(GL_TEXTURE_2D, j->texture);
        glTexImage2D(GL_TEXTURE_2D, 0, GL_RGBA8, 16, 16, 0, GL_RGBA, GL_UNSIGNED_BYTE, texels);
        if (drawn)
            draw_texture(j->texture);
        glFinish();
        pthread_barrier_wait(&barrier);
        draw_texture(other->texture);
        expect(j, round, "neighbour's", other->number * 40 + 1, shade * 3 + 2);
        pthread_barrier_wait(&barrier);
    }
    error = glGetError();
    if (error) {
        printf("thread %d: error 0x%04x\n", j->number, error);
        j->bad++;
    }
    current_drop();
    return NULL;
}

/* How many pictures were wrong. */
static int threads_run(void)
{
    int bad = 0;

    pthread_barrier_init(&barrier, NULL, THREADS);
    for (int i = 0; i < THREADS; i++)
        pthread_create(&jobs[i].thread, NULL, run, &jobs[i]);
    for (int i = 0; i < THREADS; i++) {
        pthread_join(jobs[i].thread, NULL);
        bad += jobs[i].bad;
    }
    return bad;
}

/* A context goes from thread to thread. */
static void *take_over(void *arg)
{
    struct job *j = arg;
    if (!current_set(j))
        return (void *)1;
    int bad = !pixel_is(200, 100);
    glClearColor(100.0f / 255, 200.0f / 255, 0, 1);
    glClear(GL_COLOR_BUFFER_BIT);
    current_drop();
    return (void *)(intptr_t)bad;
}

static int threads_take_over(void)
{
    struct job *j = &jobs[0];
    pthread_t t;
    void *status;
    int bad;

    current_set(j);
    glClearColor(200.0f / 255, 100.0f / 255, 0, 1);
    glClear(GL_COLOR_BUFFER_BIT);
    current_drop();
    pthread_create(&t, NULL, take_over, j);
    pthread_join(t, &status);
    current_set(j);
    bad = (status != NULL) + !pixel_is(100, 200);
    current_drop();
    if (bad)
        printf("taken over: %d wrong\n", bad);
    return bad;
}

#endif
