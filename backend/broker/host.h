/* What a guest's workers may have of this machine itself. Where control groups can be had the
 * kernel sees to it; elsewhere the daemon looks often at what each worker has. */
#ifndef XG_BROKER_HOST_H
#define XG_BROKER_HOST_H

#include "backend/broker/broker.h"

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

#endif
