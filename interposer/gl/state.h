/* The guest's view of a GL context: client state, which it must know to send commands, and the
 * shadow, which saves round trips. */
#ifndef XG_INTERPOSER_GL_STATE_H
#define XG_INTERPOSER_GL_STATE_H

#include "interposer/gl/emit.h"
#include "protocol/gl/draw.h"

#include <pthread.h>

/* --- names and shared objects (names.c) ------------------------------------------------------- */

/* Objects by name, and which names are taken. The object of a name that is only taken is NULL. */
struct xg_gl_names {
    struct xg_gl_slot {
        uint32_t name; /* 0: free; UINT32_MAX: free again */
        void *object;
    } * slot;
    uint32_t size, used; /* a power of two; used counts tombstones */
    uint32_t next;
};

bool xg_gl_names_has(const struct xg_gl_names *n, uint32_t name);
void *xg_gl_names_get(const struct xg_gl_names *n, uint32_t name);
/* Takes the name for the object; false: no memory. */
bool xg_gl_names_put(struct xg_gl_names *n, uint32_t name, void *object);
void *xg_gl_names_remove(struct xg_gl_names *n, uint32_t name);
/* Takes `count` consecutive free names; 0: no memory. */
uint32_t xg_gl_names_mint(struct xg_gl_names *n, uint32_t count);
void xg_gl_names_fini(struct xg_gl_names *n, void (*destroy)(void *object));

struct xg_gl_buffer {
    uint32_t name;
    uint32_t usage;
    uint64_t size;
    uint8_t *shadow;  /* the host's contents, if known; see buffers.c */
    uint8_t *map;     /* memory that the application writes to, NULL: not mapped */
    void *map_memory; /* what `map` points into */
    uint64_t map_offset, map_length;
    uint32_t map_access;
    uint32_t storage_flags;
    bool immutable;
    bool shadow_valid;
    bool gpu_writes; /* it was bound where the GPU may write to it: no shadow */
    bool persistent;
    _Atomic bool deleted; /* its name is deleted; another context may still have it bound */
    struct xg_gl_buffer *next_persistent;
};

struct xg_gl_program; /* programs.c */

/* Flags that are set at the first use and never cleared, so that programs without that use pay
 * nothing. */
enum {
    XG_RESTART_PLAIN = 1, /* GL_PRIMITIVE_RESTART was enabled, directly or in a list */
    XG_RESTART_FIXED = 2, /* ... _FIXED_INDEX */
    XG_RESTART_NV = 4,    /* ... as client state, the older extension */
    XG_RESTART_INDEX = 8, /* another index than the initial 0 was set */
    XG_LIST_PROGRAM = 16, /* a list uses a program */
    XG_LIST_DIVISOR = 32, /* ... sets an attribute's divisor */
    XG_LIST_BEGIN = 64,   /* a list has a glBegin without its glEnd, or the other way round */
};

struct xg_gl_share {
    pthread_mutex_t lock; /* for all fields here */
    uint32_t count;
    struct xg_gl_names names[XG_GL_SPACES_SHARED];
    struct xg_gl_buffer *persistent; /* mapped persistently */
    struct xg_gl_names gone;         /* buffers that were deleted last (buffers.c) */
    uint32_t gone_order[64], gone_next;
    /* Up to which position which context has flushed: sharing contexts wait for that before they
     * use objects. */
    _Atomic uint32_t epoch;
    _Atomic uint32_t ever;  /* what its contexts and lists have ever done: XG_RESTART_* ... */
    _Atomic uint32_t links; /* how often a program was linked or deleted */
    struct xg_gl_context *member[32];
    uint64_t flushed[32];
};

struct xg_gl_names *xg_gl_names_of(struct xg_gl_context *c, enum xg_gl_space space);

/* --- vertex arrays (arrays.c) ----------------------------------------------------------------- */

struct xg_gl_array {
    const void *pointer; /* an address, or an offset into `buffer` */
    uint32_t buffer;
    int32_t size;
    uint32_t type;
    int32_t stride;
    uint32_t divisor;
    uint32_t relative; /* where an element's value starts, after `pointer` */
    uint8_t normalized;
    uint8_t integer; /* 0: float, 1: integer, 2: double */
};

struct xg_gl_vao {
    uint64_t enabled; /* a bit for each array */
    uint64_t client;  /* ... that points to the application's memory */
    /* ... whose buffer was set by ARB_vertex_attrib_binding: only the host knows it */
    uint64_t split;
    uint64_t unsure; /* ... whose divisor a display list may have changed */
    bool mixed;      /* the host was told about arrays in memory too, since others may be split */
    uint32_t element_buffer;
    struct xg_gl_array array[XG_ARRAYS];
};

/* --- the shadow (get.c, bind.c) --------------------------------------------------------------- */

struct xg_gl_value {
    union {
        GLint i[4];
        GLfloat f[4];
    };
};

#define XG_SHADOW_MAX 128
#define XG_CAPS_MAX   128

struct xg_gl_shadow {
    uint64_t valid[2]; /* a bit for each slot */
    uint64_t cap_valid[2], cap[2];
    struct xg_gl_value value[XG_SHADOW_MAX];
};

#define XG_ATTRIB_STACK 16
#define XG_CLIENT_STACK 16

struct xg_gl_client_attrib {
    GLbitfield mask;
    struct xg_gl_pixel_store pack, unpack;
    uint32_t pack_buffer, unpack_buffer, array_buffer;
    uint32_t client_texture, vertex_array;
    struct xg_gl_vao vao;
};

/* --- the context ------------------------------------------------------------------------------ */

struct xg_gl_limit {
    GLenum pname;
    uint32_t count;
    int32_t n[4]; /* of glGetIntegerv */
    int64_t i[4];
    double d[4];
};

/* Whether the host has accepted the last glUseProgram: it must be asked; it has; or it has if the
 * program was linked, which is checked when it matters. */
enum xg_program_known { XG_PROGRAM_ASK, XG_PROGRAM_KNOWN, XG_PROGRAM_IF_LINKED };

struct xg_gl_state {
    /* hot */
    struct xg_gl_vao *vao;
    uint32_t list_mode;  /* GL_COMPILE while a list is compiled without being executed */
    uint8_t begun;       /* XG_BEGUN_* */
    uint32_t list_begun; /* glBegin without glEnd in the list that is being compiled */
    bool strict;
    uint32_t seen_epoch;
    uint32_t array_buffer, client_texture;
    uint32_t program;
    uint8_t program_known; /* enum xg_program_known */
    uint32_t program_link; /* XG_PROGRAM_IF_LINKED: what share->links was then */
    bool xfb_active;       /* while this is true the host may refuse another program */
    bool had_drawable;
    bool restart_index_unknown;
    uint32_t restart_index;
    /* the index that glArrayElement takes for a restart since glBegin, or -1 */
    int64_t restart_element;
    uint32_t share_slot;
    struct xg_gl_shadow shadow;
    uint64_t cap_exists[2]; /* capabilities that the host has reported as enabled at least once */

    /* bindings that are needed to send commands */
    uint32_t pack_buffer, unpack_buffer, copy_read_buffer, copy_write_buffer, uniform_buffer,
        texture_buffer, draw_indirect_buffer, dispatch_indirect_buffer, query_buffer, atomic_buffer,
        storage_buffer, xfb_buffer, parameter_buffer;
    uint32_t draw_framebuffer, read_framebuffer, renderbuffer, vertex_array;
    struct xg_gl_pixel_store pack, unpack;
    struct xg_gl_vao default_vao;
    struct xg_gl_names names[XG_GL_SPACES - XG_GL_SPACES_SHARED];

    GLenum error;        /* found here, not returned yet */
    uint32_t error_seen; /* the worker's error word, as last read */

    /* the context's properties, from the snapshot */
    bool has_snapshot;
    char *vendor, *renderer, *version, *glsl, *extensions;
    char **extension;
    uint32_t extension_count;
    int major, minor;
    struct xg_gl_limit *limit;
    uint32_t limit_count;
    uint32_t max_attribs, max_attrib_depth, max_client_depth, max_stride, max_relative;
    uint32_t max_viewport[2];
    struct xg_gl_indexed {
        uint32_t count, align;
    } indexed[4]; /* uniform, feedback, atomic, storage */
    struct xg_gl_drawable draw, read;

    /* attribute stacks */
    uint32_t attrib_depth, client_depth;
    struct xg_gl_shadow *attrib;
    struct xg_gl_client_attrib *client_stack;

    /* feedback and selection: results are written here when the mode ends */
    GLenum render_mode;
    GLfloat *feedback;
    GLsizei feedback_size;
    GLuint *select;
    GLsizei select_size;

    GLDEBUGPROC debug_callback;
    const void *debug_user;

    /* memory for read-back, kept between calls */
    void *sink;
    uint64_t sink_size;
    uint32_t sink_where;
};

/* True: the command is only compiled into a display list, so the shadow must not change. */
static inline bool xg_gl_compiling(const struct xg_gl_context *c)
{
    return XG_UNLIKELY(c->state->list_mode == GL_COMPILE);
}

/* True: a command surely takes effect now. It is not in a list that is only compiled, nor between
 * glBegin and glEnd, where GL refuses commands that set state. */
static inline bool xg_gl_settled(const struct xg_gl_context *c)
{
    return XG_LIKELY(c->state->list_mode != GL_COMPILE && !c->state->begun);
}

/* Whether the context is between glBegin and glEnd. The host may refuse glBegin, and lists may
 * contain one without the other: then it is MAYBE, and the host is asked, but only by commands that
 * GL allows outside alone. A program without errors never calls those inside. */
enum { XG_BEGUN_NO, XG_BEGUN_MAYBE, XG_BEGUN_YES };
bool xg_gl_begun_slow(struct xg_gl_context *c);
static inline bool xg_gl_begun(struct xg_gl_context *c)
{
    return XG_UNLIKELY(c->state->begun) && xg_gl_begun_slow(c);
}

/* For commands that GL refuses between glBegin and glEnd: true if the context is there; then the
 * error is recorded. */
static inline bool xg_gl_inside(struct xg_gl_context *c)
{
    if (XG_LIKELY(!xg_gl_begun(c)))
        return false;
    xg_gl_error(c, GL_INVALID_OPERATION);
    return true;
}

/* Whether the API has fixed functions. */
static inline bool xg_gl_old(const struct xg_gl_context *c)
{
    return c->api == XG_GL_COMPAT || c->api == XG_GL_ES1;
}

/* Called before a command that uses objects which others may have made: waits (on the worker's
 * side) for what they have flushed. */
void xg_gl_acquire_slow(struct xg_gl_context *c);
static inline void xg_gl_acquire(struct xg_gl_context *c)
{
    if (XG_UNLIKELY(c->state->seen_epoch !=
                    atomic_load_explicit(&c->share->epoch, memory_order_relaxed)))
        xg_gl_acquire_slow(c);
}
/* This context has flushed: sharing contexts will see what it did. */
void xg_gl_release(struct xg_gl_context *c);

/* --- between the files ------------------------------------------------------------------------ */

struct xg_gl_buffer *xg_gl_buffer_get(struct xg_gl_context *c, uint32_t name);
/* The buffer that is bound there, or has that name; NULL, with the error, if there is none, or if
 * it may not be asked for now. */
struct xg_gl_buffer *xg_gl_buffer_bound(struct xg_gl_context *c, GLenum target);
struct xg_gl_buffer *xg_gl_buffer_named(struct xg_gl_context *c, GLuint name);
/* A target where a buffer that another context has deleted is bound here; 0: its name can be
 * used. */
GLenum xg_gl_buffer_reached(struct xg_gl_context *c, const struct xg_gl_buffer *b);
/* The buffer was deleted and cannot be found by name any more. `b` is NULL if nothing was known of
 * it. */
void xg_gl_buffer_bury(struct xg_gl_context *c, struct xg_gl_buffer *b, uint32_t name);
/* A pop has bound a buffer whose name is deleted: the host is asked about it. */
void xg_gl_buffer_found(struct xg_gl_context *c, GLenum target, uint32_t name);
/* The variable that holds the binding of a buffer target; NULL for an unknown target. */
uint32_t *xg_gl_buffer_binding(struct xg_gl_context *c, GLenum target);
/* The GPU writes to the buffer: its known contents are no longer valid. */
void xg_gl_buffer_dirty(struct xg_gl_context *c, uint32_t name);
/* `size` bytes of the buffer's contents: from the shadow, else by a round trip. NULL without memory
 * or if out of range. The pointer is valid until the next call. */
const uint8_t *xg_gl_buffer_contents(struct xg_gl_context *c, uint32_t name, uint64_t offset,
                                     uint64_t size);
void xg_gl_buffer_forget(struct xg_gl_context *c, uint32_t name);
void xg_gl_buffer_destroy(void *object);
/* Sends what the application has written into persistent maps. */
void xg_gl_persistent_slow(struct xg_gl_context *c);
/* Frees the map's memory. */
void xg_gl_map_free(struct xg_gl_buffer *b);
static inline void xg_gl_persistent_flush(struct xg_gl_context *c)
{
    if (XG_UNLIKELY(c->share->persistent != NULL))
        xg_gl_persistent_slow(c);
}

int xg_gl_snapshot(struct xg_gl_context *c);
void xg_gl_snapshot_free(struct xg_gl_state *s);
const struct xg_gl_limit *xg_gl_limit_find(const struct xg_gl_state *s, GLenum pname);

/* Commands may have changed any state without our knowledge (display lists, attribute stacks): the
 * host must be asked again. */
void xg_gl_shadow_invalidate(struct xg_gl_context *c);
/* Conditions in gl.annot's `set` lines: true only if the host will accept the values. */
bool xg_gl_factors_ok(GLenum source, GLenum destination);
bool xg_gl_equation_ok(GLenum mode);
bool xg_gl_size_ok(const struct xg_gl_context *c, GLint x, GLint y, GLsizei width, GLsizei height);
/* The only function that changes what is known of a capability, for whichever call. */
void xg_gl_cap_set(struct xg_gl_context *c, GLenum cap, bool on);
/* The current value: from the shadow, else from the host; valid also for the state of a list or a
 * push. */
bool xg_gl_cap_now(struct xg_gl_context *c, GLenum cap);
bool xg_gl_restart_plain(struct xg_gl_context *c);
/* All state of primitive restart has changed to unknown values. */
void xg_gl_restart_forget(struct xg_gl_context *c);
bool xg_gl_restart_fixed(struct xg_gl_context *c);
uint32_t xg_gl_restart_index(struct xg_gl_context *c);
/* The index of this type that means restart; -1: none does. */
int64_t xg_gl_restart(struct xg_gl_context *c, GLenum type);
/* The list being compiled has a glBegin without its glEnd, or the other way round. */
void xg_gl_list_unbalanced(struct xg_gl_context *c);
/* A display list was executed: all state that it may have changed is unknown. */
void xg_gl_list_ran(struct xg_gl_context *c);
/* A piece of state has changed to an unknown value. */
static inline void xg_gl_shadow_touch(struct xg_gl_context *c, unsigned slot)
{
    c->state->shadow.valid[slot / 64] &= ~(1ull << (slot % 64));
}
/* A piece of state has a new value, which the caller stores. */
static inline struct xg_gl_value *xg_gl_shadow_slot(struct xg_gl_context *c, unsigned slot)
{
    c->state->shadow.valid[slot / 64] |= 1ull << (slot % 64);
    return &c->state->shadow.value[slot];
}

void xg_gl_program_destroy(void *object);
/* The program in use; the host is asked if it is not known. */
uint32_t xg_gl_program_now(struct xg_gl_context *c);
bool xg_gl_program_taken(struct xg_gl_context *c);
void xg_gl_program_deleted(struct xg_gl_context *c, uint32_t name);

void xg_gl_arrays_init(struct xg_gl_vao *v);
/* The divisor of an array; the host is asked if a display list may have changed it. */
uint32_t xg_gl_divisor(struct xg_gl_context *c, unsigned slot);
/* The vertex array object of a name that was generated; NULL: no memory. */
struct xg_gl_vao *xg_gl_vao_new(struct xg_gl_context *c, uint32_t name);
void xg_gl_arrays_buffer_deleted(struct xg_gl_context *c, uint32_t name);

#endif
