/* A look at one API of a pGPU, in a child of the spawner. */
#ifndef XG_BROKER_PROBE_H
#define XG_BROKER_PROBE_H

#include "backend/worker.h"

enum xg_probe_api { XG_PROBE_GL, XG_PROBE_CUDA, XG_PROBE_APIS };

/* What a probing child found of one API. Empty strings: nothing. */
struct xg_probe_result {
    char renderer[128], gl_version[64];
    char cuda_name[128];
    char cuda_library[256]; /* the one that was found, for `auto` */
    uint64_t cuda_memory;   /* bytes */
    int32_t cuda_major, cuda_minor, cuda_version;
    int32_t cuda_mode;    /* its compute mode; 0: any program may use it */
    int32_t cuda_reaches; /* 1: kernels reach all memory of their process */
    char error[256];      /* why there is none */
    char doing[96];       /* the step that the child is in, such as a call of the driver */
    bool software;        /* it runs on the CPU */
    bool complete;        /* nothing more follows */
};

static inline const char *xg_probe_name(enum xg_probe_api api)
{
    return api == XG_PROBE_GL ? "OpenGL" : "CUDA";
}

/* In the probing child. Writes each step to `pipe` before it takes it, and the result at the end: a
 * driver may end or hang the process at any time. `libraries`: the directory of libxengpu.so and
 * softcuda/. */
void xg_probe(enum xg_probe_api api, const struct xg_device_config *device, const char *libraries,
              int pipe);

#endif
