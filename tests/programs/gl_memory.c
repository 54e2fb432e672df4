/* A guest at its limit of memory: every command that allocates is refused with GL_OUT_OF_MEMORY,
 * changes nothing, and is served again when there is room.
 *
 *     gl_memory                  each command that protocol/gl/gl.annot says allocates
 *     gl_memory hog NAME         takes by that command as much as it gets, says how much, waits for
 * a line on stdin gl_memory churn            makes and deletes what fits many times over; what is
 * deleted in every way comes back
 *
 * pkg: gl egl */
#include "tests/programs/gl_common.h"

#include "gl/claims.h"

#include <unistd.h>

#define MANY 4096

static GLuint name, spare, scratch_names[MANY];
static uint8_t pixels[1 << 20];
static const GLenum expected = GL_OUT_OF_MEMORY;

/* --- to the limit -------------------------------------------------------------------------------
 */

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

/* --- the commands: what stands before, what is tried, what must be as before --------------------
 */

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

/* A command that the description says allocates, and that has no lines above, does not compile. */
static const struct command {
    const char *name;
    void (*before)(void), (*attempt)(void), (*after)(void);
} commands[] = {
#define X(command) {#command, before_##command, try_##command, after_##command},
    XG_GL_CLAIMS(X)
#undef X
};

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
    /* No format is good for a compressed image of one dimension, which is looked at last. */
    if (strcmp(c->name, "glCompressedTexImage1D") == 0 && with_room == GL_INVALID_ENUM)
        with_room = GL_NO_ERROR;
    if (at_limit == expected && !with_room)
        return true;
    printf("%s: at the limit 0x%04x, with room 0x%04x\n", c->name, at_limit, with_room);
    return false;
}

/* --- as much as it gets
 * --------------------------------------------------------------------------- */

static int hog(const char *which)
{
    for (unsigned i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        GLenum error = GL_NO_ERROR;
        unsigned times = 0;

        if (strcmp(commands[i].name, which) != 0)
            continue;
        for (; !error && times < 1000000; times++) {
            commands[i].before();
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

/* --- what is deleted comes back
 * ------------------------------------------------------------------- */

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

    if (argc > 2 && strcmp(argv[1], "hog") == 0)
        return hog(argv[2]);
    if (argc > 1 && strcmp(argv[1], "churn") == 0)
        return churn(mine) ? 0 : 1;
    for (unsigned i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
        ok &= check(&commands[i]);
    printf("%u commands: %s\n", (unsigned)(sizeof(commands) / sizeof(commands[0])),
           ok ? "all refused at the limit" : "not all");
    return ok ? 0 : 1;
}
