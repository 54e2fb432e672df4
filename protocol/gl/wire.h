/*
 * The numbers of OpenGL's wire that stand in no frame's description. Both sides and the generator
 * take them from here.
 */
#ifndef XG_PROTOCOL_GL_WIRE_H
#define XG_PROTOCOL_GL_WIRE_H

/* Which API a context has. */
enum xg_gl_api {
    XG_GL_COMPAT = 0, /* desktop, compatibility profile or before 3.2 */
    XG_GL_CORE = 1,
    XG_GL_ES1 = 2,
    XG_GL_ES2 = 3, /* OpenGL ES 2.0 and later */
};

/* Kinds of names (xgGen, xgDelete). First those that the contexts of a share group have together.
 */
enum xg_gl_space {
    XG_GL_SPACE_BUFFER = 0,
    XG_GL_SPACE_TEXTURE = 1,
    XG_GL_SPACE_RENDERBUFFER = 2,
    XG_GL_SPACE_SAMPLER = 3,
    XG_GL_SPACE_PROGRAM = 4, /* and shaders */
    XG_GL_SPACE_ARB_PROGRAM = 5,
    XG_GL_SPACE_SYNC = 6,
    XG_GL_SPACE_LIST = 7,
    XG_GL_SPACES_SHARED = 8,
    XG_GL_SPACE_FRAMEBUFFER = XG_GL_SPACES_SHARED,
    XG_GL_SPACE_VERTEX_ARRAY = 9,
    XG_GL_SPACE_QUERY = 10,
    XG_GL_SPACE_PIPELINE = 11,
    XG_GL_SPACE_XFB = 12,
    XG_GL_SPACES = 13
};

/* Where a command's pixels lie. */
enum xg_gl_pixels {
    XG_GL_PIXELS_NONE = 0,
    XG_GL_PIXELS_MEMORY =
        1, /* the application's; they come with the command, or go back in the arena */
    XG_GL_PIXELS_BUFFER = 2, /* at an offset in the bound pixel buffer */
};

/* Errors in the words of the ring's page. The first word is (number of errors so far << 16 | the
 * last one). After it come the last errors, error number n in word n % XG_GL_ERRORS_KEPT: of the
 * errors since it was last asked, GL returns the first. */
#define XG_GL_WORD_ERROR  0
#define XG_GL_WORD_ERRORS 1
#define XG_GL_ERRORS_KEPT 8u

#endif
