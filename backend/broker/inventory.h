/* Finds things by name; chooses the pGPU of a new guest; tells what a pGPU waits for. */
#ifndef XG_BROKER_INVENTORY_H
#define XG_BROKER_INVENTORY_H

#include "backend/broker/config.h"

struct xg_pgpu *xg_pgpu_find(const struct xg_broker *b, const char *name);
struct xg_type *xg_type_find(const struct xg_broker *b, const char *name);
struct xg_guest_config *xg_guest_config_find(const struct xg_broker *b, const char *name);
struct xg_guest *xg_guest_find(const struct xg_broker *b, const char *name);

/* A pGPU as configured; not started yet. NULL: there is no memory for it. */
struct xg_pgpu *xg_pgpu_add(struct xg_broker *b, const struct xg_pgpu_config *c);
bool xg_pgpu_same(const struct xg_pgpu *p, const struct xg_pgpu_config *c);

/* The pGPU for a new guest of type `t`: the one with the smallest load, of those with room. */
struct xg_pgpu *xg_place(const struct xg_broker *b, const struct xg_type *t);
/* The pGPU has as many guests of type `t` as the type allows. */
bool xg_type_full(const struct xg_pgpu *p, const struct xg_type *t);
/* The pGPU can take another guest of type `t`. */
bool xg_pgpu_room(const struct xg_pgpu *p, const struct xg_type *t);
double xg_pgpu_load(const struct xg_pgpu *p);

/* No device of it was found so far. */
bool xg_pgpu_failed(const struct xg_pgpu *p);
/* All that was found runs on the CPU. */
bool xg_pgpu_software(const struct xg_pgpu *p);
/* What the API waits for, for people; "" when it waits for nothing. */
void xg_look_text(const struct xg_look *l, char *text, size_t size);
/* Why the pGPU is not ready. */
void xg_pgpu_waiting(const struct xg_pgpu *p, char *text, size_t size);
/* Rounded up, for people. */
unsigned xg_seconds(uint64_t ns);

#endif
