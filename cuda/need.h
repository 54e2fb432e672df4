/*
 * How a vendor's driver judges arguments, for both of our drivers. All of it was measured on one
 * (tests/lib/cuda_codes.driver).
 *
 * If an argument of XG_CUDA_NEED is missing, a driver returns that error first, even before it
 * checks whether cuInit was called and whether there is a context.
 */
#ifndef XG_CUDA_NEED_H
#define XG_CUDA_NEED_H

#include "protocol/base.h"
#include "cuda/abi.h"

#define XG_CUDA_NEED(given, error)                                                                 \
    do {                                                                                           \
        if (XG_UNLIKELY(!(given)))                                                                 \
            return (error);                                                                        \
    } while (0)

/* Flags of a context: only known ones, and at most one way to wait. */
static inline bool xg_cuda_ctx_flags_valid(unsigned flags)
{
    unsigned way = flags & CU_CTX_SCHED_MASK;

    return !(flags & ~(unsigned)CU_CTX_FLAGS_MASK) && !(way & (way - 1));
}

/* Of a texture of plain memory. */
static inline bool xg_cuda_texel_valid(CUarray_format format, unsigned channels)
{
    switch (format) {
    case CU_AD_FORMAT_UNSIGNED_INT8:
    case CU_AD_FORMAT_UNSIGNED_INT16:
    case CU_AD_FORMAT_UNSIGNED_INT32:
    case CU_AD_FORMAT_SIGNED_INT8:
    case CU_AD_FORMAT_SIGNED_INT16:
    case CU_AD_FORMAT_SIGNED_INT32:
    case CU_AD_FORMAT_HALF:
    case CU_AD_FORMAT_FLOAT: return channels == 1 || channels == 2 || channels == 4;
    default: return false;
    }
}

#endif
