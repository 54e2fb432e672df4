/* Claims for programs, shaders and texts. Nobody knows in advance how much memory a compiler takes:
 * these are estimates from the length of the source. */
#include "backend/gl/ledger.h"

#define COMPILED   32768u  /* for a shader, whatever its source */
#define LINKED     131072u /* for a program, to which what its shaders hold is added again */
#define DRAWN      327680u /* where it will be compiled for the processor when it is drawn with */
#define PER_CHAR   64u
#define PER_NAME   96u
#define PARAMETERS 65536u /* for an assembly program */

static bool claim_program(struct xg_glr_context *c, struct xg_glr_claim *k, GLuint host,
                          uint64_t bytes, bool more)
{
    struct xg_glr_map *held = &c->share->names[XG_GL_SPACE_PROGRAM].held;
    uint64_t old;

    *k = (struct xg_glr_claim){0};
    if (!host || host == XG_GLR_UNKNOWN || xg_glr_begun(c))
        return true; /* the host refuses it */
    old = xg_glr_map_get(held, host);
    if (more)
        bytes += old;
    else if (bytes < old)
        bytes = old;
    return xg_glr_claim_bytes(c, k, held, &c->share->ledger, host, bytes);
}

static uint64_t linked_bytes(void)
{
    return LINKED + (xg_glr_is_on_cpu() ? DRAWN : 0);
}

static uint64_t text_bytes(const GLchar *const *text, GLsizei count)
{
    uint64_t bytes = 0;

    for (GLsizei i = 0; text && i < count; i++)
        bytes += strlen(text[i]) + 1;
    return bytes;
}

bool xg_glr_claim_source(struct xg_glr_context *c, struct xg_glr_claim *k, GLuint shader,
                         const GLchar *const *text, GLsizei count)
{
    return claim_program(c, k, shader, PER_NAME + text_bytes(text, count), false);
}

bool xg_glr_claim_compile(struct xg_glr_context *c, struct xg_glr_claim *k, GLuint shader)
{
    GLint length = 0;

    if (shader && shader != XG_GLR_UNKNOWN && !xg_glr_begun(c)) {
        if (!xg_glr_procs.glIsShader(shader))
            shader = 0;
        else
            xg_glr_procs.glGetShaderiv(shader, GL_SHADER_SOURCE_LENGTH, &length);
    }
    return claim_program(c, k, shader, COMPILED + PER_CHAR * (uint64_t)(length > 0 ? length : 0),
                         false);
}

bool xg_glr_claim_link(struct xg_glr_context *c, struct xg_glr_claim *k, GLuint program)
{
    GLuint shader[16];
    GLsizei count = 0;
    uint64_t bytes = linked_bytes();

    if (program && program != XG_GLR_UNKNOWN && !xg_glr_begun(c)) {
        if (!xg_glr_procs.glIsProgram(program))
            program = 0;
        else
            xg_glr_procs.glGetAttachedShaders(program, XG_ARRAY_LEN(shader), &count, shader);
    }
    for (GLsizei i = 0; i < count; i++)
        bytes += xg_glr_map_get(&c->share->names[XG_GL_SPACE_PROGRAM].held, shader[i]);
    return claim_program(c, k, program, bytes, false);
}

bool xg_glr_claim_binary(struct xg_glr_context *c, struct xg_glr_claim *k, GLuint program,
                         int64_t bytes)
{
    return claim_program(c, k, program, linked_bytes() + (bytes > 0 ? 4 * (uint64_t)bytes : 0),
                         false);
}

bool xg_glr_claim_shader_binary(struct xg_glr_context *c, struct xg_glr_claim *k,
                                const GLuint *shaders, GLsizei count, int64_t bytes)
{
    uint64_t one = COMPILED + (bytes > 0 ? 4 * (uint64_t)bytes : 0);
    return claim_program(c, k, count > 0 && shaders ? shaders[0] : 0, one * (uint64_t)count, false);
}

bool xg_glr_claim_specialize(struct xg_glr_context *c, struct xg_glr_claim *k, GLuint shader)
{
    return claim_program(c, k, shader, LINKED, false);
}

bool xg_glr_claim_text(struct xg_glr_context *c, struct xg_glr_claim *k, GLuint program,
                       const GLchar *const *text, GLsizei count)
{
    uint64_t bytes = count > 0 ? PER_NAME * (uint64_t)count : 0;
    return claim_program(c, k, program, bytes + text_bytes(text, count), true);
}

static GLuint bound_assembly(GLenum target)
{
    GLint host = 0;

    xg_glr_procs.glGetProgramivARB(target, GL_PROGRAM_BINDING_ARB, &host);
    return host ? (GLuint)host : 0xffff0000u | (target & 0xffff);
}

static bool assembly_target(GLenum target)
{
    return target == GL_VERTEX_PROGRAM_ARB || target == GL_FRAGMENT_PROGRAM_ARB;
}

bool xg_glr_claim_assembly(struct xg_glr_context *c, struct xg_glr_claim *k, GLenum target,
                           int64_t bytes)
{
    *k = (struct xg_glr_claim){0};
    if (bytes < 0 || !assembly_target(target) || xg_glr_begun(c))
        return true;
    return xg_glr_claim_bytes(c, k, &c->share->names[XG_GL_SPACE_ARB_PROGRAM].held,
                              &c->share->ledger, bound_assembly(target),
                              COMPILED + PER_CHAR * (uint64_t)bytes);
}

/* With the first parameter a driver takes memory for all that are possible. Assembly programs have
 * no labels, so it is recorded there. */
bool xg_glr_claim_parameters(struct xg_glr_context *c, struct xg_glr_claim *k, GLenum target)
{
    struct xg_glr_names *n = &c->share->names[XG_GL_SPACE_ARB_PROGRAM];

    *k = (struct xg_glr_claim){0};
    if (!assembly_target(target) || xg_glr_begun(c))
        return true;
    return xg_glr_claim_bytes(c, k, &n->labelled, &c->share->ledger, bound_assembly(target),
                              PARAMETERS);
}

/* Mesa 22.3 looks for the end of the text, whatever length it is given. */
void xg_glr_glProgramStringARB(struct xg_worker_ring *r, GLenum target, GLenum format, GLsizei len,
                               const void *string, uint32_t n_string)
{
    char *text = len >= 0 ? xg_scratch_alloc(&r->scratch, (size_t)len + 1) : NULL;

    if (!text) {
        xg_glr_error(xg_glr_context_of(r), len < 0 ? GL_INVALID_VALUE : GL_OUT_OF_MEMORY);
        return;
    }
    memcpy(text, string, (size_t)len);
    text[len] = 0;
    xg_glr_procs.glProgramStringARB(target, format, len, text);
}

bool xg_glr_claim_label(struct xg_glr_context *c, struct xg_glr_claim *k, GLenum identifier,
                        GLuint host, const GLchar *label, GLsizei length)
{
    enum xg_gl_space space = xg_glr_space_by(identifier);

    *k = (struct xg_glr_claim){0};
    if (space == XG_GL_SPACES || !host || host == XG_GLR_UNKNOWN || xg_glr_begun(c))
        return true;
    return xg_glr_claim_bytes(c, k, &xg_glr_names_of(c, space)->labelled,
                              xg_glr_ledger_of(c, space), host,
                              label && length > 0 ? (uint64_t)length + 48 : 0);
}

/* The host keeps a record for each message that is to be shown or hidden. */
bool xg_glr_claim_messages(struct xg_glr_context *c, struct xg_glr_claim *k, GLenum source,
                           GLenum type, const GLuint *ids, GLsizei count)
{
    *k = (struct xg_glr_claim){0};
    if (xg_glr_begun(c))
        return true;
    for (GLsizei i = 0; ids && i < count; i++) {
        uint32_t key = ids[i] * 64 + (source & 7) * 8 + (type & 7);

        if (xg_glr_map_get(&c->messages, key))
            continue;
        if (!xg_glr_take_or_fail(c, &c->ledger, 64))
            return false;
        if (!xg_glr_map_set(&c->messages, key, 1)) {
            xg_glr_error(c, GL_OUT_OF_MEMORY);
            return false;
        }
    }
    return true;
}
