/* SwapBuffers, and showing what was drawn to a front buffer. */
#include "interposer/wsi/internal.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

/* SwapBuffers returns when at most this many frames are not shown yet. */
#define FRAMES_UNSEEN 2u

int xg_wsi_present(struct xg_wsi_context *c, struct xg_wsi_drawable *d, struct presenter *p)
{
    struct wsi_frame f = {.ring = c->ring, .width = d->width, .height = d->height};
    uint32_t where, ticket;

    if (!p || !d->created || atomic_load_explicit(&d->gone, memory_order_relaxed))
        return 0;
    f.stride = (f.width * 4 + 63) & ~63u;
    xg_gl_sync_point(c->gl);
    xg_wsi_ring_take(c);
    xg_wsi_ring_give(c, true); /* so that the worker can go on while this thread waits for a slot */
    int err = xg_presenter_slot(p, (uint64_t)f.stride * f.height, &f.slot, &where);
    if (err) {
        static _Atomic bool said;
        if (err == -ENOMEM && !atomic_exchange(&said, true))
            fprintf(stderr,
                    "xengpu: a window of %ux%u cannot be shown: the channel's arena is full "
                    "(arena= in the guest's configuration)\n",
                    f.width, f.height);
        return err;
    }
    xg_wsi_ring_take(c);
    struct xg_wsi_read_frame how = {.surface = d->name,
                                    .where = where,
                                    .width = f.width,
                                    .height = f.height,
                                    .stride = f.stride};
    xg_wsi_send_read_frame(c->ring, &how, &ticket);
    xg_wsi_ring_give(c, true);
    f.ticket = ticket;
    xg_presenter_submit(p, &f);
    d->front_used = false;
    return 0;
}

void xg_wsi_swap(struct xg_wsi_drawable *d)
{
    struct xg_wsi_context *c = xg_wsi_current();

    if (!c || c->draw != d || d->kind != XG_WSI_WINDOW)
        return;
    if (XG_UNLIKELY(xg_ring_dead(c->ring))) {
        /* a program that draws as fast as it can must not use up the processor for nothing */
        usleep(10000);
        return;
    }
    if (!d->double_buffered) {
        xg_gl_flush(c->gl);
        xg_wsi_flush_front(c);
        xg_wsi_pace(d);
        return;
    }
    xg_wsi_present(c, d, d->presenter);
    xg_presenter_wait_flight(d->presenter, FRAMES_UNSEEN);
    xg_wsi_pace(d);
    xg_wsi_drawable_follow(c, d);
}

/* After glFlush and calls that imply it: shows what was drawn to a front buffer. */
void xg_wsi_flush_front(struct xg_wsi_context *c)
{
    struct xg_wsi_drawable *d = c->draw;

    if (!d || d->kind == XG_WSI_PBUFFER || (d->double_buffered && !d->front_used))
        return;
    xg_wsi_present(c, d, d->presenter);
    d->front_used = c->front;
    if (d->kind == XG_WSI_PIXMAP) /* the program may use the pixmap next, by its own X connection */
        xg_presenter_wait_shown(d->presenter);
    else
        xg_presenter_wait_flight(d->presenter, FRAMES_UNSEEN);
}

void xg_wsi_wait_shown(struct xg_wsi_drawable *d)
{
    if (d->presenter)
        xg_presenter_wait_shown(d->presenter);
}
