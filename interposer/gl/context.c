/* A context's life in the guest, errors, and the order between contexts that share objects. */
#include "interposer/gl/state.h"

#include "gl/send.h"
#include "gl/shadow.h"
#include "gl/stubs.h"

#include <errno.h>

__thread struct xg_gl_context *xg_gl_current __attribute__((tls_model("initial-exec")));

static bool strict_errors(void)
{
    const char *mode = getenv("XENGPU_GL_ERRORS");
    return mode && strcmp(mode, "strict") == 0;
}

/* --- share groups ----------------------------------------------------------------------------- */

static struct xg_gl_share *share_new(void)
{
    struct xg_gl_share *s = calloc(1, sizeof(*s));
    if (s)
        xg_lock_init(&s->lock);
    return s;
}

static void share_join(struct xg_gl_context *c, struct xg_gl_share *s)
{
    pthread_mutex_lock(&s->lock);
    s->count++;
    c->share = s;
    c->state->share_slot = XG_ARRAY_LEN(s->member);
    for (uint32_t i = 0; i < XG_ARRAY_LEN(s->member); i++) {
        if (!s->member[i]) {
            s->member[i] = c;
            s->flushed[i] = 0;
            c->state->share_slot = i;
            break;
        }
    }
    pthread_mutex_unlock(&s->lock);
}

static void share_leave(struct xg_gl_context *c)
{
    struct xg_gl_share *s = c->share;
    uint32_t left;

    pthread_mutex_lock(&s->lock);
    left = --s->count;
    if (c->state->share_slot < XG_ARRAY_LEN(s->member))
        s->member[c->state->share_slot] = NULL;
    pthread_mutex_unlock(&s->lock);
    if (left)
        return;
    for (unsigned i = 0; i < XG_GL_SPACES_SHARED; i++) {
        void (*destroy)(void *) = i == XG_GL_SPACE_BUFFER    ? xg_gl_buffer_destroy
                                  : i == XG_GL_SPACE_PROGRAM ? xg_gl_program_destroy
                                                             : NULL;
        xg_gl_names_fini(&s->names[i], destroy);
    }
    xg_gl_names_fini(&s->gone, xg_gl_buffer_destroy);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

void xg_gl_release(struct xg_gl_context *c)
{
    struct xg_gl_share *s = c->share;

    if (XG_LIKELY(s->count < 2) || c->state->share_slot >= XG_ARRAY_LEN(s->member))
        return;
    pthread_mutex_lock(&s->lock);
    s->flushed[c->state->share_slot] = xg_ring_position(c->ring);
    pthread_mutex_unlock(&s->lock);
    xg_ring_publish(c->ring);
    atomic_fetch_add(&s->epoch, 1);
}

void xg_gl_acquire_slow(struct xg_gl_context *c)
{
    struct xg_gl_share *s = c->share;
    struct xg_ring *ring[XG_ARRAY_LEN(s->member)];
    uint64_t position[XG_ARRAY_LEN(s->member)];
    unsigned n = 0;

    c->state->seen_epoch = atomic_load(&s->epoch);
    pthread_mutex_lock(&s->lock);
    for (unsigned i = 0; i < XG_ARRAY_LEN(s->member); i++) {
        struct xg_gl_context *m = s->member[i];
        if (m && m != c && m->ring != c->ring && s->flushed[i]) {
            ring[n] = m->ring;
            position[n++] = s->flushed[i];
        }
    }
    pthread_mutex_unlock(&s->lock);
    for (unsigned i = 0; i < n; i++) {
        if (xg_ring_done(ring[i], position[i]))
            continue;
        if (c->ring->shared)
            xg_gl_enter_shared(c);
        xg_ring_after(c->ring, ring[i], position[i]);
        if (c->ring->shared)
            xg_ring_unlock(c->ring);
    }
}

/* --- contexts --------------------------------------------------------------------------------- */

struct xg_gl_context *xg_gl_context_new(struct xg_ring *ring, enum xg_gl_api api,
                                        struct xg_gl_context *share)
{
    struct xg_gl_context *c = calloc(1, sizeof(*c));
    struct xg_gl_state *s = calloc(1, sizeof(*s));
    struct xg_gl_share *group = share ? share->share : share_new();

    if (!c || !s || !group) {
        free(c);
        free(s);
        if (!share)
            free(group);
        return NULL;
    }
    c->ring = ring;
    c->api = api;
    c->state = s;
    s->strict = strict_errors();
    s->vao = &s->default_vao;
    xg_gl_arrays_init(s->vao);
    xg_gl_pixel_store_init(&s->pack);
    xg_gl_pixel_store_init(&s->unpack);
    s->render_mode = GL_RENDER;
    s->program_known = XG_PROGRAM_KNOWN; /* no program is in use */
    s->error_seen = xg_ring_word(ring, XG_GL_WORD_ERROR);
    share_join(c, group);
    return c;
}

void xg_gl_context_free(struct xg_gl_context *c)
{
    struct xg_gl_state *s;

    if (!c)
        return;
    s = c->state;
    if (xg_gl_current == c)
        xg_gl_current = NULL;
    share_leave(c);
    for (unsigned i = 0; i < XG_ARRAY_LEN(s->names); i++)
        xg_gl_names_fini(&s->names[i],
                         i + XG_GL_SPACES_SHARED == XG_GL_SPACE_VERTEX_ARRAY ? free : NULL);
    if (s->sink)
        xg_arena_free(c->ring->channel, s->sink);
    xg_gl_snapshot_free(s);
    free(s->attrib);
    free(s->client_stack);
    free(s);
    free(c);
}

int xg_gl_bind(struct xg_gl_context *c, const struct xg_gl_drawable *draw,
               const struct xg_gl_drawable *read)
{
    static const struct xg_gl_drawable none;

    xg_gl_current = c;
    if (!c)
        return 0;
    if (draw && !c->state->had_drawable) { /* the first drawable sets these */
        c->state->had_drawable = true;
        xg_gl_shadow_touch(c, XG_SHADOW_GL_VIEWPORT);
        xg_gl_shadow_touch(c, XG_SHADOW_GL_SCISSOR_BOX);
    }
    c->state->draw = draw ? *draw : none;
    c->state->read = read ? *read : none;
    xg_gl_acquire(c);
    return c->state->has_snapshot ? 0 : xg_gl_snapshot(c);
}

void xg_gl_resized(struct xg_gl_context *c, uint32_t width, uint32_t height)
{
    c->state->draw.width = c->state->read.width = width;
    c->state->draw.height = c->state->read.height = height;
}

void xg_gl_enter_shared(struct xg_gl_context *c)
{
    struct xg_ring *r = c->ring;

    xg_ring_lock(r);
    if (r->owner == c)
        return;
    r->owner = c;
    if (c->take_ring)
        c->take_ring(c);
}

int xg_gl_wait(struct xg_gl_context *c, uint32_t ticket, void *out, uint32_t size, uint32_t *length)
{
    struct xg_ring *r = c->ring;

    if (XG_UNLIKELY(r->shared)) {
        xg_ring_publish(r);
        xg_ring_unlock(r);
    }
    return xg_ring_wait(r, ticket, out, size, length);
}

/* --- flushing --------------------------------------------------------------------------------- */

void xg_gl_sync_point(struct xg_gl_context *c)
{
    xg_gl_persistent_flush(c);
    xg_gl_release(c);
}

void xg_gl_flush(struct xg_gl_context *c)
{
    xg_gl_persistent_flush(c);
    xg_gl_send_glFlush(c);
    xg_ring_publish(c->ring);
    xg_gl_release(c);
}

void xg_gl_finish(struct xg_gl_context *c)
{
    xg_gl_persistent_flush(c);
    xg_gl_send_glFinish(c);
    xg_gl_persistent_fetch(c);
    xg_gl_release(c);
}

/* --- errors ----------------------------------------------------------------------------------- */

/* The first error that the host has found since it was last asked. */
static GLenum host_error(struct xg_gl_context *c)
{
    GLenum error = c->state->strict ? xg_gl_send_glGetError(c) : GL_NO_ERROR;
    uint32_t seen = c->state->error_seen, word = xg_ring_word(c->ring, XG_GL_WORD_ERROR);
    uint32_t first = ((seen >> 16) + 1) & 0xffff, n = ((word >> 16) - (seen >> 16)) & 0xffff;

    /* when the worker had no commands, it may have written the error into the word already; then
     * that one came first */
    if (!n)
        return error;
    c->state->error_seen = word;
    if (n > XG_GL_ERRORS_KEPT)
        return word & 0xffff;
    return xg_ring_word(c->ring, XG_GL_WORD_ERRORS + first % XG_GL_ERRORS_KEPT);
}

/* The first error stays. In strict mode the host is asked whether it has an earlier one; otherwise
 * only the word is read. */
void xg_gl_error(struct xg_gl_context *c, GLenum error)
{
    GLenum earlier = GL_NO_ERROR;

    if (c->state->error)
        return;
    if (!c->state->begun)
        earlier = host_error(c);
    c->state->error = earlier ? earlier : error;
}

GLenum xg_stub_glGetError(void)
{
    struct xg_gl_context *c = xg_gl_current;
    struct xg_gl_state *s;
    GLenum error, host = GL_NO_ERROR;

    if (!c)
        return GL_NO_ERROR;
    s = c->state;
    if (xg_gl_begun(c))
        return GL_NO_ERROR; /* what GL says of glGetError there */
    error = s->error;
    s->error = GL_NO_ERROR;
    if (s->strict || !error)
        host = host_error(c); /* strict: a later error of the host is dropped */
    return error ? error : host;
}

void xg_stub_glFlush(void)
{
    if (xg_gl_current)
        xg_gl_flush(xg_gl_current);
}

void xg_stub_glFinish(void)
{
    if (xg_gl_current)
        xg_gl_finish(xg_gl_current);
}
