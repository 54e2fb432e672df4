/* Fences of EGL. */
#include "backend/wsi/wsi.h"

#include <errno.h>

void xg_wsir_sync_create(struct xg_worker_ring *r, struct wsi_state *s,
                         const struct xg_wsi_sync_create *c, struct xg_reader *rd)
{
    struct wsi_ring *w = r->api[XG_API_WSI];
    EGLSyncKHR y = EGL_NO_SYNC_KHR;
    int err = -EINVAL;

    if (c->sync && w && w->context && s->egl.CreateSync && xg_wsir_api_bind(s, w->context->api))
        y = s->egl.CreateSync(s->display, EGL_SYNC_FENCE_KHR, NULL);
    if (y == EGL_NO_SYNC_KHR) {
        xg_reader_fail(rd, "a fence needs a current context");
        return;
    }
    pthread_mutex_lock(&s->lock);
    err = xg_table_set(&s->syncs, c->sync, y);
    pthread_mutex_unlock(&s->lock);
    if (err) {
        s->egl.DestroySync(s->display, y);
        xg_reader_fail(rd, "the fence's name is taken or too large");
    }
}

int xg_wsir_sync_wait(struct xg_worker_ring *r, struct wsi_state *s,
                      const struct xg_wsi_sync_wait *c)
{
    pthread_mutex_lock(&s->lock);
    EGLSyncKHR y = xg_table_get(&s->syncs, c->sync);
    pthread_mutex_unlock(&s->lock);
    if (!y)
        return -ENOENT;

    if (c->timeout_ns) {
        xg_wsir_submitted(r);
        xg_device_pause(r);
    }
    EGLint got = s->egl.ClientWaitSync(
        s->display, y, c->flush ? EGL_SYNC_FLUSH_COMMANDS_BIT_KHR : 0, c->timeout_ns);
    if (c->timeout_ns)
        xg_device_resume(r);
    return got == EGL_CONDITION_SATISFIED_KHR ? 0 : got == EGL_TIMEOUT_EXPIRED_KHR ? -ETIME : -EIO;
}

void xg_wsir_sync_server_wait(struct xg_worker_ring *r, struct wsi_state *s,
                              const struct xg_wsi_sync_server_wait *c, struct xg_reader *rd)
{
    struct wsi_ring *w = r->api[XG_API_WSI];

    pthread_mutex_lock(&s->lock);
    EGLSyncKHR y = xg_table_get(&s->syncs, c->sync);
    pthread_mutex_unlock(&s->lock);
    if (!y || !w || !w->context)
        xg_reader_fail(rd, "waits for an unknown fence, or without a context");
    else if (s->egl.WaitSync && xg_wsir_api_bind(s, w->context->api))
        s->egl.WaitSync(s->display, y, 0);
    else
        s->egl.ClientWaitSync(s->display, y, EGL_SYNC_FLUSH_COMMANDS_BIT_KHR, EGL_FOREVER_KHR);
}

void xg_wsir_sync_destroy(struct xg_worker_ring *r, struct wsi_state *s,
                          const struct xg_wsi_sync_destroy *c, struct xg_reader *rd)
{
    pthread_mutex_lock(&s->lock);
    EGLSyncKHR y = xg_table_remove(&s->syncs, c->sync);
    pthread_mutex_unlock(&s->lock);
    if (y)
        s->egl.DestroySync(s->display, y);
    else
        xg_reader_fail(rd, "unknown fence");
}
