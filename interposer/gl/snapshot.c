/* A context's properties: limits, strings, extensions. Fetched once, when it is first made
 * current. */
#include "interposer/gl/state.h"

#include "gl/send.h"
#include "gl/stubs.h"
#include "interposer/gl/procs.h"
#include "protocol/gl/blobs.h"

#include <errno.h>
#include <stdio.h>

static bool string_at(const uint8_t *blob, uint32_t size, uint32_t at, char **out)
{
    if (!at || at >= size || !memchr(blob + at, 0, size - at))
        return false;
    *out = strdup((const char *)blob + at);
    return *out != NULL;
}

static int by_name(const void *key, const void *element)
{
    return strcmp(key, *(const char *const *)element);
}

static bool extension_served(const char *name)
{
    return bsearch(name, xg_gl_extensions, xg_gl_extensions_count, sizeof(xg_gl_extensions[0]),
                   by_name) != NULL;
}

/* Those of the host's extensions whose every command is served here. */
static bool take_extensions(struct xg_gl_state *s, const uint8_t *blob, uint32_t size, uint32_t at,
                            uint32_t count)
{
    size_t total = 1;
    char *all;

    if (at >= size)
        return count == 0;
    s->extension = calloc(count ? count : 1, sizeof(*s->extension));
    if (!s->extension)
        return false;
    for (uint32_t i = 0; i < count; i++) {
        const char *name = (const char *)blob + at;
        size_t n = strnlen(name, size - at);
        if (at + n >= size)
            break;
        at += (uint32_t)n + 1;
        if (!extension_served(name) || !(s->extension[s->extension_count] = strdup(name)))
            continue;
        s->extension_count++;
        total += n + 1;
    }
    all = s->extensions = malloc(total);
    if (!all)
        return false;
    *all = '\0';
    for (uint32_t i = 0; i < s->extension_count; i++)
        all += sprintf(all, "%s ", s->extension[i]);
    return true;
}

static uint32_t limit_or(const struct xg_gl_state *s, GLenum pname, unsigned i, uint32_t otherwise)
{
    const struct xg_gl_limit *l = xg_gl_limit_find(s, pname);
    return l && i < l->count && l->i[i] > 0 ? (uint32_t)l->i[i] : otherwise;
}

static bool take_limits(struct xg_gl_state *s, const uint8_t *blob,
                        const struct xg_gl_snapshot_blob *b)
{
    const struct xg_gl_limit_record *r = (const void *)(blob + b->limits);

    if (b->limits % 8 || b->limits > b->size || b->limit_count > (b->size - b->limits) / sizeof(*r))
        return false;
    s->limit = calloc(b->limit_count ? b->limit_count : 1, sizeof(*s->limit));
    if (!s->limit)
        return false;
    for (uint32_t i = 0; i < b->limit_count; i++) {
        struct xg_gl_limit *l = &s->limit[i];
        l->pname = r[i].pname;
        l->count = r[i].count > 4 ? 4 : r[i].count;
        memcpy(l->n, r[i].n, sizeof(l->n));
        memcpy(l->i, r[i].i, sizeof(l->i));
        memcpy(l->d, r[i].d, sizeof(l->d));
    }
    s->limit_count = b->limit_count;
    s->max_attribs = limit_or(s, GL_MAX_VERTEX_ATTRIBS, 0, 16);
    s->max_attrib_depth = limit_or(s, GL_MAX_ATTRIB_STACK_DEPTH, 0, XG_ATTRIB_STACK);
    s->max_client_depth = limit_or(s, GL_MAX_CLIENT_ATTRIB_STACK_DEPTH, 0, XG_CLIENT_STACK);
    s->max_relative = limit_or(s, GL_MAX_VERTEX_ATTRIB_RELATIVE_OFFSET, 0, INT32_MAX);
    s->max_stride = limit_or(s, GL_MAX_VERTEX_ATTRIB_STRIDE, 0, INT32_MAX);
    s->indexed[0].count = limit_or(s, GL_MAX_UNIFORM_BUFFER_BINDINGS, 0, 0);
    s->indexed[0].align = limit_or(s, GL_UNIFORM_BUFFER_OFFSET_ALIGNMENT, 0, 256);
    s->indexed[1].count = limit_or(s, GL_MAX_TRANSFORM_FEEDBACK_BUFFERS, 0, 0);
    s->indexed[2].count = limit_or(s, GL_MAX_ATOMIC_COUNTER_BUFFER_BINDINGS, 0, 0);
    s->indexed[1].align = s->indexed[2].align = 4;
    s->indexed[3].count = limit_or(s, GL_MAX_SHADER_STORAGE_BUFFER_BINDINGS, 0, 0);
    s->indexed[3].align = limit_or(s, GL_SHADER_STORAGE_BUFFER_OFFSET_ALIGNMENT, 0, 256);
    s->max_viewport[0] = limit_or(s, GL_MAX_VIEWPORT_DIMS, 0, 0);
    s->max_viewport[1] = limit_or(s, GL_MAX_VIEWPORT_DIMS, 1, 0);
    return true;
}

static bool snapshot_take(struct xg_gl_state *s, const uint8_t *blob, uint32_t size)
{
    const struct xg_gl_snapshot_blob *b = (const void *)blob;
    char *renderer = NULL;

    if (size < sizeof(*b) || b->size > size)
        return false;
    s->major = b->major;
    s->minor = b->minor;
    string_at(blob, size, b->glsl, &s->glsl);
    if (!string_at(blob, size, b->version, &s->version) ||
        !string_at(blob, size, b->renderer, &renderer))
        return false;
    if (asprintf(&s->renderer, "xengpu (%s)", renderer) < 0)
        s->renderer = NULL;
    free(renderer);
    s->vendor = strdup("xengpu");
    return s->renderer && s->vendor &&
           take_extensions(s, blob, size, b->extensions, b->extension_count) &&
           take_limits(s, blob, b);
}

int xg_gl_snapshot(struct xg_gl_context *c)
{
    struct xg_channel *ch = c->ring->channel;
    uint32_t room = 65536, where, need = 0;

    for (int tries = 0; tries < 2 && !c->state->has_snapshot; tries++) {
        uint8_t *memory = xg_arena_alloc(ch, room, XG_BLOB_ALIGN, &where);
        uint8_t *copy = NULL;
        if (!memory)
            return -ENODEV;
        need = xg_gl_send_xgSnapshot(c, where, room);
        if (need && need <= room && (copy = malloc(need))) {
            memcpy(copy, memory, need);
            c->state->has_snapshot = snapshot_take(c->state, copy, need);
        }
        free(copy);
        xg_arena_free(ch, memory);
        if (need <= room)
            break;
        room = need;
    }
    return c->state->has_snapshot ? 0 : -ENODEV;
}

void xg_gl_snapshot_free(struct xg_gl_state *s)
{
    for (uint32_t i = 0; i < s->extension_count; i++)
        free(s->extension[i]);
    free(s->extension);
    free(s->extensions);
    free(s->vendor);
    free(s->renderer);
    free(s->version);
    free(s->glsl);
    free(s->limit);
}

const struct xg_gl_limit *xg_gl_limit_find(const struct xg_gl_state *s, GLenum pname)
{
    for (uint32_t i = 0; i < s->limit_count; i++)
        if (s->limit[i].pname == pname)
            return &s->limit[i];
    return NULL;
}

/* --- strings ---------------------------------------------------------------------------------- */

const char *xg_gl_string(struct xg_gl_context *c, uint32_t name)
{
    const struct xg_gl_state *s = c->state;

    switch (name) {
    case GL_VENDOR: return s->vendor;
    case GL_RENDERER: return s->renderer;
    case GL_VERSION: return s->version;
    case GL_SHADING_LANGUAGE_VERSION: return s->glsl;
    case GL_EXTENSIONS: return s->extensions;
    default: return NULL;
    }
}

const GLubyte *xg_stub_glGetString(GLenum name)
{
    struct xg_gl_context *c = xg_gl_current;
    const char *text;

    if (!c || xg_gl_inside(c))
        return NULL;
    text = name == GL_EXTENSIONS && c->api == XG_GL_CORE ? NULL : xg_gl_string(c, name);
    if (name == GL_PROGRAM_ERROR_STRING_ARB)
        text = ""; /* glGetIntegerv gives the exact position; the text stays on the host */
    if (!text)
        xg_gl_error(c, GL_INVALID_ENUM);
    return (const GLubyte *)text;
}

const GLubyte *xg_stub_glGetStringi(GLenum name, GLuint index)
{
    struct xg_gl_context *c = xg_gl_current;

    if (!c || xg_gl_inside(c))
        return NULL;
    if (name == GL_EXTENSIONS && index < c->state->extension_count)
        return (const GLubyte *)c->state->extension[index];
    if (name == GL_SHADING_LANGUAGE_VERSION && index == 0)
        return (const GLubyte *)c->state->glsl;
    xg_gl_error(c, name == GL_EXTENSIONS || name == GL_SHADING_LANGUAGE_VERSION ? GL_INVALID_VALUE
                                                                                : GL_INVALID_ENUM);
    return NULL;
}

void *xg_gl_get_proc(const char *name)
{
    size_t lo = 0, hi = xg_gl_procs_count;

    while (name && lo < hi) {
        size_t mid = (lo + hi) / 2;
        int order = strcmp(name, xg_gl_procs[mid].name);
        if (!order)
            return xg_gl_procs[mid].fn;
        if (order < 0)
            hi = mid;
        else
            lo = mid + 1;
    }
    return NULL;
}
