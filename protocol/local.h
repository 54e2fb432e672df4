/*
 * Local mode's stand-in for xenstore, grants and event channels: a Unix SOCK_SEQPACKET socket per
 * guest, between the guest agent and the broker. Not part of the contract over Xen; README.md,
 * "Local mode".
 *
 * The agent sends requests; each but NOTIFY is answered by one XG_LOCAL_ANSWER with the same id. In
 * between the broker may send EVENT (a watched node changed) and NOTIFY (the control ring's event).
 */
#ifndef XG_LOCAL_H
#define XG_LOCAL_H

#include "protocol/control.h"

enum xg_local_type {
    XG_LOCAL_READ = 1,  /* text: path; the answer's text: its value */
    XG_LOCAL_WRITE = 2, /* text: path, NUL, value */
    XG_LOCAL_WATCH =
        3, /* text: path; an EVENT comes at once and at each change of a node there or below */
    /* number: segment; one descriptor: a memfd of ordinary pages, sealed against shrinking */
    XG_LOCAL_GRANT = 4,
    XG_LOCAL_REVOKE = 5, /* number: segment */
    XG_LOCAL_PORTS =
        6, /* number: first port; pairs of descriptors: what the backend waits on, what it kicks */
    XG_LOCAL_NOTIFY = 7, /* number: port of the control ring */
    XG_LOCAL_ANSWER = 8, /* number: 0 or a negative errno */
    XG_LOCAL_EVENT = 9,  /* text: path of the watch */
};

#define XG_LOCAL_TEXT_MAX  1024u
#define XG_LOCAL_VALUE_MAX 512u

struct xg_local_message {
    uint16_t type;   /* enum xg_local_type */
    uint16_t length; /* of the text, with its last NUL, 0: none */
    uint32_t id;
    int32_t number;
    uint32_t reserved;
    char text[XG_LOCAL_TEXT_MAX];
};
#define XG_LOCAL_HEADER offsetof(struct xg_local_message, text)

/* A grant reference: segment and page. A channel is one segment, from its page 0 on; directory
 * pages may follow there. */
#define XG_LOCAL_PAGE_BITS 22u
#define XG_LOCAL_SEGMENTS  1024u /* 1 to 1023 */
#define XG_LOCAL_PAGES     (1u << XG_LOCAL_PAGE_BITS)

static inline uint32_t xg_local_ref(uint32_t segment, uint32_t page)
{
    return segment << XG_LOCAL_PAGE_BITS | page;
}

/* Paths are those of xenstore: a guest's own directory is the root of relative ones. */
#define XG_LOCAL_FRONT "device/" XG_DEVICE_CLASS "/0"

#endif
