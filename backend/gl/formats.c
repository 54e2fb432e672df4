/* The memory of a texel on a device, for the account. Devices pad: three components take as much as
 * four. */
#include "backend/gl/ledger.h"

/* The bytes of a block and its size; one texel if the format is not compressed. Formats that
 * desktop devices decompress (ETC, EAC, ASTC) count decompressed; unknown formats count as the
 * largest. */
struct format_block {
    uint8_t bytes, width, height;
};

static unsigned texel_bytes(GLenum format)
{
    switch (format) {
    case GL_STENCIL_INDEX1:
    case GL_STENCIL_INDEX4:
    case GL_STENCIL_INDEX8:
    case GL_STENCIL_INDEX:
    case GL_R3_G3_B2:
    case GL_RGBA2:
    case GL_R8:
    case GL_R8_SNORM:
    case GL_R8I:
    case GL_R8UI:
    case GL_SR8_EXT:
    case GL_ALPHA4:
    case GL_ALPHA8:
    case GL_LUMINANCE4:
    case GL_LUMINANCE8:
    case GL_LUMINANCE4_ALPHA4:
    case GL_LUMINANCE6_ALPHA2:
    case GL_INTENSITY4:
    case GL_INTENSITY8:
    case GL_SLUMINANCE8: return 1;
    case GL_STENCIL_INDEX16:
    case GL_DEPTH_COMPONENT16:
    case GL_RGB4:
    case GL_RGB5:
    case GL_RGB565:
    case GL_RGBA4:
    case GL_RGB5_A1:
    case GL_R16:
    case GL_R16_SNORM:
    case GL_R16F:
    case GL_R16I:
    case GL_R16UI:
    case GL_RG8:
    case GL_RG8_SNORM:
    case GL_RG8I:
    case GL_RG8UI:
    case GL_ALPHA12:
    case GL_ALPHA16:
    case GL_LUMINANCE12:
    case GL_LUMINANCE16:
    case GL_LUMINANCE8_ALPHA8:
    case GL_SLUMINANCE8_ALPHA8:
    case GL_INTENSITY12:
    case GL_INTENSITY16: return 2;
    case 1:
    case 2:
    case 3:
    case 4:
    case GL_RED:
    case GL_RG:
    case GL_RGB:
    case GL_RGBA:
    case GL_BGRA:
    case GL_ALPHA:
    case GL_LUMINANCE:
    case GL_LUMINANCE_ALPHA:
    case GL_INTENSITY:
    case GL_SRGB:
    case GL_SRGB_ALPHA:
    case GL_SLUMINANCE:
    case GL_SLUMINANCE_ALPHA:
    case GL_DEPTH_COMPONENT:
    case GL_DEPTH_COMPONENT24:
    case GL_DEPTH_COMPONENT32:
    case GL_DEPTH_COMPONENT32F:
    case GL_DEPTH_STENCIL:
    case GL_DEPTH24_STENCIL8:
    case GL_RGB8:
    case GL_RGB8_SNORM:
    case GL_RGB8I:
    case GL_RGB8UI:
    case GL_SRGB8:
    case GL_RGBA8:
    case GL_RGBA8_SNORM:
    case GL_RGBA8I:
    case GL_RGBA8UI:
    case GL_SRGB8_ALPHA8:
    case GL_RGB10:
    case GL_RGB10_A2:
    case GL_RGB10_A2UI:
    case GL_R11F_G11F_B10F:
    case GL_RGB9_E5:
    case GL_R32F:
    case GL_R32I:
    case GL_R32UI:
    case GL_RG16:
    case GL_RG16_SNORM:
    case GL_RG16F:
    case GL_RG16I:
    case GL_RG16UI:
    case GL_LUMINANCE12_ALPHA4:
    case GL_LUMINANCE12_ALPHA12:
    case GL_LUMINANCE16_ALPHA16:
    case GL_COMPRESSED_RED:
    case GL_COMPRESSED_RG:
    case GL_COMPRESSED_RGB:
    case GL_COMPRESSED_RGBA:
    case GL_COMPRESSED_SRGB:
    case GL_COMPRESSED_SRGB_ALPHA:
    case GL_COMPRESSED_ALPHA:
    case GL_COMPRESSED_LUMINANCE:
    case GL_COMPRESSED_LUMINANCE_ALPHA:
    case GL_COMPRESSED_INTENSITY:
    case GL_COMPRESSED_SLUMINANCE:
    case GL_COMPRESSED_SLUMINANCE_ALPHA: return 4;
    case GL_DEPTH32F_STENCIL8:
    case GL_RGB12:
    case GL_RGB16:
    case GL_RGB16_SNORM:
    case GL_RGB16F:
    case GL_RGB16I:
    case GL_RGB16UI:
    case GL_RGBA12:
    case GL_RGBA16:
    case GL_RGBA16_SNORM:
    case GL_RGBA16F:
    case GL_RGBA16I:
    case GL_RGBA16UI:
    case GL_RG32F:
    case GL_RG32I:
    case GL_RG32UI: return 8;
    default: break;
    }
    /* ETC1, ETC2, EAC and ASTC: unpacked. */
    if (format == 0x8D64 || (format >= GL_COMPRESSED_R11_EAC && format <= 0x9279) ||
        (format >= 0x93B0 && format <= 0x93DD))
        return format >= 0x93B0 ? 8 : 4;
    return 16;
}

static struct format_block block_of(GLenum format)
{
    switch (format) {
    case GL_COMPRESSED_RGB_S3TC_DXT1_EXT:
    case GL_COMPRESSED_RGBA_S3TC_DXT1_EXT:
    case GL_COMPRESSED_SRGB_S3TC_DXT1_EXT:
    case GL_COMPRESSED_SRGB_ALPHA_S3TC_DXT1_EXT:
    case GL_COMPRESSED_RED_RGTC1:
    case GL_COMPRESSED_SIGNED_RED_RGTC1:
    case GL_COMPRESSED_LUMINANCE_LATC1_EXT:
    case GL_COMPRESSED_SIGNED_LUMINANCE_LATC1_EXT: return (struct format_block){8, 4, 4};
    case GL_COMPRESSED_RGBA_S3TC_DXT3_EXT:
    case GL_COMPRESSED_RGBA_S3TC_DXT5_EXT:
    case GL_COMPRESSED_SRGB_ALPHA_S3TC_DXT3_EXT:
    case GL_COMPRESSED_SRGB_ALPHA_S3TC_DXT5_EXT:
    case GL_COMPRESSED_RG_RGTC2:
    case GL_COMPRESSED_SIGNED_RG_RGTC2:
    case GL_COMPRESSED_LUMINANCE_ALPHA_LATC2_EXT:
    case GL_COMPRESSED_SIGNED_LUMINANCE_ALPHA_LATC2_EXT:
    case GL_COMPRESSED_RGBA_BPTC_UNORM:
    case GL_COMPRESSED_SRGB_ALPHA_BPTC_UNORM:
    case GL_COMPRESSED_RGB_BPTC_SIGNED_FLOAT:
    case GL_COMPRESSED_RGB_BPTC_UNSIGNED_FLOAT: return (struct format_block){16, 4, 4};
    default: return (struct format_block){(uint8_t)texel_bytes(format), 1, 1};
    }
}

GLenum xg_glr_format_stored(const struct xg_glr_context *c, GLenum internal, GLenum format,
                            GLenum type)
{
    /* in GL ES an internal format without a size is as large as the given pixels */
    if (!c->es || internal != format || xg_gl_pixel_size(format, type) <= 4)
        return internal;
    return xg_gl_pixel_size(format, type) <= 8 ? GL_RGBA16F : GL_RGBA32F;
}

/* Dimensions are at most 2^31, and no guest has 2^60 bytes: the product saturates there. */
static uint64_t size_times(uint64_t a, uint64_t b)
{
    uint64_t product;
    return __builtin_mul_overflow(a, b, &product) || product > XG_GLR_TOO_MUCH ? XG_GLR_TOO_MUCH
                                                                               : product;
}

/* Devices start each row at a multiple of 64 bytes, and draw in blocks of four rows. Without this,
 * a million columns of one texel would count as almost nothing. */
#define ROW_BYTES 64u
#define ROWS      4u

uint64_t xg_glr_image_bytes(const struct xg_glr_image *i)
{
    struct format_block b = block_of(i->format);
    uint64_t columns = ((uint64_t)i->width + b.width - 1) / b.width;
    uint64_t rows = ((uint64_t)i->height + b.height - 1) / b.height, row = columns * b.bytes, bytes;

    if (b.width == 1) {
        row = xg_align_up(row, ROW_BYTES);
        rows = xg_align_up(rows, ROWS);
    }
    bytes = size_times(size_times(row, rows), i->depth);
    if (i->compressed > bytes)
        bytes = i->compressed;
    return size_times(bytes, i->samples > 1 ? i->samples : 1);
}

static uint32_t extent_half(uint32_t extent)
{
    return extent > 1 ? extent / 2 : extent;
}

bool xg_glr_image_next(struct xg_glr_image *i, GLenum target)
{
    bool flat = target == GL_TEXTURE_2D_ARRAY || target == GL_TEXTURE_CUBE_MAP_ARRAY;
    bool line = target == GL_TEXTURE_1D_ARRAY;
    uint32_t w = extent_half(i->width), h = line ? i->height : extent_half(i->height),
             d = flat ? i->depth : extent_half(i->depth);

    if (w == i->width && h == i->height && d == i->depth)
        return false;
    i->width = w;
    i->height = h;
    i->depth = d;
    i->compressed = 0;
    return true;
}

uint64_t xg_glr_chain_bytes(struct xg_glr_image base, GLenum target, uint32_t levels)
{
    uint64_t bytes = 0;

    for (uint32_t n = 0; n < levels; n++) {
        bytes += xg_glr_image_bytes(&base);
        if (!xg_glr_image_next(&base, target))
            break;
    }
    return bytes < XG_GLR_TOO_MUCH ? bytes : XG_GLR_TOO_MUCH;
}
