/* Pixels: the guest's sizes are computed again here, with the pixel-store state of this side. */
#include "backend/gl/decode.h"

static bool pixel_store_is_flag(GLenum pname)
{
    return pname == GL_UNPACK_SWAP_BYTES || pname == GL_UNPACK_LSB_FIRST ||
           pname == GL_PACK_SWAP_BYTES || pname == GL_PACK_LSB_FIRST;
}

void xg_glr_glPixelStorei(struct xg_worker_ring *r, GLenum pname, GLint param)
{
    struct xg_glr_context *c = xg_glr_context_of(r);
    struct xg_gl_pixel_store pack = c->pack, unpack = c->unpack;
    GLint is = -1;

    if (xg_glr_begun(c)) {
        xg_glr_error(c, GL_INVALID_OPERATION);
        return;
    }
    if (!xg_gl_pixel_store_set(&pack, &unpack, pname, param)) {
        xg_glr_error(c, xg_gl_pixel_store_set(&pack, &unpack, pname, 1) ? GL_INVALID_VALUE
                                                                        : GL_INVALID_ENUM);
        return;
    }
    xg_glr_procs.glPixelStorei(pname, param);
    /* sizes are computed from these values, so a value that the host refused must not count as
     * set */
    xg_glr_procs.glGetIntegerv(pname, &is);
    if (is == param || (is >= 0 && pixel_store_is_flag(pname))) {
        c->pack = pack;
        c->unpack = unpack;
    }
}

/* An offset needs a buffer: without one the host would take it for an address. */
static bool offset_ok(struct xg_glr_context *c, GLenum binding)
{
    if (!c->es_old && xg_glr_bound(binding))
        return true;
    xg_glr_error(c, GL_INVALID_OPERATION);
    return false;
}

static bool memory_ok(struct xg_glr_context *c, GLenum binding)
{
    if (c->es_old || !xg_glr_bound(binding))
        return true;
    xg_glr_error(c, GL_INVALID_OPERATION);
    return false;
}

/* The host reads from the pointer plus what is skipped; the blob has no skipped part, so the
 * pointer lies before it. */
static const void *blob_behind(const uint8_t *blob, uint64_t skip)
{
    return (const void *)((uintptr_t)blob - (uintptr_t)skip);
}

bool xg_glr_unpack(struct xg_worker_ring *r, struct xg_reader *rd, uint32_t kind, uint64_t skip,
                   const void **pixels, int dims, GLsizei width, GLsizei height, GLsizei depth,
                   GLenum format, GLenum type)
{
    struct xg_glr_context *c = xg_glr_context_of(r);
    struct xg_gl_layout l;
    uint32_t size;
    const uint8_t *blob = xg_read_blob(rd, 0, true, &size);
    bool known;

    *pixels = NULL;
    if (!xg_reader_ok(rd))
        return false;
    if (kind == XG_GL_PIXELS_NONE)
        return memory_ok(c, GL_PIXEL_UNPACK_BUFFER_BINDING);
    if (kind == XG_GL_PIXELS_BUFFER) {
        *pixels = (const void *)(uintptr_t)skip;
        return offset_ok(c, GL_PIXEL_UNPACK_BUFFER_BINDING);
    }
    if (!memory_ok(c, GL_PIXEL_UNPACK_BUFFER_BINDING))
        return false;
    known = xg_gl_layout(&c->unpack, dims, width, height, depth, format, type, &l);
    if (!known) {
        xg_glr_error(c, width < 0 || height < 0 || depth < 0 ? GL_INVALID_VALUE : GL_INVALID_ENUM);
        return false;
    }
    if (!blob || size < l.size || skip != l.skip) {
        xg_reader_fail(rd, "fewer pixels than the command reads");
        return false;
    }
    *pixels = l.size ? blob_behind(blob, l.skip) : xg_zeroes;
    return true;
}

bool xg_glr_unpack_bytes(struct xg_worker_ring *r, struct xg_reader *rd, uint32_t kind,
                         uint64_t skip, const void **data, int64_t bytes)
{
    struct xg_glr_context *c = xg_glr_context_of(r);
    uint32_t size;
    const void *blob = xg_read_blob(rd, 0, true, &size);

    *data = NULL;
    if (!xg_reader_ok(rd))
        return false;
    if (kind == XG_GL_PIXELS_NONE)
        return memory_ok(c, GL_PIXEL_UNPACK_BUFFER_BINDING);
    if (kind == XG_GL_PIXELS_BUFFER) {
        *data = (const void *)(uintptr_t)skip;
        return offset_ok(c, GL_PIXEL_UNPACK_BUFFER_BINDING);
    }
    if (!memory_ok(c, GL_PIXEL_UNPACK_BUFFER_BINDING))
        return false;
    if (bytes < 0) {
        xg_glr_error(c, GL_INVALID_VALUE);
        return false;
    }
    if (!blob || size < (uint64_t)bytes) {
        xg_reader_fail(rd, "less data than the command reads");
        return false;
    }
    *data = bytes ? blob : xg_zeroes;
    return true;
}

/* `size` bytes of the guest's memory, followed by a word that says whether something was
 * written. */
static uint8_t *sink_memory(struct xg_reader *rd, uint32_t where, uint64_t size,
                            struct xg_glr_sink *s)
{
    uint64_t at = xg_align_up(size, sizeof(*s->done));
    uint8_t *to = xg_arena_at(rd, where, at + sizeof(*s->done));

    if (!to)
        xg_reader_fail(rd, "no room for pixels");
    else
        s->done = (uint64_t *)(to + at);
    return to;
}

void xg_glr_pack_begin(struct xg_worker_ring *r, const struct xg_glr_sink *s)
{
    if (s->done)
        xg_glr_ask(r);
}

void xg_glr_pack_end(struct xg_worker_ring *r, const struct xg_glr_sink *s)
{
    if (s->done && !xg_glr_failed(r))
        *s->done = 1;
}

GLsizei xg_glr_pack_room(const struct xg_glr_sink *s, GLsizei bufSize)
{
    return (uint64_t)bufSize > s->size && bufSize > 0 ? (GLsizei)s->size : bufSize;
}

static bool sink_buffer(struct xg_glr_context *c, uint64_t skip, struct xg_glr_sink *s)
{
    s->done = NULL;
    s->data = (void *)(uintptr_t)skip;
    s->size = INT32_MAX; /* the host knows how large its buffer is */
    return offset_ok(c, GL_PIXEL_PACK_BUFFER_BINDING);
}

bool xg_glr_pack(struct xg_worker_ring *r, struct xg_reader *rd, uint32_t kind, uint64_t skip,
                 uint32_t where, struct xg_glr_sink *s, int dims, GLsizei width, GLsizei height,
                 GLsizei depth, GLenum format, GLenum type)
{
    struct xg_glr_context *c = xg_glr_context_of(r);
    struct xg_gl_layout l;
    uint8_t *to;

    if (!xg_reader_ok(rd))
        return false;
    if (kind == XG_GL_PIXELS_BUFFER)
        return sink_buffer(c, skip, s);
    if (!memory_ok(c, GL_PIXEL_PACK_BUFFER_BINDING))
        return false;
    if (!xg_gl_layout(&c->pack, dims, width, height, depth, format, type, &l)) {
        xg_glr_error(c, width < 0 || height < 0 || depth < 0 ? GL_INVALID_VALUE : GL_INVALID_ENUM);
        return false;
    }
    if (!l.size || kind != XG_GL_PIXELS_MEMORY)
        return false; /* nothing to write */
    to = sink_memory(rd, where, l.size, s);
    if (!to || skip != l.skip) {
        xg_reader_fail(rd, "no room for pixels");
        return false;
    }
    s->data = (void *)((uintptr_t)to - (uintptr_t)l.skip);
    s->size = xg_min_u64(l.skip + l.size, INT32_MAX);
    return true;
}

bool xg_glr_pack_bytes(struct xg_worker_ring *r, struct xg_reader *rd, uint32_t kind, uint64_t skip,
                       uint32_t where, struct xg_glr_sink *s, int64_t bytes)
{
    struct xg_glr_context *c = xg_glr_context_of(r);

    if (!xg_reader_ok(rd))
        return false;
    if (kind == XG_GL_PIXELS_BUFFER)
        return sink_buffer(c, skip, s);
    if (!memory_ok(c, GL_PIXEL_PACK_BUFFER_BINDING) || bytes <= 0 || kind != XG_GL_PIXELS_MEMORY)
        return false;
    s->data = sink_memory(rd, where, (uint64_t)bytes, s);
    s->size = (uint64_t)bytes;
    return s->data != NULL;
}

/* --- sizes that only the host knows ----------------------------------------------------------- */

GLint xg_glr_level(struct xg_glr_context *c, GLenum target, GLint level, GLenum what)
{
    GLint v = 0;
    xg_glr_procs.glGetTexLevelParameteriv(target, level, what, &v);
    return v;
}

GLint xg_glr_texture_level(struct xg_glr_context *c, GLuint texture, GLint level, GLenum what)
{
    GLint v = 0;
    xg_glr_procs.glGetTextureLevelParameteriv(xg_glr_name(c, XG_GL_SPACE_TEXTURE, texture), level,
                                              what, &v);
    return v;
}

GLint xg_glr_pixel_map(struct xg_glr_context *c, GLenum map)
{
    GLint v = 0;
    if (map >= GL_PIXEL_MAP_I_TO_I && map <= GL_PIXEL_MAP_A_TO_A)
        xg_glr_procs.glGetIntegerv(map - GL_PIXEL_MAP_I_TO_I + GL_PIXEL_MAP_I_TO_I_SIZE, &v);
    return v;
}
