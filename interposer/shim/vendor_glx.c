/* libGLX_xengpu.so.0: by it glvnd reaches our GLX. */
#include "interposer/shim/vendor.h"

#include <glvnd/libglxabi.h>

XG_EXPORT Bool __glx_Main(uint32_t version, const __GLXapiExports *exports, __GLXvendorInfo *vendor,
                          __GLXapiImports *imports)
{
    __PFNGLXMAINPROC entry = (__PFNGLXMAINPROC)xg_vendor_symbol("xg_glx_main");
    return entry ? entry(version, exports, vendor, imports) : False;
}
