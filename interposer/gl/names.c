/* Object names are chosen here, so that creating an object needs no answer; the worker keeps the
 * host's names for them. */
#include "interposer/gl/state.h"

#include "gl/send.h"
#include "gl/stubs.h"

#define TOMB UINT32_MAX

/* A deleted name is given out again only after this many others, like in drivers: vertex arrays,
 * framebuffers and other contexts may still refer to the old object. It is given out again at some
 * time, so that tables do not grow without end. */
#define NAMES_ROUND 65536

static uint32_t name_hash(uint32_t name)
{
    return name * 0x9e3779b1u >> 7;
}

static struct xg_gl_slot *slot_find(const struct xg_gl_names *n, uint32_t name)
{
    if (!n->size || !name || name == TOMB)
        return NULL;
    for (uint32_t i = name_hash(name);; i++) {
        struct xg_gl_slot *s = &n->slot[i & (n->size - 1)];
        if (s->name == name)
            return s;
        if (!s->name)
            return NULL;
    }
}

bool xg_gl_names_has(const struct xg_gl_names *n, uint32_t name)
{
    return slot_find(n, name) != NULL;
}

void *xg_gl_names_get(const struct xg_gl_names *n, uint32_t name)
{
    struct xg_gl_slot *s = slot_find(n, name);
    return s ? s->object : NULL;
}

static void slot_insert(struct xg_gl_names *n, uint32_t name, void *object)
{
    uint32_t i = name_hash(name);
    while (n->slot[i & (n->size - 1)].name)
        i++;
    n->slot[i & (n->size - 1)] = (struct xg_gl_slot){name, object};
    n->used++;
}

static bool table_grow(struct xg_gl_names *n)
{
    struct xg_gl_names old = *n;
    uint32_t live = 0;

    for (uint32_t i = 0; i < old.size; i++)
        live += old.slot[i].name && old.slot[i].name != TOMB;
    n->size = 64;
    while (n->size < live * 4)
        n->size *= 2;
    n->slot = calloc(n->size, sizeof(*n->slot));
    if (!n->slot) {
        *n = old;
        return false;
    }
    n->used = 0;
    for (uint32_t i = 0; i < old.size; i++)
        if (old.slot[i].name && old.slot[i].name != TOMB)
            slot_insert(n, old.slot[i].name, old.slot[i].object);
    free(old.slot);
    return true;
}

bool xg_gl_names_put(struct xg_gl_names *n, uint32_t name, void *object)
{
    struct xg_gl_slot *s = slot_find(n, name);

    if (s) {
        s->object = object;
        return true;
    }
    if (!name || name == TOMB)
        return false;
    if (n->used * 2 >= n->size && !table_grow(n))
        return false;
    slot_insert(n, name, object);
    return true;
}

void *xg_gl_names_remove(struct xg_gl_names *n, uint32_t name)
{
    struct xg_gl_slot *s = slot_find(n, name);
    void *object = NULL;

    if (s) {
        object = s->object;
        s->name = TOMB;
        s->object = NULL;
    }
    return object;
}

uint32_t xg_gl_names_mint(struct xg_gl_names *n, uint32_t count)
{
    bool over = n->next > NAMES_ROUND && n->next / 4 > n->used;
    uint32_t first = n->next && !over ? n->next : 1, run = 0;

    for (uint32_t name = first; run < count; name++) {
        if (name == TOMB)
            return 0;
        run = slot_find(n, name) ? 0 : run + 1;
        first = name + 1 - run;
    }
    for (uint32_t i = 0; i < count; i++)
        if (!xg_gl_names_put(n, first + i, NULL))
            return 0;
    n->next = first + count;
    return first;
}

void xg_gl_names_fini(struct xg_gl_names *n, void (*destroy)(void *object))
{
    for (uint32_t i = 0; destroy && i < n->size; i++)
        if (n->slot[i].object)
            destroy(n->slot[i].object);
    free(n->slot);
    memset(n, 0, sizeof(*n));
}

struct xg_gl_names *xg_gl_names_of(struct xg_gl_context *c, enum xg_gl_space space)
{
    return space < XG_GL_SPACES_SHARED ? &c->share->names[space]
                                       : &c->state->names[space - XG_GL_SPACES_SHARED];
}

/* --- glGen*, glCreate*, glDelete* ------------------------------------------------------------- */

/* The names need not be consecutive: only those of display lists must be. */
static bool names_mint(struct xg_gl_context *c, enum xg_gl_space space, GLsizei n, GLuint *names)
{
    struct xg_gl_names *t = xg_gl_names_of(c, space);
    bool ok = true;

    if (xg_gl_inside(c))
        return false;
    if (n < 0) {
        xg_gl_error(c, GL_INVALID_VALUE);
        return false;
    }
    if (!n || !names)
        return false;
    pthread_mutex_lock(&c->share->lock);
    for (GLsizei i = 0; i < n && ok; i++)
        ok = (names[i] = xg_gl_names_mint(t, 1)) != 0;
    pthread_mutex_unlock(&c->share->lock);
    if (!ok)
        xg_gl_error(c, GL_OUT_OF_MEMORY);
    return ok;
}

/* A frame carries this many names at most. */
#define NAMES_BATCH 1000

static void names_gen(enum xg_gl_space space, GLsizei n, GLuint *names)
{
    struct xg_gl_context *c = xg_gl_current;

    if (!c || !names_mint(c, space, n, names))
        return;
    for (GLsizei i = 0; i < n; i += NAMES_BATCH)
        xg_gl_send_xgGen(c, space, n - i < NAMES_BATCH ? n - i : NAMES_BATCH, names + i);
}

static bool names_create(enum xg_gl_space space, GLenum target, GLsizei n, GLuint *names)
{
    struct xg_gl_context *c = xg_gl_current;

    if (!c || !names_mint(c, space, n, names))
        return false;
    for (GLsizei i = 0; i < n; i += NAMES_BATCH)
        xg_gl_send_xgCreate(c, space, target, n - i < NAMES_BATCH ? n - i : NAMES_BATCH, names + i);
    return true;
}

static void name_unbind(struct xg_gl_context *c, enum xg_gl_space space, GLuint name)
{
    struct xg_gl_state *s = c->state;

    switch (space) {
    case XG_GL_SPACE_BUFFER:
        xg_gl_buffer_forget(c, name);
        xg_gl_arrays_buffer_deleted(c, name);
        break;
    case XG_GL_SPACE_FRAMEBUFFER:
        if (s->draw_framebuffer == name)
            s->draw_framebuffer = 0;
        if (s->read_framebuffer == name)
            s->read_framebuffer = 0;
        break;
    case XG_GL_SPACE_RENDERBUFFER:
        if (s->renderbuffer == name)
            s->renderbuffer = 0;
        break;
    case XG_GL_SPACE_VERTEX_ARRAY:
        if (s->vertex_array == name) {
            s->vertex_array = 0;
            s->vao = &s->default_vao;
        }
        break;
    default: break;
    }
}

static void delete (enum xg_gl_space space, GLsizei n, const GLuint *names)
{
    struct xg_gl_context *c = xg_gl_current;
    struct xg_gl_names *t;

    if (!c)
        return;
    if (n < 0 || xg_gl_begun(c)) {
        xg_gl_error(c, xg_gl_begun(c) ? GL_INVALID_OPERATION : GL_INVALID_VALUE);
        return;
    }
    if (!n || !names)
        return;
    t = xg_gl_names_of(c, space);
    for (GLsizei i = 0; i < n; i++) {
        void *object;
        if (!names[i] || !xg_gl_names_has(t, names[i]))
            continue; /* an object that is bound stays, although its name is deleted */
        name_unbind(c, space, names[i]);
        pthread_mutex_lock(&c->share->lock);
        object = xg_gl_names_remove(t, names[i]);
        pthread_mutex_unlock(&c->share->lock);
        if (space == XG_GL_SPACE_BUFFER)
            xg_gl_buffer_bury(c, object, names[i]);
        else if (object && space == XG_GL_SPACE_VERTEX_ARRAY)
            free(object);
    }
    for (GLsizei i = 0; i < n; i += NAMES_BATCH)
        xg_gl_send_xgDelete(c, space, n - i < NAMES_BATCH ? n - i : NAMES_BATCH, names + i);
}

#define FAMILY(Name, SPACE)                                                                        \
    void xg_stub_glGen##Name(GLsizei n, GLuint *names)                                             \
    {                                                                                              \
        names_gen(XG_GL_SPACE_##SPACE, n, names);                                                  \
    }                                                                                              \
    void xg_stub_glDelete##Name(GLsizei n, const GLuint *names)                                    \
    {                                                                                              \
        delete (XG_GL_SPACE_##SPACE, n, names);                                                    \
    }

#define CREATE(Name, SPACE)                                                                        \
    void xg_stub_glCreate##Name(GLsizei n, GLuint *names)                                          \
    {                                                                                              \
        names_create(XG_GL_SPACE_##SPACE, 0, n, names);                                            \
    }

FAMILY(Textures, TEXTURE)
FAMILY(Buffers, BUFFER)
FAMILY(Framebuffers, FRAMEBUFFER)
FAMILY(Renderbuffers, RENDERBUFFER)
FAMILY(VertexArrays, VERTEX_ARRAY)
FAMILY(Queries, QUERY)
FAMILY(Samplers, SAMPLER)
FAMILY(ProgramPipelines, PIPELINE)
FAMILY(TransformFeedbacks, XFB)
FAMILY(ProgramsARB, ARB_PROGRAM)
CREATE(Buffers, BUFFER)
CREATE(Framebuffers, FRAMEBUFFER)
CREATE(Renderbuffers, RENDERBUFFER)
CREATE(Samplers, SAMPLER)
CREATE(ProgramPipelines, PIPELINE)
CREATE(TransformFeedbacks, XFB)

void xg_stub_glCreateVertexArrays(GLsizei n, GLuint *arrays)
{
    struct xg_gl_context *c = xg_gl_current;

    if (!names_create(XG_GL_SPACE_VERTEX_ARRAY, 0, n, arrays))
        return;
    for (GLsizei i = 0; i < n; i++)
        xg_gl_vao_new(c, arrays[i]);
}

static bool texture_target(GLenum target)
{
    switch (target) {
    case GL_TEXTURE_1D:
    case GL_TEXTURE_2D:
    case GL_TEXTURE_3D:
    case GL_TEXTURE_1D_ARRAY:
    case GL_TEXTURE_2D_ARRAY:
    case GL_TEXTURE_RECTANGLE:
    case GL_TEXTURE_CUBE_MAP:
    case GL_TEXTURE_CUBE_MAP_ARRAY:
    case GL_TEXTURE_BUFFER:
    case GL_TEXTURE_2D_MULTISAMPLE:
    case GL_TEXTURE_2D_MULTISAMPLE_ARRAY: return true;
    default: return false;
    }
}

static bool query_target(GLenum target)
{
    switch (target) {
    case GL_SAMPLES_PASSED:
    case GL_ANY_SAMPLES_PASSED:
    case GL_ANY_SAMPLES_PASSED_CONSERVATIVE:
    case GL_TIME_ELAPSED:
    case GL_TIMESTAMP:
    case GL_PRIMITIVES_GENERATED:
    case GL_TRANSFORM_FEEDBACK_PRIMITIVES_WRITTEN:
    case GL_TRANSFORM_FEEDBACK_OVERFLOW:
    case GL_TRANSFORM_FEEDBACK_STREAM_OVERFLOW:
    case GL_VERTICES_SUBMITTED:
    case GL_PRIMITIVES_SUBMITTED:
    case GL_VERTEX_SHADER_INVOCATIONS:
    case GL_TESS_CONTROL_SHADER_PATCHES:
    case GL_TESS_EVALUATION_SHADER_INVOCATIONS:
    case GL_GEOMETRY_SHADER_INVOCATIONS:
    case GL_GEOMETRY_SHADER_PRIMITIVES_EMITTED:
    case GL_FRAGMENT_SHADER_INVOCATIONS:
    case GL_COMPUTE_SHADER_INVOCATIONS:
    case GL_CLIPPING_INPUT_PRIMITIVES:
    case GL_CLIPPING_OUTPUT_PRIMITIVES: return true;
    default: return false;
    }
}

void xg_stub_glCreateTextures(GLenum target, GLsizei n, GLuint *textures)
{
    if (texture_target(target))
        names_create(XG_GL_SPACE_TEXTURE, target, n, textures);
    else if (xg_gl_current && !xg_gl_inside(xg_gl_current))
        xg_gl_error(xg_gl_current, GL_INVALID_ENUM);
}

void xg_stub_glCreateQueries(GLenum target, GLsizei n, GLuint *ids)
{
    if (query_target(target))
        names_create(XG_GL_SPACE_QUERY, target, n, ids);
    else if (xg_gl_current && !xg_gl_inside(xg_gl_current))
        xg_gl_error(xg_gl_current, GL_INVALID_ENUM);
}

/* --- shaders and programs: one name space ----------------------------------------------------- */

static GLuint program_name(struct xg_gl_context *c)
{
    GLuint name = 0;
    return names_mint(c, XG_GL_SPACE_PROGRAM, 1, &name) ? name : 0;
}

GLuint xg_stub_glCreateShader(GLenum type)
{
    struct xg_gl_context *c = xg_gl_current;
    GLuint name;

    if (!c)
        return 0;
    switch (type) {
    case GL_VERTEX_SHADER:
    case GL_FRAGMENT_SHADER:
    case GL_GEOMETRY_SHADER:
    case GL_TESS_CONTROL_SHADER:
    case GL_TESS_EVALUATION_SHADER:
    case GL_COMPUTE_SHADER: break;
    default: xg_gl_error(c, GL_INVALID_ENUM); return 0;
    }
    name = program_name(c);
    if (name)
        xg_gl_send_xgCreateShader(c, type, name);
    return name;
}

GLuint xg_stub_glCreateProgram(void)
{
    struct xg_gl_context *c = xg_gl_current;
    GLuint name = c ? program_name(c) : 0;

    if (name)
        xg_gl_send_xgCreateProgram(c, name);
    return name;
}

/* A program or shader that is in use keeps its name, so the name is not given out again here: only
 * the worker knows when the object is freed. */
static void delete_program(GLuint name)
{
    struct xg_gl_context *c = xg_gl_current;

    if (!c || !name)
        return;
    xg_gl_program_deleted(c, name);
    xg_gl_send_xgDelete(c, XG_GL_SPACE_PROGRAM, 1, &name);
}

void xg_stub_glDeleteShader(GLuint shader)
{
    delete_program(shader);
}

void xg_stub_glDeleteProgram(GLuint program)
{
    delete_program(program);
}

/* --- display lists ---------------------------------------------------------------------------- */

GLuint xg_stub_glGenLists(GLsizei range)
{
    struct xg_gl_context *c = xg_gl_current;
    GLuint first;

    if (!c)
        return 0;
    if (range < 0 || c->api != XG_GL_COMPAT || xg_gl_begun(c)) {
        xg_gl_error(c, c->api != XG_GL_COMPAT || xg_gl_begun(c) ? GL_INVALID_OPERATION
                                                                : GL_INVALID_VALUE);
        return 0;
    }
    if (!range)
        return 0;
    pthread_mutex_lock(&c->share->lock);
    first = xg_gl_names_mint(&c->share->names[XG_GL_SPACE_LIST], (uint32_t)range);
    pthread_mutex_unlock(&c->share->lock);
    if (first)
        xg_gl_send_xgGenLists(c, first, range);
    return first;
}

void xg_stub_glDeleteLists(GLuint list, GLsizei range)
{
    struct xg_gl_context *c = xg_gl_current;

    if (!c)
        return;
    if (range < 0) {
        xg_gl_error(c, GL_INVALID_VALUE);
        return;
    }
    pthread_mutex_lock(&c->share->lock);
    for (GLsizei i = 0; i < range; i++)
        xg_gl_names_remove(&c->share->names[XG_GL_SPACE_LIST], list + (GLuint)i);
    pthread_mutex_unlock(&c->share->lock);
    xg_gl_send_glDeleteLists(c, list, range);
}

void xg_stub_glNewList(GLuint list, GLenum mode)
{
    struct xg_gl_context *c = xg_gl_current;

    if (!c)
        return;
    xg_gl_acquire(c);
    if (list && c->api == XG_GL_COMPAT && !c->state->list_mode && !xg_gl_begun(c) &&
        (mode == GL_COMPILE || mode == GL_COMPILE_AND_EXECUTE)) {
        pthread_mutex_lock(&c->share->lock);
        xg_gl_names_put(&c->share->names[XG_GL_SPACE_LIST], list, NULL);
        pthread_mutex_unlock(&c->share->lock);
        c->state->list_mode = mode;
        c->state->list_begun = 0;
    }
    xg_gl_send_glNewList(c, list, mode);
}

void xg_stub_glEndList(void)
{
    struct xg_gl_context *c = xg_gl_current;

    if (!c)
        return;
    if (!xg_gl_begun(c)) { /* otherwise the host refuses it */
        if (c->state->list_mode && c->state->list_begun)
            xg_gl_list_unbalanced(c);
        c->state->list_mode = 0;
    }
    xg_gl_send_glEndList(c);
}

void xg_stub_glCallList(GLuint list)
{
    struct xg_gl_context *c = xg_gl_current;

    if (!c)
        return;
    xg_gl_acquire(c);
    xg_gl_send_glCallList(c, list);
    if (!xg_gl_compiling(c))
        xg_gl_list_ran(c);
}

void xg_stub_glCallLists(GLsizei n, GLenum type, const void *lists)
{
    struct xg_gl_context *c = xg_gl_current;

    if (!c)
        return;
    if (n < 0) {
        xg_gl_error(c, GL_INVALID_VALUE);
        return;
    }
    if (!xg_gl_list_size(type)) {
        xg_gl_error(c, GL_INVALID_ENUM);
        return;
    }
    xg_gl_acquire(c);
    xg_gl_send_glCallLists(c, n, type, lists);
    if (!xg_gl_compiling(c))
        xg_gl_list_ran(c);
}
