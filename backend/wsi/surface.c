/* Surfaces: pbuffers of the host that stand for the guest's windows and pbuffers. */
#include "backend/wsi/wsi.h"

#include <errno.h>
#include <stdlib.h>

static bool size_valid(const struct wsi_state *s, uint32_t width, uint32_t height)
{
    return width >= 1 && height >= 1 && width <= s->info.pbuffer_max_width &&
           height <= s->info.pbuffer_max_height;
}

/* Bytes of colour, depth and stencil, with all samples. */
static uint32_t pixel_bytes(const struct xg_wsi_config *c)
{
    uint32_t color = (c->red + c->green + c->blue + c->alpha + 7u) / 8;
    uint32_t zs = (c->depth + c->stencil + 7u) / 8;
    return color + (color + zs) * (c->samples > 1 ? c->samples : 1);
}

static int64_t surface_bytes(const struct wsi_surface *f, uint32_t width, uint32_t height)
{
    return (int64_t)f->bytes_per_pixel * width * height;
}

static EGLSurface pbuffer_make(struct wsi_state *s, const struct wsi_surface *f, uint32_t width,
                               uint32_t height)
{
    EGLint a[] = {EGL_WIDTH, (EGLint)width, EGL_HEIGHT, (EGLint)height,
                  EGL_NONE,  EGL_NONE,      EGL_NONE};
    if (f->flags & XG_WSI_SURFACE_SRGB) {
        a[4] = EGL_GL_COLORSPACE_KHR;
        a[5] = EGL_GL_COLORSPACE_SRGB_KHR;
    }
    return s->egl.CreatePbufferSurface(s->display, f->config, a);
}

int xg_wsir_surface_create(struct xg_worker_ring *r, struct wsi_state *s,
                           const struct xg_wsi_surface_create *c)
{
    EGLConfig handle;
    const struct xg_wsi_config *config = xg_wsir_config_find(s, c->config, &handle);
    struct wsi_surface *f;
    int err;

    if (!config || c->surface == 0 || c->flags & ~XG_WSI_SURFACE_FLAGS || c->reserved ||
        (c->flags & XG_WSI_SURFACE_SRGB && !(s->info.flags & XG_WSI_INFO_SRGB)))
        return -EINVAL;
    if (!size_valid(s, c->width, c->height))
        return -ERANGE;
    f = calloc(1, sizeof(*f));
    if (!f)
        return -ENOMEM;
    f->config = handle;
    f->flags = c->flags;
    f->width = c->width;
    f->height = c->height;
    f->bytes_per_pixel = pixel_bytes(config);
    f->refs = 1;
    err = xg_worker_memory_charge(s->worker, surface_bytes(f, f->width, f->height));
    if (err)
        goto free;
    f->egl = pbuffer_make(s, f, f->width, f->height);
    err = -ENOMEM;
    if (f->egl == EGL_NO_SURFACE)
        goto charge;
    pthread_mutex_lock(&s->lock);
    err = xg_table_set(&s->surfaces, c->surface, f);
    pthread_mutex_unlock(&s->lock);
    if (!err)
        return 0;
    s->egl.DestroySurface(s->display, f->egl);
charge:
    xg_worker_memory_charge(s->worker, -surface_bytes(f, f->width, f->height));
free:
    free(f);
    return err;
}

void xg_wsir_surface_unref(struct wsi_state *s, struct wsi_surface *f)
{
    if (--f->refs)
        return;
    s->egl.DestroySurface(s->display, f->egl);
    xg_worker_memory_charge(s->worker, -surface_bytes(f, f->width, f->height));
    free(f);
}

void xg_wsir_surface_destroy(struct xg_worker_ring *r, struct wsi_state *s,
                             const struct xg_wsi_surface_destroy *c, struct xg_reader *rd)
{
    pthread_mutex_lock(&s->lock);
    struct wsi_surface *f = xg_table_remove(&s->surfaces, c->surface);
    if (f)
        xg_wsir_surface_unref(s, f);
    pthread_mutex_unlock(&s->lock);
    if (!f)
        xg_reader_fail(rd, "unknown surface");
}

/* Makes the new pbuffer current where the old one was. */
static bool surface_rebind(struct xg_worker_ring *r, struct wsi_state *s, struct wsi_surface *f,
                           EGLSurface fresh)
{
    struct wsi_ring *w = r->api[XG_API_WSI];
    EGLSurface draw, read;

    if (!w || !w->context || (w->draw != f && w->read != f))
        return true;
    draw = w->draw == f ? fresh : w->draw->egl;
    read = w->read == f ? fresh : w->read->egl;
    return s->egl.MakeCurrent(s->display, draw, read, w->context->egl);
}

void xg_wsir_surface_resize(struct xg_worker_ring *r, struct wsi_state *s,
                            const struct xg_wsi_surface_resize *c, struct xg_reader *rd)
{
    pthread_mutex_lock(&s->lock);
    struct wsi_surface *f = xg_table_get(&s->surfaces, c->surface);
    bool foreign = f && f->ring && f->ring != r->index + 1;
    pthread_mutex_unlock(&s->lock);
    if (!f || foreign || !size_valid(s, c->width, c->height)) {
        xg_reader_fail(rd, !f        ? "unknown surface"
                           : foreign ? "resizes another ring's surface"
                                     : "bad size");
        return;
    }
    xg_wsir_frames_poll(r, s, true);
    int64_t more = surface_bytes(f, c->width, c->height) - surface_bytes(f, f->width, f->height);
    if (xg_worker_memory_charge(s->worker, more)) {
        xg_worker_log(s->worker, "no memory left for a window of %ux%u", c->width, c->height);
        return;
    }
    EGLSurface fresh = pbuffer_make(s, f, c->width, c->height);
    if (fresh == EGL_NO_SURFACE || !surface_rebind(r, s, f, fresh)) {
        xg_worker_log(s->worker, "a window cannot be resized to %ux%u: EGL error 0x%x", c->width,
                      c->height, s->egl.GetError());
        if (fresh != EGL_NO_SURFACE)
            s->egl.DestroySurface(s->display, fresh);
        xg_worker_memory_charge(s->worker, -more);
        return;
    }
    s->egl.DestroySurface(s->display, f->egl);
    f->egl = fresh;
    f->width = c->width;
    f->height = c->height;
}
