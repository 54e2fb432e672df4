/* Where the guests' sockets are. */
#ifndef XG_BROKER_SOCKETS_H
#define XG_BROKER_SOCKETS_H

#include "backend/broker/broker.h"

void xg_socket_agent(const struct xg_broker *b, const char *guest, char *path, size_t size);
void xg_socket_store(const struct xg_broker *b, const char *guest, char *path, size_t size);
/* Makes the directories that they are in. */
int xg_sockets_prepare(const struct xg_broker *b, const char *guest, struct xg_why *why);
/* The guest is detached: its directory stays. */
void xg_sockets_remove(const struct xg_broker *b, const char *guest);
/* Removes what a daemon that died has left. */
void xg_sockets_start(const struct xg_broker *b);
void xg_sockets_stop(const struct xg_broker *b);

#endif
