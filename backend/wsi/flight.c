/*
 * Work that the device still does after the commands were replayed. It is fenced, so that the guest
 * holds the device, and is charged for it, until the work is done; and it is limited, so that
 * others need not wait long.
 *
 * Any thread may ask about a fence of EGL, without a context. One thread per worker does so,
 * because a ring's thread may sleep where it cannot ask. It asks again and again instead of
 * waiting: some versions of Mesa hold the display's lock while they wait.
 */
#include "backend/wsi/wsi.h"
#include "protocol/cond.h"

#include <stdlib.h>
#include <time.h>

#define FENCES     64u
#define FENCES_MIN 2u    /* this many are always allowed, if none takes long */
#define DRAWS_MAX  1024u /* at most, between two fences */
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
    struct fence fence[FENCES]; /* a circular buffer: the oldest is at `first` */
    unsigned first, count;
    uint64_t draws;   /* the draws before all these fences */
    uint64_t draw_ns; /* how long one draw takes, measured between fences; 0: not known yet */
    uint32_t most;    /* twice the largest number of draws before a fence that has passed */
    uint64_t passed_at;
};

/* --- the thread that asks about fences -------------------------------------------------------- */

static bool fence_passed(struct wsi_state *s, EGLSyncKHR sync)
{
    return s->egl.ClientWaitSync(s->display, sync, 0, 0) != EGL_TIMEOUT_EXPIRED_KHR;
}

/* The longer the work takes, the less another short pause matters. */
static void pause_after(uint64_t elapsed)
{
    uint64_t ns = xg_max_u64(ASK_MIN_NS, xg_min_u64(elapsed / 16, ASK_MAX_NS));
    nanosleep(&(struct timespec){.tv_nsec = (long)ns}, NULL);
}

/* Under the lock. */
static void draws_measure(struct wsi_flight *f, const struct fence *done, uint64_t now)
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
        draws_measure(f, &oldest, xg_now_ns());
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

/* Under the lock: whether the device has as much work as it may have. */
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

/* Under the lock. Wakes up now and then, since flight_full may change although no fence passes. */
static void flight_wait(struct wsi_state *s)
{
    struct wsi_flight *f = s->flight;

    while (flight_full(s) && !f->closing)
        (void)xg_cond_wait_ns(&f->passed, &f->lock, 10000000);
}

/* How many draws are allowed before the next fence: half of the time that may be in flight. A CPU
 * renderer starts only at a flush, and each flush makes it write and read the picture again: so it
 * gets the time of a guest that is alone. The number grows only step by step: otherwise a program
 * whose next draws take a thousand times as long would be noticed only after others had waited for
 * all of them. */
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
    /* the fence belongs to the current context of the bound API */
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

    /* a GPU's driver may have started work that was not flushed */
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

/* No thread adds work any more. */
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
