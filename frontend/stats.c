#include "frontend/stats.h"
#include "frontend/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool xg_stats_on;

static struct wait_sum {
    _Atomic uint64_t count, ns;
} sums[1u << 16];

static struct {
    char **name;
    unsigned count;
} apis[XG_API_COUNT];

static struct xg_channel *counted;

void xg_stats_names(unsigned api, const char *const *names, unsigned count)
{
    if (!xg_stats_on || api >= XG_API_COUNT || apis[api].name)
        return;
    apis[api].name = calloc(count, sizeof(*apis[api].name));
    apis[api].count = apis[api].name ? count : 0;
    for (unsigned i = 0; i < apis[api].count; i++)
        apis[api].name[i] = names[i] ? strdup(names[i]) : NULL;
}

void xg_stats_start(struct xg_channel *ch)
{
    const char *wanted = getenv("XENGPU_STATS");

    if (!wanted || !*wanted || !strcmp(wanted, "0") || atomic_load(&ch->error))
        return;
    counted = ch;
    xg_stats_on = true;
}

void xg_stats_wait(uint16_t op, uint64_t ns)
{
    atomic_fetch_add_explicit(&sums[op].count, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&sums[op].ns, ns, memory_order_relaxed);
}

void xg_stats_reset(void)
{
    if (!xg_stats_on)
        return;
    xg_stats_on = false;
    counted = NULL;
    memset(sums, 0, sizeof(sums));
}

/* --- the report ------------------------------------------------------------------------------- */

static uint64_t sum_ns(unsigned op)
{
    return atomic_load_explicit(&sums[op].ns, memory_order_relaxed);
}

static int most_first(const void *a, const void *b)
{
    uint64_t x = sum_ns(*(const uint16_t *)a), y = sum_ns(*(const uint16_t *)b);

    return (x < y) - (x > y);
}

static void op_name(uint16_t op, char *text, size_t size)
{
    unsigned api = op >> XG_OP_API_SHIFT, number = op & ((1u << XG_OP_API_SHIFT) - 1);

    if (op == XG_STATS_POSITION)
        snprintf(text, size, "(the worker had to come to a command)");
    else if (op == XG_STATS_ROOM)
        snprintf(text, size, "(the ring was full)");
    else if (api < XG_API_COUNT && number < apis[api].count && apis[api].name[number])
        snprintf(text, size, "%s", apis[api].name[number]);
    else
        snprintf(text, size, "operation 0x%04x", op);
}

static void waits_print(void)
{
    static uint16_t order[XG_ARRAY_LEN(sums)];
    unsigned n = 0;

    for (unsigned op = 0; op < XG_ARRAY_LEN(sums); op++)
        if (atomic_load_explicit(&sums[op].count, memory_order_relaxed))
            order[n++] = (uint16_t)op;
    qsort(order, n, sizeof(order[0]), most_first);
    if (n)
        fprintf(stderr, "xengpu: %10s %12s  waited for\n", "times", "ms");
    for (unsigned i = 0; i < n; i++) {
        char name[96];
        op_name(order[i], name, sizeof(name));
        fprintf(
            stderr, "xengpu: %10llu %12.3f  %s\n",
            (unsigned long long)atomic_load_explicit(&sums[order[i]].count, memory_order_relaxed),
            (double)sum_ns(order[i]) / 1e6, name);
    }
}

static void __attribute__((destructor)) stats_print(void)
{
    const struct xg_channel *ch = counted;
    uint64_t bytes = 0;

    if (!xg_stats_on)
        return;
    const struct xg_channel_page *page = (const struct xg_channel_page *)ch->base;
    for (uint32_t i = 0; i < ch->geometry.ring_count; i++)
        bytes += xg_ring_published(&ch->rings[i]);
    fprintf(stderr, "xengpu: %llu commands done, %llu bytes sent, %.3f ms of the device\n",
            (unsigned long long)atomic_load_explicit(&page->commands, memory_order_relaxed),
            (unsigned long long)bytes,
            (double)atomic_load_explicit(&page->device_ns, memory_order_relaxed) / 1e6);
    waits_print();
}
