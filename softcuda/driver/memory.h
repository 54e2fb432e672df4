/* What the memory files share among themselves. */
#ifndef SC_MEMORY_H
#define SC_MEMORY_H

#include "softcuda/driver/sc.h"

#define SC_HUGE ((uint64_t)2 << 20)

int sc_space_init(void);                             /* -errno */
bool sc_space_commit(uint64_t start, uint64_t size); /* zeroed pages, on demand */
void sc_space_decommit(uint64_t start, uint64_t size);

/* Blocks for small allocations: `size` plus a gap; *slot is what was taken. 0: none left. */
uint64_t sc_block_take(uint64_t size, uint64_t *slot);
void sc_block_give(uint64_t start, uint64_t slot);

/* A gap between neighbours that no kernel may touch, so that overruns are seen. */
#define SC_GAP       ((uint64_t)512)
#define SC_SMALL_MAX ((uint64_t)1 << 20)
/* The widest access: one that begins inside an allocation, aligned, is legal to its end. */
#define SC_WIDEST ((uint64_t)16)

#endif
