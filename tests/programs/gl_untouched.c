/* Questions that GL refuses: the memory for their answers stays as it was.
 *
 *     gl_untouched [ours] */
/* pkg: gl egl */
#include "tests/programs/gl_common.h"

static struct {
    GLsizei length;
    GLint size;
    GLenum type;
    GLint values[16];
    GLfloat reals[16];
    GLuint names[16];
    GLchar text[64];
    GLint64 wide[16];
    GLdouble doubles[16];
    void *pointer;
    GLubyte image[1024]; /* more than any question here would be answered with */
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

/* Where drivers write something nevertheless, or lack the function and say nothing: told only by
 * "gl_untouched ours", where nothing may be written. */
static bool ours;
#define ASK_OURS(call)                                                                             \
    do {                                                                                           \
        if (ours)                                                                                  \
            ASK(call);                                                                             \
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

/* Images, and what else comes through a pack buffer or memory. */
static void images(void)
{
    GLuint incomplete, texture, many;

    glGenFramebuffers(1, &incomplete);
    glBindFramebuffer(GL_FRAMEBUFFER, incomplete);
    ASK(glReadPixels(0, 0, 4, 4, GL_RGBA, GL_UNSIGNED_BYTE, a.image));
    ASK(glReadnPixels(0, 0, 4, 4, GL_RGBA, GL_UNSIGNED_BYTE, 1024, a.image));
    glBindFramebuffer(GL_FRAMEBUFFER, 0);
    ASK(glReadPixels(0, 0, -4, 4, GL_RGBA, GL_UNSIGNED_BYTE, a.image));
    ASK(glReadPixels(0, 0, 4, 4, 0x1234, GL_UNSIGNED_BYTE, a.image));
    ASK(glReadPixels(0, 0, 4, 4, GL_RGBA, 0x1234, a.image));
    ASK(glReadPixels(0, 0, 4, 4, GL_RGB, GL_UNSIGNED_INT_8_8_8_8, a.image));
    ASK(glReadPixels(0, 0, 4, 4, GL_RGBA_INTEGER, GL_UNSIGNED_BYTE, a.image));
    ASK(glReadnPixels(0, 0, 4, 4, GL_RGBA, GL_UNSIGNED_BYTE, 63, a.image));

    glGenTextures(1, &texture);
    glBindTexture(GL_TEXTURE_2D, texture);
    glTexImage2D(GL_TEXTURE_2D, 0, GL_RGBA, 4, 4, 0, GL_RGBA, GL_UNSIGNED_BYTE, NULL);
    ASK(glGetTexImage(GL_TEXTURE_2D, -1, GL_RGBA, GL_UNSIGNED_BYTE, a.image));
    ASK(glGetTexImage(GL_TEXTURE_2D, 99, GL_RGBA, GL_UNSIGNED_BYTE, a.image));
    ASK(glGetTexImage(GL_TEXTURE_2D, 5, GL_RGBA, GL_UNSIGNED_BYTE, a.image)); /* there is none */
    ASK(glGetTexImage(0x1234, 0, GL_RGBA, GL_UNSIGNED_BYTE, a.image));
    ASK(glGetTexImage(GL_TEXTURE_2D, 0, GL_RGBA_INTEGER, GL_UNSIGNED_BYTE, a.image));
    ASK(glGetTexImage(GL_TEXTURE_2D, 0, GL_DEPTH_COMPONENT, GL_FLOAT, a.image));
    ASK_OURS(glGetnTexImage(GL_TEXTURE_2D, 0, GL_RGBA, GL_UNSIGNED_BYTE, 63, a.image));
    ASK(glGetCompressedTexImage(GL_TEXTURE_2D, 0, a.image)); /* it is not compressed */
    ASK(glGetCompressedTexImage(GL_TEXTURE_2D, 99, a.image));
    ASK(glGetTextureImage(4711, 0, GL_RGBA, GL_UNSIGNED_BYTE, 1024, a.image));
    ASK(glGetTextureImage(texture, 0, GL_RGBA, GL_UNSIGNED_BYTE, 63, a.image));
    ASK(glGetTextureImage(texture, 0, GL_DEPTH_COMPONENT, GL_FLOAT, 1024, a.image));
    ASK(glGetTextureSubImage(texture, 0, 2, 2, 0, 4, 4, 1, GL_RGBA, GL_UNSIGNED_BYTE, 1024,
                             a.image));
    ASK(glGetTextureSubImage(texture, 0, 0, 0, 0, 4, 4, 1, GL_RGBA, GL_UNSIGNED_BYTE, 63, a.image));
    ASK(glGetCompressedTextureImage(texture, 0, 1024, a.image));

    ASK(glGetPixelMapfv(0x1234, a.reals));
    ASK_OURS(glGetnPixelMapusv(GL_PIXEL_MAP_R_TO_R, 1, (GLushort *)a.image));
    ASK_OURS(glGetnPolygonStipple(127, a.image));
    glPixelStorei(GL_PACK_ROW_LENGTH, 6); /* between rows */
    ASK(glReadPixels(0, 0, 4, 4, 0x1234, GL_UNSIGNED_BYTE, a.image));
    glBindFramebuffer(GL_FRAMEBUFFER, incomplete);
    ASK(glReadPixels(0, 0, 4, 4, GL_RGBA, GL_UNSIGNED_BYTE, a.image));
    glBindFramebuffer(GL_FRAMEBUFFER, 0);
    glPixelStorei(GL_PACK_ROW_LENGTH, 0);

    /* many samples cannot be read */
    glGenRenderbuffers(1, &many);
    glBindRenderbuffer(GL_RENDERBUFFER, many);
    glRenderbufferStorageMultisample(GL_RENDERBUFFER, 4, GL_RGBA8, 8, 8);
    glBindFramebuffer(GL_FRAMEBUFFER, incomplete);
    glFramebufferRenderbuffer(GL_FRAMEBUFFER, GL_COLOR_ATTACHMENT0, GL_RENDERBUFFER, many);
    ASK(glReadPixels(0, 0, 4, 4, GL_RGBA, GL_UNSIGNED_BYTE, a.image));
    glBindFramebuffer(GL_FRAMEBUFFER, 0);
}

static void buffers(void)
{
    static const GLubyte bytes[64];
    GLuint b;

    ASK(glGetBufferSubData(GL_ARRAY_BUFFER, 0, 16, a.image)); /* none is bound */
    glGenBuffers(1, &b);
    glBindBuffer(GL_ARRAY_BUFFER, b);
    glBufferData(GL_ARRAY_BUFFER, sizeof(bytes), bytes, GL_STATIC_DRAW);
    ASK(glGetBufferSubData(0x1234, 0, 16, a.image));
    ASK(glGetBufferSubData(GL_ARRAY_BUFFER, 60, 16, a.image));
    ASK(glGetBufferSubData(GL_ARRAY_BUFFER, -4, 16, a.image));
    ASK(glGetBufferSubData(GL_ARRAY_BUFFER, 0, -16, a.image));
    ASK(glGetNamedBufferSubData(4711, 0, 16, a.image));
    ASK(glGetNamedBufferSubData(b, 60, 16, a.image));
    ASK(glGetBufferParameteriv(GL_ARRAY_BUFFER, 0x1234, a.values));
    ASK(glGetBufferParameteri64v(0x1234, GL_BUFFER_SIZE, a.wide));
    ASK(glGetNamedBufferParameteriv(4711, GL_BUFFER_SIZE, a.values));
    ASK(glGetBufferPointerv(GL_ARRAY_BUFFER, 0x1234, &a.pointer));
    ASK(glGetBufferPointerv(0x1234, GL_BUFFER_MAP_POINTER, &a.pointer));
    ASK(glGetNamedBufferPointerv(4711, GL_BUFFER_MAP_POINTER, &a.pointer));
    glMapBuffer(GL_ARRAY_BUFFER, GL_READ_WRITE);
    ASK(glGetBufferSubData(GL_ARRAY_BUFFER, 0, 16, a.image));
    glUnmapBuffer(GL_ARRAY_BUFFER);

    /* images into a pack buffer that is too small */
    glBindBuffer(GL_PIXEL_PACK_BUFFER, b);
    glReadPixels(0, 0, 8, 8, GL_RGBA, GL_UNSIGNED_BYTE, NULL);
    glBindBuffer(GL_PIXEL_PACK_BUFFER, 0);
    shown("too small a pack buffer");
    memset(&a, 0x6b, sizeof(a));
    glGetBufferSubData(GL_ARRAY_BUFFER, 0, 64, a.image);
    shown("what is in it");
    glBindBuffer(GL_ARRAY_BUFFER, 0);
}

static void state(GLuint good)
{
    ASK(glGetFloatv(0x1234, a.reals));
    ASK(glGetDoublev(0x1234, a.doubles));
    ASK(glGetInteger64v(0x1234, a.wide));
    ASK(glGetBooleanv(0x1234, a.image));
    ASK(glGetFloati_v(GL_VIEWPORT, 1000, a.reals));
    ASK(glGetDoublei_v(GL_DEPTH_RANGE, 1000, a.doubles));
    ASK(glGetInteger64i_v(GL_UNIFORM_BUFFER_START, 1000, a.wide));
    ASK(glGetBooleani_v(GL_COLOR_WRITEMASK, 1000, a.image));
    ASK(glGetIntegeri_v(0x1234, 0, a.values));
    ASK(glGetPointerv(0x1234, &a.pointer));
    ASK(glGetVertexAttribPointerv(0, 0x1234, &a.pointer));
    ASK(glGetVertexAttribPointerv(777, GL_VERTEX_ATTRIB_ARRAY_POINTER, &a.pointer));
    ASK_OURS(glGetVertexAttribfv(1, 0x1234, a.reals));
    ASK_OURS(glGetVertexAttribdv(777, GL_VERTEX_ATTRIB_ARRAY_SIZE, a.doubles));
    ASK_OURS(glGetVertexAttribIiv(1, 0x1234, a.values));
    ASK_OURS(glGetVertexAttribLdv(1, 0x1234, a.doubles));
    ASK(glGetMaterialfv(GL_FRONT_AND_BACK, GL_DIFFUSE, a.reals));
    ASK(glGetMaterialiv(GL_FRONT, 0x1234, a.values));
    ASK(glGetTexEnvfv(GL_TEXTURE_ENV, 0x1234, a.reals));
    ASK(glGetTexGendv(0x1234, GL_TEXTURE_GEN_MODE, a.doubles));
    ASK(glGetMapfv(0x1234, GL_COEFF, a.reals));
    ASK(glGetMapiv(GL_MAP1_VERTEX_3, 0x1234, a.values));
    ASK_OURS(glGetnMapdv(GL_MAP1_VERTEX_3, GL_DOMAIN, 8, a.doubles)); /* too small */
    ASK(glGetTexLevelParameteriv(GL_TEXTURE_2D, 99, GL_TEXTURE_WIDTH, a.values));
    ASK_OURS(glGetTexLevelParameterfv(GL_TEXTURE_2D, 0, 0x1234, a.reals));
    ASK(glGetTextureLevelParameteriv(4711, 0, GL_TEXTURE_WIDTH, a.values));
    ASK(glGetTextureParameterfv(4711, GL_TEXTURE_MIN_FILTER, a.reals));
    ASK(glGetTexParameterIuiv(0x1234, GL_TEXTURE_BORDER_COLOR, a.names));
    ASK(glGetSamplerParameterfv(4711, GL_TEXTURE_MIN_FILTER, a.reals));
    ASK(glGetRenderbufferParameteriv(0x1234, GL_RENDERBUFFER_WIDTH, a.values));
    ASK(glGetNamedRenderbufferParameteriv(4711, GL_RENDERBUFFER_WIDTH, a.values));
    ASK(glGetFramebufferAttachmentParameteriv(GL_FRAMEBUFFER, GL_COLOR_ATTACHMENT0,
                                              GL_FRAMEBUFFER_ATTACHMENT_OBJECT_TYPE, a.values));
    ASK(glGetFramebufferAttachmentParameteriv(GL_FRAMEBUFFER, GL_BACK, 0x1234, a.values));
    ASK(glGetFramebufferParameteriv(GL_FRAMEBUFFER, 0x1234, a.values));
    ASK(glGetNamedFramebufferParameteriv(4711, GL_FRAMEBUFFER_DEFAULT_WIDTH, a.values));
    ASK(glGetVertexArrayiv(4711, GL_ELEMENT_ARRAY_BUFFER_BINDING, a.values));
    ASK(glGetVertexArrayIndexediv(4711, 0, GL_VERTEX_ATTRIB_ARRAY_SIZE, a.values));
    ASK(glGetTransformFeedbackiv(4711, GL_TRANSFORM_FEEDBACK_ACTIVE, a.values));
    ASK(glGetTransformFeedbacki64_v(4711, GL_TRANSFORM_FEEDBACK_BUFFER_SIZE, 0, a.wide));
    ASK(glGetQueryiv(0x1234, GL_CURRENT_QUERY, a.values));
    ASK(glGetQueryObjectuiv(4711, GL_QUERY_RESULT, a.names));
    ASK(glGetQueryObjecti64v(4711, GL_QUERY_RESULT, a.wide));
    ASK(glGetUniformiv(good, 4711, a.values));
    ASK(glGetUniformdv(4711, 0, a.doubles));
    ASK(glGetnUniformfv(good, 0, 4, a.reals)); /* too small: it is four */
    ASK(glGetProgramStageiv(4711, GL_VERTEX_SHADER, GL_ACTIVE_SUBROUTINES, a.values));
    ASK(glGetUniformSubroutineuiv(GL_VERTEX_SHADER, 777, a.names));
    ASK(glGetProgramInterfaceiv(good, 0x1234, GL_ACTIVE_RESOURCES, a.values));
    ASK(glGetProgramPipelineiv(4711, GL_ACTIVE_PROGRAM, a.values));
    ASK(glGetActiveAtomicCounterBufferiv(good, 77, GL_ATOMIC_COUNTER_BUFFER_BINDING, a.values));
    ASK(glGetProgramBinary(4711, 1024, &a.length, &a.type, a.image));
    ASK(glGetProgramBinary(good, 1, &a.length, &a.type, a.image));
    ASK(glGetDebugMessageLog(1, -1, &a.type, NULL, a.names, NULL, &a.length, a.text));
    ASK(glAreTexturesResident(1, (const GLuint[]){4711}, a.image));
    ASK(glAreTexturesResident(-1, (const GLuint[]){4711}, a.image));
    ASK(glGetInternalformati64v(0x1234, GL_RGBA8, GL_SAMPLES, 4, a.wide));
    ASK(glCreateTextures(0x1234, 1, a.names));
    ASK(glCreateQueries(0x1234, 1, a.names));
    ASK(glGenBuffers(-1, a.names));
    ASK(glCreateBuffers(-1, a.names));
    ASK(glGenVertexArrays(-1, a.names));
}

/* Its depths are the driver's. */
static void hit_hide(unsigned words)
{
    for (unsigned i = 0; i < words; i++)
        a.names[i] = 0x6b6b6b6b;
}

/* What has room for more than what comes, or is asked when nothing may be. */
static void modes(void)
{
    int made;

    ASK(glFeedbackBuffer(64, GL_3D, a.reals));
    memset(&a, 0x6b, sizeof(a));
    glFeedbackBuffer(16, GL_2D, a.reals);
    glRenderMode(GL_FEEDBACK);
    glRenderMode(0x1234); /* Mesa forgets what there was by then */
    shown("a mode that does not exist");
    glBegin(GL_POINTS);
    glVertex2f(0, 0);
    glEnd();
    printf("%d values\n", glRenderMode(GL_RENDER));
    shown("a point");
    memset(&a, 0x6b, sizeof(a));
    glSelectBuffer(16, a.names);
    glRenderMode(GL_SELECT);
    printf("%d hits\n", glRenderMode(GL_RENDER));
    shown("no hit");
    memset(&a, 0x6b, sizeof(a));
    glRenderMode(GL_SELECT);
    glInitNames();
    glPushName(7);
    glRectf(-1, -1, 1, 1);
    printf("%d hits\n", glRenderMode(GL_RENDER));
    printf("%u names, the last is %u\n", a.names[0], a.names[3]);
    hit_hide(4);
    shown("a hit");
    memset(&a, 0x6b, sizeof(a));
    glSelectBuffer(3, a.names);
    glRenderMode(GL_SELECT);
    glInitNames();
    glPushName(7);
    glRectf(-1, -1, 1, 1);
    printf("%d hits\n", glRenderMode(GL_RENDER));
    hit_hide(3);
    shown("too many hits");

    memset(&a, 0x6b, sizeof(a));
    glBegin(GL_POINTS);
    glReadPixels(0, 0, 4, 4, GL_RGBA, GL_UNSIGNED_BYTE, a.image);
    glGetIntegerv(GL_VIEWPORT, a.values);
    glGetFloatv(GL_MODELVIEW_MATRIX, a.reals);
    glGetTexImage(GL_TEXTURE_2D, 0, GL_RGBA, GL_UNSIGNED_BYTE, a.image);
    glGetPolygonStipple(a.image);
    glGetPixelMapfv(GL_PIXEL_MAP_R_TO_R, a.reals);
    glGetBufferParameteriv(GL_ARRAY_BUFFER, GL_BUFFER_SIZE, a.values);
    glGetLightfv(GL_LIGHT0, GL_POSITION, a.reals);
    glGetProgramiv(1, GL_LINK_STATUS, a.values);
    glGetVertexAttribiv(1, GL_VERTEX_ATTRIB_ARRAY_SIZE, a.values);
    glGenTextures(1, a.names);
    glCreateBuffers(1, a.names);
    glGetActiveUniform(1, 0, 64, &a.length, &a.size, &a.type, a.text);
    glGetBufferSubData(GL_ARRAY_BUFFER, 0, 16, a.image);
    glGetPointerv(GL_VERTEX_ARRAY_POINTER, &a.pointer);
    glGetVertexAttribPointerv(1, GL_VERTEX_ATTRIB_ARRAY_POINTER, &a.pointer);
    glGetBufferPointerv(GL_ARRAY_BUFFER, GL_BUFFER_MAP_POINTER, &a.pointer);
    made = !!glGetString(GL_VERSION) + !!glMapBuffer(GL_ARRAY_BUFFER, GL_READ_ONLY) +
           !!glCreateProgram() + !!glFenceSync(GL_SYNC_GPU_COMMANDS_COMPLETE, 0);
    glEnd();
    printf("%d answers\n", made);
    shown("between glBegin and glEnd");
}

int main(int argc, char **argv)
{
    GLuint good;

    ours = argc > 1 && strcmp(argv[1], "ours") == 0;

    start(DESKTOP_COMPAT);
    good =
        program("#version 130\nin vec4 at; uniform vec4 u; void main() { gl_Position = at + u; }",
                "#version 130\nvoid main() {}");
    texts(good);
    arrays(good);
    images();
    buffers();
    state(good);
    modes();
    return 0;
}
