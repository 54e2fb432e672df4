/*
 * gl_cheat MODE [LINES]: a guest that takes as much as it can; bench/fairness.py measures what the
 * others still get. It runs until it is killed, or until the device is lost: status 3 then.
 *   flood    commands that draw nothing, as many as possible
 *   nosync   long draws, and it never waits for one
 *   endless  a shader that does not end
 *   compile  shaders are compiled
 *   big      programs of a shader of LINES lines (100) are linked, and drawn with once
 *   read     large pictures are read
 *   mipmap   mipmaps are made of a large texture
 *   copies   a large texture is copied to another
 *   buffers  parts of a buffer are replaced
 *   queries  queries of draws, whose results nobody reads
 */
/* pkg: gl egl */
#include "tests/programs/gl_common.h"

enum { TURN = 256, LARGE = 2048, PART = 4096 };

static const char vertex[] = "#version 130\nin vec4 p;\nvoid main() { gl_Position = p; }";
static const char fragment[] = "#version 130\n"
                               "uniform int limit;\n"
                               "out vec4 color;\n"
                               "void main() {\n"
                               "    vec4 a = gl_FragCoord;\n"
                               "    for (int i = 0; i < limit || limit < 0; i++) {\n"
                               "        a = sin(a.yxzw);\n"
                               "        if (limit < 0)\n"
                               "            i = 0;\n"
                               "    }\n"
                               "    color = a;\n"
                               "}\n";

static unsigned turn;
static int lines;

static void flood_step(void)
{
    for (int i = 0; i < TURN; i++)
        glUniform1i(0, i);
}

static void nosync_step(void)
{
    glDrawArrays(GL_TRIANGLES, 0, 3);
}

static void endless_step(void)
{
    glDrawArrays(GL_TRIANGLES, 0, 3);
    glFinish();
}

static void compile_step(void)
{
    char text[4096];
    const char *source = text;
    int n = snprintf(text, sizeof(text), "#version 130\nvoid main() { vec4 a = gl_FragCoord;\n");
    GLuint s = glCreateShader(GL_FRAGMENT_SHADER);

    for (int i = 0; i < 60; i++)
        n += snprintf(text + n, sizeof(text) - (size_t)n,
                      "a = a * a.yxzw + vec4(%u.0, %d.0, 1, 2);\n", turn, i);
    snprintf(text + n, sizeof(text) - (size_t)n, "gl_FragColor = a; }\n");
    glShaderSource(s, 1, &source, NULL);
    glCompileShader(s);
    glDeleteShader(s);
}

/* A new program each time, so that no cache of the driver helps. */
static void big_step(void)
{
    static char text[400000];
    const char *draws = text;
    int n = snprintf(text, sizeof(text),
                     "#version 130\nout vec4 color;\nvoid main() {\n"
                     "vec4 a = gl_FragCoord;\n");

    for (int i = 0; i < lines; i++)
        n += snprintf(text + n, sizeof(text) - (size_t)n,
                      "a = sin(a * a.yxzw + vec4(%u.0, %d.0, 1, 2));\n", turn, i);
    snprintf(text + n, sizeof(text) - (size_t)n, "color = a; }\n");
    GLuint p = program(vertex, draws);
    glUseProgram(p);
    glDrawArrays(GL_TRIANGLES, 0, 3);
    glDeleteProgram(p);
}

static void texture_make(GLuint *t, unsigned count)
{
    glGenTextures((GLsizei)count, t);
    for (unsigned i = 0; i < count; i++) {
        glBindTexture(GL_TEXTURE_2D, t[i]);
        glTexImage2D(GL_TEXTURE_2D, 0, GL_RGBA8, LARGE, LARGE, 0, GL_RGBA, GL_UNSIGNED_BYTE, NULL);
    }
}

static void read_step(void)
{
    static GLuint t, f;
    static void *pixels;

    if (!t) {
        texture_make(&t, 1);
        pixels = malloc((size_t)LARGE * LARGE * 4);
        glGenFramebuffers(1, &f);
        glBindFramebuffer(GL_FRAMEBUFFER, f);
        glFramebufferTexture2D(GL_FRAMEBUFFER, GL_COLOR_ATTACHMENT0, GL_TEXTURE_2D, t, 0);
    }
    glReadPixels(0, 0, LARGE, LARGE, GL_RGBA, GL_UNSIGNED_BYTE, pixels);
}

static void mipmap_step(void)
{
    static GLuint t;

    if (!t)
        texture_make(&t, 1);
    glGenerateMipmap(GL_TEXTURE_2D);
}

static void copies_step(void)
{
    static GLuint t[2];

    if (!t[0])
        texture_make(t, 2);
    glCopyImageSubData(t[0], GL_TEXTURE_2D, 0, 0, 0, 0, t[1], GL_TEXTURE_2D, 0, 0, 0, 0, LARGE,
                       LARGE, 1);
}

static void buffers_step(void)
{
    static GLuint b;
    static char data[PART];

    if (!b) {
        glGenBuffers(1, &b);
        glBindBuffer(GL_COPY_WRITE_BUFFER, b);
        glBufferData(GL_COPY_WRITE_BUFFER, LARGE * PART, NULL, GL_DYNAMIC_DRAW);
    }
    for (int i = 0; i < TURN; i++)
        glBufferSubData(GL_COPY_WRITE_BUFFER, (i * 37 % LARGE) * PART, PART, data);
}

static void queries_step(void)
{
    static GLuint q[TURN];

    if (!q[0])
        glGenQueries(TURN, q);
    for (int i = 0; i < TURN; i++) {
        glBeginQuery(GL_SAMPLES_PASSED, q[i]);
        glDrawArrays(GL_TRIANGLES, 0, 3);
        glEndQuery(GL_SAMPLES_PASSED);
    }
}

static const struct mode {
    const char *name;
    void (*step)(void);
    int limit;
} modes[] = {{"flood", flood_step, 1},      {"nosync", nosync_step, 1500},
             {"endless", endless_step, -1}, {"compile", compile_step, 1},
             {"big", big_step, 1},          {"read", read_step, 1},
             {"mipmap", mipmap_step, 1},    {"copies", copies_step, 1},
             {"buffers", buffers_step, 1},  {"queries", queries_step, 1}};

static const struct mode *mode_find(const char *name)
{
    for (size_t i = 0; name && i < sizeof(modes) / sizeof(modes[0]); i++)
        if (!strcmp(modes[i].name, name))
            return &modes[i];
    fprintf(stderr,
            "usage: gl_cheat flood | nosync | endless | compile | big | read | mipmap | copies | "
            "buffers | queries\n");
    exit(2);
}

int main(int argc, char **argv)
{
    static const GLfloat all[] = {-1, -1, 0, 1, 3, -1, 0, 1, -1, 3, 0, 1};
    const struct mode *mode = mode_find(argv[1]);

    lines = argc > 2 ? atoi(argv[2]) : 100;
    start(DESKTOP_COMPAT);
    GLuint p = program(vertex, fragment);
    glUseProgram(p);
    glUniform1i(glGetUniformLocation(p, "limit"), mode->limit);
    glVertexAttribPointer(0, 4, GL_FLOAT, GL_FALSE, 0, all);
    glEnableVertexAttribArray(0);
    puts("at work");
    fflush(stdout);
    for (;; turn++) {
        mode->step();
        if (turn % TURN == TURN - 1 && !eglSwapBuffers(the_display, the_surface))
            break;
    }
    printf("lost 0x%x\n", eglGetError());
    return 3;
}
