/*
 * The broker: what there is (pGPUs, types, guests, channels), and who may have what. It opens no
 * GPU and parses nothing but the store, the control rings, its configuration and the operator's
 * requests.
 *
 *   config.c     the configuration file; options.c its [daemon];
 *                what guests may be given: settings/keys.c
 *   reload.c     lets it take effect, at the start and later
 *   inventory.c  pGPUs and types, placement
 *   look.c       looking at a pGPU's devices, by children; probe.c is such a child
 *   guest.c      guests: attach, detach, agents
 *   domains.c    Xen: which domains have a device
 *   xenbus.c     a guest's device node and its states
 *   control.c    its control ring
 *   channel.c    its channels and their workers
 *   host.c       what they may have of this machine itself; cgroup.c its control groups
 *   relay.c      what workers, agents and the children that look at devices write
 *   refusals.c   what a worker's sandbox refuses
 *   sockets.c    where the guests' sockets are
 *   operator.c   the operator's socket; report.c what it answers
 */
#ifndef XG_BROKER_H
#define XG_BROKER_H

#include "backend/broker/spawner.h"
#include "backend/loop/log.h"
#include "backend/platform/platform.h"
#include "backend/sched/scheduler.h"
#include "settings/keys.h"

#include <jansson.h>

struct xg_options {
    bool xen, test_mode;
    enum xg_sandbox sandbox;
    bool stuck_kill;
    bool cgroups;          /* where they can be had */
    char socket_dir[92];   /* sockets' names are at most 107 bytes */
    char library_dir[256]; /* where softcuda/ and the like are */
    char agent[256];       /* the program */
    char agent_user[64];   /* "": stay */
    uint32_t uid_base;     /* workers of guest n run as uid_base + n; 0: as the daemon */
    uint32_t max_channels;
    uint64_t max_channel_pages;
    uint64_t probe_ns; /* how long the first look at a device may take */
    struct xg_sched_config sched;
};

enum xg_look_state {
    XG_LOOK_OFF,    /* the pGPU is not to offer this API */
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
    uint64_t child;  /* for the spawner; 0: it has ended */
    uint64_t since;  /* when the last look began */
    char error[384]; /* how the last look that ended failed */
    struct xg_probe_result found;
    struct xg_source pipe;
    struct xg_relay *relay; /* what the child, or its drivers, say */
    struct xg_timer timer;  /* RUNS: its limit; PAUSES: the next */
};

/* How guests share a pGPU. */
struct xg_sharing {
    enum xg_sched_policy policy;
    uint64_t quantum_ns, average_ns; /* 0: the daemon's; XG_AVERAGE_NS */
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
    uint32_t weight;
    uint64_t memory, host_memory;
    uint32_t cap;       /* percent */
    uint32_t frames;    /* of a window, a second; 0: no limit */
    uint32_t instances; /* guests at a time on a pGPU, 0: as many as it takes */
};

struct xg_guest_config {
    struct xg_guest_config *next;
    char name[XG_NAME_MAX];
    struct xg_settings settings;
    uint32_t without; /* Xen: an operator took the device from this domain */
};

enum xg_channel_state {
    XG_CHANNEL_FREE,
    XG_CHANNEL_OPEN,
    XG_CHANNEL_GONE,    /* its worker is dead, the frontend has yet to close it */
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
    enum xg_ring_error why; /* what GONE says; XG_RING_OK: as the exit status says */
    bool over;              /* killed by host.c for the memory that it took */
    struct xg_timer limit;  /* CLOSING: then it is killed */
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

    /* settings.c. What an operator gave it counts before its section of the configuration, and that
     * before its type; an operator's type hides what the section says beside it. */
    struct xg_settings own, config;
    char type[XG_NAME_MAX]; /* what follows from them */
    uint32_t weight;
    uint64_t memory_limit;
    struct xg_sched_limits limits;
    uint64_t host_memory; /* bytes, or as in struct xg_policy */

    /* guest.c: the agent, and those who wait for the guest */
    uint64_t user; /* whose agent.sock is, as in struct xg_settings */
    bool with_agent, removing;
    uint64_t agent_id; /* 0: not running */
    struct xg_relay *agent_relay;
    unsigned agent_deaths;
    struct xg_timer agent_restart, reap;
    void (*removed)(void *arg, int err); /* when removing has come to its end */
    void *removed_arg;

    /* host.c */
    struct xg_group *group; /* NULL: none */
    uint64_t host_used;     /* where there is none: at the last look */

    /* xenbus.c */
    enum xg_xenbus_state state;
    bool closing, unpublished, offered;
    struct xg_timer store_again;

    /* control.c */
    struct xg_control_page *page;
    uint32_t req_cons, msg_prod; /* private */
    struct xg_control_message queue[XG_MESSAGE_QUEUE];
    unsigned queued;

    struct xg_broker_channel channel[XG_CHANNELS_MAX];
    uint64_t crashes_until; /* channel.c: its workers' crashes have been waited for */
};

/* All that the daemon knows. What a process has but one of is not in it: the loop, the spawner, the
 * control groups, the connection to Xen. */
struct xg_broker {
    struct xg_options options;
    struct xg_pgpu *pgpus;
    struct xg_type *types;
    struct xg_guest_config *guest_configs;
    struct xg_guest *guests;
    bool stopping; /* the daemon ends: no guest is attached any more */

    struct {
        const char *path;          /* the command line's, "": none */
        bool loaded;               /* the default file was there */
        struct xg_options base;    /* before any file was read */
        struct xg_options current; /* as the last file had them, but for what waits for a restart */
    } config;                      /* reload.c */

    struct {
        bool started, grouped;
        uint32_t weights; /* of all guests that have groups */
        struct xg_timer watch;
    } host; /* host.c */

    struct xg_operators *operators; /* operator.c */
};

/* reload.c. The file given, or "": /etc/xengpu/xengpud.conf if it is there. 0, or -EINVAL with what
 * is wrong in the log. */
int xg_config_start(struct xg_broker *b, const char *path);
/* Reads the file again. What changes, {"file", "changes": [{"what", "applies"}]}; or NULL, with a
 * text (to be freed) of what is wrong with it, and then nothing has changed. Both are logged. */
json_t *xg_config_reload(struct xg_broker *b, char **errors);

/* inventory.c */
struct xg_pgpu *xg_pgpu_find(const struct xg_broker *b, const char *name);
struct xg_type *xg_type_find(const struct xg_broker *b, const char *name);
struct xg_guest_config *xg_guest_config_find(const struct xg_broker *b, const char *name);
/* A pGPU as configured; not started yet. NULL: there is no memory for it. */
struct xg_pgpu_config;
struct xg_pgpu *xg_pgpu_add(struct xg_broker *b, const struct xg_pgpu_config *c);
bool xg_pgpu_same(const struct xg_pgpu *p, const struct xg_pgpu_config *c);
/* Starts its scheduler and looks at its devices. */
int xg_pgpu_start(struct xg_pgpu *p);
int xg_inventory_start(struct xg_broker *b);
void xg_inventory_stop(struct xg_broker *b);
/* The pGPU for a new guest of type `t`: the one with the smallest load, of those with room. */
struct xg_pgpu *xg_place(const struct xg_broker *b, const struct xg_type *t);
/* As many guests of type `t` are there as may be. */
bool xg_type_full(const struct xg_pgpu *p, const struct xg_type *t);
/* Whether a guest of type `t` more may be there. */
bool xg_pgpu_room(const struct xg_pgpu *p, const struct xg_type *t);
/* "best-effort", "equal", "fixed". */
const char *xg_policy_name(enum xg_sched_policy policy);
/* Lets what its section and [daemon] say of sharing take effect. */
void xg_pgpu_share(struct xg_pgpu *p);
double xg_pgpu_load(const struct xg_pgpu *p);

/* look.c */
void xg_looks_start(struct xg_pgpu *p);
void xg_looks_stop(struct xg_pgpu *p);
bool xg_probe_ended(struct xg_broker *b, uint64_t id, int status, int error);
/* What the API waits for, for people; "" when it waits for nothing. */
void xg_look_text(const struct xg_look *l, char *text, size_t size);
/* Why the pGPU is not ready. */
void xg_pgpu_waiting(const struct xg_pgpu *p, char *text, size_t size);
/* Looked at in vain so far. */
bool xg_pgpu_failed(const struct xg_pgpu *p);
/* All that was found runs on the CPU. */
bool xg_pgpu_software(const struct xg_pgpu *p);

/* guest.c */
struct xg_guest *xg_guest_find(const struct xg_broker *b, const char *name);
/* `own`: beside what the configuration says of a guest of that name. `domid`: Xen; 0: the domain of
 * that name. `error`: what is wrong, for people. */
int xg_guest_attach(struct xg_broker *b, const char *name, uint32_t domid,
                    const struct xg_settings *own, struct xg_guest **out, char *error, size_t size);
/* The same, asked for by a user, who has the guest if nobody else is said to. */
int xg_guest_attach_for(struct xg_broker *b, const char *name, uint32_t domid,
                        const struct xg_settings *own, uid_t attacher, struct xg_guest **out,
                        char *error, size_t size);
/* Ends its channels, then the guest; `fn` is called when that is done. */
int xg_guest_detach(struct xg_guest *g, void (*fn)(void *arg, int err), void *arg);
void xg_guests_start(struct xg_broker *b);
void xg_guests_stop(struct xg_broker *b);
/* Xen: attaches and detaches what xenstore and the configuration say, from now on. */
int xg_domains_start(struct xg_broker *b);
void xg_domains_look(struct xg_broker *b);
/* Xen: an operator detaches it; the configuration gives it no device before it is another domain.
 */
void xg_domain_detached(const struct xg_guest *g);
bool xg_guest_agent_ended(struct xg_broker *b, uint64_t id, int status, int error);
/* Called when something that others may wait for has changed: device states. */
void xg_guest_changed(struct xg_guest *g);
/* A device with no channels left to close may be freed. */
void xg_guest_settle(struct xg_guest *g);

/* settings.c */
/* Works out type, weight and memory limit from what the guest was given. */
void xg_guest_resolve(struct xg_guest *g);
/* What the guest itself was given, rather than its type: for the device's nodes. */
void xg_guest_policy(const struct xg_guest *g, struct xg_policy *p);
/* What an operator sets: type, weight, memory, those that are said. All of it or nothing. */
int xg_guest_set(struct xg_guest *g, const struct xg_settings *s, char *error, size_t size);
/* Its type or its section may say something else now. Tells `fn` of what changes. */
void xg_guest_follow(struct xg_guest *g, void (*fn)(void *arg, const char *what), void *arg);

/* xenbus.c */
int xg_xenbus_publish(struct xg_guest *g);
/* Tells the guest what its device waits for, before it is published. */
void xg_xenbus_waits(struct xg_guest *g);
/* The guest's node `state` and what goes with it. */
extern const struct xg_frontend_events xg_xenbus_events;
/* The broker closes the device; `why` for people. */
void xg_xenbus_close(struct xg_guest *g, const char *why);
/* Its nodes were made anew: it begins again. */
void xg_xenbus_renew(struct xg_guest *g);
/* After a channel came to its end. */
void xg_xenbus_settle(struct xg_guest *g);
/* For people: what a guest that is not connected waits for. */
void xg_xenbus_waiting(const struct xg_guest *g, char *text, size_t size);

/* control.c */
void xg_control_reset(struct xg_guest *g);
void xg_control_event(struct xg_guest *g);
void xg_control_reply(struct xg_guest *g, const struct xg_control_request *rq, int status,
                      const char *text);
void xg_control_closed(struct xg_guest *g, uint32_t channel, uint32_t request);
void xg_control_gone(struct xg_guest *g, uint32_t channel, enum xg_ring_error why,
                     const char *text);

/* channel.c */
void xg_channel_open(struct xg_guest *g, const struct xg_control_request *rq);
void xg_channel_close(struct xg_guest *g, const struct xg_control_request *rq);
/* Ends one channel's worker, or all: the frontend is told `why`. */
void xg_channel_end(struct xg_broker_channel *c, enum xg_ring_error why, int signal);
void xg_channels_end(struct xg_guest *g, enum xg_ring_error why);
unsigned xg_channels_live(const struct xg_guest *g);
/* `pidfd` becomes its own. */
bool xg_worker_started(struct xg_broker *b, uint64_t id, int pid, int pidfd);
bool xg_worker_ended(struct xg_broker *b, uint64_t id, int status, int error, uint64_t peak);

/*
 * host.c: what a guest's workers may have of this machine itself. Where control groups can be had
 * the kernel sees to it; elsewhere the daemon looks often at what each worker has.
 */
/* After the configuration was read, before any child is there. */
void xg_host_start(struct xg_broker *b);
void xg_host_stop(struct xg_broker *b);
void xg_host_guest_add(struct xg_guest *g);
void xg_host_guest_remove(struct xg_guest *g);
/* What its bounds follow from has changed: settings, or the number of its applications. */
void xg_host_guest_update(struct xg_guest *g);
/* For its next worker. The descriptor, or -1, stays host.c's: writing "0" there puts the writer
 * into the guest's group. */
int xg_host_worker(const struct xg_guest *g, struct xg_spawn_request *req);
/* Bytes of memory that its workers may have together; UINT64_MAX: any number. */
uint64_t xg_host_limit(const struct xg_guest *g);
uint64_t xg_host_used(const struct xg_guest *g);
/* Nanoseconds of processor time that its workers have had; false: nobody counts them. */
bool xg_host_cpu(const struct xg_guest *g, uint64_t *ns);
/* Whether memory is what a worker that has ended died of: what its application is told, with a text
 * for people, or XG_RING_OK. `peak`: what it had at most, in bytes. */
enum xg_ring_error xg_host_ended(struct xg_broker_channel *c, int status, uint64_t peak, char *text,
                                 size_t size);

/* relay.c. What a child of the spawner is given as its standard output and error, or -errno; the
 * caller closes it. `guest`: whom the child works for, or NULL; `who`: its name in each line. */
struct xg_relay;
int xg_relay_create(const char *guest, const char *who, struct xg_relay **out);
/* From now on it is called that. `r` may be NULL here and below. */
void xg_relay_name(struct xg_relay *r, const char *fmt, ...) XG_PRINTF(2, 3);
/* The child is dead: logs what is left. Sets the pointer to NULL. */
void xg_relay_end(struct xg_relay **r);

/* refusals.c. What the channel's worker is given to hand its sandbox's listener to, or -errno. */
struct xg_refusals;
int xg_refusals_create(const struct xg_broker_channel *c, struct xg_refusals **out);
void xg_refusals_end(struct xg_refusals *r);

/* sockets.c: paths of a guest's sockets */
void xg_socket_agent(const struct xg_broker *b, const char *guest, char *path, size_t size);
void xg_socket_store(const struct xg_broker *b, const char *guest, char *path, size_t size);
/* Makes the directories that they are in. `error`: what is wrong, for people. */
int xg_sockets_prepare(const struct xg_broker *b, const char *guest, char *error, size_t size);
/* The guest is detached: its directory stays. */
void xg_sockets_remove(const struct xg_broker *b, const char *guest);
/* Removes what a daemon that died has left. */
void xg_sockets_start(const struct xg_broker *b);
void xg_sockets_stop(const struct xg_broker *b);

/* operator.c */
int xg_operator_start(struct xg_broker *b);
void xg_operator_stop(struct xg_broker *b);
/* report.c: what `list` and `types` answer. */
json_t *xg_report(const struct xg_broker *b);
json_t *xg_report_types(const struct xg_broker *b);
/* A string with no control characters but ends of lines, whatever is in `text`: a file, or a
 * driver, may have anything. */
json_t *xg_json_text(const char *text);

#endif
