/* Two contexts that share, on two threads; and OpenGL 4 commands. */
/* pkg: gl egl */
#include "tests/programs/gl_common.h"

#include <pthread.h>

static EGLContext second;
static GLuint shared_texture, shared_buffer;
static GLsync fence;
static pthread_barrier_t meet;

static void *other(void *arg)
{
    static GLubyte texels[32 * 32 * 4];
    const EGLint size[] = {EGL_WIDTH, 16, EGL_HEIGHT, 16, EGL_NONE};
    EGLSurface s = eglCreatePbufferSurface(the_display, the_config, size);

    (void)arg;
    eglBindAPI(EGL_OPENGL_API);
    eglMakeCurrent(the_display, s, s, second);
    for (int round = 0; round < 20; round++) {
        memset(texels, 10 * round + 5, sizeof(texels));
        if (!round) {
            glGenTextures(1, &shared_texture);
            glGenBuffers(1, &shared_buffer);
        }
        glBindTexture(GL_TEXTURE_2D, shared_texture);
        glTexImage2D(GL_TEXTURE_2D, 0, GL_RGBA8, 32, 32, 0, GL_RGBA, GL_UNSIGNED_BYTE, texels);
        glBindBuffer(GL_ARRAY_BUFFER, shared_buffer);
        glBufferData(GL_ARRAY_BUFFER, sizeof(texels), texels, GL_STATIC_DRAW);
        fence = glFenceSync(GL_SYNC_GPU_COMMANDS_COMPLETE, 0);
        glFlush();
        pthread_barrier_wait(&meet);
        pthread_barrier_wait(&meet);
    }
    eglMakeCurrent(the_display, EGL_NO_SURFACE, EGL_NO_SURFACE, EGL_NO_CONTEXT);
    return NULL;
}

static void sharing(void)
{
    static GLubyte back[32 * 32 * 4];
    pthread_t thread;
    int wrong = 0;

    pthread_barrier_init(&meet, NULL, 2);
    pthread_create(&thread, NULL, other, NULL);
    for (int round = 0; round < 20; round++) {
        pthread_barrier_wait(&meet);
        glWaitSync(fence, 0, GL_TIMEOUT_IGNORED);
        glDeleteSync(fence);
        glBindTexture(GL_TEXTURE_2D, shared_texture);
        glGetTexImage(GL_TEXTURE_2D, 0, GL_RGBA, GL_UNSIGNED_BYTE, back);
        wrong += back[77] != 10 * round + 5;
        glBindBuffer(GL_COPY_READ_BUFFER, shared_buffer);
        glGetBufferSubData(GL_COPY_READ_BUFFER, 100, 100, back);
        wrong += back[99] != 10 * round + 5;
        pthread_barrier_wait(&meet);
    }
    pthread_join(thread, NULL);
    printf("shared: %d wrong\n", wrong);
    show_error("shared");
}

static void compute(void)
{
    static const char text[] = "#version 430\nlayout(local_size_x = 16) in; layout(std430, binding "
                               "= 1) buffer B { uint v[]; };\n"
                               "layout(binding = 2) uniform atomic_uint n;\n"
                               "void main() { v[gl_GlobalInvocationID.x] = gl_GlobalInvocationID.x "
                               "* gl_GlobalInvocationID.x;\n"
                               "  atomicCounterIncrement(n); }\n";
    GLuint p = glCreateProgram(), s = shader(GL_COMPUTE_SHADER, text), b[3], *map, zero = 0,
           group[3] = {2, 1, 1};
    GLint v = 0;

    glAttachShader(p, s);
    glLinkProgram(p);
    glUseProgram(p);
    glGenBuffers(3, b);
    glBindBufferBase(GL_SHADER_STORAGE_BUFFER, 1, b[0]);
    glBufferData(GL_SHADER_STORAGE_BUFFER, 1024, NULL, GL_DYNAMIC_COPY);
    glBindBufferBase(GL_ATOMIC_COUNTER_BUFFER, 2, b[1]);
    glBufferData(GL_ATOMIC_COUNTER_BUFFER, 4, &zero, GL_DYNAMIC_COPY);
    glDispatchCompute(8, 1, 1);
    glBindBuffer(GL_DISPATCH_INDIRECT_BUFFER, b[2]);
    glBufferData(GL_DISPATCH_INDIRECT_BUFFER, sizeof(group), group, GL_STATIC_DRAW);
    glDispatchComputeIndirect(0);
    glMemoryBarrier(GL_ALL_BARRIER_BITS);
    map = glMapBuffer(GL_SHADER_STORAGE_BUFFER, GL_READ_ONLY);
    if (!map)
        give_up("a map");
    printf("compute %u %u\n", map[3], map[100]);
    glUnmapBuffer(GL_SHADER_STORAGE_BUFFER);
    map = glMapBufferRange(GL_ATOMIC_COUNTER_BUFFER, 0, 4, GL_MAP_READ_BIT);
    if (!map)
        give_up("a map");
    printf("counted %u\n", *map);
    glUnmapBuffer(GL_ATOMIC_COUNTER_BUFFER);
    glGetIntegeri_v(GL_SHADER_STORAGE_BUFFER_BINDING, 1, &v);
    printf("storage is mine %d\n", v == (GLint)b[0]);
    glGetProgramInterfaceiv(p, GL_BUFFER_VARIABLE, GL_ACTIVE_RESOURCES, &v);
    printf("variables %d index %u\n", v,
           glGetProgramResourceIndex(p, GL_SHADER_STORAGE_BLOCK, "B"));
    show_error("compute");
    glUseProgram(0);
}

static void named(void)
{
    GLuint b, t, a, f;
    GLubyte back[64] = {0};
    GLint v = 0;
    GLuint *map;

    glCreateBuffers(1, &b);
    glNamedBufferStorage(b, 4096, NULL,
                         GL_MAP_WRITE_BIT | GL_MAP_READ_BIT | GL_MAP_PERSISTENT_BIT |
                             GL_MAP_COHERENT_BIT);
    map = glMapNamedBufferRange(b, 0, 4096,
                                GL_MAP_WRITE_BIT | GL_MAP_READ_BIT | GL_MAP_PERSISTENT_BIT |
                                    GL_MAP_COHERENT_BIT);
    if (!map)
        give_up("a map");
    map[10] = 0x12345678;
    glCreateTextures(GL_TEXTURE_2D, 1, &t);
    glTextureStorage2D(t, 1, GL_RGBA8, 8, 8);
    glBindBuffer(GL_PIXEL_UNPACK_BUFFER, b);
    glTextureSubImage2D(t, 0, 0, 0, 4, 4, GL_RGBA, GL_UNSIGNED_BYTE, (void *)0);
    map[12] = 0x87654321;
    glTextureSubImage2D(t, 0, 4, 4, 4, 4, GL_RGBA, GL_UNSIGNED_BYTE, (void *)0);
    glBindBuffer(GL_PIXEL_UNPACK_BUFFER, 0);
    glGetTextureSubImage(t, 0, 4, 4, 0, 4, 4, 1, GL_RGBA, GL_UNSIGNED_BYTE, 64, back);
    printf("persistent %02x %02x\n", back[40], back[48]);
    glBindBuffer(GL_PIXEL_PACK_BUFFER, b);
    glGetTextureImage(t, 0, GL_RGBA, GL_UNSIGNED_BYTE, 256, (void *)1024);
    glFinish();
    printf("written by the other side %08x\n", map[(1024 + 4 * 8 * 6 + 4 * 6) / 4]);
    map[256] = 99;
    glBindBuffer(GL_PIXEL_PACK_BUFFER, 0);
    glUnmapNamedBuffer(b);
    glGetNamedBufferSubData(b, 1024, 64, back);
    printf("mixed %d %02x\n", back[0], back[8]);
    glGetTextureLevelParameteriv(t, 0, GL_TEXTURE_WIDTH, &v);
    printf("width %d\n", v);
    glCreateVertexArrays(1, &a);
    glVertexArrayVertexBuffer(a, 0, b, 0, 16);
    glVertexArrayAttribFormat(a, 3, 4, GL_FLOAT, GL_FALSE, 0);
    glVertexArrayAttribBinding(a, 3, 0);
    glEnableVertexArrayAttrib(a, 3);
    glCreateFramebuffers(1, &f);
    glNamedFramebufferTexture(f, GL_COLOR_ATTACHMENT0, t, 0);
    printf("status 0x%x\n", glCheckNamedFramebufferStatus(f, GL_FRAMEBUFFER));
    glClearNamedFramebufferfv(f, GL_COLOR, 0, (const GLfloat[]){0, 1, 0, 1});
    glGetTextureImage(t, 0, GL_RGBA, GL_UNSIGNED_BYTE, 0, NULL);
    glGetError();
    glBindFramebuffer(GL_READ_FRAMEBUFFER, f);
    glReadPixels(0, 0, 1, 1, GL_RGBA, GL_UNSIGNED_BYTE, back);
    printf("cleared %02x%02x%02x%02x\n", back[0], back[1], back[2], back[3]);
    glBindFramebuffer(GL_READ_FRAMEBUFFER, 0);
    show_error("named");
}

int main(void)
{
    EGLContext first = start(DESKTOP_COMPAT);
    second = make_context(DESKTOP_COMPAT, first);
    sharing();
    compute();
    named();
    return 0;
}
