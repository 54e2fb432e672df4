/* Mapping of buffer objects, and commands by which the GPU writes to them. The comment at the top
 * of buffers.c explains it. */
#include "interposer/gl/state.h"

#include "gl/send.h"
#include "gl/stubs.h"

/* Sends [lo, hi) of the map (offsets in it) to the host; the shadow gets the same. */
static void send_span(struct xg_gl_context *c, struct xg_gl_buffer *b, uint64_t lo, uint64_t hi)
{
    GLenum target = xg_gl_buffer_reached(c, b);

    while (lo < hi) {
        uint32_t n = (uint32_t)xg_min_u64(hi - lo, 1u << 20);
        if (b->shadow_valid && b->shadow)
            memcpy(b->shadow + b->map_offset + lo, b->map + lo, n);
        /* sent from the shadow, if there is one: another thread may be writing to the map */
        xg_gl_send_xgBufferWrite(c, target, b->name, (GLint64)(b->map_offset + lo), n,
                                 b->shadow_valid && b->shadow ? b->shadow + b->map_offset + lo
                                                              : b->map + lo);
        lo += n;
    }
}

#define GRAIN  256u
#define BRIDGE 16384u

/* Sends what differs between the map and the shadow. If the GPU may write to the buffer, exactly
 * the bytes that differ: the bytes between belong to the GPU. Otherwise the host has the bytes
 * between already, and sending up to 16 KiB of them costs less than another command (a driver
 * spends 2 us on each). */
static void send_changes(struct xg_gl_context *c, struct xg_gl_buffer *b)
{
    const uint8_t *old = b->shadow + b->map_offset;
    uint64_t lo = 0, hi = 0; /* found, but not sent yet */
    uint64_t bridge = b->gpu_writes ? 0 : BRIDGE;

    for (uint64_t at = 0, n; at < b->map_length; at += n) {
        uint64_t first = 0, last;
        n = xg_min_u64(GRAIN, b->map_length - at);
        if (memcmp(old + at, b->map + at, n) == 0)
            continue;
        while (old[at + first] == b->map[at + first])
            first++;
        for (last = n; old[at + last - 1] == b->map[at + last - 1] && last > first + 1; last--)
            ;
        if (lo == hi || at + first > hi + bridge) {
            send_span(c, b, lo, hi);
            lo = at + first;
        }
        hi = at + last;
    }
    send_span(c, b, lo, hi);
}

void xg_gl_persistent_slow(struct xg_gl_context *c)
{
    pthread_mutex_lock(&c->share->lock);
    struct xg_gl_buffer *b = c->share->persistent;
    pthread_mutex_unlock(&c->share->lock);
    for (; b; b = b->next_persistent)
        if ((b->map_access & GL_MAP_WRITE_BIT) && b->shadow_valid)
            send_changes(c, b);
}

void xg_gl_persistent_fetch(struct xg_gl_context *c)
{
    if (XG_LIKELY(c->share->persistent == NULL))
        return;
    xg_gl_persistent_slow(c); /* what the application wrote since must not be lost */
    /* Also maps that are only for writing: with drivers it is the same memory, and programs read
     * there. */
    for (struct xg_gl_buffer *b = c->share->persistent; b; b = b->next_persistent)
        if (b->gpu_writes)
            xg_gl_buffer_contents(c, b->name, b->map_offset, b->map_length);
}

/* GL_MIN_MAP_BUFFER_ALIGNMENT: a map's address minus its offset is a multiple of it. Real devices
 * say 64, which is the least that OpenGL allows. */
#define MAP_ALIGN 64u

static bool map_fill(struct xg_gl_context *c, struct xg_gl_buffer *b, GLbitfield access)
{
    const uint8_t *now;
    bool discard = access & (GL_MAP_INVALIDATE_RANGE_BIT | GL_MAP_INVALIDATE_BUFFER_BIT);

    if (discard && !(access & GL_MAP_READ_BIT) && !(access & GL_MAP_PERSISTENT_BIT))
        return true; /* the contents are not known: the whole range will be sent */
    now = xg_gl_buffer_contents(c, b->name, b->map_offset, b->map_length);
    if (!now)
        return false;
    memcpy(b->map, now, b->map_length);
    return true;
}

#define ACCESS_BITS                                                                                \
    (GL_MAP_READ_BIT | GL_MAP_WRITE_BIT | GL_MAP_INVALIDATE_RANGE_BIT |                            \
     GL_MAP_INVALIDATE_BUFFER_BIT | GL_MAP_FLUSH_EXPLICIT_BIT | GL_MAP_UNSYNCHRONIZED_BIT |        \
     GL_MAP_PERSISTENT_BIT | GL_MAP_COHERENT_BIT)

static void *buffer_map(struct xg_gl_context *c, struct xg_gl_buffer *b, int64_t offset,
                        int64_t length, GLbitfield access)
{
    GLbitfield rw = GL_MAP_READ_BIT | GL_MAP_WRITE_BIT;

    if (offset < 0 || length < 0 || (uint64_t)offset > b->size ||
        (uint64_t)length > b->size - (uint64_t)offset || (length && access & ~ACCESS_BITS)) {
        xg_gl_error(c, GL_INVALID_VALUE);
        return NULL;
    }
    if (b->map || !(access & rw) || !length ||
        ((access & GL_MAP_READ_BIT) &&
         (access & (GL_MAP_INVALIDATE_RANGE_BIT | GL_MAP_INVALIDATE_BUFFER_BIT |
                    GL_MAP_UNSYNCHRONIZED_BIT))) ||
        ((access & GL_MAP_FLUSH_EXPLICIT_BIT) && !(access & GL_MAP_WRITE_BIT)) ||
        (b->immutable &&
         (access & (rw | GL_MAP_PERSISTENT_BIT | GL_MAP_COHERENT_BIT) & ~b->storage_flags)) ||
        (!b->immutable && (access & (GL_MAP_PERSISTENT_BIT | GL_MAP_COHERENT_BIT)))) {
        xg_gl_error(c, GL_INVALID_OPERATION);
        return NULL;
    }
    uint64_t lead = (uint64_t)offset % MAP_ALIGN;
    b->map_memory = aligned_alloc(MAP_ALIGN, xg_align_up(lead + (uint64_t)length, MAP_ALIGN));
    b->map = b->map_memory ? (uint8_t *)b->map_memory + lead : NULL;
    b->map_offset = (uint64_t)offset;
    b->map_length = (uint64_t)length;
    b->map_access = access;
    if (!b->map || !map_fill(c, b, access)) {
        xg_gl_map_free(b);
        xg_gl_error(c, GL_OUT_OF_MEMORY);
        return NULL;
    }
    if (access & GL_MAP_PERSISTENT_BIT) {
        pthread_mutex_lock(&c->share->lock);
        b->persistent = true;
        b->next_persistent = c->share->persistent;
        c->share->persistent = b;
        pthread_mutex_unlock(&c->share->lock);
    }
    return b->map;
}

static GLboolean buffer_unmap(struct xg_gl_context *c, struct xg_gl_buffer *b)
{
    if (!b->map) {
        xg_gl_error(c, GL_INVALID_OPERATION);
        return GL_FALSE;
    }
    if ((b->map_access & GL_MAP_WRITE_BIT) && !(b->map_access & GL_MAP_FLUSH_EXPLICIT_BIT)) {
        bool discard = b->map_access & (GL_MAP_INVALIDATE_RANGE_BIT | GL_MAP_INVALIDATE_BUFFER_BIT);
        if (b->shadow_valid && !discard)
            send_changes(c, b);
        else
            send_span(c, b, 0, b->map_length);
    }
    if (b->persistent) {
        pthread_mutex_lock(&c->share->lock);
        for (struct xg_gl_buffer **p = &c->share->persistent; *p; p = &(*p)->next_persistent)
            if (*p == b) {
                *p = b->next_persistent;
                break;
            }
        b->persistent = false;
        pthread_mutex_unlock(&c->share->lock);
    }
    xg_gl_map_free(b);
    return GL_TRUE;
}

static GLbitfield old_access(struct xg_gl_context *c, GLenum access)
{
    switch (access) {
    case GL_READ_ONLY: return GL_MAP_READ_BIT;
    case GL_WRITE_ONLY: return GL_MAP_WRITE_BIT;
    case GL_READ_WRITE: return GL_MAP_READ_BIT | GL_MAP_WRITE_BIT;
    default: xg_gl_error(c, GL_INVALID_ENUM); return 0;
    }
}

void *xg_stub_glMapBuffer(GLenum target, GLenum access)
{
    struct xg_gl_context *c = xg_gl_current;
    GLbitfield bits = c ? old_access(c, access) : 0;
    struct xg_gl_buffer *b = bits ? xg_gl_buffer_bound(c, target) : NULL;
    return b ? buffer_map(c, b, 0, (int64_t)b->size, bits) : NULL;
}

void *xg_stub_glMapNamedBuffer(GLuint buffer, GLenum access)
{
    struct xg_gl_context *c = xg_gl_current;
    GLbitfield bits = c ? old_access(c, access) : 0;
    struct xg_gl_buffer *b = bits ? xg_gl_buffer_named(c, buffer) : NULL;
    return b ? buffer_map(c, b, 0, (int64_t)b->size, bits) : NULL;
}

void *xg_stub_glMapBufferRange(GLenum target, GLintptr offset, GLsizeiptr length, GLbitfield access)
{
    struct xg_gl_context *c = xg_gl_current;
    struct xg_gl_buffer *b = c ? xg_gl_buffer_bound(c, target) : NULL;
    return b ? buffer_map(c, b, offset, length, access) : NULL;
}

void *xg_stub_glMapNamedBufferRange(GLuint buffer, GLintptr offset, GLsizeiptr length,
                                    GLbitfield access)
{
    struct xg_gl_context *c = xg_gl_current;
    struct xg_gl_buffer *b = c ? xg_gl_buffer_named(c, buffer) : NULL;
    return b ? buffer_map(c, b, offset, length, access) : NULL;
}

GLboolean xg_stub_glUnmapBuffer(GLenum target)
{
    struct xg_gl_context *c = xg_gl_current;
    struct xg_gl_buffer *b = c ? xg_gl_buffer_bound(c, target) : NULL;
    return b ? buffer_unmap(c, b) : GL_FALSE;
}

GLboolean xg_stub_glUnmapNamedBuffer(GLuint buffer)
{
    struct xg_gl_context *c = xg_gl_current;
    struct xg_gl_buffer *b = c ? xg_gl_buffer_named(c, buffer) : NULL;
    return b ? buffer_unmap(c, b) : GL_FALSE;
}

static void flush_range(struct xg_gl_context *c, struct xg_gl_buffer *b, int64_t offset,
                        int64_t length)
{
    if (!b->map || !(b->map_access & GL_MAP_FLUSH_EXPLICIT_BIT)) {
        xg_gl_error(c, GL_INVALID_OPERATION);
        return;
    }
    if (offset < 0 || length < 0 || (uint64_t)offset > b->map_length ||
        (uint64_t)length > b->map_length - (uint64_t)offset) {
        xg_gl_error(c, GL_INVALID_VALUE);
        return;
    }
    send_span(c, b, (uint64_t)offset, (uint64_t)(offset + length));
}

void xg_stub_glFlushMappedBufferRange(GLenum target, GLintptr offset, GLsizeiptr length)
{
    struct xg_gl_context *c = xg_gl_current;
    struct xg_gl_buffer *b = c ? xg_gl_buffer_bound(c, target) : NULL;
    if (b)
        flush_range(c, b, offset, length);
}

void xg_stub_glFlushMappedNamedBufferRange(GLuint buffer, GLintptr offset, GLsizeiptr length)
{
    struct xg_gl_context *c = xg_gl_current;
    struct xg_gl_buffer *b = c ? xg_gl_buffer_named(c, buffer) : NULL;
    if (b)
        flush_range(c, b, offset, length);
}

/* --- queries: the host knows nothing about our maps ------------------------------------------- */

void xg_stub_glGetBufferPointerv(GLenum target, GLenum pname, void **params)
{
    struct xg_gl_context *c = xg_gl_current;
    struct xg_gl_buffer *b = c ? xg_gl_buffer_bound(c, target) : NULL;
    if (b && pname == GL_BUFFER_MAP_POINTER)
        *params = b->map;
    else if (b)
        xg_gl_error(c, GL_INVALID_ENUM);
}

void xg_stub_glGetNamedBufferPointerv(GLuint buffer, GLenum pname, void **params)
{
    struct xg_gl_context *c = xg_gl_current;
    struct xg_gl_buffer *b = c ? xg_gl_buffer_named(c, buffer) : NULL;
    if (b && pname == GL_BUFFER_MAP_POINTER)
        *params = b->map;
    else if (b)
        xg_gl_error(c, GL_INVALID_ENUM);
}

static int64_t buffer_parameter(struct xg_gl_context *c, const struct xg_gl_buffer *b, GLenum pname)
{
    switch (pname) {
    case GL_BUFFER_SIZE: return (int64_t)b->size;
    case GL_BUFFER_USAGE: return b->usage;
    case GL_BUFFER_MAPPED: return b->map != NULL;
    case GL_BUFFER_MAP_OFFSET: return b->map ? (int64_t)b->map_offset : 0;
    case GL_BUFFER_MAP_LENGTH: return b->map ? (int64_t)b->map_length : 0;
    case GL_BUFFER_ACCESS_FLAGS: return b->map ? b->map_access : 0;
    case GL_BUFFER_ACCESS:
        if (!b->map || (b->map_access & 3) == 3)
            return GL_READ_WRITE;
        return b->map_access & GL_MAP_READ_BIT ? GL_READ_ONLY : GL_WRITE_ONLY;
    case GL_BUFFER_IMMUTABLE_STORAGE: return b->immutable;
    case GL_BUFFER_STORAGE_FLAGS: return b->immutable ? b->storage_flags : 0;
    default: xg_gl_error(c, GL_INVALID_ENUM); return -1;
    }
}

#define PARAMETER(Name, find, First, Type)                                                         \
    void xg_stub_glGet##Name(First which, GLenum pname, Type *params)                              \
    {                                                                                              \
        struct xg_gl_context *c = xg_gl_current;                                                   \
        struct xg_gl_buffer *b = c ? find(c, which) : NULL;                                        \
        int64_t v = b ? buffer_parameter(c, b, pname) : -1;                                        \
        if (v >= 0)                                                                                \
            *params = (Type)v;                                                                     \
    }
PARAMETER(BufferParameteriv, xg_gl_buffer_bound, GLenum, GLint)
PARAMETER(BufferParameteri64v, xg_gl_buffer_bound, GLenum, GLint64)
PARAMETER(NamedBufferParameteriv, xg_gl_buffer_named, GLuint, GLint)
PARAMETER(NamedBufferParameteri64v, xg_gl_buffer_named, GLuint, GLint64)

/* --- copies and clears: done by the host ------------------------------------------------------ */

static void dirty_target(struct xg_gl_context *c, GLenum target)
{
    uint32_t *binding = xg_gl_buffer_binding(c, target);
    if (binding && *binding)
        xg_gl_buffer_dirty(c, *binding);
}

void xg_stub_glCopyBufferSubData(GLenum readTarget, GLenum writeTarget, GLintptr readOffset,
                                 GLintptr writeOffset, GLsizeiptr size)
{
    struct xg_gl_context *c = xg_gl_current;
    if (!c)
        return;
    xg_gl_persistent_flush(c);
    dirty_target(c, writeTarget);
    xg_gl_send_glCopyBufferSubData(c, readTarget, writeTarget, readOffset, writeOffset, size);
}

void xg_stub_glCopyNamedBufferSubData(GLuint readBuffer, GLuint writeBuffer, GLintptr readOffset,
                                      GLintptr writeOffset, GLsizeiptr size)
{
    struct xg_gl_context *c = xg_gl_current;
    if (!c)
        return;
    xg_gl_persistent_flush(c);
    xg_gl_buffer_dirty(c, writeBuffer);
    xg_gl_send_glCopyNamedBufferSubData(c, readBuffer, writeBuffer, readOffset, writeOffset, size);
}

void xg_stub_glClearBufferData(GLenum target, GLenum internalformat, GLenum format, GLenum type,
                               const void *data)
{
    struct xg_gl_context *c = xg_gl_current;
    if (!c)
        return;
    dirty_target(c, target);
    xg_gl_send_glClearBufferData(c, target, internalformat, format, type, data);
}

void xg_stub_glClearBufferSubData(GLenum target, GLenum internalformat, GLintptr offset,
                                  GLsizeiptr size, GLenum format, GLenum type, const void *data)
{
    struct xg_gl_context *c = xg_gl_current;
    if (!c)
        return;
    dirty_target(c, target);
    xg_gl_send_glClearBufferSubData(c, target, internalformat, offset, size, format, type, data);
}

void xg_stub_glClearNamedBufferData(GLuint buffer, GLenum internalformat, GLenum format,
                                    GLenum type, const void *data)
{
    struct xg_gl_context *c = xg_gl_current;
    if (!c)
        return;
    xg_gl_buffer_dirty(c, buffer);
    xg_gl_send_glClearNamedBufferData(c, buffer, internalformat, format, type, data);
}

void xg_stub_glClearNamedBufferSubData(GLuint buffer, GLenum internalformat, GLintptr offset,
                                       GLsizeiptr size, GLenum format, GLenum type,
                                       const void *data)
{
    struct xg_gl_context *c = xg_gl_current;
    if (!c)
        return;
    xg_gl_buffer_dirty(c, buffer);
    xg_gl_send_glClearNamedBufferSubData(c, buffer, internalformat, offset, size, format, type,
                                         data);
}
