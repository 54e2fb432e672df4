/*
 * XG_GL_OP_xgDraw: a draw whose vertex arrays or indices come from the application's memory.
 *
 *   struct xg_gl_draw, then arrays * struct xg_gl_draw_array, padded to 8, then blobs * blob,
 *   then the indices as one more blob if indices == XG_GL_DRAW_DATA.
 *
 * A blob holds the vertices `first` to `last` (of an instanced array: the instances) of one or more
 * arrays that are interleaved; an array's element i lies at
 * offset + (i - first) * stride of its blob.
 */
#ifndef XG_PROTOCOL_GL_DRAW_H
#define XG_PROTOCOL_GL_DRAW_H

#include "protocol/gl/types.h"

#include <stdint.h>

enum { XG_GL_DRAW_ARRAYS = 0, XG_GL_DRAW_DATA = 1, XG_GL_DRAW_BUFFER = 2 };

struct xg_gl_draw {
    uint64_t offset; /* XG_GL_DRAW_BUFFER: of the indices in the element buffer */
    uint32_t mode;
    uint32_t indices; /* XG_GL_DRAW_* */
    uint32_t type;    /* of the indices */
    int32_t first;    /* XG_GL_DRAW_ARRAYS */
    int32_t count;
    int32_t instances; /* 0: not an instanced draw */
    int32_t base_vertex;
    uint32_t base_instance;
    uint32_t min,
        max; /* vertices that the blobs cover: smallest and largest index plus base_vertex */
    uint32_t arrays, blobs;
};

struct xg_gl_draw_array {
    uint32_t slot; /* XG_ARRAY_*: see both sides' arrays */
    int32_t size;
    uint32_t type;
    int32_t stride; /* as given: 0 is tightly packed */
    uint32_t flags; /* bit 0: normalized; bits 1-2: 0 float, 1 integer, 2 double */
    uint32_t divisor;
    uint32_t blob;
    uint32_t offset;
};

/* Slots. */
enum {
    XG_ARRAY_GENERIC = 0, /* 32 of them */
    XG_ARRAY_VERTEX = 32,
    XG_ARRAY_NORMAL,
    XG_ARRAY_COLOR,
    XG_ARRAY_SECONDARY,
    XG_ARRAY_FOG,
    XG_ARRAY_INDEX,
    XG_ARRAY_EDGE,
    XG_ARRAY_POINT_SIZE,
    XG_ARRAY_TEX = 40, /* 8 of them */
    XG_ARRAYS = 48
};
#define XG_GENERIC_MAX 32u
#define XG_TEX_MAX     8u

/* Of glEnableClientState's array; XG_ARRAYS: it is none. `unit`: the client's active texture. */
static inline unsigned xg_gl_client_slot(GLenum array, unsigned unit)
{
    switch (array) {
    case GL_VERTEX_ARRAY: return XG_ARRAY_VERTEX;
    case GL_NORMAL_ARRAY: return XG_ARRAY_NORMAL;
    case GL_COLOR_ARRAY: return XG_ARRAY_COLOR;
    case GL_SECONDARY_COLOR_ARRAY: return XG_ARRAY_SECONDARY;
    case GL_FOG_COORD_ARRAY: return XG_ARRAY_FOG;
    case GL_INDEX_ARRAY: return XG_ARRAY_INDEX;
    case GL_EDGE_FLAG_ARRAY: return XG_ARRAY_EDGE;
    case GL_POINT_SIZE_ARRAY_OES: return XG_ARRAY_POINT_SIZE;
    case GL_TEXTURE_COORD_ARRAY: return XG_ARRAY_TEX + unit;
    default: return XG_ARRAYS;
    }
}

#endif
