/* Draws. If everything is in buffer objects they are sent as they are; data in the application's
 * memory is measured and sent with them. */
#include "interposer/gl/state.h"

#include "gl/send.h"
#include "gl/stubs.h"

/* A draw, by whichever command. */
struct draw {
    GLenum mode;
    GLint first;
    GLsizei count, instances;
    GLenum type; /* 0: no indices */
    const void *indices;
    GLint base_vertex;
    GLuint base_instance;
    bool ranged;
    GLuint start, end; /* glDrawRangeElements */
};

static uint64_t client_arrays(const struct xg_gl_context *c)
{
    const struct xg_gl_vao *v = c->state->vao;
    return v->enabled & v->client;
}

/* True: the draw can be sent as it is. First waits for what the draw depends on. */
static bool draw_direct(struct xg_gl_context *c, bool indexed)
{
    xg_gl_persistent_flush(c);
    return XG_LIKELY(!client_arrays(c) && (!indexed || c->state->vao->element_buffer));
}

/* --- which vertices --------------------------------------------------------------------------- */

#define SCAN(T)                                                                                    \
    do {                                                                                           \
        const T *p = data;                                                                         \
        for (GLsizei i = 0; restart < 0 && i < n; i++) {                                           \
            lo = p[i] < lo ? p[i] : lo;                                                            \
            hi = p[i] > hi ? p[i] : hi;                                                            \
        }                                                                                          \
        for (GLsizei i = 0; restart >= 0 && i < n; i++) {                                          \
            if (p[i] == restart)                                                                   \
                continue;                                                                          \
            lo = p[i] < lo ? p[i] : lo;                                                            \
            hi = p[i] > hi ? p[i] : hi;                                                            \
        }                                                                                          \
    } while (0)

static bool index_range(struct xg_gl_context *c, GLenum type, const void *data, GLsizei n,
                        uint32_t *min, uint32_t *max)
{
    int64_t restart = xg_gl_restart(c, type);
    uint32_t lo = UINT32_MAX, hi = 0;

    switch (type) {
    case GL_UNSIGNED_BYTE: SCAN(uint8_t); break;
    case GL_UNSIGNED_SHORT: SCAN(uint16_t); break;
    default: SCAN(uint32_t); break;
    }
    *min = lo;
    *max = hi;
    return lo <= hi;
}

/* --- what to send ----------------------------------------------------------------------------- */

#define BLOBS_MAX XG_ARRAYS

struct plan {
    struct xg_gl_draw_array array[XG_ARRAYS];
    struct {
        const uint8_t *from, *to;
        /* bytes from the first byte of an element to its last, over all arrays of the blob */
        uint64_t element;
        uint32_t stride, divisor;
        uint64_t skip, size;
    } blob[BLOBS_MAX];
    unsigned arrays, blobs;
};

static unsigned element_size(const struct xg_gl_array *a)
{
    unsigned n = a->size == GL_BGRA ? 4 : (unsigned)a->size;

    switch (a->type) {
    case GL_INT_2_10_10_10_REV:
    case GL_UNSIGNED_INT_2_10_10_10_REV:
    case GL_UNSIGNED_INT_10F_11F_11F_REV: return 4;
    default: return n * xg_gl_type_size(a->type);
    }
}

static const uint8_t *array_address(const struct xg_gl_array *a)
{
    return (const uint8_t *)a->pointer + a->relative;
}

/* Arrays of the same stride, whose elements lie within one stride of each other, are one blob. */
static unsigned blob_place(struct plan *p, const struct xg_gl_array *a, uint32_t stride,
                           unsigned bytes)
{
    const uint8_t *from = array_address(a), *to = from + bytes;

    for (unsigned i = 0; i < p->blobs; i++) {
        const uint8_t *lo = from < p->blob[i].from ? from : p->blob[i].from;
        const uint8_t *hi = to > p->blob[i].to ? to : p->blob[i].to;
        if (p->blob[i].stride == stride && p->blob[i].divisor == a->divisor &&
            (uint64_t)(hi - lo) <= stride) {
            p->blob[i].from = lo;
            p->blob[i].to = hi;
            return i;
        }
    }
    p->blob[p->blobs].from = from;
    p->blob[p->blobs].to = to;
    p->blob[p->blobs].stride = stride;
    p->blob[p->blobs].divisor = a->divisor;
    return p->blobs++;
}

static void plan_arrays(struct xg_gl_context *c, struct plan *p, uint64_t mask)
{
    const struct xg_gl_vao *v = c->state->vao;

    for (; mask; mask &= mask - 1) {
        unsigned slot = (unsigned)__builtin_ctzll(mask);
        const struct xg_gl_array *a = &v->array[slot];
        unsigned bytes = element_size(a);
        struct xg_gl_draw_array *d = &p->array[p->arrays];

        if (!a->pointer || !bytes)
            continue; /* the worker leaves arrays that do not exist out of the draw */
        d->slot = slot;
        d->size = a->size;
        d->type = a->type;
        d->stride = a->stride;
        d->flags = a->normalized | (uint32_t)a->integer << 1;
        d->divisor = xg_gl_divisor(c, slot);
        d->blob = blob_place(p, a, a->stride ? (uint32_t)a->stride : bytes, bytes);
        p->arrays++;
    }
    for (unsigned i = 0; i < p->arrays; i++)
        p->array[i].offset =
            (uint32_t)(array_address(&v->array[p->array[i].slot]) - p->blob[p->array[i].blob].from);
}

static void plan_ranges(struct plan *p, const struct draw *d, uint32_t min, uint32_t max)
{
    for (unsigned i = 0; i < p->blobs; i++) {
        uint32_t lo = min, hi = max;
        if (p->blob[i].divisor) {
            uint32_t n = d->instances > 0 ? (uint32_t)d->instances : 1;
            lo = d->base_instance;
            hi = lo + (n - 1) / p->blob[i].divisor;
        }
        p->blob[i].skip = (uint64_t)lo * p->blob[i].stride;
        p->blob[i].size =
            (uint64_t)(hi - lo) * p->blob[i].stride + (uint64_t)(p->blob[i].to - p->blob[i].from);
    }
}

/* --- sending ---------------------------------------------------------------------------------- */

static void send_draw(struct xg_gl_context *c, const struct draw *d, const struct plan *p,
                      unsigned indices, const void *data, uint64_t bytes, uint32_t min,
                      uint32_t max)
{
    struct xg_ring *r = c->ring;
    uint32_t fixed =
        (uint32_t)(sizeof(struct xg_gl_draw) + p->arrays * sizeof(struct xg_gl_draw_array));
    uint64_t most = xg_blob_max(r), room = fixed + sizeof(struct xg_blob) * (p->blobs + 1);
    bool in_arena[BLOBS_MAX + 1];
    struct xg_gl_draw *f;
    uint8_t *at;

    for (unsigned i = 0; i <= p->blobs; i++) {
        uint64_t n = i < p->blobs ? p->blob[i].size : bytes;
        uint64_t inl = (n + 7) & ~7ull;
        if (n > most) {
            xg_gl_error(c, GL_OUT_OF_MEMORY);
            return;
        }
        in_arena[i] = n > XG_BLOB_INLINE_MAX || room + inl + sizeof(struct xg_frame) > r->frame_max;
        if (!in_arena[i])
            room += inl;
    }
    if (indices != XG_GL_DRAW_DATA)
        room -= sizeof(struct xg_blob);
    f = xg_gl_begin(c, XG_GL_OP_xgDraw, (uint32_t)room);
    *f = (struct xg_gl_draw){
        .offset = indices == XG_GL_DRAW_BUFFER ? (uint64_t)(uintptr_t)d->indices : 0,
        .mode = d->mode,
        .indices = indices,
        .type = d->type,
        .first = d->first,
        .count = d->count,
        .instances = d->instances,
        .base_vertex = d->base_vertex,
        .base_instance = d->base_instance,
        .min = min,
        .max = max,
        .arrays = p->arrays,
        .blobs = p->blobs,
    };
    at = (uint8_t *)(f + 1);
    memcpy(at, p->array, p->arrays * sizeof(p->array[0]));
    at += p->arrays * sizeof(p->array[0]);
    for (unsigned i = 0; i < p->blobs; i++)
        at = in_arena[i]
                 ? xg_blob_put_arena(r, at, p->blob[i].from + p->blob[i].skip, p->blob[i].size)
                 : xg_blob_put(r, at, p->blob[i].from + p->blob[i].skip, p->blob[i].size);
    if (indices == XG_GL_DRAW_DATA)
        at = in_arena[p->blobs] ? xg_blob_put_arena(r, at, data, bytes)
                                : xg_blob_put(r, at, data, bytes);
    xg_gl_end(c);
}

/* A draw that reads the application's memory. */
static void draw_memory(struct xg_gl_context *c, const struct draw *d)
{
    struct xg_gl_state *s = c->state;
    uint64_t arrays = client_arrays(c), bytes = 0;
    const void *data = NULL;
    unsigned indices = XG_GL_DRAW_ARRAYS;
    uint32_t min = 0, max = 0;
    struct plan p;

    p.arrays = p.blobs = 0;
    if (d->count < 0 || d->first < 0 || d->instances < 0) {
        xg_gl_error(c, GL_INVALID_VALUE);
        return;
    }
    if (d->type) {
        unsigned size = xg_gl_index_size(d->type);
        if (!size) {
            xg_gl_error(c, GL_INVALID_ENUM);
            return;
        }
        bytes = (uint64_t)d->count * size;
        indices = s->vao->element_buffer ? XG_GL_DRAW_BUFFER : XG_GL_DRAW_DATA;
        data = d->indices;
        if (arrays && indices == XG_GL_DRAW_BUFFER) {
            data = xg_gl_buffer_contents(c, s->vao->element_buffer, (uint64_t)(uintptr_t)d->indices,
                                         bytes);
            indices = XG_GL_DRAW_DATA;
        }
        if (!data && indices == XG_GL_DRAW_DATA && bytes)
            return; /* with a NULL pointer nothing is drawn, as in drivers */
    }
    if (arrays) {
        if (!d->count)
            arrays = 0;
        else if (!d->type)
            min = (uint32_t)d->first, max = min + (uint32_t)d->count - 1;
        else if (!index_range(c, d->type, data, d->count, &min, &max))
            arrays = 0;
        else if ((int64_t)min + d->base_vertex < 0 || (int64_t)max + d->base_vertex > UINT32_MAX)
            return; /* before the arrays' start: GL does not define what happens */
        else
            min += (uint32_t)d->base_vertex, max += (uint32_t)d->base_vertex;
        plan_arrays(c, &p, arrays);
        plan_ranges(&p, d, min, max);
    }
    send_draw(c, d, &p, indices, bytes ? data : xg_zeroes_guest, bytes, min, max);
}

/* --- the entry points ------------------------------------------------------------------------- */

void xg_stub_glDrawArrays(GLenum mode, GLint first, GLsizei count)
{
    struct xg_gl_context *c = xg_gl_current;
    if (!c)
        return;
    if (draw_direct(c, false))
        xg_gl_send_glDrawArrays(c, mode, first, count);
    else
        draw_memory(c, &(struct draw){.mode = mode, .first = first, .count = count});
}

void xg_stub_glDrawArraysInstanced(GLenum mode, GLint first, GLsizei count, GLsizei instancecount)
{
    struct xg_gl_context *c = xg_gl_current;
    if (!c)
        return;
    if (draw_direct(c, false))
        xg_gl_send_glDrawArraysInstanced(c, mode, first, count, instancecount);
    else if (instancecount)
        draw_memory(c,
                    &(struct draw){
                        .mode = mode, .first = first, .count = count, .instances = instancecount});
}

void xg_stub_glDrawArraysInstancedBaseInstance(GLenum mode, GLint first, GLsizei count,
                                               GLsizei instancecount, GLuint baseinstance)
{
    struct xg_gl_context *c = xg_gl_current;
    if (!c)
        return;
    if (draw_direct(c, false))
        xg_gl_send_glDrawArraysInstancedBaseInstance(c, mode, first, count, instancecount,
                                                     baseinstance);
    else if (instancecount)
        draw_memory(c, &(struct draw){.mode = mode,
                                      .first = first,
                                      .count = count,
                                      .instances = instancecount,
                                      .base_instance = baseinstance});
}

void xg_stub_glMultiDrawArrays(GLenum mode, const GLint *first, const GLsizei *count,
                               GLsizei drawcount)
{
    struct xg_gl_context *c = xg_gl_current;
    if (!c)
        return;
    if (drawcount < 0) {
        xg_gl_error(c, GL_INVALID_VALUE);
        return;
    }
    if (draw_direct(c, false) && drawcount <= 2000) {
        xg_gl_send_glMultiDrawArrays(c, mode, first, count, drawcount);
        return;
    }
    for (GLsizei i = 0; i < drawcount; i++)
        if (count[i])
            xg_stub_glDrawArrays(mode, first[i], count[i]);
}

void xg_stub_glDrawElements(GLenum mode, GLsizei count, GLenum type, const void *indices)
{
    struct xg_gl_context *c = xg_gl_current;
    if (!c)
        return;
    if (draw_direct(c, true))
        xg_gl_send_glDrawElements(c, mode, count, type, indices);
    else
        draw_memory(c,
                    &(struct draw){
                        .mode = mode, .count = count, .type = type ? type : 1, .indices = indices});
}

void xg_stub_glDrawRangeElements(GLenum mode, GLuint start, GLuint end, GLsizei count, GLenum type,
                                 const void *indices)
{
    struct xg_gl_context *c = xg_gl_current;
    if (!c)
        return;
    if (end < start)
        xg_gl_error(c, GL_INVALID_VALUE);
    else if (draw_direct(c, true))
        xg_gl_send_glDrawRangeElements(c, mode, start, end, count, type, indices);
    else
        draw_memory(c,
                    &(struct draw){
                        .mode = mode, .count = count, .type = type ? type : 1, .indices = indices});
}

void xg_stub_glDrawElementsBaseVertex(GLenum mode, GLsizei count, GLenum type, const void *indices,
                                      GLint basevertex)
{
    struct xg_gl_context *c = xg_gl_current;
    if (!c)
        return;
    if (draw_direct(c, true))
        xg_gl_send_glDrawElementsBaseVertex(c, mode, count, type, indices, basevertex);
    else
        draw_memory(c, &(struct draw){.mode = mode,
                                      .count = count,
                                      .type = type ? type : 1,
                                      .indices = indices,
                                      .base_vertex = basevertex});
}

void xg_stub_glDrawRangeElementsBaseVertex(GLenum mode, GLuint start, GLuint end, GLsizei count,
                                           GLenum type, const void *indices, GLint basevertex)
{
    struct xg_gl_context *c = xg_gl_current;
    if (!c)
        return;
    if (end < start)
        xg_gl_error(c, GL_INVALID_VALUE);
    else if (draw_direct(c, true))
        xg_gl_send_glDrawRangeElementsBaseVertex(c, mode, start, end, count, type, indices,
                                                 basevertex);
    else
        draw_memory(c, &(struct draw){.mode = mode,
                                      .count = count,
                                      .type = type ? type : 1,
                                      .indices = indices,
                                      .base_vertex = basevertex});
}

#define INSTANCED(Name, params, args, ...)                                                         \
    void xg_stub_glDrawElementsInstanced##Name params                                              \
    {                                                                                              \
        struct xg_gl_context *c = xg_gl_current;                                                   \
        if (!c)                                                                                    \
            return;                                                                                \
        if (draw_direct(c, true))                                                                  \
            xg_gl_send_glDrawElementsInstanced##Name args;                                         \
        else if (instancecount)                                                                    \
            draw_memory(c, &(struct draw){.mode = mode,                                            \
                                          .count = count,                                          \
                                          .type = type ? type : 1,                                 \
                                          .indices = indices,                                      \
                                          .instances = instancecount,                              \
                                          __VA_ARGS__});                                           \
    }

INSTANCED(, (GLenum mode, GLsizei count, GLenum type, const void *indices, GLsizei instancecount),
          (c, mode, count, type, indices, instancecount), .base_vertex = 0)
INSTANCED(BaseVertex,
          (GLenum mode, GLsizei count, GLenum type, const void *indices, GLsizei instancecount,
           GLint basevertex),
          (c, mode, count, type, indices, instancecount, basevertex), .base_vertex = basevertex)
INSTANCED(BaseInstance,
          (GLenum mode, GLsizei count, GLenum type, const void *indices, GLsizei instancecount,
           GLuint baseinstance),
          (c, mode, count, type, indices, instancecount, baseinstance),
          .base_instance = baseinstance)
INSTANCED(BaseVertexBaseInstance,
          (GLenum mode, GLsizei count, GLenum type, const void *indices, GLsizei instancecount,
           GLint basevertex, GLuint baseinstance),
          (c, mode, count, type, indices, instancecount, basevertex, baseinstance),
          .base_vertex = basevertex, .base_instance = baseinstance)

static void multi_elements(GLenum mode, const GLsizei *count, GLenum type,
                           const void *const *indices, GLsizei n, const GLint *base)
{
    struct xg_gl_context *c = xg_gl_current;
    GLuint64 offset[256];
    GLint zero[256] = {0};

    if (!c)
        return;
    if (n < 0) {
        xg_gl_error(c, GL_INVALID_VALUE);
        return;
    }
    if (draw_direct(c, true) && n <= 256) {
        for (GLsizei i = 0; i < n; i++)
            offset[i] = (uint64_t)(uintptr_t)indices[i];
        xg_gl_send_xgMultiDrawElements(c, mode, type, n, count, offset, base ? base : zero);
        return;
    }
    for (GLsizei i = 0; i < n; i++)
        if (count[i] && base)
            xg_stub_glDrawElementsBaseVertex(mode, count[i], type, indices[i], base[i]);
        else if (count[i])
            xg_stub_glDrawElements(mode, count[i], type, indices[i]);
}

void xg_stub_glMultiDrawElements(GLenum mode, const GLsizei *count, GLenum type,
                                 const void *const *indices, GLsizei drawcount)
{
    multi_elements(mode, count, type, indices, drawcount, NULL);
}

void xg_stub_glMultiDrawElementsBaseVertex(GLenum mode, const GLsizei *count, GLenum type,
                                           const void *const *indices, GLsizei drawcount,
                                           const GLint *basevertex)
{
    multi_elements(mode, count, type, indices, drawcount, basevertex);
}

/* --- indirect: in buffer objects, or (compatibility) a structure in memory -------------------- */

void xg_stub_glDrawArraysIndirect(GLenum mode, const void *indirect)
{
    struct xg_gl_context *c = xg_gl_current;
    const GLuint *p = indirect;

    if (!c)
        return;
    if (!c->state->draw_indirect_buffer && c->api == XG_GL_COMPAT && p) {
        xg_stub_glDrawArraysInstancedBaseInstance(mode, (GLint)p[2], (GLsizei)p[0], (GLsizei)p[1],
                                                  p[3]);
        return;
    }
    xg_gl_persistent_flush(c);
    xg_gl_send_glDrawArraysIndirect(c, mode, indirect);
}

void xg_stub_glDrawElementsIndirect(GLenum mode, GLenum type, const void *indirect)
{
    struct xg_gl_context *c = xg_gl_current;
    const GLuint *p = indirect;

    if (!c)
        return;
    if (!c->state->draw_indirect_buffer && c->api == XG_GL_COMPAT && p) {
        xg_stub_glDrawElementsInstancedBaseVertexBaseInstance(
            mode, (GLsizei)p[0], type, (const void *)((uintptr_t)p[2] * xg_gl_index_size(type)),
            (GLsizei)p[1], (GLint)p[3], p[4]);
        return;
    }
    xg_gl_persistent_flush(c);
    xg_gl_send_glDrawElementsIndirect(c, mode, type, indirect);
}

void xg_stub_glMultiDrawArraysIndirect(GLenum mode, const void *indirect, GLsizei drawcount,
                                       GLsizei stride)
{
    struct xg_gl_context *c = xg_gl_current;

    if (!c)
        return;
    if (!c->state->draw_indirect_buffer && c->api == XG_GL_COMPAT && indirect) {
        for (GLsizei i = 0; i < drawcount; i++)
            xg_stub_glDrawArraysIndirect(mode, (const uint8_t *)indirect +
                                                   (size_t)i * (stride ? (size_t)stride : 16));
        return;
    }
    xg_gl_persistent_flush(c);
    xg_gl_send_glMultiDrawArraysIndirect(c, mode, indirect, drawcount, stride);
}

void xg_stub_glMultiDrawElementsIndirect(GLenum mode, GLenum type, const void *indirect,
                                         GLsizei drawcount, GLsizei stride)
{
    struct xg_gl_context *c = xg_gl_current;

    if (!c)
        return;
    if (!c->state->draw_indirect_buffer && c->api == XG_GL_COMPAT && indirect) {
        for (GLsizei i = 0; i < drawcount; i++)
            xg_stub_glDrawElementsIndirect(
                mode, type, (const uint8_t *)indirect + (size_t)i * (stride ? (size_t)stride : 20));
        return;
    }
    xg_gl_persistent_flush(c);
    xg_gl_send_glMultiDrawElementsIndirect(c, mode, type, indirect, drawcount, stride);
}

#define PLAIN(Name, params, args)                                                                  \
    void xg_stub_gl##Name params                                                                   \
    {                                                                                              \
        struct xg_gl_context *c = xg_gl_current;                                                   \
        if (!c)                                                                                    \
            return;                                                                                \
        xg_gl_persistent_flush(c);                                                                 \
        xg_gl_send_gl##Name args;                                                                  \
    }
PLAIN(DrawTransformFeedback, (GLenum mode, GLuint id), (c, mode, id))
PLAIN(DrawTransformFeedbackInstanced, (GLenum mode, GLuint id, GLsizei instancecount),
      (c, mode, id, instancecount))
PLAIN(DrawTransformFeedbackStream, (GLenum mode, GLuint id, GLuint stream), (c, mode, id, stream))
PLAIN(DrawTransformFeedbackStreamInstanced,
      (GLenum mode, GLuint id, GLuint stream, GLsizei instancecount),
      (c, mode, id, stream, instancecount))
PLAIN(DispatchCompute, (GLuint x, GLuint y, GLuint z), (c, x, y, z))
PLAIN(DispatchComputeIndirect, (GLintptr indirect), (c, indirect))

/* --- glArrayElement: between glBegin and glEnd each array's value is sent as an immediate call
 * - */

static void element_send(struct xg_gl_context *c, unsigned slot, GLint i)
{
    const struct xg_gl_array *a = &c->state->vao->array[slot];
    unsigned bytes = element_size(a), n = a->size == GL_BGRA ? 4 : (unsigned)a->size;
    uint64_t stride = a->stride ? (uint64_t)a->stride : bytes;
    const void *p = a->pointer ? array_address(a) : NULL;
    bool norm =
        a->normalized && slot != XG_ARRAY_INDEX && slot != XG_ARRAY_FOG && (slot < XG_ARRAY_TEX);
    GLdouble v[4] = {0, 0, 0, 1};

    /* only the host knows the array, and it cannot be asked now */
    if (c->state->vao->split >> slot & 1) {
        xg_gl_error(c, GL_INVALID_OPERATION);
        return;
    }
    if (a->buffer)
        p = xg_gl_buffer_contents(
            c, a->buffer, (uint64_t)(uintptr_t)array_address(a) + (uint64_t)i * stride, bytes);
    else if (p)
        p = (const uint8_t *)p + (uint64_t)i * stride;
    if (!p)
        return;
    for (unsigned k = 0; k < n && k < 4; k++) {
        switch (a->type) {
        case GL_BYTE: v[k] = ((const int8_t *)p)[k] / (norm ? 127.0 : 1); break;
        case GL_UNSIGNED_BYTE: v[k] = ((const uint8_t *)p)[k] / (norm ? 255.0 : 1); break;
        case GL_SHORT: v[k] = ((const int16_t *)p)[k] / (norm ? 32767.0 : 1); break;
        case GL_UNSIGNED_SHORT: v[k] = ((const uint16_t *)p)[k] / (norm ? 65535.0 : 1); break;
        case GL_INT: v[k] = ((const int32_t *)p)[k] / (norm ? 2147483647.0 : 1); break;
        case GL_UNSIGNED_INT: v[k] = ((const uint32_t *)p)[k] / (norm ? 4294967295.0 : 1); break;
        case GL_FLOAT: v[k] = ((const GLfloat *)p)[k]; break;
        case GL_DOUBLE: v[k] = ((const GLdouble *)p)[k]; break;
        default: return;
        }
    }
    if (slot < XG_ARRAY_VERTEX)
        xg_gl_send_glVertexAttrib4dv(c, slot, v);
    else if (slot == XG_ARRAY_VERTEX)
        xg_gl_send_glVertex4dv(c, v);
    else if (slot == XG_ARRAY_NORMAL)
        xg_gl_send_glNormal3dv(c, v);
    else if (slot == XG_ARRAY_COLOR)
        xg_gl_send_glColor4dv(c, v);
    else if (slot == XG_ARRAY_SECONDARY)
        xg_gl_send_glSecondaryColor3dv(c, v);
    else if (slot == XG_ARRAY_FOG)
        xg_gl_send_glFogCoorddv(c, v);
    else if (slot == XG_ARRAY_INDEX)
        xg_gl_send_glIndexdv(c, v);
    else if (slot == XG_ARRAY_EDGE)
        xg_gl_send_glEdgeFlag(c, v[0] != 0);
    else if (slot >= XG_ARRAY_TEX)
        xg_gl_send_glMultiTexCoord4dv(c, GL_TEXTURE0 + slot - XG_ARRAY_TEX, v);
}

void xg_stub_glArrayElement(GLint i)
{
    struct xg_gl_context *c = xg_gl_current;
    uint64_t mask, last = 1ull << XG_ARRAY_VERTEX | 1ull << XG_ARRAY_GENERIC;

    if (!c)
        return;
    if ((c->state->begun || c->state->list_begun) && c->state->restart_element == (uint32_t)i) {
        xg_gl_send_glPrimitiveRestartNV(c);
        return;
    }
    mask = c->state->vao->enabled;
    for (uint64_t m = mask & ~last; m; m &= m - 1)
        element_send(c, (unsigned)__builtin_ctzll(m), i);
    if (mask & 1)
        element_send(c, XG_ARRAY_GENERIC, i);
    else if (mask & last)
        element_send(c, XG_ARRAY_VERTEX, i);
}
