/* The account of GL memory: what objects cost, and which account pays. */
#include "backend/gl/ledger.h"

#include <stdlib.h>

bool xg_glr_take(struct xg_glr_ledger *l, uint64_t bytes)
{
    if (bytes > XG_GLR_TOO_MUCH || !xg_worker_memory_take(l->worker, bytes))
        return false;
    atomic_fetch_add_explicit(&l->bytes, bytes, memory_order_relaxed);
    return true;
}

void xg_glr_give(struct xg_glr_ledger *l, uint64_t bytes)
{
    if (!bytes)
        return;
    atomic_fetch_sub_explicit(&l->bytes, bytes, memory_order_relaxed);
    xg_worker_memory_give(l->worker, bytes);
}

void xg_glr_ledger_init(struct xg_glr_ledger *l, struct xg_worker *w)
{
    l->worker = w;
    atomic_init(&l->bytes, 0);
}

void xg_glr_ledger_fini(struct xg_glr_ledger *l)
{
    xg_glr_give(l, atomic_load(&l->bytes));
}

bool xg_glr_take_or_fail(struct xg_glr_context *c, struct xg_glr_ledger *l, uint64_t bytes)
{
    if (XG_LIKELY(xg_glr_take(l, bytes)))
        return true;
    xg_glr_deleted_look(c);
    if (xg_glr_take(l, bytes))
        return true;
    xg_glr_error(c, GL_OUT_OF_MEMORY);
    return false;
}

#define FREED_MOST (32u << 20)

void xg_glr_freed_wait(struct xg_glr_context *c)
{
    if (XG_LIKELY(atomic_load_explicit(&c->share->freed, memory_order_relaxed) < FREED_MOST) ||
        xg_glr_begun(c))
        return;
    xg_glr_procs.glFinish();
    atomic_store(&c->share->freed, 0);
}

struct xg_glr_ledger *xg_glr_ledger_of(struct xg_glr_context *c, enum xg_gl_space space)
{
    return space < XG_GL_SPACES_SHARED ? &c->share->ledger : &c->ledger;
}

/* Measured with llvmpipe of Mesa 22.3 and rounded up, with what is recorded here about it. */
uint32_t xg_glr_name_cost(enum xg_gl_space space)
{
    static const uint32_t cost[XG_GL_SPACES] = {
        [XG_GL_SPACE_BUFFER] = 320,       [XG_GL_SPACE_TEXTURE] = 1408,
        [XG_GL_SPACE_RENDERBUFFER] = 256, [XG_GL_SPACE_SAMPLER] = 192,
        [XG_GL_SPACE_PROGRAM] = 2048,     [XG_GL_SPACE_ARB_PROGRAM] = 1536,
        [XG_GL_SPACE_SYNC] = 224,         [XG_GL_SPACE_LIST] = 128,
        [XG_GL_SPACE_FRAMEBUFFER] = 1280, [XG_GL_SPACE_VERTEX_ARRAY] = 2560,
        [XG_GL_SPACE_QUERY] = 1024,       [XG_GL_SPACE_PIPELINE] = 320,
        [XG_GL_SPACE_XFB] = 320,
    };
    return cost[space];
}

/* --- what objects hold ------------------------------------------------------------------------ */

static uint64_t storage_unref(struct xg_glr_storage *s)
{
    uint64_t bytes = 0;

    if (s && !--s->refs) {
        bytes = s->bytes;
        free(s);
    }
    return bytes;
}

uint64_t xg_glr_texture_free(struct xg_glr_share *s, struct xg_glr_texture *t)
{
    uint64_t bytes = 0;

    if (!t)
        return 0;
    bytes = t->bytes + storage_unref(t->storage);
    if (t->buffer)
        xg_glr_map_set(&s->shown, t->buffer, xg_glr_map_get(&s->shown, t->buffer) - 1);
    free(t->image);
    free(t);
    return bytes;
}

static void texture_visit(void *data, uint32_t name, uint64_t value)
{
    xg_glr_texture_free(data, (struct xg_glr_texture *)(uintptr_t)value);
}

void xg_glr_objects_free(struct xg_glr_share *s)
{
    xg_glr_map_each(&s->names[XG_GL_SPACE_TEXTURE].held, texture_visit, s);
}
