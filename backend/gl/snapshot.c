/* XgSnapshot and xgReflect: protocol/gl/blobs.h. Built in private memory, then copied to where the
 * guest wants it. */
#include "backend/gl/decode.h"

#include "gl/limits.h"
#include "protocol/gl/blobs.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

struct builder {
    uint8_t *data;
    uint32_t size, room;
    bool failed;
};

#define BLOB_MAX (8u << 20)

/* Adds `size` bytes at the end (zeroes if `data` is NULL); returns their offset. */
static uint32_t blob_add(struct builder *b, const void *data, uint32_t size, uint32_t align)
{
    uint32_t at = (uint32_t)xg_align_up(b->size, align);

    if (b->failed || size > BLOB_MAX || at + size > BLOB_MAX) {
        b->failed = true;
        return 0;
    }
    if (at + size > b->room) {
        uint32_t room = (at + size) * 2;
        uint8_t *more = realloc(b->data, room);
        if (!more) {
            b->failed = true;
            return 0;
        }
        b->data = more;
        b->room = room;
    }
    memset(b->data + b->size, 0, at - b->size);
    if (data)
        memcpy(b->data + at, data, size);
    else
        memset(b->data + at, 0, size);
    b->size = at + size;
    return at;
}

static uint32_t add_string(struct builder *b, const char *text)
{
    return text ? blob_add(b, text, (uint32_t)strlen(text) + 1, 1) : 0;
}

/* Copies the blob to the guest. Returns the bytes needed; 0: no memory. */
static GLuint blob_finish(struct xg_worker_ring *r, struct builder *b, GLuint where, GLuint space)
{
    struct xg_reader rd;
    void *to;
    GLuint size = b->failed ? 0 : b->size;

    xg_reader_init(&rd, NULL, 0, r->arena, r->arena_size);
    if (size && size <= space) {
        to = xg_arena_at(&rd, where, size);
        if (to)
            memcpy(to, b->data, size);
        else
            size = 0;
    }
    free(b->data);
    return size;
}

/* --- a context -------------------------------------------------------------------------------- */

static const GLenum limit_names[] = {
#define X(pname) pname,
    XG_GL_LIMITS(X)
#undef X
};

static bool limit_read(struct xg_glr_context *c, GLenum pname, struct xg_gl_limit_record *l)
{
    union {
        GLint i[16];
        GLfloat f[16];
        uint8_t bytes[64];
    } v;
    GLint64 wide[16] = {0};
    uint32_t n;

    memset(l, 0, sizeof(*l));
    memset(&v, 0xa5, sizeof(v));
    xg_glr_procs.glGetIntegerv(pname, v.i);
    if (xg_glr_procs.glGetError())
        return false;
    n = (xg_wire_probe(&v, sizeof(v), 0xa5) + 3) / 4;
    if (n < 1 || n > 4)
        return false;
    xg_glr_answer_i(c, pname, v.i);
    l->pname = pname;
    l->count = n;
    for (uint32_t i = 0; i < n; i++)
        l->i[i] = l->n[i] = v.i[i];
    if (!c->es_old) {
        xg_glr_procs.glGetInteger64v(pname, wide);
        xg_glr_answer_i64(c, pname, wide);
        if (!xg_glr_procs.glGetError())
            memcpy(l->i, wide, n * sizeof(l->i[0]));
    }
    xg_glr_procs.glGetFloatv(pname, v.f);
    xg_glr_answer_f(c, pname, v.f);
    for (uint32_t i = 0; i < n; i++)
        l->d[i] = (double)v.f[i];
    /* an integer that a float cannot hold is an integer; below 0 it may be an unsigned one above
     * 2^31, which shows in the float */
    for (uint32_t i = 0; i < n; i++)
        if (fabs(l->d[i] - (double)l->i[i]) >= 1 && (l->i[i] >= 0 || l->d[i] < 0))
            l->d[i] = (double)l->i[i];
    xg_glr_procs.glGetError();
    return true;
}

static bool on_cpu;

void xg_glr_renders_on_cpu(bool it_does)
{
    on_cpu = it_does;
}

bool xg_glr_is_on_cpu(void)
{
    return on_cpu;
}

static void add_extension(struct xg_glr_context *c, struct builder *b,
                          struct xg_gl_snapshot_blob *s, const char *name)
{
    uint32_t at = add_string(b, name);

    s->extensions = s->extension_count++ ? s->extensions : at;
    if (strcmp(name, "GL_NVX_gpu_memory_info") == 0)
        c->host_memory_info = !on_cpu; /* on a CPU Mesa 25 gives arbitrary numbers */
}

static void add_host_extensions(struct xg_glr_context *c, struct builder *b,
                                struct xg_gl_snapshot_blob *s)
{
    const char *text =
        c->api == XG_GL_CORE ? NULL : (const char *)xg_glr_procs.glGetString(GL_EXTENSIONS);
    char *all = text ? strdup(text) : NULL, *save = NULL;
    GLint n = 0;

    xg_glr_procs.glGetError();
    if (all) {
        for (char *one = strtok_r(all, " ", &save); one; one = strtok_r(NULL, " ", &save))
            add_extension(c, b, s, one);
        free(all);
        return;
    }
    xg_glr_procs.glGetIntegerv(GL_NUM_EXTENSIONS, &n);
    for (GLint i = 0; i < n; i++) {
        const char *one = (const char *)xg_glr_procs.glGetStringi(GL_EXTENSIONS, (GLuint)i);
        if (one)
            add_extension(c, b, s, one);
    }
}

/* A guest with a limit can ask how much of it is left, whether the host has that extension or
 * not. */
static void add_extensions(struct xg_glr_context *c, struct builder *b,
                           struct xg_gl_snapshot_blob *s)
{
    bool host;

    c->host_memory_info = false;
    add_host_extensions(c, b, s);
    host = c->host_memory_info;
    if (!host && !c->es && xg_worker_memory_limit(c->ledger.worker))
        add_extension(c, b, s, "GL_NVX_gpu_memory_info");
    c->host_memory_info = host;
}

static void version_parse(const char *text, int32_t *major, int32_t *minor)
{
    while (text && *text && (*text < '0' || *text > '9'))
        text++;
    *major = *minor = 0;
    if (text && *text) {
        char *end;
        *major = (int32_t)strtol(text, &end, 10);
        *minor = *end == '.' ? (int32_t)strtol(end + 1, NULL, 10) : 0;
    }
}

GLuint xg_glr_xgSnapshot(struct xg_worker_ring *r, GLuint where, GLuint space)
{
    struct xg_glr_context *c = xg_glr_context_of(r);
    struct xg_gl_snapshot_blob s = {0};
    struct builder b = {0};
    const struct xg_glr_procs *g = &xg_glr_procs;

    xg_glr_errors_collect(r);
    blob_add(&b, NULL, sizeof(s), 8);
    s.vendor = add_string(&b, (const char *)g->glGetString(GL_VENDOR));
    s.renderer = add_string(&b, (const char *)g->glGetString(GL_RENDERER));
    s.version = add_string(&b, (const char *)g->glGetString(GL_VERSION));
    s.glsl = add_string(&b, (const char *)g->glGetString(GL_SHADING_LANGUAGE_VERSION));
    version_parse((const char *)g->glGetString(GL_VERSION), &s.major, &s.minor);
    xg_glr_errors_drop(r);
    add_extensions(c, &b, &s);
    for (unsigned i = 0; i < XG_ARRAY_LEN(limit_names); i++) {
        struct xg_gl_limit_record l;
        if (limit_read(c, limit_names[i], &l)) {
            uint32_t at = blob_add(&b, &l, sizeof(l), 8);
            s.limits = s.limit_count++ ? s.limits : at;
        }
    }
    xg_glr_errors_drop(r);
    s.size = b.size;
    if (!b.failed)
        memcpy(b.data, &s, sizeof(s));
    return blob_finish(r, &b, where, space);
}

/* --- a program -------------------------------------------------------------------------------- */

#define NAME_MAX_ 1024

static GLint program_get(GLuint program, GLenum pname)
{
    GLint v = 0;
    xg_glr_procs.glGetProgramiv(program, pname, &v);
    return v;
}

static GLint uniform_location(GLuint program, const char *name)
{
    return xg_glr_procs.glGetUniformLocation(program, name);
}

/* Whether the elements of "name[0]" have consecutive locations. */
static bool elements_contiguous(GLuint program, const char *name, GLint size, GLint location)
{
    char element[NAME_MAX_ + 16];
    size_t n = strlen(name);

    if (size < 2 || location < 0 || n < 4 || strcmp(name + n - 3, "[0]") != 0)
        return false;
    /* checks the last element and the second */
    for (GLint i = size - 1; i > 0; i = i > 1 ? 1 : 0) {
        snprintf(element, sizeof(element), "%.*s[%d]", (int)n - 3, name, i);
        if (uniform_location(program, element) != location + i)
            return false;
    }
    return true;
}

static uint32_t add_variables(struct builder *b, GLuint program, bool attribs, uint32_t count)
{
    uint32_t at = blob_add(b, NULL, count * (uint32_t)sizeof(struct xg_gl_variable_record), 8);
    char name[NAME_MAX_];

    for (uint32_t i = 0; i < count && !b->failed; i++) {
        struct xg_gl_variable_record v = {0};
        GLsizei length = 0;
        name[0] = '\0';
        (attribs ? xg_glr_procs.glGetActiveAttrib : xg_glr_procs.glGetActiveUniform)(
            program, i, sizeof(name), &length, &v.size, &v.type, name);
        v.location = attribs ? xg_glr_procs.glGetAttribLocation(program, name)
                             : uniform_location(program, name);
        v.contiguous = attribs || elements_contiguous(program, name, v.size, v.location);
        v.name = add_string(b, name);
        if (!b->failed)
            memcpy(b->data + at + i * sizeof(v), &v, sizeof(v));
    }
    return at;
}

static uint32_t add_blocks(struct builder *b, GLuint program, uint32_t count)
{
    uint32_t at = blob_add(b, NULL, count * (uint32_t)sizeof(struct xg_gl_block_record), 8);
    char name[NAME_MAX_];

    for (uint32_t i = 0; i < count && !b->failed; i++) {
        struct xg_gl_block_record v = {0};
        GLsizei length = 0;
        name[0] = '\0';
        xg_glr_procs.glGetActiveUniformBlockName(program, i, sizeof(name), &length, name);
        v.name = add_string(b, name);
        if (!b->failed)
            memcpy(b->data + at + i * sizeof(v), &v, sizeof(v));
    }
    return at;
}

/* More than any program has; larger numbers from a host are not believed. */
#define RECORDS_MAX 65536u

static uint32_t count_bounded(GLint n)
{
    return n < 0 ? 0 : (uint32_t)n > RECORDS_MAX ? RECORDS_MAX : (uint32_t)n;
}

GLuint xg_glr_xgReflect(struct xg_worker_ring *r, GLuint program, GLuint where, GLuint space)
{
    struct xg_glr_context *c = xg_glr_context_of(r);
    struct xg_gl_reflect_blob p = {0};
    struct builder b = {0};

    program = xg_glr_name(c, XG_GL_SPACE_PROGRAM, program);
    xg_glr_errors_collect(r);
    if (!program || program == XG_GLR_UNKNOWN || !xg_glr_procs.glIsProgram(program))
        return 0;
    p.linked = (uint32_t)program_get(program, GL_LINK_STATUS);
    p.attrib_count = count_bounded(program_get(program, GL_ACTIVE_ATTRIBUTES));
    p.attrib_max = (uint32_t)program_get(program, GL_ACTIVE_ATTRIBUTE_MAX_LENGTH);
    p.uniform_count = count_bounded(program_get(program, GL_ACTIVE_UNIFORMS));
    p.uniform_max = (uint32_t)program_get(program, GL_ACTIVE_UNIFORM_MAX_LENGTH);
    p.block_count = count_bounded(program_get(program, GL_ACTIVE_UNIFORM_BLOCKS));
    p.block_max = (uint32_t)program_get(program, GL_ACTIVE_UNIFORM_BLOCK_MAX_NAME_LENGTH);
    blob_add(&b, NULL, sizeof(p), 8);
    p.attribs = add_variables(&b, program, true, p.attrib_count);
    p.uniforms = add_variables(&b, program, false, p.uniform_count);
    p.blocks = add_blocks(&b, program, p.block_count);
    xg_glr_errors_drop(r);
    p.size = b.size;
    if (!b.failed)
        memcpy(b.data, &p, sizeof(p));
    return blob_finish(r, &b, where, space);
}
