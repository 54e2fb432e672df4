/* Window system replay: shared by its files. README.md says how it works. */
#ifndef XG_BACKEND_WSI_WSI_H
#define XG_BACKEND_WSI_WSI_H

#include "backend/gl/context.h"
#include "backend/platform/egl.h"
#include "backend/worker.h"
#include "protocol/wsi/wire.h"

#include <pthread.h>

#include "wsi/handlers.h"

/* libEGL is opened at run time: a Dom0 that serves only CUDA needs none. */
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
    uint32_t ring; /* index + 1 of the ring where it is current; 0: of none */
};

struct wsi_surface {
    EGLSurface egl;
    EGLConfig config;
    uint32_t width, height, flags;
    uint32_t bytes_per_pixel; /* an estimate, for the memory account */
    uint32_t refs;            /* one for the name, and one for each ring where it is current */
    uint32_t ring;            /* index + 1 of the ring where it is current; 0: of none */
    uint64_t frame_at;        /* when the guest's frame limit let its last frame through */
};

struct wsi_state {
    struct xg_worker *worker;
    struct xg_egl egl;
    struct xg_egl_entry entry;
    void *library;
    EGLDisplay display;
    bool is_cudas; /* this device is also the CUDA device of this pGPU */
    struct xg_wsi_info info;
    struct xg_wsi_config *configs;
    EGLConfig *handles; /* EGL's handles of configs, in the same order */
    /* for the tables, and for the fields that say where objects are current */
    pthread_mutex_t lock;
    struct xg_table contexts, surfaces, syncs;
    bool async_read; /* a GPU: frames are read back through pixel buffers */
    /* desktop GL calls a pbuffer's colour buffer GL_BACK, not GL_FRONT */
    bool pbuffer_is_back;
    struct wsi_flight *flight;
};

/* A ring's state: xg_worker_ring.api[XG_API_WSI]. */
struct wsi_ring {
    struct wsi_context *context;
    struct wsi_surface *draw, *read;
    /* a context of desktop GL for read-back: it keeps the application's GL state out of it */
    EGLContext helper;
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
/* Call it after the rings' threads have ended, before the display is closed. */
void xg_wsir_flight_fini(struct wsi_state *s);
/* From now on what the current context (or the helper, with its API) gave to the device counts as
 * work in flight. The ring must hold the device. */
void xg_wsir_fence(struct xg_worker_ring *r, struct wsi_state *s, EGLenum api);
void xg_wsir_submitted(struct xg_worker_ring *r);
void xg_wsir_flight_idle(struct xg_worker_ring *r, struct wsi_state *s);

/* frame.c */
/* Completes the read-backs that are ready. Returns after how many nanoseconds to call it again;
 * UINT64_MAX: no read-back is under way. */
uint64_t xg_wsir_frames_poll(struct xg_worker_ring *r, struct wsi_state *s, bool all);
void xg_wsir_frames_fini(struct xg_worker_ring *r, struct wsi_state *s);

#endif
