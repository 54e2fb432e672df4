/*
 * Lets an X server without Mesa's drivers have the GLX extension: as swrast_dri.so in
 * LIBGL_DRIVERS_PATH. It offers configurations and no rendering: clients that draw by themselves (a
 * GPU's GLX library, a guest's) work, contexts in the server do not. libglvnd asks the server for
 * GLX before it asks any library.
 *
 * The interface, as X.Org's server uses it, is DRI's: "DRI_Core" and "DRI_SWRast", version 1 of
 * each.
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
       RED_MASK = 30,
       GREEN_MASK = 31,
       BLUE_MASK = 32,
       ALPHA_MASK = 33,
       MAX_PBUFFER_WIDTH = 34,
       MAX_PBUFFER_HEIGHT = 35,
       MAX_PBUFFER_PIXELS = 36,
       ATTRIBUTES = 54,
       RGBA = 1, /* a value of RENDER_TYPE */
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
    c->value[MAX_PBUFFER_WIDTH] = c->value[MAX_PBUFFER_HEIGHT] = 16384;
    c->value[MAX_PBUFFER_PIXELS] = 16384u * 16384u;
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
} swrast = {{"DRI_SWRast", 1}, screen_swrast, drawable_swrast};

EXPORT const struct extension **__driDriverGetExtensions_swrast(void);
EXPORT const struct extension **__driDriverGetExtensions_swrast(void)
{
    static const struct extension *all[] = {&core.base, &swrast.base, NULL};
    return all;
}
