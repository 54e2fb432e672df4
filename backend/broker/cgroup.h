/*
 * Control groups of version 2 (cgroup-v2.rst of Linux), as the daemon uses them:
 *
 *   OWN/                    the group in which the daemon was started
 *     xengpud-PID/          locked while it lives
 *       daemon/             the daemon, the spawner, agents, children that look at devices
 *       guests/             all guests together
 *         guest-NAME/       the workers of one
 *
 * The daemon must have the right to change OWN: it is the root, or a group without other processes
 * that the daemon was given (Delegate=yes of systemd). Nothing here writes to the log.
 */
#ifndef XG_CGROUP_H
#define XG_CGROUP_H

#include <stddef.h>
#include <stdint.h>

/* The directory of a process's own group, from the texts of its /proc/self/cgroup and mountinfo. 0;
 * -ENOENT: there is no version 2, or no mount shows the group; -ENAMETOOLONG. */
int xg_cgroup_locate(const char *cgroup, const char *mountinfo, char *dir, size_t size);

/* Makes the groups and moves this process, which has no thread and no child yet. 0; or -errno with
 * `why` for people, and then nothing has changed. */
int xg_cgroups_start(char *why, size_t size);
void xg_cgroups_stop(void);
/* xengpud-PID's directory, "": there are none. */
const char *xg_cgroups_path(void);
/* The directory of guests/, as an open descriptor that is not the caller's; -1. */
int xg_cgroups_guests(void);

/* A guest's own: its directory, open, or -errno. */
int xg_cgroup_create(const char *guest);
/* Closes it too. A group that still has processes stays until the daemon ends. */
void xg_cgroup_remove(const char *guest, int group);

/* Of the group whose directory is open. Writes a number, UINT64_MAX as "max". 0 or -errno. */
int xg_cgroup_set(int group, const char *file, uint64_t value);
/* Reads a number: the file's only one, or the one behind `key`. 0 if it is not there. */
uint64_t xg_cgroup_get(int group, const char *file, const char *key);

#endif
