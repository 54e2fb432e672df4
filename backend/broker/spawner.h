/*
 * The spawner: a small single-threaded process, forked before the daemon opens anything, that forks
 * workers, guest agents and the children that look at devices, ends them, and reports their ends.
 */
#ifndef XG_SPAWNER_H
#define XG_SPAWNER_H

#include "backend/spawn.h"

#include <sys/types.h>

#define XG_SPAWN_ARGV 2048u

enum xg_probe_api { XG_PROBE_GL, XG_PROBE_CUDA, XG_PROBE_APIS };

/* What a probing child found of one API. Empty strings: nothing. */
struct xg_probe_result {
    char renderer[128], gl_version[64];
    char cuda_name[128];
    char cuda_library[256]; /* the one that was found, for `auto` */
    uint64_t cuda_memory;   /* bytes */
    int32_t cuda_major, cuda_minor, cuda_version;
    int32_t cuda_mode;    /* its compute mode; 0: any program may use it */
    int32_t cuda_reaches; /* 1: kernels reach all memory of their process */
    char error[256];      /* why there is none */
    char doing[96]; /* not complete: the driver's call, or the loading, that the child is in */
    bool software;  /* it runs on the CPU */
    bool complete;  /* nothing more follows */
};

/* Called in the daemon when a process of the spawner ended (status of waitpid), or could not be
 * started (`error` a negative errno). `peak`: bytes of memory that it had at most. */
typedef void xg_spawn_ended_fn(void *arg, uint64_t id, int status, int error, uint64_t peak);
/* Called when it was started. `pidfd`: its own to close; -1 where the kernel has none. */
typedef void xg_spawn_started_fn(void *arg, uint64_t id, int pid, int pidfd);

/* Forks the spawner. Call first of all. `library_dir`: as for xg_probe. */
int xg_spawner_start(const char *library_dir);
/* Joins the daemon's loop. */
int xg_spawner_attach(xg_spawn_started_fn *started, xg_spawn_ended_fn *ended, void *arg);
/* Ends all children and the spawner. */
void xg_spawner_stop(void);

/* A number for a new process. */
uint64_t xg_spawn_id(void);
/* `id`: from xg_spawn_id. Descriptors stay the caller's. 0 or -errno; the rest comes by the
 * functions above. */
int xg_spawn_worker(const struct xg_spawn_request *req, const struct xg_spawn_fds *fds);
/* argv: NUL-separated strings, `size` bytes in all. `log`: its standard output and error. */
int xg_spawn_program(uint64_t id, const char *argv, size_t size, int log);
/* The result is written to `pipe`. */
int xg_spawn_probe(uint64_t id, enum xg_probe_api api, const struct xg_device_config *device,
                   int pipe, int log);
int xg_spawn_kill(uint64_t id, int signal);

/* space.c. Once, in the spawner: finds out whether workers can have a process namespace. */
void xg_space_try(void);
/* As fork. *alone: the child is in a process namespace of its own, where it is process 1. */
pid_t xg_space_fork(bool *alone);

/* In the probing child. Writes to `pipe` what it is about to do, then what it found: a driver may
 * end or hang the process at any time. `libraries`: the directory of libxengpu.so and softcuda/. */
void xg_probe(enum xg_probe_api api, const struct xg_device_config *device, const char *libraries,
              int pipe);

#endif
