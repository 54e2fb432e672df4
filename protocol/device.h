/*
 * The device socket: between an application and the guest agent, inside one guest. A Unix
 * SOCK_SEQPACKET socket, path in XENGPU_SOCKET, else /run/xengpu/agent.sock. The application sends
 * a hello and gets a welcome with the descriptors of its channel; from then on the socket stays
 * open and silent: when either end closes it, the channel is over.
 */
#ifndef XG_DEVICE_H
#define XG_DEVICE_H

#include "protocol/channel.h"

#define XG_HELLO_MAGIC    0x4f484758u /* "XGHO" */
#define XG_WELCOME_MAGIC  0x45574758u /* "XGWE" */
#define XG_GREETING_MAX   4096u       /* bytes of a hello or welcome, in any version */
#define XG_DEFAULT_SOCKET "/run/xengpu/agent.sock"

struct xg_hello {
    uint32_t magic;
    uint32_t version; /* XG_PROTOCOL_VERSION */
    uint32_t pid;     /* in the application's own pid namespace; for people */
    uint32_t reserved;
    char command[64]; /* for people; ends in NUL */
};

/* Descriptors, in this order: the pages; then for each ring its wait descriptor and, in local mode
 * only, its kick descriptor. */
struct xg_welcome {
    uint32_t magic;
    uint32_t version;
    /* 0 or a negative errno; `text` then says what is wrong and the way out, and there are no
     * descriptors */
    int32_t status;
    uint32_t platform; /* enum xg_platform */
    struct xg_geometry geometry;
    uint64_t map_offset;         /* where in the pages' descriptor the channel starts */
    uint64_t memory_limit;       /* bytes of device memory for the guest, 0: none */
    uint32_t port[XG_RINGS_MAX]; /* Xen: the local port of each ring */
    char guest[64];
    char text[256];
};

#endif
