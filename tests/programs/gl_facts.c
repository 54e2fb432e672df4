/*
 * gl_facts: what a display, its configurations and contexts of each kind say of themselves, one
 * fact a line: "KIND name value". Where they come from another device, strings differ by nature.
 * gl_facts devices: the EGL devices that are there, with what tells which card each is.
 */
/* pkg: egl gl */
#include "gl/limits.h"
#include "tests/programs/gl_common.h"

#define PROC(type, name) type name = (type)eglGetProcAddress(#name)

static void words(const char *what, const char *list)
{
    char *all = strdup(list ? list : ""), *save = NULL;
    for (char *one = strtok_r(all, " ", &save); one; one = strtok_r(NULL, " ", &save))
        printf("%s %s\n", what, one);
    free(all);
}

/* --- the display ------------------------------------------------------------------------------ */

static void configurations(void)
{
    static const EGLint attribute[] = {EGL_RED_SIZE,      EGL_GREEN_SIZE,     EGL_BLUE_SIZE,
                                       EGL_ALPHA_SIZE,    EGL_DEPTH_SIZE,     EGL_STENCIL_SIZE,
                                       EGL_SAMPLES,       EGL_SAMPLE_BUFFERS, EGL_SURFACE_TYPE,
                                       EGL_CONFIG_CAVEAT, EGL_RENDERABLE_TYPE};
    EGLConfig all[1024];
    EGLint n = 0;

    eglGetConfigs(the_display, all, 1024, &n);
    for (EGLint i = 0; i < n; i++) {
        printf("config");
        for (unsigned k = 0; k < sizeof(attribute) / sizeof(*attribute); k++) {
            EGLint v = 0;
            eglGetConfigAttrib(the_display, all[i], attribute[k], &v);
            if (attribute[k] == EGL_SURFACE_TYPE)
                v &= EGL_PBUFFER_BIT; /* windows are the window system's matter */
            printf(" %x", (unsigned)v);
        }
        printf("\n");
    }
}

static EGLConfig any_config(EGLint renderable)
{
    const EGLint want[] = {EGL_SURFACE_TYPE,
                           EGL_PBUFFER_BIT,
                           EGL_RENDERABLE_TYPE,
                           renderable,
                           EGL_ALPHA_SIZE,
                           8,
                           EGL_DEPTH_SIZE,
                           24,
                           EGL_NONE};
    EGLConfig c = NULL;
    EGLint n = 0;
    return eglChooseConfig(the_display, want, &c, 1, &n) && n ? c : NULL;
}

/* --- contexts --------------------------------------------------------------------------------- */

static const struct api {
    const char *name;
    EGLenum api;
    EGLint renderable, profile, major, minor;
} apis[] = {
    {"compat", EGL_OPENGL_API, EGL_OPENGL_BIT, 0, 1, 0},
    {"core", EGL_OPENGL_API, EGL_OPENGL_BIT, EGL_CONTEXT_OPENGL_CORE_PROFILE_BIT, 3, 2},
    {"es1", EGL_OPENGL_ES_API, EGL_OPENGL_ES_BIT, 0, 1, 1},
    {"es2", EGL_OPENGL_ES_API, EGL_OPENGL_ES2_BIT, 0, 2, 0},
};

static EGLContext context_of(const struct api *a, EGLConfig c, int major, int minor, EGLint name,
                             EGLint value)
{
    EGLint list[] = {EGL_CONTEXT_MAJOR_VERSION,
                     major,
                     EGL_CONTEXT_MINOR_VERSION,
                     minor,
                     EGL_NONE,
                     EGL_NONE,
                     EGL_NONE,
                     EGL_NONE,
                     EGL_NONE};
    int n = 4;

    if (a->profile) {
        list[n++] = EGL_CONTEXT_OPENGL_PROFILE_MASK;
        list[n++] = a->profile;
    }
    if (name) {
        list[n++] = name;
        list[n++] = value;
    }
    eglBindAPI(a->api);
    return eglCreateContext(the_display, c, EGL_NO_CONTEXT, list);
}

static bool current(EGLSurface s, EGLContext c)
{
    return eglMakeCurrent(the_display, s, s, c);
}

static void drop(EGLContext c)
{
    current(EGL_NO_SURFACE, EGL_NO_CONTEXT);
    eglDestroyContext(the_display, c);
}

/* The numbers of GL_VERSION, without the driver's. */
static void version_number(char *to, size_t size)
{
    const char *v = (const char *)glGetString(GL_VERSION);
    while (v && *v && (*v < '0' || *v > '9'))
        v++;
    snprintf(to, size, "%.3s", v ? v : "");
}

/* What comes when just this version is asked for. */
static void versions(const struct api *a, EGLConfig c, EGLSurface s)
{
    static const int known[] = {10, 11, 20, 21, 30, 31, 32, 33, 40, 41, 42, 43, 44, 45, 46};

    for (unsigned i = 0; i < sizeof(known) / sizeof(*known); i++) {
        char got[8] = "none";
        if ((a->api == EGL_OPENGL_ES_API && known[i] > 32) || (a->profile && known[i] < 32))
            continue;
        EGLContext x = context_of(a, c, known[i] / 10, known[i] % 10, 0, 0);
        if (x != EGL_NO_CONTEXT && current(s, x))
            version_number(got, sizeof(got));
        if (x != EGL_NO_CONTEXT)
            drop(x);
        printf("version %s %d.%d %s\n", a->name, known[i] / 10, known[i] % 10, got);
    }
}

static void options(const struct api *a, EGLConfig c)
{
    static const struct {
        const char *name;
        EGLint attribute, value;
    } option[] = {
        {"debug", EGL_CONTEXT_OPENGL_DEBUG, EGL_TRUE},
        {"robust", EGL_CONTEXT_OPENGL_ROBUST_ACCESS, EGL_TRUE},
        {"lose", EGL_CONTEXT_OPENGL_RESET_NOTIFICATION_STRATEGY, EGL_LOSE_CONTEXT_ON_RESET},
        {"no_error", EGL_CONTEXT_OPENGL_NO_ERROR_KHR, EGL_TRUE},
        {"low_priority", EGL_CONTEXT_PRIORITY_LEVEL_IMG, EGL_CONTEXT_PRIORITY_LOW_IMG},
    };

    for (unsigned i = 0; i < sizeof(option) / sizeof(*option); i++) {
        EGLContext x = context_of(a, c, a->major, a->minor, option[i].attribute, option[i].value);
        printf("option %s %s %s\n", a->name, option[i].name, x != EGL_NO_CONTEXT ? "yes" : "no");
        if (x != EGL_NO_CONTEXT)
            eglDestroyContext(the_display, x);
    }
}

static void limits(const char *name)
{
    static const struct {
        GLenum pname;
    } limit[] = {
#define X(pname) {pname},
        XG_GL_LIMITS(X)
#undef X
    };

    while (glGetError())
        ;
    for (unsigned i = 0; i < sizeof(limit) / sizeof(*limit); i++) {
        GLint v[16];
        GLfloat f[16] = {0};
        for (int k = 0; k < 16; k++)
            v[k] = 0x5a5a5a5a;
        glGetIntegerv(limit[i].pname, v);
        glGetFloatv(limit[i].pname, f);
        bool known = !glGetError();
        while (glGetError())
            ;
        if (!known)
            continue;
        printf("limit %s 0x%04x", name, limit[i].pname);
        for (int k = 0; k < 16 && v[k] != 0x5a5a5a5a; k++)
            printf(" %d", v[k]);
        printf(" %g\n", (double)f[0]);
    }
}

static void strings(const struct api *a)
{
    static const struct {
        const char *name;
        GLenum pname;
    } string[] = {{"vendor", GL_VENDOR},
                  {"renderer", GL_RENDERER},
                  {"version", GL_VERSION},
                  {"glsl", GL_SHADING_LANGUAGE_VERSION}};
    char what[32];
    GLint n = 0;

    for (unsigned i = 0; i < 4; i++)
        printf("string %s %s %s\n", a->name, string[i].name,
               (const char *)glGetString(string[i].pname));
    snprintf(what, sizeof(what), "extension %s", a->name);
    if (!a->profile) {
        words(what, (const char *)glGetString(GL_EXTENSIONS));
        return;
    }
    glGetIntegerv(GL_NUM_EXTENSIONS, &n);
    for (GLint i = 0; i < n; i++)
        printf("%s %s\n", what, (const char *)glGetStringi(GL_EXTENSIONS, (GLuint)i));
}

/* What desktop GL calls the pbuffer's buffer, and whether it says that there are two. */
static void buffers(const struct api *a)
{
    GLint draw = 0, read = 0;
    GLboolean two = 0;

    if (a->api != EGL_OPENGL_API)
        return;
    glGetIntegerv(GL_DRAW_BUFFER, &draw);
    glGetIntegerv(GL_READ_BUFFER, &read);
    glGetBooleanv(GL_DOUBLEBUFFER, &two);
    printf("pbuffer %s draw 0x%04x read 0x%04x double %d\n", a->name, (unsigned)draw,
           (unsigned)read, two);
    glDrawBuffer(GL_FRONT);
    printf("pbuffer %s front error 0x%04x\n", a->name, glGetError());
    glDrawBuffer(GL_BACK);
    printf("pbuffer %s back error 0x%04x\n", a->name, glGetError());
}

static GLint integer(GLenum pname)
{
    GLint v = -7;
    glGetIntegerv(pname, &v);
    return v;
}

/* Whether a bracket of client attributes restores which vertex array object is bound. */
static void brackets(const struct api *a)
{
    static const GLfloat memory[16];
    GLuint array = 0, buffer = 0;

    if (a->api != EGL_OPENGL_API || a->profile)
        return;
    glGenVertexArrays(1, &array);
    glGenBuffers(1, &buffer);
    glVertexPointer(2, GL_FLOAT, 0, memory);
    glEnableClientState(GL_VERTEX_ARRAY);
    glClientActiveTexture(GL_TEXTURE1);
    glPushClientAttrib(GL_CLIENT_VERTEX_ARRAY_BIT);
    glClientActiveTexture(GL_TEXTURE0);
    glVertexPointer(3, GL_FLOAT, 0, memory);
    glDisableClientState(GL_VERTEX_ARRAY);
    glBindVertexArray(array);
    glBindBuffer(GL_ARRAY_BUFFER, buffer);
    glPopClientAttrib();
    printf("bracket %s array restored %d buffer restored %d unit %d enabled %d\n", a->name,
           !integer(GL_VERTEX_ARRAY_BINDING), !integer(GL_ARRAY_BUFFER_BINDING),
           integer(GL_CLIENT_ACTIVE_TEXTURE) - GL_TEXTURE0, glIsEnabled(GL_VERTEX_ARRAY));
    glBindVertexArray(0);
    glBindBuffer(GL_ARRAY_BUFFER, 0);
    printf("bracket %s arrays enabled %d size %d\n", a->name, glIsEnabled(GL_VERTEX_ARRAY),
           integer(GL_VERTEX_ARRAY_SIZE));
    glBindVertexArray(array);
    glPushClientAttrib(GL_CLIENT_VERTEX_ARRAY_BIT);
    glBindVertexArray(0);
    glPopClientAttrib();
    printf("bracket %s object restored %d error 0x%04x\n", a->name,
           integer(GL_VERTEX_ARRAY_BINDING) == (GLint)array, glGetError());
}

static void facts(void)
{
    static const EGLint size[] = {EGL_WIDTH, 16, EGL_HEIGHT, 16, EGL_NONE};

    words("client", eglQueryString(EGL_NO_DISPLAY, EGL_EXTENSIONS));
    the_display = egl_display_get();
    if (!eglInitialize(the_display, NULL, NULL))
        give_up("eglInitialize");
    printf("string egl vendor %s\n", eglQueryString(the_display, EGL_VENDOR));
    printf("string egl version %s\n", eglQueryString(the_display, EGL_VERSION));
    words("extension egl", eglQueryString(the_display, EGL_EXTENSIONS));
    configurations();
    for (unsigned i = 0; i < sizeof(apis) / sizeof(*apis); i++) {
        const struct api *a = &apis[i];
        EGLConfig c = any_config(a->renderable);
        EGLSurface s = c ? eglCreatePbufferSurface(the_display, c, size) : EGL_NO_SURFACE;
        EGLContext x = c ? context_of(a, c, a->major, a->minor, 0, 0) : EGL_NO_CONTEXT;
        if (x == EGL_NO_CONTEXT || !current(s, x)) {
            printf("context %s none\n", a->name);
            continue;
        }
        strings(a);
        limits(a->name);
        buffers(a);
        brackets(a);
        drop(x);
        versions(a, c, s);
        options(a, c);
    }
}

/* --- devices ---------------------------------------------------------------------------------- */

static void uuid(void)
{
    typedef void get(GLenum, GLuint, GLubyte *);
    const char *all = (const char *)glGetString(GL_EXTENSIONS);
    get *ask = (get *)eglGetProcAddress("glGetUnsignedBytei_vEXT");
    GLubyte id[16] = {0};

    if (!ask || !all || !strstr(all, "GL_EXT_memory_object"))
        return;
    ask(0x9597 /* GL_DEVICE_UUID_EXT */, 0, id);
    printf(" uuid ");
    for (int i = 0; i < 16; i++)
        printf("%02x", id[i]);
}

static void device(EGLDeviceEXT d, int index)
{
    PROC(PFNEGLQUERYDEVICESTRINGEXTPROC, eglQueryDeviceStringEXT);
    PROC(PFNEGLQUERYDEVICEATTRIBEXTPROC, eglQueryDeviceAttribEXT);
    const char *has = eglQueryDeviceStringEXT(d, EGL_EXTENSIONS), *file;
    EGLAttrib cuda = -1;

    printf("device %d", index);
    if (has && strstr(has, "EGL_MESA_device_software"))
        printf(" software");
    if (has && strstr(has, "EGL_NV_device_cuda") &&
        eglQueryDeviceAttribEXT(d, EGL_CUDA_DEVICE_NV, &cuda))
        printf(" cuda %ld", (long)cuda);
    if (has && strstr(has, "EGL_EXT_device_drm") &&
        (file = eglQueryDeviceStringEXT(d, EGL_DRM_DEVICE_FILE_EXT)))
        printf(" card %s", file);
    if (has && strstr(has, "EGL_EXT_device_drm_render_node") &&
        (file = eglQueryDeviceStringEXT(d, EGL_DRM_RENDER_NODE_FILE_EXT)))
        printf(" node %s", file);
    the_display = eglGetPlatformDisplay(EGL_PLATFORM_DEVICE_EXT, d, NULL);
    if (the_display == EGL_NO_DISPLAY || !eglInitialize(the_display, NULL, NULL)) {
        printf(" not initialised, error 0x%x\n", (unsigned)eglGetError());
        return;
    }
    EGLConfig c = any_config(EGL_OPENGL_BIT);
    EGLContext x = c ? context_of(&apis[0], c, 1, 0, 0, 0) : EGL_NO_CONTEXT;
    if (x != EGL_NO_CONTEXT && current(EGL_NO_SURFACE, x)) {
        uuid();
        printf(" renderer %s", (const char *)glGetString(GL_RENDERER));
        drop(x);
    }
    printf("\n");
    words("device extension", has);
}

int main(int argc, char **argv)
{
    PROC(PFNEGLQUERYDEVICESEXTPROC, eglQueryDevicesEXT);
    EGLDeviceEXT list[EGL_DEVICES];
    EGLint n = 0;

    if (argc < 2) {
        facts();
        return 0;
    }
    if (strcmp(argv[1], "devices") != 0 || !eglQueryDevicesEXT)
        return 1;
    eglQueryDevicesEXT(EGL_DEVICES, list, &n);
    for (EGLint i = 0; i < n; i++)
        device(list[i], i);
    return 0;
}
