/*
 * What GLX and EGL have in common in the guest: the host's configurations, contexts, drawables, and
 * showing frames. README.md says how it works. Names with xg_wsi_ are for interposer/glx and
 * interposer/egl; everything else is this folder's own.
 *
 * Errors are negative errnos: -ENODEV the channel is lost or was never there, -ENOMEM, -EINVAL,
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
/* Asked once per process. NULL: no channel, or it serves no OpenGL; a line on stderr has said why.
 */
const struct xg_wsi_host *xg_wsi_host(void);
/* A lock that is to be free in a child after fork, whoever has it in the parent; said before there
 * is a second thread. None is held over a wait for another of these. */
void xg_wsi_fork_lock(pthread_mutex_t *lock);
/* The channel was there, and is lost. */
bool xg_wsi_lost(void);

/* --- drawables -------------------------------------------------------------------------------- */

enum xg_wsi_kind { XG_WSI_WINDOW, XG_WSI_PIXMAP, XG_WSI_PBUFFER };

/* Where frames have to be on the host before something may follow on another ring. */
struct xg_wsi_mark {
    struct xg_ring *ring;
    uint64_t position;
};

struct presenter;

struct xg_wsi_drawable {
    enum xg_wsi_kind kind;
    const struct xg_wsi_config *config;
    bool double_buffered, srgb;
    bool egl_pbuffer; /* its buffer is GL_FRONT or GL_BACK as the device says; GLX's is GL_FRONT */
    uint32_t xid;     /* window, pixmap */
    xcb_connection_t *app;        /* these: the application's connection */
    struct xg_wsi_drawable *next; /* of the windows */
    uint32_t name;                /* on the wire */
    bool created;                 /* on the host */
    uint32_t width, height;       /* as the host's surface is */
    _Atomic uint64_t wanted;      /* window: its size as X last told, width << 32 | height */
    _Atomic bool
        app_tells;     /* the application's own connection tells of its size, and is believed */
    _Atomic bool gone; /* window: destroyed */
    unsigned swap_interval; /* see pace.c; 0 until the application asks for another */
    uint64_t period;        /* window: of the screen's refresh in nanoseconds, 0: not asked yet */
    uint64_t due;           /* window: when the last frame's turn was */
    bool front_used;        /* something was drawn to be seen without a swap */
    struct xg_wsi_mark mark;
    struct xg_wsi_context *context; /* that draws to it; NULL: none */
    unsigned refs;
    struct presenter *presenter; /* window, pixmap */
    void *owner;                 /* GLX's or EGL's own */
};

/*
 * A window on the X server that `app` is connected to. `display` is a name for xcb_connect. Looks
 * at the window through `app`, so that what the application did to it before is done. -EBADF,
 * -ENOMEM.
 */
int xg_wsi_window_new(xcb_connection_t *app, const char *display, uint32_t window,
                      const struct xg_wsi_config *config, bool double_buffered, bool srgb,
                      struct xg_wsi_drawable **out);
/* Likewise a pixmap: it has one buffer, which is in the pixmap after a flush. -EINVAL: not of that
 * depth. */
int xg_wsi_pixmap_new(xcb_connection_t *app, const char *display, uint32_t pixmap, int depth,
                      const struct xg_wsi_config *config, bool srgb, struct xg_wsi_drawable **out);
/* What was drawn to `d`, the current context's draw surface, goes to another pixmap of X's. -EBADF,
 * -EINVAL (of another depth), -ENOMEM. */
int xg_wsi_copy_to_pixmap(struct xg_wsi_drawable *d, xcb_connection_t *app, const char *display,
                          uint32_t pixmap, int depth);
/* -ERANGE: larger than the device can. */
int xg_wsi_pbuffer_new(const struct xg_wsi_config *config, uint32_t width, uint32_t height,
                       bool srgb, struct xg_wsi_drawable **out);
/* The application's reference; it goes when no context has it current any more. */
void xg_wsi_drawable_unref(struct xg_wsi_drawable *d);
/* Learns windows' sizes from what the application reads on this connection. Once per display is
 * enough. */
struct _XDisplay;
void xg_wsi_watch_display(struct _XDisplay *dpy);
/* XFlush, which no signal interrupts: Xlib's lock is not one that a handler's XCloseDisplay can
 * take while its own thread has it. */
void xg_wsi_flush_display(struct _XDisplay *dpy);
/* The size now. */
void xg_wsi_drawable_size(struct xg_wsi_drawable *d, uint32_t *width, uint32_t *height);

/* SwapBuffers. Blocks while more than two frames are unseen. `d` is the current context's draw
 * surface; otherwise nothing happens. */
void xg_wsi_swap(struct xg_wsi_drawable *d);
/* A swap waits until so many of the screen's refreshes have passed since the last one. What is more
 * than the maximum is cut to it. */
#define XG_WSI_SWAP_INTERVAL_MAX 1000u
unsigned xg_wsi_swap_interval_max(void); /* 0 where the user wants no waiting (vblank_mode=0) */
void xg_wsi_swap_interval_set(struct xg_wsi_drawable *d, unsigned interval);
/* Frames so far are on the screen, or as near to it as X tells. */
void xg_wsi_wait_shown(struct xg_wsi_drawable *d);

/* --- contexts --------------------------------------------------------------------------------- */

struct xg_wsi_context {
    struct xg_gl_context *gl;
    struct xg_ring *ring;
    uint32_t name;
    enum xg_gl_api api;
    const struct xg_wsi_config *config; /* NULL: none */
    uint32_t flags;
    struct xg_wsi_mark mark; /* where it was last let go */
    struct xg_wsi_drawable *draw, *read;
    bool current;              /* in some thread */
    bool destroyed;            /* the application's reference is gone */
    bool front;                /* glDrawBuffer says front */
    void *owner;               /* GLX's or EGL's own */
    void (*gone)(void *owner); /* NULL: nobody wants to know */
};

/* `how`'s names are filled in here. */
int xg_wsi_context_new(struct xg_wsi_context_create how, const struct xg_wsi_config *config,
                       struct xg_wsi_context *share, struct xg_wsi_context **out);
/* It goes now, or when it is no longer current. */
void xg_wsi_context_destroy(struct xg_wsi_context *c);

/* The thread's; NULL: none. */
struct xg_wsi_context *xg_wsi_current(void);
/* c NULL: none. draw and read: both or neither. The caller has checked that they go together.
 * -EACCES, -ENOMEM, -ENODEV (then everything is current all the same, and does nothing). */
int xg_wsi_make_current(struct xg_wsi_context *c, struct xg_wsi_drawable *draw,
                        struct xg_wsi_drawable *read);
bool xg_wsi_compatible(const struct xg_wsi_context *c, const struct xg_wsi_drawable *d);

/* The GL function of that name, or this folder's wrapper around it. */
void *xg_wsi_get_proc(const char *name);

/* --- fences ----------------------------------------------------------------------------------- */

struct xg_wsi_sync;
struct xg_wsi_sync *xg_wsi_sync_new(void); /* needs a current context */
void xg_wsi_sync_free(struct xg_wsi_sync *y);
/* 0, -ETIME, -ENODEV, -EIO */
int xg_wsi_sync_wait(struct xg_wsi_sync *y, bool flush, uint64_t timeout_ns);
void xg_wsi_sync_server_wait(struct xg_wsi_sync *y);

#endif
