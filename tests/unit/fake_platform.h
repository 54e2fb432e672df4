/* What the guest agent needs of its platform (frontend/platform/guest.h), in memory. */
#ifndef XG_TEST_FAKE_PLATFORM_H
#define XG_TEST_FAKE_PLATFORM_H

#include "frontend/platform/guest.h"

extern const struct xg_guest_ops fake_platform;
extern uint64_t fake_kernel_limit, fake_pages_shared; /* as gntalloc's */
extern unsigned fake_ports_open;
extern bool fake_control_bound;
extern char fake_watched[96]; /* the node, "": none */

/* A node's value, of 128 bytes; NULL: there is none. */
char *fake_node(const char *path, bool make);
void fake_set(const char *path, const char *value);
void fake_unset(const char *path);
void fake_nodes_drop(void);

#endif
