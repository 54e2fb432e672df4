/*
 * Buffer objects: bindings, data, and mapping.
 *
 * A map is memory of the guest. The buffer's contents are fetched once, and only if the application
 * can see them. From then on a shadow copy is kept as long as only this process writes to the
 * buffer, so that a program that maps every frame need not wait. Unmapping sends the span that
 * changed. A persistent map is compared with its shadow before every command that may read it
 * (xg_gl_persistent_flush).
 */
#include "interposer/gl/state.h"

#include "gl/send.h"
#include "gl/stubs.h"

#define READ_CHUNK                                                                                 \
    (1u << 20) /* what one command carries at most, so that the arena is never full of one buffer  \
                */

uint32_t *xg_gl_buffer_binding(struct xg_gl_context *c, GLenum target)
{
    struct xg_gl_state *s = c->state;

    switch (target) {
    case GL_ARRAY_BUFFER: return &s->array_buffer;
    case GL_ELEMENT_ARRAY_BUFFER: return &s->vao->element_buffer;
    case GL_PIXEL_PACK_BUFFER: return &s->pack_buffer;
    case GL_PIXEL_UNPACK_BUFFER: return &s->unpack_buffer;
    case GL_COPY_READ_BUFFER: return &s->copy_read_buffer;
    case GL_COPY_WRITE_BUFFER: return &s->copy_write_buffer;
    case GL_UNIFORM_BUFFER: return &s->uniform_buffer;
    case GL_TEXTURE_BUFFER: return &s->texture_buffer;
    case GL_DRAW_INDIRECT_BUFFER: return &s->draw_indirect_buffer;
    case GL_DISPATCH_INDIRECT_BUFFER: return &s->dispatch_indirect_buffer;
    case GL_QUERY_BUFFER: return &s->query_buffer;
    case GL_ATOMIC_COUNTER_BUFFER: return &s->atomic_buffer;
    case GL_SHADER_STORAGE_BUFFER: return &s->storage_buffer;
    case GL_TRANSFORM_FEEDBACK_BUFFER: return &s->xfb_buffer;
    case GL_PARAMETER_BUFFER: return &s->parameter_buffer;
    default: return NULL;
    }
}

static bool gpu_target(GLenum target)
{
    return target == GL_TRANSFORM_FEEDBACK_BUFFER || target == GL_SHADER_STORAGE_BUFFER ||
           target == GL_ATOMIC_COUNTER_BUFFER || target == GL_QUERY_BUFFER;
}

static struct xg_gl_buffer *buffer_new(uint32_t name)
{
    struct xg_gl_buffer *b = calloc(1, sizeof(*b));

    if (b) {
        b->name = name;
        b->usage = GL_STATIC_DRAW;
    }
    return b;
}

/* The buffer of a name; if the name was only generated, a new one. Under the lock. */
static struct xg_gl_buffer *buffer_get(struct xg_gl_names *t, uint32_t name)
{
    struct xg_gl_buffer *b = xg_gl_names_get(t, name);

    if (!b && (b = buffer_new(name)) && !xg_gl_names_put(t, name, b)) {
        free(b);
        b = NULL;
    }
    return b;
}

struct xg_gl_buffer *xg_gl_buffer_get(struct xg_gl_context *c, uint32_t name)
{
    struct xg_gl_buffer *b;

    if (!name)
        return NULL;
    pthread_mutex_lock(&c->share->lock);
    b = buffer_get(&c->share->names[XG_GL_SPACE_BUFFER], name);
    pthread_mutex_unlock(&c->share->lock);
    return b;
}

/* The buffer that a binding refers to; its name may be deleted already. NULL: nothing is known of
 * it. */
static struct xg_gl_buffer *bound_buffer(struct xg_gl_context *c, uint32_t name)
{
    struct xg_gl_names *t = &c->share->names[XG_GL_SPACE_BUFFER];
    struct xg_gl_buffer *b;

    pthread_mutex_lock(&c->share->lock);
    b = xg_gl_names_has(t, name) ? buffer_get(t, name) : xg_gl_names_get(&c->share->gone, name);
    pthread_mutex_unlock(&c->share->lock);
    return b;
}

struct xg_gl_buffer *xg_gl_buffer_bound(struct xg_gl_context *c, GLenum target)
{
    uint32_t *binding = xg_gl_buffer_binding(c, target);
    struct xg_gl_buffer *b;

    if (xg_gl_inside(c))
        return NULL;
    b = binding && *binding ? bound_buffer(c, *binding) : NULL;
    if (!b)
        xg_gl_error(c, binding ? GL_INVALID_OPERATION : GL_INVALID_ENUM);
    return b;
}

struct xg_gl_buffer *xg_gl_buffer_named(struct xg_gl_context *c, GLuint name)
{
    if (xg_gl_inside(c))
        return NULL;
    if (!name || !xg_gl_names_has(&c->share->names[XG_GL_SPACE_BUFFER], name)) {
        xg_gl_error(c, GL_INVALID_OPERATION);
        return NULL;
    }
    return xg_gl_buffer_get(c, name);
}

static const GLenum buffer_targets[] = {
    GL_ARRAY_BUFFER,
    GL_PIXEL_PACK_BUFFER,
    GL_PIXEL_UNPACK_BUFFER,
    GL_COPY_READ_BUFFER,
    GL_COPY_WRITE_BUFFER,
    GL_UNIFORM_BUFFER,
    GL_TEXTURE_BUFFER,
    GL_DRAW_INDIRECT_BUFFER,
    GL_DISPATCH_INDIRECT_BUFFER,
    GL_QUERY_BUFFER,
    GL_ATOMIC_COUNTER_BUFFER,
    GL_SHADER_STORAGE_BUFFER,
    GL_TRANSFORM_FEEDBACK_BUFFER,
    GL_PARAMETER_BUFFER,
    GL_ELEMENT_ARRAY_BUFFER,
};

GLenum xg_gl_buffer_reached(struct xg_gl_context *c, const struct xg_gl_buffer *b)
{
    if (XG_UNLIKELY(atomic_load_explicit(&b->deleted, memory_order_relaxed)))
        for (unsigned i = 0; i < XG_ARRAY_LEN(buffer_targets); i++)
            if (*xg_gl_buffer_binding(c, buffer_targets[i]) == b->name)
                return buffer_targets[i];
    return 0;
}

static void shadow_drop(struct xg_gl_buffer *b)
{
    free(b->shadow);
    b->shadow = NULL;
    b->shadow_valid = false;
}

static void unlink_persistent(struct xg_gl_share *share, struct xg_gl_buffer *b)
{
    if (!b->persistent)
        return;
    b->persistent = false;
    for (struct xg_gl_buffer **p = &share->persistent; *p; p = &(*p)->next_persistent)
        if (*p == b) {
            *p = b->next_persistent;
            break;
        }
}

void xg_gl_map_free(struct xg_gl_buffer *b)
{
    free(b->map_memory);
    b->map_memory = b->map = NULL;
}

static void map_drop(struct xg_gl_context *c, struct xg_gl_buffer *b)
{
    unlink_persistent(c->share, b);
    xg_gl_map_free(b);
}

void xg_gl_buffer_destroy(void *object)
{
    struct xg_gl_buffer *b = object;
    free(b->shadow);
    xg_gl_map_free(b);
    free(b);
}

void xg_gl_buffer_forget(struct xg_gl_context *c, uint32_t name)
{
    struct xg_gl_buffer *b = xg_gl_names_get(&c->share->names[XG_GL_SPACE_BUFFER], name);

    for (unsigned i = 0; i < XG_ARRAY_LEN(buffer_targets); i++) {
        uint32_t *binding = xg_gl_buffer_binding(c, buffer_targets[i]);
        if (*binding == name)
            *binding = 0;
    }
    if (b)
        map_drop(c, b);
}

/* A deleted buffer lives on as long as another context has it bound, and a thread may be using it
 * just now. Which contexts have it is not counted: the buffers that were deleted last are kept,
 * within a limit of memory. Under the lock. */
#define GONE_BYTES (16u << 20)
static bool gone_put(struct xg_gl_share *s, struct xg_gl_buffer *b)
{
    uint64_t bytes = 0;

    for (unsigned i = 0; i < XG_ARRAY_LEN(s->gone_order); i++) {
        /* the first one is the oldest, whose place the new one takes; then come the others,
         * youngest first */
        uint32_t *place = &s->gone_order[(s->gone_next - i) % XG_ARRAY_LEN(s->gone_order)];
        struct xg_gl_buffer *old = xg_gl_names_get(&s->gone, *place);
        bytes += i && old && old->shadow ? old->size : 0;
        if (old && (!i || bytes > GONE_BYTES))
            xg_gl_buffer_destroy(xg_gl_names_remove(&s->gone, *place));
    }
    if (!xg_gl_names_put(&s->gone, b->name, b))
        return false;
    s->gone_order[s->gone_next++ % XG_ARRAY_LEN(s->gone_order)] = b->name;
    return true;
}

void xg_gl_buffer_bury(struct xg_gl_context *c, struct xg_gl_buffer *b, uint32_t name)
{
    struct xg_gl_share *s = c->share;
    bool lives = s->count > 1 || c->state->client_depth, kept;

    if (!b && !(lives && (b = buffer_new(name))))
        return;
    pthread_mutex_lock(&s->lock);
    atomic_store_explicit(&b->deleted, true, memory_order_relaxed);
    kept = lives && !xg_gl_names_has(&s->gone, name) && gone_put(s, b);
    pthread_mutex_unlock(&s->lock);
    if (!kept)
        xg_gl_buffer_destroy(b);
}

void xg_gl_buffer_found(struct xg_gl_context *c, GLenum target, uint32_t name)
{
    struct xg_gl_share *s = c->share;
    struct xg_gl_buffer *b;
    GLint v[64] = {0};

    xg_gl_send_glGetBufferParameteriv(c, target, GL_BUFFER_SIZE, v);
    pthread_mutex_lock(&s->lock);
    b = xg_gl_names_get(&s->gone, name);
    if (!b && (b = buffer_new(name)) && !gone_put(s, b)) {
        free(b);
        b = NULL;
    }
    if (b) {
        atomic_store_explicit(&b->deleted, true, memory_order_relaxed);
        if (b->size != (uint64_t)v[0])
            shadow_drop(b); /* another buffer of the same name: Mesa makes one */
        b->size = (uint64_t)v[0];
    }
    pthread_mutex_unlock(&s->lock);
}

void xg_gl_buffer_dirty(struct xg_gl_context *c, uint32_t name)
{
    struct xg_gl_buffer *b = name ? bound_buffer(c, name) : NULL;
    if (!b)
        return;
    /* a persistent map needs its shadow to find what the application has changed */
    if (b->persistent)
        b->gpu_writes = true;
    else
        b->shadow_valid = false;
}

static void gpu_may_write(struct xg_gl_context *c, uint32_t name)
{
    struct xg_gl_buffer *b = xg_gl_buffer_get(c, name);
    if (b) {
        b->gpu_writes = true;
        if (!b->persistent)
            b->shadow_valid = false;
    }
}

/* --- binding ---------------------------------------------------------------------------------- */

/* The core profile and GLES 3 refuse names that were not generated; the compatibility profile makes
 * objects of them. */
static bool name_claim(struct xg_gl_context *c, GLuint name)
{
    struct xg_gl_names *t = &c->share->names[XG_GL_SPACE_BUFFER];
    bool ok = true;

    if (!name || xg_gl_names_has(t, name))
        return true;
    if (c->api == XG_GL_CORE) {
        xg_gl_error(c, GL_INVALID_OPERATION);
        return false;
    }
    pthread_mutex_lock(&c->share->lock);
    ok = xg_gl_names_put(t, name, NULL);
    pthread_mutex_unlock(&c->share->lock);
    return ok;
}

void xg_stub_glBindBuffer(GLenum target, GLuint buffer)
{
    struct xg_gl_context *c = xg_gl_current;
    uint32_t *binding;

    if (!c)
        return;
    xg_gl_acquire(c);
    binding = xg_gl_buffer_binding(c, target);
    if (!binding) {
        xg_gl_error(c, GL_INVALID_ENUM);
        return;
    }
    if (!name_claim(c, buffer))
        return;
    if (!xg_gl_begun(c))
        *binding = buffer;
    xg_gl_send_glBindBuffer(c, target, buffer);
}

/* Which of the indexed targets it is, and the pname of its binding; 0: it is none of them. */
static GLenum indexed_binding(GLenum target, unsigned *which)
{
    switch (target) {
    case GL_UNIFORM_BUFFER: *which = 0; return GL_UNIFORM_BUFFER_BINDING;
    case GL_TRANSFORM_FEEDBACK_BUFFER: *which = 1; return GL_TRANSFORM_FEEDBACK_BUFFER_BINDING;
    case GL_ATOMIC_COUNTER_BUFFER: *which = 2; return GL_ATOMIC_COUNTER_BUFFER_BINDING;
    case GL_SHADER_STORAGE_BUFFER: *which = 3; return GL_SHADER_STORAGE_BUFFER_BINDING;
    default: return 0;
    }
}

static bool bind_indexed(struct xg_gl_context *c, GLenum target, GLuint buffer)
{
    xg_gl_acquire(c);
    if (!name_claim(c, buffer))
        return false;
    if (gpu_target(target) && buffer)
        gpu_may_write(c, buffer);
    return true;
}

/* Called after the command was sent. If the host may have refused it, the host is asked. */
static void bound_indexed(struct xg_gl_context *c, GLenum target, GLuint index, GLuint buffer,
                          GLintptr offset, GLsizeiptr size)
{
    const struct xg_gl_indexed *limit;
    unsigned which = 0;
    GLenum pname = indexed_binding(target, &which);
    GLint now[1024];

    if (!pname || xg_gl_begun(c))
        return;
    limit = &c->state->indexed[which];
    if (index >= limit->count || offset < 0 || size <= 0 || offset % limit->align ||
        (pname == GL_TRANSFORM_FEEDBACK_BUFFER_BINDING && (size % 4 || c->state->xfb_active))) {
        now[0] = (GLint)*xg_gl_buffer_binding(c, target);
        xg_gl_send_glGetIntegerv(c, pname, now);
        buffer = (GLuint)now[0];
    }
    *xg_gl_buffer_binding(c, target) = buffer;
}

void xg_stub_glBindBufferBase(GLenum target, GLuint index, GLuint buffer)
{
    struct xg_gl_context *c = xg_gl_current;
    if (!c || !bind_indexed(c, target, buffer))
        return;
    xg_gl_send_glBindBufferBase(c, target, index, buffer);
    bound_indexed(c, target, index, buffer, 0, 4);
}

void xg_stub_glBindBufferRange(GLenum target, GLuint index, GLuint buffer, GLintptr offset,
                               GLsizeiptr size)
{
    struct xg_gl_context *c = xg_gl_current;
    if (!c || !bind_indexed(c, target, buffer))
        return;
    xg_gl_send_glBindBufferRange(c, target, index, buffer, offset, size);
    bound_indexed(c, target, index, buffer, offset, buffer ? size : 4);
}

static bool bind_many(struct xg_gl_context *c, GLenum target, GLsizei count, const GLuint *buffers)
{
    if (count < 0) {
        xg_gl_error(c, GL_INVALID_VALUE);
        return false;
    }
    xg_gl_acquire(c);
    for (GLsizei i = 0; buffers && i < count && gpu_target(target); i++)
        if (buffers[i])
            gpu_may_write(c, buffers[i]);
    return true;
}

void xg_stub_glBindBuffersBase(GLenum target, GLuint first, GLsizei count, const GLuint *buffers)
{
    struct xg_gl_context *c = xg_gl_current;
    if (c && bind_many(c, target, count, buffers))
        xg_gl_send_glBindBuffersBase(c, target, first, count, buffers);
}

void xg_stub_glBindBuffersRange(GLenum target, GLuint first, GLsizei count, const GLuint *buffers,
                                const GLintptr *offsets, const GLsizeiptr *sizes)
{
    struct xg_gl_context *c = xg_gl_current;
    if (c && bind_many(c, target, count, buffers))
        xg_gl_send_glBindBuffersRange(c, target, first, count, buffers, offsets, sizes);
}

/* Shaders can write to buffer textures, as images. */
void xg_stub_glTexBuffer(GLenum target, GLenum internalformat, GLuint buffer)
{
    struct xg_gl_context *c = xg_gl_current;
    if (!c)
        return;
    gpu_may_write(c, buffer);
    xg_gl_send_glTexBuffer(c, target, internalformat, buffer);
}

void xg_stub_glTexBufferRange(GLenum target, GLenum internalformat, GLuint buffer, GLintptr offset,
                              GLsizeiptr size)
{
    struct xg_gl_context *c = xg_gl_current;
    if (!c)
        return;
    gpu_may_write(c, buffer);
    xg_gl_send_glTexBufferRange(c, target, internalformat, buffer, offset, size);
}

void xg_stub_glTextureBuffer(GLuint texture, GLenum internalformat, GLuint buffer)
{
    struct xg_gl_context *c = xg_gl_current;
    if (!c)
        return;
    gpu_may_write(c, buffer);
    xg_gl_send_glTextureBuffer(c, texture, internalformat, buffer);
}

void xg_stub_glTextureBufferRange(GLuint texture, GLenum internalformat, GLuint buffer,
                                  GLintptr offset, GLsizeiptr size)
{
    struct xg_gl_context *c = xg_gl_current;
    if (!c)
        return;
    gpu_may_write(c, buffer);
    xg_gl_send_glTextureBufferRange(c, texture, internalformat, buffer, offset, size);
}

/* --- data ------------------------------------------------------------------------------------- */

static void write_chunks(struct xg_gl_context *c, const struct xg_gl_buffer *b, uint64_t offset,
                         const uint8_t *data, uint64_t size)
{
    GLenum target = xg_gl_buffer_reached(c, b);

    while (size) {
        uint32_t n = (uint32_t)xg_min_u64(size, READ_CHUNK);
        xg_gl_send_xgBufferWrite(c, target, b->name, (GLint64)offset, n, data);
        offset += n;
        data += n;
        size -= n;
    }
}

/* Writes to the shadow too, if there is one. */
static void shadow_write(struct xg_gl_buffer *b, uint64_t offset, const void *data, uint64_t size)
{
    if (b && b->shadow_valid && b->shadow && offset + size <= b->size)
        memcpy(b->shadow + offset, data, size);
}

static void buffer_resize(struct xg_gl_context *c, struct xg_gl_buffer *b, int64_t size,
                          GLenum usage)
{
    map_drop(c, b);
    shadow_drop(b);
    b->size = (uint64_t)size;
    b->usage = usage;
}

/* If the host had no memory, the storage is not immutable after all. So the host is asked before a
 * call is refused for this. `target` 0: by name. */
static bool storage_immutable(struct xg_gl_context *c, struct xg_gl_buffer *b, GLenum target)
{
    GLint really = GL_TRUE;

    if (!b->immutable)
        return false;
    if (target)
        xg_gl_send_glGetBufferParameteriv(c, target, GL_BUFFER_IMMUTABLE_STORAGE, &really);
    else
        xg_gl_send_glGetNamedBufferParameteriv(c, b->name, GL_BUFFER_IMMUTABLE_STORAGE, &really);
    b->immutable = really;
    return really;
}

void xg_stub_glBufferData(GLenum target, GLsizeiptr size, const void *data, GLenum usage)
{
    struct xg_gl_context *c = xg_gl_current;
    struct xg_gl_buffer *b = c ? xg_gl_buffer_bound(c, target) : NULL;

    if (!b)
        return;
    if (size < 0 || storage_immutable(c, b, target)) {
        xg_gl_error(c, size < 0 ? GL_INVALID_VALUE : GL_INVALID_OPERATION);
        return;
    }
    buffer_resize(c, b, size, usage);
    if (data && size > READ_CHUNK) {
        xg_gl_send_glBufferData(c, target, size, NULL, usage);
        write_chunks(c, b, 0, data, (uint64_t)size);
    } else {
        xg_gl_send_glBufferData(c, target, size, data, usage);
    }
}

void xg_stub_glNamedBufferData(GLuint buffer, GLsizeiptr size, const void *data, GLenum usage)
{
    struct xg_gl_context *c = xg_gl_current;
    struct xg_gl_buffer *b = c ? xg_gl_buffer_named(c, buffer) : NULL;

    if (!b)
        return;
    if (size < 0 || storage_immutable(c, b, 0)) {
        xg_gl_error(c, size < 0 ? GL_INVALID_VALUE : GL_INVALID_OPERATION);
        return;
    }
    buffer_resize(c, b, size, usage);
    xg_gl_send_glNamedBufferData(c, buffer, size, size > READ_CHUNK ? NULL : data, usage);
    if (data && size > READ_CHUNK)
        write_chunks(c, b, 0, data, (uint64_t)size);
}

static bool range_ok(struct xg_gl_context *c, const struct xg_gl_buffer *b, GLintptr offset,
                     GLsizeiptr size)
{
    if (offset >= 0 && size >= 0 && (uint64_t)offset <= b->size &&
        (uint64_t)size <= b->size - (uint64_t)offset)
        return true;
    xg_gl_error(c, GL_INVALID_VALUE);
    return false;
}

static void sub_data(struct xg_gl_context *c, struct xg_gl_buffer *b, GLintptr offset,
                     GLsizeiptr size, const void *data)
{
    if (!range_ok(c, b, offset, size) || !size)
        return;
    if (b->map && !b->persistent) {
        xg_gl_error(c, GL_INVALID_OPERATION);
        return;
    }
    if (b->immutable && !(b->storage_flags & GL_DYNAMIC_STORAGE_BIT)) {
        xg_gl_error(c, GL_INVALID_OPERATION);
        return;
    }
    shadow_write(b, (uint64_t)offset, data, (uint64_t)size);
    if (b->persistent && b->map && (uint64_t)offset >= b->map_offset &&
        (uint64_t)(offset + size) <= b->map_offset + b->map_length)
        memcpy(b->map + ((uint64_t)offset - b->map_offset), data, (size_t)size);
    write_chunks(c, b, (uint64_t)offset, data, (uint64_t)size);
}

void xg_stub_glBufferSubData(GLenum target, GLintptr offset, GLsizeiptr size, const void *data)
{
    struct xg_gl_context *c = xg_gl_current;
    struct xg_gl_buffer *b = c ? xg_gl_buffer_bound(c, target) : NULL;
    if (b)
        sub_data(c, b, offset, size, data);
}

void xg_stub_glNamedBufferSubData(GLuint buffer, GLintptr offset, GLsizeiptr size, const void *data)
{
    struct xg_gl_context *c = xg_gl_current;
    struct xg_gl_buffer *b = c ? xg_gl_buffer_named(c, buffer) : NULL;
    if (b)
        sub_data(c, b, offset, size, data);
}

static bool storage_set(struct xg_gl_context *c, struct xg_gl_buffer *b, GLenum target,
                        GLsizeiptr size, GLbitfield flags)
{
    if (size <= 0 || storage_immutable(c, b, target)) {
        xg_gl_error(c, size <= 0 ? GL_INVALID_VALUE : GL_INVALID_OPERATION);
        return false;
    }
    buffer_resize(c, b, size, GL_DYNAMIC_DRAW);
    b->immutable = true;
    b->storage_flags = flags;
    return true;
}

void xg_stub_glBufferStorage(GLenum target, GLsizeiptr size, const void *data, GLbitfield flags)
{
    struct xg_gl_context *c = xg_gl_current;
    struct xg_gl_buffer *b = c ? xg_gl_buffer_bound(c, target) : NULL;

    if (!b || !storage_set(c, b, target, size, flags))
        return;
    xg_gl_send_glBufferStorage(c, target, size, size > READ_CHUNK ? NULL : data, flags);
    if (data && size > READ_CHUNK)
        write_chunks(c, b, 0, data, (uint64_t)size);
}

void xg_stub_glNamedBufferStorage(GLuint buffer, GLsizeiptr size, const void *data,
                                  GLbitfield flags)
{
    struct xg_gl_context *c = xg_gl_current;
    struct xg_gl_buffer *b = c ? xg_gl_buffer_named(c, buffer) : NULL;

    if (!b || !storage_set(c, b, 0, size, flags))
        return;
    xg_gl_send_glNamedBufferStorage(c, buffer, size, size > READ_CHUNK ? NULL : data, flags);
    if (data && size > READ_CHUNK)
        write_chunks(c, b, 0, data, (uint64_t)size);
}

/* --- reading ---------------------------------------------------------------------------------- */

/* Copies the host's contents, in pieces through arena memory. */
static bool buffer_fetch(struct xg_gl_context *c, const struct xg_gl_buffer *b, uint64_t offset,
                         uint8_t *to, uint64_t size)
{
    GLenum target = xg_gl_buffer_reached(c, b);
    struct xg_channel *ch = c->ring->channel;
    uint64_t piece = xg_min_u64(size, READ_CHUNK);
    uint32_t where;
    void *memory = xg_arena_alloc(ch, piece ? piece : 1, XG_BLOB_ALIGN, &where);
    bool ok = memory != NULL;

    for (; ok && size; offset += piece, to += piece, size -= piece) {
        piece = xg_min_u64(size, READ_CHUNK);
        ok = xg_gl_send_xgBufferRead(c, target, b->name, (GLint64)offset, piece, where) == 1;
        if (ok)
            memcpy(to, memory, piece);
    }
    if (memory)
        xg_arena_free(ch, memory);
    return ok;
}

/* Updates a persistent map to what the host has now, except where the application has written since
 * the shadow was taken: that must still be sent. */
static void map_follow(struct xg_gl_buffer *b, const uint8_t *now)
{
    const uint8_t *old = b->shadow + b->map_offset;

    now += b->map_offset;
    for (uint64_t at = 0, n; at < b->map_length; at += n) {
        n = xg_min_u64(256, b->map_length - at);
        if (memcmp(old + at, now + at, n) == 0)
            continue;
        if (memcmp(b->map + at, old + at, n) == 0)
            memcpy(b->map + at, now + at, n);
        else
            for (uint64_t i = at; i < at + n; i++)
                if (b->map[i] == old[i])
                    b->map[i] = now[i];
    }
}

/* Fetches the shadow again, of a persistently mapped buffer that the GPU may have written to. */
static bool shadow_renew(struct xg_gl_context *c, struct xg_gl_buffer *b)
{
    uint8_t *now = malloc(b->size ? b->size : 1);

    if (!now || !buffer_fetch(c, b, 0, now, b->size)) {
        free(now);
        return false;
    }
    map_follow(b, now);
    free(b->shadow);
    b->shadow = now;
    return true;
}

/* Makes the shadow equal to the host's contents; false: that failed. */
static bool shadow_fill(struct xg_gl_context *c, struct xg_gl_buffer *b)
{
    if (b->persistent && b->shadow_valid && b->gpu_writes)
        return shadow_renew(c, b);
    if (b->shadow_valid && !b->gpu_writes)
        return true;
    if (!b->shadow)
        b->shadow = malloc(b->size ? b->size : 1);
    if (!b->shadow || !buffer_fetch(c, b, 0, b->shadow, b->size)) {
        shadow_drop(b);
        return false;
    }
    b->shadow_valid = true;
    return true;
}

const uint8_t *xg_gl_buffer_contents(struct xg_gl_context *c, uint32_t name, uint64_t offset,
                                     uint64_t size)
{
    struct xg_gl_buffer *b = name ? bound_buffer(c, name) : NULL;

    if (!b || offset > b->size || size > b->size - offset)
        return NULL;
    return shadow_fill(c, b) ? b->shadow + offset : NULL;
}

static void get_sub_data(struct xg_gl_context *c, struct xg_gl_buffer *b, GLintptr offset,
                         GLsizeiptr size, void *data)
{
    if (!range_ok(c, b, offset, size) || !size)
        return;
    if (b->map && !b->persistent) {
        xg_gl_error(c, GL_INVALID_OPERATION);
        return;
    }
    xg_gl_persistent_flush(c);
    if (b->shadow_valid && !b->gpu_writes) /* a buffer that the GPU writes to keeps no shadow */
        memcpy(data, b->shadow + offset, (size_t)size);
    else if (!buffer_fetch(c, b, (uint64_t)offset, data, (uint64_t)size))
        xg_gl_error(c, GL_OUT_OF_MEMORY);
}

void xg_stub_glGetBufferSubData(GLenum target, GLintptr offset, GLsizeiptr size, void *data)
{
    struct xg_gl_context *c = xg_gl_current;
    struct xg_gl_buffer *b = c ? xg_gl_buffer_bound(c, target) : NULL;
    if (b)
        get_sub_data(c, b, offset, size, data);
}

void xg_stub_glGetNamedBufferSubData(GLuint buffer, GLintptr offset, GLsizeiptr size, void *data)
{
    struct xg_gl_context *c = xg_gl_current;
    struct xg_gl_buffer *b = c ? xg_gl_buffer_named(c, buffer) : NULL;
    if (b)
        get_sub_data(c, b, offset, size, data);
}
