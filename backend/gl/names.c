/* The guest's names and the host's. */
#include "backend/gl/ledger.h"

#include <stdlib.h>

/* A page, charged to an account: the guest chooses its names, and so how many pages they need. */
static void *page_new(struct xg_glr_map *m, size_t size)
{
    void *page;

    if (m->ledger && !xg_glr_take(m->ledger, size))
        return NULL;
    page = calloc(1, size);
    if (!page && m->ledger)
        xg_glr_give(m->ledger, size);
    return page;
}

#define PAGES_MAX                                                                                  \
    8192u /* leaves of one table: 256 MiB at most, which takes names spread over the whole range   \
           */

static unsigned mid_index(uint32_t name)
{
    return name >> 12 & (XG_ARRAY_LEN(((struct xg_glr_mid *)0)->leaf) - 1);
}

static unsigned leaf_index(uint32_t name)
{
    return name & (XG_ARRAY_LEN(((struct xg_glr_leaf *)0)->value) - 1);
}

uint64_t xg_glr_map_get(const struct xg_glr_map *m, uint32_t name)
{
    struct xg_glr_mid *mid = atomic_load_explicit(&m->root[name >> 22], memory_order_acquire);
    struct xg_glr_leaf *leaf =
        mid ? atomic_load_explicit(&mid->leaf[mid_index(name)], memory_order_acquire) : NULL;
    return leaf ? atomic_load_explicit(&leaf->value[leaf_index(name)], memory_order_relaxed) : 0;
}

/* The stores pair with the loads of xg_glr_map_get: a thread that finds a page finds it cleared. */
bool xg_glr_map_set(struct xg_glr_map *m, uint32_t name, uint64_t value)
{
    struct xg_glr_mid *mid = atomic_load_explicit(&m->root[name >> 22], memory_order_relaxed);
    struct xg_glr_leaf *leaf;

    if (!mid && !value)
        return true;
    if (!mid) {
        mid = page_new(m, sizeof(*mid));
        if (!mid)
            return false;
        m->mids++;
        atomic_store_explicit(&m->root[name >> 22], mid, memory_order_release);
    }
    leaf = atomic_load_explicit(&mid->leaf[mid_index(name)], memory_order_relaxed);
    if (!leaf) {
        if (!value)
            return true;
        leaf = m->pages < PAGES_MAX ? page_new(m, sizeof(*leaf)) : NULL;
        if (!leaf)
            return false;
        m->pages++;
        atomic_store_explicit(&mid->leaf[mid_index(name)], leaf, memory_order_release);
    }
    atomic_store_explicit(&leaf->value[leaf_index(name)], value, memory_order_relaxed);
    return true;
}

void xg_glr_map_fini(struct xg_glr_map *m)
{
    for (unsigned i = 0; m->mids; i++) {
        struct xg_glr_mid *mid = atomic_load(&m->root[i]);
        if (!mid)
            continue;
        m->mids--;
        for (unsigned k = 0; k < XG_ARRAY_LEN(mid->leaf) && m->pages; k++) {
            struct xg_glr_leaf *leaf = atomic_load(&mid->leaf[k]);
            if (leaf)
                m->pages--;
            free(leaf);
        }
        free(mid);
        atomic_store(&m->root[i], NULL);
    }
}

void xg_glr_map_each(const struct xg_glr_map *m,
                     void (*visit)(void *data, uint32_t name, uint64_t value), void *data)
{
    for (uint32_t i = 0; i < XG_ARRAY_LEN(m->root); i++) {
        struct xg_glr_mid *mid = atomic_load_explicit(&m->root[i], memory_order_acquire);
        for (uint32_t k = 0; mid && k < XG_ARRAY_LEN(mid->leaf); k++) {
            struct xg_glr_leaf *leaf = atomic_load_explicit(&mid->leaf[k], memory_order_acquire);
            for (uint32_t n = 0; leaf && n < XG_ARRAY_LEN(leaf->value); n++) {
                uint64_t value = atomic_load_explicit(&leaf->value[n], memory_order_relaxed);
                if (value)
                    visit(data, i << 22 | k << 12 | n, value);
            }
        }
    }
}

struct xg_glr_names *xg_glr_names_of(struct xg_glr_context *c, enum xg_gl_space space)
{
    return space < XG_GL_SPACES_SHARED ? &c->share->names[space]
                                       : &c->names[space - XG_GL_SPACES_SHARED];
}

GLuint xg_glr_name(struct xg_glr_context *c, enum xg_gl_space space, GLuint name)
{
    uint64_t host;

    if (!name)
        return 0;
    host = xg_glr_map_get(&xg_glr_names_of(c, space)->host, name);
    return host ? (GLuint)host : XG_GLR_UNKNOWN;
}

enum xg_gl_space xg_glr_space_by(GLenum kind)
{
    switch (kind) {
    case GL_TEXTURE:
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
    case GL_TEXTURE_2D_MULTISAMPLE_ARRAY: return XG_GL_SPACE_TEXTURE;
    case GL_RENDERBUFFER: return XG_GL_SPACE_RENDERBUFFER;
    case GL_BUFFER: return XG_GL_SPACE_BUFFER;
    case GL_SHADER:
    case GL_PROGRAM: return XG_GL_SPACE_PROGRAM;
    case GL_VERTEX_ARRAY: return XG_GL_SPACE_VERTEX_ARRAY;
    case GL_QUERY: return XG_GL_SPACE_QUERY;
    case GL_PROGRAM_PIPELINE: return XG_GL_SPACE_PIPELINE;
    case GL_TRANSFORM_FEEDBACK: return XG_GL_SPACE_XFB;
    case GL_SAMPLER: return XG_GL_SPACE_SAMPLER;
    case GL_FRAMEBUFFER: return XG_GL_SPACE_FRAMEBUFFER;
    case GL_DISPLAY_LIST: return XG_GL_SPACE_LIST;
    default: return XG_GL_SPACES;
    }
}

GLuint xg_glr_name_by(struct xg_glr_context *c, GLenum kind, GLuint name)
{
    enum xg_gl_space space = xg_glr_space_by(kind);

    if (space == XG_GL_SPACE_LIST)
        return name; /* display lists have the same names */
    return space == XG_GL_SPACES ? XG_GLR_UNKNOWN : xg_glr_name(c, space, name);
}

GLuint xg_glr_name_back(struct xg_glr_context *c, enum xg_gl_space space, GLuint host)
{
    return host ? (GLuint)xg_glr_map_get(&xg_glr_names_of(c, space)->guest, host) : 0;
}

/* Under the lock. Records both directions or neither. */
static bool name_put(struct xg_glr_names *n, GLuint name, GLuint host)
{
    if (!xg_glr_map_set(&n->host, name, host))
        return false;
    if (xg_glr_map_set(&n->guest, host, name)) {
        n->count++;
        return true;
    }
    xg_glr_map_set(&n->host, name, 0);
    return false;
}

static void gen_host(enum xg_gl_space space, GLsizei n, GLuint *host)
{
    const struct xg_glr_procs *g = &xg_glr_procs;

    switch (space) {
    case XG_GL_SPACE_BUFFER: g->glGenBuffers(n, host); break;
    case XG_GL_SPACE_TEXTURE: g->glGenTextures(n, host); break;
    case XG_GL_SPACE_RENDERBUFFER: g->glGenRenderbuffers(n, host); break;
    case XG_GL_SPACE_SAMPLER: g->glGenSamplers(n, host); break;
    case XG_GL_SPACE_ARB_PROGRAM: g->glGenProgramsARB(n, host); break;
    case XG_GL_SPACE_FRAMEBUFFER: g->glGenFramebuffers(n, host); break;
    case XG_GL_SPACE_VERTEX_ARRAY: g->glGenVertexArrays(n, host); break;
    case XG_GL_SPACE_QUERY: g->glGenQueries(n, host); break;
    case XG_GL_SPACE_PIPELINE: g->glGenProgramPipelines(n, host); break;
    case XG_GL_SPACE_XFB: g->glGenTransformFeedbacks(n, host); break;
    default: break;
    }
}

static void create_host(enum xg_gl_space space, GLenum target, GLsizei n, GLuint *host)
{
    const struct xg_glr_procs *g = &xg_glr_procs;

    switch (space) {
    case XG_GL_SPACE_BUFFER: g->glCreateBuffers(n, host); break;
    case XG_GL_SPACE_TEXTURE: g->glCreateTextures(target, n, host); break;
    case XG_GL_SPACE_RENDERBUFFER: g->glCreateRenderbuffers(n, host); break;
    case XG_GL_SPACE_SAMPLER: g->glCreateSamplers(n, host); break;
    case XG_GL_SPACE_FRAMEBUFFER: g->glCreateFramebuffers(n, host); break;
    case XG_GL_SPACE_VERTEX_ARRAY: g->glCreateVertexArrays(n, host); break;
    case XG_GL_SPACE_QUERY: g->glCreateQueries(target, n, host); break;
    case XG_GL_SPACE_PIPELINE: g->glCreateProgramPipelines(n, host); break;
    case XG_GL_SPACE_XFB: g->glCreateTransformFeedbacks(n, host); break;
    default: break;
    }
}

static void delete_host(enum xg_gl_space space, GLuint host)
{
    const struct xg_glr_procs *g = &xg_glr_procs;

    switch (space) {
    case XG_GL_SPACE_BUFFER: g->glDeleteBuffers(1, &host); break;
    case XG_GL_SPACE_TEXTURE: g->glDeleteTextures(1, &host); break;
    case XG_GL_SPACE_RENDERBUFFER: g->glDeleteRenderbuffers(1, &host); break;
    case XG_GL_SPACE_SAMPLER: g->glDeleteSamplers(1, &host); break;
    case XG_GL_SPACE_ARB_PROGRAM: g->glDeleteProgramsARB(1, &host); break;
    case XG_GL_SPACE_FRAMEBUFFER: g->glDeleteFramebuffers(1, &host); break;
    case XG_GL_SPACE_VERTEX_ARRAY: g->glDeleteVertexArrays(1, &host); break;
    case XG_GL_SPACE_QUERY: g->glDeleteQueries(1, &host); break;
    case XG_GL_SPACE_PIPELINE: g->glDeleteProgramPipelines(1, &host); break;
    case XG_GL_SPACE_XFB: g->glDeleteTransformFeedbacks(1, &host); break;
    default: break;
    }
}

/* Makes an object: only its name (target MADE_BY_BIND), or the whole object. */
#define MADE_BY_BIND UINT32_MAX
static void make_host(enum xg_gl_space space, GLenum target, GLsizei n, GLuint *host)
{
    if (target == MADE_BY_BIND)
        gen_host(space, n, host);
    else
        create_host(space, target, n, host);
}

/* A host may give the name of a deleted object to the next one at once (Mesa 25 does), while
 * objects that still hold the old one answer with that name: the guest would take it for the new
 * object. Such a name is held back, and another one is used, until as many others have been held
 * back as there is room for. Under the lock. */
static void hold_back(struct xg_glr_names *t, enum xg_gl_space space, GLenum target, GLuint *host)
{
    while (*host && xg_glr_map_get(&t->guest, *host)) {
        GLuint *late = &t->late[t->late_next++ % XG_ARRAY_LEN(t->late)];
        if (*late) {
            xg_glr_map_set(&t->guest, *late, 0);
            delete_host(space, *late);
        }
        *late = *host;
        *host = 0;
        make_host(space, target, 1, host);
    }
}

/* XG_GLR_UNKNOWN: no memory on the host, or none to record the name. */
static GLuint name_make(struct xg_glr_context *c, enum xg_gl_space space, GLuint name)
{
    struct xg_glr_names *n = xg_glr_names_of(c, space);
    GLuint host, made = 0;

    gen_host(space, 1, &made);
    pthread_mutex_lock(&c->share->lock);
    hold_back(n, space, MADE_BY_BIND, &made);
    /* another context's thread may have made it just now */
    host = (GLuint)xg_glr_map_get(&n->host, name);
    if (!host && made && name_put(n, name, made)) {
        pthread_mutex_unlock(&c->share->lock);
        return made;
    }
    pthread_mutex_unlock(&c->share->lock);
    if (made)
        delete_host(space, made);
    xg_glr_give(xg_glr_ledger_of(c, space), xg_glr_name_cost(space));
    return host ? host : XG_GLR_UNKNOWN;
}

bool xg_glr_name_bind(struct xg_glr_context *c, enum xg_gl_space space, GLuint name, GLuint *host)
{
    struct xg_glr_ledger *l = xg_glr_ledger_of(c, space);

    *host = xg_glr_name(c, space, name);
    if (XG_LIKELY(*host != XG_GLR_UNKNOWN) || c->api == XG_GL_CORE)
        return true;
    if (!xg_glr_take_or_fail(c, l, xg_glr_name_cost(space)))
        return false;
    *host = name_make(c, space, name);
    if (*host == XG_GLR_UNKNOWN)
        xg_glr_error(c, GL_OUT_OF_MEMORY);
    return *host != XG_GLR_UNKNOWN;
}

const GLuint *xg_glr_names(struct xg_worker_ring *r, struct xg_reader *rd, enum xg_gl_space space,
                           const GLuint *names, uint32_t n)
{
    struct xg_glr_context *c = xg_glr_context_of(r);
    GLuint *host;

    if (!names || !xg_reader_ok(rd))
        return NULL;
    host = xg_scratch_alloc(&r->scratch, n ? n * sizeof(*host) : 1);
    if (!host) {
        xg_reader_fail(rd, "too many names");
        return NULL;
    }
    for (uint32_t i = 0; i < n; i++)
        host[i] = xg_glr_name(c, space, names[i]);
    return host;
}

/* --- making and deleting ---------------------------------------------------------------------- */

static bool space_ok(struct xg_worker_ring *r, GLenum space)
{
    if (space < XG_GL_SPACES && space != XG_GL_SPACE_PROGRAM && space != XG_GL_SPACE_SYNC &&
        space != XG_GL_SPACE_LIST)
        return true;
    xg_worker_fail(r, "names of an unknown kind");
    return false;
}

static void names_keep(struct xg_worker_ring *r, enum xg_gl_space space, GLenum target, GLsizei n,
                       const GLuint *names, GLuint *host)
{
    struct xg_glr_context *c = xg_glr_context_of(r);
    struct xg_glr_names *t = xg_glr_names_of(c, space);
    uint64_t unused = 0;

    pthread_mutex_lock(&c->share->lock);
    for (GLsizei i = 0; i < n; i++) {
        hold_back(t, space, target, &host[i]);
        /* the name is in use: another context has bound it first (or the guest is attacking) */
        bool taken = !names[i] || !host[i] || xg_glr_map_get(&t->host, names[i]);
        if (taken || !name_put(t, names[i], host[i])) {
            if (!taken)
                xg_glr_error(c, GL_OUT_OF_MEMORY);
            if (host[i])
                delete_host(space, host[i]);
            unused++;
        }
    }
    pthread_mutex_unlock(&c->share->lock);
    xg_glr_give(xg_glr_ledger_of(c, space), unused * xg_glr_name_cost(space));
}

/* Charges the names' cost, before the host is asked. */
static GLuint *names_pay(struct xg_worker_ring *r, enum xg_gl_space space, GLsizei n)
{
    struct xg_glr_context *c = xg_glr_context_of(r);
    GLuint *host = n > 0 ? xg_scratch_alloc(&r->scratch, (size_t)n * sizeof(*host)) : NULL;

    if (!host || !space_ok(r, space) ||
        !xg_glr_take_or_fail(c, xg_glr_ledger_of(c, space), (uint64_t)n * xg_glr_name_cost(space)))
        return NULL;
    memset(host, 0, (size_t)n * sizeof(*host));
    return host;
}

void xg_glr_xgGen(struct xg_worker_ring *r, GLenum space, GLsizei n, const GLuint *names,
                  uint32_t n_names)
{
    GLuint *host = names_pay(r, space, n);

    if (!host)
        return;
    gen_host(space, n, host);
    names_keep(r, space, MADE_BY_BIND, n, names, host);
}

void xg_glr_xgCreate(struct xg_worker_ring *r, GLenum space, GLenum target, GLsizei n,
                     const GLuint *names, uint32_t n_names)
{
    GLuint *host = names_pay(r, space, n);

    if (!host)
        return;
    create_host(space, target, n, host);
    for (GLsizei i = 0; space == XG_GL_SPACE_VERTEX_ARRAY && i < n; i++)
        xg_glr_vertex_array_made(xg_glr_context_of(r), host[i]);
    names_keep(r, space, target, n, names, host);
}

static void keep_program(struct xg_worker_ring *r, GLuint name, GLuint host)
{
    struct xg_glr_context *c = xg_glr_context_of(r);
    struct xg_glr_names *t = xg_glr_names_of(c, XG_GL_SPACE_PROGRAM);
    GLuint zombie;
    bool kept;

    if (!host || !name) {
        xg_glr_give(&c->share->ledger, xg_glr_name_cost(XG_GL_SPACE_PROGRAM));
        return;
    }
    pthread_mutex_lock(&c->share->lock);
    /* the host gives a name again only when its object is freed: a guest's name that led to it is
     * out of date */
    zombie = (GLuint)xg_glr_map_get(&t->guest, host);
    if (zombie) {
        xg_glr_deleted_program_gone(c->share, host);
        xg_glr_map_set(&t->host, zombie, 0);
    }
    kept = name_put(t, name, host);
    pthread_mutex_unlock(&c->share->lock);
    if (!kept)
        xg_glr_error(c, GL_OUT_OF_MEMORY);
}

static bool pay_program(struct xg_glr_context *c)
{
    return xg_glr_take_or_fail(c, &c->share->ledger, xg_glr_name_cost(XG_GL_SPACE_PROGRAM));
}

void xg_glr_xgCreateShader(struct xg_worker_ring *r, GLenum type, GLuint name)
{
    if (pay_program(xg_glr_context_of(r)))
        keep_program(r, name, xg_glr_procs.glCreateShader(type));
}

void xg_glr_xgCreateProgram(struct xg_worker_ring *r, GLuint name)
{
    if (pay_program(xg_glr_context_of(r)))
        keep_program(r, name, xg_glr_procs.glCreateProgram());
}

/* A program or shader in use lives on, and so does its name. */
static void delete_program(struct xg_glr_context *c, GLuint name)
{
    struct xg_glr_names *t = xg_glr_names_of(c, XG_GL_SPACE_PROGRAM);
    GLuint host = (GLuint)xg_glr_map_get(&t->host, name);
    bool gone;

    if (!host) {
        xg_glr_error(c, GL_INVALID_VALUE);
        return;
    }
    if (xg_glr_procs.glIsShader(host))
        xg_glr_procs.glDeleteShader(host);
    else
        xg_glr_procs.glDeleteProgram(host);
    if (xg_glr_procs.glIsShader(host) || xg_glr_procs.glIsProgram(host)) {
        xg_glr_deleted_program(c, host);
        return;
    }
    pthread_mutex_lock(&c->share->lock);
    /* another thread may have been here, and the host may have given the name again */
    gone = xg_glr_map_get(&t->host, name) == host;
    if (gone) {
        xg_glr_deleted_program_gone(c->share, host);
        xg_glr_map_set(&t->host, name, 0);
        xg_glr_map_set(&t->guest, host, 0);
        c->share->programs_gone = true;
    }
    pthread_mutex_unlock(&c->share->lock);
}

/* A deleted shader may be freed with it. */
void xg_glr_glDetachShader(struct xg_worker_ring *r, GLuint program, GLuint shader)
{
    struct xg_glr_context *c = xg_glr_context_of(r);

    xg_glr_procs.glDetachShader(program, shader);
    pthread_mutex_lock(&c->share->lock);
    c->share->programs_gone = true;
    pthread_mutex_unlock(&c->share->lock);
}

void xg_glr_xgDelete(struct xg_worker_ring *r, GLenum space, GLsizei n, const GLuint *names,
                     uint32_t n_names)
{
    struct xg_glr_context *c = xg_glr_context_of(r);
    struct xg_glr_names *t;

    if (space == XG_GL_SPACE_PROGRAM) {
        for (GLsizei i = 0; i < n; i++)
            delete_program(c, names[i]);
        return;
    }
    if (!space_ok(r, space))
        return;
    t = xg_glr_names_of(c, space);
    for (GLsizei i = 0; i < n; i++) {
        GLuint host;

        /* the map from the host's name stays until the host gives the name again: objects held by
         * others live on, and are reported by their old names */
        pthread_mutex_lock(&c->share->lock);
        host = names[i] ? (GLuint)xg_glr_map_get(&t->host, names[i]) : 0;
        if (host) {
            xg_glr_map_set(&t->host, names[i], 0);
            t->count--;
        }
        pthread_mutex_unlock(&c->share->lock);
        if (!host)
            continue;
        if (space == XG_GL_SPACE_FRAMEBUFFER && host == c->draw_framebuffer)
            c->draw_framebuffer = 0;
        if (space == XG_GL_SPACE_FRAMEBUFFER && host == c->read_framebuffer)
            c->read_framebuffer = 0;
        xg_glr_deleted(c, space, host); /* before the host can give its name again */
        delete_host(space, host);
        if (space == XG_GL_SPACE_VERTEX_ARRAY)
            xg_glr_vertex_array_gone(c, host);
    }
    /* when a buffer is deleted, arrays of the current object may have no buffer any more */
    if (space == XG_GL_SPACE_BUFFER)
        c->dangling = (1ull << XG_ARRAYS) - 1;
}

/* --- fences ----------------------------------------------------------------------------------- */

GLsync xg_glr_sync(struct xg_glr_context *c, uint64_t name)
{
    return (GLsync)(uintptr_t)xg_glr_map_get(&c->share->names[XG_GL_SPACE_SYNC].host,
                                             (uint32_t)name);
}

void xg_glr_xgFenceSync(struct xg_worker_ring *r, GLenum condition, GLbitfield flags, GLuint name)
{
    struct xg_glr_context *c = xg_glr_context_of(r);
    struct xg_glr_map *m = &c->share->names[XG_GL_SPACE_SYNC].host;
    uint32_t cost = xg_glr_name_cost(XG_GL_SPACE_SYNC);
    GLsync sync, old;

    if (!xg_glr_take_or_fail(c, &c->share->ledger, cost))
        return;
    sync = xg_glr_procs.glFenceSync(condition, flags);
    pthread_mutex_lock(&c->share->lock);
    old = (GLsync)(uintptr_t)xg_glr_map_get(m, name);
    if (!xg_glr_map_set(m, name, (uintptr_t)sync) && sync) {
        old = sync;
        xg_glr_error(c, GL_OUT_OF_MEMORY);
    }
    pthread_mutex_unlock(&c->share->lock);
    if (old)
        xg_glr_procs.glDeleteSync(old);
    if (old || !sync)
        xg_glr_give(&c->share->ledger, cost);
}

void xg_glr_xgDeleteSync(struct xg_worker_ring *r, GLuint name)
{
    struct xg_glr_context *c = xg_glr_context_of(r);
    struct xg_glr_map *m = &c->share->names[XG_GL_SPACE_SYNC].host;
    GLsync sync;

    pthread_mutex_lock(&c->share->lock);
    sync = (GLsync)(uintptr_t)xg_glr_map_get(m, name);
    xg_glr_map_set(m, name, 0);
    pthread_mutex_unlock(&c->share->lock);
    if (!sync)
        return;
    xg_glr_procs.glDeleteSync(sync);
    xg_glr_give(&c->share->ledger, xg_glr_name_cost(XG_GL_SPACE_SYNC));
}
