/* Programs: all that can be asked about a linked program comes in one blob per link, and queries
 * are answered from it. */
#include "interposer/gl/state.h"

#include "gl/send.h"
#include "gl/stubs.h"
#include "protocol/gl/blobs.h"

struct xg_gl_program {
    bool known; /* blob is that of the last link */
    uint8_t *blob;
    struct {
        char *name;
        GLint location;
    } * asked; /* locations of array elements that the blob does not contain */
    unsigned asked_count;
};

static void program_forget(struct xg_gl_program *p)
{
    for (unsigned i = 0; i < p->asked_count; i++)
        free(p->asked[i].name);
    free(p->asked);
    free(p->blob);
    memset(p, 0, sizeof(*p));
}

void xg_gl_program_destroy(void *object)
{
    program_forget(object);
    free(object);
}

static struct xg_gl_program *program_get(struct xg_gl_context *c, GLuint name, bool create)
{
    struct xg_gl_names *t = &c->share->names[XG_GL_SPACE_PROGRAM];
    struct xg_gl_program *p;

    pthread_mutex_lock(&c->share->lock);
    p = xg_gl_names_get(t, name);
    if (!p && create && xg_gl_names_has(t, name) && (p = calloc(1, sizeof(*p))))
        xg_gl_names_put(t, name, p);
    pthread_mutex_unlock(&c->share->lock);
    return p;
}

void xg_gl_program_deleted(struct xg_gl_context *c, uint32_t name)
{
    struct xg_gl_program *p = program_get(c, name, false);
    atomic_fetch_add(&c->share->links, 1);
    /* a program in use lives on: then its reflection is fetched again */
    if (p)
        program_forget(p);
}

static const struct xg_gl_reflect_blob *program_reflect(struct xg_gl_context *c, GLuint program)
{
    struct xg_gl_program *p = program_get(c, program, true);
    struct xg_channel *ch = c->ring->channel;
    uint32_t room = 16384, where, need;

    if (xg_gl_inside(c))
        return NULL;
    if (!p) {
        xg_gl_error(c, GL_INVALID_VALUE);
        return NULL;
    }
    while (!p->known) {
        void *memory = xg_arena_alloc(ch, room, XG_BLOB_ALIGN, &where);
        if (!memory) {
            xg_gl_error(c, GL_OUT_OF_MEMORY);
            return NULL;
        }
        need = xg_gl_send_xgReflect(c, program, where, room);
        if (need && need <= room && (p->blob = malloc(need))) {
            memcpy(p->blob, memory, need);
            p->known = true;
        }
        xg_arena_free(ch, memory);
        if (!p->known && need <= room) {
            if (!need)
                xg_gl_error(c, GL_INVALID_OPERATION); /* the name is a shader's */
            return NULL;
        }
        room = need;
    }
    return (const struct xg_gl_reflect_blob *)p->blob;
}

static const struct xg_gl_variable_record *attrib_records(const struct xg_gl_reflect_blob *b)
{
    return (const struct xg_gl_variable_record *)((const uint8_t *)b + b->attribs);
}

static const struct xg_gl_variable_record *uniform_records(const struct xg_gl_reflect_blob *b)
{
    return (const struct xg_gl_variable_record *)((const uint8_t *)b + b->uniforms);
}

static const struct xg_gl_block_record *block_records(const struct xg_gl_reflect_blob *b)
{
    return (const struct xg_gl_block_record *)((const uint8_t *)b + b->blocks);
}

static const char *blob_text(const struct xg_gl_reflect_blob *b, uint32_t at)
{
    return (const char *)b + at;
}

/* --- linking and using ------------------------------------------------------------------------ */

static void program_relinked(struct xg_gl_context *c, GLuint program)
{
    struct xg_gl_program *p = program_get(c, program, false);
    atomic_fetch_add(&c->share->links, 1);
    if (p)
        program_forget(p);
}

void xg_stub_glLinkProgram(GLuint program)
{
    struct xg_gl_context *c = xg_gl_current;
    if (!c)
        return;
    program_relinked(c, program);
    xg_gl_send_glLinkProgram(c, program);
}

/* --- strings: first whether the name is of the right kind, as drivers do ---------------------- */

static bool takes_strings(struct xg_gl_context *c, GLuint name, GLsizei count)
{
    if (xg_gl_names_has(&c->share->names[XG_GL_SPACE_PROGRAM], name) && count >= 0)
        return true;
    xg_gl_error(c, GL_INVALID_VALUE);
    return false;
}

void xg_stub_glShaderSource(GLuint shader, GLsizei count, const GLchar *const *string,
                            const GLint *length)
{
    struct xg_gl_context *c = xg_gl_current;
    if (c && takes_strings(c, shader, count))
        xg_gl_send_glShaderSource(c, shader, count, string, length);
}

void xg_stub_glTransformFeedbackVaryings(GLuint program, GLsizei count,
                                         const GLchar *const *varyings, GLenum bufferMode)
{
    struct xg_gl_context *c = xg_gl_current;
    if (!c)
        return;
    if (bufferMode != GL_INTERLEAVED_ATTRIBS && bufferMode != GL_SEPARATE_ATTRIBS)
        xg_gl_error(c, GL_INVALID_ENUM);
    else if (takes_strings(c, program, count))
        xg_gl_send_glTransformFeedbackVaryings(c, program, count, varyings, bufferMode);
}

void xg_stub_glGetUniformIndices(GLuint program, GLsizei uniformCount,
                                 const GLchar *const *uniformNames, GLuint *uniformIndices)
{
    struct xg_gl_context *c = xg_gl_current;
    if (c && takes_strings(c, program, uniformCount))
        xg_gl_send_glGetUniformIndices(c, program, uniformCount, uniformNames, uniformIndices);
}

void xg_stub_glProgramBinary(GLuint program, GLenum binaryFormat, const void *binary,
                             GLsizei length)
{
    struct xg_gl_context *c = xg_gl_current;
    if (!c)
        return;
    program_relinked(c, program);
    xg_gl_send_glProgramBinary(c, program, binaryFormat, binary, length);
}

/* Whether the host has accepted the last glUseProgram. False: the program is not linked, or nobody
 * has asked yet, or it may have changed since. */
bool xg_gl_program_taken(struct xg_gl_context *c)
{
    const struct xg_gl_program *p;

    if (c->state->program_known != XG_PROGRAM_IF_LINKED ||
        atomic_load(&c->share->links) != c->state->program_link)
        return false;
    p = program_get(c, c->state->program, false);
    return p && p->known && ((const struct xg_gl_reflect_blob *)p->blob)->linked;
}

void xg_stub_glUseProgram(GLuint program)
{
    struct xg_gl_context *c = xg_gl_current;
    if (!c)
        return;
    xg_gl_acquire(c);
    if (c->state->list_mode)
        atomic_fetch_or(&c->share->ever, XG_LIST_PROGRAM);
    if (!xg_gl_compiling(c)) {
        c->state->program = program;
        c->state->program_known = c->state->xfb_active || !xg_gl_settled(c) ? XG_PROGRAM_ASK
                                  : program                                 ? XG_PROGRAM_IF_LINKED
                                                                            : XG_PROGRAM_KNOWN;
        c->state->program_link = atomic_load_explicit(&c->share->links, memory_order_relaxed);
    }
    xg_gl_send_glUseProgram(c, program);
}

/* --- questions -------------------------------------------------------------------------------- */

void xg_stub_glGetProgramiv(GLuint program, GLenum pname, GLint *params)
{
    struct xg_gl_context *c = xg_gl_current;
    const struct xg_gl_reflect_blob *b;

    if (!c || !params)
        return;
    switch (pname) {
    case GL_LINK_STATUS:
    case GL_ACTIVE_ATTRIBUTES:
    case GL_ACTIVE_ATTRIBUTE_MAX_LENGTH:
    case GL_ACTIVE_UNIFORMS:
    case GL_ACTIVE_UNIFORM_MAX_LENGTH:
    case GL_ACTIVE_UNIFORM_BLOCKS:
    case GL_ACTIVE_UNIFORM_BLOCK_MAX_NAME_LENGTH: break;
    default: /* values that can change without a link */
        xg_gl_send_glGetProgramiv(c, program, pname, params);
        return;
    }
    if (!(b = program_reflect(c, program)))
        return;
    switch (pname) {
    case GL_LINK_STATUS: *params = (GLint)b->linked; break;
    case GL_ACTIVE_ATTRIBUTES: *params = (GLint)b->attrib_count; break;
    case GL_ACTIVE_ATTRIBUTE_MAX_LENGTH: *params = (GLint)b->attrib_max; break;
    case GL_ACTIVE_UNIFORMS: *params = (GLint)b->uniform_count; break;
    case GL_ACTIVE_UNIFORM_MAX_LENGTH: *params = (GLint)b->uniform_max; break;
    case GL_ACTIVE_UNIFORM_BLOCKS: *params = (GLint)b->block_count; break;
    default: *params = (GLint)b->block_max; break;
    }
}

/* "name[i]" is element i of an array whose record is called "name[0]"; plain "name" is element 0.
 * Returns the index, or -1. */
static long name_split(const char *name, size_t *base)
{
    size_t n = strlen(name);
    const char *open = n && name[n - 1] == ']' ? strrchr(name, '[') : NULL;
    char *end;
    long i;

    *base = n;
    if (!open || open[1] < '0' || open[1] > '9' || (open[1] == '0' && open[2] != ']'))
        return open ? -1 : 0;
    i = strtol(open + 1, &end, 10);
    if (end != name + n - 1 || i > 65535)
        return -1;
    *base = (size_t)(open - name);
    return i;
}

/* Whether `record` is the variable `name` of length n, or the array of that name. */
static bool record_named(const char *record, const char *name, size_t n)
{
    return strncmp(record, name, n) == 0 && (!record[n] || strcmp(record + n, "[0]") == 0);
}

static GLint location_ask(struct xg_gl_context *c, GLuint program, const GLchar *name)
{
    struct xg_gl_program *p = program_get(c, program, false);
    GLint location;
    void *more;

    for (unsigned i = 0; i < p->asked_count; i++)
        if (strcmp(p->asked[i].name, name) == 0)
            return p->asked[i].location;
    location = xg_gl_send_glGetUniformLocation(c, program, name);
    more = realloc(p->asked, (p->asked_count + 1) * sizeof(*p->asked));
    if (more) {
        p->asked = more;
        p->asked[p->asked_count].location = location;
        p->asked[p->asked_count].name = strdup(name);
        p->asked_count += p->asked[p->asked_count].name != NULL;
    }
    return location;
}

static GLint location_find(struct xg_gl_context *c, GLuint program, const GLchar *name,
                           const struct xg_gl_reflect_blob *b,
                           const struct xg_gl_variable_record *v, uint32_t count)
{
    size_t base, whole = strlen(name);
    long index = name_split(name, &base);

    if (index < 0)
        return -1;
    for (uint32_t i = 0; i < count; i++) {
        const char *record = blob_text(b, v[i].name);
        if (strcmp(record, name) == 0)
            return v[i].location;
        if (base == whole ? record_named(record, name, base)
                          : strncmp(record, name, base) == 0 && strcmp(record + base, "[0]") == 0) {
            if (index >= v[i].size || v[i].location < 0)
                return -1;
            return index == 0        ? v[i].location
                   : v[i].contiguous ? v[i].location + (GLint)index
                                     : location_ask(c, program, name);
        }
    }
    return -1;
}

GLint xg_stub_glGetUniformLocation(GLuint program, const GLchar *name)
{
    struct xg_gl_context *c = xg_gl_current;
    const struct xg_gl_reflect_blob *b = c && name ? program_reflect(c, program) : NULL;

    if (!b)
        return -1;
    if (!b->linked) {
        xg_gl_error(c, GL_INVALID_OPERATION);
        return -1;
    }
    return location_find(c, program, name, b, uniform_records(b), b->uniform_count);
}

GLint xg_stub_glGetAttribLocation(GLuint program, const GLchar *name)
{
    struct xg_gl_context *c = xg_gl_current;
    const struct xg_gl_reflect_blob *b = c && name ? program_reflect(c, program) : NULL;

    if (!b)
        return -1;
    if (!b->linked) {
        xg_gl_error(c, GL_INVALID_OPERATION);
        return -1;
    }
    return location_find(c, program, name, b, attrib_records(b), b->attrib_count);
}

static void string_give(const char *from, GLsizei size, GLsizei *length, GLchar *to)
{
    size_t n = strlen(from);

    if (size <= 0 || !to) {
        if (length)
            *length = 0;
        return;
    }
    if (n > (size_t)size - 1)
        n = (size_t)size - 1;
    memcpy(to, from, n);
    to[n] = '\0';
    if (length)
        *length = (GLsizei)n;
}

static void active_give(struct xg_gl_context *c, const struct xg_gl_reflect_blob *b,
                        const struct xg_gl_variable_record *v, uint32_t count, GLuint index,
                        GLsizei bufSize, GLsizei *length, GLint *size, GLenum *type, GLchar *name)
{
    if (index >= count || bufSize < 0) {
        xg_gl_error(c, GL_INVALID_VALUE);
        return;
    }
    string_give(blob_text(b, v[index].name), bufSize, length, name);
    if (size)
        *size = v[index].size;
    if (type)
        *type = v[index].type;
}

void xg_stub_glGetActiveUniform(GLuint program, GLuint index, GLsizei bufSize, GLsizei *length,
                                GLint *size, GLenum *type, GLchar *name)
{
    struct xg_gl_context *c = xg_gl_current;
    const struct xg_gl_reflect_blob *b = c ? program_reflect(c, program) : NULL;
    if (b)
        active_give(c, b, uniform_records(b), b->uniform_count, index, bufSize, length, size, type,
                    name);
}

void xg_stub_glGetActiveAttrib(GLuint program, GLuint index, GLsizei bufSize, GLsizei *length,
                               GLint *size, GLenum *type, GLchar *name)
{
    struct xg_gl_context *c = xg_gl_current;
    const struct xg_gl_reflect_blob *b = c ? program_reflect(c, program) : NULL;
    if (b)
        active_give(c, b, attrib_records(b), b->attrib_count, index, bufSize, length, size, type,
                    name);
}

GLuint xg_stub_glGetUniformBlockIndex(GLuint program, const GLchar *uniformBlockName)
{
    struct xg_gl_context *c = xg_gl_current;
    const struct xg_gl_reflect_blob *b = c && uniformBlockName ? program_reflect(c, program) : NULL;

    for (uint32_t i = 0; b && i < b->block_count; i++)
        if (strcmp(blob_text(b, block_records(b)[i].name), uniformBlockName) == 0)
            return i;
    return GL_INVALID_INDEX;
}

void xg_stub_glGetActiveUniformBlockName(GLuint program, GLuint index, GLsizei bufSize,
                                         GLsizei *length, GLchar *name)
{
    struct xg_gl_context *c = xg_gl_current;
    const struct xg_gl_reflect_blob *b = c ? program_reflect(c, program) : NULL;

    if (!b)
        return;
    if (index >= b->block_count || bufSize < 0)
        xg_gl_error(c, GL_INVALID_VALUE);
    else
        string_give(blob_text(b, block_records(b)[index].name), bufSize, length, name);
}

void xg_stub_glGetProgramInfoLog(GLuint program, GLsizei bufSize, GLsizei *length, GLchar *infoLog)
{
    struct xg_gl_context *c = xg_gl_current;
    if (c) /* validation changes it too */
        xg_gl_send_glGetProgramInfoLog(c, program, bufSize, length, infoLog);
}

/* As ARB_separate_shader_objects defines it by other commands. */
GLuint xg_stub_glCreateShaderProgramv(GLenum type, GLsizei count, const GLchar *const *strings)
{
    GLuint shader, program;
    GLint ok = 0;

    if (!xg_gl_current)
        return 0;
    if (count < 0) {
        xg_gl_error(xg_gl_current, GL_INVALID_VALUE);
        return 0;
    }
    shader = xg_stub_glCreateShader(type);
    if (!shader)
        return 0;
    xg_stub_glShaderSource(shader, count, strings, NULL);
    xg_stub_glCompileShader(shader);
    program = xg_stub_glCreateProgram();
    if (program) {
        xg_stub_glGetShaderiv(shader, GL_COMPILE_STATUS, &ok);
        xg_stub_glProgramParameteri(program, GL_PROGRAM_SEPARABLE, GL_TRUE);
        if (ok) {
            xg_stub_glAttachShader(program, shader);
            xg_stub_glLinkProgram(program);
            xg_stub_glDetachShader(program, shader);
        }
    }
    xg_stub_glDeleteShader(shader);
    return program;
}

/* --- strings on the wire ---------------------------------------------------------------------- */

static size_t source_length(const GLchar *const *strings, const GLint *length, GLsizei i)
{
    if (!strings[i])
        return 0;
    return length && length[i] >= 0 ? (size_t)length[i] : strlen(strings[i]);
}

uint64_t xg_gl_strings_size(GLsizei count, const GLchar *const *strings, const GLint *length)
{
    uint64_t size = 0;
    for (GLsizei i = 0; i < count && strings; i++)
        size += source_length(strings, length, i) + 1;
    return size;
}

void *xg_gl_strings_put(struct xg_gl_context *c, void *at, GLsizei count,
                        const GLchar *const *strings, const GLint *length, uint64_t size)
{
    char small[1024], *all = size <= sizeof(small) ? small : malloc(size), *to = all;

    for (GLsizei i = 0; all && i < count && strings; i++) {
        size_t n = source_length(strings, length, i);
        /* a NUL inside ends the string for every compiler, but on the wire it would end it too
         * early */
        if (n)
            memcpy(to, strings[i], n);
        for (size_t k = 0; k < n; k++)
            if (!to[k])
                to[k] = ' ';
        to[n] = '\0';
        to += n + 1;
    }
    at = xg_blob_put(c->ring, at, all ? all : NULL, all ? size : 0);
    if (all != small)
        free(all);
    return at;
}

/* --- binaries: unchanged from the host -------------------------------------------------------- */

void xg_stub_glGetProgramBinary(GLuint program, GLsizei bufSize, GLsizei *length,
                                GLenum *binaryFormat, void *binary)
{
    struct xg_gl_context *c = xg_gl_current;
    struct xg_channel *ch;
    uint32_t where, got;
    GLsizei written = -1;
    uint8_t *memory;

    if (!c)
        return;
    if (xg_gl_inside(c))
        return;
    if (bufSize < 0 || !xg_gl_names_has(&c->share->names[XG_GL_SPACE_PROGRAM], program)) {
        xg_gl_error(c, GL_INVALID_VALUE);
        return;
    }
    if (bufSize && !binary) {
        xg_gl_error(c, GL_INVALID_OPERATION);
        return;
    }
    ch = c->ring->channel;
    memory = xg_arena_alloc(ch, (uint64_t)bufSize + 8, XG_BLOB_ALIGN, &where);
    if (!memory) {
        xg_gl_error(c, GL_OUT_OF_MEMORY);
        return;
    }
    memset(memory, 0xff, 8); /* if the connection is lost, nothing is written there */
    got = xg_gl_send_xgGetProgramBinary(c, program, where, (uint32_t)bufSize + 8);
    memcpy(&written, memory + 4, sizeof(written));
    if (length && written >= 0)
        *length = written;
    if (got && got <= (uint32_t)bufSize) {
        if (binaryFormat)
            memcpy(binaryFormat, memory, sizeof(*binaryFormat));
        memcpy(binary, memory + 8, got);
    }
    xg_arena_free(ch, memory);
}
