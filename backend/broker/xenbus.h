/* A guest's device node `state`, and what to do in each state. */
#ifndef XG_BROKER_XENBUS_H
#define XG_BROKER_XENBUS_H

#include "backend/broker/broker.h"

int xg_xenbus_publish(struct xg_guest *g);
/* Tells the guest what its device waits for, before it is published. */
void xg_xenbus_waits(struct xg_guest *g);
/* struct xg_frontend_events; `arg`: the guest. */
void xg_xenbus_store(void *arg);
void xg_xenbus_control(void *arg);
void xg_xenbus_joined(void *arg);
/* The broker closes the device; `why` for people. */
void xg_xenbus_close(struct xg_guest *g, const char *why);
/* Its nodes were made again: the device starts from the beginning. */
void xg_xenbus_renew(struct xg_guest *g);
/* To be called after a channel has ended. */
void xg_xenbus_settle(struct xg_guest *g);
/* For people: what a guest that is not connected waits for. */
void xg_xenbus_waiting(const struct xg_guest *g, char *text, size_t size);

#endif
