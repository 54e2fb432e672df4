/* The channel, and what its worker offers. */
#include "interposer/wsi/internal.h"
#include "frontend/stats.h"

#include "gl/names.h"
#include "wsi/names.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define QUERY_BYTES 65536u

pthread_mutex_t xg_wsi_host_lock = XG_LOCK_INITIALIZER;
static struct xg_wsi_host *host_info;
static uint64_t host_generation;
static bool host_failed, host_asking;

static void say_lost(void *arg)
{
    struct xg_channel *ch = arg;
    fprintf(stderr, "xengpu: %s; OpenGL calls have no effect from now on\n",
            xg_channel_error_text(ch));
}

/* The reply's size in *need; the bytes in arena memory at `where`. */
static int host_query(uint32_t where, uint32_t *need)
{
    struct xg_ring *r = xg_wsi_ring_borrow();
    struct xg_wsi_query_reply reply = {.need = 0};
    uint32_t ticket;

    xg_wsi_send_query(r, &(struct xg_wsi_query){.where = where, .size = QUERY_BYTES}, &ticket);
    xg_wsi_ring_said(r);
    int err = xg_ring_wait(r, ticket, &reply, sizeof(reply), NULL);
    xg_wsi_ring_return(r);
    *need = reply.need;
    return err;
}

static struct xg_wsi_host *host_build(const uint8_t *data, uint32_t size)
{
    struct xg_wsi_host *h = calloc(1, sizeof(*h));
    const struct xg_wsi_info *i = (const struct xg_wsi_info *)data;

    if (!h)
        return NULL;
    if (size < sizeof(*i) || i->size < sizeof(*i) || i->config_count > 4096 ||
        size < i->size + i->config_count * sizeof(struct xg_wsi_config))
        goto fail;
    h->info = *i;
    h->configs = calloc(i->config_count, sizeof(*h->configs));
    if (!h->configs)
        goto fail;
    memcpy(h->configs, data + i->size, i->config_count * sizeof(*h->configs));
    h->info.renderer[sizeof(h->info.renderer) - 1] = 0;
    snprintf(h->renderer, sizeof(h->renderer), "xengpu (%s)", h->info.renderer);
    return h;
fail:
    free(h);
    return NULL;
}

static struct xg_wsi_host *host_ask(void)
{
    struct xg_channel *ch = xg_channel_get();
    struct xg_wsi_host *h = NULL;
    uint32_t where, need;
    uint8_t *at;
    int err = xg_channel_error(ch);

    xg_wsi_fork_watch();
    xg_stats_names(XG_API_WSI, xg_wsi_op_names, XG_ARRAY_LEN(xg_wsi_op_names));
    xg_stats_names(XG_API_GL, xg_gl_op_names, XG_ARRAY_LEN(xg_gl_op_names));
    if (err) {
        fprintf(stderr, "xengpu: no OpenGL: %s\n", xg_channel_error_text(ch));
        return NULL;
    }
    at = xg_arena_alloc(ch, QUERY_BYTES, 4096, &where);
    if (!at) {
        fprintf(stderr, "xengpu: no OpenGL: the channel's arena is full\n");
        return NULL;
    }
    err = host_query(where, &need);
    if (!err && need <= QUERY_BYTES)
        h = host_build(at, need);
    xg_arena_free(ch, at);
    if (h)
        xg_channel_on_lost(ch, say_lost, ch);
    else
        fprintf(stderr, "xengpu: no OpenGL: %s\n",
                err == -ENODEV && xg_channel_error(ch) ? xg_channel_error_text(ch)
                : err ? "this guest's GPU offers none (see the daemon's log)"
                      : "the answer makes no sense");
    return h;
}

const struct xg_wsi_host *xg_wsi_host(void)
{
    pthread_mutex_lock(&xg_wsi_host_lock);
    if (host_generation != xg_channel_generation()) {
        host_info = NULL; /* after fork; the memory stays, since contexts may point to it */
        host_failed = host_asking = false;
        host_generation = xg_channel_generation();
    }
    /* host_asking: this is a signal handler that interrupted this same thread */
    if (!host_info && !host_failed && !host_asking) {
        host_asking = true;
        host_info = host_ask();
        host_failed = !host_info;
        host_asking = false;
    }
    struct xg_wsi_host *h = host_info;
    pthread_mutex_unlock(&xg_wsi_host_lock);
    return h;
}

bool xg_wsi_lost(void)
{
    return xg_channel_error(xg_channel_get()) != 0;
}
