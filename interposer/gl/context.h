/*
 * GL in the guest: the part that the window-system libraries (GLX, EGL) need. The rest of a
 * context's state is private to interposer/gl (state.h).
 *
 * The window-system part owns rings, host contexts and surfaces. It acquires a ring, emits
 * XG_API_WSI frames that create the host's context and make it current on that ring, and calls the
 * functions below. This part does everything that a gl* function does.
 */
#ifndef XG_INTERPOSER_GL_CONTEXT_H
#define XG_INTERPOSER_GL_CONTEXT_H

#include "frontend/channel.h"
#include "protocol/gl/wire.h"

struct xg_gl_share; /* objects that contexts share; reference-counted */
struct xg_gl_state; /* state.h */

struct xg_gl_context {
    struct xg_ring *ring;
    struct xg_gl_state *state;
    struct xg_gl_share *share;
    enum xg_gl_api api;
    uint32_t reserved;
    /* Used on a shared ring when another context's frames came last: emits the command that makes
     * this context current on the ring again. Called with the ring's lock held; set by the
     * window-system part right after xg_gl_context_new. */
    void (*take_ring)(struct xg_gl_context *c);
    void *wsi; /* belongs to the window-system part */
};

/* The thread's current context. Read it freely; set it with xg_gl_bind. */
extern __thread struct xg_gl_context *xg_gl_current __attribute__((tls_model("initial-exec")));

/*
 * A context whose frames go to `ring`. `share` may be NULL. Emits nothing. The ring stays the
 * caller's and must outlive the context.
 * NULL: no memory.
 */
struct xg_gl_context *xg_gl_context_new(struct xg_ring *ring, enum xg_gl_api api,
                                        struct xg_gl_context *share);
/* The caller has made it current nowhere, and afterwards emits the frame that destroys the host's
 * context. */
void xg_gl_context_free(struct xg_gl_context *c);

/* The default framebuffer's drawable. */
struct xg_gl_drawable {
    uint32_t width, height; /* pixels, now */
    bool double_buffered;
    bool stereo;
    uint8_t red, green, blue, alpha, depth, stencil, samples;
};

/*
 * Makes `c` (NULL: none) the thread's current context. Called after the frames that make the host's
 * context current were emitted on c->ring. The first time this asks
 * the worker for the context's limits and strings: one round trip; for later ones nothing is
 * emitted. `draw` and `read` may be NULL (surfaceless).
 * 0 or -ENODEV (the channel is lost; the context is current nevertheless and does nothing).
 */
int xg_gl_bind(struct xg_gl_context *c, const struct xg_gl_drawable *draw,
               const struct xg_gl_drawable *read);
/* The drawable's size changed (for information; the viewport stays as it is). */
void xg_gl_resized(struct xg_gl_context *c, uint32_t width, uint32_t height);

/* Called before a frame whose result other contexts or people may see: SwapBuffers, glXWaitGL,
 * CopyTexImage from a pixmap ... Sends mapped memory that changed, and marks the position that
 * sharing contexts wait for. Emits, does not publish. */
void xg_gl_sync_point(struct xg_gl_context *c);

/* The application has learnt that the GPU has finished its work (by a fence or a query's result):
 * what the GPU wrote to persistently mapped buffers becomes visible. */
void xg_gl_persistent_fetch(struct xg_gl_context *c);

/* glFlush / glFinish on the context, for eglWaitClient, glXWaitGL and the implicit flush in
 * MakeCurrent. */
void xg_gl_flush(struct xg_gl_context *c);
void xg_gl_finish(struct xg_gl_context *c);

/* The function for `name` ("glClear"); NULL if it is not supported. It does not depend on a
 * context. */
void *xg_gl_get_proc(const char *name);

/* Strings as the application's glGetString gives them, once bound; NULL before. `name`:
 * GL_VENDOR ... */
const char *xg_gl_string(struct xg_gl_context *c, uint32_t name);

#endif
