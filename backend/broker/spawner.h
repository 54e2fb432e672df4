/*
 * The spawner: a small single-threaded process, forked before the daemon opens anything, that forks
 * workers, guest agents and the children that look at devices, ends them, and reports their ends.
 */
#ifndef XG_SPAWNER_H
#define XG_SPAWNER_H

#include "backend/broker/probe.h"
#include "backend/spawn.h"

#define XG_SPAWN_ARGV 2048u

/* Called in the daemon when a process of the spawner ended (status of waitpid), or could not be
 * started (`error` a negative errno). `peak`: bytes of memory that it had at most. */
typedef void xg_spawn_ended_fn(void *arg, uint64_t id, int status, int error, uint64_t peak);
/* Called when a process was started. The function closes `pidfd`, which may be -1. */
typedef void xg_spawn_started_fn(void *arg, uint64_t id, int pid, int pidfd);

/* Forks the spawner. Call first of all. `library_dir`: as for xg_probe. */
int xg_spawner_start(const char *library_dir);
/* Joins the daemon's loop. */
int xg_spawner_attach(xg_spawn_started_fn *started, xg_spawn_ended_fn *ended, void *arg);
/* Ends all children and the spawner. */
void xg_spawner_stop(void);

/* A number for a new process. */
uint64_t xg_spawn_id(void);
/* `id`: from xg_spawn_id. Descriptors stay the caller's. 0 or -errno; what happens later is told by
 * the functions above. */
int xg_spawn_worker(const struct xg_spawn_request *req, const struct xg_spawn_fds *fds);
/* argv: NUL-separated strings, `size` bytes in all. `log`: its standard output and error. */
int xg_spawn_program(uint64_t id, const char *argv, size_t size, int log);
/* The result is written to `pipe`. */
int xg_spawn_probe(uint64_t id, enum xg_probe_api api, const struct xg_device_config *device,
                   int pipe, int log);
int xg_spawn_kill(uint64_t id, int signal);

#endif
