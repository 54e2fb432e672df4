/* A worker's life: map, bind, drop privileges, serve. */
#include "backend/worker/internal.h"
#include "protocol/log.h"

#include <dlfcn.h>
#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

void xg_worker_log(const struct xg_worker *w, const char *fmt, ...)
{
    char text[XG_LOG_MAX];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    xg_log_line(XG_LOG_WARNING, w->req->guest, "%s", text); /* the broker adds which guest it is */
}

void xg_worker_die(struct xg_worker *w, enum xg_ring_error error, int status)
{
    for (uint32_t i = 0; i < w->req->geometry.ring_count; i++) {
        struct xg_worker_ring *r = &w->rings[i];
        if (!r->priv)
            continue;
        atomic_store(&r->page->error, (uint32_t)error);
        xg_event_notify(&r->priv->event);
    }
    /* not exit(): it would run destructors of drivers while other threads are inside these
     * drivers */
    _exit(status);
}

void xg_worker_fail(struct xg_worker_ring *r, const char *why)
{
    xg_worker_log(r->worker, "ring %u: protocol error: %s; closing its channel", r->index, why);
    xg_worker_die(r->worker, XG_RING_PROTOCOL, XG_WORKER_EXIT_PROTOCOL);
}

/* --- what replay code may ask ----------------------------------------------------------------- */

void *xg_worker_state(struct xg_worker *w, uint16_t api)
{
    return w->state[api];
}

const char *xg_worker_guest(const struct xg_worker *w)
{
    return w->req->guest;
}

void xg_worker_count(struct xg_worker *w, enum xg_counter what, uint64_t n)
{
    xg_sched_count(w->sched, what, n);
}

uint32_t xg_worker_frame_limit(const struct xg_worker *w)
{
    return xg_sched_frame_limit(w->sched);
}

void xg_device_progress(struct xg_worker *w)
{
    xg_sched_progress(w->sched);
}

bool xg_device_contended(const struct xg_worker *w)
{
    return xg_sched_contended(w->sched);
}

/* Other threads may reply too, but they have no hold: for them these do nothing. */
void xg_device_pause(struct xg_worker_ring *r)
{
    if (pthread_equal(pthread_self(), r->priv->thread))
        xg_worker_unhold(r);
}

void xg_device_resume(struct xg_worker_ring *r)
{
    if (pthread_equal(pthread_self(), r->priv->thread))
        xg_worker_hold(r);
}

int xg_worker_api(struct xg_worker_ring *r, uint16_t api)
{
    struct xg_worker *w = r->worker;
    int done = atomic_load_explicit(&w->init_done[api], memory_order_acquire);

    if (XG_LIKELY(done > 0))
        return 0;
    if (done < 0)
        return done;
    /* opening a driver may take a second without using the device: others may have it meanwhile */
    xg_device_pause(r);
    pthread_mutex_lock(&w->init_lock);
    done = atomic_load(&w->init_done[api]);
    if (!done) {
        const struct xg_replay *replay = w->replay[api];
        int rc = replay ? replay->init(w, &w->req->device, &w->state[api]) : -ENOSYS;
        done = rc < 0 ? rc : 1;
        atomic_store_explicit(&w->init_done[api], done, memory_order_release);
    }
    pthread_mutex_unlock(&w->init_lock);
    xg_device_resume(r);
    return done < 0 ? done : 0;
}

/* A library in a user's own folder is opened while that is still allowed; later it is found again
 * by the same name. */
static void libraries_preload(const struct xg_worker *w)
{
    const char *library = w->req->device.cuda_library;

    if (library[0] == '/' && !dlopen(library, RTLD_NOW | RTLD_LOCAL))
        xg_worker_log(w, "%s", dlerror());
}

/* --- start ------------------------------------------------------------------------------------ */

/* A reference, not a definition: clang would assume that a weak constant stays zero. */
#pragma weak xg_worker_replays

static int rings_start(struct xg_worker *w, const struct xg_event *events)
{
    uint32_t count = w->req->geometry.ring_count;

    w->rings = calloc(count, sizeof(*w->rings));
    if (!w->rings)
        return -ENOMEM;
    for (uint32_t i = 0; i < count; i++) {
        int rc = xg_worker_ring_init(w, i, &events[i]);
        if (rc)
            return rc;
    }
    for (uint32_t i = 0; i < count; i++) {
        struct xg_worker_ring_private *p = w->rings[i].priv;
        int rc = pthread_create(&p->thread, NULL, xg_worker_ring_thread, &w->rings[i]);
        if (rc)
            return -rc;
        p->started = true;
    }
    return 0;
}

/* Drivers free and take some 10 MB again in every frame. In an application they do so on the main
 * thread, whose heap keeps freed memory. A ring's thread would have a heap of pieces of 64 MiB,
 * each of them mapped, faulted in and unmapped again: up to 1,900 page faults per frame (glmark2
 * terrain). */
static void heap_keep(void)
{
    mallopt(M_ARENA_MAX, 1);
    mallopt(M_MMAP_THRESHOLD, 32 << 20);
    mallopt(M_TRIM_THRESHOLD, 128 << 20);
}

static void sigterm_exit(int signal)
{
    (void)signal;
    _exit(XG_WORKER_EXIT_TERMINATED);
}

int xg_worker_main(const struct xg_spawn_request *req, const struct xg_spawn_fds *fds)
{
    struct xg_worker *w = calloc(1, sizeof(*w));
    struct xg_event events[XG_RINGS_MAX];
    struct xg_channel_page *page;
    int rc = -EINVAL;

    if (!w)
        return XG_WORKER_EXIT_SETUP;
    heap_keep();
    w->req = req;
    w->watch = fds->watch;
    if (xg_worker_replays)
        memcpy(w->replay, xg_worker_replays, sizeof(w->replay));
    pthread_mutex_init(&w->init_lock, NULL);
    pthread_mutex_init(&w->hold_lock, NULL);
    pthread_mutex_init(&w->order_lock, NULL);
    pthread_cond_init(&w->order_woken, NULL);
    signal(SIGPIPE, SIG_IGN);
    if (getpid() == 1) /* process 1 has no default action for signals */
        signal(SIGTERM, sigterm_exit);

    if (!xg_geometry_valid(&req->geometry) || (rc = xg_worker_map(w, fds, events)) < 0) {
        xg_worker_log(w, "cannot map its channel: %s", strerror(-rc));
        return XG_WORKER_EXIT_SETUP;
    }
    rc = xg_sched_client_create(fds->sched_page, fds->sched_kick, req->sched_slot, &w->sched);
    xg_worker_surroundings(w);
    libraries_preload(w);
    if (rc == 0)
        rc = xg_worker_text_capture();
    if (rc == 0)
        rc = xg_worker_sandbox(w);
    page = (struct xg_channel_page *)w->base;
    page->memory_limit = req->memory_limit;
    page->back_alive = 1;
    if (rc == 0)
        rc = rings_start(w, events);
    if (rc < 0) {
        xg_worker_log(w, "cannot start: %s", strerror(-rc));
        return XG_WORKER_EXIT_SETUP;
    }
    for (;;)
        pause(); /* the spawner kills this process when the channel closes */
}
