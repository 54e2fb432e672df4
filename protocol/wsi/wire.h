/* The records, flags and limits of the window system's commands, which wsi.api describes. */
#ifndef XG_PROTOCOL_WSI_WIRE_H
#define XG_PROTOCOL_WSI_WIRE_H

#include "protocol/gl/wire.h"
#include "protocol/ring.h"

#define XG_WSI_CONTEXTS_MAX 4096u /* names below this */
#define XG_WSI_SURFACES_MAX 4096u
#define XG_WSI_SYNCS_MAX    65536u
/* Pixels, either side; QUERY says what the device really takes. */
#define XG_WSI_SIZE_MAX 16384u

/* --- the device ------------------------------------------------------------------------------- */

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

/* --- surfaces --------------------------------------------------------------------------------- */

enum xg_wsi_surface_flag {
    XG_WSI_SURFACE_SRGB = 1,
    XG_WSI_SURFACE_DOUBLE = 2,  /* the application sees two buffers where the host has one */
    XG_WSI_SURFACE_PBUFFER = 4, /* EGL's: the application's buffer has the name of the host's */
};
#define XG_WSI_SURFACE_FLAGS 7u

#endif
