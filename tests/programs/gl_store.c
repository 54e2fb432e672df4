/* What glPixelStorei holds counts where it is used: rows that are skipped in images of one
 * dimension, lengths that no memory has where there is one row, values between glBegin and glEnd.
 */
/* pkg: gl egl */
#include "tests/programs/gl_common.h"

static unsigned char image[8 * 16], back[256];

static void texture(GLenum target)
{
    GLuint t;

    glGenTextures(1, &t);
    glBindTexture(target, t);
}

static int first_written(void)
{
    for (unsigned i = 0; i < sizeof(back); i++)
        if (back[i] != 99)
            return (int)i;
    return -1;
}

static void read_back(GLenum target, const char *what)
{
    memset(back, 99, sizeof(back));
    glGetTexImage(target, 0, GL_RGBA, GL_UNSIGNED_BYTE, back);
    int at = first_written();
    printf("%s: %d at %d, error 0x%04x\n", what, at < 0 ? -1 : back[at], at, glGetError());
}

static void skipped_rows(void)
{
    texture(GL_TEXTURE_1D);
    glPixelStorei(GL_UNPACK_SKIP_ROWS, 3);
    glPixelStorei(GL_UNPACK_SKIP_IMAGES, 5);
    glTexImage1D(GL_TEXTURE_1D, 0, GL_RGBA8, 4, 0, GL_RGBA, GL_UNSIGNED_BYTE, image);
    glPixelStorei(GL_UNPACK_SKIP_ROWS, 0);
    glPixelStorei(GL_UNPACK_SKIP_IMAGES, 0);
    read_back(GL_TEXTURE_1D, "unpacked");
    glPixelStorei(GL_PACK_SKIP_ROWS, 2);
    read_back(GL_TEXTURE_1D, "packed");
    glPixelStorei(GL_PACK_SKIP_ROWS, 0);
}

static void long_rows(void)
{
    GLint length = 0;

    texture(GL_TEXTURE_2D);
    glPixelStorei(GL_UNPACK_ROW_LENGTH, 1 << 25);
    glGetIntegerv(GL_UNPACK_ROW_LENGTH, &length);
    glTexImage2D(GL_TEXTURE_2D, 0, GL_RGBA8, 4, 1, 0, GL_RGBA, GL_UNSIGNED_BYTE, image);
    glPixelStorei(GL_UNPACK_ROW_LENGTH, 0);
    printf("length %d\n", length);
    glPixelStorei(GL_PACK_ROW_LENGTH, 1 << 25);
    read_back(GL_TEXTURE_2D, "one long row");
    glPixelStorei(GL_PACK_ROW_LENGTH, 0);
}

static void refused(void)
{
    GLint alignment = 0, length = 0;

    glBegin(GL_POINTS);
    glPixelStorei(GL_UNPACK_ALIGNMENT, 1);
    glEnd();
    glPixelStorei(GL_UNPACK_ROW_LENGTH, -1);
    glPixelStorei(GL_UNPACK_ALIGNMENT, 3);
    glGetIntegerv(GL_UNPACK_ALIGNMENT, &alignment);
    glGetIntegerv(GL_UNPACK_ROW_LENGTH, &length);
    glFinish(); /* a guest hears of errors then */
    printf("refused: %d %d, error 0x%04x\n", alignment, length, glGetError());
    glPixelStorei(0x1234, 1);
    glFinish();
    printf("unknown: error 0x%04x\n", glGetError());
}

int main(void)
{
    start(DESKTOP_COMPAT);
    for (unsigned i = 0; i < sizeof(image); i++)
        image[i] = (unsigned char)(i / 16);
    skipped_rows();
    long_rows();
    refused();
    return 0;
}
