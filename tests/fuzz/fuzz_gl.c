/* OpenGL: frames into a context that is current. The head's `api` is the context's, moods 1: it was
 * made robust secretly. */
#include "backend/gl/context.h"
#include "tests/fuzz/gl_driver.h"

#include <stdlib.h>

static struct xg_glr_context *context;
static struct gl_state *state;

static bool begin(struct xg_worker_ring *r, const struct fuzz_head *h)
{
    state = gl_driver_new(h->api & 3);
    gl_driver_use(state);
    xg_glr_load(gl_driver_proc);
    context = xg_glr_context_new(fuzz_worker, (enum xg_gl_api)(h->api & 3), NULL);
    if (!context)
        return false;
    xg_glr_context_robust(context, h->moods & 1);
    xg_glr_make_current(r, context, (enum xg_glr_window)(h->moods >> 1 & 3));
    return true;
}

static void end(struct xg_worker_ring *r)
{
    r->api[XG_API_GL] = NULL;
    xg_glr_context_free(context);
    context = NULL;
    gl_driver_free(state);
    if (xg_worker_memory_used(fuzz_worker))
        abort(); /* the guest's account would grow with each context */
}

const struct fuzz_target fuzz_target = {
    .apis = 1u << XG_API_GL,
    .replay = {[XG_API_GL] = &xg_replay_gl},
    .begin = begin,
    .end = end,
};
