/* Connects the window system to the worker. */
#include "backend/wsi/wsi.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void xg_wsir_query(struct xg_worker_ring *r, struct wsi_state *s, const struct xg_wsi_query *c,
                   struct xg_reader *rd)
{
    uint32_t configs = s->info.config_count * (uint32_t)sizeof(*s->configs);
    struct xg_wsi_query_reply reply = {.need = s->info.size + configs};
    uint8_t *to = xg_arena_at(rd, c->where, c->size);

    if (!to)
        return;
    if (c->size >= reply.need) {
        memcpy(to, &s->info, s->info.size);
        memcpy(to + s->info.size, s->configs, configs);
    }
    xg_reply(r, r->ticket, 0, &reply, sizeof(reply));
}

/* If the device has no fences, a command about a fence is answered like an opcode of a later
 * version. */
static bool op_offered(const struct wsi_state *s, uint16_t op)
{
    return op < XG_WSI_OP_SYNC_CREATE || op > XG_WSI_OP_SYNC_SERVER_WAIT ||
           s->info.flags & XG_WSI_INFO_SYNC;
}

static void wsi_dispatch(struct xg_worker_ring *r, uint16_t op, struct xg_reader *rd)
{
    struct wsi_state *s = xg_worker_state(r->worker, XG_API_WSI);

    if (!s)
        xg_reply(r, r->ticket, -ENODEV, NULL, 0);
    else if (!op_offered(s, op) || !xg_wsir_decode(r, s, op, rd))
        xg_reply(r, r->ticket, -ENOSYS, NULL, 0);
}

static uint64_t wsi_idle(struct xg_worker_ring *r)
{
    struct wsi_state *s = xg_worker_state(r->worker, XG_API_WSI);

    if (!s)
        return UINT64_MAX;
    xg_wsir_flight_idle(r, s);
    return xg_wsir_frames_poll(r, s, false);
}

static void wsi_ring_fini(struct xg_worker_ring *r)
{
    struct wsi_state *s = xg_worker_state(r->worker, XG_API_WSI);
    struct wsi_ring *w = r->api[XG_API_WSI];

    if (!s || !w)
        return;
    xg_wsir_release(r, s);
    xg_wsir_frames_fini(r, s);
    s->egl.ReleaseThread();
    free(w);
    r->api[XG_API_WSI] = NULL;
}

static void wsi_fini(void *state);

static int wsi_init(struct xg_worker *w, const struct xg_device_config *dev, void **state)
{
    struct wsi_state *s;
    int err = -ENOMEM;

    if (!dev->gl)
        return -ENODEV;
    s = calloc(1, sizeof(*s));
    if (!s)
        return -ENOMEM;
    s->worker = w;
    s->display = EGL_NO_DISPLAY;
    pthread_mutex_init(&s->lock, NULL);
    if (xg_wsir_flight_init(s))
        goto fail;
    if (xg_table_init(&s->contexts, XG_WSI_CONTEXTS_MAX) ||
        xg_table_init(&s->surfaces, XG_WSI_SURFACES_MAX) ||
        xg_table_init(&s->syncs, XG_WSI_SYNCS_MAX))
        goto fail;
    err = xg_wsir_display_open(s, dev);
    if (err)
        goto fail;
    xg_glr_submitted = xg_wsir_submitted;
    *state = s;
    return 0;
fail:
    wsi_fini(s);
    return err;
}

static void context_drop(uint32_t name, void *object, void *arg)
{
    struct wsi_state *s = arg;
    xg_table_remove(&s->contexts, name);
    xg_wsir_context_free(s, object);
}

static void surface_drop(uint32_t name, void *object, void *arg)
{
    struct wsi_state *s = arg;
    xg_table_remove(&s->surfaces, name);
    xg_wsir_surface_unref(s, object);
}

static void sync_drop(uint32_t name, void *object, void *arg)
{
    struct wsi_state *s = arg;
    xg_table_remove(&s->syncs, name);
    s->egl.DestroySync(s->display, object);
}

/* Called when the rings' threads have ended. */
static void wsi_fini(void *state)
{
    struct wsi_state *s = state;

    xg_wsir_flight_fini(s);
    xg_table_each(&s->syncs, sync_drop, s);
    xg_table_each(&s->surfaces, surface_drop, s);
    xg_table_each(&s->contexts, context_drop, s);
    xg_wsir_display_close(s);
    xg_table_fini(&s->syncs);
    xg_table_fini(&s->surfaces);
    xg_table_fini(&s->contexts);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

const struct xg_replay xg_replay_wsi = {
    .name = "wsi",
    .api = XG_API_WSI,
    .init = wsi_init,
    .fini = wsi_fini,
    .dispatch = wsi_dispatch,
    .idle = wsi_idle,
    .ring_fini = wsi_ring_fini,
};
