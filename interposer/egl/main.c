/* glvnd's EGL vendor interface. */
#include "interposer/egl/egl.h"

const __EGLapiExports *xg_egl_exports;

#define EGL_CORE(X)                                                                                \
    X(Initialize)                                                                                  \
    X(Terminate)                                                                                   \
    X(QueryString)                                                                                 \
    X(GetError)                                                                                    \
    X(GetConfigs)                                                                                  \
    X(ChooseConfig)                                                                                \
    X(GetConfigAttrib)                                                                             \
    X(CreateContext)                                                                               \
    X(DestroyContext)                                                                              \
    X(MakeCurrent)                                                                                 \
    X(QueryContext)                                                                                \
    X(ReleaseThread)                                                                               \
    X(WaitClient)                                                                                  \
    X(WaitGL)                                                                                      \
    X(WaitNative)                                                                                  \
    X(CreateWindowSurface)                                                                         \
    X(CreatePlatformWindowSurface)                                                                 \
    X(CreatePlatformWindowSurfaceEXT)                                                              \
    X(CreatePbufferSurface)                                                                        \
    X(CreatePixmapSurface)                                                                         \
    X(CreatePlatformPixmapSurface)                                                                 \
    X(CreatePlatformPixmapSurfaceEXT)                                                              \
    X(CreatePbufferFromClientBuffer)                                                               \
    X(DestroySurface)                                                                              \
    X(QuerySurface)                                                                                \
    X(SurfaceAttrib)                                                                               \
    X(BindTexImage)                                                                                \
    X(ReleaseTexImage)                                                                             \
    X(CopyBuffers)                                                                                 \
    X(SwapBuffers)                                                                                 \
    X(SwapInterval)                                                                                \
    X(CreateSync)                                                                                  \
    X(CreateSyncKHR)                                                                               \
    X(DestroySync)                                                                                 \
    X(ClientWaitSync)                                                                              \
    X(WaitSync)                                                                                    \
    X(WaitSyncKHR)                                                                                 \
    X(GetSyncAttrib)                                                                               \
    X(GetSyncAttribKHR)                                                                            \
    X(CreateImage)                                                                                 \
    X(DestroyImage)                                                                                \
    X(QueryDevicesEXT)                                                                             \
    X(QueryDeviceAttribEXT)                                                                        \
    X(QueryDeviceStringEXT)                                                                        \
    X(QueryDisplayAttribEXT)

static const struct {
    const char *name;
    void *function;
} functions[] = {
#define X(name) {"egl" #name, (void *)xg_egl_##name},
    EGL_CORE(X)
#undef X
        {"eglDestroySyncKHR", (void *)xg_egl_DestroySync},
    {"eglClientWaitSyncKHR", (void *)xg_egl_ClientWaitSync},
};

static void *get_proc(const char *name)
{
    if (strncmp(name, "egl", 3) == 0) {
        for (unsigned i = 0; i < XG_ARRAY_LEN(functions); i++)
            if (strcmp(functions[i].name, name) == 0)
                return functions[i].function;
        return NULL;
    }
    return xg_wsi_get_proc(name);
}

static EGLBoolean supports_api(EGLenum api)
{
    return api == EGL_OPENGL_API || api == EGL_OPENGL_ES_API;
}

static const char *vendor_string(int name)
{
    if (name != __EGL_VENDOR_STRING_PLATFORM_EXTENSIONS)
        return NULL;
    return "EGL_EXT_platform_x11 EGL_KHR_platform_x11 EGL_EXT_platform_xcb "
           "EGL_EXT_platform_device EGL_MESA_platform_surfaceless";
}

XG_EXPORT EGLBoolean xg_egl_main(uint32_t version, const __EGLapiExports *exports,
                                 __EGLvendorInfo *vendor, __EGLapiImports *imports);
XG_EXPORT EGLBoolean xg_egl_main(uint32_t version, const __EGLapiExports *exports,
                                 __EGLvendorInfo *vendor, __EGLapiImports *imports)
{
    if (EGL_VENDOR_ABI_GET_MAJOR_VERSION(version) != EGL_VENDOR_ABI_MAJOR_VERSION)
        return EGL_FALSE;
    xg_egl_exports = exports;
    imports->getPlatformDisplay = xg_egl_platform_display;
    imports->findNativeDisplayPlatform = xg_egl_platform_find;
    imports->getSupportsAPI = supports_api;
    imports->getVendorString = vendor_string;
    imports->getProcAddress = get_proc;
    imports->getDispatchAddress = (void *(*)(const char *))xg_egl_dispatch_address;
    imports->setDispatchIndex = xg_egl_dispatch_set_index;
    return EGL_TRUE;
}
