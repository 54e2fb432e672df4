/* libEGL_xengpu.so.0: by it glvnd reaches our EGL. */
#include "interposer/shim/vendor.h"

#include <glvnd/libeglabi.h>

XG_EXPORT EGLBoolean __egl_Main(uint32_t version, const __EGLapiExports *exports,
                                __EGLvendorInfo *vendor, __EGLapiImports *imports)
{
    __PFNEGLMAINPROC entry = (__PFNEGLMAINPROC)xg_vendor_symbol("xg_egl_main");
    return entry ? entry(version, exports, vendor, imports) : EGL_FALSE;
}
