/*
 * glGet*: limits come from the snapshot, client state and bindings are known here, and a shadow
 * follows the rest of what programs like to ask for.
 * What is left costs a round trip, and its answer is kept until a command changes it, where that
 * can be told.
 */
#include "interposer/gl/state.h"

#include "gl/send.h"
#include "gl/shadow.h"
#include "gl/stubs.h"

#include <math.h>

void xg_gl_shadow_invalidate(struct xg_gl_context *c)
{
    struct xg_gl_shadow *s = &c->state->shadow;
    s->valid[0] = s->valid[1] = 0;
    s->cap_valid[0] = s->cap_valid[1] = 0;
}

/* --- enables
 * -------------------------------------------------------------------------------------------------
 */

/* Capabilities that do not depend on the texture unit or an index. */
static const GLenum caps[] = {
    GL_ALPHA_TEST,
    GL_AUTO_NORMAL,
    GL_BLEND,
    GL_CLIP_PLANE0,
    GL_CLIP_PLANE1,
    GL_CLIP_PLANE2,
    GL_CLIP_PLANE3,
    GL_CLIP_PLANE4,
    GL_CLIP_PLANE5,
    GL_COLOR_LOGIC_OP,
    GL_COLOR_MATERIAL,
    GL_COLOR_SUM,
    GL_CULL_FACE,
    GL_DEPTH_CLAMP,
    GL_DEPTH_TEST,
    GL_DITHER,
    GL_FOG,
    GL_FRAMEBUFFER_SRGB,
    GL_INDEX_LOGIC_OP,
    GL_LIGHT0,
    GL_LIGHT1,
    GL_LIGHT2,
    GL_LIGHT3,
    GL_LIGHT4,
    GL_LIGHT5,
    GL_LIGHT6,
    GL_LIGHT7,
    GL_LIGHTING,
    GL_LINE_SMOOTH,
    GL_LINE_STIPPLE,
    GL_MULTISAMPLE,
    GL_NORMALIZE,
    GL_POINT_SMOOTH,
    GL_POINT_SPRITE,
    GL_POLYGON_OFFSET_FILL,
    GL_POLYGON_OFFSET_LINE,
    GL_POLYGON_OFFSET_POINT,
    GL_POLYGON_SMOOTH,
    GL_POLYGON_STIPPLE,
    GL_PRIMITIVE_RESTART,
    GL_PRIMITIVE_RESTART_FIXED_INDEX,
    GL_PROGRAM_POINT_SIZE,
    GL_RASTERIZER_DISCARD,
    GL_RESCALE_NORMAL,
    GL_SAMPLE_ALPHA_TO_COVERAGE,
    GL_SAMPLE_ALPHA_TO_ONE,
    GL_SAMPLE_COVERAGE,
    GL_SAMPLE_MASK,
    GL_SAMPLE_SHADING,
    GL_SCISSOR_TEST,
    GL_STENCIL_TEST,
    GL_TEXTURE_CUBE_MAP_SEAMLESS,
    GL_VERTEX_PROGRAM_TWO_SIDE,
    GL_VERTEX_PROGRAM_ARB,
    GL_FRAGMENT_PROGRAM_ARB,
};
_Static_assert(sizeof(caps) / sizeof(caps[0]) <= XG_CAPS_MAX, "more capabilities than bits");

static int cap_index(GLenum cap)
{
    static uint8_t table[65536]; /* place + 1; written once, with equal values whoever does it */
    static _Atomic bool ready;

    if (XG_UNLIKELY(!atomic_load_explicit(&ready, memory_order_acquire))) {
        for (unsigned i = 0; i < XG_ARRAY_LEN(caps); i++)
            table[caps[i]] = (uint8_t)(i + 1);
        atomic_store_explicit(&ready, true, memory_order_release);
    }
    return cap < 65536 ? table[cap] - 1 : -1;
}

static void cap_set(struct xg_gl_context *c, GLenum cap, bool on)
{
    struct xg_gl_shadow *s = &c->state->shadow;
    int i = cap_index(cap);

    if (cap == GL_PRIMITIVE_RESTART || cap == GL_PRIMITIVE_RESTART_NV)
        c->state->restart = on;
    else if (cap == GL_PRIMITIVE_RESTART_FIXED_INDEX)
        c->state->restart_fixed = on;
    if (i < 0 || xg_gl_compiling(c))
        return;
    s->cap_valid[i / 64] |= 1ull << (i % 64);
    if (on)
        s->cap[i / 64] |= 1ull << (i % 64);
    else
        s->cap[i / 64] &= ~(1ull << (i % 64));
}

/* Old programs enable arrays with glEnable. */
static bool is_array(GLenum cap)
{
    return (cap >= GL_VERTEX_ARRAY && cap <= GL_EDGE_FLAG_ARRAY) || cap == GL_FOG_COORD_ARRAY ||
           cap == GL_SECONDARY_COLOR_ARRAY;
}

void xg_stub_glEnable(GLenum cap)
{
    struct xg_gl_context *c = xg_gl_current;
    if (!c)
        return;
    if (XG_UNLIKELY(is_array(cap))) {
        xg_stub_glEnableClientState(cap);
        return;
    }
    cap_set(c, cap, true);
    xg_gl_send_glEnable(c, cap);
}

void xg_stub_glDisable(GLenum cap)
{
    struct xg_gl_context *c = xg_gl_current;
    if (!c)
        return;
    if (XG_UNLIKELY(is_array(cap))) {
        xg_stub_glDisableClientState(cap);
        return;
    }
    cap_set(c, cap, false);
    xg_gl_send_glDisable(c, cap);
}

/* Of an indexed capability the plain one is element 0. */
static void cap_forget(struct xg_gl_context *c, GLenum cap)
{
    int i = cap_index(cap);
    if (i >= 0)
        c->state->shadow.cap_valid[i / 64] &= ~(1ull << (i % 64));
}

void xg_stub_glEnablei(GLenum target, GLuint index)
{
    struct xg_gl_context *c = xg_gl_current;
    if (!c)
        return;
    cap_forget(c, target);
    xg_gl_send_glEnablei(c, target, index);
}

void xg_stub_glDisablei(GLenum target, GLuint index)
{
    struct xg_gl_context *c = xg_gl_current;
    if (!c)
        return;
    cap_forget(c, target);
    xg_gl_send_glDisablei(c, target, index);
}

static int array_enabled(struct xg_gl_context *c, GLenum cap)
{
    unsigned slot;

    switch (cap) {
    case GL_VERTEX_ARRAY: slot = XG_ARRAY_VERTEX; break;
    case GL_NORMAL_ARRAY: slot = XG_ARRAY_NORMAL; break;
    case GL_COLOR_ARRAY: slot = XG_ARRAY_COLOR; break;
    case GL_SECONDARY_COLOR_ARRAY: slot = XG_ARRAY_SECONDARY; break;
    case GL_FOG_COORD_ARRAY: slot = XG_ARRAY_FOG; break;
    case GL_INDEX_ARRAY: slot = XG_ARRAY_INDEX; break;
    case GL_EDGE_FLAG_ARRAY: slot = XG_ARRAY_EDGE; break;
    case GL_TEXTURE_COORD_ARRAY: slot = XG_ARRAY_TEX + c->state->client_texture; break;
    default: return -1;
    }
    return c->state->vao->enabled >> slot & 1;
}

GLboolean xg_stub_glIsEnabled(GLenum cap)
{
    struct xg_gl_context *c = xg_gl_current;
    struct xg_gl_shadow *s;
    int i, on;
    GLboolean value;

    if (!c)
        return GL_FALSE;
    s = &c->state->shadow;
    if ((on = array_enabled(c, cap)) >= 0)
        return (GLboolean)on;
    i = cap_index(cap);
    if (i >= 0 && !c->state->strict && s->cap_valid[i / 64] >> (i % 64) & 1)
        return s->cap[i / 64] >> (i % 64) & 1;
    value = xg_gl_send_glIsEnabled(c, cap);
    if (i >= 0) {
        s->cap_valid[i / 64] |= 1ull << (i % 64);
        s->cap[i / 64] = (s->cap[i / 64] & ~(1ull << (i % 64))) | (uint64_t)(value != 0)
                                                                      << (i % 64);
    }
    return value;
}

/* --- values
 * ----------------------------------------------------------------------------------------------------
 */

struct answer {
    unsigned count;
    bool real;
    int64_t i[4];
    double d[4];
};

static bool is_int(struct answer *a, int64_t v)
{
    a->count = 1;
    a->real = false;
    a->i[0] = v;
    return true;
}

static bool store_state(const struct xg_gl_pixel_store *s, GLenum pname, GLenum base,
                        struct answer *a)
{
    switch (pname -
            base) { /* UNPACK_SWAP_BYTES .. UNPACK_ALIGNMENT are consecutive, PACK likewise */
    case 0: return is_int(a, s->swap);
    case 1: return is_int(a, s->lsb);
    case 2: return is_int(a, s->row_length);
    case 3: return is_int(a, s->skip_rows);
    case 4: return is_int(a, s->skip_pixels);
    case 5: return is_int(a, s->alignment);
    default: return false;
    }
}

static bool array_state(struct xg_gl_context *c, GLenum pname, struct answer *a)
{
    const struct xg_gl_array *v = c->state->vao->array;
    const struct xg_gl_array *t = &v[XG_ARRAY_TEX + c->state->client_texture];
    int on = array_enabled(c, pname);

    if (on >= 0)
        return is_int(a, on);
    switch (pname) {
    case GL_VERTEX_ARRAY_SIZE: return is_int(a, v[XG_ARRAY_VERTEX].size);
    case GL_VERTEX_ARRAY_TYPE: return is_int(a, v[XG_ARRAY_VERTEX].type);
    case GL_VERTEX_ARRAY_STRIDE: return is_int(a, v[XG_ARRAY_VERTEX].stride);
    case GL_NORMAL_ARRAY_TYPE: return is_int(a, v[XG_ARRAY_NORMAL].type);
    case GL_NORMAL_ARRAY_STRIDE: return is_int(a, v[XG_ARRAY_NORMAL].stride);
    case GL_COLOR_ARRAY_SIZE: return is_int(a, v[XG_ARRAY_COLOR].size);
    case GL_COLOR_ARRAY_TYPE: return is_int(a, v[XG_ARRAY_COLOR].type);
    case GL_COLOR_ARRAY_STRIDE: return is_int(a, v[XG_ARRAY_COLOR].stride);
    case GL_SECONDARY_COLOR_ARRAY_SIZE: return is_int(a, v[XG_ARRAY_SECONDARY].size);
    case GL_SECONDARY_COLOR_ARRAY_TYPE: return is_int(a, v[XG_ARRAY_SECONDARY].type);
    case GL_SECONDARY_COLOR_ARRAY_STRIDE: return is_int(a, v[XG_ARRAY_SECONDARY].stride);
    case GL_FOG_COORD_ARRAY_TYPE: return is_int(a, v[XG_ARRAY_FOG].type);
    case GL_FOG_COORD_ARRAY_STRIDE: return is_int(a, v[XG_ARRAY_FOG].stride);
    case GL_INDEX_ARRAY_TYPE: return is_int(a, v[XG_ARRAY_INDEX].type);
    case GL_INDEX_ARRAY_STRIDE: return is_int(a, v[XG_ARRAY_INDEX].stride);
    case GL_EDGE_FLAG_ARRAY_STRIDE: return is_int(a, v[XG_ARRAY_EDGE].stride);
    case GL_TEXTURE_COORD_ARRAY_SIZE: return is_int(a, t->size);
    case GL_TEXTURE_COORD_ARRAY_TYPE: return is_int(a, t->type);
    case GL_TEXTURE_COORD_ARRAY_STRIDE: return is_int(a, t->stride);
    case GL_VERTEX_ARRAY_BUFFER_BINDING: return is_int(a, v[XG_ARRAY_VERTEX].buffer);
    case GL_NORMAL_ARRAY_BUFFER_BINDING: return is_int(a, v[XG_ARRAY_NORMAL].buffer);
    case GL_COLOR_ARRAY_BUFFER_BINDING: return is_int(a, v[XG_ARRAY_COLOR].buffer);
    case GL_SECONDARY_COLOR_ARRAY_BUFFER_BINDING: return is_int(a, v[XG_ARRAY_SECONDARY].buffer);
    case GL_FOG_COORD_ARRAY_BUFFER_BINDING: return is_int(a, v[XG_ARRAY_FOG].buffer);
    case GL_INDEX_ARRAY_BUFFER_BINDING: return is_int(a, v[XG_ARRAY_INDEX].buffer);
    case GL_EDGE_FLAG_ARRAY_BUFFER_BINDING: return is_int(a, v[XG_ARRAY_EDGE].buffer);
    case GL_TEXTURE_COORD_ARRAY_BUFFER_BINDING: return is_int(a, t->buffer);
    default: return false;
    }
}

static bool binding_state(struct xg_gl_context *c, GLenum pname, struct answer *a)
{
    const struct xg_gl_state *s = c->state;

    switch (pname) {
    case GL_ARRAY_BUFFER_BINDING: return is_int(a, s->array_buffer);
    case GL_ELEMENT_ARRAY_BUFFER_BINDING: return is_int(a, s->vao->element_buffer);
    case GL_PIXEL_PACK_BUFFER_BINDING: return is_int(a, s->pack_buffer);
    case GL_PIXEL_UNPACK_BUFFER_BINDING: return is_int(a, s->unpack_buffer);
    case GL_COPY_READ_BUFFER_BINDING: return is_int(a, s->copy_read_buffer);
    case GL_COPY_WRITE_BUFFER_BINDING: return is_int(a, s->copy_write_buffer);
    case GL_DRAW_INDIRECT_BUFFER_BINDING: return is_int(a, s->draw_indirect_buffer);
    case GL_DISPATCH_INDIRECT_BUFFER_BINDING: return is_int(a, s->dispatch_indirect_buffer);
    case GL_VERTEX_ARRAY_BINDING: return is_int(a, s->vertex_array);
    case GL_DRAW_FRAMEBUFFER_BINDING: return is_int(a, s->draw_framebuffer);
    case GL_READ_FRAMEBUFFER_BINDING: return is_int(a, s->read_framebuffer);
    case GL_RENDERBUFFER_BINDING: return is_int(a, s->renderbuffer);
    case GL_CURRENT_PROGRAM: return is_int(a, s->program);
    case GL_CLIENT_ACTIVE_TEXTURE: return is_int(a, GL_TEXTURE0 + s->client_texture);
    case GL_CLIENT_ATTRIB_STACK_DEPTH: return is_int(a, s->client_depth);
    case GL_RENDER_MODE: return is_int(a, s->render_mode);
    default: return false;
    }
}

static bool known(struct xg_gl_context *c, GLenum pname, struct answer *a)
{
    const struct xg_gl_state *s = c->state;
    const struct xg_gl_limit *l;

    if (pname >= GL_UNPACK_SWAP_BYTES && pname <= GL_UNPACK_ALIGNMENT)
        return store_state(&s->unpack, pname, GL_UNPACK_SWAP_BYTES, a);
    if (pname >= GL_PACK_SWAP_BYTES && pname <= GL_PACK_ALIGNMENT)
        return store_state(&s->pack, pname, GL_PACK_SWAP_BYTES, a);
    switch (pname) {
    case GL_UNPACK_SKIP_IMAGES: return is_int(a, s->unpack.skip_images);
    case GL_UNPACK_IMAGE_HEIGHT: return is_int(a, s->unpack.image_height);
    case GL_PACK_SKIP_IMAGES: return is_int(a, s->pack.skip_images);
    case GL_PACK_IMAGE_HEIGHT: return is_int(a, s->pack.image_height);
    case GL_MAJOR_VERSION: return is_int(a, s->major);
    case GL_MINOR_VERSION: return is_int(a, s->minor);
    case GL_NUM_EXTENSIONS: return is_int(a, s->extension_count);
    case GL_DOUBLEBUFFER:
        return s->draw_framebuffer || !s->draw.width ? false : is_int(a, s->draw.double_buffered);
    case GL_STEREO: return is_int(a, s->draw.stereo);
    default: break;
    }
    if ((l = xg_gl_limit_find(s, pname))) {
        a->count = l->count;
        a->real = false;
        for (unsigned i = 0; i < l->count; i++) {
            a->i[i] = l->i[i];
            a->d[i] = l->d[i];
            a->real |= l->d[i] != (double)l->i[i];
        }
        return true;
    }
    return binding_state(c, pname, a) ||
           (c->api != XG_GL_CORE && c->api != XG_GL_ES2 && array_state(c, pname, a));
}

/* A shadowed piece of state; asks the host once if it is not known now. */
static bool shadowed(struct xg_gl_context *c, GLenum pname, bool real, struct answer *a)
{
    struct xg_gl_shadow *s = &c->state->shadow;
    char kind;
    unsigned count;
    int slot = xg_gl_slot_of(pname, &kind, &count);

    if (slot < 0) {
        int cap = cap_index(pname);
        return cap >= 0 && is_int(a, xg_stub_glIsEnabled(pname));
    }
    if (c->state->strict || (kind == 'n' && !real))
        return false;
    if (!(s->valid[slot / 64] >> (slot % 64) & 1)) {
        if (kind == 'i') {
            GLint v[1024] = {0};
            xg_gl_send_glGetIntegerv(c, pname, v);
            memcpy(s->value[slot].i, v, 16);
        } else {
            GLfloat v[64] = {0};
            xg_gl_send_glGetFloatv(c, pname, v);
            memcpy(s->value[slot].f, v, 16);
        }
        s->valid[slot / 64] |= 1ull << (slot % 64);
    }
    a->count = count;
    a->real = kind != 'i';
    for (unsigned i = 0; i < count; i++) {
        a->i[i] = s->value[slot].i[i];
        a->d[i] = (double)s->value[slot].f[i];
    }
    return true;
}

static bool answered(struct xg_gl_context *c, GLenum pname, bool real, struct answer *a)
{
    if (c->state->in_begin) {
        xg_gl_error(c, GL_INVALID_OPERATION);
        a->count = 0;
        return true;
    }
    return known(c, pname, a) || shadowed(c, pname, real, a);
}

#define GET(Name, Type, wants_real, from_int, from_real)                                           \
    void xg_stub_glGet##Name(GLenum pname, Type *data)                                             \
    {                                                                                              \
        struct xg_gl_context *c = xg_gl_current;                                                   \
        struct answer a;                                                                           \
        if (!c || !data)                                                                           \
            return;                                                                                \
        if (!answered(c, pname, wants_real, &a)) {                                                 \
            xg_gl_send_glGet##Name(c, pname, data);                                                \
            return;                                                                                \
        }                                                                                          \
        for (unsigned k = 0; k < a.count; k++) {                                                   \
            int64_t i = a.i[k];                                                                    \
            double d = a.d[k];                                                                     \
            (void)i, (void)d;                                                                      \
            data[k] = a.real ? (Type)(from_real) : (Type)(from_int);                               \
        }                                                                                          \
    }
GET(Integerv, GLint, false, i, llround(d))
GET(Integer64v, GLint64, false, i, llround(d))
GET(Floatv, GLfloat, true, i, d)
GET(Doublev, GLdouble, true, i, d)
GET(Booleanv, GLboolean, true, i != 0, d != 0)
GET(Fixedv, GLfixed, true, i * 65536, llround(d * 65536))
