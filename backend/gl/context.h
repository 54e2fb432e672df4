/*
 * GL replay: the part that backend/wsi needs.
 *
 * The window-system part creates host contexts and makes them current on a ring's thread. For each
 * it has one struct xg_glr_context, and xg_glr_make_current says which one is current. A GL command
 * on a ring without a current context ends the channel.
 */
#ifndef XG_BACKEND_GL_CONTEXT_H
#define XG_BACKEND_GL_CONTEXT_H

#include "backend/worker.h"
#include "protocol/gl/wire.h"

struct xg_glr_context;

/* Resolves the host's functions; once per process, from the window-system part's init, before any
 * context. `get_proc` is the host's
 * eglGetProcAddress. Thread-safe, idempotent. False: no memory. */
bool xg_glr_load(void *(*get_proc)(const char *name));
/* The device is a processor: it is not asked about its memory. Call it before guests have
 * contexts. */
void xg_glr_renders_on_cpu(bool on_cpu);
bool xg_glr_is_on_cpu(void);
/* A host function that was resolved, for backend/wsi's own use (read-back). */
void *xg_glr_proc(const char *name);

/*
 * Work that a context gave to the device, and that may go on after the commands. backend/wsi puts a
 * fence behind it, then sets it to 0, and says after how many draws it wants the next fence.
 */
struct xg_glr_work {
    uint32_t commands; /* since the last fence */
    uint32_t draws;    /* those of the commands that may take the device long */
    uint32_t most;     /* after this many draws a fence is wanted */
    bool flushed;      /* the device may have begun with it */
};
/* The work of the context that is current on this ring. NULL: there is none, or it is between
 * glBegin and glEnd. */
struct xg_glr_work *xg_glr_work(struct xg_worker_ring *r);
/* Before the first fence: it is not known yet how long draws take. */
#define XG_GLR_DRAWS_FIRST  1u
#define XG_GLR_COMMANDS_MAX 4096u /* at most, between two fences */
void xg_glr_flush(void);
/* Set by backend/wsi: puts a fence behind the work. Called when there is much work, and before a
 * wait for it. */
extern void (*xg_glr_submitted)(struct xg_worker_ring *r);

/* State for a host context that is about to be created, counted against the guest's memory; `share`
 * is the context whose objects it shares, or NULL. NULL: no memory. */
struct xg_glr_context *xg_glr_context_new(struct xg_worker *w, enum xg_gl_api api,
                                          struct xg_glr_context *share);
/* `secretly`: it was made with robust access although the guest did not ask for it; the guest is
 * told that it has none. */
void xg_glr_context_robust(struct xg_glr_context *c, bool secretly);
void xg_glr_context_free(struct xg_glr_context *c);

/* How the host's default framebuffer, which has one colour buffer, differs from the one that the
 * application sees. */
enum xg_glr_window {
    XG_GLR_WINDOW_AS_IS =
        0, /* no difference: GL_FRONT alone, an EGL pbuffer, OpenGL ES, no surface */
    XG_GLR_WINDOW_DOUBLE_ON_FRONT = 1, /* two buffers; the host calls its only one GL_FRONT */
    XG_GLR_WINDOW_DOUBLE_ON_BACK = 2,  /* two buffers; the host calls its only one GL_BACK */
    XG_GLR_WINDOW_SINGLE_ON_BACK = 3,  /* GL_FRONT alone; the host calls it GL_BACK */
};

/*
 * The host context that belongs to `c` is now current on this ring's thread (NULL: none), with
 * these buffers.
 * The first time, GL_DRAW_BUFFER and GL_READ_BUFFER get their initial values.
 */
void xg_glr_make_current(struct xg_worker_ring *r, struct xg_glr_context *c,
                         enum xg_glr_window window);

/* Copies host errors to the ring's error word. backend/wsi calls it before it uses GL itself, so
 * that its errors are not taken for the application's; its own it drops with xg_glr_errors_drop. */
void xg_glr_errors_collect(struct xg_worker_ring *r);
void xg_glr_errors_drop(struct xg_worker_ring *r);

#endif
