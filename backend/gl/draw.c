/* XG_GL_OP_xgDraw: protocol/gl/draw.h. Before the host sees an index, it is checked against the
 * vertices that came with it. */
#include "backend/gl/ledger.h"

struct blob {
    const uint8_t *data;
    uint32_t size;
};

unsigned xg_glr_element_size(const struct xg_gl_draw_array *a)
{
    unsigned n = a->size == GL_BGRA ? 4 : (unsigned)a->size;

    if (n < 1 || n > 4)
        return 0;
    switch (a->type) {
    case GL_INT_2_10_10_10_REV:
    case GL_UNSIGNED_INT_2_10_10_10_REV:
    case GL_UNSIGNED_INT_10F_11F_11F_REV: return 4;
    default: return n * xg_gl_type_size(a->type);
    }
}

/* The array's address, chosen so that element `first` of the range lies at the blob's start; NULL
 * if the range does not fit. */
static const void *array_place(const struct xg_gl_draw *d, const struct xg_gl_draw_array *a,
                               const struct blob *b)
{
    unsigned bytes = xg_glr_element_size(a);
    uint64_t stride = a->stride ? (uint64_t)(uint32_t)a->stride : bytes, first = d->min,
             last = d->max;

    if (!bytes || a->stride < 0)
        return NULL;
    if (a->divisor) {
        uint32_t n = d->instances > 0 ? (uint32_t)d->instances : 1;
        first = d->base_instance;
        last = first + (n - 1) / a->divisor;
    }
    if (last < first || (last - first) * stride + bytes > b->size ||
        a->offset > b->size - ((last - first) * stride + bytes))
        return NULL;
    return (const void *)((uintptr_t)b->data + a->offset - (uintptr_t)(first * stride));
}

static void array_point(struct xg_glr_context *c, const struct xg_gl_draw_array *a, const void *p)
{
    const struct xg_glr_procs *g = &xg_glr_procs;

    switch (a->slot) {
    case XG_ARRAY_VERTEX: g->glVertexPointer(a->size, a->type, a->stride, p); return;
    case XG_ARRAY_NORMAL: g->glNormalPointer(a->type, a->stride, p); return;
    case XG_ARRAY_COLOR: g->glColorPointer(a->size, a->type, a->stride, p); return;
    case XG_ARRAY_SECONDARY: g->glSecondaryColorPointer(a->size, a->type, a->stride, p); return;
    case XG_ARRAY_FOG: g->glFogCoordPointer(a->type, a->stride, p); return;
    case XG_ARRAY_INDEX: g->glIndexPointer(a->type, a->stride, p); return;
    case XG_ARRAY_EDGE: g->glEdgeFlagPointer(a->stride, p); return;
    case XG_ARRAY_POINT_SIZE: g->glPointSizePointerOES(a->type, a->stride, p); return;
    default: break;
    }
    if (a->slot >= XG_ARRAY_TEX) {
        if (a->slot - XG_ARRAY_TEX != c->client_texture)
            g->glClientActiveTexture(GL_TEXTURE0 + a->slot - XG_ARRAY_TEX);
        g->glTexCoordPointer(a->size, a->type, a->stride, p);
        if (a->slot - XG_ARRAY_TEX != c->client_texture)
            g->glClientActiveTexture(GL_TEXTURE0 + c->client_texture);
    } else if ((a->flags >> 1 & 3) == 1) {
        g->glVertexAttribIPointer(a->slot, a->size, a->type, a->stride, p);
    } else if ((a->flags >> 1 & 3) == 2) {
        g->glVertexAttribLPointer(a->slot, a->size, a->type, a->stride, p);
    } else {
        g->glVertexAttribPointer(a->slot, a->size, a->type, a->flags & 1, a->stride, p);
    }
}

/* --- indices ---------------------------------------------------------------------------------- */

/* The index that means restart, or -1. */
int64_t xg_glr_restart_index(const struct xg_glr_context *c, GLenum type)
{
    uint32_t all = type == GL_UNSIGNED_BYTE    ? 0xffu
                   : type == GL_UNSIGNED_SHORT ? 0xffffu
                                               : 0xffffffffu;
    GLint index = 0;

    if (xg_glr_procs.glIsEnabled(GL_PRIMITIVE_RESTART_FIXED_INDEX))
        return all;
    if (c->es || !xg_glr_procs.glIsEnabled(GL_PRIMITIVE_RESTART))
        return -1;
    xg_glr_procs.glGetIntegerv(GL_PRIMITIVE_RESTART_INDEX, &index);
    /* not cut to the type: an index that the type cannot hold restarts nothing */
    return (uint32_t)index;
}

#define SCAN(T)                                                                                    \
    for (GLsizei i = 0; i < d->count; i++) {                                                       \
        uint32_t v = ((const T *)data)[i];                                                         \
        if (v - lo <= span)                                                                        \
            continue;                                                                              \
        if (restart == -2)                                                                         \
            restart = xg_glr_restart_index(c, d->type);                                            \
        if ((int64_t)v != restart)                                                                 \
            return false;                                                                          \
    }

static bool indices_ok(const struct xg_glr_context *c, const struct xg_gl_draw *d, const void *data)
{
    uint32_t lo = d->min - (uint32_t)d->base_vertex, span = d->max - d->min;
    int64_t restart = -2; /* not asked yet */

    switch (d->type) {
    case GL_UNSIGNED_BYTE: SCAN(uint8_t) break;
    case GL_UNSIGNED_SHORT: SCAN(uint16_t) break;
    case GL_UNSIGNED_INT: SCAN(uint32_t) break;
    default: return false;
    }
    return true;
}

/* --- the draw --------------------------------------------------------------------------------- */

static void draw_run(const struct xg_gl_draw *d, const void *indices, bool ranged)
{
    const struct xg_glr_procs *g = &xg_glr_procs;
    uint32_t lo = d->min - (uint32_t)d->base_vertex, hi = d->max - (uint32_t)d->base_vertex;

    if (d->indices == XG_GL_DRAW_ARRAYS) {
        if (!d->instances)
            g->glDrawArrays(d->mode, d->first, d->count);
        else if (!d->base_instance)
            g->glDrawArraysInstanced(d->mode, d->first, d->count, d->instances);
        else
            g->glDrawArraysInstancedBaseInstance(d->mode, d->first, d->count, d->instances,
                                                 d->base_instance);
    } else if (!d->instances) {
        if (d->base_vertex && ranged)
            g->glDrawRangeElementsBaseVertex(d->mode, lo, hi, d->count, d->type, indices,
                                             d->base_vertex);
        else if (d->base_vertex)
            g->glDrawElementsBaseVertex(d->mode, d->count, d->type, indices, d->base_vertex);
        else if (ranged)
            g->glDrawRangeElements(d->mode, lo, hi, d->count, d->type, indices);
        else
            g->glDrawElements(d->mode, d->count, d->type, indices);
    } else if (d->base_instance) {
        g->glDrawElementsInstancedBaseVertexBaseInstance(
            d->mode, d->count, d->type, indices, d->instances, d->base_vertex, d->base_instance);
    } else if (d->base_vertex) {
        g->glDrawElementsInstancedBaseVertex(d->mode, d->count, d->type, indices, d->instances,
                                             d->base_vertex);
    } else {
        g->glDrawElementsInstanced(d->mode, d->count, d->type, indices, d->instances);
    }
}

static const struct blob *read_blobs(struct xg_worker_ring *r, struct xg_reader *rd, uint32_t n)
{
    struct blob *b = xg_scratch_alloc(&r->scratch, (n + 1) * sizeof(*b));

    for (uint32_t i = 0; b && i < n; i++)
        b[i].data = xg_read_blob(rd, 0, false, &b[i].size);
    return b;
}

/* The divisor of the array on the host, which decides how far a draw reads. */
static uint32_t divisor_of(struct xg_glr_context *c, unsigned slot)
{
    GLint divisor = 0;

    if (slot < XG_ARRAY_VERTEX && XG_UNLIKELY(c->divisors))
        xg_glr_procs.glGetVertexAttribiv(slot, GL_VERTEX_ATTRIB_ARRAY_DIVISOR, &divisor);
    return (uint32_t)divisor;
}

/* Whether the host has accepted the pointer. If not, its pointer is that of an earlier command, or
 * none. */
static bool array_points(struct xg_glr_context *c, unsigned slot, const void *p)
{
    static const GLenum name[] = {
        GL_VERTEX_ARRAY_POINTER,    GL_NORMAL_ARRAY_POINTER,
        GL_COLOR_ARRAY_POINTER,     GL_SECONDARY_COLOR_ARRAY_POINTER,
        GL_FOG_COORD_ARRAY_POINTER, GL_INDEX_ARRAY_POINTER,
        GL_EDGE_FLAG_ARRAY_POINTER, 0x898C /* GL_POINT_SIZE_ARRAY_POINTER_OES */};
    const struct xg_glr_procs *g = &xg_glr_procs;
    unsigned unit = slot - XG_ARRAY_TEX;
    void *has = NULL;

    if (slot < XG_ARRAY_VERTEX) {
        g->glGetVertexAttribPointerv(slot, GL_VERTEX_ATTRIB_ARRAY_POINTER, &has);
    } else if (slot < XG_ARRAY_TEX) {
        g->glGetPointerv(name[slot - XG_ARRAY_VERTEX], &has);
    } else {
        if (unit != c->client_texture)
            g->glClientActiveTexture(GL_TEXTURE0 + unit);
        g->glGetPointerv(GL_TEXTURE_COORD_ARRAY_POINTER, &has);
        if (unit != c->client_texture)
            g->glClientActiveTexture(GL_TEXTURE0 + c->client_texture);
    }
    return has == p;
}

enum taken { TOO_FEW, REFUSED, TAKEN };

static enum taken array_set(struct xg_glr_context *c, const struct xg_gl_draw *d,
                            struct xg_gl_draw_array a, const struct blob *b)
{
    const void *p = array_place(d, &a, b);
    uint32_t divisor;

    if (!p)
        return TOO_FEW;
    array_point(c, &a, p); /* this also sets which divisor the array has */
    divisor = divisor_of(c, a.slot);
    if (XG_UNLIKELY(divisor != a.divisor)) {
        a.divisor = divisor;
        p = array_place(d, &a, b);
        if (!p)
            return TOO_FEW;
        array_point(c, &a, p);
    }
    return array_points(c, a.slot, p) ? TAKEN : REFUSED;
}

/* False: the host has refused one of them, and raised its error. */
static bool set_arrays(struct xg_glr_context *c, struct xg_reader *rd, const struct xg_gl_draw *d,
                       const struct xg_gl_draw_array *a, const struct blob *blob, uint64_t *fresh)
{
    enum taken taken = TAKEN;
    GLint bound = 0;

    if (d->arrays)
        xg_glr_procs.glGetIntegerv(GL_ARRAY_BUFFER_BINDING, &bound);
    if (bound)
        xg_glr_procs.glBindBuffer(GL_ARRAY_BUFFER, 0);
    for (uint32_t i = 0; i < d->arrays && taken == TAKEN; i++) {
        taken = a[i].slot < XG_ARRAYS && a[i].blob < d->blobs
                    ? array_set(c, d, a[i], &blob[a[i].blob])
                    : TOO_FEW;
        if (taken == TOO_FEW)
            xg_reader_fail(rd, "fewer vertices than the draw reads");
        if (taken != TAKEN)
            break;
        xg_glr_array_given(c, a[i].slot);
        *fresh |= 1ull << a[i].slot;
    }
    if (bound)
        xg_glr_procs.glBindBuffer(GL_ARRAY_BUFFER, (GLuint)bound);
    return taken == TAKEN;
}

/* For a draw into a display list: checks arrays in buffers, besides those that came with the
 * draw. */
static bool list_takes(struct xg_glr_context *c, const struct xg_gl_draw *d, uint64_t fresh)
{
    if (d->indices == XG_GL_DRAW_BUFFER)
        return xg_glr_list_elements(c, d->count, d->type, d->offset, d->base_vertex);
    if (d->indices == XG_GL_DRAW_ARRAYS)
        return xg_glr_list_draw(c, d->first, d->count, fresh);
    xg_glr_list_grows(c, (uint64_t)d->count * 64);
    return xg_glr_list_draw(c, d->min, (int64_t)d->max - d->min + 1, fresh);
}

void xg_glr_raw_xgDraw(struct xg_worker_ring *r, struct xg_reader *rd)
{
    struct xg_glr_context *c = xg_glr_context_of(r);
    const struct xg_gl_draw *d = xg_read(rd, sizeof(*d));
    const struct xg_gl_draw_array *a;
    const struct blob *blob;
    const void *indices = NULL;
    bool ranged = false;
    uint64_t fresh = 0;
    GLint element = 0;

    if (d->arrays > XG_ARRAYS || d->blobs > XG_ARRAYS || d->indices > XG_GL_DRAW_BUFFER ||
        d->count < 0 || d->first < 0 || d->instances < 0) {
        xg_reader_fail(rd, "draw out of bounds");
        return;
    }
    a = xg_read(rd, d->arrays * sizeof(*a));
    blob = read_blobs(r, rd, d->blobs);
    if (d->indices == XG_GL_DRAW_DATA)
        indices = xg_read_blob_private(rd, &r->scratch,
                                       (uint64_t)d->count * xg_gl_index_size(d->type), false, NULL);
    if (!xg_reader_ok(rd) || !blob)
        return;
    if (xg_glr_begun(c)) {
        xg_glr_error(c, GL_INVALID_OPERATION);
        return;
    }
    if (d->indices == XG_GL_DRAW_ARRAYS && d->arrays && d->count &&
        ((uint32_t)d->first < d->min || (uint64_t)d->first + (uint32_t)d->count - 1 > d->max))
        xg_reader_fail(rd, "fewer vertices than the draw reads");
    else if (d->indices == XG_GL_DRAW_DATA && d->arrays && !(ranged = indices_ok(c, d, indices)))
        xg_reader_fail(rd, "index outside the vertices");
    else if (d->indices == XG_GL_DRAW_BUFFER && d->arrays)
        xg_reader_fail(rd, "indices that cannot be checked");
    if (!xg_reader_ok(rd))
        return;
    if (d->indices == XG_GL_DRAW_BUFFER)
        indices = (const void *)(uintptr_t)d->offset;
    if (d->indices != XG_GL_DRAW_ARRAYS)
        xg_glr_procs.glGetIntegerv(GL_ELEMENT_ARRAY_BUFFER_BINDING, &element);
    if (d->indices == XG_GL_DRAW_BUFFER && !element) {
        xg_glr_error(c, GL_INVALID_OPERATION);
        return;
    }
    bool taken = set_arrays(c, rd, d, a, blob, &fresh);
    c->dangling |= fresh;
    if (!taken)
        return;
    xg_glr_arrays_check(c, fresh);
    if (XG_UNLIKELY(c->list) && !list_takes(c, d, fresh))
        return;
    /* the indices came with the draw although a buffer is bound: the guest has read them from it */
    if (d->indices == XG_GL_DRAW_DATA && element)
        xg_glr_procs.glBindBuffer(GL_ELEMENT_ARRAY_BUFFER, 0);
    draw_run(d, indices, ranged && !c->es); /* GL ES has it only from 3.0 on */
    if (d->indices == XG_GL_DRAW_DATA && element)
        xg_glr_procs.glBindBuffer(GL_ELEMENT_ARRAY_BUFFER, (GLuint)element);
}
