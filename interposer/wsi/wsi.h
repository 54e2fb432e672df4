/*
 * What GLX and EGL have in common in the guest: the host's configurations, contexts, drawables, and
 * showing frames. README.md says how it works. Names with xg_wsi_ are for interposer/glx and
 * interposer/egl; everything else is for this folder only.
 *
 * Errors are negative errnos: -ENODEV the channel is lost or never existed, -ENOMEM, -EINVAL,
 * -ENOTSUP (version or profile), -EACCES (current in another thread), -EBADF (no such window).
 */
#ifndef XG_INTERPOSER_WSI_WSI_H
#define XG_INTERPOSER_WSI_WSI_H

#include "interposer/gl/context.h"
#include "protocol/wsi/wire.h"

#include <xcb/xcb.h>

#include "wsi/ops.h"

/* --- the host --------------------------------------------------------------------------------- */

struct xg_wsi_host {
    struct xg_wsi_info info;
    struct xg_wsi_config *configs;
    char renderer[160]; /* "xengpu (real renderer)" */
};
/* The host is asked once per process. NULL: there is no channel, or it serves no OpenGL; a line on
 * stderr has said why. */
const struct xg_wsi_host *xg_wsi_host(void);
/* Registers a lock that must be free in a child after fork, whichever thread holds it in the
 * parent. Call it before there is a second thread. While one of these locks is held, its thread
 * waits for no other of them. */
void xg_wsi_fork_lock(pthread_mutex_t *lock);
/* There was a channel, and it is lost. */
bool xg_wsi_lost(void);

/* --- drawables -------------------------------------------------------------------------------- */

enum xg_wsi_kind { XG_WSI_WINDOW, XG_WSI_PIXMAP, XG_WSI_PBUFFER };

/* Frames up to this position must be executed on the host before what follows on another ring. */
struct xg_wsi_mark {
    struct xg_ring *ring;
    uint64_t position;
};

struct presenter;

struct xg_wsi_drawable {
    enum xg_wsi_kind kind;
    const struct xg_wsi_config *config;
    bool double_buffered, srgb;
    /* its buffer is called as on the device, GL_FRONT or GL_BACK; GLX's is called GL_FRONT */
    bool egl_pbuffer;
    uint32_t xid;                 /* window, pixmap */
    xcb_connection_t *app;        /* for windows and pixmaps: the application's connection */
    struct xg_wsi_drawable *next; /* in the list of windows */
    uint32_t name;                /* its name on the wire */
    bool created;                 /* it exists on the host */
    uint32_t width, height;       /* the size of the host's surface */
    _Atomic uint64_t wanted;      /* window: its size as last reported by X, width << 32 | height */
    _Atomic bool app_tells; /* the application's own connection reports its size, and is believed */
    _Atomic bool gone;      /* the window was destroyed */
    unsigned swap_interval; /* see pace.c; 0 until the application sets another */
    uint64_t period;        /* window: of the screen's refresh, in nanoseconds; 0: not asked yet */
    uint64_t due;           /* window: the time that was set for the last frame */
    bool front_used;        /* something was drawn that must be shown without a swap */
    struct xg_wsi_mark mark;
    struct xg_wsi_context *context; /* the context that draws to it; NULL: none */
    unsigned refs;
    struct presenter *presenter; /* window, pixmap */
    void *owner;                 /* belongs to GLX or EGL */
};

/*
 * A window on the X server that `app` is connected to. `display` is a name for xcb_connect. The
 * window is examined through `app`, so that the application's earlier requests are executed first.
 * -EBADF, -ENOMEM.
 */
int xg_wsi_window_new(xcb_connection_t *app, const char *display, uint32_t window,
                      const struct xg_wsi_config *config, bool double_buffered, bool srgb,
                      struct xg_wsi_drawable **out);
/* The same for a pixmap: it has one buffer, which is copied to the pixmap at a flush. -EINVAL: the
 * depth differs. */
int xg_wsi_pixmap_new(xcb_connection_t *app, const char *display, uint32_t pixmap, int depth,
                      const struct xg_wsi_config *config, bool srgb, struct xg_wsi_drawable **out);
/* Copies what was drawn to `d`, the current context's draw surface, to another X pixmap. -EBADF,
 * -EINVAL (another depth), -ENOMEM. */
int xg_wsi_copy_to_pixmap(struct xg_wsi_drawable *d, xcb_connection_t *app, const char *display,
                          uint32_t pixmap, int depth);
/* -ERANGE: larger than the device allows. */
int xg_wsi_pbuffer_new(const struct xg_wsi_config *config, uint32_t width, uint32_t height,
                       bool srgb, struct xg_wsi_drawable **out);
/* Drops the application's reference; the drawable is freed when no context has it current any
 * more. */
void xg_wsi_drawable_unref(struct xg_wsi_drawable *d);
/* Learns windows' sizes from what the application reads on this connection. One call per display is
 * enough. */
struct _XDisplay;
void xg_wsi_watch_display(struct _XDisplay *dpy);
/* XFlush that no signal interrupts: a signal handler that calls XCloseDisplay could not take Xlib's
 * lock if its own thread held it. */
void xg_wsi_flush_display(struct _XDisplay *dpy);
/* The current size. */
void xg_wsi_drawable_size(struct xg_wsi_drawable *d, uint32_t *width, uint32_t *height);

/* SwapBuffers. Blocks while more than two frames are not shown yet. `d` must be the current
 * context's draw surface; otherwise nothing happens. */
void xg_wsi_swap(struct xg_wsi_drawable *d);
/* A swap waits until this many refreshes of the screen have passed since the last one. Larger
 * values are cut to the maximum. */
#define XG_WSI_SWAP_INTERVAL_MAX 1000u
unsigned xg_wsi_swap_interval_max(void); /* 0 where the user wants no waiting (vblank_mode=0) */
void xg_wsi_swap_interval_set(struct xg_wsi_drawable *d, unsigned interval);
/* Waits until all frames so far are on the screen, as far as X can tell. */
void xg_wsi_wait_shown(struct xg_wsi_drawable *d);

/* --- contexts --------------------------------------------------------------------------------- */

struct xg_wsi_context {
    struct xg_gl_context *gl;
    struct xg_ring *ring;
    uint32_t name;
    enum xg_gl_api api;
    const struct xg_wsi_config *config; /* NULL: none */
    uint32_t flags;
    struct xg_wsi_mark mark; /* where it was last released */
    struct xg_wsi_drawable *draw, *read;
    bool current;              /* in some thread */
    bool destroyed;            /* the application has destroyed it */
    bool front;                /* glDrawBuffer selects the front buffer */
    void *owner;               /* belongs to GLX or EGL */
    void (*gone)(void *owner); /* called at its end; NULL: nothing is called */
};

/* The names in `how` are filled in here. */
int xg_wsi_context_new(struct xg_wsi_context_create how, const struct xg_wsi_config *config,
                       struct xg_wsi_context *share, struct xg_wsi_context **out);
/* It is freed now, or when it is no longer current. */
void xg_wsi_context_destroy(struct xg_wsi_context *c);

/* The thread's current context; NULL: none. */
struct xg_wsi_context *xg_wsi_current(void);
/* `c` NULL: none. draw and read: both or neither. The caller has checked that they are compatible.
 * -EACCES, -ENOMEM, -ENODEV (then everything is current nevertheless, and does nothing). */
int xg_wsi_make_current(struct xg_wsi_context *c, struct xg_wsi_drawable *draw,
                        struct xg_wsi_drawable *read);
bool xg_wsi_compatible(const struct xg_wsi_context *c, const struct xg_wsi_drawable *d);

/* The GL function of that name, or this folder's wrapper of it. */
void *xg_wsi_get_proc(const char *name);

/* --- fences ----------------------------------------------------------------------------------- */

struct xg_wsi_sync;
struct xg_wsi_sync *xg_wsi_sync_new(void); /* needs a current context */
void xg_wsi_sync_free(struct xg_wsi_sync *y);
/* 0, -ETIME, -ENODEV, -EIO */
int xg_wsi_sync_wait(struct xg_wsi_sync *y, bool flush, uint64_t timeout_ns);
void xg_wsi_sync_server_wait(struct xg_wsi_sync *y);

#endif
