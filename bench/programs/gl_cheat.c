/*
 * gl_cheat MODE: a guest that takes no care of others; bench/fairness.py measures what they have
 * left. It goes on until it is killed, or until the device is lost: status 3 then.
 *   flood    commands that draw nothing, as many as go in
 *   nosync   long draws, and it never waits for one
 *   endless  a shader that does not end
 *   compile  shaders are compiled
 */
/* pkg: gl egl */
#include "tests/programs/gl_common.h"

enum { TURN = 256 };

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

static void flood(void)
{
    for (int i = 0; i < TURN; i++)
        glUniform1i(0, i);
}

static void nosync(void)
{
    glDrawArrays(GL_TRIANGLES, 0, 3);
}

static void endless(void)
{
    glDrawArrays(GL_TRIANGLES, 0, 3);
    glFinish();
}

static void compile(void)
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

static const struct mode {
    const char *name;
    void (*step)(void);
    int limit;
} modes[] = {{"flood", flood, 1},
             {"nosync", nosync, 1500},
             {"endless", endless, -1},
             {"compile", compile, 1}};

static const struct mode *mode_find(const char *name)
{
    for (size_t i = 0; name && i < sizeof(modes) / sizeof(modes[0]); i++)
        if (!strcmp(modes[i].name, name))
            return &modes[i];
    fprintf(stderr, "usage: gl_cheat flood | nosync | endless | compile\n");
    exit(2);
}

int main(int argc, char **argv)
{
    static const GLfloat all[] = {-1, -1, 0, 1, 3, -1, 0, 1, -1, 3, 0, 1};
    const struct mode *mode = mode_find(argv[1]);

    start(DESKTOP_COMPAT);
    GLuint p = program(vertex, fragment);
    glUseProgram(p);
    glUniform1i(glGetUniformLocation(p, "limit"), mode->limit);
    glVertexAttribPointer(0, 4, GL_FLOAT, GL_FALSE, 0, all);
    glEnableVertexAttribArray(0);
    puts("at work");
    fflush(stdout);
    (void)argc;
    for (;; turn++) {
        mode->step();
        if (turn % TURN == TURN - 1 && !eglSwapBuffers(the_display, the_surface))
            break;
    }
    printf("lost 0x%x\n", eglGetError());
    return 3;
}
