/* OpenGL's types and constants, for both sides: from the system's headers, without their
 * prototypes. */
#ifndef XG_PROTOCOL_GL_TYPES_H
#define XG_PROTOCOL_GL_TYPES_H

#include <GL/gl.h>
#include <GL/glext.h>

/* Values that only the GLES headers have. */
#ifndef GL_POINT_SIZE_ARRAY_OES
#define GL_POINT_SIZE_ARRAY_OES 0x8B9C
#endif
#ifndef GL_POINT_SIZE_ARRAY_TYPE_OES
#define GL_POINT_SIZE_ARRAY_TYPE_OES    0x898A
#define GL_POINT_SIZE_ARRAY_POINTER_OES 0x898C
#endif
#ifndef GL_HALF_FLOAT_OES
#define GL_HALF_FLOAT_OES 0x8D61
#endif

#endif
