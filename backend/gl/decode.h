/* What generated decoders and hand-written replay share. */
#ifndef XG_BACKEND_GL_DECODE_H
#define XG_BACKEND_GL_DECODE_H

#include "backend/gl/context.h"
#include "gl/worker.h"
#include "protocol/gl/draw.h"
#include "protocol/gl/sizes.h"
#include "protocol/wire.h"

#include <pthread.h>

/* An account below the guest's quota; see ledger.h. */
struct xg_glr_ledger {
    struct xg_worker *worker;
    _Atomic uint64_t bytes;
};

/* --- names (names.c) -------------------------------------------------------------------------- */

/*
 * 32-bit names to 64-bit values (host names, or GLsync), as a radix of three levels whose pages
 * never move or go while the table lives:
 * reading needs no lock, writing the share group's.
 */
struct xg_glr_leaf {
    _Atomic uint64_t value[4096];
};
struct xg_glr_mid {
    struct xg_glr_leaf *_Atomic leaf[1024];
};
struct xg_glr_map {
    struct xg_glr_mid *_Atomic root[1024];
    uint32_t pages, mids;         /* so far; the pages are bounded */
    struct xg_glr_ledger *ledger; /* what pays for them */
};
uint64_t xg_glr_map_get(const struct xg_glr_map *m, uint32_t name);
bool xg_glr_map_set(struct xg_glr_map *m, uint32_t name, uint64_t value);
void xg_glr_map_fini(struct xg_glr_map *m);
/* Calls `visit` for each name that has a value. */
void xg_glr_map_each(const struct xg_glr_map *m,
                     void (*visit)(void *data, uint32_t name, uint64_t value), void *data);

struct xg_glr_names {
    struct xg_glr_map host;  /* guest's name to the host's */
    struct xg_glr_map guest; /* and back, for answers; not for fences */
    GLuint late[256];        /* of the host, not to be given now (names.c) */
    unsigned late_next;
    struct xg_glr_map held;     /* by the host's name, what the object holds (ledger.c): bytes, or a
                                   struct xg_glr_texture */
    struct xg_glr_map labelled; /* bytes of the label */
    uint32_t count;             /* of the names that there are */
};

struct xg_glr_share {
    pthread_mutex_t lock;
    _Atomic uint32_t count;
    struct xg_glr_names names[XG_GL_SPACES_SHARED];
    struct xg_glr_ledger ledger;
    struct xg_glr_dead *_Atomic dead; /* deleted, and perhaps in use (deleted.c) */
    _Atomic uint64_t freed;           /* bytes of data given back since the device was waited for */
    struct xg_glr_context *first;     /* of its contexts */
    uint64_t contexts;                /* their bits */
    uint32_t nameless;                /* contexts that share the last bit */
    struct xg_glr_map shown;          /* by a buffer's host name: textures that show it */
    bool programs_gone;               /* since it was last looked for deleted shaders */
    _Atomic bool image_lists;         /* a display list makes images */
};

struct xg_glr_context {
    enum xg_gl_api api;
    enum xg_glr_window window;
    struct xg_glr_share *share;
    struct xg_glr_names names[XG_GL_SPACES - XG_GL_SPACES_SHARED];
    struct xg_gl_pixel_store pack, unpack;
    struct xg_glr_work work;
    bool in_begin; /* between glBegin and glEnd, where nothing may be asked; see xg_glr_begun */
    bool seen;     /* was current once */
    bool robust;   /* which the guest does not know */
    bool host_memory_info; /* the host answers GL_NVX_gpu_memory_info, and so it is asked */
    bool pushed;           /* an attribute stack may keep objects */
    bool vao_unknown;      /* what dangles in the vertex array objects */
    bool divisors;         /* some array may advance by instance */
    bool es;
    bool es_old; /* before 3.0: no pixel buffers, no copy bindings */
    struct xg_glr_ledger ledger;
    struct xg_glr_context *next;                 /* of the share group */
    uint64_t bit;                                /* of share->contexts */
    struct xg_glr_holds *holds;                  /* what it has, for those who deleted it */
    _Atomic bool quiet;                          /* no command since then */
    uint64_t born, looked_ns;                    /* time that this has taken */
    struct xg_glr_sizes *sizes;                  /* largest that the host takes, once asked */
    uint32_t version;                            /* major * 10 + minor */
    uint32_t draw_framebuffer, read_framebuffer; /* host names */
    uint32_t client_texture;
    /* Of the current vertex array object. */
    uint64_t dangling; /* arrays that must be looked at before a draw: they may lead to memory of a
                          command that is over, or to none */
    uint64_t existing; /* arrays that this context has, once asked */
    uint64_t suppressed; /* arrays that were disabled for that reason although the guest has them
                            enabled */
    uint32_t vertex_array;
    struct xg_glr_map vao_dangling, vao_suppressed; /* of the others, by host name */
    GLenum error;                                   /* found here */
    struct xg_glr_client_attrib *client_stack;      /* beside the host's (arrays.c) */
    uint32_t client_depth;
    GLuint list; /* that is being compiled, 0: none */
    GLenum list_mode;
    bool list_failed; /* it found no memory */
    uint64_t list_bytes, list_taken;
    struct xg_glr_map messages; /* that glDebugMessageControl named */
    void *select, *feedback;
    uint32_t select_size, feedback_size; /* memory of ours that the host writes to in these modes */
};

#define XG_GLR_UNKNOWN                                                                             \
    0xffffffffu /* no host gives this name: it raises the error that the guest's unknown name      \
                   deserves */

/* The host's name; 0 for 0; XG_GLR_UNKNOWN. */
GLuint xg_glr_name(struct xg_glr_context *c, enum xg_gl_space space, GLuint name);
/* The same for binding: in the compatibility profile and GLES an unknown name comes to be. False:
 * it cannot, the error is recorded. A host that is asked to bind XG_GLR_UNKNOWN there makes that
 * object, and then it looks through all names for a free one each time. */
bool xg_glr_name_bind(struct xg_glr_context *c, enum xg_gl_space space, GLuint name, GLuint *host);
/* The same where an enumerant tells what it names: a texture's target, an object's identifier. */
GLuint xg_glr_name_by(struct xg_glr_context *c, GLenum kind, GLuint name);
/* The guest's name of a host's. */
GLuint xg_glr_name_back(struct xg_glr_context *c, enum xg_gl_space space, GLuint host);
/* An array of names, translated; NULL for NULL. */
const GLuint *xg_glr_names(struct xg_worker_ring *r, struct xg_reader *rd, enum xg_gl_space space,
                           const GLuint *names, uint32_t n);
GLsync xg_glr_sync(struct xg_glr_context *c, uint64_t name);
/* What was answered to a question for `pname`: a name, or a buffer of the default framebuffer,
 * becomes the guest's; all else stays, and so does what was not answered (get.c). */
void xg_glr_answer_i(struct xg_glr_context *c, GLenum pname, GLint *answer);
void xg_glr_answer_ui(struct xg_glr_context *c, GLenum pname, GLuint *answer);
void xg_glr_answer_i64(struct xg_glr_context *c, GLenum pname, GLint64 *answer);
void xg_glr_answer_f(struct xg_glr_context *c, GLenum pname, GLfloat *answer);
void xg_glr_answer_d(struct xg_glr_context *c, GLenum pname, GLdouble *answer);
void xg_glr_answer_x(struct xg_glr_context *c, GLenum pname, GLfixed *answer);
struct xg_glr_names *xg_glr_names_of(struct xg_glr_context *c, enum xg_gl_space space);
/* What an enumerant says that a name is of; XG_GL_SPACES: nothing. */
enum xg_gl_space xg_glr_space_by(GLenum kind);

/* --- pixels (pixels.c) ------------------------------------------------------------------------ */

struct xg_glr_sink {
    void *data;
    uint64_t size;
    uint64_t *done; /* the guest's memory: set once something was written; NULL: into a buffer */
};
/* What the guest says lies at the pixel pointer; false: the command is not to be replayed (an
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
/* Around the host's call: what it refuses, the guest does not take for written. */
void xg_glr_pack_begin(struct xg_worker_ring *r, const struct xg_glr_sink *s);
void xg_glr_pack_end(struct xg_worker_ring *r, const struct xg_glr_sink *s);
/* How much the host may write: as much as the application allows, and there is. */
GLsizei xg_glr_pack_room(const struct xg_glr_sink *s, GLsizei bufSize);
/* What descriptions ask for as xg_gl_level(c, ...) and so on, of the host. */
GLint xg_glr_level(struct xg_glr_context *c, GLenum target, GLint level, GLenum what);
GLint xg_glr_texture_level(struct xg_glr_context *c, GLuint texture, GLint level, GLenum what);
GLint xg_glr_pixel_map(struct xg_glr_context *c, GLenum map);

const GLchar **xg_glr_strings(struct xg_worker_ring *r, struct xg_reader *rd, int32_t count);

/* --- misc ------------------------------------------------------------------------------------- */

static inline struct xg_glr_context *xg_glr_context_of(struct xg_worker_ring *r)
{
    return r->api[XG_API_GL];
}

/* Records an error as GL would: the first stays until it is asked for. */
void xg_glr_error(struct xg_glr_context *c, GLenum error);
/* Whether a buffer is bound there on the host: a pointer of the guest is then an offset, else it
 * is nothing. */
static inline bool xg_glr_bound(GLenum binding)
{
    GLint name = 0;
    xg_glr_procs.glGetIntegerv(binding, &name);
    return name != 0;
}

/* The host may have refused glBegin, and a list may have compiled it only. Where it does not matter
 * that the host raises GL_INVALID_OPERATION inside. */
bool xg_glr_begun_slow(struct xg_glr_context *c);
static inline bool xg_glr_begun(struct xg_glr_context *c)
{
    return XG_UNLIKELY(c->in_begin) && xg_glr_begun_slow(c);
}

/* Around a call whose answer is more than a number (generated). After an error the guest gets none,
 * so that the application's memory stays as it was: true. */
void xg_glr_ask(struct xg_worker_ring *r);
bool xg_glr_refused(struct xg_worker_ring *r);
/* The same, and nothing is answered. */
bool xg_glr_failed(struct xg_worker_ring *r);

/* Before a draw: enabled arrays without a buffer object, other than those in `fresh`, are taken
 * out. */
void xg_glr_arrays_check_slow(struct xg_glr_context *c, uint64_t fresh);
static inline void xg_glr_arrays_check(struct xg_glr_context *c, uint64_t fresh)
{
    if (XG_UNLIKELY(c->dangling & ~fresh))
        xg_glr_arrays_check_slow(c, fresh);
}

void xg_glr_vertex_array_gone(struct xg_glr_context *c, GLuint array);
/* It is an object now, and not a name only: the host is not asked, for Mesa 22.3 takes a name that
 * it was asked about for an object. */
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
/* The index that means restart, or -1. */
int64_t xg_glr_restart_index(const struct xg_glr_context *c, GLenum type);

/* An array leads somewhere again: if it was taken out of the draws for that reason, it comes back.
 */
void xg_glr_array_given_slow(struct xg_glr_context *c, unsigned slot);
static inline void xg_glr_array_given(struct xg_glr_context *c, unsigned slot)
{
    if (XG_UNLIKELY(c->suppressed >> slot & 1))
        xg_glr_array_given_slow(c, slot);
}

/* Default-framebuffer names as the host has them, and back (window.c). */
GLenum xg_glr_buffer_to_host(const struct xg_glr_context *c, GLuint framebuffer, GLenum buffer);
GLint xg_glr_buffer_to_guest(const struct xg_glr_context *c, GLint buffer);
void xg_glr_window_first(struct xg_glr_context *c);

void xg_glr_result_free(struct xg_glr_context *c);

#endif
