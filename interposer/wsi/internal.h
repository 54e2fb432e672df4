/* Between the files of this folder. */
#ifndef XG_INTERPOSER_WSI_INTERNAL_H
#define XG_INTERPOSER_WSI_INTERNAL_H

#include "interposer/wsi/wsi.h"
#include "wsi/send.h"

extern pthread_mutex_t xg_wsi_lock; /* for: which context is current where, references, marks */
extern pthread_mutex_t xg_wsi_windows_lock, xg_wsi_host_lock;

/* fork.c: makes fork safe from now on. The channel is open already: its own fork handler must run
 * after these. */
void xg_wsi_fork_watch(void);

/* Frames on the context's ring: take the ring, begin frames as often as wanted, give the ring back.
 * On a shared ring this takes the ring's lock and makes the context the ring's current one. */
void xg_wsi_ring_take(struct xg_wsi_context *c);
void xg_wsi_ring_give(struct xg_wsi_context *c, bool publish);
/* Borrows a ring for a command, where no context's ring may be written to. It is never the
 * process's own (ring 0), where a CUDA call may be waiting. Borrow it, write the command, publish
 * it, wait for the position or a reply, then return the ring. */
struct xg_ring *xg_wsi_ring_borrow(void);
uint64_t xg_wsi_ring_said(struct xg_ring *r); /* publishes; returns the position to wait for */
void xg_wsi_ring_return(struct xg_ring *r);
/* Waits for a call on a ring that the caller has taken and given back. */
int xg_wsi_call_wait(struct xg_ring *r, uint32_t ticket);
void xg_wsi_take_ring(struct xg_gl_context *gl);

/* Names on the wire, one space for each kind. */
struct xg_wsi_names {
    uint32_t *free;
    uint32_t free_count, free_size, next, max;
};
extern struct xg_wsi_names xg_wsi_context_names, xg_wsi_surface_names, xg_wsi_sync_names;
uint32_t xg_wsi_name_take(struct xg_wsi_names *n); /* 0: no name is left; under xg_wsi_lock */
void xg_wsi_name_give(struct xg_wsi_names *n, uint32_t name);

/* drawable.c */
int xg_wsi_drawable_create(struct xg_wsi_context *c,
                           /* creates it on the host, if it is not there yet */
                           struct xg_wsi_drawable *d);
/* At the last reference; call it without xg_wsi_lock. */
void xg_wsi_drawable_destroy(struct xg_wsi_drawable *d);
void xg_wsi_drawable_describe(const struct xg_wsi_drawable *d, struct xg_gl_drawable *out);
/* X reports the window's new size. */
void xg_wsi_window_resized(struct xg_wsi_drawable *d, uint32_t width, uint32_t height);
/* The same, from the application's own connection: it may be about several drawables or none. */
void xg_wsi_window_told(xcb_connection_t *app, uint32_t window, uint32_t width, uint32_t height);
/* Makes `d` as large as its window. `d` is the current context's. */
void xg_wsi_drawable_follow(struct xg_wsi_context *c, struct xg_wsi_drawable *d);

/* swap.c */
/* Shows the contents of `d` where `p` shows frames. 0, -ENOMEM, -ENODEV. */
int xg_wsi_present(struct xg_wsi_context *c, struct xg_wsi_drawable *d, struct presenter *p);
void xg_wsi_flush_front(struct xg_wsi_context *c);

/* pace.c */
/* After a frame: waits as the swap interval says. */
void xg_wsi_pace(struct xg_wsi_drawable *d);
/* Nanoseconds between refreshes of the screen where the window is. */
uint64_t xg_screen_period(xcb_connection_t *x, uint32_t window);

/* presenter.c */
struct wsi_frame {
    struct xg_ring *ring;
    uint32_t ticket;
    uint32_t slot;
    uint32_t width, height, stride;
};
/* Shows frames in `xid`. `window`: gets the window's size, and learns of its end; NULL: it is a
 * pixmap. */
int xg_presenter_new(const char *display, struct xg_wsi_drawable *window, uint32_t xid,
                     uint8_t depth, struct presenter **out);
/* False: the caller is in a signal handler that interrupted this thread's own wait for the
 * presenter or for the worker, or in a child of the process that made it. Then it shows nothing any
 * more (in this process), but its memory and the drawable stay. */
bool xg_presenter_free(struct presenter *p);
/* Memory for a frame: its slot, and where the slot lies in the arena. Waits until one is free.
 * -ENOMEM, -ENODEV. */
int xg_presenter_slot(struct presenter *p, uint64_t size, uint32_t *slot, uint32_t *where);
void xg_presenter_submit(struct presenter *p, const struct wsi_frame *f);
void xg_presenter_wait_flight(struct presenter *p, unsigned at_most);
void xg_presenter_wait_shown(struct presenter *p);
uint64_t xg_presenter_period(struct presenter *p);

/* screen.c: how pixels get to the X server */
struct screen;
/* `events`: it is a window whose structure events are wanted. */
struct screen *xg_screen_open(const char *display, uint32_t drawable, uint8_t depth, bool events);
void xg_screen_close(struct screen *s);
xcb_connection_t *xg_screen_connection(struct screen *s);
/* Sends the image. *sequence: when the request of this number is complete, `pixels` is free; 0: it
 * is free already. */
int xg_screen_put(struct screen *s, const uint8_t *pixels, uint32_t width, uint32_t height,
                  uint32_t stride, uint32_t *sequence);
/* Whether the event says that the request of this number has read its pixels. */
bool xg_screen_completes(struct screen *s, const xcb_generic_event_t *e, uint32_t sequence);
bool xg_screen_broken(struct screen *s);

#endif
