/* Every way in which a name of an object goes to the driver or comes back from it. */
/* pkg: gl egl */
#include "tests/programs/gl_common.h"

#define COUNT 3

static GLuint texture[COUNT], buffer[COUNT], renderbuffer[COUNT], framebuffer[COUNT], query[COUNT],
    array[COUNT], sampler[COUNT], pipeline[COUNT], feedback[COUNT], assembly[COUNT], shaders[COUNT],
    programs[COUNT];

/* Drivers differ in which names they give, and in when they give one again: after this the names
 * of guest and host are not the same. What is printed is the place in the table. */
static void skewed(void (*gen)(GLsizei, GLuint *), void (*delete)(GLsizei, const GLuint *),
                   GLuint *names)
{
    gen(COUNT, names);
    delete (COUNT, names);
    gen(COUNT, names);
}

static int place(const GLuint *names, GLuint name)
{
    for (int i = 0; i < COUNT; i++)
        if (names[i] == name)
            return i + 1;
    return name ? -1 : 0;
}

static void told(const char *what, const GLuint *names, double name)
{
    printf("%s: object %d\n", what, place(names, (GLuint)name));
}

#define ASK(what, names, Type, call)                                                               \
    do {                                                                                           \
        Type v = 0;                                                                                \
        call;                                                                                      \
        told(what, names, (double)v);                                                              \
    } while (0)

static void make(void)
{
    static const char *const text = "#version 150 compatibility\nvoid main() {}\n";

    skewed(glGenTextures, glDeleteTextures, texture);
    skewed(glGenBuffers, glDeleteBuffers, buffer);
    skewed(glGenRenderbuffers, glDeleteRenderbuffers, renderbuffer);
    skewed(glGenFramebuffers, glDeleteFramebuffers, framebuffer);
    skewed(glGenQueries, glDeleteQueries, query);
    skewed(glGenVertexArrays, glDeleteVertexArrays, array);
    skewed(glGenSamplers, glDeleteSamplers, sampler);
    skewed(glGenProgramPipelines, glDeleteProgramPipelines, pipeline);
    skewed(glGenTransformFeedbacks, glDeleteTransformFeedbacks, feedback);
    skewed(glGenProgramsARB, glDeleteProgramsARB, assembly);
    /* Some objects come to be only when they are bound. */
    for (int i = 0; i < COUNT; i++) {
        glBindBuffer(GL_ARRAY_BUFFER, buffer[i]);
        glBindRenderbuffer(GL_RENDERBUFFER, renderbuffer[i]);
        glBindFramebuffer(GL_FRAMEBUFFER, framebuffer[i]);
        glBindTransformFeedback(GL_TRANSFORM_FEEDBACK, feedback[i]);
    }
    glBindFramebuffer(GL_FRAMEBUFFER, 0);
    glBindTransformFeedback(GL_TRANSFORM_FEEDBACK, 0);
    for (int i = 0; i < COUNT; i++)
        glDeleteShader(glCreateShader(GL_VERTEX_SHADER));
    for (int i = 0; i < COUNT; i++) {
        shaders[i] = shader(GL_VERTEX_SHADER, text);
        programs[i] = glCreateProgram();
        glProgramParameteri(programs[i], GL_PROGRAM_SEPARABLE, GL_TRUE);
        glAttachShader(programs[i], shaders[i]);
        glLinkProgram(programs[i]);
    }
}

static void image(GLuint name, GLubyte value)
{
    GLubyte texels[8 * 8 * 4];

    memset(texels, value, sizeof(texels));
    glBindTexture(GL_TEXTURE_2D, name);
    glTexParameteri(GL_TEXTURE_2D, GL_TEXTURE_MIN_FILTER, GL_NEAREST);
    glTexImage2D(GL_TEXTURE_2D, 0, GL_RGBA8, 8, 8, 0, GL_RGBA, GL_UNSIGNED_BYTE, texels);
}

static void copied(const char *what, GLuint from, GLenum target, GLuint to)
{
    GLubyte texels[8 * 8 * 4] = {0};

    image(to, 1);
    glCopyImageSubData(from, target, 0, 0, 0, 0, to, GL_TEXTURE_2D, 0, 0, 0, 0, 8, 8, 1);
    glGetTexImage(GL_TEXTURE_2D, 0, GL_RGBA, GL_UNSIGNED_BYTE, texels);
    printf("copy from %s: %d %d\n", what, texels[0], texels[255]);
    show_error("copy");
}

/* glCopyImageSubData: the target says whose name it is. */
static void copies(void)
{
    image(texture[0], 77);
    copied("texture", texture[0], GL_TEXTURE_2D, texture[1]);
    copied("the copy", texture[1], GL_TEXTURE_2D, texture[2]);
    glBindRenderbuffer(GL_RENDERBUFFER, renderbuffer[1]);
    glRenderbufferStorage(GL_RENDERBUFFER, GL_RGBA8, 8, 8);
    image(texture[0], 99);
    glCopyImageSubData(texture[0], GL_TEXTURE_2D, 0, 0, 0, 0, renderbuffer[1], GL_RENDERBUFFER, 0,
                       0, 0, 0, 8, 8, 1);
    copied("renderbuffer", renderbuffer[1], GL_RENDERBUFFER, texture[2]);
    copied("no texture", 12345, GL_TEXTURE_2D, texture[2]);
    copied("a target that is none", texture[0], GL_TEXTURE_BUFFER, texture[2]);
}

static void labels(void)
{
    static const struct {
        GLenum kind;
        const GLuint *names;
    } kinds[] = {{GL_TEXTURE, texture},
                 {GL_BUFFER, buffer},
                 {GL_RENDERBUFFER, renderbuffer},
                 {GL_FRAMEBUFFER, framebuffer},
                 {GL_VERTEX_ARRAY, array},
                 {GL_QUERY, query},
                 {GL_SAMPLER, sampler},
                 {GL_PROGRAM_PIPELINE, pipeline},
                 {GL_TRANSFORM_FEEDBACK, feedback},
                 {GL_SHADER, shaders},
                 {GL_PROGRAM, programs}};
    char text[32];

    for (unsigned i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        for (int k = 0; k < COUNT; k++) {
            snprintf(text, sizeof(text), "label %u of %d", i, k);
            glObjectLabel(kinds[i].kind, kinds[i].names[k], -1, text);
        }
    for (unsigned i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        for (int k = 0; k < COUNT; k++) {
            GLsizei length = -1;
            strcpy(text, "none");
            glGetObjectLabel(kinds[i].kind, kinds[i].names[k], sizeof(text), &length, text);
            printf("kind 0x%04x object %d: '%s' %d\n", kinds[i].kind, k + 1, text, length);
        }
    show_error("labels");
    glGetObjectLabel(GL_BUFFER, 4711, sizeof(text), NULL, text);
    show_error("label of nothing");
    glObjectLabel(0x1234, texture[1], -1, "neither");
    show_error("label of no kind");
}

static void bindings(void)
{
    glBindTexture(GL_TEXTURE_2D, texture[1]);
    ASK("texture, int", texture, GLint, glGetIntegerv(GL_TEXTURE_BINDING_2D, &v));
    ASK("texture, 64 bits", texture, GLint64, glGetInteger64v(GL_TEXTURE_BINDING_2D, &v));
    ASK("texture, float", texture, GLfloat, glGetFloatv(GL_TEXTURE_BINDING_2D, &v));
    ASK("texture, double", texture, GLdouble, glGetDoublev(GL_TEXTURE_BINDING_2D, &v));
    glBindBuffer(GL_ARRAY_BUFFER, buffer[0]);
    glBufferData(GL_ARRAY_BUFFER, 256, NULL, GL_STATIC_DRAW);
    glBindBuffer(GL_ARRAY_BUFFER, buffer[2]);
    glBufferData(GL_ARRAY_BUFFER, 256, NULL, GL_STATIC_DRAW);
    glBindBufferBase(GL_UNIFORM_BUFFER, 2, buffer[2]);
    ASK("uniform buffer", buffer, GLint, glGetIntegeri_v(GL_UNIFORM_BUFFER_BINDING, 2, &v));
    ASK("uniform buffer, 64 bits", buffer, GLint64,
        glGetInteger64i_v(GL_UNIFORM_BUFFER_BINDING, 2, &v));
    glBindSampler(1, sampler[2]);
    glActiveTexture(GL_TEXTURE1);
    ASK("sampler", sampler, GLint, glGetIntegerv(GL_SAMPLER_BINDING, &v));
    glActiveTexture(GL_TEXTURE0);
    glBindImageTexture(1, texture[1], 0, GL_FALSE, 0, GL_READ_ONLY, GL_RGBA8);
    ASK("image", texture, GLint, glGetIntegeri_v(GL_IMAGE_BINDING_NAME, 1, &v));
    glBindProgramARB(GL_VERTEX_PROGRAM_ARB, assembly[1]);
    ASK("assembly", assembly, GLint,
        glGetProgramivARB(GL_VERTEX_PROGRAM_ARB, GL_PROGRAM_BINDING_ARB, &v));
    glUseProgram(programs[2]);
    ASK("program", programs, GLint, glGetIntegerv(GL_CURRENT_PROGRAM, &v));
    glUseProgram(0);
    glUseProgramStages(pipeline[1], GL_VERTEX_SHADER_BIT, programs[1]);
    glActiveShaderProgram(pipeline[1], programs[1]);
    ASK("stage", programs, GLint, glGetProgramPipelineiv(pipeline[1], GL_VERTEX_SHADER, &v));
    ASK("active program", programs, GLint,
        glGetProgramPipelineiv(pipeline[1], GL_ACTIVE_PROGRAM, &v));
    glBindProgramPipeline(pipeline[2]);
    ASK("pipeline", pipeline, GLint, glGetIntegerv(GL_PROGRAM_PIPELINE_BINDING, &v));
    glBindProgramPipeline(0);
    show_error("bindings");
}

static void texture_buffers(void)
{
    GLuint t;

    glGenTextures(1, &t);
    glBindTexture(GL_TEXTURE_BUFFER, t);
    glTexBuffer(GL_TEXTURE_BUFFER, GL_RGBA8, buffer[2]);
    ASK("texture's buffer", buffer, GLint,
        glGetTexLevelParameteriv(GL_TEXTURE_BUFFER, 0, GL_TEXTURE_BUFFER_DATA_STORE_BINDING, &v));
    ASK("texture's buffer, float", buffer, GLfloat,
        glGetTexLevelParameterfv(GL_TEXTURE_BUFFER, 0, GL_TEXTURE_BUFFER_DATA_STORE_BINDING, &v));
    ASK("texture's buffer by name", buffer, GLint,
        glGetTextureLevelParameteriv(t, 0, GL_TEXTURE_BUFFER_DATA_STORE_BINDING, &v));
    glDeleteTextures(1, &t);
    show_error("texture buffers");
}

static void arrays(void)
{
    glBindVertexArray(array[1]);
    glBindBuffer(GL_ARRAY_BUFFER, buffer[2]);
    glVertexAttribPointer(3, 2, GL_FLOAT, GL_FALSE, 0, NULL);
    glBindBuffer(GL_ELEMENT_ARRAY_BUFFER, buffer[1]);
    ASK("attribute's buffer", buffer, GLint,
        glGetVertexAttribiv(3, GL_VERTEX_ATTRIB_ARRAY_BUFFER_BINDING, &v));
    ASK("attribute's buffer, float", buffer, GLfloat,
        glGetVertexAttribfv(3, GL_VERTEX_ATTRIB_ARRAY_BUFFER_BINDING, &v));
    ASK("attribute's buffer, unsigned", buffer, GLuint,
        glGetVertexAttribIuiv(3, GL_VERTEX_ATTRIB_ARRAY_BUFFER_BINDING, &v));
    ASK("vertex buffer", buffer, GLint, glGetIntegeri_v(GL_VERTEX_BINDING_BUFFER, 3, &v));
    ASK("array's indices", buffer, GLint,
        glGetVertexArrayiv(array[1], GL_ELEMENT_ARRAY_BUFFER_BINDING, &v));
    ASK("vertex array", array, GLint, glGetIntegerv(GL_VERTEX_ARRAY_BINDING, &v));
    glBindVertexArray(0);
    show_error("arrays");
}

static void feedbacks(void)
{
    glBindTransformFeedback(GL_TRANSFORM_FEEDBACK, feedback[1]);
    glBindBufferBase(GL_TRANSFORM_FEEDBACK_BUFFER, 0, buffer[2]);
    ASK("feedback", feedback, GLint, glGetIntegerv(GL_TRANSFORM_FEEDBACK_BINDING, &v));
    ASK("feedback's buffer", buffer, GLint,
        glGetTransformFeedbacki_v(feedback[1], GL_TRANSFORM_FEEDBACK_BUFFER_BINDING, 0, &v));
    glBindTransformFeedback(GL_TRANSFORM_FEEDBACK, 0);
    show_error("feedbacks");
}

static void framebuffers(void)
{
    glBindFramebuffer(GL_FRAMEBUFFER, framebuffer[2]);
    glFramebufferTexture2D(GL_FRAMEBUFFER, GL_COLOR_ATTACHMENT0, GL_TEXTURE_2D, texture[1], 0);
    glFramebufferRenderbuffer(GL_FRAMEBUFFER, GL_COLOR_ATTACHMENT1, GL_RENDERBUFFER,
                              renderbuffer[1]);
    ASK("attached texture", texture, GLint,
        glGetFramebufferAttachmentParameteriv(GL_FRAMEBUFFER, GL_COLOR_ATTACHMENT0,
                                              GL_FRAMEBUFFER_ATTACHMENT_OBJECT_NAME, &v));
    ASK("attached renderbuffer", renderbuffer, GLint,
        glGetNamedFramebufferAttachmentParameteriv(framebuffer[2], GL_COLOR_ATTACHMENT1,
                                                   GL_FRAMEBUFFER_ATTACHMENT_OBJECT_NAME, &v));
    ASK("framebuffer", framebuffer, GLint, glGetIntegerv(GL_READ_FRAMEBUFFER_BINDING, &v));
    glBindFramebuffer(GL_FRAMEBUFFER, 0);
    show_error("framebuffers");
}

/* Drawn if the query counted samples; and which query counts now. */
static void queries(void)
{
    for (int drawn = 0; drawn < 2; drawn++) {
        glBeginQuery(GL_SAMPLES_PASSED, query[1]);
        ASK("current query", query, GLint, glGetQueryiv(GL_SAMPLES_PASSED, GL_CURRENT_QUERY, &v));
        ASK("current query by index", query, GLint,
            glGetQueryIndexediv(GL_SAMPLES_PASSED, 0, GL_CURRENT_QUERY, &v));
        if (drawn)
            glRectf(-1, -1, 1, 1);
        glEndQuery(GL_SAMPLES_PASSED);
        glClear(GL_COLOR_BUFFER_BIT);
        glColor3f(0, 1, 0);
        glBeginConditionalRender(query[1], GL_QUERY_WAIT);
        glRectf(-0.5f, -0.5f, 0.5f, 0.5f);
        glEndConditionalRender();
        show(drawn ? "with samples" : "without samples");
        show_error("conditional");
    }
    glBeginConditionalRender(4711, GL_QUERY_WAIT);
    show_error("conditional on nothing");
}

static void programs_of(void)
{
    GLuint list[4] = {0};
    GLsizei n = 0;

    glGetAttachedShaders(programs[1], 4, &n, list);
    printf("attached %d: %d\n", n, place(shaders, list[0]));
    n = -1;
    glGetAttachedShaders(programs[1], 0, &n, list);
    printf("attached, room for none: %d\n", n);
    show_error("attached");
}

int main(void)
{
    start(DESKTOP_COMPAT);
    front_if_any();
    make();
    show_error("made");
    copies();
    labels();
    bindings();
    texture_buffers();
    arrays();
    feedbacks();
    framebuffers();
    queries();
    programs_of();
    return 0;
}
