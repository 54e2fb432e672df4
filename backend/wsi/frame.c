/*
 * Reads frames back, in a context of our own on the same surface: so the application's pixel store,
 * read buffer and transfer state do not matter, and our errors are not its errors.
 *
 * From a CPU renderer pixels are read straight into the arena. From a GPU they are read through
 * pixel buffers: they are copied into the arena when the fence behind the read has passed, and the
 * ring's thread goes on meanwhile. EGL is asked whether it has passed, since changing contexts
 * would flush the GPU's work. A GPU may execute the commands of two contexts in any order, although
 * they come from one thread and draw to one surface: so each context is made to wait for the other.
 */
#include "backend/wsi/wsi.h"

#define GL_GLEXT_PROTOTYPES
#include <GL/gl.h>
#include <GL/glext.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { READBACKS = 3 };

struct readback_frame {
    GLuint buffer;
    uint64_t size; /* of the buffer */
    /* can be asked about without a context; if EGL has none, a fence of GL is used: */
    EGLSyncKHR fence;
    GLsync gl_fence;
    uint32_t ticket;
    uint8_t *to;
    uint32_t width, height, stride;
};

struct wsi_readback {
    bool can_invert;
    struct readback_frame slot[READBACKS]; /* a circular buffer: the oldest is at `first` */
    unsigned first, count;
    uint8_t *rows; /* a frame upside down, where the device cannot flip it */
    uint64_t rows_size;
};

#define GL(name) ((__typeof__(&name))xg_glr_proc(#name))

static EGLContext helper_make(struct wsi_state *s, EGLConfig config)
{
    struct xg_wsi_context_create c = {.api = XG_GL_COMPAT, .major = 1};
    return xg_wsir_context_make(s, &c, config, EGL_NO_CONTEXT);
}

static void frame_reply(struct xg_worker_ring *r, uint32_t ticket, uint32_t width, uint32_t height)
{
    struct xg_wsi_read_frame_reply reply = {.width = width, .height = height};
    xg_worker_count(r->worker, XG_COUNT_FRAMES, 1);
    xg_reply(r, ticket, 0, &reply, sizeof(reply));
}

static struct readback_frame *pending_take(struct wsi_readback *b)
{
    struct readback_frame *p = &b->slot[b->first];
    b->first = (b->first + 1) % READBACKS;
    b->count--;
    return p;
}

/* Frees the buffers with the context. Whoever waits for a frame that will not come gets an
 * answer. */
static void helper_drop(struct xg_worker_ring *r, struct wsi_state *s, struct wsi_ring *w)
{
    if (w->helper != EGL_NO_CONTEXT)
        s->egl.DestroyContext(s->display, w->helper);
    w->helper = EGL_NO_CONTEXT;
    while (w->readback && w->readback->count) {
        struct readback_frame *p = pending_take(w->readback);
        if (p->fence != EGL_NO_SYNC_KHR)
            s->egl.DestroySync(s->display, p->fence);
        frame_reply(r, p->ticket, 0, 0);
    }
    if (w->readback)
        free(w->readback->rows);
    free(w->readback);
    w->readback = NULL;
}

/* Makes the helper context current on the draw surface, creating it first. */
static bool helper_enter(struct xg_worker_ring *r, struct wsi_state *s, struct wsi_ring *w)
{
    EGLConfig config = s->info.flags & XG_WSI_INFO_NO_CONFIG ? NULL : w->draw->config;

    if (w->helper != EGL_NO_CONTEXT && w->helper_config != config)
        helper_drop(r, s, w); /* no read is under way: changing surfaces completed them */
    bool fresh = w->helper == EGL_NO_CONTEXT;
    if (fresh) {
        w->helper = helper_make(s, config);
        w->helper_config = config;
        w->readback = calloc(1, sizeof(*w->readback));
    }
    if (!w->readback || w->helper == EGL_NO_CONTEXT || !xg_wsir_api_bind(s, XG_GL_COMPAT) ||
        !s->egl.MakeCurrent(s->display, w->draw->egl, w->draw->egl, w->helper)) {
        xg_worker_log(s->worker, "frames cannot be read: EGL error 0x%x", s->egl.GetError());
        helper_drop(r, s, w);
        return false;
    }
    if (fresh) {
        w->readback->can_invert = xg_egl_extension_in((const char *)GL(glGetString)(GL_EXTENSIONS),
                                                      "GL_MESA_pack_invert");
        if (w->readback->can_invert && !s->async_read)
            GL(glPixelStorei)(GL_PACK_INVERT_MESA, 1);
    }
    return true;
}

static void helper_leave(struct wsi_state *s, struct wsi_ring *w)
{
    xg_wsir_api_bind(s, w->context->api);
    s->egl.MakeCurrent(s->display, w->draw ? w->draw->egl : EGL_NO_SURFACE,
                       w->read ? w->read->egl : EGL_NO_SURFACE, w->context->egl);
}

/* Marks what the current context of the bound API has been given so far; EGL_NO_SYNC_KHR: that is
 * done already. */
static EGLSyncKHR order_mark(struct wsi_state *s)
{
    EGLSyncKHR sync = s->egl.CreateSync ? s->egl.CreateSync(s->display, EGL_SYNC_FENCE_KHR, NULL)
                                        : EGL_NO_SYNC_KHR;

    if (sync == EGL_NO_SYNC_KHR)
        GL(glFinish)();
    return sync;
}

/* What the current context of the bound API gets from now on is executed after the mark, which has
 * been flushed. */
static void order_after(struct wsi_state *s, EGLSyncKHR sync)
{
    if (sync == EGL_NO_SYNC_KHR)
        return;
    if (!s->egl.WaitSync || !s->egl.WaitSync(s->display, sync, 0))
        s->egl.ClientWaitSync(s->display, sync, 0, EGL_FOREVER_KHR);
}

static void rows_turn(uint8_t *to, uint32_t stride, const uint8_t *from, uint32_t width,
                      uint32_t height)
{
    for (uint32_t y = 0; y < height; y++)
        memcpy(to + (uint64_t)y * stride, from + (uint64_t)(height - 1 - y) * width * 4,
               width * 4ull);
}

static bool read_now(struct wsi_readback *b, const struct wsi_surface *f, uint8_t *to,
                     uint32_t stride, uint32_t width, uint32_t height)
{
    GLint y = (GLint)(f->height - height);
    uint64_t need = (uint64_t)width * height * 4;

    if (b->can_invert) {
        GL(glPixelStorei)(GL_PACK_ROW_LENGTH, (GLint)(stride / 4));
        GL(glReadPixels)(0, y, (GLsizei)width, (GLsizei)height, GL_BGRA, GL_UNSIGNED_BYTE, to);
        return true;
    }
    if (b->rows_size < need) {
        free(b->rows);
        b->rows = malloc(need);
        b->rows_size = b->rows ? need : 0;
        if (!b->rows)
            return false;
    }
    GL(glReadPixels)(0, y, (GLsizei)width, (GLsizei)height, GL_BGRA, GL_UNSIGNED_BYTE, b->rows);
    rows_turn(to, stride, b->rows, width, height);
    return true;
}

/* --- through pixel buffers; the helper context is current ------------------------------------- */

static void pending_start(struct wsi_state *s, struct wsi_readback *b, const struct wsi_surface *f,
                          struct readback_frame job)
{
    struct readback_frame *p = &b->slot[(b->first + b->count++) % READBACKS];
    uint64_t need = (uint64_t)job.width * job.height * 4;

    job.buffer = p->buffer;
    job.size = p->size;
    *p = job;
    if (!p->buffer)
        GL(glGenBuffers)(1, &p->buffer);
    GL(glBindBuffer)(GL_PIXEL_PACK_BUFFER, p->buffer);
    if (p->size < need) {
        GL(glBufferData)(GL_PIXEL_PACK_BUFFER, (GLsizeiptr)need, NULL, GL_STREAM_READ);
        p->size = need;
    }
    GL(glReadPixels)
    (0, (GLint)(f->height - p->height), (GLsizei)p->width, (GLsizei)p->height, GL_BGRA,
     GL_UNSIGNED_BYTE, NULL);
    GL(glBindBuffer)(GL_PIXEL_PACK_BUFFER, 0);
    p->fence = order_mark(s);
    if (p->fence == EGL_NO_SYNC_KHR)
        p->gl_fence = GL(glFenceSync)(GL_SYNC_GPU_COMMANDS_COMPLETE, 0);
    GL(glFlush)();
}

/* The frame is read before the application's context, which is current, draws the next one. */
static void pending_order(struct wsi_state *s, const struct wsi_readback *b)
{
    order_after(s, b->slot[(b->first + b->count - 1) % READBACKS].fence);
}

/* Whether the oldest read-back is ready; with `wait`, waits for it. If the fence is one of GL, the
 * helper context must be current. */
static bool pending_ready(struct wsi_state *s, struct wsi_readback *b, bool wait)
{
    struct readback_frame *p = &b->slot[b->first];
    uint64_t timeout = wait ? 1000000000u : 0;
    bool late;

    if (p->fence != EGL_NO_SYNC_KHR) {
        late = s->egl.ClientWaitSync(s->display, p->fence, 0, timeout) == EGL_TIMEOUT_EXPIRED_KHR;
    } else {
        late = GL(glClientWaitSync)(p->gl_fence, 0, timeout) == GL_TIMEOUT_EXPIRED;
    }
    return !late || wait; /* mapping the buffer waits, if the fence did not pass in time */
}

/* Completes the oldest read-back. */
static void pending_finish(struct xg_worker_ring *r, struct wsi_state *s, struct wsi_readback *b)
{
    struct readback_frame *p = pending_take(b);

    if (p->fence != EGL_NO_SYNC_KHR)
        s->egl.DestroySync(s->display, p->fence);
    else
        GL(glDeleteSync)(p->gl_fence);
    GL(glBindBuffer)(GL_PIXEL_PACK_BUFFER, p->buffer);
    const uint8_t *pixels = GL(glMapBufferRange)(
        GL_PIXEL_PACK_BUFFER, 0, (GLsizeiptr)p->width * p->height * 4, GL_MAP_READ_BIT);
    if (pixels) {
        rows_turn(p->to, p->stride, pixels, p->width, p->height);
        GL(glUnmapBuffer)(GL_PIXEL_PACK_BUFFER);
    }
    GL(glBindBuffer)(GL_PIXEL_PACK_BUFFER, 0);
    frame_reply(r, p->ticket, pixels ? p->width : 0, pixels ? p->height : 0);
}

#define POLL_NS 200000u

uint64_t xg_wsir_frames_poll(struct xg_worker_ring *r, struct wsi_state *s, bool all)
{
    struct wsi_ring *w = r->api[XG_API_WSI];
    struct wsi_readback *b = w ? w->readback : NULL;

    if (!b || !b->count)
        return UINT64_MAX;
    if (b->slot[b->first].fence != EGL_NO_SYNC_KHR && !pending_ready(s, b, all))
        return POLL_NS;
    if (helper_enter(r, s, w)) {
        while (b->count && pending_ready(s, b, all))
            pending_finish(r, s, b);
        uint64_t again = b->count ? POLL_NS : UINT64_MAX;
        helper_leave(s, w);
        return again;
    }
    helper_leave(s, w);
    return UINT64_MAX;
}

/* --- the guest's frame limit ------------------------------------------------------------------ */

#define LIMIT_LOOK_NS 20000000u /* the limit may change */

/* When the window may show its next frame; 0: at any time. */
static uint64_t frame_due(const struct wsi_state *s, const struct wsi_surface *f)
{
    uint32_t limit = xg_worker_frame_limit(s->worker);
    return limit ? f->frame_at + 1000000000u / limit : 0;
}

/* Delays the frame until its window may show another one, without holding the device. Work for this
 * frame goes on, and so do earlier frames. */
static void frame_hold_back(struct xg_worker_ring *r, struct wsi_state *s, struct wsi_surface *f)
{
    uint64_t now = xg_now_ns(), due = frame_due(s, f);

    if (now < due) {
        xg_wsir_flight_idle(r, s);
        xg_device_pause(r);
        while (now < due) {
            uint64_t again = xg_wsir_frames_poll(r, s, false);
            uint64_t ns = xg_min_u64(xg_min_u64(due - now, again), LIMIT_LOOK_NS);
            nanosleep(&(struct timespec){.tv_nsec = (long)ns}, NULL);
            now = xg_now_ns();
            due = frame_due(s, f);
        }
        xg_device_resume(r);
    }
    /* a frame that is late by less than one period does not make the next one late */
    f->frame_at = due && now - due < due - f->frame_at ? due : now;
}

/* --- the command ------------------------------------------------------------------------------ */

void xg_wsir_read_frame(struct xg_worker_ring *r, struct wsi_state *s,
                        const struct xg_wsi_read_frame *c, struct xg_reader *rd)
{
    struct wsi_ring *w = r->api[XG_API_WSI];

    pthread_mutex_lock(&s->lock);
    struct wsi_surface *f = xg_table_get(&s->surfaces, c->surface);
    pthread_mutex_unlock(&s->lock);
    if (!w || !w->context || !f || w->draw != f || c->flags) {
        xg_reader_fail(rd, "reads a surface that is not drawn to on this ring");
        return;
    }
    if (!c->width || !c->height || c->width > XG_WSI_SIZE_MAX || c->height > XG_WSI_SIZE_MAX ||
        c->stride % 4 || c->stride < c->width * 4 || c->stride > XG_WSI_SIZE_MAX * 4) {
        xg_reader_fail(rd, "bad frame size");
        return;
    }
    uint8_t *to = xg_arena_at(rd, c->where, (uint64_t)c->stride * c->height);
    if (!to)
        return;
    frame_hold_back(r, s, f);

    uint32_t width = (uint32_t)xg_min_u64(c->width, f->width);
    uint32_t height = (uint32_t)xg_min_u64(c->height, f->height);
    EGLSyncKHR drawn = EGL_NO_SYNC_KHR;
    /* inside glBegin and glEnd nothing may be asked of its context */
    bool done = false, begun = !xg_glr_work(r);
    if (s->async_read && !begun && xg_wsir_api_bind(s, w->context->api))
        drawn = order_mark(s);
    bool entered = helper_enter(r, s, w);
    if (drawn != EGL_NO_SYNC_KHR) {
        if (entered)
            order_after(s, drawn);
        s->egl.DestroySync(s->display, drawn);
    }
    if (entered) {
        struct wsi_readback *b = w->readback;
        if (s->async_read) {
            /* a ring that is never idle completes read-backs here */
            while (b->count && pending_ready(s, b, b->count == READBACKS))
                pending_finish(r, s, b);
            pending_start(s, b, f,
                          (struct readback_frame){.ticket = r->ticket,
                                                  .to = to,
                                                  .width = width,
                                                  .height = height,
                                                  .stride = c->stride});
            xg_wsir_fence(r, s, EGL_OPENGL_API);
            helper_leave(s, w);
            if (!begun)
                pending_order(s, b);
            return;
        }
        done = read_now(b, f, to, c->stride, width, height);
        if (xg_glr_work(r))
            xg_glr_work(r)->commands = xg_glr_work(r)->draws = 0; /* the device has done it all */
    }
    helper_leave(s, w);
    frame_reply(r, r->ticket, done ? width : 0, done ? height : 0);
}

void xg_wsir_frames_fini(struct xg_worker_ring *r, struct wsi_state *s)
{
    struct wsi_ring *w = r->api[XG_API_WSI];
    if (w)
        helper_drop(r, s, w);
}
