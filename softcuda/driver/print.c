/*
 * What kernels print. As on a GPU it goes into a buffer of a limited size, where text that nobody
 * fetched in time gives way to later text, and comes out when the program synchronises, launches,
 * loads or unloads a module, and before a host function: through the C library's own stdout, so
 * that it keeps its place among what the program itself prints.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "softcuda/driver/sc.h"

/* Records lie in a ring of bytes, each behind its head. */
struct head {
    uint32_t len;
    uint32_t error; /* for stderr */
};

struct sc_print {
    size_t size, start, used;
    uint8_t ring[];
};

static void ring_write(struct sc_print *p, const void *data, size_t len)
{
    size_t at = (p->start + p->used) % p->size, first = xg_min_u64(len, p->size - at);

    memcpy(p->ring + at, data, first);
    memcpy(p->ring, (const char *)data + first, len - first);
    p->used += len;
}

static void ring_read(struct sc_print *p, void *to, size_t len)
{
    size_t first = xg_min_u64(len, p->size - p->start);

    memcpy(to, p->ring + p->start, first);
    memcpy((char *)to + first, p->ring, len - first);
    p->start = (p->start + len) % p->size;
    p->used -= len;
}

static void ring_skip(struct sc_print *p)
{
    struct head h;

    ring_read(p, &h, sizeof(h));
    p->start = (p->start + h.len) % p->size;
    p->used -= h.len;
}

static void text_put(struct sc_ctx *ctx, const char *text, size_t len, bool error)
{
    struct head h = {(uint32_t)len, error};
    size_t need = sizeof(h) + len;

    pthread_mutex_lock(&ctx->print_lock);
    if (!ctx->print) {
        size_t size = xg_max_u64(ctx->api.limit[CU_LIMIT_PRINTF_FIFO_SIZE], SC_PRINT_MIN);
        ctx->print = malloc(sizeof(*ctx->print) + size);
        if (ctx->print)
            *ctx->print = (struct sc_print){.size = size};
    }
    struct sc_print *p = ctx->print;
    if (p && need <= p->size) {
        while (p->size - p->used < need)
            ring_skip(p); /* the oldest */
        ring_write(p, &h, sizeof(h));
        ring_write(p, text, len);
        atomic_store_explicit(&ctx->printed, true, memory_order_release);
    }
    pthread_mutex_unlock(&ctx->print_lock);
}

void sc_print(void *ctx, const char *text, size_t len)
{
    text_put(ctx, text, len, false);
}

void sc_print_error(void *ctx, const char *text, size_t len)
{
    text_put(ctx, text, len, true);
}

void sc_print_flush(struct sc_ctx *ctx)
{
    char text[4096];
    struct head h;

    if (XG_LIKELY(!atomic_load_explicit(&ctx->printed, memory_order_acquire)))
        return;
    pthread_mutex_lock(&ctx->print_lock);
    while (ctx->print && ctx->print->used) {
        ring_read(ctx->print, &h, sizeof(h));
        for (size_t n; h.len; h.len -= (uint32_t)n) {
            n = xg_min_u64(h.len, sizeof(text));
            ring_read(ctx->print, text, n);
            fwrite(text, 1, n, h.error ? stderr : stdout);
        }
    }
    atomic_store(&ctx->printed, false);
    pthread_mutex_unlock(&ctx->print_lock);
}

bool sc_print_resize(struct sc_ctx *ctx)
{
    pthread_mutex_lock(&ctx->print_lock);
    bool unused = !ctx->print || !ctx->print->used;
    if (unused) {
        free(ctx->print);
        ctx->print = NULL;
    }
    pthread_mutex_unlock(&ctx->print_lock);
    return unused;
}
