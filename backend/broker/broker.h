/*
 * The broker knows what there is (pGPUs, types, guests, channels), and decides who may have what.
 * It opens no GPU, and parses nothing but the store, the control rings, its configuration and the
 * operator's requests.
 *
 * This header has what its files share. What others may use of a file is in the header of its name;
 * README.md lists the files in the order in which they use each other.
 */
#ifndef XG_BROKER_H
#define XG_BROKER_H

#include "backend/broker/probe.h"
#include "backend/loop/log.h"
#include "backend/loop/loop.h"
#include "backend/platform/platform.h"
#include "backend/sched/scheduler.h"
#include "backend/spawn.h"
#include "settings/keys.h"

#include <string.h>

struct xg_options {
    bool xen, test_mode;
    enum xg_sandbox sandbox;
    bool stuck_kill;
    bool cgroups;          /* use control groups where this machine allows it */
    char socket_dir[92];   /* sockets' names are at most 107 bytes */
    char library_dir[256]; /* where softcuda/ and the like are */
    char agent[256];       /* the program */
    char agent_user[64];   /* "": agents run as the daemon's user */
    uint32_t uid_base;     /* workers of guest n run as uid_base + n; 0: as the daemon */
    uint32_t max_channels;
    uint64_t max_channel_pages;
    uint64_t probe_ns; /* how long the first look at a device may take */
    struct xg_sched_config sched;
};

enum xg_look_state {
    XG_LOOK_OFF,    /* the configuration says that the pGPU does not offer this API */
    XG_LOOK_RUNS,   /* a child looks at it */
    XG_LOOK_PAUSES, /* the last look failed, the next follows */
    XG_LOOK_FOUND,
};

#define XG_LOOK_TEXT 512u

/* One API of a pGPU; look.c. */
struct xg_look {
    struct xg_pgpu *pgpu;
    enum xg_look_state state;
    unsigned failures;
    uint64_t child;  /* its number for the spawner; 0: it has ended */
    uint64_t since;  /* when the last look began */
    char error[384]; /* how the last look that ended failed */
    struct xg_probe_result found;
    struct xg_source pipe;
    struct xg_relay *relay; /* what the child, or its drivers, print */
    struct xg_timer timer;  /* RUNS: its time limit; PAUSES: when the next begins */
};

/* How guests share a pGPU. */
struct xg_sharing {
    enum xg_sched_policy policy;
    uint64_t quantum_ns, average_ns; /* 0: the value in [daemon]; 0: XG_AVERAGE_NS */
    uint32_t instances;              /* guests at a time, 0: as many as there are */
    bool no_preempt;
};

struct xg_broker;

struct xg_pgpu {
    struct xg_pgpu *next;
    struct xg_broker *broker;
    char name[XG_NAME_MAX];
    char cuda[256], gl[256]; /* as configured */
    int cuda_ordinal;
    struct xg_device_config device;
    struct xg_sharing sharing;
    struct xg_look look[XG_PROBE_APIS];
    struct xg_sched *sched;
    struct xg_source stuck;
    unsigned guests;
    bool settled; /* ready for guests */
};

struct xg_type {
    struct xg_type *next;
    char name[XG_NAME_MAX];
    struct xg_settings settings; /* with a value for every key */
};

struct xg_guest_config {
    struct xg_guest_config *next;
    char name[XG_NAME_MAX];
    struct xg_settings settings;
    uint32_t detached_domid; /* Xen: the domain that an operator took the device from; 0: none */
};

enum xg_channel_state {
    XG_CHANNEL_FREE,
    XG_CHANNEL_OPEN,
    XG_CHANNEL_GONE,    /* its worker is dead, the frontend has not closed it yet */
    XG_CHANNEL_CLOSING, /* its worker has been told to end */
};

struct xg_guest;

struct xg_broker_channel {
    struct xg_guest *guest;
    enum xg_channel_state state;
    bool reply; /* CLOSING: the frontend waits for a reply to request `request` */
    uint32_t request;
    uint64_t id;  /* of the worker, for the spawner */
    int worker;   /* its process, 0: not started yet */
    uint32_t pid; /* the application's, in its own namespace */
    char command[64];
    struct xg_geometry geometry;
    int slot;               /* of the scheduler, -1: none */
    enum xg_ring_error why; /* what the frontend is told; XG_RING_OK: what the exit status says */
    bool over_memory;       /* host.c killed its worker for the memory that it used */
    struct xg_timer limit;  /* CLOSING: its worker is killed when this fires */
    struct xg_relay *relay; /* its worker's messages */
    struct xg_refusals *refusals;
    uint64_t opened;
};

#define XG_MESSAGE_QUEUE (2u * XG_CHANNELS_MAX)

struct xg_guest {
    struct xg_guest *next;
    struct xg_broker *broker;
    char name[XG_NAME_MAX];
    struct xg_pgpu *pgpu;
    uint32_t index; /* the smallest number that no other guest has */
    struct xg_sched_guest *sched;
    struct xg_frontend *front;

    /* guest_settings.c. What an operator gave the guest counts more than its section of the
     * configuration, and that more than its type. If an operator gave it a type, the other keys
     * of the section do not count. */
    struct xg_settings own, config;
    char type[XG_NAME_MAX]; /* these follow from the two above */
    uint32_t weight;
    uint64_t memory_limit;
    struct xg_sched_limits limits;
    uint64_t host_memory; /* bytes, or as in struct xg_policy */

    /* guest.c: the agent, and who waits for the guest's end */
    uint64_t user; /* whose agent.sock is, as in struct xg_settings */
    bool with_agent, removing;
    uint64_t agent_id; /* 0: not running */
    struct xg_relay *agent_relay;
    unsigned agent_deaths;
    struct xg_timer agent_restart, reap;
    void (*removed)(void *arg, int err); /* called when the guest is gone */
    void *removed_arg;

    /* host.c */
    struct xg_group *group; /* NULL: none */
    uint64_t host_used;     /* without a group: bytes at the last look */

    /* xenbus.c */
    enum xg_xenbus_state state;
    bool closing, unpublished, offered;
    struct xg_timer store_again;

    /* control.c */
    const struct xg_control_user *control;
    struct xg_control_page *page;
    uint32_t req_cons, msg_prod; /* private */
    struct xg_control_message queue[XG_MESSAGE_QUEUE];
    unsigned queued;
    struct xg_timer starts_over; /* the request to open that waits in the ring may be taken */

    uint64_t starts_until; /* starts.c: its workers' starts have been paid for */
    struct xg_broker_channel channel[XG_CHANNELS_MAX];
    uint64_t crashes_until; /* channel.c: its workers' crashes have been waited for */
};

/* All that the daemon knows, but for what a process has only one of: the loop, the spawner, the
 * control groups, the connection to Xen. */
struct xg_broker {
    struct xg_options options;
    struct xg_pgpu *pgpus;
    struct xg_type *types;
    struct xg_guest_config *guest_configs;
    struct xg_guest *guests;
    bool stopping;       /* the daemon ends: no guest is attached any more */
    unsigned processors; /* of this machine, for the daemon and workers */

    struct {
        const char *path;          /* the command line's, "": none */
        bool loaded;               /* the default file was there */
        struct xg_options base;    /* before any file was read */
        struct xg_options current; /* of the last file, without what needs a restart */
    } config;                      /* reload.c */

    struct {
        bool started, grouped;
        uint32_t weights; /* of all guests that have groups */
        struct xg_timer watch;
    } host; /* host.c */

    struct xg_operators *operators; /* operator.c */
    /* called when a device's state changes; may be NULL */
    void (*guest_changed)(const struct xg_guest *g);
};

/* The element of a list that has this name, or NULL. */
#define XG_NAMED(list, wanted)                                                                     \
    ({                                                                                             \
        __typeof__(&*(list)) at_ = (list);                                                         \
        while (at_ && strcmp(at_->name, (wanted)))                                                 \
            at_ = at_->next;                                                                       \
        at_;                                                                                       \
    })
/* Puts an element at the end of a list. */
#define XG_APPEND(list, one)                                                                       \
    do {                                                                                           \
        __typeof__(one) *at_ = &(list);                                                            \
        while (*at_)                                                                               \
            at_ = &(*at_)->next;                                                                   \
        *at_ = (one);                                                                              \
    } while (0)

/* The channel has a worker. */
static inline bool xg_channel_live(const struct xg_broker_channel *c)
{
    return c->state == XG_CHANNEL_OPEN || c->state == XG_CHANNEL_CLOSING;
}

static inline unsigned xg_channels_live(const struct xg_guest *g)
{
    unsigned n = 0;
    for (unsigned i = 0; i < XG_CHANNELS_MAX; i++)
        n += xg_channel_live(&g->channel[i]);
    return n;
}

#endif
