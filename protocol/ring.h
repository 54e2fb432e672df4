/*
 * The ring pair of a channel: bytes of commands one way, bytes of replies the other.
 *
 * Each direction has one producer and one consumer. Positions are free-running 64-bit byte counts;
 * a position modulo the ring's size is the place in the ring. What a side believes of its own
 * position is in its private memory: it never reads back a word that it writes. What it reads of
 * the other side's words is checked before use.
 *
 * This header is the layout and nothing else; README.md is the contract. Frontend and backend each
 * have their own code for their side.
 */
#ifndef XG_RING_H
#define XG_RING_H

#include "protocol/base.h"

#include <stdatomic.h>

#define XG_RING_MAGIC   0x31524758u /* "XGR1", little-endian */
#define XG_RING_VERSION 1u

#define XG_RING_WORDS 14u /* that an API has in the index page */

/* Orders are log2 of pages. */
#define XG_CMD_ORDER_MIN   4u  /*  64 KiB: a frame has room for every blob that is written in it */
#define XG_CMD_ORDER_MAX   12u /*  16 MiB */
#define XG_REPLY_ORDER_MIN 0u
#define XG_REPLY_ORDER_MAX 8u

/*
 * Index page. One line of 64 bytes has one writer (F: frontend, B: backend). Hold-off words: a side
 * that wants an event stores the position that it waits for, then a full barrier, then looks again
 * and only then sleeps; the other side stores its position, then a full barrier, then reads the
 * hold-off word, and notifies if that store carried the position from below the word to it or past
 * it.
 */
struct xg_ring_page {
    /* F, once, before the channel is opened */
    uint32_t magic;
    uint32_t version;
    uint32_t cmd_order;
    uint32_t reply_order;
    uint8_t pad0[48];
    /* 0x040 F */
    _Atomic uint64_t cmd_prod;
    uint8_t pad1[56];
    /* 0x080 F */
    _Atomic uint64_t reply_cons;
    uint8_t pad2[56];
    /* 0x0c0 F: in a line of their own, so that the backend can read them at no cost while they do
     * not change */
    _Atomic uint64_t reply_event; /* wants an event when reply_prod reaches this */
    _Atomic uint64_t done_event;  /* ... when cmd_done reaches this */
    _Atomic uint64_t cons_event;  /* ... when cmd_cons reaches this (room in the command ring) */
    uint8_t pad3[40];
    /* 0x100 B */
    _Atomic uint64_t cmd_cons; /* copied out: the ring's bytes may be written again */
    /* executed: arena memory that these commands named may be used again */
    _Atomic uint64_t cmd_done;
    uint8_t pad4[48];
    /* 0x140 B */
    _Atomic uint64_t reply_prod;
    uint8_t pad5[56];
    /* 0x180 B */
    _Atomic uint64_t cmd_event;        /* wants an event when cmd_prod reaches this */
    _Atomic uint64_t reply_room_event; /* ... when reply_cons reaches this */
    uint8_t pad6[48];
    /* 0x1c0 B: read by the application without a round trip; each API says what it puts there */
    /* enum xg_ring_error: 0, or why the backend stopped serving this ring */
    _Atomic uint32_t error;
    uint32_t pad7;
    _Atomic uint32_t word[XG_RING_WORDS];
    /* 0x200 */
    uint8_t pad8[4096 - 0x200];
};
_Static_assert(sizeof(struct xg_ring_page) == 4096, "the index page is one page");
_Static_assert(offsetof(struct xg_ring_page, cmd_cons) == 0x100, "layout");
_Static_assert(offsetof(struct xg_ring_page, error) == 0x1c0, "layout");

/* struct xg_ring_page.error */
enum xg_ring_error {
    XG_RING_OK = 0,
    XG_RING_PROTOCOL = 1, /* the frontend broke the protocol */
    XG_RING_LOST = 2,     /* the worker died, or was stopped */
    XG_RING_DEVICE = 3,   /* the device could not be used */
    XG_RING_CLOSED = 4,   /* detached by the operator */
    XG_RING_RESUMED = 5,  /* the guest was restored or migrated; the agent says so */
    XG_RING_MEMORY = 6,   /* the worker had more of the host's memory than the guest may */
};

/*
 * A command. Frames are multiples of 8 bytes, start at multiples of 8, and never cross the end of
 * the ring: XG_OP_PAD fills up to it. `size` includes this header.
 */
struct xg_frame {
    uint16_t op;
    uint16_t flags;
    uint32_t size;
};
#define XG_FRAME_CALL  0x0001u /* a reply is wanted: struct xg_ticket follows the header */
#define XG_FRAME_FLAGS 0x0001u

struct xg_ticket {
    uint32_t ticket; /* chosen by the frontend, comes back in the reply */
    uint32_t reserved;
};

/* A reply. Replies may come in another order than their calls. Same placement rules; ticket
 * XG_TICKET_PAD marks padding up to the ring's end. */
struct xg_reply {
    uint32_t ticket;
    uint32_t size;   /* with this header */
    int32_t status;  /* 0, or a negative errno: -ENOSYS for an unknown opcode */
    uint32_t length; /* bytes of payload that mean something, <= size - sizeof(struct xg_reply) */
};
#define XG_TICKET_PAD 0u

/* The largest frame that a ring of `bytes` carries: larger data goes through the arena. */
static inline uint32_t xg_frame_max(uint64_t bytes)
{
    return (uint32_t)xg_min_u64(bytes / 4, 65536);
}

/* True if storing `now` where `before` was carried the position to or past `event`. */
static inline bool xg_event_crossed(uint64_t before, uint64_t now, uint64_t event)
{
    return event - before - 1 < now - before;
}

/* Opcodes: the upper four bits name the API. */
#define XG_OP_API_SHIFT 12
enum {
    XG_API_CORE = 0x0,
    XG_API_GL = 0x1,   /* OpenGL, OpenGL ES */
    XG_API_WSI = 0x2,  /* contexts, surfaces, presentation: GLX and EGL */
    XG_API_CUDA = 0x3, /* the driver API */
    XG_API_COUNT = 4,
};
enum {
    XG_OP_NONE = 0x0000, /* never valid: an unwritten ring reads as this */
    XG_OP_PAD = 0x0001,  /* ignored */
    XG_OP_NULL =
        0x0002, /* does nothing; with XG_FRAME_CALL, an empty reply: the cost of a round trip */
    /* struct xg_op_wait_ring: what follows waits until ring R has executed up to P */
    XG_OP_WAIT_RING = 0x0003,
    XG_OP_ECHO = 0x0004, /* a blob comes back in the reply; for tests and benchmarks */
    XG_OP_BURN = 0x0005, /* u64 ns: occupies the device that long; served in test mode only */
    /* u64 bytes: the worker takes so much memory, uncounted, and never frees it; in test mode
     * only */
    XG_OP_TAKE = 0x0006,
};
struct xg_op_wait_ring {
    uint32_t ring;
    uint32_t reserved;
    uint64_t position;
};

#endif
