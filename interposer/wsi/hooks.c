/*
 * The few GL functions that matter to the window system too. Those that begin a frame check the
 * window's size, as a driver inside the process would; those that flush show what was drawn to a
 * front buffer.
 */
#include "interposer/wsi/internal.h"

#include <GL/gl.h>

static void (*real_viewport)(GLint, GLint, GLsizei, GLsizei);
static void (*real_clear)(GLbitfield);
static void (*real_flush)(void);
static void (*real_finish)(void);
static void (*real_draw_buffer)(GLenum);

static inline void window_follow(void)
{
    struct xg_wsi_context *c = xg_wsi_current();
    if (c && c->draw && c->draw->kind == XG_WSI_WINDOW)
        xg_wsi_drawable_follow(c, c->draw);
}

static void hook_viewport(GLint x, GLint y, GLsizei w, GLsizei h)
{
    window_follow();
    real_viewport(x, y, w, h);
}

static void hook_clear(GLbitfield mask)
{
    window_follow();
    real_clear(mask);
}

static void hook_flush(void)
{
    struct xg_wsi_context *c = xg_wsi_current();
    real_flush();
    if (c)
        xg_wsi_flush_front(c);
}

static void hook_finish(void)
{
    struct xg_wsi_context *c = xg_wsi_current();
    real_finish();
    if (c)
        xg_wsi_flush_front(c);
}

static void hook_draw_buffer(GLenum mode)
{
    struct xg_wsi_context *c = xg_wsi_current();

    real_draw_buffer(mode);
    if (!c || !c->draw)
        return;
    c->front =
        mode == GL_FRONT || mode == GL_FRONT_LEFT || mode == GL_FRONT_AND_BACK || mode == GL_LEFT;
    if (c->front)
        c->draw->front_used = true;
}

static const struct {
    const char *name;
    void *hook;
    void *real;
} hooks[] = {
    {"glViewport", (void *)hook_viewport, &real_viewport},
    {"glClear", (void *)hook_clear, &real_clear},
    {"glFlush", (void *)hook_flush, &real_flush},
    {"glFinish", (void *)hook_finish, &real_finish},
    {"glDrawBuffer", (void *)hook_draw_buffer, &real_draw_buffer},
};

void *xg_wsi_get_proc(const char *name)
{
    void *f = xg_gl_get_proc(name);

    for (unsigned i = 0; f && i < XG_ARRAY_LEN(hooks); i++)
        if (strcmp(hooks[i].name, name) == 0) {
            *(void **)hooks[i].real = f;
            return hooks[i].hook;
        }
    return f;
}
