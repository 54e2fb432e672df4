/* What generated decoders and hand-written replay share. */
#ifndef XG_BACKEND_GL_DECODE_H
#define XG_BACKEND_GL_DECODE_H

#include "backend/gl/context.h"
#include "gl/worker.h"
#include "protocol/gl/draw.h"
#include "protocol/gl/sizes.h"
#include "protocol/wire.h"

#include <pthread.h>

/* An account within the guest's quota; see ledger.h. */
struct xg_glr_ledger {
    struct xg_worker *worker;
    _Atomic uint64_t bytes;
};

/* --- names (names.c) -------------------------------------------------------------------------- */

/*
 * 32-bit names to 64-bit values (host names, or GLsync): a radix of three levels. Pages are neither
 * moved nor freed while the table lives, so reading needs no lock; writing needs the share group's.
 */
struct xg_glr_leaf {
    _Atomic uint64_t value[4096];
};
struct xg_glr_mid {
    struct xg_glr_leaf *_Atomic leaf[1024];
};
struct xg_glr_map {
    struct xg_glr_mid *_Atomic root[1024];
    uint32_t pages, mids;         /* pages so far; their number is limited */
    struct xg_glr_ledger *ledger; /* the account that they are charged to */
};
uint64_t xg_glr_map_get(const struct xg_glr_map *m, uint32_t name);
bool xg_glr_map_set(struct xg_glr_map *m, uint32_t name, uint64_t value);
void xg_glr_map_fini(struct xg_glr_map *m);
/* Calls `visit` for each name that has a value. */
void xg_glr_map_each(const struct xg_glr_map *m,
                     void (*visit)(void *data, uint32_t name, uint64_t value), void *data);

struct xg_glr_names {
    struct xg_glr_map host; /* from the guest's name to the host's */
    /* from the host's name to the guest's, for answers; not used for fences */
    struct xg_glr_map guest;
    /* names of the host that must not be given to the guest yet (names.c) */
    GLuint late[256];
    unsigned late_next;
    /* by the host's name, what the object holds (ledger.c): bytes, or a struct xg_glr_texture */
    struct xg_glr_map held;
    struct xg_glr_map labelled; /* bytes of the label */
    uint32_t count;             /* how many names exist */
};

struct xg_glr_share {
    pthread_mutex_t lock;
    _Atomic uint32_t count;
    struct xg_glr_names names[XG_GL_SPACES_SHARED];
    struct xg_glr_ledger ledger;
    struct xg_glr_dead *_Atomic dead; /* deleted, but maybe still in use (deleted.c) */
    _Atomic uint64_t freed;           /* bytes of data freed since the last wait for the device */
    struct xg_glr_context *first;     /* the first of its contexts */
    uint64_t contexts;                /* a bit for each of them */
    uint32_t nameless;                /* how many contexts share the last bit */
    struct xg_glr_map shown;          /* by a buffer's host name: how many textures show it */
    /* a program was deleted since the last search for deleted shaders */
    bool programs_gone;
    _Atomic bool image_lists; /* some display list makes images */
};

struct xg_glr_context {
    enum xg_gl_api api;
    enum xg_glr_window window;
    struct xg_glr_share *share;
    struct xg_glr_names names[XG_GL_SPACES - XG_GL_SPACES_SHARED];
    struct xg_gl_pixel_store pack, unpack;
    struct xg_glr_work work;
    /* between glBegin and glEnd, where the host must not be asked; see xg_glr_begun */
    bool in_begin;
    bool seen;             /* it has been current */
    bool robust;           /* with robust access, which the guest does not know */
    bool host_memory_info; /* the host supports GL_NVX_gpu_memory_info, so it is asked */
    bool pushed;           /* an attribute stack may refer to objects */
    bool vao_unknown;      /* nothing is known of arrays in vertex array objects */
    bool divisors;         /* some array may have a divisor */
    bool es;
    bool es_old; /* before GL ES 3.0: no pixel buffers, no copy bindings */
    struct xg_glr_ledger ledger;
    struct xg_glr_context *next; /* the next context of the share group */
    uint64_t bit;                /* its bit in share->contexts */
    /* what it refers to, for those who have deleted it */
    struct xg_glr_holds *holds;
    /* it has executed no command since `holds` was filled */
    _Atomic bool quiet;
    /* when it was made, and how long it has searched (deleted.c) */
    uint64_t born, looked_ns;
    /* the largest sizes that the host accepts, once asked */
    struct xg_glr_sizes *sizes;
    uint32_t version;                            /* major * 10 + minor */
    uint32_t draw_framebuffer, read_framebuffer; /* host names */
    uint32_t client_texture;
    /* Of the current vertex array object. */
    /* arrays that must be checked before a draw: they may point to memory of an earlier command, or
     * have none */
    uint64_t dangling;
    uint64_t existing; /* arrays that this context has, once asked */
    /* arrays that were disabled for that reason, although the guest has them enabled */
    uint64_t suppressed;
    uint32_t vertex_array;
    /* the same for other vertex array objects, by host name */
    struct xg_glr_map vao_dangling, vao_suppressed;
    GLenum error; /* found here, not reported yet */
    /* kept in addition to the host's stack (arrays.c) */
    struct xg_glr_client_attrib *client_stack;
    uint32_t client_depth;
    GLuint list; /* the list that is being compiled; 0: none */
    GLenum list_mode;
    bool list_failed; /* there was no memory for it */
    uint64_t list_bytes, list_taken;
    struct xg_glr_map messages; /* the messages that glDebugMessageControl named */
    void *select, *feedback;
    uint32_t select_size, feedback_size; /* our memory, to which the host writes in these modes */
};

#define XG_GLR_UNKNOWN                                                                             \
    0xffffffffu /* no host gives this name: it raises the error that the guest's unknown name      \
                   deserves */

/* The host's name; 0 for 0; XG_GLR_UNKNOWN. */
GLuint xg_glr_name(struct xg_glr_context *c, enum xg_gl_space space, GLuint name);
/* The same for binding: in the compatibility profile and GLES an unknown name becomes an object.
 * False: that failed, and the error is recorded. (If the host were asked to bind XG_GLR_UNKNOWN
 * there, it would make that object, and then search all names for a free one each time.) */
bool xg_glr_name_bind(struct xg_glr_context *c, enum xg_gl_space space, GLuint name, GLuint *host);
/* The same where an enumerant says what the name is of: a texture's target, an object's
 * identifier. */
GLuint xg_glr_name_by(struct xg_glr_context *c, GLenum kind, GLuint name);
/* The guest's name for a name of the host. */
GLuint xg_glr_name_back(struct xg_glr_context *c, enum xg_gl_space space, GLuint host);
/* An array of names, each translated; NULL for NULL. */
const GLuint *xg_glr_names(struct xg_worker_ring *r, struct xg_reader *rd, enum xg_gl_space space,
                           const GLuint *names, uint32_t n);
GLsync xg_glr_sync(struct xg_glr_context *c, uint64_t name);
/* Translates the answer to a query of `pname` for the guest, if it is a name or a buffer of the
 * default framebuffer. Everything else stays, also what was not answered (get.c). */
void xg_glr_answer_i(struct xg_glr_context *c, GLenum pname, GLint *answer);
void xg_glr_answer_ui(struct xg_glr_context *c, GLenum pname, GLuint *answer);
void xg_glr_answer_i64(struct xg_glr_context *c, GLenum pname, GLint64 *answer);
void xg_glr_answer_f(struct xg_glr_context *c, GLenum pname, GLfloat *answer);
void xg_glr_answer_d(struct xg_glr_context *c, GLenum pname, GLdouble *answer);
void xg_glr_answer_x(struct xg_glr_context *c, GLenum pname, GLfixed *answer);
struct xg_glr_names *xg_glr_names_of(struct xg_glr_context *c, enum xg_gl_space space);
/* What kind of name an enumerant stands for; XG_GL_SPACES: none. */
enum xg_gl_space xg_glr_space_by(GLenum kind);

/* --- pixels (pixels.c) ------------------------------------------------------------------------ */

struct xg_glr_sink {
    void *data;
    uint64_t size;
    /* in the guest's memory: set when something was written; NULL: the pixels go into a buffer */
    uint64_t *done;
};
/* Finds the pixels that the guest says are at its pointer. False: do not replay the command (an
 * error is recorded, or the reader has failed). */
bool xg_glr_unpack(struct xg_worker_ring *r, struct xg_reader *rd, uint32_t kind, uint64_t skip,
                   const void **pixels, int dims, GLsizei width, GLsizei height, GLsizei depth,
                   GLenum format, GLenum type);
bool xg_glr_unpack_bytes(struct xg_worker_ring *r, struct xg_reader *rd, uint32_t kind,
                         uint64_t skip, const void **data, int64_t bytes);
bool xg_glr_pack(struct xg_worker_ring *r, struct xg_reader *rd, uint32_t kind, uint64_t skip,
                 uint32_t where, struct xg_glr_sink *s, int dims, GLsizei width, GLsizei height,
                 GLsizei depth, GLenum format, GLenum type);
bool xg_glr_pack_bytes(struct xg_worker_ring *r, struct xg_reader *rd, uint32_t kind, uint64_t skip,
                       uint32_t where, struct xg_glr_sink *s, int64_t bytes);
/* Around the host's call: if the host refuses it, the guest learns that nothing was written. */
void xg_glr_pack_begin(struct xg_worker_ring *r, const struct xg_glr_sink *s);
void xg_glr_pack_end(struct xg_worker_ring *r, const struct xg_glr_sink *s);
/* How many bytes the host may write: at most what the application allows, and what there is. */
GLsizei xg_glr_pack_room(const struct xg_glr_sink *s, GLsizei bufSize);
/* Values of the host that descriptions ask for as xg_gl_level(c, ...) and so on. */
GLint xg_glr_level(struct xg_glr_context *c, GLenum target, GLint level, GLenum what);
GLint xg_glr_texture_level(struct xg_glr_context *c, GLuint texture, GLint level, GLenum what);
GLint xg_glr_pixel_map(struct xg_glr_context *c, GLenum map);

const GLchar **xg_glr_strings(struct xg_worker_ring *r, struct xg_reader *rd, int32_t count);

/* --- misc ------------------------------------------------------------------------------------- */

static inline struct xg_glr_context *xg_glr_context_of(struct xg_worker_ring *r)
{
    return r->api[XG_API_GL];
}

/* Records an error as GL does: the first one stays until it is asked for. */
void xg_glr_error(struct xg_glr_context *c, GLenum error);
/* Whether a buffer is bound there on the host. Then a pointer of the guest is an offset; otherwise
 * it is ignored. */
static inline bool xg_glr_bound(GLenum binding)
{
    GLint name = 0;
    xg_glr_procs.glGetIntegerv(binding, &name);
    return name != 0;
}

/* Whether the context is between glBegin and glEnd. The host may have refused glBegin, or only
 * compiled it into a list. Use it only where a GL_INVALID_OPERATION that the host raises inside
 * does no harm. */
bool xg_glr_begun_slow(struct xg_glr_context *c);
static inline bool xg_glr_begun(struct xg_glr_context *c)
{
    return XG_UNLIKELY(c->in_begin) && xg_glr_begun_slow(c);
}

/* Before and after a call whose answer is more than a number (generated). xg_glr_refused returns
 * true after an error: then the guest gets no values, so that the application's memory stays as it
 * was. */
void xg_glr_ask(struct xg_worker_ring *r);
bool xg_glr_refused(struct xg_worker_ring *r);
/* The same, but without a reply to the guest. */
bool xg_glr_failed(struct xg_worker_ring *r);

/* Before a draw: disables arrays that are enabled but have no buffer object, except those in
 * `fresh`. */
void xg_glr_arrays_check_slow(struct xg_glr_context *c, uint64_t fresh);
static inline void xg_glr_arrays_check(struct xg_glr_context *c, uint64_t fresh)
{
    if (XG_UNLIKELY(c->dangling & ~fresh))
        xg_glr_arrays_check_slow(c, fresh);
}

void xg_glr_vertex_array_gone(struct xg_glr_context *c, GLuint array);
/* The name is an object now. The host is not asked for this: Mesa 22.3 takes a name for an object
 * once it was asked about it. */
static inline void xg_glr_vertex_array_made(struct xg_glr_context *c, GLuint array)
{
    xg_glr_map_set(&c->names[XG_GL_SPACE_VERTEX_ARRAY - XG_GL_SPACES_SHARED].held, array, 1);
}
static inline bool xg_glr_vertex_array_is(const struct xg_glr_context *c, GLuint array)
{
    return xg_glr_map_get(&c->names[XG_GL_SPACE_VERTEX_ARRAY - XG_GL_SPACES_SHARED].held, array);
}

/* Bytes of an array's element; 0: no such type. */
unsigned xg_glr_element_size(const struct xg_gl_draw_array *a);
/* The index that means restart; -1: none. */
int64_t xg_glr_restart_index(const struct xg_glr_context *c, GLenum type);

/* An array points to a buffer again: if it was disabled because it did not, it is enabled again. */
void xg_glr_array_given_slow(struct xg_glr_context *c, unsigned slot);
static inline void xg_glr_array_given(struct xg_glr_context *c, unsigned slot)
{
    if (XG_UNLIKELY(c->suppressed >> slot & 1))
        xg_glr_array_given_slow(c, slot);
}

/* Names of the default framebuffer's buffers: to the host's and back (window.c). */
GLenum xg_glr_buffer_to_host(const struct xg_glr_context *c, GLuint framebuffer, GLenum buffer);
GLint xg_glr_buffer_to_guest(const struct xg_glr_context *c, GLint buffer);
void xg_glr_window_first(struct xg_glr_context *c);

void xg_glr_result_free(struct xg_glr_context *c);

#endif
