/*
 * Window system commands: host contexts, host surfaces, and how a frame comes back to the guest.
 *
 * The worker has no window system. A drawable of the guest, window, pixmap or pbuffer, is a pbuffer
 * of the host's EGL; the guest reads its finished colour buffer into arena memory and shows it
 * itself. Names (contexts, surfaces, syncs) are minted by the guest, are unique within the channel,
 * and are never 0. A context is current on at most one ring; which of several contexts a shared
 * ring is about is said by XG_WSI_MAKE_CURRENT.
 *
 * Every command is one fixed structure, below; [call] means that it is sent as a call, and what its
 * reply is.
 */
#ifndef XG_PROTOCOL_WSI_OPS_H
#define XG_PROTOCOL_WSI_OPS_H

#include "protocol/gl/wire.h"
#include "protocol/ring.h"

#define XG_WSI_CONTEXTS_MAX 4096u /* names below this */
#define XG_WSI_SURFACES_MAX 4096u
#define XG_WSI_SYNCS_MAX    65536u
#define XG_WSI_SIZE_MAX                                                                            \
    16384u /* pixels, either side; XG_WSI_QUERY says what the device really takes */

enum xg_wsi_op {
    XG_WSI_QUERY =
        XG_API_WSI << XG_OP_API_SHIFT, /* [call] the device: struct xg_wsi_info into arena memory */
    XG_WSI_CONTEXT_CREATE,  /* [call] 0, -EINVAL, -ENOTSUP (version or profile), -EEXIST, -ENOMEM */
    XG_WSI_CONTEXT_DESTROY, /* on any ring; current there or nowhere */
    XG_WSI_SURFACE_CREATE,  /* [call] 0, -EINVAL, -ERANGE, -EEXIST, -ENOMEM */
    XG_WSI_SURFACE_RESIZE,  /* contents are undefined afterwards; on failure the old size stays */
    XG_WSI_SURFACE_DESTROY,
    XG_WSI_MAKE_CURRENT, /* for what follows on this ring */
    XG_WSI_READ_FRAME,   /* [call] struct xg_wsi_frame_reply, when the pixels are there */
    XG_WSI_SYNC_CREATE,  /* a fence after what came before on this ring; a context is current */
    XG_WSI_SYNC_DESTROY,
    XG_WSI_SYNC_WAIT,        /* [call] 0 signalled, -ETIME, -ENOENT */
    XG_WSI_SYNC_SERVER_WAIT, /* what follows in the current context waits for it */
    XG_WSI_OP_END,
};

/* --- the device ------------------------------------------------------------------------------- */

struct xg_wsi_query {
    uint32_t where; /* as in a blob */
    uint32_t size;  /* bytes there */
};

/* The reply is one u32: the bytes that were needed. If that is more than `size`, nothing was
 * written. */
struct xg_wsi_info {
    uint32_t size; /* of this structure; the configurations follow it */
    uint32_t config_count;
    uint32_t flags; /* enum xg_wsi_info_flag */
    uint32_t pbuffer_max_width;
    uint32_t pbuffer_max_height;
    /* Highest versions that a context can be created with: major * 10 + minor, 0: none */
    uint32_t gl_compat, gl_core, gles1, gles;
    uint32_t reserved;
    char renderer[128]; /* GL_RENDERER of the host */
    char vendor[64];
    char version[64];
    char driver[64]; /* EGL_VERSION and driver, for people */
};
enum xg_wsi_info_flag {
    XG_WSI_INFO_SOFTWARE = 1, /* renders on the CPU */
    XG_WSI_INFO_ROBUST = 2,   /* reset notification and robust access */
    XG_WSI_INFO_NO_ERROR = 4,
    XG_WSI_INFO_SRGB = 8, /* surfaces may be sRGB */
    XG_WSI_INFO_SURFACELESS = 16,
    XG_WSI_INFO_NO_CONFIG = 32, /* contexts without a configuration */
    XG_WSI_INFO_SYNC = 64,
    XG_WSI_INFO_CUDA = 128, /* the device is the one that this guest's CUDA programs have */
};

struct xg_wsi_config {
    uint32_t id; /* the host's EGL_CONFIG_ID, never 0 */
    uint8_t red, green, blue, alpha, depth, stencil, samples, sample_buffers;
    uint32_t renderable; /* EGL_RENDERABLE_TYPE bits */
    uint32_t caveat;     /* EGL_NONE, EGL_SLOW_CONFIG, EGL_NON_CONFORMANT_CONFIG */
    uint32_t flags;      /* enum xg_wsi_config_flag */
    uint32_t reserved;
};
enum xg_wsi_config_flag {
    XG_WSI_CONFIG_FLOAT = 1,
};

/* --- contexts --------------------------------------------------------------------------------- */

enum xg_wsi_context_flag {
    XG_WSI_CONTEXT_DEBUG = 1,
    XG_WSI_CONTEXT_FORWARD = 2,
    XG_WSI_CONTEXT_ROBUST_ACCESS = 4,
    XG_WSI_CONTEXT_LOSE_ON_RESET = 8,
    XG_WSI_CONTEXT_NO_ERROR = 16,
};
#define XG_WSI_CONTEXT_FLAGS 31u

struct xg_wsi_context_create {
    uint32_t context;
    uint32_t share;  /* a context, 0: none */
    uint32_t config; /* struct xg_wsi_config.id, 0: none */
    uint32_t api;    /* enum xg_gl_api */
    uint32_t major, minor;
    uint32_t flags;
    uint32_t reserved;
};

/* CONTEXT_DESTROY, SURFACE_DESTROY, SYNC_DESTROY, SYNC_CREATE, SYNC_SERVER_WAIT */
struct xg_wsi_name {
    uint32_t name;
    uint32_t reserved;
};

/* All 0: none. A context without surfaces: surface 0, if the device can. A ring that is not current
 * before is bound; a context or surface that is current on another ring is an error in the guest,
 * and ends the channel. */
struct xg_wsi_make_current {
    uint32_t context;
    uint32_t draw, read; /* surfaces */
    uint32_t reserved;
};

/* --- surfaces --------------------------------------------------------------------------------- */

enum xg_wsi_surface_flag {
    XG_WSI_SURFACE_SRGB = 1,
    XG_WSI_SURFACE_DOUBLE = 2,  /* the application sees two buffers where the host has one */
    XG_WSI_SURFACE_PBUFFER = 4, /* EGL's: the application's buffer has the name of the host's */
};
#define XG_WSI_SURFACE_FLAGS 7u
struct xg_wsi_surface_create {
    uint32_t surface;
    uint32_t config;
    uint32_t width, height; /* >= 1 */
    uint32_t flags;
    uint32_t reserved;
};

struct xg_wsi_surface_resize {
    uint32_t surface;
    uint32_t width, height;
    uint32_t reserved;
};

/*
 * Reads the surface's colour buffer, which is the draw surface of the context that is current on
 * this ring, into the arena: rows from the top down, 32 bits a pixel, little-endian 0xAARRGGBB,
 * `stride` bytes a row (a multiple of 4). Only what both the surface and width x height have is
 * written. The context's own GL state is not touched.
 */
struct xg_wsi_read_frame {
    uint32_t surface;
    uint32_t where;
    uint32_t width, height;
    uint32_t stride;
    uint32_t flags; /* 0 */
};
struct xg_wsi_frame_reply {
    uint32_t width, height; /* what was written */
};

/* --- fences ----------------------------------------------------------------------------------- */

struct xg_wsi_sync_wait {
    uint32_t sync;
    uint32_t flush;
    uint64_t timeout_ns; /* 0: only look; UINT64_MAX: for ever */
};

#endif
