/* glXUseXFont: each glyph is drawn by the X server into a bitmap, and becomes a display list with
 * glBitmap. */
#include "interposer/glx/calls.h"

#include "interposer/glx/codes.h"
#include <stdlib.h>

/* Not libGL's exported functions: this library is not linked with it. */
#define GL(type, name) ((type)xg_wsi_get_proc("gl" #name))
typedef void (*bitmap_fn)(GLsizei, GLsizei, GLfloat, GLfloat, GLfloat, GLfloat, const GLubyte *);

static const XCharStruct *glyph_metrics(const XFontStruct *fs, unsigned c)
{
    unsigned per_row = fs->max_char_or_byte2 - fs->min_char_or_byte2 + 1;
    unsigned row = c >> 8, column = c & 0xff;

    if (fs->min_byte1 == 0 && fs->max_byte1 == 0) {
        row = 0;
        column = c;
    }
    if (row < fs->min_byte1 || row > fs->max_byte1 || column < fs->min_char_or_byte2 ||
        column > fs->max_char_or_byte2)
        return NULL;
    if (!fs->per_char)
        return &fs->min_bounds;
    return &fs->per_char[(row - fs->min_byte1) * per_row + column - fs->min_char_or_byte2];
}

/* The glyph in glBitmap's format: bottom row first, most significant bit left, rows of whole
 * bytes. */
static GLubyte *glyph_bits(Display *dpy, Window root, Font font, GC *gc, unsigned c,
                           const XCharStruct *m, int width, int height)
{
    int stride = (width + 7) / 8;
    GLubyte *bits = calloc((size_t)stride, (size_t)height);
    Pixmap pixmap = XCreatePixmap(dpy, root, (unsigned)width, (unsigned)height, 1);
    XChar2b text = {(unsigned char)(c >> 8), (unsigned char)c};

    if (!*gc) {
        XGCValues v = {.foreground = 1, .background = 0, .font = font};
        *gc = XCreateGC(dpy, pixmap, GCForeground | GCBackground | GCFont, &v);
    }
    XSetForeground(dpy, *gc, 0);
    XFillRectangle(dpy, pixmap, *gc, 0, 0, (unsigned)width, (unsigned)height);
    XSetForeground(dpy, *gc, 1);
    XDrawString16(dpy, pixmap, *gc, -m->lbearing, m->ascent, &text, 1);
    XImage *image = XGetImage(dpy, pixmap, 0, 0, (unsigned)width, (unsigned)height, 1, XYPixmap);
    for (int y = 0; bits && image && y < height; y++)
        for (int x = 0; x < width; x++)
            if (XGetPixel(image, x, y))
                bits[(height - 1 - y) * stride + x / 8] |= (GLubyte)(0x80 >> (x & 7));
    if (image)
        XDestroyImage(image);
    XFreePixmap(dpy, pixmap);
    return bits;
}

static void glyph_draw(Display *dpy, Window root, Font font, GC *gc, const XFontStruct *fs,
                       unsigned c)
{
    const XCharStruct *m = glyph_metrics(fs, c);
    bitmap_fn bitmap = GL(bitmap_fn, Bitmap);
    int width = m ? m->rbearing - m->lbearing : 0, height = m ? m->ascent + m->descent : 0;

    if (!m)
        return;
    if (width <= 0 || height <= 0) {
        bitmap(0, 0, 0, 0, m->width, 0, NULL);
        return;
    }
    GLubyte *bits = glyph_bits(dpy, root, font, gc, c, m, width, height);
    if (bits)
        bitmap(width, height, (GLfloat)-m->lbearing, (GLfloat)m->descent, m->width, 0, bits);
    free(bits);
}

static const GLenum unpack_names[] = {GL_UNPACK_SWAP_BYTES,  GL_UNPACK_LSB_FIRST,
                                      GL_UNPACK_ROW_LENGTH,  GL_UNPACK_SKIP_ROWS,
                                      GL_UNPACK_SKIP_PIXELS, GL_UNPACK_ALIGNMENT};

void xg_glx_UseXFont(Font font, int first, int count, int list)
{
    struct xg_glx_context *x = xg_glx_context_current();
    GLint saved[XG_ARRAY_LEN(unpack_names)];
    GC gc = NULL;

    if (!x)
        return;
    Display *dpy = x->dpy;
    XFontStruct *fs = XQueryFont(dpy, font);
    if (!fs) {
        xg_glx_error(dpy, BadFont, font, X_GLXUseXFont, true);
        return;
    }
    for (unsigned i = 0; i < XG_ARRAY_LEN(unpack_names); i++) {
        GL(void (*)(GLenum, GLint *), GetIntegerv)(unpack_names[i], &saved[i]);
        GL(void (*)(GLenum, GLint), PixelStorei)
        (unpack_names[i], unpack_names[i] == GL_UNPACK_ALIGNMENT);
    }
    for (int i = 0; i < count; i++) {
        GL(void (*)(GLuint, GLenum), NewList)((GLuint)(list + i), GL_COMPILE);
        glyph_draw(dpy, RootWindow(dpy, x->screen), font, &gc, fs, (unsigned)(first + i));
        GL(void (*)(void), EndList)();
    }
    for (unsigned i = 0; i < XG_ARRAY_LEN(unpack_names); i++)
        GL(void (*)(GLenum, GLint), PixelStorei)(unpack_names[i], saved[i]);
    if (gc)
        XFreeGC(dpy, gc);
    XFreeFontInfo(NULL, fs, 1);
}
