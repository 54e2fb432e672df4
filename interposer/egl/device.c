/* EGL_EXT_device_base, EGL_EXT_device_query_name: the only device is the GPU of the channel.
 * EGL_NV_device_cuda, where it is the CUDA device too: a guest has only one. */
#include "interposer/egl/egl.h"

static const char the_device; /* its address is the handle */

bool xg_egl_device_valid(const void *device)
{
    return device == &the_device;
}

EGLBoolean xg_egl_QueryDevicesEXT(EGLint max, EGLDeviceEXT *devices, EGLint *count)
{
    if (!count || (devices && max <= 0))
        return xg_egl_fail(EGL_BAD_PARAMETER);
    *count = xg_wsi_host() ? 1 : 0; /* without a host: a line on stderr has said why */
    if (devices && *count)
        devices[0] = (EGLDeviceEXT)&the_device;
    return xg_egl_ok();
}

static bool device_check(EGLDeviceEXT device)
{
    if (xg_egl_device_valid(device) && xg_wsi_host())
        return true;
    xg_egl_fail(EGL_BAD_DEVICE_EXT);
    return false;
}

/* It is not a DRM device, so it has no other attribute. */
EGLBoolean xg_egl_QueryDeviceAttribEXT(EGLDeviceEXT device, EGLint attribute, EGLAttrib *value)
{
    if (!device_check(device))
        return EGL_FALSE;
    if (attribute != EGL_CUDA_DEVICE_NV || !(xg_wsi_host()->info.flags & XG_WSI_INFO_CUDA))
        return xg_egl_fail(EGL_BAD_ATTRIBUTE);
    if (!value)
        return xg_egl_fail(EGL_BAD_PARAMETER);
    *value = 0;
    return xg_egl_ok();
}

static const char *device_extensions(uint32_t flags)
{
    bool software = flags & XG_WSI_INFO_SOFTWARE;

    if (flags & XG_WSI_INFO_CUDA)
        return software ? "EGL_EXT_device_query_name EGL_NV_device_cuda EGL_MESA_device_software"
                        : "EGL_EXT_device_query_name EGL_NV_device_cuda";
    return software ? "EGL_EXT_device_query_name EGL_MESA_device_software"
                    : "EGL_EXT_device_query_name";
}

const char *xg_egl_QueryDeviceStringEXT(EGLDeviceEXT device, EGLint name)
{
    if (!device_check(device))
        return NULL;
    const struct xg_wsi_host *h = xg_wsi_host();
    xg_egl_ok();
    switch (name) {
    case EGL_EXTENSIONS: return device_extensions(h->info.flags);
    case EGL_VENDOR: return "xengpu";
    case EGL_RENDERER_EXT: return h->renderer;
    default: xg_egl_fail(EGL_BAD_PARAMETER); return NULL;
    }
}

EGLBoolean xg_egl_QueryDisplayAttribEXT(EGLDisplay dpy, EGLint attribute, EGLAttrib *value)
{
    if (!xg_egl_display_ready(dpy))
        return EGL_FALSE;
    if (attribute != EGL_DEVICE_EXT)
        return xg_egl_fail(EGL_BAD_ATTRIBUTE);
    if (!value)
        return xg_egl_fail(EGL_BAD_PARAMETER);
    *value = (EGLAttrib)&the_device;
    return xg_egl_ok();
}
