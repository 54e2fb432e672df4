/* Awkward ways to have more of the device's memory than was counted: images that take more than
 * their texels, levels that come before the first, memory that is given back and still in use.
 *
 *     gl_hogs WAY    goes on until the first error or the way's number of rounds, says which, and
 * waits for a line on stdin */
/* pkg: gl egl */
#include "tests/programs/gl_common.h"

#include <unistd.h>

static uint8_t pixels[32 << 20];

static GLuint texture(GLenum target)
{
    GLuint t;

    glGenTextures(1, &t);
    glBindTexture(target, t);
    return t;
}

/* --- images that take more than their texels -------------------------------------------------- */

static void column(unsigned round)
{
    (void)round;
    texture(GL_TEXTURE_2D);
    glTexImage2D(GL_TEXTURE_2D, 0, GL_R8, 1, 8192, 0, GL_RED, GL_UNSIGNED_BYTE, NULL);
}

static void column_storage(unsigned round)
{
    (void)round;
    texture(GL_TEXTURE_2D);
    glTexStorage2D(GL_TEXTURE_2D, 1, GL_R8, 1, 8192);
}

static void layers(unsigned round)
{
    (void)round;
    texture(GL_TEXTURE_2D_ARRAY);
    glTexImage3D(GL_TEXTURE_2D_ARRAY, 0, GL_R8, 1, 1, 2048, 0, GL_RED, GL_UNSIGNED_BYTE, NULL);
}

static void lines(unsigned round)
{
    (void)round;
    texture(GL_TEXTURE_1D_ARRAY);
    glTexImage2D(GL_TEXTURE_1D_ARRAY, 0, GL_R8, 1, 2048, 0, GL_RED, GL_UNSIGNED_BYTE, NULL);
}

static void column_renderbuffer(unsigned round)
{
    GLuint b;

    (void)round;
    glGenRenderbuffers(1, &b);
    glBindRenderbuffer(GL_RENDERBUFFER, b);
    glRenderbufferStorage(GL_RENDERBUFFER, GL_R8, 1, 8192);
}

static void one_sample(unsigned round)
{
    GLuint b;

    (void)round;
    glGenRenderbuffers(1, &b);
    glBindRenderbuffer(GL_RENDERBUFFER, b);
    glRenderbufferStorageMultisample(GL_RENDERBUFFER, 1, GL_RGBA8, 512, 512);
}

static void one_sample_texture(unsigned round)
{
    (void)round;
    texture(GL_TEXTURE_2D_MULTISAMPLE);
    glTexImage2DMultisample(GL_TEXTURE_2D_MULTISAMPLE, 1, GL_RGBA8, 512, 512, GL_TRUE);
}

static void one_sample_storage(unsigned round)
{
    (void)round;
    texture(GL_TEXTURE_2D_MULTISAMPLE);
    glTexStorage2DMultisample(GL_TEXTURE_2D_MULTISAMPLE, 1, GL_RGBA8, 512, 512, GL_TRUE);
}

/* --- levels and faces that come with others --------------------------------------------------- */

static void fourth_level(unsigned round)
{
    (void)round;
    texture(GL_TEXTURE_2D);
    glTexImage2D(GL_TEXTURE_2D, 3, GL_RGBA8, 256, 256, 0, GL_RGBA, GL_UNSIGNED_BYTE, NULL);
}

static void levels_that_do_not_fit(unsigned round)
{
    (void)round;
    texture(GL_TEXTURE_2D);
    for (GLint level = 1; level < 4; level++)
        glTexImage2D(GL_TEXTURE_2D, level, GL_RGBA8, 256, 256, 0, GL_RGBA, GL_UNSIGNED_BYTE, NULL);
}

static void one_face(unsigned round)
{
    (void)round;
    texture(GL_TEXTURE_CUBE_MAP);
    glTexImage2D(GL_TEXTURE_CUBE_MAP_NEGATIVE_Y, 0, GL_RGBA8, 512, 512, 0, GL_RGBA,
                 GL_UNSIGNED_BYTE, NULL);
}

/* The driver takes a new piece with room for the levels, and frees the old one: what comes after it
 * does not always fit there. */
static void mipmaps(unsigned round)
{
    (void)round;
    texture(GL_TEXTURE_2D);
    glTexImage2D(GL_TEXTURE_2D, 0, GL_RGBA8, 1400, 1400, 0, GL_RGBA, GL_UNSIGNED_BYTE, pixels);
    glGenerateMipmap(GL_TEXTURE_2D);
}

/* --- objects whose state takes more than their names ------------------------------------------ */

static void assembly_parameters(unsigned round)
{
    static const char text[] = "!!ARBfp1.0\nMOV result.color, fragment.color;\nEND\n";
    GLuint p;

    (void)round;
    glGenProgramsARB(1, &p);
    glBindProgramARB(GL_FRAGMENT_PROGRAM_ARB, p);
    glProgramStringARB(GL_FRAGMENT_PROGRAM_ARB, GL_PROGRAM_FORMAT_ASCII_ARB, sizeof(text) - 1,
                       text);
    glProgramLocalParameter4fARB(GL_FRAGMENT_PROGRAM_ARB, 1, 1, 2, 3, 4);
}

static void fences(unsigned round)
{
    (void)round;
    for (int i = 0; i < 1000; i++)
        glFenceSync(GL_SYNC_GPU_COMMANDS_COMPLETE, 0);
}

/* --- what was given back and is in use -------------------------------------------------------- */

static const GLfloat all[] = {-1, -1, 0, 1, 3, -1, 0, 1, -1, 3, 0, 1};

static void draw_slowly(void)
{
    static const char *const vertex = "#version 130\nin vec4 p;\nout vec2 t;\nvoid main() { "
                                      "gl_Position = p; t = p.xy; }",
                             *const fragment =
                                 "#version 130\nin vec2 t;\nout vec4 o;\nuniform sampler2D s;\n"
                                 "void main() { vec4 a = vec4(t, t); for (int i = 0; i < 60; i++) "
                                 "a = sin(a.yxzw) + texture(s, a.xy); o = a; }";
    static GLuint p;

    if (!p) {
        p = program(vertex, fragment);
        glUseProgram(p);
        glEnableVertexAttribArray(0);
    }
    glVertexAttribPointer(0, 4, GL_FLOAT, GL_FALSE, 0, all);
    glDrawArrays(GL_TRIANGLES, 0, 3);
}

static void large(GLsizei height)
{
    glTexParameteri(GL_TEXTURE_2D, GL_TEXTURE_MIN_FILTER, GL_NEAREST);
    glTexImage2D(GL_TEXTURE_2D, 0, GL_RGBA8, 2000, height, 0, GL_RGBA, GL_UNSIGNED_BYTE, pixels);
}

static void deleted_in_use(unsigned round)
{
    GLuint t = texture(GL_TEXTURE_2D);

    (void)round;
    large(2000);
    draw_slowly();
    glDeleteTextures(1, &t);
}

static void replaced_in_use(unsigned round)
{
    if (!round)
        texture(GL_TEXTURE_2D);
    large(2000 + (GLsizei)(round % 2) * 8);
    draw_slowly();
}

/* A driver on the processor compiles each of them once more. */
static void drawn_programs(unsigned round)
{
    static const char *const vertex = "#version 130\nin vec4 p;\nvoid main() { gl_Position = p; }";
    char fragment[256];

    snprintf(fragment, sizeof(fragment),
             "#version 130\nout vec4 o;\nvoid main() { vec4 a = gl_FragCoord; a = a * a.yxzw + "
             "vec4(%u.0); a = a * a.wzyx; o = a * a.zyxw; }",
             round);
    glUseProgram(program(vertex, fragment));
    glEnableVertexAttribArray(0);
    glVertexAttribPointer(0, 4, GL_FLOAT, GL_FALSE, 0, all);
    glDrawArrays(GL_TRIANGLES, 0, 3);
}

/* Larger and larger ones, with something small behind each that stays. */
static void growing(unsigned round)
{
    GLsizeiptr size = (GLsizeiptr)(128 << 10) * (round + 1);
    static GLuint b[2048], s;
    GLsizei count = (GLsizei)((200 << 20) / size);

    glGenBuffers(count, b);
    for (GLsizei i = 0; i < count; i++) {
        glBindBuffer(GL_ARRAY_BUFFER, b[i]);
        glBufferData(GL_ARRAY_BUFFER, size, NULL, GL_STATIC_DRAW);
        glBufferSubData(GL_ARRAY_BUFFER, 0, size < (GLsizeiptr)sizeof(pixels) ? size : 1, pixels);
        glGenSamplers(1, &s);
    }
    glDeleteBuffers(count, b);
}

/* ---------------------------------------------------------------------------------------------- */

static const struct way {
    const char *name;
    void (*once)(unsigned round);
    unsigned rounds; /* 0: until there is no memory */
} ways[] = {
#define WAY(name, rounds)                                                                          \
    {                                                                                              \
#name, name, rounds                                                                        \
    }
    WAY(column, 0),
    WAY(column_storage, 0),
    WAY(layers, 0),
    WAY(lines, 0),
    WAY(column_renderbuffer, 0),
    WAY(one_sample, 0),
    WAY(one_sample_texture, 0),
    WAY(one_sample_storage, 0),
    WAY(fourth_level, 0),
    WAY(levels_that_do_not_fit, 0),
    WAY(one_face, 0),
    WAY(mipmaps, 0),
    WAY(assembly_parameters, 0),
    WAY(fences, 0),
    WAY(drawn_programs, 0),
    WAY(deleted_in_use, 100),
    WAY(replaced_in_use, 100),
    WAY(growing, 40),
};

int main(int argc, char **argv)
{
    start(DESKTOP_COMPAT);
    for (unsigned i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
        unsigned most = ways[i].rounds ? ways[i].rounds : 1000000, round = 0;
        GLenum error = GL_NO_ERROR;

        if (argc < 2 || strcmp(argv[1], ways[i].name) != 0)
            continue;
        for (; !error && round < most; round++) {
            ways[i].once(round);
            if (!ways[i].rounds && round % 8 == 7)
                glFinish();
            error = glGetError();
        }
        printf("%s: %u rounds, then 0x%04x\n", ways[i].name, round, error);
        fflush(stdout);
        (void)!getchar();
        return error == (ways[i].rounds ? GL_NO_ERROR : GL_OUT_OF_MEMORY) ? 0 : 1;
    }
    return 1;
}
