/* What a program asks of a framebuffer configuration. */
#ifndef XG_INTERPOSER_GLX_CHOOSE_H
#define XG_INTERPOSER_GLX_CHOOSE_H

#include "interposer/glx/glx.h"

enum { GLX_WISH_LENGTH = 34 };

struct xg_glx_wish {
    int value[GLX_WISH_LENGTH]; /* in the order of choose.c's rules */
};
void xg_glx_wish_init(struct xg_glx_wish *w);
/* False: there is no such attribute. */
bool xg_glx_wish_set(struct xg_glx_wish *w, int attribute, int value);
/* The configurations that match, best first; `out` has room for all of the screen's. */
int xg_glx_wish_choose(const struct xg_glx_wish *w, struct xg_glx_screen *s,
                       const struct xg_glx_config **out);

#endif
