/*
 * gl_pictures FOLDER [SCENE...]: scenes (all) drawn off screen, each read back into
 * FOLDER/NAME.png; those that the device cannot draw are named on stdout. gl_pictures --window
 * NAME: the scene in a window of an X server, whose size it has; "shown", and it stays until it is
 * ended. gl_pictures --formats: pixels written and read in every format and type; a line with the
 * error and a hash for each.
 */
/* links: -lpng -lm */
/* pkg: egl gl x11 */
#include "tests/programs/gl_common.h"

#include <X11/Xlib.h>
#include <X11/Xutil.h>
#include <math.h>
#include <png.h>
#include <unistd.h>

enum { EDGE = 256 };

/* --- what scenes are made of ------------------------------------------------------------------ */

#define PLANE                                                                                      \
    "#version 330 core\n"                                                                          \
    "layout(location = 0) in vec4 at; layout(location = 1) in vec4 color;\n"                       \
    "out vec4 c; out vec2 p; uniform mat4 m = mat4(1); uniform int columns = 1;\n"                 \
    "void main() { float i = float(gl_InstanceID);\n"                                              \
    "    c = color; p = at.xy * 0.5 + 0.5; gl_Position = m * at;\n"                                \
    "    if (columns > 1) gl_Position.xy = at.xy * 0.1 +\n"                                        \
    "        vec2(mod(i, columns), floor(i / columns)) * 0.2 - 0.9; }\n"
#define PIXEL(body)                                                                                \
    "#version 330 core\n"                                                                          \
    "in vec4 c; in vec2 p; out vec4 o; uniform sampler2D t; uniform samplerCube cube;\n"           \
    "uniform sampler3D volume; uniform sampler2DShadow shadow; uniform sampler2DArray layers;\n"   \
    "void main() { " body " }\n"

struct vertex {
    float at[4], color[4];
};

/* Two triangles that cover all. */
static void cover(void)
{
    static const struct vertex v[4] = {{{-1, -1, 0, 1}, {1, 0, 0, 1}},
                                       {{1, -1, 0, 1}, {0, 1, 0, 1}},
                                       {{-1, 1, 0, 1}, {0, 0, 1, 1}},
                                       {{1, 1, 0, 1}, {1, 1, 1, 1}}};
    glBufferData(GL_ARRAY_BUFFER, sizeof(v), v, GL_STREAM_DRAW);
    glDrawArrays(GL_TRIANGLE_STRIP, 0, 4);
}

/* A star of thin triangles, at different depths. */
static void star(void)
{
    enum { RAYS = 40 };
    struct vertex v[RAYS * 3] = {0};

    for (int i = 0; i < RAYS; i++)
        for (int k = 0; k < 3; k++) {
            float turn = 6.2831853f * ((float)i + (k == 1 ? 0.3f : 0)) / RAYS,
                  far = k == 2 ? 0.1f : 0.95f;
            struct vertex *one = &v[i * 3 + k];
            one->at[0] = cosf(turn) * far;
            one->at[1] = sinf(turn) * far;
            one->at[2] = sinf(turn * 3) * 0.5f;
            one->at[3] = 1;
            one->color[k] = 1;
            one->color[3] = 0.7f;
        }
    glBufferData(GL_ARRAY_BUFFER, sizeof(v), v, GL_STREAM_DRAW);
    glDrawArrays(GL_TRIANGLES, 0, RAYS * 3);
}

static GLuint texture(GLenum target, GLenum filter)
{
    GLuint t;
    glGenTextures(1, &t);
    glBindTexture(target, t);
    glTexParameteri(target, GL_TEXTURE_MIN_FILTER, (GLint)filter);
    glTexParameteri(target, GL_TEXTURE_MAG_FILTER, GL_LINEAR);
    return t;
}

/* RGBA of `n` pixels, the same each time. */
static const uint8_t *pattern(size_t n)
{
    static uint8_t data[EDGE * EDGE * 4];
    for (size_t i = 0; i < n * 4; i++)
        data[i] = (uint8_t)(i * 37 + i / 64 * 11 + (i / 256 % 2) * 90);
    return data;
}

static GLuint frame(GLenum format, GLsizei samples)
{
    GLuint f, color, depth;

    glGenFramebuffers(1, &f);
    glBindFramebuffer(GL_FRAMEBUFFER, f);
    glGenRenderbuffers(1, &color);
    glBindRenderbuffer(GL_RENDERBUFFER, color);
    glRenderbufferStorageMultisample(GL_RENDERBUFFER, samples, format, EDGE, EDGE);
    glFramebufferRenderbuffer(GL_FRAMEBUFFER, GL_COLOR_ATTACHMENT0, GL_RENDERBUFFER, color);
    glGenRenderbuffers(1, &depth);
    glBindRenderbuffer(GL_RENDERBUFFER, depth);
    glRenderbufferStorageMultisample(GL_RENDERBUFFER, samples, GL_DEPTH24_STENCIL8, EDGE, EDGE);
    glFramebufferRenderbuffer(GL_FRAMEBUFFER, GL_DEPTH_STENCIL_ATTACHMENT, GL_RENDERBUFFER, depth);
    return f;
}

static bool complete(void)
{
    return glCheckFramebufferStatus(GL_FRAMEBUFFER) == GL_FRAMEBUFFER_COMPLETE;
}

static void clear(float red, float green, float blue)
{
    glClearColor(red, green, blue, 1);
    glClear(GL_COLOR_BUFFER_BIT | GL_DEPTH_BUFFER_BIT | GL_STENCIL_BUFFER_BIT);
}

/* Into the target, from a frame of the same size. */
static void bring(GLuint from, GLuint target)
{
    glBindFramebuffer(GL_READ_FRAMEBUFFER, from);
    glBindFramebuffer(GL_DRAW_FRAMEBUFFER, target);
    glBlitFramebuffer(0, 0, EDGE, EDGE, 0, 0, EDGE, EDGE, GL_COLOR_BUFFER_BIT, GL_NEAREST);
    glBindFramebuffer(GL_FRAMEBUFFER, target);
}

/* --- the scenes: into `target`; false: the device has not what it needs ----------------------- */

static bool plain(GLuint target)
{
    (void)target;
    glEnable(GL_DEPTH_TEST);
    glUseProgram(program(PLANE, PIXEL("o = c;")));
    clear(0.1f, 0.2f, 0.3f);
    star();
    return true;
}

/* A floor that goes far away: mipmaps, trilinear, anisotropic where there is that. */
static bool textures(GLuint target)
{
    static const float far[16] = {2, 0, 0, 0, 0, 1, 0, 0.9f, 0, 0, 1, 0, 0, -0.2f, 0, 1.05f};
    GLuint p = program(PLANE, PIXEL("o = texture(t, p * vec2(6, 20));"));

    (void)target;
    texture(GL_TEXTURE_2D, GL_LINEAR_MIPMAP_LINEAR);
    glTexImage2D(GL_TEXTURE_2D, 0, GL_RGBA8, 64, 64, 0, GL_RGBA, GL_UNSIGNED_BYTE,
                 pattern(64 * 64));
    glGenerateMipmap(GL_TEXTURE_2D);
    glTexParameterf(GL_TEXTURE_2D, 0x84FE /* GL_TEXTURE_MAX_ANISOTROPY_EXT */, 8);
    while (glGetError())
        ;
    glUseProgram(p);
    glUniformMatrix4fv(glGetUniformLocation(p, "m"), 1, GL_FALSE, far);
    clear(0.2f, 0.3f, 0.6f);
    cover();
    return true;
}

static bool samples(GLuint target)
{
    GLuint f = frame(GL_RGBA8, 4);

    if (!complete())
        return false;
    glEnable(GL_MULTISAMPLE);
    plain(f);
    bring(f, target);
    return true;
}

/* Blended in linear light; what is read are the encoded values. */
static bool srgb(GLuint target)
{
    GLuint f = frame(GL_SRGB8_ALPHA8, 0);
    const GLuint p = program(PLANE, PIXEL("o = vec4(p.x * p.x, p.y, 0.2, 1);"));

    if (!complete())
        return false;
    glEnable(GL_FRAMEBUFFER_SRGB);
    glUseProgram(p);
    cover();
    glEnable(GL_BLEND);
    glBlendFunc(GL_SRC_ALPHA, GL_ONE_MINUS_SRC_ALPHA);
    glUseProgram(program(PLANE, PIXEL("o = c;")));
    star();
    glDisable(GL_BLEND);
    bring(f, target);
    glDisable(GL_FRAMEBUFFER_SRGB);
    return true;
}

/* More light than eight bits hold, then shown darker. */
static bool floats(GLuint target)
{
    GLuint f, t = texture(GL_TEXTURE_2D, GL_NEAREST);

    glTexImage2D(GL_TEXTURE_2D, 0, GL_RGBA16F, EDGE, EDGE, 0, GL_RGBA, GL_FLOAT, NULL);
    glGenFramebuffers(1, &f);
    glBindFramebuffer(GL_FRAMEBUFFER, f);
    glFramebufferTexture2D(GL_FRAMEBUFFER, GL_COLOR_ATTACHMENT0, GL_TEXTURE_2D, t, 0);
    if (!complete())
        return false;
    clear(0.5f, 1.5f, 0.1f);
    glEnable(GL_BLEND);
    glBlendFunc(GL_ONE, GL_ONE);
    glUseProgram(program(PLANE, PIXEL("o = c * 3.0;")));
    for (int i = 0; i < 4; i++)
        star();
    glDisable(GL_BLEND);
    glBindFramebuffer(GL_FRAMEBUFFER, target);
    glUseProgram(
        program(PLANE, PIXEL("vec4 v = texture(t, p); o = vec4(v.rgb / (1.0 + v.rgb), 1);")));
    cover();
    return true;
}

/* A depth texture, compared with. */
static bool shadows(GLuint target)
{
    GLuint f, d = texture(GL_TEXTURE_2D, GL_LINEAR);

    glTexImage2D(GL_TEXTURE_2D, 0, GL_DEPTH_COMPONENT32F, EDGE, EDGE, 0, GL_DEPTH_COMPONENT,
                 GL_FLOAT, NULL);
    glTexParameteri(GL_TEXTURE_2D, GL_TEXTURE_COMPARE_MODE, GL_COMPARE_REF_TO_TEXTURE);
    glGenFramebuffers(1, &f);
    glBindFramebuffer(GL_FRAMEBUFFER, f);
    glFramebufferTexture2D(GL_FRAMEBUFFER, GL_DEPTH_ATTACHMENT, GL_TEXTURE_2D, d, 0);
    glDrawBuffer(GL_NONE);
    glReadBuffer(GL_NONE);
    if (!complete())
        return false;
    glEnable(GL_DEPTH_TEST);
    clear(0, 0, 0);
    glUseProgram(program(PLANE, PIXEL("o = c;")));
    star();
    glDisable(GL_DEPTH_TEST);
    glBindFramebuffer(GL_FRAMEBUFFER, target);
    glUseProgram(program(
        PLANE,
        PIXEL(
            "o = vec4(texture(shadow, vec3(p, 0.4)), texture(shadow, vec3(p.yx, 0.6)), p.x, 1);")));
    cover();
    return true;
}

/* An array, a cube and a volume; instances and blending. */
static bool layers(GLuint target)
{
    static const char *const name[] = {"layers", "cube", "volume"};
    GLuint p = program(PLANE, PIXEL("o = texture(layers, vec3(p, c.r * 3.0)) * 0.5 + texture(cube, "
                                    "vec3(p - 0.5, 0.3)) * 0.3 +"
                                    "    texture(volume, vec3(p, c.g)) * 0.4; o.a = 0.6;"));

    (void)target;
    for (int i = 0; i < 3; i++) {
        glActiveTexture(GL_TEXTURE0 + (GLenum)i);
        GLenum kind = i == 0 ? GL_TEXTURE_2D_ARRAY : i == 1 ? GL_TEXTURE_CUBE_MAP : GL_TEXTURE_3D;
        texture(kind, GL_LINEAR);
        if (i == 1)
            for (GLenum side = 0; side < 6; side++)
                glTexImage2D(GL_TEXTURE_CUBE_MAP_POSITIVE_X + side, 0, GL_RGBA8, 16, 16, 0, GL_RGBA,
                             GL_UNSIGNED_BYTE, pattern(6 * 256) + side * 1024);
        else
            glTexImage3D(kind, 0, GL_RGBA8, 16, 16, 4, 0, GL_RGBA, GL_UNSIGNED_BYTE, pattern(1024));
    }
    glUseProgram(p);
    for (int i = 0; i < 3; i++)
        glUniform1i(glGetUniformLocation(p, name[i]), i);
    glUniform1i(glGetUniformLocation(p, "columns"), 10);
    clear(0.1f, 0.1f, 0.1f);
    glEnable(GL_BLEND);
    glBlendFunc(GL_SRC_ALPHA, GL_ONE_MINUS_SRC_ALPHA);
    cover(); /* its vertices, and one instance */
    glDrawArraysInstanced(GL_TRIANGLE_STRIP, 0, 4, 100);
    glDisable(GL_BLEND);
    glActiveTexture(GL_TEXTURE0);
    return true;
}

static const struct scene {
    const char *name;
    bool (*draw)(GLuint target);
} scenes[] = {{"plain", plain},   {"textures", textures}, {"samples", samples}, {"srgb", srgb},
              {"floats", floats}, {"shadows", shadows},   {"layers", layers}};

static void ready(void)
{
    GLuint vao, vertices;

    glGenVertexArrays(1, &vao);
    glBindVertexArray(vao);
    glGenBuffers(1, &vertices);
    glBindBuffer(GL_ARRAY_BUFFER, vertices);
    for (GLuint i = 0; i < 2; i++) {
        glVertexAttribPointer(i, 4, GL_FLOAT, GL_FALSE, sizeof(struct vertex),
                              (void *)(uintptr_t)(i * 16));
        glEnableVertexAttribArray(i);
    }
    glViewport(0, 0, EDGE, EDGE);
}

static bool scene_draw(const struct scene *s, GLuint target)
{
    glBindFramebuffer(GL_FRAMEBUFFER, target);
    glDisable(GL_DEPTH_TEST);
    glDisable(GL_MULTISAMPLE);
    bool drawn = s->draw(target);
    GLenum error = glGetError();
    if (error)
        printf("%s: error 0x%04x\n", s->name, error);
    return drawn && !error;
}

/* --- into files, into a window ---------------------------------------------------------------- */

static void save(const char *folder, const char *name)
{
    png_image png = {
        .version = PNG_IMAGE_VERSION, .width = EDGE, .height = EDGE, .format = PNG_FORMAT_RGB};
    static uint8_t rgb[EDGE * EDGE * 3];
    char path[4096];

    glPixelStorei(GL_PACK_ALIGNMENT, 1);
    glReadPixels(0, 0, EDGE, EDGE, GL_RGB, GL_UNSIGNED_BYTE, rgb);
    snprintf(path, sizeof(path), "%s/%s.png", folder, name);
    if (!png_image_write_to_file(&png, path, 0, rgb, -EDGE * 3, NULL)) {
        fprintf(stderr, "%s: %s\n", path, png.message);
        exit(1);
    }
}

static bool wanted(const char *name, char **names)
{
    bool found = !names[0];
    for (; *names; names++)
        found |= strcmp(*names, name) == 0;
    return found;
}

/* Each scene in a context of its own: off screen, and on a pbuffer, as a window would have it. */
static void draw_files(const char *folder, char **names)
{
    static const EGLint size[] = {EGL_WIDTH, EDGE, EGL_HEIGHT, EDGE, EGL_NONE};
    char name[64];

    start(DESKTOP_CORE);
    EGLSurface surface = eglCreatePbufferSurface(the_display, the_config, size);
    for (unsigned i = 0; i < sizeof(scenes) / sizeof(scenes[0]) * 2; i++) {
        const struct scene *s = &scenes[i / 2];
        if (!wanted(s->name, names))
            continue;
        EGLContext c = make_context(DESKTOP_CORE, EGL_NO_CONTEXT);
        if (!eglMakeCurrent(the_display, surface, surface, c))
            give_up("eglMakeCurrent");
        ready();
        snprintf(name, sizeof(name), "%s%s", s->name, i % 2 ? ".surface" : "");
        if (scene_draw(s, i % 2 ? 0 : frame(GL_RGBA8, 0)))
            save(folder, name);
        else
            printf("%s: not drawn\n", name);
        eglDestroyContext(the_display, c);
    }
}

static void window_open(void)
{
    static const EGLint want[] = {EGL_RED_SIZE,
                                  8,
                                  EGL_GREEN_SIZE,
                                  8,
                                  EGL_BLUE_SIZE,
                                  8,
                                  EGL_DEPTH_SIZE,
                                  24,
                                  EGL_SURFACE_TYPE,
                                  EGL_WINDOW_BIT,
                                  EGL_RENDERABLE_TYPE,
                                  EGL_OPENGL_BIT,
                                  EGL_NONE};
    Display *x = XOpenDisplay(NULL);
    EGLint n = 0, id;
    int found;

    if (!x)
        give_up("XOpenDisplay");
    the_display = eglGetPlatformDisplay(EGL_PLATFORM_X11_EXT, x, NULL);
    if (!eglInitialize(the_display, NULL, NULL) ||
        !eglChooseConfig(the_display, want, &the_config, 1, &n) || n < 1)
        give_up("eglChooseConfig");
    eglGetConfigAttrib(the_display, the_config, EGL_NATIVE_VISUAL_ID, &id);
    XVisualInfo like = {.visualid = (VisualID)id},
                *v = XGetVisualInfo(x, VisualIDMask, &like, &found);
    if (!v)
        give_up("XGetVisualInfo");
    XSetWindowAttributes a = {.colormap =
                                  XCreateColormap(x, DefaultRootWindow(x), v->visual, AllocNone)};
    Window w = XCreateWindow(x, DefaultRootWindow(x), 0, 0, EDGE, EDGE, 0, v->depth, InputOutput,
                             v->visual, CWColormap | CWBorderPixel, &a);
    XMapWindow(x, w);
    XSync(x, False);
    the_surface = eglCreateWindowSurface(the_display, the_config, w, NULL);
    EGLContext c = make_context(DESKTOP_CORE, EGL_NO_CONTEXT);
    if (!eglMakeCurrent(the_display, the_surface, the_surface, c))
        give_up("eglMakeCurrent");
}

static int draw_window(const char *name)
{
    window_open();
    ready();
    for (unsigned i = 0; i < sizeof(scenes) / sizeof(scenes[0]); i++) {
        if (strcmp(scenes[i].name, name) != 0)
            continue;
        for (int frames = 0; frames < 3; frames++)
            if (!scene_draw(&scenes[i], 0) || !eglSwapBuffers(the_display, the_surface))
                return 1;
        printf("shown\n");
        fflush(stdout);
        for (;;)
            pause();
    }
    return 1;
}

/* --- formats ---------------------------------------------------------------------------------- */

static const GLenum formats[] = {GL_RED,           GL_GREEN,
                                 GL_BLUE,          GL_RG,
                                 GL_RGB,           GL_BGR,
                                 GL_RGBA,          GL_BGRA,
                                 GL_RED_INTEGER,   GL_RG_INTEGER,
                                 GL_RGB_INTEGER,   GL_RGBA_INTEGER,
                                 GL_BGRA_INTEGER,  GL_DEPTH_COMPONENT,
                                 GL_STENCIL_INDEX, GL_DEPTH_STENCIL};
static const GLenum types[] = {GL_UNSIGNED_BYTE,
                               GL_BYTE,
                               GL_UNSIGNED_SHORT,
                               GL_SHORT,
                               GL_UNSIGNED_INT,
                               GL_INT,
                               GL_HALF_FLOAT,
                               GL_FLOAT,
                               GL_UNSIGNED_BYTE_3_3_2,
                               GL_UNSIGNED_BYTE_2_3_3_REV,
                               GL_UNSIGNED_SHORT_5_6_5,
                               GL_UNSIGNED_SHORT_5_6_5_REV,
                               GL_UNSIGNED_SHORT_4_4_4_4,
                               GL_UNSIGNED_SHORT_4_4_4_4_REV,
                               GL_UNSIGNED_SHORT_5_5_5_1,
                               GL_UNSIGNED_SHORT_1_5_5_5_REV,
                               GL_UNSIGNED_INT_8_8_8_8,
                               GL_UNSIGNED_INT_8_8_8_8_REV,
                               GL_UNSIGNED_INT_10_10_10_2,
                               GL_UNSIGNED_INT_2_10_10_10_REV,
                               GL_UNSIGNED_INT_24_8,
                               GL_UNSIGNED_INT_10F_11F_11F_REV,
                               GL_UNSIGNED_INT_5_9_9_9_REV,
                               GL_FLOAT_32_UNSIGNED_INT_24_8_REV};
static const struct {
    GLenum internal, format, type; /* and what it is filled with */
} stored[] = {
    {GL_R8, GL_RED, GL_UNSIGNED_BYTE},
    {GL_RG8, GL_RG, GL_UNSIGNED_BYTE},
    {GL_RGB8, GL_RGB, GL_UNSIGNED_BYTE},
    {GL_RGBA8, GL_RGBA, GL_UNSIGNED_BYTE},
    {GL_RGBA8_SNORM, GL_RGBA, GL_BYTE},
    {GL_SRGB8_ALPHA8, GL_RGBA, GL_UNSIGNED_BYTE},
    {GL_RGB565, GL_RGB, GL_UNSIGNED_SHORT_5_6_5},
    {GL_RGBA4, GL_RGBA, GL_UNSIGNED_SHORT_4_4_4_4},
    {GL_RGB5_A1, GL_RGBA, GL_UNSIGNED_SHORT_5_5_5_1},
    {GL_RGB10_A2, GL_RGBA, GL_UNSIGNED_INT_2_10_10_10_REV},
    {GL_RGBA16, GL_RGBA, GL_UNSIGNED_SHORT},
    {GL_RGBA16F, GL_RGBA, GL_UNSIGNED_BYTE},
    {GL_RGBA32F, GL_RGBA, GL_UNSIGNED_BYTE},
    {GL_R11F_G11F_B10F, GL_RGB, GL_UNSIGNED_BYTE},
    {GL_RGB9_E5, GL_RGB, GL_UNSIGNED_BYTE},
    {GL_R8UI, GL_RED_INTEGER, GL_UNSIGNED_BYTE},
    {GL_RGBA8UI, GL_RGBA_INTEGER, GL_UNSIGNED_BYTE},
    {GL_RGBA16I, GL_RGBA_INTEGER, GL_SHORT},
    {GL_RGBA32UI, GL_RGBA_INTEGER, GL_UNSIGNED_INT},
    {GL_DEPTH_COMPONENT16, GL_DEPTH_COMPONENT, GL_UNSIGNED_SHORT},
    {GL_DEPTH_COMPONENT24, GL_DEPTH_COMPONENT, GL_UNSIGNED_INT},
    {GL_DEPTH_COMPONENT32F, GL_DEPTH_COMPONENT, GL_UNSIGNED_SHORT},
    {GL_DEPTH24_STENCIL8, GL_DEPTH_STENCIL, GL_UNSIGNED_INT_24_8},
};

enum { SMALL = 13 }; /* an odd width */

static uint8_t pixels[SMALL * SMALL * 64];

static void line(const char *how, GLenum internal, GLenum format, GLenum type)
{
    GLenum error = glGetError();
    printf("%s 0x%04x as 0x%04x 0x%04x: error 0x%04x, %016llx\n", how, internal, format, type,
           error, error ? 0ull : (unsigned long long)hash(pixels, sizeof(pixels)));
}

static void attach(GLuint t, GLenum internal)
{
    bool depth = internal >= GL_DEPTH_COMPONENT16 && internal <= 0x81A7;
    GLenum where = internal == GL_DEPTH24_STENCIL8              ? GL_DEPTH_STENCIL_ATTACHMENT
                   : depth || internal == GL_DEPTH_COMPONENT32F ? GL_DEPTH_ATTACHMENT
                                                                : GL_COLOR_ATTACHMENT0;
    GLuint f;

    glGenFramebuffers(1, &f);
    glBindFramebuffer(GL_FRAMEBUFFER, f);
    glFramebufferTexture2D(GL_FRAMEBUFFER, where, GL_TEXTURE_2D, t, 0);
    glReadBuffer(where == GL_COLOR_ATTACHMENT0 ? where : GL_NONE);
}

/* Each way out: from a frame, from a texture, into a buffer, with rows that are longer. */
static void read_all(GLenum internal, bool frame_complete, GLuint pack)
{
    for (unsigned f = 0; f < sizeof(formats) / sizeof(*formats); f++)
        for (unsigned t = 0; t < sizeof(types) / sizeof(*types); t++) {
            memset(pixels, 0xcd, sizeof(pixels));
            if (frame_complete) {
                glReadPixels(0, 0, SMALL, SMALL, formats[f], types[t], pixels);
                line("frame", internal, formats[f], types[t]);
            }
            if (formats[f] == GL_STENCIL_INDEX && types[t] != GL_UNSIGNED_BYTE)
                continue; /* Mesa writes bytes whatever the type, and leaves the rest of the memory
                           */
            memset(pixels, 0xcd, sizeof(pixels));
            glGetTexImage(GL_TEXTURE_2D, 0, formats[f], types[t], pixels);
            line("texture", internal, formats[f], types[t]);
        }
    if (!frame_complete)
        return;
    glPixelStorei(GL_PACK_ROW_LENGTH, SMALL + 2);
    glPixelStorei(GL_PACK_SKIP_PIXELS, 1);
    glPixelStorei(GL_PACK_ALIGNMENT, 8);
    memset(pixels, 0xcd, sizeof(pixels));
    glReadPixels(0, 0, SMALL, SMALL, GL_RGBA, GL_UNSIGNED_BYTE, pixels);
    line("rows", internal, GL_RGBA, GL_UNSIGNED_BYTE);
    glBindBuffer(GL_PIXEL_PACK_BUFFER, pack);
    glBufferSubData(GL_PIXEL_PACK_BUFFER, 0, sizeof(pixels), pattern(sizeof(pixels) / 4));
    glReadPixels(0, 0, SMALL, SMALL, GL_RGBA, GL_FLOAT, (void *)(uintptr_t)16);
    glGetBufferSubData(GL_PIXEL_PACK_BUFFER, 0, sizeof(pixels), pixels);
    line("buffer", internal, GL_RGBA, GL_FLOAT);
    glBindBuffer(GL_PIXEL_PACK_BUFFER, 0);
    glPixelStorei(GL_PACK_ROW_LENGTH, 0);
    glPixelStorei(GL_PACK_SKIP_PIXELS, 0);
    glPixelStorei(GL_PACK_ALIGNMENT, 4);
}

/* Each way in: from memory and from a buffer, in every format and type that goes with RGBA8. */
static void write_all(GLuint unpack)
{
    GLuint t = texture(GL_TEXTURE_2D, GL_NEAREST);
    (void)t;
    glTexImage2D(GL_TEXTURE_2D, 0, GL_RGBA8, SMALL, SMALL, 0, GL_RGBA, GL_UNSIGNED_BYTE, NULL);
    for (unsigned f = 0; f < sizeof(formats) / sizeof(*formats); f++)
        for (unsigned k = 0; k < sizeof(types) / sizeof(*types); k++)
            for (int from_buffer = 0; from_buffer < 2; from_buffer++) {
                glTexSubImage2D(GL_TEXTURE_2D, 0, 0, 0, SMALL, SMALL, GL_RGBA, GL_UNSIGNED_BYTE,
                                pattern(SMALL * SMALL));
                glBindBuffer(GL_PIXEL_UNPACK_BUFFER, from_buffer ? unpack : 0);
                glPixelStorei(GL_UNPACK_SKIP_ROWS, 1);
                glTexSubImage2D(GL_TEXTURE_2D, 0, 1, 1, SMALL - 2, SMALL - 2, formats[f], types[k],
                                from_buffer ? (const void *)(uintptr_t)8
                                            : pattern(SMALL * SMALL * 16));
                glPixelStorei(GL_UNPACK_SKIP_ROWS, 0);
                glBindBuffer(GL_PIXEL_UNPACK_BUFFER, 0);
                GLenum error = glGetError();
                memset(pixels, 0xcd, sizeof(pixels));
                glGetTexImage(GL_TEXTURE_2D, 0, GL_RGBA, GL_UNSIGNED_BYTE, pixels);
                printf("write 0x%04x 0x%04x%s: error 0x%04x, ", formats[f], types[k],
                       from_buffer ? " buffer" : "", error);
                line("then", GL_RGBA8, GL_RGBA, GL_UNSIGNED_BYTE);
            }
}

static void draw_formats(unsigned every)
{
    GLuint buffers[2];

    start(DESKTOP_CORE);
    glGenBuffers(2, buffers);
    glBindBuffer(GL_PIXEL_PACK_BUFFER, buffers[0]);
    glBufferData(GL_PIXEL_PACK_BUFFER, sizeof(pixels), NULL, GL_STREAM_READ);
    glBindBuffer(GL_PIXEL_PACK_BUFFER, 0);
    glBindBuffer(GL_PIXEL_UNPACK_BUFFER, buffers[1]);
    glBufferData(GL_PIXEL_UNPACK_BUFFER, SMALL * SMALL * 64, pattern(SMALL * SMALL * 16),
                 GL_STREAM_DRAW);
    glBindBuffer(GL_PIXEL_UNPACK_BUFFER, 0);
    for (unsigned i = 0; i < sizeof(stored) / sizeof(*stored); i += every) {
        GLuint t = texture(GL_TEXTURE_2D, GL_NEAREST);
        glTexImage2D(GL_TEXTURE_2D, 0, (GLint)stored[i].internal, SMALL, SMALL, 0, stored[i].format,
                     stored[i].type, pattern(SMALL * SMALL * 4));
        attach(t, stored[i].internal);
        printf("0x%04x: error 0x%04x, frame %d\n", stored[i].internal, glGetError(), complete());
        read_all(stored[i].internal, complete(), buffers[0]);
    }
    write_all(buffers[1]);
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "--window") == 0)
        return draw_window(argv[2]);
    int every = argc == 3 ? atoi(argv[2]) : 1;
    if (argc >= 2 && strcmp(argv[1], "--formats") == 0 && every > 0)
        draw_formats((unsigned)every);
    else if (argc >= 2)
        draw_files(argv[1], argv + 2);
    else
        return 2;
    return 0;
}
