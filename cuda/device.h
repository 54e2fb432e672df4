/*
 * What CUDA's semantics (cuda/api/) ask of a device. Whoever links them defines `xg_cuda_device`,
 * one for the process: the guest's libcuda does these operations over the ring, softcuda over its
 * engine.
 *
 * Results are the API's. Handles are the application's and may be anything: the device looks them
 * up. Nothing here but own_get and own_put is called with the lock of graphs held, and variable
 * with that of all libraries. Starting is, with that of cuInit or of the primary context; work for
 * a stream, with that of the executable graph; and a library's modules and functions are loaded and
 * set with that of the library: these are outside of all of the device's.
 */
#ifndef XG_CUDA_DEVICE_H
#define XG_CUDA_DEVICE_H

#include <stdatomic.h>
#include <stdbool.h>

#include "protocol/base.h"

/* The API's functions are what the libraries export. */
#pragma GCC visibility push(default)
#include "cuda/abi.h"
#pragma GCC visibility pop

#include "cuda/need.h"

struct xg_cuda_capture;
struct xg_cuda_event;
struct xg_cuda_image;
struct xg_cuda_jit;
struct xg_cuda_library;
struct xg_cuda_pool;
struct xg_cuda_stream;

/* What cuda/api knows of a context. The device's own structure begins with it, and stays when the
 * context has ended: other threads may have it current. */
struct xg_cuda_ctx {
    CUcontext handle;
    uint64_t id; /* never used again */
    unsigned flags, version;
    bool primary;
    _Atomic bool ended;
    unsigned attached; /* by cuCtxAttach, and 1 */
    CUfunc_cache cache;
    uint64_t limit[CU_LIMIT_MAX]; /* UINT64_MAX: not supported; the device has set them */
    struct xg_cuda_stream *legacy;
};

/* What a context is told beside its limits. */
enum xg_cuda_ctx_setting {
    XG_CUDA_CTX_FLAGS,
    XG_CUDA_CTX_CACHE,    /* a CUfunc_cache */
    XG_CUDA_CTX_BANKS,    /* a CUsharedconfig */
    XG_CUDA_CTX_L2_RESET, /* 0 */
};

/* What cuda/api knows of a stream. The device's own structure begins with it. */
struct xg_cuda_stream {
    CUstream handle; /* CU_STREAM_LEGACY: there is one in each context */
    struct xg_cuda_ctx *ctx;
    uint64_t id; /* never used again */
    unsigned flags;
    int priority;
    bool legacy;
    bool blocking;                           /* it synchronises with the legacy one */
    struct xg_cuda_capture *_Atomic capture; /* NULL: none; cuda/api's */
};

/* Where a kernel's parameters lie in their block; `place` is the device's, and stays. */
struct xg_cuda_place {
    uint32_t offset, size; /* bytes */
};
struct xg_cuda_layout {
    const struct xg_cuda_place *place;
    unsigned count;
    uint32_t bytes; /* of the block */
};

/* What cuda/api knows of a module and of a function, inside of the device's own. */
struct xg_cuda_module {
    CUmodule handle;
    struct xg_cuda_library *library; /* NULL: it is the application's own; cuda/api's */
    unsigned functions;
};
struct xg_cuda_function {
    CUfunction handle;
    struct xg_cuda_module *module;
    const char *name;
    struct xg_cuda_layout params;
    CUresult refused;     /* what every use of it is answered, but questions */
    unsigned max_threads; /* of a block */
    uint32_t max_dynamic; /* bytes of shared memory that a launch may ask for */
};

/* One side of a copied box. */
struct xg_cuda_side {
    CUmemorytype type;      /* as the program says: CU_MEMORYTYPE_UNIFIED too */
    uint64_t at;            /* an address, or an array's handle; never 0 */
    uint64_t pitch, height; /* bytes per row, rows per slice; an array has its own */
    uint64_t x, y, z;       /* where the box starts: bytes, rows, slices */
    uint64_t start, span;   /* not of arrays: its first byte, and bytes from that to its last */
};
/* The sides lie where 64 bits reach, and so does a slice of each; the box fits into their rows and
 * slices. */
struct xg_cuda_box {
    struct xg_cuda_side dst, src;
    uint64_t width, rows, slices; /* bytes, rows, slices; none is 0 */
};

/* What the two ends of a copied line have to be: memory of the device, of the host, or either. */
enum xg_cuda_way { XG_CUDA_HTOD, XG_CUDA_DTOH, XG_CUDA_DTOD, XG_CUDA_ANY };

/* Bytes from the first to the last that a fill writes. */
static inline uint64_t xg_cuda_fill_span(const CUDA_MEMSET_NODE_PARAMS *p)
{
    return (p->height > 1 ? (p->height - 1) * p->pitch : 0) + p->width * p->elementSize;
}

/* Bytes: rows of cuMemAllocPitch begin at multiples of it; and the largest pitch that a copy may be
 * told, as every device has it. */
#define XG_CUDA_PITCH     512u
#define XG_CUDA_PITCH_MAX INT32_MAX

enum xg_cuda_memory_kind {
    XG_CUDA_MEMORY_DEVICE,
    XG_CUDA_MEMORY_MANAGED,
    XG_CUDA_MEMORY_PINNED, /* cuMemHostAlloc's */
    XG_CUDA_MEMORY_REGISTERED,
};

/* An allocation; a variable of a module is one too. */
struct xg_cuda_memory {
    enum xg_cuda_memory_kind kind;
    CUdeviceptr start;         /* as the program looked it up */
    size_t size;               /* as it was asked for */
    uint64_t device;           /* where the device has its start, 0: nowhere */
    uint64_t host;             /* where the program has it, 0: nowhere */
    bool reached;              /* by kernels */
    bool read_only;            /* for them */
    CUcontext ctx;             /* may be NULL */
    struct xg_cuda_pool *pool; /* may be NULL */
    unsigned flags;            /* pinned: those it was asked for with */
    unsigned long long id;     /* no other has, nor had it */
};

static inline CUmemorytype xg_cuda_memory_type(const struct xg_cuda_memory *m)
{
    return m->kind <= XG_CUDA_MEMORY_MANAGED ? CU_MEMORYTYPE_DEVICE : CU_MEMORYTYPE_HOST;
}

/* What the device is: it stays so from `start` on. */
struct xg_cuda_facts {
    char name[256];
    uint8_t uuid[16];
    char luid[8]; /* and the mask that goes with it, if they are known at all */
    unsigned luid_mask;
    bool luid_known;
    char pci_bus[32];                      /* "0000:3b:00.0"; "": not known */
    int driver_version;                    /* of what does the work, as CUDA_VERSION is */
    int priority_least, priority_greatest; /* of streams; lower numbers are greater */
    bool host_functions;                   /* streams can have them */
};

struct xg_cuda_device {
    const char *name;                         /* who says it, in messages to the user */
    void *(*symbol_find)(const char *symbol); /* what this library exports; NULL: it does not */
    bool sync_memops; /* a synchronous operation waits for the device in any case */

    /* --- the device that the application sees ------------------------------------------------- */

    const struct xg_cuda_facts *facts;
    uint64_t (*memory_total)(void);                      /* bytes, a quota counted in */
    bool (*attribute)(CUdevice_attribute a, int *value); /* false: nobody knows */

    /* --- the process: one call at a time ------------------------------------------------------ */

    /* By cuInit, until it succeeds. `forked`: in a child of a process where it did. */
    CUresult (*start)(bool forked);
    void (*forked)(void); /* in the child, at once; may be NULL */

    CUresult (*lost)(void); /* CUDA_SUCCESS, or what each call answers: the device is no more */

    /* --- contexts ----------------------------------------------------------------------------- */

    size_t ctx_size; /* of the device's structure, which lies at 64 bytes */
    /* Behind what is cuda/api's it is zero. If it cannot be, nothing of it is left. */
    CUresult (*ctx_start)(struct xg_cuda_ctx *ctx);
    CUresult (*ctx_end)(struct xg_cuda_ctx *ctx); /* with all that is in it or under way */
    /* What each call in it answers: that the device is lost, or what has spoilt the context. */
    CUresult (*ctx_error)(struct xg_cuda_ctx *ctx);
    CUresult (*ctx_settle)(struct xg_cuda_ctx *ctx); /* waits for all work of it */
    /* Of a limit that it has; *value becomes what the limit is then. */
    CUresult (*ctx_limit)(struct xg_cuda_ctx *ctx, CUlimit limit, uint64_t *value);
    CUresult (*ctx_tell)(struct xg_cuda_ctx *ctx, enum xg_cuda_ctx_setting what, unsigned value);

    /* --- streams ------------------------------------------------------------------------------ */

    size_t stream_size; /* of the device's structure, which lies at 64 bytes */
    /* Behind what is cuda/api's it is zero. If it cannot be, nothing of it is left. */
    CUresult (*stream_start)(struct xg_cuda_stream *s);
    /* It has no handle any more; what is in it goes on. Gives the structure back by free(), at once
     * or when it can. */
    CUresult (*stream_end)(struct xg_cuda_stream *s);
    void (*stream_hold)(struct xg_cuda_stream *s); /* the structure, until stream_put; both NULL: */
    void (*stream_put)(struct xg_cuda_stream *s);  /* it is as good as held */
    CUresult (*stream_query)(struct xg_cuda_stream *s);  /* CUDA_ERROR_NOT_READY: there is work */
    CUresult (*stream_settle)(struct xg_cuda_stream *s); /* waits for what is in it now */

    /* --- events (cuda/api/event.h) ------------------------------------------------------------ */

    size_t event_size; /* of the device's structure */
    /* Behind what is cuda/api's it is zero. If it cannot be, nothing of it is left. */
    CUresult (*event_start)(struct xg_cuda_event *e);
    /* It has no handle any more. Gives the structure back by xg_cuda_event_free, at once or when it
     * can. */
    CUresult (*event_end)(struct xg_cuda_event *e);
    CUresult (*event_query)(struct xg_cuda_event *e);  /* CUDA_ERROR_NOT_READY: it is to come */
    CUresult (*event_settle)(struct xg_cuda_event *e); /* waits for it */
    CUresult (*event_elapsed)(struct xg_cuda_event *from, struct xg_cuda_event *to, float *ms);

    /* --- modules and functions ---------------------------------------------------------------- */

    /* Of a library, *own becomes what the device keeps of it for all contexts: NULL at first, and
     * perhaps always. Of a module that is no library's, `own` is NULL. `jit` is reported to. */
    CUresult (*module_load)(CUcontext ctx, const struct xg_cuda_image *image,
                            const struct xg_cuda_jit *jit, void **own, struct xg_cuda_module **m);
    /* Only with a context. Else `ctx` may be NULL: the module is one that can be asked about. */
    bool image_needs_context;
    /* That library's; NULL: one that is none's. CUDA_ERROR_INVALID_HANDLE: it is no such module. */
    CUresult (*module_unload)(CUmodule handle, const struct xg_cuda_library *library);
    /* Enters the thread's context, or without one the module's. *m NULL: it is no module. */
    CUresult (*module_enter)(CUmodule handle, struct xg_cuda_module **m);
    void (*image_again)(void *own); /* no context has it: the next one begins anew */
    void (*image_put)(void *own);
    /* `refused`, unless NULL: what every use of it is answered, as far as that is known. */
    const char *(*function_name)(const struct xg_cuda_module *m, unsigned index, CUresult *refused);
    CUresult (*function_load)(struct xg_cuda_module *m, unsigned index,
                              struct xg_cuda_function **f);
    /* The program is answered so: who wants to know hears why. NULL: the device does not say. */
    void (*function_refuse)(const struct xg_cuda_function *f);
    /* Enters the thread's context, or without one the function's. *f NULL: it is no function. */
    CUresult (*function_enter)(CUfunction handle, CUcontext *ctx, struct xg_cuda_function **f);
    CUresult (*function_attribute)(struct xg_cuda_function *f, CUfunction_attribute a, int *value);
    CUresult (*function_set)(struct xg_cuda_function *f, CUfunction_attribute a, int value);
    CUresult (*function_cache)(struct xg_cuda_function *f, CUfunc_cache config);
    CUresult (*function_banks)(struct xg_cuda_function *f, CUsharedconfig config);
    /* How many blocks of so many threads, with so much dynamic shared memory (bytes), a
     * multiprocessor has room for: 0 if none fits. And what is left for each of them. */
    CUresult (*function_blocks)(struct xg_cuda_function *f, unsigned threads, size_t dynamic,
                                unsigned flags, int *blocks);
    CUresult (*function_dynamic)(struct xg_cuda_function *f, unsigned blocks, unsigned threads,
                                 size_t *dynamic);
    /* A variable, or only if it is managed. `address` and `size` may be NULL. */
    CUresult (*variable)(struct xg_cuda_module *m, const char *name, bool managed,
                         CUdeviceptr *address, size_t *size);

    /* --- the linker --------------------------------------------------------------------------- */

    CUresult (*link_new)(CUcontext ctx, void **own);
    CUresult (*link_add)(void *own, CUjitInputType type, const char *name, const void *data,
                         size_t size);
    /* *image is the device's until link_free. `jit` is reported to. */
    CUresult (*link_complete)(void *own, const struct xg_cuda_jit *jit, void **image, size_t *size);
    CUresult (*link_free)(void *own); /* the context may be gone */

    /* --- whether work could be done now ------------------------------------------------------- */

    /* *own becomes what the device keeps of it, so that it need not do everything again each time
     * that it runs: handed back with the work, counted by own_get and own_put. NULL: nothing, and
     * neither is called. */

    /* p->ctx is the one to look for the function in, NULL: there is none; it becomes that of the
     * function. The parameters are known to be there afterwards, in one of CUDA's two ways. */
    CUresult (*kernel_check)(CUDA_KERNEL_NODE_PARAMS *p, bool cooperative,
                             struct xg_cuda_layout *layout, void **own);
    /* Whether the memory, or the array, is there. `own` may be NULL. */
    CUresult (*copy_check)(const struct xg_cuda_box *b, void **own);
    CUresult (*fill_check)(const CUDA_MEMSET_NODE_PARAMS *p, void **own);
    void (*own_get)(void *own);
    void (*own_put)(void *own);

    /* --- memory ------------------------------------------------------------------------------- */

    bool (*memory_find)(CUdeviceptr p, struct xg_cuda_memory *m); /* what `p` lies in */
    /* Device memory, of a context that is there. `pool` is held for it until it is freed, by
     * whatever way: xg_cuda_pool_freed. */
    CUresult (*alloc)(CUcontext ctx, size_t size, struct xg_cuda_pool *pool, CUdeviceptr *out);
    /* Managed memory, or pinned with these flags of cuMemHostAlloc. */
    CUresult (*alloc_shared)(CUcontext ctx, enum xg_cuda_memory_kind kind, size_t size,
                             unsigned flags, void **out);
    /* What the program may free and begins at `p`, after the work that may use it: device or
     * managed memory; pinned memory. CUDA_ERROR_INVALID_VALUE: nothing of that kind. */
    CUresult (*free)(CUcontext ctx, CUdeviceptr p);
    CUresult (*free_pinned)(CUcontext ctx, void *p);
    /* Frees the device's memory that begins at `p`, not managed memory, behind what the stream has.
     * CUDA_ERROR_INVALID_VALUE: there is none. */
    CUresult (*free_later)(struct xg_cuda_stream *s, CUdeviceptr p);
    CUresult (*memory_info)(CUcontext ctx, size_t *free_now, size_t *total); /* bytes */
    /* With known flags but CU_MEMHOSTREGISTER_IOMEMORY. */
    CUresult (*host_register)(CUcontext ctx, void *p, size_t size, unsigned flags);
    CUresult (*host_unregister)(CUcontext ctx, void *p); /* what was registered begins there */

    /* A launch whose attributes are judged as far as they are the same everywhere. `cooperative`:
     * one of them says so; `plain`: none says anything else. */
    CUresult (*launch_with)(const CUlaunchConfig *config, CUfunction f, void **params, void **extra,
                            bool cooperative, bool plain);

    /* --- work, behind what the stream has; what was checked once may have gone since ---------- */

    CUresult (*launch)(struct xg_cuda_stream *s, const CUDA_KERNEL_NODE_PARAMS *p, bool cooperative,
                       void *own);
    /* With `wait` for a synchronous call: what is written and the program may look at without
     * asking is there when it returns. Checked as above; `own` NULL: it is no node's. */
    CUresult (*copy)(struct xg_cuda_stream *s, const struct xg_cuda_box *b, bool wait, void *own);
    CUresult (*fill)(struct xg_cuda_stream *s, const CUDA_MEMSET_NODE_PARAMS *p, bool wait,
                     void *own);
    /* `size` bytes, which are some, to and from what is not NULL: the way of most copies. */
    CUresult (*copy_line)(struct xg_cuda_stream *s, CUdeviceptr dst, CUdeviceptr src, size_t size,
                          enum xg_cuda_way way, bool wait);
    CUresult (*host)(struct xg_cuda_stream *s, const CUDA_HOST_NODE_PARAMS *p);
    CUresult (*callback)(struct xg_cuda_stream *s, CUstream as, CUstreamCallback fn, void *data);
    CUresult (*event_record)(struct xg_cuda_stream *s, struct xg_cuda_event *e);
    CUresult (*event_wait)(struct xg_cuda_stream *s, struct xg_cuda_event *e); /* recorded once */
};

extern const struct xg_cuda_device xg_cuda_device;

#endif
