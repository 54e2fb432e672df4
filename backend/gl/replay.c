/* The GL half of the worker: contexts, dispatch, errors. */
#include "backend/gl/ledger.h"

#include <errno.h>
#include <stdlib.h>

extern const uint16_t xg_glr_decoder_index[][2];
extern const bool xg_glr_draws[];
extern const xg_glr_decode xg_glr_raws[];

static xg_glr_decode *decoders;
static pthread_once_t procs_once = PTHREAD_ONCE_INIT;
static void *(*host_proc)(const char *name);

static void nobody_fences(struct xg_worker_ring *r)
{
    (void)r;
}

void (*xg_glr_submitted)(struct xg_worker_ring *r) = nobody_fences;

/* --- the host's functions --------------------------------------------------------------------- */

/* Called in place of a function that the host lacks. It ignores its arguments; 0 is a valid result
 * for each return type that GL has. */
static uint64_t proc_missing(void)
{
    return 0;
}

static void *proc_lookup(const char *name)
{
    return host_proc ? host_proc(name) : NULL;
}

static void procs_load(void)
{
    static const xg_glr_decode *const chunk[] = {xg_glr_chunk_0, xg_glr_chunk_1, xg_glr_chunk_2,
                                                 xg_glr_chunk_3};
    void **procs = (void **)&xg_glr_procs;

    for (unsigned i = 0; i < xg_glr_proc_count; i++) {
        void *p = proc_lookup(xg_glr_proc_names[i]);
        procs[i] = p ? p : (void *)proc_missing;
    }
    decoders = calloc(xg_glr_decoder_count, sizeof(*decoders));
    for (unsigned i = 0; decoders && i < xg_glr_decoder_count; i++) {
        unsigned where = xg_glr_decoder_index[i][0], place = xg_glr_decoder_index[i][1];
        if (where)
            decoders[i] = where == 255 ? xg_glr_raws[place] : chunk[where - 1][place];
    }
}

bool xg_glr_load(void *(*get_proc)(const char *name))
{
    if (!host_proc)
        host_proc = get_proc;
    pthread_once(&procs_once, procs_load);
    return decoders;
}

void *xg_glr_proc(const char *name)
{
    return proc_lookup(name);
}

/* --- contexts --------------------------------------------------------------------------------- */

static void names_init(struct xg_glr_names *n, unsigned count, struct xg_glr_ledger *l)
{
    for (unsigned i = 0; i < count; i++)
        n[i].host.ledger = n[i].guest.ledger = n[i].held.ledger = n[i].labelled.ledger = l;
}

static void names_fini(struct xg_glr_names *n, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        xg_glr_map_fini(&n[i].host);
        xg_glr_map_fini(&n[i].guest);
        xg_glr_map_fini(&n[i].held);
        xg_glr_map_fini(&n[i].labelled);
    }
}

static struct xg_glr_share *share_new(struct xg_worker *w)
{
    struct xg_glr_share *s = calloc(1, sizeof(*s));

    if (!s)
        return NULL;
    pthread_mutex_init(&s->lock, NULL);
    xg_glr_ledger_init(&s->ledger, w);
    names_init(s->names, XG_GL_SPACES_SHARED, &s->ledger);
    s->shown.ledger = &s->ledger;
    return s;
}

static void share_free(struct xg_glr_share *s)
{
    xg_glr_objects_free(s);
    names_fini(s->names, XG_GL_SPACES_SHARED);
    xg_glr_map_fini(&s->shown);
    xg_glr_ledger_fini(&s->ledger);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

struct xg_glr_context *xg_glr_context_new(struct xg_worker *w, enum xg_gl_api api,
                                          struct xg_glr_context *share)
{
    struct xg_glr_context *c = calloc(1, sizeof(*c));

    if (!c)
        return NULL;
    xg_glr_ledger_init(&c->ledger, w);
    if (!xg_glr_take(&c->ledger, XG_GLR_CONTEXT_COST))
        goto free;
    c->share = share ? share->share : share_new(w);
    if (!c->share)
        goto give;
    xg_glr_deleted_context_enter(c);
    names_init(c->names, XG_ARRAY_LEN(c->names), &c->ledger);
    c->vao_dangling.ledger = c->vao_suppressed.ledger = c->messages.ledger = &c->ledger;
    c->api = api;
    c->es = api == XG_GL_ES1 || api == XG_GL_ES2;
    c->work.most = XG_GLR_DRAWS_FIRST;
    xg_gl_pixel_store_init(&c->pack);
    xg_gl_pixel_store_init(&c->unpack);
    return c;
give:
    xg_glr_ledger_fini(&c->ledger);
free:
    free(c);
    return NULL;
}

void xg_glr_context_robust(struct xg_glr_context *c, bool secretly)
{
    c->robust = secretly;
}

void xg_glr_context_free(struct xg_glr_context *c)
{
    if (!c)
        return;
    if (!xg_glr_deleted_context_leave(c))
        share_free(c->share);
    names_fini(c->names, XG_ARRAY_LEN(c->names));
    xg_glr_map_fini(&c->vao_dangling);
    xg_glr_map_fini(&c->vao_suppressed);
    xg_glr_map_fini(&c->messages);
    xg_glr_result_free(c);
    free(c->client_stack);
    free(c->sizes);
    xg_glr_ledger_fini(&c->ledger);
    free(c);
}

/* "4.5 (Core Profile) Mesa", "OpenGL ES 3.2 Mesa": major * 10 + minor. */
static uint32_t version_of(const char *text)
{
    while (text && *text && !(*text >= '0' && *text <= '9'))
        text++;
    return text && text[0] && text[1] == '.'
               ? (uint32_t)(text[0] - '0') * 10 + (uint32_t)(text[2] - '0')
               : 0;
}

void xg_glr_make_current(struct xg_worker_ring *r, struct xg_glr_context *c,
                         enum xg_glr_window window)
{
    struct xg_glr_context *old = xg_glr_context_of(r);

    if (old && !old->in_begin) {
        xg_glr_errors_collect(r);
        xg_glr_deleted_idle(old);
    }
    r->api[XG_API_GL] = c;
    if (!c)
        return;
    c->window = window;
    if (!c->seen) {
        const char *version = (const char *)xg_glr_procs.glGetString(GL_VERSION);
        c->seen = true;
        c->version = version_of(version);
        c->es_old = c->api == XG_GL_ES1 || (c->es && version && strstr(version, "ES 2."));
        xg_glr_window_first(c);
    }
}

/* --- errors ----------------------------------------------------------------------------------- */

void xg_glr_error(struct xg_glr_context *c, GLenum error)
{
    if (!c->error)
        c->error = error;
}

/* protocol/gl/wire.h says what the words contain. */
void xg_glr_errors_collect(struct xg_worker_ring *r)
{
    struct xg_glr_context *c = xg_glr_context_of(r);
    GLenum error;
    uint32_t word;

    if (!c || c->in_begin)
        return;
    error = xg_glr_procs.glGetError();
    if (XG_LIKELY(!error && !c->error))
        return;
    if (c->error)
        error = c->error;
    c->error = GL_NO_ERROR;
    word = xg_word_stored(r, XG_GL_WORD_ERROR);
    word = (word & 0xffff0000u) + 0x10000u + (error & 0xffffu);
    /* in this order: whoever sees the new count sees the error too */
    xg_word_store(r, XG_GL_WORD_ERRORS + (word >> 16) % XG_GL_ERRORS_KEPT, error);
    xg_word_store(r, XG_GL_WORD_ERROR, word);
    for (int i = 0; i < 8 && xg_glr_procs.glGetError(); i++)
        ;
}

void xg_glr_ask(struct xg_worker_ring *r)
{
    if (!xg_glr_begun(xg_glr_context_of(r)))
        xg_glr_errors_collect(r);
}

bool xg_glr_failed(struct xg_worker_ring *r)
{
    struct xg_glr_context *c = xg_glr_context_of(r);

    if (!c->in_begin && !c->error)
        c->error = xg_glr_procs.glGetError();
    if (!c->in_begin && !c->error)
        return false;
    xg_glr_errors_collect(r); /* whoever gets the answer sees the error too */
    return true;
}

bool xg_glr_refused(struct xg_worker_ring *r)
{
    bool failed = xg_glr_failed(r);

    if (failed)
        xg_reply(r, r->ticket, -EINVAL, NULL, 0);
    return failed;
}

void xg_glr_errors_drop(struct xg_worker_ring *r)
{
    for (int i = 0; i < 8 && xg_glr_procs.glGetError(); i++)
        ;
}

GLenum xg_glr_glGetError(struct xg_worker_ring *r)
{
    struct xg_glr_context *c = xg_glr_context_of(r);
    GLenum error = c->error;

    c->error = GL_NO_ERROR;
    return error ? error : xg_glr_procs.glGetError();
}

/* --- the worker's interface ------------------------------------------------------------------- */

static int gl_init(struct xg_worker *w, const struct xg_device_config *dev, void **state)
{
    *state = NULL; /* backend/wsi opens the device, and calls xg_glr_load */
    return 0;
}

struct xg_glr_work *xg_glr_work(struct xg_worker_ring *r)
{
    struct xg_glr_context *c = xg_glr_context_of(r);
    /* in_begin itself is read, since the host must not be asked between glBegin and glEnd */
    return !c || c->in_begin ? NULL : &c->work;
}

void xg_glr_flush(void)
{
    xg_glr_procs.glFlush();
}

static void work_note(struct xg_worker_ring *r, unsigned op)
{
    struct xg_glr_work *work = &xg_glr_context_of(r)->work;

    work->draws += xg_glr_draws[op];
    if (XG_UNLIKELY(++work->commands >= XG_GLR_COMMANDS_MAX || work->draws >= work->most))
        xg_glr_submitted(r);
}

static void gl_dispatch(struct xg_worker_ring *r, uint16_t op, struct xg_reader *rd)
{
    struct xg_glr_context *c = xg_glr_context_of(r);
    unsigned i = op & 0xfff;
    xg_glr_decode decode = decoders && i < xg_glr_decoder_count ? decoders[i] : NULL;

    if (XG_UNLIKELY(!decode)) {
        xg_reply(r, r->ticket, -38 /* ENOSYS */, NULL, 0);
        return;
    }
    if (XG_UNLIKELY(!c)) {
        xg_reader_fail(rd, "GL without a current context");
        return;
    }
    /* a full barrier before names are looked up; pairs with that of the share group's lock: a
     * thread that deletes an object which this command finds sees that this context is not quiet */
    if (XG_UNLIKELY(atomic_load_explicit(&c->quiet, memory_order_relaxed)))
        atomic_store(&c->quiet, false);
    if (XG_UNLIKELY(c->list))
        xg_glr_list_grows(c, (uint64_t)(rd->end - rd->p) + 24);
    decode(r, rd);
    work_note(r, i);
}

static uint64_t gl_idle(struct xg_worker_ring *r)
{
    if (r->api[XG_API_GL]) {
        xg_glr_errors_collect(r);
        return xg_glr_deleted_idle(xg_glr_context_of(r));
    }
    return UINT64_MAX;
}

const struct xg_replay xg_replay_gl = {
    .name = "gl",
    .api = XG_API_GL,
    .init = gl_init,
    .dispatch = gl_dispatch,
    .idle = gl_idle,
};
