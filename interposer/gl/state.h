/* The guest's view of a GL context: what it must know to marshal (client state), and what saves
 * round trips (the shadow). */
#ifndef XG_INTERPOSER_GL_STATE_H
#define XG_INTERPOSER_GL_STATE_H

#include "interposer/gl/emit.h"
#include "protocol/gl/draw.h"

#include <pthread.h>

/* --- names and shared objects (names.c) ------------------------------------------------------- */

/* Objects by name, and which names are taken. An object is NULL for a name that is merely taken. */
struct xg_gl_names {
    struct xg_gl_slot {
        uint32_t name; /* 0: free, UINT32_MAX: was taken */
        void *object;
    } * slot;
    uint32_t size, used; /* a power of two; used counts tombstones */
    uint32_t next;
};

bool xg_gl_names_has(const struct xg_gl_names *n, uint32_t name);
void *xg_gl_names_get(const struct xg_gl_names *n, uint32_t name);
/* Takes the name; false without memory. */
bool xg_gl_names_put(struct xg_gl_names *n, uint32_t name, void *object);
void *xg_gl_names_remove(struct xg_gl_names *n, uint32_t name);
/* A run of `count` free names, taken; 0: no memory. */
uint32_t xg_gl_names_mint(struct xg_gl_names *n, uint32_t count);
void xg_gl_names_fini(struct xg_gl_names *n, void (*destroy)(void *object));

struct xg_gl_buffer {
    uint32_t name;
    uint32_t usage;
    uint64_t size;
    uint8_t *shadow;  /* what the host has, if known; see buffers.c */
    uint8_t *map;     /* memory that the application writes to, NULL: not mapped */
    void *map_memory; /* what `map` points into */
    uint64_t map_offset, map_length;
    uint32_t map_access;
    uint32_t storage_flags;
    bool immutable;
    bool shadow_valid;
    bool gpu_writes; /* was bound where the GPU may write: no shadow */
    bool persistent;
    _Atomic bool deleted; /* its name is gone; another context may have it bound */
    struct xg_gl_buffer *next_persistent;
};

struct xg_gl_program; /* programs.c */

/* Set for ever as soon as somebody does it at all, so that who never does pays nothing. */
enum {
    XG_RESTART_PLAIN = 1, /* GL_PRIMITIVE_RESTART was enabled, directly or in a list */
    XG_RESTART_FIXED = 2, /* ... _FIXED_INDEX */
    XG_RESTART_NV = 4,    /* ... as client state, the older extension */
    XG_RESTART_INDEX = 8, /* another index than the initial 0 was set */
    XG_LIST_PROGRAM = 16, /* a list uses a program */
    XG_LIST_DIVISOR = 32, /* ... sets an attribute's divisor */
    XG_LIST_BEGIN = 64,   /* ... begins what it does not end, or the other way round */
};

struct xg_gl_share {
    pthread_mutex_t lock; /* of everything here */
    uint32_t count;
    struct xg_gl_names names[XG_GL_SPACES_SHARED];
    struct xg_gl_buffer *persistent; /* mapped persistently */
    struct xg_gl_names gone;         /* buffers that were deleted last (buffers.c) */
    uint32_t gone_order[64], gone_next;
    /* Who flushed up to where: contexts that share wait for that before they use objects. */
    _Atomic uint32_t epoch;
    _Atomic uint32_t ever;  /* what its contexts and lists have done at all: XG_RESTART_* ... */
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
    uint64_t enabled; /* bit per array */
    uint64_t client;  /* ... that points to the application's memory */
    uint64_t split;   /* ... whose buffer ARB_vertex_attrib_binding has set: the host knows it */
    uint64_t unsure;  /* ... whose divisor a display list may have changed */
    bool mixed;       /* the host was told of arrays in memory too, as others may be split */
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
    uint64_t valid[2]; /* bit per slot */
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

/* Whether the host has taken the last glUseProgram: it has to be asked; it has; it has if the
 * program was linked, which is looked at when somebody wants to know. */
enum xg_program_known { XG_PROGRAM_ASK, XG_PROGRAM_KNOWN, XG_PROGRAM_IF_LINKED };

struct xg_gl_state {
    /* hot */
    struct xg_gl_vao *vao;
    uint32_t list_mode;  /* GL_COMPILE while one-way state commands do not take effect */
    uint8_t begun;       /* XG_BEGUN_* */
    uint32_t list_begun; /* brackets that the list being compiled has open */
    bool strict;
    uint32_t seen_epoch;
    uint32_t array_buffer, client_texture;
    uint32_t program;
    uint8_t program_known; /* enum xg_program_known */
    uint32_t program_link; /* XG_PROGRAM_IF_LINKED: what share->links was then */
    bool xfb_active;       /* then the host may refuse another program */
    bool had_drawable;
    bool restart_index_unknown;
    uint32_t restart_index;
    int64_t restart_element; /* what glArrayElement takes for a restart since glBegin, or -1 */
    uint32_t share_slot;
    struct xg_gl_shadow shadow;
    uint64_t cap_exists[2]; /* the host has once said that it was enabled */

    /* bindings that marshalling needs */
    uint32_t pack_buffer, unpack_buffer, copy_read_buffer, copy_write_buffer, uniform_buffer,
        texture_buffer, draw_indirect_buffer, dispatch_indirect_buffer, query_buffer, atomic_buffer,
        storage_buffer, xfb_buffer, parameter_buffer;
    uint32_t draw_framebuffer, read_framebuffer, renderbuffer, vertex_array;
    struct xg_gl_pixel_store pack, unpack;
    struct xg_gl_vao default_vao;
    struct xg_gl_names names[XG_GL_SPACES - XG_GL_SPACES_SHARED];

    GLenum error;        /* found here, not yet asked for */
    uint32_t error_seen; /* the worker's error word, as last looked at */

    /* what the context is: from the snapshot */
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

    /* feedback and selection: results go here when the mode is left */
    GLenum render_mode;
    GLfloat *feedback;
    GLsizei feedback_size;
    GLuint *select;
    GLsizei select_size;

    GLDEBUGPROC debug_callback;
    const void *debug_user;

    /* read-back memory, kept between calls */
    void *sink;
    uint64_t sink_size;
    uint32_t sink_where;
};

/* True if the command is only compiled into a display list: the shadow must not follow. */
static inline bool xg_gl_compiling(const struct xg_gl_context *c)
{
    return XG_UNLIKELY(c->state->list_mode == GL_COMPILE);
}

/* True if a command takes effect now for sure: not in a list that is only compiled, not between
 * glBegin and glEnd, where GL refuses what sets state. */
static inline bool xg_gl_settled(const struct xg_gl_context *c)
{
    return XG_LIKELY(c->state->list_mode != GL_COMPILE && !c->state->begun);
}

/* Between glBegin and glEnd? The host may refuse glBegin, and lists may hold one without the
 * other: MAYBE is asked about, by what GL takes outside only. A program without errors never does
 * that inside. */
enum { XG_BEGUN_NO, XG_BEGUN_MAYBE, XG_BEGUN_YES };
bool xg_gl_begun_slow(struct xg_gl_context *c);
static inline bool xg_gl_begun(struct xg_gl_context *c)
{
    return XG_UNLIKELY(c->state->begun) && xg_gl_begun_slow(c);
}

/* For what GL refuses between glBegin and glEnd: true, and the error is recorded, if this is there.
 */
static inline bool xg_gl_inside(struct xg_gl_context *c)
{
    if (XG_LIKELY(!xg_gl_begun(c)))
        return false;
    xg_gl_error(c, GL_INVALID_OPERATION);
    return true;
}

/* The fixed-function API. */
static inline bool xg_gl_old(const struct xg_gl_context *c)
{
    return c->api == XG_GL_COMPAT || c->api == XG_GL_ES1;
}

/* Before a command that uses objects others may have made: waits (on the worker's side) for what
 * they flushed. */
void xg_gl_acquire_slow(struct xg_gl_context *c);
static inline void xg_gl_acquire(struct xg_gl_context *c)
{
    if (XG_UNLIKELY(c->state->seen_epoch !=
                    atomic_load_explicit(&c->share->epoch, memory_order_relaxed)))
        xg_gl_acquire_slow(c);
}
/* This context flushed: others that share see what it did. */
void xg_gl_release(struct xg_gl_context *c);

/* --- between the files ------------------------------------------------------------------------ */

struct xg_gl_buffer *xg_gl_buffer_get(struct xg_gl_context *c, uint32_t name);
/* What is bound there, what has that name; NULL, with the error, if nothing, or if it may not be
 * asked. */
struct xg_gl_buffer *xg_gl_buffer_bound(struct xg_gl_context *c, GLenum target);
struct xg_gl_buffer *xg_gl_buffer_named(struct xg_gl_context *c, GLuint name);
/* Where a buffer that another context has deleted is bound here; 0: its name will do. */
GLenum xg_gl_buffer_reached(struct xg_gl_context *c, const struct xg_gl_buffer *b);
/* It was deleted, and is not found by name any more. `b` is NULL if nothing was known of it. */
void xg_gl_buffer_bury(struct xg_gl_context *c, struct xg_gl_buffer *b, uint32_t name);
/* A bracket has bound a buffer whose name was deleted: what it is is asked. */
void xg_gl_buffer_found(struct xg_gl_context *c, GLenum target, uint32_t name);
/* The variable that holds the binding of a buffer target, NULL for an unknown one. */
uint32_t *xg_gl_buffer_binding(struct xg_gl_context *c, GLenum target);
/* The GPU writes to it: what is known of its contents is not true any more. */
void xg_gl_buffer_dirty(struct xg_gl_context *c, uint32_t name);
/* `size` bytes of the buffer's contents: from the shadow, else one round trip. NULL without
 * memory or if out of range. The pointer is good until the next call. */
const uint8_t *xg_gl_buffer_contents(struct xg_gl_context *c, uint32_t name, uint64_t offset,
                                     uint64_t size);
void xg_gl_buffer_forget(struct xg_gl_context *c, uint32_t name);
void xg_gl_buffer_destroy(void *object);
/* Sends what the application wrote into persistent maps. */
void xg_gl_persistent_slow(struct xg_gl_context *c);
/* The map's memory goes. */
void xg_gl_map_free(struct xg_gl_buffer *b);
static inline void xg_gl_persistent_flush(struct xg_gl_context *c)
{
    if (XG_UNLIKELY(c->share->persistent != NULL))
        xg_gl_persistent_slow(c);
}

int xg_gl_snapshot(struct xg_gl_context *c);
void xg_gl_snapshot_free(struct xg_gl_state *s);
const struct xg_gl_limit *xg_gl_limit_find(const struct xg_gl_state *s, GLenum pname);

/* Commands may have changed any state behind our back (display lists, attribute stacks): ask the
 * host again. */
void xg_gl_shadow_invalidate(struct xg_gl_context *c);
/* Conditions of gl.annot's `set` lines: true only if the host will take it as it is. */
bool xg_gl_factors_ok(GLenum source, GLenum destination);
bool xg_gl_equation_ok(GLenum mode);
bool xg_gl_size_ok(const struct xg_gl_context *c, GLint x, GLint y, GLsizei width, GLsizei height);
/* The one way to change what is known of a capability, whichever call does it. */
void xg_gl_cap_set(struct xg_gl_context *c, GLenum cap, bool on);
/* What is so now: from the shadow, else by asking; in a list's or a bracket's state too. */
bool xg_gl_cap_now(struct xg_gl_context *c, GLenum cap);
bool xg_gl_restart_plain(struct xg_gl_context *c);
/* All of primitive restart has changed, nobody knows to what. */
void xg_gl_restart_forget(struct xg_gl_context *c);
bool xg_gl_restart_fixed(struct xg_gl_context *c);
uint32_t xg_gl_restart_index(struct xg_gl_context *c);
/* The index of this type that means restart, or -1: none does. */
int64_t xg_gl_restart(struct xg_gl_context *c, GLenum type);
/* The list being compiled has a glBegin without a glEnd, or the other way round. */
void xg_gl_list_unbalanced(struct xg_gl_context *c);
/* A display list ran: all that it may have changed is unknown. */
void xg_gl_list_ran(struct xg_gl_context *c);
/* A piece of state has changed, nobody knows to what. */
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
/* The program in use, asked for if it is not known. */
uint32_t xg_gl_program_now(struct xg_gl_context *c);
bool xg_gl_program_taken(struct xg_gl_context *c);
void xg_gl_program_deleted(struct xg_gl_context *c, uint32_t name);

void xg_gl_arrays_init(struct xg_gl_vao *v);
/* The divisor of an array, asked for if a display list may have changed it. */
uint32_t xg_gl_divisor(struct xg_gl_context *c, unsigned slot);
/* The vertex array object of a name that was made; NULL: no memory. */
struct xg_gl_vao *xg_gl_vao_new(struct xg_gl_context *c, uint32_t name);
void xg_gl_arrays_buffer_deleted(struct xg_gl_context *c, uint32_t name);

#endif
