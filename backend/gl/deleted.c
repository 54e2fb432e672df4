/*
 * Objects whose names are deleted, and that may live on. Binding and attaching, which programs do
 * most, are not recorded. To find out whether an object is in use, all bindings and attachments of
 * a context are searched, which is seldom done.
 */
#include "backend/gl/ledger.h"

#include <stdlib.h>

#define NAMELESS (1ull << 63) /* in share->contexts: stands for all contexts beyond 62 */
#define SHOWN    (1ull << 62) /* in dead.pending: a texture shows the buffer */

struct xg_glr_dead {
    struct xg_glr_dead *next;
    enum xg_gl_space space;
    GLuint host;
    uint64_t bytes;
    struct xg_glr_texture *texture;
    uint64_t pending; /* contexts that may still use it */
    uint64_t own;     /* the context that deleted it: there it is no longer bound */
};

/* A hash set of the host names that were found. `full`: there was no memory, so any name may be in
 * it. */
struct names {
    uint32_t *slot;
    uint32_t size, count;
    bool full;
};

static uint32_t *names_slot(const struct names *n, uint32_t name)
{
    uint32_t i = name * 2654435761u;

    while (n->slot[i &= n->size - 1] && n->slot[i] != name)
        i++;
    return &n->slot[i];
}

static void names_add(struct names *n, GLint found)
{
    struct names more;
    uint32_t name = (uint32_t)found;

    if (!name || n->full)
        return;
    if (n->count * 2 >= n->size) {
        more = (struct names){.size = n->size ? n->size * 2 : 256, .count = n->count};
        more.slot = calloc(more.size, sizeof(*more.slot));
        n->full = !more.slot;
        if (n->full)
            return;
        for (uint32_t i = 0; i < n->size; i++)
            if (n->slot[i])
                *names_slot(&more, n->slot[i]) = n->slot[i];
        free(n->slot);
        *n = more;
    }
    uint32_t *slot = names_slot(n, name);
    n->count += !*slot;
    *slot = name;
}

static bool names_have(const struct names *n, uint32_t name)
{
    return n->full || (n->size && *names_slot(n, name));
}

/* What a context uses, as found by the last search. */
struct xg_glr_holds {
    bool textures, buffers, bindings;           /* what was searched for */
    struct names texture, buffer, renderbuffer; /* attached to other objects */
    struct names bound_texture, bound_buffer, bound_renderbuffer;
};

static void holds_free(struct xg_glr_holds *h)
{
    if (!h)
        return;
    free(h->texture.slot);
    free(h->buffer.slot);
    free(h->renderbuffer.slot);
    free(h->bound_texture.slot);
    free(h->bound_buffer.slot);
    free(h->bound_renderbuffer.slot);
    free(h);
}

/* Whether the context may use it. Where it was deleted, it is no longer bound. */
static bool holds_dead(const struct xg_glr_context *c, const struct xg_glr_dead *d)
{
    const struct xg_glr_holds *h = c->holds;
    bool bindings = d->own != c->bit;

    if (d->space == XG_GL_SPACE_PROGRAM)
        return true; /* the host says when it is freed */
    if (!h)
        return false; /* it has executed nothing yet */
    if (bindings && !h->bindings)
        return true;
    switch (d->space) {
    case XG_GL_SPACE_BUFFER:
        return !h->buffers || names_have(&h->buffer, d->host) ||
               (bindings && names_have(&h->bound_buffer, d->host));
    case XG_GL_SPACE_TEXTURE:
        return !h->textures || names_have(&h->texture, d->host) ||
               (bindings && names_have(&h->bound_texture, d->host));
    default:
        return !h->textures || names_have(&h->renderbuffer, d->host) ||
               (bindings && names_have(&h->bound_renderbuffer, d->host));
    }
}

/* Under the lock. Uses what is known of `c`, and of all contexts that are idle. */
static bool dead_released(struct xg_glr_share *s, struct xg_glr_dead *d,
                          const struct xg_glr_context *c)
{
    for (struct xg_glr_context *x = s->first; x; x = x->next)
        if (d->pending & x->bit && x->bit != NAMELESS && (x == c || atomic_load(&x->quiet)) &&
            !holds_dead(x, d))
            d->pending &= ~x->bit;
    if (d->pending & SHOWN && !xg_glr_map_get(&s->shown, d->host))
        d->pending &= ~SHOWN;
    return !d->pending;
}

static uint64_t dead_free(struct xg_glr_share *s, struct xg_glr_dead *d)
{
    uint64_t bytes = d->bytes + xg_glr_texture_free(s, d->texture);
    free(d);
    return bytes;
}

static void dead_review(struct xg_glr_share *s, const struct xg_glr_context *c)
{
    struct xg_glr_dead *d = atomic_load_explicit(&s->dead, memory_order_relaxed), *left = NULL,
                       *next;
    uint64_t bytes = 0;

    for (; d; d = next) {
        next = d->next;
        if (dead_released(s, d, c)) {
            bytes += dead_free(s, d);
            continue;
        }
        d->next = left;
        left = d;
    }
    atomic_store_explicit(&s->dead, left, memory_order_relaxed);
    atomic_fetch_add(&s->freed, bytes);
    xg_glr_give(&s->ledger, bytes);
}

/* --- contexts come and go --------------------------------------------------------------------- */

void xg_glr_deleted_context_enter(struct xg_glr_context *c)
{
    struct xg_glr_share *s = c->share;

    pthread_mutex_lock(&s->lock);
    s->count++;
    c->next = s->first;
    s->first = c;
    c->born = xg_now_ns();
    c->bit = ~(s->contexts | SHOWN | NAMELESS);
    c->bit &= -c->bit;
    if (!c->bit) {
        c->bit = NAMELESS;
        s->nameless++;
    }
    s->contexts |= c->bit;
    atomic_init(&c->quiet, true);
    pthread_mutex_unlock(&s->lock);
}

uint32_t xg_glr_deleted_context_leave(struct xg_glr_context *c)
{
    struct xg_glr_share *s = c->share;
    struct xg_glr_context **at = &s->first;
    struct xg_glr_dead *d;
    uint32_t left;

    pthread_mutex_lock(&s->lock);
    left = --s->count;
    while (*at != c)
        at = &(*at)->next;
    *at = c->next;
    if (c->bit != NAMELESS || !--s->nameless) {
        s->contexts &= ~c->bit;
        for (d = atomic_load_explicit(&s->dead, memory_order_relaxed); d; d = d->next)
            d->pending &= left ? ~c->bit : 0;
        dead_review(s, NULL);
    }
    pthread_mutex_unlock(&s->lock);
    holds_free(c->holds);
    return left;
}

/* --- deletion --------------------------------------------------------------------------------- */

static bool any_named(const struct xg_glr_context *c, enum xg_gl_space space)
{
    return c->names[space - XG_GL_SPACES_SHARED].count;
}

/* Whether the context that deletes it may continue to use it. */
static bool kept_here(const struct xg_glr_context *c, enum xg_gl_space space)
{
    if (c->api == XG_GL_COMPAT && c->pushed)
        return true;
    if (space == XG_GL_SPACE_BUFFER)
        return any_named(c, XG_GL_SPACE_VERTEX_ARRAY) || any_named(c, XG_GL_SPACE_XFB);
    return any_named(c, XG_GL_SPACE_FRAMEBUFFER);
}

static uint64_t label_take(struct xg_glr_names *n, GLuint host)
{
    uint64_t bytes = xg_glr_map_get(&n->labelled, host);

    if (bytes)
        xg_glr_map_set(&n->labelled, host, 0);
    return bytes;
}

void xg_glr_deleted(struct xg_glr_context *c, enum xg_gl_space space, GLuint host)
{
    struct xg_glr_share *s = c->share;
    struct xg_glr_map *held = &xg_glr_names_of(c, space)->held;
    struct xg_glr_dead d = {.space = space, .host = host, .bytes = xg_glr_name_cost(space)}, *kept;
    uint64_t value;

    if (space != XG_GL_SPACE_BUFFER && space != XG_GL_SPACE_TEXTURE &&
        space != XG_GL_SPACE_RENDERBUFFER) {
        /* little memory, and no context can keep many of them */
        value = xg_glr_map_get(held, host);
        if (value)
            xg_glr_map_set(held, host, 0);
        if (space != XG_GL_SPACE_VERTEX_ARRAY)
            d.bytes += value;
        d.bytes += label_take(xg_glr_names_of(c, space), host);
        xg_glr_give(xg_glr_ledger_of(c, space), d.bytes);
        return;
    }
    pthread_mutex_lock(&s->lock);
    value = xg_glr_map_get(held, host);
    xg_glr_map_set(held, host, 0);
    d.bytes += label_take(xg_glr_names_of(c, space), host);
    if (space == XG_GL_SPACE_TEXTURE)
        d.texture = (struct xg_glr_texture *)(uintptr_t)value;
    else
        d.bytes += value;
    d.own = c->bit == NAMELESS ? 0 : c->bit;
    d.pending = s->contexts;
    if (!kept_here(c, space))
        d.pending &= ~d.own;
    if (space == XG_GL_SPACE_BUFFER && xg_glr_map_get(&s->shown, host))
        d.pending |= SHOWN;
    kept = dead_released(s, &d, NULL) ? NULL : malloc(sizeof(*kept));
    if (kept) {
        d.next = atomic_load_explicit(&s->dead, memory_order_relaxed);
        *kept = d;
        atomic_store_explicit(&s->dead, kept, memory_order_relaxed);
    } else {
        d.bytes += xg_glr_texture_free(s, d.texture);
    }
    pthread_mutex_unlock(&s->lock);
    if (kept)
        return;
    atomic_fetch_add(&s->freed, d.bytes);
    xg_glr_give(&s->ledger, d.bytes);
}

/* --- programs and shaders: their names live as long as they do, and the host is asked for them */

/* A bit in the map from the host's name: the object is in the list already. */
#define FLAGGED (1ull << 32)

void xg_glr_deleted_program(struct xg_glr_context *c, GLuint host)
{
    struct xg_glr_share *s = c->share;
    struct xg_glr_map *guest = &s->names[XG_GL_SPACE_PROGRAM].guest;
    struct xg_glr_dead *d = NULL;
    uint64_t name;

    pthread_mutex_lock(&s->lock);
    name = xg_glr_map_get(guest, host);
    if (name && !(name & FLAGGED) && (d = calloc(1, sizeof(*d)))) {
        d->space = XG_GL_SPACE_PROGRAM;
        d->host = host;
        d->pending = NAMELESS; /* until the host says that it is freed */
        d->next = atomic_load_explicit(&s->dead, memory_order_relaxed);
        atomic_store_explicit(&s->dead, d, memory_order_relaxed);
        xg_glr_map_set(guest, host, name | FLAGGED);
        /* a shader in use is freed with its program */
        s->programs_gone |= !xg_glr_procs.glIsShader(host);
    }
    pthread_mutex_unlock(&s->lock);
}

void xg_glr_deleted_program_gone(struct xg_glr_share *s, GLuint host)
{
    struct xg_glr_names *n = &s->names[XG_GL_SPACE_PROGRAM];
    uint64_t bytes = xg_glr_name_cost(XG_GL_SPACE_PROGRAM) + xg_glr_map_get(&n->held, host) +
                     label_take(n, host);

    if (xg_glr_map_get(&n->held, host))
        xg_glr_map_set(&n->held, host, 0);
    for (struct xg_glr_dead *d = s->dead; xg_glr_map_get(&n->guest, host) & FLAGGED && d;
         d = d->next)
        if (d->space == XG_GL_SPACE_PROGRAM && d->host == host)
            d->pending = 0;
    xg_glr_give(&s->ledger, bytes);
}

/* Under the lock: frees those that the host does not know any more. */
static void programs_review(struct xg_glr_share *s)
{
    struct xg_glr_names *n = &s->names[XG_GL_SPACE_PROGRAM];
    uint64_t name;

    if (!s->programs_gone)
        return;
    s->programs_gone = false;
    for (struct xg_glr_dead *d = s->dead; d; d = d->next) {
        if (d->space != XG_GL_SPACE_PROGRAM || !d->pending || xg_glr_procs.glIsShader(d->host))
            continue;
        if (xg_glr_procs.glIsProgram(d->host)) {
            s->programs_gone = true; /* in use: it is freed when another one is used */
            continue;
        }
        name = xg_glr_map_get(&n->guest, d->host);
        xg_glr_deleted_program_gone(s, d->host);
        xg_glr_map_set(&n->host, (uint32_t)name, 0);
        xg_glr_map_set(&n->guest, d->host, 0);
    }
}

/* --- searching -------------------------------------------------------------------------------- */

struct look {
    struct xg_glr_context *c;
    struct xg_glr_holds *found;
    GLint attachments, attribs;
};

static void look_attachment(struct look *k, GLenum target, GLenum point)
{
    GLint type = 0, name = 0;

    xg_glr_procs.glGetFramebufferAttachmentParameteriv(
        target, point, GL_FRAMEBUFFER_ATTACHMENT_OBJECT_TYPE, &type);
    if (type != GL_TEXTURE && type != GL_RENDERBUFFER)
        return;
    xg_glr_procs.glGetFramebufferAttachmentParameteriv(
        target, point, GL_FRAMEBUFFER_ATTACHMENT_OBJECT_NAME, &name);
    names_add(type == GL_TEXTURE ? &k->found->texture : &k->found->renderbuffer, name);
}

static void look_framebuffer(void *data, uint32_t name, uint64_t host)
{
    struct look *k = data;
    GLenum target = k->c->es_old ? GL_FRAMEBUFFER : GL_READ_FRAMEBUFFER;

    (void)name;
    if (!xg_glr_procs.glIsFramebuffer((GLuint)host))
        return; /* only a name: binding would make it an object */
    xg_glr_procs.glBindFramebuffer(target, (GLuint)host);
    for (GLint i = 0; i < k->attachments; i++)
        look_attachment(k, target, GL_COLOR_ATTACHMENT0 + (GLenum)i);
    look_attachment(k, target, GL_DEPTH_ATTACHMENT);
    look_attachment(k, target, GL_STENCIL_ATTACHMENT);
}

static void look_framebuffers(struct look *k)
{
    struct xg_glr_context *c = k->c;
    GLint current = 0;

    k->attachments = 1;
    if (!c->es_old)
        xg_glr_procs.glGetIntegerv(GL_MAX_COLOR_ATTACHMENTS, &k->attachments);
    xg_glr_procs.glGetIntegerv(c->es_old ? GL_FRAMEBUFFER_BINDING : GL_READ_FRAMEBUFFER_BINDING,
                               &current);
    xg_glr_map_each(&xg_glr_names_of(c, XG_GL_SPACE_FRAMEBUFFER)->host, look_framebuffer, k);
    xg_glr_procs.glBindFramebuffer(c->es_old ? GL_FRAMEBUFFER : GL_READ_FRAMEBUFFER,
                                   (GLuint)current);
}

static void look_binding(struct names *n, GLenum pname)
{
    GLint name = 0;

    xg_glr_procs.glGetIntegerv(pname, &name);
    names_add(n, name);
}

static void bound_indexed(struct names *n, GLenum pname, GLenum most)
{
    GLint count = 0, name;

    xg_glr_procs.glGetIntegerv(most, &count);
    for (GLint i = 0; i < count; i++) {
        name = 0;
        xg_glr_procs.glGetIntegeri_v(pname, (GLuint)i, &name);
        names_add(n, name);
    }
}

static void look_units(struct look *k)
{
    static const GLenum binding[] = {GL_TEXTURE_BINDING_2D,
                                     GL_TEXTURE_BINDING_CUBE_MAP,
                                     GL_TEXTURE_BINDING_1D,
                                     GL_TEXTURE_BINDING_3D,
                                     GL_TEXTURE_BINDING_1D_ARRAY,
                                     GL_TEXTURE_BINDING_2D_ARRAY,
                                     GL_TEXTURE_BINDING_RECTANGLE,
                                     GL_TEXTURE_BINDING_CUBE_MAP_ARRAY,
                                     GL_TEXTURE_BINDING_BUFFER,
                                     GL_TEXTURE_BINDING_2D_MULTISAMPLE,
                                     GL_TEXTURE_BINDING_2D_MULTISAMPLE_ARRAY};
    bool es1 = k->c->api == XG_GL_ES1;
    GLint units = 0, active = GL_TEXTURE0;

    xg_glr_procs.glGetIntegerv(es1 ? GL_MAX_TEXTURE_UNITS : GL_MAX_COMBINED_TEXTURE_IMAGE_UNITS,
                               &units);
    xg_glr_procs.glGetIntegerv(GL_ACTIVE_TEXTURE, &active);
    for (GLint i = 0; i < units; i++) {
        xg_glr_procs.glActiveTexture(GL_TEXTURE0 + (GLenum)i);
        for (unsigned b = 0; b < XG_ARRAY_LEN(binding); b++)
            look_binding(&k->found->bound_texture, binding[b]);
    }
    xg_glr_procs.glActiveTexture((GLenum)active);
    if (k->c->version >= (k->c->es ? 31 : 42))
        bound_indexed(&k->found->bound_texture, GL_IMAGE_BINDING_NAME, GL_MAX_IMAGE_UNITS);
    look_binding(&k->found->bound_renderbuffer, GL_RENDERBUFFER_BINDING);
}

static void look_array(struct look *k)
{
    static const GLenum old[] = {GL_VERTEX_ARRAY_BUFFER_BINDING,
                                 GL_NORMAL_ARRAY_BUFFER_BINDING,
                                 GL_COLOR_ARRAY_BUFFER_BINDING,
                                 GL_INDEX_ARRAY_BUFFER_BINDING,
                                 GL_EDGE_FLAG_ARRAY_BUFFER_BINDING,
                                 GL_FOG_COORD_ARRAY_BUFFER_BINDING,
                                 GL_SECONDARY_COLOR_ARRAY_BUFFER_BINDING,
                                 0x8B9F /* GL_POINT_SIZE_ARRAY_BUFFER_BINDING_OES */};
    const struct xg_glr_context *c = k->c;
    GLint name;

    look_binding(&k->found->buffer, GL_ELEMENT_ARRAY_BUFFER_BINDING);
    for (GLint i = 0; i < k->attribs; i++) {
        name = 0;
        xg_glr_procs.glGetVertexAttribiv((GLuint)i, GL_VERTEX_ATTRIB_ARRAY_BUFFER_BINDING, &name);
        names_add(&k->found->buffer, name);
    }
    if (c->version >= (c->es ? 31 : 43))
        bound_indexed(&k->found->buffer, GL_VERTEX_BINDING_BUFFER, GL_MAX_VERTEX_ATTRIB_BINDINGS);
    if (c->api == XG_GL_CORE || c->api == XG_GL_ES2)
        return;
    for (unsigned i = 0; i < XG_ARRAY_LEN(old); i++)
        look_binding(&k->found->buffer, old[i]);
    for (unsigned i = 0; i < XG_TEX_MAX; i++) {
        xg_glr_procs.glClientActiveTexture(GL_TEXTURE0 + i);
        look_binding(&k->found->buffer, GL_TEXTURE_COORD_ARRAY_BUFFER_BINDING);
    }
    xg_glr_procs.glClientActiveTexture(GL_TEXTURE0 + c->client_texture);
}

static void vertex_array(void *data, uint32_t name, uint64_t host)
{
    struct look *k = data;

    (void)name;
    if (host && !xg_glr_vertex_array_is(k->c, (GLuint)host))
        return;
    xg_glr_procs.glBindVertexArray((GLuint)host);
    look_array(k);
}

static void look_arrays(struct look *k)
{
    struct xg_glr_context *c = k->c;
    GLint current = 0;

    if (c->api != XG_GL_ES1)
        xg_glr_procs.glGetIntegerv(GL_MAX_VERTEX_ATTRIBS, &k->attribs);
    xg_glr_procs.glGetIntegerv(GL_VERTEX_ARRAY_BINDING, &current);
    if (!any_named(c, XG_GL_SPACE_VERTEX_ARRAY)) {
        look_array(k);
        return;
    }
    if (c->api != XG_GL_CORE)
        vertex_array(k, 0, 0);
    xg_glr_map_each(&xg_glr_names_of(c, XG_GL_SPACE_VERTEX_ARRAY)->host, vertex_array, k);
    xg_glr_procs.glBindVertexArray((GLuint)current);
}

static void look_buffers(struct look *k)
{
    static const GLenum binding[] = {GL_ARRAY_BUFFER_BINDING,
                                     GL_PIXEL_PACK_BUFFER_BINDING,
                                     GL_PIXEL_UNPACK_BUFFER_BINDING,
                                     GL_COPY_READ_BUFFER_BINDING,
                                     GL_COPY_WRITE_BUFFER_BINDING,
                                     GL_UNIFORM_BUFFER_BINDING,
                                     GL_TEXTURE_BUFFER,
                                     GL_DRAW_INDIRECT_BUFFER_BINDING,
                                     GL_DISPATCH_INDIRECT_BUFFER_BINDING,
                                     GL_QUERY_BUFFER_BINDING,
                                     GL_ATOMIC_COUNTER_BUFFER_BINDING,
                                     GL_SHADER_STORAGE_BUFFER_BINDING,
                                     GL_PARAMETER_BUFFER_BINDING};
    const struct xg_glr_context *c = k->c;
    struct names *n = &k->found->bound_buffer;

    for (unsigned i = 0; i < XG_ARRAY_LEN(binding); i++)
        look_binding(n, binding[i]);
    if (c->version >= (c->es ? 30 : 31))
        bound_indexed(n, GL_UNIFORM_BUFFER_BINDING, GL_MAX_UNIFORM_BUFFER_BINDINGS);
    if (c->version >= (c->es ? 31 : 42))
        bound_indexed(n, GL_ATOMIC_COUNTER_BUFFER_BINDING, GL_MAX_ATOMIC_COUNTER_BUFFER_BINDINGS);
    if (c->version >= (c->es ? 31 : 43))
        bound_indexed(n, GL_SHADER_STORAGE_BUFFER_BINDING, GL_MAX_SHADER_STORAGE_BUFFER_BINDINGS);
}

static void look_feedback(struct look *k)
{
    bool new = !k->c->es && k->c->version >= 40;

    bound_indexed(&k->found->buffer, GL_TRANSFORM_FEEDBACK_BUFFER_BINDING,
                  new ? GL_MAX_TRANSFORM_FEEDBACK_BUFFERS
                      : GL_MAX_TRANSFORM_FEEDBACK_SEPARATE_ATTRIBS);
}

static void look_feedback_named(void *data, uint32_t name, uint64_t host)
{
    (void)name;
    if (host && !xg_glr_procs.glIsTransformFeedback((GLuint)host))
        return;
    xg_glr_procs.glBindTransformFeedback(GL_TRANSFORM_FEEDBACK, (GLuint)host);
    look_feedback(data);
}

/* While one is active no other can be bound; then false, since the search is not possible. */
static bool look_feedbacks(struct look *k)
{
    struct xg_glr_context *c = k->c;
    GLint current = 0, active = 0, paused = 0;

    if (c->version < 30)
        return true;
    look_feedback(k);
    if (!any_named(c, XG_GL_SPACE_XFB))
        return true;
    xg_glr_procs.glGetIntegerv(GL_TRANSFORM_FEEDBACK_BUFFER_ACTIVE, &active);
    xg_glr_procs.glGetIntegerv(GL_TRANSFORM_FEEDBACK_BUFFER_PAUSED, &paused);
    if (active && !paused)
        return false;
    xg_glr_procs.glGetIntegerv(GL_TRANSFORM_FEEDBACK_BINDING, &current);
    look_feedback_named(k, 0, 0);
    xg_glr_map_each(&xg_glr_names_of(c, XG_GL_SPACE_XFB)->host, look_feedback_named, k);
    xg_glr_procs.glBindTransformFeedback(GL_TRANSFORM_FEEDBACK, (GLuint)current);
    return true;
}

/* Sets what to search for; everything, if other contexts need the result while this one is idle. */
static bool look_wanted(struct xg_glr_context *c, struct xg_glr_holds *h)
{
    bool some = false, all;

    pthread_mutex_lock(&c->share->lock);
    all = c->share->count > 1;
    programs_review(c->share);
    h->textures = h->buffers = h->bindings = all;
    for (struct xg_glr_dead *d = c->share->dead; d; d = d->next) {
        some |= d->pending & SHOWN || !d->pending;
        if (!(d->pending & c->bit) || d->space == XG_GL_SPACE_PROGRAM)
            continue;
        some = true;
        h->buffers |= d->space == XG_GL_SPACE_BUFFER;
        h->textures |= d->space != XG_GL_SPACE_BUFFER;
    }
    pthread_mutex_unlock(&c->share->lock);
    return some || all;
}

/* What is on an attribute stack cannot be seen. */
static bool stacks_empty(struct xg_glr_context *c)
{
    GLint depth = 0, client = 0;

    if (c->api != XG_GL_COMPAT || !c->pushed)
        return true;
    xg_glr_procs.glGetIntegerv(GL_ATTRIB_STACK_DEPTH, &depth);
    xg_glr_procs.glGetIntegerv(GL_CLIENT_ATTRIB_STACK_DEPTH, &client);
    c->pushed = depth || client;
    return !c->pushed;
}

static void look_run(struct xg_glr_context *c, struct xg_glr_holds *h)
{
    struct look k = {.c = c, .found = h};
    GLenum error = xg_glr_procs.glGetError();

    if (error && !c->error)
        c->error = error;
    if (h->textures && any_named(c, XG_GL_SPACE_FRAMEBUFFER))
        look_framebuffers(&k);
    if (h->textures && h->bindings)
        look_units(&k);
    h->buffers = h->buffers && look_feedbacks(&k);
    if (h->buffers)
        look_arrays(&k);
    if (h->buffers && h->bindings)
        look_buffers(&k);
    for (int i = 0; i < 8 && xg_glr_procs.glGetError(); i++)
        ; /* bindings that this context does not have */
}

void xg_glr_deleted_look(struct xg_glr_context *c)
{
    struct xg_glr_holds *h, *old = NULL;

    if (c->bit == NAMELESS || c->list || c->in_begin || !(h = calloc(1, sizeof(*h))))
        return;
    if (look_wanted(c, h) && stacks_empty(c)) {
        look_run(c, h);
        pthread_mutex_lock(&c->share->lock);
        old = c->holds;
        c->holds = h;
        dead_review(c->share, c);
        pthread_mutex_unlock(&c->share->lock);
        h = old;
    }
    holds_free(h);
}

#define CREDIT_NS 10000000u

uint64_t xg_glr_deleted_idle(struct xg_glr_context *c)
{
    uint64_t begun, allowed, now;

    if (atomic_load_explicit(&c->quiet, memory_order_relaxed) ||
        (c->share->count < 2 && !atomic_load_explicit(&c->share->dead, memory_order_relaxed)))
        return UINT64_MAX;
    begun = xg_now_ns();
    allowed = CREDIT_NS + (begun - c->born) / 50;
    if (c->looked_ns > allowed)
        return (c->looked_ns - allowed) * 50;
    xg_glr_deleted_look(c);
    now = xg_now_ns();
    c->looked_ns += now - begun;
    if (c->share->count > 1 && c->holds && c->holds->bindings && !c->pushed)
        atomic_store(&c->quiet, true);
    return UINT64_MAX;
}
