/* Window system replay: what its files share. README.md says how it works. */
#ifndef XG_BACKEND_WSI_WSI_H
#define XG_BACKEND_WSI_WSI_H

#include "backend/gl/context.h"
#include "backend/platform/egl.h"
#include "backend/worker.h"
#include "protocol/wsi/wire.h"

#include <pthread.h>

#include "wsi/handlers.h"

/* libEGL is opened at run time: a Dom0 that serves CUDA alone needs none. */
#define XG_EGL_FUNCTIONS(X)                                                                        \
    X(PFNEGLGETPROCADDRESSPROC, GetProcAddress)                                                    \
    X(PFNEGLQUERYSTRINGPROC, QueryString)                                                          \
    X(PFNEGLTERMINATEPROC, Terminate)                                                              \
    X(PFNEGLBINDAPIPROC, BindAPI)                                                                  \
    X(PFNEGLGETERRORPROC, GetError)                                                                \
    X(PFNEGLGETCONFIGSPROC, GetConfigs)                                                            \
    X(PFNEGLGETCONFIGATTRIBPROC, GetConfigAttrib)                                                  \
    X(PFNEGLCREATECONTEXTPROC, CreateContext)                                                      \
    X(PFNEGLDESTROYCONTEXTPROC, DestroyContext)                                                    \
    X(PFNEGLCREATEPBUFFERSURFACEPROC, CreatePbufferSurface)                                        \
    X(PFNEGLDESTROYSURFACEPROC, DestroySurface)                                                    \
    X(PFNEGLMAKECURRENTPROC, MakeCurrent)                                                          \
    X(PFNEGLRELEASETHREADPROC, ReleaseThread)

struct xg_egl {
#define X(type, name) type name;
    XG_EGL_FUNCTIONS(X)
#undef X
    /* NULL without EGL_KHR_fence_sync; WaitSync also without EGL_KHR_wait_sync */
    PFNEGLCREATESYNCKHRPROC CreateSync;
    PFNEGLDESTROYSYNCKHRPROC DestroySync;
    PFNEGLCLIENTWAITSYNCKHRPROC ClientWaitSync;
    PFNEGLWAITSYNCKHRPROC WaitSync;
};

struct wsi_context {
    EGLContext egl;
    struct xg_glr_context *glr;
    enum xg_gl_api api;
    uint32_t ring; /* index + 1 where it is current, 0: nowhere */
};

struct wsi_surface {
    EGLSurface egl;
    EGLConfig config;
    uint32_t width, height, flags;
    uint32_t bytes_per_pixel; /* estimate, for the account */
    uint32_t refs;            /* the name, and each ring where it is current */
    uint32_t ring;            /* index + 1 where it is current, 0: nowhere */
    uint64_t frame_at;        /* when its last frame was let through, by the guest's frame limit */
};

struct wsi_state {
    struct xg_worker *worker;
    struct xg_egl egl;
    struct xg_egl_entry entry;
    void *library;
    EGLDisplay display;
    bool is_cudas; /* it is the device of this pGPU's CUDA, too */
    struct xg_wsi_info info;
    struct xg_wsi_config *configs;
    EGLConfig *handles;   /* of configs, same order */
    pthread_mutex_t lock; /* the tables, and what of objects says where they are current */
    struct xg_table contexts, surfaces, syncs;
    bool async_read; /* a GPU: read back through pixel buffers */
    bool
        pbuffer_is_back; /* what desktop GL calls a pbuffer's colour buffer: GL_BACK, or GL_FRONT */
    struct wsi_flight *flight;
};

/* A ring's state: xg_worker_ring.api[XG_API_WSI]. */
struct wsi_ring {
    struct wsi_context *context;
    struct wsi_surface *draw, *read;
    EGLContext helper; /* desktop GL, for read-back: keeps the application's GL state out of it */
    EGLConfig helper_config;
    struct wsi_readback *readback;
};

/* display.c */
int xg_wsir_display_open(struct wsi_state *s, const struct xg_device_config *dev);
void xg_wsir_display_close(struct wsi_state *s);
/* NULL: no such configuration. */
const struct xg_wsi_config *xg_wsir_config_find(const struct wsi_state *s, uint32_t id,
                                                EGLConfig *handle);

/* info.c */
int xg_wsir_info_fill(struct wsi_state *s);

/* context.c */
EGLBoolean xg_wsir_api_bind(struct wsi_state *s, enum xg_gl_api api);
EGLContext xg_wsir_context_make(struct wsi_state *s, const struct xg_wsi_context_create *c,
                                EGLConfig config, EGLContext share);
void xg_wsir_release(struct xg_worker_ring *r, struct wsi_state *s);
void xg_wsir_context_free(struct wsi_state *s, struct wsi_context *c);
struct wsi_ring *xg_wsir_ring_get(struct xg_worker_ring *r);

/* surface.c */
void xg_wsir_surface_unref(struct wsi_state *s, struct wsi_surface *f); /* under s->lock */

/* flight.c */
int xg_wsir_flight_init(struct wsi_state *s);
void xg_wsir_flight_fini(struct wsi_state *s); /* after the rings' threads, before the display */
/* What the current context (or the helper, with its API) gave to the device is work in flight from
 * now on. The ring holds the device. */
void xg_wsir_fence(struct xg_worker_ring *r, struct wsi_state *s, EGLenum api);
void xg_wsir_submitted(struct xg_worker_ring *r);
void xg_wsir_flight_idle(struct xg_worker_ring *r, struct wsi_state *s);

/* frame.c */
/* Completes what read-backs are ready. Nanoseconds until it should be called again, UINT64_MAX:
 * nothing under way. */
uint64_t xg_wsir_frames_poll(struct xg_worker_ring *r, struct wsi_state *s, bool all);
void xg_wsir_frames_fini(struct xg_worker_ring *r, struct wsi_state *s);

#endif
