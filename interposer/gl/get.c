/*
 * glGet*: limits come from the snapshot, client state and bindings are known here, and a shadow
 * follows the other state that programs often ask for. For the rest the host is asked, which costs
 * a round trip; where it can be told which commands change the answer, it is kept until one of them
 * comes.
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

#define UNANSWERED 0x7a5a5a5a /* no state that is kept here has this value, as integer or float */

bool xg_gl_begun_slow(struct xg_gl_context *c)
{
    bool begun;

    if (c->state->begun == XG_BEGUN_YES)
        return true;
    begun = xg_gl_send_xgBegun(c);
    /* while a list is compiled, the host may be inside glBegin because of commands that it does not
     * execute yet */
    if (!c->state->list_mode)
        c->state->begun = begun ? XG_BEGUN_YES : XG_BEGUN_NO;
    return begun;
}

static bool ever_used(const struct xg_gl_context *c, uint32_t what)
{
    return XG_UNLIKELY(atomic_load_explicit(&c->share->ever, memory_order_relaxed) & what);
}

void xg_gl_list_ran(struct xg_gl_context *c)
{
    xg_gl_shadow_invalidate(c);
    c->state->attrib_depth = 0; /* a list may have popped what was pushed, or pushed more */
    if (!ever_used(c, UINT32_MAX))
        return;
    if (ever_used(c, XG_LIST_DIVISOR))
        c->state->vao->unsure = (1ull << c->state->max_attribs) - 1;
    if (ever_used(c, XG_LIST_PROGRAM))
        c->state->program_known = XG_PROGRAM_ASK;
    if (ever_used(c, XG_RESTART_INDEX))
        c->state->restart_index_unknown = true;
    if (ever_used(c, XG_LIST_BEGIN))
        c->state->begun = XG_BEGUN_MAYBE;
}

/* --- what the host accepts for sure ----------------------------------------------------------- */

static bool factor_ok(GLenum f)
{
    return f == GL_ZERO || f == GL_ONE || (f >= GL_SRC_COLOR && f <= GL_ONE_MINUS_DST_COLOR);
}

bool xg_gl_factors_ok(GLenum source, GLenum destination)
{
    return (factor_ok(source) || source == GL_SRC_ALPHA_SATURATE) && factor_ok(destination);
}

bool xg_gl_equation_ok(GLenum mode)
{
    return mode == GL_FUNC_ADD || mode == GL_FUNC_SUBTRACT || mode == GL_FUNC_REVERSE_SUBTRACT;
}

bool xg_gl_size_ok(const struct xg_gl_context *c, GLint x, GLint y, GLsizei width, GLsizei height)
{
    return width >= 0 && height >= 0 && (uint32_t)width <= c->state->max_viewport[0] &&
           (uint32_t)height <= c->state->max_viewport[1] && x >= -16384 && x <= 16384 &&
           y >= -16384 && y <= 16384;
}

/* --- enables ---------------------------------------------------------------------------------- */

enum {
    COMPAT = 1 << XG_GL_COMPAT,
    CORE = 1 << XG_GL_CORE,
    ES1 = 1 << XG_GL_ES1,
    ES2 = 1 << XG_GL_ES2
};

/* Capabilities that do not depend on the texture unit or an index, and the APIs that have them.
 * FIRST: the first version of each of these APIs has it, so no host refuses it. */
#define FIRST 256u
static const struct {
    GLenum cap;
    uint32_t apis;
} caps[] = {
    {GL_BLEND, FIRST | COMPAT | CORE | ES1 | ES2},
    {GL_CULL_FACE, FIRST | COMPAT | CORE | ES1 | ES2},
    {GL_DEPTH_TEST, FIRST | COMPAT | CORE | ES1 | ES2},
    {GL_DITHER, FIRST | COMPAT | CORE | ES1 | ES2},
    {GL_POLYGON_OFFSET_FILL, FIRST | COMPAT | CORE | ES1 | ES2},
    {GL_SAMPLE_ALPHA_TO_COVERAGE, COMPAT | CORE | ES1 | ES2},
    {GL_SAMPLE_COVERAGE, COMPAT | CORE | ES1 | ES2},
    {GL_SCISSOR_TEST, FIRST | COMPAT | CORE | ES1 | ES2},
    {GL_STENCIL_TEST, FIRST | COMPAT | CORE | ES1 | ES2},
    {GL_COLOR_LOGIC_OP, FIRST | COMPAT | CORE},
    {GL_DEPTH_CLAMP, COMPAT | CORE},
    {GL_FRAMEBUFFER_SRGB, COMPAT | CORE},
    {GL_LINE_SMOOTH, FIRST | COMPAT | CORE},
    {GL_MULTISAMPLE, COMPAT | CORE},
    {GL_POLYGON_OFFSET_LINE, FIRST | COMPAT | CORE},
    {GL_POLYGON_OFFSET_POINT, FIRST | COMPAT | CORE},
    {GL_POLYGON_SMOOTH, FIRST | COMPAT | CORE},
    {GL_PRIMITIVE_RESTART, COMPAT | CORE},
    {GL_PROGRAM_POINT_SIZE, COMPAT | CORE},
    {GL_SAMPLE_ALPHA_TO_ONE, COMPAT | CORE},
    {GL_TEXTURE_CUBE_MAP_SEAMLESS, COMPAT | CORE},
    {GL_CLIP_PLANE0, FIRST | COMPAT | CORE},
    {GL_CLIP_PLANE1, FIRST | COMPAT | CORE},
    {GL_CLIP_PLANE2, FIRST | COMPAT | CORE},
    {GL_CLIP_PLANE3, FIRST | COMPAT | CORE},
    {GL_CLIP_PLANE4, FIRST | COMPAT | CORE},
    {GL_CLIP_PLANE5, FIRST | COMPAT | CORE},
    {GL_PRIMITIVE_RESTART_FIXED_INDEX, COMPAT | CORE | ES2},
    {GL_RASTERIZER_DISCARD, COMPAT | CORE | ES2},
    {GL_SAMPLE_MASK, COMPAT | CORE | ES2},
    {GL_SAMPLE_SHADING, COMPAT | CORE | ES2},
    {GL_ALPHA_TEST, FIRST | COMPAT},
    {GL_AUTO_NORMAL, FIRST | COMPAT},
    {GL_COLOR_MATERIAL, FIRST | COMPAT},
    {GL_COLOR_SUM, COMPAT},
    {GL_FOG, FIRST | COMPAT},
    {GL_INDEX_LOGIC_OP, FIRST | COMPAT},
    {GL_LIGHT0, FIRST | COMPAT},
    {GL_LIGHT1, FIRST | COMPAT},
    {GL_LIGHT2, FIRST | COMPAT},
    {GL_LIGHT3, FIRST | COMPAT},
    {GL_LIGHT4, FIRST | COMPAT},
    {GL_LIGHT5, FIRST | COMPAT},
    {GL_LIGHT6, FIRST | COMPAT},
    {GL_LIGHT7, FIRST | COMPAT},
    {GL_LIGHTING, FIRST | COMPAT},
    {GL_LINE_STIPPLE, FIRST | COMPAT},
    {GL_NORMALIZE, FIRST | COMPAT},
    {GL_POINT_SMOOTH, FIRST | COMPAT},
    {GL_POINT_SPRITE, COMPAT},
    {GL_POLYGON_STIPPLE, FIRST | COMPAT},
    {GL_PRIMITIVE_RESTART_NV, COMPAT},
    {GL_RESCALE_NORMAL, COMPAT},
    {GL_VERTEX_PROGRAM_TWO_SIDE, COMPAT},
    {GL_VERTEX_PROGRAM_ARB, COMPAT},
    {GL_FRAGMENT_PROGRAM_ARB, COMPAT},
};
_Static_assert(sizeof(caps) / sizeof(caps[0]) <= XG_CAPS_MAX, "more capabilities than bits");

static int cap_index(GLenum cap)
{
    static uint8_t table[65536]; /* index + 1; several threads may fill it, with the same values */
    static _Atomic bool ready;

    if (XG_UNLIKELY(!atomic_load_explicit(&ready, memory_order_acquire))) {
        for (unsigned i = 0; i < XG_ARRAY_LEN(caps); i++)
            table[caps[i].cap] = (uint8_t)(i + 1);
        atomic_store_explicit(&ready, true, memory_order_release);
    }
    return cap < 65536 ? table[cap] - 1 : -1;
}

/* Of an indexed capability, this forgets element 0, which is the plain one. */
static void cap_forget(struct xg_gl_context *c, GLenum cap)
{
    int i = cap_index(cap);
    if (i >= 0)
        c->state->shadow.cap_valid[i / 64] &= ~(1ull << (i % 64));
}

static void cap_store(struct xg_gl_context *c, int i, bool on)
{
    struct xg_gl_shadow *s = &c->state->shadow;
    uint64_t bit = 1ull << (i % 64);

    s->cap_valid[i / 64] |= bit;
    s->cap[i / 64] = on ? s->cap[i / 64] | bit : s->cap[i / 64] & ~bit;
}

/* GL refuses capabilities that this context does not have, and the error comes later. So such a
 * capability counts as enabled only when the host has said so. */
void xg_gl_cap_set(struct xg_gl_context *c, GLenum cap, bool on)
{
    int i = cap_index(cap);
    uint32_t used = cap == GL_PRIMITIVE_RESTART               ? XG_RESTART_PLAIN
                    : cap == GL_PRIMITIVE_RESTART_FIXED_INDEX ? XG_RESTART_FIXED
                    : cap == GL_PRIMITIVE_RESTART_NV          ? XG_RESTART_NV
                                                              : 0;

    if (used && on)
        atomic_fetch_or(&c->share->ever, used);
    if (used == XG_RESTART_PLAIN) /* drivers may keep one state for both */
        cap_forget(c, GL_PRIMITIVE_RESTART_NV);
    if (used == XG_RESTART_NV)
        cap_forget(c, GL_PRIMITIVE_RESTART);
    if (c->state->begun) /* after a glBegin that the host accepted, this is refused */
        cap_forget(c, cap);
    if (i < 0 || !xg_gl_settled(c))
        return;
    if (c->state->cap_exists[i / 64] >> (i % 64) & 1 ||
        ((caps[i].apis & FIRST) && caps[i].apis >> c->api & 1))
        cap_store(c, i, on);
    else if (on)
        cap_forget(c, cap);
}

static GLboolean cap_ask(struct xg_gl_context *c, GLenum cap, int i)
{
    GLboolean on = xg_gl_send_glIsEnabled(c, cap);

    if (i < 0)
        return on;
    if (on)
        c->state->cap_exists[i / 64] |= 1ull << (i % 64);
    if (on || caps[i].apis >> c->api & 1) /* otherwise it was an error, and will be one each time */
        cap_store(c, i, on);
    return on;
}

bool xg_gl_cap_now(struct xg_gl_context *c, GLenum cap)
{
    const struct xg_gl_shadow *s = &c->state->shadow;
    int i = cap_index(cap);

    if (i >= 0 && s->cap_valid[i / 64] >> (i % 64) & 1)
        return s->cap[i / 64] >> (i % 64) & 1;
    return cap_ask(c, cap, i);
}

uint32_t xg_gl_restart_index(struct xg_gl_context *c)
{
    struct xg_gl_state *s = c->state;
    GLint v[1024];

    if (s->restart_index_unknown) {
        v[0] = 0;
        xg_gl_send_glGetIntegerv(c, GL_PRIMITIVE_RESTART_INDEX, v);
        s->restart_index = (uint32_t)v[0];
        s->restart_index_unknown = false;
    }
    return s->restart_index;
}

void xg_gl_restart_forget(struct xg_gl_context *c)
{
    cap_forget(c, GL_PRIMITIVE_RESTART);
    cap_forget(c, GL_PRIMITIVE_RESTART_FIXED_INDEX);
    cap_forget(c, GL_PRIMITIVE_RESTART_NV);
    if (ever_used(c, XG_RESTART_INDEX))
        c->state->restart_index_unknown = true;
}

bool xg_gl_restart_fixed(struct xg_gl_context *c)
{
    return ever_used(c, XG_RESTART_FIXED) && xg_gl_cap_now(c, GL_PRIMITIVE_RESTART_FIXED_INDEX);
}

bool xg_gl_restart_plain(struct xg_gl_context *c)
{
    if (c->api != XG_GL_COMPAT && c->api != XG_GL_CORE)
        return false;
    return (ever_used(c, XG_RESTART_PLAIN | XG_RESTART_NV) &&
            xg_gl_cap_now(c, GL_PRIMITIVE_RESTART)) ||
           (c->api == XG_GL_COMPAT && ever_used(c, XG_RESTART_NV) &&
            xg_gl_cap_now(c, GL_PRIMITIVE_RESTART_NV));
}

int64_t xg_gl_restart(struct xg_gl_context *c, GLenum type)
{
    if (xg_gl_restart_fixed(c))
        return type == GL_UNSIGNED_BYTE ? 0xffu : type == GL_UNSIGNED_SHORT ? 0xffffu : 0xffffffffu;
    return xg_gl_restart_plain(c) ? (int64_t)xg_gl_restart_index(c) : -1;
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
    xg_gl_cap_set(c, cap, true);
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
    xg_gl_cap_set(c, cap, false);
    xg_gl_send_glDisable(c, cap);
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

    if (!xg_gl_old(c))
        return -1;
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
    int on;

    if (!c)
        return GL_FALSE;
    if (xg_gl_begun(c)) {
        xg_gl_error(c, GL_INVALID_OPERATION);
        return GL_FALSE;
    }
    if ((on = array_enabled(c, cap)) >= 0)
        return (GLboolean)on;
    return c->state->strict ? cap_ask(c, cap, cap_index(cap)) : xg_gl_cap_now(c, cap);
}

/* --- values ----------------------------------------------------------------------------------- */

struct get_answer {
    unsigned count;
    bool real;
    const int32_t *n; /* the host's answer to glGetIntegerv; then `i` comes from the host too */
    int64_t i[4];
    double d[4];
};

static bool is_int(struct get_answer *a, int64_t v)
{
    a->count = 1;
    a->real = false;
    a->i[0] = v;
    return true;
}

static bool store_state(const struct xg_gl_pixel_store *s, bool es, GLenum pname, GLenum base,
                        struct get_answer *a)
{
    switch (pname -
            base) { /* UNPACK_SWAP_BYTES .. UNPACK_ALIGNMENT are consecutive, PACK likewise */
    case 0: return !es && is_int(a, s->swap);
    case 1: return !es && is_int(a, s->lsb);
    case 2: return is_int(a, s->row_length);
    case 3: return is_int(a, s->skip_rows);
    case 4: return is_int(a, s->skip_pixels);
    case 5: return is_int(a, s->alignment);
    default: return false;
    }
}

static bool array_state(struct xg_gl_context *c, GLenum pname, struct get_answer *a)
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

uint32_t xg_gl_program_now(struct xg_gl_context *c)
{
    struct xg_gl_state *s = c->state;
    GLint v[1024];

    if (s->program_known != XG_PROGRAM_KNOWN && !xg_gl_program_taken(c)) {
        v[0] = 0;
        xg_gl_send_glGetIntegerv(c, GL_CURRENT_PROGRAM, v);
        s->program = (uint32_t)v[0];
    }
    s->program_known = XG_PROGRAM_KNOWN;
    return s->program;
}

static bool binding_state(struct xg_gl_context *c, GLenum pname, struct get_answer *a)
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
    case GL_CURRENT_PROGRAM: return is_int(a, xg_gl_program_now(c));
    case GL_PRIMITIVE_RESTART_INDEX:
        return c->api < XG_GL_ES1 && is_int(a, (GLint)xg_gl_restart_index(c));
    case GL_CLIENT_ACTIVE_TEXTURE:
        return xg_gl_old(c) && is_int(a, GL_TEXTURE0 + s->client_texture);
    case GL_CLIENT_ATTRIB_STACK_DEPTH: return c->api == XG_GL_COMPAT && is_int(a, s->client_depth);
    case GL_RENDER_MODE: return c->api == XG_GL_COMPAT && is_int(a, s->render_mode);
    default: return false;
    }
}

static bool state_known(struct xg_gl_context *c, GLenum pname, struct get_answer *a)
{
    const struct xg_gl_state *s = c->state;
    const struct xg_gl_limit *l;
    bool es = c->api == XG_GL_ES1 || c->api == XG_GL_ES2;

    if (pname >= GL_UNPACK_SWAP_BYTES && pname <= GL_UNPACK_ALIGNMENT)
        return store_state(&s->unpack, es, pname, GL_UNPACK_SWAP_BYTES, a);
    if (pname >= GL_PACK_SWAP_BYTES && pname <= GL_PACK_ALIGNMENT)
        return store_state(&s->pack, es, pname, GL_PACK_SWAP_BYTES, a);
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
        a->n = l->n;
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

/* Makes the slot equal to the host's state; false: the host has no such state. */
static bool shadow_fill(struct xg_gl_context *c, int slot, GLenum pname, char kind)
{
    struct xg_gl_shadow *s = &c->state->shadow;
    union {
        GLint i[1024];
        GLfloat f[64];
    } v;

    if (s->valid[slot / 64] >> (slot % 64) & 1)
        return true;
    v.i[0] = UNANSWERED;
    if (kind == 'i')
        xg_gl_send_glGetIntegerv(c, pname, v.i);
    else
        xg_gl_send_glGetFloatv(c, pname, v.f);
    if (v.i[0] == UNANSWERED)
        return false;
    memcpy(s->value[slot].i, v.i, sizeof(s->value[slot].i));
    s->valid[slot / 64] |= 1ull << (slot % 64);
    return true;
}

/* State that the shadow follows; the host is asked once if it is not known now. */
static bool state_shadowed(struct xg_gl_context *c, GLenum pname, bool real, struct get_answer *a)
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
    a->count = shadow_fill(c, slot, pname, kind) ? count : 0;
    a->real = kind != 'i';
    for (unsigned i = 0; i < count; i++) {
        a->i[i] = s->value[slot].i[i];
        a->d[i] = (double)s->value[slot].f[i];
    }
    return true;
}

static bool state_answered(struct xg_gl_context *c, GLenum pname, bool real, struct get_answer *a)
{
    a->n = NULL;
    if (xg_gl_begun(c)) {
        xg_gl_error(c, GL_INVALID_OPERATION);
        a->count = 0;
        return true;
    }
    return state_known(c, pname, a) || state_shadowed(c, pname, real, a);
}

/* The nearest value that the type can hold. */
static int64_t int_clamp(int64_t i)
{
    return i > INT32_MAX ? INT32_MAX : i < INT32_MIN ? INT32_MIN : i;
}

#define GET(Name, Type, wants_real, from_int, from_real)                                           \
    void xg_stub_glGet##Name(GLenum pname, Type *data)                                             \
    {                                                                                              \
        struct xg_gl_context *c = xg_gl_current;                                                   \
        struct get_answer a;                                                                       \
        if (!c || !data)                                                                           \
            return;                                                                                \
        if (!state_answered(c, pname, wants_real, &a)) {                                           \
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
GET(Integerv, GLint, false, a.n ? a.n[k] : int_clamp(i), a.n ? a.n[k] : int_clamp(llround(d)))
GET(Integer64v, GLint64, false, i, a.n ? i : llround(d))
GET(Floatv, GLfloat, true, i, d)
GET(Doublev, GLdouble, true, i, d)
GET(Booleanv, GLboolean, true, i != 0, d != 0)
GET(Fixedv, GLfixed, true, int_clamp(i * 65536), int_clamp(llround(d * 65536)))
