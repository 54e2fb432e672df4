/* Process namespaces for workers. */
#ifndef XG_BROKER_SPACE_H
#define XG_BROKER_SPACE_H

#include <stdbool.h>
#include <sys/types.h>

/* Once, in the spawner: finds out whether workers can have a process namespace. */
void xg_space_try(void);
/* As fork. *alone: the child is in a process namespace of its own, where it is process 1. */
pid_t xg_space_fork(bool *alone);

#endif
