/*
 * What the device goes on with after the commands were replayed: fenced, so that the guest holds
 * the device, and is charged for it, until it is done; and bounded, so that others need not wait
 * long.
 *
 * A fence of EGL may be asked for from any thread, without a context. One thread per worker asks,
 * because a ring's thread may sleep where it cannot. It asks again and again instead of waiting:
 * some versions of Mesa keep the display's lock while they wait.
 */
#include "backend/wsi/wsi.h"
#include "protocol/cond.h"

#include <stdlib.h>
#include <time.h>

#define FENCES     64u
#define FENCES_MIN 2u    /* that are always allowed, where none takes long */
#define DRAWS_MAX  1024u /* between two fences */
#define ASK_MIN_NS 50000u
#define ASK_MAX_NS 500000u

struct fence {
    EGLSyncKHR sync;
    uint32_t draws;
    uint64_t since;
};

struct wsi_flight {
    pthread_mutex_t lock;
    pthread_cond_t added, passed;
    pthread_t thread;
    bool running, closing;
    struct xg_hold hold;        /* of the device, while there is a fence */
    struct fence fence[FENCES]; /* a ring: the oldest is at `first` */
    unsigned first, count;
    uint64_t draws;   /* behind all fences together */
    uint64_t draw_ns; /* what one takes, from fence to fence; 0: not known yet */
    uint32_t most;    /* twice as many as there were behind one that has passed */
    uint64_t passed_at;
};

/* --- the thread that asks --------------------------------------------------------------------- */

static bool fence_passed(struct wsi_state *s, EGLSyncKHR sync)
{
    return s->egl.ClientWaitSync(s->display, sync, 0, 0) != EGL_TIMEOUT_EXPIRED_KHR;
}

/* The longer it takes, the less a little more matters. */
static void pause_after(uint64_t elapsed)
{
    uint64_t ns = xg_max_u64(ASK_MIN_NS, xg_min_u64(elapsed / 16, ASK_MAX_NS));
    nanosleep(&(struct timespec){.tv_nsec = (long)ns}, NULL);
}

/* Under the lock. */
static void measure(struct wsi_flight *f, const struct fence *done, uint64_t now)
{
    uint64_t start = xg_max_u64(done->since, f->passed_at);

    if (done->draws && now > start) {
        uint64_t each = xg_max_u64((now - start) / done->draws, 1);
        f->draw_ns = f->draw_ns ? (f->draw_ns * 7 + each) / 8 : each;
        f->most = (uint32_t)xg_min_u64(xg_max_u64(f->most, 2 * done->draws), DRAWS_MAX);
    }
    f->passed_at = now;
}

static void *flight_main(void *arg)
{
    struct wsi_state *s = arg;
    struct wsi_flight *f = s->flight;

    pthread_mutex_lock(&f->lock);
    while (!f->closing) {
        if (!f->count) {
            pthread_cond_wait(&f->added, &f->lock);
            continue;
        }
        struct fence oldest = f->fence[f->first];
        uint64_t start = xg_now_ns();
        bool passed;
        do {
            pthread_mutex_unlock(&f->lock);
            passed = fence_passed(s, oldest.sync);
            if (!passed)
                pause_after(xg_now_ns() - start);
            pthread_mutex_lock(&f->lock);
        } while (!passed && !f->closing);
        if (!passed)
            break;
        s->egl.DestroySync(s->display, oldest.sync);
        measure(f, &oldest, xg_now_ns());
        f->first = (f->first + 1) % FENCES;
        f->draws -= oldest.draws;
        if (--f->count == 0)
            xg_hold_drop(s->worker, &f->hold);
        pthread_cond_broadcast(&f->passed);
    }
    pthread_mutex_unlock(&f->lock);
    return NULL;
}

/* Under the lock. */
static bool flight_ready(struct wsi_state *s)
{
    struct wsi_flight *f = s->flight;

    if (!f->running)
        f->running = pthread_create(&f->thread, NULL, flight_main, s) == 0;
    return f->running;
}

/* --- fences ----------------------------------------------------------------------------------- */

/* Under the lock: whether the device has as much to do as it may. */
static bool flight_full(const struct wsi_state *s)
{
    const struct wsi_flight *f = s->flight;
    uint64_t most = xg_device_contended(s->worker) ? XG_FLIGHT_SHARED_NS : XG_FLIGHT_ALONE_NS;

    if (f->count == FENCES)
        return true;
    if (!f->draw_ns)
        return f->draws != 0;
    return f->count >= (f->draw_ns < XG_FLIGHT_ALONE_NS ? FENCES_MIN : 1) &&
           f->draws * f->draw_ns >= most;
}

/* Under the lock. The conditions change also without a fence that passes. */
static void flight_wait(struct wsi_state *s)
{
    struct wsi_flight *f = s->flight;

    while (flight_full(s) && !f->closing)
        (void)xg_cond_wait_ns(&f->passed, &f->lock, 10000000);
}

/* Half of what may be in flight. A CPU renderer does nothing before it is flushed, and what it has
 * begun must be written and read again at each flush: as if nobody else were there. No more than
 * was tried: a program that begins to draw a thousand times what takes a second is not known by
 * that before others have waited for all of it. */
static uint32_t draws_most(const struct wsi_state *s)
{
    const struct wsi_flight *f = s->flight;
    uint64_t ns =
        s->async_read && xg_device_contended(s->worker) ? XG_FLIGHT_SHARED_NS : XG_FLIGHT_ALONE_NS;

    if (!f->draw_ns)
        return XG_GLR_DRAWS_FIRST;
    return (uint32_t)xg_min_u64(xg_max_u64(ns / 2 / f->draw_ns, 1), f->most);
}

void xg_wsir_fence(struct xg_worker_ring *r, struct wsi_state *s, EGLenum api)
{
    struct xg_glr_work *work = xg_glr_work(r);
    struct wsi_flight *f = s->flight;
    EGLSyncKHR sync = EGL_NO_SYNC_KHR;

    if (!work || !work->commands)
        return;
    /* The fence belongs to the current context of the API that is bound. */
    if (s->egl.CreateSync && s->egl.BindAPI(api))
        sync = s->egl.CreateSync(s->display, EGL_SYNC_FENCE_KHR, NULL);
    if (sync != EGL_NO_SYNC_KHR) {
        xg_glr_flush();
        pthread_mutex_lock(&f->lock);
        if (flight_ready(s)) {
            flight_wait(s);
            f->fence[(f->first + f->count) % FENCES] =
                (struct fence){sync, work->draws, xg_now_ns()};
            f->draws += work->draws;
            if (f->count++ == 0)
                xg_hold_keep(s->worker, &f->hold);
            pthread_cond_signal(&f->added);
        } else {
            s->egl.DestroySync(s->display, sync);
        }
        work->most = draws_most(s);
        pthread_mutex_unlock(&f->lock);
    }
    work->commands = work->draws = 0;
    work->flushed = false;
}

void xg_wsir_submitted(struct xg_worker_ring *r)
{
    struct wsi_state *s = xg_worker_state(r->worker, XG_API_WSI);
    struct wsi_ring *w = r->api[XG_API_WSI];

    if (s && w && w->context)
        xg_wsir_fence(r, s, w->context->api >= XG_GL_ES1 ? EGL_OPENGL_ES_API : EGL_OPENGL_API);
}

void xg_wsir_flight_idle(struct xg_worker_ring *r, struct wsi_state *s)
{
    const struct xg_glr_work *work = xg_glr_work(r);

    /* A GPU's driver may have begun with what was not flushed. */
    if (work && (work->flushed || s->async_read))
        xg_wsir_submitted(r);
}

/* --- begin and end ---------------------------------------------------------------------------- */

int xg_wsir_flight_init(struct wsi_state *s)
{
    struct wsi_flight *f = s->flight = calloc(1, sizeof(*f));

    if (!f)
        return -1;
    pthread_mutex_init(&f->lock, NULL);
    pthread_cond_init(&f->added, NULL);
    pthread_cond_init(&f->passed, NULL);
    return 0;
}

/* Nobody adds any more. */
void xg_wsir_flight_fini(struct wsi_state *s)
{
    struct wsi_flight *f = s->flight;

    if (!f)
        return;
    pthread_mutex_lock(&f->lock);
    f->closing = true;
    pthread_cond_broadcast(&f->added);
    pthread_mutex_unlock(&f->lock);
    if (f->running)
        pthread_join(f->thread, NULL);
    for (; f->count; f->count--, f->first = (f->first + 1) % FENCES)
        s->egl.DestroySync(s->display, f->fence[f->first].sync);
    pthread_cond_destroy(&f->passed);
    pthread_cond_destroy(&f->added);
    pthread_mutex_destroy(&f->lock);
    free(f);
    s->flight = NULL;
}
