#include "protocol/gl/sizes.h"

#include <string.h>

int xg_gl_params_count(GLenum pname)
{
    switch (pname) {
    case GL_AMBIENT:
    case GL_DIFFUSE:
    case GL_SPECULAR:
    case GL_POSITION:
    case GL_EMISSION:
    case GL_AMBIENT_AND_DIFFUSE:
    case GL_LIGHT_MODEL_AMBIENT:
    case GL_FOG_COLOR:
    case GL_TEXTURE_ENV_COLOR:
    case GL_TEXTURE_BORDER_COLOR:
    case GL_TEXTURE_SWIZZLE_RGBA:
    case GL_OBJECT_PLANE:
    case GL_EYE_PLANE:
    case GL_PATCH_DEFAULT_OUTER_LEVEL:
    case 0x8B9D: /* GL_TEXTURE_CROP_RECT_OES */ return 4;
    case GL_COLOR_INDEXES:
    case GL_SPOT_DIRECTION:
    case GL_POINT_DISTANCE_ATTENUATION: return 3;
    case GL_PATCH_DEFAULT_INNER_LEVEL: return 2;
    default: return 1;
    }
}

int xg_gl_clear_count(GLenum buffer)
{
    return buffer == GL_COLOR ? 4 : 1;
}

int xg_gl_list_size(GLenum type)
{
    switch (type) {
    case GL_BYTE:
    case GL_UNSIGNED_BYTE: return 1;
    case GL_SHORT:
    case GL_UNSIGNED_SHORT:
    case GL_2_BYTES: return 2;
    case GL_3_BYTES: return 3;
    case GL_INT:
    case GL_UNSIGNED_INT:
    case GL_FLOAT:
    case GL_4_BYTES: return 4;
    default: return 0;
    }
}

static int map_components(GLenum target)
{
    switch (target) {
    case GL_MAP1_INDEX:
    case GL_MAP1_TEXTURE_COORD_1:
    case GL_MAP2_INDEX:
    case GL_MAP2_TEXTURE_COORD_1: return 1;
    case GL_MAP1_TEXTURE_COORD_2:
    case GL_MAP2_TEXTURE_COORD_2: return 2;
    case GL_MAP1_VERTEX_3:
    case GL_MAP1_NORMAL:
    case GL_MAP1_TEXTURE_COORD_3:
    case GL_MAP2_VERTEX_3:
    case GL_MAP2_NORMAL:
    case GL_MAP2_TEXTURE_COORD_3: return 3;
    case GL_MAP1_VERTEX_4:
    case GL_MAP1_COLOR_4:
    case GL_MAP1_TEXTURE_COORD_4:
    case GL_MAP2_VERTEX_4:
    case GL_MAP2_COLOR_4:
    case GL_MAP2_TEXTURE_COORD_4: return 4;
    default: return 0;
    }
}

#define ORDER_MAX 256 /* above every implementation's GL_MAX_EVAL_ORDER */

int64_t xg_gl_map1_count(GLenum target, GLint stride, GLint order)
{
    int k = map_components(target);
    if (!k || order < 1 || order > ORDER_MAX || stride < k)
        return 0;
    return (int64_t)stride * (order - 1) + k;
}

int64_t xg_gl_map2_count(GLenum target, GLint ustride, GLint uorder, GLint vstride, GLint vorder)
{
    int k = map_components(target);
    if (!k || uorder < 1 || uorder > ORDER_MAX || ustride < k || vorder < 1 || vorder > ORDER_MAX ||
        vstride < k)
        return 0;
    return (int64_t)ustride * (uorder - 1) + (int64_t)vstride * (vorder - 1) + k;
}

int xg_gl_level_dims(GLenum target)
{
    switch (target) {
    case GL_TEXTURE_1D: return 1;
    case GL_TEXTURE_3D:
    case GL_TEXTURE_2D_ARRAY:
    case GL_TEXTURE_CUBE_MAP_ARRAY: return 3;
    default: return 2;
    }
}

unsigned xg_gl_type_size(GLenum type)
{
    switch (type) {
    case GL_BYTE:
    case GL_UNSIGNED_BYTE: return 1;
    case GL_SHORT:
    case GL_UNSIGNED_SHORT:
    case GL_HALF_FLOAT:
    case GL_HALF_FLOAT_OES: return 2;
    case GL_INT:
    case GL_UNSIGNED_INT:
    case GL_FLOAT:
    case GL_FIXED:
    case GL_INT_2_10_10_10_REV:
    case GL_UNSIGNED_INT_2_10_10_10_REV:
    case GL_UNSIGNED_INT_10F_11F_11F_REV: return 4;
    case GL_DOUBLE: return 8;
    default: return 0;
    }
}

unsigned xg_gl_index_size(GLenum type)
{
    switch (type) {
    case GL_UNSIGNED_BYTE: return 1;
    case GL_UNSIGNED_SHORT: return 2;
    case GL_UNSIGNED_INT: return 4;
    default: return 0;
    }
}

static unsigned format_components(GLenum format)
{
    switch (format) {
    case GL_COLOR_INDEX:
    case GL_STENCIL_INDEX:
    case GL_DEPTH_COMPONENT:
    case GL_RED:
    case GL_GREEN:
    case GL_BLUE:
    case GL_ALPHA:
    case GL_LUMINANCE:
    case GL_INTENSITY:
    case GL_RED_INTEGER:
    case GL_GREEN_INTEGER:
    case GL_BLUE_INTEGER:
    case GL_ALPHA_INTEGER:
    case 0x8D9C: /* GL_LUMINANCE_INTEGER_EXT */ return 1;
    case GL_LUMINANCE_ALPHA:
    case GL_RG:
    case GL_RG_INTEGER:
    case GL_DEPTH_STENCIL:
    case 0x8D9D: /* GL_LUMINANCE_ALPHA_INTEGER_EXT */
    case 0x8757: /* GL_YCBCR_MESA: 2 bytes a pixel, as its packed types */ return 2;
    case GL_RGB:
    case GL_BGR:
    case GL_RGB_INTEGER:
    case GL_BGR_INTEGER: return 3;
    case GL_RGBA:
    case GL_BGRA:
    case GL_ABGR_EXT:
    case GL_RGBA_INTEGER:
    case GL_BGRA_INTEGER: return 4;
    default: return 0;
    }
}

unsigned xg_gl_pixel_size(GLenum format, GLenum type)
{
    unsigned n = format_components(format);

    if (!n)
        return 0;
    switch (type) {
    case GL_UNSIGNED_BYTE_3_3_2:
    case GL_UNSIGNED_BYTE_2_3_3_REV: return 1;
    case GL_UNSIGNED_SHORT_5_6_5:
    case GL_UNSIGNED_SHORT_5_6_5_REV:
    case GL_UNSIGNED_SHORT_4_4_4_4:
    case GL_UNSIGNED_SHORT_4_4_4_4_REV:
    case GL_UNSIGNED_SHORT_5_5_5_1:
    case GL_UNSIGNED_SHORT_1_5_5_5_REV:
    case 0x85BA: /* GL_UNSIGNED_SHORT_8_8_MESA */
    case 0x85BB: return 2;
    case GL_UNSIGNED_INT_8_8_8_8:
    case GL_UNSIGNED_INT_8_8_8_8_REV:
    case GL_UNSIGNED_INT_10_10_10_2:
    case GL_UNSIGNED_INT_2_10_10_10_REV:
    case GL_UNSIGNED_INT_24_8:
    case GL_UNSIGNED_INT_10F_11F_11F_REV:
    case GL_UNSIGNED_INT_5_9_9_9_REV: return 4;
    case GL_FLOAT_32_UNSIGNED_INT_24_8_REV: return 8;
    default: return n * xg_gl_type_size(type);
    }
}

/* The limit of an image, and of each step in it: drivers count in int, and no channel carries
 * more. */
#define BYTES_MAX INT32_MAX

bool xg_gl_layout(const struct xg_gl_pixel_store *s, int dims, GLint width, GLint height,
                  GLint depth, GLenum format, GLenum type, struct xg_gl_layout *out)
{
    uint64_t row_pixels, row_stride, image_rows, bits, skip_images = dims == 3 ? s->skip_images : 0;
    bool bitmap = type == GL_BITMAP, rows, images;

    memset(out, 0, sizeof(*out));
    bits = bitmap ? (format == GL_COLOR_INDEX || format == GL_STENCIL_INDEX ? 1 : 0)
                  : 8ull * xg_gl_pixel_size(format, type);
    if (!bits || width < 0 || height < 0 || depth < 0 || width > 65536 || height > 65536 ||
        depth > 65536)
        return false;
    if (!width || !height || !depth)
        return true;
    images = depth > 1 || skip_images;
    rows = images || height > 1 || s->skip_rows;
    row_pixels = s->row_length > 0 ? (uint64_t)s->row_length : (uint64_t)width;
    image_rows = dims == 3 && s->image_height > 0 ? (uint64_t)s->image_height : (uint64_t)height;
    row_stride = ((row_pixels * bits + 7) / 8 + s->alignment - 1) / s->alignment * s->alignment;
    if (rows && row_stride > BYTES_MAX)
        return false;
    out->row_stride = rows ? row_stride : 0;
    out->image_stride = out->row_stride * image_rows;
    if (images && out->image_stride > BYTES_MAX)
        return false;
    /* A bitmap's rows may start inside a byte. */
    out->row_bytes =
        bitmap ? ((uint64_t)(s->skip_pixels % 8) + width + 7) / 8 : (uint64_t)width * bits / 8;
    out->rows = (uint32_t)height;
    out->images = (uint32_t)depth;
    out->skip = (uint64_t)s->skip_pixels * bits / 8 + (uint64_t)s->skip_rows * out->row_stride +
                skip_images * out->image_stride;
    out->size = (uint64_t)(depth - 1) * out->image_stride +
                (uint64_t)(height - 1) * out->row_stride + out->row_bytes;
    return out->size <= BYTES_MAX && out->skip <= BYTES_MAX;
}

void xg_gl_pixel_store_init(struct xg_gl_pixel_store *s)
{
    memset(s, 0, sizeof(*s));
    s->alignment = 4;
}

static bool int_store(GLint *to, GLint value)
{
    if (value < 0)
        return false;
    *to = value;
    return true;
}

static bool store_alignment(GLint *to, GLint value)
{
    if (value != 1 && value != 2 && value != 4 && value != 8)
        return false;
    *to = value;
    return true;
}

bool xg_gl_pixel_store_set(struct xg_gl_pixel_store *pack, struct xg_gl_pixel_store *unpack,
                           GLenum pname, GLint value)
{
    switch (pname) {
    case GL_UNPACK_ALIGNMENT: return store_alignment(&unpack->alignment, value);
    case GL_UNPACK_ROW_LENGTH: return int_store(&unpack->row_length, value);
    case GL_UNPACK_IMAGE_HEIGHT: return int_store(&unpack->image_height, value);
    case GL_UNPACK_SKIP_ROWS: return int_store(&unpack->skip_rows, value);
    case GL_UNPACK_SKIP_PIXELS: return int_store(&unpack->skip_pixels, value);
    case GL_UNPACK_SKIP_IMAGES: return int_store(&unpack->skip_images, value);
    case GL_UNPACK_SWAP_BYTES: unpack->swap = !!value; return true;
    case GL_UNPACK_LSB_FIRST: unpack->lsb = !!value; return true;
    case GL_UNPACK_COMPRESSED_BLOCK_WIDTH: return int_store(&unpack->block_width, value);
    case GL_UNPACK_COMPRESSED_BLOCK_HEIGHT: return int_store(&unpack->block_height, value);
    case GL_UNPACK_COMPRESSED_BLOCK_DEPTH: return int_store(&unpack->block_depth, value);
    case GL_UNPACK_COMPRESSED_BLOCK_SIZE: return int_store(&unpack->block_size, value);
    case GL_PACK_ALIGNMENT: return store_alignment(&pack->alignment, value);
    case GL_PACK_ROW_LENGTH: return int_store(&pack->row_length, value);
    case GL_PACK_IMAGE_HEIGHT: return int_store(&pack->image_height, value);
    case GL_PACK_SKIP_ROWS: return int_store(&pack->skip_rows, value);
    case GL_PACK_SKIP_PIXELS: return int_store(&pack->skip_pixels, value);
    case GL_PACK_SKIP_IMAGES: return int_store(&pack->skip_images, value);
    case GL_PACK_SWAP_BYTES: pack->swap = !!value; return true;
    case GL_PACK_LSB_FIRST: pack->lsb = !!value; return true;
    case GL_PACK_COMPRESSED_BLOCK_WIDTH: return int_store(&pack->block_width, value);
    case GL_PACK_COMPRESSED_BLOCK_HEIGHT: return int_store(&pack->block_height, value);
    case GL_PACK_COMPRESSED_BLOCK_DEPTH: return int_store(&pack->block_depth, value);
    case GL_PACK_COMPRESSED_BLOCK_SIZE: return int_store(&pack->block_size, value);
    default: return false;
    }
}
