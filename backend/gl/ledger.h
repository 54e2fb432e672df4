/*
 * Memory that a guest's GL objects hold, counted before the host is asked for it (docs/xengpu.md
 * says what counts as how much).
 *
 * A ledger is an account within the guest's quota: one for what the contexts of a share group have
 * together, and one for what belongs to one context. What an object holds is recorded under its
 * host name. A command that allocates first makes a claim (generated from the word `claim` in
 * protocol/gl/gl.annot). If the quota has no room, the guest's error is GL_OUT_OF_MEMORY, and the
 * host does not get the command; if the host refuses the command, xg_glr_settle gives the claim
 * back.
 */
#ifndef XG_BACKEND_GL_LEDGER_H
#define XG_BACKEND_GL_LEDGER_H

#include "backend/gl/decode.h"

#define XG_GLR_TOO_MUCH (1ull << 60) /* more than any device has: estimates saturate here */

/* --- images ----------------------------------------------------------------------------------- */

struct xg_glr_image {
    uint32_t width, height, depth, samples;
    GLenum format;
    uint64_t compressed; /* the length of the data, if that is more than the format says */
    uint64_t whole;      /* made with all levels of its texture */
};
uint64_t xg_glr_image_bytes(const struct xg_glr_image *i);
/* The next smaller level; false: there is none. */
bool xg_glr_image_next(struct xg_glr_image *i, GLenum target);
uint64_t xg_glr_chain_bytes(struct xg_glr_image base, GLenum target, uint32_t levels);
#define XG_GLR_LEVELS 32u
#define XG_GLR_FACES  6u
/* images.c: all images of a texture together, if it can be respecified; image[level * XG_GLR_FACES
 * + face]. */
uint64_t xg_glr_images_bytes(const struct xg_glr_image *image, uint32_t count, GLenum target);
/* The format in which an image is stored. */
GLenum xg_glr_format_stored(const struct xg_glr_context *c, GLenum internal, GLenum format,
                            GLenum type);

/* --- the account ------------------------------------------------------------------------------ */

/* Any thread. */
bool xg_glr_take(struct xg_glr_ledger *l, uint64_t bytes);
void xg_glr_give(struct xg_glr_ledger *l, uint64_t bytes);
void xg_glr_ledger_init(struct xg_glr_ledger *l, struct xg_worker *w);
/* Gives back all that is left. */
void xg_glr_ledger_fini(struct xg_glr_ledger *l);

/* The same on the thread where `c` is current: searches for memory of deleted objects first, and
 * raises GL_OUT_OF_MEMORY. */
bool xg_glr_take_or_fail(struct xg_glr_context *c, struct xg_glr_ledger *l, uint64_t bytes);
/* The device may still use data that was freed. Called before more is taken, so that there is never
 * much such memory. */
void xg_glr_freed_wait(struct xg_glr_context *c);
/* The ledger to which a kind of names is charged. */
struct xg_glr_ledger *xg_glr_ledger_of(struct xg_glr_context *c, enum xg_gl_space space);
/* What the host needs for an object without contents; and for its storage, besides the data. */
uint32_t xg_glr_name_cost(enum xg_gl_space space);
#define XG_GLR_STORAGE_COST 1024u
#define XG_GLR_CONTEXT_COST (4u << 20)

/* --- claims: on the thread where `c` is current ----------------------------------------------- */

struct xg_glr_claim {
    enum {
        XG_GLR_CLAIM_NONE, /* nothing to settle */
        XG_GLR_CLAIM_BYTES,
        XG_GLR_CLAIM_IMAGES,
        XG_GLR_CLAIM_STORAGE,
        XG_GLR_CLAIM_VIEW,
        XG_GLR_CLAIM_TEXTURE_BUFFER,
    } kind;
    struct xg_glr_map *map;       /* if it is about bytes: where they are recorded */
    struct xg_glr_ledger *ledger; /* NULL: that of the share group */
    GLuint host, other;
    GLenum target;
    uint32_t place; /* of an image: level * 6 + face */
    uint32_t faces;
    uint32_t levels;
    struct xg_glr_image image;
    uint64_t old, now;
};

/* Called after the command: gives back what the host has refused. */
void xg_glr_settle(struct xg_glr_context *c, struct xg_glr_claim *k);

/* Each returns false if the command must not be replayed; then the error is recorded. */
bool xg_glr_claim_image(struct xg_glr_context *c, struct xg_glr_claim *k, GLenum target,
                        GLint level, GLenum format, int64_t width, int64_t height, int64_t depth);
bool xg_glr_claim_compressed(struct xg_glr_context *c, struct xg_glr_claim *k, GLenum target,
                             GLint level, GLenum format, int64_t width, int64_t height,
                             int64_t depth, int64_t bytes);
bool xg_glr_claim_samples(struct xg_glr_context *c, struct xg_glr_claim *k, GLenum target,
                          GLsizei samples, GLenum format, int64_t width, int64_t height,
                          int64_t depth);
bool xg_glr_claim_storage(struct xg_glr_context *c, struct xg_glr_claim *k, GLenum target,
                          GLsizei levels, GLsizei samples, GLenum format, int64_t width,
                          int64_t height, int64_t depth);
bool xg_glr_claim_named_storage(struct xg_glr_context *c, struct xg_glr_claim *k, GLuint texture,
                                GLsizei levels, GLsizei samples, GLenum format, int64_t width,
                                int64_t height, int64_t depth);
bool xg_glr_claim_mipmap(struct xg_glr_context *c, struct xg_glr_claim *k, GLenum target);
bool xg_glr_claim_named_mipmap(struct xg_glr_context *c, struct xg_glr_claim *k, GLuint texture);
bool xg_glr_claim_view(struct xg_glr_context *c, struct xg_glr_claim *k, GLuint texture,
                       GLuint original);
bool xg_glr_claim_texture_buffer(struct xg_glr_context *c, struct xg_glr_claim *k, GLenum target,
                                 GLuint buffer);
bool xg_glr_claim_named_texture_buffer(struct xg_glr_context *c, struct xg_glr_claim *k,
                                       GLuint texture, GLuint buffer);
bool xg_glr_claim_buffer(struct xg_glr_context *c, struct xg_glr_claim *k, GLenum target,
                         int64_t bytes);
bool xg_glr_claim_named_buffer(struct xg_glr_context *c, struct xg_glr_claim *k, GLuint buffer,
                               int64_t bytes);
bool xg_glr_claim_renderbuffer(struct xg_glr_context *c, struct xg_glr_claim *k, GLsizei samples,
                               GLenum format, int64_t width, int64_t height);
bool xg_glr_claim_named_renderbuffer(struct xg_glr_context *c, struct xg_glr_claim *k,
                                     GLuint renderbuffer, GLsizei samples, GLenum format,
                                     int64_t width, int64_t height);

/* Bytes that are recorded in a map as one number. */
bool xg_glr_claim_bytes(struct xg_glr_context *c, struct xg_glr_claim *k, struct xg_glr_map *map,
                        struct xg_glr_ledger *ledger, GLuint host, uint64_t bytes);
bool xg_glr_claim_source(struct xg_glr_context *c, struct xg_glr_claim *k, GLuint shader,
                         const GLchar *const *text, GLsizei count);
bool xg_glr_claim_compile(struct xg_glr_context *c, struct xg_glr_claim *k, GLuint shader);
bool xg_glr_claim_link(struct xg_glr_context *c, struct xg_glr_claim *k, GLuint program);
bool xg_glr_claim_binary(struct xg_glr_context *c, struct xg_glr_claim *k, GLuint program,
                         int64_t bytes);
bool xg_glr_claim_shader_binary(struct xg_glr_context *c, struct xg_glr_claim *k,
                                const GLuint *shaders, GLsizei count, int64_t bytes);
bool xg_glr_claim_specialize(struct xg_glr_context *c, struct xg_glr_claim *k, GLuint shader);
bool xg_glr_claim_text(struct xg_glr_context *c, struct xg_glr_claim *k, GLuint program,
                       const GLchar *const *text, GLsizei count);
bool xg_glr_claim_assembly(struct xg_glr_context *c, struct xg_glr_claim *k, GLenum target,
                           int64_t bytes);
bool xg_glr_claim_parameters(struct xg_glr_context *c, struct xg_glr_claim *k, GLenum target);
bool xg_glr_claim_label(struct xg_glr_context *c, struct xg_glr_claim *k, GLenum identifier,
                        GLuint host, const GLchar *label, GLsizei length);
bool xg_glr_claim_messages(struct xg_glr_context *c, struct xg_glr_claim *k, GLenum source,
                           GLenum type, const GLuint *ids, GLsizei count);

/* --- display lists (lists.c) ------------------------------------------------------------------ */

/* A command goes into the list that is being compiled: charges its bytes on the wire, or other data
 * that the host copies. */
void xg_glr_list_grows(struct xg_glr_context *c, uint64_t bytes);
/* A draw with all data in buffers goes into the list: the host copies the vertices, and does not
 * check how many there are. False: there are too few, and the error is recorded. Arrays in `fresh`
 * have been checked already. */
bool xg_glr_list_draw(struct xg_glr_context *c, int64_t first, int64_t count, uint64_t fresh);
bool xg_glr_list_elements(struct xg_glr_context *c, GLsizei count, GLenum type, uint64_t offset,
                          GLint base);

/* --- deletion (deleted.c) --------------------------------------------------------------------- */

/*
 * A name is deleted, but its object may live on: attached to a framebuffer or a vertex array object
 * that was not bound, bound in another context, or kept by an attribute stack. Its memory counts
 * until no context of the share group uses it. What a context uses is searched on its own thread:
 * when memory is short, and when it has nothing else to do. Then others may use the result, which
 * is valid until the context's next command.
 */
void xg_glr_deleted(struct xg_glr_context *c, enum xg_gl_space space, GLuint host);
/* A program or shader whose name was deleted while it was in use has been freed: the host has given
 * out its name again (under the lock). */
void xg_glr_deleted_program(struct xg_glr_context *c, GLuint host);
void xg_glr_deleted_program_gone(struct xg_glr_share *s, GLuint host);
/* Searches this context now. */
void xg_glr_deleted_look(struct xg_glr_context *c);
/* The same when the context has nothing to do, or is made not current; only if searching has taken
 * less than a fiftieth of its time. Returns after how many nanoseconds it may search. */
uint64_t xg_glr_deleted_idle(struct xg_glr_context *c);
void xg_glr_deleted_context_enter(struct xg_glr_context *c);
/* Returns how many contexts of the share group are left. */
uint32_t xg_glr_deleted_context_leave(struct xg_glr_context *c);

/* --- textures: under the share group's lock --------------------------------------------------- */

/* Storage that cannot be respecified, and that views share. */
struct xg_glr_storage {
    uint64_t bytes;
    uint32_t refs;
};

struct xg_glr_texture {
    struct xg_glr_storage *storage;
    uint64_t bytes; /* of the images */
    GLuint buffer;  /* host name of the buffer that it shows */
    uint32_t count;
    struct xg_glr_image *image;
};

/* Frees the record; returns the bytes that only this object held. */
uint64_t xg_glr_texture_free(struct xg_glr_share *s, struct xg_glr_texture *t);
/* Called at the share group's end. */
void xg_glr_objects_free(struct xg_glr_share *s);

#endif
