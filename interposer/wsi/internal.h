/* Between the files of this folder. */
#ifndef XG_INTERPOSER_WSI_INTERNAL_H
#define XG_INTERPOSER_WSI_INTERNAL_H

#include "interposer/wsi/wsi.h"
#include "wsi/send.h"

extern pthread_mutex_t xg_wsi_lock; /* who is current where, references, marks */
extern pthread_mutex_t xg_wsi_windows_lock, xg_wsi_host_lock;

/* fork.c: from now on. The channel is open: its own handler has to come after these. */
void xg_wsi_fork_watch(void);

/* A frame on the context's ring: take, begin as often as wanted, give. On a shared ring this takes
 * the ring's lock and makes the context the ring's current one. */
void xg_wsi_ring_take(struct xg_wsi_context *c);
void xg_wsi_ring_give(struct xg_wsi_context *c, bool publish);
/* A ring for the occasion, where no context's ring may be written to: never the process's own (ring
 * 0), where a CUDA call may be waiting. Say, then wait for the position or a reply, then give back.
 */
struct xg_ring *xg_wsi_ring_borrow(void);
uint64_t xg_wsi_ring_said(struct xg_ring *r); /* publishes; the position to wait for */
void xg_wsi_ring_return(struct xg_ring *r);
/* A command as a call on a ring that the caller has taken and given back; waits. */
int xg_wsi_call_wait(struct xg_ring *r, uint32_t ticket);
void xg_wsi_take_ring(struct xg_gl_context *gl);

/* Names on the wire, one space for each kind. */
struct xg_wsi_names {
    uint32_t *free;
    uint32_t free_count, free_size, next, max;
};
extern struct xg_wsi_names xg_wsi_context_names, xg_wsi_surface_names, xg_wsi_sync_names;
uint32_t xg_wsi_name_take(struct xg_wsi_names *n); /* 0: none left; under xg_wsi_lock */
void xg_wsi_name_give(struct xg_wsi_names *n, uint32_t name);

/* drawable.c */
int xg_wsi_drawable_create(struct xg_wsi_context *c,
                           struct xg_wsi_drawable *d);   /* on the host, if it is not there yet */
void xg_wsi_drawable_destroy(struct xg_wsi_drawable *d); /* last reference; without xg_wsi_lock */
void xg_wsi_drawable_describe(const struct xg_wsi_drawable *d, struct xg_gl_drawable *out);
/* X says that the window is now so large. */
void xg_wsi_window_resized(struct xg_wsi_drawable *d, uint32_t width, uint32_t height);
/* The application's connection does, for whichever drawables that is. */
void xg_wsi_window_told(xcb_connection_t *app, uint32_t window, uint32_t width, uint32_t height);
/* Follows the window's size. `d` is the current context's. */
void xg_wsi_drawable_follow(struct xg_wsi_context *c, struct xg_wsi_drawable *d);

/* swap.c */
/* What is in `d` goes to where `p` shows it. 0, -ENOMEM, -ENODEV. */
int xg_wsi_present(struct xg_wsi_context *c, struct xg_wsi_drawable *d, struct presenter *p);
void xg_wsi_flush_front(struct xg_wsi_context *c);

/* pace.c */
/* After a frame: waits as the swap interval says. */
void xg_wsi_pace(struct xg_wsi_drawable *d);
/* Nanoseconds between refreshes of the screen where the window is. */
uint64_t xg_screen_period(xcb_connection_t *x, uint32_t window);

/* presenter.c */
struct frame {
    struct xg_ring *ring;
    uint32_t ticket;
    uint32_t slot;
    uint32_t width, height, stride;
};
/* Shows frames in `xid`. `window`: learns the window's size and end; NULL: it is a pixmap. */
int xg_presenter_new(const char *display, struct xg_wsi_drawable *window, uint32_t xid,
                     uint8_t depth, struct presenter **out);
/* False: called by a signal handler that interrupted this thread's own wait for the presenter or
 * for the worker, or in a child of the process that made it. It shows nothing any more (here), but
 * its memory and the drawable stay. */
bool xg_presenter_free(struct presenter *p);
/* Room for a frame: its slot and where that is in the arena. Waits until one is free. -ENOMEM,
 * -ENODEV. */
int xg_presenter_slot(struct presenter *p, uint64_t size, uint32_t *slot, uint32_t *where);
void xg_presenter_submit(struct presenter *p, const struct frame *f);
void xg_presenter_wait_flight(struct presenter *p, unsigned at_most);
void xg_presenter_wait_shown(struct presenter *p);
uint64_t xg_presenter_period(struct presenter *p);

/* screen.c: how pixels get to the X server */
struct screen;
/* `events`: of a window, its structure's. */
struct screen *xg_screen_open(const char *display, uint32_t drawable, uint8_t depth, bool events);
void xg_screen_close(struct screen *s);
xcb_connection_t *xg_screen_connection(struct screen *s);
/* Sends the image; *sequence is that of the request whose completion frees `pixels`, 0: it is free
 * already. */
int xg_screen_put(struct screen *s, const uint8_t *pixels, uint32_t width, uint32_t height,
                  uint32_t stride, uint32_t *sequence);
/* Whether this event says that the request of that sequence is done with its pixels. */
bool xg_screen_completes(struct screen *s, const xcb_generic_event_t *e, uint32_t sequence);
bool xg_screen_broken(struct screen *s);

#endif
