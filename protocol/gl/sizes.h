/*
 * How long the arrays of GL commands are, where it depends on enumerants: what gl.xml calls
 * COMPSIZE. Used by both sides, which must
 * agree. Counts are of elements; negative: GL will refuse the command.
 */
#ifndef XG_PROTOCOL_GL_SIZES_H
#define XG_PROTOCOL_GL_SIZES_H

#include "protocol/gl/types.h"

#include <stdbool.h>
#include <stdint.h>

/* Values that a set-command with this pname reads: 1, 3 or 4 (GL 4.6 compatibility, sections 8,
 * 10, 12). */
int xg_gl_params_count(GLenum pname);
int xg_gl_clear_count(GLenum buffer);
int xg_gl_list_size(GLenum type);
int64_t xg_gl_map1_count(GLenum target, GLint stride, GLint order);
int64_t xg_gl_map2_count(GLenum target, GLint ustride, GLint uorder, GLint vstride, GLint vorder);
/* Of an image of such a texture. */
int xg_gl_level_dims(GLenum target);
/* Bytes of a vertex attribute component, of an index; 0: no such type. */
unsigned xg_gl_type_size(GLenum type);
unsigned xg_gl_index_size(GLenum type);
/* Bytes of one pixel, 0 if the pair is unknown. GL_BITMAP counts as 0 here. */
unsigned xg_gl_pixel_size(GLenum format, GLenum type);

/* The application's or the worker's glPixelStore state of one direction. */
struct xg_gl_pixel_store {
    GLint alignment, row_length, image_height, skip_rows, skip_pixels, skip_images;
    GLint block_width, block_height, block_depth, block_size;
    GLboolean swap, lsb;
};

/* Where an image lies in memory: bytes from the pointer to the first one, from there to behind
 * the last one, and the geometry between. */
struct xg_gl_layout {
    uint64_t skip, size;
    uint64_t row_bytes, row_stride, image_stride;
    uint32_t rows, images;
};

/* False if the format and type are unknown, or a size is negative or absurd. Zero-sized images have
 * size 0. `dims` is 1, 2 or 3: skip_images and
 * image_height count for 3 only, skip_rows always. Strides are 0 where nothing is counted by them.
 */
bool xg_gl_layout(const struct xg_gl_pixel_store *s, int dims, GLint width, GLint height,
                  GLint depth, GLenum format, GLenum type, struct xg_gl_layout *out);
/* Sets what glPixelStorei sets, in the direction that pname belongs to; false for an unknown
 * pname or a value that GL refuses. */
bool xg_gl_pixel_store_set(struct xg_gl_pixel_store *pack, struct xg_gl_pixel_store *unpack,
                           GLenum pname, GLint value);
void xg_gl_pixel_store_init(struct xg_gl_pixel_store *s);

/* A caller's buffer size, bounded: more than this much text (XG_WIRE_TEXT_MAX), or as many
 * values, no reply carries. */
#define XG_GL_BUF_MAX 8192
static inline GLsizei xg_gl_buf_size(GLsizei size)
{
    return size > XG_GL_BUF_MAX ? XG_GL_BUF_MAX : size;
}

#endif
