/*
 * A channel: what one application process shares with its worker. README.md, "Channels".
 *
 *   page 0            struct xg_channel_page
 *   then, per ring    index page, command pages, reply pages
 *   then              the arena
 */
#ifndef XG_CHANNEL_H
#define XG_CHANNEL_H

#include "protocol/ring.h"
#include "protocol/version.h"

#define XG_CHANNEL_MAGIC   0x31434758u /* "XGC1" */
#define XG_RINGS_MAX       32u
#define XG_ARENA_PAGES_MAX (1u << 22) /* 16 GiB */

/* Geometry. Chosen by the frontend within the backend's limits, carried by the open request; the
 * backend uses its own copy of that and never reads it from shared memory. */
struct xg_geometry {
    uint32_t ring_count;
    uint32_t cmd_order;
    uint32_t reply_order;
    uint32_t arena_pages;
};

struct xg_channel_page {
    uint32_t magic;
    uint32_t version;
    _Atomic uint8_t front_alive; /* cleared by the hypervisor when the frontend's mapping goes */
    uint8_t pad0[55];
    /* 0x40, written by the backend */
    _Atomic uint8_t back_alive; /* set when the worker serves; cleared when its mapping goes */
    uint8_t pad1[3];
    _Atomic uint32_t error; /* enum xg_ring_error, for all rings */
    uint64_t memory_limit;  /* bytes of device memory for the whole guest, 0: no limit */
    uint8_t pad2[48];
    /* 0x80, written by the backend; what the guest is told of its own use */
    _Atomic uint64_t device_ns; /* how long this channel has had the device */
    _Atomic uint64_t commands;  /* that have been done, of all rings */
    uint8_t pad3[4096 - 0x90];
};
_Static_assert(sizeof(struct xg_channel_page) == 4096, "one page");

static inline bool xg_geometry_valid(const struct xg_geometry *g)
{
    return g->ring_count >= 1 && g->ring_count <= XG_RINGS_MAX &&
           g->cmd_order >= XG_CMD_ORDER_MIN && g->cmd_order <= XG_CMD_ORDER_MAX &&
           g->reply_order <= XG_REPLY_ORDER_MAX && g->arena_pages >= 1 &&
           g->arena_pages <= XG_ARENA_PAGES_MAX;
}

static inline uint64_t xg_geometry_ring_pages(const struct xg_geometry *g)
{
    return 1 + (1ull << g->cmd_order) + (1ull << g->reply_order);
}

static inline uint64_t xg_geometry_pages(const struct xg_geometry *g)
{
    return 1 + g->ring_count * xg_geometry_ring_pages(g) + g->arena_pages;
}

/* Byte offsets from the start of the channel. */
static inline uint64_t xg_geometry_ring_offset(const struct xg_geometry *g, uint32_t ring)
{
    return (1 + ring * xg_geometry_ring_pages(g)) << XG_PAGE_SHIFT;
}

static inline uint64_t xg_geometry_arena_offset(const struct xg_geometry *g)
{
    return (1 + g->ring_count * xg_geometry_ring_pages(g)) << XG_PAGE_SHIFT;
}

#endif
