/* What glvnd's dispatch stubs need. */
#ifndef XG_INTERPOSER_GLX_VENDOR_H
#define XG_INTERPOSER_GLX_VENDOR_H

#include "interposer/glx/glx.h"

#include <glvnd/libglxabi.h>

extern const __GLXapiExports *xg_glx_exports;

/* dispatch.c: functions of extensions, which glvnd does not know. */
void *xg_glx_dispatch_address(const char *name);
void xg_glx_dispatch_set_index(const char *name, int index);

#endif
