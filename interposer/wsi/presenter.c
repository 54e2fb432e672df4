/*
 * A window's or pixmap's presenter: a thread with its own connection to the X server. It sleeps
 * until the worker has read a frame back, and puts it into the window from the same pages that the
 * worker wrote.
 *
 * A slot is arena memory for one frame. Its states follow in a circle: free, used by the worker,
 * used by the X server, free.
 */
#include "interposer/wsi/internal.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>

/* One for the X server, one for the worker, one that the application asks for. */
enum { SLOTS = 3 };

enum slot_state { SLOT_FREE, SLOT_TAKEN, SLOT_ON_SCREEN };

struct frame_slot {
    enum slot_state state;
    uint8_t *memory;
    uint32_t where;
    uint64_t size;
    uint32_t sequence; /* of the X request that reads this slot */
};

struct presenter {
    /* it gets the size that X reports; NULL: the target is a pixmap */
    struct xg_wsi_drawable *window;
    uint32_t xid;
    struct screen *screen;
    uint64_t generation; /* the channel's */
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t work; /* the presenter waits on it: a frame was submitted, or it must end */
    pthread_cond_t done; /* others wait on it: a frame was shown, or a slot is free */
    unsigned held;       /* how often its thread holds the lock; see done_wait */
    unsigned waiting;    /* threads in done_wait */
    bool ending;
    struct frame_slot slot[SLOTS];
    struct wsi_frame queue[SLOTS];
    unsigned head, queued; /* submitted, but not shown yet */
    unsigned on_screen;    /* slots that the X server reads */
    unsigned oldest;       /* the oldest of these */
    unsigned order[SLOTS];
};

static void presenter_lock(struct presenter *p)
{
    pthread_mutex_lock(&p->lock);
    p->held++;
}

static void presenter_unlock(struct presenter *p)
{
    p->held--;
    pthread_mutex_unlock(&p->lock);
}

/* We are in a child process: the presenter's thread and connection belong to the parent. */
static bool presenter_inherited(const struct presenter *p)
{
    return p->generation != xg_channel_generation();
}

/* Waits until a slot is free or a frame was shown. False: that will not happen, since the presenter
 * ends; or this is a signal handler, and the thread that it interrupted holds the lock. */
static bool done_wait(struct presenter *p)
{
    if (p->ending || p->held > 1)
        return false;
    p->waiting++;
    p->held--;
    pthread_cond_wait(&p->done, &p->lock);
    p->held++;
    p->waiting--;
    return !p->ending;
}

/* --- the thread ------------------------------------------------------------------------------- */

static void event_window(struct presenter *p, const xcb_generic_event_t *e)
{
    uint8_t type = e->response_type & 0x7f;

    if (!p->window)
        return;
    if (type == XCB_CONFIGURE_NOTIFY) {
        const xcb_configure_notify_event_t *n = (const xcb_configure_notify_event_t *)e;
        if (n->window == p->xid &&
            !atomic_load_explicit(&p->window->app_tells, memory_order_relaxed))
            xg_wsi_window_resized(p->window, n->width, n->height);
    } else if (type == XCB_DESTROY_NOTIFY) {
        const xcb_destroy_notify_event_t *n = (const xcb_destroy_notify_event_t *)e;
        if (n->window == p->xid)
            atomic_store_explicit(&p->window->gone, true, memory_order_relaxed);
    }
}

/* Under the lock. */
static void slot_done(struct presenter *p)
{
    p->slot[p->order[p->oldest]].state = SLOT_FREE;
    p->oldest = (p->oldest + 1) % SLOTS;
    p->on_screen--;
    pthread_cond_broadcast(&p->done);
}

static void event_take(struct presenter *p, xcb_generic_event_t *e)
{
    event_window(p, e);
    presenter_lock(p);
    /* requests complete in order, so one event may stand for earlier ones too */
    for (unsigned n = p->on_screen; n; n--) {
        unsigned last = p->order[(p->oldest + n - 1) % SLOTS];
        if (xg_screen_completes(p->screen, e, p->slot[last].sequence)) {
            while (n--)
                slot_done(p);
            break;
        }
    }
    presenter_unlock(p);
    free(e);
}

/* Handles what X has sent; with `wait`, waits until something comes. */
static void events_take(struct presenter *p, bool wait)
{
    xcb_connection_t *x = xg_screen_connection(p->screen);
    xcb_generic_event_t *e = wait ? xcb_wait_for_event(x) : xcb_poll_for_event(x);

    for (; e; e = xcb_poll_for_queued_event(x))
        event_take(p, e);
    if (xg_screen_broken(p->screen)) {
        presenter_lock(p);
        while (p->on_screen)
            slot_done(p);
        presenter_unlock(p);
    }
}

static bool presenter_gone(struct presenter *p)
{
    return p->window && atomic_load_explicit(&p->window->gone, memory_order_relaxed);
}

static void frame_show(struct presenter *p, const struct wsi_frame *f)
{
    struct frame_slot *s = &p->slot[f->slot];
    struct xg_wsi_read_frame_reply got = {.width = 0, .height = 0};
    uint32_t length = 0;
    bool put = false;

    int err = xg_ring_wait(f->ring, f->ticket, &got, sizeof(got), &length);
    if (!err && length == sizeof(got) && got.width && got.height && got.width <= f->width &&
        got.height <= f->height && !presenter_gone(p))
        put = xg_screen_put(p->screen, s->memory, got.width, got.height, f->stride, &s->sequence) ==
                  0 &&
              s->sequence != 0;

    presenter_lock(p);
    s->state = put ? SLOT_ON_SCREEN : SLOT_FREE;
    if (put)
        p->order[(p->oldest + p->on_screen++) % SLOTS] = f->slot;
    p->head = (p->head + 1) % SLOTS;
    p->queued--;
    pthread_cond_broadcast(&p->done);
    presenter_unlock(p);
    events_take(p, false);
}

static void *presenter_main(void *arg)
{
    struct presenter *p = arg;

    for (;;) {
        presenter_lock(p);
        while (!p->queued && !p->on_screen && !p->ending) {
            p->held--;
            pthread_cond_wait(&p->work, &p->lock);
            p->held++;
        }
        bool show = p->queued > 0, wait = p->on_screen > 0, end = p->ending;
        struct wsi_frame f = p->queue[p->head];
        presenter_unlock(p);
        if (show)
            frame_show(p, &f);
        else if (wait)
            events_take(p, true);
        else if (end)
            return NULL;
    }
}

/* --- for the application's threads ------------------------------------------------------------ */

int xg_presenter_new(const char *display, struct xg_wsi_drawable *window, uint32_t xid,
                     uint8_t depth, struct presenter **out)
{
    struct presenter *p = calloc(1, sizeof(*p));
    sigset_t all, old;
    int err;

    if (!p)
        return -ENOMEM;
    p->generation = xg_channel_generation();
    p->window = window;
    p->xid = xid;
    p->screen = xg_screen_open(display, xid, depth, window != NULL);
    if (!p->screen) {
        free(p);
        return -EBADF;
    }
    xg_lock_init(&p->lock);
    pthread_cond_init(&p->work, NULL);
    pthread_cond_init(&p->done, NULL);
    sigfillset(&all); /* signals are handled only by the application's own threads */
    pthread_sigmask(SIG_SETMASK, &all, &old);
    err = -pthread_create(&p->thread, NULL, presenter_main, p);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (err) {
        xg_screen_close(p->screen);
        free(p);
        return err;
    }
    pthread_setname_np(p->thread, "xengpu-present");
    *out = p;
    return 0;
}

/* The thread shows what is queued and ends. False: it cannot end soon, as we are in a signal
 * handler, and the interrupted thread holds what it needs. */
static bool thread_join(struct presenter *p, bool interrupted)
{
    uint64_t until = xg_now_ns() + 700000000u;
    struct timespec ts = {(time_t)(until / 1000000000u), (long)(until % 1000000000u)};

    if (!interrupted)
        return pthread_join(p->thread, NULL) == 0;
    if (pthread_clockjoin_np(p->thread, NULL, CLOCK_MONOTONIC, &ts) == 0)
        return true;
    pthread_detach(p->thread);
    return false;
}

bool xg_presenter_free(struct presenter *p)
{
    if (presenter_inherited(p))
        return false;
    presenter_lock(p);
    p->ending = true;
    pthread_cond_signal(&p->work);
    pthread_cond_broadcast(&p->done);
    bool locked = p->held > 1;
    bool interrupted = locked || p->waiting > 0 || xg_wait_interrupted();
    presenter_unlock(p);
    if (locked)
        pthread_detach(p->thread);
    else if (thread_join(p, interrupted))
        xg_screen_close(p->screen);
    if (interrupted)
        return false; /* the interrupted thread may come back here, so all this stays */
    for (unsigned i = 0; i < SLOTS; i++)
        if (p->slot[i].memory)
            xg_arena_free(xg_channel_get(), p->slot[i].memory);
    pthread_cond_destroy(&p->work);
    pthread_cond_destroy(&p->done);
    pthread_mutex_destroy(&p->lock);
    free(p);
    return true;
}

/* Gives a free slot memory of `size`. If the arena is full, the memory of the other free slots is
 * freed first. */
static int slot_fit(struct presenter *p, struct frame_slot *s, uint64_t size)
{
    struct xg_channel *ch = xg_channel_get();

    /* kept if it is not much too large: a user who resizes a window changes its size many times */
    if (s->memory && s->size >= size && s->size / 2 <= size)
        return 0;
    for (unsigned i = 0; i <= SLOTS; i++) {
        if (s->memory)
            xg_arena_free(ch, s->memory);
        s->memory = xg_arena_alloc(ch, xg_align_up(size, XG_PAGE_SIZE), XG_PAGE_SIZE, &s->where);
        s->size = s->memory ? xg_align_up(size, XG_PAGE_SIZE) : 0;
        if (s->memory)
            return 0;
        struct frame_slot *other = i < SLOTS ? &p->slot[i] : NULL;
        if (other && other != s && other->state == SLOT_FREE && other->memory) {
            xg_arena_free(ch, other->memory);
            other->memory = NULL;
            other->size = 0;
        }
    }
    return -ENOMEM;
}

int xg_presenter_slot(struct presenter *p, uint64_t size, uint32_t *slot, uint32_t *where)
{
    int err = -ENOMEM;

    if (presenter_inherited(p))
        return -ENODEV;
    presenter_lock(p);
    for (;;) {
        unsigned i = 0, busy = 0;
        for (unsigned k = 0; k < SLOTS; k++)
            busy += p->slot[k].state != SLOT_FREE;
        while (i < SLOTS && p->slot[i].state != SLOT_FREE)
            i++;
        err = i < SLOTS ? slot_fit(p, &p->slot[i], size) : -EBUSY;
        if (!err) {
            p->slot[i].state = SLOT_TAKEN;
            *slot = i;
            *where = p->slot[i].where;
        }
        /* the arena is full, but frames are under way: their memory will be free soon */
        if (!err || !busy || !done_wait(p))
            break;
    }
    presenter_unlock(p);
    return err;
}

void xg_presenter_submit(struct presenter *p, const struct wsi_frame *f)
{
    presenter_lock(p);
    p->queue[(p->head + p->queued++) % SLOTS] = *f;
    pthread_cond_signal(&p->work);
    presenter_unlock(p);
}

void xg_presenter_wait_flight(struct presenter *p, unsigned at_most)
{
    if (presenter_inherited(p))
        return;
    presenter_lock(p);
    while (p->queued > at_most && done_wait(p))
        ;
    presenter_unlock(p);
}

void xg_presenter_wait_shown(struct presenter *p)
{
    if (presenter_inherited(p))
        return;
    presenter_lock(p);
    while ((p->queued || p->on_screen) && done_wait(p))
        ;
    presenter_unlock(p);
}

uint64_t xg_presenter_period(struct presenter *p)
{
    return presenter_inherited(p) ? 0 : xg_screen_period(xg_screen_connection(p->screen), p->xid);
}
