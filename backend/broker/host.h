/* How much memory and processor time of this machine a guest's workers may use. The kernel enforces
 * it by control groups where they can be used; elsewhere the daemon often looks at each worker. */
#ifndef XG_BROKER_HOST_H
#define XG_BROKER_HOST_H

#include "backend/broker/broker.h"

/* After the configuration was read, before any child is there. */
void xg_host_start(struct xg_broker *b);
void xg_host_stop(struct xg_broker *b);
void xg_host_guest_add(struct xg_guest *g);
void xg_host_guest_remove(struct xg_guest *g);
/* To be called when its settings, or the number of its applications, have changed. */
void xg_host_guest_update(struct xg_guest *g);
/* Limits for its next worker, put into *req. Returns a descriptor that stays host.c's, or -1:
 * writing "0" to it moves the writer into the guest's group. */
int xg_host_worker(const struct xg_guest *g, struct xg_spawn_request *req);
/* Bytes of memory that its workers may have together; UINT64_MAX: any number. */
uint64_t xg_host_limit(const struct xg_guest *g);
uint64_t xg_host_used(const struct xg_guest *g);
/* Nanoseconds of processor time that its workers have had; false: nobody counts them. */
bool xg_host_cpu(const struct xg_guest *g, uint64_t *ns);
/* Whether a worker ended for want of memory: returns what its application is told, with a text for
 * people, or XG_RING_OK. `peak`: the most bytes that it had. */
enum xg_ring_error xg_host_ended(struct xg_broker_channel *c, int status, uint64_t peak, char *text,
                                 size_t size);

#endif
