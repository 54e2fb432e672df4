/* Bindings that the guest must know, and other commands that need a little state here: attributes,
 * synchronisation, glBegin and glEnd, feedback. */
#include "interposer/gl/state.h"

#include "gl/send.h"
#include "gl/stubs.h"

/* Whether a name may be bound. In the core profile, and in GLES for objects that come from ARB
 * extensions, only names that were generated may. */
static bool name_claim(struct xg_gl_context *c, enum xg_gl_space space, GLuint name)
{
    struct xg_gl_names *t = xg_gl_names_of(c, space);
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

void xg_stub_glBindTexture(GLenum target, GLuint texture)
{
    struct xg_gl_context *c = xg_gl_current;
    if (!c)
        return;
    xg_gl_acquire(c);
    if (name_claim(c, XG_GL_SPACE_TEXTURE, texture))
        xg_gl_send_glBindTexture(c, target, texture);
}

void xg_stub_glBindTextureUnit(GLuint unit, GLuint texture)
{
    struct xg_gl_context *c = xg_gl_current;
    if (!c)
        return;
    xg_gl_acquire(c);
    xg_gl_send_glBindTextureUnit(c, unit, texture);
}

void xg_stub_glActiveTexture(GLenum texture)
{
    struct xg_gl_context *c = xg_gl_current;
    if (!c)
        return;
    xg_gl_send_glActiveTexture(c, texture);
}

void xg_stub_glBindFramebuffer(GLenum target, GLuint framebuffer)
{
    struct xg_gl_context *c = xg_gl_current;
    struct xg_gl_state *s;

    if (!c)
        return;
    xg_gl_acquire(c);
    if (!name_claim(c, XG_GL_SPACE_FRAMEBUFFER, framebuffer))
        return;
    s = c->state;
    if (xg_gl_begun(c))
        target = 0; /* the host refused it */
    if (target == GL_FRAMEBUFFER || target == GL_DRAW_FRAMEBUFFER)
        s->draw_framebuffer = framebuffer;
    if (target == GL_FRAMEBUFFER || target == GL_READ_FRAMEBUFFER)
        s->read_framebuffer = framebuffer;
    xg_gl_send_glBindFramebuffer(c, target, framebuffer);
}

void xg_stub_glBindRenderbuffer(GLenum target, GLuint renderbuffer)
{
    struct xg_gl_context *c = xg_gl_current;
    if (!c)
        return;
    xg_gl_acquire(c);
    if (!name_claim(c, XG_GL_SPACE_RENDERBUFFER, renderbuffer))
        return;
    if (target == GL_RENDERBUFFER && !xg_gl_begun(c))
        c->state->renderbuffer = renderbuffer;
    xg_gl_send_glBindRenderbuffer(c, target, renderbuffer);
}

void xg_stub_glBindProgramPipeline(GLuint pipeline)
{
    struct xg_gl_context *c = xg_gl_current;
    if (!c)
        return;
    xg_gl_acquire(c);
    xg_gl_send_glBindProgramPipeline(c, pipeline);
}

void xg_gl_list_unbalanced(struct xg_gl_context *c)
{
    c->state->list_begun = 0;
    atomic_fetch_or(&c->share->ever, XG_LIST_BEGIN);
}

void xg_stub_glBegin(GLenum mode)
{
    struct xg_gl_context *c = xg_gl_current;
    if (!c)
        return;
    if (!c->state->begun) /* between glBegin and glEnd the host cannot be asked */
        c->state->restart_element = xg_gl_restart_plain(c) ? (int64_t)xg_gl_restart_index(c) : -1;
    if (mode <= GL_PATCHES && c->api == XG_GL_COMPAT && !xg_gl_compiling(c))
        c->state->begun = XG_BEGUN_MAYBE;
    if (c->state->list_mode)
        c->state->list_begun++;
    xg_gl_send_glBegin(c, mode);
}

void xg_stub_glEnd(void)
{
    struct xg_gl_context *c = xg_gl_current;
    if (!c)
        return;
    if (!xg_gl_compiling(c))
        c->state->begun = XG_BEGUN_NO;
    if (c->state->list_mode && !c->state->list_begun--)
        xg_gl_list_unbalanced(c);
    xg_gl_send_glEnd(c);
}

void xg_stub_glPrimitiveRestartIndex(GLuint index)
{
    struct xg_gl_context *c = xg_gl_current;
    if (!c)
        return;
    if (c->api == XG_GL_COMPAT || c->api == XG_GL_CORE) {
        atomic_fetch_or(&c->share->ever, XG_RESTART_INDEX);
        c->state->restart_index = index;
        c->state->restart_index_unknown = !xg_gl_settled(c);
    }
    xg_gl_send_glPrimitiveRestartIndex(c, index);
}

void xg_stub_glPrimitiveRestartIndexNV(GLuint index)
{
    xg_stub_glPrimitiveRestartIndex(index);
}

void xg_stub_glBeginTransformFeedback(GLenum primitiveMode)
{
    struct xg_gl_context *c = xg_gl_current;
    if (!c)
        return;
    c->state->xfb_active = true;
    xg_gl_send_glBeginTransformFeedback(c, primitiveMode);
}

void xg_stub_glEndTransformFeedback(void)
{
    struct xg_gl_context *c = xg_gl_current;
    if (!c)
        return;
    c->state->xfb_active = false;
    xg_gl_send_glEndTransformFeedback(c);
}

/* --- attribute stacks ------------------------------------------------------------------------- */

/* After a glBegin that a list compiles and executes, it is not known whether a push or pop is
 * refused. So open pushes are forgotten, and a pop makes all state unknown. */
static bool unsure_bracket(const struct xg_gl_context *c)
{
    return c->state->list_mode == GL_COMPILE_AND_EXECUTE && c->state->begun;
}

void xg_stub_glPushAttrib(GLbitfield mask)
{
    struct xg_gl_context *c = xg_gl_current;
    struct xg_gl_state *s;

    if (!c)
        return;
    s = c->state;
    if (!s->attrib && c->api == XG_GL_COMPAT)
        s->attrib = calloc(XG_ATTRIB_STACK, sizeof(*s->attrib));
    if (unsure_bracket(c)) {
        s->attrib_depth = 0;
    } else if (s->attrib && !xg_gl_compiling(c) && !xg_gl_begun(c) &&
               s->attrib_depth < s->max_attrib_depth) {
        if (s->attrib_depth < XG_ATTRIB_STACK)
            s->attrib[s->attrib_depth] = s->shadow;
        s->attrib_depth++;
    }
    xg_gl_send_glPushAttrib(c, mask);
}

/* Only the host knows which state a pop restores. State that is the same now as at the push does
 * not change either way; the rest must be asked for again. */
static void shadow_agree(struct xg_gl_shadow *now, const struct xg_gl_shadow *was)
{
    for (unsigned i = 0; i < XG_SHADOW_MAX; i++)
        if (memcmp(&now->value[i], &was->value[i], sizeof(now->value[i])) != 0)
            now->valid[i / 64] &= ~(1ull << (i % 64));
    for (unsigned i = 0; i < 2; i++) {
        now->valid[i] &= was->valid[i];
        now->cap_valid[i] &= was->cap_valid[i] & ~(now->cap[i] ^ was->cap[i]);
    }
}

void xg_stub_glPopAttrib(void)
{
    struct xg_gl_context *c = xg_gl_current;
    struct xg_gl_state *s;

    if (!c)
        return;
    s = c->state;
    if (unsure_bracket(c)) {
        s->attrib_depth = 0;
        xg_gl_shadow_invalidate(c);
    } else if (!xg_gl_compiling(c) && !xg_gl_begun(c)) {
        if (s->attrib_depth && --s->attrib_depth < XG_ATTRIB_STACK)
            shadow_agree(&s->shadow, &s->attrib[s->attrib_depth]);
        else
            xg_gl_shadow_invalidate(c);
    }
    xg_gl_send_glPopAttrib(c);
}

/* Both sides keep the client attributes: this one what it remembers of them, the host their
 * values. */
void xg_stub_glPushClientAttrib(GLbitfield mask)
{
    struct xg_gl_context *c = xg_gl_current;
    struct xg_gl_state *s;
    struct xg_gl_client_attrib *a;

    if (!c)
        return;
    s = c->state;
    if (c->api != XG_GL_COMPAT || xg_gl_begun(c)) {
        xg_gl_error(c, GL_INVALID_OPERATION);
        return;
    }
    if (!s->client_stack)
        s->client_stack = calloc(XG_CLIENT_STACK, sizeof(*s->client_stack));
    if (!s->client_stack || s->client_depth >= s->max_client_depth) {
        xg_gl_error(c, s->client_stack ? GL_STACK_OVERFLOW : GL_OUT_OF_MEMORY);
        return;
    }
    a = &s->client_stack[s->client_depth++];
    a->mask = mask;
    a->pack = s->pack;
    a->unpack = s->unpack;
    a->pack_buffer = s->pack_buffer;
    a->unpack_buffer = s->unpack_buffer;
    a->array_buffer = s->array_buffer;
    a->client_texture = s->client_texture;
    a->vertex_array = s->vertex_array;
    if (mask & GL_CLIENT_VERTEX_ARRAY_BIT)
        a->vao = *s->vao;
    xg_gl_send_glPushClientAttrib(c, mask);
}

/* What a binding is after a pop: the same as at the push, unless that buffer was deleted in
 * between. */
static uint32_t brought_back(struct xg_gl_context *c, uint32_t was, uint32_t now, GLenum target,
                             GLenum pname)
{
    GLint v[1024];

    if (!was || xg_gl_names_has(&c->share->names[XG_GL_SPACE_BUFFER], was))
        return was;
    v[0] = (GLint)now;
    xg_gl_send_glGetIntegerv(c, pname, v);
    if (v[0] && !xg_gl_names_has(&c->share->names[XG_GL_SPACE_BUFFER], (uint32_t)v[0]))
        xg_gl_buffer_found(c, target, (uint32_t)v[0]);
    return (uint32_t)v[0];
}

/* Whether the host keeps the current vertex array object although the pop should restore another.
 * GL says that the binding is restored, but NVIDIA's driver does not do so. */
static bool array_stays(struct xg_gl_context *c, uint32_t was)
{
    GLint v[1024];

    if (was == c->state->vertex_array)
        return false;
    v[0] = (GLint)was;
    xg_gl_send_glGetIntegerv(c, GL_VERTEX_ARRAY_BINDING, v);
    return (uint32_t)v[0] == c->state->vertex_array;
}

/* The host keeps the current object, but nevertheless restores the contents of the object that was
 * current at the push. */
static void pop_elsewhere(struct xg_gl_context *c, const struct xg_gl_client_attrib *a,
                          struct xg_gl_vao *left)
{
    uint32_t element = a->vao.element_buffer;
    GLint bound[1024] = {(GLint)c->state->array_buffer};

    if (left) {
        *left = a->vao;
        if (element && !xg_gl_names_has(&c->share->names[XG_GL_SPACE_BUFFER], element))
            left->element_buffer = 0;
    }
    xg_gl_send_glGetIntegerv(c, GL_ARRAY_BUFFER_BINDING, bound);
    c->state->array_buffer = (uint32_t)bound[0];
    c->state->client_texture = a->client_texture;
}

static void pop_arrays(struct xg_gl_context *c, const struct xg_gl_client_attrib *a)
{
    struct xg_gl_state *s = c->state;
    struct xg_gl_vao *v = &s->default_vao;
    uint32_t element;

    xg_gl_restart_forget(c);
    if (a->vertex_array)
        v = xg_gl_names_get(xg_gl_names_of(c, XG_GL_SPACE_VERTEX_ARRAY), a->vertex_array);
    if (array_stays(c, a->vertex_array)) {
        pop_elsewhere(c, a, v);
        return;
    }
    if (!v)
        return; /* the object is deleted, with all that it held */
    element = v->element_buffer;
    s->vao = v;
    s->vertex_array = a->vertex_array;
    /* GL does not say what is restored if the buffer for arrays is deleted; in Mesa the arrays of
     * an object stay as they are */
    if (!a->vertex_array || !a->array_buffer ||
        xg_gl_names_has(&c->share->names[XG_GL_SPACE_BUFFER], a->array_buffer))
        *v = a->vao;
    v->element_buffer = brought_back(c, a->vao.element_buffer, element, GL_ELEMENT_ARRAY_BUFFER,
                                     GL_ELEMENT_ARRAY_BUFFER_BINDING);
    s->array_buffer =
        brought_back(c, a->array_buffer, s->array_buffer, GL_ARRAY_BUFFER, GL_ARRAY_BUFFER_BINDING);
    s->client_texture = a->client_texture;
}

void xg_stub_glPopClientAttrib(void)
{
    struct xg_gl_context *c = xg_gl_current;
    const struct xg_gl_client_attrib *a;

    if (!c)
        return;
    if (c->api != XG_GL_COMPAT || xg_gl_begun(c)) {
        xg_gl_error(c, GL_INVALID_OPERATION);
        return;
    }
    if (!c->state->client_depth) {
        xg_gl_error(c, GL_STACK_UNDERFLOW);
        return;
    }
    xg_gl_send_glPopClientAttrib(c);
    a = &c->state->client_stack[--c->state->client_depth];
    if (a->mask & GL_CLIENT_PIXEL_STORE_BIT) {
        c->state->pack = a->pack;
        c->state->unpack = a->unpack;
        c->state->pack_buffer = a->pack_buffer;
        c->state->unpack_buffer = a->unpack_buffer;
    }
    if (a->mask & GL_CLIENT_VERTEX_ARRAY_BIT)
        pop_arrays(c, a);
}

/* --- questions about arrays ------------------------------------------------------------------- */

static bool attrib_known(struct xg_gl_context *c, GLuint index, GLenum pname, GLint *v)
{
    const struct xg_gl_array *a;

    if (!c || index >= XG_GENERIC_MAX || index >= c->state->max_attribs || xg_gl_begun(c) ||
        c->state->vao != &c->state->default_vao || c->api == XG_GL_CORE)
        return false;
    if (c->state->vao->split >> index & 1 && pname == GL_VERTEX_ATTRIB_ARRAY_BUFFER_BINDING)
        return false;
    a = &c->state->vao->array[index];
    switch (pname) {
    case GL_VERTEX_ATTRIB_ARRAY_ENABLED: *v = c->state->vao->enabled >> index & 1; return true;
    case GL_VERTEX_ATTRIB_ARRAY_SIZE: *v = a->size; return true;
    case GL_VERTEX_ATTRIB_ARRAY_STRIDE: *v = a->stride; return true;
    case GL_VERTEX_ATTRIB_ARRAY_TYPE: *v = (GLint)a->type; return true;
    case GL_VERTEX_ATTRIB_ARRAY_NORMALIZED: *v = a->normalized; return true;
    case GL_VERTEX_ATTRIB_ARRAY_BUFFER_BINDING: *v = (GLint)a->buffer; return true;
    case GL_VERTEX_ATTRIB_ARRAY_INTEGER: *v = a->integer == 1; return true;
    case GL_VERTEX_ATTRIB_ARRAY_DIVISOR:
        if (c->state->vao->split >> index & 1)
            return false;
        *v = (GLint)xg_gl_divisor(c, index);
        return true;
    default: return false;
    }
}

#define ATTRIB(Suffix, Type)                                                                       \
    void xg_stub_glGetVertexAttrib##Suffix(GLuint index, GLenum pname, Type *params)               \
    {                                                                                              \
        struct xg_gl_context *c = xg_gl_current;                                                   \
        GLint v;                                                                                   \
        if (attrib_known(c, index, pname, &v))                                                     \
            *params = (Type)v;                                                                     \
        else if (c)                                                                                \
            xg_gl_send_glGetVertexAttrib##Suffix(c, index, pname, params);                         \
    }
ATTRIB(fv, GLfloat)
ATTRIB(iv, GLint)
ATTRIB(dv, GLdouble)
ATTRIB(Iiv, GLint)
ATTRIB(Iuiv, GLuint)

void xg_stub_glGetVertexAttribPointerv(GLuint index, GLenum pname, void **pointer)
{
    struct xg_gl_context *c = xg_gl_current;
    if (!c || !pointer || xg_gl_inside(c))
        return;
    if (pname != GL_VERTEX_ATTRIB_ARRAY_POINTER)
        xg_gl_error(c, GL_INVALID_ENUM);
    else if (index >= XG_GENERIC_MAX)
        xg_gl_error(c, GL_INVALID_VALUE);
    else
        *pointer = (void *)(uintptr_t)c->state->vao->array[index].pointer;
}

void xg_stub_glGetPointerv(GLenum pname, void **params)
{
    struct xg_gl_context *c = xg_gl_current;
    const struct xg_gl_array *a;

    if (!c || !params || xg_gl_inside(c))
        return;
    a = c->state->vao->array;
    switch (pname) {
    case GL_VERTEX_ARRAY_POINTER: *params = (void *)(uintptr_t)a[XG_ARRAY_VERTEX].pointer; break;
    case GL_NORMAL_ARRAY_POINTER: *params = (void *)(uintptr_t)a[XG_ARRAY_NORMAL].pointer; break;
    case GL_COLOR_ARRAY_POINTER: *params = (void *)(uintptr_t)a[XG_ARRAY_COLOR].pointer; break;
    case GL_SECONDARY_COLOR_ARRAY_POINTER:
        *params = (void *)(uintptr_t)a[XG_ARRAY_SECONDARY].pointer;
        break;
    case GL_FOG_COORD_ARRAY_POINTER: *params = (void *)(uintptr_t)a[XG_ARRAY_FOG].pointer; break;
    case GL_INDEX_ARRAY_POINTER: *params = (void *)(uintptr_t)a[XG_ARRAY_INDEX].pointer; break;
    case GL_EDGE_FLAG_ARRAY_POINTER: *params = (void *)(uintptr_t)a[XG_ARRAY_EDGE].pointer; break;
    case GL_POINT_SIZE_ARRAY_POINTER_OES:
        *params = (void *)(uintptr_t)a[XG_ARRAY_POINT_SIZE].pointer;
        break;
    case GL_TEXTURE_COORD_ARRAY_POINTER:
        *params = (void *)(uintptr_t)a[XG_ARRAY_TEX + c->state->client_texture].pointer;
        break;
    case GL_FEEDBACK_BUFFER_POINTER: *params = c->state->feedback; break;
    case GL_SELECTION_BUFFER_POINTER: *params = c->state->select; break;
    case GL_DEBUG_CALLBACK_FUNCTION: *(GLDEBUGPROC *)params = c->state->debug_callback; break;
    case GL_DEBUG_CALLBACK_USER_PARAM: *params = (void *)(uintptr_t)c->state->debug_user; break;
    default: xg_gl_error(c, GL_INVALID_ENUM);
    }
}

/* The callback is kept for queries only; messages are read with glGetDebugMessageLog. */
void xg_stub_glDebugMessageCallback(GLDEBUGPROC callback, const void *userParam)
{
    struct xg_gl_context *c = xg_gl_current;
    if (!c)
        return;
    c->state->debug_callback = callback;
    c->state->debug_user = userParam;
}

/* --- fences ----------------------------------------------------------------------------------- */

GLsync xg_stub_glFenceSync(GLenum condition, GLbitfield flags)
{
    struct xg_gl_context *c = xg_gl_current;
    struct xg_gl_names *t;
    uint32_t name;

    if (!c || xg_gl_inside(c))
        return NULL;
    if (condition != GL_SYNC_GPU_COMMANDS_COMPLETE || flags) {
        xg_gl_error(c, flags ? GL_INVALID_VALUE : GL_INVALID_ENUM);
        return NULL;
    }
    t = xg_gl_names_of(c, XG_GL_SPACE_SYNC);
    pthread_mutex_lock(&c->share->lock);
    name = xg_gl_names_mint(t, 1);
    pthread_mutex_unlock(&c->share->lock);
    if (!name) {
        xg_gl_error(c, GL_OUT_OF_MEMORY);
        return NULL;
    }
    xg_gl_persistent_flush(c);
    xg_gl_send_xgFenceSync(c, condition, flags, name);
    xg_gl_release(c);
    return (GLsync)(uintptr_t)name;
}

void xg_stub_glDeleteSync(GLsync sync)
{
    struct xg_gl_context *c = xg_gl_current;
    struct xg_gl_names *t;
    uint32_t name = (uint32_t)(uintptr_t)sync;
    bool known;

    if (!c || !sync)
        return;
    t = xg_gl_names_of(c, XG_GL_SPACE_SYNC);
    pthread_mutex_lock(&c->share->lock);
    known = xg_gl_names_has(t, name);
    xg_gl_names_remove(t, name);
    pthread_mutex_unlock(&c->share->lock);
    if (!known) {
        xg_gl_error(c, GL_INVALID_VALUE);
        return;
    }
    xg_gl_acquire(c);
    xg_gl_send_xgDeleteSync(c, name);
}

void xg_stub_glWaitSync(GLsync sync, GLbitfield flags, GLuint64 timeout)
{
    struct xg_gl_context *c = xg_gl_current;
    if (!c)
        return;
    xg_gl_acquire(c);
    xg_gl_send_glWaitSync(c, sync, flags, timeout);
}

GLenum xg_stub_glClientWaitSync(GLsync sync, GLbitfield flags, GLuint64 timeout)
{
    struct xg_gl_context *c = xg_gl_current;
    GLenum result;

    if (!c)
        return GL_WAIT_FAILED;
    xg_gl_acquire(c);
    xg_gl_persistent_flush(c);
    result = xg_gl_send_glClientWaitSync(c, sync, flags, timeout);
    if (result == GL_ALREADY_SIGNALED || result == GL_CONDITION_SATISFIED)
        xg_gl_persistent_fetch(c);
    return result ? result : GL_WAIT_FAILED;
}

void xg_stub_glGetSynciv(GLsync sync, GLenum pname, GLsizei count, GLsizei *length, GLint *values)
{
    struct xg_gl_context *c = xg_gl_current;

    if (!c)
        return;
    xg_gl_acquire(c);
    xg_gl_persistent_flush(c);
    xg_gl_send_glGetSynciv(c, sync, pname, count, length, values);
    if (pname == GL_SYNC_STATUS && count > 0 && values && *values == GL_SIGNALED)
        xg_gl_persistent_fetch(c);
}

/* A query's result tells how far the GPU has come. With a query buffer bound, `params` is an offset
 * in it, and the application has not learnt anything yet. */
#define QUERY_OBJECT(Suffix, Type)                                                                 \
    void xg_stub_glGetQueryObject##Suffix(GLuint id, GLenum pname, Type *params)                   \
    {                                                                                              \
        struct xg_gl_context *c = xg_gl_current;                                                   \
                                                                                                   \
        if (!c)                                                                                    \
            return;                                                                                \
        xg_gl_send_glGetQueryObject##Suffix(c, id, pname, params);                                 \
        if (c->share->persistent && !c->state->query_buffer && params &&                           \
            (pname == GL_QUERY_RESULT || (pname == GL_QUERY_RESULT_AVAILABLE && *params)))         \
            xg_gl_persistent_fetch(c);                                                             \
    }
QUERY_OBJECT(iv, GLint)
QUERY_OBJECT(uiv, GLuint)
QUERY_OBJECT(i64v, GLint64)
QUERY_OBJECT(ui64v, GLuint64)

/* --- feedback and selection ------------------------------------------------------------------- */

void xg_stub_glFeedbackBuffer(GLsizei size, GLenum type, GLfloat *buffer)
{
    struct xg_gl_context *c = xg_gl_current;

    if (!c)
        return;
    if (size < 0 || c->state->render_mode == GL_FEEDBACK) {
        xg_gl_error(c, size < 0 ? GL_INVALID_VALUE : GL_INVALID_OPERATION);
        return;
    }
    c->state->feedback = buffer;
    c->state->feedback_size = size;
    xg_gl_send_xgFeedbackBuffer(c, type, size);
}

void xg_stub_glSelectBuffer(GLsizei size, GLuint *buffer)
{
    struct xg_gl_context *c = xg_gl_current;

    if (!c)
        return;
    if (size < 0 || c->state->render_mode == GL_SELECT) {
        xg_gl_error(c, size < 0 ? GL_INVALID_VALUE : GL_INVALID_OPERATION);
        return;
    }
    c->state->select = buffer;
    c->state->select_size = size;
    xg_gl_send_xgSelectBuffer(c, size);
}

/* How many of `room` bytes the host has written: after an overflow all of them. Each hit is a
 * number of names, two depths, and the names. */
static uint64_t bytes_written(GLenum mode, const uint32_t *memory, uint64_t room, GLint result)
{
    uint64_t at = mode == GL_FEEDBACK ? (uint64_t)(uint32_t)result : 0;

    if (result < 0)
        return room;
    for (GLint i = 0; mode == GL_SELECT && i < result && at < room / 4; i++)
        at += 3 + (uint64_t)memory[at];
    return xg_min_u64(4 * at, room);
}

GLint xg_stub_glRenderMode(GLenum mode)
{
    struct xg_gl_context *c = xg_gl_current;
    struct xg_gl_state *s;
    void *to, *memory = NULL;
    uint32_t where = 0;
    uint64_t room;
    GLint result;

    if (!c)
        return 0;
    s = c->state;
    to = s->render_mode == GL_FEEDBACK ? (void *)s->feedback
         : s->render_mode == GL_SELECT ? (void *)s->select
                                       : NULL;
    room = 4 * (uint64_t)(s->render_mode == GL_FEEDBACK ? s->feedback_size
                          : s->render_mode == GL_SELECT ? s->select_size
                                                        : 0);
    if (to && room && !(memory = xg_arena_alloc(c->ring->channel, room, XG_BLOB_ALIGN, &where))) {
        xg_gl_error(c, GL_OUT_OF_MEMORY);
        return 0;
    }
    result = xg_gl_send_xgRenderMode(c, mode, (uint32_t)room, where);
    if (memory) {
        memcpy(to, memory, bytes_written(s->render_mode, memory, room, result));
        xg_arena_free(c->ring->channel, memory);
    }
    if (c->api == XG_GL_COMPAT && !xg_gl_begun(c) &&
        (mode == GL_RENDER || mode == GL_FEEDBACK || mode == GL_SELECT))
        s->render_mode = mode;
    return result;
}

/* --- debug texts: a negative length means that the text ends in NUL --------------------------- */

static GLsizei text_length(GLsizei length, const GLchar *text)
{
    return length >= 0 || !text ? length : (GLsizei)strlen(text);
}

void xg_stub_glPushDebugGroup(GLenum source, GLuint id, GLsizei length, const GLchar *message)
{
    struct xg_gl_context *c = xg_gl_current;
    if (c)
        xg_gl_send_glPushDebugGroup(c, source, id, text_length(length, message), message);
}

void xg_stub_glDebugMessageInsert(GLenum source, GLenum type, GLuint id, GLenum severity,
                                  GLsizei length, const GLchar *buf)
{
    struct xg_gl_context *c = xg_gl_current;
    if (c)
        xg_gl_send_glDebugMessageInsert(c, source, type, id, severity, text_length(length, buf),
                                        buf);
}

void xg_stub_glObjectLabel(GLenum identifier, GLuint name, GLsizei length, const GLchar *label)
{
    struct xg_gl_context *c = xg_gl_current;
    if (c)
        xg_gl_send_glObjectLabel(c, identifier, name, label ? text_length(length, label) : 0,
                                 label);
}

void xg_stub_glBindProgramARB(GLenum target, GLuint program)
{
    struct xg_gl_context *c = xg_gl_current;
    if (!c)
        return;
    xg_gl_acquire(c);
    if (name_claim(c, XG_GL_SPACE_ARB_PROGRAM, program))
        xg_gl_send_glBindProgramARB(c, target, program);
}
