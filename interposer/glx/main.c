/* glvnd's GLX vendor interface. */
#include "interposer/glx/vendor.h"

#include "interposer/glx/calls.h"

const __GLXapiExports *xg_glx_exports;

#define GLX_CORE(X)                                                                                \
    X(ChooseFBConfig)                                                                              \
    X(ChooseVisual)                                                                                \
    X(CopyContext)                                                                                 \
    X(CreateContext)                                                                               \
    X(CreateGLXPixmap)                                                                             \
    X(CreateNewContext)                                                                            \
    X(CreatePbuffer)                                                                               \
    X(CreatePixmap)                                                                                \
    X(CreateWindow)                                                                                \
    X(DestroyContext)                                                                              \
    X(DestroyGLXPixmap)                                                                            \
    X(DestroyPbuffer)                                                                              \
    X(DestroyPixmap)                                                                               \
    X(DestroyWindow)                                                                               \
    X(GetClientString)                                                                             \
    X(GetConfig)                                                                                   \
    X(GetFBConfigAttrib)                                                                           \
    X(GetFBConfigs)                                                                                \
    X(GetSelectedEvent)                                                                            \
    X(GetVisualFromFBConfig)                                                                       \
    X(IsDirect)                                                                                    \
    X(MakeContextCurrent)                                                                          \
    X(MakeCurrent)                                                                                 \
    X(QueryContext)                                                                                \
    X(QueryDrawable)                                                                               \
    X(QueryExtensionsString)                                                                       \
    X(QueryServerString)                                                                           \
    X(SelectEvent)                                                                                 \
    X(SwapBuffers)                                                                                 \
    X(UseXFont)                                                                                    \
    X(WaitGL)                                                                                      \
    X(WaitX)
#define GLX_EXTENSIONS_(X)                                                                         \
    X(CreateContextAttribsARB)                                                                     \
    X(SwapIntervalEXT)                                                                             \
    X(SwapIntervalMESA)                                                                            \
    X(SwapIntervalSGI)                                                                             \
    X(GetSwapIntervalMESA)                                                                         \
    X(GetFBConfigFromVisualSGIX)                                                                   \
    X(QueryRendererIntegerMESA)                                                                    \
    X(QueryRendererStringMESA)                                                                     \
    X(QueryCurrentRendererIntegerMESA)                                                             \
    X(QueryCurrentRendererStringMESA)

static const struct {
    const char *name;
    void *function;
} functions[] = {
#define X(name) {"glX" #name, (void *)xg_glx_##name},
    GLX_CORE(X) GLX_EXTENSIONS_(X)
#undef X
        {"glXGetFBConfigAttribSGIX", (void *)xg_glx_GetFBConfigAttrib},
    {"glXChooseFBConfigSGIX", (void *)xg_glx_ChooseFBConfig},
    {"glXCreateContextWithConfigSGIX", (void *)xg_glx_CreateNewContext},
    {"glXGetVisualFromFBConfigSGIX", (void *)xg_glx_GetVisualFromFBConfig},
};

static void *get_proc(const GLubyte *name)
{
    const char *n = (const char *)name;

    if (strncmp(n, "glX", 3) == 0) {
        for (unsigned i = 0; i < XG_ARRAY_LEN(functions); i++)
            if (strcmp(functions[i].name, n) == 0)
                return functions[i].function;
        return NULL;
    }
    return xg_wsi_get_proc(n);
}

static void *get_dispatch(const GLubyte *name)
{
    return xg_glx_dispatch_address((const char *)name);
}

static void set_index(const GLubyte *name, int index)
{
    xg_glx_dispatch_set_index((const char *)name, index);
}

static Bool screen_supported(Display *dpy, int screen)
{
    struct xg_glx_screen *s = xg_glx_screen_get(dpy, screen);
    return s && s->count > 0;
}

XG_EXPORT Bool xg_glx_main(uint32_t version, const __GLXapiExports *exports,
                           __GLXvendorInfo *vendor, __GLXapiImports *imports);
XG_EXPORT Bool xg_glx_main(uint32_t version, const __GLXapiExports *exports,
                           __GLXvendorInfo *vendor, __GLXapiImports *imports)
{
    if (GLX_VENDOR_ABI_GET_MAJOR_VERSION(version) != GLX_VENDOR_ABI_MAJOR_VERSION)
        return False;
    xg_glx_exports = exports;
    imports->isScreenSupported = screen_supported;
    imports->getProcAddress = get_proc;
    imports->getDispatchAddress = get_dispatch;
    imports->setDispatchIndex = set_index;
    return True;
}
