/* Claims: what a command will allocate is taken from the account first, and settled when the host
 * has answered. */
#include "backend/gl/ledger.h"

#include <stdlib.h>

#define LEVELS XG_GLR_LEVELS
#define FACES  XG_GLR_FACES

/* --- taking and settling ---------------------------------------------------------------------- */

static void *record_of(struct xg_glr_context *c, enum xg_gl_space space, GLuint host)
{
    return (void *)(uintptr_t)xg_glr_map_get(&c->share->names[space].held, host);
}

/* Under the lock. NULL: no memory. */
static struct xg_glr_texture *texture_record(struct xg_glr_context *c, GLuint host)
{
    struct xg_glr_texture *t = record_of(c, XG_GL_SPACE_TEXTURE, host);

    if (t)
        return t;
    t = calloc(1, sizeof(*t));
    if (t && !xg_glr_map_set(&c->share->names[XG_GL_SPACE_TEXTURE].held, host, (uintptr_t)t)) {
        free(t);
        t = NULL;
    }
    return t;
}

/* Errors from before the command belong to the application. */
static bool host_error(struct xg_glr_context *c)
{
    GLenum error = xg_glr_procs.glGetError();

    if (error && !c->error)
        c->error = error;
    return error != GL_NO_ERROR;
}

static bool claim_take(struct xg_glr_context *c, struct xg_glr_claim *k, int kind)
{
    if (!k->ledger)
        k->ledger = &c->share->ledger;
    xg_glr_freed_wait(c);
    if (k->now > k->old && !xg_glr_take_or_fail(c, k->ledger, k->now - k->old))
        return false;
    host_error(c);
    k->kind = kind;
    return true;
}

/* `image` has room for all places; returns how many of them are used then. */
static uint32_t images_put(struct xg_glr_image *image, uint32_t count, const struct xg_glr_claim *k)
{
    struct xg_glr_image i = k->image;

    for (uint32_t n = 0, place = k->place; n < k->levels; n++, place += FACES) {
        for (uint32_t f = 0; f < k->faces && place + f < LEVELS * FACES; f++) {
            image[place + f] = i;
            count = place + f >= count ? place + f + 1 : count;
        }
        if (!xg_glr_image_next(&i, k->target))
            break;
    }
    return count;
}

/* What the texture will hold after the command. */
static uint64_t images_now(const struct xg_glr_texture *t, const struct xg_glr_claim *k)
{
    struct xg_glr_image image[LEVELS * FACES] = {0};

    if (t->count)
        memcpy(image, t->image, t->count * sizeof(*image));
    return xg_glr_images_bytes(image, images_put(image, t->count, k), k->target);
}

/* False: no memory to record it. */
static bool images_set(struct xg_glr_texture *t, const struct xg_glr_claim *k)
{
    struct xg_glr_image image[LEVELS * FACES] = {0}, *more;
    uint32_t count;

    if (t->count)
        memcpy(image, t->image, t->count * sizeof(*image));
    count = images_put(image, t->count, k);
    more = realloc(t->image, (count ? count : 1) * sizeof(*more));
    if (!more)
        return false;
    memcpy(more, image, count * sizeof(*more));
    t->image = more;
    t->count = count;
    return true;
}

static void buffer_show(struct xg_glr_share *s, struct xg_glr_texture *t, GLuint buffer)
{
    if (t->buffer)
        xg_glr_map_set(&s->shown, t->buffer, xg_glr_map_get(&s->shown, t->buffer) - 1);
    t->buffer = 0;
    if (buffer && xg_glr_map_set(&s->shown, buffer, xg_glr_map_get(&s->shown, buffer) + 1))
        t->buffer = buffer;
}

/* The host has executed the command: changes the record. Under the lock. Returns what was held
 * before and no longer is. */
static uint64_t claim_apply(struct xg_glr_context *c, struct xg_glr_claim *k)
{
    struct xg_glr_texture *t, *other;
    uint64_t was;

    if (k->kind == XG_GLR_CLAIM_BYTES) {
        was = xg_glr_map_get(k->map, k->host);
        atomic_fetch_add(&c->share->freed, was);
        xg_glr_map_set(k->map, k->host, k->now); /* the page for it exists: the claim made it */
        return was;
    }
    t = texture_record(c, k->host);
    if (!t)
        return 0;
    switch (k->kind) {
    case XG_GLR_CLAIM_IMAGES:
        was = t->bytes;
        if (k->place < t->count)
            atomic_fetch_add(&c->share->freed, xg_glr_image_bytes(&t->image[k->place]));
        if (images_set(t, k))
            k->now = xg_glr_images_bytes(t->image, t->count, k->target);
        t->bytes = k->now;
        return was;
    case XG_GLR_CLAIM_STORAGE:
        was = t->bytes;
        atomic_fetch_add(&c->share->freed, was);
        t->bytes = 0;
        t->count = 0;
        t->storage = calloc(1, sizeof(*t->storage));
        if (t->storage)
            *t->storage = (struct xg_glr_storage){.bytes = k->now, .refs = 1};
        return was;
    case XG_GLR_CLAIM_VIEW:
        other = record_of(c, XG_GL_SPACE_TEXTURE, k->other);
        if (other && other->storage && !t->storage) {
            t->storage = other->storage;
            t->storage->refs++;
        }
        return 0;
    case XG_GLR_CLAIM_TEXTURE_BUFFER: buffer_show(c->share, t, k->other); return 0;
    default: return 0;
    }
}

void xg_glr_settle(struct xg_glr_context *c, struct xg_glr_claim *k)
{
    uint64_t taken, was;

    if (k->kind == XG_GLR_CLAIM_NONE)
        return;
    taken = k->now > k->old ? k->now - k->old : 0;
    if (host_error(c)) {
        xg_glr_give(k->ledger, taken);
        return;
    }
    pthread_mutex_lock(&c->share->lock);
    was = claim_apply(c, k);
    pthread_mutex_unlock(&c->share->lock);
    /* another thread may have changed the same object: claim_apply found what it really held */
    if (was + taken > k->now)
        xg_glr_give(k->ledger, was + taken - k->now);
    else if (was + taken < k->now)
        xg_glr_take(k->ledger, k->now - was - taken);
}

/* --- sizes: some drivers compute with them before they check them ----------------------------- */

struct xg_glr_sizes {
    GLint plane, volume, cube, rectangle, layers, renderbuffer;
    GLint samples[16]; /* the numbers of samples that the device supports */
};

static GLint limit_or(GLenum pname, GLint otherwise)
{
    GLint v = 0;
    xg_glr_procs.glGetIntegerv(pname, &v);
    return v > 0 ? v : otherwise;
}

static const struct xg_glr_sizes *sizes_get(struct xg_glr_context *c)
{
    struct xg_glr_sizes *s = c->sizes;

    if (s || !(s = calloc(1, sizeof(*s))))
        return s;
    host_error(c);
    s->plane = limit_or(GL_MAX_TEXTURE_SIZE, 64);
    s->volume = limit_or(GL_MAX_3D_TEXTURE_SIZE, s->plane);
    s->cube = limit_or(GL_MAX_CUBE_MAP_TEXTURE_SIZE, s->plane);
    s->rectangle = limit_or(GL_MAX_RECTANGLE_TEXTURE_SIZE, s->plane);
    s->layers = limit_or(GL_MAX_ARRAY_TEXTURE_LAYERS, s->plane);
    s->renderbuffer = limit_or(GL_MAX_RENDERBUFFER_SIZE, s->plane);
    xg_glr_procs.glGetInternalformativ(GL_RENDERBUFFER, GL_RGBA8, GL_SAMPLES,
                                       XG_ARRAY_LEN(s->samples), s->samples);
    for (int i = 0; i < 8 && xg_glr_procs.glGetError(); i++)
        ; /* contexts that have no such limit */
    c->sizes = s;
    return s;
}

/* A device uses the number of samples that was asked for, or the next larger one that it
 * supports. */
static uint32_t samples_made(const struct xg_glr_sizes *s, GLsizei asked)
{
    GLint least = 0;

    for (unsigned i = 0; asked > 0 && i < XG_ARRAY_LEN(s->samples); i++)
        if (s->samples[i] >= asked && (!least || s->samples[i] < least))
            least = s->samples[i];
    return asked <= 0 ? 0 : least ? (uint32_t)least : (uint32_t)(asked > 4 ? asked : 4);
}

/* The target that the texture is bound to: neither the proxy nor the cube's face. */
struct target {
    GLenum base, binding;
    uint32_t face, faces;
    bool proxy;
};

static struct target target_of(GLenum target)
{
    if (target - GL_TEXTURE_CUBE_MAP_POSITIVE_X < FACES)
        return (struct target){GL_TEXTURE_CUBE_MAP, GL_TEXTURE_BINDING_CUBE_MAP,
                               target - GL_TEXTURE_CUBE_MAP_POSITIVE_X, 1, false};
    switch (target) {
#define TARGET(name, faces)                                                                        \
    case GL_TEXTURE_##name:                                                                        \
        return (struct target){target, GL_TEXTURE_BINDING_##name, 0, faces, false};                \
    case GL_PROXY_TEXTURE_##name:                                                                  \
        return (struct target){GL_TEXTURE_##name, GL_TEXTURE_BINDING_##name, 0, faces, true};
        TARGET(1D, 1)
        TARGET(2D, 1)
        TARGET(3D, 1)
        TARGET(CUBE_MAP, FACES)
        TARGET(RECTANGLE, 1)
        TARGET(1D_ARRAY, 1)
        TARGET(2D_ARRAY, 1)
        TARGET(CUBE_MAP_ARRAY, 1)
        TARGET(2D_MULTISAMPLE, 1)
        TARGET(2D_MULTISAMPLE_ARRAY, 1)
#undef TARGET
    case GL_TEXTURE_BUFFER: return (struct target){target, GL_TEXTURE_BINDING_BUFFER, 0, 1, false};
    default: return (struct target){0};
    }
}

/* A proxy texture that is too large has sizes of 0, and this is not an error. The host gets a size
 * that is just too large, which it can compute with. */
static void proxy_refuse(GLenum target, GLint over)
{
    const struct xg_glr_procs *g = &xg_glr_procs;

    switch (target) {
    case GL_PROXY_TEXTURE_1D:
        g->glTexImage1D(target, 0, GL_RGBA8, over, 0, GL_RGBA, GL_UNSIGNED_BYTE, NULL);
        break;
    case GL_PROXY_TEXTURE_3D:
    case GL_PROXY_TEXTURE_2D_ARRAY:
    case GL_PROXY_TEXTURE_CUBE_MAP_ARRAY:
        g->glTexImage3D(target, 0, GL_RGBA8, over, over, 6, 0, GL_RGBA, GL_UNSIGNED_BYTE, NULL);
        break;
    case GL_PROXY_TEXTURE_2D_MULTISAMPLE:
        g->glTexImage2DMultisample(target, 1, GL_RGBA8, over, over, GL_TRUE);
        break;
    case GL_PROXY_TEXTURE_2D_MULTISAMPLE_ARRAY:
        g->glTexImage3DMultisample(target, 1, GL_RGBA8, over, over, 1, GL_TRUE);
        break;
    default:
        g->glTexImage2D(target, 0, GL_RGBA8, over, over, 0, GL_RGBA, GL_UNSIGNED_BYTE, NULL);
        break;
    }
}

/* Only sizes above the limits are refused here. Negative ones, and those that are too large only
 * for the level or the format, are refused by the host. */
static bool size_fits(struct xg_glr_context *c, GLenum target, const struct target *t,
                      int64_t width, int64_t height, int64_t depth)
{
    const struct xg_glr_sizes *s = sizes_get(c);
    GLint w, h, d;

    if (!s) {
        xg_glr_error(c, GL_OUT_OF_MEMORY);
        return false;
    }
    w = h = d = s->plane;
    switch (t->base) {
    case GL_TEXTURE_3D: w = h = d = s->volume; break;
    case GL_TEXTURE_CUBE_MAP: w = h = s->cube; break;
    case GL_TEXTURE_CUBE_MAP_ARRAY:
        w = h = s->cube;
        d = s->layers;
        break;
    case GL_TEXTURE_RECTANGLE: w = h = s->rectangle; break;
    case GL_TEXTURE_1D_ARRAY: h = s->layers; break;
    case GL_TEXTURE_2D_ARRAY:
    case GL_TEXTURE_2D_MULTISAMPLE_ARRAY: d = s->layers; break;
    default: break;
    }
    /* borders are allowed for */
    if (width <= w + 2 && height <= h + 2 && depth <= d + 2)
        return true;
    if (t->proxy)
        proxy_refuse(target, w + 1);
    else
        xg_glr_error(c, GL_INVALID_VALUE);
    return false;
}

/* --- textures --------------------------------------------------------------------------------- */

/* The default textures, which have no name, are recorded under names that the host never gives. */
#define DEFAULT_TEXTURE(base) (0xffff0000u | ((base)&0xffffu))

static GLuint bound_texture(const struct target *t)
{
    GLint name = 0;

    xg_glr_procs.glGetIntegerv(t->binding, &name);
    return name ? (GLuint)name : DEFAULT_TEXTURE(t->base);
}

static bool take_images(struct xg_glr_context *c, struct xg_glr_claim *k)
{
    struct xg_glr_texture *t;
    bool same = false;

    pthread_mutex_lock(&c->share->lock);
    t = texture_record(c, k->host);
    if (t) {
        k->old = t->bytes;
        k->now = images_now(t, k);
        same = k->levels == 1 && k->place < t->count &&
               !memcmp(&t->image[k->place], &k->image, sizeof(k->image));
    }
    pthread_mutex_unlock(&c->share->lock);
    if (!t) {
        xg_glr_error(c, GL_OUT_OF_MEMORY);
        return false;
    }
    return same || claim_take(c, k, XG_GLR_CLAIM_IMAGES);
}

static bool mipmaps_follow(struct xg_glr_context *c, GLenum base, GLint level)
{
    GLint on = 0, first = 0;

    if (c->api != XG_GL_COMPAT && c->api != XG_GL_ES1)
        return false;
    xg_glr_procs.glGetTexParameteriv(base, GL_GENERATE_MIPMAP, &on);
    if (on && c->api == XG_GL_COMPAT)
        xg_glr_procs.glGetTexParameteriv(base, GL_TEXTURE_BASE_LEVEL, &first);
    return on && level == first;
}

/* A texture that is declared to have more levels gets them all with the first. */
static bool levels_said(struct xg_glr_context *c, GLenum base)
{
    GLint first = 0, last = LEVELS;

    if (c->es_old)
        return false;
    xg_glr_procs.glGetTexParameteriv(base, GL_TEXTURE_BASE_LEVEL, &first);
    xg_glr_procs.glGetTexParameteriv(base, GL_TEXTURE_MAX_LEVEL, &last);
    return last < (GLint)LEVELS && last > first;
}

static bool claim_image(struct xg_glr_context *c, struct xg_glr_claim *k, GLenum target,
                        GLint level, const struct xg_glr_image *image, int64_t width,
                        int64_t height, int64_t depth)
{
    struct target t = target_of(target);

    *k = (struct xg_glr_claim){.image = *image, .levels = 1};
    if (!t.base || xg_glr_begun(c))
        return true; /* the host refuses it */
    if (!size_fits(c, target, &t, width, height, depth))
        return false;
    if (t.proxy || (width | height | depth) < 0 || level < 0 || level >= (GLint)LEVELS)
        return true;
    k->image.width = (uint32_t)width;
    k->image.height = (uint32_t)height;
    k->image.depth = (uint32_t)depth;
    if (c->list) {
        /* the list keeps the pixels, and makes the image when it is called */
        xg_glr_list_grows(c, 2 * xg_glr_image_bytes(&k->image));
        atomic_store(&c->share->image_lists, true);
        if (c->list_mode == GL_COMPILE)
            return !c->list_failed;
    }
    k->host = bound_texture(&t);
    k->target = t.base;
    k->faces = t.faces;
    k->place = (uint32_t)level * FACES + t.face;
    if (!image->samples && mipmaps_follow(c, t.base, level))
        k->levels = LEVELS - (uint32_t)level;
    k->image.whole =
        !image->samples && t.base != GL_TEXTURE_RECTANGLE && (level > 0 || levels_said(c, t.base));
    return take_images(c, k);
}

bool xg_glr_claim_image(struct xg_glr_context *c, struct xg_glr_claim *k, GLenum target,
                        GLint level, GLenum format, int64_t width, int64_t height, int64_t depth)
{
    struct xg_glr_image i = {.format = format};
    return claim_image(c, k, target, level, &i, width, height, depth);
}

bool xg_glr_claim_compressed(struct xg_glr_context *c, struct xg_glr_claim *k, GLenum target,
                             GLint level, GLenum format, int64_t width, int64_t height,
                             int64_t depth, int64_t bytes)
{
    struct xg_glr_image i = {.format = format, .compressed = bytes > 0 ? (uint64_t)bytes : 0};
    return claim_image(c, k, target, level, &i, width, height, depth);
}

bool xg_glr_claim_samples(struct xg_glr_context *c, struct xg_glr_claim *k, GLenum target,
                          GLsizei samples, GLenum format, int64_t width, int64_t height,
                          int64_t depth)
{
    struct xg_glr_image i = {.format = format, .samples = samples > 0 ? (uint32_t)samples : 0};
    const struct xg_glr_sizes *s = xg_glr_begun(c) ? NULL : sizes_get(c);

    if (s)
        i.samples = samples_made(s, samples);
    return claim_image(c, k, target, 0, &i, width, height, depth);
}

static bool claim_storage(struct xg_glr_context *c, struct xg_glr_claim *k, GLenum target,
                          const struct target *t, GLsizei levels, GLsizei samples, GLenum format,
                          int64_t width, int64_t height, int64_t depth)
{
    if (!size_fits(c, target, t, width, height, depth))
        return false;
    if (t->proxy || width < 1 || height < 1 || depth < 1 || levels < 1)
        return true;
    k->image = (struct xg_glr_image){.width = (uint32_t)width,
                                     .height = (uint32_t)height,
                                     .depth = (uint32_t)depth,
                                     .format = format,
                                     .samples = samples_made(sizes_get(c), samples)};
    k->now =
        xg_glr_chain_bytes(k->image, t->base, (uint32_t)levels) * t->faces + XG_GLR_STORAGE_COST;
    return claim_take(c, k, XG_GLR_CLAIM_STORAGE);
}

bool xg_glr_claim_storage(struct xg_glr_context *c, struct xg_glr_claim *k, GLenum target,
                          GLsizei levels, GLsizei samples, GLenum format, int64_t width,
                          int64_t height, int64_t depth)
{
    struct target t = target_of(target);

    *k = (struct xg_glr_claim){0};
    if (!t.base || xg_glr_begun(c))
        return true;
    k->host = bound_texture(&t);
    return claim_storage(c, k, target, &t, levels, samples, format, width, height, depth);
}

/* The target of a texture, where the host cannot be asked for it: a texture can be bound only to
 * its own target. */
static struct target target_of_named(const struct xg_glr_context *c, GLuint texture)
{
    static const GLenum all[] = {GL_TEXTURE_2D,
                                 GL_TEXTURE_CUBE_MAP,
                                 GL_TEXTURE_2D_ARRAY,
                                 GL_TEXTURE_3D,
                                 GL_TEXTURE_1D,
                                 GL_TEXTURE_1D_ARRAY,
                                 GL_TEXTURE_CUBE_MAP_ARRAY,
                                 GL_TEXTURE_RECTANGLE,
                                 GL_TEXTURE_2D_MULTISAMPLE,
                                 GL_TEXTURE_2D_MULTISAMPLE_ARRAY};
    const struct xg_glr_procs *g = &xg_glr_procs;
    struct target t = {0};

    if (!texture || texture == XG_GLR_UNKNOWN || !g->glIsTexture(texture))
        return t; /* the host refuses it */
    if (c->list)
        return target_of(GL_TEXTURE_CUBE_MAP); /* the largest: a bind call would be compiled into
                                                * the list */
    for (unsigned i = 0; i < XG_ARRAY_LEN(all); i++) {
        GLint was = 0, now = 0;

        t = target_of(all[i]);
        g->glGetIntegerv(t.binding, &was);
        if ((GLuint)was == texture)
            return t;
        g->glBindTexture(all[i], texture);
        g->glGetIntegerv(t.binding, &now);
        (void)g->glGetError();
        if ((GLuint)now != texture)
            continue;
        g->glBindTexture(all[i], (GLuint)was);
        return t;
    }
    return (struct target){0};
}

bool xg_glr_claim_named_storage(struct xg_glr_context *c, struct xg_glr_claim *k, GLuint texture,
                                GLsizei levels, GLsizei samples, GLenum format, int64_t width,
                                int64_t height, int64_t depth)
{
    struct target t = {0};

    *k = (struct xg_glr_claim){.host = texture};
    if (xg_glr_begun(c))
        return true;
    host_error(c);
    t = target_of_named(c, texture);
    if (!t.base)
        return true;
    return claim_storage(c, k, t.base, &t, levels, samples, format, width, height, depth);
}

static bool claim_mipmap(struct xg_glr_context *c, struct xg_glr_claim *k, const struct target *t,
                         GLuint host, GLint base)
{
    struct xg_glr_texture *x;
    uint32_t place = (uint32_t)base * FACES;

    *k = (struct xg_glr_claim){.host = host,
                               .target = t->base,
                               .faces = t->faces,
                               .place = place + FACES,
                               .levels = LEVELS - (uint32_t)base - 1};
    pthread_mutex_lock(&c->share->lock);
    x = record_of(c, XG_GL_SPACE_TEXTURE, host);
    if (x && place < x->count)
        k->image = x->image[place];
    pthread_mutex_unlock(&c->share->lock);
    /* if there is no first level the host refuses it; immutable storage has all levels already */
    return !x || x->storage || !xg_glr_image_next(&k->image, t->base) || take_images(c, k);
}

bool xg_glr_claim_mipmap(struct xg_glr_context *c, struct xg_glr_claim *k, GLenum target)
{
    struct target t = target_of(target);
    GLint base = 0;

    *k = (struct xg_glr_claim){0};
    if (!t.base || t.proxy || xg_glr_begun(c))
        return true;
    if (!c->es_old)
        xg_glr_procs.glGetTexParameteriv(t.base, GL_TEXTURE_BASE_LEVEL, &base);
    return base < 0 || base >= (GLint)LEVELS - 1 || claim_mipmap(c, k, &t, bound_texture(&t), base);
}

bool xg_glr_claim_named_mipmap(struct xg_glr_context *c, struct xg_glr_claim *k, GLuint texture)
{
    struct target t;
    GLint base = 0;

    *k = (struct xg_glr_claim){0};
    if (xg_glr_begun(c))
        return true;
    host_error(c);
    t = target_of_named(c, texture);
    if (!t.base)
        return true;
    xg_glr_procs.glGetTextureParameteriv(texture, GL_TEXTURE_BASE_LEVEL, &base);
    return base < 0 || base >= (GLint)LEVELS - 1 || claim_mipmap(c, k, &t, texture, base);
}

bool xg_glr_claim_view(struct xg_glr_context *c, struct xg_glr_claim *k, GLuint texture,
                       GLuint original)
{
    *k = (struct xg_glr_claim){.host = texture, .other = original};
    return xg_glr_begun(c) || claim_take(c, k, XG_GLR_CLAIM_VIEW);
}

bool xg_glr_claim_texture_buffer(struct xg_glr_context *c, struct xg_glr_claim *k, GLenum target,
                                 GLuint buffer)
{
    struct target t = target_of(target);

    *k = (struct xg_glr_claim){.other = buffer};
    if (t.base != GL_TEXTURE_BUFFER || xg_glr_begun(c))
        return true;
    k->host = bound_texture(&t);
    return claim_take(c, k, XG_GLR_CLAIM_TEXTURE_BUFFER);
}

bool xg_glr_claim_named_texture_buffer(struct xg_glr_context *c, struct xg_glr_claim *k,
                                       GLuint texture, GLuint buffer)
{
    *k = (struct xg_glr_claim){.host = texture, .other = buffer};
    return !texture || texture == XG_GLR_UNKNOWN || xg_glr_begun(c) ||
           claim_take(c, k, XG_GLR_CLAIM_TEXTURE_BUFFER);
}

/* --- buffers and renderbuffers ---------------------------------------------------------------- */

bool xg_glr_claim_bytes(struct xg_glr_context *c, struct xg_glr_claim *k, struct xg_glr_map *map,
                        struct xg_glr_ledger *ledger, GLuint host, uint64_t bytes)
{
    bool room;

    *k = (struct xg_glr_claim){.map = map, .ledger = ledger, .host = host, .now = bytes};
    pthread_mutex_lock(&c->share->lock);
    k->old = xg_glr_map_get(map, host);
    room = k->old || xg_glr_map_set(map, host, 1); /* makes the page for it */
    if (!k->old && room)
        xg_glr_map_set(map, host, 0);
    pthread_mutex_unlock(&c->share->lock);
    if (k->old == k->now) {
        /* The new data replaces as many bytes, which the device may still use. Of two threads that
         * add at once one may be lost, which is near enough. */
        atomic_store_explicit(&c->share->freed,
                              atomic_load_explicit(&c->share->freed, memory_order_relaxed) + k->now,
                              memory_order_relaxed);
        xg_glr_freed_wait(c);
        return true;
    }
    if (room)
        return claim_take(c, k, XG_GLR_CLAIM_BYTES);
    xg_glr_error(c, GL_OUT_OF_MEMORY);
    return false;
}

static bool claim_data(struct xg_glr_context *c, struct xg_glr_claim *k, enum xg_gl_space space,
                       GLuint host, uint64_t bytes)
{
    return xg_glr_claim_bytes(c, k, &c->share->names[space].held, &c->share->ledger, host,
                              bytes ? bytes + XG_GLR_STORAGE_COST : 0);
}

static GLenum buffer_binding(GLenum target)
{
    switch (target) {
    case GL_ARRAY_BUFFER: return GL_ARRAY_BUFFER_BINDING;
    case GL_ELEMENT_ARRAY_BUFFER: return GL_ELEMENT_ARRAY_BUFFER_BINDING;
    case GL_PIXEL_PACK_BUFFER: return GL_PIXEL_PACK_BUFFER_BINDING;
    case GL_PIXEL_UNPACK_BUFFER: return GL_PIXEL_UNPACK_BUFFER_BINDING;
    case GL_COPY_READ_BUFFER: return GL_COPY_READ_BUFFER_BINDING;
    case GL_COPY_WRITE_BUFFER: return GL_COPY_WRITE_BUFFER_BINDING;
    case GL_UNIFORM_BUFFER: return GL_UNIFORM_BUFFER_BINDING;
    case GL_TEXTURE_BUFFER: return GL_TEXTURE_BUFFER; /* not ..._BINDING: GL defines it like this */
    case GL_DRAW_INDIRECT_BUFFER: return GL_DRAW_INDIRECT_BUFFER_BINDING;
    case GL_DISPATCH_INDIRECT_BUFFER: return GL_DISPATCH_INDIRECT_BUFFER_BINDING;
    case GL_QUERY_BUFFER: return GL_QUERY_BUFFER_BINDING;
    case GL_ATOMIC_COUNTER_BUFFER: return GL_ATOMIC_COUNTER_BUFFER_BINDING;
    case GL_SHADER_STORAGE_BUFFER: return GL_SHADER_STORAGE_BUFFER_BINDING;
    case GL_TRANSFORM_FEEDBACK_BUFFER: return GL_TRANSFORM_FEEDBACK_BUFFER_BINDING;
    case GL_PARAMETER_BUFFER: return GL_PARAMETER_BUFFER_BINDING;
    default: return 0;
    }
}

bool xg_glr_claim_buffer(struct xg_glr_context *c, struct xg_glr_claim *k, GLenum target,
                         int64_t bytes)
{
    GLenum binding = buffer_binding(target);
    GLint host = 0;

    *k = (struct xg_glr_claim){0};
    if (!binding || bytes < 0 || xg_glr_begun(c))
        return true;
    xg_glr_procs.glGetIntegerv(binding, &host);
    return !host || claim_data(c, k, XG_GL_SPACE_BUFFER, (GLuint)host, (uint64_t)bytes);
}

bool xg_glr_claim_named_buffer(struct xg_glr_context *c, struct xg_glr_claim *k, GLuint buffer,
                               int64_t bytes)
{
    *k = (struct xg_glr_claim){0};
    return !buffer || buffer == XG_GLR_UNKNOWN || bytes < 0 || xg_glr_begun(c) ||
           claim_data(c, k, XG_GL_SPACE_BUFFER, buffer, (uint64_t)bytes);
}

bool xg_glr_claim_named_renderbuffer(struct xg_glr_context *c, struct xg_glr_claim *k,
                                     GLuint renderbuffer, GLsizei samples, GLenum format,
                                     int64_t width, int64_t height)
{
    const struct xg_glr_sizes *s;
    struct xg_glr_image i = {.depth = 1, .format = format};

    *k = (struct xg_glr_claim){0};
    if (!renderbuffer || renderbuffer == XG_GLR_UNKNOWN || xg_glr_begun(c) ||
        (width | height) < 0 || samples < 0)
        return true;
    s = sizes_get(c);
    if (!s || width > s->renderbuffer || height > s->renderbuffer) {
        xg_glr_error(c, s ? GL_INVALID_VALUE : GL_OUT_OF_MEMORY);
        return false;
    }
    i.width = (uint32_t)width;
    i.height = (uint32_t)height;
    i.samples = samples_made(s, samples);
    return claim_data(c, k, XG_GL_SPACE_RENDERBUFFER, renderbuffer, xg_glr_image_bytes(&i));
}

bool xg_glr_claim_renderbuffer(struct xg_glr_context *c, struct xg_glr_claim *k, GLsizei samples,
                               GLenum format, int64_t width, int64_t height)
{
    GLint host = 0;

    *k = (struct xg_glr_claim){0};
    if (xg_glr_begun(c))
        return true;
    xg_glr_procs.glGetIntegerv(GL_RENDERBUFFER_BINDING, &host);
    return xg_glr_claim_named_renderbuffer(c, k, (GLuint)host, samples, format, width, height);
}
