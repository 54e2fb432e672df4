/* Swap intervals: a program that asked for one is slowed down by a clock that runs at the screen's
 * refresh rate. The real refresh of the screen is not known here, and its events would come too
 * late. */
#include "interposer/wsi/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>
#include <xcb/randr.h>

#define REFRESH_DEFAULT_HZ 60u /* used where RandR does not tell */

unsigned xg_wsi_swap_interval_max(void)
{
    const char *mode = getenv("vblank_mode"); /* as in Mesa, 0: never wait */
    return mode && strcmp(mode, "0") == 0 ? 0 : XG_WSI_SWAP_INTERVAL_MAX;
}

/* Nanoseconds between two pictures; 0: no real screen has this mode. */
static uint64_t mode_period(const xcb_randr_mode_info_t *m)
{
    uint64_t dots = (uint64_t)m->htotal * m->vtotal;

    if (m->mode_flags & XCB_RANDR_MODE_FLAG_DOUBLE_SCAN)
        dots *= 2;
    if (m->mode_flags & XCB_RANDR_MODE_FLAG_INTERLACE)
        dots /= 2;
    uint64_t ns = m->dot_clock ? dots * 1000000000u / m->dot_clock : 0;
    return ns >= 1000000u && ns <= 1000000000u ? ns : 0; /* 1 to 1000 Hz */
}

/* The period of the monitor that shows this place, or else of any monitor. */
static uint64_t crtcs_period(xcb_connection_t *x,
                             xcb_randr_get_screen_resources_current_reply_t *res, int at_x,
                             int at_y)
{
    xcb_randr_crtc_t *crtc = xcb_randr_get_screen_resources_current_crtcs(res);
    xcb_randr_mode_info_t *mode = xcb_randr_get_screen_resources_current_modes(res);
    uint64_t any = 0;

    for (unsigned i = 0; i < res->num_crtcs; i++) {
        uint64_t period = 0;
        xcb_randr_get_crtc_info_reply_t *c = xcb_randr_get_crtc_info_reply(
            x, xcb_randr_get_crtc_info(x, crtc[i], res->config_timestamp), NULL);
        if (!c)
            continue;
        for (unsigned k = 0; c->mode && k < res->num_modes; k++)
            if (mode[k].id == c->mode)
                period = mode_period(&mode[k]);
        bool here =
            at_x >= c->x && at_x < c->x + c->width && at_y >= c->y && at_y < c->y + c->height;
        free(c);
        if (period && here)
            return period;
        if (!any)
            any = period;
    }
    return any;
}

uint64_t xg_screen_period(xcb_connection_t *x, uint32_t window)
{
    const xcb_query_extension_reply_t *ext = xcb_get_extension_data(x, &xcb_randr_id);
    uint64_t period = 0;

    if (!ext || !ext->present)
        return 1000000000u / REFRESH_DEFAULT_HZ;
    free(xcb_randr_query_version_reply(x, xcb_randr_query_version(x, 1, 3), NULL));
    xcb_randr_get_screen_resources_current_cookie_t asked =
        xcb_randr_get_screen_resources_current(x, window);
    xcb_query_tree_reply_t *tree = xcb_query_tree_reply(x, xcb_query_tree(x, window), NULL);
    xcb_translate_coordinates_reply_t *at =
        tree ? xcb_translate_coordinates_reply(
                   x, xcb_translate_coordinates(x, window, tree->root, 0, 0), NULL)
             : NULL;
    xcb_randr_get_screen_resources_current_reply_t *res =
        xcb_randr_get_screen_resources_current_reply(x, asked, NULL);
    if (res)
        period = crtcs_period(x, res, at ? at->dst_x : 0, at ? at->dst_y : 0);
    free(res);
    free(at);
    free(tree);
    return period ? period : 1000000000u / REFRESH_DEFAULT_HZ;
}

void xg_wsi_swap_interval_set(struct xg_wsi_drawable *d, unsigned interval)
{
    unsigned max = xg_wsi_swap_interval_max();

    d->swap_interval = interval < max ? interval : max;
    if (d->swap_interval && !d->period && d->presenter)
        d->period = xg_presenter_period(d->presenter);
}

void xg_wsi_pace(struct xg_wsi_drawable *d)
{
    uint64_t step = d->swap_interval * d->period, now;

    if (!step)
        return;
    now = xg_now_ns();
    d->due += step;
    if (d->due <= now || d->due > now + step) { /* the first frame, or one that is late */
        d->due = now;
        return;
    }
    struct timespec ts = {(time_t)(d->due / 1000000000u), (long)(d->due % 1000000000u)};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL) == EINTR)
        ;
}
