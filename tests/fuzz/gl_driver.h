/* A GL driver that draws nothing, and looks at memory as one does: gl_driver.c, and what
 * gl_driver.py makes of gl.xml and gl.annot. */
#ifndef XG_FUZZ_GL_DRIVER_H
#define XG_FUZZ_GL_DRIVER_H

#include "protocol/gl/sizes.h"
#include "protocol/gl/types.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>

#include "fuzz_gl.h"

struct gl_proc {
    const char *name;
    void *fn;
};
extern const struct gl_proc gl_procs[]; /* by name */
extern const unsigned gl_proc_count;

/* A context; `api`: as in enum xg_gl_api. NULL: none is current. */
struct gl_state;
struct gl_state *gl_driver_new(unsigned api);
void gl_driver_free(struct gl_state *s);
void gl_driver_use(struct gl_state *s);
extern const char *gl_driver_renderer;
void *gl_driver_proc(const char *name);

/* For the generated part. */
void gl_called(void);
void gl_read(const void *p, int64_t count, size_t size);
void gl_write(void *p, int64_t count, size_t size, uint32_t what);
void gl_write_text(char *p, int64_t size, uint32_t what);
void gl_write_length(GLsizei *p, int64_t size, uint32_t what);
void gl_read_strings(const GLchar *const *s, GLsizei count, const GLint *length);
void gl_unpack(const void *p, int dims, GLsizei width, GLsizei height, GLsizei depth, GLenum format,
               GLenum type);
void gl_unpack_bytes(const void *p, int64_t size);
void gl_pack(void *p, int dims, GLsizei width, GLsizei height, GLsizei depth, GLenum format,
             GLenum type);
void gl_pack_bytes(void *p, int64_t size);
GLint driver_xg_gl_level(GLenum target, GLint level, GLenum what);
GLint driver_xg_gl_texture_level(GLuint texture, GLint level, GLenum what);
GLint driver_xg_gl_pixel_map(GLenum map);

#endif
