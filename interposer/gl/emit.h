/* What generated senders (gl/send.h) need: frames on the context's ring, and sources of pixels and
 * strings. */
#ifndef XG_INTERPOSER_GL_EMIT_H
#define XG_INTERPOSER_GL_EMIT_H

#include "interposer/gl/context.h"
#include "protocol/gl/sizes.h"
#include "protocol/wire.h"

#include <stdlib.h>

/* Takes the lock of a ring that several contexts use, and makes this context current on it. */
void xg_gl_enter_shared(struct xg_gl_context *c);
/* Records an error that was found in the guest; glGetError returns it. */
void xg_gl_error(struct xg_gl_context *c, GLenum error);

static inline GLenum xg_gl_size_error(uint64_t size)
{
    return size == XG_WIRE_BAD ? GL_INVALID_VALUE : GL_OUT_OF_MEMORY;
}

static inline void *xg_gl_begin(struct xg_gl_context *c, uint16_t op, uint32_t payload)
{
    struct xg_ring *r = c->ring;
    if (XG_UNLIKELY(r->shared))
        xg_gl_enter_shared(c);
    return xg_ring_begin(r, op, payload);
}

static inline void xg_gl_end(struct xg_gl_context *c)
{
    struct xg_ring *r = c->ring;
    xg_ring_end(r);
    if (XG_UNLIKELY(r->shared))
        xg_ring_unlock(r);
}

static inline void *xg_gl_begin_call(struct xg_gl_context *c, uint16_t op, uint32_t payload,
                                     uint32_t *ticket)
{
    struct xg_ring *r = c->ring;
    if (XG_UNLIKELY(r->shared))
        xg_gl_enter_shared(c);
    return xg_ring_begin_call(r, op, payload, ticket);
}

/* Ends a call: waits for its answer, while others may use the ring. */
int xg_gl_wait(struct xg_gl_context *c, uint32_t ticket, void *out, uint32_t size,
               uint32_t *length);

/* --- pixels (pixels.c) ------------------------------------------------------------------------ */

struct xg_gl_source {
    const void *data; /* NULL unless XG_GL_PIXELS_MEMORY */
    uint64_t size;
    /* MEMORY: how far `data` is behind the application's pointer; BUFFER: the offset */
    uint64_t skip;
    uint32_t kind;
};

struct xg_gl_source xg_gl_unpack(struct xg_gl_context *c, const void *pixels, int dims,
                                 GLsizei width, GLsizei height, GLsizei depth, GLenum format,
                                 GLenum type);
struct xg_gl_source xg_gl_unpack_bytes(struct xg_gl_context *c, const void *data, int64_t bytes);

struct xg_gl_sink {
    void *user;           /* where the first byte is to be written */
    void *memory;         /* arena */
    const uint64_t *done; /* behind it in the arena: nonzero when the worker has written there */
    struct xg_gl_layout layout;
    uint64_t skip, size;
    uint32_t kind, where;
};

/* False: nothing to send (without memory, GL_OUT_OF_MEMORY is recorded). */
bool xg_gl_pack(struct xg_gl_context *c, struct xg_gl_sink *s, void *pixels, int dims,
                GLsizei width, GLsizei height, GLsizei depth, GLenum format, GLenum type);
bool xg_gl_pack_bytes(struct xg_gl_context *c, struct xg_gl_sink *s, void *data, int64_t bytes);
/* Waits for the worker and copies what it wrote. */
void xg_gl_pack_finish(struct xg_gl_context *c, struct xg_gl_sink *s);

GLint xg_gl_level(struct xg_gl_context *c, GLenum target, GLint level, GLenum what);
GLint xg_gl_texture_level(struct xg_gl_context *c, GLuint texture, GLint level, GLenum what);
GLint xg_gl_pixel_map(struct xg_gl_context *c, GLenum map);

/* --- arrays of strings (programs.c) ----------------------------------------------------------- */

uint64_t xg_gl_strings_size(GLsizei count, const GLchar *const *strings, const GLint *length);
void *xg_gl_strings_put(struct xg_gl_context *c, void *at, GLsizei count,
                        const GLchar *const *strings, const GLint *length, uint64_t size);

#endif
