/* Stubs by which glvnd finds the vendor for functions of extensions: by the display or device in
 * their arguments. */
#include "interposer/egl/egl.h"

enum egl_entry {
    D_CreateSyncKHR,
    D_DestroySyncKHR,
    D_ClientWaitSyncKHR,
    D_GetSyncAttribKHR,
    D_WaitSyncKHR,
    D_QueryDeviceAttribEXT,
    D_QueryDeviceStringEXT,
    D_COUNT,
};

static int index_of[D_COUNT];

static __eglMustCastToProperFunctionPointerType vendor_entry(__EGLvendorInfo *v, enum egl_entry d,
                                                             EGLint error)
{
    if (!v) {
        xg_egl_exports->setEGLError(error);
        return NULL;
    }
    xg_egl_exports->setLastVendor(v);
    return xg_egl_exports->fetchDispatchEntry(v, index_of[d]);
}
#define ENTRY(dpy, name, type)                                                                     \
    (xg_egl_exports->threadInit(),                                                                 \
     (type)vendor_entry(xg_egl_exports->getVendorFromDisplay(dpy), D_##name, EGL_BAD_DISPLAY))
#define DEVICE_ENTRY(device, name, type)                                                           \
    (xg_egl_exports->threadInit(), (type)vendor_entry(xg_egl_exports->getVendorFromDevice(device), \
                                                      D_##name, EGL_BAD_DEVICE_EXT))

static EGLSyncKHR CreateSyncKHR(EGLDisplay dpy, EGLenum type, const EGLint *list)
{
    PFNEGLCREATESYNCKHRPROC f = ENTRY(dpy, CreateSyncKHR, PFNEGLCREATESYNCKHRPROC);
    return f ? f(dpy, type, list) : EGL_NO_SYNC_KHR;
}

static EGLBoolean DestroySyncKHR(EGLDisplay dpy, EGLSyncKHR sync)
{
    PFNEGLDESTROYSYNCKHRPROC f = ENTRY(dpy, DestroySyncKHR, PFNEGLDESTROYSYNCKHRPROC);
    return f ? f(dpy, sync) : EGL_FALSE;
}

static EGLint ClientWaitSyncKHR(EGLDisplay dpy, EGLSyncKHR sync, EGLint flags, EGLTimeKHR timeout)
{
    PFNEGLCLIENTWAITSYNCKHRPROC f = ENTRY(dpy, ClientWaitSyncKHR, PFNEGLCLIENTWAITSYNCKHRPROC);
    return f ? f(dpy, sync, flags, timeout) : EGL_FALSE;
}

static EGLBoolean GetSyncAttribKHR(EGLDisplay dpy, EGLSyncKHR sync, EGLint attribute, EGLint *value)
{
    PFNEGLGETSYNCATTRIBKHRPROC f = ENTRY(dpy, GetSyncAttribKHR, PFNEGLGETSYNCATTRIBKHRPROC);
    return f ? f(dpy, sync, attribute, value) : EGL_FALSE;
}

static EGLint WaitSyncKHR(EGLDisplay dpy, EGLSyncKHR sync, EGLint flags)
{
    PFNEGLWAITSYNCKHRPROC f = ENTRY(dpy, WaitSyncKHR, PFNEGLWAITSYNCKHRPROC);
    return f ? f(dpy, sync, flags) : EGL_FALSE;
}

static EGLBoolean QueryDeviceAttribEXT(EGLDeviceEXT device, EGLint attribute, EGLAttrib *value)
{
    PFNEGLQUERYDEVICEATTRIBEXTPROC f =
        DEVICE_ENTRY(device, QueryDeviceAttribEXT, PFNEGLQUERYDEVICEATTRIBEXTPROC);
    return f ? f(device, attribute, value) : EGL_FALSE;
}

static const char *QueryDeviceStringEXT(EGLDeviceEXT device, EGLint name)
{
    PFNEGLQUERYDEVICESTRINGEXTPROC f =
        DEVICE_ENTRY(device, QueryDeviceStringEXT, PFNEGLQUERYDEVICESTRINGEXTPROC);
    return f ? f(device, name) : NULL;
}

static const struct {
    const char *name;
    void *stub;
} stubs[D_COUNT] = {
#define STUB(name) [D_##name] = {"egl" #name, (void *)name}
    STUB(CreateSyncKHR),        STUB(DestroySyncKHR), STUB(ClientWaitSyncKHR),
    STUB(GetSyncAttribKHR),     STUB(WaitSyncKHR),    STUB(QueryDeviceAttribEXT),
    STUB(QueryDeviceStringEXT),
};

void *xg_egl_dispatch_address(const char *name)
{
    for (unsigned i = 0; i < D_COUNT; i++)
        if (strcmp(stubs[i].name, name) == 0)
            return stubs[i].stub;
    return NULL;
}

void xg_egl_dispatch_set_index(const char *name, int index)
{
    for (unsigned i = 0; i < D_COUNT; i++)
        if (strcmp(stubs[i].name, name) == 0)
            index_of[i] = index;
}
