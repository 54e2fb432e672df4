/*
 * Lets an X server without Mesa's drivers have the GLX extension: as swrast_dri.so in
 * LIBGL_DRIVERS_PATH. It offers configurations and no rendering: clients that draw by themselves (a
 * GPU's GLX library, a guest's) work, contexts in the server do not. libglvnd asks the server for
 * GLX before it asks any library.
 *
 * A client's library may match its own configurations with the server's, so those that are here
 * say what Mesa's say: Mesa's own client draws on such a server (tests/e2e/glx_only.sh).
 *
 * The interface, as X.Org's server uses it, is DRI's: "DRI_Core", version 1, and "DRI_SWRast",
 * version 3; from that on the server offers GLX_ARB_create_context.
 */
#include <stdlib.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))

enum { /* attributes of a configuration */
       BUFFER_SIZE = 1,
       RED_SIZE = 3,
       GREEN_SIZE = 4,
       BLUE_SIZE = 5,
       ALPHA_SIZE = 7,
       DEPTH_SIZE = 9,
       STENCIL_SIZE = 10,
       SAMPLE_BUFFERS = 15,
       SAMPLES = 16,
       RENDER_TYPE = 17,
       CONFORMANT = 19,
       DOUBLE_BUFFER = 20,
       TRANSPARENT_TYPE = 23,
       TRANSPARENT_INDEX = 24, /* which the server takes for the type as well */
       TRANSPARENT_RED = 25,   /* and green, blue, alpha */
       TRANSPARENT_ALPHA = 28,
       RED_MASK = 30,
       GREEN_MASK = 31,
       BLUE_MASK = 32,
       ALPHA_MASK = 33,
       BIND_TO_TEXTURE_RGB = 43,
       BIND_TO_TEXTURE_RGBA = 44,
       BIND_TO_TEXTURE_TARGETS = 46,
       ATTRIBUTES = 54,
       RGBA = 1,        /* a value of RENDER_TYPE */
       NONE = 0x8000,   /* of TRANSPARENT_TYPE: GLX_NONE; 0 would be no type, and match nothing */
       ALL_TARGETS = 7, /* 1D, 2D, rectangle */
};

struct extension {
    const char *name;
    int version;
};

struct config {
    unsigned value[ATTRIBUTES];
};

/* --- configurations --------------------------------------------------------------------------- */

static struct config *config_make(unsigned alpha, unsigned depth, unsigned stencil, unsigned two)
{
    struct config *c = calloc(1, sizeof(*c));

    if (!c)
        return NULL;
    c->value[RED_SIZE] = c->value[GREEN_SIZE] = c->value[BLUE_SIZE] = 8;
    c->value[ALPHA_SIZE] = alpha;
    c->value[BUFFER_SIZE] = 24 + alpha;
    c->value[RED_MASK] = 0xff0000;
    c->value[GREEN_MASK] = 0xff00;
    c->value[BLUE_MASK] = 0xff;
    c->value[ALPHA_MASK] = alpha ? 0xff000000u : 0;
    c->value[DEPTH_SIZE] = depth;
    c->value[STENCIL_SIZE] = stencil;
    c->value[DOUBLE_BUFFER] = two;
    c->value[RENDER_TYPE] = RGBA;
    c->value[CONFORMANT] = 1;
    c->value[TRANSPARENT_TYPE] = c->value[TRANSPARENT_INDEX] = NONE;
    for (unsigned i = TRANSPARENT_RED; i <= TRANSPARENT_ALPHA; i++)
        c->value[i] = ~0u; /* GLX_DONT_CARE */
    c->value[BIND_TO_TEXTURE_RGB] = 1;
    c->value[BIND_TO_TEXTURE_RGBA] = alpha != 0;
    c->value[BIND_TO_TEXTURE_TARGETS] = ALL_TARGETS;
    return c;
}

static const struct config **configs_make(void)
{
    static const unsigned depths[][2] = {{24, 8}, {24, 0}, {0, 0}};
    const struct config **all = calloc(13, sizeof(*all));

    for (unsigned i = 0, n = 0; all && i < 12; i++) {
        const unsigned *d = depths[i / 4];
        const struct config *c = config_make(i & 2 ? 8 : 0, d[0], d[1], !(i & 1));
        if (c)
            all[n++] = c;
    }
    return all;
}

static int config_get(const struct config *c, unsigned attribute, unsigned *value)
{
    if (attribute == 0 || attribute >= ATTRIBUTES)
        return 0;
    *value = c->value[attribute];
    return 1;
}

static int config_index(const struct config *c, int index, unsigned *attribute, unsigned *value)
{
    if (index < 0 || index >= ATTRIBUTES - 1)
        return 0;
    *attribute = (unsigned)index + 1;
    *value = c->value[*attribute];
    return 1;
}

/* --- screens, drawables, and contexts that there are not -------------------------------------- */

static void *something(void)
{
    return calloc(1, 1);
}

static void *screen_swrast(int number, const struct extension **loader,
                           const struct config ***configs, void *arg)
{
    (void)number, (void)loader, (void)arg;
    *configs = configs_make();
    return *configs ? something() : NULL;
}

static void *screen_core(int number, int fd, unsigned area, const struct extension **loader,
                         const struct config ***configs, void *arg)
{
    (void)fd, (void)area;
    return screen_swrast(number, loader, configs, arg);
}

static const struct extension **screen_extensions(void *screen)
{
    static const struct extension *none[] = {NULL};
    (void)screen;
    return none;
}

static void *drawable_core(void *screen, const struct config *c, unsigned id, unsigned head,
                           void *arg)
{
    (void)screen, (void)c, (void)id, (void)head, (void)arg;
    return something();
}

static void *drawable_swrast(void *screen, const struct config *c, void *arg)
{
    (void)screen, (void)c, (void)arg;
    return something();
}

static void *context_none(void *screen, const struct config *c, void *shared, void *arg)
{
    (void)screen, (void)c, (void)shared, (void)arg;
    return NULL;
}

static void *context_none_for(void *screen, int api, const struct config *c, void *shared,
                              void *arg)
{
    (void)api;
    return context_none(screen, c, shared, arg);
}

static void *context_none_with(void *screen, int api, const struct config *c, void *shared,
                               unsigned count, const unsigned *attributes, unsigned *error,
                               void *arg)
{
    (void)count, (void)attributes;
    *error = 1; /* no memory */
    return context_none_for(screen, api, c, shared, arg);
}

static int context_copy(void *to, void *from, unsigned long mask)
{
    (void)to, (void)from, (void)mask;
    return 0;
}

static int context_bind(void *context, void *draw, void *read)
{
    (void)context, (void)draw, (void)read;
    return 0;
}

static int context_unbind(void *context)
{
    (void)context;
    return 0;
}

static void nothing(void *drawable)
{
    (void)drawable;
}

static const struct {
    struct extension base;
    void *(*screen_new)(int, int, unsigned, const struct extension **, const struct config ***,
                        void *);
    void (*screen_free)(void *);
    const struct extension **(*extensions)(void *);
    int (*get)(const struct config *, unsigned, unsigned *);
    int (*index)(const struct config *, int, unsigned *, unsigned *);
    void *(*drawable_new)(void *, const struct config *, unsigned, unsigned, void *);
    void (*drawable_free)(void *);
    void (*swap)(void *);
    void *(*context_new)(void *, const struct config *, void *, void *);
    int (*context_copy)(void *, void *, unsigned long);
    void (*context_free)(void *);
    int (*bind)(void *, void *, void *);
    int (*unbind)(void *);
} core = {{"DRI_Core", 1}, screen_core,   free,         screen_extensions, config_get,
          config_index,    drawable_core, free,         nothing,           context_none,
          context_copy,    free,          context_bind, context_unbind};

static const struct {
    struct extension base;
    void *(*screen_new)(int, const struct extension **, const struct config ***, void *);
    void *(*drawable_new)(void *, const struct config *, void *);
    void *(*context_new_for)(void *, int, const struct config *, void *, void *);
    void *(*context_new_with)(void *, int, const struct config *, void *, unsigned,
                              const unsigned *, unsigned *, void *);
} swrast = {{"DRI_SWRast", 3}, screen_swrast, drawable_swrast, context_none_for, context_none_with};

EXPORT const struct extension **__driDriverGetExtensions_swrast(void);
EXPORT const struct extension **__driDriverGetExtensions_swrast(void)
{
    static const struct extension *all[] = {&core.base, &swrast.base, NULL};
    return all;
}
