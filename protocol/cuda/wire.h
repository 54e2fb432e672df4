/*
 * What the two halves of CUDA share besides the commands (cuda.api): structures that lie in the
 * arena, the words of the index page, and small enumerations.
 */
#ifndef XG_CUDA_WIRE_H
#define XG_CUDA_WIRE_H

#include "protocol/base.h"

#include <stdatomic.h>

#define XG_CUDA_WIRE_VERSION 1u

/* xg_ring_page.word of ring 0. */
enum {
    XG_CUDA_WORD_ERROR = 0, /* a CUresult that made a context unusable, 0: none */
    XG_CUDA_WORD_CONTEXT =
        1, /* that context's name, or XG_CUDA_ALL_CONTEXTS; written before the error */
    XG_CUDA_WORD_FREE = 2, /* MiB of device memory that the guest may still take */
    XG_CUDA_WORD_FULL =
        3, /* not 0: no more room for work behind host functions that have not ended */
};

/* While a host function has not ended, a guest looks at XG_CUDA_WORD_FULL after so many one-way
 * commands, and an answer to them, and waits for 0: the driver takes only so much, and the worker
 * hears of the function's end by the same ring. */
#define XG_CUDA_ROOM 32u

/* Names. */
#define XG_CUDA_STREAM_LEGACY 0u
#define XG_CUDA_ALL_CONTEXTS  0u /* no context's name */
#define XG_CUDA_NAME_MAX      (1u << 22)

/* Staging slots for pageable memory: the guest fills one, names it in HTOD, and may use it again
 * once slot_done has reached the command's seq. */
#define XG_CUDA_SLOTS   16u
#define XG_CUDA_NO_SLOT 0xffffffffu

/* In the arena, zeroed by the guest before INIT, written by the worker. */
struct xg_cuda_shared {
    _Atomic uint64_t retired; /* RETIRE and UNMAP commands up to this seq are over */
    uint8_t pad0[56];
    _Atomic uint64_t slot_done[XG_CUDA_SLOTS];
};

#define XG_CUDA_ATTRIBUTES 256u
#define XG_CUDA_LIMITS     16u

enum {
    XG_CUDA_HAS_WINDOW = 1u,       /* device memory lies where MAP says; otherwise ALLOC asks */
    XG_CUDA_ARENA_SAME = 2u,       /* kernels see arena memory at the guest's own addresses */
    XG_CUDA_ARENA_REGISTERED = 4u, /* kernels see arena memory at all, from arena_device on */
    XG_CUDA_ARENA_PIECES = 8u,     /* ... but only what PIN has named */
    XG_CUDA_PINS = 16u,            /* PIN is known */
    XG_CUDA_HOST_RING = 32u,       /* HOST_NEXT and HOST_DONE may come on another ring than 0 */
};

/* Everything about the device that does not change; in the arena, written once by INIT. */
struct xg_cuda_snapshot {
    uint32_t driver_version;
    uint32_t flags;
    uint64_t total_memory; /* of the device; a quota is not in it */
    uint64_t granularity;  /* of MAP */
    uint64_t arena_device;
    uint64_t limit[XG_CUDA_LIMITS];        /* defaults, by CUlimit; UINT64_MAX: not supported */
    int32_t attribute[XG_CUDA_ATTRIBUTES]; /* by CUdevice_attribute */
    uint32_t attribute_known[XG_CUDA_ATTRIBUTES / 32];
    int32_t priority_least, priority_greatest;
    uint32_t luid_known, node_mask;
    char luid[8];
    uint8_t uuid[16];
    char name[256];
    char pci_bus[32];
};

/* The reply to a command that has none of its own. */
struct xg_cuda_result {
    uint32_t result; /* a CUresult; every other reply begins with it, too */
    uint32_t text;   /* to a synchronisation: XG_CUDA_REPLY_TEXT, there is text for PRINTED */
};
#define XG_CUDA_REPLY_TEXT 1u

/* What objects take of the guest's memory besides what they say themselves: with softcuda, and the
 * worker's part, rounded up. */
enum {
    XG_CUDA_COST_CONTEXT = 64 << 10,
    XG_CUDA_COST_STREAM = 16 << 10, /* with what it needs once it is used */
    XG_CUDA_COST_EVENT = 512,
    XG_CUDA_COST_MODULE = 16 << 10,
    XG_CUDA_COST_FUNC = 512,
    XG_CUDA_COST_OBJECT = 512, /* a texture, a surface, a linker, a symbol */
};

/* INIT, options */
enum { XG_CUDA_INIT_PINS = 1u }; /* the guest knows PIN */

/* PIN, flags */
enum {
    XG_CUDA_PIN_STAGING = 1u
}; /* the library's own slots: not counted, but not more than this altogether */
#define XG_CUDA_STAGING_MAX (8u << 20)

/* MODULE_LOAD, kind */
enum {
    XG_CUDA_LOAD_IMAGE = 0,
    XG_CUDA_LOAD_HASH = 1, /* no bytes: an image of that hash and size came before */
};

/* The function table that MODULE_LOAD writes: records, each followed by its parameters and its name
 * (ends in NUL), padded to 8. */
#define XG_CUDA_FUNC_ATTRIBUTES 16u
struct xg_cuda_func {
    uint32_t size; /* of the record with all that follows */
    uint32_t name_size;
    uint32_t param_count;
    uint32_t param_bytes;
    int32_t attribute[XG_CUDA_FUNC_ATTRIBUTES]; /* by CUfunction_attribute */
    uint32_t attribute_known;
    uint32_t refused; /* CUresult: the driver has the function and cannot run it; 0: it can */
};
struct xg_cuda_param {
    uint32_t offset, size;
};
#define XG_CUDA_PARAM_BYTES_MAX 32764u

/* COPY3D operands */
enum { XG_CUDA_SIDE_DEVICE = 0, XG_CUDA_SIDE_ARENA = 1, XG_CUDA_SIDE_ARRAY = 2 };

/* CTX_CONFIG, FUNC_CONFIG */
enum { XG_CUDA_CONFIG_CACHE = 0, XG_CUDA_CONFIG_SHARED = 1, XG_CUDA_CONFIG_FLAGS = 2 };

/* LAUNCH, flags */
enum { XG_CUDA_LAUNCH_COOPERATIVE = 1u };

/* HOST_CALL, kind */
enum { XG_CUDA_HOST_FUNC = 0, XG_CUDA_HOST_CALLBACK = 1 };

/* OCCUPANCY, what */
enum { XG_CUDA_OCC_BLOCKS = 0, XG_CUDA_OCC_DYNAMIC = 1 };

/* A launch attribute on the wire; events inside are names. */
struct xg_cuda_launch_attr {
    uint32_t id;
    uint32_t event;
    uint8_t value[64];
};

#endif
