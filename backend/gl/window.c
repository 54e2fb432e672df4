/*
 * The default framebuffer. On the host it is a pbuffer with one colour buffer, which drivers call
 * GL_FRONT or GL_BACK. The application has one or two buffers; what it draws to either goes to the
 * only one of the host.
 */
#include "backend/gl/decode.h"

static bool on_front(const struct xg_glr_context *c)
{
    return c->window == XG_GLR_WINDOW_DOUBLE_ON_FRONT;
}

static bool on_back(const struct xg_glr_context *c)
{
    return c->window == XG_GLR_WINDOW_DOUBLE_ON_BACK || c->window == XG_GLR_WINDOW_SINGLE_ON_BACK;
}

static GLenum name_of_front(GLenum buffer)
{
    switch (buffer) {
    case GL_BACK:
    case GL_FRONT_AND_BACK: return GL_FRONT;
    case GL_BACK_LEFT:
    case GL_LEFT: return GL_FRONT_LEFT;
    case GL_BACK_RIGHT:
    case GL_RIGHT: return GL_FRONT_RIGHT;
    default: return buffer;
    }
}

static GLenum name_of_back(GLenum buffer)
{
    switch (buffer) {
    case GL_FRONT:
    case GL_FRONT_AND_BACK: return GL_BACK;
    case GL_FRONT_LEFT:
    case GL_LEFT: return GL_BACK_LEFT;
    case GL_FRONT_RIGHT:
    case GL_RIGHT: return GL_BACK_RIGHT;
    default: return buffer;
    }
}

GLenum xg_glr_buffer_to_host(const struct xg_glr_context *c, GLuint framebuffer, GLenum buffer)
{
    if (framebuffer || c->es)
        return buffer;
    return on_front(c) ? name_of_front(buffer) : on_back(c) ? name_of_back(buffer) : buffer;
}

GLint xg_glr_buffer_to_guest(const struct xg_glr_context *c, GLint buffer)
{
    if (c->es || c->window == XG_GLR_WINDOW_AS_IS || c->window == XG_GLR_WINDOW_DOUBLE_ON_BACK)
        return buffer;
    switch (buffer) {
    case GL_FRONT: return on_front(c) ? GL_BACK : buffer;
    case GL_FRONT_LEFT: return on_front(c) ? GL_BACK_LEFT : buffer;
    case GL_FRONT_RIGHT: return on_front(c) ? GL_BACK_RIGHT : buffer;
    case GL_BACK: return on_back(c) ? GL_FRONT : buffer;
    case GL_BACK_LEFT: return on_back(c) ? GL_FRONT_LEFT : buffer;
    case GL_BACK_RIGHT: return on_back(c) ? GL_FRONT_RIGHT : buffer;
    default: return buffer;
    }
}

/* A context's draw buffer starts as GL_BACK on a double-buffered window, else as GL_FRONT; the
 * host's starts as the buffer that its surface has. */
void xg_glr_window_first(struct xg_glr_context *c)
{
    if (c->window == XG_GLR_WINDOW_AS_IS || c->es)
        return;
    xg_glr_procs.glDrawBuffer(on_front(c) ? GL_FRONT : GL_BACK);
    xg_glr_procs.glReadBuffer(on_front(c) ? GL_FRONT : GL_BACK);
    (void)xg_glr_procs.glGetError();
}

void xg_glr_glBindFramebuffer(struct xg_worker_ring *r, GLenum target, GLuint framebuffer)
{
    struct xg_glr_context *c = xg_glr_context_of(r);

    if (framebuffer == XG_GLR_UNKNOWN || xg_glr_begun(c)) {
        xg_glr_error(c, GL_INVALID_OPERATION);
        return;
    }
    if (target == GL_FRAMEBUFFER || target == GL_DRAW_FRAMEBUFFER)
        c->draw_framebuffer = framebuffer;
    if (target == GL_FRAMEBUFFER || target == GL_READ_FRAMEBUFFER)
        c->read_framebuffer = framebuffer;
    xg_glr_procs.glBindFramebuffer(target, framebuffer);
}

void xg_glr_glDrawBuffer(struct xg_worker_ring *r, GLenum buf)
{
    struct xg_glr_context *c = xg_glr_context_of(r);
    xg_glr_procs.glDrawBuffer(xg_glr_buffer_to_host(c, c->draw_framebuffer, buf));
}

void xg_glr_glReadBuffer(struct xg_worker_ring *r, GLenum src)
{
    struct xg_glr_context *c = xg_glr_context_of(r);
    xg_glr_procs.glReadBuffer(xg_glr_buffer_to_host(c, c->read_framebuffer, src));
}

static GLenum *buffers_translate(struct xg_worker_ring *r, GLuint framebuffer, GLsizei n,
                                 const GLenum *bufs)
{
    struct xg_glr_context *c = xg_glr_context_of(r);
    GLenum *host = xg_scratch_alloc(&r->scratch, n > 0 ? (size_t)n * sizeof(*host) : 1);

    for (GLsizei i = 0; host && i < n; i++)
        host[i] = xg_glr_buffer_to_host(c, framebuffer, bufs[i]);
    return host;
}

/* Names that may stand for several buffers, which glDrawBuffers refuses: they are passed on
 * unchanged, so that the host refuses them. */
static bool means_several(GLenum buffer)
{
    return buffer == GL_FRONT || buffer == GL_LEFT || buffer == GL_RIGHT ||
           buffer == GL_FRONT_AND_BACK;
}

/* Like buffers_translate. `alone`: the only buffer is GL_BACK, which is allowed, and on the host it
 * is GL_FRONT, which only the function for one buffer accepts. */
static const GLenum *translate_draws(struct xg_worker_ring *r, GLuint framebuffer, GLsizei n,
                                     const GLenum *bufs, bool *alone)
{
    GLenum *host = buffers_translate(r, framebuffer, n, bufs);

    for (GLsizei i = 0; host && i < n; i++)
        if (means_several(bufs[i]))
            host[i] = bufs[i];
    *alone = host && n == 1 && bufs[0] == GL_BACK && host[0] == GL_FRONT;
    return host;
}

void xg_glr_glDrawBuffers(struct xg_worker_ring *r, GLsizei n, const GLenum *bufs, uint32_t n_bufs)
{
    struct xg_glr_context *c = xg_glr_context_of(r);
    bool alone;
    const GLenum *host = translate_draws(r, c->draw_framebuffer, n, bufs, &alone);

    if (alone)
        xg_glr_procs.glDrawBuffer(GL_FRONT);
    else if (host)
        xg_glr_procs.glDrawBuffers(n, host);
}

void xg_glr_glNamedFramebufferDrawBuffer(struct xg_worker_ring *r, GLuint framebuffer, GLenum buf)
{
    struct xg_glr_context *c = xg_glr_context_of(r);
    xg_glr_procs.glNamedFramebufferDrawBuffer(framebuffer,
                                              xg_glr_buffer_to_host(c, framebuffer, buf));
}

void xg_glr_glNamedFramebufferDrawBuffers(struct xg_worker_ring *r, GLuint framebuffer, GLsizei n,
                                          const GLenum *bufs, uint32_t n_bufs)
{
    bool alone;
    const GLenum *host = translate_draws(r, framebuffer, n, bufs, &alone);

    if (alone)
        xg_glr_procs.glNamedFramebufferDrawBuffer(framebuffer, GL_FRONT);
    else if (host)
        xg_glr_procs.glNamedFramebufferDrawBuffers(framebuffer, n, host);
}

void xg_glr_glNamedFramebufferReadBuffer(struct xg_worker_ring *r, GLuint framebuffer, GLenum src)
{
    struct xg_glr_context *c = xg_glr_context_of(r);
    xg_glr_procs.glNamedFramebufferReadBuffer(framebuffer,
                                              xg_glr_buffer_to_host(c, framebuffer, src));
}

void xg_glr_glInvalidateFramebuffer(struct xg_worker_ring *r, GLenum target, GLsizei n,
                                    const GLenum *attachments, uint32_t size)
{
    struct xg_glr_context *c = xg_glr_context_of(r);
    const GLenum *host = buffers_translate(
        r, target == GL_READ_FRAMEBUFFER ? c->read_framebuffer : c->draw_framebuffer, n,
        attachments);
    if (host)
        xg_glr_procs.glInvalidateFramebuffer(target, n, host);
}

void xg_glr_glDiscardFramebufferEXT(struct xg_worker_ring *r, GLenum target, GLsizei n,
                                    const GLenum *attachments, uint32_t size)
{
    xg_glr_procs.glDiscardFramebufferEXT(target, n, attachments);
}

/* --- questions about attachments: the object's name is translated ----------------------------- */

static void attachment_name(struct xg_glr_context *c, GLenum pname, GLint type, GLint *params)
{
    if (pname != GL_FRAMEBUFFER_ATTACHMENT_OBJECT_NAME)
        return;
    if (type == GL_RENDERBUFFER)
        *params = (GLint)xg_glr_name_back(c, XG_GL_SPACE_RENDERBUFFER, (GLuint)*params);
    else if (type == GL_TEXTURE)
        *params = (GLint)xg_glr_name_back(c, XG_GL_SPACE_TEXTURE, (GLuint)*params);
}

static bool name_asked(GLenum pname, GLint filler)
{
    return pname == GL_FRAMEBUFFER_ATTACHMENT_OBJECT_NAME && filler != (GLint)0xa5a5a5a5 &&
           filler != (GLint)0x5a5a5a5a;
}

void xg_glr_glGetFramebufferAttachmentParameteriv(struct xg_worker_ring *r, GLenum target,
                                                  GLenum attachment, GLenum pname, GLint *params)
{
    struct xg_glr_context *c = xg_glr_context_of(r);
    GLuint framebuffer = target == GL_READ_FRAMEBUFFER ? c->read_framebuffer : c->draw_framebuffer;
    GLenum host = xg_glr_buffer_to_host(c, framebuffer, attachment);
    GLint type = 0;

    xg_glr_procs.glGetFramebufferAttachmentParameteriv(target, host, pname, params);
    if (!name_asked(pname, *params))
        return;
    xg_glr_procs.glGetFramebufferAttachmentParameteriv(
        target, host, GL_FRAMEBUFFER_ATTACHMENT_OBJECT_TYPE, &type);
    attachment_name(c, pname, type, params);
}

void xg_glr_glGetNamedFramebufferAttachmentParameteriv(struct xg_worker_ring *r, GLuint framebuffer,
                                                       GLenum attachment, GLenum pname,
                                                       GLint *params)
{
    struct xg_glr_context *c = xg_glr_context_of(r);
    GLenum host = xg_glr_buffer_to_host(c, framebuffer, attachment);
    GLint type = 0;

    xg_glr_procs.glGetNamedFramebufferAttachmentParameteriv(framebuffer, host, pname, params);
    if (!name_asked(pname, *params))
        return;
    xg_glr_procs.glGetNamedFramebufferAttachmentParameteriv(
        framebuffer, host, GL_FRAMEBUFFER_ATTACHMENT_OBJECT_TYPE, &type);
    attachment_name(c, pname, type, params);
}
