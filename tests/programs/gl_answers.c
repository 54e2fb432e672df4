/* gl_answers FILE: sets state, says "ready", and once FILE is there asks for what it knows it has
 * set: what no host refuses, a guest answers by itself. */
/* pkg: egl gl */
#include "tests/programs/gl_common.h"

#include <unistd.h>

static int bad;

static void check(const char *what, GLint got, GLint right)
{
    if (got != right) {
        printf("%s: %d, not %d\n", what, got, right);
        bad++;
    }
}

static GLuint linked_program(void)
{
    const char *source[] = {"#version 120\nvoid main() { gl_Position = gl_Vertex; }",
                            "#version 120\nvoid main() { gl_FragColor = vec4(1); }"};
    const GLenum kind[] = {GL_VERTEX_SHADER, GL_FRAGMENT_SHADER};
    GLuint program = glCreateProgram();
    GLint ok = 0;

    for (int i = 0; i < 2; i++) {
        GLuint shader = glCreateShader(kind[i]);
        glShaderSource(shader, 1, &source[i], NULL);
        glCompileShader(shader);
        glAttachShader(program, shader);
    }
    glLinkProgram(program);
    glGetProgramiv(program, GL_LINK_STATUS, &ok);
    check("linked", ok, 1);
    return program;
}

static void enables(void)
{
    static const GLenum caps[] = {GL_BLEND,  GL_CULL_FACE, GL_DEPTH_TEST,   GL_SCISSOR_TEST,
                                  GL_FOG,    GL_LIGHTING,  GL_STENCIL_TEST, GL_ALPHA_TEST,
                                  GL_DITHER, GL_LIGHT3,    GL_CLIP_PLANE5,  GL_NORMALIZE};

    for (unsigned i = 0; i < sizeof(caps) / sizeof(*caps); i++)
        for (int on = 1; on >= 0; on--) {
            (on ? glEnable : glDisable)(caps[i]);
            check("enabled", glIsEnabled(caps[i]), on);
        }
}

static void functions(void)
{
    GLint v = 0;

    glBlendFunc(GL_ONE, GL_SRC_ALPHA);
    glGetIntegerv(GL_BLEND_SRC, &v);
    check("source", v, GL_ONE);
    glGetIntegerv(GL_BLEND_DST_ALPHA, &v);
    check("destination's alpha", v, GL_SRC_ALPHA);
    glBlendEquation(GL_FUNC_SUBTRACT);
    glGetIntegerv(GL_BLEND_EQUATION_RGB, &v);
    check("equation", v, GL_FUNC_SUBTRACT);
}

/* Programs that take turns, as in every picture. */
static void programs(const GLuint program[2])
{
    GLint v = -1;

    for (int i = 0; i < 6; i++) {
        GLuint use = i % 3 == 2 ? 0 : program[i % 3];
        glUseProgram(use);
        glGetIntegerv(GL_CURRENT_PROGRAM, &v);
        check("program", v, (GLint)use);
    }
}

/* The host has to be asked: GL refuses a program that is not linked, then keeps the old one. */
static void refused(GLuint program)
{
    GLuint never = glCreateProgram();
    GLint v = -1;

    glUseProgram(program);
    glUseProgram(never);
    glGetIntegerv(GL_CURRENT_PROGRAM, &v);
    check("refused", v, (GLint)program);
    glUseProgram(never);
    glAttachShader(never, glCreateShader(GL_VERTEX_SHADER));
    glLinkProgram(never); /* and what becomes of it later changes nothing */
    glGetIntegerv(GL_CURRENT_PROGRAM, &v);
    check("refused, then linked", v, (GLint)program);
}

int main(int argc, char **argv)
{
    GLuint program[2];

    setvbuf(stdout, NULL, _IOLBF, 0);
    start(DESKTOP_COMPAT);
    for (int i = 0; i < 2; i++)
        program[i] = linked_program();
    refused(program[0]);
    glFinish();
    while (glGetError() != GL_NO_ERROR)
        ;
    printf("ready\n");
    while (argc > 1 && access(argv[1], F_OK) != 0)
        usleep(10000);
    enables();
    functions();
    programs(program);
    printf("answered\n");
    check("error", (GLint)glGetError(), GL_NO_ERROR);
    return bad != 0;
}
