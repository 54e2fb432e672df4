/* Answers that are names, or buffers of the default framebuffer, are translated for the guest;
 * questions about memory are answered here. */
#include "backend/gl/ledger.h"

static int space_of(GLenum pname)
{
    switch (pname) {
    case GL_TEXTURE_BINDING_1D:
    case GL_TEXTURE_BINDING_2D:
    case GL_TEXTURE_BINDING_3D:
    case GL_TEXTURE_BINDING_RECTANGLE:
    case GL_TEXTURE_BINDING_CUBE_MAP:
    case GL_TEXTURE_BINDING_1D_ARRAY:
    case GL_TEXTURE_BINDING_2D_ARRAY:
    case GL_TEXTURE_BINDING_CUBE_MAP_ARRAY:
    case GL_TEXTURE_BINDING_BUFFER:
    case GL_TEXTURE_BINDING_2D_MULTISAMPLE:
    case GL_TEXTURE_BINDING_2D_MULTISAMPLE_ARRAY:
    case GL_IMAGE_BINDING_NAME: return XG_GL_SPACE_TEXTURE;
    case GL_ARRAY_BUFFER_BINDING:
    case GL_ELEMENT_ARRAY_BUFFER_BINDING:
    case GL_PIXEL_PACK_BUFFER_BINDING:
    case GL_PIXEL_UNPACK_BUFFER_BINDING:
    case GL_COPY_READ_BUFFER_BINDING:
    case GL_COPY_WRITE_BUFFER_BINDING:
    case GL_UNIFORM_BUFFER_BINDING:
    case GL_SHADER_STORAGE_BUFFER_BINDING:
    case GL_ATOMIC_COUNTER_BUFFER_BINDING:
    case GL_TRANSFORM_FEEDBACK_BUFFER_BINDING:
    case GL_DRAW_INDIRECT_BUFFER_BINDING:
    case GL_DISPATCH_INDIRECT_BUFFER_BINDING:
    case GL_QUERY_BUFFER_BINDING:
    case GL_PARAMETER_BUFFER_BINDING:
    case GL_TEXTURE_BUFFER: /* the pname of the binding is the target itself */
    case GL_TEXTURE_BUFFER_DATA_STORE_BINDING:
    case GL_VERTEX_ATTRIB_ARRAY_BUFFER_BINDING:
    case GL_SECONDARY_COLOR_ARRAY_BUFFER_BINDING:
    case GL_FOG_COORD_ARRAY_BUFFER_BINDING:
    case GL_INDEX_ARRAY_BUFFER_BINDING:
    case GL_EDGE_FLAG_ARRAY_BUFFER_BINDING:
    case 0x8B9F: /* GL_POINT_SIZE_ARRAY_BUFFER_BINDING_OES */
    case GL_VERTEX_BINDING_BUFFER:
    case GL_VERTEX_ARRAY_BUFFER_BINDING:
    case GL_NORMAL_ARRAY_BUFFER_BINDING:
    case GL_COLOR_ARRAY_BUFFER_BINDING:
    case GL_TEXTURE_COORD_ARRAY_BUFFER_BINDING: return XG_GL_SPACE_BUFFER;
    case GL_SAMPLER_BINDING: return XG_GL_SPACE_SAMPLER;
    case GL_RENDERBUFFER_BINDING: return XG_GL_SPACE_RENDERBUFFER;
    case GL_DRAW_FRAMEBUFFER_BINDING:
    case GL_READ_FRAMEBUFFER_BINDING: return XG_GL_SPACE_FRAMEBUFFER;
    case GL_CURRENT_PROGRAM:
    case GL_ACTIVE_PROGRAM: /* the program of a pipeline's stage */
    case GL_VERTEX_SHADER:
    case GL_TESS_CONTROL_SHADER:
    case GL_TESS_EVALUATION_SHADER:
    case GL_GEOMETRY_SHADER:
    case GL_FRAGMENT_SHADER:
    case GL_COMPUTE_SHADER: return XG_GL_SPACE_PROGRAM;
    case GL_PROGRAM_BINDING_ARB: return XG_GL_SPACE_ARB_PROGRAM;
    case GL_CURRENT_QUERY: return XG_GL_SPACE_QUERY;
    case GL_PROGRAM_PIPELINE_BINDING: return XG_GL_SPACE_PIPELINE;
    case GL_VERTEX_ARRAY_BINDING: return XG_GL_SPACE_VERTEX_ARRAY;
    case GL_TRANSFORM_FEEDBACK_BINDING: return XG_GL_SPACE_XFB;
    default: return -1;
    }
}

/* Decoders ask twice, with the memory filled differently: what is still the filling was not
 * written. */
static bool value_written(const void *value, size_t size)
{
    const uint8_t *p = value;

    for (size_t i = 1; i < size; i++)
        if (p[i] != p[0])
            return true;
    return p[0] != 0xa5 && p[0] != 0x5a;
}

static bool default_buffer(GLenum pname)
{
    return pname == GL_DRAW_BUFFER || pname == GL_READ_BUFFER ||
           (pname >= GL_DRAW_BUFFER0 && pname <= GL_DRAW_BUFFER15);
}

static int64_t name_translate(struct xg_glr_context *c, GLenum pname, int64_t v)
{
    int space = space_of(pname);

    if (space >= 0)
        return xg_glr_name_back(c, (enum xg_gl_space)space, (GLuint)v);
    if (pname == GL_READ_BUFFER ? c->read_framebuffer : c->draw_framebuffer)
        return v;
    return xg_glr_buffer_to_guest(c, (GLint)v);
}

#define CONTEXT_ROBUST_ACCESS 0x90F3 /* of GL_KHR_robustness */

/* Questions that are not about names and that the host does not answer for the guest. */
static bool own_pname(GLenum pname)
{
    return pname == CONTEXT_ROBUST_ACCESS || pname == GL_CONTEXT_FLAGS ||
           pname - GL_GPU_MEMORY_INFO_DEDICATED_VIDMEM_NVX < 5 ||
           pname - GL_VBO_FREE_MEMORY_ATI < 3;
}

static int64_t least_of(const struct xg_glr_context *c, int64_t host, int64_t own)
{
    return c->host_memory_info && host > 0 && host < own ? host : own;
}

/* How much memory there is, in KiB, by GL_NVX_gpu_memory_info and GL_ATI_meminfo, and whether
 * access is robust. The guest has its limit, or what the host has if that is less; `v` is the
 * host's answer, or 0. Returns the number of values; 0: it is another question, or the guest gets
 * the host's answer. */
static unsigned own_answer(const struct xg_glr_context *c, GLenum pname, int64_t v[4])
{
    const struct xg_worker *w = c->ledger.worker;
    uint64_t limit = xg_worker_memory_limit(w), used;
    int64_t all = (int64_t)(limit >> 10), left;

    if (c->robust && (pname == CONTEXT_ROBUST_ACCESS || pname == GL_CONTEXT_FLAGS)) {
        v[0] = pname == GL_CONTEXT_FLAGS ? v[0] & ~(int64_t)GL_CONTEXT_FLAG_ROBUST_ACCESS_BIT : 0;
        return 1;
    }
    if (!limit)
        return 0;
    used = xg_worker_memory_used(w);
    left = used < limit ? (int64_t)((limit - used) >> 10) : 0;
    switch (pname) {
    case GL_GPU_MEMORY_INFO_DEDICATED_VIDMEM_NVX:
    case GL_GPU_MEMORY_INFO_TOTAL_AVAILABLE_MEMORY_NVX: break;
    case GL_GPU_MEMORY_INFO_CURRENT_AVAILABLE_VIDMEM_NVX: all = left; break;
    case GL_GPU_MEMORY_INFO_EVICTION_COUNT_NVX:
    case GL_GPU_MEMORY_INFO_EVICTED_MEMORY_NVX: v[0] = 0; return 1;
    case GL_VBO_FREE_MEMORY_ATI:
    case GL_TEXTURE_FREE_MEMORY_ATI:
    case GL_RENDERBUFFER_FREE_MEMORY_ATI:
        for (unsigned i = 0; i < 2;
             i++) /* in total, and the largest piece; of memory outside the device there is none */
            v[i] = least_of(c, v[i], left);
        v[2] = v[3] = 0;
        return 4;
    default: return 0;
    }
    v[0] = least_of(c, v[0], all);
    return 1;
}

void xg_glr_glGetIntegerv(struct xg_worker_ring *r, GLenum pname, GLint *data)
{
    struct xg_glr_context *c = xg_glr_context_of(r);
    int64_t v[4] = {0};
    unsigned n;

    /* the host may not have the extension */
    if (!own_pname(pname) || pname == CONTEXT_ROBUST_ACCESS || pname == GL_CONTEXT_FLAGS ||
        c->host_memory_info || c->es || !(n = own_answer(c, pname, v)) || xg_glr_begun(c)) {
        xg_glr_procs.glGetIntegerv(pname, data);
        xg_glr_answer_i(c, pname, data);
        return;
    }
    for (unsigned i = 0; i < n; i++)
        data[i] = (GLint)(v[i] < INT32_MAX ? v[i] : INT32_MAX);
}

/* Names and enumerants as floats are exact up to 2^24, as GL itself has it. */
#define ANSWER(Suffix, Type, one)                                                                  \
    void xg_glr_answer_##Suffix(struct xg_glr_context *c, GLenum pname, Type *answer)              \
    {                                                                                              \
        if ((space_of(pname) >= 0 || default_buffer(pname)) && answer &&                           \
            value_written(answer, sizeof(*answer)))                                                \
            *answer = (Type)(name_translate(c, pname, (int64_t)(*answer / (one))) * (one));        \
        else if (XG_UNLIKELY(own_pname(pname)) && answer &&                                        \
                 value_written(answer, sizeof(*answer))) {                                         \
            int64_t v[4] = {(int64_t)(*answer / (one))};                                           \
            unsigned n = own_answer(c, pname, v);                                                  \
            for (unsigned i = 0; i < n; i++)                                                       \
                answer[i] = (Type)(v[i] * (one));                                                  \
        }                                                                                          \
    }
ANSWER(i, GLint, 1)
ANSWER(ui, GLuint, 1)
ANSWER(i64, GLint64, 1)
ANSWER(f, GLfloat, 1)
ANSWER(d, GLdouble, 1)
ANSWER(x, GLfixed, 65536)
