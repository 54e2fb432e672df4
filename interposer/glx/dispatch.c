/*
 * Stubs by which glvnd finds the vendor for functions that it does not know: each finds the vendor
 * by an argument, or by the current context, and calls that vendor's function.
 */
#include "interposer/glx/vendor.h"

enum glx_entry {
    D_CreateContextAttribsARB,
    D_SwapIntervalEXT,
    D_SwapIntervalMESA,
    D_SwapIntervalSGI,
    D_GetSwapIntervalMESA,
    D_GetFBConfigFromVisualSGIX,
    D_GetFBConfigAttribSGIX,
    D_ChooseFBConfigSGIX,
    D_CreateContextWithConfigSGIX,
    D_GetVisualFromFBConfigSGIX,
    D_QueryRendererIntegerMESA,
    D_QueryRendererStringMESA,
    D_QueryCurrentRendererIntegerMESA,
    D_QueryCurrentRendererStringMESA,
    D_COUNT,
};

static int index_of[D_COUNT];

/* The vendor's function as a pointer of the right type; NULL without a vendor. */
static __GLXextFuncPtr vendor_entry(__GLXvendorInfo *vendor, enum glx_entry d)
{
    return vendor ? xg_glx_exports->fetchDispatchEntry(vendor, index_of[d]) : NULL;
}
#define ENTRY(vendor, name, result, ...) ((result(*)(__VA_ARGS__))vendor_entry(vendor, D_##name))

static GLXContext context_remember(Display *dpy, GLXContext x, __GLXvendorInfo *vendor)
{
    if (x)
        xg_glx_exports->addVendorContextMapping(dpy, x, vendor);
    return x;
}

static GLXContext CreateContextAttribsARB(Display *dpy, GLXFBConfig config, GLXContext share,
                                          Bool direct, const int *list)
{
    __GLXvendorInfo *v = NULL;

    if (config)
        v = xg_glx_exports->vendorFromFBConfig(dpy, config);
    for (const int *a = list; !v && !config && a && a[0] != None; a += 2)
        if (a[0] == GLX_SCREEN)
            v = xg_glx_exports->getDynDispatch(dpy, a[1]);
    if (!v)
        v = xg_glx_exports->getDynDispatch(dpy, DefaultScreen(dpy));
    GLXContext (*f)(Display *, GLXFBConfig, GLXContext, Bool, const int *) =
        ENTRY(v, CreateContextAttribsARB, GLXContext, Display *, GLXFBConfig, GLXContext, Bool,
              const int *);
    return f ? context_remember(dpy, f(dpy, config, share, direct, list), v) : NULL;
}

static GLXContext CreateContextWithConfigSGIX(Display *dpy, GLXFBConfig config, int type,
                                              GLXContext share, Bool direct)
{
    __GLXvendorInfo *v = xg_glx_exports->vendorFromFBConfig(dpy, config);
    GLXContext (*f)(Display *, GLXFBConfig, int, GLXContext, Bool) = ENTRY(
        v, CreateContextWithConfigSGIX, GLXContext, Display *, GLXFBConfig, int, GLXContext, Bool);
    return f ? context_remember(dpy, f(dpy, config, type, share, direct), v) : NULL;
}

static void SwapIntervalEXT(Display *dpy, GLXDrawable draw, int interval)
{
    void (*f)(Display *, GLXDrawable, int) =
        ENTRY(xg_glx_exports->vendorFromDrawable(dpy, draw), SwapIntervalEXT, void, Display *,
              GLXDrawable, int);
    if (f)
        f(dpy, draw, interval);
}

static int SwapIntervalMESA(unsigned interval)
{
    int (*f)(unsigned) =
        ENTRY(xg_glx_exports->getCurrentDynDispatch(), SwapIntervalMESA, int, unsigned);
    return f ? f(interval) : GLX_BAD_CONTEXT;
}

static int SwapIntervalSGI(int interval)
{
    int (*f)(int) = ENTRY(xg_glx_exports->getCurrentDynDispatch(), SwapIntervalSGI, int, int);
    return f ? f(interval) : GLX_BAD_CONTEXT;
}

static int GetSwapIntervalMESA(void)
{
    int (*f)(void) = ENTRY(xg_glx_exports->getCurrentDynDispatch(), GetSwapIntervalMESA, int, void);
    return f ? f() : 0;
}

static GLXFBConfig GetFBConfigFromVisualSGIX(Display *dpy, XVisualInfo *vis)
{
    __GLXvendorInfo *v = xg_glx_exports->getDynDispatch(dpy, vis->screen);
    GLXFBConfig (*f)(Display *, XVisualInfo *) =
        ENTRY(v, GetFBConfigFromVisualSGIX, GLXFBConfig, Display *, XVisualInfo *);
    GLXFBConfig c = f ? f(dpy, vis) : NULL;
    if (c)
        xg_glx_exports->addVendorFBConfigMapping(dpy, c, v);
    return c;
}

static int GetFBConfigAttribSGIX(Display *dpy, GLXFBConfig config, int attribute, int *value)
{
    int (*f)(Display *, GLXFBConfig, int, int *) =
        ENTRY(xg_glx_exports->vendorFromFBConfig(dpy, config), GetFBConfigAttribSGIX, int,
              Display *, GLXFBConfig, int, int *);
    return f ? f(dpy, config, attribute, value) : GLX_NO_EXTENSION;
}

static GLXFBConfig *ChooseFBConfigSGIX(Display *dpy, int screen, const int *list, int *count)
{
    __GLXvendorInfo *v = xg_glx_exports->getDynDispatch(dpy, screen);
    GLXFBConfig *(*f)(Display *, int, const int *, int *) =
        ENTRY(v, ChooseFBConfigSGIX, GLXFBConfig *, Display *, int, const int *, int *);
    GLXFBConfig *c = f ? f(dpy, screen, list, count) : NULL;
    for (int i = 0; c && i < *count; i++)
        xg_glx_exports->addVendorFBConfigMapping(dpy, c[i], v);
    return c;
}

static XVisualInfo *GetVisualFromFBConfigSGIX(Display *dpy, GLXFBConfig config)
{
    XVisualInfo *(*f)(Display *, GLXFBConfig) =
        ENTRY(xg_glx_exports->vendorFromFBConfig(dpy, config), GetVisualFromFBConfigSGIX,
              XVisualInfo *, Display *, GLXFBConfig);
    return f ? f(dpy, config) : NULL;
}

static Bool QueryRendererIntegerMESA(Display *dpy, int screen, int renderer, int attribute,
                                     unsigned *value)
{
    Bool (*f)(Display *, int, int, int, unsigned *) =
        ENTRY(xg_glx_exports->getDynDispatch(dpy, screen), QueryRendererIntegerMESA, Bool,
              Display *, int, int, int, unsigned *);
    return f ? f(dpy, screen, renderer, attribute, value) : False;
}

static const char *QueryRendererStringMESA(Display *dpy, int screen, int renderer, int attribute)
{
    const char *(*f)(Display *, int, int, int) =
        ENTRY(xg_glx_exports->getDynDispatch(dpy, screen), QueryRendererStringMESA, const char *,
              Display *, int, int, int);
    return f ? f(dpy, screen, renderer, attribute) : NULL;
}

static Bool QueryCurrentRendererIntegerMESA(int attribute, unsigned *value)
{
    Bool (*f)(int, unsigned *) = ENTRY(xg_glx_exports->getCurrentDynDispatch(),
                                       QueryCurrentRendererIntegerMESA, Bool, int, unsigned *);
    return f ? f(attribute, value) : False;
}

static const char *QueryCurrentRendererStringMESA(int attribute)
{
    const char *(*f)(int) = ENTRY(xg_glx_exports->getCurrentDynDispatch(),
                                  QueryCurrentRendererStringMESA, const char *, int);
    return f ? f(attribute) : NULL;
}

static const struct {
    const char *name;
    void *stub;
} stubs[D_COUNT] = {
#define STUB(name) [D_##name] = {"glX" #name, (void *)name}
    STUB(CreateContextAttribsARB),
    STUB(SwapIntervalEXT),
    STUB(SwapIntervalMESA),
    STUB(SwapIntervalSGI),
    STUB(GetSwapIntervalMESA),
    STUB(GetFBConfigFromVisualSGIX),
    STUB(GetFBConfigAttribSGIX),
    STUB(ChooseFBConfigSGIX),
    STUB(CreateContextWithConfigSGIX),
    STUB(GetVisualFromFBConfigSGIX),
    STUB(QueryRendererIntegerMESA),
    STUB(QueryRendererStringMESA),
    STUB(QueryCurrentRendererIntegerMESA),
    STUB(QueryCurrentRendererStringMESA),
};

void *xg_glx_dispatch_address(const char *name)
{
    for (unsigned i = 0; i < D_COUNT; i++)
        if (strcmp(stubs[i].name, name) == 0)
            return stubs[i].stub;
    return NULL;
}

void xg_glx_dispatch_set_index(const char *name, int index)
{
    for (unsigned i = 0; i < D_COUNT; i++)
        if (strcmp(stubs[i].name, name) == 0)
            index_of[i] = index;
}
