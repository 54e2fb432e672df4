/* Vertex arrays and draws. No address of the guest ever reaches the host: pointers are offsets into
 * a bound buffer, or point into the command's own data. */
#include "backend/gl/ledger.h"

#include <stdlib.h>

#define ALL_ARRAYS ((1ull << XG_ARRAYS) - 1)

/* --- pointers into buffers -------------------------------------------------------------------- */

static void set_enabled(unsigned slot, bool on)
{
    static const GLenum name[] = {GL_VERTEX_ARRAY,          GL_NORMAL_ARRAY,        GL_COLOR_ARRAY,
                                  GL_SECONDARY_COLOR_ARRAY, GL_FOG_COORD_ARRAY,     GL_INDEX_ARRAY,
                                  GL_EDGE_FLAG_ARRAY,       GL_POINT_SIZE_ARRAY_OES};
    const struct xg_glr_procs *g = &xg_glr_procs;

    if (slot < XG_ARRAY_VERTEX)
        on ? g->glEnableVertexAttribArray(slot) : g->glDisableVertexAttribArray(slot);
    else if (slot < XG_ARRAY_TEX)
        on ? g->glEnableClientState(name[slot - XG_ARRAY_VERTEX])
           : g->glDisableClientState(name[slot - XG_ARRAY_VERTEX]);
    else
        on ? g->glEnableClientState(GL_TEXTURE_COORD_ARRAY)
           : g->glDisableClientState(GL_TEXTURE_COORD_ARRAY);
}

/* With `enter`, selects the texture unit of the slot, if it has one; else selects the old unit
 * again. */
static void with_unit(struct xg_glr_context *c, unsigned slot, bool enter)
{
    if (slot >= XG_ARRAY_TEX && slot - XG_ARRAY_TEX != c->client_texture)
        xg_glr_procs.glClientActiveTexture(GL_TEXTURE0 +
                                           (enter ? slot - XG_ARRAY_TEX : c->client_texture));
}

void xg_glr_array_given_slow(struct xg_glr_context *c, unsigned slot)
{
    c->suppressed &= ~(1ull << slot);
    with_unit(c, slot, true);
    set_enabled(slot, true);
    with_unit(c, slot, false);
}

/* The guest has set the array to an offset; true if there is a buffer for it. */
static bool offset_given(struct xg_glr_context *c, unsigned slot)
{
    uint64_t bit = 1ull << slot;

    if (!xg_glr_bound(GL_ARRAY_BUFFER_BINDING)) {
        xg_glr_error(c, GL_INVALID_OPERATION);
        return false;
    }
    /* the host may refuse the call and keep its old pointer: an array that pointed to memory is
     * checked before the next draw */
    c->dangling |= c->suppressed & bit;
    xg_glr_array_given(c, slot);
    return true;
}

#define POINTER(Name, slot, params, args)                                                          \
    void xg_glr_gl##Name params                                                                    \
    {                                                                                              \
        if (offset_given(xg_glr_context_of(r), slot))                                              \
            xg_glr_procs.gl##Name args;                                                            \
    }
POINTER(VertexPointer, XG_ARRAY_VERTEX,
        (struct xg_worker_ring * r, GLint size, GLenum type, GLsizei stride, const void *pointer),
        (size, type, stride, pointer))
POINTER(NormalPointer, XG_ARRAY_NORMAL,
        (struct xg_worker_ring * r, GLenum type, GLsizei stride, const void *pointer),
        (type, stride, pointer))
POINTER(ColorPointer, XG_ARRAY_COLOR,
        (struct xg_worker_ring * r, GLint size, GLenum type, GLsizei stride, const void *pointer),
        (size, type, stride, pointer))
POINTER(SecondaryColorPointer, XG_ARRAY_SECONDARY,
        (struct xg_worker_ring * r, GLint size, GLenum type, GLsizei stride, const void *pointer),
        (size, type, stride, pointer))
POINTER(FogCoordPointer, XG_ARRAY_FOG,
        (struct xg_worker_ring * r, GLenum type, GLsizei stride, const void *pointer),
        (type, stride, pointer))
POINTER(IndexPointer, XG_ARRAY_INDEX,
        (struct xg_worker_ring * r, GLenum type, GLsizei stride, const void *pointer),
        (type, stride, pointer))
POINTER(EdgeFlagPointer, XG_ARRAY_EDGE,
        (struct xg_worker_ring * r, GLsizei stride, const void *pointer), (stride, pointer))
POINTER(PointSizePointerOES, XG_ARRAY_POINT_SIZE,
        (struct xg_worker_ring * r, GLenum type, GLsizei stride, const void *pointer),
        (type, stride, pointer))
POINTER(TexCoordPointer, XG_ARRAY_TEX + xg_glr_context_of(r)->client_texture,
        (struct xg_worker_ring * r, GLint size, GLenum type, GLsizei stride, const void *pointer),
        (size, type, stride, pointer))

/* An index above those that are tracked: the host refuses it. */
static bool attrib_offset(struct xg_worker_ring *r, GLuint index)
{
    struct xg_glr_context *c = xg_glr_context_of(r);
    if (index < XG_GENERIC_MAX)
        return offset_given(c, index);
    xg_glr_error(c, GL_INVALID_VALUE);
    return false;
}

void xg_glr_glVertexAttribPointer(struct xg_worker_ring *r, GLuint index, GLint size, GLenum type,
                                  GLboolean normalized, GLsizei stride, const void *pointer)
{
    if (attrib_offset(r, index))
        xg_glr_procs.glVertexAttribPointer(index, size, type, normalized, stride, pointer);
}

void xg_glr_glVertexAttribIPointer(struct xg_worker_ring *r, GLuint index, GLint size, GLenum type,
                                   GLsizei stride, const void *pointer)
{
    if (attrib_offset(r, index))
        xg_glr_procs.glVertexAttribIPointer(index, size, type, stride, pointer);
}

void xg_glr_glVertexAttribLPointer(struct xg_worker_ring *r, GLuint index, GLint size, GLenum type,
                                   GLsizei stride, const void *pointer)
{
    if (attrib_offset(r, index))
        xg_glr_procs.glVertexAttribLPointer(index, size, type, stride, pointer);
}

void xg_glr_glBindVertexBuffer(struct xg_worker_ring *r, GLuint bindingindex, GLuint buffer,
                               GLintptr offset, GLsizei stride)
{
    struct xg_glr_context *c = xg_glr_context_of(r);
    c->dangling |= 0xffffffffull; /* any attribute may use this binding */
    xg_glr_procs.glBindVertexBuffer(bindingindex, buffer, offset, stride);
}

void xg_glr_glVertexAttribBinding(struct xg_worker_ring *r, GLuint attribindex, GLuint bindingindex)
{
    struct xg_glr_context *c = xg_glr_context_of(r);
    c->dangling |= 0xffffffffull;
    xg_glr_procs.glVertexAttribBinding(attribindex, bindingindex);
}

void xg_glr_glVertexAttribDivisor(struct xg_worker_ring *r, GLuint index, GLuint divisor)
{
    xg_glr_context_of(r)->divisors = true;
    xg_glr_procs.glVertexAttribDivisor(index, divisor);
}

void xg_glr_glVertexBindingDivisor(struct xg_worker_ring *r, GLuint bindingindex, GLuint divisor)
{
    xg_glr_context_of(r)->divisors = true;
    xg_glr_procs.glVertexBindingDivisor(bindingindex, divisor);
}

void xg_glr_glVertexArrayBindingDivisor(struct xg_worker_ring *r, GLuint vaobj, GLuint bindingindex,
                                        GLuint divisor)
{
    xg_glr_context_of(r)->divisors = true;
    xg_glr_procs.glVertexArrayBindingDivisor(vaobj, bindingindex, divisor);
}

/* --- enabling --------------------------------------------------------------------------------- */

static unsigned client_slot(const struct xg_glr_context *c, GLenum array)
{
    return xg_gl_client_slot(array, c->client_texture);
}

static void array_toggled(struct xg_glr_context *c, unsigned slot, bool on)
{
    if (slot >= XG_ARRAYS)
        return;
    c->suppressed &= ~(1ull << slot);
    if (on)
        c->dangling |= 1ull << slot;
}

void xg_glr_glEnableClientState(struct xg_worker_ring *r, GLenum array)
{
    struct xg_glr_context *c = xg_glr_context_of(r);
    array_toggled(c, client_slot(c, array), true);
    xg_glr_procs.glEnableClientState(array);
}

void xg_glr_glDisableClientState(struct xg_worker_ring *r, GLenum array)
{
    struct xg_glr_context *c = xg_glr_context_of(r);
    array_toggled(c, client_slot(c, array), false);
    xg_glr_procs.glDisableClientState(array);
}

void xg_glr_glEnableVertexAttribArray(struct xg_worker_ring *r, GLuint index)
{
    array_toggled(xg_glr_context_of(r), index < XG_GENERIC_MAX ? index : XG_ARRAYS, true);
    xg_glr_procs.glEnableVertexAttribArray(index);
}

void xg_glr_glDisableVertexAttribArray(struct xg_worker_ring *r, GLuint index)
{
    array_toggled(xg_glr_context_of(r), index < XG_GENERIC_MAX ? index : XG_ARRAYS, false);
    xg_glr_procs.glDisableVertexAttribArray(index);
}

/* Without memory to record it, nothing is known of any vertex array object any more. */
static void dangling_keep(struct xg_glr_context *c, GLuint array, uint64_t dangling)
{
    if (!xg_glr_map_set(&c->vao_dangling, array, dangling))
        c->vao_unknown = true;
}

void xg_glr_glEnableVertexArrayAttrib(struct xg_worker_ring *r, GLuint vaobj, GLuint index)
{
    struct xg_glr_context *c = xg_glr_context_of(r);
    if (index < XG_GENERIC_MAX && vaobj == c->vertex_array)
        c->dangling |= 1ull << index;
    else if (index < XG_GENERIC_MAX && vaobj != XG_GLR_UNKNOWN)
        dangling_keep(c, vaobj, xg_glr_map_get(&c->vao_dangling, vaobj) | 1ull << index);
    xg_glr_procs.glEnableVertexArrayAttrib(vaobj, index);
}

void xg_glr_glClientActiveTexture(struct xg_worker_ring *r, GLenum texture)
{
    struct xg_glr_context *c = xg_glr_context_of(r);
    if (texture - GL_TEXTURE0 < XG_TEX_MAX)
        c->client_texture = texture - GL_TEXTURE0;
    xg_glr_procs.glClientActiveTexture(texture);
}

/* Another vertex array object is current. */
static void vertex_array_entered(struct xg_glr_context *c, GLuint array)
{
    if (array)
        xg_glr_vertex_array_made(c, array);
    dangling_keep(c, c->vertex_array, c->dangling);
    xg_glr_map_set(&c->vao_suppressed, c->vertex_array, c->suppressed);
    c->vertex_array = array;
    c->dangling = c->vao_unknown ? ALL_ARRAYS : xg_glr_map_get(&c->vao_dangling, array);
    c->suppressed = xg_glr_map_get(&c->vao_suppressed, array);
}

/* If it was the current one, the host now has none. */
void xg_glr_vertex_array_gone(struct xg_glr_context *c, GLuint array)
{
    if (array == c->vertex_array)
        vertex_array_entered(c, 0);
}

void xg_glr_glBindVertexArray(struct xg_worker_ring *r, GLuint array)
{
    struct xg_glr_context *c = xg_glr_context_of(r);

    if (array == XG_GLR_UNKNOWN || xg_glr_begun(c)) {
        xg_glr_error(c, GL_INVALID_OPERATION);
        return;
    }
    vertex_array_entered(c, array);
    xg_glr_procs.glBindVertexArray(array);
}

/* --- client attributes: the host keeps them, and this code keeps its own state beside them ---- */

#define CLIENT_STACK 16

struct xg_glr_client_attrib {
    GLbitfield mask;
    struct xg_gl_pixel_store pack, unpack;
    uint64_t suppressed;
    uint32_t vertex_array, client_texture;
};

static GLint client_depth(void)
{
    GLint depth = -1;
    xg_glr_procs.glGetIntegerv(GL_CLIENT_ATTRIB_STACK_DEPTH, &depth);
    return depth;
}

void xg_glr_glPushClientAttrib(struct xg_worker_ring *r, GLbitfield mask)
{
    struct xg_glr_context *c = xg_glr_context_of(r);
    GLint before;

    if (xg_glr_begun(c) || c->api != XG_GL_COMPAT) {
        xg_glr_error(c, GL_INVALID_OPERATION);
        return;
    }
    if (!c->client_stack)
        c->client_stack = calloc(CLIENT_STACK, sizeof(*c->client_stack));
    if (!c->client_stack || c->client_depth == CLIENT_STACK) {
        xg_glr_error(c, c->client_stack ? GL_STACK_OVERFLOW : GL_OUT_OF_MEMORY);
        return;
    }
    before = client_depth();
    xg_glr_procs.glPushClientAttrib(mask);
    if (client_depth() != before + 1)
        return;
    c->pushed = true;
    c->client_stack[c->client_depth++] = (struct xg_glr_client_attrib){
        .mask = mask,
        .pack = c->pack,
        .unpack = c->unpack,
        .suppressed = c->suppressed,
        .vertex_array = c->vertex_array,
        .client_texture = c->client_texture,
    };
}

void xg_glr_glPopClientAttrib(struct xg_worker_ring *r)
{
    struct xg_glr_context *c = xg_glr_context_of(r);
    const struct xg_glr_client_attrib *a;
    bool gone, begun = xg_glr_begun(c);
    GLint now = 0;

    if (begun || !c->client_depth) {
        xg_glr_error(c, begun ? GL_INVALID_OPERATION : GL_STACK_UNDERFLOW);
        return;
    }
    a = &c->client_stack[--c->client_depth];
    gone = a->vertex_array && !xg_glr_procs.glIsVertexArray(a->vertex_array);
    xg_glr_procs.glPopClientAttrib();
    if (a->mask & GL_CLIENT_PIXEL_STORE_BIT) {
        c->pack = a->pack;
        c->unpack = a->unpack;
    }
    if (!(a->mask & GL_CLIENT_VERTEX_ARRAY_BIT) || gone)
        return;
    c->client_texture = a->client_texture;
    xg_glr_procs.glGetIntegerv(GL_VERTEX_ARRAY_BINDING, &now);
    vertex_array_entered(c, (GLuint)now); /* some drivers keep the current object */
    /* what it points to now may be memory that was freed long ago; also in the object that it
     * left */
    c->dangling = ALL_ARRAYS;
    if ((GLuint)now == a->vertex_array)
        c->suppressed = a->suppressed;
    else {
        dangling_keep(c, a->vertex_array, c->dangling);
        xg_glr_map_set(&c->vao_suppressed, a->vertex_array, a->suppressed);
    }
}

/* --- checking before a draw ------------------------------------------------------------------- */

static bool leads_nowhere(unsigned slot)
{
    static const GLenum name[] = {GL_VERTEX_ARRAY,          GL_NORMAL_ARRAY,        GL_COLOR_ARRAY,
                                  GL_SECONDARY_COLOR_ARRAY, GL_FOG_COORD_ARRAY,     GL_INDEX_ARRAY,
                                  GL_EDGE_FLAG_ARRAY,       GL_POINT_SIZE_ARRAY_OES};
    static const GLenum binding[] = {
        GL_VERTEX_ARRAY_BUFFER_BINDING,    GL_NORMAL_ARRAY_BUFFER_BINDING,
        GL_COLOR_ARRAY_BUFFER_BINDING,     GL_SECONDARY_COLOR_ARRAY_BUFFER_BINDING,
        GL_FOG_COORD_ARRAY_BUFFER_BINDING, GL_INDEX_ARRAY_BUFFER_BINDING,
        GL_EDGE_FLAG_ARRAY_BUFFER_BINDING, 0x8B9F /* GL_POINT_SIZE_ARRAY_BUFFER_BINDING_OES */};
    const struct xg_glr_procs *g = &xg_glr_procs;
    GLint on = 0, buffer = 0;

    if (slot < XG_ARRAY_VERTEX) {
        g->glGetVertexAttribiv(slot, GL_VERTEX_ATTRIB_ARRAY_ENABLED, &on);
        if (on)
            g->glGetVertexAttribiv(slot, GL_VERTEX_ATTRIB_ARRAY_BUFFER_BINDING, &buffer);
        return on && !buffer;
    }
    on =
        g->glIsEnabled(slot < XG_ARRAY_TEX ? name[slot - XG_ARRAY_VERTEX] : GL_TEXTURE_COORD_ARRAY);
    if (on)
        g->glGetIntegerv(slot < XG_ARRAY_TEX ? binding[slot - XG_ARRAY_VERTEX]
                                             : GL_TEXTURE_COORD_ARRAY_BUFFER_BINDING,
                         &buffer);
    return on && !buffer;
}

/* The arrays that a context has. */
static uint64_t arrays_existing(struct xg_glr_context *c)
{
    const uint64_t old = 1ull << XG_ARRAY_VERTEX | 1ull << XG_ARRAY_NORMAL | 1ull << XG_ARRAY_COLOR;
    GLint generic = 0, units = 0;
    uint64_t all = 0;

    if (c->api != XG_GL_ES1) {
        xg_glr_procs.glGetIntegerv(GL_MAX_VERTEX_ATTRIBS, &generic);
        all |= generic >= (GLint)XG_GENERIC_MAX ? 0xffffffffull : (1ull << generic) - 1;
    }
    if (c->api == XG_GL_CORE || c->api == XG_GL_ES2)
        return all;
    xg_glr_procs.glGetIntegerv(c->api == XG_GL_ES1 ? GL_MAX_TEXTURE_UNITS : GL_MAX_TEXTURE_COORDS,
                               &units);
    all |= old | ((1ull << (units > (GLint)XG_TEX_MAX ? (GLint)XG_TEX_MAX : units)) - 1)
                     << XG_ARRAY_TEX;
    if (c->api == XG_GL_ES1)
        return all | 1ull << XG_ARRAY_POINT_SIZE;
    return all | 1ull << XG_ARRAY_SECONDARY | 1ull << XG_ARRAY_FOG | 1ull << XG_ARRAY_INDEX |
           1ull << XG_ARRAY_EDGE;
}

void xg_glr_arrays_check_slow(struct xg_glr_context *c, uint64_t fresh)
{
    uint64_t look;

    if (xg_glr_begun(c))
        return; /* the host refuses the draw */
    if (!c->existing)
        c->existing = arrays_existing(c);
    look = c->dangling & ~fresh & c->existing;
    for (; look; look &= look - 1) {
        unsigned slot = (unsigned)__builtin_ctzll(look);
        with_unit(c, slot, true);
        if (leads_nowhere(slot)) {
            set_enabled(slot, false);
            c->suppressed |= 1ull << slot;
        }
        with_unit(c, slot, false);
    }
    c->dangling &= fresh;
}

/* --- draws with all data in buffers ----------------------------------------------------------- */

static bool draw_ready(struct xg_worker_ring *r, bool indexed)
{
    struct xg_glr_context *c = xg_glr_context_of(r);

    xg_glr_arrays_check(c, 0);
    if (!indexed || xg_glr_bound(GL_ELEMENT_ARRAY_BUFFER_BINDING))
        return true;
    xg_glr_error(c, GL_INVALID_OPERATION);
    return false;
}

/* Draws that go into a display list are checked first. */
#define ARRAYS(first, count)                                                                       \
    (XG_LIKELY(!xg_glr_context_of(r)->list) ||                                                     \
     xg_glr_list_draw(xg_glr_context_of(r), first, count, 0))
#define ELEMENTS(count, type, at, base)                                                            \
    (XG_LIKELY(!xg_glr_context_of(r)->list) ||                                                     \
     xg_glr_list_elements(xg_glr_context_of(r), count, type, (uintptr_t)(at), base))

#define DRAW(Name, indexed, listed, params, args)                                                  \
    void xg_glr_gl##Name params                                                                    \
    {                                                                                              \
        if (draw_ready(r, indexed) && listed)                                                      \
            xg_glr_procs.gl##Name args;                                                            \
    }
#define R struct xg_worker_ring *r, GLenum mode
DRAW(DrawArrays, false, ARRAYS(first, count), (R, GLint first, GLsizei count), (mode, first, count))
DRAW(DrawArraysInstanced, false, ARRAYS(first, count), (R, GLint first, GLsizei count, GLsizei n),
     (mode, first, count, n))
DRAW(DrawArraysInstancedBaseInstance, false, ARRAYS(first, count),
     (R, GLint first, GLsizei count, GLsizei n, GLuint base), (mode, first, count, n, base))
DRAW(DrawElements, true, ELEMENTS(count, type, at, 0),
     (R, GLsizei count, GLenum type, const void *at), (mode, count, type, at))
DRAW(DrawRangeElements, true, ELEMENTS(count, type, at, 0),
     (R, GLuint lo, GLuint hi, GLsizei count, GLenum type, const void *at),
     (mode, lo, hi, count, type, at))
DRAW(DrawElementsBaseVertex, true, ELEMENTS(count, type, at, base),
     (R, GLsizei count, GLenum type, const void *at, GLint base), (mode, count, type, at, base))
DRAW(DrawRangeElementsBaseVertex, true, ELEMENTS(count, type, at, base),
     (R, GLuint lo, GLuint hi, GLsizei count, GLenum type, const void *at, GLint base),
     (mode, lo, hi, count, type, at, base))
DRAW(DrawElementsInstanced, true, ELEMENTS(count, type, at, 0),
     (R, GLsizei count, GLenum type, const void *at, GLsizei n), (mode, count, type, at, n))
DRAW(DrawElementsInstancedBaseVertex, true, ELEMENTS(count, type, at, base),
     (R, GLsizei count, GLenum type, const void *at, GLsizei n, GLint base),
     (mode, count, type, at, n, base))
DRAW(DrawElementsInstancedBaseInstance, true, ELEMENTS(count, type, at, 0),
     (R, GLsizei count, GLenum type, const void *at, GLsizei n, GLuint base),
     (mode, count, type, at, n, base))
DRAW(DrawElementsInstancedBaseVertexBaseInstance, true, ELEMENTS(count, type, at, base),
     (R, GLsizei count, GLenum type, const void *at, GLsizei n, GLint base, GLuint first),
     (mode, count, type, at, n, base, first))

void xg_glr_glMultiDrawArrays(R, const GLint *first, const GLsizei *count, GLsizei n,
                              uint32_t n_first, uint32_t n_count)
{
    if (!draw_ready(r, false))
        return;
    for (GLsizei i = 0; i < n; i++)
        if (!ARRAYS(first[i], count[i]))
            return;
    xg_glr_procs.glMultiDrawArrays(mode, first, count, n);
}

void xg_glr_xgMultiDrawElements(struct xg_worker_ring *r, GLenum mode, GLenum type, GLsizei n,
                                const GLsizei *count, const GLuint64 *offset, const GLint *base,
                                uint32_t n_count, uint32_t n_offset, uint32_t n_base)
{
    const void **at = xg_scratch_alloc(&r->scratch, (uint64_t)n * sizeof(*at) + 1);

    if (!at || !draw_ready(r, true))
        return;
    for (GLsizei i = 0; i < n; i++) {
        at[i] = (const void *)(uintptr_t)offset[i];
        if (!ELEMENTS(count[i], type, at[i], base[i]))
            return;
    }
    xg_glr_procs.glMultiDrawElementsBaseVertex(mode, count, type, at, n, base);
}

/* Indirect draws and dispatches read their arguments from a buffer only. */
static bool indirect_ready(struct xg_worker_ring *r, GLenum binding, bool indexed)
{
    if (!draw_ready(r, indexed))
        return false;
    if (xg_glr_bound(binding))
        return true;
    xg_glr_error(xg_glr_context_of(r), GL_INVALID_OPERATION);
    return false;
}

void xg_glr_glDrawArraysIndirect(R, const void *at)
{
    if (indirect_ready(r, GL_DRAW_INDIRECT_BUFFER_BINDING, false))
        xg_glr_procs.glDrawArraysIndirect(mode, at);
}

void xg_glr_glDrawElementsIndirect(R, GLenum type, const void *at)
{
    if (indirect_ready(r, GL_DRAW_INDIRECT_BUFFER_BINDING, true))
        xg_glr_procs.glDrawElementsIndirect(mode, type, at);
}

void xg_glr_glMultiDrawArraysIndirect(R, const void *at, GLsizei n, GLsizei stride)
{
    if (indirect_ready(r, GL_DRAW_INDIRECT_BUFFER_BINDING, false))
        xg_glr_procs.glMultiDrawArraysIndirect(mode, at, n, stride);
}

void xg_glr_glMultiDrawElementsIndirect(R, GLenum type, const void *at, GLsizei n, GLsizei stride)
{
    if (indirect_ready(r, GL_DRAW_INDIRECT_BUFFER_BINDING, true))
        xg_glr_procs.glMultiDrawElementsIndirect(mode, type, at, n, stride);
}

void xg_glr_glDispatchComputeIndirect(struct xg_worker_ring *r, GLintptr at)
{
    if (xg_glr_bound(GL_DISPATCH_INDIRECT_BUFFER_BINDING))
        xg_glr_procs.glDispatchComputeIndirect(at);
    else
        xg_glr_error(xg_glr_context_of(r), GL_INVALID_OPERATION);
}
