/* Calls that GL refuses, or has nothing to do for, before it looks at memory: here the pointer
 * leads nowhere. */
/* pkg: gl egl */
#include "tests/programs/gl_common.h"

#define NOWHERE ((void *)16)

#define REFUSED(call)                                                                              \
    do {                                                                                           \
        call;                                                                                      \
        show_error(#call);                                                                         \
        while (glGetError())                                                                       \
            ;                                                                                      \
    } while (0)

static void programs(void)
{
    static const char *const vertex = "#version 130\nuniform vec4 u; void main()"
                                      "{ gl_Position = u; }",
                             *const fragment = "#version 130\nvoid main() {}";
    const GLchar *const list[1] = {NOWHERE};
    GLuint made;

    REFUSED(glShaderSource(99, 1, list, NULL));
    REFUSED(glShaderSource(99, -1, NOWHERE, NULL));
    REFUSED(glTransformFeedbackVaryings(99, 1, list, GL_INTERLEAVED_ATTRIBS));
    REFUSED(glGetUniformIndices(99, 1, list, NOWHERE));
    REFUSED(glUniform4fv(-1, 1, NOWHERE));
    made = program(vertex, fragment);
    glUseProgram(made);
    REFUSED(glUniform4fv(-1, 1, NOWHERE));
    REFUSED(glUniform4fv(-1, -1, NOWHERE));
    REFUSED(glUniform4fv(0, -1, NOWHERE));
    REFUSED(glUniformMatrix4fv(-1, 1, GL_FALSE, NOWHERE));
    REFUSED(glProgramUniform2iv(made, -1, 3, NOWHERE));
    glUseProgram(0);
}

static void images(void)
{
    REFUSED(glTexImage2D(GL_TEXTURE_2D, 0, GL_RGBA, -1, 8, 0, GL_RGBA, GL_UNSIGNED_BYTE, NOWHERE));
    REFUSED(glTexImage2D(GL_TEXTURE_2D, 0, GL_RGBA, 8, 8, 0, 0x1234, GL_UNSIGNED_BYTE, NOWHERE));
    REFUSED(glTexImage2D(GL_TEXTURE_2D, 0, GL_RGBA, 8, 8, 0, GL_RGBA, 0x1234, NOWHERE));
    REFUSED(glReadPixels(0, 0, -1, 8, GL_RGBA, GL_UNSIGNED_BYTE, NOWHERE));
    REFUSED(glReadPixels(0, 0, 8, 8, 0x1234, GL_UNSIGNED_BYTE, NOWHERE));
    REFUSED(glDrawPixels(-1, 8, GL_RGBA, GL_UNSIGNED_BYTE, NOWHERE));
}

static void buffers(void)
{
    GLuint b;

    REFUSED(glBufferSubData(GL_ARRAY_BUFFER, 0, 16, NOWHERE));
    REFUSED(glBufferData(GL_ARRAY_BUFFER, 16, NOWHERE, GL_STATIC_DRAW));
    REFUSED(glBufferData(0x1234, 16, NOWHERE, GL_STATIC_DRAW));
    glGenBuffers(1, &b);
    glBindBuffer(GL_ARRAY_BUFFER, b);
    glBufferData(GL_ARRAY_BUFFER, 64, NULL, GL_STATIC_DRAW);
    REFUSED(glBufferData(GL_ARRAY_BUFFER, -1, NOWHERE, GL_STATIC_DRAW));
    REFUSED(glBufferSubData(GL_ARRAY_BUFFER, 60, 16, NOWHERE));
    REFUSED(glBufferSubData(GL_ARRAY_BUFFER, -4, 16, NOWHERE));
    REFUSED(glBufferSubData(GL_ARRAY_BUFFER, 0, 0, NOWHERE));
    REFUSED(glGetBufferSubData(GL_ARRAY_BUFFER, 60, 16, NOWHERE));
    glBindBuffer(GL_ARRAY_BUFFER, 0);
    REFUSED(glDeleteBuffers(-1, NOWHERE));
    REFUSED(glDeleteBuffers(0, NOWHERE));
    REFUSED(glGenTextures(-1, NOWHERE));
}

static void draws(void)
{
    REFUSED(glDrawElements(GL_TRIANGLES, -1, GL_UNSIGNED_INT, NOWHERE));
    REFUSED(glDrawElements(GL_TRIANGLES, 3, GL_FLOAT, NOWHERE));
    REFUSED(glDrawElements(GL_TRIANGLES, 0, GL_UNSIGNED_INT, NOWHERE));
    REFUSED(glDrawArrays(GL_TRIANGLES, 0, -1));
    REFUSED(glCallLists(-1, GL_UNSIGNED_INT, NOWHERE));
    REFUSED(glCallLists(4, 0x1234, NOWHERE));
    REFUSED(glCallLists(0, GL_UNSIGNED_INT, NOWHERE));
}

int main(void)
{
    start(DESKTOP_COMPAT);
    glGetError();
    programs();
    images();
    buffers();
    draws();
    return 0;
}
