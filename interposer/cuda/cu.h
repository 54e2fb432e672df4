/*
 * The guest's libcuda: the driver API over commands on ring 0.
 *
 * Handles are cuda/api's, and the wire carries their names. Locks, outermost first: a context's
 * lock, the memory lock, the ring's lock. Nothing is called with the ring's lock held. Those of
 * graphs and libraries: see cuda/api/graph.h and library.h.
 */
#ifndef XG_INTERPOSER_CUDA_CU_H
#define XG_INTERPOSER_CUDA_CU_H

#include "frontend/channel.h"
#include "protocol/base.h"
#include "protocol/cuda/wire.h"

#include "cuda/api/event.h"
#include "cuda/api/image.h"
#include "cuda/api/launch.h"
#include "cuda/api/module.h"
#include "cuda/device.h"

#include "cuda/ops.h"

/* --- handles (handle.c) ----------------------------------------------------------------------- */

enum cu_kind {
    CU_KIND_MODULE = XG_CUDA_KIND_OWN,
    CU_KIND_FUNC,
    CU_KIND_ARRAY,
    CU_KIND_LINK,
    CU_KIND_TEXTURE,
    CU_KIND_SURFACE,
};
_Static_assert(XG_CUDA_NAMES <= XG_CUDA_NAME_MAX, "the wire has room for names");

/* What every object begins with. */
struct cu_object {
    void *handle;
    uint32_t name; /* the handle's: what the wire carries */
    uint8_t kind;
};

/* Zeroed, with a handle of its own; NULL: out of memory. */
void *cu_object_new(enum cu_kind kind, size_t size);
/* Its handle is nothing any more. False: somebody else did. */
bool cu_object_hide(struct cu_object *o);
/* After cu_object_hide, and after the command that ends the name was sent: gives name and memory
 * back. */
void cu_object_free(struct cu_object *o);

static inline void *cu_handle(const struct cu_object *o)
{
    return o->handle;
}

/* --- the process (state.c) -------------------------------------------------------------------- */

struct cu_process {
    bool strict; /* XENGPU_CUDA_STRICT: every command is a call */
    struct xg_channel *channel;
    struct xg_ring *ring;
    struct xg_cuda_snapshot snap;
    struct xg_cuda_limits limits; /* of the snapshot */
    struct xg_cuda_shared *shared;
    uint8_t *arena;
    uint64_t arena_size;
    uint64_t window, window_size;
    _Atomic uint64_t seq;  /* of RETIRE, UNMAP, FREE */
    _Atomic uint64_t work; /* one-way commands sent, of all contexts */
};
extern struct cu_process cu;

struct cu_ctx;

/* What every call answers once the worker or the agent is gone. */
#define CU_LOST CUDA_ERROR_DEVICE_UNAVAILABLE

/* This thread's own ring, if it runs host functions and the worker takes them on one; else NULL. */
extern __thread struct xg_ring *cu_host_ring;

bool cu_lost(void);

/* text.c: a reply said that there is text; at the end of each synchronisation: writes it. */
void cu_text_told(void);
void cu_text_flush(void);
void cu_text_reset(void);
/* A module that names vprintf was loaded. Without one, none of these costs anything. */
extern _Atomic bool cu_text_expected;
static inline bool cu_prints(void)
{
    return XG_UNLIKELY(atomic_load_explicit(&cu_text_expected, memory_order_relaxed));
}
/* Calls that do not wait, and bring out what is there all the same: asks the worker. A launch does
 * so once in a while. */
void cu_text_look(void);
void cu_text_launched(void);

CUresult cu_not_supported(const char *what);
CUresult cu_start(bool forked); /* see cuda/device.h */
void cu_forked(void);

/* --- the device (device.c): see cuda/device.h ------------------------------------------------- */

extern struct xg_cuda_facts cu_facts;
void cu_device_describe(void); /* the facts, from cu.snap */
uint64_t cu_memory_total(void);
bool cu_attribute(CUdevice_attribute a, int *value);

/* --- commands (emit.c) ------------------------------------------------------------------------ */

/*
 * A command: cu_begin, then the generated function that writes its frame (cu_put_...), then cu_end.
 * The generated cu_send_... and cu_call_... do all three; the steps are for what is answered only
 * sometimes, has something in it that only the ring's lock makes right, or is waited for later.
 */
struct cu_cmd {
    struct xg_ring *ring;
    uint32_t ticket;
    bool call;  /* it is answered */
    bool took;  /* cu_begin_take asks: what is left is looked at behind the answer */
    bool polls; /* for the answer, as the driver would */
};

/* Takes the ring's lock, and says whose command it is if that changed. `ctx` NULL: no context. */
void cu_begin(struct cu_cmd *c, struct cu_ctx *ctx);
/* The same for something that is answered. */
void cu_begin_call(struct cu_cmd *c, struct cu_ctx *ctx);
/* The same for something one-way that takes so much of the guest's memory: it is answered when that
 * may not be there. */
void cu_begin_take(struct cu_cmd *c, struct cu_ctx *ctx, uint64_t bytes);
/* The same on another ring than all else goes, of no context. */
void cu_begin_on(struct cu_cmd *c, struct xg_ring *ring);
void cu_budget_renew(void);
/* Shows it to the worker and unlocks. One-way commands: CUDA_SUCCESS, or CU_LOST; in strict mode
 * what the command gave. */
CUresult cu_end(struct cu_cmd *c);
/* Whether only one thread of this process has ever sent anything. */
uint32_t cu_alone(void);
void cu_not_alone(void); /* a thread is about to start that will */
/* Waits for the reply, which starts with its CUresult; `size` at least 8. What did not come is 0.
 */
CUresult cu_wait(struct cu_cmd *c, void *reply, uint32_t size);
/* The command waits for the device, for which the program wants to sleep or not
 * (CU_CTX_SCHED_BLOCKING_SYNC, CU_EVENT_BLOCKING_SYNC). */
void cu_poll(struct cu_cmd *c, bool sleeps);
/* cu_end without waiting; cu_wait follows. */
void cu_send(struct cu_cmd *c);

/* A call whose reply is only the result, already sent. */
CUresult cu_finish(struct cu_cmd *c);

/* For the generated functions: room for a frame of something one-way, and of a call. */
static inline void *cu_frame_call(struct cu_cmd *c, uint16_t op, uint32_t payload)
{
    c->call = true;
    return xg_ring_begin_call(c->ring, op, payload, &c->ticket);
}
static inline void *cu_frame(struct cu_cmd *c, uint16_t op, uint32_t payload)
{
    return XG_UNLIKELY(c->call) ? cu_frame_call(c, op, payload)
                                : xg_ring_begin(c->ring, op, payload);
}
/* A blob that is written in the frame itself: its room there, and where its bytes go. */
static inline uint32_t cu_built_room(uint32_t size)
{
    return (uint32_t)sizeof(struct xg_blob) + ((size + 7) & ~7u);
}
static inline void *cu_built_put(void **at, uint32_t size)
{
    struct xg_blob *b = *at;

    b->size = size;
    b->where = 0;
    *at = (char *)b + cu_built_room(size);
    return b + 1;
}

/* --- contexts (context.c) --------------------------------------------------------------------- */

struct cu_ctx {
    struct xg_cuda_ctx api;
    uint32_t name;           /* the handle's */
    _Atomic bool explained;  /* what was printed about its error is out */
    _Atomic uint64_t synced; /* value of cu.work up to which everything of it is known to be over */
    pthread_mutex_t lock;
    struct cu_module *hidden; /* while it ends */
};

static inline struct cu_ctx *cu_ctx_of(struct xg_cuda_ctx *api)
{
    return (struct cu_ctx *)api; /* it begins with it; of none, none */
}

/* See cuda/device.h. */
CUresult cu_device_lost(void);
CUresult cu_ctx_start(struct xg_cuda_ctx *api);
CUresult cu_ctx_end(struct xg_cuda_ctx *api);
CUresult cu_ctx_unusable(struct xg_cuda_ctx *api);
CUresult cu_ctx_limit(struct xg_cuda_ctx *api, CUlimit limit, uint64_t *value);
CUresult cu_ctx_tell(struct xg_cuda_ctx *api, enum xg_cuda_ctx_setting setting, unsigned value);

CUresult cu_ctx_error(const struct cu_ctx *ctx); /* a kernel's error that stays */
CUresult cu_ctx_sync(struct cu_ctx *ctx);
CUresult cu_ctx_settle(struct cu_ctx *ctx); /* the same, unless it is known to be idle */
/* Of a context that ends: nobody finds its modules any more. */
void cu_ctx_hide_modules(struct cu_ctx *ctx);
/* The worker was told: their names may be used again. */
void cu_ctx_free_modules(struct cu_ctx *ctx);

/* Enters the thread's context, or `home` (NULL: none) if it has none. */
#define CU_ENTER_IN(ctx, home)                                                                     \
    struct cu_ctx *ctx;                                                                            \
    do {                                                                                           \
        struct xg_cuda_ctx *entered_;                                                              \
        CUresult enter_ = xg_cuda_ctx_enter_in(home, &entered_);                                   \
        if (XG_UNLIKELY(enter_ != CUDA_SUCCESS))                                                   \
            return enter_;                                                                         \
        ctx = cu_ctx_of(entered_);                                                                 \
        (void)ctx;                                                                                 \
    } while (0)
#define CU_ENTER(ctx) CU_ENTER_IN(ctx, NULL)

/* --- streams and events (stream.c): see cuda/device.h ----------------------------------------- */

CUresult cu_stream_start(struct xg_cuda_stream *s);
CUresult cu_stream_end(struct xg_cuda_stream *s);
CUresult cu_stream_query(struct xg_cuda_stream *s);
CUresult cu_stream_settle(struct xg_cuda_stream *s);

struct cu_event {
    struct xg_cuda_event api;
    _Atomic bool over;         /* its last record is known to be over */
    _Atomic uint64_t asked_at; /* when the worker last said "not yet" */
};
CUresult cu_event_start(struct xg_cuda_event *e);
CUresult cu_event_end(struct xg_cuda_event *e);
CUresult cu_event_record(struct xg_cuda_stream *s, struct xg_cuda_event *e);
CUresult cu_event_wait(struct xg_cuda_stream *s, struct xg_cuda_event *e);
CUresult cu_event_query(struct xg_cuda_event *e);
CUresult cu_event_settle(struct xg_cuda_event *e);
CUresult cu_event_elapsed(struct xg_cuda_event *from, struct xg_cuda_event *to, float *ms);

static inline struct cu_ctx *cu_stream_ctx(const struct xg_cuda_stream *s)
{
    return cu_ctx_of(s->ctx);
}

/* What the wire carries. The legacy stream's handle is a small number, without a name in it. */
static inline uint32_t cu_stream_wire(const struct xg_cuda_stream *s)
{
    _Static_assert(XG_CUDA_STREAM_LEGACY == 0, "no name");
    return xg_cuda_handle_name(s->handle);
}

/* --- device memory (va.c, memory.c) ----------------------------------------------------------- */

enum cu_mem_kind { CU_MEM_DEVICE, CU_MEM_GLOBAL, CU_MEM_HOST, CU_MEM_REGISTERED, CU_MEM_MANAGED };

/* An allocation, as cuPointerGetAttribute sees it. */
struct cu_mem {
    uint64_t start, size; /* as the application asked */
    enum cu_mem_kind kind;
    struct cu_ctx *ctx;
    struct cu_object *owner;   /* module, may be NULL */
    struct xg_cuda_pool *pool; /* may be NULL */
    uint64_t map, taken;       /* what is mapped for it alone; 0: part of a slab */
    uint64_t device;           /* device address of host memory, 0: none */
    uint64_t twin;  /* where else the same pages are: registered memory in the arena, and back; 0:
                       nowhere */
    unsigned flags; /* of host memory */
    uint64_t id;
};

/* True and a copy if `address` lies in an allocation. */
bool cu_mem_find(uint64_t address, struct cu_mem *out);
CUresult cu_mem_enter(const struct cu_mem *m);
/* Takes it out; false: nothing of that kind starts there. */
bool cu_mem_remove(uint64_t start, enum cu_mem_kind kind, struct cu_mem *out);
bool cu_mem_remove_where(bool (*match)(const struct cu_mem *m, void *arg), void *arg,
                         struct cu_mem *out);

/* For a CUcontext that was looked up when the call began; declares `ctx`. */
#define CU_CONTEXT(ctx, handle)                                                                    \
    struct cu_ctx *ctx = cu_ctx_of(xg_cuda_ctx_get(handle));                                       \
    if (XG_UNLIKELY(!ctx))                                                                         \
    return CUDA_ERROR_CONTEXT_IS_DESTROYED

/* Operations of cuda/device.h (also hostmem.c, register.c). */
CUresult cu_device_alloc(CUcontext handle, size_t size, struct xg_cuda_pool *pool,
                         CUdeviceptr *out);
CUresult cu_shared_alloc(CUcontext handle, enum xg_cuda_memory_kind kind, size_t size,
                         unsigned flags, void **out);
CUresult cu_device_free(CUcontext handle, CUdeviceptr p);
CUresult cu_device_free_later(struct xg_cuda_stream *s, CUdeviceptr p);
CUresult cu_pinned_free(CUcontext handle, void *p);
CUresult cu_memory_info(CUcontext handle, size_t *free_now, size_t *total);
CUresult cu_host_register(CUcontext handle, void *p, size_t size, unsigned flags);
CUresult cu_host_unregister(CUcontext handle, void *p);

void cu_device_free_ctx(struct cu_ctx *ctx);
void cu_mem_reset(void);

/* VA space without memory, in the window; 0: none left. */
uint64_t cu_va_take(uint64_t size, uint64_t align);
/* Usable again once the worker has retired `seq`. */
/* Until the worker has let go of what came before. */
CUresult cu_va_wait(uint64_t seq);
void cu_va_give(uint64_t start, uint64_t size, uint64_t seq);
void cu_va_reset(uint64_t start, uint64_t size);

/* --- copies (stage.c, copy.c) ----------------------------------------------------------------- */

/* A staging slot: free, or freed by waiting for it. */
struct cu_slot {
    uint32_t index, where;
    uint8_t *data;
    uint64_t seq; /* to be named in the command that reads it */
};
#define CU_SLOT_SIZE (512u << 10)
CUresult cu_slot_take(struct cu_slot *s);
/* The command that names it was sent, or `used` false: it was not used after all. */
void cu_slot_sent(const struct cu_slot *s, bool used);
void cu_slots_reset(void);

/* Device address of arena memory, 0: none. */
uint64_t cu_arena_device(const void *p);
/* Frees pinned or managed memory. */
/* Before a command that the worker's driver waits in; callback.c. */
void cu_host_settle(struct cu_ctx *ctx);
/* Host functions sent and not known to be over; those of a spoilt context stay in it. */
extern _Atomic unsigned cu_host_outstanding;
/* Before a one-way command while there are some: waits while the worker has no room behind them. */
void cu_host_room(void);
/* Arena memory that the application has and the device sees: at page boundaries, and counted. */
CUresult cu_shown_alloc(uint64_t size, void **out);
void cu_shown_free(void *p, uint64_t size);
/* Shows the device a staging slot. */
CUresult cu_slot_show(void *p, uint64_t size);
CUresult cu_arena_release(struct cu_ctx *ctx, uint64_t p, enum cu_mem_kind kind);
/* Whether [p, p + size) is arena memory, or shares its pages; its place then. */
bool cu_arena_place(const void *p, uint64_t size, uint32_t *where, uint32_t *offset);

/* --- registered memory (register.c) ----------------------------------------------------------- */

extern _Atomic unsigned cu_host_mappings; /* ranges that kernels reach */
uint64_t cu_host_shared_slow(uint64_t p, uint64_t size);
/* The arena's address of [p, p + size) if it is in such a range, else p. */
static inline uint64_t cu_host_shared(uint64_t p, uint64_t size)
{
    return XG_LIKELY(!atomic_load_explicit(&cu_host_mappings, memory_order_relaxed))
               ? p
               : cu_host_shared_slow(p, size);
}
/* When the context ends, after all work of it. */
void cu_host_unregister_ctx(struct cu_ctx *ctx);

/* --- modules and functions (module.c) --------------------------------------------------------- */

struct cu_managed;
struct cu_module;
struct cu_func {
    struct cu_object o;
    struct cu_module *module;
    struct cu_ctx *ctx;
    struct xg_cuda_function api;
    unsigned index;
    int attribute[XG_CUDA_FUNC_ATTRIBUTES];
    uint32_t attribute_known;
};

struct cu_module {
    struct cu_object o;
    struct cu_ctx *ctx;
    struct xg_cuda_module api;
    uint8_t *table; /* as the worker sent it */
    uint32_t table_size;
    struct cu_func **func; /* those that were asked for, by index */
    const struct xg_cuda_func **record;
    struct cu_module *hidden; /* the next one of its context, which ends */
    struct cu_managed
        *managed; /* its __managed__ variables, NULL: none that can be reached from here */
};

/* Operations of the device (cuda/device.h); those of functions are launch.c's. */
CUresult cu_module_load(CUcontext ctx, const struct xg_cuda_image *image,
                        const struct xg_cuda_jit *jit, void **own, struct xg_cuda_module **out);
CUresult cu_module_unload(CUmodule m, const struct xg_cuda_library *library);
CUresult cu_module_enter(CUmodule h, struct xg_cuda_module **out);
const char *cu_func_name(const struct xg_cuda_module *m, unsigned index, CUresult *refused);
CUresult cu_module_func(struct xg_cuda_module *m, unsigned index, struct xg_cuda_function **out);
CUresult cu_module_variable(struct xg_cuda_module *m, const char *name, bool managed,
                            CUdeviceptr *p, size_t *size);
CUresult cu_func_attribute(struct xg_cuda_function *f, CUfunction_attribute a, int *value);
CUresult cu_func_set(struct xg_cuda_function *f, CUfunction_attribute a, int value);
CUresult cu_func_cache(struct xg_cuda_function *f, CUfunc_cache config);
CUresult cu_func_banks(struct xg_cuda_function *f, CUsharedconfig config);
CUresult cu_func_enter(CUfunction h, CUcontext *ctx, struct xg_cuda_function **out);
CUresult cu_func_blocks(struct xg_cuda_function *f, unsigned threads, size_t dynamic,
                        unsigned flags, int *blocks);
CUresult cu_func_dynamic(struct xg_cuda_function *f, unsigned blocks, unsigned threads,
                         size_t *dynamic);

CUresult cu_launch_with(const CUlaunchConfig *config, CUfunction h, void **params, void **extra,
                        bool cooperative, bool plain);

CUresult cu_module_global(struct cu_module *m, const char *name, CUdeviceptr *p, size_t *size);
/* A CUfunction, or a CUkernel passed as one, in that context. */
CUresult cu_func_find(struct cu_ctx *ctx, CUfunction h, struct cu_func **out);
CUresult cu_func_get(struct cu_ctx *ctx, CUfunction h,
                     struct cu_func **out); /* none that the driver cannot run */
void cu_images_reset(void);

/* --- the linker (link.c), operations of the device -------------------------------------------- */

CUresult cu_link_new(CUcontext ctx, void **own);
CUresult cu_link_add(void *own, CUjitInputType type, const char *name, const void *data,
                     size_t size);
CUresult cu_link_complete(void *own, const struct xg_cuda_jit *jit, void **image, size_t *size);
CUresult cu_link_free(void *own);

/* --- __managed__ variables (managed.c) -------------------------------------------------------- */

/* Those of PTX (NULL: there is none), placed, and *text, to be loaded in its stead and freed. NULL,
 * and no text: there are none, or none can be. */
struct cu_managed *cu_managed_of(struct cu_ctx *ctx, const char *ptx, size_t length,
                                 struct cu_managed *like, char **text);
/* After the module has been loaded from the text: the initial values. */
CUresult cu_managed_fill(struct cu_module *m);
/* No context has them any more: the next one begins with the initial values. */
void cu_managed_again(void *managed);
bool cu_managed_find(const struct cu_managed *v, const char *name, CUdeviceptr *p, size_t *size);
struct cu_managed *cu_managed_get(struct cu_managed *v); /* another reference; NULL is allowed */
void cu_managed_put(void *managed); /* no kernel uses them any more; NULL is allowed */

/* --- launches (launch.c) ---------------------------------------------------------------------- */

/* Whether it could be done now. */
CUresult cu_launch_check(const struct cu_func *f, const CUDA_KERNEL_NODE_PARAMS *p);
CUresult cu_launch(struct xg_cuda_stream *s, const struct cu_func *f, const unsigned grid[3],
                   const unsigned block[3], unsigned shared, uint32_t flags, void **params,
                   void **extra);

/* --- host functions (callback.c) -------------------------------------------------------------- */

/* See cuda/device.h. */
CUresult cu_host_call(struct xg_cuda_stream *s, const CUDA_HOST_NODE_PARAMS *p);
CUresult cu_host_callback(struct xg_cuda_stream *s, CUstream as, CUstreamCallback fn, void *data);
void cu_callbacks_reset(void);

/* --- symbols (generated, proc.c) -------------------------------------------------------------- */

struct cu_export {
    const char *name;
    void *fn;
};
extern const struct cu_export cu_exports[]; /* sorted by name */
extern const unsigned cu_export_count;
void *cu_export_find(const char *symbol); /* proc.c; NULL: there is none */

#endif
