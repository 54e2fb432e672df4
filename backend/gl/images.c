/*
 * How much memory the images of a texture take together, if it can be respecified.
 *
 * A driver keeps images that fit each other in one piece, a tree. Mesa makes a tree for the first
 * image that fits no other: for an image of any level but the first, it works out how large the
 * first will be, and takes memory for all levels at once, and for all faces of a cube. Images that
 * do not fit have trees of their own.
 */
#include "backend/gl/ledger.h"

struct tree {
    struct xg_glr_image base; /* the image at its first level */
    bool whole;               /* it has memory for all levels */
};

/* Works out the first level from an image of this level. False: it is not possible, and the image
 * has its own memory. */
static bool base_guess(struct xg_glr_image *i, GLenum target, uint32_t level)
{
    bool line = target == GL_TEXTURE_1D || target == GL_TEXTURE_1D_ARRAY;
    bool solid = target == GL_TEXTURE_3D;
    bool cube = target == GL_TEXTURE_CUBE_MAP || target == GL_TEXTURE_CUBE_MAP_ARRAY;
    uint32_t most = UINT32_MAX >> level;

    if (!level)
        return true;
    if (!line && !cube && (i->width == 1 || i->height == 1 || (solid && i->depth == 1)))
        return false;
    if (i->width > most || i->height > most || i->depth > most)
        return false; /* larger than any device allows: it is refused */
    i->width <<= level;
    i->height <<= line ? 0 : level;
    i->depth <<= solid ? level : 0;
    i->compressed = 0;
    return true;
}

static bool tree_has(const struct tree *t, const struct xg_glr_image *i, GLenum target,
                     uint32_t level)
{
    struct xg_glr_image at = t->base;

    for (; level; level--)
        if (!xg_glr_image_next(&at, target))
            return false;
    return at.width == i->width && at.height == i->height && at.depth == i->depth &&
           at.format == i->format && at.samples == i->samples;
}

static uint64_t tree_bytes(const struct tree *t, GLenum target)
{
    uint64_t bytes = xg_glr_chain_bytes(t->base, target, t->whole ? XG_GLR_LEVELS : 1);

    if (bytes < XG_GLR_TOO_MUCH && target == GL_TEXTURE_CUBE_MAP)
        bytes *= XG_GLR_FACES;
    return bytes + XG_GLR_STORAGE_COST;
}

uint64_t xg_glr_images_bytes(const struct xg_glr_image *image, uint32_t count, GLenum target)
{
    struct tree tree[XG_GLR_LEVELS * XG_GLR_FACES];
    uint32_t trees = 0, n;
    uint64_t bytes = 0;

    for (uint32_t place = 0; place < count; place++) {
        const struct xg_glr_image *i = &image[place];
        uint32_t level = place / XG_GLR_FACES;

        if (!i->width || !i->height || !i->depth)
            continue;
        for (n = 0; n < trees && !tree_has(&tree[n], i, target, level); n++)
            ;
        if (n == trees) {
            tree[trees++] = (struct tree){.base = *i};
            (void)base_guess(&tree[n].base, target, level);
        }
        tree[n].whole |= i->whole || level;
    }
    for (n = 0; n < trees; n++)
        bytes += tree_bytes(&tree[n], target);
    return bytes < XG_GLR_TOO_MUCH ? bytes : XG_GLR_TOO_MUCH;
}
