/* glGet*: answers that are names, or name buffers of the default framebuffer, become the
 * guest's. */
#include "backend/gl/decode.h"

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
    case GL_IMAGE_BINDING_NAME: return XG_GLR_TEXTURE;
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
    case GL_TEXTURE_BUFFER: /* the binding's pname is the target's */
    case GL_VERTEX_BINDING_BUFFER:
    case GL_VERTEX_ARRAY_BUFFER_BINDING:
    case GL_NORMAL_ARRAY_BUFFER_BINDING:
    case GL_COLOR_ARRAY_BUFFER_BINDING:
    case GL_TEXTURE_COORD_ARRAY_BUFFER_BINDING: return XG_GLR_BUFFER;
    case GL_SAMPLER_BINDING: return XG_GLR_SAMPLER;
    case GL_RENDERBUFFER_BINDING: return XG_GLR_RENDERBUFFER;
    case GL_DRAW_FRAMEBUFFER_BINDING:
    case GL_READ_FRAMEBUFFER_BINDING: return XG_GLR_FRAMEBUFFER;
    case GL_CURRENT_PROGRAM: return XG_GLR_PROGRAM;
    case GL_PROGRAM_PIPELINE_BINDING: return XG_GLR_PIPELINE;
    case GL_VERTEX_ARRAY_BINDING: return XG_GLR_VERTEX_ARRAY;
    case GL_TRANSFORM_FEEDBACK_BINDING: return XG_GLR_XFB;
    default: return -1;
    }
}

/* Decoders call twice over different fillings: what is still the filling was not written. */
static bool written(int64_t v)
{
    return (GLint)v != (GLint)0xa5a5a5a5 && (GLint)v != (GLint)0x5a5a5a5a;
}

static int64_t translate(struct xg_glr_context *c, GLenum pname, int64_t v)
{
    int space = space_of(pname);

    if (space >= 0)
        return written(v) ? (int64_t)xg_glr_name_back(c, (enum xg_glr_space)space, (GLuint)v) : v;
    if (pname == GL_DRAW_BUFFER || (pname >= GL_DRAW_BUFFER0 && pname <= GL_DRAW_BUFFER15))
        return c->draw_framebuffer ? v : xg_glr_buffer_to_guest(c, (GLint)v);
    if (pname == GL_READ_BUFFER)
        return c->read_framebuffer ? v : xg_glr_buffer_to_guest(c, (GLint)v);
    return v;
}

void xg_glr_glGetIntegerv(struct xg_worker_ring *r, GLenum pname, GLint *data)
{
    xg_glr_procs.glGetIntegerv(pname, data);
    data[0] = (GLint)translate(xg_glr_context_of(r), pname, data[0]);
}

void xg_glr_glGetIntegeri_v(struct xg_worker_ring *r, GLenum target, GLuint index, GLint *data)
{
    xg_glr_procs.glGetIntegeri_v(target, index, data);
    data[0] = (GLint)translate(xg_glr_context_of(r), target, data[0]);
}

void xg_glr_glGetInteger64v(struct xg_worker_ring *r, GLenum pname, GLint64 *data)
{
    xg_glr_procs.glGetInteger64v(pname, data);
    if (space_of(pname) >= 0 || pname == GL_DRAW_BUFFER || pname == GL_READ_BUFFER)
        data[0] = translate(xg_glr_context_of(r), pname, data[0]);
}

/* Names and enumerants as floats: exact up to 2^24, which is what GL gives too. */
static bool special(GLenum pname)
{
    return space_of(pname) >= 0 || pname == GL_DRAW_BUFFER || pname == GL_READ_BUFFER;
}

void xg_glr_glGetFloatv(struct xg_worker_ring *r, GLenum pname, GLfloat *data)
{
    GLint v = 0;

    if (!special(pname)) {
        xg_glr_procs.glGetFloatv(pname, data);
        return;
    }
    xg_glr_procs.glGetIntegerv(pname, &v);
    data[0] = (GLfloat)translate(xg_glr_context_of(r), pname, v);
}

void xg_glr_glGetDoublev(struct xg_worker_ring *r, GLenum pname, GLdouble *data)
{
    GLint v = 0;

    if (!special(pname)) {
        xg_glr_procs.glGetDoublev(pname, data);
        return;
    }
    xg_glr_procs.glGetIntegerv(pname, &v);
    data[0] = (GLdouble)translate(xg_glr_context_of(r), pname, v);
}

void xg_glr_glGetBooleanv(struct xg_worker_ring *r, GLenum pname, GLboolean *data)
{
    xg_glr_procs.glGetBooleanv(pname, data);
}
