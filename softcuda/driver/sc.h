/*
 * softcuda's driver half: the CUDA driver API over the PTX engine.
 *
 * Locks, outermost first: sc_lock (contexts, modules), a context's streams_lock, a
 * stream's producer lock, an event's lock, the memory lock. API calls on the hot path (launches,
 * asynchronous copies, queries) take only the stream's producer lock. Those of graphs and
 * libraries: see cuda/api/graph.h and library.h.
 */
#ifndef SC_DRIVER_H
#define SC_DRIVER_H

#include <pthread.h>
#include <stdatomic.h>

#include "softcuda/engine.h"
#include "protocol/base.h"

#include "cuda/api/event.h"
#include "cuda/api/image.h"
#include "cuda/api/launch.h"
#include "cuda/api/module.h"
#include "cuda/device.h"

/* --- handles: see cuda/api/handle.h ----------------------------------------------------------- */

enum sc_kind {
    SC_MODULE = XG_CUDA_KIND_OWN,
    SC_FUNCTION,
    SC_PHYSICAL, /* cuMemCreate's */
};

/* --- process state and settings (init.c) ------------------------------------------------------ */

struct sc_settings {
    uint64_t memory;        /* bytes of device memory, SOFTCUDA_MEMORY */
    uint64_t timeout_ns;    /* watchdog, SOFTCUDA_TIMEOUT_MS */
    int cc_major, cc_minor; /* SOFTCUDA_COMPUTE_CAPABILITY */
    bool verbose;           /* SOFTCUDA_VERBOSE: faults and load failures on stderr */
};
extern struct sc_settings sc_settings;

extern pthread_mutex_t sc_lock;

void sc_say(const char *format, ...) XG_PRINTF(1, 2); /* if verbose */
CUresult sc_result(enum sc_status status);            /* of a launch or a load */

void *sc_symbol_find(const char *symbol); /* see cuda/device.h */
CUresult sc_start(bool forked);

CUresult sc_not_supported(void); /* what the functions answer that gen_rest.py makes */

/* --- contexts (context.c) --------------------------------------------------------------------- */

struct sc_stream;
struct sc_module_obj;

struct sc_ctx {
    struct xg_cuda_ctx api;
    _Atomic int sticky; /* CUresult: what a fault leaves behind until the context is destroyed */
    _Atomic int abort;  /* kernels stop when it is set */

    struct sc_stream *legacy;
    /* apart from what executors read meanwhile */
    pthread_mutex_t streams_lock __attribute__((aligned(64)));
    struct sc_stream *streams; /* all of them, the legacy one too */
    _Atomic unsigned blocking; /* how many others synchronise with the legacy one */

    struct sc_module_obj *modules; /* sc_lock */
    uint64_t heap;                 /* address of the heap that kernels' malloc uses, 0: none yet */
    struct sc_heap *heap_state;
    pthread_mutex_t print_lock;
    struct sc_print *print;      /* what kernels have printed; NULL: nothing yet */
    _Atomic bool printed;        /* and it is not out yet */
    bool prints;                 /* a module of it can; sc_lock */
    struct sc_ctx *_Atomic next; /* older, and alive when it was looked for last */
};

static inline struct sc_ctx *sc_ctx_of(struct xg_cuda_ctx *api)
{
    return (struct sc_ctx *)api; /* it begins with it; of none, none */
}

/* See cuda/device.h. */
CUresult sc_ctx_start(struct xg_cuda_ctx *api);
CUresult sc_ctx_end(struct xg_cuda_ctx *api);
CUresult sc_ctx_error(struct xg_cuda_ctx *api);
CUresult sc_ctx_settle(struct xg_cuda_ctx *api);
CUresult sc_ctx_limit(struct xg_cuda_ctx *api, CUlimit limit, uint64_t *value);
CUresult sc_ctx_tell(struct xg_cuda_ctx *api, enum xg_cuda_ctx_setting what, unsigned value);

struct sc_ctx *sc_ctx_current(void);                  /* NULL: none, or it has ended */
void sc_ctx_fail(struct sc_ctx *ctx, CUresult error); /* first one sticks */
CUresult sc_ctx_sync(struct sc_ctx *ctx);             /* waits for all streams */

/* print.c: for the engine, with a context; and at a synchronisation, in front of its return. */
#define SC_PRINT_MIN ((size_t)16 << 10)
#define SC_PRINT_MAX ((size_t)256 << 20)
void sc_print(void *ctx, const char *text, size_t len);
void sc_print_error(void *ctx, const char *text, size_t len);
void sc_print_flush(struct sc_ctx *ctx);
/* The limit has changed. False: not now, there is text. */
bool sc_print_resize(struct sc_ctx *ctx);

void sc_sync_all(void); /* of all contexts: before memory goes away */

/* --- memory (memory.c: address space and table; the API is in mem_api.c, vmm.c) --------------- */

enum sc_mem_kind {
    SC_MEM_DEVICE,
    SC_MEM_MANAGED,
    SC_MEM_HOST,       /* cuMemHostAlloc */
    SC_MEM_REGISTERED, /* cuMemHostRegister */
    SC_MEM_MAPPED,     /* cuMemMap */
    SC_MEM_MODULE,     /* a variable of a module, or the heap of a context */
    SC_MEM_VARIABLE,   /* a __managed__ variable of a module */
};

struct sc_mem {
    uint64_t start, size; /* size as asked for; that is what kernels may touch */
    uint64_t slot;        /* bytes of address space taken */
    enum sc_mem_kind kind;
    bool writable;   /* by kernels */
    bool accessible; /* to kernels at all (cuMemSetAccess) */
    uint32_t flags;  /* of the host allocation */
    struct sc_ctx *ctx;
    void *owner;               /* physical object */
    struct xg_cuda_pool *pool; /* may be NULL */
    uint64_t id;
};

#define SC_MASK(kind)   (1u << (kind))
#define SC_MASK_DEVICE  (SC_MASK(SC_MEM_DEVICE) | SC_MASK(SC_MEM_MANAGED))
#define SC_MASK_HOST    (SC_MASK(SC_MEM_HOST) | SC_MASK(SC_MEM_REGISTERED))
#define SC_MASK_MANAGED (SC_MASK(SC_MEM_MANAGED) | SC_MASK(SC_MEM_VARIABLE))
#define SC_MASK_MODULE  (SC_MASK(SC_MEM_MODULE) | SC_MASK(SC_MEM_VARIABLE))

int sc_mem_init(void); /* -errno */
/* Device memory in the window, charged to the quota, not cleared. 0: none left. */
uint64_t sc_mem_alloc(struct sc_ctx *ctx, uint64_t size, uint64_t align, enum sc_mem_kind kind,
                      struct xg_cuda_pool *pool, bool writable);
/* Takes the allocation that starts there, if its kind is in the mask, out of the table. */
bool sc_mem_remove(uint64_t start, unsigned mask, struct sc_mem *out);
void sc_mem_release(const struct sc_mem *mem); /* gives back what sc_mem_alloc took */
/* Enters memory that sc_mem_alloc did not make. -EEXIST if any of it is known, -ENOMEM. */
int sc_mem_enter(const struct sc_mem *mem);
bool sc_mem_find(uint64_t address, struct sc_mem *out); /* a copy */
/* Is all of [start, start + size) known? *kinds (may be NULL): a mask of what it holds. */
bool sc_mem_covered(uint64_t start, uint64_t size, unsigned *kinds);
/* Is that an address for device memory, allocated or not? The program's own memory is never there.
 */
bool sc_space_has(uint64_t address);
/* Calls back, with the memory lock held, for each allocation in [start, start + size). */
void sc_mem_each(uint64_t start, uint64_t size, void (*fn)(struct sc_mem *, void *), void *opaque);
void sc_mem_changed(void);     /* what kernels may touch is different now */
uint64_t sc_mem_version(void); /* another number after each such change */
void sc_mem_free_ctx(struct sc_ctx *ctx);
/* Quota: every way to allocate counts. */
bool sc_mem_charge(uint64_t size);
void sc_mem_uncharge(uint64_t size);
uint64_t sc_mem_used(void);
/* Address space in the window without memory, multiples of a page; 0: none. */
uint64_t sc_space_take(uint64_t size, uint64_t align);
void sc_space_give(uint64_t start, uint64_t size);

/* Operations of cuda/device.h (mem_api.c). */
CUresult sc_memory_info(CUcontext handle, size_t *free_now, size_t *total);
CUresult sc_device_alloc(CUcontext handle, size_t size, struct xg_cuda_pool *pool,
                         CUdeviceptr *out);
CUresult sc_shared_alloc(CUcontext handle, enum xg_cuda_memory_kind kind, size_t size,
                         unsigned flags, void **out);
CUresult sc_device_free(CUcontext handle, CUdeviceptr p);
CUresult sc_pinned_free(CUcontext handle, void *p);
CUresult sc_host_register(CUcontext handle, void *p, size_t size, unsigned flags);
CUresult sc_host_unregister(CUcontext handle, void *p);

/* Snapshots of the table for kernels. A user holds one as long as its version is current. */
struct sc_snapshot {
    struct sc_memmap map;
    uint64_t version;
    _Atomic int refs;
    struct sc_range ranges[];
};
struct sc_snapshot *
sc_snapshot_renew(struct sc_snapshot *old); /* drops `old` (may be NULL) if stale */
void sc_snapshot_drop(struct sc_snapshot *s);

static inline bool sc_mem_is_managed(const struct sc_mem *m)
{
    return (SC_MASK_MANAGED & SC_MASK(m->kind)) != 0;
}

/* --- operations and streams (stream.c, exec.c) ------------------------------------------------ */

struct sc_function;
struct sc_event;

enum sc_op_type {
    SC_OP_NOP,
    SC_OP_LAUNCH,
    SC_OP_COPY,
    SC_OP_SET,
    SC_OP_HOST,
    SC_OP_CALLBACK,
    SC_OP_RECORD,
    SC_OP_WAIT, /* for another stream's position */
    SC_OP_FREE,
    SC_OP_VALUE_WRITE,
    SC_OP_VALUE_WAIT,
};

/* What is copied: a box of bytes between pitched layouts. */
struct sc_copy {
    uint64_t dst, src;
    uint64_t width, height, depth; /* bytes, rows, slices */
    uint64_t dst_pitch, src_pitch, dst_slice, src_slice;
};

struct sc_set {
    uint64_t dst, pitch, width, height; /* width in elements */
    uint32_t value, element;            /* bytes per element: 1, 2, 4 */
};

enum { SC_INLINE_PARAMS = 144 };

struct sc_op {
    uint8_t type;
    uint16_t bytes; /* of this structure that are in use */
    uint32_t param_bytes;
    union {
        struct {
            struct sc_function *fn;
            void *params; /* NULL: inline */
            uint32_t grid[3], block[3];
            uint32_t shared, max_shared;
            uint32_t cooperative;
            uint8_t inline_params[SC_INLINE_PARAMS] __attribute__((aligned(16)));
        } launch;
        struct {
            struct sc_copy box;
            void *staging; /* freed when done */
        } copy;
        struct sc_set set;
        struct {
            CUhostFn fn;
            void *data;
        } host;
        struct {
            CUstreamCallback fn;
            CUstream stream;
            void *data;
        } callback;
        struct {
            struct sc_event *event;
            uint64_t record_id;
        } record;
        struct {
            struct sc_stream *stream;
            uint64_t seq;
        } wait;
        struct {
            uint64_t address;
        } free;
        struct {
            uint64_t address, value;
            uint32_t size, flags;
        } value;
    };
};

#define SC_OP_BYTES(member) (offsetof(struct sc_op, member) + sizeof(((struct sc_op *)0)->member))

enum { SC_CELL = 256, SC_CHUNK = 32, SC_CHUNKS = 32 };
_Static_assert(sizeof(struct sc_op) <= SC_CELL, "an operation fits a cell");

struct sc_stream {
    struct xg_cuda_stream api;
    _Atomic int refs;
    struct sc_ctx *ctx;
    CUsynchronizationPolicy policy; /* how to wait: kept for who asks */
    struct sc_stream *next, **link; /* ctx->streams */
    _Atomic bool dead;              /* destroyed, pending work goes on */

    pthread_mutex_t producer __attribute__((aligned(64))); /* apart from what executors write */
    uint8_t *chunk[SC_CHUNKS]; /* of SC_CHUNK cells each, those from chunk_first on */
    uint64_t chunk_first;
    unsigned chunk_count;
    uint64_t legacy_seen;    /* position of the legacy stream that this one waits for already */
    uint64_t completed_seen; /* no more than `completed` */
    bool running;            /* it has an executor, or waits for one */
    unsigned served;         /* where the first executor finds it (stream.c) */
    struct sc_stream *waiting_next;

    _Atomic uint64_t submitted __attribute__((aligned(64)));
    _Atomic int sleeping; /* the executor is in futex_wait on `wake` */
    _Atomic uint32_t wake;

    _Atomic uint64_t completed __attribute__((aligned(64)));
    _Atomic int owner;         /* 1: somebody executes the queue */
    _Atomic uint64_t wait_min; /* the lowest position that a sleeper waits for */
    _Atomic uint32_t epoch;
    pthread_mutex_t wait_lock;
    struct sc_snapshot *snapshot; /* the owner's */
};

void sc_stream_put(struct sc_stream *s);
void sc_stream_ref(struct sc_stream *s);
void sc_stream_kill(struct sc_stream *s); /* takes it out of its context; pending work goes on */
CUresult sc_stream_start(struct xg_cuda_stream *api); /* see cuda/device.h */

static inline struct sc_stream *sc_stream_of(struct xg_cuda_stream *api)
{
    return xg_container_of(api, struct sc_stream, api);
}

/* Appends; waits while the queue is full. *seq (may be NULL) is the position to wait for. Takes
 * over what the operation refers to; releases it on failure. Records instead while capturing. */
CUresult sc_submit(struct sc_stream *s, struct sc_op *op, uint64_t *seq);
/* Orders what follows behind (legacy stream) or before (others) as the API's rules for the default
 * stream say; sc_submit does it itself. */
void sc_stream_join(struct sc_stream *s);
bool sc_stream_idle(struct sc_stream *s); /* with what it synchronises with */
void sc_stream_wait_seq(struct sc_stream *s, uint64_t seq);
void sc_stream_sync(struct sc_stream *s); /* the legacy one: with all blocking streams */

void sc_op_run(struct sc_stream *s, struct sc_op *op);
void sc_op_release(struct sc_op *op);
void sc_copy_run(const struct sc_copy *c);
void sc_set_run(const struct sc_set *c);

void sc_futex_wait(_Atomic uint32_t *word, uint32_t value, uint64_t timeout_ns);
void sc_futex_wake(_Atomic uint32_t *word);

/* --- events (event.c) ------------------------------------------------------------------------- */

struct sc_event {
    struct xg_cuda_event api;
    _Atomic int refs;
    pthread_mutex_t lock;
    struct sc_stream *stream; /* of the last record, NULL: never recorded */
    uint64_t seq, record_id;
    _Atomic uint64_t time_ns;
    struct sc_event *next, **link;
};

void sc_event_ref(struct sc_event *e);
void sc_event_put(struct sc_event *e);
void sc_event_stamp(struct sc_event *e, uint64_t record_id);
void sc_event_drop_ctx(struct sc_ctx *ctx);
/* See cuda/device.h. */
CUresult sc_event_start(struct xg_cuda_event *e);
CUresult sc_event_end(struct xg_cuda_event *e);
CUresult sc_event_record(struct xg_cuda_stream *s, struct xg_cuda_event *e);
CUresult sc_event_wait(struct xg_cuda_stream *s, struct xg_cuda_event *e);
CUresult sc_event_query(struct xg_cuda_event *e);
CUresult sc_event_settle(struct xg_cuda_event *e);
CUresult sc_event_elapsed(struct xg_cuda_event *from, struct xg_cuda_event *to, float *ms);

/* --- modules and functions (module.c, func.c) ------------------------------------------------- */

struct sc_function {
    struct xg_cuda_function api;
    struct sc_module_obj *module;
    struct sc_func *func;
    const struct sc_func_info *info;
    int carveout;
};

struct sc_module_obj {
    struct xg_cuda_module api;
    struct sc_ctx *ctx; /* NULL: its variables are nowhere; it can be asked about */
    struct sc_module_obj *next;
    struct sc_module *module;
    _Atomic int refs; /* one per launch under way, and one of its own */
    struct sc_function *functions;
    unsigned var_count;
    uint64_t *vars; /* addresses */
};

/* Operations of the device (cuda/device.h). */
CUresult sc_module_load(CUcontext ctx, const struct xg_cuda_image *image,
                        const struct xg_cuda_jit *jit, void **own, struct xg_cuda_module **out);
CUresult sc_module_unload(CUmodule m, const struct xg_cuda_library *library);
CUresult sc_module_enter(CUmodule handle, struct xg_cuda_module **out);
void sc_function_refuse(const struct xg_cuda_function *f);
const char *sc_function_name(const struct xg_cuda_module *m, unsigned index, CUresult *refused);
CUresult sc_function_at(struct xg_cuda_module *m, unsigned index, struct xg_cuda_function **f);
CUresult sc_function_attribute(struct xg_cuda_function *f, CUfunction_attribute a, int *value);
CUresult sc_function_set(struct xg_cuda_function *f, CUfunction_attribute a, int value);
CUresult sc_function_cache(struct xg_cuda_function *f, CUfunc_cache config);
CUresult sc_function_banks(struct xg_cuda_function *f, CUsharedconfig config);
CUresult sc_function_enter(CUfunction handle, CUcontext *ctx, struct xg_cuda_function **out);
CUresult sc_function_blocks(struct xg_cuda_function *f, unsigned threads, size_t dynamic,
                            unsigned flags, int *blocks);
CUresult sc_function_dynamic(struct xg_cuda_function *f, unsigned blocks, unsigned threads,
                             size_t *size);
CUresult sc_variable_find(struct xg_cuda_module *m, const char *name, bool managed,
                          CUdeviceptr *address, size_t *size);

CUresult sc_link_new(CUcontext ctx, void **own);
CUresult sc_link_add(void *own, CUjitInputType type, const char *name, const void *data,
                     size_t size);
CUresult sc_link_complete(void *own, const struct xg_cuda_jit *jit, void **image, size_t *size);
CUresult sc_link_free(void *own);

/* The text that the device would be given of an image, to be freed. */
CUresult sc_image_ptx(const struct xg_cuda_image *image, char **ptx, size_t *len);
/* A kernel handle serves as well. NULL: *error says why. */
struct sc_function *sc_function_find(struct sc_ctx *ctx, CUfunction f, CUresult *error);
/* Not one that cannot be launched: CUDA_ERROR_NOT_SUPPORTED. */
struct sc_function *sc_function_get(struct sc_ctx *ctx, CUfunction f, CUresult *error);
void sc_module_ref(struct sc_module_obj *m);
void sc_module_put(struct sc_module_obj *m);
void sc_modules_end(struct sc_ctx *ctx); /* all of the context's; nothing of them is running */
/* Blocks on a multiprocessor; 0 exactly if xg_cuda_block_fits says no. */
int sc_occupancy(const struct sc_function *fn, unsigned threads, size_t shared);

void *sc_heap_alloc(void *ctx, uint64_t size);
void sc_heap_free(void *ctx, void *p);
void sc_heap_destroy(struct sc_ctx *ctx);
bool sc_heap_prepare(struct sc_ctx *ctx);

CUresult sc_launch_with(const CUlaunchConfig *c, CUfunction f, void **params, void **extra,
                        bool cooperative, bool plain);
/* Builds the operation of a launch; checks everything that can be checked. */
CUresult sc_launch_build(struct sc_ctx *ctx, CUfunction f, const unsigned grid[3],
                         const unsigned block[3], unsigned shared, void **params, void **extra,
                         bool cooperative, struct sc_op *op);

/* --- copies and fills (copy.c, fill.c): what cuda/api's operations become ----------------------
 */

/* Is the memory there? */
CUresult sc_copy_build(const struct xg_cuda_box *b, struct sc_copy *copy);
CUresult sc_set_build(const CUDA_MEMSET_NODE_PARAMS *p, struct sc_set *set);
CUresult sc_copy_box(struct sc_stream *s, const struct xg_cuda_box *b, bool wait);
CUresult sc_copy_line(struct sc_stream *s, CUdeviceptr dst, CUdeviceptr src, size_t size,
                      enum xg_cuda_way way, bool wait);
CUresult sc_fill(struct sc_stream *s, const CUDA_MEMSET_NODE_PARAMS *p, bool wait);

/* --- what cuda/api/ asks (device_ops.c) --------------------------------------------------------
 */

CUresult sc_capture_op(struct sc_stream *s, const struct sc_op *op);

#endif
