/* Binding, buffers' contents, queries, and other small parts of replay. */
#include "backend/gl/ledger.h"

#include <stdlib.h>

/* --- buffers' contents, by name, whatever is bound; or, for a buffer that another context has
 * deleted, by a target where it is still bound */

struct borrowed {
    GLenum target;
    GLuint host, old; /* the buffer that is bound there for us, and the one that was bound before */
};

/* Binds the buffer to a target that no GL command reads by itself, and whose old binding can be
 * restored: a deleted buffer that is still bound has no name by which it could be bound again. */
static void binding_borrow(struct xg_glr_context *c, GLuint host, struct borrowed *b)
{
    static const struct {
        GLenum target, binding;
    } places[] = {
        {GL_COPY_WRITE_BUFFER, GL_COPY_WRITE_BUFFER_BINDING},
        {GL_COPY_READ_BUFFER, GL_COPY_READ_BUFFER_BINDING},
        {GL_ARRAY_BUFFER, GL_ARRAY_BUFFER_BINDING},
    };

    for (unsigned i = c->es_old ? 2 : 0; i < XG_ARRAY_LEN(places); i++) {
        GLint old = 0;
        xg_glr_procs.glGetIntegerv(places[i].binding, &old);
        *b = (struct borrowed){places[i].target, host, (GLuint)old};
        if (!old || (GLuint)old == host || xg_glr_procs.glIsBuffer((GLuint)old))
            break;
    }
    if (b->old != host)
        xg_glr_procs.glBindBuffer(b->target, host);
}

static void give_back(const struct borrowed *b)
{
    if (b->old != b->host)
        xg_glr_procs.glBindBuffer(b->target, b->old);
}

/* False: there is no such buffer. */
static bool buffer_reach(struct xg_glr_context *c, GLenum target, GLuint host, struct borrowed *b)
{
    *b = (struct borrowed){.target = target};
    if (target)
        return true;
    if (!host || host == XG_GLR_UNKNOWN)
        return false;
    binding_borrow(c, host, b);
    return true;
}

void xg_glr_xgBufferWrite(struct xg_worker_ring *r, GLenum target, GLuint buffer, GLint64 offset,
                          GLuint size, const void *data, uint32_t n_data)
{
    struct xg_glr_context *c = xg_glr_context_of(r);
    struct borrowed b;
    GLuint host = 0;

    if (!target && !xg_glr_name_bind(c, XG_GL_SPACE_BUFFER, buffer, &host))
        return;
    if (!buffer_reach(c, target, host, &b)) {
        xg_glr_error(c, GL_INVALID_OPERATION);
        return;
    }
    xg_glr_procs.glBufferSubData(b.target, (GLintptr)offset, size, data);
    give_back(&b);
}

GLint xg_glr_xgBufferRead(struct xg_worker_ring *r, GLenum target, GLuint buffer, GLint64 offset,
                          GLuint64 size, GLuint where)
{
    struct xg_glr_context *c = xg_glr_context_of(r);
    struct xg_reader rd;
    struct borrowed b;
    GLint64 have = 0;
    GLint result = 0;
    void *to, *from;

    xg_reader_init(&rd, NULL, 0, r->arena, r->arena_size);
    to = xg_arena_at(&rd, where, size);
    if (!to || offset < 0 ||
        !buffer_reach(c, target, xg_glr_name(c, XG_GL_SPACE_BUFFER, buffer), &b))
        return 0;
    target = b.target;
    if (c->es) {
        GLint small = 0;
        xg_glr_procs.glGetBufferParameteriv(target, GL_BUFFER_SIZE, &small);
        have = small;
    } else {
        xg_glr_procs.glGetBufferParameteri64v(target, GL_BUFFER_SIZE, &have);
    }
    if (offset <= have && size <= (uint64_t)(have - offset)) {
        if (!c->es) {
            xg_glr_procs.glGetBufferSubData(target, (GLintptr)offset, (GLsizeiptr)size, to);
            result = 1;
        } else if (!size) {
            result = 1;
        } else if ((from = xg_glr_procs.glMapBufferRange(target, (GLintptr)offset, (GLsizeiptr)size,
                                                         GL_MAP_READ_BIT))) {
            memcpy(to, from, size);
            xg_glr_procs.glUnmapBuffer(target);
            result = 1;
        }
    }
    give_back(&b);
    return result;
}

/* Maps are the guest's own memory. On the host the buffer is an ordinary one: the guest's writes go
 * to it, and xgBufferRead reads it, in GL ES by mapping it. */
static GLbitfield storage_flags(struct xg_worker_ring *r, GLbitfield flags)
{
    return (flags & ~(GLbitfield)(GL_MAP_PERSISTENT_BIT | GL_MAP_COHERENT_BIT)) |
           GL_DYNAMIC_STORAGE_BIT | (xg_glr_context_of(r)->es ? GL_MAP_READ_BIT : 0);
}

void xg_glr_glBufferStorage(struct xg_worker_ring *r, GLenum target, GLsizeiptr size,
                            const void *data, GLbitfield flags, uint32_t n_data)
{
    xg_glr_procs.glBufferStorage(target, size, data, storage_flags(r, flags));
}

void xg_glr_glNamedBufferStorage(struct xg_worker_ring *r, GLuint buffer, GLsizeiptr size,
                                 const void *data, GLbitfield flags, uint32_t n_data)
{
    xg_glr_procs.glNamedBufferStorage(buffer, size, data, storage_flags(r, flags));
}

/* --- strings ---------------------------------------------------------------------------------- */

const GLchar **xg_glr_strings(struct xg_worker_ring *r, struct xg_reader *rd, int32_t count)
{
    uint32_t size;
    const char *blob = xg_read_blob_private(rd, &r->scratch, 0, false, &size),
               *end = blob ? blob + size : NULL;
    const GLchar **list;

    if (!xg_reader_ok(rd))
        return NULL;
    if (count < 0 || (uint32_t)count > size ||
        !(list = xg_scratch_alloc(&r->scratch, (size_t)count * sizeof(*list) + 1))) {
        /* the host refuses a negative count, and then reads no string */
        if (count >= 0)
            xg_reader_fail(rd, "fewer strings than said");
        return NULL;
    }
    for (int32_t i = 0; i < count; i++) {
        const char *stop = memchr(blob, '\0', (size_t)(end - blob));
        if (!stop) {
            xg_reader_fail(rd, "string without end");
            return NULL;
        }
        list[i] = blob;
        blob = stop + 1;
    }
    return list;
}

/* --- brackets, flushes, waits ----------------------------------------------------------------- */

bool xg_glr_begun_slow(struct xg_glr_context *c)
{
    GLint v = -1;

    xg_glr_procs.glGetIntegerv(GL_MAX_TEXTURE_SIZE, &v);
    c->in_begin = v == -1;
    return c->in_begin;
}

/* The guest believes that it is inside; lists may have a glBegin or glEnd that is not known
 * here. */
GLint xg_glr_xgBegun(struct xg_worker_ring *r)
{
    return xg_glr_begun_slow(xg_glr_context_of(r));
}

void xg_glr_glBegin(struct xg_worker_ring *r, GLenum mode)
{
    struct xg_glr_context *c = xg_glr_context_of(r);
    c->in_begin = mode <= GL_PATCHES && c->api == XG_GL_COMPAT;
    xg_glr_procs.glBegin(mode);
}

void xg_glr_glEnd(struct xg_worker_ring *r)
{
    xg_glr_procs.glEnd();
    xg_glr_context_of(r)->in_begin = false;
}

/* Objects that are pushed live on, although their names are deleted: see deleted.c. */
void xg_glr_glPushAttrib(struct xg_worker_ring *r, GLbitfield mask)
{
    xg_glr_context_of(r)->pushed = true;
    xg_glr_procs.glPushAttrib(mask);
}

void xg_glr_glFlush(struct xg_worker_ring *r)
{
    xg_glr_procs.glFlush();
    xg_glr_context_of(r)->work.flushed = true;
}

void xg_glr_glFinish(struct xg_worker_ring *r)
{
    xg_glr_procs.glFinish();
    xg_glr_context_of(r)->work.commands = 0;
    if (!xg_glr_begun(xg_glr_context_of(r)))
        xg_glr_errors_collect(r);
}

#define SLICE 2000000u /* ns */

/* Only this ring waits, and it holds the device only as long as its guest has work there. */
GLenum xg_glr_glClientWaitSync(struct xg_worker_ring *r, GLsync sync, GLbitfield flags,
                               GLuint64 timeout)
{
    uint64_t end = xg_now_ns() + timeout;
    GLenum result = xg_glr_procs.glClientWaitSync(sync, flags, 0);

    if (end < timeout)
        end = UINT64_MAX;
    if (result == GL_TIMEOUT_EXPIRED && timeout)
        xg_glr_submitted(r);
    while (result == GL_TIMEOUT_EXPIRED && xg_now_ns() < end) {
        xg_device_pause(r);
        result = xg_glr_procs.glClientWaitSync(sync, GL_SYNC_FLUSH_COMMANDS_BIT,
                                               xg_min_u64(SLICE, timeout));
        xg_device_resume(r);
        if (result == GL_ALREADY_SIGNALED)
            result = GL_CONDITION_SATISFIED;
    }
    return result;
}

/* --- answers with names in them --------------------------------------------------------------- */

void xg_glr_glGetAttachedShaders(struct xg_worker_ring *r, GLuint program, GLsizei maxCount,
                                 GLsizei *count, GLuint *shaders)
{
    struct xg_glr_context *c = xg_glr_context_of(r);
    GLsizei n = 0;

    if (shaders)
        xg_glr_procs.glGetAttachedShaders(program, maxCount, &n, shaders);
    for (GLsizei i = 0; i < n; i++)
        shaders[i] = xg_glr_name_back(c, XG_GL_SPACE_PROGRAM, shaders[i]);
    if (count)
        *count = n;
}

/* --- feedback and selection: the host writes to memory of ours, which the guest gets when the mode
 * ends --- */

#define RESULT_MAX (16 << 20)

void xg_glr_result_free(struct xg_glr_context *c)
{
    free(c->feedback);
    free(c->select);
}

/* While the host writes to the memory, it cannot be replaced. */
static bool memory_in_use(struct xg_glr_context *c, GLint mode)
{
    GLint now = GL_RENDER;
    bool wrong = xg_glr_begun(c);

    if (!wrong) {
        xg_glr_procs.glGetIntegerv(GL_RENDER_MODE, &now);
        wrong = now == mode;
    }
    if (wrong)
        xg_glr_error(c, GL_INVALID_OPERATION);
    return wrong;
}

/* New memory of `size` bytes, charged in place of `old` bytes. */
static void *result_new(struct xg_glr_context *c, GLsizei size, uint32_t old)
{
    void *memory = NULL;
    uint64_t bytes = (uint64_t)size * 4;

    if (size < 0 || size > RESULT_MAX / 4) {
        xg_glr_error(c, size < 0 ? GL_INVALID_VALUE : GL_OUT_OF_MEMORY);
        return NULL;
    }
    if (!xg_glr_take_or_fail(c, &c->ledger, bytes))
        return NULL;
    memory = calloc((size_t)size + 1, 4);
    if (!memory)
        xg_glr_error(c, GL_OUT_OF_MEMORY);
    xg_glr_give(&c->ledger, memory ? old : bytes);
    return memory;
}

void xg_glr_xgFeedbackBuffer(struct xg_worker_ring *r, GLenum type, GLsizei size)
{
    struct xg_glr_context *c = xg_glr_context_of(r);
    if (memory_in_use(c, GL_FEEDBACK))
        return;
    void *memory = result_new(c, size, c->feedback_size);

    if (!memory)
        return;
    xg_glr_procs.glFeedbackBuffer(size, type, memory);
    free(c->feedback);
    c->feedback = memory;
    c->feedback_size = (uint32_t)size * 4;
}

void xg_glr_xgSelectBuffer(struct xg_worker_ring *r, GLsizei size)
{
    struct xg_glr_context *c = xg_glr_context_of(r);
    if (memory_in_use(c, GL_SELECT))
        return;
    void *memory = result_new(c, size, c->select_size);

    if (!memory)
        return;
    xg_glr_procs.glSelectBuffer(size, memory);
    free(c->select);
    c->select = memory;
    c->select_size = (uint32_t)size * 4;
}

GLint xg_glr_xgRenderMode(struct xg_worker_ring *r, GLenum mode, GLuint bytes, GLuint where)
{
    struct xg_glr_context *c = xg_glr_context_of(r);
    struct xg_reader rd;
    GLint was = GL_RENDER, result;
    uint32_t size;
    void *to;

    xg_glr_procs.glGetIntegerv(GL_RENDER_MODE, &was);
    result = xg_glr_procs.glRenderMode(mode);
    size = was == GL_FEEDBACK ? c->feedback_size : was == GL_SELECT ? c->select_size : 0;
    size = size < bytes ? size : bytes;
    if (!size)
        return result;
    xg_reader_init(&rd, NULL, 0, r->arena, r->arena_size);
    to = xg_arena_at(&rd, where, bytes);
    if (to)
        memcpy(to, was == GL_FEEDBACK ? c->feedback : c->select, size);
    return result;
}

GLuint xg_glr_xgGetProgramBinary(struct xg_worker_ring *r, GLuint program, GLuint where,
                                 GLuint space)
{
    struct xg_glr_context *c = xg_glr_context_of(r);
    struct xg_reader rd;
    GLsizei length = -1; /* not set if a program has no binary; some hosts set it to 0 */
    GLenum format = 0;
    void *own;
    uint8_t *to;

    xg_reader_init(&rd, NULL, 0, r->arena, r->arena_size);
    to = xg_arena_at(&rd, where, space);
    if (!to || space < 8 || !(own = malloc(space)))
        return 0;
    /* the binary is read into our memory, since the host may read back what it writes */
    xg_glr_procs.glGetProgramBinary(xg_glr_name(c, XG_GL_SPACE_PROGRAM, program),
                                    (GLsizei)(space - 8), &length, &format, own);
    memcpy(to, &format, sizeof(format));
    memcpy(to + sizeof(format), &length, sizeof(length));
    if (length > 0)
        memcpy(to + 8, own, xg_min_u64((uint64_t)length, space - 8));
    free(own);
    return length > 0 ? (GLuint)length : 0;
}
