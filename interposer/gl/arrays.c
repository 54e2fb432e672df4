/* Vertex arrays, and which of them point to the application's memory. A pointer into a buffer
 * object is sent to the host at once. A pointer into memory stays here; the memory is sent with
 * each draw (draw.c). */
#include "interposer/gl/state.h"

#include "gl/send.h"
#include "gl/stubs.h"

static bool api_desktop(const struct xg_gl_context *c)
{
    return c->api == XG_GL_COMPAT || c->api == XG_GL_CORE;
}

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
    v->client = (1ull << XG_ARRAYS) - 1; /* nothing is set: a NULL pointer into memory */
}

struct xg_gl_vao *xg_gl_vao_new(struct xg_gl_context *c, uint32_t name)
{
    struct xg_gl_vao *v = malloc(sizeof(*v));

    if (!v || !xg_gl_names_put(xg_gl_names_of(c, XG_GL_SPACE_VERTEX_ARRAY), name, v)) {
        free(v);
        xg_gl_error(c, GL_OUT_OF_MEMORY);
        return NULL;
    }
    xg_gl_arrays_init(v);
    v->client = 0; /* these objects cannot hold pointers into memory */
    return v;
}

void xg_gl_arrays_buffer_deleted(struct xg_gl_context *c, uint32_t name)
{
    struct xg_gl_vao *v = c->state->vao;

    if (v->element_buffer == name)
        v->element_buffer = 0;
    for (unsigned i = 0; i < XG_ARRAYS; i++) {
        if (v->array[i].buffer == name && !(v->split >> i & 1)) {
            v->array[i].buffer = 0;
            v->array[i].pointer = NULL;
            v->client |= 1ull << i;
        }
    }
}

/* Which sizes and types an array may have. Bits of sizes: 1 << size, BGRA. */
enum {
    BGRA = 1 << 5,
    T_BYTE = 1 << 0,
    T_UBYTE = 1 << 1,
    T_SHORT = 1 << 2,
    T_USHORT = 1 << 3,
    T_INT = 1 << 4,
    T_UINT = 1 << 5,
    T_FLOAT = 1 << 6,
    T_DOUBLE = 1 << 7,
    T_HALF = 1 << 8,
    T_FIXED = 1 << 9,
    T_PACKED = 1 << 10,  /* 2_10_10_10: four components */
    T_PACKED3 = 1 << 11, /* 10F_11F_11F: three */
    T_INTEGERS = T_BYTE | T_UBYTE | T_SHORT | T_USHORT | T_INT | T_UINT,
    T_REALS = T_FLOAT | T_DOUBLE | T_HALF,
};

struct array_rule {
    uint16_t sizes, types;
};

static unsigned type_bit(GLenum type)
{
    switch (type) {
    case GL_BYTE: return T_BYTE;
    case GL_UNSIGNED_BYTE: return T_UBYTE;
    case GL_SHORT: return T_SHORT;
    case GL_UNSIGNED_SHORT: return T_USHORT;
    case GL_INT: return T_INT;
    case GL_UNSIGNED_INT: return T_UINT;
    case GL_FLOAT: return T_FLOAT;
    case GL_DOUBLE: return T_DOUBLE;
    case GL_HALF_FLOAT:
    case GL_HALF_FLOAT_OES: return T_HALF;
    case GL_FIXED: return T_FIXED;
    case GL_INT_2_10_10_10_REV:
    case GL_UNSIGNED_INT_2_10_10_10_REV: return T_PACKED;
    case GL_UNSIGNED_INT_10F_11F_11F_REV: return T_PACKED3;
    default: return 0;
    }
}

static struct array_rule rule_of(const struct xg_gl_context *c, unsigned slot, unsigned integer)
{
    static const struct array_rule old[] = {
        [XG_ARRAY_VERTEX - XG_ARRAY_VERTEX] = {0x1c, T_SHORT | T_INT | T_REALS | T_PACKED},
        [XG_ARRAY_NORMAL - XG_ARRAY_VERTEX] = {0x08, T_BYTE | T_SHORT | T_INT | T_REALS | T_PACKED},
        [XG_ARRAY_COLOR - XG_ARRAY_VERTEX] = {0x18 | BGRA, T_INTEGERS | T_REALS | T_PACKED},
        [XG_ARRAY_SECONDARY - XG_ARRAY_VERTEX] = {0x08 | BGRA, T_INTEGERS | T_REALS | T_PACKED},
        [XG_ARRAY_FOG - XG_ARRAY_VERTEX] = {0x02, T_REALS},
        [XG_ARRAY_INDEX - XG_ARRAY_VERTEX] = {0x02, T_UBYTE | T_SHORT | T_INT | T_FLOAT | T_DOUBLE},
        [XG_ARRAY_EDGE - XG_ARRAY_VERTEX] = {0x02, T_UBYTE},
        [XG_ARRAY_POINT_SIZE - XG_ARRAY_VERTEX] = {0x02, T_FLOAT | T_FIXED},
    };
    static const struct array_rule tex = {0x1e, T_SHORT | T_INT | T_REALS | T_PACKED},
                                   es1 = {0x1e, T_BYTE | T_UBYTE | T_SHORT | T_FLOAT | T_FIXED},
                                   es2 = {0x1e, T_INTEGERS | T_FLOAT | T_HALF | T_FIXED | T_PACKED},
                                   generic = {0x1e | BGRA, T_INTEGERS | T_REALS | T_FIXED |
                                                               T_PACKED | T_PACKED3},
                                   integers = {0x1e, T_INTEGERS}, doubles = {0x1e, T_DOUBLE};

    if (slot < XG_ARRAY_VERTEX)
        return integer == 1          ? integers
               : integer == 2        ? doubles
               : c->api == XG_GL_ES2 ? es2
                                     : generic;
    if (c->api == XG_GL_ES1)
        return (struct array_rule){
            slot >= XG_ARRAY_TEX ? tex.sizes : old[slot - XG_ARRAY_VERTEX].sizes, es1.types};
    return slot >= XG_ARRAY_TEX ? tex : old[slot - XG_ARRAY_VERTEX];
}

/* The error that GL raises for a format; checked in GL's order. */
static GLenum format_refusal(const struct xg_gl_context *c, unsigned slot, GLint size, GLenum type,
                             bool normalized, unsigned integer)
{
    struct array_rule r = rule_of(c, slot, integer);
    unsigned bit = type_bit(type);

    if (!(r.types & bit))
        return GL_INVALID_ENUM;
    if (size == GL_BGRA && r.sizes & BGRA) {
        if (!(bit & (T_UBYTE | T_PACKED)) || !normalized)
            return GL_INVALID_OPERATION;
    } else if (size < 1 || size > 4 || !(r.sizes >> size & 1)) {
        return GL_INVALID_VALUE;
    } else if ((bit == T_PACKED && size != 4 && slot != XG_ARRAY_NORMAL) ||
               (bit == T_PACKED3 && size != 3)) {
        return GL_INVALID_OPERATION;
    }
    return GL_NO_ERROR;
}

/* A refused pointer is neither sent to the host nor remembered here. */
static GLenum pointer_refusal(struct xg_gl_context *c, unsigned slot, GLint size, GLenum type,
                              GLsizei stride, const void *pointer, bool normalized,
                              unsigned integer)
{
    const struct xg_gl_state *s = c->state;

    if (xg_gl_begun(c) || (c->api == XG_GL_CORE && s->vao == &s->default_vao) ||
        (integer == 2 && !api_desktop(c)))
        return GL_INVALID_OPERATION;
    if (stride < 0 || (uint32_t)stride > s->max_stride)
        return GL_INVALID_VALUE;
    if (s->vao != &s->default_vao && !s->array_buffer && pointer)
        return GL_INVALID_OPERATION;
    return format_refusal(c, slot, size, type, normalized, integer);
}

/* --- arrays in memory together with ARB_vertex_attrib_binding --------------------------------- */

/* The host knows the format and buffer that the last command sent to it has set; an array in memory
 * is not sent. It must be told before another command uses the format or the binding. */
static void array_tell(struct xg_gl_context *c, unsigned slot, const struct xg_gl_array *a)
{
    xg_gl_send_glVertexAttribBinding(c, slot, slot);
    xg_gl_send_glBindVertexBuffer(c, slot, 0, 0, a->stride);
    if (a->integer == 1)
        xg_gl_send_glVertexAttribIFormat(c, slot, a->size, a->type, a->relative);
    else if (a->integer == 2)
        xg_gl_send_glVertexAttribLFormat(c, slot, a->size, a->type, a->relative);
    else
        xg_gl_send_glVertexAttribFormat(c, slot, a->size, a->type, a->normalized, a->relative);
}

static void tell_all(struct xg_gl_context *c, struct xg_gl_vao *v)
{
    if (v->mixed || v != &c->state->default_vao || c->api != XG_GL_COMPAT)
        return;
    v->mixed = true;
    if (c->state->vao != v)
        xg_gl_send_glBindVertexArray(c, 0);
    for (unsigned slot = 0; slot < c->state->max_attribs && slot < XG_GENERIC_MAX; slot++)
        if (v->client >> slot & 1)
            array_tell(c, slot, &v->array[slot]);
    if (c->state->vao != v)
        xg_gl_send_glBindVertexArray(c, c->state->vertex_array);
}

/* Records the array; true: send it to the host, since its memory is a buffer object. */
static bool array_record(struct xg_gl_context *c, unsigned slot, GLint size, GLenum type,
                         GLsizei stride, const void *pointer, bool normalized, unsigned integer)
{
    struct xg_gl_state *s = c->state;
    struct xg_gl_vao *v = s->vao;
    GLenum error = pointer_refusal(c, slot, size, type, stride, pointer, normalized, integer);

    if (error) {
        xg_gl_error(c, error);
        return false;
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
    v->split &= ~(1ull << slot);
    if (s->array_buffer) {
        v->client &= ~(1ull << slot);
        return true;
    }
    v->client |= 1ull << slot;
    if (XG_UNLIKELY(v->mixed) && slot < XG_GENERIC_MAX)
        array_tell(c, slot, &v->array[slot]);
    return false;
}

static bool old_array(struct xg_gl_context *c)
{
    if (!xg_gl_old(c))
        xg_gl_error(c, GL_INVALID_OPERATION);
    return xg_gl_old(c);
}

#define POINTER(Name, slot, size, type, params, args)                                              \
    void xg_stub_gl##Name params                                                                   \
    {                                                                                              \
        struct xg_gl_context *c = xg_gl_current;                                                   \
        if (c && old_array(c) &&                                                                   \
            array_record(c, slot, size, type, stride, pointer, slot != XG_ARRAY_VERTEX, 0))        \
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

static bool attrib_ok(struct xg_gl_context *c, GLuint index)
{
    if (index < c->state->max_attribs && index < XG_GENERIC_MAX)
        return true;
    xg_gl_error(c, GL_INVALID_VALUE);
    return false;
}

void xg_stub_glVertexAttribPointer(GLuint index, GLint size, GLenum type, GLboolean normalized,
                                   GLsizei stride, const void *pointer)
{
    struct xg_gl_context *c = xg_gl_current;
    if (c && attrib_ok(c, index) &&
        array_record(c, index, size, type, stride, pointer, normalized, 0))
        xg_gl_send_glVertexAttribPointer(c, index, size, type, normalized, stride, pointer);
}

void xg_stub_glVertexAttribIPointer(GLuint index, GLint size, GLenum type, GLsizei stride,
                                    const void *pointer)
{
    struct xg_gl_context *c = xg_gl_current;
    if (c && attrib_ok(c, index) && array_record(c, index, size, type, stride, pointer, false, 1))
        xg_gl_send_glVertexAttribIPointer(c, index, size, type, stride, pointer);
}

void xg_stub_glVertexAttribLPointer(GLuint index, GLint size, GLenum type, GLsizei stride,
                                    const void *pointer)
{
    struct xg_gl_context *c = xg_gl_current;
    if (c && attrib_ok(c, index) && array_record(c, index, size, type, stride, pointer, false, 2))
        xg_gl_send_glVertexAttribLPointer(c, index, size, type, stride, pointer);
}

/* --- enabling --------------------------------------------------------------------------------- */

static unsigned client_slot(struct xg_gl_context *c, GLenum array)
{
    return xg_gl_old(c) ? xg_gl_client_slot(array, c->state->client_texture) : XG_ARRAYS;
}

static void array_enable(struct xg_gl_context *c, unsigned slot, bool on)
{
    struct xg_gl_vao *v = c->state->vao;
    if (slot >= XG_ARRAYS || xg_gl_begun(c))
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
    if (array == GL_PRIMITIVE_RESTART_NV)
        xg_gl_cap_set(c, array, true);
    array_enable(c, client_slot(c, array), true);
    xg_gl_send_glEnableClientState(c, array);
}

void xg_stub_glDisableClientState(GLenum array)
{
    struct xg_gl_context *c = xg_gl_current;
    if (!c)
        return;
    if (array == GL_PRIMITIVE_RESTART_NV)
        xg_gl_cap_set(c, array, false);
    array_enable(c, client_slot(c, array), false);
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
    array_enable(c, index < c->state->max_attribs ? index : XG_ARRAYS, true);
    xg_gl_send_glEnableVertexAttribArray(c, index);
}

void xg_stub_glDisableVertexAttribArray(GLuint index)
{
    struct xg_gl_context *c = xg_gl_current;
    if (!c)
        return;
    array_enable(c, index < c->state->max_attribs ? index : XG_ARRAYS, false);
    xg_gl_send_glDisableVertexAttribArray(c, index);
}

/* The divisor of an attribute, or of the binding with its number, which it uses unless it is
 * `split`. */
static void set_divisor(struct xg_gl_context *c, GLuint index, GLuint divisor)
{
    struct xg_gl_vao *v = c->state->vao;

    if (c->state->list_mode)
        atomic_fetch_or(&c->share->ever, XG_LIST_DIVISOR);
    if (index >= c->state->max_attribs || index >= XG_GENERIC_MAX)
        return;
    v->array[index].divisor = divisor;
    v->unsure &= ~(1ull << index);
    if (!xg_gl_settled(c))
        v->unsure |= 1ull << index;
}

uint32_t xg_gl_divisor(struct xg_gl_context *c, unsigned slot)
{
    struct xg_gl_vao *v = c->state->vao;
    GLint value[64] = {0};

    if (XG_UNLIKELY(v->unsure >> slot & 1)) {
        xg_gl_send_glGetVertexAttribiv(c, slot, GL_VERTEX_ATTRIB_ARRAY_DIVISOR, value);
        v->array[slot].divisor = (uint32_t)value[0];
        v->unsure &= ~(1ull << slot);
    }
    return v->array[slot].divisor;
}

void xg_stub_glVertexAttribDivisor(GLuint index, GLuint divisor)
{
    struct xg_gl_context *c = xg_gl_current;
    if (!c)
        return;
    set_divisor(c, index, divisor);
    xg_gl_send_glVertexAttribDivisor(c, index, divisor);
}

/* --- ARB_vertex_attrib_binding: such arrays are always in buffer objects ---------------------- */

/* From here on the host alone knows the attribute, or the one that uses the binding of that
 * number. */
static void array_split(struct xg_gl_context *c, struct xg_gl_vao *v, GLuint index)
{
    if (!v || index >= c->state->max_attribs || index >= XG_GENERIC_MAX)
        return;
    tell_all(c, v);
    v->client &= ~(1ull << index);
    v->split |= 1ull << index;
    v->unsure |= 1ull << index;
}

/* An attribute that is not split uses the binding of its own number. */
static void bind_attribute(struct xg_gl_context *c, struct xg_gl_vao *v, GLuint index,
                           GLuint binding)
{
    if (v && index < XG_GENERIC_MAX && binding < c->state->max_attribs &&
        (index != binding || v->split >> index & 1))
        array_split(c, v, index);
}

static void format_record(struct xg_gl_context *c, struct xg_gl_vao *v, GLuint index, GLint size,
                          GLenum type, bool normalized, unsigned integer, GLuint relative)
{
    if (!v || index >= c->state->max_attribs || index >= XG_GENERIC_MAX ||
        relative > c->state->max_relative || (integer == 2 && !api_desktop(c)) ||
        format_refusal(c, index, size, type, normalized, integer))
        return;
    tell_all(c, v);
    v->array[index].size = size;
    v->array[index].type = type;
    v->array[index].normalized = normalized;
    v->array[index].integer = (uint8_t)integer;
    v->array[index].relative = relative;
}

/* Only the compatibility profile allows this for the default object. */
static struct xg_gl_vao *vao_split_of(struct xg_gl_context *c)
{
    struct xg_gl_state *s = c->state;
    bool may = s->vao != &s->default_vao || c->api == XG_GL_COMPAT;
    return may && !xg_gl_begun(c) ? s->vao : NULL;
}

static bool buffer_ok(struct xg_gl_context *c, GLuint buffer, GLintptr offset, GLsizei stride)
{
    return offset >= 0 && stride >= 0 && (uint32_t)stride <= c->state->max_stride &&
           (!buffer || c->api != XG_GL_CORE ||
            xg_gl_names_has(&c->share->names[XG_GL_SPACE_BUFFER], buffer));
}

/* Binding `i` of a run. A wrong one is left out; a run beyond the last binding changes nothing. */
static void split_range(struct xg_gl_context *c, struct xg_gl_vao *v, GLuint first, GLsizei count,
                        GLsizei i, const GLuint *buffers, const GLintptr *offsets,
                        const GLsizei *strides)
{
    if ((uint64_t)first + (uint64_t)count > c->state->max_attribs)
        return;
    if (!buffers ||
        (offsets && strides && buffer_ok(c, buffers[i], offsets[i], strides[i]) &&
         (!buffers[i] || xg_gl_names_get(&c->share->names[XG_GL_SPACE_BUFFER], buffers[i]))))
        array_split(c, v, first + (GLuint)i);
}

void xg_stub_glVertexAttribFormat(GLuint attribindex, GLint size, GLenum type, GLboolean normalized,
                                  GLuint relativeoffset)
{
    struct xg_gl_context *c = xg_gl_current;
    if (!c)
        return;
    format_record(c, vao_split_of(c), attribindex, size, type, normalized, 0, relativeoffset);
    xg_gl_send_glVertexAttribFormat(c, attribindex, size, type, normalized, relativeoffset);
}

void xg_stub_glVertexAttribIFormat(GLuint attribindex, GLint size, GLenum type,
                                   GLuint relativeoffset)
{
    struct xg_gl_context *c = xg_gl_current;
    if (!c)
        return;
    format_record(c, vao_split_of(c), attribindex, size, type, false, 1, relativeoffset);
    xg_gl_send_glVertexAttribIFormat(c, attribindex, size, type, relativeoffset);
}

void xg_stub_glVertexAttribLFormat(GLuint attribindex, GLint size, GLenum type,
                                   GLuint relativeoffset)
{
    struct xg_gl_context *c = xg_gl_current;
    if (!c)
        return;
    format_record(c, vao_split_of(c), attribindex, size, type, false, 2, relativeoffset);
    xg_gl_send_glVertexAttribLFormat(c, attribindex, size, type, relativeoffset);
}

void xg_stub_glVertexAttribBinding(GLuint attribindex, GLuint bindingindex)
{
    struct xg_gl_context *c = xg_gl_current;
    if (!c)
        return;
    bind_attribute(c, vao_split_of(c), attribindex, bindingindex);
    xg_gl_send_glVertexAttribBinding(c, attribindex, bindingindex);
}

void xg_stub_glBindVertexBuffer(GLuint bindingindex, GLuint buffer, GLintptr offset, GLsizei stride)
{
    struct xg_gl_context *c = xg_gl_current;
    if (!c)
        return;
    xg_gl_acquire(c);
    if (buffer_ok(c, buffer, offset, stride))
        array_split(c, vao_split_of(c), bindingindex);
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
    for (GLsizei i = 0; i < count && i < (GLsizei)XG_GENERIC_MAX; i++)
        split_range(c, vao_split_of(c), first, count, i, buffers, offsets, strides);
    xg_gl_send_glBindVertexBuffers(c, first, count, buffers, offsets, strides);
}

void xg_stub_glVertexBindingDivisor(GLuint bindingindex, GLuint divisor)
{
    struct xg_gl_context *c = xg_gl_current;
    if (!c)
        return;
    if (vao_split_of(c)) {
        tell_all(c, c->state->vao);
        set_divisor(c, bindingindex, divisor);
        c->state->vao->unsure |= bindingindex < XG_GENERIC_MAX ? 1ull << bindingindex : 0;
    }
    xg_gl_send_glVertexBindingDivisor(c, bindingindex, divisor);
}

/* NULL: the host refuses the name. A name becomes an object when it is first bound, or made by
 * glCreateVertexArrays. */
static struct xg_gl_vao *vao_of(struct xg_gl_context *c, GLuint name)
{
    if (!api_desktop(c) || xg_gl_begun(c) || (!name && c->api == XG_GL_CORE))
        return NULL;
    return name ? xg_gl_names_get(xg_gl_names_of(c, XG_GL_SPACE_VERTEX_ARRAY), name)
                : &c->state->default_vao;
}

static void enable_in(struct xg_gl_context *c, GLuint name, GLuint index, bool on)
{
    struct xg_gl_vao *v = vao_of(c, name);

    if (!v || index >= c->state->max_attribs || index >= XG_GENERIC_MAX)
        return;
    v->enabled = on ? v->enabled | 1ull << index : v->enabled & ~(1ull << index);
}

void xg_stub_glEnableVertexArrayAttrib(GLuint vaobj, GLuint index)
{
    struct xg_gl_context *c = xg_gl_current;
    if (!c)
        return;
    enable_in(c, vaobj, index, true);
    xg_gl_send_glEnableVertexArrayAttrib(c, vaobj, index);
}

void xg_stub_glDisableVertexArrayAttrib(GLuint vaobj, GLuint index)
{
    struct xg_gl_context *c = xg_gl_current;
    if (!c)
        return;
    enable_in(c, vaobj, index, false);
    xg_gl_send_glDisableVertexArrayAttrib(c, vaobj, index);
}

#define SPLIT(Name, follow, params, args)                                                          \
    void xg_stub_glVertexArray##Name params                                                        \
    {                                                                                              \
        struct xg_gl_context *c = xg_gl_current;                                                   \
        struct xg_gl_vao *v;                                                                       \
        if (!c)                                                                                    \
            return;                                                                                \
        xg_gl_acquire(c);                                                                          \
        v = vao_of(c, vaobj);                                                                      \
        follow;                                                                                    \
        xg_gl_send_glVertexArray##Name args;                                                       \
    }
SPLIT(AttribFormat, format_record(c, v, attrib, size, type, norm, 0, offset),
      (GLuint vaobj, GLuint attrib, GLint size, GLenum type, GLboolean norm, GLuint offset),
      (c, vaobj, attrib, size, type, norm, offset))
SPLIT(AttribIFormat, format_record(c, v, attrib, size, type, false, 1, offset),
      (GLuint vaobj, GLuint attrib, GLint size, GLenum type, GLuint offset),
      (c, vaobj, attrib, size, type, offset))
SPLIT(AttribLFormat, format_record(c, v, attrib, size, type, false, 2, offset),
      (GLuint vaobj, GLuint attrib, GLint size, GLenum type, GLuint offset),
      (c, vaobj, attrib, size, type, offset))
SPLIT(AttribBinding, bind_attribute(c, v, attrib, binding),
      (GLuint vaobj, GLuint attrib, GLuint binding), (c, vaobj, attrib, binding))
SPLIT(VertexBuffer, if (buffer_ok(c, buffer, offset, stride)) array_split(c, v, binding),
      (GLuint vaobj, GLuint binding, GLuint buffer, GLintptr offset, GLsizei stride),
      (c, vaobj, binding, buffer, offset, stride))
/* The divisor must be asked for. */
SPLIT(
    BindingDivisor,
    if (v && binding < XG_GENERIC_MAX) {
        tell_all(c, v);
        v->unsure |= 1ull << binding;
    },
    (GLuint vaobj, GLuint binding, GLuint divisor), (c, vaobj, binding, divisor))

void xg_stub_glVertexArrayVertexBuffers(GLuint vaobj, GLuint first, GLsizei count,
                                        const GLuint *buffers, const GLintptr *offsets,
                                        const GLsizei *strides)
{
    struct xg_gl_context *c = xg_gl_current;
    if (!c)
        return;
    xg_gl_acquire(c);
    for (GLsizei i = 0; i < count && i < (GLsizei)XG_GENERIC_MAX; i++)
        split_range(c, vao_of(c, vaobj), first, count, i, buffers, offsets, strides);
    xg_gl_send_glVertexArrayVertexBuffers(c, vaobj, first, count, buffers, offsets, strides);
}

void xg_stub_glVertexArrayElementBuffer(GLuint vaobj, GLuint buffer)
{
    struct xg_gl_context *c = xg_gl_current;
    struct xg_gl_vao *v;
    if (!c)
        return;
    v = vao_of(c, vaobj);
    xg_gl_acquire(c);
    xg_gl_send_glVertexArrayElementBuffer(c, vaobj, buffer);
    /* a name that is not an object yet: then the host refuses it */
    if (v && buffer && !xg_gl_names_get(&c->share->names[XG_GL_SPACE_BUFFER], buffer)) {
        GLint now[64] = {(GLint)v->element_buffer};
        xg_gl_send_glGetVertexArrayiv(c, vaobj, GL_ELEMENT_ARRAY_BUFFER_BINDING, now);
        buffer = (GLuint)now[0];
    }
    if (v)
        v->element_buffer = buffer;
}

void xg_stub_glBindVertexArray(GLuint array)
{
    struct xg_gl_context *c = xg_gl_current;
    struct xg_gl_names *t;
    struct xg_gl_vao *v;

    if (!c)
        return;
    t = xg_gl_names_of(c, XG_GL_SPACE_VERTEX_ARRAY);
    if (xg_gl_begun(c)) {
        xg_gl_error(c, GL_INVALID_OPERATION);
        return;
    }
    if (!array) {
        v = &c->state->default_vao;
    } else if (!xg_gl_names_has(t, array)) {
        xg_gl_error(c, GL_INVALID_OPERATION);
        return;
    } else if (!(v = xg_gl_names_get(t, array))) {
        v = xg_gl_vao_new(c, array);
        if (!v)
            return;
    }
    c->state->vao = v;
    c->state->vertex_array = array;
    xg_gl_send_glBindVertexArray(c, array);
}

/* --- glInterleavedArrays ---------------------------------------------------------------------- */

static const struct {
    GLenum format;
    uint8_t tex, color, normal, vertex; /* components; 0: none */
    uint8_t color_ub;
    uint8_t color_at, normal_at, vertex_at, stride; /* in floats */
} interleaved_formats[] = {
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

static void client_state_set(GLenum array, bool on)
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

    if (!c || !old_array(c))
        return;
    for (i = 0; i < XG_ARRAY_LEN(interleaved_formats) && interleaved_formats[i].format != format;
         i++)
        ;
    if (i == XG_ARRAY_LEN(interleaved_formats) || stride < 0) {
        xg_gl_error(c, stride < 0 ? GL_INVALID_VALUE : GL_INVALID_ENUM);
        return;
    }
    if (!stride)
        stride = interleaved_formats[i].stride * 4;
    client_state_set(GL_EDGE_FLAG_ARRAY, false);
    client_state_set(GL_INDEX_ARRAY, false);
    client_state_set(GL_SECONDARY_COLOR_ARRAY, false);
    client_state_set(GL_FOG_COORD_ARRAY, false);
    client_state_set(GL_TEXTURE_COORD_ARRAY, interleaved_formats[i].tex != 0);
    if (interleaved_formats[i].tex)
        xg_stub_glTexCoordPointer(interleaved_formats[i].tex, GL_FLOAT, stride, base);
    client_state_set(GL_COLOR_ARRAY, interleaved_formats[i].color != 0);
    if (interleaved_formats[i].color)
        xg_stub_glColorPointer(interleaved_formats[i].color,
                               interleaved_formats[i].color_ub ? GL_UNSIGNED_BYTE : GL_FLOAT,
                               stride, base + 4 * interleaved_formats[i].color_at);
    client_state_set(GL_NORMAL_ARRAY, interleaved_formats[i].normal != 0);
    if (interleaved_formats[i].normal)
        xg_stub_glNormalPointer(GL_FLOAT, stride, base + 4 * interleaved_formats[i].normal_at);
    client_state_set(GL_VERTEX_ARRAY, true);
    xg_stub_glVertexPointer(interleaved_formats[i].vertex, GL_FLOAT, stride,
                            base + 4 * interleaved_formats[i].vertex_at);
}
