/* What a daemon, a guest, a type or a pGPU may have, at least and at most. */
#ifndef XG_LIMITS_H
#define XG_LIMITS_H

#include "protocol/channel.h"

#define XG_NAME_MAX       64u /* with its NUL */
#define XG_GUESTS_MAX     1024u
#define XG_INSTANCES_MAX  1024u
#define XG_WEIGHT_MIN     1u
#define XG_WEIGHT_MAX     10000u
#define XG_WEIGHT_DEFAULT 100u
#define XG_CAP_MAX        100u  /* percent */
#define XG_FRAMES_MAX     1000u /* of a window, a second */
#define XG_QUANTUM_US_MIN 100u
#define XG_QUANTUM_US_MAX 1000000u
#define XG_ARENA_MIB_MAX  (XG_ARENA_PAGES_MAX >> 8) /* 256 pages are a MiB */

#endif
