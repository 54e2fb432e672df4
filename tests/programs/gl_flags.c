/* What contexts say of themselves: the host may have made them more careful than they were asked
 * for. */
/* pkg: egl gl */
#include "tests/programs/gl_common.h"

#define CONTEXT_ROBUST_ACCESS 0x90F3

static void ask(const char *name, EGLenum api, const EGLint *attributes)
{
    static EGLContext before; /* destroyed, and still current */
    EGLContext c;
    GLint flags = -1, robust = -1;
    GLint64 wide = -1;
    GLfloat real = -1;

    eglBindAPI(api);
    c = eglCreateContext(the_display, the_config, EGL_NO_CONTEXT, attributes);
    if (c == EGL_NO_CONTEXT) {
        printf("%s: 0x%04x\n", name, eglGetError());
        return;
    }
    if (c == before)
        printf("%s: has the handle of the one that is current\n", name);
    before = c;
    if (!eglMakeCurrent(the_display, the_surface, the_surface, c))
        give_up("eglMakeCurrent");
    glGetIntegerv(GL_CONTEXT_FLAGS, &flags);
    glGetIntegerv(CONTEXT_ROBUST_ACCESS, &robust);
    glGetFloatv(GL_CONTEXT_FLAGS, &real);
    if (api == EGL_OPENGL_API)
        glGetInteger64v(GL_CONTEXT_FLAGS, &wide);
    printf("%s: flags %d %d %d, robust %d", name, flags, (int)wide, (int)real, robust);
    show_error("");
    eglDestroyContext(the_display, c);
}

int main(void)
{
    start(DESKTOP_COMPAT);
#define ASK(name, api, ...) ask(name, api, (const EGLint[]){__VA_ARGS__ EGL_NONE})
#define ROBUST              EGL_CONTEXT_OPENGL_ROBUST_ACCESS, EGL_TRUE,
    ASK("plain", EGL_OPENGL_API);
    ASK("robust", EGL_OPENGL_API, ROBUST);
    ASK("debug", EGL_OPENGL_API, EGL_CONTEXT_OPENGL_DEBUG, EGL_TRUE, );
    ASK("core", EGL_OPENGL_API, EGL_CONTEXT_MAJOR_VERSION, 3, EGL_CONTEXT_MINOR_VERSION, 3, );
    ASK("es 2", EGL_OPENGL_ES_API, EGL_CONTEXT_MAJOR_VERSION, 2, );
    ASK("es 3", EGL_OPENGL_ES_API, EGL_CONTEXT_MAJOR_VERSION, 3, );
    ASK("es 3 robust", EGL_OPENGL_ES_API, EGL_CONTEXT_MAJOR_VERSION, 3, ROBUST);
    return 0;
}
