/* The GLX calls, named like libGL's except for the prefix. */
#ifndef XG_INTERPOSER_GLX_CALLS_H
#define XG_INTERPOSER_GLX_CALLS_H

#include "interposer/glx/glx.h"

/* context.c */
GLXContext xg_glx_CreateContext(Display *dpy, XVisualInfo *vis, GLXContext share, Bool direct);
GLXContext xg_glx_CreateNewContext(Display *dpy, GLXFBConfig config, int type, GLXContext share,
                                   Bool direct);
GLXContext xg_glx_CreateContextAttribsARB(Display *dpy, GLXFBConfig config, GLXContext share,
                                          Bool direct, const int *list);
void xg_glx_DestroyContext(Display *dpy, GLXContext context);
void xg_glx_CopyContext(Display *dpy, GLXContext src, GLXContext dst, unsigned long mask);
Bool xg_glx_IsDirect(Display *dpy, GLXContext context);
int xg_glx_QueryContext(Display *dpy, GLXContext context, int attribute, int *value);
Bool xg_glx_MakeContextCurrent(Display *dpy, GLXDrawable draw, GLXDrawable read,
                               GLXContext context);
Bool xg_glx_MakeCurrent(Display *dpy, GLXDrawable draw, GLXContext context);

/* drawable.c */
GLXWindow xg_glx_CreateWindow(Display *dpy, GLXFBConfig config, Window win, const int *attributes);
void xg_glx_DestroyWindow(Display *dpy, GLXWindow window);
GLXPbuffer xg_glx_CreatePbuffer(Display *dpy, GLXFBConfig config, const int *a);
void xg_glx_DestroyPbuffer(Display *dpy, GLXPbuffer pbuffer);
GLXPixmap xg_glx_CreatePixmap(Display *dpy, GLXFBConfig config, Pixmap pixmap,
                              const int *attributes);
void xg_glx_DestroyPixmap(Display *dpy, GLXPixmap pixmap);
GLXPixmap xg_glx_CreateGLXPixmap(Display *dpy, XVisualInfo *visual, Pixmap pixmap);
void xg_glx_DestroyGLXPixmap(Display *dpy, GLXPixmap pixmap);
void xg_glx_QueryDrawable(Display *dpy, GLXDrawable draw, int attribute, unsigned int *value);
void xg_glx_SelectEvent(Display *dpy, GLXDrawable draw, unsigned long mask);
void xg_glx_GetSelectedEvent(Display *dpy, GLXDrawable draw, unsigned long *mask);

/* font.c */
void xg_glx_UseXFont(Font font, int first, int count, int list);

/* query.c */
const char *xg_glx_QueryExtensionsString(Display *dpy, int screen);
const char *xg_glx_GetClientString(Display *dpy, int name);
const char *xg_glx_QueryServerString(Display *dpy, int screen, int name);
GLXFBConfig *xg_glx_GetFBConfigs(Display *dpy, int screen, int *count);
GLXFBConfig *xg_glx_ChooseFBConfig(Display *dpy, int screen, const int *list, int *count);
int xg_glx_GetFBConfigAttrib(Display *dpy, GLXFBConfig config, int attribute, int *value);
XVisualInfo *xg_glx_GetVisualFromFBConfig(Display *dpy, GLXFBConfig config);
GLXFBConfig xg_glx_GetFBConfigFromVisualSGIX(Display *dpy, XVisualInfo *vis);
int xg_glx_GetConfig(Display *dpy, XVisualInfo *vis, int attribute, int *value);
XVisualInfo *xg_glx_ChooseVisual(Display *dpy, int screen, int *list);
Bool xg_glx_QueryRendererIntegerMESA(Display *dpy, int screen, int renderer, int attribute,
                                     unsigned *value);
const char *xg_glx_QueryRendererStringMESA(Display *dpy, int screen, int renderer, int attribute);
Bool xg_glx_QueryCurrentRendererIntegerMESA(int attribute, unsigned *value);
const char *xg_glx_QueryCurrentRendererStringMESA(int attribute);

/* swap.c */
void xg_glx_SwapBuffers(Display *dpy, GLXDrawable draw);
void xg_glx_WaitGL(void);
void xg_glx_WaitX(void);
void xg_glx_SwapIntervalEXT(Display *dpy, GLXDrawable draw, int interval);
int xg_glx_SwapIntervalMESA(unsigned interval);
int xg_glx_SwapIntervalSGI(int interval);
int xg_glx_GetSwapIntervalMESA(void);

#endif
