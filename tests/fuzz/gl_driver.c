/* What of a GL driver depends on state: buffers, vertex arrays, pixel stores, and the questions
 * that the replay asks. */
#include "tests/fuzz/gl_driver.h"

#include "protocol/gl/draw.h"

#include <stdlib.h>

enum {
    BUFFERS = 64,
    VAOS = 16,
    TARGETS = 24,
    CAPS = 64,
    STACK = 16,
    BUFFER_MAX = 1 << 16,
    TOUCHED_MAX = 1 << 16,
    STRIDE_MAX = 2048
};

struct array {
    bool on;
    const uint8_t *at; /* address, or offset */
    GLuint buffer;
    int64_t stride;
    unsigned bytes;
    GLuint divisor;
};

struct vao {
    GLuint name, element;
    struct array array[XG_ARRAYS];
};

struct client {
    GLbitfield mask;
    struct xg_gl_pixel_store pack, unpack;
    struct vao vao[VAOS];
    GLuint current;
    unsigned unit;
};

struct gl_state {
    unsigned api;
    bool begun;
    GLuint next_name;
    GLenum error;
    struct {
        GLuint name;
        int64_t size;
    } buffer[BUFFERS];
    struct {
        GLenum target;
        GLuint buffer;
    } bound[TARGETS];
    struct vao vao[VAOS];
    unsigned current; /* index of vao */
    unsigned unit;
    GLenum cap[CAPS];
    GLuint restart;
    GLint depth;
    GLenum render_mode;
    GLuint list;
    void *map;
    GLfloat *feedback;
    GLuint *select;
    GLsizei feedback_size, select_size;
    struct xg_gl_pixel_store pack, unpack;
    struct client *stack[STACK];
};

/* Without a context no command does anything, nor between glBegin and glEnd most. */
static struct gl_state none = {.begun = true, .api = 1}, *now = &none;
#define g (*now)

struct gl_state *gl_driver_new(unsigned api)
{
    struct gl_state *s = calloc(1, sizeof(*s));

    if (!s)
        abort();
    s->api = api;
    s->next_name = 1;
    s->render_mode = GL_RENDER;
    xg_gl_pixel_store_init(&s->pack);
    xg_gl_pixel_store_init(&s->unpack);
    return s;
}

void gl_driver_free(struct gl_state *s)
{
    if (now == s)
        now = &none;
    while (s->depth)
        free(s->stack[--s->depth]);
    free(s->map);
    free(s);
}

void gl_driver_use(struct gl_state *s)
{
    now = s ? s : &none;
}

const char *gl_driver_renderer = "fuzz";

static int proc_compare(const void *name, const void *proc)
{
    return strcmp(name, ((const struct gl_proc *)proc)->name);
}

void *gl_driver_proc(const char *name)
{
    const struct gl_proc *p =
        bsearch(name, gl_procs, gl_proc_count, sizeof(gl_procs[0]), proc_compare);

    return p ? p->fn : NULL;
}

void gl_called(void)
{
    if (!g.error && fuzz_answer(0xe4404) % 32 == 0)
        g.error = GL_INVALID_OPERATION;
}

GLenum fuzz_glGetError(void)
{
    GLenum error = g.begun ? GL_NO_ERROR : g.error;
    g.error = GL_NO_ERROR;
    return error;
}

/* --- memory ----------------------------------------------------------------------------------- */

void gl_read(const void *p, int64_t count, size_t size)
{
    if (p && count > 0)
        fuzz_read(p, count * (int64_t)size);
}

void gl_write(void *p, int64_t count, size_t size, uint32_t what)
{
    if (p && count > 0)
        fuzz_write(p, count * (int64_t)size, what);
}

/* A text of which all of the room is used, or less. */
static int64_t text_length(int64_t size, uint32_t what)
{
    return size <= 0               ? 0
           : fuzz_answer(what) % 2 ? size - 1
                                   : fuzz_answer(what + 1) % (uint32_t)size;
}

void gl_write_text(char *p, int64_t size, uint32_t what)
{
    if (!p || size <= 0)
        return;
    memset(p, 'a', (size_t)text_length(size, 0x7e47));
    p[text_length(size, 0x7e47)] = 0;
}

void gl_write_length(GLsizei *p, int64_t size, uint32_t what)
{
    if (p)
        *p = (GLsizei)text_length(size, 0x7e47);
}

void gl_read_strings(const GLchar *const *s, GLsizei count, const GLint *length)
{
    for (GLsizei i = 0; i < count; i++)
        fuzz_read(s[i], length && length[i] >= 0 ? length[i] : (int64_t)strlen(s[i]));
}

static GLuint bound(GLenum target)
{
    if (target == GL_ELEMENT_ARRAY_BUFFER)
        return g.vao[g.current].element;
    for (unsigned i = 0; i < TARGETS; i++)
        if (g.bound[i].target == target)
            return g.bound[i].buffer;
    return 0;
}

/* Rows apart, as a driver goes over them. */
static void pixels(const struct xg_gl_pixel_store *s, void *p, bool out, int dims, GLsizei w,
                   GLsizei h, GLsizei d, GLenum format, GLenum type)
{
    struct xg_gl_layout l;
    unsigned rows = 0;

    if (!xg_gl_layout(s, dims, w, h, d, format, type, &l) || !l.size || !p)
        return;
    for (uint32_t z = 0; z < l.images; z++)
        for (uint32_t y = 0; y < l.rows && rows < 64; y++, rows++) {
            uint8_t *row = (uint8_t *)p + l.skip + z * l.image_stride + y * l.row_stride;
            if (out)
                fuzz_write(row, (int64_t)l.row_bytes, 0x9ac);
            else
                fuzz_read(row, (int64_t)l.row_bytes);
        }
}

void gl_unpack(const void *p, int dims, GLsizei w, GLsizei h, GLsizei d, GLenum format, GLenum type)
{
    if (!bound(GL_PIXEL_UNPACK_BUFFER) && !g.begun)
        pixels(&g.unpack, (void *)(uintptr_t)p, false, dims, w, h, d, format, type);
}

void gl_unpack_bytes(const void *p, int64_t size)
{
    if (!bound(GL_PIXEL_UNPACK_BUFFER) && !g.begun)
        gl_read(p, size, 1);
}

void gl_pack(void *p, int dims, GLsizei w, GLsizei h, GLsizei d, GLenum format, GLenum type)
{
    if (!bound(GL_PIXEL_PACK_BUFFER) && !g.begun)
        pixels(&g.pack, p, true, dims, w, h, d, format, type);
}

void gl_pack_bytes(void *p, int64_t size)
{
    if (!bound(GL_PIXEL_PACK_BUFFER) && !g.begun)
        gl_write(p, size, 1, 0x9ac);
}

/* Of a texture's level: the same for each. */
GLint driver_xg_gl_level(GLenum target, GLint level, GLenum what)
{
    switch (what) {
    case GL_TEXTURE_WIDTH:
    case GL_TEXTURE_HEIGHT: return g.begun ? 0 : (GLint)(fuzz_constant(what) % 40);
    case GL_TEXTURE_DEPTH: return g.begun ? 0 : (GLint)(fuzz_constant(what) % 4);
    case GL_TEXTURE_COMPRESSED_IMAGE_SIZE: return g.begun ? 0 : (GLint)(fuzz_constant(what) % 4000);
    default: return (GLint)(fuzz_answer(what) % 64);
    }
}

GLint driver_xg_gl_texture_level(GLuint texture, GLint level, GLenum what)
{
    return driver_xg_gl_level(0, level, what);
}

void fuzz_glGetTexLevelParameteriv(GLenum target, GLint level, GLenum pname, GLint *params)
{
    if (!g.begun && params)
        *params = driver_xg_gl_level(target, level, pname);
}

void fuzz_glGetTextureLevelParameteriv(GLuint texture, GLint level, GLenum pname, GLint *params)
{
    if (!g.begun && params)
        *params = driver_xg_gl_level(0, level, pname);
}

GLint driver_xg_gl_pixel_map(GLenum map)
{
    return map >= GL_PIXEL_MAP_I_TO_I && map <= GL_PIXEL_MAP_A_TO_A
               ? (GLint)(fuzz_constant(map - GL_PIXEL_MAP_I_TO_I + GL_PIXEL_MAP_I_TO_I_SIZE) % 64)
               : 0;
}

/* As a driver does it, which has no idea of what the replay makes of it: what is refused stays. */
void fuzz_glPixelStorei(GLenum pname, GLint param)
{
    if (!g.begun)
        xg_gl_pixel_store_set(&g.pack, &g.unpack, pname, param);
}

/* -1: another state */
static GLint pixel_store(GLenum pname)
{
    switch (pname) {
    case GL_UNPACK_ALIGNMENT: return g.unpack.alignment;
    case GL_UNPACK_ROW_LENGTH: return g.unpack.row_length;
    case GL_UNPACK_IMAGE_HEIGHT: return g.unpack.image_height;
    case GL_UNPACK_SKIP_ROWS: return g.unpack.skip_rows;
    case GL_UNPACK_SKIP_PIXELS: return g.unpack.skip_pixels;
    case GL_UNPACK_SKIP_IMAGES: return g.unpack.skip_images;
    case GL_UNPACK_SWAP_BYTES: return g.unpack.swap;
    case GL_UNPACK_LSB_FIRST: return g.unpack.lsb;
    case GL_PACK_ALIGNMENT: return g.pack.alignment;
    case GL_PACK_ROW_LENGTH: return g.pack.row_length;
    case GL_PACK_IMAGE_HEIGHT: return g.pack.image_height;
    case GL_PACK_SKIP_ROWS: return g.pack.skip_rows;
    case GL_PACK_SKIP_PIXELS: return g.pack.skip_pixels;
    case GL_PACK_SKIP_IMAGES: return g.pack.skip_images;
    case GL_PACK_SWAP_BYTES: return g.pack.swap;
    case GL_PACK_LSB_FIRST: return g.pack.lsb;
    default: return -1;
    }
}

/* --- buffers ---------------------------------------------------------------------------------- */

static int64_t *buffer_size(GLuint name)
{
    for (unsigned i = 0; name && i < BUFFERS; i++)
        if (g.buffer[i].name == name)
            return &g.buffer[i].size;
    for (unsigned i = 0; name && i < BUFFERS; i++)
        if (!g.buffer[i].name) {
            g.buffer[i].name = name;
            return &g.buffer[i].size;
        }
    return NULL;
}

static void buffer_data(GLuint name, GLsizeiptr size, const void *data)
{
    int64_t *have = buffer_size(name);

    if (!have || size < 0 || size > BUFFER_MAX || g.begun)
        return;
    gl_read(data, size, 1);
    *have = size;
}

static void buffer_sub(GLuint name, GLintptr offset, GLsizeiptr size, const void *data)
{
    int64_t *have = buffer_size(name);

    if (have && offset >= 0 && size >= 0 && offset <= *have && size <= *have - offset && !g.begun)
        gl_read(data, size, 1);
}

void fuzz_glBindBuffer(GLenum target, GLuint buffer)
{
    if (g.begun || buffer == 0xffffffffu)
        return;
    if (target == GL_ELEMENT_ARRAY_BUFFER)
        g.vao[g.current].element = buffer;
    for (unsigned i = 0; target != GL_ELEMENT_ARRAY_BUFFER && i < TARGETS; i++)
        if (g.bound[i].target == target || !g.bound[i].target) {
            g.bound[i].target = target;
            g.bound[i].buffer = buffer;
            break;
        }
}

/* What is bound in the current context, and leads to it, is 0 afterwards; an array's offset stays.
 */
void fuzz_glDeleteBuffers(GLsizei n, const GLuint *buffers)
{
    gl_read(buffers, n, sizeof(GLuint));
    for (GLsizei i = 0; i < n && !g.begun; i++) {
        struct vao *v = &g.vao[g.current];
        for (unsigned k = 0; k < BUFFERS; k++)
            if (buffers[i] && g.buffer[k].name == buffers[i])
                g.buffer[k].name = 0, g.buffer[k].size = 0;
        for (unsigned k = 0; k < TARGETS; k++)
            if (g.bound[k].buffer == buffers[i])
                g.bound[k].buffer = 0;
        for (unsigned k = 0; k < XG_ARRAYS; k++)
            if (v->array[k].buffer == buffers[i])
                v->array[k].buffer = 0;
        if (v->element == buffers[i])
            v->element = 0;
    }
}

void fuzz_glBufferData(GLenum target, GLsizeiptr size, const void *data, GLenum usage)
{
    buffer_data(bound(target), size, data);
}
void fuzz_glNamedBufferData(GLuint buffer, GLsizeiptr size, const void *data, GLenum usage)
{
    buffer_data(buffer, size, data);
}
void fuzz_glBufferStorage(GLenum target, GLsizeiptr size, const void *data, GLbitfield flags)
{
    buffer_data(bound(target), size, data);
}
void fuzz_glNamedBufferStorage(GLuint buffer, GLsizeiptr size, const void *data, GLbitfield flags)
{
    buffer_data(buffer, size, data);
}
void fuzz_glBufferSubData(GLenum target, GLintptr offset, GLsizeiptr size, const void *data)
{
    buffer_sub(bound(target), offset, size, data);
}
void fuzz_glNamedBufferSubData(GLuint buffer, GLintptr offset, GLsizeiptr size, const void *data)
{
    buffer_sub(buffer, offset, size, data);
}

static int64_t size_of_bound(GLenum target)
{
    int64_t *have = buffer_size(bound(target));
    return have ? *have : 0;
}

void fuzz_glGetBufferParameteriv(GLenum target, GLenum pname, GLint *params)
{
    if (!g.begun && params)
        *params = pname == GL_BUFFER_SIZE ? (GLint)size_of_bound(target)
                                          : (GLint)(fuzz_answer(pname) % 64);
}
void fuzz_glGetBufferParameteri64v(GLenum target, GLenum pname, GLint64 *params)
{
    if (!g.begun && params)
        *params =
            pname == GL_BUFFER_SIZE ? size_of_bound(target) : (GLint64)(fuzz_answer(pname) % 64);
}
void fuzz_glGetBufferSubData(GLenum target, GLintptr offset, GLsizeiptr size, void *data)
{
    int64_t have = size_of_bound(target);
    if (!g.begun && offset >= 0 && size >= 0 && offset <= have && size <= have - offset)
        gl_write(data, size, 1, 0xb0f);
}
void *fuzz_glMapBufferRange(GLenum target, GLintptr offset, GLsizeiptr length, GLbitfield access)
{
    int64_t have = size_of_bound(target);

    if (g.begun || g.map || offset < 0 || length <= 0 || offset > have || length > have - offset)
        return NULL;
    return g.map = calloc(1, (size_t)length);
}
GLboolean fuzz_glUnmapBuffer(GLenum target)
{
    free(g.map);
    g.map = NULL;
    return GL_TRUE;
}

/* Names: never one that is there. */
static void names_make(GLsizei n, GLuint *names)
{
    gl_write(names, n, sizeof(GLuint), 0);
    for (GLsizei i = 0; i < n; i++)
        names[i] = g.next_name++;
}
#define GEN(Fn)                                                                                    \
    void fuzz_gl##Fn(GLsizei n, GLuint *names)                                                     \
    {                                                                                              \
        names_make(n, names);                                                                      \
    }
GEN(GenBuffers)
GEN(GenTextures)
GEN(GenFramebuffers)
GEN(GenRenderbuffers)
GEN(GenVertexArrays)
GEN(GenSamplers)
GEN(GenQueries)
GEN(GenProgramPipelines)
GEN(GenTransformFeedbacks)
GEN(GenProgramsARB)
GEN(CreateBuffers)
GEN(CreateFramebuffers)
GEN(CreateRenderbuffers)
GEN(CreateVertexArrays)
GEN(CreateSamplers)
GEN(CreateProgramPipelines)
GEN(CreateTransformFeedbacks)
void fuzz_glCreateTextures(GLenum target, GLsizei n, GLuint *names)
{
    names_make(n, names);
}
void fuzz_glCreateQueries(GLenum target, GLsizei n, GLuint *names)
{
    names_make(n, names);
}
GLuint fuzz_glCreateShader(GLenum type)
{
    return g.next_name++;
}
GLuint fuzz_glCreateProgram(void)
{
    return g.next_name++;
}
GLuint fuzz_glGenLists(GLsizei range)
{
    GLuint first = g.next_name;
    g.next_name += range > 0 ? (GLuint)range : 0;
    return range > 0 ? first : 0;
}

/* --- vertex arrays ---------------------------------------------------------------------------- */

static struct vao *vao(void)
{
    return &g.vao[g.current];
}

static unsigned component(GLint size, GLenum type)
{
    unsigned n = size == GL_BGRA ? 4 : size < 1 || size > 4 ? 0 : (unsigned)size;

    if (type == GL_INT_2_10_10_10_REV || type == GL_UNSIGNED_INT_2_10_10_10_REV ||
        type == GL_UNSIGNED_INT_10F_11F_11F_REV)
        return n ? 4 : 0;
    return n * xg_gl_type_size(type);
}

static void array_set(unsigned slot, GLint size, GLenum type, GLsizei stride, const void *p)
{
    unsigned bytes = component(size, type);

    if (slot >= XG_ARRAYS || !bytes || stride < 0 || stride > STRIDE_MAX || g.begun)
        return;
    struct array *a = &vao()->array[slot];
    a->at = p;
    a->bytes = bytes;
    a->stride = stride ? stride : (GLsizei)bytes;
    a->buffer = bound(GL_ARRAY_BUFFER);
}

void fuzz_glVertexPointer(GLint size, GLenum type, GLsizei stride, const void *p)
{
    array_set(XG_ARRAY_VERTEX, size, type, stride, p);
}
void fuzz_glNormalPointer(GLenum type, GLsizei stride, const void *p)
{
    array_set(XG_ARRAY_NORMAL, 3, type, stride, p);
}
void fuzz_glColorPointer(GLint size, GLenum type, GLsizei stride, const void *p)
{
    array_set(XG_ARRAY_COLOR, size, type, stride, p);
}
void fuzz_glSecondaryColorPointer(GLint size, GLenum type, GLsizei stride, const void *p)
{
    array_set(XG_ARRAY_SECONDARY, size, type, stride, p);
}
void fuzz_glFogCoordPointer(GLenum type, GLsizei stride, const void *p)
{
    array_set(XG_ARRAY_FOG, 1, type, stride, p);
}
void fuzz_glIndexPointer(GLenum type, GLsizei stride, const void *p)
{
    array_set(XG_ARRAY_INDEX, 1, type, stride, p);
}
void fuzz_glEdgeFlagPointer(GLsizei stride, const void *p)
{
    array_set(XG_ARRAY_EDGE, 1, GL_UNSIGNED_BYTE, stride, p);
}
void fuzz_glPointSizePointerOES(GLenum type, GLsizei stride, const void *p)
{
    array_set(XG_ARRAY_POINT_SIZE, 1, type, stride, p);
}
void fuzz_glTexCoordPointer(GLint size, GLenum type, GLsizei stride, const void *p)
{
    array_set(XG_ARRAY_TEX + g.unit, size, type, stride, p);
}
void fuzz_glVertexAttribPointer(GLuint index, GLint size, GLenum type, GLboolean normalized,
                                GLsizei stride, const void *p)
{
    array_set(index < XG_GENERIC_MAX ? index : XG_ARRAYS, size, type, stride, p);
}
void fuzz_glVertexAttribIPointer(GLuint index, GLint size, GLenum type, GLsizei stride,
                                 const void *p)
{
    array_set(index < XG_GENERIC_MAX ? index : XG_ARRAYS, size, type, stride, p);
}
void fuzz_glVertexAttribLPointer(GLuint index, GLint size, GLenum type, GLsizei stride,
                                 const void *p)
{
    array_set(index < XG_GENERIC_MAX ? index : XG_ARRAYS, size, type, stride, p);
}
/* An attribute keeps its own binding here: enough for one whose buffer goes. */
void fuzz_glBindVertexBuffer(GLuint index, GLuint buffer, GLintptr offset, GLsizei stride)
{
    if (index >= XG_GENERIC_MAX || buffer == 0xffffffffu || offset < 0 || stride < 0 || g.begun)
        return;
    struct array *a = &vao()->array[index];
    a->at = (const uint8_t *)(uintptr_t)offset;
    a->buffer = buffer;
    a->stride = stride;
}
void fuzz_glVertexAttribDivisor(GLuint index, GLuint divisor)
{
    if (index < XG_GENERIC_MAX && !g.begun)
        vao()->array[index].divisor = divisor;
}
void fuzz_glClientActiveTexture(GLenum texture)
{
    if (texture - GL_TEXTURE0 < XG_TEX_MAX)
        g.unit = texture - GL_TEXTURE0;
}

static unsigned slot_of(GLenum array)
{
    return xg_gl_client_slot(array, g.unit);
}

static bool has_slot(unsigned slot)
{
    bool es1 = g.api == 2, shaders_only = g.api == 1 || g.api == 3;

    if (slot < XG_GENERIC_MAX)
        return !es1 && slot < 16;
    if (shaders_only)
        return false;
    return es1 ? slot <= XG_ARRAY_COLOR || slot >= XG_ARRAY_POINT_SIZE
               : slot != XG_ARRAY_POINT_SIZE;
}

static void array_turn(unsigned slot, bool on)
{
    if (slot < XG_ARRAYS && has_slot(slot))
        vao()->array[slot].on = on;
}

void fuzz_glEnableClientState(GLenum array)
{
    array_turn(slot_of(array), true);
}
void fuzz_glDisableClientState(GLenum array)
{
    array_turn(slot_of(array), false);
}
void fuzz_glEnableVertexAttribArray(GLuint index)
{
    array_turn(index < XG_GENERIC_MAX ? index : XG_ARRAYS, true);
}
void fuzz_glDisableVertexAttribArray(GLuint index)
{
    array_turn(index < XG_GENERIC_MAX ? index : XG_ARRAYS, false);
}

static unsigned vao_find(GLuint name)
{
    for (unsigned i = 1; name && i < VAOS; i++)
        if (g.vao[i].name == name)
            return i;
    return 0;
}

static unsigned vao_make(GLuint name)
{
    unsigned at = vao_find(name);

    for (unsigned i = 1; name && !at && i < VAOS; i++)
        if (!g.vao[i].name)
            at = i;
    g.vao[at].name = name;
    return at;
}

void fuzz_glBindVertexArray(GLuint array)
{
    if (!g.begun)
        g.current = vao_make(array);
}
GLboolean fuzz_glIsVertexArray(GLuint array)
{
    return vao_find(array) != 0;
}
void fuzz_glEnableVertexArrayAttrib(GLuint array, GLuint index)
{
    unsigned at = vao_find(array);
    if (at && index < 16)
        g.vao[at].array[index].on = true;
}
void fuzz_glDeleteVertexArrays(GLsizei n, const GLuint *arrays)
{
    gl_read(arrays, n, sizeof(GLuint));
    for (GLsizei i = 0; i < n && !g.begun; i++) {
        unsigned at = vao_find(arrays[i]);
        if (at)
            memset(&g.vao[at], 0, sizeof(g.vao[at]));
        if (at && g.current == at)
            g.current = 0;
    }
}

void fuzz_glGetVertexAttribiv(GLuint index, GLenum pname, GLint *params)
{
    if (g.begun || !params || index >= XG_GENERIC_MAX)
        return;
    const struct array *a = &vao()->array[index];
    *params = pname == GL_VERTEX_ATTRIB_ARRAY_ENABLED          ? a->on
              : pname == GL_VERTEX_ATTRIB_ARRAY_BUFFER_BINDING ? (GLint)a->buffer
              : pname == GL_VERTEX_ATTRIB_ARRAY_DIVISOR        ? (GLint)a->divisor
              : pname == GL_VERTEX_ATTRIB_ARRAY_SIZE           ? 4
              : pname == GL_VERTEX_ATTRIB_ARRAY_TYPE           ? GL_FLOAT
              : pname == GL_VERTEX_ATTRIB_ARRAY_STRIDE         ? (GLint)a->stride
                                                               : (GLint)(fuzz_answer(pname) % 64);
}

void fuzz_glGetVertexAttribPointerv(GLuint index, GLenum pname, void **pointer)
{
    if (!g.begun && index < XG_GENERIC_MAX)
        *pointer = (void *)(uintptr_t)vao()->array[index].at;
}

void fuzz_glGetPointerv(GLenum pname, void **pointer)
{
    static const GLenum name[] = {GL_VERTEX_ARRAY_POINTER,    GL_NORMAL_ARRAY_POINTER,
                                  GL_COLOR_ARRAY_POINTER,     GL_SECONDARY_COLOR_ARRAY_POINTER,
                                  GL_FOG_COORD_ARRAY_POINTER, GL_INDEX_ARRAY_POINTER,
                                  GL_EDGE_FLAG_ARRAY_POINTER, 0x898C};

    for (unsigned i = 0; i < XG_ARRAY_LEN(name) && !g.begun; i++)
        if (name[i] == pname)
            *pointer = (void *)(uintptr_t)vao()->array[XG_ARRAY_VERTEX + i].at;
    if (pname == GL_TEXTURE_COORD_ARRAY_POINTER && !g.begun)
        *pointer = (void *)(uintptr_t)vao()->array[XG_ARRAY_TEX + g.unit].at;
}

void fuzz_glPushClientAttrib(GLbitfield mask)
{
    if (g.depth == STACK || g.begun)
        return;
    struct client *s = malloc(sizeof(*s));
    if (!s)
        return;
    g.stack[g.depth++] = s;
    *s = (struct client){.mask = mask,
                         .pack = g.pack,
                         .unpack = g.unpack,
                         .current = g.vao[g.current].name,
                         .unit = g.unit};
    memcpy(s->vao, g.vao, sizeof(g.vao));
}

static void client_restore(const struct client *s)
{
    if (s->mask & GL_CLIENT_PIXEL_STORE_BIT) {
        g.pack = s->pack;
        g.unpack = s->unpack;
    }
    if (!(s->mask & GL_CLIENT_VERTEX_ARRAY_BIT) || (s->current && !vao_find(s->current)))
        return;
    g.current = vao_find(s->current);
    for (unsigned i = 0; i < VAOS; i++)
        if (s->vao[i].name == s->current && (i || !s->current)) {
            g.vao[g.current] = s->vao[i];
            break;
        }
    g.unit = s->unit;
}

void fuzz_glPopClientAttrib(void)
{
    if (!g.depth || g.begun)
        return;
    struct client *s = g.stack[--g.depth];
    client_restore(s);
    free(s);
}

/* --- draws ------------------------------------------------------------------------------------ */

static void element_read(const struct array *a, int64_t i)
{
    if (a->on && !a->buffer && a->bytes)
        fuzz_read(a->at + i * a->stride, a->bytes);
}

static void vertices(int64_t first, int64_t count, uint32_t instances, uint32_t base_instance)
{
    int64_t step = count > 64 ? count / 64 : 1;

    if (g.api == 1 || g.begun || count <= 0 ||
        first < 0) /* the core profile has no arrays in memory */
        return;
    for (unsigned k = 0; k < XG_ARRAYS; k++) {
        const struct array *a = &vao()->array[k];
        if (!a->on || !has_slot(k))
            continue;
        if (a->divisor) {
            element_read(a, base_instance);
            element_read(a, base_instance + (instances ? instances - 1 : 0) / a->divisor);
            continue;
        }
        for (int64_t i = 0; i < count; i += step)
            element_read(a, first + i);
        element_read(a, first + count - 1);
    }
}

static bool cap(GLenum which)
{
    for (unsigned i = 0; i < CAPS; i++)
        if (g.cap[i] == which)
            return true;
    return false;
}

static void elements(GLsizei count, GLenum type, const void *indices, GLint base,
                     uint32_t instances, uint32_t base_instance)
{
    unsigned size = xg_gl_index_size(type);
    uint32_t all = size == 1 ? 0xff : size == 2 ? 0xffff : 0xffffffff;

    if (!size || count <= 0 || g.begun || vao()->element)
        return;
    for (GLsizei i = 0; i < count && i < TOUCHED_MAX; i++) {
        uint32_t v = 0;
        memcpy(&v, (const uint8_t *)indices + (size_t)i * size, size);
        if ((cap(GL_PRIMITIVE_RESTART_FIXED_INDEX) && v == all) ||
            (cap(GL_PRIMITIVE_RESTART) && v == g.restart))
            continue;
        vertices((int64_t)v + base, 1, instances, base_instance);
    }
}

void fuzz_glDrawArrays(GLenum mode, GLint first, GLsizei count)
{
    vertices(first, count, 1, 0);
}
void fuzz_glDrawArraysInstanced(GLenum mode, GLint first, GLsizei count, GLsizei n)
{
    if (n > 0)
        vertices(first, count, (uint32_t)n, 0);
}
void fuzz_glDrawArraysInstancedBaseInstance(GLenum mode, GLint first, GLsizei count, GLsizei n,
                                            GLuint base)
{
    if (n > 0)
        vertices(first, count, (uint32_t)n, base);
}
void fuzz_glMultiDrawArrays(GLenum mode, const GLint *first, const GLsizei *count, GLsizei n)
{
    for (GLsizei i = 0; i < n; i++)
        vertices(first[i], count[i], 1, 0);
}
void fuzz_glDrawElements(GLenum mode, GLsizei count, GLenum type, const void *indices)
{
    elements(count, type, indices, 0, 1, 0);
}
void fuzz_glDrawRangeElements(GLenum mode, GLuint lo, GLuint hi, GLsizei count, GLenum type,
                              const void *indices)
{
    elements(count, type, indices, 0, 1, 0);
    /* Some drivers fetch what lies in the range. */
    if (hi >= lo && !vao()->element)
        vertices(lo, (int64_t)hi - lo + 1, 1, 0);
}
void fuzz_glDrawElementsBaseVertex(GLenum mode, GLsizei count, GLenum type, const void *indices,
                                   GLint base)
{
    elements(count, type, indices, base, 1, 0);
}
void fuzz_glDrawRangeElementsBaseVertex(GLenum mode, GLuint lo, GLuint hi, GLsizei count,
                                        GLenum type, const void *indices, GLint base)
{
    elements(count, type, indices, base, 1, 0);
}
void fuzz_glDrawElementsInstanced(GLenum mode, GLsizei count, GLenum type, const void *indices,
                                  GLsizei n)
{
    if (n > 0)
        elements(count, type, indices, 0, (uint32_t)n, 0);
}
void fuzz_glDrawElementsInstancedBaseVertex(GLenum mode, GLsizei count, GLenum type,
                                            const void *indices, GLsizei n, GLint base)
{
    if (n > 0)
        elements(count, type, indices, base, (uint32_t)n, 0);
}
void fuzz_glDrawElementsInstancedBaseVertexBaseInstance(GLenum mode, GLsizei count, GLenum type,
                                                        const void *indices, GLsizei n, GLint base,
                                                        GLuint instance)
{
    if (n > 0)
        elements(count, type, indices, base, (uint32_t)n, instance);
}
void fuzz_glMultiDrawElementsBaseVertex(GLenum mode, const GLsizei *count, GLenum type,
                                        const void *const *indices, GLsizei n, const GLint *base)
{
    for (GLsizei i = 0; i < n; i++)
        elements(count[i], type, indices[i], base[i], 1, 0);
}
/* Without a buffer the command itself lies in memory. */
static void indirect(const void *p, GLsizei n, GLsizei stride, unsigned bytes)
{
    if (!bound(GL_DRAW_INDIRECT_BUFFER) && g.api != 1 && !g.begun)
        for (GLsizei i = 0; i < n && i < 64; i++)
            fuzz_read((const uint8_t *)p + (int64_t)i * (stride ? stride : (GLsizei)bytes), bytes);
}
void fuzz_glDrawArraysIndirect(GLenum mode, const void *p)
{
    indirect(p, 1, 0, 16);
}
void fuzz_glDrawElementsIndirect(GLenum mode, GLenum type, const void *p)
{
    indirect(p, 1, 0, 20);
}
void fuzz_glMultiDrawArraysIndirect(GLenum mode, const void *p, GLsizei n, GLsizei stride)
{
    indirect(p, n, stride, 16);
}
void fuzz_glMultiDrawElementsIndirect(GLenum mode, GLenum type, const void *p, GLsizei n,
                                      GLsizei stride)
{
    indirect(p, n, stride, 20);
}
/* An element is read at once, also between glBegin and glEnd. */
void fuzz_glArrayElement(GLint i)
{
    for (unsigned k = 0; i >= 0 && g.api == 0 && k < XG_ARRAYS; k++)
        if (has_slot(k))
            element_read(&vao()->array[k], i);
}

/* --- the rest that is asked for --------------------------------------------------------------- */

void fuzz_glBegin(GLenum mode)
{
    if (g.api == 0 && mode <= GL_POLYGON)
        g.begun = true;
}
void fuzz_glEnd(void)
{
    g.begun = false;
}
void fuzz_glEnable(GLenum which)
{
    for (unsigned i = 0; !cap(which) && i < CAPS; i++)
        if (!g.cap[i]) {
            g.cap[i] = which;
            break;
        }
}
void fuzz_glDisable(GLenum which)
{
    for (unsigned i = 0; i < CAPS; i++)
        if (g.cap[i] == which)
            g.cap[i] = 0;
}
GLboolean fuzz_glIsEnabled(GLenum which)
{
    unsigned slot = slot_of(which);
    return !g.begun && (slot < XG_ARRAYS ? vao()->array[slot].on : cap(which));
}
void fuzz_glPrimitiveRestartIndex(GLuint index)
{
    g.restart = index;
}
void fuzz_glNewList(GLuint list, GLenum mode)
{
    if (!g.begun && list && !g.list)
        g.list = list;
}
void fuzz_glEndList(void)
{
    g.list = 0;
}

void fuzz_glSelectBuffer(GLsizei size, GLuint *buffer)
{
    g.select = buffer;
    g.select_size = size;
}
void fuzz_glFeedbackBuffer(GLsizei size, GLenum type, GLfloat *buffer)
{
    g.feedback = buffer;
    g.feedback_size = size;
}
/* In these modes commands write. */
GLint fuzz_glRenderMode(GLenum mode)
{
    if (g.begun || mode < GL_RENDER || mode > GL_SELECT || (mode == GL_FEEDBACK && !g.feedback) ||
        (mode == GL_SELECT && !g.select))
        return 0;
    if (g.render_mode == GL_FEEDBACK)
        gl_write(g.feedback, g.feedback_size, 4, 0xfeed);
    if (g.render_mode == GL_SELECT)
        gl_write(g.select, g.select_size, 4, 0x5e1);
    g.render_mode = mode;
    return (GLint)(fuzz_answer(0x4e4de4) % 64) - 1;
}

static GLuint array_buffer(unsigned slot)
{
    return vao()->array[slot].buffer;
}

static GLint integer(GLenum pname)
{
    switch (pname) {
    case GL_ARRAY_BUFFER_BINDING: return (GLint)bound(GL_ARRAY_BUFFER);
    case GL_ELEMENT_ARRAY_BUFFER_BINDING: return (GLint)bound(GL_ELEMENT_ARRAY_BUFFER);
    case GL_PIXEL_PACK_BUFFER_BINDING: return (GLint)bound(GL_PIXEL_PACK_BUFFER);
    case GL_PIXEL_UNPACK_BUFFER_BINDING: return (GLint)bound(GL_PIXEL_UNPACK_BUFFER);
    case GL_COPY_READ_BUFFER_BINDING: return (GLint)bound(GL_COPY_READ_BUFFER);
    case GL_COPY_WRITE_BUFFER_BINDING: return (GLint)bound(GL_COPY_WRITE_BUFFER);
    case GL_DRAW_INDIRECT_BUFFER_BINDING: return (GLint)bound(GL_DRAW_INDIRECT_BUFFER);
    case GL_DISPATCH_INDIRECT_BUFFER_BINDING: return (GLint)bound(GL_DISPATCH_INDIRECT_BUFFER);
    case GL_QUERY_BUFFER_BINDING: return (GLint)bound(GL_QUERY_BUFFER);
    case GL_VERTEX_ARRAY_BUFFER_BINDING: return (GLint)array_buffer(XG_ARRAY_VERTEX);
    case GL_NORMAL_ARRAY_BUFFER_BINDING: return (GLint)array_buffer(XG_ARRAY_NORMAL);
    case GL_COLOR_ARRAY_BUFFER_BINDING: return (GLint)array_buffer(XG_ARRAY_COLOR);
    case GL_SECONDARY_COLOR_ARRAY_BUFFER_BINDING: return (GLint)array_buffer(XG_ARRAY_SECONDARY);
    case GL_FOG_COORD_ARRAY_BUFFER_BINDING: return (GLint)array_buffer(XG_ARRAY_FOG);
    case GL_INDEX_ARRAY_BUFFER_BINDING: return (GLint)array_buffer(XG_ARRAY_INDEX);
    case GL_EDGE_FLAG_ARRAY_BUFFER_BINDING: return (GLint)array_buffer(XG_ARRAY_EDGE);
    case 0x8B9F: return (GLint)array_buffer(XG_ARRAY_POINT_SIZE);
    case GL_TEXTURE_COORD_ARRAY_BUFFER_BINDING: return (GLint)array_buffer(XG_ARRAY_TEX + g.unit);
    case GL_VERTEX_ARRAY_BINDING: return (GLint)vao()->name;
    case GL_CLIENT_ATTRIB_STACK_DEPTH: return g.depth;
    case GL_RENDER_MODE: return (GLint)g.render_mode;
    case GL_PRIMITIVE_RESTART_INDEX: return (GLint)g.restart;
    case GL_LIST_INDEX: return (GLint)g.list;
    case GL_MAX_VERTEX_ATTRIBS: return 16;
    case GL_MAX_TEXTURE_UNITS:
    case GL_MAX_TEXTURE_COORDS: return 8;
    case GL_MAX_TEXTURE_SIZE:
    case GL_MAX_3D_TEXTURE_SIZE: return 16384;
    case GL_NUM_EXTENSIONS: return (GLint)(fuzz_constant(pname) % 8);
    default: return (GLint)(fuzz_constant(pname) % 64);
    }
}

/* How many values a state has is not known here: one, where the replay asks with room for one. */
void fuzz_glGetIntegerv(GLenum pname, GLint *data)
{
    GLint store = pixel_store(pname);

    if (!g.begun && data)
        *data = store >= 0 ? store : integer(pname);
}
void fuzz_glGetInteger64v(GLenum pname, GLint64 *data)
{
    if (!g.begun && data)
        *data = integer(pname);
}
void fuzz_glGetFloatv(GLenum pname, GLfloat *data)
{
    if (!g.begun && data)
        *data = (GLfloat)integer(pname);
}

const GLubyte *fuzz_glGetString(GLenum name)
{
    static const char *const version[] = {"4.6 (Compatibility Profile) fuzz",
                                          "4.6 (Core Profile) fuzz", "OpenGL ES-CM 1.1 fuzz",
                                          "OpenGL ES 3.2 fuzz"};

    if (g.begun)
        return NULL;
    switch (name) {
    case GL_VERSION: return (const GLubyte *)version[g.api & 3];
    case GL_SHADING_LANGUAGE_VERSION: return (const GLubyte *)"4.60";
    case GL_EXTENSIONS:
        return (const GLubyte
                    *)"GL_ARB_vertex_buffer_object GL_NVX_gpu_memory_info GL_OES_point_sprite";
    case GL_VENDOR: return (const GLubyte *)"fuzz";
    case GL_RENDERER: return (const GLubyte *)gl_driver_renderer;
    default: return NULL;
    }
}
const GLubyte *fuzz_glGetStringi(GLenum name, GLuint index)
{
    static const char *const extension[] = {"GL_ARB_vertex_buffer_object", "GL_NVX_gpu_memory_info",
                                            "GL_KHR_robustness", "GL_ATI_meminfo"};
    return name == GL_EXTENSIONS && index < 8 && !g.begun ? (const GLubyte *)extension[index % 4]
                                                          : NULL;
}

void fuzz_glGetAttachedShaders(GLuint program, GLsizei most, GLsizei *count, GLuint *shaders)
{
    GLsizei n = (GLsizei)(fuzz_answer(0xa77ac) % 8);

    n = n < most ? n : most;
    if (g.begun || most < 0)
        return;
    gl_write(shaders, n, sizeof(GLuint), 0xa77);
    if (count)
        *count = n;
}
void fuzz_glGetProgramBinary(GLuint program, GLsizei size, GLsizei *length, GLenum *format,
                             void *binary)
{
    if (g.begun || size < 0)
        return;
    *length = fuzz_answer(0xb14) % 4 ? size : size / 2;
    *format = 1;
    gl_write(binary, *length, 1, 0xb14);
}
void fuzz_glGetProgramiv(GLuint program, GLenum pname, GLint *params)
{
    if (!g.begun && params)
        *params = (GLint)(fuzz_constant(pname) % 24);
}
void fuzz_glGetShaderiv(GLuint shader, GLenum pname, GLint *params)
{
    if (!g.begun && params)
        *params = (GLint)(fuzz_constant(pname) % 64);
}
GLsync fuzz_glFenceSync(GLenum condition, GLbitfield flags)
{
    return (GLsync)(uintptr_t)(g.next_name++ << 4);
}
/* Not for ever: nobody's time passes here. */
GLenum fuzz_glClientWaitSync(GLsync sync, GLbitfield flags, GLuint64 timeout)
{
    return timeout                 ? GL_CONDITION_SATISFIED
           : fuzz_answer(0x5c) % 2 ? GL_ALREADY_SIGNALED
                                   : GL_TIMEOUT_EXPIRED;
}
