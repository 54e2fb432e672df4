/*
 * Arguments without which the driver answers before it looks at anything else: whether cuInit was called, and whether there is a context.
 * Which ones these are was asked of a driver (tests/lib/cuda_codes.driver, "before cuInit").
 */
#ifndef XG_CUDA_NEED_H
#define XG_CUDA_NEED_H

#include "protocol/base.h"

#define XG_CUDA_NEED(given, error)                                                                 \
    do {                                                                                           \
        if (XG_UNLIKELY(!(given)))                                                                 \
            return (error);                                                                        \
    } while (0)

#endif
