/*
 * The control ring: one page and one event channel per guest, between the guest agent and the
 * broker. By it applications' channels are opened and closed. README.md, "Control ring".
 *
 * Requests go from the frontend to the backend, messages (replies and events) the other way.
 * Positions are free-running 32-bit counts of slots. Each side keeps its own position in private
 * memory, copies a slot once before it looks at it, and notifies after each store to one of its
 * positions.
 */
#ifndef XG_CONTROL_H
#define XG_CONTROL_H

#include "protocol/channel.h"
#include "protocol/event.h"

#define XG_CONTROL_MAGIC    0x52434758u /* "XGCR" */
#define XG_CONTROL_VERSION  1u
#define XG_CONTROL_REQUESTS 8u
#define XG_CONTROL_MESSAGES 8u
#define XG_CHANNELS_MAX     64u /* of a guest; a backend may offer fewer */

/* --- nodes of the store ----------------------------------------------------------------------- */

#define XG_DEVICE_CLASS "xengpu"

/* Written by the frontend. */
#define XG_NODE_STATE         "state"         /* enum xg_xenbus_state */
#define XG_NODE_VERSION       "version"       /* the one chosen of the backend's `versions` */
#define XG_NODE_RING_REF      "ring-ref"      /* grant reference of the control page */
#define XG_NODE_EVENT_CHANNEL "event-channel" /* port of the control ring */
/* Written by the backend. */
#define XG_NODE_VERSIONS        "versions"     /* "1": decimal, separated by commas */
#define XG_NODE_MAX_CHANNELS    "max-channels" /* applications at a time */
#define XG_NODE_MAX_RINGS       "max-rings"    /* of a channel */
#define XG_NODE_MAX_CMD_ORDER   "max-ring-page-order"
#define XG_NODE_MAX_REPLY_ORDER "max-reply-page-order"
#define XG_NODE_MAX_PAGES       "max-channel-pages" /* of a channel, all together */
#define XG_NODE_FEATURE_GL      "feature-gl"
#define XG_NODE_FEATURE_CUDA    "feature-cuda"
#define XG_NODE_GUEST_NAME      "guest-name"
#define XG_NODE_MEMORY_LIMIT    "memory-limit" /* bytes, 0: none */
#define XG_NODE_ERROR           "error"        /* why the backend closed the device */
/* In the backend's directory, for the backend: what whoever attached the device asked for. */
#define XG_NODE_ONLINE      "online" /* "1"; anything else: it is to be taken away */
#define XG_NODE_TYPE        "type"
#define XG_NODE_PGPU        "pgpu"
#define XG_NODE_WEIGHT      "weight"
#define XG_NODE_MEMORY      "memory"
#define XG_NODE_CAP         "cap"
#define XG_NODE_FRAMES      "fps-limit"
#define XG_NODE_HOST_MEMORY "host-memory"

enum xg_xenbus_state {
    XG_XENBUS_UNKNOWN = 0,
    XG_XENBUS_INITIALISING = 1,
    XG_XENBUS_INIT_WAIT = 2,
    XG_XENBUS_INITIALISED = 3,
    XG_XENBUS_CONNECTED = 4,
    XG_XENBUS_CLOSING = 5,
    XG_XENBUS_CLOSED = 6,
};

/* --- the page --------------------------------------------------------------------------------- */

enum xg_control_op {
    XG_CONTROL_OPEN = 1,
    XG_CONTROL_CLOSE = 2,
};

struct xg_control_open {
    struct xg_geometry geometry;
    uint32_t directory;          /* reference of the first struct xg_directory_page */
    uint32_t pid;                /* of the application, in its own pid namespace; for people */
    char command[64];            /* for people; ends in NUL */
    uint32_t port[XG_RINGS_MAX]; /* one for each ring; the rest 0 */
};

struct xg_control_request {
    uint16_t op; /* enum xg_control_op */
    uint16_t reserved;
    uint32_t id;      /* comes back in the reply */
    uint32_t channel; /* chosen by the frontend, below max-channels */
    uint32_t reserved2;
    union {
        struct xg_control_open open;
        uint8_t raw[240];
    };
};
_Static_assert(sizeof(struct xg_control_request) == 256, "layout");
_Static_assert(offsetof(struct xg_control_request, open.directory) == 32, "layout");
_Static_assert(offsetof(struct xg_control_request, open.port) == 104, "layout");

enum xg_control_message_type {
    XG_CONTROL_REPLY = 1, /* to the request `id` */
    XG_CONTROL_GONE =
        2, /* the channel's worker is dead; CLOSE must still be sent before its pages are freed */
};

struct xg_control_message {
    uint16_t type; /* enum xg_control_message_type */
    uint16_t op;   /* of the request, in a reply */
    uint32_t id;
    uint32_t channel;
    int32_t status;  /* 0 or a negative errno */
    uint32_t reason; /* GONE: enum xg_ring_error */
    uint32_t reserved;
    uint64_t memory_limit; /* reply to OPEN: bytes of device memory for the guest, 0: none */
    char text[96];         /* for people; ends in NUL */
};
_Static_assert(sizeof(struct xg_control_message) == 128, "layout");
_Static_assert(offsetof(struct xg_control_message, text) == 32, "layout");

struct xg_control_page {
    /* F, once, before `ring-ref` is published */
    uint32_t magic;
    uint32_t version;
    _Atomic uint8_t front_alive; /* cleared by the hypervisor when the frontend's mapping goes */
    uint8_t pad0[55];
    /* 0x040 F */
    _Atomic uint32_t req_prod;
    _Atomic uint32_t msg_cons;
    uint8_t pad1[56];
    /* 0x080 B */
    _Atomic uint32_t req_cons;
    _Atomic uint32_t msg_prod;
    _Atomic uint8_t back_alive; /* likewise */
    uint8_t pad2[55];
    uint8_t pad3[0x400 - 0xc0];
    struct xg_control_message message[XG_CONTROL_MESSAGES]; /* 0x400 B */
    struct xg_control_request request[XG_CONTROL_REQUESTS]; /* 0x800 F */
};
_Static_assert(sizeof(struct xg_control_page) == XG_PAGE_SIZE, "one page");
_Static_assert(offsetof(struct xg_control_page, message) == 0x400, "layout");
_Static_assert(offsetof(struct xg_control_page, request) == 0x800, "layout");

/* --- page directory --------------------------------------------------------------------------- */

#define XG_DIRECTORY_REFS 1022u

/* References of a channel's pages in order, as many pages of this kind as it takes. In local mode a
 * channel is one segment: the first reference stands for all. */
struct xg_directory_page {
    uint32_t next;  /* reference of the next, 0: the last */
    uint32_t count; /* references in this page, 1 to XG_DIRECTORY_REFS; full in all but the last */
    uint32_t ref[XG_DIRECTORY_REFS];
};
_Static_assert(sizeof(struct xg_directory_page) == XG_PAGE_SIZE, "one page");

static inline uint64_t xg_directory_refs(enum xg_platform platform, uint64_t pages)
{
    return platform == XG_PLATFORM_LOCAL ? 1 : pages;
}

static inline uint64_t xg_directory_pages(uint64_t refs)
{
    return (refs + XG_DIRECTORY_REFS - 1) / XG_DIRECTORY_REFS;
}

#endif
