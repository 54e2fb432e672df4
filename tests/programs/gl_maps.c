/* Mapped buffers: what the GPU writes to a persistent map is seen however the program learns that
 * it is done, and what the program wrote meanwhile stays; alignment; OpenGL ES. Prints the same
 * directly and as a guest. */
/* pkg: egl gl */
#include "tests/programs/gl_common.h"

#include <unistd.h>

enum { COUNT = 1024, BYTES = COUNT * 4 };

static const char writer[] = "#version 430\n"
                             "layout(local_size_x = 64) in;\n"
                             "layout(std430, binding = 0) buffer B { uint a[]; };\n"
                             "uniform uint add;\n"
                             "void main() { if (gl_GlobalInvocationID.x >= 16u)\n"
                             "    a[gl_GlobalInvocationID.x] = gl_GlobalInvocationID.x + add; }\n";

static GLuint compute_program(void)
{
    GLuint p = glCreateProgram();
    glAttachShader(p, shader(GL_COMPUTE_SHADER, writer));
    glLinkProgram(p);
    return p;
}

/* --- how a program learns that the GPU is done ------------------------------------------------ */

static void by_finish(void)
{
    glFinish();
}

static void by_server_wait(void)
{
    GLsync s = glFenceSync(GL_SYNC_GPU_COMMANDS_COMPLETE, 0);
    glWaitSync(s, 0, GL_TIMEOUT_IGNORED);
    glFinish();
    glDeleteSync(s);
}

static void by_client_wait(void)
{
    GLsync s = glFenceSync(GL_SYNC_GPU_COMMANDS_COMPLETE, 0);
    glClientWaitSync(s, GL_SYNC_FLUSH_COMMANDS_BIT, 10000000000u);
    glDeleteSync(s);
}

static void by_looking(void)
{
    GLsync s = glFenceSync(GL_SYNC_GPU_COMMANDS_COMPLETE, 0);
    glFlush();
    for (int i = 0; i < 10000; i++) {
        GLenum r = glClientWaitSync(s, 0, 0);
        if (r == GL_ALREADY_SIGNALED || r == GL_CONDITION_SATISFIED)
            break;
        usleep(1000);
    }
    glDeleteSync(s);
}

static void by_status(void)
{
    GLsync s = glFenceSync(GL_SYNC_GPU_COMMANDS_COMPLETE, 0);
    GLint v = 0;
    glFlush();
    for (int i = 0; i < 10000 && v != GL_SIGNALED; i++) {
        glGetSynciv(s, GL_SYNC_STATUS, 1, NULL, &v);
        usleep(1000);
    }
    glDeleteSync(s);
}

static void by_query_result(void)
{
    GLuint q, v;
    glGenQueries(1, &q);
    glQueryCounter(q, GL_TIMESTAMP);
    glGetQueryObjectuiv(q, GL_QUERY_RESULT, &v);
    glDeleteQueries(1, &q);
}

static void by_query_available(void)
{
    GLuint q;
    GLint v = 0;
    glGenQueries(1, &q);
    glQueryCounter(q, GL_TIMESTAMP);
    glFlush();
    for (int i = 0; i < 10000 && !v; i++) {
        glGetQueryObjectiv(q, GL_QUERY_RESULT_AVAILABLE, &v);
        usleep(1000);
    }
    glDeleteQueries(1, &q);
}

static void by_egl_wait(void)
{
    EGLSync s = eglCreateSync(the_display, EGL_SYNC_FENCE, NULL);
    eglClientWaitSync(the_display, s, EGL_SYNC_FLUSH_COMMANDS_BIT, EGL_FOREVER);
    eglDestroySync(the_display, s);
}

static void by_egl_status(void)
{
    EGLSync s = eglCreateSync(the_display, EGL_SYNC_FENCE, NULL);
    EGLAttrib v = 0;
    glFlush();
    for (int i = 0; i < 10000 && v != EGL_SIGNALED; i++) {
        eglGetSyncAttrib(the_display, s, EGL_SYNC_STATUS, &v);
        usleep(1000);
    }
    eglDestroySync(the_display, s);
}

static const struct {
    const char *name;
    void (*wait)(void);
} ways[] = {
    {"glFinish", by_finish},
    {"glWaitSync", by_server_wait},
    {"glClientWaitSync", by_client_wait},
    {"glClientWaitSync without a wait", by_looking},
    {"glGetSynciv", by_status},
    {"query result", by_query_result},
    {"query available", by_query_available},
    {"eglClientWaitSync", by_egl_wait},
    {"eglGetSyncAttrib", by_egl_status},
};

static void persistent(void)
{
    GLuint p = compute_program();
    GLbitfield flags =
        GL_MAP_READ_BIT | GL_MAP_WRITE_BIT | GL_MAP_PERSISTENT_BIT | GL_MAP_COHERENT_BIT;
    GLuint b, back[COUNT];

    glUseProgram(p);
    glGenBuffers(1, &b);
    glBindBufferBase(GL_SHADER_STORAGE_BUFFER, 0, b);
    glBufferStorage(GL_SHADER_STORAGE_BUFFER, BYTES, NULL, flags);
    volatile GLuint *m = glMapBufferRange(GL_SHADER_STORAGE_BUFFER, 0, BYTES, flags);
    for (unsigned w = 0; w < sizeof(ways) / sizeof(*ways); w++) {
        unsigned wrong = 0, own = 0;
        glUniform1ui(glGetUniformLocation(p, "add"), 100 * w + 5);
        glDispatchCompute(COUNT / 64, 1, 1);
        m[3] = 70 + w; /* the GPU leaves this one alone */
        glMemoryBarrier(GL_CLIENT_MAPPED_BUFFER_BARRIER_BIT);
        ways[w].wait();
        for (unsigned i = 16; i < COUNT; i++)
            wrong += m[i] != i + 100 * w + 5;
        glGetBufferSubData(GL_SHADER_STORAGE_BUFFER, 0, BYTES, back);
        own = m[3] == 70 + w && back[3] == 70 + w;
        m[4] = 90 + w; /* also after the buffer was read */
        glGetBufferSubData(GL_SHADER_STORAGE_BUFFER, 0, BYTES, back);
        own += back[4] == 90 + w;
        for (unsigned i = 16; i < COUNT; i++)
            wrong += back[i] != i + 100 * w + 5;
        printf("%s: %u wrong, own %u\n", ways[w].name, wrong, own);
    }
    glUnmapBuffer(GL_SHADER_STORAGE_BUFFER);
    show_error("persistent");
}

static void alignment(void)
{
    GLint align;
    GLuint b;
    unsigned bad = 0;

    glGetIntegerv(GL_MIN_MAP_BUFFER_ALIGNMENT, &align);
    glGenBuffers(1, &b);
    glBindBuffer(GL_ARRAY_BUFFER, b);
    glBufferData(GL_ARRAY_BUFFER, 1000, NULL, GL_STATIC_DRAW);
    for (int offset = 0; offset < 200; offset += 13) {
        char *m = glMapBufferRange(GL_ARRAY_BUFFER, offset, 50, GL_MAP_WRITE_BIT);
        memset(m, offset, 50);
        bad += ((uintptr_t)m - (uintptr_t)offset) % (uintptr_t)align != 0;
        glUnmapBuffer(GL_ARRAY_BUFFER);
    }
    unsigned char back[250];
    glGetBufferSubData(GL_ARRAY_BUFFER, 0, 245, back);
    printf("alignment %d: %u bad, contents %016llx\n", align >= 64, bad,
           (unsigned long long)hash(back, 245));
    show_error("alignment");
}

/* Drivers give the same memory for reading and writing, and programs rely on it. */
static void persistent_write_only(void)
{
    const GLbitfield flags = GL_MAP_WRITE_BIT | GL_MAP_PERSISTENT_BIT;
    GLuint b[2], data[COUNT];

    for (unsigned i = 0; i < COUNT; i++)
        data[i] = i * 3 + 1;
    glGenBuffers(2, b);
    glBindBuffer(GL_COPY_READ_BUFFER, b[0]);
    glBufferData(GL_COPY_READ_BUFFER, BYTES, data, GL_STATIC_DRAW);
    glBindBuffer(GL_COPY_WRITE_BUFFER, b[1]);
    glBufferStorage(GL_COPY_WRITE_BUFFER, BYTES, NULL, flags);
    volatile GLuint *m = glMapBufferRange(GL_COPY_WRITE_BUFFER, 0, BYTES, flags);
    glCopyBufferSubData(GL_COPY_READ_BUFFER, GL_COPY_WRITE_BUFFER, 0, 0, BYTES);
    glMemoryBarrier(GL_CLIENT_MAPPED_BUFFER_BARRIER_BIT);
    glFinish();
    unsigned wrong = 0;
    for (unsigned i = 0; i < COUNT; i++)
        wrong += m[i] != data[i];
    printf("write-only map: %u wrong\n", wrong);
    glUnmapBuffer(GL_COPY_WRITE_BUFFER);
    show_error("write-only map");
}

static void refused(void)
{
    static const struct {
        GLintptr offset;
        GLsizeiptr length;
        GLbitfield access;
    } calls[] = {
        {0, 10, 0},
        {0, 10, GL_MAP_READ_BIT | 0x80000000u},
        {0, 10, 0x40000000u},
        {0, 10, GL_MAP_READ_BIT | GL_MAP_INVALIDATE_RANGE_BIT},
        {0, 10, GL_MAP_READ_BIT | GL_MAP_FLUSH_EXPLICIT_BIT},
        {60, 10, GL_MAP_READ_BIT},
        {-1, 10, GL_MAP_READ_BIT},
        {0, -1, GL_MAP_READ_BIT},
        {0, 0, GL_MAP_READ_BIT},
    };
    GLuint b;

    glGenBuffers(1, &b);
    glBindBuffer(GL_ARRAY_BUFFER, b);
    glBufferData(GL_ARRAY_BUFFER, 64, NULL, GL_STATIC_DRAW);
    for (unsigned i = 0; i < sizeof(calls) / sizeof(*calls); i++) {
        printf("refused map %u: %d\n", i,
               glMapBufferRange(GL_ARRAY_BUFFER, calls[i].offset, calls[i].length,
                                calls[i].access) != NULL);
        show_error("refused map");
    }
}

/* In GL ES no call reads a buffer but by a map of it. */
static void embedded(void)
{
    const GLbitfield kinds[] = {GL_MAP_WRITE_BIT, GL_MAP_WRITE_BIT | GL_MAP_PERSISTENT_BIT,
                                GL_MAP_READ_BIT | GL_MAP_WRITE_BIT | GL_MAP_PERSISTENT_BIT,
                                GL_MAP_READ_BIT | GL_MAP_PERSISTENT_BIT | GL_MAP_COHERENT_BIT,
                                GL_MAP_WRITE_BIT | GL_MAP_FLUSH_EXPLICIT_BIT};
    PFNGLBUFFERSTORAGEPROC storage =
        (PFNGLBUFFERSTORAGEPROC)eglGetProcAddress("glBufferStorageEXT");
    unsigned char data[256], *m;

    for (unsigned i = 0; i < sizeof(data); i++)
        data[i] = (unsigned char)(i * 7);
    for (unsigned k = 0; k < sizeof(kinds) / sizeof(*kinds); k++) {
        GLuint b[2];
        glGenBuffers(2, b);
        glBindBuffer(GL_COPY_READ_BUFFER, b[0]);
        storage(GL_COPY_READ_BUFFER, 256, data, kinds[k] & ~(GLbitfield)GL_MAP_FLUSH_EXPLICIT_BIT);
        m = glMapBufferRange(GL_COPY_READ_BUFFER, 0, 256, kinds[k]);
        printf("es map 0x%x: %d", kinds[k], m != NULL);
        if (m && (kinds[k] & GL_MAP_READ_BIT))
            printf(", contents %d", memcmp(m, data, 256) == 0);
        if (m && (kinds[k] & GL_MAP_WRITE_BIT))
            memset(m + 100, 9, 50);
        if (m && (kinds[k] & GL_MAP_FLUSH_EXPLICIT_BIT))
            glFlushMappedBufferRange(GL_COPY_READ_BUFFER, 100, 50);
        if (m)
            glUnmapBuffer(GL_COPY_READ_BUFFER);
        glBindBuffer(GL_COPY_WRITE_BUFFER, b[1]);
        glBufferData(GL_COPY_WRITE_BUFFER, 256, NULL, GL_STATIC_READ);
        glCopyBufferSubData(GL_COPY_READ_BUFFER, GL_COPY_WRITE_BUFFER, 0, 0, 256);
        m = glMapBufferRange(GL_COPY_WRITE_BUFFER, 0, 256, GL_MAP_READ_BIT);
        printf(", copied %016llx\n", (unsigned long long)hash(m, 256));
        glUnmapBuffer(GL_COPY_WRITE_BUFFER);
        show_error("es map");
    }
}

int main(void)
{
    const EGLint newest[] = {EGL_CONTEXT_MAJOR_VERSION, 4, EGL_CONTEXT_MINOR_VERSION, 5, EGL_NONE};

    start(DESKTOP_CORE);
    EGLContext c = eglCreateContext(the_display, the_config, EGL_NO_CONTEXT, newest);
    if (!eglMakeCurrent(the_display, the_surface, the_surface, c))
        give_up("eglMakeCurrent");
    persistent();
    persistent_write_only();
    refused();
    alignment();
    start(ES3);
    embedded();
    return 0;
}
