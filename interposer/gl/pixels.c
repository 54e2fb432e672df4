/* Pixels: what the application's pointer refers to, and how much memory GL reads or writes
 * there. */
#include "interposer/gl/state.h"

#include "gl/send.h"
#include "gl/stubs.h"

#include <math.h>

static bool api_es(const struct xg_gl_context *c)
{
    return c->api == XG_GL_ES1 || c->api == XG_GL_ES2;
}

/* Whether the context's API has this setting; the host refuses others. */
static bool has_pixel_store(const struct xg_gl_context *c, GLenum pname)
{
    if (!api_es(c) || pname == GL_UNPACK_ALIGNMENT || pname == GL_PACK_ALIGNMENT)
        return true;
    if (c->api == XG_GL_ES1)
        return false;
    switch (pname) {
    case GL_UNPACK_ROW_LENGTH:
    case GL_UNPACK_IMAGE_HEIGHT:
    case GL_UNPACK_SKIP_ROWS:
    case GL_UNPACK_SKIP_PIXELS:
    case GL_UNPACK_SKIP_IMAGES:
    case GL_PACK_ROW_LENGTH:
    case GL_PACK_SKIP_ROWS:
    case GL_PACK_SKIP_PIXELS: return true;
    default: return false;
    }
}

void xg_stub_glPixelStorei(GLenum pname, GLint param)
{
    struct xg_gl_context *c = xg_gl_current;

    if (!c)
        return;
    if (!xg_gl_begun(c) && has_pixel_store(c, pname))
        xg_gl_pixel_store_set(&c->state->pack, &c->state->unpack, pname, param);
    xg_gl_send_glPixelStorei(c, pname, param);
}

void xg_stub_glPixelStoref(GLenum pname, GLfloat param)
{
    if (xg_gl_current && api_es(xg_gl_current))
        xg_gl_error(xg_gl_current, GL_INVALID_OPERATION); /* only desktop GL has it */
    else
        xg_stub_glPixelStorei(pname, (GLint)lroundf(param));
}

/* --- reading the application's memory --------------------------------------------------------- */

struct xg_gl_source xg_gl_unpack(struct xg_gl_context *c, const void *pixels, int dims,
                                 GLsizei width, GLsizei height, GLsizei depth, GLenum format,
                                 GLenum type)
{
    struct xg_gl_source s = {0};
    struct xg_gl_layout l;

    if (c->state->unpack_buffer) {
        xg_gl_persistent_flush(c);
        s.kind = XG_GL_PIXELS_BUFFER;
        s.skip = (uint64_t)(uintptr_t)pixels;
        return s;
    }
    if (!pixels)
        return s;
    /* pixels without a layout are refused by the host, so no memory is read */
    s.kind = XG_GL_PIXELS_MEMORY;
    s.data = pixels;
    if (xg_gl_layout(&c->state->unpack, dims, width, height, depth, format, type, &l)) {
        s.skip = l.skip;
        s.size = l.size;
        s.data = (const uint8_t *)pixels + l.skip;
    }
    return s;
}

struct xg_gl_source xg_gl_unpack_bytes(struct xg_gl_context *c, const void *data, int64_t bytes)
{
    struct xg_gl_source s = {0};

    if (c->state->unpack_buffer) {
        xg_gl_persistent_flush(c);
        s.kind = XG_GL_PIXELS_BUFFER;
        s.skip = (uint64_t)(uintptr_t)data;
        return s;
    }
    if (!data)
        return s;
    s.kind = XG_GL_PIXELS_MEMORY;
    s.data = data;
    s.size = bytes > 0 ? (uint64_t)bytes : 0;
    return s;
}

/* --- writing it ------------------------------------------------------------------------------- */

static bool sink_memory(struct xg_gl_context *c, struct xg_gl_sink *s)
{
    struct xg_gl_state *st = c->state;
    uint64_t at = xg_align_up(s->size, sizeof(*s->done)), need = at + sizeof(*s->done);

    if (st->sink && st->sink_size < need) {
        xg_arena_free(c->ring->channel, st->sink);
        st->sink = NULL;
    }
    if (!st->sink) {
        st->sink_size = xg_align_up(need + need / 4, XG_PAGE_SIZE);
        st->sink = xg_arena_alloc(c->ring->channel, st->sink_size, XG_BLOB_ALIGN, &st->sink_where);
    }
    if (!st->sink) {
        xg_gl_error(c, GL_OUT_OF_MEMORY);
        return false;
    }
    s->memory = st->sink;
    s->where = st->sink_where;
    s->done = (uint64_t *)((uint8_t *)st->sink + at);
    memset((uint8_t *)st->sink + at, 0, sizeof(*s->done));
    return true;
}

static bool pack_to_buffer(struct xg_gl_context *c, struct xg_gl_sink *s, const void *pixels)
{
    memset(s, 0, sizeof(*s));
    if (!c->state->pack_buffer)
        return false;
    s->kind = XG_GL_PIXELS_BUFFER;
    s->skip = (uint64_t)(uintptr_t)pixels;
    xg_gl_buffer_dirty(c, c->state->pack_buffer);
    return true;
}

bool xg_gl_pack(struct xg_gl_context *c, struct xg_gl_sink *s, void *pixels, int dims,
                GLsizei width, GLsizei height, GLsizei depth, GLenum format, GLenum type)
{
    xg_gl_persistent_flush(c);
    if (pack_to_buffer(c, s, pixels))
        return true;
    if (!pixels)
        return false;
    if (!xg_gl_layout(&c->state->pack, dims, width, height, depth, format, type, &s->layout) ||
        !s->layout.size)
        return true; /* the host raises the error */
    s->kind = XG_GL_PIXELS_MEMORY;
    s->skip = s->layout.skip;
    s->size = s->layout.size;
    s->user = (uint8_t *)pixels + s->skip;
    return sink_memory(c, s);
}

bool xg_gl_pack_bytes(struct xg_gl_context *c, struct xg_gl_sink *s, void *data, int64_t bytes)
{
    if (pack_to_buffer(c, s, data))
        return true;
    if (!data)
        return false;
    if (bytes <= 0)
        return true;
    s->kind = XG_GL_PIXELS_MEMORY;
    s->size = (uint64_t)bytes;
    s->user = data;
    s->layout.rows = s->layout.images = 1;
    s->layout.row_bytes = s->size;
    return sink_memory(c, s);
}

void xg_gl_pack_finish(struct xg_gl_context *c, struct xg_gl_sink *s)
{
    const struct xg_gl_layout *l = &s->layout;
    const uint8_t *from = s->memory;
    uint8_t *to = s->user;

    if (s->kind != XG_GL_PIXELS_MEMORY || xg_ring_wait_done(c->ring, xg_ring_position(c->ring)) ||
        !*s->done) /* after an error the application's memory stays as it was */
        return;
    if (l->rows == 1 || l->row_bytes == l->row_stride) {
        if (l->images == 1 || l->image_stride == l->rows * l->row_stride) {
            memcpy(to, from, s->size);
            return;
        }
    }
    /* bytes between rows belong to the application */
    for (uint32_t z = 0; z < l->images; z++)
        for (uint32_t y = 0; y < l->rows; y++) {
            uint64_t at = z * l->image_stride + y * l->row_stride;
            memcpy(to + at, from + at, l->row_bytes);
        }
}

GLint xg_gl_level(struct xg_gl_context *c, GLenum target, GLint level, GLenum what)
{
    GLint v[64] = {0};
    xg_gl_send_glGetTexLevelParameteriv(c, target, level, what, v);
    return v[0];
}

GLint xg_gl_texture_level(struct xg_gl_context *c, GLuint texture, GLint level, GLenum what)
{
    GLint v[64] = {0};
    xg_gl_send_glGetTextureLevelParameteriv(c, texture, level, what, v);
    return v[0];
}

GLint xg_gl_pixel_map(struct xg_gl_context *c, GLenum map)
{
    GLint v[1024] = {0};
    if (map < GL_PIXEL_MAP_I_TO_I || map > GL_PIXEL_MAP_A_TO_A) {
        xg_gl_error(c, xg_gl_begun(c) ? GL_INVALID_OPERATION : GL_INVALID_ENUM);
        return 0;
    }
    xg_gl_send_glGetIntegerv(c, map - GL_PIXEL_MAP_I_TO_I + GL_PIXEL_MAP_I_TO_I_SIZE, v);
    return v[0];
}

/* --- the bounded getters of ARB_robustness: refuse a buffer that is too small, else work like the
 * plain ones. With a pack buffer the size of memory means nothing. */

static bool size_fits(struct xg_gl_context *c, int64_t need, GLsizei size)
{
    if (c && need <= size)
        return true;
    if (c)
        xg_gl_error(c, GL_INVALID_OPERATION);
    return false;
}

static int64_t image_bytes(struct xg_gl_context *c, int dims, GLsizei w, GLsizei h, GLsizei d,
                           GLenum format, GLenum type)
{
    struct xg_gl_layout l;
    return !c->state->pack_buffer && xg_gl_layout(&c->state->pack, dims, w, h, d, format, type, &l)
               ? (int64_t)(l.skip + l.size)
               : 0;
}

void xg_stub_glReadnPixels(GLint x, GLint y, GLsizei width, GLsizei height, GLenum format,
                           GLenum type, GLsizei bufSize, void *data)
{
    struct xg_gl_context *c = xg_gl_current;
    if (c && size_fits(c, image_bytes(c, 2, width, height, 1, format, type), bufSize))
        xg_stub_glReadPixels(x, y, width, height, format, type, data);
}

void xg_stub_glGetnTexImage(GLenum target, GLint level, GLenum format, GLenum type, GLsizei bufSize,
                            void *pixels)
{
    struct xg_gl_context *c = xg_gl_current;
    if (c && size_fits(c,
                       image_bytes(c, xg_gl_level_dims(target),
                                   xg_gl_level(c, target, level, GL_TEXTURE_WIDTH),
                                   xg_gl_level(c, target, level, GL_TEXTURE_HEIGHT),
                                   xg_gl_level(c, target, level, GL_TEXTURE_DEPTH), format, type),
                       bufSize))
        xg_stub_glGetTexImage(target, level, format, type, pixels);
}

void xg_stub_glGetnCompressedTexImage(GLenum target, GLint lod, GLsizei bufSize, void *pixels)
{
    struct xg_gl_context *c = xg_gl_current;
    if (c && (c->state->pack_buffer ||
              size_fits(c, xg_gl_level(c, target, lod, GL_TEXTURE_COMPRESSED_IMAGE_SIZE), bufSize)))
        xg_stub_glGetCompressedTexImage(target, lod, pixels);
}

void xg_stub_glGetnPolygonStipple(GLsizei bufSize, GLubyte *pattern)
{
    struct xg_gl_context *c = xg_gl_current;
    if (c && size_fits(c, image_bytes(c, 2, 32, 32, 1, GL_COLOR_INDEX, GL_BITMAP), bufSize))
        xg_stub_glGetPolygonStipple(pattern);
}

#define PIXEL_MAP(Suffix, Type)                                                                    \
    void xg_stub_glGetnPixelMap##Suffix(GLenum map, GLsizei bufSize, Type *values)                 \
    {                                                                                              \
        struct xg_gl_context *c = xg_gl_current;                                                   \
        if (c && (c->state->pack_buffer ||                                                         \
                  size_fits(c, (int64_t)sizeof(Type) * xg_gl_pixel_map(c, map), bufSize)))         \
            xg_stub_glGetPixelMap##Suffix(map, values);                                            \
    }
PIXEL_MAP(fv, GLfloat)
PIXEL_MAP(uiv, GLuint)
PIXEL_MAP(usv, GLushort)

/* The size of their result is known only with the answer. */
#define BOUNDED(Name, Type, most, params, args)                                                    \
    void xg_stub_glGetn##Name params                                                               \
    {                                                                                              \
        struct xg_gl_context *c = xg_gl_current;                                                   \
        Type *all = c ? calloc(most, sizeof(Type)) : NULL;                                         \
        if (!all)                                                                                  \
            return;                                                                                \
        memset(all, 0xa5, (most) * sizeof(Type));                                                  \
        xg_gl_send_glGet##Name args;                                                               \
        uint32_t n =                                                                               \
            (uint32_t)xg_align_up(xg_wire_probe(all, (most) * sizeof(Type), 0xa5), sizeof(Type));  \
        if (size_fits(c, n, bufSize))                                                              \
            memcpy(v, all, n);                                                                     \
        free(all);                                                                                 \
    }
BOUNDED(Mapdv, GLdouble, 8192, (GLenum target, GLenum query, GLsizei bufSize, GLdouble *v),
        (c, target, query, all))
BOUNDED(Mapfv, GLfloat, 8192, (GLenum target, GLenum query, GLsizei bufSize, GLfloat *v),
        (c, target, query, all))
BOUNDED(Mapiv, GLint, 8192, (GLenum target, GLenum query, GLsizei bufSize, GLint *v),
        (c, target, query, all))
BOUNDED(Uniformdv, GLdouble, 64, (GLuint program, GLint location, GLsizei bufSize, GLdouble *v),
        (c, program, location, all))
BOUNDED(Uniformfv, GLfloat, 64, (GLuint program, GLint location, GLsizei bufSize, GLfloat *v),
        (c, program, location, all))
BOUNDED(Uniformi64vARB, GLint64, 64, (GLuint program, GLint location, GLsizei bufSize, GLint64 *v),
        (c, program, location, all))
BOUNDED(Uniformui64vARB, GLuint64, 64,
        (GLuint program, GLint location, GLsizei bufSize, GLuint64 *v), (c, program, location, all))
BOUNDED(Uniformiv, GLint, 64, (GLuint program, GLint location, GLsizei bufSize, GLint *v),
        (c, program, location, all))
BOUNDED(Uniformuiv, GLuint, 64, (GLuint program, GLint location, GLsizei bufSize, GLuint *v),
        (c, program, location, all))
