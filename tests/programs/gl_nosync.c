/* gl_nosync SECONDS: draws what takes long, again and again, and never waits for it. Ends with
 * status 3 when the device is lost. */
/* pkg: gl egl */
#include "tests/programs/gl_common.h"

#include <time.h>
#include <unistd.h>

static double seconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

int main(int argc, char **argv)
{
    static const char vertex[] = "#version 130\nin vec4 p;\nvoid main() { gl_Position = p; }",
                      fragment[] = "#version 130\nout vec4 o;\nvoid main() { vec4 a = "
                                   "gl_FragCoord; for (int i = 0; i < 1500; i++) a = "
                                   "sin(a.yxzw); o = a; }";
    static const GLfloat all[] = {-1, -1, 0, 1, 3, -1, 0, 1, -1, 3, 0, 1};
    double end = seconds() + (argc > 1 ? atof(argv[1]) : 1);

    start(DESKTOP_COMPAT);
    glUseProgram(program(vertex, fragment));
    glVertexAttribPointer(0, 4, GL_FLOAT, GL_FALSE, 0, all);
    glEnableVertexAttribArray(0);
    while (seconds() < end)
        glDrawArrays(GL_TRIANGLES, 0, 3);
    eglSwapBuffers(the_display, the_surface);
    _exit(eglGetError() == EGL_CONTEXT_LOST ? 3 : 0); /* what is left is nobody's concern */
}
