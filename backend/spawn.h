/*
 * The request for a new worker. The broker fills it and the spawner, a small process that was
 * forked before any Xen handle was opened, forks a worker for it. The worker executes the program
 * again, maps the channel's memory and binds its event channels.
 */
#ifndef XG_BACKEND_SPAWN_H
#define XG_BACKEND_SPAWN_H

#include "backend/worker.h"
#include "protocol/event.h"

struct xg_spawn_request {
    uint64_t id;       /* of the channel, chosen by the broker */
    uint32_t platform; /* enum xg_platform */
    uint32_t domid;    /* Xen */
    struct xg_geometry geometry;
    char guest[64];
    char command[64]; /* of the application, for people; already made printable */
    struct xg_device_config device;
    uint64_t memory_limit;
    /* Bytes of private writable memory that it may map, in addition to those at its start; 0: any
     * number. */
    uint64_t data_limit;
    uint32_t uid, gid;   /* that it changes to, if started as root; 0: none */
    uint32_t sched_slot; /* this worker's slot in the guest's shared page */
    bool test_mode;      /* serves XG_OP_BURN and XG_OP_TAKE */
    uint32_t sandbox;    /* enum xg_sandbox */
    int32_t parent;      /* the spawner's process; the worker ends when it ends; 0: it does not */
    uint32_t port[XG_RINGS_MAX]; /* Xen: the remote port of each ring */
};

enum xg_sandbox {
    XG_SANDBOX_NO, /* the worker keeps its rights: for debugging */
    XG_SANDBOX_YES,
    XG_SANDBOX_REPORT, /* it keeps them, and logs the use of those that it would not have */
};

/* Threads of all workers of a guest; softcuda has one for each stream. */
#define XG_GUEST_THREADS 16384u

/* Descriptors that are passed with the request; -1: none. */
struct xg_spawn_fds {
    int pages; /* local: the channel's memfd, at offset 0; Xen: memfd with uint32_t gref[pages] */
    int wait[XG_RINGS_MAX]; /* local: eventfds, worker's view */
    int kick[XG_RINGS_MAX];
    int sched_page; /* the guest's shared page (backend/sched.h) */
    int sched_kick; /* eventfd: the scheduler listens */
    int log;        /* its standard output and error; the spawner's */
    int watch;      /* socket: the sandbox's listener goes there, and then it is closed */
    int group;      /* cgroup.procs of its control group; the spawner's */
};

/* In a forked process: executes the daemon's program as a worker. Does not return. */
void xg_worker_exec(const struct xg_spawn_request *req, const struct xg_spawn_fds *fds)
    __attribute__((noreturn));
#define XG_WORKER_NAME     "xengpu-worker"
#define XG_WORKER_ARGUMENT "--worker"
/* What that program does with this argument; returns its exit status. */
int xg_worker_run(void);
/* Runs the worker in this process; returns its exit status. */
int xg_worker_main(const struct xg_spawn_request *req, const struct xg_spawn_fds *fds);

/* The worker's exit statuses. */
enum {
    XG_WORKER_EXIT_OK = 0,         /* the application closed its channel */
    XG_WORKER_EXIT_SETUP = 3,      /* could not map, bind or drop privileges */
    XG_WORKER_EXIT_PROTOCOL = 4,   /* the frontend broke the protocol */
    XG_WORKER_EXIT_DEVICE = 5,     /* the device is gone */
    XG_WORKER_EXIT_TERMINATED = 6, /* by SIGTERM, which cannot kill process 1 of a namespace */
};

#endif
