/* GLX's error and request codes; glxproto.h does not include the headers that it needs. */
#ifndef XG_INTERPOSER_GLX_CODES_H
#define XG_INTERPOSER_GLX_CODES_H

#include <X11/Xmd.h>

#include <GL/glxproto.h>

#endif
