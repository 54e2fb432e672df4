/* A guest at its limit of memory: every command that allocates is refused with GL_OUT_OF_MEMORY,
 * changes nothing, and is served again when there is room.
 *
 *     gl_memory                  each command that protocol/gl/gl.annot says allocates
 *     gl_memory hog NAME         takes by that command as much as it gets, says how much, waits for
 * a line on stdin gl_memory churn            makes and deletes what fits many times over; what is
 * deleted in every way comes back */
/* pkg: gl egl */
#include "tests/programs/gl_common.h"

#include "gl/claims.h"

#include <unistd.h>

#define MANY 4096

static GLuint name, spare, scratch_names[MANY];
static uint8_t pixels[1 << 20];
static GLenum finish(void);
static const GLenum expected = GL_OUT_OF_MEMORY;

/* --- to the limit ----------------------------------------------------------------------------- */

static GLuint filler[1 << 16];
static unsigned filler_count;

static GLenum finish(void)
{
    GLenum error;

    glFinish();
    error = glGetError();
    while (glGetError())
        ;
    return error;
}

/* Buffers that get smaller, and names at last, until not even one more fits. */
static void fill(void)
{
    GLint bound = 0;

    glGetIntegerv(GL_ARRAY_BUFFER_BINDING, &bound);
    for (GLsizeiptr size = 4 << 20; size >= 256; size /= 4) {
        do {
            glGenBuffers(1, &filler[filler_count]);
            glBindBuffer(GL_ARRAY_BUFFER, filler[filler_count++]);
            glBufferData(GL_ARRAY_BUFFER, size, NULL, GL_STATIC_DRAW);
        } while (finish() == GL_NO_ERROR && filler_count < sizeof(filler) / 8);
    }
    glBindBuffer(GL_ARRAY_BUFFER, (GLuint)bound);
    do
        glGenSamplers(1, &filler[filler_count++]);
    while (finish() == GL_NO_ERROR && filler_count < sizeof(filler) / 4);
}

static void unfill(void)
{
    glDeleteBuffers((GLsizei)filler_count, filler);
    glDeleteSamplers((GLsizei)filler_count, filler);
    filler_count = 0;
    finish();
}

/* --- the commands: what stands before, what is tried, what must be as before ------------------ */

static GLint level_width(GLenum target)
{
    GLint width = 0;
    glGetTexLevelParameteriv(target, 0, GL_TEXTURE_WIDTH, &width);
    return width;
}

#define TEXTURE(Name, target, small, call)                                                         \
    static void before_##Name(void)                                                                \
    {                                                                                              \
        glGenTextures(1, &name);                                                                   \
        glBindTexture(target, name);                                                               \
        small;                                                                                     \
    }                                                                                              \
    static void try_##Name(void)                                                                   \
    {                                                                                              \
        glBindTexture(target, name);                                                               \
        call;                                                                                      \
    }                                                                                              \
    static void after_##Name(void)                                                                 \
    {                                                                                              \
        glDeleteTextures(1, &name);                                                                \
    }

#define RGBA GL_RGBA, GL_UNSIGNED_BYTE, pixels
TEXTURE(glTexImage1D, GL_TEXTURE_1D, glTexImage1D(GL_TEXTURE_1D, 0, GL_RGBA8, 4, 0, RGBA),
        glTexImage1D(GL_TEXTURE_1D, 0, GL_RGBA8, 4096, 0, RGBA))
TEXTURE(glTexImage2D, GL_TEXTURE_2D, glTexImage2D(GL_TEXTURE_2D, 0, GL_RGBA8, 4, 4, 0, RGBA),
        glTexImage2D(GL_TEXTURE_2D, 0, GL_RGBA8, 512, 512, 0, RGBA))
TEXTURE(glTexImage3D, GL_TEXTURE_2D_ARRAY,
        glTexImage3D(GL_TEXTURE_2D_ARRAY, 0, GL_RGBA8, 4, 4, 1, 0, RGBA),
        glTexImage3D(GL_TEXTURE_2D_ARRAY, 0, GL_RGBA8, 64, 64, 64, 0, RGBA))
TEXTURE(glCopyTexImage1D, GL_TEXTURE_1D, glTexImage1D(GL_TEXTURE_1D, 0, GL_RGBA8, 4, 0, RGBA),
        glCopyTexImage1D(GL_TEXTURE_1D, 0, GL_RGBA8, 0, 0, 1024, 0))
TEXTURE(glCopyTexImage2D, GL_TEXTURE_2D, glTexImage2D(GL_TEXTURE_2D, 0, GL_RGBA8, 4, 4, 0, RGBA),
        glCopyTexImage2D(GL_TEXTURE_2D, 0, GL_RGBA8, 0, 0, 512, 512, 0))
TEXTURE(glCompressedTexImage1D, GL_TEXTURE_1D, (void)0,
        glCompressedTexImage1D(GL_TEXTURE_1D, 0, GL_COMPRESSED_RGBA_S3TC_DXT1_EXT, 1024, 0, 2048,
                               pixels))
TEXTURE(glCompressedTexImage2D, GL_TEXTURE_2D, (void)0,
        glCompressedTexImage2D(GL_TEXTURE_2D, 0, GL_COMPRESSED_RGBA_S3TC_DXT1_EXT, 1024, 1024, 0,
                               1 << 19, pixels))
TEXTURE(glCompressedTexImage3D, GL_TEXTURE_2D_ARRAY, (void)0,
        glCompressedTexImage3D(GL_TEXTURE_2D_ARRAY, 0, GL_COMPRESSED_RGBA_S3TC_DXT1_EXT, 256, 256,
                               2, 0, 1 << 16, pixels))
TEXTURE(glTexImage2DMultisample, GL_TEXTURE_2D_MULTISAMPLE, (void)0,
        glTexImage2DMultisample(GL_TEXTURE_2D_MULTISAMPLE, 4, GL_RGBA8, 256, 256, GL_TRUE))
TEXTURE(glTexImage3DMultisample, GL_TEXTURE_2D_MULTISAMPLE_ARRAY, (void)0,
        glTexImage3DMultisample(GL_TEXTURE_2D_MULTISAMPLE_ARRAY, 4, GL_RGBA8, 128, 128, 4, GL_TRUE))
TEXTURE(glTexStorage1D, GL_TEXTURE_1D, (void)0, glTexStorage1D(GL_TEXTURE_1D, 4, GL_RGBA8, 4096))
TEXTURE(glTexStorage2D, GL_TEXTURE_CUBE_MAP, (void)0,
        glTexStorage2D(GL_TEXTURE_CUBE_MAP, 4, GL_RGBA8, 256, 256))
TEXTURE(glTexStorage3D, GL_TEXTURE_3D, (void)0,
        glTexStorage3D(GL_TEXTURE_3D, 4, GL_RGBA8, 64, 64, 64))
TEXTURE(glTexStorage2DMultisample, GL_TEXTURE_2D_MULTISAMPLE, (void)0,
        glTexStorage2DMultisample(GL_TEXTURE_2D_MULTISAMPLE, 4, GL_RGBA8, 256, 256, GL_TRUE))
TEXTURE(glTexStorage3DMultisample, GL_TEXTURE_2D_MULTISAMPLE_ARRAY, (void)0,
        glTexStorage3DMultisample(GL_TEXTURE_2D_MULTISAMPLE_ARRAY, 4, GL_RGBA8, 128, 128, 4,
                                  GL_TRUE))
TEXTURE(glTextureStorage1D, GL_TEXTURE_1D, (void)0, glTextureStorage1D(name, 4, GL_RGBA8, 4096))
TEXTURE(glTextureStorage2D, GL_TEXTURE_2D, (void)0, glTextureStorage2D(name, 4, GL_RGBA8, 512, 512))
TEXTURE(glTextureStorage3D, GL_TEXTURE_3D, (void)0,
        glTextureStorage3D(name, 4, GL_RGBA8, 64, 64, 64))
TEXTURE(glTextureStorage2DMultisample, GL_TEXTURE_2D_MULTISAMPLE, (void)0,
        glTextureStorage2DMultisample(name, 4, GL_RGBA8, 256, 256, GL_TRUE))
TEXTURE(glTextureStorage3DMultisample, GL_TEXTURE_2D_MULTISAMPLE_ARRAY, (void)0,
        glTextureStorage3DMultisample(name, 4, GL_RGBA8, 128, 128, 4, GL_TRUE))
TEXTURE(glGenerateMipmap, GL_TEXTURE_2D,
        glTexImage2D(GL_TEXTURE_2D, 0, GL_RGBA8, 512, 512, 0, RGBA),
        glGenerateMipmap(GL_TEXTURE_2D))
TEXTURE(glGenerateTextureMipmap, GL_TEXTURE_2D,
        glTexImage2D(GL_TEXTURE_2D, 0, GL_RGBA8, 512, 512, 0, RGBA), glGenerateTextureMipmap(name))

#define BUFFER(Name, size, call)                                                                   \
    static void before_##Name(void)                                                                \
    {                                                                                              \
        glGenBuffers(1, &name);                                                                    \
        glBindBuffer(GL_ARRAY_BUFFER, name);                                                       \
        if (size)                                                                                  \
            glBufferData(GL_ARRAY_BUFFER, size, pixels, GL_STATIC_DRAW);                           \
    }                                                                                              \
    static void try_##Name(void)                                                                   \
    {                                                                                              \
        glBindBuffer(GL_ARRAY_BUFFER, name);                                                       \
        call;                                                                                      \
    }                                                                                              \
    static void after_##Name(void)                                                                 \
    {                                                                                              \
        glDeleteBuffers(1, &name);                                                                 \
    }
BUFFER(glBufferData, 64, glBufferData(GL_ARRAY_BUFFER, sizeof(pixels), pixels, GL_STATIC_DRAW))
BUFFER(glBufferStorage, 0, glBufferStorage(GL_ARRAY_BUFFER, sizeof(pixels), pixels, 0))
BUFFER(glNamedBufferData, 64, glNamedBufferData(name, sizeof(pixels), pixels, GL_STATIC_DRAW))
BUFFER(glNamedBufferStorage, 0, glNamedBufferStorage(name, sizeof(pixels), pixels, 0))

#define RENDERBUFFER(Name, call)                                                                   \
    static void before_##Name(void)                                                                \
    {                                                                                              \
        glGenRenderbuffers(1, &name);                                                              \
        glBindRenderbuffer(GL_RENDERBUFFER, name);                                                 \
        glRenderbufferStorage(GL_RENDERBUFFER, GL_RGBA8, 4, 4);                                    \
    }                                                                                              \
    static void try_##Name(void)                                                                   \
    {                                                                                              \
        glBindRenderbuffer(GL_RENDERBUFFER, name);                                                 \
        call;                                                                                      \
    }                                                                                              \
    static void after_##Name(void)                                                                 \
    {                                                                                              \
        glDeleteRenderbuffers(1, &name);                                                           \
    }
RENDERBUFFER(glRenderbufferStorage, glRenderbufferStorage(GL_RENDERBUFFER, GL_RGBA8, 512, 512))
RENDERBUFFER(glRenderbufferStorageMultisample,
             glRenderbufferStorageMultisample(GL_RENDERBUFFER, 4, GL_RGBA8, 256, 256))
RENDERBUFFER(glNamedRenderbufferStorage, glNamedRenderbufferStorage(name, GL_RGBA8, 512, 512))
RENDERBUFFER(glNamedRenderbufferStorageMultisample,
             glNamedRenderbufferStorageMultisample(name, 4, GL_RGBA8, 256, 256))

/* Names alone. Some come before, for the tables that this side and the other keep of them. */
#define NAMES(Name, gen, delete_)                                                                  \
    static void before_##Name(void)                                                                \
    {                                                                                              \
        scratch_names[0] = 0;                                                                      \
        gen(1, &spare);                                                                            \
    }                                                                                              \
    static void try_##Name(void)                                                                   \
    {                                                                                              \
        gen(1024, scratch_names);                                                                  \
    }                                                                                              \
    static void after_##Name(void)                                                                 \
    {                                                                                              \
        delete_(1024, scratch_names);                                                              \
        delete_(1, &spare);                                                                        \
    }
static void create_textures(GLsizei n, GLuint *to)
{
    glCreateTextures(GL_TEXTURE_2D, n, to);
}
static void create_queries(GLsizei n, GLuint *to)
{
    glCreateQueries(GL_SAMPLES_PASSED, n, to);
}
NAMES(glGenTextures, glGenTextures, glDeleteTextures)
NAMES(glGenBuffers, glGenBuffers, glDeleteBuffers)
NAMES(glGenFramebuffers, glGenFramebuffers, glDeleteFramebuffers)
NAMES(glGenRenderbuffers, glGenRenderbuffers, glDeleteRenderbuffers)
NAMES(glGenVertexArrays, glGenVertexArrays, glDeleteVertexArrays)
NAMES(glGenQueries, glGenQueries, glDeleteQueries)
NAMES(glGenSamplers, glGenSamplers, glDeleteSamplers)
NAMES(glGenProgramPipelines, glGenProgramPipelines, glDeleteProgramPipelines)
NAMES(glGenTransformFeedbacks, glGenTransformFeedbacks, glDeleteTransformFeedbacks)
NAMES(glGenProgramsARB, glGenProgramsARB, glDeleteProgramsARB)
NAMES(glCreateTextures, create_textures, glDeleteTextures)
NAMES(glCreateBuffers, glCreateBuffers, glDeleteBuffers)
NAMES(glCreateFramebuffers, glCreateFramebuffers, glDeleteFramebuffers)
NAMES(glCreateRenderbuffers, glCreateRenderbuffers, glDeleteRenderbuffers)
NAMES(glCreateVertexArrays, glCreateVertexArrays, glDeleteVertexArrays)
NAMES(glCreateQueries, create_queries, glDeleteQueries)
NAMES(glCreateSamplers, glCreateSamplers, glDeleteSamplers)
NAMES(glCreateProgramPipelines, glCreateProgramPipelines, glDeleteProgramPipelines)
NAMES(glCreateTransformFeedbacks, glCreateTransformFeedbacks, glDeleteTransformFeedbacks)

static GLsync fences[1024];

static void before_glFenceSync(void)
{
}
static void try_glFenceSync(void)
{
    for (int i = 0; i < 1024; i++)
        fences[i] = glFenceSync(GL_SYNC_GPU_COMMANDS_COMPLETE, 0);
}
static void after_glFenceSync(void)
{
    for (int i = 0; i < 1024; i++)
        glDeleteSync(fences[i]);
}

static void before_glGenLists(void)
{
    name = 0;
}
static void try_glGenLists(void)
{
    name = glGenLists(1024);
}
static void after_glGenLists(void)
{
    glDeleteLists(name, 1024);
}

static void before_glEndList(void)
{
    name = glGenLists(1);
}
static void try_glEndList(void)
{
    glNewList(name, GL_COMPILE);
    glBegin(GL_POINTS);
    for (int i = 0; i < 10000; i++)
        glVertex2i(i, i);
    glEnd();
    glEndList();
}
static void after_glEndList(void)
{
    glDeleteLists(name, 1);
}

#define PLAIN(Name, before, call, after)                                                           \
    static void before_##Name(void)                                                                \
    {                                                                                              \
        before;                                                                                    \
    }                                                                                              \
    static void try_##Name(void)                                                                   \
    {                                                                                              \
        call;                                                                                      \
    }                                                                                              \
    static void after_##Name(void)                                                                 \
    {                                                                                              \
        after;                                                                                     \
    }
static GLfloat result[1 << 18];
PLAIN(glFeedbackBuffer, (void)0, glFeedbackBuffer(1 << 18, GL_2D, result), (void)0)
PLAIN(glSelectBuffer, (void)0, glSelectBuffer(1 << 18, (GLuint *)result), (void)0)

static const char *const vertex_text = "#version 130\nin vec4 p;\nvoid main() { gl_Position = p; }",
                         *const fragment_text =
                             "#version 130\nout vec4 c;\nvoid main() { c = vec4(1); }";

static void create_many(GLuint (*one)(void), void (*delete_one)(GLuint))
{
    for (int i = 0; i < 64 && delete_one; i++)
        delete_one(scratch_names[i]);
    for (int i = 0; i < 64 && one; i++)
        scratch_names[i] = one();
}
static GLuint create_shader(void)
{
    return glCreateShader(GL_VERTEX_SHADER);
}
static GLuint create_program(void)
{
    return glCreateProgram();
}
static void delete_shader(GLuint s)
{
    glDeleteShader(s);
}
static void delete_program(GLuint p)
{
    glDeleteProgram(p);
}
PLAIN(glCreateShader, (void)0, create_many(create_shader, NULL), create_many(NULL, delete_shader))
PLAIN(glCreateProgram, (void)0, create_many(create_program, NULL),
      create_many(NULL, delete_program))
PLAIN(glShaderSource, name = glCreateShader(GL_VERTEX_SHADER),
      glShaderSource(name, 1, &vertex_text, NULL), glDeleteShader(name))
PLAIN(glCompileShader,
      (name = glCreateShader(GL_VERTEX_SHADER), glShaderSource(name, 1, &vertex_text, NULL)),
      glCompileShader(name), glDeleteShader(name))
PLAIN(glSpecializeShader, name = glCreateShader(GL_VERTEX_SHADER),
      glSpecializeShader(name, "main", 0, NULL, NULL), glDeleteShader(name))
PLAIN(glShaderBinary, name = glCreateShader(GL_VERTEX_SHADER),
      glShaderBinary(1, &name, 0x9551, pixels, 4096), glDeleteShader(name))

/* Its shaders are attached, and deleted: they go with it. */
static void before_glLinkProgram(void)
{
    GLuint v = shader(GL_VERTEX_SHADER, vertex_text), f = shader(GL_FRAGMENT_SHADER, fragment_text);

    name = glCreateProgram();
    glAttachShader(name, v);
    glAttachShader(name, f);
    glDeleteShader(v);
    glDeleteShader(f);
}
static void try_glLinkProgram(void)
{
    glLinkProgram(name);
}
static void after_glLinkProgram(void)
{
    glDeleteProgram(name);
}

static GLenum binary_format;
static GLsizei binary_length;
static void before_glProgramBinary(void)
{
    before_glLinkProgram();
    glLinkProgram(name);
    glGetProgramBinary(name, sizeof(pixels), &binary_length, &binary_format, pixels);
    finish();
    glDeleteProgram(name);
    name = glCreateProgram();
}
static void try_glProgramBinary(void)
{
    glProgramBinary(name, binary_format, pixels, binary_length);
}
static void after_glProgramBinary(void)
{
    glDeleteProgram(name);
}

/* Texts that a program keeps: each name is another one. */
static const char *another(void)
{
    static char text[4096];
    static int n;

    memset(text, 'x', 2000);
    snprintf(text + 2000, 20, "%d", n++);
    return text;
}
static void texts(int which)
{
    const char *many[64];

    for (int i = 0; i < 64; i++) {
        const char *text = many[i] = another();
        if (which == 0)
            glBindAttribLocation(name, 1, text);
        if (which == 1)
            glBindFragDataLocation(name, 0, text);
        if (which == 2)
            glBindFragDataLocationIndexed(name, 0, 0, text);
    }
    if (which == 3)
        glTransformFeedbackVaryings(name, 4, many, GL_INTERLEAVED_ATTRIBS);
}
PLAIN(glBindAttribLocation, name = glCreateProgram(), texts(0), glDeleteProgram(name))
PLAIN(glBindFragDataLocation, name = glCreateProgram(), texts(1), glDeleteProgram(name))
PLAIN(glBindFragDataLocationIndexed, name = glCreateProgram(), texts(2), glDeleteProgram(name))
PLAIN(glTransformFeedbackVaryings, name = glCreateProgram(), texts(3), glDeleteProgram(name))

static const char assembly[] = "!!ARBfp1.0\nMOV result.color, fragment.color;\nEND\n";
static void before_glProgramStringARB(void)
{
    glGenProgramsARB(1, &name);
    glBindProgramARB(GL_FRAGMENT_PROGRAM_ARB, name);
}
static void try_glProgramStringARB(void)
{
    glProgramStringARB(GL_FRAGMENT_PROGRAM_ARB, GL_PROGRAM_FORMAT_ASCII_ARB, sizeof(assembly) - 1,
                       assembly);
}
static void after_glProgramStringARB(void)
{
    glDeleteProgramsARB(1, &name);
}

/* Each time another program's. */
#define PARAMETER(Name, call)                                                                      \
    static void before_##Name(void)                                                                \
    {                                                                                              \
        glGenProgramsARB(1, &name);                                                                \
        glBindProgramARB(GL_FRAGMENT_PROGRAM_ARB, name);                                           \
    }                                                                                              \
    static void try_##Name(void)                                                                   \
    {                                                                                              \
        call;                                                                                      \
    }                                                                                              \
    static void after_##Name(void)                                                                 \
    {                                                                                              \
        glDeleteProgramsARB(1, &name);                                                             \
    }
#define FRAGMENT GL_FRAGMENT_PROGRAM_ARB, 1
PARAMETER(glProgramLocalParameter4dARB, glProgramLocalParameter4dARB(FRAGMENT, 1, 2, 3, 4))
PARAMETER(glProgramLocalParameter4dvARB,
          glProgramLocalParameter4dvARB(FRAGMENT, (const GLdouble[4]){1}))
PARAMETER(glProgramLocalParameter4fARB, glProgramLocalParameter4fARB(FRAGMENT, 1, 2, 3, 4))
PARAMETER(glProgramLocalParameter4fvARB,
          glProgramLocalParameter4fvARB(FRAGMENT, (const GLfloat[4]){1}))
PARAMETER(glProgramLocalParameters4fvEXT,
          glProgramLocalParameters4fvEXT(FRAGMENT, 1, (const GLfloat[4]){1}))

static void before_glObjectLabel(void)
{
    glGenBuffers(MANY, scratch_names);
    for (int i = 0; i < MANY; i++)
        glBindBuffer(GL_ARRAY_BUFFER, scratch_names[i]);
    glObjectLabel(GL_BUFFER, scratch_names[0], 5, "first");
}
static void try_glObjectLabel(void)
{
    for (int i = 0; i < MANY; i++)
        glObjectLabel(GL_BUFFER, scratch_names[i], 200, another());
}
static void after_glObjectLabel(void)
{
    glDeleteBuffers(MANY, scratch_names);
}

static void before_glDebugMessageControl(void)
{
}
static void try_glDebugMessageControl(void)
{
    static GLuint next;
    GLuint ids[1024];

    for (int i = 0; i < 1024; i++)
        ids[i] = next++;
    glDebugMessageControl(GL_DEBUG_SOURCE_APPLICATION, GL_DEBUG_TYPE_OTHER, GL_DONT_CARE, 1024, ids,
                          GL_TRUE);
}
static void after_glDebugMessageControl(void)
{
}

/* A command that the description says allocates, and that has no lines above, does not compile. */
static const struct command {
    const char *name;
    void (*before)(void), (*attempt)(void), (*after)(void);
} commands[] = {
#define X(command) {#command, before_##command, try_##command, after_##command},
    XG_GL_CLAIMS(X)
#undef X
};

/* What drivers need not have: no format is good for a compressed image of one dimension, there may
 * be none of binaries, and no SPIR-V. */
static const char *const lacking[] = {"glCompressedTexImage1D", "glShaderBinary", "glProgramBinary",
                                      "glSpecializeShader"};

static bool check(const struct command *c)
{
    GLenum at_limit = GL_NO_ERROR, with_room;
    GLint width = 0;

    c->before();
    if ((with_room = finish())) {
        printf("%s: what comes before it fails: 0x%04x\n", c->name, with_room);
        return false;
    }
    width = strncmp(c->name, "glTexImage2D", 13) ? 0 : level_width(GL_TEXTURE_2D);
    fill();
    for (int i = 0; i < 8 && !at_limit; i++) { /* the smallest things may fit a few times */
        c->attempt();
        at_limit = finish();
    }
    if (width && level_width(GL_TEXTURE_2D) != width) {
        printf("%s: refused, and the image is another one\n", c->name);
        return false;
    }
    unfill();
    c->attempt();
    with_room = finish();
    c->after();
    finish();
    for (unsigned i = 0; i < sizeof(lacking) / sizeof(lacking[0]); i++)
        if (strcmp(c->name, lacking[i]) == 0 && with_room != GL_OUT_OF_MEMORY)
            with_room = GL_NO_ERROR;
    if (at_limit == expected && !with_room)
        return true;
    printf("%s: at the limit 0x%04x, with room 0x%04x\n", c->name, at_limit, with_room);
    return false;
}

/* --- names that come to be when they are bound ------------------------------------------------ */

#define UNUSED_NAME 900000u

static void bind_buffer(GLuint n)
{
    glBindBuffer(GL_ARRAY_BUFFER, n);
}

static void bind_texture(GLuint n)
{
    glBindTexture(GL_TEXTURE_2D, n);
}

static void bind_renderbuffer(GLuint n)
{
    glBindRenderbuffer(GL_RENDERBUFFER, n);
}

static void bind_framebuffer(GLuint n)
{
    glBindFramebuffer(GL_FRAMEBUFFER, n);
}

static void bind_uniforms(GLuint n)
{
    glBindBufferBase(GL_UNIFORM_BUFFER, 0, n);
}

static void bind_vertices(GLuint n)
{
    glBindVertexBuffer(0, n, 0, 16);
}

/* What only that has which was bound first: 64. */
static GLint mark_data(GLenum target, bool set)
{
    static const GLint mark = 64;
    GLint n = 0;

    if (set) {
        glBufferData(target, sizeof(mark), &mark, GL_STATIC_DRAW);
        glBindBuffer(GL_COPY_WRITE_BUFFER, UNUSED_NAME - 1);
        glBufferData(GL_COPY_WRITE_BUFFER, sizeof(n), &n, GL_STATIC_DRAW);
    } else { /* by way of another one: the interposer has its own idea of what is bound */
        glCopyBufferSubData(target, GL_COPY_WRITE_BUFFER, 0, 0, sizeof(n));
        glGetBufferSubData(GL_COPY_WRITE_BUFFER, 0, sizeof(n), &n);
    }
    return n;
}

static GLint mark_buffer(bool set)
{
    return mark_data(GL_ARRAY_BUFFER, set);
}

static GLint mark_uniforms(bool set)
{
    return mark_data(GL_UNIFORM_BUFFER, set);
}

static GLint mark_texture(bool set)
{
    if (set)
        glTexImage2D(GL_TEXTURE_2D, 0, GL_RGBA8, 64, 64, 0, GL_RGBA, GL_UNSIGNED_BYTE, NULL);
    return set ? 0 : level_width(GL_TEXTURE_2D);
}

static GLint mark_renderbuffer(bool set)
{
    GLint n = 0;

    if (set)
        glRenderbufferStorage(GL_RENDERBUFFER, GL_RGBA8, 64, 64);
    else
        glGetRenderbufferParameteriv(GL_RENDERBUFFER, GL_RENDERBUFFER_WIDTH, &n);
    return n;
}

static GLint mark_framebuffer(bool set)
{
    GLint n = 0;

    if (set)
        glFramebufferParameteri(GL_FRAMEBUFFER, GL_FRAMEBUFFER_DEFAULT_WIDTH, 64);
    else
        glGetFramebufferParameteriv(GL_FRAMEBUFFER, GL_FRAMEBUFFER_DEFAULT_WIDTH, &n);
    return n;
}

static GLint mark_vertices(bool set)
{
    GLint n = 0;

    if (set)
        return 0;
    glGetIntegeri_v(GL_VERTEX_BINDING_BUFFER, 0, &n);
    return n >= (GLint)UNUSED_NAME ? 64 : n;
}

static const struct {
    const char *name;
    void (*bind)(GLuint name);
    GLint (*mark)(bool set);
} binds[] = {
    {"glBindBuffer", bind_buffer, mark_buffer},
    {"glBindTexture", bind_texture, mark_texture},
    {"glBindRenderbuffer", bind_renderbuffer, mark_renderbuffer},
    {"glBindFramebuffer", bind_framebuffer, mark_framebuffer},
    {"glBindBufferBase", bind_uniforms, mark_uniforms},
    {"glBindVertexBuffer", bind_vertices, mark_vertices},
};

/* Refused at the limit, and what was bound stays. */
static bool check_bind(unsigned i)
{
    GLuint first = UNUSED_NAME + 2 * i;
    GLenum error;
    GLint now;

    binds[i].bind(first);
    binds[i].mark(true);
    fill();
    binds[i].bind(first + 1);
    error = finish();
    now = binds[i].mark(false);
    unfill();
    binds[i].bind(0);
    finish();
    if (error == GL_OUT_OF_MEMORY && now == 64)
        return true;
    printf("%s: 0x%04x at the limit, and what is bound has %d\n", binds[i].name, error, now);
    return false;
}

/* --- as much as it gets ----------------------------------------------------------------------- */

static int hog(const char *which)
{
    for (unsigned i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        GLenum error = GL_NO_ERROR;
        unsigned times = 0;

        if (strcmp(commands[i].name, which) != 0)
            continue;
        for (; !error && times < 1000000; times++) {
            commands[i].before();
            error =
                finish(); /* what cannot be made must not be asked for more: other errors follow */
            if (error)
                break;
            commands[i].attempt();
            if (times % 8 == 0)
                error = finish();
        }
        printf("%s: %u times, then 0x%04x\n", which, times, error);
        fflush(stdout);
        (void)!getchar();
        return error == GL_OUT_OF_MEMORY ? 0 : 1;
    }
    printf("no command %s\n", which);
    return 1;
}

/* --- what is deleted comes back --------------------------------------------------------------- */

static GLuint texture_of(GLsizei side)
{
    GLuint t;

    glGenTextures(1, &t);
    glBindTexture(GL_TEXTURE_2D, t);
    glTexImage2D(GL_TEXTURE_2D, 0, GL_RGBA8, side, side, 0, GL_RGBA, GL_UNSIGNED_BYTE, NULL);
    return t;
}

static bool expect(const char *what, GLenum error)
{
    GLenum got = finish();

    if (got != error)
        printf("%s: 0x%04x instead of 0x%04x\n", what, got, error);
    return got == error;
}

/* 4 MiB at a time, a few of which fit in the guest's memory. */
static bool churn(EGLContext mine)
{
    EGLContext other = make_context(DESKTOP_COMPAT, mine);
    GLuint t, f, b, vao, view, shown;
    bool ok = true;

    for (int i = 0; i < 100 && ok; i++) {
        t = texture_of(1024);
        glDeleteTextures(1, &t);
        ok = expect("bound, then deleted", GL_NO_ERROR);
    }
    glGenFramebuffers(1, &f);
    for (int i = 0; i < 100 && ok; i++) {
        t = texture_of(1024);
        glBindFramebuffer(GL_FRAMEBUFFER, f);
        glFramebufferTexture2D(GL_FRAMEBUFFER, GL_COLOR_ATTACHMENT0, GL_TEXTURE_2D, t, 0);
        glBindFramebuffer(GL_FRAMEBUFFER, i % 2 ? 0 : f);
        glDeleteTextures(1, &t);
        ok = expect("attached, then deleted", GL_NO_ERROR);
    }
    /* Attached elsewhere it lives on, and counts. */
    glBindFramebuffer(GL_FRAMEBUFFER, 0);
    GLuint many[64];
    unsigned n = 0;
    GLenum error = GL_NO_ERROR;
    glGenFramebuffers(64, many);
    for (; ok && n < 64 && !error; n++) {
        t = texture_of(1024);
        glBindFramebuffer(GL_FRAMEBUFFER, many[n]);
        glFramebufferTexture2D(GL_FRAMEBUFFER, GL_COLOR_ATTACHMENT0, GL_TEXTURE_2D, t, 0);
        glBindFramebuffer(GL_FRAMEBUFFER, 0);
        glDeleteTextures(1, &t);
        error = finish();
    }
    if (ok && error != GL_OUT_OF_MEMORY) {
        printf("kept by framebuffers, they do not count\n");
        ok = false;
    }
    glDeleteFramebuffers(64, many);
    finish();
    /* Buffers in vertex arrays, and shown by a texture. */
    glGenVertexArrays(1, &vao);
    glGenTextures(1, &shown);
    for (int i = 0; i < 100 && ok; i++) {
        glGenBuffers(1, &b);
        glBindBuffer(GL_ARRAY_BUFFER, b);
        glBufferData(GL_ARRAY_BUFFER, 4 << 20, NULL, GL_STATIC_DRAW);
        glBindVertexArray(vao);
        glVertexAttribPointer(0, 4, GL_FLOAT, GL_FALSE, 0, NULL);
        glBindVertexArray(0);
        glBindTexture(GL_TEXTURE_BUFFER, shown);
        glTexBuffer(GL_TEXTURE_BUFFER, GL_RGBA8, b);
        glDeleteBuffers(1, &b);
        ok = expect("in a vertex array and a texture, then deleted", GL_NO_ERROR);
    }
    glDeleteVertexArrays(1, &vao);
    glDeleteTextures(1, &shown);
    /* Views share. */
    glGenTextures(1, &t);
    glBindTexture(GL_TEXTURE_2D, t);
    glTexStorage2D(GL_TEXTURE_2D, 1, GL_RGBA8, 1024, 1024);
    for (int i = 0; i < 100 && ok; i++) {
        glGenTextures(1, &view);
        glTextureView(view, GL_TEXTURE_2D, t, GL_RGBA8, 0, 1, 0, 1);
        glDeleteTextures(1, &t);
        t = view;
        ok = expect("a view", GL_NO_ERROR);
    }
    glDeleteTextures(1, &t);
    /* Another context of the share group has it bound, until it takes something else. */
    for (int i = 0; i < 40 && ok; i++) {
        t = texture_of(1024);
        glFinish();
        eglMakeCurrent(the_display, the_surface, the_surface, other);
        glBindTexture(GL_TEXTURE_2D, t);
        glFinish();
        eglMakeCurrent(the_display, the_surface, the_surface, mine);
        glDeleteTextures(1, &t);
        ok = expect("bound in another context", GL_NO_ERROR);
    }
    return ok;
}

int main(int argc, char **argv)
{
    EGLContext mine = start(DESKTOP_COMPAT);
    bool ok = true;
    GLint all = -1, left = -1;

    if (argc > 2 && strcmp(argv[1], "hog") == 0)
        return hog(argv[2]);
    if (argc > 1 && strcmp(argv[1], "churn") == 0)
        return churn(mine) ? 0 : 1;
    /* What there is, in KiB, as GL_NVX_gpu_memory_info tells it. */
    if (strstr((const char *)glGetString(GL_EXTENSIONS), "GL_NVX_gpu_memory_info")) {
        glGetIntegerv(GL_GPU_MEMORY_INFO_DEDICATED_VIDMEM_NVX, &all);
        name = texture_of(1024);
        glGetIntegerv(GL_GPU_MEMORY_INFO_CURRENT_AVAILABLE_VIDMEM_NVX, &left);
        glDeleteTextures(1, &name);
        ok &= expect("questions for memory", GL_NO_ERROR);
    }
    printf("memory %d left %d\n", all, left);
    for (unsigned i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
        ok &= check(&commands[i]);
    for (unsigned i = 0; i < sizeof(binds) / sizeof(binds[0]); i++)
        ok &= check_bind(i);
    printf("%u commands: %s\n", (unsigned)(sizeof(commands) / sizeof(commands[0])),
           ok ? "all refused at the limit" : "not all");
    return ok ? 0 : 1;
}
