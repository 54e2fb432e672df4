/* GLX: shared by its files. */
#ifndef XG_INTERPOSER_GLX_GLX_H
#define XG_INTERPOSER_GLX_GLX_H

#include "interposer/wsi/wsi.h"

#include <GL/glx.h>
#include <GL/glxext.h>
#include <X11/Xlib.h>
#include <X11/Xutil.h>

/* GLXFBConfig points to one of these. They are never freed: programs look them up on one connection
 * and use them on another. */
struct xg_glx_config {
    const struct xg_wsi_config *host;
    int screen;
    int id; /* GLX_FBCONFIG_ID */
    bool double_buffered, srgb;
    VisualID visual;  /* 0: pbuffers only */
    int visual_class; /* X's class: TrueColor ... */
    int visual_depth;
    bool visual_own; /* no other configuration has this visual */
};

struct xg_glx_screen {
    struct xg_glx_config *config;
    int count;
    char *extensions;
};

/* A connection. It lives until XCloseDisplay. */
struct xg_glx_display {
    Display *dpy;
    struct xg_glx_display *next;
    int xg_glx_opcode, xg_glx_error; /* of the server's GLX; -1: it has none */
    int screen_count;
    struct xg_glx_screen **screens;
    /* The last answer of glXChooseVisual: where several configurations share a visual, this is the
     * one that was meant. */
    const struct xg_glx_config *chosen;
};

enum xg_glx_kind { GLX_KIND_RAW, GLX_KIND_WINDOW, GLX_KIND_PIXMAP, GLX_KIND_PBUFFER };

struct xg_glx_drawable {
    struct xg_glx_drawable *next;
    Display *dpy;
    XID xid;    /* the application's name for it */
    XID window; /* X's own window or pixmap, 0 for pbuffers */
    enum xg_glx_kind kind;
    const struct xg_glx_config *config;
    struct xg_wsi_drawable *d;
    unsigned long events;
    Bool largest, preserved;
    bool swapped;
};

struct xg_glx_context {
    struct xg_glx_context *next;
    struct xg_wsi_context *c;
    Display *dpy;
    const struct xg_glx_config *config; /* NULL: none */
    int screen;
    int render_type;
    XID id;
    bool may_be_surfaceless;
    bool destroyed; /* destroyed, but still current somewhere */
};

/* display.c. NULL: no channel or no memory. */
struct xg_glx_display *xg_glx_display_get(Display *dpy);
struct xg_glx_screen *xg_glx_screen_get(Display *dpy, int screen);
/* Raises the error as if the server had: one of GLX (`code` from GLXproto), or a core error. */
void xg_glx_error(Display *dpy, int code, XID resource, int minor, bool core);

/* config.c */
struct xg_glx_screen *xg_glx_screen_build(Display *dpy, int screen);
/* The configuration of the visual; NULL: none. */
const struct xg_glx_config *xg_glx_config_of_visual(Display *dpy, int screen, VisualID visual);
/* 0, or GLX_BAD_ATTRIBUTE */
int xg_glx_config_attribute(const struct xg_glx_config *c, int attribute, int *value);
const struct xg_glx_config *xg_glx_config_valid(Display *dpy, GLXFBConfig config);

/* drawable.c */
struct xg_glx_drawable *xg_glx_drawable_find(Display *dpy, XID xid);
/* A plain window becomes a drawable when it is first made current. On failure *error is a core or
 * GLX error code. */
struct xg_glx_drawable *xg_glx_drawable_get(Display *dpy, XID xid, const struct xg_glx_context *c,
                                            int *error, bool *core);
void xg_glx_drawables_drop(Display *dpy);

/* context.c */
bool xg_glx_context_valid(GLXContext context);
struct xg_glx_context *xg_glx_context_current(void);

#endif
