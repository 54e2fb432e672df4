/* Questions that GL refuses: the memory for their answers stays as it was. pkg: gl egl */
#include "tests/programs/gl_common.h"

static struct {
    GLsizei length;
    GLint size;
    GLenum type;
    GLint values[16];
    GLfloat reals[16];
    GLuint names[16];
    GLchar text[64];
} a;

/* What has been written to, by place. */
static void shown(const char *name)
{
    const uint8_t *p = (const uint8_t *)&a;

    glFinish();
    printf("%s: error 0x%04x, written:", name, glGetError());
    for (size_t i = 0; i < sizeof(a); i++)
        if (p[i] != 0x6b)
            printf(" %zu=%02x", i, p[i]);
    printf("\n");
    while (glGetError())
        ;
}

#define ASK(call)                                                                                  \
    do {                                                                                           \
        memset(&a, 0x6b, sizeof(a));                                                               \
        call;                                                                                      \
        shown(#call);                                                                              \
    } while (0)

static void texts(GLuint good)
{
    ASK(glGetObjectLabel(GL_BUFFER, 4711, 64, &a.length, a.text));
    ASK(glGetObjectLabel(GL_TEXTURE_2D, 0, 64, &a.length, a.text));
    ASK(glGetObjectLabel(GL_PROGRAM, good, -1, &a.length, a.text));
    ASK(glGetProgramInfoLog(99, 64, &a.length, a.text));
    ASK(glGetProgramInfoLog(good, -1, &a.length, a.text));
    ASK(glGetShaderInfoLog(99, 64, &a.length, a.text));
    ASK(glGetShaderSource(99, 64, &a.length, a.text));
    ASK(glGetProgramPipelineInfoLog(99, 64, &a.length, a.text));
    ASK(glGetActiveAttrib(good, 77, 64, &a.length, &a.size, &a.type, a.text));
    ASK(glGetActiveAttrib(99, 0, 64, &a.length, &a.size, &a.type, a.text));
    ASK(glGetActiveUniform(good, 77, 64, &a.length, &a.size, &a.type, a.text));
    ASK(glGetActiveUniform(99, 0, 64, &a.length, &a.size, &a.type, a.text));
    ASK(glGetActiveUniformName(good, 77, 64, &a.length, a.text));
    ASK(glGetActiveUniformBlockName(good, 77, 64, &a.length, a.text));
    ASK(glGetTransformFeedbackVarying(good, 77, 64, &a.length, &a.size, &a.type, a.text));
    ASK(glGetProgramResourceName(good, GL_UNIFORM, 77, 64, &a.length, a.text));
    ASK(glGetActiveSubroutineName(good, GL_VERTEX_SHADER, 77, 64, &a.length, a.text));
}

static void arrays(GLuint good)
{
    static const GLuint wrong[2] = {77, 78};
    static const GLchar *const names[1] = {"u"};
    static const GLenum props[1] = {0x1234};

    ASK(glGetAttachedShaders(99, 16, &a.length, a.names));
    ASK(glGetAttachedShaders(good, -1, &a.length, a.names));
    ASK(glGetUniformIndices(99, 1, names, a.names));
    ASK(glGetActiveUniformsiv(good, 2, wrong, GL_UNIFORM_TYPE, a.values));
    ASK(glGetActiveUniformBlockiv(good, 77, GL_UNIFORM_BLOCK_DATA_SIZE, a.values));
    ASK(glGetProgramResourceiv(good, GL_UNIFORM, 0, 1, props, 16, &a.length, a.values));
    ASK(glGetProgramiv(99, GL_LINK_STATUS, a.values));
    ASK(glGetShaderiv(99, GL_COMPILE_STATUS, a.values));
    ASK(glGetInternalformativ(GL_TEXTURE_2D, GL_RGBA8, 0x1234, 16, a.values));
    ASK(glGetShaderPrecisionFormat(0x1234, GL_LOW_FLOAT, a.values, &a.size));
    ASK(glGetMultisamplefv(GL_SAMPLE_POSITION, 77, a.reals));
    ASK(glGetUniformfv(good, 77, a.reals));
    ASK(glGetVertexAttribiv(77, GL_CURRENT_VERTEX_ATTRIB, a.values));
    ASK(glGetTexParameteriv(GL_TEXTURE_2D, 0x1234, a.values));
    ASK(glGetIntegerv(0x1234, a.values));
    ASK(glGetIntegeri_v(GL_UNIFORM_BUFFER_BINDING, 1000, a.values));
    ASK(glGetBufferParameteriv(GL_ARRAY_BUFFER, GL_BUFFER_SIZE, a.values));
    ASK(glGetQueryObjectiv(99, GL_QUERY_RESULT, a.values));
    ASK(glGetSynciv((GLsync)99, GL_SYNC_STATUS, 1, &a.length, a.values));
    ASK(glGetClipPlane(0x1234, (GLdouble *)a.reals));
    ASK(glGetLightfv(0x1234, GL_POSITION, a.reals));
    ASK(glGenTextures(-1, a.names));
}

int main(void)
{
    GLuint good;

    start(DESKTOP_COMPAT);
    good = program("#version 130\nin vec4 at; uniform vec4 u; void main() { gl_Position = at + u; }",
                   "#version 130\nvoid main() {}");
    texts(good);
    arrays(good);
    return 0;
}
