/* OpenGL ES 1.1, 2.0 and 3.x: arrays in memory, shaders, framebuffers. */
/* pkg: gl egl */
#include "tests/programs/gl_common.h"

/* ES commands that desktop headers do not declare. */
static void (*clear_depthf)(GLfloat);
static void (*rotatex)(GLfixed, GLfixed, GLfixed, GLfixed);
static void (*color4x)(GLfixed, GLfixed, GLfixed, GLfixed);
static void (*orthof)(GLfloat, GLfloat, GLfloat, GLfloat, GLfloat, GLfloat);

static const GLfloat corners[] = {-0.8f, -0.8f, 0.8f, -0.8f, -0.8f, 0.8f, 0.8f, 0.8f};
static const GLubyte colors[] = {255, 0, 0, 255, 0, 255, 0, 255, 0, 0, 255, 255, 255, 255, 0, 255};

static void clear(void)
{
    glClearColor(0.2f, 0.3f, 0.1f, 1);
    clear_depthf(1);
    glClear(GL_COLOR_BUFFER_BIT | GL_DEPTH_BUFFER_BIT);
}

static void es1(void)
{
    static const GLubyte index[] = {0, 1, 2, 2, 1, 3};
    static GLubyte texels[16 * 16 * 4];
    GLuint t;

    for (unsigned i = 0; i < sizeof(texels); i++)
        texels[i] = (GLubyte)(i * 17);
    if (start_if_offered(ES1) ==
        EGL_NO_CONTEXT) { /* Mesa may be built without, as Debian 13's is */
        printf("no OpenGL ES 1: EGL error 0x%x\n", eglGetError());
        return;
    }
    clear();
    glMatrixMode(GL_PROJECTION);
    orthof(-1, 1, -1, 1, -1, 1);
    glMatrixMode(GL_MODELVIEW);
    rotatex(10 << 16, 0, 0, 1 << 16);
    color4x(1 << 16, 0, 1 << 15, 1 << 16);
    glEnableClientState(GL_VERTEX_ARRAY);
    glVertexPointer(2, GL_FLOAT, 0, corners);
    glDrawArrays(GL_TRIANGLE_STRIP, 0, 3);
    show("es1");
    glEnableClientState(GL_COLOR_ARRAY);
    glColorPointer(4, GL_UNSIGNED_BYTE, 0, colors);
    clear();
    glDrawElements(GL_TRIANGLES, 6, GL_UNSIGNED_BYTE, index);
    show("es1 elements");
    glGenTextures(1, &t);
    glBindTexture(GL_TEXTURE_2D, t);
    glTexImage2D(GL_TEXTURE_2D, 0, GL_RGBA, 16, 16, 0, GL_RGBA, GL_UNSIGNED_BYTE, texels);
    glTexParameteri(GL_TEXTURE_2D, GL_TEXTURE_MIN_FILTER, GL_NEAREST);
    glEnable(GL_TEXTURE_2D);
    glClientActiveTexture(GL_TEXTURE0);
    glEnableClientState(GL_TEXTURE_COORD_ARRAY);
    glTexCoordPointer(2, GL_FLOAT, 0, corners);
    clear();
    glDrawArrays(GL_TRIANGLE_STRIP, 0, 4);
    show("es1 texture");
    show_int("es1 units", GL_MAX_TEXTURE_UNITS, 1);
    show_error("es1");
}

static void es2(int kind, const char *name)
{
    static const char vertex[] =
        "attribute vec2 position; attribute vec4 tint; varying vec4 color; uniform float size;\n"
        "void main() { color = tint; gl_Position = vec4(position * size, 0.0, 1.0); }\n";
    static const char fragment[] =
        "precision mediump float; varying vec4 color; void main() { gl_FragColor = color; }\n";
    static const GLushort index[] = {0, 1, 2, 2, 1, 3};
    GLuint p, f, t, b;
    GLint v = 0;
    char text[64];

    start(kind);
    printf("%s\n", name);
    p = program(vertex, fragment);
    glUseProgram(p);
    glUniform1f(glGetUniformLocation(p, "size"), 0.9f);
    glVertexAttribPointer((GLuint)glGetAttribLocation(p, "position"), 2, GL_FLOAT, GL_FALSE, 0,
                          corners);
    glVertexAttribPointer((GLuint)glGetAttribLocation(p, "tint"), 4, GL_UNSIGNED_BYTE, GL_TRUE, 0,
                          colors);
    glEnableVertexAttribArray((GLuint)glGetAttribLocation(p, "position"));
    glEnableVertexAttribArray((GLuint)glGetAttribLocation(p, "tint"));
    clear();
    glDrawArrays(GL_TRIANGLE_STRIP, 0, 4);
    show("  arrays");
    clear();
    glDrawElements(GL_TRIANGLES, 6, GL_UNSIGNED_SHORT, index);
    show("  elements");
    glGenBuffers(1, &b);
    glBindBuffer(GL_ARRAY_BUFFER, b);
    glBufferData(GL_ARRAY_BUFFER, sizeof(corners), corners, GL_STATIC_DRAW);
    glVertexAttribPointer((GLuint)glGetAttribLocation(p, "position"), 2, GL_FLOAT, GL_FALSE, 0,
                          NULL);
    glBindBuffer(GL_ARRAY_BUFFER, 0);
    clear();
    glDrawElements(GL_TRIANGLES, 3, GL_UNSIGNED_SHORT, index + 3);
    show("  half in buffers");
    glGetVertexAttribiv((GLuint)glGetAttribLocation(p, "position"),
                        GL_VERTEX_ATTRIB_ARRAY_BUFFER_BINDING, &v);
    printf("  buffer is mine %d\n", v == (GLint)b);
    glGenFramebuffers(1, &f);
    glGenTextures(1, &t);
    glBindTexture(GL_TEXTURE_2D, t);
    glTexImage2D(GL_TEXTURE_2D, 0, GL_RGBA, SIZE, SIZE, 0, GL_RGBA, GL_UNSIGNED_BYTE, NULL);
    glBindFramebuffer(GL_FRAMEBUFFER, f);
    glFramebufferTexture2D(GL_FRAMEBUFFER, GL_COLOR_ATTACHMENT0, GL_TEXTURE_2D, t, 0);
    printf("  status 0x%x\n", glCheckFramebufferStatus(GL_FRAMEBUFFER));
    clear();
    glDrawArrays(GL_TRIANGLES, 0, 3);
    show("  framebuffer");
    glBindFramebuffer(GL_FRAMEBUFFER, 0);
    glGetShaderPrecisionFormat(GL_FRAGMENT_SHADER, GL_HIGH_FLOAT, (GLint[2]){0}, &v);
    printf("  precision %d\n", v);
    snprintf(text, sizeof(text), "%.12s", (const char *)glGetString(GL_VERSION));
    printf("  version %s glsl %.18s\n", text,
           (const char *)glGetString(GL_SHADING_LANGUAGE_VERSION));
    show_int("  formats", GL_NUM_COMPRESSED_TEXTURE_FORMATS, 1);
    show_error("  end");
}

/* A shader that reads what is there: each draw sees the one before it behind a barrier. */
static void fetches(void)
{
    static const char vertex[] = "#version 300 es\nlayout(location = 0) in vec2 position;\n"
                                 "void main() { gl_Position = vec4(position, 0.0, 1.0); }\n";
    static const char fragment[] =
        "#version 300 es\n#extension GL_EXT_shader_framebuffer_fetch_non_coherent : require\n"
        "precision highp float; layout(noncoherent) inout vec4 result;\n"
        "void main() { result = vec4(result.yzx * 0.8 + 0.1, 1.0); }\n";
    void (*barrier)(void) = (void (*)(void))eglGetProcAddress("glFramebufferFetchBarrierEXT");
    bool offered = strstr((const char *)glGetString(GL_EXTENSIONS),
                          "GL_EXT_shader_framebuffer_fetch_non_coherent");

    printf("fetches: %s\n", offered ? "offered" : "not offered");
    if (!offered)
        return;
    glUseProgram(program(vertex, fragment));
    glBindVertexArray(0);
    glBindBuffer(GL_ARRAY_BUFFER, 0);
    glVertexAttribPointer(0, 2, GL_FLOAT, GL_FALSE, 0, corners);
    glEnableVertexAttribArray(0);
    clear();
    for (unsigned i = 0; i < 3; i++) {
        glDrawArrays(GL_TRIANGLE_STRIP, 0, 4);
        barrier();
    }
    show("  three times");
    show_error("  end");
}

static void es3(void)
{
    static const char vertex[] =
        "#version 300 es\nlayout(location = 0) in vec2 position; flat out int which;\n"
        "void main() { which = gl_InstanceID; gl_Position = vec4(position * 0.4 + "
        "float(gl_InstanceID) * 0.3, 0.0, 1.0); }\n";
    static const char fragment[] =
        "#version 300 es\nprecision mediump float; flat in int which; out vec4 result;\n"
        "void main() { result = vec4(which == 0, which == 1, which == 2, 1); }\n";
    GLuint p = program(vertex, fragment), a, b;
    GLfloat *map;
    GLint64 wide = 0;

    glUseProgram(p);
    glGenVertexArrays(1, &a);
    glBindVertexArray(a);
    glGenBuffers(1, &b);
    glBindBuffer(GL_ARRAY_BUFFER, b);
    glBufferData(GL_ARRAY_BUFFER, sizeof(corners), NULL, GL_STATIC_DRAW);
    map = glMapBufferRange(GL_ARRAY_BUFFER, 0, sizeof(corners),
                           GL_MAP_WRITE_BIT | GL_MAP_INVALIDATE_BUFFER_BIT);
    memcpy(map, corners, sizeof(corners));
    glUnmapBuffer(GL_ARRAY_BUFFER);
    glVertexAttribPointer(0, 2, GL_FLOAT, GL_FALSE, 0, NULL);
    glEnableVertexAttribArray(0);
    clear();
    glDrawArraysInstanced(GL_TRIANGLE_STRIP, 0, 4, 3);
    show("es3 instances");
    glGetBufferParameteri64v(GL_ARRAY_BUFFER, GL_BUFFER_SIZE, &wide);
    printf("es3 size %lld\n", (long long)wide);
    map = glMapBufferRange(GL_ARRAY_BUFFER, 8, 8, GL_MAP_READ_BIT);
    printf("es3 map %g %g\n", (double)map[0], (double)map[1]);
    glUnmapBuffer(GL_ARRAY_BUFFER);
    show_error("es3");
}

int main(void)
{
    clear_depthf = (void (*)(GLfloat))eglGetProcAddress("glClearDepthf");
    rotatex = (void (*)(GLfixed, GLfixed, GLfixed, GLfixed))eglGetProcAddress("glRotatex");
    color4x = (void (*)(GLfixed, GLfixed, GLfixed, GLfixed))eglGetProcAddress("glColor4x");
    orthof = (void (*)(GLfloat, GLfloat, GLfloat, GLfloat, GLfloat, GLfloat))eglGetProcAddress(
        "glOrthof");
    es1();
    es2(ES2, "es2");
    es2(ES3, "es3 as es2");
    es3();
    fetches();
    return 0;
}
