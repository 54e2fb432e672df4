/*
 * An EGL and OpenGL that is right by the specifications and differs from Mesa where they leave a
 * choice, as drivers of GPUs do; Mesa stands behind it. For a daemon that finds it as libEGL.so.1:
 *
 * - devices are on no platform but their own; the first has no display, and each has a number of
 *   CUDA's: 7, 0
 * - a pbuffer's colour buffer is GL_BACK, and it has no GL_FRONT
 * - glGetIntegerv wraps GL_MAX_ELEMENT_INDEX, which it cannot hold, and GL_MAX_SERVER_WAIT_TIMEOUT
 *   is the largest unsigned number of 64 bits
 * - glGetProgramBinary writes no length where there is no binary
 * - a core context of OpenGL 3.2 is just that, while there are higher ones
 * - a fence belongs to the API that is bound, and is refused where another one's context is current
 * - the renderer's name is none of a CPU's
 * - commands of two contexts on one surface are in order only where one waits for the other's
 * fence: else nothing is read or cleared
 * - with XG_OTHER_POP, glPopClientAttrib leaves the vertex array object that is bound
 *
 * XG_OTHER_LOG is a file that gets a line for a device that was asked for a display. */
#pragma GCC visibility push(default) /* what the headers declare is what is offered */
#include <EGL/egl.h>
#include <EGL/eglext.h>
#include <GL/gl.h>
#include <GL/glext.h>
#pragma GCC visibility pop
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void *library;
static PFNEGLGETPROCADDRESSPROC get_real;

static void open_real(void)
{
    library = dlopen("libEGL.so", RTLD_NOW | RTLD_LOCAL); /* a name that is not ours */
    get_real = library ? (PFNEGLGETPROCADDRESSPROC)dlsym(library, "eglGetProcAddress") : NULL;
    if (!get_real)
        abort();
}

static void *real(const char *name)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, open_real);
    void *p = dlsym(library, name);
    return p ? p : (void *)get_real(name);
}

#define REAL(type, name) ((type)real(#name))

/* --- as they are ------------------------------------------------------------------------------ */

#define PASS(type, result, name, parameters, arguments)                                            \
    result name parameters                                                                         \
    {                                                                                              \
        return REAL(type, name) arguments;                                                         \
    }
PASS(PFNEGLINITIALIZEPROC, EGLBoolean, eglInitialize, (EGLDisplay d, EGLint *a, EGLint *b),
     (d, a, b))
PASS(PFNEGLTERMINATEPROC, EGLBoolean, eglTerminate, (EGLDisplay d), (d))
PASS(PFNEGLGETERRORPROC, EGLint, eglGetError, (void), ())
PASS(PFNEGLGETCONFIGSPROC, EGLBoolean, eglGetConfigs,
     (EGLDisplay d, EGLConfig *c, EGLint n, EGLint *count), (d, c, n, count))
PASS(PFNEGLCHOOSECONFIGPROC, EGLBoolean, eglChooseConfig,
     (EGLDisplay d, const EGLint *a, EGLConfig *c, EGLint n, EGLint *count), (d, a, c, n, count))
PASS(PFNEGLGETCONFIGATTRIBPROC, EGLBoolean, eglGetConfigAttrib,
     (EGLDisplay d, EGLConfig c, EGLint a, EGLint *v), (d, c, a, v))
PASS(PFNEGLCREATEPBUFFERSURFACEPROC, EGLSurface, eglCreatePbufferSurface,
     (EGLDisplay d, EGLConfig c, const EGLint *a), (d, c, a))
PASS(PFNEGLDESTROYSURFACEPROC, EGLBoolean, eglDestroySurface, (EGLDisplay d, EGLSurface s), (d, s))
PASS(PFNEGLRELEASETHREADPROC, EGLBoolean, eglReleaseThread, (void), ())

/* --- devices ---------------------------------------------------------------------------------- */

static char broken; /* its address is the first device */

static EGLBoolean other_QueryDevices(EGLint max, EGLDeviceEXT *devices, EGLint *count)
{
    EGLint n = 0;

    if (devices && max < 2)
        return EGL_FALSE;
    if (devices) {
        devices[0] = &broken;
        REAL(PFNEGLQUERYDEVICESEXTPROC, eglQueryDevicesEXT)(1, &devices[1], &n);
    }
    *count = 2;
    return EGL_TRUE;
}

static const char *other_QueryDeviceString(EGLDeviceEXT device, EGLint name)
{
    return name == EGL_EXTENSIONS ? "EGL_NV_device_cuda EGL_EXT_device_query_name" : NULL;
}

static EGLBoolean other_QueryDeviceAttrib(EGLDeviceEXT device, EGLint name, EGLAttrib *value)
{
    if (name != EGL_CUDA_DEVICE_NV)
        return EGL_FALSE;
    *value = device == &broken ? 7 : 0;
    return EGL_TRUE;
}

static EGLDisplay other_GetPlatformDisplay(EGLenum platform, void *native, const EGLint *attributes)
{
    const char *log = getenv("XG_OTHER_LOG");
    int fd = log ? open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600) : -1;

    if (fd >= 0) {
        dprintf(fd, "%s\n", native == &broken ? "first" : "second");
        close(fd);
    }
    return platform != EGL_PLATFORM_DEVICE_EXT || native == &broken
               ? EGL_NO_DISPLAY
               : REAL(PFNEGLGETPLATFORMDISPLAYEXTPROC, eglGetPlatformDisplayEXT)(platform, native,
                                                                                 attributes);
}

const char *eglQueryString(EGLDisplay d, EGLint name)
{
    if (d == EGL_NO_DISPLAY && name == EGL_EXTENSIONS)
        return "EGL_EXT_client_extensions EGL_EXT_device_enumeration EGL_EXT_device_query "
               "EGL_EXT_platform_base EGL_EXT_platform_device";
    return REAL(PFNEGLQUERYSTRINGPROC, eglQueryString)(d, name);
}

/* --- contexts --------------------------------------------------------------------------------- */

enum { CONTEXTS = 4096 };

static struct {
    EGLContext handle;
    EGLenum api;
    int version; /* 0: whatever it is */
    bool reads;  /* it has, from its surface, and nobody has waited for that */
} contexts[CONTEXTS];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static __thread EGLenum bound = EGL_OPENGL_ES_API;
static __thread int current; /* index + 1 */
static __thread EGLSurface current_draw;
static __thread int
    unordered; /* who was current on this surface just before, and is not waited for */
static struct {
    EGLSyncKHR sync;
    int context; /* index + 1 */
} fences[CONTEXTS];

static int context_find(EGLContext handle)
{
    for (int i = 0; i < CONTEXTS; i++)
        if (contexts[i].handle == handle)
            return i;
    abort();
}

EGLBoolean eglBindAPI(EGLenum api)
{
    bound = api;
    return REAL(PFNEGLBINDAPIPROC, eglBindAPI)(api);
}

EGLContext eglCreateContext(EGLDisplay d, EGLConfig c, EGLContext share, const EGLint *attributes)
{
    EGLContext x = REAL(PFNEGLCREATECONTEXTPROC, eglCreateContext)(d, c, share, attributes);
    EGLint major = 1, minor = 0, profile = 0;

    for (const EGLint *a = attributes; a && *a != EGL_NONE; a += 2) {
        major = a[0] == EGL_CONTEXT_MAJOR_VERSION_KHR ? a[1] : major;
        minor = a[0] == EGL_CONTEXT_MINOR_VERSION_KHR ? a[1] : minor;
        profile = a[0] == EGL_CONTEXT_OPENGL_PROFILE_MASK_KHR ? a[1] : profile;
    }
    if (x == EGL_NO_CONTEXT)
        return x;
    pthread_mutex_lock(&lock);
    int i = context_find(EGL_NO_CONTEXT);
    contexts[i].handle = x;
    contexts[i].api = bound;
    contexts[i].reads = false;
    contexts[i].version =
        profile & EGL_CONTEXT_OPENGL_CORE_PROFILE_BIT_KHR && major * 10 + minor == 32 ? 32 : 0;
    pthread_mutex_unlock(&lock);
    return x;
}

EGLBoolean eglDestroyContext(EGLDisplay d, EGLContext x)
{
    pthread_mutex_lock(&lock);
    contexts[context_find(x)].handle = EGL_NO_CONTEXT;
    pthread_mutex_unlock(&lock);
    return REAL(PFNEGLDESTROYCONTEXTPROC, eglDestroyContext)(d, x);
}

EGLBoolean eglMakeCurrent(EGLDisplay d, EGLSurface draw, EGLSurface read, EGLContext x)
{
    if (!REAL(PFNEGLMAKECURRENTPROC, eglMakeCurrent)(d, draw, read, x))
        return EGL_FALSE;
    pthread_mutex_lock(&lock);
    int was = current;
    current = x == EGL_NO_CONTEXT ? 0 : context_find(x) + 1;
    if (current != was)
        unordered = current && draw == current_draw ? was : 0;
    current_draw = draw;
    pthread_mutex_unlock(&lock);
    return EGL_TRUE;
}

/* Its place; of none: a free one. Under the lock. */
static int fence_find(EGLSyncKHR sync)
{
    for (int i = 0; i < CONTEXTS; i++)
        if (fences[i].sync == sync)
            return i;
    abort();
}

static void waited(EGLSyncKHR sync)
{
    pthread_mutex_lock(&lock);
    int context = fences[fence_find(sync)].context;
    if (context == unordered)
        unordered = 0;
    if (context != current)
        contexts[context - 1].reads = false;
    pthread_mutex_unlock(&lock);
}

static EGLint other_WaitSync(EGLDisplay d, EGLSyncKHR sync, EGLint flags)
{
    waited(sync);
    return REAL(PFNEGLWAITSYNCKHRPROC, eglWaitSyncKHR)(d, sync, flags);
}

static EGLBoolean other_DestroySync(EGLDisplay d, EGLSyncKHR sync)
{
    pthread_mutex_lock(&lock);
    fences[fence_find(sync)].sync = EGL_NO_SYNC_KHR;
    pthread_mutex_unlock(&lock);
    return REAL(PFNEGLDESTROYSYNCKHRPROC, eglDestroySyncKHR)(d, sync);
}

static void other_ReadPixels(GLint x, GLint y, GLsizei w, GLsizei h, GLenum format, GLenum type,
                             void *to)
{
    if (unordered)
        return;
    contexts[current - 1].reads = true;
    ((void (*)(GLint, GLint, GLsizei, GLsizei, GLenum, GLenum, void *))real("glReadPixels"))(
        x, y, w, h, format, type, to);
}

static void other_Clear(GLbitfield mask)
{
    if (!unordered || !contexts[unordered - 1].reads)
        ((void (*)(GLbitfield))real("glClear"))(mask);
}

static EGLSyncKHR other_CreateSync(EGLDisplay d, EGLenum type, const EGLint *attributes)
{
    if (!current || contexts[current - 1].api != bound)
        return EGL_NO_SYNC_KHR;
    EGLSyncKHR sync = REAL(PFNEGLCREATESYNCKHRPROC, eglCreateSyncKHR)(d, type, attributes);
    if (sync == EGL_NO_SYNC_KHR)
        return sync;
    pthread_mutex_lock(&lock);
    int i = fence_find(EGL_NO_SYNC_KHR);
    fences[i].sync = sync;
    fences[i].context = current;
    pthread_mutex_unlock(&lock);
    return sync;
}

static const GLubyte *other_GetString(GLenum name)
{
    static __thread char text[64];
    int version = current ? contexts[current - 1].version : 0;

    if (name == GL_RENDERER)
        return (const GLubyte *)"Other GPU";
    if (name != GL_VERSION || !version)
        return ((const GLubyte *(*)(GLenum))real("glGetString"))(name);
    snprintf(text, sizeof(text), "%d.%d.0 Other 1.0", version / 10, version % 10);
    return (const GLubyte *)text;
}

/* --- the default framebuffer's buffers: Mesa's GL_FRONT is our GL_BACK ------------------------ */

static GLint asked(GLenum pname)
{
    GLint v = 0;
    ((void (*)(GLenum, GLint *))real("glGetIntegerv"))(pname, &v);
    return v;
}

static bool is_ours(GLenum binding)
{
    return current && contexts[current - 1].api == EGL_OPENGL_API && !asked(binding);
}

static GLenum to_mesa(GLenum buffer)
{
    switch (buffer) {
    case GL_BACK: return GL_FRONT;
    case GL_BACK_LEFT: return GL_FRONT_LEFT;
    case GL_FRONT:
    case GL_FRONT_LEFT: return GL_BACK_RIGHT; /* none */
    case GL_FRONT_AND_BACK: return GL_FRONT;
    case GL_LEFT: return GL_FRONT_LEFT;
    default: return buffer;
    }
}

static void other_DrawBuffer(GLenum buffer)
{
    ((void (*)(GLenum))real("glDrawBuffer"))(is_ours(GL_DRAW_FRAMEBUFFER_BINDING) ? to_mesa(buffer)
                                                                                  : buffer);
}

static void other_ReadBuffer(GLenum buffer)
{
    ((void (*)(GLenum))real("glReadBuffer"))(is_ours(GL_READ_FRAMEBUFFER_BINDING) ? to_mesa(buffer)
                                                                                  : buffer);
}

static void other_DrawBuffers(GLsizei n, const GLenum *buffers)
{
    GLenum mesa[64] = {0};
    bool ours = is_ours(GL_DRAW_FRAMEBUFFER_BINDING);

    if (n == 1 && ours && buffers[0] == GL_BACK) {
        ((void (*)(GLenum))real("glDrawBuffer"))(GL_FRONT);
        return;
    }
    for (GLsizei i = 0; i < n && i < 64; i++)
        mesa[i] = ours && buffers[i] != GL_FRONT && buffers[i] != GL_LEFT &&
                          buffers[i] != GL_FRONT_AND_BACK
                      ? to_mesa(buffers[i])
                      : buffers[i];
    ((void (*)(GLsizei, const GLenum *))real("glDrawBuffers"))(n, n <= 64 ? mesa : buffers);
}

static GLint from_mesa(GLenum pname, GLint v)
{
    if ((pname != GL_READ_BUFFER && pname != GL_DRAW_BUFFER &&
         (pname < GL_DRAW_BUFFER0 || pname > GL_DRAW_BUFFER15)) ||
        !is_ours(pname == GL_READ_BUFFER ? GL_READ_FRAMEBUFFER_BINDING
                                         : GL_DRAW_FRAMEBUFFER_BINDING))
        return v;
    return v == GL_FRONT ? GL_BACK : v == GL_FRONT_LEFT ? GL_BACK_LEFT : v;
}

#define GETTER(Name, Type)                                                                         \
    static void other_##Name(GLenum pname, Type *v)                                                \
    {                                                                                              \
        ((void (*)(GLenum, Type *))real("gl" #Name))(pname, v);                                    \
        GLint was = (GLint)*v, is = from_mesa(pname, was);                                         \
        if (is != was)                                                                             \
            *v = (Type)is;                                                                         \
    }
GETTER(GetIntegerv, GLint)
GETTER(GetFloatv, GLfloat)
GETTER(GetDoublev, GLdouble)
GETTER(GetInteger64v, GLint64)

static void other_GetWrapping(GLenum pname, GLint *v)
{
    GLint64 wide = 0;

    other_GetIntegerv(pname, v);
    if (pname == GL_MAX_SERVER_WAIT_TIMEOUT)
        *v = -1;
    if (pname != GL_MAX_ELEMENT_INDEX || *v != INT32_MAX)
        return;
    other_GetInteger64v(pname, &wide);
    *v = (GLint)wide;
}

static void other_GetUnsigned(GLenum pname, GLint64 *v)
{
    other_GetInteger64v(pname, v);
    if (pname == GL_MAX_SERVER_WAIT_TIMEOUT)
        *v = -1;
}

static void other_GetUnsignedReal(GLenum pname, GLfloat *v)
{
    other_GetFloatv(pname, v);
    if (pname == GL_MAX_SERVER_WAIT_TIMEOUT)
        *v = (GLfloat)UINT64_MAX;
}

static void other_GetProgramBinary(GLuint program, GLsizei size, GLsizei *length, GLenum *format,
                                   void *binary)
{
    GLsizei n = 0;

    ((PFNGLGETPROGRAMBINARYPROC)real("glGetProgramBinary"))(program, size, &n, format, binary);
    if (n && length)
        *length = n;
}

static void other_PopClientAttrib(void)
{
    GLuint array = (GLuint)asked(GL_VERTEX_ARRAY_BINDING);
    GLuint buffer = (GLuint)asked(GL_ARRAY_BUFFER_BINDING);

    ((void (*)(void))real("glPopClientAttrib"))();
    if (!getenv("XG_OTHER_POP"))
        return;
    ((PFNGLBINDVERTEXARRAYPROC)real("glBindVertexArray"))(array);
    ((PFNGLBINDBUFFERPROC)real("glBindBuffer"))(GL_ARRAY_BUFFER, buffer);
}

static void other_GetAttachment(GLenum target, GLenum attachment, GLenum pname, GLint *v)
{
    bool ours = is_ours(target == GL_READ_FRAMEBUFFER ? GL_READ_FRAMEBUFFER_BINDING
                                                      : GL_DRAW_FRAMEBUFFER_BINDING);
    ((void (*)(GLenum, GLenum, GLenum, GLint *))real("glGetFramebufferAttachmentParameteriv"))(
        target, ours ? to_mesa(attachment) : attachment, pname, v);
}

static void other_Invalidate(GLenum target, GLsizei n, const GLenum *attachments)
{
    GLenum mesa[64] = {0};
    bool ours = is_ours(target == GL_READ_FRAMEBUFFER ? GL_READ_FRAMEBUFFER_BINDING
                                                      : GL_DRAW_FRAMEBUFFER_BINDING);

    for (GLsizei i = 0; i < n && i < 64; i++)
        mesa[i] = ours ? to_mesa(attachments[i]) : attachments[i];
    ((void (*)(GLenum, GLsizei, const GLenum *))real("glInvalidateFramebuffer"))(
        target, n, n <= 64 ? mesa : attachments);
}

/* --- by name ---------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    void (*function)(void);
} others[] = {
#define X(name, function) {name, (void (*)(void))(function)},
    X("eglQueryDevicesEXT", other_QueryDevices) X("eglQueryDeviceStringEXT",
                                                  other_QueryDeviceString)
        X("eglQueryDeviceAttribEXT", other_QueryDeviceAttrib) X("eglGetPlatformDisplayEXT",
                                                                other_GetPlatformDisplay)
            X("eglCreateSyncKHR", other_CreateSync) X("eglDestroySyncKHR", other_DestroySync)
                X("eglWaitSyncKHR", other_WaitSync) X("glReadPixels", other_ReadPixels) X(
                    "glClear", other_Clear) X("glGetString", other_GetString)
                    X("glDrawBuffer", other_DrawBuffer) X("glReadBuffer", other_ReadBuffer) X(
                        "glDrawBuffers", other_DrawBuffers) X("glGetIntegerv", other_GetWrapping)
                        X("glGetFloatv", other_GetUnsignedReal) X("glGetDoublev", other_GetDoublev)
                            X("glGetInteger64v", other_GetUnsigned) X("glGetProgramBinary",
                                                                      other_GetProgramBinary)
                                X("glPopClientAttrib", other_PopClientAttrib)
                                    X("glGetFramebufferAttachmentParameteriv", other_GetAttachment)
                                        X("glInvalidateFramebuffer", other_Invalidate)
#undef X
};

__eglMustCastToProperFunctionPointerType eglGetProcAddress(const char *name)
{
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        if (strcmp(name, others[i].name) == 0)
            return others[i].function;
    return (__eglMustCastToProperFunctionPointerType)real(name);
}
