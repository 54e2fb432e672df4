/* For the GL test programs: a context on a pbuffer, and lines "name value" that a direct and a
 * remoted run must print alike. */
#ifndef XG_TESTS_GL_COMMON_H
#define XG_TESTS_GL_COMMON_H

#include "tests/programs/egl_common.h"

#define GL_GLEXT_PROTOTYPES
#include <GL/gl.h>
#include <GL/glext.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SIZE 128

enum { DESKTOP_COMPAT, DESKTOP_CORE, ES2, ES3, ES1 };

static EGLDisplay the_display;
static EGLSurface the_surface;
static EGLConfig the_config;

__attribute__((noreturn)) static void give_up(const char *what)
{
    fprintf(stderr, "%s failed: EGL error 0x%x\n", what, eglGetError());
    exit(1);
}

/* EGL_NO_CONTEXT where the driver has not that API. */
static inline EGLContext try_context(int kind, EGLContext share)
{
    const EGLint core[] = {EGL_CONTEXT_MAJOR_VERSION,
                           3,
                           EGL_CONTEXT_MINOR_VERSION,
                           3,
                           EGL_CONTEXT_OPENGL_PROFILE_MASK,
                           EGL_CONTEXT_OPENGL_CORE_PROFILE_BIT,
                           EGL_NONE};
    const EGLint es[] = {EGL_CONTEXT_MAJOR_VERSION,
                         kind == ES3   ? 3
                         : kind == ES2 ? 2
                                       : 1,
                         EGL_NONE};
    const EGLint none[] = {EGL_NONE};
    bool desktop = kind == DESKTOP_COMPAT || kind == DESKTOP_CORE;

    eglBindAPI(desktop ? EGL_OPENGL_API : EGL_OPENGL_ES_API);
    return eglCreateContext(the_display, the_config, share,
                            kind == DESKTOP_CORE ? core
                            : desktop            ? none
                                                 : es);
}

static inline EGLContext make_context(int kind, EGLContext share)
{
    EGLContext c = try_context(kind, share);
    if (c == EGL_NO_CONTEXT)
        give_up("eglCreateContext");
    return c;
}

static inline EGLContext start_if_offered(int kind)
{
    EGLint renderable = kind == ES1                  ? EGL_OPENGL_ES_BIT
                        : kind == ES2 || kind == ES3 ? EGL_OPENGL_ES2_BIT
                                                     : EGL_OPENGL_BIT;
    const EGLint want[] = {EGL_SURFACE_TYPE,
                           EGL_PBUFFER_BIT,
                           EGL_RENDERABLE_TYPE,
                           renderable,
                           EGL_RED_SIZE,
                           8,
                           EGL_GREEN_SIZE,
                           8,
                           EGL_BLUE_SIZE,
                           8,
                           EGL_ALPHA_SIZE,
                           8,
                           EGL_DEPTH_SIZE,
                           24,
                           EGL_STENCIL_SIZE,
                           8,
                           EGL_NONE};
    const EGLint size[] = {EGL_WIDTH, SIZE, EGL_HEIGHT, SIZE, EGL_NONE};
    EGLContext c;
    EGLint n = 0;

    the_display = egl_display_get();
    if (!eglInitialize(the_display, NULL, NULL))
        give_up("eglInitialize");
    if (!eglChooseConfig(the_display, want, &the_config, 1, &n) || n < 1)
        give_up("eglChooseConfig");
    the_surface = eglCreatePbufferSurface(the_display, the_config, size);
    c = try_context(kind, EGL_NO_CONTEXT);
    if (c != EGL_NO_CONTEXT && !eglMakeCurrent(the_display, the_surface, the_surface, c))
        give_up("eglMakeCurrent");
    return c;
}

static inline EGLContext start(int kind)
{
    EGLContext c = start_if_offered(kind);
    if (c == EGL_NO_CONTEXT)
        give_up("eglCreateContext");
    return c;
}

static inline uint64_t hash(const void *data, size_t size)
{
    const uint8_t *p = data;
    uint64_t h = 1469598103934665603u;
    for (size_t i = 0; i < size; i++)
        h = (h ^ p[i]) * 1099511628211u;
    return h;
}

static uint8_t the_pixels[SIZE * SIZE * 4];

/* What is in the read framebuffer, and whether an error is pending. */
static inline void show(const char *name)
{
    memset(the_pixels, 0, sizeof(the_pixels));
    glReadPixels(0, 0, SIZE, SIZE, GL_RGBA, GL_UNSIGNED_BYTE, the_pixels);
    printf("%s %016llx middle %02x%02x%02x%02x\n", name,
           (unsigned long long)hash(the_pixels, sizeof(the_pixels)),
           the_pixels[4 * (SIZE / 2 * SIZE + SIZE / 2)],
           the_pixels[4 * (SIZE / 2 * SIZE + SIZE / 2) + 1],
           the_pixels[4 * (SIZE / 2 * SIZE + SIZE / 2) + 2],
           the_pixels[4 * (SIZE / 2 * SIZE + SIZE / 2) + 3]);
}

static inline void show_error(const char *name)
{
    glFinish();
    printf("%s error 0x%04x\n", name, glGetError());
}

/* Some drivers call a pbuffer's one buffer GL_FRONT, others refuse that; a guest may hear it late.
 */
static inline void front_if_any(void)
{
    glReadBuffer(GL_FRONT);
    glDrawBuffer(GL_FRONT);
    glFinish();
    glGetError();
}

static inline void show_int(const char *name, GLenum pname, int count)
{
    GLint v[16] = {0};
    glGetIntegerv(pname, v);
    printf("%s", name);
    for (int i = 0; i < count; i++)
        printf(" %d", v[i]);
    printf("\n");
}

static inline void show_float(const char *name, GLenum pname, int count)
{
    GLfloat v[16] = {0};
    glGetFloatv(pname, v);
    printf("%s", name);
    for (int i = 0; i < count; i++)
        printf(" %g", (double)v[i]);
    printf("\n");
}

static inline GLuint shader(GLenum type, const char *text)
{
    GLuint s = glCreateShader(type);
    GLint ok = 0;
    char log[2048];

    glShaderSource(s, 1, &text, NULL);
    glCompileShader(s);
    glGetShaderiv(s, GL_COMPILE_STATUS, &ok);
    if (!ok) {
        glGetShaderInfoLog(s, sizeof(log), NULL, log);
        printf("compile failed: %s\n", log);
    }
    return s;
}

static inline GLuint program(const char *vertex, const char *fragment)
{
    GLuint p = glCreateProgram(), v = shader(GL_VERTEX_SHADER, vertex),
           f = shader(GL_FRAGMENT_SHADER, fragment);
    GLint ok = 0;
    char log[2048];

    glAttachShader(p, v);
    glAttachShader(p, f);
    glLinkProgram(p);
    glGetProgramiv(p, GL_LINK_STATUS, &ok);
    if (!ok) {
        glGetProgramInfoLog(p, sizeof(log), NULL, log);
        printf("link failed: %s\n", log);
    }
    glDeleteShader(v);
    glDeleteShader(f);
    return p;
}

#endif
