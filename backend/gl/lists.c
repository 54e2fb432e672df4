/*
 * Display lists: what they hold, and draws that the host copies into them.
 *
 * A list is charged as it grows, by the commands' bytes on the wire. If there is no memory for it,
 * it is begun again, and again, so that nothing that follows is kept: at its end it is empty, and
 * the guest has GL_OUT_OF_MEMORY.
 */
#include "backend/gl/ledger.h"

#include <stdlib.h>

#define STEP         65536u
#define VERTEX_BYTES 64u

static void errors_drop(void)
{
    for (int i = 0; i < 8 && xg_glr_procs.glGetError(); i++)
        ;
}

static void host_error(struct xg_glr_context *c)
{
    GLenum error = xg_glr_procs.glGetError();

    if (error && !c->error)
        c->error = error;
}

/* --- growing ---------------------------------------------------------------------------------- */

static void begin_again(struct xg_glr_context *c, GLenum mode)
{
    host_error(c);
    xg_glr_procs.glEndList();
    xg_glr_procs.glNewList(c->list, mode);
    errors_drop();
}

void xg_glr_list_grows(struct xg_glr_context *c, uint64_t bytes)
{
    uint64_t more;

    c->list_bytes += bytes;
    if (XG_LIKELY(c->list_bytes <= c->list_taken))
        return;
    more = xg_align_up(c->list_bytes - c->list_taken, STEP);
    if (!c->list_failed && xg_glr_take(&c->share->ledger, more)) {
        c->list_taken += more;
        return;
    }
    if (!c->list_failed)
        xg_glr_give(&c->share->ledger, c->list_taken);
    c->list_failed = true;
    c->list_bytes = 0;
    c->list_taken = STEP; /* what may come until it is begun again; this is not charged */
    begin_again(c, GL_COMPILE);
}

static struct xg_glr_map *lists_held(struct xg_glr_context *c)
{
    return &c->share->names[XG_GL_SPACE_LIST].held;
}

/* Records how much the list holds now. */
static void list_set(struct xg_glr_context *c, GLuint list, uint64_t taken, uint64_t bytes)
{
    uint64_t old;

    pthread_mutex_lock(&c->share->lock);
    old = xg_glr_map_get(lists_held(c), list);
    if (!xg_glr_map_set(lists_held(c), list, bytes))
        old = bytes = 0; /* no page to record it: it counts until the share group ends */
    pthread_mutex_unlock(&c->share->lock);
    if (old + taken > bytes)
        xg_glr_give(&c->share->ledger, old + taken - bytes);
}

static GLuint list_compiling(void)
{
    GLint list = 0;

    xg_glr_procs.glGetIntegerv(GL_LIST_INDEX, &list);
    return (GLuint)list;
}

void xg_glr_glNewList(struct xg_worker_ring *r, GLuint list, GLenum mode)
{
    struct xg_glr_context *c = xg_glr_context_of(r);

    xg_glr_procs.glNewList(list, mode);
    if (c->list || c->api != XG_GL_COMPAT || xg_glr_begun(c))
        return;
    host_error(c);
    c->list = list_compiling();
    errors_drop(); /* between glBegin and glEnd, which only the host knew */
    c->list_mode = mode;
    c->list_failed = false;
    c->list_bytes = c->list_taken = 0;
    if (c->list)
        xg_glr_list_grows(c, xg_glr_name_cost(XG_GL_SPACE_LIST));
}

void xg_glr_glEndList(struct xg_worker_ring *r)
{
    struct xg_glr_context *c = xg_glr_context_of(r);
    GLuint list = c->list;

    xg_glr_procs.glEndList();
    if (!list || xg_glr_begun(c))
        return;
    host_error(c);
    if (list_compiling()) {
        errors_drop();
        return;
    }
    c->list = 0;
    if (c->list_failed) {
        xg_glr_procs.glNewList(list, GL_COMPILE);
        xg_glr_procs.glEndList();
        errors_drop();
        xg_glr_error(c, GL_OUT_OF_MEMORY);
    }
    list_set(c, list, c->list_failed ? 0 : c->list_taken, c->list_failed ? 0 : c->list_bytes);
}

/* Display lists have the same names on the host. Names that were reserved exist as empty lists. */
void xg_glr_xgGenLists(struct xg_worker_ring *r, GLuint first, GLsizei range)
{
    struct xg_glr_context *c = xg_glr_context_of(r);
    uint32_t cost = xg_glr_name_cost(XG_GL_SPACE_LIST);

    if (c->list)
        return;
    for (GLsizei i = 0; i < range && i < 65536; i++) {
        GLuint list = first + (GLuint)i;

        if (xg_glr_procs.glIsList(list))
            continue;
        if (!xg_glr_take_or_fail(c, &c->share->ledger, cost))
            return;
        xg_glr_procs.glNewList(list, GL_COMPILE);
        xg_glr_procs.glEndList();
        list_set(c, list, cost, cost);
    }
}

struct range {
    struct xg_glr_context *c;
    GLuint first, count;
    uint64_t bytes;
};

static void list_forget(void *data, uint32_t list, uint64_t bytes)
{
    struct range *g = data;
    struct xg_glr_map *labelled = &g->c->share->names[XG_GL_SPACE_LIST].labelled;

    if (!bytes || list - g->first >= g->count)
        return;
    xg_glr_map_set(lists_held(g->c), list, 0);
    g->bytes += bytes + xg_glr_map_get(labelled, list);
    if (xg_glr_map_get(labelled, list))
        xg_glr_map_set(labelled, list, 0);
}

void xg_glr_glDeleteLists(struct xg_worker_ring *r, GLuint list, GLsizei range)
{
    struct xg_glr_context *c = xg_glr_context_of(r);
    struct range g = {.c = c, .first = list, .count = range > 0 ? (GLuint)range : 0};

    xg_glr_procs.glDeleteLists(list, range);
    if (c->api != XG_GL_COMPAT || xg_glr_begun(c))
        return;
    pthread_mutex_lock(&c->share->lock);
    if (g.count > 4096)
        xg_glr_map_each(lists_held(c), list_forget, &g);
    else
        for (GLuint i = 0; i < g.count; i++)
            list_forget(&g, list + i, xg_glr_map_get(lists_held(c), list + i));
    pthread_mutex_unlock(&c->share->lock);
    xg_glr_give(&c->share->ledger, g.bytes);
}

/* --- lists that make images: afterwards the textures are searched for them -------------------- */

static bool level_read(struct xg_glr_image *i, GLenum target, GLint level)
{
    GLint v[4] = {0};

    xg_glr_procs.glGetTexLevelParameteriv(target, level, GL_TEXTURE_WIDTH, &v[0]);
    if (v[0] <= 0)
        return false;
    xg_glr_procs.glGetTexLevelParameteriv(target, level, GL_TEXTURE_HEIGHT, &v[1]);
    xg_glr_procs.glGetTexLevelParameteriv(target, level, GL_TEXTURE_DEPTH, &v[2]);
    xg_glr_procs.glGetTexLevelParameteriv(target, level, GL_TEXTURE_INTERNAL_FORMAT, &v[3]);
    *i = (struct xg_glr_image){.width = (uint32_t)v[0],
                               .height = (uint32_t)(v[1] > 1 ? v[1] : 1),
                               .depth = (uint32_t)(v[2] > 1 ? v[2] : 1),
                               .format = (GLenum)v[3]};
    return true;
}

static void images_look(struct xg_glr_context *c)
{
    static const GLenum target[] = {GL_TEXTURE_2D, GL_TEXTURE_1D, GL_TEXTURE_3D,
                                    GL_TEXTURE_CUBE_MAP_POSITIVE_X};
    struct xg_glr_claim k;
    struct xg_glr_image i;

    for (unsigned t = 0; t < XG_ARRAY_LEN(target); t++)
        for (GLenum face = 0; face < (t == 3 ? 6u : 1u); face++)
            for (GLint l = 0; l < 16 && level_read(&i, target[t] + face, l); l++) {
                /* the image exists already: if there is no room for it, the next call of such a
                 * list is refused */
                if (xg_glr_claim_image(c, &k, target[t] + face, l, i.format, i.width, i.height,
                                       i.depth))
                    xg_glr_settle(c, &k);
            }
}

static bool call_begins(struct xg_glr_context *c)
{
    c->pushed = true; /* a list may push attributes */
    if (XG_LIKELY(!atomic_load_explicit(&c->share->image_lists, memory_order_relaxed)) || c->list ||
        xg_glr_begun(c))
        return true;
    if (!xg_glr_take_or_fail(c, &c->share->ledger, STEP))
        return false;
    xg_glr_give(&c->share->ledger, STEP);
    return true;
}

static void call_ends(struct xg_glr_context *c)
{
    if (XG_UNLIKELY(atomic_load_explicit(&c->share->image_lists, memory_order_relaxed)) &&
        !c->list && !xg_glr_begun_slow(c))
        images_look(c);
}

void xg_glr_glCallList(struct xg_worker_ring *r, GLuint list)
{
    struct xg_glr_context *c = xg_glr_context_of(r);

    if (!call_begins(c))
        return;
    xg_glr_procs.glCallList(list);
    call_ends(c);
}

void xg_glr_glCallLists(struct xg_worker_ring *r, GLsizei n, GLenum type, const void *lists,
                        uint32_t n_lists)
{
    struct xg_glr_context *c = xg_glr_context_of(r);

    if (!call_begins(c))
        return;
    xg_glr_procs.glCallLists(n, type, lists);
    call_ends(c);
}

/* --- draws: the host copies the vertices, and does not check indices and counts --------------- */

static uint64_t buffer_bytes(struct xg_glr_context *c, GLuint buffer)
{
    uint64_t bytes = xg_glr_map_get(&c->share->names[XG_GL_SPACE_BUFFER].held, buffer);
    return bytes > XG_GLR_STORAGE_COST ? bytes - XG_GLR_STORAGE_COST : 0;
}

struct array {
    GLint on, buffer, size, type, stride;
    uint64_t offset;
};

static void generic_read(struct xg_glr_context *c, struct array *a, GLuint i)
{
    const struct xg_glr_procs *g = &xg_glr_procs;
    GLint binding = 0, relative = 0;
    GLint64 offset = 0;
    void *pointer = NULL;

    g->glGetVertexAttribiv(i, GL_VERTEX_ATTRIB_ARRAY_ENABLED, &a->on);
    if (!a->on)
        return;
    g->glGetVertexAttribiv(i, GL_VERTEX_ATTRIB_ARRAY_BUFFER_BINDING, &a->buffer);
    g->glGetVertexAttribiv(i, GL_VERTEX_ATTRIB_ARRAY_SIZE, &a->size);
    g->glGetVertexAttribiv(i, GL_VERTEX_ATTRIB_ARRAY_TYPE, &a->type);
    if (c->version < 43) {
        g->glGetVertexAttribiv(i, GL_VERTEX_ATTRIB_ARRAY_STRIDE, &a->stride);
        g->glGetVertexAttribPointerv(i, GL_VERTEX_ATTRIB_ARRAY_POINTER, &pointer);
        a->offset = (uintptr_t)pointer;
        return;
    }
    g->glGetVertexAttribiv(i, GL_VERTEX_ATTRIB_BINDING, &binding);
    g->glGetVertexAttribiv(i, GL_VERTEX_ATTRIB_RELATIVE_OFFSET, &relative);
    g->glGetIntegeri_v(GL_VERTEX_BINDING_STRIDE, (GLuint)binding, &a->stride);
    g->glGetInteger64i_v(GL_VERTEX_BINDING_OFFSET, (GLuint)binding, &offset);
    a->offset = (uint64_t)offset + (uint64_t)relative;
}

static void legacy_read(struct array *a, unsigned slot)
{
    static const struct {
        GLenum on, size, type, stride, pointer, buffer;
    } of[] = {
        [XG_ARRAY_VERTEX - 32] = {GL_VERTEX_ARRAY, GL_VERTEX_ARRAY_SIZE, GL_VERTEX_ARRAY_TYPE,
                                  GL_VERTEX_ARRAY_STRIDE, GL_VERTEX_ARRAY_POINTER,
                                  GL_VERTEX_ARRAY_BUFFER_BINDING},
        [XG_ARRAY_NORMAL - 32] = {GL_NORMAL_ARRAY, 0, GL_NORMAL_ARRAY_TYPE, GL_NORMAL_ARRAY_STRIDE,
                                  GL_NORMAL_ARRAY_POINTER, GL_NORMAL_ARRAY_BUFFER_BINDING},
        [XG_ARRAY_COLOR - 32] = {GL_COLOR_ARRAY, GL_COLOR_ARRAY_SIZE, GL_COLOR_ARRAY_TYPE,
                                 GL_COLOR_ARRAY_STRIDE, GL_COLOR_ARRAY_POINTER,
                                 GL_COLOR_ARRAY_BUFFER_BINDING},
        [XG_ARRAY_SECONDARY - 32] = {GL_SECONDARY_COLOR_ARRAY, GL_SECONDARY_COLOR_ARRAY_SIZE,
                                     GL_SECONDARY_COLOR_ARRAY_TYPE, GL_SECONDARY_COLOR_ARRAY_STRIDE,
                                     GL_SECONDARY_COLOR_ARRAY_POINTER,
                                     GL_SECONDARY_COLOR_ARRAY_BUFFER_BINDING},
        [XG_ARRAY_FOG - 32] = {GL_FOG_COORD_ARRAY, 0, GL_FOG_COORD_ARRAY_TYPE,
                               GL_FOG_COORD_ARRAY_STRIDE, GL_FOG_COORD_ARRAY_POINTER,
                               GL_FOG_COORD_ARRAY_BUFFER_BINDING},
        [XG_ARRAY_INDEX - 32] = {GL_INDEX_ARRAY, 0, GL_INDEX_ARRAY_TYPE, GL_INDEX_ARRAY_STRIDE,
                                 GL_INDEX_ARRAY_POINTER, GL_INDEX_ARRAY_BUFFER_BINDING},
        [XG_ARRAY_EDGE - 32] = {GL_EDGE_FLAG_ARRAY, 0, 0, GL_EDGE_FLAG_ARRAY_STRIDE,
                                GL_EDGE_FLAG_ARRAY_POINTER, GL_EDGE_FLAG_ARRAY_BUFFER_BINDING},
        [XG_ARRAY_TEX - 32] = {GL_TEXTURE_COORD_ARRAY, GL_TEXTURE_COORD_ARRAY_SIZE,
                               GL_TEXTURE_COORD_ARRAY_TYPE, GL_TEXTURE_COORD_ARRAY_STRIDE,
                               GL_TEXTURE_COORD_ARRAY_POINTER,
                               GL_TEXTURE_COORD_ARRAY_BUFFER_BINDING},
    };
    const struct xg_glr_procs *g = &xg_glr_procs;
    unsigned i = (slot < XG_ARRAY_TEX ? slot : XG_ARRAY_TEX) - 32;
    void *pointer = NULL;

    if (i >= XG_ARRAY_LEN(of) || !of[i].on || !(a->on = g->glIsEnabled(of[i].on)))
        return;
    a->size = slot == XG_ARRAY_NORMAL ? 3 : 1;
    a->type = GL_UNSIGNED_BYTE;
    if (of[i].size)
        g->glGetIntegerv(of[i].size, &a->size);
    if (of[i].type)
        g->glGetIntegerv(of[i].type, &a->type);
    g->glGetIntegerv(of[i].stride, &a->stride);
    g->glGetIntegerv(of[i].buffer, &a->buffer);
    g->glGetPointerv(of[i].pointer, &pointer);
    a->offset = (uintptr_t)pointer;
}

static bool array_reaches(struct xg_glr_context *c, unsigned slot, uint64_t last)
{
    struct array a = {0};
    struct xg_gl_draw_array shape = {0};
    uint64_t bytes, have, stride;

    if (slot < XG_ARRAY_VERTEX) {
        generic_read(c, &a, slot);
    } else {
        if (slot >= XG_ARRAY_TEX)
            xg_glr_procs.glClientActiveTexture(GL_TEXTURE0 + slot - XG_ARRAY_TEX);
        legacy_read(&a, slot);
        if (slot >= XG_ARRAY_TEX)
            xg_glr_procs.glClientActiveTexture(GL_TEXTURE0 + c->client_texture);
    }
    if (!a.on)
        return true;
    shape.size = a.size;
    shape.type = (GLenum)a.type;
    bytes = xg_glr_element_size(&shape);
    stride = a.stride > 0                                 ? (uint64_t)a.stride
             : slot < XG_ARRAY_VERTEX && c->version >= 43 ? 0
                                                          : bytes;
    have = buffer_bytes(c, (GLuint)a.buffer);
    return a.buffer && bytes && a.offset <= have && last <= UINT32_MAX &&
           last * stride + bytes <= have - a.offset;
}

bool xg_glr_list_draw(struct xg_glr_context *c, int64_t first, int64_t count, uint64_t fresh)
{
    uint64_t look = c->existing & ~fresh;

    if (count <= 0)
        return true;
    xg_glr_list_grows(c, (uint64_t)count * VERTEX_BYTES);
    host_error(c);
    if (!c->existing) {
        xg_glr_arrays_check_slow(c, fresh);
        look = c->existing & ~fresh;
    }
    for (; look; look &= look - 1)
        if (first < 0 || !array_reaches(c, (unsigned)__builtin_ctzll(look),
                                        (uint64_t)first + (uint64_t)count - 1)) {
            errors_drop();
            xg_glr_error(c, GL_INVALID_OPERATION);
            return false;
        }
    errors_drop();
    return !c->list_failed;
}

/* The smallest and the largest index. */
static void index_span(const void *data, GLsizei count, GLenum type, int64_t restart, uint32_t *lo,
                       uint32_t *hi)
{
    *lo = UINT32_MAX;
    *hi = 0;
    for (GLsizei i = 0; i < count; i++) {
        uint32_t v = type == GL_UNSIGNED_BYTE    ? ((const uint8_t *)data)[i]
                     : type == GL_UNSIGNED_SHORT ? ((const uint16_t *)data)[i]
                                                 : ((const uint32_t *)data)[i];
        if (v == restart)
            continue;
        *lo = v < *lo ? v : *lo;
        *hi = v > *hi ? v : *hi;
    }
}

bool xg_glr_list_elements(struct xg_glr_context *c, GLsizei count, GLenum type, uint64_t offset,
                          GLint base)
{
    unsigned bytes = xg_gl_index_size(type);
    uint64_t size = (uint64_t)count * bytes, have;
    uint32_t lo, hi;
    GLint buffer = 0;
    void *data;

    if (count <= 0 || !bytes)
        return true; /* the host refuses it, or draws nothing */
    xg_glr_procs.glGetIntegerv(GL_ELEMENT_ARRAY_BUFFER_BINDING, &buffer);
    have = buffer_bytes(c, (GLuint)buffer);
    if (offset > have || size > have - offset) {
        xg_glr_error(c, GL_INVALID_OPERATION);
        return false;
    }
    data = malloc(size);
    if (!data) {
        xg_glr_error(c, GL_OUT_OF_MEMORY);
        return false;
    }
    xg_glr_procs.glGetBufferSubData(GL_ELEMENT_ARRAY_BUFFER, (GLintptr)offset, (GLsizeiptr)size,
                                    data);
    index_span(data, count, type, xg_glr_restart_index(c, type), &lo, &hi);
    free(data);
    if (lo > hi)
        return true; /* there are only restart indices */
    /* the list gets as many vertices as there are indices */
    if ((int64_t)hi - lo + 1 < count)
        xg_glr_list_grows(c, ((uint64_t)count - (hi - lo + 1)) * VERTEX_BYTES);
    return xg_glr_list_draw(c, (int64_t)lo + base, (int64_t)hi - lo + 1, 0);
}
