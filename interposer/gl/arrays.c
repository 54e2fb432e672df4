/* Vertex arrays: which of them point to the application's memory. A pointer into a buffer object
 * goes to the host at once; one into memory stays
 * here, and what it points to is sent with each draw (draw.c). */
#include "interposer/gl/state.h"

#include "gl/send.h"
#include "gl/stubs.h"

void xg_gl_arrays_init(struct xg_gl_vao *v)
{
    memset(v, 0, sizeof(*v));
    for (unsigned i = 0; i < XG_ARRAYS; i++) {
        v->array[i].size = 4;
        v->array[i].type = GL_FLOAT;
    }
    v->array[XG_ARRAY_NORMAL].size = v->array[XG_ARRAY_SECONDARY].size = 3;
    v->array[XG_ARRAY_FOG].size = v->array[XG_ARRAY_INDEX].size = v->array[XG_ARRAY_EDGE].size =
        v->array[XG_ARRAY_POINT_SIZE].size = 1;
    v->array[XG_ARRAY_EDGE].type = GL_UNSIGNED_BYTE;
    v->client = (1ull << XG_ARRAYS) - 1; /* nothing set: a NULL pointer into memory */
}

void xg_gl_arrays_buffer_deleted(struct xg_gl_context *c, uint32_t name)
{
    struct xg_gl_vao *v = c->state->vao;

    if (v->element_buffer == name)
        v->element_buffer = 0;
    for (unsigned i = 0; i < XG_ARRAYS; i++) {
        if (v->array[i].buffer == name) {
            v->array[i].buffer = 0;
            v->array[i].pointer = NULL;
            v->client |= 1ull << i;
        }
    }
}

/* What GL says about the arguments when there is no buffer object, so that the host never sees
 * them. */
static GLenum refusal(const struct xg_gl_state *s, GLint size, GLenum type, GLsizei stride,
                      const void *pointer)
{
    if (stride < 0 || ((size < 1 || size > 4) && size != GL_BGRA))
        return GL_INVALID_VALUE;
    if (!xg_gl_type_size(type))
        return GL_INVALID_ENUM;
    return s->vao != &s->default_vao && pointer ? GL_INVALID_OPERATION : GL_NO_ERROR;
}

/* Records the array; true if it goes to the host: its memory is a buffer object. */
static bool set(struct xg_gl_context *c, unsigned slot, GLint size, GLenum type, GLsizei stride,
                const void *pointer, bool normalized, unsigned integer)
{
    struct xg_gl_state *s = c->state;
    struct xg_gl_vao *v = s->vao;

    if (slot >= XG_ARRAYS)
        return true;
    if (!s->array_buffer) {
        GLenum error = refusal(s, size, type, stride, pointer);
        if (error) {
            xg_gl_error(c, error);
            return false;
        }
    }
    v->array[slot] = (struct xg_gl_array){
        .pointer = pointer,
        .buffer = s->array_buffer,
        .size = size,
        .type = type,
        .stride = stride,
        .divisor = v->array[slot].divisor,
        .normalized = normalized,
        .integer = (uint8_t)integer,
    };
    if (s->array_buffer) {
        v->client &= ~(1ull << slot);
        return true;
    }
    v->client |= 1ull << slot;
    return false;
}

#define POINTER(Name, slot, size, type, params, args)                                              \
    void xg_stub_gl##Name params                                                                   \
    {                                                                                              \
        struct xg_gl_context *c = xg_gl_current;                                                   \
        if (c && set(c, slot, size, type, stride, pointer, slot != XG_ARRAY_VERTEX, 0))            \
            xg_gl_send_gl##Name args;                                                              \
    }

POINTER(VertexPointer, XG_ARRAY_VERTEX, size, type,
        (GLint size, GLenum type, GLsizei stride, const void *pointer),
        (c, size, type, stride, pointer))
POINTER(NormalPointer, XG_ARRAY_NORMAL, 3, type, (GLenum type, GLsizei stride, const void *pointer),
        (c, type, stride, pointer))
POINTER(ColorPointer, XG_ARRAY_COLOR, size, type,
        (GLint size, GLenum type, GLsizei stride, const void *pointer),
        (c, size, type, stride, pointer))
POINTER(SecondaryColorPointer, XG_ARRAY_SECONDARY, size, type,
        (GLint size, GLenum type, GLsizei stride, const void *pointer),
        (c, size, type, stride, pointer))
POINTER(FogCoordPointer, XG_ARRAY_FOG, 1, type, (GLenum type, GLsizei stride, const void *pointer),
        (c, type, stride, pointer))
POINTER(IndexPointer, XG_ARRAY_INDEX, 1, type, (GLenum type, GLsizei stride, const void *pointer),
        (c, type, stride, pointer))
POINTER(EdgeFlagPointer, XG_ARRAY_EDGE, 1, GL_UNSIGNED_BYTE, (GLsizei stride, const void *pointer),
        (c, stride, pointer))
POINTER(PointSizePointerOES, XG_ARRAY_POINT_SIZE, 1, type,
        (GLenum type, GLsizei stride, const void *pointer), (c, type, stride, pointer))
POINTER(TexCoordPointer, XG_ARRAY_TEX + c->state->client_texture, size, type,
        (GLint size, GLenum type, GLsizei stride, const void *pointer),
        (c, size, type, stride, pointer))

void xg_stub_glVertexAttribPointer(GLuint index, GLint size, GLenum type, GLboolean normalized,
                                   GLsizei stride, const void *pointer)
{
    struct xg_gl_context *c = xg_gl_current;
    if (c && (index >= XG_GENERIC_MAX || set(c, index, size, type, stride, pointer, normalized, 0)))
        xg_gl_send_glVertexAttribPointer(c, index, size, type, normalized, stride, pointer);
}

void xg_stub_glVertexAttribIPointer(GLuint index, GLint size, GLenum type, GLsizei stride,
                                    const void *pointer)
{
    struct xg_gl_context *c = xg_gl_current;
    if (c && (index >= XG_GENERIC_MAX || set(c, index, size, type, stride, pointer, false, 1)))
        xg_gl_send_glVertexAttribIPointer(c, index, size, type, stride, pointer);
}

void xg_stub_glVertexAttribLPointer(GLuint index, GLint size, GLenum type, GLsizei stride,
                                    const void *pointer)
{
    struct xg_gl_context *c = xg_gl_current;
    if (c && (index >= XG_GENERIC_MAX || set(c, index, size, type, stride, pointer, false, 2)))
        xg_gl_send_glVertexAttribLPointer(c, index, size, type, stride, pointer);
}

/* --- enabling
 * -----------------------------------------------------------------------------------------------
 */

static unsigned client_slot(struct xg_gl_context *c, GLenum array)
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
    case GL_TEXTURE_COORD_ARRAY: return XG_ARRAY_TEX + c->state->client_texture;
    default: return XG_ARRAYS;
    }
}

static void enable(struct xg_gl_context *c, unsigned slot, bool on)
{
    struct xg_gl_vao *v = c->state->vao;
    if (slot >= XG_ARRAYS)
        return;
    if (on)
        v->enabled |= 1ull << slot;
    else
        v->enabled &= ~(1ull << slot);
}

void xg_stub_glEnableClientState(GLenum array)
{
    struct xg_gl_context *c = xg_gl_current;
    if (!c)
        return;
    enable(c, client_slot(c, array), true);
    xg_gl_send_glEnableClientState(c, array);
}

void xg_stub_glDisableClientState(GLenum array)
{
    struct xg_gl_context *c = xg_gl_current;
    if (!c)
        return;
    enable(c, client_slot(c, array), false);
    xg_gl_send_glDisableClientState(c, array);
}

void xg_stub_glClientActiveTexture(GLenum texture)
{
    struct xg_gl_context *c = xg_gl_current;
    if (!c)
        return;
    if (texture - GL_TEXTURE0 < XG_TEX_MAX)
        c->state->client_texture = texture - GL_TEXTURE0;
    xg_gl_send_glClientActiveTexture(c, texture);
}

void xg_stub_glEnableVertexAttribArray(GLuint index)
{
    struct xg_gl_context *c = xg_gl_current;
    if (!c)
        return;
    enable(c, index < XG_GENERIC_MAX ? index : XG_ARRAYS, true);
    xg_gl_send_glEnableVertexAttribArray(c, index);
}

void xg_stub_glDisableVertexAttribArray(GLuint index)
{
    struct xg_gl_context *c = xg_gl_current;
    if (!c)
        return;
    enable(c, index < XG_GENERIC_MAX ? index : XG_ARRAYS, false);
    xg_gl_send_glDisableVertexAttribArray(c, index);
}

void xg_stub_glVertexAttribDivisor(GLuint index, GLuint divisor)
{
    struct xg_gl_context *c = xg_gl_current;
    if (!c)
        return;
    if (index < XG_GENERIC_MAX)
        c->state->vao->array[index].divisor = divisor;
    xg_gl_send_glVertexAttribDivisor(c, index, divisor);
}

/* --- ARB_vertex_attrib_binding: such arrays are always in buffer objects
 * ------------------------------------- */

static void not_client(struct xg_gl_context *c, GLuint index)
{
    if (index < XG_GENERIC_MAX)
        c->state->vao->client &= ~(1ull << index);
}

void xg_stub_glVertexAttribFormat(GLuint attribindex, GLint size, GLenum type, GLboolean normalized,
                                  GLuint relativeoffset)
{
    struct xg_gl_context *c = xg_gl_current;
    if (!c)
        return;
    not_client(c, attribindex);
    xg_gl_send_glVertexAttribFormat(c, attribindex, size, type, normalized, relativeoffset);
}

void xg_stub_glVertexAttribIFormat(GLuint attribindex, GLint size, GLenum type,
                                   GLuint relativeoffset)
{
    struct xg_gl_context *c = xg_gl_current;
    if (!c)
        return;
    not_client(c, attribindex);
    xg_gl_send_glVertexAttribIFormat(c, attribindex, size, type, relativeoffset);
}

void xg_stub_glVertexAttribLFormat(GLuint attribindex, GLint size, GLenum type,
                                   GLuint relativeoffset)
{
    struct xg_gl_context *c = xg_gl_current;
    if (!c)
        return;
    not_client(c, attribindex);
    xg_gl_send_glVertexAttribLFormat(c, attribindex, size, type, relativeoffset);
}

void xg_stub_glVertexAttribBinding(GLuint attribindex, GLuint bindingindex)
{
    struct xg_gl_context *c = xg_gl_current;
    if (!c)
        return;
    not_client(c, attribindex);
    xg_gl_send_glVertexAttribBinding(c, attribindex, bindingindex);
}

void xg_stub_glBindVertexBuffer(GLuint bindingindex, GLuint buffer, GLintptr offset, GLsizei stride)
{
    struct xg_gl_context *c = xg_gl_current;
    if (!c)
        return;
    xg_gl_acquire(c);
    not_client(c, bindingindex);
    xg_gl_send_glBindVertexBuffer(c, bindingindex, buffer, offset, stride);
}

void xg_stub_glBindVertexBuffers(GLuint first, GLsizei count, const GLuint *buffers,
                                 const GLintptr *offsets, const GLsizei *strides)
{
    struct xg_gl_context *c = xg_gl_current;
    if (!c)
        return;
    if (count < 0) {
        xg_gl_error(c, GL_INVALID_VALUE);
        return;
    }
    xg_gl_acquire(c);
    for (GLsizei i = 0; i < count && buffers; i++)
        not_client(c, first + (GLuint)i);
    xg_gl_send_glBindVertexBuffers(c, first, count, buffers, offsets, strides);
}

void xg_stub_glVertexBindingDivisor(GLuint bindingindex, GLuint divisor)
{
    struct xg_gl_context *c = xg_gl_current;
    if (!c)
        return;
    if (bindingindex < XG_GENERIC_MAX)
        c->state->vao->array[bindingindex].divisor = divisor;
    xg_gl_send_glVertexBindingDivisor(c, bindingindex, divisor);
}

void xg_stub_glVertexArrayElementBuffer(GLuint vaobj, GLuint buffer)
{
    struct xg_gl_context *c = xg_gl_current;
    struct xg_gl_vao *v;
    if (!c)
        return;
    v = vaobj ? xg_gl_names_get(xg_gl_names_of(c, XG_GL_SPACE_VERTEX_ARRAY), vaobj)
              : &c->state->default_vao;
    if (v)
        v->element_buffer = buffer;
    xg_gl_send_glVertexArrayElementBuffer(c, vaobj, buffer);
}

void xg_stub_glBindVertexArray(GLuint array)
{
    struct xg_gl_context *c = xg_gl_current;
    struct xg_gl_names *t;
    struct xg_gl_vao *v;

    if (!c)
        return;
    t = xg_gl_names_of(c, XG_GL_SPACE_VERTEX_ARRAY);
    if (!array) {
        v = &c->state->default_vao;
    } else if (!xg_gl_names_has(t, array)) {
        xg_gl_error(c, GL_INVALID_OPERATION);
        return;
    } else if (!(v = xg_gl_names_get(t, array))) {
        v = malloc(sizeof(*v));
        if (!v || !xg_gl_names_put(t, array, v)) {
            free(v);
            xg_gl_error(c, GL_OUT_OF_MEMORY);
            return;
        }
        xg_gl_arrays_init(v);
        v->client = 0; /* such objects hold no pointers into memory */
    }
    c->state->vao = v;
    c->state->vertex_array = array;
    xg_gl_send_glBindVertexArray(c, array);
}

/* --- glInterleavedArrays
 * ------------------------------------------------------------------------------------ */

static const struct {
    GLenum format;
    uint8_t tex, color, normal, vertex; /* components; 0: none */
    uint8_t color_ub;
    uint8_t color_at, normal_at, vertex_at, stride; /* in floats */
} interleaved[] = {
    {GL_V2F, 0, 0, 0, 2, 0, 0, 0, 0, 2},
    {GL_V3F, 0, 0, 0, 3, 0, 0, 0, 0, 3},
    {GL_C4UB_V2F, 0, 4, 0, 2, 1, 0, 0, 1, 3},
    {GL_C4UB_V3F, 0, 4, 0, 3, 1, 0, 0, 1, 4},
    {GL_C3F_V3F, 0, 3, 0, 3, 0, 0, 0, 3, 6},
    {GL_N3F_V3F, 0, 0, 3, 3, 0, 0, 0, 3, 6},
    {GL_C4F_N3F_V3F, 0, 4, 3, 3, 0, 0, 4, 7, 10},
    {GL_T2F_V3F, 2, 0, 0, 3, 0, 0, 0, 2, 5},
    {GL_T4F_V4F, 4, 0, 0, 4, 0, 0, 0, 4, 8},
    {GL_T2F_C4UB_V3F, 2, 4, 0, 3, 1, 2, 0, 3, 6},
    {GL_T2F_C3F_V3F, 2, 3, 0, 3, 0, 2, 0, 5, 8},
    {GL_T2F_N3F_V3F, 2, 0, 3, 3, 0, 0, 2, 5, 8},
    {GL_T2F_C4F_N3F_V3F, 2, 4, 3, 3, 0, 2, 6, 9, 12},
    {GL_T4F_C4F_N3F_V4F, 4, 4, 3, 4, 0, 4, 8, 11, 15},
};

static void toggle(GLenum array, bool on)
{
    if (on)
        xg_stub_glEnableClientState(array);
    else
        xg_stub_glDisableClientState(array);
}

void xg_stub_glInterleavedArrays(GLenum format, GLsizei stride, const void *pointer)
{
    struct xg_gl_context *c = xg_gl_current;
    const uint8_t *base = pointer;
    unsigned i;

    if (!c)
        return;
    for (i = 0; i < XG_ARRAY_LEN(interleaved) && interleaved[i].format != format; i++)
        ;
    if (i == XG_ARRAY_LEN(interleaved) || stride < 0) {
        xg_gl_error(c, stride < 0 ? GL_INVALID_VALUE : GL_INVALID_ENUM);
        return;
    }
    if (!stride)
        stride = interleaved[i].stride * 4;
    toggle(GL_EDGE_FLAG_ARRAY, false);
    toggle(GL_INDEX_ARRAY, false);
    toggle(GL_SECONDARY_COLOR_ARRAY, false);
    toggle(GL_FOG_COORD_ARRAY, false);
    toggle(GL_TEXTURE_COORD_ARRAY, interleaved[i].tex != 0);
    if (interleaved[i].tex)
        xg_stub_glTexCoordPointer(interleaved[i].tex, GL_FLOAT, stride, base);
    toggle(GL_COLOR_ARRAY, interleaved[i].color != 0);
    if (interleaved[i].color)
        xg_stub_glColorPointer(interleaved[i].color,
                               interleaved[i].color_ub ? GL_UNSIGNED_BYTE : GL_FLOAT, stride,
                               base + 4 * interleaved[i].color_at);
    toggle(GL_NORMAL_ARRAY, interleaved[i].normal != 0);
    if (interleaved[i].normal)
        xg_stub_glNormalPointer(GL_FLOAT, stride, base + 4 * interleaved[i].normal_at);
    toggle(GL_VERTEX_ARRAY, true);
    xg_stub_glVertexPointer(interleaved[i].vertex, GL_FLOAT, stride,
                            base + 4 * interleaved[i].vertex_at);
}
