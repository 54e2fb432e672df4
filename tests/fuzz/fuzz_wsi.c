/* The window system, with OpenGL: frames of both into a worker that has done nothing yet. EGL is
 * played here: contexts and surfaces are memory that goes when EGL says that they go. The head's
 * moods: 1 a renderer on the CPU, 2 no fences, 4 no server waits, 8 no context without a surface.
 */
#include "backend/wsi/wsi.h"
#include "tests/fuzz/gl_driver.h"

#include <sched.h>
#include <stdlib.h>
#include <time.h>

enum { CONFIGS = 64 };

struct context {
    struct gl_state *gl;
    bool gone, current;
};

struct surface {
    EGLint width, height;
    unsigned uses;
    bool gone;
};

struct sync {
    EGLint waits;
};

static char display, library;
static unsigned moods, asked;
static EGLenum api = EGL_OPENGL_ES_API;
static EGLint config_id[CONFIGS];
static struct context *current;
static struct surface *draw, *from;

void *fuzz_dlopen(const char *name, int flags);
void *fuzz_dlsym(void *so, const char *name);

static EGLDisplay get_display(EGLenum platform, void *native, const EGLint *attributes)
{
    return &display;
}
static EGLBoolean initialize(EGLDisplay d, EGLint *major, EGLint *minor)
{
    *major = 1;
    *minor = 5;
    return EGL_TRUE;
}
static EGLBoolean terminate(EGLDisplay d)
{
    return EGL_TRUE;
}
static const char *query_string(EGLDisplay d, EGLint name)
{
    if (d == EGL_NO_DISPLAY)
        return "EGL_MESA_platform_surfaceless";
    switch (name) {
    case EGL_VERSION: return "1.4 fuzz";
    case EGL_VENDOR: return "fuzz";
    case EGL_EXTENSIONS:
        return moods & 2   ? "EGL_KHR_create_context EGL_KHR_surfaceless_context"
               : moods & 4 ? "EGL_KHR_create_context EGL_KHR_fence_sync EGL_KHR_no_config_context"
               : moods & 8 ? "EGL_KHR_create_context EGL_KHR_fence_sync EGL_KHR_wait_sync "
                             "EGL_KHR_gl_colorspace"
                           : "EGL_KHR_create_context EGL_KHR_fence_sync EGL_KHR_wait_sync "
                             "EGL_KHR_surfaceless_context EGL_KHR_no_config_context";
    default: return "";
    }
}
static EGLBoolean bind_api(EGLenum which)
{
    api = which;
    return EGL_TRUE;
}
static EGLint get_error(void)
{
    return EGL_BAD_ALLOC;
}
static EGLBoolean get_configs(EGLDisplay d, EGLConfig *configs, EGLint size, EGLint *n)
{
    *n = CONFIGS;
    for (EGLint i = 0; configs && i < size && i < CONFIGS; i++)
        configs[i] = &config_id[i];
    return EGL_TRUE;
}
static EGLBoolean get_config_attrib(EGLDisplay d, EGLConfig c, EGLint attribute, EGLint *value)
{
    EGLint id = *(EGLint *)c;

    switch (attribute) {
    case EGL_SURFACE_TYPE: *value = EGL_PBUFFER_BIT; break;
    case EGL_COLOR_BUFFER_TYPE: *value = EGL_RGB_BUFFER; break;
    case EGL_CONFIG_ID: *value = id; break;
    case EGL_RED_SIZE:
    case EGL_GREEN_SIZE:
    case EGL_BLUE_SIZE: *value = 8; break;
    case EGL_ALPHA_SIZE: *value = id % 4 == 2 ? 0 : 8; break;
    case EGL_DEPTH_SIZE: *value = 24; break;
    case EGL_SAMPLES: *value = id % 4 == 3 ? 4 : 0; break;
    case EGL_SAMPLE_BUFFERS: *value = id % 4 == 3; break;
    case EGL_RENDERABLE_TYPE:
        *value = EGL_OPENGL_BIT | EGL_OPENGL_ES_BIT | EGL_OPENGL_ES2_BIT;
        break;
    case EGL_MAX_PBUFFER_WIDTH:
    case EGL_MAX_PBUFFER_HEIGHT: *value = 2048; break;
    default: *value = 0;
    }
    return EGL_TRUE;
}

static unsigned list_value(const EGLint *list, EGLint name, EGLint none)
{
    for (; list && *list != EGL_NONE; list += 2)
        if (list[0] == name)
            return (unsigned)list[1];
    return (unsigned)none;
}

static EGLContext create_context(EGLDisplay d, EGLConfig c, EGLContext share, const EGLint *list)
{
    struct context *x = calloc(1, sizeof(*x));
    unsigned major = list_value(list, EGL_CONTEXT_MAJOR_VERSION, 1);

    if (c)
        fuzz_read(c, sizeof(EGLint));
    if (share)
        fuzz_read(share, sizeof(*x));
    if (!x || fuzz_answer(0xc7e + ++asked) % 16 == 0) {
        free(x);
        return EGL_NO_CONTEXT;
    }
    x->gl =
        gl_driver_new(api == EGL_OPENGL_API
                          ? list_value(list, EGL_CONTEXT_OPENGL_PROFILE_MASK, 0) == 1 && major >= 3
                      : major == 1 ? 2
                                   : 3);
    return x;
}

static void context_drop(struct context *x)
{
    if (x && x->gone && !x->current) {
        gl_driver_free(x->gl);
        free(x);
    }
}

static void surface_drop(struct surface *f)
{
    if (f && f->gone && !f->uses)
        free(f);
}

static EGLBoolean destroy_context(EGLDisplay d, EGLContext c)
{
    ((struct context *)c)->gone = true;
    context_drop(c);
    return EGL_TRUE;
}

static EGLSurface create_surface(EGLDisplay d, EGLConfig c, const EGLint *list)
{
    struct surface *f = calloc(1, sizeof(*f));

    fuzz_read(c, sizeof(EGLint));
    if (!f || fuzz_answer(0x5f + ++asked) % 16 == 0) {
        free(f);
        return EGL_NO_SURFACE;
    }
    f->width = (EGLint)list_value(list, EGL_WIDTH, 0);
    f->height = (EGLint)list_value(list, EGL_HEIGHT, 0);
    return f;
}

static EGLBoolean destroy_surface(EGLDisplay d, EGLSurface s)
{
    ((struct surface *)s)->gone = true;
    surface_drop(s);
    return EGL_TRUE;
}

static EGLBoolean make_current(EGLDisplay d, EGLSurface to, EGLSurface of, EGLContext c)
{
    struct context *x = c, *old = current;
    struct surface *was[] = {draw, from}, *now[] = {to, of};

    if (x && fuzz_answer(0x3c + ++asked) % 32 == 0)
        return EGL_FALSE;
    if (x)
        x->current = true;
    for (unsigned i = 0; i < 2; i++)
        if (now[i])
            now[i]->uses++;
    current = x;
    draw = to;
    from = of;
    gl_driver_use(x ? x->gl : NULL);
    for (unsigned i = 0; i < 2; i++)
        if (was[i]) {
            was[i]->uses--;
            if (i == 0 || was[0] != was[1] || was[0]->uses || !was[0]->gone)
                surface_drop(was[i]);
        }
    if (old && old != x) {
        old->current = false;
        context_drop(old);
    }
    return EGL_TRUE;
}

static EGLBoolean release_thread(void)
{
    make_current(&display, EGL_NO_SURFACE, EGL_NO_SURFACE, EGL_NO_CONTEXT);
    return EGL_TRUE;
}

static EGLSyncKHR create_sync(EGLDisplay d, EGLenum type, const EGLint *list)
{
    return fuzz_answer(0x5c4 + ++asked) % 16 ? calloc(1, sizeof(struct sync)) : EGL_NO_SYNC_KHR;
}
static EGLBoolean destroy_sync(EGLDisplay d, EGLSyncKHR s)
{
    free(s);
    return EGL_TRUE;
}
/* Passed when it was asked for the third time. */
static EGLint client_wait_sync(EGLDisplay d, EGLSyncKHR s, EGLint flags, EGLTimeKHR timeout)
{
    return ++((struct sync *)s)->waits > 2 || timeout ? EGL_CONDITION_SATISFIED_KHR
                                                      : EGL_TIMEOUT_EXPIRED_KHR;
}
static EGLint wait_sync(EGLDisplay d, EGLSyncKHR s, EGLint flags)
{
    fuzz_read(s, sizeof(struct sync));
    return EGL_TRUE;
}

static void *get_proc(const char *name);

static const struct gl_proc entries[] = {
    {"eglGetProcAddress", (void *)get_proc},
    {"eglQueryString", (void *)query_string},
    {"eglInitialize", (void *)initialize},
    {"eglGetPlatformDisplayEXT", (void *)get_display},
    {"eglTerminate", (void *)terminate},
    {"eglBindAPI", (void *)bind_api},
    {"eglGetError", (void *)get_error},
    {"eglGetConfigs", (void *)get_configs},
    {"eglGetConfigAttrib", (void *)get_config_attrib},
    {"eglCreateContext", (void *)create_context},
    {"eglDestroyContext", (void *)destroy_context},
    {"eglCreatePbufferSurface", (void *)create_surface},
    {"eglDestroySurface", (void *)destroy_surface},
    {"eglMakeCurrent", (void *)make_current},
    {"eglReleaseThread", (void *)release_thread},
    {"eglCreateSyncKHR", (void *)create_sync},
    {"eglDestroySyncKHR", (void *)destroy_sync},
    {"eglClientWaitSyncKHR", (void *)client_wait_sync},
    {"eglWaitSyncKHR", (void *)wait_sync},
};

static void *get_proc(const char *name)
{
    for (unsigned i = 0; i < XG_ARRAY_LEN(entries); i++)
        if (!strcmp(entries[i].name, name))
            return entries[i].fn;
    return gl_driver_proc(name);
}

void *fuzz_dlopen(const char *name, int flags)
{
    return &library;
}

void *fuzz_dlsym(void *so, const char *name)
{
    return get_proc(name);
}

int fuzz_nanosleep(const struct timespec *time, struct timespec *left);
int fuzz_nanosleep(const struct timespec *time, struct timespec *left)
{
    return sched_yield();
}

static bool begin(struct xg_worker_ring *r, const struct fuzz_head *h)
{
    moods = h->moods;
    asked = 0;
    for (EGLint i = 0; i < CONFIGS; i++)
        config_id[i] = i + 1;
    gl_driver_renderer = moods & 1 ? "llvmpipe" : "fuzz";
    return true;
}

/* What the replay left behind is its own leak, and found as such. */
static void end(struct xg_worker_ring *r)
{
    r->api[XG_API_GL] = NULL;
}

const struct fuzz_target fuzz_target = {
    .apis = 1u << XG_API_WSI | 1u << XG_API_GL,
    .replay = {[XG_API_GL] = &xg_replay_gl, [XG_API_WSI] = &xg_replay_wsi},
    .begin = begin,
    .end = end,
};
