/* Legal calls over which drivers stumble: sizes far beyond the limits, and draws in display lists
 * that reach beyond their buffers. The guest has GL's error, and its context goes on. Not for a
 * driver directly: Mesa 22.3 ends in some of them. */
/* pkg: gl egl */
#include "tests/programs/gl_common.h"

static int bad;

static void expect(const char *what, GLenum error)
{
    GLenum got;

    glFinish();
    got = glGetError();
    while (glGetError())
        ;
    if (got != error) {
        printf("%s: 0x%04x instead of 0x%04x\n", what, got, error);
        bad = 1;
    }
}

static const GLsizei huge[] = {0x601f4bd5, 0x10000000, 0x7fffffff, 1 << 20};

static void textures(void)
{
    GLuint t[4], b;
    GLint width;

    glGenTextures(4, t);
    glGenRenderbuffers(1, &b);
    glBindRenderbuffer(GL_RENDERBUFFER, b);
    for (unsigned i = 0; i < sizeof(huge) / sizeof(huge[0]); i++) {
        GLsizei w = huge[i];

        glBindTexture(GL_TEXTURE_2D, t[0]);
        glTexImage2D(GL_TEXTURE_2D, 0, GL_RGBA32F, w, 64, 0, GL_RGBA, GL_FLOAT, NULL);
        expect("glTexImage2D", GL_INVALID_VALUE);
        glTexImage2D(GL_TEXTURE_2D, 0, GL_RGBA32F, 64, w, 0, GL_RGBA, GL_FLOAT, NULL);
        expect("glTexImage2D, height", GL_INVALID_VALUE);
        glBindTexture(GL_TEXTURE_1D, t[1]);
        glTexImage1D(GL_TEXTURE_1D, 0, GL_RGBA32F, w, 0, GL_RGBA, GL_FLOAT, NULL);
        expect("glTexImage1D", GL_INVALID_VALUE);
        glBindTexture(GL_TEXTURE_3D, t[2]);
        glTexImage3D(GL_TEXTURE_3D, 0, GL_RGBA8, 4, 4, w, 0, GL_RGBA, GL_FLOAT, NULL);
        expect("glTexImage3D", GL_INVALID_VALUE);
        glTexStorage2D(GL_TEXTURE_2D, 1, GL_RGBA32F, w, w);
        expect("glTexStorage2D", GL_INVALID_VALUE);
        glCopyTexImage2D(GL_TEXTURE_2D, 0, GL_RGBA8, 0, 0, w, 4, 0);
        expect("glCopyTexImage2D", GL_INVALID_VALUE);
        glTextureStorage2D(t[0], 1, GL_RGBA32F, w, w);
        expect("glTextureStorage2D", GL_INVALID_VALUE);
        glRenderbufferStorage(GL_RENDERBUFFER, GL_RGBA8, w, 4);
        expect("glRenderbufferStorage", GL_INVALID_VALUE);
        /* A proxy that is too large is no error: it has no width. */
        glTexImage2D(GL_PROXY_TEXTURE_2D, 0, GL_RGBA32F, w, 64, 0, GL_RGBA, GL_FLOAT, NULL);
        width = -1;
        glGetTexLevelParameteriv(GL_PROXY_TEXTURE_2D, 0, GL_TEXTURE_WIDTH, &width);
        expect("proxy", GL_NO_ERROR);
        if (width) {
            printf("a proxy of %d has width %d\n", w, width);
            bad = 1;
        }
        glTexImage3D(GL_PROXY_TEXTURE_3D, 0, GL_RGBA32F, w, 64, w, 0, GL_RGBA, GL_FLOAT, NULL);
        expect("proxy of three dimensions", GL_NO_ERROR);
    }
    glDeleteTextures(4, t);
    glDeleteRenderbuffers(1, &b);
}

static void in_list(const char *what, GLsizei count, GLenum type, uint64_t offset, GLint base,
                    GLenum error)
{
    GLuint list = glGenLists(1);

    glNewList(list, GL_COMPILE);
    if (type)
        glDrawElementsBaseVertex(GL_TRIANGLES, count, type, (const void *)(uintptr_t)offset, base);
    else
        glDrawArrays(GL_TRIANGLES, (GLint)offset, count);
    glEndList();
    expect(what, error);
    glCallList(list);
    glDeleteLists(list, 1);
    expect("the list itself", GL_NO_ERROR);
}

static void lists(void)
{
    static const GLfloat vertices[12] = {0, 0, 0, 1, 1, 0, 0, 1, 0, 1, 0, 1};
    static const GLuint indices[6] = {0, 1, 2, 2, 1, 1000000};
    GLuint b[2];

    glGenBuffers(2, b);
    glBindBuffer(GL_ARRAY_BUFFER, b[0]);
    glBufferData(GL_ARRAY_BUFFER, sizeof(vertices), vertices, GL_STATIC_DRAW);
    glVertexPointer(4, GL_FLOAT, 0, NULL);
    glEnableClientState(GL_VERTEX_ARRAY);
    glBindBuffer(GL_ELEMENT_ARRAY_BUFFER, b[1]);
    glBufferData(GL_ELEMENT_ARRAY_BUFFER, sizeof(indices), indices, GL_STATIC_DRAW);
    in_list("all there", 3, GL_UNSIGNED_INT, 0, 0, GL_NO_ERROR);
    in_list("offset beyond", 3, GL_UNSIGNED_INT, 0x10000000, 0, GL_INVALID_OPERATION);
    in_list("offset almost beyond", 3, GL_UNSIGNED_INT, 16, 0, GL_INVALID_OPERATION);
    in_list("count beyond", 1 << 28, GL_UNSIGNED_INT, 0, 0, GL_INVALID_OPERATION);
    in_list("index beyond", 3, GL_UNSIGNED_INT, 12, 0, GL_INVALID_OPERATION);
    in_list("base beyond", 3, GL_UNSIGNED_INT, 0, 1 << 24, GL_INVALID_OPERATION);
    in_list("base before", 3, GL_UNSIGNED_INT, 0, -1, GL_INVALID_OPERATION);
    in_list("vertices", 3, 0, 0, 0, GL_NO_ERROR);
    in_list("vertices beyond", 1 << 26, 0, 0, 0, GL_INVALID_OPERATION);
    in_list("first beyond", 3, 0, 1 << 26, 0, GL_INVALID_OPERATION);
    glEnableVertexAttribArray(5);
    glVertexAttribPointer(5, 4, GL_FLOAT, GL_FALSE, 1 << 11, (const void *)16);
    in_list("an attribute beyond", 3, 0, 0, 0, GL_INVALID_OPERATION);
    glDisableVertexAttribArray(5);
    in_list("vertices again", 3, 0, 0, 0, GL_NO_ERROR);
    glDeleteBuffers(2, b);
}

int main(void)
{
    start(DESKTOP_COMPAT);
    textures();
    lists();
    puts(bad ? "not all" : "all refused");
    return bad;
}
