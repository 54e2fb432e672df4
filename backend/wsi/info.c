/* What the guest is told about the device. It is found once, by making a context of each kind. */
#include "backend/wsi/wsi.h"

#include <GL/gl.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

/* "4.5 (Core Profile) Mesa ...", "OpenGL ES 3.2 ...", "OpenGL ES-CM 1.1 ...": the first number with
 * a dot. */
static uint32_t version_parse(const char *v)
{
    for (; v && *v; v++)
        if (v[0] >= '0' && v[0] <= '9' && v[1] == '.' && v[2] >= '0' && v[2] <= '9')
            return (uint32_t)(v[0] - '0') * 10 + (uint32_t)(v[2] - '0');
    return 0;
}

static void text_copy(char *to, size_t size, const void *from)
{
    snprintf(to, size, "%s", from ? (const char *)from : "");
}

/* Reads the device's properties from a context that was just made and has its first surface. */
static uint32_t context_look(struct wsi_state *s, bool es)
{
    const GLubyte *(*string)(GLenum) = (const GLubyte *(*)(GLenum))xg_glr_proc("glGetString");
    void (*integer)(GLenum, GLint *) = (void (*)(GLenum, GLint *))xg_glr_proc("glGetIntegerv");
    uint32_t version = string ? version_parse((const char *)string(GL_VERSION)) : 0;
    GLint buffer = GL_FRONT;

    if (!version || s->info.renderer[0])
        return version;
    text_copy(s->info.renderer, sizeof(s->info.renderer), string(GL_RENDERER));
    text_copy(s->info.vendor, sizeof(s->info.vendor), string(GL_VENDOR));
    text_copy(s->info.version, sizeof(s->info.version), string(GL_VERSION));
    if (!es && integer) /* Mesa answers GL_BACK for GL_DRAW_BUFFER, and accepts both names */
        integer(GL_READ_BUFFER, &buffer);
    s->pbuffer_is_back = buffer == GL_BACK || buffer == GL_BACK_LEFT;
    return version;
}

/* The version of a context that was requested like this; 0: there is none. */
static uint32_t version_of(struct wsi_state *s, const struct xg_wsi_context_create *c,
                           EGLConfig config)
{
    static const EGLint tiny[] = {EGL_WIDTH, 8, EGL_HEIGHT, 8, EGL_NONE};
    EGLContext x = xg_wsir_context_make(s, c, config, EGL_NO_CONTEXT);
    uint32_t version = 0;

    if (x == EGL_NO_CONTEXT)
        return 0;
    EGLSurface f = s->egl.CreatePbufferSurface(s->display, config, tiny);
    if (f != EGL_NO_SURFACE && s->egl.MakeCurrent(s->display, f, f, x)) {
        version = context_look(s, c->api >= XG_GL_ES1);
        s->egl.MakeCurrent(s->display, EGL_NO_SURFACE, EGL_NO_SURFACE, EGL_NO_CONTEXT);
    }
    if (f != EGL_NO_SURFACE)
        s->egl.DestroySurface(s->display, f);
    s->egl.DestroyContext(s->display, x);
    return version;
}

/* The highest version of an API. A driver may answer a request for `c` with that version or with
 * the highest compatible one. So higher versions are requested too, from `most` downwards. */
static uint32_t version_probe(struct wsi_state *s, struct xg_wsi_context_create c, EGLConfig config,
                              uint32_t most)
{
    static const uint8_t known[] = {46, 45, 44, 43, 42, 41, 40, 33, 32, 31, 30, 20};
    uint32_t version = version_of(s, &c, config);

    for (unsigned i = 0; version && i < XG_ARRAY_LEN(known) && known[i] > version; i++) {
        if (known[i] > most)
            continue;
        c.major = known[i] / 10;
        c.minor = known[i] % 10;
        uint32_t got = version_of(s, &c, config);
        if (got)
            return got;
    }
    return version;
}

static uint32_t info_flags(struct wsi_state *s)
{
    const char *ext = s->egl.QueryString(s->display, EGL_EXTENSIONS);
    bool egl15 = strncmp(s->egl.QueryString(s->display, EGL_VERSION), "1.5", 3) == 0;

    return (xg_egl_renders_on_cpu(s->info.renderer) ? XG_WSI_INFO_SOFTWARE : 0) |
           (egl15 || xg_egl_extension_in(ext, "EGL_EXT_create_context_robustness")
                ? XG_WSI_INFO_ROBUST
                : 0) |
           (xg_egl_extension_in(ext, "EGL_KHR_create_context_no_error") ? XG_WSI_INFO_NO_ERROR
                                                                        : 0) |
           (egl15 || xg_egl_extension_in(ext, "EGL_KHR_gl_colorspace") ? XG_WSI_INFO_SRGB : 0) |
           (xg_egl_extension_in(ext, "EGL_KHR_surfaceless_context") ? XG_WSI_INFO_SURFACELESS : 0) |
           (xg_egl_extension_in(ext, "EGL_KHR_no_config_context") ? XG_WSI_INFO_NO_CONFIG : 0) |
           (s->is_cudas ? XG_WSI_INFO_CUDA : 0) | (s->egl.CreateSync ? XG_WSI_INFO_SYNC : 0);
}

int xg_wsir_info_fill(struct wsi_state *s)
{
    struct xg_wsi_info *i = &s->info;
    EGLConfig config = s->handles[0];
    EGLint v = 0;

    /* The usual kind of configuration, if there is one: the version does not depend on it. */
    for (uint32_t k = 0; k < i->config_count; k++)
        if (s->configs[k].red == 8 && s->configs[k].alpha == 8 && s->configs[k].samples == 0) {
            config = s->handles[k];
            break;
        }
    i->size = sizeof(*i);
    i->gl_compat =
        version_of(s, &(struct xg_wsi_context_create){.api = XG_GL_COMPAT, .major = 1}, config);
    i->gl_core =
        version_probe(s, (struct xg_wsi_context_create){.api = XG_GL_CORE, .major = 3, .minor = 2},
                      config, i->gl_compat ? i->gl_compat : 46);
    i->gles1 = version_of(
        s, &(struct xg_wsi_context_create){.api = XG_GL_ES1, .major = 1, .minor = 1}, config);
    i->gles =
        version_probe(s, (struct xg_wsi_context_create){.api = XG_GL_ES2, .major = 2}, config, 32);
    if (!i->renderer[0]) {
        xg_worker_log(s->worker, "OpenGL: no context could be made (EGL error 0x%x)",
                      s->egl.GetError());
        return -ENODEV;
    }
    s->egl.GetConfigAttrib(s->display, config, EGL_MAX_PBUFFER_WIDTH, &v);
    i->pbuffer_max_width = v > 0 ? (uint32_t)xg_min_u64((uint64_t)v, XG_WSI_SIZE_MAX) : 4096;
    s->egl.GetConfigAttrib(s->display, config, EGL_MAX_PBUFFER_HEIGHT, &v);
    i->pbuffer_max_height = v > 0 ? (uint32_t)xg_min_u64((uint64_t)v, XG_WSI_SIZE_MAX) : 4096;
    i->flags = info_flags(s);
    s->async_read = !(i->flags & XG_WSI_INFO_SOFTWARE);
    xg_glr_renders_on_cpu(!s->async_read);
    snprintf(i->driver, sizeof(i->driver), "EGL %.20s, %.36s",
             s->egl.QueryString(s->display, EGL_VERSION),
             s->egl.QueryString(s->display, EGL_VENDOR));
    return 0;
}
