/* OpenGL 3.3 core: buffers, framebuffers, textures, programs and what can be asked about them. */
/* pkg: gl egl */
#include "tests/programs/gl_common.h"

static const char vertex_text[] =
    "#version 330 core\n"
    "layout(location = 0) in vec2 position; in vec4 tint; out vec4 color; out vec2 where;\n"
    "uniform mat4 transform; uniform vec2 offset[3]; uniform struct { float size; vec3 bias; } "
    "shape[2];\n"
    "layout(std140) uniform Block { vec4 scale; float extra; };\n"
    "void main() { color = tint * scale + vec4(shape[1].bias, extra); where = position;\n"
    "  gl_Position = transform * vec4(position * shape[0].size + offset[gl_InstanceID % 3], 0, 1); "
    "}\n";
static const char fragment_text[] =
    "#version 330 core\n"
    "in vec4 color; in vec2 where; uniform sampler2D image; layout(location = 0) out vec4 result;\n"
    "void main() { result = color * texture(image, where * 0.5 + 0.5); }\n";

static GLuint the_program, the_array, the_buffer, the_block, the_texture;

static void clear(float r, float g, float b)
{
    glClearColor(r, g, b, 1);
    glClear(GL_COLOR_BUFFER_BIT | GL_DEPTH_BUFFER_BIT);
}

static void reflection(void)
{
    static const char *const names[] = {"transform", "offset",        "offset[0]",     "offset[2]",
                                        "offset[3]", "shape[1].bias", "shape[0].size", "scale",
                                        "nothing",   "image",         "offset[x]"};
    char text[256];
    GLint n = 0, size, v = 0;
    GLsizei length;
    GLenum type;

    glGetProgramiv(the_program, GL_ACTIVE_UNIFORMS, &n);
    printf("uniforms %d\n", n);
    for (GLint i = 0; i < n; i++) {
        glGetActiveUniform(the_program, (GLuint)i, sizeof(text), &length, &size, &type, text);
        printf("  %s %d 0x%x %d\n", text, size, type, length);
    }
    for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        printf("  location of %s: %d\n", names[i], glGetUniformLocation(the_program, names[i]));
    glGetProgramiv(the_program, GL_ACTIVE_ATTRIBUTES, &n);
    for (GLint i = 0; i < n; i++) {
        glGetActiveAttrib(the_program, (GLuint)i, sizeof(text), &length, &size, &type, text);
        printf("  attribute %s %d 0x%x at %d\n", text, size, type,
               glGetAttribLocation(the_program, text));
    }
    printf("  block %u %u\n", glGetUniformBlockIndex(the_program, "Block"),
           glGetUniformBlockIndex(the_program, "None"));
    glGetActiveUniformBlockiv(the_program, 0, GL_UNIFORM_BLOCK_DATA_SIZE, &v);
    glGetActiveUniformBlockName(the_program, 0, sizeof(text), &length, text);
    printf("  block %s of %d bytes\n", text, v);
    glGetActiveUniformName(the_program, 0, 5, &length, text);
    printf("  short name %s %d\n", text, length);
    glGetProgramiv(the_program, GL_ATTACHED_SHADERS, &v);
    printf("  shaders %d\n", v);
    glGetProgramiv(the_program, 0x7777, &v);
    show_error("  wrong question");
}

static void make(void)
{
    static const float data[] = {-0.9f, -0.9f, 1, 0, 0,    1, 0.9f, -0.9f, 0,
                                 1,     0,     1, 0, 0.9f, 0, 0,    1,     1};
    static const float block[] = {1, 0.5f, 1, 1, 0.1f, 0, 0, 0};
    static GLubyte texels[16 * 16 * 4];
    static const float identity[16] = {1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1};
    static const float offsets[] = {0, 0, 0.2f, 0.1f, -0.3f, 0.4f};
    GLint tint;

    the_program = program(vertex_text, fragment_text);
    glUseProgram(the_program);
    glGenVertexArrays(1, &the_array);
    glBindVertexArray(the_array);
    glGenBuffers(1, &the_buffer);
    glBindBuffer(GL_ARRAY_BUFFER, the_buffer);
    glBufferData(GL_ARRAY_BUFFER, sizeof(data), data, GL_STATIC_DRAW);
    tint = glGetAttribLocation(the_program, "tint");
    glVertexAttribPointer(0, 2, GL_FLOAT, GL_FALSE, 24, NULL);
    glVertexAttribPointer((GLuint)tint, 4, GL_FLOAT, GL_FALSE, 24, (void *)8);
    glEnableVertexAttribArray(0);
    glEnableVertexAttribArray((GLuint)tint);
    glGenBuffers(1, &the_block);
    glBindBufferBase(GL_UNIFORM_BUFFER, 3, the_block);
    glBufferData(GL_UNIFORM_BUFFER, sizeof(block), block, GL_DYNAMIC_DRAW);
    glUniformBlockBinding(the_program, 0, 3);
    for (unsigned i = 0; i < sizeof(texels); i++)
        texels[i] = (GLubyte)(128 + i * 5 % 128);
    glGenTextures(1, &the_texture);
    glActiveTexture(GL_TEXTURE2);
    glBindTexture(GL_TEXTURE_2D, the_texture);
    glTexImage2D(GL_TEXTURE_2D, 0, GL_RGBA8, 16, 16, 0, GL_RGBA, GL_UNSIGNED_BYTE, texels);
    glGenerateMipmap(GL_TEXTURE_2D);
    glUniform1i(glGetUniformLocation(the_program, "image"), 2);
    glUniformMatrix4fv(glGetUniformLocation(the_program, "transform"), 1, GL_FALSE, identity);
    glUniform2fv(glGetUniformLocation(the_program, "offset"), 3, offsets);
    glUniform1f(glGetUniformLocation(the_program, "shape[0].size"), 0.7f);
    glUniform3f(glGetUniformLocation(the_program, "shape[1].bias"), 0.1f, 0, 0.05f);
}

static void draws(void)
{
    static const GLushort index[] = {0, 1, 2, 0xffff, 2, 1, 0};
    static const GLint first[] = {0, 0};
    static const GLsizei count[] = {3, 2};
    const void *offsets[] = {(void *)0, (void *)8};
    GLuint b;
    GLfloat back[4] = {0};

    clear(0, 0, 0);
    glDrawArrays(GL_TRIANGLES, 0, 3);
    show("triangle");
    clear(0.2f, 0, 0);
    glDrawArraysInstanced(GL_TRIANGLES, 0, 3, 3);
    show("instances");
    glGenBuffers(1, &b);
    glBindBuffer(GL_ELEMENT_ARRAY_BUFFER, b);
    glBufferData(GL_ELEMENT_ARRAY_BUFFER, sizeof(index), index, GL_STATIC_DRAW);
    glEnable(GL_PRIMITIVE_RESTART);
    glPrimitiveRestartIndex(0xffff);
    clear(0, 0.2f, 0);
    glDrawElements(GL_LINE_STRIP, 7, GL_UNSIGNED_SHORT, NULL);
    show("restart");
    glDisable(GL_PRIMITIVE_RESTART);
    clear(0, 0, 0.2f);
    glMultiDrawArrays(GL_LINES, first, count, 2);
    glMultiDrawElements(GL_TRIANGLES, (const GLsizei[]){3, 3}, GL_UNSIGNED_SHORT, offsets, 2);
    glDrawElementsBaseVertex(GL_POINTS, 2, GL_UNSIGNED_SHORT, NULL, 1);
    show("many");
    glGetUniformfv(the_program, glGetUniformLocation(the_program, "offset[2]"), back);
    printf("uniform %g %g\n", (double)back[0], (double)back[1]);
    show_int("bound array buffer is mine", GL_ARRAY_BUFFER_BINDING, 1);
    glBindBuffer(GL_ELEMENT_ARRAY_BUFFER, 0);
    glDeleteBuffers(1, &b);
}

static void framebuffers(void)
{
    static const struct {
        GLenum internal, format, type;
        const char *name;
    } formats[] = {{GL_RGBA8, GL_RGBA, GL_UNSIGNED_BYTE, "rgba8"},
                   {GL_RGBA16F, GL_RGBA, GL_FLOAT, "rgba16f"},
                   {GL_RGBA32F, GL_RGBA, GL_FLOAT, "rgba32f"},
                   {GL_RG8, GL_RG, GL_UNSIGNED_BYTE, "rg8"},
                   {GL_R11F_G11F_B10F, GL_RGB, GL_FLOAT, "r11g11b10"},
                   {GL_RGB10_A2, GL_RGBA, GL_UNSIGNED_INT_2_10_10_10_REV, "rgb10"},
                   {GL_SRGB8_ALPHA8, GL_RGBA, GL_UNSIGNED_BYTE, "srgb"}};
    static uint8_t back[64 * 64 * 16];
    GLuint f, t[7], rb;
    GLint v = 0;

    glGenFramebuffers(1, &f);
    glGenTextures(7, t);
    glGenRenderbuffers(1, &rb);
    glBindRenderbuffer(GL_RENDERBUFFER, rb);
    glRenderbufferStorage(GL_RENDERBUFFER, GL_DEPTH24_STENCIL8, 64, 64);
    glGetRenderbufferParameteriv(GL_RENDERBUFFER, GL_RENDERBUFFER_WIDTH, &v);
    printf("renderbuffer %d\n", v);
    glBindFramebuffer(GL_FRAMEBUFFER, f);
    glFramebufferRenderbuffer(GL_FRAMEBUFFER, GL_DEPTH_STENCIL_ATTACHMENT, GL_RENDERBUFFER, rb);
    glViewport(0, 0, 64, 64);
    glActiveTexture(GL_TEXTURE0);
    for (int i = 0; i < 7; i++) {
        glBindTexture(GL_TEXTURE_2D, t[i]);
        glTexImage2D(GL_TEXTURE_2D, 0, (GLint)formats[i].internal, 64, 64, 0, formats[i].format,
                     formats[i].type, NULL);
        glTexParameteri(GL_TEXTURE_2D, GL_TEXTURE_MIN_FILTER, GL_NEAREST);
        glFramebufferTexture2D(GL_FRAMEBUFFER, GL_COLOR_ATTACHMENT0, GL_TEXTURE_2D, t[i], 0);
        printf("%s status 0x%x ", formats[i].name, glCheckFramebufferStatus(GL_FRAMEBUFFER));
        clear(0.25f, 0.5f, 0.75f);
        glDrawArrays(GL_TRIANGLES, 0, 3);
        memset(back, 0, sizeof(back));
        glReadPixels(0, 0, 64, 64, formats[i].format, formats[i].type, back);
        printf("read %016llx ", (unsigned long long)hash(back, sizeof(back)));
        glGetTexImage(GL_TEXTURE_2D, 0, GL_RGBA, GL_FLOAT, back);
        printf("image %016llx\n", (unsigned long long)hash(back, sizeof(back)));
    }
    glFramebufferTexture2D(GL_FRAMEBUFFER, GL_COLOR_ATTACHMENT0, GL_TEXTURE_2D, t[0], 0);
    glFramebufferTexture2D(GL_FRAMEBUFFER, GL_COLOR_ATTACHMENT1, GL_TEXTURE_2D, t[1], 0);
    glDrawBuffers(2, (const GLenum[]){GL_COLOR_ATTACHMENT0, GL_COLOR_ATTACHMENT1});
    glClearBufferfv(GL_COLOR, 1, (const GLfloat[]){1, 2, 3, 4});
    glClearBufferfi(GL_DEPTH_STENCIL, 0, 0.5f, 7);
    glReadBuffer(GL_COLOR_ATTACHMENT1);
    glReadPixels(0, 0, 4, 4, GL_RGBA, GL_FLOAT, back);
    printf("second target %016llx\n", (unsigned long long)hash(back, 256));
    show_int("draw buffer 1", GL_DRAW_BUFFER1, 1);
    glGetFramebufferAttachmentParameteriv(GL_FRAMEBUFFER, GL_COLOR_ATTACHMENT0,
                                          GL_FRAMEBUFFER_ATTACHMENT_OBJECT_NAME, &v);
    printf("attached is the first: %d\n", v == (GLint)t[0]);
    glReadBuffer(GL_COLOR_ATTACHMENT0);
    glBindFramebuffer(GL_DRAW_FRAMEBUFFER, 0);
    glBlitFramebuffer(0, 0, 64, 64, 10, 10, 100, 90, GL_COLOR_BUFFER_BIT, GL_LINEAR);
    glBindFramebuffer(GL_FRAMEBUFFER, 0);
    show("blitted");
    show_int("framebuffer", GL_FRAMEBUFFER_BINDING, 1);
    glViewport(0, 0, SIZE, SIZE);
    glDeleteFramebuffers(1, &f);
    glDeleteRenderbuffers(1, &rb);
    glDeleteTextures(7, t);
    glActiveTexture(GL_TEXTURE2);
}

static void pixel_buffers(void)
{
    static GLubyte texels[64 * 64 * 4];
    static GLubyte back[64 * 64 * 4];
    GLuint p[2], t;
    GLubyte *map;

    for (unsigned i = 0; i < sizeof(texels); i++)
        texels[i] = (GLubyte)(i * 11 + i / 999);
    glGenBuffers(2, p);
    glGenTextures(1, &t);
    glBindTexture(GL_TEXTURE_2D, t);
    glBindBuffer(GL_PIXEL_UNPACK_BUFFER, p[0]);
    glBufferData(GL_PIXEL_UNPACK_BUFFER, sizeof(texels), texels, GL_STREAM_DRAW);
    glTexImage2D(GL_TEXTURE_2D, 0, GL_RGBA8, 64, 63, 0, GL_RGBA, GL_UNSIGNED_BYTE, (void *)256);
    glBindBuffer(GL_PIXEL_UNPACK_BUFFER, 0);
    glBindBuffer(GL_PIXEL_PACK_BUFFER, p[1]);
    glBufferData(GL_PIXEL_PACK_BUFFER, sizeof(texels), NULL, GL_STREAM_READ);
    glGetTexImage(GL_TEXTURE_2D, 0, GL_RGBA, GL_UNSIGNED_BYTE, (void *)0);
    map = glMapBufferRange(GL_PIXEL_PACK_BUFFER, 0, 64 * 63 * 4, GL_MAP_READ_BIT);
    if (!map)
        give_up("a map");
    printf("through buffers %d\n", map && memcmp(map, texels + 256, 64 * 63 * 4) == 0);
    glUnmapBuffer(GL_PIXEL_PACK_BUFFER);
    glReadPixels(0, 0, 64, 64, GL_RGBA, GL_UNSIGNED_BYTE, (void *)0);
    glGetBufferSubData(GL_PIXEL_PACK_BUFFER, 0, sizeof(back), back);
    printf("read to buffer %016llx\n", (unsigned long long)hash(back, sizeof(back)));
    glBindBuffer(GL_PIXEL_PACK_BUFFER, 0);
    glDeleteBuffers(2, p);
    glDeleteTextures(1, &t);
    glBindTexture(GL_TEXTURE_2D, the_texture);
}

static void mapping(void)
{
    GLuint b[2];
    GLubyte *map, back[64] = {0};
    GLint v = 0;

    glGenBuffers(2, b);
    glBindBuffer(GL_COPY_READ_BUFFER, b[0]);
    glBufferData(GL_COPY_READ_BUFFER, 4096, NULL, GL_DYNAMIC_DRAW);
    map = glMapBufferRange(GL_COPY_READ_BUFFER, 100, 200,
                           GL_MAP_WRITE_BIT | GL_MAP_INVALIDATE_BUFFER_BIT);
    if (!map)
        give_up("a map");
    memset(map, 7, 200);
    glGetBufferParameteriv(GL_COPY_READ_BUFFER, GL_BUFFER_MAPPED, &v);
    printf("mapped %d\n", v);
    printf("twice %d\n", glMapBuffer(GL_COPY_READ_BUFFER, GL_READ_ONLY) != NULL);
    show_error("twice");
    glUnmapBuffer(GL_COPY_READ_BUFFER);
    map = glMapBufferRange(GL_COPY_READ_BUFFER, 110, 60,
                           GL_MAP_WRITE_BIT | GL_MAP_FLUSH_EXPLICIT_BIT);
    if (!map)
        give_up("a map");
    memset(map, 9, 60);
    glFlushMappedBufferRange(GL_COPY_READ_BUFFER, 10, 20);
    glUnmapBuffer(GL_COPY_READ_BUFFER);
    glBindBuffer(GL_COPY_WRITE_BUFFER, b[1]);
    glBufferData(GL_COPY_WRITE_BUFFER, 64, NULL, GL_DYNAMIC_DRAW);
    glCopyBufferSubData(GL_COPY_READ_BUFFER, GL_COPY_WRITE_BUFFER, 110, 0, 64);
    glGetBufferSubData(GL_COPY_WRITE_BUFFER, 0, 64, back);
    printf("flushed %d copied %d %d\n", back[15], back[62], back[63]);
    map = glMapBufferRange(GL_COPY_WRITE_BUFFER, 0, 64, GL_MAP_READ_BIT | GL_MAP_WRITE_BIT);
    if (!map)
        give_up("a map");
    map[3] = (GLubyte)(map[15] + 1);
    glUnmapBuffer(GL_COPY_WRITE_BUFFER);
    glGetBufferSubData(GL_COPY_WRITE_BUFFER, 0, 64, back);
    printf("read and written %d\n", back[3]);
    glDeleteBuffers(2, b);
}

static void feedback(void)
{
    static const char text[] =
        "#version 330 core\nin vec2 position; out vec2 doubled; out float sum;\n"
        "void main() { doubled = position * 2.0; sum = position.x + position.y; gl_Position = "
        "vec4(0); }\n";
    static const char *const names[] = {"doubled", "sum"};
    GLuint p = glCreateProgram(), s = shader(GL_VERTEX_SHADER, text), b, q;
    GLfloat back[9] = {0};
    GLuint written = 0;

    glAttachShader(p, s);
    glTransformFeedbackVaryings(p, 2, names, GL_INTERLEAVED_ATTRIBS);
    glBindAttribLocation(p, 0, "position");
    glLinkProgram(p);
    glUseProgram(p);
    glGenBuffers(1, &b);
    glBindBufferBase(GL_TRANSFORM_FEEDBACK_BUFFER, 0, b);
    glBufferData(GL_TRANSFORM_FEEDBACK_BUFFER, sizeof(back), NULL, GL_DYNAMIC_READ);
    glGenQueries(1, &q);
    glEnable(GL_RASTERIZER_DISCARD);
    glBeginQuery(GL_TRANSFORM_FEEDBACK_PRIMITIVES_WRITTEN, q);
    glBeginTransformFeedback(GL_POINTS);
    glDrawArrays(GL_POINTS, 0, 3);
    glEndTransformFeedback();
    glEndQuery(GL_TRANSFORM_FEEDBACK_PRIMITIVES_WRITTEN);
    glDisable(GL_RASTERIZER_DISCARD);
    glGetQueryObjectuiv(q, GL_QUERY_RESULT, &written);
    glGetBufferSubData(GL_TRANSFORM_FEEDBACK_BUFFER, 0, sizeof(back), back);
    printf("feedback %u: %g %g %g ... %g\n", written, (double)back[0], (double)back[1],
           (double)back[2], (double)back[8]);
    glUseProgram(the_program);
    glDeleteProgram(p);
    glDeleteShader(s);
    glDeleteBuffers(1, &b);
    glDeleteQueries(1, &q);
}

static void waiting(void)
{
    GLuint q, samples = 0, ready = 0;
    GLsync s;
    GLint v = 0;

    glGenQueries(1, &q);
    glBeginQuery(GL_SAMPLES_PASSED, q);
    clear(0, 0, 0);
    glDrawArrays(GL_TRIANGLES, 0, 3);
    glEndQuery(GL_SAMPLES_PASSED);
    glGetQueryObjectuiv(q, GL_QUERY_RESULT, &samples);
    glGetQueryObjectuiv(q, GL_QUERY_RESULT_AVAILABLE, &ready);
    printf("samples %u %u is query %d\n", samples, ready, glIsQuery(q));
    s = glFenceSync(GL_SYNC_GPU_COMMANDS_COMPLETE, 0);
    printf("fence %d wait %d\n", glIsSync(s),
           glClientWaitSync(s, GL_SYNC_FLUSH_COMMANDS_BIT, 1000000000u) != GL_TIMEOUT_EXPIRED);
    glGetSynciv(s, GL_SYNC_STATUS, 1, NULL, &v);
    printf("fence status 0x%x\n", v);
    glWaitSync(s, 0, GL_TIMEOUT_IGNORED);
    glDeleteSync(s);
    glDeleteQueries(1, &q);
    show_error("waiting");
}

static void textures(void)
{
    static GLubyte texels[32 * 32 * 8];
    static GLubyte back[32 * 32 * 32];
    GLuint t[5], sampler;
    GLint v = 0;

    for (unsigned i = 0; i < sizeof(texels); i++)
        texels[i] = (GLubyte)(i * 13 + i / 77);
    glGenTextures(5, t);
    glBindTexture(GL_TEXTURE_3D, t[0]);
    glPixelStorei(GL_UNPACK_IMAGE_HEIGHT, 9);
    glTexImage3D(GL_TEXTURE_3D, 0, GL_RGBA8, 8, 8, 7, 0, GL_RGBA, GL_UNSIGNED_BYTE, texels);
    glPixelStorei(GL_UNPACK_IMAGE_HEIGHT, 0);
    glTexSubImage3D(GL_TEXTURE_3D, 0, 1, 2, 3, 4, 3, 2, GL_BGRA, GL_UNSIGNED_BYTE, texels);
    glGetTexImage(GL_TEXTURE_3D, 0, GL_RGBA, GL_UNSIGNED_BYTE, back);
    printf("3D %016llx\n", (unsigned long long)hash(back, 8 * 8 * 7 * 4));
    glBindTexture(GL_TEXTURE_2D_ARRAY, t[1]);
    glTexImage3D(GL_TEXTURE_2D_ARRAY, 0, GL_R16UI, 8, 4, 5, 0, GL_RED_INTEGER, GL_UNSIGNED_SHORT,
                 texels);
    glGetTexImage(GL_TEXTURE_2D_ARRAY, 0, GL_RED_INTEGER, GL_UNSIGNED_SHORT, back);
    printf("array %016llx\n", (unsigned long long)hash(back, 8 * 4 * 5 * 2));
    glBindTexture(GL_TEXTURE_CUBE_MAP, t[2]);
    for (unsigned i = 0; i < 6; i++)
        glTexImage2D(GL_TEXTURE_CUBE_MAP_POSITIVE_X + i, 0, GL_RGB8, 8, 8, 0, GL_RGB,
                     GL_UNSIGNED_BYTE, texels + i * 64);
    glGetTexImage(GL_TEXTURE_CUBE_MAP_NEGATIVE_Y, 0, GL_RGB, GL_UNSIGNED_BYTE, back);
    printf("cube %016llx\n", (unsigned long long)hash(back, 8 * 8 * 3));
    glBindTexture(GL_TEXTURE_1D, t[3]);
    glTexImage1D(GL_TEXTURE_1D, 0, GL_RGBA8, 32, 0, GL_RGBA, GL_UNSIGNED_BYTE, texels);
    glTexSubImage1D(GL_TEXTURE_1D, 0, 3, 4, GL_RGBA, GL_UNSIGNED_INT_8_8_8_8, texels);
    glGetTexImage(GL_TEXTURE_1D, 0, GL_RGBA, GL_UNSIGNED_BYTE, back);
    printf("1D %016llx\n", (unsigned long long)hash(back, 32 * 4));
    glBindTexture(GL_TEXTURE_2D, t[4]);
    glCompressedTexImage2D(GL_TEXTURE_2D, 0, 0x8DBB /* GL_COMPRESSED_RED_RGTC1 */, 16, 16, 0, 128,
                           texels);
    glGetTexLevelParameteriv(GL_TEXTURE_2D, 0, GL_TEXTURE_COMPRESSED_IMAGE_SIZE, &v);
    glGetCompressedTexImage(GL_TEXTURE_2D, 0, back);
    printf("compressed %d %d\n", v, memcmp(back, texels, 128) == 0);
    glGenSamplers(1, &sampler);
    glSamplerParameteri(sampler, GL_TEXTURE_MIN_FILTER, GL_NEAREST);
    glSamplerParameterfv(sampler, GL_TEXTURE_BORDER_COLOR,
                         (const GLfloat[]){0.1f, 0.2f, 0.3f, 0.4f});
    glBindSampler(2, sampler);
    glGetSamplerParameteriv(sampler, GL_TEXTURE_MIN_FILTER, &v);
    printf("sampler 0x%x %d\n", v, glIsSampler(sampler));
    show_int("sampler binding is mine", GL_SAMPLER_BINDING, 1);
    glBindTexture(GL_TEXTURE_2D, the_texture);
    clear(0, 0, 0);
    glDrawArrays(GL_TRIANGLES, 0, 3);
    show("sampled");
    glBindSampler(2, 0);
    glDeleteSamplers(1, &sampler);
    glDeleteTextures(5, t);
}

static bool offered(const char *name)
{
    GLint n = 0;

    glGetIntegerv(GL_NUM_EXTENSIONS, &n);
    for (GLint i = 0; i < n; i++)
        if (!strcmp((const char *)glGetStringi(GL_EXTENSIONS, (GLuint)i), name))
            return true;
    return false;
}
#define PROC(name, ...) void (*name)(__VA_ARGS__) = (void (*)(__VA_ARGS__))eglGetProcAddress(#name)

/* Integers of 64 bits, which are not what a double can hold. */
static void wide_uniforms(void)
{
    static const char fragment[] =
        "#version 400 core\n#extension GL_ARB_gpu_shader_int64 : require\n"
        "uniform int64_t one; uniform i64vec3 three; uniform u64vec2 pair[2]; out vec4 result;\n"
        "void main() { result = vec4(one == -0x123456789abcdeL ? 0.25 : 0.5, three.z == 3L ? 0.25 "
        ": 0.5, pair[1].y == 0xfedcba9876543210UL ? 0.25 : 0.5, pair[0].x == 1UL ? 0.25 : 0.5); "
        "}\n";
    static const GLint64 three[] = {-1, 1ll << 62, 3};
    static const GLuint64 pair[] = {1, 2, 3, 0xfedcba9876543210u};
    GLint64 back[3] = {0};
    GLuint64 wide[4] = {0}, kept;
    PROC(glUniform1i64ARB, GLint, GLint64);
    PROC(glUniform3i64vARB, GLint, GLsizei, const GLint64 *);
    PROC(glProgramUniform2ui64vARB, GLuint, GLint, GLsizei, const GLuint64 *);
    PROC(glGetUniformi64vARB, GLuint, GLint, GLint64 *);
    PROC(glGetUniformui64vARB, GLuint, GLint, GLuint64 *);
    PROC(glGetnUniformui64vARB, GLuint, GLint, GLsizei, GLuint64 *);
    GLuint p;

    printf("wide uniforms: %d\n", offered("GL_ARB_gpu_shader_int64"));
    if (!offered("GL_ARB_gpu_shader_int64"))
        return;
    p = program("#version 400 core\nlayout(location = 0) in vec2 position;\n"
                "void main() { gl_Position = vec4(position, 0, 1); }\n",
                fragment);
    glUseProgram(p);
    glUniform1i64ARB(glGetUniformLocation(p, "one"), -0x123456789abcde);
    glUniform3i64vARB(glGetUniformLocation(p, "three"), 1, three);
    glProgramUniform2ui64vARB(p, glGetUniformLocation(p, "pair"), 2, pair);
    glGetUniformi64vARB(p, glGetUniformLocation(p, "three"), back);
    glGetUniformui64vARB(p, glGetUniformLocation(p, "pair[1]"), wide);
    printf("  %lld %lld %lld, %llx %llx\n", (long long)back[0], (long long)back[1],
           (long long)back[2], (unsigned long long)wide[0], (unsigned long long)wide[1]);
    kept = wide[0] = 77;
    glGetnUniformui64vARB(p, glGetUniformLocation(p, "pair[0]"), 8, wide);
    printf("  too small a buffer: 0x%x, %d\n", glGetError(), wide[0] == kept);
    glGetnUniformui64vARB(p, glGetUniformLocation(p, "pair[0]"), 16, wide);
    printf("  %llx %llx\n", (unsigned long long)wide[0], (unsigned long long)wide[1]);
    glBindVertexArray(the_array);
    clear(0, 0, 0);
    glDrawArrays(GL_TRIANGLES, 0, 3);
    show("  drawn");
    show_error("  wide uniforms");
}

static void refusals(void)
{
    GLint n = 0;

    show_error("before");
    glBindTexture(GL_TEXTURE_2D, 12345);
    show_error("unknown texture");
    glBindBuffer(GL_ARRAY_BUFFER, 12345);
    show_error("unknown buffer");
    glUseProgram(12345);
    show_error("unknown program");
    glDrawArrays(GL_TRIANGLES, 0, -1);
    show_error("negative count");
    glBufferData(GL_ARRAY_BUFFER, -1, NULL, GL_STATIC_DRAW);
    show_error("negative size");
    glGetString(0x1234);
    show_error("unknown string");
    glGetStringi(GL_EXTENSIONS, 100000);
    show_error("too many extensions");
    glGetIntegerv(0x1234, &n);
    show_error("unknown state");
    glUniform1f(glGetUniformLocation(the_program, "image"), 1);
    show_error("wrong uniform");
    glBindFramebuffer(GL_FRAMEBUFFER, 4711);
    show_error("unknown framebuffer");
    show_int("version", GL_MAJOR_VERSION, 1);
    show_int("profile", GL_CONTEXT_PROFILE_MASK, 1);
    show_int("uniform alignment", GL_UNIFORM_BUFFER_OFFSET_ALIGNMENT, 1);
    show_int("samples", GL_SAMPLES, 1);
}

int main(void)
{
    start(DESKTOP_CORE);
    front_if_any();
    make();
    show_error("make");
    reflection();
    draws();
    framebuffers();
    pixel_buffers();
    mapping();
    feedback();
    waiting();
    textures();
    wide_uniforms();
    refusals();
    return 0;
}
