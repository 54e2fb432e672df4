/* glXChooseFBConfig, glXChooseVisual: matching and sorting as GLX 1.4's table 3.4 says. */
#include "interposer/glx/choose.h"

#include <stdlib.h>

#define EXACT   0
#define MINIMUM 1
#define MASK    2
#define IGNORED 3

/* How each attribute is compared, and its value when the list does not name it. */
static const struct glx_rule {
    int attribute, how, initial;
} choose_rules[] = {
    {GLX_FBCONFIG_ID, EXACT, (int)GLX_DONT_CARE},
    {GLX_BUFFER_SIZE, MINIMUM, 0},
    {GLX_LEVEL, EXACT, 0},
    {GLX_DOUBLEBUFFER, EXACT, (int)GLX_DONT_CARE},
    {GLX_STEREO, EXACT, False},
    {GLX_AUX_BUFFERS, MINIMUM, 0},
    {GLX_RED_SIZE, MINIMUM, 0},
    {GLX_GREEN_SIZE, MINIMUM, 0},
    {GLX_BLUE_SIZE, MINIMUM, 0},
    {GLX_ALPHA_SIZE, MINIMUM, 0},
    {GLX_DEPTH_SIZE, MINIMUM, 0},
    {GLX_STENCIL_SIZE, MINIMUM, 0},
    {GLX_ACCUM_RED_SIZE, MINIMUM, 0},
    {GLX_ACCUM_GREEN_SIZE, MINIMUM, 0},
    {GLX_ACCUM_BLUE_SIZE, MINIMUM, 0},
    {GLX_ACCUM_ALPHA_SIZE, MINIMUM, 0},
    {GLX_SAMPLE_BUFFERS, MINIMUM, 0},
    {GLX_SAMPLES, MINIMUM, 0},
    {GLX_RENDER_TYPE, MASK, GLX_RGBA_BIT},
    {GLX_DRAWABLE_TYPE, MASK, GLX_WINDOW_BIT},
    {GLX_X_RENDERABLE, EXACT, (int)GLX_DONT_CARE},
    {GLX_X_VISUAL_TYPE, EXACT, (int)GLX_DONT_CARE},
    {GLX_CONFIG_CAVEAT, EXACT, (int)GLX_DONT_CARE},
    {GLX_TRANSPARENT_TYPE, EXACT, GLX_NONE},
    {GLX_TRANSPARENT_INDEX_VALUE, IGNORED, 0},
    {GLX_TRANSPARENT_RED_VALUE, IGNORED, 0},
    {GLX_TRANSPARENT_GREEN_VALUE, IGNORED, 0},
    {GLX_TRANSPARENT_BLUE_VALUE, IGNORED, 0},
    {GLX_TRANSPARENT_ALPHA_VALUE, IGNORED, 0},
    {GLX_MAX_PBUFFER_WIDTH, IGNORED, 0},
    {GLX_MAX_PBUFFER_HEIGHT, IGNORED, 0},
    {GLX_MAX_PBUFFER_PIXELS, IGNORED, 0},
    {GLX_VISUAL_ID, IGNORED, 0},
    {GLX_FRAMEBUFFER_SRGB_CAPABLE_ARB, EXACT, (int)GLX_DONT_CARE},
};
_Static_assert(XG_ARRAY_LEN(choose_rules) == GLX_WISH_LENGTH, "a wish has one value per rule");

void xg_glx_wish_init(struct xg_glx_wish *w)
{
    for (unsigned i = 0; i < XG_ARRAY_LEN(choose_rules); i++)
        w->value[i] = choose_rules[i].initial;
}

bool xg_glx_wish_set(struct xg_glx_wish *w, int attribute, int value)
{
    for (unsigned i = 0; i < XG_ARRAY_LEN(choose_rules); i++)
        if (choose_rules[i].attribute == attribute) {
            w->value[i] = value;
            return true;
        }
    return false;
}

static int wish_get(const struct xg_glx_wish *w, int attribute)
{
    for (unsigned i = 0; i < XG_ARRAY_LEN(choose_rules); i++)
        if (choose_rules[i].attribute == attribute)
            return w->value[i];
    return 0;
}

static bool wish_met(const struct xg_glx_wish *w, const struct xg_glx_config *c)
{
    int id = wish_get(w, GLX_FBCONFIG_ID);

    if (id != (int)GLX_DONT_CARE)
        return c->id == id; /* everything else is then ignored */
    for (unsigned i = 0; i < XG_ARRAY_LEN(choose_rules); i++) {
        int want = w->value[i], have;
        if (want == (int)GLX_DONT_CARE || choose_rules[i].how == IGNORED)
            continue;
        xg_glx_config_attribute(c, choose_rules[i].attribute, &have);
        if ((choose_rules[i].how == EXACT && have != want) ||
            (choose_rules[i].how == MINIMUM && have < want) ||
            (choose_rules[i].how == MASK && (have & want) != want))
            return false;
    }
    return true;
}

/* --- sorting ---------------------------------------------------------------------------------- */

static int attribute_of(const struct xg_glx_config *c, int attribute)
{
    int v;
    xg_glx_config_attribute(c, attribute, &v);
    return v;
}

static int caveat_rank(const struct xg_glx_config *c)
{
    int v = attribute_of(c, GLX_CONFIG_CAVEAT);
    return v == GLX_NONE ? 0 : v == GLX_SLOW_CONFIG ? 1 : 2;
}

/* The sum of the bits of those colours that were asked for. */
static int color_bits(const struct xg_glx_wish *w, const struct xg_glx_config *c)
{
    static const int colors[] = {GLX_RED_SIZE, GLX_GREEN_SIZE, GLX_BLUE_SIZE, GLX_ALPHA_SIZE};
    int bits = 0;
    for (unsigned i = 0; i < 4; i++) {
        int want = wish_get(w, colors[i]);
        if (want > 0 && want != (int)GLX_DONT_CARE)
            bits += attribute_of(c, colors[i]);
    }
    return bits;
}

/* Order by depth: if no depth was asked for, none is best; else the largest. */
static int depth_rank(const struct xg_glx_wish *w, const struct xg_glx_config *c)
{
    int have = attribute_of(c, GLX_DEPTH_SIZE);
    return wish_get(w, GLX_DEPTH_SIZE) == 0 ? have : -have;
}

/* Qsort passes no argument to config_compare. */
static __thread const struct xg_glx_wish *sort_wish;

static int config_compare(const void *pa, const void *pb)
{
    const struct xg_glx_config *a = *(const struct xg_glx_config *const *)pa,
                               *b = *(const struct xg_glx_config *const *)pb;
    int d;

    if ((d = caveat_rank(a) - caveat_rank(b)) ||
        (d = color_bits(sort_wish, b) - color_bits(sort_wish, a)) ||
        (d = attribute_of(a, GLX_BUFFER_SIZE) - attribute_of(b, GLX_BUFFER_SIZE)) ||
        (d = a->double_buffered - b->double_buffered) ||
        (d = attribute_of(a, GLX_SAMPLE_BUFFERS) - attribute_of(b, GLX_SAMPLE_BUFFERS)) ||
        (d = attribute_of(a, GLX_SAMPLES) - attribute_of(b, GLX_SAMPLES)) ||
        (d = depth_rank(sort_wish, a) - depth_rank(sort_wish, b)) ||
        (d = attribute_of(a, GLX_STENCIL_SIZE) - attribute_of(b, GLX_STENCIL_SIZE)) ||
        (d = a->visual_class == b->visual_class ? 0
             : a->visual_class == TrueColor     ? -1
                                                : 1))
        return d;
    return a->id - b->id;
}

int xg_glx_wish_choose(const struct xg_glx_wish *w, struct xg_glx_screen *s,
                       const struct xg_glx_config **out)
{
    int n = 0;
    for (int i = 0; i < s->count; i++)
        if (wish_met(w, &s->config[i]))
            out[n++] = &s->config[i];
    sort_wish = w;
    qsort(out, (size_t)n, sizeof(*out), config_compare);
    return n;
}
